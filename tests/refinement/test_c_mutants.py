"""Defects of virtqueue.c: the proof about the function fails, with a small queue that goes wrong natively.

One defect of each function. Those of the shipped patches that no proof about a function of virtqueue.c can
see: X8 (queue sizes that are no power of two: rp_vq_init's affair, which makes the queues that the others
are called with), and all patches of other files (D9, E2 to E19, G3, X11 to X26). B5 is not decided: it takes
the exclusive or of two numbers that nothing is known of, which the executor has no term for, and says so.
"""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ringproof.building import c_sources, find_compiler
from ringproof.proofs.discharge import ObligationResult
from ringproof.proofs.refinement.c_operations import OPERATIONS
from ringproof.proofs.refinement.c_replay import replay
from ringproof.proofs.refinement.c_virtqueue import examine, virtqueue_ir
from tests.refinement.defects import Defect, seeded

SAMPLES: dict[str, Defect] = {
    "add": "D14",
    "kick_prepare": "X1",
    "kick": "D1",
    "get_buf": "A2",
    "notify": ("vq->context, vq->queue_index)", "vq->context, vq->queue_index + 1u)"),
    "disable_cb": ("set_callbacks(vq, false)", "set_callbacks(vq, true)"),
    "enable_cb_prepare": ("return vq->last_used_idx;", "return (uint16_t)(vq->last_used_idx + 1);"),
    "poll": ("used->idx) != mark", "used->idx) == mark"),
    "enable_cb": ("return !rp_vq_poll", "return rp_vq_poll"),
    "enable_cb_delayed": ("in_flight * 3u / 4u", "in_flight * 3u / 4u + 1u"),
    "interrupt": ("if (!vq->broken && vq->ops", "if (vq->broken && vq->ops"),
    "detach_unused_buf": ("idx) - 1));", "idx) - 2));"),
}
"""By function: a shipped patch, or a text of virtqueue.c and what it is replaced by."""


def _library(folder: Path, sources: Path) -> Path:
    made = folder / f"{sources.name}.so"
    flags = ["-std=c11", "-O2", "-shared", "-fPIC", "-o", str(made)]
    subprocess.run([*find_compiler().command, *flags, str(sources / "virtqueue.c")], check=True)
    return made


@cache
def _shipped(folder: Path) -> Path:
    return _library(folder, c_sources())


def _refuted(sources: Path, function: str, size: int) -> ObligationResult:
    operation = next(each for each in OPERATIONS if each.function == f"rp_vq_{function}")
    result = examine(virtqueue_ir(sources), operation, size)[-1]
    assert result.verdict == "refuted"
    return result


def _counterexample(sources: Path, function: str, size: int) -> dict[str, Any]:
    found = _refuted(sources, function, size).counterexample
    assert found is not None
    return found


@pytest.mark.parametrize(
    "function",
    [pytest.param(each, marks=pytest.mark.slow if each == "add" else ()) for each in SAMPLES],
)
def test_a_defect_is_refuted_and_replayed(
    function: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The counterexample shows natively on the code with the defect, and nothing on the shipped one."""
    sources = seeded(tmp_path, SAMPLES[function])
    shown = _counterexample(sources, function, 2)
    assert shown["operation"] == f"rp_vq_{function}"
    assert shown["queue_size"] == 2
    assert len(shown["before"]["desc"]["next"]) == 2
    assert "rp_vq_" in shown["wrong"][0]
    said = replay(shown, _library(tmp_path, sources), virtqueue_ir(sources))
    assert said is not None
    assert said.startswith(f"rp_vq_{function} ")
    common = tmp_path_factory.getbasetemp()
    assert replay(shown, _shipped(common), virtqueue_ir(c_sources())) is None


def test_cells_tell_code_from_model(tmp_path: Path) -> None:
    """Where memory differs, each cell is told with what the code has there and what the model says."""
    shown = _counterexample(seeded(tmp_path, "X1"), "kick_prepare", 1)
    (cell,) = shown["cells"]
    assert cell["cell"] == "vq.num_added"
    assert cell["model"] == 0
    assert cell["code"] == shown["before"]["vq"]["num_added"] != 0


FENCES = {
    "kick_prepare": "    full_fence(); /* publish avail.idx before",
    "poll": "    full_fence(); /* enable the interrupt",
    "enable_cb_delayed": "    full_fence(); /* as in rp_vq_poll",
}


def test_what_the_model_does_not_read_may_be_anything(tmp_path: Path) -> None:
    """A function that heeds used.flags under EVENT_IDX is shown to, by another value there."""
    sources = seeded(tmp_path, "X9")
    shown = _counterexample(sources, "kick_prepare", 2)
    assert shown["event_idx"] is True
    said = replay(shown, _library(tmp_path, sources), virtqueue_ir(sources))
    assert said is not None
    assert said.startswith("rp_vq_kick_prepare returns 0, but the model 1 (with other values in words")


@pytest.mark.parametrize("function", FENCES)
def test_a_missing_fence_is_refuted_but_not_replayed(function: str, tmp_path: Path) -> None:
    """Without its fence a function is refuted; its own process can't see the order of its accesses."""
    fence = FENCES[function]
    sources = seeded(tmp_path, (fence, fence.replace("full_fence();", "")))
    shown = _counterexample(sources, function, 2)
    assert ": fence: a full fence between" in shown["wrong"][0]
    said = replay(shown, tmp_path / "none", virtqueue_ir(sources))
    assert said == "cannot be replayed: the order of accesses can't be seen from within"


def test_words_that_change_are_not_replayed(tmp_path: Path) -> None:
    """A word read twice with two values can't be had from memory that stands still."""
    sources = seeded(tmp_path, SAMPLES["poll"])
    shown = _counterexample(sources, "poll", 2)
    shown["reads"] = [["used.idx", 1], ["used.idx", 2]]
    said = replay(shown, tmp_path / "none", virtqueue_ir(sources))
    assert said == "cannot be replayed: used.idx is read as 1 and then as 2"


def test_a_crash_and_an_endless_loop_are_findings(tmp_path: Path) -> None:
    """What a defect does to its own process is told in one line."""
    (tmp_path / "crash").mkdir()
    (tmp_path / "loop").mkdir()
    call = "vq->ops->notify(vq->context, vq->queue_index);"
    crash = seeded(tmp_path / "crash", (call, f"{call} *(volatile int *)0 = 1;"))
    shown = _counterexample(crash, "notify", 1)
    said = replay(shown, _library(tmp_path / "crash", crash), virtqueue_ir(crash))
    assert said == "killed by signal 11"
    loop = seeded(tmp_path / "loop", (call, f"{call} while (vq->num_free < 40000) full_fence();"))
    said = replay(shown, _library(tmp_path / "loop", loop), virtqueue_ir(loop), seconds=1.0)
    assert said == "does not return within 1 s"
