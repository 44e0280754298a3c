"""A trace as one HTML file: the ring drawn, step by step, in a browser that needs no network.

The head and a plain list of steps are in the markup and need no script; the drawing is made by the script
from the states, of which the first stands whole in the file and each other one as what it changes.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import count
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from .scene import Scene, Source, Step

LISTED_WITHOUT_SCRIPT = 300
"""So many steps stand in the markup itself; a browser lays out many more only with the script's help."""

_SCRIPTS = ("page_state.js", "page_ring.js", "page_network.js", "page.js")
_LARGEST_EXACT = 1 << 53
_NOT_IN_SCRIPT = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_SURROGATES = re.compile("[\ud800-\udfff]")


def render_page(scene: Scene) -> str:
    """Return the page of a scene, one file that ends in a newline; the same scene gives the same text.

    Whatever the trace says is text, never markup or script, and the page's own policy forbids a browser to
    fetch anything. It takes some 200 bytes for each step.
    """
    style, script = _resource("page.css"), _script()
    first, last = _listed(scene)
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = _quoted
    page = environment.from_string(_resource("page.html")).render(
        scene=scene,
        why=scene.explanation,
        steps=scene.steps,
        listed=[_row(scene, step) for step in scene.steps[first : last + 1]],
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        story=Markup(_data(_story(scene))),  # noqa: S704 - escaped for where it stands
    )
    # A lone surrogate, which JSON can carry, is no text that a file can hold.
    return _SURROGATES.sub("\ufffd", page)


def _quoted(text: str) -> Markup:
    """``text`` with what stands in it between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def _resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's scripts as one, which leaves no names behind."""
    return "\n(() => {\n" + "".join(map(_resource, _SCRIPTS)) + "})();\n"


def _policy(style: str, script: str) -> str:
    """What the page may do: run this script, use this style, and nothing else at all."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style))
    allowed = "script-src 'sha256-{}'; style-src 'sha256-{}'".format(*hashes)
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _data(value: object) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_NOT_IN_SCRIPT)


# -- the list without a script -------------------------------------------------------------------------


def _listed(scene: Scene) -> tuple[int, int]:
    """The first and last step of the list in the markup: all, or those up to the broken one."""
    end = len(scene.steps) - 1
    if end < LISTED_WITHOUT_SCRIPT:
        return 0, end
    last = LISTED_WITHOUT_SCRIPT - 1 if scene.broken is None else min(scene.broken, end)
    return max(0, last - LISTED_WITHOUT_SCRIPT + 1), last


def _row(scene: Scene, step: Step) -> dict[str, Any]:
    changed = ", ".join(change.said for change in step.changes)
    return {"step": step, "changed": changed, "broken": step.number == scene.broken}


# -- the data ------------------------------------------------------------------------------------------


class _Strings:
    """Texts that occur again and again, each written once: a text's number is its place in ``all``."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next = count()

    def __call__(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = next(self._next)
        return self._numbers[text]

    @property
    def all(self) -> list[str]:
        return list(self._numbers)


def _story(scene: Scene) -> dict[str, Any]:
    """All that the script needs, see page_state.js for how it reads it."""
    strings = _Strings()
    sources: dict[Source, int] = {}
    steps = list(_steps(scene.steps, strings, sources))
    why = scene.explanation
    return {
        "kind": scene.kind,
        "size": scene.queue_size,
        "broken": scene.broken,
        "unavoidable": why.unavoidable_from,
        "variant": why.variant_step,
        "breaks": _breaks(scene),
        "marked": sorted(scene.marked),
        "sources": [
            [source.side, source.file, source.line, source.function, source.text, list(source.variables)]
            + [True] * source.seeded
            for source in sources
        ],
        "steps": steps,
        "strings": strings.all,
    }


def _breaks(scene: Scene) -> str:
    """What the broken step breaks, in a sentence of its own."""
    if scene.broken is None:
        return ""
    return f"Breaks {scene.what_broke()}: {scene.violated}"


def _steps(steps: Sequence[Step], strings: _Strings, sources: dict[Source, int]) -> Iterator[dict[str, Any]]:
    """Each step, what is empty left out: lane, words, outcome, changes, differences, sources, state."""
    before: Mapping[str, Any] = {}
    for step in steps:
        found: dict[str, Any] = {"l": strings(step.lane), "w": strings(step.words)}
        if step.outcome:
            found["o"] = strings(step.outcome)
        if step.changes:
            found["c"] = [
                [strings(change.variable), strings(change.name), change.old, change.new]
                for change in step.changes
            ]
        if step.differences:
            found["x"] = list(step.differences)
        if step.sources:
            found["s"] = [sources.setdefault(source, len(sources)) for source in step.sources]
        yield found | _delta(before, step.values, strings)
        before = step.values


def _delta(before: Mapping[str, Any], after: Mapping[str, Any], strings: _Strings) -> dict[str, Any]:
    """How ``after`` differs: ``d`` new values, ``e`` new entries of tables, ``r`` names that are gone."""
    whole: list[Any] = []
    entries: list[Any] = []
    for name, value in after.items():
        old = before.get(name)
        # True equals 1, but does not read the same.
        if name in before and old == value and type(old) is type(value):
            continue
        apart = _entries(old, value)
        if apart is None:
            whole.append([strings(name), _plain(value)])
        else:
            entries.append([strings(name), *apart])
    gone = [strings(name) for name in before if name not in after]
    return {key: item for key, item in (("d", whole), ("e", entries), ("r", gone)) if item}


def _entries(old: object, new: object) -> list[Any] | None:
    """Places and new values in turn, of a table of which fewer than a third changed; else None."""
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return None
    found: list[Any] = []
    for place, (one, other) in enumerate(zip(old, new, strict=True)):
        if one != other or type(one) is not type(other):
            found += (place, _plain(other))
    return found if 3 * len(found) < 2 * len(new) else None


def _plain(value: object) -> Any:
    """A value as JSON that JavaScript reads without loss: numbers beyond its own as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_EXACT else str(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)
