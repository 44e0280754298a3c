"""Showing a failure: shrunk, run again to see how steady it is, and written down as a trace."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..impl.harness.operations import Op
from ..traces.document import TraceError
from .configurations import described
from .course import Habits
from .evidence import keep, passing_choice, steps_in_words
from .failure import DETERMINISTIC, Failure, Found, Shown
from .pairing import Pair
from .process import Process
from .shrinking import reduced

_TIMES = 3
_HANG_PATIENCE = 0.5  # seconds; a driver that hangs does so at every attempt
_HANG_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Stand:
    """Where failures are shown: on which library, compared how, with which traces kept where."""

    library: Path
    habits: Habits
    patience: float
    by_meaning: bool = False
    traces: Path | None = None

    @contextmanager
    def pair(self, *, by_meaning: bool = False, patience: float | None = None) -> Iterator[Pair]:
        """Make a pair on a worker of its own, which counts nothing."""
        with Process(self.library, patience=self.patience if patience is None else patience) as process:
            if by_meaning or self.by_meaning:
                process.follows_the_reference = False
            pair = Pair.of(process)
            self.habits.tell(pair)
            pair.tallying = False
            yield pair


def show(found: Found, stand: Stand, seconds: float, hints: Sequence[tuple[Op, ...]] = ()) -> Shown:
    """Shrink a failure in about ``seconds``, run it again three times, and keep its trace.

    ``hints`` are short runs that show other failures, worth a try. Where it can be, it is shown with nothing
    put aside; else with what had failed before it, which it then follows.
    """
    patience = stand.patience
    if found.failure.kind == "hang":
        patience, seconds = min(patience, _HANG_PATIENCE), min(seconds, _HANG_SECONDS)
    began = time.monotonic()
    for by_meaning, aside in _manners(found, stand):
        with stand.pair(by_meaning=by_meaning, patience=patience) as pair:
            pair.known = set(aside)
            start = _start(found.failure, pair, hints)
            if start is None:
                continue
            left = max(0.5, seconds - (time.monotonic() - began))
            small = replace(reduced(start, pair.attempt, left), variant=found.failure.variant)
            trace, message = _kept(small, pair, stand.traces)
        again = sum(_shows(small, stand, by_meaning, aside, patience) for _ in range(_TIMES))
        follows = _follows(small, stand, by_meaning, patience) if aside else ""
        return _presented(found, small, trace, again, follows, message)
    small = replace(found.failure.cut(), variant=found.failure.variant)
    with stand.pair(patience=patience) as pair:
        trace, message = _kept(small, pair, stand.traces)
    said = "it did not show again on a queue of its own; perhaps it takes an earlier queue, or luck"
    return _presented(found, small, trace, 0, "", "; ".join(part for part in (said, message) if part))


def unshrunk(found: Found, why: str) -> Shown:
    """Present a failure as it was found."""
    small = replace(found.failure.cut(), variant=found.failure.variant)
    return Shown(small, steps_in_words(small), None, "", "", found.seconds, found.stage, why)


def with_circumstances(shown: Shown) -> str:
    """Return the failure's sentence with where it shows."""
    failure = shown.failure
    count = len(failure.operations)
    said = f"{failure.detail} ({described(failure.config)}; {count} operation{'' if count == 1 else 's'}"
    if failure.variant:
        said += f"; in the build that tells its {failure.variant}"
    if shown.steadiness not in ("", DETERMINISTIC):
        said += f"; {shown.steadiness}"
    if shown.follows:
        said += f"; follows {shown.follows}"
    return f"{said})"


def _manners(found: Found, stand: Stand) -> Iterator[tuple[bool, frozenset[str]]]:
    """Ways to show a failure, the best first: by meaning or not, and with what put aside."""
    yield stand.by_meaning, frozenset()
    if found.failure.kind != "difference" and not stand.by_meaning:
        yield True, frozenset()  # other bytes than promised do not hide it there
    if found.aside:
        yield stand.by_meaning, found.aside


def _start(failure: Failure, pair: Pair, hints: Sequence[tuple[Op, ...]]) -> Failure | None:
    """Return a run that shows the failure here: a hint's, or its own; None when none does."""
    for hint in hints:
        operations = [op for op in hint if op.code in pair.offered or op.code >= 16]
        again = pair.attempt(failure.config, operations)
        if again is not None and failure.like(again):
            return again
    whole = replace(failure.config, fail_allocation=0)
    for config in dict.fromkeys((whole, failure.config)):  # perhaps it fails as well with all its memory
        again = pair.attempt(config, failure.operations)
        if again is not None and failure.like(again):
            return replace(again, marks=failure.marks)
    return None


def _shows(small: Failure, stand: Stand, by_meaning: bool, aside: frozenset[str], patience: float) -> bool:
    with stand.pair(by_meaning=by_meaning, patience=patience) as pair:
        pair.known = set(aside)
        return small.like(pair.attempt(small.config, small.operations))


def _follows(small: Failure, stand: Stand, by_meaning: bool, patience: float) -> str:
    """Name the check that the run fails first with nothing put aside; "" when it is the same."""
    with stand.pair(by_meaning=by_meaning, patience=patience) as pair:
        first = pair.attempt(small.config, small.operations)
    return first.check if first is not None and first.check != small.check else ""


def _kept(small: Failure, pair: Pair, traces: Path | None) -> tuple[Path | None, str]:
    if traces is None:
        return None, ""
    try:
        return keep(small, pair, traces), ""
    except TraceError as error:
        return None, f"no trace was kept: {error}"


def _presented(
    found: Found, small: Failure, trace: Path | None, again: int, follows: str, message: str
) -> Shown:
    steadiness = DETERMINISTIC if again == _TIMES else f"flaky (shown {again} of {_TIMES})"
    passes = passing_choice(trace) if trace is not None else ""
    return Shown(
        small, steps_in_words(small), trace, steadiness, follows, found.seconds, found.stage, message, passes
    )


def telling(shown: Shown) -> tuple[bool, bool, bool]:
    """Say how much a failure tells, as a key to sort by: what follows and what only parts come last."""
    failure = shown.failure
    return bool(shown.follows), failure.kind == "difference", not shown.deterministic
