"""Which steps of a long trace are shown: its beginning, its end, and where it broke."""

from collections.abc import Iterator

from .scene import Scene

SHOWN_FIRST, SHOWN_LAST = 6, 30
_AROUND = 3
_LEAST_HIDDEN = 2


def excerpt(scene: Scene, *, first: int = SHOWN_FIRST, last: int = SHOWN_LAST) -> Iterator[int | range]:
    """The numbers of the steps to show, in order, and between them the ranges that are left out.

    Shown are one state, the ``first`` steps after it, the ``last`` ones, and those around the broken one.
    """
    if not scene.steps:
        return
    begin = scene.steps[0].number
    end = begin + len(scene.steps)
    kept = set(range(begin, min(begin + first + 1, end))) | set(range(max(end - last - 1, begin), end))
    if scene.broken is not None:
        kept |= set(range(max(scene.broken - _AROUND, begin), min(scene.broken + _AROUND + 1, end)))
    at = begin
    for number in sorted(kept):
        if number - at >= _LEAST_HIDDEN:
            yield range(at, number)
        else:
            yield from range(at, number)
        yield number
        at = number + 1


def has_step(scene: Scene, number: int) -> bool:
    """Whether a step of this number is among those of the scene, which may be a window of a trace."""
    return bool(scene.steps) and 0 <= number - scene.steps[0].number < len(scene.steps)


def in_focus(scene: Scene) -> int:
    """The number of the step to look at: the one that broke, or else the last. There must be steps."""
    if scene.broken is not None and has_step(scene, scene.broken):
        return scene.broken
    return scene.steps[-1].number


def numbered(scene: Scene, number: int) -> str:
    """A step by its number in words: "step 3 of 7"; of a window, whose end is not the trace's, "step 3"."""
    return f"step {number}" if scene.window else f"step {number} of {scene.steps[-1].number}"
