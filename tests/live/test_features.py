"""The C judge of features: what goes with what, what means nothing, what should have been accepted."""

import re

import pytest

from .judging import CSUM, HDRLEN, MTU, SOURCES, TSO4, TSO6, VERSION_1, judge_features

GUEST_CSUM, ANY_LAYOUT = 1 << 1, 1 << 27
NEEDED = {
    7: GUEST_CSUM, 8: GUEST_CSUM, 9: 1 << 7 | 1 << 8, 10: GUEST_CSUM, 54: GUEST_CSUM, 55: GUEST_CSUM,
    11: CSUM, 12: CSUM, 13: TSO4 | TSO6, 14: CSUM, 56: CSUM,
    61: TSO4 | TSO6,
}  # fmt: skip
EVERYTHING = (1 << 64) - 1


@pytest.mark.parametrize("bit", range(64))
def test_a_feature_needs_what_5_1_3_1_says(bit: int) -> None:
    """Alone it fails, with any one of what it needs it doesn't; others need nothing."""
    log = judge_features(EVERYTHING, 1 << bit)
    tally = log["FEATURE_REQUIRES"]
    if bit not in NEEDED:
        assert tally.checked == 0
        return
    assert (tally.checked, tally.failed, tally.a, tally.b) == (1, 1, bit, NEEDED[bit])
    for other in range(64):
        if NEEDED[bit] >> other & 1:
            with_it = judge_features(EVERYTHING, 1 << bit | 1 << other)["FEATURE_REQUIRES"]
            assert (with_it.failed, with_it.a) == ((0, 0) if other not in NEEDED else (1, other))


def test_the_lowest_bit_is_told() -> None:
    """Each bit without what it needs counts; the first is named."""
    tally = judge_features(EVERYTHING, 1 << 54 | 1 << 12 | 1 << 7)["FEATURE_REQUIRES"]
    assert (tally.checked, tally.failed, tally.a, tally.b) == (3, 3, 7, GUEST_CSUM)


@pytest.mark.parametrize("bit", range(64))
def test_bits_without_a_meaning_are_found(bit: int) -> None:
    """Those of VIRTIO 1.3 5.1.3 and 6 pass; the protocol's two are nobody's business."""
    log = judge_features(EVERYTHING, 1 << bit)
    meaningless = bit in {4, 25, 31, *range(42, 50), 58}
    assert log["FEATURE_UNDEFINED"].failed == meaningless
    assert log["FEATURE_UNDEFINED"].a == (1 << bit if meaningless else 0)


def test_what_should_be_accepted_is_missed() -> None:
    """ANY_LAYOUT only from legacy drivers, and only if offered; MTU and GUEST_HDRLEN are never missed."""
    assert judge_features(ANY_LAYOUT, 0).failed() == {"ANY_LAYOUT"}
    for name, bit in {"ANY_LAYOUT": ANY_LAYOUT, "MTU_FEATURE": MTU, "HDRLEN_FEATURE": HDRLEN}.items():
        assert judge_features(bit, bit).failed() == set()
        assert judge_features(bit, bit)[name].checked == 1
        assert judge_features(0, 0)[name].checked == 0
        assert name == "ANY_LAYOUT" or judge_features(bit, 0)[name].checked == 0
    assert judge_features(ANY_LAYOUT | VERSION_1, VERSION_1)["ANY_LAYOUT"].checked == 0
    assert judge_features(VERSION_1, VERSION_1)["VERSION_1"].checked == 1
    assert judge_features(VERSION_1, 0)["VERSION_1"].checked == 0


def test_the_protocols_bits_are_left_out() -> None:
    """Bits 26 and 30, accepted without having been offered, are no finding and are in no number."""
    log = judge_features(CSUM | 1 << 30, 1 << 26 | 1 << 30 | 1 << 3)
    assert (log["FEATURE_UNOFFERED"].a, log["FEATURE_UNOFFERED"].b) == (1 << 3, CSUM)
    assert judge_features(0, 1 << 26 | 1 << 30).failed() == set()


def test_the_header_and_the_requirements_agree() -> None:
    """Bits named in frame.h are those that this test writes as numbers."""
    named = dict(re.findall(r"#define RPL_(\w+) RPL_F\((\d+)\)", (SOURCES / "frame.h").read_text()))
    assert [int(named[name]) for name in ("NET_GUEST_CSUM", "RING_ANY_LAYOUT")] == [1, 27]
