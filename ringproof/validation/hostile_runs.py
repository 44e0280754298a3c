"""The runs against a device that breaks the rules: for each injection scenes of its own, then all mixed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from ..impl.harness.operations import Code, Mischief, Op, OpFlag
from ..impl.harness.reference_runner import F_IN_ORDER, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1

SIZES = (1, 2, 4, 8, 256)
_ALL = 0xFFFF_FFFF

_GET, _KICK, _READ = Op(Code.GET), Op(Code.KICK), Op(Code.READ)
_COMPLETE = Op(Code.COMPLETE, c=1)
_COMPLETE_ALL = Op(Code.COMPLETE, c=_ALL)


@dataclass(frozen=True, slots=True)
class Injection:
    """One way to break the rules.

    ``name`` is the check's, ``clause`` the part of VIRTIO 1.3 the device breaks, ``words`` say it in one
    sentence; ``variants`` are the operations that do it, b and c given, ``needs`` the features it takes.
    """

    name: str
    clause: str
    words: str
    manner: Mischief
    variants: tuple[tuple[int, int], ...]
    needs: int = 0

    def operations(self) -> tuple[Op, ...]:
        """Every variant as an operation."""
        return tuple(Op(Code.MISCHIEF, a=self.manner, b=which, c=number) for which, number in self.variants)


def _numbered(*whichs: int) -> tuple[tuple[int, int], ...]:
    return tuple((which, number) for which in whichs for number in (0, 1))


INJECTIONS = (
    Injection(
        "hostile-F1",
        "2.7.8",
        "A used id is no descriptor.",
        Mischief.ID_RANGE,
        _numbered(0, 1, 2, 3, 4, 5),
    ),
    Injection(
        "hostile-F2",
        "2.7.8",
        "A used id is no outstanding head: never issued, mid-chain, or used twice.",
        Mischief.ID_NOT_HEAD,
        _numbered(0, 1, 2, 3),
    ),
    Injection(
        "hostile-F3",
        "2.7.8",
        "used_idx jumps past all that is outstanding, or goes back.",
        Mischief.USED_IDX,
        ((0, 0), (1, 0), (2, 0), (3, 2), (4, 1), (4, 2)),
    ),
    Injection(
        "hostile-F4",
        "2.7.8.2",
        "A used length is more than the device could write.",
        Mischief.LENGTH,
        _numbered(0, 1, 2),
    ),
    Injection(
        "hostile-F5",
        "2.7.5.1",
        "The descriptor table and the available ring are overwritten.",
        Mischief.REWRITE,
        (
            *_numbered(0, 1, 2, 3, 4, 5, 12, 13, 15),
            *((6, 0), (7, 0), (8, 0), (9, 1), (9, 0x7FFF), (9, 0xFFFF)),
            *((10, 0), (11, 0), (14, 0), (16, 0), (16, 0x8000)),
        ),
    ),
    Injection(
        "hostile-F6",
        "2.7.8",
        "A used entry changes between two looks at it.",
        Mischief.DOUBLE_FETCH,
        _numbered(0, 1, 2, 3, 4),
    ),
    Injection(
        "hostile-F7",
        "2.7.10.2",
        "used.flags holds what no device may set.",
        Mischief.FLAGS,
        ((1, 0), (2, 0), (0xFFFE, 0), (0xFFFF, 0)),
    ),
    Injection(
        "hostile-F8",
        "2.7.7.2",
        "No interrupt and no completion for long, then everything at once.",
        Mischief.SILENCE,
        ((0, 0),),
    ),
    Injection(
        "hostile-F9",
        "6.2",
        "With IN_ORDER, chains are used out of order, or a batch that was never offered.",
        Mischief.IN_ORDER,
        ((0, 0), (1, 1), (1, 1000), (2, 0)),
        needs=F_IN_ORDER,
    ),
    Injection(
        "hostile-F10",
        "2.1.2",
        "An interrupt comes before anything was added, and when the device is gone.",
        Mischief.INTERRUPT,
        ((1, 0), (3, 0)),
    ),
    Injection(
        "hostile-F14",
        "2.7.5.1",
        "Buffers that the device may only read, and indirect tables, are overwritten.",
        Mischief.PAYLOAD,
        ((0, 0), (0, 0xFF), (1, 0), (2, 0), (3, 0)),
    ),
)


def configurations(claimed: int, profile: str) -> list[QueueConfig]:
    """Queues of all sizes, each with a few sets of the features the driver claims."""
    known = (F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1, F_IN_ORDER)
    everything = sum(bit for bit in known if claimed & bit)
    sets = {0, everything & ~F_IN_ORDER, everything & F_EVENT_IDX, everything & F_INDIRECT_DESC, everything}
    ordered = sorted(sets, key=lambda features: (features.bit_count(), features))
    return [
        QueueConfig(
            size, features, "modern" if features & F_VERSION_1 else "legacy", True, profile, 1, hostile=True
        )
        for features, size in product(ordered, SIZES)
    ]


def possible(injection: Injection, config: QueueConfig) -> bool:
    """Whether a queue of this kind can suffer it."""
    return config.features & injection.needs == injection.needs


def scenes(injection: Injection, config: QueueConfig, offered: frozenset[Code]) -> Iterator[list[Op]]:
    """Every variant of one injection, before, amid and after honest traffic; at the end all is detached."""
    size = config.queue_size
    fill = [Op(Code.ADD, a=1, b=at) for at in range(min(size, 8))]
    pair = [Op(Code.ADD, a=min(2, size), b=7), *([Op(Code.ADD, a=1, b=9)] if size > 2 else [])]
    long = [Op(Code.ADD, a=min(size, 5), b=3)]
    tail = [*pair, _KICK, _READ, _COMPLETE_ALL, *[_GET] * 4]
    more = [Op(Code.INTERRUPT)] if Code.INTERRUPT in offered else []
    for bad in injection.operations():
        for begin in ([], fill, pair, long):
            held = [*begin, _KICK, _READ] if begin else []
            rest = [*[_GET] * (len(begin) + 2), *tail, *ending(offered)]
            yield [*held, bad, *more, *rest]
            if begin:
                yield [*held, _COMPLETE, bad, _COMPLETE, *rest]
                yield [*held, bad, _COMPLETE_ALL, *rest]
                yield [*begin, bad, *fill, _KICK, _READ, _COMPLETE_ALL, *more, *rest]
                yield [*held, _COMPLETE_ALL, *[_GET] * len(begin), *begin, _KICK, _READ, bad, bad, *rest]
    yield [*fill, _KICK, _READ, *(bad for bad in injection.operations()), *[_GET] * 16, *ending(offered)]


def ending(offered: frozenset[Code]) -> list[Op]:
    """Return what is done with a queue at its end: everything detached, then an interrupt from nowhere."""
    after = [Op(Code.MISCHIEF, a=Mischief.INTERRUPT)] if Code.INTERRUPT in offered else []
    if Code.DETACH_UNUSED not in offered:
        return after
    return [*after, *[Op(Code.DETACH_UNUSED)] * 12, *after]


def mixture(
    config: QueueConfig, injections: Sequence[Injection], offered: frozenset[Code], random: Random
) -> list[Op]:
    """Ordinary traffic of some hundred operations with injections of every kind in it."""
    size = config.queue_size
    usual = [code for code in (Code.ENABLE_CB, Code.DISABLE_CB, Code.INTERRUPT) if code in offered]
    bad = [op for injection in injections for op in injection.operations()]
    operations: list[Op] = []
    for _ in range(random.randrange(20, 200)):
        kind = random.random()
        if kind < 0.3:
            length = 1 + random.randrange(min(size, 6))
            writable = random.randrange(length + 1) if random.random() < 0.2 else 0
            flags = OpFlag.FAIL_ALLOC if random.random() < 0.05 else 0
            operations.append(Op(Code.ADD, flags, writable, length - writable, random.getrandbits(32)))
        elif kind < 0.4:
            operations.append(_KICK)
        elif kind < 0.5:
            operations.append(Op(Code.READ, a=random.randrange(4)))
        elif kind < 0.62:
            operations.append(Op(Code.COMPLETE, a=random.randrange(64), c=1 + random.randrange(3)))
        elif kind < 0.85:
            operations.append(_GET)
        elif kind < 0.9 and usual:
            operations.append(Op(random.choice(usual)))
        else:
            chosen = random.choice(bad)
            by_number = chosen.a in (Mischief.ID_RANGE, Mischief.ID_NOT_HEAD, Mischief.DOUBLE_FETCH)
            operations.append(chosen._replace(c=random.randrange(64)) if by_number else chosen)
    return [*operations, *[_GET] * 6, *ending(offered)]
