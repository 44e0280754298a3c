"""What ``ringproof validate`` refuses before it runs anything, and flags for what it builds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.cli import run

_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver that passes, built as usual."""
    return build_driver(_MINIMAL, tmp_path_factory.mktemp("driver") / "driver.so")


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a validation that must end with exit code 2, one line of complaint and nothing else."""
    assert run(["validate", *(str(argument) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def _compiled(target: Path, *flags: str, compiler: str = "gcc") -> Path:
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-g", *flags, f"-I{c_sources()}", *_MINIMAL.glob("*.c"), "-o", target],
        check=True,
    )
    return target


def test_a_pipe_is_no_library(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A named pipe and a device are refused without being opened, which could wait for ever."""
    pipe = tmp_path / "pipe.so"
    os.mkfifo(pipe)
    assert f"{pipe}: not a regular file" in _refused(capsys, pipe)
    assert "/dev/null: not a regular file" in _refused(capsys, "/dev/null")


@pytest.mark.parametrize("option", ["--accesses", "--coverage"])
def test_a_build_that_tells_nothing(capsys: pytest.CaptureFixture[str], driver: Path, option: str) -> None:
    """A plain build given as an instrumented one is refused, with how to build it."""
    line = _refused(capsys, driver, option, driver)
    assert f"{driver}: calls nothing that tells {option.removeprefix('--')}: compile with -fsanitize" in line


def test_a_build_with_the_sanitizers_runtime(
    capsys: pytest.CaptureFixture[str], driver: Path, tmp_path: Path
) -> None:
    """To what gcc links with -fsanitize=thread it adds libtsan: said before anything is loaded."""
    linked = _compiled(tmp_path / "linked.so", "-fsanitize=thread")
    line = _refused(capsys, driver, "--accesses", linked)
    assert f"{linked}: linked to libtsan.so" in line
    assert "cc -shared x.o" in line


def test_a_build_that_does_not_load(capsys: pytest.CaptureFixture[str], driver: Path, tmp_path: Path) -> None:
    """An instrumented build with a symbol nobody defines is one line, not a campaign of lost processes."""
    source = tmp_path / "missing"
    shutil.copytree(_MINIMAL, source)
    (source / "more.c").write_text("int nobody(void);\nint (*rp_used)(void) = nobody;\n")
    broken = build_driver(source, compile_flags=("-fsanitize=thread",))
    assert "undefined symbol: nobody" in _refused(capsys, driver, "--accesses", broken)


@pytest.mark.skipif(shutil.which("clang") is None, reason="no clang")
def test_builds_of_clang_as_documented(
    capsys: pytest.CaptureFixture[str], driver: Path, tmp_path: Path
) -> None:
    """As clang leaves the runtime out of shared libraries, both builds are taken as they are."""
    told = _compiled(tmp_path / "told.so", "-fsanitize=thread", compiler="clang")
    places = _compiled(tmp_path / "places.so", "-fsanitize-coverage=edge,trace-pc", compiler="clang")
    options = ["--quick", "--deadline", "0.1", "--traces", str(tmp_path)]
    assert run(["validate", str(driver), "--accesses", str(told), "--coverage", str(places), *options]) == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("option", ["--junit", "--html"])
def test_a_report_that_could_not_be_written(
    capsys: pytest.CaptureFixture[str], driver: Path, option: str
) -> None:
    """A folder that takes no files, whoever asks (of /proc not even root), is found out first."""
    assert "/proc/report: cannot be written: " in _refused(capsys, driver, option, "/proc/report")


def test_flags_for_what_is_built(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--cflags reaches every build; its paths are those of the directory the command is run in."""
    source = tmp_path / "driver"
    shutil.copytree(_MINIMAL, source)
    (tmp_path / "two words").mkdir()
    (tmp_path / "two words" / "needed.h").write_text("enum { NEEDED = 1 };\n")
    main = source / "driver.c"
    main.write_text(
        '#include "needed.h"\n#if CHOSEN != 7\n#error CHOSEN is not 7\n#endif\n' + main.read_text()
    )
    monkeypatch.chdir(tmp_path)
    assert "needed.h" in _refused(capsys, "--source", source)
    for flags in ("-DCHOSEN=7 '-Itwo words'", "-D CHOSEN=7 -I 'two words'"):
        command = ["validate", "--source", str(source), "--cflags", flags, "--json", "--quick"]
        assert run([*command, "--deadline", "0.1"]) == 3
        left_out = json.loads(capsys.readouterr().out)["left_out"]
        assert not [line for line in left_out if "the build that tells" in line]


@pytest.mark.parametrize(
    ("flags", "why"),
    [("-DX='", "No closing quotation"), ("-DX -I", "nothing follows -I"), ("-fno-such-flag", "no-such-flag")],
)
def test_flags_that_make_no_sense(capsys: pytest.CaptureFixture[str], flags: str, why: str) -> None:
    """An open quotation, a path that is missing, a flag no compiler knows: one line."""
    assert why in _refused(capsys, "--source", _MINIMAL, "--cflags", flags)


def test_flags_without_anything_to_build(capsys: pytest.CaptureFixture[str], driver: Path) -> None:
    """--cflags without --source is refused, not ignored."""
    assert "--source" in _refused(capsys, driver, "--cflags", "-DX")


def test_a_pipe_does_not_hang_the_command(tmp_path: Path) -> None:
    """The same as a real process, which must come back."""
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "ringproof", "validate", str(tmp_path / "pipe")]
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 2
