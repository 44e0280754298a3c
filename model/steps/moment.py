"""One moment of a virtqueue at work: what ``State`` has, and how far driver, handler and device have come.

``pc`` says which statement the driver runs next. The ghost fields of ``State`` change at one statement of
each operation: a chain is *published* when avail_idx moves on, *given back* when its last descriptor is
linked to the free list. In between, the fields here say by how much memory is ahead of the ghosts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, TypeAlias

import z3

from ..state import Flag, Map, Marks, Number, State

Entries: TypeAlias = Callable[[Any, Any], Any]
"""Per table and index: a number."""
EntryMarks: TypeAlias = Callable[[Any, Any], Any]
"""Per table and index: a flag."""


class Pc(IntEnum):
    """What the driver does next; IDLE between two operations. The comment names the function it is in."""

    IDLE = 0
    TABLE = 1  # vring_add_indirect: fill the next entry of the table
    TAKE = 2  # vring_add_indirect: take a descriptor for the table
    FILL = 3  # virtqueue_add: fill the next descriptor
    REMEMBER = 4  # virtqueue_add: data[head] = token
    SLOT = 5  # virtqueue_add: put the head into the available ring
    PUBLISH = 6  # virtqueue_add: move avail_idx on
    COUNT = 7  # virtqueue_add: move num_added on
    PREPARE = 8  # virtqueue_kick_prepare: old and new, num_added = 0
    DECIDE = 9  # virtqueue_kick_prepare: read what the device asks for
    NOTIFY = 10  # virtqueue_notify
    ELEMENT = 11  # virtqueue_get_buf: read the used element
    DETACH = 12  # virtqueue_get_buf, detach_buf: forget the token, free the table
    WALK = 13  # detach_buf: follow NEXT, or link the last descriptor to the free list
    ADVANCE = 14  # virtqueue_get_buf: move last_used_idx on
    ASK = 15  # virtqueue_get_buf: look whether callbacks are on
    REARM = 16  # virtqueue_get_buf: write used_event
    EVENT = 17  # virtqueue_enable_cb_prepare, virtqueue_enable_cb_delayed: write used_event
    POLL = 18  # virtqueue_poll, virtqueue_enable_cb_delayed: look at used_idx
    SCAN = 19  # virtqueue_detach_unused_buf: look for the next token
    RETRACT = 20  # virtqueue_detach_unused_buf: move avail_idx back


@dataclass(frozen=True)
class Moment(State):
    """One moment of one virtqueue. Tables and tokens are numbers; ranges are as in ``State``."""

    # In shared memory: the rest of the descriptors, and the indirect tables.
    addr: Map  # per descriptor
    len: Map  # per descriptor, bytes
    writes: Marks  # per descriptor: the WRITE flag
    indirect: Marks  # per descriptor: the INDIRECT flag
    allocated: Marks  # per table: its memory belongs to the driver
    entry_next: Entries
    entry_has_next: EntryMarks
    entry_addr: Entries
    entry_len: Entries
    entry_writes: EntryMarks
    entry_indirect: EntryMarks

    # Kept by the driver: where it is, the arguments and variables of the function it is in.
    pc: Number  # a Pc
    wanted: Flag  # callbacks are on
    token: Number
    segments: Number  # of the chain being added: out and in
    outs: Number  # how many of them are for the device to read; they come first
    segment_addr: Map  # per segment
    segment_len: Map
    tabled: Flag  # the chain goes into a table
    table: Number
    taking: Number  # descriptors the chain takes: its segments, or 1 for a table
    head: Number
    cursor: Number  # the descriptor the loop has come to
    previous: Number  # the descriptor it came from
    count: Number  # rounds of the loop so far
    old_idx: Number  # 16 bits: avail_idx at the kick before
    need: Flag  # the device is to be notified
    result: Number  # the token handed out last
    bufs: Number  # how many completions enable_cb_delayed lets pass; 0 for enable_cb
    delayed: Flag  # the one or the other
    unused: Flag  # detach_buf was called by virtqueue_detach_unused_buf

    # Kept by the device, and between the two.
    live: Flag  # the device was not reset
    staged: Number  # chains whose used element is written; used of them are published
    deciding: Flag  # used_idx was moved on, and whether to interrupt not yet decided
    signalled: Number  # used, when that was decided last
    irq: Flag  # an interrupt is pending
    handling: Flag  # it was taken, and the handler has not yet looked
    calling: Flag  # the handler has found something used, and not yet called the callback
    notified: Flag  # a notification is pending
    dozing: Flag  # the device has asked to be notified and not yet looked again
    asleep: Flag  # it has looked again, found nothing, and waits for a notification

    # Ghost.
    size: Map  # allocated table to the number of its entries
    table_outs: Map  # allocated table to how many of them are for the device to read
    table_head: Map  # table of a published chain to the chain's head
    chain_outs: Map  # outstanding head of a chain without table to the number of its readable descriptors
    event: Number  # the sequence number whose completion used_event asks to be told of
    seen: Number  # used, when the driver last looked before it went to wait
    waiting: Flag  # callbacks are on, the driver has looked since, and no interrupt has come
    woken: Flag  # an interrupt has come since callbacks were switched on
    kick_from: Number  # published, at the kick before the one under way


@dataclass(frozen=True)
class Choice:
    """What a step leaves open: arguments of an operation, or what allocator or device choose."""

    token: Number
    segments: Number
    outs: Number
    segment_addr: Map
    segment_len: Map
    table: Number  # what the allocator returns
    head: Number  # the chain the device completes
    event: Number  # 16 bits
    flag: Flag


def unknown(record: type[Any]) -> Any:
    """Return a moment or choice of which nothing is known: every field a solver's symbol of its name."""
    mark = "" if issubclass(record, State) else "chosen_"
    number, flag = z3.IntSort(), z3.BoolSort()
    symbols: dict[str, Callable[[str], Any]] = {
        "Number": z3.Int,
        "Flag": z3.Bool,
        "Map": lambda name: z3.Function(name, number, number),
        "Marks": lambda name: z3.Function(name, number, flag),
        "Entries": lambda name: z3.Function(name, number, number, number),
        "EntryMarks": lambda name: z3.Function(name, number, number, flag),
    }
    return record(**{field.name: symbols[str(field.type)](mark + field.name) for field in fields(record)})
