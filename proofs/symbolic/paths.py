"""Paths that part: on a flag that isn't known, and on a value that depends on one."""

from typing import Any

from .environment import Answers, Environment
from .state import Ended, State
from .values import Choice, Flag, negation, plain


def split(environment: Environment, state: State, flag: Flag) -> list[tuple[State, bool]]:
    """Return both ways a flag can be, each with the condition on its path; or the one it is.

    A way is left out only if the environment says that it can't be taken.
    """
    known = state.holds(flag)
    if known is not None:
        return [(state, known)]
    found: list[tuple[State, bool]] = []
    for each, truth in ((state.fork(), True), (state, False)):
        try:
            each.assume(flag if truth else negation(flag))
        except Ended:
            continue
        if environment.feasible(each):
            found.append((each, truth))
    return found


def settled(environment: Environment, state: State, value: Any) -> Answers:
    """Return the value; of a Choice, each value it can be, on a path of its own."""
    if not isinstance(value, Choice):
        return [(state, value)]
    found: Answers = []
    for each, truth in split(environment, state, value.flag):
        found += settled(environment, each, plain(value.then if truth else value.otherwise))
    return found
