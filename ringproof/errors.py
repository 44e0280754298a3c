"""What the command line says when it cannot go on: one line, and an exit code.

Exit codes of every verb: 0 all held; 1 something was refuted, or a driver failed; 2 usage or bad input;
3 something is unknown (the solver gave up or died, or is missing or of another version, or the time for a
validation was up before all was gone through); 4 two solvers disagree about the same obligation, or two
monitors about the same recording, so that one of them is wrong; 130 interrupted.
"""

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_HELD = 0
EXIT_REFUTED = 1
EXIT_BAD_INPUT = 2
EXIT_UNKNOWN = 3
EXIT_DISAGREE = 4
EXIT_INTERRUPTED = 130


class BadInputError(Exception):
    """The user asked for something that is not there or makes no sense; the message is one line."""


_FEW = 60  # names that still make a line to be read


def unknown_name(kind: str, name: str, known: Iterable[str]) -> BadInputError:
    """The error for a name nobody knows: ``kind`` says of what, and the nearest known name is suggested."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.4) or get_close_matches(
        name.upper(), names, n=1, cutoff=0.4
    )
    few = len(names) <= _FEW
    listed = f"known: {', '.join(names)}" if few else "ringproof explain lists those there are"
    hint = f"did you mean {near[0]}?" if near else listed
    return BadInputError(f"no {kind} is called {name!r}; {hint}")
