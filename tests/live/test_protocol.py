"""Every request of the vhost-user protocol: right, of a wrong size, with wrong descriptors, torn."""

import os
import socket
import struct

import pytest

from ringproof.live.session import ALL_PROTOCOL, Because, Options, ProtocolFeature, Trouble
from ringproof.live.tallies import Check, pair
from ringproof.live.trouble import told

from . import vhost_peer as v
from .vhost_peer import Peer, mem_table, no_leak, region, ring_addresses, state, u64

RIGHT: dict[int, tuple[bytes, int]] = {
    v.GET_FEATURES: (b"", 0),
    v.SET_FEATURES: (u64(v.VERSION_1 | v.PROTOCOL), 0),
    v.SET_OWNER: (b"", 0),
    v.RESET_OWNER: (b"", 0),
    v.SET_MEM_TABLE: (mem_table(region()), 1),
    v.SET_LOG_BASE: (u64(4096) + u64(0), 1),
    v.SET_LOG_FD: (b"", 1),
    v.SET_VRING_NUM: (state(1, 64), 0),
    v.SET_VRING_ADDR: (ring_addresses(1), 0),
    v.SET_VRING_BASE: (state(1, 5), 0),
    v.GET_VRING_BASE: (state(1, 0), 0),
    v.SET_VRING_KICK: (u64(1), 1),
    v.SET_VRING_CALL: (u64(1), 1),
    v.SET_VRING_ERR: (u64(1), 1),
    v.GET_PROTOCOL_FEATURES: (b"", 0),
    v.SET_PROTOCOL_FEATURES: (u64(8), 0),
    v.GET_QUEUE_NUM: (b"", 0),
    v.SET_VRING_ENABLE: (state(0, 1), 0),
    v.SEND_RARP: (u64(0x563412005452), 0),
    v.NET_SET_MTU: (u64(9000), 0),
    v.SET_BACKEND_REQ_FD: (b"", 1),
    v.GET_CONFIG: (struct.pack("<III", 0, 12, 0) + bytes(12), 0),
    v.SET_CONFIG: (struct.pack("<III", 0, 6, 1) + b"\2\0\0\0\0\7", 0),
    v.RESET_DEVICE: (b"", 0),
    v.GET_MAX_MEM_SLOTS: (b"", 0),
    v.ADD_MEM_REG: (u64(0) + region(), 1),
    v.REM_MEM_REG: (u64(0) + region(), 0),
    v.SET_STATUS: (u64(1), 0),
    v.GET_STATUS: (b"", 0),
}
"""Payload and number of descriptors of each request that is served."""

OF_A_QUEUE = (
    v.SET_VRING_NUM, v.SET_VRING_ADDR, v.SET_VRING_BASE, v.GET_VRING_BASE, v.SET_VRING_KICK, v.SET_VRING_CALL,
    v.SET_VRING_ERR, v.SET_VRING_ENABLE,
)  # fmt: skip
WITH_BODY = {
    v.GET_FEATURES, v.GET_PROTOCOL_FEATURES, v.GET_QUEUE_NUM, v.GET_VRING_BASE, v.GET_CONFIG,
    v.GET_MAX_MEM_SLOTS, v.GET_STATUS, v.SET_LOG_BASE,
}  # fmt: skip
ANY_SIZE = {v.SET_LOG_FD, v.SET_BACKEND_REQ_FD}
EVENTS = {v.SET_VRING_KICK, v.SET_VRING_CALL, v.SET_VRING_ERR}


def descriptors(peer: Peer, request: int) -> list[int]:
    """Those that a right message carries."""
    if not RIGHT[request][1]:
        return []
    return [peer.kicks[0] if request in EVENTS else peer.memory]


def prepared(request: int) -> Peer:
    """A session that is asked for acknowledgements, and has the region that is to be removed."""
    peer = Peer()
    peer.send(v.SET_PROTOCOL_FEATURES, u64(int(ProtocolFeature.REPLY_ACK)))
    if request == v.REM_MEM_REG:
        peer.share()
    peer.run()
    return peer


@pytest.mark.parametrize("request_number", sorted(RIGHT))
def test_right(request_number: int) -> None:
    """A right message is served, answered or acknowledged once, and leaves nothing behind."""
    payload, _ = RIGHT[request_number]
    with no_leak(), prepared(request_number) as peer:
        before = peer.session.view()
        if request_number in WITH_BODY:
            assert peer.ask(request_number, payload, descriptors(peer, request_number)) is not None
            assert peer.answer() is None
        answer = peer.ask(request_number, payload, descriptors(peer, request_number), flags=v.NEED_REPLY)
        assert answer is not None
        if request_number not in WITH_BODY:
            assert answer == u64(0)
        assert peer.answer() is None
        view = peer.session.view()
        assert peer.session.trouble()[0] is Trouble.NONE
        assert view.refused == 0
        assert view.messages == before.messages + 1 + (request_number in WITH_BODY)


