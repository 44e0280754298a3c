"""Reference and C driver in lockstep: they agree, and a seeded defect in either is a difference."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringproof.commands.build import PROFILES, build_shipped
from ringproof.impl.device.device import Violation
from ringproof.impl.harness.frames import Frame
from ringproof.impl.harness.net_operations import (
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    F_MQ,
    NET_FEATURES,
    Access,
    NetConfig,
    NetResult,
    Region,
)
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.journey.described import described
from ringproof.journey.lockstep import Difference, Lockstep, result_difference
from ringproof.journey.sending import BATCH, Fate, ProbeRefused, Sender, SettingRefused
from ringproof.patching import load_reference_mutant
from ringproof.validation.net_worker import NetWorker

TEXTS = (
    *["eth len=14"] * 8,
    "tcp4 len=4000 csum gso=1448 frags=100,0,100@8 ecn list=300(4@8),9(0)",
    "udp4 len=900 frags=9@1000,0,8 queue=7",
    "tcp4 kind=unknown gso=9 cpu=1",
    "udp6 csum queue=1",
    "eth len=14",
    "udp6 len=4000 csum gso=1480 cpu=3",
    "udp4 gso=100 len=900",
    "eth len=400 list=" + ",".join(["9"] * 17),
    "eth len=400 list=" + ",".join(["9"] * 18),
    "eth len=400 frags=" + ",".join(["9"] * 17),
)
FEATURE_SETS = (
    0,
    NET_FEATURES,
    NET_FEATURES & ~F_INDIRECT_DESC,
    NET_FEATURES & ~(F_INDIRECT_DESC | F_EVENT_IDX),
)


@pytest.fixture(scope="module")
def libraries() -> dict[str, Path]:
    """The C driver in both profiles."""
    return {profile: build_shipped(None, profile=profile) for profile in PROFILES}


def frames(times: int) -> Iterator[Frame]:
    """All shapes, again and again."""
    for _ in range(times):
        for text in TEXTS:
            yield described(text)[0]


def send(lockstep: Lockstep, config: NetConfig, pairs: int = 1, times: int = 3) -> tuple[Sender, list[Fate]]:
    """Send the frames; the sender and what became of each."""
    sender = Sender(config, lockstep, pairs)
    return sender, [fate for fates in sender.send(frames(times)) for fate in fates]


@pytest.mark.parametrize("features", FEATURE_SETS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("transport", ["legacy", "modern"])
@pytest.mark.parametrize("queue_size", [1, 2, 8, 32, 256])
def test_reference_and_c_agree(
    libraries: dict[str, Path], queue_size: int, transport: str, profile: str, features: int
) -> None:
    """On every configuration all frames come back, sent or counted as dropped, and nothing differs."""
    pairs = 3 if features & F_MQ and features & F_CTRL_VQ and queue_size > 2 else 1
    config = NetConfig(queue_size, features, transport, profile, pairs=3)
    with NetWorker(libraries[profile], config) as driver:
        lockstep = Lockstep(NetRunner(config), driver)
        if queue_size == 1 and profile == "virtio-1.x" and transport == "legacy":
            # A header needs a descriptor of its own there.
            with pytest.raises(ProbeRefused, match="-22"):
                send(lockstep, config, pairs)
            return
        sender, fates = send(lockstep, config, pairs)
        assert driver.findings() == []
    totals = sender.totals
    assert [fate.number for fate in fates] == list(range(3 * len(TEXTS)))
    assert totals.sent + totals.dropped == totals.frames == len(fates)
    assert totals.sent == sum(fate.chain is not None for fate in fates)
    assert totals.counted.tx_dropped == totals.counted.tx_fifo_errors == totals.dropped
    assert totals.counted.tx_packets + totals.freed_by_remove == totals.sent
    assert lockstep.checks.steps > len(fates)
    assert lockstep.checks.chains == totals.sent
    if features and queue_size > 2:
        assert totals.sent > totals.dropped > 0


def test_a_command_needs_room(libraries: dict[str, Path]) -> None:
    """Where the control queue has too few descriptors, both refuse to set pairs."""
    config = NetConfig(2, NET_FEATURES & ~F_INDIRECT_DESC, "legacy", "virtio-1.x", pairs=2)
    with NetWorker(libraries["virtio-1.x"], config) as driver, pytest.raises(SettingRefused, match="-22"):
        send(Lockstep(NetRunner(config), driver), config, 2)


@pytest.mark.parametrize("profile", PROFILES)
def test_batches_follow_one_another(libraries: dict[str, Path], profile: str) -> None:
    """More frames than fit into memory at once go batch by batch; none is lost, and they keep their order."""
    config = NetConfig(64, NET_FEATURES, "legacy", profile)
    plain = described("eth len=60")[0]
    with NetWorker(libraries[profile], config) as driver:
        sender = Sender(config, Lockstep(NetRunner(config), driver))
        sizes = [len(fates) for fates in sender.send(plain for _ in range(2 * BATCH + 7))]
        kept = (*driver.accesses, *driver.events, *driver.captures, *driver.device.segments)
    assert sizes == [BATCH, BATCH, 7]
    # Nothing of the past is kept, so that a file of any length can be sent.
    assert len(kept) < 200
    assert sender.totals.sent == 2 * BATCH + 7
    # Linux 3.11 frees a frame only when another comes, so that a new batch takes a new probe.
    assert sender.totals.probes == (1 if profile == "virtio-1.x" else 4)


def test_frames_that_fill_the_memory_make_smaller_batches() -> None:
    """Frames of many pages are fewer to a batch."""
    config = NetConfig(64)
    many = described("eth len=60 list=" + ",".join(["0(" + ",".join(["0"] * 17) + ")"] * 30))[0]
    sender = Sender(config, Lockstep(NetRunner(config), None))
    sizes = [len(fates) for fates in sender.send(many for _ in range(40))]
    assert sum(sizes) == 40
    assert len(sizes) > 1


MUTANTS = {
    "D9": NetConfig(16, NET_FEATURES & ~F_INDIRECT_DESC),
    "E2": NetConfig(64, NET_FEATURES & ~(1 << 15)),
    "E3": NetConfig(64, NET_FEATURES & ~(1 << 15), "modern"),
    **{name: NetConfig(16, NET_FEATURES & ~F_INDIRECT_DESC) for name in ("E6", "E11", "E19")},
    **{
        name: NetConfig(64, NET_FEATURES) for name in ("X11", "X12", "X13", "X15", "X16", "X17", "X20", "X21")
    },
    "E10": NetConfig(32, NET_FEATURES & ~F_INDIRECT_DESC),
    "X18": NetConfig(64, 0),
    "X19": NetConfig(64, NET_FEATURES, "modern"),
    "X22": NetConfig(64, NET_FEATURES, pairs=2),
    "X23": NetConfig(64, NET_FEATURES),
    "X24": NetConfig(64, NET_FEATURES),
    "X25": NetConfig(16, NET_FEATURES & ~F_INDIRECT_DESC),
    "X26": NetConfig(64, NET_FEATURES, "modern"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_seeded_defect_is_a_difference(mutant: str) -> None:
    """The reference beside a copy of it that carries a defect: the first thing it does wrong ends the run."""
    config = MUTANTS[mutant]
    defective = NetRunner(config, reference=load_reference_mutant(mutant))
    with pytest.raises((Difference, Violation)) as caught:
        send(Lockstep(NetRunner(config), defective), config, config.pairs)
    assert "\n" not in str(caught.value)


def test_a_queue_that_stays_stopped_is_noticed() -> None:
    """Without a reference beside it a driver whose queue never wakes is found out, too."""
    config = NetConfig(16, NET_FEATURES & ~F_INDIRECT_DESC)
    runner = NetRunner(config, reference=load_reference_mutant("D9"))
    with pytest.raises(Violation, match="queue-wakes: transmit queue 0 is stopped"):
        send(Lockstep(runner, None), config)


def test_differences_are_said_with_both_sides() -> None:
    """The driver's first, then the reference's; a register by its name."""
    one = NetResult(0, accesses=(Access(True, Region.IO, 16, 2, 1),))
    other = NetResult(0, accesses=(Access(True, Region.IO, 16, 2, 3),))
    assert result_difference(one, other) == (
        "access 1 is a write of queue_notify (16 bits, 0x3), "
        "of the reference a write of queue_notify (16 bits, 0x1)"
    )
    assert result_difference(one, NetResult(0)).startswith("access 1 is none, of the reference")
    assert result_difference(NetResult(0), NetResult(-22)) == "status is -22, the reference has 0"
