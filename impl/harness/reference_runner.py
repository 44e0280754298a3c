"""Runs operations on the Python reference with the Python device, as a worker does on a driver in C.

The results are those of ``operations.py``, byte for byte. The reference to run is a parameter: a copy of
``impl/reference`` with a defect in it runs here like the original, and what goes wrong inside it, an
index out of range or links without end, is a :class:`Violation` like any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias
from zlib import crc32

from .. import reference as _reference
from ..device.device import F_IN_ORDER, Device, Violation
from ..device.device import State as DeviceState
from ..reference import LAYOUTS, PROFILES
from ..reference.layout import LARGEST_QUEUE, Layout
from ..reference.profile import F_VERSION_1, FEATURES
from .operations import (
    ARENA_ADDRESS,
    BUFFER_ADDRESS,
    EBROKEN,
    OP,
    RESULT,
    Code,
    Op,
    OpFlag,
    Result,
)

__all__ = [
    "F_IN_ORDER",
    "F_NOTIFICATION_DATA",
    "MOST_SEGMENTS",
    "QUEUE_FEATURES",
    "OperationError",
    "QueueConfig",
    "ReferenceRunner",
    "Snapshot",
    "Violation",
]

_Outcome: TypeAlias = tuple[int, int, int, int]
"""Status, token, length and crc of a result."""

_FAIL_ALLOC = int(OpFlag.FAIL_ALLOC)
_NULL_TOKEN = int(OpFlag.NULL_TOKEN)
_RELATIVE = int(OpFlag.RELATIVE)
_NO_KICK = int(OpFlag.NO_KICK)
_TOTAL_LENGTH = int(OpFlag.TOTAL_LENGTH)
F_NOTIFICATION_DATA = 1 << 38
QUEUE_FEATURES = FEATURES | F_IN_ORDER | F_NOTIFICATION_DATA
"""What a queue can have negotiated. The reference knows neither IN_ORDER nor NOTIFICATION_DATA: it is shown a
device that keeps the order, without batches, and tells in its kicks what it always tells."""
MOST_SEGMENTS = 1 << 16
"""Of one ADD: twice the largest queue."""
_SEED_STEP = 0x9E37_79B1
_U32 = 0xFFFF_FFFF


class OperationError(ValueError):
    """An operation that asks for what cannot be asked: one line that says which and why."""


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """A queue to create.

    ``features`` are negotiated feature bits as masks; ``layout`` is "legacy" or "modern", ``profile``
    "linux-3.11" or "virtio-1.x". In a driver's create the allocation numbered ``fail_allocation`` from 1
    fails, and a ``hostile`` queue's device may break the rules: no reference runs either. Raises ValueError,
    one line, for what no queue can be. Sizes that are no power of two are for drivers that claim to take any:
    :attr:`exact` is false for them, and the reference then has a queue of the next larger size that is one.
    """

    queue_size: int
    features: int = 0
    layout: str = "legacy"
    has_callback: bool = True
    profile: str = "linux-3.11"
    queue_index: int = 0
    fail_allocation: int = 0
    hostile: bool = False

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout {self.layout!r} is neither of {', '.join(LAYOUTS)}")
        if self.profile not in PROFILES:
            raise ValueError(f"profile {self.profile!r} is neither of {', '.join(PROFILES)}")
        if self.features & ~QUEUE_FEATURES:
            raise ValueError(f"feature bits {self.features & ~QUEUE_FEATURES:#x} are not a queue's")
        if not 0 <= self.queue_index <= 0xFFFF:
            raise ValueError(f"queue index {self.queue_index} is not from 0 to 65535")
        if not 1 <= self.queue_size <= LARGEST_QUEUE:
            self.placement()

    @property
    def exact(self) -> bool:
        """Whether a reference can have this very queue, so that bytes can be compared."""
        return not self.features & ~FEATURES and self.queue_size == self.reference_size

    @property
    def reference_size(self) -> int:
        """The size of the reference's queue: this one, or the next power of two."""
        return 1 << (self.queue_size - 1).bit_length()

    def placement(self) -> Layout:
        """Say where the ring's parts lie. Raises ValueError unless the size is a power of two up to 32768."""
        return LAYOUTS[self.layout](self.queue_size)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A runner's whole state, to be given to :meth:`ReferenceRunner.restore`."""

    config: QueueConfig
    arena: Any
    queue: Any
    device: DeviceState
    counters: tuple[int, int, int, int, int, bool]


