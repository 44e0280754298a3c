"""A trace as a sequence diagram in Mermaid's language: who passes what to whom, and what changed."""

from collections.abc import Iterator

from ..traces.folding import printable
from .canvas import cut
from .excerpt import excerpt
from .exchange import DEVICE, DRIVER, PARTIES, RING, STACK, Happening, happenings
from .scene import Scene, Step

_MOST_CHANGES = 6
_LONGEST = 100
_LINE = 60
_SAFE = frozenset(" .,:-+/=()[]_'!?*→…")
_BROKEN_GROUND = "rgba(207, 34, 46, 0.18)"


def text(words: str, most: int = _LONGEST) -> str:
    """``words`` as text of a diagram that is shown as it is: entities for what Mermaid or HTML would read.

    At most ``most`` columns before escaping.
    """
    plain = cut(" ".join(words.split()), most)
    # A text that begins with "wrap:" is an order to break lines.
    wraps = plain.lower().startswith(("wrap:", "nowrap:"))
    return "".join(
        f"#{ord(char)};" if not (char.isalnum() or char in _SAFE) or (wraps and not at) else char
        for at, char in enumerate(plain)
    )


def render_mermaid(scene: Scene) -> str:
    """The trace as a Mermaid sequence diagram, the broken step on a red ground with what it violates.

    Of a long trace the first 6 and the last 30 steps and those around the broken one are drawn; a note says
    how many are left out.
    """
    parties = [party for party in PARTIES if party != STACK or scene.kind == "network"]
    lines = [
        "sequenceDiagram",
        # A comment must not hold a brace: Mermaid would look for a directive in it.
        f"    %% {''.join(char for char in cut(scene.title, _LONGEST) if char not in '{}%;')}",
        *(f"    participant {party}" for party in parties),
    ]
    for each in excerpt(scene):
        if isinstance(each, range):
            lines.append(f"    Note over {parties[0]},{parties[-1]}: {len(each)} steps left out")
        else:
            lines += _step(scene, scene.at(each))
    return "\n".join(lines) + "\n"


def _step(scene: Scene, step: Step) -> Iterator[str]:
    broken = step.number == scene.broken
    indent = "    "
    if broken:
        yield f"    rect {_BROKEN_GROUND}"
        indent = "        "
    for number, each in enumerate(happenings(step, scene.kind)):
        first = f"{step.number}. " if number == 0 else ""
        yield indent + _arrow(each, first)
    marked = scene.marked if broken else frozenset[str]()
    changed = [
        f"{'! ' if each.variable in marked else ''}{each.said}"
        for each in step.changes
        if each.old is not None
    ]
    beyond = len(changed) - _MOST_CHANGES
    changed = [*changed[:_MOST_CHANGES], *([f"and {beyond} more"] if beyond > 0 else [])]
    side = DEVICE if step.lane == "device" else DRIVER
    if changed:
        yield f"{indent}Note over {side},{RING}: {'<br/>'.join(text(each, _LINE) for each in changed)}"
    for difference in step.differences:
        yield f"{indent}Note over {DRIVER}: ! {text(difference)}"
    if broken:
        said = f"! breaks {text(scene.property)}<br/>{text(scene.violated, 2 * _LONGEST)}"
        yield f"{indent}Note over {DRIVER},{DEVICE}: {said}"
        yield "    end"


def _arrow(each: Happening, first: str) -> str:
    words = first + text(("! " if each.bad else "") + printable(each.words))
    if each.source == each.target:
        return f"Note over {each.source}: {words}"
    arrow = "-->>" if each.answer else "->>"
    return f"{each.source}{arrow}{each.target}: {words}"
