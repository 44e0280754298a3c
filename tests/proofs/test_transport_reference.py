"""The model of probe and remove beside the Python reference: the same writes to registers, in the same order.

The reference's driver runs on a device's registers; the model takes its own steps on numbers, and is told
only whether the device or the allocator does as the driver hopes.
"""

import random
from dataclasses import replace

import pytest

from ringproof.impl.harness.net_operations import (
    FEATURE_NAMES,
    MOST_PAIRS,
    Access,
    NetCode,
    NetConfig,
    Op,
    Region,
)
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.impl.harness.operations import OpFlag
from ringproof.model.transport import STATUS, Choice, Place, State, Transport
from ringproof.proofs.mutants.transport import MUTANTS

BITS = {"acknowledge": 1, "driver": 2, "driver_ok": 4, "features_ok": 8, "failed": 128}
LEGACY = {4: "features", 14: "select", 8: "address", 16: "notify", 18: "status"}
MODERN = {12: "features", 22: "select", 24: "size", 32: "address", 28: "enable", 20: "status"}
"""The registers whose writes the model tells of; of an address that has several words, the first."""

Write = tuple[str, int]


def _writes(accesses: tuple[Access, ...]) -> list[Write]:
    """Return what was written; features in one, of an address only whether there is one."""
    found: list[Write] = []
    low: int | None = None
    for access in accesses:
        legacy = access.region == Region.IO
        if access.region == Region.NOTIFY:
            found.append(("notify", access.value))
        name = (LEGACY if legacy else MODERN if access.region == Region.COMMON else {}).get(access.offset)
        if not access.write or name is None:
            continue
        if name == "features" and not legacy:
            if low is None:
                low = access.value
            else:
                found.append((name, access.value << 32 | low))
        elif name in ("address", "size", "enable"):
            # A ring may lie where the low half of its address is 0; a page frame of 0 takes it away.
            found.append((name, int(access.value != 0 or (name == "address" and not legacy))))
        else:
            found.append((name, access.value))
    return found


class Both:
    """A driver of the reference on its registers, and the model, kept in step."""

    def __init__(self, config: NetConfig, model: type[Transport]) -> None:
        self.config, self.kind = config, model
        self.modern, self.linux = config.transport == "modern", config.profile == "linux-3.11"
        self.runner = NetRunner(config)
        self.offered = [name for name, bit in FEATURE_NAMES.items() if config.offered & bit]
        self.status = dict.fromkeys(STATUS, False)
        self.placed = 0
        self.model: Transport
        self.state: State
        self.taken: set[str] = set()
        self.written: list[Write] = []

    def go(self, name: str, *, ok: bool = True) -> None:
        """Let the model take a step, which must be possible, and note what it writes."""
        before, step = self.state, self.model.take(name, self.state, Choice(ok))
        assert step.guard is True, (name, before)
        self.state = after = step.after
        self.taken.add(name)
        written = self.written
        if name in ("fail", "clear") and not self.modern:
            for queue in range(self.model.queues if name == "clear" else self.placed):
                written += [("select", queue), ("address", 0)]
        if name in ("reset", "remove"):
            written.append(("status", 0))
        elif name == "accept_features" and after.at != Place.FAILING:
            accepted = self.model.accepted()
            written.append(("features", sum(bit for each, bit in FEATURE_NAMES.items() if accepted[each])))
        elif name in self.model.status_steps:
            # FEATURES_OK is written whether or not the device lets it stick.
            refused = 0 if after.features_ok or name != "set_features_ok" else BITS["features_ok"]
            written.append(("status", self.bits(after) | refused))
        elif name == "select":
            written.append(("select", before.queue))
        elif name.startswith("write_"):
            written.append((name.removeprefix("write_"), 1))
            self.placed += name == "write_address"
        if name == "configure" and after.driver_ok and not before.driver_ok:
            written.append(("status", self.bits(after)))

    @staticmethod
    def bits(s: State) -> int:
        """Return the device status as a number."""
        return sum(bit for name, bit in BITS.items() if getattr(s, name))

    def queue_is_good(self) -> bool:
        """Tell whether the device has the queue that is to be set up, of a size that the driver takes."""
        config, queue = self.config, self.state.queue
        smallest = 2 if queue % 2 and not self.linux and not self.modern and not self.is_control(queue) else 1
        size = 0 if queue == config.missing_queue else config.queue_size
        return smallest <= size <= 32768 and not size & (size - 1)

    def is_control(self, queue: int) -> bool:
        """Tell whether a virtqueue is the control queue."""
        return bool(self.model.accepted()["CTRL_VQ"]) and queue == self.model.queues - 1

    def begin(self) -> None:
        """Set the model up before a probe: of as many queues as there are to be."""
        smallest = self.kind(2, 0, modern=self.modern, linux=self.linux, offered=self.offered)
        accepted = smallest.accepted()
        multiqueue = bool(accepted["MQ"] and accepted["CTRL_VQ"])
        queues = 2 * smallest.pairs(multiqueue, self.config.pairs, MOST_PAIRS) + int(accepted["CTRL_VQ"])
        self.model = self.kind(queues, 0, modern=self.modern, linux=self.linux, offered=self.offered)
        self.state = replace(self.model.initial(), **self.status)
        self.written, self.placed = [], 0

    def probe(self, *, no_memory: bool) -> bool:
        """Probe both; tell whether that went well."""
        result = self.runner.step(Op(NetCode.PROBE, flags=OpFlag.FAIL_ALLOC if no_memory else 0))
        self.begin()
        order = [
            name for name in Transport.steps if name not in ("notify", "remove", "finish_reset", "read_link")
        ]
        while self.state.at not in (Place.RUNNING, Place.FAILED):
            (name,) = (each for each in order if self.model.take(each, self.state, Choice(True)).guard)
            ok = {
                "see_reset": self.sees_reset(),
                "set_features_ok": not self.config.refuses_features,
                "select": name != "select" or self.queue_is_good(),
                "allocate": not no_memory,
            }.get(name, True)
            self.go(name, ok=ok)
            if name == "see_reset" and not ok and self.config.reset_reads == 1:
                self.go("finish_reset")
        self.compare(result.accesses)
        assert (result.status == 0) is (self.state.at == Place.RUNNING)
        return result.status == 0

    def sees_reset(self) -> bool:
        """Tell whether the driver sees the device reset, by waiting or at the one read."""
        waits = self.modern or not self.linux
        return waits or self.config.reset_reads == 0 or self.bits(self.state) == 0

    def remove(self) -> None:
        """Take both drivers away."""
        result = self.runner.step(Op(NetCode.REMOVE))
        self.written, sees = [], self.sees_reset()
        self.go("remove")
        self.go("see_removed", ok=sees)
        if not sees and self.config.reset_reads == 1:
            self.go("finish_reset")
        self.go("clear")
        self.compare(result.accesses)

    def compare(self, accesses: tuple[Access, ...]) -> None:
        """Compare what was written, and the status that was left."""
        assert self.written == _writes(accesses)
        assert self.runner.registers.status == self.bits(self.state)
        self.status = {name: getattr(self.state, name) for name in STATUS}


