"""Pointers: steps, comparisons, numbers that stand for them, and which object is meant."""

from collections.abc import Callable, Sequence
from typing import Any

from . import numbers
from .errors import Unmodelled
from .ir import ArrayType, StructType, Type, size_of
from .memory import alive, owe_within
from .state import Site, State
from .values import (
    NULL,
    UNDEFINED,
    ZERO,
    Flag,
    FunctionPointer,
    Null,
    Number,
    Object,
    Offset,
    Opaque,
    Pointer,
    conjunction,
    equal,
    negation,
    plain,
)
from .wrapping import signed

ADDRESSES = 1 << 64


def step(
    site: Site, base: Any, source: Type, indices: Sequence[Any], widths: Sequence[int], inbounds: bool
) -> Any:
    """Return where a getelementptr leads, as the module says: see ``execution``.

    Offsets are computed modulo 2^64, in the form nearest to 0; that is the number of bytes if the address is
    within an object, and no other is ever followed.
    """
    type_: Type = source
    offset = ZERO
    stops: list[Offset] = []
    for position, (index, width) in enumerate(zip(indices, widths, strict=True)):
        if position == 0:
            moved = _scaled(site, index, width, size_of(source))
        elif isinstance(type_, StructType):
            if not isinstance(index, int):
                raise Unmodelled("a struct's field by an unknown index", site.place)
            start, type_ = type_.fields[index]
            moved = Offset(start)
        elif isinstance(type_, ArrayType):
            type_ = type_.element
            moved = _scaled(site, index, width, size_of(type_))
        else:
            raise Unmodelled("a step into what is neither struct nor array", site.place)
        if moved != ZERO:
            offset = offset.plus(moved)
            stops.append(offset)
    if isinstance(base, FunctionPointer):
        raise Unmodelled("a step from a function's address", site.place)
    if isinstance(base, Null):
        if not inbounds:
            return Opaque(0, offset) if offset != ZERO else NULL
        return NULL if offset == ZERO else UNDEFINED
    if not isinstance(base, Pointer | Opaque):
        raise Unmodelled("a step from what is no pointer", site.place)
    within = base.within
    if inbounds:
        ends = [base.offset, *(base.offset.plus(stop) for stop in stops)] if stops else []
        size = base.object.size if isinstance(base, Pointer) else None
        within += tuple(end for end in ends if end not in within and not _plainly(end, size))
    after = base.offset.plus(offset)
    if isinstance(base, Pointer):
        return Pointer(base.object, after, within)
    return Opaque(base.term, after, within)


def _scaled(site: Site, index: Any, width: int, size: int) -> Offset:
    """So many bytes for an index, which is read with its sign."""
    if width == 64:
        return Offset.of(index, size, ADDRESSES)
    return Offset.of(signed(site, index, width), size)


def _plainly(offset: Offset, size: Number | None) -> bool:
    """Whether an offset lies in an object of that size, as its form tells."""
    if offset == ZERO:
        return True
    return not offset.terms and isinstance(size, int) and 0 <= offset.constant <= size


def sound(site: Site, value: Any) -> Any:
    """Owe that a pointer that leaves the register isn't poison, where that isn't plain; return it without."""
    if isinstance(value, Pointer) and value.within:
        for each in value.within:
            owe_within(site, value.object, each)
        return Pointer(value.object, value.offset)
    return value


def compare(site: Site, predicate: str, one: Any, other: Any) -> Flag:
    """Return the flag of an ``icmp`` of pointers.

    Different objects have different addresses as long as both live and neither address is behind its object.
    Raises Unmodelled where order or equality depends on where objects are.
    """
    one, other = sound(site, one), sound(site, other)
    if isinstance(one, Opaque) and isinstance(one.term, int):
        one = _null_or(one)
    if predicate == "ne":
        return negation(compare(site, "eq", one, other))
    if isinstance(one, Pointer) and isinstance(other, Pointer) and one.object is other.object:
        return _same_object(site, predicate, one, other)
    if isinstance(one, Opaque) and isinstance(other, Opaque) and equal(one.term, other.term) is True:
        apart = one.offset.plus(other.offset, -1)
        if predicate == "eq" and not apart.terms:
            return apart.constant % ADDRESSES == 0
    if predicate != "eq":
        raise Unmodelled("the order of pointers into different objects", site.place)
    return _equal(site, one, other)


def _null_or(pointer: Opaque) -> Any:
    return NULL if pointer.term == 0 and pointer.offset == ZERO else pointer


