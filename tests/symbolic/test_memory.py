"""Accesses mean the cells they should, and what must not be done to memory is owed."""

from typing import Any

import pytest
import z3

from ringproof.proofs.symbolic.environment import Answers, Environment
from ringproof.proofs.symbolic.errors import Unmodelled
from ringproof.proofs.symbolic.ir import ArrayType, IntType, Place, PointerType, StructType
from ringproof.proofs.symbolic.memory import table, typed_object
from ringproof.proofs.symbolic.state import State
from ringproof.proofs.symbolic.values import (
    NULL,
    UNDEFINED,
    Choice,
    Field,
    FunctionPointer,
    Object,
    Offset,
    Opaque,
    Pointer,
    choose,
)

from .snippets import f, failing, holds, run

N, J, X = z3.Ints("n i x")
AVAIL = Object(
    "avail",
    (
        Field("flags", 0, 2),
        Field("idx", 2, 2),
        Field("ring", 4, 2, 2, 0, N),
        Field("used_event", 4 + 2 * N, 2),
    ),
    size=6 + 2 * N,
)


def avail_state() -> tuple[State, Pointer]:
    """An avail ring of n entries."""
    state = State()
    state.within(N, 1, 32768)
    ring = z3.Function("ring", z3.IntSort(), z3.IntSort())
    contents = {"flags": 0, "idx": z3.Int("idx"), "ring": ring, "used_event": z3.Int("event")}
    return state, state.add(AVAIL, contents)


def test_elements_and_words_behind_them_are_told_apart() -> None:
    """The n-th entry is the word behind the ring, one before the first is idx; others have to be below n."""
    load = "%p = getelementptr inbounds i8, i8* %a, i64 4\n%q = bitcast i8* %p to i16*\n"
    load += "%r = getelementptr inbounds i16, i16* %q, i64 %i\n%v = load i16, i16* %r, align 2\nret i16 %v"
    text = f("i8* %a, i64 %i", load, "i16")
    state, pointer = avail_state()
    (outcome,), owed = run(text, [pointer, N], state)
    assert outcome.result.eq(z3.Int("event"))
    assert not owed
    (outcome,), owed = run(text, [pointer, J], state)
    assert str(outcome.result) == "ring(i)"
    assert [str(each.goal) for each in owed] == ["i < n"]
    (outcome,), _ = run(text, [pointer, (1 << 64) - 1], state)
    assert outcome.result.eq(z3.Int("idx"))
    assert "index of avail.ring at least 0" in failing(text, [pointer, (1 << 64) - 3], state)


def test_an_offset_that_fits_two_arrays_means_the_plain_one() -> None:
    """In one block, ``next`` of a descriptor could be a ring entry far behind; that it isn't is owed."""
    entries, ring = Field("next", 14, 2, 16, 0, N), Field("ring", 16 * N + 4, 2, 2, 0, N)
    block = Object("block", (ring, entries), size=18 * N + 6)
    state = State()
    state.within(N, 1, 32768)
    maps = {name: z3.Function(name, z3.IntSort(), z3.IntSort()) for name in ("next", "ring")}
    pointer = state.add(block, maps)
    step = "%q = getelementptr inbounds i8, i8* %p, i64 %i\n%r = bitcast i8* %q to i16*\n"
    text = f("i8* %p, i64 %i", f"{step}%v = load i16, i16* %r, align 2\nret i16 %v", "i16")
    (outcome,), owed = run(text, [pointer, 16 * J + 14], state)
    assert str(outcome.result) == "next(i)"
    assert [str(each.goal) for each in owed[:2]] == ["i >= 0", "i < n"]
    (outcome,), _ = run(text, [pointer, 16 * N + 4 + 2 * J], state)
    assert str(outcome.result) == "ring(i)"


def test_wrong_sizes_and_places_are_owed() -> None:
    """Four bytes where words are shared, an odd address, a place without a cell: no path is left."""
    state, _ = avail_state()
    shared = Object("shared", (Field("flags", 0, 2), Field("idx", 2, 2)), shared=True, size=4)
    pointer = state.add(shared, {"flags": 1, "idx": 2})
    whole = f("i32* %a", "%v = load i32, i32* %a, align 4\nret i32 %v", "i32")
    assert "shared has no 4 bytes at offset 0" in failing(whole, [pointer], state)
    word = f("i16* %a", "%v = load i16, i16* %a, align 2\nret i16 %v", "i16")
    assert "no 2 bytes at offset 8" in failing(word, [Pointer(shared, Offset(8))], state)
    strict = f("i16* %a", "%v = load i16, i16* %a, align 8\nret i16 %v", "i16")
    assert "aligned: address in shared a multiple of 8" in failing(
        strict, [Pointer(shared, Offset(2))], state
    )


