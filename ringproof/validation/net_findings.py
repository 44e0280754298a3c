"""What a worker for network drivers can find out about a driver's memory, frames, queues and registers.

The codes are those of ``net_protocol.h``; a test compares the two. What the device reads from the rings, the
headers and the order of register accesses is judged elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from ..impl.harness.frames import FRAME_ADDRESS, FRAME_BYTES
from ..impl.harness.net_operations import EventKind, NetCode, Region
from ..impl.harness.operations import ARENA_ADDRESS, ARENA_BYTES, RED_ZONE

Describe: TypeAlias = Callable[[int, int], str]


class NetFindingCode(IntEnum):
    """``enum rp_net_finding``."""

    RED_ZONE = 26
    BAD_RELEASE = 27
    LEAK = 28
    STRAY_WRITE = 29
    RING_PARTS = 32
    UNDOCUMENTED_RETURN = 36
    CANARY = 43
    REGISTER_UNKNOWN = 72
    ACCESS_FLOOD = 73
    EVENT_FLOOD = 74
    FREED_TWICE = 75
    FREED_UNKNOWN = 76
    NEVER_FREED = 77
    ORPHANED_UNKNOWN = 78
    QUEUE_UNKNOWN = 79
    SELECT_RANGE = 80
    FRAME_WRITTEN = 81
    WINDOW_WRITTEN = 82
    CONTROL_MALFORMED = 83
    FREED_EARLY = 84
    PUBLISHED = 85
    CHAIN_CHANGED = 86
    HEADER_CHANGED = 87


class NetFinding(NamedTuple):
    """A check that failed ``failed`` times since create, first in operation ``first_op`` counted from there.

    ``a`` and ``b`` are the numbers of that first time.
    """

    code: NetFindingCode
    failed: int
    first_op: int
    a: int
    b: int

    @property
    def name(self) -> str:
        """The slug of the check."""
        return NET_CHECKS[self.code].name

    @property
    def rule(self) -> str:
        """What a driver must do; a sentence."""
        return NET_CHECKS[self.code].rule

    @property
    def sentence(self) -> str:
        """What was seen the first time; one line."""
        return NET_CHECKS[self.code].describe(self.a, self.b)


@dataclass(frozen=True, slots=True)
class NetCheck:
    """One check: its slug, its rule, and how its numbers read; ``source`` says where the rule is from."""

    code: NetFindingCode
    name: str
    source: str
    rule: str
    describe: Describe


def _high(number: int) -> int:
    return number >> 32


def _low(number: int) -> int:
    return number & 0xFFFF_FFFF


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _address(number: int) -> str:
    if 0 <= number - ARENA_ADDRESS < ARENA_BYTES:
        return f"address {number:#x} (byte {number - ARENA_ADDRESS:#x} of the driver's memory)"
    if 0 <= number - FRAME_ADDRESS < FRAME_BYTES:
        return f"address {number:#x} (byte {number - FRAME_ADDRESS:#x} of the frames' memory)"
    return f"address {number:#x}"


def _frame(token: int) -> str:
    """Say whose token it is: frame n has token n + 1."""
    return f"frame {token - 1}" if 1 <= token < 1 << 32 else f"token {token:#x}"


def _named(kind: type[IntEnum], number: int) -> str:
    try:
        return kind(number).name
    except ValueError:
        return str(number)


def _bad_release(a: int, b: int) -> str:
    where = _address(a) if a else "private memory"
    if _low(b):
        return f"{where} was released as {_counted(_high(b), 'byte')}; it was allocated as {_low(b):,}"
    return f"{where} was released ({_counted(_high(b), 'byte')}), but nothing was allocated there"


def _ring_parts(a: int, b: int) -> str:
    part = {1: "the descriptor table", 2: "the available ring", 3: "the used ring"}.get(_high(a), "a part")
    return (
        f"{part} at {_address(b)} is not aligned to {_low(a)}, or not inside one allocation, when DRIVER_OK "
        "is set"
    )


def _canary(a: int, b: int) -> str:
    at = _signed(a)
    where = f"{-at} bytes before" if at < 0 else f"at byte {at} of"
    return f"a write {where} a private allocation of {_counted(b, 'byte')}"


def _register(a: int, b: int) -> str:
    region = _named(Region, _high(a))
    kind = "write to" if _high(b) else "read of"
    return f"a {_low(b)}-byte {kind} offset {_low(a)} of region {region}: there is no such register"


def _queue(a: int, b: int) -> str:
    done = _named(EventKind, _high(a)).lower()
    return f"transmit queue {_low(a)} was {done}; the device has {_counted(b, 'pair')}"


def _published(a: int, b: int) -> str:
    kept = "freed" if _low(b) else "kept"
    return f"{_frame(a)} was {kept} by transmit, which published {_counted(_high(b), 'chain')}"


def _malformed(a: int, b: int) -> str:
    if b == 1:
        return f"avail_idx of the control queue is {a}: backwards, or further than the ring is long"
    what = {
        2: "runs out of its table, into itself, or is wrongly indirect",
        3: "names memory that the driver does not hold",
        4: "has something readable behind something writable",
        5: "has no byte for the answer",
    }.get(b, "is malformed")
    return f"the control command with head {a} {what}"


_MEMORY = "driver ABI: memory"
_STACK = "driver ABI: the stack"
_ROWS: tuple[tuple[NetFindingCode, str, str, str, Describe], ...] = (
    (NetFindingCode.RED_ZONE, "nothing-behind-allocation", _MEMORY,
     "The driver writes nothing behind the memory it was given.",
     lambda a, b: f"{_address(a)} holds {_high(b):#04x}, within {RED_ZONE} bytes behind an allocation of "
     f"{_counted(_low(b), 'byte')}"),
    (NetFindingCode.BAD_RELEASE, "released-once", _MEMORY,
     "Memory is released once, by the address and the size it was allocated with.", _bad_release),
    (NetFindingCode.LEAK, "all-released", _MEMORY,
     "remove, and a probe that fails, give back all memory.",
     lambda a, b: f"{_counted(a, 'byte')} in {_counted(b, 'block')} left"),
    (NetFindingCode.STRAY_WRITE, "no-stray-write", _MEMORY,
     "The driver writes only to memory it holds.",
     lambda a, b: f"{_address(a)} holds {_high(b):#04x}, where the driver holds nothing"),
    (NetFindingCode.RING_PARTS, "ring-parts-placed", "VIRTIO 1.3 section 2.7.1a",
     "The three ring parts are aligned to 16, 2 and 4 and lie in memory that the driver holds.", _ring_parts),
    (NetFindingCode.UNDOCUMENTED_RETURN, "documented-returns", "driver ABI",
     "Operations return what the driver ABI says.",
     lambda a, b: f"{_named(NetCode, b)} returned {_signed(a)}, which it must not here"),
    (NetFindingCode.CANARY, "private-memory-bounds", _MEMORY,
     "The driver stays inside its private memory.", _canary),
    (NetFindingCode.REGISTER_UNKNOWN, "known-registers", "VIRTIO 1.3 section 4.1.3.1a, 4.1.4.3",
     "Registers are accessed where they are, in their own width.", _register),
    (NetFindingCode.ACCESS_FLOOD, "accesses-end", "oracle: patience",
     "An operation makes a sensible number of register accesses.",
     lambda a, _: f"more than {a:,} register accesses in one operation; further ones are not in the log"),
    (NetFindingCode.EVENT_FLOOD, "events-end", "oracle: patience",
     "An operation tells the stack of each frame once, and of the queue a sensible number of times.",
     lambda a, _: f"more than {a:,} calls of the stack in one operation beyond two for each frame in flight"),
    (NetFindingCode.FREED_TWICE, "frame-freed-once", _STACK,
     "Each frame is freed exactly once.", lambda a, _: f"{_frame(a)} was freed, having been freed before"),
    (NetFindingCode.FREED_UNKNOWN, "frame-freed-known", _STACK,
     "Only frames that the driver was handed are freed.",
     lambda a, _: f"{_frame(a)} was freed, but the driver was never handed it"),
    (NetFindingCode.NEVER_FREED, "frame-freed-in-the-end", _STACK,
     "remove frees every frame that the driver still holds.",
     lambda a, b: f"{_counted(b, 'frame')} not freed when the driver was removed, {_frame(a)} first"),
    (NetFindingCode.ORPHANED_UNKNOWN, "frame-orphaned-known", _STACK,
     "Only frames that the driver holds are orphaned.",
     lambda a, _: f"{_frame(a)} was orphaned, but the driver does not hold it"),
    (NetFindingCode.QUEUE_UNKNOWN, "queue-known", _STACK,
     "Only transmit queues that there are stop, start and wake.", _queue),
    (NetFindingCode.SELECT_RANGE, "queue-in-use", _STACK,
     "select_queue says one of the transmit queues in use.",
     lambda a, b: f"select_queue said {a} with {_counted(b, 'queue')} in use"),
    (NetFindingCode.FRAME_WRITTEN, "frame-data-unchanged", _STACK,
     "The driver does not write to a frame's data.",
     lambda a, b: f"{_address(a)}, data of {_frame(_high(b))}, was changed to {_low(b):#04x}"),
    (NetFindingCode.WINDOW_WRITTEN, "frames-memory-unchanged", _STACK,
     "Around frames nothing is written, nor to control blocks of frames that the driver does not hold.",
     lambda a, b: f"{_address(a)} holds {_high(b):#04x} instead of {_low(b):#04x}"),
    (NetFindingCode.CONTROL_MALFORMED, "control-command-well-formed", "VIRTIO 1.3 section 5.1.6.5",
     "A control command is a chain of readable memory with a writable byte for the answer.", _malformed),
    (NetFindingCode.FREED_EARLY, "frame-freed-when-sent", _STACK,
     "A frame is freed when the device has sent it, or after a reset.",
     lambda a, _: f"{_frame(a)} was freed before the device was done with it"),
    (NetFindingCode.PUBLISHED, "frame-sent-or-dropped", _STACK,
     "transmit publishes one chain and keeps the frame, or none and frees it.", _published),
    (NetFindingCode.CHAIN_CHANGED, "outstanding-unchanged", "VIRTIO 1.3 section 3.3.1a",
     "The descriptors of a chain, those of its indirect table too, stay as they are until the device has "
     "used it.",
     lambda a, b: f"descriptor {b} of the chain at head {a} was changed while the device had it"),
    (NetFindingCode.HEADER_CHANGED, "header-kept", "oracle: protocol text of VIRTIO 1.3 section 3.3.1",
     "A frame's header, and whatever else the driver wrote for the device to read, stays as it is until the "
     "device has used the chain.",
     lambda a, b: f"{_address(a)}, read by the device as part of the chain at head {_high(b)}, was changed "
     f"to {_low(b):#04x} while the device had it"),
)  # fmt: skip

NET_CHECKS: dict[NetFindingCode, NetCheck] = {row[0]: NetCheck(*row) for row in _ROWS}
"""Every finding code and what it stands for."""