class ReferenceRunner:
    """A reference queue, an honest device and the operations on both.

    ``queue`` and ``device`` may be looked into. ``notifications``, ``callbacks`` and ``operations`` count
    since create. ``desc``, ``avail`` and ``used`` are the ring parts' guest-physical addresses.
    """

    def __init__(self, config: QueueConfig, *, reference: ModuleType | None = None) -> None:
        """Create the queue. ``reference`` is ``impl.reference`` or a copy of it under another name."""
        package: Any = _reference if reference is None else reference
        self.config = config
        self.notifications = 0
        self.callbacks = 0
        self.operations = 0
        self._adds = 0
        self._mark = 0
        self._ended = False
        self._slugs = {
            package.ArenaError: "no-leak-no-double-allocation",
            package.LinkLoopError: "chain-well-formed",
        }
        self.arena = package.Arena()
        self._size = config.reference_size
        self._tells_total = config.layout == "legacy" and not config.features & F_VERSION_1
        layout = package.LAYOUTS[config.layout](self._size)
        self.queue, self.desc = package.vring_new_virtqueue(
            layout,
            self.arena,
            self._count_notification,
            index=config.queue_index,
            features=config.features & FEATURES,
            profile=package.PROFILES[config.profile],
            callback=self._count_callback if config.has_callback else None,
        )
        self.avail: int = self.desc + layout.avail
        self.used: int = self.desc + layout.used
        self.device = Device(
            self.arena.memory,
            ARENA_ADDRESS,
            desc=self.desc,
            avail=self.avail,
            used=self.used,
            queue_size=self._size,
            features=config.features,
        )
        self._words: memoryview[int] = self.arena.memory.cast("H")
        self._handlers: dict[int, Callable[[int, int, int, int, int], _Outcome]] = {
            Code.ADD: self._add,
            Code.KICK: self._kick,
            Code.GET: self._get,
            Code.DISABLE_CB: self._disable_cb,
            Code.ENABLE_CB: self._enable_cb,
            Code.ENABLE_CB_DELAYED: self._enable_cb_delayed,
            Code.ENABLE_CB_PREPARE: self._enable_cb_prepare,
            Code.POLL: self._poll,
            Code.INTERRUPT: self._interrupt,
            Code.DETACH_UNUSED: self._detach_unused,
            Code.READ: self._read,
            Code.COMPLETE: self._complete,
            Code.SET_FLAGS: self._set_flags,
            Code.SET_AVAIL_EVENT: self._set_avail_event,
            Code.ROUNDS: self._rounds,
        }

    # -- running ------------------------------------------------------------------------------------

    def run(self, ops: bytes | Sequence[Op]) -> bytes:
        """Run operations, given as an array or packed 16 bytes each; their results, 40 bytes each.

        Raises Violation where the device finds the driver at fault or the driver's own code fails, with
        ``operation`` and ``results`` filled in; OperationError for an unknown operation, for anything but
        DETACH_UNUSED after DETACH_UNUSED, for an ADD of more than MOST_SEGMENTS, and for a length that is
        no multiple of 16.
        """
        packed = ops if isinstance(ops, bytes) else b"".join([OP.pack(*op) for op in ops])
        if len(packed) % OP.size:
            raise OperationError(f"{len(packed)} bytes of operations are no multiple of {OP.size}")
        results = bytearray(len(packed) // OP.size * RESULT.size)
        pack_into = RESULT.pack_into
        size = RESULT.size
        handlers = self._handlers
        queue = self.queue
        words = self._words
        avail_at = (self.avail - ARENA_ADDRESS) // 2
        used_idx_at = (self.used - ARENA_ADDRESS) // 2 + 1
        avail_idx_at = avail_at + 1
        used_event_at = avail_at + 2 + self._size
        at = 0
        code = 0
        try:
            for code, flags, in_, a, b, c in OP.iter_unpack(packed):
                notifications = self.notifications
                callbacks = self.callbacks
                if code not in handlers:
                    raise OperationError(f"operation {at // size}: there is no operation with code {code}")
                if self._ended and code != Code.DETACH_UNUSED:
                    raise OperationError(
                        f"operation {at // size}: only DETACH_UNUSED may follow DETACH_UNUSED"
                    )
                if code == Code.ADD and a + in_ > MOST_SEGMENTS:
                    raise OperationError(f"operation {at // size}: more than {MOST_SEGMENTS} segments")
                status, token, length, crc = handlers[code](flags, in_, a, b, c)
                pack_into(
                    results,
                    at,
                    status,
                    self.notifications - notifications,
                    token,
                    length,
                    crc,
                    words[avail_idx_at],
                    words[used_idx_at],
                    words[avail_at],
                    words[used_event_at],
                    queue.num_free & _U32,
                    self.callbacks - callbacks,
                )
                at += size
                self.operations += 1
        except Violation as violation:
            violation.operation = at // size
            violation.results = bytes(results[:at])
            raise
        except OperationError:
            raise
        except Exception as fault:
            raise self._found(self._slug(code, fault), fault, at // size, results[:at]) from fault
        return bytes(results)

    def step(self, op: Op) -> Result:
        """Run one operation. Raises as :meth:`run` does."""
        return Result(*RESULT.unpack(self.run(op.pack())))

    # -- looking ------------------------------------------------------------------------------------

    def desc_bytes(self) -> memoryview:
        """Return the descriptor table."""
        return self._view(self.desc, 16 * self._size)

    def avail_bytes(self) -> memoryview:
        """Return the available ring with its used_event."""
        return self._view(self.avail, 6 + 2 * self._size)

    def used_bytes(self) -> memoryview:
        """Return the used ring with its avail_event."""
        return self._view(self.used, 6 + 8 * self._size)

    def snapshot(self) -> Snapshot:
        """Return the whole state as it is now. It copies what was allocated so far, not the arena."""
        counters = (
            self.notifications,
            self.callbacks,
            self.operations,
            self._adds,
            self._mark,
            self._ended,
        )
        return Snapshot(
            self.config, self.arena.snapshot(), self.queue.snapshot(), self.device.snapshot(), counters
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state of this runner, or of another with the same configuration and reference.

        Raises ValueError when the configuration is another.
        """
        if snapshot.config != self.config:
            raise ValueError("the snapshot is of a queue with another configuration")
        self.arena.restore(snapshot.arena)
        self.arena.fail = False
        self.queue.restore(snapshot.queue)
        self.device.restore(snapshot.device)
        (
            self.notifications,
            self.callbacks,
            self.operations,
            self._adds,
            self._mark,
            self._ended,
        ) = snapshot.counters

    def _view(self, address: int, size: int) -> memoryview:
        offset = address - ARENA_ADDRESS
        view: memoryview = self.arena.memory[offset : offset + size]
        return view

    def _found(self, slug: str, fault: Exception, operation: int, results: bytearray) -> Violation:
        violation = Violation(slug, f"the driver failed: {type(fault).__name__}: {fault}")
        violation.operation = operation
        violation.results = bytes(results)
        return violation

    def _slug(self, code: int, fault: Exception) -> str:
        """Name the property a failure inside the driver's own code speaks against, by what it was doing."""
        if type(fault) in self._slugs:
            return self._slugs[type(fault)]
        if code in (Code.ADD, Code.ROUNDS):
            return "free-list-sound"
        if code == Code.KICK:
            return "need-event-exact"
        if code in (Code.GET, Code.DETACH_UNUSED):
            return "bad-ring-never"
        return "callbacks-rearmed"

    def _count_notification(self, _value: int) -> None:
        self.notifications += 1

    def _count_callback(self) -> None:
        self.callbacks += 1

    # -- one method per operation: flags, in, a, b, c to status, token, length, crc --------------------

    def _add(self, flags: int, in_: int, a: int, b: int, c: int) -> _Outcome:
        self._adds += 1
        token = None if flags & _NULL_TOKEN else self._adds
        if a + in_ == 1:
            x = b & _U32
            segments = [(BUFFER_ADDRESS + (x >> 8 & 0xF_FFF0), 1 + (x & 0x1_FFFF))]
        else:
            seeds = [(b + i * _SEED_STEP) & _U32 for i in range(a + in_)]
            segments = [(BUFFER_ADDRESS + (x >> 8 & 0xF_FFF0), 1 + (x & 0x1_FFFF)) for x in seeds]
        if flags & _FAIL_ALLOC and c < 2:  # it never allocates more than once
            self.arena.fail = True
            try:
                status = self.queue.add(segments[:a], segments[a:], token)
            finally:
                self.arena.fail = False
        else:
            status = self.queue.add(segments[:a], segments[a:], token)
        return status, token or 0, 0, 0

    def _kick(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        self.queue.kick()
        return 0, 0, 0, 0

    def _get(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        got = self.queue.get_buf()
        if got is not None:
            return 1, got[0] or 0, got[1], 0
        return EBROKEN if self.queue.broken else 0, 0, 0, 0

    def _disable_cb(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        self.queue.disable_cb()
        return 0, 0, 0, 0

    def _enable_cb(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        return int(self.queue.enable_cb()), 0, 0, 0

    def _enable_cb_delayed(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        return int(self.queue.enable_cb_delayed()), 0, 0, 0

    def _enable_cb_prepare(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        self._mark = self.queue.enable_cb_prepare()
        return self._mark, 0, 0, 0

    def _poll(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        return int(self.queue.poll(self._mark)), 0, 0, 0

    def _interrupt(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        return int(self.queue.interrupt()), 0, 0, 0

    def _detach_unused(self, _flags: int, _in: int, _a: int, _b: int, _c: int) -> _Outcome:
        self._ended = True
        token = self.queue.detach_unused_buf()
        return (0, 0, 0, 0) if token is None else (1, token, 0, 0)

    def _read(self, _flags: int, _in: int, a: int, _b: int, _c: int) -> _Outcome:
        count, crc = self.device.read(a)
        return count, 0, 0, crc

    def _complete(self, flags: int, _in: int, a: int, b: int, c: int) -> _Outcome:
        total = bool(flags & _TOTAL_LENGTH) and self._tells_total
        count, due = self.device.complete(a, b, c, total=total)
        return count, 0, int(due), 0

    def _set_flags(self, _flags: int, _in: int, a: int, _b: int, _c: int) -> _Outcome:
        self.device.set_flags(a)
        return 0, 0, 0, 0

    def _set_avail_event(self, flags: int, _in: int, a: int, _b: int, _c: int) -> _Outcome:
        self.device.set_avail_event(a, relative=bool(flags & _RELATIVE))
        return 0, 0, 0, 0

    def _rounds(self, flags: int, _in: int, a: int, b: int, _c: int) -> _Outcome:
        queue_add, kick, get_buf = self.queue.add, self.queue.kick, self.queue.get_buf
        read, complete = self.device.read, self.device.complete
        with_kick = not flags & _NO_KICK
        crc = 0
        token: Any = 0
        length = 0
        for i in range(a):
            x = (b + i) & _U32
            self._adds += 1
            if queue_add(((BUFFER_ADDRESS + (x >> 8 & 0xF_FFF0), 1 + (x & 0x1_FFFF)),), (), self._adds) != 0:
                return i, token, length, crc
            if with_kick:
                kick()
            count, chain_crc = read(1)
            crc = crc32(chain_crc.to_bytes(4, "little"), crc)
            if count != 1:
                return i, token, length, crc
            complete(0, 0, 1)
            got = get_buf()
            if got is None:
                return i, 0, 0, crc
            token, length = got
        return a, token, length, crc
