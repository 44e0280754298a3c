"""Comparing a driver's results with the reference's, byte for byte and by meaning."""

from pathlib import Path

import pytest

from ringproof.building import build_driver
from ringproof.impl.harness.operations import RESULT, Code, Op, OpFlag, Result
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.validation.comparison import ByMeaning, ByteForByte, Difference, memory_difference
from ringproof.validation.generator import Generator, packed
from ringproof.validation.pairing import Pair
from ringproof.validation.process import Process

EVENT_IDX = 1 << 29
IN_ORDER = 1 << 32 | 1 << 35
NOTIFICATION_DATA = 1 << 32 | 1 << 38
TINY = Path(__file__).parents[1] / "worker" / "drivers" / "tiny"
ROUND = [Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET)]


def _results(operations: list[Op], features: int = EVENT_IDX) -> list[Result]:
    runner = ReferenceRunner(QueueConfig(4, features, profile="virtio-1.x"))
    return [Result(*values) for values in RESULT.iter_unpack(runner.run(packed(*operations)))]


def _bytes(results: list[Result]) -> bytes:
    return b"".join(RESULT.pack(*result) for result in results)


def _by_meaning(operations: list[Op], driver: list[Result], pushes: bool = False) -> Difference | None:
    """Compares as the pair does: the reference follows, then the results are held side by side."""
    comparison = ByMeaning(has_callback=True, pushes=pushes)
    followed = comparison.reference_operations(packed(*operations), _bytes(driver))
    reference = ReferenceRunner(QueueConfig(4, EVENT_IDX, profile="virtio-1.x")).run(followed)
    difference = comparison.compare(packed(*operations), _bytes(driver), reference)
    assert not comparison.given_up
    return difference


def test_equal_results_agree() -> None:
    """A run compared with itself shows no difference."""
    results = _bytes(_results(ROUND))
    assert ByteForByte(True).compare(packed(*ROUND), results, results) is None


@pytest.mark.parametrize("field", Result._fields)
@pytest.mark.parametrize("step", range(len(ROUND)))
def test_every_field_of_every_result_counts(field: str, step: int) -> None:
    """One field changed anywhere is found, at its operation and by its name."""
    results = _results(ROUND)
    changed = list(results)
    changed[step] = results[step]._replace(**{field: getattr(results[step], field) ^ 1})
    difference = ByteForByte(True).compare(packed(*ROUND), _bytes(changed), _bytes(results))
    assert difference is not None
    assert difference.step == step
    assert field in difference.what
    assert difference.property


def test_a_driver_without_num_free_is_not_held_to_it() -> None:
    """Its unknown count agrees with any; other fields still count."""
    results = _results(ROUND)
    unknown = [result._replace(num_free=0xFFFF_FFFF) for result in results]
    assert ByteForByte(False).compare(packed(*ROUND), _bytes(unknown), _bytes(results)) is None
    assert ByteForByte(True).compare(packed(*ROUND), _bytes(unknown), _bytes(results)) is not None
    unknown[4] = unknown[4]._replace(token=9)
    assert ByteForByte(False).compare(packed(*ROUND), _bytes(unknown), _bytes(results)) is not None


@pytest.mark.parametrize(
    ("part", "at", "name"),
    [
        (0, 16 + 8, "desc[1].len"),
        (0, 32 + 15, "desc[2].next"),
        (1, 0, "avail.flags"),
        (1, 2, "avail.idx"),
        (1, 4 + 2 * 3, "avail.ring[3]"),
        (1, 4 + 2 * 4, "used_event"),
        (2, 3, "used.idx"),
        (2, 4 + 8 * 2, "used.ring[2].id"),
        (2, 4 + 8 * 2 + 4, "used.ring[2].len"),
        (2, 4 + 8 * 4, "avail_event"),
    ],
)
def test_a_byte_of_the_ring_has_a_name(part: int, at: int, name: str) -> None:
    """A difference in memory is told by what the byte belongs to."""
    same = (bytes(64), bytes(14), bytes(38))
    other = [bytearray(memory) for memory in same]
    other[part][at] = 1
    difference = memory_difference(5, 4, (bytes(other[0]), bytes(other[1]), bytes(other[2])), same)
    assert difference is not None
    assert difference.what.startswith(name)
    assert difference.step == 5
    assert memory_difference(5, 4, same, same) is None


def test_by_meaning_the_reference_means_itself() -> None:
    """The reference compared by meaning with itself shows no difference."""
    operations = [*ROUND, Op(Code.ADD), Op(Code.POLL), Op(Code.ENABLE_CB), *ROUND, Op(Code.INTERRUPT)]
    assert _by_meaning(operations, _results(operations)) is None


