"""What the command makes of its standard streams and of Ctrl-C, shown with real processes."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringproof.building import build_driver

_COMMAND = [sys.executable, "-m", "ringproof"]
_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver that passes."""
    return build_driver(_MINIMAL, tmp_path_factory.mktemp("driver") / "driver.so")


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_an_interrupted_validation(driver: Path, tmp_path: Path, seconds: float) -> None:
    """Ctrl-C, early or late: exit code 130, one line and no traceback, and at once."""
    process = subprocess.Popen(
        [*_COMMAND, "validate", driver, "--traces", tmp_path], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not children.read_text():
        time.sleep(0.01)  # before that the interpreter is still starting, and may die as it likes
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() in ("", "ringproof: interrupted")
    assert out == ""


@pytest.mark.parametrize("arguments", [("explain",), ("explain", "B1"), ("clauses", "--json"), ("--help",)])
def test_a_reader_that_is_gone_is_no_error(arguments: tuple[str, ...]) -> None:
    """Standard output is a pipe nobody reads: exit code 0 and not a word, whichever way a verb prints."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*_COMMAND, *arguments], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_verdict_outlives_its_reader(driver: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    """A validation whose reader is gone exits with its verdict's code and still writes its files."""
    reader, writer = os.pipe()
    os.close(reader)
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [*_COMMAND, "validate", "--quick", "--deadline", "0.1", driver, *options, "--junit", report],
        stdout=writer, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (3, b"")
    assert "<testsuite" in report.read_text()


def test_a_report_that_is_lost_is_an_error(tmp_path: Path) -> None:
    """Output that cannot be written (no room): one line, exit code 2."""
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            [*_COMMAND, "explain", "B1"], stdout=out, stderr=subprocess.PIPE, text=True, check=False,
            preexec_fn=_no_room,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "ringproof: standard output: File too large\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_harm_nobody(driver: Path, tmp_path: Path, closed: str) -> None:
    """What the tool opens never takes the number of a stream that is closed: the driver is not to blame."""
    script = f'exec "$@" {closed}'
    command = [*_COMMAND, "validate", "--quick", "--deadline", "0.1", str(driver), "--traces", str(tmp_path)]
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_a_complaint_that_cannot_be_written() -> None:
    """Bad input with standard error closed is still exit code 2."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *_COMMAND, "explain", "nobody-knows-this"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
