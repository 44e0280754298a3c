"""Shrinking failures."""

from collections.abc import Sequence

from ringproof.impl.harness.operations import Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.failure import Failure
from ringproof.validation.shrinking import Deadline, reduced, shortest, simplified, without_needless

CONFIG = QueueConfig(4, profile="virtio-1.x")


def test_only_what_is_needed_stays() -> None:
    """Out of a hundred operations the three that matter remain, in order."""
    operations = [Op(Code.GET, a=at) for at in range(100)]
    needed = [operations[3], operations[50], operations[97]]

    def fails(tried: Sequence[Op]) -> bool:
        return [operation for operation in tried if operation in needed] == needed

    assert without_needless(operations, fails, Deadline(10)) == needed


def test_arguments_become_small() -> None:
    """An argument that does not matter becomes its simplest; one that does is kept."""
    operations = [Op(Code.ADD, OpFlag.FAIL_ALLOC, 2, 3, 77), Op(Code.COMPLETE, a=9, b=4, c=0xFFFF_FFFF)]

    def fails(tried: Sequence[Op]) -> bool:
        return tried[1].c > 1

    simple = simplified(operations, fails, Deadline(10))
    assert simple == [Op(Code.ADD, a=1), Op(Code.COMPLETE, c=0xFFFF_FFFF)]


def test_shrinking_ends() -> None:
    """When everything fails, one simplest operation is left, and soon."""
    assert shortest([Op(Code.READ, a=3)] * 50, lambda _: True, Deadline(10)) == [Op(Code.READ, a=1)]


def test_a_deadline_is_kept() -> None:
    """With no time left nothing is tried."""
    operations = [Op(Code.GET)] * 10
    assert without_needless(operations, lambda _: True, Deadline(0)) == operations


def _long_failure(step: int, marks: tuple[tuple[int, int], ...] = ()) -> Failure:
    operations = tuple(Op(Code.GET) for _ in range(step + 40))
    return Failure("difference", "check", "", "slug", "said", CONFIG, operations, step, marks)


def test_a_long_run_becomes_rounds_and_its_end() -> None:
    """What fails past the wrap only is shown by rounds that bring the indices there."""

    def attempt(config: QueueConfig, operations: list[Op]) -> Failure | None:
        past = any(operation.code == Code.ROUNDS and operation.a >= 0xFFFF for operation in operations)
        gets = [at for at, operation in enumerate(operations) if operation.code == Code.GET]
        if not past or not gets:
            return None
        return Failure("difference", "check", "", "slug", "said", config, tuple(operations), gets[-1])

    small = reduced(_long_failure(5_000, ((0, 0), (4_000, 100))), attempt, 10)
    assert [operation.code for operation in small.operations] == [Code.ROUNDS, Code.GET]
    assert small.operations[0].a == 0xFFFF


def test_another_failure_is_not_taken_for_this_one() -> None:
    """A shorter run that fails another check does not count."""

    def attempt(config: QueueConfig, operations: list[Op]) -> Failure | None:
        check = "check" if len(operations) >= 20 else "other"
        return Failure("difference", check, "", "slug", "", config, tuple(operations), len(operations) - 1)

    small = reduced(_long_failure(60), attempt, 10)
    assert len(small.operations) == 20


def test_what_does_not_come_again_is_returned_as_it_was() -> None:
    """A failure that cannot be repeated is kept whole, up to where it showed."""
    failure = _long_failure(60)
    assert reduced(failure, lambda _config, _operations: None, 1) == failure.cut()


def test_the_round_that_fails_is_written_out() -> None:
    """A failure inside a ROUNDS is shown by the steps of its last round."""

    def attempt(config: QueueConfig, operations: list[Op]) -> Failure | None:
        adds = 0
        for at, operation in enumerate(operations):
            adds += {Code.ADD: 1, Code.ROUNDS: operation.a}.get(Code(operation.code), 0)
            if adds >= 9:
                return Failure("difference", "check", "", "slug", "", config, tuple(operations), at)
        return None

    failure = Failure("difference", "check", "", "slug", "", CONFIG, (Op(Code.ROUNDS, a=9),), 0)
    small = reduced(failure, attempt, 10)
    assert small.operations == (Op(Code.ROUNDS, a=8), Op(Code.ADD, a=1))
