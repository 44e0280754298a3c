"""docs/journey.md says what is there: theorems, files, and a journey as the tool prints it."""

import re
import shlex
from pathlib import Path

import pytest

from ringproof.cli import run
from ringproof.model.steps.queue import Steps
from ringproof.proofs.theorems import THEOREMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/journey.md").read_text()


def rows() -> list[list[str]]:
    """The rows of the page's tables of steps, cell by cell."""
    lines = [line.strip("| ").split("|") for line in PAGE.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines]


def test_theorems_exist() -> None:
    """Every name in a column of theorems is one's; all theorems of the packet side are told."""
    told: set[str] = set()
    theorems = -1
    for cells in rows():
        if "theorems" in cells:
            theorems = cells.index("theorems")
        elif cells[0] == "word":
            theorems = -1
        elif theorems > 0 and len(cells) > theorems:
            told |= set(re.findall(r"`([\w.-]+)`", cells[theorems]))
    assert told - THEOREMS.keys() == set()
    # Of what the virtqueue does at each statement tells docs/proof.md.
    assert {name for name, theorem in THEOREMS.items() if theorem.subject is not Steps} - told == set()


def test_functions_are_where_the_page_says() -> None:
    """A row's functions of Linux 3.11 are defined or named in the reference's file beside them."""
    for cells in rows():
        if len(cells) != 5 or cells[0] in ("step", "---"):
            continue
        files = [ROOT / name for name in re.findall(r"`([\w./]+)`", cells[2])]
        assert files, cells
        for file in [*files, *(ROOT / name for name in re.findall(r"`([\w./]+)`", cells[3]))]:
            assert file.is_file(), file
        text = "".join(file.read_text() for file in files)
        for name in re.findall(r"`(\w+)`", cells[0]):
            if name != "skb_orphan":
                assert name.removeprefix("virtqueue_") in text, name


def test_the_journey_is_what_the_tool_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run pasted into the page, run again; all but the seconds."""
    (pasted,) = re.findall(r"```\n\$ (ringproof xmit .*?)```", PAGE, re.DOTALL)
    command, _, wanted = pasted.partition("\n")
    monkeypatch.setenv("COLUMNS", "100")
    assert run(shlex.split(command)[1:]) == 0
    printed = capsys.readouterr().out
    seconds = re.compile(r"in \d+\.\d s")
    assert seconds.sub("in 0.0 s", printed) == seconds.sub("in 0.0 s", wanted)
