"""What VIRTIO 1.3 demands of a driver in sections 2.7 to 2.7.14, and the theorems that show it, or why none.

An id is a section with a letter for the sentence, in the order of the text; ``/n`` and a number marks what
the text says without a word of RFC 2119 (level ``desc``). The words are our own. A theorem is listed where
its statement says what the clause demands, or part of it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClauseRow:
    """A clause, and the theorems that show it; if there are none, the reason.

    ``level`` is MUST, MUST NOT, SHOULD, SHOULD NOT, MAY or desc. Theorems go by name, findings included:
    those say that Linux 3.11 breaks the clause. ``note`` says what of the clause the theorems do not show.
    """

    id: str
    level: str
    words: str
    theorems: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""


_IN_ORDER = "IN_ORDER is never accepted, for only what the driver understands is (features-offered)"
_BARRIER = (
    "memory in the models is sequentially consistent, where no barrier is needed; what this one is for is "
    "shown for such memory by "
)
_BYTES = "the models know the parts of a ring, not at which bytes of memory they lie"
_WRITTEN = "what a device writes into buffers is not in the models; frames to transmit have no room for it"
_MAY = "a permission, which demands nothing"

_ROWS = (
    # Geometry
    ClauseRow(
        "2.7/n1",
        "desc",
        "A queue's size is a power of two and at most 32768.",
        ("slot-injective",),
        note="that a driver refuses any other size",
    ),
    ClauseRow(
        "2.7/n2",
        "desc",
        "Never are more chains outstanding than the queue has descriptors.",
        ("avail-slot-not-overwritten", "avail-slot-at-every-step"),
    ),
    ClauseRow(
        "2.7/n3",
        "desc",
        "The driver never writes to the used ring.",
        ("used-slot-not-overwritten", "used-slot-at-every-step", "callbacks-off-stay-off"),
        note="anything of the lengths in used entries, and of the time before the queue is made",
    ),
    ClauseRow("2.7.1a", "MUST", "Ring parts are aligned to 16, 2 and 4 bytes.", reason=_BYTES),
    ClauseRow(
        "2.7.2a",
        "MUST",
        "A legacy queue has the size the device says.",
        reason="the size is a given of the models, whoever said it",
    ),
    ClauseRow("2.7.2b", "MUST", "A legacy ring has all the bytes the layout asks for.", reason=_BYTES),
    ClauseRow("2.7.2c", "MUST", "A legacy ring's parts follow each other as laid out.", reason=_BYTES),
    ClauseRow(
        "2.7.3a",
        "MUST",
        "Legacy rings are in the guest's byte order.",
        reason="fields are numbers in the models, whatever their bytes",
    ),
    ClauseRow(
        "2.7.4.2a",
        "MUST",
        "In a chain all that the device reads comes before what it writes.",
        ("chain-filled-as-asked", "table-filled-as-asked"),
    ),
    ClauseRow(
        "2.7.4.2b",
        "SHOULD NOT",
        "A chain has no unreasonable number of descriptors.",
        ("segment-count-exact",),
        note="anything of buffers other than frames to transmit; VIRTIO does not say how many are too many",
    ),
    # Descriptors
    ClauseRow(
        "2.7.5/n1",
        "desc",
        "IN_ORDER: descriptors are used in the order of the table.",
        reason=_IN_ORDER,
    ),
    ClauseRow(
        "2.7.5/n2",
        "desc",
        "Where NEXT is set, next names a descriptor of the same table.",
        ("free-list-sound", "free-list-at-every-step", "chain-well-formed", "table-filled-as-asked"),
        note="anything of tables of more than 65535 entries, which linux-3.11 alone could make",
    ),
    ClauseRow(
        "2.7.5/n3",
        "desc",
        "Of the flags only NEXT, WRITE and INDIRECT are set.",
        reason="the models know these three flags and no others",
    ),
    ClauseRow(
        "2.7.5/n4",
        "desc",
        "Address and length name memory that is the driver's, as the device sees it.",
        (
            "segments-are-the-bytes",
            "chain-filled-as-asked",
            "table-filled-as-asked",
            "table-lives-until-used",
        ),
        note=(
            "that there is memory: what the caller passes is shown to arrive in descriptor or table "
            "unchanged, but addresses are plain numbers in the models"
        ),
    ),
    ClauseRow(
        "2.7.5.2a",
        "MUST NOT",
        "A chain holds no more than 2^32 bytes.",
        ("segments-are-the-bytes",),
        note="anything of buffers other than frames to transmit: of those the caller has to see to it",
    ),
    ClauseRow(
        "2.7.5.2b",
        "MUST NOT",
        "No chain leads back into itself.",
        ("chain-well-formed", "chain-filled-as-asked", "table-filled-as-asked", "walks-end"),
    ),
    ClauseRow(
        "2.7.5.2c",
        "MUST",
        "IN_ORDER: the next descriptor is the one behind.",
        reason=_IN_ORDER,
    ),
    ClauseRow(
        "2.7.5.3/n1",
        "desc",
        "An indirect table is a whole number of entries, at least one.",
        ("table-filled-as-asked",),
        note="anything of tables of more than 65535 entries, which linux-3.11 alone could make",
    ),
    ClauseRow(
        "2.7.5.3/n2",
        "desc",
        "An indirect table is valid and unchanged while its chain is outstanding.",
        ("table-filled-as-asked", "table-lives-until-used", "published-chain-untouched"),
    ),
    ClauseRow(
        "2.7.5.3.1a",
        "MUST NOT",
        "INDIRECT is not set unless INDIRECT_DESC was negotiated.",
        ("indirect-as-negotiated",),
    ),
    ClauseRow(
        "2.7.5.3.1b",
        "MUST NOT",
        "INDIRECT is not set within an indirect table.",
        ("indirect-as-negotiated",),
    ),
    ClauseRow(
        "2.7.5.3.1c",
        "MUST NOT",
        "A chain has no more descriptors than the queue.",
        ("chain-fits-queue", "chain-fits-queue-linux-3.11"),
    ),
    ClauseRow(
        "2.7.5.3.1d",
        "MUST NOT",
        "INDIRECT and NEXT are not set together.",
        ("indirect-as-negotiated",),
    ),
    ClauseRow(
        "2.7.5.3.1e",
        "MUST",
        "IN_ORDER: each entry of a table leads to the one behind.",
        reason=_IN_ORDER,
    ),
    # Available ring
    ClauseRow(
        "2.7.6/n1",
        "desc",
        "avail_idx starts at 0, and its entry is in the slot avail_idx modulo the queue's size.",
        ("slot-injective", "published-after-written"),
        note="that avail_idx starts at 0, which is how the models begin",
    ),
    ClauseRow(
        "2.7.6/n2",
        "desc",
        "Every entry published is the head of a chain.",
        ("device-reads-outstanding", "device-finds-chains-in-flight"),
    ),
    ClauseRow(
        "2.7.6.1a",
        "MUST NOT",
        "avail_idx does not go back while the queue is live.",
        ("indices-at-every-step",),
    ),
    # Interrupts
    ClauseRow(
        "2.7.7.1a",
        "MUST",
        "Without EVENT_IDX, avail.flags is 0 or 1.",
        reason="the models know one bit of avail.flags and no others",
    ),
    ClauseRow("2.7.7.1b", "MAY", "Without EVENT_IDX, avail.flags of 1 asks for no interrupts.", reason=_MAY),
    ClauseRow(
        "2.7.7.1c",
        "MUST",
        "With EVENT_IDX, avail.flags stays 0.",
        ("flags-stay-zero", "flags-stay-zero-linux-3.11"),
    ),
    ClauseRow("2.7.7.1d", "MAY", "With EVENT_IDX, used_event defers interrupts.", reason=_MAY),
    ClauseRow(
        "2.7.7.1e",
        "MUST",
        "An interrupt without news is borne.",
        ("no-interrupt-lost", "frame-fits"),
        note="that linux-3.11 loses no frame by one: it may (frame-fits-linux-3.11)",
    ),
    ClauseRow(
        "2.7.8.3a",
        "MUST NOT",
        "Bytes of a buffer past the used length are not relied on.",
        reason=_WRITTEN,
    ),
    ClauseRow(
        "2.7.8.3b",
        "SHOULD",
        "Bytes of a buffer past the used length are ignored.",
        reason=_WRITTEN,
    ),
    ClauseRow(
        "2.7.9/n1",
        "desc",
        "IN_ORDER: one used entry gives a whole batch back.",
        reason=_IN_ORDER,
    ),
    # Notifications
    ClauseRow(
        "2.7.10.1a",
        "MUST",
        "used.flags is 0 when the device gets the ring.",
        reason="the models begin with a ring that is made; what its memory held before is not in them",
    ),
    ClauseRow(
        "2.7.10.1b",
        "MUST",
        "Without EVENT_IDX, the word of avail_event has no influence.",
        ("kick-follows-feature", "kick-only-when-asked"),
    ),
    ClauseRow(
        "2.7.10.1c",
        "SHOULD NOT",
        "Without EVENT_IDX, nothing is notified while used.flags is 1.",
        ("kick-follows-feature", "kick-only-when-asked", "full-ring-kick-linux-3.11"),
    ),
    ClauseRow(
        "2.7.10.1d",
        "MUST",
        "Without EVENT_IDX, new entries are notified of while used.flags is 0.",
        ("kick-follows-feature", "no-kick-lost"),
        note="that the driver kicks at all: one that adds and never kicks is promised nothing",
    ),
    ClauseRow(
        "2.7.10.1e",
        "MUST",
        "With EVENT_IDX, used.flags has no influence.",
        ("kick-follows-feature", "kick-only-when-asked"),
    ),
    ClauseRow(
        "2.7.10.1f",
        "MUST",
        "With EVENT_IDX, the entry that avail_event names is notified of.",
        ("need-event-exact", "forced-kick-sufficient", "kick-count-at-every-step", "no-kick-lost"),
        note="that the driver kicks at all: one that adds and never kicks is promised nothing",
    ),
    ClauseRow(
        "2.7.10.1g",
        "SHOULD NOT",
        "With EVENT_IDX, other entries are not notified of.",
        ("kick-follows-feature", "kick-only-when-asked", "kick-count-at-every-step"),
        note="anything of linux-3.11 at a full ring, where it notifies in any case (full-ring-notifies)",
    ),
    # Adding and getting back
    ClauseRow(
        "2.7.13/n1",
        "desc",
        "Only free descriptors are taken for a new chain.",
        ("no-leak-no-double-allocation", "descriptors-at-every-step"),
    ),
    ClauseRow(
        "2.7.13/n2",
        "desc",
        "Heads go to consecutive slots of the available ring, behind the last one published.",
        ("avail-slot-not-overwritten", "avail-slot-at-every-step", "published-after-written"),
    ),
    ClauseRow("2.7.13/n3", "MAY", "Several chains may be published at once.", reason=_MAY),
    ClauseRow(
        "2.7.13/n4",
        "desc",
        "avail_idx grows by just as many as heads were written.",
        ("indices-faithful", "indices-at-every-step", "published-after-written"),
    ),
    ClauseRow(
        "2.7.13.1/n1",
        "desc",
        "A descriptor has its segment's address and length, WRITE if the device writes, NEXT if more follow.",
        ("chain-well-formed", "chain-filled-as-asked", "table-filled-as-asked"),
    ),
    ClauseRow(
        "2.7.13.3/n1",
        "desc",
        "avail_idx runs freely and wraps at 2^16, not at the queue's size.",
        ("indices-faithful", "indices-at-every-step"),
    ),
    ClauseRow(
        "2.7.13.3.1a",
        "MUST",
        "A barrier comes before avail_idx moves.",
        reason=_BARRIER + "published-after-written",
    ),
    ClauseRow(
        "2.7.13.4.1a",
        "MUST",
        "A barrier comes before the suppression words are read.",
        reason=_BARRIER + "no-kick-lost",
    ),
    ClauseRow(
        "2.7.14/n1",
        "desc",
        "With interrupts on again, used_idx is looked at once more before waiting.",
        ("no-lost-wake-up", "no-interrupt-lost", "delayed-callback-exact"),
    ),
    ClauseRow("2.7.14/n2", "MAY", "Interrupts may stay off while what was used is taken back.", reason=_MAY),
)

CLAUSE_TABLE: dict[str, ClauseRow] = {row.id: row for row in _ROWS}
"""Every clause of sections 2.7 to 2.7.14 by id, in the order of the text."""
