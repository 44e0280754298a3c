"""What a device does in the course of a run: phases that a driver must bear, and the order they come in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import unknown_name
from .features import BITS
from .session import Behaviour, Interrupts, Order, Suppress

_EVENT_IDX, _VERSION_1, _IN_ORDER = (1 << BITS[name] for name in ("EVENT_IDX", "VERSION_1", "IN_ORDER"))


@dataclass(frozen=True, slots=True)
class Phase:
    """A behaviour of the device for a while.

    ``words`` tell people what it does. ``needs`` and ``spared`` are masks: it is for drivers that have
    accepted all of the one, and none of the other. ``serves`` are clauses it gives occasion for: when the
    traffic goes on, they held; when it stops for good, they did not.
    """

    name: str
    words: str
    behaviour: Behaviour
    needs: int = 0
    spared: int = 0
    serves: tuple[str, ...] = ()

    def suits(self, accepted: int) -> bool:
        """Whether it is for a driver that has accepted these features."""
        return not self.needs & ~accepted and not self.spared & accepted


PHASES: dict[str, Phase] = {
    phase.name: phase
    for phase in (
        Phase("honest", "completes at once, in order; asks for a kick before it sleeps", Behaviour(),
              serves=("2.7.14/n1",)),
        Phase("reversed", "completes batches of 8 in reverse",
              Behaviour(order=Order.LIFO, batch=8, release_us=2000), spared=_IN_ORDER),
        Phase("shuffled", "completes in random order, each chain after 1 ms",
              Behaviour(order=Order.RANDOM, hold_us=1000), spared=_IN_ORDER),
        Phase("batches", "completes 32 at once", Behaviour(batch=32, release_us=5000)),
        Phase("in-order", "completes batches of 16 by one used entry",
              Behaviour(batch=16, release_us=2000), needs=_IN_ORDER, serves=("2.7.9/n1",)),
        Phase("slow", "keeps each chain for 20 ms", Behaviour(hold_us=20_000)),
        Phase("keeping", "keeps the last 8 chains back for 50 ms", Behaviour(keep=8, release_us=50_000)),
        Phase("asking", "asks for every kick", Behaviour(suppress=Suppress.NEVER)),
        Phase("silent", "asks for no kick, and polls", Behaviour(suppress=Suppress.ALWAYS, poll=True)),
        Phase("toggling", "changes its mind about kicks at random", Behaviour(suppress=Suppress.TOGGLE)),
        Phase("frozen", "leaves avail_event where it is, and polls",
              Behaviour(suppress=Suppress.FROZEN, event=1000, poll=True), needs=_EVENT_IDX),
        Phase("roving", "moves avail_event to random places, and polls",
              Behaviour(suppress=Suppress.ROVING, poll=True), needs=_EVENT_IDX),
        Phase("distracting-flags", "sets used.flags, which EVENT_IDX leaves without influence",
              Behaviour(distract=True), needs=_EVENT_IDX, serves=("2.7.10.1e",)),
        Phase("distracting-event", "writes to the word of avail_event, which has no influence",
              Behaviour(distract=True), spared=_EVENT_IDX, serves=("2.7.10.1b",)),
        Phase("spurious", "interrupts without news", Behaviour(interrupts=Interrupts.SPURIOUS),
              serves=("2.7.7.1e",)),
        Phase("eager", "interrupts though the driver wants none", Behaviour(interrupts=Interrupts.ALWAYS)),
        Phase("total-lengths", "reports total lengths as legacy devices do", Behaviour(total=True),
              spared=_VERSION_1, serves=("5.1.6.1b",)),
    )
}  # fmt: skip
"""Every phase, by name, in the order of a whole run."""

QUICK = ("honest", "reversed", "in-order", "silent", "frozen", "spurious")
"""The phases of a quick run."""


def phases(accepted: int, *, chosen: Iterable[str] = (), quick: bool = False) -> Sequence[Phase]:
    """The phases for a driver that has accepted these features, in order; only those ``chosen`` if any are.

    Raises BadInputError for a name nobody knows.
    """
    names = tuple(chosen)
    for name in names:
        if name not in PHASES:
            raise unknown_name("behaviour", name, PHASES)
    wanted = names or (QUICK if quick else tuple(PHASES))
    return [PHASES[name] for name in wanted if PHASES[name].suits(accepted)]


def seeded(phase: Phase, seed: int) -> Phase:
    """The phase with the seed of what is random in it."""
    return replace(phase, behaviour=replace(phase.behaviour, seed=seed))
