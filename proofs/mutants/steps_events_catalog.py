"""The mutants of single statements of the virtqueue, in words: kicks, interrupts, indirect tables.

They are seeded into the step-wise model alone (``steps_events``), as those of ``steps_catalog`` are.
"""

from .catalog import Mutant

_ALL = (
    Mutant(
        "D2",
        "the delay is taken from a difference not cut to 16 bits",
        "enable_cb_delayed takes three quarters of avail_idx - last_used_idx as plain integers",
        "virtio-win before ebe2f471 (2013)",
    ),
    Mutant(
        "D5",
        "the driver writes avail_event",
        "where used_event is to be written, the driver writes avail_event, which is the device's",
        "OpenAMP before aa9a48d (2018)",
    ),
    Mutant(
        "D6",
        "NO_INTERRUPT is divided by, not masked out",
        "switching callbacks on divides avail.flags by NO_INTERRUPT, which is 1, so that the flag stays set",
        "Unikraft before bef00e36 (2023)",
    ),
    Mutant(
        "D7",
        "switching callbacks on switches them off",
        "enable_cb and enable_cb_delayed do to avail.flags what disable_cb does",
        "rcore before 191d9b8 (2024)",
    ),
    Mutant(
        "D10",
        "used_event is written from two contexts",
        "the handler writes used_event, too, outside the lock and late: last_used_idx before the last get",
        "Linux before cbdadbbf0c79 (2013)",
    ),
    Mutant(
        "D11",
        "used_event is moved on although callbacks are off",
        "get_buf writes last_used_idx to used_event whether callbacks are on or off",
        "Linux before 6c0b057cec5e (2023)",
    ),
    Mutant(
        "D15",
        "an interrupt is acknowledged after it was handled",
        "the handler looks for used elements first, and clears what is pending afterwards",
        "sDDF before 70304238 (2025); NuttX before 409431b2ad0 (2023); xv6 before aeaf610 (2020)",
    ),
    Mutant(
        "F1",
        "an indirect chain may be longer than the queue",
        "in the virtio-1.x profile, too, add puts a chain of any length into a table",
        "virtio-win before 14b4ce09 (2023)",
    ),
    Mutant(
        "F2",
        "indirect tables are used although not negotiated",
        "add does not ask whether INDIRECT_DESC was negotiated",
        "virtio-win before d67c4928 (2025)",
    ),
    Mutant(
        "F3",
        "the test for a table is inverted",
        "add takes a table just when the chain has one segment or no descriptor is free",
        "OSv before 6204bf4e (2013)",
    ),
    Mutant(
        "F5",
        "the room test scales what is needed by the queue size",
        "add asks for half the queue size times as many descriptors as the chain has segments",
        "OSv before 24bbcd78 (2013)",
    ),
    Mutant(
        "F6",
        "a table has room for fewer segments than are let in",
        "add allocates at most half as many entries as the queue has descriptors, and fills one per segment",
        "Haiku before b9addf62e9 (2024)",
    ),
    Mutant(
        "F7",
        "a table's length counts descriptors taken, not segments",
        "add writes 16 bytes per descriptor it takes off the free list, one, into the length of a table",
        "DPDK before 8410c369b4 (2020)",
    ),
    Mutant(
        "F11",
        "a table lies in memory that the device cannot rely on",
        "the memory of a table is add's own, and gone when add returns",
        "Linux before b92b1b89a33c (2012)",
    ),
    Mutant(
        "X31",
        "avail.flags is written although EVENT_IDX was negotiated",
        "in the virtio-1.x profile, too, switching callbacks off sets NO_INTERRUPT",
        "Linux 3.11 itself",
    ),
    Mutant(
        "X32",
        "an indirect table is never freed",
        "detach_buf gives the descriptor back, and not the memory of the table that it names",
        "made for this suite",
    ),
    Mutant(
        "X33",
        "get_buf leaves callbacks off",
        "get_buf switches callbacks off as it takes an element, and never on again",
        "made for this suite",
    ),
    Mutant(
        "X34",
        "every segment has the address of the first",
        "add takes the address of the first segment for all of them, each with its own length",
        "made for this suite",
    ),
    Mutant(
        "X35",
        "the interrupt handler notifies the device",
        "the callback notifies the device, whatever it asked for",
        "made for this suite",
    ),
    Mutant(
        "X36",
        "the token is read once more after it was forgotten",
        "get_buf reads data[head] when detach_buf has cleared it, and returns that",
        "made for this suite",
    ),
)

STEPS_EVENTS_CATALOG: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}
"""Every such mutant by id, in the order reports print them."""

NOT_OF_THE_QUEUE: dict[str, str] = {
    "D13": "Linux 3.11, too, leaves callbacks on when enable_cb finds more: its caller switches them off.",
    "D17": "When to reclaim is the driver's policy; the virtqueue gives back what it is asked for.",
    "D18": "A threshold from which to reclaim is the driver's policy; the virtqueue of Linux 3.11 has none.",
    "D19": "What is reported of an interrupt that finds nothing is the transport's; any step may bring one.",
    "D21": "From which context completions are reclaimed is the driver's policy, above the virtqueue.",
    "D22": "Which queue is worth a reclaim is the driver's policy; the virtqueue of Linux 3.11 has none.",
    "D23": "Who waits for completions, and how often, is arranged above the virtqueue.",
    "F9": "Linux 3.11 maps no buffers for the device, so there is no failed mapping to take back.",
    "F10": "A chain longer than the queue, which it refuses, is forbidden anyway (VIRTIO 1.3, 2.7.5.3.1).",
}
"""Rows of the collection about suppression and indirect tables that seed nothing here, and why."""
