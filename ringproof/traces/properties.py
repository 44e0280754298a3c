"""What must hold on a concrete run: the properties by their slugs, evaluated on a reference and its device.

Written on bytes and Python objects, apart from the formulas of the bounded search; names of properties and
of their parts are the same, so that the two can be compared. What a single call did wrong the ledger says;
here is what must hold of every state between operations.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..impl.harness.operations import Code, Op, Result
from ..impl.harness.reference_runner import QueueConfig, ReferenceRunner, Snapshot, Violation
from .ledger import U16, Account, Breach, Chain, Ledger

_NEXT = 1
_INDIRECT = 4
MOST_UNKICKED = U16
"""How many chains may be published without a kick: with one more, num_added says 0."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment between two operations, to go back to with :meth:`Watched.restore`."""

    runner: Snapshot
    ledger: Account
    ended: bool


_LONG_START = 1024  # rounds, which take a second per 30,000; fewer are run again
_STARTS_KEPT = 8
_STARTS: OrderedDict[tuple[type, QueueConfig, Op], tuple[Mark, Result, tuple[Breach, ...]]] = OrderedDict()
"""Where runs of a reference stand that begin with many rounds: the class of its queue tells it apart."""


class Watched:
    """A runner whose operations are checked one by one; create it before the first operation."""

    def __init__(self, runner: ReferenceRunner) -> None:
        self.runner = runner
        self._ledger = Ledger(runner)
        self._ended = False

    def step(self, op: Op) -> tuple[Result | None, list[Breach]]:
        """Run one operation; its result, None if a violation cut it short, and every property it broke.

        After DETACH_UNUSED, which takes chains back that the device still has, nothing is checked any more.
        Raises OperationError for an operation that cannot be asked.
        """
        key = (type(self.runner.queue), self.runner.config, op)
        begins_long = op.code == Code.ROUNDS and op.a >= _LONG_START and not self.runner.operations
        if begins_long and key in _STARTS:
            _STARTS.move_to_end(key)
            mark, told, breaches = _STARTS[key]
            self.restore(mark)
            return told, list(breaches)
        result, found = self._step(op)
        if begins_long and result is not None:
            _STARTS[key] = (self.snapshot(), result, tuple(found))
            if len(_STARTS) > _STARTS_KEPT:
                _STARTS.popitem(last=False)
        return result, found

    def _step(self, op: Op) -> tuple[Result | None, list[Breach]]:
        result: Result | None = None
        found: list[Breach] = []
        try:
            result = self.runner.step(op)
        except Violation as violation:
            found.append(Breach(violation.property, "", violation.detail))
        self._ended = self._ended or op.code == Code.DETACH_UNUSED
        if self._ended:
            self._ledger.breaches.clear()
            return result, []
        found = [*self._ledger.breaches, *state_breaches(self._ledger), *found]
        self._ledger.breaches.clear()
        return result, found

    def snapshot(self) -> Mark:
        """The moment as it is now, with what the ledger knows."""
        return Mark(self.runner.snapshot(), self._ledger.snapshot(), self._ended)

    def restore(self, mark: Mark) -> None:
        """Go back to a moment of this run, or of another with the same configuration and reference."""
        self.runner.restore(mark.runner)
        self._ledger.restore(mark.ledger)
        self._ended = mark.ended

    def outstanding(self) -> tuple[int, int, int, int]:
        """How many chains the device has not read, holds, has completed untaken; and how many are not kicked.

        All 0 is a queue at rest.
        """
        ledger = self._ledger
        return len(ledger.unread), len(self.runner.device.in_flight), len(ledger.untaken), ledger.unkicked


def state_breaches(ledger: Ledger) -> list[Breach]:
    """Every part of a property that does not hold of the state between two operations."""
    return [Breach(slug, part, sentence) for slug, part, check in _STATE_CHECKS for sentence in check(ledger)]


