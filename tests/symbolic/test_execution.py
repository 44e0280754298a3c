"""The executor on the shipped virtqueue: how an execution is set up, and what comes of it.

What surrounds the code is an ``Environment``; what it starts from is a ``State``. For rp_vq_kick_prepare of
every queue size at once::

    module = read_ir(compile_ir(Path("virtqueue.c")))
    size = z3.Int("N")

    # Objects: by hand, where offsets depend on N ...
    used = Object(
        "used",
        (
            Field("flags", 0, 2),
            Field("idx", 2, 2),
            Field("id", 4, 4, stride=8, count=size),  # cells 4 + 8 * i for 0 <= i < N
            Field("len", 8, 4, stride=8, count=size),
            Field("avail_event", 4 + 8 * size, 2),
        ),
        shared=True,  # then Environment.load and .store hear of each access
        size=6 + 8 * size,
    )
    # ... or of a type of the IR: fields are called "0", "1", ... unless ``names`` says otherwise.
    queue = typed_object("vq", struct_of(module, "struct.rp_vq"), names={"0": "desc", "1": "avail"})

    state = State()
    state.within(size, 1, 32768)  # a fact, and intervals for arithmetic; State.know for other facts
    # Contents: a value for each field, a callable from index to value if it is an array.
    state.add(used, {"flags": z3.Int("flags"), "id": z3.Function("id", z3.IntSort(), z3.IntSort()), ...})
    state.add(queue, {"used": Pointer(used), "event_idx": z3.If(z3.Bool("event_idx"), 1, 0), ...})

    class Surroundings(Environment):
        def mask(self, state, one, other, width, place):  # idx & (N - 1), in code: idx & (N + 65535)
            return one % size if other.eq(size + 65535) else None

        def loop(self, state, function, header, values, back):  # cut: prove the invariant, start anywhere
            ...
        def call(self, state, callee, arguments, place):  # "read_segment", or the Opaque pointer called
            return [(state, Opaque(z3.FreshInt("cursor")))]

    environment = Surroundings()
    for outcome in execute(module, "rp_vq_kick_prepare", [Pointer(queue)], state, environment):
        outcome.result  # a flag: i1; numbers of iW are in [0, 2^W)
        outcome.state.path  # the conditions under which this is what happens
        outcome.state.read(queue, "num_added")  # what it left
    environment.obligations  # each: facts and path imply the goal, or behaviour is undefined
"""

from pathlib import Path
from typing import Any

import pytest
import z3

from ringproof.impl import c
from ringproof.proofs.symbolic.clang import compile_ir
from ringproof.proofs.symbolic.environment import Answers, Environment
from ringproof.proofs.symbolic.execution import covered, execute
from ringproof.proofs.symbolic.ir import Local, Module, Place, StructType
from ringproof.proofs.symbolic.llvm import read_ir
from ringproof.proofs.symbolic.memory import typed_object
from ringproof.proofs.symbolic.state import Obligation, State
from ringproof.proofs.symbolic.values import (
    NULL,
    UNDEFINED,
    Field,
    FunctionPointer,
    Object,
    Opaque,
    Pointer,
)

SIZE = z3.Int("N")
NAMES = (
    "desc,avail,used,data,queue_size,num_free,free_head,num_added,last_used_idx,queue_index,broken,indirect,"
    "event_idx,little_endian,mended,callbacks,ops,context"
)


@pytest.fixture(scope="module")
def module() -> Module:
    """The shipped virtqueue.c."""
    return read_ir(compile_ir(Path(c.__path__[0]) / "virtqueue.c"))


def struct_of(module: Module, name: str) -> StructType:
    """A named struct that some getelementptr of the module steps over."""
    for function in module.functions.values():
        for block in function.blocks.values():
            for instruction in block.instructions:
                if isinstance(instruction.source_type, StructType) and instruction.source_type.name == name:
                    return instruction.source_type
    raise KeyError(name)


