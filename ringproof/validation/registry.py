"""The registry: every demand that VIRTIO 1.3 makes of a driver with split rings and a transmit path.

An id is a section with a letter for the sentence; ``/n`` marks protocol text outside the normative sections,
without a word of RFC 2119 (level ``desc``). Sections 2.7 to 2.7.14 read the same in VIRTIO 1.2, 1.3 and 1.4.
Not listed: single-root I/O virtualisation, administration queues, packed rings, reception, and what concerns
the MAC address and the speed of the link. The words are our own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "desc"]
Observed: TypeAlias = Literal[
    "ring", "ring, provoked", "registers", "headers", "packets", "driver state", "memory order", "nothing"
]
"""Where a clause shows: in ring memory and notifications; there, but only if the device does something
special; in register accesses; in the bytes of the network header, or of the packet; in what the driver keeps
to itself; in the order of its memory accesses; a permission shows nowhere."""
When: TypeAlias = Literal["Q", "A", "K", "E", "L", "I", "T", "-"]

MOMENTS: dict[When, str] = {
    "Q": "when a queue is handed over",
    "A": "whenever avail_idx moves",
    "K": "at each kick",
    "E": "as long as a buffer is outstanding",
    "L": "once all is quiet",
    "I": "while the device is set up",
    "T": "over a whole run",
    "-": "never: it is a permission",
}
"""When a clause is looked at."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One clause: ``words`` say what a driver must or may do, ``observed`` in what that shows, and when."""

    id: str
    level: Level
    observed: Observed
    when: When
    words: str

    @property
    def section(self) -> str:
        """The section of VIRTIO 1.3 it stands in."""
        return self.id.partition("/")[0].rstrip("abcdefghijklmnopqrstuvwxyz")

    @property
    def strength(self) -> str:
        """Its level in words."""
        return "protocol text" if self.level == "desc" else self.level


def ids(said: str) -> Iterator[str]:
    """The ids in what a check calls its clause: "2.7.10.1c, g" are two; "oracle: memory" is none."""
    first, *others = said.split(", ")
    for name in (first, *(letter if len(letter) > 1 else first[:-1] + letter for letter in others)):
        if name in DEMANDS:
            yield name


_MUST: Level = "MUST"
_NOT: Level = "MUST NOT"
_SHOULD: Level = "SHOULD"
_SHOULD_NOT: Level = "SHOULD NOT"
_MAY: Level = "MAY"
_DESC: Level = "desc"
_RING: Observed = "ring"
_PLAYED: Observed = "ring, provoked"
_REGISTERS: Observed = "registers"
_HEADERS: Observed = "headers"
_PACKETS: Observed = "packets"
_STATE: Observed = "driver state"
_ORDER: Observed = "memory order"
_NOTHING: Observed = "nothing"

