"""A module of the Python reference, to be run on numbers of any value.

The functions are the module's own code objects. Where they ask a library for what numbers of any value can't
give (struct packs bytes, a dict hashes its keys), something that does the same for them is put in its place.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from types import FunctionType, ModuleType
from typing import Any

import z3

from .explorer import Run
from .symbolic_int import SymbolicInt, inspected, term_of


def module_of(package: ModuleType, name: str) -> ModuleType:
    """Return a module of the reference's package, or of a changed copy."""
    return importlib.import_module(f"{package.__name__}.{name}")


def source_of(package: ModuleType, *names: str) -> str:
    """Return the sources of modules, looked through for what can't be followed. Raises Unmodelled."""
    modules = [module_of(package, name) for name in names]
    return "\n".join(inspected(inspect.getsource(module), f"{module.__name__}.py") for module in modules)


def functions_of(module: ModuleType, run: Run, **instead: Any) -> dict[str, Callable[..., Any]]:
    """Return the module's functions, for this run, with stand-ins for its libraries and what is named."""
    surroundings = dict(vars(module))
    for name, value in vars(module).items():
        if isinstance(value, Struct):
            surroundings[name] = Packing(run, value)
        elif type(value) is dict and value and all(isinstance(key, int) for key in value):
            surroundings[name] = Lookup(value)
    surroundings |= instead
    found: dict[str, Callable[..., Any]] = {}
    for name, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and name not in instead:
            found[name] = rebound(value, surroundings)
    surroundings |= found
    return found


def rebound(function: FunctionType, surroundings: dict[str, Any]) -> Callable[..., Any]:
    """Return the function with other globals."""
    made = FunctionType(
        function.__code__, surroundings, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


class Lookup(Mapping[int, Any]):
    """A dict with whole numbers as keys that can be asked for a number of any value: key by key."""

    def __init__(self, content: Mapping[int, Any]) -> None:
        self._content = dict(content)

    def __getitem__(self, key: Any) -> Any:
        for known, value in self._content.items():
            if key == known:
                return value
        raise KeyError(str(key))

    def __contains__(self, key: object) -> bool:
        return any(bool(key == known) for known in self._content)

    def __iter__(self) -> Iterator[int]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


class Packing:
    """A struct of little-endian fields of 1 and 2 bytes without sign, packed into ``Cells``.

    That each value fits is to be shown: struct.error would be raised, which the reference doesn't expect.
    """

    def __init__(self, run: Run, original: Struct) -> None:
        sizes = {"B": 1, "H": 2}
        if original.format[:1] != "<" or any(field not in sizes for field in original.format[1:]):
            raise ValueError(f"fields other than B and H, little endian: {original.format}")
        self._run = run
        self._sizes = [sizes[field] for field in original.format[1:]]

    def pack_into(self, memory: "Cells", offset: int, *values: Any) -> None:
        """Put the values into memory, one field behind the other."""
        if len(values) != len(self._sizes):
            raise TypeError(f"{len(values)} values for {len(self._sizes)} fields")
        for size, value in zip(self._sizes, values, strict=True):
            number = SymbolicInt(self._run, term_of(value)) if isinstance(value, int) else value
            fits = z3.And(number.term >= 0, number.term < 1 << 8 * size)
            self._run.require("each value packed fits its field", fits)
            for place in range(size):
                memory.put(offset + place, (number >> 8 * place) & 0xFF)
            offset += size


class Cells:
    """A memoryview of bytes that are known by terms: ``length`` of the cells, from the first on."""

    def __init__(self, cells: list[Any], length: int) -> None:
        self._cells = cells
        self._length = length

    def __len__(self) -> int:
        return self._length

    def put(self, place: int, value: Any) -> None:
        """Write one byte. Raises IndexError outside, as memoryview and struct do."""
        if not 0 <= place < self._length:
            raise IndexError(f"byte {place} of {self._length}")
        self._cells[place] = value

    def __setitem__(self, key: Any, values: Any) -> None:
        if isinstance(key, slice):
            places = range(*key.indices(self._length))
            if len(places) != len(values):
                raise ValueError("memory does not grow")
            for place, value in zip(places, values, strict=True):
                self.put(place, value)
        else:
            self.put(key, values)
