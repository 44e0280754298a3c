"""The theorems: what is claimed of the transmit ring, in the order a reader needs them.

Each owns some invariants and shows that they hold initially and survive every transition, assuming
*all* invariants before it; the whole list together is one proof by induction. A theorem that fails
alone therefore points at its own subject. What a theorem needs beyond invariants is in ``claims``.

All are about safety: what is done is right. None says that something has to happen, for a device may take
its time for ever.
"""

from . import claims
from .packet_theorems import PACKET_THEOREMS
from .steps_theorems import STEPS_THEOREMS
from .theorem import Theorem, claim, keeps
from .transmit_theorems import TRANSMIT_THEOREMS
from .transport_theorems import TRANSPORT_THEOREMS

_ALL = (
    Theorem(
        name="slot-injective",
        title="Neighbouring indices never share a ring slot",
        statement=(
            "The queue sizes accepted are the sixteen powers of two up to 32768. For each, an index masked "
            "with queue_size - 1 is a slot of the ring, any queue_size consecutive indices have different "
            "slots, and cutting an index to 16 bits does not change its slot. All else that is proved of "
            "slots rests on these three facts."
        ),
        clause="2.7/n1",
        obligations=claims.SLOTS,
        broken_by=("X8",),
    ),
    Theorem(
        name="free-list-sound",
        title="The free list leads through every free descriptor",
        statement=(
            "From free_head, the next fields lead through all free descriptors, each once, whatever was "
            "added and given back in whatever order; free_head and every next field always name a "
            "descriptor."
        ),
        clause="detach_buf",
        owns=("free-head", "next-in-range", "free-links"),
        obligations=(*keeps("free-head", "next-in-range", "free-links"), *claims.FREE_WALK),
        broken_by=("A6",),
    ),
    Theorem(
        name="no-leak-no-double-allocation",
        title="Every descriptor is free or in exactly one chain",
        statement=(
            "No descriptor is ever in two chains, or free and in a chain (double allocation), and none is "
            "in neither (leak). That the driver's own list leads through just the free ones is "
            "free-list-sound."
        ),
        clause="2.7.13/n1",
        owns=(
            "free-in-range",
            "has-position",
            "has-descriptor",
            "taken-is-owned",
            "chain-is-taken",
            "one-owner",
        ),
        obligations=(
            *keeps(
                "free-in-range",
                "has-position",
                "has-descriptor",
                "taken-is-owned",
                "chain-is-taken",
                "one-owner",
            ),
            claim("the descriptors taken were in no chain", "add", claims.takes_free_ones),
        ),
        broken_by=("X4",),
    ),
    Theorem(
        name="num-free-exact",
        title="num_free is the number of free descriptors",
        statement=(
            "The driver's count of free descriptors is exact after every operation, so a chain is "
            "accepted just when it fits."
        ),
        clause="virtqueue_add",
        owns=("num-free",),
        obligations=(*keeps("num-free"), *claims.ROOM),
        broken_by=("X3",),
    ),
    Theorem(
        name="chain-well-formed",
        title="A chain leads through its own descriptors and ends",
        statement=(
            "From the head of every chain in flight, NEXT and next lead through as many descriptors as "
            "the chain has segments, all its own, and NEXT is clear on the last and on no other."
        ),
        clause="2.7.13.1/n1",
        owns=("chain-links",),
        obligations=(*keeps("chain-links"), *claims.CHAIN_WALK),
        broken_by=("A13",),
    ),
    Theorem(
        name="avail-slot-not-overwritten",
        title="No available entry is overwritten before the device has read it",
        statement=(
            "A head put into the available ring stays in its slot until the device reads it, since never "
            "more than queue_size chains are in flight."
        ),
        clause="2.7.13/n2",
        owns=("room-above", "room-below", "room-between", "in-flight-fits", "avail-entries"),
        obligations=(
            *keeps("room-above", "room-below", "room-between", "in-flight-fits", "avail-entries"),
            claim("the slot written is not still to be read", "add", claims.avail_slot_is_spent),
            claim("fewer than queue_size chains were in flight", "add", claims.fewer_in_flight),
        ),
        broken_by=("B10",),
    ),
    Theorem(
        name="used-slot-not-overwritten",
        title="No used entry is overwritten before the driver has read it",
        statement=(
            "An id that the device puts into the used ring stays in its slot until the driver takes it: "
            "the device finds a spent slot for each completion, and the driver does not write there."
        ),
        clause="2.7/n3",
        owns=("used-entries",),
        obligations=(
            *keeps("used-entries"),
            claim("the slot written is not still to be read", "complete", claims.used_slot_is_spent),
        ),
        broken_by=("X5",),
    ),
    Theorem(
        name="device-reads-outstanding",
        title="The device only ever finds heads of chains in flight",
        statement=(
            "Whatever the device takes from the available ring is the head of a chain that was added, was "
            "not given back, and is not already with the device."
        ),
        clause="2.7.6/n2",
        owns=("time", "numbers-are-chains", "chains-are-numbers", "held"),
        obligations=(
            *keeps("time", "numbers-are-chains", "chains-are-numbers", "held"),
            claim("the head is of a chain in flight, not yet with the device", "read", claims.reads_chain),
        ),
        broken_by=("X6",),
    ),
    Theorem(
        name="bad-ring-never",
        title="An honest device never trips the driver's BAD_RING test",
        statement=(
            "When the driver sees a used element, its id is in range, has a token, and is the head of a "
            "chain the device has completed."
        ),
        clause="virtqueue_get_buf",
        obligations=claims.GOOD_ID,
        broken_by=("X7",),
    ),
    Theorem(
        name="token-returned-once",
        title="Each token comes back once, for the chain it was given with",
        statement=(
            "get returns the token that was given with the very chain the device completed, forgets it, "
            "and no add overwrites a token in flight."
        ),
        clause="virtqueue_get_buf",
        owns=("tokens",),
        obligations=(
            *keeps("tokens"),
            claim("the head had no token", "add", claims.no_token_lost),
            claim("the token is that of the chain completed, and is forgotten", "get", claims.returns_token),
        ),
        broken_by=("X2",),
    ),
    Theorem(
        name="indices-faithful",
        title="16-bit indices never mislead across the wrap",
        statement=(
            "avail_idx, used_idx and last_used_idx are the true counts modulo 2^16, and comparing any two "
            "of them for equality answers just as comparing the true counts would."
        ),
        clause="2.7.13.3/n1",
        owns=("indices",),
        obligations=(*keeps("indices"), *claims.INDEX_TESTS),
        broken_by=("B3", "B5"),
    ),
    Theorem(
        name="need-event-exact",
        title="The event test is exact for all 2^48 values",
        statement=(
            "vring_need_event(event, new, old) holds just when event is one of the indices old to new - 1 "
            "modulo 2^16, and so answers as the true counts would for up to 65535 adds since the last "
            "kick."
        ),
        clause="2.7.10.1f",
        obligations=claims.NEED_EVENT,
        broken_by=("D1",),
    ),
    Theorem(
        name="forced-kick-sufficient",
        title="The forced kick comes before num_added can lose count",
        statement=(
            "num_added is the true number of adds since the last kick and at most 65534 between "
            "operations, so every kick tests the true range of indices; after 65536 adds it would find "
            "none."
        ),
        clause="virtqueue_add",
        owns=("adds-since-kick",),
        obligations=(*keeps("adds-since-kick"), *claims.KICK_RANGE),
        broken_by=("B11",),
    ),
    Theorem(
        name="kick-follows-feature",
        title="A kick is decided by the suppression that was negotiated",
        statement=(
            "With EVENT_IDX, the device is notified just when the event test says so, whatever NO_NOTIFY "
            "holds; without, just when NO_NOTIFY is clear, whatever avail_event holds. This is so of the "
            "kick that add forces, too; no other add that is accepted notifies."
        ),
        clause="2.7.10.1e",
        obligations=(
            claim("the negotiated suppression alone decides", "kick", claims.follows_feature),
            claim("the same decides a forced kick", "add", claims.forced_kick_follows_feature),
        ),
        broken_by=("X9",),
    ),
    Theorem(
        name="callbacks-rearmed",
        title="Reclaiming a buffer re-arms the interrupt unless callbacks are off",
        statement=(
            "After get, while callbacks are enabled, used_event is last_used_idx, which asks for an "
            "interrupt at the next completion; while they are disabled, used_event is left alone. "
            "Whether the device has passed that index meanwhile is not looked at here."
        ),
        clause="virtqueue_get_buf",
        obligations=(
            claim("used_event is last_used_idx if callbacks are on", "get", claims.rearms_callback),
        ),
        broken_by=("D3",),
    ),
    Theorem(
        name="full-ring-notifies",
        title="A full ring wakes the device",
        statement=(
            "An add is refused only if too few descriptors are free; then the device is notified if the "
            "chain has anything for it to read, and nothing has changed."
        ),
        clause="virtqueue_add",
        obligations=(
            claim("refused only for want of descriptors", "refuse", claims.refused_for_want),
            claim("the device is notified", "refuse", claims.notifies_when_full),
            claim("nothing has changed", "refuse", claims.unchanged),
        ),
        broken_by=("D14",),
    ),
    Theorem(
        name="accelerated-round",
        title="One chain there and back leaves the ring as it was, one index further",
        statement=(
            "From any ring with nothing in flight and no kick due, adding one descriptor, reading, "
            "completing, getting it back and kicking restores every next field, free_head, num_free and "
            "num_added, and moves all three indices on by one. Such a ring has every descriptor free, so "
            "each of these steps can be taken, and every index is reached from a fresh ring."
        ),
        clause="virtqueue_add",
        obligations=claims.ROUND,
        broken_by=("X10",),
    ),
    *STEPS_THEOREMS,
    *PACKET_THEOREMS,
    *TRANSMIT_THEOREMS,
    *TRANSPORT_THEOREMS,
)

THEOREMS: dict[str, Theorem] = {theorem.name: theorem for theorem in _ALL}
"""Every theorem by name, in the order reports print them."""

PREMISES: dict[type, tuple[str, ...]] = {
    subject: (
        "slot-injective",
        *(each.name for each in _ALL if each.owns and each.subject is subject),
    )
    for subject in {each.subject for each in _ALL if each.owns}
}
"""Per model the theorems its others rest on: whose invariants, or facts on slots, all its proofs assume."""
