"""One question to Z3, answered the same way every time.

Each question goes to a context of its own with a fixed seed and a budget of Z3's resource counter, so
answer and count depend on neither the machine, nor Python's hash seed, nor the questions before it. (Z3 is
not wholly free of its process: where other formulas were built first, as by a search, counts may differ.)
"""

import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import z3

from .theorem import Query

PINNED = "5.4.0"
"""The version of Z3 whose verdicts the project stands for."""

NAME = f"z3 {PINNED}"


class SolverMismatch(RuntimeError):  # noqa: N818
    """The installed Z3 is not the pinned one, so its verdicts would not be the documented ones."""


def require_pinned() -> None:
    """Raise SolverMismatch unless package and library are the pinned Z3."""
    library = z3.get_version_string()
    try:
        package = version("z3-solver")
    except PackageNotFoundError:
        package = "of no known version"
    if library != PINNED or package != f"{PINNED}.0":
        raise SolverMismatch(
            f"ringproof needs z3-solver {PINNED}.0, but z3-solver {package} (library {library}) is installed"
        )


@dataclass(frozen=True)
class Answer:
    """What the solver said: unsat, sat or unknown; the seconds and resources it took; why, if unknown."""

    result: str
    seconds: float
    rlimit: int
    reason: str = ""
    model: z3.ModelRef | None = None


def options(rlimit: int, seed: int = 0) -> dict[str, int]:
    """Return every option that is set for a question: all else is as Z3 has it.

    ``random_seed``, set on a solver, is what its search (``smt.random_seed``) and its propositional search
    (``sat.random_seed``) draw from. Z3's other seeds (nlsat, sls, spacer, the randomizer of tactics) belong
    to engines that none of these questions reaches. ``rlimit`` bounds Z3's resource counter (about four
    million a second); 0 is no bound.

    Raises ValueError if one of them is not from 0 to 2^32 - 1: Z3 would take it for another number.
    """
    for name, number in (("random_seed", seed), ("rlimit", rlimit)):
        if not 0 <= number < 1 << 32:
            raise ValueError(f"{name} is {number}, but has to be from 0 to {(1 << 32) - 1}")
    return {"random_seed": seed, "rlimit": rlimit}


def refute(query: Query, rlimit: int, *, seed: int = 0) -> Answer:
    """Ask for a counterexample to the query: ``unsat`` means it is proved; limits as in ``options``."""
    return _ask((*query.hypotheses.values(), z3.Not(query.goal)), options(rlimit, seed))


def refute_here(query: Query, rlimit: int, *, seed: int = 0) -> Answer:
    """Ask the same in the context where the formulas are: quicker, for nothing is made or copied for it.

    The count is of this question alone, but may depend on what was asked before it.
    """
    started = time.perf_counter()
    solver = _solver(query.goal.ctx, options(rlimit, seed))
    before = _spent(solver)
    solver.add(*query.hypotheses.values(), z3.Not(query.goal))
    return _answer(solver, started, before)


def satisfy(query: Query, rlimit: int, *, seed: int = 0) -> Answer:
    """Ask whether the query's hypotheses can hold together; limits as in ``options``."""
    return _ask(tuple(query.hypotheses.values()), options(rlimit, seed))


def core(query: Query, rlimit: int, *, seed: int = 0) -> tuple[str, ...] | None:
    """Return the names of hypotheses from which the goal already follows, or none if it isn't proved."""
    context = z3.Context()
    solver = _solver(context, options(rlimit, seed))
    solver.add(z3.Not(query.goal).translate(context))
    # Tracked by names that no formula has: the model has a flag called ``waiting``, too.
    tracked = {f"hypothesis: {name}": name for name in query.hypotheses}
    for mark, name in tracked.items():
        solver.assert_and_track(query.hypotheses[name].translate(context), z3.Bool(mark, context))
    if solver.check() != z3.unsat:
        return None
    needed = {tracked[mark.decl().name()] for mark in solver.unsat_core()}
    return tuple(name for name in query.hypotheses if name in needed)


def _solver(context: z3.Context, chosen: dict[str, int]) -> z3.Solver:
    solver = z3.Solver(ctx=context)
    for name, value in chosen.items():
        solver.set(name, value)
    return solver


def _ask(formulas: tuple[z3.BoolRef, ...], chosen: dict[str, int]) -> Answer:
    started = time.perf_counter()
    context = z3.Context()
    solver = _solver(context, chosen)
    for formula in formulas:  # One by one: what is copied early gets other numbers, and costs another search.
        solver.add(formula.translate(context))
    return _answer(solver, started, 0)


def _answer(solver: z3.Solver, started: float, before: int) -> Answer:
    """Check what was asserted; ``before`` is what had been spent in the solver's context."""
    result = solver.check()
    return Answer(
        result=str(result),
        seconds=time.perf_counter() - started,
        rlimit=_spent(solver) - before,
        reason=solver.reason_unknown() if result == z3.unknown else "",
        model=solver.model() if result == z3.sat else None,
    )


def _spent(solver: z3.Solver) -> int:
    """Return the resources that were spent in the solver's context so far."""
    statistics = solver.statistics()
    return int(statistics.get_key_value("rlimit count")) if "rlimit count" in statistics.keys() else 0  # noqa: SIM118
