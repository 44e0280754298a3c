"""The runner: operations in, results out, as operations.py says."""

import struct
from types import ModuleType
from zlib import crc32

import pytest

from ringproof.impl.harness.operations import (
    ARENA_ADDRESS,
    BUFFER_ADDRESS,
    RESULT,
    Code,
    Op,
    OpFlag,
    Result,
    segment,
)
from ringproof.impl.harness.reference_runner import (
    F_IN_ORDER,
    F_NOTIFICATION_DATA,
    OperationError,
    QueueConfig,
    ReferenceRunner,
    Violation,
)
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from ringproof.patching import load_reference_mutant


def results(data: bytes) -> list[Result]:
    """Take packed results apart."""
    return [Result(*fields) for fields in RESULT.iter_unpack(data)]


def crc_of(*chains: list[tuple[int, int, int]]) -> int:
    """Return the CRC over chains of (seed, segment number, 1 if writable)."""
    crc = 0
    for chain in chains:
        for seed, index, writable in chain:
            offset, length = segment(seed, index)
            crc = crc32(struct.pack("<QII", BUFFER_ADDRESS + offset, length, writable), crc)
    return crc


def test_results_field_by_field() -> None:
    """A short run, every field of every result worked out by hand."""
    runner = ReferenceRunner(QueueConfig(4))
    ops = [
        Op(Code.ADD, a=1, in_=1, b=1000),
        Op(Code.KICK),
        Op(Code.READ),
        Op(Code.COMPLETE, c=1),
        Op(Code.INTERRUPT),
        Op(Code.DISABLE_CB),
        Op(Code.GET),
        Op(Code.ENABLE_CB),
        Op(Code.ADD, OpFlag.NULL_TOKEN, a=1),
        Op(Code.ADD, a=5),
        Op(Code.ADD, a=1),
    ]
    written = segment(1000, 1)[1]
    crc = crc_of([(1000, 0, 0), (1000, 1, 1)])
    assert results(runner.run(ops)) == [
        Result(0, 0, 1, 0, 0, 1, 0, 0, 0, 2, 0),
        Result(0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0),
        Result(1, 0, 0, 0, crc, 1, 0, 0, 0, 2, 0),
        Result(1, 0, 0, 1, 0, 1, 1, 0, 0, 2, 0),
        Result(1, 0, 0, 0, 0, 1, 1, 0, 0, 2, 1),
        Result(0, 0, 0, 0, 0, 1, 1, 1, 0, 2, 0),
        Result(1, 0, 1, written, 0, 1, 1, 1, 0, 4, 0),
        Result(1, 0, 0, 0, 0, 1, 1, 0, 1, 4, 0),
        Result(-22, 0, 0, 0, 0, 1, 1, 0, 1, 4, 0),
        Result(-22, 0, 3, 0, 0, 1, 1, 0, 1, 4, 0),
        Result(0, 0, 4, 0, 0, 2, 1, 0, 1, 3, 0),
    ]
    assert (runner.operations, runner.notifications, runner.callbacks) == (11, 1, 1)


def test_marks_and_polls() -> None:
    """ENABLE_CB_PREPARE returns the mark that the POLLs after it use."""
    runner = ReferenceRunner(QueueConfig(4))
    got = results(
        runner.run(
            [
                Op(Code.ROUNDS, a=3),
                Op(Code.ENABLE_CB_PREPARE),
                Op(Code.POLL),
                Op(Code.ADD, a=1),
                Op(Code.READ),
                Op(Code.COMPLETE, c=1),
                Op(Code.POLL),
            ]
        )
    )
    assert [result.status for result in got] == [3, 3, 0, 0, 1, 1, 1]


def test_read_crc_covers_all_chains() -> None:
    """The CRC of one READ runs over all chains it read, tables and direct chains alike."""
    ops = [Op(Code.ADD, a=2, b=5), Op(Code.ADD, a=1, in_=2, b=6), Op(Code.READ), Op(Code.READ)]
    expected = crc_of([(5, 0, 0), (5, 1, 0)], [(6, 0, 0), (6, 1, 1), (6, 2, 1)])
    for features in (0, F_INDIRECT_DESC):
        got = results(ReferenceRunner(QueueConfig(8, features)).run(ops))
        assert [(result.status, result.crc) for result in got[2:]] == [(2, expected), (0, 0)]


