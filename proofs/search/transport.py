"""Explicit search of probe and remove: the shortest run that breaks a rule, and the device it takes.

It runs the model that is proved, on numbers (``model.term``), and checks the very rules that are proved.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ...model.transport import FEATURES, Choice, State, Transport, prerequisites_hold
from ..transport_claims import RULES, Rule

Setting = dict[str, int | str | tuple[str, ...]]
"""A network device and its driver: transport, profile, features offered, and how the device misbehaves."""


@dataclass(frozen=True)
class Taken:
    """One step of a run, and whether the device did what the driver hoped for."""

    name: str
    ok: bool
    after: State


@dataclass(frozen=True)
class Run:
    """A run that breaks a rule in its last step."""

    transport: str
    profile: str
    rule: Rule
    steps: tuple[Taken, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The steps by name."""
        return tuple(step.name for step in self.steps)


@dataclass(frozen=True)
class Clean:
    """No run breaks a rule, of all there are with so many queues."""

    states: int
    taken: frozenset[str]


def search(model: Transport, rules: Sequence[Rule]) -> Run | Clean:
    """Return the shortest run of a model on numbers that breaks a rule, or that there is none."""
    root = model.initial()
    queue, came, taken = deque([root]), {root: None}, set()
    paths: dict[State, tuple[State, Taken]] = {}
    while queue:
        s = queue.popleft()
        for step, choice in _successors(model, s):
            taken.add(step.name)
            for rule in rules:
                if rule.step == step.name and not rule.holds(model, s, choice, step.after):
                    transport = "modern" if model.modern else "legacy"
                    profile = "linux-3.11" if model.linux else "virtio-1.x"
                    return Run(transport, profile, rule, (*_path(paths, s), step))
            if step.after not in came:
                came[step.after] = None
                paths[step.after] = s, step
                queue.append(step.after)
    return Clean(len(came), frozenset(taken))


def _successors(model: Transport, s: State) -> Iterator[tuple[Taken, Choice]]:
    for name in model.steps:
        for ok in (True, False) if name in model.asks else (True,):
            step = model.take(name, s, Choice(ok))
            if step.guard:
                yield Taken(name, ok, step.after), Choice(ok)


def _path(paths: dict[State, tuple[State, Taken]], s: State) -> tuple[Taken, ...]:
    steps: list[Taken] = []
    while s in paths:
        s, step = paths[s]
        steps.append(step)
    return tuple(reversed(steps))


def operations(run: Run) -> tuple[Setting, list[tuple[str, dict[str, int]]]]:
    """Return a run as a device with its driver, and the operations on it.

    ``reset_reads`` is how often status reads as before after a reset, ``refuses_features`` 1 if FEATURES_OK
    does not stick. Raises ValueError if the device misbehaves in other ways.
    """
    setting: Setting = {"transport": run.transport, "profile": run.profile}
    for step in run.steps:
        if not step.ok:
            if step.name not in ("set_features_ok", "see_reset", "see_removed"):
                raise ValueError(f"{step.name} goes wrong: no setting of the device says that")
            setting["refuses_features" if step.name == "set_features_ok" else "reset_reads"] = 1
    played: list[tuple[str, dict[str, int]]] = [("probe", {})]
    return setting, [*played, ("remove", {})] if "remove" in run.names else played


def smallest_offer(model: type[Transport], *, linux: bool) -> tuple[str, ...] | None:
    """Return the fewest features whose offer makes the driver accept what it must not, or none."""
    for number in range(len(FEATURES) + 1):
        for offered in combinations(FEATURES, number):
            accepted = model(2, 0, modern=False, linux=linux, offered=offered).accepted()
            unoffered = any(taken and name not in offered for name, taken in accepted.items())
            if unoffered or not prerequisites_hold(accepted):
                return offered
    return None


def smallest_stray(model: type[Transport], most: int = 4) -> tuple[int, int] | None:
    """Return the smallest recorded queue and number of queues in use that lead to a queue not in use."""
    transport = model(2, 0, modern=False, linux=False, offered=())
    for recorded in range(2 * most):
        for used in range(1, most + 1):
            queue = recorded
            while transport.reduces(queue, used, True):
                queue -= used
            if queue >= used:
                return recorded, used
    return None


@dataclass(frozen=True)
class Case:
    """Whose rules a mutant breaks, and on which transport it shows."""

    theorem: str
    modern: bool = False
    linux: bool = False


CASES = {
    "X17": Case("initialisation-order"),
    "X19": Case("queue-enabled-last", modern=True),
    "X20": Case("status-only-grows"),
    "X21": Case("no-early-kick"),
    "X26": Case("features-ok-read-back", modern=True),
}
"""Where each mutant of the accesses shows. X18 shows in ``smallest_offer``, X22 in ``smallest_stray``."""


def find(case: Case, model: type[Transport] = Transport) -> Run | Clean:
    """Search a model, shipped or mutated, with two queues, of which the first is watched."""
    transport = model(2, 0, modern=case.modern, linux=case.linux, offered=FEATURES)
    return search(transport, RULES[case.theorem])


def find_removal(model: type[Transport] = Transport) -> Run | Clean:
    """Search Linux 3.11 on the legacy transport for a ring freed under a device that was not seen reset."""
    rule = Rule("clear", "the device was seen reset", lambda _, s, __, ___: not s.live)
    return search(model(2, 0, modern=False, linux=True, offered=()), [rule])
