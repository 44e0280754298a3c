"""What virtio_net.c does before it transmits: a queue made ready, and the queue of a frame chosen."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import z3

from ...model.size import LARGEST
from ...model.transmit import LONGEST, Transmit
from ..discharge import ObligationResult
from ..symbolic.environment import Answers, Environment
from ..symbolic.errors import Unmodelled
from ..symbolic.execution import Outcome, covered, execute
from ..symbolic.ir import Module, size_of
from ..symbolic.ir import Place as Source
from ..symbolic.state import Site, State
from ..symbolic.values import NULL, Field, Object, Offset, Pointer, plain
from .deciding import Question, decide
from .mapping_objects import key_of, module_of, owed, struct_object, struct_of
from .refinement import Code
from .transmit_objects import World, is_pointer_to, world

SOURCE = "virtio_net.c"
FUNCTIONS = ("rp_net_send_init", "rp_net_queue_bytes", "rp_net_select_queue")
SIZES = (1, 2, 4, 8, 16, 32)
"""Queue sizes for which a queue is made ready: below the longest frame, and above."""

U32 = 1 << 32


def key(code: Code) -> str:
    """Return the IR that the questions are made of."""
    return key_of(code.c, SOURCE, *FUNCTIONS)


def check(code: Code) -> list[ObligationResult]:
    """Compare all of these. Raises Missing for what can't be followed."""
    module = module_of(code.c, SOURCE)
    found = [*_select(module), *_bytes(module)]
    for size in SIZES:
        for linux in (True, False):
            found += _ready(module, size, linux)
    return [decide(question, finite=True) for question in found]


def _show(found: z3.ModelRef) -> dict[str, Any]:
    return {str(each): str(found[each]) for each in found.decls() if each.arity() == 0}


def _all_ways(name: str, state: State, outcomes: list[Outcome]) -> Question:
    return Question(
        f"{name}: every call takes a way that was followed", state.facts, covered(outcomes), (), _show
    )


def _select(module: Module) -> Iterator[Question]:
    """The queue is the one recorded, or the processor's, and one of those in use."""
    name = "rp_net_select_queue"
    recorded, queue, cpu, pairs = z3.Ints("queue_recorded recorded_queue cpu pairs")
    state = State()
    for number, most in ((recorded, 255), (queue, 65535), (cpu, U32 - 1)):
        state.within(number, 0, most)
    state.within(pairs, 1, U32 - 1)
    frame = struct_object(module, "struct.rp_net_frame", "frame", constant=True)
    device = struct_object(module, "struct.rp_net_device", "device", constant=True)
    values = {"queue_recorded": recorded, "recorded_queue": queue, "cpu": cpu, "pairs": pairs}

    def content(made: Object, field: str) -> Any:
        return values.get(field, NULL if made.field(field).kind == "pointer" else 0)

    arguments = tuple(state.add(made, partial(content, made)) for made in (device, frame))
    environment = Environment()
    outcomes = list(execute(module, name, arguments, state, environment))
    yield _all_ways(name, state, outcomes)
    yield from owed(environment.obligations, name, _show)
    for outcome in outcomes:
        path = (*outcome.state.facts, *outcome.state.path)
        wanted = z3.If(recorded != 0, queue, cpu)
        right = z3.And(outcome.result < pairs, outcome.result == wanted % pairs)
        yield Question(f"{name}: the wanted queue, taken round to one in use", path, right, (), _show)


def _bytes(module: Module) -> Iterator[Question]:
    """A queue's allocation holds the struct, its data, and a record more than descriptors if it transmits."""
    name = "rp_net_queue_bytes"
    size, transmits = z3.Int("size"), z3.Bool("transmits")
    state = State()
    state.within(size, 1, LARGEST)
    environment = Environment()
    outcomes = list(execute(module, name, (size, transmits), state, environment))
    yield _all_ways(name, state, outcomes)
    yield from owed(environment.obligations, name, _show)
    for outcome in outcomes:
        path = (*outcome.state.facts, *outcome.state.path)
        right = outcome.result == z3.If(transmits, _whole(module, size), _records_at(module, size))
        yield Question(f"{name}: room for the queue, its data and its records", path, right, (), _show)


def _records_at(module: Module, size: Any) -> Any:
    """Where the records begin: behind the data."""
    return struct_of(module, "struct.rp_net_queue").size + 24 * size


def _whole(module: Module, size: Any) -> Any:
    return _records_at(module, size) + size_of(struct_of(module, "struct.rp_net_record")) * (size + 1)


class _Tables(Environment):
    """Answers rp_sg_init, which has a refinement of its own."""

    def __init__(self, world: World, queue: Object) -> None:
        super().__init__()
        self.world, self.queue = world, queue
        self.calls = 0

    def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Source) -> Answers:
        if callee != "rp_sg_init":
            raise Unmodelled(f"a call of {callee}", place)
        site = Site(state, self, place)
        whole = is_pointer_to(arguments[0], self.queue, self.world.sg(0)) and plain(arguments[1]) == LONGEST
        site.oblige("transmit", "the queue's own table is made ready, all of it", whole)
        state.extra["table"] = True
        return [(state, None)]


def _ready(module: Module, size: int, linux: bool) -> Iterator[Question]:
    """All records are in the list, each once; the room is the model's; the table is ready."""
    name = f"rp_net_send_init, {size} descriptors, {'linux-3.11' if linux else 'virtio-1.x'}"
    made = world(module, Transmit(size, linux=linux))
    record = struct_of(module, "struct.rp_net_record")
    base = _records_at(module, size)
    link = Field("link", base + record.fields[3][0], 8, record.size, 0, size + 1, "pointer")
    queue = Object("queue", (*made.queue.fields, link), size=_whole(module, size))
    state = State()
    pair = z3.Int("pair")
    state.within(pair, 0, U32 - 1)
    device = {"mended": 0 if linux else 1}

    def nothing(of: Object, field: str) -> Any:
        if of.field(field).stride:
            return lambda _: 0
        return NULL if of.field(field).kind == "pointer" else 0

    at = state.add(made.device, lambda f: device.get(f, nothing(made.device, f)))
    pointer = state.add(queue, lambda f: at if f == "device" else nothing(queue, f))
    environment = _Tables(made, queue)
    outcomes = list(execute(module, "rp_net_send_init", (pointer, size, pair), state, environment))
    yield _all_ways(name, state, outcomes)
    yield from owed(environment.obligations, name, _show)
    for outcome in outcomes:
        end = outcome.state
        path = (*end.facts, *end.path)
        room = made.model.room()
        assert isinstance(room, int)
        right = (
            ("the room it wants is the model's", end.read(queue, "room") == room),
            ("it knows its pair", end.read(queue, "pair") == pair),
            ("its table is ready", end.extra.get("table", False)),
            (
                "each record is in the list, once",
                _listed(end, queue, base, record.size) == set(range(size + 1)),
            ),
        )
        for what, goal in right:
            yield Question(f"{name}: {what}", path, goal, (), _show)


def _listed(state: State, queue: Object, base: int, stride: int) -> set[int] | None:
    """Return the numbers of the records in the list, or none if it is no list of records."""
    found: set[int] = set()
    here = state.read(queue, "unused")
    while isinstance(here, Pointer) and here.object is queue:
        apart = here.offset.plus(Offset(-base)).divided(stride)
        number = None if apart is None else apart.number()
        if not isinstance(number, int) or number in found:
            return None
        found.add(number)
        here = plain(state.read(queue, "link")(number))
    return found if here is NULL or here == 0 else None
