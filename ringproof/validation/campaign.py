"""The campaign behind ``ringproof validate``: shards in processes side by side, and what is made of them."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..impl.harness.operations import Op
from .assessment import Assessment
from .configurations import described
from .course import Habits
from .coverage import Coverage
from .coverage import report as coverage_of
from .failure import Found, Shown
from .library import LibraryError
from .options import Options, busy
from .ordering import INSTRUMENTED_ACCESSES, why_not
from .outcome import Outcome
from .pairing import DriverLost, Pair
from .process import Process
from .processes import Lost, Task, in_processes
from .report import Check, CheckVerdict, Exhibit, Stage, ValidationReport, Verdict
from .shards import Shard, Terms, run_shards
from .showing import Stand, show, telling, unshrunk, with_circumstances
from .stages import LONG_SIZES, Driver, campaign_configs, plan
from .verdicts import VERDICTS
from .worker import worker_program

__all__ = ["Options", "validate"]

_IMPOSSIBLE_SIZES = (0, 3, 1 << 16)
_PATIENCE = 3.0  # seconds for a create that is only asked for to see whether it declines
_MOST_SHOWN = 24  # failing checks that are shrunk; the others are told as they were found
_MORE_SECONDS = 20.0  # past the deadline for showing what was found
_EXPECTED = {
    "no-crash": "The driver never ends its process.",
    "no-hang": "Every call comes back.",
    "create-succeeds": "Create sets up the queue.",
}


@dataclass(frozen=True, slots=True)
class _Prelude:
    """What is known of a driver before its campaign: itself, its habits, and two checks on the way.

    ``lost`` are the checks that it failed by getting lost there.
    """

    driver: Driver
    habits: Habits
    oracle: str
    checks: tuple[Check, ...]
    lost: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a campaign came to."""

    outcome: Outcome
    stages: tuple[Stage, ...]
    shown: Mapping[str, Shown]
    checks: tuple[Check, ...]

    @property
    def only_parts(self) -> bool:
        """Whether all that failed is agreement with the reference."""
        return bool(self.shown) and all(one.failure.kind == "difference" for one in self.shown.values())


def validate(library: Path, *, options: Options | None = None) -> ValidationReport:
    """Validate the driver in a shared library; never raises for what the driver does wrong.

    Raises LibraryError when the library cannot be a driver at all, BuildError when the worker
    cannot be built.
    """
    options = options or Options()
    worker_program()  # the time it takes to build is none of the driver's
    began = time.monotonic()
    prelude = _prelude(library, options)
    told = _campaign(prelude, options, began)
    checks, shown, stages = _all_checks(told, prelude), dict(told.shown), told.stages
    if told.only_parts and options.second_look:
        again = _second_look(prelude, options, began)
        worse = {check.name: check for check in again.checks if check.verdict in ("fail", "warn")}
        checks = tuple(worse.get(check.name, check) for check in checks)
        shown = {**{name: one for name, one in again.shown.items() if name in worse}, **shown}
        stages += tuple(replace(stage, name=f"second look: {stage.name}") for stage in again.stages)
    ordered = sorted(shown.values(), key=telling)
    first = ordered[0] if ordered else None
    verdict: Verdict = "pass"
    if any(check.verdict == "fail" for check in checks):
        verdict = "fail"
    elif told.outcome.lost:
        verdict = "error"  # the tool could not do what it was asked for
    elif not told.outcome.whole:
        verdict = "incomplete"
    messages = [*([first.message] if first is not None else []), *told.outcome.lost]
    return ValidationReport(
        driver=prelude.driver.name,
        verdict=verdict,
        checks=checks,
        operations=sum(stage.operations for stage in stages),
        seconds=time.monotonic() - began,
        trace=first.trace if first is not None else None,
        mode="byte for byte" if prelude.driver.exact else "by meaning",
        stages=stages,
        steps=first.steps if first is not None else (),
        shows=first.failure.check if first is not None else "",
        library=library,
        message="; ".join(message for message in messages if message),
        exhibits=tuple(_exhibit(one) for one in ordered),
        coverage=_coverage(told.outcome, options),
        left_out=tuple(told.outcome.left_out),
    )


# -- before the campaign --------------------------------------------------------------------------------


