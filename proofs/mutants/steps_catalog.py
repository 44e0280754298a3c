"""The mutants of single statements of the virtqueue, in words: descriptors, tables, rings, tokens, loops.

They are seeded into the step-wise model alone (``steps_ring``): neither the reference nor the C driver has a
patch of theirs. Ids are of the same kind as in ``catalog``.
"""

from .catalog import Mutant

_ALL = (
    Mutant(
        "A3",
        "the loop that gives a chain back makes one round at most",
        "detach_buf follows the NEXT of the head, but not of the descriptors behind it",
        "awkernel before 62afbaa3 (2025)",
    ),
    Mutant(
        "A10",
        "the free list has no end",
        "add finds room while free_head names a descriptor, and the list's last link, 0, does so for ever",
        "nanos before af6dce5f (2019)",
    ),
    Mutant(
        "A11",
        "NEXT is cleared one descriptor too far",
        "add clears NEXT of the descriptor its last one links to, not of the last one",
        "DPDK before 2c0eb46f51 (2016)",
    ),
    Mutant(
        "A14",
        "num_free starts at what was asked for",
        "creation sets num_free to a requested size that is larger than the queue that was made",
        "virtio-win before b0468b1b (2023)",
    ),
    Mutant(
        "A15",
        "the flags of a free descriptor are taken to say that it is free",
        "add refuses when the first free descriptor does not have NEXT, which is left over from its last use",
        "virtio-win before bbbffbaf (2017)",
    ),
    Mutant(
        "A18",
        "a queue of size 0 is accepted",
        "creation checks that no two bits of the size are set, not that one is",
        "Linux virtio_mmio before 2feb41c726bb (2012)",
    ),
    Mutant(
        "B2",
        "avail_idx wraps at the queue size, and its slot is not masked",
        "add stores avail_idx + 1 modulo the queue size, and writes the head past the ring, at avail_idx",
        "HelenOS before 9afd2a817f (2018)",
    ),
    Mutant(
        "B7",
        "the device is notified before avail_idx moves",
        "add kicks, and only then moves avail_idx on",
        "DPDK before 8c09c20fb4 (2015)",
    ),
    Mutant(
        "B9",
        "of several adds before a kick only the last is exposed",
        "add writes every head to the slot of the first add since the last kick",
        "SPDK before 587002f511 (2018)",
    ),
    Mutant(
        "E1",
        "the first writable segment is read-only",
        "add sets WRITE on the segments after the first that the device is to write",
        "OSv before 812682bf (2013)",
    ),
    Mutant(
        "X27",
        "an add exposes two slots",
        "add moves avail_idx on by two, so the device finds a slot that nobody has written",
        "made for this suite",
    ),
    Mutant(
        "X28",
        "the search for unused buffers begins too late",
        "detach_unused_buf looks at descriptor 1 first",
        "made for this suite",
    ),
    Mutant(
        "X29",
        "the search for unused buffers ends too early",
        "detach_unused_buf finds none without a look at the last descriptor",
        "made for this suite",
    ),
    Mutant(
        "X30",
        "the last entry of a table keeps its NEXT flag",
        "add does not clear NEXT on the last entry of an indirect table",
        "made for this suite",
    ),
)

STEPS_CATALOG: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}
"""Every such mutant by id, in the order reports print them."""

NOT_OF_THE_QUEUE: dict[str, str] = {
    "A9": "The headers of Linux 3.11 lie in the sk_buff, not in an array beside the ring: none has a slot.",
    "A17": "Which head an add takes is not told to the caller, who gets a token back.",
    "A19": "IN_ORDER is no feature of Linux 3.11: each completion has a used element.",
    "A21": "How many completions are taken at a time is the driver's policy: Linux 3.11 takes all there are.",
    "A22": "What is made of ENOSPC is the caller's affair; a chain longer than the queue is its error.",
    "B14": "NOTIFICATION_DATA is no feature of Linux 3.11: a notification carries the queue's number alone.",
    "B15": "What was refused waits above the virtqueue, which keeps no list of it.",
    "B17": "The models have no addresses; reference and C driver lay rings out, and are tested for it.",
    "B18": "As B17: how much memory the used ring takes is a matter of layout.",
    "B19": "As B17: where a transport wants the parts of a queue is a matter of layout.",
}
"""Defects of real drivers around free lists and rings that are seeded nowhere, and why."""
