"""Defects seeded into the C virtqueue are found by the live device, by what `defects.py` says of each."""

import pytest

from ringproof.building import c_sources
from ringproof.patching import mutant_ids
from tests.live.defects import DEFECTS, QUICK, UNSEEN, found
from tests.live.meeting import names


def _of_the_virtqueue() -> set[str]:
    patches = c_sources() / "mutants"
    return {
        mutant
        for mutant in mutant_ids(c_sources())
        if "+++ b/virtqueue.c" in (patches / f"{mutant}.patch").read_text()
    }


def test_each_mutant_of_the_virtqueue_is_spoken_for() -> None:
    """The table and the list of those that do not show cover all there are, each once."""
    assert _of_the_virtqueue() == set(DEFECTS) | set(UNSEEN)
    assert not set(DEFECTS) & set(UNSEEN)
    assert set(QUICK) <= set(DEFECTS)


@pytest.mark.parametrize("mutant", QUICK)
def test_a_defect_is_found_live(mutant: str) -> None:
    """The driver with the defect fails a check that the driver as shipped passes, or stalls."""
    meeting = found(mutant)
    assert DEFECTS[mutant].shows(meeting), (meeting.result.outcome, meeting.words, names(meeting.failed))


@pytest.mark.parametrize("mutant", ["A6", "X5"])
def test_a_defect_is_found_in_the_older_profile(mutant: str) -> None:
    """The same holds for the profile that behaves as Linux 3.11."""
    meeting = found(mutant, linux_3_11=True)
    assert DEFECTS[mutant].shows(meeting), (meeting.result.outcome, meeting.words, names(meeting.failed))