def test_by_meaning_more_kicks_and_a_free_list_of_its_own_are_fine() -> None:
    """Notifications beyond those owed, num_free, used_event and flags are the driver's business."""
    own = [
        result._replace(notifies=result.notifies + 1, num_free=9, used_event=77) for result in _results(ROUND)
    ]
    assert _by_meaning(ROUND, own) is None


@pytest.mark.parametrize("answer", [-28, -22])
def test_by_meaning_a_reserve_is_followed(answer: int) -> None:
    """A chain the driver refuses, now or ever, is not added to the reference either; tokens still agree."""
    operations = [Op(Code.ADD, a=3), *ROUND]
    accepted = _results([Op(Code.ADD, OpFlag.NULL_TOKEN, a=1), *ROUND])
    refused = [accepted[0]._replace(status=answer), *accepted[1:]]
    assert _by_meaning(operations, refused) is None


def test_by_meaning_publishing_at_kick_is_followed() -> None:
    """avail_idx may wait for the kick, and no longer."""
    operations = [Op(Code.ADD, a=1), Op(Code.READ), *ROUND[1:]]
    eager = _results(operations)
    late = [
        eager[0]._replace(avail_idx=0),
        eager[1]._replace(avail_idx=0, status=0, crc=0),
        eager[2],
        eager[3]._replace(status=1, crc=eager[1].crc),
        *eager[4:],
    ]
    assert _by_meaning(operations, late) is None
    never = [late[0], late[1], late[2]._replace(avail_idx=0), *late[3:]]
    difference = _by_meaning(operations, never)
    assert difference is not None
    assert (difference.step, difference.property) == (2, "indices-faithful")


@pytest.mark.parametrize(
    ("step", "change", "property"),
    [
        (2, {"crc": 1}, "chain-well-formed"),
        (4, {"token": 3}, "token-returned-once"),
        (4, {"length": 3}, "token-returned-once"),
        (4, {"status": 0, "token": 0}, "token-returned-once"),
        (3, {"used_idx": 2}, "indices-faithful"),
        (3, {"length": 0}, "callbacks-rearmed"),
        (0, {"status": -22}, "indices-faithful"),
    ],
)
def test_by_meaning_what_matters_is_found(step: int, change: dict[str, int], property: str) -> None:
    """What the device reads, tokens, lengths, indices and the first interrupt are compared."""
    results = _results(ROUND)
    changed = [*results[:step], results[step]._replace(**change), *results[step + 1 :]]
    difference = _by_meaning(ROUND, changed)
    assert difference is not None
    assert difference.step == step
    assert difference.property == property


def test_by_meaning_callbacks_may_be_armed_once() -> None:
    """Rounds use up the interrupt that enabling promised; a completion after them may be silent."""
    operations = [Op(Code.ROUNDS, a=1), Op(Code.ADD, a=1), Op(Code.READ), Op(Code.COMPLETE, c=1)]
    results = _results(operations)
    assert _by_meaning(operations, [*results[:3], results[3]._replace(length=0)]) is None


def test_by_meaning_rounds_among_waiting_tokens_blur_them() -> None:
    """A driver that pushes hands back what waited before, within a round; the round's own comes later."""
    ready = [Op(Code.ADD, a=1), Op(Code.READ), Op(Code.COMPLETE, c=1)]
    operations = [*ready, Op(Code.ROUNDS, a=1), Op(Code.GET), Op(Code.GET)]
    results = _results(operations)
    rounds, last = results[3]._replace(token=1), results[4]._replace(token=2)
    assert _by_meaning(operations, [*results[:3], rounds, last, results[5]], pushes=True) is None


def test_by_meaning_a_silent_queue_after_a_drain_is_left_to_the_device() -> None:
    """Some drivers arm in enable_cb alone, and say so; the device knows and judges."""
    operations = [*ROUND, Op(Code.GET), *ROUND]
    results = _results(operations)
    assert _by_meaning(operations, [*results[:9], results[9]._replace(length=0), *results[10:]]) is None


def test_by_meaning_callbacks_that_are_off_need_not_be_called() -> None:
    """Whether an interrupt is passed on while callbacks are off is the driver's affair."""
    operations = [*ROUND[:-1], Op(Code.DISABLE_CB), Op(Code.INTERRUPT)]
    results = _results(operations)
    assert results[-1].callbacks == 1
    assert _by_meaning(operations, [*results[:-1], results[-1]._replace(callbacks=0)]) is None


