"""The configurations: which queues a driver is tried on."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from ..impl.harness.reference_runner import F_IN_ORDER, F_NOTIFICATION_DATA, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1

FEATURE_NAMES = {
    F_INDIRECT_DESC: "INDIRECT_DESC",
    F_EVENT_IDX: "EVENT_IDX",
    F_VERSION_1: "VERSION_1",
    F_IN_ORDER: "IN_ORDER",
    F_NOTIFICATION_DATA: "NOTIFICATION_DATA",
}
_BEYOND_LEGACY = F_IN_ORDER | F_NOTIFICATION_DATA
LONG_RUN_SIZES = (1, 2, 4, 256, 32768)
_QUEUE_INDICES = (0, 1, 2, 0x7FFF, 0x8000, 0xFFFF)  # where a width or a sign shows
_SEARCH_SIZES = (4, 2, 1, 8, 256)  # the first is what hypothesis shrinks to


def feature_sets(claimed: int) -> list[int]:
    """Every legal subset of the features a driver claims, of those a queue knows; the smallest first.

    IN_ORDER and NOTIFICATION_DATA go with VERSION_1, if the driver knows that: the legacy interface has
    room for 32 bits (VIRTIO 1.3 section 4.1.4.10).
    """
    known = [bit for bit in FEATURE_NAMES if claimed & bit]
    subsets = [
        sum(bit for bit, chosen in zip(known, choice, strict=True) if chosen)
        for choice in product((False, True), repeat=len(known))
    ]
    if claimed & F_VERSION_1:
        subsets = [chosen for chosen in subsets if chosen & F_VERSION_1 or not chosen & _BEYOND_LEGACY]
    return sorted(subsets, key=lambda features: (features.bit_count(), features))


def feature_names(features: int) -> list[str]:
    """Return the names of the feature bits set."""
    return [name for bit, name in FEATURE_NAMES.items() if features & bit]


def numbered(config: QueueConfig) -> QueueConfig:
    """Return the queue with the number that kicks name: always the same for it, another for one like it."""
    at = config.queue_size.bit_length() + config.features.bit_count()
    at += 2 * (config.layout == "modern") + 3 * config.has_callback
    return replace(config, queue_index=_QUEUE_INDICES[at % len(_QUEUE_INDICES)])


def search_configs(claimed: int, profile: str) -> list[QueueConfig]:
    """Small queues in every combination of features, layout and callback."""
    return [
        numbered(QueueConfig(size, features, layout, has_callback, profile))
        for (has_callback, layout, features), size in product(
            product((True, False), ("legacy", "modern"), feature_sets(claimed)), _SEARCH_SIZES
        )
    ]


def long_run_configs(claimed: int, profile: str, sizes: Sequence[int] = LONG_RUN_SIZES) -> list[QueueConfig]:
    """One queue of each size, between them with and without each feature and in both layouts."""
    wanted = (
        F_EVENT_IDX,
        F_EVENT_IDX | F_INDIRECT_DESC,
        F_EVENT_IDX | F_INDIRECT_DESC | F_VERSION_1,
        0,
        F_EVENT_IDX | F_INDIRECT_DESC | F_VERSION_1,  # where chains are long enough for any driver's tables
    )
    by_size = dict(zip(LONG_RUN_SIZES, wanted, strict=True))
    configs = []
    for size in sizes:
        features = by_size.get(size, wanted[2]) & claimed
        layout = "modern" if features & F_VERSION_1 else "legacy"
        configs.append(numbered(QueueConfig(size, features, layout, True, profile)))
    return configs


def described(config: QueueConfig) -> str:
    """Describe a queue: size, features, layout."""
    names = " ".join(feature_names(config.features)) or "no features"
    callback = "" if config.has_callback else ", no callback"
    return f"queue size {config.queue_size}, {names}, {config.layout}{callback}"
