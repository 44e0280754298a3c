"""Every check on a network driver can fail, each for the fault it is there for, and none without one."""

import contextlib
from importlib.resources import files
from pathlib import Path

import pytest

from ringproof.building import build_program, c_sources
from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import (
    ENOENT,
    F_CTRL_VQ,
    F_MQ,
    NetCode,
    NetConfig,
    Op,
)
from ringproof.impl.harness.operations import OpFlag
from ringproof.validation import net_worker as net_worker_module
from ringproof.validation.library import LibraryError
from ringproof.validation.net_findings import NET_CHECKS, NetFindingCode
from ringproof.validation.net_worker import DriverStopped, NetWorker, OperationError, Violation

FRAMES = [
    Frame(Packet(bytes([n]) * (60 + n), (Fragment(100, b"page" * 9),), (Packet(b"more"),)), cpu=n)
    for n in range(6)
]
DROPPED = Frame(Packet(b"offload" * 20), gso=Gso.TCPV4, gso_size=100)
CONFIG = NetConfig(64, F_CTRL_VQ | F_MQ, pairs=2)

# fault, what is found
FAULTS: tuple[tuple[str, NetFindingCode], ...] = (
    ("red-zone", NetFindingCode.RED_ZONE),
    ("double-release", NetFindingCode.BAD_RELEASE),
    ("leak", NetFindingCode.LEAK),
    ("leak-private", NetFindingCode.LEAK),
    ("leak-in-failed-probe", NetFindingCode.LEAK),
    ("stray", NetFindingCode.STRAY_WRITE),
    ("ring-outside", NetFindingCode.RING_PARTS),
    ("odd-interrupt", NetFindingCode.UNDOCUMENTED_RETURN),
    ("odd-set-pairs", NetFindingCode.UNDOCUMENTED_RETURN),
    ("probe-positive", NetFindingCode.UNDOCUMENTED_RETURN),
    ("canary", NetFindingCode.CANARY),
    ("wild-read", NetFindingCode.REGISTER_UNKNOWN),
    ("wild-write", NetFindingCode.REGISTER_UNKNOWN),
    ("wild-width", NetFindingCode.REGISTER_UNKNOWN),
    ("flood-registers", NetFindingCode.ACCESS_FLOOD),
    ("flood-events", NetFindingCode.EVENT_FLOOD),
    ("free-twice", NetFindingCode.FREED_TWICE),
    ("free-unknown", NetFindingCode.FREED_UNKNOWN),
    ("free-next", NetFindingCode.FREED_UNKNOWN),
    ("never-free", NetFindingCode.NEVER_FREED),
    ("orphan-unknown", NetFindingCode.ORPHANED_UNKNOWN),
    ("stop-unknown", NetFindingCode.QUEUE_UNKNOWN),
    ("select-range", NetFindingCode.SELECT_RANGE),
    ("write-data", NetFindingCode.FRAME_WRITTEN),
    ("write-fragment", NetFindingCode.FRAME_WRITTEN),
    ("write-margin", NetFindingCode.WINDOW_WRITTEN),
    ("write-behind-fragment", NetFindingCode.WINDOW_WRITTEN),
    ("write-beyond", NetFindingCode.WINDOW_WRITTEN),
    ("write-other-control", NetFindingCode.WINDOW_WRITTEN),
    ("control-index", NetFindingCode.CONTROL_MALFORMED),
    ("control-chain", NetFindingCode.CONTROL_MALFORMED),
    ("control-memory", NetFindingCode.CONTROL_MALFORMED),
    ("control-order", NetFindingCode.CONTROL_MALFORMED),
    ("control-answer", NetFindingCode.CONTROL_MALFORMED),
    ("free-early", NetFindingCode.FREED_EARLY),
    ("free-published", NetFindingCode.PUBLISHED),
    ("publish-twice", NetFindingCode.PUBLISHED),
    ("keep", NetFindingCode.PUBLISHED),
    ("change-chain", NetFindingCode.CHAIN_CHANGED),
    ("change-header", NetFindingCode.HEADER_CHANGED),
)


