"""The parametric model: what the solver may assume of it is neither contradictory nor too little."""

import dataclasses

import pytest
import z3

from ringproof.model.invariants import INVARIANTS, assumed
from ringproof.model.ring import Ring, Step
from ringproof.model.size import OneSize
from ringproof.model.state import State, arbitrary


def _check(*formulas: z3.BoolRef) -> z3.CheckSatResult:
    solver = z3.Solver()
    solver.add(*formulas)
    return solver.check()


@pytest.mark.parametrize("queue_size", [1, 2, 4])
@pytest.mark.parametrize("step", Ring.steps)
def test_every_transition_can_happen(step: str, queue_size: int) -> None:
    """From some state that satisfies every invariant, each transition is possible at each small size."""
    ring = Ring(OneSize(queue_size))
    taken = ring.take(step)
    assert _check(*assumed(ring, taken.before).values(), taken.guard) == z3.sat


@pytest.mark.parametrize("queue_size", [1, 2, 8])
def test_the_ring_as_made_satisfies_every_invariant(queue_size: int) -> None:
    """The initial state is one of those the proofs start from."""
    ring = Ring(OneSize(queue_size))
    start = ring.initial()
    for invariant in INVARIANTS.values():
        assert _check(z3.Not(invariant.holds(ring, start))) == z3.unsat, invariant.name


def test_a_chain_of_three_goes_there_and_back() -> None:
    """Run from the initial ring, add, read, complete and get do what a driver author expects."""
    ring = Ring(OneSize(4))
    add = ring.add(ring.initial())
    read = ring.read(add.after)
    complete = ring.complete(read.after)
    get = ring.get(complete.after)
    solver = z3.Solver()
    solver.add(ring.segments == 3, ring.token == 77, ring.chosen == 0)
    solver.add(*(step.guard for step in (add, read, complete, get)))
    assert solver.check() == z3.sat
    model = solver.model()

    def number(term: z3.ArithRef) -> int:
        return int(model.eval(term, model_completion=True).as_long())

    assert [number(add.after.num_free), number(add.after.free_head)] == [1, 3]
    assert [z3.is_true(model.eval(add.after.has_next(z3.IntVal(d)))) for d in range(3)] == [True, True, False]
    assert number(read.head) == 0
    assert number(get.token) == 77
    assert [number(get.after.num_free), number(get.after.free_head)] == [4, 0]
    assert [number(get.after.next(z3.IntVal(d))) for d in range(3)] == [1, 2, 3]
    assert number(get.after.used_event) == 1 or z3.is_true(model.eval(get.before.no_interrupt, True))


def test_completions_out_of_order_bring_the_right_tokens() -> None:
    """On a full ring of two, the chain completed first comes back first, with its own token."""
    ring = Ring(OneSize(2))
    start = ring.initial()
    steps: list[Step] = []
    for operation in ("add", "add", "read", "read", "complete", "complete", "get", "get"):
        turn = Ring(OneSize(2))
        number = len(steps)
        turn.token, turn.chosen, turn.segments = (
            z3.IntVal(100 + number),
            z3.Int(f"chosen_{number}"),
            z3.IntVal(1),
        )
        state = steps[-1].after if steps else start
        steps.append(getattr(turn, operation)(state))
    solver = z3.Solver()
    solver.add(*(step.guard for step in steps), steps[4].head == 1)
    assert solver.check() == z3.sat
    model = solver.model()
    assert model.eval(steps[1].after.num_free).as_long() == 0
    assert [model.eval(step.token, model_completion=True).as_long() for step in steps[6:]] == [101, 100]
    solver.add(z3.Or([z3.Not(invariant.holds(ring, steps[-1].after)) for invariant in INVARIANTS.values()]))
    assert solver.check() == z3.unsat


def test_every_invariant_excludes_something() -> None:
    """No invariant follows from nothing: each is false in some state of a ring of four."""
    ring, state = Ring(OneSize(4)), arbitrary()
    for invariant in INVARIANTS.values():
        assert _check(z3.Not(invariant.holds(ring, state))) == z3.sat, invariant.name


def test_every_field_is_bound_by_an_invariant_or_free_by_design() -> None:
    """Only the suppression fields, which their owners may change at any time, are left unconstrained."""
    ring, state = Ring(OneSize(2)), arbitrary()
    text = " ".join(formula.sexpr() for formula in assumed(ring, state).values())
    free = {
        field.name
        for field in dataclasses.fields(State)
        if not any(f"{mark}{field.name}{end}" in text for mark in "( " for end in " )")
    }
    assert free == {"no_interrupt", "used_event", "no_notify", "avail_event"}