def _same_object(site: Site, predicate: str, one: Pointer, other: Pointer) -> Flag:
    made = one.object
    apart = one.offset.plus(other.offset, -1)
    if predicate == "eq" and not apart.terms and abs(apart.constant) < ADDRESSES:
        return apart.constant == 0
    if made.size is None:
        raise Unmodelled(f"a comparison of addresses in {made.name}, whose size is not known", site.place)
    for each in (one, other):
        owe_within(site, made, each.offset)
    if predicate[0] == "s":
        raise Unmodelled("the order of addresses read with a sign", site.place)
    return numbers.compare(site, predicate, one.offset.number(), other.offset.number(), 64)


def _equal(site: Site, one: Any, other: Any) -> Flag:
    if isinstance(other, Null | FunctionPointer) or isinstance(one, Opaque):
        one, other = other, one
    if isinstance(one, Null | FunctionPointer):
        if isinstance(other, Null | FunctionPointer):
            return one == other
        if isinstance(other, Opaque):
            if isinstance(one, FunctionPointer):
                raise Unmodelled("a comparison of a function's address with an unknown one", site.place)
            if other.offset == ZERO:
                return equal(other.term, 0)
            raise Unmodelled("a comparison of null with an address next to an unknown one", site.place)
        if isinstance(other, Pointer):
            _inside(site, other)
            return False
    if isinstance(one, Pointer) and isinstance(other, Pointer):
        _inside(site, one)
        _inside(site, other)
        return False
    if isinstance(other, Opaque) and isinstance(one, Pointer | Opaque):
        handle = one.object.handle if isinstance(one, Pointer) else one.term
        if handle is not None and one.offset == ZERO and other.offset == ZERO:
            return equal(handle, other.term)
    raise Unmodelled("a comparison of pointers of which too little is known", site.place)


def _inside(site: Site, pointer: Pointer) -> None:
    """Owe that an address is one of the object's bytes, so that nothing else has it."""
    made = pointer.object
    alive(site, made)
    if pointer.offset == ZERO:
        return
    if made.size is None:
        if not pointer.offset.terms and _known_byte(made, pointer.offset.constant):
            return
        raise Unmodelled(f"a comparison of an address in {made.name}, whose size is not known", site.place)
    number = pointer.offset.number()
    site.oblige("in-bounds", f"address in {made.name}", plain(number >= 0))
    site.oblige("in-bounds", f"address in {made.name}", plain(number < made.size))


def _known_byte(made: Object, offset: int) -> bool:
    """Whether a field has that byte."""
    return any(
        not field.stride
        and not field.offset.terms
        and field.offset.constant <= offset < field.offset.constant + field.bytes
        for field in made.fields
    )


def number(site: Site, value: Any) -> Number:
    """Return a pointer as a number: 0, or what it is known by. Raises Unmodelled for others."""
    if isinstance(value, Null):
        return 0
    if isinstance(value, Opaque) and value.offset == ZERO:
        return value.term
    raise Unmodelled("the address of an object as a number", site.place)


def from_number(site: Site, value: Number) -> Any:
    """Return the pointer that a number stands for."""
    if isinstance(value, int) and value == 0:
        return NULL
    made = site.state.by_handle(value)
    return Opaque(value) if made is None else Pointer(made)


def resolve(
    site: Site, pointer: Opaque, split: Callable[[State, Flag], list[tuple[State, bool]]]
) -> list[tuple[State, Pointer]]:
    """Return the objects a pointer that is known by a number may mean: each with its path.

    Owes that it isn't null, and that it is one of them. Raises Unmodelled if the state knows no handles.
    """
    state = site.state
    if isinstance(pointer.term, int) and pointer.term == 0:
        site.oblige("null", "access by a null pointer", False)
    answer = site.environment.resolve(state, pointer, site.place)
    if answer is not None:
        return [(each, _moved(found, pointer)) for each, found in answer]
    if not state.handles:
        raise Unmodelled("an access by a pointer of no known object", site.place)
    site.oblige("null", "access by a null pointer", negation(equal(pointer.term, 0)))
    known = list(state.handles.values())
    flags = [equal(pointer.term, handle) for handle, _ in known]
    one_of = negation(conjunction([negation(flag) for flag in flags]))
    site.oblige("in-bounds", "a pointer to a known object", one_of)
    found: list[tuple[State, Pointer]] = []
    rest: State | None = state
    for flag, (_, made) in zip(flags, known, strict=True):
        if rest is None:
            break
        ways, rest = split(rest, flag), None
        for each, truth in ways:
            if truth:
                found.append((each, _moved(Pointer(made), pointer)))
            else:
                rest = each
    return found


def _moved(found: Pointer, pointer: Opaque) -> Pointer:
    within = tuple(found.offset.plus(each) for each in pointer.within)
    return Pointer(found.object, found.offset.plus(pointer.offset), (*found.within, *within))
