"""Comparisons of a driver with the reference: byte for byte, or by what its behaviour means.

Both get the operations and the driver's results and say which operations the reference is to run; both
then look at the two arrays of results. They keep no more than what a driver's own choices make necessary.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from ..impl.harness.operations import (
    EINVAL,
    ENOSPC,
    OP,
    RESULT,
    STATUS_UNSUPPORTED,
    Code,
    Op,
    OpFlag,
    Result,
)

_MASK = 0xFFFF
_GET = Op(Code.GET).pack()
_AT_ONCE = -1  # stands for an operation that only the reference runs
_NUM_FREE_AT = 32  # offset of num_free in a result
_ACTS_NOTHING = Op(Code.ADD, OpFlag.NULL_TOKEN, a=1)  # counts as an ADD and changes nothing


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a driver and the reference part: operation ``step`` of the array, and how, in one sentence.

    ``property`` is the slug of what is violated, ``clause`` the section that asks for it ("" if none does).
    """

    step: int
    what: str
    property: str
    clause: str = ""


class Comparison(Protocol):
    """One way of comparing; lives as long as one queue."""

    same_bytes: bool
    """True when the ring parts must be equal byte for byte."""
    given_up: str
    """Why the two can no longer be compared; "" while they can."""

    def reference_operations(self, operations: bytes, results: bytes) -> bytes:
        """Return the operations the reference runs in step with the driver's."""

    def compare(self, operations: bytes, results: bytes, reference: bytes) -> Difference | None:
        """Return the first difference between the driver's results and the reference's, for this array."""


class ByteForByte:
    """For drivers that declare to follow the reference: every field of every result is equal."""

    same_bytes = True
    given_up = ""

    def __init__(self, knows_num_free: bool) -> None:
        self._knows_num_free = knows_num_free

    def reference_operations(self, operations: bytes, results: bytes) -> bytes:  # noqa: ARG002
        """Return the same operations."""
        return operations

    def compare(self, operations: bytes, results: bytes, reference: bytes) -> Difference | None:
        """Return the first field that differs; a driver that cannot tell num_free is not held to it."""
        if results == reference:
            return None
        if not self._knows_num_free:
            results, reference = _without_num_free(results), _without_num_free(reference)
        step = _first_difference(results, reference)
        if step is None:
            return None
        return _result_difference(
            step,
            Op(*OP.unpack_from(operations, step * OP.size)),
            Result(*RESULT.unpack_from(results, step * RESULT.size)),
            Result(*RESULT.unpack_from(reference, step * RESULT.size)),
        )


