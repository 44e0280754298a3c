"""A driver's machine code in symbolic surroundings: its image as loaded, and its environment's answers."""

from pathlib import Path

import z3

from ..proofs.machine.errors import Unmodelled
from ..proofs.machine.flat import Region
from ..proofs.machine.image import BASE, Image, Segment, Symbol, load
from ..proofs.machine.run import Machine
from ..proofs.machine.state import Call, Environment, State
from ..proofs.machine.words import Flag, Word, boolean, extract
from .symbolic_start import RegionKind, Start
from .symbolic_surroundings import Block, BlockKind, Notice, Surroundings

AROUND = "around"
OPERATION = "operation"
"""Keys of State.extra: the Surroundings on this path, and the name of the operation under way."""
LENT_AT = 0x6000_0000_0000
"""Where what is lent to the driver for a call lies."""
_PERMISSIONS: dict[RegionKind, str] = {
    "code": "rx", "constants": "r", "data": "rw", "env": "r", "arena": "rw", "private": "rw",
}  # fmt: skip
_IMAGE: tuple[RegionKind, ...] = ("code", "constants", "data")
_REFUSED = 0xFFFF_FFFF
_MOST_INSTRUCTIONS = 4000

Answers = list[tuple[State, Word | None]]


class _Loaded(Image):
    """An image where the loader has put it."""

    def place(self, address: int) -> str:
        """Say where an instruction is: its function, its address in the file, and its line if known."""
        where = f"{self.function(address)} at {address - self.segments[0].address:#x}"
        line = self.line(address)
        return f"{line} ({where})" if line else where


def machine_of(library: Path, start: Start) -> Machine:
    """Return a machine with the driver's image as it is in memory. Raises Missing, also without pyvex."""
    file = load(library)
    shift = start.base - BASE
    symbols = {
        name: Symbol(name, symbol.address + shift, symbol.size) for name, symbol in file.symbols.items()
    }
    image = _Loaded(
        path=library,
        segments=tuple(
            Segment(region.address, region.content, _PERMISSIONS[region.kind])
            for region in start.regions
            if region.kind in _IMAGE
        ),
        symbols=symbols,
        imports={name: address for address, name in start.hooks.items()},
        lines=tuple((address + shift, line) for address, line in file.lines),
    )
    return Machine(image, most_instructions=_MOST_INSTRUCTIONS, strict=False)


def first_state(machine: Machine, start: Start) -> State:
    """Return the state of a start: its memory mapped, its surroundings noted."""
    regions = [
        Region(
            f"{region.kind} {region.address:#x}",
            region.address,
            len(region.content),
            _PERMISSIONS[region.kind],
            contents=region.content,
        )
        for region in start.regions
        if region.kind not in _IMAGE and region.content
    ]
    state = machine.state(regions)
    state.extra[AROUND] = Surroundings.at(start)
    return state


def around(state: State) -> Surroundings:
    """The surroundings on a path."""
    found = state.extra[AROUND]
    assert isinstance(found, Surroundings)
    return found


