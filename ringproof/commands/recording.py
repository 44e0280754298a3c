"""``ringproof replay`` of a recording: judged anew by the second monitor, and told around its failures."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..errors import EXIT_DISAGREE, EXIT_HELD, EXIT_REFUTED
from ..live.checks import LIVE_CHECKS
from ..live.offline import Judged, judge
from ..live.recording import MAGIC
from ..live.tallies import Check, Tally
from ..live.telling import excerpt
from ..validation.phrases import counted

_MARKS = {"fail": "bold red", "warn": "yellow"}


def is_recording(path: Path) -> bool:
    """Whether a file begins as recordings do; what cannot be read does not."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def replay_recording(path: Path, as_json: bool) -> int:
    """Judge a recording anew, and show what was seen around the first failure of each check.

    Returns EXIT_REFUTED if a check fails, EXIT_DISAGREE if the monitor that ran live counted something else,
    else EXIT_HELD. Raises RecordingError for a file that is none.
    """
    judged = judge(path)
    failed = {code: tally for code, tally in judged.tallies.items() if tally.failed}
    if as_json:
        click.echo(json.dumps(_to_json(path, judged), indent=2))
    else:
        _show(path, judged, failed, Console(highlight=False, soft_wrap=True))
    if judged.differences or judged.drifts:
        return EXIT_DISAGREE
    breached = any(LIVE_CHECKS[code].breach == "fail" for code in failed)
    return EXIT_REFUTED if breached else EXIT_HELD


def _show(path: Path, judged: Judged, failed: dict[Check, Tally], console: Console) -> None:
    for code, tally in failed.items():
        check = LIVE_CHECKS[code]
        console.print(
            f"\n[{_MARKS[check.breach]}]{check.breach}[/]  {check.name}  [dim]{escape(check.clause)}[/]  "
            f"{tally.failed:,} of {tally.checked:,}, first in record {tally.record:,}"
        )
        console.print(f"      [dim]expected[/]  {escape(check.sentence)}")
        console.print(f"      [dim]seen    [/]  {escape(check.describe(tally.a, tally.b))}")
        for line in excerpt(path, tally.record):
            console.print(f"  {escape(line)}")
    held = sum(not tally.failed for tally in judged.tallies.values())
    first = "" if judged.first <= 1 else f" from number {judged.first:,} on"
    console.print(
        f"\n{counted(judged.records - max(judged.first, 1) + 1, 'record')}{first}, {judged.seconds:.1f} s "
        f"of the run, in {counted(judged.segments, 'segment')}: {counted(held, 'check')} held, "
        f"{len(failed)} failed"
    )
    for said in _remarks(judged):
        console.print(escape(said), style="yellow")
    for said in _disagreements(judged):
        console.print(f"[bold red]the two monitors disagree[/]: {escape(said)}")
    if judged.live is not None and not judged.differences and not judged.drifts:
        console.print("[green]the monitor that ran live counted the same[/]")


def _disagreements(judged: Judged) -> list[str]:
    said = []
    for one in judged.differences:
        live, here = one.live, one.offline
        said.append(
            f"{LIVE_CHECKS[one.code].name}, up to record {one.record:,}: the compiled one counts "
            f"{live.failed:,} of {live.checked:,} failing, this one {here.failed:,} of {here.checked:,}"
        )
    for drift in judged.drifts:
        said.append(
            f"{drift.name} of queue {drift.queue} after record {drift.record:,}: the compiled one has "
            f"{drift.live}, this one {drift.offline}"
        )
    return said


def _remarks(judged: Judged) -> list[str]:
    remarks = []
    if judged.torn:
        remarks.append(f"{counted(judged.torn, 'byte')} at the end are no whole segment, and were left out")
    if judged.gaps:
        remarks.append(f"records are missing in {counted(judged.gaps, 'place')}")
    if judged.live is None:
        remarks.append("the recording does not say what the monitor that ran live counted")
    return remarks


def _to_json(path: Path, judged: Judged) -> dict[str, object]:
    return {
        "recording": str(path),
        "records": judged.records,
        "first": judged.first,
        "seconds": judged.seconds,
        "segments": judged.segments,
        "gaps": judged.gaps,
        "torn": judged.torn,
        "agree": judged.live is not None and not judged.differences and not judged.drifts,
        "checks": [
            {
                "name": LIVE_CHECKS[code].name,
                "clause": LIVE_CHECKS[code].clause,
                "verdict": LIVE_CHECKS[code].breach if tally.failed else "pass",
                "checked": tally.checked,
                "failed": tally.failed,
                "record": tally.record,
                "detail": LIVE_CHECKS[code].describe(tally.a, tally.b) if tally.failed else "",
                "around": excerpt(path, tally.record) if tally.failed else [],
            }
            for code, tally in judged.tallies.items()
        ],
    }
