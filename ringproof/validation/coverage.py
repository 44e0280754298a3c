"""Coverage: from places in an instrumented driver's code to the lines of its sources.

A compiler told to (``-fsanitize-coverage``) puts a call at the begin of each block of code. A place is where
such a call returns to, as an offset from where the library begins. The line of a place is the line its block
begins at, so a line counts once a block that begins on it was reached; lines in the middle of a block do not
count for themselves.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from .library import LibraryError

_CALLBACKS = frozenset({"__sanitizer_cov_trace_pc", "__sanitizer_cov_trace_pc_guard"})
_FIELD = 4  # bytes of what the linker fills in; the call returns to what follows them
_EXECUTABLE = 0x4  # SHF_EXECINSTR
_FOREIGN = tuple(PurePosixPath(place) for place in ("/usr", "/lib", "/opt"))
_FOREIGN_NAMES = frozenset({"ringproof_driver.h", "ringproof_net_driver.h"})
_ENDBR = b"\xf3\x0f\x1e\xfa"


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One source: its path as the compiler wrote it down, the lines that blocks begin at, those reached."""

    path: str
    lines: tuple[int, ...]
    covered: tuple[int, ...]

    @property
    def uncovered(self) -> tuple[int, ...]:
        """Lines at which a block begins and none that does was reached; ascending."""
        reached = set(self.covered)
        return tuple(line for line in self.lines if line not in reached)

    @property
    def uncovered_in_words(self) -> str:
        """The same, as "12, 40-43": a range has no other block's line in between that was reached."""
        reached, ranges = set(self.covered), []
        begin: int | None = None
        for line, following in pairwise((*self.lines, -1)):
            if line in reached:
                continue
            begin = line if begin is None else begin
            if following == -1 or following in reached:
                ranges.append(f"{begin}-{line}" if begin < line else f"{line}")
                begin = None
        return ", ".join(ranges)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was reached of a driver's own sources.

    ``whole`` is false when only reached places are known, so that what was not reached cannot be told.
    """

    files: tuple[FileCoverage, ...]
    whole: bool = True

    @property
    def covered(self) -> int:
        """Lines reached, over all files."""
        return sum(len(file.covered) for file in self.files)

    @property
    def lines(self) -> int:
        """Lines at which a block begins, over all files."""
        return sum(len(file.lines) for file in self.files)

    @property
    def percentage(self) -> float:
        """Lines reached of all lines, 0 to 100; 0 when there are none."""
        return 100.0 * self.covered / self.lines if self.lines else 0.0


def report(library: Path, offsets: Iterable[int]) -> Coverage:
    """Say which lines of the driver's own sources ``offsets`` (as of ``Worker.coverage``) stand for.

    Sources of the system and of the driver ABI are left out; the library needs its debug information.
    Raises LibraryError when it cannot be read.
    """
    try:
        status = library.stat()
        places, lines = _looked_at(library, (status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise LibraryError(f"{library}: cannot be read: {error.strerror or error}") from None
    except LibraryError:
        raise
    except Exception as error:  # a damaged file makes the parser fail in any way there is
        raise LibraryError(f"{library}: its debug information cannot be read: {error}") from error
    reached = frozenset(offsets)
    everything: dict[str, set[int]] = defaultdict(set)
    covered: dict[str, set[int]] = defaultdict(set)
    for place in places | reached:
        where = lines.at(place - 1)  # in the call itself; the block may end with it
        if where is None:
            continue
        everything[where[0]].add(where[1])
        if place in reached:
            covered[where[0]].add(where[1])
    files = tuple(
        FileCoverage(path, tuple(sorted(everything[path])), tuple(sorted(covered[path])))
        for path in sorted(everything)
    )
    return Coverage(files, bool(places))


def instrumented_places(library: Path) -> frozenset[int]:
    """Return every place of a library, reached or not; empty when there are none or they cannot be found.

    Found by the relocations that the linker kept (``--emit-relocs``). Without them, on x86-64, by the calls
    of the callbacks' stubs and table entries as bytes; bytes that only look like one are told as a place
    too, which four given bytes do by chance once in 2^32.
    """
    with library.open("rb") as stream:
        return _places(ELFFile(stream))


class _Lines:
    """A library's table of lines, by address."""

    def __init__(self, rows: Sequence[tuple[int, str, int]]) -> None:
        """``rows`` are address, path and line; a path "" ends a sequence, or is not the driver's."""
        # A sequence may begin where another ends: the end sorts first, as "" does.
        self._rows = sorted(rows)
        self._addresses = [row[0] for row in self._rows]

    def at(self, address: int) -> tuple[str, int] | None:
        """The path and line of an instruction, None when it is nobody's."""
        found = bisect_right(self._addresses, address) - 1
        if found < 0:
            return None
        _, path, line = self._rows[found]
        return (path, line) if path and line else None


