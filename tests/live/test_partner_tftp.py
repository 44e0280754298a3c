"""The partner's TFTP server: whole downloads by a client made of scapy, also with losses."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.tftp import (
    TFTP,
    TFTP_ACK,
    TFTP_DATA,
    TFTP_ERROR,
    TFTP_OACK,
    TFTP_RRQ,
    TFTP_WRQ,
    TFTP_Option,
    TFTP_Options,
)

from ringproof.live.partner import Partner
from ringproof.live.partner.transfer import Transfer
from ringproof.live.partner.wire import Station
from tests.live.partner_guest import Guest

_PORT = 2_000


def _request(name: str, /, *, mode: str = "octet", port: int = _PORT, **options: int) -> Any:
    asked = TFTP() / TFTP_RRQ(filename=name, mode=mode)
    if options:
        asked /= TFTP_Options(
            options=[TFTP_Option(oname=key, value=str(value)) for key, value in options.items()]
        )
    return UDP(sport=port, dport=69) / asked


def _ack(block: int, to: int, port: int = _PORT) -> Any:
    return UDP(sport=port, dport=to) / TFTP() / TFTP_ACK(block=block)


def _message(answer: Any) -> Any:
    """The TFTP message in an answer from any port (scapy itself looks only at port 69)."""
    udp = answer[UDP]
    return TFTP(bytes(udp.payload)[: udp.len - 8])


def _options(message: Any) -> dict[bytes, int]:
    return {option.oname: int(option.value) for option in message[TFTP_OACK].payload.options}


class _Download:
    """A client that takes blocks in their order, and acknowledges each window's last and what it has."""

    def __init__(self, guest: Guest, lost: Callable[[], bool] = lambda: False, port: int = _PORT) -> None:
        self.guest = guest
        self.port = port
        self.lost = lost
        self.parts: list[bytes] = []
        self.block_bytes, self.window = 512, 1
        self.done = False
        self.acks = 0

    def run(self, request: Any, most: int = 10**9) -> bytes:
        """The whole file, or its first ``most`` blocks."""
        waiting = self.guest.send(request)
        silent = 0
        while not self.done and len(self.parts) < most:
            if not waiting:
                silent += 1
                assert silent < 50, "the server has gone"
                waiting = self.guest.wait(1.05)
                waiting = [answer for answer in waiting if UDP in answer]
                continue
            silent = 0
            reply = self._take(waiting.pop(0))
            if reply is not None and not self.lost():
                waiting += self.guest.send(reply)
        return b"".join(self.parts)

    def _take(self, answer: Any) -> Any:
        if self.lost():
            return None
        port = answer[UDP].sport
        assert 30_000 <= port <= 30_999
        message = _message(answer)
        if TFTP_OACK in message:
            told = _options(message)
            self.block_bytes = told.get(b"blksize", 512)
            self.window = told.get(b"windowsize", 1)
            return _ack(0, port, self.port)
        block, data = message[TFTP_DATA].block, bytes(message[TFTP_DATA].payload)
        if block == (len(self.parts) + 1) & 0xFFFF:
            self.parts.append(data)
            self.done = len(data) < self.block_bytes
            if len(self.parts) % self.window and not self.done:
                return None
        self.acks += 1
        return _ack(len(self.parts) & 0xFFFF, port, self.port)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 5_000])
def test_a_whole_file(size: int) -> None:
    """A file has exactly as many bytes as its name says, its last block is the first that is not full."""
    guest = Guest()
    download = _Download(guest)
    assert len(download.run(_request(str(size)))) == size
    assert len(download.parts) == size // 512 + 1
    counts = guest.partner.counts
    assert (counts.tftp_requests, counts.tftp_finished, counts.tftp_resent) == (1, 1, 0)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_file_with_losses(seed: int, window: int) -> None:
    """When each message is lost one time in five, the file still comes whole and unchanged."""
    random = Random(seed)
    guest = Guest(Partner(largest_window=4))
    options: dict[str, Any] = {"windowsize": window} if window > 1 else {}
    download = _Download(guest, lost=lambda: random.random() < 0.2)
    lossy = download.run(_request("20000", **options))
    assert len(lossy) == 20_000
    assert lossy == _Download(Guest()).run(_request("20000"))
    assert guest.partner.counts.tftp_resent > 0