@pytest.mark.parametrize("request_number", sorted(set(RIGHT) - ANY_SIZE))
@pytest.mark.parametrize("by", [-1, 3])
def test_wrong_size(request_number: int, by: int) -> None:
    """A payload that is too short or too long ends the connection, told by name; the answer says no first."""
    payload, _ = RIGHT[request_number]
    if by < 0 and not payload:
        payload = b"\0"
    payload = payload[:by] if by < 0 and len(payload) > 1 else payload + bytes(max(by, 0))
    with no_leak(), prepared(request_number) as peer:
        answer = peer.ask(request_number, payload, descriptors(peer, request_number), flags=v.NEED_REPLY)
        trouble, a, b = peer.session.trouble()
        if request_number in (v.GET_CONFIG, v.SET_CONFIG):
            assert trouble is Trouble.NONE
            assert answer == (b"" if request_number == v.GET_CONFIG else u64(1))
        else:
            assert (trouble, a, b) == (Trouble.SIZE, request_number, len(payload))
            assert v.REQUEST_NAMES[request_number] in told(trouble, a, b)
            assert answer == u64(1)
            assert Because.TROUBLE in peer.run()
        assert peer.session.view().refused == 1


@pytest.mark.parametrize("request_number", sorted(RIGHT))
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_wrong_descriptors(request_number: int, count: int) -> None:
    """More descriptors than a message carries, or fewer, end the connection; none of them stays open."""
    payload, needed = RIGHT[request_number]
    if count == needed or (request_number == v.REM_MEM_REG and count == 1):
        count = 3
    with no_leak(), prepared(request_number) as peer:
        peer.send(request_number, payload, [peer.memory] * count)
        assert Because.TROUBLE in peer.run()
        trouble, a, b = peer.session.trouble()
        assert (trouble, a) == (Trouble.FDS, request_number)
        assert b >> 32 == needed
        assert b & 0xFFFFFFFF == count or count == 40
        assert b & 0xFFFFFFFF != needed


@pytest.mark.parametrize("request_number", OF_A_QUEUE)
@pytest.mark.parametrize("queue", [2, 255, 0x7FFFFFFF])
def test_unknown_queue(request_number: int, queue: int) -> None:
    """A queue the device does not have is told with the request that names it."""
    payload, count = RIGHT[request_number]
    if request_number in EVENTS:
        payload, queue = u64(queue & 0xFF), queue & 0xFF
    else:
        payload = struct.pack("<I", queue) + payload[4:]
    with no_leak(), Peer() as peer:
        peer.send(request_number, payload, [peer.kicks[0]] * count)
        peer.run()
        assert peer.session.trouble() == (Trouble.QUEUE, request_number, queue)


@pytest.mark.parametrize("request_number", sorted(RIGHT))
def test_torn(request_number: int) -> None:
    """A front-end that dies in the middle of any message is told so, descriptors included."""
    payload, _ = RIGHT[request_number]
    whole = struct.pack("<III", request_number, 1, len(payload)) + payload
    for cut in {1, 11, 12, len(whole) - 1}:
        if cut >= len(whole):
            continue
        with no_leak(), Peer() as peer:
            peer.send_raw(whole[:cut], descriptors(peer, request_number))
            assert not peer.run() & (Because.TROUBLE | Because.CLOSED)
            peer.socket.close()
            assert Because.TROUBLE in peer.run()
            expected = len(whole) if cut >= 12 else 12
            assert peer.session.trouble() == (Trouble.TORN, cut, expected)


@pytest.mark.parametrize("request_number", sorted(RIGHT))
def test_in_pieces(request_number: int) -> None:
    """A message that comes byte by byte is the same message."""
    payload, _ = RIGHT[request_number]
    whole = struct.pack("<III", request_number, 1 | v.NEED_REPLY, len(payload)) + payload
    with no_leak(), prepared(request_number) as peer:
        before = peer.session.view().messages
        for at in range(len(whole)):
            peer.send_raw(whole[at : at + 1], descriptors(peer, request_number) if at == 0 else ())
            peer.run(rounds=1)
        answer = peer.answer()
        assert answer is not None
        assert answer[0] == request_number
        assert peer.session.view().messages == before + 1
        assert peer.session.trouble()[0] is Trouble.NONE


