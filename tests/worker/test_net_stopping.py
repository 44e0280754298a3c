"""A network driver that ends, hangs or trips: one error with a place, and the worker can begin anew."""

import gc
import signal
import time
from pathlib import Path

import pytest

from ringproof.building import build_library, c_sources
from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import NetCode, NetConfig, Op
from ringproof.validation.net_worker import Crash, Hang, NetWorker, WorkerError

from .conftest import open_files, shared_mappings

FRAMES = [Frame(Packet(bytes([n]) * 60)) for n in range(8)]
CONFIG = NetConfig(64)
XMITS = [Op(NetCode.XMIT, a=n) for n in range(8)]


@pytest.mark.parametrize("fault", ["crash", "write-before-window"])
def test_a_crash_names_signal_and_operation(
    fault: str, tinynet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory fault in the third transmit: the signal, the operation, and the results before it."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
    with NetWorker(tinynet, CONFIG, FRAMES) as worker:
        worker.step(Op(NetCode.PROBE))
        with pytest.raises(Crash, match=r"SIGSEGV at address 0x[0-9a-f]+.* in step 5$") as caught:
            worker.run([Op(NetCode.RAISE, a=1), *XMITS])
        assert caught.value.signal == signal.SIGSEGV
        assert (caught.value.op_index, caught.value.operation) == (3, 4)
        assert [result.status for result in caught.value.net_results] == [0, 0, 0]
        assert len(worker.events) == 2  # what happened before can be looked at
        assert worker.ring_bytes(1)[1][2] == 2
        with pytest.raises(WorkerError, match="its driver has stopped it"):
            worker.step(XMITS[0])


def test_reading_a_frame_that_was_freed_crashes(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The structures of a frame are no use once it was freed, whoever else is sent meanwhile."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", "use-after-free")
    with NetWorker(tinynet, CONFIG, FRAMES) as worker:
        worker.run([Op(NetCode.PROBE), *XMITS[:2], Op(NetCode.NET_READ, in_=1)])
        worker.step(Op(NetCode.NET_COMPLETE, in_=1, c=1))
        with pytest.raises(Crash, match="SIGSEGV"):
            worker.step(XMITS[3])


def test_exit_is_a_crash_with_a_status(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that calls exit() ends the process, which is not its to end."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", "exit")
    with NetWorker(tinynet, CONFIG, FRAMES) as worker:
        worker.step(Op(NetCode.PROBE))
        with pytest.raises(Crash, match=r"ended the process \(exit status 7\) in step 4"):
            worker.run(XMITS)


@pytest.mark.parametrize("fault", ["hang", "hang-in-registers"])
def test_a_driver_stuck_in_probe_is_killed(
    fault: str, tinynet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop without end, with or without accesses, is ended at the deadline; the log does not overrun."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
    with NetWorker(tinynet, CONFIG, FRAMES, timeout=0.4) as worker:
        begin = time.monotonic()
        with pytest.raises(Hang, match=r"did not come back within 0.4 s in step 1") as caught:
            worker.step(Op(NetCode.PROBE))
        assert time.monotonic() - begin < 3
        assert caught.value.seconds == 0.4
        assert 4 <= len(worker.accesses) <= 32768


def test_a_crash_in_remove_or_probe_is_told_apart(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operation's number says which it was; after a restart the same device is there again."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", "crash-in-remove")
    with NetWorker(tinynet, CONFIG, FRAMES) as worker:
        ops = [Op(NetCode.PROBE), *XMITS[:2], Op(NetCode.REMOVE)]
        with pytest.raises(Crash, match=r"SIGABRT.* in step 4"):
            worker.run(ops)
        monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", "none")
        worker.restart()
        assert worker.operations == 0
        assert worker.accesses == []
        assert [result.status for result in worker.run(ops)] == [0, 0, 0, 0]
        assert worker.findings() == []


def test_nothing_is_left_behind(tinynet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and mappings are as before, after lives that ended well and others."""
    with NetWorker(tinynet, CONFIG):
        pass  # whatever is opened once and for all is open now
    gc.collect()
    before, mapped = open_files(), shared_mappings()
    for fault in ("none", "crash", "none"):
        monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
        with NetWorker(tinynet, CONFIG, FRAMES) as worker:
            worker.step(Op(NetCode.PROBE))
            if fault == "crash":
                with pytest.raises(Crash) as caught:
                    worker.run(XMITS)
                worker.restart()
    del worker, caught
    gc.collect()
    assert open_files() == before
    assert shared_mappings() <= mapped  # what other tests have left may have gone meanwhile


def test_what_a_driver_calls_itself_is_one_line_without_controls(tmp_path: Path) -> None:
    """A name of colours and line ends cannot do anything to a terminal."""
    source = (c_sources() / "net_adapter.c").read_text()
    copy = tmp_path / "net_adapter.c"
    copy.write_text(source.replace(".name = NAME", r'.name = "\033[31m\n[b]\xff"'))
    others = [path for path in c_sources().glob("*.c") if path.name != copy.name]
    library = build_library([copy, *others], include=[c_sources()])
    with NetWorker(library, CONFIG) as worker:
        assert worker.name == "?[31m?[b]\N{REPLACEMENT CHARACTER}"
