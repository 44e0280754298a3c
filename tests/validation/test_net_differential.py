"""Hypothesis: whatever is asked of them, the C driver and the reference agree on every byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import (
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    F_MQ,
    NET_FEATURES,
    NetCode,
    NetConfig,
    Op,
)
from ringproof.impl.harness.operations import OpFlag
from ringproof.validation.net_pair import NetPair
from ringproof.validation.observer import WARNINGS
from ringproof.validation.strategies import Run, runs
from ringproof.validation.traffic import ALL

PROBE, REMOVE = Op(NetCode.PROBE), Op(NetCode.REMOVE)
FAIL = int(OpFlag.FAIL_ALLOC)
PIECES = Frame(Packet(b"head", tuple(Fragment(at, b"piece") for at in range(17)), (Packet(b"list"),)))
SMALL = Frame(Packet(b"x"))
NESTED = Frame(Packet(b"", (Fragment(4096, b""),), (Packet(b"", (), (Packet(b"x"),)),)), cpu=3)
NONSENSE = Frame(Packet(b"y" * 64), gso=Gso.UNKNOWN, gso_size=7, ecn=True, csum_start=9, csum_offset=3)


@pytest.fixture(scope="module")
def pairs(own_driver: Path, linux_driver: Path) -> Iterator[dict[str, NetPair]]:
    """A pair for each profile, in a process that lives on."""
    with NetPair(own_driver, exact=True) as mended, NetPair(linux_driver, exact=True) as original:
        yield {"virtio-1.x": mended, "linux-3.11": original}


def check(pairs: dict[str, NetPair], run: Run) -> None:
    """No difference, violation, finding, crash; of the mended profile nothing but warnings at all."""
    pair = pairs[run.config.profile]
    pair.soft.clear()
    failure = pair.begin(run.config, run.frames) or pair.play(run.operations) or pair.end()
    assert failure is None, failure.detail
    if run.config.profile == "virtio-1.x":
        assert {check for check in pair.soft if check not in WARNINGS} == set()


ALIKE = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)  # fmt: skip


@settings(ALIKE, max_examples=40, derandomize=True)
@given(run=runs())
@example(run=Run(NetConfig(queue_size=1), (PIECES,), (PROBE, Op(NetCode.XMIT))))
@example(
    run=Run(
        NetConfig(queue_size=1, transport="modern"),
        (PIECES, NESTED),
        (
            PROBE,
            Op(NetCode.XMIT),
            Op(NetCode.XMIT, a=1),
            Op(NetCode.NET_READ, in_=1),
            Op(NetCode.NET_COMPLETE, in_=1, c=1),
            Op(NetCode.INTERRUPT),
            Op(NetCode.XMIT, a=1),
        ),
    )
)
@example(
    run=Run(
        NetConfig(queue_size=4, profile="linux-3.11"),
        (PIECES, NONSENSE),
        (PROBE, Op(NetCode.XMIT), Op(NetCode.XMIT, a=1), REMOVE, PROBE, Op(NetCode.XMIT, a=1)),
    )
)
@example(
    run=Run(
        NetConfig(queue_size=32, features=F_INDIRECT_DESC),
        (PIECES, NESTED, NONSENSE),
        (PROBE, Op(NetCode.XMIT, FAIL), Op(NetCode.XMIT, FAIL, a=1), Op(NetCode.XMIT, a=2), REMOVE),
    )
)
@example(
    run=Run(
        NetConfig(features=F_MQ | F_CTRL_VQ, pairs=8),
        (NESTED,),
        (
            PROBE,
            Op(NetCode.SET_PAIRS, a=8),
            Op(NetCode.XMIT),
            Op(NetCode.SET_PAIRS, FAIL, a=1),
            Op(NetCode.SET_PAIRS, a=9),
            REMOVE,
        ),
    )
)
@example(run=Run(NetConfig(features=NET_FEATURES, transport="modern", reset_reads=1001), (), (PROBE,)))
@example(run=Run(NetConfig(features=NET_FEATURES, missing_queue=1), (), (PROBE, PROBE)))
@example(
    run=Run(
        NetConfig(queue_size=32, features=F_EVENT_IDX),
        (SMALL,) * 5,
        (
            PROBE,
            Op(NetCode.NET_SET_AVAIL_EVENT, in_=1, a=3),
            Op(NetCode.XMIT),
            Op(NetCode.XMIT, a=1),
            Op(NetCode.XMIT, a=2, b=1),
            Op(NetCode.XMIT, a=3, b=ALL),
            Op(NetCode.XMIT, a=4),
        ),
    )
)
@example(
    run=Run(
        NetConfig(queue_size=16, profile="linux-3.11"),
        (SMALL,) * 2,
        (PROBE, Op(NetCode.XMIT, b=ALL), Op(NetCode.XMIT, a=1, b=ALL), Op(NetCode.INTERRUPT), REMOVE),
    )
)
def test_both_do_the_same(pairs: dict[str, NetPair], run: Run) -> None:
    """Devices of all kinds, frames of all shapes, operations in any order: a first, fixed part."""
    check(pairs, run)


@pytest.mark.slow
@settings(ALIKE, max_examples=600)
@given(run=runs())
def test_both_do_the_same_in_many_runs(pairs: dict[str, NetPair], run: Run) -> None:
    """The same with other runs each time."""
    check(pairs, run)
