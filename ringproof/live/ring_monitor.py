"""One split virtqueue as its device saw it, from QUEUE_START to QUEUE_STOP, judged record by record.

Sources: VIRTIO 1.3 sections 2.7 to 2.7.10 and 5.1.6.5.6. Kicks are judged by `kick_ledger`, chains by
`chain_monitor`, frames by `frame_monitor`.
"""

from . import negotiated as net
from .chain_monitor import ChainMonitor
from .frame_monitor import FrameMonitor
from .kick_ledger import KickLedger
from .mapped_memory import MappedMemory
from .records import (
    WHERE_DESCRIPTOR,
    WHERE_HEADER,
    WHERE_TABLE,
    Chain,
    Changed,
    FoundWords,
    QueueStart,
    QueueState,
    RecordingError,
    Sample,
    Suppress,
    Used,
    UsedChanged,
)
from .tallies import Check, Log, pair

LARGEST = 32_768
"""Entries that a split virtqueue can have."""
_U64 = (1 << 64) - 1
_PAGE = 4_096
_TABLE, _AVAIL, _USED = 1, 2, 3
_ALIGNMENTS = {_TABLE: 16, _AVAIL: 2, _USED: 4}
_CHANGES = {
    WHERE_DESCRIPTOR: Check.CHAIN_CHANGED,
    WHERE_TABLE: Check.TABLE_CHANGED,
    WHERE_HEADER: Check.HEADER_CHANGED,
}


def possible_size(size: int) -> bool:
    """Whether a split virtqueue may have ``size`` entries (section 2.7)."""
    return 0 < size <= LARGEST and size & (size - 1) == 0


def judge_start(log: Log, memory: MappedMemory, features: int, record: QueueStart) -> None:
    """Judges how a queue was set up (sections 2.7, 2.7.1, 2.7.2 and 2.7.10.1)."""
    size = record.size
    log.check(Check.QUEUE_SIZE, possible_size(size), size)
    events = 2 if features & net.EVENT_IDX else 0
    places = {
        _TABLE: (record.desc, 16 * size),
        _AVAIL: (record.avail, 4 + 2 * size + events),
        _USED: (record.used, 4 + 8 * size + events),
    }
    for part, (address, _) in places.items():
        log.check(Check.PARTS_ALIGNED, address % _ALIGNMENTS[part] == 0, part, address)
    there = {part: memory.covers(address, length) for part, (address, length) in places.items()}
    for part, (address, _) in places.items():
        log.check(Check.PARTS_PLACED, there[part], part, address)
    for part, other in ((_TABLE, _AVAIL), (_AVAIL, _USED), (_USED, _TABLE)):
        if there[part] and there[other]:
            (first, length), (second, other_length) = places[part], places[other]
            apart = first + length <= second or second + other_length <= first
            log.check(Check.PARTS_PLACED, apart, pair(part, other), second)
    if not features & net.VERSION_1:
        avail = (record.desc + 16 * size) & _U64
        used = (record.avail + 6 + 2 * size + _PAGE - 1) & _U64 & ~(_PAGE - 1)
        log.check(Check.LEGACY_LAYOUT, record.avail == avail, _AVAIL, record.avail)
        log.check(Check.LEGACY_LAYOUT, record.used == used, _USED, record.used)
    if record.found is not None:
        found = record.found
        log.check(Check.USED_FLAGS_START, found.used_flags == 0, found.used_flags)
        prepared = (found.avail_idx - record.base) & 0xFFFF
        log.check(Check.AVAIL_IDX_START, prepared <= size, found.avail_idx, record.base)


