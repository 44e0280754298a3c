"""The theorems of a packet on its way to the ring: its bytes as segments, and the header before them.

Those of skb_to_sgvec hold for every number of fragments, every size and every nesting of lists: each shows
what one step keeps, the call inside being taken to keep what the whole call is shown to keep. Those of the
header hold for every feature set and every packet of up to 64 KiB behind an Ethernet header. That
a packet is refused before anything is written is how the model is built, and is tested on the reference.
Findings, refuted and expected to be, tell what Linux 3.11 does against VIRTIO.
"""

from ..model.header import Header
from ..model.scatterlist import Scatterlist
from . import header_claims, scatterlist_claims, scatterlist_sums
from .scatterlist_claims import keeps
from .theorem import Theorem

PACKET_THEOREMS: tuple[Theorem, ...] = (
    Theorem(
        name="segments-are-the-bytes",
        title="The segments are exactly the bytes asked for, in order",
        statement=(
            "Each segment lies in one piece, a fragment's within its page, and begins at the packet "
            "position that is the offset asked for plus the bytes of the segments before it; in the end "
            "they hold as many bytes as were asked for. So they are bytes offset to offset + length - 1 "
            "of the packet. For a length of at least 1, and fragments each within its page of 4096 bytes."
        ),
        clause="skb_to_sgvec",
        obligations=(
            *keeps("in-place", "offset"),
            scatterlist_claims.IN_PAGE,
            *scatterlist_claims.BYTES_AT_END,
        ),
        broken_by=("X11",),
        subject=Scatterlist,
    ),
    Theorem(
        name="segment-count-exact",
        title="One segment for each piece that holds a byte asked for",
        statement=(
            "No segment is empty, and there are as many as there are pieces, over the whole tree of "
            "packets, that hold a byte asked for: of a whole packet, the pieces that are not empty, at "
            "most 18 without a list. With one there may be more than the driver's table has entries: "
            "that it refuses such a frame is not in this model."
        ),
        clause="skb_to_sgvec",
        obligations=(
            *keeps("touched", "bounds"),
            *scatterlist_sums.COUNT,
            *scatterlist_claims.COUNT_AT_END,
        ),
        broken_by=("E11",),
        subject=Scatterlist,
    ),
    Theorem(
        name="end-mark-on-last",
        title="The end mark is on the last entry written and on no other",
        statement=(
            "Of the entries that a frame fills, the last carries the end mark and the others don't, "
            "whichever marks earlier frames, longer or shorter, have left in the table; entries behind it "
            "are left alone. So it is if writing an entry takes an old mark away, and the header's entry "
            "is written, too. Linux 3.11's sg_set_page leaves old marks; its virtio_net counts entries "
            "instead and never looks at a mark."
        ),
        clause="sg_mark_end",
        obligations=(*keeps("marks"), *scatterlist_claims.MARK_AT_END),
        broken_by=("X13",),
        subject=Scatterlist,
    ),
    Theorem(
        name="scatterlist-walk-ends",
        title="The walk ends: with every byte asked for, or refused",
        statement=(
            "More bytes than the packet has from the offset on are refused, as a programming error, and "
            "nothing else is; each packet of a list is asked for bytes that it has. Every step leaves "
            "fewer parts to look at, and a packet of a list has fewer than are left where it is called. "
            "The length left is never negative, and for packets of up to 64 KiB behind an Ethernet header "
            "no number on the way leaves the range of a 32-bit int."
        ),
        clause="skb_to_sgvec",
        obligations=(
            *scatterlist_sums.SUMS,
            *scatterlist_claims.ENDS,
            *keeps("start", "left", "reached", "unrefused"),
        ),
        broken_by=(),
        subject=Scatterlist,
    ),
    Theorem(
        name="header-written-whole",
        title="Every byte of the header is written, and none beyond",
        statement=(
            "The header is a function of packet and features: no byte of it depends on what memory held, "
            "and no byte outside it changes. A GSO kind that virtio does not know, and in virtio-1.x GSO "
            "without checksum, is refused before any byte is written; nothing else is refused of what "
            "asks only for what was negotiated."
        ),
        clause="xmit_skb",
        obligations=header_claims.EVERY_BYTE,
        broken_by=("E6",),
        subject=Header,
    ),
    Theorem(
        name="header-size-by-feature",
        title="The header has the size that the device expects",
        statement=(
            "In virtio-1.x it has 12 bytes if MRG_RXBUF or VERSION_1 was accepted, else 10, and "
            "num_buffers is 0 wherever the device reads it; so it is in linux-3.11 on the legacy "
            "interface, where VERSION_1 is not accepted."
        ),
        clause="5.1.6/n1",
        obligations=header_claims.SIZE,
        broken_by=("E2", "E3"),
        subject=Header,
    ),
    Theorem(
        name="checksum-request-right",
        title="The device is told just which checksum to complete",
        statement=(
            "NEEDS_CSUM is set just when the packet leaves its checksum to the device, and no other flag "
            "ever; without CSUM flags is 0. csum_start counts from the frame's first byte, csum_offset "
            "from there, and the two bytes that they name lie in the frame if those that the stack names "
            "do. The linux-3.11 profile relies on the stack to leave no checksum to the device without "
            "CSUM."
        ),
        clause="5.1.6.2/n2",
        obligations=header_claims.CHECKSUM,
        broken_by=("X15",),
        subject=Header,
    ),
    Theorem(
        name="segmentation-request-right",
        title="The device is asked only for segments it can make, and told all it needs",
        statement=(
            "gso_type is the wire's number for the packet's kind, one whose feature was accepted, or 0; "
            "it has the ECN bit just when the segments carry CWR, only with TCP and HOST_ECN. With it go "
            "NEEDS_CSUM, a gso_size that is not 0, and an hdr_len that covers the headers if they lie in "
            "the linear part (linux-3.11: below 64 KiB). The linux-3.11 profile relies on the stack to ask "
            "only for what was negotiated, to name a gso_size, and to ask for ECN only with TCP; that "
            "NEEDS_CSUM is set is shown for virtio-1.x alone. Without "
            "GSO hdr_len is 0, though VIRTIO would rather have it cover the headers (5.1.6.2.1r, a SHOULD)."
        ),
        clause="5.1.6.2.1n",
        obligations=header_claims.SEGMENTATION,
        broken_by=("X16",),
        subject=Header,
    ),
    Theorem(
        name="header-size-linux-3.11",
        title="Under VERSION_1 Linux 3.11's header is two bytes short",
        statement=(
            "Linux 3.11 takes MRG_RXBUF as the only reason for num_buffers. With VERSION_1 and without "
            "MRG_RXBUF its code sends 10 bytes where the device takes 12 for the header, so the frame "
            "begins with its third byte. Linux 3.11 itself never accepts VERSION_1: a driver that keeps "
            "its code and does, has this defect."
        ),
        clause="5.1.6/n1",
        obligations=header_claims.LINUX_SIZE,
        broken_by=(),
        expected="refuted",
        subject=Header,
    ),
    Theorem(
        name="num-buffers-linux-3.11",
        title="Under VERSION_1 Linux 3.11 leaves num_buffers to chance",
        statement=(
            "With VERSION_1 and without MRG_RXBUF Linux 3.11's code does not write num_buffers: what the "
            "device reads there lies behind the driver's header. Linux 3.11 itself never accepts VERSION_1."
        ),
        clause="5.1.6.2.1a",
        obligations=header_claims.LINUX_NUM_BUFFERS,
        broken_by=(),
        expected="refuted",
        subject=Header,
    ),
    Theorem(
        name="gso-without-checksum-linux-3.11",
        title="Linux 3.11 passes GSO without checksum on to the device",
        statement=(
            "A packet with GSO whose checksum is not left to the device, which the stack lets pass if it "
            "calls the checksum unnecessary, gets a gso_type but no NEEDS_CSUM."
        ),
        clause="5.1.6.2.1o",
        obligations=header_claims.LINUX_UNSUMMED,
        broken_by=(),
        expected="refuted",
        subject=Header,
    ),
    Theorem(
        name="hdr-len-linux-3.11",
        title="A linear part of 64 KiB or more wraps Linux 3.11's hdr_len",
        statement=(
            "hdr_len is the length of the linear part cut to 16 bits: of a packet with GSO whose linear "
            "part has 65536 bytes or more it is too small to cover the headers."
        ),
        clause="5.1.6.2.1r",
        obligations=header_claims.LINUX_HDR_LEN,
        broken_by=(),
        expected="refuted",
        subject=Header,
    ),
)
"""In the order reports print them; the findings come last."""
