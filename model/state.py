"""The state of one split virtqueue: what the driver keeps, what memory holds, and what is true.

The third part is ghost: no driver keeps it, it only says what the other two mean. Its heart is a
permutation of the descriptors in *stack layout*. Position ``gpos(d)`` of a descriptor and descriptor
``gat(p)`` of a position are inverse. The free list is positions 0 to free - 1 with its head on top
and links going down; every outstanding chain is a block of neighbouring positions above them, its
head on top and links going down too. Adding a chain moves no descriptor: the top free cells become
its block. Giving one back is one rotation. So what a driver may get wrong about allocation is a
statement about two numbers instead of about reachability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeAlias

import z3

Number: TypeAlias = z3.ArithRef
Flag: TypeAlias = z3.BoolRef
Map: TypeAlias = Callable[[z3.ArithRef], z3.ArithRef]
Marks: TypeAlias = Callable[[z3.ArithRef], z3.BoolRef]


@dataclass(frozen=True)
class State:
    """One moment of one virtqueue. Descriptors, positions and slots are 0 to queue_size - 1."""

    # Kept by the driver (Linux 3.11: struct vring_virtqueue).
    free_head: Number  # head of the free list; anything in range while no descriptor is free
    num_free: Number
    num_added: Number  # adds since the last kick was prepared
    last_used_idx: Number  # 16 bits
    data: Map  # the token of each head in flight, else 0

    # In shared memory (VIRTIO 1.3, 2.7.5, 2.7.6, 2.7.8).
    next: Map  # per descriptor
    has_next: Marks  # per descriptor: the NEXT flag
    avail_idx: Number  # 16 bits
    avail_ring: Map  # per slot: a head
    no_interrupt: Flag  # avail.flags bit 0, the driver's wish
    used_event: Number  # 16 bits, the driver's wish
    used_idx: Number  # 16 bits
    used_ring: Map  # per slot: the id of a used element
    no_notify: Flag  # used.flags bit 0, the device's wish
    avail_event: Number  # 16 bits, the device's wish

    # Ghost: the permutation and the chains.
    free: Number  # how many descriptors really are on the free list
    gpos: Map  # descriptor to position
    gat: Map  # position to descriptor
    outstanding: Marks  # per descriptor: head of a chain that was added and not got back
    owner: Map  # descriptor in a chain to the chain's head
    length: Map  # outstanding head to the number of its descriptors
    given: Map  # outstanding head to the token add was given
    rank: Map  # outstanding head to the number of chains whose block lies above its own

    # Ghost: time. Sequence numbers never wrap: last_used <= used <= read <= published.
    published: Number  # adds so far
    read: Number  # chains the device has taken
    used: Number  # chains the device has completed
    last_used: Number  # chains the driver has got back
    last_kick: Number  # published, when a kick was last prepared
    order: Map  # sequence number from last_used to published - 1, to the head it stands for
    place: Map  # outstanding head to its sequence number
    held: Marks  # per descriptor: head of a chain the device has taken and not completed


def arbitrary() -> State:
    """Return a state of which nothing is known: every field is a solver symbol of the field's name."""
    number = z3.IntSort()
    symbols = {
        "Number": z3.Int,
        "Flag": z3.Bool,
        "Map": lambda name: z3.Function(name, number, number),
        "Marks": lambda name: z3.Function(name, number, z3.BoolSort()),
    }
    return State(**{field.name: symbols[str(field.type)](field.name) for field in fields(State)})
