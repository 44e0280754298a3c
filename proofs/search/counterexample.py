"""What a search returns: a run in plain values, or that there is none, or that it does not know."""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import z3

from ...model.unrolled_state import Outcome, State

Value = int | bool | tuple[int, ...] | tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Rounds:
    """``count`` rounds of add(1), kick if ``kick``, read, complete, get; ``values`` is the state after."""

    count: int
    kick: bool
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Step:
    """One action, what it did and the state after it; ``argument`` is segments, pick or word, 0 if none."""

    action: str
    argument: int
    outcome: Mapping[str, Value]
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A run from creation that ends in a violation: rounds first, if any, then steps.

    ``property`` and ``conjunct`` name what the last step broke, ``sentence`` says it with the numbers.
    The values are those of the fields of the unrolled model's state; ``initial`` is the state after creation.
    """

    mutant: str | None
    queue_size: int
    event_idx: bool
    property: str
    conjunct: str
    sentence: str
    initial: Mapping[str, Value]
    rounds: tuple[Rounds, ...]
    steps: tuple[Step, ...]

    @builtins.property
    def operations(self) -> int:
        """How many operations it takes, a batch of rounds being one."""
        return len(self.rounds) + len(self.steps)


@dataclass(frozen=True, slots=True)
class Found:
    """The search met a violation.

    Of a search over one model from one start, no shorter run has any of those looked for. Of a portfolio, it
    is the first in the order in which sizes, starts and lengths are tried.
    """

    trace: Counterexample
    seconds: float
    rlimit: int


@dataclass(frozen=True, slots=True)
class NotFound:
    """No run of up to ``depth`` operations, on the queues looked at, violates anything that was asked for.

    ``searched`` says how far each queue and start was looked at, which may be further than ``depth``. It is
    no proof: a longer run, or one on another queue, may well have a violation.
    """

    depth: int
    seconds: float
    rlimit: int
    searched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """The search stopped before it could tell; runs of up to ``depth`` operations are clean."""

    reason: str
    depth: int
    seconds: float
    rlimit: int


Result = Found | NotFound | Unknown


@dataclass(slots=True)
class Budget:
    """How much work a search may do, in Z3's resource units, and how much it has done."""

    rlimit: int
    spent: int = field(default=0)

    @property
    def left(self) -> int:
        """Units left; 0 when there are none."""
        return max(0, self.rlimit - self.spent)


def values(record: State | Outcome, model: z3.ModelRef | None = None) -> dict[str, Value]:
    """The plain values of a state or an outcome, under ``model`` if it has symbols."""

    def plain(term: z3.ExprRef) -> int | bool:
        value = model.eval(term, model_completion=True) if model is not None else z3.simplify(term)
        return z3.is_true(value) if z3.is_bool(value) else int(value.as_long())

    result: dict[str, Value] = {}
    for entry in fields(record):
        value: Any = getattr(record, entry.name)
        result[entry.name] = tuple(plain(v) for v in value) if isinstance(value, tuple) else plain(value)
    return result
