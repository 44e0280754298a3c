"""A driver that ends, hangs or shouts: one error with a place, and the next queue starts afresh."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from ringproof.impl.harness.operations import RESULT, Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.library import LibraryError
from ringproof.validation.worker import Crash, Hang, Worker

from .conftest import open_files

ADDS = b"".join(Op(Code.ADD, a=1, b=seed).pack() for seed in range(8))
CONFIG = QueueConfig(16, layout="modern")


@pytest.mark.parametrize("fault", ["crash", "overflow-stack", "beyond-arena", "read-past-private"])
def test_a_crash_names_signal_and_operation(fault: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory fault in the third add: the signal, the operation, and the results before it."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
    with Worker(tiny) as worker:
        assert worker.create(CONFIG)
        with pytest.raises(Crash, match=r"SIGSEGV at address 0x[0-9a-f]+.* in step 3$") as caught:
            worker.run(ADDS)
    assert caught.value.signal == signal.SIGSEGV
    assert caught.value.status is None
    assert (caught.value.op_index, caught.value.operation) == (2, 2)
    assert len(caught.value.results) == 2 * RESULT.size


def test_a_write_behind_a_large_private_block_crashes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large private blocks end at a page that cannot be written."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "private-page")
    with Worker(tiny) as worker:
        assert worker.create(QueueConfig(4096, layout="modern"))
        with pytest.raises(Crash, match="SIGSEGV"):
            worker.run(ADDS)


def test_a_read_of_released_private_memory_crashes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What create allocated is gone once destroy has released it, however small it is."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "read-after-release")
    with Worker(tiny) as worker:
        assert worker.create(CONFIG)
        worker.run(ADDS)
        with pytest.raises(Crash, match=r"SIGSEGV at address 0x[0-9a-f]+.* in destroy") as caught:
            worker.destroy()
        assert caught.value.signal == signal.SIGSEGV


def test_exit_is_a_crash_with_a_status(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that calls exit() ends the process, which is not its to end."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "exit")
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        with pytest.raises(Crash, match=r"ended the process \(exit status 7\) in step 3") as caught:
            worker.run(ADDS)
        assert (caught.value.signal, caught.value.status) == (None, 7)


def test_a_crash_in_destroy_is_told_apart(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """abort() in destroy: no operation is to blame."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "crash-destroy")
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        worker.run(ADDS)
        with pytest.raises(Crash, match=r"SIGABRT.* in destroy") as caught:
            worker.destroy()
        assert caught.value.op_index == -1


def test_a_hang_is_killed_at_the_deadline(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop without end is ended, and its operation named."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "hang")
    with Worker(tiny, timeout=5) as worker:
        worker.create(CONFIG)
        begin = time.monotonic()
        with pytest.raises(Hang, match=r"did not come back within 0.2 s in step 3") as caught:
            worker.run(ADDS, timeout=0.2)
        assert time.monotonic() - begin < 2
        assert (caught.value.seconds, caught.value.op_index) == (0.2, 2)


def test_closing_the_worker_s_files_is_found_out(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that closes every file cuts the worker off: an error, no wait for the deadline."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "close-files")
    with Worker(tiny, timeout=20) as worker:
        worker.create(CONFIG)
        begin = time.monotonic()
        with pytest.raises(Crash):
            worker.run(ADDS)
        assert time.monotonic() - begin < 5


def test_megabytes_of_output_disturb_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five megabytes of output are cut at one, and the protocol goes on."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "print")
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        assert len(worker.run(ADDS)) == 8 * RESULT.size
        assert "one of a great many." in worker.output()
        assert len(worker.output()) <= 4000


@pytest.mark.parametrize("fault", ["fork", "fork-and-leave"])
def test_children_of_the_driver_end_with_it(fault: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process the driver has forked is gone once the worker is closed; none can leave its group."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        worker.run(ADDS)
        family = _members(worker.pid)
        assert len(family) == 2
    deadline = time.monotonic() + 5
    while _alive(family) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _alive(family) == []


def _alive(pids: list[str]) -> list[str]:
    return [row[0] for row in _processes() if row[0] in pids]


def _members(group: int) -> list[str]:
    return [row[0] for row in _processes() if row[1] == str(group)]


def _processes() -> list[list[str]]:
    """Number, process group and state of every process that has not ended."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    return [row for row in map(str.split, listed.splitlines()) if not row[2].startswith("Z")]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("abi-version", "it was built for version 7 of the driver ABI; this is version 1"),
        ("abi-size", "its struct rp_driver says it has 16 bytes; version 1 has 136"),
        ("no-table", "its rp_driver_entry returns null"),
        ("no-add", "its rp_driver lacks add"),
        ("crash-on-load", "the driver crashed (SIGABRT) in load"),
        ("hang-on-load", "the driver did not come back within 0.3 s in load"),
    ],
)
def test_a_library_that_cannot_be_used_is_one_line(
    fault: str, line: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with a library's table is said with its path; nothing is left running."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
    before = open_files()
    with pytest.raises(LibraryError) as caught:
        Worker(tiny, timeout=0.3)
    assert str(caught.value) == f"{tiny}: {line}"
    assert open_files() == before


def test_after_a_crash_the_next_queue_starts_afresh(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crashed worker is started again by create, and nothing of the old queue is left."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "crash")
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        with pytest.raises(Crash):
            worker.run(ADDS)
        monkeypatch.setenv("RINGPROOF_TINY_FAULT", "none")
        assert worker.create(CONFIG)
        assert len(worker.run(ADDS)) == 8 * RESULT.size
        worker.destroy()
        assert [finding for finding in worker.findings() if finding.failed] == []
