"""LLVM 14's C library: where it is, and those of its functions that reading IR takes, with their types."""

import ctypes
import ctypes.util
import functools
import shutil
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from enum import IntEnum
from pathlib import Path

from .errors import ClangMissing

SONAME = "libLLVM-14.so.1"

Diagnosed = ctypes.CFUNCTYPE(
    None, c_void_p, c_void_p
)  # a handler of diagnostics: the diagnostic, and a context

# What each function returns, then what it takes. Anything LLVM owns is an address; so is a text that the
# caller must dispose of.
_SIGNATURES: dict[str, tuple[object, ...]] = {
    "LLVMABISizeOfType": (c_ulonglong, c_void_p, c_void_p),
    "LLVMAliasGetAliasee": (c_void_p, c_void_p),
    "LLVMBasicBlockAsValue": (c_void_p, c_void_p),
    "LLVMConstIntGetZExtValue": (c_ulonglong, c_void_p),
    "LLVMContextCreate": (c_void_p,),
    "LLVMContextDispose": (None, c_void_p),
    "LLVMContextSetDiagnosticHandler": (None, c_void_p, Diagnosed, c_void_p),
    "LLVMCountIncoming": (c_uint, c_void_p),
    "LLVMCountParams": (c_uint, c_void_p),
    "LLVMCountStructElementTypes": (c_uint, c_void_p),
    "LLVMCreateMemoryBufferWithMemoryRangeCopy": (c_void_p, c_char_p, c_size_t, c_char_p),
    "LLVMDisposeMessage": (None, c_void_p),
    "LLVMDisposeModule": (None, c_void_p),
    "LLVMGetAlignment": (c_uint, c_void_p),
    "LLVMGetAllocatedType": (c_void_p, c_void_p),
    "LLVMGetArrayLength": (c_uint, c_void_p),
    "LLVMGetAtomicRMWBinOp": (c_int, c_void_p),
    "LLVMGetCalledValue": (c_void_p, c_void_p),
    "LLVMGetCallSiteEnumAttribute": (c_void_p, c_void_p, c_uint, c_uint),
    "LLVMGetCmpXchgSuccessOrdering": (c_int, c_void_p),
    "LLVMGetConstOpcode": (c_int, c_void_p),
    "LLVMGetDebugLocFilename": (c_void_p, c_void_p, POINTER(c_uint)),
    "LLVMGetDebugLocLine": (c_uint, c_void_p),
    "LLVMGetElementAsConstant": (c_void_p, c_void_p, c_uint),
    "LLVMGetElementType": (c_void_p, c_void_p),
    "LLVMGetEnumAttributeAtIndex": (c_void_p, c_void_p, c_uint, c_uint),
    "LLVMGetEnumAttributeKindForName": (c_uint, c_char_p, c_size_t),
    "LLVMGetFirstBasicBlock": (c_void_p, c_void_p),
    "LLVMGetFirstFunction": (c_void_p, c_void_p),
    "LLVMGetFirstGlobal": (c_void_p, c_void_p),
    "LLVMGetFirstInstruction": (c_void_p, c_void_p),
    "LLVMGetGEPSourceElementType": (c_void_p, c_void_p),
    "LLVMGetICmpPredicate": (c_int, c_void_p),
    "LLVMGetIncomingBlock": (c_void_p, c_void_p, c_uint),
    "LLVMGetIncomingValue": (c_void_p, c_void_p, c_uint),
    "LLVMGetIndices": (POINTER(c_uint), c_void_p),
    "LLVMGetInitializer": (c_void_p, c_void_p),
    "LLVMGetInstructionOpcode": (c_int, c_void_p),
    "LLVMGetIntTypeWidth": (c_uint, c_void_p),
    "LLVMGetLinkage": (c_int, c_void_p),
    "LLVMGetMaskValue": (c_int, c_void_p, c_uint),
    "LLVMGetMDKindIDInContext": (c_uint, c_void_p, c_char_p, c_uint),
    "LLVMGetMDNodeNumOperands": (c_uint, c_void_p),
    "LLVMGetMDNodeOperands": (None, c_void_p, POINTER(c_void_p)),
    "LLVMGetMetadata": (c_void_p, c_void_p, c_uint),
    "LLVMGetModuleDataLayout": (c_void_p, c_void_p),
    "LLVMGetNextBasicBlock": (c_void_p, c_void_p),
    "LLVMGetNextFunction": (c_void_p, c_void_p),
    "LLVMGetNextGlobal": (c_void_p, c_void_p),
    "LLVMGetNextInstruction": (c_void_p, c_void_p),
    "LLVMGetNumArgOperands": (c_uint, c_void_p),
    "LLVMGetNumIndices": (c_uint, c_void_p),
    "LLVMGetNumMaskElements": (c_uint, c_void_p),
    "LLVMGetNumOperands": (c_int, c_void_p),
    "LLVMGetNumSuccessors": (c_uint, c_void_p),
    "LLVMGetOperand": (c_void_p, c_void_p, c_uint),
    "LLVMGetOrdering": (c_int, c_void_p),
    "LLVMGetParam": (c_void_p, c_void_p, c_uint),
    "LLVMGetPointerAddressSpace": (c_uint, c_void_p),
    "LLVMGetReturnType": (c_void_p, c_void_p),
    "LLVMGetStructName": (c_char_p, c_void_p),
    "LLVMGetSuccessor": (c_void_p, c_void_p, c_uint),
    "LLVMGetTypeAttributeValue": (c_void_p, c_void_p),
    "LLVMGetTypeKind": (c_int, c_void_p),
    "LLVMGetValueKind": (c_int, c_void_p),
    "LLVMGetValueName2": (c_void_p, c_void_p, POINTER(c_size_t)),
    "LLVMGetVectorSize": (c_uint, c_void_p),
    "LLVMGetVolatile": (c_int, c_void_p),
    "LLVMGlobalGetValueType": (c_void_p, c_void_p),
    "LLVMIsDeclaration": (c_int, c_void_p),
    "LLVMIsFunctionVarArg": (c_int, c_void_p),
    "LLVMIsGlobalConstant": (c_int, c_void_p),
    "LLVMOffsetOfElement": (c_ulonglong, c_void_p, c_void_p, c_uint),
    "LLVMParseIRInContext": (c_int, c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p)),
    "LLVMPrintTypeToString": (c_void_p, c_void_p),
    "LLVMPrintValueToString": (c_void_p, c_void_p),
    "LLVMStructGetTypeAtIndex": (c_void_p, c_void_p, c_uint),
    "LLVMTypeIsSized": (c_int, c_void_p),
    "LLVMTypeOf": (c_void_p, c_void_p),
    "LLVMVerifyModule": (c_int, c_void_p, c_int, POINTER(c_void_p)),
}

