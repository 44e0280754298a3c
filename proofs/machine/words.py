"""Machine words with two readings: plain numbers where all is known, Z3's bit-vectors where it is not.

A word of W bits is an ``int`` in [0, 2^W), or a ``z3.BitVecRef`` of W bits. A flag is a ``bool`` or a
``z3.BoolRef``. Every function gives a plain result for plain operands, so that code which runs on known
values alone never meets the solver. ``width`` is in bits; operands have that width unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import z3

Word: TypeAlias = Any
Flag: TypeAlias = Any


def mask(width: int) -> int:
    """Return the largest word of that width."""
    return (1 << width) - 1


def signed(value: int, width: int) -> int:
    """Return a plain word read as two's complement."""
    return value - (1 << width) if value >> (width - 1) else value


def vector(word: Word, width: int) -> z3.BitVecRef:
    """Return the word as a bit-vector, also where it is plain."""
    return z3.BitVecVal(word, width) if isinstance(word, int) else word


def boolean(flag: Flag) -> z3.BoolRef:
    """Return the flag as a term, also where it is plain."""
    return z3.BoolVal(flag) if isinstance(flag, bool) else flag


def plain(term: z3.BitVecRef) -> Word:
    """Return the number that a term is, if it is written as one, else the term."""
    return term.as_long() if z3.is_bv_value(term) else term


def simple(word: Word) -> Word:
    """Return an equal word, simplified by the solver, plain if that finds one value."""
    return word if isinstance(word, int) else plain(z3.simplify(word))


def simple_flag(flag: Flag) -> Flag:
    """Return an equal flag, simplified by the solver, plain if that finds one value."""
    if isinstance(flag, bool):
        return flag
    found = z3.simplify(flag)
    return True if z3.is_true(found) else False if z3.is_false(found) else found


# Flags.


def both(*flags: Flag) -> Flag:
    """Return whether all hold."""
    if any(flag is False for flag in flags):
        return False
    rest = [flag for flag in flags if flag is not True]
    return True if not rest else rest[0] if len(rest) == 1 else z3.And(rest)


def any_of(*flags: Flag) -> Flag:
    """Return whether at least one holds."""
    return no(both(*(no(flag) for flag in flags)))


def no(flag: Flag) -> Flag:
    """Return whether it does not hold."""
    if isinstance(flag, bool):
        return not flag
    return flag.arg(0) if z3.is_not(flag) else z3.Not(flag)


def differ(one: Flag, other: Flag) -> Flag:
    """Return whether exactly one of two flags holds."""
    if isinstance(one, bool):
        return no(other) if one else other
    if isinstance(other, bool):
        return no(one) if other else one
    return z3.Xor(one, other)


# Arithmetic modulo 2^width.


def add(a: Word, b: Word, width: int) -> Word:
    """Return the sum."""
    if isinstance(a, int) and isinstance(b, int):
        return (a + b) & mask(width)
    if isinstance(a, int):
        a, b = b, a
    if not isinstance(b, int):
        return a + b
    if b and a.num_args() == 2 and a.decl().kind() == z3.Z3_OP_BADD and z3.is_bv_value(a.arg(1)):
        a, b = a.arg(0), (a.arg(1).as_long() + b) & mask(width)
    return a + z3.BitVecVal(b, width) if b else a


def sub(a: Word, b: Word, width: int) -> Word:
    """Return the difference."""
    if isinstance(b, int):
        return add(a, -b & mask(width), width)
    if not isinstance(a, int) and a.eq(b):
        return 0
    return vector(a, width) - b


def mul(a: Word, b: Word, width: int) -> Word:
    """Return the product."""
    if isinstance(a, int) and isinstance(b, int):
        return (a * b) & mask(width)
    if isinstance(a, int):
        a, b = b, a
    return 0 if isinstance(b, int) and b == 0 else a if isinstance(b, int) and b == 1 else a * b


def divide(a: Word, b: Word, width: int, *, sign: bool) -> Word:
    """Return the quotient, cut towards zero. Of a plain divisor 0, whatever the solver says: all ones."""
    if isinstance(a, int) and isinstance(b, int) and b:
        if not sign:
            return a // b
        x, y = signed(a, width), signed(b, width)
        return (abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)) & mask(width)
    x, y = vector(a, width), vector(b, width)
    return simple(x / y) if sign else simple(z3.UDiv(x, y))


def remainder(a: Word, b: Word, width: int, *, sign: bool) -> Word:
    """Return the remainder that goes with ``divide``: it has the dividend's sign."""
    if isinstance(a, int) and isinstance(b, int) and b:
        if not sign:
            return a % b
        x, y = signed(a, width), signed(b, width)
        return (abs(x) % abs(y) * (-1 if x < 0 else 1)) & mask(width)
    x, y = vector(a, width), vector(b, width)
    return simple(z3.SRem(x, y)) if sign else simple(z3.URem(x, y))


