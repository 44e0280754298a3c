"""What was negotiated, judged: the feature bits accepted, and the device status.

Sources: VIRTIO 1.3 sections 2.1.1, 2.2.1, 3.1.1, 5.1.3, 5.1.3.1, 6 and 6.3.
"""

from .tallies import Check, Log


def bit(number: int) -> int:
    """The mask of one feature bit."""
    return 1 << number


CSUM, GUEST_CSUM, MTU = bit(0), bit(1), bit(3)
GUEST_TSO4, GUEST_TSO6 = bit(7), bit(8)
HOST_TSO4, HOST_TSO6, HOST_ECN, HOST_UFO = bit(11), bit(12), bit(13), bit(14)
MRG_RXBUF = bit(15)
LOG_ALL, ANY_LAYOUT, INDIRECT_DESC, EVENT_IDX = bit(26), bit(27), bit(28), bit(29)
PROTOCOL_FEATURES, VERSION_1, IN_ORDER = bit(30), bit(32), bit(35)
HOST_USO, HASH_REPORT, GUEST_HDRLEN = bit(56), bit(57), bit(59)

OF_THE_PROTOCOL = LOG_ALL | PROTOCOL_FEATURES
"""Bits that front-end and back-end settle among themselves: no driver has a part in them."""

_REQUIRES = {
    7: GUEST_CSUM,
    8: GUEST_CSUM,
    9: GUEST_TSO4 | GUEST_TSO6,
    10: GUEST_CSUM,
    11: CSUM,
    12: CSUM,
    13: HOST_TSO4 | HOST_TSO6,
    14: CSUM,
    54: GUEST_CSUM,
    55: GUEST_CSUM,
    56: CSUM,
    61: HOST_TSO4 | HOST_TSO6,
}
"""Bits that need one of others (section 5.1.3.1), in the order in which they are judged.

What needs CTRL_VQ is left out: the control queue is the front-end's, and so is what becomes of its bit.
"""

_DEFINED = sum(
    bit(number)
    for bits in (range(4), range(5, 25), range(27, 30), range(32, 42), range(50, 58), range(59, 64))
    for number in bits
)
"""Bits that mean something to a network device: sections 5.1.3, 5.1.3.2, 6 and 6.3."""


def judge_features(log: Log, offered: int, accepted: int) -> None:
    """Judges what a driver has accepted of what it was offered; both as in OPTIONS and FEATURES records."""
    offered &= ~OF_THE_PROTOCOL
    accepted &= ~OF_THE_PROTOCOL
    unoffered = accepted & ~offered
    log.check(Check.FEATURE_UNOFFERED, unoffered == 0, unoffered, offered)
    for number, needed in _REQUIRES.items():
        if accepted & bit(number):
            log.check(Check.FEATURE_REQUIRES, accepted & needed != 0, number, needed)
    undefined = accepted & ~_DEFINED
    log.check(Check.FEATURE_UNDEFINED, undefined == 0, undefined)
    modern = accepted & VERSION_1 != 0
    if modern:
        log.check(Check.VERSION_1, True)
    elif offered & ANY_LAYOUT:
        log.check(Check.ANY_LAYOUT, accepted & ANY_LAYOUT != 0, accepted)
    # Front-ends leave these two out of what they offer as they like: that one is not accepted says nothing.
    for code, wanted in ((Check.MTU_FEATURE, MTU), (Check.HDRLEN_FEATURE, GUEST_HDRLEN)):
        if accepted & wanted:
            log.check(code, True)


def judge_late(log: Log, before: int, now: int, running: bool) -> None:
    """Judges that what is accepted doesn't change while a queue runs (section 3.1.1)."""
    differs = (before ^ now) & ~OF_THE_PROTOCOL
    log.check(Check.FEATURES_LATE, not (running and differs), before, now)


_ACKNOWLEDGE, _DRIVER, _DRIVER_OK, _FEATURES_OK, _FAILED = 1, 2, 4, 8, 0x80


def judge_status(log: Log, before: int, after: int, modern: bool) -> None:
    """Judges a write of the status register (sections 2.1.1, 3.1.1).

    ``modern``: VERSION_1 is known to be accepted, so FEATURES_OK belongs to the order.
    """
    log.check(Check.STATUS_CLEARED, after == 0 or before & ~after == 0, before, after)
    goes_on = before & _FAILED != 0 and after not in (0, before)
    log.check(Check.STATUS_AFTER_FAILED, not goes_on, before, after)
    needs = {
        _DRIVER: _ACKNOWLEDGE,
        _FEATURES_OK: _DRIVER,
        _DRIVER_OK: _DRIVER | _FEATURES_OK if modern else _DRIVER,
    }
    ordered = all(after & needed == needed for state, needed in needs.items() if after & state)
    log.check(Check.STATUS_ORDER, ordered, before, after)
