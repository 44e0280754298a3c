"""The steps of a symbolic run, and the operations of the harness that a solver's values make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import z3

from ..impl.harness.operations import BUFFER_ADDRESS, Code, Op, OpFlag
from ..proofs.machine.words import Word, boolean, equal, vector
from .symbolic_device import Segment
from .symbolic_machine import fails_at
from .symbolic_start import Start

_SEED_STEP = 0x9E37_79B1
_MOST_FAILING = 16  # of an add's allocations and mappings, looked at one by one in a model
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Tell:
    """The device writes used.flags and avail_event."""

    flags: Word
    avail_event: Word


@dataclass(frozen=True, slots=True)
class Complete:
    """The device reads what is published and uses one chain, of which ``writable`` bytes are writable."""

    pick: int
    length: Word
    writable: Word


@dataclass(frozen=True, slots=True)
class Add:
    """A buffer is offered; ``name`` is the operation's, by which allocations that fail are known."""

    name: str
    segments: tuple[Segment, ...]
    out: int
    null: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Any other operation of the driver."""

    code: Code


Step: TypeAlias = Tell | Complete | Add | Ask


@dataclass(frozen=True, slots=True)
class Concrete:
    """A run of the harness: ``operations`` from the queue's creation on."""

    operations: tuple[Op, ...]


def concrete(start: Start, path: Sequence[z3.BoolRef], steps: Sequence[Step]) -> Concrete | str:
    """Return a run that takes a path, or why there is none.

    The harness derives its segments from a seed, and its device reports what it could have written: values
    that the path allows, but none of its operations have, cannot be run.
    """
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", _SECONDS * 1000)
    solver.add(*path)
    for number, step in enumerate(steps):
        if isinstance(step, Add):
            solver.add(*_offered(start, step, _seed(number)))
        elif isinstance(step, Complete):
            solver.add(boolean(equal(step.length, step.writable, 32)))
    answer = solver.check()
    if answer != z3.sat:
        known = (
            "has no values among those the harness can give" if answer == z3.unsat else "is too hard to solve"
        )
        return f"the path {known}"
    model = solver.model()
    operations = [Op(Code.ROUNDS, a=start.rounds)] if start.rounds else []
    for number, step in enumerate(steps):
        operations += _operations(model, step, number)
    return Concrete(tuple(operations))


def _seed(number: int) -> z3.BitVecRef:
    return z3.BitVec(f"seed!{number}", 32)


def _offered(start: Start, step: Add, seed: z3.BitVecRef) -> list[z3.BoolRef]:
    """What makes the segments those of a seed (impl/harness/operations.py says which they are)."""
    found = []
    for index, segment in enumerate(step.segments):
        x = seed + index * _SEED_STEP
        length = 1 + (x & 0x1_FFFF)
        offset = z3.LShR(x, 8) & 0xF_FFF0
        found.append(vector(segment.length, 32) == length)
        if not start.maps:
            found.append(vector(segment.address, 64) == BUFFER_ADDRESS + z3.ZeroExt(32, offset))
    return found


def _operations(model: z3.ModelRef, step: Step, number: int) -> list[Op]:
    if isinstance(step, Tell):
        return [
            Op(Code.SET_FLAGS, a=_value(model, step.flags, 16)),
            Op(Code.SET_AVAIL_EVENT, a=_value(model, step.avail_event, 16)),
        ]
    if isinstance(step, Complete):
        return [Op(Code.READ), Op(Code.COMPLETE, a=step.pick, c=1)]
    if isinstance(step, Ask):
        return [Op(step.code)]
    flags, failing = OpFlag.NULL_TOKEN if step.null else OpFlag(0), 0
    for at in range(1, _MOST_FAILING + 1):
        if z3.is_true(model.eval(fails_at(step.name, at), model_completion=True)):
            flags, failing = flags | OpFlag.FAIL_ALLOC, at
            break
    seed = _value(model, _seed(number), 32)
    return [Op(Code.ADD, int(flags), len(step.segments) - step.out, step.out, seed, failing)]


def _value(model: z3.ModelRef, word: Word, width: int) -> int:
    value = model.eval(vector(word, width), model_completion=True)
    assert isinstance(value, z3.BitVecNumRef)
    return int(value.as_long())
