"""The pinned clang is found, another is refused, and what it can't compile is one line."""

from pathlib import Path

import pytest

from ringproof.proofs.symbolic.clang import CANDIDATES, PINNED, compile_ir, find_clang
from ringproof.proofs.symbolic.errors import ClangMissing, ClangVersion, CompilationFailed, Missing
from ringproof.proofs.symbolic.libllvm import load
from ringproof.proofs.symbolic.llvm import read_ir


def fake(path: Path, says: str, code: int = 0) -> str:
    """A program that says so when it is asked its version."""
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_the_pinned_clang_is_found_behind_others(tmp_path: Path) -> None:
    """A clang of another version, or a program that is none, doesn't hide the right one."""
    others = (
        fake(tmp_path / "a", "clang version 19.1.7"),
        fake(tmp_path / "b", "gcc 12", 1),
        "no-such-clang",
    )
    found = find_clang((*others, *CANDIDATES))
    assert found.version.startswith(f"{PINNED}.")
    assert found.path.is_file()


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    """Only a newer or older clang: the message says which one is where."""
    newer = fake(tmp_path / "clang", "Debian clang version 140.0.1 (x)")
    with pytest.raises(ClangVersion) as raised:
        find_clang((newer,))
    assert str(raised.value) == f"clang 14.0 is needed to read compiled C, but {newer} is 140.0.1"
    assert isinstance(raised.value, Missing)


def test_no_clang_is_named(tmp_path: Path) -> None:
    """No clang at all, and no library of LLVM 14: each says what to install."""
    with pytest.raises(ClangMissing, match="clang-14"):
        find_clang((str(tmp_path / "clang"), fake(tmp_path / "other", "tinycc")))
    text = tmp_path / "libLLVM-14.so.1"
    text.write_text("no library")
    with pytest.raises(ClangMissing, match="libllvm14"):
        load([text, tmp_path / "absent.so"])


def test_a_source_that_fails_is_one_line(tmp_path: Path) -> None:
    """The compiler's first error, with file and line; a source that isn't there is named, too."""
    source = tmp_path / "wrong.c"
    source.write_text("int f(void)\n{\n    return nothing;\n}\nint g(void) { return more; }\n")
    with pytest.raises(CompilationFailed) as raised:
        compile_ir(source)
    message = str(raised.value)
    assert "wrong.c:3:12: error:" in message
    assert "more" not in message
    assert "\n" not in message
    with pytest.raises(CompilationFailed, match=r"absent\.c"):
        compile_ir(tmp_path / "absent.c")


def test_macros_and_directories_reach_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Include directories, macros and more flags count; the surroundings' own include paths do not."""
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "there.h").write_text("#define THERE 4\n")
    source = tmp_path / "a.c"
    source.write_text('#include "there.h"\nint f(void) { return THERE + HERE; }\n')
    module = read_ir(compile_ir(source, [tmp_path / "include"], ["HERE=3"], ["-Wall"]))
    (block,) = module.functions["f"].blocks.values()
    assert "value=7" in str(block.instructions[-1].operands)
    monkeypatch.setenv("C_INCLUDE_PATH", str(tmp_path / "include"))
    with pytest.raises(CompilationFailed, match=r"there\.h"):
        compile_ir(source, defines=["HERE=3"])


def test_compiling_is_deterministic(tmp_path: Path) -> None:
    """The same source gives the same text."""
    source = tmp_path / "a.c"
    source.write_text("int f(int *p) { int s = 0; for (int i = 0; i < 9; i++) s += p[i]; return s; }\n")
    assert compile_ir(source) == compile_ir(source)