def _without_num_free(results: bytes) -> bytes:
    masked = bytearray(results)
    for byte in range(_NUM_FREE_AT, _NUM_FREE_AT + 4):
        masked[byte :: RESULT.size] = bytes(len(results) // RESULT.size)
    return bytes(masked)


def _first_difference(left: bytes, right: bytes) -> int | None:
    """Which result is the first to differ, by halving; None when all are equal."""
    if left == right:
        return None
    low, high = 0, len(left) // RESULT.size
    while high - low > 1:
        middle = (low + high) // 2
        if left[low * RESULT.size : middle * RESULT.size] == right[low * RESULT.size : middle * RESULT.size]:
            low = middle
        else:
            high = middle
    return low


def _result_difference(step: int, operation: Op, driver: Result, reference: Result) -> Difference:
    fields = [field for field in Result._fields if getattr(driver, field) != getattr(reference, field)]
    said = ", ".join(
        f"{field} is {getattr(driver, field)}, the reference has {getattr(reference, field)}"
        for field in fields[:3]
    )
    return Difference(step, f"after {_name(operation)}: {said}", _property(operation, fields[0], driver))


def _name(operation: Op) -> str:
    return Code(operation.code).name if operation.code in set(Code) else f"operation {operation.code}"


def _property(operation: Op, field: str, driver: Result) -> str:
    """Return the slug of what a differing field stands for."""
    if field in ("notifies", "callbacks"):
        if operation.code == Code.ADD:
            return "full-ring-notifies" if driver.status == ENOSPC else "forced-kick-sufficient"
        if operation.code == Code.ROUNDS and operation.flags & OpFlag.NO_KICK:
            return "forced-kick-sufficient"
        return "need-event-exact"
    if field == "status" and operation.code == Code.ADD:
        return "num-free-exact"
    return {
        "status": "token-returned-once",
        "token": "token-returned-once",
        "length": "callbacks-rearmed" if operation.code == Code.COMPLETE else "token-returned-once",
        "crc": "chain-well-formed",
        "avail_idx": "indices-faithful",
        "used_idx": "indices-faithful",
        "avail_flags": "callbacks-rearmed",
        "used_event": "callbacks-rearmed",
        "num_free": "num-free-exact",
    }[field]


def memory_difference(
    step: int, queue_size: int, driver: tuple[bytes, bytes, bytes], reference: tuple[bytes, bytes, bytes]
) -> Difference | None:
    """Return the first byte in which the ring parts (table, available ring, used ring) differ, in words."""
    for part, got, expected in zip(("desc", "avail", "used"), driver, reference, strict=True):
        if got == expected:
            continue
        at = next(
            (at for at, pair in enumerate(zip(got, expected, strict=False)) if pair[0] != pair[1]),
            min(len(got), len(expected)),
        )
        where, start, width, slug = _place(part, at, queue_size)
        values = [int.from_bytes(memory[start : start + width], "little") for memory in (got, expected)]
        return Difference(step, f"{where} holds {values[0]:#x}, the reference has {values[1]:#x}", slug)
    return None


def _place(part: str, at: int, queue_size: int) -> tuple[str, int, int, str]:
    """Say what a byte belongs to: its name, where that begins, its width, and the property it bears."""
    if part == "desc":
        index, inside = divmod(at, 16)
        for name, start, width in (("addr", 0, 8), ("len", 8, 4), ("flags", 12, 2), ("next", 14, 2)):
            if start <= inside < start + width:
                return f"desc[{index}].{name}", 16 * index + start, width, "chain-well-formed"
    width = 2 if part == "avail" else 4
    if at < 4:
        return f"{part}.{('flags', 'idx')[at // 2]}", at // 2 * 2, 2, "indices-faithful"
    index = (at - 4) // (width if part == "avail" else 8)
    if index >= queue_size:
        word = "used_event" if part == "avail" else "avail_event"
        return word, 4 + queue_size * (2 if part == "avail" else 8), 2, "callbacks-rearmed"
    if part == "avail":
        return f"avail.ring[{index}]", 4 + 2 * index, 2, "avail-slot-not-overwritten"
    inside = (at - 4) % 8 // 4 * 4
    name = "id" if inside == 0 else "len"
    return f"used.ring[{index}].{name}", 4 + 8 * index + inside, 4, "used-slot-not-overwritten"


class ByMeaning:
    """For drivers with a policy of their own: what they tell the device and the caller, not how.

    The reference follows the driver's choices: a chain it refused is not added, the device reads as many
    chains as it found published. Compared are what the device read, tokens and lengths in order,
    indices (at the latest after a kick), and what enable_cb and poll promise. What interrupts are due
    otherwise, and what the driver makes of one, the device judges. From a driver that ``pushes`` tokens, the
    reference's are awaited as soon as they are used.
    Lengths are left to the device to judge where a driver has a choice: of a buffer that came back with
    others in a batch (``knows_lengths`` is false), or whose readable bytes a legacy device has counted.
    """

    same_bytes = False

    def __init__(self, has_callback: bool, pushes: bool, *, knows_lengths: bool = True) -> None:
        self.given_up = ""
        self._pushes = pushes
        self._knows_lengths = knows_lengths
        self._origins: list[int] = []
        self._promised = has_callback  # callbacks are on, as the driver said, and nothing was used since
        self._mark: int | None = None
        self._published = 0  # avail_idx at the last kick
        self._held: set[int] = set()  # tokens the driver holds
        self._blurred = 0  # how many more it holds: rounds among others do not tell whose came back
        # What a driver that pushes has to push, oldest first; None where rounds among others blurred it.
        self._used: deque[Result | None] = deque()

    def reference_operations(self, operations: bytes, results: bytes) -> bytes:
        """Return the driver's operations, with its refusals, its read counts and its avail_idx put in."""
        out: list[bytes] = []
        self._origins = []
        for step, (fields, values) in enumerate(
            zip(OP.iter_unpack(operations), RESULT.iter_unpack(results), strict=True)
        ):
            status = values[0]
            code, flags, in_, a, b, c = fields
            if status == STATUS_UNSUPPORTED or code == Code.DETACH_UNUSED:
                continue
            if code == Code.ADD:
                if status in (ENOSPC, EINVAL):  # the device judges whether a chain may be refused
                    out.append(_ACTS_NOTHING.pack())
                else:  # the reference can always have its table: it then needs no more room than the driver
                    out.append(OP.pack(code, flags & ~OpFlag.FAIL_ALLOC, in_, a, b, c))
            elif code == Code.READ:
                if status <= 0:
                    continue
                out.append(OP.pack(code, 0, 0, status, 0, 0))
            elif code == Code.GET and self._pushes:
                continue  # the reference gave back what was used when it was used
            elif code == Code.SET_AVAIL_EVENT and flags & OpFlag.RELATIVE:
                out.append(OP.pack(code, 0, 0, (values[5] + a) & _MASK, 0, 0))
            elif code == Code.COMPLETE and flags & OpFlag.TOTAL_LENGTH:
                self._knows_lengths = False
                out.append(OP.pack(*fields))
            elif code == Code.ROUNDS and status != a:
                self.given_up = f"the driver stopped after {status} of {a} rounds"
                break
            else:
                out.append(OP.pack(*fields))
            self._origins.append(step)
            if code == Code.COMPLETE and self._pushes and status > 0:
                out.append(_GET * status)
                self._origins += [_AT_ONCE] * status
        return b"".join(out)

    def compare(self, operations: bytes, results: bytes, reference: bytes) -> Difference | None:
        """Return the first operation whose outcome means something else than the reference's."""
        expected: dict[int, Result] = {}
        to_push: dict[int, list[Result]] = {}
        completing = 0
        for step, values in zip(self._origins, RESULT.iter_unpack(reference), strict=True):
            if step == _AT_ONCE:
                to_push.setdefault(completing, []).append(Result(*values))
            else:
                completing = step
                expected[step] = Result(*values)
        last = len(results) // RESULT.size
        for step in range(last):
            operation = Op(*OP.unpack_from(operations, step * OP.size))
            got = Result(*RESULT.unpack_from(results, step * RESULT.size))
            difference = self._step(step, operation, got, expected.get(step))
            if difference is not None or self.given_up:
                return difference
            self._used.extend(to_push.get(step, ()))
        return None

    def _step(self, step: int, operation: Op, got: Result, expected: Result | None) -> Difference | None:
        if got.status == STATUS_UNSUPPORTED:
            return None
        code = operation.code
        if code == Code.ADD:
            said = self._add(got, expected)
        elif code == Code.GET:
            said = self._get(got, expected)
        elif code == Code.COMPLETE:
            said = self._complete(got, expected)
        elif code == Code.DETACH_UNUSED:
            said = self._detach(got)
        elif code in (Code.READ, Code.ROUNDS):
            said = self._read(got, expected)
            if code == Code.ROUNDS:
                # Each round put a token in and took one out; among others it is not known which.
                self._blurred += len(self._held)
                self._held.clear()
                self._used = deque([None] * len(self._used))
                # It completed and took back as well: what enable_cb promised has been kept or not.
                self._promised = False
        else:
            said = self._callbacks(code, got, expected)
        said = said or self._indices(code, got, expected)
        if said is None:
            return None
        what, slug, clause = said
        return Difference(step, f"after {_name(operation)}: {what}", slug, clause)

    def _add(self, got: Result, expected: Result | None) -> tuple[str, str, str] | None:
        if expected is None or got.status == ENOSPC:
            return None
        if got.status == 0:
            if expected.status == ENOSPC:
                self.given_up = "the driver took a chain for which the reference had no room"
                return None
            self._held.add(got.token)
        if got.status != expected.status:
            clause = "2.7.5.3.1c" if got.status == 0 else ""
            said = f"add returned {got.status}, the reference {expected.status}"
            return said, "chain-well-formed", clause
        return None

    def _get(self, got: Result, expected: Result | None) -> tuple[str, str, str] | None:
        if got.status == 1:
            if got.token in self._held:
                self._held.discard(got.token)
            elif self._blurred:
                self._blurred -= 1
            if self._used:
                expected = self._used.popleft()  # None: the device knows which it was
        if expected is None:
            return None
        if not self._knows_lengths:
            got = got._replace(length=expected.length)
        seen, due = ((r.status, r.token, r.length) for r in (got, expected))
        if seen != due:
            said = "get_buf gave status {}, token {}, length {}; {}, {}, {} was due".format(*seen, *due)
            return said, "token-returned-once", "2.7.14"
        return None

    def _complete(self, got: Result, expected: Result | None) -> tuple[str, str, str] | None:
        if expected is not None and got.status != expected.status:
            said = f"the device completed {got.status} chains, in the reference {expected.status}"
            return said, "device-reads-outstanding", "2.7.6"
        if got.status > 0:
            promised, self._promised = self._promised, False
            if promised and not got.length:
                said = "callbacks were enabled and nothing was pending, yet this asks for no interrupt"
                return said, "callbacks-rearmed", "2.7.14/n1"
        return None

    def _detach(self, got: Result) -> tuple[str, str, str] | None:
        # Whether all come back that were never used, the device judges; of the used ones any may.
        if got.status != 1:
            return None
        if got.token in self._held:
            self._held.discard(got.token)
        elif self._blurred:
            self._blurred -= 1
        else:
            return f"token {got.token} was not held any more", "token-returned-once", ""
        return None

    def _read(self, got: Result, expected: Result | None) -> tuple[str, str, str] | None:
        if expected is None:
            return None
        if (got.status, got.crc) != (expected.status, expected.crc):
            said = f"the device read {got.status} chains that hold something else than what was offered"
            return said, "chain-well-formed", "2.7.13.1/n1"
        return None

    def _callbacks(self, code: int, got: Result, expected: Result | None) -> tuple[str, str, str] | None:
        if code == Code.KICK:
            return None
        if code == Code.DISABLE_CB:
            self._promised = False
        elif code == Code.ENABLE_CB:
            # A driver that says "look again" may or may not have left its callback on.
            self._promised = got.status == 1
            if expected is not None and got.status == 1 and expected.status == 0:
                return "enable_cb saw nothing used though something was", "callbacks-rearmed", "2.7.14/n1"
        elif code in (Code.ENABLE_CB_DELAYED, Code.INTERRUPT, Code.ENABLE_CB_PREPARE):
            # How long to delay is the driver's choice, and so is what its interrupt turns off.
            self._promised = False
            if code == Code.ENABLE_CB_PREPARE:
                self._mark = got.used_idx
        elif code == Code.POLL and self._mark is not None and got.status == 0 and got.used_idx != self._mark:
            return "poll saw nothing though used_idx moved since the mark", "callbacks-rearmed", "2.7.14/n1"
        return None

    def _indices(self, code: int, got: Result, expected: Result | None) -> tuple[str, str, str] | None:
        if expected is None:
            return None
        if got.used_idx != expected.used_idx:
            said = f"used_idx is {got.used_idx}, the reference has {expected.used_idx}"
            return said, "indices-faithful", "2.7.8"
        if code in (Code.KICK, Code.ROUNDS):
            self._published = got.avail_idx
        elif (got.avail_idx - self._published) & _MASK <= (expected.avail_idx - self._published) & _MASK:
            return None  # published now, or to be published by the next kick
        if got.avail_idx != expected.avail_idx:
            said = f"avail_idx is {got.avail_idx}, the reference has {expected.avail_idx}"
            return said, "indices-faithful", "2.7.13.3/n1"
        return None
