"""The narration: operations and their results in words."""

from ..impl.harness.operations import Code, Mischief, Op, OpFlag, Result
from ..traces.mischief import mischief_in_words

_WORDS = {
    Code.KICK: "kick",
    Code.GET: "get_buf",
    Code.DISABLE_CB: "disable_cb",
    Code.ENABLE_CB: "enable_cb",
    Code.ENABLE_CB_DELAYED: "enable_cb_delayed",
    Code.ENABLE_CB_PREPARE: "enable_cb_prepare",
    Code.POLL: "poll",
    Code.INTERRUPT: "interrupt",
    Code.DETACH_UNUSED: "detach_unused",
}
_ALL = 0xFFFF_FFFF


def in_words(operation: Op) -> str:
    """Say one operation as a short phrase, such as "add 2 out, 1 in" or "device reads 1 chain"."""
    code, flags = operation.code, operation.flags
    a, b, c = operation.a, operation.b, operation.c
    if code == Code.ADD:
        notes = ""
        if flags & OpFlag.NULL_TOKEN:
            notes += ", null token"
        if flags & OpFlag.FAIL_ALLOC:
            notes += ", no memory to be had"
        return f"add {a} out, {operation.in_} in{notes}"
    if code == Code.READ:
        return "device reads " + (f"up to {_count(a, 'chain')}" if a else "every chain")
    if code == Code.COMPLETE:
        many = "every chain" if c == _ALL else _count(c, "chain")
        return f"device completes {many}" + (f", from number {a} on by {b}" if a or b else "")
    if code == Code.SET_FLAGS:
        return f"device sets used.flags to {a}"
    if code == Code.SET_AVAIL_EVENT:
        if flags & OpFlag.RELATIVE:
            offset = ((a + 0x8000) & 0xFFFF) - 0x8000
            return f"device sets avail_event to avail_idx {'+' if offset >= 0 else '-'} {abs(offset)}"
        return f"device sets avail_event to {a & 0xFFFF}"
    if code == Code.MISCHIEF:
        return f"device {mischief_in_words(a, b, c)}"
    if code == Code.ROUNDS:
        kick = "" if flags & OpFlag.NO_KICK else "kick, "
        return f"{_count(a, 'time')}: add 1 out, {kick}device reads and completes it, get_buf"
    return _WORDS.get(Code(code), f"operation {code}") if code in set(Code) else f"operation {code}"


def result_in_words(operation: Op, result: Result) -> str:
    """Say what came of it: the status, the token, the notifications, and where the indices stand."""
    words = [str(result.status)]
    if operation.code in (Code.GET, Code.DETACH_UNUSED) and result.status == 1:
        words.append(f"token {result.token}")
    if operation.code == Code.MISCHIEF and operation.a in (Mischief.ID_RANGE, Mischief.ID_NOT_HEAD):
        words.append(f"id {result.token}")
    if operation.code == Code.COMPLETE and result.length:
        words.append("interrupt due")
    if result.notifies:
        words.append(_count(result.notifies, "kick"))
    words.append(f"avail_idx {result.avail_idx}, used_idx {result.used_idx}")
    return ", ".join(words)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
