"""Drivers and stand-ins for the tests of the campaign."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ringproof.building import build_driver, build_library, c_sources
from ringproof.impl.harness.operations import Code
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner, Violation
from ringproof.validation.pairing import DriverLost, Seen

FIFO = Path(__file__).parent / "drivers" / "fifo.c"


class ReferenceProcess:
    """The reference in the place of a driver, so that no compiler is needed; a mutant of it if asked for."""

    def __init__(self, reference: ModuleType | None = None) -> None:
        self.name = "stand-in"
        self.features = 1 << 28 | 1 << 29 | 1 << 32
        self.traits = 2
        self.offered = frozenset(Code)
        self.patience = 5.0
        self.profile = "virtio-1.x"
        self.follows_the_reference = True
        self.pushes_buffers = False
        self._reference = reference
        self._runner: ReferenceRunner | None = None

    @property
    def runner(self) -> ReferenceRunner:
        """The reference that runs now."""
        assert self._runner is not None
        return self._runner

    def create(self, config: QueueConfig, stop_on_finding: bool) -> str:  # noqa: ARG002
        """A fresh reference."""
        self._runner = ReferenceRunner(config, reference=self._reference)
        return ""

    def run(self, operations: bytes) -> bytes:
        """A violation counts as a crash."""
        try:
            return self.runner.run(operations)
        except Violation as violation:
            raise DriverLost(
                "crash", str(violation), "run", violation.operation, violation.results
            ) from violation

    def destroy(self) -> None:
        """Nothing can be left over."""

    def seen(self) -> list[Seen]:
        """No device watches."""
        return []

    def failing(self) -> list[Seen]:
        """No device watches."""
        return []

    def ring(self) -> tuple[bytes, bytes, bytes]:
        """The ring as it is."""
        runner = self.runner
        return bytes(runner.desc_bytes()), bytes(runner.avail_bytes()), bytes(runner.used_bytes())


@pytest.fixture
def stand_in() -> Callable[[ModuleType | None], ReferenceProcess]:
    """Makes processes that run the reference, or a mutant of it."""
    return ReferenceProcess


@pytest.fixture(scope="session")
def own_driver() -> Path:
    """The shipped C driver, virtio-1.x profile."""
    return build_driver(c_sources())


@pytest.fixture(scope="session")
def linux_driver() -> Path:
    """The shipped C driver, linux-3.11 profile."""
    return build_driver(c_sources(), defines={"RP_ADAPTER_LINUX_3_11": ""})


@pytest.fixture(scope="session")
def fifo() -> Callable[..., Path]:
    """Builds the driver with habits of its own, with the defects named."""

    def build(*defects: str) -> Path:
        return build_library(
            [FIFO], include=[c_sources()], defines={f"FIFO_{defect}": "" for defect in defects}
        )

    return build
