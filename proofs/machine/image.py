"""A shared library as it lies in memory: x86-64 ELF, at a fixed place, its relocations applied.

Functions that the library takes from elsewhere get addresses of their own where nothing is mapped; who runs
the code says what happens there. A symbol that the library defines itself is its own: nothing is
interposed.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from .errors import BadImage

BASE = 0x40_0000_0000
"""Where the library's address 0 lies."""

IMPORTS = 0x70_0000_0000
"""Where addresses of imported functions begin, 16 bytes apart."""

_RELATIVE, _ABSOLUTE, _GLOB_DAT, _JUMP_SLOT = 8, 1, 6, 7
_READ, _WRITE, _EXECUTE = 4, 2, 1


@dataclass(frozen=True)
class Segment:
    """A stretch of memory: where it begins, what it holds, and what may be done with it ("rw", "rx", "r")."""

    address: int
    contents: bytes
    permissions: str


@dataclass(frozen=True)
class Symbol:
    """A function or object that the library defines: its name, address and size in bytes."""

    name: str
    address: int
    size: int
    exported: bool = False
    is_function: bool = True


@dataclass(frozen=True)
class Image:
    """A library in memory. ``imports`` maps the names of functions from elsewhere to their addresses."""

    path: Path
    segments: tuple[Segment, ...]
    symbols: dict[str, Symbol]
    imports: dict[str, int]
    lines: tuple[tuple[int, str], ...] = field(repr=False)  # address to "file:line", ascending

    def contents(self, address: int, size: int) -> bytes:
        """Return up to ``size`` bytes of code or data from an address on; none where nothing is mapped."""
        for segment in self.segments:
            offset = address - segment.address
            if 0 <= offset < len(segment.contents):
                return segment.contents[offset : offset + size]
        return b""

    def function(self, address: int) -> str:
        """Return the name of the function that an address lies in, or its number."""
        place = bisect.bisect_right(self._starts, address) - 1
        if place >= 0:
            symbol = self._ordered[place]
            if address < symbol.address + max(symbol.size, 1):
                return symbol.name
        names = [name for name, where in self.imports.items() if where == address]
        return names[0] if names else f"{address:#x}"

    def line(self, address: int) -> str:
        """Return "file:line" of an instruction, or nothing if the library was built without -g."""
        place = bisect.bisect_right(self.lines, (address, "\uffff")) - 1
        return self.lines[place][1] if place >= 0 else ""

    def place(self, address: int) -> str:
        """Say where an instruction is: function, address in the file, and line if that is known."""
        known = self._places.get(address)
        if known is None:
            known = self._places[address] = self._place(address)
        return known

    def _place(self, address: int) -> str:
        line = self.line(address)
        where = f"{self.function(address)} at {address - BASE:#x}"
        return f"{line} ({where})" if line else where

    @cached_property
    def _places(self) -> dict[int, str]:
        return {}

    @cached_property
    def _ordered(self) -> list[Symbol]:
        return sorted(self.symbols.values(), key=lambda symbol: symbol.address)

    @cached_property
    def _starts(self) -> list[int]:
        return [symbol.address for symbol in self._ordered]


