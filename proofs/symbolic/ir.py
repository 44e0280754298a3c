"""LLVM IR as plain data: types with their layout, operands, instructions, blocks, functions, one module.

Pointers have no pointee: what is read or written is the type of the access, and a getelementptr carries the
type it steps over. Sizes and offsets are in bytes, of the module's own data layout (x86-64, little endian).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class IntType:
    """An integer of ``bits`` bits."""

    bits: int


@dataclass(frozen=True)
class PointerType:
    """An address, 8 bytes."""


@dataclass(frozen=True)
class VoidType:
    """What a function returns that returns nothing."""


@dataclass(frozen=True)
class ArrayType:
    """``count`` elements side by side; ``size`` in bytes."""

    element: "Type"
    count: int
    size: int


@dataclass(frozen=True)
class StructType:
    """Fields, each with its offset in bytes; ``name`` as in the IR (``struct.virtqueue``) or empty."""

    name: str
    fields: "tuple[tuple[int, Type], ...]"
    size: int


@dataclass(frozen=True)
class VectorType:
    """A SIMD vector of ``count`` elements; ``size`` in bytes."""

    element: "Type"
    count: int
    size: int


@dataclass(frozen=True)
class OtherType:
    """A type nothing is said about, as printed: a float, a label, metadata, an opaque struct (size 0)."""

    text: str
    size: int


Type: TypeAlias = IntType | PointerType | VoidType | ArrayType | StructType | VectorType | OtherType


def size_of(type_: Type) -> int:
    """Bytes a value of the type takes in memory, padding to its alignment included."""
    match type_:
        case IntType(bits):
            size = (bits + 7) // 8
            return 1 << (size - 1).bit_length() if size <= 8 else (size + 7) // 8 * 8
        case PointerType():
            return 8
        case VoidType():
            return 0
        case _:
            return type_.size


@dataclass(frozen=True)
class Local:
    """A register of a function: a parameter or an instruction's result; unnamed ones have their number."""

    name: str
    type: Type

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class Number:
    """An integer constant, read without sign: ``0 <= value < 2**type.bits``."""

    value: int
    type: IntType


@dataclass(frozen=True)
class Null:
    """The null pointer."""


@dataclass(frozen=True)
class Undef:
    """An undefined value."""

    type: Type


@dataclass(frozen=True)
class Poison:
    """A poison value."""

    type: Type


@dataclass(frozen=True)
class GlobalAddress:
    """The address of a global variable."""

    name: str


@dataclass(frozen=True)
class FunctionAddress:
    """The address of a function, defined or declared."""

    name: str


@dataclass(frozen=True)
class Zero:
    """``zeroinitializer``: all bytes of an array, struct or vector are 0."""

    type: Type


@dataclass(frozen=True)
class Aggregate:
    """A constant array, struct or vector, element by element."""

    type: Type
    elements: "tuple[Operand, ...]"


@dataclass(frozen=True)
class Expression:
    """A constant expression; ``source_type`` is what a getelementptr steps over, else none.

    ``predicate`` is that of an ``icmp``, else empty.
    """

    op: str
    operands: "tuple[Operand, ...]"
    type: Type
    source_type: Type | None
    flags: frozenset[str]
    predicate: str = ""


@dataclass(frozen=True)
class InlineAssembly:
    """An inline assembly as a call's callee: template, constraints, and whether it has side effects."""

    template: str
    constraints: str
    side_effects: bool


@dataclass(frozen=True)
class Other:
    """An operand nothing is said about, as printed: a float constant, metadata, a block's address."""

    text: str
    type: Type


Operand: TypeAlias = (
    Local
    | Number
    | Null
    | Undef
    | Poison
    | GlobalAddress
    | FunctionAddress
    | Zero
    | Aggregate
    | Expression
    | InlineAssembly
    | Other
)


@dataclass(frozen=True)
class Place:
    """Where code stands: function, source file, line.

    Where the compiler kept no line it is that of the instruction before, or of the function's beginning; 0 if
    there is no debug information. Of what was inlined, file and line are those of the innermost function;
    ``function`` is the outermost.
    """

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        where = f"{self.file.rpartition('/')[2]}:{self.line}" if self.line else self.file.rpartition("/")[2]
        return f"{where} ({self.function})"


@dataclass(frozen=True, eq=False)
class Instruction:
    """One instruction.

    ``op`` is LLVM's name of the opcode; ``result`` the register it defines, of type ``type``.
    ``operands``: as LLVM orders them, but without targets (``br``, ``switch``: at most the condition) and
    without the callee (``call``: the arguments); none for a ``phi``. ``store`` is value, then address.
    ``flags``: of ``nuw nsw exact inbounds``; ``singlethread`` of an atomic that only holds the compiler,
    ``byval`` of a call that passes a struct by value, ``bundle`` of one with operand bundles.
    ``predicate``: of ``icmp`` (``eq ult sge ...``), or what an ``atomicrmw`` does (``xchg add ...``).
    ``source_type``: what a ``getelementptr`` steps over, an ``alloca`` makes (``operands`` holds how many).
    ``align``: bytes, 0 where not given.
    ``ordering``: of an atomic, ``unordered monotonic acquire release acq_rel seq_cst``; of a ``cmpxchg`` that
    of success.
    ``targets``: of a ``br`` true, false, or the one; of a ``switch`` the default, then the ``cases`` in turn.
    ``incoming``: of a ``phi``, value and the block it comes from.
    ``range``: of a load or call by metadata, from the first up to but without the second.
    ``indices``: of ``extractvalue``, ``insertvalue``, ``shufflevector``.
    """

    op: str
    result: Local | None
    type: Type
    operands: tuple[Operand, ...]
    place: Place
    flags: frozenset[str] = frozenset()
    predicate: str = ""
    source_type: Type | None = None
    align: int = 0
    volatile: bool = False
    ordering: str = ""
    targets: tuple[str, ...] = ()
    cases: tuple[int, ...] = ()
    incoming: tuple[tuple[Operand, str], ...] = ()
    range: tuple[int, int] | None = None
    callee: Operand | None = None
    indices: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Block:
    """Instructions without a jump between; the last one is the terminator."""

    name: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, eq=False)
