"""What the findings of a worker mean: for each its name, its clause, its level, and its numbers in words.

Clauses are sections of VIRTIO 1.3 with a letter for the sentence, ``/n`` for protocol text without MUST or
SHOULD; ``oracle:`` marks what the harness knows of its own, the driver ABI or the memory it handed out.
The codes are those of ``protocol.h``; a test compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

from .phrases import (
    CALLS,
    HOSTILE,
    MAPPING,
    address,
    answer,
    bad_release,
    canary,
    changed,
    counted,
    create_failed,
    differs,
    enable_missed,
    high,
    interrupt_not_wanted,
    kick_lost_event,
    kick_lost_flags,
    kick_unwanted,
    low,
    next_range,
    operation,
    place_of,
    red_zone,
    reused,
    ring_parts,
    spurious,
    token,
    token_wrong,
    unarmed,
    unreachable,
    used_up,
    used_written,
    written,
)

Level: TypeAlias = Literal["fail", "warn"]
Describe: TypeAlias = Callable[[int, int], str]


class FindingCode(IntEnum):
    """``enum rp_finding``."""

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
    CHAIN_DIFFERS = 14
    CHAIN_UNKNOWN = 15
    CHAIN_CHANGED = 16
    TABLE_CHANGED = 17
    USED_WRITTEN = 18
    AVAIL_FLAGS = 19
    AVAIL_FLAGS_EVENT = 20
    KICK_LOST_FLAGS = 21
    KICK_LOST_EVENT = 22
    TOKEN_WRONG = 23
    TOKEN_MISSING = 24
    REFUSED_THOUGH_FREE = 25
    RED_ZONE = 26
    BAD_RELEASE = 27
    LEAK = 28
    STRAY_WRITE = 29
    FLAG_UNASSIGNED = 30
    KICK_VALUE = 31
    RING_PARTS = 32
    RING_NOT_ZERO = 33
    KICK_UNWANTED = 34
    BROKEN = 35
    UNDOCUMENTED_RETURN = 36
    INTERRUPT_NOT_WANTED = 37
    CREATE_FAILED = 38
    REFUSED_WHEN_EMPTY = 39
    ENABLE_MISSED = 40
    INTERRUPT_MISSED = 41
    CHAIN_MISSING = 42
    CANARY = 43
    CHAIN_DECLINED = 44
    NUM_FREE = 45
    LENGTH_SUM = 46
    MANY_DESCRIPTORS = 47
    IN_ORDER_NEXT = 48
    IN_ORDER_HEAD = 49
    IN_ORDER_TABLE = 50
    AVAIL_IDX_START = 51
    SLOT_REPEATED = 52
    KICK_DATA = 53
    EVENT_WORD_HEEDED = 54
    FLAGS_HEEDED = 55
    SPURIOUS_INTERRUPT = 56
    USED_LENGTH = 57
    BATCH_RETIRED = 58
    ORDER_PUBLISH = 59
    ORDER_KICK = 60
    ORDER_USED = 61
    MAPPING = 62
    LATE_CALL = 63
    KICK_EARLY = 64
    HOSTILE_TOKEN = 65
    CHILDREN = 66
    OUTPUT = 67
    ORDER_ARM = 68


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one finding code stands for.

    ``name`` is a slug; ``property`` the slug of the theorem that rules the same thing out, or ``name`` when
    none does; ``sentence`` says what a driver must do; ``describe`` puts the numbers of a failure in words.
    """

    code: FindingCode
    name: str
    clause: str
    level: Level
    property: str
    sentence: str
    describe: Describe


_FAIL: Level = "fail"
_WARN: Level = "warn"

