"""A front-end for tests: sends messages of the vhost-user protocol, well-formed or not, and reads answers."""

import array
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ringproof.live import trouble
from ringproof.live.session import ALL_PROTOCOL, Because, Options, Session

GUEST, USER = 0x10_0000, 0x7F00_0000_0000
REGION = 1 << 16
NEED_REPLY = 8
SIZE = 16
(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM,
 SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU,
 SET_BACKEND_REQ_FD, IOTLB_MSG, SET_VRING_ENDIAN, GET_CONFIG, SET_CONFIG, CREATE_CRYPTO_SESSION,
 CLOSE_CRYPTO_SESSION, POSTCOPY_ADVISE, POSTCOPY_LISTEN, POSTCOPY_END, GET_INFLIGHT_FD, SET_INFLIGHT_FD,
 GPU_SET_SOCKET, RESET_DEVICE, VRING_KICK, GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG, SET_STATUS,
 GET_STATUS) = range(1, 41)  # fmt: skip

REQUEST_NAMES = trouble.REQUESTS

PROTOCOL, VERSION_1, EVENT_IDX, INDIRECT, PACKED, MRG = (1 << bit for bit in (30, 32, 29, 28, 34, 15))
OFFERED = VERSION_1 | EVENT_IDX | INDIRECT | MRG | 1 << 5 | 1 << 16
FRAME = bytes(range(64))
RING = 0x2000
"""Bytes of memory for each queue: table at its begin, available ring at 0x800, used ring at 0x1000."""


def u64(value: int) -> bytes:
    """A payload of one number."""
    return struct.pack("<Q", value & (1 << 64) - 1)


def state(queue: int, number: int) -> bytes:
    """A vring state description."""
    return struct.pack("<II", queue, number)


def ring_addresses(queue: int, *, user: int = USER) -> bytes:
    """A vring address description of where `Peer` keeps this queue."""
    at = user + queue * RING
    return struct.pack("<IIQQQQ", queue, 0, at, at + 0x1000, at + 0x800, 0)


def region(guest: int = GUEST, size: int = REGION, user: int = USER, offset: int = 0) -> bytes:
    """A memory region as it stands in a message."""
    return struct.pack("<QQQQ", guest, size, user, offset)


