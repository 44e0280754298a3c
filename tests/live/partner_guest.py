"""A guest made of scapy: it asks the partner, and dissects each answer without the partner's own code."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6ND_NA, IPv6
from scapy.layers.l2 import Ether

from ringproof.live.partner import Partner

MAC, ADDRESS = "52:54:00:aa:bb:cc", "10.0.0.9"
PARTNER_MAC, PARTNER_ADDRESS = "52:54:00:12:34:01", "10.0.0.1"
BROADCAST = "ff:ff:ff:ff:ff:ff"


def checked(frame: bytes) -> Any:
    """The frame dissected; lengths and checksums must be those scapy itself would fill in."""
    assert len(frame) >= 60
    ether = Ether(frame)
    assert ether.src == PARTNER_MAC
    again = Ether(frame)
    for layer in (IP, UDP, TCP, ICMP, IPv6, ICMPv6EchoReply, ICMPv6ND_NA):
        if layer in again:
            for name in ("chksum", "cksum", "len", "plen"):
                if name in again[layer].fields:
                    delattr(again[layer], name)
    assert bytes(again) == frame
    return ether


@dataclass
class Guest:
    """One guest and its partner; ``now`` is the clock of both."""

    partner: Partner = field(default_factory=Partner)
    mac: str = MAC
    address: str = ADDRESS
    now: float = 100.0
    offloaded: bool = False

    def packet(self, payload: Any) -> Any:
        """An IPv4 packet to the partner."""
        ether = Ether(src=self.mac, dst=PARTNER_MAC)
        return ether / IP(src=self.address, dst=PARTNER_ADDRESS) / payload

    def ask(self, frame: Any) -> list[Any]:
        """The partner's answers to a frame."""
        answers = self.partner.receive(bytes(frame), self.now, offloaded=self.offloaded)
        return [checked(answer) for answer in answers]

    def send(self, payload: Any) -> list[Any]:
        """The answers to an IPv4 packet."""
        return self.ask(self.packet(payload))

    def only(self, payload: Any) -> Any:
        """The one answer there must be to an IPv4 packet."""
        (answer,) = self.send(payload)
        return answer

    def wait(self, seconds: float) -> list[Any]:
        """What comes unasked when the guest says nothing for a while."""
        self.now += seconds
        return [checked(frame) for frame in self.partner.tick(self.now)]

    def waits(self, seconds: float, step: float = 0.1) -> Iterator[Any]:
        """What comes unasked within that time, as the partner is asked every ``step`` seconds."""
        end = self.now + seconds
        while self.now < end:
            yield from self.wait(step)
