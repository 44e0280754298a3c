"""The clauses a whole network driver is judged by, and the docket in which what was seen of each is kept.

An id is a section of VIRTIO 1.3 with a letter for the sentence; ``/n`` marks protocol text without a word
of RFC 2119 (level ``desc``). The words are our own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .report import CheckVerdict

Level: TypeAlias = Literal["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "desc"]
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
_MUST: Level = "MUST"
_NOT: Level = "MUST NOT"
_SHOULD: Level = "SHOULD"
_REGISTERS: Shown = "registers"
_HEADERS: Shown = "headers"
_RUNS: Shown = "runs"
_NEVER: Shown = "never"

_TABLE: tuple[tuple[str, Level, Shown, str, str], ...] = (
    # Life cycle and features
    ("2.1.1a", _MUST, _REGISTERS, "Each step done shows in the device status.", _NO_PROBE),
    ("2.1.1b", _NOT, _REGISTERS, "No status bit is cleared but by a reset.", _NO_PROBE),
    ("2.1.1c", _MUST, _REGISTERS, "After FAILED comes a reset before anything else.",
     "nothing came after FAILED"),
    ("2.1.1d", "SHOULD NOT", _NEVER, "Completions are not waited for once DEVICE_NEEDS_RESET is set.",
     "the device here never asks for a reset"),
    ("2.2.1a", _NOT, _REGISTERS, "No feature is accepted that was not offered.", _NO_PROBE),
    ("2.2.1b", _NOT, _REGISTERS, "No feature is accepted without those it requires.", _NO_PROBE),
    ("2.2.1c", _MUST, _NEVER, "The offered features are checked for validity.",
     "what is looked at does not show; what is accepted is judged by 2.2.1b and 2.2.1d"),
    ("2.2.1d", _NOT, _REGISTERS, "No undefined or reserved feature bit is accepted.", _NO_PROBE),
    ("2.2.1e", _SHOULD, _REGISTERS, "A feature that is not offered is done without.",
     "all that the driver understands was offered"),
    ("2.2.1f", _MUST, _REGISTERS, "Where the features do not suffice, FAILED is set.",
     "no offer was insufficient"),
    ("2.2.1g", _NOT, _REGISTERS, "An unknown feature bit is no reason to fail.",
     "no unknown bit was offered"),
    ("2.2.3a", _MUST, _REGISTERS, "Without VERSION_1 the legacy sections are followed, or nothing is run.",
     "VERSION_1 was always offered"),
    ("2.4.2a", _SHOULD, _REGISTERS, "A reset is finished when status reads 0, not before.",
     "no legacy device was probed; of a modern one 4.1.4.3.2e says so"),
    ("2.5.1a", _NOT, _REGISTERS, "Several reads of configuration are one only if the generation stayed.",
     "no field was read in several accesses on the modern transport"),
    ("2.5.1b", _MUST, _REGISTERS, "A configuration field is touched only if its feature is offered.",
     "no configuration was read"),
    ("2.6.1.1.2a", _MUST, _REGISTERS, "A queue reset is confirmed before the queue is used.", _NO_RESET),
    ("2.6.1.2.2a", _MUST, _REGISTERS, "A queue enabled again is set up as at first.", _NO_RESET),
    ("3.1.1a", _MUST, _REGISTERS,
     "Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, queues, DRIVER_OK: in this order.",
     "no modern device was probed"),
    ("3.1.1b", _NOT, _REGISTERS, "Configuration is not written while features are negotiated.", _NO_PROBE),
    ("3.1.1c", _NOT, _REGISTERS, "No feature is accepted after FEATURES_OK.", "FEATURES_OK was never set"),
    ("3.1.1d", _MUST, _REGISTERS, "FEATURES_OK is read back before going on.", "FEATURES_OK was never set"),
    ("3.1.1e", _SHOULD, _REGISTERS, "FAILED is set when initialisation fails.", _NO_FAULT),
    ("3.1.1f", _NOT, _REGISTERS, "Initialisation does not go on after a failure.", _NO_FAULT),
    ("3.1.1g", _NOT, _REGISTERS, "No notification is sent before DRIVER_OK.", _NO_PROBE),
    ("3.1.2a", _MUST, _REGISTERS, "A legacy device is set up in order, without FEATURES_OK.",
     "no legacy device was probed"),
    ("3.3.1b", _MUST, _REGISTERS, "The device is reset before its buffers are taken back.", _NO_REMOVAL),
    ("6.1a", _MUST, _REGISTERS, "VERSION_1 is accepted when offered.", "VERSION_1 was never offered"),
    ("6.1c", _SHOULD, _REGISTERS, "ACCESS_PLATFORM is accepted when offered.", _NO_FEATURE),
    ("6.1d", _MUST, _NEVER, "With ACCESS_PLATFORM, addresses are those the device translates.",
     "there is no IOMMU here"),
    ("6.1e", _MUST, _RUNS, "Without ACCESS_PLATFORM, addresses are guest-physical.", _NO_CHAIN),
    ("6.1f", _SHOULD, _REGISTERS, "RING_PACKED is accepted when offered.", _NO_FEATURE),
    ("6.1g", _SHOULD, _REGISTERS, "ORDER_PLATFORM is accepted when offered.", _NO_FEATURE),
    ("6.1h", _MUST, _NEVER, "With ORDER_PLATFORM, barriers are those for a device.",
     "the order of memory accesses is not observed"),
    ("6.1i", _SHOULD, _REGISTERS, "NOTIF_CONFIG_DATA is accepted when offered.", _NO_FEATURE),
    ("6.3a", _MUST, _REGISTERS, "On the legacy interface ANY_LAYOUT is accepted when offered.", _NO_FEATURE),
    ("6.3b", "SHOULD NOT", _REGISTERS, "On the legacy interface bit 30 is not accepted.", _NO_FEATURE),
    # PCI
    ("4.1.4.3.2a", _NOT, _REGISTERS, "Read-only fields of the common configuration are not written.",
     "no modern device was probed"),
    ("4.1.4.3.2b", _NOT, _REGISTERS, "A packed queue is not given size 0.", "RING_PACKED is never offered"),
    ("4.1.4.3.2c", _NOT, _REGISTERS, "queue_size is given only powers of two.", "queue_size was not written"),
    ("4.1.4.3.2d", _MUST, _REGISTERS, "A queue is enabled when all else of it is set.",
     "no modern queue was enabled"),
    ("4.1.4.3.2e", _MUST, _REGISTERS, "After a reset, status reads 0 before anything is set up.",
     "no modern device was probed"),
    ("4.1.4.3.2f", _NOT, _REGISTERS, "queue_enable is not given 0.", "no modern queue was enabled"),
    ("4.1.4.3.2g", _NOT, _REGISTERS, "A queue reset is over when queue_reset reads 0.", _NO_RESET),
    ("4.1.5.2.1a", _MUST, _REGISTERS, "A notification is one 16-bit write.", _NO_KICK),
    ("4.1.5.2.1b", _MUST, _REGISTERS, "A notification goes to its queue's address and names it.", _NO_KICK),
    ("2.7/n1", "desc", _REGISTERS, "A queue's size is a power of two and at most 32768.",
     "no queue was set up"),
    ("2.7.1a", _MUST, _REGISTERS, "Ring parts are aligned to 16, 2 and 4 bytes.",
     "no modern queue was enabled"),
    ("2.7.2a", _MUST, _REGISTERS, "A legacy queue has the size the device says.",
     "no legacy queue was set up"),
    ("2.7.2b", _MUST, _REGISTERS, "A legacy ring has all the bytes the layout asks for.",
     "no legacy queue was set up"),
    # The ring, as far as a run shows it
    ("2.7.7.1a", _MUST, _RUNS, "Without EVENT_IDX, avail.flags is 0 or 1.", "EVENT_IDX was always accepted"),
    ("2.7.7.1c", _MUST, _RUNS, "With EVENT_IDX, avail.flags stays 0.", "EVENT_IDX was never accepted"),
    ("2.7.10.1b", _MUST, _RUNS, "Without EVENT_IDX, the word of avail_event has no influence.",
     "that word was always 0"),
    ("2.7.10.1c", "SHOULD NOT", _RUNS, "Nothing is notified while used.flags is 1.",
     "used.flags was never 1 without EVENT_IDX"),
    ("2.7.10.1d", _MUST, _RUNS, "Without EVENT_IDX, new entries are notified of while used.flags is 0.",
     "no entry was new"),
    ("2.7.10.1e", _MUST, _RUNS, "With EVENT_IDX, used.flags has no influence.",
     "used.flags was never 1 with EVENT_IDX"),
    ("2.7.10.1f", _MUST, _RUNS, "With EVENT_IDX, the entry that avail_event names is notified of.",
     "avail_event was never passed"),
    ("2.7.10.1g", "SHOULD NOT", _RUNS, "With EVENT_IDX, other entries are not notified of.",
     "every entry was to be notified of"),
    ("2.7.5.3.1c", _NOT, _RUNS, "A chain has no more descriptors than the queue.", _NO_CHAIN),
    ("2.7.13.1/n1", "desc", _RUNS, "Each descriptor names some bytes.", _NO_CHAIN),
    ("5.1.6.6a", _MUST, _RUNS, "On a legacy device without ANY_LAYOUT the header has its own descriptor.",
     _NO_CHAIN),
    ("2.7.3a", _MUST, _NEVER, "Legacy rings are in the guest's byte order.",
     "every guest here is little endian"),
    ("5.1.6.1a", _MUST, _NEVER, "Legacy headers are in the guest's byte order.",
     "every guest here is little endian"),
    ("5.1.6.1b", _SHOULD, _NEVER, "Legacy used lengths of a transmit queue are not looked at.",
     "the device here writes 0"),
    ("2.7.13.3.1a", _MUST, _NEVER, "A barrier comes before the available index moves.",
     "the order of memory accesses is not observed"),
    ("2.7.13.4.1a", _MUST, _NEVER, "A barrier comes before the suppression words are read.",
     "the order of memory accesses is not observed"),
    # Network: configuration, headers, packets, queues
    ("5.1.4.2a", _NOT, _REGISTERS, "No field of the network configuration is written.", _NO_PROBE),
    ("5.1.4.2b", _SHOULD, _REGISTERS, "MTU is accepted when offered.", _NO_FEATURE),
    ("5.1.4.2c", _NOT, _HEADERS, "No frame but a segmented one is longer than MTU allows.",
     "MTU was not accepted"),
    ("5.1.6/n1", "desc", _HEADERS, "A header of the size the features say, then the frame, whole.",
     _NO_CHAIN),
    ("5.1.6.2.1a", _MUST, _HEADERS, "num_buffers is 0.", "no header had num_buffers"),
    ("5.1.6.2.1b", _MUST, _HEADERS, "Without CSUM, flags is 0.", "CSUM was always accepted"),
    ("5.1.6.2.1c", _SHOULD, _HEADERS, "Without CSUM, packets carry whole checksums.",
     "nothing with a whole checksum was sent without CSUM"),
    ("5.1.6.2.1d", _NOT, _HEADERS, "GSO_TCPV4 needs HOST_TSO4.", _NO_CHAIN),
    ("5.1.6.2.1e", _NOT, _HEADERS, "GSO_TCPV6 needs HOST_TSO6.", _NO_CHAIN),
    ("5.1.6.2.1f", _NOT, _HEADERS, "GSO_UDP needs HOST_UFO.", _NO_CHAIN),
    ("5.1.6.2.1g", _NOT, _HEADERS, "GSO_UDP_L4 needs HOST_USO.", _NO_CHAIN),
    ("5.1.6.2.1h", "SHOULD NOT", _HEADERS, "Without HOST_ECN, TCP with CWR is not left to be segmented.",
     "nothing with CWR was left to be segmented without HOST_ECN"),
    ("5.1.6.2.1i", _MUST, _HEADERS, "With HOST_ECN, segmented TCP with CWR has the ECN bit.",
     "nothing with CWR was left to be segmented with HOST_ECN"),
    ("5.1.6.2.1k", _MUST, _NEVER, "The checksums before csum_start have been checked.",
     "what a driver has looked at does not show"),
    ("5.1.6.2.1l", _MUST, _HEADERS, "With NEEDS_CSUM, the field holds the sum of the pseudo header.",
     "no frame's checksum was left to the device after the sum of its pseudo header"),
    ("5.1.6.2.1m", _MUST, _HEADERS, "With NEEDS_CSUM, summing from csum_start gives a whole packet.",
     "no checksum was left to the device"),
    ("5.1.6.2.1n", _MUST, _HEADERS, "Without any HOST_ feature, gso_type is NONE.",
     "a HOST_ feature was always accepted"),
    ("5.1.6.2.1o", _MUST, _HEADERS, "Segmentation comes with NEEDS_CSUM.",
     "nothing was left to be segmented"),
    ("5.1.6.2.1p", _MUST, _HEADERS, "Segmentation comes with a gso_size.",
     "nothing was left to be segmented"),
    ("5.1.6.2.1q", _MUST, _HEADERS, "With GUEST_HDRLEN, hdr_len is the headers' length.",
     "GUEST_HDRLEN was not accepted"),
    ("5.1.6.2.1r", _SHOULD, _HEADERS, "With an offload accepted, hdr_len covers the headers.",
     "nothing with headers to be found was sent with an offload accepted"),
    ("5.1.6.2.1s", _SHOULD, _REGISTERS, "GUEST_HDRLEN is accepted when offered.", _NO_FEATURE),
    ("5.1.6.2.1t", _NOT, _HEADERS, "DATA_VALID and RSC_INFO are not set.", _NO_CHAIN),
    ("5.1.6.2/n1", "desc", _HEADERS, "A plain frame has flags 0 and gso_type NONE.",
     "no plain frame was sent"),
    ("5.1.6.2/n2", "desc", _HEADERS, "csum_start counts from the frame's first byte.",
     "no checksum was left to the device"),
    ("5.1.6.2/n3", "desc", _HEADERS, "The ECN bit comes with TCP and HOST_ECN only.",
     "the ECN bit was never set"),
    ("5.1.6.2/n4", "desc", _RUNS, "A transmit chain has nothing for the device to write.", _NO_CHAIN),
    ("5.1.6.2/n5", "desc", _HEADERS, "Frames over 1514 bytes are segmented.", _NO_CHAIN),
    ("5.1.6.2/n6", "desc", _HEADERS, "gso_type is one that is defined.", _NO_CHAIN),
    ("5.1.6.5.6.1a", _MUST, _RUNS, "Queues are set up before their number is asked for.",
     "no number of queues was asked for"),
    ("5.1.6.5.6.1b", _NOT, _RUNS, "No number of queues is asked for but 1 to max_virtqueue_pairs.",
     "no number of queues was asked for"),
    ("5.1.6.5.6.1c", _MUST, _RUNS, "Until then only the first transmit queue is used.",
     "MQ was never accepted"),
    ("5.1.6.5.6.1d", _NOT, _RUNS, "Afterwards no queue beyond that number is used.",
     "no number of queues was asked for"),
)  # fmt: skip

_LOOSE = frozenset({"2.5.1a", "2.7.13.1/n1", "5.1.6.2/n5"})
"""The generation loop is a SHOULD; of empty descriptors and long frames the text says nothing firm."""

CLAUSES: dict[str, Clause] = {row[0]: Clause(*row, loose=row[0] in _LOOSE) for row in _TABLE}
"""Every clause, in the order of a report."""
