"""A function in LLVM IR and in C, and when its result is defined."""

from collections.abc import Callable
from dataclasses import dataclass

WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Row:
    """A function: parameters and result in bits; the lines of its IR, the C expression for it."""

    name: str
    parameters: tuple[int, ...]
    result: int
    body: str
    c: str
    defined: Callable[..., bool] = lambda *_: True
    terms: bool = True
