"""What the theorems say beyond invariants: claims about one transition, one state, or plain numbers."""

from collections.abc import Callable
from dataclasses import fields

import z3

from ..model.invariants import assumed
from ..model.ring import Step
from ..model.size import LARGEST, WORD, u16
from ..model.state import State, arbitrary
from .theorem import Obligation, Query, Stage, claim, lemma

SIZES = tuple(1 << power for power in range(16))
"""Every queue size a split virtqueue may have: 1 to 32768."""


def between(label: str, formula: Callable[[Stage, State], tuple[z3.BoolRef, z3.BoolRef]]) -> Obligation:
    """Return a claim about any state between two operations: a further hypothesis and the goal."""

    def build(stage: Stage) -> Query:
        state = arbitrary()
        hypothesis, goal = formula(stage, state)
        values = {"queue_size": stage.ring.queue_size}
        return Query({**assumed(stage.ring, state), "given": hypothesis}, goal, {"state": state}, values)

    return Obligation(f"between: {label}", "between", build)


# Slots.


def _masked_slots(stage: Stage) -> Query:
    size, i, j = z3.BitVecs("queue_size i j", 16)
    near = z3.And(i != j, z3.ULT(i - j, size))
    here, there = stage.ring.masked(i, size), stage.ring.masked(j, size)
    goal = z3.And(z3.ULT(here, size), here == z3.URem(i, size), z3.Implies(near, here != there))
    return Query({"size": stage.ring.admits(size)}, goal, values={"queue_size": size, "i": i, "j": j})


def _sixteen_sizes(stage: Stage) -> Query:
    size = z3.BitVec("queue_size", 16)
    goal = stage.ring.admits(size) == z3.Or([size == admitted for admitted in SIZES])
    return Query({}, goal, values={"queue_size": size})


def _whole_slots(size: int) -> Callable[[Stage], Query]:
    def build(stage: Stage) -> Query:
        del stage
        i, j = z3.Ints("i j")
        goal = z3.And(
            i % size >= 0,
            i % size < size,
            z3.Implies(z3.And(i < j, j - i < size), i % size != j % size),
            u16(i) % size == i % size,
        )
        return Query({}, goal, values={"i": i, "j": j})

    return build


SLOTS = (
    lemma(f"sizes: the {len(SIZES)} powers of two up to {LARGEST}, and no other", _sixteen_sizes),
    lemma(f"masks: all sizes up to {LARGEST}, all 16-bit indices", _masked_slots),
    # Of all integers, as ``EverySize.facts`` says them, though no count is below 0.
    *(lemma(f"remainders: queue size {size}, all counts", _whole_slots(size)) for size in SIZES),
)

# Walks: what the model takes in one step, link by link.


