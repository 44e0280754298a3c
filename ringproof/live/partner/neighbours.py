"""ARP: whose the partner's address is, and whether the guest is still there (RFC 826)."""

import dpkt

from .counts import PartnerCounts
from .wire import ARP, BROADCAST_MAC, NO_IP, MalformedError, Station, frame_of, header

_REQUEST = 1
_REPLY = 2
_ETHERNET = (1, 0x0800, 6, 4)


class Neighbours:
    """Answers requests for its own address, and asks now and then for that of whoever spoke last."""

    def __init__(self, own: Station, counts: PartnerCounts, probe_seconds: float) -> None:
        self._own = own
        self._counts = counts
        self._probe_seconds = probe_seconds
        self._last: Station | None = None
        self._next_probe = 0.0

    def heard(self, station: Station, now: float) -> None:
        """Remembers who spoke; the first probe follows a whole interval after the first word."""
        if station.ip == NO_IP or station.mac[0] & 1:
            return
        if self._last is None:
            self._next_probe = now + self._probe_seconds
        self._last = station

    def answer(self, octets: bytes, now: float) -> list[bytes]:
        """To one ARP packet, whoever asks."""
        arp = header(dpkt.arp.ARP, octets)
        if (arp.hrd, arp.pro, arp.hln, arp.pln) != _ETHERNET:
            raise MalformedError("ARP of something else than IPv4 on Ethernet")
        asker = Station(bytes(arp.sha), bytes(arp.spa))
        if asker.ip != self._own.ip:
            self.heard(asker, now)
        if arp.tpa != self._own.ip or asker.mac[0] & 1:
            self._counts.unserved += 1
            return []
        if arp.op == _REPLY:
            self._counts.arp_answers += 1
            return []
        if arp.op != _REQUEST:
            self._counts.unserved += 1
            return []
        self._counts.arp_replies += 1
        return [self._frame(asker.mac, _REPLY, asker)]

    def tick(self, now: float) -> list[bytes]:
        """The probe, if one is due."""
        if self._last is None or now < self._next_probe:
            return []
        self._next_probe = now + self._probe_seconds
        self._counts.arp_probes += 1
        return [self._frame(BROADCAST_MAC, _REQUEST, Station(bytes(6), self._last.ip))]

    def _frame(self, to: bytes, op: int, target: Station) -> bytes:
        own = self._own
        packet = dpkt.arp.ARP(op=op, sha=own.mac, spa=own.ip, tha=target.mac, tpa=target.ip)
        return frame_of(own, to, ARP, packet)
