"""Deciding what the reference's virtqueue has to show, and telling a state where it doesn't.

Every way of a call is one question: whether all that has to be shown of it follows. One more is whether the
ways are all there are. What is told of a failure is the state before the call, field by field of the model,
the arguments, and what is wrong; where possible one in which nobody comes between, so that it can be
replayed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import Any

import z3

from ...model.size import OneSize, Plain
from ...model.steps.invariants import assumed
from ...model.steps.moment import Choice, Moment
from ...model.steps.queue import Steps
from ..discharge import ObligationResult
from ..solver import refute
from ..theorem import Query
from .deciding import PATIENT, Hypotheses, Question, decide
from .explorer import Due, Path
from .reference_invariants import instances, term_like
from .reference_lockstep import ANY, ANY_ENTRY, ANY_TABLE, Lockstep
from .reference_operations import Call, followed, hypotheses, start_of
from .symbolic_ring import in_range

_SETTING = ("event_idx", "indirect_desc", "mended")


def prove(call: Call, queue_size: int, package: ModuleType) -> list[ObligationResult]:
    """Run the call on every way there is, and decide what it has to show."""
    found = followed(call, queue_size, package)
    few = hypotheses(call, queue_size, whole=False)
    results: list[ObligationResult] = []
    for number, path in enumerate(found.paths, 1):
        results.append(_way(call, queue_size, path, f"{title(call)}, way {number}", few))
        if results[-1].verdict == "refuted":  # One failure says enough, and each takes its time to find.
            return results
    label = f"{title(call)}: the {len(found.paths)} ways are all there are"
    results.append(decide(Question(label, (), found.tree, (few,)), finite=True))
    return results


def title(call: Call) -> str:
    """Return what a call is called."""
    arguments = ", ".join(f"{name} {value}" for name, value in call.arguments.items())
    return f"{call.name} ({arguments})" if arguments else call.name


def _way(call: Call, queue_size: int, path: Path[Lockstep], label: str, few: Hypotheses) -> ObligationResult:
    due = [each for each in path.due if not z3.is_true(z3.simplify(each.goal))]
    lockstep = path.result
    if lockstep is None:
        due = [*due, Due(f"the way ends: {path.error}", z3.BoolVal(False))]
    steps = lockstep.taken if lockstep else ()
    label = f"{label}: {' '.join(dict.fromkeys(steps)) or 'no step'}"
    goal = z3.And([each.goal for each in due]) if due else z3.BoolVal(True)
    if not due:
        return ObligationResult(label, "proved", 0.0, 0)
    known = {
        **few,
        "an index": in_range(ANY, queue_size),
        "a table": in_range(ANY_TABLE, queue_size + 1),
        "an entry": in_range(ANY_ENTRY, queue_size + 1),
    }
    conditions = path.conditions
    result = decide(Question(label, conditions, goal, (known,)), finite=False, patience=1)
    if result.verdict == "proved":
        return result
    anchors = lockstep.anchors if lockstep else [start_of(call)[0]]
    about = {
        f"{name} at {i}": term_like(fact)
        for i, moment in enumerate(anchors)
        for name, fact in instances(moment, queue_size, (ANY,), ()).items()
    }
    result = decide(Question(label, conditions, goal, ({**known, **about},)), finite=False, patience=1)
    if result.verdict == "proved":
        return result
    # What doesn't follow from a few instances is asked from all the invariants: then a state is a failure.
    model = Steps(OneSize(queue_size))
    whole = {
        f"{name} of moment {i}": term_like(fact)
        for i, moment in enumerate(anchors)
        for name, fact in assumed(model, moment).items()
        if fact is not True
    }
    whole |= hypotheses(call, queue_size, whole=True)
    shown = _Shown(call, queue_size, lockstep, due)
    asked = {f"path {i}": each for i, each in enumerate(conditions)} | known | whole
    calm = _calm(lockstep, queue_size) if lockstep else {}
    for extra in ({**calm, **_plain(call, queue_size)}, calm):
        answer = refute(Query({**asked, **extra}, goal), PATIENT)
        if answer.model is not None:
            return ObligationResult(
                label, "refuted", answer.seconds, answer.rlimit, counterexample=shown(answer.model, calm=True)
            )
    return decide(Question(label, conditions, goal, (known, about, whole), shown), finite=True)


_WAYS: dict[str, tuple[str, ...]] = {
    "prepare": ("begin_kick",),
    "notify": ("begin_kick", "prepare", "decide"),
    "poll": ("enable_cb", "arm"),
    "scan": ("reset",),
    "interrupt": ("device_interrupts",),
}
"""The steps from the first moment to one at which an operation may begin that doesn't begin at once."""


