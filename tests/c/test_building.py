"""Builds: the right compiler, whole or not at all, once each, and one line when they fail."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from ringproof import building
from ringproof.building import (
    BuildFailed,
    CompilerMissing,
    build_driver,
    build_library,
    build_program,
    c_sources,
    find_compiler,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ringproof"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write a C file with one function, and a header it needs."""
    directory = tmp_path / "answer"
    directory.mkdir()
    (directory / "answer.h").write_text("#define ANSWER 42\n")
    (directory / "answer.c").write_text(
        '#include "answer.h"\nint answer(void);\nint answer(void) { return ANSWER; }\n'
    )
    return directory / "answer.c"


def call(library: Path) -> int:
    """Return what ``answer`` in this library returns."""
    return int(ctypes.CDLL(str(library)).answer())


def test_library_is_built_where_asked(source: Path, tmp_path: Path) -> None:
    """The library appears at the output path, directories included, and works."""
    output = tmp_path / "deep" / "er" / "libanswer.so"
    assert build_library([source], output) == output
    assert call(output) == 42
    assert [path.name for path in output.parent.iterdir()] == ["libanswer.so"]


def test_cache_knows_headers_flags_and_places(source: Path, tmp_path: Path, own_cache: Path) -> None:
    """A build is found again, also from a copy elsewhere; another header or flag makes another build."""
    first = build_library([source])
    inode = first.stat().st_ino
    assert first.parent == own_cache
    assert build_library([source]).stat().st_ino == inode
    copy = Path(shutil.copytree(source.parent, tmp_path / "elsewhere")) / "answer.c"
    assert build_library([copy]) == first
    assert build_library([source], defines={"OTHER": ""}) != first
    assert build_library([source], sanitize=("undefined",)) != first
    (source.parent / "answer.h").write_text("#define ANSWER 43\n")
    second = build_library([source])
    assert second != first
    assert (call(first), call(second)) == (42, 43)


def test_every_byte_of_a_source_counts(tmp_path: Path) -> None:
    """Sources that are not UTF-8 and differ in a byte give two builds; a name may begin with a dash."""
    source = tmp_path / "-odd.c"
    source.write_bytes(b'const char *text(void);\nconst char *text(void) { return "\xe9"; }\n')
    first = build_library([source])
    source.write_bytes(source.read_bytes().replace(b"\xe9", b"\xe8"))
    assert build_library([source]) != first


def test_program_runs_with_its_defines(tmp_path: Path) -> None:
    """A program is built with the values of its macros, and can be run."""
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return STATUS; }\n")
    assert subprocess.run([build_program([source], defines={"STATUS": "7"})], check=False).returncode == 7


def test_unwritable_cache_is_done_without(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no cache can be kept, builds still work, in a directory that dies with the process."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert call(build_library([source])) == 42
    assert not building.cache_directory().is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int x = ;\n", r"bad\.c:1: expected expression"),
        ('#include "nonesuch.h"\n', r"bad\.c:1: .*nonesuch\.h"),
        ("int main(void) { extern int gone(void); return gone(); }\n", r"undefined reference to .?gone"),
    ],
)
def test_failed_build_says_where_in_one_line(
    text: str, message: str, tmp_path: Path, own_cache: Path
) -> None:
    """A refused source gives its file, line and reason, keeps the compiler's words, and leaves nothing."""
    source = tmp_path / "bad.c"
    source.write_text(text)
    with pytest.raises(BuildFailed, match=message) as caught:
        build_program([source], tmp_path / "bad")
    assert "\n" not in str(caught.value)
    assert caught.value.output
    assert not (tmp_path / "bad").exists()
    assert list(own_cache.glob("*")) == []


def test_nothing_to_build(tmp_path: Path) -> None:
    """A missing directory, a directory without C and a missing file are named."""
    with pytest.raises(BuildFailed, match="none: no such directory"):
        build_driver(tmp_path / "none")
    with pytest.raises(BuildFailed, match="no C source"):
        build_driver(tmp_path)
    with pytest.raises(BuildFailed, match=r"gone\.c: no such file"):
        build_library([tmp_path / "gone.c"])
    with pytest.raises(BuildFailed, match="no source was given"):
        build_library([])


def test_unwritable_output(source: Path, tmp_path: Path) -> None:
    """An output that cannot be written is one line, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildFailed, match="cannot be written"):
        build_library([source], tmp_path / "file" / "libanswer.so")


def test_compiler_is_named_or_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$CC counts, with its arguments; without it the PATH is searched; a missing one is one line."""
    monkeypatch.delenv("CC", raising=False)
    assert find_compiler().command[0] in ("cc", "gcc", "clang")
    monkeypatch.setenv("CC", "cc -pipe")
    assert find_compiler().command == ("cc", "-pipe")
    monkeypatch.setenv("CC", "nonesuch-cc")
    with pytest.raises(CompilerMissing, match="'nonesuch-cc' is not on the PATH"):
        find_compiler()
    monkeypatch.setenv("CC", 'cc "')
    with pytest.raises(CompilerMissing, match="cannot read the command"):
        find_compiler()
    monkeypatch.setenv("CC", "false")
    with pytest.raises(CompilerMissing, match="does not answer --version"):
        find_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerMissing, match="no C compiler: none of cc, gcc, clang"):
        find_compiler()


def test_driver_exports_its_entry(tmp_path: Path) -> None:
    """The shipped driver, and a user's that includes our header, export rp_driver_entry."""
    assert ctypes.CDLL(str(build_driver(c_sources()))).rp_driver_entry is not None
    (tmp_path / "mine.c").write_text(
        '#include "ringproof_driver.h"\n'
        "const struct rp_driver *rp_driver_entry(void) { static struct rp_driver d; return &d; }\n"
    )
    assert ctypes.CDLL(str(build_driver(tmp_path))).rp_driver_entry is not None