def test_null_undefined_freed_and_constant_objects() -> None:
    """Each way to go wrong has its name, and ends the path."""
    cell = Object("cell", (Field("value", 0, 4),), size=4)
    fixed = Object("fixed", (Field("value", 0, 4),), size=4, constant=True)
    state = State()
    pointer, other = state.add(cell, {"value": UNDEFINED}), state.add(fixed, {"value": 1})
    store = f("i32* %a", "store i32 7, i32* %a, align 4\nret void")
    assert "null: access by a null pointer" in failing(store, [NULL], state)
    assert "null: access by a null pointer" in failing(store, [FunctionPointer("f")], state)
    assert "uninitialised: address" in failing(store, [UNDEFINED], state)
    assert "constant: fixed is written" in failing(store, [other], state)
    branch = "%v = load i32, i32* %a, align 4\n%c = icmp eq i32 %v, 0\n"
    text = f("i32* %a", f"{branch}br i1 %c, label %x, label %y\nx:\nret void\ny:\nret void")
    assert "uninitialised: what decides a branch" in failing(text, [pointer], state)
    call = "%v = load i32, i32* %a, align 4\n%w = zext i32 %v to i64\n%p = inttoptr i64 %w to i8*\n"
    text = f("i32* %a", f"{call}call void @outside(i8* %p)\nret void")
    assert "uninitialised: argument of a call" in failing(text, [pointer], state)
    state.freed |= {cell}
    assert "freed: cell is used after its end" in failing(store, [pointer], state)


def test_variables_die_with_their_function_and_scope() -> None:
    """A pointer to a local must not be followed after its lifetime, or after the return."""
    local = "%v = alloca i32, align 4\n"
    inner = f"define i32* @g() {{\n{local}store i32 1, i32* %v, align 4\nret i32* %v\n}}\n"
    text = inner + f("", "%p = call i32* @g()\n%w = load i32, i32* %p, align 4\nret i32 %w", "i32")
    assert "freed: g.v is used after its end" in failing(text, [], State())
    scope = f"{local}%p = bitcast i32* %v to i8*\ncall void @llvm.lifetime.start.p0i8(i64 4, i8* %p)\n"
    scope += "store i32 1, i32* %v, align 4\ncall void @llvm.lifetime.end.p0i8(i64 4, i8* %p)\n"
    text = f("", f"{scope}%w = load i32, i32* %v, align 4\nret i32 %w", "i32")
    assert "freed: f.v is used after its end" in failing(text, [], State())


def test_parts_of_numbers_are_little_endian() -> None:
    """A variable of 8 bytes is written and read in parts, in full, across; the rest is undefined."""
    body = "%v = alloca i64, align 8\n%a = bitcast i64* %v to i32*\n"
    body += "%b = getelementptr inbounds i32, i32* %a, i64 1\nstore i32 %x, i32* %a, align 4\n"
    half = body + "%w = load i64, i64* %v, align 8\nret i64 %w"
    state = State()
    state.within(X, 0, (1 << 32) - 1)
    (outcome,), _ = run(f("i32 %x", half, "i64"), [X], state)
    assert outcome.result == UNDEFINED
    body += "store i32 5, i32* %b, align 4\n%m = bitcast i64* %v to i8*\n"
    body += "%n = getelementptr inbounds i8, i8* %m, i64 2\n%o = bitcast i8* %n to i32*\n"
    across = body + "%w = load i32, i32* %o, align 2\nret i32 %w"
    whole = body + "%w = load i64, i64* %v, align 8\nret i64 %w"
    for text, result, expected in (
        (across, "i32", (X + 5 * (1 << 32)) / (1 << 16) % (1 << 32)),
        (whole, "i64", X + 5 * (1 << 32)),
    ):
        (outcome,), _ = run(f("i32 %x", text, result), [X], state)
        assert holds(outcome.result == expected, *state.facts)


def test_pointers_in_maps_are_numbers_and_come_back() -> None:
    """A map of numbers holds an object's handle; the same term is the object again, another one is opaque."""
    handle = z3.Int("handle")
    data = Object("data", (Field("token", 0, 8, 8, 0, N, "pointer"),), size=8 * N)
    frame = Object("frame", (Field("value", 0, 4),), size=4, handle=handle)
    state = State()
    state.within(N, 2, 16)
    tokens = z3.Function("tokens", z3.IntSort(), z3.IntSort())
    pointer, other = state.add(data, {"token": tokens}), state.add(frame, {"value": 7})
    put = "%c = getelementptr inbounds i8*, i8** %d, i64 1\nstore i8* %f, i8** %c, align 8\n"
    back = put + "%t = load i8*, i8** %c, align 8\n%p = bitcast i8* %t to i32*\n"
    back += "%v = load i32, i32* %p, align 4\nret i32 %v"
    (outcome,), _ = run(f("i8** %d, i8* %f", back, "i32"), [pointer, other], state)
    assert outcome.result == 7
    assert outcome.state.read(data, "token")(1).eq(handle)
    elsewhere = put + "%t = load i8*, i8** %d, align 8\n%z = icmp eq i8* %t, null\nret i1 %z"
    (outcome,), _ = run(f("i8** %d, i8* %f", elsewhere, "i1"), [pointer, other], state)
    assert outcome.result.eq(tokens(0) == 0)


