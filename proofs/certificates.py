"""Certificates: proofs of lemmas on fixed-width numbers, checked by programs that share nothing with Z3.

A lemma's hypotheses and the negation of its goal become a circuit, the circuit becomes clauses
(``certificates_terms``, ``certificates_circuit``), a SAT solver shows that they cannot all be true and logs
why, clause by clause, and checkers that know only the clauses follow each step of that proof (DRUP: a clause
may be added if assuming it false leads to a contradiction by unit propagation alone). What has to be believed
then is that the clauses say what the lemma says, and a checker; neither a verdict of Z3 nor the SAT solver's.
"""

import importlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, TypeAlias

import z3

from .certificates_circuit import Clause, dimacs
from .certificates_terms import NoCircuitError, Translation
from .stages import question
from .theorem import Obligation, Query, Theorem
from .theorems import THEOREMS

PINNED = {"python-sat": "1.9.dev17", "dratify": "0.1.10", "drup": "1.2.1"}
"""Packages and their versions: SAT solvers, a checker, and a checker that was itself verified."""

SOLVER = "glucose42"
"""The solver of python-sat. Any that logs DRUP would do: nothing it says is believed."""

CONFLICTS = 500_000
"""Conflicts after which the SAT solver gives up: the hardest lemma takes a small part of them."""

WITHIN_REACH = 80_000
"""Clauses times steps up to which the verified checker is asked: it looks at every clause at each step, and
takes some seconds for as many."""

Check: TypeAlias = Callable[["Evidence"], str]
"""A checker: it returns nothing if it accepts, else why it does not."""

CertificateVerdict = Literal["certified", "rejected", "false", "none"]


class MissingCheckerError(RuntimeError):
    """A package without which nothing can be certified is absent or not the pinned version."""


@dataclass(frozen=True)
class Evidence:
    """Clauses, and a proof that they cannot all be true: what any checker can be handed.

    A step is a clause added, or, with true beside it, one deleted: of no use from there on.
    """

    variables: int
    clauses: tuple[Clause, ...]
    steps: tuple[tuple[bool, Clause], ...]

    @property
    def added(self) -> list[Clause]:
        """The clauses that the proof adds, in order."""
        return [clause for deleted, clause in self.steps if not deleted]

    def cnf(self) -> str:
        """Return the clauses in DIMACS format."""
        return dimacs(self.variables, self.clauses)

    def drup(self) -> str:
        """Return the proof in DRUP format."""
        lines = (
            ("d " if deleted else "") + " ".join(map(str, (*clause, 0))) for deleted, clause in self.steps
        )
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Certificate:
    """What came of one obligation.

    ``certified``: every checker asked accepted, and at least one was asked. ``rejected``: one did not.
    ``false``: the clauses can all be true, by ``values``. ``none``: there is no certificate, for ``reason``;
    ``gave_up`` says that there might be one all the same. ``checkers`` maps a checker's name to what it
    said: "accepted", "not asked: ..." or why it rejects.
    """

    theorem: str
    label: str
    verdict: CertificateVerdict
    reason: str = ""
    checkers: dict[str, str] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    evidence: Evidence | None = None
    seconds: float = 0.0
    gave_up: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return all but the evidence itself, of which there are counts."""
        counts: dict[str, int] = {}
        if self.evidence is not None:
            clauses, steps = len(self.evidence.clauses), len(self.evidence.added)
            counts = {"variables": self.evidence.variables, "clauses": clauses, "steps": steps}
        document = {
            "theorem": self.theorem,
            "obligation": self.label,
            "verdict": self.verdict,
            "reason": self.reason,
            "checkers": self.checkers,
            "values": self.values,
            **counts,
            "seconds": round(self.seconds, 3),
        }
        return {key: value for key, value in document.items() if value not in ("", {})}


# The checkers.


def check_with_dratify(evidence: Evidence) -> str:
    """Return nothing if dratify accepts the texts of clauses and proof, by RUP steps alone, else why not."""
    dratify = _required("dratify", "dratify")
    try:
        formula = dratify.parse_dimacs(evidence.cnf())
        result = dratify.check_proof(formula, evidence.drup(), check_rat=False, engine="python")
    except ValueError as error:
        return str(error)
    return "" if result.ok and result.reached_empty else f"step {result.failed_step}: {result.reason}"


def check_with_drup(evidence: Evidence) -> str:
    """Return nothing if the checker extracted from a Why3 proof accepts clauses and steps, else why not.

    It ignores deletions, and tells the empty clause by itself.
    """
    drup = _required("drup", "drup")
    clauses = [list(clause) for clause in evidence.clauses]
    steps = [list(clause) for clause in evidence.added if clause]
    valid = drup.check_proof(clauses, steps).outcome == drup.Outcome.VALID
    return "" if valid else "invalid"


def checked(evidence: Evidence) -> dict[str, str]:
    """Return what each checker says of the evidence. Raises MissingCheckerError if dratify is not there."""
    said = {"dratify": check_with_dratify(evidence) or "accepted"}
    if len(evidence.clauses) * len(evidence.added) > WITHIN_REACH:
        said["drup"] = "not asked: the proof is too long for it"
    elif reason := missing("drup"):
        said["drup"] = f"not asked: {reason}"
    else:
        said["drup"] = check_with_drup(evidence) or "accepted"
    return said


def missing(package: str) -> str:
    """Return nothing if the package is there in the pinned version, else one line that says what is wrong."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return f"{package} {PINNED[package]} is not installed: pip install 'ringproof[certify]'"
    return (
        "" if found == PINNED[package] else f"{package} {PINNED[package]} is needed, but {found} is installed"
    )


