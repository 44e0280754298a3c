"""What the theorems of ``packet_theorems`` say of struct virtio_net_hdr, as the device reads it.

The device's view is written apart from the driver's: fields are put together again from the bytes in memory,
and sizes follow from the features alone. ``virtio-1.x`` claims assume nothing of the packet. ``linux-3.11``
claims assume the stack's promise, since that driver does not look.
"""

from collections.abc import Callable
from dataclasses import dataclass

import z3

from ..model.header import Bits, Bytes, Header
from ..model.scatterlist import LONGEST
from ..model.state import Flag, Number
from .theorem import Obligation, Query, Stage, lemma

LINUX, MENDED = "linux-3.11", "virtio-1.x"


@dataclass(frozen=True)
class Seen:
    """A header as the device finds it in memory."""

    memory: Bytes  # after the driver, at addresses from the header's first byte
    flags: Bits
    gso_type: Bits
    hdr_len: Bits
    gso_size: Bits
    csum_start: Bits
    csum_offset: Bits
    num_buffers: Bits


def before() -> Bytes:
    """Return memory as the driver finds it: anything."""
    memory: Bytes = z3.Function("memory", z3.IntSort(), z3.BitVecSort(8))
    return memory


def seen(header: Header) -> Seen:
    """Return what the device reads after the driver has written."""
    memory = header.written(before())

    def byte(address: int) -> Bits:
        return memory(z3.IntVal(address))

    def word(address: int) -> Bits:
        return z3.Concat(byte(address + 1), byte(address))

    return Seen(memory, byte(0), byte(1), *(word(address) for address in range(2, 12, 2)))


def expected_size(header: Header) -> Number:
    """Return the size that the device takes the header to have (VIRTIO 1.3, 5.1.6 and 5.1.6.1)."""
    f = header.features
    return z3.If(f.VERSION_1, 12, z3.If(f.MRG_RXBUF, 12, 10))


# What is assumed of a packet.


def negotiated(header: Header) -> Flag:
    """Return the stack's promise: what a packet leaves to the device was negotiated, and is of one kind.

    That is what Linux 3.11's netif_skb_features and skb_gso_ok see to: the features of a device decide what
    a packet may ask of it, and virtnet_probe names those of GSO only beside CSUM. GSO means a segment size
    there (skb_is_gso), and only TCP packets carry the ECN mark. It is *not* promised that a packet with GSO
    leaves its checksum to the device: netif_needs_gso lets pass one whose checksum is called unnecessary.
    """
    p, f = header.packet, header.features
    tcp = z3.Or(p.gso == 1, p.gso == 2)
    return z3.And(
        z3.Implies(p.checksum, f.CSUM),
        z3.Implies(p.gso == 1, f.HOST_TSO4),
        z3.Implies(p.gso == 2, f.HOST_TSO6),
        z3.Implies(p.gso == 3, f.HOST_UFO),
        z3.Implies(p.segmented, z3.And(p.gso_size != 0, f.CSUM)),
        z3.Implies(p.ecn, z3.And(tcp, f.HOST_ECN)),
    )


def plain(header: Header) -> Flag:
    """Return that the packet leaves nothing to the device."""
    return z3.And(z3.Not(header.packet.checksum), z3.Not(header.packet.segmented))


def summed(header: Header) -> Flag:
    """Return that the packet leaves its checksum to the device."""
    return header.packet.checksum


def well_formed(header: Header) -> Flag:
    """Return what is true of every frame: its parts lie in it, and it is no longer than the longest."""
    p = header.packet
    end = z3.ZeroExt(16, p.csum_start) + z3.ZeroExt(16, p.csum_offset) + 2
    sizes = z3.And(z3.ULE(p.head_length, p.length), z3.ULE(p.length, LONGEST), z3.UGE(p.length, 1))
    return z3.And(sizes, z3.Implies(p.checksum, z3.ULE(end, p.length)))


Claim = Callable[[Header, Seen], z3.BoolRef]


def header_claim(
    label: str, goal: Claim, *given: Callable[[Header], Flag], profile: str = "", refused: bool = False
) -> Obligation:
    """Return a claim about every header written, or if ``refused`` every packet, in one profile or both."""

    def build(stage: Stage) -> Query:
        header: Header = stage.model
        view = seen(header)
        hypotheses = {"frame": well_formed(header)}
        if not refused:
            hypotheses["accepted"] = z3.Not(header.is_refused())
        if profile:
            hypotheses["profile"] = header.linux == (profile == LINUX)
        hypotheses |= {each.__name__: each(header) for each in given}
        values: dict[str, z3.ExprRef] = {
            "linux_3_11": header.linux,
            "header_size": header.size(),
            "expected_size": expected_size(header),
            "refused": header.is_refused(),
            **{f"hdr.{name}": getattr(view, name) for name in Seen.__dataclass_fields__ if name != "memory"},
        }
        states = {"features": header.features, "packet": header.packet}
        return Query(hypotheses, goal(header, view), states, values)

    return lemma(f"{profile}: {label}" if profile else label, build)


