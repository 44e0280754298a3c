"""Reading LLVM IR: nothing is lost or changed; what is no IR of the pinned clang is refused in one line."""

import random
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ringproof import impl
from ringproof.proofs.symbolic import ir
from ringproof.proofs.symbolic.clang import compile_ir
from ringproof.proofs.symbolic.errors import IRVersion
from ringproof.proofs.symbolic.llvm import LAYOUT, TRIPLE, read_ir
from ringproof.proofs.symbolic.loops import natural_loops

C = Path(str(impl.__file__)).parent / "c"
EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCES = sorted([*C.glob("*.c"), *EXAMPLES.glob("*/*.c")])
FRAME = f'''target datalayout = "{LAYOUT}"
target triple = "{TRIPLE}"
!llvm.ident = !{{!0}}
!0 = !{{!"Debian clang version 14.0.6"}}
'''


INSTRUCTION = re.compile(r"  (?:%([\w.-]+) = )?(?:tail |musttail |notail )?(\w+)((?: n[us]w| exact)*)")


def body_of(text: str, name: str) -> list[str]:
    """The lines of a function in IR text, between its braces."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(rf"define .*@{re.escape(name)}\(", line))
    return lines[start + 1 : lines.index("}", start)]


def instructions(function: ir.Function) -> list[ir.Instruction]:
    """All instructions of a function in the order of the text."""
    return [each for block in function.blocks.values() for each in block.instructions]


def one(lines: str, head: str = "define i32 @f(i32 %a, i32 %b, i32* %p)") -> ir.Function:
    """A function read from the lines of its body."""
    return read_ir(f"{FRAME}{head} {{\n{lines}\n}}\n").functions["f"]


def test_every_instruction_of_all_sources_is_read() -> None:
    """Opcodes, registers, flags and predicates of all drivers here are those their texts show."""
    assert len(SOURCES) > 10
    for source in SOURCES:
        text = compile_ir(source, [C])
        module = read_ir(text)
        assert set(module.functions) == set(re.findall(r"^define .*?@(\w+)\(", text, re.MULTILINE))
        assert module.declared == set(re.findall(r"^declare .*?@([\w.]+)\(", text, re.MULTILINE))
        for name, function in module.functions.items():
            shown = []
            for line in body_of(text, name):
                found = re.match(
                    r"  (?:%([\w.-]+) = )?(?:tail |musttail |notail )?(\w+)((?: n[us]w| exact)*)", line
                )
                if found and not re.match(r"    ", line):
                    predicate = re.match(r"  %[\w.-]+ = icmp (\w+)", line)
                    flags = frozenset(found[3].split())
                    shown.append((found[1] or "", found[2], flags, predicate[1] if predicate else ""))
            read = [
                (
                    each.result.name if each.result else "",
                    each.op,
                    each.flags & {"nuw", "nsw", "exact"},
                    each.predicate,
                )
                for each in instructions(function)
            ]
            assert read == [each for each in shown if each[1] != "]"], (source.name, name)


FIELDS = """packet token control control_address checksum gso ecn queue_recorded csum_start csum_offset
gso_size recorded_queue cpu"""


def test_layout_of_structs_is_the_compilers(tmp_path: Path) -> None:
    """Offsets and size of struct rp_net_frame are those that gcc gives them."""
    names = FIELDS.split()
    told = "".join(f'printf("%zu ", offsetof(struct rp_net_frame, {name}));' for name in names)
    source = f"""#include <stdio.h>
