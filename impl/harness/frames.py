"""Frames as the network stack hands them to a driver, and where they lie in memory.

A frame is a ``struct sk_buff``: a linear part, page fragments, and a list of further packets whose data
follows; beside it what the stack wants the device to do: the checksum, and segmentation (GSO). The same
frames, laid out by :class:`FrameMemory` at the same guest-physical addresses, go to every driver compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

FRAME_ADDRESS = 0x0000_00C3_0000_0000
"""Guest-physical address of the window in which frames lie."""
FRAME_BYTES = 64 << 20
PAGE = 4096
CONTROL_BYTES = 48
"""Of each frame: room for its driver, such as ``cb`` of Linux' sk_buff; the device can read it."""
LONGEST = 65536 + 14
"""Bytes of the longest frame: 64 KiB behind an Ethernet header."""
MOST_PIECES = 4096
DEEPEST = 64
"""Levels of lists below a frame: what walks a packet recurses into them."""
POISON_BYTE = 0xA5
"""What a control block holds before its driver writes to it."""
MARGIN_BYTE = 0xBD
"""What lies around the pieces."""


class Gso(IntEnum):
    """What kind of segments the device is to make of a frame; the numbers are those of the driver ABI."""

    NONE = 0
    TCPV4 = 1
    TCPV6 = 2
    UDP = 3
    UNKNOWN = 4
    """A kind that no virtio header can express, such as FCoE."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Data in a page of its own, from byte ``offset`` of the page on. May be empty."""

    offset: int
    data: bytes

    def __post_init__(self) -> None:
        if not (0 <= self.offset <= PAGE and self.offset + len(self.data) <= PAGE):
            raise ValueError(
                f"a fragment of {len(self.data)} bytes at offset {self.offset} ends past its page of {PAGE}"
            )


@dataclass(frozen=True)
class Packet:
    """The data of a frame, or of a packet in its list: head, then fragments, then the packets of the list.

    Raises ValueError for lists nested more than DEEPEST deep.
    """

    head: bytes
    fragments: tuple[Fragment, ...] = ()
    packets: tuple["Packet", ...] = ()

    def __post_init__(self) -> None:
        if self.depth > DEEPEST:
            raise ValueError(f"packets nested more than {DEEPEST} deep")

    @cached_property
    def depth(self) -> int:
        """How deep lists are nested below it; 0 for a packet without a list."""
        return 1 + max(packet.depth for packet in self.packets) if self.packets else 0

    @cached_property
    def data(self) -> bytes:
        """All bytes, in order."""
        parts = [self.head, *(fragment.data for fragment in self.fragments)]
        return b"".join([*parts, *(packet.data for packet in self.packets)])

    @property
    def pieces(self) -> int:
        """How many pieces there are, empty ones and those of the list included."""
        return 1 + len(self.fragments) + sum(packet.pieces for packet in self.packets)


@dataclass(frozen=True)
class Frame:
    """A frame to transmit.

    With ``checksum`` the device is to sum from ``csum_start`` (bytes from the frame's first) to the end and
    store at ``csum_start + csum_offset``. ``gso_size`` is the payload of a segment in bytes, ``ecn`` says
    that a TCP segment carries CWR. ``recorded_queue`` is the receive queue the frame came from, if any, and
    ``cpu`` the processor that sends it. Raises ValueError, one line, for what no frame can be.
    """

    packet: Packet
    checksum: bool = False
    csum_start: int = 0
    csum_offset: int = 0
    gso: Gso = Gso.NONE
    gso_size: int = 0
    ecn: bool = False
    recorded_queue: int | None = None
    cpu: int = 0

    def __post_init__(self) -> None:
        length = len(self.packet.data)
        if not length:
            raise ValueError("a frame of no bytes cannot be sent")
        if length > LONGEST:
            raise ValueError(f"a frame of {length} bytes is longer than {LONGEST}, 64 KiB behind its header")
        if self.packet.pieces > MOST_PIECES:
            raise ValueError(f"a frame of {self.packet.pieces} pieces: more than {MOST_PIECES}")
        for name in ("csum_start", "csum_offset", "gso_size", "cpu"):
            if not 0 <= getattr(self, name) <= 0xFFFF:
                raise ValueError(f"{name} {getattr(self, name)} is not from 0 to 65535")
        if self.recorded_queue is not None and not 0 <= self.recorded_queue <= 0xFFFF:
            raise ValueError(f"recorded_queue {self.recorded_queue} is not from 0 to 65535")
        if self.checksum and self.csum_start + self.csum_offset + 2 > length:
            end = self.csum_start + self.csum_offset + 2
            raise ValueError(f"the checksum ends at byte {end} of a frame of {length} bytes")

    @property
    def data(self) -> bytes:
        """All bytes, in order."""
        return self.packet.data


