"""Every transition of the step-wise model is taken in a run from the queue as made, every invariant true.

So the hypotheses of its obligations (the facts, all invariants, the guard) hold together at a moment that is
reached: no proof about it is empty. What is impossible at a size or in a setting is shown to be. (The facts
about slots are what the theorem slot-injective proves of the remainder, which is what plain numbers use.)
"""

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
import z3

from ringproof.model.size import OneSize
from ringproof.model.steps.invariants import INVARIANTS, assumed
from ringproof.model.steps.moment import Choice, Moment, Pc, unknown
from ringproof.model.steps.queue import DRIVER, Steps
from ringproof.model.term import Step
from ringproof.proofs.search.steps import HOME, asked, free_table, frozen, nothing, plain, walk
from ringproof.proofs.search.steps_past import NONE, Past, begun
from ringproof.proofs.search.steps_runs import Claim, watch
from ringproof.proofs.steps_induction import Taken
from ringproof.proofs.steps_theorems import STEPS_THEOREMS

SIZES = (1, 2, 4, 8)
PROVED = watch(*(theorem for theorem in STEPS_THEOREMS if theorem.expected == "proved"))
"""All invariants, and all claims of proved theorems."""


@dataclass(frozen=True)
class Setting:
    """A queue's size, and what was negotiated by which driver."""

    size: int
    event_idx: bool
    indirect_desc: bool
    mended: bool

    @property
    def flags(self) -> dict[str, bool]:
        """All but the size."""
        return {"event_idx": self.event_idx, "indirect_desc": self.indirect_desc, "mended": self.mended}

    @property
    def tables(self) -> bool:
        """Whether there are chains in tables: virtio-1.x wants no more segments than descriptors."""
        return self.indirect_desc and (self.size > 1 or not self.mended)

    @property
    def impossible(self) -> set[str]:
        """The transitions that are never possible."""
        found: set[str] = set()
        if self.size == 1:
            found.add("walk")  # A chain of one descriptor has no link.
        if not self.tables:
            found |= {"add_in_table", "fill_entry", "end_table", "take_descriptor"}
        if self.mended and not self.event_idx:
            found.add("rearm")  # used_event is not written.
        return found


SETTINGS = [Setting(size, *flags) for size, flags in product(SIZES, product((False, True), repeat=3))]


