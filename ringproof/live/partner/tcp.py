"""All TCP connections of the guest: every port listens."""

from collections import OrderedDict

from .connection import Connection
from .counts import PartnerCounts
from .segment import ACK, FIN, RST, SYN, Ends, Segment, read
from .wire import Datagram, Station, require_sum

_MOST_CONNECTIONS = 64
_FIRST_INITIAL = 0xFFFF_8000  # close below the end, so that sequence numbers wrap in every longer connection
_NEXT_INITIAL = 64_021
_MODULUS = 1 << 32


class TcpHost:
    """Accepts whatever is opened; of too many connections the one not heard of for longest is forgotten."""

    def __init__(self, own: Station, counts: PartnerCounts, mtu: int) -> None:
        self._own = own
        self._counts = counts
        self._mtu = mtu
        self._connections: OrderedDict[tuple[bytes, int, int], Connection] = OrderedDict()
        self._initial = _FIRST_INITIAL

    def __len__(self) -> int:
        return len(self._connections)

    def answer(self, datagram: Datagram, now: float, offloaded: bool) -> list[bytes]:
        """To one datagram; if it isn't offloaded, its checksum must be right."""
        if not offloaded:
            require_sum(datagram)
        segment = read(datagram)
        ends = Ends(self._own, segment.dport, datagram.source, segment.sport)
        key = (datagram.source.ip, segment.sport, segment.dport)
        connection = self._connections.get(key)
        if segment.flags & (SYN | ACK | RST | FIN) == SYN:
            return [self._open(key, connection, ends, segment, now)]
        if connection is None:
            return self._reset(ends, segment)
        self._connections.move_to_end(key)
        frames = connection.handle(segment, now)
        if connection.over:
            del self._connections[key]
        return frames

    def tick(self, now: float) -> list[bytes]:
        """What the connections send again."""
        frames = []
        for key, connection in list(self._connections.items()):
            frames += connection.tick(now)
            if connection.over:
                del self._connections[key]
        return frames

    def _open(
        self,
        key: tuple[bytes, int, int],
        known: Connection | None,
        ends: Ends,
        segment: Segment,
        now: float,
    ) -> bytes:
        """Answers a SYN; one with another number than before is a guest that has started afresh."""
        if known is None or known.open or known.first != segment.seq:
            known = Connection(ends, segment, self._initial, self._mtu, self._counts, now)
            self._initial = (self._initial + _NEXT_INITIAL) % _MODULUS
        self._connections[key] = known
        self._connections.move_to_end(key)
        if len(self._connections) > _MOST_CONNECTIONS:
            self._connections.popitem(last=False)
        return known.greet()

    def _reset(self, ends: Ends, segment: Segment) -> list[bytes]:
        """Answers a segment of no connection (RFC 9293, 3.5.2)."""
        if segment.flags & RST:
            return []
        self._counts.tcp_resets += 1
        if segment.flags & ACK:
            return [ends.frame(RST, segment.ack, 0, 0)]
        taken = len(segment.data) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        return [ends.frame(RST | ACK, 0, segment.seq + taken, 0)]
