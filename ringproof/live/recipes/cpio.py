"""An initial file system in memory: the ``newc`` form of cpio, which Linux unpacks when it starts."""

import gzip
import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file, directory or device of the initial file system.

    ``path`` is relative, without a leading slash; ``mode`` holds the type and permission bits as ``st_mode``
    does; ``device`` is major and minor of a device node. A directory stands before what is in it.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """A directory everybody may read."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, data: bytes, *, program: bool = False) -> Entry:
    """An ordinary file, or a program."""
    return Entry(path, stat.S_IFREG | (0o755 if program else 0o644), data)


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device; no rights are needed to write one down."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _record(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # inode, mode, user, group, links, time, size, the file system's device, the device it is, name, sum
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = _MAGIC + b"".join(b"%08X" % value for value in fields)
    return _padded(head + name) + _padded(entry.data)


def archive(entries: Iterable[Entry]) -> bytes:
    """The entries as one ``newc`` archive, owned by root and dated 1970: the same every time."""
    written = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*written, _record(0, Entry(_TRAILER, 0))])


def packed(entries: Iterable[Entry]) -> bytes:
    """The archive, compressed with gzip, quickly rather than well."""
    return gzip.compress(archive(entries), compresslevel=1, mtime=0)
