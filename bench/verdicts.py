"""``make verdicts``: writes docs/verdicts.md, what each driver that is installed here does with each clause.

It takes a quarter of an hour, and the machine to itself: a guest that gets no processor is slow to kick.
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ringproof.live.recipes.missing import Missing
from ringproof.live.recipes.recipe import RECIPES, recipe
from ringproof.live.running import Asked, run_recipe
from ringproof.validation.report import ValidationReport
from ringproof.validation.standing import Standing, counted, standings

TARGET = Path(__file__).parent.parent / "docs" / "verdicts.md"
EXAMINED = Path(__file__).parent / "examined.md"
_SHORT = {"pass": "pass", "fail": "**fail**", "warn": "*warn*", "not exercised": "-"}


def table(reports: Sequence[ValidationReport]) -> str:
    """The page: a row for each clause that shows for one of the drivers, and below what was found."""
    every = [{one.demand.id: one for one in standings(report)} for report in reports]
    shown = [clause for clause in every[0] if any(one[clause].verdict != "not observable" for one in every)]
    hidden = [clause for clause in every[0] if clause not in shown]
    lines = [
        "# Verdicts of drivers that ran",
        "",
        "Written by `make verdicts` from real runs. Each column is one command:",
        "",
        *(
            f"- **{report.driver}**: `ringproof live --recipe {name}`, {len(report.stages)} rounds, "
            f"{report.operations:,} chains transmitted"
            for name, report in zip(RECIPES, reports, strict=True)
        ),
        "",
        "`-` is not exercised: the runs gave no occasion. A clause that shows for none is listed at the end.",
        "What each `fail` and `warn` is, and whose, is said below the table.",
        "",
        f"| clause | level | {' | '.join(report.driver for report in reports)} | in short |",
        f"|---|---|{'---|' * len(reports)}---|",
        *(_row(clause, [one[clause] for one in every]) for clause in shown),
        "",
        *(f"- {report.driver}: {_sum(one)}" for report, one in zip(reports, every, strict=True)),
        "",
        EXAMINED.read_text(encoding="utf-8").strip(),
        "",
        "## What was seen",
        "",
        *_seen(reports),
        "## What does not show over vhost-user",
        "",
        ", ".join(hidden) + ".",
        "",
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _row(clause: str, standings: Sequence[Standing]) -> str:
    demand = standings[0].demand
    cells = " | ".join(_SHORT.get(one.verdict, "") for one in standings)
    return f"| {clause} | {demand.strength} | {cells} | {demand.words} |"


def _sum(standings: dict[str, Standing]) -> str:
    counts = counted(one.verdict for one in standings.values())
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _seen(reports: Sequence[ValidationReport]) -> list[str]:
    lines = []
    for report in reports:
        lines += [f"### {report.driver}", ""]
        loud = [check for check in report.checks if check.verdict in ("fail", "warn")]
        exhibits = {exhibit.check: exhibit for exhibit in report.exhibits}
        for check in loud:
            lines.append(f"- **{check.verdict}** `{check.name}` ({check.clause}): {check.detail}.")
            exhibit = exhibits.get(check.name)
            if exhibit is not None and exhibit.steps:
                lines += ["", "  ```", *(f"  {step}" for step in exhibit.steps[-8:]), "  ```", ""]
        lines += [*(f"- left out: {said}." for said in report.left_out), ""]
    return lines


def main() -> int:
    """Runs every recipe; 0 when the page was written, 2 when a driver is not installed."""
    reports = []
    with tempfile.TemporaryDirectory(prefix="ringproof-verdicts-") as folder:
        asked = Asked(Path(folder), progress=lambda said: print(said, flush=True))
        for name in RECIPES:
            try:
                reports.append(run_recipe(recipe(name), asked))
            except Missing as missing:
                print(missing, file=sys.stderr)
                return 2
        TARGET.write_text(table(reports), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
