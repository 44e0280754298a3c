"""What the monitor costs: the worker beside a device that looks at nothing, on the same operations."""

import subprocess
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from ringproof.building import build_program, c_sources
from ringproof.impl.harness.operations import OP, Code
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.validation.generator import Generator
from ringproof.validation.process import Process

_SIZE = 256
_LEFT_OUT = frozenset({Code.POLL, Code.DETACH_UNUSED})  # they need what only the worker keeps
_ROUNDS = 3


def cost(library: Path, seconds: float = 1.0) -> tuple[float, float]:
    """Operations per second of a driver with the plain device, and with the worker that judges everything.

    The better of some tries each, by turns, so that what else the machine does hits both.
    """
    program = build_program(
        [Path(__file__).parent / "c" / "plain.c"],
        include=(Path(str(files("ringproof.impl.harness"))), c_sources()),
        extra_flags=("-ldl",),
    )
    with Process(library, patience=60.0) as process, tempfile.TemporaryDirectory() as folder:
        config = QueueConfig(_SIZE, F_EVENT_IDX & process.features, "modern", profile=process.profile)
        generator = Generator(_SIZE, process.offered - _LEFT_OUT, 0, config.features)
        batch = b"".join(generator.phase() for _ in range(36))
        file = Path(folder) / "operations"
        file.write_bytes(batch)
        plain, judged = 0.0, 0.0
        for _ in range(_ROUNDS):
            plain = max(plain, _plain(program, library, file, config, seconds))
            judged = max(judged, _judged(process, config, batch, seconds))
    return plain, judged


def _plain(program: Path, library: Path, file: Path, config: QueueConfig, seconds: float) -> float:
    command = [
        str(program),
        str(library),
        str(file),
        hex(config.features),
        str(config.queue_size),
        str(seconds),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    operations, took, _ = done.stdout.split()
    return int(operations) / float(took)


def _judged(process: Process, config: QueueConfig, batch: bytes, seconds: float) -> float:
    assert not process.create(config, stop_on_finding=False)
    began = time.monotonic()
    operations = 0
    while time.monotonic() - began < seconds:
        process.run(batch)
        operations += len(batch) // OP.size
    return operations / (time.monotonic() - began)
