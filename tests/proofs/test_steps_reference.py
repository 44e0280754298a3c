"""The step-wise model beside the Python reference: statement by statement, and stopped in mid-operation."""

import random
from dataclasses import replace
from itertools import product

import pytest

from ringproof.model.size import u16
from ringproof.model.steps.moment import Choice, Moment, Pc
from ringproof.model.steps.queue import Steps
from ringproof.model.term import Flag, Number, Step, store
from ringproof.proofs.search.steps import plain

from .side_by_side import Both

SIZES = (1, 2, 4, 8)
OPERATIONS = 30
STARTS = ((0, 0), (65533, 0), (65534, 65534))
"""Where all indices start, and how many adds no kick has looked at yet: near both wraps."""

SETTINGS = [
    pytest.param(dict(zip(("mended", "event_idx", "indirect_desc"), flags, strict=True)), id=name)
    for flags, name in zip(
        product((False, True), repeat=3),
        (
            f"{profile}-{event}-{tables}"
            for profile in ("linux-3.11", "virtio-1.x")
            for event in ("flags", "event-idx")
            for tables in ("direct", "indirect")
        ),
        strict=True,
    )
]


def _expected(mended: bool, event_idx: bool, indirect_desc: bool) -> set[str]:
    """Return the transitions that must come up in a setting: all but those that it excludes."""
    excluded: set[str] = set()
    if not indirect_desc:
        excluded |= {"add_in_table", "fill_entry", "end_table", "take_descriptor"}
    if mended and not event_idx:
        excluded.add("rearm")
    return {*Steps.steps} - excluded


def _played(setting: dict[str, bool], model: type[Steps], *, stopping: bool) -> list[Both]:
    found = []
    for number, (size, start) in enumerate(product(SIZES, STARTS)):
        both = Both(plain(size, model, **setting), random.Random(number), start, stopping=stopping)
        both.play(OPERATIONS)
        found.append(both)
    return found


@pytest.mark.parametrize("setting", SETTINGS)
def test_whole_operations_agree(setting: dict[str, bool]) -> None:
    """After each operation memory, private state and results agree, and every transition is taken."""
    played = _played(setting, Steps, stopping=False)
    assert set().union(*(both.taken for both in played)) == _expected(**setting)
    assert sum(both.forced for both in played) > 0, "no run came to the kick that 65535 adds force"


@pytest.mark.parametrize("setting", SETTINGS)
def test_operations_stopped_at_each_statement_agree(setting: dict[str, bool]) -> None:
    """Stopped before each statement, with device and handler at work there, reference and model agree."""
    played = _played(setting, Steps, stopping=True)
    assert set().union(*(both.taken for both in played)) == _expected(**setting)
    assert sum(both.stops for both in played) > 500


class _KeepsNext(Steps):
    """The last descriptor of a chain keeps NEXT."""

    def last_has_next(self) -> Flag:
        return True


class _CountsTwice(Steps):
    """A reclaimed chain's last descriptor is counted twice."""

    def num_free_after_give(self, s: Moment) -> Number:
        return s.num_free + 2


class _NeverForces(Steps):
    """65535 adds force no kick."""

    def forces_kick(self, num_added: Number) -> Flag:
        del num_added
        return False


class _NeverRearms(Steps):
    """get_buf leaves used_event alone."""

    def rearms(self, s: Moment) -> Flag:
        del s
        return False


class _LeaksTable(Steps):
    """detach_buf frees no table."""

    def frees_table(self, s: Moment) -> Flag:
        del s
        return False


class _AlwaysCallsBack(Steps):
    """The handler calls back though nothing was used."""

    def calls_back(self, s: Moment) -> Flag:
        del s
        return True


class _CallsBackAtOnce(Steps):
    """The handler's look and its callback are one step."""

    def handle(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().handle(s, c)
        called = self.call_back(replace(s, calling=True), c).after
        return Step(step.guard, replace(called, handling=False) if self.calls_back(s) else step.after)


class _AsksAtOnce(Steps):
    """get_buf looks whether callbacks are on as it moves last_used_idx on."""

    def advance(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().advance(s, c)
        return Step(step.guard, self.ask(step.after, c).after)


class _PublishesFirst(Steps):
    """avail_idx moves on before the slot is written."""

    def remember(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().remember(s, c)
        return Step(step.guard, replace(step.after, pc=Pc.PUBLISH))

    def publish(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().publish(s, c)
        return Step(step.guard, replace(step.after, pc=Pc.SLOT))

    def write_slot(self, s: Moment, c: Choice) -> Step[Moment]:
        slot, step = self.avail_slot(u16(s.avail_idx - 1)), super().write_slot(s, c)
        return Step(
            step.guard, replace(step.after, avail_ring=store(s.avail_ring, slot, s.head), pc=Pc.COUNT)
        )


_OFTEN = [
    *(_KeepsNext, _CountsTwice, _NeverForces, _NeverRearms, _LeaksTable),
    *(_AlwaysCallsBack, _CallsBackAtOnce),
]


@pytest.mark.parametrize("model", _OFTEN)
@pytest.mark.parametrize("stopping", [False, True], ids=["whole", "stopped"])
def test_a_defect_of_the_model_is_noticed(model: type[Steps], stopping: bool) -> None:
    """With a defect in the model alone the two no longer agree."""
    with pytest.raises(AssertionError):
        _played({"mended": False, "event_idx": True, "indirect_desc": True}, model, stopping=stopping)


@pytest.mark.parametrize("model", [_PublishesFirst, _AsksAtOnce])
def test_only_a_stop_in_mid_operation_shows_another_order(model: type[Steps]) -> None:
    """A model that writes the slot last, or asks too early, is the same after whole operations only."""
    setting = {"mended": False, "event_idx": True, "indirect_desc": False}
    _played(setting, model, stopping=False)
    with pytest.raises(AssertionError):
        _played(setting, model, stopping=True)