#include <stddef.h>
#include "net_header.h"
int main(void) {{ {told} printf("%zu", sizeof(struct rp_net_frame)); return 0; }}
unsigned use(const struct rp_net_frame *frame) {{ return frame->cpu; }}"""
    (tmp_path / "told.c").write_text(source)
    subprocess.run(["gcc", f"-I{C}", tmp_path / "told.c", "-o", tmp_path / "told"], check=True)
    shown = subprocess.run([tmp_path / "told"], capture_output=True, text=True, check=True).stdout
    module = read_ir(compile_ir(tmp_path / "told.c", [C]))
    (step,) = (each for each in instructions(module.functions["use"]) if each.op == "getelementptr")
    struct = step.source_type
    assert isinstance(struct, ir.StructType)
    assert struct.name == "struct.rp_net_frame"
    offsets = [offset for offset, _ in struct.fields[: len(names)]]
    assert [*offsets, struct.size] == [int(number) for number in shown.split()]


@pytest.fixture(scope="module")
def header() -> ir.Module:
    """The module of the virtio-net header."""
    return read_ir(compile_ir(C / "net_header.c", [C]))


def test_tables_are_read_whole(header: ir.Module) -> None:
    """The table of GSO kinds has the numbers and features its source has."""
    (kinds,) = header.globals.values()
    assert kinds.constant
    assert isinstance(kinds.initializer, ir.Aggregate)
    read = []
    for row in kinds.initializer.elements:
        if isinstance(row, ir.Zero):
            read.append((0, 0))
        else:
            assert isinstance(row, ir.Aggregate)
            numbers = [each for each in row.elements if isinstance(each, ir.Number)]
            read.append((numbers[0].value, numbers[-1].value))
    assert read == [(0, 0), (1, 1 << 11), (4, 1 << 12), (3, 1 << 14)]


def test_places_are_lines_of_the_source(header: ir.Module) -> None:
    """What loads head_length stands at the line that reads it, and everything stands somewhere."""
    lines = (C / "net_header.c").read_text().splitlines()
    wanted = next(i for i, line in enumerate(lines, 1) if "frame->packet->head_length" in line)
    function = header.functions["rp_net_header_write"]
    first = next(each for each in instructions(function) if each.op == "load")
    assert str(first.place) == f"net_header.c:{wanted} (rp_net_header_write)"
    assert all(each.place.line for each in instructions(function))


def test_operands_are_told_apart() -> None:
    """Numbers of all widths, null, undef, poison, globals and constant expressions are what the text says."""
    text = f"""{FRAME}
