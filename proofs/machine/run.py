"""Machine code of x86-64, run on words that may be symbols: every way it can go, each with its conditions.

``Machine.call`` calls a function as the System V ABI has it and yields one ``Outcome`` for each path. What
must not happen is recorded in ``findings`` and ends its path; what cannot be followed exactly (an
instruction without a model, more addresses or instructions than a bound) raises Missing, or, if asked, is
listed in ``unfollowed``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import z3

from . import calls
from .addressing import Addressing
from .errors import Missing, TooMany, Unmodelled
from .expressions import Expressions, bits
from .findings import Findings, Over
from .flat import Memory, Region, regions_of
from .image import Image
from .lifting import Lifter
from .oracle import Oracle
from .state import (
    UNINITIALISED,
    Call,
    Environment,
    Fence,
    Load,
    Outcome,
    Registers,
    State,
    Store,
)  # fmt: skip
from .words import Flag, Word, choose, equal, extend, no, simple, simple_flag

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
_KEPT = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_LOST = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
RETURN = 0x7FFF_FFFF_0000
"""The address that a called function returns to; no code is there."""

_STACK = 0x7FF0_0000_0000
_STACK_BYTES = 1 << 16
_THREAD = 0x7FF1_0000_0000
_FENCES = {b"\x0f\xae\xf0": "mfence", b"\x0f\xae\xe8": "lfence", b"\x0f\xae\xf8": "sfence"}


@dataclass
class _Cursor:
    """Where one path is: its state, the block and statement to be done next, the block's temporaries."""

    state: State
    address: int  # of the instruction
    block: Any = None
    index: int = 0
    temporaries: dict[int, Word] = field(default_factory=dict)
    instructions: int = 0
    entered: int = RETURN  # where the function that was called returns to
    loaded: tuple[Word, Word] | None = None  # address and value of the instruction's last load

    def fork(self, *conditions: Flag) -> _Cursor:
        twin = _Cursor(**vars(self))
        twin.state = self.state.fork(*conditions)
        twin.temporaries = dict(self.temporaries)
        return twin

    def on(self, state: State) -> _Cursor:
        """Return a cursor at the same place in another state."""
        twin = _Cursor(**vars(self))
        twin.state = state
        twin.temporaries = dict(self.temporaries)
        return twin


