"""Defects of the shipped C virtqueue, each with traffic that shows it to a device, and what it then finds.

``found(ID)`` builds the driver with the defect and lets the live device meet it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ringproof.live.frontend import Value
from ringproof.live.session import Behaviour, Options, Order, Suppress, Trouble
from ringproof.live.tallies import Check
from ringproof.patching import mutated_driver
from tests.live.meeting import Meeting, mask, meet

MODERN = mask("VERSION_1")
EVENT = MODERN | mask("EVENT_IDX")


@dataclass(frozen=True, slots=True)
class Defect:
    """``finds``: at least one of these checks fails. The rest is the traffic and the device.

    With ``trouble`` the device refuses to go on, and says so; nothing is judged. ``patience_ms`` is how
    long a kick may take.
    """

    words: str
    finds: frozenset[Check]
    options: Mapping[str, Value] = field(default_factory=dict)
    offered: int = MODERN
    course: Sequence[Behaviour] = (Behaviour(),)
    trouble: Trouble = Trouble.NONE
    patience_ms: int = 200

    def shows(self, meeting: Meeting) -> bool:
        """Whether it was found."""
        if self.trouble:
            return meeting.trouble[0] == self.trouble
        return bool(self.finds & meeting.failed)


def _defect(
    words: str,
    *finds: Check,
    offered: int = MODERN,
    course: Sequence[Behaviour] = (Behaviour(),),
    patience_ms: int = 200,
    **options: Value,
) -> Defect:
    return Defect(words, frozenset(finds), options, offered, course, patience_ms=patience_ms)


_LATE = (Behaviour(batch=8, release_us=1000),)
_SHUFFLED = (Behaviour(order=Order.RANDOM, hold_us=100),)

DEFECTS: dict[str, Defect] = {
    "A1": _defect("room test asks only whether the ring is full", Check.DESCRIPTOR_REUSED,
                  Check.TOO_MANY_OUTSTANDING, Check.AVAIL_BACKWARDS, queue_size=16, segments=(1, 4),
                  overfill=True, frames=5000, course=_LATE),
    "A2": _defect("only the head of a chain is given back", Check.TRAFFIC_STALLED,
                  segments=3, frames=5000),
    "A5": _defect("num_free loses one too many at each add", Check.TRAFFIC_STALLED, Check.DESCRIPTOR_REUSED,
                  segments=2, frames=5000),
    "A6": _defect("a returned chain is not linked to the old free list", Check.DESCRIPTOR_REUSED,
                  segments=(1, 3), frames=5000, course=_SHUFFLED),
    "A7": _defect("the used ring's slot number is taken for the head", Check.TRAFFIC_STALLED,
                  Check.DESCRIPTOR_REUSED, Check.SLOT_REPEATED, frames=5000, course=_SHUFFLED),
    "A13": _defect("the last descriptor of a chain keeps its NEXT flag", Check.DESCRIPTOR_REUSED,
                   Check.CHAIN_LOOP, Check.ZERO_LENGTH, segments=(1, 3), frames=5000),
    "B1": _defect("avail_idx wraps at the queue size", Check.AVAIL_BACKWARDS, mode="paced", batch=5,
                  pause=50, frames=1000),
    "B3": _defect("the used test orders indices instead of comparing them", Check.TRAFFIC_STALLED,
                  frames=70000),
    "B5": _defect("the used test compares indices modulo the queue size", Check.TRAFFIC_STALLED,
                  queue_size=8, frames=5000, course=(Behaviour(batch=8),)),
    "B6": _defect("last_used_idx is wider than 16 bits", Check.TRAFFIC_STALLED, frames=70000),
    "B10": _defect("the available ring is taken to have one slot more", Check.HEAD_RANGE, Check.SLOT_REPEATED,
                   Check.DESCRIPTOR_REUSED, Check.FRAME_SHORT, frames=5000),
    "B13": _defect("a completion is taken without looking whether there is one", Check.TRAFFIC_STALLED,
                   frames=5000),
    "D1": _defect("the event test is not cut to 16 bits", Check.KICK_LOST_EVENT, offered=EVENT,
                  mode="paced", pause=100, batch=31, frames=100000, patience_ms=60,
                  course=(Behaviour(suppress=Suppress.FROZEN, event=5, poll=True),)),
    "D3": _defect("used_event is never moved on", Check.TRAFFIC_STALLED, offered=EVENT,
                  queue_size=8, batch=16, frames=5000, course=(Behaviour(batch=4),)),
    "X1": _defect("num_added is never reset", Check.KICK_UNWANTED_EVENT, offered=EVENT, frames=20000,
                  course=(Behaviour(suppress=Suppress.FROZEN, event=1000, poll=True),)),
    "X3": _defect("num_free grows by one per chain", Check.TRAFFIC_STALLED, segments=3, frames=5000),
    "X4": _defect("a chain of several segments takes a descriptor too many", Check.TRAFFIC_STALLED,
                  segments=3, frames=5000),
    "X5": _defect("the driver writes the used ring", Check.USED_WRITTEN, frames=5000, course=_LATE),
    "X6": _defect("the last descriptor of a chain is published", Check.FRAME_SHORT, segments=4, frames=500),
    "X7": _defect("descriptor 0 is taken for no descriptor", Check.TRAFFIC_STALLED, frames=500),
    "X8": Defect("a queue size that is no power of two is accepted", frozenset(), {"queue_size": 48},
                 trouble=Trouble.QUEUE_SIZE),
    "X9": _defect("NO_NOTIFY is obeyed though EVENT_IDX was negotiated", Check.FLAGS_HEEDED, offered=EVENT,
                  queue_size=16, batch=16, frames=500, mode="paced",
                  course=(Behaviour(distract=True, seed=1),)),
}  # fmt: skip
"""By the name of the mutant."""

UNSEEN: dict[str, str] = {
    "B11": "shows only when 65535 chains are added without a kick between; this front-end, like any driver "
    "of a card, kicks at the latest when the ring is full",
    "D14": "shows only to a driver that does not kick after a burst of its own accord: no promise of the ABI",
    "X2": "shows only to a device that returns a chain twice; an honest one never does",
    "X10": "harms nobody: the free list is as good in another order",
}
"""Mutants of the virtqueue that no honest device can tell from the driver as shipped, and why."""

QUICK = ("A2", "A6", "B1", "B3", "B10", "D1", "D3", "X1", "X5", "X8", "X9")
"""Those that are tried each time; the others are much the same."""


TIMES = 5


def found(mutant: str, *, linux_3_11: bool = False) -> Meeting:
    """Build the driver with the defect, and let the live device meet it until it shows, a few times at most.

    Some show only if driver and device meet in a moment that not every run has.
    """
    defect = DEFECTS[mutant]
    library = mutated_driver(mutant, linux_3_11=linux_3_11)
    for _ in range(TIMES):
        meeting = meet(
            library,
            course=defect.course,
            device=Options(defect.offered, patience_ms=defect.patience_ms),
            more={"patience": 500, **defect.options},
        )
        if defect.shows(meeting):
            break
    return meeting