def _chains_read_back(ledger: Ledger) -> Iterator[str]:
    desc = ledger.runner.queue.desc
    size = ledger.runner.config.queue_size
    for chain in ledger.chains.values():
        read = [chain.head]
        if desc.flags[chain.head] & _INDIRECT:
            continue
        while desc.flags[read[-1]] & _NEXT and len(read) <= size:
            read.append(desc.next[read[-1]])
            if read[-1] >= size:
                break
        if tuple(read) != chain.descriptors:
            more = " and goes on" if len(read) > size else ""
            yield (
                f"the chain of head {chain.head} was given descriptors {_list(chain.descriptors)}, "
                f"but following NEXT from it reads {' -> '.join(str(d) for d in read[:size])}{more}"
            )


def _free_list(ledger: Ledger) -> list[int]:
    """As many descriptors from free_head on as num_free says, at most one more than there are."""
    queue, size = ledger.runner.queue, ledger.runner.config.queue_size
    here, walk = queue.free_head, []
    for _ in range(min(max(queue.num_free, 0), size + 1)):
        walk.append(here)
        if here >= size:
            break
        here = queue.desc.next[here]
    return walk


def _counts_free(ledger: Ledger) -> Iterator[str]:
    free, num_free = ledger.free(), ledger.runner.queue.num_free
    if num_free != len(free):
        yield f"num_free is {num_free}, but the descriptors in no chain are {len(free)}: {_list(free)}"


def _holds_only_free(ledger: Ledger) -> Iterator[str]:
    walk, size = _free_list(ledger), ledger.runner.config.queue_size
    if any(number in ledger.owner or number >= size for number in walk):
        yield (
            f"the free list of {ledger.runner.queue.num_free} reads {_list(walk)}, "
            f"but the descriptors in no chain are {_list(ledger.free())}"
        )


def _no_cycle(ledger: Ledger) -> Iterator[str]:
    walk = _free_list(ledger)
    if len(set(walk)) != len(walk):
        yield f"the free list of {ledger.runner.queue.num_free} comes back on itself: {_list(walk)}"


def _none_lost(ledger: Ledger) -> Iterator[str]:
    walk = set(_free_list(ledger))
    lost = [number for number in ledger.free() if number not in walk]
    if lost:
        which = f"descriptors {_list(lost)} are" if len(lost) > 1 else f"descriptor {lost[0]} is"
        yield f"{which} in no chain and not on the free list"


def _in_place(ring: str, entries: list[int], start: int, chains: list[Chain]) -> Iterator[str]:
    for place, chain in enumerate(chains[: len(entries)]):
        slot = (start + place) & (len(entries) - 1)
        if entries[slot] != chain.head:
            yield (
                f"slot {slot} of the {ring} ring should hold head {chain.head}, which nobody has taken yet, "
                f"but holds {entries[slot]}"
            )


def _unread_in_place(ledger: Ledger) -> Iterator[str]:
    runner = ledger.runner
    ring = list(runner.queue.avail.ring[: runner.config.queue_size]) if ledger.unread else []
    return _in_place("available", ring, runner.device.next_avail, ledger.unread)


def _untaken_in_place(ledger: Ledger) -> Iterator[str]:
    runner = ledger.runner
    ring = list(runner.queue.used.id[: runner.config.queue_size]) if ledger.untaken else []
    return _in_place("used", ring, ledger.returned, ledger.untaken)


def _returned_is_forgotten(ledger: Ledger) -> Iterator[str]:
    for head, token in enumerate(ledger.runner.queue.data):
        chain = ledger.chains.get(token) if token is not None else None
        if token is not None and (chain is None or chain.head != head):
            yield f"the driver still holds token {token} for a chain that was returned"


def _avail_idx(ledger: Ledger) -> Iterator[str]:
    avail_idx = ledger.runner.queue.avail.idx
    if avail_idx != ledger.published:
        yield f"avail_idx is {avail_idx} after {ledger.published} published chains (modulo 65536)"


def _used_idx(ledger: Ledger) -> Iterator[str]:
    used_idx = ledger.runner.queue.used.idx
    if used_idx != ledger.completed:
        yield f"used_idx is {used_idx} after {ledger.completed} completed chains (modulo 65536)"


