"""Compares the executor with native code: what it says a function does, and what gcc's and clang's code does.

A function is executed once on terms; then, for each sample of arguments and memory, exactly one path must be
taken, nothing owed may be missed where the behaviour is defined, and result and memory must be the native
ones. It is also executed on the sample's plain numbers.
"""

import ctypes
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import z3

from ringproof import impl
from ringproof.proofs.symbolic import ir
from ringproof.proofs.symbolic.clang import FLAGS, compile_ir, find_clang
from ringproof.proofs.symbolic.environment import Environment
from ringproof.proofs.symbolic.execution import Executor, Outcome
from ringproof.proofs.symbolic.llvm import read_ir
from ringproof.proofs.symbolic.state import Obligation, State
from ringproof.proofs.symbolic.values import Pointer, plain

from .translation_memory import Memory, Sample
from .translation_table import c_text, ir_text, rows

C = Path(str(impl.__file__)).parent / "c"
HERE = Path(__file__).parent
DEBUGGED = ("-g",)  # with what clang tells debuggers of variables
NUMBERS = {
    1: ctypes.c_uint8,
    8: ctypes.c_uint8,
    16: ctypes.c_uint16,
    32: ctypes.c_uint32,
    64: ctypes.c_uint64,
}
GCC = ("gcc", "-std=c11", "-O1", "-w", "-fPIC", "-shared")


def native(
    sources: Sequence[Path], directory: Path, compiler: str, include: Sequence[Path] = ()
) -> ctypes.CDLL:
    """A shared library of the sources (``.c`` or ``.ll``), by ``gcc`` or the pinned ``clang``."""
    library = directory / f"{sources[0].stem}-{compiler}.so"
    command = list(GCC)
    if compiler == "clang":
        flags = [] if sources[0].suffix == ".ll" else FLAGS
        command = [str(find_clang().path), *flags, "-w", "-fPIC", "-shared"]
    command += [f"-I{each}" for each in include]
    subprocess.run([*command, *map(str, sources), "-o", str(library)], check=True, timeout=120)
    return ctypes.CDLL(str(library))


# ---- execution


class Watched(Executor):
    """An executor that takes down which opcodes and intrinsics it executed."""

    executed: ClassVar[set[str]] = set()

    def step(self, state: State, depth: int) -> list[State] | Outcome:
        """Execute one instruction; it, and the phis of its block, are taken down."""
        frame = state.frames[-1]
        instruction = frame.block.instructions[frame.position]
        name = instruction.op
        if isinstance(instruction.callee, ir.FunctionAddress) and instruction.callee.name.startswith("llvm."):
            name = instruction.callee.name
        self.executed.add(name)
        if frame.block.instructions[0].op == "phi":
            self.executed.add("phi")
        return super().step(state, depth)


@dataclass
class Followed:
    """All paths of a function from one start, and what is owed on them."""

    outcomes: list[Outcome]
    obligations: list[Obligation]


def follow(module: ir.Module, name: str, arguments: Sequence[Any], state: State) -> Followed:
    """Execute a function on values or terms, without surroundings."""
    environment = Environment(rlimit=20_000)
    executor = Watched(module, environment)
    start = state.fork()
    executor.enter(start, module.functions[name], tuple(plain(each) for each in arguments), None)
    return Followed(list(executor.run(start)), environment.obligations)


def broken(sample: Sample, followed: Followed) -> list[Obligation]:
    """What is owed and doesn't hold."""
    return [
        each
        for each in followed.obligations
        if not sample.value(each.goal) and sample.all((*each.facts, *each.path))
    ]


def outcome(sample: Sample, followed: Followed) -> Outcome:
    """The one path that is taken."""
    taken = [each for each in followed.outcomes if sample.all(each.state.path)]
    assert len(taken) == 1, f"{len(taken)} of {len(followed.outcomes)} paths are taken"
    return taken[0]


# ---- functions to compare


@dataclass
class Subject:
    """A function with its parameters: widths of numbers, or names of values in memory.

    ``result``: width, 0 for none, 64 for a pointer. ``values``, ``pointers``, ``numbers``: see ``Memory``.
    ``limits``: numbers below which parameters, by position, and cells, by value and field, are. ``terms``:
    it is executed on terms, too. ``defined`` says of the parameters' numbers whether behaviour is.
    """

    name: str
    parameters: tuple[int | str, ...]
    result: int
    values: Mapping[str, Any] = field(default_factory=dict)
    pointers: Mapping[tuple[str, str], str] = field(default_factory=dict)
    numbers: Mapping[tuple[object, ...], int] = field(default_factory=dict)
    limits: Mapping[object, int] = field(default_factory=dict)
    terms: bool = True
    defined: Callable[..., bool] = lambda *_: True


def drawn(source: random.Random, bits: int, limit: int | None) -> int:
    """A number of so many bits, often one at an edge; below the limit if there is one."""
    if limit is not None:
        return source.randrange(limit)
    edges = (
        0,
        1,
        2,
        (1 << bits) - 1,
        (1 << bits) - 2,
        1 << (bits - 1),
        (1 << (bits - 1)) - 1,
        bits,
        bits - 1,
    )
    if source.random() < 0.35:
        return source.choice(edges) % (1 << bits)
    return source.getrandbits(bits) >> (source.randrange(bits) if source.random() < 0.4 else 0)