class Surrounding(Environment):
    """Answers what a driver asks of its environment, as ``struct rp_env`` promises."""

    def __init__(self, machine: Machine, start: Start) -> None:
        self._machine = machine
        self._start = start
        self._calls = {
            "env.allocate": self._allocate,
            "env.allocate_private": self._allocate_private,
            "env.release": self._release,
            "env.release_private": self._release_private,
            "env.notify": self._notify,
            "env.callback": self._callback,
            "env.completed": self._completed,
            "env.map": self._map,
            "env.unmap": self._unmap,
        }

    def on_call(self, call: Call, state: State) -> Answers | None:
        """Answer a call of the environment; None for any other. Raises Unmodelled, TooMany."""
        answer = self._calls.get(self._start.hooks.get(call.address, ""))
        return None if answer is None else answer(call, state)

    # Helping

    def _one(self, state: State, word: Word, width: int, what: str, call: Call) -> int:
        """The only value of a word, such as a size. Raises Unmodelled where there are several."""
        values = self._machine.oracle.values(extract(word, 0, width), state.path, 2)
        if len(values) != 1:
            raise Unmodelled(f"{call.name} with {what} that is not known", call.place)
        return values[0]

    def _striking(self, state: State) -> tuple[State, State | None]:
        """Part the path into one on which what is asked for is given, and one on which it is not."""
        now = around(state)
        if not now.may_fail:
            return state, None
        now = now.striking()
        fails = fails_at(state.extra[OPERATION], now.asked)
        refused, given = state.fork(fails), state.fork(z3.Not(fails))
        refused.extra[AROUND], given.extra[AROUND] = now.struck(), now
        return given, refused

    def _given(
        self, call: Call, state: State, kind: BlockKind, alignment: int
    ) -> tuple[Answers, Block, State]:
        size = self._one(state, call.arguments[1], 64, "a size", call)
        given, refused = self._striking(state)
        after, block = around(given).allocated(size, alignment, kind)
        given.extra[AROUND] = after
        if size:
            fresh = kind == "arena"
            given.memory.map(Region(block.name, block.address, size, "rw", fresh=fresh))
        answers: Answers = [(given, block.address)]
        if refused is not None:
            answers.append((refused, 0))
        return answers, block, given

    # What it is asked

    def _allocate(self, call: Call, state: State) -> Answers:
        alignment = self._one(state, call.arguments[2], 64, "an alignment", call)
        answers, block, given = self._given(call, state, "arena", alignment)
        place = self._one(state, call.arguments[3], 64, "a place for the address", call)
        if place:
            self._put(given, place, self._start.seen_at(block.address), call)
        return answers

    def _put(self, state: State, place: int, value: Word, call: Call) -> None:
        region = state.memory.region(place, 8)
        if region is None or "w" not in region.permissions:
            raise Unmodelled(f"{call.name} with an address to write to that is not the driver's", call.place)
        state.memory.store(place, value, 8)

    def _allocate_private(self, call: Call, state: State) -> Answers:
        return self._given(call, state, "private", 16)[0]

    def _freed(self, call: Call, state: State, kind: BlockKind) -> Answers:
        memory = self._one(state, call.arguments[1], 64, "a pointer", call)
        size = self._one(state, call.arguments[2], 64, "a size", call)
        if memory:
            state.extra[AROUND], block = around(state).released(memory, size, kind)
            if block is not None and block.size:
                state.memory.unmap(block.name)
        return [(state, None)]

    def _release(self, call: Call, state: State) -> Answers:
        return self._freed(call, state, "arena")

    def _release_private(self, call: Call, state: State) -> Answers:
        return self._freed(call, state, "private")

    def _notify(self, call: Call, state: State) -> Answers:
        index = state.memory.load(self._start.pointer(self._start.parts[1]) + 2, 2)
        state.extra[AROUND] = around(state).notified(Notice(extract(call.arguments[1], 0, 32), index))
        return [(state, None)]

    def _callback(self, call: Call, state: State) -> Answers:
        del call
        state.extra[AROUND] = around(state).called_back()
        return [(state, None)]

    def _completed(self, call: Call, state: State) -> Answers:
        length = extract(call.arguments[2], 0, 32)
        state.extra[AROUND] = around(state).given_back(call.arguments[1], length)
        return [(state, None)]

    def _map(self, call: Call, state: State) -> Answers:
        place = self._one(state, call.arguments[3], 64, "a place for the address", call)
        given, refused = self._striking(state)
        after, mapping = around(given).mapped(call.arguments[1], extract(call.arguments[2], 0, 32))
        given.extra[AROUND] = after
        self._put(given, place, mapping.address, call)
        answers: Answers = [(given, 0)]
        if refused is not None:
            answers.append((refused, _REFUSED))
        return answers

    def _unmap(self, call: Call, state: State) -> Answers:
        address = self._one(state, call.arguments[1], 64, "an address", call)
        state.extra[AROUND] = around(state).unmapped(address, extract(call.arguments[2], 0, 32))
        return [(state, None)]


def fails_at(operation: str, number: int) -> z3.BoolRef:
    """The symbol that says that the allocation or mapping ``number``, from 1, of an operation fails."""
    return z3.Bool(f"{operation}!fails!{number}")


def assume(state: State, *conditions: Flag) -> None:
    """Let conditions hold on a state's path."""
    state.path = (*state.path, *(boolean(each) for each in conditions if each is not True))
