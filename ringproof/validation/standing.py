"""What became of each clause of VIRTIO 1.3 in a validation: the checks of all parts of a report, added up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .asked import CAMPAIGN
from .clauses import CLAUSES
from .registry import DEMANDS, Demand, Observed, ids
from .report import Check, CheckVerdict, ValidationReport
from .verdicts import VERDICTS

_WORST: tuple[CheckVerdict, ...] = ("fail", "warn", "pass", "not exercised", "not observable")
_BESIDE = {"address-reachable": ("6.1e",), "ring-parts-placed": ("2.7.2c",)}
"""Checks that show more than the clause they are named for."""
_ELSEWHERE: dict[Observed, str] = {
    "ring": "the runs of this driver gave no occasion for it",
    "ring, provoked": "the runs of this driver gave no occasion for it",
    "registers": "it shows in register accesses, which a driver behind ringproof_net_driver.h has",
    "headers": "it shows in frames, which a driver behind ringproof_net_driver.h has",
    "packets": "it shows in frames, which a driver behind ringproof_net_driver.h has",
    "driver state": "what a driver makes of what it reads does not show",
    "memory order": "the order of memory accesses was not observed",
    "nothing": "a permission",
}
_REASONS = {
    "2.7.3a": "every guest here is little endian",
    "5.1.6.1a": "every guest here is little endian",
    "6.1d": "there is no IOMMU here",
    "2.2.1c": "what is looked at does not show; what is accepted is judged by 2.2.1b and 2.2.1d",
    "5.1.6.2.1k": "what a driver has looked at does not show",
}
_NO_MMIO = "no driver here has the MMIO transport"


@dataclass(frozen=True, slots=True)
class Standing:
    """The verdict on one clause: ``checks`` judge it, ``detail`` is what the worst of them says."""

    demand: Demand
    verdict: CheckVerdict
    detail: str
    checks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it as plain JSON values; keys are part of the public interface."""
        return {
            "id": self.demand.id,
            "level": self.demand.level,
            "words": self.demand.words,
            "verdict": self.verdict,
            "detail": self.detail,
            "checks": list(self.checks),
        }


def clauses_of(check: Check) -> tuple[str, ...]:
    """The clauses that a check judges, by id."""
    return (*ids(check.clause), *_BESIDE.get(check.name, ()))


def standings(report: ValidationReport) -> tuple[Standing, ...]:
    """Say what became of every clause but the permissions, in the order of the text.

    What a hostile device provokes is a verdict of its own and not among them.
    """
    judged: dict[str, list[Check]] = {}
    for check in (*report.checks, *(report.network.checks if report.network is not None else ())):
        for clause in clauses_of(check):
            judged.setdefault(clause, []).append(check)
    whole = report.network is not None
    return tuple(
        _standing(demand, judged.get(demand.id, []), whole, report.unseen)
        for demand in DEMANDS.values()
        if demand.level != "MAY"
    )


def _standing(demand: Demand, checks: list[Check], whole: bool, unseen: Mapping[str, str]) -> Standing:
    if not checks:
        return _unjudged(demand, whole, unseen)
    worst = min(checks, key=lambda check: _WORST.index(check.verdict))
    names = tuple(dict.fromkeys(check.name for check in checks))
    return Standing(demand, worst.verdict, worst.detail, names)


def _unjudged(demand: Demand, whole: bool, unseen: Mapping[str, str]) -> Standing:
    if demand.id.startswith("4.2."):
        return Standing(demand, "not observable", _NO_MMIO)
    reason = _REASONS.get(demand.id, _ELSEWHERE[demand.observed])
    if whole and demand.id in CLAUSES:
        reason = CLAUSES[demand.id].unseen
    reason = unseen.get(demand.id, reason)
    seen = demand.id not in _REASONS and demand.observed in ("ring", "ring, provoked")
    return Standing(demand, "not exercised" if seen else "not observable", reason)


def counted(verdicts: Iterable[CheckVerdict]) -> Mapping[CheckVerdict, int]:
    """How many there are of each verdict, the worst first; those that do not occur are left out."""
    every = list(verdicts)
    return {verdict: every.count(verdict) for verdict in _WORST if verdict in every}


def judging() -> dict[str, tuple[str, ...]]:
    """Every clause with the names of the checks that can judge it; none for what nothing here observes."""
    found: dict[str, list[str]] = {clause: [] for clause in DEMANDS}
    for verdict in VERDICTS.values():
        for clause in (*ids(verdict.clause), *_BESIDE.get(verdict.name, ())):
            found[clause].append(verdict.name)
    for name, (source, _) in CAMPAIGN.items():
        for clause in ids(source):
            found[clause].append(name)
    for clause in _network():
        found[clause].append(f"clause-{clause}")
    return {clause: tuple(names) for clause, names in found.items()}


def _network() -> Iterator[str]:
    return (clause.id for clause in CLAUSES.values() if clause.shown != "never")


def why_none(demand: Demand) -> str:
    """Why no check judges a clause."""
    if demand.id.startswith("4.2."):
        return _NO_MMIO
    if demand.id in _REASONS:
        return _REASONS[demand.id]
    return CLAUSES[demand.id].unseen if demand.id in CLAUSES else _ELSEWHERE[demand.observed]
