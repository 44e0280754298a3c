"""The model of the transmit queue beside the Python reference: random runs, the same moment after each step.

The reference's whole driver runs on a device; the model takes its own steps on numbers. The model is told
only what a ``Choice`` leaves open (which frame, of how many pieces, which chain came back) and how many
chains the device completed: every decision of the driver is its own, and must be the reference's.
"""

import random
from dataclasses import dataclass, replace
from itertools import product

import pytest

from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import (
    EBUSY,
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    Event,
    EventKind,
    NetCode,
    NetConfig,
    Op,
)
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.impl.harness.operations import OpFlag
from ringproof.model.transmit import Choice, Handler, Place, State, Transmit
from ringproof.model.transmit import Frame as Fate
from ringproof.proofs.mutants.transmit import MUTANTS
from ringproof.proofs.transmit_claims import COUNTED, FREED, ORDER, ROOM, SETTLED, WAKING

OPERATIONS = 120
MOST_PIECES = 18
TX = 1
"""The virtqueue of the one transmit queue."""

DRIVER = (*Transmit.start_xmit, "silence", "wake_blindly", "wake")
"""Steps that the driver takes by itself once it has begun."""


def _frame(rng: random.Random, pieces: int, kind: str) -> Frame:
    """Return a frame of so many pieces that hold data, and some that hold none."""
    fragments = [Fragment(rng.randrange(100), rng.randbytes(rng.randrange(1, 9))) for _ in range(pieces - 1)]
    in_list = max(0, pieces - 1 - 17)
    if rng.random() < 0.3 and pieces > 2:
        in_list = max(in_list, rng.randrange(1, pieces - 1))
    own = fragments[: len(fragments) - in_list]
    if len(own) < 17 and rng.random() < 0.3:
        own.insert(rng.randrange(len(own) + 1), Fragment(0, b""))
    rest = fragments[len(fragments) - in_list :]
    packets = tuple(Packet(b"", tuple(rest[at : at + 17])) for at in range(0, len(rest), 17))
    packet = Packet(rng.randbytes(rng.randrange(14, 60)), tuple(own), packets)
    if kind == "unknown":
        return Frame(packet, gso=Gso.UNKNOWN, gso_size=100)
    return Frame(packet, checksum=kind == "checksum")


NOTHING = Choice(mine=False, pieces=1, unfit=False, indirect=False, length=1, size=0)
"""The choice of a step that leaves nothing open."""


@dataclass(frozen=True)
class Sent:
    """A chain: the frame it carries, the descriptors it takes, and the frame's bytes."""

    token: int
    taken: int
    size: int


