"""Sessions that serve: frames both ways, time, kicks, segments, and who waits for whom."""

import os
import struct
import time

from ringproof.live.session import Because, Behaviour, Options
from ringproof.live.tallies import Check

from . import vhost_peer as v
from .vhost_peer import FRAME, NEEDED, Peer, no_leak, state, u64, usual

BROADCAST = b"\xff" * 6
PARTNER = Options(0).partner


def test_polled() -> None:
    """Without a descriptor for kicks a queue is looked after all the same, and no kick is missed."""
    with Peer(Options(v.OFFERED, patience_ms=20)) as peer:
        for name in NEEDED:
            request, payload, fds = usual(name, peer)
            peer.send(request, u64(1 | 0x100) if name == "kick" else payload, [] if name == "kick" else fds)
        peer.run()
        for _ in range(20):
            peer.publish(FRAME)
            peer.run(3000, rounds=2)
        peer.run(60_000, rounds=2)
        assert peer.used_idx() == 20
        assert not peer.session.failures()


def test_answers_that_nobody_reads() -> None:
    """A front-end that asks and never reads makes nobody wait; it is answered when it does read."""
    with no_leak(), Peer() as peer:
        peer.socket.setblocking(False)
        asked = 0
        began = time.monotonic()
        while asked < 20_000:
            try:
                peer.send(v.GET_FEATURES)
                asked += 1
            except BlockingIOError:
                if not peer.run(0, rounds=20) & ~Because.TIME and peer.session.view().messages < asked:
                    break
        assert time.monotonic() - began < 10
        answers = 0
        while peer.answer() is not None:
            answers += 1
            peer.run(0, rounds=1)
        assert answers == asked > 100
        peer.send(v.GET_FEATURES)
        peer.socket.close()
        assert peer.run() & (Because.CLOSED | Because.TROUBLE)


def test_time() -> None:
    """A session comes back when its time is over, and sooner when something happens."""
    with Peer() as peer:
        began = time.monotonic()
        assert peer.session.run(50_000) == Because.TIME
        assert 0.045 < time.monotonic() - began < 1.0
        peer.start()
        peer.session.run(100_000)
        peer.send(v.GET_VRING_BASE, state(1, 0))
        began = time.monotonic()
        assert Because.STARTED in peer.session.run(5_000_000)
        assert time.monotonic() - began < 2.0


def ethernet(destination: bytes, kind: int, body: bytes) -> bytes:
    """A frame of at least 60 bytes."""
    return (destination + b"\x52\x54\0\0\0\x77" + struct.pack(">H", kind) + body).ljust(60, b"\0")


