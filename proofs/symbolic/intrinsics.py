"""LLVM's intrinsic functions that are executed exactly."""

from collections.abc import Callable
from typing import Any

import z3

from . import blocks, instructions
from .accesses import followed, owe_range
from .environment import Answers
from .errors import Unmodelled
from .ir import Instruction, IntType, Module, StructType
from .memory import unwritten
from .numbers import compare
from .state import Ended, Site
from .values import UNDEFINED, Null, Number, Pointer, Undefined, choose, equal, negation, plain
from .wrapping import signed, wrap

_IGNORED = (
    "llvm.dbg.declare",
    "llvm.dbg.label",
    "llvm.dbg.value",
    "llvm.experimental.noalias.scope.decl",
)
_BLOCKS = ("llvm.memcpy", "llvm.memmove", "llvm.memset")


def call(site: Site, module: Module, name: str, instruction: Instruction) -> Answers:
    """Return what an intrinsic does; raises Unmodelled for one that isn't claimed."""
    base = next((known for known in NAMES if name == known or name.startswith(known + ".")), None)
    if base is None:
        raise Unmodelled(f"the intrinsic {name}", site.place)
    if base in _IGNORED:
        return [(site.state, None)]
    values = [instructions.operand(site, module, each) for each in instruction.operands]
    if base in _BLOCKS:
        return _block(site, base, values)
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
    width = _width(site, name, instruction)
    value = _FUNCTIONS[base](site, width, *values)
    owe_range(site, instruction, value)
    return [(site.state, value)]


def _width(site: Site, name: str, instruction: Instruction) -> int:
    """Bits of the result; of a result with a flag, those of the number."""
    type_ = instruction.type
    if isinstance(type_, StructType):
        type_ = type_.fields[0][1]
    if not isinstance(type_, IntType):
        raise Unmodelled(f"the intrinsic {name}", site.place)
    return type_.bits


def _block(site: Site, base: str, values: list[Any]) -> Answers:
    """A memset, memcpy or memmove, wherever its pointers may point to."""
    size = values[2]
    if isinstance(size, Undefined):
        site.oblige("uninitialised", f"size of {base}", False)
    if isinstance(size, int) and size == 0:
        return [(site.state, None)]
    nowhere = [each for each in values[: 1 if base == "llvm.memset" else 2] if isinstance(each, Null)]
    if nowhere:
        site.oblige("null", f"{base} of no byte, at a null pointer", equal(size, 0))
        return [(site.state, None)]
    after: Answers = []
    for at, target in followed(site, values[0]):
        sources = followed(at, values[1]) if base != "llvm.memset" else [(at, values[1])]
        for here, source in sources:
            try:
                after += [(state, None) for state in blocks.run(here, base, target, source, size)]
            except Ended:
                continue
    return after


def _lifetime(site: Site, which: str, pointer: Any) -> None:
    """Begin or end an alloca's life: it loses what it held; at the end it must not be accessed any more."""
    if not isinstance(pointer, Pointer) or pointer.offset.terms or pointer.offset.constant:
        raise Unmodelled("the lifetime of part of an object", site.place)
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


def _ones(site: Site, width: int, number: Number) -> Number:
    """How many bits are 1."""
    if isinstance(number, int):
        return number.bit_count()
    known = site.environment.ones(site.state, number, width, site.place)
    if known is not None:
        return known
    return z3.Sum([number / (1 << bit) % 2 if bit else number % 2 for bit in range(width)])


def _picked(predicate: str) -> Callable[..., Number]:
    def pick(site: Site, width: int, one: Number, other: Number) -> Number:
        return choose(compare(site, predicate, one, other, width), one, other)

    return pick


def _absolute(site: Site, width: int, number: Number, poison: Any) -> Number:
    if poison is not False:
        site.oblige("no-wrap", f"abs i{width}", negation(equal(number, 1 << (width - 1))))
    value = signed(site, number, width)
    return abs(value) if isinstance(value, int) else z3.If(value < 0, -value, value)


