"""struct virtio_net_hdr: the bytes that go before every frame (xmit_skb of Linux 3.11; VIRTIO 1.3, 5.1.6).

A function of the packet, the features accepted and the profile, every one of them symbolic: all packets under
all feature sets at once. What memory held before is arbitrary. Little endian, as VERSION_1 wants and as the
legacy interface has it on little-endian machines.

Two profiles: linux-3.11 relies on the stack to ask for nothing that was not negotiated; virtio-1.x looks
itself. Every decision a driver is known to get wrong has a method of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import z3

from .state import Flag, Number

Bits: TypeAlias = z3.BitVecRef
Bytes: TypeAlias = Callable[[z3.ArithRef], z3.BitVecRef]
"""Memory: a byte, 8 bits, at each address counted from the header's first byte."""

NEEDS_CSUM = 1
"""Of flags: the checksum is the device's to complete."""

GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6 = 0, 1, 3, 4
"""Numbers of gso_type on the wire."""

GSO_ECN = 0x80
"""Of gso_type: the TCP segment carries CWR."""

LONG, SHORT = 12, 10
"""Bytes of the header with num_buffers and without."""


@dataclass(frozen=True)
class Features:
    """What was accepted, of the features that matter to a header."""

    CSUM: Flag
    HOST_TSO4: Flag
    HOST_TSO6: Flag
    HOST_ECN: Flag
    HOST_UFO: Flag
    MRG_RXBUF: Flag
    VERSION_1: Flag


@dataclass(frozen=True)
class Packet:
    """What the stack says of a packet. Lengths and positions are in bytes, 16 bits wide where not noted."""

    length: Bits  # 32 bits
    head_length: Bits  # of its linear part, 32 bits
    checksum: Flag  # left to the device
    csum_start: Bits  # from the frame's first byte
    csum_offset: Bits
    gso: Bits  # 8 bits: 0 none, 1 TCPV4, 2 TCPV6, 3 UDP; anything else is unknown to virtio
    gso_size: Bits
    ecn: Flag

    @property
    def segmented(self) -> Flag:
        """Whether the device is to make segments of it."""
        return self.gso != 0


@dataclass(frozen=True)
class Fields:
    """The fields of a header."""

    flags: Bits  # 8 bits
    gso_type: Bits  # 8 bits
    hdr_len: Bits
    gso_size: Bits
    csum_start: Bits
    csum_offset: Bits
    num_buffers: Bits


