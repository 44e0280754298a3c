"""What the answers to virtio_net.c's calls share: what is owed, what memory holds, where the model is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from ...model.scatterlist import MAX_SKB_FRAGS
from ...model.transmit import Choice
from ..symbolic.environment import Answers, Environment
from ..symbolic.ir import Place as Source
from ..symbolic.state import Ended, Site, State
from ..symbolic.values import NULL, Field, Object, Pointer, plain
from .transmit_lockstep import Due, Lockstep, Point, Way
from .transmit_objects import Sent, Tail, World, is_pointer_to, unused

U32 = 1 << 32
MOST_PIECES = 1 + MAX_SKB_FRAGS


@dataclass(frozen=True)
class Chain:
    """A chain that came back, and its frame: what is still to be done with them."""

    record: Object
    sent: Sent
    copy: Object | None
    counted: bool = True
    freed: bool = False
    released: bool = False


@dataclass(frozen=True)
class Sending:
    """The frame that start_xmit was given, and how far it is.

    ``cause``: xmit_skb has to fail. ``marks``: which entries of the table are known to be marked, and not.
    """

    sent: Sent
    pieces: Any = None
    checked: bool = False
    headed: bool = False
    cause: Any = False
    marks: tuple[tuple[Any, bool], ...] = ()
    copy: Object | None = None
    copied: bool = False
    released: bool = False
    record: Object | None = None
    orphaned: bool = False
    freed: bool = False


class Following(Environment):
    """Keeps the model beside the code, and answers where the code reads its list of records."""

    def __init__(self, world: World, lockstep: Lockstep) -> None:
        super().__init__(unwind=4)
        self.world = world
        self.lockstep = lockstep
        self._made = 0

    # Memory.

    def load(self, state: State, made: Object, field: str, index: Any, place: Source) -> Answers | None:
        """Read a pointer into the list of records not in use: of a list known by its length, it splits."""
        del index
        if field not in ("unused", "next"):
            return None
        held = state.read(made, field)
        if not isinstance(held, Tail):
            return None
        found: Answers = []
        for some in (False, True):
            way = state.fork()
            try:
                way.assume(plain(held.length >= 1 if some else held.length == 0))
            except Ended:
                continue
            if not self.feasible(way):
                continue
            value: Any = NULL
            if some:
                record = self.world.record(way, self._mark(), next=Tail(held.length - 1))
                value = Pointer(record)
            way.write(made, field, value)
            found.append((way, value))
        del place
        return found

    def store(
        self, state: State, made: Object, field: str, index: Any, value: Any, place: Source
    ) -> list[State] | None:
        """Owe that the virtqueue is left to virtqueue.c."""
        del index, value
        if made is self.world.queue and (field.startswith("vq.") or field in ("num_free", "queue_size")):
            Site(state, self, place).oblige("transmit", "only virtqueue.c writes to the virtqueue", False)
        return None

    def _mark(self) -> str:
        self._made += 1
        return f"'{self._made}"

    def _records(self, point: Point) -> Any:
        """How many records are not in use: one more than descriptors, less those in flight."""
        return self.world.model.queue_size + 1 - point.state.in_flight

    def _block(self, state: State) -> Object:
        """Make a block of memory, with anything in it."""
        mark = self._mark()
        size = z3.Int(f"copy_bytes{mark}")
        state.assume(size >= 1)
        return self._memory(state, mark, size)

    def _memory(self, state: State, mark: str, size: Any) -> Object:
        made = Object(
            f"copy{mark}",
            (Field("byte", 0, 1, 1, 0, size),),
            size=size,
            align=64,
            handle=z3.Int(f"copy{mark}"),
        )
        byte = z3.Function(f"copy{mark}", z3.IntSort(), z3.IntSort())
        state.add(made, {"byte": byte})
        return made

    # How.

    def _being_sent(self, site: Site) -> Sending:
        sending: Sending | None = site.state.extra.get("sending")
        self._owe(site, "there is a frame to send", sending is not None and not sending.freed)
        assert sending is not None
        return sending

    def _as_chosen(self, sending: Sending) -> Choice:
        none = z3.IntVal(0)
        pieces = none if sending.pieces is None else sending.pieces
        return Choice(mine=True, pieces=pieces, unfit=True, indirect=False, length=none, size=none)

    def _entry(self, site: Site, pointer: Any) -> int:
        for number in range(2):
            if is_pointer_to(pointer, self.world.queue, self.world.sg(number)):
                return number
        self._owe(site, "the entry is the first or the second of the queue's table", False)
        raise Ended

    def _one(self, site: Site, move: Callable[[Point], Way]) -> Answers:
        self._settled(site)
        way = move(site.state.extra["point"])
        return [(self._gone(site, way, site.state), None)]

    def _gone(self, site: Site, way: Way, state: State) -> State:
        """Let the model go a way: what is due is owed, what is known is assumed, memory follows."""
        here = Site(state, self, site.place)
        for what, goal in way.due:
            self._owe(here, what, goal)
        for fact in way.facts:
            state.assume(plain(fact))
        state.extra["point"] = way.point
        state.write(self.world.queue, "num_free", way.point.state.num_free)
        return state

    def _settled(self, site: Site, but: Chain | None = None) -> None:
        """Owe that the chain that came back last is done with, and the queue's numbers are the model's."""
        state = site.state
        chain: Chain | None = state.extra.get("chain")
        if chain is not None and but is None:
            self._owe(
                site,
                "the frame of each chain that came back is freed, before the next is looked for",
                chain.freed,
            )
            copied = chain.copy is None or chain.released
            self._owe(site, "and its copy released", copied)
            state.extra["chain"] = None
        point: Point = state.extra["point"]
        if but is not None or self._alone(point):
            counts = (0, 0) if but is None or but.counted else (1, but.sent.length)
            self._owe_all(site, self.world.differences(state, point.state, *counts))
            self._owe_records(site, point, but)

    def _alone(self, point: Point) -> bool:
        """Tell whether nobody else works on the queue's numbers: not so for linux-3.11's callback."""
        return isinstance(point.state.at, int)

    def _owe_records(self, site: Site, point: Point, but: Chain | None) -> None:
        sending: Sending | None = site.state.extra.get("sending")
        try:
            known, rest = unused(site.state, self.world)
        except ValueError as error:
            self._owe(site, f"the list of records not in use is one ({error})", False)
            return
        out = 0 if but is None else 1
        right = equal(rest + len(known) + out, self._records(point))
        if sending is None or sending.freed or sending.record is not None or sending.pieces is None:
            self._owe(site, "each record is not in use, or stands for a chain in flight", right)

    def _owe_all(self, site: Site, due: Sequence[Due]) -> None:
        """Owe each of these."""
        for what, goal in due:
            self._owe(site, what, goal)

    def _owe(self, site: Site, what: str, goal: Any) -> None:
        site.oblige("transmit", what, plain(goal))


def equal(one: Any, other: Any) -> Any:
    """Return whether two numbers are the same, as a formula."""
    same = one == other
    return z3.BoolVal(same) if isinstance(same, bool) else same
