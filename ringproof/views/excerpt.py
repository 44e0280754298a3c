"""Which steps of a long trace are shown: its beginning, its end, and where it broke."""

from collections.abc import Iterator

from .scene import Scene

SHOWN_FIRST, SHOWN_LAST = 6, 30
_AROUND = 3
_LEAST_HIDDEN = 2


def excerpt(scene: Scene, *, first: int = SHOWN_FIRST, last: int = SHOWN_LAST) -> Iterator[int | range]:
    """The numbers of the steps to show, in order, and between them the ranges that are left out.

    Shown are the creation, the ``first`` steps, the ``last`` ones, and three on each side of the broken one.
    """
    count = len(scene.steps)
    kept = set(range(min(first + 1, count))) | set(range(max(count - last - 1, 0), count))
    if scene.broken is not None:
        kept |= set(range(max(scene.broken - _AROUND, 0), min(scene.broken + _AROUND + 1, count)))
    at = 0
    for number in sorted(kept):
        if number - at >= _LEAST_HIDDEN:
            yield range(at, number)
        else:
            yield from range(at, number)
        yield number
        at = number + 1
