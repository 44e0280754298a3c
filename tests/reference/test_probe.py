"""Probe on both transports, with its register log spelled out; what makes it fail; the doorbell."""

from errno import EINVAL, ENODEV, ENOENT, ENOMEM, ETIMEDOUT
from typing import Any

import pytest

from ringproof.impl.reference import PROFILES, virtnet_probe
from ringproof.impl.reference.features import UNDERSTOOD, accepted_features

from .machine import (
    ALL,
    CSUM,
    CTRL_VQ,
    ECN,
    MAC,
    MQ,
    STATUS,
    TSO4,
    TSO6,
    UFO,
    VERSION_1,
    Machine,
    probed,
)

BOTH = pytest.mark.parametrize("transport", ["legacy", "modern"])
EACH = pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])


def lines(text: str) -> list[str]:
    """Return the accesses of a log written with one or several, separated by semicolons, in each line."""
    return [access.strip() for line in text.splitlines() for access in line.split(";") if access.strip()]


# -- probe ---------------------------------------------------------------------------------------------


@EACH
def test_legacy_probe(profile: str) -> None:
    """Every access of a legacy probe with MAC, STATUS and CTRL_VQ, in order; both profiles are alike."""
    machine = Machine("legacy", profile, offered=CSUM | MAC | STATUS | CTRL_VQ | 1 << 24, queue_size=16)
    info = machine.probe()
    assert machine.log == lines("""
        W status 0; R status 0
        R status 0; W status 1
        R status 1; W status 3
        R device_features 1030021; W driver_features 30021
        R config+0/1 52; R config+1/1 54; R config+2/1 0; R config+3/1 12; R config+4/1 34; R config+5/1 56
        W select 0; R size 10; R page_frame 0; W page_frame 4100000
        W select 1; R size 10; R page_frame 0; W page_frame 4100002
        W select 2; R size 10; R page_frame 0; W page_frame 4100004
        R config+6/1 1; R config+7/1 0
        R status 3; W status 7
    """)
    assert info.features == CSUM | MAC | STATUS | CTRL_VQ
    assert (info.mac, info.link_up, info.pairs, info.pairs_in_use) == (machine.configuration[:6], True, 1, 1)
    assert [vq.index for vq in info.virtqueues] == [0, 1, 2]
    assert [machine.words(queue)[0] for queue in range(3)] == [0, 0, 1], "the control queue has no callback"
    assert machine.events == []


@EACH
def test_modern_probe(profile: str) -> None:
    """Every access of a modern probe with all features and two pairs, in order; both profiles are alike."""
    machine = Machine("modern", profile, offered=ALL, queue_size=16, pairs=2)
    info = machine.probe()
    queues = "".join(
        f"""
        W select {queue}; R size 10; R enable 0; R notify_off {3 * queue + 1:x}; W size 10
        W desc_lo {at:x}; W desc_hi 41
        W driver_lo {at + 256:x}; W driver_hi 41
        W device_lo {at + 296:x}; W device_hi 41
        W enable 1"""
        for queue in range(5)
        for at in [512 * queue]  # 256, 38 and 134 bytes, the used ring at a multiple of 4
    )
    assert machine.log == lines(
        """
        W status 0; R status 0
        R status 0; W status 1
        R status 1; W status 3
        W device_feature_select 0; R device_feature 3043f821
        W device_feature_select 1; R device_feature 1
        W driver_feature_select 0; W driver_feature 3043f821
        W driver_feature_select 1; W driver_feature 1
        R status 3; W status b; R status b
        R generation 0; R config+8/2 2; R generation 0
        R generation 0
        R config+0/1 52; R config+1/1 54; R config+2/1 0; R config+3/1 12; R config+4/1 34; R config+5/1 56
        R generation 0"""
        + queues
        + """
        R generation 0; R config+6/2 1; R generation 0
        R status b; W status f
    """
    )
    assert (info.features, info.pairs, info.pairs_in_use) == (ALL, 2, 1)
    flags = 1 if profile == "linux-3.11" else 0
    assert [machine.words(queue)[0] for queue in range(5)] == [0, 0, 0, 0, flags], (
        "mended: EVENT_IDX, no flags"
    )


