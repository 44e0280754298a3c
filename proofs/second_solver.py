"""Every obligation decided again by other solvers, from its text alone: cvc5, and bitwuzla for bit-vectors.

A second solver shares with Z3 neither code nor data but the SMT-LIB text of the question. It is asked first
for a proof from the few hypotheses that sufficed for Z3, and then from all; only the full obligation can
contradict what is claimed. Each question has a budget of cvc5's own resource count, so its answers do not
depend on the machine; bitwuzla counts none, and has seconds instead.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import z3

from . import discharge, pool
from .export import Claim, claimed, file_name
from .smtlib import NotExpressibleError, Text
from .solver import NAME, SolverMismatch, require_pinned
from .theorem import Theorem

Outcome = Literal["agrees", "disagrees", "undecided"]

PINNED = {"cvc5": "1.4.2", "bitwuzla": "0.9.1"}
"""The versions of the second solvers; another one's answers are not the documented ones."""

RESOURCES = 200_000
"""cvc5's budget for one question (some 30,000 a second): over three times what the dearest takes."""

HINTED = 70_000
"""cvc5's budget for a question from few hypotheses: twice what the dearest takes; all may follow."""

SECONDS = 20.0
"""bitwuzla's budget for one question."""

DEADLINE = 300.0
"""Seconds after which a worker counts as stuck; the budgets end it long before."""

FEW, FULL = "few hypotheses", "all hypotheses"


class SecondSolverMismatch(SolverMismatch):
    """A second solver is missing, cannot be loaded, or is not the pinned one."""


def require_second_solvers() -> None:
    """Raise SecondSolverMismatch, with the command that helps, unless all are there and the pinned ones."""
    faults = [fault for name in PINNED if (fault := _fault(name))]
    if faults:
        raise SecondSolverMismatch(
            f"a cross-check needs {' and '.join(f'{name} {pinned}' for name, pinned in PINNED.items())}, but "
            f"{', '.join(faults)}: pip install 'ringproof[cross-check]'"
        )


def _fault(name: str) -> str:
    """Return what is wrong with a solver's package, or nothing."""
    try:
        package = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    if package != PINNED[name]:
        return f"{name} {package} is installed"
    try:
        library = _LIBRARIES[name]()
    except Exception as error:
        return f"{name} cannot be loaded ({' '.join(str(error).split())})"
    # The makers of cvc5's package mark a library built with changes of theirs: 1.4.2-modified.
    return "" if library.split("-")[0] == PINNED[name] else f"{name}'s library is of version {library}"


def _cvc5_library() -> str:
    import cvc5

    found = cvc5.Solver().getVersion()
    return found.decode() if isinstance(found, bytes) else str(found)


def _bitwuzla_library() -> str:
    import bitwuzla

    return str(bitwuzla.version())


_LIBRARIES: dict[str, Callable[[], str]] = {"cvc5": _cvc5_library, "bitwuzla": _bitwuzla_library}


@dataclass(frozen=True)
class Budget:
    """What one question may cost: cvc5's resources, and bitwuzla's seconds."""

    resources: int = RESOURCES
    seconds: float = SECONDS


@dataclass(frozen=True)
class Said:
    """One solver's answer to one text: unsat, sat, unknown or error; why, if it is neither of the first two.

    ``question`` tells whether it was about all hypotheses or few. ``resources`` is cvc5's own count.
    """

    solver: str
    question: str
    answer: str
    seconds: float
    resources: int = 0
    reason: str = ""


Ask = Callable[[str, Budget], tuple[str, int, str]]
"""A solver: from a text and a budget to its answer, the resources it counted, and the reason if unknown."""


_CVC5 = {
    "seed": "0",
    "strict-parsing": "true",
    "incremental": "false",
    # Where matching finds nothing to instantiate, terms are enumerated: some proofs need it.
    "enum-inst": "true",
}


def ask_cvc5(text: str, budget: Budget) -> tuple[str, int, str]:
    """Put a text to cvc5. Raises RuntimeError for what it cannot read."""
    import cvc5

    solver = cvc5.Solver(cvc5.TermManager())
    for option, value in {**_CVC5, "rlimit-per": str(budget.resources)}.items():
        solver.setOption(option, value)
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "obligation")
    symbols = parser.getSymbolManager()
    said = ""
    while not (command := parser.nextCommand()).isNull():
        said += str(command.invoke(solver, symbols))
    answer = said.strip()
    used = sum(
        int(found["value"]) for name, found in solver.getStatistics() if name == "resource::resourceUnitsUsed"
    )
    return answer, used, f"its budget of {budget.resources} ran out" if used >= budget.resources else ""


