"""Where a symbolic run begins: the memory of a process in which the driver has a queue, as it was then.

The driver is loaded, creates a queue and goes through so many rounds as ordinary code in a forked process,
which then hands over all memory that is the driver's by right: its image, relocated, and every block its
environment gave it. Memory it has from elsewhere is not handed over: to reach for it looks like a stray
access, which no run shows, and so is unknown.
"""

import ctypes
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from ..impl.harness.operations import ARENA_ADDRESS, BUFFER_ADDRESS, FRESH_BYTE
from ..impl.harness.reference_runner import QueueConfig
from .library import ENTRY
from .process import TRAIT_PUSHES_BUFFERS
from .processes import Lost, Task, in_processes

RegionKind: TypeAlias = Literal["code", "constants", "data", "env", "arena", "private"]
"""What memory is: of the library's image, what it runs, may not write, and may; the environment's table;
blocks that the device can reach and blocks it cannot."""

WRAP_AT = 65535
"""avail_idx of the start behind which it wraps: the next buffer takes it to 0."""
TRAIT_MAPS = 1 << 6
_PAGE = 4096
_ARENA_BYTES = 16 << 20
_LAYOUTS = {"legacy": 0, "modern": 1}
_BEFORE_IT_HANGS = 60.0  # seconds for a queue's creation and all rounds
_MAP_ADDRESS = 0x0000_00C3_0000_0000


class StartError(Exception):
    """There is no such start; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Region:
    """Memory of the driver: where it begins, what it holds, and what it is."""

    address: int
    content: bytes
    kind: RegionKind

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + len(self.content)


@dataclass(frozen=True, slots=True)
class Start:
    """A driver with a queue, between two operations.

    ``rounds`` chains have gone through the queue, and none is in flight. ``hooks`` are the addresses at which
    the driver enters its environment ("env.allocate") or another library ("memcpy"); ``operations`` those of
    its own operations, by their name in the ABI. ``parts`` are the guest-physical addresses of table,
    available and used ring; what the arena has at a pointer p, the device finds at p - ``arena`` +
    ARENA_ADDRESS. ``mapped`` is where the next mapping would go.
    """

    config: QueueConfig
    name: str
    traits: int
    rounds: int
    base: int
    regions: tuple[Region, ...]
    hooks: dict[int, str]
    operations: dict[str, int]
    queue: int
    env: int
    parts: tuple[int, int, int]
    arena: int
    free_at: int
    mapped: int

    @property
    def pushes(self) -> bool:
        """Whether buffers come back by callback."""
        return bool(self.traits & TRAIT_PUSHES_BUFFERS)

    @property
    def maps(self) -> bool:
        """Whether segments' addresses come from env->map."""
        return bool(self.traits & TRAIT_MAPS)

    def pointer(self, address: int) -> int:
        """Where the driver finds what the device finds at a guest-physical address of the arena."""
        return address - ARENA_ADDRESS + self.arena

    def seen_at(self, pointer: int) -> int:
        """Where the device finds what the driver has there: the other way round."""
        return pointer - self.arena + ARENA_ADDRESS


def take_start(library: Path, config: QueueConfig, rounds: int) -> Start:
    """Create a queue in a process of its own, send ``rounds`` buffers through it, and return what there is.

    Raises StartError when the driver is lost over it, or does not do what was asked.
    """
    task = Task("start", lambda: _taken(library, config, rounds), _BEFORE_IT_HANGS)
    for _, result in in_processes([task], 1):
        if isinstance(result, Lost):
            raise StartError(result.why)
        if isinstance(result, str):
            raise StartError(result)
        return result
    raise StartError("there is no process to start from")


def _taken(library: Path, config: QueueConfig, rounds: int) -> Start | str:
    """Do it, in this very process; a refusal in words."""
    host = _Host(library, config)
    refusal = host.create() or host.go(rounds)
    return refusal or host.start(rounds)


