"""One function for each opcode, width, flag and predicate that the executor claims: in LLVM IR, and in C.

The C says what LLVM's manual says of the instruction, in terms of wider types; ``defined`` says when the
result is no poison. Written apart from the executor, from the manual and the C standard.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ringproof.proofs.symbolic.llvm import LAYOUT, TRIPLE

WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Row:
    """A function: parameters and result in bits; the lines of its IR, the C expression for it."""

    name: str
    parameters: tuple[int, ...]
    result: int
    body: str
    c: str
    defined: Callable[..., bool] = lambda *_: True
    terms: bool = True


def signed(value: int, bits: int) -> int:
    """A number read as two's complement."""
    return value - (1 << bits) if value >> (bits - 1) else value


def fits(value: int, bits: int) -> bool:
    """Whether a number is one of so many bits, without sign."""
    return 0 <= value < 1 << bits


def fits_signed(value: int, bits: int) -> bool:
    """Whether a number is one of so many bits, with sign."""
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _sums() -> Iterator[Row]:
    exact: dict[str, Callable[[int, int], int]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
    }
    for bits in WIDTHS:
        for op, of in exact.items():
            sign = {"add": "+", "sub": "-", "mul": "*"}[op]
            for flags in ("", "nuw", "nsw", "nuw nsw"):

                def defined(a: int, b: int, of: object = of, flags: str = flags, bits: int = bits) -> bool:
                    assert callable(of)
                    plain = "nuw" not in flags or fits(of(a, b), bits)
                    return plain and (
                        "nsw" not in flags or fits_signed(of(signed(a, bits), signed(b, bits)), bits)
                    )

                yield Row(
                    f"{op}_{flags.replace(' ', '_')}_{bits}",
                    (bits, bits),
                    bits,
                    f"%r = {op} {flags} i{bits} %a, %b",
                    f"(uint{bits}_t)((uint64_t)a {sign} (uint64_t)b)",
                    defined,
                )


def _divisions() -> Iterator[Row]:
    for bits in WIDTHS:
        for op, sign in (("udiv", "/"), ("urem", "%")):
            yield Row(
                f"{op}_{bits}",
                (bits, bits),
                bits,
                f"%r = {op} i{bits} %a, %b",
                f"a {sign} b",
                lambda _, b: b != 0,
            )
        for op, sign in (("sdiv", "/"), ("srem", "%")):
            yield Row(
                f"{op}_{bits}",
                (bits, bits),
                bits,
                f"%r = {op} i{bits} %a, %b",
                f"(uint{bits}_t)((int{bits}_t)a {sign} (int{bits}_t)b)",
                lambda a, b, bits=bits: b != 0 and not (a == 1 << (bits - 1) and b == (1 << bits) - 1),
            )
        yield Row(
            f"udiv_exact_{bits}",
            (bits, bits),
            bits,
            f"%r = udiv exact i{bits} %a, %b",
            "a / b",
            lambda a, b: b != 0 and a % b == 0,
        )
        yield Row(
            f"sdiv_exact_{bits}",
            (bits, bits),
            bits,
            f"%r = sdiv exact i{bits} %a, %b",
            f"(uint{bits}_t)((int{bits}_t)a / (int{bits}_t)b)",
            lambda a, b, bits=bits: (
                b != 0
                and not (a == 1 << (bits - 1) and b == (1 << bits) - 1)
                and signed(a, bits) % signed(b, bits) == 0
            ),
        )
        for by in (3, 8, 100):  # by a constant: what compiled code mostly has
            for op, sign in (("udiv", "/"), ("urem", "%"), ("mul", "*")):
                yield Row(
                    f"{op}_{by}_{bits}",
                    (bits,),
                    bits,
                    f"%r = {op} i{bits} %a, {by}",
                    f"(uint{bits}_t)(a {sign} {by})",
                )


