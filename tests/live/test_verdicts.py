"""The report of a live run: verdicts add up over rounds, and what was not seen is never passed."""

from pathlib import Path

from ringproof.live.checks import LIVE_CHECKS
from ringproof.live.features import bits, offered
from ringproof.live.outcome import Injected, PhaseOutcome, RoundOutcome, Shown
from ringproof.live.schedule import PHASES
from ringproof.live.tallies import Check, Tally
from ringproof.live.verdicts import COURSE, report_on
from ringproof.validation.report import ValidationReport
from ringproof.validation.standing import standings


def _round(name: str = "one", **changes: object) -> RoundOutcome:
    outcome = RoundOutcome(name, "words", offered(), seconds=2.0, accepted=offered(), transmitted=100)
    outcome.tallies[Check.HEAD_RANGE] = Tally(100, 0, 0, 0, 0)
    for key, value in changes.items():
        setattr(outcome, key, value)
    return outcome


def _of(report: ValidationReport, name: str) -> tuple[str, str]:
    return next((check.verdict, check.detail) for check in report.checks if check.name == name)


def test_what_held_passes_and_what_was_not_seen_does_not() -> None:
    """A clean round passes; checks without occasion say so, and clauses that do not show have a reason."""
    report = report_on("driver", [_round()])
    assert report.verdict == "pass"
    assert _of(report, "head-in-range") == ("pass", "held 100 times")
    assert _of(report, "next-in-range")[0] == "not exercised"
    assert _of(report, LIVE_CHECKS[Check.STATUS_ORDER].name)[0] == "not observable"
    by_id = {standing.demand.id: standing for standing in standings(report)}
    assert by_id["2.7.6/n2"].verdict == "pass"
    assert by_id["2.1.1b"].verdict == "not observable"
    assert by_id["4.2.2.2a"].verdict == "not observable"
    assert "vhost-user" in by_id["4.1.5.2.1b"].detail


def test_the_first_round_that_fails_tells_and_all_are_counted() -> None:
    """A failure names its round and its numbers, adds the failures up, and has its exhibit."""
    bad = {Check.HEAD_RANGE: Tally(50, 3, 7, 300, 256)}
    shown = {Check.HEAD_RANGE: Shown(Path("x.rpl"), 7, ("a line",), 0.5)}
    report = report_on("driver", [_round(), _round("two", tallies=bad, shown=shown)])
    assert report.verdict == "fail"
    verdict, detail = _of(report, "head-in-range")
    assert verdict == "fail"
    assert (
        detail == "two: the published head is 300, the queue has 256 descriptors; 3 of 150 (in 1 round of 2)"
    )
    (exhibit,) = report.exhibits
    assert exhibit.recorded
    assert exhibit.steps == ("a line",)


def test_a_warning_is_no_failure() -> None:
    """What the specification only advises against leaves the verdict a pass."""
    report = report_on("driver", [_round(tallies={Check.HDR_LEN_SHORT: Tally(9, 9, 1, 0, 54)})])
    assert report.verdict == "pass"
    assert _of(report, "clause-5.1.6.2.1r")[0] == "warn"


def test_nothing_sent_or_something_left_out_is_no_pass() -> None:
    """A run without frames, or cut short, is incomplete; a broken protocol is an error."""
    assert report_on("driver", []).verdict == "incomplete"
    assert report_on("driver", [_round(transmitted=0)]).verdict == "incomplete"
    assert report_on("driver", [_round(left_out=["the time was up"])]).verdict == "incomplete"
    broken = report_on("driver", [_round(trouble="the front-end shares no memory")])
    assert broken.verdict == "error"
    assert broken.message == "one: the front-end shares no memory"


def test_a_phase_that_ends_the_traffic_fails_what_it_serves() -> None:
    """Spurious interrupts that a driver bears pass their clause; ones that stop it for good fail it."""
    borne = PhaseOutcome(PHASES["spurious"], 5, True)
    stopped = PhaseOutcome(PHASES["spurious"], 0, False)
    unknown = PhaseOutcome(PHASES["spurious"], 0, None)
    assert _of(report_on("d", [_round(phases=[borne])]), "bears-spurious")[0] == "pass"
    assert _of(report_on("d", [_round(phases=[borne, stopped])]), "bears-spurious")[0] == "fail"
    names = [check.name for check in report_on("d", [_round(phases=[unknown])]).checks]
    assert "bears-spurious" not in names


def test_withdrawn_features_are_done_without_or_not() -> None:
    """A driver that sends though less is offered does without; one that does not is warned of."""
    less = offered(("EVENT_IDX",))
    assert _of(report_on("d", [_round()]), "does-without")[0] == "not exercised"
    fine = [_round(), _round("poor", offered=less)]
    assert _of(report_on("d", fine), "does-without")[0] == "pass"
    mute = [_round(), _round("poor", offered=less, transmitted=0)]
    verdict, detail = _of(report_on("d", mute), "does-without")
    assert verdict == "warn"
    assert "EVENT_IDX" in detail


def test_what_a_hostile_device_provokes_is_a_verdict_of_its_own() -> None:
    """Injections that were borne pass, one without occasion is no pass, one that ends the driver fails."""
    fine = Injected("F1", "a wrong id", True, "", "it went on sending")
    none = Injected("F2", "another", False)
    dead = Injected("F3", "a jump", True, "it ended: a crash")
    report = report_on("d", [_round(injected=[fine])], hostile=True)
    assert report.hostile is not None
    assert report.hostile.verdict == "pass"
    report = report_on("d", [_round(injected=[fine, none])], hostile=True)
    assert report.hostile is not None
    assert report.hostile.verdict == "incomplete"
    report = report_on("d", [_round(injected=[fine, dead])], hostile=True)
    assert report.verdict == "fail"
    assert report.hostile is not None
    assert report.hostile.checks[-1].detail == "a jump: it ended: a crash"


def test_features_go_with_what_they_require() -> None:
    """What loses its prerequisite is not offered either (VIRTIO 1.3 section 2.2.2)."""
    without = offered(("CSUM",))
    for name in ("CSUM", "HOST_TSO4", "HOST_TSO6", "HOST_ECN"):
        assert not without & bits((name,))
    assert without & bits(("GUEST_TSO4",))
    assert not offered(pairs=1) & bits(("MQ",))
    assert offered(pairs=2) & bits(("MQ",))


def test_every_check_of_a_report_can_be_explained() -> None:
    """What a report names is either a check of the monitor or one of the course, with words."""
    done = [PhaseOutcome(phase, 5, True) for phase in PHASES.values()]
    report = report_on("d", [_round(phases=done)])
    known = {check.name for check in LIVE_CHECKS.values()} | set(COURSE)
    assert {check.name for check in report.checks} <= known
    for check in report.checks:
        if check.name in COURSE:
            assert check.clause == COURSE[check.name][0]
