"""An inquiry into one state on one path: what is claimed there, what may be otherwise, and where it parts.

A question whose answer decides what to look at next (which descriptor, which answer of the driver) parts the
path into one per value; the inquiry is then held once for each, told which values to take by a script.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import z3

from ..proofs.machine.errors import TooMany
from ..proofs.machine.oracle import Oracle, Path
from ..proofs.machine.words import Flag, Word, boolean, equal, no, simple, simple_flag
from .verdicts import FindingCode

Found = TypeVar("Found")

_MOST_VALUES = 64  # of what decides where to look; more than that is not followed


class RefutedError(Exception):
    """What was claimed never holds here, so that nothing can come after it on this path."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A claim that may fail: its code, one sentence on what is seen then, and the path that leads there."""

    code: FindingCode
    seen: str
    path: Path


@dataclass(slots=True)
class Tallies:
    """What was claimed over all paths: how often by code, and what may fail."""

    held: Counter[FindingCode] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class Inquiry:
    """Claims about one state; ``path`` grows by what is found out."""

    def __init__(self, oracle: Oracle, path: Path, tallies: Tallies, script: tuple[int, ...] = ()) -> None:
        self.path = path
        self.others: list[tuple[int, ...]] = []
        self._oracle = oracle
        self._tallies = tallies
        self._script = script
        self._answers: tuple[int, ...] = ()

    @property
    def _told(self) -> bool:
        """Whether this much was gone through before, for another value."""
        return len(self._answers) < len(self._script)

    def claim(self, code: FindingCode, holds: Flag, seen: str) -> None:
        """Claim that something holds on this path, and have it so from here on. Raises RefutedError if never.

        ``seen`` says what is the case if it does not.
        """
        holds = simple_flag(holds)
        if not self._told:
            if holds is not True and self._oracle.possible(self.path, no(holds)):
                self._tallies.violations.append(Violation(code, seen, (*self.path, boolean(no(holds)))))
            else:
                self._tallies.held[code] += 1
        if holds is True:
            return
        if holds is False or not self._oracle.possible(self.path, holds):
            raise RefutedError
        self.path = (*self.path, boolean(holds))

    def pin(self, word: Word, width: int) -> int:
        """Return the value of a word: this inquiry's, of all those it may have. Raises TooMany."""
        word = simple(word)
        if isinstance(word, int):
            return word
        values = self._oracle.values(word, self.path, _MOST_VALUES)
        if len(values) > 1:
            at = len(self._answers)
            if at < len(self._script):
                value = self._script[at]
            else:
                value = values[0]
                self.others += [(*self._answers, other) for other in values[1:]]
            self._answers = (*self._answers, value)
        elif values:
            value = values[0]
        else:
            raise RefutedError
        self.path = (*self.path, boolean(equal(word, value, width)))
        return value

    def signed(self, word: Word) -> int:
        """Return the value of a C int."""
        value = self.pin(word, 32)
        return value - (1 << 32) if value >> 31 else value

    def decide(self, flag: Flag) -> bool:
        """Return whether something is the case: this inquiry's answer, of those there may be."""
        flag = simple_flag(flag)
        if isinstance(flag, bool):
            return flag
        return self.pin(z3.If(flag, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)), 1) == 1


def inquire(
    oracle: Oracle, path: Path, tallies: Tallies, hold: Callable[[Inquiry], Found]
) -> Iterator[tuple[Path, Found]]:
    """Hold an inquiry for all values there are; yield each path that goes on, with what was found there.

    Raises TooMany where there are too many values: the path is then not followed.
    """
    scripts: list[tuple[int, ...]] = [()]
    while scripts:
        one = Inquiry(oracle, path, tallies, scripts.pop())
        try:
            found = hold(one)
        except RefutedError:
            continue
        finally:
            scripts += one.others
        yield one.path, found


__all__ = ["Inquiry", "RefutedError", "Tallies", "TooMany", "Violation", "inquire"]
