"""The report of a live run: every round's tallies added up, a verdict per check and per clause."""

from collections.abc import Iterator, Sequence

from ..validation.phrases import counted
from ..validation.registry import DEMANDS, Observed
from ..validation.report import Check as Reported
from ..validation.report import CheckVerdict, Exhibit, Stage, ValidationReport, Verdict
from .checks import LIVE_CHECKS, LiveCheck
from .features import names
from .outcome import Injected, RoundOutcome
from .schedule import PHASES
from .tallies import Check

_STATUS = (Check.STATUS_CLEARED, Check.STATUS_AFTER_FAILED, Check.STATUS_ORDER)
_VERSION_1 = 1 << 32

_UNSEEN: dict[Observed, str] = {
    "ring": "this run gave no occasion for it",
    "ring, provoked": "this run gave no occasion for it",
    "registers": "register accesses stay between driver and front-end; vhost-user does not tell of them",
    "headers": "this run gave no occasion for it",
    "packets": "this run gave no occasion for it",
    "driver state": "what a driver makes of what it reads does not show",
    "memory order": "memory order does not show; a lost kick or an unsettled chain would be a symptom",
    "nothing": "a permission",
}
_WHY: dict[str, str] = {
    "2.7.13.1/n1": "what the driver was asked to send is not known to the device",
    "2.7.13/n4": "how many heads a driver has written is not known; see heads-in-consecutive-slots",
    "2.9/n1": "vhost-user tells that a kick came, not what was written",
    "3.1.1g": "kicks before a queue starts do not show: its eventfd comes with the queue",
    "3.3.1b": "that a queue was stopped before its memory went does not show beyond 3.3.1a",
    "4.1.5.2.1b": "vhost-user tells that a kick came, not what was written",
    "5.1.6.5.6.1a": "the front-end serves the control queue",
    "5.1.6.5.6.1b": "the front-end serves the control queue",
    "5.1.6.5.6.1d": "the front-end serves the control queue",
    "6.3b": "on vhost-user, bit 30 has a meaning of its own",
    "2.7.3a": "every guest here is little endian",
}
"""Why no check of a live run judges a clause, where it is not simply how it is observed."""


COURSE: dict[str, tuple[str, str]] = {
    "indices-wrap": ("2.7.13.3/n1", "Indices run through 65535 and on from 0."),
    "does-without": ("2.2.1e", "A driver sends though a feature is not offered."),
    "legacy-followed": ("2.2.3a", "Without VERSION_1 frames come by the legacy interface."),
    "no-complaint": (
        "oracle: what the system says of itself",
        "The system that is tested prints nothing that says of damage, or of a device that breaks the rules.",
    ),
    **{
        f"bears-{phase.name}": (", ".join(phase.serves), f"Frames go on while the device {phase.words}.")
        for phase in PHASES.values()
        if phase.serves
    },
}
"""Checks of the course of a run, beside those of its records: what each serves, and its words."""


def unseen() -> dict[str, str]:
    """For every clause, why a live run would not judge it."""
    return {
        demand.id: _WHY.get(demand.id, _UNSEEN[demand.observed])
        for demand in DEMANDS.values()
        if demand.id in _WHY or not demand.id.startswith("4.2.")
    }


def report_on(driver: str, outcomes: Sequence[RoundOutcome], *, hostile: bool = False) -> ValidationReport:
    """The report on a driver from all rounds it went through; ``hostile`` if rules were broken in some."""
    checks = (*_checks(outcomes), *_course(outcomes), *_phases(outcomes))
    exhibits = tuple(_exhibits(outcomes))
    verdict = _verdict(checks, outcomes)
    told = [f"{outcome.name}: {said}" for outcome in outcomes for said in outcome.left_out]
    part = _hostile(driver, outcomes) if hostile else None
    worst = _worse(verdict, part.verdict) if part is not None else verdict
    return ValidationReport(
        driver,
        worst,
        checks,
        sum(outcome.transmitted for outcome in outcomes),
        sum(outcome.seconds for outcome in outcomes),
        stages=tuple(Stage(one.name, one.transmitted, one.seconds) for one in outcomes),
        exhibits=exhibits,
        hostile=part,
        left_out=tuple(told),
        unit="chains transmitted",
        unseen=unseen(),
        message="; ".join(dict.fromkeys(f"{one.name}: {one.trouble}" for one in outcomes if one.trouble)),
    )


