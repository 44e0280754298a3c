"""A transmit queue: xmit_skb, start_xmit, free_old_xmit_skbs, skb_xmit_done."""

from typing import Any

import pytest

from ringproof.impl.reference import sg_mark_end

from .machine import CSUM, ECN, EVENT_IDX, INDIRECT, MRG_RXBUF, TSO4, UFO, VERSION_1, Machine

HEADER = bytes(10)
TCPV4, UDP, UNKNOWN = 1, 3, 4


def machine(profile: str = "virtio-1.x", transport: str = "legacy", **wants: Any) -> Machine:
    """Return a machine with its device probed."""
    made = Machine(transport, profile, **wants)
    made.probe()
    made.log.clear()
    return made


def send(at: Machine, *frames: Any) -> None:
    """Hand frames to the first transmit queue."""
    for frame in frames:
        at.info.start_xmit(frame, 0)


def linear(at: Machine, count: int) -> list[Any]:
    """Make frames of two segments, header and linear part."""
    return [at.skb(bytes([i & 0xFF]) * 60) for i in range(count)]


def frags(at: Machine, count: int, head: bytes = b"h" * 14, **wants: Any) -> Any:
    """Make a frame of a linear part and that many fragments of one byte."""
    return at.skb(head, [(i, bytes([i])) for i in range(count)], **wants)


def statistics(at: Machine) -> tuple[int, int, int, int]:
    """Return packets, bytes, fifo errors and drops of the first transmit queue."""
    counted: tuple[int, int, int, int] = at.info.send_queues[0].statistics
    return counted


def drop(at: Machine, frame: Any) -> None:
    """Send a frame that must be dropped, and see that nothing else comes of it."""
    queue = at.info.send_queues[0]
    before, events = queue.statistics, list(at.events)
    accesses = list(at.log)
    control, ring, live = bytes(at.view(frame.control, 64)), at.words(1), dict(at.arena.live)
    send(at, frame)
    packets, octets, errors, dropped = before
    assert queue.statistics == (packets, octets, errors + 1, dropped + 1)
    assert at.events == [*events, ("freed", frame.token)]
    assert (at.take(), at.log) == ([], accesses)
    assert (at.words(1), at.arena.live) == (ring, live)
    assert bytes(at.view(frame.control, 64)) == control, "not a byte of the header is written"


# -- xmit_skb ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
@pytest.mark.parametrize("features", [0, INDIRECT, EVENT_IDX, INDIRECT | EVENT_IDX])
@pytest.mark.parametrize("transport", ["legacy", "modern"])
def test_frame_of_all_kinds_of_pieces(profile: str, features: int, transport: str) -> None:
    """Header, linear part, fragments and packets of the list are one chain, in order, without empty ones."""
    at = machine(profile, transport, offered=features)
    inner = at.skb(b"", [(5, b"fff"), (9, b"")], [at.skb(b"deep")])
    frame = at.skb(b"head", [(100, b"aaaa"), (0, b""), (4000, b"c" * 96)], [at.skb(b"list"), inner])
    send(at, frame)
    (chain,) = at.take()
    size = 12 if (transport, profile) == ("modern", "virtio-1.x") else 10
    assert chain.data == bytes(size) + b"head" + b"aaaa" + b"c" * 96 + b"list" + b"fff" + b"deep"
    assert [length for _, length, _ in chain.segments] == [size, 4, 4, 96, 4, 3, 4]
    assert not any(flags & 2 for *_, flags in chain.segments), "the device writes nowhere"
    assert at.events == [("orphaned", frame.token)]
    assert statistics(at) == (0, 0, 0, 0), "counted when sent"


def test_shorter_and_longer_frames() -> None:
    """The scatterlist serves one frame after another: no mark of an earlier one stays, none is missing."""
    at = machine(queue_size=256)
    sent = [frags(at, count) for count in (0, 5, 17, 3, 16, 0, 17)]
    send(at, *sent)
    assert [len(chain.segments) for chain in at.take()] == [2 + count for count in (0, 5, 17, 3, 16, 0, 17)]


