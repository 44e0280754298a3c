"""A failed validation is written down with the driver's results beside the reference's."""

import json
from pathlib import Path

import itf_py  # type: ignore[import-untyped]
import pytest

from ringproof.impl.harness.operations import Code, Op, OpFlag, Result
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.traces.document import TraceError, load
from ringproof.traces.recording import record, record_alone
from ringproof.traces.replay import replay_document
from ringproof.traces.wording import action, differences

CONFIG = QueueConfig(2, features=1 << 29)
OPS = [Op(Code.ADD, a=2), Op(Code.ADD, a=1), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET)]


def results() -> list[Result]:
    """What the reference gives."""
    runner = ReferenceRunner(CONFIG)
    return [runner.step(op) for op in OPS]


def test_a_failure_is_recorded(tmp_path: Path) -> None:
    """States are the reference's; each shows what the driver gave and what it should have."""
    observed = results()
    observed[1] = observed[1]._replace(status=0, num_free=7)
    observed[2] = observed[2]._replace(num_free=0xFFFF_FFFF)
    made = record(
        CONFIG,
        OPS,
        property="num-free-exact",
        violated="num_free is wrong",
        driver="driver.so",
        results=observed,
        expected=None,
        meta={"check": "same results"},
    )
    assert made.kind == "validate"
    assert made.extra == {"driver": "driver.so", "check": "same results"}
    assert [differences(state) for state in made.states[1:]] == [
        [],
        ["status: 0, the reference has -28", "num_free: 7, the reference has 0"],
        [],
        [],
        [],
    ]
    made.save(tmp_path / "t.itf.json")
    assert load(tmp_path / "t.itf.json") == made
    assert len(itf_py.trace_from_json(json.loads(made.text())).states) == 6


def test_a_driver_that_crashed_gave_fewer_results() -> None:
    """Operations it never answered are shown as such, with what the reference has."""
    made = record(CONFIG, OPS, property="crash", violated="signal 11", driver="d.so", results=results()[:3])
    assert differences(made.states[3]) == []
    assert differences(made.states[4]) == ["the driver gave no result"]
    assert made.states[4].values["expected"]["status"] == 1


def test_expected_results_can_be_given() -> None:
    """The caller's own expectation stands beside the observed result."""
    wanted = [result._replace(status=7) for result in results()]
    made = record(CONFIG, OPS, property="x", violated="y", driver="d", results=results(), expected=wanted)
    assert differences(made.states[1]) == ["status: 0, the reference has 7"]


def test_large_queues_leave_the_tables_out() -> None:
    """A state of a queue of 32768 holds the counts and indices only, so a document stays small."""
    ops = [Op(Code.ROUNDS, OpFlag.NO_KICK, a=10)] * 20
    made = record(QueueConfig(32768), ops, property="x", violated="y", driver="d")
    assert "next" not in made.states[0].values
    assert len(made.text()) < 50_000


def test_a_run_that_no_reference_follows_is_recorded(tmp_path: Path) -> None:
    """States then are what the driver's results tell, and no reference is asked to run it."""
    config = QueueConfig(2, hostile=True)
    ops = [*OPS[:2], Op(Code.MISCHIEF, a=1, b=3), Op(Code.GET)]
    made = record_alone(config, ops, property="p", violated="v", driver="d.so", results=results()[:3])
    made.save(tmp_path / "t.itf.json")
    assert load(tmp_path / "t.itf.json") == made
    assert made.alone()
    assert action(made.states[3]) == "uses id 0xffffffff"
    assert [state.values["avail_idx"] for state in made.states] == [0, 1, 1, 1, 1]
    assert [differences(state) for state in made.states] == [[]] * 5
    with pytest.raises(TraceError, match="replay it on the driver"):
        replay_document(made)
