"""Showing what a network driver fails: each failure shrunk, run again to see how steady it is, kept."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..impl.harness.frames import OutOfRoom
from ..traces.document import TraceError
from .asked import asked
from .failure import DETERMINISTIC
from .net_evidence import keep_net, net_steps_in_words
from .net_failure import NetFailure
from .net_findings import NET_CHECKS
from .net_pair import NetPair
from .net_shrinking import reduced
from .observer import ORACLES, WARNINGS
from .options import Options
from .report import Exhibit
from .shrinking import Deadline

_TELLING = ("crash", "hang", "clause", "finding", "violation", "oracle", "difference")
"""Kinds of failures, the one that says most first."""
_EXPECTED = {**ORACLES, **{check.name: check.rule for check in NET_CHECKS.values()}}
_MOST = 12  # failures that are shrunk; the others are told as they were found
_OTHERS = 0.25  # of the first one's seconds each other may take
_TIMES = 3
_HANG_PATIENCE, _HANG_SECONDS, _QUICK_SECONDS = 0.5, 8.0, 12.0


def shown(
    pair: NetPair,
    failures: Mapping[str, NetFailure],
    found_at: Mapping[str, float],
    driver: str,
    options: Options,
) -> tuple[dict[str, NetFailure], tuple[Exhibit, ...]]:
    """Shrink the failures that are more than warnings; return all, and what shows them, most telling first.

    Counts nothing in ``pair``. ``failures`` are by check, and so is ``found_at``, in seconds.
    """
    serious = sorted(
        (failure for failure in failures.values() if failure.check not in WARNINGS),
        key=lambda one: (_TELLING.index(one.kind), len(one.operations)),
    )
    seconds = min(options.shrink_seconds, _QUICK_SECONDS) if options.quick else options.shrink_seconds
    deadline = Deadline(2 * seconds)
    told = dict(failures)
    exhibits = []
    for place, failure in enumerate(serious):
        left = seconds if place == 0 else 0.0 if deadline.passed() else _OTHERS * seconds
        if left and place < _MOST:
            told[failure.check], exhibit = _shown(pair, failure, failures.keys(), left, driver, options)
        else:
            exhibit = _exhibit(failure.cut(), "", "", None, "told as it was found")
        exhibits.append(replace(exhibit, seconds=found_at.get(failure.check)))
    return told, tuple(exhibits)


def _shown(
    pair: NetPair, failure: NetFailure, known: Collection[str], seconds: float, driver: str, options: Options
) -> tuple[NetFailure, Exhibit]:
    hangs = failure.kind == "hang"
    with _aside(pair, set(known) - {failure.check}, min(pair.patience, _HANG_PATIENCE) if hangs else None):
        small = reduced(failure, pair.attempt, min(seconds, _HANG_SECONDS) if hangs else seconds)
        again = sum(failure.check in _attempt(pair, small) for _ in range(_TIMES))
    with _aside(pair, set(), min(pair.patience, _HANG_PATIENCE) if hangs else None):
        first = min(
            (one for one in _attempt(pair, small).values() if one.check not in WARNINGS),
            key=lambda one: one.step,
            default=small,
        )
    follows = first.check if first.step < small.step else ""
    steadiness = DETERMINISTIC if again == _TIMES else f"flaky (shown {again} of {_TIMES})"
    trace, message = _kept(small, driver, options.traces, exact=pair.exact)
    return small, _exhibit(small, steadiness, follows, trace, message)


def _attempt(pair: NetPair, failure: NetFailure) -> dict[str, NetFailure]:
    try:
        return pair.attempt(failure.config, failure.frames, failure.operations)
    except (OutOfRoom, ValueError):
        return {}


@contextmanager
def _aside(pair: NetPair, known: set[str], patience: float | None) -> Iterator[None]:
    """Put checks aside, so that nothing else ends a run before the one in question shows."""
    before = pair.known, pair.patience
    pair.known, pair.patience = known, pair.patience if patience is None else patience
    try:
        yield
    finally:
        pair.known, pair.patience = before


def _kept(failure: NetFailure, driver: str, traces: Path | None, *, exact: bool) -> tuple[Path | None, str]:
    if traces is None:
        return None, ""
    try:
        return keep_net(failure, driver, traces, exact=exact, expected=_expected(failure)), ""
    except (TraceError, OutOfRoom) as error:
        return None, f"no trace was kept: {error}"


def _expected(failure: NetFailure) -> str:
    """What the check that failed asks of a driver."""
    return _EXPECTED.get(failure.check) or asked(failure.check)


def _exhibit(failure: NetFailure, steadiness: str, follows: str, trace: Path | None, message: str) -> Exhibit:
    return Exhibit(
        check=failure.check,
        clause=failure.clause,
        expected=_expected(failure),
        seen=failure.detail,
        steps=net_steps_in_words(failure),
        trace=trace,
        steadiness=steadiness,
        follows=follows,
        message=message,
    )
