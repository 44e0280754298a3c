"""A DHCP server of one network, with what a PXE client needs to go on to TFTP (RFC 2131, 2132; PXE 2.1)."""

import struct
from dataclasses import dataclass
from typing import Any

import dpkt

from .counts import PartnerCounts
from .leases import Leases
from .wire import (
    BROADCAST_IP,
    BROADCAST_MAC,
    NO_IP,
    Datagram,
    MalformedError,
    Station,
    header,
    udp_frame,
)

SERVER_PORT = 67
_CLIENT_PORT = 68
_OFFER, _ACK, _NAK = dpkt.dhcp.DHCPOFFER, dpkt.dhcp.DHCPACK, dpkt.dhcp.DHCPNAK
_ASK, _REPLY = dpkt.dhcp.DHCP_OP_REQUEST, dpkt.dhcp.DHCP_OP_REPLY
_ETHERNET = (1, 6)
_MASK, _ROUTER, _BROADCAST, _VENDOR = 1, 3, 28, 43
_REQUESTED, _LEASE, _KIND, _SERVER, _WANTED = 50, 51, 53, 54, 55
_RENEW, _REBIND, _CLASS, _CLIENT, _TFTP_SERVER, _FILE, _MACHINE = 58, 59, 60, 61, 66, 67, 97
_PAD, _END = 0, 255
_LEAST_MESSAGE = 300  # of BOOTP; some clients drop what is shorter
_LEASE_SECONDS = 3_600
_WANTS_BROADCAST = 0x8000
_PXE = b"PXEClient"
# Discovery control, bit 3: there is no boot server to look for and no menu; the file named here is the one.
_PXE_DIRECT = b"\x06\x01\x08\xff"


@dataclass(frozen=True, slots=True)
class _Question:
    """One message of a client; ``options`` holds the first of each code."""

    xid: int
    flags: int
    address: bytes  # the one it uses already, or none
    client: bytes
    options: dict[int, bytes]

    def four(self, code: int) -> bytes | None:
        """An option that is an address; none if it is missing or of another length."""
        value = self.options.get(code)
        return value if value is not None and len(value) == 4 else None

    @property
    def boots(self) -> bool:
        """Whether firmware asks, in order to boot."""
        return self.options.get(_CLASS, b"").startswith(_PXE)


def _read(octets: bytes) -> _Question | None:
    """The question in a BOOTP message; none if it came through a relay or isn't DHCP on Ethernet."""
    bootp = header(dpkt.dhcp.DHCP, octets)
    if (bootp.hrd, bootp.hln) != _ETHERNET or bootp.op != _ASK or bootp.giaddr or bootp.chaddr[0] & 1:
        return None
    if bootp.magic != dpkt.dhcp.DHCP_MAGIC:
        return None
    address = struct.pack(">I", bootp.ciaddr)
    return _Question(bootp.xid, bootp.flags, address, bytes(bootp.chaddr[:6]), _options(bootp.data))


