"""The clauses a whole network driver is judged by, and the docket in which what was seen of each is kept.

What they say stands in the registry; here is how each shows in a run of a network driver, and why it may not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .registry import DEMANDS, Level
from .report import CheckVerdict

Shown: TypeAlias = Literal["registers", "headers", "runs", "never"]
"""Where a clause shows: in the register log, in a transmitted chain, in what a run does, or not at all."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One demand on a driver.

    ``words`` says what it must do; ``unseen`` why it was not exercised when it was not, or, of what shows
    ``never``, why nothing here can observe it. A breach of a SHOULD, or of a ``loose`` clause, is a warning.
    """

    id: str
    level: Level
    shown: Shown
    words: str
    unseen: str
    loose: bool = False

    @property
    def breach(self) -> CheckVerdict:
        """The verdict when it does not hold."""
        return "warn" if self.loose or self.level.startswith("SHOULD") else "fail"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What came of one clause: ``access`` is the number of the access that broke it, from 0, if one did."""

    clause: str
    verdict: CheckVerdict
    detail: str
    access: int | None = None
    held: int = 0


@dataclass(slots=True)
class Docket:
    """How often each clause held, and how it was first broken: the access's number, and a sentence."""

    held: dict[str, int] = field(default_factory=dict)
    breaches: dict[str, tuple[int | None, str]] = field(default_factory=dict)

    def holds(self, clause: str, times: int = 1) -> None:
        """Note that a clause was put to the test and held."""
        self.held[clause] = self.held.get(clause, 0) + times

    def breaks(self, clause: str, sentence: str, access: int | None = None) -> None:
        """Note that a clause was broken; the first time is kept."""
        assert clause in CLAUSES, clause
        self.breaches.setdefault(clause, (access, sentence))

    def excuse(self, clause: str, remark: str) -> None:
        """Add to the sentence on a breach what led to it."""
        access, sentence = self.breaches[clause]
        self.breaches[clause] = access, f"{sentence}; {remark}"

    def check(self, clause: str, held: bool, sentence: str, access: int | None = None) -> None:
        """Note one or the other; ``sentence`` says how it was broken."""
        if held:
            self.holds(clause)
        else:
            self.breaks(clause, sentence, access)

    def add(self, other: "Docket") -> None:
        """Take over what another one holds."""
        for clause, times in other.held.items():
            self.holds(clause, times)
        for clause, (access, sentence) in other.breaches.items():
            self.breaks(clause, sentence, access)

    def ruling(self, clause: Clause) -> Ruling:
        """Rule on one clause."""
        held = self.held.get(clause.id, 0)
        if clause.id in self.breaches:
            access, sentence = self.breaches[clause.id]
            return Ruling(clause.id, clause.breach, sentence, access, held)
        if held:
            return Ruling(clause.id, "pass", clause.words, None, held)
        if clause.shown == "never":
            return Ruling(clause.id, "not observable", clause.unseen)
        return Ruling(clause.id, "not exercised", clause.unseen)

    def rulings(self, shown: Iterable[Shown] = ("registers", "headers", "runs", "never")) -> list[Ruling]:
        """Rule on every clause that shows there, in the order of the table."""
        where = frozenset(shown)
        return [self.ruling(clause) for clause in CLAUSES.values() if clause.shown in where]

    @property
    def worst(self) -> str | None:
        """A clause whose breach is a failure, the first in the order of breaking; None if there is none."""
        return next((clause for clause in self.breaches if CLAUSES[clause].breach == "fail"), None)


_NO_REMOVAL = "nothing was removed"
_NO_PROBE = "no probe came so far"
_NO_RESET = "RING_RESET is never offered"
_NO_FEATURE = "the feature was not offered"
_NO_FAULT = "no probe failed"
_NO_KICK = "no notification was sent"
_NO_CHAIN = "no chain of this kind was transmitted"
_REGISTERS: Shown = "registers"
_HEADERS: Shown = "headers"
_RUNS: Shown = "runs"
_NEVER: Shown = "never"

