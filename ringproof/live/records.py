"""The records of a recording, as typed values: what the device saw and did, in order.

Their layout is that of impl/live/record.h, which says what each means; `decoding` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from ..errors import BadInputError
from .tallies import Check, Tally

VERSION = 1
NO_QUEUE = 0xFF
NOWHERE = 0xFFFF_FFFF_FFFF_FFFF
"""An address that lies in no region, or a counter that is none."""
TABLE_KEPT = 32_769 * 16
"""Bytes of an indirect table that are recorded at most."""

CARRIED = 1
"""A CHAIN's flag: it was out when the checkpoint was made."""
USED_INTERRUPT, USED_BATCH, USED_TOTAL = 1, 2, 4
WHERE_DESCRIPTOR, WHERE_TABLE, WHERE_HEADER = 0, 1, 3
INTERRUPT_ASKED, INTERRUPT_SUPPRESSED, INTERRUPT_IDLE = 0, 1, 2


class RecordingError(BadInputError):
    """A recording that cannot be read, or contradicts itself; the message is one line that says where."""


class Kind(IntEnum):
    """The first byte of a record."""

    CHECKPOINT = 1
    CHECKPOINT_END = 2
    OPTIONS = 3
    FEATURES = 4
    MEMORY = 5
    STATUS = 6
    QUEUE_START = 7
    QUEUE_STOP = 8
    QUEUE_ENABLE = 9
    SAMPLE = 10
    CHAIN = 11
    KICK = 12
    SUPPRESS = 13
    USED = 14
    INTERRUPT = 15
    CHANGED = 16
    USED_CHANGED = 17
    QUIET = 18
    PHASE = 19
    INJECT = 20
    STALL = 21
    FLOW = 22
    TALLIES = 23
    QUEUE_STATE = 24


@dataclass(frozen=True, slots=True)
class Record:
    """What all records have.

    ``number``: 1 for the session's first; 0 for what stands in a checkpoint. ``at``: microseconds since the
    session began. ``queue``: its number, or NO_QUEUE.
    """

    number: int
    at: int
    queue: int


@dataclass(frozen=True, slots=True)
class Checkpoint(Record):
    """A segment begins; ``next_number`` is that of the first record after the checkpoint."""

    next_number: int
    version: int


@dataclass(frozen=True, slots=True)
class CheckpointEnd(Record):
    """From here on records count.

    ``left_out``: so many records of the checkpoint were too long to be kept; it is then no beginning, but
    what comes after it can be read on from the segment before.
    """

    left_out: int


@dataclass(frozen=True, slots=True)
class Options(Record):
    """What the device offers, and its patience in ms."""

    offered: int
    patience_ms: int
    mtu: int


@dataclass(frozen=True, slots=True)
class Features(Record):
    """What the driver has accepted; ``running``: while a queue runs."""

    accepted: int
    running: bool


@dataclass(frozen=True, slots=True)
class Memory(Record):
    """The memory that is shared from now on: (guest address, bytes) of each region."""

    regions: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Status(Record):
    """The device status register, written."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class FoundWords:
    """The words of both rings as they were when a queue started."""

    avail_idx: int
    avail_flags: int
    used_flags: int
    used_idx: int
    avail_event: int


@dataclass(frozen=True, slots=True)
class QueueStart(Record):
    """A queue is set up; ``found`` is None if a part of it lies in no memory, and so it doesn't run."""

    size: int
    desc: int
    avail: int
    used: int
    base: int
    sends: bool
    found: FoundWords | None


@dataclass(frozen=True, slots=True)
class QueueStop(Record):
    """A queue stops; ``base`` was answered."""

    base: int


@dataclass(frozen=True, slots=True)
class QueueEnable(Record):
    """A queue is enabled, or no more."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class Sample(Record):
    """A look at the driver's words."""

    avail_idx: int
    avail_flags: int
    used_event: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a transmitted chain holds: ``size`` readable bytes, the first of them, and the sum of the rest.

    ``sum`` is the ones' complement sum of the frame's 16-bit big-endian words behind the prefix; ``whole``:
    all bytes could be read.
    """

    size: int
    prefix: bytes
    sum: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Chain(Record):
    """A chain accepted; ``descriptors`` of the main table in the order of the walk: (index, 16 bytes)."""

    entry: int
    slot: int
    head: int
    carried: bool
    descriptors: tuple[tuple[int, bytes], ...]
    table: bytes
    frame: Frame | None


@dataclass(frozen=True, slots=True)
class Kick(Record):
    """The driver has kicked, ``count`` times."""

    count: int


@dataclass(frozen=True, slots=True)
class Suppress(Record):
    """The device's words about kicks, and what it saw when it looked again behind a barrier."""

    used_flags: int
    avail_event: int
    avail_idx: int
    avail_flags: int
    used_event: int


@dataclass(frozen=True, slots=True)
class Used(Record):
    """Chains completed: used_idx ``before`` and ``after``, and (entry, id, length) of each."""

    before: int
    after: int
    flags: int
    completions: tuple[tuple[int, int, int], ...]
    avail_flags: int
    used_event: int


@dataclass(frozen=True, slots=True)
class Interrupt(Record):
    """The device has interrupted the driver; ``reason`` is one of INTERRUPT_*."""

    reason: int


@dataclass(frozen=True, slots=True)
class Changed(Record):
    """Bytes of a chain that is out are others than they were; ``where`` is one of WHERE_*."""

    entry: int
    where: int
    at_once: bool
    index: int
    was: bytes
    now: bytes


@dataclass(frozen=True, slots=True)
class UsedChanged(Record):
    """A 16-bit word of the used ring that the device didn't write so."""

    byte: int
    must: int
    found: int


@dataclass(frozen=True, slots=True)
class Quiet(Record):
    """So many ms without kick or news while a kick was owed."""

    ms: int


@dataclass(frozen=True, slots=True)
class Phase(Record):
    """What the device does from now on, as JSON; nobody has looked at that text yet."""

    text: str


@dataclass(frozen=True, slots=True)
class Inject(Record):
    """The device breaks the rules: ``kind`` is one of RPL_INJECT_*; the numbers are of that kind."""

    kind: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Stall(Record):
    """Traffic was waited for in vain."""

    ms: int


@dataclass(frozen=True, slots=True)
class Flow(Record):
    """Traffic that was waited for came."""


@dataclass(frozen=True, slots=True)
class Tallies(Record):
    """What the live monitor has counted so far."""

    tallies: Mapping[Check, Tally]


@dataclass(frozen=True, slots=True)
class QueueState(Record):
    """Where a queue stands when a checkpoint is made; the names are those of the ledgers.

    ``enabled``: 1 if it is enabled now, and 2 if it was at some time since it started.
    """

    published: int
    used: int
    used_idx: int
    used_flags: int
    avail_event: int
    avail_idx: int
    avail_flags: int
    used_event: int
    armed: int
    next_head: int
    obliged: bool
    credit: bool
    distracting: bool
    distracted_kick: bool
    halted: bool
    enabled: int
    epoch_kicks: int
    epoch_wanted: int
    lost_at: int
    owed_since: int
