"""The executor: LLVM IR run on terms, path by path, every path with its conditions.

Exact, or refused: what an instruction does is said without approximation, or Unmodelled names it. Where
behaviour would be undefined something is owed (see ``Obligation``), and the path goes on as if it were paid.
All outcomes together, with what is owed, cover whatever the start allows: see ``covered``.

A getelementptr with ``inbounds`` owes nothing: it may be computed early and never be used. What it steps
through is kept in the pointer and owed where that is followed, compared, stored, passed on or returned, as far
as the object's size is known; the access itself owes that its cell exists.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from . import intrinsics, pointers
from .environment import Answers, Environment
from .errors import Unmodelled
from .globals import constant, global_pointer
from .ir import (
    Block,
    Expression,
    Function,
    FunctionAddress,
    GlobalAddress,
    Instruction,
    IntType,
    Local,
    Module,
    Operand,
    Place,
    PointerType,
    size_of,
)
from .memory import as_type, get, locate, put, typed_object, unwritten
from .numbers import BINARY, binary, compare, signed, unsigned, wrap
from .state import Ended, Frame, Site, State
from .values import (
    UNDEFINED,
    Choice,
    FunctionPointer,
    Null,
    Opaque,
    Pointer,
    Undefined,
    choose,
    conjunction,
    equal,
    negation,
    plain,
)

OPCODES = BINARY | frozenset(
    [
        "icmp",
        "zext",
        "sext",
        "trunc",
        "bitcast",
        "ptrtoint",
        "inttoptr",
        "select",
        "phi",
        "br",
        "switch",
        "ret",
        "call",
        "load",
        "store",
        "fence",
        "getelementptr",
        "alloca",
        "unreachable",
        "freeze",
    ]
)
CLAIMED = OPCODES | intrinsics.NAMES
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

    What is owed is added to ``environment.obligations``. Raises Unmodelled with the place for what has no
    exact meaning here, ValueError if the module has no such function or it takes other arguments.
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
    """Return the flag that one of the outcomes' paths is taken: owed for every start."""
    paths = [conjunction(list(outcome.state.path)) for outcome in outcomes]
    return negation(conjunction([negation(path) for path in paths]))