def _verdict(checks: Sequence[Reported], outcomes: Sequence[RoundOutcome]) -> Verdict:
    if any(check.verdict == "fail" for check in checks):
        return "fail"
    if any(outcome.trouble for outcome in outcomes):
        return "error"
    if not any(outcome.exercised for outcome in outcomes) or any(one.left_out for one in outcomes):
        return "incomplete"
    return "pass"


def _worse(one: Verdict, other: Verdict) -> Verdict:
    order: tuple[Verdict, ...] = ("fail", "error", "incomplete", "pass")
    return min(one, other, key=order.index)


def _checks(outcomes: Sequence[RoundOutcome]) -> Iterator[Reported]:
    """The verdict on each check of the monitor."""
    for code, check in LIVE_CHECKS.items():
        checked = sum(one.tallies[code].checked for one in outcomes if code in one.tallies)
        failing = [one for one in outcomes if code in one.failed()]
        if failing:
            failed = sum(one.tallies[code].failed for one in failing)
            where = f" (in {counted(len(failing), 'round')} of {len(outcomes)})" if len(outcomes) > 1 else ""
            said = f"{_seen(check, failing[0])}; {failed:,} of {checked:,}{where}"
            yield Reported(check.name, check.clause, check.breach, said)
        elif checked:
            yield Reported(check.name, check.clause, "pass", f"held {counted(checked, 'time')}")
        elif code in _STATUS and not any(one.status_told for one in outcomes):
            said = "the front-end keeps the status register, or a part of it, to itself"
            yield Reported(check.name, check.clause, "not observable", said)
        else:
            yield Reported(check.name, check.clause, "not exercised", _why_not(code, outcomes))


def _why_not(code: Check, outcomes: Sequence[RoundOutcome]) -> str:
    known = [one.accepted for one in outcomes if one.accepted is not None]
    if not known:
        return "no driver has got as far as features"
    if code in (Check.MTU_FEATURE, Check.HDRLEN_FEATURE):
        return "it was not accepted, and whether the front-end offered it is not known"
    if code is Check.VERSION_1 and all(not accepted & _VERSION_1 for accepted in known):
        return "the driver uses the legacy interface, which does not show the bit"
    return "this run gave no occasion for it"


def _seen(check: LiveCheck, outcome: RoundOutcome) -> str:
    tally = outcome.tallies[check.code]
    return f"{outcome.name}: {check.describe(tally.a, tally.b)}"


def _reported(name: str, verdict: CheckVerdict, said: str) -> Reported:
    """The verdict on a check of the course."""
    return Reported(name, COURSE[name][0], verdict, said)


def _course(outcomes: Sequence[RoundOutcome]) -> Iterator[Reported]:
    """What the course of the rounds shows, beside the records."""
    wraps = sum(one.wraps for one in outcomes)
    clean = not any(Check.AVAIL_BACKWARDS in one.failed() for one in outcomes)
    if wraps:
        verdict: CheckVerdict = "pass" if clean else "fail"
        yield _reported("indices-wrap", verdict, f"avail_idx passed 65535 {counted(wraps, 'time')}")
    else:
        yield _reported("indices-wrap", "not exercised", "no queue came past entry 65535")
    yield _without(outcomes)
    legacy = [one for one in outcomes if one.accepted is not None and not one.accepted & _VERSION_1]
    if any(one.exercised for one in legacy):
        said = f"frames came by the legacy interface in {counted(len(legacy), 'round')}"
        yield _reported("legacy-followed", "pass", said)
    else:
        yield _reported("legacy-followed", "not exercised", "every driver accepted VERSION_1")
    complaints = [f"{one.name}: {said}" for one in outcomes for said in one.complaints]
    said = complaints[0] if complaints else "it printed nothing that says so"
    yield _reported("no-complaint", "fail" if complaints else "pass", said)


