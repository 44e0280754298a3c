"""Remove, set_pairs, select_queue and the interrupt, with their register accesses."""

from errno import EINVAL, ENOMEM, ETIMEDOUT

import pytest

from .machine import CTRL_VQ, EVENT_IDX, INDIRECT, MQ, STATUS, probed

BOTH = pytest.mark.parametrize("transport", ["legacy", "modern"])
EACH = pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
RING = 0x41_0000_0000


# -- remove --------------------------------------------------------------------------------------------


@BOTH
@EACH
def test_remove(transport: str, profile: str) -> None:
    """Frames still held are freed, sent or not, queue after queue, uncounted; then all is given back."""
    machine = probed(transport, profile, offered=MQ | CTRL_VQ | INDIRECT, pairs=2)
    info = machine.info
    frames = [machine.skb(b"x" * 60, [(0, b"y")]) for _ in range(5)]
    for frame, pair in zip(frames, (1, 0, 1, 0, 0), strict=True):
        info.start_xmit(frame, pair)
    machine.use(1, machine.take()[1].head)
    machine.log.clear()
    machine.events.clear()
    info.remove()
    assert machine.events == [("freed", token) for token in (2, 4, 5, 1, 3)]
    down = [line for queue in range(5) for line in (f"W select {queue}", "W page_frame 0")]
    down = down if transport == "legacy" else []
    assert machine.log == ["W status 0", "R status 0", *down, "R status 0", "W status 1"]
    assert machine.arena.live == {}
    assert [queue.statistics for queue in info.send_queues] == [(0, 0, 0, 0)] * 2


@pytest.mark.parametrize(
    ("transport", "profile"),
    [("legacy", "virtio-1.x"), ("modern", "virtio-1.x"), ("modern", "linux-3.11")],
)
def test_remove_when_reset_fails(transport: str, profile: str) -> None:
    """A device that is not reset may still use its memory: nothing is freed."""
    machine = probed(transport, profile)
    machine.reset_reads = 10**6
    machine.info.start_xmit(machine.skb(b"x"), 0)
    live = dict(machine.arena.live)
    machine.log.clear()
    machine.events.clear()
    machine.info.remove()
    status = "7" if transport == "legacy" else "f"
    assert machine.log == ["W status 0", *[f"R status {status}"] * 1000]
    assert (machine.arena.live, machine.events) == (live, [])


# -- queues --------------------------------------------------------------------------------------------


@BOTH
@EACH
def test_set_pairs(transport: str, profile: str) -> None:
    """The command is what VIRTIO says, sent through the control queue's doorbell; its memory is released."""
    machine = probed(transport, profile, offered=MQ | CTRL_VQ, pairs=3, answers=[0])
    live = dict(machine.arena.live)
    bump = machine.arena.bump
    assert machine.info.set_pairs(3) == 0
    assert machine.log == ["W notify 6"] if transport == "legacy" else ["W notify+76 6"]
    assert (machine.info.pairs_in_use, machine.arena.live) == (3, live)
    assert machine.arena.bump - bump == 64
    machine.answers.clear()
    machine.info.set_pairs(2)
    machine.answers = [0]
    (chain,) = machine.take(6)
    assert [(length, flags & 2) for _, length, flags in chain.segments] == [(2, 0), (2, 0), (1, 2)]
    first = chain.segments[0][0]
    assert [address - first for address, _, _ in chain.segments] == [0, 2, 4]
    assert first % 8 == 0
    assert chain.data == bytes([4, 0, 2, 0])
    assert machine.view(first + 4, 1)[0] == 0xFF, "an answer that means nothing"


def test_set_pairs_that_cannot_be() -> None:
    """Zero or more than there are is refused without asking the device."""
    machine = probed("modern", offered=MQ | CTRL_VQ, pairs=3)
    assert [machine.info.set_pairs(count) for count in (0, 4, 65536, -1)] == [-EINVAL] * 4
    assert machine.log == []


@pytest.mark.parametrize("offered", [0, CTRL_VQ])
def test_set_pairs_without_multiqueue(offered: int) -> None:
    """One pair is what there is, without asking."""
    machine = probed("legacy", offered=offered)
    assert [machine.info.set_pairs(count) for count in (0, 1, 2)] == [-EINVAL, 0, -EINVAL]
    assert machine.log == []


def test_set_pairs_refused() -> None:
    """What the device does not acknowledge changes nothing."""
    machine = probed("modern", offered=MQ | CTRL_VQ, pairs=3, answers=[1, 0xFF, 0])
    live = dict(machine.arena.live)
    assert [machine.info.set_pairs(2) for _ in range(2)] == [-EINVAL] * 2
    assert (machine.info.pairs_in_use, machine.arena.live) == (1, live)
    assert machine.info.set_pairs(2) == 0


