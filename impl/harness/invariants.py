"""What holds of a reference queue and its device between any two operations, looked up from inside.

For tests and for telling what a seeded defect spoiled: each function's findings name the property by its
slug. Nothing here holds after DETACH_UNUSED, which ends the device. Cost is proportional to the queue size.
"""

from collections.abc import Iterator
from typing import Any

from ..device.device import Violation
from .reference_runner import ReferenceRunner

_NEXT = 1
_U16 = 0xFFFF


def violations(runner: ReferenceRunner) -> list[Violation]:
    """Return everything that does not hold of the runner's queue and device now."""
    queue = runner.queue
    found = []
    if queue.broken:
        found.append(Violation("bad-ring-never", "the driver took a used id for a bad one"))
    chains: dict[int, list[int]] = {}
    for head, token in enumerate(queue.data):
        if token is not None:
            chains[head] = _chain(queue, head)
    found.extend(_descriptors(queue, chains))
    found.extend(_indices(runner, chains))
    found.extend(_rings(runner, chains))
    return found


def check(runner: ReferenceRunner) -> None:
    """Raise the first of :func:`violations`, if there is one."""
    for violation in violations(runner):
        raise violation


def _chain(queue: Any, head: int) -> list[int]:
    """Follow the links from ``head`` for as long as they lead to descriptors not seen yet."""
    seen = [head]
    while queue.desc.flags[seen[-1]] & _NEXT:
        i = queue.desc.next[seen[-1]]
        seen.append(i)
        if i >= queue.queue_size or i in seen[:-1]:
            break
    return seen


def _descriptors(queue: Any, chains: dict[int, list[int]]) -> Iterator[Violation]:
    """Every descriptor is free or in exactly one chain, and num_free counts the free ones."""
    size = queue.queue_size
    owner: dict[int, int] = {}
    for head, chain in chains.items():
        for position, i in enumerate(chain):
            if i >= size or i in chain[:position]:
                yield Violation("chain-well-formed", f"the chain at head {head} goes on at {i}")
            elif i in owner:
                yield Violation(
                    "no-leak-no-double-allocation",
                    f"descriptor {i} is in the chains at heads {owner[i]} and {head} at once",
                )
            else:
                owner[i] = head
    free: set[int] = set()
    i = queue.free_head
    for position in range(queue.num_free):
        if i >= size or i in free or i in owner:
            why = "out of range" if i >= size else "free already" if i in free else f"in chain {owner[i]}"
            yield Violation("free-list-sound", f"number {position} of the free list is {i}, which is {why}")
            break
        free.add(i)
        i = queue.desc.next[i]
    if queue.num_free != size - len(owner):
        yield Violation(
            "num-free-exact",
            f"num_free is {queue.num_free}, but {len(owner)} of {size} descriptors are taken",
        )
    elif len(free) == queue.num_free:
        for lost in set(range(size)) - free - owner.keys():
            yield Violation(
                "no-leak-no-double-allocation", f"descriptor {lost} is neither free nor in a chain"
            )


def _indices(runner: ReferenceRunner, chains: dict[int, list[int]]) -> Iterator[Violation]:
    """Count the chains on their way by the 16-bit indices: they agree with the tokens held."""
    queue, device = runner.queue, runner.device
    for name, value in (("last_used_idx", queue.last_used_idx), ("num_added", queue.num_added)):
        if not 0 <= value <= _U16:
            yield Violation("indices-faithful", f"{name} is {value}, which has more than 16 bits")
    if queue.num_added == _U16:
        yield Violation("forced-kick-sufficient", "num_added is 65535 and nothing was kicked")
    outstanding = (queue.avail.idx - queue.last_used_idx) & _U16
    if outstanding != len(chains):
        yield Violation(
            "indices-faithful",
            f"avail_idx {queue.avail.idx} less last_used_idx {queue.last_used_idx} says {outstanding} "
            f"outstanding, but {len(chains)} tokens are held",
        )
    if queue.used.idx != device.used_idx:
        yield Violation(
            "used-slot-not-overwritten", f"used_idx {queue.used.idx} is not what the device stored"
        )


def _rings(runner: ReferenceRunner, chains: dict[int, list[int]]) -> Iterator[Violation]:
    """Find each outstanding head at one place: published and unread, in flight, or used and not taken."""
    queue, device = runner.queue, runner.device
    mask = queue.queue_size - 1
    unread = (queue.avail.idx - device.next_avail) & _U16
    untaken = (device.used_idx - queue.last_used_idx) & _U16
    if max(unread, untaken) > queue.queue_size:
        return  # said by _indices already
    places = (
        (
            "avail-slot-not-overwritten",
            [queue.avail.ring[(device.next_avail + k) & mask] for k in range(unread)],
        ),
        ("device-reads-outstanding", [chain.head for chain in device.in_flight]),
        (
            "used-slot-not-overwritten",
            [queue.used.id[(queue.last_used_idx + k) & mask] for k in range(untaken)],
        ),
    )
    seen: set[int] = set()
    for slug, heads in places:
        for head in heads:
            if head not in chains:
                yield Violation(slug, f"head {head} is on its way, but the driver holds no token for it")
            elif head in seen:
                yield Violation(slug, f"head {head} is on its way twice")
            seen.add(head)
    for head in chains.keys() - seen:
        yield Violation("token-returned-once", f"a token is held at head {head}, which is nowhere on its way")
