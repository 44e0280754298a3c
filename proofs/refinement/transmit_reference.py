"""The Python reference's transmit path beside the model of a transmit queue, for every queue size at once.

SendQueue's own methods run; what they call is answered as for the C sources. The loop that reclaims is cut at
its third look for a chain: the second is made from any moment the invariants allow, and what the loop's own
variables hold has to be the same there, but for the chain that came back last. ``xmit_linear`` is taken to do
what its docstring says: bytes that are joined can't be followed with a length of any value.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from errno import EMSGSIZE, ENOMEM, ENOSPC
from types import FunctionType
from typing import Any

import z3

from ...model.scatterlist import MAX_SKB_FRAGS
from ...model.size import LARGEST
from ...model.transmit import Choice, Place, Transmit
from ..discharge import ObligationResult
from .deciding import Question, decide
from .explorer import Path, Run, explore
from .header_modules import module_of, rebound, source_of
from .header_numbers import value_of
from .refinement import Code
from .symbolic_int import term_of
from .transmit_lockstep import Lockstep, Point, Way

FUNCTIONS = ("start_xmit", "skb_xmit_done", "free_unused_bufs")
COUNTERS = ("tx_packets", "tx_bytes", "tx_fifo_errors", "tx_dropped")

_SIZE, _VERSION_1, _LENGTH = z3.Int("queue_size"), z3.Bool("version_1"), z3.Int("length")


def key(code: Code) -> str:
    """Return the sources that the questions are made of."""
    return source_of(code.reference, "network", "profile", "features")


def check(code: Code, function: str, linux: bool) -> list[ObligationResult]:
    """Follow a method beside the model in one profile. Raises Missing for what can't be followed."""
    key(code)
    return [decide(each, finite=True) for each in questions(code, function, linux)]


def questions(code: Code, function: str, linux: bool) -> Iterator[Question]:
    """Yield what is to be shown."""
    model = Transmit(linux=linux, version_1=_VERSION_1)
    lockstep = Lockstep(model, handling=function == "skb_xmit_done")
    point, known = lockstep.begun(Place.REMOVED if function == "free_unused_bufs" else Place.IDLE)
    given = {"size": z3.And(_SIZE >= 1, _SIZE <= LARGEST), "length": z3.And(_LENGTH >= 0, _LENGTH < 1 << 32)}
    given |= {f"moment {n}": fact for n, fact in enumerate((model.facts(), *known)) if fact is not True}
    solver = z3.Solver()
    solver.add(*given.values())
    yield Question(f"{function}: there are such moments", (), solver.check() == z3.sat)

    def program(run: Run) -> None:
        with suppress(_Cut):
            _Following(run, code, lockstep, point).follow(function)

    def show(found: z3.ModelRef) -> dict[str, Any]:
        plain = {"queue_size": _SIZE, "length": _LENGTH, "version_1": _VERSION_1}
        return {name: value_of(term, found) for name, term in plain.items()}

    found = explore(program, given)
    yield Question(f"{function}: every moment takes a way that was followed", (), found.tree, (given,), show)
    for path in found.paths:
        yield from _of_path(function, path, show)


def _of_path(function: str, path: Path[None], show: Any) -> Iterator[Question]:
    if path.error is not None:
        what = f"{function}: no error is raised ({type(path.error).__name__}: {path.error})"
        yield Question(what, path.conditions, False, (dict(path.known),), show)
    for due in path.due:
        yield Question(f"{function}: {due.what}", path.conditions, due.goal, (dict(path.known),), show)


class _Cut(BaseException):
    """The path ends at a loop that was cut. No Exception, so that no code catches it."""


@dataclass
class _Skb:
    """A frame of the stack."""

    token: Any
    len: Any
    control: Any = None
    most_frags: Any = 0


class _Copies:
    """The table of copies: which frames have one is open; those that are given one are known."""

    def __init__(self, following: "_Following") -> None:
        self.following = following

    def __bool__(self) -> bool:
        return self.following.lockstep.model.linux is not True

    def __contains__(self, token: Any) -> bool:
        return self.following.chain_has_copy(token)

    def pop(self, token: Any) -> tuple[Any, Any]:
        """Give a copy up."""
        return self.following.copy_of(token)


