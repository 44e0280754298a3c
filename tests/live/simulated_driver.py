"""A vhost-user front-end and a transmit driver in Python, honest and not, for a session in the same thread.

Sources: the vhost-user protocol specification for the messages, VIRTIO 1.3 section 2.7 for the rings.
"""

import mmap
import os
import random
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ringproof.live.session import Session

NEXT, WRITE, INDIRECT = 1, 2, 4
EVENT_IDX, VERSION_1, PROTOCOL = 1 << 29, 1 << 32, 1 << 30

GUEST = 0x10_0000
"""Guest address at which the memory begins; the front-end's own addresses are others."""
OWN = 0x7F00_0000_0000
BYTES = 2 << 20
HALF = BYTES // 2
"""The memory is shared as two regions that follow each other, or with the second one left out."""
_BUFFERS = 0x80000
_TABLES = 0x40000
_STRIDE = 0x10000
"""Bytes of memory that each queue's parts have."""

_SET_FEATURES, _SET_OWNER, _SET_MEM_TABLE = 2, 3, 5
_SET_NUM, _SET_ADDR, _SET_BASE, _GET_BASE, _SET_KICK, _SET_CALL = 8, 9, 10, 11, 12, 13
_SET_PROTOCOL_FEATURES, _SET_ENABLE, _SET_STATUS = 16, 18, 39
STATUS_BIT = 1 << 16


class GoneError(Exception):
    """The device has closed the connection."""


@dataclass
class Ring:
    """What the driver remembers of one queue; offsets are into the memory."""

    number: int
    size: int
    at: int
    base: int
    free: list[int]
    chains: dict[int, list[int]] = field(default_factory=dict)
    avail_idx: int = 0
    last_used_idx: int = 0

    @property
    def avail(self) -> int:
        """Where the available ring lies: where a legacy driver has it."""
        return self.at + 16 * self.size

    @property
    def used(self) -> int:
        """Where the used ring lies."""
        return (self.avail + 6 + 2 * self.size + 4095) & ~4095


