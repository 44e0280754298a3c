"""How a trace reads: actions, what came of them, and values that changed, in plain text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..impl.harness.operations import NUM_FREE_UNKNOWN, STATUS_UNSUPPORTED
from .document import TraceDocument, TraceState
from .mischief import mischief_in_words

_FLAG_NAMES = ((1, "NEXT"), (2, "WRITE"), (4, "INDIRECT"))
_STATUS = {-28: "ENOSPC", -22: "EINVAL", -12: "ENOMEM", -5: "EBROKEN", -1000: "not supported"}
_NOT_GIVEN = {"status": STATUS_UNSUPPORTED, "num_free": NUM_FREE_UNKNOWN}
_NOT_STATE = frozenset(("result", "expected", "observed", "registers"))

LOOKED_AT: dict[str, tuple[str, ...]] = {
    "bad-ring-never": ("broken",),
    "no-leak-no-double-allocation": ("num_free", "free_head", "next"),
    "chain-well-formed": ("flags", "next"),
    "num-free-exact": ("num_free",),
    "free-list-sound": ("num_free", "free_head", "next"),
    "avail-slot-not-overwritten": ("avail_ring",),
    "used-slot-not-overwritten": ("used_ring",),
    "device-reads-outstanding": ("avail_ring", "in_flight"),
    "token-returned-once": ("used_idx", "last_used_idx", "used_ring"),
    "need-event-exact": ("avail_idx", "avail_event", "notifications"),
    "forced-kick-sufficient": ("num_added",),
    "callbacks-rearmed": ("last_used_idx", "used_event"),
    "full-ring-notifies": ("num_free", "notifications"),
}
"""The variables whose values a violation of a property is about; indices-faithful names its own."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an operation changed, or that is shown although it did not: ``old`` is None then."""

    variable: str
    name: str
    old: str | None
    new: str

    @property
    def said(self) -> str:
        """In one line: "num_free 2 → 1", "num_free 1" where it did not change."""
        return f"{self.name} {self.new}" if self.old is None else f"{self.name} {self.old} → {self.new}"


def accused(document: TraceDocument) -> frozenset[str]:
    """The variables to mark where it broke: those the property is about, or that its sentence names."""
    if not document.states:
        return frozenset()
    names, said = document.states[-1].values, document.violated
    named = {name for name in names if re.search(rf"\b{re.escape(name)}\b", said)}
    marked = frozenset((*named, *LOOKED_AT.get(document.property, ()))) - _NOT_STATE
    seen, wanted = (_fields(document, name) for name in ("observed", "expected"))
    if seen.get("notifies") != wanted.get("notifies"):
        return marked - {"notifications"}  # those are the reference's, with which nothing is wrong
    return marked


def _fields(document: TraceDocument, name: str) -> Mapping[str, Any]:
    found = document.states[-1].values.get(name)
    return found if isinstance(found, Mapping) else {}


def action(state: TraceState) -> str:
    """What was done, in words: "add 2 segments", "read 1 chain", "65,534 rounds: add, read, ..."."""
    args = state.args
    match state.action:
        case "create":
            words = "create the queue"
        case "add":
            out, in_ = _int(args, "out_segments"), _int(args, "in_segments")
            words = f"add {_count(out, 'segment')}"
            if in_:
                words += f", {_count(in_, 'writable one')}"
        case "read":
            limit = _int(args, "limit")
            words = f"read {_count(limit, 'chain')}" if limit else "read every chain"
        case "complete":
            count, pick, stride = _int(args, "count"), _int(args, "pick"), _int(args, "stride")
            words = f"complete {'every chain' if count > 0xFFFF else _count(count, 'chain')}"
            if pick or stride:
                words += f", number {pick} in flight" + (f" and on by {stride}" if stride else "")
        case "set_avail_event" | "set_flags":
            word = "avail_event" if state.action == "set_avail_event" else "used.flags"
            words = f"set {word} to {_int(args, 'value')}"
        case "rounds":
            kick = "kick, " if args.get("kick") else ""
            words = f"{_count(_int(args, 'rounds'), 'round')}: add, {kick}read, complete, get"
        case "mischief":
            words = mischief_in_words(_int(args, "manner"), _int(args, "which"), _int(args, "number"))
        case other:
            words = other
    notes = [note.replace("_", " ") for note in ("relative", "null_token", "fail_alloc") if args.get(note)]
    return f"{words} ({', '.join(notes)})" if notes else words


