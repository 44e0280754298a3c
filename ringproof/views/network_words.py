"""How a step of a network driver reads in one line each: what was done, what came of it, what it changed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..journey.document import TraceState
from ..journey.header import ABSENT, FIELDS, flag_words, gso_words
from ..journey.recording import BACK, DROPPED, QUEUED, STOPPED
from ..journey.registers import value_words
from ..journey.terminal import action_words, describe, error_name, event_words
from ..traces.wording import Change

__all__ = ["accused", "action", "changes", "describe", "headers_read", "outcome"]

_MOST_REGISTERS = 6
_MOST_STATES = 1_000  # in which the frame that the device reads is looked for
_WORDS = frozenset(
    (
        *("avail_idx", "used_idx", "avail_flags", "used_flags", "used_event", "avail_event", "num_free"),
        *("stopped", "tx_packets", "tx_bytes", "tx_fifo_errors", "tx_dropped"),
    )
)
"""What changes are about: a change's ``variable`` is one of these, or "queues", "registers" or "header"."""


def accused(violated: str) -> frozenset[str]:
    """The words of queues and counts of drivers that the sentence of a violation names, and the header."""
    named = frozenset(name for name in _WORDS if re.search(rf"\b{name}\b", violated))
    fields = "|".join(("header", "num_buffers", *FIELDS))
    return named | {"header"} if re.search(rf"\b({fields})\b", violated) else named


def action(state: TraceState) -> str:
    """What was done, in words."""
    return "before the driver's probe" if state.lane == "init" else action_words(state)


def outcome(state: TraceState) -> str:
    """What came of it: "queued at head 3, device notified"; empty if there is nothing to say."""
    status, journey = state.values["result"]["status"], state.values["journey"]
    words = [error_name(status)] if status < 0 else []
    words += [_sent(sent) for sent in journey["sent"]]
    words += [f"{_chain(each)}: {each['bytes']:,} bytes" for each in journey["read"]]
    words += [f"{_chain(each)} is used" for each in journey["used"]]
    words += [event_words(event) for event in state.values["events"]]
    return ", ".join(filter(None, words))


def _chain(each: Mapping[str, Any]) -> str:
    return f"frame {each['frame']} at head {each['head']}"


def _sent(sent: Mapping[str, Any]) -> str:
    match sent["outcome"]:
        case str(outcome) if outcome == QUEUED:
            notified = "device notified" if sent["notified"] else "device not notified"
            return f"queued at head {sent['head']}, {notified}"
        case str(outcome) if outcome == DROPPED:
            return f"dropped: {sent['reason']}"
        case str(outcome) if outcome == STOPPED:
            return "the queue is stopped"
        case str(outcome) if outcome == BACK:
            return "published, and given back before the call returned"
        case other:
            return str(other)


def changes(before: TraceState, after: TraceState) -> Iterator[Change]:
    """The words of queues and the counts that differ, queues that came or went, and register accesses.

    An access is no change of a value: its ``old`` is None.
    """
    yield from _numbered(before, after, "queues", "queue")
    yield from _numbered(before, after, "statistics", "pair")
    accesses = after.values["registers"]
    for access in accesses[:_MOST_REGISTERS]:
        verb = "write" if access["write"] else "read"
        value = value_words(access["register"], access["value"])
        yield Change("registers", f"{verb} {access['register']}", None, value)
    if len(accesses) > _MOST_REGISTERS:
        yield Change("registers", "registers", None, f"{len(accesses) - _MOST_REGISTERS} more accesses")


def headers_read(states: Sequence[TraceState], place: int) -> Iterator[Change]:
    """The header of each frame that the device reads in a step, as it was written in one of those before it.

    The step is the one of ``states[place]``.
    """
    for read in states[place].values["journey"]["read"]:
        for earlier in range(place - 1, max(-1, place - 1 - _MOST_STATES), -1):
            journey = states[earlier].values["journey"]
            sent = [each for each in journey["sent"] if each["frame"] == read["frame"]]
            if sent:
                for header in sent[-1]["header"]:
                    yield Change("header", f"header of frame {read['frame']}", None, header_in_words(header))
                break


def header_in_words(header: Mapping[str, Any]) -> str:
    """A header with its length and fields: "has 10 bytes, no num_buffers: flags 0, ..."."""
    told = {name: str(header[name]) for name in FIELDS}
    told |= {"flags": flag_words(header["flags"]), "gso_type": gso_words(header["gso_type"])}
    buffers = header["num_buffers"]
    last = "no num_buffers" if buffers == ABSENT else f"num_buffers {buffers}"
    fields = ", ".join(f"{name} {value}" for name, value in told.items())
    return f"has {len(header['bytes']) // 2} bytes, {last}: {fields}"


def _numbered(before: TraceState, after: TraceState, variable: str, noun: str) -> Iterator[Change]:
    """Changes of records that are told apart by the number under ``noun``."""
    old = {each[noun]: each for each in before.values[variable]}
    new = {each[noun]: each for each in after.values[variable]}
    if variable == "queues":
        for number, record in new.items():
            if number not in old:
                yield Change(variable, f"queue {number}", "none", f"{record['queue_size']} descriptors")
        for number in old:
            if number not in new:
                yield Change(variable, f"queue {number}", "there", "gone")
    for number, record in new.items():
        for name, value in record.items():
            was = old.get(number, {}).get(name, value)
            if was != value:
                yield Change(name, f"{noun} {number} {name}", _value(was), _value(value))


def _value(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