def test_marks_anywhere_do_no_harm() -> None:
    """Whatever marks the entries carry before, a frame is sent whole."""
    at = machine()
    for entry in at.info.send_queues[0].sg:
        sg_mark_end(entry)
    send(at, frags(at, 17))
    assert len(at.take()[0].segments) == 19


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_most_pieces(profile: str) -> None:
    """18 pieces with bytes are sent, 19 are dropped, empty ones do not count."""
    at = machine(profile, queue_size=64)
    listed = at.skb(b"", [(0, b"x")] * 17)
    send(at, at.skb(b"h", (), [listed]))
    assert len(at.take()[0].segments) == 19
    drop(at, at.skb(b"h", [(0, b"y")], [listed]))
    send(at, at.skb(b"h", [(0, b"")], [listed, at.skb(b"")]))
    assert len(at.take()[0].segments) == 19


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_too_many_fragments(profile: str) -> None:
    """A packet of more than 17 fragments is dropped wherever it is, even if all are empty."""
    at = machine(profile)
    drop(at, at.skb(b"h", [(0, b"")] * 18))
    drop(at, at.skb(b"h", (), [at.skb(b"x", (), [at.skb(b"", [(0, b"")] * 18)])]))
    drop(at, at.skb(b"h", (), [at.skb(b"", [(0, b"")] * 18)]))


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_frame_without_data(profile: str) -> None:
    """A frame of no bytes is dropped."""
    at = machine(profile)
    drop(at, at.skb(b"", [(0, b"")], [at.skb(b"")]))


OFFLOADS = CSUM | TSO4 | ECN | UFO
SUMMED: dict[str, Any] = {"checksum": True, "csum_start": 34, "csum_offset": 16}


@pytest.mark.parametrize(
    ("offered", "wants"),
    [
        (OFFLOADS, {**SUMMED, "gso": UNKNOWN, "gso_size": 100}),
        (OFFLOADS, {"gso": TCPV4, "gso_size": 1448}),
        (OFFLOADS, {**SUMMED, "gso": TCPV4, "gso_size": 0}),
        (OFFLOADS, {**SUMMED, "gso": 2, "gso_size": 1448}),
        (OFFLOADS, {**SUMMED, "gso": UDP, "gso_size": 1448, "ecn": True}),
        (OFFLOADS, {**SUMMED, "ecn": True}),
        (OFFLOADS & ~ECN, {**SUMMED, "gso": TCPV4, "gso_size": 1448, "ecn": True}),
        (0, SUMMED),
    ],
)
def test_offload_that_cannot_be(offered: int, wants: dict[str, Any]) -> None:
    """Mended, what was not negotiated or makes no sense is dropped; Linux 3.11 drops unknown kinds alone."""
    at = machine(offered=offered)
    drop(at, at.skb(b"h" * 60, **wants))
    linux = machine("linux-3.11", offered=offered)
    if wants.get("gso") == UNKNOWN:
        drop(linux, linux.skb(b"h" * 60, **wants))
    else:
        send(linux, linux.skb(b"h" * 60, **wants))
        assert len(linux.take()) == 1


def test_no_room() -> None:
    """A frame for which no descriptors are left is dropped; the device is told that the ring is full."""
    at = machine("linux-3.11", queue_size=4)
    send(at, frags(at, 1))
    at.log.clear()
    send(at, frags(at, 1))
    assert (statistics(at), at.log) == ((0, 0, 1, 1), ["W notify 1"])
    assert at.events[-1] == ("freed", 2)
    assert len(at.take()) == 1


# -- frames longer than the ring -----------------------------------------------------------------------


