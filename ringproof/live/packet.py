"""The packet in a transmitted frame, as far as its checksums need it: Ethernet, IP, and TCP or UDP."""

from dataclasses import dataclass
from struct import Struct

ETHERNET = 14
TAG = 4
TCP, UDP = 6, 17
CHECKSUM_AT = {TCP: 16, UDP: 6}
"""Where the checksum stands in a transport header."""
CWR = 0x80

_TAGS = (0x8100, 0x88A8)
_IPV4, _IPV6 = 0x0800, 0x86DD
_U16 = Struct(">H")
_FRAGMENT = 0x3FFF
"""More fragments, and the offset: of a packet that is whole, neither is set."""


def word(data: bytes, at: int) -> int:
    """The 16-bit big-endian word at byte ``at``."""
    number: int = _U16.unpack_from(data, at)[0]
    return number


def fold(total: int) -> int:
    """A ones' complement sum, folded to 16 bits."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def word_sum(data: bytes) -> int:
    """The ones' complement sum of 16-bit big-endian words, folded; an odd last byte is the high half of one.

    2^16 is 1 modulo 2^16 - 1, so the words' sum is the whole number's remainder; 0 and 0xffff are told apart
    as adding does: it never comes to 0 from anything else.
    """
    if len(data) % 2:
        data += b"\0"
    number = int.from_bytes(data, "big")
    return number and (number % 0xFFFF or 0xFFFF)


def tags(frame: bytes) -> int:
    """How many 802.1Q tags stand at the front; at most 2 are looked at."""
    count = 0
    while count < 2:
        at = ETHERNET - 2 + TAG * count
        if len(frame) < at + 2 or word(frame, at) not in _TAGS:
            break
        count += 1
    return count


@dataclass(slots=True)
class Packet:
    """Where its parts are, in bytes of the frame.

    ``transport``: the transport header; ``headers``: the end of all headers; ``end``: the packet's, as its
    own length field says. ``pseudo``: the sum of the pseudo header but for the length.
    """

    v6: bool
    protocol: int
    transport: int
    headers: int
    end: int
    pseudo: int
    cwr: bool

    @property
    def checksum_at(self) -> int:
        """Where the transport header's checksum stands."""
        return self.transport + CHECKSUM_AT[self.protocol]


def parse(prefix: bytes, size: int) -> Packet | None:
    """The packet of a frame of ``size`` bytes that begins with ``prefix``; None if it is of another kind.

    It is told only if all its headers are there, and within the prefix; a fragment, or a packet with IPv6
    extension headers, is of another kind.
    """
    frame = prefix[:size]
    there = len(frame)
    ip = ETHERNET + TAG * tags(frame)
    if there < ip:
        return None
    kind = word(frame, ip - 2)
    if kind == _IPV4:
        if there < ip + 20 or frame[ip] >> 4 != 4 or frame[ip] & 15 < 5:
            return None
        if word(frame, ip + 6) & _FRAGMENT:
            return None
        transport = ip + 4 * (frame[ip] & 15)
        protocol, end = frame[ip + 9], ip + word(frame, ip + 2)
        addresses = frame[ip + 12 : ip + 20]
    elif kind == _IPV6:
        if there < ip + 40 or frame[ip] >> 4 != 6:
            return None
        transport = ip + 40
        protocol, end = frame[ip + 6], transport + word(frame, ip + 4)
        addresses = frame[ip + 8 : ip + 40]
    else:
        return None
    cwr = False
    if protocol == TCP:
        if there < transport + 20 or frame[transport + 12] >> 4 < 5:
            return None
        headers = transport + 4 * (frame[transport + 12] >> 4)
        cwr = frame[transport + 13] & CWR != 0
    elif protocol == UDP:
        headers = transport + 8
    else:
        return None
    if there < headers:
        return None
    return Packet(kind == _IPV6, protocol, transport, headers, end, word_sum(addresses) + protocol, cwr)