def test_smallest_legacy_probe() -> None:
    """Without features there are two queues and no configuration to read."""
    machine = Machine("legacy", queue_size=8)
    machine.probe()
    assert machine.log == lines("""
        W status 0; R status 0; R status 0; W status 1; R status 1; W status 3
        R device_features 0; W driver_features 0
        W select 0; R size 8; R page_frame 0; W page_frame 4100000
        W select 1; R size 8; R page_frame 0; W page_frame 4100002
        R status 3; W status 7
    """)


def test_number_of_pairs_is_read_bytewise_on_legacy() -> None:
    """With MQ and CTRL_VQ, max_virtqueue_pairs comes first, then MAC."""
    machine = Machine("legacy", offered=MQ | CTRL_VQ | MAC, pairs=3)
    info = machine.probe()
    assert machine.log[8:11] == ["R config+8/1 3", "R config+9/1 0", "R config+0/1 52"]
    assert [vq.index for vq in info.virtqueues] == list(range(7))
    assert info.pairs == 3


@BOTH
@EACH
def test_queues_are_zeroed(transport: str, profile: str) -> None:
    """Each ring holds zeros but for the links of the free list and NO_INTERRUPT."""
    machine = probed(transport, profile, queue_size=4, offered=CTRL_VQ)
    for queue, flags in ((0, 0), (1, 0), (2, 1)):
        desc, avail, used, size = machine.parts(queue)
        links = b"".join(bytes(14) + bytes([following, 0]) for following in (1, 2, 3, 0))
        assert bytes(machine.view(desc, 64)) == links
        assert bytes(machine.view(avail, 6 + 2 * size)) == bytes([flags]) + bytes(13)
        assert bytes(machine.view(used, 6 + 8 * size)) == bytes(38)


@EACH
def test_only_what_is_offered_and_understood(profile: str) -> None:
    """Neither what the device does not offer nor what the driver does not know is accepted."""
    machine = Machine("modern", profile, offered=CSUM | TSO4 | 1 << 34 | 1 << 40, understood=CSUM | VERSION_1)
    assert machine.probe().features == machine.accepted == CSUM | VERSION_1
    machine = Machine("legacy", profile, offered=MAC, understood=~0)
    assert machine.probe().features == machine.accepted == MAC


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        (TSO4 | TSO6 | UFO, 0),
        (TSO4 | ECN, 0),
        (CSUM | ECN, CSUM),
        (CSUM | TSO6 | ECN, CSUM | TSO6 | ECN),
        (CSUM | UFO | ECN, CSUM | UFO),
        (MQ, 0),
        (MQ | CTRL_VQ, MQ | CTRL_VQ),
        (ALL, ALL),
    ],
)
def test_features_that_lack_another(offered: int, accepted: int) -> None:
    """Mended, a feature without the one it requires is not accepted; Linux 3.11 accepts it."""
    assert accepted_features(offered, UNDERSTOOD, PROFILES["virtio-1.x"]) == accepted
    assert accepted_features(offered, UNDERSTOOD, PROFILES["linux-3.11"]) == offered


def test_multiqueue_without_control_queue() -> None:
    """Linux 3.11 accepts MQ alone and uses one pair, as it cannot ask for more."""
    machine = probed("legacy", "linux-3.11", offered=MQ, pairs=4)
    assert machine.info.features == MQ
    assert [vq.index for vq in machine.info.virtqueues] == [0, 1]
    assert (machine.info.set_pairs(1), machine.info.set_pairs(2)) == (0, -EINVAL)


@BOTH
@pytest.mark.parametrize(("pairs", "used"), [(0, 1), (0x8001, 1), (0xFFFF, 1), (1, 1), (8, 8)])
def test_pairs_out_of_range(transport: str, pairs: int, used: int) -> None:
    """max_virtqueue_pairs of 0 or above 0x8000 means one pair."""
    machine = Machine(transport, offered=MQ | CTRL_VQ, pairs=pairs)
    info = machine.probe()
    assert (info.pairs, len(info.send_queues), info.cvq.index) == (used, used, 2 * used)


