"""Memory by objects: which cells an access means, what is owed for it, what is read and written.

An access is resolved by its size and the normal form of its offset, never by the value of a term: the offset
has to be that of a field, or of the element of an array by an index that the form shows. So two accesses mean
the same cell only if they name the same field and equal indices, and that fields do not overlap is up to
whoever makes the object. In objects that are not shared an access may also take part of an integer cell, or
several cells side by side, little endian. Where the form fits several arrays, the one is meant that can
have the index, or whose index is the plainest; that it has it, is owed in any case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import z3

from .errors import Unmodelled
from .ir import ArrayType, IntType, PointerType, StructType, Type, size_of
from .pieces import joined, sliced
from .state import Ended, Site
from .values import (
    NULL,
    UNDEFINED,
    Choice,
    Field,
    Null,
    Number,
    Object,
    Offset,
    Opaque,
    Pieces,
    Pointer,
    Undefined,
    choose,
    conjunction,
    equal,
    hold_at,
    plain,
)


@dataclass(frozen=True)
class Piece:
    """Part of a cell: ``bytes`` from byte ``skip`` on; ``index`` is none unless the field is an array."""

    field: Field
    index: Number | None
    skip: int
    bytes: int

    def whole(self) -> bool:
        """Return whether it is all of the cell."""
        return self.bytes == self.field.bytes


def locate(site: Site, pointer: Pointer, size: int, align: int) -> tuple[Piece, ...]:
    """Return the cells that an access to ``size`` bytes means, from the lowest on; owe that it may be made.

    Raises Ended if the object has no such cells or is freed, Unmodelled if it can't be told which are meant.
    """
    made, offset = pointer.object, pointer.offset
    alive(site, made)
    pieces = _pieces(site, made, offset, size)
    if pieces is None:
        what = f"{made.name} has no {size} bytes at offset {shown(offset)}"
        site.oblige("in-bounds", what, False)
        return ()
    for piece in pieces:
        _owe_index(site, made, piece)
    for step in pointer.within:
        _owe_step(site, made, offset, step, pieces[0])
    _owe_alignment(site, made, offset, align)
    return pieces


def alive(site: Site, made: Object) -> None:
    """Owe that an object is not freed."""
    if made in site.state.freed:
        site.oblige("freed", f"{made.name} is used after its end", False)


def shown(offset: Offset) -> str:
    """Return an offset for a message."""
    text = str(offset.number()).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def _pieces(site: Site, made: Object, offset: Offset, size: int) -> tuple[Piece, ...] | None:
    exact = _candidates(site, made, offset, size)
    if exact is not None:
        return (exact,)
    if made.shared:
        return None
    found: list[Piece] = []
    taken = 0
    while taken < size:
        piece = _candidates(site, made, offset.plus(Offset(taken)), 0)
        if piece is None:
            return None
        length = min(piece.field.bytes - piece.skip, size - taken)
        found.append(Piece(piece.field, piece.index, piece.skip, length))
        taken += length
    return tuple(found)


def _candidates(site: Site, made: Object, offset: Offset, size: int) -> Piece | None:
    """The cell of that size at that offset; with size 0, the cell that has the byte there."""
    found: list[Piece] = []
    for field in made.fields:
        if size and field.bytes != size:
            continue
        apart = offset.plus(field.offset, -1)
        if not field.stride:
            if not apart.terms and 0 <= apart.constant < (1 if size else field.bytes):
                return Piece(field, None, apart.constant, field.bytes)
            continue
        skip = apart.constant % field.stride
        index = apart.plus(Offset(-skip)).divided(field.stride)
        if index is not None and skip < (1 if size else field.bytes):
            found.append(Piece(field, index.number(), skip, field.bytes))
    if len(found) > 1:
        found = [each for each in found if site.state.holds(_in_range(each)) is not False] or found
    if len(found) > 1:
        found = [each for each in found if _possible(site, each)] or found
    return min(found, key=_plainness) if found else None


def _plainness(piece: Piece) -> int:
    """How many terms an index has: of ``desc[i]`` it is i, though it may be an entry far behind, as well."""
    return len(Offset.of(piece.index).terms)


def _possible(site: Site, piece: Piece) -> bool:
    """Whether the index can be one that the field has, as the environment says."""
    there = site.state.fork()
    try:
        there.assume(_in_range(piece))
    except Ended:
        return False
    return site.environment.feasible(there)


def _in_range(piece: Piece) -> Any:
    index, field = piece.index, piece.field
    if index is None:
        return True
    return plain(conjunction([plain(index >= field.low), plain(index < end_of(field))]))


def end_of(field: Field) -> Number:
    """Return the index behind a field's last."""
    return field.count if isinstance(field.low, int) and field.low == 0 else field.low + field.count