_OPCODE_NAMES = (
    "ret br switch indirectbr invoke unused unreachable add fadd sub fsub mul fmul udiv sdiv fdiv urem srem "
    "frem shl lshr ashr and or xor alloca load store getelementptr trunc zext sext fptoui fptosi uitofp "
    "sitofp fptrunc fpext ptrtoint inttoptr bitcast icmp fcmp phi call select userop1 userop2 va_arg "
    "extractelement insertelement shufflevector extractvalue insertvalue fence cmpxchg atomicrmw resume "
    "landingpad addrspacecast cleanupret catchret catchpad cleanuppad catchswitch fneg callbr freeze"
)
_PREDICATE_NAMES = "eq ne ugt uge ult ule sgt sge slt sle"
_UPDATE_NAMES = "xchg add sub and nand or xor max min umax umin fadd fsub"

# LLVMOpcode, LLVMIntPredicate, LLVMAtomicRMWBinOp and LLVMAtomicOrdering, by number
OPCODES = dict(enumerate(_OPCODE_NAMES.split(), start=1))
PREDICATES = dict(enumerate(_PREDICATE_NAMES.split(), start=32))
UPDATES = dict(enumerate(_UPDATE_NAMES.split()))
ORDERINGS = {1: "unordered", 2: "monotonic", 4: "acquire", 5: "release", 6: "acq_rel", 7: "seq_cst"}
REPLACEABLE_LINKAGES = frozenset({2, 5, 12})  # LLVMLinkage: another definition may take this one's place


class TypeKind(IntEnum):
    """LLVMTypeKind, as far as types are told apart."""

    VOID = 0
    INTEGER = 8
    STRUCT = 10
    ARRAY = 11
    POINTER = 12
    VECTOR = 13


class ValueKind(IntEnum):
    """LLVMValueKind, as far as constants are told apart."""

    FUNCTION = 5
    ALIAS = 6
    GLOBAL = 8
    EXPRESSION = 10
    ARRAY = 11
    STRUCT = 12
    VECTOR = 13
    UNDEF = 14
    ZERO = 15
    DATA_ARRAY = 16
    DATA_VECTOR = 17
    INT = 18
    NULL = 20
    ASSEMBLY = 23
    POISON = 25


AGGREGATES = frozenset({ValueKind.ARRAY, ValueKind.STRUCT, ValueKind.VECTOR})
DATA = frozenset({ValueKind.DATA_ARRAY, ValueKind.DATA_VECTOR})


def places(clang: str | None = None) -> tuple[Path, ...]:
    """Where the library may be: beside the pinned clang, in Debian's directories, where the loader looks."""
    beside = shutil.which(clang or "clang-14")
    found = ctypes.util.find_library("LLVM-14")
    candidates = [Path(beside).resolve().parent.parent / "lib" / SONAME] if beside else []
    candidates += [Path("/usr/lib/llvm-14/lib") / SONAME, Path("/usr/lib/x86_64-linux-gnu") / SONAME]
    return (*candidates, *([Path(found)] if found else ()))


def load(candidates: Sequence[Path]) -> ctypes.CDLL:
    """The first library of the candidates that can be loaded, its functions typed; else ClangMissing."""
    for path in candidates:
        if path.is_absolute() and not path.is_file():
            continue
        try:
            loaded = ctypes.CDLL(str(path))
            for name, (returned, *taken) in _SIGNATURES.items():
                function = getattr(loaded, name)
                function.restype = returned
                function.argtypes = taken
        except (OSError, AttributeError):
            continue
        return loaded
    raise ClangMissing(f"no LLVM 14 library to read IR with: {SONAME} (Debian package libllvm14)")


@functools.cache
def library() -> ctypes.CDLL:
    """LLVM 14's library, loaded once a process; ClangMissing if there is none."""
    return load(places())
