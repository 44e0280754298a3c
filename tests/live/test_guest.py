"""Shared memory: what is taken as a region, what may be reached, and what if the file gets shorter."""

import ctypes
import faulthandler
import mmap
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .simulated import library

OK, EMPTY, WRAPS, OVERLAPS, FULL, SHORT, UNMAPPABLE, UNKNOWN = range(8)
PAGE = 4096


class Guest:
    """struct rpl_guest and a file of some pages, each filled with its number."""

    def __init__(self, pages: int = 8) -> None:
        self.lib: Any = library()
        self.state = ctypes.create_string_buffer(8192)
        self.file = os.memfd_create("guest")
        os.write(self.file, b"".join(bytes([page]) * PAGE for page in range(pages)))
        self.lib.rpl_guest_init(self.state)

    def add(
        self, address: int, size: int, offset: int = 0, user: int | None = None, fd: int | None = None
    ) -> int:
        """Take a region; its error."""
        user = 0x7F0000000000 + address if user is None else user
        error: int = self.lib.rpl_guest_add(
            self.state, address, user, size, offset, self.file if fd is None else fd
        )
        return error

    def remove(self, address: int, size: int) -> int:
        """Give a region back; its error."""
        error: int = self.lib.rpl_guest_remove(self.state, address, 0x7F0000000000 + address, size)
        return error

    def covers(self, address: int, size: int) -> bool:
        """Whether regions hold all of it."""
        covered: bool = self.lib.rpl_guest_covers(self.state, address, size)
        return covered

    def at(self, address: int, size: int) -> bool:
        """Whether one region holds all of it."""
        return self.lib.rpl_guest_at(self.state, address, size) is not None

    def read(self, address: int, size: int) -> bytes | None:
        """Copy out of it."""
        into = ctypes.create_string_buffer(max(size, 1))
        done = self.lib.rpl_guest_read(self.state, address, into, size)
        return into.raw[:size] if done else None

    def write(self, address: int, data: bytes) -> bool:
        """Copy into it."""
        done: bool = self.lib.rpl_guest_write(self.state, address, data, len(data))
        return done

    def close(self) -> None:
        """Give everything back."""
        self.lib.rpl_guest_clear(self.state)
        os.close(self.file)


@contextmanager
def guest(pages: int = 8) -> Iterator[Guest]:
    """Memory for the time of a test."""
    made = Guest(pages)
    try:
        yield made
    finally:
        made.close()


def test_regions_that_cannot_be_are_refused() -> None:
    """No bytes, ends beyond 2^64, other regions' addresses, ends beyond the file, what can't be mapped."""
    with guest() as it:
        assert it.add(0, 0) == EMPTY
        assert it.add(2**64 - PAGE, 2 * PAGE) == WRAPS
        assert it.add(0, PAGE, user=2**64 - 1) == WRAPS
        assert it.add(0, PAGE, offset=2**63) == WRAPS
        assert it.add(0, 2**64 - 1) in (WRAPS, SHORT)
        assert it.add(0, PAGE, offset=8 * PAGE) == SHORT
        assert it.add(0, 8 * PAGE + 1) == SHORT
        assert it.add(0, PAGE, fd=-1) == UNMAPPABLE
        pipe = os.pipe()
        assert it.add(0, PAGE, fd=pipe[0]) == UNMAPPABLE
        for end in pipe:
            os.close(end)
        assert it.add(PAGE, 2 * PAGE) == OK
        for address, size in ((0, PAGE + 1), (PAGE, 1), (2 * PAGE, PAGE), (0, 8 * PAGE)):
            assert it.add(address, size) == OVERLAPS
        assert it.add(0, PAGE, 4 * PAGE) == OK
        assert it.add(3 * PAGE, PAGE, 5 * PAGE) == OK


def test_there_is_an_end_to_regions() -> None:
    """The 65th is refused; one given back makes room."""
    with guest() as it:
        assert [it.add(number * PAGE, PAGE) for number in range(65)] == [OK] * 64 + [FULL]
        assert it.remove(7 * PAGE, PAGE) == OK
        assert it.remove(7 * PAGE, PAGE) == UNKNOWN
        assert not it.covers(7 * PAGE, 1)
        assert it.add(7 * PAGE, PAGE) == OK


def test_a_region_may_end_where_addresses_end() -> None:
    """The last page below 2^64 can be had, and nothing wraps behind it."""
    with guest() as it:
        assert it.add(2**64 - PAGE, PAGE, 3 * PAGE, user=0) == OK
        assert it.add(0, PAGE) == OK
        assert it.read(2**64 - PAGE, PAGE) == b"\3" * PAGE
        assert not it.covers(2**64 - 1, 2)
        assert it.read(2**64 - 1, 2) is None
        assert not it.write(2**64 - 1, b"xx")


