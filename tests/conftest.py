"""What all tests share: a place of their own for what this machine keeps between runs."""

import os
from collections.abc import Iterator

import pytest


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
