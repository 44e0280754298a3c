"""The C judges of frames and features, and the log they write to, as Python calls them."""

import ctypes
import re
import struct
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ringproof.building import build_library

SOURCES = Path(str(files("ringproof.impl.live")))
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
PREFIX_OF_FRAME = 128  # bytes of a frame that a record keeps

CSUM, GUEST_CSUM, MTU = 1 << 0, 1 << 1, 1 << 3
TSO4, TSO6, ECN, UFO, MRG, USO = 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 56
HASH_REPORT, HDRLEN, VERSION_1 = 1 << 57, 1 << 59, 1 << 32


def _checks() -> dict[str, int]:
    words = re.findall(r"^    RPL_(\w+) = (\d+)", (SOURCES / "findings.h").read_text(), re.MULTILINE)
    return {name: int(code) for name, code in words}


CODES = _checks()
NAMES = {code: name for name, code in CODES.items() if name != "CHECKS"}


class Tally(ctypes.Structure):
    """struct rpl_tally."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("checked", "failed", "record", "a", "b")]
    checked: int
    failed: int
    record: int
    a: int
    b: int


class Log(ctypes.Structure):
    """struct rpl_log."""

    _fields_ = [
        ("tallies", Tally * CODES["CHECKS"]),
        ("records", ctypes.c_uint64),
        ("failures", ctypes.c_uint64),
    ]
    records: int
    failures: int

    def __getitem__(self, name: str) -> Tally:
        tally: Tally = self.tallies[CODES[name]]
        return tally

    def failed(self) -> set[str]:
        """Names of the checks that failed."""
        return {name for name in CODES if name != "CHECKS" and self[name].failed}

    def checked(self) -> set[str]:
        """Names of the checks that were made."""
        return {name for name in CODES if name != "CHECKS" and self[name].checked}


class Frame(ctypes.Structure):
    """struct rpl_frame."""

    _fields_ = [
        ("prefix", ctypes.c_char_p),
        ("prefix_bytes", ctypes.c_uint32),
        ("bytes", ctypes.c_uint64),
        ("sum", ctypes.c_uint16),
        ("whole", ctypes.c_bool),
    ]


@cache
def library() -> Any:
    """Return the judges, built."""
    sources = [SOURCES / name for name in ("frame.c", "features.c", "packet.c")]
    loaded = ctypes.CDLL(str(build_library(sources, extra_flags=WARNINGS)))
    loaded.rpl_frame_judge.argtypes = (
        ctypes.POINTER(Log), ctypes.c_uint64, ctypes.c_uint32, ctypes.POINTER(Frame),
    )  # fmt: skip
    loaded.rpl_frame_judge.restype = None
    loaded.rpl_features_judge.argtypes = (ctypes.POINTER(Log), ctypes.c_uint64, ctypes.c_uint64)
    loaded.rpl_features_judge.restype = None
    loaded.rpl_header_bytes.argtypes = (ctypes.c_uint64,)
    loaded.rpl_header_bytes.restype = ctypes.c_uint32
    loaded.rpl_sum.argtypes = (ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint16)
    loaded.rpl_sum.restype = ctypes.c_uint16
    return loaded


def word_sum(data: bytes) -> int:
    """Ones' complement sum of big-endian 16-bit words, by the rule and nothing clever."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Shot:
    """One frame with its header, as a driver with these features sends it; `keep` bytes of it were kept."""

    frame: bytes
    features: int = VERSION_1
    mtu: int = 1500
    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0
    num_buffers: int = 0
    whole: bool = True
    keep: int = PREFIX_OF_FRAME

    def but(self, **changes: Any) -> "Shot":
        """Return it with something changed."""
        return replace(self, **changes)

    def header(self) -> bytes:
        """Return the network header in as many bytes as the features make it."""
        size = 20 if self.features & HASH_REPORT else 12 if self.features & (VERSION_1 | MRG) else 10
        packed = struct.pack(
            "<BBHHHHH",
            self.flags, self.gso_type, self.hdr_len, self.gso_size,
            self.csum_start, self.csum_offset, self.num_buffers,
        )  # fmt: skip
        return packed.ljust(size, b"\0")[:size]

    def judge(self) -> Log:
        """Return what the C judge says of it alone."""
        log = Log()
        log.records = 7
        header = self.header()
        prefix = header + self.frame[: self.keep]
        frame = Frame(
            prefix, len(prefix), len(header) + len(self.frame), word_sum(self.frame[self.keep :]), self.whole
        )
        library().rpl_frame_judge(ctypes.byref(log), self.features, self.mtu, ctypes.byref(frame))
        return log


def judge_features(offered: int, accepted: int) -> Log:
    """Return what the C judge says of an acceptance."""
    log = Log()
    library().rpl_features_judge(ctypes.byref(log), offered, accepted)
    return log
