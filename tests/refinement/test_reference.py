"""The reference's virtqueue takes the model's steps; each defect of it doesn't, in a state that shows it."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ringproof.impl import reference
from ringproof.patching import patched_copy
from ringproof.proofs.refinement import examination
from ringproof.proofs.refinement.explorer import explore
from ringproof.proofs.refinement.reference_operations import Call, calls
from ringproof.proofs.refinement.reference_proof import prove, title, witness
from ringproof.proofs.refinement.reference_replay import Unreplayable, construction, replay
from ringproof.proofs.refinement.reference_virtqueue import REFERENCE_REFINEMENTS, SIZES
from ringproof.proofs.refinement.refinement import Code
from ringproof.proofs.refinement.symbolic_ring import Block, Memory, Misfit, ring_fields
from ringproof.proofs.symbolic.errors import Unmodelled

SOURCE = Path(reference.__file__).parent


def _call(name: str, queue_size: int) -> Call:
    return next(call for call in calls(queue_size) if title(call) == name)


def _copy(tmp_path: Path, old: str, new: str) -> ModuleType:
    """Return the reference with a line of its virtqueue changed."""
    patched = tmp_path / "changed"
    patched.mkdir()
    for source in SOURCE.glob("*.py"):
        text = source.read_text()
        if source.name == "virtqueue.py":
            assert old in text
            text = text.replace(old, new)
        (patched / source.name).write_text(text)
    return examination._package(patched)


@pytest.mark.parametrize("queue_size", [1, 2])
def test_each_operation_takes_the_models_steps(queue_size: int) -> None:
    """Of small queues everything is proved, from a start that there is."""
    for refinement in REFERENCE_REFINEMENTS:
        for part in refinement.parts:
            if not part.label.startswith(f"N = {queue_size}"):
                continue
            results = part.check(Code(reference, SOURCE))
            assert results
            assert {result.verdict for result in results} == {"proved"}, refinement.name
            assert all(result.satisfiable_at == (queue_size,) for result in results)


@pytest.mark.parametrize("name", ["add (outs 2, ins 2)", "detach_unused_buf", "kick", "enable_cb_delayed"])
def test_larger_queues(name: str) -> None:
    """A sample of what is proved of a queue of 4."""
    results = prove(_call(name, 4), 4, reference)
    assert {result.verdict for result in results} == {"proved"}


# The smallest queue, and an operation, in which each defect of the virtqueue shows.
DEFECTS = {
    "A1": (2, "add (outs 1, ins 1)"),
    "A13": (1, "add (outs 0, ins 1)"),
    "A2": (2, "detach_unused_buf"),
    "A5": (1, "add (outs 0, ins 1)"),
    "A6": (2, "detach_unused_buf"),
    "A7": (2, "get_buf"),
    "B1": (1, "add (outs 0, ins 1)"),
    "B10": (2, "add (outs 0, ins 1)"),
    "B11": (1, "add (outs 0, ins 1)"),
    "B13": (1, "get_buf"),
    "B3": (1, "get_buf"),
    "B5": (1, "get_buf"),
    "B6": (1, "get_buf"),
    "D1": (1, "kick"),
    "D14": (1, "add (outs 1, ins 0)"),
    "D3": (1, "get_buf"),
    "X1": (1, "kick"),
    "X10": (2, "get_buf"),
    "X2": (1, "detach_unused_buf"),
    "X3": (2, "detach_unused_buf"),
    "X4": (2, "add (outs 1, ins 1)"),
    "X5": (2, "get_buf"),
    "X6": (2, "add (outs 1, ins 1)"),
    "X7": (2, "get_buf"),
    "X9": (1, "kick"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_refuted_and_shows_natively(defect: str, tmp_path: Path) -> None:
    """The state told goes wrong on the concrete class with the defect, and not without it."""
    patch = SOURCE / "mutants" / f"{defect}.patch"
    package = examination._package(patched_copy(SOURCE, patch, tmp_path / "copy"))
    queue_size, name = DEFECTS[defect]
    results = prove(_call(name, queue_size), queue_size, package)
    shown = [result.counterexample for result in results if result.verdict == "refuted"]
    assert shown
    assert shown[0] is not None
    assert shown[0] == json.loads(json.dumps(shown[0]))
    assert shown[0]["wrong"]
    assert replay(shown[0], package) is not None
    assert replay(shown[0], reference) is None


def test_a_construction_that_differs_is_told(tmp_path: Path) -> None:
    """A queue made with its free list in another order is no start of the model's."""
    package = _copy(tmp_path, "self.desc.next[i] = i + 1", "self.desc.next[i] = 0")
    assert construction(reference, 4, "legacy", True, False, True, False) is None
    told = construction(package, 4, "legacy", True, False, True, False)
    assert told == "desc[0].next is 0, not 1"
    part = next(part for part in REFERENCE_REFINEMENTS[0].parts if part.label == "N = 4")
    found = next(iter(part.check(Code(package, SOURCE))))
    assert found.verdict == "refuted"
    assert found.counterexample is not None
    assert replay(found.counterexample, package) == told


