"""One function for each intrinsic on numbers, and for jumps, phis, structs in registers and fences."""

from collections.abc import Iterator

from .translation_row import WIDTHS, Row


def intrinsics() -> Iterator[Row]:
    """Intrinsics on numbers."""
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


def jumps() -> Iterator[Row]:
    """Jumps, phis, pairs and fences."""
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
