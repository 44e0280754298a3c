"""Loads, stores and allocas: the pointer resolved, the environment asked, the cells read or written."""

from typing import Any

import z3

from . import instructions, pointers
from .environment import Answers
from .errors import Unmodelled
from .ir import Instruction, IntType, Module, PointerType, size_of
from .memory import as_type, get, locate, put, typed_object, unwritten
from .paths import settled, split
from .state import Ended, Frame, Site, State
from .values import FunctionPointer, Null, Opaque, Pointer, Undefined, conjunction, negation, plain

RELAXED = ("", "unordered", "monotonic")


def followed(site: Site, pointer: Any) -> list[tuple[Site, Pointer]]:
    """Return the objects a pointer may mean when it is followed, each on a path of its own.

    Raises Ended for null and Undefined, which may not be followed.
    """
    if isinstance(pointer, Pointer):
        return [(site, pointer)]
    if isinstance(pointer, Undefined):
        site.oblige("uninitialised", "address of an access", False)
    if isinstance(pointer, Null | FunctionPointer):
        site.oblige("null", "access by a null pointer or a function's address", False)
    if isinstance(pointer, int | z3.ArithRef):
        pointer = pointers.from_number(site, pointer)
        return followed(site, pointer)
    if not isinstance(pointer, Opaque):
        raise Unmodelled("an access by what is no pointer", site.place)
    found = pointers.resolve(site, pointer, lambda state, flag: split(site.environment, state, flag))
    return [(Site(state, site.environment, site.place), each) for state, each in found]


def load(site: Site, module: Module, instruction: Instruction) -> Answers:
    """Return what a load reads, on every path it takes."""
    address = instructions.operand(site, module, instruction.operands[0])
    found: Answers = []
    for at, pointer in followed(site, address):
        try:
            found += _load_from(at, pointer, instruction)
        except Ended:
            continue
    return found


def _load_from(site: Site, pointer: Pointer, instruction: Instruction) -> Answers:
    made, environment, place = pointer.object, site.environment, site.place
    pieces = locate(site, pointer, size_of(instruction.type), instruction.align)
    answers: Answers | None = None
    if made.shared:
        if instruction.ordering not in RELAXED:
            environment.atomic(site.state, made, instruction.ordering, place)
        answers = environment.load(site.state, made, pieces[0].field.name, pieces[0].index, place)
    if answers is None:
        answers = [(site.state, get(site, made, pieces))]
    found: Answers = []
    for state, value in answers:
        for each, known in settled(environment, state, plain(value)):
            at = Site(each, environment, place)
            try:
                loaded = as_type(at, known, instruction.type)
                owe_range(at, instruction, loaded)
            except Ended:
                continue
            found.append((each, loaded))
    return found


def owe_range(site: Site, instruction: Instruction, value: Any) -> None:
    """Owe that a result lies in the range the compiler counts on."""
    if instruction.range is None or not isinstance(value, int | z3.ArithRef):
        return
    low, high = instruction.range
    if low < high:
        site.oblige("range", f"value at least {low}", plain(value >= low))
        site.oblige("range", f"value below {high}", plain(value < high))
    elif low > high:
        inside = negation(conjunction([plain(value < low), plain(value >= high)]))
        site.oblige("range", f"value at least {low} or below {high}", inside)


def store(site: Site, module: Module, instruction: Instruction) -> list[State]:
    """Return the states after a store."""
    value, address = (instructions.operand(site, module, each) for each in instruction.operands)
    type_ = instructions.type_of(instruction.operands[0])
    if not isinstance(type_, IntType | PointerType):
        raise Unmodelled("a store of what is neither integer nor pointer", site.place)
    if isinstance(type_, IntType) and type_.bits % 8:
        raise Unmodelled(f"i{type_.bits} in memory", site.place)
    value = pointers.sound(site, value)
    after: list[State] = []
    for at, pointer in followed(site, address):
        try:
            after += _store_to(at, pointer, value, size_of(type_), instruction)
        except Ended:
            continue
    return after


def _store_to(site: Site, pointer: Pointer, value: Any, size: int, instruction: Instruction) -> list[State]:
    made, environment, place = pointer.object, site.environment, site.place
    pieces = locate(site, pointer, size, instruction.align)
    if made.constant:
        site.oblige("constant", f"{made.name} is written", False)
    states = [site.state]
    if made.shared:
        if isinstance(value, Undefined):
            site.oblige("uninitialised", f"what is written to {made.name}", False)
        if instruction.ordering not in RELAXED:
            environment.atomic(site.state, made, instruction.ordering, place)
        answer = environment.store(site.state, made, pieces[0].field.name, pieces[0].index, value, place)
        states = states if answer is None else answer
    for state in states:
        put(Site(state, environment, place), made, pieces, value)
    return states


def allocate(site: Site, frame: Frame, instruction: Instruction) -> Pointer:
    """Return the address of a new object of the frame, of which nothing is written yet."""
    assert instruction.result is not None
    assert instruction.source_type is not None
    many: Any = 1
    if instruction.operands and not isinstance(instruction.operands[0], int):
        many = getattr(instruction.operands[0], "value", None)
    if not isinstance(many, int) or many < 1:
        raise Unmodelled("an alloca of unknown size", site.place)
    made = typed_object(
        f"{frame.function.name}.{instruction.result.name}",
        instruction.source_type,
        count=None if many == 1 else many,
        align=max(instruction.align, 1),
    )
    frame.allocas += (made,)
    return site.state.add(made, unwritten(made))
