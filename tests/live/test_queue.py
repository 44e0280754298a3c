"""The queue's device: honest drivers are served without a finding, in each way that can be asked for."""

import ctypes
from typing import Any

import pytest

from ringproof.live.records import Chain, Interrupt, Kick, Quiet, Sample, Suppress, Used

from .simulated import (
    ANY_LAYOUT,
    EVENT_IDX,
    IN_ORDER,
    INDIRECT,
    MEMORY,
    NEXT,
    PLAIN,
    SINK,
    TABLES,
    VERSION_1,
    WANTED,
    WRITE,
    Ring,
    ring,
)

MRG = 1 << 15


def drive(device: Ring, chains: int, window: int) -> None:
    """Be an honest driver of one-descriptor chains: at most `window` out, kicking when it is asked to."""
    free, sent, seen = list(range(device.size)), 0, 0
    event = bool(device.features & EVENT_IDX)
    stuck = 0
    while seen < chains and stuck < 5000:
        before = device.idx
        while sent < chains and sent - seen < window and free and (device.idx - before) & 0xFFFF < 5:
            index = free.pop()
            device.descriptor(index, len(PLAIN))
            device.add(index)
            sent += 1
        growth = (device.idx - before) & 0xFFFF
        device.publish(kicks=0)
        if event:
            word = device.get16(device.used + 4 + 8 * device.size)
            kick = (device.idx - word - 1) & 0xFFFF < growth
        else:
            kick = growth > 0 and device.get16(device.used) & 1 == 0
        if kick:
            device.lib.rpl_queue_kicked(device.queue, 1)
        device.serve(0.3)
        done = device.completed(seen)
        stuck = 0 if done else stuck + 1
        if device.features & IN_ORDER and done:
            free.extend(range(device.size) if len(free) + len(done) == device.size else [])
            done = done[:1] * ((device.used_idx - device.base - seen) & 0xFFFF)
        else:
            free.extend(index for index, _ in done)
        seen += len(done)
    assert seen == chains


@pytest.mark.parametrize("features", [VERSION_1, VERSION_1 | EVENT_IDX, ANY_LAYOUT, EVENT_IDX | ANY_LAYOUT])
@pytest.mark.parametrize("suppress", range(6))
@pytest.mark.parametrize("distract", [0, 1])
def test_no_behaviour_makes_an_honest_driver_fail(features: int, suppress: int, distract: int) -> None:
    """Whatever the device says about kicks, a driver that goes by it has no finding, across a wrap."""
    with ring(8, features=features, base=65500, suppress=suppress, distract=distract, event=3) as device:
        drive(device, 100, 6)
        device.stop()
        assert device.failed() == set()
        assert device.counts().wraps == 1


@pytest.mark.parametrize("size", [1, 2, 256, 32768])
@pytest.mark.parametrize("event", [0, EVENT_IDX])
def test_every_size_is_served(size: int, event: int) -> None:
    """From one entry to as many as there may be, across the wrap of the index."""
    with ring(size, features=VERSION_1 | event, base=65530) as device:
        drive(device, 40, size)
        assert device.failed() == set()


@pytest.mark.parametrize(("order", "expected"), [(0, [0, 1, 2, 3]), (1, [3, 2, 1, 0])])
def test_order(order: int, expected: list[int]) -> None:
    """Chains come back by availability, or the newest first."""
    with ring(8, order=order, batch=4) as device:
        device.send(0, 1, 2, 3)
        assert [index for index, _ in device.completed()] == expected
        assert device.failed() == set()


def test_random_order_is_a_permutation_and_depends_on_the_seed() -> None:
    """At random each chain comes back once; another seed picks otherwise."""
    seen = set()
    for seed in range(6):
        with ring(8, order=2, batch=8, seed=seed) as device:
            device.send(*range(8))
            seen.add(tuple(index for index, _ in device.completed()))
            assert device.failed() == set()
    assert all(sorted(one) == list(range(8)) for one in seen)
    assert len(seen) > 3


def test_in_order_one_entry_stands_for_a_batch() -> None:
    """With IN_ORDER a batch is told by its last chain, in its first slot, whatever order was asked for."""
    with ring(8, features=VERSION_1 | IN_ORDER, order=1, batch=4) as device:
        device.send(0, 1, 2, 3)
        assert device.used_idx == 4
        assert device.completed()[0] == (3, 0)
        used = [record for record in device.records() if isinstance(record, Used)]
        assert [[entry for entry, _, _ in record.completions] for record in used] == [[0, 1, 2, 3]]
        assert device.failed() == set()


def test_batches_wait_for_each_other_and_are_let_go() -> None:
    """A batch is completed when it is full; what is left goes when the time to let go has come."""
    with ring(8, batch=3, release_us=20_000) as device:
        device.send(0, 1)
        assert device.used_idx == 0
        device.send(2, 3)
        assert device.used_idx == 3
        assert 0 < device.lib.rpl_queue_wait(device.queue, device.now) <= 20_000
        device.serve(21)
        assert device.used_idx == 4
        assert device.failed() == set()


