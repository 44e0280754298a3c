"""The shapes of frames: pieces cut from data, packets of every kind of offload, right ones and wrong ones."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from ..impl.harness.frames import LONGEST, PAGE, Fragment, Frame, Gso, Packet
from ..impl.harness.net_operations import (
    F_CSUM,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    MAX_SKB_FRAGS,
)
from .packets import TCP, UDP, packet

_PATTERN = bytes((at * 37 + (at >> 8) * 11 + 5) & 0xFF for at in range(1 << 12)) * 17
GSO_FEATURES = {Gso.TCPV4: F_HOST_TSO4, Gso.TCPV6: F_HOST_TSO6, Gso.UDP: F_HOST_UFO}
_MSS = (1, 8, 536, 1000, 1448, 9000)
_LENGTHS = (1, 2, 14, 60, 64, 100, 100, 100, 300, 300, 590, 1514, 1514, 1515, 4096, 9014)
_MOST = 64 << 10
MOST_SEGMENTS = 1 + MAX_SKB_FRAGS
_RECORDED = (*(0, 1, 2, 3, 7, 8) * 8, 65535)  # the last one takes the original very long
_LONG_HEADS = 3  # of so many cuts one has all in its head


def filled(packet: Packet) -> int:
    """Count the pieces that hold any bytes: the segments behind the header."""
    own = bool(packet.head) + sum(bool(fragment.data) for fragment in packet.fragments)
    return own + sum(filled(following) for following in packet.packets)


def lawful(frame: Frame, features: int) -> bool:
    """Whether a stack hands such a frame to a driver under these features: it asks for nothing else."""
    if frame.gso == Gso.NONE:
        return not frame.ecn and (not frame.checksum or bool(features & F_CSUM))
    if not features & F_CSUM or not features & GSO_FEATURES.get(frame.gso, 0):
        return False
    if not frame.checksum or not frame.gso_size:
        return False
    return not frame.ecn or (frame.gso != Gso.UDP and bool(features & F_HOST_ECN))


def pattern(length: int, seed: int = 0) -> bytes:
    """Return ``length`` bytes, 0 to LONGEST, that differ with the seed and hardly repeat."""
    begin = seed * 131 % 1021
    return _PATTERN[begin : begin + length]


class Cutter:
    """Cuts data into the pieces of a packet, at places drawn from ``random``."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def fragments(self, data: bytes, most: int = MAX_SKB_FRAGS) -> tuple[Fragment, ...]:
        """Return the fragments that hold the data, some of them empty, as many as ``most`` if they must."""
        random = self._random
        made: list[Fragment] = []
        pages = -(-len(data) // PAGE)
        wanted = max(pages, min(most, len(data), random.choice((1, 1, 2, 3, 5, most, most))))
        at = 0
        for left in range(wanted - 1, -1, -1):
            rest = len(data) - at
            size = round(rest / (left + 1) * random.uniform(0.5, 1.5))
            size = min(PAGE, rest - left, max(1, rest - left * PAGE, size))
            offset = random.choice((0, 0, PAGE - size, random.randint(0, PAGE - size)))
            made.append(Fragment(offset, data[at : at + size]))
            at += size
        while len(made) < most and random.random() < 0.2:
            made.insert(random.randint(0, len(made)), Fragment(random.choice((0, 17, PAGE)), b""))
        return tuple(made)

    def cut(self, data: bytes, *, depth: int = 3, linear: int = 0) -> Packet:
        """Return a packet that holds the data; at least its first ``linear`` bytes lie in the head.

        Lists are nested up to ``depth`` deep. What would take more fragments than a packet can have stays
        in the head.
        """
        random = self._random
        if len(data) - linear < 1 or not random.randrange(_LONG_HEADS):
            return Packet(data)
        head = random.randint(linear, len(data))
        rest = len(data) - head
        packets: tuple[Packet, ...] = ()
        paged = rest
        if depth and not random.randrange(4):
            paged = random.randint(0, rest)
            packets = tuple(self._packets(data[head + paged :], depth - 1))
        if paged > MAX_SKB_FRAGS * PAGE:
            head, paged = head + paged, 0
        return Packet(data[:head], self.fragments(data[head : head + paged]), packets)

    def _packets(self, data: bytes, depth: int) -> Iterator[Packet]:
        at = 0
        while at < len(data):
            size = self._random.randint(1, len(data) - at)
            yield self.cut(data[at : at + size], depth=depth)
            at += size
        if not self._random.randrange(4):
            yield Packet(b"")


class Shapes:
    """Frames drawn from ``random``, for a driver under ``features``.

    With ``lawful`` a frame asks for nothing that was not accepted, as a stack sees to; else a part of them
    asks for what makes no sense, or for what a driver cannot send.
    """

    def __init__(
        self, random: Random, features: int, *, lawful: bool = False, longest: int = LONGEST
    ) -> None:
        self._random = random
        self._features = features
        self._lawful = lawful
        self._longest = longest
        self._cutter = Cutter(random)

    def pool(self, count: int) -> list[Frame]:
        """Return frames, among them rows of the smallest and of those with the most pieces."""
        most = tuple(Fragment(17 * at, pattern(30, at)) for at in range(MAX_SKB_FRAGS))
        row = [Frame(Packet(pattern(60 + at))) for at in range(9)]
        row += [Frame(Packet(pattern(80), most))] * 3
        made: list[Frame] = []
        while len(made) < count:
            made += row
            made += [self.frame() for _ in range(40)]
        return made[:count]

    def frame(self) -> Frame:
        """Return one frame, of whatever kind."""
        random = self._random
        roll = random.randrange(16)
        if roll < 6:
            made = self._plain()
        elif roll < 10:
            made = self._summed()
        elif roll < 14 or self._lawful:
            made = self._segmented()
        else:
            made = self._wrong()
        if self._lawful and filled(made.packet) > MOST_SEGMENTS:
            made = replace(made, packet=Packet(made.data))
        if not random.randrange(4):
            made = replace(made, recorded_queue=random.choice(_RECORDED))
        return replace(made, cpu=random.choice((0, 0, 1, 2, 3, 5, 63)))

    def _length(self) -> int:
        random = self._random
        if not random.randrange(24):
            return min(self._longest, random.choice((LONGEST, _MOST, random.randint(1, LONGEST))))
        return min(self._longest, random.choice(_LENGTHS))

    def _plain(self) -> Frame:
        random = self._random
        if random.randrange(2):
            return Frame(self._cutter.cut(pattern(self._length(), random.randrange(1000))))
        length = min(self._length(), 9000)
        data, _, _ = packet(
            pattern(length, random.randrange(1000)),
            protocol=random.choice((TCP, UDP)), ipv6=bool(random.randrange(2)),
        )  # fmt: skip
        return Frame(self._cutter.cut(data))

    def _summed(self) -> Frame:
        """Make a frame whose checksum is left to the device."""
        if not self._features & F_CSUM and self._lawful:
            return self._plain()
        random = self._random
        data, start, offset = packet(
            pattern(min(self._length(), 1460), random.randrange(1000)), complete=False,
            protocol=random.choice((TCP, UDP)), ipv6=bool(random.randrange(2)), cwr=not random.randrange(4),
        )  # fmt: skip
        return Frame(self._cutter.cut(data), True, start, offset)

    def _segmented(self) -> Frame:
        random = self._random
        kinds = [
            kind for kind, feature in GSO_FEATURES.items() if self._features & feature or not self._lawful
        ]
        if not kinds or (self._lawful and not self._features & F_CSUM):
            return self._plain()
        kind = random.choice(kinds)
        ecn = kind != Gso.UDP and not random.randrange(3)
        if self._lawful and not self._features & F_HOST_ECN:
            ecn = False
        options = random.choice((0, 0, 3, 10)) if kind != Gso.UDP else 0
        longest = min(self._longest, 65535) - 100
        data, start, offset = packet(
            pattern(min(max(self._length(), 64), longest), random.randrange(1000)),
            complete=False, protocol=UDP if kind == Gso.UDP else TCP, ipv6=kind == Gso.TCPV6, cwr=ecn,
            options=options,
        )  # fmt: skip
        headers = start + (8 if kind == Gso.UDP else 20 + 4 * options)
        made = self._cutter.cut(data, linear=headers)
        size = random.choice(_MSS)
        if kind == Gso.UDP:
            size = max(8, size // 8 * 8)
        return Frame(made, True, start, offset, kind, size, ecn)

    def _wrong(self) -> Frame:
        """Make a frame that asks for what makes no sense, or of more pieces than a driver can send."""
        random, length = self._random, max(self._length(), 64)
        roll = random.randrange(6)
        if roll == 0:
            pieces = tuple(Fragment(at, b"x") for at in range(MAX_SKB_FRAGS + 1 + random.randrange(3)))
            return Frame(Packet(b"many fragments", pieces))
        if roll == 1:
            packets = tuple(Packet(b"y") for _ in range(18 + random.randrange(3)))
            return Frame(Packet(b"many packets", (), packets))
        data = self._cutter.cut(pattern(length, random.randrange(1000)))
        start = random.randint(0, min(length - 2, 0xFFFF))
        offset = random.randint(0, min(length - 2 - start, 0xFFFF))
        if roll == 2:
            return Frame(data, True, start, offset)
        kind = random.choice((Gso.TCPV4, Gso.TCPV6, Gso.UDP, Gso.UNKNOWN, Gso.NONE))
        size = random.choice((0, 0, 1, 1448, 65535))
        summed = bool(random.randrange(2))
        where = (start, offset) if summed else (random.randrange(1 << 16), random.randrange(1 << 16))
        return Frame(data, summed, *where, kind, size, bool(random.randrange(2)))
