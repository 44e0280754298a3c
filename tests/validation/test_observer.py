"""What the observer of a network driver says of runs made by hand, and of the reference with defects."""

from collections.abc import Callable
from random import Random

import pytest

from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import (
    EBUSY,
    F_EVENT_IDX,
    NET_FEATURES,
    Access,
    Capture,
    Event,
    EventKind,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Region,
    Statistics,
)
from ringproof.impl.harness.net_runner import NetRunner, Violation
from ringproof.patching import load_reference_mutant
from ringproof.validation.observer import ORACLES, Observer
from ringproof.validation.shapes import Shapes
from ringproof.validation.traffic import ALL, Traffic

FRAMES = [Frame(Packet(bytes([at + 1]) * 60)) for at in range(4)]
PLAIN = NetConfig(features=0)
EVENT = NetConfig(features=F_EVENT_IDX)
KICK = Access(True, Region.IO, 16, 2, 1)
HEADER = bytes(10)
SEGMENTS = [(0xC300000000, 10, 0), (0xC300000100, 60, 0)]


def probed(config: NetConfig = PLAIN) -> Observer:
    """An observer of a driver that the reference has probed: the register log is a real one."""
    watch = Observer(config, FRAMES)
    watch.see(Op(NetCode.PROBE), NetRunner(config).step(Op(NetCode.PROBE)))
    return watch


def sent(watch: Observer, number: int, avail_idx: int, *accesses: Access, flags: int = 0) -> Observer:
    """A frame was published."""
    result = NetResult(0, avail_idx=avail_idx, avail_flags=flags, accesses=accesses)
    watch.see(Op(NetCode.XMIT, a=number), result)
    return watch


def read(watch: Observer, *datas: bytes) -> Observer:
    """Chains were read."""
    captured = [(Capture(1, at, HEADER + data), SEGMENTS) for at, data in enumerate(datas)]
    watch.see(Op(NetCode.NET_READ, in_=1), NetResult(len(datas)), captured)
    return watch


def completed(watch: Observer, count: int, due: int = 0) -> None:
    """Chains were completed, oldest first."""
    watch.see(Op(NetCode.NET_COMPLETE, in_=1, c=count), NetResult(count, length=due))


def told(config: NetConfig, op: Op, result: NetResult) -> Observer:
    """An observer that was told of one operation on a device."""
    watch = Observer(config, FRAMES)
    watch.see(op, result)
    return watch


def interrupted(watch: Observer, region: Region) -> None:
    """An interrupt came, and its handler read the first byte of a region."""
    watch.see(Op(NetCode.RAISE, a=1), NetResult(0))
    watch.see(Op(NetCode.INTERRUPT), NetResult(1, accesses=(Access(False, region, 0, 1, 1),)))


def checks(watch: Observer) -> set[str]:
    """What failed."""
    return {fault.check for fault in watch.faults}


def test_a_good_run_has_no_fault() -> None:
    """Sent, read, completed, freed, removed; counted rightly."""
    watch = probed()
    sent(watch, 0, 1, KICK)
    sent(watch, 1, 2, KICK)
    read(watch, FRAMES[0].data, FRAMES[1].data)
    completed(watch, 2)
    freed = (Event(EventKind.FREED, 1), Event(EventKind.FREED, 2))
    watch.see(Op(NetCode.INTERRUPT), NetResult(1, events=freed))
    watch.count(0, Statistics(2, 120, 0, 0, 256))
    assert checks(watch) == set()
    assert not watch.held
    assert {"2.7.10.1d", "5.1.6/n1", "5.1.6.6a", "2.7.5.3.1c", "2.7.7.1a"} <= watch.docket.held.keys()


