"""What a recipe needs and does not find: programs and files, and how they come onto the machine."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import BadInputError


class Missing(BadInputError):  # noqa: N818 - the name says it
    """Something a recipe needs is not installed; one line says what, and the command that installs it."""


_ELSEWHERE = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")


def program(name: str) -> Path | None:
    """Where a program is: on the PATH if there is one set, else where programs usually are."""
    where = os.environ.get("PATH")
    found = shutil.which(name, path=where if where is not None else os.pathsep.join(_ELSEWHERE))
    return Path(found) if found is not None else None


def first_file(candidates: Iterable[str | Path]) -> Path | None:
    """The first of these files that is there and may be read."""
    return next(
        (Path(path) for path in candidates if os.access(path, os.R_OK) and Path(path).is_file()), None
    )


def installation(packages: Sequence[str]) -> str:
    """The command that installs packages of Debian or Ubuntu."""
    return f"apt-get install --no-install-recommends {' '.join(packages)}"


def missing(recipe: str, absent: Sequence[str], remedy: str) -> Missing:
    """The error: ``absent`` says what is not there (with its article), ``remedy`` what helps."""
    return Missing(f"the recipe {recipe} lacks {', '.join(absent)}; to install: {remedy}")
