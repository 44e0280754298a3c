"""What came of a live run, round by round: plain data from which the report is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .schedule import Phase
from .tallies import Check, Tally


@dataclass(frozen=True, slots=True)
class PhaseOutcome:
    """How the driver bore a phase: ``chains`` transmitted; ``flowed`` None if nothing was expected."""

    phase: Phase
    chains: int
    flowed: bool | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What shows the first failure of a check: the recording, the record's number, and lines in words."""

    recording: Path | None
    record: int
    lines: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Injected:
    """What a driver did when its device broke a rule: ``fault`` is one line, "" if it bore it.

    ``code`` is that of `ringproof validate --hostile`, ``done`` says that there was an occasion, ``beside``
    that there can be none: the driver has not accepted what it takes.
    """

    code: str
    words: str
    done: bool
    fault: str = ""
    after: str = ""
    beside: bool = False


@dataclass(slots=True)
class RoundOutcome:
    """One connection of a front-end.

    ``accepted`` are its features, None if it never got so far; ``transmitted`` are chains of all transmit
    queues, ``received`` frames delivered; ``wraps`` how often an avail_idx passed 65535. ``ended`` says how
    it came to its end, one line; ``trouble`` what was wrong with the front-end's messages, "" for nothing;
    ``complaints`` are lines in which the system under test says that something is wrong with itself.
    ``injected_done``: the device broke the rule it was to break; ``after`` says what the driver did then,
    ``went_early`` that it ended.
    """

    name: str
    words: str
    offered: int
    seconds: float = 0.0
    accepted: int | None = None
    status_told: bool = False
    transmitted: int = 0
    received: int = 0
    wraps: int = 0
    tallies: dict[Check, Tally] = field(default_factory=dict)
    phases: list[PhaseOutcome] = field(default_factory=list)
    shown: dict[Check, Shown] = field(default_factory=dict)
    injected: list[Injected] = field(default_factory=list)
    injected_done: bool = False
    went_early: bool = False
    after: str = ""
    ended: str = ""
    trouble: str = ""
    complaints: tuple[str, ...] = ()
    left_out: list[str] = field(default_factory=list)

    @property
    def exercised(self) -> bool:
        """Whether the driver has transmitted anything."""
        return self.transmitted > 0

    def failed(self) -> Mapping[Check, Tally]:
        """The tallies of checks that failed."""
        return {code: tally for code, tally in self.tallies.items() if tally.failed}
