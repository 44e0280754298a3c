"""The properties on concrete runs: silent on the reference whatever it is asked, heard on its mutants."""

import random

import pytest

from ringproof.impl.harness.operations import Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from ringproof.patching import load_reference_mutant
from ringproof.traces.replay import run_reference


def operations(rng: random.Random, queue_size: int, count: int) -> list[Op]:
    """A random run that uses every operation but DETACH_UNUSED."""
    word = 0xFFFF_FFFF
    made = []
    for _ in range(count):
        kind = rng.randrange(16)
        if kind < 5:
            out, in_ = rng.randint(0, max(1, queue_size // 2)), rng.randint(0, 2)
            flags = rng.choice((0, 0, 0, OpFlag.FAIL_ALLOC, OpFlag.NULL_TOKEN))
            made.append(Op(Code.ADD, flags, in_, out, rng.randrange(word)))
        elif kind < 7:
            made.append(Op(Code.READ, a=rng.randrange(3)))
        elif kind < 9:
            made.append(Op(Code.COMPLETE, a=rng.randrange(9), b=rng.randrange(9), c=rng.randrange(4)))
        elif kind < 12:
            made.append(Op(Code.GET))
        elif kind == 12:
            made.append(Op(Code.KICK))
        elif kind == 13:
            made.append(Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=rng.randrange(65530, 65545) & 0xFFFF))
        elif kind == 14:
            flags = rng.choice((0, OpFlag.NO_KICK))
            made.append(Op(Code.ROUNDS, flags, a=rng.randrange(20), b=rng.randrange(word)))
        else:
            callback = (Code.DISABLE_CB, Code.ENABLE_CB, Code.ENABLE_CB_DELAYED, Code.ENABLE_CB_PREPARE)
            made.append(Op(rng.choice((*callback, Code.POLL, Code.INTERRUPT))))
    return made


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
@pytest.mark.parametrize("features", [0, F_EVENT_IDX, F_INDIRECT_DESC, F_EVENT_IDX | F_INDIRECT_DESC])
def test_nothing_breaks_on_the_reference(features: int, profile: str) -> None:
    """Long random runs, indirect tables and both directions included, break no property."""
    for seed, queue_size in enumerate((1, 2, 4, 64)):
        config = QueueConfig(
            queue_size, features=features, profile=profile, layout=("legacy", "modern")[seed % 2]
        )
        ops = [Op(Code.ROUNDS, OpFlag.NO_KICK, a=300), *operations(random.Random(seed), queue_size, 300)]
        run = run_reference(config, ops)
        assert run.breaches == ()
        assert len(run.states) == len(ops) + 1 == len(run.results) + 1


def test_nothing_breaks_across_the_wrap_without_a_kick() -> None:
    """70,000 chains without a kick: add kicks by itself in time."""
    run = run_reference(
        QueueConfig(4, features=F_EVENT_IDX), [Op(Code.ROUNDS, OpFlag.NO_KICK, a=70_000), Op(Code.KICK)]
    )
    assert run.breaches == ()


@pytest.mark.parametrize(
    "mutant", ["A1", "A2", "A5", "A6", "A7", "A13", "B1", "B5", "B10", "B13", "D1", "D3", "D14", "X1"]
)
def test_random_runs_break_on_mutants(mutant: str) -> None:
    """What the search finds on purpose, long random runs find by chance."""
    reference = load_reference_mutant(mutant)
    for seed in range(6):
        ops = operations(random.Random(seed), 4, 200)
        if run_reference(QueueConfig(4, features=F_EVENT_IDX), ops, reference=reference).breaches:
            return
    pytest.fail("no run broke anything")


def test_nothing_is_said_after_the_reset() -> None:
    """DETACH_UNUSED takes chains back that the device still has; that is what it is for."""
    ops = [Op(Code.ADD, a=1), Op(Code.READ), Op(Code.DETACH_UNUSED), Op(Code.DETACH_UNUSED)]
    run = run_reference(QueueConfig(2, features=F_EVENT_IDX), ops)
    assert run.breaches == ()
    assert [result.status for result in run.results] == [0, 1, 1, 0]
