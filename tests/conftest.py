"""What all tests share: a place of their own for what this machine keeps between runs."""

import os
import signal
from collections.abc import Iterator

import pytest

from ringproof.proofs.symbolic import clang
from ringproof.proofs.symbolic.errors import Missing

_READ_IR = (
    "refinement/test_c_", "refinement/test_header", "refinement/test_mapping", "refinement/test_transmit",
    "refinement/test_run_code", "symbolic/test_clang", "symbolic/test_execution", "symbolic/test_llvm",
    "symbolic/test_translation", "cli/test_prove_refinement",
)  # fmt: skip
"""Where tests have C compiled by the pinned clang."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the pinned clang what needs it is skipped, and says so."""
    try:
        clang.find_clang()
    except Missing as missing:
        for item in items:
            if any(place in item.path.as_posix() for place in _READ_IR):
                item.add_marker(pytest.mark.skip(reason=f"not tested: {missing}"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """No test profits from what was built or proved before; the processes of one run share a cache."""
    place = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        place = place.parent
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Where tests run in the background Ctrl-C is ignored, and what they start would ignore it, too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
