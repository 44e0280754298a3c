"""One call of a function of virtqueue.c, in a process of its own: what it leaves, tells and returns.

Run as a script: an order as JSON on the standard input, an account as JSON on the standard output. A library
with a defect may do anything to this process; whoever starts it sets a time limit and looks at how it ends.
Nothing is imported but Python's own modules.

Objects lie between margins of a known byte, so that what is written beside them is seen.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from typing import Any

MARGIN = 256
FILL = 0xA5

Layout = dict[str, list[Any]]
"""Of each field of an object: offset, bytes, stride and count."""


class Laid:
    """An object in memory: its cells by field and index."""

    def __init__(self, name: str, layout: Layout) -> None:
        self.name, self.layout = name, layout
        self.size = max(at + stride * (count - 1) + size for at, size, stride, count in layout.values())
        self.bytes = (ctypes.c_ubyte * (self.size + 2 * MARGIN)).from_buffer(
            bytearray([FILL]) * (self.size + 2 * MARGIN)
        )
        self.address = ctypes.addressof(self.bytes) + MARGIN

    def put(self, field: str, value: Any) -> None:
        """Write a field: a number, or a list of them; none leaves a cell as it is."""
        at, size, stride, _ = self.layout[field]
        for i, each in enumerate(value if isinstance(value, list) else [value]):
            if each is not None:
                start = MARGIN + at + stride * i
                self.bytes[start : start + size] = list(int(each).to_bytes(size, "little"))

    def get(self, field: str) -> list[int]:
        """Return the cells of a field."""
        at, size, stride, count = self.layout[field]
        starts = [MARGIN + at + stride * i for i in range(count)]
        return [int.from_bytes(bytes(self.bytes[start : start + size]), "little") for start in starts]

    def spilt(self) -> int | None:
        """Return the offset of a byte beside the object that was written, if there is one."""
        for start, end in ((0, MARGIN), (MARGIN + self.size, len(self.bytes))):
            for i in range(start, end):
                if self.bytes[i] != FILL:
                    return i - MARGIN
        return None


def call(order: dict[str, Any]) -> dict[str, Any]:
    """Make the call, and return the account of it."""
    library = ctypes.CDLL(order["library"])
    objects = {name: Laid(name, layout) for name, layout in order["layout"].items()}
    for name, held in order["before"].items():
        for field, value in held.items():
            objects[name].put(field, value)
    for name, field, target in order["pointers"]:
        objects[name].put(field, objects[target].address)
    told: list[list[Any]] = []
    kept = _surroundings(order, objects, told)
    for field, function in kept.items():
        objects["ops"].put(field, ctypes.cast(function, ctypes.c_void_p).value)  # type: ignore[arg-type]
    before = {name: bytes(made.bytes) for name, made in objects.items() if name in ("used", "ops")}

    function = getattr(library, order["function"])
    function.restype = getattr(ctypes, order["returns"]) if order["returns"] else None
    function.argtypes = [getattr(ctypes, kind) for kind, _ in order["arguments"]]
    arguments = [
        objects[value].address if isinstance(value, str) else value for _, value in order["arguments"]
    ]
    result = function(*arguments)
    changed = [name for name, held in before.items() if bytes(objects[name].bytes) != held]
    return {
        "result": None if order["returns"] is None else int(result or 0),
        "told": told,
        "after": {name: {field: made.get(field) for field in made.layout} for name, made in objects.items()},
        "spilt": {name: at for name, made in objects.items() if (at := made.spilt()) is not None},
        "changed": changed,
        "table": objects["table"].address if "table" in objects else 0,
    }


def _surroundings(
    order: dict[str, Any], objects: dict[str, Laid], told: list[list[Any]]
) -> dict[str, Callable[..., Any]]:
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    segments = order["segments"]

    def allocate(_: Any, count: int, alignment: int, address: int) -> int | None:
        del alignment
        if "table" not in objects:
            return None
        told.append(["allocate", count])
        ctypes.c_uint64.from_address(address).value = order["table"]
        return objects["table"].address

    def release(_: Any, memory: int | None, count: int) -> None:
        told.append(["release", memory or 0, count])

    def notify(_: Any, index: int) -> None:
        told.append(["notify", index])

    def callback(_: Any) -> None:
        told.append(["callback"])
        for name, field, value in order["called_back"]:
            objects[name].put(field, value)

    def read_segment(cursor: int | None, segment: int) -> int:
        number = (cursor or 0) - order["cursor"]
        if not 0 <= number < len(segments):
            told.append(["read_segment", number])
            address, length = 0, 0
        else:
            address, length = segments[number]
        ctypes.c_uint64.from_address(segment).value = address
        ctypes.c_uint32.from_address(segment + 8).value = length
        return int(number + 1 + order["cursor"])

    return {
        "allocate": ctypes.CFUNCTYPE(pointer, pointer, size, size, pointer)(allocate),
        "release": ctypes.CFUNCTYPE(None, pointer, pointer, size)(release),
        "notify": ctypes.CFUNCTYPE(None, pointer, ctypes.c_uint32)(notify),
        "callback": ctypes.CFUNCTYPE(None, pointer)(callback),
        "read_segment": ctypes.CFUNCTYPE(pointer, pointer, pointer)(read_segment),
    }


if __name__ == "__main__":
    json.dump(call(json.load(sys.stdin)), sys.stdout)
