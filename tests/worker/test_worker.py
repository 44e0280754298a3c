"""The worker process from the tool's side: views, limits, errors, and nothing left behind."""

import gc
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.impl.harness.operations import OP, RESULT, Code, Op, Result
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.validation.shared import OP_CAPACITY
from ringproof.validation.worker import Crash, Worker, WorkerError

from .conftest import Tour, open_files, shared_mappings

CONFIG = QueueConfig(16, layout="modern")


@dataclass(frozen=True)
class Anything:
    """A queue that need not be possible."""

    queue_size: int = 16
    features: int = 0
    layout: str = "modern"
    has_callback: bool = True
    queue_index: int = 0
    fail_allocation: int = 0
    hostile: bool = False


def test_a_driver_says_what_it_is(tiny: Path) -> None:
    """Name, features and the operations it has; the mischief is the device's."""
    with Worker(tiny) as worker:
        assert worker.name == "tiny"
        assert worker.features == 1 << 28 | 1 << 29 | 1 << 32 | 1 << 35 | 1 << 38
        assert worker.has == frozenset(Code) - {Code.MISCHIEF}


@pytest.mark.parametrize("profile", ["virtio-1.x", "linux-3.11"])
@pytest.mark.parametrize("features", [0, 1 << 28, 1 << 29, 1 << 28 | 1 << 29 | 1 << 32])
def test_results_are_those_of_the_reference(profile: str, features: int, tour: Tour) -> None:
    """The C driver with the C device answers like the reference and its device, byte for byte."""
    defines = {"RP_ADAPTER_LINUX_3_11": ""} if profile == "linux-3.11" else None
    config = QueueConfig(8, features, layout="modern", profile=profile)
    ops = tour(features, 5)
    runner = ReferenceRunner(config)
    with Worker(build_driver(c_sources(), defines=defines), stop_on_finding=False) as worker:
        worker.create(config)
        ours, theirs = worker.run(ops), runner.run(ops)
    pairs = zip(RESULT.iter_unpack(ours), RESULT.iter_unpack(theirs), strict=True)
    for operation, (one, other) in zip(OP.iter_unpack(ops), pairs, strict=True):
        assert one == other, Op(*operation)


def test_views_show_the_ring_without_copying(tiny: Path) -> None:
    """Descriptor, available ring and used ring as the driver and the device leave them, during a run too."""
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        desc, avail, used = worker.desc_view(), worker.avail_view(), worker.used_view()
        worker.run(b"".join(op.pack() for op in (Op(Code.ADD, a=1), Op(Code.READ), Op(Code.COMPLETE, c=1))))
        assert struct.unpack_from("<QIHH", desc)[0] >> 32 == 0x82
        assert struct.unpack_from("<HHH", avail) == (0, 1, 0)
        assert struct.unpack_from("<HHII", used) == (0, 1, 0, 0)
        assert (len(desc), len(avail), len(used)) == (256, 38, 134)


def test_an_operation_the_driver_lacks_is_unsupported(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered with its own status, and nothing happens."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "no-delay")
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        result = Result(*RESULT.unpack(worker.run(Op(Code.ENABLE_CB_DELAYED).pack())))
        assert result.status == -1000
        unknown = Result(*RESULT.unpack(worker.run(Op(99).pack())))
        assert unknown.status == -1000


def test_long_runs_are_cut_and_joined(tiny: Path) -> None:
    """More operations than fit shared memory at once give as many results."""
    ops = b"".join(
        op.pack() for op in (Op(Code.ADD, a=1), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET))
    )
    with Worker(tiny) as worker:
        worker.create(CONFIG)
        results = worker.run(ops * (OP_CAPACITY // 2))
        assert len(results) // RESULT.size == OP_CAPACITY * 2
        assert worker.operations == OP_CAPACITY * 2
        assert [finding for finding in worker.findings() if finding.failed] == []


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (Anything(queue_size=0), "queue size 0 is not a power of two from 1 to 32768"),
        (Anything(queue_size=3), "queue size 3 is not a power of two from 1 to 32768"),
        (Anything(queue_size=65536), "queue size 65536 is not a power of two from 1 to 32768"),
        (Anything(queue_index=65536), "queue index 65536 is not from 0 to 65535"),
        (Anything(layout="round"), "layout 'round' is neither of legacy, modern"),
        (Anything(features=1 << 40), "the driver does not offer the feature bits 0x10000000000"),
    ],
)
def test_an_impossible_queue_is_refused(config: Anything, line: str, tiny: Path) -> None:
    """One line says what is wrong; the driver is not asked."""
    with Worker(tiny) as worker:
        with pytest.raises(ValueError, match=line):
            worker.create(config)
        assert worker.create(CONFIG)


def test_misuse_is_an_error_of_one_line(tiny: Path) -> None:
    """Commands out of turn are refused, and the worker goes on."""
    with Worker(tiny) as worker:
        with pytest.raises(WorkerError, match="there is no queue to run operations on"):
            worker.run(Op(Code.KICK).pack())
        with pytest.raises(WorkerError, match="there is no queue to destroy"):
            worker.destroy()
        worker.create(CONFIG)
        with pytest.raises(WorkerError, match="there is a queue already"):
            worker.create(CONFIG)
        with pytest.raises(WorkerError, match="more segments than any queue takes"):
            worker.run(Op(Code.ADD, a=1 << 20).pack())
        with pytest.raises(ValueError, match="not a whole number of operations"):
            worker.run(b"123")
        worker.destroy()


def test_nothing_is_left_behind(tiny: Path) -> None:
    """Files, mappings and processes are as before, after many queues and restarts."""
    with Worker(tiny):
        pass  # whatever is opened once and for all is open now
    gc.collect()
    before, mapped = open_files(), shared_mappings()
    for _ in range(3):
        with Worker(tiny) as worker:
            for _ in range(3):
                worker.create(CONFIG)
                worker.restart()
    assert open_files() == before
    gc.collect()
    assert shared_mappings() <= mapped  # what other tests have left may have gone meanwhile
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    assert not children.exists() or str(worker.pid) not in children.read_text().split()


def test_a_library_with_a_sanitizer_reports_through_its_output(tmp_path: Path) -> None:
    """A driver built with AddressSanitizer runs, and its report is kept when it stops the process."""
    source = tmp_path / "driver"
    source.mkdir()
    tiny_sources = Path(__file__).parent / "drivers" / "tiny"
    for name in ("tiny.h", "faults.c", "life.c"):
        (source / name).write_text((tiny_sources / name).read_text())
    text = (tiny_sources / "tiny.c").read_text()
    fault = "if (t->adds == 2) { char *p = malloc(8); free(p); *(char volatile *)p = 1; }"
    (source / "tiny.c").write_text(text.replace("misbehave(t);", f"misbehave(t); {fault}", 1))
    library = build_driver(source, tmp_path / "sanitized.so", sanitize=["address"])
    with Worker(library, timeout=30) as worker:
        if worker.library.sanitizer is None:
            pytest.skip("this compiler links the sanitizer's runtime statically")
        worker.create(CONFIG)
        with pytest.raises(Crash) as caught:
            worker.run(b"".join(Op(Code.ADD, a=1).pack() for _ in range(3)))
        assert caught.value.op_index == 1
        assert "AddressSanitizer" in worker.output() or "AddressSanitizer" in caught.value.output
