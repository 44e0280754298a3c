"""``ringproof new-adapter``: each skeleton builds, passes, and is short; nothing is overwritten."""

import json
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.cli import run
from ringproof.commands.new_adapter import LANGUAGES, new_skeleton

SOURCES = {"c": "adapter.c", "cpp": "adapter.cpp", "rust": "src/lib.rs", "zig": "adapter.zig"}
COMPILERS = [
    *(("c", f"CC={compiler}") for compiler in ("gcc", "clang")),
    *(("cpp", f"CXX={compiler}") for compiler in ("g++", "clang++")),
    ("rust", "RUSTC=rustc"),
    ("zig", f"ZIG={sys.executable} -m ziglang"),
]
OPERATIONS = (
    "create", "destroy", "add", "kick", "get_buf", "disable_cb", "enable_cb", "enable_cb_delayed",
    "enable_cb_prepare", "poll", "interrupt", "num_free", "detach_unused",
)  # fmt: skip


def _code(text: str) -> list[str]:
    """The lines that are neither blank nor comment alone."""
    plain = re.sub(r"//.*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    return [line for line in plain.splitlines() if line.strip()]


def _need(language: str, compiler: str) -> None:
    """Skip, and say so, where a compiler is missing."""
    tool = compiler.partition("=")[2]
    there = find_spec("ziglang") is not None if language == "zig" else shutil.which(tool) is not None
    if not there:
        pytest.skip(f"NOT TESTED: no {tool}, so the {language} skeleton was not built with it")


def _made(language: str, compiler: str, place: Path) -> Path:
    """A skeleton built by its own Makefile, without a word of warning; its library."""
    directory = new_skeleton(language, "mine", place)
    done = subprocess.run(
        # Optimised, Zig builds its whole runtime first, for a minute.
        ["make", "-C", str(directory), compiler, "ZIGFLAGS=-O Debug"],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return directory / "libmine.so"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("language", "compiler"), COMPILERS, ids=[" ".join(each) for each in COMPILERS])
def test_a_skeleton_builds_and_passes(
    language: str, compiler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it comes, each compiler builds each skeleton; validate has nothing against it, once per language."""
    _need(language, compiler)
    library = _made(language, compiler, tmp_path)
    if "clang" in compiler:
        return
    assert run(["validate", "--quick", "--json", str(library)]) == 0
    report = json.loads(capsys.readouterr().out)
    text = json.dumps(report)
    assert '"mine"' in text
    assert '"fail"' not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_skeleton_is_short_and_names_every_operation(language: str, tmp_path: Path) -> None:
    """Below a hundred lines of code; what the ABI has is there or named, and so is what to replace."""
    text = (new_skeleton(language, "mine", tmp_path) / SOURCES[language]).read_text()
    assert len(_code(text)) < 100
    assert all(re.search(rf"\b{name}\b", text) for name in OPERATIONS)
    assert text.count("TODO") >= 8
    assert "@NAME@" not in text
    assert '"mine"' in text


def test_the_operations_are_those_of_the_header() -> None:
    """The list that these tests go by is the table of ringproof_driver.h."""
    header = (c_sources() / "ringproof_driver.h").read_text()
    table = header.partition("struct rp_driver {")[2].partition("};")[0]
    assert tuple(re.findall(r"\(\*(\w+)\)", table)) == OPERATIONS


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_skeleton_is_whole(language: str, tmp_path: Path) -> None:
    """The header is beside it, letter for letter; nothing else is left where it was written."""
    directory = new_skeleton(language, "mine", tmp_path)
    copied = (directory / "ringproof_driver.h").read_text()
    assert copied == (c_sources() / "ringproof_driver.h").read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]
    assert (directory / "Makefile").exists()


@pytest.mark.timeout(120)
def test_the_mirror_in_rust_is_laid_out_as_the_header(tmp_path: Path) -> None:
    """Each member has the same place in Rust as in C, each constant the same value, and none is missing."""
    _need("rust", "RUSTC=rustc")
    directory = new_skeleton("rust", "mine", tmp_path)
    header = (directory / "ringproof_driver.h").read_text()
    plain = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    members = [
        (struct, member)
        for struct, body in re.findall(r"struct (rp_\w+) \{(.*?)\n\};", plain, re.DOTALL)
        for member in re.findall(r"\(\*(\w+)\)\(|(?<=[\s*])(\w+);", body)
        for member in member
        if member
    ]
    constants = re.findall(r"^#define (RP_[A-Z]\w+)\s+\S", plain, re.MULTILINE)
    constants += re.findall(r"^\s*(RP_LAYOUT_\w+) =", plain, re.MULTILINE)
    assert ("rp_env", "unmap") in members
    assert ("rp_driver", "detach_unused") in members
    assert "RP_TRAIT_C11_ORDER" in constants
    in_c = "".join(
        f'printf("{struct}.{member} %zu\\n", offsetof(struct {struct}, {member}));'
        for struct, member in members
    ) + "".join(f'printf("{name} %lld\\n", (long long){name});' for name in constants)
    in_rust = "".join(
        f'println!("{struct}.{member} {{}}", core::mem::offset_of!({struct}, {member}));'
        for struct, member in members
    ) + "".join(f'println!("{name} {{}}", {name} as i64);' for name in constants)
    (directory / "layout.c").write_text(
        f'#include <stdio.h>\n#include "ringproof_driver.h"\nint main(void) {{ {in_c} }}\n'
    )
    (directory / "src/layout.rs").write_text(
        "#![allow(non_camel_case_types)]\nmod ringproof_driver;\nuse ringproof_driver::*;\n"
        f"fn main() {{ {in_rust} }}\n"
    )
    builds = (["cc", "-o", "in_c", "layout.c"], ["rustc", "--edition=2021", "-o", "in_rust", "src/layout.rs"])
    for command in builds:
        subprocess.run(command, cwd=directory, check=True, timeout=100)
    said = [
        subprocess.run([directory / name], capture_output=True, check=True) for name in ("in_c", "in_rust")
    ]
    assert said[0].stdout == said[1].stdout
    assert said[0].stdout.count(b"\n") == len(members) + len(constants)


_IN_ZIG = {
    "uint64_t": "u64", "uint32_t": "u32", "uint16_t": "u16", "size_t": "usize", "int": "c_int",
    "void": "void", "void *": "?*anyopaque", "const void *": "?*const anyopaque",
    "const char *": "[*c]const u8", "uint64_t *": "[*c]u64", "uint32_t *": "[*c]u32",
    "void **": "[*c]?*anyopaque",
    "struct rp_ring_parts *": "[*c]struct_rp_ring_parts", "const struct rp_env *": "[*c]const struct_rp_env",
    "const struct rp_segment *": "[*c]const struct_rp_segment",
}  # fmt: skip


def _zig_type(declared: str) -> tuple[str, str]:
    """A C declaration's name and its type in Zig: ``void *data`` is a pointer that may be null."""
    function = re.fullmatch(r"(.+?)\(\*(\w+)\)\((.*)\)", declared)
    if function:
        of = ", ".join(_zig_type(each.strip())[1] for each in function[3].split(","))
        return function[2], f"?*const fn ({of}) callconv(.c) {_zig_type(function[1] + '_')[1]}"
    plain = re.fullmatch(r"(.*?[\s*])(\w+)", declared)
    assert plain is not None, declared
    return plain[2], _IN_ZIG[plain[1].strip()]


def test_the_mirror_in_zig_is_declared_as_the_header() -> None:
    """Each member has the type and the place in Zig that it has in C, each constant its value."""
    header = re.sub(r"/\*.*?\*/", "", (c_sources() / "ringproof_driver.h").read_text(), flags=re.DOTALL)
    zig = (Path(str(files("ringproof"))) / "adapters/zig/ringproof_driver.zig").read_text()
    structs = re.findall(r"struct (rp_\w+) \{(.*?)\n\};", header, re.DOTALL)
    assert [name for name, _ in structs] == ["rp_segment", "rp_ring_parts", "rp_env", "rp_driver"]
    for name, body in structs:
        wanted = [_zig_type(" ".join(each.split())) for each in body.split(";") if each.strip()]
        mirrored = zig.partition(f"struct_{name} = extern struct {{")[2].partition("\n};")[0]
        assert re.findall(r"(\w+): (.+) = (?:0|null),", mirrored) == wanted, name
    constants = dict(re.findall(r"^#define (RP_[A-Z]\w+)\s+(\S.*?)\s*$", header, re.MULTILINE))
    constants |= dict(re.findall(r"^\s*(RP_LAYOUT_\w+) = (\d)", header, re.MULTILINE))
    there = dict(re.findall(r"^pub const (RP_\w+): \w+ = (.*);", zig, re.MULTILINE))
    in_c = {name: eval(re.sub(r"UINT64_C|(?<=\d)u", "", value)) for name, value in constants.items()}
    assert {name: eval(value) for name, value in there.items()} == in_c


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command line that has to end with exit code 2 says in one line."""
    assert run(["new-adapter", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("ringproof: ")
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("kind", ["file", "directory", "empty directory", "broken link"])
def test_nothing_is_overwritten(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever has the name already stays as it is."""
    there = tmp_path / "mine"
    if kind == "file":
        there.write_text("kept")
    elif kind == "broken link":
        there.symlink_to(tmp_path / "nowhere")
    else:
        there.mkdir()
        if kind == "directory":
            (there / "adapter.c").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    assert "exists already" in _refused(capsys, "mine", "-o", str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
    if kind == "directory":
        assert (there / "adapter.c").read_text() == "kept"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", "3com", "a b", "ä", "a\n", 'x"', "x" * 65])
def test_a_bad_name_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no file's, no library's or no string's in every language is refused."""
    assert "is no name for an adapter" in _refused(capsys, name, "-o", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No directory there, a file in its place, or one that takes no files; and a language nobody knows."""
    assert "no such directory" in _refused(capsys, "mine", "-o", str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    assert "file" in _refused(capsys, "mine", "-o", str(tmp_path / "file"))
    assert "cannot be written" in _refused(capsys, "mine", "-o", "/proc/self")
    assert "fortran" in _refused(capsys, "mine", "--lang", "fortran", "-o", str(tmp_path))


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full half way through, neither the directory nor a part of it stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(Exception, match="No space left on device"):
        new_skeleton("c", "mine", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C is what is written if no language is named; the next command is told."""
    assert run(["new-adapter", "mine", "-o", str(tmp_path)]) == 0
    assert f"make -C {tmp_path}/mine && ringproof validate" in capsys.readouterr().out
    assert (tmp_path / "mine/adapter.c").exists()
