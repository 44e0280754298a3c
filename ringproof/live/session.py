"""A front-end's connection served by the compiled device: its messages, its memory, its queues.

``Session`` wraps every function of ``impl/live/session.h``; the meaning of each number stands there.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from types import TracebackType
from typing import Self

from . import library
from .tallies import Check, Tally

__all__ = [
    "ALL_PROTOCOL",
    "USUAL_PROTOCOL",
    "Because",
    "Behaviour",
    "Check",
    "Counts",
    "Interrupts",
    "Options",
    "Order",
    "ProtocolFeature",
    "QueueView",
    "Session",
    "SessionRefused",
    "Suppress",
    "Tally",
    "Trouble",
    "View",
]

_FRAME_BYTES = 1 << 17


class SessionRefused(Exception):  # noqa: N818 - the name says it
    """The library would not make a session of these options, or take this descriptor."""


class Because(IntFlag):
    """Why ``Session.run`` came back."""

    TIME = 1
    CLOSED = 2
    TROUBLE = 4
    FRAMES = 8
    SEGMENT = 16
    FAILED = 32
    STARTED = 64


class Trouble(IntEnum):
    """What is wrong with a front-end; ``trouble.told`` has the words."""

    NONE = 0
    TORN = 1
    SIZE = 2
    TOO_LONG = 3
    VERSION = 4
    FDS = 5
    REQUEST = 6
    QUEUE = 7
    REGIONS = 8
    MEMORY = 9
    NOT_SHARED = 10
    ADDRESS = 11
    QUEUE_SIZE = 12
    FEATURES = 13
    STILL_RUNS = 14
    MEMORY_GONE = 15
    NO_MEMORY = 16
    SOCKET = 17
    NOT_AN_EVENTFD = 18


class Order(IntEnum):
    """In which order chains are completed."""

    FIFO = 0
    LIFO = 1
    RANDOM = 2


class Suppress(IntEnum):
    """What the device says about kicks."""

    HONEST = 0
    NEVER = 1
    ALWAYS = 2
    TOGGLE = 3
    FROZEN = 4
    ROVING = 5


class Interrupts(IntEnum):
    """When the device interrupts."""

    HONEST = 0
    ALWAYS = 1
    SPURIOUS = 2


class ProtocolFeature(IntFlag):
    """Bits of the vhost-user protocol's own features, those that the device knows."""

    MQ = 1 << 0
    LOG_SHMFD = 1 << 1
    RARP = 1 << 2
    REPLY_ACK = 1 << 3
    NET_MTU = 1 << 4
    BACKEND_REQ = 1 << 5
    CONFIG = 1 << 9
    RESET_DEVICE = 1 << 13
    CONFIGURE_MEM_SLOTS = 1 << 15
    STATUS = 1 << 16


ALL_PROTOCOL = ProtocolFeature(sum(ProtocolFeature))
"""All of them."""

USUAL_PROTOCOL = ALL_PROTOCOL & ~ProtocolFeature.STATUS
"""All but STATUS: DPDK passes on its driver's; QEMU 7.2 writes one of its own, in an order no driver may."""


