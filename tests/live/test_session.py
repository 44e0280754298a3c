"""Sessions: when queues start and stop, and what a front-end may do wrong."""

import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from enum import IntEnum
from importlib.resources import files
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringproof.live import session as live
from ringproof.live import trouble
from ringproof.live.session import Because, Options, Session, SessionRefused, Trouble
from ringproof.live.tallies import Check, pair
from ringproof.live.trouble import silence, told

from . import vhost_peer as v
from .vhost_peer import FRAME, NEEDED, Peer, mem_table, no_leak, region, ring_addresses, state, u64, usual

LIVE = Path(str(files("ringproof.impl.live")))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(["size", "base", "addresses", "kick"]))
def test_a_queue_starts_with_the_last_that_it_needs(order: list[str]) -> None:
    """Whatever comes last of size, base, addresses and kicks starts it, and nothing before."""
    with Peer() as peer:
        peer.send(*usual("features", peer))
        peer.share()
        for name in order:
            assert not peer.session.view().queues[1].runs
            request, payload, fds = usual(name, peer)
            peer.send(request, payload, fds)
            peer.run()
        view = peer.session.view().queues[1]
        assert (view.runs, view.started, view.enabled, view.size) == (True, 1, True, v.SIZE)


@pytest.mark.parametrize("enabled", [False, True])
def test_queues_start_disabled_where_they_can_be_enabled(enabled: bool) -> None:
    """With PROTOCOL_FEATURES accepted a queue serves only once it is enabled, be it before it exists."""
    with Peer() as peer:
        peer.negotiate()
        peer.share()
        if enabled:
            peer.send(v.SET_VRING_ENABLE, state(1, 1))
        peer.set_up(1, enable=False)
        peer.send(v.SET_VRING_KICK, u64(1), [peer.kicks[1]])
        peer.run(rounds=5)
        assert peer.session.view().queues[1].enabled is enabled
        peer.publish(FRAME)
        peer.run(1000, rounds=5)
        assert peer.used_idx() == (1 if enabled else 0)
        assert peer.session.tallies()[Check.QUEUE_NOT_ENABLED].failed == (0 if enabled else 1)


def test_frames_flow_and_stop_and_go_on() -> None:
    """A queue that was stopped goes on where it was: the base it answers is the one it starts from."""
    with no_leak(), Peer() as peer:
        peer.start()
        for _ in range(40):
            peer.publish(FRAME)
            peer.run(1000, rounds=2)
        assert peer.used_idx() == 40
        assert peer.ask(v.GET_VRING_BASE, state(1, 0)) == state(1, 40)
        assert not peer.session.view().queues[1].runs
        peer.publish(FRAME)
        peer.run(1000)
        assert peer.used_idx() == 40
        peer.send(v.SET_VRING_BASE, state(1, 40))
        peer.send(v.SET_VRING_KICK, u64(1), [peer.kicks[1]])
        peer.run(1000, rounds=10)
        assert peer.used_idx() == 41
        assert peer.session.view().queues[1].started == 2
        assert not [code for code, tally in peer.session.tallies().items() if tally.failed]


def test_memory_changes_while_a_queue_runs() -> None:
    """A new table with a region more stops a queue and starts it again; nothing is lost."""
    with no_leak(), Peer() as peer:
        peer.start()
        for index in range(24):
            peer.publish(FRAME)
            if index % 8 == 3:
                more = region(v.GUEST + (1 << 20), 4096, v.USER + (1 << 20))
                peer.send(v.SET_MEM_TABLE, mem_table(region(), more), [peer.memory] * 2)
            peer.run(1000, rounds=3)
        assert peer.used_idx() == 24
        assert peer.session.view().queues[1].started == 4
        assert peer.session.trouble()[0] is Trouble.NONE
        assert not [code for code, tally in peer.session.tallies().items() if tally.failed]