def load(path: Path) -> Image:
    """Return the shared library in memory. Raises BadImage, also for a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            return _load(path, ELFFile(stream))
    except OSError as error:
        raise BadImage(f"{path}: {error.strerror or error}") from None
    except (ELFError, ValueError, KeyError, IndexError, UnicodeError) as error:
        raise BadImage(f"{path}: no ELF shared library that can be read: {error}") from None


def _load(path: Path, elf: Any) -> Image:
    if elf.get_machine_arch() != "x64" or elf["e_type"] != "ET_DYN":
        raise BadImage(
            f"{path}: no shared library for x86-64 (it is {elf['e_type']} for {elf.get_machine_arch()})"
        )
    table = elf.get_section_by_name(".dynsym")
    if table is None:
        raise BadImage(f"{path}: no dynamic symbols")
    parts: list[tuple[int, bytearray, int]] = []
    for segment in elf.iter_segments("PT_LOAD"):
        data = bytearray(segment.data())
        data.extend(bytes(segment["p_memsz"] - len(data)))
        parts.append((BASE + segment["p_vaddr"], data, segment["p_flags"]))
    symbols, imports = _symbols(elf), _Imports()
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_flags"] & 2:  # SHF_ALLOC
            for where, value in _relocated(path, section, table, imports):
                _write(path, parts, where, value)
    readonly = [
        (BASE + segment["p_vaddr"], segment["p_memsz"]) for segment in elf.iter_segments("PT_GNU_RELRO")
    ]
    return Image(
        path,
        tuple(piece for part in parts for piece in _segments(*part, readonly)),
        symbols,
        imports.addresses,
        tuple(sorted(_lines(elf))),
    )


def _symbols(elf: Any) -> dict[str, Symbol]:
    """Return what is defined, local names last: where two have one name, the exported one is meant."""
    found: dict[str, Symbol] = {}
    for name in (".dynsym", ".symtab"):
        table = elf.get_section_by_name(name)
        for symbol in table.iter_symbols() if table is not None else ():
            kind = symbol["st_info"]["type"]
            if symbol["st_shndx"] != "SHN_UNDEF" and kind in ("STT_FUNC", "STT_OBJECT") and symbol.name:
                found.setdefault(
                    symbol.name,
                    Symbol(
                        symbol.name,
                        BASE + symbol["st_value"],
                        symbol["st_size"],
                        exported=name == ".dynsym",
                        is_function=kind == "STT_FUNC",
                    ),
                )
    return found


class _Imports:
    """Gives each imported name an address."""

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}

    def address(self, name: str) -> int:
        return self.addresses.setdefault(name, IMPORTS + 16 * len(self.addresses))


def _relocated(path: Path, section: Any, table: Any, imports: _Imports) -> Iterator[tuple[int, int]]:
    for relocation in section.iter_relocations():
        kind, addend = relocation["r_info_type"], relocation["r_addend"]
        symbol = table.get_symbol(relocation["r_info_sym"])
        if kind == _RELATIVE:
            value = BASE + addend
        elif kind in (_ABSOLUTE, _GLOB_DAT, _JUMP_SLOT):
            if symbol["st_shndx"] != "SHN_UNDEF":
                value = BASE + symbol["st_value"]
            elif symbol["st_info"]["bind"] == "STB_WEAK":
                value = 0
            else:
                value = imports.address(symbol.name)
            value += addend if kind == _ABSOLUTE else 0
        else:
            raise BadImage(
                f"{path}: a relocation of kind {kind} at {relocation['r_offset']:#x} is not applied here"
            )
        yield BASE + relocation["r_offset"], value


def _write(path: Path, parts: list[tuple[int, bytearray, int]], where: int, value: int) -> None:
    for address, data, _ in parts:
        if address <= where and where + 8 <= address + len(data):
            data[where - address : where - address + 8] = (value % 2**64).to_bytes(8, "little")
            return
    raise BadImage(f"{path}: a relocation outside of all segments, at {where - BASE:#x}")


def _segments(
    address: int, data: bytearray, flags: int, readonly: list[tuple[int, int]]
) -> Iterator[Segment]:
    """Yield a loaded segment, cut where a part of it is read-only once relocations are applied."""
    letters = "".join(letter for bit, letter in ((_READ, "r"), (_WRITE, "w"), (_EXECUTE, "x")) if flags & bit)
    cut = 0
    for start, size in readonly:
        if "w" in letters and address <= start < address + len(data):
            end = min(start + size - address, len(data))
            if start > address:
                yield Segment(address, bytes(data[: start - address]), letters)
            yield Segment(start, bytes(data[start - address : end]), letters.replace("w", ""))
            cut = end
    if cut < len(data):
        yield Segment(address + cut, bytes(data[cut:]), letters)


def _lines(elf: Any) -> Iterator[tuple[int, str]]:
    if not elf.has_dwarf_info():
        return
    information = elf.get_dwarf_info()
    for unit in information.iter_CUs():
        program = information.line_program_for_CU(unit)
        if program is None:
            continue
        files = program["file_entry"]
        first = 0 if program["version"] >= 5 else 1
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            index = state.file - first
            if state.end_sequence or not state.line or not 0 <= index < len(files):
                yield BASE + state.address, ""
            else:
                yield BASE + state.address, f"{files[index].name.decode(errors='replace')}:{state.line}"
