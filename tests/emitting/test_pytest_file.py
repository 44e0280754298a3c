"""An emitted pytest file fails on the driver with the defect, passes on the one without, and says where."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ringproof.building import build_driver, build_library, c_sources
from ringproof.emitting.pytest_file import emit_pytest
from ringproof.errors import BadInputError
from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig
from ringproof.impl.harness.operations import Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from ringproof.journey.document import NetTrace
from ringproof.patching import mutated_driver, patched_copy
from ringproof.traces.steps_document import BrokenTheorem, StepsDocument
from ringproof.views.opening import Document

from .runs import ADD, GET, KICK, NASTY, READ, document, hostile

EXAMPLES = Path(__file__).parents[2] / "examples"
HARDENED = Path(__file__).parents[1] / "validation" / "drivers" / "hardened.c"
FRAMES = (
    Frame(Packet(bytes(range(60)))),
    Frame(
        Packet(b"\x01" * 200, (Fragment(8, bytes(range(90))), Fragment(0, b"\x07" * 99))), recorded_queue=1
    ),
    Frame(Packet(bytes(80), (), (Packet(b"a", (Fragment(1, b"b"),)),)), checksum=True, csum_start=14, cpu=2),
    Frame(Packet(bytes(90)), True, 34, 16, Gso.TCPV4, 20),
)


def network(**changed: Any) -> NetTrace:
    """A run of a network driver that sends each frame."""
    given: dict[str, Any] = {
        "config": NetConfig(64, NET_FEATURES),
        "frames": FRAMES,
        "operations": (
            Op(NetCode.PROBE),
            *(Op(NetCode.XMIT, a=at) for at in range(len(FRAMES))),
            Op(NetCode.NET_READ, in_=1),
            Op(NetCode.NET_COMPLETE, in_=1, c=0xFFFF_FFFF),
            Op(NetCode.INTERRUPT),
            Op(NetCode.REMOVE),
        ),
        "states": (),
        "description": "four frames",
    }
    return NetTrace(**(given | changed))


@cache
def fifo_leaks(place: Path) -> Path:
    """The example that gives only the head of a chain back, as a library."""
    source = EXAMPLES / "fifo"
    return build_driver(patched_copy(source, source / "mutants" / "A2.patch", place / "fifo"))


def played(text: str, driver: str | Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run an emitted test in this process; what it fails with, "" if it passes."""
    monkeypatch.setenv("RINGPROOF_DRIVER", str(driver))
    names: dict[str, Any] = {}
    exec(compile(text, "test_emitted.py", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    try:
        test()
    except AssertionError as failed:
        return str(failed)
    return ""


def test_pytest_runs_it(tmp_path: Path) -> None:
    """In a process of its own: red on the driver with the defect, green without, red where none is named."""
    file = tmp_path / "test_a2.py"
    file.write_text(emit_pytest(document(), "test_a2"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    for driver, code, line in (
        (str(mutated_driver("A2")), 1, "step 4: ringproof virtio-1.x fails agrees-with-reference/2"),
        (str(build_driver(c_sources())), 0, "1 passed"),
        ("", 1, "RINGPROOF_DRIVER is not set"),
    ):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "RINGPROOF_DRIVER": driver},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert line in done.stdout


def test_it_says_what_is_wrong_at_which_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step, check, clause and detail; every operation with what came of it; what the reference has."""
    said = played(emit_pytest(document(), "a2"), mutated_driver("A2"), monkeypatch)
    assert said.splitlines() == [
        "step 4: ringproof virtio-1.x fails agrees-with-reference/2 (oracle: virtio-1.x reference): "
        "after GET: num_free is 1, the reference has 2",
        "",
        "     1  add 2 out, 0 in: 0, avail_idx 1, used_idx 0",
        "     2  device reads up to 1 chain: 1, avail_idx 1, used_idx 0",
        "     3  device completes 1 chain: 1, interrupt due, avail_idx 1, used_idx 1",
        "->   4  get_buf: 1, token 1, avail_idx 1, used_idx 1",
        "",
        "num_free: 1, the reference has 2",
    ]


def test_the_reference_stands_in_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes, and fails with the defect; a trace without a defect has none to carry."""
    text = emit_pytest(document(), "a2")
    assert played(text, "reference", monkeypatch) == ""
    assert "step 4 (get_buf): the reference with A2 breaks num-free-exact" in played(
        text, "mutant", monkeypatch
    )
    without = emit_pytest(document(mutant="A2", extra={"compared": "by meaning"}), "a2")
    assert played(without, "reference", monkeypatch) == ""
    none = emit_pytest(network(), "n")
    assert "shown by no defect" in played(none, "mutant", monkeypatch)
    for text in (emit_pytest(hostile(), "h"), emit_pytest(document(mutant="X99"), "m")):
        assert played(text, "mutant", monkeypatch).startswith("not judged: ")


def test_a_driver_of_another_hand_is_judged_by_meaning(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What validate asks of a driver that promises nobody's bytes."""
    whole = Op(Code.ADD, a=4)
    text = emit_pytest(
        document(
            config=QueueConfig(4, layout="modern"),
            operations=(whole, KICK, READ, Op(Code.COMPLETE, c=1), GET, whole),
            extra={"compared": "by meaning", "check": "add-when-all-is-back", "step": 5},
        ),
        "a2",
    )
    assert 'check="add-when-all-is-back", step=6, mutant="A2", by_meaning=True' in text
    said = played(text, fifo_leaks(tmp_path_factory.mktemp("leaks")), monkeypatch)
    assert said.startswith(
        "step 6: fifo fails add-when-all-is-back (oracle: free count): ENOSPC for 4 segments"
    )
    assert played(text, build_driver(EXAMPLES / "fifo"), monkeypatch) == ""


def test_a_hostile_device_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that trusts an id from the device fails, one that looks at it passes."""
    text = emit_pytest(hostile(), "h")
    assert "hostile=True," in text
    assert "alone=True" in text
    assert played(text, build_driver(c_sources()), monkeypatch) == ""
    trusting = build_library([HARDENED], include=[c_sources()], defines={"HARDENED_H7": ""})
    assert played(text, trusting, monkeypatch).startswith("step 5: hardened fails no-wrong-token")


def test_what_cannot_be_judged_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature or the operation in question that the driver lacks, a queue it declines, no library."""
    least = build_library([EXAMPLES / "minimal" / "driver.c"], include=[c_sources()])
    own = build_driver(c_sources())
    for given, driver, line in (
        (document(), least, "not judged: minimal: create: the driver does not offer EVENT_IDX"),
        (
            document(config=QueueConfig(2), operations=(ADD, Op(Code.ENABLE_CB_PREPARE))),
            least,
            "not judged: minimal: step 2 (enable_cb_prepare): the driver has no such operation",
        ),
        (document(config=QueueConfig(3)), own, "not judged: ringproof virtio-1.x: create: queue size 3"),
        (document(), Path("/nonexistent/lib.so"), "not judged: "),
    ):
        said = played(emit_pytest(given, "t"), driver, monkeypatch)
        assert said.startswith(line)
        assert "\n" not in said


def test_a_network_driver_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of all shapes go out as they were; a driver with a defect parts from the reference."""
    text = emit_pytest(network(mutant="X11"), "frames")
    names: dict[str, Any] = {}
    exec(compile(text, "test_emitted.py", "exec"), names)
    assert names["CONFIG"] == network().config
    assert names["FRAMES"] == FRAMES
    assert names["OPERATIONS"] == network().operations
    assert played(text, build_driver(c_sources()), monkeypatch) == ""
    assert played(text, "reference", monkeypatch) == ""
    assert played(text, mutated_driver("X11"), monkeypatch).startswith("step ")
    assert "parts from the one without" in played(text, "mutant", monkeypatch)
    judged = emit_pytest(network(extra={"check": "frame-freed-when-sent"}), "frames")
    assert played(judged, build_driver(c_sources()), monkeypatch) == ""


def test_operations_read_as_words_and_numbers() -> None:
    """The configuration and the operations, as a reader sees them; numbers beyond 16 bits in hexadecimal."""
    run = (
        *(ADD, Op(Code.ADD, OpFlag.NULL_TOKEN | OpFlag.FAIL_ALLOC, in_=2, b=99), KICK),
        *(
            Op(Code.ROUNDS, OpFlag.NO_KICK, a=65534),
            Op(Code.COMPLETE, c=0xFFFF_FFFF),
            Op(Code.KICK, flags=0x80),
        ),
    )
    text = emit_pytest(document(config=QueueConfig(2, F_EVENT_IDX | F_INDIRECT_DESC), operations=run), "A 2")
    assert (
        """
CONFIG = QueueConfig(
    queue_size=2,
    features=bits("INDIRECT_DESC", "EVENT_IDX"),
    layout="legacy",
    has_callback=True,
    profile="linux-3.11",
    queue_index=0,
)
OPERATIONS = (
    Op(Code.ADD, a=1),  # step 1: add 1 out, 0 in
    Op(Code.ADD, flags=OpFlag.FAIL_ALLOC | OpFlag.NULL_TOKEN, in_=2, b=99),  # step 2: add 0 out, 2 in, null\
 token, no memory to be had
    Op(Code.KICK),  # step 3: kick
    Op(Code.ROUNDS, flags=OpFlag.NO_KICK, a=65534),  # step 4: 65,534 times: add 1 out, device reads \
and completes it, get_buf
    Op(Code.COMPLETE, c=0xFFFF_FFFF),  # step 5: device completes every chain
    Op(Code.KICK, flags=0x80),  # step 6: kick
)


def test_a_2() -> None:
    \"\"\"The driver does as it should at every step.\"\"\"
    play_queue(CONFIG, OPERATIONS, step=6, mutant="A2")
"""
        in text
    )
    assert text.startswith(
        "# Made by ringproof from a trace: A2: a seeded defect.\n#\n# It breaks num-free-exact: "
    )
    assert text == emit_pytest(
        document(config=QueueConfig(2, F_EVENT_IDX | F_INDIRECT_DESC), operations=run), "A 2"
    )


def test_text_of_a_document_cannot_become_code() -> None:
    """Whatever it holds, the program is the same: comments apart, only strings differ, which are as given."""
    extra = {"check": NASTY, "clause": NASTY}
    given = document("A2", mutant=NASTY, description=NASTY, violated=NASTY, property=NASTY, extra=extra)
    text = emit_pytest(given, NASTY)
    assert text.isascii()
    assert all(line.isprintable() for line in text.splitlines())
    tree = ast.parse(text)
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert strings.count(NASTY) == 2
    plain = ast.parse(emit_pytest(document("A2", mutant="A2", extra={"check": "A2"}), "t"))
    assert [type(node) for node in ast.walk(tree)] == [type(node) for node in ast.walk(plain)]


def test_a_run_of_the_step_wise_model_is_refused() -> None:
    """No implementation carries single statements."""
    broken = (BrokenTheorem("free-list-at-every-step", "t", "s"),)
    given: Document = StepsDocument("A15", "c", "p", "v", broken, 2, "linux-3.11", (), ())
    with pytest.raises(BadInputError, match="which no implementation carries") as refused:
        emit_pytest(given, "t")
    assert "\n" not in str(refused.value)
