"""The judge of transmitted chains: the virtio header by its clauses, and the frame's bytes behind it."""

import struct
from typing import NamedTuple

from ..impl.harness.frames import Frame, Gso
from ..impl.harness.net_operations import (
    F_CSUM,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    F_MRG_RXBUF,
    F_VERSION_1,
)
from .clauses import Docket
from .negotiation import F_GUEST_HDRLEN, F_HOST_USO, F_MTU
from .packets import CHECKSUM_AT, layers, pseudo_sum, stored_sum, whole

NEEDS_CSUM, DATA_VALID, RSC_INFO = 1, 2, 4
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 3, 4, 5, 0x80
_HEADER = struct.Struct("<BBHHHH")
_SHORT, _LONG = 10, 12
_OFFLOADS = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_UFO | F_HOST_USO
_OF_TYPE = {
    GSO_TCPV4: (F_HOST_TSO4, "5.1.6.2.1d", "HOST_TSO4"),
    GSO_TCPV6: (F_HOST_TSO6, "5.1.6.2.1e", "HOST_TSO6"),
    GSO_UDP: (F_HOST_UFO, "5.1.6.2.1f", "HOST_UFO"),
    GSO_UDP_L4: (F_HOST_USO, "5.1.6.2.1g", "HOST_USO"),
}
_ETHERNET_FRAME = 1514


class Header(NamedTuple):
    """``struct virtio_net_hdr`` without num_buffers."""

    flags: int
    gso_type: int
    hdr_len: int
    gso_size: int
    csum_start: int
    csum_offset: int


def header_size(features: int) -> int:
    """Bytes of the header under the features accepted: VIRTIO 1.3 sections 5.1.6 and 5.1.6.1."""
    return _LONG if features & (F_VERSION_1 | F_MRG_RXBUF) else _SHORT


