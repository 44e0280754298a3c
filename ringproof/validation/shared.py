"""The memory a worker shares with the tool: header, operations, results and arena of ``protocol.h``."""

import contextlib
import ctypes
import mmap
import os
import struct
from typing import Generic, NamedTuple, TypeVar

from ..impl.harness.operations import ARENA_ADDRESS, ARENA_BYTES, OP, RESULT
from ..traces.folding import printable

OP_CAPACITY = 1 << 16
"""Operations per command; longer runs are cut."""
FINDING_COUNT = 96
PLACE_CAPACITY = 1 << 16
"""Places in an instrumented driver's code that can be told."""
_PLACE_BYTES = 8
MAGIC = 0x5250_4D45
VERSION = 2
PAGE = 4096


class Config(ctypes.LittleEndianStructure):
    """``struct rp_config``."""

    _fields_ = [
        ("features", ctypes.c_uint64),
        ("queue_size", ctypes.c_uint32),
        ("queue_index", ctypes.c_uint16),
        ("layout", ctypes.c_uint16),
        ("has_callback", ctypes.c_uint32),
        ("stop_on_finding", ctypes.c_uint32),
        ("fail_allocation", ctypes.c_uint32),
        ("hostile", ctypes.c_uint32),
    ]


class Found(ctypes.LittleEndianStructure):
    """``struct rp_found``."""

    _fields_ = [
        ("checked", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("first_op", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


class Header(ctypes.LittleEndianStructure):
    """``struct rp_shared``."""

    _fields_ = [
        ("magic", ctypes.c_uint32),
        ("version", ctypes.c_uint32),
        ("op_offset", ctypes.c_uint64),
        ("result_offset", ctypes.c_uint64),
        ("arena_offset", ctypes.c_uint64),
        ("op_capacity", ctypes.c_uint32),
        ("op_count", ctypes.c_uint32),
        ("op_current", ctypes.c_uint32),
        ("command", ctypes.c_uint32),
        ("total_ops", ctypes.c_uint64),
        ("config", Config),
        ("driver_features", ctypes.c_uint64),
        ("driver_traits", ctypes.c_uint32),
        ("driver_has", ctypes.c_uint32),
        ("driver_name", ctypes.c_char * 64),
        ("desc_address", ctypes.c_uint64),
        ("avail_address", ctypes.c_uint64),
        ("used_address", ctypes.c_uint64),
        ("fault_address", ctypes.c_uint64),
        ("message", ctypes.c_char * 256),
        ("found", Found * FINDING_COUNT),
        ("coverage_offset", ctypes.c_uint64),
        ("coverage_capacity", ctypes.c_uint32),
        ("coverage_count", ctypes.c_uint32),
        ("instrumented", ctypes.c_uint32),
        ("own_fences", ctypes.c_uint32),
        ("struck", ctypes.c_uint32),
    ]


class Finding(NamedTuple):
    """A check that was made ``checked`` times since create and did not hold ``failed`` times.

    ``first_op`` is the operation of the first failure, counted from create (ROUNDS is one operation), and
    ``a`` and ``b`` are its numbers; :mod:`.verdicts` says what they mean.
    """

    code: int
    checked: int
    failed: int
    first_op: int
    a: int
    b: int


HeaderType = TypeVar("HeaderType", bound=ctypes.Structure)


class SharedFile(Generic[HeaderType]):
    """One file in memory, mapped here and in a worker; the header at its begin is of either kind.

    ``header`` is live: reading a field reads what the worker has written. Do not keep parts of it: they keep
    the memory mapped.
    """

    def __init__(self, header: type[HeaderType], size: int) -> None:
        """``size`` is in bytes."""
        self.file = os.memfd_create("ringproof-shared", os.MFD_CLOEXEC)
        os.truncate(self.file, size)
        self._memory = mmap.mmap(self.file, size)
        self.header: HeaderType = header.from_buffer(self._memory)

    def reset(self) -> None:
        """Prepare the header for a worker that is about to be started."""
        raise NotImplementedError

    def results(self) -> bytes:
        """Copy the packed results of the operations before op_current."""
        raise NotImplementedError

    def view(self, offset: int, length: int) -> memoryview:
        """Show a part of the file."""
        return memoryview(self._memory)[offset : offset + length]

    def findings(self) -> list[Finding]:
        """Return every check that was made since create, in the order of the codes; passed ones too."""
        return [
            Finding(code, found.checked, found.count, found.first_op, found.a, found.b)
            for code, found in enumerate(self.header.found)
            if found.checked
        ]

    def message(self) -> str:
        """Return why the last command was not done; one line."""
        return printable(" ".join(bytes(self.header.message).decode("utf-8", "replace").split()))

    def driver_name(self) -> str:
        """Return what the driver calls itself; one line that can be shown."""
        return printable(bytes(self.header.driver_name).decode("utf-8", "replace"))

    def close(self) -> None:
        """Give the memory back; views handed out keep it mapped until they are gone."""
        if self.file < 0:
            return
        os.close(self.file)
        self.file = -1
        del self.header
        with contextlib.suppress(BufferError):
            self._memory.close()


class SharedMemory(SharedFile[Header]):
    """The file of a worker that runs a queue."""

    def __init__(self) -> None:
        self._op_offset = round_up(ctypes.sizeof(Header), PAGE)
        self._result_offset = self._op_offset + OP_CAPACITY * OP.size
        self._place_offset = round_up(self._result_offset + OP_CAPACITY * RESULT.size, PAGE)
        self._arena_offset = self._place_offset + PLACE_CAPACITY * _PLACE_BYTES
        super().__init__(Header, self._arena_offset + ARENA_BYTES)

    def reset(self) -> None:
        """Prepare the header for a worker that is about to be started."""
        header = self.header
        header.magic, header.version = MAGIC, VERSION
        header.op_offset, header.result_offset = self._op_offset, self._result_offset
        header.arena_offset, header.op_capacity = self._arena_offset, OP_CAPACITY
        header.op_count = header.op_current = header.total_ops = header.fault_address = 0
        header.coverage_offset, header.coverage_capacity = self._place_offset, PLACE_CAPACITY
        header.coverage_count = header.instrumented = 0
        header.command = ord("L")

    def places(self, begin: int = 0) -> tuple[int, ...]:
        """Return the places reached since the worker was started but the first ``begin``, as offsets."""
        count = min(self.header.coverage_count, PLACE_CAPACITY)  # a stray write can reach it
        reached = self.view(self._place_offset + begin * _PLACE_BYTES, max(0, count - begin) * _PLACE_BYTES)
        return tuple(place for (place,) in struct.iter_unpack("<Q", reached))

    def put_operations(self, ops: bytes) -> None:
        """Place packed operations, OP_CAPACITY at most, for the next RUN."""
        self._memory[self._op_offset : self._op_offset + len(ops)] = ops
        self.header.op_count = len(ops) // OP.size
        self.header.op_current = 0

    def results(self) -> bytes:
        """Copy the packed results of the operations before op_current."""
        count = min(self.header.op_current, OP_CAPACITY)  # a stray write can reach it
        return self._memory[self._result_offset : self._result_offset + count * RESULT.size]

    def arena_view(self, address: int, length: int) -> memoryview:
        """Show ``length`` bytes from a guest-physical address on. Raises ValueError outside the arena."""
        offset = address - ARENA_ADDRESS
        if not 0 <= offset <= ARENA_BYTES - length:
            raise ValueError(f"{length} bytes at {address:#x} are not in the arena")
        return self.view(self._arena_offset + offset, length)


def round_up(number: int, multiple: int) -> int:
    """Return the next multiple at or above a number."""
    return (number + multiple - 1) // multiple * multiple