def test_more_pairs_than_wanted() -> None:
    """Of a device with more than 8 pairs, 8 are used; its control queue is still the last of all."""
    machine = Machine("modern", offered=MQ | CTRL_VQ, pairs=9)
    info = machine.probe()
    assert [vq.index for vq in info.virtqueues] == [*range(16), 18]


def test_configuration_that_changes() -> None:
    """A field whose generation changed meanwhile is read again, until it did not."""
    machine = Machine("modern", offered=STATUS, changes=3)
    machine.probe()
    start = machine.log.index("R generation 1")
    assert machine.log[start:-2] == lines("""
        R generation 1; R config+6/2 1; R generation 2
        R generation 3; R config+6/2 1; R generation 3
    """)


# -- reset ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "profile"),
    [("legacy", "virtio-1.x"), ("modern", "virtio-1.x"), ("modern", "linux-3.11")],
)
def test_reset_is_waited_for(transport: str, profile: str) -> None:
    """Status is read until it is 0; after 1000 reads the probe gives up and touches nothing any more."""
    machine = Machine(transport, profile, reset_reads=999)
    machine.status = 7
    machine.probe()
    assert machine.log[:1001] == ["W status 0", *["R status 7"] * 999, "R status 0"]
    never = Machine(transport, profile, reset_reads=1000)
    never.status = 7
    assert never.probe_error() == -ETIMEDOUT
    assert never.log == ["W status 0", *["R status 7"] * 1000]
    assert never.arena.live == {}


def test_linux_does_not_wait_on_legacy() -> None:
    """Linux 3.11 reads status once after a reset and goes on whatever it says."""
    machine = Machine("legacy", "linux-3.11", reset_reads=1)
    machine.status = 7
    machine.probe()
    assert machine.log[:4] == ["W status 0", "R status 7", "R status 0", "W status 1"]


# -- failures ------------------------------------------------------------------------------------------


def failed(machine: Machine, errno: int) -> list[str]:
    """Probe in vain; see that all was given back and the device told so. Returns the log but for that."""
    before = dict(machine.arena.live)
    assert machine.probe_error() == errno
    assert machine.arena.live == before
    assert machine.events == []
    status = machine.status & ~128
    assert machine.log[-2:] == [f"R status {status:x}", f"W status {status | 128:x}"]
    return machine.log[:-2]


@EACH
def test_modern_without_version_1(profile: str) -> None:
    """A device that does not offer VERSION_1 is left alone: no feature is written."""
    machine = Machine("modern", profile)
    machine.offered = CSUM
    assert failed(machine, -ENODEV)[-2:] == ["W device_feature_select 1", "R device_feature 0"]


@EACH
def test_features_refused(profile: str) -> None:
    """FEATURES_OK that does not stick ends the probe before anything is set up."""
    machine = Machine("modern", profile, refuses_features=True)
    assert failed(machine, -ENODEV)[-3:] == ["R status 3", "W status b", "R status 3"]


@EACH
def test_configuration_that_always_changes(profile: str) -> None:
    """After 1000 attempts at a field the probe gives up: at MAC, or after the queues at status."""
    machine = Machine("modern", profile, offered=MAC, changes=10**6)
    assert sum(line == "R config+0/1 52" for line in failed(machine, -ETIMEDOUT)) == 1000
    machine = Machine("modern", profile, offered=STATUS, changes=10**6)
    assert sum(line == "R config+6/2 1" for line in failed(machine, -ETIMEDOUT)) == 1000


TAKEN_DOWN = {
    "legacy": ["W select 0", "W page_frame 0", "W select 1", "W page_frame 0"],
    "modern": [],
}


@BOTH
@EACH
@pytest.mark.parametrize(
    ("fault", "errno"),
    [
        ({"sizes": {2: 0}}, ENOENT),
        ({"occupied": [2]}, ENOENT),
        ({"sizes": {2: 3}}, EINVAL),
        ({"sizes": {2: 0xFFFF}}, EINVAL),
        ({"sizes": {2: 48}}, EINVAL),
    ],
)
def test_bad_third_queue(transport: str, profile: str, fault: dict[str, Any], errno: int) -> None:
    """A queue that is missing, in use or of a bad size ends the probe; those before are taken down."""
    machine = Machine(transport, profile, offered=CTRL_VQ, **fault)
    log = failed(machine, -errno)
    start = log.index("W select 2")
    size = fault.get("sizes", {2: 32})[2]
    occupied = 1 if "occupied" in fault else 0
    register = "page_frame" if transport == "legacy" else "enable"
    expected = ["W select 2", f"R size {size:x}", f"R {register} {occupied:x}", *TAKEN_DOWN[transport]]
    assert log[start:] == expected


