"""Loops of compiled code, cut at their heads: code and model meet there, and again after one round."""

from dataclasses import replace
from typing import Any

import z3

from ...model.steps.moment import Moment, Pc
from ...model.steps.queue import Steps
from ..symbolic.ir import Function, Local, Place
from ..symbolic.state import State
from ..symbolic.values import Opaque
from .c_following import Claim, Following
from .follower import LOOPS, changed_by, renewed, round_of, theirs

CURSOR = 1
"""The pointer to segment k of the list being added is the number k + CURSOR."""


class Cutting(Following):
    """Answers where a loop's head is reached."""

    def loop(
        self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Cut the loop: meet the model at its head, go round once from any moment, and meet it again."""
        place = function.blocks[header].instructions[0].place
        if back:
            self._meet_again(state, f"{function.name}:{header}", values, place)
            return []
        found = []
        cut = self.together(state).cut
        others = [pc for pc in LOOPS if cut is None or pc != cut[1].pc]
        for there, _ in self.arrive(
            state,
            place,
            "the model comes to a loop",
            lambda arrival: arrival.event is None and arrival.point.moment.pc in others,
            stop=others,
        ):
            self.same(there, place, "at the head of the loop")
            found.append(self._cut(there, f"{function.name}:{header}", values, place))
        return found

    def _cut(
        self, state: State, loop: str, values: dict[Local, Any], place: Place
    ) -> tuple[State, dict[Local, Any]]:
        together = self.together(state)
        before = together.point.moment
        self._claim(state, loop, values, before, place, "at first")

        mark = self._mark()
        rounds = round_of(Pc(int(before.pc)))
        changed = {*changed_by(self.model, before, self.choice, rounds)}
        moment = renewed(before, sorted(changed | (set() if before.live is False else set(theirs()))), mark)
        fresh = {variable: _any_like(value, f"{variable.name}{mark}") for variable, value in values.items()}
        self.memory.learn(state, moment)
        self.cuts[list(self.memory.moments)[-1]] = before, moment
        self.memory.fill(state, moment, together.table)
        self.carry(
            state,
            point=replace(together.point, moment=moment),
            begun=False,
            cut=(loop, moment, tuple((variable.name, value) for variable, value in fresh.items())),
        )
        for variable, value in fresh.items():
            for reading in self.readings.get((loop, variable.name), ()):
                claim = _reads(value, _terms(self.model, moment)[reading])
                if claim is not None:
                    self.memory.assume(state, (claim,))
        for reading in self.readings[loop, ""]:
            self.memory.assume(state, (self._ahead(moment)[reading],))
        return state, fresh

    def _meet_again(self, state: State, loop: str, values: dict[Local, Any], place: Place) -> None:
        cut = self.together(state).cut
        if cut is None or cut[0] != loop:
            self.record(state, "loop", "a loop's head is reached from within that loop", place, False)
            return
        _, moment, fresh = cut
        pc = Pc(int(moment.pc))
        for there, _ in self.arrive(
            state,
            place,
            "the model goes round once",
            lambda arrival: arrival.event is None and arrival.point.moment.pc is pc,
            stop=(pc,),
            least=1,
        ):
            self.same(there, place, "after a round of the loop")
            for variable, value in values.items():
                kept = dict(fresh)[variable.name]
                if not isinstance(kept, z3.ExprRef | Opaque) and kept != value:
                    self.record(there, "loop", f"{variable.name} stays what it is", place, False)
            self._claim(there, loop, values, self.together(there).point.moment, place, "again")

    def _claim(
        self, state: State, loop: str, values: dict[Local, Any], moment: Moment, place: Place, when: str
    ) -> None:
        """Claim what is guessed of a loop's variables."""
        terms = _terms(self.model, moment)
        for variable, value in values.items():
            for reading in self.readings.setdefault((loop, variable.name), tuple(terms)):
                goal = _reads(value, terms[reading])
                if goal is not None:
                    what = f"{variable.name} is {reading} {when}"
                    owed = self._owed(state, "loop", what, place, goal)
                    self.claims.append(Claim(loop, variable.name, reading, owed))
        ahead = self._ahead(moment)
        for reading in self.readings.setdefault((loop, ""), tuple(ahead)):
            owed = self._owed(state, "loop", f"{reading} {when}", place, ahead[reading])
            self.claims.append(Claim(loop, "", reading, owed))

    def _ahead(self, s: Moment) -> dict[str, z3.BoolRef]:
        """Return what may be known at a loop's head of the rounds ahead, by name."""
        pc = Pc(int(s.pc))
        again = [self.model.take(name, s, self.choice).guard for name in round_of(pc)]
        ahead = {"another round comes": z3.Or(again)}
        if pc is Pc.SCAN:
            ahead["a descriptor is left"] = s.cursor < self.model.queue_size
        return ahead


def _any_like(value: Any, name: str) -> Any:
    if isinstance(value, Opaque):
        return Opaque(z3.Int(name))
    if isinstance(value, bool | z3.BoolRef):
        return z3.Bool(name)
    return z3.Int(name) if isinstance(value, int | z3.ArithRef) else value


def _terms(model: Steps, s: Moment) -> dict[str, Any]:
    """Return what a variable of a loop may be, in terms of the model, by name."""
    del model
    return {
        "count": s.count,
        "cursor": s.cursor,
        "num_free": s.num_free,
        "previous": s.previous,
        "a pointer to the next segment": s.count + CURSOR,
        "count + 1": s.count + 1,
        "segments - count": s.segments - s.count,
    }


def _reads(value: Any, term: Any) -> Any:
    """Return that a loop's variable is what it is taken for; none if it is no number."""
    number = value.term if isinstance(value, Opaque) else value
    if isinstance(number, bool | z3.BoolRef) or not isinstance(number, int | z3.ArithRef):
        return None
    return number == term
