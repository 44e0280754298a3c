"""The compiled virtqueue: each function of virtqueue.c takes the model's steps and no others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import z3

from ...model.size import EverySize, OneSize, Size
from ...model.steps.moment import Choice, unknown
from ...model.steps.queue import Steps
from ..discharge import ObligationResult
from ..symbolic.clang import compile_ir
from ..symbolic.execution import execute
from ..symbolic.ir import Module, function_text
from ..symbolic.llvm import read_ir
from ..symbolic.state import Obligation
from .c_lockstep import Claim, Lockstep, Together
from .c_memory import Memory
from .c_operations import OPERATIONS, Operation
from .deciding import Question, decide
from .follower import Point


def size_of_queue(size: int | None) -> Size:
    """Return every queue size, or one."""
    return EverySize() if size is None else OneSize(size)


@cache
def virtqueue_ir(sources: Path) -> Module:
    """Return the IR of virtqueue.c in that directory. Raises Missing where it cannot be had."""
    return read_ir(compile_ir(sources / "virtqueue.c"))


def run(
    module: Module, operation: Operation, model: Steps, readings: dict[tuple[str, str], tuple[str, ...]]
) -> tuple[Memory, list[Obligation], list[Claim], int]:
    """Run a function beside the model; return what it owes, what is guessed, and how many paths end."""
    memory = Memory(module, model, callback=operation.callback)
    choice: Choice = unknown(Choice)
    moment = operation.moment()
    state = memory.start(moment)
    for condition in operation.given(model, choice, moment):
        state.assume(condition)
    follower = operation.follower(model, choice, memory)
    lock = Lockstep(memory, follower, readings)
    state.extra["together"] = Together(Point(moment))
    arguments = operation.arguments(memory, state, choice, moment)
    place = list(module.functions[operation.function].blocks.values())[-1].instructions[-1].place
    ends = 0
    for outcome in execute(module, operation.function, arguments, state, lock):
        ends += 1
        operation.returns(lock, outcome.state, outcome.result, place)
    return memory, lock.obligations, lock.claims, ends


def settled(
    module: Module, operation: Operation, model: Steps, *, finite: bool
) -> tuple[Memory, list[Obligation], list[Claim], int]:
    """Run a function until all that is still guessed of its loops' variables holds.

    Each time what fails is struck off: the guesses that are left at the end hold when a loop is come to, and again
    after every round in which they held.
    """
    readings: dict[tuple[str, str], tuple[str, ...]] = {}
    known: dict[tuple[Any, ...], bool] = {}
    while True:
        memory, owed, claims, ends = run(module, operation, model, readings)
        failing = {
            (claim.loop, claim.variable, claim.reading)
            for claim in claims
            if not _holds(memory, claim, known, finite=finite)
        }
        if not failing:
            return memory, owed, claims, ends
        readings = {
            (loop, variable): tuple(each for each in kept if (loop, variable, each) not in failing)
            for (loop, variable), kept in readings.items()
        }


def _holds(memory: Memory, claim: Claim, known: dict[tuple[Any, ...], bool], *, finite: bool) -> bool:
    """Tell whether a claim is proved."""
    owed = claim.owed
    key = (owed.goal.get_id() if isinstance(owed.goal, z3.ExprRef) else owed.goal, *(c.get_id() for c in owed.path))
    if key not in known:
        question = Question("", (*owed.facts, *owed.path), owed.goal, memory.hypotheses(owed.path))
        known[key] = decide(question, finite=finite, patience=500_000).verdict == "proved"
    return known[key]


def examine(module: Module, operation: Operation, size: int | None) -> list[ObligationResult]:
    """Return the verdict on all that a function owes, of every queue size (none) or of one."""
    finite = size is not None
    model = Steps(size_of_queue(size))
    memory, owed, claims, ends = settled(module, operation, model, finite=finite)
    results = []
    for each in (*owed, *(claim.owed for claim in claims)):
        question = Question(str(each), (*each.facts, *each.path), each.goal, memory.hypotheses(each.path))
        results.append(decide(question, finite=finite))
    for label, hypotheses, goal in memory.lemmas():
        question = Question(f"{operation.function}: lemma {label}", (), goal, (hypotheses,))
        results.append(decide(question, finite=finite))
    if not ends:
        results.append(ObligationResult(f"{operation.function} returns", "unknown", 0.0, 0, "no path returns"))
    return results