def witness(call: Call, queue_size: int) -> bool:
    """Tell whether the call may start somewhere: one such moment is led to, and asked all hypotheses."""
    model = Steps(Plain(queue_size))
    choice = Choice(1, 1, 1, lambda _: 1, lambda _: 1, 0, 0, 0, False)
    choice = replace(choice, **{name: _plain_number(value) for name, value in call.choice.items()})
    moment = model.initial()
    for step in _WAYS.get(call.starts[0] if call.starts else "", ()):
        moment = model.take(step, moment, choice).after
    if any(getattr(moment, name) != value for name, value in call.start.items()):
        return False
    known = {**assumed(model, moment), **call.given(moment, choice)}
    return all(z3.is_true(z3.simplify(term_like(fact))) for fact in known.values())


def _plain_number(value: Any) -> Any:
    return value.as_long() if isinstance(value, z3.IntNumRef) else value


def _plain(call: Call, queue_size: int) -> Hypotheses:
    """Return what makes a state easy to find: the first chains ever, descriptors in order."""
    moment, _ = start_of(call)
    order = [z3.And(moment.gpos(i) == i, moment.gat(i) == i) for i in map(z3.IntVal, range(queue_size))]
    return {"plain order": z3.And(order), "plain age": moment.published <= 2 * queue_size}


def _calm(lockstep: Lockstep, queue_size: int) -> Hypotheses:
    """Return that nobody came between: every field that others may have changed is as it was."""
    same: list[Any] = []
    numbers = [z3.IntVal(i) for i in range(queue_size)]
    for before, after in lockstep.turns:
        for field in fields(Moment):
            one, other = getattr(before, field.name), getattr(after, field.name)
            if one is other:
                continue
            if not callable(one):
                same.append(term_like(one) == term_like(other))
            elif field.name == "order":
                same += [
                    one(before.last_used + i) == other(before.last_used + i) for i in range(queue_size + 1)
                ]
            else:
                same += [one(i) == other(i) for i in numbers]
    return {"nobody comes between": z3.And(same)} if same else {}


@dataclass(frozen=True)
class _Shown:
    """What is told of a state where a way fails."""

    call: Call
    queue_size: int
    lockstep: Lockstep | None
    due: Sequence[Due]

    def __call__(self, model: z3.ModelRef, calm: bool = False) -> dict[str, Any]:
        moment, choice = start_of(self.call)
        shown: dict[str, Any] = {
            "operation": self.call.name,
            "queue_size": self.queue_size,
            **{name: _value(model, z3.Bool(name)) for name in _SETTING},
            "arguments": {**self.call.arguments, **self._chosen(model, choice)},
            "memory": _value(model, z3.Bool("memory")),
            "undisturbed": calm,
            "before": self._state(model, moment),
            "wrong": [each.what for each in self.due if not _value(model, each.goal)],
        }
        return dict(json.loads(json.dumps(shown)))

    def _chosen(self, model: z3.ModelRef, choice: Choice) -> dict[str, Any]:
        if "add" not in self.call.name:
            return {}
        segments = range(int(self.call.choice.get("segments", 0)))
        return {
            "token": _value(model, choice.token),
            "table": _value(model, choice.table),
            "segment_addr": [_value(model, choice.segment_addr(i)) for i in segments],
            "segment_len": [_value(model, choice.segment_len(i)) for i in segments],
        }

    def _state(self, model: z3.ModelRef, moment: Moment) -> dict[str, Any]:
        count = self.queue_size
        shown: dict[str, Any] = {}
        for field in fields(Moment):
            part = getattr(moment, field.name)
            if not callable(part):
                shown[field.name] = _value(model, part)
            elif field.name == "order":
                first, last = _value(model, moment.last_used), _value(model, moment.published)
                window = range(first, min(last, first + count + 1))
                shown["order"] = {str(k): _value(model, part(z3.IntVal(k))) for k in window}
            elif field.type in ("Entries", "EntryMarks"):
                few = [z3.IntVal(i) for i in range(count + 1)]
                shown[field.name] = [[_value(model, part(t, i)) for i in few] for t in few]
            else:
                more = field.name in ("allocated", "size", "table_outs", "table_head")
                shown[field.name] = [_value(model, part(z3.IntVal(i))) for i in range(count + more)]
        lengths = z3.Function("used_len", z3.IntSort(), z3.IntSort())
        turned = self.lockstep.base["used_len"] if self.lockstep else lengths
        shown["used_len"] = [_value(model, turned(z3.IntVal(i))) for i in range(count)]
        return shown


def _value(model: z3.ModelRef, term: Any) -> Any:
    if isinstance(term, bool | int):
        return term if isinstance(term, bool) else int(term)
    here = term if term.ctx == model.ctx else term.translate(model.ctx)
    value = model.eval(here, model_completion=True)
    return z3.is_true(value) if z3.is_bool(value) else value.as_long()
