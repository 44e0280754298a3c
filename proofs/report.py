"""What a proof run found out, as values and as JSON data."""

from dataclasses import asdict, dataclass, field
from typing import Any

from .discharge import ObligationResult
from .theorem import Verdict


@dataclass(frozen=True)
class TheoremResult:
    """The verdict on one theorem.

    ``proved`` means that every obligation was and that their hypotheses can hold (they are all the
    invariants: see ``ProofReport.assumed``); ``refuted`` that
    some obligation has a counterexample; ``unknown`` anything else, with the ``reason``.
    ``seconds`` is the solver's time in all processes, ``rlimit`` the sum of Z3's resource counts.
    ``vacuous`` is none if the hypotheses were not looked at (a fast run), ``mutants_killed`` if no
    mutants were tried. ``cached`` counts the obligations whose proof was known from before; seconds and
    resources are then those it took. ``satisfiable_at`` are the queue sizes at which the hypotheses of
    every obligation that speaks of a queue were shown to hold together (each obligation has its own).
    """

    name: str
    title: str
    verdict: Verdict
    expected: Verdict
    seconds: float
    rlimit: int
    obligations: int
    vacuous: bool | None
    mutants_killed: tuple[str, ...] | None = None
    reason: str = ""
    details: tuple[ObligationResult, ...] = ()
    satisfiable_at: tuple[int, ...] = ()

    @property
    def cached(self) -> int:
        """How many of the obligations were proved before, and are not proved anew."""
        return sum(entry.cached for entry in self.details)

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one the list of theorems announces."""
        return self.verdict == self.expected

    @property
    def counterexample(self) -> dict[str, Any] | None:
        """The first counterexample found, if any; ``counterexample.changes`` makes lines of it."""
        return next((entry.counterexample for entry in self.details if entry.counterexample), None)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data; ``mutants_killed`` only if mutants were tried."""
        data = asdict(self)
        details = data.pop("details")
        if self.mutants_killed is None:
            del data["mutants_killed"]
        data["cached"] = self.cached
        data["details"] = details
        return data


@dataclass(frozen=True)
class ProofReport:
    """All results of a run, in the order of the list of theorems.

    ``kills`` maps each mutant tried to the theorems it breaks; ``survivors`` are the mutants that should
    break one of these theorems and break none, and ``undecided`` maps mutants to theorems on which
    neither proof nor counterexample was found.
    ``assumed`` are the theorems not proved in this run whose invariants its proofs rest on: a verdict
    ``proved`` stands by itself only if there are none.
    ``interrupted`` tells that the run was ended early: what had not been decided is unknown.
    """

    theorems: tuple[TheoremResult, ...]
    seconds: float
    solver: str
    kills: dict[str, tuple[str, ...]] = field(default_factory=dict)
    survivors: tuple[str, ...] = ()
    undecided: dict[str, tuple[str, ...]] = field(default_factory=dict)
    interrupted: bool = False
    assumed: tuple[str, ...] = ()

    @property
    def obligations(self) -> int:
        """How many obligations the theorems have."""
        return sum(theorem.obligations for theorem in self.theorems)

    @property
    def cached(self) -> int:
        """How many of them were proved before, and are not proved anew."""
        return sum(theorem.cached for theorem in self.theorems)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data: theorems, seconds, solver, and what became of the mutants if they were tried."""
        data: dict[str, Any] = {
            "theorems": [theorem.to_json() for theorem in self.theorems],
            "seconds": self.seconds,
            "solver": self.solver,
            "assumed": list(self.assumed),
            "obligations": self.obligations,
            "cached": self.cached,
        }
        if self.kills:
            data["kills"] = {mutant: list(theorems) for mutant, theorems in self.kills.items()}
            data["survivors"] = list(self.survivors)
            data["undecided"] = {mutant: list(theorems) for mutant, theorems in self.undecided.items()}
        if self.interrupted:
            data["interrupted"] = True
        return data