def _prelude(library: Path, options: Options) -> _Prelude:
    with Process(library, patience=min(options.hang_seconds, _PATIENCE)) as process:
        if options.by_meaning:
            process.follows_the_reference = False
        driver = Driver.of(process, library)
        driver, creation = _declined(process, driver, options)
        sizes, lost = _impossible_sizes(process, driver)
        pair = Pair.of(process)
        asked = [one for one in campaign_configs(driver, options) if one not in driver.declined]
        if asked:
            pair.probe(max(asked, key=lambda config: config.queue_size == 4))
        return _Prelude(driver, Habits.of(pair), pair.oracle, (creation, sizes), lost)


def _declined(process: Process, driver: Driver, options: Options) -> tuple[Driver, Check]:
    """Ask which queues of the campaign the driver does not create; none is left out if it creates none.

    One that follows the reference has to create them all: then a refusal is a failure like any other.
    """
    name, clause = "creates-every-queue", "oracle: driver ABI"
    if process.follows_the_reference:
        return driver, Check(name, clause, "not exercised", "create-succeeds is asked of it")
    configs = campaign_configs(driver, options)
    declined = []
    for config in configs:
        asked = time.monotonic()
        if process.declines(config):
            declined.append(config)
        if time.monotonic() - asked >= process.patience:
            return driver, Check(name, clause, "not exercised", "create did not come back")
    if len(declined) == len(configs):
        return driver, Check(name, clause, "fail", "create declines every queue asked for")
    if not declined:
        return driver, Check(name, clause, "pass", f"create set up each of {len(configs)} queues")
    what = f"create declines {len(declined)} of {len(configs)} queues, such as: {described(declined[0])}"
    return replace(driver, declined=frozenset(declined)), Check(name, clause, "warn", what)


def _impossible_sizes(process: Process, driver: Driver) -> tuple[Check, tuple[Check, ...]]:
    """Ask for queues that cannot be; a driver that follows the reference must decline, others had better.

    Returns that check, and those that the driver failed because it did not come back, one of each name.
    """
    name, clause = "impossible-sizes-refused", "2.7/n1"
    wrong, declined = [], []
    lost: dict[str, Check] = {}
    for size in _IMPOSSIBLE_SIZES:
        if size in driver.odd_sizes:
            continue
        try:
            what = process.refuses(size)
        except DriverLost as error:
            detail = f"when asked for a queue of {size}: {error.detail}"
            lost.setdefault(error.check, Check(error.check, error.clause, "fail", detail))
            continue
        if what:
            wrong.append(f"asked for a queue of {size}, it {what}")
        else:
            declined.append(str(size))
    if wrong:
        verdict: CheckVerdict = "fail" if process.follows_the_reference else "warn"
        return Check(name, clause, verdict, "; ".join(wrong)), tuple(lost.values())
    praise = f"create declines the sizes {', '.join(declined)}" if declined else ""
    return Check(name, clause, "not exercised" if lost else "pass", praise), tuple(lost.values())


def _all_checks(told: _Told, prelude: _Prelude) -> tuple[Check, ...]:
    """Add to a campaign's checks those made before it; what failed there stands for what did not here."""
    lost = {check.name: check for check in prelude.lost}
    found = [lost.pop(one.name, one) if one.verdict != "fail" else one for one in told.checks]
    names = {one.name for one in found}
    return (*found, *(one for one in lost.values() if one.name not in names), *prelude.checks)


# -- the campaign ---------------------------------------------------------------------------------------


def _campaign(prelude: _Prelude, options: Options, began: float) -> _Told:
    driver = prelude.driver
    until = began + options.seconds
    terms = Terms(began, until, prelude.habits, not driver.exact, options.fail_fast)
    gone = run_shards(plan(driver, options), terms, options.processes, told=options.progress)
    outcome = Outcome()
    for _, one in gone:
        outcome.add(one)
    shown = _shown(outcome.failing(), prelude, options, until + _MORE_SECONDS)
    assessment = Assessment(
        outcome, shown, driver.exact, prelude.oracle, options.sizes or LONG_SIZES,
        reasons=_unordered(driver, options), sanitized=_sanitized(outcome, options),
    )  # fmt: skip
    return _Told(outcome, _stages(gone), shown, assessment.checks())


def _unordered(driver: Driver, options: Options) -> dict[str, str]:
    """Say of the checks of order why they were perhaps not made, by name."""
    told = [variant.library for variant in options.variants if variant.kind == "accesses"]
    why = why_not(told[0] if told else driver.library, driver.traits, INSTRUMENTED_ACCESSES if told else 0)
    return {
        verdict.name: why[key]
        for verdict in VERDICTS.values()
        for key in (verdict.name, verdict.clause)
        if key in why
    }