def _life() -> list[Op]:
    """Probe, every kind of operation, frames in flight at the end, remove."""
    return [
        Op(NetCode.PROBE),
        Op(NetCode.XMIT, a=6),
        Op(NetCode.XMIT, a=0),
        Op(NetCode.XMIT, a=1),
        Op(NetCode.SET_PAIRS, a=2),
        Op(NetCode.SET_PAIRS, a=3),
        Op(NetCode.NET_READ, in_=1),
        Op(NetCode.NET_COMPLETE, in_=1, c=9),
        Op(NetCode.INTERRUPT),
        *[Op(NetCode.XMIT, a=n) for n in (2, 3, 4, 0)],
        Op(NetCode.NET_READ, in_=1),
        Op(NetCode.NET_READ, in_=3),
        Op(NetCode.NET_COMPLETE, in_=3, c=9),
        Op(NetCode.XMIT, a=5),
        Op(NetCode.NET_READ, in_=3),
        Op(NetCode.XMIT, a=1),
        Op(NetCode.NET_COMPLETE, in_=3, c=1),
        Op(NetCode.REMOVE),
    ]


def _config_for(fault: str) -> NetConfig:
    missing = 2 if fault in ("leak-in-failed-probe", "probe-positive") else None
    return NetConfig(64, F_CTRL_VQ | F_MQ, pairs=2, missing_queue=missing)