@BOTH
@EACH
@pytest.mark.parametrize("after", [0, 1, 2])
def test_no_memory_for_a_ring(transport: str, profile: str, after: int) -> None:
    """Without memory for a ring the probe ends, and the rings before it are given back."""
    machine = Machine(transport, profile, offered=CTRL_VQ)
    allocate, left = machine.arena.allocate, [after]

    def sparing(size: int, alignment: int) -> int | None:
        left[0] -= 1
        address: int | None = allocate(size, alignment) if left[0] >= 0 else None
        return address

    machine.arena.allocate = sparing
    log = failed(machine, -ENOMEM)
    start = log.index(f"W select {after}") + 1
    before = ["R size 20", "R page_frame 0"]
    if transport == "modern":
        before = ["R size 20", "R enable 0", f"R notify_off {3 * after + 1:x}"]
    assert log[start:] == [*before, *TAKEN_DOWN[transport][: 2 * after]]


def test_transmit_queue_of_one_without_version_1() -> None:
    """Mended, such a queue is refused: header and data need a descriptor each. Others may be that small."""
    machine = Machine("legacy", sizes={1: 1})
    expected = ["W select 1", "R size 1", "R page_frame 0", "W select 0", "W page_frame 0"]
    assert failed(machine, -EINVAL)[-5:] == expected
    assert len(Machine("legacy", "linux-3.11", queue_size=1).probe().virtqueues) == 2
    assert len(Machine("modern", queue_size=1).probe().virtqueues) == 2
    assert len(Machine("legacy", sizes={0: 1, 2: 1}, offered=CTRL_VQ).probe().virtqueues) == 3


@BOTH
def test_largest_queue(transport: str) -> None:
    """A queue of 32768 descriptors is set up."""
    machine = Machine(transport, sizes={1: 32768})
    assert machine.probe().send_queues[0].vq.num_free == 32768


def test_unknown_transport() -> None:
    """A transport of another name is refused in words."""
    machine: Any = Machine()
    wants = {"transport": "mmio", "profile": machine.profile, "features": 0}
    with pytest.raises(ValueError, match="'mmio' is neither"):
        virtnet_probe(machine, machine.arena, machine, machine, **wants)


@BOTH
def test_probe_after_a_failed_one(transport: str) -> None:
    """What failed once can be probed again once its cause is gone, with the same memory."""
    machine = Machine(transport, offered=CTRL_VQ, sizes={2: 0})
    failed(machine, -ENOENT)
    bump = machine.arena.bump
    machine.sizes.clear()
    machine.probe()
    assert machine.status in (7, 15)
    assert machine.arena.bump > bump, "one ring more than before, and only that"


# -- doorbell ------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("pair", [0, 1, 2])
def test_doorbell(profile: str, pair: int) -> None:
    """Each queue has its own place in the notify region; on legacy one register takes the index."""
    for transport, expected in (
        ("legacy", f"W notify {2 * pair + 1:x}"),
        ("modern", f"W notify+{4 * (3 * (2 * pair + 1) + 1)} {2 * pair + 1:x}"),
    ):
        machine = probed(transport, profile, offered=MQ | CTRL_VQ, pairs=3)
        machine.info.start_xmit(machine.skb(b"x"), pair)
        assert machine.log == [expected]


def test_other_multiplier() -> None:
    """The distance between doorbells is the device's."""
    machine = Machine("modern")
    wants = {"transport": "modern", "profile": machine.profile, "features": ALL, "notify_off_multiplier": 64}
    info = virtnet_probe(machine, machine.arena, machine, machine, **wants)
    machine.log.clear()
    info.start_xmit(machine.skb(b"x"), 0)
    assert machine.log == ["W notify+256 1"]