def _without(outcomes: Sequence[RoundOutcome]) -> Reported:
    """Whether the driver does without features that were not offered."""
    name = "does-without"
    everything = max((one.offered for one in outcomes), key=int.bit_count, default=0)
    poorer = [one for one in outcomes if everything & ~one.offered]
    if not poorer:
        return _reported(name, "not exercised", "everything was offered")
    still = [one for one in poorer if not one.exercised and not one.trouble]
    if still:
        lacking = ", ".join(names(everything & ~still[0].offered))
        return _reported(name, "warn", f"{still[0].name}: nothing was transmitted without {lacking}")
    return _reported(name, "pass", f"frames came in {counted(len(poorer), 'round')} with less offered")


def _phases(outcomes: Sequence[RoundOutcome]) -> Iterator[Reported]:
    """What the phases show: a driver that goes on sending has borne them."""
    done = [phase for one in outcomes for phase in one.phases if phase.flowed is not None]
    for name, phase in {outcome.phase.name: outcome.phase for outcome in done}.items():
        if not phase.serves:
            continue
        flowed = [outcome for outcome in done if outcome.phase.name == name]
        stalled = [outcome for outcome in flowed if not outcome.flowed]
        verdict: CheckVerdict = "fail" if stalled else "pass"
        chains = sum(outcome.chains for outcome in flowed)
        said = (
            "the traffic stopped for good" if stalled else f"{counted(chains, 'chain')} transmitted meanwhile"
        )
        yield _reported(f"bears-{name}", verdict, f"the device {phase.words}: {said}")


def _exhibits(outcomes: Sequence[RoundOutcome]) -> Iterator[Exhibit]:
    """What shows each failing check, by the first round that has it."""
    seen: set[Check] = set()
    for outcome in outcomes:
        for code, shown in outcome.shown.items():
            check = LIVE_CHECKS[code]
            if code in seen or code not in outcome.failed():
                continue
            seen.add(code)
            yield Exhibit(
                check.name,
                check.clause,
                check.sentence,
                _seen(check, outcome),
                steps=shown.lines,
                trace=shown.recording,
                seconds=shown.seconds,
                stage=outcome.name,
                steadiness=f"record {shown.record:,} of the recording",
            )


def _hostile(driver: str, outcomes: Sequence[RoundOutcome]) -> ValidationReport:
    """The report on what it did with a device that breaks the rules: a verdict of its own."""
    every: dict[str, list[Injected]] = {}
    for outcome in outcomes:
        for injected in outcome.injected:
            every.setdefault(injected.code, []).append(injected)
    checks = tuple(_bore(code, found) for code, found in sorted(every.items(), key=_by_number))
    failed = any(check.verdict == "fail" for check in checks)
    short = not checks or any(not one.done and not one.beside for found in every.values() for one in found)
    return ValidationReport(
        driver, "fail" if failed else "incomplete" if short else "pass", checks,
        sum(one.done for found in every.values() for one in found), 0.0, unit="injections",
    )  # fmt: skip


def _by_number(item: tuple[str, list[Injected]]) -> int:
    return int(item[0].removeprefix("F"))


def _bore(code: str, found: Sequence[Injected]) -> Reported:
    name, clause = f"hostile-{code}", "oracle: hostile device"
    wrong = [injected for injected in found if injected.fault]
    if wrong:
        return Reported(name, clause, "fail", f"{wrong[0].words}: {wrong[0].fault}")
    done = [injected for injected in found if injected.done]
    if not done:
        why = "the driver has not accepted what it takes" if found[0].beside else "there was no occasion"
        return Reported(name, clause, "not exercised", f"{found[0].words}: {why}")
    after = "; ".join(dict.fromkeys(f"{one.words}: {one.after or 'it went on'}" for one in done))
    return Reported(name, clause, "pass", after)
