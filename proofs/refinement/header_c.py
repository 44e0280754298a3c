"""The C sources' header against the model: all packets, all feature sets, both profiles."""

import ctypes
from collections.abc import Iterator
from typing import Any

import z3

from ..discharge import ObligationResult
from ..symbolic.environment import Environment
from ..symbolic.execution import Outcome, covered, execute
from ..symbolic.ir import Module
from ..symbolic.state import State
from ..symbolic.values import Field, Object, Pointer
from .deciding import Question, decide
from .header_expected import BITS, ROOM, Expected, concrete, difference, expected
from .mapping_objects import key_of, module_of, owed, struct_object
from .refinement import Code

SOURCE = "net_header.c"
FUNCTIONS = ("rp_net_header_bytes", "rp_net_header_check", "rp_net_header_write")
OK, EINVAL = 0, (1 << 32) - 22

_FEATURES = z3.Int("features")
_FLAGS = ("checksum", "ecn")


def key(code: Code) -> str:
    """Return the IR that the questions are made of."""
    return key_of(code.c, SOURCE, *FUNCTIONS)


def check(code: Code, linux: bool) -> list[ObligationResult]:
    """Compare size, acceptance and every byte in one profile. Raises Missing for what can't be followed."""
    return [decide(question, finite=True) for question in questions(code, linux)]


def questions(code: Code, linux: bool) -> Iterator[Question]:
    """Yield what is to be shown."""
    module = module_of(code.c, SOURCE)
    model = expected(linux, _flag)
    known = model.known | {"features": z3.And(_FEATURES >= 0, _FEATURES < 1 << 64)}
    known |= {name: z3.And(z3.Int(name) >= 0, z3.Int(name) < 256) for name in _FLAGS}
    yield Question("some packet is accepted, some is refused", (), z3.BoolVal(_both_happen(model, known)))

    for name, arguments, given, results in (
        ("rp_net_header_bytes", (_FEATURES, not linux), {}, _size),
        ("rp_net_header_check", ("frame", _FEATURES, not linux), {}, _accepted),
        ("rp_net_header_write", ("header", "frame", model.size, not linux), _written(model), _bytes),
    ):
        made = _Objects(module, model, name)
        environment = Environment()
        state = made.start(known | given)
        values = [made.pointers.get(each, each) if isinstance(each, str) else each for each in arguments]
        outcomes = list(execute(module, name, values, state, environment))
        yield Question(
            f"{name}: every packet takes a way that was followed",
            state.facts,
            covered(outcomes),
            (),
            model.shown,
        )
        yield from owed(environment.obligations, name, model.shown)
        for outcome in outcomes:
            for what, goal in results(model, made, outcome):
                path = (*outcome.state.facts, *outcome.state.path)
                yield Question(f"{name}: {what}", path, goal, (), model.shown)


def _flag(name: str) -> z3.BoolRef:
    """A feature is a bit of a number, a packet's flag a byte other than 0."""
    return _FEATURES / (1 << BITS[name]) % 2 == 1 if name in BITS else z3.Int(name) != 0


def _written(model: Expected) -> dict[str, z3.BoolRef]:
    return {"accepted": z3.Not(model.refused)}


def _size(model: Expected, _: "_Objects", outcome: Outcome) -> list[tuple[str, Any]]:
    return [("as many bytes as the model says", outcome.result == model.size)]


def _accepted(model: Expected, _: "_Objects", outcome: Outcome) -> list[tuple[str, Any]]:
    right = z3.If(model.refused, EINVAL, OK)
    return [("accepted is what the model accepts", outcome.result == right)]


def _bytes(model: Expected, made: "_Objects", outcome: Outcome) -> list[tuple[str, Any]]:
    cells = outcome.state.read(made.header, "byte")
    same = [cells(place) == byte for place, byte in enumerate(model.after)]
    return [
        ("each byte that every header has is the model's", z3.And(same[:10])),
        ("num_buffers is the model's, where there is one", z3.And(same[10:12])),
        ("no other byte changes", z3.And(same[12:])),
    ]


