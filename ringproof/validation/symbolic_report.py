"""The report of a symbolic campaign: what was explored, what was claimed, what fails, what is unknown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .failure import Shown
from .showing import with_circumstances
from .symbolic_native import Trial

SymbolicVerdict = Literal["pass", "fail", "incomplete"]
"""Incomplete: nothing failed on the driver itself, but not everything could be followed, or decided."""


@dataclass(frozen=True, slots=True)
class Explored:
    """One start.

    How many paths came to their end with all claims held, how many ended in what may fail, how many were not
    followed; calls of the driver, questions to the solver, seconds.
    """

    start: str
    followed: int = 0
    ended: int = 0
    lost: int = 0
    calls: int = 0
    questions: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Obligation:
    """One check over all paths: how often it was claimed and held, and on how many paths it may fail."""

    name: str
    clause: str
    words: str
    held: int
    failing: int


@dataclass(frozen=True, slots=True)
class Failing:
    """A failure that the driver itself has shown.

    ``check`` is what formulas say fails, ``shows`` the check that the run of it fails, which need not be the
    same one; ``steps`` and ``trace`` are that run, shrunk.
    """

    check: str
    clause: str
    found: str
    paths: int
    start: str
    shows: str
    shows_clause: str
    seen: str
    steps: tuple[str, ...]
    trace: Path | None
    steadiness: str
    message: str


@dataclass(frozen=True, slots=True)
class Unreproduced:
    """What formulas say fails, and no run of the driver has shown: unknown."""

    check: str
    clause: str
    found: str
    paths: int
    start: str
    why: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SymbolicReport:
    """What a symbolic campaign found.

    ``lost`` says what was not followed and on how many paths, ``left_out`` which starts were not gone
    through; ``not_explored`` is what the driver offers and an exploration never asks for.
    """

    driver: str
    library: Path
    depth: int
    starts: tuple[Explored, ...]
    obligations: tuple[Obligation, ...]
    failures: tuple[Failing, ...]
    unreproduced: tuple[Unreproduced, ...]
    lost: tuple[tuple[str, int], ...]
    left_out: tuple[str, ...]
    not_explored: tuple[str, ...]
    seconds: float

    @property
    def verdict(self) -> SymbolicVerdict:
        """Fail if the driver itself has failed; pass only if everything was followed and held."""
        if self.failures:
            return "fail"
        known = self.starts and not (self.unreproduced or self.lost or self.left_out)
        return "pass" if known and all(one.followed for one in self.starts) else "incomplete"

    @property
    def followed(self) -> int:
        """Paths that came to their end with all claims held."""
        return sum(one.followed for one in self.starts)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain JSON values; keys are part of the public interface."""
        return {
            "driver": self.driver,
            "library": str(self.library),
            "verdict": self.verdict,
            "symbolic": self.depth,
            "route": "machine code",
            "seconds": round(self.seconds, 3),
            "paths": {
                "explored": sum(one.followed + one.ended + one.lost for one in self.starts),
                "completed": self.followed,
                "ended": sum(one.ended for one in self.starts),
                "not_followed": sum(one.lost for one in self.starts),
            },
            "starts": [
                {
                    "start": one.start, "completed": one.followed, "ended": one.ended,
                    "not_followed": one.lost, "calls": one.calls, "questions": one.questions,
                    "seconds": round(one.seconds, 3),
                }
                for one in self.starts
            ],
            "obligations": [
                {"name": one.name, "clause": one.clause, "words": one.words, "held": one.held,
                 "failing": one.failing}
                for one in self.obligations
            ],
            "failures": [
                {
                    "check": one.check, "clause": one.clause, "found": one.found, "paths": one.paths,
                    "start": one.start, "shows": one.shows, "shows_clause": one.shows_clause,
                    "seen": one.seen,
                    "steps": list(one.steps), "trace": str(one.trace) if one.trace is not None else None,
                    "steadiness": one.steadiness, "message": one.message,
                }
                for one in self.failures
            ],
            "not_reproduced": [
                {
                    "check": one.check, "clause": one.clause, "found": one.found, "paths": one.paths,
                    "start": one.start, "why": one.why, "steps": list(one.steps),
                }
                for one in self.unreproduced
            ],
            "not_followed": [{"what": what, "paths": times} for what, times in self.lost],
            "left_out": list(self.left_out),
            "not_explored": list(self.not_explored),
        }  # fmt: skip


def failing(trial: Trial, shown: Shown) -> Failing:
    """Put a reproduced failure into the report's words."""
    failure = shown.failure
    return Failing(
        check=trial.check,
        clause=trial.clause,
        found=trial.seen,
        paths=trial.paths,
        start=trial.start,
        shows=failure.check,
        shows_clause=failure.clause,
        seen=with_circumstances(shown),
        steps=shown.steps,
        trace=shown.trace,
        steadiness=shown.steadiness,
        message=shown.message,
    )
