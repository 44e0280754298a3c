"""The Linux 3.11 virtqueue in Python over real bytes, function by function.

Read in this order: ``layout`` (where the parts lie), ``vring`` (their fields), ``virtqueue`` (the
functions), ``profile`` (where the mended driver differs), ``arena`` (the memory). The folder stands alone:
it imports the standard library and itself, so that a copy can be changed and loaded under another name.
"""

from .arena import Arena, ArenaError
from .layout import LAYOUTS, Layout
from .profile import LINUX_3_11, PROFILES, VIRTIO_1_X, Profile
from .virtqueue import LinkLoopError, Virtqueue, vring_need_event, vring_new_virtqueue
from .vring import Vring

__all__ = [
    "LAYOUTS",
    "LINUX_3_11",
    "PROFILES",
    "VIRTIO_1_X",
    "Arena",
    "ArenaError",
    "Layout",
    "LinkLoopError",
    "Profile",
    "Virtqueue",
    "Vring",
    "vring_need_event",
    "vring_new_virtqueue",
]
