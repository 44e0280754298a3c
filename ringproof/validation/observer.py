"""The observer of one network driver: it follows operations and results, and says which clause breaks.

It knows nothing of how a driver works: only what was sent, what the device did, and what came of both.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..impl.harness.frames import Frame
from ..impl.harness.net_operations import (
    EBUSY,
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_MQ,
    F_VERSION_1,
    Access,
    Capture,
    Event,
    EventKind,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Region,
    Statistics,
)
from ..impl.harness.operations import OpFlag
from .clauses import CLAUSES, Docket
from .headers import Headers, header_size
from .lifecycle import LifeCycle
from .negotiation import F_ANY_LAYOUT, possible, sound
from .shapes import MOST_SEGMENTS, filled, lawful

Segments = Sequence[tuple[int, int, int]]
"""Address, length and flags of a chain's segments."""

_U16 = 0xFFFF
_LEGACY_NOTIFY, _LEGACY_ISR = 16, 19
_EXPECTED_SIZE = 256  # what devices usually have
_ENODEV = -19
_RELATIVE, _FAIL = int(OpFlag.RELATIVE), int(OpFlag.FAIL_ALLOC)
_ERRORS = frozenset({-2, -12, -19, -22, -110})

ORACLES = {
    "probe-takes-a-sound-device": "A device without fault is probed, and an error is one of the ABI's.",
    "any-size-taken": "A device is taken whatever the size of its queues, not only with 256 descriptors.",
    "impossible-sizes-refused": "A device is refused whose queues have a size that no queue has.",
    "frames-in-order": "Each queue's frames reach the device once, in the order they were sent.",
    "frames-taken": "A frame that asks for nothing special is not dropped when its queue is idle.",
    "frames-fit": "A frame is not dropped for want of room while its queue is not stopped.",
    "queue-wakes": "A queue with nothing in flight and no interrupt to come is not stopped.",
    "interrupts-acknowledged": "An interrupt is handled by reading ISR, or it would never cease.",
    "statistics-true": "What was sent and dropped is counted, once, and never goes back.",
    "frames-come-back": "After remove no frame is left with the driver.",
}
"""What is asked of a driver beside the clauses."""
WARNINGS = frozenset({"any-size-taken", "frames-fit", "impossible-sizes-refused"})
"""Those whose breach is a warning: a driver may drop what it takes, believe what a device says, and have a
largest or smallest queue."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a driver did wrong: the check, the clause or oracle behind it, how; ``step`` counts operations."""

    check: str
    clause: str
    detail: str
    step: int


@dataclass(slots=True)
class _Lane:
    """A transmit queue, as far as it is known here."""

    expected: deque[int] = field(default_factory=deque)  # frames published, not read
    flight: list[int] = field(default_factory=list)  # frames read, not completed
    avail_idx: int = 0
    used_flags: int = 0
    avail_event: int = 0

    @property
    def idle(self) -> bool:
        return not self.expected and not self.flight


@dataclass(slots=True)
class _Counts:
    """What came of the frames of one pair since probe."""

    sent: int = 0  # the device completed them
    sent_bytes: int = 0
    back: int = 0  # of these, freed by now
    back_bytes: int = 0
    dropped: int = 0
    last: Statistics | None = None


