"""Operations and their results: what is asked of a driver and a device, and what came of it.

One operation is 16 bytes and one result 40, so that a whole run crosses the border to the worker process as
two arrays. The layout is that of ``protocol.h``; a test compares the two.

Operations that concern the device:

- ``READ`` (a): the device reads up to ``a`` published chains, all of them if ``a`` is 0. Each joins the
  end of the list of chains in flight. ``status`` is how many it read; ``crc`` is the CRC-32 over all of
  them, each segment as ``<QII`` (address, length, 1 if device-writable else 0), tables flattened.
- ``COMPLETE`` (a, b, c): completes ``min(c, in flight)`` chains and publishes them with one store of
  used_idx. The j-th is number ``(a + j * b) mod in flight`` of the list at that moment; the last of the
  list takes its place (so the list does not keep its order). With IN_ORDER negotiated the oldest are
  completed, in order and by one used entry, whatever ``a`` and ``b`` are (section 2.7.9). The length reported
  is the sum of a chain's device-writable segments; with TOTAL_LENGTH, on a queue that a legacy device runs
  (legacy layout, no VERSION_1), of all its segments. ``status`` is how many; ``length`` is 1 if the
  suppression words ask for an interrupt, else 0; with nothing completed there is no store, and it is 0.
- ``SET_FLAGS``, ``SET_AVAIL_EVENT``: stores the word.
- ``MISCHIEF`` (a, b, c): the device breaks the rules in the manner ``a``, one of :class:`Mischief`; only for
  queues created as hostile. No reference follows it.

``ADD`` offers ``a`` device-readable segments, then ``in`` device-writable ones; :func:`segment` says
which. Its token is the number of ``ADD`` operations since create, this one included; 0 stands for the
null token. With FAIL_ALLOC the driver's ``c``-th allocation or mapping fails, all if ``c`` is 0. ADD is
not done, and ROUNDS stops, where a queue of a size that is no power of two would get past index 65535.
``ROUNDS`` runs its five steps ``a`` times and stops before the end if ADD does not return 0, READ does
not read one chain or GET does not return 1: ``status`` is how many rounds were whole, ``notifies`` and
``callbacks`` are sums, ``token`` and ``length`` those of the last GET, ``crc`` the CRC-32 over the
READs' crc values, each as ``<I``. The tokens of its ADDs count like any others.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import NamedTuple

ARENA_ADDRESS = 0x0000_0041_0000_0000
ARENA_BYTES = 64 << 20
BUFFER_ADDRESS = 0x0000_0082_0000_0000
BUFFER_BYTES = 2 << 20
RED_ZONE = 32
FRESH_BYTE = 0xA5
RED_BYTE = 0xBD
RELEASED_BYTE = 0x5A
STATUS_UNSUPPORTED = -1000
NUM_FREE_UNKNOWN = 0xFFFF_FFFF

EINVAL = -22
ENOSPC = -28
ENOMEM = -12
EBROKEN = -5


class Code(IntEnum):
    """What an operation does. Below 16 the driver acts, from 16 the device, from 32 both."""

    ADD = 1
    KICK = 2
    GET = 3
    DISABLE_CB = 4
    ENABLE_CB = 5
    ENABLE_CB_DELAYED = 6
    ENABLE_CB_PREPARE = 7
    POLL = 8
    INTERRUPT = 9
    DETACH_UNUSED = 10
    READ = 16
    COMPLETE = 17
    SET_FLAGS = 18
    SET_AVAIL_EVENT = 19
    MISCHIEF = 20
    ROUNDS = 32


class Mischief(IntEnum):
    """How a device breaks the rules; ``impl/device/mischief.h`` says what the numbers of each stand for."""

    ID_RANGE = 1
    ID_NOT_HEAD = 2
    USED_IDX = 3
    LENGTH = 4
    REWRITE = 5
    DOUBLE_FETCH = 6
    FLAGS = 7
    SILENCE = 8
    IN_ORDER = 9
    INTERRUPT = 10
    PAYLOAD = 14


class OpFlag(IntFlag):
    """Modifiers of one operation."""

    FAIL_ALLOC = 1
    NULL_TOKEN = 2
    RELATIVE = 4
    NO_KICK = 8
    TOTAL_LENGTH = 16


OP = struct.Struct("<BBHIII")
RESULT = struct.Struct("<iIQIIHHHHII")


class Op(NamedTuple):
    """One operation; the fields are those of ``struct rp_op``."""

    code: int
    flags: int = 0
    in_: int = 0
    a: int = 0
    b: int = 0
    c: int = 0

    def pack(self) -> bytes:
        """Its 16 bytes. Raises struct.error when a field is out of range."""
        return OP.pack(*self)


class Result(NamedTuple):
    """What came of one operation; the fields are those of ``struct rp_result``."""

    status: int
    notifies: int
    token: int
    length: int
    crc: int
    avail_idx: int
    used_idx: int
    avail_flags: int
    used_event: int
    num_free: int
    callbacks: int


def askable(operations: Sequence[Op]) -> bool:
    """Whether operations may follow each other so: after DETACH_UNUSED comes only the same.

    A device that breaks the rules may do that then, too.
    """
    detached = False
    for op in operations:
        if detached and op.code not in (Code.DETACH_UNUSED, Code.MISCHIEF):
            return False
        detached = detached or op.code == Code.DETACH_UNUSED
    return True


def segment(seed: int, index: int) -> tuple[int, int]:
    """Segment number ``index`` of an ADD with ``seed``: its offset in the buffers and its length in bytes.

    Lengths are 1 to 131072, so that 16 bits do not hold them all; offsets are multiples of 16 below 1 MiB:
    any segment lies inside the buffers.
    """
    x = (seed + index * 0x9E37_79B1) & 0xFFFF_FFFF
    return (x >> 8) & 0xF_FFF0, 1 + (x & 0x1_FFFF)
