"""What is to be done in a round of a live run, and the clock that leads it through its phases."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from .schedule import Phase, phases, seeded

Traffic: TypeAlias = Literal["steady", "sparse", "unknown"]
"""Whether frames never stop as long as all is well, come now and then, or nobody knows."""

INJECTIONS: dict[str, tuple[tuple[int, str], ...]] = {
    "F1": ((1, "a used id beyond the queue"),),
    "F2": ((2, "a used id of no outstanding chain"), (3, "a chain used twice")),
    "F3": ((4, "used_idx beyond what is outstanding"), (5, "used_idx backwards")),
    "F4": ((6, "a used length that is not true"),),
    "F5": ((7, "the descriptor table rewritten"), (8, "the available ring rewritten")),
    "F6": ((9, "a used entry that changes while it is read"),),
    "F7": ((10, "used.flags with all bits set"),),
    "F8": ((11, "no interrupt and no completion any more"),),
    "F9": ((12, "completions out of order under IN_ORDER"),),
    "F14": ((13, "a buffer of the driver's overwritten"),),
}
"""How a device breaks the rules, by the codes of `ringproof validate --hostile`, with queue.h's numbers."""


@dataclass(frozen=True, slots=True)
class Course:
    """One round.

    ``offered`` is the mask of features; ``queue_size`` the largest taken, None for any; ``seconds`` how long
    it lasts, None until the front-end closes or every phase was gone through. ``patience_ms`` is how long a
    kick may take, ``stall`` after how many seconds a steady driver that sends nothing counts as stopped for
    good; for its first frame it has ``first_frame`` seconds from when its queue started. ``wait`` is how long
    the front-end may take to connect, None for ever. ``inject`` is the number of an injection, 0 for none;
    ``fed``: the driver sends only what it receives, so frames are delivered to it. ``record`` is the file
    that takes the whole recording, None for none; ``traces`` the folder for recordings of failures.
    """

    name: str
    words: str
    offered: int
    traces: Path
    pairs: int = 1
    queue_size: int | None = None
    mtu: int = 1500
    traffic: Traffic = "unknown"
    seconds: float | None = None
    chosen: tuple[str, ...] = ()
    quick: bool = False
    seed: int = 0
    patience_ms: int = 2000
    stall: float = 6.0
    first_frame: float = 6.0
    wait: float | None = 30.0
    inject: int = 0
    fed: bool = False
    record: Path | None = None
    progress: Callable[[str], None] | None = None


@dataclass(slots=True)
class Clock:
    """Says which phase it is: each has an equal share of the seconds, from the first frame on."""

    course: Course
    _plan: Sequence[Phase] = field(default_factory=list)
    _each: float = 0.0
    _at: int = -1
    _until: float = 0.0

    @property
    def begun(self) -> bool:
        """Whether the first phase has begun."""
        return self._at >= 0

    @property
    def over(self) -> bool:
        """Whether all phases were gone through."""
        return self.begun and self._at >= len(self._plan)

    @property
    def rest(self) -> tuple[str, ...]:
        """The phases that were not gone through to their end, by name."""
        return tuple(phase.name for phase in self._plan[max(self._at, 0) :])

    def begin(self, accepted: int, now: float) -> None:
        """Traffic has begun, of a driver that accepted these features."""
        course = self.course
        self._plan = [
            seeded(phase, course.seed + number)
            for number, phase in enumerate(phases(accepted, chosen=course.chosen, quick=course.quick))
        ]
        share = course.seconds if course.seconds is not None else 2.0 * max(len(self._plan), 1)
        self._each = share / max(len(self._plan), 1)
        self._at, self._until = -1, now

    def due(self, now: float) -> Iterator[Phase]:
        """The next phase, if its time has come."""
        if now >= self._until and not self.over and self._plan:
            self._at += 1
            self._until = max(now, self._until) + self._each
            if self._at < len(self._plan):
                yield self._plan[self._at]
