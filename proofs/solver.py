"""One question to Z3, answered the same way every time.

Each question goes to a context of its own with fixed seeds and a budget of Z3's resource counter, so
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


def refute(query: Query, rlimit: int) -> Answer:
    """Ask for a counterexample to the query: ``unsat`` means it is proved.

    ``rlimit`` bounds Z3's resource counter (about four million a second).
    """
    return _ask((*query.hypotheses.values(), z3.Not(query.goal)), rlimit)


def satisfy(query: Query, rlimit: int) -> Answer:
    """Ask whether the query's hypotheses can hold together."""
    return _ask(tuple(query.hypotheses.values()), rlimit)


def core(query: Query, rlimit: int) -> tuple[str, ...] | None:
    """Return the names of hypotheses from which the goal already follows, or none if it isn't proved."""
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("random_seed", 0)
    solver.set("rlimit", rlimit)
    solver.add(z3.Not(query.goal).translate(context))
    for name, hypothesis in query.hypotheses.items():
        solver.assert_and_track(hypothesis.translate(context), z3.Bool(name, context))
    if solver.check() != z3.unsat:
        return None
    needed = {str(name) for name in solver.unsat_core()}
    return tuple(name for name in query.hypotheses if name in needed)


def _ask(formulas: tuple[z3.BoolRef, ...], rlimit: int) -> Answer:
    started = time.perf_counter()
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("random_seed", 0)
    solver.set("rlimit", rlimit)
    for formula in formulas:
        solver.add(formula.translate(context))
    result = solver.check()
    statistics = solver.statistics()
    spent = int(statistics.get_key_value("rlimit count")) if "rlimit count" in statistics.keys() else 0  # noqa: SIM118
    return Answer(
        result=str(result),
        seconds=time.perf_counter() - started,
        rlimit=spent,
        reason=solver.reason_unknown() if result == z3.unknown else "",
        model=solver.model() if result == z3.sat else None,
    )
