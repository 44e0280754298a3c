"""What each theorem costs the solver, and whether that is still what it cost when last accepted.

Z3 counts the resources it spends, and the count is the same on every run: it depends on the formulas, their
order, the options and the version of Z3, and on neither the machine, the number of processes, nor Python's
hash seed. A proof that suddenly costs a multiple still holds, but something about it has changed, and the
next change may put it out of reach.

Run ``python -m ringproof.proofs.resources [THEOREM]... [-j N] [--accept]``. Without ``--accept`` it says
which costs differ from those in ``resources.json`` by more than a factor of two; with it, it records them
(if theorems are named, theirs alone), which belongs into the commit that changed the cost. Costs of theorems
whose verdict is not the one announced are not accepted.

Exit codes: 0 every cost is as recorded; 1 some is not, or a verdict is not as announced; 2 no such theorem;
3 something was not decided, or the solver is not the pinned one; 130 interrupted.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from . import arguments as command_line
from . import pool
from .discharge import BUDGET, Task, TaskResult, discharge
from .engine import DEADLINE, judge
from .solver import NAME, SolverMismatch, require_pinned
from .theorem import Theorem, Verdict
from .theorems import THEOREMS

RECORD = Path(__file__).with_name("resources.json")
"""The costs last accepted."""

FACTOR = 2
"""How many times more, or less, than recorded is still no drift."""

FLOOR = 10_000
"""Resources below which costs count as equal: two milliseconds."""

ACCEPT = "python -m ringproof.proofs.resources --accept"
"""The command that accepts costs as they are."""


class BadRecordError(ValueError):
    """The record cannot be read; the message says what is wrong and how to write it anew."""


@dataclass(frozen=True)
class Figures:
    """What one theorem costs, in counts of Z3's resources.

    ``proof`` is the sum over its obligations, ``witness`` what it takes to show that their hypotheses can
    hold, ``dearest`` the count of the obligation that costs most, ``obligation`` that one's label.
    """

    proof: int
    witness: int
    dearest: int
    obligation: str


@dataclass(frozen=True)
class Measured:
    """One theorem measured: its figures, and its verdict with the reason if it is unknown."""

    name: str
    figures: Figures
    verdict: Verdict
    reason: str = ""

    @property
    def surprise(self) -> str:
        """A line that says what verdict came instead of the one announced; empty if none did."""
        expected = THEOREMS[self.name].expected
        if self.verdict == expected:
            return ""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.name} is {self.verdict}, not {expected}{reason}"


def measure(names: Sequence[str] | None = None, *, jobs: int = 0) -> Iterator[Measured]:
    """Yield each named theorem, or all of them, as it is proved by default: in fresh processes, uncached.

    ``jobs`` is the number of processes (0: one per processor); the figures do not depend on it. The names
    must be theorems'. Raises SolverMismatch if the solver is not the pinned one.
    """
    require_pinned()
    theorems = [THEOREMS[name] for name in (THEOREMS if names is None else dict.fromkeys(names))]
    outcomes: dict[str, dict[str, TaskResult | pool.Failure]] = {theorem.name: {} for theorem in theorems}
    tasks = [Task(theorem.name, group, budget=BUDGET) for theorem in theorems for group in theorem.groups]
    for task, outcome in pool.run(discharge, tasks, jobs or os.cpu_count() or 1, DEADLINE):
        outcomes[task.theorem][task.group] = outcome
        theorem = THEOREMS[task.theorem]
        if len(outcomes[theorem.name]) == len(theorem.groups):
            yield _measured(theorem, list(outcomes[theorem.name].values()))


def _measured(theorem: Theorem, outcomes: list[TaskResult | pool.Failure]) -> Measured:
    done = [outcome for outcome in outcomes if isinstance(outcome, TaskResult)]
    details = [result for outcome in done for result in outcome.obligations]
    proof = sum(result.rlimit for result in details)
    # Of two that cost the same the first in the theorem's order is named, whoever answered first.
    costs = {result.label: result.rlimit for result in details}
    labels = [obligation.label for obligation in theorem.obligations]
    dearest = max(labels, key=lambda label: costs.get(label, -1))
    witness = sum(outcome.rlimit for outcome in done) - proof
    figures = Figures(proof, witness, costs.get(dearest, 0), dearest)
    for outcome in outcomes:
        if isinstance(outcome, pool.Failure):
            return Measured(theorem.name, figures, "unknown", outcome.reason)
    verdict, reason = judge(details, any(outcome.vacuous for outcome in done))
    return Measured(theorem.name, figures, verdict, reason)


def read(place: Path | None = None) -> dict[str, Figures]:
    """Return the figures by theorem from RECORD or another file; raises BadRecordError if that fails."""
    place = place or RECORD
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
        solver, entries = data["solver"], data["theorems"]
        record = {name: Figures(**entry) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRecordError(f"{place} is no record of costs ({error}); to write it: {ACCEPT}") from None
    if solver != NAME:
        raise BadRecordError(f"{place} was recorded with {solver}, and this is {NAME}; to accept: {ACCEPT}")
    for name, figures in record.items():
        for key in fields(Figures):
            if type(getattr(figures, key.name)) is not key.type:
                raise BadRecordError(f"{place}: {key.name} of {name} is wrong; to write it anew: {ACCEPT}")
    return record


def write(record: Mapping[str, Figures]) -> None:
    """Write the figures of the theorems there are, in their order, to RECORD."""
    entries = {name: asdict(record[name]) for name in THEOREMS if name in record}
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(json.dumps({"solver": NAME, "theorems": entries}, indent=2) + "\n", encoding="utf-8")
    fresh.replace(RECORD)


def drifts(present: Mapping[str, Figures], record: Mapping[str, Figures]) -> tuple[str, ...]:
    """Return a line on each figure that is more than FACTOR times the recorded one, or less than that part.

    A theorem without a record is told, too, and so is a record without a theorem. Each line says how to
    accept what it complains of.
    """
    told: list[str] = []
    for name, figures in present.items():
        if name not in record:
            told.append(f"{name}: no cost is recorded; to record it: {ACCEPT} {name}")
            continue
        for what, now, then in _compared(figures, record[name]):
            if not _near(now, then):
                told.append(
                    f"{name}: {what} costs {now:,}, and {then:,} is recorded: {_times(now, then)}; "
                    f"if that is meant: {ACCEPT} {name}"
                )
    told += [
        f"{name}: there is a record, but no such theorem; to drop it: {ACCEPT}"
        for name in record
        if name not in THEOREMS
    ]
    return tuple(told)


def _compared(now: Figures, then: Figures) -> Iterator[tuple[str, int, int]]:
    yield "the proof", now.proof, then.proof
    yield "showing that the hypotheses can hold", now.witness, then.witness
    yield f"the dearest obligation ({now.obligation})", now.dearest, then.dearest


def _near(now: int, then: int) -> bool:
    now, then = max(now, FLOOR), max(then, FLOOR)
    return now <= FACTOR * then and then <= FACTOR * now


def _times(now: int, then: int) -> str:
    more = now > then
    return f"{max(now, then) / max(min(now, then), 1):.1f} times {'as much' if more else 'less'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what the command line asks for with the record, or record it; exit codes as above."""
    parser = command_line.parser("resources", __doc__, "measure")
    parser.add_argument("--accept", action="store_true", help="record the costs as they are")
    chosen = command_line.parsed(parser, arguments)
    try:
        return _run(chosen.theorems or None, jobs=chosen.jobs, accept=chosen.accept)
    except (BadRecordError, SolverMismatch) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 3 if isinstance(error, SolverMismatch) else 1
    except KeyboardInterrupt:
        print("interrupted: nothing was recorded", file=sys.stderr)  # noqa: T201
        return 130


def _run(names: Sequence[str] | None, *, jobs: int, accept: bool) -> int:
    # A whole new record needs nothing of the old one, which may be unreadable.
    record = {} if accept and names is None else read()
    found = {each.name: each for each in measure(names, jobs=jobs)}
    present = {name: found[name].figures for name in THEOREMS if name in found}
    surprises = [each.surprise for each in found.values() if each.surprise]
    if surprises:
        print("\n".join(surprises), file=sys.stderr)  # noqa: T201
        return 3 if all(each.verdict == "unknown" for each in found.values() if each.surprise) else 1
    if accept:
        write({**record, **present})
        print(f"{RECORD}: the costs of {len(present)} theorems are recorded")  # noqa: T201
        return 0
    told = drifts(present, record)
    print("\n".join(told) or f"the costs of {len(present)} theorems are as recorded")  # noqa: T201
    return 1 if told else 0


if __name__ == "__main__":
    # Under the name that the workers know: what is pickled must not be of ``__main__``.
    from .resources import main as run

    sys.exit(run())
