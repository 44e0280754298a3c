"""Why the transmit path drops a frame, in words: what the reference and a C driver do, this explains."""

from ..impl.harness.frames import Frame, Gso, Packet
from ..impl.harness.net_operations import (
    F_CSUM,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    F_INDIRECT_DESC,
    MAX_SKB_FRAGS,
)

_NEEDED = {
    Gso.TCPV4: (F_HOST_TSO4, "HOST_TSO4"),
    Gso.TCPV6: (F_HOST_TSO6, "HOST_TSO6"),
    Gso.UDP: (F_HOST_UFO, "HOST_UFO"),
}
_MOST_PIECES = MAX_SKB_FRAGS + 1
"""What the scatterlist holds behind the header."""


def drop_reason(frame: Frame, *, profile: str, features: int, queue_size: int, num_free: int) -> str:
    """Why a driver drops a frame; empty if it has no reason to.

    ``features`` are the accepted ones; ``num_free`` are the descriptors free when the frame comes.
    """
    return _offload(frame, profile, features) or _shape(frame, profile, features, queue_size, num_free)


def _offload(frame: Frame, profile: str, features: int) -> str:
    if frame.gso is Gso.UNKNOWN:
        return "no virtio header can ask for its kind of segmentation"
    if profile == "linux-3.11":
        return ""
    if frame.checksum and not features & F_CSUM:
        return "the device is to sum, but CSUM was not accepted"
    if frame.gso is Gso.NONE:
        return "ECN without segmentation" if frame.ecn else ""
    bit, name = _NEEDED[frame.gso]
    if not frame.checksum:
        return "segmentation without checksum"
    if not frame.gso_size:
        return "segmentation into segments of 0 bytes"
    if not features & bit:
        return f"segmentation of {frame.gso.name}, but {name} was not accepted"
    if frame.ecn and frame.gso is Gso.UDP:
        return "ECN with segmentation of UDP"
    if frame.ecn and not features & F_HOST_ECN:
        return "ECN, but HOST_ECN was not accepted"
    return ""


def _shape(frame: Frame, profile: str, features: int, queue_size: int, num_free: int) -> str:
    fragments = _most_fragments(frame.packet)
    if fragments > MAX_SKB_FRAGS:
        return f"{fragments} fragments in one packet, {MAX_SKB_FRAGS} at most are possible"
    pieces = _pieces(frame.packet)
    if pieces > _MOST_PIECES:
        return f"{pieces} pieces of memory, {_MOST_PIECES} at most are possible"
    indirect = bool(features & F_INDIRECT_DESC) and num_free > 0
    segments = 1 + pieces
    if segments > queue_size:
        if profile != "linux-3.11":
            return ""  # It is made linear, unless there is no memory for that.
        if not indirect:
            return f"{segments} descriptors, the queue has {queue_size}"
    if not indirect and segments > num_free:
        return f"{segments} descriptors, {num_free} of the queue's {queue_size} are free"
    return ""


def _most_fragments(packet: Packet) -> int:
    return max([len(packet.fragments), *(_most_fragments(following) for following in packet.packets)])


def _pieces(packet: Packet) -> int:
    """Pieces that hold any bytes."""
    own = bool(packet.head) + sum(bool(fragment.data) for fragment in packet.fragments)
    return own + sum(_pieces(following) for following in packet.packets)
