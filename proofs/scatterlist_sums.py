"""Sums over the parts of a packet: bounds that follow from what they are, by induction.

``model.scatterlist`` says what each sum is; that none is negative, say, takes an induction from its one end
to the other. The claims about the walk take these bounds for granted at the part they speak of.
"""

from collections.abc import Callable
from dataclasses import dataclass

import z3

from ..model.scatterlist import Scatterlist
from ..model.state import Flag, Number
from .theorem import Obligation, Query, Stage


def obligation(label: str, group: str, build: Callable[[Stage], Query]) -> Obligation:
    """Return an obligation without quantifiers: what refutes it is a packet, a part, a moment."""
    return Obligation(label, group, build, every_size=False)


def shown(sg: Scatterlist, part: Number) -> dict[str, z3.ExprRef]:
    """Return what a counterexample tells of the packet, of a part, and of what was asked."""
    p = sg.data
    return {
        "fragments": p.fragments,
        "packets": p.packets,
        "packet_length": p.length,
        "asked_offset": sg.offset,
        "asked_length": sg.length,
        "part_size": p.size(part),
        "part_begin": p.begin(part),
        "page_offset": z3.If(p.is_fragment(part), p.page_offset(part), 0),
    }


def _low(sg: Scatterlist, part: Number) -> Flag:
    p = sg.data
    return z3.And(p.begin(part) >= 0, p.pieces(part) >= z3.If(part > 0, 1, 0))


def _high(sg: Scatterlist, part: Number) -> Flag:
    p = sg.data
    return z3.And(p.begin(part) <= p.length, p.pieces(part) <= p.pieces(p.parts), p.rank(part) >= 0)


def _untouched(sg: Scatterlist, part: Number) -> Flag:
    p = sg.data
    behind = p.begin(part) >= sg.offset + sg.length
    return z3.Implies(behind, p.touched(part) == p.touched(p.parts))


def _alone(sg: Scatterlist, part: Number) -> Flag:
    return z3.Implies(z3.And(sg.data.packets == 0, part <= sg.data.parts), sg.data.pieces(part) == part)


def is_whole(sg: Scatterlist) -> Flag:
    """Return that the call is asked for all bytes of its packet."""
    return z3.And(sg.offset == 0, sg.length == sg.data.length)


def _filled(sg: Scatterlist, part: Number) -> Flag:
    return z3.Implies(is_whole(sg), sg.data.touched(part) == sg.data.filled(part))


@dataclass(frozen=True)
class Bound:
    """A bound of sums at any part, proved from the first part on (``up``) or from the end down."""

    words: str
    holds: Callable[[Scatterlist, Number], Flag]
    up: bool
    rests_on: tuple[Callable[[Scatterlist, Number], Flag], ...] = ()

    def at_end(self) -> Obligation:
        """Return that it holds at its one end."""

        def build(stage: Stage) -> Query:
            sg: Scatterlist = stage.model
            part = z3.IntVal(0) if self.up else sg.data.parts
            return Query({**sg.shape(part), **sg.sums(part)}, self.holds(sg, part), values=shown(sg, part))

        return obligation(f"sums, at the {'first' if self.up else 'last'} part: {self.words}", "sums", build)

    def onward(self) -> Obligation:
        """Return that it holds on the way to the other end, part by part."""

        def build(stage: Stage) -> Query:
            sg: Scatterlist = stage.model
            part = z3.Int("part")
            old, new = (part, part + 1) if self.up else (part + 1, part)
            hypotheses = {
                **sg.shape(part),
                **sg.sums(part),
                "inside": part < sg.data.parts,
                "bounds": z3.And([bound(sg, each) for bound in self.rests_on for each in (part, part + 1)]),
                "given": self.holds(sg, old),
            }
            return Query(hypotheses, self.holds(sg, new), values=shown(sg, part))

        return obligation(f"sums, from part to part: {self.words}", "sums", build)


_LOW = Bound("no sum is negative", _low, up=True)
_HIGH = Bound("no sum over some parts is more than that over all", _high, up=False, rests_on=(_low,))
TAIL = Bound("no part behind the range holds a byte asked for", _untouched, up=False)
NO_LIST = Bound("without a list, each part is one piece", _alone, up=True)
WHOLE = Bound(
    "of a whole packet, every piece that is not empty is asked for", _filled, up=True, rests_on=(_low, _high)
)


def _of_a_tree(stage: Stage) -> Query:
    # What ``shape`` takes to be true of the packets of a list, shown of the packet that has the list.
    sg: Scatterlist = stage.model
    p, first = sg.data, z3.IntVal(0)
    hypotheses = {**sg.shape(first), **sg.sums(first), "low": _low(sg, p.parts), "high": _high(sg, first + 1)}
    goal = z3.And(p.length >= 0, p.pieces(p.parts) >= 1, p.rank(first) >= 1)
    return Query(hypotheses, goal, values=shown(sg, first))


SUMS = (
    _LOW.at_end(),
    _LOW.onward(),
    _HIGH.at_end(),
    _HIGH.onward(),
    obligation("sums, of all parts: there is a part and a piece, and no negative length", "sums", _of_a_tree),
)
COUNT = (
    TAIL.onward(),  # At the last part it says that a sum is itself.
    NO_LIST.at_end(),
    NO_LIST.onward(),
    WHOLE.at_end(),
    WHOLE.onward(),
)


def known(sg: Scatterlist, part: Number) -> dict[str, Flag]:
    """Return what is known of the packet and of a part: what it is, its sums, and their bounds."""
    onward = z3.Implies(part < sg.data.parts, _high(sg, part + 1))
    bounds = {"sums-low": _low(sg, part), "sums-high": _high(sg, part), "sums-high-next": onward}
    return {**sg.shape(part), **sg.sums(part), **bounds}
