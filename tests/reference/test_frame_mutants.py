"""Each defect of the whole driver shows on its patched reference, and not on the reference itself."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ringproof.impl import reference
from ringproof.patching import load_reference_mutant
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG

from .machine import CSUM, CTRL_VQ, ECN, EVENT_IDX, MQ, STATUS, TSO4, VERSION_1, Machine

Scenario = Callable[[ModuleType], Any]
SCENARIOS: dict[str, tuple[Scenario, Any, Any]] = {}
"""Mutant to scenario, what it shows on the reference, and what on the mutant."""

TCPV4 = 1
SUMMED: dict[str, Any] = {"checksum": True, "csum_start": 34, "csum_offset": 16}
BIG_TCP: dict[str, Any] = {**SUMMED, "gso": TCPV4, "gso_size": 1448}


def shows(mutant: str, sound: Any, wrong: Any) -> Callable[[Scenario], Scenario]:
    """Register a scenario for a mutant with what each side shows."""

    def register(scenario: Scenario) -> Scenario:
        SCENARIOS[mutant] = scenario, sound, wrong
        return scenario

    return register


def probed(package: ModuleType, transport: str = "legacy", **wants: Any) -> Machine:
    """Return a machine whose device the reference given has probed."""
    machine = Machine(transport, package=package, **wants)
    machine.probe()
    machine.log.clear()
    return machine


def header(machine: Machine, **wants: Any) -> str:
    """Send a frame of a linear part of 60 bytes; return its header's segment."""
    machine.info.start_xmit(machine.skb(b"x" * 60, **wants), 0)
    (chain,) = machine.take()
    address, length, _ = chain.segments[0]
    return bytes(machine.view(address, length)).hex()


def lengths(machine: Machine, frame: Any) -> list[int]:
    """Send a frame; return the lengths of its segments."""
    machine.info.start_xmit(frame, 0)
    return [length for _, length, _ in machine.take()[0].segments]


def fill(machine: Machine, count: int) -> None:
    """Send that many frames of two segments."""
    for _ in range(count):
        machine.info.start_xmit(machine.skb(b"x" * 60), 0)


def stopped(machine: Machine) -> list[str]:
    """Return what the stack was told of the queue itself."""
    return [kind for kind, _ in machine.events if kind not in ("freed", "orphaned")]


@shows("E2", "00" * 10, "00" * 12)
def _(package: ModuleType) -> Any:
    return header(probed(package))


@shows("E3", "00" * 12, "00" * 10)
def _(package: ModuleType) -> Any:
    return header(probed(package, "modern"))


@shows("E6", "00" * 12, "0000" + "a5" * 8 + "0000")
def _(package: ModuleType) -> Any:
    return header(probed(package, "modern"))


@shows("E10", ["stopped"], [])
def _(package: ModuleType) -> Any:
    machine = probed(package, queue_size=32)
    fill(machine, 7)  # leaves 18: too few for the header, the linear part and 17 fragments
    return stopped(machine)


@shows("E11", [10, 4, 5, 2], [10, 4, 0, 5, 0, 2])
def _(package: ModuleType) -> Any:
    machine = probed(package)
    frame = machine.skb(b"head", [(0, b""), (7, b"piece")], [machine.skb(b""), machine.skb(b"to")])
    return lengths(machine, frame)


@shows("E19", (1, 60, 0, 0), (1, 70, 0, 0))
def _(package: ModuleType) -> Any:
    machine = probed(package)
    fill(machine, 1)
    machine.send_all()
    machine.info.interrupt()
    machine.info.send_queues[0].free_old_xmit_skbs()
    return machine.info.send_queues[0].statistics


@shows("D9", 5, 0)
def _(package: ModuleType) -> Any:
    machine = probed(package, offered=EVENT_IDX)
    fill(machine, 7)
    return machine.words(1)[2]  # used_event: the stopped queue waits for the sixth of seven


@shows("G3", ((0, 0, 1, 1), [("freed", 3)]), ((0, 0, 0, 0), [("orphaned", 3)]))
def _(package: ModuleType) -> Any:
    machine = probed(package, queue_size=4)
    fill(machine, 2)
    machine.events.clear()
    machine.info.start_xmit(machine.skb(b"x"), 0)
    told = [event for event in machine.events if event[0] in ("freed", "orphaned")]
    return machine.info.send_queues[0].statistics, told


@shows("X11", b"headpiece", b"head" + b"\xa5" * 5)
def _(package: ModuleType) -> Any:
    machine = probed(package)
    machine.info.start_xmit(machine.skb(b"head", [(100, b"piece")]), 0)
    return machine.take()[0].data[10:]


@shows("X12", b"headlist", b"head")
def _(package: ModuleType) -> Any:
    machine = probed(package)
    machine.info.start_xmit(machine.skb(b"head", (), [machine.skb(b"list")]), 0)
    return machine.take()[0].data[10:]


