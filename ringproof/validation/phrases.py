"""The numbers of findings in words: each phrase takes the a and b of protocol.h and says them in one line."""

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

_ANSWERS = {EINVAL: "RP_EINVAL", ENOSPC: "RP_ENOSPC", ENOMEM: "RP_ENOMEM", EBROKEN: "RP_EBROKEN"}


def high(number: int) -> int:
    """Return the first of two numbers in one: RP_PAIR."""
    return number >> 32


def low(number: int) -> int:
    """Return the second of two numbers in one: RP_PAIR."""
    return number & 0xFFFF_FFFF


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def operation(number: int) -> str:
    """Name an operation by its code; create has none."""
    if not number:
        return "create"
    try:
        return Code(number).name
    except ValueError:
        return f"operation {number}"


def answer(number: int) -> str:
    """Say what an operation returned: a 64-bit number, signed."""
    said = _signed(number)
    return f"{_ANSWERS[said]} ({said})" if said in _ANSWERS else str(said)


def counted(number: int, noun: str) -> str:
    """Say how many there are of something."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def address(number: int) -> str:
    """Say an address, and where it lies if that is somewhere known."""
    if 0 <= number - ARENA_ADDRESS < ARENA_BYTES:
        return f"address {number:#x} (byte {number - ARENA_ADDRESS:#x} of the driver's memory)"
    return f"address {number:#x}"


def unreachable(a: int, b: int) -> str:
    """Say the numbers of ADDRESS_UNMAPPED."""
    known = (
        ARENA_ADDRESS <= a < ARENA_ADDRESS + ARENA_BYTES
        or BUFFER_ADDRESS <= a < BUFFER_ADDRESS + BUFFER_BYTES
    )
    hint = "" if known else ": it is no guest-physical address (a pointer, not translated?)"
    if a < ARENA_BYTES:  # where the lower half of both windows' addresses lies
        hint = ": it is no guest-physical address (one that was cut to 32 bits?)"
    return f"a descriptor names {counted(b, 'byte')} at {address(a)}, which the device cannot reach{hint}"


def next_range(a: int, b: int) -> str:
    """Say the numbers of NEXT_RANGE."""
    return f"descriptor {high(a)} goes on to descriptor {low(a)} in a table of {b}"


def reused(a: int, b: int) -> str:
    """Say the numbers of DESCRIPTOR_REUSED."""
    owner = f"available entry {low(b)}, which is still outstanding"
    return f"descriptor {a} of the new chain with head {high(b)} belongs to the chain of {owner}"


def differs(a: int, b: int) -> str:
    """Say the numbers of CHAIN_DIFFERS."""
    kind, seen = high(b), low(b)
    add = f"the chain of add {high(a)}"
    if kind == 1:
        return f"{add} has {counted(seen, 'segment')}, not as many as it was given"
    what = {
        2: f"lies at address {(BUFFER_ADDRESS & ~0xFFFF_FFFF) + seen:#x}",
        3: f"is {counted(seen, 'byte')} long",
        4: f"is for the device to {'write' if seen else 'read'}",
    }.get(kind, "differs")
    return f"segment {low(a)} of {add} {what}, unlike the one it was given"


def changed(a: int, b: int) -> str:
    """Say the numbers of CHAIN_CHANGED."""
    if high(a) == 2:
        return f"slot {low(a)} of the available ring held head {low(b)} when published, {high(b)} when read"
    return f"descriptor {low(a)} changed while its chain was with the device"


def used_written(a: int, b: int) -> str:
    """Say the numbers of USED_WRITTEN."""
    place = {0: "used.flags", 2: "used.idx"}.get(a, f"byte {a} of the used ring")
    return f"{place} holds {high(b):#x}, the device had stored {low(b):#x}"


def kick_lost_event(a: int, b: int) -> str:
    """Say the numbers of KICK_LOST_EVENT."""
    first = (a - high(b)) & 0xFFFF
    return (
        f"no notification after avail_idx became {a}, by the end of the kick, though the "
        f"{counted(high(b), 'new entry')} from {first} on include avail_event {low(b)}"
    )


def kick_lost_flags(a: int, b: int) -> str:
    """Say the numbers of KICK_LOST_FLAGS."""
    entries = counted(high(b), "new entry")
    return (
        f"no notification after avail_idx became {a}, by the end of the kick, though there "
        f"{'was' if high(b) == 1 else 'were'} {entries} and used.flags was {low(b)}"
    )


def token(number: int) -> str:
    """Say a token: the k-th add has the token k; any other number is no token but, perhaps, an address."""
    return f"{number}" if number < 1 << 32 else f"{number:#x}"


def token_wrong(a: int, b: int) -> str:
    """Say the numbers of TOKEN_WRONG."""
    if a >> 63:
        return f"it was returned with length {low(a)}, the device had written {low(b)}"
    expected = f"the oldest one used is {token(b)}" if b else "no used one is waiting"
    return f"token {token(a)} came back; {expected}"


def bad_release(a: int, b: int) -> str:
    """Say the numbers of BAD_RELEASE."""
    where = address(a) if a else "private memory"
    kept = low(b)
    if kept:
        return f"{where} was released as {counted(high(b), 'byte')}; it was allocated as {kept:,}"
    return f"{where} was released ({counted(high(b), 'byte')}), but nothing was allocated there"


def written(a: int, b: int) -> str:
    """Say what stands where nobody may write."""
    return f"{address(a)} holds {high(b):#04x}"


def red_zone(a: int, b: int) -> str:
    """Say the numbers of RED_ZONE."""
    return f"{written(a, b)}, within {RED_ZONE} bytes behind an allocation of {counted(low(b), 'byte')}"


def ring_parts(a: int, b: int) -> str:
    """Say the numbers of RING_PARTS."""
    parts = ("a part", "the descriptor table", "the available ring", "the used ring")
    number, alignment = high(a), low(a)
    part = parts[number] if number < len(parts) else parts[0]
    if not b:
        return f"the address of {part} was not filled in"
    if not alignment:
        return f"{part} overlaps the part at {address(b)}"
    if alignment == 1:
        return (
            f"{part} at {address(b)} is not where the legacy layout has it: behind the table the available "
            "ring, at the next multiple of 4096 the used ring"
        )
    return f"{part} at {address(b)} is not aligned to {alignment}, or not inside one allocation"


def create_failed(a: int, _: int) -> str:
    """Say the numbers of CREATE_FAILED."""
    return f"create returned {_signed(a)}" if a else "create returned RP_OK and left the queue null"


def used_up(a: int, b: int) -> str:
    """Say the numbers of BATCH_RETIRED."""
    seen = f"token {token(a)} came back" if a else "nothing came back"
    due = f"token {token(b)} was next" if b else "the batch had been returned whole"
    return f"{seen} from a batch; {due}"


def spurious(a: int, b: int) -> str:
    """Say the numbers of SPURIOUS_INTERRUPT."""
    if b == Code.INTERRUPT:
        return f"an interrupt without news handed back {counted(a, 'buffer')}"
    if b == Code.GET and a == 1:
        return (
            "GET had found nothing; after an interrupt without news, nothing being used, it returned a buffer"
        )
    return f"after an interrupt without news {operation(b)} returned {answer(a)}"


def kick_unwanted(a: int, b: int) -> str:
    """Say the numbers of KICK_UNWANTED."""
    return (
        f"a notification at avail_idx {a}, with {counted(high(b), 'entry')} new since the last kick and "
        f"suppression word {low(b)}"
    )


def interrupt_not_wanted(a: int, b: int) -> str:
    """Say the numbers of INTERRUPT_NOT_WANTED."""
    moved = f"used_idx went from {high(b)} to {low(b)}"
    if high(a):
        return (
            f"{moved}, all that was in flight when enable_cb_delayed returned 1 has been used, and "
            f"used_event or flags, {low(a)}, asked for no interrupt"
        )
    return (
        f"{moved} after the driver had found nothing left with callbacks on, but used_event or flags is {a} "
        "and asks for no interrupt (declare RP_TRAIT_ARMS_ONCE if enable_cb alone arms it)"
    )


_RELIED = {
    Code.ENABLE_CB: "enable_cb returned 1",
    Code.ENABLE_CB_DELAYED: "enable_cb_delayed returned 1",
    Code.POLL: "poll returned 0",
    Code.GET: "get_buf found nothing",
    Code.INTERRUPT: "interrupt returned",
}


def unarmed(a: int, b: int) -> str:
    """Say the numbers of ORDER_ARM."""
    word = {4: "avail.flags", 5: "used_event"}.get(high(b), "the word that asks for interrupts")
    looked = "was read without a full barrier" if low(b) else "was not read again"
    relied = next((said for code, said in _RELIED.items() if code == high(a)), "it relied on it")
    return f"{relied}, but used_idx {looked} after {word} became {low(a)}"


def enable_missed(a: int, b: int) -> str:
    """Say the numbers of ENABLE_MISSED."""
    used = counted(a, "used buffer")
    if b == 3:
        return f"enable_cb_delayed returned 1 with {used} and nothing left in flight that could interrupt"
    if b == 2:
        return f"interrupt asked for notifications and returned though {used} had not been handed back"
    return f"{'poll' if b else 'enable_cb'} saw nothing though there {'was' if a == 1 else 'were'} {used}"


def canary(a: int, b: int) -> str:
    """Say the numbers of CANARY."""
    at = _signed(a)
    where = f"{-at} bytes before" if at < 0 else f"at byte {at} of"
    return f"a write {where} a private allocation of {counted(b, 'byte')}"


MAPPING = {
    1: "was unmapped, but nothing is mapped there",
    2: "was unmapped with another length",
    3: "was unmapped while the device owned it",
    4: "was never unmapped",
}
CALLS = {1: "notify", 2: "callback", 3: "completed", 4: "allocate", 5: "release", 6: "map", 7: "unmap"}
HOSTILE = {
    1: "though the driver does not hold it",
    2: "for a used entry that names no outstanding chain",
    3: "for the used entry of another chain",
}


def place_of(number: int) -> str:
    """Say a place in the ring: its part in the high half, a number in the low one."""
    part, at = high(number), low(number)
    return {
        1: f"descriptor {at}",
        2: f"slot {at} of the available ring",
        3: f"entry {at} of an indirect table",
        4: "used.flags",
        5: "avail_event",
    }.get(part, f"byte {at} of the ring")
