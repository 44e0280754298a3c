"""The stages of a campaign, in their order: those that find most at least cost come first.

A plan is a list of shards, the same for the same driver, options and seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from ..impl.harness.reference_runner import F_IN_ORDER, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_VERSION_1
from . import directed, roaming
from .configurations import FEATURE_NAMES, LONG_RUN_SIZES, long_run_configs, numbered, search_configs
from .counterexamples import replayed
from .course import Course
from .life import life_and_death
from .options import Options
from .process import Process
from .shards import Shard, Work

TRAIT_ANY_QUEUE_SIZE = 1 << 5
ODD_SIZES = (3, 5, 6, 100)
LONG_SIZES = (1, 2, 4, 8, 16, 256, 32768)
"""The queue sizes of the long runs."""
_PATIENCE = 3.0  # seconds for an array of a directed stage; a whole phase takes milliseconds
_QUICK_SIZES = (4,)
_QUICK_OPERATIONS = directed.WRAP // 2
_OPERATIONS = 3 * directed.WRAP
_LARGE_SIZES = (256, 1024)
_WRAPPING_SIZES = (1, 4, 8, 256)
_MOST_SWEPT = 160  # queues of a quick sweep
_GUIDED_SECONDS = (2.0, 10.0)  # of a quick campaign, and of a whole one
_SWEPT_AT_ONCE = 24  # queues of a sweep's shard
_TELLING = {
    "accesses": frozenset(
        {"progress", "batches", "interleavings", "interleavings of all calls", "interrupts put off"}
    ),
    "coverage": frozenset({"life and death", "progress", "batches", "descriptors needed"}),
}
"""The directed stages worth their time on a build that runs slower: they go through all of the code."""


@dataclass(frozen=True, slots=True)
class Driver:
    """What a driver says of itself, and which of a campaign's queues it declines."""

    name: str
    library: Path
    features: int
    traits: int
    profile: str
    exact: bool
    declined: frozenset[QueueConfig] = frozenset()

    @classmethod
    def of(cls, process: Process, library: Path) -> "Driver":
        """Return what the driver of a process says."""
        exact = process.follows_the_reference
        return cls(process.name, library, process.features, process.traits, process.profile, exact)

    @property
    def odd_sizes(self) -> tuple[int, ...]:
        """Queue sizes that are no power of two, for a driver that claims to take them."""
        return tuple(size for size in ODD_SIZES if self.traits & TRAIT_ANY_QUEUE_SIZE)


def corner_configs(driver: Driver, sizes: Sequence[int], sets: int = 5) -> list[QueueConfig]:
    """Return queues of each size: with all features, with none, with those that matter most for kicks.

    ``sets`` is how many different sets of features there are at most.
    """
    known = sum(bit for bit in FEATURE_NAMES if driver.features & bit)
    every = known & ~F_IN_ORDER
    found = []
    choices = dict.fromkeys((every, 0, known, known & F_EVENT_IDX, every & ~F_EVENT_IDX))
    for features in islice(choices, sets):
        layout = "modern" if features & F_VERSION_1 else "legacy"
        found += [numbered(QueueConfig(size, features, layout, True, driver.profile)) for size in sizes]
    return [config for config in found if config not in driver.declined]


def wrapping_configs(driver: Driver, sizes: Sequence[int]) -> list[QueueConfig]:
    """Return queues that are carried near the wrap, with the event index and without."""
    choices = dict.fromkeys((driver.features & F_EVENT_IDX, 0))
    found = [
        numbered(QueueConfig(size, features, "modern", True, driver.profile))
        for size in sizes
        for features in choices
    ]
    return [config for config in found if config not in driver.declined]


def campaign_configs(driver: Driver, options: Options) -> list[QueueConfig]:
    """Return every queue that a campaign asks for, in a fixed order."""
    offer = driver.features, driver.profile
    sizes = options.sizes or (_QUICK_SIZES if options.quick else LONG_SIZES)
    configs = {*search_configs(*offer), *long_run_configs(*offer, sizes)}
    configs |= {*wrapping_configs(driver, _WRAPPING_SIZES)}
    configs |= {*corner_configs(driver, (*_directed_sizes(driver, options), *_LARGE_SIZES))}
    return sorted(configs, key=lambda one: (one.queue_size, one.features, one.layout, one.has_callback))


