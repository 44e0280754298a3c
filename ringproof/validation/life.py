"""Life and death: queues created and destroyed in every state, without memory, and asked for what is left.

Deterministic, and the same for every driver. What a queue owes at its end shows nowhere else: tokens
that were never completed come back by detach_unused, once each; memory is given back whatever was in flight.
"""

from collections.abc import Iterator, Sequence

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import QueueConfig
from .course import Course

_ALL = 0xFFFF_FFFF
_LIVES = 40  # of one queue after the other
_MOST_ALLOCATIONS = 24  # of one create that are made to fail in turn
_NOT_REACHED = 3  # a driver may do without one allocation, not without any that follows
_MOST_CHAINS = 64

_KICK, _READ, _GET, _DETACH = Op(Code.KICK), Op(Code.READ), Op(Code.GET), Op(Code.DETACH_UNUSED)
_COMPLETE = Op(Code.COMPLETE, c=_ALL)


def states(size: int) -> Iterator[tuple[Op, ...]]:
    """Yield operations that bring a queue of ``size`` into each state in which it can end."""
    chains = min(size, _MOST_CHAINS)
    one, pair = (Op(Code.ADD, a=1, b=7),), (Op(Code.ADD, a=min(2, size), b=5), Op(Code.ADD, 0, 1, 0, 9))
    full = tuple(Op(Code.ADD, a=1, b=11 * at) for at in range(chains))
    there = (_KICK, _READ)
    for adds in (one, pair, full, (Op(Code.ADD, a=size, b=3),)):
        back = (_GET,) * (len(adds) + 1)
        yield adds  # offered, and the device not told
        yield (*adds, _KICK)
        yield (*adds, *there)  # in flight
        yield (*adds, *there, _COMPLETE)  # used, and not taken back
        yield (*adds, *there, _COMPLETE, *back)  # reclaimed
        yield (*adds, *there, Op(Code.COMPLETE, a=len(adds) - 1, c=1), _GET)  # one of them, the newest
        yield (*adds, *there, _COMPLETE, *back, *adds)  # and used anew
        yield (*adds, *there, _COMPLETE, *back, *adds, *there, Op(Code.COMPLETE, c=1))
    yield ()


def life_and_death(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Let queues live and die in every state."""
    for config in configs:
        for operations in states(config.queue_size):
            detach = (_DETACH,) * (min(config.queue_size, _MOST_CHAINS) + 2)
            course.life(config, operations)
            course.life(config, operations, detach)
    for config in configs[:2]:
        for at in range(_LIVES):
            course.life(config, (Op(Code.ADD, a=1, b=at), _KICK)[: at % 3])
    for config in configs:
        _without_memory(course, config)


def _without_memory(course: Course, config: QueueConfig) -> None:
    """Fail each allocation of create in turn, until several in a row are not reached."""
    created = 0
    for number in range(1, _MOST_ALLOCATIONS + 1):
        created = created + 1 if course.create_without(config, number) else 0
        if created == _NOT_REACHED:
            return