@dataclass(frozen=True, slots=True)
class PlacedFragment:
    """A fragment in memory: its page's guest-physical address, and offset and length in bytes there."""

    page: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PlacedPacket:
    """A packet in memory. ``length`` is of all its data; ``head_length`` of the linear part alone."""

    head: int
    head_length: int
    length: int
    fragments: tuple[PlacedFragment, ...]
    packets: tuple["PlacedPacket", ...]


@dataclass(frozen=True, slots=True)
class PlacedFrame:
    """A frame in memory: ``control`` is the guest-physical address of its CONTROL_BYTES."""

    frame: Frame
    control: int
    packet: PlacedPacket


class OutOfRoom(Exception):  # noqa: N818 - says how many frames found room, which is no error
    """The window is full: only the first ``placed`` frames fit."""

    def __init__(self, placed: int) -> None:
        super().__init__(f"only {placed} frames fit into {FRAME_BYTES} bytes")
        self.placed = placed


class FrameMemory:
    """Lays frames out in a window of memory, always in the same way.

    In order: a control block at a multiple of 64, poisoned; the head at a multiple of 64; each fragment in a
    page of its own; then the packets of the list by the same rule. What lies between holds MARGIN_BYTE.
    """

    def __init__(self, memory: memoryview, address: int = FRAME_ADDRESS) -> None:
        """``memory`` is the window, writable; its first byte has guest-physical ``address``."""
        self.memory = memory
        self.address = address
        self._at = 0

    @property
    def used(self) -> int:
        """Bytes of the window that hold frames or margins."""
        return self._at

    def place(self, frames: Sequence[Frame]) -> list[PlacedFrame]:
        """Lay frames out from the window's start, forgetting what it held. Raises OutOfRoom."""
        self._at = 0
        placed: list[PlacedFrame] = []
        for frame in frames:
            try:
                control = self._store(bytes([POISON_BYTE]) * CONTROL_BYTES)
                placed.append(PlacedFrame(frame, control, self._packet(frame.packet)))
            except IndexError:
                raise OutOfRoom(len(placed)) from None
        return placed

    def _packet(self, packet: Packet) -> PlacedPacket:
        head = self._store(packet.head)
        fragments = tuple(self._fragment(fragment) for fragment in packet.fragments)
        packets = tuple(self._packet(following) for following in packet.packets)
        length = len(packet.head) + sum(fragment.length for fragment in fragments)
        return PlacedPacket(
            head, len(packet.head), length + sum(each.length for each in packets), fragments, packets
        )

    def _fragment(self, fragment: Fragment) -> PlacedFragment:
        start = -(-self._at // PAGE) * PAGE
        self._fill(start + PAGE)
        begin = start + fragment.offset
        self.memory[begin : begin + len(fragment.data)] = fragment.data
        return PlacedFragment(self.address + start, fragment.offset, len(fragment.data))

    def _store(self, data: bytes) -> int:
        start = -(-self._at // 64) * 64
        self._fill(start + len(data) + 16)
        self.memory[start : start + len(data)] = data
        return self.address + start

    def _fill(self, end: int) -> None:
        if end > len(self.memory):
            raise IndexError
        self.memory[self._at : end] = bytes([MARGIN_BYTE]) * (end - self._at)
        self._at = end


def pieces(packet: PlacedPacket) -> Iterator[tuple[int, int]]:
    """Yield address and length of each piece that holds any bytes, in order: what a device must be given."""
    if packet.head_length:
        yield packet.head, packet.head_length
    for fragment in packet.fragments:
        if fragment.length:
            yield fragment.page + fragment.offset, fragment.length
    for following in packet.packets:
        yield from pieces(following)
