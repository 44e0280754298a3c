"""Flags of x86-64 as VEX keeps them: an operation and its operands, from which they are computed when asked.

``cc_op`` says what was done and at which width, ``dep1`` and ``dep2`` are its operands (or its result),
``ndep`` the old flags where these count. The numbers are those of VEX's guest amd64 state (libvex's
guest_amd64_defs).
"""

from dataclasses import dataclass

import z3

from .errors import Unmodelled
from .words import (
    Flag,
    Word,
    add,
    any_of,
    below,
    bit,
    boolean,
    both,
    complement,
    conjunction,
    differ,
    disjunction,
    equal,
    exclusive,
    extend,
    extend_signed,
    extract,
    is_set,
    mul,
    no,
    plain,
    shift_left,
    sub,
)

_COPY = 0
_FAMILIES = ("add", "sub", "adc", "sbb", "logic", "inc", "dec", "shl", "shr", "rol", "ror", "umul", "smul")
_CARRY, _PARITY, _AUXILIARY, _ZERO, _SIGN, _OVERFLOW = 0, 2, 4, 6, 7, 11


@dataclass(frozen=True)
class Flags:
    """The six arithmetic flags."""

    carry: Flag
    parity: Flag
    auxiliary: Flag
    zero: Flag
    sign: Flag
    overflow: Flag

    def word(self) -> Word:
        """Return them as bits of rflags."""
        whole: Word = 0
        for flag, place in (
            (self.carry, _CARRY), (self.parity, _PARITY), (self.auxiliary, _AUXILIARY),
            (self.zero, _ZERO), (self.sign, _SIGN), (self.overflow, _OVERFLOW),
        ):  # fmt: skip
            whole = disjunction(whole, shift_left(bit(flag, 64), place, 64), 64)
        return whole


def flags(cc_op: Word, dep1: Word, dep2: Word, ndep: Word) -> list[tuple[Flag, Flags]]:
    """Return the flags, by case where it depends on data what was done last (a shift by a number unknown)."""
    if isinstance(cc_op, int):
        return [(True, _flags(cc_op, dep1, dep2, ndep))]
    if z3.is_app_of(cc_op, z3.Z3_OP_ITE):
        condition, then, otherwise = cc_op.children()
        return [
            *((both(condition, more), found) for more, found in flags(plain(then), dep1, dep2, ndep)),
            *(
                (both(no(condition), more), found)
                for more, found in flags(plain(otherwise), dep1, dep2, ndep)
            ),
        ]
    raise Unmodelled("flags of an operation that is not known")


def condition(number: int, cc_op: Word, dep1: Word, dep2: Word, ndep: Word) -> Flag:
    """Return whether a condition holds: VEX's AMD64CondO and so on, the low bit turning the sense."""
    cases = flags(cc_op, dep1, dep2, ndep)
    holds = any_of(*(both(case, _holds(number >> 1, found)) for case, found in cases))
    return no(holds) if number & 1 else holds


def rflags(cc_op: Word, dep1: Word, dep2: Word, ndep: Word, *, carry_only: bool) -> Word:
    """Return the flags as a word, all six or the carry alone."""
    whole: Word = 0
    for case, found in flags(cc_op, dep1, dep2, ndep):
        word = bit(found.carry, 64) if carry_only else found.word()
        whole = word if case is True else z3.If(boolean(case), _term(word), _term(whole))
    return whole


def _term(word: Word) -> z3.BitVecRef:
    return z3.BitVecVal(word, 64) if isinstance(word, int) else word


def _holds(pair: int, f: Flags) -> Flag:
    less = differ(f.sign, f.overflow)
    return (
        f.overflow, f.carry, f.zero, any_of(f.carry, f.zero), f.sign, f.parity, less, any_of(f.zero, less),
    )[pair]  # fmt: skip