def _last_used_idx(ledger: Ledger) -> Iterator[str]:
    last_used_idx = ledger.runner.queue.last_used_idx
    if last_used_idx != ledger.returned:
        yield f"last_used_idx is {last_used_idx} after {ledger.returned} returned chains (modulo 65536)"


def _kick_before_wrap(ledger: Ledger) -> Iterator[str]:
    if ledger.unkicked > MOST_UNKICKED:
        yield (
            f"{ledger.unkicked} chains were published since the last kick and num_added is "
            f"{ledger.runner.queue.num_added}: it wrapped, and a kick that is asked for now is lost"
        )


_STATE_CHECKS: tuple[tuple[str, str, Callable[[Ledger], Iterator[str]]], ...] = (
    ("chain-well-formed", "reads-back", _chains_read_back),
    ("num-free-exact", "counts-free", _counts_free),
    ("free-list-sound", "holds-only-free", _holds_only_free),
    ("free-list-sound", "no-cycle", _no_cycle),
    ("no-leak-no-double-allocation", "none-lost", _none_lost),
    ("avail-slot-not-overwritten", "unread-in-place", _unread_in_place),
    ("used-slot-not-overwritten", "untaken-in-place", _untaken_in_place),
    ("token-returned-once", "returned-is-forgotten", _returned_is_forgotten),
    ("indices-faithful", "avail_idx", _avail_idx),
    ("indices-faithful", "used_idx", _used_idx),
    ("indices-faithful", "last_used_idx", _last_used_idx),
    ("forced-kick-sufficient", "num_added-cannot-wrap", _kick_before_wrap),
)

PARTS: dict[str, dict[str, str]] = {
    "bad-ring-never": {
        "not-broken": "get never finds an entry that it must refuse, so the queue is not broken",
    },
    "no-leak-no-double-allocation": {
        "takes-only-free": "add takes only descriptors that are in no chain",
        "none-lost": "every descriptor in no chain is on the free list",
    },
    "chain-well-formed": {
        "reads-back": "following NEXT from each head reads the chain as it was added",
    },
    "num-free-exact": {
        "counts-free": "num_free is the number of descriptors in no chain",
    },
    "free-list-sound": {
        "holds-only-free": "every descriptor on the free list is in no chain",
        "no-cycle": "the free list comes back to no descriptor",
    },
    "avail-slot-not-overwritten": {
        "ring-not-lapped": "no more chains wait to be read than the available ring has slots",
        "unread-in-place": "every chain published and not read stands in its slot of the available ring",
    },
    "used-slot-not-overwritten": {
        "ring-not-lapped": "no more chains wait to be taken back than the used ring has slots",
        "untaken-in-place": "every chain completed and not returned stands in its slot of the used ring",
    },
    "device-reads-outstanding": {
        "in-flight": "the device reads only heads of chains that are in flight",
        "not-held": "the device reads no head that it holds already",
    },
    "token-returned-once": {
        "due-token-comes": "get returns a token whenever a completed chain waits",
        "right-token": "get returns the token of the chain that was completed first",
        "nothing-undue": "get returns nothing when no completed chain waits",
        "returned-is-forgotten": "the driver holds no token of a chain that was returned",
    },
    "indices-faithful": {
        "avail_idx": "avail_idx is the number of chains published, modulo 65536",
        "used_idx": "used_idx is the number of chains completed, modulo 65536",
        "last_used_idx": "last_used_idx is the number of chains returned, modulo 65536",
    },
    "need-event-exact": {
        "no-kick-lost": "a kick that the device asked for notifies it",
        "no-kick-in-vain": "a kick that the device did not ask for does not notify it",
    },
    "forced-kick-sufficient": {
        "num_added-cannot-wrap": "no more than 65535 chains are published without a kick",
    },
    "callbacks-rearmed": {
        "used_event-follows": "while callbacks are enabled, used_event follows last_used_idx",
    },
    "full-ring-notifies": {
        "refusal-notifies": "an add that is refused for want of descriptors notifies the device",
    },
}
"""Every part of every property, by slug and name, in words that say what holds when it holds."""


def _list(numbers: list[int] | tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"
