"""The partner's DHCP server, asked and dissected by scapy."""

from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import mac2str

from ringproof.live.partner import PartnerCounts
from tests.live.partner_guest import BROADCAST, MAC, PARTNER_ADDRESS, Guest

_MACHINE = b"\x00" + bytes(range(16))
# What OVMF's PXE client says of itself, and asks for.
_PXE: list[tuple[str, Any]] = [
    ("vendor_class_id", b"PXEClient:Arch:00007:UNDI:003001"),
    ("pxe_client_machine_identifier", _MACHINE),
]
_PXE += [("param_req_list", [1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54])]


def _message(kind: str, *options: Any, mac: str = MAC, **bootp: Any) -> Any:
    source = bootp.get("ciaddr", "0.0.0.0")
    packet = Ether(src=mac, dst=BROADCAST) / IP(src=source, dst="255.255.255.255")
    fields = {"op": 1, "xid": 0x1337, "flags": 0x8000, "chaddr": mac2str(mac), **bootp}
    named = [("message-type", kind), *options, "end"]
    return packet / UDP(sport=68, dport=67) / BOOTP(**fields) / DHCP(options=named)


def _told(answer: Any) -> dict[str, Any]:
    pairs = (option for option in answer[DHCP].options if isinstance(option, tuple))
    return {option[0]: option[1] for option in pairs}


def _only(guest: Guest, message: Any) -> tuple[Any, dict[str, Any]]:
    (answer,) = guest.ask(message)
    assert (answer[UDP].sport, answer[UDP].dport) == (67, 68)
    assert (answer[BOOTP].op, answer[BOOTP].xid) == (2, 0x1337)
    assert answer[BOOTP].chaddr[:6] == mac2str(message.src)
    assert answer[UDP].len >= 308
    return answer, _told(answer)


def test_a_whole_exchange() -> None:
    """DISCOVER, OFFER, REQUEST, ACK: an address of the partner's network, a lease, a mask and a router."""
    guest = Guest()
    offer, told = _only(guest, _message("discover"))
    given = offer[BOOTP].yiaddr
    assert told["message-type"] == 2
    assert given.rsplit(".", 1)[0] == "10.0.0"
    assert given != PARTNER_ADDRESS
    wish = [("server_id", told["server_id"]), ("requested_addr", given)]
    ack, told = _only(guest, _message("request", *wish))
    assert (told["message-type"], ack[BOOTP].yiaddr) == (5, given)
    assert told["lease_time"] > told["rebinding_time"] > told["renewal_time"] > 0
    assert (told["subnet_mask"], told["router"], told["server_id"]) == (
        "255.255.255.0",
        PARTNER_ADDRESS,
        PARTNER_ADDRESS,
    )
    assert "boot-file-name" not in told
    assert ack[BOOTP].siaddr == "0.0.0.0"
    assert guest.partner.counts == PartnerCounts(frames=2, sent=2, dhcp_offers=1, dhcp_acks=1)


def test_firmware_learns_what_to_boot() -> None:
    """A PXE client gets the server, the file, its own class and no boot menu, and its identifier back."""
    guest = Guest()
    answer, told = _only(guest, _message("discover", *_PXE))
    assert answer[BOOTP].siaddr == PARTNER_ADDRESS
    assert answer[BOOTP].file.rstrip(b"\0") == b"boot"
    assert told["vendor_class_id"] == b"PXEClient"
    assert told["vendor_specific"] == b"\x06\x01\x08\xff"
    assert told["tftp_server_name"] == PARTNER_ADDRESS.encode()
    assert told["boot-file-name"] == b"boot"
    assert told["pxe_client_machine_identifier"] == _MACHINE
    asking = _message("request", ("requested_addr", answer[BOOTP].yiaddr), *_PXE)
    assert _only(guest, asking)[1]["boot-file-name"] == b"boot"


def test_a_file_for_who_asks_for_one() -> None:
    """Without being a PXE client one may ask for the boot file, and gets it without PXE's options."""
    _, told = _only(Guest(), _message("discover", ("param_req_list", [1, 67])))
    assert told["boot-file-name"] == b"boot"
    assert "vendor_class_id" not in told
    assert "vendor_specific" not in told


@pytest.mark.parametrize(
    ("flags", "ciaddr", "mac", "address"),
    [
        (0x8000, "0.0.0.0", BROADCAST, "255.255.255.255"),
        (0, "0.0.0.0", MAC, "10.0.0.2"),
        (0, "10.0.0.2", MAC, "10.0.0.2"),
        (0x8000, "10.0.0.2", MAC, "10.0.0.2"),
    ],
)
def test_where_an_answer_goes(flags: int, ciaddr: str, mac: str, address: str) -> None:
    """To the address in use, else to all if wanted so, else to the address given."""
    answer, _ = _only(
        Guest(), _message("request", ("requested_addr", "10.0.0.2"), flags=flags, ciaddr=ciaddr)
    )
    assert (answer.dst, answer[IP].dst) == (mac, address)


