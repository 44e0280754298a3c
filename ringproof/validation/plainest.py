"""The plainest run that fails in the same way: after shrinking, what does not matter is chosen once for all.

The smallest queue, the fewest features, legacy layout, a callback, number 0; arguments as small as may be,
all segments readable, neighbours in the order of their codes. Each choice is tried on the driver and kept if
the same check still fails, so that runs that differed in nothing else become the same. It descends, step by
step: where two choices only work together it may stop before the plainest run of all.

Tries are counted, not timed, so that two validations of a driver that does the same show the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..impl.harness.operations import Code, Op, askable
from ..impl.harness.reference_runner import F_IN_ORDER, F_NOTIFICATION_DATA, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from .failure import Failure

_MOST_TRIES = 60
_MOST_CRASHES = 15  # each takes a new worker
_LONGEST = 12  # operations
_LONG_ROUNDS = 256  # the reference takes long for more, on each queue anew
_FEATURES = (F_NOTIFICATION_DATA, F_IN_ORDER, F_INDIRECT_DESC, F_EVENT_IDX, F_VERSION_1)
_NEED_VERSION_1 = F_IN_ORDER | F_NOTIFICATION_DATA

Run = tuple[QueueConfig, tuple[Op, ...]]


def plainest(failure: Failure, attempt: Callable[[QueueConfig, list[Op]], Failure | None]) -> Failure:
    """The failure shown by a plainer run, or as it is: if none fails alike, or it is long or hangs.

    What is returned failed the same check when ``attempt`` ran it.
    """
    rounds = any(op.code == Code.ROUNDS and op.a > _LONG_ROUNDS for op in failure.operations)
    if failure.kind == "hang" or rounds or not 0 < len(failure.operations) <= _LONGEST:
        return failure
    left = _MOST_CRASHES if failure.kind == "crash" else _MOST_TRIES
    best, tried = failure, set[Run]()
    plainer = True
    while plainer:
        plainer = False
        for config, operations in _plainer(best, failure.config):
            if (config, operations) in tried or not askable(operations):
                continue
            if not left:
                return best
            left -= 1
            tried.add((config, operations))
            other = attempt(config, list(operations))
            if other is None or not failure.like(other):
                continue
            cut = other.cut()
            if len(cut.operations) > len(best.operations):
                continue
            best, plainer = replace(cut, variant=failure.variant), True
            break
    return best


def _plainer(failure: Failure, shrunk: QueueConfig) -> Iterator[Run]:
    """Runs that differ in one choice, which is plainer, those that say most first.

    On the queue ``shrunk`` no operation could be left out; a plainer one may need fewer.
    """
    config, operations = failure.config, failure.operations
    for other in _queues(config, sized=failure.kind == "difference"):
        yield other, operations
    if config != shrunk:
        for at in range(len(operations) - 1):
            yield config, operations[:at] + operations[at + 1 :]
    for at, op in enumerate(operations):
        for simpler in _smaller(op):
            yield config, (*operations[:at], simpler, *operations[at + 1 :])
    for at in range(1, len(operations)):
        first, second = operations[at - 1 : at + 1]
        if second.code < first.code and Code.ROUNDS not in (first.code, second.code):
            yield config, (*operations[: at - 1], second, first, *operations[at + 1 :])


def _queues(config: QueueConfig, *, sized: bool) -> Iterator[QueueConfig]:
    """Plainer queues; a check that compares at one size (``sized``) leaves no choice of another."""
    if not sized:
        sizes = (size for size in (1, 2, 4, 8, 16) if size < config.queue_size)
        yield from (replace(config, queue_size=size) for size in sizes)
    for bit in _FEATURES:
        less = config.features & ~bit
        if less != config.features and (bit != F_VERSION_1 or not less & _NEED_VERSION_1):
            yield replace(config, features=less)
    plain = QueueConfig(1)
    for name in ("layout", "has_callback", "queue_index"):
        if getattr(config, name) != getattr(plain, name):
            yield replace(config, **{name: getattr(plain, name)})


def _smaller(op: Op) -> Iterator[Op]:
    """The operation with one number smaller: nothing first, then one less."""
    if op.flags:
        yield op._replace(flags=0)
    if op.code == Code.ADD and op.in_:
        yield op._replace(a=op.a + op.in_, in_=0)
    for name in ("b", "in_", "a", "c"):
        value = getattr(op, name)
        least = 1 if (name == "a" and op.code in (Code.ADD, Code.READ) and not op.in_) or name == "c" else 0
        for number in sorted({least, value // 2, value - 1}):
            if least <= number < value:
                yield op._replace(**{name: number})
