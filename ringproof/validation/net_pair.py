"""A pair of network drivers: one in its worker process, the reference beside it, run in lockstep."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..impl.device.device import Violation
from ..impl.harness.frames import CONTROL_BYTES, FRAME_ADDRESS, Frame
from ..impl.harness.net_operations import (
    F_CTRL_VQ,
    F_MQ,
    Capture,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Statistics,
)
from ..impl.harness.net_runner import NetRunner
from ..journey.lockstep import forget, frames_bytes, result_difference
from ..traces.folding import printable
from .clauses import CLAUSES, Docket
from .net_configurations import described
from .net_failure import NetFailure, NetFailureKind
from .net_findings import NET_CHECKS, NetFinding, NetFindingCode
from .net_worker import DriverStopped, Hang, NetWorker
from .observer import Fault, Observer

BATCH = 64
"""Operations that cross over to the worker at once, before anything is compared."""
_FREEING = frozenset({int(NetCode.XMIT), int(NetCode.INTERRUPT)})
_ALONE = frozenset({int(NetCode.PROBE), int(NetCode.REMOVE)})
_PARTS = ("the descriptor table", "the available ring", "the used ring")


class NetPair:
    """Runs one driver on one device, with the reference in step if ``exact``, and says what goes wrong.

    A clause broken is kept in ``soft``, the first run for each check, and does not end a run; a difference,
    a violation, a finding, a crash or a hang does, and is returned. Checks in ``known`` are passed over.
    With ``keeps_results``, ``results`` are those of the run under way. A context manager that ends the
    worker.
    """

    def __init__(self, library: Path, *, exact: bool, patience: float = 10.0) -> None:
        self.library = library
        self.exact = exact
        self.patience = patience
        self.known: set[str] = set()
        self.soft: dict[str, NetFailure] = {}
        self.docket = Docket()
        self.oracles: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.operations = 0
        self.sent = 0
        self.compared = 0
        self._worker: NetWorker | None = None
        self._runner: NetRunner | None = None
        self._observer: Observer | None = None
        self._config = NetConfig()
        self._frames: tuple[Frame, ...] = ()
        self._played: list[Op] = []
        self._faults = 0
        self._following = exact
        self._over = False
        self._tallying = True
        self.keeps_results = False
        self.results: list[NetResult] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker, and forget the run."""
        self._settle()
        if self._worker is not None:
            self._worker.close()
        self._worker = self._runner = None

    @property
    def observer(self) -> Observer:
        """What watches the run under way."""
        assert self._observer is not None
        return self._observer

    @property
    def worker(self) -> NetWorker:
        """The driver's side of the run under way."""
        assert self._worker is not None
        return self._worker

    # -- a run ----------------------------------------------------------------------------------------

    def begin(self, config: NetConfig, frames: Sequence[Frame]) -> NetFailure | None:
        """Make a new device, with no driver on it yet. Raises LibraryError, BuildError, OutOfRoom."""
        if self._over or (self._observer is not None and self._observer.probed):
            self.close()  # where a run has not come to its end, the process may be in any state
        self._settle()
        self._config, self._frames, self._played, self._faults = config, tuple(frames), [], 0
        self.results = []
        self._following, self._over = self.exact, False
        self._observer = Observer(config, self._frames)
        try:
            if self._worker is None:
                self._worker = NetWorker(self.library, config, frames, timeout=self.patience)
            else:
                self._worker.timeout = self.patience
                self._worker.begin(config, frames)
        except DriverStopped as stopped:
            return self._stopped(stopped, 0)
        if self.exact:
            self._runner = NetRunner(config, frames)
        return None

    def play(self, ops: Sequence[Op]) -> NetFailure | None:
        """Run operations on both sides, but for those that cannot be asked now; the first failure, if any."""
        for batch in self._batches(ops):
            if self._over:
                break
            failure = self._batch(batch)
            if failure is not None:
                return failure
        return None

    def count(self, pairs: int) -> NetFailure | None:
        """Compare and judge the statistics of so many transmit queues; nothing without a device."""
        if not self.observer.probed or self._over:
            return None
        step = len(self._played) - 1
        for pair in range(pairs):
            seen = self.worker.statistics(pair)
            self.observer.count(pair, seen)
            if self._runner is not None and self._following:
                wanted = self._runner.statistics(pair)
                for name, left, right in zip(Statistics._fields, seen, wanted, strict=True):
                    if left != right:
                        said = f"{name} of transmit queue {pair} is {left}, the reference has {right}"
                        return self._differs(said, step)
        self._gather()
        return None

    def end(self) -> NetFailure | None:
        """Compare all memory, and remove the driver if it is there."""
        failure = self.compare_all()
        if failure is None and self.observer.probed and not self._over:
            failure = self.play([Op(NetCode.REMOVE)])
        return failure

    def swap(self, frames: Sequence[Frame]) -> None:
        """Lay out other frames; none may be with the driver. Raises OperationError, OutOfRoom."""
        self.worker.frames(frames)
        if self._runner is not None:
            self._runner.frames(frames)
        self._frames = tuple(frames)
        self.observer.frames = self._frames

    def attempt(self, config: NetConfig, frames: Sequence[Frame], ops: Sequence[Op]) -> dict[str, NetFailure]:
        """Run operations on a new device to their end; what failed, by check, the first of each.

        The driver starts in a process of its own. Nothing is added to the sums.
        """
        self.close()
        kept, self.soft = self.soft, {}
        self._tallying = False
        try:
            failure = self.begin(config, frames) or self.play(ops)
            if failure is None and self.observer.probed:
                failure = self.count(self._transmit_queues)
            failure = failure or self.compare_all()
            self._gather()
            found = self.soft
            if failure is not None:
                found.setdefault(failure.check, failure)
            return found
        finally:
            self._settle()
            self.soft, self._tallying = kept, True

    @property
    def played(self) -> tuple[Op, ...]:
        """The operations of the run under way that were asked."""
        return tuple(self._played)

    # -- batches --------------------------------------------------------------------------------------

    def _batches(self, ops: Sequence[Op]) -> Iterator[list[Op]]:
        """Operations that can be asked one after the other, whatever comes of them.

        A frame is in a batch once, and PROBE and REMOVE are alone: what can be asked after them depends on
        how they went.
        """
        batch: list[Op] = []
        numbers: set[int] = set()
        for op in ops:
            sends = op.code == NetCode.XMIT
            if len(batch) >= BATCH or op.code in _ALONE or (sends and op.a in numbers):
                if batch:
                    yield batch
                batch, numbers = [], set()
            if sends and batch and op.a in self.observer.held and any(one.code in _FREEING for one in batch):
                yield batch  # the frame may come back by it
                batch, numbers = [], set()
            if not self.observer.playable(op):
                continue
            if op.code in _ALONE:
                yield [op]
                continue
            batch.append(op)
            if sends:
                numbers.add(op.a)
        if batch:
            yield batch

    def _batch(self, ops: list[Op]) -> NetFailure | None:
        worker, start = self.worker, len(self._played)
        self._played += ops
        self.operations += len(ops)
        before = len(worker.captures)
        try:
            results = worker.run(ops)
        except DriverStopped as stopped:
            results = list(stopped.net_results)
            self._over = True
            self._watch(ops, results, before)
            self._gather()
            return self._stopped(stopped, start + len(results))
        except Violation as violation:
            return self._violates(violation, start, len(ops))
        finding = self._finding(worker, start + len(results) - 1)
        self._watch(ops, results, before)
        failure = self._compare(ops, results, start) if self._following else None
        self._gather()
        if finding is not None and (failure is None or finding.step <= failure.step):
            return finding
        for side in (self._worker, self._runner):
            if side is not None:
                forget(side)
        return failure

    def _watch(self, ops: Sequence[Op], results: Sequence[NetResult], before: int) -> None:
        """Show the observer what came of operations, with the chains that each captured."""
        observer, worker = self.observer, self.worker
        if self.keeps_results:
            self.results += results
        at, captures, segments = before, worker.captures, worker.device.segments
        for op, result in zip(ops, results, strict=False):
            taken = observer.captures(op, result)
            self.sent += op.code == NetCode.XMIT
            pairs = list(zip(captures[at : at + taken], segments[at : at + taken], strict=True))
            at += taken
            observer.see(op, result, pairs)

    # -- comparing ------------------------------------------------------------------------------------

    def _compare(self, ops: Sequence[Op], results: Sequence[NetResult], start: int) -> NetFailure | None:
        runner, worker = self._runner, self.worker
        assert runner is not None
        try:
            wanted = runner.run(ops[: len(results)])
        except Violation as violation:
            said = f"the driver went on; the reference did not: {violation.detail}"
            return self._differs(said, max(violation.operation, start))
        self.compared += len(ops)
        if wanted != list(results):
            for at, (one, other) in enumerate(zip(wanted, results, strict=True)):
                if one != other:
                    return self._differs(result_difference(one, other), start + at)
        if worker.captures != runner.captures:
            for chain, seen in zip(runner.captures, worker.captures, strict=False):
                if chain != seen:
                    return self._differs(_chains_differ(chain, seen), start + len(ops) - 1)
        return self._compare_memory(ops, start + len(ops) - 1)

    def _compare_memory(self, ops: Sequence[Op], step: int) -> NetFailure | None:
        """Compare headers of frames sent, and the rings of transmit queues concerned."""
        runner, worker = self._runner, self.worker
        assert runner is not None
        if not self.observer.probed:
            return None
        seen, wanted = worker.window(), runner.window()
        queues = {op.in_ for op in ops if NetCode.NET_READ <= op.code < NetCode.RAISE}
        for op in ops:
            if op.code == NetCode.XMIT:
                at = runner.placed[op.a].control - FRAME_ADDRESS
                left, right = bytes(seen[at : at + CONTROL_BYTES]), bytes(wanted[at : at + CONTROL_BYTES])
                if left != right:
                    said = _bytes_differ(f"the control block of frame {op.a}", left, right)
                    return self._differs(said, step)
        for queue in sorted(queues | {1}):
            if queue >= len(runner.info.virtqueues):
                continue
            parts = zip(_PARTS, worker.ring_bytes(queue), runner.ring_bytes(queue), strict=True)
            for part, one, other in parts:
                left, right = bytes(one), bytes(other)
                if left != right:
                    said = _bytes_differ(f"{part} of queue {queue}", left, right)
                    return self._differs(said, step)
        return None

    def compare_all(self) -> NetFailure | None:
        """Compare every byte of memory that a driver can write to."""
        runner = self._runner
        if runner is None or not self._following or self._over:
            return None
        step = len(self._played) - 1
        used = frames_bytes(runner.placed)
        for what, one, other in (
            ("the frames' memory", self.worker.window()[:used], runner.window()[:used]),
            ("the driver's memory", self.worker.arena_bytes(), runner.arena_bytes()),
        ):
            left, right = bytes(one), bytes(other)
            if left != right:
                return self._differs(_bytes_differ(what, left, right), step)
        return None

    # -- what went wrong ------------------------------------------------------------------------------

    @property
    def _transmit_queues(self) -> int:
        several = self.observer.features & F_MQ and self.observer.features & F_CTRL_VQ
        return self._config.pairs if several else 1

    def _failure(self, kind: NetFailureKind, check: str, clause: str, detail: str, step: int) -> NetFailure:
        played = tuple(self._played)
        return NetFailure(kind, check, clause, detail, self._config, self._frames, played, step).cut()

    def _differs(self, said: str, step: int) -> NetFailure | None:
        check = "agrees-with-reference"
        self._following = False  # what follows from a difference is none of its own
        if check in self.known:
            return None
        op = self._played[step] if 0 <= step < len(self._played) else None
        name = NetCode(op.code).name if op is not None else "the run"
        clause = f"oracle: {self._config.profile} reference"
        return self._failure("difference", check, clause, f"after {name}: {said}", max(step, 0))

    def _stopped(self, stopped: DriverStopped, step: int) -> NetFailure:
        kind: NetFailureKind = "hang" if isinstance(stopped, Hang) else "crash"
        what = str(stopped)
        last = stopped.output.strip().splitlines()[-1:]
        if last:
            what += f"; it said: {printable(last[0][:120])}"
        return self._failure(kind, f"no-{kind}", "oracle: process", what, step)

    def _violates(self, violation: Violation, start: int, count: int) -> NetFailure | None:
        self._over = True  # what the driver and the device do now, neither knows
        step = violation.operation if violation.operation >= 0 else start + count - 1
        check = violation.property
        if check in self.known:
            return None
        return self._failure("violation", check, "oracle: device", violation.detail, max(step, 0))

    def _finding(self, worker: NetWorker, last: int) -> NetFailure | None:
        every = worker.findings()
        if not every:
            return None
        self._over = True
        found = [each for each in every if each.name not in self.known]
        if not found:
            return None
        first: NetFinding = min(found, key=lambda each: each.first_op)
        step = min(first.first_op, last)
        source = NET_CHECKS[first.code].source
        return self._failure("finding", first.name, source, first.sentence, step)

    def _gather(self) -> None:
        """Take the observer's new faults over."""
        observer = self._observer
        if observer is None:
            return
        fault: Fault
        for fault in observer.faults[self._faults :]:
            if fault.check in self.known or fault.check in self.soft:
                continue
            kind: NetFailureKind = "clause" if fault.check.startswith("clause-") else "oracle"
            self.soft[fault.check] = self._failure(kind, fault.check, fault.clause, fault.detail, fault.step)
        self._faults = len(observer.faults)

    def _settle(self) -> None:
        """Add what the observer saw to the books of all runs."""
        self._gather()
        observer, self._observer = self._observer, None
        if observer is None or not self._tallying:
            return
        for clause in observer.docket.breaches.keys() - self.docket.breaches.keys():
            if CLAUSES[clause].breach == "warn":  # no run is kept that would say on which device
                observer.docket.excuse(clause, described(self._config))
        self.docket.add(observer.docket)
        for check, times in observer.oracles.items():
            self.oracles[check] = self.oracles.get(check, 0) + times
        for each in self._worker.checks() if self._worker is not None else ():
            name = NET_CHECKS[NetFindingCode(each.code)].name
            self.made[name] = self.made.get(name, 0) + each.checked


def _chains_differ(wanted: Capture, seen: Capture) -> str:
    if (wanted.queue, wanted.head, len(wanted.data)) != (seen.queue, seen.head, len(seen.data)):
        return (
            f"the device read {len(seen.data)} bytes at head {seen.head} of queue {seen.queue}, "
            f"from the reference {len(wanted.data)} at {wanted.head} of {wanted.queue}"
        )
    return _bytes_differ(f"the chain at head {seen.head}", seen.data, wanted.data)


def _bytes_differ(what: str, seen: bytes, wanted: bytes) -> str:
    if len(seen) != len(wanted):
        return f"{what} has {len(seen)} bytes, the reference's {len(wanted)}"
    at = next(at for at, (left, right) in enumerate(zip(seen, wanted, strict=True)) if left != right)
    return f"byte {at} of {what} is {seen[at]:#04x}, the reference has {wanted[at]:#04x}"
