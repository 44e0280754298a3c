"""What the Python reference does before it transmits: a queue made ready, and the queue of a frame chosen."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import z3

from ...model.size import LARGEST
from ...model.transmit import Transmit
from ..discharge import ObligationResult
from .deciding import Question, decide
from .explorer import Run, explore
from .header_modules import module_of, rebound, source_of
from .header_numbers import value_of
from .refinement import Code
from .symbolic_int import term_of

ROUNDS = 4
"""A frame's wanted queue is below so many times the pairs in use: the code takes them off one by one."""


def key(code: Code) -> str:
    """Return the sources that the questions are made of."""
    return source_of(code.reference, "network", "virtio_net", "profile")


def check(code: Code) -> list[ObligationResult]:
    """Compare all of these. Raises Missing for what can't be followed."""
    key(code)
    found = [*_select(code), *_ready(code, True), *_ready(code, False)]
    return [decide(question, finite=True) for question in found]


def _asked(
    name: str, program: Callable[[Run], tuple[str, Any]], given: dict[str, z3.BoolRef], *shown: Any
) -> Iterator[Question]:
    def show(found: z3.ModelRef) -> dict[str, Any]:
        return {str(term): value_of(term, found) for term in shown}

    found = explore(program, given)
    yield Question(f"{name}: every call takes a way that was followed", (), found.tree, (given,), show)
    for path in found.paths:
        what, goal = path.result or (f"no error is raised ({path.error})", False)
        yield Question(f"{name}: {what}", path.conditions, goal, (dict(path.known),), show)


def _select(code: Code) -> Iterator[Question]:
    """The queue is the one recorded, or the processor's, and one of those in use."""
    select = module_of(code.reference, "virtio_net").VirtnetInfo.select_queue
    wanted, pairs = z3.Ints("wanted pairs")
    given = {"wanted": z3.And(wanted >= 0, wanted < ROUNDS * pairs), "pairs": pairs >= 1}
    for recorded in (True, False):

        def program(run: Run, recorded: bool = recorded) -> tuple[str, Any]:
            number = run.number(wanted)
            skb = SimpleNamespace(recorded_queue=number if recorded else None, cpu=-1 if recorded else number)
            found = term_of(select(SimpleNamespace(pairs_in_use=run.number(pairs)), skb))
            return "the wanted queue, taken round to one in use", found == wanted % pairs

        name = f"select_queue, {'recorded' if recorded else 'not recorded'}"
        yield from _asked(name, program, given, wanted, pairs)


def _ready(code: Code, linux: bool) -> Iterator[Question]:
    """The room that a queue wants is the model's."""
    network, profiles = module_of(code.reference, "network"), module_of(code.reference, "profile")
    attach = rebound(network.SendQueue.attach, dict(vars(network)))
    size = z3.Int("queue_size")
    profile = profiles.LINUX_3_11 if linux else profiles.VIRTIO_1_X

    def program(run: Run) -> tuple[str, Any]:
        queue = SimpleNamespace(profile=profile)
        vq = SimpleNamespace(queue_size=run.number(size))
        attach(queue, vq)
        room = Transmit(linux=linux).room()
        return "the room it wants is the model's", z3.And(
            z3.BoolVal(queue.vq is vq), term_of(queue.room) == room
        )

    yield from _asked(f"attach, {profile.name}", program, {"size": z3.And(size >= 1, size <= LARGEST)}, size)