@lru_cache(maxsize=8)
def _looked_at(library: Path, _version: tuple[int, ...]) -> tuple[frozenset[int], _Lines]:
    with library.open("rb") as stream:
        try:
            elf = ELFFile(stream)
        except ELFError as error:
            raise LibraryError(f"{library}: not an ELF file") from error
        return _places(elf), _Lines(list(_rows(elf)))


def _rows(elf: ELFFile) -> Iterator[tuple[int, str, int]]:
    if not elf.has_dwarf_info():
        return
    # Addresses are final in a library; relocations that were kept must not be applied again.
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        header = program.header
        top = unit.get_top_DIE()
        home = top.attributes.get("DW_AT_comp_dir")
        names = _paths(header, home.value.decode(errors="replace") if home is not None else "")
        first = 0 if header["version"] >= 5 else 1
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if state.end_sequence:
                yield state.address, "", 0
            elif 0 <= state.file - first < len(names):
                yield state.address, names[state.file - first], state.line


def _paths(header: Any, home: str) -> list[str]:
    """Name the files of a unit, "" those that are not the driver's own."""
    directories = [entry.decode(errors="replace") for entry in _named(header["include_directory"])]
    if header["version"] < 5:
        directories.insert(0, home)
    paths = []
    for entry in header["file_entry"]:
        at = entry.dir_index
        path = PurePosixPath(home, directories[at] if at < len(directories) else "", entry.name.decode())
        own = path.name not in _FOREIGN_NAMES and not any(map(path.is_relative_to, _FOREIGN))
        paths.append(str(path) if own else "")
    return paths


def _named(directories: Iterable[Any]) -> Iterator[bytes]:
    for directory in directories:
        yield directory if isinstance(directory, bytes) else directory.name


def _places(elf: ELFFile) -> frozenset[int]:
    return frozenset(_kept_relocations(elf)) or frozenset(_calls(elf))


def _kept_relocations(elf: ELFFile) -> Iterator[int]:
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection) or section["sh_flags"] & 0x2:  # SHF_ALLOC: the loader's
            continue
        target = elf.get_section(section["sh_info"])
        if not target["sh_flags"] & _EXECUTABLE:
            continue
        symbols = elf.get_section(section["sh_link"])
        wanted = {at for at, symbol in enumerate(symbols.iter_symbols()) if symbol.name in _CALLBACKS}
        for relocation in section.iter_relocations():
            if relocation["r_info_sym"] in wanted:
                yield relocation["r_offset"] + _FIELD


def _calls(elf: ELFFile) -> Iterator[int]:
    """Find calls of the callbacks in x86-64 code, through a stub or through the table."""
    if elf.get_machine_arch() != "x64":
        return
    code = [(s["sh_addr"], s.data()) for s in elf.iter_sections() if s["sh_flags"] & _EXECUTABLE]
    slots = {
        relocation["r_offset"]
        for section in elf.iter_sections()
        if isinstance(section, RelocationSection) and section["sh_flags"] & 0x2
        for relocation in section.iter_relocations()
        if relocation["r_info_sym"]
        and elf.get_section(section["sh_link"]).get_symbol(relocation["r_info_sym"]).name in _CALLBACKS
    }
    stubs = set()
    for address, data in code:
        for after in _referring(address, data, b"\xff\x25", slots):  # jmp *slot(%rip)
            begin = after - 6
            before = data[: begin - address]
            if before.endswith(b"\xf2"):  # with a prefix
                begin, before = begin - 1, before[:-1]
            stubs.add(begin - len(_ENDBR) if before.endswith(_ENDBR) else begin)
    for address, data in code:
        yield from _referring(address, data, b"\xe8", stubs)  # call stub
        yield from _referring(address, data, b"\xff\x15", slots)  # call *slot(%rip)


def _referring(address: int, data: bytes, opcode: bytes, targets: set[int]) -> Iterator[int]:
    """Yield what follows each instruction of ``opcode`` and a distance that leads to one of the targets."""
    at = data.find(opcode) if targets else -1
    while at >= 0:
        field = at + len(opcode)
        after = address + field + _FIELD
        if after + int.from_bytes(data[field : field + _FIELD], "little", signed=True) in targets:
            yield after
        at = data.find(opcode, at + 1)