def ask_bitwuzla(text: str, budget: Budget) -> tuple[str, int, str]:
    """Put a text in bit-vectors to bitwuzla. Raises RuntimeError for what it cannot read."""
    import bitwuzla

    options = bitwuzla.Options()
    options.set(bitwuzla.Option.TIME_LIMIT_PER, int(budget.seconds * 1000))
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    try:
        parser.parse(text, True, False)
        answer = str(parser.bitwuzla().check_sat())
    except bitwuzla.BitwuzlaException as error:
        raise RuntimeError(str(error)) from None
    return answer, 0, f"no answer within {budget.seconds:g} s" if answer == "unknown" else ""


def ask_z3(text: str, budget: Budget) -> tuple[str, int, str]:  # noqa: ARG001
    """Put a text to Z3: what it makes of the same file, once another solver contradicts what is claimed."""
    solver = z3.Solver(ctx=z3.Context())
    solver.set("random_seed", 0)
    solver.set("rlimit", discharge.BUDGET)
    try:
        solver.from_string(text)
    except z3.Z3Exception as error:
        raise RuntimeError(str(error)) from None
    answer = str(solver.check())
    return answer, 0, solver.reason_unknown() if answer == "unknown" else ""


SOLVERS: dict[str, Ask] = {"cvc5": ask_cvc5, "bitwuzla": ask_bitwuzla, "z3": ask_z3}


@dataclass(frozen=True)
class Opinion:
    """What other solvers make of one obligation.

    ``agrees`` means that each solver asked answered what is claimed, ``disagrees`` that one answered the
    opposite to the full obligation, ``undecided`` anything else, with the ``reason``. ``text`` is the file to
    look at, kept of a disagreement only.
    """

    theorem: str
    obligation: str
    claimed: str
    outcome: Outcome
    logic: str = ""
    said: tuple[Said, ...] = ()
    reason: str = ""
    text: str = ""

    @property
    def seconds(self) -> float:
        """The time all solvers took."""
        return sum(each.seconds for each in self.said)

    @property
    def file(self) -> str:
        """The name of the obligation's file."""
        return file_name(self.theorem, self.obligation)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data, without the text."""
        data = asdict(self)
        del data["text"]
        return data


@dataclass(frozen=True)
class Task:
    """One obligation to be decided again, by the names of its theorem and its own."""

    theorem: str
    obligation: str
    budget: Budget = Budget()


def opinion(task: Task) -> Opinion:
    """Decide one obligation again; for a process that may die of it."""
    return compare(claimed(task.theorem, task.obligation), task.budget)


def compare(claim: Claim, budget: Budget, solvers: Mapping[str, Ask] = SOLVERS) -> Opinion:
    """Put what is claimed to the second solvers, cvc5 and, of pure bit-vectors, bitwuzla."""
    empty = Opinion(claim.theorem, claim.obligation, claim.verdict, "undecided")
    try:
        text = claim.question()
    except NotExpressibleError as error:
        return replace(empty, reason=str(error))
    empty = replace(empty, logic=text.logic)
    if claim.verdict not in ("unsat", "sat"):
        return replace(empty, reason=f"{NAME} gave no verdict to compare with")
    said: list[Said] = []
    asked = ["cvc5", "bitwuzla"] if text.is_pure_bit_vector else ["cvc5"]
    for name in asked:
        said += _said(name, solvers[name], claim, text, budget)
    opposite = {"unsat": "sat", "sat": "unsat"}[claim.verdict]
    if any(each.answer == opposite and each.question == FULL for each in said):
        said += [_put("z3", solvers["z3"], FULL, text.content, budget)]
        return replace(empty, outcome="disagrees", said=tuple(said), text=claim.text().content)
    last = {each.solver: each for each in said}
    silent = [each for each in last.values() if each.answer != claim.verdict]
    if silent:
        reason = "; ".join(f"{each.solver}: {each.reason or each.answer}" for each in silent)
        return replace(empty, said=tuple(said), reason=reason)
    return replace(empty, outcome="agrees", said=tuple(said))


def _said(name: str, ask: Ask, claim: Claim, text: Text, budget: Budget) -> Iterator[Said]:
    """Yield a solver's answers: the last one counts. Few hypotheses first, for they mostly suffice."""
    few = claim.few_hypotheses()
    if few is not None:
        less = replace(budget, resources=min(HINTED, budget.resources))
        answer = _put(name, ask, FEW, few.question().content, less)
        yield answer
        if answer.answer == claim.verdict:
            return
    yield _put(name, ask, FULL, text.content, budget)