class SimulatedDriver:
    """Speaks to ``session``, which serves whenever `run` is called. A context manager."""

    def __init__(self, session: Session, features: int) -> None:
        ours, theirs = socket.socketpair()
        session.connect(theirs.detach())
        ours.settimeout(5)
        self.session = session
        self.features = features
        self.rings: dict[int, Ring] = {}
        self._socket = ours
        self._fd = os.memfd_create("guest")
        os.ftruncate(self._fd, BYTES)
        self.memory = mmap.mmap(self._fd, BYTES)
        self._kicks: dict[int, int] = {}
        self._calls: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        for fd in (self._fd, *self._kicks.values(), *self._calls.values()):
            os.close(fd)
        self.memory.close()

    # Messages.

    def send(self, request: int, payload: bytes, fds: Iterable[int] = ()) -> None:
        """One message; it is served at the next `run`."""
        message = struct.pack("<III", request, 1, len(payload)) + payload
        try:
            socket.send_fds(self._socket, [message], list(fds))
        except BrokenPipeError:
            raise GoneError from None

    def run(self, microseconds: int = 0) -> None:
        """Let the device work."""
        self.session.run(microseconds)

    def begin(self, status: bool = True) -> None:
        """All that comes before the queues."""
        self.send(_SET_OWNER, b"")
        self.negotiate(self.features)
        if self.features & PROTOCOL:
            self.send(_SET_PROTOCOL_FEATURES, struct.pack("<Q", STATUS_BIT))
            if status:
                for value in (0, 1, 3, 11):
                    self.set_status(value)
        self.share(2)

    def negotiate(self, features: int) -> None:
        """SET_FEATURES."""
        self.send(_SET_FEATURES, struct.pack("<Q", features))
        self.run()

    def set_status(self, value: int) -> None:
        """SET_STATUS."""
        self.send(_SET_STATUS, struct.pack("<Q", value))
        self.run()

    def share(self, halves: int) -> None:
        """SET_MEM_TABLE, of the first half of the memory or of both."""
        table = struct.pack("<II", halves, 0)
        for half in range(halves):
            begins = half * HALF
            table += struct.pack("<QQQQ", GUEST + begins, HALF, OWN + begins, begins)
        self.send(_SET_MEM_TABLE, table, [self._fd] * halves)
        self.run()

    def start(
        self, number: int, size: int, base: int = 0, enable: bool = True, shift: int = 0, free: bool = True
    ) -> Ring:
        """Set a queue up; ``shift`` moves its used ring, with ``free`` the rings are zeroed."""
        ring = Ring(number, size, number * _STRIDE, base, list(range(size)))
        ring.avail_idx = ring.last_used_idx = base
        self.rings[number] = ring
        if free:
            self.memory[ring.at : ring.at + _STRIDE] = bytes(_STRIDE)
            self.write16(ring.avail + 2, base)
            self.write16(ring.used + 2, base)
        self.send(_SET_NUM, struct.pack("<II", number, size))
        self.send(_SET_BASE, struct.pack("<II", number, base))
        places = struct.pack("<QQQQ", OWN + ring.at, OWN + ring.used + shift, OWN + ring.avail, 0)
        self.send(_SET_ADDR, struct.pack("<II", number, 0) + places)
        for request, fds in ((_SET_CALL, self._calls), (_SET_KICK, self._kicks)):
            if number not in fds:
                fds[number] = os.eventfd(0, os.EFD_NONBLOCK)
            self.send(request, struct.pack("<Q", number), [fds[number]])
        if self.features & PROTOCOL and enable:
            self.enable(number, True)
        self.run()
        return ring

    def enable(self, number: int, on: bool) -> None:
        """SET_VRING_ENABLE."""
        self.send(_SET_ENABLE, struct.pack("<II", number, on))
        self.run()

    def stop(self, number: int) -> int:
        """GET_VRING_BASE; the base that is answered."""
        self.send(_GET_BASE, struct.pack("<II", number, 0))
        self.run(1_000)
        answer = self._socket.recv(20)
        if len(answer) < 20:
            raise GoneError
        request, _, _, _, base = struct.unpack("<IIIII", answer)
        assert request == _GET_BASE
        return int(base)

    # Memory.

    def write16(self, at: int, value: int) -> None:
        """A little-endian word."""
        struct.pack_into("<H", self.memory, at, value & 0xFFFF)

    def read16(self, at: int) -> int:
        """A little-endian word."""
        return int(struct.unpack_from("<H", self.memory, at)[0])

    def describe(self, ring: Ring, index: int, address: int, length: int, flags: int, following: int) -> None:
        """Write one descriptor; ``address`` as the guest has it."""
        struct.pack_into("<QIHH", self.memory, ring.at + 16 * index, address, length, flags, following)

    # The driver.

    def reclaim(self, ring: Ring) -> None:
        """Take back what was completed, one entry or, with IN_ORDER, a batch."""
        used_idx = self.read16(ring.used + 2)
        while ring.last_used_idx != used_idx and ring.chains:
            slot = ring.last_used_idx % ring.size
            (head,) = struct.unpack_from("<I", self.memory, ring.used + 4 + 8 * slot)
            if self.features >> 35 & 1:
                oldest = next(iter(ring.chains))
                ring.free += ring.chains.pop(oldest)
            elif head in ring.chains:
                ring.free += ring.chains.pop(head)
            ring.last_used_idx = (ring.last_used_idx + 1) & 0xFFFF

    def add(self, ring: Ring, pieces: list[int], data: bytes, indirect: bool = False, flags: int = 0) -> bool:
        """Publish a chain of ``data`` cut into ``pieces``, without a kick; False if there is no room."""
        need = 1 if indirect else len(pieces)
        if len(ring.free) < need:
            return False
        taken = [ring.free.pop(0) for _ in range(need)]
        head = taken[0]
        at = _BUFFERS + 0x1000 * (ring.number * 64 + head % 64)
        self.memory[at : at + len(data)] = data
        lying = []
        for length in pieces:
            lying.append((GUEST + at, length))
            at += length
        if indirect:
            table = _TABLES + 0x400 * (ring.number * 64 + head % 64)
            for place, (address, length) in enumerate(lying):
                more = NEXT if place + 1 < len(lying) else 0
                struct.pack_into(
                    "<QIHH", self.memory, table + 16 * place, address, length, more | flags, place + 1
                )
            self.describe(ring, head, GUEST + table, 16 * len(lying), INDIRECT, 0)
        else:
            for place, (address, length) in enumerate(lying):
                last = place + 1 == len(lying)
                following = 0 if last else taken[place + 1]
                self.describe(ring, taken[place], address, length, (0 if last else NEXT) | flags, following)
        ring.chains[head] = taken
        self.publish(ring, head)
        return True

    def publish(self, ring: Ring, head: int) -> None:
        """Put a head into the available ring and count avail_idx up."""
        self.write16(ring.avail + 4 + 2 * (ring.avail_idx % ring.size), head)
        ring.avail_idx = (ring.avail_idx + 1) & 0xFFFF
        self.write16(ring.avail + 2, ring.avail_idx)

    def kick_if_wanted(self, ring: Ring, before: int) -> None:
        """Kick as the suppression words ask for, for the entries from avail_idx ``before`` on."""
        if self.features & EVENT_IDX:
            event = self.read16(ring.used + 4 + 8 * ring.size)
            wanted = (ring.avail_idx - event - 1) & 0xFFFF < (ring.avail_idx - before) & 0xFFFF
        else:
            wanted = not self.read16(ring.used) & 1
        if wanted:
            self.kick(ring)

    def kick(self, ring: Ring) -> None:
        """Kick, wanted or not."""
        os.eventfd_write(self._kicks[ring.number], 1)


def header(features: int, rng: random.Random | None = None) -> bytes:
    """A network header: all zero, or drawn from numbers that matter."""
    size = 20 if features >> 57 & 1 else 12 if features & (VERSION_1 | 1 << 15) else 10
    if rng is None:
        return bytes(size)
    fields = struct.pack(
        "<BBHHHHH",
        rng.choice((0, 1, 1, 1, 2, 4, 0x80)),
        rng.choice((0, 0, 1, 1, 2, 3, 4, 5, 0x80, 0x81, 0x84)),
        rng.choice((0, 54, 42, 66, 14, 200)),
        rng.choice((0, 100, 1448)),
        rng.choice((34, 34, 38, 54, 14, 0, 2000)),
        rng.choice((16, 16, 6, 0, 2000)),
        rng.choice((0, 0, 1)),
    )
    return (fields + bytes(8))[:size]