def test_memory_of_a_running_queue_goes() -> None:
    """A queue whose parts vanish ends the connection, by name; nothing is touched any more."""
    with no_leak(), Peer() as peer:
        peer.start()
        peer.publish(FRAME)
        peer.send(v.SET_MEM_TABLE, mem_table(region(user=v.USER + (1 << 30))), [peer.memory])
        assert Because.TROUBLE in peer.run()
        assert peer.session.trouble() == (Trouble.ADDRESS, pair(1, 1), v.USER + v.RING)
        assert "descriptor table of queue 1" in told(*peer.session.trouble())
    with no_leak(), Peer() as peer:
        peer.start()
        peer.send(v.REM_MEM_REG, u64(0) + region())
        peer.run()
        assert peer.session.trouble()[0] is Trouble.NOT_SHARED


def test_memory_is_made_shorter() -> None:
    """A file that shrinks under a running queue is told, and kills nobody."""
    with no_leak(), Peer() as peer:
        peer.start()
        peer.publish(FRAME)
        os.ftruncate(peer.memory, 0)
        assert Because.TROUBLE in peer.run(1000, rounds=5)
        assert peer.session.trouble() == (Trouble.MEMORY_GONE, 0, 0)


@pytest.mark.parametrize(("part", "place"), [(1, 8), (2, 24), (3, 16)])
@pytest.mark.parametrize("address", [0, (1 << 64) - 1, v.USER + v.REGION - 8])
def test_a_part_lies_outside(part: int, place: int, address: int) -> None:
    """A part of a ring in no region, or not wholly in one, is told with queue, part and address."""
    with no_leak(), Peer() as peer:
        for name in NEEDED:
            request, payload, fds = usual(name, peer)
            if name == "addresses":
                payload = payload[:place] + u64(address) + payload[place + 8 :]
            peer.send(request, payload, fds)
        peer.run()
        assert peer.session.trouble() == (Trouble.ADDRESS, pair(1, part), address)
        assert peer.session.tallies()[Check.PARTS_PLACED].failed


@pytest.mark.parametrize("size", [0, 3, 24, 32769, 0xFFFFFFFF])
def test_sizes_no_queue_has(size: int) -> None:
    """A size that is none is judged, told, and not used."""
    with no_leak(), Peer() as peer:
        for name in NEEDED:
            request, payload, fds = usual(name, peer)
            peer.send(request, state(1, size) if name == "size" else payload, fds)
        peer.run()
        assert peer.session.trouble()[0] in (Trouble.QUEUE_SIZE, Trouble.ADDRESS)
        assert peer.session.tallies()[Check.QUEUE_SIZE].failed == 1


def test_a_size_beyond_the_largest_offered() -> None:
    """A queue may be no larger than the device was told to take."""
    with Peer(Options(v.OFFERED, queue_size=256)) as peer:
        peer.send(v.SET_VRING_NUM, state(1, 256))
        peer.send(v.SET_VRING_NUM, state(1, 512))
        peer.run()
        assert peer.session.trouble() == (Trouble.QUEUE_SIZE, 1, 512)


@pytest.mark.parametrize(
    ("request_number", "payload"),
    [
        (v.SET_VRING_NUM, state(1, 32)),
        (v.SET_VRING_BASE, state(1, 3)),
        (v.SET_VRING_ADDR, ring_addresses(0)[:0] + state(1, 0) + ring_addresses(0)[8:]),
        (v.SET_FEATURES, u64(v.VERSION_1 | v.PROTOCOL | v.EVENT_IDX)),
    ],
)
def test_what_a_running_queue_rests_on(request_number: int, payload: bytes) -> None:
    """Size, base, addresses and features stay as long as a queue runs."""
    with no_leak(), Peer() as peer:
        peer.start()
        peer.send(request_number, payload)
        peer.run()
        assert peer.session.trouble() == (Trouble.STILL_RUNS, request_number, 1)
        late = peer.session.tallies()[Check.FEATURES_LATE]
        assert late.failed == (request_number == v.SET_FEATURES)


def test_addresses_may_come_again() -> None:
    """The same addresses while a queue runs are how a front-end turns logging on."""
    with Peer() as peer:
        peer.start()
        peer.send(v.SET_VRING_ADDR, ring_addresses(1))
        peer.send(v.SET_FEATURES, u64(v.VERSION_1 | v.PROTOCOL | 1 << 26))
        peer.run()
        assert peer.session.trouble()[0] is Trouble.NONE
        assert peer.session.view().queues[1].runs


