"""What the theorems of ``packet_theorems`` say of skb_to_sgvec: invariants of the walk, and claims about it.

All invariants are kept together by every step; each belongs to the theorem whose subject it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import z3

from ..model.scatterlist import LONGEST, MAX_SKB_FRAGS, PAGE, Call, Scatterlist, Step, Walk
from ..model.state import Flag
from .scatterlist_sums import NO_LIST, TAIL, WHOLE, is_whole, known, obligation, shown
from .theorem import Obligation, Query, Stage

INT_MAX = (1 << 31) - 1
"""The largest value of C's type int, as wide as on every machine that Linux 3.11 runs on."""


@dataclass(frozen=True)
class Invariant:
    """What holds at every moment of a walk, in words and as a formula."""

    words: str
    holds: Callable[[Scatterlist, Walk], Flag]


def _start(sg: Scatterlist, w: Walk) -> Flag:
    return z3.And(w.part >= 0, w.part <= sg.data.parts, w.start == sg.data.begin(w.part))


def _left(sg: Scatterlist, w: Walk) -> Flag:
    return z3.And(w.left >= 0, w.emitted >= 0, w.emitted + w.left == sg.length)


def _reached(_: Scatterlist, w: Walk) -> Flag:
    waiting = z3.Implies(w.left > 0, w.start <= w.offset)
    return z3.And(waiting, z3.Implies(w.emitted > 0, w.offset <= w.start))


def _unrefused(_: Scatterlist, w: Walk) -> Flag:
    return z3.Not(w.refused)


def _offset(sg: Scatterlist, w: Walk) -> Flag:
    return w.offset == sg.offset + w.emitted


def _in_place(_: Scatterlist, w: Walk) -> Flag:
    return w.in_place


def _touched(sg: Scatterlist, w: Walk) -> Flag:
    return w.entries - sg.first == sg.data.touched(w.part)


def _bounds(sg: Scatterlist, w: Walk) -> Flag:
    entries = w.entries - sg.first
    some = z3.Implies(w.emitted > 0, entries >= 1)
    return z3.And(some, entries >= 0, entries <= sg.data.pieces(w.part), entries <= w.emitted)


def _marks(sg: Scatterlist, w: Walk) -> Flag:
    written = z3.And(sg.entry >= sg.first, sg.entry < w.entries)
    return z3.And(w.entries >= sg.first, w.marked == z3.And(sg.stale, z3.Not(written)))


INVARIANTS: dict[str, Invariant] = {
    "start": Invariant("start is where the part looked at begins", _start),
    "left": Invariant("the bytes left and those emitted are the length asked for, and never negative", _left),
    "reached": Invariant("the offset is at or behind the part looked at, and right at it once any", _reached),
    "unrefused": Invariant("no packet of the list was asked for bytes it does not have", _unrefused),
    "offset": Invariant("the offset is the one asked for plus the bytes emitted", _offset),
    "in-place": Invariant("each segment lies in one piece and names the bytes that were next", _in_place),
    "touched": Invariant("there is one segment per piece passed that holds a byte asked for", _touched),
    "bounds": Invariant("there is at most one segment per piece, and per byte: none is empty", _bounds),
    "marks": Invariant("of this call's entries none is marked, and no other entry has changed", _marks),
}


def invariants(sg: Scatterlist, walk: Walk) -> dict[str, Flag]:
    """Return every invariant of a walk."""
    return {name: each.holds(sg, walk) for name, each in INVARIANTS.items()}


# Obligations about the start, a step, any moment, and the end.

Formula = Callable[[Scatterlist, Step], Flag]


def begins(name: str) -> Obligation:
    """Return that the invariant holds before the first step."""

    def build(stage: Stage) -> Query:
        sg: Scatterlist = stage.model
        begun, zero = sg.begun(), z3.IntVal(0)
        goal = INVARIANTS[name].holds(sg, begun)
        return Query(known(sg, zero), goal, {"begun": begun}, shown(sg, zero))

    return obligation(f"start: {INVARIANTS[name].words}", "start", build)