def _in_both(label: str, goal: Claim, *given: Callable[[Header], Flag]) -> tuple[Obligation, ...]:
    """Return a claim for virtio-1.x, and the same for linux-3.11 if the stack keeps its promise."""
    return (
        header_claim(label, goal, *given, profile=MENDED),
        header_claim(
            f"{label}, if the stack asks only for what was negotiated",
            goal,
            *given,
            negotiated,
            profile=LINUX,
        ),
    )


# Every byte.


def _other_memory(_: z3.ArithRef) -> Bits:
    return z3.BitVec("other", 8)


def _ignores_memory(header: Header, view: Seen) -> Flag:
    address = z3.Int("address")
    other = header.written(_other_memory)
    within = z3.And(address >= 0, address < header.size())
    return z3.Implies(within, view.memory(address) == other(address))


def _writes_nothing_else(header: Header, view: Seen) -> Flag:
    address = z3.Int("address")
    return z3.Implies(z3.Or(address < 0, address >= header.size()), view.memory(address) == before()(address))


def _writes_nothing_if_refused(header: Header, view: Seen) -> Flag:
    address = z3.Int("address")
    return z3.Implies(header.is_refused(), view.memory(address) == before()(address))


def _refuses_unknown(header: Header, _: Seen) -> Flag:
    known = z3.Or([header.packet.gso == kind for kind in (0, 1, 2, 3)])
    return z3.Implies(z3.Not(known), header.is_refused())


def _refuses_unsummed(header: Header, _: Seen) -> Flag:
    p = header.packet
    return z3.Implies(z3.And(p.segmented, z3.Not(p.checksum)), header.is_refused())


def _refuses_no_other(header: Header, _: Seen) -> Flag:
    p = header.packet
    known = z3.And(z3.ULE(p.gso, 3), z3.Implies(p.segmented, p.checksum))
    return z3.Implies(known, z3.Not(header.is_refused()))


EVERY_BYTE = (
    header_claim("no byte of the header depends on what memory held", _ignores_memory),
    header_claim("no byte outside the header is written", _writes_nothing_else),
    header_claim("nothing is written of a packet that is refused", _writes_nothing_if_refused, refused=True),
    header_claim("a GSO kind that virtio does not know is refused", _refuses_unknown, refused=True),
    header_claim("GSO without checksum is refused", _refuses_unsummed, profile=MENDED, refused=True),
    header_claim(
        "no packet is refused that asks only for what was negotiated",
        _refuses_no_other,
        negotiated,
        refused=True,
    ),
)

# The size.


def _has_expected_size(header: Header, _: Seen) -> Flag:
    return header.size() == expected_size(header)


def _counts_no_buffers(header: Header, view: Seen) -> Flag:
    return z3.Implies(expected_size(header) == 12, view.num_buffers == 0)


def by_legacy_interface(header: Header) -> Flag:
    """Return that VERSION_1 was not accepted: the interface that Linux 3.11 was written for."""
    return z3.Not(header.features.VERSION_1)


SIZE = (
    header_claim("12 bytes with MRG_RXBUF or VERSION_1, else 10", _has_expected_size, profile=MENDED),
    header_claim("num_buffers, where there is one, is 0", _counts_no_buffers, profile=MENDED),
    header_claim(
        "12 bytes with MRG_RXBUF, else 10, on the legacy interface",
        _has_expected_size,
        by_legacy_interface,
        profile=LINUX,
    ),
    header_claim(
        "num_buffers, where there is one, is 0, on the legacy interface",
        _counts_no_buffers,
        by_legacy_interface,
        profile=LINUX,
    ),
)
LINUX_SIZE = (
    header_claim(
        "a plain packet has 12 bytes with MRG_RXBUF or VERSION_1, else 10",
        _has_expected_size,
        plain,
        profile=LINUX,
    ),
)
LINUX_NUM_BUFFERS = (
    header_claim(
        "num_buffers of a plain packet, where there is one, is 0", _counts_no_buffers, plain, profile=LINUX
    ),
)

# The checksum.


def _asks_for_checksum(header: Header, view: Seen) -> Flag:
    return (view.flags == 1) == header.packet.checksum


def _no_other_flag(_: Header, view: Seen) -> Flag:
    return view.flags & 0xFE == 0


def _only_with_csum(header: Header, view: Seen) -> Flag:
    return z3.Implies(z3.Not(header.features.CSUM), view.flags == 0)


def _counts_from_the_frame(header: Header, view: Seen) -> Flag:
    p = header.packet
    same = z3.And(view.csum_start == p.csum_start, view.csum_offset == p.csum_offset)
    return z3.Implies(view.flags & 1 == 1, same)


def _lies_in_the_frame(header: Header, view: Seen) -> Flag:
    end = z3.ZeroExt(16, view.csum_start) + z3.ZeroExt(16, view.csum_offset) + 2
    return z3.Implies(view.flags & 1 == 1, z3.ULE(end, header.packet.length))


