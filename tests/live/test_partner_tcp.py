"""The partner's TCP: sessions driven by a client made of scapy that keeps what comes in order."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw

from tests.live.partner_guest import Guest

_MODULUS = 1 << 32


def _data(answer: Any) -> bytes:
    """What a segment carries, without the frame's padding."""
    tcp = answer[TCP]
    return bytes(tcp.payload)[: answer["IP"].len - 20 - tcp.dataofs * 4]


class _Client:
    """One end of a connection; ``received`` came in order, ``lost`` says whether a segment gets lost."""

    def __init__(
        self,
        port: int,
        guest: Guest | None = None,
        *,
        seq: int = 1_000,
        lost: Callable[[], bool] = lambda: False,
        own_port: int = 40_000,
    ) -> None:
        self.guest = guest or Guest()
        self.ports = {"sport": own_port, "dport": port}
        self.seq = seq
        self.ack = 0
        self.window = 65_535
        self.lost = lost
        self.acked = seq
        self.told = 0
        self.received = bytearray()
        self.finished = self.reset = False

    def segment(self, flags: str, data: bytes = b"", *, seq: int | None = None, **fields: Any) -> Any:
        """A segment of the client at its place, or at ``seq``."""
        place = (self.seq if seq is None else seq) % _MODULUS
        fields = {"window": self.window, "ack": self.ack if "A" in flags else 0, **fields}
        return TCP(**self.ports, seq=place, flags=flags, **fields) / Raw(data)

    def tell(self, flags: str, data: bytes = b"", **fields: Any) -> list[Any]:
        """The answers that reach the client, to a segment that reaches the partner if it isn't lost."""
        answers = [] if self.lost() else self.guest.send(self.segment(flags, data, **fields))
        return [answer for answer in answers if not self.lost()]

    def connect(self, **fields: Any) -> Any:
        """The handshake; gives back the SYN, ACK."""
        (answer,) = self.guest.send(self.segment("S", **fields))
        assert answer[TCP].flags == "SA"
        assert answer[TCP].ack == (self.seq + 1) % _MODULUS
        self.seq += 1
        self.acked = self.seq
        self.ack = (answer[TCP].seq + 1) % _MODULUS
        return answer

    def hear(self, answer: Any) -> bool:
        """Takes a segment; says whether it has to be acknowledged."""
        tcp = answer[TCP]
        assert (tcp.sport, tcp.dport) == (self.ports["dport"], self.ports["sport"])
        self.reset |= "R" in tcp.flags
        self.told = tcp.window
        news = (tcp.ack - self.acked) % _MODULUS
        if news < _MODULUS // 2:
            self.acked += news
        data = _data(answer)
        if tcp.seq == self.ack and not self.finished:
            self.received += data
            self.ack = (self.ack + len(data)) % _MODULUS
            if "F" in tcp.flags:
                self.finished = True
                self.ack = (self.ack + 1) % _MODULUS
        return bool(data) or "F" in tcp.flags or "S" in tcp.flags

    def listen(self, answers: list[Any], enough: int = 1 << 20) -> None:
        """Takes and acknowledges all that comes, until nothing does or ``enough`` bytes have come."""
        while answers and len(self.received) < enough:
            if self.hear(answers.pop(0)):
                answers += self.tell("A")

    def deliver(self, data: bytes, size: int = 1_460) -> None:
        """Sends data until the partner has acknowledged it, repeating what is lost."""
        first = self.seq
        self.seq += len(data)
        silent = 0
        while self.acked < self.seq:
            at = self.acked - first
            part = data[at : at + size]
            before = self.acked
            self.listen(self.tell("PA", part, seq=first + at))
            silent = silent + 1 if self.acked == before else 0
            assert silent < 60, "the partner has gone"
            if silent:
                self.listen([answer for answer in self.guest.wait(0.3) if TCP in answer])

    def close(self) -> None:
        """Finishes until both sides have."""
        for _ in range(60):
            if self.finished and self.acked > self.seq:
                self.tell("A", seq=self.seq + 1)
                return
            self.listen(self.tell("FA"))
            self.listen([answer for answer in self.guest.wait(0.5) if TCP in answer])
        raise AssertionError("the partner doesn't finish")


def _lossy(seed: int, rate: float = 0.15) -> Callable[[], bool]:
    random = Random(seed)
    return lambda: random.random() < rate


