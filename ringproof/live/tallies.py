"""What the monitor can find out about a running driver, and the tallies in which it is counted.

The codes are those of `enum rpl_check` in impl/live/findings.h, where the meaning of a tally's two numbers
stands, too.
"""

from dataclasses import dataclass
from enum import IntEnum


class Check(IntEnum):
    """One thing that is checked; the number is that of `enum rpl_check`, and of a TALLIES record."""

    HEAD_RANGE = 1
    NEXT_RANGE = 2
    CHAIN_LOOP = 3
    DESCRIPTOR_REUSED = 4
    TOO_MANY_OUTSTANDING = 5
    AVAIL_BACKWARDS = 6
    WRITE_BEFORE_READ = 7
    INDIRECT_UNNEGOTIATED = 8
    INDIRECT_NESTED = 9
    CHAIN_TOO_LONG = 10
    INDIRECT_AND_NEXT = 11
    INDIRECT_LENGTH = 12
    ADDRESS_UNMAPPED = 13
    LENGTH_SUM = 14
    FLAG_UNASSIGNED = 15
    MANY_DESCRIPTORS = 16
    IN_ORDER_NEXT = 17
    IN_ORDER_HEAD = 18
    IN_ORDER_TABLE = 19
    SLOT_REPEATED = 20
    ZERO_LENGTH = 21
    CHAIN_CHANGED = 22
    TABLE_CHANGED = 23
    UNSETTLED = 25
    HEADER_CHANGED = 26
    USED_WRITTEN = 27
    AVAIL_FLAGS = 28
    AVAIL_FLAGS_EVENT = 29
    KICK_LOST_FLAGS = 30
    KICK_LOST_EVENT = 31
    KICK_UNWANTED_FLAGS = 32
    KICK_UNWANTED_EVENT = 33
    EVENT_WORD_HEEDED = 34
    FLAGS_HEEDED = 35
    QUEUE_SIZE = 40
    PARTS_ALIGNED = 41
    PARTS_PLACED = 42
    USED_FLAGS_START = 43
    AVAIL_IDX_START = 44
    LEGACY_LAYOUT = 45
    QUEUE_NOT_ENABLED = 46
    FRAME_SHORT = 50
    TX_WRITABLE = 51
    HEADER_APART = 52
    NUM_BUFFERS = 53
    FLAGS_WITHOUT_CSUM = 54
    CHECKSUM_INCOMPLETE = 55
    GSO_TCPV4 = 56
    GSO_TCPV6 = 57
    GSO_UDP = 58
    GSO_UDP_L4 = 59
    CWR_WITHOUT_ECN = 60
    CWR_NOT_TOLD = 61
    PSEUDO_SUM = 62
    CSUM_PLACE = 63
    CSUM_START = 64
    GSO_WITHOUT_FEATURE = 65
    GSO_WITHOUT_CSUM = 66
    GSO_SIZE = 67
    HDR_LEN_EXACT = 68
    HDR_LEN_SHORT = 69
    DATA_VALID = 70
    ECN_PLACE = 71
    GSO_TYPE = 72
    LONG_FRAME = 73
    MTU = 74
    FEATURE_UNOFFERED = 80
    FEATURE_REQUIRES = 81
    FEATURE_UNDEFINED = 82
    VERSION_1 = 83
    ANY_LAYOUT = 84
    MTU_FEATURE = 85
    HDRLEN_FEATURE = 86
    FEATURES_LATE = 87
    STATUS_CLEARED = 90
    STATUS_AFTER_FAILED = 91
    STATUS_ORDER = 92
    TRAFFIC_STALLED = 95


@dataclass(slots=True)
class Tally:
    """How often something was checked and failed, and the first failure.

    ``record`` is the 1-based number of the record that shows it, ``a`` and ``b`` are its numbers; 0 as long
    as nothing failed.
    """

    checked: int = 0
    failed: int = 0
    record: int = 0
    a: int = 0
    b: int = 0


def pair(high: int, low: int) -> int:
    """Two 32-bit numbers in one of 64 bits, as a tally's ``a`` or ``b`` may hold them."""
    return (high & 0xFFFFFFFF) << 32 | (low & 0xFFFFFFFF)


def unpair(number: int) -> tuple[int, int]:
    """The two 32-bit numbers that `pair` has joined: the high one, the low one."""
    return number >> 32 & 0xFFFFFFFF, number & 0xFFFFFFFF


class Log:
    """The tallies of a run, and how many records have been judged, the one being judged included."""

    def __init__(self) -> None:
        self.tallies: dict[Check, Tally] = {code: Tally() for code in Check}
        self.records = 0

    def check(self, code: Check, holds: bool, a: int = 0, b: int = 0) -> None:
        """Counts one check; ``a`` and ``b`` (64 bits) are kept if it is the first that fails."""
        tally = self.tallies[code]
        tally.checked += 1
        if holds:
            return
        tally.failed += 1
        if tally.failed == 1:
            tally.record, tally.a, tally.b = self.records, a, b

    def withdraw(self, code: Check) -> None:
        """Takes one failure back; the check stays counted, as one that holds."""
        tally = self.tallies[code]
        if tally.failed:
            tally.failed -= 1
        if not tally.failed:
            tally.record = tally.a = tally.b = 0

    def judged(self) -> dict[Check, Tally]:
        """The tallies of what was checked at all."""
        return {code: tally for code, tally in self.tallies.items() if tally.checked}
