"""The report of a validation: a verdict per check, what shows each failure, and what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .coverage import Coverage

CheckVerdict = Literal["pass", "fail", "warn", "not exercised", "not observable"]
Verdict = Literal["pass", "fail", "incomplete", "error"]
"""Incomplete: nothing failed, but not all was gone through for lack of time, and so it is no pass."""

RECORDING = ".rpl"
"""How the name of a live run's recording ends."""

ORDER: dict[CheckVerdict, int] = {"fail": 0, "warn": 1, "not observable": 2, "not exercised": 3, "pass": 4}
"""In which order verdicts are told: what needs attention first."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: its name, the VIRTIO 1.3 clause or the document it serves, and what came of it."""

    name: str
    clause: str
    verdict: CheckVerdict
    detail: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the run: its name, how many ring operations it did and how long it took in seconds."""

    name: str
    operations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What shows that a check fails.

    ``expected`` and ``seen`` are a sentence each; ``steps`` are the operations of the shrunk run in words,
    with a mark on the one that shows it, and ``trace`` is its document, or None, for which ``message`` says
    why. ``steadiness`` is "deterministic" or how often it showed; ``follows`` names the check that the same
    run fails first, "" if none. ``seconds`` passed until it was found, None if that is not known. ``variant``
    is the build that shows it, "" for the plain one. ``passes`` says which one choice, made otherwise, lets
    the run pass, "" if none was found.
    """

    check: str
    clause: str
    expected: str
    seen: str
    steps: tuple[str, ...] = ()
    trace: Path | None = None
    steadiness: str = ""
    follows: str = ""
    seconds: float | None = None
    stage: str = ""
    variant: str = ""
    message: str = ""
    passes: str = ""

    @property
    def recorded(self) -> bool:
        """Whether its trace is the recording of a live run, which can be told and judged, and not driven."""
        return self.trace is not None and self.trace.suffix == RECORDING

    def to_json(self) -> dict[str, object]:
        """Return it as plain JSON values; keys are part of the public interface."""
        return {
            "check": self.check,
            "clause": self.clause,
            "expected": self.expected,
            "seen": self.seen,
            "steps": list(self.steps),
            "trace": str(self.trace) if self.trace is not None else None,
            "steadiness": self.steadiness,
            "follows": self.follows,
            "seconds": round(self.seconds, 3) if self.seconds is not None else None,
            "stage": self.stage,
            "variant": self.variant,
            "message": self.message,
            "passes": self.passes,
        }


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a validation found.

    ``network`` is the report on the whole network driver, if the library has one, and ``hostile`` that on
    what the driver does with a device that breaks the rules, if it was asked for; ``verdict`` is the worst of
    all, everything else is about the virtqueue alone.

    ``mode`` is how the driver was compared ("byte for byte" or "by meaning"); ``exhibits`` show each failure,
    the most telling first. ``steps`` are the operations of the first one, which is of the check ``shows``, in
    words; ``trace`` is its document. ``left_out`` says what was not gone through and why.
    ``unit`` is what ``operations`` counts, "" for ring operations. ``unseen`` says, clause by clause, why no
    check judges it where the border is another than the driver ABI.
    """

    driver: str
    verdict: Verdict
    checks: tuple[Check, ...]
    operations: int
    seconds: float
    trace: Path | None = None
    mode: str = ""
    stages: tuple[Stage, ...] = ()
    steps: tuple[str, ...] = field(default=())
    shows: str = ""
    library: Path | None = None
    message: str = ""
    network: "ValidationReport | None" = None
    hostile: "ValidationReport | None" = None
    exhibits: tuple[Exhibit, ...] = ()
    coverage: "Coverage | None" = None
    left_out: tuple[str, ...] = ()
    unit: str = ""
    unseen: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_finding(self) -> float | None:
        """After how many seconds the first failure was found, None if there was none or nobody knows."""
        known = [exhibit.seconds for exhibit in self.exhibits if exhibit.seconds is not None]
        return min(known, default=None)

    @property
    def parts(self) -> "tuple[tuple[str, ValidationReport], ...]":
        """The report taken apart: what each part that there is is about, and its report."""
        name = "the running driver" if self.unseen else "the virtqueue"
        virtqueue = ((name, self),) if self.checks or self.message or self.network is None else ()
        network = (("the whole network driver", self.network),) if self.network is not None else ()
        hostile = (("a hostile device", self.hostile),) if self.hostile is not None else ()
        return (*virtqueue, *network, *hostile)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain JSON values; keys are part of the public interface."""
        return {
            **_part(self),
            "network": _part(self.network) if self.network is not None else None,
            "hostile": _part(self.hostile) if self.hostile is not None else None,
        }


def _part(report: ValidationReport) -> dict[str, object]:
    """Return the report on a part of a library as plain JSON values; it has no parts of its own."""
    first = report.first_finding
    return {
        "driver": report.driver,
        "verdict": report.verdict,
        "checks": [
            {"name": check.name, "clause": check.clause, "verdict": check.verdict, "detail": check.detail}
            for check in report.checks
        ],
        "operations": report.operations,
        "seconds": round(report.seconds, 3),
        "trace": str(report.trace) if report.trace is not None else None,
        "mode": report.mode,
        "stages": [
            {"name": stage.name, "operations": stage.operations, "seconds": round(stage.seconds, 3)}
            for stage in report.stages
        ],
        "shows": report.shows,
        "steps": list(report.steps),
        "message": report.message,
        "exhibits": [exhibit.to_json() for exhibit in report.exhibits],
        "first_finding": round(first, 3) if first is not None else None,
        "coverage": _coverage(report.coverage),
        "left_out": list(report.left_out),
    }


def _coverage(coverage: "Coverage | None") -> dict[str, object] | None:
    if coverage is None:
        return None
    return {
        "lines": coverage.lines,
        "covered": coverage.covered,
        "whole": coverage.whole,
        "files": [
            {"path": file.path, "lines": len(file.lines), "uncovered": list(file.uncovered)}
            for file in coverage.files
        ],
    }
