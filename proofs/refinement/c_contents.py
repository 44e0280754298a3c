"""What C memory holds at a moment of the model: the abstraction function, from right to left.

``contents`` says of each field of each object that virtqueue.c works on which value a moment gives it. Read
from left to right it is injective where it must be: two moments that differ in something the driver keeps,
or in what the driver writes to shared memory, give different contents. What no moment says (bytes of the
ring that nobody has written, lengths of used elements) is anything, by symbols of their own.

Objects go by name: ``vq`` (struct rp_vq), ``desc``, ``avail``, ``used`` (the ring), ``data`` (struct
rp_vq_data), ``ops`` (struct rp_vq_ops), ``table`` (an indirect table being filled). Arrays are functions of
the index. The available ring has one entry more than the queue has descriptors: used_event.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import z3

from ...model.state import Map
from ...model.steps.invariants import ADDING
from ...model.steps.moment import Moment, Pc
from ...model.steps.queue import Steps
from ...model.term import Flag, both, either, no

Content: TypeAlias = Any
"""A number, or a function of the index."""
Contents: TypeAlias = dict[tuple[str, str], Content]

NEXT, WRITE, INDIRECT = 1, 2, 4
ENTRY_BYTES = 16

_number = z3.IntSort()
virtual: Map = z3.Function("virtual", _number, _number)
"""The pointer to a table, of its guest-physical address, which is what the model calls it by."""
_bytes_before: Map = z3.Function("table_bytes_before", _number, _number)
used_length: Map = z3.Function("used_length", _number, _number)
"""By slot: the bytes that the device says it wrote."""
flags_beside = z3.Int("used_flags_beside")
"""The bits of used.flags above NO_NOTIFY."""
queue_index = z3.Int("queue_index")


def word(flag: Flag, bit: int) -> Any:
    """Return the bit if the flag holds, else 0."""
    return either(flag, bit, 0) if isinstance(flag, bool) else z3.If(flag, z3.IntVal(bit), z3.IntVal(0))


def contents(model: Steps, s: Moment) -> Contents:
    """Return what memory holds at a moment, by object and field."""
    ring = {
        ("desc", "addr"): s.addr,
        ("desc", "len"): s.len,
        ("desc", "flags"): lambda d: (
            word(s.has_next(d), NEXT) + word(s.writes(d), WRITE) + word(s.indirect(d), INDIRECT)
        ),
        ("desc", "next"): s.next,
        ("avail", "flags"): word(s.no_interrupt, 1),
        ("avail", "idx"): s.avail_idx,
        ("avail", "ring"): lambda i: either(i == model.queue_size, s.used_event, s.avail_ring(i)),
    }
    kept = {
        ("vq", "num_free"): s.num_free,
        ("vq", "free_head"): s.free_head,
        ("vq", "num_added"): s.num_added,
        ("vq", "last_used_idx"): s.last_used_idx,
        ("vq", "callbacks"): word(s.wanted, 1),
        ("data", "token"): s.data,
        ("data", "table"): lambda h: table_of(s, h),
        ("data", "table_bytes"): lambda h: either(has_table(s, h), table_bytes(s, h), _bytes_before(h)),
    }
    return {**ring, **kept}


def table_contents(s: Moment) -> dict[str, Content]:
    """Return what the table of the chain being added holds, by field."""
    t = s.table
    return {
        "addr": lambda i: s.entry_addr(t, i),
        "len": lambda i: s.entry_len(t, i),
        "flags": lambda i: (
            word(s.entry_has_next(t, i), NEXT)
            + word(s.entry_writes(t, i), WRITE)
            + word(s.entry_indirect(t, i), INDIRECT)
        ),
        "next": lambda i: s.entry_next(t, i),
    }


def setting(model: Steps) -> Contents:
    """Return what does not change while the queue works."""
    return {
        ("vq", "queue_size"): model.queue_size,
        ("vq", "queue_index"): queue_index,
        ("vq", "broken"): 0,
        ("vq", "indirect"): word(model.indirect_desc, 1),
        ("vq", "event_idx"): word(model.event_idx, 1),
        ("vq", "little_endian"): word(z3.Bool("version_1"), 1),
        ("vq", "mended"): word(model.mended, 1),
    }


def _building(s: Moment, h: Any) -> Flag:
    """Whether ``h`` is the head for which a table is being filled, or was, and is not yet published."""
    return both(s.tabled, h == s.head) if s.pc in ADDING else False


def has_table(s: Moment, h: Any) -> Flag:
    """Whether a head has a table of its own."""
    taken_back = h == s.head if s.pc == Pc.WALK else False
    published = both(s.outstanding(h), s.indirect(h), no(taken_back))
    building = _building(s, h)
    return published if building is False else z3.Or(published, building)


def table_of(s: Moment, h: Any) -> Any:
    """Return the pointer to a head's table, or 0."""
    building = _building(s, h)
    of_chain = either(has_table(s, h), virtual(s.addr(h)), 0)
    return either(building, virtual(s.table), of_chain)


def table_bytes(s: Moment, h: Any) -> Any:
    """Return the size of a head's table."""
    return either(_building(s, h), s.segments, s.size(s.addr(h))) * ENTRY_BYTES


def typed(model: Steps, s: Moment) -> dict[str, z3.BoolRef]:
    """Return that each word of memory has a value of its width: what any memory has, by name of the fact."""
    i, j = z3.Ints("i j")

    def below(bits: int, *functions: Callable[[Any], Any]) -> z3.BoolRef:
        return z3.And(
            [z3.ForAll([i], z3.And(function(i) >= 0, function(i) < 1 << bits)) for function in functions]
        )

    def word_below(bits: int, *values: Any) -> z3.BoolRef:
        return z3.And([z3.And(value >= 0, value < 1 << bits) for value in values])

    entries = [
        z3.ForAll([i, j], z3.And(function(i, j) >= 0, function(i, j) < 1 << bits))
        for bits, function in ((64, s.entry_addr), (32, s.entry_len), (16, s.entry_next))
    ]
    del model
    return {
        "typed": z3.And(
            below(64, s.addr, s.data),
            below(32, s.len, s.used_ring),
            below(16, s.next, s.avail_ring),
            *entries,
        ),
        "typed-words": word_below(16, s.used_event, s.avail_event, s.avail_idx, s.used_idx, s.last_used_idx),
    }


def surroundings() -> dict[str, z3.BoolRef]:
    """Return what is known of the symbols of this module."""
    i = z3.Int("i")
    return {
        "typed-surroundings": z3.And(
            queue_index >= 0,
            queue_index < 1 << 16,
            flags_beside >= 0,
            flags_beside < 1 << 15,
            z3.ForAll([i], z3.And(virtual(i) > 0, virtual(i) < 1 << 64)),
            z3.ForAll([i], z3.And(used_length(i) >= 0, used_length(i) < 1 << 32)),
            z3.ForAll([i], z3.And(_bytes_before(i) >= 0, _bytes_before(i) < 1 << 64)),
        )
    }
