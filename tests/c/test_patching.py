"""Patches are applied exactly or refused with one line that names patch and hunk."""

import importlib
import pickle
import sys
from pathlib import Path

import pytest

from ringproof.patching import (
    PatchError,
    UnknownMutant,
    load_reference_mutant,
    mutant_ids,
    patched_copy,
    reference_sources,
)

TEXT = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
GOOD = """\
What it is for.
diff --git a/ring.c b/ring.c
--- a/ring.c
+++ b/ring.c
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
@@ -8,3 +8,4 @@
 eight
 nine
+nine and a half
 ten
--- a/sub/other.c
+++ b/sub/other.c
@@ -1,2 +1 @@
-one
 two
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write a directory of two files, with mutants beside them that no copy takes along."""
    directory = tmp_path / "source"
    (directory / "sub").mkdir(parents=True)
    (directory / "mutants").mkdir()
    (directory / "ring.c").write_text(TEXT)
    (directory / "sub" / "other.c").write_text("one\ntwo")
    return directory


def apply(source: Path, text: str) -> Path:
    """Apply a patch of this text to a copy of ``source``."""
    patch = source.parent / "Z1.patch"
    patch.write_text(text)
    return patched_copy(source, patch, source.parent / "copy")


def test_patch_of_several_hunks_and_files(source: Path) -> None:
    """All hunks of all files are applied to the copy; the original and the line ends stay as they are."""
    copy = apply(source, GOOD.replace("@@ -1,2 +1 @@", "@@ -1,2 +1,1 @@"))
    changed = TEXT.replace("two", "TWO").replace("nine\n", "nine\nnine and a half\n")
    assert (copy / "ring.c").read_text() == changed
    assert (copy / "sub" / "other.c").read_text() == "two"
    assert (source / "ring.c").read_text() == TEXT
    assert not (copy / "mutants").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a unified diff"),
        ("hello\n", "not a unified diff"),
        (GOOD.replace("-two", "-zwei"), "hunk 1 does not apply"),
        (GOOD.replace(" eight", " acht"), "hunk 2 does not apply"),
        (GOOD.replace("@@ -8,3 +8,4 @@", "@@ -7,3 +7,4 @@"), "hunk 2 does not apply"),
        (GOOD.replace("@@ -8,3 +8,4 @@", "@@ -8,3 +9,4 @@"), "does not apply"),
        (GOOD.replace("@@ -8,3 +8,4 @@", "@@ -8,4 +8,5 @@"), "hunk 2 is not as long as it says"),
        (GOOD.replace(" ten\n", ""), "hunk 2 is not as long as it says"),
        (GOOD.replace("@@ -8,3 +8,4 @@", "@@ -80,3 +80,4 @@"), "hunk 2 does not apply"),
        (GOOD.replace("/ring.c", "/none.c"), "none.c, which is not in"),
        (GOOD.replace("/ring.c", "/../ring.c"), "not below the directory"),
        (GOOD.replace("+++ b/ring.c", "+++ b/ringer.c"), "renames"),
    ],
)
def test_bad_patch_is_refused(source: Path, text: str, message: str) -> None:
    """A patch that is none, is short, does not match or reaches outside is refused; no copy remains."""
    with pytest.raises(PatchError, match=message) as caught:
        apply(source, text)
    assert "Z1.patch" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (source.parent / "copy").exists()


def test_missing_patch_and_taken_destination(source: Path, tmp_path: Path) -> None:
    """A patch that is not there and a destination that is are both refused, the latter left untouched."""
    with pytest.raises(PatchError, match="cannot be read"):
        patched_copy(source, tmp_path / "none.patch", tmp_path / "copy")
    taken = tmp_path / "copy"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    with pytest.raises(PatchError, match="cannot copy"):
        apply(source, GOOD)
    assert (taken / "mine").read_text() == "mine"


def test_unknown_mutant_survives_pickling() -> None:
    """The error can come from a worker process."""
    error = pickle.loads(pickle.dumps(UnknownMutant("A99", ["A1"])))
    assert (error.mutant_id, error.known) == ("A99", ("A1",))


@pytest.mark.parametrize("mutant_id", mutant_ids(reference_sources()))
def test_reference_mutant_is_a_package_of_its_own(mutant_id: str) -> None:
    """Each reference patch applies; the package shares no module with the reference, and differs from it."""
    package = load_reference_mutant(mutant_id)
    assert package.__name__ == f"ringproof_mutant_{mutant_id}"
    assert load_reference_mutant(mutant_id) is package
    shipped = importlib.import_module("ringproof.impl.reference.virtqueue")
    mutated = importlib.import_module(f"{package.__name__}.virtqueue")
    assert mutated is not shipped
    directory = Path(str(mutated.__file__)).parent
    names = sorted(path.name for path in reference_sources().glob("*.py"))
    assert any((directory / name).read_text() != (reference_sources() / name).read_text() for name in names)
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package.__name__}."):
            assert Path(str(module.__file__)).parent == directory


def test_unknown_reference_mutant() -> None:
    """An id the reference has no patch for is named."""
    with pytest.raises(UnknownMutant, match="'Q7'"):
        load_reference_mutant("Q7")
