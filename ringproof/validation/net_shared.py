"""The memory a worker for whole network drivers shares with the tool: the mirror of ``net_protocol.h``."""

import ctypes
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ..impl.harness.frames import FRAME_BYTES, PlacedFrame, PlacedPacket
from ..impl.harness.net_operations import MOST_PAIRS, Access, Event, NetConfig
from ..impl.harness.operations import ARENA_BYTES, OP
from .shared import FINDING_COUNT, PAGE, Found, SharedFile, round_up

MAGIC = 0x4E50_4D45
VERSION = 1
OP_CAPACITY = 4096
"""Operations per command."""
ACCESS_CAPACITY = 131072
EVENT_CAPACITY = 1 << 21
FRAME_CAPACITY = 1 << 19
PACKET_CAPACITY = 1 << 20
FRAGMENT_CAPACITY = 1 << 14
MOST_QUEUES = 2 * MOST_PAIRS + 1
NO_QUEUE = 0xFFFF_FFFF
NO_HEAD = 0xFFFF_FFFF

RESULT = struct.Struct("<iIHHHHIIII")
"""Status, pair, avail_idx, used_idx, avail_flags, used_event, num_free, accesses, events, head."""
ACCESS = struct.Struct("<IIBBBB")
"""Value, offset, write, region, width."""
EVENT = struct.Struct("<IIQ")
"""Kind, nothing, value."""
FRAME = struct.Struct("<QIIIIHHHHBBBBI")
PACKET = struct.Struct("<QIIIIII")
FRAGMENT = struct.Struct("<QII")

_TRANSPORTS = {"legacy": 0, "modern": 1}


class Queue(ctypes.LittleEndianStructure):
    """``struct rp_net_queue``."""

    _fields_ = [
        ("addresses", ctypes.c_uint64 * 3),
        ("parts", ctypes.c_uint64 * 3),
        ("page_frame", ctypes.c_uint32),
        ("size", ctypes.c_uint16),
        ("enabled", ctypes.c_uint16),
        ("placed", ctypes.c_uint16),
        ("placed_size", ctypes.c_uint16),
        ("reserved", ctypes.c_uint32),
    ]


