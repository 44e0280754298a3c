"""What the partner sends on a connection: nothing, what it got, or letters for ever."""

from enum import Enum

from .pattern import octets_at

ECHO_PORT = 7
SOURCE_PORT = 19
_ROOM = 65_536


class Service(Enum):
    """What a port does with a connection; every port there is takes them."""

    SINK = "discards what it gets"
    ECHO = "sends back what it gets"
    SOURCE = "sends letters as long as it may, and discards what it gets"

    @classmethod
    def of(cls, port: int) -> "Service":
        """The service of a port."""
        return {ECHO_PORT: cls.ECHO, SOURCE_PORT: cls.SOURCE}.get(port, cls.SINK)


class Stream:
    """The bytes to be sent, by their offset from the start; those before ``acked`` are not needed any more.

    At most 64 KiB are kept, for the echo alone; what doesn't fit is not taken.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._kept = bytearray()
        self._acked = 0
        self._end: int | None = None  # known when nothing will be added

    @property
    def room(self) -> int:
        """How many bytes can be taken; a sink takes what anyone has."""
        return _ROOM - len(self._kept) if self._service is Service.ECHO else 1 << 20

    @property
    def end(self) -> int | None:
        """The offset at which there is nothing more, and never will be; none if that isn't known."""
        return self._end

    @property
    def ready(self) -> int | None:
        """The offset up to which there is something to send now; none: there always is."""
        if self._end is not None:
            return self._end
        return None if self._service is Service.SOURCE else self._acked + len(self._kept)

    def take(self, data: bytes) -> None:
        """Takes bytes of the peer, at most ``room``."""
        if self._service is Service.ECHO:
            self._kept += data

    def finish(self, sent: int) -> None:
        """The peer sends nothing more; ``sent`` is the offset of what was sent so far."""
        if self._end is None:
            self._end = sent if self._service is Service.SOURCE else self._acked + len(self._kept)

    def acknowledge(self, offset: int) -> None:
        """The peer has everything before ``offset``."""
        del self._kept[: offset - self._acked]
        self._acked = offset

    def octets(self, offset: int, count: int) -> bytes:
        """What is to be sent from ``offset``, which is not below what is acknowledged, on."""
        if self._service is Service.SOURCE:
            return octets_at(offset, count)
        start = offset - self._acked
        return bytes(self._kept[start : start + count])
