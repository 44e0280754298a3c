"""Whether verdicts hang on luck: every obligation decided again from other seeds and in other words.

Run ``python -m ringproof.proofs.stability [THEOREM]... [-j N]``. Each obligation is decided ten times from
the solver's seeds 0 to 9, once with every name and the order of the hypotheses drawn anew, and once with the
order of operands drawn anew as well: as the engine does it, from the hinted hypotheses, then from all, then
on small rings. A line per theorem says whether all verdicts are the same, and how the cost compares with
that of seed 0: least, median, most. The theorems whose cost varies most are listed at the end: they are the
first to fail when something else changes.

Exit codes: 0 every verdict is always the same; 1 some is not; 2 no such theorem; 3 something could not be
decided at all, or a worker died, or the solver is not the pinned one; 130 interrupted.
"""

import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import arguments as command_line
from . import pool
from .discharge import BUDGET, CHANCES, HINTED, PATIENCE, SMALL_SIZES
from .hints import HINTS
from .renaming import Renaming, renamed
from .solver import Answer, SolverMismatch, refute, refute_here, require_pinned
from .stages import question, stage
from .theorem import Obligation, Query, Verdict
from .theorems import THEOREMS

FLOOR = 2_000
"""Resources below which costs count as equal: a quarter of a millisecond's work says nothing."""

FRAGILE = 10
"""How many theorems are listed as the most fragile."""

_DEADLINE = 600.0
"""Seconds for one group of one theorem, after which its worker counts as stuck."""


@dataclass(frozen=True)
class Variation:
    """One way to ask the same: the solver's seed, and that of a renaming if there is one."""

    name: str
    seed: int = 0
    renaming: int | None = None
    operands: bool = False


VARIATIONS = (
    *(Variation(f"seed {seed}", seed) for seed in range(10)),
    Variation("renamed", renaming=1),
    Variation("reordered", renaming=2, operands=True),
)
"""The first is how ``prove`` asks, and what the others are compared with."""


@dataclass(frozen=True)
class Task:
    """What one process does at a time: one group of a theorem's obligations, in every variation."""

    theorem: str
    group: str
    variations: tuple[Variation, ...] = VARIATIONS
    budget: int = BUDGET


@dataclass(frozen=True)
class Outcome:
    """A verdict, and the solver's resources spent on it."""

    verdict: Verdict
    rlimit: int


@dataclass(frozen=True)
class Trial:
    """One obligation and its outcomes by the variation's name, the first to be compared with."""

    label: str
    outcomes: dict[str, Outcome]

    @property
    def usual(self) -> Verdict:
        """The verdict in the first variation."""
        return next(iter(self.outcomes.values())).verdict

    @property
    def others(self) -> dict[str, Verdict]:
        """The verdicts that are not the usual one, by variation."""
        found = {name: outcome.verdict for name, outcome in self.outcomes.items()}
        return {name: verdict for name, verdict in found.items() if verdict != self.usual}

    @property
    def spread(self) -> float:
        """How many times the cheapest variation the dearest costs."""
        counts = [max(outcome.rlimit, FLOOR) for outcome in self.outcomes.values()]
        return max(counts) / min(counts)


@dataclass
class TheoremStability:
    """What became of one theorem: trials of its obligations, and reasons where there are none."""

    name: str
    trials: list[Trial] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def differing(self) -> list[Trial]:
        """The trials in which not every verdict was the same."""
        return [trial for trial in self.trials if trial.others]

    @property
    def undecided(self) -> list[str]:
        """Lines on what was decided in no variation, and on what was not tried to the end."""
        never = [trial.label for trial in self.trials if trial.usual == "unknown" and not trial.others]
        return [*(f"{label}: never decided" for label in never), *self.failures]

    @property
    def proved(self) -> list[Trial]:
        """The trials whose costs can be compared: those that end in a proof."""
        return [trial for trial in self.trials if trial.usual == "proved"]

    @property
    def ratios(self) -> dict[str, float]:
        """The cost of all proofs in each variation, with that of the first as 1."""
        totals: dict[str, int] = {}
        for trial in self.proved:
            for name, outcome in trial.outcomes.items():
                totals[name] = totals.get(name, 0) + outcome.rlimit
        counts = {name: max(total, FLOOR) for name, total in totals.items()}
        return {name: count / next(iter(counts.values())) for name, count in counts.items()}

    @property
    def spread(self) -> float:
        """How many times the cheapest variation the dearest costs."""
        return max(self.ratios.values()) / min(self.ratios.values()) if self.proved else 1.0


def examine(task: Task) -> tuple[Trial, ...]:
    """Decide the obligations of the task in each of its variations."""
    theorem = THEOREMS[task.theorem]
    renamings = {
        variation: Renaming(variation.renaming, operands=variation.operands)
        for variation in task.variations
        if variation.renaming is not None
    }
    return tuple(
        Trial(obligation.label, _outcomes(obligation, theorem.subject, task, renamings))
        for obligation in theorem.obligations
        if obligation.group == task.group
    )


def _outcomes(
    obligation: Obligation, model: type, task: Task, renamings: Mapping[Variation, Renaming]
) -> dict[str, Outcome]:
    """Decide one obligation in each variation.

    What a small ring refutes is no longer tried for long from all hypotheses, where there is nothing to find.
    """
    outcomes: dict[str, Outcome] = {}
    for variation in task.variations:
        refuted = any(outcome.verdict == "refuted" for outcome in outcomes.values())
        patience = min(PATIENCE, task.budget) if refuted and obligation.every_size else task.budget
        outcomes[variation.name] = _decide(
            obligation, model, task.budget, patience, variation.seed, renamings.get(variation)
        )
    return outcomes


