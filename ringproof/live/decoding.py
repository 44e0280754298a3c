"""Bytes to records: what stands in one segment of a recording, told apart and checked.

The layout is that of impl/live/record.h. Nothing here is believed: whatever bytes come, they are records, or
MalformedError says which byte is wrong and why.
"""

from collections.abc import Callable, Iterator
from struct import Struct

from .records import (
    CARRIED,
    INTERRUPT_IDLE,
    TABLE_KEPT,
    VERSION,
    WHERE_DESCRIPTOR,
    WHERE_HEADER,
    WHERE_TABLE,
    Chain,
    Changed,
    Checkpoint,
    CheckpointEnd,
    Features,
    Flow,
    FoundWords,
    Frame,
    Inject,
    Interrupt,
    Kick,
    Kind,
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
from .tallies import Check, Tally


class MalformedError(Exception):
    """Bytes that are no record: what is wrong, and at which byte of those given."""

    def __init__(self, byte: int, what: str) -> None:
        super().__init__(what)
        self.byte = byte
        self.what = what


_U8, _U16, _U32, _U64 = Struct("<B"), Struct("<H"), Struct("<I"), Struct("<Q")
_CHECKPOINT = Struct("<QQH")
_OPTIONS = Struct("<QIH")
_FEATURES = Struct("<QB")
_REGION = Struct("<QQ")
_STATUS = Struct("<BB")
_QUEUE_START = Struct("<IQQQHBB")
_FOUND = Struct("<HHHHH")
_SAMPLE = Struct("<HHH")
_CHAIN = Struct("<QHHBH")
_DESCRIPTOR = Struct("<H16s")
_FRAME = Struct("<QH")
_FRAME_END = Struct("<HB")
_SUPPRESS = Struct("<HHHHH")
_USED = Struct("<HHBH")
_COMPLETION = Struct("<QII")
_USED_END = Struct("<HH")
_CHANGED = Struct("<QBBIB")
_USED_CHANGED = Struct("<IHH")
_INJECT = Struct("<BQQ")
_TALLY = Struct("<HQQQQQ")
_QUEUE_WORDS = Struct("<QQHHHHHHQI")
_QUEUE_TRUTHS = Struct("<BBBBBB")
_QUEUE_COUNTS = Struct("<QQQQ")


class Payload:
    """The bytes of one record, taken from the front."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def take(self, shape: Struct) -> tuple[int, ...]:
        """The numbers of one ``shape``."""
        at = self.at
        if at + shape.size > self.end:
            raise MalformedError(at, f"it has {self.end - at} bytes left where {shape.size} are due")
        self.at = at + shape.size
        return shape.unpack_from(self.data, at)

    def take_bytes(self, count: int) -> bytes:
        """So many bytes."""
        at = self.at
        if at + count > self.end:
            raise MalformedError(at, f"it has {self.end - at} bytes left where {count} are due")
        self.at = at + count
        return self.data[at : self.at]

    def take_all(self, shape: Struct) -> tuple[tuple[int, ...], ...]:
        """All that is left, as so many ``shape``."""
        left = self.end - self.at
        if left % shape.size:
            raise MalformedError(self.at, f"the {left} bytes left are not a multiple of {shape.size}")
        at, self.at = self.at, self.end
        return tuple(shape.iter_unpack(self.data[at : self.end]))

    def refuse(self, holds: bool, what: str) -> None:
        """Raises MalformedError at the byte before the next unless it ``holds``."""
        if not holds:
            raise MalformedError(max(self.at - 1, 0), what)


Maker = Callable[[Payload, int, int, int], Record]


def _checkpoint(payload: Payload, number: int, _at: int, queue: int) -> Checkpoint:
    next_number, at, version = payload.take(_CHECKPOINT)
    payload.refuse(
        version == VERSION, f"the recording is of version {version}, this program reads version {VERSION}"
    )
    payload.refuse(next_number > 0, "the next record has the number 0")
    return Checkpoint(number, at, queue, next_number, version)


def _checkpoint_end(payload: Payload, number: int, at: int, queue: int) -> CheckpointEnd:
    left_out = payload.take(_U32)[0] if payload.at < payload.end else 0
    return CheckpointEnd(number, at, queue, left_out)


def _options(payload: Payload, number: int, at: int, queue: int) -> Options:
    offered, patience_ms, mtu = payload.take(_OPTIONS)
    return Options(number, at, queue, offered, patience_ms, mtu)


def _features(payload: Payload, number: int, at: int, queue: int) -> Features:
    accepted, running = payload.take(_FEATURES)
    return Features(number, at, queue, accepted, running != 0)


def _memory(payload: Payload, number: int, at: int, queue: int) -> Memory:
    regions = tuple((address, size) for address, size in payload.take_all(_REGION))
    return Memory(number, at, queue, regions)


def _status(payload: Payload, number: int, at: int, queue: int) -> Status:
    before, after = payload.take(_STATUS)
    return Status(number, at, queue, before, after)


def _queue_start(payload: Payload, number: int, at: int, queue: int) -> QueueStart:
    size, desc, avail, used, base, sends, whether = payload.take(_QUEUE_START)
    payload.refuse(sends <= 1, f"{sends} is no direction")
    found = FoundWords(*payload.take(_FOUND)) if whether else None
    return QueueStart(number, at, queue, size, desc, avail, used, base, sends == 1, found)


def _queue_stop(payload: Payload, number: int, at: int, queue: int) -> QueueStop:
    return QueueStop(number, at, queue, *payload.take(_U16))


def _queue_enable(payload: Payload, number: int, at: int, queue: int) -> QueueEnable:
    return QueueEnable(number, at, queue, payload.take(_U8)[0] != 0)


def _sample(payload: Payload, number: int, at: int, queue: int) -> Sample:
    avail_idx, avail_flags, used_event = payload.take(_SAMPLE)
    return Sample(number, at, queue, avail_idx, avail_flags, used_event)


def _chain(payload: Payload, number: int, at: int, queue: int) -> Chain:
    entry, slot, head, flags, count = payload.take(_CHAIN)
    payload.refuse(flags in (0, CARRIED), f"a chain with the flags {flags:#x}")
    lying = payload.take_bytes(count * _DESCRIPTOR.size)
    descriptors = tuple(_DESCRIPTOR.iter_unpack(lying))
    (kept,) = payload.take(_U32)
    payload.refuse(kept % 16 == 0, f"{kept} bytes of a table are no whole entries")
    payload.refuse(kept <= TABLE_KEPT, f"{kept} bytes of a table, more than are ever kept")
    table = payload.take_bytes(kept)
    frame = None
    if payload.at < payload.end:
        size, count = payload.take(_FRAME)
        payload.refuse(count <= size, f"a prefix of {count} bytes of a frame of {size}")
        prefix = payload.take_bytes(count)
        total, whole = payload.take(_FRAME_END)
        frame = Frame(size, prefix, total, whole != 0)
    return Chain(number, at, queue, entry, slot, head, flags != 0, descriptors, table, frame)


def _kick(payload: Payload, number: int, at: int, queue: int) -> Kick:
    return Kick(number, at, queue, *payload.take(_U64))


def _suppress(payload: Payload, number: int, at: int, queue: int) -> Suppress:
    return Suppress(number, at, queue, *payload.take(_SUPPRESS))


def _used(payload: Payload, number: int, at: int, queue: int) -> Used:
    before, after, flags, count = payload.take(_USED)
    payload.refuse(flags <= 7, f"used entries with the flags {flags:#x}")
    lying = payload.take_bytes(count * _COMPLETION.size)
    completions = tuple(_COMPLETION.iter_unpack(lying))
    avail_flags, used_event = payload.take(_USED_END)
    return Used(number, at, queue, before, after, flags, completions, avail_flags, used_event)


def _interrupt(payload: Payload, number: int, at: int, queue: int) -> Interrupt:
    (reason,) = payload.take(_U8)
    payload.refuse(reason <= INTERRUPT_IDLE, f"{reason} is no reason for an interrupt")
    return Interrupt(number, at, queue, reason)


def _changed(payload: Payload, number: int, at: int, queue: int) -> Changed:
    entry, where, at_once, index, count = payload.take(_CHANGED)
    known = (WHERE_DESCRIPTOR, WHERE_TABLE, WHERE_HEADER)
    payload.refuse(where in known, f"a change at a place of kind {where}, which there is not")
    was = payload.take_bytes(count)
    now = payload.take_bytes(count)
    return Changed(number, at, queue, entry, where, at_once != 0, index, was, now)


def _used_changed(payload: Payload, number: int, at: int, queue: int) -> UsedChanged:
    return UsedChanged(number, at, queue, *payload.take(_USED_CHANGED))


def _quiet(payload: Payload, number: int, at: int, queue: int) -> Quiet:
    return Quiet(number, at, queue, *payload.take(_U32))


def _phase(payload: Payload, number: int, at: int, queue: int) -> Phase:
    begins = payload.at
    try:
        text = payload.take_bytes(payload.end - begins).decode()
    except UnicodeDecodeError as error:
        raise MalformedError(begins + error.start, "a phase that is not UTF-8") from None
    return Phase(number, at, queue, text)


def _inject(payload: Payload, number: int, at: int, queue: int) -> Inject:
    return Inject(number, at, queue, *payload.take(_INJECT))


def _stall(payload: Payload, number: int, at: int, queue: int) -> Stall:
    return Stall(number, at, queue, *payload.take(_U32))


def _tallies(payload: Payload, number: int, at: int, queue: int) -> Tallies:
    tallies: dict[Check, Tally] = {}
    while payload.at < payload.end:
        begins = payload.at
        code, *numbers = payload.take(_TALLY)
        if code not in Check.__members__.values():
            raise MalformedError(begins, f"a tally of {code}, which is no check")
        if code in tallies:
            raise MalformedError(begins, f"two tallies of {Check(code).name}")
        tallies[Check(code)] = Tally(*numbers)
    return Tallies(number, at, queue, tallies)


def _queue_state(payload: Payload, number: int, at: int, queue: int) -> QueueState:
    published, used, *words, armed, next_head = payload.take(_QUEUE_WORDS)
    used_idx, used_flags, avail_event, avail_idx, avail_flags, used_event = words
    obliged, credit, distracting, distracted_kick, halted, enabled = payload.take(_QUEUE_TRUTHS)
    epoch_kicks, epoch_wanted, lost_at, owed_since = payload.take(_QUEUE_COUNTS)
    return QueueState(
        number,
        at,
        queue,
        published=published,
        used=used,
        used_idx=used_idx,
        used_flags=used_flags,
        avail_event=avail_event,
        avail_idx=avail_idx,
        avail_flags=avail_flags,
        used_event=used_event,
        armed=armed,
        next_head=next_head,
        obliged=obliged != 0,
        credit=credit != 0,
        distracting=distracting != 0,
        distracted_kick=distracted_kick != 0,
        halted=halted != 0,
        enabled=enabled,
        epoch_kicks=epoch_kicks,
        epoch_wanted=epoch_wanted,
        lost_at=lost_at,
        owed_since=owed_since,
    )


_MAKERS: dict[int, Maker] = {
    Kind.CHECKPOINT: _checkpoint,
    Kind.CHECKPOINT_END: _checkpoint_end,
    Kind.OPTIONS: _options,
    Kind.FEATURES: _features,
    Kind.MEMORY: _memory,
    Kind.STATUS: _status,
    Kind.QUEUE_START: _queue_start,
    Kind.QUEUE_STOP: _queue_stop,
    Kind.QUEUE_ENABLE: _queue_enable,
    Kind.SAMPLE: _sample,
    Kind.CHAIN: _chain,
    Kind.KICK: _kick,
    Kind.SUPPRESS: _suppress,
    Kind.USED: _used,
    Kind.INTERRUPT: _interrupt,
    Kind.CHANGED: _changed,
    Kind.USED_CHANGED: _used_changed,
    Kind.QUIET: _quiet,
    Kind.PHASE: _phase,
    Kind.INJECT: _inject,
    Kind.STALL: _stall,
    Kind.FLOW: lambda _, number, at, queue: Flow(number, at, queue),
    Kind.TALLIES: _tallies,
    Kind.QUEUE_STATE: _queue_state,
}

_HEAD = Struct("<BBH")
_LONG = 0xFFFF


def records_of(segment: bytes) -> Iterator[Record]:
    """The records of one segment, its checkpoint first. Raises MalformedError."""
    at, number, upcoming = 0, 0, 0
    whole = Payload(segment, 0, len(segment))
    if not segment:
        raise MalformedError(0, "a segment without records")
    while whole.at < whole.end:
        begins = whole.at
        kind, queue, size = whole.take(_HEAD)
        if size == _LONG:
            (size,) = whole.take(_U32)
        (delta,) = whole.take(_U32)
        at += delta
        make = _MAKERS.get(kind)
        if make is None:
            raise MalformedError(begins, f"a record of kind {kind}, which there is not")
        if (kind == Kind.CHECKPOINT) != (begins == 0):
            raise MalformedError(begins, _MISPLACED if begins else "it begins without a checkpoint")
        if whole.end - whole.at < size:
            left = whole.end - whole.at
            raise MalformedError(begins, f"{_named(kind)} of {size} bytes, but {left} are left")
        payload = Payload(segment, whole.at, whole.at + size)
        try:
            record = make(payload, number, at, queue)
        except MalformedError as error:
            raise MalformedError(error.byte, f"{_named(kind)}: {error.what}") from None
        if payload.at != payload.end:
            raise MalformedError(payload.at, f"{_named(kind)}: {payload.end - payload.at} bytes too many")
        whole.at = payload.end
        if number:
            number += 1
        if isinstance(record, Checkpoint):
            at, upcoming = record.at, record.next_number
        elif isinstance(record, CheckpointEnd):
            if not upcoming:
                raise MalformedError(begins, "a checkpoint ends that didn't begin")
            number, upcoming = upcoming, 0
        yield record
    if upcoming:
        raise MalformedError(whole.end, "it ends within its checkpoint")


_MISPLACED = "a checkpoint that is not at the segment's beginning"


def _named(kind: int) -> str:
    """A kind of record in words, like: a CHAIN record."""
    name = Kind(kind).name
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name} record"
