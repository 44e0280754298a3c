"""Frames out of pcap and pcapng files, and into pcap files; the formats are dpkt's.

dpkt's own readers yield what is left of a record that was cut short, and do not tell what a record's length
was on the wire; so its header and block types are used here by a loop that looks. A file whose frames are
not all there whole is refused: what would be sent is not what the file says.
"""

import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import dpkt
from dpkt import pcap, pcapng

from ..errors import BadInputError
from ..impl.harness.frames import LONGEST

ETHERNET = 1
LEAST = 14
"""Bytes of the shortest frame: an Ethernet header."""
SNAPLEN = 262144
NANOSECONDS = 10**9

_NANO_MAGICS = (pcap.TCPDUMP_MAGIC_NANO, pcap.PMUDPCT_MAGIC_NANO)
_LITTLE_MAGICS = (pcap.PMUDPCT_MAGIC, pcap.PMUDPCT_MAGIC_NANO, pcap.PACPDOM_MAGIC)
_MOST_BLOCK = 1 << 24
"""Bytes of a pcapng block: beyond, a length is taken for damage."""
_PACKET_BLOCKS = (pcapng.PCAPNG_BT_EPB, pcapng.PCAPNG_BT_PB, pcapng.PCAPNG_BT_SPB)
_LINKTYPES = {
    value: name.removeprefix("DLT_").replace("_", " ")
    for name, value in vars(pcap).items()
    if name.startswith("DLT_")
}


@dataclass(frozen=True, slots=True)
class Record:
    """One frame of a file: its number there, counted from 1, when it was seen, and its bytes."""

    number: int
    nanoseconds: int
    """Since 1970."""
    data: bytes


@dataclass(frozen=True, slots=True)
class PcapFormat:
    """What a pcap file says before its first record, so that another can be written like it."""

    nano: bool = False
    snaplen: int = SNAPLEN