def test_accesses_span_regions_that_follow_each_other() -> None:
    """What two neighbours hold is covered, read and written; but not in one piece, and not over a gap."""
    with guest() as it:
        assert it.add(0x10000, 2 * PAGE, PAGE) == OK
        assert it.add(0x12000, PAGE, 5 * PAGE) == OK
        assert it.covers(0x10000, 3 * PAGE)
        assert it.at(0x10000, 2 * PAGE)
        assert not it.at(0x11FFF, 2)
        assert it.read(0x11FFF, 2) == b"\2\5"
        assert it.write(0x11FFE, b"abcd")
        assert it.read(0x11FFD, 6) == b"\2abcd\5"
        assert not it.covers(0x10000, 3 * PAGE + 1)
        assert it.read(0x12FFF, 2) is None
        assert not it.covers(0xFFFF, 2)
        assert it.covers(0x12FFF, 0)
        assert not it.covers(0x13000, 0)


def test_offsets_need_not_be_whole_pages() -> None:
    """A region may begin anywhere in its file."""
    with guest() as it:
        assert it.add(0x1000, 100, PAGE - 50) == OK
        assert it.read(0x1000, 100) == b"\0" * 50 + b"\1" * 50


def test_the_front_ends_addresses_are_translated() -> None:
    """An address of its own becomes a guest address, with what is left of the region."""
    with guest() as it:
        left = ctypes.c_uint64()
        assert it.add(0x4000, 2 * PAGE, 0, user=0xABC000) == OK
        assert it.lib.rpl_guest_from_user(it.state, 0xABC123, left) == 0x4123
        assert left.value == 2 * PAGE - 0x123
        assert it.lib.rpl_guest_from_user(it.state, 0xABC000 + 2 * PAGE, left) == 2**64 - 1
        assert left.value == 0


def test_written_pages_are_logged() -> None:
    """Each page written is a bit of the log; pages beyond the log are left out."""
    with guest() as it:
        log = os.memfd_create("log")
        os.ftruncate(log, PAGE)
        assert it.add(PAGE * 7, PAGE * 4) == OK
        assert it.lib.rpl_guest_set_log(it.state, 0, 0, log) == EMPTY
        assert it.lib.rpl_guest_set_log(it.state, 2, PAGE, log) == SHORT
        assert it.lib.rpl_guest_set_log(it.state, 1, 0, log) == OK
        assert it.write(PAGE * 7 + 1, b"x")
        assert os.pread(log, 2, 0) == b"\x80\0"
        assert it.write(PAGE * 8, b"x" * PAGE)
        it.lib.rpl_guest_dirty(it.state, 2**64 - 1, 5)
        assert os.pread(log, 2, 0) == b"\x80\0"
        assert it.lib.rpl_guest_set_log(it.state, 2, 0, log) == OK
        assert it.write(PAGE * 9 - 1, b"xx")
        assert os.pread(log, 2, 0) == b"\x80\3"
        os.close(log)


def test_memory_that_is_gone_reads_as_zeros() -> None:
    """A file made shorter doesn't end the process: zeros are read, and it is known."""
    with guest() as it:
        assert it.add(0, 4 * PAGE) == OK
        gone = it.state.raw
        os.ftruncate(it.file, PAGE)
        assert it.read(0, 2 * PAGE) == bytes(2 * PAGE)
        changed = [at for at, (one, other) in enumerate(zip(gone, it.state.raw, strict=True)) if one != other]
        assert len(changed) == 1
        assert it.write(3 * PAGE, b"late")
        assert it.read(3 * PAGE, 4) == b"late"


@settings(max_examples=200, deadline=None)
@given(
    regions=st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(0, 7)), min_size=1, max_size=6
    ),
    asked=st.lists(st.tuples(st.integers(0, 28 * PAGE), st.integers(0, 3 * PAGE)), max_size=8),
)
def test_what_is_covered_is_what_the_regions_hold(
    regions: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    """Against a table of pages: covered is what has pages throughout, and reads give their bytes."""
    with guest() as it:
        pages: dict[int, int] = {}
        for first, count, offset in regions:
            error = it.add(first * PAGE, count * PAGE, offset * PAGE)
            if any(first + number in pages for number in range(count)):
                assert error == OVERLAPS
            elif offset + count > 8:
                assert error == SHORT
            else:
                assert error == OK
                pages |= {first + number: offset + number for number in range(count)}
        for address, size in asked:
            wanted = range(address // PAGE, (address + max(size, 1) - 1) // PAGE + 1)
            there = all(page in pages for page in wanted)
            assert it.covers(address, size) == there
            expected = b"".join(bytes([pages[page]]) * PAGE for page in wanted) if there else None
            if size and expected is not None:
                expected = expected[address % PAGE :][:size]
                assert it.read(address, size) == expected
            elif size:
                assert it.read(address, size) is None


def test_a_fault_elsewhere_is_not_ours() -> None:
    """A vanished page of somebody else's mapping still ends a process as it always did."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()  # it would tell of the end that is wanted here
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with guest() as it:
            it.add(0, PAGE)
            other = os.memfd_create("other")
            os.ftruncate(other, PAGE)
            theirs = mmap.mmap(other, PAGE)
            os.ftruncate(other, 0)
            os._exit(theirs[0])
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
