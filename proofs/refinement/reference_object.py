"""A virtqueue of the reference in any state that the step-wise model may be in, its class unchanged.

The object is made by its own constructor, once for each profile and each choice of features; what these make
different is put together again, as a choice between the values by flags. Then the private state is given what
the moment says. Every other attribute has to be the same object after the operation.
"""

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import z3

from ..symbolic.errors import Unmodelled
from .reference_invariants import term_like
from .reference_lockstep import ANY, Lockstep
from .symbolic_int import inspected, term_of
from .symbolic_ring import Token

MODULES = ("virtqueue", "vring", "profile", "features", "layout")
"""The modules whose code is followed."""

NUMBERS = ("free_head", "num_free", "num_added", "last_used_idx")
"""The private state that is a number, by the name of the attribute and of the model's field."""

_STATE = (*NUMBERS, "data", "callbacks_wanted")
_PROFILES = ("LINUX_3_11", "VIRTIO_1_X")
_CASES = [
    (mended, event, indirect)
    for mended in (False, True)
    for event in (False, True)
    for indirect in (False, True)
]
_MODERN, _LEGACY = 4, 4096


class MergedProfile:
    """Either profile: each habit a truth value, or the one that both have."""

    def __init__(self, habits: dict[str, Any]) -> None:
        self.__dict__.update(habits)

    def __eq__(self, other: object) -> bool:
        raise Unmodelled("profiles are compared")

    def __hash__(self) -> int:
        raise Unmodelled("a profile is hashed")


def module(package: ModuleType, name: str) -> ModuleType:
    """Return a module of the reference's package."""
    return importlib.import_module(f"{package.__name__}.{name}")


def source(package: ModuleType, name: str) -> str:
    """Return the source of a module of the reference's package."""
    path = module(package, name).__file__
    if path is None:
        raise Unmodelled(f"{name} has no source")
    return Path(path).read_text(encoding="utf-8")


def sources(package: ModuleType) -> str:
    """Return the source of what is followed, refused if symbolic numbers could go through it unnoticed."""
    return "\n".join(inspected(source(package, name), f"{name}.py") for name in MODULES)


def made(package: ModuleType, lockstep: Lockstep) -> Any:
    """Return the queue at the lockstep's start, on its memory."""
    run, start = lockstep.run, lockstep.start
    code, profiles = module(package, "virtqueue"), module(package, "profile")
    layout = module(package, "layout").modern(lockstep.queue_size)
    cells = dict(lockstep.memory.cells)
    lockstep.memory.watcher = None
    due = len(run.due)
    vring = code.Vring(ring(lockstep), layout)
    notify, callback = lockstep.notify, lockstep.call_back
    queues = [
        code.Virtqueue(
            vring,
            lockstep,
            notify,
            index=lockstep.index,
            features=event * profiles.F_EVENT_IDX | indirect * profiles.F_INDIRECT_DESC,
            profile=getattr(profiles, _PROFILES[mended]),
            callback=callback,
        )
        for mended, event, indirect in _CASES
    ]
    del run.due[due:]
    queue = queues[0]
    attributes = [vars(each) for each in queues]
    if any(each.keys() != attributes[0].keys() for each in attributes):
        raise Unmodelled("a queue has other attributes with other features")
    missing = [name for name in (*_STATE, "broken") if name not in attributes[0]]
    if missing:
        raise Unmodelled(f"a queue has no {missing[0]}")
    for name in attributes[0].keys() - set(_STATE) - {"broken"}:
        setattr(queue, name, _merged(lockstep, name, [each[name] for each in attributes]))
    for name in NUMBERS:
        setattr(queue, name, run.number(getattr(start, name)))
    queue.data = lockstep.data
    queue.callbacks_wanted = run.truth(start.wanted)
    queue.broken = False
    lockstep.memory.cells.update(cells)
    lockstep.memory.watcher = lockstep
    lockstep.queue = queue
    return queue


def ring(lockstep: Lockstep) -> Any:
    """Return the bytes of the lockstep's ring, in the modern layout (VIRTIO 1.3, 2.7)."""
    queue_size = lockstep.queue_size
    avail = 16 * queue_size
    used = -(-(avail + 6 + 2 * queue_size) // _MODERN) * _MODERN
    return lockstep.block(avail, used, used + 6 + 8 * queue_size).window()


def attributes(queue: Any) -> dict[str, Any]:
    """Return the attributes that no operation may change."""
    return {name: value for name, value in vars(queue).items() if name not in (*_STATE, "broken")}


def kept(queue: Any, before: dict[str, Any]) -> list[str]:
    """Return the names of the attributes that are not what they were."""
    after = attributes(queue)
    names = sorted(before.keys() | after.keys())
    return [name for name in names if name not in before or after.get(name) is not before[name]]


def private_differences(lockstep: Lockstep) -> list[tuple[str, Any, Any]]:
    """Return the private state that is not the same term as the model's; raises TypeError for no numbers."""
    queue, moment = lockstep.queue, lockstep.moment
    pairs = [(name, term_of(getattr(queue, name)), term_like(getattr(moment, name))) for name in NUMBERS]
    pairs.append(("callbacks_wanted", term_of(queue.callbacks_wanted), term_like(moment.wanted)))
    pairs.append(("data", term_like(lockstep.data.held(ANY)), term_like(moment.data(ANY))))
    return [(name, code, model) for name, code, model in pairs if not code.eq(model)]


def is_token(value: Any, term: Any) -> Any:
    """Return whether a value is the token of that number."""
    return value.term == term if isinstance(value, Token) else False


def _merged(lockstep: Lockstep, name: str, values: Sequence[Any]) -> Any:
    first = values[0]
    if all(value is first for value in values):
        return first
    if all(isinstance(value, bool) for value in values):
        return lockstep.run.truth(_flag(tuple(values)))
    if name == "profile":
        kinds = [{key: getattr(value, key) for key in _habits(value)} for value in values]
        habits = {
            key: _merged(lockstep, key, [kind[key] for kind in kinds]) for key in kinds[0] if key != "name"
        }
        return MergedProfile(habits)
    if all(isinstance(value, int) and value == first for value in values):
        return first
    raise Unmodelled(f"{name} of a queue depends on the features in a way that is not followed")


def _habits(profile: Any) -> tuple[str, ...]:
    return tuple(profile.__dataclass_fields__)


@functools.cache
def _flag(values: tuple[bool, ...]) -> Any:
    """Return the flag that has these values in the cases, as short as may be."""
    mended, event, indirect = z3.Bool("mended"), z3.Bool("event_idx"), z3.Bool("indirect_desc")
    table = dict(zip(_CASES, values, strict=True))
    for flag, place in ((mended, 0), (event, 1), (indirect, 2)):
        if all(value == case[place] for case, value in table.items()):
            return flag
        if all(value != case[place] for case, value in table.items()):
            return z3.Not(flag)
    if all(value == (not mended or not event) for (mended, event, _), value in table.items()):
        return z3.Or(z3.Not(mended), z3.Not(event))
    if all(value == (not mended or event) for (mended, event, _), value in table.items()):
        return z3.Or(z3.Not(mended), event)
    terms = [
        z3.And(
            [flag if on else z3.Not(flag) for flag, on in zip((mended, event, indirect), case, strict=True)]
        )
        for case, value in table.items()
        if value
    ]
    return z3.Or(terms)
