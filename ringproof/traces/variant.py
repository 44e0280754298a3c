"""The nearest run that passes: one choice changed, and nothing breaks any more.

Changed is one operation: another argument, left out, in turn with the one before, another in its place; the
operation that broke it first, then those before it, one by one. If none of these helps, the queue is: without
one of its features, of another size. A run passes if nothing at all breaks in it, nor when the queue then is
brought to rest, so that a violation is not only put off; and if the run adds anything, so must the variant.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..impl.harness.operations import Code, Op, OpFlag, askable
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.layout import LARGEST_QUEUE
from .document import FEATURE_NAMES, TraceState
from .exploration import offers, settling
from .variables import action_name, arguments, lane
from .wording import action

Passes = Callable[[QueueConfig, list[Op]], bool]
"""Runs operations on a new queue of the accused and says whether nothing at all breaks."""

_OTHERS = (Op(Code.GET), Op(Code.KICK), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1), Op(Code.ADD, a=1))
_EVERY = 0xFFFF_FFFF
LONG_ROUNDS = 1024
"""From how many rounds on a run is not tried on another queue: it takes a second each time."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A run that passes: the step whose choice was changed (0 the queue's), in words how, its operations."""

    step: int
    words: str
    config: QueueConfig
    operations: tuple[Op, ...]


def phrase(op: Op) -> str:
    """An operation in the words of a trace, as "add 2 segments"."""
    return action(TraceState(lane(op), action_name(op), arguments(op), {}))


def nearest(config: QueueConfig, ops: Sequence[Op], broken: int, passes: Passes, most: int) -> Variant | None:
    """The nearest variant that passes, of at most ``most`` tried; step ``broken`` (from 1) broke it."""
    tried = 0
    seen = {(config, tuple(ops))}
    for variant in _variants(config, tuple(ops), broken):
        choice = variant.config, variant.operations
        if choice in seen or not offers(ops, variant.operations, variant.config.queue_size):
            continue
        if not askable(variant.operations):
            continue
        if tried == most:
            return None
        seen.add(choice)
        tried += 1
        if passes(variant.config, [*variant.operations, *settling(variant.operations)]):
            return variant
    return None


def _variants(config: QueueConfig, ops: tuple[Op, ...], broken: int) -> Iterator[Variant]:
    for at in range(min(broken, len(ops)) - 1, -1, -1):
        old, before, after = ops[at], ops[:at], ops[at + 1 :]
        for new in _arguments(old):
            words = f"with `{phrase(new)}` instead of `{phrase(old)}` at step {at + 1} it holds"
            yield Variant(at + 1, words, config, (*before, new, *after))
        yield Variant(at + 1, f"without `{phrase(old)}` at step {at + 1} it holds", config, (*before, *after))
        if before and Code.ROUNDS not in (old.code, before[-1].code):
            words = f"with `{phrase(old)}` before `{phrase(before[-1])}`, steps {at} and {at + 1}, it holds"
            yield Variant(at + 1, words, config, (*before[:-1], old, before[-1], *after))
        for new in _OTHERS:
            if new.code != old.code and old.code != Code.ROUNDS:
                words = f"with `{phrase(new)}` in place of `{phrase(old)}` at step {at + 1} it holds"
                yield Variant(at + 1, words, config, (*before, new, *after))
    if not any(op.code == Code.ROUNDS and op.a >= LONG_ROUNDS for op in ops):
        yield from _queues(config, ops)


def _arguments(op: Op) -> Iterator[Op]:
    """The operation with another argument, the nearest first.

    An add only becomes smaller, as a larger one might just be refused; rounds stay, being long to try.
    """
    if op.flags & (OpFlag.FAIL_ALLOC | OpFlag.NULL_TOKEN):
        yield op._replace(flags=0, c=0)
    match op.code:
        case Code.ADD:
            if op.in_:
                yield op._replace(a=op.a + op.in_, in_=0)
            yield from (
                op._replace(a=a) for a in sorted({op.a - 1, op.a // 2, 1}, reverse=True) if 0 < a < op.a
            )
        case Code.READ:
            yield from (op._replace(a=a) for a in (1, 0))
        case Code.COMPLETE:
            yield from (op._replace(a=a, b=0) for a in range(4))
            yield op._replace(c=1 if op.c != 1 else _EVERY)
        case Code.SET_FLAGS:
            yield from (op._replace(a=a) for a in (0, 1))
        case Code.SET_AVAIL_EVENT:
            yield from (op._replace(a=a & 0xFFFF) for a in (op.a - 1, op.a + 1, 0))
        case _:
            pass


def _queues(config: QueueConfig, ops: tuple[Op, ...]) -> Iterator[Variant]:
    for name, bit in FEATURE_NAMES.items():
        if config.features & bit:
            less = replace(config, features=config.features & ~bit)
            yield Variant(0, f"without {name} it holds", less, ops)
    size = config.queue_size
    for other in (size * 2, size // 2):
        if 1 <= other <= LARGEST_QUEUE:
            words = f"with a queue of {other} instead of {size} it holds"
            yield Variant(0, words, replace(config, queue_size=other), ops)
