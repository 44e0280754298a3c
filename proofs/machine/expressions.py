"""VEX's expressions, computed in a state: registers, temporaries, constants, operations, VEX's helpers."""

from __future__ import annotations

from typing import Any

import z3

from .conditions import condition, rflags
from .errors import Unmodelled
from .findings import Findings
from .image import Image
from .operations import divisor_fits, operation
from .oracle import Oracle
from .state import State
from .words import Word, boolean, choose, equal, extract, mask, no, simple_flag

_BITS = {
    "Ity_I1": 1,
    "Ity_I8": 8,
    "Ity_I16": 16,
    "Ity_I32": 32,
    "Ity_I64": 64,
    "Ity_I128": 128,
    "Ity_V128": 128,
}


class Expressions:
    """Computes expressions; a division that may trap is a finding, and otherwise assumed not to."""

    def __init__(self, oracle: Oracle, findings: Findings, image: Image) -> None:
        self._oracle = oracle
        self._findings = findings
        self._image = image

    def value(self, state: State, temporaries: dict[int, Any], expression: Any, types: Any, at: int) -> Any:
        """Return the word, or the flag, that an expression is.

        ``types`` are those of its block, ``at`` its address. Raises Unmodelled, without a place.
        """
        tag = expression.tag
        if tag == "Iex_RdTmp":
            return temporaries[expression.tmp]
        if tag == "Iex_Const":
            return _constant(expression)
        if tag == "Iex_Get":
            width = bits(expression.type)
            word = state.registers.get(expression.offset, max(width // 8, 1))
            return equal(extract(word, 0, 1), 1, 1) if width == 1 else word
        if tag in ("Iex_Unop", "Iex_Binop"):
            operands = [self.value(state, temporaries, each, types, at) for each in expression.args]
            if expression.op.startswith("Iop_DivMod"):
                self._divides(state, expression.op, operands, at)
            return operation(expression.op)(*operands)
        if tag == "Iex_ITE":
            parts = (expression.cond, expression.iftrue, expression.iffalse)
            flag, then, otherwise = (self.value(state, temporaries, each, types, at) for each in parts)
            if isinstance(then, bool | z3.BoolRef):
                return z3.If(boolean(flag), boolean(then), boolean(otherwise))
            return choose(flag, then, otherwise, bits(expression.iftrue.result_type(types)))
        if tag == "Iex_CCall":
            words = [self.value(state, temporaries, each, types, at) for each in expression.args]
            return _helper(expression.cee.name, words)
        raise Unmodelled(f"VEX's expression {tag}")

    def _divides(self, state: State, name: str, operands: list[Word], at: int) -> None:
        fits = simple_flag(divisor_fits(name, *operands))
        if self._oracle.possible(state.path, no(fits)):
            self._findings.report(
                state, "division", "divides by zero, or too far", self._image.place(at), no(fits)
            )
        state.path = (*state.path, boolean(fits))


def bits(type_: str) -> int:
    """Return how many bits a value of that type has."""
    if type_ not in _BITS:
        raise Unmodelled(f"a value of VEX's type {type_}")
    return _BITS[type_]


def _constant(expression: Any) -> Any:
    constant = expression.con
    if constant.type == "Ity_I1":
        return bool(constant.value)
    if constant.type == "Ity_V128":  # one bit for each byte
        return sum(0xFF << 8 * i for i in range(16) if constant.value >> i & 1)
    return constant.value & mask(bits(constant.type))


def _helper(name: str, words: list[Word]) -> Word:
    if name == "amd64g_calculate_condition" and isinstance(words[0], int):
        return choose(condition(*words), 1, 0, 64)
    if name in ("amd64g_calculate_rflags_c", "amd64g_calculate_rflags_all"):
        return rflags(*words, carry_only=name.endswith("_c"))
    raise Unmodelled(f"VEX's helper {name}")