%s = type {{ i8, i64 }}
@g = external global [4 x %s]
@n = global i32* null
@f = global void ()* @h
@w = alias i32, getelementptr inbounds ([1 x i32], [1 x i32]* @v, i64 0, i64 0)
@v = internal constant [1 x i32] [i32 -2]
declare void @h()
define void @k(i128 %big, i128* %p, i64* %q, i32* %r, i1* %t) {{
  store i128 -1, i128* %p
  store i64 undef, i64* %q
  store i32 poison, i32* %r
  store i1 true, i1* %t
  store i64 9, i64* getelementptr inbounds ([4 x %s], [4 x %s]* @g, i64 0, i64 2, i32 1), align 2
  store i32 1, i32* @w
  ret void
}}
"""
    module = read_ir(text)
    struct = ir.StructType("s", ((0, ir.IntType(8)), (8, ir.IntType(64))), 16)
    assert module.globals["g"].type == ir.ArrayType(struct, 4, 64)
    assert module.globals["g"].initializer is None
    assert module.globals["n"].initializer == ir.Null()
    assert module.globals["f"].initializer == ir.FunctionAddress("h")
    stores = [each for each in instructions(module.functions["k"]) if each.op == "store"]
    big, number = ir.IntType(128), ir.IntType(64)
    assert [each.operands[0] for each in stores] == [
        ir.Number((1 << 128) - 1, big),
        ir.Undef(number),
        ir.Poison(ir.IntType(32)),
        ir.Number(1, ir.IntType(1)),
        ir.Number(9, number),
        ir.Number(1, ir.IntType(32)),
    ]
    address = stores[4].operands[1]
    assert isinstance(address, ir.Expression)
    assert (address.op, address.flags, address.source_type) == (
        "getelementptr",
        frozenset({"inbounds"}),
        ir.ArrayType(struct, 4, 64),
    )
    assert stores[4].align == 2
    target = stores[5].operands[1]
    assert isinstance(target, ir.Expression)
    assert target.operands[0] == ir.GlobalAddress("v")


def test_atomics_are_told_apart() -> None:
    """Orderings, volatile, scope and what an atomic does are read of each access and fence."""
    function = one("""  %x = load atomic i32, i32* %p monotonic, align 4
  store atomic volatile i32 %x, i32* %p release, align 4
  fence seq_cst
  fence syncscope("singlethread") acquire
  %y = atomicrmw umax i32* %p, i32 7 acq_rel, align 4
  %z = cmpxchg i32* %p, i32 1, i32 2 acquire monotonic, align 4
  %v = load volatile i32, i32* %p, align 2
  ret i32 %y""")
    read = [
        (each.op, each.ordering, each.volatile, each.predicate, "singlethread" in each.flags, each.align)
        for each in instructions(function)
    ]
    assert read[:-1] == [
        ("load", "monotonic", False, "", False, 4),
        ("store", "release", True, "", False, 4),
        ("fence", "seq_cst", False, "", False, 0),
        ("fence", "acquire", False, "", True, 0),
        ("atomicrmw", "acq_rel", False, "umax", False, 4),
        ("cmpxchg", "acquire", False, "", False, 4),
        ("load", "", True, "", False, 2),
    ]


def test_branches_name_blocks_and_cases() -> None:
    """Targets and cases of switches are in the same order, unnamed blocks have LLVM's numbers."""
    function = one("""  switch i32 %a, label %1 [ i32 -1, label %3
    i32 5, label %c ]
1:
  %2 = icmp eq i32 %b, 0
  br i1 %2, label %3, label %c
3:
  br label %c
c:
  %r = phi i32 [ 1, %0 ], [ %b, %1 ], [ 3, %3 ]
  ret i32 %r""")
    (switch,) = (each for each in instructions(function) if each.op == "switch")
    assert switch.targets == ("1", "3", "c")
    assert switch.cases == ((1 << 32) - 1, 5)
    assert function.entry == "0"
    branch = next(each for each in instructions(function) if each.op == "br" and each.operands)
    assert branch.targets == ("3", "c")
    phi = next(each for each in instructions(function) if each.op == "phi")
    assert [block for _, block in phi.incoming] == ["0", "1", "3"]


def test_ranges_calls_and_assembly() -> None:
    """A load's range, what a call calls, struct parameters by value, bundles and assembly are told."""
    text = f"""{FRAME}
%s = type {{ i64, i64, i64 }}
declare void @llvm.assume(i1)
declare i32 @h(%s* byval(%s))
define i32 @f(%s* byval(%s) %p, i32 ()* %c, i8* %b) {{
  %x = load i8, i8* %b, !range !1
  %y = load i8, i8* %b, !range !2
  %z = load i8, i8* %b, !range !3
  call void asm sideeffect "mfence", "~{{memory}}"()
  call void @llvm.assume(i1 true) [ "align"(i8* %b, i64 8) ]
  %u = call i32 @h(%s* byval(%s) %p)
  %v = call i32 %c()
  ret i32 %v
}}
!1 = !{{i8 0, i8 2}}
!2 = !{{i8 1, i8 0}}
!3 = !{{i8 0, i8 2, i8 4, i8 6}}
"""
    function = read_ir(text).functions["f"]
    assert [isinstance(each, ir.StructType) for each in function.by_value] == [True, False, False]
    x, y, z, assembly, assume, copied, called, _ = instructions(function)
    assert (x.range, y.range, z.range) == ((0, 2), (1, 256), None)
    assert z.op == "load with range of 0 2 4 6"
    assert assembly.callee == ir.InlineAssembly("mfence", "~{memory}", True)
    assert "bundle" in assume.flags
    assert copied.callee == ir.FunctionAddress("h")
    assert "byval" in copied.flags
    assert called.callee == ir.Local("c", ir.PointerType())