def step_claim(label: str, name: str, formula: Formula, given: Formula | None = None) -> Obligation:
    """Return what a step has to show, from any moment in which all invariants hold."""

    def build(stage: Stage) -> Query:
        sg: Scatterlist = stage.model
        step = sg.take(name)
        part = step.before.part
        hypotheses = {**known(sg, part), **invariants(sg, step.before), "guard": step.guard}
        if step.inner is not None:
            hypotheses |= {f"inner-{clause}": fact for clause, fact in sg.contract(*step.inner).items()}
        if given is not None:
            hypotheses["given"] = given(sg, step)
        values = {
            **shown(sg, part),
            "taken": step.taken,
            "segment_at": step.at,
            "segment_length": step.copy,
            "entry": sg.entry,
        }
        return Query(hypotheses, formula(sg, step), {"before": step.before, "after": step.after}, values)

    return obligation(f"{name}: {label}", name, build)


def keeps(*names: str) -> Iterator[Obligation]:
    """Yield that each invariant holds at the start, and after a step if all held before it."""
    for name in names:
        yield begins(name)
        for step in Scatterlist.steps:
            yield step_claim(INVARIANTS[name].words, step, _Kept(name))


@dataclass(frozen=True)
class _Kept:
    name: str

    def __call__(self, sg: Scatterlist, step: Step) -> Flag:
        return INVARIANTS[self.name].holds(sg, step.after)


def moment_claim(
    label: str, group: str, formula: Callable[[Scatterlist, Walk], tuple[Flag, Flag]]
) -> Obligation:
    """Return a claim about any moment of a walk: a further hypothesis and the goal."""

    def build(stage: Stage) -> Query:
        sg: Scatterlist = stage.model
        walk = sg.moment()
        hypothesis, goal = formula(sg, walk)
        bounds = {bound.words: bound.holds(sg, walk.part) for bound in (TAIL,)}
        bounds |= {bound.words: bound.holds(sg, sg.data.parts) for bound in (NO_LIST, WHOLE)}
        hypotheses = {**known(sg, walk.part), **bounds, **invariants(sg, walk), "given": hypothesis}
        values = {**shown(sg, walk.part), "first": sg.first, "entry": sg.entry, "stale": sg.stale}
        return Query(hypotheses, goal, {"walk": walk}, values)

    return obligation(f"{group}: {label}", group, build)


def _kept_to(label: str, clause: str) -> Obligation:
    """Return that the call keeps to a clause of the contract that calls inside are taken to keep to."""
    return moment_claim(
        label, "end", lambda sg, w: (sg.has_ended(w), sg.contract(sg.call(), sg.outcome(w))[clause])
    )


# The bytes.

BYTES_AT_END = (
    _kept_to("the segments hold as many bytes as were asked for", "emitted"),
    _kept_to("each of them names the bytes that were next", "in-place"),
)

# The walk itself.


def _asks_for_what_is_there(_: Scatterlist, step: Step) -> Flag:
    assert step.inner is not None
    call, _outcome = step.inner
    inside = z3.And(call.offset >= 0, call.length >= 1, call.offset + call.length <= call.data)
    return z3.Implies(step.taken, inside)


def _has_fewer_parts(sg: Scatterlist, step: Step) -> Flag:
    return sg.data.parts_of(step.before.part) < sg.data.rank(step.before.part)


def _ranks_lower(sg: Scatterlist, step: Step) -> Flag:
    after = sg.data.rank(step.after.part)
    return z3.And(after >= 0, after < sg.data.rank(step.before.part))


def _within_limits(call: Call) -> Flag:
    most = z3.And(call.data <= LONGEST, call.offset <= LONGEST, call.length <= LONGEST)
    return z3.And(most, call.first + call.length <= 2 * LONGEST)


def _is_within_limits(sg: Scatterlist, _: Step) -> Flag:
    return _within_limits(sg.call())


def _asks_within_limits(_: Scatterlist, step: Step) -> Flag:
    assert step.inner is not None
    return z3.Implies(step.taken, _within_limits(step.inner[0]))


def _fits_an_int(sg: Scatterlist, step: Step) -> Flag:
    numbers = sg.intermediates(step.before).values()
    return z3.And([z3.And(number >= -INT_MAX - 1, number <= INT_MAX) for number in numbers])


