"""The shape of a value of a state: which fields it has and of which types they are."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from .entries import EntriesReader

Shape: TypeAlias = type | str | list["Shape"] | dict[str, "Shape"]
"""What a value must look like: a type, the name of a shape, a list of one shape, or fields with theirs."""

LEAST, MOST = -(1 << 63), (1 << 64) - 1
"""Of an integer of a shape."""


def integers(*names: str) -> dict[str, Shape]:
    """Fields that are integers."""
    return dict.fromkeys(names, int)


class ShapeReader(EntriesReader):
    """Holds values against shapes; ``named`` are the shapes that others refer to by name."""

    named: Mapping[str, Shape] = {}

    def _conform(self, value: Any, place: str, shape: Shape) -> None:
        """Raises TraceError, naming the place, unless the value has the shape."""
        if isinstance(shape, str):
            shape = self.named[shape]
        if isinstance(shape, dict):
            record = self._record(value, place, "an object")
            for name in shape:
                if name not in record:
                    raise self._fail(f"{place}.{name}", "is missing")
            for name, item in record.items():
                if name not in shape:
                    raise self._fail(f"{place}.{name}", "nothing of that name belongs here")
                self._conform(item, f"{place}.{name}", shape[name])
        elif isinstance(shape, list):
            for at, item in enumerate(self._list(value, place)):
                self._conform(item, f"{place}[{at}]", shape[0])
        elif shape is int:
            self._integer(value, place, LEAST, MOST)
        elif shape is bool:
            self._truth(value, place)
        else:
            self._text(value, place)
