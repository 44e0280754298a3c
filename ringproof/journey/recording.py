"""Writing a run of the reference's driver down, step by step: what a trace of it shows."""

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from ..impl.device.offload import OffloadError, wire_frames
from ..impl.harness.frames import FRAME_ADDRESS, Frame, PlacedPacket
from ..impl.harness.net_operations import EBUSY, EventKind, NetCode, NetConfig, NetResult, Op, Region
from ..impl.harness.net_runner import NetRunner, OperationError, Violation
from ..impl.harness.operations import ARENA_ADDRESS, OpFlag
from .chain import Chain, avail_entry, chain_at, ring_words, used_entry
from .document import NO_QUEUE, NetTrace, TraceState
from .dropping import drop_reason
from .header import decoded, device_header_size
from .registers import access_record

QUEUED, DROPPED, STOPPED, BACK = "queued", "dropped", "stopped", "back"
"""What XMIT can come to: the chain is published; the driver drops the frame; the stack holds it back; the
device was so quick that the chain is back already."""
_EVENTS = {int(kind): kind.name for kind in EventKind}
_LEGACY_NOTIFY = 16
_ARGUMENTS: dict[int, tuple[tuple[str, str], ...]] = {
    NetCode.SET_PAIRS: (("a", "pairs"),),
    NetCode.XMIT: (("a", "frame"),),
    NetCode.NET_READ: (("in_", "queue"), ("a", "limit")),
    NetCode.NET_COMPLETE: (("in_", "queue"), ("a", "pick"), ("b", "stride"), ("c", "count")),
    NetCode.NET_SET_FLAGS: (("in_", "queue"), ("a", "value")),
    NetCode.NET_SET_AVAIL_EVENT: (("in_", "queue"), ("a", "value")),
    NetCode.RAISE: (("a", "bits"),),
}


def notifies(region: int, offset: int, write: bool) -> bool:
    """Whether an access is a notification of a queue."""
    return write and (region == Region.NOTIFY or (region == Region.IO and offset == _LEGACY_NOTIFY))


