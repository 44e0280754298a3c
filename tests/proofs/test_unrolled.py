"""The unrolled model and the reference, written apart, do the same."""

import random
from dataclasses import fields

import pytest
import z3

from ringproof.impl.harness.operations import Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.model.unrolled import ACTIONS, Transition, Unrolled
from ringproof.model.unrolled_state import COUNT_BITS, State
from ringproof.proofs.search.counterexample import Rounds, Step, values
from ringproof.proofs.search.rounds import Shape, after_rounds
from ringproof.traces.conversion import disagreements, model_variables, operation
from ringproof.traces.variables import variables


def folded(state: State) -> State:
    """The same state with every term computed."""
    return State(
        **{
            f.name: tuple(z3.simplify(item) for item in v) if isinstance(v, tuple) else z3.simplify(v)
            for f in fields(state)
            for v in [getattr(state, f.name)]
        }
    )


def taken(model: Unrolled, state: State, action: str, argument: int) -> Transition:
    """One transition with constants."""
    (way,) = (w for w in model.transitions(state, z3.BitVecVal(argument, 16)) if w.action == action)
    return way


def choices(model: Unrolled, rng: random.Random, in_flight: int) -> tuple[str, int]:
    """An action a run may try, and an argument that its guard may still refuse."""
    word = ("set_avail_event", "set_flags") if model.event_idx else ("set_flags",)
    action = rng.choice(("add", "add", "read", "complete", "get", "kick", *word))
    match action:
        case "add":
            return action, rng.randint(1, model.queue_size)
        case "complete":
            return action, rng.randrange(max(1, in_flight))
        case "set_avail_event":
            return action, rng.choice((rng.randrange(65536), rng.randrange(65530, 65536), rng.randrange(8)))
        case "set_flags":
            return action, rng.randrange(2)
        case _:
            return action, 0


def compare_runs(model: Unrolled, state: State, runner: ReferenceRunner, earlier: int, seed: int) -> set[str]:
    """Run both side by side for a while; the actions that were taken."""
    rng, seen = random.Random(seed), set()
    for _ in range(40):
        in_flight = int(state.in_flight_count.as_long())
        action, argument = choices(model, rng, in_flight)
        way = taken(model, state, action, argument)
        before = runner.notifications
        if z3.is_false(z3.simplify(way.guard)):
            assert action in ("read", "complete")
            continue
        step = Step(action, argument, values(way.outcome), values(way.after))
        result = runner.step(operation(step))
        assert disagreements(model_variables(step.values, earlier), variables(runner)) == []
        assert step.outcome["notified"] == (runner.notifications > before)
        assert step.outcome["refused"] == (result.status == -28)
        if action == "get":
            token = int(values(way.outcome)["token"])  # type: ignore[arg-type]
            assert (token + earlier if token else 0) == result.token
        state = folded(way.after)
        seen.add(action)
    return seen


@pytest.mark.parametrize("event_idx", [True, False])
@pytest.mark.parametrize("queue_size", [1, 2, 4])
def test_runs_from_creation_agree_with_the_reference(queue_size: int, event_idx: bool) -> None:
    """Random runs leave model and reference in the same state, field by field, after every action."""
    model = Unrolled(queue_size, event_idx=event_idx)
    seen: set[str] = set()
    for seed in range(4):
        runner = ReferenceRunner(QueueConfig(queue_size, features=F_EVENT_IDX if event_idx else 0))
        seen |= compare_runs(model, model.initial(), runner, 0, seed)
    assert seen == set(ACTIONS) - (set() if event_idx else {"set_avail_event"})


@pytest.mark.parametrize(("kicked", "quiet"), [(65534, 0), (40000, 25535), (0, 65534)])
def test_runs_after_rounds_agree_with_the_reference(kicked: int, quiet: int) -> None:
    """What the search takes for the state after rounds is what rounds do, and runs across the wrap agree."""
    model = Unrolled(2)
    runner = ReferenceRunner(QueueConfig(2, features=F_EVENT_IDX))
    runner.run([Op(Code.ROUNDS, a=kicked), Op(Code.ROUNDS, OpFlag.NO_KICK, a=quiet)])
    state = folded(after_rounds(model, Shape(), z3.BitVecVal(kicked, 16), z3.BitVecVal(quiet, 16)))
    batch = Rounds(quiet, False, values(state))
    assert disagreements(model_variables(batch.values, kicked + quiet), variables(runner)) == []
    for seed in range(2):
        snapshot = runner.snapshot()
        compare_runs(model, state, runner, kicked + quiet, seed)
        runner.restore(snapshot)


def test_a_disagreement_would_be_noticed() -> None:
    """The comparison is not blind: a driver that forgets to link the tail is told apart."""
    from ringproof.proofs.mutants.unrolled import MUTANTS

    model = MUTANTS["A6"](4)
    runner = ReferenceRunner(QueueConfig(4, features=F_EVENT_IDX))
    with pytest.raises(AssertionError, match="model"):
        compare_runs(model, model.initial(), runner, 0, 1)


def test_sizes_outside_the_range_are_refused() -> None:
    """A queue size the tables cannot be unrolled for is a ValueError."""
    for size in (0, 65):
        with pytest.raises(ValueError, match="1 to 64"):
            Unrolled(size)


def test_a_ring_that_is_no_power_of_two_takes_slots_modulo_its_size() -> None:
    """Slot 65535 and slot 0 of a ring of 3 are the same slot: why sizes are powers of two."""
    model = Unrolled(3)
    slots = [z3.simplify(model.slot(z3.BitVecVal(index, 16))).as_long() for index in (65535, 0)]
    assert slots == [0, 0]


def test_symbols_and_constants_have_the_same_shape() -> None:
    """A symbolic state has the sorts of the initial one, so that any field can take any other's place."""
    model = Unrolled(4)
    state, other = model.initial(), model.symbolic("s")
    for field in fields(State):
        one, two = getattr(state, field.name), getattr(other, field.name)
        one, two = (one, two) if isinstance(one, tuple) else ((one,), (two,))
        assert [item.sort() for item in one] == [item.sort() for item in two]
    assert state.num_free.size() == COUNT_BITS
