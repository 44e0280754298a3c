"""LLVM's intrinsic functions that are executed exactly."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import z3

from . import blocks
from .environment import Answers
from .errors import Unmodelled
from .ir import Instruction, IntType, VoidType
from .memory import unwritten
from .numbers import compare, signed, unsigned, wrap
from .state import Site
from .values import UNDEFINED, Number, Pointer, Undefined, choose, equal, plain

if TYPE_CHECKING:
    from .execution import Executor

_IGNORED = ("llvm.dbg.declare", "llvm.dbg.value", "llvm.dbg.label", "llvm.experimental.noalias.scope.decl")
_BLOCKS = ("llvm.memset", "llvm.memcpy", "llvm.memmove")


def call(executor: "Executor", site: Site, name: str, instruction: Instruction) -> Answers:
    """Return what an intrinsic does; raises Unmodelled for one that isn't claimed."""
    base = next((known for known in NAMES if name == known or name.startswith(known + ".")), None)
    if base is None:
        raise Unmodelled(f"the intrinsic {name}", site.place)
    if base in _IGNORED:
        return [(site.state, None)]
    values = [executor.operand(site, each) for each in instruction.operands]
    if base in _BLOCKS:
        return [(state, None) for state in blocks.run(site, base, values)]
    if base.startswith("llvm.lifetime"):
        _lifetime(site, base.rpartition(".")[2], values[1])
        return [(site.state, None)]
    if base == "llvm.assume":
        if isinstance(values[0], Undefined):
            site.oblige("uninitialised", "what is assumed", False)
        site.oblige("assume", "what the compiler assumes", values[0])
        return [(site.state, None)]
    if any(isinstance(value, Undefined) for value in values):
        return [(site.state, UNDEFINED)]
    if base == "llvm.expect":
        return [(site.state, values[0])]
    if not isinstance(instruction.type, IntType) or isinstance(instruction.type, VoidType):
        raise Unmodelled(f"the intrinsic {name}", site.place)
    value = _FUNCTIONS[base](site, instruction.type.bits, *values)
    if instruction.range is not None and not isinstance(value, Undefined):
        low, high = instruction.range
        if low < high:
            site.oblige("range", f"result from {low} to below {high}", plain(value >= low))
            site.oblige("range", f"result from {low} to below {high}", plain(value < high))
    return [(site.state, value)]


def _lifetime(site: Site, which: str, pointer: Any) -> None:
    """Begin or end an alloca's life: it loses what it held; at the end it must not be accessed any more."""
    if not isinstance(pointer, Pointer):
        raise Unmodelled("the lifetime of what is no object", site.place)
    made = pointer.object
    for field, value in unwritten(made).items():
        site.state.write(made, field, value)
    if which == "start":
        site.state.freed -= {made}
    else:
        site.state.freed |= {made}


def _swap(site: Site, width: int, number: Number) -> Number:
    """Bytes in the other order."""
    count = width // 8
    total: Number = 0
    for index in range(count):
        if isinstance(number, int):
            byte: Number = number >> 8 * index & 0xFF
        else:
            byte = wrap(site, number / (1 << 8 * index) if index else number, 8)
        total = total + byte * (1 << 8 * (count - 1 - index))
    return total


def _ones(_: Site, width: int, number: Number) -> Number:
    """How many bits are 1."""
    if isinstance(number, int):
        return number.bit_count()
    return z3.Sum([number / (1 << bit) % 2 if bit else number % 2 for bit in range(width)])


def _picked(predicate: str) -> Callable[..., Number]:
    def pick(site: Site, width: int, one: Number, other: Number) -> Number:
        return choose(compare(site, predicate, one, other, width), one, other)

    return pick


def _absolute(site: Site, width: int, number: Number, poison: Any) -> Number:
    if poison is not False and poison != 0:
        site.oblige("no-wrap", f"abs i{width}", equal(number, 1 << (width - 1)) is not True)
        if not isinstance(number, int):
            site.oblige("no-wrap", f"abs i{width}", z3.Not(number == 1 << (width - 1)))
    value = signed(site, number, width)
    if isinstance(value, int):
        return abs(value)
    return z3.If(value < 0, -value, value)


def _more(site: Site, width: int, one: Number, other: Number) -> Number:
    total, most = one + other, (1 << width) - 1
    return choose(compare(site, "ult", total, most, width + 1), total, most)


def _less(site: Site, width: int, one: Number, other: Number) -> Number:
    return choose(compare(site, "ult", one, other, width), 0, one - other)


def _unsigned(_: Site, width: int, number: Number) -> Number:
    return unsigned(number, width)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "llvm.bswap": _swap,
    "llvm.ctpop": _ones,
    "llvm.umin": _picked("ult"),
    "llvm.umax": _picked("ugt"),
    "llvm.smin": _picked("slt"),
    "llvm.smax": _picked("sgt"),
    "llvm.abs": _absolute,
    "llvm.uadd.sat": _more,
    "llvm.usub.sat": _less,
}

NAMES = frozenset(
    {
        *_FUNCTIONS,
        *_BLOCKS,
        *_IGNORED,
        "llvm.lifetime.start",
        "llvm.lifetime.end",
        "llvm.assume",
        "llvm.expect",
    }
)
"""What is claimed, without the types in the names."""