def test_options_are_answered_as_bounded() -> None:
    """Block size, timeout, window and size are accepted within bounds; what it doesn't know is left out."""
    guest = Guest(Partner(boot_bytes=3_000, largest_block=1_024, largest_window=8))
    answer = guest.only(_request("boot", blksize=1_468, tsize=0, timeout=3, windowsize=16, multicast=1))
    told = {b"blksize": 1_024, b"tsize": 3_000, b"timeout": 3, b"windowsize": 8}
    assert _options(_message(answer)) == told
    first = guest.send(_ack(0, answer[UDP].sport))
    assert [len(bytes(_message(block)[TFTP_DATA].payload)) for block in first] == [1_024, 1_024, 952]


@pytest.mark.parametrize("options", [{"blksize": 7}, {"timeout": 256}, {"windowsize": 4}, {"unknown": 1}])
def test_options_nobody_may_have(options: dict[str, Any]) -> None:
    """A request none of whose options is accepted is answered by the first block, as without options."""
    assert _message(Guest().only(_request("5", **options)))[TFTP_DATA].block == 1


def test_block_size_is_bounded_by_the_mtu() -> None:
    """Whatever is asked for and allowed, a block fits a packet."""
    guest = Guest(Partner(largest_block=65_464))
    answer = guest.only(_request("boot", blksize=9_000))
    (block,) = guest.send(_ack(0, answer[UDP].sport))
    assert len(bytes(block)) == 1_514


def test_the_timeout_is_the_clients() -> None:
    """Repetitions follow the timeout that was agreed on, and end in the end."""
    guest = Guest()
    guest.send(_request("boot", timeout=5))
    assert [answer for answer in guest.waits(4.5) if UDP in answer] == []
    again = [answer for answer in guest.waits(100.0) if UDP in answer]
    assert len(again) == 8
    assert guest.partner.counts.tftp_resent == 8


def test_block_numbers_wrap() -> None:
    """After block 65,535 comes block 0, then 1, with the right bytes, for a client that knows no better."""
    transfer = Transfer(Station(bytes(6), bytes(4)), _PORT, b"", None, 8, 1, 1.0, b"")
    whole = _Download(Guest()).run(_request(str(2 * 65_521)))
    assert whole[:65_521] == whole[65_521:]  # its letters come again after so many
    (message,) = transfer.proceed(0.0)
    for block in range(1, 65_600):
        number = (block & 0xFFFF).to_bytes(2, "big")
        assert message == b"\0\3" + number + whole[(block - 1) * 8 % 65_521 :][:8]
        (message,) = transfer.acknowledge(block & 0xFFFF, 0.0)


def test_more_acknowledgements_than_a_queue_counts() -> None:
    """By default the boot file takes more blocks of its default size, each acknowledged, than 65,536."""
    answer = Guest().only(_request("boot", blksize=1_468, tsize=0, windowsize=4))
    told = _options(_message(answer))
    assert told[b"tsize"] / told[b"blksize"] > 65_536
    assert b"windowsize" not in told


def test_an_endless_file() -> None:
    """A file without end says no size, and each acknowledgement brings another full block."""
    guest = Guest()
    answer = guest.only(_request("endless", tsize=0, blksize=512))
    assert _options(_message(answer)) == {b"blksize": 512}
    endless = _Download(guest, port=3_000)
    assert len(endless.run(_request("endless", port=3_000), most=300)) == 300 * 512
    assert not endless.done