CHANGES = {
    # What the device may see too early, or is asked too early: the order is wrong, the end is the same.
    "published before its slot is written": (
        "add (outs 1, ins 0)",
        "self.avail.ring[self.avail.idx & (self.queue_size - 1)] = head\n"
        "        virtio_wmb()\n"
        "        self.avail.idx = (self.avail.idx + 1) & U16\n",
        "self.avail.idx = (self.avail.idx + 1) & U16\n"
        "        self.avail.ring[(self.avail.idx - 1) & (self.queue_size - 1)] = head\n",
    ),
    "looks before it asks": (
        "enable_cb",
        "return not self.poll(self.enable_cb_prepare())",
        "late = self.poll(self.last_used_idx)\n        self.enable_cb_prepare()\n        return not late",
    ),
    # What ends as no shipped defect does.
    "another attribute changes": (
        "kick",
        "self.num_added = 0\n        if",
        "self.num_added = self.index = 0\n        if",
    ),
    "callbacks not noted": ("enable_cb", "self.callbacks_wanted = True\n        if", "if"),
    "the device's words written": (
        "get_buf",
        "virtio_rmb()\n        slot",
        "self.used.id[0] = 7\n        slot",
    ),
    "a word too large": ("disable_cb", "self.callbacks_wanted = False", "self.desc.next[0] = -1"),
    "an exception": ("notify", "self._notify(self.index)", "raise OSError"),
    "a result of another kind": ("poll", "return mark != self.used.idx", "return None"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_no_defect_shows_is_seen_too(name: str, tmp_path: Path) -> None:
    """Order of writes and reads, stray changes, numbers without room, exceptions: each is refuted."""
    operation, old, new = CHANGES[name]
    package = _copy(tmp_path, old, new)
    verdicts = {result.verdict for result in prove(_call(operation, 1), 1, package)}
    assert "refuted" in verdicts


def test_what_cannot_be_followed_is_no_proof(tmp_path: Path) -> None:
    """Code that asks an object's identity, or turns a number into one value, is refused by its line."""
    package = _copy(
        tmp_path,
        "if self.broken:\n            return None",
        "if self.broken is True:\n            return None",
    )
    part = next(part for part in REFERENCE_REFINEMENTS[3].parts if part.label == "N = 1")
    with pytest.raises(Unmodelled, match=r"virtqueue\.py:\d+"):
        part.check(Code(package, SOURCE))


def test_a_disturbed_state_is_not_replayed() -> None:
    """A counterexample in which somebody comes between is refused, not called right."""
    shown = {"operation": "kick", "undisturbed": False}
    with pytest.raises(Unreplayable):
        replay(shown, reference)


def test_every_call_can_start() -> None:
    """Some state satisfies all that is assumed of a call's start, at every size."""
    assert all(witness(call, queue_size) for queue_size in SIZES for call in calls(queue_size))


@pytest.fixture
def block() -> Block:
    """Return a ring of 2 at which the words' values are their names."""
    found: list[Block] = []

    def program(run: Any) -> None:
        fields = ring_fields(2, 32, 44)
        cells: dict[str, Any] = {}
        for field in fields:
            for cell in field.marks.values() or (field.cell,):
                cells[cell] = (lambda i: i * 10) if field.stride and not field.marks else 7
        cells |= dict.fromkeys(("has_next", "writes", "indirect"), lambda i: i == 1)
        cells |= dict.fromkeys(("no_interrupt", "no_notify"), True)
        found.append(Block(Memory(run, cells), 66, fields))

    explore(program, {})
    return found[0]


def test_memory_answers_as_bytes_would(block: Block) -> None:
    """Casts, slices and strides lead to the fields; what lies between them is no word."""
    bytes_ = block.window()
    assert len(bytes_) == 66
    assert len(bytes_[:32].cast("H")[7::8]) == 2
    assert str(bytes_[:32].cast("H")[7::8][1].term) == "10"
    with pytest.raises(Misfit):
        bytes_.cast("H")[0]
    with pytest.raises(Misfit):
        bytes_[1]
    with pytest.raises(IndexError):
        bytes_[:32].cast("H")[16]
    with pytest.raises(TypeError, match="multiple"):
        bytes_[:31].cast("H")
    with pytest.raises(TypeError):
        bytes_.cast("f")
    with pytest.raises(Misfit):
        bytes_[0:16] = bytes(16)
    with pytest.raises(TypeError, match="str is stored"):
        bytes_[:32].cast("H")[7] = "x"
    bytes_[:] = bytes(66)
    assert str(bytes_[:32].cast("H")[7::8][1].term) == "0"
