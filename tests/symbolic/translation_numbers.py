"""One function for each opcode of arithmetic, width, flag and predicate: in LLVM IR, and in C.

The C says what LLVM's manual says of the instruction, in terms of wider types; ``defined`` says when the
result is no poison. Written apart from the executor, from the manual and the C standard.
"""

from collections.abc import Callable, Iterator

from .translation_row import WIDTHS, Row


def signed(value: int, bits: int) -> int:
    """A number read as two's complement."""
    return value - (1 << bits) if value >> (bits - 1) else value


def fits(value: int, bits: int) -> bool:
    """Whether a number is one of so many bits, without sign."""
    return 0 <= value < 1 << bits


def fits_signed(value: int, bits: int) -> bool:
    """Whether a number is one of so many bits, with sign."""
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def sums() -> Iterator[Row]:
    """Sums, differences and products."""
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


def divisions() -> Iterator[Row]:
    """Quotients and remainders."""
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


def shifts() -> Iterator[Row]:
    """Shifts, by what is known and by what is not."""
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


def bits() -> Iterator[Row]:
    """Bitwise operations, on masks and on flags."""
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


def comparisons() -> Iterator[Row]:
    """Comparisons of numbers."""
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


def casts() -> Iterator[Row]:
    """Conversions, choices, and pointers as numbers."""
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
