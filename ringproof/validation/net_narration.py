"""The narration of a network driver's run: operations, frames and results in words."""

from ..impl.harness.frames import Frame, Gso
from ..impl.harness.net_operations import EBUSY, Event, EventKind, NetCode, NetResult, Op
from ..impl.harness.operations import OpFlag
from .traffic import ALL

_SHOWN = 4  # events of a result


def frame_in_words(frame: Frame) -> str:
    """Say what a frame is: its length, its pieces, what it asks for."""
    words = [f"{len(frame.data):,} bytes"]
    if frame.packet.pieces > 1:
        words.append(f"{frame.packet.pieces} pieces")
    if frame.checksum:
        words.append(f"checksum from {frame.csum_start} at +{frame.csum_offset}")
    if frame.gso != Gso.NONE:
        words.append(f"{frame.gso.name} of {frame.gso_size}" + (" with ECN" if frame.ecn else ""))
    elif frame.ecn:
        words.append("ECN")
    if frame.recorded_queue is not None:
        words.append(f"from receive queue {frame.recorded_queue}")
    if frame.cpu:
        words.append(f"cpu {frame.cpu}")
    return ", ".join(words)


def net_op_in_words(op: Op, frames: tuple[Frame, ...] = ()) -> str:
    """Say one operation as a short phrase."""
    code, queue = op.code, op.in_
    words = ""
    if code == NetCode.XMIT:
        words = f"send frame {op.a}"
        if op.a < len(frames):
            words += f" ({frame_in_words(frames[op.a])})"
        if op.b:
            words += f"; the device, notified, reads and completes {'all' if op.b == ALL else op.b} at once"
    elif code == NetCode.SET_PAIRS:
        words = f"use {op.a} queue pairs"
    elif code == NetCode.NET_READ:
        words = f"device reads {f'up to {op.a} chains' if op.a else 'every chain'} of queue {queue}"
    elif code == NetCode.NET_COMPLETE:
        many = "every chain" if op.c == ALL else f"{op.c} chains"
        order = f", from number {op.a} on by {op.b}" if op.a or op.b else ""
        words = f"device completes {many} of queue {queue}{order}"
    elif code == NetCode.NET_SET_FLAGS:
        words = f"device sets used.flags of queue {queue} to {op.a}"
    elif code == NetCode.NET_SET_AVAIL_EVENT:
        offset = ((op.a + 0x8000) & 0xFFFF) - 0x8000
        where = (
            f"avail_idx {'-' if offset < 0 else '+'} {abs(offset)}" if op.flags & OpFlag.RELATIVE else op.a
        )
        words = f"device sets avail_event of queue {queue} to {where}"
    elif code == NetCode.RAISE:
        words = f"device sets ISR bits {op.a:#x}"
    else:
        words = NetCode(code).name.lower()
    return words + (", no memory to be had" if op.flags & OpFlag.FAIL_ALLOC else "")


def net_result_in_words(op: Op, result: NetResult) -> str:
    """Say what came of it."""
    words = [str(result.status)]
    if op.code == NetCode.XMIT:
        words = [f"transmit queue {result.pair}"]
        if result.status == EBUSY:
            words.append("stopped")
    if result.length:
        words.append("interrupt due")
    if result.accesses:
        count = len(result.accesses)
        words.append(f"{count} register access{'' if count == 1 else 'es'}")
    words += [_event(event) for event in result.events[:_SHOWN]]
    if len(result.events) > _SHOWN:
        words.append(f"{len(result.events) - _SHOWN} more events")
    return ", ".join(words)


def _event(event: Event) -> str:
    name = EventKind(event.kind).name.lower() if event.kind in set(EventKind) else str(event.kind)
    if event.kind in (EventKind.FREED, EventKind.ORPHANED):
        return f"frame {event.value - 1} {name}"
    return f"transmit queue {event.value} {name}"
