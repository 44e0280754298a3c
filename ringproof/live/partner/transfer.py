"""One TFTP download, from the server's side (RFC 1350, 2347 to 2349, 7440)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import dpkt

from .pattern import octets_at
from .wire import Station

_OACK = 6
_MOST_TRIES = 8


@dataclass(slots=True)
class Transfer:
    """A file of ``size`` bytes (none: it never ends) on its way to one port of one client.

    Blocks are counted from 1 without end; on the wire their number is taken modulo 65,536, so that 0 follows
    65,535. ``acked`` is the last block the client has; -1 before it has accepted the options.
    """

    client: Station
    client_port: int
    request: bytes
    size: int | None
    block_bytes: int
    window: int
    timeout: float
    accepted: bytes  # the options, as in an OACK; empty: there were none, and none is sent
    acked: int = field(init=False)
    sent: int = field(init=False)
    tries: int = 0
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.acked = self.sent = -1 if self.accepted else 0

    @property
    def _last(self) -> int | None:
        """The number of the last block, which is the first that is not full."""
        return None if self.size is None else self.size // self.block_bytes + 1

    @property
    def done(self) -> bool:
        """Whether the client has everything."""
        return self.acked == self._last

    @property
    def hopeless(self) -> bool:
        """Whether the client has been silent for too many repetitions."""
        return self.tries > _MOST_TRIES

    def proceed(self, now: float) -> list[bytes]:
        """What follows the last acknowledged block, a window full of it, as TFTP messages."""
        self.deadline = now + self.timeout
        if self.acked < 0:
            self.sent = 0
            return [bytes(dpkt.tftp.TFTP(opcode=_OACK, data=self.accepted))]
        return list(self._window())

    def _window(self) -> Iterator[bytes]:
        end = self.acked + self.window
        if self._last is not None:
            end = min(end, self._last)
        self.sent = end
        for block in range(self.acked + 1, end + 1):
            at = (block - 1) * self.block_bytes
            left = self.block_bytes if self.size is None else min(self.block_bytes, self.size - at)
            data = octets_at(at, left)
            yield bytes(dpkt.tftp.TFTP(opcode=dpkt.tftp.OP_DATA, block=block & 0xFFFF, data=data))

    def acknowledge(self, number: int, now: float) -> list[bytes]:
        """What follows when the client has all blocks up to ``number`` (0 to 65,535).

        Nothing follows a number that is no news: answering those would double every block from there on
        (RFC 1123, 4.2.3.1). What is lost is sent again by time.
        """
        news = (number - self.acked) & 0xFFFF
        if not 0 < news <= self.sent - self.acked:
            return []
        self.acked += news
        self.tries = 0
        return [] if self.done else self.proceed(now)

    def repeat(self, now: float) -> list[bytes]:
        """What is sent again because the client has been silent: nothing too early, or once hopeless."""
        if now < self.deadline:
            return []
        self.tries += 1
        return [] if self.hopeless else self.proceed(now)


def options_of(fields: list[bytes]) -> dict[bytes, int]:
    """The options of a request whose values are numbers of at most ten digits; names in lower case."""
    pairs = zip(fields[0::2], fields[1::2], strict=False)
    return {name.lower(): int(value) for name, value in pairs if value.isdigit() and len(value) <= 10}


def error(code: int, text: str) -> bytes:
    """An ERROR message."""
    return struct.pack(">HH", dpkt.tftp.OP_ERR, code) + text.encode("ascii") + b"\0"