def test_set_pairs_unanswered() -> None:
    """Without an answer the command's memory stays the device's, until it is reset."""
    machine = probed("legacy", offered=MQ | CTRL_VQ, pairs=2, queue_size=4)
    live = len(machine.arena.live)
    assert machine.info.set_pairs(2) == -ETIMEDOUT
    assert (machine.info.pairs_in_use, len(machine.arena.live)) == (1, live + 1)
    assert machine.info.set_pairs(2) == -EINVAL, "three of four descriptors are taken"
    assert len(machine.arena.live) == live + 1
    machine.info.remove()
    assert not machine.arena.live


def test_set_pairs_without_memory() -> None:
    """Without memory for the command nothing is asked."""
    machine = probed("modern", offered=MQ | CTRL_VQ, pairs=2)
    machine.arena.fail = True
    assert (machine.info.set_pairs(2), machine.log) == (-ENOMEM, [])


def test_set_pairs_through_a_short_queue() -> None:
    """A control queue too short for a command cannot take it."""
    machine = probed("modern", offered=MQ | CTRL_VQ, pairs=2, sizes={4: 2})
    live = dict(machine.arena.live)
    assert (machine.info.set_pairs(2), machine.arena.live) == (-EINVAL, live)


def test_select_queue() -> None:
    """The recorded queue, else the processor, brought below the number in use by subtracting it."""
    machine = probed("modern", offered=MQ | CTRL_VQ, pairs=5, answers=[0])

    def selected() -> list[int]:
        wants = [(None, 0), (None, 4), (None, 65535), (0, 3), (4, 0), (7, 1), (65535, 0)]
        frames = [machine.skb(b"x", recorded_queue=queue, cpu=cpu) for queue, cpu in wants]
        return [machine.info.select_queue(frame) for frame in frames]

    assert selected() == [0] * 7, "one pair is in use after probe"
    assert machine.info.set_pairs(3) == 0
    assert selected() == [0, 1, 0, 0, 1, 1, 0]


@EACH
def test_queues_are_apart(profile: str) -> None:
    """Each transmit queue has its own ring, statistics and stack queue."""
    machine = probed("modern", profile, offered=MQ | CTRL_VQ, pairs=2, queue_size=4)
    machine.info.start_xmit(machine.skb(b"one"), 1)
    assert (machine.take(1), len(machine.take(3))) == ([], 1)
    assert machine.events == [("orphaned", 1), ("stopped", 1)]
    assert [queue.vq.num_free for queue in machine.info.send_queues] == [4, 2]


# -- interrupt -----------------------------------------------------------------------------------------


@BOTH
def test_interrupt_of_others(transport: str) -> None:
    """An ISR of 0 is not ours; nothing but ISR is read."""
    machine = probed(transport, offered=STATUS)
    assert machine.info.interrupt() is False
    assert machine.log == ["R isr 0"]


@BOTH
def test_interrupt_without_news(transport: str) -> None:
    """An interrupt that finds nothing used is not handled."""
    machine = probed(transport, offered=STATUS)
    machine.isr = 1
    assert machine.info.interrupt() is False
    assert machine.log == ["R isr 1"]
    assert machine.events == []


@BOTH
@EACH
def test_configuration_interrupt(transport: str, profile: str) -> None:
    """A change of configuration is ours; with STATUS the link is read."""
    machine = probed(transport, profile, offered=STATUS)
    machine.configuration = machine.configuration[:6] + b"\0\0" + machine.configuration[8:]
    machine.isr = 2
    assert machine.info.interrupt() is True
    reads = {
        "legacy": ["R config+6/1 0", "R config+7/1 0"],
        "modern": ["R generation 0", "R config+6/2 0", "R generation 0"],
    }
    assert machine.log == ["R isr 2", *reads[transport]]
    assert machine.info.link_up is False
    without = probed(transport, profile)
    without.isr = 2
    assert without.info.interrupt() is True
    assert without.log == ["R isr 2"]


def test_link_that_cannot_be_read() -> None:
    """A configuration that always changes leaves the link as it was."""
    machine = probed("modern", offered=STATUS)
    machine.changes = 10**6
    machine.isr = 2
    assert machine.info.interrupt() is True
    assert machine.info.link_up is True


@BOTH
@EACH
def test_interrupt_goes_to_every_queue(transport: str, profile: str) -> None:
    """Every queue with something used is served, in order of index, after the configuration."""
    machine = probed(transport, profile, offered=MQ | CTRL_VQ | EVENT_IDX, pairs=3)
    for pair in (2, 0):
        machine.info.start_xmit(machine.skb(b"x"), pair)
        machine.use(2 * pair + 1, machine.take(2 * pair + 1)[0].head)
    machine.isr |= 2
    machine.events.clear()
    assert machine.info.interrupt() is True
    assert [value for kind, value in machine.events if kind == "woken"] == [0, 2]
    assert machine.isr == 0


def test_receive_callback() -> None:
    """Something used on a receive queue is handled and has no effect."""
    machine = probed("legacy")
    machine.places[0]["page_frame"] = RING // 4096
    machine.use(0, 0)
    assert machine.info.interrupt() is True
    assert machine.events == []
