"""The objects that virtio_net.c works on: a transmit queue, its device, the stack's frames, records.

The list of records not in use is known by its length alone; its records come into being when they are taken.
In memory a pointer into such a list is a ``Tail``, until somebody reads it.
"""

from dataclasses import dataclass
from typing import Any

import z3

from ...model.transmit import State as Moment
from ...model.transmit import Transmit
from ..symbolic.ir import Module
from ..symbolic.memory import typed_object
from ..symbolic.state import State
from ..symbolic.values import NULL, ZERO, Field, FunctionPointer, Null, Object, Offset, Pointer
from .mapping_objects import names_of, struct_object, struct_of

COUNTERS = {
    "tx_packets": "tx_packets",
    "tx_bytes": "tx_bytes",
    "tx_fifo_errors": "tx_fifo_errors",
    "tx_dropped": "tx_dropped",
}
"""A field of the queue's statistics, and the model's name for it."""

U64 = 1 << 64
FUNCTIONS = ("allocate", "release", "freed", "orphaned", "stop_queue", "start_queue", "wake_queue")

_QUEUE = names_of("struct.rp_net_queue") | {
    "0.4": "queue_size",
    "0.5": "num_free",
    "7.0": "tx_packets",
    "7.1": "tx_bytes",
    "7.2": "tx_fifo_errors",
    "7.3": "tx_dropped",
}


@dataclass(frozen=True)
class Tail:
    """The rest of a list of records: so many, of which nothing else is known."""

    length: Any


@dataclass(frozen=True)
class Sent:
    """A frame of the stack: the objects, its token, its length and the memory for its header."""

    frame: Object
    packet: Object
    control: Object
    token: Object
    length: Any


@dataclass(frozen=True)
class World:
    """A transmit queue and what it knows."""

    module: Module
    model: Transmit
    queue: Object
    device: Object
    env: Object
    context: Object

    def start(self, state: State, moment: Moment, unused: Any) -> None:
        """Put everything into memory, as it is at a moment."""
        context = state.add(self.context, {})
        env = {name: FunctionPointer(f"env.{name}") for name in FUNCTIONS} | {"context": context}
        device = {
            "env": state.add(self.env, lambda name: env.get(name, _any(self.env, name))),
            "mended": 0 if self.model.linux is True else 1,
        }
        at = state.add(self.device, lambda name: device.get(name, _any(self.device, name)))
        queue: dict[str, Any] = {"device": at, "queue_size": self.model.queue_size, "unused": unused}
        queue["room"] = self.model.room()
        state.add(self.queue, lambda name: queue.get(name, _any(self.queue, name)))
        self.fill(state, moment)

    def fill(self, state: State, moment: Moment, uncounted: Any = 0, bytes_: Any = 0) -> None:
        """Let the queue's numbers be those of a moment; some that are got back may not be counted yet."""
        state.write(self.queue, "num_free", moment.num_free)
        less = {"tx_packets": uncounted, "tx_bytes": bytes_}
        for field, name in COUNTERS.items():
            state.write(self.queue, field, (getattr(moment, name) - less.get(field, 0)) % U64)

    def differences(
        self, state: State, moment: Moment, uncounted: Any = 0, bytes_: Any = 0
    ) -> list[tuple[str, Any]]:
        """Return what has to hold for memory to be what a moment says."""
        less = {"tx_packets": uncounted, "tx_bytes": bytes_}
        found = [("num_free is the model's", state.read(self.queue, "num_free") == moment.num_free)]
        for field, name in COUNTERS.items():
            right = (getattr(moment, name) - less.get(field, 0)) % U64
            found.append((f"{field} is the model's", state.read(self.queue, field) == right))
        kept = state.read(self.queue, "room") == self.model.room()
        found.append(("room is the model's", kept))
        return found

    def sg(self, number: int) -> Offset:
        """Where an entry of the queue's table stands."""
        field = self.queue.field("sg.0")
        start: Offset = field.offset
        return start.plus(Offset(field.stride * number))

    def record(self, state: State, mark: str, **values: Any) -> Object:
        """Make a record; of what is not given nothing is known."""
        made = struct_object(self.module, "struct.rp_net_record", f"record{mark}", shared=True)
        known = {"frame": NULL, "copy": NULL, "next": NULL} | values
        state.add(made, lambda name: known.get(name, _any(made, name)))
        return made

    def sent(self, state: State, mark: str, length: Any) -> Sent:
        """Make a frame of that many bytes; of the rest nothing is known."""
        token = Object(f"token{mark}", (), handle=z3.Int(f"token{mark}"))
        control = Object(f"control{mark}", (Field("byte", 0, 1, 1, 0, 48),), size=48, align=1)
        byte = z3.Function(f"control{mark}", z3.IntSort(), z3.IntSort())
        packet = struct_object(self.module, "struct.rp_net_packet", f"packet{mark}", constant=True)
        frame = struct_object(self.module, "struct.rp_net_frame", f"frame{mark}", constant=True)
        inside = {"length": length, "head": NULL, "fragments": NULL, "list": NULL, "next": NULL}
        values = {
            "packet": state.add(packet, lambda name: inside.get(name, _any(packet, name))),
            "token": state.add(token, {}),
            "control": state.add(control, {"byte": byte}),
        }
        state.add(frame, lambda name: values.get(name, _any(frame, name)))
        return Sent(frame, packet, control, token, length)


def world(module: Module, model: Transmit) -> World:
    """Return a queue and what it knows. Raises LayoutChanged."""
    queue = typed_object("queue", struct_of(module, "struct.rp_net_queue"), names=_QUEUE, shared=True)
    device = struct_object(module, "struct.rp_net_device", "device", constant=True)
    env = struct_object(module, "struct.rp_net_env", "env", constant=True)
    return World(module, model, queue, device, env, Object("context", (), handle=z3.Int("context")))


def unused(state: State, world: World) -> tuple[list[Object], Any]:
    """Return the records not in use that are known one by one, and how many there are behind them.

    Raises ValueError for a list that goes round.
    """
    found: list[Object] = []
    here = state.read(world.queue, "unused")
    while isinstance(here, Pointer):
        if here.object in found or here.offset != Offset(0):
            raise ValueError("a record is in the list twice")
        found.append(here.object)
        here = state.read(here.object, "next")
    if isinstance(here, Tail):
        return found, here.length
    if isinstance(here, Null):
        return found, 0
    raise ValueError(f"the list of records ends in {here}")


def _any(made: Object, name: str) -> Any:
    field = made.field(name)
    if field.stride:
        return z3.Function(f"{made.name}.{name}", z3.IntSort(), z3.IntSort())
    if field.kind == "pointer":
        return NULL
    return z3.Int(f"{made.name}.{name}")


def is_pointer_to(value: Any, made: Object, offset: Offset = ZERO) -> bool:
    """Tell whether a value is the address of that place in an object."""
    return isinstance(value, Pointer) and value.object is made and value.offset == offset
