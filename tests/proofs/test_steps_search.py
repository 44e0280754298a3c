"""Random runs of the step-wise model, starts with a past, and short runs of mutants, told in words."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from ringproof.model.steps.invariants import INVARIANTS
from ringproof.model.steps.moment import Choice, Moment, Pc
from ringproof.model.steps.queue import DEVICE, DRIVER, HANDLER, Steps
from ringproof.model.term import Flag, Number, Step
from ringproof.proofs.search.steps import HOME, Small, lane, plain, walk
from ringproof.proofs.search.steps_past import NONE, NoSuchPastError, Past, begun, played_round
from ringproof.proofs.search.steps_runs import Run, Watch, claimed, find, play, shortest, watch
from ringproof.proofs.search.steps_told import said, steps
from ringproof.proofs.steps_theorems import STEPS_THEOREMS
from ringproof.proofs.theorems import THEOREMS
from ringproof.traces.stepwise import variables

EVERYTHING = watch(*(theorem for theorem in STEPS_THEOREMS if theorem.expected == "proved"))


class _KeepsNext(Steps):
    """The last descriptor of a chain keeps NEXT."""

    def last_has_next(self) -> Flag:
        return True


class _NeverRearms(Steps):
    """get_buf leaves used_event alone."""

    def rearms(self, s: Moment) -> Flag:
        del s
        return False


class _NotifiesEarly(Steps):
    """The device is notified before avail_idx moves on, and not after."""

    def write_slot(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().write_slot(s, c)
        return Step(step.guard, replace(step.after, notified=True))

    def notify(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().notify(s, c)
        return Step(step.guard, replace(step.after, notified=s.notified))


class _NeverForces(Steps):
    """65535 adds force no kick."""

    def forces_kick(self, num_added: Number) -> Flag:
        del num_added
        return False


class _IndexOf15Bits(Steps):
    """last_used_idx wraps at 2^15."""

    def last_used_idx_after_get(self, s: Moment) -> Number:
        return (s.last_used_idx + 1) % (1 << 15)


class _LeaksTable(Steps):
    """detach_buf frees no table."""

    def frees_table(self, s: Moment) -> Flag:
        del s
        return False


def _runs(run: Run) -> None:
    """Each step of the run is one of the model's, and only the last breaks anything."""
    again = play(run.queue, run.past, run.actions, EVERYTHING)
    assert (again.names, again.broken) == (run.names, run.broken)
    assert run.broken
    for at in range(len(run.actions)):
        fewer = play(run.queue, run.past, run.actions[:at], EVERYTHING)
        assert not fewer.broken
        assert len(fewer.actions) == at


def test_random_runs_take_every_step_about_as_often_as_it_is_worth() -> None:
    """Every transition comes up within 3000 steps; none takes up a fifth of them."""
    taken: Counter[str] = Counter()
    for number in range(16):
        rng = random.Random(number)
        flags = {name: rng.random() < 0.7 for name in ("event_idx", "indirect_desc")}
        queue = plain(rng.choice((1, 2, 4)), Steps, mended=rng.random() < 0.5, **flags)
        start = begun(queue, Past(0, 65532) if number % 4 == 0 else NONE)
        taken.update(action.name for action, _ in walk(queue, rng, 200, start))
    assert set(taken) == {*Steps.steps}
    assert max(taken.values()) * 5 < taken.total()


def test_lanes_and_places_are_those_of_the_model() -> None:
    """Every transition has one lane, and the driver takes none of its own anywhere but at its place."""
    lanes = {"driver": DRIVER, "handler": HANDLER, "device": DEVICE}
    assert {name: lane(name) for name in Steps.steps} == {
        name: who for who, names in lanes.items() for name in names
    }
    for number in range(4):
        queue = plain(2, Steps, event_idx=True, indirect_desc=True)
        s = begun(queue)
        for action, after in walk(queue, random.Random(number), 200):
            assert action.name not in DRIVER or s.pc == HOME.get(action.name, Pc.IDLE)
            s = after


def test_a_run_is_repeated_by_its_seed_and_by_its_actions() -> None:
    """The same seed gives the same run, and playing its actions gives its moments."""
    queue, fresh = (plain(2, Steps, event_idx=True, indirect_desc=True) for _ in range(2))
    one, other = ([*walk(queue, random.Random(5), 80)] for _ in range(2))
    assert [action.name for action, _ in one] == [action.name for action, _ in other]
    again = play(fresh, NONE, [action for action, _ in one], Watch((), ()))
    assert [variables(queue, s) for _, s in one] == [variables(fresh, s) for s in again.moments]


# Starts.


@pytest.mark.parametrize("mended", [False, True], ids=["linux-3.11", "virtio-1.x"])
@pytest.mark.parametrize("event_idx", [False, True], ids=["flags", "event-idx"])
def test_a_past_is_what_its_rounds_lead_to(event_idx: bool, mended: bool) -> None:
    """A past of many rounds and one more round are the past of one round more, and keep every invariant."""
    for size in (1, 4):
        queue = plain(size, Steps, event_idx=event_idx, mended=mended)
        for past in (Past(1), Past(7, 3), Past(0, 65533), Past(30000, 35000)):
            s = begun(queue, past)
            more = Past(past.kicked, past.quiet + 1)
            round_more = played_round(queue, s, kick=False)
            assert variables(queue, round_more) == variables(queue, begun(queue, more))
            assert (s.published, s.num_added, s.avail_idx) == (past.rounds, past.quiet, past.rounds)
            assert all(each.holds(queue, s) for each in INVARIANTS.values())


