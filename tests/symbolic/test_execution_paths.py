"""Paths: how they part and end, what they are told, and what is refused."""

from typing import Any

import pytest
import z3

from ringproof.proofs.symbolic.environment import Answers, Environment
from ringproof.proofs.symbolic.errors import Unmodelled
from ringproof.proofs.symbolic.execution import CLAIMED, covered, execute
from ringproof.proofs.symbolic.ir import Function, Local, Place
from ringproof.proofs.symbolic.llvm import read_ir
from ringproof.proofs.symbolic.state import State
from ringproof.proofs.symbolic.values import NULL, UNDEFINED, Field, FunctionPointer, Object, Opaque, Pointer

from .snippets import HEAD, TAIL, f, failing, holds, run

X, Y, N = z3.Ints("x y n")


def start(*numbers: z3.ArithRef, bits: int = 32) -> State:
    """A state that knows these to be numbers of so many bits."""
    state = State()
    for number in numbers:
        state.within(number, 0, (1 << bits) - 1)
    return state


LOOP = """define i32 @f(i32 %n) {
entry:
  br label %head
head:
  %i = phi i32 [ 0, %entry ], [ %j, %body ]
  %a = phi i32 [ 1, %entry ], [ %b, %body ]
  %b = phi i32 [ 2, %entry ], [ %a, %body ]
  %c = icmp ult i32 %i, %n
  br i1 %c, label %body, label %end
body:
  %j = add i32 %i, 1
  br label %head
end:
  ret i32 %a
}
"""


def test_loops_are_unrolled_and_owe_their_end() -> None:
    """Phis change together; each number of rounds is a path; that there are no more than that is owed."""
    state = State()
    state.within(N, 0, 3)
    outcomes, owed = run(LOOP, [N], state)
    assert len(outcomes) == 4
    for outcome in outcomes:
        expected = z3.If(N % 2 == 0, 1, 2)
        assert holds(outcome.result == expected, *state.facts, *outcome.state.path)
    assert holds(covered(outcomes), *state.facts)
    assert not owed
    outcomes, owed = run(LOOP, [N], state, Environment(unwind=2))
    assert [(each.kind, each.goal) for each in owed] == [("unwinding", False)]
    assert len(outcomes) == 3
    assert holds(N == 3, *owed[0].facts, *owed[0].path)
    assert [outcome.result for outcome in run(LOOP, [41], State())[0]] == [2]


def test_loops_can_be_cut_at_their_heads() -> None:
    """The environment is asked at the first arrival and after each round, with the values there."""
    seen: list[tuple[str, bool, list[Any]]] = []

    class Cutting(Environment):
        def loop(
            self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
        ) -> list[tuple[State, dict[Local, Any]]] | None:
            """Go round once from anywhere."""
            seen.append((f"{function.name}.{header}", back, list(values.values())))
            if back:
                return []
            anywhere = next(local for local in values if local.name == "i")
            state.assume(z3.And(Y >= 0, Y <= N))
            return [(state, {anywhere: Y})]

    outcomes, _ = run(LOOP, [N], start(N), Cutting())
    assert [(where, back) for where, back, _ in seen] == [("f.head", False), ("f.head", True)]
    assert seen[0][2] == [0, 1, 2]
    assert holds(seen[1][2][0] == Y + 1, N < 1 << 32, Y < N)
    assert seen[1][2][1:] == [2, 1]
    (outcome,) = outcomes
    assert holds(Y == N, *outcome.state.path)


def test_switches_and_recursion() -> None:
    """A case is taken where the number is its own; a function that calls itself is followed, so far."""
    text = """define i32 @f(i32 %n) {
entry:
  switch i32 %n, label %more [ i32 0, label %none
                               i32 1, label %one ]
none:
  ret i32 7
one:
  ret i32 9
more:
  %m = sub i32 %n, 2
  %r = call i32 @f(i32 %m)
  ret i32 %r
}
"""
    state = State()
    state.within(N, 0, 5)
    outcomes, owed = run(text, [N], state)
    assert len(outcomes) == 6
    assert holds(covered(outcomes), *state.facts)
    for outcome in outcomes:
        assert holds(outcome.result == z3.If(N % 2 == 0, 7, 9), *outcome.state.facts, *outcome.state.path)
    assert not owed
    _, owed = run(text, [N], state, Environment(unwind=1))
    assert [(each.kind, each.goal) for each in owed] == [("unwinding", False)]


