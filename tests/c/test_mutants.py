"""The seeded defects of the C implementation: each patch applies, compiles, and breaks what it says."""

from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.patching import PatchError, UnknownMutant, mutant_ids, mutated_driver, patched_copy
from ringproof.proofs.mutants.catalog import CATALOG
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG

from .programs import NOT_RUN, PROFILES, WARNINGS, loading_program, run, warned

# A case of the C program that fails for each mutant.
KILLED_BY = {
    "A1": "no_room",
    "A2": "free_list",
    "A5": "direct",
    "A6": "free_list",
    "A7": "direct",
    "A13": "direct",
    "B1": "switches",
    "B3": "rearm",
    "B5": "long_run",
    "B6": "long_run",
    "B10": "long_run",
    "B11": "forced_kick",
    "B13": "direct",
    "D1": "kick_by_event",
    "D3": "rearm",
    "D14": "no_room",
    "X1": "kick_by_event",
    "X2": "broken",
    "X3": "free_list",
    "X4": "direct",
    "X5": "free_list",
    "X6": "direct",
    "X7": "direct",
    "X8": "bad_arguments",
    "X9": "kick_by_event",
    "X10": "free_list",
}
PATCHES = mutant_ids(c_sources())
IDS = [mutant_id for mutant_id in PATCHES if mutant_id in CATALOG]


def test_every_mutant_of_the_catalogs_has_a_patch() -> None:
    """The catalogs' ids and the patches beside the C sources are the same; those of the queue have cases."""
    assert sorted(PATCHES) == sorted([*CATALOG, *FRAME_CATALOG])
    assert sorted(IDS) == sorted(KILLED_BY)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mutant_id", IDS)
def test_patch_applies_and_breaks_its_case(mutant_id: str, profile: str, tmp_path: Path) -> None:
    """Each patch applies exactly and compiles without warnings, and its case fails or never ends."""
    patch = c_sources() / "mutants" / f"{mutant_id}.patch"
    copy = patched_copy(c_sources(), patch, tmp_path / "c")
    assert warned(copy, PROFILES[profile]) == ""
    library = mutated_driver(mutant_id, linux_3_11=profile == "linux-3.11")  # which other tests build, too
    done = run(loading_program(), KILLED_BY[mutant_id], timeout=20, driver=library)
    assert done.returncode not in (0, NOT_RUN)


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_driver_passes_those_cases(profile: str) -> None:
    """The cases that kill mutants hold for the driver as shipped, loaded in the same way."""
    library = build_driver(c_sources(), defines=PROFILES[profile], extra_flags=WARNINGS)
    for case in sorted(set(KILLED_BY.values())):
        done = run(loading_program(), case, driver=library)
        assert done.returncode == 0, done.stdout


def test_mutated_driver_is_built_once_per_profile() -> None:
    """The library of a mutant comes from the cache the second time, though it is patched in a new place."""
    first = mutated_driver("A1")
    inode = first.stat().st_ino
    assert mutated_driver("A1") == first
    assert first.stat().st_ino == inode
    assert mutated_driver("A1", linux_3_11=True) != first
    assert mutated_driver("A2") != first


def test_unknown_mutant_is_named() -> None:
    """An id without a patch is an error that carries the ids there are."""
    with pytest.raises(UnknownMutant, match="no mutant 'A99'") as caught:
        mutated_driver("A99")
    assert caught.value.known == tuple(PATCHES)


@pytest.mark.parametrize("mutant_id", PATCHES)
def test_a_patch_no_longer_applies_once_its_lines_change(mutant_id: str, tmp_path: Path) -> None:
    """A patch whose lines moved or changed in the source is refused, and no copy is left."""
    source = tmp_path / "source"
    source.mkdir()
    for path in c_sources().glob("*.[ch]"):
        (source / path.name).write_text("\n" + path.read_text())
    patch = c_sources() / "mutants" / f"{mutant_id}.patch"
    with pytest.raises(PatchError, match=rf"{mutant_id}\.patch.*hunk 1 does not apply"):
        patched_copy(source, patch, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