class RegisterBlock(ctypes.LittleEndianStructure):
    """``struct rp_net_registers``."""

    _fields_ = [
        ("driver_features", ctypes.c_uint64),
        ("device_feature_select", ctypes.c_uint32),
        ("driver_feature_select", ctypes.c_uint32),
        ("epoch", ctypes.c_uint32),
        ("reads_before", ctypes.c_uint32),
        ("queue_select", ctypes.c_uint16),
        ("status", ctypes.c_uint8),
        ("status_before", ctypes.c_uint8),
        ("isr", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
        ("control_avail", ctypes.c_uint16),
        ("control_used", ctypes.c_uint16),
        ("control_pairs", ctypes.c_uint16),
        ("more", ctypes.c_uint8 * 4),
        ("queues", Queue * MOST_QUEUES),
    ]


class StatisticsBlock(ctypes.LittleEndianStructure):
    """``struct rp_net_statistics`` of the driver ABI."""

    _fields_ = [
        ("tx_packets", ctypes.c_uint64),
        ("tx_bytes", ctypes.c_uint64),
        ("tx_fifo_errors", ctypes.c_uint64),
        ("tx_dropped", ctypes.c_uint64),
        ("num_free", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class ConfigBlock(ctypes.LittleEndianStructure):
    """``struct rp_net_config``."""

    _fields_ = [
        ("offered", ctypes.c_uint64),
        ("understood", ctypes.c_uint64),
        ("transport", ctypes.c_uint32),
        ("queue_size", ctypes.c_uint32),
        ("pairs", ctypes.c_uint32),
        ("reset_reads", ctypes.c_uint32),
        ("missing_queue", ctypes.c_uint32),
        ("refuses_features", ctypes.c_uint16),
        ("stop_on_finding", ctypes.c_uint16),
        ("mac", ctypes.c_uint8 * 6),
        ("fenced", ctypes.c_uint8),
        ("early_interrupt", ctypes.c_uint8),
        ("told_pairs", ctypes.c_uint16),
        ("mtu", ctypes.c_uint16),
        ("lies_on_pairs", ctypes.c_uint16),
        ("reserved", ctypes.c_uint16),
    ]


class NetHeader(ctypes.LittleEndianStructure):
    """``struct rp_net_shared``."""

    _fields_ = [
        ("magic", ctypes.c_uint32),
        ("version", ctypes.c_uint32),
        ("op_offset", ctypes.c_uint64),
        ("result_offset", ctypes.c_uint64),
        ("access_offset", ctypes.c_uint64),
        ("event_offset", ctypes.c_uint64),
        ("frame_offset", ctypes.c_uint64),
        ("packet_offset", ctypes.c_uint64),
        ("fragment_offset", ctypes.c_uint64),
        ("owner_offset", ctypes.c_uint64),
        ("arena_offset", ctypes.c_uint64),
        ("window_offset", ctypes.c_uint64),
        ("op_count", ctypes.c_uint32),
        ("op_current", ctypes.c_uint32),
        ("command", ctypes.c_uint32),
        ("access_count", ctypes.c_uint32),
        ("event_count", ctypes.c_uint32),
        ("frame_count", ctypes.c_uint32),
        ("window_used", ctypes.c_uint64),
        ("total_ops", ctypes.c_uint64),
        ("config", ConfigBlock),
        ("driver_features", ctypes.c_uint64),
        ("driver_traits", ctypes.c_uint32),
        ("driver_transports", ctypes.c_uint32),
        ("driver_name", ctypes.c_char * 64),
        ("probed", ctypes.c_uint32),
        ("pairs", ctypes.c_uint32),
        ("in_use", ctypes.c_uint32),
        ("in_flight", ctypes.c_uint32),
        ("lost", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("arena_used", ctypes.c_uint64),
        ("fault_address", ctypes.c_uint64),
        ("message", ctypes.c_char * 256),
        ("registers", RegisterBlock),
        ("statistics", StatisticsBlock * MOST_PAIRS),
        ("found", Found * FINDING_COUNT),
    ]


_PARTS = (
    ("op_offset", OP_CAPACITY * OP.size),
    ("result_offset", OP_CAPACITY * RESULT.size),
    ("access_offset", ACCESS_CAPACITY * ACCESS.size),
    ("event_offset", EVENT_CAPACITY * EVENT.size),
    ("frame_offset", FRAME_CAPACITY * FRAME.size),
    ("packet_offset", PACKET_CAPACITY * PACKET.size),
    ("fragment_offset", FRAGMENT_CAPACITY * FRAGMENT.size),
    ("owner_offset", FRAME_CAPACITY * 4),
    ("arena_offset", ARENA_BYTES),
    ("window_offset", FRAME_BYTES),
)


@dataclass(frozen=True, slots=True)
class Lies:
    """How a device breaks the rules, beside what its configuration can say; the driver's memory is fenced.

    ``early_interrupt`` are bits of ISR set after each reset; ``pairs`` is told as max_virtqueue_pairs, None
    for the truth, and ``mtu`` where MTU is offered; 16 bits each.
    """

    early_interrupt: int = 0
    pairs: int | None = None
    mtu: int = 0


class NetSharedMemory(SharedFile[NetHeader]):
    """The file of a worker that runs a network driver. Its parts cost nothing until they are used."""

    def __init__(self) -> None:
        at = round_up(ctypes.sizeof(NetHeader), PAGE)
        self._offsets: dict[str, int] = {}
        for name, size in _PARTS:
            self._offsets[name] = at
            at = round_up(at + size, PAGE)
        super().__init__(NetHeader, at)

    def reset(self) -> None:
        """Prepare header and window for a worker that is about to be started: it finds the window empty."""
        self._memory.madvise(mmap.MADV_REMOVE, self._offsets["window_offset"], FRAME_BYTES)
        header = self.header
        ctypes.memset(ctypes.addressof(header), 0, ctypes.sizeof(header))
        header.magic, header.version = MAGIC, VERSION
        for name, offset in self._offsets.items():
            setattr(header, name, offset)
        header.command = ord("L")

    def describe(self, config: NetConfig, stop_on_finding: bool, lies: Lies | None = None) -> None:
        """Say which device to be, and which of its lies it tells."""
        block = self.header.config
        block.offered, block.understood = config.offered, config.understood
        block.transport = _TRANSPORTS[config.transport]
        block.queue_size, block.pairs = config.queue_size, config.pairs
        block.reset_reads = min(config.reset_reads, 0xFFFF_FFFF)
        missing = config.missing_queue
        block.missing_queue = missing if missing is not None and 0 <= missing < MOST_QUEUES else NO_QUEUE
        block.refuses_features = int(config.refuses_features)
        block.stop_on_finding = int(stop_on_finding)
        block.mac[:] = list(config.mac)
        block.fenced = int(lies is not None)
        lies = lies or Lies()
        block.early_interrupt, block.mtu = lies.early_interrupt, lies.mtu
        block.lies_on_pairs, block.told_pairs = int(lies.pairs is not None), lies.pairs or 0

    def put_operations(self, ops: bytes) -> None:
        """Place packed operations, OP_CAPACITY at most, for the next RUN."""
        self.store("op_offset", ops)
        header = self.header
        header.op_count = len(ops) // OP.size
        header.op_current = header.access_count = header.event_count = 0

    def put_frames(self, placed: Sequence[PlacedFrame], window_used: int) -> None:
        """Write the table of frames that lie in the window's first ``window_used`` bytes."""
        for part, packed in zip(
            ("frame_offset", "packet_offset", "fragment_offset"), pack_frames(placed), strict=True
        ):
            self.store(part, packed)
        self.header.frame_count = len(placed)
        self.header.window_used = window_used

    def store(self, part: str, content: bytes) -> None:
        """Write to the begin of a part, named by its offset in the header."""
        begin = self._offsets[part]
        self._memory[begin : begin + len(content)] = content

    def part(self, name: str, length: int) -> memoryview:
        """Show the begin of a part."""
        return self.view(self._offsets[name], length)

    def results(self) -> bytes:
        """Copy the packed results of the operations before op_current."""
        count = min(self.header.op_current, OP_CAPACITY)  # a stray write can reach it
        return bytes(self.part("result_offset", count * RESULT.size))

    def result(self, number: int) -> bytes:
        """Copy the packed result of an operation of this RUN, as far as it is known."""
        return bytes(self.part("result_offset", (number + 1) * RESULT.size)[-RESULT.size :])

    def accesses(self) -> list[Access]:
        """Copy the log of accesses since the last RUN began."""
        count = min(self.header.access_count, ACCESS_CAPACITY)
        return [
            Access(bool(write), region, offset, width, value)
            for value, offset, write, region, width, _ in ACCESS.iter_unpack(
                self.part("access_offset", count * ACCESS.size)
            )
        ]

    def events(self) -> list[Event]:
        """Copy the log of what the driver told the stack since the last RUN began."""
        count = min(self.header.event_count, EVENT_CAPACITY)
        return [
            Event(kind, value)
            for kind, _, value in EVENT.iter_unpack(self.part("event_offset", count * EVENT.size))
        ]


def pack_frames(placed: Sequence[PlacedFrame]) -> tuple[bytes, bytes, bytes]:
    """Return frames, packets and fragments as the three arrays of the table."""
    frames, packets, fragments = bytearray(), bytearray(), bytearray()
    packet_count = fragment_count = 0
    for each in placed:
        frame = each.frame
        own: list[list[int]] = []
        parts: list[bytes] = []
        _add(each.packet, own, parts)
        queue = frame.recorded_queue
        frames += FRAME.pack(
            each.control,
            packet_count,
            len(own),
            fragment_count,
            len(parts),
            frame.csum_start,
            frame.csum_offset,
            frame.gso_size,
            queue or 0,
            frame.checksum,
            frame.gso,
            frame.ecn,
            queue is not None,
            frame.cpu,
        )
        for entry in own:
            packets += PACKET.pack(*entry)
        fragments += b"".join(parts)
        packet_count += len(own)
        fragment_count += len(parts)
    return bytes(frames), bytes(packets), bytes(fragments)


def _add(packet: PlacedPacket, own: list[list[int]], parts: list[bytes]) -> int:
    """Add a packet and what its list holds; its number within the frame, counted from 1."""
    entry = [packet.head, packet.head_length, packet.length, len(parts), len(packet.fragments), 0, 0]
    own.append(entry)
    number = len(own)
    parts += [FRAGMENT.pack(each.page, each.offset, each.length) for each in packet.fragments]
    before: list[int] | None = None
    for following in packet.packets:
        here = _add(following, own, parts)
        if before is None:
            entry[5] = here
        else:
            before[6] = here
        before = own[here - 1]
    return number