class RingMonitor:
    """Judges a queue that runs.

    ``features`` and ``mtu`` are those in force when it was started; ``enabled``: whether it was enabled then.
    """

    def __init__(
        self,
        log: Log,
        memory: MappedMemory,
        features: int,
        mtu: int,
        start: QueueStart,
        found: FoundWords,
        enabled: bool,
    ) -> None:
        self._log = log
        self._size = start.size
        self._sends = start.sends
        self._number = start.queue
        self._flags_code = Check.AVAIL_FLAGS_EVENT if features & net.EVENT_IDX else Check.AVAIL_FLAGS
        self._flags_allowed = 0 if features & net.EVENT_IDX else 1
        frames = FrameMonitor(log, features, mtu) if start.sends else None
        self.chains = ChainMonitor(log, memory, features, start.size, frames)
        self.kicks = KickLedger(
            log, features & net.EVENT_IDX != 0, start.base, found.used_flags, found.avail_event
        )
        self.ever_enabled = enabled
        self.halted = False
        self.published = self.used = 0
        self.avail_idx = start.base
        self.used_idx = found.used_idx

    def restore(self, state: QueueState) -> None:
        """Goes on from a checkpoint."""
        self.kicks.restore(state)
        self.chains.next_head = state.next_head
        self.halted = state.halted
        self.ever_enabled = state.enabled != 0
        self.published, self.used = state.published, state.used
        self.avail_idx, self.used_idx = state.avail_idx, state.used_idx

    def halt(self) -> None:
        """Nothing that comes after this is judged, until the queue is started again."""
        self.halted = True

    def sample(self, record: Sample) -> None:
        """A look at the driver's words."""
        if self.halted:
            return
        before = self.published
        if self._look(record.avail_idx, record.avail_flags):
            self.kicks.grown(before, self.published)

    def suppress(self, record: Suppress) -> None:
        """The device's words about kicks move, and it looks again."""
        if self.halted:
            return
        self.kicks.epoch_ends()
        if self._look(record.avail_idx, record.avail_flags):
            self.kicks.epoch_begins(record.used_flags, record.avail_event, record.avail_idx, self.published)

    def chain(self, record: Chain) -> None:
        """A chain is accepted, or carried over a checkpoint."""
        if record.carried:
            self.chains.carried(record)
        elif not self.halted:
            self.chains.accepted(record)

    def kick(self, count: int) -> None:
        """The driver has kicked."""
        if not self.halted:
            self.kicks.kicked(count, self.published)

    def quiet(self) -> None:
        """The device's patience is over."""
        if not self.halted:
            self.kicks.quiet(self.published)

    def complete(self, record: Used) -> None:
        """Chains are completed."""
        if self.halted:
            return
        self._judge_flags(record.avail_flags)
        self._log.check(Check.USED_WRITTEN, True)
        for entry, _, _ in record.completions:
            self.chains.completed(entry)
        self.used += len(record.completions)
        self.used_idx = record.after

    def changed(self, record: Changed) -> None:
        """Bytes of a chain that is out changed."""
        if self.halted:
            return
        chain = self.chains.chain(record.entry)
        if chain is None:
            raise RecordingError(f"entry {record.entry} is changed, which is not out")
        code = Check.UNSETTLED if record.at_once else _CHANGES[record.where]
        self._log.check(code, False, pair(record.index, chain.head), record.entry)

    def used_changed(self, record: UsedChanged) -> None:
        """The driver has written to the used ring."""
        if not self.halted:
            self._log.check(Check.USED_WRITTEN, False, record.byte, pair(record.must, record.found))

    def stop(self) -> None:
        """The queue stops; the last epoch is judged."""
        if not self.halted:
            self.kicks.epoch_ends()

    def _judge_flags(self, flags: int) -> None:
        self._log.check(self._flags_code, not flags & ~self._flags_allowed, flags)

    def _look(self, avail_idx: int, flags: int) -> bool:
        """Judges the driver's words; False if the queue was halted by that."""
        self._judge_flags(flags)
        last, self.avail_idx = self.avail_idx, avail_idx
        growth = (avail_idx - last) & 0xFFFF
        if not growth:
            return True
        outstanding = self.chains.outstanding
        self._hold(Check.AVAIL_BACKWARDS, growth <= self._size, last, avail_idx)
        if not self.halted:
            fits = outstanding + growth <= self._size
            self._hold(Check.TOO_MANY_OUTSTANDING, fits, outstanding, growth)
        if not self.halted and self._sends:
            self._hold(Check.QUEUE_NOT_ENABLED, self.ever_enabled, self._number, growth)
        if not self.halted:
            self.published += growth
        return not self.halted

    def _hold(self, code: Check, holds: bool, a: int, b: int) -> None:
        """A check whose failure halts the queue."""
        self._log.check(code, holds, a, b)
        if not holds:
            self.halted = True
