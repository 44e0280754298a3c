"""Building C: drivers under test, the shipped C implementation, its mutants, and the harness.

Every build is kept in a cache under a name made from what determines it: the preprocessed sources, the
flags, and the compiler's version. A build appears there whole or not at all.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from .errors import BadInputError

_TIMEOUT = 300.0  # seconds; a compiler that takes longer has hung
_STANDARD_FLAGS = ("-std=c11", "-O2")
_CANDIDATES = ("cc", "gcc", "clang")
_LOCATED_ERROR = re.compile(r"^(?P<where>[^:\s][^:]*:\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)$")


class BuildError(BadInputError):
    """A build did not come about; the message is one line."""


class CompilerMissing(BuildError):  # noqa: N818 - the name says it
    """There is no C compiler, or not the one that was asked for."""


class BuildFailed(BuildError):  # noqa: N818 - so does this one
    """The compiler or the linker refused; ``output`` is all that it said."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message, output)
        self.message = message
        self.output = output

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: the command that starts it and the first line of its ``--version``."""

    command: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        return self.version


def find_compiler(command: str | None = None) -> Compiler:
    """Return the compiler named ``command``, or by $CC, or the first of cc, gcc and clang.

    A named one may carry arguments (``ccache gcc``). Raises CompilerMissing.
    """
    named = command if command is not None else os.environ.get("CC", "").strip()
    return _probe(named, os.environ.get("PATH", ""))


@cache
def _probe(named: str, path: str) -> Compiler:
    del path  # part of the key: another PATH may hold another compiler
    if not named:
        found = next((name for name in _CANDIDATES if shutil.which(name)), None)
        if found is None:
            raise CompilerMissing(
                f"no C compiler: none of {', '.join(_CANDIDATES)} is on the PATH and CC is not set"
            )
        named = found
    try:
        words = tuple(shlex.split(named))
    except ValueError as error:
        raise CompilerMissing(f"no C compiler: cannot read the command {named!r}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise CompilerMissing(f"no C compiler: {named!r} is not on the PATH")
    answer = _run((*words, "--version"), Path.cwd())
    lines = answer.stdout.splitlines()
    if answer.returncode != 0 or not lines:
        raise CompilerMissing(f"no C compiler: {named!r} does not answer --version")
    return Compiler(words, lines[0])


def c_sources() -> Path:
    """Return the directory of the shipped C implementation and of ringproof_driver.h."""
    return Path(str(files("ringproof.impl.c")))


def build_driver(
    source_dir: Path,
    output: Path | None = None,
    *,
    include: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    sanitize: Sequence[str] = (),
    extra_flags: Sequence[str] = (),
    compile_flags: Sequence[str] = (),
    compiler: Compiler | None = None,
) -> Path:
    """Build all ``*.c`` directly in ``source_dir`` into one shared library; as build_library.

    The directory itself and the one of ringproof_driver.h are searched for headers, in this order. Raises
    BuildFailed also when the directory is missing or holds no C source.
    """
    if not source_dir.is_dir():
        raise BuildFailed(f"{source_dir}: no such directory")
    sources = sorted(source_dir.glob("*.c"))
    if not sources:
        raise BuildFailed(f"{source_dir}: no C source in this directory")
    return build_library(
        sources,
        output,
        include=(source_dir, *include, c_sources()),
        defines=defines,
        sanitize=sanitize,
        extra_flags=extra_flags,
        compile_flags=compile_flags,
        compiler=compiler,
    )


def build_library(
    sources: Sequence[Path],
    output: Path | None = None,
    *,
    include: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    sanitize: Sequence[str] = (),
    extra_flags: Sequence[str] = (),
    compile_flags: Sequence[str] = (),
    compiler: Compiler | None = None,
) -> Path:
    """Build a shared library from C sources and return where it is: ``output``, or a place in the cache.

    ``defines`` maps macro names to values ("" defines it as 1); ``sanitize`` names sanitizers such as
    ``address``. ``compile_flags`` are kept from the linker, so that what they instrument is linked without
    the runtime that goes with it. Diagnostics and debug information name sources relative to their common
    directory. Raises CompilerMissing, BuildFailed.
    """
    flags = ["-fPIC", "-fvisibility=default", *_flags(include, defines, sanitize, extra_flags)]
    return _build(sources, flags, output, ".so", compiler or find_compiler(), ["-shared"], compile_flags)


def build_program(
    sources: Sequence[Path],
    output: Path | None = None,
    *,
    include: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    sanitize: Sequence[str] = (),
    extra_flags: Sequence[str] = (),
    compiler: Compiler | None = None,
) -> Path:
    """Build an executable; arguments, result and errors as for build_library."""
    flags = _flags(include, defines, sanitize, extra_flags)
    return _build(sources, flags, output, "", compiler or find_compiler())


def _flags(
    include: Sequence[Path],
    defines: Mapping[str, str] | None,
    sanitize: Sequence[str],
    extra_flags: Sequence[str],
) -> list[str]:
    flags = [f"-I{directory.resolve()}" for directory in include]
    flags += [f"-D{name}={value}" if value else f"-D{name}" for name, value in (defines or {}).items()]
    if sanitize:
        flags += [f"-fsanitize={','.join(sanitize)}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    return [*flags, *extra_flags]


def _build(
    sources: Sequence[Path],
    flags: Sequence[str],
    output: Path | None,
    suffix: str,
    compiler: Compiler,
    link_flags: Sequence[str] = (),
    compile_flags: Sequence[str] = (),
) -> Path:
    if not sources:
        raise BuildFailed("nothing to build: no source was given")
    for source in sources:
        if not source.is_file():
            raise BuildFailed(f"{source}: no such file")
    resolved = [source.resolve() for source in sources]
    # Run where the sources are and name them relatively, so that the same sources elsewhere (a patched copy
    # in a temporary directory) give the same build.
    home = Path(os.path.commonpath([source.parent for source in resolved]))
    names = [str(source.relative_to(home)) for source in resolved]
    names = [f"./{name}" if name.startswith("-") else name for name in names]
    relative = [_relative(flag, home) for flag in flags]
    # Sources come first, so that libraries among the flags serve them.
    common = (*_STANDARD_FLAGS, *relative, "-g", f"-ffile-prefix-map={home}=.")
    command = (*compiler.command, *names, *_STANDARD_FLAGS, *link_flags, *relative)

    key = hashlib.sha256()
    for part in (compiler.version, *command, "", *compile_flags):
        key.update(part.encode() + b"\0")
    # Without -g, which would put the directory's name into what gcc writes; and without warnings (-w), as
    # clang has some for flags that mean nothing here.
    read = _checked((*command, *compile_flags, "-E", "-w"), home)
    key.update(read.stdout.encode(errors="surrogateescape"))
    kept = cache_directory() / f"{resolved[0].stem}-{key.hexdigest()[:32]}{suffix}"
    if not kept.is_file():
        with _whole(kept) as fresh, tempfile.TemporaryDirectory(prefix="ringproof-") as objects:
            if compile_flags:
                made = [str(Path(objects) / f"{at}.o") for at in range(len(names))]
                for name, target in zip(names, made, strict=True):
                    _checked((*compiler.command, "-c", name, *common, *compile_flags, "-o", target), home)
                names = made
            _checked((*compiler.command, *names, *link_flags, *common, "-o", str(fresh)), home)
    if output is None:
        return kept
    with _whole(output) as fresh:
        shutil.copy(kept, fresh)
    return output


def _relative(flag: str, home: Path) -> str:
    """Name an include directory at or below ``home`` relative to it."""
    if flag.startswith("-I") and Path(flag[2:]).is_relative_to(home):
        return f"-I{Path(flag[2:]).relative_to(home)}"
    return flag


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target`` to write to; it becomes ``target`` at the end, or vanishes."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise BuildFailed(f"{target}: cannot be written: {error.strerror}") from None
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o755)
        part.replace(target)
    except OSError as error:
        raise BuildFailed(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def cache_directory() -> Path:
    """Return the directory builds are kept in: $XDG_CACHE_HOME/ringproof, else one for this process's life.

    Created when missing; ~/.cache stands for an unset $XDG_CACHE_HOME.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    directory = (Path(home) if Path(home).is_absolute() else Path("~/.cache").expanduser()) / "ringproof"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError:
        return Path(_process_directory().name)


@cache
def _process_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ringproof-")


def _checked(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    done = _run(command, cwd)
    if done.returncode != 0:
        said = done.stderr.encode(errors="surrogateescape").decode(errors="replace")
        raise BuildFailed(_first_error(said, done.returncode), said)
    return done


def _run(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",  # sources need not be UTF-8, and each byte counts
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"{command[0]} did not finish within {_TIMEOUT:.0f} s") from None
    except OSError as error:
        raise CompilerMissing(f"{command[0]} cannot be run: {error.strerror}") from None


def _first_error(said: str, status: int) -> str:
    """Return one line: the first located error, else the first line that speaks of one, else any."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for line in lines:
        match = _LOCATED_ERROR.match(line)
        if match:
            return f"{match['where']}: {match['what']}"
    for line in lines:
        if "error" in line or "undefined" in line or "multiple definition" in line:
            return line
    return lines[0] if lines else f"the compiler failed with status {status} and said nothing"
