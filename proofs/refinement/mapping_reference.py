"""skbuff.py against the model's walk: packets of some shapes, with sizes and addresses of any value."""

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import z3

from ..discharge import ObligationResult
from .deciding import Question, decide
from .explorer import Path, Run, explore
from .header_modules import functions_of, module_of, source_of
from .mapping_walk import Shape, Sized, Walked, shown, sized, walk
from .refinement import Code
from .symbolic_int import term_of

EMSGSIZE = -90

_OFFSET, _LENGTH, _ROOM = z3.Ints("offset length room")


def key(code: Code) -> str:
    """Return the sources that the questions are made of."""
    return source_of(code.reference, "skbuff")


def check(code: Code, shape: Shape) -> list[ObligationResult]:
    """Compare skb_to_sgvec, and SkBuff's own sums, on packets of one shape."""
    key(code)
    return [decide(question, finite=True) for question in _questions(code, shape)]


def _questions(code: Code, shape: Shape) -> Iterator[Question]:
    packet = sized(shape)
    model = walk(packet, _OFFSET, _LENGTH)
    known = {f"packet {n}": fact for n, fact in enumerate(packet.known())}
    solver = z3.Solver()
    solver.add(*known.values())
    yield Question(f"{shape}: there are such packets", (), solver.check() == z3.sat)

    def show(found: z3.ModelRef) -> dict[str, Any]:
        stale = {f"stale{number}": _stale(number) for number in range(shape.pieces + 1)}
        return shown(packet, found, offset=_OFFSET, length=_LENGTH, **stale)

    for room in (shape.pieces + 1, shape.pieces - 1):
        name = f"skb_to_sgvec, {shape}, {room} entries"
        found = explore(partial(_run, code=code, packet=packet, room=room), known)
        yield Question(f"{name}: every packet takes a way that was followed", (), found.tree, (known,), show)
        for path in found.paths:
            yield from _of_path(name, path, packet, model, room, show)


def _stale(number: int) -> z3.BoolRef:
    return z3.Bool(f"stale{number}")


Result = tuple[Any, list[tuple[Any, Any, Any]], Any]
"""What was returned; address, length and mark of each entry; the packet's own length."""


def _run(run: Run, code: Code, packet: Sized, room: int) -> Result:
    skbuff = module_of(code.reference, "skbuff")
    table = [
        skbuff.Scatterlist(*(run.integer(f"{field}{n}") for field in ("page", "at", "size")))
        for n in range(room)
    ]
    for number, entry in enumerate(table):
        entry.end = run.truth(_stale(number))
    skb = made(skbuff, packet, run.number)
    returned = functions_of(skbuff, run)["skb_to_sgvec"](skb, table, run.number(_OFFSET), run.number(_LENGTH))
    entries = [
        (term_of(entry.page + entry.offset), term_of(entry.length), term_of(entry.end)) for entry in table
    ]
    return returned, entries, term_of(skb.len)


def made(skbuff: ModuleType, packet: Sized, number: Any) -> Any:
    """Return the packet as the reference has it; ``number`` makes its numbers."""
    return skbuff.SkBuff(
        head=(number(packet.address), number(packet.size)),
        frags=[skbuff.Frag(number(f.page), number(f.offset), number(f.size)) for f in packet.fragments],
        frag_list=[made(skbuff, inside, number) for inside in packet.packets],
    )


def _of_path(
    name: str, path: Path[Result], packet: Sized, model: Walked, room: int, show: Any
) -> Iterator[Question]:
    def asked(what: str, goal: Any) -> Question:
        return Question(f"{name}: {what}", path.conditions, goal, (dict(path.known),), show)

    # The model is of calls for a byte at least; none at all are wanted of a place that is there.
    nowhere = z3.And(_LENGTH == 0, packet.length < _OFFSET)
    senseless = z3.Or(_OFFSET < 0, _LENGTH < 0, model.refused, nowhere)
    if path.error is not None or path.result is None:
        refused = senseless if isinstance(path.error, ValueError) else False
        yield asked(f"raises {type(path.error).__name__} only for bytes that the packet has not", refused)
        return
    returned, entries, length = path.result
    yield asked("len is the length of all data", length == packet.length)
    for due in path.due:
        yield asked(due.what, due.goal)
    right = z3.If(model.entries > room, EMSGSIZE, model.entries)
    yield asked(
        "as many entries as the model has, or its error",
        z3.And(z3.Not(senseless), term_of(returned) == right),
    )
    if not isinstance(returned, int):
        yield asked("how many entries there are is known on each way", False)
    elif returned >= 0:
        yield asked(
            "the entries name the model's bytes and are marked as it says, and the others are as they were",
            _as_walked(returned, entries, model),
        )


def _as_walked(count: int, entries: list[tuple[Any, Any, Any]], model: Walked) -> Any:
    found = []
    for number, (address, length, marked) in enumerate(entries):
        found.append(marked == model.is_marked(number, _stale(number)))
        if number < count:
            there = model.entry(number)
            found += [address == there[0], length == there[1]]
        else:
            found += [
                address == z3.Int(f"page{number}") + z3.Int(f"at{number}"),
                length == z3.Int(f"size{number}"),
            ]
    return z3.And(found)