# Bits.


def conjunction(a: Word, b: Word, width: int) -> Word:
    """Return the bits set in both. Against a mask of low bits it is a cut, which keeps terms small."""
    if isinstance(a, int) and isinstance(b, int):
        return a & b
    if isinstance(a, int):
        a, b = b, a
    if not isinstance(b, int):
        return a if a.eq(b) else a & b
    if b == mask(width):
        return a
    if b & (b + 1) == 0:
        return extend(extract(a, 0, b.bit_length()), b.bit_length(), width) if b else 0
    return a & z3.BitVecVal(b, width)


def disjunction(a: Word, b: Word, width: int) -> Word:
    """Return the bits set in either."""
    if isinstance(a, int) and isinstance(b, int):
        return a | b
    if isinstance(a, int):
        a, b = b, a
    if isinstance(b, int):
        return a if b == 0 else b if b == mask(width) else a | z3.BitVecVal(b, width)
    return a if a.eq(b) else a | b


def exclusive(a: Word, b: Word, width: int) -> Word:
    """Return the bits set in one of the two."""
    if isinstance(a, int) and isinstance(b, int):
        return a ^ b
    if isinstance(a, int):
        a, b = b, a
    if isinstance(b, int):
        return a if b == 0 else a ^ z3.BitVecVal(b, width)
    return 0 if a.eq(b) else a ^ b


def complement(a: Word, width: int) -> Word:
    """Return the bits not set."""
    return ~a & mask(width) if isinstance(a, int) else ~a


def shift_left(a: Word, amount: Word, width: int) -> Word:
    """Return the word moved up; 0 from ``width`` places on. The amount has ``width`` bits, too."""
    if isinstance(amount, int):
        if isinstance(a, int):
            return (a << amount) & mask(width) if amount < width else 0
        if amount == 0:
            return a
        return join(extract(a, 0, width - amount), width - amount, 0, amount) if amount < width else 0
    return vector(a, width) << amount


def shift_right(a: Word, amount: Word, width: int) -> Word:
    """Return the word moved down, zeros coming in; 0 from ``width`` places on."""
    if isinstance(amount, int):
        if isinstance(a, int):
            return a >> amount
        if amount == 0:
            return a
        return extend(extract(a, amount, width - amount), width - amount, width) if amount < width else 0
    return z3.LShR(vector(a, width), amount)


def shift_signed(a: Word, amount: Word, width: int) -> Word:
    """Return the word moved down, copies of its top bit coming in."""
    if isinstance(a, int) and isinstance(amount, int):
        return (signed(a, width) >> min(amount, width)) & mask(width)
    return a if isinstance(amount, int) and amount == 0 else vector(a, width) >> amount


# Parts of words.


def extract(a: Word, low: int, bits: int) -> Word:
    """Return ``bits`` bits from bit ``low`` on, looking through joins, extensions and plain alternatives."""
    if isinstance(a, int):
        return (a >> low) & mask(bits)
    width = a.size()
    if bits == width:
        return a
    if bits == 0:
        return 0
    kind = a.decl().kind()
    if kind == z3.Z3_OP_ZERO_EXT or kind == z3.Z3_OP_SIGN_EXT:
        inner = a.arg(0)
        if low + bits <= inner.size():
            return extract(inner, low, bits)
        if kind == z3.Z3_OP_ZERO_EXT:
            kept = inner.size() - low
            return 0 if kept <= 0 else extend(extract(inner, low, kept), kept, bits)
    elif kind == z3.Z3_OP_EXTRACT:
        return extract(a.arg(0), low + a.params()[1], bits)
    elif kind == z3.Z3_OP_CONCAT:
        return _extract_joined(a, low, bits)
    elif kind == z3.Z3_OP_ITE and (z3.is_bv_value(a.arg(1)) or z3.is_bv_value(a.arg(2))):
        then, otherwise = (extract(plain(a.arg(i)), low, bits) for i in (1, 2))
        return choose(a.arg(0), then, otherwise, bits)
    elif kind in (z3.Z3_OP_BADD, z3.Z3_OP_BSUB, z3.Z3_OP_BMUL) and low == 0 and a.num_args() == 2:
        one, other = (extract(plain(a.arg(i)), 0, bits) for i in (0, 1))
        done = {z3.Z3_OP_BADD: add, z3.Z3_OP_BSUB: sub, z3.Z3_OP_BMUL: mul}[kind]
        return done(one, other, bits)
    elif z3.is_bv_value(a):
        return extract(a.as_long(), low, bits)
    return z3.Extract(low + bits - 1, low, a)


