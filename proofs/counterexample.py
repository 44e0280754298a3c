"""A failed proof, made readable: the states and values a solver's model gives to a query.

Of an invariant that a transition breaks this is a counterexample to induction: ``before`` satisfies
every invariant but need not be reachable. Reachable counterexamples come from the bounded search.
"""

from dataclasses import fields
from itertools import pairwise
from typing import Any

import z3

from .theorem import Query

_LARGEST_SHOWN = 64


def read(query: Query, model: z3.ModelRef) -> dict[str, Any]:
    """Return the query's states and values in the model, as JSON data.

    Maps become lists over descriptors, positions or slots, and entries of tables lists of lists; ``order``
    becomes an object from each sequence number in flight to its head. Maps are left out for lemmas, which
    have no queue size.
    """
    shown: dict[str, Any] = {name: _value(model, value) for name, value in query.values.items()}
    size = shown.get("queue_size")
    for name, state in query.states.items():
        shown[name] = _state(model, state, size if isinstance(size, int) and size <= _LARGEST_SHOWN else 0)
    return shown


def changes(shown: dict[str, Any]) -> tuple[str, ...]:
    """Return a counterexample as lines: its values, then each field and cell that changes.

    Of a counterexample with a single state, every field is given.
    """
    values = [f"{name} {value}" for name, value in shown.items() if not isinstance(value, dict)]
    lines = [", ".join(values)] if values else []
    states = [value for value in shown.values() if isinstance(value, dict)]
    if len(states) == 1:
        return (*lines, *(f"{name} {value}" for name, value in states[0].items()))
    for old, new in pairwise(states):
        for name, value in old.items():
            lines += _change(name, value, new[name])
    return tuple(lines)


def _change(name: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, list):
        return [
            line
            for i, pair in enumerate(zip(old, new, strict=True))
            for line in _change(f"{name}[{i}]", *pair)
        ]
    if isinstance(old, dict):
        keys = sorted(old.keys() | new.keys(), key=int)
        return [line for key in keys for line in _change(f"{name}[{key}]", old.get(key), new.get(key))]
    return [] if old == new else [f"{name} {old} -> {new}"]


def _state(model: z3.ModelRef, state: Any, size: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for field in fields(state):
        part = getattr(state, field.name)
        if not callable(part):
            result[field.name] = _value(model, part)
        elif field.name == "order":
            first, last = _value(model, state.last_used), _value(model, state.published)
            window = range(first, min(last, first + size + 1))
            result[field.name] = {str(number): _value(model, part(z3.IntVal(number))) for number in window}
        elif field.type in ("Entries", "EntryMarks"):
            indices = [z3.IntVal(index) for index in range(size + 1 if size else 0)]
            result[field.name] = [[_value(model, part(table, i)) for i in indices] for table in indices]
        else:
            result[field.name] = [_value(model, part(z3.IntVal(index))) for index in range(size)]
    return result


def _value(model: z3.ModelRef, term: Any) -> Any:
    if isinstance(term, bool):
        return term
    if isinstance(term, int):
        return int(term)
    value = model.eval(term.translate(model.ctx), model_completion=True)
    if z3.is_int_value(value) or z3.is_bv_value(value):
        return value.as_long()
    if z3.is_true(value) or z3.is_false(value):
        return z3.is_true(value)
    return str(value)