class _Following:
    """One run of one method: it is virtqueue, stack and arena to it."""

    def __init__(self, run: Run, code: Code, lockstep: Lockstep, point: Point) -> None:
        self.run, self.code, self.lockstep, self.point = run, code, lockstep, point
        self.model = lockstep.model
        self.looks = 0
        self.locals: dict[str, Any] = {}
        self.chain: _Skb | None = None
        self.before: _Skb | None = None
        self.done: Any = None
        self.before_done: Any = None
        self.freed = True
        self.copied: bool | None = None
        self.released = True
        self.skb: _Skb | None = None
        self.cause: Any = False
        self.pieces: Any = None
        self.checked = self.headed = self.mapped = self.named = self.sent = self.dropped = False
        self.orphaned = False
        self.entry: Any = None
        self.queue_size = run.number(_SIZE)

    # What is run.

    def follow(self, function: str) -> None:
        """Run the method, and owe what has to hold where it returns."""
        network = module_of(self.code.reference, "network")
        profiles = module_of(self.code.reference, "profile")
        stubs = {
            "virtio_net_hdr_possible": self.possible,
            "virtio_net_hdr": self.header,
            "skb_to_sgvec": self.sgvec,
            "sg_set_buf": self.set_buf,
            "for_each_sg": self.each,
        }
        surroundings = dict(vars(network)) | stubs
        methods = {
            name: rebound(value, surroundings)
            for name, value in vars(network.SendQueue).items()
            if isinstance(value, FunctionType) and name != "__init__"
        }
        methods["xmit_linear"] = self.linear
        made = type("SendQueue", (), methods)
        queue = self.queue = made()
        queue.number, queue.header_size = 3, self.run.integer("header_size")
        queue.arena = queue.memory = queue.vq = self
        queue.stack = _Stack(self)
        queue.features = self.run.integer("features")
        queue.profile = profiles.LINUX_3_11 if self.model.linux is True else profiles.VIRTIO_1_X
        queue.sg, queue._data_sg, queue.copies = [object()], object(), _Copies(self)
        queue.room = self.run.number(self.model.room())
        self.count()
        arguments: tuple[Any, ...] = ()
        if function == "start_xmit":
            self.go(self.lockstep.begin(self.point))
            most = self.run.integer("most_frags")
            self.skb = _Skb(self.run.address(z3.Int("token")), self.run.number(_LENGTH), object(), most)
            arguments = (self.skb,)
        getattr(queue, function)(*arguments)
        if function == "free_unused_bufs":
            self.settled()
            self.owe("no chain is left", self.point.state.in_flight == 0)
            return
        self.go(self.lockstep.returned(self.point))
        self.settled()
        if self.skb is not None:
            self.owe("the frame is in the ring, or freed", self.sent != self.dropped)
            self.owe("a frame in the ring was orphaned", self.sent == self.orphaned)

    def count(self) -> None:
        """Let the counters be those of the moment."""
        for name in COUNTERS:
            setattr(self.queue, name, self.run.number(getattr(self.point.state, name)))

    # How.

    def owe(self, what: str, goal: Any) -> None:
        """Note what has to be shown; what plainly fails ends the path."""
        goal = goal if isinstance(goal, z3.BoolRef) else bool(goal)
        self.run.require(what, goal)
        if goal is False:
            raise _Cut

    def go(self, way: Way) -> None:
        """Let the model go a way."""
        for what, goal in way.due:
            self.owe(what, goal)
            if goal is not True:
                self.run.assume({"due": goal})
        self.run.assume({f"fact {n}": fact for n, fact in enumerate(way.facts)})
        self.point = way.point

    def chosen(self, ways: list[Way]) -> Way:
        """Go one of the ways that together are all there are; the others are gone in other runs."""
        for number, way in enumerate(ways[:-1]):
            if self.run.decide(z3.Bool(self.run.fresh(f"way {number}"))):
                self.go(way)
                return way
        self.go(ways[-1])
        return ways[-1]

    def settled(self) -> None:
        """Owe that the last chain is done with and the counters are the model's."""
        self.owe("the frame of each chain that came back is freed", self.freed)
        self.owe("and its copy released", self.released)
        if isinstance(self.point.state.at, int):
            for name in COUNTERS:
                right = term_of(getattr(self.queue, name)) == getattr(self.point.state, name)
                self.owe(f"{name} is the model's", right)

    # The virtqueue.

    @property
    def num_free(self) -> Any:
        """The virtqueue's own count of free descriptors."""
        return self.run.number(self.point.state.num_free)

    def get_buf(self) -> Any:
        """Return nothing, or a chain's frame and how many bytes were written."""
        self.settled()
        self.round(sys._getframe(1), self.lockstep.again)
        way = self.chosen(self.lockstep.get(self.point))
        if way.value is not True:
            self.looks = 0
            return None
        assert way.choice is not None
        return self.came(way.choice), self.run.integer(self.run.fresh("written"))

    def detach_unused_buf(self) -> Any:
        """Return a frame still in flight, or nothing."""
        self.settled()
        changed = ("num_free", "published", "frame", "times_freed")
        self.round(sys._getframe(1), lambda point: self.lockstep.renewed(point, changed))
        way = self.chosen(self.lockstep.detached(self.point))
        if way.value is not True:
            return None
        assert way.choice is not None
        return self.came(way.choice)

    def came(self, choice: Choice) -> _Skb:
        """Make the frame of a chain that came back."""
        self.before, self.copied, self.released, self.freed = self.chain, None, True, False
        token = self.run.address(z3.Int(self.run.fresh("token")))
        self.chain = _Skb(token, self.run.number(choice.size))
        return self.chain

    def round(self, frame: Any, again: Callable[[Point], tuple[Point, tuple[Any, ...]]]) -> None:
        """Cut the loop around a look: the second is made from any moment, the third ends the path."""
        self.looks += 1
        now = dict(frame.f_locals)
        if self.looks == 2:
            self.locals, self.first = now, self.chain
            self.point, facts = again(self.point)
            self.run.assume({f"fact {n}": fact for n, fact in enumerate(facts)})
            self.count()
        if self.looks == 3:
            same = now.keys() == self.locals.keys() and all(
                value is self.locals[name] or self._is_last(value, self.locals[name])
                for name, value in now.items()
            )
            self.owe("a round of the loop needs nothing of those before", same)
            raise _Cut

    def _is_last(self, value: Any, old: Any) -> bool:
        """Tell whether a variable holds the chain that came back last, as it did a round before."""
        if isinstance(value, tuple) and isinstance(old, tuple):
            return value[0] is self.chain and old[0] is self.first
        return value is self.chain and old is self.first

    def add(self, out: Any, within: Any, token: Any) -> int:
        """Take the frame into the ring, or refuse it for want of room."""
        self.owe("the frame itself is the token", token is self.skb)
        self.owe("nothing for the device to write to", len(within) == 0)
        self.owe("header and data were prepared", self.headed and self.mapped and self.named)
        whole = len(out) == 1 and out[0] == self.entry
        self.owe("the segments are those of the table", whole)
        return self.added(1 + self.pieces)

    def added(self, segments: Any) -> int:
        """Let the model add a chain of so many segments, or find no room."""
        point, choice = self.lockstep.choice(self.point)
        choice = replace(choice, pieces=self.pieces, unfit=False)
        way = self.chosen(self.lockstep.add(point, choice, segments))
        if way.value is True:
            self.sent = True
            return 0
        self.cause = True
        return -ENOSPC

    def linear(self, skb: Any, pieces: Any) -> int:
        """What xmit_linear is taken to do."""
        self.owe(
            "the frame itself is copied, with its pieces", skb is self.skb and term_of(pieces).eq(self.pieces)
        )
        plain = self.pieces + 1 > _SIZE
        self.owe(
            "only a frame that is too long for the ring is copied",
            z3.And(plain, z3.Not(self.model.linux is True)),
        )
        if self.run.decide(z3.Bool(self.run.fresh("no memory"))):
            self.cause = True
            return -ENOMEM
        return self.added(z3.If(_VERSION_1, 1, 2))

    def kick(self) -> None:
        """Notify the device."""
        self.settled()
        self.go(self.lockstep.kick(self.point))

    def enable_cb_delayed(self) -> bool:
        """Ask for an interrupt later; false if it may be too late for one."""
        self.settled()
        self.looks = 0
        return bool(self.chosen(self.lockstep.delayed(self.point)).value)

    def disable_cb(self) -> None:
        """Ask for no interrupt."""
        self.settled()
        self.go(self.lockstep.disabled(self.point))

    # The stack and the arena.

    def told(self, queue: Any, move: Callable[[Point], Way]) -> None:
        """Let the stack be told of this queue."""
        self.settled()
        self.owe("the stack is told of this queue", queue == 3)
        self.go(move(self.point))

    def stop_queue(self, queue: Any) -> None:
        """No frame must come."""
        self.told(queue, self.lockstep.stopped)

    def start_queue(self, queue: Any) -> None:
        """Frames may come again."""
        self.owe("start_xmit starts, the callback wakes", not self.lockstep.handling)
        self.told(queue, self.lockstep.started)

    def wake_queue(self, queue: Any) -> None:
        """Frames may come again, from an interrupt."""
        self.owe("start_xmit starts, the callback wakes", self.lockstep.handling)
        self.told(queue, self.lockstep.started)

    def release(self, address: Any, size: Any) -> None:
        """Take a copy's memory back."""
        self.owe("what is released is the copy", address == "copy" and size == "size" and not self.released)
        self.released = True

    def chain_has_copy(self, token: Any) -> bool:
        """Tell whether the frame of the chain at hand was copied."""
        self.owe("the chain's own frame is asked for", self.chain is not None and token is self.chain.token)
        if self.copied is None:
            self.copied = self.run.decide(z3.Bool(self.run.fresh("copied")))
            self.released = not self.copied
        return self.copied

    def copy_of(self, token: Any) -> tuple[Any, Any]:
        """Return the copy of the chain's frame."""
        self.owe("a copy is given up that there is", self.chain_has_copy(token))
        return "copy", "size"

    # What is proved elsewhere.

    def possible(self, skb: Any, features: Any, profile: Any) -> bool:
        """virtio_net_hdr_possible."""
        right = skb is self.skb and features is self.queue.features and profile is self.queue.profile
        self.owe("the frame is checked, with the features accepted", right)
        self.checked = self.run.decide(z3.Bool(self.run.fresh("possible")))
        self.cause = z3.Or(self.cause, not self.checked)
        return self.checked

    def sgvec(self, skb: Any, table: Any, offset: Any, length: Any) -> Any:
        """skb_to_sgvec."""
        right = skb is self.skb and table is self.queue._data_sg and offset == 0
        right = right and self.skb is not None and length is self.skb.len
        self.owe("the whole frame is mapped behind the header's entry", right)
        if self.run.decide(z3.Bool(self.run.fresh("too many"))):
            self.cause = True
            return -EMSGSIZE
        pieces = z3.Int(self.run.fresh("pieces"))
        self.run.assume({"pieces": z3.And(pieces >= 1, pieces <= 1 + MAX_SKB_FRAGS)})
        self.pieces, self.mapped = pieces, True
        return self.run.number(pieces)

    def view(self, address: Any, size: Any) -> Any:
        """Memory for a header."""
        right = self.skb is not None and address is self.skb.control and size is self.queue.header_size
        self.owe("the header's memory is the frame's own, as large as negotiated", right)
        return "header"

    def header(self, skb: Any, memory: Any, profile: Any) -> None:
        """virtio_net_hdr."""
        right = skb is self.skb and memory == "header" and profile is self.queue.profile
        self.owe("the frame's own header is written, if it was checked", right and self.checked)
        self.headed = True

    def set_buf(self, entry: Any, address: Any, length: Any) -> None:
        """sg_set_buf."""
        right = entry is self.queue.sg[0] and self.skb is not None and address is self.skb.control
        self.owe("the first entry names the header", right and length is self.queue.header_size)
        self.named = True

    def each(self, table: Any) -> Iterator[Any]:
        """for_each_sg: one entry that stands for all up to the one that is marked."""
        self.owe("the whole table is offered", table is self.queue.sg)
        page, offset, length = (self.run.fresh(name) for name in ("page", "offset", "size"))
        entry = _Entry(page, "+" + offset, length)
        self.entry = entry.page + entry.offset, entry.length
        yield entry


