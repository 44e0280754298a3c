"""The header before each frame (VIRTIO 1.3 sections 5.1.6 and 5.1.6.2; ``struct virtio_net_hdr``).

Little endian: flags and gso_type of 1 byte; hdr_len, gso_size, csum_start and csum_offset of 2; and in the
longer form num_buffers of 2.
"""

from struct import Struct

from .features import F_CSUM, F_HOST_ECN, F_HOST_TSO4, F_HOST_TSO6, F_HOST_UFO, F_MRG_RXBUF
from .profile import F_VERSION_1, LINUX_3_11, Profile
from .skbuff import GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP, SkBuff

HDR_F_NEEDS_CSUM = 1
HDR_GSO_ECN = 0x80
HDR_GSO = {GSO_TCPV4: 1, GSO_TCPV6: 4, GSO_UDP: 3}
"""The device's number for each kind of segmentation of the stack."""
HDR_BYTES = 10
HDR_MRG_RXBUF_BYTES = 12

_HDR = Struct("<BBHHHH")
_NUM_BUFFERS = b"\0\0"
_GSO_FEATURES = {GSO_TCPV4: F_HOST_TSO4, GSO_TCPV6: F_HOST_TSO6, GSO_UDP: F_HOST_UFO}


def virtio_net_hdr_size(features: int, profile: Profile) -> int:
    """Return the header's bytes under the accepted features (VIRTIO 1.3 sections 5.1.6 and 5.1.6.1)."""
    longer = F_MRG_RXBUF if profile.ignores_version_1_in_header else F_MRG_RXBUF | F_VERSION_1
    return HDR_MRG_RXBUF_BYTES if features & longer else HDR_BYTES


def virtio_net_hdr_possible(skb: SkBuff, features: int, profile: Profile) -> bool:
    """Tell whether a header can ask for what the stack wants done with a frame.

    Not so for a kind of segmentation that has no number, which is a programming error in Linux 3.11
    ``xmit_skb``. The mended driver also refuses what section 5.1.6.2.1 of VIRTIO 1.3 forbids: checksums or
    segmentation that were not negotiated, segmentation without checksum or size, ECN where it has no meaning.
    """
    gso = skb.gso
    if gso != GSO_NONE and gso not in HDR_GSO:
        return False
    if profile.passes_offloads_unchecked:
        return True
    if skb.checksum and not features & F_CSUM:
        return False
    if gso == GSO_NONE:
        return not skb.ecn
    if not skb.checksum or not skb.gso_size or not features & _GSO_FEATURES[gso]:
        return False
    return not skb.ecn or (gso != GSO_UDP and bool(features & F_HOST_ECN))


def virtio_net_hdr(skb: SkBuff, memory: memoryview, profile: Profile = LINUX_3_11) -> None:
    """Write a frame's header, every byte of it, to ``memory``, which is as long as the header is to be.

    hdr_len is the linear part's length: of one that 16 bits do not hold, Linux 3.11 keeps the low bits, the
    mended driver the largest number there is. The frame must be possible. The first half of Linux 3.11
    ``xmit_skb``.
    """
    flags = gso_type = hdr_len = gso_size = csum_start = csum_offset = 0
    if skb.checksum:
        flags = HDR_F_NEEDS_CSUM
        csum_start = skb.csum_start
        csum_offset = skb.csum_offset
    if skb.gso != GSO_NONE:
        gso_type = HDR_GSO[skb.gso]
        hdr_len = skb.head[1] & 0xFFFF if profile.wraps_hdr_len else min(skb.head[1], 0xFFFF)
        gso_size = skb.gso_size
        if skb.ecn:
            gso_type |= HDR_GSO_ECN
    _HDR.pack_into(memory, 0, flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)
    if len(memory) == HDR_MRG_RXBUF_BYTES:
        memory[HDR_BYTES:] = _NUM_BUFFERS