def test_a_session_with_a_sink() -> None:
    """Any port takes a connection, acknowledges all that comes, and finishes when the guest does."""
    client = _Client(5_001)
    options = dict(client.connect(options=[("MSS", 1_460), ("WScale", 7)])[TCP].options)
    assert options["MSS"] == 1_460
    client.listen(client.tell("A"))
    client.deliver(bytes(100_000))
    assert client.told << options["WScale"] >= 1 << 19
    client.close()
    counts = client.guest.partner.counts
    assert (counts.tcp_opened, counts.tcp_closed, counts.tcp_taken, counts.tcp_given) == (1, 1, 100_000, 0)
    assert list(client.guest.waits(4.0)) == []
    assert client.guest.only(client.segment("A"))[TCP].flags == "R"


def test_options_only_for_who_has_them() -> None:
    """Without a window scale of the guest there is none of the partner, and its window fits the field."""
    client = _Client(5_001)
    answer = client.connect()
    assert [name for name, _ in answer[TCP].options] == ["MSS"]
    client.listen(client.tell("A", b"x"))
    assert client.told == 65_535


def test_segments_that_are_still_to_be_cut() -> None:
    """A segment of 60 KB, its sum incomplete, is taken as one if offloaded, and refused if not."""
    client = _Client(5_001)
    client.connect()
    big = client.segment("PA", bytes(60_000), chksum=0x1234)
    assert client.guest.send(big) == []
    assert client.guest.partner.counts.bad_sums == 1
    client.guest.offloaded = True
    assert client.guest.only(big)[TCP].ack == client.seq + 60_000


def test_sequence_numbers_wrap() -> None:
    """Both directions go through 2^32 in the middle of a session without anyone noticing."""
    client = _Client(7, seq=_MODULUS - 3_000)
    start = client.connect()[TCP].seq
    assert start > _MODULUS - 40_000
    data = Random(6).randbytes(50_000)
    client.deliver(data)
    client.close()
    assert bytes(client.received) == data
    assert client.ack < start
    assert client.guest.partner.counts.tcp_resent == 0


@pytest.mark.parametrize("lost", [None, 1, 2, 3])
def test_echo(lost: int | None) -> None:
    """Port 7 gives back each byte once and in order, whatever gets lost on the way, then finishes."""
    client = _Client(7, lost=_lossy(lost) if lost else lambda: False)
    client.connect()
    data = Random(5).randbytes(40_000)
    client.deliver(data)
    client.close()
    assert bytes(client.received) == data
    counts = client.guest.partner.counts
    assert (counts.tcp_taken, counts.tcp_given) == (40_000, 40_000)
    assert (counts.tcp_resent > 0) == (lost is not None)


def test_echo_keeps_no_more_than_it_may() -> None:
    """A guest that never acknowledges what comes back finds the window shut, and open when it does."""
    client = _Client(7)
    client.connect()
    client.guest.offloaded = True
    data = bytes(50_000)
    first = client.tell("PA", data)
    second = client.tell("PA", data, seq=client.seq + 50_000)
    assert first[-1][TCP].ack == client.seq + 50_000
    assert second[-1][TCP].ack == client.seq + 65_536
    assert second[-1][TCP].window == 0
    client.seq += 65_536
    client.listen(first + second)
    assert len(client.received) == 65_536
    assert client.told > 30_000


def _letters(client: _Client, size: int) -> bytes:
    client.connect(options=[("MSS", 1_460)])
    client.listen(client.tell("A"), size)
    while len(client.received) < size:
        assert not client.reset
        client.listen([answer for answer in client.guest.wait(0.3) if TCP in answer], size)
    return bytes(client.received[:size])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_source_with_losses(seed: int) -> None:
    """What port 19 sends comes the same, with and without losses."""
    lossy = _letters(_Client(19, lost=_lossy(seed)), 60_000)
    assert lossy == _letters(_Client(19), 60_000)
    assert len(set(lossy)) == 62


def test_a_source_stays_within_window_and_segment() -> None:
    """It never has more under way than the window, nor larger segments than the guest takes."""
    client = _Client(19)
    client.window = 2_000
    client.connect(options=[("MSS", 600)])
    under_way = client.tell("A")
    assert [len(_data(answer)) for answer in under_way] == [600, 600, 600]
    assert client.tell("A") == []
    client.window = 3_000
    assert [len(_data(answer)) for answer in client.tell("A")] == [600, 600]


