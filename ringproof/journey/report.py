"""What came of sending frames: the sums, the checks, and what was found wrong."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from .lockstep import Checks
from .sending import Totals

MOST_FAULTS = 10
"""Of those that are told one by one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong: about what (a frame's name, an operation), under which slug, and one sentence."""

    about: str
    property: str
    sentence: str


@dataclass(slots=True)
class XmitReport:
    """The whole answer of ``ringproof xmit``.

    ``frames_read`` counts what the input had. ``unchanged``, ``summed`` and ``segmented`` count the frames
    that left as they were, with their checksum finished, and in segments, each checked; ``wire_frames`` and
    ``wire_bytes`` are what left. ``dropped`` counts reasons. ``driver`` is the name of the driver beside the
    reference, ``exact`` whether it is held to the same bytes.
    """

    configuration: str
    driver: str | None = None
    exact: bool = True
    frames_read: int = 0
    totals: Totals = field(default_factory=Totals)
    checks: Checks = field(default_factory=Checks)
    unchanged: int = 0
    summed: int = 0
    segmented: int = 0
    wire_frames: int = 0
    wire_bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_frames: dict[str, str] = field(default_factory=dict)
    """The first frame, by name, that was dropped for each reason."""
    faults: list[Fault] = field(default_factory=list)
    faults_left_out: int = 0
    complete: bool = False
    """Whether all frames were sent and the driver was removed."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything was sent and nothing was wrong."""
        return self.complete and not self.faults

    def add(self, fault: Fault) -> None:
        """Note something wrong; only the first MOST_FAULTS are kept."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)
        else:
            self.faults_left_out += 1

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; the journey is not in it."""
        totals = self.totals
        return {
            "configuration": self.configuration,
            "driver": self.driver,
            "compared": None if self.driver is None else "byte for byte" if self.exact else "by what leaves",
            "verdict": "pass" if self.passed else "fail",
            "frames": {
                "read": self.frames_read,
                "sent": totals.sent,
                "dropped": totals.dropped,
                "held_back": totals.held_back,
                "bytes": totals.bytes,
                "drop_reasons": dict(self.dropped),
            },
            "wire": {
                "frames": self.wire_frames,
                "bytes": self.wire_bytes,
                "unchanged": self.unchanged,
                "summed": self.summed,
                "segmented": self.segmented,
            },
            "statistics": dict(zip(totals.counted._fields[:-1], totals.counted[:-1], strict=True)),
            "doorbell": {
                "notifications": totals.kicks,
                "interrupts": totals.interrupts,
                "register_accesses": totals.accesses,
                "probes": totals.probes,
            },
            "checks": asdict(self.checks),
            "faults": [asdict(fault) for fault in self.faults],
            "faults_left_out": self.faults_left_out,
            "complete": self.complete,
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> Iterator[str]:
        """The summary, a line each."""
        totals, counted = self.totals, self.totals.counted
        line = f"{_count(totals.sent, 'frame')} sent"
        if self.frames_read != totals.sent:
            line = f"{totals.sent:,} of {_count(self.frames_read, 'frame')} sent"
        yield f"{line}, {totals.bytes:,} bytes; {totals.dropped:,} dropped"
        for reason, count in self.dropped.most_common():
            yield f"  dropped {count:,}: {reason} ({self.dropped_frames[reason]} first)"
        if totals.held_back:
            yield f"  {totals.held_back:,} waited in the stack while their queue was stopped"
        kinds = (
            (self.unchanged, "byte for byte as given"),
            (self.summed, "with the checksum finished"),
            (self.segmented, "cut into segments"),
        )
        ways = ", ".join(f"{count:,} {words}" for count, words in kinds if count)
        yield (
            f"on the wire: {_count(self.wire_frames, 'frame')}, {self.wire_bytes:,} bytes"
            + (f"; of those given, {ways}" if ways else "")
        )
        counts = (
            f"statistics: tx_packets {counted.tx_packets:,}, tx_bytes {counted.tx_bytes:,}, "
            f"tx_dropped {counted.tx_dropped:,}, tx_fifo_errors {counted.tx_fifo_errors:,}"
        )
        if totals.freed_by_remove:
            counts += f"; {totals.freed_by_remove:,} more freed when the driver was removed"
        yield counts
        yield (
            f"{_count(totals.kicks, 'notification')}, {_count(totals.interrupts, 'interrupt')}, "
            f"{_count(totals.accesses, 'register access', 'register accesses')}"
            + (f", {totals.probes:,} probes" if totals.probes > 1 else "")
        )
        yield self._compared()

    def _compared(self) -> str:
        checks = self.checks
        if self.driver is None:
            return "no driver beside the reference: nothing was compared"
        if not self.exact:
            return (
                f"{self.driver}: not held to the reference's bytes; each frame checked as it left the device"
            )
        return (
            f"{self.driver}, compared byte for byte with the reference: {_count(checks.steps, 'step')}, "
            f"{_count(checks.accesses, 'register access', 'register accesses')}, "
            f"{_count(checks.chains, 'chain')}, {checks.memory_bytes:,} bytes of memory"
        )


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} " + (noun if number == 1 else plural or f"{noun}s")
