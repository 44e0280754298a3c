"""Types, constants and addresses of a module in LLVM's memory, as plain data."""

import ctypes
import re

from . import ir
from .libllvm import AGGREGATES, DATA, OPCODES, PREDICATES, TypeKind, ValueKind

_ASM = re.compile(r'\basm ((?:[a-z]+ )*)"((?:[^"])*)", "([^"]*)"')


class Constants:
    """Types and operands of one module in LLVM's memory, each read once; addresses are LLVM's.

    ``locals`` are the registers of the function being read, by address.
    """

    def __init__(self, lib: ctypes.CDLL, module: int) -> None:
        self.lib = lib
        self.module = module
        self.layout = lib.LLVMGetModuleDataLayout(module)
        self.types: dict[int, ir.Type] = {}
        self.constants: dict[int, ir.Operand] = {}
        self.locals: dict[int, ir.Local] = {}

    def message(self, address: int) -> str:
        """A text of LLVM's that is disposed of."""
        try:
            return ctypes.string_at(address).decode(errors="replace")
        finally:
            self.lib.LLVMDisposeMessage(address)

    def printed(self, value: int) -> str:
        """A value as LLVM prints it."""
        return self.message(self.lib.LLVMPrintValueToString(value)).strip()

    def name(self, value: int) -> str:
        """A value's name, or nothing if it has none."""
        length = ctypes.c_size_t()
        address = self.lib.LLVMGetValueName2(value, ctypes.byref(length))
        return ctypes.string_at(address, length.value).decode(errors="replace") if length.value else ""

    def type(self, address: int) -> ir.Type:
        """The type at an address."""
        known = self.types.get(address)
        if known is None:
            known = self.types[address] = self._type(address)
        return known

    def _type(self, address: int) -> ir.Type:
        lib = self.lib
        kind = lib.LLVMGetTypeKind(address)
        if kind == TypeKind.VOID:
            return ir.VoidType()
        if kind == TypeKind.INTEGER:
            return ir.IntType(lib.LLVMGetIntTypeWidth(address))
        if kind == TypeKind.POINTER and lib.LLVMGetPointerAddressSpace(address) == 0:
            return ir.PointerType()
        sized = bool(lib.LLVMTypeIsSized(address))
        if sized and kind in (TypeKind.STRUCT, TypeKind.ARRAY, TypeKind.VECTOR):
            size = lib.LLVMABISizeOfType(self.layout, address)
            if kind == TypeKind.ARRAY:
                element = self.type(lib.LLVMGetElementType(address))
                return ir.ArrayType(element, lib.LLVMGetArrayLength(address), size)
            if kind == TypeKind.VECTOR:
                element = self.type(lib.LLVMGetElementType(address))
                return ir.VectorType(element, lib.LLVMGetVectorSize(address), size)
            fields = tuple(
                (
                    lib.LLVMOffsetOfElement(self.layout, address, index),
                    self.type(lib.LLVMStructGetTypeAtIndex(address, index)),
                )
                for index in range(lib.LLVMCountStructElementTypes(address))
            )
            return ir.StructType(
                (lib.LLVMGetStructName(address) or b"").decode(errors="replace"), fields, size
            )
        text = self.message(lib.LLVMPrintTypeToString(address)).strip()
        return ir.OtherType(text, lib.LLVMABISizeOfType(self.layout, address) if sized else 0)

    def operand(self, value: int) -> ir.Operand:
        """The operand at an address: a register, or a constant."""
        local = self.locals.get(value)
        if local is not None:
            return local
        known = self.constants.get(value)
        if known is None:
            known = self._constant(value)
            self.constants[value] = known
        return known

    def _constant(self, value: int) -> ir.Operand:
        lib = self.lib
        kind = lib.LLVMGetValueKind(value)
        if kind == ValueKind.ASSEMBLY:
            return self._assembly(value)
        if kind == ValueKind.FUNCTION:
            return ir.FunctionAddress(self.name(value))
        if kind == ValueKind.GLOBAL:
            return ir.GlobalAddress(self.name(value))
        if kind == ValueKind.ALIAS:
            return self.operand(lib.LLVMAliasGetAliasee(value))
        type_ = self.type(lib.LLVMTypeOf(value))
        if kind == ValueKind.INT and isinstance(type_, ir.IntType):
            if type_.bits <= 64:
                return ir.Number(lib.LLVMConstIntGetZExtValue(value), type_)
            return ir.Number(int(self.printed(value).split()[-1]) % (1 << type_.bits), type_)
        if kind == ValueKind.NULL and isinstance(type_, ir.PointerType):
            return ir.Null()
        if kind == ValueKind.UNDEF:
            return ir.Undef(type_)
        if kind == ValueKind.POISON:
            return ir.Poison(type_)
        if kind == ValueKind.ZERO:
            return ir.Zero(type_)
        if kind in AGGREGATES:
            count = lib.LLVMGetNumOperands(value)
            return ir.Aggregate(
                type_, tuple(self.operand(lib.LLVMGetOperand(value, i)) for i in range(count))
            )
        if kind in DATA and isinstance(type_, ir.ArrayType | ir.VectorType):
            elements = (lib.LLVMGetElementAsConstant(value, i) for i in range(type_.count))
            return ir.Aggregate(type_, tuple(self.operand(element) for element in elements))
        if kind == ValueKind.EXPRESSION:
            return self._expression(value, type_)
        return ir.Other(self.printed(value), type_)

    def _assembly(self, value: int) -> ir.Operand:
        text = self.printed(value)
        found = _ASM.search(text)
        if not found:
            return ir.Other(text, ir.PointerType())
        return ir.InlineAssembly(found[2], found[3], "sideeffect" in found[1].split())

    def _expression(self, value: int, type_: ir.Type) -> ir.Operand:
        lib = self.lib
        op = OPCODES.get(lib.LLVMGetConstOpcode(value), "unknown")
        operands = tuple(
            self.operand(lib.LLVMGetOperand(value, i)) for i in range(lib.LLVMGetNumOperands(value))
        )
        if op in ("extractvalue", "insertvalue", "shufflevector"):
            return ir.Other(self.printed(value), type_)
        found = re.search(rf"\b{op}((?: nuw| nsw| exact| inbounds)*) (?:[a-z]+ )?\(", self.printed(value))
        source = self.type(lib.LLVMGetGEPSourceElementType(value)) if op == "getelementptr" else None
        predicate = PREDICATES.get(lib.LLVMGetICmpPredicate(value), "") if op == "icmp" else ""
        flags = frozenset(found[1].split()) if found else frozenset()
        return ir.Expression(op, operands, type_, source, flags, predicate)
