"""A recording judged again, from the file alone: what `ringproof replay` does with one."""

from dataclasses import dataclass
from pathlib import Path

from .monitor import Difference, Drift, Monitor
from .recording import Recording
from .records import Checkpoint, Phase, Tallies
from .tallies import Check, Tally

_MOST_PHASES = 10_000


@dataclass(frozen=True, slots=True)
class Judged:
    """What a recording says.

    ``tallies``: of every code that was checked. ``records``: the number of the last; ``first``: that of the
    first, 1 unless the file holds the end of a run only. ``seconds``: since the session began. ``gaps``: how
    often records are missing between two segments. ``torn``: bytes at the file's end that are no whole
    segment. ``live``: the last TALLIES record, None if there is none; ``differences``: where it, or one
    before it, is not what this monitor counted up to there; ``drifts``: where the state of a queue in a
    checkpoint is not.
    """

    tallies: dict[Check, Tally]
    records: int
    first: int
    seconds: float
    phases: tuple[Phase, ...]
    segments: int
    gaps: int
    torn: int
    live: dict[Check, Tally] | None
    differences: tuple[Difference, ...]
    drifts: tuple[Drift, ...]


def judge(path: Path) -> Judged:
    """Judges the recording at ``path``; memory does not grow with it.

    Raises RecordingError if it can't be read, or contradicts itself.
    """
    recording, monitor = Recording(path), Monitor()
    phases: list[Phase] = []
    live: Tallies | None = None
    first = segments = at = 0
    for record in recording.records():
        monitor.see(record)
        at = record.at
        if isinstance(record, Checkpoint):
            first = first or record.next_number
            segments += 1
        elif isinstance(record, Tallies):
            live = record
        elif isinstance(record, Phase) and len(phases) < _MOST_PHASES:
            phases.append(record)
    return Judged(
        tallies={code: tally for code, tally in monitor.tallies.items() if tally.checked},
        records=monitor.records,
        first=first,
        seconds=at / 1e6,
        phases=tuple(phases),
        segments=segments,
        gaps=monitor.gaps,
        torn=recording.torn,
        live=dict(live.tallies) if live else None,
        differences=tuple(monitor.differences),
        drifts=tuple(monitor.drifts),
    )
