"""What the findings of a worker mean: for each its name, its clause, its level, and its numbers in words.

Clauses are sections of VIRTIO 1.3 with a letter for the sentence, ``/n`` for protocol text without MUST or
SHOULD; ``oracle:`` marks what the harness knows of its own, the driver ABI or the memory it handed out.
The codes are those of ``protocol.h``; a test compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

from ..impl.harness.operations import (
    ARENA_ADDRESS,
    ARENA_BYTES,
    BUFFER_ADDRESS,
    BUFFER_BYTES,
    EBROKEN,
    EINVAL,
    ENOMEM,
    ENOSPC,
    RED_ZONE,
    Code,
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


_ANSWERS = {EINVAL: "RP_EINVAL", ENOSPC: "RP_ENOSPC", ENOMEM: "RP_ENOMEM", EBROKEN: "RP_EBROKEN"}


def _high(number: int) -> int:
    return number >> 32


def _low(number: int) -> int:
    return number & 0xFFFF_FFFF


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _operation(number: int) -> str:
    if not number:
        return "create"
    try:
        return Code(number).name
    except ValueError:
        return f"operation {number}"


def _answer(number: int) -> str:
    answer = _signed(number)
    return f"{_ANSWERS[answer]} ({answer})" if answer in _ANSWERS else str(answer)


def _counted(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _address(number: int) -> str:
    """Say an address, and where it lies if that is somewhere known."""
    if 0 <= number - ARENA_ADDRESS < ARENA_BYTES:
        return f"address {number:#x} (byte {number - ARENA_ADDRESS:#x} of the driver's memory)"
    return f"address {number:#x}"


def _unreachable(a: int, b: int) -> str:
    known = (
        ARENA_ADDRESS <= a < ARENA_ADDRESS + ARENA_BYTES
        or BUFFER_ADDRESS <= a < BUFFER_ADDRESS + BUFFER_BYTES
    )
    hint = "" if known else ": it is no guest-physical address (a pointer, not translated?)"
    return f"a descriptor names {_counted(b, 'byte')} at {_address(a)}, which the device cannot reach{hint}"


def _next_range(a: int, b: int) -> str:
    return f"descriptor {_high(a)} goes on to descriptor {_low(a)} in a table of {b}"


def _reused(a: int, b: int) -> str:
    owner = f"available entry {_low(b)}, which is still outstanding"
    return f"descriptor {a} of the new chain with head {_high(b)} belongs to the chain of {owner}"


def _differs(a: int, b: int) -> str:
    kind, seen = _high(b), _low(b)
    add = f"the chain of add {_high(a)}"
    if kind == 1:
        return f"{add} has {_counted(seen, 'segment')}, not as many as it was given"
    what = {
        2: f"lies at address {(BUFFER_ADDRESS & ~0xFFFF_FFFF) + seen:#x}",
        3: f"is {_counted(seen, 'byte')} long",
        4: f"is for the device to {'write' if seen else 'read'}",
    }.get(kind, "differs")
    return f"segment {_low(a)} of {add} {what}, unlike the one it was given"


def _changed(a: int, b: int) -> str:
    if _high(a) == 2:
        return (
            f"slot {_low(a)} of the available ring held head {_low(b)} when published, {_high(b)} when read"
        )
    return f"descriptor {_low(a)} changed while its chain was with the device"


def _used_written(a: int, b: int) -> str:
    place = {0: "used.flags", 2: "used.idx"}.get(a, f"byte {a} of the used ring")
    return f"{place} holds {_high(b):#x}, the device had stored {_low(b):#x}"


def _kick_lost_event(a: int, b: int) -> str:
    first = (a - _high(b)) & 0xFFFF
    return (
        f"no notification after avail_idx became {a}, by the end of the kick, though the "
        f"{_counted(_high(b), 'new entry')} from {first} on include avail_event {_low(b)}"
    )


def _kick_lost_flags(a: int, b: int) -> str:
    entries = _counted(_high(b), "new entry")
    return (
        f"no notification after avail_idx became {a}, by the end of the kick, though there "
        f"{'was' if _high(b) == 1 else 'were'} {entries} and used.flags was {_low(b)}"
    )


def _token(number: int) -> str:
    """Say a token: the k-th add has the token k; any other number is no token but, perhaps, an address."""
    return f"{number}" if number < 1 << 32 else f"{number:#x}"


def _token_wrong(a: int, b: int) -> str:
    if a >> 63:
        return f"it was returned with length {_low(a)}, the device had written {_low(b)}"
    expected = f"the oldest one used is {_token(b)}" if b else "no used one is waiting"
    return f"token {_token(a)} came back; {expected}"


def _bad_release(a: int, b: int) -> str:
    where = _address(a) if a else "private memory"
    kept = _low(b)
    if kept:
        return f"{where} was released as {_counted(_high(b), 'byte')}; it was allocated as {kept:,}"
    return f"{where} was released ({_counted(_high(b), 'byte')}), but nothing was allocated there"


def _written(a: int, b: int) -> str:
    return f"{_address(a)} holds {_high(b):#04x}"


def _red_zone(a: int, b: int) -> str:
    return f"{_written(a, b)}, within {RED_ZONE} bytes behind an allocation of {_counted(_low(b), 'byte')}"


def _ring_parts(a: int, b: int) -> str:
    parts = ("a part", "the descriptor table", "the available ring", "the used ring")
    number, alignment = _high(a), _low(a)
    part = parts[number] if number < len(parts) else parts[0]
    if not b:
        return f"the address of {part} was not filled in"
    if not alignment:
        return f"{part} overlaps the part at {_address(b)}"
    if alignment == 1:
        return (
            f"{part} at {_address(b)} is not where the legacy layout has it: behind the table the available "
            "ring, at the next multiple of 4096 the used ring"
        )
    return f"{part} at {_address(b)} is not aligned to {alignment}, or not inside one allocation"


def _create_failed(a: int, _: int) -> str:
    return f"create returned {_signed(a)}" if a else "create returned RP_OK and left the queue null"


def _used_up(a: int, b: int) -> str:
    seen = f"token {_token(a)} came back" if a else "nothing came back"
    due = f"token {_token(b)} was next" if b else "the batch had been returned whole"
    return f"{seen} from a batch; {due}"


def _spurious(a: int, b: int) -> str:
    if b == Code.INTERRUPT:
        return f"an interrupt without news handed back {_counted(a, 'buffer')}"
    if b == Code.GET and a == 1:
        return (
            "GET had found nothing; after an interrupt without news, nothing being used, it returned a buffer"
        )
    return f"after an interrupt without news {_operation(b)} returned {_answer(a)}"


def _kick_unwanted(a: int, b: int) -> str:
    return (
        f"a notification at avail_idx {a}, with {_counted(_high(b), 'entry')} new since the last kick and "
        f"suppression word {_low(b)}"
    )


def _interrupt_not_wanted(a: int, b: int) -> str:
    moved = f"used_idx went from {_high(b)} to {_low(b)}"
    return (
        f"{moved} after the driver had found nothing left with callbacks on, but used_event or flags is {a} "
        "and asks for no interrupt (declare RP_TRAIT_ARMS_ONCE if enable_cb alone arms it)"
    )


def _enable_missed(a: int, b: int) -> str:
    used = _counted(a, "used buffer")
    if b == 2:
        return f"interrupt asked for notifications and returned though {used} had not been handed back"
    return f"{'poll' if b else 'enable_cb'} saw nothing though there {'was' if a == 1 else 'were'} {used}"


def _canary(a: int, b: int) -> str:
    at = _signed(a)
    where = f"{-at} bytes before" if at < 0 else f"at byte {at} of"
    return f"a write {where} a private allocation of {_counted(b, 'byte')}"


_MAPPING = {
    1: "was unmapped, but nothing is mapped there",
    2: "was unmapped with another length",
    3: "was unmapped while the device owned it",
    4: "was never unmapped",
}
_CALLS = {1: "notify", 2: "callback", 3: "completed", 4: "allocate", 5: "release", 6: "map", 7: "unmap"}
_HOSTILE = {
    1: "though the driver does not hold it",
    2: "for a used entry that names no outstanding chain",
    3: "for the used entry of another chain",
}


def _place_of(number: int) -> str:
    """Say a place in the ring: its part in the high half, a number in the low one."""
    part, at = _high(number), _low(number)
    return {
        1: f"descriptor {at}",
        2: f"slot {at} of the available ring",
        3: f"entry {at} of an indirect table",
        4: "used.flags",
        5: "avail_event",
    }.get(part, f"byte {at} of the ring")


_FAIL: Level = "fail"
_WARN: Level = "warn"

_ROWS: tuple[tuple[FindingCode, str, str, Level, str, str, Describe], ...] = (
    (FindingCode.HEAD_RANGE, "head-in-range", "2.7.6/n2", _FAIL, "chain-well-formed",
     "Every published slot of the available ring holds a descriptor number below the queue size.",
     lambda a, b: f"the published head is {a}, the queue has {b} descriptors"),
    (FindingCode.NEXT_RANGE, "next-in-range", "2.7.5/n2", _FAIL, "chain-well-formed",
     "Where NEXT is set, next names a descriptor of the same table.", _next_range),
    (FindingCode.CHAIN_LOOP, "chain-ends", "2.7.5.2b", _FAIL, "chain-well-formed",
     "A chain does not run into itself.",
     lambda a, b: f"the chain with head {b} comes back to descriptor {a}"),
    (FindingCode.DESCRIPTOR_REUSED, "descriptor-free-before-use", "2.7.13/n1", _FAIL,
     "no-leak-no-double-allocation",
     "A new chain is made of descriptors that no outstanding chain has.", _reused),
    (FindingCode.TOO_MANY_OUTSTANDING, "outstanding-at-most-queue-size", "2.7/n2", _FAIL,
     "avail-slot-not-overwritten",
     "No more buffers are outstanding than the queue has entries.",
     lambda a, b: f"{_counted(a, 'buffer')} outstanding in a queue of {b}"),
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
     lambda a, b: f"the chain has {_counted(a, 'descriptor')}, the queue {b}"),
    (FindingCode.INDIRECT_AND_NEXT, "indirect-without-next", "2.7.5.3.1d", _FAIL, "chain-well-formed",
     "INDIRECT and NEXT are not set together.", lambda a, b: f"descriptor {a} has flags {b:#x}"),
    (FindingCode.INDIRECT_LENGTH, "indirect-length", "2.7.5.3/n1", _FAIL, "chain-well-formed",
     "An indirect table is a whole number of entries, at least one.",
     lambda a, _: f"the table's length is {_counted(a, 'byte')}, not a sensible multiple of 16"),
    (FindingCode.ADDRESS_UNMAPPED, "address-reachable", "2.7.5/n4", _FAIL, "address-reachable",
     "Descriptors name guest-physical memory that the driver was given, outside the ring itself.",
     _unreachable),
    (FindingCode.CHAIN_DIFFERS, "chain-is-what-was-added", "2.7.13.1/n1", _FAIL, "chain-well-formed",
     "A chain names exactly the segments that add was given, in order.", _differs),
    (FindingCode.CHAIN_UNKNOWN, "published-only-what-was-added", "2.7.13/n4", _FAIL, "indices-faithful",
     "avail_idx grows by exactly the number of chains added.",
     lambda a, b: f"{_counted(a, 'entry')} published after {_counted(b, 'successful add')}"),
    (FindingCode.CHAIN_CHANGED, "outstanding-unchanged", "3.3.1a", _FAIL, "avail-slot-not-overwritten",
     "The entries of an outstanding buffer stay as they were published.", _changed),
    (FindingCode.TABLE_CHANGED, "indirect-table-unchanged", "2.7.5.3/n2", _FAIL,
     "no-leak-no-double-allocation",
     "An indirect table stays as it was published until its buffer is used.",
     lambda a, b: f"the table of {_counted(_high(b), 'byte')} at {_address(a)} of head {_low(b)} changed"),
    (FindingCode.USED_WRITTEN, "used-ring-not-written", "2.7/n3", _FAIL, "used-slot-not-overwritten",
     "Only the device writes to the used ring.", _used_written),
    (FindingCode.AVAIL_FLAGS, "avail-flags-0-or-1", "2.7.7.1a", _FAIL, "callbacks-rearmed",
     "Without EVENT_IDX, avail.flags is 0 or 1.", lambda a, _: f"avail.flags is {a:#x}"),
    (FindingCode.AVAIL_FLAGS_EVENT, "avail-flags-0-with-event-idx", "2.7.7.1c", _FAIL, "callbacks-rearmed",
     "With EVENT_IDX, avail.flags stays 0.",
     lambda a, _: f"avail.flags is {a:#x} though EVENT_IDX was negotiated"),
    (FindingCode.KICK_LOST_FLAGS, "kick-when-flags-ask", "2.7.10.1d", _FAIL, "need-event-exact",
     "Without EVENT_IDX, new entries are notified of while used.flags is 0.", _kick_lost_flags),
    (FindingCode.KICK_LOST_EVENT, "kick-when-event-passed", "2.7.10.1f", _FAIL, "need-event-exact",
     "With EVENT_IDX, the entry that avail_event names is notified of.", _kick_lost_event),
    (FindingCode.TOKEN_WRONG, "token-in-used-order", "oracle: tokens", _FAIL, "token-returned-once",
     "get_buf returns each token once, in the order of the used ring, with the length the device wrote.",
     _token_wrong),
    (FindingCode.TOKEN_MISSING, "token-not-withheld", "oracle: tokens", _FAIL, "token-returned-once",
     "get_buf returns a token as long as a used buffer was not returned.",
     lambda a, b: f"nothing came back though {_counted(a, 'buffer')} could be, the oldest with token {b:#x}"),
    (FindingCode.REFUSED_THOUGH_FREE, "add-when-it-fits", "oracle: free count", _WARN, "num-free-exact",
     "add takes a buffer for which enough descriptors are free.",
     lambda a, b: f"ENOSPC for {_counted(a, 'segment')} with {_counted(b, 'descriptor')} free"),
    (FindingCode.RED_ZONE, "nothing-behind-allocation", "oracle: memory", _FAIL, "nothing-behind-allocation",
     "The driver writes nothing behind the memory it was given.", _red_zone),
    (FindingCode.BAD_RELEASE, "released-once", "oracle: memory", _FAIL, "no-leak-no-double-allocation",
     "Memory is released once, by the address and the size it was allocated with.", _bad_release),
    (FindingCode.LEAK, "all-released", "oracle: memory", _FAIL, "no-leak-no-double-allocation",
     "destroy gives back all memory.",
     lambda a, b: f"{_counted(a, 'byte')} in {_counted(b, 'block')} left after destroy"),
    (FindingCode.STRAY_WRITE, "no-stray-write", "oracle: memory", _FAIL, "no-stray-write",
     "The driver writes only to memory it holds.",
     lambda a, b: f"{_written(a, b)}, where the driver holds nothing"),
    (FindingCode.FLAG_UNASSIGNED, "no-unassigned-flag", "2.7.5/n3", _WARN, "chain-well-formed",
     "Descriptors have no flags but NEXT, WRITE and INDIRECT.",
     lambda a, _: f"a descriptor has flags {a:#x}"),
    (FindingCode.KICK_VALUE, "kick-names-the-queue", "4.1.5.2.1b", _FAIL, "kick-names-the-queue",
     "A kick writes the index of the queue.", lambda a, b: f"the kick wrote {a}, the queue is number {b}"),
    (FindingCode.RING_PARTS, "ring-parts-placed", "2.7.1a", _FAIL, "ring-parts-placed",
     "The three ring parts are aligned to 16, 2 and 4, apart, and in memory the device can reach; in the "
     "legacy layout they lie where that has them.",
     _ring_parts),
    (FindingCode.RING_NOT_ZERO, "ring-zeroed", "2.7.10.1a", _FAIL, "ring-zeroed",
     "The used ring is zero when the queue is handed over.",
     lambda a, b: f"byte {_low(a)} of the used ring holds {b:#x} when the queue is created"),
    (FindingCode.KICK_UNWANTED, "no-needless-kick", "2.7.10.1c, g", _WARN, "need-event-exact",
     "No notification is sent that the device has not asked for.", _kick_unwanted),
    (FindingCode.BROKEN, "honest-device-never-broken", "oracle: honest device", _FAIL, "bad-ring-never",
     "The queue never calls an honest device broken.", lambda a, _: f"{_operation(a)} returned EBROKEN"),
    (FindingCode.UNDOCUMENTED_RETURN, "documented-returns", "oracle: driver ABI", _FAIL, "documented-returns",
     "Operations return what the driver ABI says.",
     lambda a, b: f"{_operation(b)} returned {_answer(a)}, which it must not here"),
    (FindingCode.INTERRUPT_NOT_WANTED, "sleeps-with-interrupts-on", "oracle: interrupts", _FAIL, "callbacks-rearmed",
     "A driver that found nothing used with callbacks on lets the next used buffer interrupt.",
     _interrupt_not_wanted),
    (FindingCode.CREATE_FAILED, "create-succeeds", "oracle: driver ABI", _FAIL, "create-succeeds",
     "create sets up any queue the driver offers.", _create_failed),
    (FindingCode.REFUSED_WHEN_EMPTY, "add-when-all-is-back", "oracle: free count", _FAIL,
     "no-leak-no-double-allocation",
     "add takes a buffer that fits the queue once everything has come back.",
     lambda a, b: f"ENOSPC for {_counted(a, 'segment')} though all {_counted(b, 'descriptor')} are free"),
    (FindingCode.ENABLE_MISSED, "look-again-after-enable", "2.7.14/n1", _FAIL, "callbacks-rearmed",
     "Enabling callbacks, or polling afterwards, tells of buffers that were used meanwhile.",
     _enable_missed),
    (FindingCode.INTERRUPT_MISSED, "interrupt-taken", "oracle: driver ABI", _FAIL, "callbacks-rearmed",
     "The interrupt entry takes an interrupt when something is used, and calls back when callbacks are on.",
     lambda a, b: f"{_counted(a, 'buffer')} used, interrupt: {_high(b)}, {_counted(_low(b), 'callback')}"),
    (FindingCode.CHAIN_MISSING, "published-by-kick", "2.7.13/n4", _FAIL, "indices-faithful",
     "After a kick, every buffer that add took is published.",
     lambda a, b: f"{_counted(a, 'entry')} published of {_counted(b, 'buffer')} added, after a kick"),
    (FindingCode.CANARY, "private-memory-bounds", "oracle: memory", _FAIL, "private-memory-bounds",
     "The driver stays inside its private memory.", _canary),
    (FindingCode.CHAIN_DECLINED, "takes-any-chain", "oracle: driver ABI", _WARN, "documented-returns",
     "add takes any chain that the queue has room for when empty, with writable segments too.",
     lambda a, b: f"RP_EINVAL for {_counted(_low(a), 'segment')}{', some writable,' if _high(a) else ''} "
     f"in a queue of {b}"),
    (FindingCode.NUM_FREE, "num-free-at-most-what-is", "oracle: free count", _FAIL, "num-free-exact",
     "num_free counts no descriptor that an outstanding chain has.",
     lambda a, b: f"num_free is {a} in a queue of {_low(b)} while outstanding chains have {_high(b)}"),
    (FindingCode.LENGTH_SUM, "chain-length-sum", "2.7.5.2a", _FAIL, "chain-well-formed",
     "A chain's lengths add up to no more than 2^32 bytes.",
     lambda a, b: f"the chain with head {b} has {_counted(a, 'byte')}"),
    (FindingCode.MANY_DESCRIPTORS, "descriptors-reasonable", "2.7.4.2b", _WARN, "chain-well-formed",
     "A buffer has no more descriptors than its segments give reason for.",
     lambda a, b: f"{_counted(a, 'descriptor')} for {_counted(b, 'segment')}"),
    (FindingCode.IN_ORDER_NEXT, "in-order-next", "2.7.5.2c", _FAIL, "chain-well-formed",
     "With IN_ORDER, a descriptor with NEXT goes on to the one behind it, the last one to the first.",
     lambda a, b: f"descriptor {_high(a)} goes on to {_low(a)}, not to {b}"),
    (FindingCode.IN_ORDER_HEAD, "in-order-heads", "2.7.5/n1", _FAIL, "chain-well-formed",
     "With IN_ORDER, chains follow each other in the table, from descriptor 0 on.",
     lambda a, b: f"the chain's head is {a}, the chain before it ends where {b} is next"),
    (FindingCode.IN_ORDER_TABLE, "in-order-table", "2.7.5.3.1e", _FAIL, "chain-well-formed",
     "With IN_ORDER, the entries of an indirect table follow each other.",
     lambda a, b: f"entry {_high(a)} of the table of head {b} goes on to {_low(a)}"),
    (FindingCode.AVAIL_IDX_START, "avail-idx-starts-at-0", "2.7.6/n1", _FAIL, "ring-zeroed",
     "avail_idx is 0 when the queue is handed over.",
     lambda a, _: f"avail_idx is {a} when the queue is created"),
    (FindingCode.SLOT_REPEATED, "heads-in-consecutive-slots", "2.7.13/n2", _FAIL,
     "avail-slot-not-overwritten",
     "Each slot published holds the head of a chain that is not outstanding yet.",
     lambda a, b: f"slot {_high(a)} holds head {_low(a)}, which available entry {b} has published already"),
    (FindingCode.KICK_DATA, "kick-data-true", "2.9/n1", _FAIL, "kick-data-true",
     "With NOTIFICATION_DATA, a kick tells avail_idx.",
     lambda a, b: f"the kick told avail_idx {a}, it is {b}"),
    (FindingCode.EVENT_WORD_HEEDED, "event-word-without-event-idx", "2.7.10.1b", _FAIL, "need-event-exact",
     "Without EVENT_IDX, the word of avail_event has no influence on kicks.",
     lambda a, b: f"no notification at avail_idx {a} though used.flags is 0; the word holds {b}"),
    (FindingCode.FLAGS_HEEDED, "used-flags-with-event-idx", "2.7.10.1e", _FAIL, "need-event-exact",
     "With EVENT_IDX, used.flags has no influence on kicks.",
     lambda a, b: f"no notification at avail_idx {a} past avail_event {_low(b)}; used.flags is {_high(b)}"),
    (FindingCode.SPURIOUS_INTERRUPT, "spurious-interrupt-harmless", "2.7.7.1e", _FAIL,
     "no-leak-no-double-allocation", "An interrupt without news changes nothing.",
     _spurious),
    (FindingCode.USED_LENGTH, "legacy-used-length-ignored", "5.1.6.1b", _WARN, "token-returned-once",
     "What a legacy device says of the length of a readable buffer has no influence.",
     lambda a, b: f"length {a} was reported for a readable buffer, and {_operation(b)} went wrong"),
    (FindingCode.BATCH_RETIRED, "in-order-batch-retired", "2.7.9/n1", _FAIL, "token-returned-once",
     "With IN_ORDER, one used entry retires all buffers up to its own, and no more.", _used_up),
    (FindingCode.ORDER_PUBLISH, "content-before-index", "2.7.13.3.1a", _FAIL, "content-before-index",
     "What a chain holds is ordered before the index that publishes it.",
     lambda a, b: f"avail_idx became {a} without a release after the store to {_place_of(b)}"),
    (FindingCode.ORDER_KICK, "index-before-suppression", "2.7.13.4.1a", _FAIL, "index-before-suppression",
     "A full barrier lies between the store of avail_idx and the look at the suppression word.",
     lambda a, b: f"{_place_of(b)} was read without a full barrier after avail_idx became {a}"),
    (FindingCode.ORDER_USED, "used-index-before-entry", "oracle: order of accesses", _FAIL,
     "used-index-before-entry",
     "A used entry is read after the index that tells of it, ordered by an acquire.",
     lambda a, b: f"used entry {a} was read {'before used_idx told of it' if b else 'without an acquire'}"),
    (FindingCode.MAPPING, "mapped-and-unmapped", "oracle: memory", _FAIL, "no-leak-no-double-allocation",
     "What was mapped is unmapped once, with its length, not before its buffer came back.",
     lambda a, b: f"{_address(a)} {_MAPPING.get(_high(b), 'went wrong')} ({_counted(_low(b), 'byte')})"),
    (FindingCode.LATE_CALL, "calls-only-in-its-time", "oracle: driver ABI", _FAIL, "calls-only-in-its-time",
     "The environment is called only from create to the end of destroy.",
     lambda a, _: f"the driver called {_CALLS.get(a, 'its environment')} when it had no queue"),
    (FindingCode.KICK_EARLY, "no-kick-before-ready", "3.1.1g", _FAIL, "no-kick-before-ready",
     "Nothing is notified before the queue is handed over.",
     lambda a, _: f"create notified the device {_counted(a, 'time')}"),
    (FindingCode.HOSTILE_TOKEN, "no-wrong-token", "oracle: hostile device", _FAIL, "token-returned-once",
     "No token comes back that the driver does not hold, or for a used entry that names none.",
     lambda a, b: f"token {_token(a)} came back {_HOSTILE.get(_low(b), 'though none was due')}"),
    (FindingCode.CHILDREN, "starts-no-process", "oracle: process", _FAIL, "starts-no-process",
     "The driver starts no process.",
     lambda a, _: "a process was started" if a == 1 else f"{a} processes were started"),
    (FindingCode.OUTPUT, "prints-little", "oracle: process", _WARN, "prints-little",
     "The driver prints no more than a megabyte.",
     lambda a, _: f"{_counted(a, 'byte')} printed, the rest was cut off"),
)  # fmt: skip

VERDICTS: dict[FindingCode, Verdict] = {row[0]: Verdict(*row) for row in _ROWS}
"""Every finding code and what it stands for."""
