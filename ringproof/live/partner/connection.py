"""One TCP connection that the guest has opened (RFC 9293, 5681, 6582)."""

from .counts import PartnerCounts
from .segment import ACK, FIN, PUSH, RST, SYN, Ends, Segment, greeting
from .stream import Service, Stream

_MODULUS = 1 << 32
_OWN_SHIFT = 4
_IN_FLIGHT = 32_768
_BURST = 8  # segments that one frame of the guest, or one tick, may bring about
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 4.0
_MOST_TRIES = 8
_PLAIN_MSS = 536
_HEADERS = 40


class Connection:
    """The partner's end. What it sends is counted from 0 without end; only segments take it modulo 2^32.

    Segments that come too early are not kept: the guest is told what is missing, and sends it again. ``over``
    becomes true when both sides have finished, or the guest has reset it or was silent for too long.
    """

    def __init__(
        self, ends: Ends, opening: Segment, initial: int, mtu: int, counts: PartnerCounts, now: float
    ) -> None:
        self._ends = ends
        self._counts = counts
        self._mtu = mtu
        self._mss = max(64, min(opening.mss or _PLAIN_MSS, mtu - _HEADERS))
        self._scaled = opening.shift is not None
        self._peer_shift = opening.shift or 0
        self._window = opening.window
        self.first = opening.seq
        self._expected = (opening.seq + 1) % _MODULUS
        self._start = initial + 1
        self._stream = Stream(Service.of(ends.own_port))
        self._acked = self._next = self._sent = 0  # acknowledged, to be sent next, ever sent: offsets
        self._recover = 0  # below this, repetitions are no news
        self._repeated = 0
        self._told = 0  # the window the guest knows of, in bytes
        self._tries = 0
        self._wait = _FIRST_WAIT
        self._deadline = now + _FIRST_WAIT
        self.open = False
        self.over = False

    def greet(self) -> bytes:
        """The SYN, ACK."""
        shift = _OWN_SHIFT if self._scaled else None
        self._told = min(self._stream.room, 65_535)
        options = greeting(self._mtu, shift)
        return self._ends.frame(SYN | ACK, self._start - 1, self._expected, self._told, options=options)

    def handle(self, segment: Segment, now: float) -> list[bytes]:
        """What the guest's next segment, which is not the first one, brings about."""
        if segment.flags & RST:
            self.over = (segment.seq - self._expected) % _MODULUS <= self._stream.room
            return []
        if segment.flags & SYN:
            return [self._say(ACK)]
        if not segment.flags & ACK:
            return []
        if not self._confirmed(segment):
            return [] if self.open else [self._ends.frame(RST, segment.ack, 0, 0)]
        frames = self._hear(segment, now)
        if self.over:
            return []
        news = self._take(segment)
        frames += self._send(now, _BURST)
        opened = self._told < self._mss <= self._stream.room
        return frames if frames or not (news or opened) else [self._say(ACK)]

    def tick(self, now: float) -> list[bytes]:
        """What is sent again, for nothing was heard; at last the connection is given up."""
        waiting = self._next > self._acked or self._pending()
        if now < self._deadline or (self.open and not waiting):
            return []
        self._tries += 1
        if self._tries > _MOST_TRIES:
            self.over = True
            return [self._say(RST | ACK)]
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self._deadline = now + self._wait
        self._counts.tcp_resent += 1
        if not self.open:
            return [self.greet()]
        self._recover = self._sent
        self._next = self._acked
        self._window = max(self._window, 1)  # a closed one is asked about with one byte (RFC 9293, 3.8.6.1)
        return self._send(now, 1)

    def _confirmed(self, segment: Segment) -> bool:
        """Whether the segment acknowledges something that was sent; the first such one opens all."""
        news = (segment.ack - self._start - self._acked) % _MODULUS
        if not self.open and news == 0:
            self.open = True
            self._counts.tcp_opened += 1
            return True
        return self.open and (news <= self._sent - self._acked or news >= _MODULUS // 2)

    def _hear(self, segment: Segment, now: float) -> list[bytes]:
        """What the acknowledgement in a segment says, and what has to be sent again at once because of it."""
        news = (segment.ack - self._start - self._acked) % _MODULUS
        if news >= _MODULUS // 2:  # an old one
            return []
        window = segment.window << self._peer_shift
        same = not news and not segment.data and window == self._window and self._next > self._acked
        self._window = window
        self._tries = 0
        if news:
            return self._advance(news, now)
        self._repeated = self._repeated + 1 if same else 0
        if self._repeated == 3 and self._acked >= self._recover:
            self._recover = self._sent
            return self._again()
        return []

    def _advance(self, news: int, now: float) -> list[bytes]:
        self._acked += news
        self._next = max(self._next, self._acked)
        self._repeated = 0
        self._wait = _FIRST_WAIT
        self._deadline = now + self._wait
        end = self._stream.end
        if end is not None and self._acked > end:
            self.over = True
            self._counts.tcp_closed += 1
            return []
        self._stream.acknowledge(self._acked)
        return self._again() if self._acked < self._recover and self._next > self._acked else []

    def _again(self) -> list[bytes]:
        """The first segment that isn't acknowledged (RFC 6582: one for each hole)."""
        self._counts.tcp_resent += 1
        return [self._part(self._acked, min(self._mss, self._sent - self._acked))]

    def _take(self, segment: Segment) -> bool:
        """Takes what is new of a segment's data; says whether the guest has to be told something."""
        early = (segment.seq - self._expected) % _MODULUS
        if early >= _MODULUS // 2:
            early -= _MODULUS
        fresh = segment.data[-early:] if early <= 0 else b""
        taken = fresh[: self._stream.room] if self._stream.end is None else b""
        self._stream.take(taken)
        self._counts.tcp_taken += len(taken)
        self._expected = (self._expected + len(taken)) % _MODULUS
        last = (segment.seq + len(segment.data) - self._expected) % _MODULUS == 0
        if segment.flags & FIN and last and self._stream.end is None:
            self._expected = (self._expected + 1) % _MODULUS
            self._stream.finish(self._sent)
        return bool(early or segment.data or segment.flags & FIN)

    def _pending(self) -> bool:
        """Whether there is something to send that was not sent yet, the FIN included."""
        ready, end = self._stream.ready, self._stream.end
        return ready is None or self._next < ready or (end is not None and self._next == end)

    def _send(self, now: float, most: int) -> list[bytes]:
        """As many segments as there are bytes and windows for, ``most`` at most; the FIN is one of them."""
        frames: list[bytes] = []
        allowed = self._acked + min(self._window, _IN_FLIGHT)
        while len(frames) < most and self._pending():
            ready = self._stream.ready
            stop = allowed if ready is None else min(ready, allowed)
            count = min(self._mss, stop - self._next)
            closing = self._next == self._stream.end
            short = count < self._mss and stop != ready and self._next > self._acked
            if not closing and (count <= 0 or short):  # a little window is left unused (RFC 9293, 3.8.6.2.1)
                break
            if self._next == self._acked:
                self._deadline = now + self._wait
            frames.append(self._part(self._next, max(count, 0)))
            self._next += 1 if closing else count
            self._counts.tcp_given += 0 if closing else max(0, self._next - self._sent)
            self._sent = max(self._sent, self._next)
        return frames

    def _part(self, offset: int, count: int) -> bytes:
        """The segment with ``count`` bytes from ``offset`` on, or the FIN that stands there."""
        if offset == self._stream.end:
            return self._say(FIN | ACK, offset)
        if self._stream.end is not None:
            count = min(count, self._stream.end - offset)
        return self._say(PUSH | ACK, offset, self._stream.octets(offset, count))

    def _say(self, flags: int, offset: int | None = None, data: bytes = b"") -> bytes:
        shift = _OWN_SHIFT if self._scaled else 0
        field = min(self._stream.room >> shift, 65_535)
        self._told = field << shift
        seq = self._start + (self._next if offset is None else offset)
        return self._ends.frame(flags, seq, self._expected, field, data=data)
