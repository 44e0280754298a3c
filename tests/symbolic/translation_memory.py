"""Memory twice: as native values that code is run on, and as the objects that the executor has for them."""

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from ringproof.proofs.symbolic import ir
from ringproof.proofs.symbolic.memory import table, typed_object
from ringproof.proofs.symbolic.state import State
from ringproof.proofs.symbolic.values import NULL, FunctionPointer, Null, Object, Pointer, plain


@dataclass
class Sample:
    """Numbers for the terms that a function was executed on; none where it was executed on numbers."""

    pairs: list[tuple[z3.ExprRef, z3.ExprRef]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = {term.get_id(): plain(value) for term, value in self.pairs}

    def value(self, term: Any) -> Any:
        """What a value or term is for these numbers; AssertionError if they don't determine it."""
        if isinstance(term, z3.ExprRef):
            if term.get_id() in self.known:
                return self.known[term.get_id()]
            term = plain(z3.simplify(z3.substitute(term, *self.pairs)))
            assert isinstance(term, int), f"not determined by the arguments: {term}"
        return term

    def all(self, flags: Sequence[Any]) -> bool:
        """Whether all flags hold."""
        return all(self.value(flag) for flag in flags)


def number(value: Any) -> int:
    """A result as a number: of a flag 0 or 1."""
    assert isinstance(value, int), value
    return int(value)


def type_of(kind: Any) -> ir.Type:
    """The IR type of a ctypes type."""
    if issubclass(kind, ctypes.Structure):
        parts = tuple((getattr(kind, each[0]).offset, type_of(each[1])) for each in kind._fields_)
        return ir.StructType(kind.__name__, parts, ctypes.sizeof(kind))
    if issubclass(kind, ctypes.Array):
        return ir.ArrayType(type_of(kind._type_), kind._length_, ctypes.sizeof(kind))
    if kind is ctypes.c_void_p:
        return ir.PointerType()
    return ir.IntType(8 * ctypes.sizeof(kind))


def names_of(kind: Any) -> dict[str, str]:
    """The names of the fields of a struct, or of an array's, by position."""
    element = kind._type_ if issubclass(kind, ctypes.Array) else kind
    return {str(i): each[0] for i, each in enumerate(getattr(element, "_fields_", ()))}


@dataclass
class Cell:
    """One cell of an object, by field name and index, and where its bytes stand."""

    field: str
    index: int | None
    offset: int
    bytes: int
    pointer: bool


class Memory:
    """Native values by name, and for each an object of the same layout.

    Pointer cells hold what ``pointers`` says of them, by value and field: the name of another value, or a
    function's name and ``()``; null where it says nothing. ``numbers`` are
    cells that hold one number always, by value and field, or by the index, too.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        pointers: Mapping[tuple[str, str], str],
        numbers: Mapping[tuple[object, ...], int],
    ) -> None:
        self.values = dict(values)
        self.pointers = dict(pointers)
        self.numbers = dict(numbers)
        self.objects: dict[str, Object] = {}
        for name, value in values.items():
            self.objects[name] = typed_object(
                name, type_of(type(value)), names=names_of(type(value)), align=16
            )
        self.start = {name: bytes(value) for name, value in values.items()}

    def address(self, name: str) -> int:
        """Where a value stands natively."""
        return ctypes.addressof(self.values[name])

    def cells(self, name: str) -> Iterator[Cell]:
        """All cells of an object."""
        for each in self.objects[name].fields:
            for index in range(each.count if each.stride else 1):
                at = each.offset.constant + each.stride * index
                yield Cell(each.name, index if each.stride else None, at, each.bytes, each.kind == "pointer")

    def target(self, name: str, cell: Cell) -> Pointer | FunctionPointer | None:
        """Where the pointer in a cell leads."""
        found = self.pointers.get((name, cell.field))
        if found is None:
            return None
        return FunctionPointer(found[:-2]) if found.endswith("()") else Pointer(self.objects[found])

    def fill(self, draw: Callable[[str, Cell], int]) -> None:
        """Give every cell a number, and every pointer its address."""
        for name, value in self.values.items():
            data = bytearray(ctypes.sizeof(value))
            for cell in self.cells(name):
                known = self.known(name, cell)
                new = known if known is not None else 0 if cell.pointer else draw(name, cell)
                data[cell.offset : cell.offset + cell.bytes] = new.to_bytes(cell.bytes, "little")
            ctypes.memmove(ctypes.addressof(value), bytes(data), len(data))
            self.start[name] = bytes(data)

    def restore(self, library: ctypes.CDLL) -> None:
        """Let all values be as they were filled, and pointers lead to values and this library's functions."""
        for name, value in self.values.items():
            data = bytearray(self.start[name])
            for cell in self.cells(name):
                target = self.target(name, cell)
                if target is not None:
                    data[cell.offset : cell.offset + 8] = self.native(target, library).to_bytes(8, "little")
            ctypes.memmove(ctypes.addressof(value), bytes(data), len(data))

    def known(self, name: str, cell: Cell) -> int | None:
        """The one number that a cell always holds, if there is one."""
        return self.numbers.get((name, cell.field, cell.index), self.numbers.get((name, cell.field)))

    def held(self, name: str, cell: Cell) -> int:
        """The number a cell was filled with."""
        return int.from_bytes(self.start[name][cell.offset : cell.offset + cell.bytes], "little")

    def state(self, terms: bool) -> tuple[State, dict[tuple[str, str, int | None], z3.ArithRef]]:
        """A state with all objects: of terms, one a cell, or of the numbers filled in."""
        state = State()
        variables: dict[tuple[str, str, int | None], z3.ArithRef] = {}
        for name, made in self.objects.items():
            contents: dict[str, Any] = {}
            arrays: dict[str, list[Any]] = {}
            for cell in self.cells(name):
                target = self.target(name, cell)
                if cell.pointer:
                    new: Any = NULL if target is None else target
                elif terms and self.known(name, cell) is None:
                    new = z3.Int(f"{name}.{cell.field}.{cell.index}")
                    variables[name, cell.field, cell.index] = new
                    state.within(new, 0, (1 << 8 * cell.bytes) - 1)
                else:
                    known = self.known(name, cell)
                    new = self.held(name, cell) if known is None else known
                if cell.index is None:
                    contents[cell.field] = new
                else:
                    arrays.setdefault(cell.field, []).append(new)
            contents.update({each: table(values) for each, values in arrays.items()})
            state.add(made, contents)
        return state, variables

    def native(self, value: Any, library: ctypes.CDLL) -> int:
        """A value of the executor's as the native number."""
        if isinstance(value, FunctionPointer):
            return ctypes.cast(getattr(library, value.name), ctypes.c_void_p).value or 0
        if isinstance(value, Null):
            return 0
        if isinstance(value, Pointer):
            return self.address(value.object.name) + number(plain(value.offset.number()))
        return number(value)

    def differences(self, sample: Sample, state: State, library: ctypes.CDLL) -> list[str]:
        """Cells in which the state isn't what stands natively now."""
        found = []
        for name, value in self.values.items():
            data = bytes(value)
            for cell in self.cells(name):
                held = state.read(self.objects[name], cell.field)
                got = held if cell.index is None else held(cell.index)
                there = int.from_bytes(data[cell.offset : cell.offset + cell.bytes], "little")
                told = self.native(sample.value(got), library)
                if told != there:
                    found.append(f"{name}.{cell.field}[{cell.index}] is {told:#x}, natively {there:#x}")
        return found
