"""Short runs of the step-wise model that break something: found at random, then made as short as they get."""

import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

from ...model.steps.invariants import INVARIANTS
from ...model.steps.moment import Moment
from ...model.steps.queue import Steps
from ...model.term import Step
from ..steps_induction import Taken
from ..theorem import Obligation, Theorem
from .steps import Action, asked, free_table, frozen, lane, nothing, plain, walk
from .steps_past import NONE, NoSuchPastError, Past, begun

SETTING = ("mended", "indirect_desc", "event_idx")
"""What may differ between two queues of one size."""


# What a step can break.


@dataclass(frozen=True)
class Claim:
    """What an obligation claims of a step on plain numbers, or of any moment (``step`` is None)."""

    label: str
    step: str | None
    formula: Callable[..., Any]

    def of(self, name: str, taken: Taken) -> tuple[bool, bool]:
        """Return the further hypothesis and the goal; the hypothesis is false if the claim is of other steps.

        A claim about any moment is tried on the moment after the step.
        """
        if self.step is None:
            given, goal = self.formula(taken.queue, taken.after)
            return bool(given), bool(goal)
        if name != self.step:
            return False, True
        result = self.formula(taken)
        given, goal = result if isinstance(result, tuple) else (True, result)
        return bool(given), bool(goal)


def claimed(obligation: Obligation) -> Claim | str:
    """Return what an obligation of the step-wise theorems claims, or the name of the invariant it keeps.

    Raises ValueError for one of another model.
    """
    build = obligation.build
    formula = inspect.getclosurevars(build).nonlocals.get("formula") if inspect.isfunction(build) else None
    if formula is not None:
        return Claim(obligation.label, None if obligation.group == "always" else obligation.group, formula)
    name = getattr(build, "invariant", None)
    if name not in INVARIANTS:
        raise ValueError(f"{obligation.label} is not about the virtqueue step by step")
    return str(name)


@dataclass(frozen=True)
class Watch:
    """What is looked for: invariants that do not hold after a step, and claims that do not hold of it."""

    invariants: tuple[str, ...] = tuple(INVARIANTS)
    claims: tuple[Claim, ...] = ()

    def broken(self, name: str, taken: Taken) -> tuple[str, ...]:
        """Return what the step of that name breaks: invariants by name, claims by label.

        Both moments of the step are frozen.
        """
        lost = [each for each in self.invariants if not INVARIANTS[each].holds(taken.queue, taken.after)]
        claims = (*self._by_step.get(name, ()), *self._by_step.get(None, ()))
        return (*lost, *(claim.label for claim in claims if claim.of(name, taken) == (True, False)))

    @functools.cached_property
    def _by_step(self) -> dict[str | None, list[Claim]]:
        found: dict[str | None, list[Claim]] = {}
        for claim in self.claims:
            found.setdefault(claim.step, []).append(claim)
        return found

    def only(self, names: Iterable[str]) -> "Watch":
        """Return the watch for these alone."""
        kept = set(names)
        return Watch(
            tuple(name for name in self.invariants if name in kept),
            tuple(claim for claim in self.claims if claim.label in kept),
        )


def watch(*theorems: Theorem) -> Watch:
    """Return the watch for all that these theorems say of a step; ValueError for those of another model."""
    found = [claimed(obligation) for theorem in theorems for obligation in theorem.obligations]
    names = tuple(dict.fromkeys(each for each in found if isinstance(each, str)))
    return Watch(names, tuple(each for each in found if isinstance(each, Claim)))


# Runs.


@dataclass(frozen=True)
class Run:
    """A run from where its past ends: its actions, the moment after each, and what the last of them broke."""

    queue: Steps
    start: Moment
    actions: tuple[Action, ...]
    moments: tuple[Moment, ...]
    broken: tuple[str, ...]
    past: Past = NONE

    @property
    def names(self) -> tuple[str, ...]:
        """The steps by name."""
        return tuple(action.name for action in self.actions)

    def taken(self) -> Iterator[tuple[str, Taken]]:
        """Yield each step, with its name."""
        before = self.start
        for action, after in zip(self.actions, self.moments, strict=True):
            yield action.name, Taken(self.queue, before, action.choice, Step(True, after))
            before = after


def _start(queue: Steps, past: Past, sought: Watch) -> Moment:
    """Return where a past ends; raises NoSuchPastError if there is none, or something is broken there."""
    s = begun(queue, past)
    if past != NONE and any(not INVARIANTS[name].holds(queue, s) for name in sought.invariants):
        raise NoSuchPastError("something is broken on the way")
    return s