def _sanitized(outcome: Outcome, options: Options) -> bool:
    """Whether a build with sanitizers was run, as far as is known."""
    return bool(outcome.coverage) and any(
        variant.kind == "coverage" and not variant.remark for variant in options.variants
    )


def _stages(gone: Iterable[tuple[Shard, Outcome]]) -> tuple[Stage, ...]:
    """Add up what the shards of each stage did; seconds are those of all processes."""
    told: dict[str, Stage] = {}
    for shard, outcome in gone:
        before = told.get(shard.stage, Stage(shard.stage, 0, 0.0))
        told[shard.stage] = Stage(
            shard.stage, before.operations + outcome.operations, before.seconds + outcome.seconds
        )
    return tuple(told.values())


def _second_look(prelude: _Prelude, options: Options, began: float) -> _Told:
    """Run a short campaign by meaning: other bytes than promised may be harmless, a broken clause is not."""
    if options.progress is not None:
        options.progress("what else follows from the difference")
    meant = replace(prelude, driver=replace(prelude.driver, exact=False))
    deadline = time.monotonic() - began + options.seconds
    return _campaign(
        meant, replace(options, quick=True, variants=(), deadline=deadline, progress=None), began
    )


def _shown(
    failing: Mapping[str, Found], prelude: _Prelude, options: Options, until: float
) -> dict[str, Shown]:
    """Show each failing check: the most telling one first and by itself, the others with its help."""
    libraries: dict[str, Path] = {"": prelude.driver.library}
    libraries |= {one.kind: one.library for one in options.variants}
    ordered = sorted(failing.values(), key=lambda one: one.failure.kind == "difference")
    if options.progress is not None and ordered:
        options.progress(f"shrinking what failed ({len(ordered)})")
    patience = busy()
    first = patience * (min(options.shrink_seconds, 8.0) if options.quick else options.shrink_seconds)
    others = min(first, patience * (1.5 if options.quick else 3.0))
    shown: dict[str, Shown] = {}
    hints: tuple[tuple[Op, ...], ...] = ()

    def task(number: int, found: Found, seconds: float) -> Task[Shown]:
        stand = Stand(
            libraries[found.failure.variant], prelude.habits, options.hang_seconds,
            not prelude.driver.exact, options.traces,
        )  # fmt: skip
        work = partial(show, found, stand, seconds, hints)
        return Task(f"showing {found.failure.check}", work, 4 * seconds + 30.0, number)

    def go(tasks: Iterable[Task[Shown]]) -> None:
        for done, result in in_processes(tasks, options.processes):
            found = ordered[done.number]
            shown[found.failure.check] = unshrunk(found, result.why) if isinstance(result, Lost) else result

    def rest() -> Iterable[Task[Shown]]:
        for number, found in enumerate(ordered[1:], 1):
            if number < _MOST_SHOWN and time.monotonic() < until:
                yield task(number, found, others)
            else:
                shown[found.failure.check] = unshrunk(found, "there was no time to shrink it")

    if ordered:
        go([task(0, ordered[0], first)])
        hints = (shown[ordered[0].failure.check].failure.operations,)
        go(rest())
    return {found.failure.check: shown[found.failure.check] for found in ordered}


# -- the report -----------------------------------------------------------------------------------------


def _exhibit(shown: Shown) -> Exhibit:
    failure = shown.failure
    sentences = {verdict.name: verdict.sentence for verdict in VERDICTS.values()}
    parts = "The driver does what the reference does." if failure.kind == "difference" else ""
    return Exhibit(
        check=failure.check,
        clause=failure.clause,
        expected=parts or _EXPECTED.get(failure.check) or sentences.get(failure.check, ""),
        seen=with_circumstances(shown),
        steps=shown.steps,
        trace=shown.trace,
        steadiness=shown.steadiness,
        follows=shown.follows,
        seconds=shown.seconds,
        stage=shown.stage,
        variant=failure.variant,
        message=shown.message,
        passes=shown.passes,
    )


def _coverage(outcome: Outcome, options: Options) -> Coverage | None:
    """Say which lines were reached, when a build told."""
    built = [variant for variant in options.variants if variant.kind == "coverage"]
    if not built or not outcome.coverage:
        return None
    try:
        return coverage_of(built[0].library, outcome.coverage)
    except LibraryError:
        return None
