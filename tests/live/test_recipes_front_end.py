"""Front-ends that run: what they print, and that nothing of them is left."""

import os
import time
from pathlib import Path

import pytest

from ringproof.live.recipes.front_end import FrontEnd, printable
from ringproof.live.recipes.missing import Missing


def started(script: str, workdir: Path, **how: object) -> FrontEnd:
    """A shell as the front-end."""
    return FrontEnd(["/bin/sh", "-c", script], workdir, version="sh", **how)  # type: ignore[arg-type]


def until(condition: object, seconds: float = 5.0) -> None:
    """Wait until ``condition`` holds, a function without arguments."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_polite_end(tmp_path: Path) -> None:
    """A front-end that takes a farewell on its standard input, open till then, ends by itself."""
    with started("read line; echo bye $line; exit 7", tmp_path, farewell=b"now\n") as front_end:
        time.sleep(0.1)
        assert front_end.poll() is None
        front_end.stop()
        assert front_end.poll() == 7
        assert front_end.log() == "bye now"
        front_end.stop()  # a second time does nothing


def test_a_deaf_one_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ignores its farewell is killed, and so are the processes it started."""
    monkeypatch.setattr("ringproof.live.recipes.front_end._POLITE", 0.2)
    script = "trap '' TERM; sleep 100 & echo $!; wait; sleep 100"
    with started(script, tmp_path) as front_end:
        until(lambda: front_end.log().strip().isdigit())
        child = int(front_end.log())
        assert alive(child)
    assert front_end.poll() == -9
    until(lambda: not alive(child))


def test_children_of_one_that_has_ended(tmp_path: Path) -> None:
    """Children left behind by a front-end that ended by itself are killed when that is noticed."""
    with started("sleep 100 & echo $!; exit 0", tmp_path) as front_end:
        until(lambda: front_end.poll() is not None)
        assert front_end.poll() == 0
        child = int(front_end.log())
    until(lambda: not alive(child))


def test_an_exception_ends_it(tmp_path: Path) -> None:
    """Leaving by an exception stops the front-end, too."""
    with pytest.raises(KeyboardInterrupt), started("exec sleep 100", tmp_path) as front_end:
        raise KeyboardInterrupt
    assert not alive(front_end.pid)


def test_it_does_not_outlive_the_tool(tmp_path: Path) -> None:
    """If the tool is killed, the front-end goes, too (setpriv arranges this where it is installed)."""
    if not any(Path(where, "setpriv").exists() for where in os.environ["PATH"].split(":")):
        pytest.skip("no setpriv here: a tool that is killed leaves its front-end behind")
    ready, told = os.pipe()
    tool = os.fork()
    if tool == 0:
        try:
            front_end = started("exec sleep 100", tmp_path)
            time.sleep(0.3)  # setpriv makes its arrangement
            os.write(told, b"%d" % front_end.pid)
            time.sleep(100)
        finally:
            os._exit(1)
    os.close(told)
    pid = int(os.read(ready, 20))
    os.close(ready)
    assert alive(pid)
    os.kill(tool, 9)
    os.waitpid(tool, 0)
    until(lambda: not alive(pid))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """A command that cannot be started is Missing."""
    with pytest.raises(Missing, match="cannot be started"):
        FrontEnd(["/nowhere/program"], tmp_path, version="")


def test_the_log_is_fit_for_terminals(tmp_path: Path) -> None:
    """Escape sequences and control characters never come out; newlines do, and only the end is kept."""
    assert (
        printable("\x1b[2J\x1b[01;01HBdsDxe\x07\x00\r\nnext\x9b31m\x1b]0;title\x07!") == "BdsDxe  \nnext 31m!"
    )
    console = tmp_path / "console.txt"
    console.write_bytes(b"\xff\x1b[31mBUG: unable to handle page fault\r\n" + b"x" * 50)
    with started("printf 'one\\n\\n\\033[1mtwo\\n'", tmp_path, console=console) as front_end:
        until(lambda: front_end.poll() is not None)
        assert front_end.log().splitlines()[:2] == ["one", "two"]
        assert front_end.log(10) == "x" * 10
        assert front_end.complaints() == ["\ufffdBUG: unable to handle page fault"]
        assert front_end.said() == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[ 3.1] WARNING: CPU: 0 PID: 55 at net/core/dev.c:100", "itself"),
        ("virtio_net virtio0: output.0:id 300 is not a head!", "device"),
        ("virtio_net virtio0: output.0:id 65535 out of range", "device"),
        ("net eth0: Unexpected TXQ (0) queue failure: -5", "device"),
        ("Kernel panic - not syncing: Fatal exception", "itself"),
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks", "itself"),
        ("ringproof: ping sent 5 answered 5", ""),
        ("installing the driver, address out of range of nothing", ""),
        ("EAL: Error during enabling promiscuous mode for port 0: Operation not supported - ignore", ""),
    ],
)
def test_complaints(tmp_path: Path, line: str, told: str) -> None:
    """Lines in which a kernel says that something is wrong are told from others, and whom it blames."""
    with started(f"echo '{line}'", tmp_path) as front_end:
        until(lambda: front_end.poll() is not None)
        assert front_end.complaints() == ([line] if told else [])
        assert front_end.accusations() == ([line] if told == "device" else [])


def test_facts(tmp_path: Path) -> None:
    """What was said goes through the recipe's own reading."""
    with started("echo a; echo b", tmp_path, facts=lambda log: log.split()) as front_end:
        until(lambda: front_end.poll() is not None)
        assert front_end.said() == ["a", "b"]