def test_by_meaning_what_cannot_be_followed_ends_the_comparison() -> None:
    """After rounds that stopped early nobody knows what the driver holds: said so, not guessed."""
    operations = [Op(Code.ROUNDS, a=3), Op(Code.GET)]
    results = _results(operations)
    comparison = ByMeaning(has_callback=True, pushes=False)
    comparison.reference_operations(packed(*operations), _bytes([results[0]._replace(status=1), results[1]]))
    assert "1 of 3 rounds" in comparison.given_up


def test_by_meaning_pushed_tokens_come_in_used_order() -> None:
    """For a driver that pushes, the reference gives back what is used at once; order and lengths count."""
    add, complete = Op(Code.ADD, a=1), Op(Code.COMPLETE, c=2)
    operations = [add, add, Op(Code.KICK), Op(Code.READ), complete, Op(Code.GET), Op(Code.GET)]
    results = _results(operations)
    assert _by_meaning(operations, results, pushes=True) is None
    swapped = [*results[:5], results[6], results[5]]
    difference = _by_meaning(operations, swapped, pushes=True)
    assert difference is not None
    assert difference.property == "token-returned-once"


def test_rounds_among_other_chains_hide_whose_token_came_back() -> None:
    """With a chain in flight a round returns that one's token; what is detached later is no surprise."""
    operations = [
        Op(Code.ADD, a=1),
        Op(Code.ROUNDS, a=1),
        Op(Code.DETACH_UNUSED),
        Op(Code.DETACH_UNUSED),
    ]
    results = _results(operations)
    assert [result.token for result in results[2:]] == [2, 0]
    assert _by_meaning(operations, results) is None
    kept = [*results[:3], results[2]._replace(token=3)]
    assert _by_meaning(operations, kept) is not None
    twice = [*results[:3], results[2]]
    assert _by_meaning(operations, twice) is not None


@pytest.mark.parametrize("from_detach", [[], [2], [2, 3], [3, 2]])
def test_what_was_completed_and_not_taken_may_come_from_detach_or_not(from_detach: list[int]) -> None:
    """A driver may have put used buffers on a list of its own: detach returns what it likes of them, once."""
    done = [Op(Code.ADD, a=1)] * 3
    done += [Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=3), Op(Code.GET)]
    operations = [*done, *[Op(Code.DETACH_UNUSED)] * (len(from_detach) + 1)]
    results = _results(done)
    last = results[-1]._replace(length=0)
    detached = [last._replace(status=1, token=token) for token in from_detach]
    nothing = last._replace(status=0, token=0)
    assert _by_meaning(operations, [*results, *detached, nothing]) is None
    for token in (1, *from_detach):
        again = last._replace(status=1, token=token)
        assert _by_meaning(operations, [*results, *detached, again]) is not None


@pytest.mark.parametrize("size", [3, 8, 100])
@pytest.mark.parametrize("features", [0, IN_ORDER, IN_ORDER | NOTIFICATION_DATA | EVENT_IDX | 1 << 28])
def test_batches_and_odd_sizes_agree_by_meaning(
    size: int, features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver with IN_ORDER, or an odd queue size, is compared with a reference that has neither."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "any-size")
    config = QueueConfig(size, features, "modern", True, "virtio-1.x", 1)
    with Process(build_driver(TINY), patience=10) as process:
        pair = Pair.of(process)
        generator = Generator(size, pair.offered, 7, features)
        failures = [pair.begin(config), *[pair.run(generator.phase()) for _ in range(5)]]
        failures += [pair.run(packed(Op(Code.ADD, a=1), Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ)))]
        failures += [pair.run(packed(Op(Code.COMPLETE, a=1, c=2), *[Op(Code.GET)] * 3)), pair.end()]
        assert failures == [None] * len(failures)
        assert (pair.compared[size], pair.given_up) == (7, {})


def test_lengths_of_legacy_devices_are_left_to_the_device() -> None:
    """After a COMPLETE that counts readable bytes, the lengths get_buf tells are not compared any more."""
    operations = [*ROUND[:3], Op(Code.COMPLETE, OpFlag.TOTAL_LENGTH, c=1), Op(Code.GET)]
    results = _results(operations)
    results[4] = results[4]._replace(length=12345)
    assert _by_meaning(operations, results) is None
    plain = _results(ROUND)
    plain[4] = plain[4]._replace(length=12345)
    assert _by_meaning(ROUND, plain) is not None
