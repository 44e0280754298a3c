"""The compiled virtqueue beside any device: proved of the code as it is, refuted of code with a defect."""

from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.proofs.refinement.c_hostile import HOSTILE_REFINEMENTS
from tests.refinement.defects import Defect, refuted, seeded, verdicts

CLAIMS = {claim.name: claim for claim in HOSTILE_REFINEMENTS}

BROKEN: tuple[tuple[str, str, Defect, str], ...] = (
    ("c-get-buf-any-id", "N = 2", "X7", "and is one"),
    ("c-get-buf-any-id", "N = 2", ("id >= vq->queue_size ||", "id > vq->queue_size ||"), "data.token below"),
    ("c-get-buf-any-id", "N = 2", ("= vq->data[id].token;", "= vq->data[load32(vq, &entry->id)].token;"),
     "data.token below"),
    ("c-get-buf-any-id", "N = 1", ("vq->broken = true;", "vq->num_free++;"), "only an id in flight is"),
    ("c-get-buf-any-id", "N = 1", ("if (vq->broken)", "if (false)"), "not broken"),
    ("c-interrupt-without-callback", "a callback, every N", ("!vq->broken && vq->ops", "vq->ops"), "called"),
    ("c-interrupt-without-callback", "no callback, N = 1", (" && vq->ops->callback != NULL", ""), "null"),
)  # fmt: skip

WORDS: dict[str, tuple[str, str, str]] = {
    "rp_vq_kick_prepare, every N": ("avail_event(vq)), new", "avail_event(vq) + 4), new", "avail_event"),
    "rp_vq_notify, every N": ("notify(vq->context,", "notify(vq->ring,", "the caller's context"),
    "rp_vq_kick, N = 1": ("vq->queue_index);", "vq->num_free);", "the queue's index"),
    "rp_vq_disable_cb, N = 1": ("vq->callbacks = enabled;", "vq->broken = enabled;", "vq.broken is left"),
    "rp_vq_enable_cb_prepare, every N": ("\n    return vq->last_used_idx;",
                                         "\n    vq->avail->idx = 0; return 1;", "avail.idx is left"),
    "rp_vq_poll, every N": ("used->idx) != mark", "used->ring[vq->queue_size + 1].id)", "below"),
    "rp_vq_enable_cb, N = 1": ("return !rp_vq_poll", "vq->used->idx = 0; return !rp_vq_poll", "the device's"),
    "rp_vq_enable_cb_delayed, every N": ("used_event(vq), (uint16_t)(vq->last_used_idx + bufs)",
                                         "&vq->avail->ring[bufs], 0", "avail.ring below"),
}  # fmt: skip
"""By part of the claim about functions that take no id: a defect, and what it makes false."""


@pytest.mark.parametrize("name", CLAIMS)
def test_the_code_is_proved(name: str) -> None:
    """All that is owed in all parts is proved, and each end the function comes to is possible."""
    for part in CLAIMS[name].parts:
        results = verdicts(CLAIMS[name], part.label, c_sources())
        assert {each.verdict for each in results} == {"proved"}, part.label
        assert any("possible" in each.label for each in results)


@pytest.mark.parametrize(("name", "label", "defect", "what"), BROKEN)
def test_a_defect_is_refuted(name: str, label: str, defect: Defect, what: str, tmp_path: Path) -> None:
    """Of code with a defect the claim fails where the defect is, with a counterexample."""
    found = refuted(verdicts(CLAIMS[name], label, seeded(tmp_path, defect)))
    assert any(what in each.label for each in found)


def test_a_defect_of_each_function_that_takes_no_id_is_refuted(tmp_path: Path) -> None:
    """Each function has a defect of its own here, all in one copy, and each function's part finds it."""
    sources = seeded(tmp_path, ("/* virtqueue_poll */", ""))
    source = sources / "virtqueue.c"
    for old, new, _ in WORDS.values():
        assert source.read_text().count(old) == 1, old
        source.write_text(source.read_text().replace(old, new))
    for label, (_, _, what) in WORDS.items():
        found = refuted(verdicts(CLAIMS["c-any-words"], label, sources))
        assert any(what in each.label for each in found), label


def test_ends_are_not_reached_in_vain(tmp_path: Path) -> None:
    """A get_buf that finds every id bad is told so: that it accepts one is possible no more."""
    sources = seeded(tmp_path, ("id >= vq->queue_size ||", "id != vq->queue_size ||"))
    found = verdicts(CLAIMS["c-get-buf-any-id"], "N = 2", sources)
    assert {each.verdict for each in found if "accepts an id" in each.label} == {"unknown"}
