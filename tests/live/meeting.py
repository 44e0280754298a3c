"""The project's front-end and its live device, brought together for a test: what either says at the end."""

import os
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from ringproof.building import build_driver, c_sources
from ringproof.live.features import BITS
from ringproof.live.frontend import FrontendResult, Value, run_frontend
from ringproof.live.listening import Listening
from ringproof.live.session import Because, Behaviour, Options, Session, Trouble, View
from ringproof.live.tallies import Check, Tally

PROFILES = ("virtio-1.x", "linux-3.11")
STOPPED = ("stalled", "broken", "crashed", "hung")
"""How a front-end ends that sends nothing any more."""
_SLICE = 4_000  # microseconds
_TRANSMIT = 1  # the queue of the first pair that sends


def mask(*names: str) -> int:
    """The mask of these features, named as the standard does."""
    return sum(1 << BITS[name] for name in names)


ORDINARY = mask(
    "VERSION_1", "EVENT_IDX", "INDIRECT_DESC", "CSUM", "MTU", "MAC", "MRG_RXBUF", "STATUS", "ANY_LAYOUT"
)
"""What the device offers here unless a test says something else."""


@cache
def driver(profile: str = "virtio-1.x") -> Path:
    """The shipped C driver, built with a profile."""
    return build_driver(
        c_sources(), defines={"RP_ADAPTER_LINUX_3_11": ""} if profile == "linux-3.11" else None
    )


@dataclass(frozen=True, slots=True)
class Meeting:
    """``frames`` came in during each behaviour of the device; ``because``: why the session ended."""

    result: FrontendResult
    words: str
    tallies: dict[Check, Tally]
    view: View
    because: Because
    trouble: tuple[Trouble, int, int]
    frames: tuple[int, ...]
    turned_away: int

    @property
    def failed(self) -> set[Check]:
        """The checks that failed."""
        return {code for code, tally in self.tallies.items() if tally.failed}


def meet(
    library: Path,
    *,
    offered: int = ORDINARY,
    course: Sequence[Behaviour] = (Behaviour(),),
    each: float = 0.1,
    device: Options | None = None,
    inject: int = 0,
    timeout: float = 30.0,
    more: Mapping[str, Value] | None = None,
    **options: Value,
) -> Meeting:
    """Let the front-end run with a driver until it ends or breaks the protocol.

    ``options`` and ``more`` are those of its command line.

    Each behaviour lasts ``each`` seconds, and until something was sent. After the last the front-end is asked
    to end, unless there is only one: then it does so by itself. A stall that it complains of is told to the
    session.
    """
    device = device if device is not None else Options(offered, patience_ms=300)
    with (
        tempfile.TemporaryDirectory(prefix="ringproof-") as directory,
        Listening(Path(directory) / "s") as listening,
        Session(device) as session,
        run_frontend(listening.path, library, **{**(more or {}), **options}) as front_end,
    ):
        connection = listening.accept(timeout)
        assert connection is not None, front_end.log()
        session.connect(connection.detach())
        session.behave(course[0])
        frames, because, turned_away = [0], Because(0), 0
        changes, end = time.monotonic() + each, time.monotonic() + timeout
        while not because & (Because.CLOSED | Because.TROUBLE):
            because = session.run(_SLICE)
            turned_away += listening.turn_away()
            now = time.monotonic()
            assert now < end, f"the front-end is not done: {front_end.log()}"
            if inject and sent(session.view()) > 0:
                session.inject(inject)
                inject = 0
            if now < changes or len(course) == 1 or len(frames) > len(course):
                continue
            if (so_far := sent(session.view())) == frames[-1]:
                continue
            frames.append(so_far)
            changes = now + each
            if len(frames) <= len(course):
                session.behave(course[len(frames) - 1])
            else:
                os.kill(front_end.pid, signal.SIGTERM)
        view = session.view()
        trouble = session.trouble()
        if because & Because.TROUBLE:
            tallies = session.tallies()
            session.close()  # as whoever is told of trouble does; only then some front-ends end
            result = front_end.result()
        else:
            result = front_end.result()
            if result.outcome in STOPPED:
                session.stall(1, _TRANSMIT)
            else:
                session.flow(_TRANSMIT)
            tallies = session.tallies()
        return Meeting(
            result,
            front_end.words(),
            tallies,
            view,
            because,
            trouble,
            tuple(after - before for before, after in pairwise(frames)),
            turned_away,
        )


def sent(view: View) -> int:
    """Chains of all transmit queues so far."""
    return sum(queue.counts.chains for queue in view.queues[1::2])


def names(checks: Iterable[Check]) -> list[str]:
    """Their names, in order."""
    return [check.name for check in sorted(checks)]
