"""After shrinking a failure is shown by the plainest run, whatever run it was found by, and is explained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ringproof.impl.harness.operations import Code, Op, OpFlag, askable
from ringproof.impl.harness.reference_runner import F_IN_ORDER, QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from ringproof.patching import load_reference_mutant
from ringproof.traces.explanation import Part
from ringproof.validation.evidence import keep
from ringproof.validation.failure import Failure, FailureKind
from ringproof.validation.pairing import Pair
from ringproof.validation.plainest import plainest

ADD, READ, COMPLETE = Op(Code.ADD, a=1), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1)
BIG = QueueConfig(
    8, F_EVENT_IDX | F_INDIRECT_DESC | F_VERSION_1 | F_IN_ORDER, "modern", False, "virtio-1.x", 7
)


def failure(config: QueueConfig, *ops: Op, kind: FailureKind = "finding") -> Failure:
    """A failure that the last operation shows."""
    return Failure(kind, "check", "clause", "slug", "said", config, ops, len(ops) - 1)


def test_what_does_not_matter_is_as_plain_as_it_gets() -> None:
    """Queue, arguments and order, where the driver fails whatever they are."""
    found = failure(BIG, READ, Op(Code.ADD, OpFlag.NULL_TOKEN, 2, 3, 77), Op(Code.COMPLETE, a=5, b=3, c=4))

    def attempt(config: QueueConfig, ops: list[Op]) -> Failure | None:
        return failure(config, *ops) if len(ops) == 3 else None

    plain = plainest(found, attempt)
    assert plain.config == QueueConfig(1, profile="virtio-1.x")
    assert plain.operations == (ADD, READ, COMPLETE)


def test_a_plainer_queue_takes_fewer_operations() -> None:
    """What filled the larger queue is left out when a smaller one fails."""

    def attempt(config: QueueConfig, ops: list[Op]) -> Failure | None:
        fails = sum(op.code == Code.ADD for op in ops) >= config.queue_size and ops[-1].code == Code.COMPLETE
        return failure(config, *ops) if fails else None

    plain = plainest(failure(QueueConfig(4), ADD, ADD, ADD, ADD, READ, COMPLETE), attempt)
    assert (plain.config, plain.operations) == (QueueConfig(1), (ADD, COMPLETE))


def test_only_what_can_be_asked_is_tried() -> None:
    """Nothing is put behind DETACH_UNUSED, which no driver could be asked for then."""
    tried: list[list[Op]] = []

    def attempt(config: QueueConfig, ops: list[Op]) -> Failure | None:
        tried.append(ops)
        return failure(config, *ops)

    detach = Op(Code.DETACH_UNUSED)
    plainest(failure(BIG, Op(Code.ADD, a=3), READ, detach, detach), attempt)
    assert len(tried) > 5
    assert all(askable(ops) for ops in tried)


def test_what_matters_stays() -> None:
    """A feature and a number without which it does not fail."""

    def attempt(config: QueueConfig, ops: list[Op]) -> Failure | None:
        fails = config.features & F_EVENT_IDX and config.queue_size >= 4 and sum(op.a for op in ops) >= 3
        return failure(config, *ops) if fails else None

    plain = plainest(failure(BIG, Op(Code.ADD, a=7)), attempt)
    assert (plain.config, plain.operations) == (
        QueueConfig(4, F_EVENT_IDX, profile="virtio-1.x"),
        (Op(Code.ADD, a=3),),
    )


@pytest.mark.parametrize(("kind", "most"), [("finding", 60), ("crash", 15), ("hang", 0)])
def test_tries_are_counted(kind: FailureKind, most: int) -> None:
    """However much there is to try, the driver is not run more often than that."""
    tries = 0

    def attempt(_config: QueueConfig, _ops: list[Op]) -> Failure | None:
        nonlocal tries
        tries += 1
        return None

    found = failure(BIG, *[Op(Code.ADD, 0, 5, 9, 999)] * 12, kind=kind)
    assert plainest(found, attempt) == found
    assert tries == most


def test_long_runs_stay_as_they_are() -> None:
    """More operations, or many rounds, are not tried again and again."""
    for ops in ([ADD] * 13, [Op(Code.ROUNDS, a=65535), ADD]):
        found = failure(BIG, *ops)
        assert plainest(found, lambda config, ops: pytest.fail(f"{config} {ops}")) is found


def test_runs_that_differ_in_nothing_else_become_the_same(stand_in: Callable[..., object]) -> None:
    """A seeded defect, met on three queues with other numbers, is shown by one run."""
    pair = Pair.of(stand_in(load_reference_mutant("A1")))  # type: ignore[arg-type]
    shown = set()
    for features, layout, seed in ((0, "legacy", 1), (F_EVENT_IDX, "modern", 77), (F_VERSION_1, "legacy", 5)):
        config = QueueConfig(2, features, layout, profile="virtio-1.x", queue_index=seed)
        found = pair.attempt(config, (ADD._replace(b=seed), Op(Code.ADD, 0, 1, 1, seed)))
        assert found is not None
        plain = plainest(found.cut(), pair.attempt)
        shown.add((plain.check, plain.config, plain.operations))
    assert len(shown) == 1


def test_a_failure_of_a_driver_is_kept_with_its_explanation(
    stand_in: Callable[..., object], tmp_path: Path
) -> None:
    """The check that failed is a part, and the variant passes on the driver."""
    pair = Pair.of(stand_in(load_reference_mutant("A1")))  # type: ignore[arg-type]
    config = QueueConfig(2, profile="virtio-1.x")
    found = pair.attempt(config, (ADD, Op(Code.ADD, a=2)))
    assert found is not None
    path = keep(found.cut(), pair, tmp_path)
    assert path is not None
    told = json.loads(path.read_text())["#meta"]["explanation"]
    assert [Part(**part).name for part in told["parts"] if part["key"]] == [found.check]
    ops = [Op(*numbers) for numbers in told["variant"]["operations"]]
    assert ops != [ADD, Op(Code.ADD, a=2)]
    assert pair.attempt(config, ops) is None
