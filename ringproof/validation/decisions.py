"""The decisions: where the text of VIRTIO leaves a question open, how drivers are judged here.

``docs/decisions.md`` gives the reasons at greater length, under the same names.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """One open question: a slug, the clauses it concerns, the question, and what is done here."""

    name: str
    clauses: tuple[str, ...]
    question: str
    decision: str


_TABLE: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("kick-per-batch", ("2.7.10.1d", "2.7.10.1f"),
     "Is a notification due for each entry, and by when?",
     "One per batch: what was published since the last kick has caused one by the end of the next."),
    ("crossing-not-equality", ("2.7.10.1f", "2.7.10.1g"),
     "Is avail_event compared with one index, or with all that were passed?",
     "With all: a batch that steps over avail_event is to be notified of."),
    ("stale-event", ("2.7.10.1f",),
     "What if the device never moves avail_event?",
     "One notification in 65,536 entries is then lawful; the device has to look for itself."),
    ("other-flags", ("2.7.10.1c", "2.7.10.1d", "2.7.10.1e"),
     "What do bits of used.flags other than the lowest mean?",
     "An honest device here never sets them; a hostile one does, and any reaction that is safe will do."),
    ("read-side-order", (),
     "Must the read of a used entry be ordered after that of used_idx?",
     "No clause says so, so an oracle does: a driver with it the wrong way round fails by that."),
    ("chain-length", ("2.7.5.3.1c",),
     "Do entries of an indirect table count towards the queue's size?",
     "Yes, and descriptors of the table and of the ring together."),
    ("empty-descriptors", ("2.7.13.1/n1",),
     "May a descriptor have length 0?",
     "Behind the queue's border it has the length asked for, never 0; in a network driver a warning."),
    ("in-order-last-next", ("2.7.5.2c", "2.7.5.3.1e"),
     "Is next of the last descriptor, which has no NEXT, to follow the order?",
     "It is not looked at. The order of main-table slots is protocol text, and judged."),
    ("in-order-lengths", ("2.7.9/n1",),
     "What length has a buffer that a batch retired without an entry of its own?",
     "All that the device may have written. A transmit buffer has nothing to write: 0."),
    ("event-index-and-flags", ("2.7.7.1c",),
     "May avail.flags change while the event index is in use?",
     "No: the clause is plain, though drivers before 2016 did it."),
    ("kick-on-full", ("2.7.10.1c", "2.7.10.1g"),
     "May a driver notify because its ring is full, though nothing is new?",
     "It is a warning at most: the clause is a SHOULD NOT, and devices must bear it."),
    ("rollback-after-reset", ("2.7.6.1a", "3.3.1b"),
     "May avail_idx go back once the device was reset?",
     "Yes: a queue is live from create to detach_unused, and nothing is judged after that."),
    ("what-entries-are", ("3.3.1a", "2.7.5.3/n2"),
     "Do tables and payload count as entries that must not change?",
     "Descriptors and slots by the clause; tables by protocol text; payload belongs to the caller."),
    ("before-ready", ("3.1.1g", "2.7.10.1d"),
     "Are buffers made available before DRIVER_OK to be notified of?",
     "Not before it; the obligation begins with it."),
    ("header-length", ("5.1.6.2.1q", "5.1.6.2.1r"),
     "Is hdr_len to be filled in where GUEST_HDRLEN is not negotiated?",
     "It is a warning if it does not cover the headers, as the clause is a SHOULD."),
    ("num-buffers", ("5.1.6.2.1a",),
     "Is num_buffers to be written where MRG_RXBUF was not negotiated?",
     "Yes, with VERSION_1 it is part of every header."),
    ("earlier-checksums", ("5.1.6.2.1k",),
     "What is it to validate all preceding offsets?",
     "Nobody can say from the packet: not observable, and no driver fails by it."),
    ("ecn", ("5.1.6.2.1h", "5.1.6.2.1i", "5.1.6.2/n3"),
     "Which bit of a packet is the ECN bit?",
     "CWR of the TCP header."),
    ("long-frames", ("5.1.6.2/n5", "5.1.4.2c"),
     "Which frames are too long to go without segmentation?",
     "With MTU, those longer than it and an Ethernet header with its tags; without, over 1514 is a warning."),
    ("one-output-descriptor", ("5.1.6.2/n4",),
     "Is a transmit buffer one descriptor?",
     "No: framing is free (section 2.7.4), but for the legacy header of section 5.1.6.6."),
    ("header-with-hash", ("5.1.6/n1",),
     "How long is the header with HASH_REPORT?",
     "It is never offered here; the question does not arise."),
    ("legacy-formula", ("2.7.2b", "2.7.2c"),
     "The formula for the bytes of a legacy ring is misprinted; which is right?",
     "The used ring begins at the next multiple of 4096 behind the available ring."),
    ("used-length", ("5.1.6.1b",),
     "What may a used length of a transmit buffer be?",
     "0; a legacy device may report the whole length, which has to have no influence."),
    ("notification-data", ("2.9/n1",),
     "What is told when nothing is new?",
     "The same value again; it is never ahead of avail_idx, nor behind it at the time of the kick."),
    ("sizes", ("2.7/n1", "4.1.4.3.2c"),
     "What of a queue whose size is no power of two?",
     "Split rings have none. A driver that claims them is driven with them up to the wrap, and no further."),
)  # fmt: skip

DECISIONS: dict[str, Decision] = {row[0]: Decision(*row) for row in _TABLE}
"""Every decision by its slug."""


def decided(clause: str) -> list[Decision]:
    """The decisions that concern a clause."""
    return [decision for decision in DECISIONS.values() if clause in decision.clauses]