def _shifts() -> Iterator[Row]:
    for bits in WIDTHS:
        shifted = {
            "shl": f"(uint{bits}_t)((uint64_t)a << b)",
            "lshr": f"(uint{bits}_t)(a >> b)",
            "ashr": f"(uint{bits}_t)((int{bits}_t)a >> b)",
        }
        for op, c in shifted.items():
            yield Row(
                f"{op}_{bits}",
                (bits, bits),
                bits,
                f"%r = {op} i{bits} %a, %b",
                c,
                lambda _, b, bits=bits: b < bits,
            )
            for by in (0, 1, bits // 2, bits - 1):
                yield Row(
                    f"{op}_by_{by}_{bits}",
                    (bits,),
                    bits,
                    f"%r = {op} i{bits} %a, {by}",
                    c.replace("b)", f"{by})"),
                )
            if op != "shl":
                yield Row(
                    f"{op}_exact_{bits}",
                    (bits, bits),
                    bits,
                    f"%r = {op} exact i{bits} %a, %b",
                    c,
                    lambda a, b, bits=bits: b < bits and a % (1 << b) == 0,
                )
        for flags in ("nuw", "nsw", "nuw nsw"):

            def defined(a: int, b: int, flags: str = flags, bits: int = bits) -> bool:
                if b >= bits:
                    return False
                plain = "nuw" not in flags or fits(a << b, bits)
                return plain and ("nsw" not in flags or fits_signed(signed(a, bits) << b, bits))

            name = flags.replace(" ", "_")
            yield Row(
                f"shl_{name}_{bits}",
                (bits, bits),
                bits,
                f"%r = shl {flags} i{bits} %a, %b",
                shifted["shl"],
                defined,
            )
            yield Row(
                f"shl_3_{name}_{bits}",
                (bits,),
                bits,
                f"%r = shl {flags} i{bits} %a, 3",
                shifted["shl"].replace("b)", "3)"),
                lambda a, defined=defined: defined(a, 3),
            )


def _bits() -> Iterator[Row]:
    for bits in WIDTHS:
        most = (1 << bits) - 1
        masks = (0, 1, 7, 0x55 % (most + 1), most - 3, most >> 1, 1 << (bits - 1), most, 0x0FF0 & most)
        for op, sign in (("and", "&"), ("or", "|"), ("xor", "^")):
            yield Row(
                f"{op}_{bits}", (bits, bits), bits, f"%r = {op} i{bits} %a, %b", f"a {sign} b", terms=False
            )
            for mask in masks:
                yield Row(
                    f"{op}_{mask:x}_{bits}",
                    (bits,),
                    bits,
                    f"%r = {op} i{bits} %a, {signed(mask, bits)}",
                    f"(uint{bits}_t)(a {sign} {mask:#x}u{'ll' if bits == 64 else ''})",
                )
    for op, c in {
        "and": "a & b",
        "or": "a | b",
        "xor": "a ^ b",
        "add": "a ^ b",
        "sub": "a ^ b",
        "mul": "a & b",
    }.items():
        yield Row(f"{op}_1", (1, 1), 1, f"%r = {op} i1 %a, %b", c)
    yield Row(  # a field put together of two whose bits don't meet
        "or_apart_32",
        (8, 16),
        32,
        "%x = zext i8 %a to i32\n  %y = zext i16 %b to i32\n  %s = shl i32 %y, 8\n  %r = or i32 %x, %s",
        "(uint32_t)a | (uint32_t)b << 8",
    )
    yield Row(
        "select_mask_32",
        (1, 32),
        32,
        "%m = select i1 %a, i32 61440, i32 255\n  %r = and i32 %b, %m",
        "b & (a ? 0xf000u : 0xffu)",
    )


def _comparisons() -> Iterator[Row]:
    signs = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
    for predicate in ["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge"]:
        sign = signs[predicate if predicate in signs else predicate[1:]]
        for bits in WIDTHS:
            kind = f"int{bits}_t" if predicate[0] == "s" else f"uint{bits}_t"
            yield Row(
                f"icmp_{predicate}_{bits}",
                (bits, bits),
                1,
                f"%r = icmp {predicate} i{bits} %a, %b",
                f"({kind})a {sign} ({kind})b",
            )
            yield Row(
                f"icmp_{predicate}_7_{bits}",
                (bits,),
                1,
                f"%r = icmp {predicate} i{bits} %a, -7",
                f"({kind})a {sign} ({kind})-7",
            )
        one = "-" if predicate[0] == "s" else ""  # an i1 is 0 or -1 with its sign
        yield Row(
            f"icmp_{predicate}_1",
            (1, 1),
            1,
            f"%r = icmp {predicate} i1 %a, %b",
            f"{one}(int)a {sign} {one}(int)b",
        )


def _casts() -> Iterator[Row]:
    for narrow in (1, *WIDTHS):
        for wide in WIDTHS:
            if narrow >= wide:
                continue
            yield Row(f"zext_{narrow}_{wide}", (narrow,), wide, f"%r = zext i{narrow} %a to i{wide}", "a")
            sext = (
                f"(uint{wide}_t)-(int{wide}_t)a"
                if narrow == 1
                else f"(uint{wide}_t)(int{wide}_t)(int{narrow}_t)a"
            )
            yield Row(f"sext_{narrow}_{wide}", (narrow,), wide, f"%r = sext i{narrow} %a to i{wide}", sext)
            trunc = "a & 1" if narrow == 1 else f"(uint{narrow}_t)a"
            yield Row(f"trunc_{wide}_{narrow}", (wide,), narrow, f"%r = trunc i{wide} %a to i{narrow}", trunc)
    yield Row("bitcast_32", (32,), 32, "%r = bitcast i32 %a to i32", "a")
    yield Row("freeze_32", (32,), 32, "%r = freeze i32 %a", "a")
    for bits in WIDTHS:
        yield Row(
            f"select_{bits}",
            (1, bits, bits),
            bits,
            f"%r = select i1 %a, i{bits} %b, i{bits} %c",
            "a ? b : c",
        )
    yield Row("select_1", (1, 1, 1), 1, "%r = select i1 %a, i1 %b, i1 %c", "a ? b : c")
    yield Row(
        "pointer_and_back",
        (64,),
        1,
        "%p = inttoptr i64 %a to i8*\n  %n = ptrtoint i8* %p to i64\n  %r = icmp eq i64 %n, %a",
        "1",
    )
    yield Row("null_pointer", (64,), 1, "%p = inttoptr i64 %a to i8*\n  %r = icmp eq i8* %p, null", "a == 0")


def _intrinsics() -> Iterator[Row]:
    for bits in WIDTHS:
        kind, plain = f"int{bits}_t", f"uint{bits}_t"
        two = {
            "umin": "a < b ? a : b",
            "umax": "a > b ? a : b",
            "smin": f"({kind})a < ({kind})b ? a : b",
            "smax": f"({kind})a > ({kind})b ? a : b",
            "uadd.sat": f"({plain})(a + b) < a ? ({plain})-1 : ({plain})(a + b)",
            "usub.sat": f"a < b ? 0 : ({plain})(a - b)",
        }
        for name, c in two.items():
            yield Row(
                f"{name.replace('.', '_')}_{bits}",
                (bits, bits),
                bits,
                f"%r = call i{bits} @llvm.{name}.i{bits}(i{bits} %a, i{bits} %b)",
                c,
            )
        if bits > 8:
            yield Row(
                f"bswap_{bits}",
                (bits,),
                bits,
                f"%r = call i{bits} @llvm.bswap.i{bits}(i{bits} %a)",
                f"__builtin_bswap{bits}(a)",
            )
        yield Row(
            f"ctpop_{bits}",
            (bits,),
            bits,
            f"%r = call i{bits} @llvm.ctpop.i{bits}(i{bits} %a)",
            "__builtin_popcountll(a)",
        )
        for poison in ("true", "false"):
            yield Row(
                f"abs_{poison}_{bits}",
                (bits,),
                bits,
                f"%r = call i{bits} @llvm.abs.i{bits}(i{bits} %a, i1 {poison})",
                f"({plain})(({kind})a < 0 ? ({plain})0 - a : a)",
                lambda a, bits=bits, poison=poison: poison == "false" or a != 1 << (bits - 1),
            )
        yield Row(
            f"expect_{bits}",
            (bits,),
            bits,
            f"%r = call i{bits} @llvm.expect.i{bits}(i{bits} %a, i{bits} 7)",
            "a",
        )
        yield from _counts_and_funnels(bits)
        yield from _overflows(bits)
    yield Row(
        "assume_32",
        (32,),
        32,
        "%c = icmp ult i32 %a, 1000\n  call void @llvm.assume(i1 %c)\n  %r = add i32 %a, 1",
        "a + 1",
        lambda a: a < 1000,
    )


def _counts_and_funnels(bits: int) -> Iterator[Row]:
    zeros = {"ctlz": f"__builtin_clzll(a) - {64 - bits}", "cttz": "__builtin_ctzll(a)"}
    for name, c in zeros.items():
        for poison in ("true", "false"):
            yield Row(
                f"{name}_{poison}_{bits}",
                (bits,),
                bits,
                f"%r = call i{bits} @llvm.{name}.i{bits}(i{bits} %a, i1 {poison})",
                f"a == 0 ? {bits} : {c}",
                lambda a, poison=poison: poison == "false" or a != 0,
            )
    for by in (
        0,
        1,
        5,
        bits - 1,
        bits,
        bits + 3,
    ):  # bits of a and b side by side, from the upper or lower end
        step = by % bits
        left = f"a << {step} | b >> {bits - step}" if step else "a"
        right = f"a << {bits - step} | b >> {step}" if step else "b"
        for name, c in (("fshl", left), ("fshr", right)):
            yield Row(
                f"{name}_{by}_{bits}",
                (bits, bits),
                bits,
                f"%r = call i{bits} @llvm.{name}.i{bits}(i{bits} %a, i{bits} %b, i{bits} {by})",
                f"(uint{bits}_t)({c})",
            )


def _overflows(bits: int) -> Iterator[Row]:
    for op in ("add", "sub", "mul"):
        for sign, kind in (("u", "uint"), ("s", "int")):
            name = f"{sign}{op}.with.overflow"
            both = f"%p = call {{ i{bits}, i1 }} @llvm.{name}.i{bits}(i{bits} %a, i{bits} %b)"
            made = f"({kind}{bits}_t)a, ({kind}{bits}_t)b, &r"
            c = f"({{ {kind}{bits}_t r; _Bool over = __builtin_{op}_overflow({made}); %s; }})"
            yield Row(
                f"{sign}{op}_over_{bits}",
                (bits, bits),
                1,
                f"{both}\n  %r = extractvalue {{ i{bits}, i1 }} %p, 1",
                c % "over",
            )
            yield Row(
                f"{sign}{op}_wrapped_{bits}",
                (bits, bits),
                bits,
                f"{both}\n  %r = extractvalue {{ i{bits}, i1 }} %p, 0",
                c % f"(void)over; (uint{bits}_t)r",
            )


def _jumps() -> Iterator[Row]:
    yield Row(
        "diamond_32",
        (32, 32),
        32,
        """%less = icmp slt i32 %a, %b
  br i1 %less, label %yes, label %no
yes:
  %x = sub i32 %b, %a
  br label %end
no:
  %y = xor i32 %a, -1
  br label %end
end:
  %r = phi i32 [ %y, %no ], [ %x, %yes ]""",
        "(int32_t)a < (int32_t)b ? b - a : ~a",
    )
    yield Row(
        "switch_16",
        (16,),
        16,
        """switch i16 %a, label %other [ i16 0, label %zero
    i16 -1, label %most
    i16 7, label %zero ]
zero:
  br label %end
most:
  %x = add i16 %a, 5
  br label %end
other:
  %y = lshr i16 %a, 3
  br label %end
end:
  %r = phi i16 [ 11, %zero ], [ %x, %most ], [ %y, %other ]""",
        "(uint16_t)(a == 0 || a == 7 ? 11 : a == 65535 ? a + 5 : a >> 3)",
    )
    yield Row(  # phis of one block get their values together: two that change places
        "swapped_phis_64",
        (8, 64, 64),
        64,
        """%n = and i8 %a, 3
  br label %head
head:
  %x = phi i64 [ %b, %0 ], [ %y, %body ]
  %y = phi i64 [ %c, %0 ], [ %x, %body ]
  %i = phi i8 [ 0, %0 ], [ %more, %body ]
  %on = icmp ult i8 %i, %n
  br i1 %on, label %body, label %end
body:
  %more = add nuw i8 %i, 1
  br label %head
end:
  %r = add i64 %x, 0""",
        "a & 1 ? c : b",
    )
    yield Row(
        "unreachable_8",
        (8,),
        8,
        """%big = icmp ugt i8 %a, 100
  br i1 %big, label %never, label %end
never:
  unreachable
end:
  %r = add i8 %a, 1""",
        "(uint8_t)(a + 1)",
        lambda a: a <= 100,
    )
    yield Row(  # a struct, put together and taken apart
        "struct_32",
        (32, 16),
        32,
        """%x = insertvalue { i16, i32, i32 } undef, i16 %b, 0
  %y = insertvalue { i16, i32, i32 } %x, i32 %a, 2
  %z = insertvalue { i16, i32, i32 } %y, i32 9, 1
  %s = extractvalue { i16, i32, i32 } %z, 0
  %t = extractvalue { i16, i32, i32 } %z, 2
  %w = zext i16 %s to i32
  %r = sub i32 %t, %w""",
        "a - b",
    )
    yield Row(
        "fences", (32,), 32, "fence acquire\n  fence release\n  fence seq_cst\n  %r = add i32 %a, 1", "a + 1"
    )


KINDS: dict[str, Callable[[], Iterator[Row]]] = {
    "sums": _sums,
    "divisions": _divisions,
    "shifts": _shifts,
    "bits": _bits,
    "comparisons": _comparisons,
    "casts": _casts,
    "intrinsics": _intrinsics,
    "jumps": _jumps,
}


def rows() -> list[Row]:
    """All functions of the table."""
    return [row for kind in KINDS.values() for row in kind()]


def ir_text(table: list[Row]) -> str:
    """The table as a module."""
    declared: dict[str, str] = {}
    bodies = []
    for row in table:
        for line in row.body.split("\n"):
            if "@llvm." in line:
                head, _, rest = line.partition("@")
                name, _, arguments = rest.partition("(")
                kinds = ", ".join(each.split()[0] for each in arguments.rstrip(")").split(", "))
                if name.startswith(("llvm.abs", "llvm.ctlz", "llvm.cttz")):
                    kinds = kinds.rpartition(", ")[0] + ", i1 immarg"
                declared[name] = f"declare {head.split('call ')[1].strip()} @{name}({kinds})"
        named = ", ".join(f"i{bits} %{name}" for bits, name in zip(row.parameters, "abc", strict=False))
        head = f"define i{row.result} @{row.name}({named})"
        bodies.append(f"{head} {{\n  {row.body}\n  ret i{row.result} %r\n}}\n")
    ident = '!llvm.ident = !{!0}\n!0 = !{!"clang version 14.0.6"}\n'
    head = f'target datalayout = "{LAYOUT}"\ntarget triple = "{TRIPLE}"\n'
    return "\n".join([head, *declared.values(), *bodies, ident])


def c_text(table: list[Row]) -> str:
    """The table as C."""
    lines = ["#include <stdint.h>"]
    for row in table:
        parameters = ", ".join(
            f"uint{max(bits, 8)}_t {name}" for bits, name in zip(row.parameters, "abc", strict=False)
        )
        lines.append(f"uint{max(row.result, 8)}_t {row.name}({parameters}) {{ return {row.c}; }}")
    return "\n".join(lines) + "\n"