def test_a_pointer_that_may_be_any_of_some_splits_the_path() -> None:
    """Followed, it is each object that it can be in turn; that it is one of them is owed."""
    state = State()
    cells = [Object(f"cell{k}", (Field("value", 0, 4),), size=4, handle=k) for k in (1, 2)]
    for number, made in enumerate(cells):
        state.add(made, {"value": 10 + number})
    text = f("i32* %a", "%v = load i32, i32* %a, align 4\nret i32 %v", "i32")
    outcomes, owed = run(text, [Opaque(X)], state)
    assert sorted(outcome.result for outcome in outcomes) == [10, 11]
    assert [each.kind for each in owed] == ["null", "in-bounds"]
    assert holds(z3.And(X != 0, z3.Or(X == 1, X == 2)), owed[0].goal, owed[1].goal)
    flag = z3.Bool("flag")
    state = State()
    holder = Object("holder", (Field("value", 0, 8, kind="pointer"),), size=8)
    pointer = state.add(holder, {"value": Choice(flag, FunctionPointer("g"), NULL)})
    text = f("i8** %a", "%v = load i8*, i8** %a, align 8\n%z = icmp eq i8* %v, null\nret i1 %z", "i1")
    outcomes, _ = run(text, [pointer], state)
    assert [(outcome.result, outcome.state.path) for outcome in outcomes] == [
        (False, (flag,)),
        (True, (z3.Not(flag),)),
    ]


def test_steps_that_leave_the_object_are_owed_where_they_matter() -> None:
    """Outside and back inside: nothing is owed for the steps, all for the access, or where it is told."""
    cell = Object("cell", (Field("bytes", 0, 1, 1, 0, 8),), size=8)
    state = State()
    pointer = state.add(cell, {"bytes": z3.Function("b", z3.IntSort(), z3.IntSort())})
    out = "%p = getelementptr inbounds i8, i8* %a, i64 %i\n"
    unused = f("i8* %a, i64 %i", f"{out}ret void")
    (_,), owed = run(unused, [pointer, J], state)
    assert not owed
    back = out + "%m = sub i64 3, %i\n%q = getelementptr inbounds i8, i8* %p, i64 %m\n"
    text = f("i8* %a, i64 %i", f"{back}%v = load i8, i8* %q, align 1\nret i8 %v", "i8")
    (outcome,), owed = run(text, [pointer, J], state)
    assert str(outcome.result) == "b(3)"
    assert holds(J <= 8, J >= 0, *(each.goal for each in owed))
    told = f("i8* %a, i64 %i", f"{out}call void @outside(i8* %p)\nret void")

    class Listening(Environment):
        def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Place) -> Answers:
            """Any call is fine."""
            del callee, arguments, place
            return [(state, None)]

    kept = f("i8* %a, i64 %i, i8** %k", f"{out}store i8* %p, i8** %k, align 8\nret void")
    keeper = Object("keeper", (Field("value", 0, 8, kind="pointer"),), size=8)
    for text, arguments in ((told, []), (kept, [state.add(keeper, {"value": NULL})])):
        (_,), owed = run(text, [pointer, J, *arguments], state, Listening())
        assert [str(each.goal) for each in owed] == ["i <= 8"]


