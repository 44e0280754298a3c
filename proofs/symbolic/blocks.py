"""memset, memcpy and memmove: whole fields, ranges of arrays, field by field."""

from typing import Any

from .errors import Unmodelled
from .memory import Piece, alive, array, end_of, get, locate, put, shown
from .pointers import sound
from .state import Ended, Site, State
from .values import (
    NULL,
    Field,
    Number,
    Object,
    Offset,
    Pointer,
    Undefined,
    choose,
    conjunction,
    equal,
    negation,
    plain,
)

MOST_ELEMENTS = 4096


def run(site: Site, name: str, target: Pointer, second: Any, size: Number) -> list[State]:
    """Execute a memset, memcpy or memmove, of a byte or a source; return the states after it.

    Raises Unmodelled where a part of a cell is meant, or it can't be told which cells are.
    """
    made = target.object
    alive(site, made)
    target = sound(site, target)
    if made.constant:
        site.oblige("constant", f"{made.name} is written", False)
    if made.shared and isinstance(second, Undefined):
        site.oblige("uninitialised", f"what is written to {made.name}", False)
    _owe(site, target, size)
    if name == "llvm.memcpy" and made is second.object:
        _owe_apart(site, target, second, size)
    states = site.environment.block(site.state, made, site.place) if made.shared else [site.state]
    after: list[State] = []
    for state in states:
        at = Site(state, site.environment, site.place)
        try:
            if name == "llvm.memset":
                _fill(at, target, second, size)
            else:
                _copy(at, target, second, size)
        except Ended:
            continue
        after.append(state)
    return after


def _owe_apart(site: Site, target: Pointer, source: Pointer, size: Number) -> None:
    """Owe that source and target of a memcpy are the same, or don't overlap."""
    apart = target.offset.plus(source.offset, -1).number()
    flags = [equal(apart, 0), plain(apart >= size), plain(apart + size <= 0)]
    goal = negation(conjunction([negation(flag) for flag in flags]))
    site.oblige("in-bounds", f"source and target of a memcpy in {target.object.name} apart", goal)


def _owe(site: Site, pointer: Pointer, size: Number) -> None:
    """Owe that the block lies within its object, if the object's size is known; if not, each cell is owed."""
    made = pointer.object
    if made.size is not None:
        start = pointer.offset
        end = start.plus(Offset.of(size))
        if end == Offset.of(made.size) and start == Offset(0):
            return
        site.oblige("in-bounds", f"block before {made.name}", plain(start.number() >= 0))
        site.oblige("in-bounds", f"block behind {made.name}", plain(end.number() <= made.size))


def _all_of(site: Site, pointer: Pointer, size: Number) -> bool:
    made = pointer.object
    if made.size is None or pointer.offset != Offset(0):
        return False
    return Offset.of(size) == Offset.of(made.size) or site.state.holds(equal(size, made.size)) is True


def _covered(site: Site, pointer: Pointer, size: Number) -> list[tuple[Field, Number | None, Number | None]]:
    """The cells of a block: each field with first index and the one behind the last, none for a scalar."""
    made = pointer.object
    if _all_of(site, pointer, size):
        return [(f, f.low, end_of(f)) if f.stride else (f, None, None) for f in made.fields]
    found: list[tuple[Field, Number | None, Number | None]] = []
    for field in made.fields:
        start = pointer.offset.plus(field.offset, -1)
        end = start.plus(Offset.of(size))
        if field.stride:
            found += _range(site, made, field, start, end)
        else:
            found += _scalar(site, made, field, start, end)
    return found


def _scalar(
    site: Site, made: Object, field: Field, start: Offset, end: Offset
) -> list[tuple[Field, Number | None, Number | None]]:
    holds = site.state.holds
    if holds(plain(end.number() <= 0)) or holds(plain(start.number() >= field.bytes)):
        return []
    if holds(plain(start.number() <= 0)) and holds(plain(end.number() >= field.bytes)):
        return [(field, None, None)]
    raise Unmodelled(f"a block that may take part of {made.name}.{field.name}", site.place)


def _range(
    site: Site, made: Object, field: Field, start: Offset, end: Offset
) -> list[tuple[Field, Number | None, Number | None]]:
    holds = site.state.holds
    low, high = field.low, end_of(field)
    last = Offset.of(high).plus(Offset(-1))
    behind = Offset.of(last.number(), field.stride).plus(Offset(field.bytes))
    before = Offset.of(low, field.stride)
    if holds(plain(end.plus(before, -1).number() <= 0)) or holds(plain(start.plus(behind, -1).number() >= 0)):
        return []
    first, rest = _floor(start, field.stride)
    stop, over = _floor(end, field.stride)
    if first is None or stop is None or 0 < rest < field.bytes or 0 < over < field.bytes:
        raise Unmodelled(f"a block that may take part of an element of {made.name}.{field.name}", site.place)
    begin = first.plus(Offset(1)) if rest else first
    finish = stop.plus(Offset(1)) if over else stop
    first_index = _clamp(site, begin.number(), low, most=False)
    end_index = _clamp(site, finish.number(), high, most=True)
    return [(field, first_index, end_index)]


