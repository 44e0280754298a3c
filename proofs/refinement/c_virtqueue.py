"""The compiled virtqueue: each function of virtqueue.c takes the model's steps and no others."""

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import z3

from ...model.size import EverySize, OneSize, Size
from ...model.steps.moment import Choice, Moment, Pc, unknown
from ...model.steps.queue import Steps
from ..discharge import ObligationResult
from ..solver import satisfy
from ..symbolic.clang import compile_ir
from ..symbolic.errors import Unmodelled
from ..symbolic.execution import execute
from ..symbolic.ir import Module, Place, function_text
from ..symbolic.llvm import read_ir
from ..symbolic.state import Obligation
from ..theorem import Query
from .c_contents import contents
from .c_counterexample import Shown
from .c_following import Claim, Readings, Together
from .c_lockstep import Lockstep
from .c_memory import Memory
from .c_operations import OPERATIONS, Operation
from .deciding import PATIENT, Question, decide, guessed
from .follower import Point, renewed
from .refinement import Code, Part, Refinement


def size_of_queue(size: int | None) -> Size:
    """Return every queue size, or one."""
    return EverySize() if size is None else OneSize(size)


@cache
def virtqueue_ir(sources: Path) -> Module:
    """Return the IR of virtqueue.c in that directory. Raises Missing where it cannot be had."""
    return read_ir(compile_ir(sources / "virtqueue.c"))


@dataclass(frozen=True)
class Run:
    """What came of running a function beside the model.

    ``owed`` has to be shown; ``claims`` are guesses about loops; ``ends`` are the conditions of each path
    that returns.
    """

    memory: Memory
    lock: Lockstep
    owed: tuple[Obligation, ...]
    claims: tuple[Claim, ...]
    ends: tuple[tuple[z3.BoolRef, ...], ...]


def run(module: Module, operation: Operation, model: Steps, readings: Readings) -> Run:
    """Run a function beside the model, with these guesses about its loops; others are added to them."""
    memory = Memory(module, model, callback=operation.callback)
    choice: Choice = unknown(Choice)
    moment = operation.moment()
    state = memory.start(moment)
    for condition in operation.given(model, choice, moment):
        state.assume(condition)
    lock = Lockstep(memory, operation.follower(model, choice, memory), readings)
    state.extra["together"] = Together(Point(moment))
    arguments = operation.arguments(memory, state, choice, moment)
    place = list(module.functions[operation.function].blocks.values())[-1].instructions[-1].place
    ends = []
    for outcome in execute(module, operation.function, arguments, state, lock):
        ends.append((*outcome.state.facts, *outcome.state.path))
        operation.returns(lock, outcome.state, outcome.result, place)
    return Run(memory, lock, tuple(lock.obligations), tuple(lock.claims), tuple(ends))


def settled(module: Module, operation: Operation, model: Steps) -> Run:
    """Run a function until all that is still guessed of its loops' variables holds.

    Each time what fails is struck off: the guesses that are left at the end hold when a loop is come to,
    and again after every round in which they held.
    """
    readings: Readings = {}
    known: dict[tuple[Any, ...], bool] = {}
    while True:
        found = run(module, operation, model, readings)
        failing = {
            (claim.loop, claim.variable, claim.reading)
            for claim in found.claims
            if not _holds(found.memory, claim, known)
        }
        if not failing:
            return found
        readings = {
            (loop, variable): tuple(each for each in kept if (loop, variable, each) not in failing)
            for (loop, variable), kept in readings.items()
        }


def _holds(memory: Memory, claim: Claim, known: dict[tuple[Any, ...], bool]) -> bool:
    """Tell whether a claim is proved."""
    question = _question(memory, claim.owed)
    key = _asked(question)
    if key not in known:
        known[key] = guessed(question)
    return known[key]


def _question(memory: Memory, owed: Obligation) -> Question:
    return Question(str(owed), (*owed.facts, *owed.path), owed.goal, memory.hypotheses(owed.path))


def _asked(question: Question) -> tuple[Any, ...]:
    """Return what is the same of two questions just if they ask the same on the same path."""
    goal = question.goal.get_id() if isinstance(question.goal, z3.ExprRef) else question.goal
    return (goal, *(condition.get_id() for condition in question.path))


