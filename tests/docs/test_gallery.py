"""docs/gallery/ holds what the searches find today: documents that replay, pictures, summaries, an index."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import gallery
from ringproof.commands.trace import made
from ringproof.journey.document import NetTrace
from ringproof.journey.replay import replay_on_reference
from ringproof.proofs.theorems import THEOREMS
from ringproof.traces.document import TraceDocument
from ringproof.traces.replay import replay_document
from ringproof.traces.steps_document import StepsDocument
from ringproof.views.opening import load_any

NAMES = (*gallery.FINDINGS, *gallery.MUTANTS)
SVG = "{http://www.w3.org/2000/svg}"
SLOW = ("full-ring-kick-linux-3.11", "B5", "D1")
"""Searches of a few seconds each."""


def _saved(name: str) -> Path:
    return gallery.DIRECTORY / f"{name}.itf.json"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]
)
def test_it_is_what_would_be_written(name: str) -> None:
    """Searched, replayed and drawn anew, every file comes out the same; if not, run make docs."""
    for file, text in gallery.files_of(name, made(name)).items():
        assert (gallery.DIRECTORY / file).read_text(encoding="utf-8") == text, file


def test_the_index_lists_what_is_there() -> None:
    """README.md is written from these documents, and there is no file beside."""
    documents = {name: load_any(_saved(name)) for name in NAMES}
    files = {gallery.INDEX: gallery.index(documents)}
    for name in NAMES:
        files |= {f"{name}{ending}": "" for ending in (".itf.json", ".svg", ".md")}
    there = {path.name for path in gallery.DIRECTORY.iterdir()}
    assert there == files.keys()
    assert gallery.INDEX not in gallery.differing(files)


def test_every_finding_is_shown_and_ten_mutants() -> None:
    """All theorems expected to be refuted; mutants of the queue, the driver and single statements."""
    assert set(gallery.FINDINGS) == {name for name, each in THEOREMS.items() if each.expected == "refuted"}
    assert len(set(gallery.MUTANTS)) == 10
    kinds = {type(load_any(_saved(name))) for name in gallery.MUTANTS}
    assert kinds == {TraceDocument, NetTrace, StepsDocument}


@pytest.mark.parametrize("name", NAMES)
def test_every_document_replays(name: str) -> None:
    """Read from the file as a user would; the step-wise model's runs are not replayed, and say so."""
    document = load_any(_saved(name))
    if isinstance(document, TraceDocument):
        assert document.replayed
        assert replay_document(document).confirmed
    elif isinstance(document, NetTrace):
        outcome = replay_on_reference(document)
        assert outcome.step in (None, len(document.operations)), outcome.reason
    else:
        assert "not replayed" in (gallery.DIRECTORY / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_an_svg(name: str) -> None:
    """Well-formed, with a title for those who do not see it, and nothing fetched from elsewhere."""
    text = (gallery.DIRECTORY / f"{name}.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.find(f".//{SVG}title") is not None
    assert not re.search(r"(?:href|src)=|<script|url\(h|@import", text)


def test_every_link_leads_somewhere() -> None:
    """Links of the index and of the summaries are files of the gallery."""
    for page in gallery.DIRECTORY.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:href|src)="([^"]+)"', text)
        assert links, page
        assert all((gallery.DIRECTORY / link).is_file() for link in links), page


def test_the_check_names_what_differs(tmp_path: Path) -> None:
    """A changed file, a missing one and one too many; nothing else."""
    (tmp_path / "same").write_text("same")
    (tmp_path / "changed").write_text("old")
    (tmp_path / "left").write_text("")
    files = {"same": "same", "changed": "new", "missing": ""}
    assert gallery.differing(files, tmp_path) == ["changed", "left", "missing"]
    assert gallery.differing({"a": ""}, tmp_path / "nowhere") == ["a"]
