"""What the model says of a packet's header, in whole numbers: what code has to do.

The inputs are numbers and flags of any value, as wide as the model has them; what is expected is a formula of
them. Shared by the refinements of the Python reference and of the C sources.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import z3

from ...model.header import Features, Header, Packet
from .header_numbers import as_numbers, value_of

ROOM = 48
"""Bytes of the memory that a header is written to: sk_buff.cb in Linux 3.11. Those behind the header stay."""

BITS = {
    "CSUM": 0,
    "HOST_TSO4": 11,
    "HOST_TSO6": 12,
    "HOST_ECN": 13,
    "HOST_UFO": 14,
    "MRG_RXBUF": 15,
    "VERSION_1": 32,
}
"""The feature bits that matter to a header (VIRTIO 1.3, sections 5.1.3 and 6)."""

WIDTHS = {
    "length": 32,
    "head_length": 32,
    "csum_start": 16,
    "csum_offset": 16,
    "gso": 8,
    "gso_size": 16,
}
"""Bits of a packet's numbers."""


@dataclass(frozen=True)
class Expected:
    """Any packet under any features in one profile, and what the model says of it.

    ``numbers`` are the packet's numbers, ``flags`` its flags and the features' by name, ``old`` the bytes of
    memory before. ``known`` are the ranges of these. ``size``, ``refused`` and ``after`` are the model's.
    """

    linux: bool
    numbers: dict[str, z3.ArithRef]
    flags: dict[str, z3.BoolRef]
    old: tuple[z3.ArithRef, ...]
    known: dict[str, z3.BoolRef]
    size: z3.ArithRef
    refused: z3.BoolRef
    after: tuple[z3.ArithRef, ...]

    def shown(self, model: z3.ModelRef) -> dict[str, Any]:
        """Return the inputs in a model of the solver, as plain data."""
        return {
            "profile": "linux-3.11" if self.linux else "virtio-1.x",
            **{name: value_of(term, model) for name, term in (self.numbers | self.flags).items()},
            "memory": [value_of(byte, model) for byte in self.old],
        }


def expected(linux: bool, flag: Callable[[str], z3.BoolRef] = z3.Bool) -> Expected:
    """Return what is expected in a profile. ``flag`` makes the flags, which may be other inputs' formulas."""
    header = Header()
    header.linux = z3.BoolVal(linux)
    header.features = Features(**{name: flag(name) for name in BITS})
    header.packet = Packet(
        checksum=flag("checksum"),
        ecn=flag("ecn"),
        **{name: z3.BitVec(name, width) for name, width in WIDTHS.items()},
    )
    numbers = {name: z3.Int(name) for name in WIDTHS}
    old = tuple(z3.Int(f"old_{place}") for place in range(ROOM))
    known = {name: z3.And(number >= 0, number < 1 << WIDTHS[name]) for name, number in numbers.items()}
    known |= {str(byte): z3.And(byte >= 0, byte < 256) for byte in old}
    by_name = numbers | {str(byte): byte for byte in old}

    def said(formula: Any) -> Any:
        return as_numbers(z3.simplify(formula), by_name)

    after = header.written(lambda address: z3.BitVec(f"old_{address}", 8))
    return Expected(
        linux,
        numbers,
        {name: flag(name) for name in ("checksum", "ecn", *BITS)},
        old,
        known,
        said(header.size()),
        said(header.is_refused()),
        tuple(said(after(z3.IntVal(place))) for place in range(ROOM)),
    )


@dataclass(frozen=True)
class Concrete:
    """What the model says of one packet."""

    size: int
    refused: bool
    after: bytes


def concrete(counterexample: dict[str, Any]) -> Concrete:
    """Return what the model says of the packet of a counterexample."""
    model = expected(counterexample["profile"] == "linux-3.11")
    values = [(number, z3.IntVal(counterexample[name])) for name, number in model.numbers.items()]
    values += [(flag, z3.BoolVal(counterexample[name])) for name, flag in model.flags.items()]
    values += [(byte, z3.IntVal(counterexample["memory"][place])) for place, byte in enumerate(model.old)]

    def value(term: Any) -> Any:
        return z3.simplify(z3.substitute(term, *values))

    after = bytes(value(byte).as_long() for byte in model.after)
    return Concrete(value(model.size).as_long(), z3.is_true(value(model.refused)), after)


def difference(model: Concrete, size: int, accepted: bool, memory: bytes) -> str:
    """Return the first thing that code does unlike the model, or an empty text."""
    if size != model.size:
        return f"the header has {size} bytes, not {model.size}"
    if accepted == model.refused:
        return f"the packet is {'accepted' if accepted else 'refused'}"
    for place, (byte, right) in enumerate(zip(memory, model.after, strict=True)):
        if byte != right:
            return f"byte {place} is {byte:#04x}, not {right:#04x}"
    return ""