def require_checkers() -> None:
    """Raise MissingCheckerError unless the solver and the checker are there that every certificate needs."""
    for package in ("python-sat", "dratify"):
        if reason := missing(package):
            raise MissingCheckerError(reason)


def _required(package: str, module: str) -> Any:
    if reason := missing(package):
        raise MissingCheckerError(reason)
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingCheckerError(f"{package} cannot be loaded: {error}") from error


# The proof.


def translated(query: Query) -> Translation:
    """Return the circuit of a query's hypotheses and its goal's negation. Raises NoCircuitError."""
    translation = Translation()
    for formula in (*query.hypotheses.values(), z3.Not(query.goal)):
        translation.require(formula)
    return translation


def solve(variables: int, clauses: Iterable[Clause]) -> Evidence | list[int] | None:
    """Return a proof that not all clauses can be true, or literals by which they are; none if undecided."""
    kept = tuple(clauses)
    with _required("python-sat", "pysat.solvers").Solver(
        name=SOLVER, bootstrap_with=[list(clause) for clause in kept], with_proof=True
    ) as solver:
        solver.conf_budget(CONFLICTS)
        answer = solver.solve_limited()
        if answer is None:
            return None
        if answer:
            return list(solver.get_model())
        steps = tuple(map(_step, solver.get_proof() or ()))
        # Where unit propagation is enough, the solver logs nothing: what is claimed is said all the same.
        return Evidence(variables, kept, steps if (False, ()) in steps else (*steps, (False, ())))


def _step(line: str) -> tuple[bool, Clause]:
    """Read a line of the solver's proof, which ends in 0."""
    deleted = line.startswith("d")
    return deleted, tuple(int(literal) for literal in line.removeprefix("d").split()[:-1])


def certified(theorem: Theorem, obligation: Obligation, model: type | None = None) -> Certificate:
    """Certify one obligation, of the theorem's own model or another (a mutant)."""
    started = time.perf_counter()

    def result(verdict: CertificateVerdict, **more: Any) -> Certificate:
        spent = time.perf_counter() - started
        return Certificate(theorem.name, obligation.label, verdict, seconds=spent, **more)

    if obligation.every_size:
        return result("none", reason="it is about every queue size at once")
    try:
        translation = translated(question(obligation, model or theorem.subject))
    except NoCircuitError as error:
        return result("none", reason=str(error))
    circuit = translation.circuit
    found = solve(circuit.variables, circuit.clauses())
    if found is None:
        return result("none", gave_up=True, reason=f"the SAT solver gave up after {CONFLICTS} conflicts")
    if isinstance(found, list):
        return result("false", reason="the clauses can all be true", values=translation.values(found))
    said = checked(found)
    wrong = [
        name for name, words in said.items() if words != "accepted" and not words.startswith("not asked")
    ]
    reason = "; ".join(f"{name}: {said[name]}" for name in wrong)
    return result("rejected" if wrong else "certified", reason=reason, checkers=said, evidence=found)


def certificates(names: Iterable[str] = ()) -> Iterator[Certificate]:
    """Yield what comes of each obligation of the theorems named, or of all that are to be proved.

    A finding, which is to be refuted, has nothing to certify; named, it is ``none``.
    Raises MissingCheckerError before anything else if nothing could be certified.
    """
    require_checkers()
    asked = set(names)
    for theorem in THEOREMS.values():
        if (asked and theorem.name not in asked) or (not asked and theorem.expected != "proved"):
            continue
        for obligation in theorem.obligations:
            if theorem.expected != "proved":
                finding = "a finding, refuted by its counterexample"
                yield Certificate(theorem.name, obligation.label, "none", reason=finding)
            else:
                yield certified(theorem, obligation)
