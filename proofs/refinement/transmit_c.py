"""The C sources' transmit path beside the model of a transmit queue, for every queue size at once."""

from collections.abc import Iterator
from typing import Any

import z3

from ...model.size import LARGEST
from ...model.transmit import Place, Transmit
from ..discharge import ObligationResult
from ..symbolic.execution import execute
from ..symbolic.ir import Module
from ..symbolic.state import Ended, Site, State
from ..symbolic.values import Pointer, plain
from .deciding import Question, decide
from .mapping_objects import key_of, module_of, owed
from .refinement import Code
from .transmit_c_calls import Calls
from .transmit_c_following import Sending
from .transmit_lockstep import Lockstep
from .transmit_objects import Tail, world

SOURCE = "virtio_net.c"
FUNCTIONS = ("rp_net_start_xmit", "rp_net_xmit_done", "rp_net_free_unused")


def key(code: Code, function: str) -> str:
    """Return the IR that the questions are made of."""
    return key_of(code.c, SOURCE, function)


def check(code: Code, function: str, linux: bool) -> list[ObligationResult]:
    """Follow a function beside the model in one profile. Raises Missing for what can't be followed."""
    return [decide(each, finite=True) for each in questions(module_of(code.c, SOURCE), function, linux)]


def questions(module: Module, function: str, linux: bool) -> Iterator[Question]:
    """Yield what is to be shown."""
    features = z3.Int("device.features")
    size = z3.Int("queue_size")
    model = Transmit(linux=linux, version_1=features / (1 << 32) % 2 == 1)
    lockstep = Lockstep(model, handling=function == "rp_net_xmit_done")
    made = world(module, model)
    calls = Calls(made, lockstep)

    state = State()
    state.within(size, 1, LARGEST)
    state.within(features, 0, (1 << 64) - 1)
    header = z3.Int("device.header_bytes")
    state.within(header, 10, 12)
    state.within(z3.Int("queue.pair"), 0, (1 << 32) - 1)
    point, known = lockstep.begun(Place.REMOVED if function == "rp_net_free_unused" else Place.IDLE)
    for fact in (model.facts(), *known):
        state.assume(plain(fact))
    made.start(state, point.state, Tail(calls._records(point)))
    state.extra["point"] = point
    arguments: list[Any] = [Pointer(made.queue)]
    if function == "rp_net_start_xmit":
        way = lockstep.begin(point)
        for fact in way.facts:
            state.assume(plain(fact))
        length = z3.Int("length")
        state.within(length, 0, (1 << 32) - 1)
        sent = made.sent(state, "", length)
        state.extra |= {"point": way.point, "sending": Sending(sent)}
        arguments.append(Pointer(sent.frame))

    solver = z3.Solver()
    solver.add(*state.facts, *state.path)
    yield Question(f"{function}: there are such moments", (), solver.check() == z3.sat)
    ends = 0
    for outcome in execute(module, function, arguments, state, calls):
        _returned(calls, outcome.state, function)
        ends += 1
    yield Question(f"{function}: it returns", (), ends > 0)

    def show(found: z3.ModelRef) -> dict[str, Any]:
        return {str(each): str(found[each]) for each in found.decls() if each.arity() == 0}

    yield from owed(calls.obligations, function, show)


def _returned(calls: Calls, state: State, function: str) -> None:
    """Owe what has to hold where the function returns."""
    place = next(iter(calls.world.module.functions[function].blocks.values())).instructions[-1].place
    site = Site(state, calls, place)
    try:
        if function == "rp_net_free_unused":
            calls._settled(site)
            calls._owe(site, "no chain is left", state.extra["point"].state.in_flight == 0)
            return
        way = calls.lockstep.returned(state.extra["point"])
        after = calls._gone(site, way, state)
        calls._settled(Site(after, calls, place))
        sending: Sending | None = state.extra.get("sending")
        if sending is not None:
            calls._owe(
                site, "the frame is in the ring, or freed", sending.freed != (sending.record is not None)
            )
            calls._owe(
                site, "a frame in the ring was orphaned", sending.orphaned == (sending.record is not None)
            )
            kept = sending.copy is None or sending.released == sending.freed
            calls._owe(site, "its copy is released if it is freed", kept)
    except Ended:
        return
