"""The socket of a live run: stale ones go, living ones stay, and every refusal is one line."""

import socket
from pathlib import Path

import pytest

from ringproof.errors import BadInputError
from ringproof.live.listening import Listening


def test_a_stale_socket_is_replaced_and_its_own_removed(tmp_path: Path) -> None:
    """What a killed run has left does not stop the next one, which leaves nothing itself."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    assert path.exists()
    with Listening(path) as listening:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            accepted = listening.accept(1)
            assert accepted is not None
            accepted.close()
        assert listening.accept(0.01) is None
    assert not path.exists()


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    """A second run says who has the socket, and takes nothing away."""
    path = tmp_path / "s"
    with Listening(path), pytest.raises(BadInputError, match="another program listens there"):
        Listening(path)


def test_a_second_front_end_is_turned_away(tmp_path: Path) -> None:
    """Who connects while one is served is closed, and counted."""
    path = tmp_path / "s"
    with (
        Listening(path) as listening,
        socket.socket(socket.AF_UNIX) as one,
        socket.socket(socket.AF_UNIX) as two,
    ):
        one.connect(str(path))
        served = listening.accept(1)
        two.connect(str(path))
        assert listening.turn_away() == 1
        assert two.recv(1) == b""
        assert served is not None
        served.close()


def test_a_path_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    """A file that is no socket, a missing directory, a path too long: each is said with the path."""
    (tmp_path / "file").write_text("mine")
    for path, said in (
        (tmp_path / "file", "is there already, and is no socket"),
        (tmp_path / "no" / "s", "no such directory"),
        (tmp_path / ("x" * 120), "too long for a unix socket"),
    ):
        with pytest.raises(BadInputError, match=said):
            Listening(path)
    assert (tmp_path / "file").read_text() == "mine"