def test_linux_drops_what_the_ring_never_holds() -> None:
    """Without indirect tables Linux 3.11 has no way to send more segments than descriptors."""
    at = machine("linux-3.11", queue_size=4)
    send(at, frags(at, 3))
    assert (statistics(at), at.events) == ((0, 0, 1, 1), [("freed", 1)])
    indirect = machine("linux-3.11", queue_size=4, offered=INDIRECT)
    send(indirect, frags(indirect, 17))
    assert len(indirect.take()[0].segments) == 19, "a table longer than the queue, as Linux 3.11 has it"


@pytest.mark.parametrize("features", [0, INDIRECT])
@pytest.mark.parametrize("queue_size", [2, 4, 16])
@pytest.mark.parametrize(("transport", "segments"), [("legacy", [10, 31]), ("modern", [43])])
def test_long_frame_is_copied(features: int, queue_size: int, transport: str, segments: list[int]) -> None:
    """Mended, it is copied into one block, with its header only under VERSION_1, and given back."""
    at = machine(transport=transport, queue_size=queue_size, offered=features)
    before = dict(at.arena.live)
    frame = frags(at, 17)
    send(at, frame)
    (chain,) = at.take()
    assert [length for _, length, _ in chain.segments] == segments
    assert chain.data[segments[0] - 31 if len(segments) == 1 else 10 :] == b"h" * 14 + bytes(range(17))
    assert chain.segments[-1][0] % 64 == 0
    assert not any(chain.data[:10])
    at.use(1, chain.head)
    at.info.interrupt()
    assert at.events == [("orphaned", 1), ("stopped", 0), ("freed", 1), ("woken", 0)]
    assert (at.arena.live, statistics(at)) == (before, (1, 31, 0, 0))


def test_frame_that_just_fits_is_not_copied() -> None:
    """As many segments as descriptors are no reason to copy, one more is."""
    at = machine(queue_size=8)
    send(at, frags(at, 6))
    assert len(at.take()[0].segments) == 8
    again = machine(queue_size=8)
    send(again, frags(again, 7))
    assert len(again.take()[0].segments) == 2


def test_queue_of_one() -> None:
    """Under VERSION_1 a queue of one descriptor sends any frame, one at a time."""
    at = machine(transport="modern", queue_size=1)
    for count in (0, 1, 17):
        send(at, frags(at, count))
        assert at.send_all() == [bytes(12) + b"h" * 14 + bytes(range(count))]
        at.info.interrupt()
    assert statistics(at) == (3, 14 + 15 + 31, 0, 0)
    assert [event for event in at.events if event[0] == "stopped"] == [("stopped", 0)] * 3


def test_no_memory_for_the_copy() -> None:
    """A frame that cannot be copied for want of memory is dropped."""
    at = machine(queue_size=4)
    at.arena.fail = True
    frame = frags(at, 17)
    send(at, frame)
    assert (statistics(at), at.events) == ((0, 0, 1, 1), [("freed", frame.token)])


def test_copy_is_given_back_when_it_cannot_be_added() -> None:
    """A copy for which there is no room is released at once."""
    at = machine(queue_size=2)
    send(at, frags(at, 17))
    live = dict(at.arena.live)
    send(at, frags(at, 17))
    assert (statistics(at), at.arena.live) == ((0, 0, 1, 1), live)


def test_copies_are_given_back_at_remove() -> None:
    """Copies of frames that were never sent go with them."""
    at = machine(queue_size=4)
    send(at, frags(at, 17), frags(at, 16))
    assert len(at.arena.live) == 4
    at.info.remove()
    assert (at.arena.live, at.events[-2:]) == ({}, [("freed", 1), ("freed", 2)])


# -- reclaiming and counting ---------------------------------------------------------------------------


def test_sent_frames_are_freed_by_the_next() -> None:
    """start_xmit begins with what was sent meanwhile; bytes are the frames' alone, in the device's order."""
    at = machine(queue_size=64)
    send(at, *linear(at, 3))
    heads = [chain.head for chain in at.take()]
    at.use(1, heads[2], heads[0])
    at.events.clear()
    send(at, at.skb(b"x" * 99))
    assert at.events == [("freed", 3), ("freed", 1), ("orphaned", 4)]
    assert statistics(at) == (2, 120, 0, 0)
    assert at.take()[0].data == HEADER + b"x" * 99