# -- the ABI, as ctypes sees it -------------------------------------------------------------------------

_P, _U64, _U32, _U16 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint16

_CALLS: dict[str, Any] = {
    "allocate": ctypes.CFUNCTYPE(_P, _P, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(_U64)),
    "release": ctypes.CFUNCTYPE(None, _P, _P, ctypes.c_size_t),
    "allocate_private": ctypes.CFUNCTYPE(_P, _P, ctypes.c_size_t),
    "release_private": ctypes.CFUNCTYPE(None, _P, _P, ctypes.c_size_t),
    "notify": ctypes.CFUNCTYPE(None, _P, _U32),
    "callback": ctypes.CFUNCTYPE(None, _P),
    "completed": ctypes.CFUNCTYPE(None, _P, _P, _U32),
    "map": ctypes.CFUNCTYPE(ctypes.c_int, _P, _P, _U32, ctypes.POINTER(_U64)),
    "unmap": ctypes.CFUNCTYPE(None, _P, _U64, _U32),
}


class _Env(ctypes.Structure):
    """``struct rp_env``."""

    _fields_ = [
        ("abi_version", _U32), ("size", _U32), ("context", _P), ("features", _U64), ("queue_size", _U32),
        ("queue_index", _U16), ("layout", _U16), ("has_callback", _U32), ("reserved", _U32),
        *((name, _P) for name in _CALLS),
    ]  # fmt: skip


OPERATIONS = (
    "create", "destroy", "add", "kick", "get_buf", "disable_cb", "enable_cb", "enable_cb_delayed",
    "enable_cb_prepare", "poll", "interrupt", "num_free", "detach_unused",
)  # fmt: skip
"""Of ``struct rp_driver``, in its order."""


class _Driver(ctypes.Structure):
    """``struct rp_driver``."""

    _fields_ = [
        ("abi_version", _U32), ("size", _U32), ("name", ctypes.c_char_p), ("features", _U64),
        ("traits", _U32), ("reserved", _U32), *((name, _P) for name in OPERATIONS),
    ]  # fmt: skip


class _Parts(ctypes.Structure):
    """``struct rp_ring_parts``."""

    _fields_ = [("desc", _U64), ("avail", _U64), ("used", _U64)]


class _Segment(ctypes.Structure):
    """``struct rp_segment``."""

    _fields_ = [("data", _P), ("address", _U64), ("length", _U32), ("reserved", _U32)]