class Recorder:
    """Steps a runner and keeps a state for each step, the first being the one before any.

    ``first_frame`` is what the runner's frame 0 is called in the states: runs go on with other frames.
    """

    def __init__(self, runner: NetRunner, first_frame: int = 0) -> None:
        """The runner may have run already."""
        self.runner = runner
        self.first_frame = first_frame
        self.operations: list[Op] = []
        self.results: list[NetResult] = []
        self._stopped: set[int] = set(runner.stack.stopped)
        self._carried: dict[tuple[int, int], int] = {}
        """Queue and head to the frame whose chain it is."""
        self.states: list[TraceState] = [TraceState("init", "create", {}, self._values(None, {}))]

    def step(self, op: Op) -> NetResult:
        """Run one operation and keep the state after it. Raises as the runner's step.

        After a Violation the state that the driver has left is kept, too.
        """
        self.operations.append(op)
        before = self._used_idx(op)
        try:
            result = self.runner.step(op)
        except Violation:
            self.states.append(self._state(op, self._values(None, {})))
            raise
        self.results.append(result)
        self.states.append(self._state(op, self._values(result, self._journey(op, result, before))))
        return result

    def run(self, ops: Sequence[Op]) -> list[NetResult]:
        """Run operations in order. Raises as :meth:`step`."""
        return [self.step(op) for op in ops]

    # -- what is kept ------------------------------------------------------------------------------------

    def _state(self, op: Op, values: dict[str, Any]) -> TraceState:
        args: dict[str, Any] = {name: getattr(op, of) for of, name in _ARGUMENTS.get(op.code, ())}
        if op.code == NetCode.XMIT and op.b:
            args["completed_at_kick"] = op.b
        for flag, name in ((OpFlag.FAIL_ALLOC, "fail_alloc"), (OpFlag.RELATIVE, "relative")):
            if op.flags & flag:
                args[name] = True
        if "frame" in args:
            args["frame"] += self.first_frame
        lane = "device" if op.code >= NetCode.NET_READ else "driver"
        return TraceState(lane, NetCode(op.code).name.lower(), args, values)

    def _values(self, result: NetResult | None, journey: dict[str, Any]) -> dict[str, Any]:
        for event in result.events if result else ():
            if event.kind == EventKind.STOPPED:
                self._stopped.add(event.value)
            elif event.kind in (EventKind.STARTED, EventKind.WOKEN):
                self._stopped.discard(event.value)
        info = self.runner.info
        if info is None:
            self._stopped.clear()
        pairs = range(len(info.send_queues)) if info is not None else range(0)
        return {
            "result": {
                "status": result.status if result else 0,
                "length": result.length if result else 0,
                "pair": result.pair if result else 0,
            },
            "registers": [access_record(access) for access in result.accesses] if result else [],
            "events": [self._event(kind, value) for kind, value in result.events] if result else [],
            "queues": [words for pair in pairs if (words := self._queue(pair))],
            "statistics": [self._statistics(pair) for pair in pairs],
            "journey": {"sent": [], "read": [], "used": [], "freed": [], **journey},
        }

    def _event(self, kind: int, value: int) -> dict[str, Any]:
        """An event; a token is told as the frame it stands for."""
        about_frame = kind in (EventKind.FREED, EventKind.ORPHANED)
        return {
            "kind": _EVENTS.get(kind, str(kind)),
            "value": self._frame_of(value) if about_frame else value,
        }

    def _frame_of(self, token: int) -> int:
        return token - 1 + self.first_frame

    def _queue(self, pair: int) -> dict[str, Any]:
        """A transmit queue's words, none if its driver has put it where there is no memory."""
        queue = 2 * pair + 1
        try:
            words = ring_words(self.runner.ring_bytes(queue))._asdict()
        except OperationError:
            return {}
        free = self.runner.statistics(pair).num_free
        return {"queue": queue, **words, "num_free": free, "stopped": pair in self._stopped}

    def _statistics(self, pair: int) -> dict[str, int]:
        counted = self.runner.statistics(pair)._asdict()
        del counted["num_free"]
        return {"pair": pair, **counted}

    # -- the journey of frames ---------------------------------------------------------------------------

    def _used_idx(self, op: Op) -> int:
        """used_idx before an operation that completes chains."""
        device = self.runner.device.queue(op.in_) if op.code == NetCode.NET_COMPLETE else None
        return device.used_idx if device else 0

    def _journey(self, op: Op, result: NetResult, before: int) -> dict[str, Any]:
        freed = [self._frame_of(value) for kind, value in result.events if kind == EventKind.FREED]
        journey: dict[str, Any] = {"freed": freed}
        match op.code:
            case NetCode.XMIT:
                journey["sent"] = [self._sent(op.a, result)]
            case NetCode.NET_READ if result.status > 0 and op.in_ & 1:
                journey["read"] = [
                    {
                        "frame": self._carried.get((op.in_, capture.head), -1),
                        "queue": op.in_,
                        "head": capture.head,
                        "bytes": len(capture.data),
                        "leaves": self._leaves(capture.data),
                    }
                    for capture in self.runner.captures[-result.status :]
                ]
            case NetCode.NET_COMPLETE if result.status > 0 and op.in_ & 1:
                journey["used"] = [
                    self._used(op.in_, index & 0xFFFF) for index in range(before, before + result.status)
                ]
            case NetCode.REMOVE:
                self._carried.clear()
        return journey

    def _leaves(self, chain: bytes) -> list[int]:
        """Lengths of the frames that leave for a chain; none if the device cannot do what it is asked."""
        size = device_header_size(self.runner.registers.features)
        try:
            return [len(frame) for frame in wire_frames(chain[:size], chain[size:])]
        except OffloadError:
            return []

    def _used(self, queue: int, index: int) -> dict[str, int]:
        head = used_entry(self.runner.ring_bytes(queue), index)
        frame = self._carried.pop((queue, head), -1)
        return {"frame": frame, "queue": queue, "head": head, "used_idx": (index + 1) & 0xFFFF}

    def _sent(self, number: int, result: NetResult) -> dict[str, Any]:
        runner, token = self.runner, number + 1
        placed, queue = runner.placed[number], 2 * result.pair + 1
        freed = [value for kind, value in result.events if kind == EventKind.FREED]
        sent = (EventKind.ORPHANED, token) in result.events
        outcome = STOPPED if result.status == EBUSY else QUEUED
        if token in freed:
            outcome = BACK if sent else DROPPED
        found: dict[str, Any] = {
            "frame": number + self.first_frame,
            "pair": result.pair,
            "queue": queue,
            "outcome": outcome,
            "reason": "",
            "sk_buff": _sk_buff(placed.frame, placed.packet, placed.control),
            "scatterlist": [],
            "header": [],
            "head": -1,
            "descriptors": [],
            "table": [],
            "slot": -1,
            "avail_idx": result.avail_idx,
            "notified": any(notifies(a.region, a.offset, a.write) for a in result.accesses),
            "reclaimed": [self._frame_of(value) for value in freed if value != token],
        }
        send_queue = runner.info.send_queues[result.pair]
        if outcome == DROPPED:
            free = send_queue.vq.num_free
            size = send_queue.vq.queue_size
            reason = drop_reason(
                placed.frame, profile=runner.config.profile, features=runner.info.features, queue_size=size,
                num_free=free,
            )  # fmt: skip
            found["reason"] = reason or "the driver gives no reason that is known here"
        if outcome == QUEUED:
            ring = runner.ring_bytes(queue)
            index = (result.avail_idx - 1) & 0xFFFF
            head = avail_entry(ring, index)
            chain = chain_at(ring, head, self._view)
            self._carried[queue, head] = number + self.first_frame
            found |= {
                "scatterlist": [
                    {"page": each.page, "offset": each.offset, "length": each.length, "end": each.end}
                    for each in _entries(send_queue.sg)
                ],
                "header": [self._header(chain, send_queue.header_size)],
                "head": head,
                "descriptors": [each._asdict() for each in chain.descriptors],
                "table": [each._asdict() for each in chain.table],
                "slot": index & (len(ring[0]) // 16 - 1),
            }
        return found

    def _header(self, chain: Chain, size: int) -> dict[str, Any]:
        """The first ``size`` bytes of a chain, wherever they lie."""
        data, address = b"", chain.segments[0][0] if chain.segments else 0
        for at, length in chain.segments:
            if len(data) >= size:
                break
            data += bytes(self._view(at, min(length, size - len(data))) or b"")
        return decoded(address, data)

    def _view(self, address: int, size: int) -> memoryview | None:
        for start, memory in (
            (FRAME_ADDRESS, self.runner.window()),
            (ARENA_ADDRESS, self.runner.arena_bytes()),
        ):
            offset = address - start
            if offset >= 0 and offset + size <= len(memory):
                return memory[offset : offset + size]
        return None


def _entries(scatterlist: Sequence[Any]) -> Iterator[Any]:
    """The entries up to the one with the end mark; all of them if none has it."""
    for entry in scatterlist:
        yield entry
        if entry.end:
            return


def _sk_buff(frame: Frame, packet: PlacedPacket, control: int) -> dict[str, Any]:
    return {
        "length": packet.length,
        "packet": _packet(packet),
        "checksum": frame.checksum,
        "csum_start": frame.csum_start,
        "csum_offset": frame.csum_offset,
        "gso": frame.gso.name,
        "gso_size": frame.gso_size,
        "ecn": frame.ecn,
        "recorded_queue": NO_QUEUE if frame.recorded_queue is None else frame.recorded_queue,
        "cpu": frame.cpu,
        "control": control,
    }


def _packet(packet: PlacedPacket) -> dict[str, Any]:
    return {
        "head": {"address": packet.head, "length": packet.head_length},
        "fragments": [
            {"page": each.page, "offset": each.offset, "length": each.length} for each in packet.fragments
        ],
        "packets": [_packet(following) for following in packet.packets],
    }


def record(
    config: NetConfig,
    frames: Sequence[Frame],
    operations: Sequence[Op],
    *,
    description: str = "",
    mutant: str | None = None,
    reference: ModuleType | None = None,
    property: str = "",
    violated: str = "",
    extra: dict[str, Any] | None = None,
) -> NetTrace:
    """A document of these operations, run on the reference, or on a copy of it that carries ``mutant``.

    A run that breaks a rule ends there: later operations are left out, and the document names the rule, if
    ``property`` is not given. Raises OutOfRoom, OperationError.
    """
    recorder = Recorder(NetRunner(config, frames, reference=reference))
    try:
        recorder.run(operations)
    except Violation as violation:
        property = property or violation.property
        violated = violated or violation.detail
    return NetTrace(
        config=config,
        frames=tuple(frames),
        operations=tuple(recorder.operations),
        states=tuple(recorder.states),
        description=description,
        mutant=mutant,
        property=property,
        violated=violated,
        extra=extra or {},
    )
