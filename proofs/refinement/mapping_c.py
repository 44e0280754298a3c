"""scatterlist.c against the model's walk: packets of some shapes, with sizes and addresses of any value."""

from collections.abc import Iterator
from typing import Any

import z3

from ...model.scatterlist import MAX_SKB_FRAGS, PAGE
from ..discharge import ObligationResult
from ..symbolic.environment import Environment
from ..symbolic.execution import Outcome, execute
from ..symbolic.ir import Module
from ..symbolic.memory import table, typed_object
from ..symbolic.state import State
from ..symbolic.values import NULL, Field, Object, Pointer
from .deciding import Question, decide
from .mapping_entries import Table, table_of, whole
from .mapping_objects import key_of, module_of, names_of, owed, struct_object, struct_of
from .mapping_walk import WORD, Shape, Sized, Walked, shown, sized, walk
from .refinement import Code

SOURCE = "scatterlist.c"
EMSGSIZE, EINVAL = WORD - 90, WORD - 22
MOST = 1 + MAX_SKB_FRAGS
"""Pieces that the driver's table has room for beside the header."""

DEEPEST = 65
"""Levels of a tree of packets that are followed."""


def key(code: Code, *functions: str) -> str:
    """Return the IR that the questions are made of."""
    return key_of(code.c, SOURCE, *functions)


def check(code: Code, shape: Shape) -> list[ObligationResult]:
    """Compare rp_skb_to_sgvec, rp_skb_copy and rp_skb_pieces on packets of one shape."""
    module = module_of(code.c, SOURCE)
    found = [*_sgvec(module, shape), *_copy(module, shape), *_pieces(module, shape)]
    return [decide(question, finite=True) for question in found]


def check_limits(code: Code) -> list[ObligationResult]:
    """Compare rp_skb_pieces on packets at its limits: fragments, pieces, levels."""
    module = module_of(code.c, SOURCE)
    found: list[Question] = []
    for shape in (
        Shape(MAX_SKB_FRAGS),
        Shape(MAX_SKB_FRAGS, (Shape(),)),
        Shape(MAX_SKB_FRAGS + 1),
        Shape(0, (Shape(MAX_SKB_FRAGS + 1),)),
    ):
        found += _pieces(module, shape)
    for levels in (DEEPEST, DEEPEST + 1):
        found += _pieces(module, _nested(levels), hollow=True)
    return [decide(question, finite=True) for question in found]


def _nested(levels: int) -> Shape:
    shape = Shape()
    for _ in range(levels - 1):
        shape = Shape(0, (shape,))
    return shape


# Memory.


def _put_packet(module: Module, state: State, packet: Sized, following: Any = NULL) -> Pointer:
    """Put a packet and those inside into memory."""
    inner: Any = NULL
    for each in reversed(packet.packets):
        inner = _put_packet(module, state, each, inner)
    fragments: Any = NULL
    if packet.fragments:
        made = typed_object(
            f"{packet.name}.fragments",
            struct_of(module, "struct.rp_net_fragment"),
            count=len(packet.fragments),
            names=names_of("struct.rp_net_fragment"),
            constant=True,
        )
        cells = {
            "page": [_memory(state, f"{packet.name}.page{n}", PAGE) for n in range(len(packet.fragments))],
            "page_address": [each.page for each in packet.fragments],
            "offset": [each.offset for each in packet.fragments],
            "length": [each.size for each in packet.fragments],
        }
        fragments = state.add(made, lambda name: table(cells[name]))
    made = struct_object(module, "struct.rp_net_packet", packet.name, constant=True)
    values = {
        "head": _memory(state, f"{packet.name}.head", packet.size),
        "head_address": packet.address,
        "head_length": packet.size,
        "fragment_count": len(packet.fragments),
        "fragments": fragments,
        "list": inner,
        "next": following,
        "length": packet.length,
        "reserved": 0,
    }
    return state.add(made, values)


def _memory(state: State, name: str, size: Any) -> Pointer:
    """Return memory of so many bytes, each of which has a value of its own."""
    byte = z3.Function(name, z3.IntSort(), z3.IntSort())
    cells = Field("byte", 0, 1, 1, 0, size)
    return state.add(Object(name, (cells,), size=size, align=1, constant=True), {"byte": byte})


def _bytes(name: str, at: Any) -> Any:
    return z3.Function(name, z3.IntSort(), z3.IntSort())(at)


# skb_to_sgvec.


def _sgvec(module: Module, shape: Shape) -> Iterator[Question]:
    name = f"rp_skb_to_sgvec, {shape}"
    packet, offset, length, room = sized(shape), z3.Int("offset"), z3.Int("length"), z3.Int("room")
    most = shape.pieces + 1
    sg = table_of(module, most, room)
    state = State((*packet.known(), *_range(offset), *_range(length), room >= 0, room <= most, *sg.known))
    model = walk(packet, offset, length)

    def show(found: z3.ModelRef) -> dict[str, Any]:
        stale = {f"stale{number}": sg.was_marked(number) for number in range(most)}
        return shown(packet, found, offset=offset, length=length, room=room, **stale)

    arguments = (_put_packet(module, state, packet), sg.put(state), room, offset, length)
    environment = Environment()
    outcomes = list(execute(module, "rp_skb_to_sgvec", arguments, state, environment))
    yield from whole(name, state, outcomes, show)
    yield from owed(environment.obligations, name, show)
    right = z3.If(model.entries > room, EMSGSIZE, z3.If(model.refused, EINVAL, model.entries))
    for outcome in outcomes:
        path = (*outcome.state.facts, *outcome.state.path)
        yield Question(
            f"{name}: as many entries as the model has, or its error", path, outcome.result == right, (), show
        )
        yield Question(f"{name}: {_IN_WORDS}", path, _as_walked(outcome, model, sg), (), show)


