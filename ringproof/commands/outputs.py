"""Where a trace goes beside the terminal: a file for each view that is asked for, or the standard output."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ..errors import BadInputError
from ..traces import itf
from ..views.opening import Document
from ..views.scene import Scene

STDOUT = Path("-")
EMITTED = ("pytest", "c")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was asked for: a path for each view, STDOUT for the standard output, None for nothing.

    ``output`` takes the document, or with ``emit`` the test that is made of it. ``step`` is the step to draw,
    None for the one that broke. ``source`` is the file that the trace was opened from, None if from none.
    """

    as_json: bool = False
    output: Path | None = None
    html: Path | None = None
    markdown: Path | None = None
    svg: Path | None = None
    vcd: Path | None = None
    mermaid: Path | None = None
    emit: str | None = None
    step: int | None = None
    source: Path | None = None

    def check(self) -> None:
        """Raises BadInputError if two things would go to one place.

        A picture may not go over its summary, nor a view over the trace that it shows.
        """
        named = {
            name: path
            for name, path in (
                ("-o", self.output), ("--html", self.html), ("--markdown", self.markdown),
                ("--svg", self.svg), ("--vcd", self.vcd), ("--mermaid", self.mermaid),
            )
            if path is not None
        }  # fmt: skip
        if self.as_json:
            named["--json"] = STDOUT
        if self.emit is not None and self.output is None:
            named["--emit"] = STDOUT
        if (picture := self.picture()) is not None and picture == self.markdown:
            raise BadInputError(f"{self.markdown}: the picture beside would have the same name")
        if picture is not None and picture != self.svg:
            named["the picture of --markdown"] = picture
        source = Path(os.path.realpath(self.source)) if self.source is not None else None
        seen: dict[Path, str] = {}
        for name, path in named.items():
            where = path if path == STDOUT else Path(os.path.realpath(path))
            if where == source and (name != "-o" or self.emit is not None):
                raise BadInputError(f"{path}: {name} would be written over the trace itself")
            if where in seen:
                place = "the standard output" if path == STDOUT else str(path)
                raise BadInputError(f"{seen[where]} and {name} would both be written to {place}")
            seen[where] = name

    def picture(self) -> Path | None:
        """Where the picture of the Markdown summary goes: beside it, nowhere if that is printed."""
        if self.markdown is None or self.markdown == STDOUT:
            return None
        return self.markdown.with_suffix(".svg")

    def prints(self) -> bool:
        """Whether one of the views takes the standard output, so that nothing else may be printed there."""
        views = (self.output, self.html, self.markdown, self.svg, self.vcd, self.mermaid)
        return self.as_json or STDOUT in views or (self.emit is not None and self.output is None)

    def needs_document(self) -> bool:
        """Whether the document itself is asked for, not only views of it."""
        return self.as_json or self.output is not None or self.emit is not None

    def needs_sources(self) -> bool:
        """Whether a view shows lines of code, which take time to find."""
        shown = self.html is not None or self.markdown is not None
        return shown or (self.step is not None and not self.prints())

    def write(self, document: Document | None, scene: Scene, name: str) -> None:
        """Write every view that was asked for, each file whole or not at all.

        ``document`` is there if it :meth:`needs_document`.
        ``name`` is what the trace is called: a mutant, or the stem of its file. Raises TraceError for a file
        that cannot be written, BadInputError if no test can be made of this kind of run.
        """
        # All is made before the first is written: one that cannot be made leaves nothing behind.
        made = [(path, make()) for path, make in self._views(document, scene, name)]
        for path, text in made:
            if path == STDOUT:
                click.echo(text, nl=False)
            else:
                itf.save(text, path)

    def _views(
        self, document: Document | None, scene: Scene, name: str
    ) -> Iterator[tuple[Path, Callable[[], str]]]:
        if document is not None:
            if self.emit is not None:
                yield self.output or STDOUT, lambda: _emitted(document, self.emit or "", name)
            elif self.output is not None:
                yield self.output, document.text
            if self.as_json:
                yield STDOUT, document.text
        if self.html is not None:
            from ..views.page import render_page

            yield self.html, lambda: render_page(scene)
        picture = self.picture()
        if self.markdown is not None:
            from ..views.markdown import render_markdown

            written = self.output if self.emit is None and self.output != STDOUT else None
            kept = written or self.source
            beside = picture.name if picture is not None else None
            yield self.markdown, lambda: render_markdown(scene, beside, document=kept.name if kept else None)
        for path in dict.fromkeys((picture, self.svg)):
            if path is not None:
                yield path, lambda: self._drawn(scene)
        if self.vcd is not None:
            from ..views.wave import render_vcd

            yield self.vcd, lambda: render_vcd(scene)
        if self.mermaid is not None:
            from ..views.sequence import render_mermaid

            yield self.mermaid, lambda: render_mermaid(scene)

    def _drawn(self, scene: Scene) -> str:
        from ..views.drawing import draw
        from ..views.excerpt import in_focus

        if not scene.steps:
            raise BadInputError("the trace has no states, so there is nothing to draw")
        return draw(scene, self.step if self.step is not None else in_focus(scene))


def _emitted(document: Document, language: str, name: str) -> str:
    if language == "c":
        from ..emitting.c_file import emit_c

        return emit_c(document, name)
    from ..emitting.pytest_file import emit_pytest

    return emit_pytest(document, name)
