"""A pair: one driver in its worker process and the reference, run through the same operations."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from ..impl.harness.operations import NUM_FREE_UNKNOWN, OP, RESULT, Code, Op, Result
from ..impl.harness.reference_runner import F_IN_ORDER, QueueConfig, ReferenceRunner, Snapshot, Violation
from .comparison import ByMeaning, ByteForByte, Comparison, Difference, memory_difference
from .failure import Failure, FailureKind
from .generator import packed, ring_operations, unpacked, unpacked_results

_WAKING = {Code.INTERRUPT, Code.ENABLE_CB, Code.ENABLE_CB_DELAYED, Code.ENABLE_CB_PREPARE}
_STARTS_KEPT = 64
_LONG_START = 256  # rounds; below that, running them again is cheaper than keeping the state


class DriverLost(Exception):  # noqa: N818 - the driver's fault, not an error of this program
    """The worker crashed or hung: ``kind`` is "crash" or "hang", ``detail`` one line.

    ``operation`` is the one under way, counted from the last RUN, or None outside of one; ``results`` are
    those of the operations before it; ``command`` is "create", "run" or "destroy". ``check`` and ``clause``
    are what it is reported as.
    """

    clause = "oracle: process"

    def __init__(
        self, kind: FailureKind, detail: str, command: str, operation: int | None, results: bytes = b""
    ) -> None:
        super().__init__(detail)
        self.kind: FailureKind = kind
        self.check = f"no-{kind}"
        self.detail = detail
        self.command = command
        self.operation = operation
        self.results = results


@dataclass(frozen=True, slots=True)
class Seen:
    """What the harness's device saw of one check since create.

    ``first_operation`` counts from create. ``detail`` is one sentence: the numbers of the first failure, or
    what a driver must do.
    """

    check: str
    clause: str
    property: str
    level: str
    checked: int
    count: int
    first_operation: int
    detail: str


class DriverProcess(Protocol):
    """A driver in a process of its own. Every method may raise DriverLost; the next create starts afresh."""

    name: str
    features: int
    traits: int
    offered: frozenset[Code]
    patience: float

    def create(self, config: QueueConfig, stop_on_finding: bool) -> str:
        """Create a queue; "" or why there is none."""

    def run(self, operations: bytes) -> bytes:
        """Run operations; return the results of those that were run, fewer only when a finding stopped it."""

    def destroy(self) -> None:
        """Destroy the queue; findings may follow."""

    def seen(self) -> list[Seen]:
        """Every check of the device, whether made since create or not."""

    def failing(self) -> list[Seen]:
        """Those that failed since create and are more than a warning."""

    def ring(self) -> tuple[bytes, bytes, bytes]:
        """Return the three ring parts as they are now."""


class DeclaringProcess(DriverProcess, Protocol):
    """One whose driver says which reference it follows, if any."""

    profile: str
    follows_the_reference: bool
    pushes_buffers: bool


@dataclass(slots=True)
class Tally:
    """A check over all queues of a run."""

    clause: str
    level: str
    checked: int = 0
    count: int = 0
    detail: str = ""


@dataclass(slots=True)
class _Queue:
    """The queue under test."""

    config: QueueConfig
    comparison: Comparison
    reference: ReferenceRunner
    operations: list[bytes] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    steps: int = 0
    avail_idx: int = 0
    compared: bool = True


class Pair:
    """Runs a driver and the reference in step, and says where they part or what the device saw.

    ``profile`` is the reference's; ``exact`` compares byte for byte, otherwise by meaning. Checks named in
    ``known`` no longer count as failures. While ``tallying``, ``tallies`` sums up the device's checks,
    ``operations`` the ring operations and ``compared`` the arrays compared per queue size. ``results`` are
    those of the last array.
    """

    def __init__(self, process: DriverProcess, profile: str, *, exact: bool, pushes: bool = False) -> None:
        self.process = process
        self.profile = profile
        self.exact = exact
        self.offered = process.offered
        self.publishes_at_kick = False
        self.knows_num_free = True
        self.known: set[str] = set()
        self.tallying = True
        self.tallies: dict[str, Tally] = {}
        self.operations = 0
        self.compared: dict[int, int] = {}
        self.given_up: dict[int, str] = {}
        self.results = b""
        self._pushes = pushes
        self._queue: _Queue | None = None
        self._starts: OrderedDict[tuple[QueueConfig, bytes], tuple[Snapshot, bytes]] = OrderedDict()

    @classmethod
    def of(cls, process: "DeclaringProcess") -> "Pair":
        """Return the pair for a driver that says how it is to be compared."""
        return cls(
            process,
            process.profile,
            exact=process.follows_the_reference,
            pushes=process.pushes_buffers,
        )

    def probe(self, config: QueueConfig) -> None:
        """Learn on a queue whether avail_idx moves at add or at kick, and if the driver tells num_free."""
        if self.begin(config) is not None:
            return
        failure = self.run(packed(Op(Code.KICK), Op(Code.ADD, a=1)))
        results = unpacked_results(self.results)
        if results:
            self.knows_num_free = results[0].num_free != NUM_FREE_UNKNOWN
        if len(results) == 2:
            self.publishes_at_kick = results[1].status == 0 and results[1].avail_idx == 0
        if failure is None:
            self.end()

    def agreement(self, queue_size: int) -> str:
        """Name the check that compares at this queue size."""
        return f"agrees-with-reference/{queue_size}"

    @property
    def oracle(self) -> str:
        """What the driver is compared with, as a check's clause."""
        return f"oracle: {self.profile} reference"

    def begin(self, config: QueueConfig) -> Failure | None:
        """Create a queue on both sides; one left over is forgotten."""
        if self._queue is not None:
            self._forget()
        comparison: Comparison = (
            ByteForByte(self.knows_num_free)
            if self.exact and config.exact
            else ByMeaning(
                config.has_callback and bool(self.offered & _WAKING),
                self._pushes,
                knows_lengths=not config.features & F_IN_ORDER,
            )
        )
        self._queue = _Queue(config, comparison, ReferenceRunner(config))
        try:
            refused = self.process.create(config, stop_on_finding=not self.known)
        except DriverLost as lost:
            return self._lost(lost)
        seen = self._worst()
        if seen is not None:
            return self._found(seen, -1)
        if refused:
            self._queue = None
            return Failure(
                "finding", "create-succeeds", "oracle: driver ABI", "create-succeeds", refused, config, (), -1
            )
        return self._memory(-1)

    def run(self, operations: bytes) -> Failure | None:
        """Run an array of operations on both sides; the first failure, if any, ends the queue."""
        queue = self._queue
        assert queue is not None
        start = queue.steps
        queue.operations.append(operations)
        queue.marks.append((start, queue.avail_idx))
        queue.steps += len(operations) // OP.size
        try:
            results = self.process.run(operations)
        except DriverLost as lost:
            self.results = lost.results
            return self._lost(lost)
        self.results = results
        if self.tallying:
            known = OP.size if self._knows_start(queue, operations) else 0
            self.operations += ring_operations(operations[known : len(results) // RESULT.size * OP.size])
        if results:
            queue.avail_idx = Result(*RESULT.unpack(results[-RESULT.size :])).avail_idx
        seen = self._worst()
        done = len(results) // RESULT.size * OP.size
        difference = self._compare(queue, operations[:done], results)
        # Of two that show in the same operation, what the device saw says more.
        if difference is not None and (seen is None or start + difference.step < seen.first_operation):
            return self._differs(difference, start + difference.step)
        if seen is not None:
            return self._found(seen, queue.steps - 1)
        return None if queue.comparison.given_up else self._memory(queue.steps - 1)

    def end(self) -> Failure | None:
        """Destroy the queue on both sides; what was leaked or scribbled on shows here."""
        queue = self._queue
        assert queue is not None
        try:
            self.process.destroy()
        except DriverLost as lost:
            return self._lost(lost)
        seen = self._worst()
        if seen is not None:
            return self._found(seen, queue.steps)
        self._forget()
        return None

    def attempt(self, config: QueueConfig, operations: list[Op] | tuple[Op, ...]) -> Failure | None:
        """Go through a queue's life: create, one array, destroy."""
        failure = self.begin(config)
        if failure is None and operations:
            failure = self.run(packed(*operations))
        return self.end() if failure is None else failure

    def history(self) -> bytes:
        """Return all operations since create."""
        return b"".join(self._queue.operations) if self._queue is not None else b""

    # -- inside ---------------------------------------------------------------------------------------

    def _compare(self, queue: _Queue, operations: bytes, results: bytes) -> Difference | None:
        comparison = queue.comparison
        if not queue.compared or comparison.given_up:
            return None
        followed = comparison.reference_operations(operations, results)
        try:
            reference = self._reference_run(queue, followed)
        except Violation as violation:
            comparison.given_up = f"the reference cannot follow: {violation.detail}"
            reference = b""
        if not comparison.given_up:
            difference = comparison.compare(operations, results, reference)
        if comparison.given_up:
            self.given_up.setdefault(queue.config.queue_size, comparison.given_up)
            return None
        if self.tallying:
            self.compared[queue.config.queue_size] = self.compared.get(queue.config.queue_size, 0) + 1
        if difference is not None and self.agreement(queue.config.queue_size) in self.known:
            queue.compared = False
            return None
        return difference

    def _reference_run(self, queue: _Queue, operations: bytes) -> bytes:
        """Run the reference; the state after a long first ROUNDS is kept for the next time."""
        first = operations[: OP.size]
        if queue.reference.operations or not first or first[0] != Code.ROUNDS:
            return queue.reference.run(operations)
        if Op(*OP.unpack(first)).a < _LONG_START:
            return queue.reference.run(operations)
        key = (queue.config, first)
        if self._knows_start(queue, operations):
            self._starts.move_to_end(key)
            snapshot, result = self._starts[key]
            queue.reference.restore(snapshot)
        else:
            result = queue.reference.run(first)
            self._starts[key] = (queue.reference.snapshot(), result)
            if len(self._starts) > _STARTS_KEPT:
                self._starts.popitem(last=False)
        return result + queue.reference.run(operations[OP.size :])

    def _knows_start(self, queue: _Queue, operations: bytes) -> bool:
        """Whether the reference need not run the first operation, because its state after it was kept."""
        return not queue.reference.operations and (queue.config, operations[: OP.size]) in self._starts

    def _memory(self, step: int) -> Failure | None:
        queue = self._queue
        assert queue is not None
        if not queue.comparison.same_bytes or not queue.compared:
            return None
        reference = queue.reference
        expected = (
            bytes(reference.desc_bytes()),
            bytes(reference.avail_bytes()),
            bytes(reference.used_bytes()),
        )
        difference = memory_difference(step, queue.config.queue_size, self.process.ring(), expected)
        if difference is None:
            return None
        if self.agreement(queue.config.queue_size) in self.known:
            queue.compared = False
            return None
        return self._differs(difference, step)

    def _differs(self, difference: Difference, step: int) -> Failure:
        queue = self._queue
        assert queue is not None
        size = queue.config.queue_size
        clause = difference.clause or self.oracle
        return self._failure(
            "difference", self.agreement(size), clause, difference.property, difference.what, step
        )

    def _worst(self) -> Seen | None:
        """Return the first failing check the device saw that is not known yet."""
        failing = [seen for seen in self.process.failing() if seen.check not in self.known]
        return min(failing, key=lambda seen: seen.first_operation, default=None)

    def _found(self, seen: Seen, step: int) -> Failure:
        step = min(seen.first_operation, step)
        return self._failure("finding", seen.check, seen.clause, seen.property, seen.detail, step)

    def _lost(self, lost: DriverLost) -> Failure:
        queue = self._queue
        assert queue is not None
        before = queue.steps - (len(queue.operations[-1]) // OP.size if queue.operations else 0)
        step = {"create": -1, "destroy": queue.steps}.get(lost.command, before + (lost.operation or 0))
        seen = self._worst()
        if seen is not None and seen.first_operation < step:
            return self._found(seen, step)  # it comes first, and explains more
        return self._failure(lost.kind, lost.check, lost.clause, lost.check, lost.detail, step)

    def _failure(
        self, kind: FailureKind, check: str, clause: str, slug: str, detail: str, step: int
    ) -> Failure:
        queue = self._queue
        assert queue is not None
        operations = tuple(unpacked(self.history()))
        failure = Failure(
            kind, check, clause, slug, detail, queue.config, operations, step, tuple(queue.marks)
        )
        self._forget()
        return failure

    def _forget(self) -> None:
        """Add what the device saw to the tallies and let the queue go."""
        self._queue = None
        if not self.tallying:
            return
        for seen in self.process.seen():
            tally = self.tallies.setdefault(seen.check, Tally(seen.clause, seen.level))
            tally.checked += seen.checked
            tally.count += seen.count
            if not tally.detail or (seen.count and tally.count == seen.count):
                tally.detail = seen.detail  # of the first failure once there is one

    def ignore(self, checks: Collection[str]) -> None:
        """From now on these checks fail silently."""
        self.known |= set(checks)