def objects(module: Module) -> dict[str, Object]:
    """The ring parts, the driver's records and the queue, of size N."""
    ring = (Field("flags", 0, 2), Field("idx", 2, 2))
    entries = tuple(
        Field(name, offset, size, 16, 0, SIZE)
        for name, offset, size in (("addr", 0, 8), ("len", 8, 4), ("flags", 12, 2), ("next", 14, 2))
    )
    avail = (Field("ring", 4, 2, 2, 0, SIZE), Field("used_event", 4 + 2 * SIZE, 2))
    used = (
        Field("id", 4, 4, 8, 0, SIZE),
        Field("len", 8, 4, 8, 0, SIZE),
        Field("avail_event", 4 + 8 * SIZE, 2),
    )
    data = tuple(
        Field(name, 8 * position, 8, 24, 0, SIZE, kind)
        for position, (name, kind) in enumerate(
            (("token", "pointer"), ("table", "pointer"), ("table_bytes", "int"))
        )
    )
    names = {str(position): name for position, name in enumerate(NAMES.split(","))}
    ops = ("allocate", "release", "notify", "callback", "read_segment")
    return {
        "desc": Object("desc", entries, True, 16 * SIZE),
        "avail": Object("avail", ring + avail, True, 6 + 2 * SIZE),
        "used": Object("used", ring + used, True, 6 + 8 * SIZE),
        "data": Object("data", data, size=24 * SIZE),
        "ops": Object("ops", tuple(Field(n, 8 * i, 8, kind="pointer") for i, n in enumerate(ops))),
        "vq": typed_object("vq", struct_of(module, "struct.rp_vq"), names=names),
        "token": Object("token", (Field("value", 0, 8, kind="pointer"),), size=8),
        "length": Object("length", (Field("value", 0, 4),), size=4),
    }


def begin(made: dict[str, Object]) -> State:
    """A state of which nothing is known but that it is one."""
    state = State()
    state.within(SIZE, 1, 32768)
    for name in ("desc", "avail", "used", "data"):
        contents = {
            field.name: z3.Function(f"{name}.{field.name}", z3.IntSort(), z3.IntSort())
            if field.stride
            else z3.Int(f"{name}.{field.name}")
            for field in made[name].fields
        }
        state.add(made[name], contents)
    state.add(made["ops"], {field.name: FunctionPointer(field.name) for field in made["ops"].fields})
    held: dict[str, Any] = {
        field.name: z3.If(z3.Bool(field.name), 1, 0) if field.bytes == 1 else z3.Int(field.name)
        for field in made["vq"].fields
    }
    held |= {name: Pointer(made[name]) for name in ("desc", "avail", "used", "data", "ops")}
    state.add(made["vq"], held | {"queue_size": SIZE, "context": Opaque(z3.Int("context"))})
    state.add(made["token"], {"value": UNDEFINED})
    state.add(made["length"], {"value": UNDEFINED})
    return state