def _clamp(site: Site, index: Number, limit: Number, *, most: bool) -> Number:
    """The index, or the limit if it is beyond."""
    inside = plain(index <= limit) if most else plain(index >= limit)
    if equal(index, limit) is True or site.state.holds(inside) is True:
        return index
    if isinstance(index, int) and isinstance(limit, int):
        return min(index, limit) if most else max(index, limit)
    return choose(inside, index, limit)


def _floor(offset: Offset, stride: int) -> tuple[Offset | None, int]:
    rest = offset.constant % stride
    return offset.plus(Offset(-rest)).divided(stride), rest


def _fill(site: Site, target: Pointer, byte: Any, size: Number) -> None:
    made = target.object
    for field, first, end in _covered(site, target, size):
        value = _filled(site, field, byte)
        if first is None or end is None:
            site.state.write(made, field.name, value)
        else:
            _write_range(site, made, field, first, end, lambda _, value=value: value)


def _filled(site: Site, field: Field, byte: Any) -> Any:
    if isinstance(byte, Undefined):
        return byte
    if field.kind == "pointer":
        if not isinstance(byte, int) or byte:
            raise Unmodelled("a memset of pointers to other than 0", site.place)
        return 0 if field.stride else NULL
    return byte * sum(1 << 8 * position for position in range(field.bytes))


def _write_range(site: Site, made: Object, field: Field, first: Number, end: Number, new: Any) -> None:
    """Let elements of an array have new values, by index."""
    state = site.state
    if equal(first, field.low) is True and equal(end, end_of(field)) is True:
        state.write(made, field.name, new)
        return
    old = array(site, made, field)

    def at(index: Number) -> Any:
        return choose(plain(conjunction([plain(index >= first), plain(index < end)])), new(index), old(index))

    state.write(made, field.name, at)


def _copy(site: Site, target: Pointer, source: Pointer, size: Number) -> None:
    alive(site, source.object)
    source = sound(site, source)
    _owe(site, source, size)
    if source.object.shared:
        raise Unmodelled(f"a memcpy from {source.object.name}, which is shared", site.place)
    news: list[tuple[Field, Number | None, Number | None, Any]] = []
    apart = source.offset.plus(target.offset, -1)
    for field, first, end in _covered(site, target, size):
        if first is None or end is None:
            start = Pointer(source.object, field.offset.plus(apart))
            news.append((field, None, None, get(site, source.object, locate(site, start, field.bytes, 1))))
        else:
            news.append((field, first, end, _moved(site, source.object, field, first, end, apart)))
    for field, first, end, value in news:
        if first is None or end is None:
            piece = Piece(field, None, 0, field.bytes)
            put(site, target.object, (piece,), value)
        else:
            _write_range(site, target.object, field, first, end, value)


def _moved(site: Site, source: Object, field: Field, first: Number, end: Number, apart: Offset) -> Any:
    """A map of what a source holds where a range of an array has its counterpart."""
    if isinstance(first, int) and isinstance(end, int) and end - first <= MOST_ELEMENTS:
        values: dict[int, Any] = {}
        for index in range(first, end):
            offset = field.offset.plus(Offset(field.stride * index)).plus(apart)
            pieces = locate(site, Pointer(source, offset), field.bytes, 1)
            values[index] = get(site, source, pieces)
        return _Held(values)
    for other in source.fields:
        if other.stride != field.stride or other.bytes != field.bytes:
            continue
        shift = field.offset.plus(apart).plus(other.offset, -1).divided(field.stride)
        if shift is None:
            continue
        moved = shift.number()
        none = plain(first >= end)
        for goal in (first + moved >= other.low, end + moved <= end_of(other)):
            reaches = negation(conjunction([negation(none), negation(plain(goal))]))
            site.oblige("in-bounds", f"copy from {source.name}.{other.name}", reaches)
        old = array(site, source, other)
        return lambda index: old(index + moved)
    raise Unmodelled(f"a copy from {source.name} at {shown(apart)}, which has no such elements", site.place)


class _Held:
    """A map of a few indices that are known; by a term, a conditional."""

    def __init__(self, values: dict[int, Any]) -> None:
        self.values = values

    def __call__(self, index: Number) -> Any:
        if isinstance(index, int):
            return self.values.get(index, Undefined())
        found: Any = None
        for key, value in self.values.items():
            found = value if found is None else choose(equal(index, key), value, found)
        return found
