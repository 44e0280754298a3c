"""Reads LLVM IR: text of the pinned clang into plain data, by LLVM 14's own parser and verifier."""

import contextlib
import ctypes
import os
import re
import sys
from collections.abc import Iterator

from . import ir
from .constants import Constants
from .errors import IRVersion
from .libllvm import OPCODES, ORDERINGS, PREDICATES, REPLACEABLE_LINKAGES, UPDATES, Diagnosed, library
from .loops import natural_loops

TRIPLE = "x86_64-pc-linux-gnu"
LAYOUT = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-f80:128-n8:16:32:64-S128"
_DEEPEST = 200  # brackets within brackets; LLVM's parser recurses, and the C stack ends before Python's

_FLAGGED = frozenset({"add", "sub", "mul", "shl", "udiv", "sdiv", "lshr", "ashr", "getelementptr"})
_ACCESSES = frozenset({"load", "store", "cmpxchg", "atomicrmw", "fence"})
_DEBUGGED = '!"Debug Info Version"'
_IDENT = re.compile(r"^!llvm\.ident = !\{(![\d]+)", re.MULTILINE)


class _Reader(Constants):
    """One module in LLVM's memory, function by function."""

    def __init__(self, lib: ctypes.CDLL, context: int, module: int) -> None:
        super().__init__(lib, module)
        self.blocks: dict[int, str] = {}
        self.range_kind = lib.LLVMGetMDKindIDInContext(context, b"range", 5)
        self.byval_kind = lib.LLVMGetEnumAttributeKindForName(b"byval", 5)

    def chain(self, first: str, following: str, owner: int) -> Iterator[int]:
        current = getattr(self.lib, first)(owner)
        while current:
            yield current
            current = getattr(self.lib, following)(current)

    # ---- instructions

    def place(self, function: str, value: int, before: ir.Place) -> ir.Place:
        line = self.lib.LLVMGetDebugLocLine(value)
        if not line:
            return before
        length = ctypes.c_uint()
        address = self.lib.LLVMGetDebugLocFilename(value, ctypes.byref(length))
        file = ctypes.string_at(address, length.value).decode(errors="replace") if address else before.file
        return ir.Place(function, file, line)

    def instruction(self, value: int, function: str, before: ir.Place) -> ir.Instruction:
        lib = self.lib
        op = OPCODES.get(lib.LLVMGetInstructionOpcode(value), "unknown")
        place = self.place(function, value, before)
        type_ = self.type(lib.LLVMTypeOf(value))
        result = self.locals.get(value)
        count = lib.LLVMGetNumOperands(value)
        text = self.printed(value) if op in _FLAGGED | _ACCESSES else ""

        def operands(number: int = count) -> tuple[ir.Operand, ...]:
            return tuple(self.operand(lib.LLVMGetOperand(value, index)) for index in range(number))

        def made(taken: tuple[ir.Operand, ...], **more: object) -> ir.Instruction:
            return ir.Instruction(op, result, type_, taken, place, **more)  # type: ignore[arg-type]

        if op in _FLAGGED:
            found = re.search(rf"= {op}((?: nuw| nsw| exact| inbounds)*) ", text)
            flags = frozenset(found[1].split()) if found else frozenset()
            source = self.type(lib.LLVMGetGEPSourceElementType(value)) if op == "getelementptr" else None
            return made(operands(), flags=flags, source_type=source)
        if op == "icmp":
            return made(operands(), predicate=PREDICATES[lib.LLVMGetICmpPredicate(value)])
        if op in ("br", "switch"):
            targets = [
                self.blocks[lib.LLVMBasicBlockAsValue(lib.LLVMGetSuccessor(value, index))]
                for index in range(lib.LLVMGetNumSuccessors(value))
            ]
            cases = [self.operand(lib.LLVMGetOperand(value, 2 * index)) for index in range(1, count // 2)]
            return made(
                operands(1) if op == "switch" or len(targets) == 2 else (),
                targets=tuple(targets),
                cases=tuple(case.value for case in cases if isinstance(case, ir.Number))
                if op == "switch"
                else (),
            )
        if op == "phi":
            incoming = tuple(
                (
                    self.operand(lib.LLVMGetIncomingValue(value, index)),
                    self.blocks[lib.LLVMBasicBlockAsValue(lib.LLVMGetIncomingBlock(value, index))],
                )
                for index in range(lib.LLVMCountIncoming(value))
            )
            return made((), incoming=incoming)
        if op in _ACCESSES:
            return self._access(value, op, made(operands()), text)
        if op == "call":
            return self._call(value, made(operands(lib.LLVMGetNumArgOperands(value))), count)
        if op == "alloca":
            source = self.type(lib.LLVMGetAllocatedType(value))
            return made(operands(), source_type=source, align=lib.LLVMGetAlignment(value))
        if op in ("extractvalue", "insertvalue"):
            array = lib.LLVMGetIndices(value)
            return made(operands(), indices=tuple(array[i] for i in range(lib.LLVMGetNumIndices(value))))
        if op == "shufflevector":
            number = lib.LLVMGetNumMaskElements(value)
            return made(operands(), indices=tuple(lib.LLVMGetMaskValue(value, i) for i in range(number)))
        if op in ("invoke", "callbr", "indirectbr", "resume", "landingpad", "catchswitch", "catchpad"):
            return made(())
        return made(operands())

    def _range(self, value: int) -> tuple[int, int] | str | None:
        """A value's range by metadata; as text where it is several, or one that wraps."""
        node = self.lib.LLVMGetMetadata(value, self.range_kind)
        if not node:
            return None
        count = self.lib.LLVMGetMDNodeNumOperands(node)
        array = (ctypes.c_void_p * count)()
        self.lib.LLVMGetMDNodeOperands(node, array)
        bounds = [self.operand(address) for address in array if address]
        numbers = [bound for bound in bounds if isinstance(bound, ir.Number)]
        if len(numbers) == 2:
            low, high = numbers[0].value, numbers[1].value or 1 << numbers[1].type.bits
            if low < high:
                return low, high
        return f"range of {' '.join(str(number.value) for number in numbers)}"

    def _access(self, value: int, op: str, plain: ir.Instruction, text: str) -> ir.Instruction:
        lib = self.lib
        flags = frozenset({"singlethread"} if 'syncscope("singlethread")' in text else ())
        if op == "fence":
            ordering = text.split(",")[0].split()[-1]
            return _with(plain, ordering=ordering, flags=flags)
        align = re.search(r", align (\d+)", text)
        changes: dict[str, object] = {
            "volatile": bool(lib.LLVMGetVolatile(value)),
            "align": int(align[1]) if align else 0,
            "flags": flags,
        }
        if op == "cmpxchg":
            return _with(plain, ordering=ORDERINGS[lib.LLVMGetCmpXchgSuccessOrdering(value)], **changes)
        changes["ordering"] = ORDERINGS.get(lib.LLVMGetOrdering(value), "")
        if op == "atomicrmw":
            changes["predicate"] = UPDATES[lib.LLVMGetAtomicRMWBinOp(value)]
        return self._ranged(value, _with(plain, **changes))

    def _ranged(self, value: int, plain: ir.Instruction) -> ir.Instruction:
        found = self._range(value)
        if isinstance(
            found, str
        ):  # an opcode nobody models, so that it is named instead of being passed over
            return _with(plain, op=f"{plain.op} with {found}")
        return _with(plain, range=found) if found else plain

    def _call(self, value: int, plain: ir.Instruction, count: int) -> ir.Instruction:
        arguments = len(plain.operands)
        flags = {"bundle"} if count > arguments + 1 else set()
        if any(
            self.lib.LLVMGetCallSiteEnumAttribute(value, 1 + index, self.byval_kind)
            for index in range(arguments)
        ):
            flags.add("byval")
        callee = self.operand(self.lib.LLVMGetCalledValue(value))
        return self._ranged(value, _with(plain, callee=callee, flags=frozenset(flags)))

    # ---- functions and globals

    def function(self, address: int) -> ir.Function:
        lib = self.lib
        name = self.name(address)
        self.locals, self.blocks = {}, {}
        unnamed = 0
        parameters = []
        by_value: list[ir.Type | None] = []
        for index in range(lib.LLVMCountParams(address)):
            value = lib.LLVMGetParam(address, index)
            told = self.name(value)
            if not told:
                told, unnamed = str(unnamed), unnamed + 1
            self.locals[value] = ir.Local(told, self.type(lib.LLVMTypeOf(value)))
            parameters.append(self.locals[value])
            attribute = lib.LLVMGetEnumAttributeAtIndex(address, 1 + index, self.byval_kind)
            by_value.append(self.type(lib.LLVMGetTypeAttributeValue(attribute)) if attribute else None)
        bodies = list(self.chain("LLVMGetFirstBasicBlock", "LLVMGetNextBasicBlock", address))
        inside: dict[int, list[int]] = {}
        for (
            body
        ) in bodies:  # LLVM numbers what has no name in the order of the text, blocks and registers alike
            value = lib.LLVMBasicBlockAsValue(body)
            told = self.name(value)
            if not told:
                told, unnamed = str(unnamed), unnamed + 1
            self.blocks[value] = told
            inside[value] = list(self.chain("LLVMGetFirstInstruction", "LLVMGetNextInstruction", body))
            for instruction in inside[value]:
                type_ = self.type(lib.LLVMTypeOf(instruction))
                if not isinstance(type_, ir.VoidType):
                    told = self.name(instruction)
                    if not told:
                        told, unnamed = str(unnamed), unnamed + 1
                    self.locals[instruction] = ir.Local(told, type_)
        start = self.place(name, address, ir.Place(name, "", 0))
        blocks = {}
        for value, instructions in inside.items():
            read = []
            place = start
            for instruction in instructions:
                read.append(self.instruction(instruction, name, place))
                place = read[-1].place
            blocks[self.blocks[value]] = ir.Block(self.blocks[value], tuple(read))
        entry = next(iter(blocks))
        successors = {block.name: block.instructions[-1].targets for block in blocks.values()}
        loops, irreducible = natural_loops(successors, entry)
        signature = lib.LLVMGlobalGetValueType(address)
        return ir.Function(
            name,
            tuple(parameters),
            self.type(lib.LLVMGetReturnType(signature)),
            blocks,
            entry,
            loops,
            tuple(by_value),
            irreducible,
            bool(lib.LLVMIsFunctionVarArg(signature)),
        )

    def read(self, text: str) -> ir.Module:
        lib = self.lib
        functions, declared, variables = {}, set(), {}
        for address in self.chain("LLVMGetFirstGlobal", "LLVMGetNextGlobal", self.module):
            name = self.name(address)
            initial = None
            if not lib.LLVMIsDeclaration(address) and lib.LLVMGetLinkage(address) not in REPLACEABLE_LINKAGES:
                initial = self.operand(lib.LLVMGetInitializer(address))
            type_ = self.type(lib.LLVMGlobalGetValueType(address))
            variables[name] = ir.Global(name, type_, initial, bool(lib.LLVMIsGlobalConstant(address)))
        for address in self.chain("LLVMGetFirstFunction", "LLVMGetNextFunction", self.module):
            if lib.LLVMIsDeclaration(address) or lib.LLVMGetLinkage(address) in REPLACEABLE_LINKAGES:
                declared.add(self.name(address))
            else:
                function = self.function(address)
                functions[function.name] = function
        return ir.Module(functions, frozenset(declared), variables, text)


def _with(plain: ir.Instruction, **changes: object) -> ir.Instruction:
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    return ir.Instruction(**{**fields, **changes})


def _check_producer(text: str) -> None:
    """IRVersion unless the text says that it comes from clang 14.0."""
    if "\0" in text or text.startswith("BC"):
        raise IRVersion("not LLVM IR as text: it has bytes that no text has")
    ident = _IDENT.search(text)
    named = ident and re.search(rf'^{ident[1]} = !\{{!"([^"]*)"\}}', text, re.MULTILINE)
    if not named:
        raise IRVersion("not LLVM IR of clang 14.0: it names no producer (llvm.ident)")
    if not re.search(r"\bclang version 14\.0\.\d", named[1]):
        raise IRVersion(f"LLVM IR of clang 14.0 is needed, and this is of {named[1]}")
    for word, needed in (("datalayout", LAYOUT), ("triple", TRIPLE)):  # LLVM's parser dies of a bad layout
        given = re.findall(rf'^target {word} = "([^"]*)"$', text, re.MULTILINE)
        if len(given) != len(re.findall(rf"target\s[^\"=]*\b{word}\b", text)) or len(given) > 1:
            raise IRVersion(f"broken LLVM IR: its target {word} is not told once, on a line of its own")
        if given != [needed]:
            raise IRVersion(f"LLVM IR for {TRIPLE} is needed; this has {word} '{''.join(given) or 'none'}'")
    depth = 0
    for bracket in re.findall(r"[\[\](){}<>]", re.sub(r'"[^"]*"', "", text)):
        depth = depth + 1 if bracket in "[({<" else max(0, depth - 1)
        if depth > _DEEPEST:
            raise IRVersion("broken LLVM IR: brackets are nested deeper than a compiler nests them")


def _message(lib: ctypes.CDLL, address: ctypes.c_void_p) -> str:
    """The first line of a message of LLVM's, its address disposed of."""
    if not address.value:
        return "no reason given"
    text = ctypes.string_at(address.value).decode(errors="replace")
    lib.LLVMDisposeMessage(address)
    return " ".join(text.split("\n")[0].split())


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing reaches standard error, where LLVM writes what it finds wrong with debug information."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _parsed(lib: ctypes.CDLL, text: str) -> Iterator[tuple[int, int]]:
    """A context and a valid module in it; IRVersion if the text isn't one."""
    said: list[None] = []
    heard = Diagnosed(
        lambda _diagnostic, _context: said.append(None)
    )  # else LLVM prints, or ends the process
    context = lib.LLVMContextCreate()
    module, problem = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        lib.LLVMContextSetDiagnosticHandler(context, heard, None)
        data = text.encode(errors="replace")
        buffer = lib.LLVMCreateMemoryBufferWithMemoryRangeCopy(data, len(data), b"ir")
        if lib.LLVMParseIRInContext(context, buffer, ctypes.byref(module), ctypes.byref(problem)):
            raise IRVersion(f"broken LLVM IR: {_message(lib, problem)}")
        if lib.LLVMVerifyModule(module, 2, ctypes.byref(problem)):
            raise IRVersion(f"invalid LLVM IR: {_message(lib, problem)}")
        lib.LLVMDisposeMessage(problem)
        if said and _DEBUGGED in text:
            raise IRVersion("invalid LLVM IR: its debug information is not valid")
        assert module.value is not None
        yield context, module.value
    finally:
        if module.value:
            lib.LLVMDisposeModule(module)
        lib.LLVMContextDispose(context)


def read_ir(text: str) -> ir.Module:
    """The module of an IR text; IRVersion if it isn't valid IR of the pinned clang for x86-64 Linux.

    ClangMissing if LLVM 14's library is not installed.
    """
    _check_producer(text)
    lib = library()
    # LLVM's parser ends the process if a module with debug information is invalid. So it first sees the text
    # as one whose debug information is of no version that it knows, which it drops.
    with _parsed(lib, text.replace(_DEBUGGED, '!"Debug Info Unread"')):
        pass
    with contextlib.ExitStack() as stack:
        with _silence():
            context, module = stack.enter_context(_parsed(lib, text))
        try:
            return _Reader(lib, context, module).read(text)
        except RecursionError:
            raise IRVersion("broken LLVM IR: types or constants are nested too deep") from None
