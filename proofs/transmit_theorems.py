"""The theorems of the transmit queue: room, waking, frames, statistics; and what Linux 3.11 gets wrong.

Each is an induction of its own, over every interleaving of start_xmit, interrupt handler and device, for
every queue size, chains of any length, with and without EVENT_IDX, and for both profiles unless it says
otherwise. What is proved is safety. Where something has to happen in the end, the theorem says what is
under way and who must act next. That a driver takes just the model's steps is not proved but tested: on
random runs against the reference, driver and device (tests/proofs/test_transmit_reference.py).
"""

from ..model.transmit import Transmit
from . import transmit_claims as claims
from . import transmit_runs as runs
from .theorem import Theorem

TRANSMIT_THEOREMS = (
    Theorem(
        name="frame-fits",
        title="Mended: while the queue is not stopped, the next frame fits",
        statement=(
            "virtio-1.x: whenever start_xmit adds a frame, virtqueue_add accepts it, whatever chains are "
            "in flight, whatever was completed when, and however often the device interrupts without "
            "news. A frame that asks for what was not negotiated, or for which there is no memory, is not "
            "added. The queue is stopped only if the longest frame would not fit without an indirect "
            "table, and is started or woken only if it does. In linux-3.11 the same holds of stopping, and"
            " of starting by start_xmit itself."
        ),
        clause="start_xmit",
        obligations=claims.FRAME_FITS,
        broken_by=("E10", "X25"),
        subject=Transmit,
    ),
    Theorem(
        name="no-lost-wake-up",
        title="A stopped queue always has its wake-up under way",
        statement=(
            "Whenever the queue is stopped and nobody holds its lock, the interrupt's callback is about "
            "to run, or an interrupt is pending that will find something used, or chains are still with "
            "the device and one of those completions will interrupt. A wake-up of virtio-1.x that finds "
            "too little room leaves another under way, until everything has come back. So no queue stays "
            "stopped, if the device completes all it was given and interrupts as VIRTIO 1.3, 2.7.7.2 "
            "demands, if the handler is run, and if memory is accessed in program order. Both profiles; "
            "linux-3.11 on queues of at least 19 descriptors."
        ),
        clause="2.7.14/n1",
        obligations=claims.NO_LOST_WAKE_UP,
        broken_by=("D9", "X14"),
        subject=Transmit,
    ),
    Theorem(
        name="frame-freed-once",
        title="No frame is freed twice, or while the device may read it",
        statement=(
            "Of any frame: it is freed at most once, and only when its chain has come back, when it was "
            "dropped without having been published, or when it is detached after the device was reset. "
            "Removal begins when neither start_xmit nor the interrupt handler is at work, and neither "
            "begins again: whoever removes the driver sees to that. "
            "That each chain comes back once, with its own token, is token-returned-once; that the reset "
            "at removal is waited for is rings-outlive-device, from which linux-3.11 on the legacy "
            "transport is excepted."
        ),
        clause="free_old_xmit_skbs",
        obligations=claims.FRAME_FREED_ONCE,
        broken_by=("X24",),
        subject=Transmit,
    ),
    Theorem(
        name="no-frame-lost",
        title="Every frame is in the ring or freed when start_xmit returns",
        statement=(
            "A frame handed to start_xmit is published or freed before it returns, and a published one "
            "stays in flight until it is freed; with nothing in flight every frame has been freed (that "
            "each chain in flight is one frame's, and brings it back, is token-returned-once). A frame "
            "that cannot be sent is dropped: its drop leaves num_free, the indices, the callback and the "
            "queue's state as they were, and start_xmit returns without kicking. Of a ring that was full "
            "virtqueue_add itself has told the device: full-ring-notifies."
        ),
        clause="start_xmit",
        obligations=claims.NO_FRAME_LOST,
        broken_by=("G3",),
        subject=Transmit,
    ),
    Theorem(
        name="statistics-exact",
        title="Each counter is what its name says",
        statement=(
            "tx_packets is the number of frames got back from the device and tx_bytes the sum of their "
            "lengths, without virtio headers. tx_dropped and tx_fifo_errors are the number of frames that"
            " start_xmit freed itself. Frames detached at removal are in none of them. That the frame "
            "which comes back is the one that was sent is token-returned-once; that counters are wide "
            "enough is taken for granted."
        ),
        clause="free_old_xmit_skbs",
        obligations=claims.STATISTICS,
        broken_by=("E19", "X23"),
        subject=Transmit,
    ),
    Theorem(
        name="frame-fits-linux-3.11",
        title="Linux 3.11: the next frame fits after any interrupt",
        statement=(
            "linux-3.11, queues of 32 descriptors and more: refuted. Any interrupt that finds something "
            "used wakes the queue, whatever is free: the first completion's, without EVENT_IDX; one "
            "without news, or one asked for before the queue was stopped, with it. The next frame may not"
            " fit, and is dropped."
        ),
        clause="skb_xmit_done",
        obligations=runs.FRAME_FITS_LINUX,
        broken_by=(),
        expected="refuted",
        subject=Transmit,
    ),
    Theorem(
        name="small-queue-fits-linux-3.11",
        title="Linux 3.11: a frame fits into an empty queue",
        statement=(
            "linux-3.11, queues of 16 descriptors and fewer, without indirect descriptors: refuted. A "
            "frame with more segments than the queue has descriptors never fits; virtqueue_add takes it "
            "for a programming error."
        ),
        clause="xmit_skb",
        obligations=runs.FRAME_FITS_SMALL,
        broken_by=(),
        expected="refuted",
        subject=Transmit,
    ),
    Theorem(
        name="small-queue-wakes-linux-3.11",
        title="Linux 3.11: a small queue is not stopped for ever",
        statement=(
            "linux-3.11, queues of 16 descriptors and fewer: refuted. Every frame stops such a queue, "
            "since num_free is never 19. If the device completes it before start_xmit looks again, "
            "start_xmit gets it back, still finds too little room and leaves the queue stopped; the "
            "interrupt finds nothing used. Nothing is in flight, so none comes any more."
        ),
        clause="start_xmit",
        obligations=runs.WOKEN_SMALL,
        broken_by=(),
        expected="refuted",
        subject=Transmit,
    ),
)
"""The theorems and findings of the transmit queue, in the order reports print them."""
