"""How a compiled queue begins and ends: proved of the code as it is, refuted of code with a defect."""

from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.proofs.refinement.c_lifetime import LIFETIME_REFINEMENTS, few_ones, placement
from tests.refinement.defects import Defect, refuted, seeded, verdicts

CLAIMS = {claim.name: claim for claim in LIFETIME_REFINEMENTS}

PROVED = (
    ("c-place", "legacy, every N"),
    ("c-place", "modern, every N"),
    ("c-init", "legacy, no callback, every N"),
    ("c-init", "modern, a callback, every N"),
    ("c-destroy", "every N"),
    ("c-destroy", "N = 2"),
)

BROKEN: tuple[tuple[str, str, Defect, str], ...] = (
    ("c-place", "legacy, N = 1", (".avail = 16 * n", ".avail = 16 * n + 2"), "avail"),
    ("c-init", "modern, a callback, every N", "X8", "a power of two"),
    (
        "c-init",
        "legacy, a callback, N = 2",
        ("memset(ring, 0, place.bytes)", "memset(ring, 0, place.used)"),
        "used.idx",
    ),
    ("c-init", "modern, no callback, N = 1", ("ops->callback == NULL", "0"), "avail.flags"),
    ("c-init", "legacy, a callback, N = 1", ("if (ring == NULL)", "if (n == 7)"), "null pointer"),
    ("c-init", "modern, a callback, N = 2", ("+ place.used;", "+ place.avail;"), "used_address"),
    ("c-destroy", "N = 1", ("data->table, data->table_bytes", "data->table, 16"), "once, with its size"),
    ("c-destroy", "N = 1", ("uint32_t head = 0; head < vq->queue_size; head++)\n        rel",
                            "uint32_t head = 1; head < vq->queue_size; head++)\n        rel"), "as many"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "label"), PROVED)
def test_the_code_is_proved(name: str, label: str) -> None:
    """All that is owed is proved, and each end the function comes to is possible."""
    results = verdicts(CLAIMS[name], label, c_sources())
    assert {each.verdict for each in results} == {"proved"}
    assert any("possible" in each.label for each in results) or label == "every N"


@pytest.mark.parametrize(("name", "label", "defect", "what"), BROKEN)
def test_a_defect_is_refuted(name: str, label: str, defect: Defect, what: str, tmp_path: Path) -> None:
    """Of code with a defect the claim fails where the defect is, with a counterexample."""
    found = refuted(verdicts(CLAIMS[name], label, seeded(tmp_path, defect)))
    assert any(what in each.label for each in found)


def test_a_counterexample_says_what_differs(tmp_path: Path) -> None:
    """Of a used ring that stands too low: a size, where it is found, and where it belongs."""
    sources = seeded(tmp_path, ("6 + 2 * n + used_alignment", "4 + 2 * n + used_alignment"))
    first = refuted(verdicts(CLAIMS["c-place"], "modern, every N", sources))[0].counterexample
    assert first is not None
    size = first["values"]["queue_size"]
    assert size in {1 << power for power in range(16)}
    assert first["expected"] == placement(size, 1).used
    assert first["found"] == (16 * size + 4 + 2 * size + 3) // 4 * 4


def test_a_loop_that_leaves_something_out_is_found_out(tmp_path: Path) -> None:
    """Of one size a descriptor is not linked; of every size what is claimed at the head is not enough."""
    sources = seeded(tmp_path, ("i + 1 < n; i++", "i + 2 < n; i++"))
    found = verdicts(CLAIMS["c-init"], "legacy, a callback, every N", sources)
    assert any("ring.next" in each.label and each.verdict != "proved" for each in found)
    small = refuted(verdicts(CLAIMS["c-init"], "modern, a callback, N = 4", sources))
    shown = next(each.counterexample for each in small if "ring.next" in each.label)
    assert shown is not None
    assert (shown["values"]["at next"], shown["found"], shown["expected"]) == (2, 0, 3)


def test_sizes_are_the_numbers_with_one_bit() -> None:
    """What init asks of a size, how many of its bits are 1, means what the specification says."""
    assert few_ones().verdict == "proved"


def test_placements_are_those_of_the_specification() -> None:
    """Of a queue of 8, worked out by hand from VIRTIO 1.3, 2.7 and 2.7.2."""
    legacy, modern = placement(8, 0), placement(8, 1)
    assert (legacy.avail, legacy.used, legacy.bytes, legacy.alignment) == (128, 4096, 4166, 4096)
    assert (modern.avail, modern.used, modern.bytes, modern.alignment) == (128, 152, 222, 64)
