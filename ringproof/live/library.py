"""The compiled device of a live run: built once, loaded, and compared with what is declared of it here.

The other side is ``impl/live/session.h``.
"""

import ctypes
from functools import cache
from importlib.resources import files
from pathlib import Path

from ..building import BuildError, CompilerMissing, build_library

MAX_PAIRS = 8
QUEUES = 2 * MAX_PAIRS
CHECKS = 96
_FLAGS = ("-fno-plt",)


class RawOptions(ctypes.Structure):
    """``struct rpl_options``."""

    _fields_ = [
        ("device_features", ctypes.c_uint64),
        ("protocol_features", ctypes.c_uint64),
        ("pairs", ctypes.c_uint32),
        ("patience_ms", ctypes.c_uint32),
        ("mtu", ctypes.c_uint32),
        ("queue_size", ctypes.c_uint32),
        ("plain", ctypes.c_uint32),
        ("keep", ctypes.c_uint32),
        ("segment_bytes", ctypes.c_uint32),
        ("mac", ctypes.c_uint8 * 6),
        ("partner", ctypes.c_uint8 * 6),
        ("frames", ctypes.c_uint32),
    ]


class RawBehaviour(ctypes.Structure):
    """``struct rpl_behaviour``."""

    _fields_ = [
        ("order", ctypes.c_uint32),
        ("batch", ctypes.c_uint32),
        ("hold_us", ctypes.c_uint32),
        ("keep", ctypes.c_uint32),
        ("release_us", ctypes.c_uint32),
        ("suppress", ctypes.c_uint32),
        ("event", ctypes.c_uint32),
        ("interrupts", ctypes.c_uint32),
        ("distract", ctypes.c_uint32),
        ("poll", ctypes.c_uint32),
        ("total", ctypes.c_uint32),
        ("seed", ctypes.c_uint32),
    ]


class RawTally(ctypes.Structure):
    """``struct rpl_tally``."""

    _fields_ = [
        ("checked", ctypes.c_uint64),
        ("failed", ctypes.c_uint64),
        ("record", ctypes.c_uint64),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


class RawLog(ctypes.Structure):
    """``struct rpl_log``."""

    _fields_ = [
        ("tallies", RawTally * CHECKS),
        ("records", ctypes.c_uint64),
        ("failures", ctypes.c_uint64),
    ]


class RawCounts(ctypes.Structure):
    """``struct rpl_queue_counts``."""

    _fields_ = [
        ("chains", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("completed", ctypes.c_uint64),
        ("kicks", ctypes.c_uint64),
        ("interrupts", ctypes.c_uint64),
        ("epochs", ctypes.c_uint64),
        ("wraps", ctypes.c_uint64),
    ]


class RawQueueView(ctypes.Structure):
    """``struct rpl_queue_view``."""

    _fields_ = [
        ("counts", RawCounts),
        ("published", ctypes.c_uint64),
        ("size", ctypes.c_uint32),
        ("outstanding", ctypes.c_uint32),
        ("runs", ctypes.c_uint32),
        ("enabled", ctypes.c_uint32),
        ("started", ctypes.c_uint32),
        ("kick_fd", ctypes.c_uint64),
        ("call_fd", ctypes.c_uint64),
    ]


class RawView(ctypes.Structure):
    """``struct rpl_view``."""

    _fields_ = [
        ("accepted", ctypes.c_uint64),
        ("protocol_features", ctypes.c_uint64),
        ("features_known", ctypes.c_uint32),
        ("regions", ctypes.c_uint32),
        ("memory", ctypes.c_uint64),
        ("messages", ctypes.c_uint64),
        ("owner", ctypes.c_uint32),
        ("status_known", ctypes.c_uint32),
        ("status", ctypes.c_uint32),
        ("refused", ctypes.c_uint32),
        ("queues", RawQueueView * QUEUES),
    ]


_SESSION = ctypes.c_void_p
_U32, _U64, _BYTES = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_char_p
_OUT32, _OUT64 = ctypes.POINTER(_U32), ctypes.POINTER(_U64)
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "rpl_session_new": (_SESSION, (ctypes.POINTER(RawOptions),)),
    "rpl_session_free": (None, (_SESSION,)),
    "rpl_session_connect": (ctypes.c_bool, (_SESSION, ctypes.c_int)),
    "rpl_session_run": (_U32, (_SESSION, _U32)),
    "rpl_session_trouble": (_U32, (_SESSION, _OUT64, _OUT64)),
    "rpl_session_behave": (None, (_SESSION, ctypes.POINTER(RawBehaviour), _BYTES)),
    "rpl_session_inject": (None, (_SESSION, _U32)),
    "rpl_session_injected": (ctypes.c_bool, (_SESSION,)),
    "rpl_session_stall": (None, (_SESSION, _U32, _U32)),
    "rpl_session_flow": (None, (_SESSION, _U32)),
    "rpl_session_frame": (_U32, (_SESSION, ctypes.c_void_p, _U32, _OUT32)),
    "rpl_session_deliver": (ctypes.c_bool, (_SESSION, _U32, _BYTES, _U32)),
    "rpl_session_frames_dropped": (_U64, (_SESSION,)),
    "rpl_session_log": (ctypes.POINTER(RawLog), (_SESSION,)),
    "rpl_session_segment": (ctypes.c_void_p, (_SESSION, _U32, _OUT64)),
    "rpl_session_segment_taken": (None, (_SESSION,)),
    "rpl_session_cut": (None, (_SESSION,)),
    "rpl_session_view": (None, (_SESSION, ctypes.POINTER(RawView))),
    "rpl_sizeof": (_U32, (_U32,)),
}


class LibraryMismatch(BuildError):  # noqa: N818 - the name says it
    """What the compiler made of the structures is not what is declared of them here."""


def sources() -> list[Path]:
    """The C sources of the device, in a fixed order."""
    return sorted(Path(str(files("ringproof.impl.live"))).glob("*.c"))


def _built() -> Path:
    """The device, optimised across its files where the compiler and its linker can: a fifth faster so."""
    try:
        return build_library(sources(), extra_flags=(*_FLAGS, "-flto"))
    except CompilerMissing:
        raise
    except BuildError:
        return build_library(sources(), extra_flags=_FLAGS)


@cache
def load_library() -> ctypes.CDLL:
    """Build the device (once; builds are kept), load it and declare its functions.

    Raises BuildError, of which LibraryMismatch is one.
    """
    library = ctypes.CDLL(str(_built()))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    for which, structure in enumerate((RawOptions, RawBehaviour, RawView, RawTally)):
        there = library.rpl_sizeof(which)
        if there != ctypes.sizeof(structure):
            raise LibraryMismatch(
                f"{structure.__name__} has {ctypes.sizeof(structure)} bytes here and {there} in the library"
            )
    return library