class Tour:
    """A guided run from the queue as made; every moment is noted."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.queue = plain(setting.size, Steps, **setting.flags)
        self.s = frozen(self.queue, self.queue.initial())
        self.steps: list[tuple[str, Taken]] = []
        self.token = 0

    def do(self, *names: str, choice: Choice | None = None) -> None:
        """Take these steps, which must be possible."""
        c = choice or nothing()
        for name in names:
            step = self.queue.take(name, self.s, c)
            assert step.guard, (name, self.setting)
            after = frozen(self.queue, step.after)
            self.steps.append((name, Taken(self.queue, self.s, c, Step(step.guard, after))))
            self.s = after

    def rest(self) -> None:
        """Let the driver end its operation."""
        while self.s.pc != Pc.IDLE:
            here = [name for name in DRIVER if HOME.get(name) == self.s.pc]
            (name,) = (name for name in here if self.queue.take(name, self.s, nothing()).guard)
            self.do(name)

    def add(self, name: str, segments: int, outs: int) -> None:
        """Add a chain, or be refused."""
        self.token += 1
        self.do(name, choice=asked(self.token, segments, outs, free_table(self.s)))
        self.rest()

    def operation(self, name: str) -> None:
        """Do a whole operation."""
        self.do(name)
        self.rest()

    def complete(self) -> None:
        """Let the device take all chains that are available, and complete them, the highest head first."""
        while self.s.read < self.s.published:
            self.do("device_reads")
        for head in [h for h in range(self.setting.size) if self.s.held(h)][::-1]:
            self.do("device_stages", choice=replace(nothing(), head=head))
        self.do("device_publishes")

    def asks(self, *, no_notify: bool, ahead: int) -> None:
        """Let the device write what it asks for; avail_event is so far ahead of avail_idx."""
        event = (self.s.avail_idx + ahead) % (1 << 16)
        self.do("device_fidgets", choice=replace(nothing(), event=event, flag=no_notify))


@functools.cache
def _tour(setting: Setting) -> Tour:
    """Take every transition that is possible in the setting."""
    t, size = Tour(setting), setting.size
    # The device wakes unasked. A chain that fills the ring, added while it sleeps.
    t.do("device_dozes", "device_looks", "device_wakes", "device_dozes", "device_looks")
    t.add("add_in_ring", size, (size + 1) // 2)
    t.operation("begin_kick")
    t.do("device_wakes")
    t.add("add_refused", 1, 1)
    t.asks(no_notify=False, ahead=0)
    # The driver waits, an interrupt is without news, one with; the chain comes back while callbacks are off.
    t.operation("look_in_vain")
    t.do("device_interrupts", "interrupt", "handle")
    t.complete()
    t.do("device_signals", "interrupt", "handle", "call_back")
    t.operation("look")
    t.operation("look_in_vain")
    # The driver waits, and is told while another interrupt comes; it gets chains back with callbacks on.
    t.operation("enable_cb")
    chains = min(size, 3)
    for number in range(chains):
        t.add("add_in_ring", 1, 1)
        if number in (0, chains - 1):
            t.complete()  # The second time it has not yet decided on the first.
    t.do("device_signals", "interrupt", "device_interrupts", "handle", "call_back")
    t.operation("enable_cb_delayed")
    for _ in range(chains):
        t.operation("look")
    # It waits with a chain in flight that the device does not want to hear of.
    t.add("add_in_ring", 1, 0)
    t.operation("enable_cb_delayed")
    t.asks(no_notify=True, ahead=3)
    t.operation("begin_kick")
    t.operation("disable_cb")
    t.do("device_dozes", "device_looks")
    t.complete()
    t.do("device_signals")
    t.operation("look")
    if setting.tables:
        for _ in range(2):
            t.add("add_in_table", max(size, 2), 1)
            t.complete()
            t.do("device_signals")
            t.operation("look")
        t.add("add_in_table", max(size, 2), 1)
    else:
        t.add("add_in_ring", 1, 1)
    # Reset with a chain in flight.
    t.operation("reset")
    t.operation("scan")
    t.operation("scan")
    return t


@pytest.mark.parametrize("size", SIZES)
def test_every_transition_is_reached_with_all_hypotheses_true(size: int) -> None:
    """In each setting the tour takes all transitions but the impossible, every invariant true throughout."""
    for setting in (each for each in SETTINGS if each.size == size):
        tour = _tour(setting)
        assert {name for name, _ in tour.steps} == set(Steps.steps) - setting.impossible, setting
        for name, taken in tour.steps:
            # What an obligation about the step assumes, at the moment before it.
            assert taken.step.guard is True
            false = [word for word, holds in assumed(tour.queue, taken.before).items() if not holds]
            assert not false, (name, setting)
        assert all(holds for holds in assumed(tour.queue, tour.s).values())


def test_no_claim_is_empty() -> None:
    """What a claim of a proved theorem assumes beyond the invariants comes true on a tour, and it holds."""
    claims = PROVED.claims
    assert len(claims) > 150
    assert set(PROVED.invariants) == set(INVARIANTS)
    met: set[Claim] = set()
    for setting in (each for each in SETTINGS if each.size in (2, 4)):
        for name, taken in _tour(setting).steps:
            for claim in claims:
                given, goal = claim.of(name, taken)
                assert goal or not given, (claim.label, setting)
                if given:
                    met.add(claim)
    assert {claim.label for claim in claims} == {claim.label for claim in met}


def _answer(*facts: Any) -> z3.CheckSatResult:
    solver = z3.Solver()
    solver.set("timeout", 60_000)
    solver.add(*facts)
    return solver.check()


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.impossible], ids=str)
def test_what_is_impossible_stays_so(setting: Setting) -> None:
    """A transition that no run takes begins where none leads, or its guard contradicts the invariants."""
    queue = Steps(OneSize(setting.size))
    s, c = unknown(Moment), unknown(Choice)
    fixed = [getattr(queue, name) == value for name, value in setting.flags.items()]
    away = {HOME[name] for name in setting.impossible if name in HOME} - {Pc.WALK}

    def elsewhere(moment: Moment) -> Any:
        return z3.And([moment.pc != int(pc) for pc in away])

    # By induction the driver never is where the impossible ones begin ...
    assert queue.initial().pc not in away
    for name in queue.steps:
        step = queue.take(name, s, c)
        assert _answer(*fixed, elsewhere(s), step.guard, z3.Not(elsewhere(step.after))) == z3.unsat, name
    # ... and nowhere else is one of them possible.
    for name in setting.impossible:
        known = assumed(queue, s).values() if name == "walk" else ()
        assert _answer(*fixed, elsewhere(s), *known, queue.take(name, s, c).guard) == z3.unsat, name


def test_what_is_possible_is_not_shown_impossible() -> None:
    """The same question about a transition that a run of the smallest queue takes has an answer: a moment."""
    queue = Steps(OneSize(1))
    s, c = unknown(Moment), unknown(Choice)
    for name in ("give", "add_in_ring", "rearm", "device_stages"):
        assert _answer(*assumed(queue, s).values(), queue.take(name, s, c).guard) == z3.sat, name


def _wander(number: int, steps: int) -> Iterator[str]:
    """Yield what a random run takes; no step of it breaks an invariant or a claim of a proved theorem."""
    rng = random.Random(number)
    flags = {name: rng.random() < 0.5 for name in ("event_idx", "indirect_desc", "mended")}
    queue = plain(rng.choice(SIZES), Steps, **flags)
    before = begun(queue, rng.choice((NONE, Past(65533), Past(65000, 500), Past(0, 65533))))
    for action, after in walk(queue, rng, steps, before):
        taken = Taken(queue, before, action.choice, Step(True, after))
        assert not PROVED.broken(action.name, taken), (number, action, queue.queue_size)
        yield action.name
        before = after


def test_random_runs_keep_every_invariant() -> None:
    """A few random runs, some near both wraps, break no invariant and no claim."""
    assert sum(1 for number in range(8) for _ in _wander(number, 100)) > 400


@pytest.mark.slow
def test_many_random_runs_keep_every_invariant() -> None:
    """Some ten thousand random steps break nothing, and take every transition."""
    taken = [name for number in range(100, 160) for name in _wander(number, 250)]
    assert len(taken) > 10_000
    assert set(taken) == set(Steps.steps)