@dataclass(frozen=True, slots=True)
class Options:
    """``struct rpl_options``: what is offered to the front-end, and how it is served."""

    device_features: int
    protocol_features: int = int(USUAL_PROTOCOL)
    pairs: int = 1
    patience_ms: int = 0
    mtu: int = 0
    queue_size: int = 0
    plain: bool = False
    keep: bool = False
    segment_bytes: int = 0
    mac: bytes = b"\x52\x54\x00\x12\x34\x56"
    partner: bytes = b"\x52\x54\x00\x12\x34\x01"
    frames: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``struct rpl_behaviour``: how queues complete and notify; all defaults: a well-behaved fast device."""

    order: Order = Order.FIFO
    batch: int = 0
    hold_us: int = 0
    keep: int = 0
    release_us: int = 0
    suppress: Suppress = Suppress.HONEST
    event: int = 0
    interrupts: Interrupts = Interrupts.HONEST
    distract: bool = False
    poll: bool = False
    total: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """``struct rpl_queue_counts``: of one queue, since the connection began."""

    chains: int
    bytes: int
    completed: int
    kicks: int
    interrupts: int
    epochs: int
    wraps: int


@dataclass(frozen=True, slots=True)
class QueueView:
    """``struct rpl_queue_view``: what is known of one queue; ``started`` is how often it was."""

    counts: Counts
    published: int
    size: int
    outstanding: int
    runs: bool
    enabled: bool
    started: int
    kick_fd: bool
    call_fd: bool


@dataclass(frozen=True, slots=True)
class View:
    """``struct rpl_view``: what is known of the connection; ``memory`` in bytes."""

    accepted: int
    protocol_features: int
    features_known: bool
    regions: int
    memory: int
    messages: int
    owner: bool
    status_known: bool
    status: int
    refused: int
    queues: tuple[QueueView, ...]


class Session:
    """One connection. A context manager; what it holds is given back at the end.

    Raises SessionRefused for options no session can have, BuildError where the device cannot be compiled.
    """

    def __init__(self, options: Options) -> None:
        self._library = library.load_library()
        self._pairs = options.pairs
        raw = library.RawOptions(
            options.device_features, options.protocol_features, options.pairs, options.patience_ms,
            options.mtu, options.queue_size, options.plain, options.keep, options.segment_bytes,
            _mac(options.mac), _mac(options.partner), options.frames,
        )  # fmt: skip
        self._session: int | None = self._library.rpl_session_new(ctypes.byref(raw))
        if not self._session:
            raise SessionRefused(f"no session can be made of {options}, or there is no memory for it")
        self._frame = ctypes.create_string_buffer(_FRAME_BYTES)

    def close(self) -> None:
        """Close every descriptor it has got, and give back its memory; nothing else may be called then."""
        session, self._session = self._session, None
        if session:
            self._library.rpl_session_free(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _alive(self) -> int:
        if self._session is None:
            raise ValueError("the session was closed")
        return self._session

    def connect(self, fd: int) -> None:
        """Take a connected stream socket, from now on the session's; once.

        Raises SessionRefused; then the socket stays the caller's.
        """
        if not self._library.rpl_session_connect(self._alive, fd):
            raise SessionRefused(f"descriptor {fd} is no stream socket, or there was a connection before")

    def run(self, timeout_us: int) -> Because:
        """Serve for so long, or until something is to be told. Without the interpreter's lock."""
        return Because(self._library.rpl_session_run(self._alive, min(max(timeout_us, 0), 0xFFFFFFFF)))

    def trouble(self) -> tuple[Trouble, int, int]:
        """What is wrong with the front-end, and the two numbers of it."""
        a, b = ctypes.c_uint64(), ctypes.c_uint64()
        code = self._library.rpl_session_trouble(self._alive, ctypes.byref(a), ctypes.byref(b))
        return Trouble(code), a.value, b.value

    def behave(self, behaviour: Behaviour, json: str = "{}") -> None:
        """Behave so from now on; ``json`` says it to people, in a PHASE record."""
        raw = library.RawBehaviour(
            behaviour.order, behaviour.batch, behaviour.hold_us, behaviour.keep, behaviour.release_us,
            behaviour.suppress, behaviour.event, behaviour.interrupts, behaviour.distract, behaviour.poll,
            behaviour.total, behaviour.seed,
        )  # fmt: skip
        self._library.rpl_session_behave(self._alive, ctypes.byref(raw), json.encode())

    def inject(self, kind: int) -> None:
        """Break a rule (RPL_INJECT_* of queue.h) on the first transmit queue that runs, once it completes."""
        self._library.rpl_session_inject(self._alive, kind)

    def injected(self) -> bool:
        """Whether that was done."""
        return bool(self._library.rpl_session_injected(self._alive))

    def stall(self, ms: int, queue: int) -> None:
        """Say that traffic was waited for in vain, so many milliseconds."""
        self._library.rpl_session_stall(self._alive, min(ms, 0xFFFFFFFF), queue)

    def flow(self, queue: int) -> None:
        """Say that the traffic that was waited for came."""
        self._library.rpl_session_flow(self._alive, queue)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The frames that wait for the partner, each with the queue pair it was sent on; they are taken."""
        pair = ctypes.c_uint32()
        while count := self._library.rpl_session_frame(
            self._alive, self._frame, _FRAME_BYTES, ctypes.byref(pair)
        ):
            yield pair.value, self._frame.raw[:count]

    def deliver(self, pair: int, frame: bytes) -> bool:
        """Give the driver a frame; False if it has no room for it now."""
        return bool(self._library.rpl_session_deliver(self._alive, pair, frame, len(frame)))

    def frames_dropped(self) -> int:
        """Frames that the partner would have got, had there been room."""
        return int(self._library.rpl_session_frames_dropped(self._alive))

    def tallies(self) -> dict[Check, Tally]:
        """The tallies of all that was checked."""
        raw = self._library.rpl_session_log(self._alive).contents
        found = {}
        for code in Check:
            tally = raw.tallies[code]
            if tally.checked:
                found[code] = Tally(tally.checked, tally.failed, tally.record, tally.a, tally.b)
        return found

    def records(self) -> int:
        """Records emitted since the session began."""
        return int(self._library.rpl_session_log(self._alive).contents.records)

    def failures(self) -> int:
        """Failures of all checks, ever counted."""
        return int(self._library.rpl_session_log(self._alive).contents.failures)

    def segment(self, which: int) -> bytes | None:
        """The whole segment number ``which``, the oldest there is being 0; None if there is none."""
        count = ctypes.c_uint64()
        at = self._library.rpl_session_segment(self._alive, which, ctypes.byref(count))
        return ctypes.string_at(at, count.value) if at else None

    def segment_taken(self) -> None:
        """Give up the oldest segment."""
        self._library.rpl_session_segment_taken(self._alive)

    def cut(self) -> None:
        """Write a TALLIES record, and end the segment."""
        self._library.rpl_session_cut(self._alive)

    def view(self) -> View:
        """What is known of the connection; of as many queues as it has."""
        raw = library.RawView()
        self._library.rpl_session_view(self._alive, ctypes.byref(raw))
        return View(
            accepted=raw.accepted,
            protocol_features=raw.protocol_features,
            features_known=bool(raw.features_known),
            regions=raw.regions,
            memory=raw.memory,
            messages=raw.messages,
            owner=bool(raw.owner),
            status_known=bool(raw.status_known),
            status=raw.status,
            refused=raw.refused,
            queues=tuple(_queue_view(raw.queues[number]) for number in range(2 * self._pairs)),
        )


def _mac(address: bytes) -> ctypes.Array[ctypes.c_uint8]:
    if len(address) != 6:
        raise SessionRefused(f"{address.hex(':')} is no MAC address: it has {len(address)} bytes")
    return (ctypes.c_uint8 * 6)(*address)


def _queue_view(raw: library.RawQueueView) -> QueueView:
    counts = raw.counts
    return QueueView(
        counts=Counts(
            counts.chains, counts.bytes, counts.completed, counts.kicks, counts.interrupts, counts.epochs,
            counts.wraps,
        ),
        published=raw.published,
        size=raw.size,
        outstanding=raw.outstanding,
        runs=bool(raw.runs),
        enabled=bool(raw.enabled),
        started=raw.started,
        kick_fd=bool(raw.kick_fd),
        call_fd=bool(raw.call_fd),
    )  # fmt: skip
