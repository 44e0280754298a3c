"""The mutants of a packet's way to the ring: skb_to_sgvec and the header, with one decision changed."""

import z3

from ...model.header import Bits, Header
from ...model.scatterlist import Scatterlist, Walk
from ...model.state import Flag, Number
from .mutation import Mutation, breaks


class _E2(Header):
    def is_long(self) -> Flag:
        return z3.BoolVal(True)


class _E3(Header):
    def is_long(self) -> Flag:
        return self.features.MRG_RXBUF


class _E6(Header):
    def clears_unused(self) -> Flag:
        return z3.BoolVal(False)


class _E11(Scatterlist):
    def is_wanted(self, copy: Number) -> Flag:
        return copy >= 0


class _X11(Scatterlist):
    def fragment_byte(self, walk: Walk) -> Number:
        return walk.offset - walk.start


class _X12(Scatterlist):
    def relative_offset(self, walk: Walk) -> Number:
        return walk.offset


class _X13(Scatterlist):
    def marks_last(self) -> Flag:
        return z3.BoolVal(False)


class _X15(Header):
    def csum_start(self) -> Bits:
        size = z3.If(self.is_long(), z3.BitVecVal(12, 16), z3.BitVecVal(10, 16))
        return self.packet.csum_start + size


class _X16(Header):
    def ecn_bit(self) -> Bits:
        return z3.BitVecVal(0, 8)


MUTANTS: dict[str, Mutation] = {
    "E2": breaks(_E2, "header-size-by-feature"),
    "E3": breaks(_E3, "header-size-by-feature"),
    "E6": breaks(_E6, "header-written-whole"),
    "E11": breaks(_E11, "segment-count-exact"),
    "X11": breaks(_X11, "segments-are-the-bytes"),
    "X12": breaks(_X12, "segments-are-the-bytes", "segment-count-exact", "scatterlist-walk-ends"),
    "X13": breaks(_X13, "end-mark-on-last"),
    "X15": breaks(_X15, "checksum-request-right"),
    "X16": breaks(_X16, "segmentation-request-right"),
}
"""Every mutant of the frame catalog that these two models can express, by id."""
