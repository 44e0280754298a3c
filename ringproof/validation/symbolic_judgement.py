"""What an operation of the driver must have done and answered, claimed when it is over.

The words of the driver ABI (ringproof_driver.h) and of VIRTIO 1.3, in the order in which the harness asks.
Each function takes the device from before the operation and returns the one after it.
"""

from dataclasses import replace

from ..impl.harness.operations import EBROKEN, EINVAL, ENOSPC
from ..proofs.machine.words import Word, at_most, below, both, equal, no, sub
from .symbolic_device import Device, Memory, Offer
from .symbolic_inquiry import Inquiry
from .symbolic_obligations import observe
from .symbolic_surroundings import Surroundings
from .verdicts import FindingCode as Code

TRAIT_ARMS_ONCE = 1 << 4


def _broken(inquiry: Inquiry, answer: int, name: str) -> None:
    inquiry.claim(Code.BROKEN, answer != EBROKEN, f"{name} returned EBROKEN")


def _answers(inquiry: Inquiry, answer: int, lawful: bool, name: str) -> None:
    inquiry.claim(Code.UNDOCUMENTED_RETURN, lawful, f"{name} returned {answer}, which it must not here")


def environment(inquiry: Inquiry, around: Surroundings) -> None:
    """Claim that the driver has asked nothing wrong of its environment."""
    for code, holds, seen in around.wrong:
        inquiry.claim(code, holds, seen)
    inquiry.claim(Code.BAD_RELEASE, True, "")


def notified(inquiry: Inquiry, device: Device, around: Surroundings) -> Device:
    """Take in the notifications of an operation: each names the queue, and covers what was published then."""
    for notice in around.notices:
        named = equal(notice.value, device.config.queue_index, 32)
        inquiry.claim(Code.KICK_VALUE, named, f"the kick does not name queue {device.config.queue_index}")
        index = inquiry.pin(notice.avail_idx, 16)
        behind = (device.published - index) & 0xFFFF
        device = replace(device, covered=max(device.covered, device.published - behind))
    return device


def added(
    inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, offer: Offer, answer: Word
) -> Device:
    """Judge an add: what it published, and whether it could answer so."""
    n, count = device.config.queue_size, len(offer.segments)
    writable = any(segment.write for segment in offer.segments)
    empty = device.empty
    device = observe(inquiry, memory, replace(device, adds=device.adds + 1), around, offer)
    device = notified(inquiry, device, around)
    said = inquiry.signed(answer)
    _broken(inquiry, said, "add")
    if not count or not offer.token:
        _answers(inquiry, said, said == EINVAL, "add")
    else:
        full = count <= n or not empty or bool(around.failed)
        declined = count > n or (count > device.longest[writable] and (count > 1 or writable))
        _answers(
            inquiry, said, said == 0 or (said == ENOSPC and full) or (said == EINVAL and declined), "add"
        )
    if said != 0:
        inquiry.claim(
            Code.CHAIN_UNKNOWN,
            device.published <= device.offered,
            "an add that was refused has published a chain",
        )
        if said == ENOSPC and empty and not around.failed:
            inquiry.claim(
                Code.REFUSED_WHEN_EMPTY, count > n, f"ENOSPC for {count} segments though all is free"
            )
        return device
    if empty:
        inquiry.claim(Code.REFUSED_WHEN_EMPTY, True, "")
    longest = list(device.longest)
    longest[writable] = max(longest[writable], count)
    return replace(
        device,
        offers=(*device.offers, offer),
        offered=device.offered + 1,
        longest=(longest[0], longest[1]),
    )


