"""A trace for a wave viewer: a value change dump (VCD) of the indices, flags and tables over the steps."""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from vcd import VCDWriter
from vcd.common import VarType
from vcd.writer import Variable

from ..traces.folding import printable
from .scene import Scene, Step

Place: TypeAlias = tuple[tuple[str, ...], str]
"""Where a signal stands: its scopes, from the outermost on, and its name."""
Signal: TypeAlias = bool | int | str | None
"""A value of a signal; None where it has none."""
Signals: TypeAlias = dict[Place, Signal | list[Any]]
"""What a state says, by signal; a table is one list in the place that its entries' names begin with."""
State: TypeAlias = dict[str, Signals]
"""What a state says, by the variable that says it; "" for the step itself."""

MOST_ENTRIES = 64
_INDEX_BITS = 16
_RING = frozenset(
    (
        *("avail_idx", "avail_flags", "used_event", "avail_ring", "used_idx", "used_flags", "avail_event"),
        *("used_ring", "next", "flags"),
    )
)
_DEVICE = frozenset(("read_idx", "in_flight", "notifications"))
_SCOPE_OF = {"queues": "ring", "statistics": "driver", "events": "driver", "registers": "device"}
_BITS = {"avail_flags": "no_interrupt", "used_flags": "no_notify"}
"""Suppression words whose lowest bit is a wire of its own."""
_NO_WAVE = frozenset(("result", "expected", "observed", "journey", "words"))
_NUMBERED = ("queue", "pair")
_EVENTS: tuple[Place, ...] = ((("driver",), "kick"), (("device",), "interrupt"), (("trace",), "violation"))


def render_vcd(scene: Scene) -> str:
    """The trace as a VCD, the same for the same scene.

    A nanosecond of it is one step: a trace has no time, only an order. Numbers are vectors, of 16 bits unless
    one needs more, truth values wires, all else strings; a number that a state does not have is x.
    Entries of tables are vectors of their own up to 64 of them. ``kick``, ``interrupt`` and ``violation`` are
    events: they happen at a step and have no value; ``violated`` is a wire that stays up from the broken
    step on.
    """
    changes = list(_changes(scene))
    shapes = _shapes(changes)
    file = io.StringIO()
    # The date is left out, so that the same trace gives the same file.
    title = printable(scene.title).replace("$", "").encode("ascii", "backslashreplace").decode()
    first = scene.steps[0].number if scene.steps else 0
    writer = VCDWriter(
        file,
        timescale="1 ns",
        date="",
        version="ringproof",
        init_timestamp=first,
        comment=f"one nanosecond is one step; {title}",
    )
    with writer:
        names = _Names()
        events = {place: writer.register_var(*names.of(place), VarType.event, init=True) for place in _EVENTS}
        variables = {place: _registered(writer, names.of(place), shape) for place, shape in shapes.items()}
        for step, changed in zip(scene.steps, changes, strict=True):
            for place, value in changed.items():
                writer.change(variables[place], step.number, _written(value, shapes[place]))
            if step.number > first:  # A VCD begins with values; nothing can happen there.
                for place in happened(scene, step):
                    writer.change(events[place], step.number, True)
        # A step of its own behind the last one, so that the last is seen, too.
        writer.close(first + len(scene.steps))
    return file.getvalue()


def happened(scene: Scene, step: Step) -> Iterator[Place]:
    """The events of a step: a notification of the device, an interrupt that is due, the violation."""
    result = step.values.get("result")
    told: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
    accesses = step.values.get("registers")
    records = [each for each in accesses if isinstance(each, Mapping)] if isinstance(accesses, list) else []
    written = any(
        str(each.get("register")).startswith("queue_notify")
        and (each.get("write") or each.get("access") == "write")
        for each in records
    )
    if written or told.get("notifies"):
        yield _EVENTS[0]
    if step.action in ("complete", "net_complete") and told.get("length"):
        yield _EVENTS[1]
    if step.number == scene.broken:
        yield _EVENTS[2]


def _changes(scene: Scene) -> Iterator[dict[Place, Signal]]:
    """For each step the signals that it changed."""
    told: dict[str, tuple[Any, Signals]] = {}
    before: State = {}
    for step in scene.steps:
        state: State = {"": _of_step(step, scene.broken)}
        for name, value in step.values.items():
            if name in _NO_WAVE:
                continue
            if name not in told or not _same(told[name][0], value):
                told[name] = value, _of_variable(name, value)
            state[name] = told[name][1]  # the same object while the variable says the same
        yield dict(_changed(state, before))
        before = state


