"""A TFTP server that has files of any length, and takes none."""

import struct
from collections import OrderedDict
from itertools import count

import dpkt

from .counts import PartnerCounts
from .transfer import Transfer, error, options_of
from .wire import Datagram, MalformedError, Station, udp_frame

SERVER_PORT = 69
FIRST_PORT, LAST_PORT = 30_000, 30_999
BOOT_FILE = "boot"
ENDLESS_FILE = "endless"
_MOST_TRANSFERS = 32
_MOST_REQUEST = 1_024
_PLAIN_BLOCK = 512
_LARGEST_BLOCK = 65_464  # RFC 2348
_IP_UDP_TFTP = 20 + 8 + 4
_TIMEOUT = 1.0


class TftpServer:
    """Sends ``boot`` (``boot_bytes`` long), ``endless``, and files of as many bytes as their name says.

    A client's wish for larger blocks than ``largest_block`` or a longer window than ``largest_window`` is
    answered with these, so that a long file takes many acknowledgements.
    """

    def __init__(
        self,
        own: Station,
        counts: PartnerCounts,
        *,
        boot_bytes: int,
        mtu: int,
        largest_block: int,
        largest_window: int,
    ) -> None:
        self._own = own
        self._counts = counts
        self._boot_bytes = boot_bytes
        self._largest_block = min(largest_block, mtu - _IP_UDP_TFTP, _LARGEST_BLOCK)
        self._largest_window = largest_window
        self._transfers: OrderedDict[int, Transfer] = OrderedDict()
        self._ports = count()

    def answer(self, datagram: Datagram, sport: int, dport: int, payload: bytes, now: float) -> list[bytes]:
        """To a datagram from the client's port ``sport`` to the server's, or a transfer's, port ``dport``."""
        if len(payload) < 4:
            raise MalformedError("too short for TFTP")
        opcode, number = struct.unpack(">HH", payload[:4])
        client = datagram.source
        if dport != SERVER_PORT:
            return self._go_on(client, sport, dport, (opcode, number), now)
        match opcode:
            case dpkt.tftp.OP_RRQ:
                return self._start(client, sport, payload[: _MOST_REQUEST + 1], now)
            case dpkt.tftp.OP_WRQ:
                return self._refuse(client, sport, dport, dpkt.tftp.EACCESS, "nothing is written here")
            case dpkt.tftp.OP_ERR:  # an error is never answered: the two could go on for ever
                return []
            case _:
                return self._refuse(client, sport, dport, dpkt.tftp.EBADOP, "read requests only")

    def tick(self, now: float) -> list[bytes]:
        """What is sent again."""
        frames = []
        for port, transfer in list(self._transfers.items()):
            messages = transfer.repeat(now)
            self._counts.tftp_resent += len(messages)
            frames += self._frames(port, transfer, messages)
            if transfer.hopeless:
                del self._transfers[port]
        return frames

    def _start(self, client: Station, sport: int, payload: bytes, now: float) -> list[bytes]:
        fields = payload[2:].split(b"\0")
        if len(payload) > _MOST_REQUEST or len(fields) < 3 or fields[-1]:
            return self._refuse(client, sport, SERVER_PORT, dpkt.tftp.EBADOP, "no read request")
        name, mode, *rest = fields[:-1]
        if mode.lower() not in (b"octet", b"netascii"):
            return self._refuse(client, sport, SERVER_PORT, dpkt.tftp.EBADOP, "octet or netascii")
        known, size = self._size(name)
        if not known:
            return self._refuse(client, sport, SERVER_PORT, dpkt.tftp.ENOTFOUND, "no such file")
        self._counts.tftp_requests += 1
        for port, transfer in self._transfers.items():
            if (transfer.client, transfer.client_port) == (client, sport):
                if transfer.request == payload and transfer.acked <= 0:
                    return self._frames(port, transfer, transfer.proceed(now))  # it missed the answer
                del self._transfers[port]
                break
        transfer = self._transfer(client, sport, payload, size, options_of(rest))
        port = self._free_port()
        self._transfers[port] = transfer
        if len(self._transfers) > _MOST_TRANSFERS:
            self._transfers.popitem(last=False)
        return self._frames(port, transfer, transfer.proceed(now))

    def _size(self, name: bytes) -> tuple[bool, int | None]:
        """Whether there is such a file, and how long it is."""
        name = name.removeprefix(b"/")
        if name == BOOT_FILE.encode():
            return True, self._boot_bytes
        if name == ENDLESS_FILE.encode():
            return True, None
        if name.isdigit() and len(name) <= 12:
            return True, int(name)
        return False, None

    def _transfer(
        self, client: Station, sport: int, request: bytes, size: int | None, asked: dict[bytes, int]
    ) -> Transfer:
        block, window, timeout = min(_PLAIN_BLOCK, self._largest_block), 1, _TIMEOUT
        accepted: dict[bytes, int] = {}
        if asked.get(b"blksize", 0) >= 8:
            accepted[b"blksize"] = block = min(asked[b"blksize"], self._largest_block)
        if asked.get(b"windowsize", 0) > 0 and self._largest_window > 1:
            accepted[b"windowsize"] = window = min(asked[b"windowsize"], self._largest_window)
        if 1 <= asked.get(b"timeout", 0) <= 255:
            accepted[b"timeout"] = asked[b"timeout"]
            timeout = float(asked[b"timeout"])
        if b"tsize" in asked and size is not None:
            accepted[b"tsize"] = size
        options = b"".join(b"%s\0%d\0" % option for option in accepted.items())
        return Transfer(client, sport, request, size, block, window, timeout, options)

    def _free_port(self) -> int:
        ports = (FIRST_PORT + number % (LAST_PORT - FIRST_PORT + 1) for number in self._ports)
        return next(port for port in ports if port not in self._transfers)

    def _go_on(
        self, client: Station, sport: int, dport: int, message: tuple[int, int], now: float
    ) -> list[bytes]:
        opcode, number = message
        transfer = self._transfers.get(dport)
        if transfer is None or (transfer.client, transfer.client_port) != (client, sport):
            if opcode == dpkt.tftp.OP_ERR:
                return []
            return self._refuse(client, sport, dport, dpkt.tftp.EBADID, "no such transfer")
        self._transfers.move_to_end(dport)
        if opcode != dpkt.tftp.OP_ACK:
            del self._transfers[dport]
            if opcode == dpkt.tftp.OP_ERR:
                return []
            return self._refuse(client, sport, dport, dpkt.tftp.EBADOP, "acknowledgements only")
        self._counts.tftp_acks += 1
        messages = transfer.acknowledge(number, now)
        if transfer.done:
            self._counts.tftp_finished += 1
            del self._transfers[dport]
        return self._frames(dport, transfer, messages)

    def _frames(self, port: int, transfer: Transfer, messages: list[bytes]) -> list[bytes]:
        self._counts.tftp_blocks += len(messages)
        return [
            udp_frame(self._own, transfer.client, port, transfer.client_port, message) for message in messages
        ]

    def _refuse(self, client: Station, sport: int, dport: int, code: int, text: str) -> list[bytes]:
        self._counts.tftp_errors += 1
        return [udp_frame(self._own, client, dport, sport, error(code, text))]