def test_kick_only_if_wanted() -> None:
    """The doorbell is rung for each frame unless the device has asked for silence."""
    at = machine()
    send(at, *linear(at, 2))
    assert at.log == ["W notify 1"] * 2
    _, _, used, _ = at.parts(1)
    at.view(used, 2)[0] = 1
    send(at, *linear(at, 1))
    assert len(at.log) == 2


# -- stopping and waking -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "queue_size", "before"),
    [
        ("linux-3.11", 32, 7),  # 32 - 2 * 7 = 18 descriptors are free: fewer than 19
        ("virtio-1.x", 32, 7),
        ("linux-3.11", 16, 1),  # 16 never are 19
        ("virtio-1.x", 16, 1),  # 14 are fewer than min(19, 16)
        ("linux-3.11", 2, 1),
        ("virtio-1.x", 2, 1),
        ("linux-3.11", 64, 23),
        ("virtio-1.x", 64, 23),
    ],
)
def test_stops_when_the_longest_frame_has_no_room(profile: str, queue_size: int, before: int) -> None:
    """The queue stops with the frame that leaves too little room for the longest one."""
    at = machine(profile, queue_size=queue_size)
    frames = linear(at, before)
    send(at, *frames[:-1])
    assert ("stopped", 0) not in at.events
    send(at, frames[-1])
    assert at.events[-2:] == [("orphaned", before), ("stopped", 0)]
    assert at.words(1)[0] == 0, "its interrupt is on"


def test_interrupt_is_asked_for_after_three_quarters() -> None:
    """A stopped queue wants an interrupt once three quarters of what is in flight are sent."""
    at = machine(queue_size=32, offered=EVENT_IDX)
    send(at, *linear(at, 7))
    assert at.words(1)[2] == 7 * 3 // 4


class Swift:
    """A device that completes frames between the stop and the second look."""

    def __init__(self, at: Machine, count: int) -> None:
        vq = at.info.send_queues[0].vq
        enable = vq.enable_cb_delayed

        def enable_cb_delayed() -> bool:
            at.use(1, *[chain.head for chain in at.take()][:count])
            answer: bool = enable()
            return answer

        vq.enable_cb_delayed = enable_cb_delayed


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_second_look_starts_the_queue(profile: str) -> None:
    """What was sent just before the interrupt was asked for is reclaimed, and the queue starts again."""
    at = machine(profile)
    send(at, *linear(at, 6))
    Swift(at, 7)
    at.events.clear()
    send(at, at.skb(b"x"))
    freed = [("freed", token) for token in range(1, 8)]
    assert at.events == [("orphaned", 7), ("stopped", 0), *freed, ("started", 0)]
    assert at.words(1)[0] == 1, "the interrupt is off again"
    assert statistics(at) == (7, 361, 0, 0)


def test_second_look_that_finds_too_little() -> None:
    """With the room still too small the queue stays stopped, its interrupt on."""
    at = machine(queue_size=32)
    send(at, *linear(at, 6))
    big = frags(at, 17)
    Swift(at, 6)
    at.events.clear()
    send(at, big)
    assert at.info.send_queues[0].vq.num_free == 32 - 19
    assert at.events == [("orphaned", 7), ("stopped", 0), *[("freed", token) for token in range(1, 7)]]
    assert at.words(1)[0] == 0


def test_linux_wakes_without_looking() -> None:
    """Linux 3.11's interrupt wakes the queue though nothing was reclaimed, and turns itself off."""
    at = machine("linux-3.11", queue_size=16)
    send(at, *linear(at, 1))
    at.use(1, at.take()[0].head)
    assert at.info.interrupt()
    assert at.events[-1] == ("woken", 0)
    assert (at.info.send_queues[0].vq.num_free, at.words(1)[0]) == (14, 1)