def kicked(inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings) -> Device:
    """Judge a kick: all is published, and a notification that was asked for came."""
    device = observe(inquiry, memory, device, around)
    device = notified(inquiry, device, around)
    if device.offered > device.offered_at_kick:
        inquiry.claim(
            Code.CHAIN_MISSING,
            device.published >= device.offered,
            f"{device.published} entries published of {device.offered} buffers added, after a kick",
        )
    device = replace(device, offered_at_kick=device.offered)
    if device.published > device.covered:
        code = Code.KICK_LOST_EVENT if device.event_idx else Code.KICK_LOST_FLAGS
        new = device.published - device.covered
        inquiry.claim(
            code,
            no(device.asked_for(device.covered)),
            f"no notification though {new} new entries ask for one",
        )
    elif around.notices:
        inquiry.claim(Code.KICK_LOST_EVENT if device.event_idx else Code.KICK_LOST_FLAGS, True, "")
    return replace(device, kick_base=device.published)


def returned(inquiry: Inquiry, device: Device, token: Word, length: Word) -> Device:
    """Judge a buffer that came back: the one used first of those that did not, with its length."""
    inquiry.claim(Code.TOKEN_WRONG, bool(device.waiting), "a token came back though none was due")
    oldest, rest = device.waiting[0], device.waiting[1:]
    inquiry.claim(
        Code.TOKEN_WRONG,
        equal(token, oldest.token, 64),
        f"another token came back than {oldest.token}, the oldest",
    )
    inquiry.claim(
        Code.TOKEN_WRONG,
        equal(length, oldest.length, 32),
        f"token {oldest.token} came back with another length",
    )
    return replace(device, waiting=rest)


def nothing(inquiry: Inquiry, device: Device) -> Device:
    """Judge that no buffer came back: none was due."""
    missing = len(device.waiting)
    inquiry.claim(Code.TOKEN_MISSING, not missing, f"nothing came back though {missing} buffers could be")
    return _idle(device)


def _idle(device: Device) -> Device:
    arms_once = device.start.traits & TRAIT_ARMS_ONCE
    asleep = not arms_once and device.callbacks_on and not device.waiting
    return replace(device, asleep=device.asleep or bool(asleep))


def got(
    inquiry: Inquiry,
    memory: Memory,
    device: Device,
    around: Surroundings,
    answer: Word,
    token: Word,
    length: Word,
) -> Device:
    """Judge a get_buf."""
    device = notified(inquiry, observe(inquiry, memory, device, around), around)
    said = inquiry.signed(answer)
    _broken(inquiry, said, "get_buf")
    _answers(inquiry, said, said in (0, 1), "get_buf")
    if said == 0:
        return nothing(inquiry, device)
    device = returned(inquiry, device, token, length)
    return replace(device, taken_partly=bool(device.waiting))


def pushed(inquiry: Inquiry, device: Device, around: Surroundings) -> Device:
    """Take in the buffers that came back by callback, in whichever operation."""
    for token, length in around.pushed:
        device = returned(inquiry, device, token, length)
    return replace(device, pushed=device.pushed + len(around.pushed))


def popped(inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings) -> Device:
    """Judge a driver that pushes when it was given an interrupt because a buffer is asked for."""
    device = notified(inquiry, observe(inquiry, memory, device, around), around)
    device = drained(inquiry, memory, device)
    if not device.pushed:
        return nothing(inquiry, device)
    return replace(device, pushed=device.pushed - 1)


def disabled(inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings) -> Device:
    """Take in a disable_cb."""
    return notified(inquiry, observe(inquiry, memory, device, around), around).told(on=False)


def drained(inquiry: Inquiry, memory: Memory, device: Device) -> Device:
    """Judge what a driver that pushes leaves after its interrupt: nothing, if it waits for the next."""
    waiting = len(device.waiting)
    if waiting:
        if device.event_idx:
            oldest = (device.completed - waiting) & 0xFFFF
            armed = below(sub(memory.load(device.used_event_at, 2), oldest, 16), waiting, 16)
        else:
            armed = no(equal(memory.load(device.avail_at(0), 2), 1, 16))
        inquiry.claim(
            Code.ENABLE_MISSED, no(armed), f"{waiting} buffers were left though it waits for the next"
        )
    return _idle(replace(device, due_by=0))


