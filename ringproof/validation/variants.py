"""The variants: a driver built once more, with calls put in by the compiler that tell what it does."""

import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..building import BuildError, Compiler, build_driver, find_compiler
from .library import LibraryError, inspect_library
from .worker import Worker

Kind = Literal["accesses", "coverage"]

_SECONDS = 60.0  # a compiler that takes longer to answer a question has hung
# Of undefined behaviour only what overwrites memory inside an object, where AddressSanitizer sees nothing.
# The rest (1 << 31, a misaligned access that the machine allows) would accuse drivers that work, and its
# handlers would count as blocks that are never reached.
_BOUNDS = {"gcc": "bounds", "clang": "array-bounds"}
# The calls can then be found in the finished library, by what the linker had to fill in.
_KEEP_RELOCATIONS = "-Wl,--emit-relocs"
# What these three do to memory the compiler does not tell.
_LED_TO_WORKER = tuple(f"-Wl,--wrap={name}" for name in ("memcpy", "memmove", "memset"))
_RUNTIMES = ("libtsan.so", "libclang_rt.tsan")
_NO_CALLS = frozenset({"__tsan_init"})  # called once, whatever else is
_CALLS: dict[Kind, tuple[str, ...]] = {
    "accesses": ("__tsan_",),
    "coverage": ("__sanitizer_cov_trace_pc", "__sanitizer_cov_trace_pc_guard"),
}
_HOW: dict[Kind, str] = {
    "accesses": "compile with -fsanitize=thread and link without (cc -fPIC -c -fsanitize=thread x.c; "
    "cc -shared x.o), or clang -shared -fsanitize=thread",
    "coverage": "compile with -fsanitize-coverage=trace-pc (clang: edge,trace-pc)",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """An instrumented build of a driver.

    "accesses" calls the worker at each access to memory, atomic operation and fence; "coverage" at the begin
    of each block of code, and has AddressSanitizer and checked array bounds unless ``remark`` says why not.
    """

    kind: Kind
    library: Path
    remark: str = ""


def check_variant(variant: Variant, *, timeout: float = 10.0) -> None:
    """Look whether a variant is what it is called, and load it once; ``timeout`` is in seconds.

    Raises LibraryError: what is wrong and how to build it, in one line; BuildError if there is no worker.
    """
    info, kind = inspect_library(variant.library), variant.kind
    runtime = next((name for name in info.needed if name.startswith(_RUNTIMES)), None)
    if kind == "accesses" and runtime is not None:
        raise LibraryError(
            f"{variant.library}: linked to {runtime}, whose place the worker takes: {_HOW[kind]}"
        )
    calls = _CALLS[kind]
    if kind == "accesses":
        told = any(name.startswith(calls) for name in info.wanted - _NO_CALLS)
    else:
        told = not info.wanted.isdisjoint(calls)
    if not told:
        raise LibraryError(f"{variant.library}: calls nothing that tells {kind}: {_HOW[kind]}")
    Worker(variant.library, timeout=timeout).close()


def build_variants(
    source_dir: Path,
    *,
    flags: Sequence[str] = (),
    compiler: Compiler | None = None,
    left_out: Callable[[Kind, str], None] | None = None,
) -> tuple[Variant, ...]:
    """Build the variants of the driver whose sources are the ``*.c`` directly in ``source_dir``.

    ``flags`` are the driver's own, for the compiler and the linker alike.
    A variant that does not build is left out; ``left_out`` is told which and why, in one line. Never raises
    for what a compiler refuses.
    """
    built: list[Variant] = []
    builders: dict[Kind, Callable[..., Variant]] = {"accesses": build_accesses, "coverage": build_coverage}
    for kind, build in builders.items():
        try:
            built.append(build(source_dir, flags=flags, compiler=compiler))
        except BuildError as error:
            if left_out is not None:
                left_out(kind, str(error))
    return tuple(built)


def build_accesses(
    source_dir: Path, *, flags: Sequence[str] = (), compiler: Compiler | None = None
) -> Variant:
    """Build with a call at each access, which the worker answers: without ThreadSanitizer's own runtime.

    Raises BuildError.
    """
    library = build_driver(
        source_dir,
        extra_flags=(*flags, *_LED_TO_WORKER),
        compile_flags=("-fsanitize=thread",),
        compiler=compiler,
    )
    return Variant("accesses", library)


def build_coverage(
    source_dir: Path, *, flags: Sequence[str] = (), compiler: Compiler | None = None
) -> Variant:
    """Build with a call at each block, and with sanitizers where the compiler has their runtime.

    Raises BuildError.
    """
    compiler = compiler or find_compiler()
    # gcc has one kind of places, clang wants to be told which.
    clang = "clang" in compiler.version
    sanitizers = ("address", _BOUNDS["clang" if clang else "gcc"])
    places = "edge,trace-pc" if clang else "trace-pc"
    runtime = ("-shared-libasan", *_clang_runtime(compiler)) if clang else ()
    try:
        library = build_driver(
            source_dir,
            sanitize=sanitizers,
            extra_flags=(*flags, "-O1", _KEEP_RELOCATIONS, *runtime),
            compile_flags=(f"-fsanitize-coverage={places}",),
            compiler=compiler,
        )
    except BuildError as error:
        library = build_driver(
            source_dir,
            extra_flags=(*flags, "-O1", _KEEP_RELOCATIONS),
            compile_flags=(f"-fsanitize-coverage={places}",),
            compiler=compiler,
        )
        return Variant("coverage", library, f"without sanitizers: {error}")
    return Variant("coverage", library)


def _clang_runtime(compiler: Compiler) -> tuple[str, ...]:
    """Tell the linker to write down where clang's shared runtimes lie: no system directory."""
    asked = (*compiler.command, f"-print-file-name=libclang_rt.asan-{platform.machine()}.so")
    answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_SECONDS)
    found = Path(answer.stdout.strip())
    return (f"-Wl,-rpath,{found.parent}",) if found.is_absolute() and found.is_file() else ()