def test_a_shut_window_is_asked_about() -> None:
    """With no window, one byte now and then asks for one, for as long as the guest answers."""
    client = _Client(19)
    client.window = 0
    client.connect()
    assert client.tell("A") == []
    probes = 0
    for answer in client.guest.waits(120.0, step=1.0):
        if TCP in answer:
            assert len(_data(answer)) == 1
            assert client.tell("A") == []
            probes += 1
    assert probes > 20
    client.window = 10_000
    client.listen(client.tell("A"), 20_000)
    client.listen([answer for answer in client.guest.wait(5.0) if TCP in answer], 20_000)
    assert len(client.received) >= 20_000


def test_a_silent_guest_is_given_up() -> None:
    """What isn't acknowledged is repeated at growing distances, then reset; the table is empty again."""
    client = _Client(19)
    client.connect()
    client.tell("A")
    times = [client.guest.now for answer in client.guest.waits(60.0) if TCP in answer]
    distances = [round(later - sooner) for sooner, later in pairwise(times)]
    assert len(times) == 9
    assert distances == sorted(distances)
    assert client.guest.only(client.segment("A"))[TCP].flags == "R"


def test_a_handshake_repeated() -> None:
    """The same SYN gets the same answer; another one from the same port starts afresh."""
    client = _Client(80)
    syn = client.segment("S")
    first = client.guest.only(syn)
    assert client.guest.only(syn) == first
    again = list(client.guest.waits(0.4))
    assert again == [first]
    other = client.guest.only(client.segment("S", seq=77_777))
    assert other[TCP].ack == 77_778
    assert other[TCP].seq != first[TCP].seq


@pytest.mark.parametrize(
    ("flags", "reply", "seq", "ack"),
    [("A", "R", 555, None), ("PA", "R", 555, None), ("F", "RA", 0, 1_005), ("P", "RA", 0, 1_004)],
)
def test_segments_of_no_connection(flags: str, reply: str, seq: int, ack: int | None) -> None:
    """They are reset as the sender will believe it; a reset is never answered."""
    client = _Client(80)
    client.ack = 555
    answer = client.guest.only(client.segment(flags, b"data"))[TCP]
    assert (answer.flags, answer.seq) == (reply, seq)
    assert ack is None or answer.ack == ack
    assert client.guest.send(client.segment("R")) == []
    assert client.guest.send(client.segment("RA")) == []


def test_resets_count_only_in_their_place() -> None:
    """A reset with a number outside of the window changes nothing, one inside ends all in silence."""
    client = _Client(5_001)
    client.connect()
    client.tell("A")
    assert client.tell("R", seq=client.seq - 5) == []
    client.deliver(b"still there")
    assert client.tell("R") == []
    assert client.guest.only(client.segment("A"))[TCP].flags == "R"


def test_what_comes_too_early_or_twice() -> None:
    """A gap is told by acknowledging what is there; an overlap counts once; an early FIN doesn't count."""
    client = _Client(5_001)
    client.connect()
    client.tell("A")
    (gap,) = client.tell("PA", b"late", seq=client.seq + 100)
    assert gap[TCP].ack == client.seq
    (early,) = client.tell("FA", seq=client.seq + 100)
    assert early[TCP].ack == client.seq
    client.deliver(b"0123456789")
    (overlap,) = client.tell("PA", b"56789abcde", seq=client.seq - 5)
    assert overlap[TCP].ack == client.seq + 5
    assert client.guest.partner.counts.tcp_taken == 15


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    """In a handshake that is reset; later it is passed over."""
    client = _Client(5_001)
    client.connect()
    client.ack += 1
    assert client.tell("A")[0][TCP].flags == "R"
    client.ack -= 1
    assert client.tell("A") == []
    client.ack += 1_000
    assert client.tell("A", b"x") == []
    assert client.guest.partner.counts.tcp_taken == 0


def _clients(guest: Guest, count: int) -> Iterator[_Client]:
    for number in range(count):
        client = _Client(5_001, guest, own_port=10_000 + number)
        client.connect()
        client.tell("A")
        yield client


def test_of_too_many_connections_the_oldest_is_forgotten() -> None:
    """With 65 connections the first is unknown, and the others go on."""
    guest = Guest()
    first, *others = _clients(guest, 65)
    assert guest.only(first.segment("A"))[TCP].flags == "R"
    for client in others:
        client.deliver(b"x")
    assert guest.partner.counts.tcp_taken == 64