def _owe_index(site: Site, made: Object, piece: Piece) -> None:
    if piece.field.stride:
        field, index = piece.field, piece.index
        name = f"{made.name}.{field.name}"
        site.oblige("in-bounds", f"index of {name} at least {field.low}", plain(index >= field.low))
        end = end_of(field)
        site.oblige("in-bounds", f"index of {name} below {end}", plain(index < end))


def _owe_step(site: Site, made: Object, offset: Offset, step: Offset, piece: Piece) -> None:
    """Owe that the address passed through lies within the object, unless it plainly does.

    It does if it is where the access is; or if it is less far, and no further from the access than that is
    from the start.
    """
    before = offset.plus(step, -1)
    if before == Offset(0):
        return
    start, low = piece.field.offset, piece.field.low
    if not before.terms and before.constant >= 0 and isinstance(low, int) and not start.terms:
        least = start.constant + piece.skip + piece.field.stride * low
        if least >= before.constant:
            return
    owe_within(site, made, step)


def owe_within(site: Site, made: Object, step: Offset) -> None:
    """Owe that so many bytes from the start lie within the object; nothing, if its size is not known."""
    if made.size is not None:
        number = step.number()
        site.oblige("in-bounds", f"address before {made.name}", plain(number >= 0))
        site.oblige("in-bounds", f"address behind {made.name}", plain(number <= made.size))


def _owe_alignment(site: Site, made: Object, offset: Offset, align: int) -> None:
    if align <= 1:
        return
    what = f"address in {made.name} a multiple of {align}"
    if made.align % align:
        site.oblige("aligned", what, False)
    if offset.divided(align) is None:
        site.oblige("aligned", what, equal(offset.number() % align, 0))


# Contents.


def content(site: Site, made: Object, piece: Piece) -> Any:
    """Return what the cell of a piece holds, all of it."""
    held = array(site, made, piece.field)
    return plain(held(piece.index)) if piece.field.stride else plain(held)


def array(site: Site, made: Object, field: Field) -> Any:
    """Return what a field holds, of an array the map. Raises Unmodelled if there is nothing."""
    try:
        return site.state.read(made, field.name)
    except KeyError:
        raise Unmodelled(f"{made.name}.{field.name} has no content", site.place) from None


def get(site: Site, made: Object, pieces: tuple[Piece, ...]) -> Any:
    """Return what cells hold, as stored: see ``as_type``. A Choice has to be split on first."""
    if len(pieces) == 1 and pieces[0].whole():
        held = content(site, made, pieces[0])
        return joined(held.parts, site) if isinstance(held, Pieces) else held
    parts: list[tuple[int, Any]] = []
    for piece in pieces:
        parts += _part(site, made, piece)
    return joined(tuple(parts), site)


def put(site: Site, made: Object, pieces: tuple[Piece, ...], value: Any) -> None:
    """Let cells hold a value."""
    if len(pieces) == 1 and pieces[0].whole():
        _set(site, made, pieces[0], value)
        return
    size = sum(piece.bytes for piece in pieces)
    done = 0
    for piece in pieces:
        new = sliced(((size, value),), done, piece.bytes, site)
        done += piece.bytes
        if piece.whole():
            _set(site, made, piece, joined(tuple(new), site))
            continue
        old = content(site, made, piece)
        cell = old.parts if isinstance(old, Pieces) else ((piece.field.bytes, old),)
        rest = piece.skip + piece.bytes
        parts = (
            *sliced(cell, 0, piece.skip, site),
            *new,
            *sliced(cell, rest, piece.field.bytes - rest, site),
        )
        defined = not any(isinstance(part, Undefined) for _, part in parts)
        _set(site, made, piece, joined(parts, site) if defined else Pieces(parts))


def _set(site: Site, made: Object, piece: Piece, value: Any) -> None:
    state, name = site.state, piece.field.name
    if not piece.field.stride:
        state.write(made, name, value)
        return
    old = array(site, made, piece.field)
    state.write(made, name, hold_at(old, piece.index, _encoded(site, value)))


def _encoded(site: Site, value: Any) -> Any:
    """A pointer as the number that stands for it in a map of numbers, if there is one."""
    if isinstance(value, Null):
        return 0
    if isinstance(value, Pointer) and value.object.handle is not None and value.offset == Offset(0):
        site.state.know_handle(value.object)
        return value.object.handle
    if isinstance(value, Opaque) and value.offset == Offset(0):
        return value.term
    return value


def _part(site: Site, made: Object, piece: Piece) -> list[tuple[int, Any]]:
    held = content(site, made, piece)
    cell = held.parts if isinstance(held, Pieces) else ((piece.field.bytes, held),)
    return sliced(cell, piece.skip, piece.bytes, site)