_IN_WORDS = "the entries name the model's bytes and are marked as it says, and the others are as they were"


def _as_walked(outcome: Outcome, model: Walked, sg: Table) -> Any:
    state, count, found = outcome.state, outcome.result, []
    for number in range(sg.most):
        was = sg.was_marked(number)
        marked = model.is_marked(number, was)
        filled = sg.holds(state, number, *model.entry(number), marked)
        left = z3.And(sg.is_unchanged(state, number), marked == was)
        if isinstance(count, int):
            found.append(filled if number < count else left)
        else:
            found.append(z3.If(model.entries > number, filled, left))
    if isinstance(count, int):
        return z3.And(found) if count <= sg.most else True
    return z3.Implies(z3.And(count != EMSGSIZE, count != EINVAL), z3.And(found))


# skb_copy_bits.


def _copy(module: Module, shape: Shape) -> Iterator[Question]:
    name = f"rp_skb_copy, {shape}"
    packet, length = sized(shape), z3.Int("length")
    target = Object("to", (Field("byte", 0, 1, 1, 0, length),), size=length, align=1)
    state = State((*packet.known(), *_range(length)))
    old = z3.Function("to", z3.IntSort(), z3.IntSort())
    arguments = (_put_packet(module, state, packet), state.add(target, {"byte": old}), length)
    environment = Environment()
    model = walk(packet, z3.IntVal(0), length)

    def show(found: z3.ModelRef) -> dict[str, Any]:
        return shown(packet, found, offset=z3.IntVal(0), length=length)

    outcomes = list(execute(module, "rp_skb_copy", arguments, state, environment))
    yield from whole(name, state, outcomes, show)
    yield from owed(environment.obligations, name, show)
    at = z3.Int("at")
    right: Any = old(at)
    for each in model.segments:
        memory = f"{each.piece[0]}.head" if each.piece[1] == 0 else f"{each.piece[0]}.page{each.piece[1] - 1}"
        home = 0 if each.piece[1] == 0 else _fragment(packet, each.piece).offset
        inside = z3.And(each.there, at >= each.position, at < each.position + each.length)
        right = z3.If(inside, _bytes(memory, home + each.skip + at - each.position), right)
    for outcome in outcomes:
        path = (*outcome.state.facts, *outcome.state.path)
        result = outcome.result == z3.If(model.refused, EINVAL, 0)
        yield Question(f"{name}: refused if the model refuses, else not", path, result, (), show)
        cells = outcome.state.read(target, "byte")
        goal = z3.Implies(z3.And(at >= 0, at < length), cells(at) == right)
        yield Question(f"{name}: each byte copied is the model's", path, goal, (), show)


def _fragment(packet: Sized, piece: tuple[str, int]) -> Any:
    found = next(each for each in packet.all if each.name == piece[0])
    return found.fragments[piece[1] - 1]


# The number of pieces.


def _pieces(module: Module, shape: Shape, *, hollow: bool = False) -> Iterator[Question]:
    """Yield that the pieces that hold a byte are counted; of a ``hollow`` packet only the innermost may."""
    levels = 1 + _depth(shape)
    name = f"rp_skb_pieces, {levels} levels" if hollow else f"rp_skb_pieces, {shape}"
    packet = sized(shape)
    empty = [each.size == 0 for each in packet.all[:-1]] if hollow else []
    state = State((*packet.known(), *empty))

    def show(found: z3.ModelRef) -> dict[str, Any]:
        return shown(packet, found)

    environment = Environment(unwind=DEEPEST + 3)
    outcomes = list(
        execute(module, "rp_skb_pieces", (_put_packet(module, state, packet),), state, environment)
    )
    yield from whole(name, state, outcomes, show)
    yield from owed(environment.obligations, name, show)
    count = z3.Sum([z3.If(size != 0, 1, 0) for size in packet.sizes])
    too_many = any(len(each.fragments) > MAX_SKB_FRAGS for each in packet.all) or levels > DEEPEST
    right = z3.If(z3.Or(too_many, count > MOST), EMSGSIZE, count)
    for outcome in outcomes:
        path = (*outcome.state.facts, *outcome.state.path)
        yield Question(
            f"{name}: the pieces that hold a byte, or its error", path, outcome.result == right, (), show
        )


def _depth(shape: Shape) -> int:
    return max((1 + _depth(each) for each in shape.packets), default=0)


def _range(*numbers: Any) -> tuple[z3.BoolRef, ...]:
    return tuple(z3.And(number >= 0, number < WORD) for number in numbers)