def plan(driver: Driver, options: Options) -> list[Shard]:
    """Return all shards of a campaign on a driver and its variants."""
    if options.quick:
        return [
            *_directed(driver, options, driver.library, ""),
            *_on_variants(driver, options, "accesses"),
            *_roaming(driver, options),
            *_on_variants(driver, options, "coverage"),
        ]
    # What a quick campaign does comes first, so that a slow machine does not leave out more than that.
    return [
        *_directed(driver, replace(options, quick=True), driver.library, ""),
        *_on_variants(driver, options, "accesses"),
        *_roaming(driver, options),
        *_directed(driver, options, driver.library, ""),
        *_on_variants(driver, options, "coverage"),
        *_deep(driver, options),
    ]


def _directed_sizes(driver: Driver, options: Options) -> tuple[int, ...]:
    return (4, 2, 1, *driver.odd_sizes[:1]) if options.quick else (4, 2, 1, 8, 16, *driver.odd_sizes)


def _directed(driver: Driver, options: Options, library: Path, variant: str) -> Iterator[Shard]:
    quick = options.quick
    corners = partial(corner_configs, driver)
    sizes = _directed_sizes(driver, options)
    small, twos = corners((4,) if quick else (4, 2)), corners((2,), 2 if quick else 5)
    event = [config for config in small if config.features & F_EVENT_IDX]
    plain = [config for config in small if not config.features & F_EVENT_IDX]
    walk = directed.interleavings
    works: list[tuple[str, Work]] = [
        ("life and death", partial(life_and_death, configs=corners(sizes, 2 if quick else 5))),
        ("counterexamples", partial(replayed, configs=twos, brief=quick)),
        ("progress", partial(directed.progress, configs=corners(sizes))),
        ("batches", partial(directed.batches, configs=corners((4, 8) if quick else (4, 8, 16, 1, 2)))),
        ("descriptors needed", partial(directed.needed, configs=corners(sizes))),
        ("interleavings", partial(walk, configs=event[:1], letters=directed.PLAIN, longest=3)),
        ("interleavings", partial(walk, configs=plain[:1], letters=directed.PLAIN, longest=3)),
        ("large queues", partial(directed.large, configs=corners((256, 1024), 2))),
        ("interrupts without news", partial(directed.spurious, configs=small)),
        ("interrupts put off", partial(directed.delays, configs=corners((4, 8), 2 if quick else 5))),
        ("interleavings of all calls", partial(walk, configs=small, letters=directed.EVERY, longest=2)),
    ]
    near = wrapping_configs(driver, _WRAPPING_SIZES)
    if quick:  # one with the event index and one without, of different sizes
        near = [one for one in near if one.queue_size == (8 if one.features & F_EVENT_IDX else 4)]
    wraps: list[tuple[str, Work]] = [
        ("across the wrap", partial(_across_the_wrap, config=config, brief=quick or config.queue_size != 4))
        for config in near
    ]
    delay = directed.delays_across_the_wrap
    wraps += [
        ("interrupts put off across the wrap", partial(delay, config=config, brief=quick))
        for config in wrapping_configs(driver, (4,) if quick else (4, 8))
        if config.features & F_EVENT_IDX or not quick
    ]
    # The first of them takes as long as all the others, and finds what they do not.
    works = [*wraps[:1], *works, *wraps[1:]]
    works.append(("65536 chains without a kick", partial(directed.unkicked, configs=near[:1], brief=quick)))
    if variant:
        works = [work for work in works if work[0] in _TELLING[variant]]
    yield from _shards(works, options, library, variant)


def _deep(driver: Driver, options: Options) -> Iterator[Shard]:
    """The directed stages again, further: what takes longer than it is likely to find anything."""
    corners = partial(corner_configs, driver)
    small = corners((4, 2))
    event = [config for config in small if config.features & F_EVENT_IDX]
    plain = [config for config in small if not config.features & F_EVENT_IDX]
    wide = partial(directed.interleavings, letters=directed.EVERY, longest=3)
    deep = partial(directed.interleavings, letters=directed.PLAIN, longest=4)
    fill, replay = directed.progress, partial(replayed, brief=False)
    works: list[tuple[str, Work]] = [
        *(("progress of large queues", partial(fill, configs=[one])) for one in corners(_LARGE_SIZES[:1], 3)),
        *(("counterexamples", partial(replay, configs=[one])) for one in corners((4,), 2)),
        *(("interleavings", partial(deep, configs=[one])) for one in (*event[:2], *plain[:2])),
        *(("interleavings of all calls", partial(wide, configs=[one])) for one in (*event[:1], *plain[:1])),
    ]
    yield from _shards(works, options, driver.library, "")


