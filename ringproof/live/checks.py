"""What the live monitor looks at: for each check its name, its clause, its level, and its numbers in words.

A check that `ringproof validate` has too bears the same name, clause and sentence here. What the numbers
``a`` and ``b`` of a failure are stands in impl/live/findings.h.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..validation.phrases import counted, high, low
from ..validation.registry import DEMANDS, ids
from ..validation.report import CheckVerdict
from ..validation.verdicts import VERDICTS, FindingCode
from .tallies import Check

Describe: TypeAlias = Callable[[int, int], str]

_PARTS = {1: "the descriptor table", 2: "the available ring", 3: "the used ring"}
_PROTOCOLS = {6: "TCP", 17: "UDP"}


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """One check: ``breach`` is the verdict where it fails, ``sentence`` what a driver must do."""

    code: Check
    name: str
    clause: str
    breach: CheckVerdict
    sentence: str
    describe: Describe


def _part(number: int) -> str:
    return _PARTS.get(number, f"part {number}")


def _placed(a: int, b: int) -> str:
    if high(a):
        return f"{_part(high(a))} and {_part(low(a))} at {b:#x} overlap"
    return f"{_part(low(a))} at {b:#x} does not lie in the memory that is shared"


def _length(a: int, b: int) -> str:
    return f"a frame of {counted(a, 'byte')}, where {counted(b, 'byte')} are the most"


def _gso(a: int, _: int) -> str:
    return f"gso_type is {a:#x}, and the feature it needs was not accepted"


def _changed(what: str) -> Describe:
    return lambda a, b: f"{what} {high(a)} of the chain at head {low(a)} (chain {b}) is not what it was"


def _lost(a: int, b: int) -> str:
    return f"no notification at avail_idx {a}, with used.flags 0 and {counted(b, 'new entry')} to tell of"


def _features(a: int, _: int) -> str:
    return f"bits {', '.join(str(bit) for bit in range(64) if a >> bit & 1)} were accepted"


def _mask(mask: int) -> str:
    return " or ".join(str(bit) for bit in range(64) if mask >> bit & 1)


_AS_VALIDATE: tuple[tuple[Check, FindingCode, Describe], ...] = (
    (Check.HEAD_RANGE, FindingCode.HEAD_RANGE,
     lambda a, b: f"the published head is {a}, the queue has {b} descriptors"),
    (Check.NEXT_RANGE, FindingCode.NEXT_RANGE,
     lambda a, b: f"descriptor {high(a)} goes on to {low(a)}, its table has {b}"),
    (Check.CHAIN_LOOP, FindingCode.CHAIN_LOOP,
     lambda a, b: f"the chain at head {b} comes back to descriptor {a}"),
    (Check.DESCRIPTOR_REUSED, FindingCode.DESCRIPTOR_REUSED,
     lambda a, b: f"descriptor {a} of the new chain at head {high(b)} still belongs to the chain at head "
     f"{low(b)}"),
    (Check.TOO_MANY_OUTSTANDING, FindingCode.TOO_MANY_OUTSTANDING,
     lambda a, b: f"{counted(b, 'new chain')} with {a} outstanding are more than the queue has descriptors"),
    (Check.AVAIL_BACKWARDS, FindingCode.AVAIL_BACKWARDS,
     lambda a, b: f"avail_idx went from {a} to {b}, which is backwards or further than the queue is long"),
    (Check.WRITE_BEFORE_READ, FindingCode.WRITE_BEFORE_READ,
     lambda a, b: f"piece {a} of the chain with head {b} is readable after a writable one"),
    (Check.INDIRECT_UNNEGOTIATED, FindingCode.INDIRECT_UNNEGOTIATED,
     lambda a, b: f"descriptor {a} of the chain with head {b} is INDIRECT, which was not accepted"),
    (Check.INDIRECT_NESTED, FindingCode.INDIRECT_NESTED,
     lambda a, b: f"entry {a} of the table of head {b} is INDIRECT itself"),
    (Check.CHAIN_TOO_LONG, FindingCode.CHAIN_TOO_LONG,
     lambda a, b: f"the chain has {counted(a, 'descriptor')}, the queue {b}"),
    (Check.INDIRECT_AND_NEXT, FindingCode.INDIRECT_AND_NEXT,
     lambda a, b: f"descriptor {a} has flags {b:#x}"),
    (Check.INDIRECT_LENGTH, FindingCode.INDIRECT_LENGTH,
     lambda a, b: f"the table of head {b} has {counted(a, 'byte')}, no sensible multiple of 16"),
    (Check.ADDRESS_UNMAPPED, FindingCode.ADDRESS_UNMAPPED,
     lambda a, b: f"{counted(b, 'byte')} at {a:#x} do not lie in the guest's memory"),
    (Check.LENGTH_SUM, FindingCode.LENGTH_SUM,
     lambda a, b: f"the chain with head {b} has {counted(a, 'byte')}"),
    (Check.FLAG_UNASSIGNED, FindingCode.FLAG_UNASSIGNED,
     lambda a, b: f"a descriptor of the chain with head {b} has flags {a:#x}"),
    (Check.MANY_DESCRIPTORS, FindingCode.MANY_DESCRIPTORS,
     lambda a, b: f"{counted(a, 'descriptor')} for {counted(b, 'byte')}"),
    (Check.IN_ORDER_NEXT, FindingCode.IN_ORDER_NEXT,
     lambda a, b: f"descriptor {high(a)} goes on to {low(a)}, not to {b}"),
    (Check.IN_ORDER_HEAD, FindingCode.IN_ORDER_HEAD,
     lambda a, b: f"the chain's head is {a}, the chain before it ends where {b} is next"),
    (Check.IN_ORDER_TABLE, FindingCode.IN_ORDER_TABLE,
     lambda a, b: f"entry {high(a)} of the table of head {b} goes on to {low(a)}"),
    (Check.SLOT_REPEATED, FindingCode.SLOT_REPEATED,
     lambda a, b: f"slot {high(a)} holds head {low(a)}, which chain {b} has published already"),
    (Check.CHAIN_CHANGED, FindingCode.CHAIN_CHANGED, _changed("descriptor")),
    (Check.TABLE_CHANGED, FindingCode.TABLE_CHANGED, _changed("table entry")),
    (Check.USED_WRITTEN, FindingCode.USED_WRITTEN,
     lambda a, b: f"byte {a} of the used ring holds {low(b):#06x}; the device wrote {high(b):#06x}"),
    (Check.AVAIL_FLAGS, FindingCode.AVAIL_FLAGS, lambda a, _: f"avail.flags is {a:#x}"),
    (Check.AVAIL_FLAGS_EVENT, FindingCode.AVAIL_FLAGS_EVENT,
     lambda a, _: f"avail.flags is {a:#x} though EVENT_IDX was accepted"),
    (Check.KICK_LOST_FLAGS, FindingCode.KICK_LOST_FLAGS, _lost),
    (Check.KICK_LOST_EVENT, FindingCode.KICK_LOST_EVENT,
     lambda a, b: f"no notification at avail_idx {a}, past avail_event {low(b)}, with "
     f"{counted(high(b), 'new entry')} to tell of"),
    (Check.EVENT_WORD_HEEDED, FindingCode.EVENT_WORD_HEEDED,
     lambda a, b: f"no notification at avail_idx {a} though used.flags is 0; the word of avail_event holds "
     f"{b}"),
    (Check.FLAGS_HEEDED, FindingCode.FLAGS_HEEDED,
     lambda a, b: f"no notification at avail_idx {a} past avail_event; used.flags is {b:#x}"),
    (Check.PARTS_ALIGNED, FindingCode.RING_PARTS, lambda a, b: f"{_part(a)} at {b:#x} is not aligned"),
    (Check.USED_FLAGS_START, FindingCode.RING_NOT_ZERO,
     lambda a, _: f"used.flags is {a:#x} when the queue starts"),
    (Check.AVAIL_IDX_START, FindingCode.AVAIL_IDX_START,
     lambda a, b: f"avail_idx is {a} when the queue starts, to go on from {b}"),
)  # fmt: skip
"""What `ringproof validate` checks too: its code there, and the numbers in words."""

_KICKS: Describe = lambda a, b: f"{counted(a, 'kick')} while {b} were asked for"  # noqa: E731
_WARN: CheckVerdict = "warn"
_FAIL: CheckVerdict = "fail"

_OWN: tuple[tuple[Check, str, str, CheckVerdict, str, Describe], ...] = (
    (Check.ZERO_LENGTH, "no-empty-descriptor", "oracle: VIRTIO 1.3 section 2.7.5", _WARN,
     "A descriptor names at least one byte; some devices stop at an empty one.",
     lambda a, b: f"piece {a} of the chain with head {b} has no bytes"),
    (Check.UNSETTLED, "content-before-index", "2.7.13.3.1a", _FAIL,
     "What a chain holds is ordered before the index that publishes it.",
     lambda a, b: f"entry {high(a)} of the chain at head {low(a)} (chain {b}) changed right after it was "
     "published"),
    (Check.HEADER_CHANGED, "header-kept", "oracle: protocol text of VIRTIO 1.3 section 3.3.1", _FAIL,
     "A frame's header stays as it is until the device has used the chain.",
     lambda a, b: f"byte {high(a)} of what the chain at head {low(a)} (chain {b}) holds is not what it was"),
    (Check.KICK_UNWANTED_FLAGS, "no-needless-kick-by-flags", "2.7.10.1c", _WARN,
     "Without EVENT_IDX, no notification is sent while used.flags is 1.", _KICKS),
    (Check.KICK_UNWANTED_EVENT, "no-needless-kick-by-event", "2.7.10.1g", _WARN,
     "With EVENT_IDX, no notification is sent unless the entry that avail_event names is published.", _KICKS),
    (Check.QUEUE_SIZE, "queue-size-power-of-two", "2.7/n1", _FAIL,
     "A queue's size is a power of two and at most 32768.", lambda a, _: f"a queue of {a}"),
    (Check.PARTS_PLACED, "ring-parts-in-memory", "2.7.5/n4", _FAIL,
     "The three ring parts lie apart, in memory that is shared.", _placed),
    (Check.LEGACY_LAYOUT, "ring-parts-legacy-layout", "2.7.2b, c", _FAIL,
     "A legacy ring's parts follow each other as its layout has them.",
     lambda a, b: f"{_part(a)} is at {b:#x}, where the legacy layout does not have it"),
    (Check.QUEUE_NOT_ENABLED, "transmits-on-enabled-queues", "5.1.6.5.6.1c", _FAIL,
     "Before queue pairs are enabled, only the first transmit queue is used.",
     lambda a, b: f"{counted(b, 'chain')} on queue {a}, which was never enabled"),
    (Check.FRAME_SHORT, "clause-5.1.6/n1", "5.1.6/n1", _FAIL, "",
     lambda a, b: f"a chain of {counted(a, 'byte')}, too short for a header of {b} and a frame"),
    (Check.TX_WRITABLE, "clause-5.1.6.2/n4", "5.1.6.2/n4", _FAIL, "",
     lambda a, b: f"piece {a} of the chain with head {b} is for the device to write"),
    (Check.HEADER_APART, "clause-5.1.6.6a", "5.1.6.6a", _FAIL, "",
     lambda a, b: f"the first descriptor has {counted(a, 'byte')}, the header {b}"),
    (Check.NUM_BUFFERS, "clause-5.1.6.2.1a", "5.1.6.2.1a", _FAIL, "",
     lambda a, _: f"num_buffers is {a}"),
    (Check.FLAGS_WITHOUT_CSUM, "clause-5.1.6.2.1b", "5.1.6.2.1b", _FAIL, "",
     lambda a, _: f"flags is {a:#x} without CSUM"),
    (Check.CHECKSUM_INCOMPLETE, "clause-5.1.6.2.1c", "5.1.6.2.1c", _WARN, "",
     lambda a, b: f"the {_PROTOCOLS.get(b, 'packet')}'s checksum is wrong: the sum is {a:#06x}, not 0xffff"),
    (Check.GSO_TCPV4, "clause-5.1.6.2.1d", "5.1.6.2.1d", _FAIL, "", _gso),
    (Check.GSO_TCPV6, "clause-5.1.6.2.1e", "5.1.6.2.1e", _FAIL, "", _gso),
    (Check.GSO_UDP, "clause-5.1.6.2.1f", "5.1.6.2.1f", _FAIL, "", _gso),
    (Check.GSO_UDP_L4, "clause-5.1.6.2.1g", "5.1.6.2.1g", _FAIL, "", _gso),
    (Check.CWR_WITHOUT_ECN, "clause-5.1.6.2.1h", "5.1.6.2.1h", _WARN, "",
     lambda a, _: f"gso_type is {a:#x} for a packet with CWR, and HOST_ECN was not accepted"),
    (Check.CWR_NOT_TOLD, "clause-5.1.6.2.1i", "5.1.6.2.1i", _FAIL, "",
     lambda a, _: f"gso_type is {a:#x} for a packet with CWR"),
    (Check.PSEUDO_SUM, "clause-5.1.6.2.1l", "5.1.6.2.1l", _FAIL, "",
     lambda a, b: f"the checksum's field holds {a:#06x}, the pseudo header sums up to {b:#06x}"),
    (Check.CSUM_PLACE, "clause-5.1.6.2.1m", "5.1.6.2.1m", _FAIL, "",
     lambda a, b: f"csum_start {high(a)} and csum_offset {low(a)} in a frame of {counted(b, 'byte')}"),
    (Check.CSUM_START, "clause-5.1.6.2/n2", "5.1.6.2/n2", _FAIL, "",
     lambda a, b: f"csum_start is {a}, the transport header is at {b}"),
    (Check.GSO_WITHOUT_FEATURE, "clause-5.1.6.2.1n", "5.1.6.2.1n", _FAIL, "",
     lambda a, _: f"gso_type is {a:#x}; no HOST_ feature was accepted"),
    (Check.GSO_WITHOUT_CSUM, "clause-5.1.6.2.1o", "5.1.6.2.1o", _FAIL, "",
     lambda a, b: f"gso_type is {a:#x}, flags {b:#x}"),
    (Check.GSO_SIZE, "clause-5.1.6.2.1p", "5.1.6.2.1p", _FAIL, "",
     lambda a, b: f"gso_type is {a:#x}, and gso_size is {b}"),
    (Check.HDR_LEN_EXACT, "clause-5.1.6.2.1q", "5.1.6.2.1q", _FAIL, "",
     lambda a, b: f"hdr_len is {a}, the headers have {counted(b, 'byte')}"),
    (Check.HDR_LEN_SHORT, "clause-5.1.6.2.1r", "5.1.6.2.1r", _WARN, "",
     lambda a, b: f"hdr_len is {a}, the headers have {counted(b, 'byte')}"),
    (Check.DATA_VALID, "clause-5.1.6.2.1t", "5.1.6.2.1t", _FAIL, "", lambda a, _: f"flags is {a:#x}"),
    (Check.ECN_PLACE, "clause-5.1.6.2/n3", "5.1.6.2/n3", _FAIL, "", lambda a, _: f"gso_type is {a:#x}"),
    (Check.GSO_TYPE, "clause-5.1.6.2/n6", "5.1.6.2/n6", _FAIL, "", lambda a, _: f"gso_type is {a:#x}"),
    (Check.LONG_FRAME, "clause-5.1.6.2/n5", "5.1.6.2/n5", _FAIL, "", _length),
    (Check.MTU, "clause-5.1.4.2c", "5.1.4.2c", _FAIL, "",
     lambda a, b: f"a frame of {counted(a, 'byte')} where mtu is {b}"),
    (Check.FEATURE_UNOFFERED, "clause-2.2.1a", "2.2.1a", _FAIL, "",
     lambda a, _: f"{_features(a, 0)} that were not offered"),
    (Check.FEATURE_REQUIRES, "clause-2.2.1b", "2.2.1b", _FAIL, "",
     lambda a, b: f"feature bit {a} was accepted without {_mask(b)}"),
    (Check.FEATURE_UNDEFINED, "clause-2.2.1d", "2.2.1d", _FAIL, "", _features),
    (Check.VERSION_1, "clause-6.1a", "6.1a", _FAIL, "", lambda a, _: f"{_features(a, 0)}"),
    (Check.ANY_LAYOUT, "clause-6.3a", "6.3a", _FAIL, "",
     lambda *_: "ANY_LAYOUT was offered to a driver that uses the legacy interface, and not accepted"),
    (Check.MTU_FEATURE, "clause-5.1.4.2b", "5.1.4.2b", _WARN, "",
     lambda *_: "MTU was not accepted"),
    (Check.HDRLEN_FEATURE, "clause-5.1.6.2.1s", "5.1.6.2.1s", _WARN, "",
     lambda *_: "GUEST_HDRLEN was not accepted"),
    (Check.FEATURES_LATE, "clause-3.1.1c", "3.1.1c", _FAIL, "",
     lambda a, b: f"features {b:#x} were accepted while a queue ran with {a:#x}"),
    (Check.STATUS_CLEARED, "clause-2.1.1b", "2.1.1b", _FAIL, "",
     lambda a, b: f"status went from {a:#x} to {b:#x}"),
    (Check.STATUS_AFTER_FAILED, "clause-2.1.1c", "2.1.1c", _FAIL, "",
     lambda a, b: f"status went from {a:#x} to {b:#x}"),
    (Check.STATUS_ORDER, "clause-3.1.1a", "3.1.1a, 2.1.1a", _FAIL, "",
     lambda a, b: f"status went from {a:#x} to {b:#x}"),
    (Check.TRAFFIC_STALLED, "keeps-sending", "oracle: a driver that has something to send", _FAIL,
     "A driver that has something to send goes on sending once buffers come back.",
     lambda a, b: f"nothing was published on queue {b} for {a:,} ms"),
)  # fmt: skip


def _checks() -> dict[Check, LiveCheck]:
    found: dict[Check, LiveCheck] = {}
    for code, same, describe in _AS_VALIDATE:
        verdict = VERDICTS[same]
        found[code] = LiveCheck(code, verdict.name, verdict.clause, verdict.level, verdict.sentence, describe)
    for code, name, clause, breach, sentence, describe in _OWN:
        words = sentence or DEMANDS[next(iter(ids(clause)))].words
        found[code] = LiveCheck(code, name, clause, breach, words, describe)
    return {code: found[code] for code in Check}


LIVE_CHECKS: dict[Check, LiveCheck] = _checks()
"""Every check of the live monitor, in the order of findings.h."""