def test_rounds_are_what_they_stand_for() -> None:
    """ROUNDS leaves the same bytes and sums as its five steps one by one."""
    whole, steps = ReferenceRunner(QueueConfig(4)), ReferenceRunner(QueueConfig(4))
    rounds = whole.step(Op(Code.ROUNDS, a=10, b=0xFFFF_FFFC))
    crc = 0
    for i in range(10):
        singles = [
            Op(Code.ADD, a=1, b=(0xFFFF_FFFC + i) & 0xFFFF_FFFF),
            Op(Code.KICK),
            Op(Code.READ, a=1),
            Op(Code.COMPLETE, c=1),
            Op(Code.GET),
        ]
        got = results(steps.run(singles))
        crc = crc32(struct.pack("<I", got[2].crc), crc)
    assert rounds == Result(10, 10, 10, got[4].length, crc, 10, 10, 0, 10, 4, 0)
    assert bytes(whole.arena.memory[:8192]) == bytes(steps.arena.memory[:8192])
    assert whole.step(Op(Code.ADD, a=1)) == steps.step(Op(Code.ADD, a=1))


def test_rounds_stop_when_refused() -> None:
    """ROUNDS on a full ring does nothing and says 0 rounds; with an older chain in flight it goes on."""
    runner = ReferenceRunner(QueueConfig(2))
    runner.run([Op(Code.ADD, a=1), Op(Code.ADD, a=1)])
    result = runner.step(Op(Code.ROUNDS, a=5))
    assert (result.status, result.notifies, result.token, result.crc) == (0, 1, 0, 0)
    runner.run([Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET)])
    result = runner.step(Op(Code.ROUNDS, a=3))
    assert (result.status, result.token) == (3, 5), "tokens 4, 5 and 6: each round takes the one before"


def test_relative_avail_event() -> None:
    """SET_AVAIL_EVENT counts from avail_idx where asked to."""
    runner = ReferenceRunner(QueueConfig(4, F_EVENT_IDX))
    runner.run([Op(Code.ROUNDS, a=5), Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=0xFFFF)])
    assert runner.queue.used.avail_event == 4
    runner.step(Op(Code.SET_AVAIL_EVENT, a=9))
    assert runner.queue.used.avail_event == 9


def test_failing_allocation_lasts_one_operation() -> None:
    """FAIL_ALLOC makes one ADD go without a table, not the next one."""
    runner = ReferenceRunner(QueueConfig(4, F_INDIRECT_DESC))
    got = results(runner.run([Op(Code.ADD, OpFlag.FAIL_ALLOC, a=2), Op(Code.ADD, a=2)]))
    assert [result.num_free for result in got] == [2, 1]


