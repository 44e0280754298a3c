"""Rings that mean ill, changed while they are read: nothing beyond shared memory is touched, and it ends."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ringproof.building import build_program

from .judging import SOURCES
from .simulated import FILES, WARNINGS

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_rings_do_no_harm(seed: int, tmp_path: Path) -> None:
    """Under the sanitizers: random rings, chains and behaviours, and a thread that writes into all of it."""
    if shutil.which("gcc") is None and shutil.which("clang") is None:
        pytest.skip("not tested: no compiler")
    program = build_program(
        [HERE / "hostile_rings.c", *(SOURCES / f"{name}.c" for name in FILES)],
        tmp_path / "hostile",
        include=[SOURCES],
        sanitize=["address", "undefined"],
        extra_flags=[*WARNINGS, "-O1", "-fno-sanitize-recover=all", "-pthread"],
    )
    run = subprocess.run(
        [program, str(seed), "150"], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "failures" in run.stdout
