"""Seeding defects: a patch applied to a copy of a directory, and what is built or imported from the copy.

The shipped sources stay free of defects; each mutant's patch lies beside them in ``mutants/ID.patch``.
"""

import importlib.util
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from types import ModuleType

import whatthepatch
from whatthepatch.exceptions import HunkException, WhatThePatchException

from .building import Compiler, build_driver, c_sources
from .errors import BadInputError

_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", re.MULTILINE)
_PREAMBLE = re.compile(r"^(?:diff|index) .*\n", re.MULTILINE)
_FILE = re.compile(r"^(?=--- .*\n\+\+\+ )", re.MULTILINE)
_LEFT_OUT = shutil.ignore_patterns("mutants", "__pycache__")


class PatchError(BadInputError):
    """A patch does not apply exactly; the message is one line and names patch and hunk."""


class UnknownMutant(PatchError, LookupError):  # noqa: N818 - the name says it
    """There is no patch of this id; ``mutant_id`` is the id, ``known`` those there are."""

    def __init__(self, mutant_id: str, known: Sequence[str]) -> None:
        super().__init__(mutant_id, known)
        self.mutant_id = mutant_id
        self.known = tuple(known)

    def __str__(self) -> str:
        return f"there is no mutant {self.mutant_id!r}"


def mutant_ids(directory: Path) -> list[str]:
    """Return the ids of the patches beside the sources in ``directory``, sorted by letter and number."""
    ids = [patch.stem for patch in (directory / "mutants").glob("*.patch")]
    return sorted(ids, key=lambda name: (name[0], len(name), name))


def patched_copy(source: Path, patch: Path, destination: Path) -> Path:
    """Copy ``source`` to ``destination``, which must not exist yet, with ``patch`` applied; return it.

    The patch is a unified diff of files below ``source`` with ``a/`` and ``b/`` before their names. It must
    apply exactly: every line of context where it says, every hunk as long as it says. Raises PatchError;
    then no copy is left behind.
    """
    diffs = _parsed(patch)
    try:
        shutil.copytree(source, destination, ignore=_LEFT_OUT)
    except (OSError, shutil.Error) as error:
        raise PatchError(f"{destination}: cannot copy {source} here: {error}") from None
    try:
        for diff in diffs:
            target = destination / _target(patch, diff)
            if not target.is_file():
                raise PatchError(f"{patch}: patches {target.name}, which is not in {source}")
            target.write_text(_applied(patch, diff, target.read_text()))
    except BaseException:
        shutil.rmtree(destination, ignore_errors=True)
        raise
    return destination


def _parsed(patch: Path) -> list[whatthepatch.patch.diffobj]:
    """Return one diff per file; the library takes several files for one unless each is handed to it alone."""
    try:
        parts = _FILE.split(_PREAMBLE.sub("", patch.read_text()))[1:]
        diffs = [diff for part in parts for diff in whatthepatch.parse_patch(part)]
    except (OSError, UnicodeDecodeError, WhatThePatchException) as error:
        raise PatchError(f"{patch}: cannot be read as a patch: {error}") from None
    if not diffs or any(diff.header is None or not diff.changes for diff in diffs):
        raise PatchError(f"{patch}: not a unified diff")
    return diffs


def _target(patch: Path, diff: whatthepatch.patch.diffobj) -> Path:
    old, new = Path(diff.header.old_path), Path(diff.header.new_path)
    if old != new:
        raise PatchError(f"{patch}: renames {old} to {new}; only changes to a file are understood")
    if new.is_absolute() or ".." in new.parts:
        raise PatchError(f"{patch}: {new} is not below the directory")
    return new


def _applied(patch: Path, diff: whatthepatch.patch.diffobj, text: str) -> str:
    """Return ``text`` with the diff applied, strictly: the library lets short hunks and wrong places pass."""
    where = f"{patch}: {diff.header.new_path}"
    lengths = [(int(old or 1), int(new or 1)) for old, new in _HUNK.findall(diff.text)]
    counted = {
        number: (
            sum(change.old is not None for change in lines),
            sum(change.new is not None for change in lines),
        )
        for number, group in groupby(diff.changes, key=lambda change: change.hunk)
        for lines in [list(group)]
    }
    for number, length in enumerate(lengths, start=1):
        if counted.get(number) != length:
            raise PatchError(f"{where}: hunk {number} is not as long as it says")
    lines = text.splitlines()
    try:
        changed = whatthepatch.apply_diff(diff, lines)
        restored = whatthepatch.apply_diff(diff, changed, reverse=True)
    except HunkException as error:
        hunk = f"hunk {error.hunk}" if error.hunk is not None else "a hunk"
        reason = str(error).rpartition(", in hunk")[0] or str(error)
        raise PatchError(f"{where}: {hunk} does not apply: {reason}") from None
    if restored != lines or changed == lines:
        raise PatchError(f"{where}: a hunk does not apply where it says")
    return "\n".join(changed) + ("\n" if text.endswith("\n") else "")


def _patch_of(mutant_id: str, directory: Path) -> Path:
    known = mutant_ids(directory)
    if mutant_id not in known:
        raise UnknownMutant(mutant_id, known)
    return directory / "mutants" / f"{mutant_id}.patch"


def mutated_driver(
    mutant_id: str,
    output: Path | None = None,
    *,
    linux_3_11: bool = False,
    sanitize: Sequence[str] = (),
    compiler: Compiler | None = None,
) -> Path:
    """Build the shipped C driver with a defect and return the library: ``output``, or a place in the cache.

    The profile is virtio-1.x unless ``linux_3_11``. Raises UnknownMutant, PatchError, BuildError.
    """
    source = c_sources()
    patch = _patch_of(mutant_id, source)
    with tempfile.TemporaryDirectory(prefix="ringproof-") as directory:
        copy = patched_copy(source, patch, Path(directory) / "c")
        return build_driver(
            copy,
            output,
            defines={"RP_ADAPTER_LINUX_3_11": ""} if linux_3_11 else None,
            sanitize=sanitize,
            compiler=compiler,
        )


def reference_sources() -> Path:
    """Return the directory of the Python reference."""
    return Path(str(files("ringproof.impl.reference")))


def load_reference_mutant(mutant_id: str) -> ModuleType:
    """Import the Python reference with a defect, as a package of its own: ``ringproof_mutant_ID``.

    Its modules are found below it (``ringproof_mutant_A1.virtqueue``); ringproof.impl.reference itself is
    neither changed nor shared. The same id gives the same package. Raises UnknownMutant, PatchError.
    """
    source = reference_sources()
    patch = _patch_of(mutant_id, source)
    name = f"ringproof_mutant_{mutant_id}"
    if name in sys.modules:
        return sys.modules[name]
    # Kept until the process ends: modules of the package may be imported later.
    copy = patched_copy(source, patch, Path(_process_directory().name) / name)
    spec = importlib.util.spec_from_file_location(
        name, copy / "__init__.py", submodule_search_locations=[str(copy)]
    )
    if spec is None or spec.loader is None:
        raise PatchError(f"{patch}: the copy in {copy} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
            del sys.modules[module]
        shutil.rmtree(copy, ignore_errors=True)
        raise
    return package


@cache
def _process_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ringproof-")
