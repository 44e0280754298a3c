"""The ledger of a run: what a driver was given and what it owes, kept from outside while operations run."""

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..impl.harness.reference_runner import ReferenceRunner

U16 = 0xFFFF
_INDIRECT = 4
_NO_NOTIFY = 1


@dataclass(frozen=True, slots=True)
class Breach:
    """A property that does not hold: its slug, which part of it, and one sentence with the numbers."""

    property: str
    conjunct: str
    sentence: str

    def of(self, property: str, conjunct: str = "") -> bool:
        """Whether it is one of a property, or of one part of it.

        Where the device or the driver stopped, only the property is known, so that counts for each part.
        """
        return self.property == property and (not conjunct or self.conjunct in ("", conjunct))

    @builtins.property
    def id(self) -> str:
        """Property and part, as ``need-event-exact/no-kick-lost``."""
        return f"{self.property}/{self.conjunct}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that was added and not returned: its token, and its descriptors in order, head first."""

    token: int
    descriptors: tuple[int, ...]

    @property
    def head(self) -> int:
        """Its first descriptor."""
        return self.descriptors[0]


@dataclass(frozen=True, slots=True)
class Account:
    """What :meth:`Ledger.snapshot` keeps."""

    chains: Mapping[int, Chain]
    unread: tuple[Chain, ...]
    untaken: tuple[Chain, ...]
    counters: tuple[int, int, int, int, int]
    owner: Mapping[int, int]


