"""The recipes: their rounds, the command lines these lead to, and what they say when something is missing."""

import re
from pathlib import Path

import pytest

from ringproof.errors import BadInputError
from ringproof.live.recipes import dpdk, linux, missing, ovmf, qemu
from ringproof.live.recipes.food import food
from ringproof.live.recipes.recipe import DRIVER_MAC, PARTNER_MAC, RECIPES, Missing, qemu_options, recipe

SOCKET = Path("/run/somewhere/device.sock")
FEATURES = {
    *("VERSION_1", "EVENT_IDX", "INDIRECT_DESC", "IN_ORDER", "ANY_LAYOUT", "MRG_RXBUF", "CSUM", "MTU", "MAC"),
    *("HOST_TSO4", "HOST_TSO6", "HOST_ECN", "HOST_UFO", "HOST_USO", "STATUS", "MQ", "CTRL_VQ"),
    *("GUEST_CSUM", "GUEST_TSO4", "GUEST_TSO6", "GUEST_ECN", "GUEST_UFO"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_rounds(name: str) -> None:
    """Every recipe has rounds with names of their own, and what they withdraw is the name of a feature."""
    every = recipe(name).rounds()
    assert len({one.name for one in every}) == len(every) > 1
    for one in every:
        assert one.name.replace("-", "").isalnum()
        assert one.words
        assert one.device_features_withdrawn <= FEATURES
        assert 1 <= one.pairs <= 8
        assert one.queue_size in (None, 64, 256, 1024)
        assert 2 <= one.seconds <= 40


@pytest.mark.parametrize("name", RECIPES)
def test_quick_and_hostile_rounds(name: str) -> None:
    """The quick rounds of a recipe take less than 40 s; there are rounds for a device that breaks rules."""
    quick = recipe(name).rounds(quick=True)
    assert 1 <= len(quick) <= 3
    assert sum(one.seconds + one.first_frame / 2 for one in quick) < 50
    hostile = recipe(name).rounds(hostile=True)
    assert hostile
    assert all(one.hostile for one in hostile)


def test_each_transport_feature_is_withdrawn_somewhere() -> None:
    """Over all recipes, every feature that changes chains or kicks is withdrawn alone once."""
    alone = {
        next(iter(one.device_features_withdrawn))
        for name in RECIPES
        for one in recipe(name).rounds()
        if len(one.device_features_withdrawn) == 1
    }
    assert {"EVENT_IDX", "INDIRECT_DESC", "IN_ORDER", "MRG_RXBUF"} <= alone


def test_unknown_recipe() -> None:
    """A name nobody knows, and a kernel for a recipe that boots none, are bad input in one line."""
    with pytest.raises(BadInputError, match="did you mean linux"):
        recipe("linus")
    with pytest.raises(BadInputError, match="boots no kernel of yours"):
        recipe("dpdk", kernel=Path("/boot/vmlinuz"))


@pytest.mark.parametrize("name", RECIPES)
def test_missing_programs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With nothing on the PATH each recipe says in one line which program lacks, and how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing) as caught:
        recipe(name).check()
    said = str(caught.value)
    assert "\n" not in said
    assert f"the recipe {name} lacks the program" in said
    assert "apt-get install --no-install-recommends" in said


def test_missing_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without firmware images the recipe names them and the package they are in."""
    monkeypatch.setattr(ovmf, "_IMAGES", (("/nowhere/code.fd", "/nowhere/variables.fd"),))
    with pytest.raises(Missing, match=r"OVMF_CODE_4M\.fd and OVMF_VARS_4M\.fd .* ovmf$"):
        ovmf.Ovmf().version()


def test_dpdk_without_its_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A testpmd that starts but has no virtio-user driver, or is no testpmd at all, is told apart."""
    testpmd = tmp_path / "dpdk-testpmd"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    testpmd.write_text(
        "#!/bin/sh\necho \"EAL: RTE Version: 'DPDK 22.11.11'\"\n"
        "echo 'EAL: failed to parse device \"x\"'\nexit 1\n"
    )
    testpmd.chmod(0o755)
    with pytest.raises(Missing, match="the driver librte_net_virtio"):
        dpdk.Dpdk().check()
    testpmd.write_text("#!/bin/sh\necho \"EAL: RTE Version: 'DPDK 24.03.0'\"\n")
    known = dpdk.Dpdk()
    known.check()
    assert known.version() == "DPDK 24.03.0"
    testpmd.write_text("#!/bin/sh\n")
    with pytest.raises(Missing, match="tells its version"):
        dpdk.Dpdk().check()
    testpmd.write_bytes(b"no program")
    with pytest.raises(Missing, match="that starts"):
        dpdk.Dpdk().check()


def test_dpdk_command(tmp_path: Path) -> None:
    """DPDK's testpmd gets the socket, the card's address and the shape; a comma in the path is refused."""
    shape = dpdk.Shape(("in_order=0", "queue_size=64"), ("--txpkts=64,100",), pairs=2)
    words = dpdk.command(Path("/bin/testpmd"), SOCKET, tmp_path, shape)
    device = next(word for word in words if word.startswith("--vdev="))
    assert device == (
        f"--vdev=net_virtio_user0,path={SOCKET},queues=2,mac={DRIVER_MAC},in_order=0,queue_size=64"
    )
    assert words[-2:] == ["--txpkts=64,100", "--auto-start"]
    assert {"--no-huge", "--no-pci", "--rxq=2", "--txq=2", f"--eth-peer=0,{PARTNER_MAC}"} <= set(words)
    with pytest.raises(BadInputError, match="comma"):
        dpdk.command(Path("/bin/testpmd"), Path("/tmp/a,b"), tmp_path, shape)


def test_dpdk_commands_from_a_file(tmp_path: Path) -> None:
    """A shape that needs commands runs testpmd interactively, with a file of them and no automatic start."""
    shape = dpdk.Shape(forward="csum", commands=("start",))
    words = dpdk.command(Path("/bin/testpmd"), SOCKET, tmp_path, shape)
    assert "--auto-start" not in words
    assert words[-2:] == ["-i", f"--cmdline-file={tmp_path / 'commands.txt'}"]
    assert {one.name for one in dpdk.Dpdk().rounds() if one.fed} == {"forward", "csum", "tso"}


def test_dpdk_facts() -> None:
    """Of testpmd's statistics only the sums over all ports are told."""
    log = (
        "  RX-packets: 1              RX-dropped: 0             RX-total: 1\n"
        "  ++++ Accumulated forward statistics for all ports++++\n"
        "  RX-packets: 0              RX-dropped: 0             RX-total: 0\n"
        "  TX-packets: 89376          TX-dropped: 61973856      TX-total: 62063232\n"
    )
    assert dpdk.facts(log) == [
        "testpmd received 0 frames, dropped 0",
        "testpmd sent 89376 frames, dropped 61973856",
    ]
    assert dpdk.facts("EAL: Error") == []


def test_food_is_well_formed() -> None:
    """Every frame for a forwarding driver is addressed to it and has right checksums, by another library."""
    scapy = pytest.importorskip("scapy.layers.all")
    assert len(food()) == 16
    for frame in food():
        packet = scapy.Ether(frame)
        assert packet.dst == DRIVER_MAC
        assert packet.src == PARTNER_MAC
        layers = [layer for layer in (scapy.IP, scapy.TCP, scapy.UDP) if layer in packet]
        again = packet.copy()
        for layer in layers:
            del again[layer].chksum
        again = scapy.Ether(bytes(again))
        assert [packet[layer].chksum for layer in layers] == [again[layer].chksum for layer in layers]


def test_qemu_options() -> None:
    """What one's own QEMU needs: shared memory, a comma doubled, and what the card is asked to be."""
    words = qemu_options(Path("/tmp/a,b.sock"), memory=1024)
    assert words[:2] == ("-object", "memory-backend-memfd,id=ringproof-memory,size=1024M,share=on")
    assert "socket,id=ringproof-socket,path=/tmp/a,,b.sock" in words
    assert words[-1] == f"virtio-net-pci,netdev=ringproof,mac={DRIVER_MAC},vectors=0"
    assert not any(re.search(r"[\s'\"$;&|*?]", word) for word in words), "to be pasted into a shell as it is"
    card = qemu.Card(legacy=True, ring=1024, pairs=2, mtu=1300, rom=False)
    words = qemu_options(SOCKET, card=card)
    assert "vhost-user,id=ringproof,chardev=ringproof-socket,queues=2" in words
    assert words[-1].endswith(
        "mq=on,disable-modern=on,disable-legacy=off,rx_queue_size=1024,tx_queue_size=1024,host_mtu=1300,romfile="
    )
    assert "disable-legacy=on,disable-modern=off" in qemu_options(SOCKET, card=qemu.Card(legacy=False))[-1]


def test_qemu_version(tmp_path: Path) -> None:
    """QEMU's version is read from what it says; a program that says something else is refused."""
    program = tmp_path / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.22 (Debian 1:7.2)'\n")
    program.chmod(0o755)
    assert qemu.version(program) == "QEMU 7.2.22"
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\nexit 3\n")
    other.chmod(0o755)
    with pytest.raises(Missing, match="ends with 3 and tells no version"):
        qemu.version(other)
    with pytest.raises(Missing, match="cannot be started: No such file"):
        qemu.version(tmp_path / "nothing")


def test_ovmf_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The firmware gets its code to read only, a copy of its variables, and a card without a boot ROM."""
    code, variables = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
    code.write_bytes(b"code")
    variables.write_bytes(b"variables")
    program = tmp_path / qemu.PROGRAM
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ovmf, "_IMAGES", ((str(code), str(variables)),))
    words = ovmf.Ovmf().command(SOCKET, tmp_path / "work", qemu.Card(legacy=False, rom=False))
    assert f"if=pflash,format=raw,unit=0,readonly=on,file={code}" in words
    assert f"if=pflash,format=raw,unit=1,file={tmp_path / 'work' / 'variables.fd'}" in words
    assert words[-1].endswith("romfile=")
    assert ovmf.Ovmf().version() == "OVMF 5694d08a2e53"  # of SHA-256 of "code": dpkg-query is not on the PATH


def test_facts_of_guests() -> None:
    """What a guest told is taken from its console between the kernel's own lines."""
    log = "[    1.2] virtio_net virtio0\nringproof: ping sent 5 answered 5\n~ringproof: round 1 is over"
    assert linux.facts(log) == ["ping sent 5 answered 5", "round 1 is over"]
    assert ovmf.facts("x\n>>Start PXE over IPv4.\n  Station IP address is 10.0.0.2\n") == [
        ">>Start PXE over IPv4.",
        "Station IP address is 10.0.0.2",
    ]


def test_programs_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no PATH is set, programs are looked for where they usually are."""
    monkeypatch.delenv("PATH")
    assert missing.program("sh") is not None
    assert missing.program("no-such-program") is None
