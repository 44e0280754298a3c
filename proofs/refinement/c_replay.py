"""Counterexamples of compiled code, replayed natively: a call of the library, and what the model says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...model.size import OneSize
from ...model.steps.queue import Steps
from ..symbolic.ir import Module
from ..symbolic.values import Object
from .c_cutting import CURSOR
from .c_memory import Memory

SECONDS = 10.0
"""How long a call may take before it counts as endless."""

_CALLS: dict[str, tuple[str | None, tuple[tuple[str, str], ...]]] = {
    "rp_vq_add": (
        "c_uint32",
        (("c_void_p", "cursor"), ("c_uint32", "outs"), ("c_uint32", "ins"), ("c_void_p", "token")),
    ),
    "rp_vq_kick_prepare": ("c_bool", ()),
    "rp_vq_notify": (None, ()),
    "rp_vq_kick": (None, ()),
    "rp_vq_get_buf": ("c_uint32", (("c_void_p", "@token"), ("c_void_p", "@length"))),
    "rp_vq_disable_cb": (None, ()),
    "rp_vq_enable_cb_prepare": ("c_uint16", ()),
    "rp_vq_poll": ("c_bool", (("c_uint16", "mark"),)),
    "rp_vq_enable_cb": ("c_bool", ()),
    "rp_vq_enable_cb_delayed": ("c_bool", ()),
    "rp_vq_interrupt": ("c_bool", ()),
    "rp_vq_detach_unused_buf": ("c_void_p", ()),
}
"""What a function returns, and its arguments after the queue by name: given ones, or outputs (@)."""

_OUTPUTS: dict[str, list[Any]] = {"token": [0, 8, 8, 1], "length": [0, 4, 4, 1]}
_POINTERS = [["vq", name, name] for name in ("desc", "avail", "used", "data", "ops")]


def replay(
    counterexample: dict[str, Any], library: Path, module: Module, *, seconds: float = SECONDS
) -> str | None:
    """Return one line saying what the library does wrong where the counterexample says so, or none.

    ``module`` is the IR of the same sources, for the places of struct fields. What can't be replayed is said,
    too, in a line that begins with "cannot be replayed": a fence that is missing, or words that change
    between two reads of one call.
    """
    why = _unfit(counterexample)
    if why:
        return f"cannot be replayed: {why}"
    order = _order(counterexample, library, module)
    said = _called(counterexample, order, seconds)
    other = _unread(counterexample, order["before"]["used"])
    if said is None and other:
        order["before"]["used"] = {**order["before"]["used"], **other}
        said = _called(counterexample, order, seconds)
        if said is not None:
            said += f" (with other values in words the model does not read: used.{', used.'.join(other)})"
    return said


def _called(counterexample: dict[str, Any], order: dict[str, Any], seconds: float) -> str | None:
    """Make the call in a process of its own, and say what is wrong with it, or none."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("c_native.py"))]
    try:
        done = subprocess.run(
            command, input=json.dumps(order), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"does not return within {seconds:.0f} s"
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}"
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return f"cannot be replayed: {said[-1] if said else f'the call ends with {done.returncode}'}"
    return next(_faults(counterexample, json.loads(done.stdout)), None)


def _unread(counterexample: dict[str, Any], used: dict[str, Any]) -> dict[str, Any]:
    """Return other values for the device's words that the model does not read: nothing may depend on them."""
    read = {word.partition(".")[2].partition("[")[0] for word, _ in counterexample["reads"]}
    other = {
        "flags": used["flags"] ^ 1,
        "idx": (used["idx"] + 1) % (1 << 16),
        "avail_event": [(each + 1) % (1 << 16) for each in used["avail_event"]],
    }
    return {name: value for name, value in other.items() if name not in read}


def _unfit(counterexample: dict[str, Any]) -> str:
    """Return why a counterexample can't be replayed, or an empty text."""
    if any(": fence: " in each for each in counterexample["wrong"]):
        return "the order of accesses can't be seen from within"
    if counterexample["expected"] is None:
        return str(counterexample["unfollowed"])
    read: dict[str, int] = {}
    for word, value in counterexample["reads"]:
        if read.setdefault(word, value) != value:
            return f"{word} is read as {read[word]} and then as {value}"
    if counterexample["disturbed"]:
        return "an interrupt comes between two accesses"
    return ""


