"""The devices a network driver is tried on: sound ones of all kinds, and bad ones that it has to refuse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from ..impl.harness.net_operations import (
    F_CSUM,
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_INDIRECT_DESC,
    F_MAC,
    F_MQ,
    F_STATUS,
    F_VERSION_1,
    NetConfig,
)
from .negotiation import names_of

_SIZES = (256, 4, 2, 1, 8, 16, 32, 64, 128, 1024, 4096, 32768)
_UNASSIGNED = 1 << 26
_USUAL = F_CSUM | F_MAC | F_STATUS | F_CTRL_VQ | F_MQ
_RING = F_EVENT_IDX | F_INDIRECT_DESC


@dataclass(frozen=True, slots=True)
class Offer:
    """What a driver says of itself: the features it understands, its transports, its profile."""

    features: int
    transports: Sequence[str]
    profile: str

    def config(self, transport: str, features: int) -> NetConfig:
        """Return a device that offers features, and others than those the driver understands."""
        return NetConfig(
            features=features & ~F_VERSION_1,
            transport=transport,
            profile=self.profile,
            known_features=self.features & ~F_VERSION_1,
        )


def probed_configs(offer: Offer, *, quick: bool = False) -> Iterator[NetConfig]:
    """Devices to probe and remove: each feature alone and missing, sizes, and what is wrong with bad ones.

    ``quick`` leaves out most of the sound ones.
    """
    known = offer.features & ~F_VERSION_1
    for transport in offer.transports:
        base = offer.config(transport, _USUAL & known)
        yield base
        for features in (0, known, known | _UNASSIGNED, _HOSTS & known, _HOSTS & known & ~F_CSUM):
            yield replace(base, features=features)
        for bit in (1 << at for at in range(32) if known >> at & 1):
            if not quick:
                yield replace(base, features=bit)
            if not quick or bit in (F_MQ, F_CTRL_VQ, F_CSUM):
                yield replace(base, features=known & ~bit)
        for size in (*(_SIZES[:4] if quick else _SIZES), 0, 3, 1000, 65535):
            yield replace(base, queue_size=size)
        for pairs in (2, 8):
            yield replace(base, features=known, pairs=pairs)
        for reads in (1, 7, 1001):
            yield replace(base, reset_reads=reads)
        for missing in (0, 1, 2):
            yield replace(base, missing_queue=missing)
        if transport == "modern":
            yield replace(base, refuses_features=True)
            yield replace(base, withhold_version_1=True)


_HOSTS = F_CSUM | F_HOST_TSO4 | F_HOST_ECN | F_MAC


def traffic_configs(offer: Offer, seed: int) -> Iterator[NetConfig]:
    """Sound devices without end, of every kind in turn; the first ones are those that most drivers meet."""
    random = Random(seed)
    known = offer.features & ~F_VERSION_1
    at = 0
    while True:
        transport = offer.transports[at % len(offer.transports)]
        features = (known, 0, known & ~_RING, random.getrandbits(32) & known)[at // 2 % 4]
        if at >= 8:
            features = random.choice((known, random.getrandbits(32) & known, known & ~F_INDIRECT_DESC))
        size = (256, 16, 32, 4, 256, 2, 1024, 1)[at % 8] if at < 16 else random.choice(_SIZES)
        pairs = (1, 2, 1, 8, 3)[at % 5]
        yield replace(offer.config(transport, features), queue_size=size, pairs=pairs)
        at += 1


def described(config: NetConfig) -> str:
    """Describe a device in a few words."""
    words = [config.transport, f"queue size {config.queue_size}"]
    if config.pairs > 1:
        words.append(f"{config.pairs} queue pairs")
    words.append(f"offers {names_of(config.offered)}")
    if config.reset_reads:
        words.append(f"{config.reset_reads} reads until it is reset")
    if config.refuses_features:
        words.append("refuses FEATURES_OK")
    if config.missing_queue is not None:
        words.append(f"without queue {config.missing_queue}")
    return ", ".join(words)
