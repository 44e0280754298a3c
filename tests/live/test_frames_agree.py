"""The judges of frames and features in C and in Python, written apart, hold the same of all that is drawn."""

import ctypes
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ringproof.live.frame_monitor import FrameMonitor, header_bytes
from ringproof.live.negotiated import judge_features
from ringproof.live.packet import word_sum
from ringproof.live.records import Frame
from ringproof.live.tallies import Check, Log, Tally
from tests.live import judging
from tests.live.frames_drawn import sent

OFFLOADS = (0, 3, 11, 12, 13, 14, 15, 32, 56, 57, 59)
masks = st.sets(st.sampled_from(OFFLOADS)).map(lambda bits: sum(1 << bit for bit in bits))
any_bits = st.integers(0, (1 << 64) - 1)
NAMED = sum(1 << bit for bit in (*range(24), 24, 26, 27, 28, 29, 30, *range(32, 42), *range(50, 64)))


def as_told(log: judging.Log) -> dict[Check, Tally]:
    """The tallies of the C side, of all codes."""
    return {
        code: Tally(raw.checked, raw.failed, raw.record, raw.a, raw.b)
        for code in Check
        for raw in [log.tallies[code]]
    }


def differing(ours: dict[Check, Tally], theirs: dict[Check, Tally]) -> dict[str, tuple[Tally, Tally]]:
    """What is not the same: Python's, then C's."""
    return {code.name: (ours[code], theirs[code]) for code in Check if ours[code] != theirs[code]}


def judge_both(chains: Sequence[bytes], features: int, mtu: int, whole: bool, keep: int) -> set[Check]:
    """Lets both judge all of these, and compares; the checks that failed."""
    ours, theirs = Log(), judging.Log()
    monitor = FrameMonitor(ours, features, mtu)
    kept = header_bytes(features) + keep
    assert judging.library().rpl_header_bytes(features) == header_bytes(features)
    for number, data in enumerate(chains, 1):
        ours.records = theirs.records = number
        prefix, rest = data[:kept], data[kept:]
        monitor.judge(Frame(len(data), prefix, word_sum(rest), whole))
        raw = judging.Frame(prefix, len(prefix), len(data), word_sum(rest), whole)
        judging.library().rpl_frame_judge(ctypes.byref(theirs), features, mtu, ctypes.byref(raw))
    assert not differing(ours.tallies, as_told(theirs))
    return {code for code, tally in ours.tallies.items() if tally.failed}


@given(st.integers(0, 1 << 32), masks, st.sampled_from((68, 150, 1500)), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_frames_are_judged_alike(seed: int, features: int, mtu: int, cut: int) -> None:
    """Frames that are nearly right come to the same tallies in C and in Python."""
    rng = random.Random(seed)
    chains = [sent(features, rng) for _ in range(30)]
    judge_both(chains, features, mtu, cut != 1, 128 if cut < 30 else 2 * (cut - 10))


@given(st.lists(st.binary(max_size=200), max_size=10), any_bits, st.integers(0, 65535), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_judged_alike(chains: list[bytes], features: int, mtu: int, whole: bool) -> None:
    """Bytes that are no frame at all come to the same tallies, too."""
    judge_both(chains, features, mtu, whole, 128)


def test_the_frames_drawn_fail_every_check() -> None:
    """What is drawn above is not all alike: each check of frames fails on some of it."""
    rng = random.Random(1)
    failed: set[Check] = set()
    for _ in range(150):
        features = sum(1 << bit for bit in OFFLOADS if rng.random() < 0.5)
        failed |= judge_both([sent(features, rng) for _ in range(20)], features, 150, True, 128)
        if not features & 8:
            failed |= judge_both([sent(features, rng) + bytes(1500)], features, 150, True, 128)
    assert failed == {code for code in Check if 50 <= code <= 74} - {Check.TX_WRITABLE, Check.HEADER_APART}


@given(any_bits, any_bits, st.booleans())
@settings(max_examples=400, deadline=None)
def test_features_are_judged_alike(offered: int, accepted: int, named: bool) -> None:
    """Whatever is offered and accepted comes to the same tallies in C and in Python."""
    if named:
        offered, accepted = offered & NAMED, accepted & offered & NAMED
    ours, theirs = Log(), judging.judge_features(offered, accepted)
    judge_features(ours, offered, accepted)
    assert not differing(ours.tallies, as_told(theirs))


def test_each_feature_bit_is_judged_alike() -> None:
    """One bit alone, offered or not, comes to the same tallies: both know the same bits."""
    for bit in range(64):
        for offered in (0, 1 << bit, (1 << 64) - 1):
            ours, theirs = Log(), judging.judge_features(offered, 1 << bit)
            judge_features(ours, offered, 1 << bit)
            assert not differing(ours.tallies, as_told(theirs)), bit