def _of_step(step: Step, broken: int | None) -> Signals:
    trace = ("trace",)
    return {
        (trace, "step"): step.number,
        (trace, "lane"): step.lane,
        (trace, "action"): step.words,
        (trace, "outcome"): step.outcome,
        (trace, "violated"): broken is not None and step.number >= broken,
    }


def _of_variable(name: str, value: Any) -> Signals:
    side = "ring" if name in _RING else "device" if name in _DEVICE else _SCOPE_OF.get(name, "driver")
    if isinstance(value, bool | int | str):
        found: Signals = {((side,), name): value}
        if name in _BITS and isinstance(value, int):
            found[(side,), _BITS[name]] = bool(value & 1)
        return found
    if isinstance(value, list):
        if name in ("queues", "statistics") and all(isinstance(each, Mapping) for each in value):
            return {
                ((side, f"{name}_{_number(record, place)}"), field): _single(each)
                for place, record in enumerate(value)
                for field, each in record.items()
                if field not in _NUMBERED
            }
        whole = set(map(type, value)) == {int}
        if name != "in_flight" and whole and len(value) <= MOST_ENTRIES:
            return {((side, name), name): value}
    return {((side,), name): _single(value)}


def _number(record: Mapping[str, Any], place: int) -> Any:
    return next((record[name] for name in _NUMBERED if isinstance(record.get(name), int)), place)


def _single(value: Any) -> Signal:
    """A value as one signal: numbers and truth values as they are, all else in words."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_single(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(str(_single(each)) for each in value)
    return str(value)


# -- shapes ----------------------------------------------------------------------------------------------

_STRING, _WIRE = 0, 1


def _shapes(changes: Sequence[Mapping[Place, Signal]]) -> dict[Place, int]:
    """How each signal is written: _STRING, _WIRE, or the bits of its vector; tables entry by entry."""
    values: dict[Place, list[Signal]] = {}
    for changed in changes:
        for place, value in changed.items():
            if place in values:
                values[place].append(value)
            else:
                values[place] = [value]
    shapes = {}
    for place, held in values.items():
        types = set(map(type, held)) - {type(None)}
        if types == {bool}:
            shapes[place] = _WIRE
        elif types == {int}:
            numbers = [each for each in held if isinstance(each, int)]
            low, high = min(numbers), max(numbers)
            need = max(high.bit_length() + (low < 0), (-low - 1).bit_length() + 1 if low < 0 else 1)
            shapes[place] = next((bits for bits in (_INDEX_BITS, 32, 64) if need <= bits), need)
        else:
            shapes[place] = _STRING
    return shapes


def _entries(place: Place, value: Signal | list[Any]) -> Iterator[tuple[Place, Signal]]:
    """A table's entries as signals next_0, next_1, ... in a scope of their own; all else as it is."""
    if isinstance(value, list):
        yield from zip(_entry_places(place, len(value)), value, strict=True)
    else:
        yield place, value


@lru_cache(maxsize=256)
def _entry_places(place: Place, count: int) -> tuple[Place, ...]:
    scope, name = place
    return tuple((scope, f"{name}_{number}") for number in range(count))


def _changed(state: State, before: State) -> Iterator[tuple[Place, Signal]]:
    """The signals that a state changed; those that went have no value."""
    for name, found in state.items():
        old = before.get(name, {})
        if old is found:
            continue
        for whole, value in found.items():
            if whole not in old or not _same(old[whole], value):
                yield from _entries(whole, value)
        for whole in old.keys() - found.keys() if old else ():
            yield from ((place, None) for place, _ in _entries(whole, old[whole]))
    for name in before.keys() - state.keys():
        for whole, value in before[name].items():
            yield from ((place, None) for place, _ in _entries(whole, value))


def _registered(writer: VCDWriter, place: Place, shape: int) -> Variable[Any]:
    scope, name = place
    if shape == _STRING:
        return writer.register_var(scope, name, VarType.string, init="")
    return writer.register_var(scope, name, VarType.wire, size=shape, init="x")


class _Names:
    """Names that a VCD can hold, each given once: what a document calls its variables is its own affair."""

    def __init__(self) -> None:
        self._given: set[Place] = set()

    def of(self, place: Place) -> Place:
        """The place under which a signal is registered."""
        scope, name = tuple(map(_identifier, place[0])), _identifier(place[1])
        while (scope, name) in self._given:
            name += "_"
        self._given.add((scope, name))
        return scope, name


def _same(one: Signal | list[Any], other: Signal | list[Any]) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _identifier(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in name)


def _written(value: Signal, shape: int) -> int | str:
    if shape == _STRING:
        text = "" if value is None else str(value)
        return printable(text).encode("ascii", "backslashreplace").decode()
    if value is None:
        return "x"
    assert not isinstance(value, str), "a number's shape comes from its values"
    return int(value)
