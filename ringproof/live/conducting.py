"""A round of a live run, from the front-end's connection to its end: the device, the partner, the clock."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import cycle, islice
from socket import socket
from typing import Protocol

from .course import Clock, Course
from .excerpts import Excerpts
from .listening import Listening
from .outcome import PhaseOutcome, RoundOutcome
from .partner import Partner
from .recipes.food import food
from .recipes.round import DRIVER_MAC, PARTNER_MAC, octets
from .recording import RecordingWriter
from .schedule import Phase
from .session import ALL_PROTOCOL, Because, Behaviour, Options, Session, Trouble, View
from .trouble import silence, told

_SLICE = 20_000
"""Microseconds for which the device serves before the rest is looked after."""
_TICK = 0.1
_LONGEST = 120
"""Characters of what a front-end printed that are told."""
_FED = 64
"""Frames that a driver which sends what it receives is given after each slice, on each pair."""
_OCCASION, _AFTERMATH = 20.0, 2.5
"""Seconds within which a rule can be broken, and for which a driver is watched then."""
_SETTLE = 0.3
"""Seconds the device goes on after the last phase, so that what is out is completed and judged."""


class Running(Protocol):
    """A front-end that was started: what is asked of it while it runs."""

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""

    def log(self, limit: int = 2000) -> str:
        """The last of what it printed."""

    def complaints(self) -> list[str]:
        """Lines in which it says that something is wrong with itself."""

    def accusations(self) -> list[str]:
        """Those of them in which it says that its device breaks the rules."""


@dataclass(slots=True)
class _Phases:
    """The phase that is on, and what the driver did in it."""

    phase: Phase | None = None
    chains: int = 0
    quiet_since: float = 0.0
    last: int = 0
    flowed: bool = False


@dataclass(slots=True)
class Conductor:
    """Leads one round. ``start`` starts the front-end, None if somebody else does."""

    course: Course
    listening: Listening
    start: Callable[[], AbstractContextManager[Running]] | None = None
    outcome: RoundOutcome = field(init=False)
    _writer: RecordingWriter | None = None
    _front_end: Running | None = None
    _interrupted: bool = False

    def __post_init__(self) -> None:
        course = self.course
        self.outcome = RoundOutcome(course.name, course.words, course.offered)

    def run(self) -> RoundOutcome:
        """Run the round to its end.

        Raises RecordingError if a recording cannot be written, Missing if the front-end is not there.
        """
        began = time.monotonic()
        try:
            if self.course.record is not None:
                self._writer = RecordingWriter(self.course.record)
            if self.start is None:
                self._connected()
            else:
                with self.start() as front_end:
                    self._front_end = front_end
                    self._connected()
        finally:
            if self._writer is not None:
                self._writer.close()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _tell(self, words: str) -> None:
        if self.course.progress is not None:
            self.course.progress(words)

    def _connected(self) -> None:
        """Wait for the front-end, and serve it."""
        course, end = self.course, None
        if course.wait is not None:
            end = time.monotonic() + course.wait
        while (connection := self._accepted()) is None:
            if self._front_end is not None and self._front_end.poll() is not None:
                self._ended(f"the front-end ended before it connected: {_last(self._front_end.log())}")
                return
            if self._interrupted:
                self._ended("interrupted before a front-end connected")
                return
            if end is not None and time.monotonic() > end:
                self._ended(f"no front-end connected within {course.wait:g} s")
                return
        self._tell(f"{course.name}: connected")
        with Session(self._options()) as session:
            session.connect(connection.detach())
            _Service(self, session).serve()

    def _accepted(self) -> socket | None:
        """The front-end, if it connects in a moment; Ctrl-C ends the wait as the time does."""
        try:
            return self.listening.accept(0.2)
        except KeyboardInterrupt:
            self._interrupted = True
            return None

    def _ended(self, words: str) -> None:
        self.outcome.ended = words
        self.outcome.left_out.append(words)

    def _options(self) -> Options:
        course = self.course
        return Options(
            device_features=course.offered, protocol_features=int(ALL_PROTOCOL),
            pairs=course.pairs, patience_ms=course.patience_ms,
            mtu=course.mtu, queue_size=course.queue_size or 0, keep=self._writer is not None, frames=True,
            mac=octets(DRIVER_MAC), partner=octets(PARTNER_MAC),
        )  # fmt: skip


def _last(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else "it printed nothing"


class _Service:
    """One connection served: slices of the device's work, and what is to be done between them."""

    def __init__(self, conductor: Conductor, session: Session) -> None:
        self._conductor = conductor
        self._course = conductor.course
        self._outcome = conductor.outcome
        self._session = session
        self._partner = Partner(mtu=max(576, conductor.course.mtu))
        self._clock = Clock(conductor.course)
        self._excerpts = Excerpts(conductor.course, session, conductor._writer)
        self._phases = _Phases()
        self._began = time.monotonic()
        self._ticked = 0.0
        self._over: float | None = None
        self._started: float | None = None
        self._void = False
        self._injected_at: float | None = None

    def serve(self) -> None:
        """Serve until the course is over, the front-end goes or breaks the protocol, or it is interrupted."""
        try:
            while not self._slice():
                pass
        except KeyboardInterrupt:  # what was seen until then is still a report
            self._leave_out("interrupted")
        self._finish()

    def _slice(self) -> bool:
        """Let the device work for a while, and see to the rest; whether the round is over."""
        because = self._session.run(_SLICE)
        now = time.monotonic()
        if self._course.fed:
            self._feed()
        if Because.FRAMES in because:
            self._answer(now)
        if Because.SEGMENT in because:
            self._excerpts.take()
        if Because.FAILED in because:
            self._excerpts.noticed(now - self._began)
        if Because.TROUBLE in because:
            self._broken()
            return True
        if Because.CLOSED in because:
            self._closed()
            return True
        return self._look(now)

    def _leave_out(self, words: str) -> None:
        """Say that something was not gone through; the same once, however often it comes."""
        if words not in self._outcome.left_out:
            self._outcome.left_out.append(words)

    def _broken(self) -> None:
        trouble, a, b = self._session.trouble()
        self._outcome.trouble = told(trouble, a, b)
        self._outcome.ended = "the front-end broke the protocol"
        # Where memory went there are zeros since: what they look like is no doing of the driver's.
        self._void = trouble is Trouble.MEMORY_GONE

    def _closed(self) -> None:
        front_end = self._conductor._front_end
        view = self._session.view()
        if said := silence(view):
            self._leave_out(said)
        elif self._over is None and self._clock.rest:
            printed = f": {_last(front_end.log())}" if front_end is not None else ""
            self._leave_out(f"the front-end went before {', '.join(self._clock.rest)}{printed}")
        self._outcome.ended = "the front-end closed the connection"

    def _answer(self, now: float) -> None:
        for pair, frame in self._session.frames():
            for answer in self._partner.receive(frame, now):
                self._deliver(pair, answer)

    def _deliver(self, pair: int, frame: bytes) -> None:
        if self._session.deliver(pair, frame):
            self._outcome.received += 1

    def _look(self, now: float) -> bool:
        """Look at what happened, lead the phases, and say whether the round is over."""
        if now - self._ticked < _TICK:
            return self._over is not None and now >= self._over
        self._ticked = now
        for frame in self._partner.tick(now):
            self._deliver(0, frame)
        if self._conductor.listening.turn_away():
            self._leave_out("another front-end connected meanwhile, and was turned away")
        view = self._session.view()
        sent = _transmitted(view)
        course = self._course
        if not self._clock.begun and sent:
            self._clock.begin(view.accepted, now)
        for phase in self._clock.due(now):
            self._end_phase()
            self._begin_phase(phase, sent, now)
        self._watch(sent, now)
        if not self._clock.begun and self._course.traffic == "steady" and self._over is None:
            self._await(view, now)
        if course.inject and self._clock.begun:
            self._inject(now)
        if self._over is not None:
            return now >= self._over
        if self._clock.over:
            self._end_phase()
            # What is kept back comes back in order: a front-end that goes on without us has nothing twice.
            self._session.behave(Behaviour(), json.dumps({"phase": "end", "words": "completes what is out"}))
            self._over = now + _SETTLE
        elif course.seconds is not None and now - self._began > course.seconds + (course.wait or 30.0):
            self._leave_out(silence(view) or "nothing was transmitted" if not sent else "the time was up")
            self._over = now
        front_end = self._conductor._front_end
        return front_end is not None and front_end.poll() is not None and self._over is not None

    def _feed(self) -> None:
        """Give the driver something to send back."""
        for pair in range(self._course.pairs):
            for frame in islice(cycle(food()), _FED):
                if not self._session.deliver(pair, frame):
                    break
                self._outcome.received += 1

    def _begin_phase(self, phase: Phase, sent: int, now: float) -> None:
        phases = self._phases
        phases.phase, phases.chains = phase, sent
        phases.quiet_since, phases.last, phases.flowed = now, sent, False
        self._conductor._tell(f"{self._course.name}: {phase.name}, {phase.words}")
        said = json.dumps({"phase": phase.name, "words": phase.words})
        self._session.behave(phase.behaviour, said)

    def _end_phase(self, *, stalled: bool = False) -> None:
        """The phase is over; that nothing came in it says something only if it was waited for."""
        phases = self._phases
        if phases.phase is None:
            return
        chains = _transmitted(self._session.view()) - phases.chains
        flowed = False if stalled else True if chains else None
        self._outcome.phases.append(PhaseOutcome(phases.phase, chains, flowed))
        phases.phase = None

    def _watch(self, sent: int, now: float) -> None:
        """Notice that frames go on, or have stopped for good."""
        phases = self._phases
        if phases.phase is None:
            return
        if sent != phases.last:
            if not phases.flowed and self._course.traffic == "steady":
                self._session.flow(1)
            phases.flowed, phases.last, phases.quiet_since = True, sent, now
            return
        quiet = now - phases.quiet_since
        if self._course.traffic == "steady" and not self._course.inject and quiet > self._course.stall:
            self._end_phase(stalled=True)
            self._stopped(quiet, now, "the driver stopped, and sent nothing more")

    def _await(self, view: View, now: float) -> None:
        """Notice that a driver which never stops sending does not begin."""
        if not any(queue.runs for queue in view.queues[1::2]):
            return
        if self._started is None:
            self._started = now
        waited = now - self._started
        if waited > self._course.first_frame:
            self._stopped(waited, now, "the driver started its queue, and sent nothing")

    def _stopped(self, waited: float, now: float, words: str) -> None:
        self._session.stall(round(waited * 1000), 1)
        self._leave_out(f"{words} in {waited:.1f} s")
        self._over = now

    def _inject(self, now: float) -> None:
        """Break a rule once traffic flows, and give the driver a while to show what it makes of it."""
        if self._injected_at is None:
            self._session.inject(self._course.inject)
            self._injected_at = now
            self._over = now + _OCCASION
        elif self._over is not None and not self._outcome.injected_done and self._session.injected():
            self._outcome.injected_done = True
            self._over = min(self._over, now + _AFTERMATH)

    def _finish(self) -> None:
        """Take what the session knows before it goes."""
        session, outcome = self._session, self._outcome
        self._end_phase()
        session.cut()
        outcome.injected_done |= session.injected()
        front_end = self._conductor._front_end
        if front_end is not None:  # before the device is gone: what it says of that is no complaint
            accused = set(front_end.accusations()) if self._course.inject else set()
            outcome.complaints = tuple(said for said in front_end.complaints() if said not in accused)
        if self._course.inject:
            outcome.went_early = front_end is not None and front_end.poll() is not None
            idle = time.monotonic() - self._phases.quiet_since
            silent = f"nothing was sent in the last {idle:.1f} s it was watched"
            outcome.after = silent if idle > 1.0 else "it went on sending"
        outcome.shown = self._excerpts.finish(time.monotonic() - self._began)
        view = session.view()
        outcome.accepted = view.accepted if view.features_known else None
        outcome.status_told = bool(view.status_known)
        outcome.transmitted = _transmitted(view)
        outcome.wraps = sum(queue.counts.wraps for queue in view.queues[1::2])
        if self._void:
            outcome.shown = {}
            return
        outcome.tallies = session.tallies()


def _transmitted(view: View) -> int:
    """Chains of all transmit queues since the connection began."""
    return sum(queue.counts.chains for queue in view.queues[1::2])
