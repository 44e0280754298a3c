"""What passes between driver, ring and device in a step, and with the network stack, in order.

The lane picture and the sequence diagram say the same happenings, each in its own way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .scene import Step

STACK, DRIVER, RING, DEVICE = "stack", "driver", "ring", "device"
PARTIES = (STACK, DRIVER, RING, DEVICE)
_MOST_ACCESSES = 8
_RING_READERS = frozenset(
    ("get", "get_buf", "poll", "enable_cb", "enable_cb_prepare", "enable_cb_delayed", "read", "net_read")
)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that goes from one party to another; what a party does by itself goes to itself.

    ``bad`` marks what went wrong, ``answer`` what comes back.
    """

    source: str
    target: str
    words: str
    bad: bool = False
    answer: bool = False


def happenings(step: Step, kind: str) -> Iterator[Happening]:
    """What passes in a step, ``kind`` is the scene's; at least one for every step but the creation."""
    if kind == "network":
        yield from _network(step)
    else:
        yield from _queue(step)


def _records(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = values.get(name)
    if not isinstance(found, Sequence) or isinstance(found, str):
        return []
    return [each for each in found if isinstance(each, Mapping)]


def _record(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(record: Mapping[str, Any], name: str) -> int:
    found = record.get(name, 0)
    return found if isinstance(found, int) else 0


# -- a virtqueue -----------------------------------------------------------------------------------------


def _queue(step: Step) -> Iterator[Happening]:
    if step.lane == "init":
        yield Happening(DRIVER, DRIVER, step.words)
        return
    actor = DEVICE if step.lane == "device" else DRIVER
    result = _record(step.values, "observed" if step.differences else "result")
    notifies = _number(result, "notifies")
    if step.action == "kick":
        if notifies:
            yield Happening(DRIVER, DEVICE, _with(step.words, step.outcome))
        else:
            yield Happening(DRIVER, DRIVER, _with(step.words, step.outcome))
        return
    due = step.action == "complete" and bool(result.get("length"))
    yield Happening(actor, RING, step.words)
    if due:
        yield Happening(DEVICE, DRIVER, "interrupt due")
    elif step.outcome:
        failed = _number(result, "status") < 0
        answers = step.action in _RING_READERS or failed
        if notifies and not answers:
            yield Happening(DRIVER, DEVICE, step.outcome)
        else:
            yield Happening(RING, actor, step.outcome, answer=True)


def _with(words: str, outcome: str) -> str:
    return f"{words}: {outcome}" if outcome else words


# -- a network driver ------------------------------------------------------------------------------------


def _network(step: Step) -> Iterator[Happening]:
    values, device = step.values, step.lane == "device"
    if step.lane == "init":
        yield Happening(DRIVER, DRIVER, step.words)
        return
    status = _number(_record(values, "result"), "status")
    failed = status < 0
    if device:
        yield Happening(DEVICE, RING, step.words)
    else:
        yield Happening(STACK, DRIVER, step.words)
    journey = _record(values, "journey")
    for sent in _records(journey, "sent"):
        yield from _sent(sent)
    for read in _records(journey, "read"):
        words = f"frame {read.get('frame')} at head {read.get('head')}: {read.get('bytes')} bytes"
        yield Happening(RING, DEVICE, words, answer=True)
    for change in step.changes:
        if change.variable == "header":
            # Its fields have no room between two lanes; the changes of the step have them.
            yield Happening(RING, DEVICE, f"{change.name} {change.new.partition(':')[0]}", answer=True)
    for used in _records(journey, "used"):
        words = f"frame {used.get('frame')} at head {used.get('head')} used, used_idx {used.get('used_idx')}"
        yield Happening(DEVICE, RING, words)
    accesses = _records(values, "registers")
    for access in accesses[:_MOST_ACCESSES]:
        name, value, write = access.get("register"), access.get("value"), bool(access.get("write"))
        if write:
            yield Happening(DRIVER, DEVICE, f"{name} := {_shown(value)}")
        else:
            yield Happening(DEVICE, DRIVER, f"{name} = {_shown(value)}", answer=True)
    if len(accesses) > _MOST_ACCESSES:
        yield Happening(DRIVER, DEVICE, f"{len(accesses) - _MOST_ACCESSES} more accesses")
    if step.action == "net_complete" and _number(_record(values, "result"), "length"):
        yield Happening(DEVICE, DRIVER, "interrupt due")
    for event in _records(values, "events"):
        yield Happening(DRIVER, STACK, _event(event))
    if failed:
        yield Happening(DRIVER, STACK, step.outcome or str(status), bad=True, answer=True)


def _sent(sent: Mapping[str, Any]) -> Iterator[Happening]:
    frame, reason = sent.get("frame"), sent.get("reason")
    if sent.get("outcome") == "queued":
        words = f"frame {frame} in slot {sent.get('slot')}, head {sent.get('head')}"
        yield Happening(DRIVER, RING, f"{words}, avail_idx {sent.get('avail_idx')}")
    elif reason:
        yield Happening(DRIVER, STACK, f"frame {frame} {sent.get('outcome')}: {reason}", bad=True)
    else:
        yield Happening(DRIVER, STACK, f"frame {frame} {sent.get('outcome')}")


def _event(event: Mapping[str, Any]) -> str:
    kind, value = str(event.get("kind")), event.get("value")
    if kind in ("STOPPED", "STARTED", "WOKEN"):
        return f"transmit queue {value} {kind.lower()}"
    return f"frame {value} {kind.lower()}"


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0xFFFF:
        return f"{value:#x}"
    return str(value)