@pytest.mark.parametrize(
    ("fail", "check"),
    [
        (lambda watch: read(watch, b"x"), "frames-in-order"),
        (lambda watch: read(sent(sent(watch, 0, 1, KICK), 1, 2, KICK), FRAMES[1].data),
         "frames-in-order"),
        (lambda watch: watch.see(
            Op(NetCode.XMIT), NetResult(0, events=(Event(EventKind.FREED, 1),))), "frames-taken"),
        (lambda watch: sent(watch, 0, 1, KICK).see(
            Op(NetCode.XMIT, a=1), NetResult(0, avail_idx=1, events=(Event(EventKind.FREED, 2),))),
         "frames-fit"),
        (lambda watch: watch.see(Op(NetCode.XMIT), NetResult(EBUSY)), "queue-wakes"),
        (lambda watch: watch.count(0, Statistics(1, 60, 0, 0, 256)), "statistics-true"),
        (lambda watch: watch.count(0, Statistics(0, 0, 1, 1, 256)), "statistics-true"),
        (lambda watch: sent(watch, 0, 1, KICK).see(Op(NetCode.REMOVE), NetResult(0)), "frames-come-back"),
        (lambda watch: watch.see(Op(NetCode.PROBE), NetResult(-19)), "probe-takes-a-sound-device"),
        (lambda watch: watch.see(Op(NetCode.PROBE), NetResult(-1)), "probe-takes-a-sound-device"),
        (lambda _: told(NetConfig(queue_size=3), Op(NetCode.PROBE), NetResult(0)),
         "impossible-sizes-refused"),
        (lambda _: told(NetConfig(queue_size=1024), Op(NetCode.PROBE), NetResult(-19)), "any-size-taken"),
        (lambda watch: interrupted(watch, Region.COMMON), "interrupts-acknowledged"),
    ],
)  # fmt: skip
def test_an_oracle_that_fails(fail: Callable[[Observer], object], check: str) -> None:
    """Each oracle, by a run that breaks it."""
    watch = probed()
    other = fail(watch)
    assert check in checks(other if isinstance(other, Observer) else watch)


def test_every_oracle_is_tried() -> None:
    """The cases above name all there are."""
    cases = test_an_oracle_that_fails.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {check for _, check in cases} == set(ORACLES)


def test_an_interrupt_is_acknowledged_by_reading_isr() -> None:
    """A handler that reads ISR does what is asked, and one without an interrupt is asked nothing."""
    watch = probed()
    interrupted(watch, Region.ISR)
    watch.see(Op(NetCode.INTERRUPT), NetResult(0))
    assert checks(watch) == set()
    assert watch.oracles["interrupts-acknowledged"] == 1


def test_a_stopped_queue_waits_for_an_interrupt_that_is_due() -> None:
    """It is no fault before the interrupt was handled, nor while a chain is in flight."""
    watch = probed()
    sent(watch, 0, 1, KICK)
    busy = (Op(NetCode.XMIT, a=1), NetResult(EBUSY))
    watch.see(*busy)
    read(watch, FRAMES[0].data)
    watch.see(*busy)
    completed(watch, 1, due=1)
    watch.see(*busy)
    assert checks(watch) == set()
    watch.see(Op(NetCode.INTERRUPT), NetResult(1, accesses=(Access(False, Region.ISR, 0, 1, 1),)))
    watch.see(*busy)
    assert checks(watch) == {"queue-wakes"}


@pytest.mark.parametrize(
    ("config", "word", "notified", "flags", "clause"),
    [
        (PLAIN, None, False, 0, "2.7.10.1d"),
        (PLAIN, Op(NetCode.NET_SET_FLAGS, in_=1, a=1), True, 0, "2.7.10.1c"),
        (PLAIN, Op(NetCode.NET_SET_AVAIL_EVENT, in_=1, a=7), False, 0, "2.7.10.1b"),
        (PLAIN, None, True, 2, "2.7.7.1a"),
        (EVENT, None, False, 0, "2.7.10.1f"),
        (EVENT, Op(NetCode.NET_SET_FLAGS, in_=1, a=1), False, 0, "2.7.10.1e"),
        (EVENT, Op(NetCode.NET_SET_AVAIL_EVENT, in_=1, a=7), True, 0, "2.7.10.1g"),
        (EVENT, None, True, 1, "2.7.7.1c"),
    ],
)
def test_suppression_words(
    config: NetConfig, word: Op | None, notified: bool, flags: int, clause: str
) -> None:
    """A notification that is missing or unwanted breaks a clause, and so do flags; the opposite does not."""
    for broken in (True, False):
        watch = probed(config)
        if word is not None:
            watch.see(word, NetResult(0))
        kick = notified if broken or flags else not notified
        sent(watch, 0, 1, *[KICK] * kick, flags=flags if broken else 0)
        assert (clause in watch.docket.breaches) is broken


def test_what_can_be_asked() -> None:
    """Probe once, send what the driver does not have, nothing without a device."""
    watch = Observer(PLAIN, FRAMES)
    assert watch.playable(Op(NetCode.PROBE))
    assert not watch.playable(Op(NetCode.XMIT))
    assert not watch.playable(Op(NetCode.REMOVE))
    watch = probed()
    assert not watch.playable(Op(NetCode.PROBE))
    assert watch.playable(Op(NetCode.XMIT))
    assert not watch.playable(Op(NetCode.XMIT, a=4))
    sent(watch, 0, 1, KICK)
    assert not watch.playable(Op(NetCode.XMIT))
    assert watch.playable(Op(NetCode.NET_READ, in_=1))


