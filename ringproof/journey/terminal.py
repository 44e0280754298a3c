"""A run of a network driver on the terminal: the driver's lane left, the device's right, registers by name.

Either the journey of one frame, from its sk_buff to its being freed, or a whole trace, step by step.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ..impl.harness.net_operations import FEATURE_NAMES, NetConfig
from ..traces.folding import folded, show
from .chain import F_INDIRECT, F_NEXT, F_WRITE
from .document import NO_QUEUE, TraceState
from .header import ABSENT, FIELDS, flag_words, gso_words
from .recording import BACK, DROPPED, QUEUED, STOPPED
from .registers import value_words

_NARROW = 72
_MOST_REGISTERS = 6
_MOST_LENGTHS = 6
_TITLE, _VALUE, _QUIET, _BAD = "bold", "cyan", "dim", "bold red"
_ERRORS = {
    -2: "ENOENT", -12: "ENOMEM", -16: "EBUSY", -19: "ENODEV", -22: "EINVAL", -28: "ENOSPC",
    -90: "EMSGSIZE", -110: "ETIMEDOUT",
}  # fmt: skip
_FLAG_NAMES = ((F_NEXT, "NEXT"), (F_WRITE, "WRITE"), (F_INDIRECT, "INDIRECT"))
_DRIVER, _DEVICE = "driver", "device"
_EVENTS = {
    "STOPPED": "transmit queue {} stopped",
    "STARTED": "transmit queue {} started",
    "WOKEN": "transmit queue {} woken",
}


class Line(NamedTuple):
    """One line before it is folded: whose lane, how deep, what, and how it looks."""

    lane: str
    depth: int
    text: str
    style: str = ""


def error_name(status: int) -> str:
    """The name of an error below zero, or its number."""
    return _ERRORS.get(status, str(status))


def describe(config: NetConfig) -> str:
    """A configuration in words: "queues of 256, legacy transport, profile virtio-1.x, offers CSUM"."""
    features = [name for name, bit in FEATURE_NAMES.items() if config.offered & bit]
    parts = [f"queues of {config.queue_size}", f"{config.transport} transport", f"profile {config.profile}"]
    if config.pairs > 1:
        parts.append(f"{config.pairs} queue pairs")
    parts.append(f"offers {' '.join(features) if features else 'no features'}")
    return ", ".join(parts)


def render_journey(states: Sequence[TraceState], frame: int, console: Console) -> None:
    """Print the journey of the frame with this number, as far as the states show it."""
    show(_laid_out(_journey_lines(states, frame), max(console.width, 40)), console)


def _laid_out(lines: Iterable[Line], width: int) -> Iterator[Text]:
    """Lines as text, each at most ``width`` columns; a narrow terminal has one lane, named in each title."""
    device = width * 5 // 8 if width >= _NARROW else 0
    if device:
        yield Text("driver".ljust(device) + "device", style=_QUIET)
    for line in lines:
        right = line.lane == _DEVICE and device
        at = (device if right else 0) + line.depth
        text = line.text
        if not device and line.depth == 0 and line.lane == _DEVICE:
            text = f"device: {text}"
        yield from folded(text, at, width, line.style, hang=4)


# -- a frame -------------------------------------------------------------------------------------------


def _journey_lines(states: Sequence[TraceState], frame: int) -> Iterator[Line]:
    """What became of one frame, in order."""
    for number, state in enumerate(states):
        journey = state.values["journey"]
        before = states[number - 1] if number else None
        for sent in journey["sent"]:
            if sent["frame"] == frame:
                yield from _sk_buff(sent)
                yield from _xmit(sent, state, before)
        for read in journey["read"]:
            if read["frame"] == frame:
                yield from _read(read)
        for used in journey["used"]:
            if used["frame"] == frame:
                yield from _used(used, state)
        if frame in journey["freed"] and not any(sent["frame"] == frame for sent in journey["sent"]):
            yield from _freed(frame, state)


def _sk_buff(sent: Mapping[str, Any]) -> Iterator[Line]:
    skb = sent["sk_buff"]
    yield Line(_DRIVER, 0, f"sk_buff of frame {sent['frame']}: {skb['length']:,} bytes", _TITLE)
    yield from _packet(skb["packet"], 2)
    if skb["checksum"]:
        yield Line(
            _DRIVER, 2, f"checksum: by the device, from byte {skb['csum_start']}, "
            f"stored {skb['csum_offset']} bytes behind it",
        )  # fmt: skip
    if skb["gso"] != "NONE":
        ecn = ", ECN" if skb["ecn"] else ""
        yield Line(_DRIVER, 2, f"segmentation: {skb['gso']}, {skb['gso_size']:,} bytes of payload each{ecn}")
    elif skb["ecn"]:
        yield Line(_DRIVER, 2, "ECN")
    if skb["recorded_queue"] != NO_QUEUE or skb["cpu"]:
        recorded = skb["recorded_queue"]
        origin = f"receive queue {recorded}" if recorded != NO_QUEUE else f"processor {skb['cpu']}"
        yield Line(_DRIVER, 2, f"from {origin}, so transmit queue {sent['pair']}")


def _packet(packet: Mapping[str, Any], depth: int) -> Iterator[Line]:
    head = packet["head"]
    yield Line(_DRIVER, depth, _memory("linear part", head["address"], head["length"]))
    for number, fragment in enumerate(packet["fragments"]):
        where = fragment["page"] + fragment["offset"]
        line = _memory(f"fragment {number}", where, fragment["length"])
        yield Line(_DRIVER, depth, f"{line}  (offset {fragment['offset']} in its page)")
    for number, following in enumerate(packet["packets"]):
        yield Line(_DRIVER, depth, f"packet {number} of its list")
        yield from _packet(following, depth + 2)


def _memory(name: str, address: int, length: int) -> str:
    return f"{name:<12} {length:>6,} bytes at {address:#x}"


def _xmit(sent: Mapping[str, Any], state: TraceState, before: TraceState | None) -> Iterator[Line]:
    yield Line(_DRIVER, 0, f"start_xmit on transmit queue {sent['pair']}", _TITLE)
    if sent["outcome"] == STOPPED:
        yield Line(_DRIVER, 2, "the queue is stopped: the stack keeps the frame back")
        return
    for other in sent["reclaimed"]:
        yield Line(_DRIVER, 2, f"free_old_xmit_skbs: frame {other} is freed")
    if sent["outcome"] == DROPPED:
        yield Line(_DRIVER, 2, f"dropped: {sent['reason']}", _BAD)
        yield Line(_DRIVER, 2, "counted in tx_dropped and tx_fifo_errors; the frame is freed")
        return
    if sent["outcome"] == BACK:
        yield Line(_DRIVER, 2, "the device has completed the frame before the notification returned")
        yield from _registers(state.values["registers"])
        yield from _events(state)
        return
    yield Line(_DRIVER, 0, "xmit_skb", _TITLE)
    yield Line(_DRIVER, 2, "scatterlist          page  offset  length")
    for number, entry in enumerate(sent["scatterlist"]):
        what = "  virtio header" if number == 0 else "  end" if entry["end"] else ""
        yield Line(
            _DRIVER, 2, f"{number:>3}  {entry['page']:#16x}  {entry['offset']:>6}  {entry['length']:>6}{what}"
        )
    for header in sent["header"]:
        yield from _header(header)
    yield Line(_DRIVER, 0, "virtqueue_add", _TITLE)
    yield from _chain(sent)
    yield Line(
        _DRIVER, 2, f"avail.ring[{sent['slot']}] = {sent['head']}, then avail_idx = {sent['avail_idx']}"
    )
    yield from _free(sent["queue"], state, before)
    yield Line(_DRIVER, 0, "virtqueue_kick", _TITLE)
    accesses = list(_registers(state.values["registers"]))
    yield from accesses or [Line(_DRIVER, 2, "not needed: the device has not asked to be told of this chain")]
    yield from _events(state)


def _header(header: Mapping[str, Any]) -> Iterator[Line]:
    spaced = " ".join(header["bytes"][at : at + 2] for at in range(0, len(header["bytes"]), 2))
    yield Line(_DRIVER, 2, f"virtio_net_hdr at {header['address']:#x}: {spaced}")
    words = {name: str(header[name]) for name in FIELDS}
    words["flags"], words["gso_type"] = flag_words(header["flags"]), gso_words(header["gso_type"])
    if header["num_buffers"] != ABSENT:
        words["num_buffers"] = str(header["num_buffers"])
    yield Line(_DRIVER, 5, ", ".join(f"{name} {value}" for name, value in words.items()), _VALUE)


def _chain(sent: Mapping[str, Any]) -> Iterator[Line]:
    """The chain as a drawing: each descriptor under the one that leads to it."""
    yield Line(_DRIVER, 2, f"head {sent['head']}")
    for number, descriptor in enumerate(sent["descriptors"]):
        last = number == len(sent["descriptors"]) - 1
        yield Line(_DRIVER, 2, _descriptor(descriptor, last), _VALUE)
    for number, entry in enumerate(sent["table"]):
        last = number == len(sent["table"]) - 1
        yield Line(_DRIVER, 6, _descriptor(entry, last), _VALUE)


def _descriptor(descriptor: Mapping[str, Any], last: bool) -> str:
    flags = " ".join(name for bit, name in _FLAG_NAMES if descriptor["flags"] & bit)
    goes_on = f" {descriptor['next']}" if descriptor["flags"] & F_NEXT else ""
    branch = "`-" if last else "|-"
    memory = f"{descriptor['address']:#x} {descriptor['length']:>6,} bytes"
    return f"{branch}[{descriptor['number']:>3}] {memory}  {flags}{goes_on}".rstrip()


def _free(queue: int, state: TraceState, before: TraceState | None) -> Iterator[Line]:
    """How many descriptors are free, after and before."""
    (now,) = [each["num_free"] for each in state.values["queues"] if each["queue"] == queue] or [None]
    was = [each["num_free"] for each in (before.values["queues"] if before else ()) if each["queue"] == queue]
    if now is not None:
        yield Line(_DRIVER, 2, f"num_free {f'{was[0]} -> ' if was else ''}{now}")


def _read(read: Mapping[str, Any]) -> Iterator[Line]:
    yield Line(_DEVICE, 0, f"reads the chain at head {read['head']}", _TITLE)
    yield Line(_DEVICE, 2, f"{read['bytes']:,} bytes, header first")
    lengths = read["leaves"]
    if len(lengths) == 1:
        yield Line(_DEVICE, 2, f"sends a frame of {lengths[0]:,} bytes")
    elif lengths:
        shown = [f"{length:,}" for length in lengths[:_MOST_LENGTHS]]
        shown += ["..."] * (len(lengths) > _MOST_LENGTHS)
        yield Line(_DEVICE, 2, f"sends {len(lengths)} frames of {', '.join(shown)} bytes")
    else:
        yield Line(_DEVICE, 2, "cannot send it: the header does not fit the frame", _BAD)


def _used(used: Mapping[str, Any], state: TraceState) -> Iterator[Line]:
    size = next((q["queue_size"] for q in state.values["queues"] if q["queue"] == used["queue"]), 1)
    slot = (used["used_idx"] - 1) & (size - 1)
    yield Line(_DEVICE, 0, "has used it", _TITLE)
    yield Line(_DEVICE, 2, f"used.ring[{slot}] = {used['head']}, then used_idx = {used['used_idx']}")
    due = state.values["result"]["length"]
    yield Line(_DEVICE, 2, "interrupt: due" if due else "interrupt: not asked for")


def _freed(frame: int, state: TraceState) -> Iterator[Line]:
    where = {
        "xmit": "start_xmit of a later frame",
        "interrupt": "vp_interrupt, skb_xmit_done",
        "remove": "virtnet_remove",
    }.get(state.action, state.action)
    yield Line(_DRIVER, 0, where, _TITLE)
    if state.action == "interrupt":
        yield from _registers(state.values["registers"])
    how = "detach_unused_buf" if state.action == "remove" else "get_buf, free_old_xmit_skbs"
    yield Line(_DRIVER, 2, f"{how}: frame {frame} is freed")
    for each in state.values["statistics"]:
        if state.action != "remove" and len(state.values["statistics"]) == 1:
            counts = f"tx_packets {each['tx_packets']:,}, tx_bytes {each['tx_bytes']:,}"
            yield Line(_DRIVER, 2, counts, _VALUE)
    if state.action == "interrupt":
        yield from _events(state)


def _events(state: TraceState) -> Iterator[Line]:
    for event in state.values["events"]:
        if event["kind"] == "ORPHANED":
            yield Line(_DRIVER, 0, "skb_orphan", _TITLE)
        elif event["kind"] in _EVENTS:
            yield Line(_DRIVER, 2, _EVENTS[event["kind"]].format(event["value"]))


def _registers(accesses: Sequence[Mapping[str, Any]], most: int = 1 << 30) -> Iterator[Line]:
    for access in accesses[:most]:
        verb = "write" if access["write"] else "read "
        words = value_words(access["register"], access["value"])
        if access["register"] == "device_status" and access["write"] and not access["value"]:
            words = "0 (reset)"
        yield Line(_DRIVER, 2, f"{verb} {access['register']} ({8 * access['width']} bits): {words}", _VALUE)
    if len(accesses) > most:
        yield Line(_DRIVER, 2, f"... {len(accesses) - most} more accesses, shown with --all", _QUIET)


# -- a trace -------------------------------------------------------------------------------------------


def step_details(values: Mapping[str, Any], *, all: bool) -> Iterator[Line]:
    """What happened in a step, from the variables after it: frames, register accesses and events.

    With ``all`` the chains of frames too, and every access. Depths count from the step's own lines.
    """
    journey = values["journey"]
    for sent in journey["sent"]:
        if all and sent["outcome"] == QUEUED:
            yield from (Line(line.lane, line.depth - 1, line.text) for line in _chain(sent))
        elif sent["outcome"] == DROPPED:
            yield Line(_DRIVER, 0, f"dropped: {sent['reason']}", _BAD)
        elif sent["outcome"] == STOPPED:
            yield Line(_DRIVER, 0, "the queue is stopped")
        elif sent["outcome"] == BACK:
            yield Line(_DRIVER, 0, "published, and given back before the call returned")
    for read in journey["read"]:
        yield Line(_DEVICE, 0, f"frame {read['frame']} at head {read['head']}: {read['bytes']:,} bytes")
    for used in journey["used"]:
        yield Line(_DEVICE, 0, f"frame {used['frame']} at head {used['head']} is used")
    most = 1 << 30 if all else _MOST_REGISTERS
    for line in _registers(values["registers"], most):
        yield line._replace(depth=0)
    for event in values["events"]:
        yield Line(_DRIVER, 0, event_words(event))


def action_words(state: TraceState) -> str:
    """What was done in a step, in words: "xmit frame 3", "read queue 1"."""
    args = state.args
    queue = f"queue {args.get('queue')}"
    match state.action:
        case "net_read":
            words = f"read {queue}"
            return f"{words}, {_chains(args['limit'])} at most" if args.get("limit") else words
        case "net_complete":
            count, pick, stride = (args.get(name, 0) for name in ("count", "pick", "stride"))
            words = f"complete {queue}"
            if isinstance(count, int) and count < 0xFFFF:
                words += f", {_chains(count)} at most"
            return words + (f", from number {pick} on by {stride}" if pick or stride else "")
        case "net_set_avail_event" if args.get("relative") and not args.get("value"):
            return f"ask to be told of the next chain of {queue}"
        case "net_set_flags" if args.get("value") in (0, 1):
            return f"ask {'not ' if args['value'] else ''}to be notified of {queue}"
        case "xmit" if args.get("completed_at_kick"):
            return (
                f"xmit frame {args['frame']}; at its kick the device reads all and completes {_count(args)}"
            )
    said = " ".join(f"{name} {value}" for name, value in args.items() if value is not True)
    flags = " ".join(name for name, value in args.items() if value is True)
    return " ".join(filter(None, (state.action, said, flags)))


def event_words(event: Mapping[str, Any]) -> str:
    """What the driver told the stack, in words: "frame 3 freed", "transmit queue 0 stopped"."""
    kind = str(event["kind"])
    return _EVENTS.get(kind, f"frame {{}} {kind.lower()}").format(event["value"])


def _chains(count: Any) -> str:
    return f"{count} chain" if count == 1 else f"{count} chains"


def _count(args: Mapping[str, Any]) -> str:
    count = args["completed_at_kick"]
    return "all" if isinstance(count, int) and count > 0xFFFF else str(count)