def test_loops_of_a_graph() -> None:
    """Nested loops, two back edges to one header, and a cycle with two entrances are what they are."""
    graph = {
        "entry": ("outer",),
        "outer": ("inner", "exit"),
        "inner": ("inner", "again"),
        "again": ("outer", "skip"),
        "skip": ("outer",),
        "exit": (),
        "dead": ("outer",),
    }
    found, irreducible = natural_loops(graph, "entry")
    assert found == {"outer": frozenset({"outer", "inner", "again", "skip"}), "inner": frozenset({"inner"})}
    assert list(found) == ["outer", "inner"]
    assert not irreducible
    found, irreducible = natural_loops({"entry": ("a", "b"), "a": ("b",), "b": ("a", "c"), "c": ()}, "entry")
    assert (found, irreducible) == ({}, True)


def test_text_of_a_function_is_a_key(tmp_path: Path) -> None:
    """A comment changes nothing; what it calls, its tables and structs do; what it doesn't reach doesn't."""
    parts = {
        "struct": "struct s { int a, b; };",
        "table": "static const int table[] = {1, 2, 3};",
        "callee": "__attribute__((noinline)) static int callee(int x) { return table[x] + 1; }",
        "other": "int other(int x) { return x; }",
        "f": "int f(struct s *s) { return callee(s->b) * 2; }",
    }

    def key(**changed: str) -> str:
        (tmp_path / "key.c").write_text("\n".join({**parts, **changed}.values()))
        return ir.function_text(read_ir(compile_ir(tmp_path / "key.c")), "f")

    same = key()
    assert key(struct="/* more */\n\n" + parts["struct"]) == same
    assert key(other="int other(int x) { return x + 1; }") == same
    assert key(table="static const int table[] = {1, 2, 4};") != same
    assert key(callee=parts["callee"].replace("+ 1", "+ 2")) != same
    assert key(struct="struct s { int a, c, b; };") != same
    assert key(f=parts["f"].replace("* 2", "* 3")) != same


def test_a_reader_does_not_keep_memory() -> None:
    """Reading a text many times leaves no more than a little memory behind."""
    text = compile_ir(C / "net_header.c", [C])

    def kibibytes() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    for _ in range(20):
        read_ir(text)
    before = kibibytes()
    for _ in range(60):
        read_ir(text)
    assert kibibytes() - before < 4096


GOOD = f"""{FRAME}
define i32 @f(i32 %a) {{
  %b = add i32 %a, 1
  ret i32 %b
}}
"""