class Headers:
    """Judges chains transmitted under ``features`` into a docket.

    A chain is all bytes the device read; with it comes the frame that was sent, or None if that is not known:
    then only what the header says of itself is judged.
    """

    def __init__(self, features: int, docket: Docket | None = None, *, mtu: int = 1500) -> None:
        self.docket = docket if docket is not None else Docket()
        self._features = features
        self._size = header_size(features)
        self._mtu = mtu

    def see(self, chain: bytes, frame: Frame | None = None) -> None:
        """Judge one chain."""
        size = self._size
        if frame is not None:
            size = self._judge_size(chain, frame)
        elif not self._whole_header(chain):
            return
        if len(chain) < _SHORT:
            return
        header, data = Header(*_HEADER.unpack_from(chain)), chain[size:]
        if self._size == _LONG and len(chain) >= _LONG:  # what a device reads there, whatever was meant
            buffers = int.from_bytes(chain[_SHORT:_LONG], "little")
            self.docket.check("5.1.6.2.1a", buffers == 0, f"num_buffers is {buffers}")
        self._judge_flags(header)
        self._judge_gso(header)
        self._judge_length(header, data, frame)
        if frame is not None:
            self._judge_checksum(header, data, frame)
            self._judge_segmentation(header, frame)

    def _whole_header(self, chain: bytes) -> bool:
        said = f"a chain of {len(chain)} bytes, too short for a header of {self._size} and a frame"
        self.docket.check("5.1.6/n1", len(chain) > self._size, said)
        return len(chain) > self._size

    def _judge_size(self, chain: bytes, frame: Frame) -> int:
        """Judge what the chain is made of, and return how long its header is."""
        data = frame.data
        if len(chain) == self._size + len(data) and chain.endswith(data):
            self.docket.holds("5.1.6/n1")
            return self._size
        other = _LONG + _SHORT - self._size
        if len(chain) == other + len(data) and chain.endswith(data):
            said = f"the header has {other} bytes; under the features accepted it has {self._size}"
            self.docket.breaks("5.1.6/n1", said)
            return other
        got = len(chain) - self._size
        said = f"{got} bytes behind the header, the frame has {len(data)}"
        if got == len(data):
            at = next(at for at in range(got) if chain[self._size + at] != data[at])
            said = f"byte {at} of the frame is {data[at]:#04x}, in the chain {chain[self._size + at]:#04x}"
        self.docket.breaks("5.1.6/n1", said)
        return self._size

    def _judge_flags(self, header: Header) -> None:
        docket, flags = self.docket, header.flags
        if not self._features & F_CSUM:
            docket.check("5.1.6.2.1b", flags == 0, f"flags is {flags:#x} without CSUM")
        docket.check("5.1.6.2.1t", not flags & (DATA_VALID | RSC_INFO), f"flags is {flags:#x}")

    def _judge_gso(self, header: Header) -> None:
        docket, features = self.docket, self._features
        kind, ecn = header.gso_type & ~GSO_ECN, bool(header.gso_type & GSO_ECN)
        said = f"gso_type is {header.gso_type:#x}"
        docket.check("5.1.6.2/n6", kind == GSO_NONE or kind in _OF_TYPE, said)
        for number, (feature, clause, name) in _OF_TYPE.items():
            if not features & feature:
                docket.check(clause, kind != number, f"{said}, and {name} was not accepted")
        if not features & (F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_UFO | F_HOST_USO):
            docket.check("5.1.6.2.1n", header.gso_type == GSO_NONE, f"{said}; no HOST_ feature was accepted")
        if ecn:
            right = kind in (GSO_TCPV4, GSO_TCPV6) and bool(features & F_HOST_ECN)
            without = "" if features & F_HOST_ECN else ", and HOST_ECN was not accepted"
            docket.check("5.1.6.2/n3", right, said + without)
        if kind != GSO_NONE:
            docket.check("5.1.6.2.1o", bool(header.flags & NEEDS_CSUM), f"{said}, flags {header.flags:#x}")
            docket.check("5.1.6.2.1p", header.gso_size > 0, f"{said}, and gso_size is 0")

    def _judge_length(self, header: Header, data: bytes, frame: Frame | None) -> None:
        docket, features = self.docket, self._features
        plain = header.gso_type & ~GSO_ECN == GSO_NONE
        if features & F_MTU and plain:
            said = f"a frame of {len(data)} bytes where mtu is {self._mtu}"
            docket.check("5.1.4.2c", len(data) <= self._mtu + 14, said)
        # A long frame that the stack does not want segmented is no choice of the driver's.
        elif not features & F_MTU and (frame is None or frame.gso != Gso.NONE):
            said = f"a frame of {len(data)} bytes, and gso_type is NONE"
            docket.check("5.1.6.2/n5", not plain or len(data) <= _ETHERNET_FRAME, said)
        found = layers(data) if features & _OFFLOADS else None
        if found is not None:
            said = f"hdr_len is {header.hdr_len}, the headers have {found.payload} bytes"
            if features & F_GUEST_HDRLEN and not plain:
                docket.check("5.1.6.2.1q", header.hdr_len == found.payload, said)
            else:
                docket.check("5.1.6.2.1r", header.hdr_len >= found.payload, said)

    def _judge_checksum(self, header: Header, data: bytes, frame: Frame) -> None:
        docket = self.docket
        if not frame.checksum and frame.gso == Gso.NONE:
            said = (
                f"flags {header.flags:#x} and gso_type {header.gso_type:#x} for a frame that asks for nothing"
            )
            docket.check("5.1.6.2/n1", header.flags == 0 and header.gso_type == GSO_NONE, said)
        if header.flags & NEEDS_CSUM:
            end = header.csum_start + header.csum_offset + 2
            right = header.csum_offset == frame.csum_offset and end <= len(data)
            said = (
                f"the checksum is to go to byte {end - 2} of {len(data)}, {header.csum_offset} bytes from "
                f"where it starts; the frame has it {frame.csum_offset} bytes from there"
            )
            docket.check("5.1.6.2.1m", right, said)
            said = f"csum_start is {header.csum_start}, the frame's {frame.csum_start}"
            docket.check("5.1.6.2/n2", header.csum_start == frame.csum_start, said)
        found = layers(frame.data)
        if found is None:
            return
        if not frame.checksum:
            if not self._features & F_CSUM and whole(frame.data, found):
                docket.check("5.1.6.2.1c", whole(data, found), "the checksum is no longer right")
        elif (frame.csum_start, frame.csum_offset) == (found.transport, CHECKSUM_AT[found.protocol]):
            due = pseudo_sum(frame.data, found)
            if stored_sum(frame.data, found) == due:
                got = stored_sum(data, found)
                said = f"the checksum's field holds {got:#06x}, the pseudo header sums up to {due:#06x}"
                docket.check("5.1.6.2.1l", got == due, said)

    def _judge_segmentation(self, header: Header, frame: Frame) -> None:
        docket = self.docket
        kind = header.gso_type & ~GSO_ECN
        if kind == GSO_NONE:
            return
        said = f"gso_size is {header.gso_size}, the frame's {frame.gso_size}"
        docket.check("5.1.6.2.1p", header.gso_size == frame.gso_size, said)
        # The stack says whether CWR is set; a driver does not look into the packet.
        if frame.ecn and kind in (GSO_TCPV4, GSO_TCPV6):
            if self._features & F_HOST_ECN:
                said = f"gso_type is {header.gso_type:#x} for a frame with CWR"
                docket.check("5.1.6.2.1i", bool(header.gso_type & GSO_ECN), said)
            else:
                said = "a frame with CWR is left to be segmented, and HOST_ECN was not accepted"
                docket.breaks("5.1.6.2.1h", said)
