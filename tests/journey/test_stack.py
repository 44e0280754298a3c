"""The stack lets pass what the link carries, and says in one line what it does not."""

import pytest

from ringproof.errors import BadInputError
from ringproof.impl.harness.frames import Frame, Packet
from ringproof.journey.described import described
from ringproof.journey.stack import admit, link_header, longest_segment

from .test_wire import left


@pytest.mark.parametrize(
    ("text", "mtu", "passes"),
    [
        ("eth len=1514", 1500, True),
        ("eth len=1515", 1500, False),
        ("udp4 len=1518 vlan=1", 1500, True),
        ("udp4 len=1519 vlan=1", 1500, False),
        ("udp4 len=1522 vlan=1 vlan=2", 1500, True),
        ("udp4 len=1523 vlan=1 vlan=2", 1500, False),
        ("tcp4 len=9014", 9000, True),
        ("tcp4 len=65549 csum gso=1448", 1500, True),
        ("tcp4 len=65549 csum gso=1449", 1500, False),
        ("tcp6 len=65549 csum gso=1428", 1500, True),
        ("tcp6 len=65549 csum gso=1429", 1500, False),
        ("tcp4 len=500 csum gso=60000", 1500, True),
        ("udp4 len=9000 csum gso=1487", 1500, True),
        ("udp4 len=9000 csum gso=1488", 1500, False),
        ("udp6 len=9000 csum gso=1452", 1500, True),
        ("udp6 len=9000 csum gso=1456", 1500, False),
        ("udp6 len=1514 csum gso=1460", 1500, True),
        # What the driver drops anyway is for the driver to drop.
        ("tcp4 len=9000 gso=9000", 1500, True),
        ("tcp4 len=9000 gso=9000 kind=unknown", 1500, True),
    ],
)
def test_the_mtu_counts_behind_the_link_header(text: str, mtu: int, passes: bool) -> None:
    """MTU and Ethernet header with its tags bound a frame, or its segments if it is cut."""
    frame = described(text)[0]
    if passes:
        admit(frame, mtu, "name")
        return
    with pytest.raises(BadInputError, match=r"^name: .* with an MTU of .* pass$"):
        admit(frame, mtu, "name")


def test_a_frame_has_an_ethernet_header() -> None:
    """Thirteen bytes are none."""
    with pytest.raises(BadInputError, match="13 bytes are fewer than an Ethernet header"):
        admit(Frame(Packet(bytes(13))), 1500, "name")
    admit(Frame(Packet(bytes(14))), 1500, "name")
    assert link_header(bytes(12) + b"\x81\x00") == 14


@pytest.mark.parametrize("size", [8, 100, 1001, 1448, 5000])
@pytest.mark.parametrize("kind", ["tcp4", "tcp6", "udp4", "udp6"])
def test_the_longest_segment_is_the_devices(kind: str, size: int) -> None:
    """The length foreseen is that of the longest frame that leaves."""
    frame = described(f"{kind} len=4321 vlan=1 csum gso={size}")[0]
    assert longest_segment(frame) == max(map(len, left(frame)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tcp6 len=900 csum gso=100 kind=tcp4", "gso_type TCPV4, but the frame is IPv6"),
        ("udp4 len=900 csum gso=100 kind=tcp4", "IP protocol is 17, not 6"),
        ("tcp4 len=900 csum=34+6 gso=100", "csum_start 34 and csum_offset 6"),
        ("eth len=900 csum=14+2 gso=100 kind=udp", "ethertype 0x88b5 is not IP"),
        ("udp4 len=900 csum gso=7", "too small for fragments"),
    ],
)
def test_no_stack_makes_a_frame_of_what_it_is_not(text: str, why: str) -> None:
    """Segmentation that does not fit the frame's own headers is refused, with the device's reason."""
    with pytest.raises(BadInputError, match=f"^name: no device can do that: .*{why}"):
        admit(described(text)[0], 1500, "name")
