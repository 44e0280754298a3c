"""What comes of a symbolic exploration: what held, what may fail, what could not be followed."""

from collections import Counter
from dataclasses import dataclass, field

import z3

from ..proofs.machine.findings import Finding
from .symbolic_steps import Step
from .verdicts import FindingCode

_CRASHES = ("null", "trap", "division", "abort", "overlap")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What may fail, as far as formulas tell: on which path, and after which steps."""

    check: str
    clause: str
    seen: str
    path: tuple[z3.BoolRef, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A path that could not be followed: why, after how many of the operations, and in which."""

    why: str
    operation: str
    depth: int


@dataclass(slots=True)
class Findings:
    """What came of an exploration: paths that came to their end, those that did not, and what was claimed."""

    paths: int = 0
    lost: list[Lost] = field(default_factory=list)
    refuted: int = 0
    held: Counter[FindingCode] = field(default_factory=Counter)
    suspicions: list[Suspicion] = field(default_factory=list)
    calls: int = 0
    questions: int = 0
    out_of_time: bool = False


def named(finding: Finding) -> tuple[str, str]:
    """The check that machine code fails by a finding of the processor's, and its clause."""
    if finding.kind in _CRASHES:
        return "no-crash", "oracle: process"
    if finding.kind == "uninitialised":
        return "no-uninitialised-use", "oracle: memory"
    if finding.kind == "abi":
        return "calling-convention", "oracle: process"
    return ("no-stray-write" if finding.what.startswith("writes") else "no-stray-read"), "oracle: memory"