def _options(octets: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    at = 0
    while at < len(octets) and octets[at] != _END:
        if octets[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(octets) or at + 2 + octets[at + 1] > len(octets):
            raise MalformedError("a DHCP option that doesn't end")
        options.setdefault(octets[at], octets[at + 2 : at + 2 + octets[at + 1]])
        at += 2 + octets[at + 1]
    return options


class DhcpServer:
    """Gives each MAC one address of the partner's /24 network, and names the file to boot."""

    def __init__(self, own: Station, counts: PartnerCounts, boot_file: str) -> None:
        self._own = own
        self._counts = counts
        self._boot_file = boot_file.encode("ascii")
        self._leases = Leases(own.ip)

    def answer(self, datagram: Datagram, payload: bytes) -> list[bytes]:
        """To one message of a client."""
        question = _read(payload)
        kind = question.options.get(_KIND) if question is not None else None
        if question is None or kind is None or len(kind) != 1:
            self._counts.unserved += 1
            return []
        match kind[0]:
            case dpkt.dhcp.DHCPDISCOVER:
                return self._offer(question)
            case dpkt.dhcp.DHCPREQUEST:
                return self._grant(question)
            case dpkt.dhcp.DHCPDECLINE:
                self._leases.decline(question.client)
            case dpkt.dhcp.DHCPRELEASE:
                self._leases.release(question.client)
            case dpkt.dhcp.DHCPINFORM:
                return self._inform(question, datagram.source)
            case _:
                self._counts.unserved += 1
        return []

    def _offer(self, question: _Question) -> list[bytes]:
        self._counts.dhcp_offers += 1
        given = self._leases.of(question.client, question.four(_REQUESTED))
        return [self._reply(question, _OFFER, given)]

    def _grant(self, question: _Question) -> list[bytes]:
        server = question.four(_SERVER)
        if server is not None and server != self._own.ip:
            self._leases.release(question.client)  # it has chosen another
            return []
        wish = question.four(_REQUESTED) or question.address
        given = self._leases.of(question.client, wish)
        if wish != given:
            self._counts.dhcp_naks += 1
            return [self._reply(question, _NAK, NO_IP)]
        self._counts.dhcp_acks += 1
        return [self._reply(question, _ACK, given)]

    def _inform(self, question: _Question, source: Station) -> list[bytes]:
        if NO_IP in (question.address, source.ip) or question.address == self._own.ip:
            self._counts.unserved += 1
            return []
        self._counts.dhcp_acks += 1
        return [self._reply(question, _ACK, NO_IP)]

    def _reply(self, question: _Question, kind: int, given: bytes) -> bytes:
        boots = kind != _NAK and bool(question.boots or _FILE in question.options.get(_WANTED, b""))
        message: Any = dpkt.dhcp.DHCP(
            op=_REPLY,
            xid=question.xid,
            flags=question.flags,
            ciaddr=int.from_bytes(question.address if kind == _ACK else NO_IP, "big"),
            yiaddr=int.from_bytes(given, "big"),
            siaddr=int.from_bytes(self._own.ip if boots else NO_IP, "big"),
            chaddr=question.client,
            file=self._boot_file if boots else b"",
            opts=self._answers(question, kind, given, boots),
        )
        data = bytes(message).ljust(_LEAST_MESSAGE, b"\0")
        return udp_frame(self._own, _whereto(question, kind, given), SERVER_PORT, _CLIENT_PORT, data)

    def _answers(self, question: _Question, kind: int, given: bytes, boots: bool) -> list[tuple[int, bytes]]:
        own = self._own.ip
        answers = [(_KIND, bytes((kind,))), (_SERVER, own)]
        if given != NO_IP:
            times = (
                (_LEASE, _LEASE_SECONDS),
                (_RENEW, _LEASE_SECONDS // 2),
                (_REBIND, _LEASE_SECONDS * 7 // 8),
            )
            answers += [(code, struct.pack(">I", seconds)) for code, seconds in times]
        if kind != _NAK:
            answers += [(_MASK, b"\xff\xff\xff\0"), (_ROUTER, own), (_BROADCAST, own[:3] + b"\xff")]
        if boots:
            answers += [(_TFTP_SERVER, ".".join(map(str, own)).encode()), (_FILE, self._boot_file)]
        if boots and question.boots:
            answers += [(_CLASS, _PXE), (_VENDOR, _PXE_DIRECT)]
        # What a client is known by is said back to it: RFC 6842, and PXE for the machine's identifier.
        answers += [
            (code, question.options[code]) for code in (_CLIENT, _MACHINE) if code in question.options
        ]
        return answers


def _whereto(question: _Question, kind: int, given: bytes) -> Station:
    """RFC 2131, 4.1: to the address in use, else to the one given, unless it can't be reached there yet."""
    if kind == _NAK or (question.address == NO_IP and question.flags & _WANTS_BROADCAST):
        return Station(BROADCAST_MAC, BROADCAST_IP)
    return Station(question.client, question.address if question.address != NO_IP else given)
