"""The structs of the C sources that surround the virtqueue, as the executor of LLVM IR knows them.

Where their fields lie, the IR says; here they only get names. A struct with other fields than these is named.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import z3

from ..symbolic.clang import compile_ir
from ..symbolic.ir import Module, StructType, function_text
from ..symbolic.llvm import read_ir
from ..symbolic.memory import typed_object
from ..symbolic.state import Obligation
from ..symbolic.values import Object
from .c_memory import LayoutChanged, structs_of
from .deciding import Question

FIELDS = {
    "struct.rp_net_frame": (
        "packet", "token", "control", "control_address", "checksum", "gso", "ecn", "queue_recorded",
        "csum_start", "csum_offset", "gso_size", "recorded_queue", "cpu",
    ),
    "struct.rp_net_packet": (
        "head", "head_address", "head_length", "fragment_count", "fragments", "list", "next", "length",
        "reserved",
    ),
    "struct.rp_net_fragment": ("page", "page_address", "offset", "length"),
    "struct.rp_net_queue": (
        "vq", "device", "index", "notify_off", "bytes", "pair", "room", "count", "unused", "sg", "data",
    ),
    "struct.rp_net_device": (
        "env", "pci", "features", "mended", "header_bytes", "most_pairs", "pairs", "control_index", "mac",
        "link", "queue_count", "queues",
    ),
    "struct.rp_net_env": (
        "abi_version", "size", "context", "transport", "notify_off_multiplier", "features", "read", "write",
        "allocate", "release", "allocate_private", "release_private", "freed", "orphaned", "stop_queue",
        "start_queue", "wake_queue",
    ),
    "struct.rp_net_record": ("frame", "copy", "copy_bytes", "next"),
    "struct.rp_sg": ("page_link", "offset", "length"),
    "struct.rp_vq_segment": ("address", "length"),
}  # fmt: skip


@functools.lru_cache(maxsize=8)
def _compiled(source: Path, text: str) -> Module:
    del text  # part of the key: the sources may be changed in place
    return read_ir(compile_ir(source))


def module_of(directory: Path, source: str) -> Module:
    """Return a C source as compiled. Raises Missing for what is not there, or not as it has to be."""
    text = "\0".join(each.read_text() for each in sorted(directory.glob("*.[ch]")))
    return _compiled(directory / source, text)


def key_of(directory: Path, source: str, *functions: str) -> str:
    """Return the IR of functions and of all they reach."""
    module = module_of(directory, source)
    return "\n".join(function_text(module, function) for function in functions)


def struct_object(module: Module, struct: str, name: str, **attributes: Any) -> Object:
    """Return an object of one of the structs, or with ``count`` an array. Raises LayoutChanged."""
    return typed_object(name, struct_of(module, struct), names=names_of(struct), **attributes)


def struct_of(module: Module, struct: str) -> StructType:
    """Return a struct's type. Raises LayoutChanged if it has not the fields it is known by."""
    names = FIELDS[struct]
    type_ = structs_of(module).get(struct)
    if type_ is None or len(type_.fields) != len(names):
        raise LayoutChanged(f"{struct} has not the {len(names)} fields it is known by: {', '.join(names)}")
    return type_


def names_of(struct: str) -> dict[str, str]:
    """Return the fields' names by their positions."""
    return {str(position): name for position, name in enumerate(FIELDS[struct])}


def owed(
    obligations: Sequence[Obligation], name: str, show: Any, *hypotheses: dict[str, z3.BoolRef]
) -> list[Question]:
    """Return what the code's behaviour owes, as questions, each asked once."""
    found: dict[tuple[int, ...], Question] = {}
    for each in obligations:
        goal = each.goal if isinstance(each.goal, z3.BoolRef) else z3.BoolVal(bool(each.goal))
        key = (goal.get_id(), *(condition.get_id() for condition in each.path))
        label = f"{name}: {each.kind}: {each.what} ({each.place})"
        found.setdefault(key, Question(label, (*each.facts, *each.path), goal, hypotheses, show))
    return list(found.values())