class Comparison:
    """One subject in one module, executed on terms once, against native libraries."""

    def __init__(self, subject: Subject, module: ir.Module, libraries: Sequence[ctypes.CDLL]) -> None:
        self.subject = subject
        self.module = module
        self.libraries = libraries
        self.memory = Memory(subject.values, subject.pointers, subject.numbers)
        self.terms: list[Any] = []
        self.followed: Followed | None = None
        if subject.terms:
            state, self.variables = self.memory.state(True)
            for position, parameter in enumerate(subject.parameters):
                if isinstance(parameter, str):
                    self.terms.append(Pointer(self.memory.objects[parameter]))
                elif parameter == 1:
                    self.terms.append(z3.Bool(f"argument{position}"))
                else:
                    term = z3.Int(f"argument{position}")
                    limit = subject.limits.get(position, 1 << parameter)
                    state.within(term, 0, limit - 1)
                    self.terms.append(term)
            for (name, path, _), term in self.variables.items():
                if (name, path) in subject.limits:
                    state.within(term, 0, subject.limits[name, path] - 1)
            self.followed = follow(module, subject.name, self.terms, state)

    def run(self, source: random.Random) -> bool:
        """Compare one sample; return whether its behaviour is defined. AssertionError tells a difference."""
        subject, memory = self.subject, self.memory
        memory.fill(lambda name, cell: drawn(source, 8 * cell.bytes, subject.limits.get((name, cell.field))))
        numbers = [
            0 if isinstance(parameter, str) else drawn(source, parameter, subject.limits.get(position))
            for position, parameter in enumerate(subject.parameters)
        ]
        defined = subject.defined(*numbers)
        said = f"{subject.name}({', '.join(map(hex, numbers))})"
        state, _ = memory.state(False)
        arguments = [
            Pointer(memory.objects[parameter])
            if isinstance(parameter, str)
            else bool(value)
            if parameter == 1
            else value
            for parameter, value in zip(subject.parameters, numbers, strict=True)
        ]
        ways = [(Sample(), follow(self.module, subject.name, arguments, state))]
        if self.followed is not None:
            ways.append((self._sample(numbers), self.followed))
        for sample, followed in ways:
            owed = [str(each) for each in broken(sample, followed)]
            assert bool(owed) != defined, f"{said}: owed and broken: {owed}"
        if not defined:
            return False
        outcomes = [(sample, outcome(sample, followed)) for sample, followed in ways]
        for library in self.libraries:
            memory.restore(library)
            there = self._called(library, numbers)
            for sample, taken in outcomes:
                if subject.result:
                    told = memory.native(sample.value(taken.result), library)
                    assert told == there, f"{said} is {told:#x}, natively {there:#x} ({library._name})"
                differences = memory.differences(sample, taken.state, library)
                assert not differences, f"{said}: {'; '.join(differences[:4])} ({library._name})"
        return True

    def _sample(self, numbers: Sequence[int]) -> Sample:
        pairs: list[tuple[z3.ExprRef, z3.ExprRef]] = []
        for term, value in zip(self.terms, numbers, strict=True):
            if isinstance(term, z3.BoolRef):
                pairs.append((term, z3.BoolVal(bool(value))))
            elif isinstance(term, z3.ExprRef):
                pairs.append((term, z3.IntVal(value)))
        for name in self.memory.objects:
            for cell in self.memory.cells(name):
                known = self.variables.get((name, cell.field, cell.index))
                if known is not None:
                    pairs.append((known, z3.IntVal(self.memory.held(name, cell))))
        return Sample(pairs)

    def _called(self, library: ctypes.CDLL, numbers: Sequence[int]) -> int:
        function = getattr(library, self.subject.name)
        function.restype = NUMBERS[self.subject.result] if self.subject.result else None
        function.argtypes = [
            ctypes.c_void_p if isinstance(each, str) else NUMBERS[each] for each in self.subject.parameters
        ]
        given = [
            self.memory.address(each) if isinstance(each, str) else value
            for each, value in zip(self.subject.parameters, numbers, strict=True)
        ]
        result = function(*given) or 0
        return int(result) & ((1 << self.subject.result) - 1) if self.subject.result else 0


def compare(comparison: Comparison, samples: int, seed: int = 0) -> int:
    """Compare so many samples; return of how many the behaviour is defined."""
    source = random.Random(f"{comparison.subject.name} {seed}")
    return sum(comparison.run(source) for _ in range(samples))


def modules(directory: Path) -> dict[str, tuple[ir.Module, list[ctypes.CDLL]]]:
    """The table, the corpus and the drivers: each as a module, and as native libraries of two compilers."""
    table_ll, table_c = directory / "table.ll", directory / "table.c"
    table_ll.write_text(ir_text(rows()))
    table_c.write_text(c_text(rows()))
    sources = [
        HERE / "translation.c",
        *(C / f"{name}.c" for name in ("net_header", "scatterlist", "virtqueue")),
    ]
    corpus, *parts = (
        read_ir(compile_ir(each, [C], extra=DEBUGGED if each == sources[0] else ())) for each in sources
    )
    functions = {name: each for part in (corpus, *parts) for name, each in part.functions.items()}
    variables = {name: each for part in (corpus, *parts) for name, each in part.globals.items()}
    libraries = [native(sources, directory, compiler, [C]) for compiler in ("gcc", "clang")]
    return {
        "table": (
            read_ir(table_ll.read_text()),
            [native([table_ll], directory, "clang"), native([table_c], directory, "gcc")],
        ),
        "corpus": (corpus, libraries),
        "drivers": (ir.Module(functions, frozenset(), variables, ""), libraries),
    }