def test_blocks_are_filled_and_copied() -> None:
    """Zeros over all of an object, over some elements; copies by a size that isn't known, field by field."""
    source = Object("source", (Field("bytes", 0, 1, 1, 0, 16),), size=16)
    target = Object("target", (Field("bytes", 0, 1, 1, 0, 32),), size=32)
    state = State()
    state.within(N, 0, 8)
    a, b = (z3.Function(name, z3.IntSort(), z3.IntSort()) for name in "ab")
    to, of = state.add(target, {"bytes": b}), state.add(source, {"bytes": a})
    fill = "call void @llvm.memset.p0i8.i64(i8* %p, i8 0, i64 %n, i1 false)\nret void"
    (outcome,), owed = run(f("i8* %p, i64 %n", fill), [Pointer(target, Offset(4)), N], state)
    after = outcome.state.read(target, "bytes")
    assert not owed
    assert holds(after(J) == z3.If(z3.And(J >= 4, J < 4 + N), 0, b(J)), *state.facts, J >= 0, J < 32)
    (outcome,), _ = run(f("i8* %p, i64 %n", fill), [to, 32], state)
    assert outcome.state.read(target, "bytes")(J) == 0
    assert "block behind target" in failing(f("i8* %p, i64 %n", fill), [to, 33], state)
    copy = "call void @llvm.memcpy.p0i8.p0i8.i64(i8* %p, i8* %q, i64 %n, i1 false)\nret void"
    arguments = [Pointer(target, Offset(10)), Pointer(source, Offset(2)), N]
    (outcome,), owed = run(f("i8* %p, i8* %q, i64 %n", copy), arguments, state)
    after = outcome.state.read(target, "bytes")
    expected = z3.If(z3.And(J >= 10, J < 10 + N), a(J - 8), b(J))
    assert all(holds(each.goal, *each.facts, *each.path) for each in owed)
    assert holds(after(J) == expected, *state.facts, J >= 0, J < 32)
    (outcome,), owed = run(f("i8* %p, i8* %q, i64 %n", copy), [to, NULL, N], state)
    assert [str(each.goal) for each in owed] == ["n == 0"]
    assert outcome.state.read(target, "bytes") is b
    overlapping = [to, Pointer(target, Offset(1)), 4]
    assert "apart" in failing(f("i8* %p, i8* %q, i64 %n", copy), overlapping, state)
    (outcome,), _ = run(f("i8* %p, i8* %q, i64 %n", copy), [to, of, 3], state)
    after = outcome.state.read(target, "bytes")
    assert [str(after(k)) for k in (0, 2, 3)] == ["a(0)", "a(2)", "b(3)"]


def test_parts_of_cells_in_blocks_are_refused() -> None:
    """A memset that ends within a cell of 8 bytes has no exact meaning here."""
    made = Object("records", (Field("link", 0, 8, 16, 0, 4), Field("length", 8, 4, 16, 0, 4)), size=64)
    state = State()
    pointer = state.add(made, {"link": table([1, 2, 3, 4]), "length": table([5, 6, 7, 8])})
    fill = "call void @llvm.memset.p0i8.i64(i8* %p, i8 0, i64 %n, i1 false)\nret void"
    text = f("i8* %p, i64 %n", fill)
    with pytest.raises(Unmodelled, match=r"part of an element of records\.link"):
        run(text, [pointer, 20], state)
    (outcome,), _ = run(text, [pointer, 28], state)
    assert [outcome.state.read(made, "link")(k) for k in range(4)] == [0, 0, 3, 4]
    assert [outcome.state.read(made, "length")(k) for k in range(4)] == [0, 0, 7, 8]
    (outcome,), _ = run(text, [Pointer(made, Offset(8)), 24], state)
    assert [outcome.state.read(made, "link")(k) for k in range(4)] == [1, 0, 3, 4]
    assert [outcome.state.read(made, "length")(k) for k in range(4)] == [0, 0, 7, 8]


def test_objects_of_a_type_and_what_they_are_called() -> None:
    """Paths of nested structs and arrays, names for them, flexible members, pointers."""
    byte, word, pointer = IntType(8), IntType(32), PointerType()
    inner = StructType("inner", ((0, word), (8, pointer)), 16)
    row = ArrayType(byte, 2, 2)
    outer = StructType(
        "outer",
        (
            (0, inner),
            (16, ArrayType(inner, 3, 48)),
            (64, row),
            (66, ArrayType(row, 2, 4)),
            (72, ArrayType(inner, 0, 0)),
        ),
        72,
    )
    made = typed_object("made", outer, names={"0": "head", "4": "tail"}, counts={"4": N})
    told = {
        each.name: (each.offset.number(), each.bytes, each.stride, each.count, each.kind)
        for each in made.fields
    }
    assert told == {
        "head.0": (0, 4, 0, 1, "int"),
        "head.1": (8, 8, 0, 1, "pointer"),
        "1.0": (16, 4, 16, 3, "int"),
        "1.1": (24, 8, 16, 3, "pointer"),
        "2": (64, 1, 1, 2, "int"),
        "3.[0]": (66, 1, 2, 2, "int"),
        "3.[1]": (67, 1, 2, 2, "int"),
        "tail.0": (72, 4, 16, N, "int"),
        "tail.1": (80, 8, 16, N, "pointer"),
    }
    assert made.size is None
    assert [each.name for each in typed_object("row", word, count=4).fields] == ["value"]
    with pytest.raises(KeyError, match="made has no field x"):
        made.field("x")


def test_what_no_term_can_choose_is_a_choice() -> None:
    """Terms become a conditional, the same value stays, all else is left to be split on."""
    flag = z3.Bool("flag")
    assert choose(flag, 1, X).eq(z3.If(flag, 1, X))
    assert choose(flag, NULL, NULL) == NULL
    assert choose(flag, UNDEFINED, X) == Choice(flag, UNDEFINED, X)
    assert choose(True, X, NULL) is X
