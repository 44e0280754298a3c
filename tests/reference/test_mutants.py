"""Each patch applies to the reference, and the patched code goes wrong in the way its title says."""

import compileall
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ringproof.impl import reference
from ringproof.impl.harness.invariants import violations
from ringproof.impl.harness.operations import RESULT, Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner, Violation
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from ringproof.patching import load_reference_mutant, mutant_ids, patched_copy, reference_sources
from ringproof.proofs.mutants.catalog import CATALOG
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG

Scenario = Callable[[ModuleType], Any]
SCENARIOS: dict[str, tuple[Scenario, Any, Any]] = {}
"""Mutant to scenario, what it shows on the reference, and what on the mutant."""

ONE = Op(Code.ADD, a=1)
TWO = Op(Code.ADD, a=2)
THREE = Op(Code.ADD, a=3)
READ, GET, KICK, INTERRUPT = Op(Code.READ), Op(Code.GET), Op(Code.KICK), Op(Code.INTERRUPT)
ALL = Op(Code.COMPLETE, c=8)
FIRST = Op(Code.COMPLETE, c=1)


def shows(mutant: str, sound: Any, wrong: Any) -> Callable[[Scenario], Scenario]:
    """Register a scenario for a mutant with what each side shows."""

    def register(scenario: Scenario) -> Scenario:
        SCENARIOS[mutant] = scenario, sound, wrong
        return scenario

    return register


def queue(package: ModuleType, queue_size: int = 4, features: int = 0, start: int = 0) -> ReferenceRunner:
    """Create a queue of the reference given, after ``start`` rounds."""
    runner = ReferenceRunner(QueueConfig(queue_size, features), reference=package)
    if start:
        assert runner.step(Op(Code.ROUNDS, a=start)).status == start
    return runner


def statuses(runner: ReferenceRunner, *ops: Op) -> list[int]:
    """Run operations; return their statuses."""
    return [runner.step(op).status for op in ops]


def refusal(runner: ReferenceRunner, *ops: Op) -> str:
    """Run operations; return the property the device or the driver's failure speaks against."""
    try:
        runner.run(ops)
    except Violation as violation:
        return violation.property
    return ""


@shows("A1", [0, -28], [0, 0])
def _(package: ModuleType) -> Any:
    return statuses(queue(package), THREE, TWO)


@shows("A2", 4, 2)
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([THREE, READ, ALL, GET])
    return runner.queue.num_free


@shows("A5", (1, 3), (0, 2))
def _(package: ModuleType) -> Any:
    direct, indirect = queue(package), queue(package, features=F_INDIRECT_DESC)
    return direct.step(THREE).num_free, indirect.step(THREE).num_free


@shows("A6", [0, 2, 3], [0, 1, 2])
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([ONE, ONE, READ, FIRST, GET])
    order, i = [], runner.queue.free_head  # 1 is in flight
    for _ in range(runner.queue.num_free):
        order.append(i)
        i = runner.queue.desc.next[i]
    return order


@shows("A7", [2, 1], [1, 2])
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([ONE, ONE, READ, Op(Code.COMPLETE, a=1, c=2)])
    return [runner.step(GET).token for _ in range(2)]


@shows("A13", "", "chain-well-formed")
def _(package: ModuleType) -> Any:
    return refusal(queue(package), *[ONE] * 4, READ)


@shows("B1", "", "indices-faithful")
def _(package: ModuleType) -> Any:
    return refusal(queue(package), *[ONE, READ, ALL, GET] * 4, READ)


@shows("B3", [0, 1, 1, 1], [0, 1, 1, 0])
def _(package: ModuleType) -> Any:
    return statuses(queue(package, start=65535), ONE, READ, ALL, GET)


@shows("B5", 1, 0)
def _(package: ModuleType) -> Any:
    return statuses(queue(package), *[ONE] * 4, READ, ALL, GET)[-1]


@shows("B6", [0, 1, 1, 1, 0], [0, 1, 1, 1, -5])
def _(package: ModuleType) -> Any:
    return statuses(queue(package, start=65535), ONE, READ, ALL, GET, GET)


@shows("B10", (1, 4), (0, 1))
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([ONE, ONE, ONE, ONE, READ, ALL, GET, GET, GET, GET, ONE])
    # The fifth head, 1, belongs in slot 0; behind the last slot lies used_event.
    return runner.queue.avail.ring[0], runner.queue.avail.used_event


@shows("B11", [1, 0], [0, 65535])
def _(package: ModuleType) -> Any:
    runner = queue(package)
    result = runner.step(Op(Code.ROUNDS, OpFlag.NO_KICK, a=65535))
    return [result.notifies, runner.queue.num_added]


@shows("B13", [0, 0], [0, 1])
def _(package: ModuleType) -> Any:
    return statuses(queue(package), ONE, GET)


