"""A trace as Markdown for an issue tracker: what broke, why, the steps up to there, how to replay it."""

import re
from collections.abc import Iterator, Sequence

from ..traces.folding import printable
from .excerpt import excerpt, has_step, in_focus
from .reasons import unavoidable, variant
from .scene import Scene, Source, Step

_MOST_CHANGES = 8
_MOST_STEPS_BACK = 1_000
_LONGEST = 4000
_NOTHING = "<!-- -->"
"""Put inside what a tracker would make a link of, it keeps it text and is not seen."""

_SPECIAL = re.compile(r"[\\`*\[\]|~#$^=]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_AT_START = re.compile(r"\A(\d{1,9})([.)])|\A([-+])")
_LINKED = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)(?=://)|(?P<www>\bwww)(?=\.)|(?P<at>@)|(?P<mail>\bmailto)(?=:)"
    r"|(?P<issue>\bGH)(?=-\d)|(?P<number>#)(?=\d)|(?P<emoji>:)(?=[a-z0-9_+-]+:)|(?P<commit>[0-9a-f]{6})(?=[0-9a-f])",
    re.IGNORECASE,
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    """``text`` as Markdown that shows it as it is: no markup, no HTML, no link, no name called, one line."""
    plain = printable(" ".join(text.split()))
    if len(plain) > _LONGEST:
        plain = plain[: _LONGEST - 1] + "…"
    parts: list[str] = []
    at = 0
    for found in _LINKED.finditer(plain):
        parts += [_marked(plain[at : found.end()], first=not at), _NOTHING]
        at = found.end()
    parts.append(_marked(plain[at:], first=not at))
    return "".join(parts)


def _marked(text: str, *, first: bool) -> str:
    safe = _SPECIAL.sub(lambda found: "\\" + found[0], text)
    safe = "".join(_ENTITIES.get(char, char) for char in safe)
    if first:
        safe = _AT_START.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", safe)
    return safe


def code(text: str) -> str:
    """``text`` as a code span, in tables too."""
    plain = printable(" ".join(text.split()))
    if len(plain) > _LONGEST:
        plain = plain[: _LONGEST - 1] + "…"
    if not plain:
        return ""
    # A backslash before a pipe is taken away in tables alone, so that a pipe can only be told as an entity.
    if "|" in plain:
        return f"<code>{''.join(_entity(char) for char in plain)}</code>"
    runs = {len(run) for run in re.findall("`+", plain)}
    fence = "`" * next(count for count in range(1, len(plain) + 2) if count not in runs)
    room = " " if plain.startswith(("`", " ")) or plain.endswith(("`", " ")) else ""
    return f"{fence}{room}{plain}{room}{fence}"


def _entity(char: str) -> str:
    return char if char.isalnum() or char == " " else f"&#{ord(char)};"


def render_markdown(scene: Scene, picture: str | None, *, document: str | None = None) -> str:
    """The trace as a summary for an issue tracker, in GitHub's Markdown.

    ``picture`` is the path of the SVG beside, relative to the summary, None if there is none. ``document`` is
    the name of the saved trace for the line that says how to replay it; without it that line says FILE.
    """
    blocks = [
        f"## {escaped(scene.title)}",
        *_standing(scene),
        *_violation(scene),
        *_picture(scene, picture),
        *_why(scene),
        *_steps(scene),
        *_replay(scene, document),
    ]
    return "\n\n".join(blocks) + "\n"


def _standing(scene: Scene) -> Iterator[str]:
    said = [escaped(words) for words in (scene.setting, scene.standing, scene.window) if words]
    if said:
        yield "\\\n".join(said)


def _violation(scene: Scene) -> Iterator[str]:
    if not scene.property:
        return
    where = f" at step {scene.broken}" if scene.broken is not None else ""
    part = f", part {code(scene.conjunct)}" if scene.conjunct else ""
    yield f"**Breaks** {code(scene.property)}{part}{where}: {escaped(scene.violated)}"
    if scene.clause:
        yield f"Clause of VIRTIO: {escaped(scene.clause)}"


def _picture(scene: Scene, picture: str | None) -> Iterator[str]:
    if picture is None:
        return
    where = f" at step {in_focus(scene)}" if scene.steps else ""
    yield f"![{escaped(f'the ring{where}')}]({_target(picture)})"


def _target(path: str) -> str:
    """A path as the target of a link: whatever would end it, or be taken for markup, in percent."""
    return "".join(
        char if char.isalnum() or char in "/._-~" else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in printable(path)
    )


def _why(scene: Scene) -> Iterator[str]:
    explanation, violated = scene.explanation, scene.violated
    lines = []
    for part in explanation.parts:
        said = escaped(part.words or part.name)
        if part.holds:
            lines.append(f"- holds: {said}")
        else:
            sentence = f": {escaped(part.sentence)}" if part.sentence not in ("", violated) else ""
            lines.append(f"- **fails{'' if part.key else ', as a consequence'}**: {said}{sentence}")
    lines += [f"- {_quoting(said)}" for said in (unavoidable(explanation), variant(explanation)) if said]
    line = telling_line(scene)
    if line is not None:
        what = "the seeded defect" if line.seeded else f"changes {', '.join(line.variables)}"
        place = f"{code(f'{line.file}:{line.line}')} in {code(line.function)}"
        lines.append(f"- the line: {place}: {code(line.text)} ({escaped(what)})")
    if lines:
        yield "### Why"
        yield "\n".join(lines)


def _quoting(words: str) -> str:
    """A sentence in which what stands between backticks is code."""
    pieces = " ".join(words.split()).split("`")
    if not len(pieces) % 2:
        return escaped(words)
    said = []
    for at, piece in enumerate(pieces):
        # escaped() takes blanks at the ends away.
        before, behind = " " * piece.startswith(" "), " " * (piece.endswith(" ") and len(piece) > 1)
        said.append(code(piece) if at % 2 else f"{before}{escaped(piece)}{behind}")
    return "".join(said)


def telling_line(scene: Scene) -> Source | None:
    """The line of code that says most: the seeded one, else one that changed what broke, if there is one."""
    if scene.broken is None or not scene.steps or not has_step(scene, scene.broken):
        return None
    for number in range(scene.broken, max(scene.steps[0].number, scene.broken - _MOST_STEPS_BACK) - 1, -1):
        seeded = [source for source in scene.at(number).sources if source.seeded]
        if seeded:
            return seeded[0]
    last = scene.at(scene.broken).sources
    return next((source for source in last if scene.marked.intersection(source.variables)), None)


def _steps(scene: Scene) -> Iterator[str]:
    if not scene.steps:
        return
    rows = ["| step | who | what | changed |", "| ---: | --- | --- | --- |"]
    hidden = 0
    for each in excerpt(scene):
        if isinstance(each, range):
            hidden += len(each)
            rows.append(f"| … | | {len(each)} steps left out | |")
        else:
            rows.append(_row(scene, scene.at(each)))
    yield "### Steps"
    yield "\n".join(rows)
    if hidden:
        yield f"{hidden} of {len(scene.steps) - 1} steps are left out here; the saved trace has all of them."


def _row(scene: Scene, step: Step) -> str:
    broken = step.number == scene.broken
    said = escaped(step.words) + (f" → {escaped(step.outcome)}" if step.outcome else "")
    number = f"{step.number}"
    if broken:
        said, number = f"**{said}**", f"❌ **{number}**"
    said += "".join(f"<br>❗ {escaped(difference)}" for difference in step.differences)
    marked = scene.marked if broken else frozenset[str]()
    changed = [
        ("❗ " if change.variable in marked else "") + code(change.said)
        for change in step.changes[:_MOST_CHANGES]
    ]
    if len(step.changes) > _MOST_CHANGES:
        changed.append(f"and {len(step.changes) - _MOST_CHANGES} more")
    lane = "" if step.lane == "init" else step.lane
    return f"| {number} | {lane} | {said} | {', '.join(changed)} |"


def _replay(scene: Scene, document: str | None) -> Sequence[str]:
    if scene.kind == "steps":
        return ()
    command = f"ringproof replay {document if document is not None else 'FILE'}"
    said = "" if document is not None else ", with FILE the saved trace"
    return "### Replay", f"{code(command)}{said}"