def test_answers() -> None:
    """What is asked for is answered as the session was told to be."""
    mac = b"\2\1\0\0\0\x21"
    options = Options(v.OFFERED, int(ALL_PROTOCOL), pairs=2, mtu=9000, mac=mac)
    with no_leak(), Peer(options) as peer:
        assert peer.ask(v.GET_FEATURES) == u64(v.OFFERED | v.PROTOCOL)
        assert peer.ask(v.GET_PROTOCOL_FEATURES) == u64(int(ALL_PROTOCOL))
        assert peer.ask(v.GET_QUEUE_NUM) == u64(2)
        assert peer.ask(v.GET_MAX_MEM_SLOTS) == u64(64)
        config = b"\2\1\0\0\0\x21" + struct.pack("<HHH", 1, 2, 9000)
        head = struct.pack("<III", 0, 20, 0)
        assert peer.ask(v.GET_CONFIG, head) == head + config + bytes(8)
        head = struct.pack("<III", 8, 4, 0)
        assert peer.ask(v.GET_CONFIG, head + bytes(4)) == head + config[8:]
        assert peer.ask(v.GET_VRING_BASE, state(3, 0)) == state(3, 0)
        assert peer.ask(v.GET_STATUS) == u64(0)


def test_config_beyond_its_end() -> None:
    """A part of the configuration space that there is not is refused by an empty answer."""
    with Peer() as peer:
        for offset, size in ((250, 7), (0, 257), (0xFFFFFFFF, 2), (0, 0)):
            assert peer.ask(v.GET_CONFIG, struct.pack("<III", offset, size, 0)) == b""
        assert peer.session.view().refused == 4
        assert peer.session.trouble()[0] is Trouble.NONE


def test_config_is_written_by_whom_it_may() -> None:
    """Legacy drivers may write their MAC address, a migration anything; nothing else is written."""
    with prepared(0) as peer:
        mac = struct.pack("<III", 0, 6, 0) + b"\2\0\0\0\0\x31"
        assert peer.acknowledged(v.SET_CONFIG, mac) == 1
        peer.send(v.SET_FEATURES, u64(v.PROTOCOL))
        assert peer.acknowledged(v.SET_CONFIG, mac) == 0
        head = struct.pack("<III", 0, 6, 0)
        assert peer.ask(v.GET_CONFIG, head) == mac
        assert peer.acknowledged(v.SET_CONFIG, struct.pack("<III", 6, 2, 0) + b"\0\0") == 1


def test_mtu() -> None:
    """An MTU that can be is taken and shown, another one is not."""
    with prepared(0) as peer:
        assert peer.acknowledged(v.NET_SET_MTU, u64(9000)) == 0
        assert peer.acknowledged(v.NET_SET_MTU, u64(67)) == 1
        assert peer.acknowledged(v.NET_SET_MTU, u64(65536)) == 1
        head = struct.pack("<III", 10, 2, 0)
        assert peer.ask(v.GET_CONFIG, head) == head + struct.pack("<H", 9000)


REFUSED = {
    v.IOTLB_MSG: (bytes(26), u64(1)),
    v.CREATE_CRYPTO_SESSION: (bytes(600), b"\xff" * 8 + bytes(592)),
    v.POSTCOPY_ADVISE: (b"", b""),
    v.POSTCOPY_END: (b"", u64(1)),
    v.GET_INFLIGHT_FD: (bytes(24), bytes(24)),
    43: (b"", u64(1)),
}
"""What is not offered and waits for an answer of its own kind: the payload, and the answer that says no."""


@pytest.mark.parametrize("request_number", sorted(REFUSED))
def test_refused_in_kind(request_number: int) -> None:
    """Requests that wait for an answer get the one that means no, and the connection goes on."""
    payload, expected = REFUSED[request_number]
    with no_leak(), Peer() as peer:
        assert peer.ask(request_number, payload) == expected
        assert peer.ask(v.GET_FEATURES) is not None
        assert peer.session.view().refused == 1


@pytest.mark.parametrize(
    "request_number",
    [0, v.SET_VRING_ENDIAN, v.CLOSE_CRYPTO_SESSION, v.POSTCOPY_LISTEN, v.SET_INFLIGHT_FD, v.GPU_SET_SOCKET,
     v.VRING_KICK, 41, 4711, 0xFFFFFFFF],
)  # fmt: skip
def test_refused_by_acknowledgement(request_number: int) -> None:
    """What is unknown is refused by an acknowledgement; where none is wanted, the connection ends."""
    with no_leak(), prepared(0) as peer:
        assert peer.acknowledged(request_number, bytes(8), [peer.memory]) == 1
        assert peer.session.view().refused == 1
        peer.send(request_number, bytes(8), [peer.memory])
        assert Because.TROUBLE in peer.run()
        assert peer.session.trouble() == (Trouble.REQUEST, request_number, 0)