def mem_table(*regions: bytes) -> bytes:
    """The payload of SET_MEM_TABLE."""
    return struct.pack("<II", len(regions), 0) + b"".join(regions)


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Peer:
    """A session and its front-end, one process. A context manager."""

    def __init__(self, options: Options | None = None) -> None:
        self.session = Session(
            options or Options(device_features=OFFERED, protocol_features=int(ALL_PROTOCOL))
        )
        self.socket, other = socket.socketpair()
        self.session.connect(other.detach())
        self.memory = os.memfd_create("guest")
        os.ftruncate(self.memory, REGION)
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4)]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4)]
        self.published = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        self.socket.close()
        for fd in (self.memory, *self.kicks, *self.calls):
            os.close(fd)

    def send(
        self,
        request: int,
        payload: bytes = b"",
        fds: Sequence[int] = (),
        *,
        flags: int = 0,
        size: int | None = None,
    ) -> None:
        """Send one message; ``size`` may lie about its payload."""
        head = struct.pack("<III", request, 1 | flags, len(payload) if size is None else size)
        self.send_raw(head + payload, fds)

    def send_raw(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send bytes with descriptors."""
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], control)

    def run(self, microseconds: int = 0, rounds: int = 3) -> Because:
        """Let the session serve some rounds; why it came back, of all of them."""
        because = Because(0)
        for _ in range(rounds):
            because |= self.session.run(microseconds)
        return because

    def answer(self) -> tuple[int, bytes] | None:
        """The next answer: its request and payload; None if there is none."""
        self.socket.setblocking(False)
        try:
            head = self.socket.recv(12)
        except (BlockingIOError, ConnectionResetError):
            return None
        finally:
            self.socket.setblocking(True)
        if len(head) < 12:
            return None
        request, flags, size = struct.unpack("<III", head)
        assert flags == 5, "an answer has version 1 and the reply flag"
        return request, self.socket.recv(size, socket.MSG_WAITALL) if size else b""

    def ask(
        self, request: int, payload: bytes = b"", fds: Sequence[int] = (), *, flags: int = 0
    ) -> bytes | None:
        """Send a message, let it be served, and return the payload of the answer, None if there is none."""
        self.send(request, payload, fds, flags=flags)
        self.run()
        answer = self.answer()
        if answer is None:
            return None
        assert answer[0] == request
        return answer[1]

    def acknowledged(self, request: int, payload: bytes = b"", fds: Sequence[int] = ()) -> int:
        """What a message that needs a reply is acknowledged with: 0 for success."""
        answer = self.ask(request, payload, fds, flags=NEED_REPLY)
        assert answer is not None
        assert len(answer) == 8
        return int(struct.unpack("<Q", answer)[0])

    def negotiate(self, features: int = VERSION_1 | PROTOCOL, protocol: int = 0xA03F) -> None:
        """Owner, protocol features, features."""
        self.send(SET_OWNER)
        self.send(SET_PROTOCOL_FEATURES, u64(protocol))
        self.send(SET_FEATURES, u64(features))

    def share(self) -> None:
        """The whole memory, as one region."""
        self.send(SET_MEM_TABLE, mem_table(region()), [self.memory])

    def set_up(self, queue: int, *, size: int = SIZE, enable: bool = True) -> None:
        """All that a queue needs but its kick descriptor."""
        self.send(SET_VRING_NUM, state(queue, size))
        self.send(SET_VRING_BASE, state(queue, 0))
        self.send(SET_VRING_ADDR, ring_addresses(queue))
        self.send(SET_VRING_CALL, u64(queue), [self.calls[queue]])
        if enable:
            self.send(SET_VRING_ENABLE, state(queue, 1))

    def start(self, queue: int = 1) -> None:
        """Everything, until a queue runs."""
        self.negotiate()
        self.share()
        self.set_up(queue)
        self.send(SET_VRING_KICK, u64(queue), [self.kicks[queue]])
        self.run(rounds=20)
        assert self.session.view().queues[queue].runs

    def publish(self, frame: bytes, queue: int = 1) -> None:
        """Put one frame, a header of 12 bytes before it, into the next slot of the queue, and kick."""
        slot = self.published % SIZE
        place = 0x8000 + slot * 0x400
        os.pwrite(self.memory, bytes(12) + frame, place)
        entry = struct.pack("<QIHH", GUEST + place, 12 + len(frame), 0, 0)
        os.pwrite(self.memory, entry, queue * RING + 16 * slot)
        os.pwrite(self.memory, struct.pack("<H", slot), queue * RING + 0x804 + 2 * slot)
        self.published += 1
        os.pwrite(self.memory, struct.pack("<H", self.published & 0xFFFF), queue * RING + 0x802)
        os.eventfd_write(self.kicks[queue], 1)

    def used_idx(self, queue: int = 1) -> int:
        """The device's index in the used ring."""
        return int(struct.unpack("<H", os.pread(self.memory, 2, queue * RING + 0x1002))[0])


@contextmanager
def no_leak() -> Iterator[None]:
    """What is done inside leaves no descriptor open."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def usual(name: str, peer: Peer) -> tuple[int, bytes, list[int]]:
    """One of the messages queue 1 needs before it runs."""
    return {
        "features": (SET_FEATURES, u64(VERSION_1), []),
        "memory": (SET_MEM_TABLE, mem_table(region()), [peer.memory]),
        "size": (SET_VRING_NUM, state(1, SIZE), []),
        "base": (SET_VRING_BASE, state(1, 0), []),
        "addresses": (SET_VRING_ADDR, ring_addresses(1), []),
        "kick": (SET_VRING_KICK, u64(1), [peer.kicks[1]]),
    }[name]


NEEDED = ("features", "memory", "size", "base", "addresses", "kick")