def examine(module: Module, operation: Operation, size: int | None) -> list[ObligationResult]:
    """Return the verdict on all that a function owes, of every queue size (none) or of one.

    Of one size hypotheses have no quantifiers: there what fails has a counterexample, and some path that
    returns is shown to be possible. One failure says enough, and each takes its time to find: after the first
    nothing is asked.
    """
    finite = size is not None
    model = Steps(size_of_queue(size))
    found = settled(module, operation, model)
    asked: dict[tuple[Any, ...], Question] = {}
    for owed in (*found.owed, *(claim.owed for claim in found.claims)):
        question = _question(found.memory, owed)
        if size is not None:
            question = replace(question, show=Shown(operation, size, found.lock, owed, question))
        asked.setdefault(_asked(question), question)
    results = []
    for question in asked.values():
        results.append(decide(question, finite=finite))
        if results[-1].verdict == "refuted":
            return results
    for label, hypotheses, goal in found.memory.lemmas():
        lemma = Question(f"{operation.function}: lemma {label}", (), goal, (hypotheses,))
        results.append(decide(lemma, finite=finite))
    if finite:
        results.append(_returns(found, operation.function))
    return results


def _returns(found: Run, function: str) -> ObligationResult:
    """Show that the function returns: some path's conditions can hold, with all assumed on it."""
    label = f"{function}: some path returns, and what is assumed on it can hold"
    seconds, spent, reason = 0.0, 0, "no path returns"
    for path in found.ends:
        together = {f"path {i}": condition for i, condition in enumerate(path)}
        for tier in found.memory.hypotheses(path):
            together |= tier
        answer = satisfy(Query(together, z3.BoolVal(True)), PATIENT)
        seconds, spent = seconds + answer.seconds, spent + answer.rlimit
        if answer.result == "sat":
            return ObligationResult(label, "proved", seconds, spent)
        reason = f"of {len(found.ends)} paths none was shown to be possible"
    return ObligationResult(label, "unknown", seconds, spent, reason)


def mask_is_slot() -> ObligationResult:
    """Show, for all sixteen queue sizes, that masking a 16-bit index is taking its remainder."""
    index = z3.BitVec("index", 16)
    goals = [index & (1 << power) - 1 == z3.URem(index, 1 << power) for power in range(16)]
    question = Question(
        "an index masked by queue_size - 1 is its slot, for all sixteen sizes", (), z3.And(goals)
    )
    return decide(question, finite=True)


def nothing_is_lost(size: int | None) -> ObligationResult:
    """Show that memory tells a moment: those that differ in what the driver keeps or writes have others."""
    model = Steps(size_of_queue(size))
    one: Moment = replace(unknown(Moment), pc=Pc.IDLE)
    other = renewed(one, [field.name for field in fields(Moment)], "'")
    d = z3.Int("d")
    inside = z3.And(d >= 0, d < model.queue_size)
    here, there = contents(model, one), contents(model, other)
    same = [
        content(i) == there[at](i)
        if callable(content) and not isinstance(content, z3.ExprRef)
        else content == there[at]
        for at, content in here.items()
        for i in ((d, model.queue_size) if at == ("avail", "ring") else (d,))
    ]
    words = ("num_free", "free_head", "num_added", "last_used_idx", "avail_idx", "used_event")
    told = [getattr(one, name) == getattr(other, name) for name in (*words, "no_interrupt", "wanted")]
    maps = ("next", "addr", "len", "has_next", "writes", "indirect", "data", "avail_ring")
    told += [getattr(one, name)(d) == getattr(other, name)(d) for name in maps]
    path = (inside, model.queue_size >= 1, *same)
    return decide(
        Question("no two moments have the same memory", path, z3.And(told)), finite=size is not None
    )


@dataclass(frozen=True)
class _Check:
    """One part: a function at one queue size, or at every."""

    operation: Operation
    size: int | None

    def __call__(self, code: Code) -> list[ObligationResult]:
        module = virtqueue_ir(code.c)
        if self.operation.function not in module.functions:
            what = f"virtqueue.c defines no function {self.operation.function}"
            raise Unmodelled(what, Place(self.operation.function, "virtqueue.c", 0))
        return [mask_is_slot(), nothing_is_lost(self.size), *examine(module, self.operation, self.size)]

    def key(self, code: Code) -> str:
        """Return the IR of the function and of all that it reaches."""
        module = virtqueue_ir(code.c)
        name = self.operation.function
        return function_text(module, name) if name in module.functions else f"no {name}"


SMALL = (2, 1)
"""Queue sizes at which the code is looked at by itself: there a fault is a concrete ring.

What is proved of every size is proved of 4 and 8; their own questions, quantifiers spelt out, are harder.
"""


def _refinement(operation: Operation) -> Refinement:
    checks = [("every N", _Check(operation, None))]
    checks += [(f"N = {size}", _Check(operation, size)) for size in SMALL]
    return Refinement(
        name=f"c-{operation.function.removeprefix('rp_vq_').replace('_', '-')}",
        title=f"{operation.function} {operation.title}",
        statement=operation.statement,
        clause=operation.linux,
        code="c",
        sizes=(),
        parts=tuple(Part(label, check.key, check) for label, check in checks),
        broken_by=operation.broken_by,
    )


C_REFINEMENTS = tuple(_refinement(operation) for operation in OPERATIONS)