class _Host:
    """An environment and a device, as small as can be, for one driver in this process."""

    def __init__(self, library: Path, config: QueueConfig) -> None:
        self._path = library.absolute()
        self._config = config
        self._library = ctypes.CDLL(str(self._path), mode=os.RTLD_NOW)
        entry = getattr(self._library, ENTRY)
        entry.restype = ctypes.POINTER(_Driver)
        self._driver = entry().contents
        self._arena = mmap.mmap(-1, _ARENA_BYTES)
        self._arena_at = ctypes.addressof(ctypes.c_char.from_buffer(self._arena))
        self._free_at = 0
        self._blocks: dict[int, tuple[int, RegionKind]] = {}
        self._free: dict[int, list[int]] = {}
        self._kept: list[Any] = []
        self._pushed: list[tuple[int, int]] = []
        self._mapped = _MAP_ADDRESS
        self._missing = ""
        self._env = _Env(
            abi_version=1, size=ctypes.sizeof(_Env), features=config.features, queue_size=config.queue_size,
            queue_index=config.queue_index, layout=_LAYOUTS[config.layout],
            has_callback=int(config.has_callback),
        )  # fmt: skip
        self._thunks = {name: kind(getattr(self, f"_{name}")) for name, kind in _CALLS.items()}
        for name, thunk in self._thunks.items():
            setattr(self._env, name, ctypes.cast(thunk, _P))
        self._parts, self._queue = _Parts(), _P()

    # What the driver is given

    def _take(self, bytes_: int, alignment: int, kind: RegionKind) -> int:
        """Take a block off the arena: a pointer, or 0."""
        size = room(bytes_)
        known = self._free.get(size, [])
        if known and known[-1] % max(1, alignment) == 0:
            pointer = known.pop()
        else:
            step = max(64, alignment)
            offset = (self._free_at + step - 1) // step * step
            if offset + size > _ARENA_BYTES:
                self._missing = "it took more memory than there is"
                return 0
            self._free_at = offset + size
            pointer = self._arena_at + offset
        self._blocks[pointer] = bytes_, kind
        return pointer

    def _allocate(self, _context: int, bytes_: int, alignment: int, address: Any) -> int:
        pointer = self._take(bytes_, alignment, "arena")
        if pointer:
            ctypes.memset(pointer, FRESH_BYTE, bytes_)
            if address:
                address[0] = pointer - self._arena_at + ARENA_ADDRESS
        return pointer

    def _allocate_private(self, _context: int, bytes_: int) -> int:
        pointer = self._take(bytes_, 16, "private")
        if pointer:
            ctypes.memset(pointer, 0, bytes_)
        return pointer

    def _release(self, _context: int, memory: int | None, _bytes: int) -> None:
        if memory is None:
            return
        if memory not in self._blocks:
            self._missing = "it released what it was not given"
            return
        size = self._blocks.pop(memory)[0]
        self._free.setdefault(room(size), []).append(memory)

    _release_private = _release

    def _notify(self, _context: int, value: int) -> None:
        """Nobody waits for it here."""

    def _callback(self, _context: int) -> None:
        """Nobody waits for it here, either."""

    def _completed(self, _context: int, token: int | None, length: int) -> None:
        self._pushed.append((token or 0, length))

    def _map(self, _context: int, _data: int, length: int, address: Any) -> int:
        address[0] = self._mapped
        self._mapped += (length + 2 * _PAGE - 1) // _PAGE * _PAGE
        if self._mapped >= 1 << 47:
            self._mapped = _MAP_ADDRESS
        return 0

    def _unmap(self, _context: int, _address: int, _length: int) -> None:
        """A mapping has no memory of its own."""

    # What it is asked for

    def _ask(self, name: str, result: Any, *kinds: Any) -> Callable[..., Any]:
        address = getattr(self._driver, name)
        return ctypes.CFUNCTYPE(result, *kinds)(address)

    def create(self) -> str:
        """Create the queue; why there is none, or ""."""
        if not self._driver.create or not self._driver.add or not self._driver.kick:
            return "the driver lacks create, add or kick"
        create = self._ask("create", ctypes.c_int, _P, _P, _P)
        answer = create(
            ctypes.addressof(self._env), ctypes.addressof(self._parts), ctypes.addressof(self._queue)
        )
        if answer != 0:
            return f"create returned {answer}"
        end = ARENA_ADDRESS + _ARENA_BYTES
        parts = (self._parts.desc, self._parts.avail, self._parts.used)
        if any(not ARENA_ADDRESS <= part < end - _PAGE for part in parts):
            return "the ring is not in the memory that the driver was given"
        return self._missing

    def go(self, rounds: int) -> str:
        """Send buffers through the queue one after the other; at which round that failed, or ""."""
        if not rounds:
            return ""
        segment = _Segment(self._arena_at, 0 if self._driver.traits & TRAIT_MAPS else BUFFER_ADDRESS, 64, 0)
        lent = ctypes.addressof(segment)
        add = self._ask("add", ctypes.c_int, _P, _P, _U32, _U32, _P)
        kick = self._ask("kick", None, _P)
        take = self._taker()
        queue, size = self._queue.value, self._config.queue_size
        at = self._arena_at - ARENA_ADDRESS
        avail = (_U16 * (size + 3)).from_address(self._parts.avail + at)
        used = (_U16 * (4 * size + 3)).from_address(self._parts.used + at)
        for number in range(rounds):
            token, slot = number + 1, number % size
            if add(queue, lent, 1, 0, token) != 0:
                return f"add of round {number} failed"
            kick(queue)
            if avail[1] != token & 0xFFFF or self._missing:
                return self._missing or f"round {number} published nothing"
            used[2 + 4 * slot : 6 + 4 * slot] = [avail[2 + slot], 0, 0, 0]
            used[1] = token & 0xFFFF
            if take() != token:
                return f"the buffer of round {number} did not come back"
        return ""

    def _taker(self) -> Callable[[], int]:
        queue = self._queue.value
        token, length = _P(), _U32()
        places = ctypes.addressof(token), ctypes.addressof(length)
        if self._driver.traits & TRAIT_PUSHES_BUFFERS:
            interrupt = self._ask("interrupt", ctypes.c_int, _P)

            def pop() -> int:
                if not self._pushed:
                    interrupt(queue)
                return self._pushed.pop(0)[0] if self._pushed else 0

            return pop
        get = self._ask("get_buf", ctypes.c_int, _P, _P, _P)
        return lambda: (token.value or 0) if get(queue, *places) == 1 else 0

    # What is handed over

    def start(self, rounds: int) -> Start:
        """Return all that is the driver's."""
        base, image, outside = _image(self._path)
        hooks = {getattr(self._env, name): f"env.{name}" for name in _CALLS}
        hooks.update(outside)
        env = ctypes.addressof(self._env)
        blocks = [
            Region(at, ctypes.string_at(at, size), kind) for at, (size, kind) in sorted(self._blocks.items())
        ]
        regions = (*image, Region(env, ctypes.string_at(env, ctypes.sizeof(_Env)), "env"), *blocks)
        operations = {name: getattr(self._driver, name) for name in OPERATIONS if getattr(self._driver, name)}
        return Start(
            config=replace(self._config),
            name=(self._driver.name or b"").decode("utf-8", "replace"),
            traits=self._driver.traits,
            rounds=rounds,
            base=base,
            regions=regions,
            hooks=hooks,
            operations=operations,
            queue=self._queue.value or 0,
            env=env,
            parts=(self._parts.desc, self._parts.avail, self._parts.used),
            arena=self._arena_at,
            free_at=(self._free_at + 2 * _PAGE - 1) // _PAGE * _PAGE,
            mapped=self._mapped,
        )