BROKEN = {
    "no text": ("", "names no producer"),
    "bitcode": ("BC\u00c0\u00de" + GOOD, "bytes that no text has"),
    "zero bytes": (GOOD + "\0", "bytes that no text has"),
    "no producer": (GOOD.replace("!llvm.ident", "!other.ident"), "names no producer"),
    "newer clang": (GOOD.replace("14.0.6", "19.1.7"), "is of Debian clang version 19.1.7"),
    "other producer": (GOOD.replace("Debian clang version 14.0.6", "rustc 1.65"), "is of rustc 1.65"),
    "other target": (GOOD.replace("x86_64-pc-linux-gnu", "aarch64-linux-gnu"), "triple 'aarch64-linux-gnu'"),
    "no target": (re.sub("target triple.*", "", GOOD), "triple 'none'"),
    "other layout": (GOOD.replace("e-m:e", "E-m:e"), "datalayout 'E-m:e"),
    "layout twice": (GOOD + f'target datalayout = "{LAYOUT}"\n', "not told once"),
    "layout out of order": (GOOD + 'target ; here\n datalayout = "p999999999:64"\n', "not told once"),
    "cut off": (GOOD[: GOOD.index("ret")], "broken LLVM IR"),
    "nonsense": (GOOD.replace("add i32", "add add"), "broken LLVM IR"),
    "wrong type": (GOOD.replace("add i32 %a", "add i64 %a"), "broken LLVM IR"),
    "opaque pointers": (GOOD.replace("i32 %a)", "ptr %a)"), "broken LLVM IR"),
    "register used before": (GOOD.replace("i32 %a, 1", "i32 %b, 1"), "invalid LLVM IR"),
    "no terminator": (GOOD.replace("  ret i32 %b\n", ""), "broken LLVM IR"),
    "nested too deep": (GOOD + "@g = global " + "[1 x " * 100_000 + "i8" + "]" * 100_000, "nested deeper"),
    "struct within itself": (
        GOOD + "%r = type { %r }\ndefine void @k() {\n  %x = alloca %r\n  ret void\n}\n",
        "LLVM IR",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_no_ir_is_refused(broken: str) -> None:
    """Texts of others, for other machines, cut off or nonsensical are named in one line; nothing crashes."""
    given, said = BROKEN[broken]
    with pytest.raises(IRVersion) as raised:
        read_ir(given)
    message = str(raised.value)
    assert said in message
    assert "\n" not in message


def test_invalid_debug_information_is_refused_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    """LLVM's parser would print, or end the process, where debug information or code with it is invalid."""
    text = compile_ir(C / "net_header.c", [C])
    wrong = re.sub(r"!dbg !\d+$", "!dbg !0", text, count=3, flags=re.MULTILINE)
    with pytest.raises(IRVersion, match="debug information is not valid"):
        read_ir(wrong)
    entry = body_of(text, "rp_net_header_bytes")
    swapped = text.replace("\n".join(entry), "\n".join([entry[0], entry[2], entry[1], *entry[3:]]))
    assert swapped != text
    with pytest.raises(IRVersion, match="invalid LLVM IR"):
        read_ir(swapped)
    assert capfd.readouterr() == ("", "")


def test_texts_with_faults_are_read_or_refused() -> None:
    """Texts with lines lost, doubled or shuffled, or numbers changed, are read or refused: nothing else."""
    source = random.Random(5)
    lines = compile_ir(C / "net_header.c", [C]).split("\n")
    refused: list[str] = []
    for _ in range(120):
        changed = list(lines)
        index = source.randrange(len(lines))
        match source.randrange(4):
            case 0:
                del changed[index]
            case 1:
                changed.insert(index, source.choice(lines))
            case 2:
                words = changed[index].split(" ")
                source.shuffle(words)
                changed[index] = " ".join(words)
            case _:
                other = source.choice(("0", "1", "65", "4294967296", "18446744073709551616"))
                changed[index] = re.sub(r"\d+", other, changed[index], count=1)
        try:
            read_ir("\n".join(changed))
        except IRVersion as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert not any("\n" in message for message in refused)


def test_opcodes_have_the_names_of_the_text() -> None:
    """Each opcode's number in the C interface is the name that is printed."""
    found = Counter(
        each.op
        for each in instructions(
            one("""  %1 = udiv exact i32 %a, %b
  %2 = sdiv i32 %1, %b
  %3 = urem i32 %2, %b
  %4 = srem i32 %3, %b
  %5 = ashr i32 %4, %b
  %6 = freeze i32 %5
  %7 = insertvalue { i32, i8 } undef, i32 %6, 0
  %8 = extractvalue { i32, i8 } %7, 0
  %9 = ptrtoint i32* %p to i64
  %10 = inttoptr i64 %9 to i32*
  %11 = sitofp i32 %8 to double
  %12 = fptosi double %11 to i32
  %13 = fneg double %11
  %14 = insertelement <2 x i32> undef, i32 %12, i32 0
  %15 = shufflevector <2 x i32> %14, <2 x i32> undef, <2 x i32> <i32 1, i32 0>
  %16 = extractelement <2 x i32> %15, i32 1
  %17 = fcmp olt double %13, %11
  %18 = va_arg i8** null, i32
  br i1 %17, label %19, label %20
19:
  unreachable
20:
  ret i32 %16""")
        )
    )
    wanted = """udiv sdiv urem srem ashr freeze insertvalue extractvalue ptrtoint inttoptr sitofp fptosi fneg
    insertelement shufflevector extractelement fcmp va_arg br unreachable ret"""
    assert found == Counter(wanted.split())