@shows("X13", [10, 4], [10, 4, 5, *[0] * 16])
def _(package: ModuleType) -> Any:
    machine = probed(package, queue_size=64)
    machine.info.start_xmit(machine.skb(b"long", [(0, b"piece")]), 0)
    machine.send_all()
    return lengths(machine, machine.skb(b"head"))


@shows("X14", ["stopped", "started"], ["stopped"])
def _(package: ModuleType) -> Any:
    machine = probed(package)
    fill(machine, 6)
    vq = machine.info.send_queues[0].vq
    enable = vq.enable_cb_delayed

    def overtaken() -> bool:
        """Let the device send everything just before it is asked for an interrupt."""
        machine.send_all()
        answer: bool = enable()
        return answer

    vq.enable_cb_delayed = overtaken
    fill(machine, 1)
    return stopped(machine)


@shows("X15", "01000000000022001000", "0100000000002c001000")
def _(package: ModuleType) -> Any:
    return header(probed(package, offered=CSUM), **SUMMED)


@shows("X16", "01813c00a80522001000", "01013c00a80522001000")
def _(package: ModuleType) -> Any:
    return header(probed(package, offered=CSUM | TSO4 | ECN), **BIG_TCP, ecn=True)


@shows("X17", ["W select 0", "W select 1", "W status 7"], ["W status 7", "W select 0", "W select 1"])
def _(package: ModuleType) -> Any:
    machine = Machine(package=package)
    machine.probe()
    return [line for line in machine.log if line.startswith("W select") or line == "W status 7"]


@shows("X18", CSUM | VERSION_1, CSUM | TSO4 | VERSION_1)
def _(package: ModuleType) -> Any:
    machine = Machine("modern", package=package, offered=CSUM, understood=CSUM | TSO4 | VERSION_1)
    machine.probe()
    return machine.accepted


@shows("X19", ["W device_hi 41", "W enable 1"], ["W size 20", "W enable 1"])
def _(package: ModuleType) -> Any:
    machine = Machine("modern", package=package)
    machine.probe()
    enabled = machine.log.index("W enable 1")
    return machine.log[enabled - 1 : enabled + 1]


@shows("X20", [0, 1, 3, 11, 15], [0, 1, 2, 8, 4])
def _(package: ModuleType) -> Any:
    machine = Machine("modern", package=package)
    machine.probe()
    return [int(line.split()[2], 16) for line in machine.log if line.startswith("W status")]


@shows("X21", ["W status 3", "W status 7"], ["W status 3", "W notify 1", "W notify 3", "W status 7"])
def _(package: ModuleType) -> Any:
    machine = Machine(package=package, offered=MQ | CTRL_VQ, pairs=2)
    machine.probe()
    return [line for line in machine.log if line.startswith(("W status", "W notify"))][2:]


@shows("X22", [1, 0, 2], [1, 3, 5])
def _(package: ModuleType) -> Any:
    machine = probed(package, offered=MQ | CTRL_VQ, pairs=3, answers=[0])
    machine.info.set_pairs(3)
    return [machine.info.select_queue(machine.skb(b"x", recorded_queue=queue)) for queue in (1, 3, 5)]


@shows("X23", (0, 0, 1, 1), (0, 0, 0, 0))
def _(package: ModuleType) -> Any:
    machine = probed(package)
    machine.info.start_xmit(machine.skb(b"x", gso=4), 0)
    return machine.info.send_queues[0].statistics


@shows("X24", [("freed", 1)], [("freed", 1), ("freed", 1)])
def _(package: ModuleType) -> Any:
    machine = probed(package)
    machine.info.start_xmit(machine.skb(b"x", gso=4), 0)
    return machine.events


@shows("X25", ["stopped"], ["stopped", "woken"])
def _(package: ModuleType) -> Any:
    machine = probed(package)
    fill(machine, 6)
    machine.info.start_xmit(machine.skb(b"x", [(0, b"y")] * 17), 0)
    machine.use(1, machine.take()[0].head)
    machine.info.interrupt()  # 13 + 2 descriptors are free: fewer than 19
    return stopped(machine)


@shows("X26", -19, "probed")
def _(package: ModuleType) -> Any:
    machine = Machine("modern", package=package, offered=STATUS, refuses_features=True)
    try:
        machine.probe()
    except machine.package.ProbeError as error:
        return error.errno
    return "probed"


def test_every_defect_has_its_scenario() -> None:
    """The scenarios here are those of the catalog."""
    assert set(SCENARIOS) == set(FRAME_CATALOG)


@pytest.mark.parametrize("mutant", SCENARIOS)
def test_defect_shows(mutant: str) -> None:
    """The scenario shows one thing on the reference and another on the mutant."""
    scenario, sound, wrong = SCENARIOS[mutant]
    assert scenario(reference) == sound
    assert scenario(load_reference_mutant(mutant)) == wrong