def room(size: int) -> int:
    """How many bytes a block of ``size`` takes with what lies between it and the next one."""
    return max(64, 1 << (size + 31).bit_length())


def _image(path: Path) -> tuple[int, tuple[Region, ...], dict[int, str]]:
    """Where a loaded library begins, what it holds now, and which addresses of other libraries it knows."""
    base = _base(path)
    regions, outside = list[Region](), dict[int, str]()
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        for segment in elf.iter_segments("PT_LOAD"):
            at, size = base + segment["p_vaddr"], segment["p_memsz"]
            flags = segment["p_flags"]
            kind: RegionKind = "data" if flags & 2 else "code" if flags & 1 else "constants"
            regions.append(Region(at, ctypes.string_at(at, size), kind))
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection):
                continue
            symbols = elf.get_section(section["sh_link"])
            if not isinstance(symbols, SymbolTableSection):
                continue
            for relocation in section.iter_relocations():
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                if symbol is None or not symbol.name or symbol["st_shndx"] != "SHN_UNDEF":
                    continue
                value = _U64.from_address(base + relocation["r_offset"]).value
                if value:
                    outside[value] = symbol.name
    return base, tuple(regions), outside


def _base(path: Path) -> int:
    """Where a library was loaded in this process."""
    real = path.resolve()
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        where, _, offset, _, _, *name = line.split(maxsplit=5)
        if name and int(offset, 16) == 0 and Path(name[0]) == real:
            return int(where.partition("-")[0], 16)
    raise OSError(f"{path} is nowhere in memory")
