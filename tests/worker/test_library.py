"""What is said of a file that is no driver, before anything in it is run."""

import errno
import os
import struct
from pathlib import Path
from typing import NoReturn

import pytest

from ringproof.building import build_library, build_program, c_sources
from ringproof.validation.library import LibraryError, inspect_library

ENTRY = "const void *rp_driver_entry(void) { return 0; }\n"


def _built(tmp_path: Path, text: str, *, program: bool = False) -> Path:
    source = tmp_path / "source.c"
    source.write_text(text)
    build = build_program if program else build_library
    return build([source], tmp_path / "built.so", include=[c_sources()])


def _line(path: Path) -> str:
    with pytest.raises(LibraryError) as caught:
        inspect_library(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_a_driver_is_accepted(tiny: Path) -> None:
    """A shared library of this machine with the entry: its path and what it needs."""
    info = inspect_library(tiny)
    assert info.path == tiny.absolute()
    assert info.sanitizer is None
    assert any(name.startswith("libc.so") for name in info.needed)


def test_a_missing_file(tmp_path: Path) -> None:
    """No such file."""
    assert _line(tmp_path / "absent.so") == "no such file"


def test_a_directory(tmp_path: Path) -> None:
    """A directory."""
    assert _line(tmp_path) == "a directory, not a shared library"


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No permission; root has it always, so the refusal is made up."""
    path = tmp_path / "secret.so"
    path.write_bytes(b"\x7fELF")

    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert _line(path) == "cannot be read: Permission denied"


@pytest.mark.parametrize("content", [b"", b"\x7fE", b"#!/bin/sh\n", b"PK\x03\x04"])
def test_a_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    """Empty files, scripts, archives."""
    path = tmp_path / "other.so"
    path.write_bytes(content)
    assert _line(path) == "not an ELF file"


@pytest.mark.parametrize("kept", [4, 16, 40, 64, 100, 600, 2000])
def test_a_truncated_library(kept: int, tiny: Path, tmp_path: Path) -> None:
    """Cut off anywhere in its headers or tables, it is damaged, not a traceback."""
    path = tmp_path / "cut.so"
    path.write_bytes(tiny.read_bytes()[:kept])
    assert _line(path)


def test_damage_anywhere_in_the_headers_is_no_traceback(tiny: Path, tmp_path: Path) -> None:
    """Any one byte of the first kilobyte overwritten: accepted or one line, nothing else."""
    whole = bytearray(tiny.read_bytes())
    path = tmp_path / "damaged.so"
    for at in range(4, 1024, 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        line = ""
        try:
            inspect_library(path)
        except LibraryError as error:
            line = str(error)
        assert "\n" not in line


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [(18, struct.pack("<H", 0xF3), "RISC-V"), (4, b"\x01", "32 bits"), (5, b"\x02", "big endian")],
)
def test_another_architecture(at: int, value: bytes, said: str, tiny: Path, tmp_path: Path) -> None:
    """Another machine, class or byte order is named, and so is the one needed."""
    content = bytearray(tiny.read_bytes())
    content[at : at + len(value)] = value
    path = tmp_path / "foreign.so"
    path.write_bytes(content)
    line = _line(path)
    if "damaged" not in line:  # with another class or byte order nothing else can be read
        assert said in line
        assert "this machine needs" in line


def test_an_executable(tmp_path: Path) -> None:
    """A program, position-independent or not."""
    path = _built(tmp_path, f"{ENTRY}int main(void) {{ return 0; }}\n", program=True)
    assert _line(path) == "an executable, not a shared library"


def test_an_object_file(tmp_path: Path) -> None:
    """An object file says how to go on."""
    path = tmp_path / "object.o"
    source = tmp_path / "source.c"
    source.write_text(ENTRY)
    build_library([source], path, extra_flags=["-r", "-nostdlib", "-no-pie"])
    assert "cc -shared" in _line(path) or "not a shared library" in _line(path)


@pytest.mark.parametrize(
    "text",
    [
        "int other(void) { return 0; }\n",
        "static const void *rp_driver_entry(void) { return 0; }\nconst void *(*p)(void) = rp_driver_entry;\n",
        "const void *rp_driver_entry(void);\nconst void *use(void) { return rp_driver_entry(); }\n",
        "int rp_driver_entry = 1;\n",
    ],
)
def test_a_library_without_the_entry(text: str, tmp_path: Path) -> None:
    """Absent, hidden, only needed or not a function: in no case a driver."""
    line = _line(_built(tmp_path, text))
    assert line == "does not export rp_driver_entry, so it is no driver behind ringproof_driver.h"
