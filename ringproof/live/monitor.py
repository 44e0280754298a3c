"""The offline monitor: judges a run from its records alone.

It comes to the same tallies as the live monitor in impl/live, which is written apart from it; where the two
differ, one of them is wrong. It begins at any checkpoint, and goes on over checkpoints and gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import negotiated as net
from .mapped_memory import MappedMemory
from .records import (
    NOWHERE,
    Chain,
    Changed,
    Checkpoint,
    CheckpointEnd,
    Features,
    Flow,
    Inject,
    Kick,
    Memory,
    Options,
    QueueEnable,
    QueueStart,
    QueueState,
    QueueStop,
    Quiet,
    Record,
    RecordingError,
    Sample,
    Stall,
    Status,
    Suppress,
    Tallies,
    Used,
    UsedChanged,
)
from .ring_monitor import RingMonitor, judge_start, possible_size
from .tallies import Check, Log, Tally

_MOST_DRIFTS = 100
_ENABLED_NOW = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """A tally of which the live monitor says something else than this one, at its TALLIES ``record``."""

    code: Check
    record: int
    live: Tally
    offline: Tally


@dataclass(frozen=True, slots=True)
class Drift:
    """Something of a queue's state that a checkpoint says otherwise, after ``record`` records."""

    record: int
    queue: int
    name: str
    live: int
    offline: int


