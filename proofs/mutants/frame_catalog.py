"""The mutants of the whole driver, in words: what lies around the virtqueue, from sk_buff to registers.

They are seeded as those of ``catalog`` are, with ids of the same kind: overrides of the models in
``packet``, ``transmit`` and ``transport``, patches ``impl/reference/mutants/ID.patch`` and
``impl/c/mutants/ID.patch``.
"""

from .catalog import Mutant

_ALL = (
    Mutant(
        "E2",
        "the header always has 12 bytes",
        "xmit_skb sends num_buffers though neither MRG_RXBUF nor VERSION_1 was negotiated",
        "OSv before a6d6ce8f (2014)",
    ),
    Mutant(
        "E3",
        "the header has 10 bytes under VERSION_1",
        "xmit_skb sends num_buffers only when MRG_RXBUF was negotiated",
        "FreeBSD before D25132 (2020)",
    ),
    Mutant(
        "E6",
        "only two fields of a plain header are written",
        "without offload xmit_skb leaves hdr_len, gso_size, csum_start and csum_offset as they were",
        "Seastar before 3a75cf1d5 (2014)",
    ),
    Mutant(
        "E10",
        "the room test forgets the header's descriptor",
        "start_xmit stops the queue below min(18, queue size) free descriptors instead of min(19, ...)",
        "OSv before 7f3fc780 (2014)",
    ),
    Mutant(
        "E11",
        "an empty piece becomes a segment",
        "skb_to_sgvec makes segments of length 0 from empty parts and fragments",
        "rcore before 6cf9673 (2023)",
    ),
    Mutant(
        "E19",
        "bytes sent include the header",
        "free_old_xmit_skbs adds the virtio header's length to tx_bytes",
        "DPDK before f1216c1eca (2017)",
    ),
    Mutant(
        "D9",
        "a stopped queue has its callback off",
        "start_xmit stops the queue and returns without enabling the callback",
        "Linux before d71ebe8114b4 (2022)",
    ),
    Mutant(
        "G3",
        "the result of add is ignored",
        "xmit_skb reports success when virtqueue_add refused the frame",
        "FreeBSD before D17916 (2018)",
    ),
    Mutant(
        "X11",
        "a fragment is taken from the start of its page",
        "skb_to_sgvec forgets the fragment's offset in its page",
        "made for this suite",
    ),
    Mutant(
        "X12",
        "packets of the list are mapped with the frame's offset",
        "skb_to_sgvec recurses with the offset itself instead of the one relative to the packet",
        "made for this suite",
    ),
    Mutant(
        "X13",
        "the last segment carries no end mark",
        "skb_to_sgvec does not mark the last entry it writes",
        "made for this suite",
    ),
    Mutant(
        "X14",
        "no second look after the callback was enabled",
        "start_xmit ignores that enable_cb_delayed found more used",
        "made for this suite",
    ),
    Mutant(
        "X15",
        "csum_start counts from the header",
        "xmit_skb adds the virtio header's length to csum_start",
        "made for this suite",
    ),
    Mutant(
        "X16",
        "the ECN bit is left out",
        "xmit_skb does not set bit 0x80 of gso_type for a segment with CWR",
        "made for this suite",
    ),
    Mutant(
        "X17",
        "DRIVER_OK comes before the queues",
        "probe sets DRIVER_OK before it sets the virtqueues up",
        "made for this suite",
    ),
    Mutant(
        "X18",
        "features are accepted that were not offered",
        "probe accepts every feature the driver understands",
        "made for this suite",
    ),
    Mutant(
        "X19",
        "a queue is enabled before it has addresses",
        "probe writes queue_enable before the addresses of the three parts",
        "made for this suite",
    ),
    Mutant(
        "X20",
        "a status bit is written alone",
        "add_status writes the new bit without those already set",
        "made for this suite",
    ),
    Mutant(
        "X21",
        "the device is notified before DRIVER_OK",
        "probe notifies every transmit queue before it sets DRIVER_OK",
        "made for this suite",
    ),
    Mutant(
        "X22",
        "a recorded queue is taken as it is",
        "select_queue does not reduce the recorded queue to those in use",
        "made for this suite",
    ),
    Mutant(
        "X23",
        "a dropped frame is not counted",
        "start_xmit frees a frame that was refused without counting it",
        "made for this suite",
    ),
    Mutant(
        "X24",
        "a dropped frame is freed twice",
        "start_xmit frees a frame that was refused twice",
        "made for this suite",
    ),
    Mutant(
        "X25",
        "an interrupt wakes the queue without looking",
        "skb_xmit_done wakes the queue whatever num_free is",
        "Linux 3.11 itself",
    ),
    Mutant(
        "X26",
        "FEATURES_OK is not read back",
        "probe goes on though the device has refused the features",
        "made for this suite",
    ),
)

FRAME_CATALOG: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}
"""Every mutant of the whole driver by id, in the order reports print them."""