class PcapReader:
    """Reads one record at a time; a context manager. Raises BadInputError, which names file and record."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` and read its header."""
        self.path = path
        self.format = PcapFormat()
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None
        self._number = 0
        try:
            with self._understood():
                self._records = self._open()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "PcapReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Record]:
        with self._understood():
            yield from self._records

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn what dpkt and the system complain about into one line with the place."""
        try:
            yield
        except OSError as error:
            raise BadInputError(f"{self.path}: cannot be read: {error.strerror}") from None
        except (dpkt.Error, struct.error, ValueError) as error:
            said = " ".join(str(error).split()) or "it ends too soon"
            raise self._refused(f"cannot be understood: {said}") from None

    def _refused(self, what: str) -> BadInputError:
        place = f"record {self._number}: " if self._number else ""
        return BadInputError(f"{self.path}: {place}{what}")

    def _open(self) -> Iterator[Record]:
        head = self._file.read(24)
        if not head:
            raise self._refused("the file is empty")
        magic = int.from_bytes(head[:4], "big")
        if magic == pcapng.PCAPNG_BT_SHB:
            self._file.seek(0)
            return self._blocks()
        if magic not in pcap.MAGIC_TO_PKT_HDR:
            raise self._refused("neither a pcap nor a pcapng file")
        if len(head) < 24:
            raise self._refused(f"the file ends within its header, after {len(head)} of 24 bytes")
        header = (pcap.LEFileHdr if magic in _LITTLE_MAGICS else pcap.FileHdr)(head)
        # The upper bits of the field tell of frame check sequences, not of the link.
        self._link(header.linktype & 0xFFFF, header.linktype >> 16 & 0xF000)
        self.format = PcapFormat(magic in _NANO_MAGICS, header.snaplen)
        return self._packets(pcap.MAGIC_TO_PKT_HDR[magic], 1 if self.format.nano else 1000)

    def _link(self, linktype: int, check_sequence: int = 0) -> None:
        if linktype != ETHERNET:
            name = _LINKTYPES.get(linktype, "unknown here")
            raise self._refused(f"link type {linktype} ({name}); only Ethernet (1) can be sent")
        if check_sequence:
            raise self._refused("its frames end in frame check sequences, which no driver sends")

    def _packets(self, kind: Any, unit: int) -> Iterator[Record]:
        size = kind.__hdr_len__
        while head := self._file.read(size):
            self._number += 1
            if len(head) < size:
                raise self._refused(f"the file ends within its header, after {len(head)} of {size} bytes")
            header = kind(head)
            data = self._data(header.caplen, header.len)
            yield Record(self._number, header.tv_sec * NANOSECONDS + header.tv_usec * unit, data)

    def _data(self, captured: int, length: int) -> bytes:
        """The bytes of a record that come next in the file."""
        self._whole(captured, length)
        data = self._file.read(captured)
        if len(data) < captured:
            raise self._refused(f"the file ends within it, after {len(data)} of {captured} bytes")
        return data

    def _whole(self, captured: int, length: int) -> None:
        """Refuse a record that is not a whole frame that can be sent."""
        if max(captured, length) > LONGEST:
            raise self._refused(
                f"{max(captured, length)} bytes; the longest frame there is has {LONGEST}, "
                "64 KiB behind its header"
            )
        if captured < length:
            raise self._refused(f"only {captured} of the frame's {length} bytes were captured")
        if captured > length:
            raise self._refused(f"{captured} bytes were captured of a frame of {length}")
        if not length:
            raise self._refused("a frame of no bytes cannot be sent")
        if length < LEAST:
            raise self._refused(f"{length} bytes are fewer than an Ethernet header has ({LEAST})")

    # -- pcapng -----------------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[Record]:
        order = "<"
        interfaces: list[tuple[int, int, Any]] = []
        while head := self._file.read(8):
            if len(head) == 8 and head[:4] == b"\x0a\x0d\x0d\x0a":
                order, interfaces = self._byte_order(), []
            kind, size = struct.unpack(order + "II", head) if len(head) == 8 else (0, 8)
            self._number += kind in _PACKET_BLOCKS
            if size % 4 or not 12 <= size <= _MOST_BLOCK:
                raise self._refused(f"a block of {size} bytes, which none has")
            block = head + self._file.read(size - 8)
            if len(head) < 8 or len(block) < size:
                raise self._refused(f"the file ends within a block, after {len(block)} of {size} bytes")
            if block[-4:] != block[4:8]:
                raise self._refused("a block says another length at its end than at its start")
            little = order == "<"
            match kind:
                case pcapng.PCAPNG_BT_SHB:
                    section = (pcapng.SectionHeaderBlockLE if little else pcapng.SectionHeaderBlock)(block)
                    if section.v_major != 1:
                        raise self._refused(f"version {section.v_major}.{section.v_minor} of pcapng")
                case pcapng.PCAPNG_BT_IDB:
                    interface = (
                        pcapng.InterfaceDescriptionBlockLE if little else pcapng.InterfaceDescriptionBlock
                    )(block)
                    interfaces.append((interface.linktype, interface.snaplen, _clock(interface, order)))
                case pcapng.PCAPNG_BT_SPB:
                    yield self._simple(block, order, interfaces)
                case pcapng.PCAPNG_BT_EPB:
                    packet = pcapng.EnhancedPacketBlockLE if little else pcapng.EnhancedPacketBlock
                    yield self._packet(packet(block), interfaces)
                case pcapng.PCAPNG_BT_PB:
                    packet = pcapng.PacketBlockLE if little else pcapng.PacketBlock
                    yield self._packet(packet(block), interfaces)

    def _byte_order(self) -> str:
        mark = self._file.read(4)
        self._file.seek(-len(mark), 1)
        if mark == b"\x4d\x3c\x2b\x1a":
            return "<"
        if mark == b"\x1a\x2b\x3c\x4d":
            return ">"
        raise self._refused("a section whose byte order cannot be told")

    def _interface(self, number: int, interfaces: list[tuple[int, int, Any]]) -> tuple[int, Any]:
        """The snap length and the clock of the interface a packet came from."""
        if number >= len(interfaces):
            raise self._refused(f"it names interface {number} of {len(interfaces)}")
        linktype, snaplen, clock = interfaces[number]
        self._link(linktype)
        return snaplen, clock

    def _packet(self, block: Any, interfaces: list[tuple[int, int, Any]]) -> Record:
        _, clock = self._interface(block.iface_id, interfaces)
        self._whole(block.caplen, block.pkt_len)
        if len(block.pkt_data) < block.caplen or block.len < block.__hdr_len__ + block.caplen:
            raise self._refused(f"a block of {block.len} bytes cannot hold {block.caplen} captured ones")
        return Record(self._number, clock(block.ts_high << 32 | block.ts_low), block.pkt_data)

    def _simple(self, block: bytes, order: str, interfaces: list[tuple[int, int, Any]]) -> Record:
        """A block that dpkt has no type for: the length on the wire, then the bytes of interface 0."""
        if len(block) < 16:
            raise self._refused(f"a block of {len(block)} bytes cannot hold a packet")
        (length,) = struct.unpack_from(order + "I", block, 8)
        snaplen, _ = self._interface(0, interfaces)
        captured = min(length, snaplen) if snaplen else length
        self._whole(captured, length)
        if 16 + captured > len(block):
            raise self._refused(f"a block of {len(block)} bytes cannot hold {captured} captured ones")
        return Record(self._number, 0, block[12 : 12 + captured])


def _clock(interface: Any, order: str) -> Any:
    """How the ticks of an interface become nanoseconds since 1970."""
    base, power, offset = 10, 6, 0
    for option in interface.opts:
        if option.code == pcapng.PCAPNG_OPT_IF_TSRESOL and len(option.data) == 1:
            base, power = (2 if option.data[0] & 0x80 else 10), option.data[0] & 0x7F
        elif option.code == pcapng.PCAPNG_OPT_IF_TSOFFSET and len(option.data) == 8:
            (offset,) = struct.unpack(order + "q", option.data)
    second: int = base**power

    def nanoseconds(ticks: int) -> int:
        return int(offset) * NANOSECONDS + ticks * NANOSECONDS // second

    return nanoseconds


class PcapWriter:
    """Writes frames into a pcap file, link type Ethernet; a context manager. Raises BadInputError.

    The file appears whole when the context ends, and not at all when it ends with an error.
    """

    def __init__(self, path: Path, form: PcapFormat | None = None) -> None:
        """Begin what becomes ``path``; ``form`` is that of a file it is to be like."""
        form = form or PcapFormat()
        self.path = path
        self._scratch: Path | None = None
        with self._written():
            if path.exists() and not path.is_file():
                self._file: BinaryIO = path.open("wb")
            else:
                handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
                self._scratch, self._file = Path(name), os.fdopen(handle, "wb")
            self._writer = pcap.Writer(self._file, form.snaplen or SNAPLEN, ETHERNET, form.nano)
        self._tick = 1 if form.nano else 1000

    def __enter__(self) -> "PcapWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._written():
                self._file.close()
                if self._scratch is not None and kind is None:
                    self._scratch.chmod(0o644)
                    self._scratch.replace(self.path)
                    self._scratch = None
        finally:
            if self._scratch is not None:
                self._scratch.unlink(missing_ok=True)

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BadInputError(f"{self.path}: cannot be written: {error.strerror}") from None

    def write(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Append frames, each with its time in nanoseconds since 1970."""
        with self._written():
            self._writer.writepkts((self._stamp(nanoseconds), data) for nanoseconds, data in frames)

    def _stamp(self, nanoseconds: int) -> Decimal:
        """Seconds as the file can hold them: 32 bits, and no rounding; a float would not be exact."""
        whole = nanoseconds % (NANOSECONDS << 32)
        return Decimal(whole - whole % self._tick).scaleb(-9)