class Surroundings(Environment):
    """Loops are cut and begun anywhere; callbacks do what they like."""

    cuts = 0

    def mask(self, state: State, one: Any, other: Any, width: int, place: Place) -> Any:
        """A remainder by the queue size."""
        for index, mask in ((one, other), (other, one)):
            if isinstance(mask, z3.ArithRef) and mask.eq(SIZE + 65535):
                return index % SIZE
        return super().mask(state, one, other, width, place)

    def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Place) -> Answers:
        """The operations of the queue's user."""
        del place
        if callee == "allocate":
            return [(state, NULL)]
        if callee == "read_segment":
            for name in ("0", "1"):
                state.write(arguments[1].object, name, z3.FreshInt(name))
            return [(state, Opaque(z3.FreshInt("cursor")))]
        assert callee in ("notify", "release")
        return [(state, None)]

    def loop(
        self, state: State, function: Any, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Any values at the first arrival, no further path at a second."""
        del function, header
        if back:
            self.cuts += 1
            return []
        for local, value in values.items():
            if isinstance(value, int | z3.ArithRef):
                values[local] = z3.FreshInt(local.name)
            elif isinstance(value, Opaque):
                values[local] = Opaque(z3.FreshInt(local.name))
        return [(state, values)]


def valid(obligation: Obligation) -> bool:
    """Whether it is met, as Z3 says."""
    solver = z3.Solver()
    solver.add(*obligation.facts, *obligation.path)
    solver.add(z3.Not(obligation.goal) if isinstance(obligation.goal, z3.BoolRef) else not obligation.goal)
    return bool(solver.check() == z3.unsat)


def test_kick_prepare_of_every_size(module: Module) -> None:
    """Two paths, one for each way of being told; the words behind the rings are found where N says."""
    made = objects(module)
    environment = Surroundings()
    outcomes = list(execute(module, "rp_vq_kick_prepare", [Pointer(made["vq"])], begin(made), environment))
    event = z3.Int("avail.idx") - z3.Int("used.avail_event") - 1
    assert {str(outcome.result) for outcome in outcomes} == {
        str(event % 65536 < z3.Int("num_added")),
        str(z3.Int("used.flags") % 2 == 0),
    }
    assert all(outcome.state.read(made["vq"], "num_added") == 0 for outcome in outcomes)
    assert all(valid(obligation) for obligation in environment.obligations)
    solver = z3.Solver()
    solver.add(z3.Not(covered(outcomes)))
    assert solver.check() == z3.unsat


@pytest.mark.parametrize(
    ("name", "arguments", "cuts"),
    [
        ("rp_vq_add", (Opaque(z3.Int("segments")), z3.Int("out"), z3.Int("in"), Opaque(z3.Int("cookie"))), 4),
        ("rp_vq_get_buf", ("token", "length"), 2),
        ("rp_vq_detach_unused_buf", (), 3),
        ("rp_vq_enable_cb_delayed", (), 0),
    ],
)
def test_the_virtqueue_of_every_size(
    module: Module, name: str, arguments: tuple[Any, ...], cuts: int
) -> None:
    """Functions run to their ends; what they return is of the kinds they name; nothing owed is false."""
    made = objects(module)
    environment = Surroundings()
    values = [Pointer(made[each]) if isinstance(each, str) else each for each in arguments]
    outcomes = list(execute(module, name, [Pointer(made["vq"]), *values], begin(made), environment))
    assert environment.cuts == cuts
    numbers = {outcome.result for outcome in outcomes if isinstance(outcome.result, int)}
    codes = {(1 << 32) - number for number in (5, 22, 28)}
    assert numbers <= {0, 1, *codes}
    assert not any(obligation.goal is False for obligation in environment.obligations)
    # What isn't met needs an invariant: heads and links are below N, and so is the number of rounds.
    unmet = {str(each).partition(": ")[2] for each in environment.obligations if not valid(each)}
    assert all("desc." in each or "data." in each or each == "no-wrap: add nuw i32" for each in unmet), unmet


def test_a_get_buf_leaves_what_it_read(module: Module) -> None:
    """A path of success: token and length are handed out, the index moves on, the slot is idx mod N."""
    made = objects(module)
    arguments = [Pointer(made[each]) for each in ("vq", "token", "length")]
    outcomes = [
        outcome
        for outcome in execute(module, "rp_vq_get_buf", arguments, begin(made), Surroundings())
        if outcome.result == 1
    ]
    index = z3.Int("last_used_idx")
    ids, lengths, tokens = (
        z3.Function(name, z3.IntSort(), z3.IntSort()) for name in ("used.id", "used.len", "data.token")
    )
    assert outcomes
    for outcome in outcomes:
        state, head = outcome.state, ids(index % SIZE)
        assert state.read(made["token"], "value").term.eq(tokens(head))
        assert state.read(made["length"], "value").eq(lengths(index % SIZE))
        assert state.read(made["vq"], "last_used_idx").eq((index + 1) % 65536)
        assert state.read(made["data"], "token")(head) == 0
        other = z3.Int("other")
        kept = z3.Implies(other != head, state.read(made["data"], "token")(other) == tokens(other))
        assert z3.simplify(z3.Not(kept)).eq(z3.BoolVal(False)) or valid(
            Obligation("kept", "", Place("f", "f.c", 1), state.path, kept)
        )