def test_chains_are_held_and_kept_back() -> None:
    """hold_us keeps each chain so long; keep leaves some out until release_us."""
    with ring(8, hold_us=5000) as device:
        device.send(0)
        device.serve(4)
        assert device.used_idx == 0
        device.serve(2)
        assert device.used_idx == 1
    with ring(8, keep=2, release_us=50_000) as device:
        device.send(0, 1, 2)
        assert (device.used_idx, device.outstanding()) == (1, 2)
        device.serve(51)
        assert device.outstanding() == 0
        assert device.failed() == set()


def test_total_lengths_are_the_legacy_devices() -> None:
    """With `total` a legacy driver is told how long its chains are; a modern one never."""
    for features, length in ((ANY_LAYOUT, len(PLAIN)), (VERSION_1, 0)):
        with ring(8, features=features, total=1) as device:
            device.send(0)
            assert device.completed() == [(0, length)]
            assert device.failed() == set()


@pytest.mark.parametrize(
    ("features", "word", "value"), [(VERSION_1, "flags", 1), (VERSION_1 | EVENT_IDX, "event", 9)]
)
def test_interrupts_go_by_what_the_driver_asked_for(features: int, word: str, value: int) -> None:
    """One when it is asked for, else none; with ALWAYS one all the same; with SPURIOUS some without news."""
    place = {"flags": 0, "event": 4 + 2 * 8}[word]
    with ring(8, features=features) as device:
        device.send(0)
        assert device.interrupts() == 1
        device.set16(device.avail + place, value)
        device.send(1)
        assert device.interrupts() == 0
        device.behave(interrupts=1)
        device.send(2)
        assert device.interrupts() == 1
        device.behave(interrupts=2)
        device.pass_time(100)
        assert device.interrupts() > 0
        reasons = [record.reason for record in device.records() if isinstance(record, Interrupt)]
        assert reasons[:2] == [0, 1]
        assert set(reasons[2:]) == {2}
        assert device.failed() == set()


def test_on_empty_a_legacy_driver_is_told_all_the_same() -> None:
    """NOTIFY_ON_EMPTY: an interrupt when nothing is out any more, even if it is not asked for."""
    with ring(8, features=ANY_LAYOUT | 1 << 24, keep=1) as device:
        device.set16(device.avail, 1)
        device.send(0, 1)
        assert device.interrupts() == 0
        device.serve(101)
        assert device.interrupts() == 1


def test_all_parts_of_a_frame_are_recorded_and_handed_on() -> None:
    """A frame in three pieces reaches the sink whole, without its header, if wanted; its record has it."""
    got: list[bytes] = []
    asked: list[bytes] = []

    def wanted(_context: object, prefix: int, size: int) -> bool:
        asked.append(ctypes.string_at(prefix, size))
        return len(asked) > 1

    def sink(_context: object, _queue: object, frame: int, size: int) -> None:
        got.append(ctypes.string_at(frame, size))

    calls: tuple[Any, Any] = WANTED(wanted), SINK(sink)
    body = bytes(range(256)) * 5
    with ring(8) as device:
        device.lib.rpl_queue_sink(device.queue, *calls, None)
        device.write(device.buffer(0), PLAIN + body)
        for _ in range(2):
            device.descriptor(0, 12, NEXT, 1, device.buffer(0))
            device.descriptor(1, 101, NEXT, 2, device.buffer(0) + 12)
            device.descriptor(2, 1000, 0, 0, device.buffer(0) + 113)
            device.publish(0)
            device.serve()
        assert got == [(PLAIN + body)[12:1113]]
        assert asked[0] == (PLAIN + body)[12:140]
        chain = next(record for record in device.records() if isinstance(record, Chain))
        assert chain.frame is not None
        assert (chain.frame.size, chain.frame.prefix, chain.frame.whole) == (1113, (PLAIN + body)[:140], True)
        assert [index for index, _ in chain.descriptors] == [0, 1, 2]
        device.failed()


def test_a_table_is_recorded_as_it_lies() -> None:
    """An indirect chain's record has its table; honest ones have no finding."""
    with ring(8, features=VERSION_1 | INDIRECT) as device:
        device.write(device.buffer(0), PLAIN)
        device.table(3, (device.buffer(0), 12, NEXT, 1), (device.buffer(0) + 12, 64, 0, 0))
        device.publish(3)
        device.serve()
        chain = next(record for record in device.records() if isinstance(record, Chain))
        assert chain.table == bytes(device.memory[TABLES : TABLES + 32])
        assert device.completed() == [(3, 0)]
        assert device.failed() == set()


