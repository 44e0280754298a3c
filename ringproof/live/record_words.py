"""Records in plain words, as a person would tell what the device saw and did."""

from collections.abc import Callable
from struct import Struct

from . import negotiated as net
from .records import (
    INTERRUPT_IDLE,
    INTERRUPT_SUPPRESSED,
    USED_BATCH,
    USED_INTERRUPT,
    WHERE_DESCRIPTOR,
    WHERE_TABLE,
    Chain,
    Changed,
    Checkpoint,
    CheckpointEnd,
    Features,
    Flow,
    Inject,
    Interrupt,
    Kick,
    Memory,
    Options,
    Phase,
    QueueEnable,
    QueueStart,
    QueueState,
    QueueStop,
    Quiet,
    Record,
    Sample,
    Stall,
    Status,
    Suppress,
    Tallies,
    Used,
    UsedChanged,
)

_FEW = 3
_SHOWN = 8
"""Bytes of a change that are shown."""
_DESCRIPTOR = Struct("<QIHH")
_WRITE, _INDIRECT = 2, 4
_INJECTIONS = {
    1: "a used id beyond the queue",
    2: "a used id that is no head of a chain that is out",
    3: "a chain completed twice",
    4: "used_idx goes further than what is out",
    5: "used_idx goes backwards",
    6: "a used length that cannot be",
    7: "descriptors of chains that are out rewritten",
    8: "the available ring rewritten",
    9: "a used entry changes after it was published",
    10: "used flags with all bits set",
    11: "no interrupt and no completion any more",
    12: "completions out of order though IN_ORDER was accepted",
    13: "a buffer that the device may only read overwritten",
}


