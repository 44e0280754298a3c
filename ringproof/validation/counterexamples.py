"""The counterexamples of the search as tests: the shortest run that shows each seeded defect.

A driver nobody has seen may have the same defect. The runs were searched on the model, each for one mutant;
they are kept beside this module, so that no solver is needed to replay them. They are as the search finds
them, on queues of at least 2 and with any features: ``ringproof trace`` tells each by a plainer run,
which may show nothing but on a queue of 1.
``python -m ringproof.validation.counterexamples`` searches them anew, which takes minutes.
"""

import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..impl.harness.operations import Code, Op, OpFlag
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX
from .course import Course
from .directed import START

PLACE = Path(__file__).with_name("counterexamples.json")


class Counterexample(NamedTuple):
    """A run from creation: the mutant it shows, the queue's size and features, the operations."""

    mutant: str
    queue_size: int
    features: int
    operations: tuple[Op, ...]


@cache
def counterexamples() -> tuple[Counterexample, ...]:
    """Return those that are kept."""
    return tuple(
        Counterexample(
            one["mutant"],
            one["queue_size"],
            one["features"],
            tuple(Op(*fields) for fields in one["operations"]),
        )
        for one in json.loads(PLACE.read_text())
    )


def replayed(course: Course, configs: Sequence[QueueConfig], *, brief: bool) -> None:
    """Run every counterexample on each queue that has its features and is no smaller than its own.

    When ``brief``, those that begin with many rounds are left out.

    After its last operation everything is completed and taken back, twice over: what it brought about shows.
    """
    for config in configs:
        for one in counterexamples():
            if (
                one.features & F_EVENT_IDX != config.features & F_EVENT_IDX
                or one.queue_size > config.queue_size
            ):
                continue
            if brief and one.operations[0].code == Code.ROUNDS:
                continue
            course.life(config, _adapted(one.operations, course), _afterwards(config.queue_size))


def _adapted(operations: Sequence[Op], course: Course) -> list[Op]:
    """Return the operations as this driver can be asked for them: publishing at kick needs kicks."""
    adapted: list[Op] = []
    for op in operations:
        if op.code != Code.ROUNDS:
            adapted.append(op)
            continue
        kick = not op.flags & OpFlag.NO_KICK
        if op.a > START:  # the reference's state there is worked out once for all
            adapted.append(course.rounds(START, kick=kick, seed=op.b))
            adapted.append(course.rounds(op.a - START, kick=kick, seed=op.b + START))
        else:
            adapted.append(course.rounds(op.a, kick=kick, seed=op.b))
    return adapted


def _afterwards(size: int) -> list[Op]:
    back = [Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=0xFFFF_FFFF), *[Op(Code.GET)] * (size + 1)]
    return [*back, *[Op(Code.ADD, a=1)] * size, *back, Op(Code.ADD, OpFlag.FAIL_ALLOC, a=size), *back]


def searched() -> str:
    """Search a counterexample of each mutant anew; the text of what is kept."""
    from ..proofs.mutants.catalog import CATALOG  # the solver is needed here alone
    from ..proofs.mutants.unrolled import UNSEEDED
    from ..proofs.search import Found, find_trace
    from ..traces.conversion import operations, queue_config

    lines = []
    for mutant in sorted(set(CATALOG) - set(UNSEEDED)):
        result = find_trace(mutant)
        if not isinstance(result, Found):
            continue  # nothing that is promised breaks, such as by another order of the free list
        config = queue_config(result.trace)
        entry = {
            "mutant": mutant,
            "queue_size": config.queue_size,
            "features": config.features,
            "operations": [list(op) for op in operations(result.trace)],
        }
        lines.append(json.dumps(entry))
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    PLACE.write_text(searched())
    sys.stderr.write(f"{PLACE}: {len(counterexamples())} runs\n")