class Function:
    """A defined function; ``blocks`` in the order of the text, the first being ``entry``.

    ``loops``: of each natural loop its header, and the names of all blocks within, the header's included.
    ``by_value``: for each parameter the type of the struct that is copied for the callee where a pointer
    passes it by value (``byval``), else none. ``irreducible``: some cycle is entered not only at its header.
    """

    name: str
    parameters: tuple[Local, ...]
    return_type: Type
    blocks: dict[str, Block]
    entry: str
    loops: dict[str, frozenset[str]]
    by_value: tuple[Type | None, ...] = ()
    irreducible: bool = False
    variadic: bool = False


@dataclass(frozen=True, eq=False)
class Global:
    """A global variable; no ``initializer`` if it is defined elsewhere; ``constant``: never written."""

    name: str
    type: Type
    initializer: Operand | None
    constant: bool


@dataclass(frozen=True, eq=False)
class Module:
    """What one compilation gave; ``declared`` are the functions it calls and doesn't define."""

    functions: dict[str, Function]
    declared: frozenset[str]
    globals: dict[str, Global]
    text: str


def _named(value: object) -> Iterator[str]:
    """Names of the functions and globals a piece of IR refers to."""
    if isinstance(value, GlobalAddress | FunctionAddress):
        yield value.name
    elif isinstance(value, tuple):
        for element in value:
            yield from _named(element)
    elif isinstance(value, Instruction):
        for part in (value.operands, value.incoming, value.callee):
            yield from _named(part)
    elif isinstance(value, Aggregate):
        yield from _named(value.elements)
    elif isinstance(value, Expression):
        yield from _named(value.operands)
    elif isinstance(value, Global):
        yield from _named(value.initializer)
    elif isinstance(value, Function):
        for block in value.blocks.values():
            yield from _named(block.instructions)


def _told(value: object) -> str:
    """A piece of IR as text, all but places, the same in every run."""
    if isinstance(value, frozenset):
        return " ".join(sorted(value))
    if isinstance(value, tuple):
        return f"({', '.join(_told(element) for element in value)})"
    if isinstance(value, StructType) and value.name:
        return value.name
    if is_dataclass(value):
        parts = (
            f"{field.name}={_told(getattr(value, field.name))}"
            for field in fields(value)
            if field.name != "place" and getattr(value, field.name) not in ("", (), None, frozenset())
        )
        return f"{type(value).__name__}({', '.join(parts)})"
    return repr(value)


def _structs(value: object) -> Iterator[StructType]:
    """Named structs a piece of IR speaks of."""
    if isinstance(value, tuple):
        for element in value:
            yield from _structs(element)
    elif is_dataclass(value) and not isinstance(value, Place):
        if isinstance(value, StructType) and value.name:
            yield value
        for field in fields(value):
            yield from _structs(getattr(value, field.name))
    elif isinstance(value, dict):
        for element in value.values():
            yield from _structs(element)


def reached(module: Module, name: str) -> tuple[str, ...]:
    """A function's name and those of all functions and globals it reaches, defined or declared, sorted."""
    seen: set[str] = set()
    ahead = [name]
    while ahead:
        current = ahead.pop()
        if current not in seen:
            seen.add(current)
            ahead += _named(module.functions.get(current) or module.globals.get(current))
    return tuple(sorted(seen))


def function_text(module: Module, name: str) -> str:
    """All that decides what a function does, as text: it and the functions, globals and structs it reaches.

    Without places, so that a comment added to a source changes nothing: the key under which what was proved
    of a function stays proved. KeyError if the module defines no function of that name.
    """
    lines: list[str] = []
    structs: dict[str, StructType] = {}
    module.functions[name]
    for current in reached(module, name):
        function = module.functions.get(current)
        if function is not None:
            kept = (function.parameters, function.by_value, function.variadic)
            lines.append(f"define {current} {_told(function.return_type)} {_told(kept)}")
            for block in function.blocks.values():
                lines.append(f"{block.name}:")
                lines += [f"  {_told(instruction)}" for instruction in block.instructions]
        elif current in module.globals:
            lines.append(_told(module.globals[current]))
        else:
            lines.append(f"declare {current}")
        for struct in _structs(function or module.globals.get(current)):
            structs[struct.name] = struct
    lines += [f"{struct.name} {struct.size} {_told(struct.fields)}" for _, struct in sorted(structs.items())]
    return "\n".join(lines) + "\n"