def ipv4(protocol: int, port: int = 0, fragment: int = 0) -> bytes:
    """An IPv4 packet, its first bytes right."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, fragment, 64, protocol, 0, b"\n\0\0\2", b"\n\0\0\1")
    return head + struct.pack(">HHHH", 4000, port, 20, 0) + bytes(12)


def ipv6(next_header: int, port: int = 0) -> bytes:
    """An IPv6 packet, its first bytes right."""
    return (
        struct.pack(">IHBB", 6 << 28, 20, next_header, 64) + bytes(32) + struct.pack(">HHHH", 9, port, 20, 0)
    )


WANTED = [
    (ethernet(BROADCAST, 0x806, bytes(28)), True),
    (ethernet(PARTNER, 0x806, bytes(28)), True),
    (ethernet(b"\x52\x54\0\0\0\x99", 0x806, bytes(28)), False),
    (ethernet(PARTNER, 0x800, ipv4(1)), True),
    (ethernet(PARTNER, 0x800, ipv4(6, 80)), True),
    (ethernet(PARTNER, 0x800, ipv4(17, 67)), True),
    (ethernet(PARTNER, 0x800, ipv4(17, 69)), True),
    (ethernet(PARTNER, 0x800, ipv4(17, 30000)), True),
    (ethernet(PARTNER, 0x800, ipv4(17, 30999)), True),
    (ethernet(PARTNER, 0x800, ipv4(17, 31000)), False),
    (ethernet(PARTNER, 0x800, ipv4(17, 9)), False),
    (ethernet(PARTNER, 0x800, ipv4(17, 69, fragment=185)), False),
    (ethernet(PARTNER, 0x800, ipv4(47)), False),
    (ethernet(PARTNER, 0x800, b"\x4f" + ipv4(17, 69)[1:]), False),
    (ethernet(b"\x33\x33\0\0\0\2", 0x86DD, ipv6(58)), True),
    (ethernet(PARTNER, 0x86DD, ipv6(17, 69)), True),
    (ethernet(PARTNER, 0x86DD, ipv6(17, 9)), False),
    (ethernet(PARTNER, 0x86DD, ipv6(44)), False),
    (ethernet(BROADCAST, 0x88B5, bytes(40)), False),
    (PARTNER, False),
]
"""Frames, and whether the traffic partner may answer them."""


def test_frames_for_the_partner() -> None:
    """What it may answer is handed out as it was sent, in order; nothing else is."""
    with Peer(Options(v.OFFERED, frames=True)) as peer:
        peer.start()
        got = []
        for frame, _ in WANTED:
            peer.publish(frame)
            because = peer.run(2000, rounds=3)
            assert (Because.FRAMES in because) == any(frame == wanted for wanted, yes in WANTED if yes)
            got += list(peer.session.frames())
        assert got == [(0, frame) for frame, yes in WANTED if yes]
        assert peer.used_idx() == len(WANTED)
        assert peer.session.frames_dropped() == 0


def test_delivered() -> None:
    """A frame from the partner goes into the driver's buffer; without one it is not taken."""
    with Peer() as peer:
        peer.start(1)
        assert not peer.session.deliver(0, FRAME)
        peer.set_up(0)
        peer.send(v.SET_VRING_KICK, u64(0), [peer.kicks[0]])
        peer.run()
        assert not peer.session.deliver(0, FRAME)
        os.pwrite(peer.memory, struct.pack("<QIHH", v.GUEST + 0xF000, 2048, 2, 0), 0)
        os.pwrite(peer.memory, struct.pack("<HHH", 0, 1, 0), 0x800)
        os.eventfd_write(peer.kicks[0], 1)
        peer.run(1000, rounds=5)
        assert peer.session.deliver(0, FRAME)
        peer.run(1000, rounds=5)
        assert os.pread(peer.memory, len(FRAME), 0xF000 + 12) == FRAME
        assert peer.used_idx(0) == 1
        assert not peer.session.deliver(1, FRAME)


def test_segments_wait() -> None:
    """With ``keep`` a segment that is full must be taken before the device goes on."""
    with Peer(Options(v.OFFERED, keep=True)) as peer:
        peer.start()
        peer.session.cut()
        peer.session.behave(Behaviour(batch=1), '{"phase": "x"}')
        assert Because.SEGMENT in peer.session.run(0)
        peer.publish(FRAME)
        peer.run(1000)
        assert peer.used_idx() == 0
        first = peer.session.segment(0)
        assert first is not None
        assert first[0] == 1
        peer.session.segment_taken()
        assert Because.SEGMENT not in peer.run(1000, rounds=5)
        assert peer.used_idx() == 1


def test_stall_and_flow() -> None:
    """Traffic that was waited for is counted, in vain or not."""
    with Peer() as peer:
        peer.session.flow(1)
        peer.session.stall(700, 1)
        tally = peer.session.tallies()[Check.TRAFFIC_STALLED]
        assert (tally.checked, tally.failed, tally.a, tally.b) == (2, 1, 700, 1)
        assert tally.record == peer.session.records() == 2
        assert Because.FAILED in peer.run()


def test_injection_waits_for_a_queue() -> None:
    """A rule that is to be broken before any queue runs is broken once one does."""
    with Peer() as peer:
        peer.session.inject(6)
        assert not peer.session.injected()
        peer.start()
        peer.publish(FRAME)
        peer.run(1000, rounds=5)
        assert peer.session.injected()


def test_plain() -> None:
    """The plain device serves the same front-end, and records nothing."""
    with no_leak(), Peer(Options(v.OFFERED, plain=True)) as peer:
        peer.start()
        for _ in range(40):
            peer.publish(FRAME)
            peer.run(1000, rounds=2)
        assert peer.used_idx() == 40
        assert peer.session.view().queues[1].counts.chains == 40
        assert peer.session.records() == 0
        assert peer.session.segment(0) is None