def test_not_offered_is_not_served() -> None:
    """Without its protocol feature a request is as unknown as any other."""
    options = Options(device_features=v.OFFERED, protocol_features=int(ProtocolFeature.REPLY_ACK))
    with no_leak(), Peer(options) as peer:
        assert peer.ask(v.GET_PROTOCOL_FEATURES) == u64(8)
        peer.send(v.SET_PROTOCOL_FEATURES, u64(8))
        for request in (v.ADD_MEM_REG, v.RESET_DEVICE, v.NET_SET_MTU, v.SEND_RARP, v.SET_STATUS):
            payload, count = RIGHT[request]
            assert peer.acknowledged(request, payload, [peer.memory] * count) == 1
        assert peer.ask(v.GET_CONFIG, RIGHT[v.GET_CONFIG][0]) == b""
        peer.send(v.GET_STATUS)
        peer.run()
        assert peer.session.trouble() == (Trouble.REQUEST, v.GET_STATUS, 0)


def test_no_acknowledgement_that_was_not_agreed_on() -> None:
    """Without REPLY_ACK the flag that asks for one has no meaning."""
    with Peer() as peer:
        assert peer.ask(v.SET_OWNER, flags=v.NEED_REPLY) is None
        assert peer.session.view().owner


def test_protocol_features_that_were_not_offered() -> None:
    """Accepting them ends the connection, with the bits."""
    with Peer() as peer:
        peer.send(v.SET_PROTOCOL_FEATURES, u64(1 << 12 | 8))
        peer.run()
        assert peer.session.trouble() == (Trouble.REQUEST, v.SET_PROTOCOL_FEATURES, 1 << 12)
        assert "0x1000" in told(*peer.session.trouble())


@pytest.mark.parametrize(("flags", "named"), [(0, "0x0"), (2, "0x2"), (5, "0x5"), (0xFFFFFFFE, "0xfffffffe")])
def test_no_request_of_version_1(flags: int, named: str) -> None:
    """Another version, or an answer nobody has asked for, is not vhost-user."""
    with no_leak(), Peer() as peer:
        peer.send_raw(struct.pack("<III", 1, flags, 0), [peer.memory])
        peer.run()
        assert peer.session.trouble() == (Trouble.VERSION, 1, flags)
        assert named in told(*peer.session.trouble())


def test_too_long() -> None:
    """A length no message has is not waited for."""
    with Peer() as peer:
        peer.send_raw(struct.pack("<III", v.SET_CONFIG, 1, 4097))
        peer.run()
        assert peer.session.trouble() == (Trouble.TOO_LONG, v.SET_CONFIG, 4097)


@pytest.mark.parametrize("count", [0, 9, 0xFFFFFFFF])
def test_regions_that_are_too_many_or_none(count: int) -> None:
    """A table has one to eight regions."""
    with no_leak(), Peer() as peer:
        peer.send(v.SET_MEM_TABLE, struct.pack("<II", count, 0) + region() * 8, [peer.memory] * 8)
        peer.run()
        assert peer.session.trouble() == (Trouble.REGIONS, count, 8)
        assert ("share=on" in told(*peer.session.trouble())) == (count == 0)


@pytest.mark.parametrize(
    ("regions", "which", "error"),
    [
        ([region(size=0)], 0, 1),
        ([region(guest=(1 << 64) - 4096)], 0, 2),
        ([region(), region(user=v.USER + (1 << 20))], 1, 3),
        ([region(size=v.REGION + 1)], 0, 5),
        ([region(offset=1 << 62)], 0, 5),
    ],
)
def test_regions_that_cannot_be_taken(regions: list[bytes], which: int, error: int) -> None:
    """Each region is checked before it is used; the first that cannot be taken is told with the reason."""
    with no_leak(), prepared(0) as peer:
        assert peer.acknowledged(v.SET_MEM_TABLE, mem_table(*regions), [peer.memory] * len(regions)) == 1
        trouble, a, b = peer.session.trouble()
        assert (trouble, a) == (Trouble.MEMORY, pair(which, error))
        assert b == struct.unpack_from("<Q", regions[which])[0]