def _most(site: Site, width: int, one: Number, other: Number) -> Number:
    total, most = one + other, (1 << width) - 1
    return choose(compare(site, "ult", total, most, width + 1), total, most)


def _least(site: Site, width: int, one: Number, other: Number) -> Number:
    return choose(compare(site, "ult", one, other, width), 0, one - other)


def _overflowing(sign: str, operation: Callable[[Number, Number], Number]) -> Callable[..., Any]:
    """The number, wrapped, and whether it had to be."""

    def compute(site: Site, width: int, one: Number, other: Number) -> tuple[Number, Any]:
        if sign == "s":
            one, other = signed(site, one, width), signed(site, other, width)
        low, high = (-(1 << (width - 1)), 1 << (width - 1)) if sign == "s" else (0, 1 << width)
        number = operation(one, other)
        if isinstance(number, int):
            return number % (1 << width), not low <= number < high
        below, above = site.state.holds(number < low), site.state.holds(number >= high)
        flags = [flag for flag, known in ((number < low, below), (number >= high, above)) if known is None]
        over: Any = z3.Or(flags) if flags else False
        return wrap(site, number, width), True if below or above else plain(over)

    return compute


def _counted(first: int) -> Callable[..., Number]:
    """How many zeros there are before the first 1, from the highest bit (1) or the lowest (0) on."""

    def count(site: Site, width: int, number: Number, poison: Any) -> Number:
        if poison is not False:
            site.oblige("no-wrap", f"count of zeros in 0, i{width}", negation(equal(number, 0)))
        found: Number = width
        for zeros in reversed(range(width)):
            if first:
                starts = compare(site, "uge", number, 1 << (width - 1 - zeros), width)
            else:
                starts = equal(wrap(site, _above(number, zeros), 1), 1)
            found = choose(starts, zeros, found)
        return found

    return count


def _above(number: Number, bits: int) -> Number:
    return number >> bits if isinstance(number, int) else number / (1 << bits) if bits else number


def _funnel(left: bool) -> Callable[..., Number]:
    """Two numbers side by side, shifted by so many bits modulo the width; the upper or the lower is left."""

    def shift(site: Site, width: int, high: Number, low: Number, by: Number) -> Number:
        if not isinstance(by, int):
            raise Unmodelled("a funnel shift by what is not known", site.place)
        by %= width
        step = by if left else width - by
        if step in (0, width):
            return high if step == 0 else low
        return wrap(site, high * (1 << step), width) + _above(low, width - step)

    return shift


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "llvm.abs": _absolute,
    "llvm.bswap": _swap,
    "llvm.ctlz": _counted(1),
    "llvm.ctpop": _ones,
    "llvm.cttz": _counted(0),
    "llvm.expect": lambda _site, _width, value, _expected: value,
    "llvm.fshl": _funnel(left=True),
    "llvm.fshr": _funnel(left=False),
    "llvm.sadd.with.overflow": _overflowing("s", lambda one, other: one + other),
    "llvm.smax": _picked("sgt"),
    "llvm.smin": _picked("slt"),
    "llvm.smul.with.overflow": _overflowing("s", lambda one, other: one * other),
    "llvm.ssub.with.overflow": _overflowing("s", lambda one, other: one - other),
    "llvm.uadd.sat": _most,
    "llvm.uadd.with.overflow": _overflowing("u", lambda one, other: one + other),
    "llvm.umax": _picked("ugt"),
    "llvm.umin": _picked("ult"),
    "llvm.umul.with.overflow": _overflowing("u", lambda one, other: one * other),
    "llvm.usub.sat": _least,
    "llvm.usub.with.overflow": _overflowing("u", lambda one, other: one - other),
}

NAMES = frozenset(
    {*_FUNCTIONS, *_BLOCKS, *_IGNORED, "llvm.assume", "llvm.lifetime.end", "llvm.lifetime.start"}
)
"""What is claimed, without the types in the names."""