def test_detach_unused_ends_the_run() -> None:
    """DETACH_UNUSED gives back each token; after it nothing else may be asked."""
    runner = ReferenceRunner(QueueConfig(4))
    got = results(runner.run([Op(Code.ADD, a=2), Op(Code.ADD, a=1), *[Op(Code.DETACH_UNUSED)] * 3]))
    assert [(result.status, result.token) for result in got[2:]] == [(1, 1), (1, 2), (0, 0)]
    with pytest.raises(OperationError, match=r"^operation 0: only DETACH_UNUSED may follow"):
        runner.step(Op(Code.ADD, a=1))


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([Op(77)], "operation 0: there is no operation with code 77"),
        ([Op(Code.KICK), Op(Code.ADD, a=70000)], "operation 1: more than 65536 segments"),
        (b"123", "3 bytes of operations are no multiple of 16"),
    ],
)
def test_impossible_operations(ops: list[Op] | bytes, message: str) -> None:
    """What cannot be asked is refused in one line that says which operation and why."""
    with pytest.raises(OperationError, match=f"^{message}$"):
        ReferenceRunner(QueueConfig(4)).run(ops)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"queue_size": 0}, "queue size 0 is not a power of two from 1 to 32768"),
        ({"queue_size": 65536}, "queue size 65536 is not a power of two"),
        ({"queue_size": 4, "layout": "packed"}, "layout 'packed' is neither of legacy, modern"),
        ({"queue_size": 4, "profile": "linux-6"}, "profile 'linux-6' is neither of linux-3.11, virtio-1.x"),
        ({"queue_size": 4, "features": 1 << 34}, "feature bits 0x400000000 are not a queue's"),
        ({"queue_size": 4, "queue_index": 65536}, "queue index 65536 is not from 0 to 65535"),
    ],
)
def test_impossible_queues(arguments: dict[str, object], message: str) -> None:
    """A queue that cannot be is refused in one line that names what is wrong with it."""
    with pytest.raises(ValueError, match=f"^{message}") as error:
        QueueConfig(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_ring_parts() -> None:
    """The parts' addresses and bytes are those of the layout, in the arena's first block."""
    for layout, avail, used in (("legacy", 64, 4096), ("modern", 64, 80)):
        runner = ReferenceRunner(QueueConfig(4, layout=layout))
        assert (runner.desc, runner.avail, runner.used) == (
            ARENA_ADDRESS,
            ARENA_ADDRESS + avail,
            ARENA_ADDRESS + used,
        )
        sizes = [len(part) for part in (runner.desc_bytes(), runner.avail_bytes(), runner.used_bytes())]
        assert sizes == [64, 14, 38]
        runner.step(Op(Code.ADD, a=1))
        assert runner.avail_bytes()[2] == 1


def test_layouts_and_steps_agree() -> None:
    """Where the parts lie changes no result, nor does running the operations one by one."""
    ops = [
        Op(Code.ADD, a=2, in_=1, b=9),
        Op(Code.KICK),
        Op(Code.READ),
        Op(Code.COMPLETE, c=1),
        Op(Code.GET),
    ] * 5
    legacy, modern, steps = (
        ReferenceRunner(QueueConfig(4, layout=at)) for at in ("legacy", "modern", "legacy")
    )
    expected = legacy.run(b"".join(op.pack() for op in ops))
    assert modern.run(ops) == expected
    assert [steps.step(op) for op in ops] == results(expected)


def test_snapshot_and_restore() -> None:
    """A kept state gives the same results and bytes again and again, also in another runner."""
    config = QueueConfig(8, F_INDIRECT_DESC | F_EVENT_IDX)
    runner = ReferenceRunner(config)
    runner.run([Op(Code.ROUNDS, a=65530), Op(Code.ADD, a=3, b=1), Op(Code.ADD, a=2, b=2), Op(Code.READ, a=1)])
    kept = runner.snapshot()
    ops = [
        Op(Code.ADD, a=4, b=3),
        Op(Code.READ),
        Op(Code.COMPLETE, a=1, c=3),
        Op(Code.GET),
        Op(Code.GET),
        Op(Code.ADD, a=2, b=4),
        Op(Code.KICK),
    ]
    expected = runner.run(ops)
    after = runner.snapshot()
    for again in (runner, ReferenceRunner(config)):
        again.restore(kept)
        assert again.run(ops) == expected
        assert again.snapshot() == after
    with pytest.raises(ValueError, match="another configuration"):
        ReferenceRunner(QueueConfig(8)).restore(kept)


def test_violation_tells_where() -> None:
    """A Violation names the operation it happened in and carries the results before it."""
    runner = ReferenceRunner(QueueConfig(4), reference=load_reference_mutant("B1"))
    ops = [Op(Code.ADD, a=1), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET)] * 4
    with pytest.raises(Violation, match=r"^indices-faithful: avail_idx went from 3 or more to 0") as raised:
        runner.run(ops)
    assert raised.value.operation == 13
    assert len(raised.value.results) == 13 * 40
    assert runner.operations == 13


