"""What the ring must hold after each operation, as formulas over its bytes.

Each claim has the code of the finding that the harness's monitor makes of the same thing, and so its name and
its clause. The device here is honest; what is a SHOULD is not claimed.
"""

from dataclasses import replace

from ..proofs.machine.words import Flag, Word, add, at_most, below, both, equal, extend, no
from .symbolic_device import Chain, Descriptor, Device, Memory, Offer
from .symbolic_inquiry import Inquiry
from .symbolic_surroundings import Surroundings
from .verdicts import FindingCode as Code

NEXT, WRITE, INDIRECT = 1, 2, 4
_LAYOUT = ((0, 8), (8, 4), (12, 2), (14, 2))


def observe(
    inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, offering: Offer | None = None
) -> Device:
    """Look at the ring as a device may at any time; return the device with what was published since.

    ``offering`` is what the add under way offers.
    """
    _words(inquiry, memory, device)
    index = inquiry.pin(memory.load(device.avail_at(2), 2), 16)
    new = (index - device.published) & 0xFFFF
    if new:
        n = device.config.queue_size
        before = device.published & 0xFFFF
        inquiry.claim(Code.AVAIL_BACKWARDS, new <= 1 << 15, f"avail_idx went from {before} to {index}")
        outstanding = device.published - device.completed + new
        inquiry.claim(
            Code.TOO_MANY_OUTSTANDING,
            outstanding <= n,
            f"{outstanding} buffers outstanding in a queue of {n}",
        )
    for _ in range(new):
        device = _accepted(inquiry, memory, device, around, offering)
    _unchanged(inquiry, memory, device)
    return device


def _words(inquiry: Inquiry, memory: Memory, device: Device) -> None:
    """Claim that avail.flags is lawful, and that the driver has left the used ring alone."""
    flags = memory.load(device.avail_at(0), 2)
    if device.event_idx:
        inquiry.claim(
            Code.AVAIL_FLAGS_EVENT,
            equal(flags, 0, 16),
            "avail.flags is not 0 though EVENT_IDX was negotiated",
        )
    else:
        inquiry.claim(Code.AVAIL_FLAGS, at_most(flags, 1, 16), "avail.flags is neither 0 nor 1")
    same = [
        equal(memory.load(device.used_at(0), 2), device.flags, 16),
        equal(memory.load(device.used_at(2), 2), device.completed & 0xFFFF, 16),
        equal(memory.load(device.avail_event_at, 2), device.avail_event, 16),
    ]
    for slot, (number, length) in enumerate(device.used):
        same.append(equal(memory.load(device.used_at(4 + 8 * slot), 4), number, 32))
        same.append(equal(memory.load(device.used_at(8 + 8 * slot), 4), length, 32))
    inquiry.claim(Code.USED_WRITTEN, both(*same), "the driver has written to the used ring")


def _accepted(
    inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, offering: Offer | None
) -> Device:
    """Take in the next entry of the available ring."""
    n, slot = device.config.queue_size, device.published % device.config.queue_size
    pending = device.pending
    offer = pending[0] if pending else offering
    inquiry.claim(
        Code.CHAIN_UNKNOWN,
        offer is not None,
        f"{device.published + 1} entries published after {device.offered} successful adds",
    )
    assert offer is not None
    word = memory.load(device.avail_at(4 + 2 * slot), 2)
    inquiry.claim(Code.HEAD_RANGE, below(word, n, 16), f"the published head is no number below {n}")
    head = inquiry.pin(word, 16)
    now = _descriptor(memory, device.descriptor_at(head), head)
    for other in device.outstanding:
        if other.head == head:
            same = _same(now, other.descriptors[0])
            inquiry.claim(
                Code.SLOT_REPEATED, no(same), f"slot {slot} holds head {head}, which is published already"
            )
    chain = _walk(inquiry, memory, device, around, Chain(offer, head, slot, ()))
    return replace(device, unread=(*device.unread, chain), published=device.published + 1)


def _walk(inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, chain: Chain) -> Chain:
    """Follow a chain from its head, claiming that it is what was asked for."""
    n, owned, at = device.config.queue_size, device.owned, chain.head
    taken, pieces = list[Descriptor](), list[tuple[Word, Word, int]]()
    while True:
        mine = all(each.at != at for each in taken)
        inquiry.claim(
            Code.CHAIN_LOOP, mine, f"the chain with head {chain.head} comes back to descriptor {at}"
        )
        inquiry.claim(
            Code.DESCRIPTOR_REUSED, at not in owned, f"descriptor {at} is taken, but in another chain, too"
        )
        descriptor = _descriptor(memory, device.descriptor_at(at), at)
        taken.append(descriptor)
        address, length, flags, following = descriptor.words
        kind = inquiry.pin(flags, 16)
        if kind & INDIRECT:
            inquiry.claim(
                Code.INDIRECT_UNNEGOTIATED,
                device.indirect,
                f"descriptor {at} is INDIRECT, which was not negotiated",
            )
            inquiry.claim(Code.INDIRECT_AND_NEXT, not kind & NEXT, f"descriptor {at} has flags {kind:#x}")
            chain = _table(inquiry, memory, device, around, replace(chain, descriptors=tuple(taken)), pieces)
            break
        pieces.append((address, length, kind))
        if not kind & NEXT:
            chain = replace(chain, descriptors=tuple(taken))
            break
        inquiry.claim(
            Code.NEXT_RANGE, below(following, n, 16), f"next of descriptor {at} is no number below {n}"
        )
        at = inquiry.pin(following, 16)
    _compare(inquiry, device, around, chain, pieces)
    return chain


