"""The Linux 3.11 virtio-net transmit path in Python over real bytes, function by function.

The virtqueue, in this order: ``layout`` (where the parts lie), ``vring`` (their fields), ``virtqueue`` (the
functions), ``profile`` (where the mended driver differs), ``arena`` (the memory). What lies around it:
``skbuff`` (frames and scatterlists), ``net_header`` (what the device is asked to do), ``network`` (a
transmit queue), ``features``, ``pci`` and ``pci_modern`` (the transports), ``virtio_net`` (the device). The
folder stands alone: it imports the standard library and itself, so that a copy can be changed and loaded
under another name.
"""

from .arena import Arena, ArenaError
from .layout import LAYOUTS, Layout
from .net_header import virtio_net_hdr, virtio_net_hdr_possible, virtio_net_hdr_size
from .network import SendQueue
from .pci import LegacyPci, ProbeError
from .pci_modern import ModernPci
from .profile import LINUX_3_11, PROFILES, VIRTIO_1_X, Profile
from .skbuff import (
    MAX_SKB_FRAGS,
    Frag,
    Scatterlist,
    SkBuff,
    for_each_sg,
    sg_init_table,
    sg_mark_end,
    sg_set_buf,
    sg_set_page,
    skb_to_sgvec,
)
from .virtio_net import VirtnetInfo, virtnet_probe
from .virtqueue import LinkLoopError, Virtqueue, vring_need_event, vring_new_virtqueue
from .vring import Vring

__all__ = [
    "LAYOUTS",
    "LINUX_3_11",
    "MAX_SKB_FRAGS",
    "PROFILES",
    "VIRTIO_1_X",
    "Arena",
    "ArenaError",
    "Frag",
    "Layout",
    "LegacyPci",
    "LinkLoopError",
    "ModernPci",
    "ProbeError",
    "Profile",
    "Scatterlist",
    "SendQueue",
    "SkBuff",
    "VirtnetInfo",
    "Virtqueue",
    "Vring",
    "for_each_sg",
    "sg_init_table",
    "sg_mark_end",
    "sg_set_buf",
    "sg_set_page",
    "skb_to_sgvec",
    "virtio_net_hdr",
    "virtio_net_hdr_possible",
    "virtio_net_hdr_size",
    "virtnet_probe",
    "vring_need_event",
    "vring_new_virtqueue",
]