def run_on(package: str | None, config: NetConfig, seed: int) -> tuple[Observer, str]:
    """The reference, or a mutant of it, in traffic; what was seen, and the violation that ended it."""
    frames = Shapes(Random(seed), config.offered & config.understood).pool(100)
    reference = load_reference_mutant(package) if package else None
    runner, watch = NetRunner(config, frames, reference=reference), Observer(config, frames)
    traffic = Traffic(config, frames, seed)
    ops = [Op(NetCode.PROBE), *(op for _ in range(12) for op in traffic.batch()), *traffic.drain()]
    for op in [*ops, Op(NetCode.REMOVE)]:
        if not watch.playable(op):
            continue
        before = len(runner.captures)
        try:
            result = runner.step(op)
        except Violation as violation:
            return watch, violation.property
        captured = zip(runner.captures[before:], runner.device.segments[before:], strict=True)
        watch.see(op, result, list(captured))
        if op.code in (NetCode.INTERRUPT, NetCode.NET_COMPLETE):
            for pair in range(traffic.transmit_queues):
                watch.count(pair, runner.statistics(pair))
    return watch, ""


@pytest.mark.parametrize("transport", ["legacy", "modern"])
def test_the_reference_has_no_fault(transport: str) -> None:
    """The virtio-1.x profile in traffic of all kinds, on both transports."""
    for size, pairs, features in ((256, 1, NET_FEATURES), (32, 2, NET_FEATURES), (4, 1, 0)):
        config = NetConfig(queue_size=size, features=features, transport=transport, pairs=pairs)
        watch, violation = run_on(None, config, size)
        assert (watch.faults, violation) == ([], "")


@pytest.mark.parametrize(
    ("mutant", "seen"),
    [
        ("E2", "clause-5.1.6/n1"),
        ("E19", "statistics-true"),
        ("D9", "queue-wakes"),
        ("X11", "clause-5.1.6/n1"),
        ("X15", "clause-5.1.6.2/n2"),
        ("X16", "clause-5.1.6.2.1i"),
        ("X17", "clause-3.1.2a"),
        ("X18", "clause-2.2.1a"),
        ("X20", "clause-2.1.1b"),
        ("X21", "clause-3.1.1g"),
        ("X23", "statistics-true"),
    ],
)
def test_a_defect_of_the_reference_is_seen(mutant: str, seen: str) -> None:
    """Without a driver to compare with, by a clause or an oracle."""
    found: set[str] = set()
    for size, features in ((32, 0), (256, NET_FEATURES), (16, NET_FEATURES & ~F_EVENT_IDX)):
        config = NetConfig(queue_size=size, features=features)
        found |= checks(run_on(mutant, config, 1)[0])
    assert seen in found


def test_a_quick_device_completes_while_a_frame_is_sent() -> None:
    """Notified, it reads and completes; the frame may be freed before transmit returns, and is no drop."""
    watch = probed()
    sent(watch, 0, 1, KICK)
    freed = tuple(Event(EventKind.FREED, token) for token in (1, 2))
    quick = Op(NetCode.XMIT, a=1, b=ALL)
    result = NetResult(0, avail_idx=2, accesses=(KICK,), events=freed)
    assert watch.captures(quick, result) == 2
    captured = [(Capture(1, at, HEADER + FRAMES[at].data), SEGMENTS) for at in range(2)]
    watch.see(quick, result, captured)
    watch.count(0, Statistics(2, 120, 0, 0, 256))
    assert checks(watch) == set()
    assert not watch.held
    # Without a notification it does not act.
    assert watch.captures(quick, NetResult(0, avail_idx=3)) == 0


def test_completions_follow_the_device() -> None:
    """Which frame is completed is told by where the list in flight begins and how it shrinks."""
    watch = probed()
    for at in range(3):
        sent(watch, at, at + 1, KICK)
    read(watch, *(frame.data for frame in FRAMES[:3]))
    watch.see(Op(NetCode.NET_COMPLETE, in_=1, a=1, c=1), NetResult(1))
    watch.see(Op(NetCode.NET_COMPLETE, in_=1, a=0, b=1, c=ALL), NetResult(2))
    watch.count(0, Statistics(3, 180, 0, 0, 256))
    watch.count(0, Statistics(2, 120, 0, 0, 256))
    assert [fault.detail.split()[3] for fault in watch.faults] == ["went"]
