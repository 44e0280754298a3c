"""How far the order of a driver's accesses to its ring can be judged, and why not further.

It is judged in the worker (``impl/harness/accesses_order.c``) from calls that ``-fsanitize=thread`` puts
before each access and in the place of each atomic operation and fence. Fences made in other ways are not
shown, so here the driver's code is searched for them.
"""

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

PUBLISH: Final = "2.7.13.3.1a"
"""The clause of content before index."""
KICK: Final = "2.7.13.4.1a"
"""The clause of index before suppression word."""
USED: Final = "used-index-before-entry"
"""The check of used_idx before used entry; no clause demands it."""
ARM: Final = "look-again-after-barrier"
"""The check of the look at used_idx after asking for an interrupt; no clause says it in so many words."""

TRAIT_C11_ORDER: Final = 1 << 7
"""RP_TRAIT_C11_ORDER of ``ringproof_driver.h``."""
INSTRUMENTED_ACCESSES: Final = 1 << 1
"""RP_INSTRUMENTED_ACCESSES of ``protocol.h``."""

_SECONDS = 60.0
_UNARMED = "no store was seen that asks for an interrupt and that the driver then relied on"
# What orders a store before a later load: on x86 locked instructions, xchg with memory, what serializes.
_FENCES = re.compile(
    r"\t(?:(?P<plain>mfence|serialize|cpuid)\b|(?P<lock>lock)\b|(?P<xchg>xchg)[bwlq]?\s+[^#<\n]*\("
    r"|(?P<arm>dmb|dsb|cas[abhlp]*|swp[abhl]*|ld(?:add|clr|eor|set|smax|smin|umax|umin)[abhl]*|stlx[rp][bh]?)\b)"
)
_LIBRARY_CALLS = re.compile(
    r"(?:pthread|mtx|cnd|sem|atomic|__atomic|__sync|membarrier|syscall|__aarch64)(?:_|\b)"
)


def why_not(library: Path, traits: int, instrumented: int) -> dict[str, str]:
    """Say for PUBLISH, KICK, USED and ARM why it was not judged, in case that it was not; each one line.

    ``traits`` are the driver's RP_TRAIT bits, ``instrumented`` the RP_INSTRUMENTED bits the worker found. The
    values complete a sentence that says that the check was not made. USED without RP_TRAIT_C11_ORDER still
    fails for a driver that reads an entry before the index in program order, but is never counted as passed.
    """
    if not instrumented & INSTRUMENTED_ACCESSES:
        return dict.fromkeys((PUBLISH, KICK, USED, ARM), "built without instrumentation of its accesses")
    if traits & TRAIT_C11_ORDER:
        return {
            PUBLISH: "no store of avail_idx was seen",
            KICK: "it never looked at the suppression word after a store of avail_idx",
            USED: "no read of a used entry was seen",
            ARM: _UNARMED,
        }
    undeclared = "declares no C11 order (RP_TRAIT_C11_ORDER)"
    fences = own_fences(library)
    return {
        PUBLISH: undeclared,
        KICK: fences or "it never looked at the suppression word after a store of avail_idx",
        USED: undeclared,
        ARM: fences or _UNARMED,
    }


def own_fences(library: Path) -> str | None:
    """Say, in one line, which full barriers the library may have that no instrumentation shows.

    None when it has none: neither fences or locked instructions of its own nor calls of functions that may
    hold them. A library whose code cannot be searched may have some.
    """
    try:
        state = library.stat()
    except OSError as error:
        return f"its code cannot be read: {error.strerror}"
    return _own_fences(library, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _own_fences(library: Path, changed: int, size: int) -> str | None:
    del changed, size  # part of the key: another build may lie at the same place
    called = _calls(library)
    if called is not None:
        return called
    program = shutil.which("objdump") or shutil.which("llvm-objdump")
    if program is None:
        return "may order by inline assembly: no objdump to search its code with"
    try:
        listing = subprocess.run(
            [program, "-d", "--no-show-raw-insn", str(library.absolute())],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=_SECONDS,
            env={"LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "may order by inline assembly: objdump cannot take its code apart"
    if "\t" not in listing:
        return "may order by inline assembly: objdump finds no code in it"
    found = _FENCES.search(listing)
    if found is None:
        return None
    return f"orders by inline assembly ({next(name for name in found.groups() if name)})"


def _calls(library: Path) -> str | None:
    """Say which function of another library may order accesses."""
    try:
        with library.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".dynsym")
            names = (
                [symbol.name for symbol in table.iter_symbols() if symbol["st_shndx"] == "SHN_UNDEF"]
                if isinstance(table, SymbolTableSection)
                else []
            )
    except (OSError, ELFError):
        return "its code cannot be read"
    name = next((name for name in names if _LIBRARY_CALLS.match(name)), None)
    return f"may order by a call of {name}" if name is not None else None
