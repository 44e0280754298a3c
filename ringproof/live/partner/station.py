"""The traffic partner: one host on the wire of the guest."""

from ipaddress import IPv4Address

import dpkt

from .counts import PartnerCounts
from .dhcp import SERVER_PORT as DHCP_PORT
from .dhcp import DhcpServer
from .messages import Messages
from .neighbours import Neighbours
from .stream import ECHO_PORT
from .tcp import TcpHost
from .tftp import BOOT_FILE, FIRST_PORT, LAST_PORT, TftpServer
from .tftp import SERVER_PORT as TFTP_PORT
from .wire import (
    BROADCAST_IP,
    BROADCAST_MAC,
    ETHER_BYTES,
    ICMP,
    ICMPV6,
    LARGEST_FRAME,
    NO_IP,
    TCP,
    UDP,
    Datagram,
    MalformedError,
    Station,
    SumError,
    header,
    read_ipv4,
    read_ipv6,
    require_sum,
    udp_frame,
)

_LEAST_MTU = 576  # what every host of IPv4 takes


class Partner:
    """Answers the frames of a guest, so that it goes on sending.

    It has one address of a /24 network, and answers ARP, ICMP echo, DHCP with PXE, TFTP, UDP echo (port 7)
    and TCP (every port: a sink, but 7 echoes and 19 sends for ever), and for IPv6 neighbour discovery and
    echo on its link-local address. It speaks unasked only to those who have spoken. Times are seconds of any
    clock that doesn't go back. Nothing a guest sends makes it raise, or keep more than a few megabytes.

    ``mtu`` bounds what it sends, but for echoes of longer ICMP messages. ``largest_block`` (bytes) and
    ``largest_window`` (blocks) bound what TFTP clients get. Raises ValueError for a mac or ip that is none,
    and for numbers out of range: mtu 576 to 65,535, blocks 8 to 65,464, windows 1 to 16, boot_bytes >= 0.
    """

    def __init__(
        self,
        mac: str = "52:54:00:12:34:01",
        ip: str = "10.0.0.1",
        *,
        mtu: int = 1500,
        boot_bytes: int = 64 << 20,
        largest_block: int = 512,
        largest_window: int = 1,
        probe_seconds: float = 5.0,
    ) -> None:
        self.own = Station(bytes.fromhex(mac.replace(":", "")), IPv4Address(ip).packed)
        if len(self.own.mac) != 6 or self.own.mac[0] & 1:
            raise ValueError(f"{mac} is no address of one station")
        if not _LEAST_MTU <= mtu <= 65_535:
            raise ValueError(f"mtu {mtu} is not in {_LEAST_MTU} to 65535")
        if not 8 <= largest_block <= 65_464 or not 1 <= largest_window <= 16 or boot_bytes < 0:
            raise ValueError(
                f"TFTP blocks of {largest_block}, windows of {largest_window}, {boot_bytes} bytes"
            )
        self.counts = PartnerCounts()
        self._mtu = mtu
        self._neighbours = Neighbours(self.own, self.counts, probe_seconds)
        self._messages = Messages(self.own, self.counts)
        self._dhcp = DhcpServer(self.own, self.counts, BOOT_FILE)
        self._tftp = TftpServer(
            self.own,
            self.counts,
            boot_bytes=boot_bytes,
            mtu=mtu,
            largest_block=largest_block,
            largest_window=largest_window,
        )
        self._tcp = TcpHost(self.own, self.counts, mtu)
        self._broadcasts = (BROADCAST_IP, self.own.ip[:3] + b"\xff")

    def receive(self, frame: bytes, now: float, offloaded: bool = True) -> list[bytes]:
        """What the partner answers to one frame, which starts with its Ethernet header; at most 16 frames.

        ``offloaded``: checksums of transports may be incomplete, and are not looked at; a frame may be one
        that is still to be cut into segments. Whatever the bytes are, nothing is raised.
        """
        self.counts.frames += 1
        answers: list[bytes] = []
        try:
            answers = self._answer(frame, now, offloaded)
        except MalformedError:
            self.counts.malformed += 1
        except SumError:
            self.counts.bad_sums += 1
        self.counts.sent += len(answers)
        return answers

    def tick(self, now: float) -> list[bytes]:
        """What the partner sends unasked at ``now``: repetitions, and now and then the question who is there.

        Nothing if nobody has ever spoken. To be called some ten times a second.
        """
        frames = [*self._neighbours.tick(now), *self._tftp.tick(now), *self._tcp.tick(now)]
        self.counts.sent += len(frames)
        return frames

    def _answer(self, frame: bytes, now: float, offloaded: bool) -> list[bytes]:
        ether = header(dpkt.ethernet.Ethernet, frame[:ETHER_BYTES])
        mac = bytes(ether.src)
        mine = ether.dst in (self.own.mac, BROADCAST_MAC) or ether.dst[:2] == b"\x33\x33"
        if not mine or mac[0] & 1 or mac == self.own.mac:
            self.counts.foreign += 1
            return []
        if len(frame) > LARGEST_FRAME:
            raise MalformedError("longer than any frame")
        octets = frame[ETHER_BYTES:]
        match ether.type:
            case dpkt.ethernet.ETH_TYPE_ARP:
                return self._neighbours.answer(octets, now)
            case dpkt.ethernet.ETH_TYPE_IP:
                return self._answer_ipv4(read_ipv4(mac, octets), now, offloaded)
            case dpkt.ethernet.ETH_TYPE_IP6:
                datagram = read_ipv6(mac, octets)
                if datagram.protocol == ICMPV6:
                    return self._messages.answer6(datagram, offloaded)
        self.counts.unserved += 1
        return []

    def _answer_ipv4(self, datagram: Datagram | None, now: float, offloaded: bool) -> list[bytes]:
        if datagram is None:
            self.counts.unserved += 1
            return []
        source = datagram.source.ip
        if not self._reaches(datagram) or source[0] >= 224 or source == self.own.ip:
            self.counts.foreign += 1
            return []
        self._neighbours.heard(datagram.source, now)
        if datagram.protocol == UDP:
            return self._answer_udp(datagram, now, offloaded)
        if source != NO_IP and datagram.destination == self.own.ip:
            if datagram.protocol == ICMP:
                return self._messages.answer(datagram)
            if datagram.protocol == TCP:
                return self._tcp.answer(datagram, now, offloaded)
        self.counts.unserved += 1
        return []

    def _reaches(self, datagram: Datagram) -> bool:
        return datagram.destination == self.own.ip or datagram.destination in self._broadcasts

    def _answer_udp(self, datagram: Datagram, now: float, offloaded: bool) -> list[bytes]:
        udp = header(dpkt.udp.UDP, datagram.payload)
        if not 8 <= udp.ulen <= len(datagram.payload):
            raise MalformedError("lengths of a UDP datagram")
        if udp.sum != 0 and not offloaded:
            require_sum(datagram)
        payload = datagram.payload[8 : udp.ulen]
        sport, dport = int(udp.sport), int(udp.dport)
        if dport == DHCP_PORT:
            return self._dhcp.answer(datagram, payload)
        if datagram.destination == self.own.ip and datagram.source.ip != NO_IP:
            if dport == TFTP_PORT or FIRST_PORT <= dport <= LAST_PORT:
                return self._tftp.answer(datagram, sport, dport, payload, now)
            # Two echoes would talk for ever; what is larger than a packet was to be cut on the way.
            if dport == ECHO_PORT != sport and len(payload) + 28 <= self._mtu:
                self.counts.udp_echoes += 1
                return [udp_frame(self.own, datagram.source, dport, sport, payload)]
        self.counts.unserved += 1
        return []