def play(queue: Steps, past: Past, actions: Sequence[Action], sought: Watch, known: Run | None = None) -> Run:
    """Take the actions up to the first that breaks something; one that is not possible is left out.

    A chain or table that is not there to be chosen is replaced by the lowest that is. ``known`` is a run of
    the same queue: what it begins with is not played again. Raises NoSuchPastError if there is no such past.
    """
    start = known.start if known else _start(queue, past, sought)
    same = _common(known.actions, actions) if known else 0
    done, moments = (list(known.actions[:same]), list(known.moments[:same])) if known else ([], [])
    s = moments[-1] if moments else start
    broken: tuple[str, ...] = ()
    for action in actions[same:]:
        name, c = action.name, action.choice
        if name == "add_in_table":
            c = replace(c, table=free_table(s))
        elif name == "device_stages" and not s.held(c.head):
            c = replace(c, head=next((h for h in range(int(queue.queue_size)) if s.held(h)), 0))
        step = queue.take(name, s, c)
        if not step.guard:
            continue
        after = frozen(queue, step.after)
        done.append(Action(name, c))
        moments.append(after)
        broken = sought.broken(name, Taken(queue, s, c, Step(True, after)))
        if broken:
            break
        s = after
    return Run(queue, start, tuple(done), tuple(moments), broken, past)


def _common(one: Sequence[Action], other: Sequence[Action]) -> int:
    """Return how many actions both begin with, but for the last one, which broke something."""
    for at, (mine, yours) in enumerate(zip(one[:-1], other, strict=False)):
        if mine is not yours:
            return at
    return min(len(one) - 1, len(other))


def wander(queue: Steps, past: Past, rng: random.Random, steps: int, sought: Watch) -> Run | None:
    """Return a random run to the first step that breaks something; None if none of so many does.

    Raises NoSuchPastError if the model has no such past.
    """
    start = before = _start(queue, past, sought)
    done: list[Action] = []
    moments: list[Moment] = []
    for action, after in walk(queue, rng, steps, start):
        done.append(action)
        moments.append(after)
        broken = sought.broken(action.name, Taken(queue, before, action.choice, Step(True, after)))
        if broken:
            return Run(queue, start, tuple(done), tuple(moments), broken, past)
        before = after
    return None


# Short runs.


def effort(run: Run) -> tuple[int, ...]:
    """Return what a shorter or simpler run has less of: steps, segments, changes of the lane, and so on."""
    choices = [action.choice for action in run.actions]
    lanes = [lane(name) for name in run.names]
    return (
        len(choices),
        sum(c.segments for c in choices),
        sum(c.segments != c.outs for c in choices),
        sum(one != other for one, other in pairwise(lanes)),
        sum(c.flag for c in choices),
        sum(c.event for c in choices),
    )


def shrunk(run: Run, sought: Watch) -> Run:
    """Return a run that breaks something, too, and no longer does without any one of its actions.

    It is on the same queue with the same past. Chains are as short as they may be, and lanes change seldom.
    """
    focus = sought.only(run.broken)
    while True:
        less = _fewer(run, focus)
        for candidate in (*_simpler(less.actions), *_regrouped(less.actions)):
            other = play(run.queue, run.past, candidate(less.actions), focus, less)
            if other.broken and effort(other) < effort(less):
                less = other
        if effort(less) < effort(run):
            run = less
            continue
        # Something else may break earlier, or on the way.
        whole = play(run.queue, run.past, _numbered(run.actions), sought)
        if not whole.broken:
            return run
        if len(whole.actions) == len(run.actions):
            return whole
        run, focus = whole, sought.only(whole.broken)


def _fewer(run: Run, sought: Watch) -> Run:
    """Leave out stretches of actions, then single ones."""
    width = len(run.actions) // 2 or 1
    while width:
        at, before = 0, len(run.actions)
        while at < len(run.actions):
            less = play(run.queue, run.past, run.actions[:at] + run.actions[at + width :], sought, run)
            if less.broken and len(less.actions) < len(run.actions):
                run = less
            else:
                at += width
        if width > 1 or len(run.actions) == before:
            width //= 2
    return run


_Actions = tuple[Action, ...]


def _simpler(actions: _Actions) -> Iterator[Callable[[_Actions], _Actions]]:
    """Yield what makes the choice of one action simpler."""
    for at, action in enumerate(actions):
        c = action.choice
        for segments in range(1, c.segments + 1):
            for outs in sorted({segments, 0, min(c.outs, segments)}, reverse=True):
                yield _put(at, Action(action.name, asked(c.token, segments, outs, c.table)))
        if action.name == "device_fidgets":
            for event, flag in product((0, c.event), (False, c.flag)):
                yield _put(at, Action(action.name, replace(nothing(), event=event, flag=flag)))


def _put(at: int, action: Action) -> Callable[[_Actions], _Actions]:
    def change(actions: _Actions) -> _Actions:
        same = at < len(actions) and actions[at].name == action.name
        return (*actions[:at], action, *actions[at + 1 :]) if same else actions

    return change