def outcome(state: TraceState) -> str:
    """What came of it: "token 3", "refused: ENOSPC, device notified"; empty if there is nothing to say.

    Where a driver and the reference differ it is what came of it in the driver.
    """
    if differences(state):
        # The registers of a state are the reference's, and so are their accesses.
        return _outcome(state, state.values["observed"], ())
    return outcome_of_reference(state)


def outcome_of_reference(state: TraceState) -> str:
    """What came of it in the run whose states are shown: the reference's, if one followed the driver."""
    return _outcome(state, state.values.get("result"), _records(state, "registers"))


def _outcome(state: TraceState, result: Any, accesses: Sequence[Mapping[str, Any]]) -> str:
    if not isinstance(result, Mapping) or not result:
        return ""
    status, notifies = _int(result, "status"), _int(result, "notifies")
    words = []
    if status < 0:
        words.append(f"refused: {_STATUS.get(status, str(status))}")
    elif state.action in ("get", "detach_unused"):
        words.append(f"token {_int(result, 'token')}" if status else "nothing")
    elif state.action in ("enable_cb", "enable_cb_delayed", "poll", "interrupt"):
        words.append("true" if status else "false")
    elif state.action == "enable_cb_prepare":
        words.append(f"mark {status}")
    elif state.action == "rounds" and status != state.args.get("rounds"):
        words.append(f"only {status:,} whole")
    if state.action == "complete" and result.get("length"):
        words.append("interrupt due")
    if notifies:
        written = "".join(f" ({_access(entry)})" for entry in accesses)
        words.append(f"device notified{'' if notifies == 1 else f' {notifies:,} times'}{written}")
    elif state.action == "kick" or status == -28:
        words.append("device not notified")
    return ", ".join(words)


def _records(state: TraceState, name: str) -> list[Mapping[str, Any]]:
    entries = state.values.get(name)
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _access(entry: Mapping[str, Any]) -> str:
    """One register access in words, as "queue_notify := 0"."""
    sign = ":=" if entry.get("access") == "write" else "="
    return f"{entry.get('register')} {sign} {entry.get('value')}"


def differences(state: TraceState) -> list[str]:
    """Where a driver's result and the reference's differ: "status: 0, the reference has -28".

    What the driver does not have or does not tell is no difference.
    """
    seen, wanted = state.values.get("observed"), state.values.get("expected")
    if not isinstance(seen, Mapping) or not isinstance(wanted, Mapping) or not wanted:
        return []
    if not seen:
        return ["the driver gave no result"]
    return [
        f"{name}: {seen[name]}, the reference has {value}"
        for name, value in wanted.items()
        if name in seen and seen[name] not in (value, _NOT_GIVEN.get(name))
    ]


def changes(before: TraceState, after: TraceState) -> Iterator[Change]:
    """Every value that differs, tables entry by entry."""
    for name, new in after.values.items():
        old = before.values.get(name)
        if name in _NOT_STATE or old == new:
            continue
        if isinstance(old, Sequence) and isinstance(new, Sequence) and name != "in_flight":
            for place, (one, other) in enumerate(zip(old, new, strict=False)):
                if one != other:
                    yield Change(name, f"{name}[{place}]", value(name, one), value(name, other))
        else:
            yield Change(name, name, value(name, old), value(name, new))


def everything(state: TraceState) -> Iterator[Change]:
    """Every value of a state, as if none had changed."""
    for name, item in state.values.items():
        if name not in _NOT_STATE:
            yield Change(name, name, None, value(name, item))


def value(name: str, item: Any) -> str:
    """One value as text: flags by name, no token as "-"."""
    if isinstance(item, Sequence) and not isinstance(item, str):
        return "[" + " ".join(value(name, entry) for entry in item) + "]"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if name == "flags" and isinstance(item, int):
        return "+".join(word for bit, word in _FLAG_NAMES if item & bit) or "0"
    if name == "data" and item == 0:
        return "-"
    return str(item)


def _int(record: Mapping[str, Any], name: str) -> int:
    found = record.get(name, 0)
    return found if isinstance(found, int) else 0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
