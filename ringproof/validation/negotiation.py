"""The negotiation of features: which bits are defined, what requires what, and what was accepted."""

from ..impl.harness.net_operations import (
    F_CSUM,
    F_CTRL_VQ,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    F_VERSION_1,
    FEATURE_NAMES,
    NetConfig,
)
from .clauses import Docket

F_MTU, F_ANY_LAYOUT, F_NOTIFICATION_DATA, F_GUEST_HDRLEN = 1 << 3, 1 << 27, 1 << 38, 1 << 59
F_HOST_USO = 1 << 56
_OF_NETWORK = (0, 1, 2, 3, 5, *range(7, 19), 19, 21, 22, 23, *range(51, 58), 59, 60, 61, 62, 63)
_OF_MODERN = (28, 29, *range(32, 42))
_OF_LEGACY = (6, 20, 24, 27, 28, 29)
DEFINED = {
    "legacy": sum(1 << bit for bit in {*_OF_NETWORK, *_OF_LEGACY} if bit < 32),
    "modern": sum(1 << bit for bit in (*_OF_NETWORK, *_OF_MODERN)),
}
"""Feature bits that VIRTIO 1.3 defines for a network device on either interface."""
REQUIREMENTS = (
    (F_HOST_TSO4, (F_CSUM,)),
    (F_HOST_TSO6, (F_CSUM,)),
    (F_HOST_UFO, (F_CSUM,)),
    (F_HOST_USO, (F_CSUM,)),
    (F_HOST_ECN, (F_HOST_TSO4, F_HOST_TSO6)),
    *((1 << bit, (F_CTRL_VQ,)) for bit in (2, 18, 19, 21, 22, 23, 52, 53, 60)),
)
"""A feature, and those of which it requires one: VIRTIO 1.3 section 5.1.3.1, as far as transmission goes."""
_WANTED = (
    (F_VERSION_1, "6.1a"), (1 << 33, "6.1c"), (1 << 34, "6.1f"), (1 << 36, "6.1g"), (1 << 39, "6.1i"),
    (F_MTU, "5.1.4.2b"), (F_GUEST_HDRLEN, "5.1.6.2.1s"),
)  # fmt: skip
_WANTED_LEGACY = ((F_ANY_LAYOUT, "6.3a"), (F_MTU, "5.1.4.2b"))
_OLD = 1 << 30
_LEAST = 2  # descriptors, for header and data
_MOST_READS = 64  # of status that a driver has to be ready for after a reset


def names_of(features: int) -> str:
    """Name the feature bits set; those without a name here by number."""
    known = [name for name, bit in FEATURE_NAMES.items() if features & bit]
    rest = features & ~sum(FEATURE_NAMES.values())
    return ", ".join([*known, *(f"bit {bit}" for bit in range(64) if rest >> bit & 1)]) or "nothing"


def possible(size: int) -> bool:
    """Whether a queue can have this size."""
    return 0 < size <= 32768 and not size & (size - 1)


def sound(config: NetConfig) -> bool:
    """Whether a driver has no reason to refuse the device."""
    size = config.queue_size
    if size < _LEAST or not possible(size):
        return False
    if config.missing_queue is not None and config.missing_queue <= 2 * config.pairs:
        return False
    if config.transport == "modern" and (config.withhold_version_1 or config.refuses_features):
        return False
    return config.reset_reads <= _MOST_READS


def judge_accepted(docket: Docket, config: NetConfig, accepted: int, number: int) -> None:
    """Judge the features as a whole, once they are final; ``number`` is the access's that made them so."""
    modern = config.transport == "modern"
    for feature, needed in REQUIREMENTS:
        if accepted & feature and not any(accepted & one for one in needed):
            missing = " or ".join(names_of(one) for one in needed)
            docket.breaks("2.2.1b", f"{names_of(feature)} accepted without {missing}", number)
    docket.holds("2.2.1b")
    undefined = accepted & ~DEFINED[config.transport] & ~(0 if modern else _OLD)
    said = f"{names_of(undefined)} accepted, and undefined here"
    docket.check("2.2.1d", not undefined, said, number)
    for feature, clause in _WANTED if modern else _WANTED_LEGACY:
        if config.offered & feature:
            said = f"{names_of(feature)} offered, not accepted"
            docket.check(clause, bool(accepted & feature), said, number)
    if not modern and config.offered & _OLD:
        docket.check("6.3b", not accepted & _OLD, "bit 30 was accepted", number)