def test_slots() -> None:
    """Regions come and go one by one; one that is not there cannot go."""
    with no_leak(), prepared(0) as peer:
        second = u64(0) + region(v.GUEST + v.REGION, 4096, v.USER + v.REGION, 4096)
        assert peer.acknowledged(v.ADD_MEM_REG, u64(0) + region(), [peer.memory]) == 0
        assert peer.acknowledged(v.ADD_MEM_REG, second, [peer.memory]) == 0
        view = peer.session.view()
        assert (view.regions, view.memory) == (2, v.REGION + 4096)
        assert peer.acknowledged(v.REM_MEM_REG, second, [peer.memory]) == 0
        assert peer.session.view().regions == 1
        assert peer.acknowledged(v.REM_MEM_REG, second) == 1
        assert peer.session.trouble()[0] is Trouble.MEMORY


def test_a_log_that_is_too_large() -> None:
    """A log its file does not hold is refused by the answer."""
    with no_leak(), Peer() as peer:
        assert peer.ask(v.SET_LOG_BASE, u64(4096) + u64(0), [peer.memory]) == u64(0)
        assert peer.ask(v.SET_LOG_BASE, u64(1 << 40) + u64(0), [peer.memory]) == u64(1)
        assert peer.session.view().refused == 1


@pytest.mark.parametrize("request_number", sorted(EVENTS))
def test_no_eventfd(request_number: int) -> None:
    """What is no eventfd is not taken for one: a file, a socket, an end of a pipe, an epoll."""
    reading, writing = os.pipe()
    end, other = socket.socketpair()
    epoll = os.open("/dev/null", os.O_RDONLY)
    try:
        with no_leak():
            for fd in (reading, writing, end.fileno(), epoll):
                with Peer() as peer:
                    peer.send(request_number, u64(0), [fd])
                    peer.run()
                    assert peer.session.trouble() == (Trouble.NOT_AN_EVENTFD, request_number, 0)
    finally:
        for fd in (reading, writing, epoll):
            os.close(fd)
        end.close()
        other.close()


@pytest.mark.parametrize("features", [v.VERSION_1 | v.PACKED, v.VERSION_1 | 1 << 33, 1 << 63])
def test_features_that_were_not_offered(features: int) -> None:
    """Accepting them is a finding and ends the connection; packed rings are named."""
    with no_leak(), Peer() as peer:
        peer.send(v.SET_FEATURES, u64(features))
        assert Because.FAILED in peer.run()
        assert peer.session.trouble() == (Trouble.FEATURES, features, v.OFFERED | v.PROTOCOL)
        assert ("packed" in told(*peer.session.trouble())) == bool(features & v.PACKED)
        assert peer.session.tallies()[Check.FEATURE_UNOFFERED].failed == 1


def test_status() -> None:
    """The status register is kept, answered and judged."""
    with prepared(0) as peer:
        for status in (1, 3, 0xB, 0xF):
            assert peer.acknowledged(v.SET_STATUS, u64(status)) == 0
        assert peer.acknowledged(v.SET_STATUS, u64(256)) == 1
        assert peer.ask(v.GET_STATUS) == u64(0xF)
        assert not peer.session.failures()
        assert peer.acknowledged(v.SET_STATUS, u64(4)) == 0
        tallies = peer.session.tallies()
        for check in (Check.STATUS_CLEARED, Check.STATUS_ORDER):
            assert (tallies[check].checked, tallies[check].failed) == (5, 1)
            assert (tallies[check].a, tallies[check].b) == (0xF, 4)


def test_as_many_regions_as_there_can_be() -> None:
    """A table of eight regions is taken whole, each from its own descriptor."""
    with no_leak(), prepared(0) as peer:
        regions = [region(v.GUEST + at * 4096, 4096, v.USER + at * 8192, at * 4096) for at in range(8)]
        assert peer.acknowledged(v.SET_MEM_TABLE, mem_table(*regions), [peer.memory] * 8) == 0
        view = peer.session.view()
        assert (view.regions, view.memory) == (8, 8 * 4096)


def test_a_base_of_more_than_16_bits() -> None:
    """A base that only a packed ring could have is told, not cut off."""
    with Peer() as peer:
        peer.send(v.SET_VRING_BASE, state(1, 0xFFFF))
        peer.send(v.SET_VRING_BASE, state(1, 0x8000_0001))
        peer.run()
        assert peer.session.trouble() == (Trouble.REQUEST, v.SET_VRING_BASE, 0x8000_0001)
        assert "split ring" in told(*peer.session.trouble())