# What is asked of the process.


def _order(counterexample: dict[str, Any], library: Path, module: Module) -> dict[str, Any]:
    size = counterexample["queue_size"]
    told = counterexample["expected"]["told"]
    given = {**counterexample["arguments"], "cursor": CURSOR}
    memory = Memory(module, Steps(OneSize(size)))
    objects = (memory.vq, memory.desc, memory.avail, memory.used, memory.data, memory.ops)
    layout = {made.name: _layout(made) for made in objects}
    layout |= {name: {"value": at} for name, at in _OUTPUTS.items()}
    segments = list(zip(given.get("segment_addr", ()), given.get("segment_len", ()), strict=True))
    if counterexample["memory"] and segments:
        entries = {name: [*at[:3], len(segments)] for name, at in layout["desc"].items()}
        layout["table"] = entries
    returns, arguments = _CALLS[counterexample["operation"]]
    before = {name: dict(held) for name, held in counterexample["before"].items()}
    for word, value in counterexample["reads"]:
        name, _, place = word.partition(".")[2].partition("[")
        held = before["used"][name]
        if isinstance(held, list):
            held[0 if name == "avail_event" else int(place.rstrip("]"))] = value
        else:
            before["used"][name] = value
    # An array's place is told of index 0, and avail_event has only the one behind the ring.
    at, width, stride, _ = layout["used"]["avail_event"]
    layout["used"]["avail_event"] = [at + stride * size, width, stride, 1]
    after = counterexample["expected"]["after"]
    called_back = [("avail", "flags", after["avail"]["flags"]), ("vq", "callbacks", after["vq"]["callbacks"])]
    return {
        "library": str(library.resolve()),
        "function": counterexample["operation"],
        "returns": returns,
        "arguments": [
            ["c_void_p", "vq"],
            *([kind, name[1:] if name.startswith("@") else given[name]] for kind, name in arguments),
        ],
        "layout": layout,
        "before": before,
        "pointers": _POINTERS,
        "segments": segments,
        "table": given.get("table", 0),
        "cursor": CURSOR,
        "called_back": called_back if ["callback"] in told else [],
    }


def _layout(made: Object) -> dict[str, list[Any]]:
    return {
        field.name: [field.offset.constant, field.bytes, field.stride, int(field.count)]
        for field in made.fields
    }


# What is said of its account.


def _faults(counterexample: dict[str, Any], account: dict[str, Any]) -> Iterator[str]:
    expected = counterexample["expected"]
    function = counterexample["operation"]
    for name, at in account["spilt"].items():
        yield f"{function} writes outside of {name}, at byte {at}"
    for name in account["changed"]:
        yield f"{function} changes {name}, which is not its own"
    if account["told"] != expected["told"]:
        yield f"{function} tells {_story(account['told'])}, but the model {_story(expected['told'])}"
    if expected["result"] is not None and account["result"] != expected["result"]:
        said, should = (_signed(function, each) for each in (account["result"], expected["result"]))
        yield f"{function} returns {said}, but the model {should}"
    for name, value in expected["outputs"].items():
        (given,) = account["after"][name]["value"]
        if given != value:
            yield f"{function} gives the {name} {given}, but the model {value}"
    after = account["after"]
    made = account["table"]
    for name, held in expected["after"].items():
        for field, value in held.items():
            wanted = value if isinstance(value, list) else [value]
            for i, (is_, should) in enumerate(zip(after[name][field], wanted, strict=True)):
                # Where the table came to lie is the allocator's affair; that it is this one, is not.
                same = is_ == should or (field == "table" and bool(made) and is_ == made and should)
                if should is not None and not same:
                    cell = f"{name}.{field}[{i}]" if isinstance(value, list) else f"{name}.{field}"
                    yield f"{function} leaves {is_} in {cell}, but the model {should}"


def _signed(function: str, result: int) -> int:
    """Return a result as C has it: errors are negative."""
    return result - (1 << 32) if _CALLS[function][0] == "c_uint32" and result >> 31 else result


def _story(told: list[list[Any]]) -> str:
    return ", ".join(" ".join(map(str, each)) for each in told) or "nothing"
