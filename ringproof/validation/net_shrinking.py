"""Shrinking a failing run of a network driver: fewer operations, simpler frames, a plainer device."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..impl.harness.frames import Frame, Gso, OutOfRoom, Packet
from ..impl.harness.net_operations import NetCode, NetConfig, Op
from .net_failure import NetFailure
from .packets import packet
from .shapes import pattern
from .shrinking import Deadline, without_needless
from .traffic import ALL

_SHORT = 120  # bytes of the longest of those that are made instead

Attempt = Callable[[NetConfig, Sequence[Frame], Sequence[Op]], dict[str, NetFailure]]
"""Runs operations on a new device; what failed, by check."""


def reduced(failure: NetFailure, attempt: Attempt, seconds: float) -> NetFailure:
    """Return the failure with as little of everything as ``seconds`` allow to find.

    What is returned was seen to fail the same check, or is ``failure`` itself when nothing smaller did.
    """
    return _Shrinker(failure, attempt, Deadline(seconds)).go()


class _Shrinker:
    def __init__(self, failure: NetFailure, attempt: Attempt, deadline: Deadline) -> None:
        self.best = failure.cut()
        self._attempt = attempt
        self._deadline = deadline

    def go(self) -> NetFailure:
        if not self._fails(self.best.config, self.best.frames, self.best.operations):
            return self.best
        before = -1
        while before != _weight(self.best) and not self._deadline.passed():
            before = _weight(self.best)
            self._operations()
            self._forget_frames()
            self._each(self._simpler_frames)
            self._each(_simpler_configs)
            self._each(self._simpler_operations)
        return self.best

    def _fails(self, config: NetConfig, frames: Sequence[Frame], ops: Sequence[Op]) -> bool:
        try:
            found = self._attempt(config, frames, ops).get(self.best.check)
        except (OutOfRoom, ValueError):
            return False
        if found is None or found.kind != self.best.kind:
            return False
        smaller = found.cut()
        if _weight(smaller) <= _weight(self.best):
            self.best = smaller
        return True

    def _operations(self) -> None:
        config, frames = self.best.config, self.best.frames

        def fails(ops: Sequence[Op]) -> bool:
            return self._fails(config, frames, ops)

        without_needless(self.best.operations, fails, self._deadline)

    def _forget_frames(self) -> None:
        """Leave out the frames that nothing sends, and number the others anew."""
        ops = self.best.operations
        sent = sorted({op.a for op in ops if op.code == NetCode.XMIT})
        if len(sent) == len(self.best.frames):
            return
        numbers = {old: new for new, old in enumerate(sent)}
        frames = tuple(self.best.frames[old] for old in sent)
        renamed = [op._replace(a=numbers[op.a]) if op.code == NetCode.XMIT else op for op in ops]
        self._fails(self.best.config, frames, renamed)

    def _each(self, simpler: Callable[[NetFailure], Iterator[NetFailure]]) -> None:
        """Try what is simpler one by one, beginning anew with what was accepted, until nothing is."""
        going = True
        while going and not self._deadline.passed():
            going = False
            for other in simpler(self.best):
                if self._deadline.passed():
                    return
                before = _weight(self.best)
                if self._fails(other.config, other.frames, other.operations) and _weight(self.best) < before:
                    going = True
                    break

    def _simpler_frames(self, failure: NetFailure) -> Iterator[NetFailure]:
        for at, frame in enumerate(failure.frames):
            for other in _simpler_frame(frame):
                frames = (*failure.frames[:at], other, *failure.frames[at + 1 :])
                yield replace(failure, frames=frames)

    def _simpler_operations(self, failure: NetFailure) -> Iterator[NetFailure]:
        for at, op in enumerate(failure.operations):
            for other in _simpler_operation(op):
                if other != op:
                    yield replace(
                        failure, operations=(*failure.operations[:at], other, *failure.operations[at + 1 :])
                    )


def _simpler_frame(frame: Frame) -> Iterator[Frame]:
    data_of, length = frame.packet, len(frame.data)
    plain = Frame(Packet(b"x"))
    if frame != plain:
        yield plain
    if frame.checksum and length > _SHORT:
        data, start, offset = packet(b"x" * 40, ipv6=frame.gso == Gso.TCPV6, cwr=frame.ecn, complete=False)
        yield replace(frame, packet=Packet(data), csum_start=start, csum_offset=offset)
    if data_of.pieces > 1:
        yield replace(frame, packet=Packet(frame.data))
        if not data_of.packets and len(data_of.fragments) > 1:
            try:
                yield replace(frame, packet=replace(data_of, fragments=data_of.fragments[:-1]))
            except ValueError:  # the checksum would lie outside
                return
    for shorter in (64, 100, length // 2):
        if 0 < shorter < length and not frame.checksum and data_of.pieces == 1:
            yield replace(frame, packet=Packet(pattern(shorter)))
    if frame.gso != Gso.NONE or frame.gso_size or frame.ecn:
        yield replace(frame, gso=Gso.NONE, gso_size=0, ecn=False)
    if frame.ecn:
        yield replace(frame, ecn=False)
    if frame.checksum or frame.csum_start or frame.csum_offset:
        yield replace(frame, checksum=False, csum_start=0, csum_offset=0)
    if frame.recorded_queue is not None:
        yield replace(frame, recorded_queue=None)
    if frame.cpu:
        yield replace(frame, cpu=0)


def _simpler_configs(failure: NetFailure) -> Iterator[NetFailure]:
    config = failure.config
    if config.features:
        yield replace(failure, config=replace(config, features=0))
    for bit in (1 << at for at in range(64)):
        if config.features & bit:
            yield replace(failure, config=replace(config, features=config.features & ~bit))
    if config.pairs > 1:
        yield replace(failure, config=replace(config, pairs=1))
    if config.queue_size > 4:
        for size in (4, 32, 256):
            if size < config.queue_size:
                yield replace(failure, config=replace(config, queue_size=size))
    for field in ("reset_reads", "refuses_features", "missing_queue", "withhold_version_1"):
        usual = getattr(NetConfig(), field)
        if getattr(config, field) != usual:
            yield replace(failure, config=replace(config, **{field: usual}))


def _simpler_operation(op: Op) -> Iterator[Op]:
    if op.flags:
        yield op._replace(flags=0)
    if op.code == NetCode.XMIT:
        yield op._replace(b=0)
        yield op._replace(b=1)
    elif op.code == NetCode.NET_READ:
        yield op._replace(a=0)
    elif op.code == NetCode.NET_COMPLETE:
        yield op._replace(a=0, b=0, c=ALL)
        yield op._replace(a=0, b=0, c=1)
        yield op._replace(a=0, b=0)
    elif op.code in (NetCode.NET_SET_FLAGS, NetCode.NET_SET_AVAIL_EVENT, NetCode.RAISE):
        yield op._replace(a=0)
        yield op._replace(a=1)


def _weight(failure: NetFailure) -> int:
    """Return how much a reader has to take in; less is better."""
    config = failure.config
    weight = 1000 * len(failure.operations) + 50 * len(failure.frames)
    for frame in failure.frames:
        weight += len(frame.data).bit_length() + 4 * frame.packet.pieces + 6 * (frame.gso != Gso.NONE)
        weight += (
            6 * frame.checksum + 2 * frame.ecn + 2 * bool(frame.cpu) + 2 * (frame.recorded_queue is not None)
        )
    weight += 3 * config.features.bit_count() + 2 * config.pairs + config.queue_size.bit_length()
    weight += 20 * (bool(config.reset_reads) + config.refuses_features + config.withhold_version_1)
    weight += 20 * (config.missing_queue is not None)
    return weight + sum(bool(op.flags) + op.a.bit_length() + op.b.bit_length() for op in failure.operations)
