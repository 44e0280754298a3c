"""What is wrong with a front-end, in a line of plain English that says what to change."""

import os
from collections.abc import Callable

from .features import BITS, names
from .session import Trouble, View
from .tallies import unpair

REQUESTS = {
    1: "GET_FEATURES", 2: "SET_FEATURES", 3: "SET_OWNER", 4: "RESET_OWNER", 5: "SET_MEM_TABLE",
    6: "SET_LOG_BASE", 7: "SET_LOG_FD", 8: "SET_VRING_NUM", 9: "SET_VRING_ADDR", 10: "SET_VRING_BASE",
    11: "GET_VRING_BASE", 12: "SET_VRING_KICK", 13: "SET_VRING_CALL", 14: "SET_VRING_ERR",
    15: "GET_PROTOCOL_FEATURES", 16: "SET_PROTOCOL_FEATURES", 17: "GET_QUEUE_NUM", 18: "SET_VRING_ENABLE",
    19: "SEND_RARP", 20: "NET_SET_MTU", 21: "SET_BACKEND_REQ_FD", 22: "IOTLB_MSG", 23: "SET_VRING_ENDIAN",
    24: "GET_CONFIG", 25: "SET_CONFIG", 26: "CREATE_CRYPTO_SESSION", 27: "CLOSE_CRYPTO_SESSION",
    28: "POSTCOPY_ADVISE", 29: "POSTCOPY_LISTEN", 30: "POSTCOPY_END", 31: "GET_INFLIGHT_FD",
    32: "SET_INFLIGHT_FD", 33: "GPU_SET_SOCKET", 34: "RESET_DEVICE", 35: "VRING_KICK",
    36: "GET_MAX_MEM_SLOTS", 37: "ADD_MEM_REG", 38: "REM_MEM_REG", 39: "SET_STATUS", 40: "GET_STATUS",
}  # fmt: skip
"""Names of the protocol's requests."""

SHARE = (
    "start QEMU with -object memory-backend-memfd,id=m,size=512M,share=on -numa node,memdev=m "
    "(as many megabytes as -m says)"
)
"""What makes QEMU share the guest's memory."""

_PARTS = {1: "descriptor table", 2: "available ring", 3: "used ring"}
_REGION_ERRORS = {
    1: "has no bytes",
    2: "ends beyond 2^64",
    3: "overlaps another one",
    4: "is one too many",
    5: "ends behind the end of its file",
    6: "cannot be mapped: its descriptor is no file that can be shared",
    7: "was never there, and is to be removed",
}
_PACKED = 1 << BITS["RING_PACKED"]
_SET_PROTOCOL_FEATURES, _SET_VRING_BASE = 16, 10


def request_name(request: int) -> str:
    """A request's name and number, or its number alone."""
    return f"{REQUESTS[request]} ({request})" if request in REQUESTS else f"request {request}"


def told(trouble: Trouble, a: int, b: int) -> str:
    """One line about it; ``a`` and ``b`` are those of ``Session.trouble``."""
    return _WORDS[trouble](a, b)


def silence(view: View) -> str:
    """One line that says how far a front-end came from which no chain was seen; "" if some were."""
    if any(queue.counts.chains for queue in view.queues):
        return ""
    if any(queue.started and queue.counts.kicks for queue in view.queues):
        return (
            "queues run and kicks come, but nothing is published in the memory that is shared: the guest "
            f"has a private copy of it (share=off?); {SHARE}"
        )
    if any(queue.started for queue in view.queues):
        return "queues run, but the driver has neither kicked nor published anything"
    if not view.messages:
        return "the front-end connected and sent nothing"
    if not view.features_known:
        return (
            "the front-end asked what is offered and never accepted features: its driver did not begin "
            "to use the device (is there a driver in the guest, and was it given time to boot?)"
        )
    if not view.regions:
        return (
            "the front-end accepted features, but shares no memory and never set up a queue: "
            f"{SHARE}; other front-ends need memory in a file that can be shared"
        )
    if not any(queue.size for queue in view.queues):
        return "the front-end shares memory, but never set up a queue"
    missing = [number for number, queue in enumerate(view.queues) if queue.size and not queue.kick_fd]
    if missing:
        return f"the front-end set up queue {missing[0]}, but gave no descriptor for its kicks"
    return "the front-end began to set up its queues, and never started one"