def test_no_memory_at_all() -> None:
    """Queues without memory are told with what QEMU needs."""
    with no_leak(), Peer() as peer:
        for name in NEEDED:
            if name != "memory":
                request, payload, fds = usual(name, peer)
                peer.send(request, payload, fds)
        peer.run()
        assert peer.session.trouble() == (Trouble.NOT_SHARED, 1, 0)
        assert "share=on" in told(*peer.session.trouble())


def test_nothing_is_ever_said() -> None:
    """A front-end that goes away at once, or never starts its queues, is told how far it came."""
    with no_leak(), Peer() as peer:
        peer.socket.close()
        assert Because.CLOSED in peer.run()
        assert peer.session.run(1000) == Because.CLOSED
        assert "sent nothing" in silence(peer.session.view())
    with no_leak(), Peer() as peer:
        steps: list[tuple[str, Callable[[], object]]] = [
            ("never accepted features", lambda: peer.send(v.SET_OWNER)),
            ("share=on", peer.negotiate),
            ("never set up a queue", peer.share),
            ("no descriptor for its kicks", lambda: peer.set_up(1)),
            ("neither kicked nor published", lambda: peer.send(v.SET_VRING_KICK, u64(1), [peer.kicks[1]])),
            ("share=off", lambda: os.eventfd_write(peer.kicks[1], 1)),
        ]
        for expected, act in steps:
            act()
            peer.run(500, rounds=8)
            assert expected in silence(peer.session.view())
        peer.publish(FRAME)
        peer.run(1000, rounds=5)
        assert silence(peer.session.view()) == ""


def test_reset() -> None:
    """A reset device has no queue that runs, no features and no status, and can be started again."""
    with no_leak(), Peer() as peer:
        peer.start()
        peer.send(v.SET_STATUS, u64(1))
        peer.send(v.RESET_DEVICE)
        peer.run()
        view = peer.session.view()
        assert (view.features_known, view.status, view.queues[1].runs, view.queues[1].enabled) == (False,) + (
            0,
        ) * 3
        peer.start()
        peer.send(v.RESET_OWNER)
        peer.run()
        assert not peer.session.view().queues[1].runs


def test_only_one_connection() -> None:
    """A session takes one stream socket, once; what it does not take stays the caller's."""
    with no_leak(), Session(Options(v.OFFERED)) as session:
        assert session.run(1000) == Because.CLOSED
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            one, other = socket.socketpair(socket.AF_UNIX, kind)
            with one, other:
                if kind == socket.SOCK_DGRAM:
                    with pytest.raises(SessionRefused):
                        session.connect(one.fileno())
                else:
                    session.connect(one.detach())
                    with pytest.raises(SessionRefused):
                        session.connect(other.fileno())
        with pytest.raises(SessionRefused):
            session.connect(9999)


@pytest.mark.parametrize(
    "options", [Options(0, pairs=0), Options(0, pairs=9), Options(0, mac=b"x"), Options(0, mtu=65536)]
)
def test_options_no_session_has(options: Options) -> None:
    """What cannot be is refused, not taken for something else."""
    with no_leak(), pytest.raises(SessionRefused):
        Session(options)


STREAM = [
    (v.GET_FEATURES, b""), (v.SET_OWNER, b""), (v.GET_PROTOCOL_FEATURES, b""),
    (v.SET_VRING_NUM, state(1, 64)), (v.SET_VRING_ENABLE, state(0, 1)), (v.GET_QUEUE_NUM, b""),
    (v.GET_CONFIG, struct.pack("<III", 0, 12, 0)),
    (v.GET_VRING_BASE, state(0, 0)), (4711, bytes(7)), (v.IOTLB_MSG, bytes(26)), (v.SET_STATUS, u64(1)),
]  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(STREAM), max_size=12), st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_a_stream_cut_anywhere(messages: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """However a stream of messages is cut, each is answered once and in order."""
    whole = b"".join(struct.pack("<III", number, 9, len(body)) + body for number, body in messages)
    with Peer() as peer:
        peer.send(v.SET_PROTOCOL_FEATURES, u64(8))
        at = turn = 0
        while at < len(whole):
            count = cuts[turn % len(cuts)]
            peer.send_raw(whole[at : at + count])
            at, turn = at + count, turn + 1
            peer.run(rounds=1)
        peer.run()
        answers = []
        while (answer := peer.answer()) is not None:
            answers.append(answer[0])
        assert answers == [number for number, _ in messages]
        assert peer.session.view().messages == len(messages) + 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 60), st.integers(0, 15), st.binary(max_size=80), st.integers(0, 3))