def test_undefined_values_spread_and_freeze() -> None:
    """What is computed from undef is undefined; frozen, it is any number; a select by it is undefined."""
    body = "%a = add i32 undef, %x\n%s = select i1 false, i32 %a, i32 3\n%b = freeze i32 %a\nret i32 "
    assert run(f("i32 %x", f"{body}%a", "i32"), [X], start(X))[0][0].result == UNDEFINED
    assert run(f("i32 %x", f"{body}%s", "i32"), [X], start(X))[0][0].result == 3
    (outcome,), _ = run(f("i32 %x", f"{body}%b", "i32"), [X], start(X))
    assert holds(z3.And(outcome.result >= 0, outcome.result < 1 << 32), *outcome.state.facts)
    outcomes, _ = run(
        f("i1 %c", "%a = select i1 %c, i32 undef, i32 3\nret i32 %a", "i32"), [z3.Bool("c")], State()
    )
    assert [outcome.result for outcome in outcomes] == [UNDEFINED, 3]
    assert "unreachable: this is never reached" in failing(f("", "unreachable"), [], State())


class Surroundings(Environment):
    """Hears of all that is shared, and answers calls."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard: list[Any] = []

    def load(self, state: State, made: Object, field: str, index: Any, place: Place) -> Answers | None:
        """A device that may have written 1 or 2."""
        self.heard.append(("load", made.name, field, index, place.file))
        return [(state.fork(), 1), (state, 2)]

    def store(
        self, state: State, made: Object, field: str, index: Any, value: Any, place: Place
    ) -> list[State] | None:
        """What held before is still held."""
        del place
        self.heard.append(("store", made.name, field, index, value, state.read(made, field)))
        return None

    def fence(self, state: State, ordering: str, place: Place) -> list[State]:
        """Taken down."""
        del place
        self.heard.append(("fence", ordering))
        return [state]

    def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Place) -> Answers:
        """Null or a number, by the path."""
        del place
        self.heard.append(("call", callee, arguments))
        return [(state.fork(), NULL), (state, Opaque(X))]


def test_the_environment_hears_of_what_is_shared() -> None:
    """Loads have its answers, stores come after it, fences and calls part paths as it says."""
    word = Object("word", (Field("value", 0, 2),), shared=True, size=2)
    state = State()
    pointer = state.add(word, {"value": 5})
    body = "fence seq_cst\n%v = load atomic volatile i16, i16* %p monotonic, align 2\n"
    body += "store volatile i16 9, i16* %p, align 2\nret i16 %v"
    around = Surroundings()
    outcomes, _ = run(f("i16* %p", body, "i16"), [pointer], state, around)
    assert [outcome.result for outcome in outcomes] == [1, 2]
    assert all(outcome.state.read(word, "value") == 9 for outcome in outcomes)
    assert state.read(word, "value") == 5
    assert [each[0] for each in around.heard] == ["fence", "load", "store", "store"]
    assert around.heard[2] == ("store", "word", "value", None, 9, 5)
    call = "%p = call i8* @fetch()\n%z = icmp eq i8* %p, null\nret i1 %z"
    outcomes, _ = run(f("", call, "i1"), [], State(), around)
    assert outcomes[0].result is True
    assert outcomes[1].result.eq(X == 0)
    ordered = f("i16* %p", "%v = load atomic i16, i16* %p acquire, align 2\nret i16 %v", "i16")
    with pytest.raises(Unmodelled, match="word with the ordering acquire"):
        run(ordered, [pointer], state, around)


def test_calls_go_where_the_pointer_says() -> None:
    """A pointer to a function of the module is followed, unless that is a stub; null isn't."""
    text = "define i32 @g(i32 %x) {\n%y = add i32 %x, 1\nret i32 %y\n}\n"
    text += f("i32 (i32)* %p", "%r = call i32 %p(i32 4)\nret i32 %r", "i32")
    assert run(text, [FunctionPointer("g")], State())[0][0].result == 5

    class Stub(Environment):
        def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Place) -> Answers:
            """Say who was called."""
            del place
            return [(state, 100 + arguments[0] if callee == "g" else 0)]

    stub = Stub(stubs=frozenset({"g"}))
    assert run(text, [FunctionPointer("g")], State(), stub)[0][0].result == 104
    assert run(text, [Opaque(X)], State(), stub)[0][0].result == 0
    assert "null: call by a null pointer" in failing(text, [NULL], State())
    with pytest.raises(Unmodelled, match="a call of h"):
        run(text, [FunctionPointer("h")], State())