def _put(name: str, ask: Ask, question: str, text: str, budget: Budget) -> Said:
    started = time.perf_counter()
    try:
        answer, resources, reason = ask(text, budget)
    except (RuntimeError, ImportError) as error:
        answer, resources, reason = "error", 0, " ".join(str(error).split())
    if answer not in ("unsat", "sat", "unknown", "error"):
        answer, reason = "error", f"answered {answer[:200]!r}"
    if answer in ("unsat", "sat"):
        reason = ""
    return Said(name, question, answer, time.perf_counter() - started, resources, reason)


@dataclass(frozen=True)
class CrossCheckReport:
    """All opinions of a run, in the order of theorems; obligations that it did not reach are undecided."""

    opinions: tuple[Opinion, ...]
    seconds: float
    interrupted: bool = False

    def of(self, outcome: Outcome) -> tuple[Opinion, ...]:
        """Return the opinions with that outcome."""
        return tuple(each for each in self.opinions if each.outcome == outcome)

    def answered(self, solver: str) -> tuple[int, int]:
        """Return how many obligations a solver was asked about, and to how many it answered as is claimed."""
        asked = [each for each in self.opinions if any(said.solver == solver for said in each.said)]
        same = [
            each
            for each in asked
            if [said.answer for said in each.said if said.solver == solver][-1] == each.claimed
        ]
        return len(asked), len(same)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data: counts, and every opinion by theorem."""
        theorems: dict[str, list[dict[str, Any]]] = {}
        for each in self.opinions:
            theorems.setdefault(each.theorem, []).append(each.to_json())
        data: dict[str, Any] = {
            "solver": NAME,
            "second_solvers": [f"{name} {pinned}" for name, pinned in PINNED.items()],
            "agrees": len(self.of("agrees")),
            "disagrees": len(self.of("disagrees")),
            "undecided": len(self.of("undecided")),
            "seconds": self.seconds,
            "theorems": [{"name": name, "obligations": found} for name, found in theorems.items()],
        }
        if self.interrupted:
            data["interrupted"] = True
        return data


def cross_check(
    theorems: Sequence[Theorem],
    jobs: int,
    *,
    budget: Budget | None = None,
    on_theorem: Callable[[Theorem, tuple[Opinion, ...]], None] | None = None,
    decide: Callable[[Task], Opinion] = opinion,
) -> CrossCheckReport:
    """Have every obligation of the theorems decided again, in ``jobs`` processes that may die of it.

    ``on_theorem`` hears of each theorem as soon as all its obligations have an outcome. ``decide`` must be
    importable by name. A worker that dies costs the obligation it was at. An interrupt (Ctrl-C) ends the run,
    not the report. Raises SolverMismatch, or SecondSolverMismatch, unless all solvers are the pinned ones.
    """
    require_pinned()
    require_second_solvers()
    limits = budget or Budget()
    found: dict[str, dict[str, Opinion]] = {theorem.name: {} for theorem in theorems}
    tasks = [Task(each.name, entry.label, limits) for each in theorems for entry in each.obligations]
    by_name = {theorem.name: theorem for theorem in theorems}
    started = time.perf_counter()
    interrupted = False
    try:
        for task, outcome in pool.run(decide, tasks, jobs, DEADLINE):
            if isinstance(outcome, pool.Failure):
                outcome = _missing(task, outcome.reason)
            found[task.theorem][task.obligation] = outcome
            theorem = by_name[task.theorem]
            if on_theorem and len(found[task.theorem]) == len(theorem.obligations):
                on_theorem(theorem, _of(theorem, found))
    except KeyboardInterrupt:
        interrupted = True
    opinions = tuple(each for theorem in theorems for each in _of(theorem, found))
    return CrossCheckReport(opinions, time.perf_counter() - started, interrupted)


def _of(theorem: Theorem, found: Mapping[str, Mapping[str, Opinion]]) -> tuple[Opinion, ...]:
    known = found[theorem.name]
    return tuple(
        known.get(entry.label) or _missing(Task(theorem.name, entry.label), "not asked: the run ended early")
        for entry in theorem.obligations
    )


def _missing(task: Task, reason: str) -> Opinion:
    return Opinion(task.theorem, task.obligation, "unknown", "undecided", reason=reason)