@shows("D1", 1, 0)
def _(package: ModuleType) -> Any:
    runner = queue(package, features=F_EVENT_IDX, start=65534)
    runner.run([Op(Code.SET_AVAIL_EVENT, a=0), ONE, ONE, ONE])
    return runner.step(KICK).notifies


@shows("D3", (1, 1), (0, 0))
def _(package: ModuleType) -> Any:
    runner = queue(package, features=F_EVENT_IDX)
    runner.run([ONE, READ, ALL, GET, ONE, READ])
    return runner.queue.avail.used_event, runner.step(ALL).length


@shows("D14", (-28, 1), (-28, 0))
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([THREE])
    result = runner.step(TWO)
    return result.status, result.notifies


@shows("X1", [1, 0], [1, 1])
def _(package: ModuleType) -> Any:
    runner = queue(package, features=F_EVENT_IDX)
    runner.run([ONE])
    return [runner.step(KICK).notifies, runner.step(KICK).notifies]


@shows("X2", [None] * 4, [1, None, None, None])
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([ONE, READ, ALL, GET])
    return runner.queue.data


@shows("X3", 4, 2)
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([THREE, READ, ALL, GET])
    return runner.queue.num_free


@shows("X4", (2, 2), (1, 3))
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([TWO])
    return runner.queue.num_free, runner.queue.free_head


@shows("X5", [1, 2], [1, 0])
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([ONE, ONE, READ, Op(Code.COMPLETE, a=0, c=2)])
    return [runner.step(GET).token for _ in range(2)]


@shows("X6", 0, 2)
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([THREE])
    return runner.queue.avail.ring[0]


@shows("X7", [0, 1, 1, 1], [0, 1, 1, -5])
def _(package: ModuleType) -> Any:
    return statuses(queue(package), ONE, READ, ALL, GET)


@shows("X8", "refused", 3)
def _(package: ModuleType) -> Any:
    try:
        return package.LAYOUTS["legacy"](3).queue_size
    except ValueError:
        return "refused"


@shows("X9", 1, 0)
def _(package: ModuleType) -> Any:
    runner = queue(package, features=F_EVENT_IDX)
    runner.run([Op(Code.SET_FLAGS, a=1), ONE])
    return runner.step(KICK).notifies


@shows("X10", (1, 0), (0, 2))
def _(package: ModuleType) -> Any:
    runner = queue(package)
    runner.run([ONE, ONE, READ, FIRST, FIRST, GET, GET])
    return runner.queue.free_head, runner.queue.desc.next[1]


def test_every_defect_has_its_patch() -> None:
    """The patches beside the reference are those of the catalogs; each of the ring's has a scenario here."""
    described = sorted([*CATALOG, *FRAME_CATALOG], key=lambda name: (name[0], len(name), name))
    assert mutant_ids(reference_sources()) == described
    assert set(SCENARIOS) == set(CATALOG)


@pytest.mark.parametrize("mutant", SCENARIOS)
def test_defect_shows(mutant: str) -> None:
    """The scenario shows one thing on the reference and another on the mutant."""
    scenario, sound, wrong = SCENARIOS[mutant]
    assert scenario(reference) == sound
    assert scenario(load_reference_mutant(mutant)) == wrong


@pytest.mark.parametrize("mutant", [*CATALOG, *FRAME_CATALOG])
def test_patched_copy_compiles(mutant: str, tmp_path: Path) -> None:
    """A patched copy is still Python, and stands alone."""
    source = reference_sources()
    copy = patched_copy(source, source / "mutants" / f"{mutant}.patch", tmp_path / "reference")
    assert compileall.compile_dir(copy, quiet=1)


@pytest.mark.parametrize("mutant", ["A1", "A2", "A6", "A7", "A13", "B10", "B13", "X2", "X4", "X6"])
@pytest.mark.parametrize("features", [0, F_INDIRECT_DESC])
def test_broken_free_lists_do_not_hang(mutant: str, features: int) -> None:
    """However a mutant spoils its lists, a long run ends, with results or with a Violation."""
    ops = [THREE, ONE, READ, Op(Code.COMPLETE, a=1, c=1), GET, TWO, KICK, READ, ALL, GET, INTERRUPT] * 40
    runner = queue(load_reference_mutant(mutant), features=features)
    with suppress(Violation):
        assert len(runner.run(ops)) == RESULT.size * len(ops)
    assert runner.operations > 0


@pytest.mark.parametrize("mutant", ["A2", "A5", "X2", "X3", "X4"])
def test_invariants_see_the_defect(mutant: str) -> None:
    """What is wrong inside is seen before the device meets it."""
    ops = [TWO, READ, ALL, GET]
    seen = []
    for package in (reference, load_reference_mutant(mutant)):
        runner = queue(package)
        found: list[str] = []
        for op in ops:
            runner.step(op)
            found += [violation.property for violation in violations(runner)]
        seen.append(bool(found))
    assert seen == [False, True]
