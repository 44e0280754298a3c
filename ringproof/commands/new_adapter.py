"""``ringproof new-adapter``: a working adapter to start from, in a directory of its own."""

import contextlib
import os
import re
import shutil
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from ..building import c_sources
from ..errors import BadInputError

LANGUAGES = ("c", "cpp", "rust", "zig")
"""What there are skeletons for: each a folder of ``ringproof/adapters``."""

_HEADER = "ringproof_driver.h"
_MARK = "@NAME@"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def new_skeleton(language: str, name: str, where: Path) -> Path:
    """Write the skeleton of an adapter to the directory ``where/name``, and return that directory.

    It comes whole or not at all: it is written under another name beside that place, then renamed. The
    header of the driver ABI is copied into it, so that it needs nothing else. Raises BadInputError for a name
    that is none, if there is something of that name, and if nothing can be written there.
    """
    if not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r} is no name for an adapter: a letter, then up to 63 letters, digits, - and _"
        )
    target = where / name
    if os.path.lexists(target):
        raise BadInputError(f"{target}: exists already, and is left as it is")
    if not where.is_dir():
        raise BadInputError(f"{where}: no such directory")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=where, ignore_cleanup_errors=True) as place:
            fresh = Path(place) / name
            _write(files("ringproof") / "adapters" / language, fresh, name)
            shutil.copyfile(c_sources() / _HEADER, fresh / _HEADER)
            # Linux would put a directory in the place of an empty one: whoever made that meanwhile keeps it.
            target.mkdir()
            try:
                fresh.replace(target)
            except OSError:
                with contextlib.suppress(OSError):
                    target.rmdir()
                raise
    except FileExistsError:
        raise BadInputError(f"{target}: exists already, and is left as it is") from None
    except OSError as error:
        raise BadInputError(f"{target}: cannot be written: {error.strerror or error}") from None
    return target


def _write(template: Traversable, place: Path, name: str) -> None:
    """Write a folder of templates, with the name put in wherever it is marked."""
    place.mkdir()
    for entry in template.iterdir():
        if entry.is_dir():
            _write(entry, place / entry.name, name)
        else:
            text = entry.read_text(encoding="utf-8").replace(_MARK, name)
            (place / entry.name).write_text(text, encoding="utf-8")


@click.command("new-adapter")
@click.argument("name")
@click.option("--lang", "language", type=click.Choice(LANGUAGES), default="c", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="The directory in which the new one is made (default: here).",
)
def new_adapter(name: str, language: str, output: Path) -> int:
    """Write a working adapter to start from: a directory NAME with sources, Makefile and header.

    It drives a tiny queue of its own and passes ``ringproof validate`` as it is. Put your driver in place of
    the pieces marked TODO.
    """
    made = new_skeleton(language, name, output)
    click.echo(f"{made}: builds as it is; now put your driver where it says TODO")
    click.echo(f"  make -C {made} && ringproof validate {made}/lib{name}.so")
    return 0
