"""The queue size: every power of two from 1 to 32768 at once, or one of them.

Both classes answer the same questions, so the ring and its invariants are written once.
``EverySize`` leaves the size symbolic and keeps quantifiers: its answer ``unsat`` holds for every
queue. ``OneSize`` spells the quantifiers out for one size: its answer ``sat`` is a concrete ring.
"""

from collections.abc import Callable
from typing import Protocol

import z3

WORD = 1 << 16
"""Ring indices are 16 bits wide (VIRTIO 1.3, 2.7.6 and 2.7.8)."""

LARGEST = 1 << 15
"""The largest queue size (VIRTIO 1.3, 2.7)."""


def u16(number: z3.ArithRef) -> z3.ArithRef:
    """Cut an integer to 16 bits: its remainder modulo 2^16, from 0 to 65535."""
    return number % WORD


class Size(Protocol):
    """What the ring needs to know of its size."""

    queue_size: z3.ArithRef

    def slot(self, number: z3.ArithRef) -> z3.ArithRef:
        """Return the ring slot of a count or of a 16-bit index: its remainder modulo the queue size."""

    def facts(self, numbers: tuple[z3.ArithRef, ...]) -> dict[str, z3.BoolRef]:
        """Return what is known of the size and of ``slot``, and of the slots of these counts."""

    def every(self, claim: Callable[[z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Return the claim for every number from 0 to queue_size - 1: a descriptor, a position or a slot."""

    def every_pair(self, claim: Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Return the claim for every pair of descriptors."""

    def between(
        self, low: z3.ArithRef, high: z3.ArithRef, claim: Callable[[z3.ArithRef], z3.BoolRef]
    ) -> z3.BoolRef:
        """Return the claim for every sequence number from low to high - 1."""

    def every_table(self, claim: Callable[[z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Return the claim for every indirect table there may be, allocated or not."""

    def every_entry(self, claim: Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Return the claim for every table and every number from 0 up: an index of an entry."""

    def admits_table(self, table: z3.ArithRef, entries: z3.ArithRef) -> z3.BoolRef:
        """Return whether there may be such a table, of so many entries."""


class EverySize:
    """All sixteen queue sizes in one symbol.

    ``slot`` is uninterpreted: the three facts about it are the theorem ``slot-injective``, proved
    apart for each of the sixteen sizes and all integers. They hold of the remainder, so they contradict
    nothing.
    """

    def __init__(self) -> None:
        self.queue_size = z3.Int("queue_size")
        self._slot = z3.Function("slot", z3.IntSort(), z3.IntSort())

    def slot(self, number: z3.ArithRef) -> z3.ArithRef:
        """Return the slot, of which only ``facts`` are known."""
        return self._slot(number)

    def facts(self, numbers: tuple[z3.ArithRef, ...]) -> dict[str, z3.BoolRef]:
        """Slots are in range, differ over queue_size neighbours, and ignore multiples of 2^16."""
        i, j, size, slot = z3.Int("i"), z3.Int("j"), self.queue_size, self._slot
        return {
            "queue-size": z3.And(size >= 1, size <= LARGEST),
            "slot-in-range": z3.ForAll([i], z3.And(slot(i) >= 0, slot(i) < size)),
            "slot-injective": z3.ForAll([i, j], z3.Implies(z3.And(i < j, j - i < size), slot(i) != slot(j))),
            "slot-of-index": z3.And([slot(number) == slot(u16(number)) for number in numbers]),
        }

    def every(self, claim: Callable[[z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Quantify over one descriptor."""
        d = z3.Int("d")
        return z3.ForAll([d], z3.Implies(z3.And(d >= 0, d < self.queue_size), claim(d)))

    def every_pair(self, claim: Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Quantify over two descriptors."""
        g, h = z3.Int("g"), z3.Int("h")
        inside = z3.And(g >= 0, g < self.queue_size, h >= 0, h < self.queue_size)
        return z3.ForAll([g, h], z3.Implies(inside, claim(g, h)))

    def between(
        self, low: z3.ArithRef, high: z3.ArithRef, claim: Callable[[z3.ArithRef], z3.BoolRef]
    ) -> z3.BoolRef:
        """Quantify over sequence numbers."""
        k = z3.Int("k")
        return z3.ForAll([k], z3.Implies(z3.And(low <= k, k < high), claim(k)))

    def every_table(self, claim: Callable[[z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Quantify over all integers: no bound on the memory."""
        t = z3.Int("t")
        return z3.ForAll([t], claim(t))

    def every_entry(self, claim: Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Quantify over tables and indices."""
        t, i = z3.Int("t"), z3.Int("i")
        return z3.ForAll([t, i], z3.Implies(i >= 0, claim(t, i)))

    def admits_table(self, table: z3.ArithRef, entries: z3.ArithRef) -> z3.BoolRef:
        """Admit all."""
        del table, entries
        return z3.BoolVal(True)


class OneSize:
    """One queue size, all quantifiers spelt out.

    A window of sequence numbers is spelt out for one number more than the ring has slots, so that
    a step that lets one chain too many in flight is seen.
    """

    def __init__(self, queue_size: int) -> None:
        self._numbers = [z3.IntVal(number) for number in range(queue_size)]
        self._few = [z3.IntVal(number) for number in range(queue_size + 1)]
        self.queue_size = z3.IntVal(queue_size)

    def slot(self, number: z3.ArithRef) -> z3.ArithRef:
        """Return the remainder itself."""
        return number % self.queue_size

    def facts(self, numbers: tuple[z3.ArithRef, ...]) -> dict[str, z3.BoolRef]:
        """Nothing has to be assumed of a remainder."""
        del numbers
        return {}

    def every(self, claim: Callable[[z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Spell out the descriptors."""
        return z3.And([claim(d) for d in self._numbers])

    def every_pair(self, claim: Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Spell out the pairs."""
        return z3.And([claim(g, h) for g in self._numbers for h in self._numbers])

    def between(
        self, low: z3.ArithRef, high: z3.ArithRef, claim: Callable[[z3.ArithRef], z3.BoolRef]
    ) -> z3.BoolRef:
        """Spell out the window."""
        numbers = [low + step for step in range(len(self._numbers) + 1)]
        return z3.And([z3.Implies(number < high, claim(number)) for number in numbers])

    def every_table(self, claim: Callable[[z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Spell out the tables: one for each descriptor, and one that is being filled."""
        return z3.And([claim(t) for t in self._few])

    def every_entry(self, claim: Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]) -> z3.BoolRef:
        """Spell out the tables and their entries: up to one more than the queue has descriptors."""
        return z3.And([claim(t, i) for t in self._few for i in self._few])

    def admits_table(self, table: z3.ArithRef, entries: z3.ArithRef) -> z3.BoolRef:
        """Admit what can be spelt out."""
        return z3.And(table >= 0, table <= self.queue_size, entries <= self.queue_size + 1)


class Plain:
    """One queue size, and plain numbers: what is asked is computed."""

    def __init__(self, queue_size: int) -> None:
        self.queue_size = queue_size
        self._few = range(queue_size + 1)

    def slot(self, number: int) -> int:
        """Return the remainder."""
        return number % self.queue_size

    def facts(self, numbers: tuple[int, ...]) -> dict[str, bool]:
        """Nothing has to be assumed of a remainder."""
        del numbers
        return {}

    def every(self, claim: Callable[[int], bool]) -> bool:
        """Try all descriptors."""
        return all(claim(d) for d in range(self.queue_size))

    def every_pair(self, claim: Callable[[int, int], bool]) -> bool:
        """Try all pairs."""
        return all(claim(g, h) for g in range(self.queue_size) for h in range(self.queue_size))

    def between(self, low: int, high: int, claim: Callable[[int], bool]) -> bool:
        """Try the window."""
        return all(claim(k) for k in range(low, high))

    def every_table(self, claim: Callable[[int], bool]) -> bool:
        """Try as many tables as can be in use."""
        return all(claim(t) for t in self._few)

    def every_entry(self, claim: Callable[[int, int], bool]) -> bool:
        """Try their entries, one more than the queue has descriptors."""
        return all(claim(t, i) for t in self._few for i in self._few)

    def admits_table(self, table: int, entries: int) -> bool:
        """Admit what is tried."""
        return table in self._few and entries <= self.queue_size + 1