def test_frames_are_delivered() -> None:
    """A frame goes behind its header into the driver's buffer; several buffers only with MRG_RXBUF."""
    frame = bytes(range(200))
    with ring(8, sends=False) as device:
        assert not device.lib.rpl_queue_deliver(device.queue, frame, len(frame))
        device.descriptor(0, 300, WRITE)
        device.publish(0)
        device.serve()
        assert not device.lib.rpl_queue_deliver(device.queue, bytes(290), 290)
        assert device.lib.rpl_queue_deliver(device.queue, frame, len(frame))
        assert device.completed() == [(0, 212)]
        place = device.buffer(0) - MEMORY
        assert bytes(device.memory[place : place + 212]) == bytes(10) + b"\1\0" + frame
        assert device.failed() == set()
    with ring(8, sends=False, features=VERSION_1 | MRG) as device:
        for index in range(3):
            device.descriptor(index, 100, WRITE)
        device.publish(0, 1, 2)
        device.serve()
        assert device.lib.rpl_queue_deliver(device.queue, frame, len(frame))
        assert device.completed() == [(0, 100), (1, 100), (2, 12)]
        assert device.failed() == set()


def test_a_queue_stops_with_all_given_back() -> None:
    """What is held is completed before the queue stops; the base is the first entry that was not used."""
    with ring(8, base=7, hold_us=10**6) as device:
        device.send(0, 1)
        assert device.stop() == 9
        assert [index for index, _ in device.completed()] == [0, 1]
        assert not device.lib.rpl_queue_runs(device.queue)
        assert device.failed() == set()
    with ring(8, sends=False) as device:
        device.descriptor(0, 300, WRITE)
        device.descriptor(1, 300, WRITE)
        device.publish(0, 1)
        device.serve()
        assert device.lib.rpl_queue_deliver(device.queue, b"x" * 60, 60)
        assert device.stop() == 1


def test_it_sleeps_until_it_is_kicked() -> None:
    """An idle device asks for nothing but a look now and then; with work to come it tells when."""
    with ring(8) as device:
        device.serve()
        assert device.lib.rpl_queue_wait(device.queue, device.now) == device.patience * 1000 // 4
        assert device.get16(device.used) == 0
        device.descriptor(0, len(PLAIN))
        device.publish(0, kicks=0)
        device.serve(1)
        assert device.used_idx == 0
        device.lib.rpl_queue_kicked(device.queue, 1)
        device.serve()
        assert device.used_idx == 1
        kinds = [type(record) for record in device.records()]
        at = kinds.index(Kick)
        assert kinds[at - 2 : at + 2] == [Sample, Chain, Kick, Sample]
        assert device.failed() == set()


def test_a_late_kick_is_no_lost_one() -> None:
    """What was told as lost is taken back when the kick comes after all."""
    with ring(8, features=VERSION_1 | EVENT_IDX) as device:
        device.serve()
        device.descriptor(0, len(PLAIN))
        device.publish(0, kicks=0)
        device.pass_time(150)
        assert device.failed() == {"KICK_LOST_EVENT"}
        assert device.used_idx == 1
        device.lib.rpl_queue_kicked(device.queue, 1)
        device.serve()
        assert device.failed() == set()
        assert any(isinstance(record, Quiet) for record in device.records())


def test_a_queue_that_is_not_enabled_gets_nothing_back() -> None:
    """Chains of a queue that was disabled are kept until it is enabled again."""
    with ring(8) as device:
        device.lib.rpl_queue_enable(device.queue, False)
        device.send(0)
        assert device.used_idx == 0
        device.lib.rpl_queue_enable(device.queue, True)
        device.serve()
        assert device.used_idx == 1
        assert device.failed() == set()


def test_memory_that_goes_stops_the_queue_alone() -> None:
    """Without its regions a queue isn't served any more, and can still be stopped."""
    with ring(8) as device:
        device.send(0)
        device.lib.rpl_guest_clear(device.guest)
        device.serve()
        assert device.stop() == 1


@pytest.mark.parametrize("kind", range(1, 14))
def test_injections_are_told_and_end_the_judging(kind: int) -> None:
    """Each injection is recorded once and done; nothing that follows is a finding, and the queue goes on."""
    features = VERSION_1 | (IN_ORDER if kind == 12 else 0)
    with ring(8, features=features) as device:
        device.send(0, 1)
        device.lib.rpl_queue_inject(device.queue, kind)
        before = device.used_idx
        device.send(2, 3, 4)
        assert device.lib.rpl_queue_injected(device.queue)
        device.send(5)
        device.publish(9999 % 65536)
        device.serve(300)
        assert device.failed() == set()
        ids = [index for index, _ in device.completed(before)] if kind != 5 else []
        match kind:
            case 1:
                assert max(ids) >= 8
            case 3:
                assert ids[:2] == [2, 2]
            case 4 | 5:
                assert not 2 <= device.used_idx <= 8
            case 6:
                assert device.completed(2)[0][1] > 0
            case 10:
                words = [record for record in device.records() if isinstance(record, Suppress)]
                assert words
            case 11:
                assert device.used_idx == before
            case 12:
                assert ids[0] > ids[1]
            case 13:
                place = device.buffer(2) - MEMORY
                assert device.memory[place] == 0xA5
            case _:
                assert device.used_idx > before