def _regrouped(actions: _Actions) -> Iterator[Callable[[_Actions], _Actions]]:
    """Yield what joins a stretch of one lane to the one before it of the same lane."""
    for at in range(len(actions)):

        def change(actions: _Actions, at: int = at) -> _Actions:
            lanes = [lane(action.name) for action in actions]
            if not 0 < at < len(actions) or lanes[at] == lanes[at - 1] or lanes[at] not in lanes[:at]:
                return actions
            to = at - 1 - lanes[:at][::-1].index(lanes[at]) + 1
            end = next((i for i in range(at, len(lanes)) if lanes[i] != lanes[at]), len(lanes))
            return (*actions[:to], *actions[at:end], *actions[to:at], *actions[end:])

        yield change


def _numbered(actions: _Actions) -> _Actions:
    """Return the same actions with tokens 1, 2, 3."""
    token, found = 0, []
    for action in actions:
        c = action.choice
        if c.segments:
            token += 1
            found.append(Action(action.name, asked(token, c.segments, c.outs, c.table)))
        else:
            found.append(action)
    return tuple(found)


# Searches.


def shortest(
    queue: Steps,
    sought: Watch,
    *,
    past: Past = NONE,
    tries: int = 60,
    enough: int = 4,
    steps: Sequence[int] = (15, 30, 60, 120),
    seed: int = 0,
) -> Run | None:
    """Return a short run, of a mutant mostly, from the queue as made to the first step that breaks something.

    At random: ``tries`` runs of up to so many steps for each of ``steps``, until some break something; of
    ``enough`` of these, made short, the shortest. None if no run does, which proves nothing. The same
    arguments give the same run. Raises NoSuchPastError if the model has no such past.
    """
    rng = random.Random(seed)
    for most in steps:
        found: list[Run] = []
        for _ in range(tries):
            run = wander(queue, past, rng, most, sought)
            if run is not None:
                found.append(shrunk(run, sought))
            if len(found) == enough:
                break
        if found:
            return min(found, key=effort)
    return None


PASTS = (NONE, Past(65533, 0), Past(0, 65534))
"""The pasts :func:`find` looks at: none, indices near the wrap, and the last add before a kick is forced."""


def find(
    model: type[Steps],
    sought: Watch,
    *,
    sizes: Sequence[int] = (1, 2, 4),
    pasts: Sequence[Past] = PASTS,
    tries: int = 40,
    enough: int = 3,
    steps: Sequence[int] = (20, 40, 80, 160, 320),
    seed: int = 0,
    **setting: bool,
) -> Run | None:
    """Return a short run of the model that breaks something, on the smallest queue on which one is found.

    As :func:`shortest`, over all queues; the run is made to need as little of a past and as few features as
    it can. ``setting`` fixes some of ``event_idx``, ``indirect_desc`` and ``mended``.
    """
    rng = random.Random(seed)
    for most, size in product(steps, sizes):
        found: list[Run] = []
        for _ in range(tries):
            flags = {name: rng.random() < 0.5 for name in SETTING} | setting
            past = rng.choice((pasts[0], rng.choice(pasts)))
            try:
                run = wander(plain(size, model, **flags), past, rng, most, sought)
            except NoSuchPastError:
                continue
            if run is not None:
                found.append(_plainer(shrunk(run, sought), sought, sizes, pasts, setting))
            if len(found) == enough:
                break
        if found:
            return min(found, key=lambda run: (int(run.queue.queue_size), run.past, *effort(run)))
    return None


def _plainer(
    run: Run, sought: Watch, sizes: Sequence[int], pasts: Sequence[Past], setting: dict[str, bool]
) -> Run:
    """Return a run of less of a past, smaller size and fewer features, if one breaks something, too."""
    for past, size, flags in _less(run, sizes, pasts, setting):
        try:
            other = play(plain(size, type(run.queue), **flags), past, run.actions, sought)
        except NoSuchPastError:
            continue
        if other.broken:
            return _plainer(shrunk(other, sought), sought, sizes, pasts, setting)
    return run


def _less(
    run: Run, sizes: Sequence[int], pasts: Sequence[Past], setting: dict[str, bool]
) -> Iterator[tuple[Past, int, dict[str, bool]]]:
    """Yield the plainer queues to try, the plainest first."""
    flags = {name: bool(getattr(run.queue, name)) for name in SETTING}
    off = [name for name in SETTING if flags[name] and name not in setting]
    fewer = [{**flags, **dict.fromkeys(names, False)} for names in (off, *([name] for name in off)) if names]
    for past in pasts[: pasts.index(run.past) + 1]:
        for size in sorted(each for each in sizes if each <= run.queue.queue_size):
            yield from ((past, size, chosen) for chosen in fewer)
            if past == run.past and size == run.queue.queue_size:
                return
            yield past, size, flags
