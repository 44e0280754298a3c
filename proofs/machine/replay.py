"""A counterexample run by the processor: memory made as it says, the function called, the word read.

``replay`` does it in a process of its own, which a faulty function may take down. Memory lies where it
lay in the proof. The device's words stay what they are at the call, so a fault that needs them to change
meanwhile is not seen here.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .contents import AVAIL, CALLS, DATA, DESC, LENT, NAMES, OPS, TABLE, USED, VQ
from .lockstep import CURSOR

_ROOM = 1 << 16
_ANYWHERE, _FIXED = 0x22, 0x100000  # MAP_PRIVATE | MAP_ANONYMOUS, MAP_FIXED_NOREPLACE
_TIMEOUT = 20.0
_PROTOTYPES: tuple[tuple[Any, tuple[Any, ...]], ...] = (
    (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint64))),
    (None, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)),
    (None, (ctypes.c_void_p, ctypes.c_uint32)),
    (None, (ctypes.c_void_p,)),
    (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_void_p)),
)


def replay(library: Path, counterexample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a native run of the library gives.

    ``result`` is rax, ``calls`` are what was called with which arguments, ``word`` what the word that fails
    holds. ``died`` says how the process ended if it did not return, and then nothing else is told.
    """
    command = [sys.executable, "-c", f"from {__name__} import _main; _main()"]
    told = json.dumps({"library": str(library), "counterexample": dict(counterexample)})
    try:
        ran = subprocess.run(
            command, input=told, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"died": f"does not return within {_TIMEOUT:.0f} s"}
    if ran.returncode != 0:
        return {"died": (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _main() -> None:
    told = json.load(sys.stdin)
    print(json.dumps(_run(Path(told["library"]), told["counterexample"])))  # noqa: T201 - what the parent reads


def _run(library: Path, shown: dict[str, Any]) -> dict[str, Any]:
    code = ctypes.CDLL(str(library))
    for address in (VQ, DESC, AVAIL, USED, DATA, OPS, TABLE, LENT):
        _map(address)
    for cell in shown["memory"]:
        _write(cell["address"], cell["value"], cell["size"])
    _write(USED, int(shown["no_notify"]), 2)
    _write(USED + 2, shown["used_idx"], 2)
    for i, (entry, length) in enumerate(shown["used_ring"]):
        _write(USED + 4 + 8 * i, entry, 4)
        _write(USED + 8 + 8 * i, length, 4)
    _write(USED + 4 + 8 * len(shown["used_ring"]), shown["avail_event"], 2)
    calls: list[list[Any]] = []
    kept = [
        ctypes.CFUNCTYPE(result, *arguments)(_answer(name, shown, calls))
        for name, (result, arguments) in zip(NAMES, _PROTOTYPES, strict=True)
    ]
    for cell in shown["memory"]:
        if cell["name"].startswith("ops.") and cell["value"]:
            place = (cell["value"] - CALLS) // 16
            _write(cell["address"], ctypes.cast(kept[place], ctypes.c_void_p).value or 0, 8)
    function = code[shown["function"]]
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_uint64] * len(shown["arguments"])
    found: dict[str, Any] = {"result": function(*shown["arguments"]), "calls": calls}
    if "word" in shown:
        found["word"] = _read(shown["word"]["address"], shown["word"]["size"])
    return found


def _answer(name: str, shown: dict[str, Any], calls: list[list[Any]]) -> Any:
    def answer(*arguments: Any) -> Any:
        if name == "allocate":
            calls.append([name, *arguments[1:3]])
            arguments[3][0] = shown["table"]
            return TABLE
        if name == "read_segment":
            place = min((arguments[0] or 0) - CURSOR, len(shown["segments"]) - 1)
            address, length = shown["segments"][place]
            _write(arguments[1], address, 8)
            _write(arguments[1] + 8, length, 4)
            return arguments[0] + 1
        calls.append([name, *arguments[1:]])
        return None

    return answer


def _map(address: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    if library.mmap(address, _ROOM, 3, _ANYWHERE | _FIXED, -1, 0) != address:
        raise OSError(ctypes.get_errno(), f"no memory can be had at {address:#x}")


def _write(address: int, value: int, size: int) -> None:
    ctypes.memmove(address, (value % (1 << 8 * size)).to_bytes(size, "little"), size)


def _read(address: int, size: int) -> int:
    return int.from_bytes(ctypes.string_at(address, size), "little")
