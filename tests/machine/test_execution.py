"""The executor does what the processor does, on plain words and on symbols."""

import ctypes
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import z3

from ringproof.building import build_library, find_compiler
from ringproof.proofs.machine.flat import Region
from ringproof.proofs.machine.image import Image, load
from ringproof.proofs.machine.operations import _TABLE
from ringproof.proofs.machine.run import Machine
from ringproof.proofs.machine.words import vector

SOURCE = Path(__file__).with_name("snippets.c")
MEMORY = 0x1000_0000
EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
)


def names() -> list[str]:
    """All functions of the snippets, found where the compiler put them."""
    image = load(build_library([SOURCE], compiler=find_compiler("gcc")))
    symbols = image.symbols.items()
    return sorted(name for name, symbol in symbols if symbol.exported and symbol.is_function and symbol.size)


@pytest.fixture(scope="module", params=["gcc", "clang"])
def library(request: pytest.FixtureRequest) -> tuple[Path, Image]:
    """The snippets, compiled."""
    path = build_library([SOURCE], compiler=find_compiler(request.param))
    return path, load(path)


def cases(name: str, count: int) -> Iterator[tuple[int, int, bytes]]:
    """Random arguments, many of them at the edges, and random memory."""
    dice = random.Random(name)
    for _ in range(count):
        pair = [dice.choice(EDGES) if dice.random() < 0.5 else dice.getrandbits(64) for _ in range(2)]
        if dice.random() < 0.2:
            pair[1] = pair[0]
        yield pair[0], pair[1], dice.randbytes(64)


def native(path: Path, name: str, a: int, b: int, memory: bytes) -> tuple[int, bytes]:
    """What the processor does."""
    function = ctypes.CDLL(str(path))[name]
    function.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p]
    function.restype = ctypes.c_uint64
    room = ctypes.create_string_buffer(memory, 64)
    return function(a, b, room), room.raw


def test_plain_words_run_as_the_processor_runs_them(library: tuple[Path, Image]) -> None:
    """Each snippet, on edges and random words: result and memory are those of the native run."""
    path, image = library
    machine = Machine(image)
    for name in names():
        for a, b, memory in cases(name, 12):
            state = machine.state([Region("memory", MEMORY, 64, contents=memory)])
            outcomes = list(machine.call(name, [a, b, MEMORY], state))
            assert not machine.findings, (name, machine.findings[-1])
            (outcome,) = outcomes
            after = bytes(outcome.state.memory.load(MEMORY + i, 1) for i in range(64))
            assert (outcome.result, after) == native(path, name, a, b, memory), (name, a, b, memory)


def test_symbols_stand_for_every_word(library: tuple[Path, Image]) -> None:
    """A fifth of the snippets, run once on symbols: for any words one path is taken, and ends as natively."""
    path, image = library
    a, b = z3.BitVecs("a b", 64)
    cells = [z3.BitVec(f"m{i}", 8) for i in range(64)]
    for name in names()[len(image.imports) :: 5]:
        if name == "divided_signed":  # whether a 128-bit quotient can overflow takes the solver 10 seconds
            continue
        machine = Machine(image)
        state = machine.state([Region("memory", MEMORY, 64)])
        for i, cell in enumerate(cells):
            state.memory.store(MEMORY + i, cell, 1)
        outcomes = list(machine.call(name, [a, b, MEMORY], state))
        assert not machine.findings, (name, machine.findings[-1])
        for x, y, memory in cases(name, 2):
            known = [(a, z3.BitVecVal(x, 64)), (b, z3.BitVecVal(y, 64))]
            known += [(cell, z3.BitVecVal(byte, 8)) for cell, byte in zip(cells, memory, strict=True)]
            taken = [
                each
                for each in outcomes
                if z3.is_true(z3.simplify(z3.substitute(z3.And(each.state.path), *known)))
            ]
            assert len(taken) == 1, (name, x, y, len(outcomes))
            state = taken[0].state
            words = [vector(state.memory.load(MEMORY + i, 1), 8) for i in reversed(range(64))]
            whole = z3.Concat(vector(taken[0].result, 64), *words)
            value = z3.simplify(z3.substitute(whole, *known)).as_long()
            ended = value >> 512, (value % 2**512).to_bytes(64, "little")
            assert ended == native(path, name, x, y, memory), (name, x, y, memory)


def test_every_operation_claimed_is_compared() -> None:
    """Between them, what gcc and clang make of the snippets has all kinds of operations there are."""
    met = set()
    for compiler in ("gcc", "clang"):
        image = load(build_library([SOURCE], compiler=find_compiler(compiler)))
        machine = Machine(image)
        for name in names():
            for a, b, memory in cases(name, 3):
                state = machine.state([Region("memory", MEMORY, 64, contents=memory)])
                list(machine.call(name, [a, b, MEMORY], state))
        for block in machine.lifter.blocks():
            met |= {each.op.removeprefix("Iop_") for each in block.expressions if hasattr(each, "op")}
    missing = [pattern for pattern, _ in _TABLE if not any(re.fullmatch(pattern, name) for name in met)]
    assert not missing, " ".join(missing)