class Both:
    """A driver of the reference with its device, and the model, kept in step."""

    def __init__(self, config: NetConfig, rng: random.Random, model: type[Transmit] = Transmit) -> None:
        self.rng, self.config = rng, config
        kinds = ["plain"] * 8 + ["unknown", "checksum"]
        self.pieces = [rng.choice((1, 1, 2, 3, 8, 15, 17, MOST_PIECES, 20)) for _ in range(40)]
        self.kinds = [rng.choice(kinds) for _ in self.pieces]
        frames = [_frame(rng, *each) for each in zip(self.pieces, self.kinds, strict=True)]
        self.sizes = [len(frame.data) for frame in frames]
        self.runner = NetRunner(config, frames)
        assert self.runner.step(Op(NetCode.PROBE)).status == 0
        self.queue = self.runner.info.send_queues[0]
        device = self.runner.device.queue(TX)
        assert device is not None
        self.device = device
        self.linux = config.profile == "linux-3.11"
        self.event_idx = bool(config.features & F_EVENT_IDX)
        self.indirect = bool(config.features & F_INDIRECT_DESC)
        self.model = model(
            config.queue_size,
            linux=self.linux,
            event_idx=self.event_idx,
            version_1=config.transport == "modern",
        )
        assert self.model.facts() is True
        self.state: State = self.model.initial()
        self.invariants = [*ROOM, *FREED, ORDER, *SETTLED, COUNTED]
        if not self.linux or config.queue_size >= self.model.longest:
            self.invariants += WAKING
        if model is not Transmit:
            self.invariants.clear()  # What a mutant breaks is to be seen beside the reference.
        self.heads: dict[int, Sent] = {}
        self.sending = 0
        self.watched: int | None = None
        self.freed_before = 0
        self.told: list[tuple[int, int]] = []
        self.taken: set[str] = set()
        self.compare()

    # The model.

    def go(self, name: str, choice: Choice | None = None) -> None:
        """Let the model take a step, which must be possible, and note what it means to the stack.

        Every invariant holds afterwards, in the middle of an operation, too.
        """
        before, step = self.state, self.model.take(name, self.state, choice or NOTHING)
        assert step.guard is True, (name, before)
        self.state = after = step.after
        self.taken.add(name)
        assert [each.name for each in self.invariants if not each.holds(self.model, after)] == []
        if name == "kick":
            self.told.append((EventKind.ORPHANED, self.sending))
        elif name == "test_room" and after.stopped:
            self.told.append((EventKind.STOPPED, 0))
        elif name == "restart" and not after.stopped:
            self.told.append((EventKind.WOKEN if before.callback else EventKind.STARTED, 0))
        elif name in ("wake", "wake_blindly") and not after.stopped:
            self.told.append((EventKind.WOKEN, 0))
        elif name == "drop":
            self.told.append((EventKind.FREED, self.sending))

    def drive(self, choice: Choice, complete: int = 0) -> None:
        """Let the driver go on until it rests; the device completes chains when it is notified.

        That is at the kick, or when virtqueue_add finds the ring full.
        """
        while True:
            full = self.state.at == Place.XMIT and self.model.take("drop", self.state, choice).guard
            if complete and (full or self.state.at == Place.KICK):
                self.complete(complete)
                complete = 0
            possible = [
                name
                for name in DRIVER
                if name not in ("begin", "get") and self.model.take(name, self.state, choice).guard
            ]
            at_used = self.state.at in (Place.RECLAIM, Place.RECLAIM_AGAIN)
            if at_used and self.state.used != self.state.last_used:
                assert not possible
                self.get()
            elif possible:
                (name,) = possible
                self.go(name, choice)
            else:
                break
        assert self.state.at == Place.IDLE
        assert not complete

    def get(self) -> None:
        """Let the driver get back the chain that the used ring tells of."""
        self.back("get", self.heads.pop(self.device.completed(self.state.last_used)))

    def back(self, name: str, chain: Sent) -> None:
        """Let a frame come back."""
        mine = chain.token == self.watched
        self.told.append((EventKind.FREED, chain.token))
        self.go(name, Choice(mine, 1, False, False, chain.taken, chain.size))

    def complete(self, count: int) -> bool:
        """Let the device complete chains, and test for an interrupt once; tell whether one is due."""
        for _ in range(count):
            self.go("complete")
        quiet = replace(self.state, interrupt=False)
        due = self.model.take("test", quiet, NOTHING).after.interrupt
        self.go("test")
        return bool(due)

    # Operations on both.

    def xmit(self) -> None:
        """Hand over a frame that the driver does not hold, to a device that may be quick."""
        held = self.runner.stack.held
        number = self.rng.choice([n for n in range(len(self.pieces)) if n + 1 not in held])
        no_memory = self.rng.random() < 0.15
        quick = self.rng.choice((0, 0, 0, 1, 1, 2, 100))
        s, freed_before = self.state, self.freed(number + 1)
        result = self.runner.step(
            Op(NetCode.XMIT, flags=OpFlag.FAIL_ALLOC if no_memory else 0, a=number, b=quick)
        )
        if s.stopped:
            assert result.status == EBUSY
            return
        pieces, kind = self.pieces[number], self.kinds[number]
        wide = 1 + pieces > self.config.queue_size
        unfit = (
            kind == "unknown"
            or pieces > MOST_PIECES
            or (kind == "checksum" and not self.linux)
            or (wide and not self.linux and no_memory)
        )
        mine = s.frame == Fate.UNBORN and self.rng.random() < 0.2
        indirect = self.indirect and not no_memory
        choice = Choice(mine, min(pieces, MOST_PIECES), unfit, indirect, 0, 0)
        self.sending = number + 1
        if self.watched == self.sending:
            self.watched = None  # It was freed, and is another frame from now on.
        if mine:
            self.watched, self.freed_before = self.sending, freed_before
        self.go("begin", choice)
        while self.state.used != self.state.last_used:
            self.get()
            self.go("rearm")
        if result.avail_idx != s.published:
            # Only now: the head may be that of a chain just got back.
            head = self.device.published(s.published)
            self.heads[head] = Sent(self.sending, self.model.taken(choice), self.sizes[number])
        self.drive(choice, result.used_idx - s.used)

    def interrupt(self) -> None:
        """Run the handler, if ISR says that there is something for it to do."""
        used, asked = self.state.used != self.state.last_used, self.state.interrupt
        result = self.runner.step(Op(NetCode.INTERRUPT))
        assert result.status == int(used and asked)
        if asked:
            self.go("answer")
            self.go("ask")
            if self.state.handler == Handler.CALLED and not self.linux:
                self.go("call")
            self.drive(NOTHING)
        assert self.state.handler == Handler.NONE

    def serve(self) -> None:
        """Let the device read chains and complete some, in any order."""
        step, rng = self.runner.step, self.rng
        step(Op(NetCode.NET_READ, in_=TX, a=rng.randrange(3)))
        if self.event_idx:
            step(Op(NetCode.NET_SET_AVAIL_EVENT, flags=OpFlag.RELATIVE, in_=TX))
        pick, stride, count = (rng.randrange(8) for _ in range(3))
        result = step(Op(NetCode.NET_COMPLETE, in_=TX, a=pick, b=stride, c=count))
        if result.status:
            assert self.complete(result.status) is bool(result.length)

    def disturb(self) -> None:
        """Interrupt without news."""
        self.runner.step(Op(NetCode.RAISE, a=1))
        self.go("interrupt_without_news")

    def remove(self) -> None:
        """Take the driver away: whatever it still holds is freed, in the order of heads."""
        self.runner.step(Op(NetCode.REMOVE))
        self.go("remove")
        for head in sorted(self.heads):
            self.back("detach", self.heads[head])
        self.heads.clear()
        self.compare()
        assert self.state.in_flight == 0
        assert self.state.num_free == self.config.queue_size

    # What must be the same.

    def freed(self, token: int) -> int:
        """Count how often the reference freed a frame."""
        return self.runner.stack.events.count(Event(EventKind.FREED, token))

    def compare(self) -> None:
        """Compare all that the model keeps."""
        s, queue, runner = self.state, self.queue, self.runner
        vq = queue.vq
        counters = s.tx_packets, s.tx_bytes, s.tx_fifo_errors, s.tx_dropped
        assert (queue.statistics, vq.num_free) == (counters, s.num_free)
        assert (s.in_flight, s.stopped) == (len(runner.stack.held), 0 in runner.stack.stopped)
        assert s.last_used == vq.last_used_idx
        if s.at != Place.REMOVED:
            assert (s.published, s.used) == (vq.avail.idx, vq.used.idx)
            assert s.interrupt is bool(runner.registers.isr & 1)
            assert s.no_interrupt is not vq.callbacks_enabled()
            if self.linux or self.event_idx:
                assert s.used_event == vq.avail.used_event
        assert self.told == [tuple(event) for event in runner.stack.events]
        if self.watched is not None:
            assert s.times_freed == self.freed(self.watched) - self.freed_before

    def play(self, operations: int) -> None:
        """Play so many random operations, and the removal."""
        choices = [self.xmit] * 4 + [self.serve] * 3 + [self.interrupt] * 2 + [self.disturb]
        for _ in range(operations):
            self.rng.choice(choices)()
            self.compare()
        self.remove()