def test_old_acknowledgements_are_no_news() -> None:
    """A second acknowledgement of the same block brings nothing: or every block after it would come twice."""
    guest = Guest()
    port = guest.only(_request("boot"))[UDP].sport
    assert len(guest.send(_ack(1, port))) == 1
    assert guest.send(_ack(1, port)) == []
    assert guest.send(_ack(0, port)) == []
    assert guest.send(_ack(9, port)) == []
    assert len(guest.send(_ack(2, port))) == 1


def test_a_request_repeated() -> None:
    """The same request again, before anything was acknowledged, is answered from the same port."""
    guest = Guest()
    first = guest.only(_request("boot", tsize=0))
    assert guest.only(_request("boot", tsize=0)) == first
    other = guest.only(_request("boot"))
    assert other[UDP].sport != first[UDP].sport
    assert guest.partner.counts.tftp_requests == 3


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (_request("missing"), 1),
        (_request("../../etc/passwd"), 1),
        (_request("boot", mode="mail"), 4),
        (UDP(sport=_PORT, dport=69) / TFTP() / TFTP_WRQ(filename="boot", mode="octet"), 2),
        (UDP(sport=_PORT, dport=69) / TFTP() / TFTP_DATA(block=1) / b"x", 4),
        (UDP(sport=_PORT, dport=69) / b"\0\1boot", 4),
        (UDP(sport=_PORT, dport=69) / b"\0\1boot\0octet", 4),
        (_ack(1, 30_500), 5),
    ],
)
def test_refusals(request_: Any, code: int) -> None:
    """What isn't there, or isn't done, is an ERROR with the code for that; nothing starts."""
    guest = Guest()
    answer = guest.only(request_)
    assert _message(answer)[TFTP_ERROR].errorcode == code
    assert list(guest.waits(4.0)) == []


def test_errors_are_never_answered() -> None:
    """An ERROR ends its transfer, and is not answered wherever it goes."""
    guest = Guest()
    port = guest.only(_request("boot"))[UDP].sport
    gone = TFTP() / TFTP_ERROR(errorcode=8)
    for to in (69, 30_500, port):
        assert guest.send(UDP(sport=_PORT, dport=to) / gone) == []
    assert [answer for answer in guest.waits(20.0) if UDP in answer] == []


def test_strangers_do_not_disturb() -> None:
    """An acknowledgement from another port or address is refused, and the transfer goes on."""
    guest = Guest()
    port = guest.only(_request("boot"))[UDP].sport
    stranger = Guest(guest.partner, address="10.0.0.8")
    assert _message(stranger.only(_ack(1, port)))[TFTP_ERROR].errorcode == 5
    assert _message(guest.only(_ack(1, port, port=_PORT + 1)))[TFTP_ERROR].errorcode == 5
    assert _message(guest.only(_ack(1, port)))[TFTP_DATA].block == 2


def test_several_at_once() -> None:
    """Transfers have ports of their own; of too many the one not heard of for longest is forgotten."""
    guest = Guest()
    ports = [guest.only(_request("boot", port=4_000 + number))[UDP].sport for number in range(33)]
    assert len(set(ports)) == 33
    assert _message(guest.only(_ack(1, ports[0], port=4_000)))[TFTP_ERROR].errorcode == 5
    for number in range(1, 33):
        assert _message(guest.only(_ack(1, ports[number], port=4_000 + number)))[TFTP_DATA].block == 2
    assert guest.partner.counts.tftp_acks == 32


def test_ports_come_round() -> None:
    """After the last port of the range comes the first that is free, and one in use is passed over."""
    guest = Guest()
    begin = [bytes(guest.packet(_request(name))) for name in ("0", "1")]
    guest.send(_request("boot", port=3_000))
    ports = []
    for turn in range(1_001):
        (block,) = guest.partner.receive(begin[turn % 2], guest.now)
        ports.append(UDP(block[34:42]).sport)
    assert ports == [*range(30_001, 31_000), 30_001, 30_002]
