"""What a symbolic run is made of: claims that part a path, the device's arithmetic, starts, concrete runs."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import z3

from ringproof.building import build_driver
from ringproof.impl.harness.operations import BUFFER_ADDRESS, Code, OpFlag, segment
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.proofs.machine.flat import Memory, Region
from ringproof.proofs.machine.oracle import Oracle
from ringproof.proofs.machine.words import below, equal
from ringproof.validation.symbolic_device import Device, Segment
from ringproof.validation.symbolic_inquiry import Inquiry, Tallies, inquire
from ringproof.validation.symbolic_machine import fails_at
from ringproof.validation.symbolic_start import WRAP_AT, Start, StartError, take_start
from ringproof.validation.symbolic_steps import Add, Ask, Complete, Tell, concrete
from ringproof.validation.verdicts import FindingCode

MINIMAL = Path(__file__).parents[2] / "examples" / "minimal"


@pytest.fixture(scope="module")
def fresh() -> Start:
    """A queue of four of the smallest example."""
    return take_start(build_driver(MINIMAL), QueueConfig(4), 0)


def _memory(start: Start) -> Memory:
    return Memory(
        Region(f"{region.address:#x}", region.address, len(region.content), contents=region.content)
        for region in start.regions
    )


def test_an_inquiry_parts_a_path() -> None:
    """It is held once for each value, under that value, and counts each claim of one stretch once."""
    x, tallies = z3.BitVec("x", 16), Tallies()
    path = (z3.ULT(x, 3),)

    def hold(inquiry: Inquiry) -> int:
        inquiry.claim(FindingCode.HEAD_RANGE, below(x, 4, 16), "never")
        value = inquiry.pin(x, 16)
        inquiry.claim(FindingCode.CHAIN_LOOP, equal(x, value, 16), "never")
        return value

    found = list(inquire(Oracle(), path, tallies, hold))
    assert sorted(value for _, value in found) == [0, 1, 2]
    assert all(
        z3.is_true(z3.simplify(z3.substitute(path[-1], (x, z3.BitVecVal(value, 16)))))
        for path, value in found
    )
    assert tallies.held == {FindingCode.HEAD_RANGE: 1, FindingCode.CHAIN_LOOP: 3}
    assert not tallies.violations


def test_a_claim_that_may_fail_is_told_and_then_assumed() -> None:
    """What may be otherwise is a violation on its own path; the inquiry goes on where it is as claimed."""
    x, tallies, oracle = z3.BitVec("x", 16), Tallies(), Oracle()

    def hold(inquiry: Inquiry) -> None:
        inquiry.claim(FindingCode.HEAD_RANGE, below(x, 4, 16), "too large")
        inquiry.claim(FindingCode.NEXT_RANGE, below(x, 5, 16), "never")

    ((path, _),) = inquire(oracle, (), tallies, hold)
    assert [violation.code for violation in tallies.violations] == [FindingCode.HEAD_RANGE]
    assert not oracle.possible((*path, *tallies.violations[0].path))
    assert list(inquire(oracle, (z3.UGT(x, 9),), tallies, hold)) == []


def test_who_asks_for_a_notification(fresh: Start) -> None:
    """A device asks for one if avail_event is among the new entries, whatever wraps (section 2.7.10)."""
    random, start = Random(7), replace(fresh, config=QueueConfig(4, F_EVENT_IDX))
    for _ in range(300):
        since, new, event = random.randrange(1 << 17), random.randrange(5), random.randrange(1 << 16)
        event = random.choice([event, since + random.randrange(-2, 6)]) & 0xFFFF
        device = Device(start, published=since + new, avail_event=event)
        assert device.asked_for(since) == (event in {(since + each) & 0xFFFF for each in range(new)})


def test_a_start_before_the_wrap(fresh: Start) -> None:
    """So many rounds leave the indices where they should be, and nothing in flight."""
    start = take_start(build_driver(MINIMAL), QueueConfig(4), WRAP_AT)
    for at, rounds in ((fresh, 0), (start, WRAP_AT)):
        memory = _memory(at)
        device = Device.at(at, memory)
        assert memory.load(device.avail_at(2), 2) == memory.load(device.used_at(2), 2) == rounds
        assert device.empty


def test_a_start_that_cannot_be(tmp_path: Path) -> None:
    """A driver that declines the queue is a start that is not there, in one line."""
    assert tmp_path.is_dir()
    with pytest.raises(StartError, match="create returned -22"):
        take_start(build_driver(MINIMAL), replace(QueueConfig(4), queue_size=3), 0)


def test_a_path_made_concrete(fresh: Start) -> None:
    """The run has values of the path: segments of one seed, words, picks, and the allocation that fails."""
    lengths = [z3.BitVec(f"length{at}", 32) for at in range(2)]
    segments = tuple(
        Segment(z3.BitVec(f"data{at}", 64), z3.BitVec(f"address{at}", 64), length, write=at == 1)
        for at, length in enumerate(lengths)
    )
    flags, event, used = z3.BitVec("flags", 16), z3.BitVec("event", 16), z3.BitVec("used", 32)
    far = z3.UGT(segments[0].address, BUFFER_ADDRESS + 0x8_0000)
    fails = (fails_at("op1", 2), z3.Not(fails_at("op1", 1)))
    path = [z3.UGT(lengths[1], 70_000), far, event == 77, flags == 1, *fails]
    steps = (
        Tell(flags, event),
        Add("op1", segments, 1, null=False),
        Complete(0, used, lengths[1]),
        Ask(Code.GET),
    )
    run = concrete(replace(fresh, rounds=5), path, steps)
    assert not isinstance(run, str)
    rounds, set_flags, set_event, add, read, complete, get = run.operations
    assert (rounds.code, rounds.a) == (Code.ROUNDS, 5)
    assert (set_flags.a, set_event.a) == (1, 77)
    assert (add.a, add.in_, add.flags, add.c) == (1, 1, OpFlag.FAIL_ALLOC, 2)
    assert segment(add.b, 0)[0] > 0x8_0000
    assert segment(add.b, 1)[1] > 70_000
    assert [one.code for one in (read, complete, get)] == [Code.READ, Code.COMPLETE, Code.GET]


def test_a_path_that_no_run_takes(fresh: Start) -> None:
    """Values that the harness never gives cannot be run, and that is said."""
    piece = Segment(z3.BitVec("data", 64), z3.BitVec("address", 64), z3.BitVec("length", 32), write=False)
    run = concrete(fresh, [piece.address == 16], (Add("op0", (piece,), 1, null=False),))
    assert run == "the path has no values among those the harness can give"
