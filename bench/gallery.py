"""``make docs``: a trace with its picture for each finding and for ten mutants, in docs/gallery/.

Everything there is made anew from the searches, which give the same run every time; ``--check`` writes
nothing and says which files are not what would be written.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from ringproof.commands.trace import made
from ringproof.proofs.mutants.registry import DESCRIBED
from ringproof.proofs.theorems import THEOREMS
from ringproof.traces.itf import save
from ringproof.views.drawing import draw
from ringproof.views.excerpt import in_focus
from ringproof.views.markdown import render_markdown
from ringproof.views.opening import Document
from ringproof.views.scene import Scene
from ringproof.views.staging import scene_of

DIRECTORY = Path(__file__).parents[1] / "docs" / "gallery"
INDEX = "README.md"
FINDINGS = tuple(name for name, theorem in THEOREMS.items() if theorem.expected == "refuted")
MUTANTS = ("A1", "A2", "B5", "D1", "D14", "X2", "E10", "X12", "X24", "B7")
"""A double allocation and a leak, a full ring taken for empty, a kick lost where indices wrap, silence when
the ring is full, a token kept; on the frame's way: room, mapping, freeing; and one of single statements."""
_HEAD = """# Gallery

What `ringproof trace NAME` finds: a short run that shows it, and a picture of its last step. Each comes as a
summary to read, as a picture, and as a trace document: `ringproof trace FILE` shows it step by step,
`ringproof replay FILE` runs it again. `make docs` writes this folder.

"""
_FINDINGS = """## What Linux 3.11 does

Findings about the driver as it was; of the mended profile, virtio-1.x, it is proved that it does otherwise.

"""
_MUTANTS = """## Ten seeded defects

Each is shown on the reference that carries it; on the reference as shipped the same run breaks nothing. The
last is one of single statements: it is shown on the step-wise model, and nothing replays it.

"""
_TABLE = "| | what breaks | clause or function | steps | |\n| --- | --- | --- | ---: | --- |\n"


def files_of(name: str, document: Document) -> dict[str, str]:
    """The files of one trace by name: document, picture and summary."""
    scene = scene_of(document)
    picture, saved = f"{name}.svg", f"{name}.itf.json"
    return {
        saved: document.text(),
        picture: draw(scene, in_focus(scene)),
        f"{name}.md": render_markdown(scene, picture, document=saved),
    }


def index(documents: Mapping[str, Document]) -> str:
    """The page that lists all of them."""
    rows = {name: _row(name, scene_of(document, sources=False)) for name, document in documents.items()}
    return "".join(
        (
            *(_HEAD, _FINDINGS, _TABLE, *(rows[name] for name in FINDINGS), "\n"),
            *(_MUTANTS, _TABLE, *(rows[name] for name in MUTANTS)),
        )
    )


def _row(name: str, scene: Scene) -> str:
    title = DESCRIBED[name].title if name in DESCRIBED else THEOREMS[name].title
    links = f"[summary]({name}.md), [trace]({name}.itf.json)"
    told = f"**{name}**: {_cell(title)}<br>{links}"
    alt = escape(f"step {in_focus(scene)} of {name}, drawn")
    picture = f'<a href="{name}.svg"><img src="{name}.svg" width="320" alt="{alt}"></a>'
    breaks, steps = _cell(scene.violated), len(scene.steps) - 1
    return f"| {told} | {breaks} | {_clause(name, scene)} | {steps} | {picture} |\n"


def _clause(name: str, scene: Scene) -> str:
    theorem = THEOREMS.get(name) or THEOREMS.get(scene.property)
    return _cell(scene.clause or (theorem.clause if theorem is not None else ""))


def _cell(text: str) -> str:
    return escape(text, quote=False).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def gallery() -> Iterator[tuple[str, str]]:
    """Yield every file by name, with its text."""
    documents = {}
    for name in (*FINDINGS, *MUTANTS):
        documents[name] = made(name)
        yield from files_of(name, documents[name]).items()
    yield INDEX, index(documents)


def differing(files: Mapping[str, str], directory: Path = DIRECTORY) -> list[str]:
    """Which of these files are not there, or not the same, and which there are beside them."""
    there = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    changed = [
        name
        for name, text in files.items()
        if name not in there or (directory / name).read_bytes() != text.encode()
    ]
    return sorted({*changed, *(there - files.keys())})


def main(arguments: list[str] | None = None) -> int:
    """Write the gallery, or compare it; 1 if something there is not what would be written."""
    parser = argparse.ArgumentParser(prog="python -m bench.gallery", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say which files differ")
    checks = parser.parse_args(arguments).check
    files = dict(gallery())
    different = differing(files)
    if checks:
        for name in different:
            print(f"docs/gallery/{name}: {'not written any more' if name not in files else 'differs'}")
        return 1 if different else 0
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name in different:
        if name in files:
            save(files[name], DIRECTORY / name)
        else:
            (DIRECTORY / name).unlink()
    print(f"docs/gallery: {len(files)} files, {len(different)} of them changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