def as_type(site: Site, value: Any, type_: Type) -> Any:
    """Return what a cell holds as a register of the type: a number as a pointer, where one is read."""
    if isinstance(value, Choice):
        raise Unmodelled("a choice of values in part of a cell", site.place)
    if isinstance(type_, PointerType):
        if isinstance(value, int | z3.ArithRef):
            return pointer_of(site, value)
        return value
    if isinstance(value, Null):
        return 0
    if isinstance(value, Opaque) and value.offset == Offset(0):
        return value.term
    if isinstance(type_, IntType):
        if type_.bits % 8:
            raise Unmodelled(f"i{type_.bits} in memory", site.place)
        if isinstance(value, bool | z3.BoolRef):
            return choose(value, 1, 0)
        if isinstance(value, int) and not 0 <= value < 1 << type_.bits:
            raise ValueError(f"a cell of {type_.bits} bits holds {value}, at {site.place}")
        if isinstance(value, z3.ArithRef):
            _in_cell(site, value, type_.bits)
        return value
    raise Unmodelled("a value of a type that is neither integer nor pointer in memory", site.place)


def _in_cell(site: Site, value: z3.ArithRef, bits: int) -> None:
    """Take down that a number fits its cell: as a fact, too, if the environment wants that."""
    low, high = site.state.bounds.of(value)
    if low < 0 or high >= 1 << bits:
        if site.environment.ranges:
            site.state.within(value, 0, (1 << bits) - 1)
        else:
            site.state.bounds.note_type(value, bits)


def pointer_of(site: Site, number: Number) -> Any:
    """Return the pointer that a number stands for."""
    if isinstance(number, int) and number == 0:
        return NULL
    made = site.state.by_handle(number)
    return Opaque(number) if made is None else Pointer(made)


# Objects of a type.


def typed_object(
    name: str,
    type_: Type,
    *,
    count: Number | None = None,
    counts: Mapping[str, Number] | None = None,
    names: Mapping[str, str] | None = None,
    **attributes: Any,
) -> Object:
    """Return an object of a type; with ``count``, an array of so many.

    A field's path is its position ("3"), in a nested struct "0.3", in an array of structs "9.1" of all its
    elements; of a value that is no struct "value". ``names`` gives a path, or the first part of one, another
    name; ``counts`` an array, by its path, another count: that of a flexible array member. ``attributes``
    are the object's own: shared, handle, size, align, constant. An array in an array has its elements as
    fields, "0.[1]". Raises Unmodelled for types other than integers, pointers, structs and arrays of them.
    """
    stride = size_of(type_)
    fields = _flat(type_, 0, "", (stride, count) if count is not None else None, counts or {})
    named = tuple(
        Field(_renamed(f.name, names or {}), f.offset, f.bytes, f.stride, f.low, f.count, f.kind)
        for f in fields
    )
    if "size" not in attributes and not (counts or {}):
        attributes["size"] = stride if count is None else stride * count
    return Object(name, named, **attributes)


def _renamed(path: str, names: Mapping[str, str]) -> str:
    for length in range(path.count("."), -1, -1):
        parts = path.split(".")
        head, tail = ".".join(parts[: length + 1]), parts[length + 1 :]
        if head in names:
            return ".".join([names[head], *tail])
    return path


def _flat(
    type_: Type, offset: int, path: str, array: tuple[int, Number] | None, counts: Mapping[str, Number]
) -> list[Field]:
    stride, count = array or (0, 1)
    match type_:
        case IntType() | PointerType():
            kind = "pointer" if isinstance(type_, PointerType) else "int"
            return [Field(path or "value", offset, size_of(type_), stride, 0, count, kind)]
        case StructType():
            return [
                field
                for position, (start, part) in enumerate(type_.fields)
                for field in _flat(part, offset + start, _join(path, str(position)), array, counts)
            ]
        case ArrayType():
            size = size_of(type_.element)
            if array is None:
                number = counts.get(path, type_.count)
                if isinstance(number, int) and number == 0:
                    return []
                return _flat(type_.element, offset, path, (size, number), counts)
            return [
                field
                for position in range(type_.count)
                for field in _flat(
                    type_.element, offset + size * position, _join(path, f"[{position}]"), array, counts
                )
            ]
    raise Unmodelled(f"memory of the type {type_}")


def _join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def unwritten(made: Object) -> dict[str, Any]:
    """Return contents for an object that was never written."""
    return {field.name: nowhere if field.stride else UNDEFINED for field in made.fields}


def nowhere(_: Number) -> Undefined:
    """Return Undefined: an array that was never written."""
    return UNDEFINED


def table(values: "tuple[Any, ...] | list[Any]") -> Any:
    """Return a map that holds these values from index 0 on; by an index that is a term, a conditional."""

    def at(index: Number) -> Any:
        if isinstance(index, int):
            return values[index] if 0 <= index < len(values) else UNDEFINED
        found = values[-1] if values else UNDEFINED
        for position in range(len(values) - 2, -1, -1):
            found = choose(equal(index, position), values[position], found)
        return found

    return at