def _extract_joined(a: z3.BitVecRef, low: int, bits: int) -> Word:
    found: Word = None
    at = 0
    for part in reversed(a.children()):
        size = part.size()
        start, end = max(low, at), min(low + bits, at + size)
        if start < end:
            piece = extract(plain(part), start - at, end - start)
            found = piece if found is None else join(piece, end - start, found, start - low)
        at += size
    return found


def extend(a: Word, width: int, to: int) -> Word:
    """Return the word widened with zeros from ``width`` to ``to`` bits."""
    return a if isinstance(a, int) or width == to else z3.ZeroExt(to - width, a)


def extend_signed(a: Word, width: int, to: int) -> Word:
    """Return the word widened with its top bit."""
    if isinstance(a, int):
        return signed(a, width) & mask(to)
    return a if width == to else z3.SignExt(to - width, a)


def join(high: Word, high_width: int, low: Word, low_width: int) -> Word:
    """Return the word of both: ``high`` above ``low``."""
    if high_width == 0:
        return low
    if low_width == 0:
        return high
    if isinstance(high, int) and isinstance(low, int):
        return high << low_width | low
    if isinstance(high, int) and high == 0:
        return z3.ZeroExt(high_width, low)
    kinds = z3.Z3_OP_EXTRACT
    if not isinstance(high, int) and not isinstance(low, int) and high.decl().kind() == kinds:
        below = low if low.decl().kind() == kinds else None
        source = high.arg(0)
        if below is not None and below.arg(0).eq(source) and below.params()[0] + 1 == high.params()[1]:
            return extract(source, below.params()[1], high_width + low_width)
        if below is None and source.eq(low) and high.params()[1] == low_width:
            return extract(source, 0, high_width + low_width)
    return z3.Concat(vector(high, high_width), vector(low, low_width))


def choose(flag: Flag, then: Word, otherwise: Word, width: int) -> Word:
    """Return the first word if the flag holds, else the second."""
    if isinstance(flag, bool):
        return then if flag else otherwise
    if isinstance(then, int) and isinstance(otherwise, int):
        if then == otherwise:
            return then
    elif not isinstance(then, int) and not isinstance(otherwise, int) and then.eq(otherwise):
        return then
    return z3.If(flag, vector(then, width), vector(otherwise, width))


# Comparisons.


def equal(a: Word, b: Word, width: int) -> Flag:
    """Return whether two words are the same. A choice between plain words is compared arm by arm."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if isinstance(a, int):
        a, b = b, a
    if not isinstance(b, int):
        return True if a.eq(b) else a == b
    kind = a.decl().kind()
    if kind == z3.Z3_OP_ZERO_EXT:
        inner = a.arg(0)
        return equal(inner, b, inner.size()) if b <= mask(inner.size()) else False
    if kind == z3.Z3_OP_ITE and z3.is_bv_value(a.arg(1)) and z3.is_bv_value(a.arg(2)):
        then, otherwise = a.arg(1).as_long() == b, a.arg(2).as_long() == b
        return then if then == otherwise else a.arg(0) if then else no(a.arg(0))
    return a == z3.BitVecVal(b, width)


def below(a: Word, b: Word, width: int, *, sign: bool = False) -> Flag:
    """Return whether the first word is smaller, read without sign or with one."""
    if isinstance(a, int) and isinstance(b, int):
        return signed(a, width) < signed(b, width) if sign else a < b
    x, y = vector(a, width), vector(b, width)
    if x.eq(y):
        return False
    return x < y if sign else z3.ULT(x, y)


def at_most(a: Word, b: Word, width: int, *, sign: bool = False) -> Flag:
    """Return whether the first word is not greater, read without sign or with one."""
    return no(below(b, a, width, sign=sign))


def bit(flag: Flag, width: int = 1) -> Word:
    """Return 1 if the flag holds, else 0."""
    return int(flag) if isinstance(flag, bool) else choose(flag, 1, 0, width)


def is_set(a: Word, place: int) -> Flag:
    """Return whether one bit of a word is set."""
    return equal(extract(a, place, 1), 1, 1)


# Lanes: a wide word seen as several of one width, the lowest first.


def lanes(a: Word, width: int, lane: int) -> list[Word]:
    """Return the lanes of a word of ``width`` bits."""
    return [extract(a, low, lane) for low in range(0, width, lane)]


def joined(words: list[Word], lane: int) -> Word:
    """Return the word of these lanes."""
    whole, width = words[0], lane
    for word in words[1:]:
        whole, width = join(word, lane, whole, width), width + lane
    return whole


def symbols(term: z3.ExprRef) -> Iterator[z3.ExprRef]:
    """Yield the symbols of a term, each once."""
    seen: set[int] = set()
    rest = [term]
    while rest:
        here = rest.pop()
        if here.get_id() in seen:
            continue
        seen.add(here.get_id())
        if z3.is_const(here) and here.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            yield here
        rest.extend(here.children())
