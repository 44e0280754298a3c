"""The C network driver through its ABI: what it does, with every compiler at hand and both sanitizers."""

import re
import subprocess
from pathlib import Path

import pytest

from ringproof.building import Compiler, c_sources

from .programs import COMPILERS, NOT_RUN, PROFILES, WARNINGS, case_names, program, run

BY_COMPILER = pytest.mark.parametrize("compiler", COMPILERS, ids=lambda compiler: compiler.command[0])
BY_PROFILE = pytest.mark.parametrize("profile", PROFILES)
ABI = {"adapter.c", "net_adapter.c"}


@BY_PROFILE
@BY_COMPILER
@pytest.mark.parametrize("case", case_names("net"))
def test_case_holds_under_sanitizers(case: str, profile: str, compiler: Compiler) -> None:
    """Each case of the C program holds, without a report from ASan or UBSan."""
    done = run(program("net", profile, compiler=compiler), case)
    assert done.returncode == 0, done.stdout + done.stderr


def test_program_knows_every_case_and_no_other() -> None:
    """The list of cases is the program's own, and an unknown case is an error rather than a pass."""
    built = program("net", "virtio-1.x")
    listed = [line.partition("\t")[0] for line in run(built).stdout.splitlines()]
    assert listed == case_names("net")
    assert len(listed) > 40
    assert run(built, "nonesuch").returncode == NOT_RUN


@BY_PROFILE
@BY_COMPILER
def test_completions_while_the_callback_is_enabled_are_seen(profile: str, compiler: Compiler) -> None:
    """Frames that complete between the look for room and the second look start or wake the queue."""
    done = run(program("fence", profile, compiler=compiler))
    assert done.returncode == 0, done.stdout + done.stderr


@BY_COMPILER
def test_network_driver_is_freestanding(compiler: Compiler, tmp_path: Path) -> None:
    """All but the adapters compile freestanding, need memset and memcpy only, and define rp_ names."""
    flags = ["-std=c11", "-O2", "-ffreestanding", "-fno-stack-protector", *WARNINGS]
    objects = []
    for source in sorted(c_sources().glob("*.c")):
        if source.name not in ABI:
            objects.append(str(tmp_path / f"{source.stem}.o"))
            subprocess.run([*compiler.command, *flags, "-c", str(source), "-o", objects[-1]], check=True)
    whole = str(tmp_path / "whole.o")
    subprocess.run(["ld", "-r", *objects, "-o", whole], check=True)
    assert {name for kind, name in _symbols(whole) if kind == "U"} <= {"memset", "memcpy"}
    exported = {name for kind, name in _symbols(whole) if kind in "TDRBC"}
    assert {name for name in exported if not name.startswith("rp_")} == set()
    text = "".join(path.read_text() for path in c_sources().glob("*.[ch]"))
    assert set(re.findall(r"#include <(.*)>", text)) <= {"stdbool.h", "stddef.h", "stdint.h"}


def _symbols(path: str) -> list[tuple[str, str]]:
    listed = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return [(line.split()[-2], line.split()[-1]) for line in listed.splitlines()]
