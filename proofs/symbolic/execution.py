"""The executor: LLVM IR run on terms, path by path, every path with its conditions.

Exact, or refused: what an instruction does is said without approximation, or Unmodelled names it. Where
behaviour would be undefined something is owed (see ``Obligation``), and the path goes on as if it were paid.
All outcomes together cover whatever the start allows, but for what ends at something owed or in the
environment: see ``covered``.

A getelementptr with ``inbounds`` owes nothing: it may be computed early and never be used. What it steps
through is kept in the pointer and owed where that is followed, compared, stored, passed on or returned, as
far as the object's size is known; the access itself owes that its cell exists.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from . import accesses, instructions, intrinsics, pointers
from .environment import Answers, Environment
from .errors import Unmodelled
from .ir import Block, Function, FunctionAddress, Instruction, IntType, Local, Module, Place
from .paths import settled, split
from .state import Ended, Frame, Site, State
from .values import FunctionPointer, Null, Undefined, choose, conjunction, equal, negation, plain

OPCODES = instructions.OPCODES | {"alloca", "br", "call", "fence", "load", "phi", "ret", "store", "switch"}
CLAIMED = OPCODES | {"unreachable"} | intrinsics.NAMES
"""The opcodes and intrinsics (``llvm.memset``, without their types) that are executed exactly."""

Ways = list[State]


@dataclass
class Outcome:
    """The end of a path: its state, and what the function returned (none for void)."""

    state: State
    result: Any


def execute(
    module: Module, function: str, arguments: Sequence[Any], state: State, environment: Environment
) -> Iterator[Outcome]:
    """Run a function of the module from a state, which is left as it is; yield the end of each path.

    What is owed is added to ``environment.obligations``. An environment may execute another function, of
    another module, on a state it is asked about: the frames beneath stay. Raises Unmodelled with the place
    for what has no exact meaning here, ValueError if the module has no such function or it takes other
    arguments.
    """
    if function not in module.functions:
        raise ValueError(f"the module defines no function {function}")
    called = module.functions[function]
    if len(called.parameters) != len(arguments):
        raise ValueError(f"{function} takes {len(called.parameters)} arguments, not {len(arguments)}")
    start = state.fork()
    executor = Executor(module, environment)
    executor.enter(start, called, tuple(plain(each) for each in arguments), None)
    yield from executor.run(start)


def covered(outcomes: Iterable[Outcome]) -> Any:
    """Return the flag that one of the outcomes' paths is taken.

    It has to follow from the facts of all outcomes together, which say more than those of the start only that
    numbers in memory fit their cells. Paths that were cut by the environment are missing.
    """
    paths = [conjunction(list(outcome.state.path)) for outcome in outcomes]
    return negation(conjunction([negation(path) for path in paths]))


class Executor:
    """One execution: a module and its surroundings."""

    def __init__(self, module: Module, environment: Environment) -> None:
        self.module = module
        self.environment = environment

    def run(self, start: State) -> Iterator[Outcome]:
        """Follow every path from a state that has a frame, to where that frame is left."""
        depth = len(start.frames)
        ahead = [start]
        while ahead:
            ways: Ways | Outcome = [ahead.pop()]
            try:
                while isinstance(ways, list) and len(ways) == 1:
                    ways = self.step(ways[0], depth)
            except Ended:
                continue
            if isinstance(ways, Outcome):
                yield ways
            else:
                ahead += reversed(ways)

    def step(self, state: State, depth: int) -> "Ways | Outcome":
        """Execute one instruction; return the states after it, or the end of the path."""
        frame = state.frames[-1]
        instruction = frame.block.instructions[frame.position]
        site = Site(state, self.environment, instruction.place)
        match instruction.op:
            case "ret":
                return self._return(site, frame, instruction, depth)
            case "br":
                return self._branch(site, frame, instruction)
            case "switch":
                return self._switch(site, frame, instruction)
            case "unreachable":
                site.oblige("unreachable", "this is never reached", False)
                return []
            case "call":
                return self._call(site, instruction)
            case "load":
                return self._bind(accesses.load(site, self.module, instruction), instruction)
            case "store":
                return [_advanced(each) for each in accesses.store(site, self.module, instruction)]
            case "fence":
                # One that holds the compiler only orders nothing that others see.
                if "singlethread" in instruction.flags:
                    return [_advanced(state)]
                after = self.environment.fence(state, instruction.ordering, instruction.place)
                return [_advanced(each) for each in after]
            case "alloca":
                value = accesses.allocate(site, frame, instruction)
            case _:
                value = instructions.value(site, self.module, instruction)
        return self._bind([(state, value)], instruction)

    def _bind(self, answers: Answers, instruction: Instruction) -> Ways:
        """Let the result be the value in each state, a Choice being split on; go to what comes next."""
        after: Ways = []
        for state, value in answers:
            for each, known in settled(self.environment, state, plain(value)):
                if instruction.result is not None:
                    each.frames[-1].locals[instruction.result.name] = known
                after.append(_advanced(each))
        return after

    # Jumps.

    def _branch(self, site: Site, frame: Frame, instruction: Instruction) -> Ways:
        here = frame.block.name
        if not instruction.operands:
            return self._arrive(site.state, here, instruction.targets[0], site.place)
        flag = self._decider(site, instruction)
        after: Ways = []
        for state, truth in split(self.environment, site.state, flag):
            after += self._arrive(state, here, instruction.targets[0 if truth else 1], site.place)
        return after

    def _switch(self, site: Site, frame: Frame, instruction: Instruction) -> Ways:
        here, number = frame.block.name, self._decider(site, instruction)
        after: Ways = []
        rest: State | None = site.state
        for case, target in zip(instruction.cases, instruction.targets[1:], strict=True):
            if rest is None:
                return after
            ways, rest = split(self.environment, rest, equal(number, case)), None
            for state, truth in ways:
                if truth:
                    after += self._arrive(state, here, target, site.place)
                else:
                    rest = state
        if rest is not None:
            after += self._arrive(rest, here, instruction.targets[0], site.place)
        return after

    def _decider(self, site: Site, instruction: Instruction) -> Any:
        value = instructions.operand(site, self.module, instruction.operands[0])
        if isinstance(value, Undefined):
            site.oblige("uninitialised", "what decides a branch", False)
        if not isinstance(value, int | z3.ExprRef):
            raise Unmodelled("a branch on a pointer's number", site.place)
        return value

    def _arrive(self, state: State, before: str, name: str, place: Place) -> Ways:
        """Enter a block from another: its phis get their values together."""
        frame = state.frames[-1]
        function, block = frame.function, frame.function.blocks[name]
        if function.irreducible:
            raise Unmodelled(f"{function.name} has a loop with two entries", place)
        phis = self._phis(Site(state, self.environment, place), block, before)
        for local, value in phis.items():
            frame.locals[local.name] = value
        frame.block, frame.position = block, len(phis)
        if name not in function.loops:
            return [state]
        back = before in function.loops[name]
        answers = self.environment.loop(state, function, name, phis, back)
        if answers is not None:
            for each, values in answers:
                for local, value in values.items():
                    each.frames[-1].locals[local.name] = _as_register(each, plain(value), local.type)
            return [each for each, _ in answers]
        frame.entered[name] = frame.entered.get(name, 0) + 1 if back else 0
        if frame.entered[name] > self.environment.unwind:
            what = f"loop {name} ends after {self.environment.unwind} rounds"
            return _ended(Site(state, self.environment, place), "unwinding", what)
        return [state]

    def _phis(self, site: Site, block: Block, before: str) -> dict[Local, Any]:
        found: dict[Local, Any] = {}
        for instruction in block.instructions:
            if instruction.op != "phi":
                break
            assert instruction.result is not None
            value = next(value for value, source in instruction.incoming if source == before)
            found[instruction.result] = instructions.operand(site, self.module, value)
        return found

    # Calls.

    def enter(
        self, state: State, function: Function, arguments: tuple[Any, ...], result: Local | None
    ) -> None:
        """Push a frame for a call of a function that the module defines."""
        values: dict[str, Any] = {}
        for parameter, value in zip(function.parameters, arguments, strict=True):
            values[parameter.name] = _as_register(state, value, parameter.type)
        state.frames.append(Frame(function, function.blocks[function.entry], 0, values, result))

    def _call(self, site: Site, instruction: Instruction) -> Ways:
        callee, place = instruction.callee, site.place
        if callee is None or not isinstance(callee, FunctionAddress | Local):
            raise Unmodelled("inline assembly or a call of a constant", place)
        if instruction.flags & {"byval", "bundle"}:
            raise Unmodelled("a call that passes a struct by value, or with operand bundles", place)
        if isinstance(callee, FunctionAddress) and callee.name.startswith("llvm."):
            answers = intrinsics.call(site, self.module, callee.name, instruction)
            return self._bind(answers, instruction)
        target: Any = callee.name if isinstance(callee, FunctionAddress) else None
        target = target or instructions.operand(site, self.module, callee)
        if isinstance(target, FunctionPointer):
            target = target.name
        if isinstance(target, Undefined):
            site.oblige("uninitialised", "the function that is called", False)
        if isinstance(target, Null):
            site.oblige("null", "call by a null pointer", False)
        arguments = tuple(self._argument(site, instruction, each) for each in instruction.operands)
        function = self.module.functions.get(target) if isinstance(target, str) else None
        if function is not None and target not in self.environment.stubs:
            return self._enter(site, function, arguments, instruction)
        answers = self.environment.call(site.state, target, arguments, place)
        after: Ways = []
        for state, value in answers:
            if instruction.result is None:
                after += self._bind([(state, None)], instruction)
                continue
            for each, known in settled(self.environment, state, plain(value)):
                register = _as_register(each, known, instruction.type)
                try:
                    accesses.owe_range(Site(each, self.environment, place), instruction, register)
                except Ended:
                    continue
                after += self._bind([(each, register)], instruction)
        return after

    def _argument(self, site: Site, instruction: Instruction, operand: Any) -> Any:
        del instruction
        value = instructions.operand(site, self.module, operand)
        if isinstance(value, Undefined):
            site.oblige("uninitialised", "argument of a call", False)
        return pointers.sound(site, value)

    def _enter(
        self, site: Site, function: Function, arguments: tuple[Any, ...], instruction: Instruction
    ) -> Ways:
        state, most = site.state, self.environment.unwind
        if len(function.parameters) != len(arguments) or function.variadic:
            raise Unmodelled(f"a call of {function.name} with other arguments than it takes", site.place)
        if instruction.range is not None:
            raise Unmodelled("a range of what a function of the module returns", site.place)
        if sum(each.function is function for each in state.frames) > most:
            return _ended(site, "unwinding", f"{function.name} calls itself at most {most} times")
        self.enter(state, function, arguments, instruction.result)
        return [state]

    def _return(self, site: Site, frame: Frame, instruction: Instruction, depth: int) -> "Ways | Outcome":
        state, value = site.state, None
        if instruction.operands:
            value = pointers.sound(site, instructions.operand(site, self.module, instruction.operands[0]))
        state.freed |= frozenset(frame.allocas)
        at_end = len(state.frames) == depth
        state.frames.pop()
        if at_end:
            return Outcome(state, value)
        if frame.result is not None:
            state.frames[-1].locals[frame.result.name] = value
        return [_advanced(state)]


def _advanced(state: State) -> State:
    state.frames[-1].position += 1
    return state


def _ended(site: Site, kind: str, what: str) -> Ways:
    """Owe what cannot be: the path has to be impossible."""
    try:
        site.oblige(kind, what, False)
    except Ended:
        return []
    raise AssertionError("what is false was assumed")


def _as_register(state: State, value: Any, type_: Any) -> Any:
    """A value from outside as a register of the type: raises ValueError for a number that doesn't fit."""
    if not isinstance(type_, IntType):
        return value
    if type_.bits == 1:
        if isinstance(value, int) and not isinstance(value, bool):
            value = value == 1
        return equal(value, 1) if isinstance(value, z3.ArithRef) else value
    if isinstance(value, bool | z3.BoolRef):
        return choose(value, 1, 0)
    if isinstance(value, int) and not 0 <= value < 1 << type_.bits:
        raise ValueError(f"{value} is no number of i{type_.bits}: 0 to 2^{type_.bits} - 1")
    if isinstance(value, z3.ArithRef):
        state.bounds.note_type(value, type_.bits)
    return value