CHECKSUM = (
    header_claim(
        "NEEDS_CSUM is set just when the packet leaves its checksum to the device", _asks_for_checksum
    ),
    header_claim("no other bit of flags is set", _no_other_flag),
    *_in_both("without CSUM flags is 0", _only_with_csum),
    header_claim(
        "csum_start and csum_offset are the packet's, counted from the frame", _counts_from_the_frame
    ),
    header_claim("the two bytes of the checksum lie in the frame", _lies_in_the_frame),
)

# Segmentation.


def _kind(view: Seen) -> Bits:
    return view.gso_type & 0x7F


def _has_the_feature(header: Header, view: Seen) -> Flag:
    f = header.features
    needed = ((1, f.HOST_TSO4), (4, f.HOST_TSO6), (3, f.HOST_UFO))
    return z3.And([z3.Implies(_kind(view) == number, feature) for number, feature in needed])


def _none_without_features(header: Header, view: Seen) -> Flag:
    f = header.features
    return z3.Implies(z3.Not(z3.Or(f.HOST_TSO4, f.HOST_TSO6, f.HOST_UFO)), view.gso_type == 0)


def _is_the_packets_kind(header: Header, view: Seen) -> Flag:
    numbers = {0: 0, 1: 1, 2: 4, 3: 3}
    return z3.And(
        [z3.Implies(header.packet.gso == kind, _kind(view) == number) for kind, number in numbers.items()]
    )


def _is_a_kind(_: Header, view: Seen) -> Flag:
    return z3.Or([_kind(view) == number for number in (0, 1, 3, 4)])


def _marks_ecn(header: Header, view: Seen) -> Flag:
    return z3.Implies(header.packet.segmented, (view.gso_type & 0x80 == 0x80) == header.packet.ecn)


def _marks_only_tcp(header: Header, view: Seen) -> Flag:
    tcp = z3.Or(_kind(view) == 1, _kind(view) == 4)
    return z3.Implies(view.gso_type & 0x80 == 0x80, z3.And(tcp, header.features.HOST_ECN))


def _needs_checksum(_: Header, view: Seen) -> Flag:
    return z3.Implies(view.gso_type != 0, view.flags & 1 == 1)


def _has_a_size(header: Header, view: Seen) -> Flag:
    sized = z3.And(view.gso_size == header.packet.gso_size, view.gso_size != 0)
    return z3.Implies(view.gso_type != 0, sized)


def _plain_is_none(header: Header, view: Seen) -> Flag:
    return z3.Implies(z3.Not(header.packet.segmented), view.gso_type == 0)


def _headers_fit(header: Header, view: Seen) -> Flag:
    # How long the packet's own headers are, the driver does not know.
    headers = z3.BitVec("headers", 32)
    linear = z3.And(z3.ULE(headers, header.packet.head_length), z3.ULE(headers, 0xFFFF))
    asked = z3.And(linear, view.gso_type != 0)
    return z3.Implies(asked, z3.UGE(z3.ZeroExt(16, view.hdr_len), headers))


def linear_part_below_64_kib(header: Header) -> Flag:
    """Return that hdr_len, a field of 16 bits, can hold the length of the linear part."""
    return z3.ULE(header.packet.head_length, 0xFFFF)


SEGMENTATION = (
    *_in_both("gso_type asks for no segments whose feature was not accepted", _has_the_feature),
    *_in_both("without any of those features gso_type is 0", _none_without_features),
    header_claim("gso_type stands for the packet's kind: TCPV4 1, TCPV6 4, UDP 3", _is_the_packets_kind),
    header_claim("gso_type, but for the ECN bit, is 0, 1, 3 or 4", _is_a_kind),
    header_claim("of a packet without GSO gso_type is 0", _plain_is_none),
    header_claim("gso_type has the ECN bit just when the packet's segments carry CWR", _marks_ecn),
    *_in_both("the ECN bit goes only with TCP, and with HOST_ECN", _marks_only_tcp),
    header_claim("segments are only asked for with NEEDS_CSUM", _needs_checksum, profile=MENDED),
    *_in_both("segments have the packet's gso_size, which is not 0", _has_a_size),
    header_claim(
        "hdr_len of a packet with GSO covers its headers, if they are in the linear part",
        _headers_fit,
        profile=MENDED,
    ),
    header_claim(
        "hdr_len of a packet with GSO covers its headers, if they are in a linear part below 64 KiB",
        _headers_fit,
        linear_part_below_64_kib,
        profile=LINUX,
    ),
)
LINUX_UNSUMMED = (
    header_claim("segments are only asked for with NEEDS_CSUM", _needs_checksum, negotiated, profile=LINUX),
)
LINUX_HDR_LEN = (
    header_claim(
        "hdr_len of a packet with GSO covers its headers, if they are in the linear part",
        _headers_fit,
        negotiated,
        summed,
        profile=LINUX,
    ),
)