class Executor:
    """One execution: a module and its surroundings."""

    def __init__(self, module: Module, environment: Environment) -> None:
        self.module = module
        self.environment = environment
        self._fresh = 0

    def run(self, start: State) -> Iterator[Outcome]:
        """Follow every path from a state that has a frame."""
        ahead = [start]
        depth = len(start.frames)
        while ahead:
            state = ahead.pop()
            try:
                ways: Ways | Outcome = [state]
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
            case "br" | "switch":
                return self._jump(site, frame, instruction)
            case "unreachable":
                site.oblige("unreachable", "this is never reached", False)
                return []
            case "call":
                return self._call(site, frame, instruction)
            case "load":
                return self._load(site, frame, instruction)
            case "store":
                return self._store(site, frame, instruction)
            case "fence":
                if "singlethread" not in instruction.flags:
                    after = self.environment.fence(state, instruction.ordering, instruction.place)
                else:
                    after = [state]
                return [self._advance(each) for each in after]
            case _:
                return self._bind([(state, self._value(site, frame, instruction))], instruction)

    # Registers.

    def operand(self, site: Site, operand: Operand) -> Any:
        """Return the value of an operand."""
        if isinstance(operand, Local):
            return site.state.frames[-1].locals[operand.name]
        if isinstance(operand, GlobalAddress):
            return global_pointer(self.module, operand.name, site)
        if isinstance(operand, Expression):
            return self._expression(site, operand)
        return constant(operand, site)

    def _expression(self, site: Site, expression: Expression) -> Any:
        operands = [self.operand(site, each) for each in expression.operands]
        if expression.op in ("bitcast", "addrspacecast"):
            return operands[0]
        if expression.op == "getelementptr" and expression.source_type is not None:
            types = [each.type for each in expression.operands[1:] if hasattr(each, "type")]
            widths = [type_.bits if isinstance(type_, IntType) else 64 for type_ in types]
            inbounds = "inbounds" in expression.flags
            return pointers.step(site, operands[0], expression.source_type, operands[1:], widths, inbounds)
        raise Unmodelled(f"constant expression {expression.op}", site.place)

    def _advance(self, state: State) -> State:
        state.frames[-1].position += 1
        return state

    def _bind(self, answers: Answers, instruction: Instruction) -> Ways:
        """Let the result be the value in each state, a Choice being split on; go to what comes next."""
        after: Ways = []
        for state, value in answers:
            for each, settled in self._settled(state, plain(value)):
                if instruction.result is not None:
                    each.frames[-1].locals[instruction.result.name] = settled
                after.append(self._advance(each))
        return after

    def _settled(self, state: State, value: Any) -> Answers:
        if not isinstance(value, Choice):
            return [(state, value)]
        found: Answers = []
        for each, truth in self._split(state, value.flag):
            found += self._settled(each, plain(value.then if truth else value.otherwise))
        return found

    def _split(self, state: State, flag: Any) -> list[tuple[State, bool]]:
        """Both ways a flag can be, or the one it is: each with the condition on its path."""
        known = state.holds(flag)
        if known is not None:
            return [(state, known)]
        found: list[tuple[State, bool]] = []
        for each, truth in ((state.fork(), True), (state, False)):
            try:
                each.assume(flag if truth else negation(flag))
            except Ended:
                continue
            if self.environment.feasible(each):
                found.append((each, truth))
        return found

    def fresh(self, state: State, width: int) -> Any:
        """Return a value of iW of which nothing is known."""
        self._fresh += 1
        if width == 1:
            return z3.Bool(f"any!{self._fresh}")
        number = z3.Int(f"any!{self._fresh}")
        state.assume(number >= 0)
        state.assume(number < 1 << width)
        return number

    def _value(self, site: Site, frame: Frame, instruction: Instruction) -> Any:
        """The result of an instruction that neither jumps nor touches memory."""
        op = instruction.op
        if op == "alloca":
            return self._alloca(site, frame, instruction)
        if op not in OPCODES:
            raise Unmodelled(f"the instruction {op}", site.place)
        values = [self.operand(site, each) for each in instruction.operands]
        if op == "freeze":
            if not isinstance(values[0], Undefined):
                return values[0]
            if not isinstance(instruction.type, IntType):
                raise Unmodelled("freeze of an undefined pointer", site.place)
            return self.fresh(site.state, instruction.type.bits)
        if op == "select":
            return self._select(site, values)
        if any(isinstance(value, Undefined) for value in values):
            return UNDEFINED
        if op == "getelementptr":
            return self._gep(site, instruction, values)
        if op == "icmp":
            return self._icmp(site, instruction, values)
        if op in ("bitcast", "ptrtoint", "inttoptr", "zext", "sext", "trunc"):
            return self._cast(site, instruction, values[0])
        width = self._width(site, instruction.type)
        self._numbers(site, op, values)
        return binary(site, op, values[0], values[1], width, instruction.flags)

    def _numbers(self, site: Site, op: str, values: list[Any]) -> None:
        for value in values:
            if not isinstance(value, int | z3.ArithRef | z3.BoolRef):
                raise Unmodelled(f"{op} of a pointer's number", site.place)

    def _width(self, site: Site, type_: Any) -> int:
        if not isinstance(type_, IntType):
            raise Unmodelled("arithmetic on what is no integer", site.place)
        return type_.bits

    def _select(self, site: Site, values: list[Any]) -> Any:
        flag, then, otherwise = values
        if isinstance(flag, Undefined):
            return UNDEFINED
        known = site.state.holds(flag)
        if known is not None:
            return then if known else otherwise
        return choose(flag, then, otherwise)

    def _gep(self, site: Site, instruction: Instruction, values: list[Any]) -> Any:
        source = instruction.source_type
        assert source is not None
        widths = [self._width(site, self._type(each)) for each in instruction.operands[1:]]
        return pointers.step(site, values[0], source, values[1:], widths, "inbounds" in instruction.flags)

    def _type(self, operand: Operand) -> Any:
        return getattr(operand, "type", PointerType())

    def _icmp(self, site: Site, instruction: Instruction, values: list[Any]) -> Any:
        type_ = self._type(instruction.operands[0])
        if isinstance(type_, IntType) and all(isinstance(v, int | z3.ArithRef | z3.BoolRef) for v in values):
            return compare(site, instruction.predicate, values[0], values[1], type_.bits)
        return pointers.compare(site, instruction.predicate, values[0], values[1])

    def _cast(self, site: Site, instruction: Instruction, value: Any) -> Any:
        op, source = instruction.op, self._type(instruction.operands[0])
        if op == "bitcast":
            if type(source) is not type(instruction.type) or not isinstance(source, IntType | PointerType):
                raise Unmodelled("bitcast between numbers and pointers, or of vectors", site.place)
            return value
        if op == "ptrtoint":
            return pointers.number(site, value)
        self._numbers(site, op, [value])
        if op == "inttoptr":
            return pointers.from_number(site, value)
        width, wide = self._width(site, source), self._width(site, instruction.type)
        if op == "trunc":
            if wide == 1:
                return equal(wrap(site, value, 1), 1)
            return wrap(site, value, wide)
        if width == 1:
            return choose(value, 1 if op == "zext" else (1 << wide) - 1, 0)
        return value if op == "zext" else unsigned(signed(site, value, width), wide)

    def _alloca(self, site: Site, frame: Frame, instruction: Instruction) -> Pointer:
        assert instruction.result is not None and instruction.source_type is not None
        many = self.operand(site, instruction.operands[0]) if instruction.operands else 1
        if not isinstance(many, int):
            raise Unmodelled("an alloca of unknown size", site.place)
        name = f"{frame.function.name}.{instruction.result.name}"
        align = max(instruction.align, 1)
        count = None if many == 1 else many
        made = typed_object(name, instruction.source_type, count=count, align=align)
        frame.allocas += (made,)
        return site.state.add(made, unwritten(made))

    # Memory.

    def _resolved(self, site: Site, pointer: Any) -> list[tuple[Site, Pointer]]:
        """The objects a pointer may mean, when it is followed: each on a path of its own."""
        if isinstance(pointer, Pointer):
            return [(site, pointer)]
        if isinstance(pointer, Undefined):
            site.oblige("uninitialised", "address of an access", False)
        if isinstance(pointer, Null | FunctionPointer):
            site.oblige("null", "access by a null pointer or a function's address", False)
        if not isinstance(pointer, Opaque):
            raise Unmodelled("an access by what is no pointer", site.place)
        found = pointers.resolve(site, pointer, self._split)
        return [(Site(state, self.environment, site.place), each) for state, each in found]

    def _load(self, site: Site, frame: Frame, instruction: Instruction) -> Ways:
        del frame
        address = self.operand(site, instruction.operands[0])
        after: Ways = []
        for at, pointer in self._resolved(site, address):
            try:
                after += self._load_from(at, pointer, instruction)
            except Ended:
                continue
        return after

    def _load_from(self, site: Site, pointer: Pointer, instruction: Instruction) -> Ways:
        made, place = pointer.object, site.place
        pieces = locate(site, pointer, size_of(instruction.type), instruction.align)
        answers: Answers | None = None
        if made.shared:
            piece = pieces[0]
            answers = self.environment.load(site.state, made, piece.field.name, piece.index, place)
        if answers is None:
            answers = [(site.state, get(site, made, pieces))]
        after: Ways = []
        for state, value in answers:
            for each, settled in self._settled(state, plain(value)):
                at = Site(each, self.environment, place)
                try:
                    loaded = as_type(at, settled, instruction.type)
                    self._owe_range(at, instruction, loaded)
                except Ended:
                    continue
                after += self._bind([(each, loaded)], instruction)
        return after

    def _owe_range(self, site: Site, instruction: Instruction, value: Any) -> None:
        if instruction.range is None or isinstance(value, Undefined):
            return
        low, high = instruction.range
        if low < high:
            site.oblige("range", f"value at least {low}", plain(value >= low))
            site.oblige("range", f"value below {high}", plain(value < high))
        elif low > high:
            inside = negation(conjunction([plain(value < low), plain(value >= high)]))
            site.oblige("range", f"value at least {low} or below {high}", inside)

    def _store(self, site: Site, frame: Frame, instruction: Instruction) -> Ways:
        del frame
        value, address = (self.operand(site, each) for each in instruction.operands)
        type_ = self._type(instruction.operands[0])
        if isinstance(type_, IntType) and type_.bits % 8:
            raise Unmodelled(f"i{type_.bits} in memory", site.place)
        value = pointers.sound(site, value)
        after: Ways = []
        for at, pointer in self._resolved(site, address):
            try:
                after += self._store_to(at, pointer, value, size_of(type_), instruction)
            except Ended:
                continue
        return after

    def _store_to(
        self, site: Site, pointer: Pointer, value: Any, size: int, instruction: Instruction
    ) -> Ways:
        made, place = pointer.object, site.place
        pieces = locate(site, pointer, size, instruction.align)
        states = [site.state]
        if made.shared:
            if isinstance(value, Undefined):
                site.oblige("uninitialised", f"what is written to {made.name}", False)
            piece = pieces[0]
            answer = self.environment.store(site.state, made, piece.field.name, piece.index, value, place)
            states = states if answer is None else answer
        for state in states:
            put(Site(state, self.environment, place), made, pieces, value)
        return [self._advance(state) for state in states]

    # Jumps.

    def _jump(self, site: Site, frame: Frame, instruction: Instruction) -> Ways:
        if not instruction.operands:
            return self._arrive(site.state, frame.block.name, instruction.targets[0], site.place)
        value = self.operand(site, instruction.operands[0])
        if isinstance(value, Undefined):
            site.oblige("uninitialised", "what decides a branch", False)
        after: Ways = []
        if instruction.op == "br":
            for state, truth in self._split(site.state, value):
                target = instruction.targets[0 if truth else 1]
                after += self._arrive(state, frame.block.name, target, site.place)
            return after
        rest: State | None = site.state
        for case, target in zip(instruction.cases, instruction.targets[1:], strict=True):
            if rest is None:
                break
            ways = self._split(rest, equal(value, case))
            rest = None
            for state, truth in ways:
                if truth:
                    after += self._arrive(state, frame.block.name, target, site.place)
                else:
                    rest = state
        if rest is not None:
            after += self._arrive(rest, frame.block.name, instruction.targets[0], site.place)
        return after

    def _arrive(self, state: State, before: str, name: str, place: Place) -> Ways:
        """Enter a block from another: its phis get their values together."""
        frame = state.frames[-1]
        function = frame.function
        block = function.blocks[name]
        site = Site(state, self.environment, place)
        phis = self._phis(site, block, before)
        frame.block, frame.before = block, before
        frame.position = len(phis)
        if function.irreducible:
            raise Unmodelled(f"{function.name} has a loop with two entries", place)
        if name in function.loops:
            back = before in function.loops[name]
            answers = self.environment.loop(state, function, name, phis, back)
            if answers is not None:
                for each, values in answers:
                    for local, value in values.items():
                        each.frames[-1].locals[local.name] = plain(value)
                return [each for each, _ in answers]
            frame.entered[name] = frame.entered.get(name, 0) + 1 if back else 0
            if frame.entered[name] > self.environment.unwind:
                try:
                    site.oblige(
                        "unwinding", f"loop {name} ends after {self.environment.unwind} rounds", False
                    )
                except Ended:
                    return []
        for local, value in phis.items():
            frame.locals[local.name] = value
        return [state]

    def _phis(self, site: Site, block: Block, before: str) -> dict[Local, Any]:
        found: dict[Local, Any] = {}
        for instruction in block.instructions:
            if instruction.op != "phi":
                break
            assert instruction.result is not None
            value = next(value for value, source in instruction.incoming if source == before)
            found[instruction.result] = self.operand(site, value)
        return found

    # Calls.

    def enter(
        self, state: State, function: Function, arguments: tuple[Any, ...], result: Local | None
    ) -> None:
        """Push a frame for a call of a function that the module defines."""
        names = [parameter.name for parameter in function.parameters]
        values = dict(zip(names, arguments, strict=True))
        for parameter, value in zip(function.parameters, arguments, strict=True):
            if isinstance(parameter.type, IntType) and isinstance(value, z3.ArithRef):
                state.bounds.note_type(value, parameter.type.bits)
        state.frames.append(Frame(function, function.blocks[function.entry], 0, values, result))

    def _call(self, site: Site, frame: Frame, instruction: Instruction) -> Ways:
        state, place = site.state, site.place
        callee = instruction.callee
        if isinstance(callee, FunctionAddress) and callee.name.startswith("llvm."):
            answers = intrinsics.call(self, site, callee.name, instruction)
            return self._bind(answers, instruction)
        if callee is None or not isinstance(callee, FunctionAddress | Local):
            raise Unmodelled("inline assembly or a call of a constant", place)
        if instruction.flags & {"byval", "bundle"}:
            raise Unmodelled("a call that passes a struct by value, or with operand bundles", place)
        target: Any = callee.name if isinstance(callee, FunctionAddress) else self.operand(site, callee)
        if isinstance(target, FunctionPointer):
            target = target.name
        if isinstance(target, Undefined):
            site.oblige("uninitialised", "the function that is called", False)
        if isinstance(target, Null):
            site.oblige("null", "call by a null pointer", False)
        arguments = tuple(self.operand(site, each) for each in instruction.operands)
        for argument in arguments:
            if isinstance(argument, Undefined):
                site.oblige("uninitialised", "argument of a call", False)
            pointers.sound(site, argument)
        function = self.module.functions.get(target) if isinstance(target, str) else None
        if function is not None and target not in self.environment.stubs:
            within = sum(each.function is function for each in state.frames)
            if within > self.environment.unwind:
                what = f"{function.name} calls itself at most {self.environment.unwind} times"
                site.oblige("unwinding", what, False)
            if len(function.parameters) != len(arguments) or function.variadic:
                raise Unmodelled(f"a call of {function.name} with other arguments than it takes", place)
            self.enter(state, function, arguments, instruction.result)
            return [state]
        answers = self.environment.call(state, target, arguments, place)
        after: Ways = []
        for each, value in answers:
            type_ = instruction.type
            if isinstance(type_, IntType) and isinstance(value, z3.ArithRef):
                each.bounds.note_type(value, type_.bits)
            after += self._bind([(each, value)], instruction)
        return after

    def _return(self, site: Site, frame: Frame, instruction: Instruction, depth: int) -> "Ways | Outcome":
        state = site.state
        value = self.operand(site, instruction.operands[0]) if instruction.operands else None
        value = pointers.sound(site, value)
        state.freed |= frozenset(frame.allocas)
        if len(state.frames) == depth:
            state.frames.pop()
            return Outcome(state, value)
        state.frames.pop()
        if frame.result is not None:
            state.frames[-1].locals[frame.result.name] = value
        return [self._advance(state)]