@pytest.mark.parametrize(
    ("method", "fault", "code", "slug"),
    [
        ("add", IndexError("index out of bounds"), Code.ADD, "free-list-sound"),
        ("get_buf", RecursionError("too deep"), Code.GET, "bad-ring-never"),
        ("kick", ValueError("not in range"), Code.KICK, "need-event-exact"),
        ("enable_cb", TypeError("no number"), Code.ENABLE_CB, "callbacks-rearmed"),
    ],
)
def test_failures_inside_the_driver(
    monkeypatch: pytest.MonkeyPatch, method: str, fault: Exception, code: Code, slug: str
) -> None:
    """An exception out of the driver's code is a Violation of what it was about."""
    runner = ReferenceRunner(QueueConfig(4))

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(runner.queue, method, fail)
    with pytest.raises(Violation, match=f"the driver failed: {type(fault).__name__}") as raised:
        runner.step(Op(code, a=1))
    assert raised.value.property == slug


def test_mutants_run_beside_the_reference() -> None:
    """A mutated copy is a package of its own: the reference itself stays sound."""
    mutant: ModuleType = load_reference_mutant("A5")
    wrong, right = ReferenceRunner(QueueConfig(4), reference=mutant), ReferenceRunner(QueueConfig(4))
    assert (wrong.step(Op(Code.ADD, a=1)).num_free, right.step(Op(Code.ADD, a=1)).num_free) == (2, 3)


def test_in_order_completes_the_oldest() -> None:
    """With IN_ORDER the device keeps the order, whatever is picked; the reference sees single entries."""
    runner = ReferenceRunner(QueueConfig(8, 1 << 32 | F_IN_ORDER, layout="modern", profile="virtio-1.x"))
    runner.run([*[Op(Code.ADD, a=1)] * 5, Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, a=3, b=2, c=3)])
    assert [runner.step(Op(Code.GET)).token for _ in range(4)] == [1, 2, 3, 0]
    runner.run([Op(Code.COMPLETE, a=1, c=1)])
    assert runner.step(Op(Code.GET)).token == 4


@pytest.mark.parametrize(
    ("layout", "features", "total"),
    [("legacy", 0, True), ("legacy", 1 << 32, False), ("modern", 0, False)],
)
@pytest.mark.parametrize("indirect", [0, 1 << 28])
def test_legacy_devices_report_the_total_length(
    layout: str, features: int, total: bool, indirect: int
) -> None:
    """TOTAL_LENGTH counts readable bytes, too, where the queue is a legacy device's, and only there."""
    runner = ReferenceRunner(QueueConfig(8, features | indirect, layout=layout, profile="virtio-1.x"))
    runner.run([Op(Code.ADD, 0, 1, 2, 9), Op(Code.READ), Op(Code.COMPLETE, OpFlag.TOTAL_LENGTH, c=1)])
    lengths = [segment(9, i)[1] for i in range(3)]
    assert runner.step(Op(Code.GET)).length == (sum(lengths) if total else lengths[2])


def test_a_size_that_is_no_power_of_two_runs_on_the_next_one() -> None:
    """The reference's queue is larger; what is compared by meaning is the same up to index 65535."""
    config = QueueConfig(100, layout="modern", profile="virtio-1.x")
    assert (config.exact, config.reference_size) == (False, 128)
    runner = ReferenceRunner(config)
    assert len(runner.desc_bytes()) == 16 * 128
    assert runner.step(Op(Code.ROUNDS, a=300)).status == 300
    with pytest.raises(ValueError, match="not a power of two"):
        config.placement()
    assert QueueConfig(128).exact
    assert not QueueConfig(128, 1 << 32 | F_NOTIFICATION_DATA).exact


def test_the_second_allocation_of_an_add_is_none() -> None:
    """The reference allocates one table: without it, it does otherwise; no later one is missed."""
    for number, descriptors in ((0, 3), (1, 3), (2, 1)):
        runner = ReferenceRunner(QueueConfig(8, 1 << 28, profile="virtio-1.x"))
        assert runner.step(Op(Code.ADD, OpFlag.FAIL_ALLOC, 0, 3, 5, number)).num_free == 8 - descriptors