def test_an_environment_may_execute_another_module() -> None:
    """A call that leaves the module goes on in another one, on the same path, and comes back."""
    other = read_ir(HEAD + "define i32 @double(i32 %x) {\n%y = shl i32 %x, 1\nret i32 %y\n}\n" + TAIL)

    class Linked(Environment):
        def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Place) -> Answers:
            """Look in the other module."""
            del place
            return [(each.state, each.result) for each in execute(other, callee, arguments, state, self)]

    text = "declare i32 @double(i32)\n"
    text += f("i32 %x", "%y = call i32 @double(i32 %x)\n%z = add i32 %y, 1\nret i32 %z", "i32")
    (outcome,), _ = run(text, [X], start(X), Linked())
    assert holds(outcome.result == (2 * X + 1) % (1 << 32), *outcome.state.facts)
    assert not outcome.state.frames


def test_ranges_and_flags_of_loads_are_owed() -> None:
    """A C bool outside 0 and 1 is a fault; one that is a conditional of 1 and 0 plainly isn't."""
    cell = Object("cell", (Field("value", 0, 1),), size=1)
    text = f("i8* %p", "%v = load i8, i8* %p, align 1, !range !7\n%c = icmp eq i8 %v, 0\nret i1 %c", "i1")
    text += "\n!7 = !{i8 0, i8 2}\n"
    state = State()
    pointer = state.add(cell, {"value": X})
    (_,), owed = run(text, [pointer], state)
    assert [(each.kind, str(each.goal)) for each in owed] == [("range", "x < 2")]
    flag = z3.Bool("flag")
    state.write(cell, "value", z3.If(flag, 1, 0))
    (outcome,), owed = run(text, [pointer], state)
    assert not owed
    assert outcome.result.eq(z3.Not(flag))


def test_global_tables_are_read_and_never_written() -> None:
    """A constant table has what its initializer says, by an unknown index too; to write it is a fault."""
    table = "@kinds = constant [3 x { i8, i32 }] [{ i8, i32 } zeroinitializer, { i8, i32 } { i8 1, i32 20 }, "
    table += "{ i8, i32 } { i8 2, i32 30 }]\n"
    entry = "%q = getelementptr inbounds [3 x { i8, i32 }], [3 x { i8, i32 }]* @kinds, i64 0, i64 %x, i32 1\n"
    (outcome,), owed = run(
        table + f("i64 %x", f"{entry}%v = load i32, i32* %q, align 4\nret i32 %v", "i32"), [X], start(X)
    )
    assert [str(each.goal) for each in owed] == ["x < 3"]
    assert holds(outcome.result == z3.If(X == 0, 0, 10 * X + 10), X >= 0, X < 3)
    write = table + f(
        "",
        "store i32 1, i32* getelementptr inbounds ([3 x { i8, i32 }], "
        "[3 x { i8, i32 }]* @kinds, i64 0, i64 1, i32 1), align 4\nret void",
    )
    assert "constant: kinds is written" in failing(write, [], State())


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("%v = atomicrmw add i32* %p, i32 1 monotonic\nret void", "the instruction atomicrmw"),
        ('call void asm sideeffect "nop", ""()\nret void', "inline assembly"),
        ("%v = ptrtoint i32* %p to i64\nret void", "the address of an object as a number"),
        ("%v = fadd double 1.0, 1.0\nret void", "the instruction fadd"),
    ],
)
def test_what_has_no_exact_meaning_is_refused(body: str, what: str) -> None:
    """Opcodes, assembly and addresses that aren't claimed are named, with the place."""
    cell = Object("cell", (Field("value", 0, 4),), size=4)
    state = State()
    pointer = state.add(cell, {"value": 0})
    with pytest.raises(Unmodelled, match=what) as found:
        run(f("i32* %p", body), [pointer], state)
    assert str(found.value).endswith("(f)")


def test_bad_requests_are_named() -> None:
    """No such function, other arguments, numbers that don't fit."""
    module = read_ir(HEAD + f("i8 %x", "ret void") + TAIL)
    for name, arguments, what in (
        ("g", [], "no function g"),
        ("f", [1, 2], "f takes 1 arguments, not 2"),
        ("f", [256], "256 is no number of i8"),
    ):
        with pytest.raises(ValueError, match=what):
            list(execute(module, name, arguments, State(), Environment()))
    assert {"add", "load", "llvm.memcpy", "llvm.bswap"} <= CLAIMED
    cell = Object("cell", (Field("value", 0, 1),), size=1)
    state = State()
    state.add(cell, {"value": 300})
    with pytest.raises(ValueError, match="a cell of 8 bits holds 300"):
        run(f("i8* %p", "%v = load i8, i8* %p, align 1\nret i8 %v", "i8"), [Pointer(cell)], state)
