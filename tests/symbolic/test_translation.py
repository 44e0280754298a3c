"""What the executor says compiled code does is what gcc's and clang's code does, for all that it claims."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import z3

from ringproof.proofs.symbolic import ir
from ringproof.proofs.symbolic.clang import compile_ir
from ringproof.proofs.symbolic.environment import Environment
from ringproof.proofs.symbolic.errors import Unmodelled
from ringproof.proofs.symbolic.execution import CLAIMED, execute
from ringproof.proofs.symbolic.llvm import read_ir
from ringproof.proofs.symbolic.memory import table, typed_object
from ringproof.proofs.symbolic.state import State

from .translation import Comparison, Subject, Watched, compare, modules
from .translation_corpus import corpus, drivers
from .translation_row import Row
from .translation_table import KINDS, ir_text, rows

# Samples of each function; more find more. Seeds differ by SEED, so that a long run need not repeat itself.
SAMPLES = int(os.environ.get("RINGPROOF_TRANSLATION_SAMPLES", "4"))
SEED = int(os.environ.get("RINGPROOF_TRANSLATION_SEED", "0"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All modules and libraries."""
    return modules(tmp_path_factory.mktemp("translation"))


def subject(row: Row) -> Subject:
    """A row of the table as a function to compare."""
    return Subject(row.name, row.parameters, row.result, defined=row.defined, terms=row.terms)


@pytest.mark.parametrize("kind", KINDS)
def test_every_opcode_is_what_the_processor_does(kind: str, built: dict[str, Any]) -> None:
    """Results agree and what is owed tells poison, for each opcode, width, flag and predicate."""
    found = []
    for row in KINDS[kind]():
        try:
            compare(Comparison(subject(row), *built["table"]), SAMPLES, SEED)
        except (AssertionError, Unmodelled) as error:
            found.append(f"{row.name}: {error}")
    assert not found


@pytest.mark.parametrize("function", corpus(), ids=lambda each: each.name)
def test_compiled_code_is_what_the_processor_does(function: Subject, built: dict[str, Any]) -> None:
    """Loops, jumps, memory, tables, calls and atomics: results and all of memory agree."""
    assert compare(Comparison(function, *built["corpus"]), SAMPLES, SEED)


@pytest.mark.parametrize("function", drivers(), ids=lambda each: each.name)
def test_drivers_are_what_the_processor_does(function: Subject, built: dict[str, Any]) -> None:
    """The header, scatter lists and the virtqueue itself: results and all of memory agree."""
    assert compare(Comparison(function, *built["drivers"]), SAMPLES, SEED)


def test_all_that_is_claimed_is_compared(built: dict[str, Any]) -> None:
    """Each opcode and intrinsic of the claim is executed by a function of the comparison."""
    Watched.executed.clear()
    subjects = [(subject(row), "table") for row in rows()]
    subjects += [(each, "corpus") for each in corpus()] + [(each, "drivers") for each in drivers()]
    for each, name in subjects:
        module, libraries = built[name]
        body = [one for block in module.functions[each.name].blocks.values() for one in block.instructions]
        ops = {one.callee.name if isinstance(one.callee, ir.FunctionAddress) else one.op for one in body}
        if not _claimed(ops) <= _claimed(Watched.executed):
            compare(Comparison(each, module, libraries), 1)
    assert CLAIMED - _claimed(Watched.executed) == frozenset()


def _claimed(executed: set[str]) -> set[str]:
    """The claims among what was executed: intrinsics without their types."""
    return {claim for claim in CLAIMED for name in executed if name == claim or name.startswith(f"{claim}.")}


UNCLAIMED = {
    "atomic update": ("int f(int *p) { return __atomic_fetch_add(p, 1, 5); }", "atomicrmw"),
    "compare and swap": ("int f(int *p, int a) { return __sync_bool_compare_and_swap(p, a, 1); }", "cmpxchg"),
    "assembly": ('int f(int a) { __asm__ volatile("nop" : "+r"(a)); return a; }', "assembly"),
    "floating point": ("int f(int a) { return (int)(a * 0.5f); }", "sitofp"),
    "unknown callee": ("int g(int); int f(int a) { return g(a) + 1; }", "call of g"),
    "variadic": (
        "int f(int n, ...) { __builtin_va_list l; __builtin_va_start(l, n); return n; }",
        "va_start",
    ),
    "intrinsic": ("unsigned f(unsigned a) { return __builtin_bitreverse32(a); }", "bitreverse"),
    "vector": (
        "typedef int v __attribute__((vector_size(16)));\nint f(v *p) { v x = *p + *p; return x[1]; }",
        "",
    ),
    "unknown memory": ("extern int g; int f(int a) { return g + a; }", "g"),
    "computed goto": (
        "int f(int a) { static void *t[] = {&&x, &&y}; goto *t[a & 1]; x: return a; y: return a * 7; }",
        "",
    ),
}


@pytest.mark.parametrize("what", UNCLAIMED)
def test_what_is_not_claimed_is_refused(what: str, tmp_path: Path) -> None:
    """Code that has no exact meaning here is named with function, file and line; it is never passed over."""
    source, named = UNCLAIMED[what]
    (tmp_path / "unclaimed.c").write_text(f"\n\n{source}\n")
    module = read_ir(compile_ir(tmp_path / "unclaimed.c", extra=["-Wno-everything"]))
    state = State()
    words = state.add(typed_object("words", ir.ArrayType(ir.IntType(32), 8, 32)), {"value": table([7] * 8)})
    parameters = module.functions["f"].parameters
    arguments = [
        words if each.type == ir.PointerType() else z3.Int(f"argument{position}")
        for position, each in enumerate(parameters)
    ]
    with pytest.raises(Unmodelled) as raised:
        list(execute(module, "f", arguments, state, Environment()))
    message = str(raised.value)
    assert named in message
    assert f"unclaimed.c:{3 + source.count(chr(10))} (f)" in message


WRONG = {
    "predicate": ("icmp_ult_16", "icmp ult", "icmp ule"),
    "sign": ("icmp_slt_32", "icmp slt", "icmp ult"),
    "opcode": ("add__64", "add  i64", "sub  i64"),
    "flag": ("add_nsw_32", "add nsw", "add"),
    "shift": ("lshr_16", "lshr", "ashr"),
    "extension": ("sext_8_32", "sext", "zext"),
    "constant": ("and_7_32", "%a, 7", "%a, 15"),
    "operands": ("sub__8", "%a, %b", "%b, %a"),
    "case": ("switch_16", "i16 -1,", "i16 -2,"),
    "targets": ("diamond_32", "label %yes, label %no", "label %no, label %yes"),
    "phi": (
        "swapped_phis_64",
        "%y = phi i64 [ %c, %0 ], [ %x, %body ]",
        "%y = phi i64 [ %c, %0 ], [ %y, %body ]",
    ),
    "intrinsic": ("smin_8", "smin", "umin"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_translation_is_noticed(wrong: str, built: dict[str, Any]) -> None:
    """IR read as if it said something else, in one word, is told from the native code within 60 samples."""
    name, word, other = WRONG[wrong]
    row = next(each for each in rows() if each.name == name)
    assert word in row.body
    module = read_ir(ir_text([dataclasses.replace(row, body=row.body.replace(word, other))]))
    with pytest.raises(AssertionError, match=name):
        compare(Comparison(subject(row), module, built["table"][1]), 60)
