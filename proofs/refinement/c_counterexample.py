"""Telling where compiled code is not the model: a small queue, what it is called with, and what goes wrong.

What is told is plain data that a person can read and a program can replay: the memory before the call, the
arguments, what the device's words are when they are read, what was to be shown and isn't; and, computed by
the model's steps in plain numbers, what the call should have told its surroundings, returned, and left in
memory.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import z3

from ...model.size import OneSize, u16
from ...model.steps.moment import Choice, Moment, unknown
from ...model.steps.queue import Steps
from ..solver import refute
from ..symbolic.state import Obligation
from ..theorem import Query
from .c_expected import (
    MANY,
    Unfollowed,
    Value,
    expected,
    memory_at,
    plain_model,
    plain_record,
    table_at,
    used_at,
    value_of,
)
from .c_lockstep import NO_MEMORY, Lockstep
from .c_operations import Operation
from .deciding import Hypotheses, Question

PATIENCE = 2_000_000
"""Resources for each search for a plainer counterexample than the first one."""


@dataclass(frozen=True)
class Shown:
    """Makes a counterexample of a solver's model of a question's failure."""

    operation: Operation
    queue_size: int
    lock: Lockstep
    owed: Obligation
    question: Question

    def __call__(self, model: z3.ModelRef) -> dict[str, Any]:
        """Return the plainest counterexample there is, or this one."""
        for calm, extra in self._wishes():
            answer = refute(Query({**self._asked(), **extra}, self._goal()), PATIENCE)
            if answer.model is not None:
                return self._told(value_of(answer.model), calm)
        return self._told(value_of(model), calm=False)

    def _goal(self) -> z3.BoolRef:
        goal = self.question.goal
        return goal if isinstance(goal, z3.BoolRef) else z3.BoolVal(bool(goal))

    def _asked(self) -> Hypotheses:
        asked = {f"path {i}": condition for i, condition in enumerate(self.question.path)}
        for tier in self.question.tiers:
            asked |= tier
        return asked

    # What makes a counterexample plain.

    def _wishes(self) -> Iterator[tuple[bool, Hypotheses]]:
        """Yield what would be nice to have, the nicest first, each with whether nobody comes between then."""
        calm = {"nobody comes between": self._unchanged(self._on_path(self.lock.turns))}
        first = {"loops are at their first round": self._unchanged(self._on_path(self.lock.cuts))}
        yield True, {**calm, **first, **self._plain()}
        yield True, {**calm, **self._plain()}
        yield True, {**calm, **first}
        yield True, calm
        yield False, first

    def _on_path(self, known: dict[str, tuple[Moment, Moment]]) -> list[tuple[Moment, Moment]]:
        names = {each.decl().name() for each in self.question.path if z3.is_const(each)}
        return [pair for name, pair in known.items() if name in names]

    def _plain(self) -> Hypotheses:
        """Return what makes a state easy to read: the first chains ever, descriptors in order."""
        moment, choice = self.operation.moment(), unknown(Choice)
        size = self.queue_size
        order = [z3.And(moment.gpos(i) == i, moment.gat(i) == i) for i in map(z3.IntVal, range(size))]
        table = [
            z3.Not(moment.allocated(choice.table)),
            choice.table >= 0,
            choice.table <= size,
            choice.segments <= size + 1,
        ]
        small = [choice.segments >= 0, choice.outs >= 0, choice.token < 1 << 16, moment.published <= 2 * size]
        if self.operation.starts == ("begin_kick",):  # More shows where the device is to be notified.
            small.append(self._notifies(moment))
        return {"plain": z3.And([*order, *table, *small])}

    def _notifies(self, moment: Moment) -> Any:
        model = Steps(OneSize(self.queue_size))
        return model.kick_needed(replace(moment, old_idx=u16(moment.avail_idx - moment.num_added)))

    def _unchanged(self, pairs: list[tuple[Moment, Moment]]) -> z3.BoolRef:
        return z3.And([same for pair in pairs for same in self._same(*pair)])

    def _same(self, before: Moment, after: Moment) -> Iterator[Any]:
        numbers = [z3.IntVal(i) for i in range(self.queue_size)]
        few = [z3.IntVal(i) for i in range(self.queue_size + 2)]
        for each in fields(Moment):
            one, other = getattr(before, each.name), getattr(after, each.name)
            if one is other:
                continue
            if not callable(one):
                yield one == other
            elif each.name == "order":
                yield from (one(before.last_used + i) == other(before.last_used + i) for i in few)
            elif each.type in ("Entries", "EntryMarks"):
                yield from (one(t, i) == other(t, i) for t in few for i in few)
            else:
                yield from (one(i) == other(i) for i in numbers)

    # What is told.

    def _told(self, value: Value, calm: bool) -> dict[str, Any]:
        model = plain_model(self.queue_size, value)
        start: Moment = plain_record(self.operation.moment(), value)
        choice: Choice = plain_record(unknown(Choice), value)
        memory = not any(each.eq(NO_MEMORY) for each in self.question.path)
        told: dict[str, Any] = {
            "operation": self.operation.function,
            "queue_size": self.queue_size,
            "event_idx": model.event_idx,
            "indirect_desc": model.indirect_desc,
            "mended": model.mended,
            "arguments": self._arguments(start, choice),
            "memory": memory,
            "undisturbed": calm,
            "before": {**memory_at(model, start, value), "used": used_at(model, start, value)},
            "wrong": [str(self.owed)],
            "cells": list(self._cells(value)),
            **self._expected(model, start, choice, memory, value),
        }
        return dict(json.loads(json.dumps(told)))

    def _arguments(self, start: Moment, choice: Choice) -> dict[str, Any]:
        match self.operation.function:
            case "rp_vq_add":
                shown = range(min(choice.segments, MANY))
                return {
                    "outs": choice.outs,
                    "ins": choice.segments - choice.outs,
                    "token": choice.token,
                    "table": choice.table,
                    "segment_addr": [choice.segment_addr(i) for i in shown],
                    "segment_len": [choice.segment_len(i) for i in shown],
                }
            case "rp_vq_poll":
                return {"mark": start.last_used_idx}
        return {}

    def _expected(
        self, model: Steps, start: Moment, choice: Choice, memory: bool, value: Value
    ) -> dict[str, Any]:
        turns = [plain_record(after, value) for _, after in self._on_path(self.lock.turns)]
        try:
            found = expected(self.operation, model, start, choice, turns, memory, value)
        except Unfollowed as error:
            return {"reads": [], "expected": None, "unfollowed": str(error)}
        after = memory_at(model, found.after, value)
        if ["allocate"] in [each[:1] for each in found.told]:
            after["table"] = table_at(found.after)
        return {
            "reads": [list(each) for each in found.reads],
            "disturbed": found.disturbed,
            "expected": {
                "told": found.told,
                "result": found.result,
                "outputs": found.outputs,
                "after": after,
            },
        }

    def _cells(self, value: Value) -> Iterator[dict[str, Any]]:
        """Yield the cells that differ where memory was to be what the model says."""
        goal = self._goal()
        if self.owed.kind not in ("memory", "result"):
            return
        body, index = goal, None
        if z3.is_implies(goal):
            body = goal.arg(1)
            named = [each for each in _constants(goal) if each.decl().name().startswith("at ")]
            index = named[0] if named else None
        if not z3.is_eq(body):
            return
        name = self.owed.what.partition(" ")[0]
        if index is None:
            yield {"cell": name, "code": value(body.arg(0)), "model": value(body.arg(1))}
            return
        for number in range(self.queue_size + 1):
            at = (index, z3.IntVal(number))
            if not value(z3.substitute(goal, at)):
                code, model = (value(z3.substitute(side, at)) for side in body.children())
                yield {"cell": f"{name}[{number}]", "code": code, "model": model}


def _constants(term: Any) -> Iterator[Any]:
    if z3.is_const(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
        yield term
    for child in term.children():
        yield from _constants(child)