def _free_walk_start(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    del stage
    return s.free > 0, s.free_head == s.gat(s.free - 1)


def _free_walk_on(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    links, d = z3.Ints("links reached")
    reached = z3.And(links >= 0, links + 1 < s.free, d == s.gat(s.free - 1 - links))
    return reached, z3.And(s.next(d) == s.gat(s.free - 1 - (links + 1)), in_range(stage, s.next(d)))


FREE_WALK = (
    between("the walk starts at the top of the free list", _free_walk_start),
    between("each link of the walk goes one position down", _free_walk_on),
)


def _chain_walk(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    links, d, h = z3.Ints("links reached head")
    reached = z3.And(
        in_range(stage, h), s.outstanding(h), links >= 0, links < s.length(h), d == s.gat(s.gpos(h) - links)
    )
    onward = z3.And(s.has_next(d), s.next(d) == s.gat(s.gpos(h) - (links + 1)))
    return reached, z3.And(s.owner(d) == h, z3.If(links + 1 == s.length(h), z3.Not(s.has_next(d)), onward))


CHAIN_WALK = (between("each link of a chain goes one position down, to its last", _chain_walk),)


def in_range(stage: Stage, d: z3.ArithRef) -> z3.BoolRef:
    """Return that d is a descriptor."""
    return z3.And(d >= 0, d < stage.ring.queue_size)


# Transitions.


def takes_free_ones(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that no chain has a descriptor among those the add takes."""
    s = step.before

    def apart(h: z3.ArithRef, d: z3.ArithRef) -> z3.BoolRef:
        taken = z3.And(s.free - stage.ring.segments <= s.gpos(d), s.gpos(d) < s.free)
        inside = z3.And(s.gpos(h) - s.length(h) < s.gpos(d), s.gpos(d) <= s.gpos(h))
        return z3.Implies(z3.And(taken, s.outstanding(h)), z3.Not(inside))

    return stage.ring.size.every_pair(apart)


def avail_slot_is_spent(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that the slot the add writes holds no head still to be read."""
    s, ring = step.before, stage.ring
    slot = ring.avail_slot(s.avail_idx)
    return ring.size.between(s.read, s.published, lambda k: ring.size.slot(k) != slot)


def fewer_in_flight(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that the add leaves at most queue_size chains in flight."""
    return step.before.published - step.before.last_used < stage.ring.queue_size


def used_slot_is_spent(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that the slot the completion writes holds no id still to be read."""
    s, size = step.before, stage.ring.size
    return size.between(s.last_used, s.used, lambda k: size.slot(k) != size.slot(s.used_idx))


def reads_chain(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that the head read is the one whose turn it is, in flight, and not with the device yet."""
    s, h = step.before, step.head
    return z3.And(in_range(stage, h), s.outstanding(h), z3.Not(s.held(h)), h == s.order(s.read))


def _good_id(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    h = stage.ring.used_head(s)
    completed = z3.And(s.outstanding(h), z3.Not(s.held(h)), s.place(h) == s.last_used)
    return stage.ring.sees_used(s), z3.And(stage.ring.is_good(s, h), completed)


GOOD_ID = (between("the id of a used element is good", _good_id),)


def _fits(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    segments = stage.ring.segments
    return segments >= 1, stage.ring.has_room(s) == (s.free >= segments)


ROOM = (between("a chain is accepted just when it fits", _fits),)


def no_token_lost(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that the add overwrites no token."""
    del stage
    return z3.And(step.before.data(step.head) == 0, step.after.data(step.head) == step.token)


def returns_token(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that get hands out the token given with the completed chain, for the last time."""
    del stage
    s, h = step.before, step.before.order(step.before.last_used)
    completed = z3.And(s.last_used < s.used, s.outstanding(h))
    return z3.And(completed, step.token == s.given(h), step.token != 0, step.after.data(h) == 0)


def rearms_callback(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that used_event is the next index to be used, unless callbacks are off."""
    del stage
    armed = step.after.used_event == u16(step.after.last_used)
    return z3.If(step.before.no_interrupt, step.after.used_event == step.before.used_event, armed)


def refused_for_want(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that fewer descriptors were free than the chain needs."""
    return step.before.free < stage.ring.segments


def notifies_when_full(stage: Stage, step: Step) -> tuple[z3.BoolRef, z3.BoolRef]:
    """Return that a refused chain with readable segments notifies the device."""
    return stage.ring.has_out, step.notified


def unchanged(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that every field is as it was, of maps what they say of descriptors and slots."""
    same = []
    for field in fields(State):
        old, new = getattr(step.before, field.name), getattr(step.after, field.name)
        if callable(old):
            same.append(stage.ring.size.every(lambda d, old=old, new=new: new(d) == old(d)))  # type: ignore[misc]
        else:
            same.append(new == old)
    return z3.And(same)


def follows_feature(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that the kick notifies just when the negotiated suppression asks for it."""
    ring, s = stage.ring, step.before
    asked = ring.need_event(s.avail_event, s.avail_idx, u16(s.avail_idx - s.num_added))
    return step.notified == z3.If(ring.event_idx, asked, z3.Not(s.no_notify))


def forced_kick_follows_feature(stage: Stage, step: Step) -> z3.BoolRef:
    """Return that an add notifies just when it kicks, and the negotiated suppression asks for that kick."""
    ring, s, t = stage.ring, step.before, step.after
    asked = ring.need_event(s.avail_event, t.avail_idx, u16(t.avail_idx - (s.num_added + 1)))
    wanted = z3.If(ring.event_idx, asked, z3.Not(s.no_notify))
    return step.notified == z3.And(t.last_kick == t.published, wanted)


# Indices.


def _used_test(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    return z3.BoolVal(True), stage.ring.sees_used(s) == (s.last_used != s.used)


def _avail_test(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    del stage
    return z3.BoolVal(True), (s.avail_idx != u16(s.read)) == (s.published != s.read)


def _any_two(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    del stage
    pairs = (
        (s.avail_idx, s.used_idx, s.published, s.used),
        (s.avail_idx, s.last_used_idx, s.published, s.last_used),
        (s.used_idx, s.last_used_idx, s.used, s.last_used),
    )
    return z3.BoolVal(True), z3.And([(i == j) == (m == n) for i, j, m, n in pairs])


INDEX_TESTS = (
    between("any two of the three indices are equal just when the counts are", _any_two),
    between("the driver sees a used element just when there is one", _used_test),
    between("the device sees an available head just when there is one", _avail_test),
)

# The event test, on 32-bit vectors as C's int computes it, and on true counts.


def _cut(value: z3.BitVecRef) -> z3.BitVecRef:
    return value & (WORD - 1)


def _hit_is_in_range(stage: Stage) -> Query:
    event, new, old = z3.BitVecs("event new old", 32)
    steps = _cut(event - old)
    words = z3.And([_cut(value) == value for value in (event, new, old)])
    goal = z3.And(z3.ULT(steps, _cut(new - old)), _cut(old + steps) == event)
    values = {"event": event, "new": new, "old": old}
    return Query({"words": words, "hit": stage.ring.need_event(event, new, old, _cut)}, goal, values=values)


def _range_is_hit(stage: Stage) -> Query:
    event, new, old, steps = z3.BitVecs("event new old steps", 32)
    words = z3.And([_cut(value) == value for value in (event, new, old, steps)])
    within = z3.And(z3.ULT(steps, _cut(new - old)), _cut(old + steps) == event)
    values = {"event": event, "new": new, "old": old}
    return Query(
        {"words": words, "within": within}, stage.ring.need_event(event, new, old, _cut), values=values
    )


def _hit_is_added(stage: Stage) -> Query:
    event, published, last_kick = z3.Ints("event published last_kick")
    counts = z3.And(last_kick >= 0, last_kick <= published, published - last_kick < WORD)
    word = z3.And(event >= 0, event < WORD)
    added = last_kick + u16(event - last_kick)
    goal = z3.And(last_kick <= added, added < published, u16(added) == event)
    hit = stage.ring.need_event(event, u16(published), u16(last_kick))
    values = {"event": event, "published": published, "last_kick": last_kick}
    return Query({"counts": counts, "word": word, "hit": hit}, goal, values=values)


def _added_is_hit(stage: Stage) -> Query:
    added, published, last_kick = z3.Ints("added published last_kick")
    counts = z3.And(last_kick >= 0, published - last_kick < WORD, last_kick <= added, added < published)
    goal = stage.ring.need_event(u16(added), u16(published), u16(last_kick))
    values = {"event": u16(added), "published": published, "last_kick": last_kick}
    return Query({"counts": counts}, goal, values=values)


NEED_EVENT = (
    lemma("words: a hit lies from old to new - 1", _hit_is_in_range),
    lemma("words: each index from old to new - 1 is a hit", _range_is_hit),
    lemma("counts: a hit was added since the last kick", _hit_is_added),
    lemma("counts: each add since the last kick is a hit", _added_is_hit),
)


def _kick_is_exact(stage: Stage, step: Step) -> z3.BoolRef:
    del stage
    s = step.before
    return z3.And(u16(s.avail_idx - s.num_added) == u16(s.last_kick), s.published - s.last_kick < WORD)


def _forced_kick_is_exact(stage: Stage, step: Step) -> z3.BoolRef:
    del stage
    s, adds = step.before, step.before.num_added + 1
    return z3.And(adds < WORD, u16(u16(s.published + 1) - adds) == u16(s.last_kick))


def _one_later_is_deaf(stage: Stage) -> Query:
    del stage
    event, old = z3.Ints("event old")
    new = u16(old + WORD)
    words = z3.And(old >= 0, old < WORD, event >= 0, event < WORD)
    goal = z3.Not(u16(new - event - 1) < u16(new - old))
    return Query({"words": words}, goal, values={"event": event, "old": old})


KICK_RANGE = (
    claim("the range tested starts at the last kick", "kick", _kick_is_exact),
    claim("the range a forced kick tests starts at the last kick", "add", _forced_kick_is_exact),
    lemma("counts: after 65536 adds no event would be a hit", _one_later_is_deaf),
)


# A round. That each of its steps can be taken follows: all descriptors are free, so the add is accepted
# (num-free-exact), each side sees what the other put there (indices-faithful), and get finds it good
# (bad-ring-never).


def _round(stage: Stage) -> Query:
    ring, s = stage.ring, arbitrary()
    add = ring.add(s)
    read = ring.read(add.after)
    complete = ring.complete(read.after)
    get = ring.get(complete.after)
    kick = ring.kick(get.after)
    t = kick.after
    guards = (step.guard for step in (add, read, complete, get, kick))
    one = z3.And(ring.segments == 1, ring.chosen == read.head)
    idle = z3.And(s.published == s.last_used, s.num_added == 0)
    goal = z3.And(
        ring.size.every(lambda d: t.next(d) == s.next(d)),
        t.free_head == s.free_head,
        t.num_free == s.num_free,
        t.num_added == 0,
        *(
            getattr(t, index) == u16(getattr(s, index) + 1)
            for index in ("avail_idx", "used_idx", "last_used_idx")
        ),
    )
    values = {"queue_size": ring.queue_size}
    return Query(
        {**assumed(ring, s), "given": z3.And(idle, one, *guards)}, goal, {"before": s, "after": t}, values
    )


def _idle(stage: Stage, s: State) -> tuple[z3.BoolRef, z3.BoolRef]:
    return s.published == s.last_used, s.free == stage.ring.queue_size


ROUND = (
    Obligation("round: the ring is as it was, one index further", "round", _round),
    between("with nothing in flight, every descriptor is free", _idle),
)
