"""What an instruction's result is that neither jumps nor touches memory; and what operands are."""

from collections.abc import Sequence
from typing import Any

import z3

from . import pointers
from .errors import Unmodelled
from .globals import constant, global_pointer
from .ir import (
    Expression,
    GlobalAddress,
    Instruction,
    IntType,
    Local,
    Module,
    Operand,
    PointerType,
    StructType,
)
from .numbers import BINARY, binary, compare
from .state import Site
from .values import UNDEFINED, Undefined, choose
from .wrapping import signed, unsigned, wrap

CASTS = frozenset({"bitcast", "inttoptr", "ptrtoint", "sext", "trunc", "zext"})
OPCODES = BINARY | CASTS | {"extractvalue", "freeze", "getelementptr", "icmp", "insertvalue", "select"}


def operand(site: Site, module: Module, of: Operand) -> Any:
    """Return the value of an operand; raises Unmodelled for constants that are neither number nor pointer."""
    if isinstance(of, Local):
        return site.state.frames[-1].locals[of.name]
    if isinstance(of, GlobalAddress):
        return global_pointer(module, of.name, site)
    if isinstance(of, Expression):
        return _expression(site, module, of)
    return constant(of, site)


def type_of(of: Operand) -> Any:
    """Return the type of an operand."""
    return getattr(of, "type", PointerType())


def _expression(site: Site, module: Module, of: Expression) -> Any:
    values = [operand(site, module, each) for each in of.operands]
    if of.op == "bitcast":
        return values[0]
    if of.op == "getelementptr" and of.source_type is not None:
        widths = [_width(site, type_of(each)) for each in of.operands[1:]]
        return pointers.step(site, values[0], of.source_type, values[1:], widths, "inbounds" in of.flags)
    raise Unmodelled(f"a constant expression {of.op}", site.place)


def value(site: Site, module: Module, instruction: Instruction) -> Any:
    """Return the result of an instruction of ``OPCODES``; raises Unmodelled for others.

    What is computed from something undefined is undefined.
    """
    op = instruction.op
    if op not in OPCODES:
        raise Unmodelled(f"the instruction {op}", site.place)
    values = [operand(site, module, each) for each in instruction.operands]
    if op == "freeze":
        return _frozen(site, instruction, values[0])
    if op == "select":
        return _selected(site, values)
    if op == "insertvalue":
        return _inserted(site, instruction, values)
    if any(isinstance(each, Undefined) for each in values):
        return UNDEFINED
    if op == "extractvalue":
        return _extracted(site, instruction, values[0])
    if op == "getelementptr":
        assert instruction.source_type is not None
        widths = [_width(site, type_of(each)) for each in instruction.operands[1:]]
        inbounds = "inbounds" in instruction.flags
        return pointers.step(site, values[0], instruction.source_type, values[1:], widths, inbounds)
    if op == "icmp":
        type_ = type_of(instruction.operands[0])
        if isinstance(type_, IntType) and all(isinstance(each, int | z3.ExprRef) for each in values):
            return compare(site, instruction.predicate, values[0], values[1], type_.bits)
        return pointers.compare(site, instruction.predicate, values[0], values[1])
    if op in CASTS:
        return _cast(site, instruction, values[0])
    _numbers(site, op, values)
    width = _width(site, instruction.type)
    return binary(site, op, values[0], values[1], width, instruction.flags)


def _numbers(site: Site, op: str, values: Sequence[Any]) -> None:
    if not all(isinstance(each, int | z3.ExprRef) for each in values):
        raise Unmodelled(f"{op} of a pointer's number", site.place)


def _width(site: Site, type_: Any) -> int:
    if not isinstance(type_, IntType):
        raise Unmodelled("arithmetic on what is no integer", site.place)
    return type_.bits


def _frozen(site: Site, instruction: Instruction, held: Any) -> Any:
    """An undefined value becomes some value, always the same."""
    if not isinstance(held, Undefined):
        return held
    if not isinstance(instruction.type, IntType):
        raise Unmodelled("freeze of an undefined pointer", site.place)
    if instruction.type.bits == 1:
        return z3.FreshBool("any")
    number = z3.FreshInt("any")
    site.state.within(number, 0, (1 << instruction.type.bits) - 1)
    return number


def _selected(site: Site, values: Sequence[Any]) -> Any:
    flag, then, otherwise = values
    if isinstance(flag, Undefined):
        return UNDEFINED
    known = site.state.holds(flag)
    return choose(flag if known is None else known, then, otherwise)


def _extracted(site: Site, instruction: Instruction, held: Any) -> Any:
    for index in instruction.indices:
        if not isinstance(held, tuple):
            raise Unmodelled("extractvalue of what was not made part by part", site.place)
        held = held[index]
    return held


def _inserted(site: Site, instruction: Instruction, values: Sequence[Any]) -> Any:
    whole, part = values
    if not isinstance(instruction.type, StructType) or len(instruction.indices) != 1:
        raise Unmodelled("insertvalue into what is no plain struct", site.place)
    parts = list(whole) if isinstance(whole, tuple) else [UNDEFINED] * len(instruction.type.fields)
    parts[instruction.indices[0]] = part
    return tuple(parts)


def _cast(site: Site, instruction: Instruction, held: Any) -> Any:
    op, source = instruction.op, type_of(instruction.operands[0])
    if op == "bitcast":
        if type(source) is not type(instruction.type) or not isinstance(source, IntType | PointerType):
            raise Unmodelled("bitcast between numbers and pointers, or of vectors", site.place)
        return held
    if op == "ptrtoint" and instruction.type == IntType(64):
        return pointers.number(site, held)
    _numbers(site, op, [held])
    if op == "inttoptr" and source == IntType(64):
        return pointers.from_number(site, held)
    width, after = _width(site, source), _width(site, instruction.type)
    if op == "trunc":
        rest = wrap(site, held, after)
        return compare(site, "eq", rest, 1, 2) if after == 1 else rest
    if width == 1:
        return choose(held, 1 if op == "zext" else (1 << after) - 1, 0)
    return held if op == "zext" else unsigned(signed(site, held, width), after)