def _flags(cc_op: int, dep1: Word, dep2: Word, ndep: Word) -> Flags:
    if cc_op == _COPY:
        places = (_CARRY, _PARITY, _AUXILIARY, _ZERO, _SIGN, _OVERFLOW)
        return Flags(*(is_set(dep1, place) for place in places))
    family, size = divmod(cc_op - 1, 4)
    if not 0 <= family < len(_FAMILIES):
        raise Unmodelled(f"flags of VEX's cc_op {cc_op}")
    width = 8 << size
    one, two, old = (extract(word, 0, width) for word in (dep1, dep2, ndep))
    name = _FAMILIES[family]
    if name in ("rol", "ror"):
        return _rotated(name, one, ndep, width)
    if name in ("umul", "smul"):
        return _multiplied(name, one, two, width)
    return _computed(name, one, two, old, ndep, width)


def _of_result(result: Word, carry: Flag, auxiliary: Flag, overflow: Flag, width: int) -> Flags:
    low = extract(result, 0, 8)
    parity: Flag = True
    for place in range(8):
        parity = differ(parity, is_set(low, place))
    return Flags(carry, parity, auxiliary, equal(result, 0, width), is_set(result, width - 1), overflow)


def _computed(name: str, one: Word, two: Word, old: Word, ndep: Word, width: int) -> Flags:
    top, lowest = width - 1, 1 << (width - 1)
    kept = is_set(ndep, _CARRY)
    if name == "logic":
        return _of_result(one, False, False, False, width)
    if name == "inc":
        return _of_result(one, kept, equal(extract(one, 0, 4), 0, 4), equal(one, lowest, width), width)
    if name == "dec":
        return _of_result(one, kept, equal(extract(one, 0, 4), 15, 4), equal(one, lowest - 1, width), width)
    if name in ("shl", "shr"):  # dep1 is the result, dep2 what it was one place before
        carry = is_set(two, top if name == "shl" else 0)
        return _of_result(one, carry, False, differ(is_set(one, top), is_set(two, top)), width)
    if name in ("adc", "sbb"):  # dep2 is kept xored with the old carry
        two = exclusive(two, conjunction(old, 1, width), width)
    if name in ("add", "adc"):
        result = add(one, two, width)
        carry = below(result, one, width)
        if name == "adc":
            result = add(result, conjunction(old, 1, width), width)
            carry = any_of(
                both(kept, no(below(one, result, width))), both(no(kept), below(result, one, width))
            )
        overflows = conjunction(
            complement(exclusive(one, two, width), width), exclusive(one, result, width), width
        )
    else:
        result = sub(one, two, width)
        carry = below(one, two, width)
        if name == "sbb":
            result = sub(result, conjunction(old, 1, width), width)
            carry = any_of(both(kept, no(below(two, one, width))), both(no(kept), below(one, two, width)))
        overflows = conjunction(exclusive(one, two, width), exclusive(one, result, width), width)
    auxiliary = is_set(exclusive(exclusive(one, two, width), result, width), 4)
    return _of_result(result, carry, auxiliary, is_set(overflows, top), width)


def _rotated(name: str, result: Word, ndep: Word, width: int) -> Flags:
    top = width - 1
    carry = is_set(result, 0 if name == "rol" else top)
    other = is_set(result, top if name == "rol" else top - 1)
    parity, auxiliary, zero, sign = (is_set(ndep, place) for place in (_PARITY, _AUXILIARY, _ZERO, _SIGN))
    return Flags(carry, parity, auxiliary, zero, sign, differ(carry, other))


def _multiplied(name: str, one: Word, two: Word, width: int) -> Flags:
    widen = extend_signed if name == "smul" else extend
    whole = mul(widen(one, width, 2 * width), widen(two, width, 2 * width), 2 * width)
    low, high = extract(whole, 0, width), extract(whole, width, width)
    sign = extract(extend_signed(low, width, 2 * width), width, width) if name == "smul" else 0
    lost = no(equal(high, sign, width))
    return _of_result(low, lost, False, lost, width)
