"""What a device that breaks the rules does, in words: the numbers of ``impl/device/mischief.h``."""

from ..impl.harness.operations import Mischief

_IDS = (
    "queue_size",
    "queue_size + 1",
    "0x10000 + a valid head",
    "0xffffffff",
    "0x80000000 + a valid head",
    "a valid head with its bytes reversed",
)
_NOT_HEADS = (
    "uses a descriptor that no outstanding chain has",
    "uses a descriptor in the middle of a chain",
    "uses one chain twice",
    "uses the head it used last once more",
)
_JUMPS = ("on by queue_size + 1", "on by 32768", "back by 1", "back by {c}", "on by {c}")
_LENGTHS = ("0xffffffff", "one byte more than the chain has writable", "0x80000000")
_REWRITES = (
    "addr of a chain's descriptors",
    "len of a chain's descriptors",
    "next of a chain's descriptors to queue_size",
    "next of a chain's descriptors to themselves, with NEXT",
    "NEXT on the last descriptor of a chain",
    "NEXT on the first descriptor of a chain",
    "next of the free descriptors to 0xffff",
    "next of the free descriptors to themselves",
    "the free descriptors with 0xff",
    "avail_idx on by {c}",
    "the available ring with 0xffff",
    "avail.flags with 0xffff",
    "a chain's descriptors with 0xff",
    "INDIRECT on the first descriptor of a chain",
    "the whole descriptor table with 0",
    "next of a chain's descriptors to descriptor {c}",
    "used_event with {c}",
)
_FLIPS = (
    "id flips between a head and 0xffffffff",
    "id flips between a head and queue_size",
    "id flips between one head and another descriptor",
    "id flips between a head and 0x10000 + that head",
    "length flips between the true one and 0xffffffff",
)
_ORDERS = (
    "uses the newest chain first",
    "uses a batch of {c} chains more than there are",
    "uses a batch whose last chain was never offered",
)
_PAYLOADS = (
    "every buffer",
    "indirect tables with 0xff",
    "indirect tables with loops",
    "indirect tables with 0",
)


def mischief_in_words(manner: int, which: int, number: int) -> str:
    """Say what the device does, such as "uses id 0xffffffff"; what it does not know it names by number."""
    match manner:
        case Mischief.ID_RANGE:
            return f"uses id {_one(_IDS, which, number)}"
        case Mischief.ID_NOT_HEAD:
            return _one(_NOT_HEADS, which, number)
        case Mischief.USED_IDX:
            return f"moves used_idx {_one(_JUMPS, which, number)}"
        case Mischief.LENGTH:
            return f"uses a chain with length {_one(_LENGTHS, which, number)}"
        case Mischief.REWRITE:
            return f"overwrites {_one(_REWRITES, which, number)}"
        case Mischief.DOUBLE_FETCH:
            return f"uses a chain; the {_one(_FLIPS, which, number)} at each look at it"
        case Mischief.FLAGS:
            return f"sets used.flags to {which & 0xFFFF:#x}"
        case Mischief.SILENCE:
            return "completes everything at once, without an interrupt"
        case Mischief.IN_ORDER:
            return _one(_ORDERS, which, number)
        case Mischief.INTERRUPT:
            return "interrupts when it may not" + (f", {which} times" if which > 1 else "")
        case Mischief.PAYLOAD:
            return f"overwrites {_one(_PAYLOADS, which, number)}"
    return f"breaks the rules in manner {manner}, {which}, {number}"


def _one(words: tuple[str, ...], which: int, number: int) -> str:
    return words[which].format(c=number) if which < len(words) else f"number {which}, {number}"
