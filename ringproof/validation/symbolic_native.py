"""What formulas say fails, made concrete and run on the driver itself: only then is it a finding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..impl.harness.operations import Code, Op, OpFlag
from .failure import Failure, Found
from .pairing import Pair
from .symbolic_findings import Suspicion
from .symbolic_start import Start
from .symbolic_steps import concrete

MOST_TRIED = 12
"""Paths of one check that are run, at most; the shortest first."""
_SEED = 0x0123_4567


@dataclass(frozen=True, slots=True)
class Trial:
    """One check that formulas say may fail, over all paths of one exploration.

    ``seen`` is what the first of them shows, ``paths`` how many there are. ``found`` is the failure of the
    run that shows it, None where no run did: then ``why``, and ``operations`` are the last run tried, if any.
    """

    check: str
    clause: str
    seen: str
    paths: int
    start: str
    found: Found | None
    why: str = ""
    operations: tuple[Op, ...] = ()


def tried(
    suspicions: Iterable[Suspicion], start: Start, name: str, pair: Pair, seconds: float
) -> list[Trial]:
    """Run what formulas say fails, check by check, until a run of the check shows any failure at all.

    ``name`` says in words which start it was; ``seconds`` have passed since the validation began.
    """
    by_check: dict[str, list[Suspicion]] = {}
    for suspicion in suspicions:
        by_check.setdefault(suspicion.check, []).append(suspicion)
    return [_tried(group, start, name, pair, seconds) for group in by_check.values()]


def _tried(group: list[Suspicion], start: Start, name: str, pair: Pair, seconds: float) -> Trial:
    first = group[0]
    last: tuple[Op, ...] = ()
    whys = list[str]()
    for suspicion in sorted(group, key=lambda one: len(one.steps))[:MOST_TRIED]:
        run = concrete(start, suspicion.path, suspicion.steps)
        if isinstance(run, str):
            whys.append(run)
            continue
        last = (*run.operations, *_behind(start, run.operations))
        failure = attempted(start, last, pair)
        if failure is not None:
            found = Found(failure, frozenset(), f"symbolic, {name}", seconds)
            return Trial(first.check, first.clause, suspicion.seen, len(group), name, found)
        whys.append("the driver passes the run")
    said = ", and ".join(dict.fromkeys(whys))
    return Trial(first.check, first.clause, first.seen, len(group), name, None, said, last)


def attempted(start: Start, operations: Sequence[Op], pair: Pair) -> Failure | None:
    """Run operations on the driver, beside the reference, with the device watching; the first failure."""
    offered = pair.offered | {Code.ROUNDS}
    known = [operation for operation in operations if operation.code in offered]
    return pair.attempt(replace(start.config, profile=pair.profile), known)


def _behind(start: Start, operations: Sequence[Op]) -> list[Op]:
    """What lets the harness see what was done: all is used and taken back, and as much as fits offered."""
    adds = sum(operation.code == Code.ADD for operation in operations) + 1
    n = start.config.queue_size
    return [
        Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, 0, 0, 0, 1, adds), *[Op(Code.GET)] * (adds + 1),
        Op(Code.ADD, OpFlag(0), 0, n, _SEED), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, 0, 0, 0, 1, n),
        Op(Code.GET), Op(Code.GET),
    ]  # fmt: skip