class Observer:
    """Follows one side of a run: ``docket`` fills with clauses, ``faults`` with what else went wrong.

    Feed it every operation in order: :meth:`see`, with the chains that a NET_READ captured. ``published``
    counts the frames that became chains.
    """

    def __init__(self, config: NetConfig, frames: Sequence[Frame], docket: Docket | None = None) -> None:
        self.docket = docket if docket is not None else Docket()
        self.faults: list[Fault] = []
        self.oracles: dict[str, int] = dict.fromkeys(ORACLES, 0)
        self.frames: Sequence[Frame] = frames
        self.steps = 0
        self.held: set[int] = set()
        self.probed = False
        self._config = config
        self._life = LifeCycle(config, self.docket)
        self._features = 0
        self._headers = Headers(0, self.docket)
        self._lanes: dict[int, _Lane] = {}
        self._counts: dict[int, _Counts] = {}
        self._asked: int | None = None  # pairs, by the last command
        self._pending = False  # an interrupt waits to be handled
        self._queue_of: dict[int, int] = {}
        self._known: set[str] = set()
        self.published = 0

    @property
    def features(self) -> int:
        """The features accepted at the last probe."""
        return self._features

    def playable(self, op: Op) -> bool:
        """Whether an operation can be asked now: its frame is the stack's, a device is there or not."""
        if op.code >= NetCode.NET_READ:
            return True
        if self.probed is (op.code == NetCode.PROBE):
            return False
        return op.code != NetCode.XMIT or (op.a < len(self.frames) and op.a not in self.held)

    def see(self, op: Op, result: NetResult, captured: Sequence[tuple[Capture, Segments]] = ()) -> None:
        """Take one operation, what came of it, and the chains captured by it."""
        if result.accesses:
            self._life.see(result.accesses)
        code = op.code
        if code == NetCode.XMIT:
            self._sent(op, result, captured)
        elif code == NetCode.NET_READ:
            self._read(op, result, captured)
        elif code == NetCode.NET_COMPLETE:
            self._completed(op, result)
        elif code == NetCode.INTERRUPT:
            self._interrupted(result)
        elif code in (NetCode.NET_SET_FLAGS, NetCode.NET_SET_AVAIL_EVENT):
            self._word(op, result)
        elif code == NetCode.SET_PAIRS:
            self._pairs(op, result)
        elif code == NetCode.PROBE:
            self._probed(result)
        elif code == NetCode.REMOVE:
            self._removed(result)
        elif op.a & 1:
            self._pending = True
        if self.docket.breaches.keys() - self._known:
            self._report_clauses()
        self.steps += 1

    def count(self, pair: int, statistics: Statistics) -> None:
        """Judge what the driver counts for a transmit queue, after the last operation seen."""
        counts = self._counts.setdefault(pair, _Counts())
        last = counts.last
        said = ""
        if last is not None and any(now < then for now, then in zip(statistics[:4], last[:4], strict=True)):
            said = f"went back from {tuple(last[:4])} to {tuple(statistics[:4])}"
        elif not counts.back <= statistics.tx_packets <= counts.sent:
            said = f"says {statistics.tx_packets} packets; {counts.back} came back, {counts.sent} were sent"
        elif not counts.back_bytes <= statistics.tx_bytes <= counts.sent_bytes:
            said = (
                f"says {statistics.tx_bytes} bytes sent; frames of {counts.back_bytes} came back, "
                f"of {counts.sent_bytes} were sent"
            )
        elif statistics.tx_dropped != counts.dropped:
            said = f"says {statistics.tx_dropped} frames dropped; {counts.dropped} were"
        counts.last = statistics
        self._oracle("statistics-true", not said, f"transmit queue {pair} {said}", self.steps - 1)

    # -- transmission ---------------------------------------------------------------------------------

    def _lane(self, queue: int) -> _Lane:
        return self._lanes.setdefault(queue, _Lane())

    def _count_of(self, pair: int) -> _Counts:
        return self._counts.setdefault(pair, _Counts())

    def _sent(self, op: Op, result: NetResult, captured: Sequence[tuple[Capture, Segments]]) -> None:
        number, queue = op.a, 2 * result.pair + 1
        lane = self._lane(queue)
        if result.status == EBUSY:
            stuck = lane.idle and not self._pending
            said = f"transmit queue {result.pair} is stopped, nothing is in flight, no interrupt is to come"
            self._oracle("queue-wakes", not stuck, said)
            return
        if result.status != 0:
            return
        idle = lane.idle
        grown = (result.avail_idx - lane.avail_idx) & _U16
        freed = Event(int(EventKind.FREED), number + 1)
        if not grown and freed in result.events:
            self._count_of(result.pair).dropped += 1
            if not op.flags & _FAIL and self._plain(self.frames[number]):
                check, state = ("frames-taken", "idle") if idle else ("frames-fit", "not stopped")
                self._oracle(check, False, f"frame {number} was dropped though its queue was {state}")
        else:
            self._oracle("frames-taken" if idle else "frames-fit", True, "")
            self.held.add(number)
            self._queue_of[number] = queue
            lane.expected.append(number)
            self.published += 1
            self._judge_queue(result.pair)
        self._judge_words(lane, queue, result)
        lane.avail_idx = result.avail_idx
        if op.b and self._notified(result, queue):
            self._take(queue, captured)
            self._retire(queue, 0, 0, min(op.b, len(lane.flight)))
            self._pending |= bool(result.length)
        self._freed(result)

    def _plain(self, frame: Frame) -> bool:
        """Whether there is no reason to drop a frame from an idle queue."""
        segments = filled(frame.packet)
        if segments > MOST_SEGMENTS or 1 + segments > self._config.queue_size:
            return False
        return lawful(frame, self._features)

    def _judge_queue(self, pair: int) -> None:
        if not self._features & F_MQ or not self._features & F_CTRL_VQ:
            return
        if self._asked is None:
            said = f"a frame went to transmit queue {pair} before a number of queues was asked for"
            self.docket.check("5.1.6.5.6.1c", pair == 0, said)
        else:
            said = f"a frame went to transmit queue {pair}, of {self._asked} asked for"
            self.docket.check("5.1.6.5.6.1d", pair < self._asked, said)

    def _judge_words(self, lane: _Lane, queue: int, result: NetResult) -> None:
        docket, before, after = self.docket, lane.avail_idx, result.avail_idx
        grown = (after - before) & _U16
        notified = self._notified(result, queue)
        flags = result.avail_flags
        if self._features & F_EVENT_IDX:
            docket.check("2.7.7.1c", flags == 0, f"avail.flags is {flags:#x} after a frame was sent")
            passed = (after - lane.avail_event - 1) & _U16 < grown
            said = f"avail_idx became {after} past avail_event {lane.avail_event} without a notification"
            if passed:
                docket.check("2.7.10.1f", notified, said)
                if lane.used_flags & 1:
                    docket.check("2.7.10.1e", notified, f"{said}; used.flags is 1")
            else:
                said = f"a notification at avail_idx {after}, with avail_event {lane.avail_event}"
                docket.check("2.7.10.1g", not notified, said)
            return
        docket.check("2.7.7.1a", flags in (0, 1), f"avail.flags is {flags:#x}")
        if lane.used_flags & 1:
            docket.check("2.7.10.1c", not notified, f"a notification at avail_idx {after}")
        elif grown:
            said = f"avail_idx became {after} without a notification, and used.flags is 0"
            docket.check("2.7.10.1d", notified, said)
            if lane.avail_event:
                docket.check("2.7.10.1b", notified, f"{said}; the word of avail_event is {lane.avail_event}")

    def _interrupted(self, result: NetResult) -> None:
        looked = any(
            access.region == Region.ISR or (access.region == Region.IO and access.offset == _LEGACY_ISR)
            for access in result.accesses
            if not access.write
        )
        if self._pending:
            said = "the interrupt handler did not read ISR, so that the interrupt stays"
            self._oracle("interrupts-acknowledged", looked, said)
        self._pending = False
        self._freed(result)

    def _notified(self, result: NetResult, queue: int) -> bool:
        return any(self._notifies(access, queue) for access in result.accesses)

    def _notifies(self, access: Access, queue: int) -> bool:
        if not access.write or access.value & _U16 != queue:
            return False
        return access.region == Region.NOTIFY or (
            access.region == Region.IO and access.offset == _LEGACY_NOTIFY
        )

    def _freed(self, result: NetResult) -> None:
        """Take the frames that came back; one that was dropped never was with the driver."""
        for kind, value in result.events:
            number = value - 1
            if kind != EventKind.FREED or number not in self.held:
                continue
            self.held.discard(number)
            counts = self._count_of((self._queue_of.pop(number, 1) - 1) // 2)
            counts.back += 1
            counts.back_bytes += len(self.frames[number].data)

    def captures(self, op: Op, result: NetResult) -> int:
        """How many chains of transmit queues an operation that is to be seen next has captured."""
        if op.code == NetCode.NET_READ and op.in_ & 1:
            return max(0, result.status)
        queue = 2 * result.pair + 1
        if op.code != NetCode.XMIT or not op.b or result.status or not self._notified(result, queue):
            return 0
        lane = self._lane(queue)
        return len(lane.expected) + ((result.avail_idx - lane.avail_idx) & _U16)

    # -- the device -----------------------------------------------------------------------------------

    def _read(self, op: Op, result: NetResult, captured: Sequence[tuple[Capture, Segments]]) -> None:
        if result.status >= 0:
            self._take(op.in_, captured)

    def _take(self, queue: int, captured: Sequence[tuple[Capture, Segments]]) -> None:
        """The device has read chains of a transmit queue."""
        lane = self._lane(queue)
        for capture, segments in captured:
            self._judge_segments(capture, segments)
            if not lane.expected:
                said = f"queue {queue} has a chain for which nothing was sent"
                self._oracle("frames-in-order", False, said)
                continue
            number = lane.expected.popleft()
            frame = self.frames[number]
            lane.flight.append(number)
            if not capture.data.endswith(frame.data):
                self._judge_order(queue, capture, number, lane)
            else:
                self._oracle("frames-in-order", True, "")
            before = set(self.docket.breaches)
            self._headers.see(capture.data, frame)
            if not lawful(frame, self._features):
                for clause in self.docket.breaches.keys() - before:
                    self.docket.excuse(clause, "asked for by a frame that no stack hands over")

    def _judge_order(self, queue: int, capture: Capture, number: int, lane: _Lane) -> None:
        """Say which other frame came in a frame's place, if one did."""
        for other in [*lane.expected, *lane.flight[:-1]]:
            data = self.frames[other].data
            if len(capture.data) - len(data) in (10, 12) and capture.data.endswith(data):
                said = f"frame {other} came where frame {number} was due on queue {queue}"
                self._oracle("frames-in-order", False, said)
                return

    def _judge_segments(self, capture: Capture, segments: Segments) -> None:
        docket, size = self.docket, self._config.queue_size
        docket.holds("6.1e")
        said = f"the chain at head {capture.head} has a descriptor of no bytes"
        docket.check("2.7.13.1/n1", all(length for _, length, _ in segments), said)
        docket.holds("5.1.6.2/n4")
        said = f"the chain at head {capture.head} has {len(segments)} descriptors in a queue of {size}"
        docket.check("2.7.5.3.1c", len(segments) <= size, said)
        if not self._features & (F_VERSION_1 | F_ANY_LAYOUT) and segments:
            first, due = segments[0][1], header_size(self._features)
            said = f"the first descriptor has {first} bytes, the header {due}"
            docket.check("5.1.6.6a", first == due, said)

    def _completed(self, op: Op, result: NetResult) -> None:
        if result.status > 0:
            self._retire(op.in_, op.a, op.b, result.status)
        if result.length:
            self._pending = True

    def _retire(self, queue: int, pick: int, stride: int, count: int) -> None:
        """The device has completed chains of a transmit queue."""
        flight = self._lane(queue).flight
        for j in range(count):
            if not flight:
                break
            at = (pick + j * stride) % len(flight)
            number, last = flight[at], flight.pop()
            if at < len(flight):
                flight[at] = last
            counts = self._count_of((queue - 1) // 2)
            counts.sent += 1
            counts.sent_bytes += len(self.frames[number].data)

    def _word(self, op: Op, result: NetResult) -> None:
        if result.status < 0:
            return
        lane = self._lane(op.in_)
        if op.code == NetCode.NET_SET_FLAGS:
            lane.used_flags = op.a & _U16
        else:
            lane.avail_event = (op.a + (result.avail_idx if op.flags & _RELATIVE else 0)) & _U16

    # -- the rest -------------------------------------------------------------------------------------

    def _pairs(self, op: Op, result: NetResult) -> None:
        queue = 2 * self._config.pairs
        if not self._notified(result, queue):
            return
        self.docket.holds("5.1.6.5.6.1a")
        said = f"{op.a} queue pairs were asked for, the device has {self._config.pairs}"
        self.docket.check("5.1.6.5.6.1b", 1 <= op.a <= self._config.pairs, said)
        if result.status == 0:
            self._asked = op.a

    def _probed(self, result: NetResult) -> None:
        status = result.status
        self.probed = status == 0
        self._life.probed(status)
        self._features = self._life.features
        self._headers = Headers(self._features, self.docket)
        self._lanes.clear()
        self._counts.clear()
        self._queue_of.clear()
        self._asked, self._pending = None, False
        if not possible(self._config.queue_size):
            said = f"probe took queues of {self._config.queue_size}"
            self._oracle("impossible-sizes-refused", status < 0, said)
        known = status == 0 or status in _ERRORS
        said = f"probe returned {status}" + ("" if known else ", which is none of the ABI's errors")
        sane = sound(self._config)
        if sane and self._config.queue_size != _EXPECTED_SIZE:
            self._oracle("any-size-taken", status != _ENODEV, said)
            if status == _ENODEV:
                return
        self._oracle("probe-takes-a-sound-device", status == 0 or (known and not sane), said)

    def _removed(self, result: NetResult) -> None:
        self.probed = False
        stuck = self._life.resetting
        self._freed(result)
        if not stuck:
            self._life.removed()
            count = len(self.held)
            self._oracle("frames-come-back", not count, f"remove left {count} frames with the driver")
            self.held.clear()
        self._lanes.clear()

    def _oracle(self, check: str, held: bool, said: str, step: int | None = None) -> None:
        if held:
            self.oracles[check] += 1
        else:
            self.faults.append(Fault(check, "oracle: network", said, self.steps if step is None else step))

    def _report_clauses(self) -> None:
        """Turn what was broken by the last operation into faults, if it is more than a warning."""
        for clause in self.docket.breaches.keys() - self._known:
            self._known.add(clause)
            if CLAUSES[clause].breach == "fail":
                detail = self.docket.breaches[clause][1]
                self.faults.append(Fault(f"clause-{clause}", clause, detail, self.steps))