_TABLE: tuple[tuple[str, Level, Observed, When, str], ...] = (
    ("2.1.1a", _MUST, _REGISTERS, "I", "Each step done shows in the device status."),
    ("2.1.1b", _NOT, _REGISTERS, "I", "No status bit is cleared but by a reset."),
    ("2.1.1c", _MUST, _REGISTERS, "I", "After FAILED comes a reset before anything else."),
    ("2.1.1d", _SHOULD_NOT, _REGISTERS, "L",
     "Completions are not waited for once DEVICE_NEEDS_RESET is set."),
    ("2.2.1a", _NOT, _REGISTERS, "I", "No feature is accepted that was not offered."),
    ("2.2.1b", _NOT, _REGISTERS, "I", "No feature is accepted without those it requires."),
    ("2.2.1c", _MUST, _REGISTERS, "I", "The offered features are checked for validity."),
    ("2.2.1d", _NOT, _REGISTERS, "I", "No undefined or reserved feature bit is accepted."),
    ("2.2.1e", _SHOULD, _REGISTERS, "I", "A feature that is not offered is done without."),
    ("2.2.1f", _MUST, _REGISTERS, "I", "Where the features do not suffice, FAILED is set."),
    ("2.2.1g", _NOT, _REGISTERS, "I", "An unknown feature bit is no reason to fail."),
    ("2.2.3a", _MUST, _REGISTERS, "I",
     "Without VERSION_1 the legacy sections are followed, or nothing is run."),
    ("2.4.2a", _SHOULD, _REGISTERS, "I", "A reset is finished when status reads 0, not before."),
    ("2.5.1a", _NOT, _REGISTERS, "I",
     "Several reads of configuration are one only if the generation stayed."),
    ("2.5.1b", _MUST, _REGISTERS, "I", "A configuration field is touched only if its feature is offered."),
    ("2.6.1.1.2a", _MUST, _REGISTERS, "T", "A queue reset is confirmed before the queue is used."),
    ("2.6.1.1.2b", _MAY, _NOTHING, "-", "After a confirmed queue reset its memory may be given back."),
    ("2.6.1.2.2a", _MUST, _REGISTERS, "T", "A queue enabled again is set up as at first."),
    ("2.7/n1", _DESC, _REGISTERS, "Q", "A queue's size is a power of two and at most 32768."),
    ("2.7/n2", _DESC, _RING, "A", "Never are more chains outstanding than the queue has descriptors."),
    ("2.7/n3", _DESC, _RING, "E", "The driver never writes to the used ring."),
    ("2.7.1a", _MUST, _REGISTERS, "Q", "Ring parts are aligned to 16, 2 and 4 bytes."),
    ("2.7.2a", _MUST, _REGISTERS, "Q", "A legacy queue has the size the device says."),
    ("2.7.2b", _MUST, _REGISTERS, "Q", "A legacy ring has all the bytes the layout asks for."),
    ("2.7.2c", _MUST, _RING, "Q", "A legacy ring's parts follow each other as laid out."),
    ("2.7.3a", _MUST, _RING, "A", "Legacy rings are in the guest's byte order."),
    ("2.7.4.2a", _MUST, _RING, "A", "In a chain all that the device reads comes before what it writes."),
    ("2.7.4.2b", _SHOULD_NOT, _RING, "A", "A chain has no unreasonable number of descriptors."),
    ("2.7.5/n1", _DESC, _RING, "T", "IN_ORDER: descriptors are used in the order of the table."),
    ("2.7.5/n2", _DESC, _RING, "A", "Where NEXT is set, next names a descriptor of the same table."),
    ("2.7.5/n3", _DESC, _RING, "A", "Of the flags only NEXT, WRITE and INDIRECT are set."),
    ("2.7.5/n4", _DESC, _RING, "A",
     "Address and length name memory that is the driver's, as the device sees it."),
    ("2.7.5.2a", _NOT, _RING, "A", "A chain holds no more than 2^32 bytes."),
    ("2.7.5.2b", _NOT, _RING, "A", "No chain leads back into itself."),
    ("2.7.5.2c", _MUST, _RING, "A", "IN_ORDER: the next descriptor is the one behind."),
    ("2.7.5.3/n1", _DESC, _RING, "A", "An indirect table is a whole number of entries, at least one."),
    ("2.7.5.3/n2", _DESC, _RING, "E",
     "An indirect table is valid and unchanged while its chain is outstanding."),
    ("2.7.5.3.1a", _NOT, _RING, "A", "INDIRECT is not set unless INDIRECT_DESC was negotiated."),
    ("2.7.5.3.1b", _NOT, _RING, "A", "INDIRECT is not set within an indirect table."),
    ("2.7.5.3.1c", _NOT, _RING, "A", "A chain has no more descriptors than the queue."),
    ("2.7.5.3.1d", _NOT, _RING, "A", "INDIRECT and NEXT are not set together."),
    ("2.7.5.3.1e", _MUST, _RING, "A", "IN_ORDER: each entry of a table leads to the one behind."),
    ("2.7.6/n1", _DESC, _RING, "Q",
     "avail_idx starts at 0, and its entry is in the slot avail_idx modulo the queue's size."),
    ("2.7.6/n2", _DESC, _RING, "A", "Every entry published is the head of a chain."),
    ("2.7.6.1a", _NOT, _RING, "A", "avail_idx does not go back while the queue is live."),
    ("2.7.7.1a", _MUST, _RING, "E", "Without EVENT_IDX, avail.flags is 0 or 1."),
    ("2.7.7.1b", _MAY, _NOTHING, "-", "Without EVENT_IDX, avail.flags of 1 asks for no interrupts."),
    ("2.7.7.1c", _MUST, _RING, "E", "With EVENT_IDX, avail.flags stays 0."),
    ("2.7.7.1d", _MAY, _NOTHING, "-", "With EVENT_IDX, used_event defers interrupts."),
    ("2.7.7.1e", _MUST, _PLAYED, "L", "An interrupt without news is borne."),
    ("2.7.8.3a", _NOT, _STATE, "T", "Bytes of a buffer past the used length are not relied on."),
    ("2.7.8.3b", _SHOULD, _STATE, "T", "Bytes of a buffer past the used length are ignored."),
    ("2.7.9/n1", _DESC, _PLAYED, "T", "IN_ORDER: one used entry gives a whole batch back."),
    ("2.7.10.1a", _MUST, _RING, "Q", "used.flags is 0 when the device gets the ring."),
    ("2.7.10.1b", _MUST, _PLAYED, "L", "Without EVENT_IDX, the word of avail_event has no influence."),
    ("2.7.10.1c", _SHOULD_NOT, _RING, "K", "Without EVENT_IDX, nothing is notified while used.flags is 1."),
    ("2.7.10.1d", _MUST, _RING, "L", "Without EVENT_IDX, new entries are notified of while used.flags is 0."),
    ("2.7.10.1e", _MUST, _PLAYED, "L", "With EVENT_IDX, used.flags has no influence."),
    ("2.7.10.1f", _MUST, _RING, "L", "With EVENT_IDX, the entry that avail_event names is notified of."),
    ("2.7.10.1g", _SHOULD_NOT, _RING, "K", "With EVENT_IDX, other entries are not notified of."),
    ("2.7.13/n1", _DESC, _RING, "A", "Only free descriptors are taken for a new chain."),
    ("2.7.13/n2", _DESC, _RING, "A",
     "Heads go to consecutive slots of the available ring, behind the last one published."),
    ("2.7.13/n3", _MAY, _NOTHING, "-", "Several chains may be published at once."),
    ("2.7.13/n4", _DESC, _RING, "A", "avail_idx grows by just as many as heads were written."),
    ("2.7.13.1/n1", _DESC, _RING, "A",
     "A descriptor has its segment's address and length, WRITE if the device writes, NEXT if more follow."),
    ("2.7.13.3/n1", _DESC, _RING, "T", "avail_idx runs freely and wraps at 2^16, not at the queue's size."),
    ("2.7.13.3.1a", _MUST, _ORDER, "A", "A barrier comes before avail_idx moves."),
    ("2.7.13.4.1a", _MUST, _ORDER, "L", "A barrier comes before the suppression words are read."),
    ("2.7.14/n1", _DESC, _PLAYED, "L",
     "With interrupts on again, used_idx is looked at once more before waiting."),
    ("2.7.14/n2", _MAY, _NOTHING, "-", "Interrupts may stay off while what was used is taken back."),
    ("2.9/n1", _DESC, _RING, "K", "With NOTIFICATION_DATA, a kick tells avail_idx beside the queue."),
    ("3.1.1a", _MUST, _REGISTERS, "I",
     "Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, queues, DRIVER_OK: in this order."),
    ("3.1.1b", _NOT, _REGISTERS, "I", "Configuration is not written while features are negotiated."),
    ("3.1.1c", _NOT, _REGISTERS, "I", "No feature is accepted after FEATURES_OK."),
    ("3.1.1d", _MUST, _REGISTERS, "I", "FEATURES_OK is read back before going on."),
    ("3.1.1e", _SHOULD, _REGISTERS, "I", "FAILED is set when initialisation fails."),
    ("3.1.1f", _NOT, _REGISTERS, "I", "Initialisation does not go on after a failure."),
    ("3.1.1g", _NOT, _RING, "K", "No notification is sent before DRIVER_OK."),
    ("3.1.2a", _MUST, _REGISTERS, "I", "A legacy device is set up in order, without FEATURES_OK."),
    ("3.3.1a", _NOT, _RING, "E", "The entries of an outstanding buffer stay as they were published."),
    ("3.3.1b", _MUST, _REGISTERS, "T", "The device is reset before its buffers are taken back."),
    ("4.1.4.3.2a", _NOT, _REGISTERS, "I", "Read-only fields of the common configuration are not written."),
    ("4.1.4.3.2b", _NOT, _REGISTERS, "Q", "A packed queue is not given size 0."),
    ("4.1.4.3.2c", _NOT, _REGISTERS, "Q", "queue_size is given only powers of two."),
    ("4.1.4.3.2d", _MUST, _REGISTERS, "Q", "A queue is enabled when all else of it is set."),
    ("4.1.4.3.2e", _MUST, _REGISTERS, "I", "After a reset, status reads 0 before anything is set up."),
    ("4.1.4.3.2f", _NOT, _REGISTERS, "T", "queue_enable is not given 0."),
    ("4.1.4.3.2g", _NOT, _REGISTERS, "T", "A queue reset is over when queue_reset reads 0."),
    ("4.1.5.2.1a", _MUST, _RING, "K", "A notification is one 16-bit write."),
    ("4.1.5.2.1b", _MUST, _RING, "K", "A notification goes to its queue's address and names it."),
    ("4.2.2.2a", _NOT, _REGISTERS, "T",
     "MMIO: only documented registers are accessed, each in its direction."),
    ("4.2.2.2b", _MUST, _REGISTERS, "T",
     "MMIO: control registers are accessed by aligned 32-bit words, configuration by field."),
    ("4.2.2.2c", _MUST, _REGISTERS, "I", "MMIO: the selector is written before the feature word it selects."),
    ("4.2.2.2d", _MUST, _REGISTERS, "Q", "MMIO: a queue's size is at most what the device allows."),
    ("4.2.2.2e", _NOT, _REGISTERS, "T", "MMIO: size and addresses of a queue that is ready are left alone."),
    ("4.2.2.2f", _MUST, _REGISTERS, "T",
     "MMIO: a queue is stopped by writing 0 to QueueReady and reading it back."),
    ("4.2.2.2g", _MUST, _REGISTERS, "L", "MMIO: undefined bits of InterruptStatus have no influence."),
    ("4.2.2.2h", _MUST, _REGISTERS, "T",
     "MMIO: what was handled, and nothing else, is written to InterruptACK."),
    ("4.2.2.2i", _NOT, _REGISTERS, "T", "MMIO: a queue reset is over when QueueReset reads 0."),
    ("4.2.3.4.1a", _MUST, _REGISTERS, "T", "MMIO: every interrupt is looked up in InterruptStatus."),
    ("4.2.3.4.1b", _SHOULD, _REGISTERS, "L", "MMIO: the used bit is taken as news of every active queue."),
    ("5.1.4.2a", _NOT, _REGISTERS, "T", "No field of the network configuration is written."),
    ("5.1.4.2b", _SHOULD, _REGISTERS, "I", "MTU is accepted when offered."),
    ("5.1.4.2c", _NOT, _HEADERS, "A", "No frame but a segmented one is longer than MTU allows."),
    ("5.1.6/n1", _DESC, _HEADERS, "A", "A header of the size the features say, then the frame, whole."),
    ("5.1.6.1a", _MUST, _HEADERS, "A", "Legacy headers are in the guest's byte order."),
    ("5.1.6.1b", _SHOULD, _PLAYED, "L", "Legacy used lengths of a transmit queue are not looked at."),
    ("5.1.6.2/n1", _DESC, _HEADERS, "A", "A plain frame has flags 0 and gso_type NONE."),
    ("5.1.6.2/n2", _DESC, _PACKETS, "A", "csum_start counts from the frame's first byte."),
    ("5.1.6.2/n3", _DESC, _HEADERS, "A", "The ECN bit comes with TCP and HOST_ECN only."),
    ("5.1.6.2/n4", _DESC, _RING, "A", "A transmit chain has nothing for the device to write."),
    ("5.1.6.2/n5", _DESC, _HEADERS, "A", "Frames over 1514 bytes are segmented."),
    ("5.1.6.2/n6", _DESC, _HEADERS, "A", "gso_type is one that is defined."),
    ("5.1.6.2.1a", _MUST, _HEADERS, "A", "num_buffers is 0."),
    ("5.1.6.2.1b", _MUST, _HEADERS, "A", "Without CSUM, flags is 0."),
    ("5.1.6.2.1c", _SHOULD, _PACKETS, "A", "Without CSUM, packets carry whole checksums."),
    ("5.1.6.2.1d", _NOT, _HEADERS, "A", "GSO_TCPV4 needs HOST_TSO4."),
    ("5.1.6.2.1e", _NOT, _HEADERS, "A", "GSO_TCPV6 needs HOST_TSO6."),
    ("5.1.6.2.1f", _NOT, _HEADERS, "A", "GSO_UDP needs HOST_UFO."),
    ("5.1.6.2.1g", _NOT, _HEADERS, "A", "GSO_UDP_L4 needs HOST_USO."),
    ("5.1.6.2.1h", _SHOULD_NOT, _PACKETS, "A", "Without HOST_ECN, TCP with CWR is not left to be segmented."),
    ("5.1.6.2.1i", _MUST, _PACKETS, "A", "With HOST_ECN, segmented TCP with CWR has the ECN bit."),
    ("5.1.6.2.1j", _MAY, _NOTHING, "-", "With CSUM, NEEDS_CSUM may be set."),
    ("5.1.6.2.1k", _MUST, _STATE, "A", "The checksums before csum_start have been checked."),
    ("5.1.6.2.1l", _MUST, _PACKETS, "A", "With NEEDS_CSUM, the field holds the sum of the pseudo header."),
    ("5.1.6.2.1m", _MUST, _PACKETS, "A", "With NEEDS_CSUM, summing from csum_start gives a whole packet."),
    ("5.1.6.2.1n", _MUST, _HEADERS, "A", "Without any HOST_ feature, gso_type is NONE."),
    ("5.1.6.2.1o", _MUST, _HEADERS, "A", "Segmentation comes with NEEDS_CSUM."),
    ("5.1.6.2.1p", _MUST, _HEADERS, "A", "Segmentation comes with a gso_size."),
    ("5.1.6.2.1q", _MUST, _PACKETS, "A", "With GUEST_HDRLEN, hdr_len is the headers' length."),
    ("5.1.6.2.1r", _SHOULD, _PACKETS, "A", "With an offload accepted, hdr_len covers the headers."),
    ("5.1.6.2.1s", _SHOULD, _REGISTERS, "I", "GUEST_HDRLEN is accepted when offered."),
    ("5.1.6.2.1t", _NOT, _HEADERS, "A", "DATA_VALID and RSC_INFO are not set."),
    ("5.1.6.5.6.1a", _MUST, _REGISTERS, "T", "Queues are set up before their number is asked for."),
    ("5.1.6.5.6.1b", _NOT, _PACKETS, "T", "No number of queues is asked for but 1 to max_virtqueue_pairs."),
    ("5.1.6.5.6.1c", _MUST, _RING, "T", "Until then only the first transmit queue is used."),
    ("5.1.6.5.6.1d", _NOT, _RING, "T", "Afterwards no queue beyond that number is used."),
    ("5.1.6.6a", _MUST, _RING, "A",
     "On a legacy device without ANY_LAYOUT the header has its own descriptor."),
    ("6.1a", _MUST, _REGISTERS, "I", "VERSION_1 is accepted when offered."),
    ("6.1b", _MAY, _NOTHING, "-", "Without VERSION_1 a driver may refuse to run."),
    ("6.1c", _SHOULD, _REGISTERS, "I", "ACCESS_PLATFORM is accepted when offered."),
    ("6.1d", _MUST, _RING, "A", "With ACCESS_PLATFORM, addresses are those the device translates."),
    ("6.1e", _MUST, _RING, "A", "Without ACCESS_PLATFORM, addresses are guest-physical."),
    ("6.1f", _SHOULD, _REGISTERS, "I", "RING_PACKED is accepted when offered."),
    ("6.1g", _SHOULD, _REGISTERS, "I", "ORDER_PLATFORM is accepted when offered."),
    ("6.1h", _MUST, _ORDER, "T", "With ORDER_PLATFORM, barriers are those for a device."),
    ("6.1i", _SHOULD, _REGISTERS, "I", "NOTIF_CONFIG_DATA is accepted when offered."),
    ("6.3a", _MUST, _REGISTERS, "I", "On the legacy interface ANY_LAYOUT is accepted when offered."),
    ("6.3b", _SHOULD_NOT, _REGISTERS, "I", "On the legacy interface bit 30 is not accepted."),
)  # fmt: skip

DEMANDS: dict[str, Demand] = {row[0]: Demand(*row) for row in _TABLE}
"""Every clause by id, in the order of the text."""