class Machine:
    """A processor with an image in its memory. Raises LifterMissing where pyvex is not installed.

    ``hypotheses`` hold on all paths. ``most_addresses`` bounds how many values an address may have,
    ``most_instructions`` how many blocks a path takes. If ``strict``, what cannot be followed raises Missing,
    else its path ends and is listed in ``unfollowed``, with the path's conditions.
    """

    def __init__(
        self,
        image: Image,
        hypotheses: tuple[z3.BoolRef, ...] = (),
        *,
        most_addresses: int = 64,
        most_instructions: int = 4000,
        strict: bool = True,
    ) -> None:
        self.image = image
        self.lifter = Lifter(image)
        self.oracle = Oracle(hypotheses)
        self.findings = Findings()
        self.unfollowed: list[tuple[Missing, tuple[z3.BoolRef, ...]]] = []
        self.addressing = Addressing(self.oracle, self.findings, most_addresses)
        self._expressions = Expressions(self.oracle, self.findings, image)
        self.most_instructions = most_instructions
        self.strict = strict
        self._at = self.lifter.registers
        self._fresh = count()
        self._clean: dict[int, tuple[Any, bool]] = {}
        self._environment = Environment()
        self._ways: list[_Cursor] = []

    # What a caller sees.

    def state(self, regions: Sequence[Region] = ()) -> State:
        """Return a state with the image, a stack and these regions mapped, and nothing known of registers."""
        stack = Region("stack", _STACK, _STACK_BYTES, fresh=True)
        thread = Region("thread", _THREAD, 4096, "r", fresh=True)
        memory = Memory([*regions_of(self.image), stack, thread, *regions])
        state = State(Registers(self._unwritten), memory)
        memory.store(_THREAD + 0x28, z3.BitVec("canary", 64), 8)
        for name, value in (("fs", _THREAD), ("d", 1), ("cc_op", 0), ("ac", 0), ("id", 0), ("sseround", 0)):
            state.registers.put(self._at[name], value, 8)
        return state

    def call(
        self,
        function: str | int,
        arguments: Sequence[Word],
        state: State,
        environment: Environment | None = None,
    ) -> Iterator[Outcome]:
        """Call a function, by name or address, with up to six words of 64 bits; yield the end of each path.

        A function or library that does not have the name raises Unmodelled. The state given stays as it is.
        """
        if isinstance(function, str):
            if function not in self.image.symbols:
                raise Unmodelled(f"{self.image.path}: no function {function}")
            function = self.image.symbols[function].address
        self._environment = environment or Environment()
        start = state.fork()
        top = _STACK + _STACK_BYTES - 4096 - 8  # as after a call: 8 below a multiple of 16
        start.registers.put(self._at["rsp"], top, 8)
        start.memory.store(top, RETURN, 8)
        for name, word in zip(ARGUMENTS, arguments, strict=False):
            start.registers.put(self._at[name], word, 8)
        for name in _KEPT:
            start.registers.put(self._at[name], z3.BitVec(f"kept!{name}", 64), 8)
        self._ways = [_Cursor(start, function)]
        while self._ways:
            cursor = self._ways.pop()
            try:
                if cursor.block is None and cursor.address == RETURN:
                    if self._returned(cursor, top):
                        yield Outcome(cursor.state, cursor.state.registers.get(self._at["rax"], 8))
                    continue
                self._run(cursor)
            except Over:
                continue
            except Missing as error:
                if self.strict:
                    raise
                self.unfollowed.append((error, cursor.state.path))

    def load(self, state: State, address: Word, size: int) -> Word:
        """Return what memory holds, without an event or a check: for environments, at known addresses."""
        return state.memory.load(address, size)

    def argument(self, word: Word, width: int) -> Word:
        """Return a 64-bit register that carries a narrower argument.

        Above 32 bits is anything; up to 32 bits narrower ones are extended with zeros, as gcc and clang do
        and clang relies upon.
        """
        low = extend(word, width, 32) if width < 32 else word
        return self._anything("argument", 32, low)

    # Blocks.

    def _run(self, cursor: _Cursor) -> None:
        """Go on along one path until it forks or leaves the function."""
        while True:
            if cursor.block is None:
                if cursor.address == RETURN or self._called(cursor):
                    self._ways.append(cursor)
                    return
                self._begin(cursor)
            block, state = cursor.block, cursor.state
            statements = block.statements
            while cursor.index < len(statements):
                statement = statements[cursor.index]
                cursor.index += 1
                try:
                    _DO[statement.tag](self, cursor, statement)
                except KeyError:
                    if statement.tag in _DO:
                        raise
                    raise Unmodelled(f"VEX's statement {statement.tag}", self._place(cursor)) from None
                except Unmodelled as error:
                    if error.place is None:
                        raise Unmodelled(error.what, self._place(cursor)) from None
                    raise
            kind = block.jumpkind
            if kind not in ("Ijk_Boring", "Ijk_Call", "Ijk_Ret"):
                if kind == "Ijk_NoDecode" and self.lifter.is_trap(block.next.con.value):
                    cursor.address = block.next.con.value
                    self.findings.end(
                        state, "trap", "an instruction that traps is reached", self._place(cursor)
                    )
                raise Unmodelled(f"a jump of VEX's kind {kind}", self._place(cursor))
            self._jump(cursor, self._value(cursor, block.next))

    def _begin(self, cursor: _Cursor) -> None:
        cursor.instructions += 1
        if cursor.instructions > self.most_instructions:
            raise TooMany(f"more than {self.most_instructions} blocks on one path, at {self._place(cursor)}")
        region = cursor.state.memory.region(cursor.address)
        if region is None or "x" not in region.permissions:
            self.findings.end(
                cursor.state, "wild", f"a jump to {cursor.address:#x}, where no code is", self._place(cursor)
            )
        cursor.block = self.lifter.block(cursor.address)
        cursor.index = 0
        cursor.temporaries = {}

    def _jump(self, cursor: _Cursor, target: Word) -> None:
        """Go to another block; where the target may be one of several, along each way."""
        cursor.block = None
        if not isinstance(target, int):
            target = simple(target)
            self.findings.initialised(cursor.state, target, "a jump", self._place(cursor))
        targets = self.oracle.values(target, cursor.state.path, self.addressing.most)
        if isinstance(target, int) or len(targets) == 1:
            cursor.address = targets[0]
            return
        for each in targets:
            twin = cursor.fork(equal(target, each, 64))
            twin.address = each
            self._ways.append(twin)
        raise Over

    def _called(self, cursor: _Cursor) -> bool:
        """Ask the environment if the path is at a function that is not run; whether it goes on elsewhere."""
        address = cursor.address
        outside = not self.image.contents(address, 1)
        if not outside and address not in self._environment.watched:
            return False
        state = cursor.state
        names = [name for name, where in self.image.imports.items() if where == address]
        name = names[0] if names else self.image.function(address)
        if outside and address < 4096:
            self.findings.end(
                state, "null", "a call of a null function pointer", self._place_of_return(cursor)
            )
        words = tuple(simple(state.registers.get(self._at[each], 8)) for each in ARGUMENTS)
        call = Call(address, name, words, self._place_of_return(cursor))
        answers = self._environment.on_call(call, state)
        if answers is None and name in calls.KNOWN:
            answers = calls.KNOWN[name](self, state, call)
        if answers is None:
            if not outside:
                return False
            raise Unmodelled(f"a call of {name}, which has no model", call.place)
        for after, result in answers:
            twin = cursor.on(after)
            self._return_from(twin, result)
            self._ways.append(twin)
        raise Over

    def _return_from(self, cursor: _Cursor, result: Word | None) -> None:
        """Do what a function does that is not run: lose what it may lose, return."""
        registers = cursor.state.registers
        for name in _LOST:
            registers.forget(self._at[name], 8, self._unwritten)
        registers.forget(self._at["ymm0"], 16 * 32, self._unwritten)
        registers.put(self._at["cc_op"], 0, 8)
        registers.forget(self._at["cc_dep1"], 8, self._unwritten)
        if result is not None:
            registers.put(self._at["rax"], result, 8)
        stack = registers.get(self._at["rsp"], 8)
        cursor.address = cursor.state.memory.load(stack, 8)
        registers.put(self._at["rsp"], stack + 8, 8)
        cursor.block = None

    def _returned(self, cursor: _Cursor, top: int) -> bool:
        """Check what a function owes its caller when it returns."""
        state = cursor.state
        owed = [(name, z3.BitVec(f"kept!{name}", 64)) for name in _KEPT]
        for name, before in [*owed, ("rsp", top + 8)]:
            kept = simple_flag(equal(state.registers.get(self._at[name], 8), before, 64))
            if self.oracle.possible(state.path, no(kept)):
                self.findings.report(
                    state, "abi", f"{name} is not as the caller left it", "at the return", no(kept)
                )
                return False
        return True

    # Statements.

    def _instruction(self, cursor: _Cursor, statement: Any) -> None:
        cursor.address = statement.addr
        cursor.loaded = None

    def _nothing(self, cursor: _Cursor, statement: Any) -> None:
        del cursor, statement

    def _put(self, cursor: _Cursor, statement: Any) -> None:
        width = self._width(cursor, statement.data)
        value = self._value(cursor, statement.data)
        word = choose(value, 1, 0, 8) if width == 1 else value
        cursor.state.registers.put(statement.offset, word, max(width // 8, 1))

    def _assign(self, cursor: _Cursor, statement: Any) -> None:
        data = statement.data
        if data.tag == "Iex_Load":
            self._load(cursor, self._value(cursor, data.addr), bits(data.type) // 8, statement.tmp)
            return
        cursor.temporaries[statement.tmp] = self._value(cursor, data)

    def _load(self, cursor: _Cursor, address: Word, size: int, target: int) -> None:
        memory = cursor.state.memory
        if isinstance(address, int):
            region = memory.region(address, size)
            if region is not None and not region.shared and "r" in region.permissions:
                value = cursor.temporaries[target] = memory.load(address, size)
                cursor.loaded = (address, value)
                return
        for state, access in self.addressing.resolved(cursor.state, address, size, "r", self._place(cursor)):
            value = state.memory.load_any(access.address, list(access.values), size)
            answers = [(state, value)]
            if access.region.shared:
                answers = self._environment.on_load(state, access, value)
                for after, word in answers:
                    after.saw(Load(access, word))
            for after, word in answers:
                twin = cursor.on(after)
                twin.temporaries[target] = word
                twin.loaded = (access.address, word)
                self._ways.append(twin)
        raise Over

    def _store(self, cursor: _Cursor, statement: Any) -> None:
        size = self._width(cursor, statement.data) // 8
        address, value = self._value(cursor, statement.addr), self._value(cursor, statement.data)
        memory = cursor.state.memory
        if isinstance(address, int):
            region = memory.region(address, size)
            if region is not None and not region.shared and "w" in region.permissions:
                memory.store(address, value, size)
                return
        self._write(cursor, address, value, size)
        raise Over

    def _write(self, cursor: _Cursor, address: Word, value: Word, size: int) -> None:
        for state, access in self.addressing.resolved(cursor.state, address, size, "w", self._place(cursor)):
            afters = [state]
            if access.region.shared:
                self.findings.initialised(
                    cursor.state, value, "a store to shared memory", self._place(cursor)
                )
                afters = self._environment.on_store(state, access, value)
            for after in afters:
                if access.region.shared:
                    after.saw(Store(access, value))
                after.memory.store_any(access.address, list(access.values), value, size)
                self._ways.append(cursor.on(after))

    def _swap(self, cursor: _Cursor, statement: Any) -> None:
        """Compare and swap, as instructions with a lock prefix do; they are fences, too."""
        if statement.dataHi is not None:
            raise Unmodelled("a double compare and swap", self._place(cursor))
        width = self._width(cursor, statement.dataLo)
        address, expected = self._value(cursor, statement.addr), self._value(cursor, statement.expdLo)
        for state in self._fenced(cursor, "lock"):
            here = cursor.on(state)
            for after, access in self.addressing.resolved(
                here.state, address, width // 8, "w", self._place(here)
            ):
                loaded = here.loaded
                if loaded is not None and _same(loaded[0], access.address) and _same(loaded[1], expected):
                    old = expected  # the instruction's own load, which nothing comes between
                elif access.region.shared:
                    raise Unmodelled("a compare and swap of shared memory", self._place(cursor))
                else:
                    old = after.memory.load_any(access.address, list(access.values), width // 8)
                here.temporaries[statement.oldLo] = old
                new = choose(equal(old, expected, width), self._value(here, statement.dataLo), old, width)
                self._write(here.on(after), access.address, new, width // 8)
        raise Over

    def _barrier(self, cursor: _Cursor, statement: Any) -> None:
        del statement
        kind = _FENCES.get(self.image.contents(cursor.address, 3), "fence")
        self._ways.extend(cursor.on(state) for state in self._fenced(cursor, kind))
        raise Over

    def _fenced(self, cursor: _Cursor, kind: str) -> list[State]:
        fence = Fence(kind, self._place(cursor))
        states = self._environment.on_fence(cursor.state, fence)
        for state in states:
            state.saw(fence)
        return states

    def _exit(self, cursor: _Cursor, statement: Any) -> None:
        guard = simple_flag(self._value(cursor, statement.guard))
        if guard is False:
            return
        self.findings.initialised(cursor.state, guard, "a branch", self._place(cursor))
        path = cursor.state.path
        if not self.oracle.possible(path, guard):
            return
        stays = self.oracle.possible(path, no(guard))
        if statement.jumpkind != "Ijk_Boring":
            divides = statement.jumpkind == "Ijk_SigFPE_IntDiv"
            kind, what = ("division", "divides by zero") if divides else ("trap", "the processor traps")
            what += f" (VEX's {statement.jumpkind})"
            self.findings.report(cursor.state, kind, what, self._place(cursor), guard)
        else:
            twin = cursor.fork(guard if stays else True)
            twin.block, twin.address = None, statement.dst.value
            self._ways.append(twin)
        if not stays:
            raise Over
        cursor.state = cursor.state.fork(no(guard))

    # Expressions.

    def _value(self, cursor: _Cursor, expression: Any) -> Any:
        return self._expressions.value(
            cursor.state, cursor.temporaries, expression, cursor.block.tyenv, cursor.address
        )

    def _width(self, cursor: _Cursor, expression: Any) -> int:
        return bits(expression.result_type(cursor.block.tyenv))

    # Names and places.

    def _place(self, cursor: _Cursor) -> str:
        return self.image.place(cursor.address)

    def _place_of_return(self, cursor: _Cursor) -> str:
        """Say where a call comes from: just before where it returns to."""
        stack = cursor.state.registers.get(self._at["rsp"], 8)
        back = cursor.state.memory.load(stack, 8) if isinstance(stack, int) else RETURN
        return self.image.place(back - 1) if isinstance(back, int) and back != RETURN else "the call"

    def _unwritten(self, offset: int) -> Word:
        return z3.BitVec(f"{UNINITIALISED}register {offset}!{next(self._fresh)}", 64)

    def _anything(self, name: str, bits: int, low: Word) -> Word:
        above = z3.BitVec(f"{name}!{next(self._fresh)}", bits)
        return z3.Concat(above, low if not isinstance(low, int) else z3.BitVecVal(low, 64 - bits))


def _same(one: Word, other: Word) -> bool:
    if isinstance(one, int) or isinstance(other, int):
        return isinstance(one, int) and isinstance(other, int) and one == other
    return bool(one.eq(other))


_DO = {
    "Ist_IMark": Machine._instruction,
    "Ist_AbiHint": Machine._nothing,
    "Ist_NoOp": Machine._nothing,
    "Ist_Put": Machine._put,
    "Ist_WrTmp": Machine._assign,
    "Ist_Store": Machine._store,
    "Ist_CAS": Machine._swap,
    "Ist_MBE": Machine._barrier,
    "Ist_Exit": Machine._exit,
}