def _lies_in_its_page(sg: Scatterlist, step: Step) -> Flag:
    del sg
    return z3.Implies(step.taken, z3.And(step.at >= 0, step.copy >= 0, step.at + step.copy <= PAGE))


def _goes_on(sg: Scatterlist, walk: Walk) -> tuple[Flag, Flag]:
    guards = [getattr(sg, name)(walk).guard for name in Scatterlist.steps]
    one = z3.And(z3.Or(guards), *(z3.Not(z3.And(g, h)) for i, g in enumerate(guards) for h in guards[:i]))
    return z3.BoolVal(True), z3.Or(sg.has_ended(walk), one)


ENDS = (
    step_claim(
        "the packet is asked for bytes that it has, and at least one", "packet", _asks_for_what_is_there
    ),
    step_claim(
        "the packet has fewer parts in its tree than are still to be looked at", "packet", _has_fewer_parts
    ),
    *(step_claim("fewer parts are left to look at", name, _ranks_lower) for name in Scatterlist.steps),
    moment_claim("one step can be taken until the walk has ended, and no two", "between", _goes_on),
    *(
        step_claim(
            f"of up to {LONGEST} bytes, every number fits an int of 32 bits",
            name,
            _fits_an_int,
            _is_within_limits,
        )
        for name in Scatterlist.steps
    ),
    step_claim(
        "what the packet is asked for is within those limits",
        "packet",
        _asks_within_limits,
        _is_within_limits,
    ),
    _kept_to("more than the packet has is refused, and nothing else is", "refused"),
)

# The number of segments.


def _fits_without_list(sg: Scatterlist, walk: Walk) -> tuple[Flag, Flag]:
    ended = z3.And(sg.has_ended(walk), sg.data.packets == 0, sg.data.fragments <= MAX_SKB_FRAGS)
    return ended, sg.outcome(walk).entries <= 1 + MAX_SKB_FRAGS


def _counts_filled(sg: Scatterlist, walk: Walk) -> tuple[Flag, Flag]:
    filled = sg.data.filled(sg.data.parts)
    return z3.And(sg.has_ended(walk), is_whole(sg)), sg.outcome(walk).entries == filled


def _is_not_empty(_: Scatterlist, step: Step) -> Flag:
    return z3.Implies(step.taken, step.copy >= 1)


COUNT_AT_END = (
    *(step_claim("no segment is empty", name, _is_not_empty) for name in Scatterlist.steps),
    _kept_to("there is one segment per piece that holds a byte asked for", "touched"),
    _kept_to("there are no more of them than pieces, or than bytes", "bounds"),
    _kept_to("there is at least one", "some"),
    moment_claim(f"without a list there are at most {1 + MAX_SKB_FRAGS}", "end", _fits_without_list),
    moment_claim("of a whole packet, one per piece that is not empty", "end", _counts_filled),
)

# The end mark.


def _marks_the_last(sg: Scatterlist, walk: Walk) -> tuple[Flag, Flag]:
    # The entries before the call's own, such as the header's, were written for this frame, too.
    fresh = z3.Implies(sg.entry < sg.first, z3.Not(sg.stale))
    given = z3.And(sg.has_ended(walk), z3.Not(sg.outcome(walk).refused), fresh, sg.entry >= 0)
    last = sg.entry == walk.entries - 1
    return given, z3.Implies(sg.entry < walk.entries, sg.marked_at_end(walk) == last)


def _leaves_the_rest(sg: Scatterlist, walk: Walk) -> tuple[Flag, Flag]:
    given = z3.And(sg.has_ended(walk), sg.entry >= walk.entries)
    return given, sg.marked_at_end(walk) == sg.stale


MARK_AT_END = (
    _kept_to("of this call's entries none was marked on the way", "marks"),
    moment_claim("of the frame's entries the last is marked, and no other", "end", _marks_the_last),
    moment_claim("no entry behind it has changed", "end", _leaves_the_rest),
)

IN_PAGE = step_claim("the segment lies in the fragment's page", "fragment", _lies_in_its_page)