@dataclass(frozen=True)
class _Entry:
    page: str
    offset: str
    length: str


class _Stack:
    """The stack, which is told of frames and of the queue."""

    def __init__(self, following: _Following) -> None:
        self.following = following
        self.stop_queue = following.stop_queue
        self.start_queue = following.start_queue
        self.wake_queue = following.wake_queue

    def freed(self, token: Any) -> None:
        """The frame is the stack's again."""
        _freed(self.following, token)

    def orphaned(self, token: Any) -> None:
        """Nobody needs to wait for the frame."""
        _orphaned(self.following, token)


def _freed(self: _Following, token: Any) -> None:
    if self.chain is not None and not self.freed:
        self.owe("the frame of the chain that came back is freed", token is self.chain.token)
        self.freed = True
        return
    right = self.skb is not None and token is self.skb.token and not self.dropped
    self.owe("the frame that is freed is the one that start_xmit has, once", right)
    self.dropped = True
    none = z3.IntVal(0)
    choice = Choice(mine=True, pieces=none, unfit=True, indirect=False, length=none, size=none)
    assert self.skb is not None
    why = z3.Or(self.cause, _LENGTH == 0, term_of(self.skb.most_frags) > MAX_SKB_FRAGS)
    self.go(self.lockstep.dropped(self.point, choice, why))


def _orphaned(self: _Following, token: Any) -> None:
    right = self.skb is not None and token is self.skb.token and not self.orphaned
    self.owe("the frame that was sent is orphaned, once", right)
    self.owe(*self.lockstep.at(self.point, Place.ROOM))
    self.orphaned = True