@pytest.mark.parametrize(
    ("asked", "bootp"),
    [
        ([("requested_addr", "192.168.1.7")], {}),
        ([("requested_addr", PARTNER_ADDRESS)], {}),
        ([("requested_addr", "10.0.0.255")], {}),
        ([("requested_addr", "10.0.0.77"), ("server_id", PARTNER_ADDRESS)], {}),
        ([], {"ciaddr": "172.16.0.4"}),
        ([], {}),
    ],
)
def test_foreign_addresses_are_refused(asked: list[Any], bootp: dict[str, Any]) -> None:
    """A NAK, to all and without an address, for what isn't of this network or was not given to the client."""
    guest = Guest()
    _only(guest, _message("discover"))
    answer, told = _only(guest, _message("request", *asked, **bootp))
    assert (told["message-type"], answer[BOOTP].yiaddr, answer[BOOTP].ciaddr) == (6, "0.0.0.0", "0.0.0.0")
    assert (answer.dst, answer[IP].dst) == (BROADCAST, "255.255.255.255")
    assert "lease_time" not in told
    assert guest.partner.counts.dhcp_naks == 1


def test_everyone_keeps_their_own() -> None:
    """Clients have different addresses, get theirs again, and a released one goes to the next who comes."""
    guest = Guest()
    macs = [f"52:54:00:00:00:{number:02x}" for number in range(10)]
    given = [_only(guest, _message("discover", mac=mac))[0][BOOTP].yiaddr for mac in macs]
    assert len(set(given)) == 10
    again = [_only(guest, _message("discover", mac=mac))[0][BOOTP].yiaddr for mac in macs]
    assert again == given
    assert guest.ask(_message("release", mac=macs[3], ciaddr=given[3])) == []
    assert _only(guest, _message("discover", mac="52:54:00:00:01:00"))[0][BOOTP].yiaddr == given[3]


def test_a_declined_address_is_not_given_again() -> None:
    """Who finds its address taken gets another; if all are, they are given again all the same."""
    guest = Guest()
    discover, decline = bytes(_message("discover")), bytes(_message("decline"))
    seen = set()
    for _ in range(253):
        (offer,) = guest.partner.receive(discover, guest.now)
        seen.add(offer[58:62])  # yiaddr
        assert guest.partner.receive(decline, guest.now) == []
    assert seen == {bytes((10, 0, 0, host)) for host in range(2, 255)}
    assert _only(guest, _message("discover"))[0][BOOTP].yiaddr == "10.0.0.2"


def test_many_clients_are_forgotten_in_turn() -> None:
    """Any number of clients is served; only so many are remembered."""
    guest = Guest()
    for number in range(100):
        mac = f"52:54:00:00:{number >> 8:02x}:{number & 0xFF:02x}"
        assert _only(guest, _message("discover", mac=mac))[1]["message-type"] == 2


def test_inform_gives_everything_but_an_address() -> None:
    """A host that has an address of its own is told the rest, there."""
    answer, told = _only(Guest(), _message("inform", ciaddr="10.0.0.40"))
    assert (told["message-type"], answer[BOOTP].yiaddr, answer[IP].dst) == (5, "0.0.0.0", "10.0.0.40")
    assert "lease_time" not in told
    assert told["router"] == PARTNER_ADDRESS


def test_whom_the_server_leaves_alone() -> None:
    """Another server's client, a relay, BOOTP without DHCP, other hardware and replies get no answer."""
    guest = Guest()
    other = [("server_id", "10.0.0.3"), ("requested_addr", "10.0.0.2")]
    untyped = _message("discover")
    untyped[DHCP].options = [("hostname", b"x"), "end"]
    silent = [
        _message("request", *other),
        _message("discover", giaddr="10.0.0.8"),
        _message("discover", hlen=8),
        _message("discover", op=2),
        _message("inform"),
        _message("offer"),
        untyped,
    ]
    for message in silent:
        assert guest.ask(message) == []
    assert guest.partner.counts.sent == 0


def test_an_option_that_does_not_end() -> None:
    """A message whose options run out of it is malformed."""
    guest = Guest()
    message = _message("discover")
    message[DHCP].options = [("message-type", 1), (12, b"x"), "end"]
    whole = bytes(message)
    cut = Ether(whole[: whole.rindex(b"\x0c\x01x") + 2])
    del cut[IP].len, cut[IP].chksum, cut[UDP].len, cut[UDP].chksum
    assert guest.ask(cut) == []
    assert guest.partner.counts.malformed == 1
