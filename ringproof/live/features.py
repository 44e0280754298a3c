"""The features a live device offers, by name: what can be withdrawn, and how they are told to people."""

from collections.abc import Iterable

from ..errors import unknown_name
from ..impl.harness.net_operations import FEATURE_NAMES
from ..validation.negotiation import REQUIREMENTS

BITS: dict[str, int] = {
    **{name: mask.bit_length() - 1 for name, mask in FEATURE_NAMES.items()},
    "GUEST_CSUM": 1,
    "MTU": 3,
    "GUEST_TSO4": 7,
    "GUEST_TSO6": 8,
    "GUEST_ECN": 9,
    "GUEST_UFO": 10,
    "CTRL_RX": 18,
    "CTRL_VLAN": 19,
    "GUEST_ANNOUNCE": 21,
    "CTRL_MAC_ADDR": 23,
    "NOTIFY_ON_EMPTY": 24,
    "LOG_ALL": 26,
    "ANY_LAYOUT": 27,
    "PROTOCOL_FEATURES": 30,
    "ACCESS_PLATFORM": 33,
    "RING_PACKED": 34,
    "IN_ORDER": 35,
    "ORDER_PLATFORM": 36,
    "NOTIFICATION_DATA": 38,
    "HOST_USO": 56,
    "GUEST_HDRLEN": 59,
}
"""Feature bits of VIRTIO 1.3 sections 5.1.3 and 6, and of the vhost-user protocol, by name."""

OFFERED = frozenset({
    "CSUM", "GUEST_CSUM", "MTU", "MAC", "GUEST_TSO4", "GUEST_TSO6", "GUEST_ECN", "HOST_TSO4", "HOST_TSO6",
    "HOST_ECN", "MRG_RXBUF", "STATUS", "CTRL_VQ", "MQ", "LOG_ALL", "ANY_LAYOUT", "INDIRECT_DESC", "EVENT_IDX",
    "VERSION_1", "IN_ORDER",
})  # fmt: skip
"""What the device offers unless something of it is withdrawn."""

_REQUIRES: dict[int, int] = {
    **{feature: sum(needed) for feature, needed in REQUIREMENTS},
    1 << BITS["GUEST_TSO4"]: 1 << BITS["GUEST_CSUM"],
    1 << BITS["GUEST_TSO6"]: 1 << BITS["GUEST_CSUM"],
    1 << BITS["GUEST_ECN"]: 1 << BITS["GUEST_TSO4"] | 1 << BITS["GUEST_TSO6"],
    1 << BITS["GUEST_UFO"]: 1 << BITS["GUEST_CSUM"],
}
"""VIRTIO 1.3 section 5.1.3.1, reception too: a feature, and those of which it needs one, as masks."""


def bits(names: Iterable[str]) -> int:
    """The features of these names as a mask. Raises BadInputError for a name nobody knows."""
    mask = 0
    for name in names:
        if name not in BITS:
            raise unknown_name("feature", name, BITS)
        mask |= 1 << BITS[name]
    return mask


def names(mask: int) -> tuple[str, ...]:
    """The features in a mask by name, in ascending order; a bit without a name is told by its number."""
    known = {bit: name for name, bit in BITS.items()}
    return tuple(known.get(bit, f"bit {bit}") for bit in range(64) if mask >> bit & 1)


def offered(withdrawn: Iterable[str] = (), *, pairs: int = 1) -> int:
    """The mask of what is offered without those withdrawn, and without what would lack what it requires.

    Raises BadInputError for a name nobody knows.
    """
    left = bits(OFFERED) & ~bits(withdrawn)
    if pairs == 1:
        left &= ~bits(("MQ",))
    while lacking := sum(one for one, needed in _REQUIRES.items() if left & one and not left & needed):
        left &= ~lacking
    return left