def _table(
    inquiry: Inquiry,
    memory: Memory,
    device: Device,
    around: Surroundings,
    chain: Chain,
    pieces: list[tuple[Word, Word, int]],
) -> Chain:
    """Follow an indirect table from its first entry; ``pieces`` gets what it names."""
    address, length = (
        inquiry.pin(chain.descriptors[-1].words[0], 64),
        inquiry.pin(chain.descriptors[-1].words[1], 32),
    )
    whole = length > 0 and length % 16 == 0 and length // 16 <= 65535
    inquiry.claim(Code.INDIRECT_LENGTH, whole, f"the table's length is {length} bytes")
    place = around.reachable(device.start, address, length)
    inquiry.claim(Code.ADDRESS_UNMAPPED, place != 0, f"the table at {address:#x} is not the driver's")
    entries, at = list[Descriptor](), 0
    while True:
        new = all(each.at != at for each in entries)
        inquiry.claim(Code.CHAIN_LOOP, new, f"the table of head {chain.head} comes back to entry {at}")
        entry = _descriptor(memory, place + 16 * at, at)
        entries.append(entry)
        kind = inquiry.pin(entry.words[2], 16)
        inquiry.claim(
            Code.INDIRECT_NESTED,
            not kind & INDIRECT,
            f"entry {at} of the table of head {chain.head} is INDIRECT",
        )
        pieces.append((entry.words[0], entry.words[1], kind))
        if not kind & NEXT:
            return replace(chain, table=place, entries=tuple(entries))
        count = length // 16
        inquiry.claim(
            Code.NEXT_RANGE,
            below(entry.words[3], count, 16),
            f"next of entry {at} is no number below {count}",
        )
        at = inquiry.pin(entry.words[3], 16)


def _compare(
    inquiry: Inquiry,
    device: Device,
    around: Surroundings,
    chain: Chain,
    pieces: list[tuple[Word, Word, int]],
) -> None:
    """Claim that the pieces of a chain are the segments that were offered, in order."""
    n, segments, head = device.config.queue_size, chain.offer.segments, chain.head
    writable = [bool(kind & WRITE) for _, _, kind in pieces]
    inquiry.claim(
        Code.WRITE_BEFORE_READ,
        writable == sorted(writable),
        f"head {head}: a readable piece after a writable one",
    )
    inquiry.claim(
        Code.CHAIN_TOO_LONG, len(pieces) <= n, f"the chain has {len(pieces)} descriptors, the queue {n}"
    )
    total: Word = 0
    for _, length, _ in pieces:
        total = add(total, extend(length, 32, 64), 64)
    whole = f"the chain with head {head} has more than 2^32 bytes"
    same_count = len(pieces) == len(segments)
    said = f"head {head} names {len(pieces)} pieces of {len(segments)} segments"
    inquiry.claim(Code.CHAIN_DIFFERS, same_count, said)
    for number, ((address, length, kind), segment) in enumerate(zip(pieces, segments, strict=True)):
        where = f"piece {number} of head {head}"
        as_asked = both(around.names(device.start, address, segment), equal(length, segment.length, 32))
        inquiry.claim(Code.CHAIN_DIFFERS, as_asked, f"{where} has another address or length than its segment")
        right = bool(kind & WRITE) == segment.write
        inquiry.claim(Code.CHAIN_DIFFERS, right, f"{where} has the wrong direction")
    inquiry.claim(Code.LENGTH_SUM, at_most(total, 1 << 32, 64), whole)


def _descriptor(memory: Memory, place: int, at: int) -> Descriptor:
    address, length, flags, following = (memory.load(place + offset, size) for offset, size in _LAYOUT)
    return Descriptor(at, (address, length, flags, following))


def _same(one: Descriptor, other: Descriptor) -> Flag:
    return both(
        *(equal(a, b, 8 * size) for a, b, (_, size) in zip(one.words, other.words, _LAYOUT, strict=True))
    )


def _unchanged(inquiry: Inquiry, memory: Memory, device: Device) -> None:
    """Claim that nothing has changed of what the device holds (VIRTIO 1.3 section 3.3.1)."""
    for chain in device.outstanding:
        for was in chain.descriptors:
            now = _descriptor(memory, device.descriptor_at(was.at), was.at)
            inquiry.claim(
                Code.CHAIN_CHANGED, _same(now, was), f"descriptor {was.at} of head {chain.head} has changed"
            )
        for was in chain.entries:
            now = _descriptor(memory, chain.table + 16 * was.at, was.at)
            inquiry.claim(Code.TABLE_CHANGED, _same(now, was), f"the table of head {chain.head} has changed")
    for chain in device.unread:
        word = memory.load(device.avail_at(4 + 2 * chain.slot), 2)
        inquiry.claim(
            Code.CHAIN_CHANGED,
            equal(word, chain.head, 16),
            f"slot {chain.slot} holds no longer head {chain.head}",
        )
