"""What each mutant is, in words; how it is seeded into each model lives beside this file.

The ids are stable: the patches of the reference (``impl/reference/mutants/ID.patch``), of the C
implementation (``impl/c/mutants/ID.patch``) and the overrides of both models carry the same one.
A letter and a number name a row of the project's collection of real bugs; ``X`` marks a mutant
made to test one theorem, which no known driver shipped.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One seeded defect: its stable id, a title, what is changed, and where it happened."""

    id: str
    title: str
    change: str
    seen_in: str


_ALL = (
    Mutant(
        "A1",
        "room test asks only whether the ring is full",
        "add refuses when num_free is 0 instead of when it is below the number of segments",
        "OpenAMP 2dcdc61 (2022)",
    ),
    Mutant(
        "A2",
        "only the head of a chain is given back",
        "get_buf puts the head alone on the free list and adds 1 to num_free",
        "Seastar 5af55ac97 (2014)",
    ),
    Mutant(
        "A5",
        "num_free loses one too many at each add",
        "add subtracts the number of segments plus one from num_free",
        "OSv 86e86241 (2013)",
    ),
    Mutant(
        "A6",
        "a returned chain is not linked to the old free list",
        "detach_buf leaves the next field of the chain's last descriptor as it was",
        "kerla 0ce1414 (2021)",
    ),
    Mutant(
        "A7",
        "the used ring's slot number is taken for the head",
        "get_buf uses last_used_idx modulo the queue size where it should read the entry's id",
        "Hermit b496e9b8 (2024)",
    ),
    Mutant(
        "A13",
        "the last descriptor of a chain keeps its NEXT flag",
        "add does not clear NEXT on the last descriptor it fills",
        "SPDK 770dcb0006 (2017)",
    ),
    Mutant(
        "B1",
        "avail_idx wraps at the queue size",
        "add stores avail_idx + 1 modulo the queue size instead of modulo 2^16",
        "OSv dfd46a30 (2013)",
    ),
    Mutant(
        "B3",
        "the used test orders indices instead of comparing them",
        "get_buf looks for last_used_idx < used_idx instead of last_used_idx != used_idx",
        "ToaruOS e9811a07 (2023)",
    ),
    Mutant(
        "B5",
        "the used test compares indices modulo the queue size",
        "get_buf masks both indices before it compares them, so a full ring looks empty",
        "Solo5 e2dfa22 (2016)",
    ),
    Mutant(
        "B6",
        "last_used_idx is wider than 16 bits",
        "get_buf never wraps last_used_idx, so past 65535 it differs from used_idx for ever",
        "Linux virtio (2007)",
    ),
    Mutant(
        "B10",
        "the available ring is taken to have one slot more",
        "add places heads at avail_idx modulo (queue size + 1)",
        "Hermit 74bf18da (2024)",
    ),
    Mutant(
        "B11",
        "no forced kick before num_added wraps",
        "add does not kick when num_added reaches 65535",
        "Linux before ee7cd8981e15 (2012)",
    ),
    Mutant(
        "B13",
        "a completion is taken without looking whether there is one",
        "get_buf does not compare last_used_idx with used_idx",
        "Etherboot before 744b98d27 (2008)",
    ),
    Mutant(
        "D1",
        "the event test is not cut to 16 bits",
        "kick compares new - event - 1 with new - old as plain integers",
        "Unikraft before 43e260fb (2023)",
    ),
    Mutant(
        "D3",
        "used_event is never moved on",
        "get_buf does not write last_used_idx to used_event while callbacks are enabled",
        "rcore before 3ce80bd (2023)",
    ),
    Mutant(
        "D14",
        "a full ring is met in silence",
        "add returns ENOSPC without notifying the device",
        "virtio-win e735fd25 (2017)",
    ),
    Mutant(
        "X1",
        "num_added is never reset",
        "kick leaves num_added as it was",
        "made for this suite",
    ),
    Mutant(
        "X2",
        "a token is kept after it was returned",
        "get_buf does not clear data of the head it gives back",
        "made for this suite",
    ),
    Mutant(
        "X3",
        "num_free grows by one per chain",
        "get_buf adds 1 to num_free whatever the chain's length",
        "made for this suite",
    ),
    Mutant(
        "X4",
        "a chain of several segments takes a descriptor too many",
        "add moves free_head, and num_free, one descriptor past a chain of two or more",
        "made for this suite",
    ),
    Mutant(
        "X5",
        "the driver writes the used ring",
        "get_buf wipes the used entry after the one it has taken",
        "made for this suite",
    ),
    Mutant(
        "X6",
        "the last descriptor of a chain is published",
        "add puts the chain's last descriptor into the available ring instead of its head",
        "made for this suite",
    ),
    Mutant(
        "X7",
        "descriptor 0 is taken for no descriptor",
        "get_buf reports a bad ring when the used id is 0",
        "made for this suite",
    ),
    Mutant(
        "X8",
        "a queue size that is no power of two is accepted",
        "creation checks only that the size is from 1 to 32768",
        "made for this suite",
    ),
    Mutant(
        "X9",
        "NO_NOTIFY is obeyed though EVENT_IDX was negotiated",
        "kick stays silent while used.flags has NO_NOTIFY, whatever avail_event says",
        "made for this suite",
    ),
    Mutant(
        "X10",
        "the free list is rebuilt when the ring runs empty",
        "get_buf restores the order of creation once nothing is in flight: harmless, but no round repeats",
        "made for this suite",
    ),
)

CATALOG: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}
"""Every mutant by id, in the order reports print them."""
