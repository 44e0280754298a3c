"""Who owns each descriptor of a queue, read off the values of one state.

Values come from documents, so nothing is taken for granted: what is missing or out of range is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

F_NEXT = 1
_FLAG_LETTERS = ((1, "N"), (2, "W"), (4, "I"))


class Owner(StrEnum):
    """Where a descriptor is on its way; LOST is in no chain and not free, TWICE is free and in a chain."""

    FREE = "free"
    AVAILABLE = "available"
    DEVICE = "device"
    USED = "used"
    KEPT = "kept"
    LOST = "lost"
    TWICE = "twice"


OWNER_WORDS = {
    Owner.FREE: "on the free list",
    Owner.AVAILABLE: "available, not yet read",
    Owner.DEVICE: "read by the device",
    Owner.USED: "used, not yet taken back",
    Owner.KEPT: "in a chain that is in no ring",
    Owner.LOST: "in no chain, not free",
    Owner.TWICE: "free and in a chain",
}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A row of the table; ``head`` is that of its chain, None outside of chains, ``token`` 0 for none."""

    number: int
    owner: Owner
    next: int
    flags: int
    token: int
    head: int | None

    def letters(self) -> str:
        """The flags by letter: N for NEXT, W for WRITE, I for INDIRECT; "-" for none."""
        return "".join(letter for bit, letter in _FLAG_LETTERS if self.flags & bit) or "-"


@dataclass(frozen=True, slots=True)
class FreeList:
    """The path from free_head along next, as long as num_free says.

    ``path`` ends early where it would leave the table or come back to where it was; ``astray`` is the
    number it would go on to then, None if nothing is wrong.
    """

    path: tuple[int, ...]
    astray: int | None


def integer(values: Mapping[str, Any], name: str) -> int | None:
    """A whole number among the values of a state, None if there is none of this name."""
    found = values.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def table(values: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """A table of whole numbers among the values of a state, empty if there is none of this name."""
    found = values.get(name)
    if not isinstance(found, Sequence) or isinstance(found, str):
        return ()
    return tuple(found) if all(isinstance(each, int) for each in found) else ()


def window(first: int | None, end: int | None, size: int) -> range:
    """The 16-bit indices from ``first`` up to ``end``, not wrapped, at most as many as the queue has."""
    if first is None or end is None:
        return range(0)
    return range(first, first + min((end - first) & 0xFFFF, size))


def free_list(values: Mapping[str, Any]) -> FreeList:
    """The free list of a state."""
    following = table(values, "next")
    at, count = integer(values, "free_head"), integer(values, "num_free")
    path: list[int] = []
    seen: set[int] = set()
    while at is not None and count is not None and len(path) < count:
        if at in seen or not 0 <= at < len(following):
            return FreeList(tuple(path), at)
        path.append(at)
        seen.add(at)
        at = following[at]
    return FreeList(tuple(path), None)


def descriptors(values: Mapping[str, Any]) -> tuple[Descriptor, ...]:
    """The descriptor table of a state with the owner of each entry; empty if the state has no tables."""
    following, flags, data = (table(values, name) for name in ("next", "flags", "data"))
    size = len(following)
    if not size or len(flags) != size or len(data) != size:
        return ()
    heads = _heads(values, data)
    of: dict[int, int] = {}
    for head in heads:
        at: int = head
        while 0 <= at < size and at not in of:
            of[at] = head
            if not flags[at] & F_NEXT:
                break
            at = following[at]
    free = frozenset(free_list(values).path)
    rows = []
    for number in range(size):
        chain = of.get(number)
        if number in free:
            owner = Owner.FREE if chain is None else Owner.TWICE
        else:
            owner = Owner.LOST if chain is None else heads[chain]
        rows.append(Descriptor(number, owner, following[number], flags[number], data[number], chain))
    return tuple(rows)


def _heads(values: Mapping[str, Any], data: Sequence[int]) -> dict[int, Owner]:
    """The heads of all chains and where each is, those furthest on their way first."""
    size = len(data)
    rings = (
        (
            Owner.USED,
            "used_ring",
            window(integer(values, "last_used_idx"), integer(values, "used_idx"), size),
        ),
        (
            Owner.AVAILABLE,
            "avail_ring",
            window(integer(values, "read_idx"), integer(values, "avail_idx"), size),
        ),
    )
    found: dict[int, Owner] = {}
    placed = {
        owner: [ring[index % len(ring)] for index in indices] if (ring := table(values, name)) else []
        for owner, name, indices in rings
    }
    for owner, heads in (
        (Owner.USED, placed[Owner.USED]),
        (Owner.DEVICE, list(table(values, "in_flight"))),
        (Owner.AVAILABLE, placed[Owner.AVAILABLE]),
        (Owner.KEPT, [head for head, token in enumerate(data) if token]),
    ):
        for head in heads:
            # A used entry whose token is gone has been given back before: the table knows best.
            if 0 <= head < size and (data[head] or owner is not Owner.USED):
                found.setdefault(head, owner)
    return found
