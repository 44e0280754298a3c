"""Code and model side by side: what a path carries, what it owes, and how the model is led to events."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import z3

from ...model.steps.moment import Choice, Moment
from ...model.steps.queue import Steps
from ..symbolic.environment import Environment
from ..symbolic.ir import Place
from ..symbolic.state import Obligation, State
from ..symbolic.values import Object, plain
from .c_contents import contents
from .c_memory import Memory
from .follower import Arrival, Event, Follower, Point, interfered

Readings: TypeAlias = dict[tuple[str, str], tuple[str, ...]]
"""What is guessed of each variable of each loop, by names of terms; of the loop itself under no variable."""


@dataclass(frozen=True)
class Together:
    """What a path carries: where the model is, and what has happened on the way.

    ``begun``: the first moment, of which nothing was asked yet. ``ordered``: which fences have come since
    what they order. ``cut``: the loop the path is in, the moment at its head, and its variables there.
    ``late``: what poll is to return. ``table``: the indirect table of the chain being added. ``refused``:
    no memory was had for one.
    """

    point: Point
    begun: bool = True
    ordered: frozenset[str] = frozenset()
    cut: tuple[str, Moment, tuple[tuple[str, Any], ...]] | None = None
    late: Any = None
    table: Object | None = None
    refused: bool = False


@dataclass(frozen=True)
class Claim:
    """What is claimed of a variable of a loop, and has to hold each time its head is reached."""

    loop: str
    variable: str
    reading: str
    owed: Obligation


class Following(Environment):
    """The surroundings of virtqueue.c, with the model led along.

    What the variables of a loop are in terms of the model is guessed: ``readings`` holds the guesses, by
    loop and variable, ``claims`` what has to hold for each. The caller strikes off those that don't, and
    starts again. ``turns`` and ``cuts`` tell, by the name of a moment, what it was before others had their
    turn, and before a loop was cut.
    """

    def __init__(self, memory: Memory, follower: Follower, readings: Readings) -> None:
        super().__init__()
        self.memory = memory
        self.model: Steps = memory.model
        self.choice: Choice = follower.choice
        self.follower = follower
        self.readings = readings
        self.claims: list[Claim] = []
        self.turns: dict[str, tuple[Moment, Moment]] = {}
        self.cuts: dict[str, tuple[Moment, Moment]] = {}
        self._marks = 0

    # What is owed.

    def owe(self, state: State, kind: str, what: str, place: Place, goal: Any) -> None:
        """Record that the goal has to hold here, and go on as if it did."""
        self.record(state, kind, what, place, goal)
        if not isinstance(goal, bool):
            self.memory.assume(state, (goal,))

    def record(self, state: State, kind: str, what: str, place: Place, goal: Any) -> None:
        """Record that the goal has to hold here. One about all of memory is large, and not worth assuming."""
        if goal is not True:
            self.obligations.append(self._owed(state, kind, what, place, goal))

    def _owed(self, state: State, kind: str, what: str, place: Place, goal: Any) -> Obligation:
        return Obligation(kind, what, place, state.path, goal, state.facts)

    def together(self, state: State) -> Together:
        """Return what the path carries."""
        found: Together = state.extra["together"]
        return found

    def carry(self, state: State, **changes: Any) -> None:
        """Change what the path carries."""
        state.extra["together"] = replace(self.together(state), **changes)

    # The model's way.

    def arrive(
        self, state: State, place: Place, what: str, wanted: Callable[[Arrival], bool], **how: Any
    ) -> list[tuple[State, Arrival]]:
        """Lead the model on, and return the ways on which it arrives as wanted.

        That there is no other way is owed.
        """
        before = len(state.path)
        start = replace(self.together(state).point, path=state.path)
        arrivals = [each for each in self.follower.lead(start, **how) if wanted(each)]
        reached = [z3.And(list(each.point.path[before:])) for each in arrivals]
        if not any(len(each.point.path) == before for each in arrivals):
            self.record(state, "step", what, place, z3.Or(reached) if reached else False)
        found = []
        for each in arrivals:
            there = state.fork()
            if self.memory.assume(there, each.point.path[before:]):
                self.carry(there, point=replace(each.point, path=()))
                found.append((there, each))
        return found

    def at_event(self, state: State, place: Place, event: Event) -> list[tuple[State, Arrival]]:
        """Lead the model to the step that makes an event, after others have had their turn if it reads."""
        if event.name.startswith("READ"):
            self.interfere(state)
        return self.arrive(
            state,
            place,
            f"the model comes to where {event.value}",
            lambda arrival: arrival.event is event,
        )

    def take(self, state: State, arrival: Arrival) -> list[State]:
        """Let the model take the step it has arrived at."""
        before = len(state.path)
        point = replace(self.together(state).point, path=state.path)
        found = []
        for after in self.follower.take(point, arrival.name):
            there = state.fork()
            if self.memory.assume(there, after.path[before:]):
                self.carry(there, point=replace(after, path=()))
                found.append(there)
        return found

    def interfere(self, state: State) -> None:
        """Let device and interrupt handler have their turn; at first they have had it."""
        together = self.together(state)
        fresh = together.begun and not together.point.taken
        if not fresh and together.point.moment.live is not False:
            moment = interfered(together.point.moment, self._mark())
            self.carry(state, point=replace(together.point, moment=moment))
            self.memory.learn(state, moment)
            self.turns[list(self.memory.moments)[-1]] = together.point.moment, moment
            self.refresh(state, moment)
        self.carry(state, begun=False)

    def _mark(self) -> str:
        self._marks += 1
        return f"!{self._marks}"

    def refresh(self, state: State, moment: Moment) -> None:
        """Let memory hold what the interrupt handler may have written."""
        now = contents(self.model, moment)
        for at in (("avail", "flags"), ("vq", "callbacks")):
            state.write(*self.memory.field(at), plain(now[at]))

    def same(self, state: State, place: Place, when: str) -> None:
        """Owe that memory is what the model's moment says."""
        together = self.together(state)
        for what, goal in self.memory.differences(state, together.point.moment, together.table):
            self.record(state, "memory", f"{what} {when}", place, goal)
