"""How a failure of the unrolled model is told: one sentence with the numbers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""Plain values by field name, as :func:`..counterexample.values` gives them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The transition that broke something, in plain values: the queue size, the states, and what it did."""

    size: int
    before: Values
    after: Values
    outcome: Values


def listed(numbers: Iterable[int]) -> str:
    """Numbers with commas, or "none"."""
    return ", ".join(str(number) for number in numbers) or "none"


def walked(failure: Failure) -> list[int]:
    """The free list after the step, as long as num_free says."""
    after = failure.after
    here, seen = after["free_head"], []
    for _ in range(min(failure.size, after["num_free"])):
        seen.append(here)
        here = after["next"][here]
    return seen


def free(state: Values) -> list[int]:
    """The descriptors that belong to no chain."""
    return [number for number, owner in enumerate(state["owner"]) if owner == 0]


def misshapen(failure: Failure) -> str:
    """Names the first chain in flight whose NEXT flags do not lead through what it was given."""
    size, after = failure.size, failure.after
    for head, token in enumerate(after["data"]):
        if not token:
            continue
        mine = [number for number, owner in enumerate(after["owner"]) if owner == token]
        here, walk = head, [head]
        while after["has_next"][here] and len(walk) <= size:
            here = after["next"][here]
            walk.append(here)
        if len(walk) != after["length"][head] or any(number not in mine for number in walk):
            followed = " -> ".join(str(number) for number in walk[:size])
            more = " and goes on" if len(walk) > size else ""
            return (
                f"the chain of head {head} was given descriptors {listed(mine)}, "
                f"but following NEXT from it reads {followed}{more}"
            )
    return "a chain in flight does not read back as it was built"


def displaced(ring: str, start: str, queue: str, count: str, what: str) -> Callable[[Failure], str]:
    """Names the first slot of a ring that does not hold what stands in ``queue`` for it."""

    def sentence(failure: Failure) -> str:
        size, after = failure.size, failure.after
        for place in range(after[count]):
            slot = (after[start] + place) % size
            if after[ring][slot] != after[queue][place]:
                return (
                    f"slot {slot} of the {what} ring should hold head {after[queue][place]}, "
                    f"which nobody has taken yet, but holds {after[ring][slot]}"
                )
        return f"a slot of the {what} ring does not hold the entry that is still to be taken"

    return sentence


def kick_numbers(failure: Failure) -> str:
    """What a kick should have looked at."""
    before, after, out = failure.before, failure.after, failure.outcome
    first = (after["published"] - out["announced"]) % 65536
    return (
        f"{out['announced']} chains were published since the last kick, avail_idx {first} to "
        f"{after['published']}, and avail_event is {before['avail_event']}"
    )


def stale_token(failure: Failure) -> int:
    """The first token that is held at a head of no chain of its own; 0 if there is none."""
    pairs = zip(failure.after["data"], failure.after["owner"], strict=True)
    return next((token for token, owner in pairs if token not in (0, owner)), 0)