def _play(seed: int, model: type[Transport] = Transport) -> set[str]:
    """Probe and remove a random device a few times; return the steps taken."""
    rng = random.Random(seed)
    features = sum(bit for bit in FEATURE_NAMES.values() if rng.random() < 0.6)
    config = NetConfig(
        queue_size=rng.choice((1, 2, 4, 4, 4, 4, 6)),
        features=features,
        transport=rng.choice(("legacy", "modern")),
        profile=rng.choice(("linux-3.11", "virtio-1.x")),
        pairs=rng.randrange(1, 5),
        withhold_version_1=rng.random() < 0.1,
        reset_reads=rng.choice((0, 0, 1, 2, 5)),
        refuses_features=rng.random() < 0.15,
        missing_queue=rng.choice((None, None, None, *range(5))),
    )
    both = Both(config, model)
    for _ in range(3):
        if both.probe(no_memory=rng.random() < 0.1):
            both.remove()
    return both.taken


def test_the_model_and_the_reference_write_the_same() -> None:
    """On random devices, good and bad: each write in turn, the status left, and whether probe succeeds."""
    taken = set().union(*(_play(seed) for seed in range(200)))
    assert taken == set(Transport.steps) - {"notify", "read_link"}


def test_a_slow_device_is_given_its_old_status_back() -> None:
    """Linux 3.11 on the legacy transport sets DRIVER_OK, left from before, with the first bit it adds."""
    both = Both(NetConfig(4, profile="linux-3.11", reset_reads=2), Transport)
    assert both.probe(no_memory=False)
    both.remove()
    assert both.status["driver_ok"]
    assert both.probe(no_memory=False)
    assert both.written[:2] == [("status", 0), ("status", 1 | 2 | 4)]


@pytest.mark.parametrize("mutant", [each for each in MUTANTS if each not in ("X21", "X22")])
def test_a_defect_in_the_model_alone_is_noticed(mutant: str) -> None:
    """With a mutant of probe in place of the model, some run no longer agrees; X21, X22 are not of it."""
    for seed in range(200):
        try:
            _play(seed, MUTANTS[mutant].model)
        except AssertionError:
            return
    pytest.fail(f"{mutant} writes what the reference writes")