class Ledger:
    """Keeps account of every add, kick, read, complete and get of a runner, inside ROUNDS too.

    It stands between the runner and its queue and device and looks at what each call changed. ``chains``
    are those outstanding, by token; ``unread`` those published and not read, ``untaken`` those completed
    and not returned, both oldest first; ``published``, ``completed`` and ``returned`` count modulo 2^16,
    ``unkicked`` without bound. What went wrong in a call is added to ``breaches``.
    """

    def __init__(self, runner: ReferenceRunner) -> None:
        self.runner = runner
        self.chains: dict[int, Chain] = {}
        self.owner: dict[int, int] = {}
        self.unread: list[Chain] = []
        self.untaken: list[Chain] = []
        self.published = self.completed = self.returned = self.unkicked = 0
        self.breaches: list[Breach] = []
        self._idx_before_add: int | None = None
        self._kicks = 0
        queue: Any = runner.queue
        device: Any = runner.device
        queue.add = self._watched_add(queue.add)
        queue.kick_prepare = self._watched_kick(queue.kick_prepare)
        queue.get_buf = self._watched_get(queue.get_buf)
        device.read = self._watched_read(device.read)
        device.complete = self._watched_complete(device.complete)

    def _breach(self, slug: str, part: str, sentence: str) -> None:
        self.breaches.append(Breach(slug, part, sentence))

    def snapshot(self) -> Account:
        """What it knows between two operations, for :meth:`restore`; the breaches are left out."""
        counters = (self.published, self.completed, self.returned, self.unkicked, self._kicks)
        return Account(dict(self.chains), tuple(self.unread), tuple(self.untaken), counters, dict(self.owner))

    def restore(self, account: Account) -> None:
        """Go back to what was known then; the runner has to go back as well."""
        self.chains, self.owner = dict(account.chains), dict(account.owner)
        self.unread, self.untaken = list(account.unread), list(account.untaken)
        self.published, self.completed, self.returned, self.unkicked, self._kicks = account.counters
        self._idx_before_add = None
        self.breaches.clear()

    def free(self) -> list[int]:
        """The descriptors that belong to no outstanding chain."""
        return [number for number in range(self.runner.config.queue_size) if number not in self.owner]

    # -- the driver -------------------------------------------------------------------------------------

    def _watched_add(self, add: Callable[..., int]) -> Callable[..., int]:
        runner = self.runner
        queue = runner.queue

        def watched(out: Any, in_: Any, token: Any) -> int:
            segments, here, walk = len(out) + len(in_), queue.free_head, []
            for _ in range(min(segments, queue.queue_size)):
                walk.append(here)
                here = queue.desc.next[here] if here < queue.queue_size else here
            notifications, kicks, num_free = runner.notifications, self._kicks, queue.num_free
            self._idx_before_add = queue.avail.idx
            try:
                status = add(out, in_, token)
            finally:
                self._idx_before_add = None
            if status == 0:
                direct = not queue.desc.flags[walk[0]] & _INDIRECT
                self._added(token, walk if direct else walk[:1], num_free)
            elif status == -28 and out:
                told = runner.notifications > notifications
                asked = self._kicks > kicks and not queue.profile.notifies_full_ring_always
                if not told and not asked:
                    self._breach(
                        "full-ring-notifies",
                        "refusal-notifies",
                        f"add was refused with num_free {num_free} and the device was not notified",
                    )
            return status

        return watched

    def _added(self, token: int, descriptors: list[int], num_free: int) -> None:
        size = self.runner.config.queue_size
        taken = [d for at, d in enumerate(descriptors) if d in self.owner or d in descriptors[:at]]
        if taken:
            free = ", ".join(str(number) for number in self.free()) or "none"
            self._breach(
                "no-leak-no-double-allocation",
                "takes-only-free",
                f"add took descriptor {taken[0]}, which belongs to another chain (free were {free}; "
                f"num_free said {num_free})",
            )
        if len(self.unread) >= size:
            self._breach(
                "avail-slot-not-overwritten",
                "ring-not-lapped",
                f"add published a chain while all {size} slots held chains the device has not read",
            )
        chain = Chain(token, tuple(descriptors))
        self.chains[token] = chain
        self.owner.update(dict.fromkeys(descriptors, token))
        self.unread.append(chain)
        self.published = (self.published + 1) & U16
        self.unkicked += 1

    def _watched_kick(self, prepare: Callable[[], bool]) -> Callable[[], bool]:
        queue = self.runner.queue

        def watched() -> bool:
            # A kick that add forces comes after avail_idx moved on and before add returns.
            forced = self._idx_before_add is not None and queue.avail.idx != self._idx_before_add
            announced, new = self.unkicked + forced, (self.published + forced) & U16
            old, event = (new - announced) & U16, queue.used.avail_event
            asleep = queue.used.flags & _NO_NOTIFY
            wanted = (event - old) & U16 < announced if queue.event else not asleep
            told = prepare()
            self._kicks += 1
            self.unkicked = -1 if forced else 0
            if told == bool(wanted):
                return told
            numbers = (
                f"{_chains(announced)} published since the last kick, avail_idx {old} to {new}, and "
                + (f"avail_event is {event}" if queue.event else f"used.flags is {queue.used.flags}")
            )
            part, what = (
                ("no-kick-in-vain", "the device was notified without having asked")
                if told
                else ("no-kick-lost", "the device asked for a notification and got none")
            )
            self._breach("need-event-exact", part, f"{numbers}: {what}")
            return told

        return watched

    def _watched_get(self, get_buf: Callable[[], Any]) -> Callable[[], Any]:
        runner = self.runner
        queue = runner.queue

        def watched() -> Any:
            used_idx, last_used_idx, broken = queue.used.idx, queue.last_used_idx, queue.broken
            got = get_buf()
            if queue.broken and not broken:
                head = queue.used.id[last_used_idx & (queue.queue_size - 1)]
                self._breach(
                    "bad-ring-never",
                    "not-broken",
                    f"get refused an entry and broke the queue; the slot it looked at holds id {head}, and "
                    + (f"{_chains(len(self.untaken))} completed and not returned"),
                )
                return got
            if broken:
                return got
            if got is None:
                if self.untaken:
                    self._breach(
                        "token-returned-once",
                        "due-token-comes",
                        f"{_chains(len(self.untaken))} completed and not returned (used_idx {used_idx}, "
                        f"last_used_idx {last_used_idx}), but get returned nothing",
                    )
                return got
            self._returned(got[0])
            return got

        return watched

    def _returned(self, token: int) -> None:
        queue = self.runner.queue
        if not self.untaken:
            self._breach(
                "token-returned-once",
                "nothing-undue",
                f"get returned token {token} though no completed chain waits",
            )
        elif self.untaken[0].token != token:
            self._breach(
                "token-returned-once",
                "right-token",
                f"get returned token {token}, but the chain completed first is that of token "
                f"{self.untaken[0].token}",
            )
        del self.untaken[:1]
        chain = self.chains.pop(token, None)
        for descriptor in chain.descriptors if chain else ():
            if self.owner.get(descriptor) == token:
                del self.owner[descriptor]
        self.returned = (self.returned + 1) & U16
        if queue.event and queue.callbacks_enabled() and queue.avail.used_event != queue.last_used_idx & U16:
            self._breach(
                "callbacks-rearmed",
                "used_event-follows",
                f"callbacks are enabled and last_used_idx moved to {queue.last_used_idx}, "
                f"but used_event is {queue.avail.used_event}",
            )

    # -- the device -------------------------------------------------------------------------------------

    def _watched_read(self, read: Callable[[int], tuple[int, int]]) -> Callable[[int], tuple[int, int]]:
        device, queue = self.runner.device, self.runner.queue

        def watched(limit: int) -> tuple[int, int]:
            known = len(device.in_flight)
            got = read(limit)
            for place in range(known, len(device.in_flight)):
                flight = device.in_flight[place]
                if queue.data[flight.head] is None:
                    self._breach(
                        "device-reads-outstanding",
                        "in-flight",
                        f"the device read head {flight.head}, which is no chain in flight",
                    )
                if any(flight.head == other.head for other in device.in_flight[:place]):
                    self._breach(
                        "device-reads-outstanding",
                        "not-held",
                        f"the device read head {flight.head}, which it holds already",
                    )
                del self.unread[:1]
            return got

        return watched

    def _watched_complete(self, complete: Callable[..., tuple[int, bool]]) -> Callable[..., tuple[int, bool]]:
        device = self.runner.device
        size = self.runner.config.queue_size

        def watched(pick: int, stride: int, count: int, *, total: bool = False) -> tuple[int, bool]:
            held = [chain.head for chain in device.in_flight]
            got = complete(pick, stride, count, total=total)
            for number in range(got[0]):
                at = 0 if device.in_order else (pick + number * stride) % len(held)
                head, last = held[at], held[-1]
                if device.in_order:
                    del held[0]
                else:
                    held[at] = last
                    held.pop()
                if len(self.untaken) >= size:
                    self._breach(
                        "used-slot-not-overwritten",
                        "ring-not-lapped",
                        f"the device completed while all {size} slots held entries the driver has not taken",
                    )
                token = self.owner.get(head, 0)
                self.untaken.append(self.chains.get(token, Chain(token, (head,))))
                self.completed = (self.completed + 1) & U16
            return got

        return watched


def _chains(count: int) -> str:
    return f"{count} chain was" if count == 1 else f"{count} chains were"