def _configurations() -> list[NetConfig]:
    found = []
    for profile, transport, features, queue_size in product(
        ("linux-3.11", "virtio-1.x"),
        ("legacy", "modern"),
        (0, F_EVENT_IDX, F_INDIRECT_DESC, F_EVENT_IDX | F_INDIRECT_DESC),
        (1, 2, 16, 32, 64),
    ):
        if (profile, transport, queue_size) != ("virtio-1.x", "legacy", 1):
            found.append(NetConfig(queue_size, features, transport, profile))
    return found


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
@pytest.mark.parametrize("features", [0, F_EVENT_IDX, F_INDIRECT_DESC, F_EVENT_IDX | F_INDIRECT_DESC])
def test_the_model_and_the_reference_go_the_same_way(profile: str, features: int) -> None:
    """On every size and transport the two agree after each operation, and every driver's step is taken."""
    taken: set[str] = set()
    for number, config in enumerate(_configurations()):
        if (config.profile, config.features) == (profile, features):
            both = Both(config, random.Random(number))
            both.play(OPERATIONS)
            taken |= both.taken
    blindly = {"silence", "wake_blindly"}
    assert taken == set(Transmit.steps) - ({"call", "wake"} if profile == "linux-3.11" else blindly)


@pytest.mark.parametrize("mutant", [*MUTANTS])
def test_a_defect_in_the_model_alone_is_noticed(mutant: str) -> None:
    """With any of the transmit queue's mutants in place of the model, some run no longer agrees."""
    for number, config in enumerate(_configurations()):
        both = Both(config, random.Random(number), MUTANTS[mutant].model)
        try:
            both.play(OPERATIONS)
        except AssertionError:
            return
    pytest.fail(f"{mutant} goes the same way as the reference")