_TABLE: tuple[tuple[str, Shown, str], ...] = (
    # Life cycle and features
    ("2.1.1a", _REGISTERS, _NO_PROBE),
    ("2.1.1b", _REGISTERS, _NO_PROBE),
    ("2.1.1c", _REGISTERS, "nothing came after FAILED"),
    ("2.1.1d", _NEVER, "the device here never asks for a reset"),
    ("2.2.1a", _REGISTERS, _NO_PROBE),
    ("2.2.1b", _REGISTERS, _NO_PROBE),
    ("2.2.1c", _NEVER, "what is looked at does not show; what is accepted is judged by 2.2.1b and 2.2.1d"),
    ("2.2.1d", _REGISTERS, _NO_PROBE),
    ("2.2.1e", _REGISTERS, "all that the driver understands was offered"),
    ("2.2.1f", _REGISTERS, "no offer was insufficient"),
    ("2.2.1g", _REGISTERS, "no unknown bit was offered"),
    ("2.2.3a", _REGISTERS, "VERSION_1 was always offered"),
    ("2.4.2a", _REGISTERS, "no legacy device was probed; of a modern one 4.1.4.3.2e says so"),
    ("2.5.1a", _REGISTERS, "no field was read in several accesses on the modern transport"),
    ("2.5.1b", _REGISTERS, "no configuration was read"),
    ("2.6.1.1.2a", _REGISTERS, _NO_RESET),
    ("2.6.1.2.2a", _REGISTERS, _NO_RESET),
    ("3.1.1a", _REGISTERS, "no modern device was probed"),
    ("3.1.1b", _REGISTERS, _NO_PROBE),
    ("3.1.1c", _REGISTERS, "FEATURES_OK was never set"),
    ("3.1.1d", _REGISTERS, "FEATURES_OK was never set"),
    ("3.1.1e", _REGISTERS, _NO_FAULT),
    ("3.1.1f", _REGISTERS, _NO_FAULT),
    ("3.1.1g", _REGISTERS, _NO_PROBE),
    ("3.1.2a", _REGISTERS, "no legacy device was probed"),
    ("3.3.1b", _REGISTERS, _NO_REMOVAL),
    ("6.1a", _REGISTERS, "VERSION_1 was never offered"),
    ("6.1c", _REGISTERS, _NO_FEATURE),
    ("6.1d", _NEVER, "there is no IOMMU here"),
    ("6.1e", _RUNS, _NO_CHAIN),
    ("6.1f", _REGISTERS, _NO_FEATURE),
    ("6.1g", _REGISTERS, _NO_FEATURE),
    ("6.1h", _NEVER, "the order of memory accesses is not observed"),
    ("6.1i", _REGISTERS, _NO_FEATURE),
    ("6.3a", _REGISTERS, _NO_FEATURE),
    ("6.3b", _REGISTERS, _NO_FEATURE),
    # PCI
    ("4.1.4.3.2a", _REGISTERS, "no modern device was probed"),
    ("4.1.4.3.2b", _REGISTERS, "RING_PACKED is never offered"),
    ("4.1.4.3.2c", _REGISTERS, "queue_size was not written"),
    ("4.1.4.3.2d", _REGISTERS, "no modern queue was enabled"),
    ("4.1.4.3.2e", _REGISTERS, "no modern device was probed"),
    ("4.1.4.3.2f", _REGISTERS, "no modern queue was enabled"),
    ("4.1.4.3.2g", _REGISTERS, _NO_RESET),
    ("4.1.5.2.1a", _REGISTERS, _NO_KICK),
    ("4.1.5.2.1b", _REGISTERS, _NO_KICK),
    ("2.7/n1", _REGISTERS, "no queue was set up"),
    ("2.7.1a", _REGISTERS, "no modern queue was enabled"),
    ("2.7.2a", _REGISTERS, "no legacy queue was set up"),
    ("2.7.2b", _REGISTERS, "no legacy queue was set up"),
    # The ring, as far as a run shows it
    ("2.7.7.1a", _RUNS, "EVENT_IDX was always accepted"),
    ("2.7.7.1c", _RUNS, "EVENT_IDX was never accepted"),
    ("2.7.10.1b", _RUNS, "that word was always 0"),
    ("2.7.10.1c", _RUNS, "used.flags was never 1 without EVENT_IDX"),
    ("2.7.10.1d", _RUNS, "no entry was new"),
    ("2.7.10.1e", _RUNS, "used.flags was never 1 with EVENT_IDX"),
    ("2.7.10.1f", _RUNS, "avail_event was never passed"),
    ("2.7.10.1g", _RUNS, "every entry was to be notified of"),
    ("2.7.5.3.1c", _RUNS, _NO_CHAIN),
    ("2.7.13.1/n1", _RUNS, _NO_CHAIN),
    ("5.1.6.6a", _RUNS, _NO_CHAIN),
    ("2.7.3a", _NEVER, "every guest here is little endian"),
    ("5.1.6.1a", _NEVER, "every guest here is little endian"),
    ("5.1.6.1b", _NEVER, "the device here writes 0"),
    ("2.7.13.3.1a", _NEVER, "the order of memory accesses is not observed"),
    ("2.7.13.4.1a", _NEVER, "the order of memory accesses is not observed"),
    # Network: configuration, headers, packets, queues
    ("5.1.4.2a", _REGISTERS, _NO_PROBE),
    ("5.1.4.2b", _REGISTERS, _NO_FEATURE),
    ("5.1.4.2c", _HEADERS, "MTU was not accepted"),
    ("5.1.6/n1", _HEADERS, _NO_CHAIN),
    ("5.1.6.2.1a", _HEADERS, "no header had num_buffers"),
    ("5.1.6.2.1b", _HEADERS, "CSUM was always accepted"),
    ("5.1.6.2.1c", _HEADERS, "nothing with a whole checksum was sent without CSUM"),
    ("5.1.6.2.1d", _HEADERS, _NO_CHAIN),
    ("5.1.6.2.1e", _HEADERS, _NO_CHAIN),
    ("5.1.6.2.1f", _HEADERS, _NO_CHAIN),
    ("5.1.6.2.1g", _HEADERS, _NO_CHAIN),
    ("5.1.6.2.1h", _HEADERS, "nothing with CWR was left to be segmented without HOST_ECN"),
    ("5.1.6.2.1i", _HEADERS, "nothing with CWR was left to be segmented with HOST_ECN"),
    ("5.1.6.2.1k", _NEVER, "what a driver has looked at does not show"),
    ("5.1.6.2.1l", _HEADERS, "no frame's checksum was left to the device after the sum of its pseudo header"),
    ("5.1.6.2.1m", _HEADERS, "no checksum was left to the device"),
    ("5.1.6.2.1n", _HEADERS, "a HOST_ feature was always accepted"),
    ("5.1.6.2.1o", _HEADERS, "nothing was left to be segmented"),
    ("5.1.6.2.1p", _HEADERS, "nothing was left to be segmented"),
    ("5.1.6.2.1q", _HEADERS, "GUEST_HDRLEN was not accepted"),
    ("5.1.6.2.1r", _HEADERS, "nothing with headers to be found was sent with an offload accepted"),
    ("5.1.6.2.1s", _REGISTERS, _NO_FEATURE),
    ("5.1.6.2.1t", _HEADERS, _NO_CHAIN),
    ("5.1.6.2/n1", _HEADERS, "no plain frame was sent"),
    ("5.1.6.2/n2", _HEADERS, "no checksum was left to the device"),
    ("5.1.6.2/n3", _HEADERS, "the ECN bit was never set"),
    ("5.1.6.2/n4", _RUNS, _NO_CHAIN),
    ("5.1.6.2/n5", _HEADERS, _NO_CHAIN),
    ("5.1.6.2/n6", _HEADERS, _NO_CHAIN),
    ("5.1.6.5.6.1a", _RUNS, "no number of queues was asked for"),
    ("5.1.6.5.6.1b", _RUNS, "no number of queues was asked for"),
    ("5.1.6.5.6.1c", _RUNS, "MQ was never accepted"),
    ("5.1.6.5.6.1d", _RUNS, "no number of queues was asked for"),
)  # fmt: skip

_LOOSE = frozenset({"2.5.1a", "2.7.13.1/n1", "5.1.6.2/n5"})
"""The generation loop is a SHOULD; of empty descriptors and long frames the text says nothing firm."""

CLAUSES: dict[str, Clause] = {
    id: Clause(id, DEMANDS[id].level, shown, DEMANDS[id].words, unseen, loose=id in _LOOSE)
    for id, shown, unseen in _TABLE
}
"""Every clause a whole network driver is judged by, in the order of a report."""
