"""Recordings made by hand, byte by byte, from what impl/live/record.h says."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from ringproof.live.decoding import records_of
from ringproof.live.recording import Recording, RecordingWriter
from ringproof.live.records import Record

NEXT, WRITE, INDIRECT = 1, 2, 4
RX, TX = 0, 1
VERSION_1, EVENT_IDX, INDIRECT_DESC, IN_ORDER, ANY_LAYOUT = 1 << 32, 1 << 29, 1 << 28, 1 << 35, 1 << 27
CSUM, MTU, HOST_TSO4, HOST_TSO6, HOST_ECN, GUEST_HDRLEN = 1, 1 << 3, 1 << 11, 1 << 12, 1 << 13, 1 << 59

TABLE, AVAIL, USED = 0x1000, 0x2000, 0x3000
BUFFERS = 0x10000
MEMORY = (0x1000, 0x100000)
"""The one region of `begun`: its address and its bytes."""
PLAIN = bytes(12) + bytes(12) + b"\x12\x34" + bytes(50)
"""A header and a frame of a protocol that nobody knows."""


def descriptor(address: int, length: int, flags: int = 0, following: int = 0) -> bytes:
    """One entry of a table."""
    return struct.pack("<QIHH", address, length, flags, following)


def record(kind: int, payload: bytes = b"", queue: int = 0xFF, delta: int = 0, long: bool = False) -> bytes:
    """One record; ``long``: its length in 32 bits though 16 would do."""
    if long or len(payload) >= 0xFFFF:
        return struct.pack("<BBHII", kind, queue, 0xFFFF, len(payload), delta) + payload
    return struct.pack("<BBHI", kind, queue, len(payload), delta) + payload


class Maker:
    """Puts one segment together, record by record; each method adds one."""

    def __init__(self, number: int = 1, at: int = 0) -> None:
        self.data = b""
        self.put(1, struct.pack("<QQH", number, at, 1))

    def put(self, kind: int, payload: bytes = b"", queue: int = 0xFF, delta: int = 0) -> Self:
        """Any record."""
        self.data += record(kind, payload, queue, delta)
        return self

    def end(self) -> Self:
        """CHECKPOINT_END."""
        return self.put(2)

    def options(self, offered: int, patience: int = 2000, mtu: int = 1500) -> Self:
        """OPTIONS."""
        return self.put(3, struct.pack("<QIH", offered, patience, mtu))

    def features(self, accepted: int, running: bool = False) -> Self:
        """FEATURES."""
        return self.put(4, struct.pack("<QB", accepted, running))

    def memory(self, *regions: tuple[int, int]) -> Self:
        """MEMORY."""
        return self.put(5, b"".join(struct.pack("<QQ", *region) for region in regions))

    def status(self, before: int, after: int) -> Self:
        """STATUS."""
        return self.put(6, struct.pack("<BB", before, after))

    def start(
        self,
        queue: int = 1,
        size: int = 8,
        desc: int = TABLE,
        avail: int = AVAIL,
        used: int = USED,
        base: int = 0,
        direction: int = TX,
        found: Sequence[int] | None = (0, 0, 0, 0, 0),
    ) -> Self:
        """``found``: avail_idx, avail flags, used flags, used_idx, avail_event."""
        payload = struct.pack("<IQQQHBB", size, desc, avail, used, base, direction, found is not None)
        if found is not None:
            payload += struct.pack("<HHHHH", *found)
        return self.put(7, payload, queue)

    def stop(self, queue: int = 1, base: int = 0) -> Self:
        """QUEUE_STOP."""
        return self.put(8, struct.pack("<H", base), queue)

    def enable(self, queue: int = 1, on: bool = True) -> Self:
        """QUEUE_ENABLE."""
        return self.put(9, struct.pack("<B", on), queue)

    def sample(self, avail_idx: int, flags: int = 0, used_event: int = 0, queue: int = 1) -> Self:
        """SAMPLE."""
        return self.put(10, struct.pack("<HHH", avail_idx, flags, used_event), queue)

    def chain(
        self,
        entry: int,
        head: int,
        descriptors: Iterable[tuple[int, bytes]],
        table: bytes = b"",
        frame: tuple[int, bytes] | None = None,
        sum_behind: int = 0,
        whole: bool = True,
        slot: int | None = None,
        queue: int = 1,
        flags: int = 0,
    ) -> Self:
        """``frame``: readable bytes, and the first of them; None on a queue that receives."""
        lying = list(descriptors)
        slot = entry % 8 if slot is None else slot
        payload = struct.pack("<QHHBH", entry, slot, head, flags, len(lying))
        payload += b"".join(struct.pack("<H", index) + data for index, data in lying)
        payload += struct.pack("<I", len(table)) + table
        if frame is not None:
            size, prefix = frame
            payload += struct.pack("<QH", size, len(prefix)) + prefix + struct.pack("<HB", sum_behind, whole)
        return self.put(11, payload, queue)

    def sent(self, entry: int, head: int, data: bytes = PLAIN) -> Self:
        """A frame in one descriptor."""
        lying = [(head, descriptor(BUFFERS + 0x800 * head, len(data)))]
        return self.chain(entry, head, lying, frame=(len(data), data[:140]))

    def kick(self, count: int = 1, queue: int = 1) -> Self:
        """KICK."""
        return self.put(12, struct.pack("<Q", count), queue)

    def suppress(
        self,
        used_flags: int = 0,
        avail_event: int = 0,
        avail_idx: int = 0,
        flags: int = 0,
        used_event: int = 0,
        queue: int = 1,
    ) -> Self:
        """SUPPRESS."""
        words = struct.pack("<HHHHH", used_flags, avail_event, avail_idx, flags, used_event)
        return self.put(13, words, queue)

    def used(
        self, before: int, after: int, *entries: tuple[int, int, int], flags: int = 0, avail_flags: int = 0
    ) -> Self:
        """USED."""
        payload = struct.pack("<HHBH", before, after, flags, len(entries))
        payload += b"".join(struct.pack("<QII", *entry) for entry in entries)
        return self.put(14, payload + struct.pack("<HH", avail_flags, 0), 1)

    def changed(
        self, entry: int, where: int, index: int, was: bytes, now: bytes, at_once: bool = False
    ) -> Self:
        """CHANGED."""
        payload = struct.pack("<QBBIB", entry, where, at_once, index, len(was)) + was + now
        return self.put(16, payload, 1)

    def used_changed(self, byte: int, must: int, found: int) -> Self:
        """USED_CHANGED."""
        return self.put(17, struct.pack("<IHH", byte, must, found), 1)

    def quiet(self, ms: int = 2000) -> Self:
        """QUIET."""
        return self.put(18, struct.pack("<I", ms), 1)

    def phase(self, text: str) -> Self:
        """PHASE."""
        return self.put(19, text.encode())

    def inject(self, kind: int = 1) -> Self:
        """INJECT."""
        return self.put(20, struct.pack("<BQQ", kind, 0, 0), 1)

    def stall(self, ms: int, queue: int = 1) -> Self:
        """STALL."""
        return self.put(21, struct.pack("<I", ms), queue)

    def flow(self, queue: int = 1) -> Self:
        """FLOW."""
        return self.put(22, b"", queue)

    def tallies(self, *tallies: tuple[int, int, int, int, int, int]) -> Self:
        """Each: code, checked, failed, record, a, b."""
        return self.put(23, b"".join(struct.pack("<HQQQQQ", *tally) for tally in tallies))

    def state(self, queue: int = 1, **words: int) -> Self:
        """QUEUE_STATE; what is not given is 0, but lost_at none."""
        words.setdefault("lost_at", (1 << 64) - 1)
        names = (
            *("published", "used", "used_idx", "used_flags", "avail_event", "avail_idx", "avail_flags"),
            *("used_event", "armed", "next_head", "obliged", "credit", "distracting", "distracted_kick"),
            *("halted", "enabled", "epoch_kicks", "epoch_wanted", "lost_at", "owed_since"),
        )
        assert set(words) <= set(names)
        numbers = [words.get(name, 0) for name in names]
        return self.put(24, struct.pack("<QQHHHHHHQIBBBBBBQQQQ", *numbers), queue)

    def records(self) -> list[Record]:
        """What was put together, read."""
        return list(records_of(self.data))

    def write(self, path: Path, compress: bool = True) -> Recording:
        """A file with this one segment."""
        with RecordingWriter(path, compress) as writer:
            writer.add(self.data)
        return Recording(path)


def begun(
    accepted: int = VERSION_1, offered: int | None = None, size: int = 8, mtu: int = 1500, **start: object
) -> Maker:
    """A run that goes well so far: the driver has accepted, and queue 1 runs and sends; 7 records.

    The last of them is the QUEUE_START.
    """
    maker = Maker().options(accepted if offered is None else offered, mtu=mtu).end()
    maker.status(0, 1).status(1, 3).features(accepted)
    maker.memory(MEMORY).status(3, 11).enable()
    return maker.start(size=size, **start)  # type: ignore[arg-type]


START = 7
"""The number of the record with which the queue of `begun` starts."""
