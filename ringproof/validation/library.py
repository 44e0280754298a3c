"""A driver's shared library, looked at before it is loaded, because loading it runs its code."""

import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from elftools.construct.lib.container import Container
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from ..errors import BadInputError

ENTRY = "rp_driver_entry"
"""The one symbol a driver exports."""
NET_ENTRY = "rp_net_driver_entry"
"""The one a whole network driver does."""
_HEADERS = {ENTRY: "ringproof_driver.h", NET_ENTRY: "ringproof_net_driver.h"}

_SANITIZERS = ("libasan.so", "libclang_rt.asan")
_DF_1_PIE = 0x0800_0000
_KINDS = {
    "ET_REL": "an object file; link it into a shared library first (cc -shared)",
    "ET_EXEC": "an executable, not a shared library",
    "ET_CORE": "a core dump, not a shared library",
}


class LibraryError(BadInputError):
    """A library cannot be used; the message is one line that says which and why."""


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What a driver's library says of itself."""

    path: Path
    """Absolute."""
    machine: str
    """Its architecture, as pyelftools names it ("x64")."""
    needed: tuple[str, ...]
    """The libraries it needs."""
    searched: tuple[str, ...] = ()
    """The directories it names to look for them in."""
    wanted: frozenset[str] = frozenset()
    """The symbols it leaves for others to define."""

    @property
    def sanitizer(self) -> str | None:
        """The runtime of AddressSanitizer it needs to have loaded before anything else, or None."""
        name = next((name for name in self.needed if name.startswith(_SANITIZERS)), None)
        places = (Path(directory) / name for directory in self.searched) if name is not None else ()
        return next((str(place) for place in places if place.is_file()), name)


def inspect_library(path: Path, entry: str = ENTRY) -> LibraryInfo:
    """Check that ``path`` is a shared library for this machine that exports ``entry``, one of the two.

    Raises LibraryError. Nothing of the library is executed.
    """
    where = path.absolute()
    if where.is_dir():
        raise LibraryError(f"{path}: a directory, not a shared library")
    try:
        status = where.stat()
        if not stat.S_ISREG(status.st_mode):
            raise LibraryError(f"{path}: not a regular file")  # opening a pipe would wait for a writer
        # Reading it takes longer than starting a worker, so that it is read again only when it has changed.
        return _looked_at(
            path, where, entry, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        )
    except FileNotFoundError:
        raise LibraryError(f"{path}: no such file") from None
    except OSError as error:
        raise LibraryError(f"{path}: cannot be read: {error.strerror or error}") from None


def entries(path: Path) -> tuple[str, ...]:
    """Return the entries that a library exports, ENTRY first. Raises LibraryError when there is none."""
    found, missing = [], None
    for entry in _HEADERS:
        try:
            inspect_library(path, entry)
            found.append(entry)
        except LibraryError as error:
            missing = missing or error
    if missing is not None and not found:
        if f"does not export {ENTRY}" in str(missing):
            either = " or ".join(f"{entry} ({header})" for entry, header in _HEADERS.items())
            raise LibraryError(f"{path}: no driver: it does not export {either}")
        raise missing
    return tuple(found)


@lru_cache(maxsize=64)
def _looked_at(path: Path, where: Path, entry: str, _version: tuple[int, ...]) -> LibraryInfo:
    with where.open("rb") as stream:
        return _inspect(path, where, stream, entry)


def _inspect(path: Path, where: Path, stream: Any, wanted: str) -> LibraryInfo:
    if stream.read(4) != b"\x7fELF":
        raise LibraryError(f"{path}: not an ELF file")
    stream.seek(0)
    try:
        elf = ELFFile(stream)
        _check_machine(path, elf)
        dynamic = _dynamic(path, elf)
        needed = tuple(str(tag.needed) for tag in dynamic.iter_tags("DT_NEEDED"))
        flags = sum(int(tag.entry.d_val) for tag in dynamic.iter_tags("DT_FLAGS_1"))
        if flags & _DF_1_PIE:
            raise LibraryError(f"{path}: an executable, not a shared library")
        if not _exports(dynamic, wanted):
            raise LibraryError(
                f"{path}: does not export {wanted}, so it is no driver behind {_HEADERS[wanted]}"
            )
        searched = tuple(
            directory.replace("$ORIGIN", str(where.parent))
            for tag in dynamic.iter_tags()
            if tag.entry.d_tag in ("DT_RUNPATH", "DT_RPATH")
            for directory in str(getattr(tag, tag.entry.d_tag[3:].lower())).split(":")
        )
        left = frozenset(
            symbol.name for symbol in dynamic.iter_symbols() if symbol.entry.st_shndx == "SHN_UNDEF"
        )
        return LibraryInfo(where, elf.get_machine_arch(), needed, searched, left)
    except LibraryError:
        raise
    except Exception as error:  # a damaged file makes the parser fail in any way there is
        raise LibraryError(f"{path}: a truncated or damaged ELF file") from error


def _check_machine(path: Path, elf: ELFFile) -> None:
    with Path("/proc/self/exe").open("rb") as stream:
        own = ELFFile(stream)
        ours, its = _kind_of(own), _kind_of(elf)
    if its != ours:
        raise LibraryError(f"{path}: built for {its}; this machine needs {ours}")


def _kind_of(elf: ELFFile) -> str:
    order = "little" if elf.little_endian else "big"
    return f"{elf.get_machine_arch()} ({elf.elfclass} bits, {order} endian)"


def _dynamic(path: Path, elf: ELFFile) -> DynamicSegment:
    kind = str(elf["e_type"])
    if kind != "ET_DYN":
        raise LibraryError(f"{path}: {_KINDS.get(kind, 'not a shared library')}")
    for segment in elf.iter_segments():
        if isinstance(segment, DynamicSegment):
            return segment
    raise LibraryError(f"{path}: has no dynamic section, so nothing can be loaded from it")


def _exports(dynamic: DynamicSegment, wanted: str) -> bool:
    for symbol in dynamic.iter_symbols():
        entry: Container = symbol.entry
        if symbol.name == wanted and entry.st_shndx != "SHN_UNDEF" and entry.st_info.type == "STT_FUNC":
            return True
    return False
