"""A small machine for the reference's network driver: memory, registers with a readable log, stack, device.

Written for these tests, from VIRTIO 1.3 and apart from the device the suite itself has.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from ringproof.impl import reference

WINDOW_ADDRESS = 0xC3_0000_0000
WINDOW_BYTES = 2 << 20
POISON = 0xA5

CSUM, MAC, TSO4, TSO6, ECN, UFO = 1 << 0, 1 << 5, 1 << 11, 1 << 12, 1 << 13, 1 << 14
MRG_RXBUF, STATUS, CTRL_VQ, MQ = 1 << 15, 1 << 16, 1 << 17, 1 << 22
INDIRECT, EVENT_IDX, VERSION_1 = 1 << 28, 1 << 29, 1 << 32
ALL = (
    CSUM | MAC | TSO4 | TSO6 | ECN | UFO | MRG_RXBUF | STATUS | CTRL_VQ | MQ
    | INDIRECT | EVENT_IDX | VERSION_1
)  # fmt: skip
IO, COMMON, NOTIFY, ISR, DEVICE = range(5)

LEGACY_NAMES = {
    0: "device_features", 4: "driver_features", 8: "page_frame", 12: "size", 14: "select", 16: "notify",
    18: "status", 19: "isr",
}  # fmt: skip
COMMON_NAMES = {
    0: "device_feature_select", 4: "device_feature", 8: "driver_feature_select", 12: "driver_feature",
    20: "status", 21: "generation", 22: "select", 24: "size", 28: "enable", 30: "notify_off",
    32: "desc_lo", 36: "desc_hi", 40: "driver_lo", 44: "driver_hi", 48: "device_lo", 52: "device_hi",
}  # fmt: skip
WIDTHS = {
    "device_features": 4, "driver_features": 4, "page_frame": 4, "size": 2, "select": 2, "notify": 2,
    "isr": 1, "status": 1, "device_feature_select": 4, "device_feature": 4, "driver_feature_select": 4,
    "driver_feature": 4, "generation": 1, "enable": 2, "notify_off": 2, "desc_lo": 4, "desc_hi": 4,
    "driver_lo": 4, "driver_hi": 4, "device_lo": 4, "device_hi": 4,
}  # fmt: skip


class Chain(NamedTuple):
    """What the device finds behind a head: segments (address, length, flags) and all their bytes."""

    head: int
    segments: list[tuple[int, int, int]]
    data: bytes


class Machine:
    """A machine with one network device, not probed yet.

    ``log`` has one line per access: R or W, the register's name, the value in hexadecimal; registers without
    a name are config+OFFSET/WIDTH and notify+OFFSET. ``events`` are what the stack was told. ``sizes``
    overrides ``queue_size`` per queue; ``occupied`` are queues somebody has set up already; ``changes`` is
    how often the configuration changes while it is read. ``answers`` are what the control queue
    acknowledges, one for each command; without one left it stays silent.
    """

    def __init__(
        self,
        transport: str = "legacy",
        profile: str = "virtio-1.x",
        *,
        package: ModuleType = reference,
        queue_size: int = 32,
        offered: int = 0,
        understood: int = ALL,
        pairs: int = 1,
        sizes: Mapping[int, int] | None = None,
        occupied: Iterable[int] = (),
        reset_reads: int = 0,
        refuses_features: bool = False,
        changes: int = 0,
        answers: Sequence[int] = (),
    ) -> None:
        self.package: Any = package
        self.transport = transport
        self.profile = package.PROFILES[profile]
        self.offered = offered | (VERSION_1 if transport == "modern" else 0)
        self.understood = understood
        self.queue_size = queue_size
        self.sizes = dict(sizes or {})
        self.occupied = set(occupied)
        self.reset_reads = reset_reads
        self.refuses_features = refuses_features
        self.changes = changes
        self.answers = list(answers)
        self.configuration = b"\x52\x54\x00\x12\x34\x56" + struct.pack("<HH", 1, pairs)

        self.arena = package.Arena()
        self.window = bytearray([POISON]) * WINDOW_BYTES
        self.log: list[str] = []
        self.events: list[tuple[str, int]] = []
        self.status = self.isr = self.accepted = self.select = self.half = self.driver_half = 0
        self.places: dict[int, dict[str, int]] = {}
        self.read_idx: dict[int, int] = {}
        self.used_idx: dict[int, int] = {}
        self._status_before = self._late = self._generation = 0
        self._at = 0
        self._token = 0
        self.info: Any = None

    def probe(self) -> Any:
        """Run the driver's probe; returns and keeps the device it finds."""
        wants = {"transport": self.transport, "profile": self.profile, "features": self.understood}
        self.info = self.package.virtnet_probe(self, self.arena, self, self, **wants)
        return self.info

    def probe_error(self) -> int:
        """Run the driver's probe, which must fail; returns its number."""
        try:
            self.probe()
        except self.package.ProbeError as error:
            return int(error.errno)
        raise AssertionError("the probe did not fail")

    # -- memory and stack ---------------------------------------------------------------------------

    def view(self, address: int, size: int) -> memoryview:
        """Return memory of the window of frames, or of the arena."""
        offset = address - WINDOW_ADDRESS
        if offset >= 0 and offset + size <= WINDOW_BYTES:
            return memoryview(self.window)[offset : offset + size]
        view: memoryview = self.arena.view(address, size)
        return view

    def freed(self, token: int) -> None:
        """Note it."""
        self.events.append(("freed", token))

    def orphaned(self, token: int) -> None:
        """Note it."""
        self.events.append(("orphaned", token))

    def stop_queue(self, queue: int) -> None:
        """Note it."""
        self.events.append(("stopped", queue))

    def start_queue(self, queue: int) -> None:
        """Note it."""
        self.events.append(("started", queue))

    def wake_queue(self, queue: int) -> None:
        """Note it."""
        self.events.append(("woken", queue))

    def skb(
        self,
        head: bytes = b"",
        frags: Sequence[tuple[int, bytes]] = (),
        frag_list: Sequence[Any] = (),
        **wants: Any,
    ) -> Any:
        """Lay a frame out in the window; ``frags`` are offset in the page and bytes. Tokens count from 1."""
        control = self._place(64, 64)
        address = self._place(64, len(head))
        self.view(address, len(head))[:] = head
        placed = []
        for offset, data in frags:
            page = self._place(4096, 4096)
            self.view(page + offset, len(data))[:] = data
            placed.append(self.package.Frag(page, offset, len(data)))
        self._token += 1
        wants.setdefault("token", self._token)
        return self.package.SkBuff((address, len(head)), placed, frag_list, control, **wants)

    def _place(self, alignment: int, size: int) -> int:
        start = -(-self._at // alignment) * alignment
        self._at = start + size
        assert self._at <= WINDOW_BYTES
        return WINDOW_ADDRESS + start

    # -- registers ----------------------------------------------------------------------------------

    def read(self, region: int, offset: int, width: int) -> int:
        """Read a register as the driver does."""
        name = self._name(region, offset, width)
        value = self._read(name, region, offset, width)
        self.log.append(f"R {name} {value:x}")
        return value

    def _read(self, name: str, region: int, offset: int, width: int) -> int:
        if name.startswith("config+"):
            at = offset - (20 if region == IO else 0)
            return int.from_bytes(self.configuration[at : at + width], "little")
        if name == "generation":
            if self.changes:
                self.changes -= 1
                self._generation += 1
            return self._generation & 0xFF
        if name == "isr":
            isr, self.isr = self.isr, 0
            return isr
        if name == "status" and self._late:
            self._late -= 1
            return self._status_before
        place = self.places.get(self.select, {})
        if self.select in self.occupied:
            place = {"page_frame": 1, "enable": 1}
        return {
            "device_features": self.offered & 0xFFFF_FFFF,
            "device_feature": self.offered >> 32 * self.half & 0xFFFF_FFFF,
            "status": self.status,
            "size": self._size(),
            "page_frame": place.get("page_frame", 0),
            "enable": place.get("enable", 0),
            "notify_off": 3 * self.select + 1,
        }[name]

    def write(self, region: int, offset: int, width: int, value: int) -> None:
        """Write a register as the driver does."""
        name = self._name(region, offset, width)
        assert 0 <= value < 1 << 8 * width, f"{value:#x} does not fit {name}"
        self.log.append(f"W {name} {value:x}")
        if name == "status":
            if not value:
                self._late, self._status_before = self.reset_reads, self.status
                self.places.clear()
                self.accepted = self.isr = 0
            self.status = value & ~8 if self.refuses_features else value
        elif name == "select":
            self.select = value
        elif name == "device_feature_select":
            self.half = value
        elif name == "driver_feature_select":
            self.driver_half = value
        elif name == "driver_features":
            self.accepted = value
        elif name == "driver_feature":
            self.accepted |= value << 32 * self.driver_half
        elif name.startswith("notify"):
            self._notified(value)
        else:
            self.places.setdefault(self.select, {})[name] = value
            self.read_idx[self.select] = self.used_idx[self.select] = 0

    def _name(self, region: int, offset: int, width: int) -> str:
        if region == DEVICE or (region == IO and offset >= 20):
            return f"config+{offset - (20 if region == IO else 0)}/{width}"
        if region == NOTIFY:
            assert width == 2
            return f"notify+{offset}"
        name = {IO: LEGACY_NAMES, COMMON: COMMON_NAMES, ISR: {0: "isr"}}[region][offset]
        assert width == WIDTHS[name], f"{name} has another width than {width}"
        return name

    def _size(self) -> int:
        last = 2 * (max(1, self.configuration[8]) if self.accepted & MQ else 1)
        return self.sizes.get(self.select, self.queue_size) if self.select <= last else 0

    # -- the device ---------------------------------------------------------------------------------

    def parts(self, queue: int) -> tuple[int, int, int, int]:
        """Return where a queue's descriptors, available and used ring are, and its size."""
        place = self.places[queue]
        size = place.get("size", self.sizes.get(queue, self.queue_size))
        if self.transport == "modern":
            parts = ("desc", "driver", "device")
            desc, avail, used = (place[f"{part}_lo"] | place[f"{part}_hi"] << 32 for part in parts)
            return desc, avail, used, size
        desc = place["page_frame"] * 4096
        avail = desc + 16 * size
        return desc, avail, -(-(avail + 6 + 2 * size) // 4096) * 4096, size

    def words(self, queue: int) -> tuple[int, int, int]:
        """Return avail.flags, avail.idx and used_event."""
        _, avail, _, size = self.parts(queue)
        flags, idx = struct.unpack_from("<HH", self.view(avail, 4))
        (used_event,) = struct.unpack_from("<H", self.view(avail + 4 + 2 * size, 2))
        return flags, idx, used_event

    def take(self, queue: int = 1) -> list[Chain]:
        """Read every chain published since the last time."""
        desc, avail, _, size = self.parts(queue)
        idx = self.words(queue)[1]
        chains = []
        while self.read_idx[queue] != idx:
            slot = self.read_idx[queue] & (size - 1)
            (head,) = struct.unpack("<H", self.view(avail + 4 + 2 * slot, 2))
            chains.append(self._chain(desc, head, size))
            self.read_idx[queue] = self.read_idx[queue] + 1 & 0xFFFF
        return chains

    def _chain(self, table: int, head: int, size: int) -> Chain:
        segments: list[tuple[int, int, int]] = []
        i = head
        while len(segments) < size:
            address, length, flags, following = struct.unpack("<QIHH", self.view(table + 16 * i, 16))
            if flags & 4:
                return self._chain(address, 0, length // 16)._replace(head=head)
            segments.append((address, length, flags))
            if not flags & 1:
                break
            i = following
        parts = [bytes(self.view(*segment[:2])) for segment in segments if segment[1] and not segment[2] & 2]
        return Chain(head, segments, b"".join(parts))

    def use(self, queue: int, *heads: int) -> None:
        """Complete chains, and set the queue's bit of ISR."""
        _, _, used, size = self.parts(queue)
        for head in heads:
            slot = self.used_idx[queue] & (size - 1)
            struct.pack_into("<II", self.view(used + 4 + 8 * slot, 8), 0, head, 0)
            self.used_idx[queue] = self.used_idx[queue] + 1 & 0xFFFF
        struct.pack_into("<H", self.view(used + 2, 2), 0, self.used_idx[queue])
        self.isr |= 1

    def send_all(self, queue: int = 1) -> list[bytes]:
        """Read all there is on a queue and complete it; returns the chains' bytes."""
        chains = self.take(queue)
        self.use(queue, *(chain.head for chain in chains))
        return [chain.data for chain in chains]

    def _notified(self, queue: int) -> None:
        if queue % 2 or queue not in self.places or not self.answers:
            return
        for chain in self.take(queue):
            (ack,) = (address for address, _, flags in chain.segments if flags & 2)
            self.view(ack, 1)[0] = self.answers.pop(0)
            self.use(queue, chain.head)


def probed(transport: str = "legacy", profile: str = "virtio-1.x", **wants: Any) -> Machine:
    """Return a machine whose device is probed, with nothing in its log."""
    machine = Machine(transport, profile, **wants)
    machine.probe()
    machine.log.clear()
    return machine
