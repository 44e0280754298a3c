"""What memory holds at a moment: it tells the moment, and would not if a field were left out."""

from typing import Any

import pytest

from ringproof.proofs.refinement import c_virtqueue
from ringproof.proofs.refinement.c_contents import contents
from ringproof.proofs.refinement.c_virtqueue import mask_is_slot, nothing_is_lost


@pytest.mark.parametrize("size", [None, 1, 2])
def test_no_two_moments_have_the_same_memory(size: int | None) -> None:
    """What the driver keeps and writes can be read from memory, at every queue size and at small ones."""
    assert nothing_is_lost(size).verdict == "proved"


@pytest.mark.parametrize("lost", [("vq", "num_free"), ("desc", "flags"), ("avail", "ring")])
def test_a_field_left_out_is_missed(lost: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one of the fields two moments differ that memory doesn't tell apart."""

    def fewer(*arguments: Any) -> Any:
        return {at: content for at, content in contents(*arguments).items() if at != lost}

    monkeypatch.setattr(c_virtqueue, "contents", fewer)
    assert nothing_is_lost(2).verdict == "refuted"


def test_masking_is_taking_the_remainder() -> None:
    """Of all sixteen sizes, for every index of 16 bits."""
    assert mask_is_slot().verdict == "proved"
