"""A claim that code does what the model does, its parts, and what was found of one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

from ..discharge import ObligationResult

Kind: TypeAlias = Literal["reference", "c", "machine code"]


@dataclass(frozen=True)
class Code:
    """What is examined, shipped or with a defect seeded.

    ``reference`` is the package of the Python reference (``ringproof.impl.reference`` or a changed copy),
    ``c`` the directory of the C sources, ``library`` the shared library built of them, or none if no machine
    code is asked about.
    """

    reference: ModuleType
    c: Path
    library: Path | None = None


@dataclass(frozen=True)
class Part:
    """One part of a refinement, done in one process: a label, and what is needed to know it is unchanged.

    ``key`` returns a text that changes whenever the part's questions may: the IR of the functions, or the
    sources. What is proved under the same key, by the same solver from the same model, is proved.
    """

    label: str
    key: Callable[[Code], str]
    check: Callable[[Code], Sequence[ObligationResult]]


@dataclass(frozen=True)
class Refinement:
    """A claim about code: that a function, or several, take the model's steps and no others.

    ``sizes`` are the queue sizes of which it is claimed; none are all of them, or the code knows no queue.
    ``clause`` is the function of Linux 3.11 it follows. ``broken_by`` names defects, as patches beside the
    code (``mutants/ID.patch``), that make it fail.
    """

    name: str
    title: str
    statement: str
    clause: str
    code: Kind
    sizes: tuple[int, ...]
    parts: tuple[Part, ...]
    broken_by: tuple[str, ...]