def test_a_mutant_has_no_past_that_it_does_not_come_by() -> None:
    """Where a mutant's rounds stop repeating, or are not possible at all, there is no past to start from."""
    begun(plain(2, _IndexOf15Bits), Past(32000))
    with pytest.raises(NoSuchPastError):
        begun(plain(2, _IndexOf15Bits), Past(32800))
    with pytest.raises(NoSuchPastError):
        begun(plain(1, _KeepsNext), Past(1))


@pytest.mark.parametrize("past", [Past(65535, 1), Past(0, 65535), Past(-1)], ids=str)
def test_a_past_of_too_many_rounds_is_refused(past: Past) -> None:
    """Beyond 65535 rounds, or 65534 without a kick, there is no such start."""
    with pytest.raises(ValueError, match="too many rounds"):
        begun(plain(1), past)


# Short runs.


@pytest.mark.parametrize(
    ("model", "steps", "broken"),
    [
        (_KeepsNext, 3, "descriptors-as-asked"),
        (_NotifiesEarly, 5, "nobody is notified"),
        (_NeverRearms, 16, "get_buf re-arms"),
    ],
)
def test_a_mutant_is_shown_by_a_short_run(model: type[Steps], steps: int, broken: str) -> None:
    """On the smallest queue, from the queue as made, in as few steps as it takes by hand."""
    run = find(model, EVERYTHING, sizes=(1, 2))
    assert run is not None
    _runs(run)
    assert (run.queue.queue_size, run.past) == (1, NONE)
    assert any(broken in name for name in run.broken)
    assert len(run.actions) == steps


def test_a_leak_is_shown_where_there_are_tables() -> None:
    """A table that nobody frees needs INDIRECT_DESC, and a chain that comes back."""
    sought = EVERYTHING.only(["table-owner"])
    run = find(_LeaksTable, sought, sizes=(1, 2), event_idx=False)
    assert run is not None
    assert run.queue.indirect_desc
    assert not run.queue.event_idx
    assert run.broken == ("table-owner",)
    assert {"add_in_table", "detach"} <= set(run.names)
    assert any(step.words.endswith("is allocated for it") for step in steps(run))


def test_what_takes_many_adds_is_shown_after_a_past() -> None:
    """The kick that 65535 adds force is missed after 65534 of them."""
    run = find(_NeverForces, EVERYTHING, sizes=(1,))
    assert run is not None
    _runs(run)
    assert run.past == Past(0, 65534)
    assert run.names[-1] == "count_add"
    assert len(run.actions) == 7


def test_the_same_search_finds_the_same_run() -> None:
    """On a queue of one's choice, with the seed of one's choice."""
    one, other = (shortest(plain(2, _KeepsNext), EVERYTHING, seed=3) for _ in range(2))
    assert one is not None
    assert other is not None
    assert [*steps(one)] == [*steps(other)]
    first, second = ([variables(run.queue, s) for s in run.moments] for run in (one, other))
    assert first == second


def test_the_shipped_model_shows_nothing() -> None:
    """No run of the shipped model breaks a theorem; that it is found out would be told by those above."""
    assert find(Steps, EVERYTHING, sizes=(1, 2), tries=4, steps=(40, 80)) is None


def test_a_finding_is_shown_on_the_shipped_model() -> None:
    """A run of the shipped model refutes each finding about Linux 3.11."""
    for theorem in STEPS_THEOREMS:
        if theorem.expected == "refuted":
            run = find(Steps, watch(theorem), sizes=(1, 2))
            assert run is not None, theorem.name
            assert not run.queue.mended


def test_every_obligation_of_the_step_wise_theorems_can_be_tried() -> None:
    """Each is an invariant's or a claim; those of other models are refused."""
    for theorem in STEPS_THEOREMS:
        assert [claimed(obligation) for obligation in theorem.obligations]
    other = next(theorem for theorem in THEOREMS.values() if theorem.subject is not Steps)
    with pytest.raises(ValueError, match="not about the virtqueue step by step"):
        watch(other)


# In words.


def test_a_run_is_told_line_by_line() -> None:
    """A line for each step: who takes it, and what it does with the numbers of the run."""
    run = find(_KeepsNext, EVERYTHING, sizes=(1,))
    assert run is not None
    assert [(step.lane, step.name, step.words) for step in steps(run)] == [
        ("driver", "add_in_ring", "add: token 1, 1 segment, 1 to read; there is room for it"),
        ("driver", "fill_descriptor", "fill descriptor 0"),
        ("driver", "end_chain", "end the chain at descriptor 0"),
    ]
    assert [said(name) for name in run.broken] == ["each descriptor filled says what was asked"]


def test_every_step_has_words() -> None:
    """Whatever driver, handler and device do is told on one line each, without a name of the model."""
    for number in range(6):
        queue = plain(2, Steps, event_idx=number % 2 == 0, indirect_desc=True)
        past = Past(65533) if number == 0 else NONE
        actions = [action for action, _ in walk(queue, random.Random(number), 200, begun(queue, past))]
        run = play(queue, past, actions, Watch((), ()))
        for step, name in zip(steps(run), run.names, strict=True):
            assert (step.lane, step.name) == (lane(name), name)
            assert step.words
            assert "\n" not in step.words
            assert "_" not in name or name not in step.words or name in ("disable_cb", "enable_cb")


def test_tables_may_have_any_number() -> None:
    """Quantifiers of a small queue go over the tables there have been, and their entries and one more."""
    size = Small(2)
    assert size.every_table(lambda _: False)
    size.note(0x41000, 3)
    seen: list[tuple[int, int]] = []

    def note(t: int, i: int) -> bool:
        seen.append((t, i))
        return True

    assert size.every_entry(note)
    assert seen == [(0x41000, i) for i in range(4)]
    assert not size.every_table(lambda t: t != 0x41000)