@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_each_fault_is_found_for_what_it_is(
    fault: str, code: NetFindingCode, tinynet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver with a fault gets the finding of that fault, and one line that says it in numbers."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
    with NetWorker(tinynet, _config_for(fault), [*FRAMES, DROPPED]) as worker:
        ops = _life()
        results = worker.run(ops)
        found = {finding.code: finding for finding in worker.findings()}
        made = {check.code: check for check in worker.checks()}
        assert code in found, f"found instead: {[finding.sentence for finding in found.values()]}"
        finding = found[code]
        assert made[code].checked >= finding.failed > 0
        # The run stopped with the operation of the first finding, which is this one or came with it.
        assert len(results) - 1 == finding.first_op == min(each.first_op for each in found.values())
    for line in (finding.sentence, finding.rule, finding.name):
        assert line
        assert "\n" not in line


def test_no_check_is_without_a_fault_that_fails_it() -> None:
    """The list of faults reaches every finding code: none is a check that cannot fail."""
    assert {row[1] for row in FAULTS} == set(NetFindingCode) == set(NET_CHECKS)


@pytest.mark.parametrize("features", [0, F_CTRL_VQ, F_MQ, F_CTRL_VQ | F_MQ])
@pytest.mark.parametrize("size", [4, 16, 256])
def test_a_correct_driver_has_no_findings(size: int, features: int, tinynet: Path) -> None:
    """The tiny driver, correct, over several lives on one device."""
    config = NetConfig(size, features, pairs=2)
    with NetWorker(tinynet, config, [*FRAMES, DROPPED]) as worker:
        for _ in range(3):
            ops = _life()
            if features != F_CTRL_VQ | F_MQ:
                ops = [op for op in ops if op.in_ != 3 and op.code != NetCode.SET_PAIRS]
            assert len(worker.run(ops)) == len(ops)
        assert worker.findings() == []
        made = {NetFindingCode(check.code) for check in worker.checks()}
    assert len(made) > 15


@pytest.mark.parametrize("lacking", ["no-select-queue", "no-set-pairs"])
def test_a_driver_of_one_queue_need_not_choose(
    lacking: str, tinynet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without select_queue, queue 0 is every frame's; without set_pairs, one pair is what there is."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", lacking)
    with NetWorker(tinynet, CONFIG, FRAMES) as worker:
        results = worker.run(
            [Op(NetCode.PROBE), Op(NetCode.SET_PAIRS, a=1), Op(NetCode.XMIT, a=3), Op(NetCode.REMOVE)]
        )
        assert [result.status for result in results] == [0, 0, 0, 0]
        assert results[2].pair == 0
        assert worker.findings() == []


def test_a_probe_that_fails_says_why(tinynet: Path) -> None:
    """A missing queue is -ENOENT, no memory -ENOMEM; all is given back and the device can be tried again."""
    with NetWorker(tinynet, NetConfig(16, missing_queue=1)) as worker:
        assert worker.step(Op(NetCode.PROBE)).status == ENOENT
        assert worker.step(Op(NetCode.PROBE, int(OpFlag.FAIL_ALLOC))).status == -12
        assert worker.findings() == []


def test_a_device_that_is_not_reset_keeps_its_memory(tinynet: Path) -> None:
    """A driver that keeps frames and rings from a device still busy has no finding; the frames are lost."""
    with NetWorker(tinynet, NetConfig(16, reset_reads=5000), FRAMES) as worker:
        worker.run([Op(NetCode.PROBE), Op(NetCode.XMIT, a=0), Op(NetCode.REMOVE)])
        assert worker.findings() == []
        with pytest.raises(OperationError, match="1 frames are with the driver, so they cannot be replaced"):
            worker.frames(FRAMES)
        worker.step(Op(NetCode.PROBE))
        with pytest.raises(OperationError, match="operation 4: frame 0 is still with the driver"):
            worker.step(Op(NetCode.XMIT, a=0))


def test_findings_need_not_stop_a_run(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stop_on_finding all operations are run, and each failure counts."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", "write-data")
    with NetWorker(tinynet, CONFIG, [*FRAMES, DROPPED], stop_on_finding=False) as worker:
        assert len(worker.run(_life())) == len(_life())
        found = {finding.code: finding.failed for finding in worker.findings()}
    # One write is told once; the frame sent twice is written to with the same byte.
    assert found == {NetFindingCode.FRAME_WRITTEN: 7}


def test_what_the_device_finds_is_a_violation(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain published twice over stops the device when it reads: a violation with its operation."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", "publish-twice")
    with NetWorker(tinynet, CONFIG, FRAMES, stop_on_finding=False) as worker:
        worker.run([Op(NetCode.PROBE), Op(NetCode.XMIT, a=1)])
        with pytest.raises(Violation) as caught:
            worker.step(Op(NetCode.NET_READ, in_=1))
        assert caught.value.operation == 2


@pytest.mark.slow
def test_the_worker_is_clean_under_sanitizers(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built with ASan and UBSan, it takes every fault without a report of its own."""
    harness = Path(str(files("ringproof.impl.harness")))
    program = build_program(
        [
            *sorted((harness / "net").glob("*.c")),
            *(harness / f"{name}.c" for name in ("arena", "private", "process")),
        ],
        include=(harness / "net", harness, c_sources()),
        sanitize=("address", "undefined"),
        extra_flags=("-Wl,--no-as-needed", "-ldl"),
    )
    monkeypatch.setattr(net_worker_module, "net_worker_program", lambda: program)
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # the library under test leaks on purpose
    for fault, _ in (*FAULTS, ("none", NetFindingCode.LEAK)):
        monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
        with NetWorker(
            tinynet, _config_for(fault), [*FRAMES, DROPPED], stop_on_finding=False, memory_limit=0, timeout=60
        ) as worker:
            # The driver's own code may trip over what it did; no report must be about the harness.
            with contextlib.suppress(Violation, OperationError, DriverStopped):
                worker.run(_life())
            assert "runtime error" not in worker.output(), fault
            assert "AddressSanitizer" not in worker.output(), worker.output()


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("abi-version", "it was built for version 7 of the network driver ABI; this is version 1"),
        ("abi-size", "its struct rp_net_driver says it has 16 bytes; version 1 has 88"),
        ("no-table", "its rp_net_driver_entry returns null"),
        ("no-probe", "its rp_net_driver lacks probe"),
        ("no-remove", "its rp_net_driver lacks remove"),
        ("no-transmit", "its rp_net_driver lacks transmit"),
        ("no-interrupt", "its rp_net_driver lacks interrupt"),
        ("no-statistics", "its rp_net_driver lacks statistics"),
        ("no-transport", "its rp_net_driver knows no transport, neither legacy nor modern"),
        ("crash-on-load", "the driver crashed (SIGABRT) in load"),
    ],
)
def test_a_library_that_cannot_be_used_is_one_line(
    fault: str, line: str, tinynet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with a library's table is said with its path."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
    with pytest.raises(LibraryError) as caught:
        NetWorker(tinynet, CONFIG)
    assert str(caught.value) == f"{tinynet}: {line}"


def test_a_library_of_another_kind_is_one_line(tiny: Path) -> None:
    """A queue's driver is not a network driver."""
    with pytest.raises(LibraryError) as caught:
        NetWorker(tiny, CONFIG)
    assert str(caught.value) == (
        f"{tiny}: does not export rp_net_driver_entry, so it is no driver behind ringproof_net_driver.h"
    )
