"""``ringproof replay``: where two runs part, both sides of that step, and what cannot be judged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.building import build_driver, build_library, c_sources
from ringproof.cli import run
from ringproof.impl.harness.frames import Fragment, Frame, Packet
from ringproof.impl.harness.net_operations import NetCode, NetConfig
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.journey.recording import record as record_net
from ringproof.patching import mutated_driver, patched_copy
from ringproof.traces.document import TraceDocument
from ringproof.traces.recording import record
from ringproof.traces.stepwise import make_steps_trace
from ringproof.validation.evidence import replay_on_driver

ADD, READ, COMPLETE = Op(Code.ADD, a=2), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1)
GET, KICK = Op(Code.GET), Op(Code.KICK)
EXAMPLES = Path(__file__).parents[2] / "examples"


def trace(*operations: Op, config: QueueConfig | None = None, **meta: object) -> TraceDocument:
    """A document of a driver's failure in its last operation."""
    queue = config or QueueConfig(2, F_EVENT_IDX)
    return record(queue, operations, property="p", violated="v", driver="d", meta=meta)


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """The trace that shows A2, saved."""
    path = tmp_path / "a2.itf.json"
    trace(ADD, READ, COMPLETE, GET).save(path)
    return path


@pytest.fixture
def least() -> Path:
    """A driver that has few operations, and no features."""
    return build_library([EXAMPLES / "minimal" / "driver.c"], include=[c_sources()])


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, object]]:
    """What the verb says with --json, and its exit code."""
    code = run(["replay", *map(str, words), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return code, found


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """The exit code and the one line of a replay that judged nothing."""
    code = run(["replay", *map(str, words)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return code, captured.err


def test_both_sides_of_the_step_at_which_a_driver_parts(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step in words, a table of both, what differs marked; the mended driver does all as it should."""
    driver = mutated_driver("A2")
    assert run(["replay", str(leaky), "--driver", str(driver)]) == 1
    shown = capsys.readouterr().out
    assert "they part at step 4: get_buf" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["after", "this", "step", "driver", "reference"] in lines
    assert ["!", "num_free", "1", "2"] in lines
    assert ["avail_idx", "1", "1"] in lines
    assert sum(words[:1] == ["!"] for words in lines) == 1
    code, found = answer(capsys, leaky, "--driver", driver)
    assert (code, found["judged"], found["step"]) == (1, True, 4)
    both = found["both"]
    assert isinstance(both, dict)
    assert (both["step"], both["words"], both["sides"]) == (4, "get_buf", ["driver", "reference"])
    assert both["fields"]["num_free"] == ["1", "2"]
    assert both["apart"] == ["num_free"]
    code, found = answer(capsys, leaky, "--c")
    assert (code, found["both"], found["untaken"]) == (0, None, [])


def test_both_sides_on_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the defect and without: every field of the state, and the entries of tables that differ."""
    path = tmp_path / "a2.itf.json"
    given = trace(ADD, READ, COMPLETE, GET)
    TraceDocument(
        "search", "A2", "num-free-exact", "", False, given.config, given.operations, given.states
    ).save(path)
    assert run(["replay", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "they part at step 4: get" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["!", "num_free", "1", "2"] in lines
    assert ["!", "next[0]", "0", "1"] in lines
    code, found = answer(capsys, path)
    both = found["both"]
    assert isinstance(both, dict)
    assert (code, both["apart"]) == (1, ["num_free", "next[0]"])
    given.save(path)
    assert answer(capsys, path)[1]["both"] is None


def test_a_crash_leaves_one_side(tmp_path: Path) -> None:
    """The driver's side of the operation in which it crashes is empty, and nothing is marked."""
    source, begins = (EXAMPLES / "fifo" / "driver.c").read_text(), "static void kick(void *opaque)\n{\n"
    assert source.count(begins) == 1
    (tmp_path / "driver.c").write_text(source.replace(begins, f"{begins}    __builtin_trap();\n"))
    given = trace(ADD, KICK, config=QueueConfig(2))
    outcome = replay_on_driver(given.operations, given.config, build_driver(tmp_path))
    assert (outcome.check, outcome.step) == ("no-crash", 1)
    assert outcome.both is not None
    assert outcome.both.step == 2
    assert all(row.here == "-" and not row.apart for row in outcome.both.rows)


def test_a_driver_of_another_hand_differs_lawfully(tmp_path: Path) -> None:
    """By meaning only what no policy may change is marked."""
    given = trace(ADD, KICK, READ, COMPLETE, GET, ADD, config=QueueConfig(2, layout="modern"))
    leaking = build_driver(_patched("fifo", "A2", tmp_path))
    outcome = replay_on_driver(given.operations, given.config, leaking)
    assert outcome.check == "add-when-all-is-back"
    assert outcome.both is not None
    assert (outcome.both.step, outcome.both.words) == (6, "add 2 out, 0 in")


def _patched(example: str, mutant: str, place: Path) -> Path:
    return patched_copy(
        EXAMPLES / example, EXAMPLES / example / "mutants" / f"{mutant}.patch", place / example
    )


def test_what_a_driver_cannot_be_asked_is_not_judged(
    leaky: Path, least: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A feature, the operation in question, a queue: the step and the reason in one line, exit code 3."""
    code, line = refused(capsys, leaky, "--driver", least)
    assert code == 3
    assert "minimal: create: the driver does not offer EVENT_IDX" in line
    path = tmp_path / "t.json"
    trace(ADD, Op(Code.ENABLE_CB_PREPARE), config=QueueConfig(2)).save(path)
    assert refused(capsys, path, "--driver", least) == (
        3,
        "ringproof: not judged: minimal: step 2 (enable_cb_prepare): the driver has no such operation\n",
    )
    code, found = answer(capsys, path, "--driver", least)
    assert (code, found["judged"], found["differs"], found["both"]) == (3, False, False, None)
    trace(Op(Code.ENABLE_CB_PREPARE), ADD, config=QueueConfig(2)).save(path)
    assert run(["replay", str(path), "--driver", str(least)]) == 0
    shown = capsys.readouterr().out
    assert "not asked: step 1 (enable_cb_prepare): the driver has no such operation" in shown
    assert "1  enable_cb_prepare: left out" in shown
    trace(ADD, config=QueueConfig(3)).save(path)
    code, line = refused(capsys, path, "--c")
    assert (code, "create: queue size 3 is not a power of two" in line) == (3, True)


def test_a_queue_that_is_declined_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A driver made for small queues has not failed on a large one."""
    source = (c_sources() / "adapter.c").read_text()
    (tmp_path / "c").mkdir()
    for name in ("virtqueue.c", "virtqueue.h", "vring.h"):
        (tmp_path / "c" / name).write_text((c_sources() / name).read_text())
    (tmp_path / "c" / "adapter.c").write_text(source.replace("n > RP_VQ_MAX_SIZE", "n > 2"))
    path = tmp_path / "t.json"
    trace(ADD, config=QueueConfig(4)).save(path)
    code, line = refused(capsys, path, "--driver", build_driver(tmp_path / "c"))
    assert (code, "create: the driver declines this queue of 4" in line) == (3, True)


def test_both_sides_of_a_network_driver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a trace that is compared and of one that is judged; on the reference, what the trace has."""
    frame = Frame(Packet(bytes(range(60)), (Fragment(8, bytes(range(90))),)))
    run_ops = (Op(NetCode.PROBE), Op(NetCode.XMIT), Op(NetCode.NET_READ, in_=1))
    path, driver = tmp_path / "n.json", mutated_driver("X11")
    document = record_net(NetConfig(64), (frame,), run_ops)
    document.save(path)
    assert run(["replay", str(path), "--driver", str(driver)]) == 1
    shown = capsys.readouterr().out
    assert "they part at step " in shown
    assert "after this step" in shown
    code, found = answer(capsys, path, "--driver", driver)
    both = found["both"]
    assert isinstance(both, dict)
    assert (code, both["step"]) == (1, found["step"])
    assert set(both["fields"]) >= {"status", "avail_idx", "num_free", "events"}
    text = path.read_text()
    assert text.count('"avail_idx": 1') >= 1
    path.write_text(text.replace('"avail_idx": 1', '"avail_idx": 7'))
    code, found = answer(capsys, path)
    both = found["both"]
    assert isinstance(both, dict)
    assert (code, both["sides"]) == (1, ["now", "in the trace"])


def test_no_implementation_carries_single_statements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of the step-wise model: one line, exit code 3."""
    path = tmp_path / "steps.json"
    found = make_steps_trace("A15")
    assert found is not None
    found.document().save(path)
    code, line = refused(capsys, path)
    assert code == 3
    assert "no implementation carries" in line


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], leaky: Path) -> None:
    """Missing, truncated, foreign, newer: file and place, exit code 2."""
    text = leaky.read_text()
    strange = json.loads(text)
    strange["#meta"]["operations"][0][0] = 99
    for number, bad in enumerate(
        (
            text[: len(text) // 2],
            "{}",
            "",
            text.replace('"ringproof": 1', '"ringproof": 99'),
            json.dumps(strange),
        )
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(bad)
        code, line = refused(capsys, path)
        assert code == 2
        assert str(path) in line
    assert refused(capsys, tmp_path / "none.json")[0] == 2
    assert refused(capsys, leaky, "--driver", tmp_path / "none.so")[0] == 2


def test_what_the_reference_cannot_run_is_told_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A defect that nobody knows, however it is called, and a device that breaks the rules."""
    for name in ("Z99", "../../A1", "\n\n", "x" * 100_000):
        replace(trace(ADD), mutant=name).save(path := tmp_path / "t.json")
        code, line = refused(capsys, path)
        assert code == 2
        assert line.startswith(f"ringproof: {path}: #meta.mutant: ")
        assert len(line) < 400
    replace(trace(ADD), extra={"alone": True}).save(path)
    assert refused(capsys, path)[1].startswith(f"ringproof: {path}: no reference can follow this run")
