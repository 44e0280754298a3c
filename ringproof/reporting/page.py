"""The report for a browser: one file with all that was found, which needs nothing from anywhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from .. import __version__
from ..validation.registry import DEMANDS, ids
from ..validation.report import ORDER, Check, ValidationReport
from ..validation.standing import counted, standings
from .terminal import looking, replaying


def page(reports: Sequence[ValidationReport]) -> str:
    """Return the HTML document of these reports. Whatever a driver says in them is text, never markup."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template = environment.from_string((files(__package__) / "report.html").read_text(encoding="utf-8"))
    return template.render(
        reports=[_one(number, report) for number, report in enumerate(reports, 1)],
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        slug=_slug,
        verb="live" if all(report.unseen for report in reports) else "validate",
    )


def _slug(verdict: str) -> str:
    """A verdict as the name of a style."""
    return verdict.replace(" ", "-")


def _one(number: int, report: ValidationReport) -> dict[str, object]:
    every = standings(report) if report.verdict != "error" else ()
    return {
        "id": f"driver-{number}",
        "report": report,
        "parts": [_part(name, part, report) for name, part in report.parts],
        "standings": sorted(every, key=lambda standing: ORDER[standing.verdict]),
        "counts": counted(standing.verdict for standing in every),
    }


def _part(name: str, part: ValidationReport, report: ValidationReport) -> dict[str, object]:
    verdicts = {check.name: check.verdict for check in part.checks}
    return {
        "name": name,
        "report": part,
        "counts": counted(check.verdict for check in part.checks),
        "checks": [
            (check, _level(check)) for check in sorted(part.checks, key=lambda check: ORDER[check.verdict])
        ],
        "exhibits": [
            (
                exhibit,
                verdicts.get(exhibit.check, "fail"),
                looking(exhibit),
                replaying(exhibit, report.library),
            )
            for exhibit in part.exhibits
        ],
        "rate": round(part.operations / part.seconds) if part.seconds else 0,
    }


def _level(check: Check) -> str:
    return next((DEMANDS[clause].strength for clause in ids(check.clause)), "")
