"""The report for CI: JUnit's XML, as every CI system reads it.

A suite per part of a driver, a case per check. A failure is a failure, with what was expected, what was seen,
the run that shows it and the command that runs it again; what was not exercised or cannot be observed is
skipped, so that nobody takes it for a pass. A driver that could not be tested is one case with an error.
"""

from collections.abc import Sequence

from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite
from junitparser import Failure as Failed

from ..validation.report import Check, Exhibit, ValidationReport
from .terminal import looking, replaying


def junit(reports: Sequence[ValidationReport]) -> str:
    """Return the XML document of these reports, with a suite per driver and part."""
    document = JUnitXml("ringproof validate")
    for report in reports:
        for suite in _suites(report):
            document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    document.time = sum(report.seconds for report in reports)  # checks have no times of their own
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


def _suites(report: ValidationReport) -> list[TestSuite]:
    if report.verdict == "error":
        suite = TestSuite(_clean(report.driver))
        case = TestCase("can be tested", _clean(report.driver))
        case.result = [Error(_clean(report.message), "error")]
        suite.add_testcase(case)
        return [suite]
    suites = []
    for name, part in report.parts:
        suite = TestSuite(_clean(f"{part.driver}: {name}"))
        suite.time = part.seconds
        suite.add_property("library", _clean(str(report.library)))
        suite.add_property("operations", str(part.operations))
        for said in part.left_out:
            suite.add_property("left out", _clean(said))
        exhibits = {exhibit.check: exhibit for exhibit in part.exhibits}
        for check in part.checks:
            suite.add_testcase(_case(check, exhibits.get(check.name), part, report))
        suites.append(suite)
    return suites


def _case(
    check: Check, exhibit: Exhibit | None, part: ValidationReport, report: ValidationReport
) -> TestCase:
    case = TestCase(check.name, _clean(part.driver), 0.0)
    if check.verdict == "fail":
        failed = Failed(_clean(check.detail), check.clause)
        failed.text = _clean(_told(check, exhibit, report))
        case.result = [failed]
    elif check.verdict == "warn":
        case.system_out = _clean(f"warning ({check.clause}): {check.detail}")
    elif check.verdict != "pass":
        case.result = [Skipped(_clean(f"{check.verdict}: {check.detail}"), check.clause)]
    return case


def _told(check: Check, exhibit: Exhibit | None, report: ValidationReport) -> str:
    if exhibit is None:
        return f"{check.clause}: {check.detail}"
    lines = [
        f"clause:   {check.clause}",
        f"expected: {exhibit.expected}",
        f"seen:     {exhibit.seen}",
    ]
    if exhibit.steadiness:
        lines.append(f"steady:   {exhibit.steadiness}")
    if exhibit.follows:
        lines.append(f"follows:  the same run fails {exhibit.follows} first")
    lines += ["run:", *(f"  {step}" for step in exhibit.steps)]
    if exhibit.passes:
        lines.append(f"else:     {exhibit.passes}")
    if exhibit.recorded:
        lines.append(f"replay:   {replaying(exhibit, report.library)}")
    elif exhibit.trace is not None:
        lines.append(f"why:      {looking(exhibit)}")
        lines.append(f"replay:   {replaying(exhibit, report.library)}")
        lines.append(f"a test:   {looking(exhibit)} --emit pytest -o test_driver.py")
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Without what XML cannot hold: a driver's words may have anything in them."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