class Header:
    """The header of any packet, under any features and in either profile."""

    def __init__(self) -> None:
        names = Features.__dataclass_fields__
        self.features = Features(**{name: z3.Bool(name) for name in names})
        self.linux = z3.Bool("linux_3_11")
        self.packet = Packet(
            length=z3.BitVec("length", 32),
            head_length=z3.BitVec("head_length", 32),
            checksum=z3.Bool("checksum"),
            csum_start=z3.BitVec("csum_start", 16),
            csum_offset=z3.BitVec("csum_offset", 16),
            gso=z3.BitVec("gso", 8),
            gso_size=z3.BitVec("gso_size", 16),
            ecn=z3.Bool("ecn"),
        )

    # Size and refusal.

    def size(self) -> Number:
        """Return how many bytes it has."""
        return z3.If(self.is_long(), LONG, SHORT)

    def is_long(self) -> Flag:
        """Tell whether num_buffers is there: Linux 3.11 knows MRG_RXBUF as its only reason."""
        f = self.features
        return z3.Or(f.MRG_RXBUF, z3.And(f.VERSION_1, z3.Not(self.linux)))

    def is_refused(self) -> Flag:
        """Tell whether the packet is refused, which is before any byte is written."""
        return z3.Or(self.is_unknown(), z3.And(z3.Not(self.linux), self.is_not_agreed()))

    def is_unknown(self) -> Flag:
        """Tell whether no gso_type stands for what the packet asks for."""
        return z3.UGT(self.packet.gso, 3)

    def is_not_agreed(self) -> Flag:
        """Tell whether the packet asks for what was not negotiated, or for segments that lack something."""
        p, f = self.packet, self.features
        agreed = (
            z3.Implies(p.checksum, f.CSUM),
            z3.Implies(p.segmented, z3.And(p.checksum, p.gso_size != 0, self.host_feature())),
            z3.Implies(p.ecn, z3.And(z3.Or(p.gso == 1, p.gso == 2), f.HOST_ECN)),
        )
        return z3.Not(z3.And(agreed))

    def host_feature(self) -> Flag:
        """Tell whether the feature of the packet's GSO kind was accepted."""
        f, gso = self.features, self.packet.gso
        return z3.Or(
            z3.And(gso == 1, f.HOST_TSO4), z3.And(gso == 2, f.HOST_TSO6), z3.And(gso == 3, f.HOST_UFO)
        )

    # Fields.

    def fields(self) -> Fields:
        """Return the value of every field."""
        p = self.packet
        nothing = z3.BitVecVal(0, 16)
        return Fields(
            flags=z3.If(p.checksum, z3.BitVecVal(NEEDS_CSUM, 8), z3.BitVecVal(0, 8)),
            gso_type=self.gso_type(),
            hdr_len=z3.If(p.segmented, self.hdr_len(), nothing),
            gso_size=z3.If(p.segmented, p.gso_size, nothing),
            csum_start=z3.If(p.checksum, self.csum_start(), nothing),
            csum_offset=z3.If(p.checksum, p.csum_offset, nothing),
            num_buffers=nothing,
        )

    def gso_type(self) -> Bits:
        """Return the kind of segments, with the ECN bit if the packet asks for it."""
        gso = self.packet.gso
        numbers = (z3.BitVecVal(each, 8) for each in (GSO_TCPV4, GSO_TCPV6, GSO_UDP, GSO_NONE))
        tcpv4, tcpv6, udp, none = numbers
        kind = z3.If(gso == 1, tcpv4, z3.If(gso == 2, tcpv6, udp))
        return z3.If(self.packet.segmented, kind | self.ecn_bit(), none)

    def ecn_bit(self) -> Bits:
        """Return the bit that goes with the kind of segments."""
        return z3.If(self.packet.ecn, z3.BitVecVal(GSO_ECN, 8), z3.BitVecVal(0, 8))

    def hdr_len(self) -> Bits:
        """Return the length of the linear part, which holds the headers.

        What 16 bits cannot hold is cut in linux-3.11, and the largest number there is in virtio-1.x.
        """
        length = self.packet.head_length
        whole = z3.Or(self.linux, z3.ULE(length, 0xFFFF))
        return z3.If(whole, z3.Extract(15, 0, length), z3.BitVecVal(0xFFFF, 16))

    def csum_start(self) -> Bits:
        """Return where the device starts to sum, counted from the frame's first byte."""
        return self.packet.csum_start

    def clears_unused(self) -> Flag:
        """Tell whether the fields of an offload that is not asked for are written, too."""
        return z3.BoolVal(True)

    # Bytes.

    def written(self, memory: Bytes) -> Bytes:
        """Return memory after the header was written to its start, or the packet refused."""
        fields, unused = self.fields(), self.clears_unused()
        segmented, summed = z3.Or(self.packet.segmented, unused), z3.Or(self.packet.checksum, unused)
        always = z3.BoolVal(True)
        layout = (
            (fields.flags, always),
            (fields.gso_type, always),
            (fields.hdr_len, segmented),
            (fields.gso_size, segmented),
            (fields.csum_start, summed),
            (fields.csum_offset, summed),
            (fields.num_buffers, self.size() == LONG),
        )
        accepted = z3.Not(self.is_refused())
        stores = [(byte, z3.And(accepted, there)) for value, there in layout for byte in self.encoded(value)]

        def after(address: Number) -> Bits:
            byte = memory(address)
            for place, (value, there) in enumerate(stores):
                byte = z3.If(z3.And(address == place, there), value, byte)
            return byte

        return after

    def encoded(self, value: Bits) -> tuple[Bits, ...]:
        """Return the bytes of a field, lowest first."""
        return tuple(z3.Extract(low + 7, low, value) for low in range(0, value.size(), 8))
