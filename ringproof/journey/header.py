"""The header in front of each frame (VIRTIO 1.3 section 5.1.6), as a reader of its bytes sees it."""

import struct
from typing import Any

from ..impl.harness.net_operations import F_MRG_RXBUF, F_VERSION_1

NEEDS_CSUM = 1
ECN = 0x80
GSO_NAMES = {0: "NONE", 1: "TCPV4", 3: "UDP", 4: "TCPV6"}
FIELDS = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")
_LAYOUT = struct.Struct("<BBHHHH")
SHORT, LONG = 10, 12
ABSENT = -1
"""Stands for num_buffers in the shorter header, which has none."""


def decoded(address: int, data: bytes) -> dict[str, Any]:
    """The fields of a header of 10 or 12 bytes, as a value of a trace's state; missing bytes read as 0."""
    padded = data.ljust(SHORT, b"\0")
    buffers = int.from_bytes(data[SHORT:LONG], "little") if len(data) >= LONG else ABSENT
    fields = dict(zip(FIELDS, _LAYOUT.unpack_from(padded), strict=True))
    return {"address": address, "bytes": data.hex(), **fields, "num_buffers": buffers}


def device_header_size(features: int) -> int:
    """Bytes that a device takes for the header under these accepted features (sections 5.1.6, 5.1.6.1)."""
    return LONG if features & (F_MRG_RXBUF | F_VERSION_1) else SHORT


def flag_words(flags: int) -> str:
    """The flags of a header by name."""
    rest = flags & ~NEEDS_CSUM
    words = ["NEEDS_CSUM"] * bool(flags & NEEDS_CSUM) + [f"{rest:#x}"] * bool(rest)
    return " ".join(words) or "0"


def gso_words(gso_type: int) -> str:
    """The kind of segmentation of a header by name, the ECN bit beside it."""
    kind = gso_type & ~ECN
    return GSO_NAMES.get(kind, f"{kind:#x}") + (" ECN" if gso_type & ECN else "")