def test_linux_never_starts_a_short_queue_itself() -> None:
    """With fewer than 19 descriptors the faithful second look cannot start the queue, whatever is free."""
    at = machine("linux-3.11", queue_size=16)
    Swift(at, 1)
    send(at, *linear(at, 1))
    assert at.info.send_queues[0].vq.num_free == 16
    assert at.events == [("orphaned", 1), ("stopped", 0), ("freed", 1)]


def test_mended_interrupt_reclaims_and_wakes() -> None:
    """Mended, the interrupt reclaims and wakes when there is room for the longest frame."""
    at = machine(queue_size=32)
    send(at, *linear(at, 7))
    assert len(at.send_all()) == 7
    assert at.info.interrupt()
    assert at.events[-8:] == [*[("freed", token) for token in range(1, 8)], ("woken", 0)]
    assert (statistics(at), at.words(1)[0]) == ((7, 420, 0, 0), 1)


def test_mended_interrupt_waits_for_more() -> None:
    """Without room for the longest frame it asks for the next interrupt instead of waking."""
    at = machine(queue_size=32, offered=EVENT_IDX)
    send(at, *linear(at, 6), frags(at, 17))
    chains = at.take()
    at.use(1, chains[0].head)
    at.events.clear()
    assert at.info.interrupt()
    assert at.events == [("freed", 1)]
    assert at.words(1)[2] == 1 + 6 * 3 // 4
    at.use(1, *[chain.head for chain in chains[1:]])
    assert at.info.interrupt()
    assert at.events[-1] == ("woken", 0)


def test_mended_interrupt_looks_twice() -> None:
    """What is sent while the interrupt is asked for again is reclaimed at once, and the queue wakes."""
    at = machine(queue_size=32)
    send(at, *linear(at, 7))
    chains = at.take()
    vq = at.info.send_queues[0].vq
    enable = vq.enable_cb_delayed

    def enable_cb_delayed() -> bool:
        at.use(1, *[chain.head for chain in chains])
        answer: bool = enable()
        return answer

    vq.enable_cb_delayed = enable_cb_delayed
    at.events.clear()
    at.info.send_queues[0].skb_xmit_done()
    assert at.events == [*[("freed", token) for token in range(1, 8)], ("woken", 0)]
    assert at.words(1)[0] == 1


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
@pytest.mark.parametrize("queue_size", [2, 4, 32, 256])
@pytest.mark.parametrize("features", [0, EVENT_IDX, INDIRECT | EVENT_IDX | MRG_RXBUF])
def test_long_run(profile: str, queue_size: int, features: int) -> None:
    """Frames of all lengths, each sent while the queue runs, are freed once and come out as they were."""
    at = machine(profile, queue_size=queue_size, offered=features)
    size = 12 if features & MRG_RXBUF else 10
    frames = [frags(at, i % 18, token=i + 1) for i in range(40)]
    out: list[bytes] = []
    for frame in frames:
        send(at, frame)
        if at.events[-1][0] in ("stopped", "freed"):
            out += at.send_all()
            at.info.interrupt()
    out += at.send_all()
    at.info.remove()
    freed = sorted(token for kind, token in at.events if kind == "freed")
    assert freed == list(range(1, 41))
    dropped = statistics(at)[3]
    assert len(out) == 40 - dropped
    if profile == "virtio-1.x":
        assert dropped == 0
        assert out == [bytes(size) + b"h" * 14 + bytes(range(i % 18)) for i in range(40)]
    assert at.arena.live == {}


def test_headers_of_frames_in_flight_do_not_meet() -> None:
    """Each frame has its header in its own control block."""
    at = machine(offered=CSUM)
    send(at, at.skb(b"a" * 60, **SUMMED), at.skb(b"b" * 60))
    assert [chain.data[:10].hex() for chain in at.take()] == ["01000000000022001000", "00" * 10]
    assert at.info.features & VERSION_1 == 0
