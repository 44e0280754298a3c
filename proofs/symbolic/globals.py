"""Constants of the IR as values, and global variables as objects with what they hold at first."""

from typing import Any

from .errors import Unmodelled
from .ir import (
    Aggregate,
    ArrayType,
    FunctionAddress,
    IntType,
    Module,
    Null,
    Number,
    Operand,
    PointerType,
    Poison,
    StructType,
    Type,
    Undef,
    Zero,
)
from .memory import table, typed_object
from .state import Site
from .values import NULL, UNDEFINED, FunctionPointer, Pointer


def constant(operand: Operand, site: Site) -> Any:
    """Return the value of a constant that is a number or a pointer; raises Unmodelled for others."""
    match operand:
        case Number(value, type_):
            return value == 1 if type_.bits == 1 else value
        case Null():
            return NULL
        case Undef() | Poison():
            return UNDEFINED
        case FunctionAddress(name):
            return FunctionPointer(name)
        case Zero(IntType()):
            return 0
        case Zero(PointerType()):
            return NULL
    raise Unmodelled(f"a constant {type(operand).__name__}", site.place)


def global_pointer(module: Module, name: str, site: Site) -> Pointer:
    """Return the address of a global variable; on the first use on a path it gets what it holds at first.

    The environment's ``globals`` keep the object, so that it is the same on every path. An environment that
    has an object of its own there answers for what that holds.
    """
    known = site.environment.globals
    found = module.globals.get(name)
    if found is None:
        raise Unmodelled(f"the global {name}, which is nowhere", site.place)
    if name not in known:
        known[name] = typed_object(name, found.type, constant=found.constant)
    made = known[name]
    held = any((made, field.name) in site.state.memory for field in made.fields)
    if not held:
        if found.initializer is None:
            raise Unmodelled(f"the global {name}, which is defined elsewhere", site.place)
        cells: dict[int, Any] = {}
        _lay(found.initializer, found.type, 0, cells, site)
        site.state.add(made, {field.name: _initial(field, cells) for field in made.fields})
    return Pointer(made)


def _initial(field: Any, cells: dict[int, Any]) -> Any:
    start = field.offset.constant
    if not field.stride:
        return cells[start]
    return table([cells[start + field.stride * index] for index in range(field.count)])


def _lay(operand: Operand, type_: Type, offset: int, cells: dict[int, Any], site: Site) -> None:
    """Lay a constant out: the value of each cell by its offset."""
    if isinstance(type_, StructType | ArrayType):
        parts: list[tuple[int, Type]]
        if isinstance(type_, StructType):
            parts = list(type_.fields)
        else:
            step = 0 if not type_.count else type_.size // type_.count
            parts = [(step * index, type_.element) for index in range(type_.count)]
        for position, (start, part) in enumerate(parts):
            if isinstance(operand, Aggregate):
                inner: Operand = operand.elements[position]
            elif isinstance(operand, Zero):
                inner = Number(0, part) if isinstance(part, IntType) else Zero(part)
            elif isinstance(operand, Undef):
                inner = Undef(part)
            else:
                raise Unmodelled("a global's initial value", site.place)
            _lay(inner, part, offset + start, cells, site)
        return
    cells[offset] = constant(operand, site)
