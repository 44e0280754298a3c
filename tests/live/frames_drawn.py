"""Frames drawn at random: headers and packets of which some are right, and most are nearly so."""

import random
import struct

from ringproof.live.packet import fold, word_sum

from .simulated_driver import header


def frame(rng: random.Random) -> bytes:
    """An Ethernet frame: IPv4 or IPv6, TCP or UDP, tagged or not, often with a sum that is right."""
    tags = rng.choice((0, 0, 0, 1, 2, 3))
    ethernet = bytes(12) + b"".join(rng.choice((b"\x81\x00", b"\x88\xa8")) + b"\0\1" for _ in range(tags))
    protocol = rng.choice((6, 6, 17, 17, 1))
    payload = rng.randbytes(rng.choice((0, 1, 2, 7, 30, 100, 101, 400)))
    options = rng.choice((0, 0, 3))
    if protocol == 6:
        offset = rng.choice((5 + options,) * 5 + (4, 15))
        flags = rng.choice((0x10, 0x18, 0x90, 0xC2))
        transport = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, offset << 4, flags, 5, 0, 0) + bytes(4 * options)
        at = 16
    else:
        transport = struct.pack(">HHHH", 1, 2, 8 + len(payload), 0)
        at = 6
    length = len(transport) + len(payload)
    if rng.random() < 0.6:
        network, pseudo = _four(rng, protocol, length)
        kind = b"\x08\x00"
    else:
        network, pseudo = _six(rng, protocol, length)
        kind = b"\x86\xdd"
    held = fold(word_sum(pseudo))
    whole = fold(held + word_sum(transport + payload))
    value = rng.choice((held, whole ^ 0xFFFF, whole ^ 0xFFFF, 0, fold(word_sum(pseudo[:-8])), 0x1234))
    transport = transport[:at] + struct.pack(">H", value) + transport[at + 2 :]
    made = ethernet + kind + network + transport + payload
    cut = rng.random()
    if cut < 0.08:
        return made[: rng.randrange(len(made))]
    return made + (bytes(rng.choice((1, 4, 46))) if cut < 0.2 else b"")


def _four(rng: random.Random, protocol: int, length: int) -> tuple[bytes, bytes]:
    addresses = rng.choice((bytes(8), rng.randbytes(8)))
    words = rng.choice((5, 5, 5, 7, 4))
    total = 4 * words + length + rng.choice((0, 0, 0, 0, 0, -1, 1, 5, -200, -length, -length - 4))
    begins = rng.choice((0x45 & 0xF0 | words,) * 9 + (0x65,))
    fragment = rng.choice((0, 0, 0x4000, 0x4000, 0x2000, 1))
    packed = struct.pack(">BBHHHBBH", begins, 0, total & 0xFFFF, 0, fragment, 64, protocol, 0) + addresses
    return packed + bytes(4 * max(words - 5, 0)), addresses + struct.pack(">II", protocol, length)


def _six(rng: random.Random, protocol: int, length: int) -> tuple[bytes, bytes]:
    addresses = rng.randbytes(32)
    total = length + rng.choice((0, 0, 0, 0, 0, -1, 1, 5, -length))
    begins = rng.choice((6 << 28,) * 9 + (4 << 28,))
    packed = struct.pack(">IHBB", begins, total & 0xFFFF, rng.choice((protocol,) * 9 + (0,)), 64) + addresses
    return packed, addresses + struct.pack(">II", length, protocol)


def sent(features: int, rng: random.Random) -> bytes:
    """A header and a frame; now and then too little of both."""
    data = header(features, rng if rng.random() < 0.8 else None) + frame(rng)
    return data[: rng.randrange(1, 30)] if rng.random() < 0.03 else data
