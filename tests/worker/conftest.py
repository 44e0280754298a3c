"""What the tests of the worker share: the tiny driver, and operations that ask everything of a driver."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ringproof.building import build_driver
from ringproof.impl.harness.operations import Code, Op, OpFlag

Tour = Callable[[int, int], bytes]


def open_files() -> list[str]:
    """Name the files of workers this process holds open: memory, pipes, processes."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_symlink():
            links.append(str(entry.readlink()).split(":")[0])
    return sorted(link for link in links if link in ("/memfd", "pipe", "anon_inode"))


def shared_mappings() -> int:
    """How many mappings of files shared with workers this process has."""
    return Path("/proc/self/maps").read_text().count("ringproof-shared")


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Build the tiny driver; RINGPROOF_TINY_FAULT chooses what is wrong with it."""
    return build_driver(Path(__file__).parent / "drivers" / "tiny")


def _operation(rng: random.Random, event_idx: bool) -> Op:
    kind = rng.random()
    if kind < 0.30:
        flags = rng.choice([0] * 8 + [OpFlag.FAIL_ALLOC, OpFlag.NULL_TOKEN])
        out, in_ = rng.choice([(1, 0), (1, 0), (2, 0), (3, 1), (0, 2), (2, 2), (0, 0), (9, 9)])
        return Op(Code.ADD, flags, in_, out, rng.getrandbits(32), rng.choice([0, 1, 2]) if flags & 1 else 0)
    if kind < 0.45:
        return Op(Code.KICK)
    if kind < 0.58:
        return Op(Code.READ, a=rng.choice([0, 1, 2]))
    if kind < 0.70:
        flags = rng.choice([0, 0, OpFlag.TOTAL_LENGTH])
        return Op(Code.COMPLETE, flags, 0, rng.getrandbits(32), rng.getrandbits(32), rng.choice([1, 2, 9]))
    if kind < 0.85:
        return Op(Code.GET)
    if kind < 0.93:
        enabling = [Code.ENABLE_CB, Code.ENABLE_CB_DELAYED, Code.ENABLE_CB_PREPARE]
        return Op(rng.choice([Code.DISABLE_CB, *enabling, Code.POLL, Code.INTERRUPT]))
    if kind < 0.97:
        if event_idx is (rng.random() < 0.8):  # else the word that must have no influence
            return Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=rng.choice([0, 0, 1, 2, 0xFFFF, 0x8000]))
        return Op(Code.SET_FLAGS, a=rng.choice([0, 0, 1]))
    return Op(Code.ROUNDS, a=rng.choice([1, 3, 20]), b=rng.getrandbits(32))


@pytest.fixture(scope="session")
def tour() -> Tour:
    """``tour(features, seed)``: 600 packed operations of every kind, then all that is left comes back.

    At the end interrupts are put off, before anything is used and when all is.
    """

    def make(features: int, seed: int) -> bytes:
        rng = random.Random(seed)
        event_idx = bool(features >> 29 & 1)
        operations = [_operation(rng, event_idx) for _ in range(600)]
        come, back = [Op(Code.KICK), Op(Code.READ)], [Op(Code.COMPLETE, c=100)]
        gets = [Op(Code.GET)] * 20
        operations += [*come, *back, *gets]
        adds = [Op(Code.ADD, a=1, b=rng.getrandbits(32)) for _ in range(3)]
        for delayed in ([Op(Code.ENABLE_CB_DELAYED), *back], [*back, Op(Code.ENABLE_CB_DELAYED)]):
            operations += [*adds, *come, *delayed, *gets]
        return b"".join(operation.pack() for operation in operations)

    return make


@pytest.fixture(scope="session")
def tinynet() -> Path:
    """Build the tiny network driver; RINGPROOF_TINYNET_FAULT chooses what is wrong with it."""
    return build_driver(Path(__file__).parent / "drivers" / "tinynet")