def _torn(a: int, b: int) -> str:
    return f"the front-end went away in the middle of a message: {a} of {b} bytes had come"


def _fds(a: int, b: int) -> str:
    needed, got = unpair(b)
    return f"{request_name(a)} came with {_descriptors(got)}, and needs {needed or 'none'}"


def _descriptors(count: int) -> str:
    return f"{count} file descriptor{'' if count == 1 else 's'}"


def _request(a: int, b: int) -> str:
    if a == _SET_PROTOCOL_FEATURES and b:
        return f"{request_name(a)} accepts protocol features that were not offered: mask {b:#x}"
    if a == _SET_VRING_BASE and b:
        return f"{request_name(a)} gives {b:#x}, which is no index of a split ring: it has more than 16 bits"
    return f"{request_name(a)} is not offered by this device, and cannot be refused by a reply"


def _regions(a: int, b: int) -> str:
    if not a:
        return f"SET_MEM_TABLE (5) shares no memory region: {SHARE}"
    return f"SET_MEM_TABLE (5) has {a} memory regions; at most {b} are possible"


def _memory(a: int, b: int) -> str:
    region, error = unpair(a)
    why = _REGION_ERRORS.get(error, f"cannot be taken (error {error})")
    return f"memory region {region}, at guest address {b:#x}, {why}"


def _not_shared(a: int, _: int) -> str:
    return f"the front-end set up queue {a}, but shares no memory: {SHARE}"


def _address(a: int, b: int) -> str:
    queue, part = unpair(a)
    name = _PARTS.get(part, f"part {part}")
    return (
        f"the {name} of queue {queue}, at the front-end's address {b:#x}, is not in the memory that it shares"
    )


def _features(a: int, b: int) -> str:
    odd = a & ~b
    if odd & _PACKED:
        return (
            "the front-end accepted packed rings, which were not offered: only split rings are tested "
            "(QEMU: leave out packed=on; DPDK: packed_vq=0)"
        )
    return f"the front-end accepted features that were not offered: {', '.join(names(odd))}"


def _no_memory(a: int, _: int) -> str:
    return "this process has no memory left" + (f" to serve {request_name(a)}" if a else "")


def _system_error(number: int) -> str:
    return os.strerror(number) if 0 < number < 4096 else f"error {number}"


def _socket(a: int, b: int) -> str:
    why = _system_error(a)
    during = f" while {request_name(b)} was answered" if b else ""
    return f"the connection failed{during}: {why}"


def _eventfd(a: int, b: int) -> str:
    why = f" ({_system_error(b)})" if b else ""
    return f"{request_name(a)} came with a descriptor that is no eventfd{why}"


_WORDS: dict[Trouble, Callable[[int, int], str]] = {
    Trouble.NONE: lambda *_: "nothing is wrong",
    Trouble.TORN: _torn,
    Trouble.SIZE: lambda a, b: f"{request_name(a)} has a payload of {b} bytes, which is not its size",
    Trouble.TOO_LONG: lambda a, b: f"{request_name(a)} claims a payload of {b} bytes; no message is so long",
    Trouble.VERSION: lambda a, b: (
        f"{request_name(a)} has flags {b:#x}, which are not a request of version 1 "
        "(does something else than vhost-user speak on this socket?)"
    ),
    Trouble.FDS: _fds,
    Trouble.REQUEST: _request,
    Trouble.QUEUE: lambda a, b: f"{request_name(a)} is for queue {b}, which the device does not have",
    Trouble.REGIONS: _regions,
    Trouble.MEMORY: _memory,
    Trouble.NOT_SHARED: _not_shared,
    Trouble.ADDRESS: _address,
    Trouble.QUEUE_SIZE: lambda a, b: f"queue {a} has size {b}, which no split ring here may have",
    Trouble.FEATURES: _features,
    Trouble.STILL_RUNS: lambda a, b: (
        f"{request_name(a)} changed what queue {b} rests on while it was running"
    ),
    Trouble.MEMORY_GONE: lambda *_: "the front-end made the file of its memory shorter while it was shared",
    Trouble.NO_MEMORY: _no_memory,
    Trouble.SOCKET: _socket,
    Trouble.NOT_AN_EVENTFD: _eventfd,
}