def test_any_message(number: int, flags: int, body: bytes, count: int) -> None:
    """Any message is served, refused or told; the session never waits, and leaves no descriptor open."""
    with no_leak(), Peer() as peer:
        peer.send(v.SET_PROTOCOL_FEATURES, u64(8))
        peer.send_raw(struct.pack("<III", number, flags, len(body)) + body, [peer.memory] * count)
        peer.run()
        what, a, b = peer.session.trouble()
        assert "\n" not in told(what, a, b)
        acknowledged = peer.answer()
        if what is Trouble.NONE and flags & 8:
            assert acknowledged is not None
        if flags & 7 != 1:
            assert what is Trouble.VERSION


def values(header: str, prefix: str) -> dict[str, int]:
    """The numbers of an enum or of macros in a header, by name without its prefix."""
    text = (LIVE / header).read_text()
    found = re.findall(rf"\b{prefix}(\w+)(?: =)? (?:RPL_F\()?(\d+)u?\b", text)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize(
    ("kind", "header", "prefix"),
    [
        (live.Because, "session.h", "RPL_BECAUSE_"),
        (live.Trouble, "session.h", "RPL_TROUBLE_"),
        (live.Order, "queue.h", "RPL_ORDER_"),
        (live.Suppress, "queue.h", "RPL_SUPPRESS_"),
        (live.Interrupts, "queue.h", "RPL_INTERRUPTS_"),
    ],
)
def test_numbers_are_those_of_the_headers(kind: type[IntEnum], header: str, prefix: str) -> None:
    """Each name has the number it has in C, and none is missing."""
    assert {member.name: int(member) for member in kind} == values(header, prefix)


def test_words_for_each_trouble() -> None:
    """Each trouble is told in one line that names the request; regions have a reason for each error."""
    for what in Trouble:
        line = told(what, v.SET_MEM_TABLE, pair(1, 2))
        assert line
        assert "\n" not in line
    errors = re.search(r"enum rpl_guest_error \{(.*?)\};", (LIVE / "guest.h").read_text(), re.DOTALL)
    assert errors is not None
    for error in range(1, errors[1].count("RPL_GUEST_")):
        assert f"error {error}" not in told(Trouble.MEMORY, pair(3, error), 4096)
    assert all(name in v.REQUEST_NAMES.values() for name in ("SET_MEM_TABLE", "GET_STATUS"))


OWN = (
    "wire", "outbox", "vring", "statements", "protocol", "session", "loop", "ring_messages",
    "memory_messages", "network_messages",
)  # fmt: skip


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warning(compiler: str, tmp_path: Path) -> None:
    """The session's sources are C11 that no compiler warns about."""
    if shutil.which(compiler) is None:
        pytest.skip(f"not tested: there is no {compiler}")
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror"]
    sources = [str(LIVE / f"{name}.c") for name in OWN]
    command = [compiler, "-std=c11", *warnings, "-O1", "-fsyntax-only", *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_orders_are_orders() -> None:
    """The order in which QEMU and DPDK send what a queue needs starts it, too."""
    for order in list(permutations(("size", "base", "addresses")))[:6]:
        with Peer() as peer:
            for name in ("features", "memory", *order, "kick"):
                request, payload, fds = usual(name, peer)
                peer.send(request, payload, fds)
            peer.run(rounds=4)
            assert peer.session.view().queues[1].runs
            assert trouble.silence(peer.session.view())