_ROWS: tuple[tuple[FindingCode, str, str, Level, str, str, Describe], ...] = (
    (FindingCode.HEAD_RANGE, "head-in-range", "2.7.6/n2", _FAIL, "chain-well-formed",
     "Every published slot of the available ring holds a descriptor number below the queue size.",
     lambda a, b: f"the published head is {a}, the queue has {b} descriptors"),
    (FindingCode.NEXT_RANGE, "next-in-range", "2.7.5/n2", _FAIL, "chain-well-formed",
     "Where NEXT is set, next names a descriptor of the same table.", next_range),
    (FindingCode.CHAIN_LOOP, "chain-ends", "2.7.5.2b", _FAIL, "chain-well-formed",
     "A chain does not run into itself.",
     lambda a, b: f"the chain with head {b} comes back to descriptor {a}"),
    (FindingCode.DESCRIPTOR_REUSED, "descriptor-free-before-use", "2.7.13/n1", _FAIL,
     "no-leak-no-double-allocation",
     "A new chain is made of descriptors that no outstanding chain has.", reused),
    (FindingCode.TOO_MANY_OUTSTANDING, "outstanding-at-most-queue-size", "2.7/n2", _FAIL,
     "avail-slot-not-overwritten",
     "No more buffers are outstanding than the queue has entries.",
     lambda a, b: f"{counted(a, 'buffer')} outstanding in a queue of {b}"),
    (FindingCode.AVAIL_BACKWARDS, "avail-idx-forward", "2.7.6.1a", _FAIL, "indices-faithful",
     "avail_idx only moves forward, modulo 65536.", lambda a, b: f"avail_idx went from {b} to {a}"),
    (FindingCode.WRITE_BEFORE_READ, "readable-before-writable", "2.7.4.2a", _FAIL, "chain-well-formed",
     "In a chain, what the device reads comes before what it writes.",
     lambda a, b: f"piece {a} of the chain with head {b} is readable after a writable one"),
    (FindingCode.INDIRECT_UNNEGOTIATED, "indirect-negotiated", "2.7.5.3.1a", _FAIL, "chain-well-formed",
     "INDIRECT is only used when it was negotiated.",
     lambda a, _: f"descriptor {a} is INDIRECT, which was not negotiated"),
    (FindingCode.INDIRECT_NESTED, "indirect-not-nested", "2.7.5.3.1b", _FAIL, "chain-well-formed",
     "No descriptor inside an indirect table is INDIRECT.",
     lambda a, b: f"entry {a} of the table of head {b} is INDIRECT itself"),
    (FindingCode.CHAIN_TOO_LONG, "chain-at-most-queue-size", "2.7.5.3.1c", _FAIL, "chain-well-formed",
     "A chain has no more descriptors than the queue.",
     lambda a, b: f"the chain has {counted(a, 'descriptor')}, the queue {b}"),
    (FindingCode.INDIRECT_AND_NEXT, "indirect-without-next", "2.7.5.3.1d", _FAIL, "chain-well-formed",
     "INDIRECT and NEXT are not set together.", lambda a, b: f"descriptor {a} has flags {b:#x}"),
    (FindingCode.INDIRECT_LENGTH, "indirect-length", "2.7.5.3/n1", _FAIL, "chain-well-formed",
     "An indirect table is a whole number of entries, at least one.",
     lambda a, _: f"the table's length is {counted(a, 'byte')}, not a sensible multiple of 16"),
    (FindingCode.ADDRESS_UNMAPPED, "address-reachable", "2.7.5/n4", _FAIL, "address-reachable",
     "Descriptors name guest-physical memory that the driver was given, outside the ring itself.",
     unreachable),
    (FindingCode.CHAIN_DIFFERS, "chain-is-what-was-added", "2.7.13.1/n1", _FAIL, "chain-well-formed",
     "A chain names exactly the bytes of the segments that add was given, in order.", differs),
    (FindingCode.CHAIN_UNKNOWN, "published-only-what-was-added", "2.7.13/n4", _FAIL, "indices-faithful",
     "avail_idx grows by exactly the number of chains added.",
     lambda a, b: f"{counted(a, 'entry')} published after {counted(b, 'successful add')}"),
    (FindingCode.CHAIN_CHANGED, "outstanding-unchanged", "3.3.1a", _FAIL, "avail-slot-not-overwritten",
     "The entries of an outstanding buffer stay as they were published.", changed),
    (FindingCode.TABLE_CHANGED, "indirect-table-unchanged", "2.7.5.3/n2", _FAIL,
     "no-leak-no-double-allocation",
     "An indirect table stays as it was published until its buffer is used.",
     lambda a, b: f"the table of {counted(high(b), 'byte')} at {address(a)} of head {low(b)} changed"),
    (FindingCode.USED_WRITTEN, "used-ring-not-written", "2.7/n3", _FAIL, "used-slot-not-overwritten",
     "Only the device writes to the used ring.", used_written),
    (FindingCode.AVAIL_FLAGS, "avail-flags-0-or-1", "2.7.7.1a", _FAIL, "callbacks-rearmed",
     "Without EVENT_IDX, avail.flags is 0 or 1.", lambda a, _: f"avail.flags is {a:#x}"),
    (FindingCode.AVAIL_FLAGS_EVENT, "avail-flags-0-with-event-idx", "2.7.7.1c", _FAIL, "callbacks-rearmed",
     "With EVENT_IDX, avail.flags stays 0.",
     lambda a, _: f"avail.flags is {a:#x} though EVENT_IDX was negotiated"),
    (FindingCode.KICK_LOST_FLAGS, "kick-when-flags-ask", "2.7.10.1d", _FAIL, "need-event-exact",
     "Without EVENT_IDX, new entries are notified of while used.flags is 0.", kick_lost_flags),
    (FindingCode.KICK_LOST_EVENT, "kick-when-event-passed", "2.7.10.1f", _FAIL, "need-event-exact",
     "With EVENT_IDX, the entry that avail_event names is notified of.", kick_lost_event),
    (FindingCode.TOKEN_WRONG, "token-in-used-order", "oracle: tokens", _FAIL, "token-returned-once",
     "get_buf returns each token once, in the order of the used ring, with the length the device wrote.",
     token_wrong),
    (FindingCode.TOKEN_MISSING, "token-not-withheld", "oracle: tokens", _FAIL, "token-returned-once",
     "get_buf returns a token as long as a used buffer was not returned.",
     lambda a, b: f"nothing came back though {counted(a, 'buffer')} could be, the oldest with token {b:#x}"),
    (FindingCode.REFUSED_THOUGH_FREE, "add-when-it-fits", "oracle: free count", _WARN, "num-free-exact",
     "add takes a buffer for which enough descriptors are free.",
     lambda a, b: f"ENOSPC for {counted(a, 'segment')} with {counted(b, 'descriptor')} free"),
    (FindingCode.RED_ZONE, "nothing-behind-allocation", "oracle: memory", _FAIL, "nothing-behind-allocation",
     "The driver writes nothing behind the memory it was given.", red_zone),
    (FindingCode.BAD_RELEASE, "released-once", "oracle: memory", _FAIL, "no-leak-no-double-allocation",
     "Memory is released once, by the address and the size it was allocated with.", bad_release),
    (FindingCode.LEAK, "all-released", "oracle: memory", _FAIL, "no-leak-no-double-allocation",
     "destroy gives back all memory.",
     lambda a, b: f"{counted(a, 'byte')} in {counted(b, 'block')} left after destroy"),
    (FindingCode.STRAY_WRITE, "no-stray-write", "oracle: memory", _FAIL, "no-stray-write",
     "The driver writes only to memory it holds.",
     lambda a, b: f"{written(a, b)}, where the driver holds nothing"),
    (FindingCode.FLAG_UNASSIGNED, "no-unassigned-flag", "2.7.5/n3", _WARN, "chain-well-formed",
     "Descriptors have no flags but NEXT, WRITE and INDIRECT.",
     lambda a, _: f"a descriptor has flags {a:#x}"),
    (FindingCode.KICK_VALUE, "kick-names-the-queue", "4.1.5.2.1b", _FAIL, "kick-names-the-queue",
     "A kick writes the index of the queue.", lambda a, b: f"the kick wrote {a}, the queue is number {b}"),
    (FindingCode.RING_PARTS, "ring-parts-placed", "2.7.1a", _FAIL, "ring-parts-placed",
     "The three ring parts are aligned to 16, 2 and 4, apart, and in memory the device can reach; in the "
     "legacy layout they lie where that has them.",
     ring_parts),
    (FindingCode.RING_NOT_ZERO, "ring-zeroed", "2.7.10.1a", _FAIL, "ring-zeroed",
     "The used ring is zero when the queue is handed over.",
     lambda a, b: f"byte {low(a)} of the used ring holds {b:#x} when the queue is created"),
    (FindingCode.KICK_UNWANTED, "no-needless-kick", "2.7.10.1c, g", _WARN, "need-event-exact",
     "No notification is sent that the device has not asked for.", kick_unwanted),
    (FindingCode.BROKEN, "honest-device-never-broken", "oracle: honest device", _FAIL, "bad-ring-never",
     "The queue never calls an honest device broken.", lambda a, _: f"{operation(a)} returned EBROKEN"),
    (FindingCode.UNDOCUMENTED_RETURN, "documented-returns", "oracle: driver ABI", _FAIL, "documented-returns",
     "Operations return what the driver ABI says.",
     lambda a, b: f"{operation(b)} returned {answer(a)}, which it must not here"),
    (FindingCode.INTERRUPT_NOT_WANTED, "sleeps-with-interrupts-on", "oracle: interrupts", _FAIL,
     "callbacks-rearmed",
     "A driver that found nothing used with callbacks on lets the next used buffer interrupt; an interrupt "
     "put off comes with the last buffer in flight at the latest.",
     interrupt_not_wanted),
    (FindingCode.CREATE_FAILED, "create-succeeds", "oracle: driver ABI", _FAIL, "create-succeeds",
     "create sets up any queue the driver offers.", create_failed),
    (FindingCode.REFUSED_WHEN_EMPTY, "add-when-all-is-back", "oracle: free count", _FAIL,
     "no-leak-no-double-allocation",
     "add takes a buffer that fits the queue once everything has come back.",
     lambda a, b: f"ENOSPC for {counted(a, 'segment')} though all {counted(b, 'descriptor')} are free"),
    (FindingCode.ENABLE_MISSED, "look-again-after-enable", "2.7.14/n1", _FAIL, "callbacks-rearmed",
     "Enabling callbacks, or polling afterwards, tells of buffers that were used meanwhile.",
     enable_missed),
    (FindingCode.INTERRUPT_MISSED, "interrupt-taken", "oracle: driver ABI", _FAIL, "callbacks-rearmed",
     "The interrupt entry takes an interrupt when something is used, and calls back when callbacks are on.",
     lambda a, b: f"{counted(a, 'buffer')} used, interrupt: {high(b)}, {counted(low(b), 'callback')}"),
    (FindingCode.CHAIN_MISSING, "published-by-kick", "2.7.13/n4", _FAIL, "indices-faithful",
     "After a kick, every buffer that add took is published.",
     lambda a, b: f"{counted(a, 'entry')} published of {counted(b, 'buffer')} added, after a kick"),
    (FindingCode.CANARY, "private-memory-bounds", "oracle: memory", _FAIL, "private-memory-bounds",
     "The driver stays inside its private memory.", canary),
    (FindingCode.CHAIN_DECLINED, "takes-any-chain", "oracle: driver ABI", _WARN, "documented-returns",
     "add takes any chain that the queue has room for when empty, with writable segments too.",
     lambda a, b: f"RP_EINVAL for {counted(low(a), 'segment')}{', some writable,' if high(a) else ''} "
     f"in a queue of {b}"),
    (FindingCode.NUM_FREE, "num-free-at-most-what-is", "oracle: free count", _FAIL, "num-free-exact",
     "num_free counts no descriptor that an outstanding chain has.",
     lambda a, b: f"num_free is {a} in a queue of {low(b)} while outstanding chains have {high(b)}"),
    (FindingCode.LENGTH_SUM, "chain-length-sum", "2.7.5.2a", _FAIL, "chain-well-formed",
     "A chain's lengths add up to no more than 2^32 bytes.",
     lambda a, b: f"the chain with head {b} has {counted(a, 'byte')}"),
    (FindingCode.MANY_DESCRIPTORS, "descriptors-reasonable", "2.7.4.2b", _WARN, "chain-well-formed",
     "A buffer has no more descriptors than its segments give reason for.",
     lambda a, b: f"{counted(a, 'descriptor')} for {counted(b, 'segment')}"),
    (FindingCode.IN_ORDER_NEXT, "in-order-next", "2.7.5.2c", _FAIL, "chain-well-formed",
     "With IN_ORDER, a descriptor with NEXT goes on to the one behind it, the last one to the first.",
     lambda a, b: f"descriptor {high(a)} goes on to {low(a)}, not to {b}"),
    (FindingCode.IN_ORDER_HEAD, "in-order-heads", "2.7.5/n1", _FAIL, "chain-well-formed",
     "With IN_ORDER, chains follow each other in the table, from descriptor 0 on.",
     lambda a, b: f"the chain's head is {a}, the chain before it ends where {b} is next"),
    (FindingCode.IN_ORDER_TABLE, "in-order-table", "2.7.5.3.1e", _FAIL, "chain-well-formed",
     "With IN_ORDER, the entries of an indirect table follow each other.",
     lambda a, b: f"entry {high(a)} of the table of head {b} goes on to {low(a)}"),
    (FindingCode.AVAIL_IDX_START, "avail-idx-starts-at-0", "2.7.6/n1", _FAIL, "ring-zeroed",
     "avail_idx is 0 when the queue is handed over.",
     lambda a, _: f"avail_idx is {a} when the queue is created"),
    (FindingCode.SLOT_REPEATED, "heads-in-consecutive-slots", "2.7.13/n2", _FAIL,
     "avail-slot-not-overwritten",
     "Each slot published holds the head of a chain that is not outstanding yet.",
     lambda a, b: f"slot {high(a)} holds head {low(a)}, which available entry {b} has published already"),
    (FindingCode.KICK_DATA, "kick-data-true", "2.9/n1", _FAIL, "kick-data-true",
     "With NOTIFICATION_DATA, a kick tells avail_idx.",
     lambda a, b: f"the kick told avail_idx {a}, it is {b}"),
    (FindingCode.EVENT_WORD_HEEDED, "event-word-without-event-idx", "2.7.10.1b", _FAIL, "need-event-exact",
     "Without EVENT_IDX, the word of avail_event has no influence on kicks.",
     lambda a, b: f"no notification at avail_idx {a} though used.flags is 0; the word holds {b}"),
    (FindingCode.FLAGS_HEEDED, "used-flags-with-event-idx", "2.7.10.1e", _FAIL, "need-event-exact",
     "With EVENT_IDX, used.flags has no influence on kicks.",
     lambda a, b: f"no notification at avail_idx {a} past avail_event {low(b)}; used.flags is {high(b)}"),
    (FindingCode.SPURIOUS_INTERRUPT, "spurious-interrupt-harmless", "2.7.7.1e", _FAIL,
     "no-leak-no-double-allocation", "An interrupt without news changes nothing.",
     spurious),
    (FindingCode.USED_LENGTH, "legacy-used-length-ignored", "5.1.6.1b", _WARN, "token-returned-once",
     "What a legacy device says of the length of a readable buffer has no influence.",
     lambda a, b: f"length {a} was reported for a readable buffer, and {operation(b)} went wrong"),
    (FindingCode.BATCH_RETIRED, "in-order-batch-retired", "2.7.9/n1", _FAIL, "token-returned-once",
     "With IN_ORDER, one used entry retires all buffers up to its own, and no more.", used_up),
    (FindingCode.ORDER_PUBLISH, "content-before-index", "2.7.13.3.1a", _FAIL, "content-before-index",
     "What a chain holds is ordered before the index that publishes it.",
     lambda a, b: f"avail_idx became {a} without a release after the store to {place_of(b)}"),
    (FindingCode.ORDER_KICK, "index-before-suppression", "2.7.13.4.1a", _FAIL, "index-before-suppression",
     "A full barrier lies between the store of avail_idx and the look at the suppression word.",
     lambda a, b: f"{place_of(b)} was read without a full barrier after avail_idx became {a}"),
    (FindingCode.ORDER_USED, "used-index-before-entry", "oracle: order of accesses", _FAIL,
     "used-index-before-entry",
     "A used entry is read after the index that tells of it, ordered by an acquire.",
     lambda a, b: f"used entry {a} was read {'before used_idx told of it' if b else 'without an acquire'}"),
    (FindingCode.ORDER_ARM, "look-again-after-barrier", "oracle: order of accesses", _FAIL,
     "look-again-after-barrier",
     "Between asking for an interrupt and looking at used_idx once more lies a full barrier.", unarmed),
    (FindingCode.MAPPING, "mapped-and-unmapped", "oracle: memory", _FAIL, "no-leak-no-double-allocation",
     "What was mapped is unmapped once, with its length, not before its buffer came back.",
     lambda a, b: f"{address(a)} {MAPPING.get(high(b), 'went wrong')} ({counted(low(b), 'byte')})"),
    (FindingCode.LATE_CALL, "calls-only-in-its-time", "oracle: driver ABI", _FAIL, "calls-only-in-its-time",
     "The environment is called only from create to the end of destroy.",
     lambda a, _: f"the driver called {CALLS.get(a, 'its environment')} when it had no queue"),
    (FindingCode.KICK_EARLY, "no-kick-before-ready", "3.1.1g", _FAIL, "no-kick-before-ready",
     "Nothing is notified before the queue is handed over.",
     lambda a, _: f"create notified the device {counted(a, 'time')}"),
    (FindingCode.HOSTILE_TOKEN, "no-wrong-token", "oracle: hostile device", _FAIL, "token-returned-once",
     "No token comes back that the driver does not hold, or for a used entry that names none.",
     lambda a, b: f"token {token(a)} came back {HOSTILE.get(low(b), 'though none was due')}"),
    (FindingCode.CHILDREN, "starts-no-process", "oracle: process", _FAIL, "starts-no-process",
     "The driver starts no process.",
     lambda a, _: "a process was started" if a == 1 else f"{a} processes were started"),
    (FindingCode.OUTPUT, "prints-little", "oracle: process", _WARN, "prints-little",
     "The driver prints no more than a megabyte.",
     lambda a, _: f"{counted(a, 'byte')} printed, the rest was cut off"),
)  # fmt: skip

VERDICTS: dict[FindingCode, Verdict] = {row[0]: Verdict(*row) for row in _ROWS}
"""Every finding code and what it stands for."""
