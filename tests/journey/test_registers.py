"""Registers have the names of the specification, and values are told by what they mean."""

from ringproof.impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig, Op, Region
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.journey.registers import register_name, value_words


def test_every_access_of_a_driver_has_a_name() -> None:
    """Whatever either profile touches on either transport is a register that has a name."""
    for transport in ("legacy", "modern"):
        for profile in ("linux-3.11", "virtio-1.x"):
            runner = NetRunner(NetConfig(8, NET_FEATURES, transport, profile, pairs=8))
            runner.run(
                [Op(NetCode.PROBE), Op(NetCode.SET_PAIRS, a=8), Op(NetCode.INTERRUPT), Op(NetCode.REMOVE)]
            )
            names = {register_name(access.region, access.offset) for access in runner.accesses}
            assert not any("+" in name for name in names), names
            assert {"device_status", "queue_select", "queue_size", "mac[5]", "config.status"} <= names


def test_names() -> None:
    """A few registers of each region, and offsets where there is none."""
    assert register_name(Region.IO, 16) == "queue_notify"
    assert register_name(Region.IO, 20) == "mac[0]"
    assert register_name(Region.IO, 27) == "config.status[1]"
    assert register_name(Region.IO, 5) == "IO+5"
    assert register_name(Region.NOTIFY, 16) == "queue_notify[0]"
    assert register_name(Region.NOTIFY, 112) == "queue_notify[2]"
    assert register_name(Region.NOTIFY, 0) == "NOTIFY+0"
    assert register_name(Region.NOTIFY, 32) == "NOTIFY+32"
    assert register_name(Region.COMMON, 20) == "device_status"
    assert register_name(Region.COMMON, 60) == "COMMON+60"
    assert register_name(Region.DEVICE, 8) == "config.max_virtqueue_pairs"
    assert register_name(Region.DEVICE, 30) == "config+30"
    assert register_name(9, 30) == "region 9+30"


def test_values() -> None:
    """Bits by name, what has no name in hex, addresses in hex, the rest in decimal."""
    assert value_words("device_status", 0) == "0"
    assert value_words("device_status", 15) == "ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK"
    assert value_words("device_status", 0x91) == "ACKNOWLEDGE FAILED 0x10"
    assert value_words("driver_features", 1 | 1 << 28 | 1 << 31) == "CSUM INDIRECT_DESC 0x80000000"
    assert value_words("isr", 3) == "queue configuration"
    assert value_words("queue_page_frame", 0x41000) == "0x41000"
    assert value_words("queue_size", 256) == "256"