class _Objects:
    """A frame, its packet, and the memory that the header is written to."""

    def __init__(self, module: Module, model: Expected, function: str) -> None:
        self.model = model
        self.header = Object("header", (Field("byte", 0, 1, 1, 0, ROOM),), size=ROOM, align=1)
        self._module = module
        self._function = function
        self.pointers: dict[str, Pointer] = {}

    def start(self, known: dict[str, z3.BoolRef]) -> State:
        """Return the state in which the function is called."""
        state = State(tuple(known.values()))
        old = self.model.old
        contents: dict[str, Any] = {
            "byte": lambda index: old[index] if isinstance(index, int) else _of(old, index)
        }
        self.pointers["header"] = state.add(self.header, contents)
        if self._function == "rp_net_header_bytes":
            return state
        values: dict[str, Any] = dict(self.model.numbers) | {name: z3.Int(name) for name in _FLAGS}
        frame = struct_object(self._module, "struct.rp_net_frame", "frame", constant=True)
        if self._function == "rp_net_header_write":
            packet = struct_object(self._module, "struct.rp_net_packet", "packet", constant=True)
            values["packet"] = state.add(packet, lambda name: values.get(name, _any(packet, name)))
        self.pointers["frame"] = state.add(frame, lambda name: values.get(name, _any(frame, name)))
        return state


def _any(made: Object, name: str) -> z3.ArithRef:
    """What a header does not depend on. The ranges of these fields are not needed."""
    return z3.Int(f"{made.name}.{name}")


def _of(old: tuple[z3.ArithRef, ...], index: Any) -> Any:
    found: Any = old[-1]
    for place, byte in enumerate(old[:-1]):
        found = z3.If(index == place, byte, found)
    return found


def _both_happen(model: Expected, known: dict[str, z3.BoolRef]) -> bool:
    """Tell whether the hypotheses hold of some packet that is accepted, and of one that is not."""
    answers = []
    for flag in (model.refused, z3.Not(model.refused)):
        solver = z3.Solver()
        solver.add(*known.values(), flag)
        answers.append(solver.check() == z3.sat)
    return all(answers)


# A counterexample, run.


class _Packet(ctypes.Structure):
    _fields_ = (
        ("head", ctypes.c_void_p),
        ("head_address", ctypes.c_uint64),
        ("head_length", ctypes.c_uint32),
        ("fragment_count", ctypes.c_uint32),
        ("fragments", ctypes.c_void_p),
        ("list", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("length", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class _Frame(ctypes.Structure):
    _fields_ = (
        ("packet", ctypes.POINTER(_Packet)),
        ("token", ctypes.c_void_p),
        ("control", ctypes.c_void_p),
        ("control_address", ctypes.c_uint64),
        ("checksum", ctypes.c_uint8),
        ("gso", ctypes.c_uint8),
        ("ecn", ctypes.c_uint8),
        ("queue_recorded", ctypes.c_uint8),
        ("csum_start", ctypes.c_uint16),
        ("csum_offset", ctypes.c_uint16),
        ("gso_size", ctypes.c_uint16),
        ("recorded_queue", ctypes.c_uint16),
        ("cpu", ctypes.c_uint32),
    )


def replay(counterexample: dict[str, Any], library: str) -> str:
    """Run a library built of the C sources on a packet of a counterexample; return what is wrong, or nothing.

    What is right is the model's, computed for this packet alone.
    """
    model = concrete(counterexample)
    mended = counterexample["profile"] != "linux-3.11"
    loaded = ctypes.CDLL(library)
    loaded.rp_net_header_bytes.argtypes = (ctypes.c_uint64, ctypes.c_bool)
    loaded.rp_net_header_bytes.restype = ctypes.c_uint32
    loaded.rp_net_header_check.argtypes = (ctypes.POINTER(_Frame), ctypes.c_uint64, ctypes.c_bool)
    loaded.rp_net_header_write.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_Frame),
        ctypes.c_uint32,
        ctypes.c_bool,
    )
    loaded.rp_net_header_write.restype = None
    features = sum(1 << place for name, place in BITS.items() if counterexample[name])
    packet = _Packet(head_length=counterexample["head_length"], length=counterexample["length"])
    names = ("checksum", "gso", "ecn", "csum_start", "csum_offset", "gso_size")
    frame = _Frame(packet=ctypes.pointer(packet), **{name: int(counterexample[name]) for name in names})
    memory = (ctypes.c_uint8 * ROOM)(*counterexample["memory"])
    size = loaded.rp_net_header_bytes(features, mended)
    accepted = loaded.rp_net_header_check(frame, features, mended) == 0
    if not model.refused:
        loaded.rp_net_header_write(memory, frame, model.size, mended)
    return difference(model, size, accepted, bytes(memory))