class Monitor:
    """Judges records in their order, from a checkpoint on.

    ``tallies`` is always whole: a code that was never checked has an empty tally. ``differences`` are those
    found at TALLIES records, the first of each code; ``drifts`` those found in checkpoints. ``gaps`` counts
    the checkpoints before which records are missing: there the state, and the tallies, are taken from it.
    """

    def __init__(self) -> None:
        self._log = Log()
        self._memory = MappedMemory()
        self._offered = self._accepted = self._mtu = 0
        self._features_known = False
        self._rings: dict[int, RingMonitor] = {}
        self._enabled: dict[int, bool] = {}
        self._begun = self._inside = self._adopting = False
        self._differing: dict[Check, Difference] = {}
        self.drifts: list[Drift] = []
        self.gaps = 0
        self._judges: dict[type[Record], Callable[..., None]] = {
            Options: self._options,
            Features: self._features,
            Memory: self._memory_record,
            Status: self._status,
            QueueStart: self._queue_start,
            QueueStop: self._queue_stop,
            QueueEnable: self._queue_enable,
            Sample: lambda record: self._ring(record).sample(record),
            Chain: lambda record: self._ring(record).chain(record),
            Suppress: lambda record: self._ring(record).suppress(record),
            Used: lambda record: self._ring(record).complete(record),
            Kick: self._kick,
            Quiet: self._quiet,
            Changed: lambda record: self._ring(record).changed(record),
            UsedChanged: lambda record: self._ring(record).used_changed(record),
            Inject: self._inject,
            Stall: lambda record: self._traffic(False, record.ms, record.queue),
            Flow: lambda _: self._traffic(True),
            Tallies: self._compare,
        }

    @property
    def tallies(self) -> dict[Check, Tally]:
        """What was counted so far."""
        return self._log.tallies

    @property
    def records(self) -> int:
        """The number of the record judged last."""
        return self._log.records

    @property
    def differences(self) -> list[Difference]:
        """Where the live monitor counted otherwise; none as long as both are right."""
        return [self._differing[code] for code in sorted(self._differing)]

    def see(self, record: Record) -> None:
        """Judges the next record. Raises RecordingError if it can't follow those before."""
        try:
            if isinstance(record, Checkpoint):
                self._checkpoint(record)
            elif not self._begun:
                raise RecordingError("it stands before any checkpoint")
            elif self._inside:
                self._restore(record)
            else:
                self._log.records = record.number
                judge = self._judges.get(type(record))
                if judge is not None:
                    judge(record)
        except RecordingError as error:
            name = type(record).__name__
            raise RecordingError(f"record {record.number} ({name}, queue {record.queue}): {error}") from None

    # Checkpoints.

    def _checkpoint(self, record: Checkpoint) -> None:
        goes_on = self._begun and record.next_number == self._log.records + 1
        if self._begun and not goes_on:
            self.gaps += 1
        self._begun = self._inside = True
        self._adopting = not goes_on
        if self._adopting:
            self._log.records = record.next_number - 1
            self._log.tallies = {code: Tally() for code in Check}
            self._rings.clear()
            self._enabled.clear()
            self._offered = self._accepted = self._mtu = 0
            self._features_known = False
            self._memory.replace(())

    def _restore(self, record: Record) -> None:
        """A record within a checkpoint: what to begin with, or to compare with where one has got to."""
        if isinstance(record, CheckpointEnd):
            if self._adopting and record.left_out:
                raise RecordingError("it is no beginning: the checkpoint is not whole")
            self._inside = False
        elif isinstance(record, Tallies) and not self._adopting:
            self._compare(record)
        elif isinstance(record, QueueState):
            self._restore_queue(record)
        elif not self._adopting:
            return
        elif isinstance(record, Options):
            self._options(record)
        elif isinstance(record, Features):
            self._accepted, self._features_known = record.accepted, True
        elif isinstance(record, Memory):
            self._memory_record(record)
        elif isinstance(record, QueueEnable):
            self._queue_enable(record)
        elif isinstance(record, QueueStart):
            self._start(record)
        elif isinstance(record, Chain):
            self._ring(record).chain(record)
        elif isinstance(record, Tallies):
            for code, tally in record.tallies.items():
                self._log.tallies[code] = replace(tally)

    def _restore_queue(self, record: QueueState) -> None:
        ring = self._ring(record)
        if self._adopting:
            ring.restore(record)
            self._enabled[record.queue] = record.enabled & _ENABLED_NOW != 0
            return
        lost_at = NOWHERE if ring.kicks.lost_at is None else ring.kicks.lost_at
        told = {
            "halted": (record.halted, ring.halted),
            "published": (record.published, ring.published),
            "used": (record.used, ring.used),
            "used_idx": (record.used_idx, ring.used_idx),
            "avail_idx": (record.avail_idx, ring.avail_idx),
            "used_flags": (record.used_flags, ring.kicks.used_flags),
            "avail_event": (record.avail_event, ring.kicks.avail_event),
            "armed": (record.armed, ring.kicks.armed),
            "next_head": (record.next_head, ring.chains.next_head),
            "obliged": (record.obliged, ring.kicks.obliged),
            "credit": (record.credit, ring.kicks.credit),
            "distracting": (record.distracting, ring.kicks.distracting),
            "distracted_kick": (record.distracted_kick, ring.kicks.distracted_kick),
            "epoch_kicks": (record.epoch_kicks, ring.kicks.epoch_kicks),
            "epoch_wanted": (record.epoch_wanted, ring.kicks.epoch_wanted),
            "lost_at": (record.lost_at, lost_at),
        }
        if ring.halted and record.halted:
            return  # What a queue's ledgers hold after it was halted means nothing any more.
        for name, (live, offline) in told.items():
            if live != offline and len(self.drifts) < _MOST_DRIFTS:
                drift = Drift(self._log.records, record.queue, name, int(live), int(offline))
                self.drifts.append(drift)

    def _compare(self, record: Tallies) -> None:
        """Holds what the live monitor has counted against what was counted here."""
        for code in Check:
            live, offline = record.tallies.get(code, Tally()), self._log.tallies[code]
            if live != offline and code not in self._differing:
                difference = Difference(code, self._log.records, replace(live), replace(offline))
                self._differing[code] = difference

    # The session.

    def _options(self, record: Options) -> None:
        self._offered, self._mtu = record.offered, record.mtu

    def _features(self, record: Features) -> None:
        net.judge_features(self._log, self._offered, record.accepted)
        net.judge_late(self._log, self._accepted, record.accepted, record.running)
        self._accepted, self._features_known = record.accepted, True

    def _memory_record(self, record: Memory) -> None:
        self._memory.replace(record.regions)

    def _status(self, record: Status) -> None:
        modern = self._features_known and self._accepted & net.VERSION_1 != 0
        net.judge_status(self._log, record.before, record.after, modern)

    def _traffic(self, flows: bool, ms: int = 0, queue: int = 0) -> None:
        self._log.check(Check.TRAFFIC_STALLED, flows, ms, queue)

    # Queues.

    def _ring(self, record: Record) -> RingMonitor:
        ring = self._rings.get(record.queue)
        if ring is None:
            raise RecordingError("the queue doesn't run")
        return ring

    def _queue_start(self, record: QueueStart) -> None:
        judge_start(self._log, self._memory, self._accepted, record)
        self._start(record)

    def _start(self, record: QueueStart) -> None:
        self._rings.pop(record.queue, None)
        if record.found is None or not possible_size(record.size):
            return
        enabled = self._enabled.get(record.queue, False)
        self._rings[record.queue] = RingMonitor(
            self._log, self._memory, self._accepted, self._mtu, record, record.found, enabled
        )

    def _queue_stop(self, record: QueueStop) -> None:
        ring = self._rings.pop(record.queue, None)
        if ring is not None:
            ring.stop()

    def _queue_enable(self, record: QueueEnable) -> None:
        self._enabled[record.queue] = record.enabled
        ring = self._rings.get(record.queue)
        if ring is not None and record.enabled:
            ring.ever_enabled = True

    def _kick(self, record: Kick) -> None:
        ring = self._rings.get(record.queue)
        if ring is not None:  # A kick may well come before the queue runs, or late.
            ring.kick(record.count)

    def _quiet(self, record: Quiet) -> None:
        self._ring(record).quiet()

    def _inject(self, record: Inject) -> None:
        self._ring(record).halt()
