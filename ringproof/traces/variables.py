"""What a state of a trace shows: the fields of a queue and its device, and operations by name."""

from collections.abc import Mapping
from typing import Any

from ..impl.harness.operations import Code, Op, OpFlag, Result
from ..impl.harness.reference_runner import QueueConfig, ReferenceRunner
from .document import FEATURE_NAMES, TraceState

LARGEST_SHOWN_QUEUE = 64
"""Up to this queue size a state holds the tables entry by entry; beyond, only the indices and counts."""

RESULT_FIELDS = ("status", "notifies", "token", "length")
DETAILED_RESULT_FIELDS = (
    *RESULT_FIELDS,
    *("avail_idx", "used_idx", "avail_flags", "used_event", "num_free", "callbacks"),
)

_ACTIONS = {code: code.name.lower() for code in Code}


def action_name(op: Op) -> str:
    """The action of an operation: its code's name in lower case."""
    return _ACTIONS[Code(op.code)]


def lane(op: Op) -> str:
    """Who acts in an operation: driver, device or both."""
    if op.code >= Code.ROUNDS:
        return "both"
    return "device" if op.code >= Code.READ else "driver"


def arguments(op: Op) -> dict[str, int | bool]:
    """The arguments of an operation by name, those it does not take left out."""
    found: dict[str, int | bool] = {}
    match op.code:
        case Code.ADD:
            found = {"out_segments": op.a, "in_segments": op.in_}
        case Code.READ:
            found = {"limit": op.a}
        case Code.COMPLETE:
            found = {"pick": op.a, "stride": op.b, "count": op.c}
        case Code.SET_FLAGS | Code.SET_AVAIL_EVENT:
            found = {"value": op.a}
        case Code.ROUNDS:
            found = {"rounds": op.a, "kick": not op.flags & OpFlag.NO_KICK}
        case Code.MISCHIEF:
            found = {"manner": op.a, "which": op.b, "number": op.c}
        case _:
            pass
    for flag, name in (
        (OpFlag.FAIL_ALLOC, "fail_alloc"),
        (OpFlag.NULL_TOKEN, "null_token"),
        (OpFlag.RELATIVE, "relative"),
    ):
        if op.flags & flag:
            found[name] = True
    return found


def result_fields(result: Result | None, *, detailed: bool = False) -> dict[str, int]:
    """The fields of a result that a reader wants, or nothing for an operation that had none."""
    if result is None:
        return {}
    return {name: getattr(result, name) for name in (DETAILED_RESULT_FIELDS if detailed else RESULT_FIELDS)}


def register_log(config: QueueConfig, result: Result | None) -> list[dict[str, Any]]:
    """The register accesses of an operation: each notification is one 16-bit write of the queue's index.

    ``times`` is how often the access was made; only rounds make it more than once.
    """
    if result is None or not result.notifies:
        return []
    return [
        {
            "access": "write",
            "register": "queue_notify",
            "width": 2,
            "value": config.queue_index,
            "times": result.notifies,
        }
    ]


def variables(runner: ReferenceRunner) -> dict[str, Any]:
    """The state of a queue and its device: ring memory, the driver's fields, the device's.

    ``data`` has the token of each head, 0 for none; ``in_flight`` the heads the device holds; ``read_idx`` is
    the index of the next entry it will read. Tables only up to LARGEST_SHOWN_QUEUE, with an entry for each
    descriptor and slot of the reference's queue.
    """
    queue, device, size = runner.queue, runner.device, runner.config.reference_size
    found: dict[str, Any] = {
        "avail_idx": queue.avail.idx,
        "used_idx": queue.used.idx,
        "last_used_idx": queue.last_used_idx,
        "avail_flags": queue.avail.flags,
        "used_flags": queue.used.flags,
        "used_event": queue.avail.used_event,
        "avail_event": queue.used.avail_event,
        "free_head": queue.free_head,
        "num_free": queue.num_free,
        "num_added": queue.num_added,
        "broken": queue.broken,
        "read_idx": device.next_avail,
        "in_flight": [chain.head for chain in device.in_flight],
        "notifications": runner.notifications,
    }
    if size <= LARGEST_SHOWN_QUEUE:
        found |= {
            "next": list(queue.desc.next[:size]),
            "flags": list(queue.desc.flags[:size]),
            "data": [0 if token is None else token for token in queue.data],
            "avail_ring": list(queue.avail.ring[:size]),
            "used_ring": list(queue.used.id[:size]),
        }
    return found


def initial_state(runner: ReferenceRunner, extra: Mapping[str, Any] | None = None) -> TraceState:
    """State 0 of a trace: the queue as it was created."""
    return TraceState(
        "init", "create", {}, {"result": {}, "registers": [], **(extra or {}), **variables(runner)}
    )


def state_after(
    op: Op, runner: ReferenceRunner, result: Result | None, extra: Mapping[str, Any] | None = None
) -> TraceState:
    """The state after ``op``; ``result`` is None if it did not end. ``extra`` are further variables."""
    told = {"result": result_fields(result), "registers": register_log(runner.config, result)}
    values = {**told, **(extra or {}), **variables(runner)}
    return TraceState(lane(op), action_name(op), arguments(op), values)


def describe(config: QueueConfig) -> str:
    """A configuration in words: "queue of 4, EVENT_IDX, legacy layout, profile linux-3.11"."""
    features = [name for name, bit in FEATURE_NAMES.items() if config.features & bit]
    parts = [
        f"queue of {config.queue_size}",
        *features,
        f"{config.layout} layout",
        f"profile {config.profile}",
    ]
    if not config.has_callback:
        parts.append("no callback")
    return ", ".join(parts)
