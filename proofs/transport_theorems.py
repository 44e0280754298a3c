"""The theorems of probe and remove, on both transports, for any number of queues; and Linux 3.11's findings.

As those of the transmit queue, each is an induction of its own. The order of the accesses is the model's
text: what is shown is that no way through it breaks a rule, whatever fails where. That a driver goes these
ways is tested, against the reference's accesses (tests/proofs/test_transport_reference.py).
"""

from ..model.transport import Transport
from . import transport_lemmas as lemmas
from .theorem import Theorem
from .transport_claims import steps_of

TRANSPORT_THEOREMS = (
    Theorem(
        name="status-only-grows",
        title="Status bits are only added until the device is reset",
        statement=(
            "From the first ACKNOWLEDGE on, every write of the device status adds to what is set, failing"
            " included, until status 0 is written; at the end of probe ACKNOWLEDGE, DRIVER and DRIVER_OK "
            "are set and FAILED is not. FEATURES_OK the device may leave clear. Both transports, both "
            "profiles; but where linux-3.11 does not wait for a slow device's reset, it adds to whatever "
            "was set before, FAILED included."
        ),
        clause="2.1.1b",
        obligations=steps_of("status-only-grows"),
        broken_by=("X20",),
        subject=Transport,
    ),
    Theorem(
        name="initialisation-order",
        title="Probe takes the steps of initialisation in order",
        statement=(
            "Reset, ACKNOWLEDGE, DRIVER, features, on the modern transport FEATURES_OK, then the "
            "configuration and every virtqueue in turn, DRIVER_OK last, when all of them, however many, "
            "are set up; nor is it set before. The reset is seen before anything else; linux-3.11 on the "
            "legacy transport reads the status once, whatever it says, so that a slow device's old status,"
            " DRIVER_OK included, is written back to it."
        ),
        clause="3.1.1a",
        obligations=steps_of("initialisation-order"),
        broken_by=(),
        subject=Transport,
    ),
    Theorem(
        name="features-ok-read-back",
        title="Nothing comes after FEATURES_OK unless it was read back set",
        statement=(
            "Modern transport: after FEATURES_OK was written nothing is configured, no queue is set up "
            "and DRIVER_OK is not written unless the status was read back with FEATURES_OK set; else "
            "probe fails."
        ),
        clause="3.1.1d",
        obligations=steps_of("features-ok-read-back"),
        broken_by=("X26",),
        subject=Transport,
    ),
    Theorem(
        name="features-offered",
        title="Only features that were offered are accepted",
        statement=(
            "No feature is accepted that was not offered, or that the driver does not understand. "
            "virtio-1.x accepts none without the one it needs: segmentation without CSUM, HOST_ECN "
            "without HOST_TSO4 or HOST_TSO6, MQ without CTRL_VQ. Of a consistent offer nothing that the "
            "driver understands is left out."
        ),
        clause="2.2.1a",
        obligations=lemmas.ACCEPTED,
        broken_by=("X18",),
        subject=Transport,
    ),
    Theorem(
        name="queue-enabled-last",
        title="A queue has its memory, size and addresses before it is enabled",
        statement=(
            "Of any virtqueue, on a device with any number of them: queue_enable, or on legacy the page "
            "frame, is written once, after its ring was allocated and its size and addresses were given, "
            "and every virtqueue is enabled when DRIVER_OK is written."
        ),
        clause="4.1.4.3.2d",
        obligations=steps_of("queue-enabled-last"),
        broken_by=("X19",),
        subject=Transport,
    ),
    Theorem(
        name="no-early-kick",
        title="The device is notified only after DRIVER_OK",
        statement=(
            "The notify register is written only while DRIVER_OK is set, on any queue: probe itself "
            "notifies of none. That nobody uses the driver before probe has ended is taken for granted. "
            "Linux 3.11's virtnet_probe, whose receiving half is not in this model, fills receive queues "
            "and lets the stack in while DRIVER_OK is still to be set."
        ),
        clause="3.1.1g",
        obligations=steps_of("no-early-kick"),
        broken_by=("X21",),
        subject=Transport,
    ),
    Theorem(
        name="queue-in-use",
        title="Every frame goes to a queue in use, and like frames to the same",
        statement=(
            "select_queue ends, for any recorded queue, any processor and any number of queues in use: "
            "each subtraction leaves less. It gives a queue in use, and one that depends only on that "
            "number and the frame's own. From 1 to max_virtqueue_pairs queues are in use, and no more "
            "than the driver supports, whatever was asked for and whatever the device answered. In use "
            "are those that the driver was last told it may use: a device that answers after the driver "
            "has given up may think otherwise."
        ),
        clause="5.1.6.5.6.1d",
        obligations=lemmas.SELECTED,
        broken_by=("X22",),
        subject=Transport,
    ),
    Theorem(
        name="rings-outlive-device",
        title="Rings and frames are freed only once the device was seen reset",
        statement=(
            "Modern transport, and virtio-1.x on legacy: rings and frames are freed only after status 0 "
            "was written and read back, or before DRIVER_OK was ever written; without that read "
            "everything stays allocated. The driver notifies no device whose rings are gone."
        ),
        clause="4.1.4.3.2e",
        obligations=steps_of("rings-outlive-device"),
        broken_by=(),
        subject=Transport,
    ),
    Theorem(
        name="feature-prerequisites-linux-3.11",
        title="Linux 3.11: no feature is accepted without what it needs",
        statement=(
            "linux-3.11: refuted. All that is offered and understood is accepted, so an offer of MQ "
            "without CTRL_VQ, or of segmentation without CSUM, which no device may make, is taken as it "
            "is."
        ),
        clause="2.2.1b",
        obligations=lemmas.ACCEPTED_LINUX,
        broken_by=(),
        expected="refuted",
        subject=Transport,
    ),
    Theorem(
        name="rings-outlive-device-linux-3.11",
        title="Linux 3.11, legacy: rings are freed only once the device was seen reset",
        statement=(
            "linux-3.11 on the legacy transport: refuted. After writing status 0 the driver reads the "
            "status once, whatever it says, and frees its rings; a device that is slow to reset may still"
            " write to them."
        ),
        clause="2.4.2a",
        obligations=lemmas.SLOW_RESET,
        broken_by=(),
        expected="refuted",
        subject=Transport,
    ),
)
"""The theorems and findings of the transports, in the order reports print them."""