def interrupted(
    inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, answer: Word, waiting: int
) -> Device:
    """Judge an interrupt when ``waiting`` buffers had been used."""
    device = notified(inquiry, observe(inquiry, memory, device, around), around)
    said = inquiry.signed(answer)
    _answers(inquiry, said, said in (0, 1), "interrupt")
    if waiting:
        reacted = around.callbacks + len(around.pushed) > 0 or not device.wanted or not device.callbacks_on
        inquiry.claim(
            Code.INTERRUPT_MISSED,
            said == 1 and reacted,
            f"{waiting} buffers used, interrupt: {said}, {around.callbacks} callbacks",
        )
        device = replace(device, due_by=0)
    return drained(inquiry, memory, device) if device.start.pushes else device


def enabled(
    inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, answer: Word, *, delayed: bool
) -> Device:
    """Judge an enable_cb, or an enable_cb_delayed."""
    device = notified(inquiry, observe(inquiry, memory, device, around), around)
    said = inquiry.signed(answer)
    name = "enable_cb_delayed" if delayed else "enable_cb"
    _answers(inquiry, said, said in (0, 1), name)
    quiet, waiting = said == 1, len(device.waiting)
    missed = f"{name} returned 1 though {waiting} buffers were used"
    if not delayed:
        device = device.told(on=quiet)
        if quiet:
            inquiry.claim(Code.ENABLE_MISSED, not waiting, missed)
        return replace(device, asleep=quiet and not waiting)
    device = replace(device.told(on=False), taken_partly=False)
    if quiet and device.offered > device.completed:
        return replace(device, due_by=device.offered)
    if quiet:
        inquiry.claim(Code.ENABLE_MISSED, not waiting, missed)
    return device


def prepared(inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, mark: Word) -> Device:
    """Take in an enable_cb_prepare and its mark."""
    device = notified(inquiry, observe(inquiry, memory, device, around), around)
    return replace(device.told(on=True), mark=(mark, device.completed))


def polled(inquiry: Inquiry, memory: Memory, device: Device, around: Surroundings, answer: Word) -> Device:
    """Judge a poll."""
    device = notified(inquiry, observe(inquiry, memory, device, around), around)
    said = inquiry.signed(answer)
    _answers(inquiry, said, said in (0, 1), "poll")
    assert device.mark is not None
    since = device.completed - device.mark[1]
    if said == 0:
        inquiry.claim(Code.ENABLE_MISSED, not since, f"poll returned 0 though {since} buffers were used")
    if device.callbacks_on:
        device = replace(device, asleep=said == 0 and not device.waiting)
    return device


def completed(inquiry: Inquiry, memory: Memory, device: Device, before: int) -> Device:
    """Judge, when used_idx has moved from ``before`` on, whether the driver is told as it has to be."""
    due = inquiry.decide(device.interrupts(memory, before, device.completed))
    if device.asleep and device.wanted:
        inquiry.claim(
            Code.INTERRUPT_NOT_WANTED,
            due,
            "a buffer was used, and the driver, which waits, has asked for no interrupt",
        )
    device = replace(device, asleep=False)
    if device.due_by and (due or device.completed >= device.due_by):
        if not device.taken_partly and device.wanted:
            inquiry.claim(
                Code.INTERRUPT_NOT_WANTED,
                due,
                "the last buffer in flight was used, and no interrupt was asked for",
            )
        device = replace(device, due_by=0)
    return device


def counted(inquiry: Inquiry, device: Device, free: Word) -> None:
    """Claim that num_free counts no descriptor of an outstanding chain."""
    n, owned = device.config.queue_size, len(device.owned)
    right = both(at_most(free, n, 32), at_most(free, n - owned, 32))
    inquiry.claim(Code.NUM_FREE, right, f"num_free is more than {n - owned} while chains have {owned} of {n}")


def destroyed(inquiry: Inquiry, around: Surroundings) -> None:
    """Claim that everything was given back."""
    left = sum(block.size for block in around.blocks)
    inquiry.claim(
        Code.LEAK, not around.blocks, f"{left} bytes in {len(around.blocks)} blocks left after destroy"
    )
    inquiry.claim(Code.MAPPING, not around.maps, f"{len(around.maps)} mappings left after destroy")