def _shards(
    works: Sequence[tuple[str, Work]], options: Options, library: Path, variant: str
) -> Iterator[Shard]:
    patience = min(options.hang_seconds, _PATIENCE)
    for stage, work in works:
        yield Shard(_named(stage, variant), library, work, options.seed, patience, variant)


def _across_the_wrap(course: Course, config: QueueConfig, *, brief: bool) -> None:
    """All that begins just below 65536 on one queue, so that its start is worked out once."""
    directed.across_the_wrap(course, config, brief=brief)
    roaming.around_the_wrap(course, config, runs=4 if brief else 16)


def _roaming(driver: Driver, options: Options) -> Iterator[Shard]:
    quick, library, seed, patience = options.quick, driver.library, options.seed, options.hang_seconds
    searched = [one for one in search_configs(driver.features, driver.profile) if one not in driver.declined]
    groups = 1 if quick else 6
    if searched:
        for at in range(groups):
            work = partial(
                roaming.search, configs=searched, wrapping=[] if quick else wrapping_configs(driver, (4,)),
                examples=40 if quick else 200, steps=20 if quick else 40,
            )  # fmt: skip
            yield Shard("hypothesis state machine", library, work, seed + at, patience)
    yield from _long_runs(driver, options)
    yield from _sweep(driver, options, library, "")


def _long_runs(driver: Driver, options: Options) -> Iterator[Shard]:
    sizes = options.sizes or (_QUICK_SIZES if options.quick else LONG_SIZES)
    configs = long_run_configs(driver.features, driver.profile, sizes)
    # The dearest first, so that none is left over when all others are done.
    for config in sorted(configs, key=lambda one: -one.queue_size):
        if config not in driver.declined:
            usual = _OPERATIONS if config.queue_size in LONG_RUN_SIZES else directed.WRAP
            operations = options.operations or (_QUICK_OPERATIONS if options.quick else usual)
            work = partial(roaming.long_run, configs=[config], operations=operations)
            yield Shard(
                f"long run, queue size {config.queue_size}", driver.library, work, options.seed,
                options.hang_seconds,
            )  # fmt: skip


def _sweep(driver: Driver, options: Options, library: Path, variant: str) -> Iterator[Shard]:
    configs = [one for one in search_configs(driver.features, driver.profile) if one not in driver.declined]
    configs += corner_configs(driver, driver.odd_sizes)
    phases = 1 if options.quick or variant else max(1, min(6, 1200 // max(1, len(configs))))
    if options.quick and len(configs) > _MOST_SWEPT:
        configs = configs[:: -(-len(configs) // _MOST_SWEPT)]
    walk = iter(configs)
    at = 0
    while some := list(islice(walk, _SWEPT_AT_ONCE)):
        work = partial(roaming.sweep, configs=some, phases=phases)
        yield Shard(
            _named("every configuration", variant), library, work, options.seed + at, options.hang_seconds,
            variant,
        )  # fmt: skip
        at += len(some)


def _on_variants(driver: Driver, options: Options, kind: str) -> Iterator[Shard]:
    """The same driver built in another way: what only shows there, and which of its lines are reached."""
    quick = replace(options, quick=True)
    for variant in options.variants:
        if variant.kind != kind:
            continue
        yield from _directed(driver, quick, variant.library, variant.kind)
        if variant.kind == "coverage":
            searched = corner_configs(driver, (4, 2, 1, *driver.odd_sizes[:1]))
            work = partial(
                roaming.guided, configs=searched, seconds=_GUIDED_SECONDS[0 if options.quick else 1]
            )
            patience = min(options.hang_seconds, _PATIENCE)
            yield Shard(
                _named("guided search", variant.kind), variant.library, work, options.seed, patience,
                variant.kind,
            )  # fmt: skip
        if not options.quick:
            yield from _sweep(driver, quick, variant.library, variant.kind)


def _named(stage: str, variant: str) -> str:
    return f"{stage} ({variant})" if variant else stage