def _decide(
    obligation: Obligation, model: type, budget: int, patience: int, seed: int, renaming: Renaming | None
) -> Outcome:
    """Prove or refute one obligation, trying what the engine tries in its order."""
    spent = 0

    def ask(query: Query, limit: int, how: Callable[..., Answer] = refute, after: int = 0) -> str:
        nonlocal spent
        answer = how(query if renaming is None else renamed(query, renaming), limit, seed=seed + after)
        spent += answer.rlimit
        return answer.result

    query = question(obligation, model)
    hint = HINTS.get(obligation.label)
    if hint is not None:
        few = {name: hypothesis for name, hypothesis in query.hypotheses.items() if name in hint}
        # The quick way first, itself a variation: what was asked before plays a part, too.
        chances = CHANCES if patience >= budget else 0
        for how, after in ((refute_here, 0), *((refute, after) for after in range(1 + chances))):
            if ask(replace(query, hypotheses=few), min(HINTED, budget), how, after) == "unsat":
                return Outcome("proved", spent)
    result = ask(query, patience)
    if result == "unsat":
        return Outcome("proved", spent)
    if not obligation.every_size:
        return Outcome("refuted" if result == "sat" else "unknown", spent)
    for queue_size in SMALL_SIZES:
        if ask(obligation.build(stage(model, queue_size)), budget) == "sat":
            return Outcome("refuted", spent)
    return Outcome("unknown", spent)


def vary(
    names: Sequence[str] | None = None,
    *,
    jobs: int = 0,
    variations: tuple[Variation, ...] = VARIATIONS,
    budget: int = BUDGET,
) -> Iterator[TheoremStability]:
    """Yield what becomes of each named theorem, or of all, as soon as it is known.

    ``jobs`` is the number of processes (0: one per processor), ``budget`` the solver's resources for each
    obligation. The names must be theorems'. Raises SolverMismatch if the solver is not the pinned one.
    """
    require_pinned()
    theorems = [THEOREMS[name] for name in (THEOREMS if names is None else dict.fromkeys(names))]
    found = {theorem.name: TheoremStability(theorem.name) for theorem in theorems}
    left = {theorem.name: len(theorem.groups) for theorem in theorems}
    tasks = [
        Task(theorem.name, group, variations, budget) for theorem in theorems for group in theorem.groups
    ]
    for task, outcome in pool.run(examine, tasks, jobs or os.cpu_count() or 1, _DEADLINE):
        theorem = found[task.theorem]
        if isinstance(outcome, pool.Failure):
            theorem.failures.append(f"{task.group}: {outcome.reason}")
        else:
            theorem.trials += outcome
        left[task.theorem] -= 1
        if not left[task.theorem]:
            yield theorem


def lines(theorem: TheoremStability) -> Iterator[str]:
    """Yield a line on one theorem, and one more for each thing that is not as it should be."""
    verdict = "DIFFERS" if theorem.differing else "unknown" if theorem.undecided else "same"
    ratios = list(theorem.ratios.values()) or [1.0]
    cost = f"{min(ratios):5.2f} {statistics.median(ratios):5.2f} {max(ratios):5.2f}"
    yield f"{verdict:8}{len(theorem.trials):4d}  {cost}  {theorem.name}"
    for trial in theorem.differing:
        for name, other in trial.others.items():
            yield f"         {trial.label}: {trial.usual}, but {other} when {name}"
    for line in theorem.undecided:
        yield f"         {line}"


def fragile(theorems: Sequence[TheoremStability]) -> Iterator[str]:
    """Yield a line on each of the theorems whose cost varies most, and on its obligation that does."""
    for theorem in sorted(theorems, key=lambda each: each.spread, reverse=True)[:FRAGILE]:
        if theorem.proved:
            worst = max(theorem.proved, key=lambda trial: trial.spread)
            counts = {name: outcome.rlimit for name, outcome in worst.outcomes.items()}
            least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
            yield f"{theorem.spread:6.2f}  {theorem.name}"
            yield f"        {worst.label}: {counts[least]:,} ({least}) to {counts[most]:,} ({most})"


def exit_code(theorems: Sequence[TheoremStability]) -> int:
    """0 if every verdict is always the same, 1 if some is not, 3 if something was not decided."""
    if any(theorem.differing for theorem in theorems):
        return 1
    return 3 if any(theorem.undecided for theorem in theorems) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Vary what the command line asks for, and print it; exit codes as above."""
    parser = command_line.parser("stability", __doc__, "vary")
    chosen = command_line.parsed(parser, arguments)
    done: list[TheoremStability] = []
    _say("verdict  obligations; cost: least, median, most of seed 0's; theorem")
    try:
        for theorem in vary(chosen.theorems or None, jobs=chosen.jobs):
            done.append(theorem)
            _say(*lines(theorem))
    except KeyboardInterrupt:
        _say(f"interrupted: {len(done)} theorems were varied to the end")
        return 130
    except SolverMismatch as mismatch:
        print(mismatch, file=sys.stderr)  # noqa: T201
        return 3
    _say("", "most fragile: dearest to cheapest variation, and the obligation that varies most")
    _say(*fragile(done))
    count = sum(len(theorem.trials) for theorem in done)
    steady = count - sum(len(theorem.differing) for theorem in done)
    _say("", f"{steady} of {count} obligations have one verdict in {len(VARIATIONS)} variations")
    return exit_code(done)


def _say(*said: str) -> None:
    print("\n".join(said), flush=True)  # noqa: T201


if __name__ == "__main__":
    # Under the name that the workers know: what is pickled must not be of ``__main__``.
    from .stability import main as run

    sys.exit(run())
