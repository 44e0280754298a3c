"""Frames described in words: right headers and sums, the shape that was asked for, one line for each slip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, raw

from ringproof.errors import BadInputError
from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.journey.described import described


def frame(text: str) -> Frame:
    """The one frame of a description."""
    found, times = described(text)
    assert times == 1
    return found


def summed_by_scapy(data: bytes) -> bytes:
    """The frame as scapy would have sent it: lengths and checksums its own."""
    packet = Ether(data)
    for layer, fields in (
        (IP, ("chksum", "len")),
        (IPv6, ("plen",)),
        (TCP, ("chksum",)),
        (UDP, ("chksum", "len")),
    ):
        if layer in packet:
            for name in fields:
                delattr(packet[layer], name)
    return bytes(raw(packet))


@pytest.mark.parametrize("kind", ["tcp4", "tcp6", "udp4", "udp6"])
@pytest.mark.parametrize(
    "words", ["", "len=1514", "len=99", "vlan=5", "vlan=5 vlan=4095 len=201", "len=65000"]
)
def test_headers_are_right(kind: str, words: str) -> None:
    """Scapy, asked to fill in lengths and checksums, gets the same bytes."""
    data = frame(f"{kind} {words}").data
    assert summed_by_scapy(data) == data
    assert len(data) == next((int(w[4:]) for w in words.split() if w.startswith("len=")), 128)
    packet = Ether(data)
    assert (TCP if kind.startswith("tcp") else UDP) in packet
    assert (IPv6 if kind.endswith("6") else IP) in packet
    tags = [int(word[5:]) for word in words.split() if word.startswith("vlan=")]
    assert [packet.getlayer(Dot1Q, at + 1).vlan for at in range(len(tags))] == tags


@pytest.mark.parametrize("kind", ["tcp4", "tcp6", "udp4", "udp6"])
def test_a_checksum_left_to_the_device_holds_the_pseudo_header(kind: str) -> None:
    """Summing from csum_start on, the field included, gives the checksum that scapy computes."""
    found = frame(f"{kind} len=333 vlan=2 csum")
    data = bytearray(found.data)
    at = found.csum_start + found.csum_offset
    summed = data[found.csum_start :] + bytes(1)
    total = sum(int.from_bytes(summed[i : i + 2], "big") for i in range(0, len(summed) - 1, 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    data[at : at + 2] = (0xFFFF - total).to_bytes(2, "big")
    assert found.checksum
    assert summed_by_scapy(bytes(data)) == bytes(data)


def test_the_shape_is_what_was_asked() -> None:
    """Linear part, fragments and the packets of the list get the bytes in this order."""
    found = frame("udp4 len=1000 frags=100@8,0,50@4000 list=300,200(100@8,50;20(;5))")
    data = found.data
    assert len(data) == 1000
    packet = found.packet
    assert [(f.offset, len(f.data)) for f in packet.fragments] == [(8, 100), (0, 0), (4000, 50)]
    assert len(packet.head) == 1000 - 150 - 300 - 375
    first, second = packet.packets
    assert first == Packet(data[-675:-375])
    assert second == Packet(
        data[-375:-175],
        (Fragment(8, data[-175:-75]), Fragment(0, data[-75:-25])),
        (Packet(data[-25:-5], (), (Packet(data[-5:]),)),),
    )


def test_words_set_what_they_name() -> None:
    """Checksum, segmentation, ECN, queue and processor end up in the frame."""
    found = frame("tcp4 len=4000 gso=1448 csum ecn queue=3 cpu=2")
    assert (found.csum_start, found.csum_offset, found.gso, found.gso_size) == (34, 16, Gso.TCPV4, 1448)
    assert (found.ecn, found.recorded_queue, found.cpu) == (True, 3, 2)
    assert Ether(found.data)[TCP].flags.C
    assert frame("udp6 gso=100").gso is Gso.UDP
    assert frame("tcp6 gso=100").gso is Gso.TCPV6
    assert frame("eth gso=100 kind=unknown").gso is Gso.UNKNOWN
    assert described("eth times=7")[1] == 7


def test_bytes_in_hex() -> None:
    """Hex gives the bytes themselves, cut as asked, with a checksum where it is said to be."""
    found = frame("hex=" + bytes(range(40)).hex() + " frags=10@6 csum=20+4 gso=8 kind=tcp6")
    assert found.data == bytes(range(40))
    assert found.packet.fragments == (Fragment(6, bytes(range(30, 40))),)
    assert (found.csum_start, found.csum_offset, found.gso) == (20, 4, Gso.TCPV6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing is described"),
        ("tcp9", "'tcp9': no kind of frame; known: tcp4"),
        ("tcp4 len=0", "'len=0': 0 is not from 1 to 65550"),
        ("tcp4 len=-4", "'len=-4': '-4' is no decimal number"),
        ("tcp4 len=40", "'len=40': the headers of tcp4 alone have 66 bytes"),
        ("tcp4 len=65550", "'len=65550': a frame of tcp4 has at most 65549 bytes"),
        ("udp4 len=9 len=8", "'len=8': len was said already"),
        ("tcp4 frags=5000", "'frags=5000': a fragment of 5000 bytes at offset 0 ends past its page of 4096"),
        ("tcp4 frags=10@4090", "'frags=10@4090': a fragment of 10 bytes at offset 4090 ends past its page"),
        ("tcp4 frags=a", "'frags=a': 'a' has no meaning here"),
        ("tcp4 frags=1,,2", "'frags=1,,2': ',' where there should be a number of bytes"),
        ("tcp4 frags=1)", "'frags=1)': ')' where it could end"),
        ("tcp4 list=3(4", "'list=3(4': the end where there should be a ')'"),
        ("tcp4 list=99999999", "'list=99999999': 99999999 bytes; the longest frame there is has 65550"),
        ("tcp4 list=" + "1(;" * 70, "packets nested more than 64 deep"),
        ("tcp4 len=100 frags=200", "'frags': 200 bytes beside the linear part of a frame of 100"),
        ("tcp4 foo", "'foo': no word of a frame; known: len"),
        ("tcp4 gso", "'gso': gso takes a value"),
        ("tcp4 ecn=1", "'ecn=1': ecn takes no value"),
        ("tcp4 gso=70000", "'gso=70000': 70000 is not from 0 to 65535"),
        ("tcp4 gso=1 kind=fcoe", "'kind=fcoe': no kind of segments; known: tcp4"),
        ("tcp4 kind=udp", "'kind': there is no gso=N"),
        ("eth csum", "'csum': eth frames need csum=START+OFFSET"),
        ("eth gso=3", "'gso=3': eth frames need kind=, too"),
        ("tcp4 csum=4", "'csum=4': not START+OFFSET"),
        ("tcp4 csum=900+4", "the checksum ends at byte 906 of a frame of 128 bytes"),
        ("hex=abc", "'hex=abc': not bytes"),
        ("hex=", "'hex=': not bytes"),
        ("hex=aa len=3", "'len=3': hex says the bytes"),
        ("hex=aa vlan=3", "'vlan=3': hex says the bytes"),
        ("tcp4 vlan=4096", "'vlan=4096': 4096 is not from 0 to 4095"),
        ("tcp4 times=0", "'times=0': 0 is not from 1 to"),
        ("hex=" + "00" * 65551, "a frame of 65551 bytes is longer than 65550"),
    ],
)
def test_slips_are_one_line_naming_the_word(text: str, message: str) -> None:
    """Whatever is wrong is said in one line, short, with the word it is about."""
    with pytest.raises(BadInputError) as caught:
        described(text)
    line = str(caught.value)
    assert message in line
    assert "\n" not in line
    assert len(line) < 250


@given(st.text(alphabet="tcpudeth46=frgslnx0123456789,@();+ ", max_size=60))
def test_any_text_is_a_frame_or_one_line(text: str) -> None:
    """No description ends in anything but a frame or the error it should."""
    message = ""
    try:
        found, times = described(text)
    except BadInputError as error:
        message = str(error)
    assert message.count("\n") == 0
    assert message or (found.data and times)
