"""Builds and runs the C programs of this directory against a copy of the C implementation."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ringproof.building import Compiler, build_program, c_sources, find_compiler

HERE = Path(__file__).parent
PROFILES: dict[str, dict[str, str]] = {"virtio-1.x": {}, "linux-3.11": {"RP_ADAPTER_LINUX_3_11": ""}}
NOT_RUN = 2  # how a program says that it has no such case, or no driver
NETWORK = ("net", "fence")  # programs that drive the whole network driver
ENVIRONMENT = (HERE / "program" / "environment.c",)
BENCH = tuple(HERE / "net" / name for name in ("bench.c", "frames.c", "registers.c"))
INCLUDED = {"order": "access_log.h", "fence": "at_fence.h"}  # before every source
SANITIZERS = ("address", "undefined")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")
COMPILERS = [find_compiler(name) for name in ("gcc", "clang") if shutil.which(name)] or [find_compiler()]


@cache
def program(
    name: str,
    profile: str,
    *,
    source: Path | None = None,
    sanitize: tuple[str, ...] = SANITIZERS,
    compiler: Compiler | None = None,
) -> Path:
    """Return the built program ``name`` (a directory here) over the C implementation in ``source``."""
    source = source or c_sources()
    network = name in NETWORK
    driver = sorted(source.glob("*.c")) if network else [source / "virtqueue.c", source / "adapter.c"]
    own = sorted((HERE / name).glob("*.c"))
    shared = [path for path in (BENCH if network else ENVIRONMENT) if path not in own]
    defines = {"_POSIX_C_SOURCE": "200809L", **PROFILES[profile]}
    if name == "byte_order":
        defines["RP_VQ_SWAP"] = "1"
    extra = [*WARNINGS, *(("-include", str(HERE / name / INCLUDED[name])) if name in INCLUDED else ())]
    return build_program(
        [*driver, *own, *shared],
        include=(source, HERE / ("net" if network else "program"), HERE / name),
        defines=defines,
        sanitize=sanitize,
        extra_flags=extra,
        compiler=compiler,
    )


@cache
def loading_program(name: str = "program") -> Path:
    """Return the program ``name`` built without a driver: it loads the library that $DRIVER names."""
    loader = HERE / "loading" / ("net_loader.c" if name in NETWORK else "loader.c")
    return build_program(
        sorted([*(HERE / name).glob("*.c"), loader]),
        include=(c_sources(), HERE / name),
        defines={"_POSIX_C_SOURCE": "200809L"},
        extra_flags=[*WARNINGS, "-ldl"],
    )


def run(
    path: Path, *arguments: str, timeout: float = 60.0, driver: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; one that hangs is killed and reported as status 124."""
    command = [str(path), *arguments]
    environment = {**os.environ, "DRIVER": str(driver)} if driver else None
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", "did not end")


def case_names(name: str = "program") -> list[str]:
    """Return the cases of the program ``name``, as its header names them."""
    lines = (HERE / name / "cases.h").read_text().splitlines()
    return [line.partition("X(")[2].partition(",")[0] for line in lines if line.startswith("    X(")]


def warned(folder: Path, defines: Mapping[str, str]) -> str:
    """What a compiler has to say of the C sources in a folder, looked at with every warning."""
    flags = [*WARNINGS, "-std=c11", "-fsyntax-only", *(f"-D{name}" for name in defines)]
    sources = sorted(map(str, folder.glob("*.c")))
    command = [*find_compiler().command, *flags, f"-I{folder}", *sources]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr
