"""C library functions that compilers call on their own account, done on the machine's memory.

Lengths that are not known are enumerated, each a way of its own. What is read and written is checked as any
access is, but is no event: shared memory is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .errors import Unmodelled
from .state import Call, State
from .words import Word, below, choose, equal, extract

if TYPE_CHECKING:
    from .run import Machine

Answers = list[tuple[State, Word | None]]


def _lengths(machine: Machine, state: State, length: Word) -> Iterator[tuple[State, int]]:
    values = machine.oracle.values(length, state.path, machine.addressing.most)
    for value in values:
        yield (state if len(values) == 1 else state.fork(equal(length, value, 64))), value


def _range(
    machine: Machine, state: State, call: Call, start: Word, size: int, letter: str
) -> list[int] | None:
    """Return where a stretch may begin, all of it in one region; none after a finding."""
    if size == 0:
        return [0]
    values = machine.oracle.values(start, state.path, machine.addressing.most)
    for value in values:
        region = state.memory.region(value, size)
        if region is None or letter not in region.permissions:
            kind = "null" if value < 4096 else "wild" if region is None else "permission"
            verb = "reads" if letter == "r" else "writes"
            machine.findings.report(
                state,
                kind,
                f"{call.name} {verb} {size} bytes at {value:#x}",
                call.place,
                equal(start, value, 64),
            )
            return None
        if region.shared:
            raise Unmodelled(f"{call.name} of shared memory", call.place)
    return values


def _memset(machine: Machine, state: State, call: Call) -> Answers:
    start, byte = call.arguments[0], extract(call.arguments[1], 0, 8)
    done: Answers = []
    for here, size in _lengths(machine, state, call.arguments[2]):
        values = _range(machine, here, call, start, size, "w")
        if values is not None:
            for i in range(size):
                here.memory.store_any(_shifted(start, values, i), [value + i for value in values], byte, 1)
            done.append((here, start))
    return done


def _memmove(machine: Machine, state: State, call: Call) -> Answers:
    to, source = call.arguments[:2]
    done: Answers = []
    for here, size in _lengths(machine, state, call.arguments[2]):
        targets = _range(machine, here, call, to, size, "w")
        sources = _range(machine, here, call, source, size, "r") if targets is not None else None
        if targets is None or sources is None:
            continue
        if call.name == "memcpy" and any(abs(a - b) < size for a in targets for b in sources):
            machine.findings.report(here, "overlap", "memcpy of what may overlap", call.place)
            continue
        taken = [
            here.memory.load_any(_shifted(source, sources, i), [value + i for value in sources], 1)
            for i in range(size)
        ]
        for i, byte in enumerate(taken):
            here.memory.store_any(_shifted(to, targets, i), [value + i for value in targets], byte, 1)
        done.append((here, to))
    return done


def _memcmp(machine: Machine, state: State, call: Call) -> Answers:
    done: Answers = []
    for here, size in _lengths(machine, state, call.arguments[2]):
        pair = [_range(machine, here, call, word, size, "r") for word in call.arguments[:2]]
        if pair[0] is None or pair[1] is None:
            continue
        result: Word = 0
        for i in reversed(range(size)):
            one, other = (
                here.memory.load_any(_shifted(word, values, i), [value + i for value in values], 1)
                for word, values in zip(call.arguments[:2], pair, strict=True)
                if values is not None
            )
            sign = choose(below(one, other, 8), 0xFFFF_FFFF, 1, 64)
            result = choose(equal(one, other, 8), result, sign, 64)
        done.append((here, result))
    return done


def _stops(machine: Machine, state: State, call: Call) -> Answers:
    machine.findings.report(state, "abort", f"{call.name} is called", call.place)
    return []


def _shifted(start: Word, values: list[int], offset: int) -> Word:
    return values[0] + offset if len(values) == 1 else start + offset


KNOWN: dict[str, Callable[[Any, State, Call], Answers]] = {
    "memset": _memset,
    "memcpy": _memmove,
    "memmove": _memmove,
    "memcmp": _memcmp,
    "__stack_chk_fail": _stops,
    "abort": _stops,
}
"""By the name under which the library imports it."""
