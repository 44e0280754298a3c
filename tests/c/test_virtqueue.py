"""The C virtqueue through its driver ABI: what it does, with every compiler at hand and both sanitizers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ringproof.building import Compiler, build_driver, c_sources

from .programs import COMPILERS, NOT_RUN, PROFILES, WARNINGS, case_names, program, run

BY_COMPILER = pytest.mark.parametrize("compiler", COMPILERS, ids=lambda compiler: compiler.command[0])
BY_PROFILE = pytest.mark.parametrize("profile", PROFILES)


@BY_PROFILE
@BY_COMPILER
@pytest.mark.parametrize("case", case_names())
def test_case_holds_under_sanitizers(case: str, profile: str, compiler: Compiler) -> None:
    """Each case of the C program holds, without a report from ASan or UBSan."""
    done = run(program("program", profile, compiler=compiler), case)
    assert done.returncode == 0, done.stdout + done.stderr


def test_program_knows_every_case_and_no_other() -> None:
    """The list of cases is the program's own, and an unknown case is an error rather than a pass."""
    built = program("program", "virtio-1.x")
    listed = [line.partition("\t")[0] for line in run(built).stdout.splitlines()]
    assert listed == case_names()
    assert len(listed) > 20
    assert run(built, "nonesuch").returncode == NOT_RUN


@BY_PROFILE
@BY_COMPILER
def test_accesses_and_fences_are_in_order(profile: str, compiler: Compiler) -> None:
    """Every shared access and every fence of each function comes in the order the path needs, once."""
    done = run(program("order", profile, compiler=compiler))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fence", ["read_fence", "write_fence", "full_fence"])
def test_a_missing_fence_is_seen(fence: str, tmp_path: Path) -> None:
    """The check of the order fails when any one of the three fences does nothing."""
    copy = Path(shutil.copytree(c_sources(), tmp_path / "c"))
    header = copy / "vring.h"
    body = re.compile(rf"(static inline void {fence}\(void\)\n{{\n).*?\n}}", re.DOTALL)
    text, count = body.subn(r"\1}", header.read_text())
    assert count == 1
    header.write_text(text)
    assert run(program("order", "virtio-1.x", source=copy, sanitize=())).returncode == 1


@BY_PROFILE
@BY_COMPILER
def test_byte_order_follows_version_1(profile: str, compiler: Compiler) -> None:
    """Where native words are not little endian, VERSION_1 swaps every word of the ring and legacy none."""
    done = run(program("byte_order", profile, compiler=compiler))
    assert done.returncode == 0, done.stdout + done.stderr


@BY_PROFILE
@BY_COMPILER
def test_no_warning_for_the_shipped_sources(profile: str, compiler: Compiler) -> None:
    """The sources compile with warnings as errors."""
    build_driver(c_sources(), defines=PROFILES[profile], extra_flags=WARNINGS, compiler=compiler)


@BY_COMPILER
def test_virtqueue_is_freestanding(compiler: Compiler, tmp_path: Path) -> None:
    """virtqueue.c compiles without a hosted library and needs nothing from outside but memset and memcpy."""
    flags = ["-std=c11", "-O2", "-ffreestanding", "-fno-stack-protector", *WARNINGS]
    output = tmp_path / "virtqueue.o"
    source = c_sources() / "virtqueue.c"
    subprocess.run([*compiler.command, *flags, "-c", str(source), "-o", str(output)], check=True)
    undefined = subprocess.run(["nm", "-u", str(output)], capture_output=True, text=True, check=True).stdout
    assert set(undefined.replace(" U ", " ").split()) <= {"memset", "memcpy"}
    included = set(re.findall(r"#include <(.*)>", "".join(path.read_text() for path in _lifted())))
    assert included <= {"stdbool.h", "stddef.h", "stdint.h"}


def test_virtqueue_does_not_know_the_driver_abi() -> None:
    """The files to be lifted name nothing of the driver ABI, and virtqueue.c is short enough to read."""
    for path in _lifted():
        assert "ringproof_driver" not in path.read_text()
    assert len((c_sources() / "virtqueue.c").read_text().splitlines()) < 350


def _lifted() -> list[Path]:
    return [c_sources() / name for name in ("virtqueue.c", "virtqueue.h", "vring.h")]
