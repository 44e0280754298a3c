"""The pinned clang, and what it makes of a C source: LLVM IR as text."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ClangMissing, ClangVersion, CompilationFailed

PINNED = "14.0"
CANDIDATES = ("clang-14", "clang", "/usr/lib/llvm-14/bin/clang")

# The optimisation level is the shipped one. Vectors are the one thing it makes that reading would not follow;
# and loops stay loops, so that one round of the source is one round of the code.
FLAGS = (
    "-std=c11",
    "-O2",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-fno-unroll-loops",
    "-gline-tables-only",
    "-fno-discard-value-names",
)
_SECONDS = 120


@dataclass(frozen=True)
class Clang:
    """A compiler: its path, and its version as ``14.0.6``."""

    path: Path
    version: str


def _version(path: str) -> str | None:
    """A compiler's version, or none if it doesn't say it is a clang."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"clang version (\d+(?:\.\d+)*)", done.stdout)
    return found[1] if found and done.returncode == 0 else None


@functools.cache
def find_clang(candidates: tuple[str, ...] = CANDIDATES) -> Clang:
    """The first candidate, a name on the path or a path, that is the pinned clang.

    ClangMissing if there is no clang at all, ClangVersion if there are only others.
    """
    others: list[str] = []
    for candidate in candidates:
        path = shutil.which(candidate)
        version = _version(path) if path else None
        if path is None or version is None:
            continue
        if version.startswith(f"{PINNED}."):
            return Clang(Path(path), version)
        others.append(f"{path} is {version}")
    if others:
        raise ClangVersion(f"clang {PINNED} is needed to read compiled C, but {', '.join(others)}")
    raise ClangMissing(
        f"clang {PINNED} is needed to read compiled C (Debian package clang-14): none is found"
    )


def compile_ir(
    source: Path, include: Sequence[Path] = (), defines: Sequence[str] = (), extra: Sequence[str] = ()
) -> str:
    """The IR, as text, of a C source compiled by the pinned clang with ``FLAGS`` and then ``extra``.

    ``defines`` are macros as ``NAME`` or ``NAME=VALUE``. CompilationFailed with the compiler's first error.
    """
    clang = find_clang()
    command = [str(clang.path), *FLAGS, "-S", "-emit-llvm", "-o", "-"]
    command += [f"-I{directory}" for directory in include] + [f"-D{macro}" for macro in defines]
    command += [*extra, str(source)]
    environment = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={**environment, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise CompilationFailed(f"{source}: {clang.path} takes more than {_SECONDS} s") from None
    except OSError as error:
        raise ClangMissing(f"{clang.path} can't be run: {error.strerror}") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()
        raise CompilationFailed(f"{source}: {errors[0] if errors else f'clang ends with {done.returncode}'}")
    return done.stdout
