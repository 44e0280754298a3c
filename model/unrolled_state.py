"""The state of the unrolled virtqueue: its fields, and what transitions do to tables of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias, TypeVar

import z3

Bits: TypeAlias = z3.BitVecRef
Truth: TypeAlias = z3.BoolRef

TOKEN_BITS = 6
COUNT_BITS = 8


@dataclass(frozen=True, slots=True)
class State:
    """Everything a run consists of between two operations; a tuple has one entry per descriptor or slot.

    Ring memory, the driver's own fields, the device's own fields, then what no party stores: the
    bookkeeping that properties speak about. A token is the number of adds so far, 0 means none.
    """

    next: tuple[Bits, ...]
    has_next: tuple[Truth, ...]
    avail_ring: tuple[Bits, ...]
    avail_idx: Bits
    used_event: Bits
    used_ring: tuple[Bits, ...]
    used_idx: Bits
    avail_event: Bits
    no_notify: Truth

    free_head: Bits
    num_free: Bits
    num_added: Bits
    last_used_idx: Bits
    data: tuple[Bits, ...]
    broken: Truth

    read_idx: Bits
    in_flight: tuple[Bits, ...]
    in_flight_count: Bits

    adds: Bits
    owner: tuple[Bits, ...]
    length: tuple[Bits, ...]
    published: Bits
    completed: Bits
    returned: Bits
    unkicked: Bits
    unread: tuple[Bits, ...]
    unread_count: Bits
    unreturned: tuple[Bits, ...]
    unreturned_count: Bits


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one transition did beyond changing the state; false or 0 where it does not apply.

    ``announced`` is how many chains were published since the kick before, at the moment of a kick.
    """

    refused: Truth
    notified: Truth
    kicked: Truth
    announced: Bits
    doubled: Truth
    lapped_avail: Truth
    lapped_used: Truth
    head: Bits
    returned: Truth
    token: Bits


Record = TypeVar("Record", State, Outcome)


def select(items: Sequence[Bits], index: Bits) -> Bits:
    """Entry ``index`` of ``items``; the first one if there is no such entry."""
    result = items[0]
    for place in range(1, len(items)):
        result = z3.If(index == place, items[place], result)
    return result


def store(items: Sequence[Bits], index: Bits, value: Bits) -> tuple[Bits, ...]:
    """``items`` with entry ``index`` replaced; unchanged if there is no such entry."""
    return tuple(z3.If(index == place, value, item) for place, item in enumerate(items))


def leaves(state: State) -> Iterator[tuple[str, z3.ExprRef]]:
    """Every single field of ``state`` with its name, tuples entry by entry."""
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, tuple):
            yield from ((f"{field.name}[{place}]", item) for place, item in enumerate(value))
        else:
            yield field.name, value


def choose(condition: Truth, yes: Record, no: Record) -> Record:
    """``yes`` where ``condition`` holds, else ``no``, field by field."""

    def pick(one: z3.ExprRef, other: z3.ExprRef) -> z3.ExprRef:
        return one if one is other else z3.If(condition, one, other)

    merged = {}
    for field in fields(yes):
        one, other = getattr(yes, field.name), getattr(no, field.name)
        merged[field.name] = (
            tuple(pick(a, b) for a, b in zip(one, other, strict=True))
            if isinstance(one, tuple)
            else pick(one, other)
        )
    return type(yes)(**merged)


def shifted(items: Sequence[Bits]) -> tuple[Bits, ...]:
    """A queue without its first entry; a zero comes in behind."""
    return (*items[1:], z3.BitVecVal(0, items[0].size()))
