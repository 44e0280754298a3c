"""The theorems of the step-wise model: what a driver author fears, at every statement, however interleaved.

Each owns some invariants; all together are one induction over the steps of driver, interrupt handler and
device, for every queue size, with and without EVENT_IDX and INDIRECT_DESC, for both profiles unless it says
otherwise. Memory is sequentially consistent, the device honest, and one context at a time adds or gets.
"""

from ..model.steps.invariants import INVARIANTS
from ..model.steps.queue import Steps
from . import steps_chain_claims as chains
from . import steps_event_claims as events
from .steps_induction import keeps
from .theorem import Obligation, Theorem


def _theorem(
    name: str,
    title: str,
    statement: str,
    clause: str,
    broken_by: tuple[str, ...],
    owns: tuple[str, ...] = (),
    and_claims: tuple[Obligation, ...] = (),
) -> Theorem:
    obligations = (*keeps(*owns), *and_claims)
    return Theorem(name, title, statement, clause, obligations, broken_by, owns, INVARIANTS, subject=Steps)


def _finding(
    name: str, title: str, statement: str, clause: str, obligations: tuple[Obligation, ...]
) -> Theorem:
    return Theorem(name, title, statement, clause, obligations, (), expected="refuted", subject=Steps)


STEPS_THEOREMS = (
    _theorem(
        "free-list-at-every-step",
        "At every step, free_head and next lead through what is free",
        (
            "Between any two statements of driver, handler and device, the next fields lead from free_head "
            "through all descriptors that are free and not yet taken by the chain being added, each once. "
            "free_head and every next field always name a descriptor."
        ),
        "detach_buf",
        ("A6",),
        ("free-head", "next-in-range", "free-links"),
    ),
    _theorem(
        "descriptors-at-every-step",
        "At every step, a descriptor is free or in exactly one chain",
        (
            "No statement makes a descriptor part of two chains, or of none while it is not free; the loops "
            "that fill a chain write free descriptors only."
        ),
        "2.7.13/n1",
        ("X4",),
        ("free-in-range", "has-position", "has-descriptor", "taken-is-owned", "chain-is-taken", "one-owner"),
        chains.TAKES_FREE_ONES,
    ),
    _theorem(
        "num-free-at-every-step",
        "At every step, num_free is ahead of the free list by what is under way",
        (
            "An add lowers num_free before it walks the free list, detach_buf raises it link by link; "
            "between operations it is exact, so a chain is accepted just when it fits."
        ),
        "virtqueue_add",
        ("A5", "A14", "X3"),
        ("num-free",),
        chains.ROOM,
    ),
    _theorem(
        "chain-filled-as-asked",
        "The loop of an add fills the chain that was asked for",
        (
            "Out and in lists, round by round: when avail_idx moves on, descriptor k of the chain has "
            "address and length of segment k as the caller gave it, WRITE just if the segment is for the "
            "device to write, NEXT on all but the last, and each links to the one that follows. Readable "
            "ones come before writable ones."
        ),
        "2.7.13.1/n1",
        ("A1", "A10", "A13", "F3", "X34"),
        ("program", "arguments", "filling", "descriptors-as-asked", "chain-links", "chain-directions"),
        chains.CHAIN_AS_ASKED,
    ),
    _theorem(
        "published-chain-untouched",
        "What the device may read is never changed before it comes back",
        (
            "No statement of driver or interrupt handler changes a descriptor of a chain in flight, an entry "
            "of its table, or an available slot that the device has not read."
        ),
        "3.3.1a",
        (),
        (),
        chains.UNTOUCHED,
    ),
    _theorem(
        "walks-end",
        "Every loop ends, and none leaves its chain",
        (
            "Each round of the loops that fill a chain or a table, that follow NEXT in detach_buf, and that "
            "look for unused buffers leaves one round fewer, counted from a number that is at most the "
            "number of segments or the queue size, and nothing that comes between adds rounds. detach_buf "
            "stops on the chain's last descriptor."
        ),
        "detach_buf",
        ("X28",),
        ("walking", "scanning"),
        chains.LOOPS_END,
    ),
    _theorem(
        "table-filled-as-asked",
        "An indirect table holds just the chain that was asked for",
        (
            "As many entries as the chain has segments, and each write is inside them: entry k has address, "
            "length and direction of segment k and links to k + 1; the last has neither NEXT nor link. The "
            "descriptor that names the table has INDIRECT as its only flag, and its length in bytes."
        ),
        "2.7.5.3/n1",
        ("X30", "F6", "F7"),
        ("table-as-asked", "building", "entries-as-asked", "table-shape"),
        chains.TABLE_AS_ASKED,
    ),
    _theorem(
        "table-lives-until-used",
        "An indirect table is freed once, when its chain has come back",
        (
            "Until its chain is published as used the table is allocated, and no other chain's. It is freed "
            "as its chain is taken back. With nothing in flight between two operations, no table is "
            "allocated: none leaks, nor when the device is reset and all chains are taken back unused."
        ),
        "2.7.5.3/n2",
        ("F11", "X32"),
        ("table-owner", "chain-table"),
        chains.TABLE_LIVES,
    ),
    _theorem(
        "indirect-as-negotiated",
        "INDIRECT stands alone, at the head, and only if negotiated",
        (
            "Of the descriptors of chains in flight, INDIRECT is set only on a head, without NEXT, only if "
            "INDIRECT_DESC was negotiated, and on no entry of a table."
        ),
        "2.7.5.3.1a",
        (),
        (),
        chains.INDIRECT,
    ),
    _theorem(
        "avail-slot-at-every-step",
        "At every step, an available entry stays until it is read",
        (
            "Whatever statement comes between the device's look at avail_idx and its read of the slot, the "
            "slot holds the head that was published there. Never more than queue_size chains are in flight."
        ),
        "2.7.13/n2",
        (),
        ("room-above", "room-below", "room-between", "in-flight-fits", "avail-entries"),
        chains.AVAIL_SLOT,
    ),
    _theorem(
        "used-slot-at-every-step",
        "At every step, a used entry stays until it is taken",
        (
            "A device may write any number of used elements before it moves used_idx on: each finds a slot "
            "that is spent, and the driver writes none."
        ),
        "2.7/n3",
        ("X5",),
        ("used-entries",),
        chains.USED_SLOT,
    ),
    _theorem(
        "device-finds-chains-in-flight",
        "At every step, the device finds chains in flight and nothing else",
        (
            "Whenever the device sees that avail_idx has moved, the slot holds the head of a chain that was "
            "published, did not come back, and is not already with the device."
        ),
        "2.7.6/n2",
        (),
        ("time", "numbers-are-chains", "chains-are-numbers", "held"),
        chains.FINDS_CHAINS,
    ),
    _theorem(
        "bad-ring-never-at-any-step",
        "Between used_idx and the used element, no honest device trips BAD_RING",
        (
            "Whatever the device does between the driver's look at used_idx and its read of the element, the "
            "id is in range, has a token, and is the head of the chain completed next."
        ),
        "virtqueue_get_buf",
        ("X7",),
        (),
        chains.GOOD_ID,
    ),
    _theorem(
        "token-once-never-early",
        "A token comes back once, and never before its chain is completed",
        (
            "get_buf hands out the token of the chain completed next, which the device has published as "
            "used; it is forgotten in the same statement, and nothing changes it before it is returned. "
            "After a reset a token comes back of a chain that was still outstanding. No add overwrites one."
        ),
        "virtqueue_get_buf",
        ("X2", "X36"),
        ("tokens", "coming-back"),
        chains.TOKENS,
    ),
    _theorem(
        "indices-at-every-step",
        "At every step, the 16-bit indices are the true counts, across the wrap",
        (
            "avail_idx, used_idx and last_used_idx are counts modulo 2^16, and tests for equality answer as "
            "the counts would. While the device is live avail_idx moves on by one per chain, and never back."
        ),
        "2.7.6.1a",
        ("B6",),
        ("indices",),
        chains.INDICES,
    ),
    _theorem(
        "published-after-written",
        "A chain is published last: slot, token and table are in place",
        (
            "The statement that moves avail_idx comes after the head is in the slot that avail_idx names, "
            "its token is remembered and its table is whole; it publishes exactly one chain. That the device "
            "sees these writes in this order takes a barrier, which this model does not have."
        ),
        "2.7.13/n4",
        ("X6",),
        ("slot-written",),
        chains.WRITTEN_FIRST,
    ),
    _theorem(
        "kick-count-at-every-step",
        "A kick looks at every add since the one before, across the wrap",
        (
            "num_added is the true number of adds since the last kick and below 65535 between operations: "
            "the forced kick comes in time. With EVENT_IDX a kick notifies just if avail_event names one of "
            "them."
        ),
        "2.7.10.1f",
        ("B11", "X1"),
        ("adds-since-kick", "kick-range"),
        events.KICK_COUNT,
    ),
    _theorem(
        "no-kick-lost",
        "No kick is lost: a device that sleeps over work is being notified",
        (
            "A device that runs dry asks for the next chain (used.flags and avail_event), looks once more, "
            "and sleeps if there is none. Whatever the driver does in between, once it has kicked after its "
            "last add, no such device sleeps over an available chain unless a notification is pending. For "
            "sequentially consistent memory: barriers are not looked at."
        ),
        "2.7.10.1d",
        (),
        ("doze", "kick-due"),
        events.KICKS_ARRIVE,
    ),
    _theorem(
        "kick-only-when-asked",
        "A kick notifies only when the negotiated suppression asks for it",
        (
            "With EVENT_IDX just if avail_event is passed, whatever NO_NOTIFY holds; without, just if "
            "NO_NOTIFY is clear, whatever avail_event holds. Nothing else of driver and handler notifies; "
            "of linux-3.11 an add to a full ring does."
        ),
        "2.7.10.1e",
        ("X35",),
        (),
        events.KICKS_ASKED_FOR,
    ),
    _theorem(
        "no-interrupt-lost",
        "No interrupt is lost between the last reclaim and going idle",
        (
            "A driver that finds nothing used while callbacks are on, or that switches them on and looks "
            "once more, may wait, if no interrupt came meanwhile: when what it asked for is completed, an "
            "interrupt is pending, being handled, or about to be decided on, whatever was completed at "
            "whatever statement in between. If any chain is in flight it asks for one of them, never for "
            "one that is already back. An interrupt that finds something used wakes it; one without news is "
            "borne, however often it comes."
        ),
        "2.7.14/n1",
        ("D15",),
        ("callbacks", "signals", "armed", "waiting", "interrupt-due"),
        events.INTERRUPTS_ARRIVE,
    ),
    _theorem(
        "delayed-callback-exact",
        "The delayed callback asks for three quarters, across the wrap",
        (
            "enable_cb_delayed lets three quarters of the chains in flight pass, rounded down, and so never "
            "all of them; it reports that it is late just if more than that had been used, whatever the "
            "16-bit indices are."
        ),
        "virtqueue_enable_cb_delayed",
        ("D2",),
        ("delaying", "arming"),
        events.DELAYED,
    ),
    _theorem(
        "callbacks-off-stay-off",
        "Callbacks that are off stay off, and those that are on are asked for",
        (
            "Callbacks are switched by disable_cb, enable_cb, enable_cb_delayed and the interrupt's "
            "callback, and by nothing else. used_event is written as they are switched on, and by get_buf "
            "if it has just seen that they are on, and never else. The driver writes neither avail_event "
            "nor used_idx nor used.flags, which are the device's."
        ),
        "virtqueue_disable_cb",
        ("D11", "X33"),
        (),
        events.CALLBACKS_OFF,
    ),
    _theorem(
        "full-ring-refuses-cleanly",
        "An add that is refused changes nothing, and tells the device",
        (
            "ENOSPC means that fewer descriptors are free than the chain has segments; nothing has changed, "
            "and if the chain has anything for the device to read, the device is notified. virtio-1.x kicks "
            "instead: the device is notified if it wants to know of what was added before."
        ),
        "virtqueue_add",
        ("A15", "D14"),
        (),
        events.REFUSED,
    ),
    _theorem(
        "unused-detached-once",
        "After a reset every chain comes back once, until none is left",
        (
            "detach_unused_buf gives back one outstanding chain at a time, with its token, its descriptors "
            "and its table, and takes avail_idx back by one; when it finds none, nothing is outstanding."
        ),
        "virtqueue_detach_unused_buf",
        ("X29",),
        (),
        chains.UNUSED,
    ),
    _theorem(
        "flags-stay-zero",
        "Mended: with EVENT_IDX avail.flags stays 0",
        "virtio-1.x: if EVENT_IDX was negotiated, NO_INTERRUPT is never set.",
        "2.7.7.1c",
        ("X31",),
        (),
        events.FLAGS_ZERO,
    ),
    _theorem(
        "chain-fits-queue",
        "Mended: no chain is longer than the queue",
        "virtio-1.x: no chain in flight has more descriptors, in the ring or in a table, than the queue.",
        "2.7.5.3.1c",
        (),
        (),
        chains.CHAIN_FITS,
    ),
    _finding(
        "flags-stay-zero-linux-3.11",
        "Linux 3.11: with EVENT_IDX avail.flags stays 0",
        (
            "linux-3.11: refuted. virtqueue_disable_cb sets NO_INTERRUPT in avail.flags, EVENT_IDX or not; "
            "the device has to ignore it."
        ),
        "2.7.7.1c",
        events.FLAGS_ZERO_LINUX,
    ),
    _finding(
        "chain-fits-queue-linux-3.11",
        "Linux 3.11: no chain is longer than the queue",
        (
            "linux-3.11: refuted. With INDIRECT_DESC a chain of any length goes into a table, if one "
            "descriptor is free and there is memory."
        ),
        "2.7.5.3.1c",
        chains.CHAIN_FITS_LINUX,
    ),
    _finding(
        "full-ring-kick-linux-3.11",
        "Linux 3.11: a full ring notifies only a device that asks for it",
        (
            "linux-3.11: refuted. virtqueue_add notifies the device of a full ring at once, though NO_NOTIFY "
            "is set and nothing was added."
        ),
        "2.7.10.1c",
        events.FULL_RING_KICK,
    ),
)
"""The theorems and findings of the step-wise model, in the order reports print them."""
