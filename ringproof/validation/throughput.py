"""How fast a validation goes: with the reference beside the driver, and with the driver alone."""

import time
from pathlib import Path

from ..impl.harness.operations import OP
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX
from .generator import Generator
from .pairing import Pair
from .process import Process

_SIZE = 256
_PATIENCE = 60.0
_SHORTEST = 0.5  # seconds measured at least


class DriverFailed(Exception):  # noqa: N818 - the driver's fault
    """The driver fails a check, so there is no speed to measure; the message is one line."""


def differential(library: Path, seconds: float = 3.0) -> float:
    """Return ring operations per second, the driver and the reference compared as in a long run.

    Making the operations counts as part of it; ROUNDS, which are cheaper, are not used. It takes about
    ``seconds``. Raises DriverFailed, LibraryError, BuildError.
    """
    with Process(library, patience=_PATIENCE) as process:
        pair = Pair.of(process)
        config = QueueConfig(_SIZE, process.features & F_EVENT_IDX, profile=process.profile)
        pair.probe(config)
        generator = Generator(_SIZE, pair.offered, 0, config.features)
        began = time.monotonic()
        operations = 0
        failure = pair.begin(config)
        while failure is None and time.monotonic() - began < max(seconds, _SHORTEST):
            phase = generator.phase()
            failure = pair.run(phase)
            operations += len(phase) // OP.size
        if failure is not None:
            raise DriverFailed(f"{process.name} fails {failure.check}: {failure.detail}")
        return operations / (time.monotonic() - began)


def c_alone(library: Path, seconds: float = 2.0) -> float:
    """Return ring operations per second of the driver with the honest device and its ledger, no reference.

    The operations are those of :func:`differential`, made beforehand. Raises DriverFailed, LibraryError,
    BuildError.
    """
    with Process(library, patience=_PATIENCE) as process:
        config = QueueConfig(_SIZE, process.features & F_EVENT_IDX, profile=process.profile)
        generator = Generator(_SIZE, process.offered, 0, config.features)
        batch = b"".join(generator.phase() for _ in range(36))
        refused = process.create(config, stop_on_finding=True)
        began = time.monotonic()
        operations = 0
        while not refused and time.monotonic() - began < max(seconds, _SHORTEST):
            process.run(batch)
            operations += len(batch) // OP.size
            refused = ", ".join(seen.detail for seen in process.failing())
        if refused:
            raise DriverFailed(f"{process.name}: {refused}")
        return operations / (time.monotonic() - began)