class RecordWords:
    """Tells records one after the other; what stands in checkpoints is taken in, and not told.

    The words may hold characters from outside: they are for `printable`.
    """

    def __init__(self) -> None:
        self._event_idx = False
        self._inside = False
        self._avail_idx: dict[int, int] = {}
        self._tellers: dict[type[Record], Callable[..., str]] = {
            Options: self._options,
            Features: self._features,
            Memory: self._memory,
            Status: lambda record: f"device status {record.before:#x} -> {record.after:#x}",
            QueueStart: self._queue_start,
            QueueStop: lambda record: f"the queue stops at {record.base}",
            QueueEnable: lambda record: "the queue is enabled" if record.enabled else "the queue is disabled",
            Sample: self._sample,
            Chain: self._chain,
            Kick: lambda record: "kick" if record.count == 1 else f"{record.count} kicks",
            Suppress: self._suppress,
            Used: self._used,
            Interrupt: self._interrupt,
            Changed: self._changed,
            UsedChanged: self._used_changed,
            Quiet: lambda record: f"the kick that is owed has not come for {record.ms} ms",
            Phase: lambda record: f"the device from now on: {record.text}",
            Inject: self._inject,
            Stall: lambda record: f"no traffic for {record.ms} ms",
            Flow: lambda _: "the traffic that was waited for comes",
            Tallies: self._tallies,
        }

    def told(self, record: Record) -> str | None:
        """What ``record`` says; None if that is nothing by itself."""
        if isinstance(record, Checkpoint):
            self._inside = True
        elif isinstance(record, CheckpointEnd):
            self._inside = False
        elif isinstance(record, QueueState):
            self._avail_idx[record.queue] = record.avail_idx
        else:
            tell = self._tellers.get(type(record))
            words = tell(record) if tell else None
            return None if self._inside else words
        return None

    def _options(self, record: Options) -> str:
        return (
            f"the device offers {record.offered:#x}, an MTU of {record.mtu}, {record.patience_ms} ms to kick"
        )

    def _features(self, record: Features) -> str:
        self._event_idx = record.accepted & net.EVENT_IDX != 0
        late = ", while a queue runs" if record.running else ""
        return f"the driver accepts {record.accepted:#x}{late}"

    def _memory(self, record: Memory) -> str:
        size = sum(size for _, size in record.regions)
        return f"{_counted(len(record.regions), 'region')} of memory, {size} bytes"

    def _queue_start(self, record: QueueStart) -> str:
        self._avail_idx[record.queue] = record.base
        way = "to send" if record.sends else "to receive"
        places = ", ".join(f"{address:#x}" for address in (record.desc, record.avail, record.used))
        words = f"the queue starts, {way}: {record.size} entries at {places}"
        if record.found is None:
            return f"{words}; not all of it is in memory"
        return f"{words}; avail_idx {record.found.avail_idx}, used flags {record.found.used_flags}"

    def _look(self, record: Sample | Suppress) -> str:
        before = self._avail_idx.get(record.queue)
        self._avail_idx[record.queue] = record.avail_idx
        words = f"avail_idx {record.avail_idx}"
        if before is not None:
            moved = before != record.avail_idx
            words = f"avail_idx {before} -> {record.avail_idx}" if moved else f"avail_idx still {before}"
        return words

    def _wishes(self, avail_flags: int, used_event: int) -> str:
        if self._event_idx:
            flags = f", avail flags {avail_flags:#x}" if avail_flags else ""
            return f"used_event {used_event}{flags}"
        return f"avail flags {avail_flags:#x}"

    def _sample(self, record: Sample) -> str:
        return f"{self._look(record)}; {self._wishes(record.avail_flags, record.used_event)}"

    def _suppress(self, record: Suppress) -> str:
        if self._event_idx:
            asks = f"the device asks for a kick at entry {record.avail_event}"
            if record.used_flags:
                asks += f" (and sets used flags {record.used_flags:#x}, which mean nothing)"
        else:
            asks = "the device asks for " + ("no kicks" if record.used_flags & 1 else "kicks")
        return f"{asks}; {self._look(record)}; {self._wishes(record.avail_flags, record.used_event)}"

    def _chain(self, record: Chain) -> str:
        words = f"chain {record.entry}: head {record.head}"
        if not record.descriptors:
            return f"{words}, in slot {record.slot}; there is nothing new to read"
        length = 0
        parts = []
        lying = list(record.descriptors)
        for place, (index, data) in enumerate(lying):
            address, size, flags, _ = _DESCRIPTOR.unpack(data)
            if not flags & _INDIRECT:
                length += size
            if place < _FEW:
                parts.append(f"{index}: {_piece(address, size, flags)}")
        table = ""
        if record.table:
            count = len(record.table) // _DESCRIPTOR.size
            table = f", a table of {_counted(count, 'entry', 'entries')}"
            if record.frame is None:
                length += sum(size for _, size, _, _ in _DESCRIPTOR.iter_unpack(record.table))
        if record.frame is not None:
            length = record.frame.size
        more = ", ..." if len(lying) > _FEW else ""
        descriptors = _counted(len(lying), "descriptor")
        size = _counted(length, "byte")
        return f"{words}, {descriptors}{table}, {size} ({', '.join(parts)}{more})"

    def _used(self, record: Used) -> str:
        chains = [
            f"chain {entry} (id {name}, length {size})" for entry, name, size in record.completions[:_FEW]
        ]
        if len(record.completions) > _FEW:
            chains.append(f"... ({len(record.completions)} in all)")
        how = ", in one used entry" if record.flags & USED_BATCH and len(record.completions) > 1 else ""
        after = ", interrupt" if record.flags & USED_INTERRUPT else ""
        return f"used_idx {record.before} -> {record.after}: {', '.join(chains) or 'no chain'}{how}{after}"

    def _interrupt(self, record: Interrupt) -> str:
        if record.reason == INTERRUPT_SUPPRESSED:
            return "interrupt, though the driver asked for none"
        return "interrupt without news" if record.reason == INTERRUPT_IDLE else "interrupt"

    def _changed(self, record: Changed) -> str:
        where = f"byte {record.index} of the frame"
        if record.where == WHERE_DESCRIPTOR:
            where = f"descriptor {record.index}"
        elif record.where == WHERE_TABLE:
            where = f"entry {record.index} of its table"
        when = " right after it was read" if record.at_once else " though the device has it"
        return f"chain {record.entry}: {where} changed{when}: {_hex(record.was)} -> {_hex(record.now)}"

    def _used_changed(self, record: UsedChanged) -> str:
        return f"byte {record.byte} of the used ring holds {record.found}, the device wrote {record.must}"

    def _inject(self, record: Inject) -> str:
        what = _INJECTIONS.get(record.kind, f"injection {record.kind}")
        return f"the device breaks the rules: {what} ({record.first}, {record.second}); no more is judged"

    def _tallies(self, record: Tallies) -> str:
        checked = sum(tally.checked for tally in record.tallies.values())
        failed = sum(tally.failed for tally in record.tallies.values())
        return f"{checked} checks so far, of which {failed} failed"


def _piece(address: int, size: int, flags: int) -> str:
    kind = ", writable" if flags & _WRITE else ""
    if flags & _INDIRECT:
        kind = ", a table"
    return f"{size} bytes at {address:#x}{kind}"


def _hex(data: bytes) -> str:
    return data[:_SHOWN].hex(" ") + (" .." if len(data) > _SHOWN else "")


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
