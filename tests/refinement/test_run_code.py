"""Claims about the code that ships, through what runs them: one small one, and what makes none a pass."""

import functools
import re
import shutil
from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.patching import patched_copy, reference_sources
from ringproof.proofs.refinement.examination import Examined, Finding, Task, examine
from ringproof.proofs.refinement.registry import premises, refinements
from ringproof.proofs.symbolic import clang
from ringproof.proofs.theorems import THEOREMS

NAME = "c-poll"


def _asked(code: Path, made_from: Path | None = None, name: str = NAME) -> Finding:
    """Ask the part of the smallest queue."""
    whole = None if made_from is None else Examined(made_from)
    task = Task(name, (0,), Examined(code), "X1" if whole else "", whole)
    return examine(task, refinements).findings[0]


def test_a_compiled_function_is_proved() -> None:
    """What is shipped is proved at one queue size; it rests on theorems that there are."""
    found = _asked(c_sources())
    assert (found.missing, found.refuted, found.proved) == ("", False, True)
    assert set(premises([NAME])) <= set(THEOREMS)
    assert premises([NAME])


def test_an_edit_elsewhere_changes_nothing(tmp_path: Path) -> None:
    """A remark, and a defect in another function, leave a function's questions as they are; its own don't."""
    copy = patched_copy(c_sources(), c_sources() / "mutants" / "X1.patch", tmp_path / "c")
    source = copy / "virtqueue.c"
    source.write_text(f"/* Every line is one further down. */\n{source.read_text()}")
    assert _asked(copy, c_sources()).unchanged
    part = refinements()["c-kick-prepare"].parts[0]
    assert part.key(Examined(copy).code("c")) != part.key(Examined(c_sources()).code("c"))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("    return full_fence();\n", r"virtqueue\.c:\d+:\d+: error: "),
        ("    int rand(void); return rand();\n", r"rand.*virtqueue\.c:\d+ \(rp_vq_poll\)"),
        ('    __asm__ volatile("hlt");\n', r"assembly.*virtqueue\.c:\d+ \(rp_vq_poll\)"),
    ],
)
def test_what_can_not_be_followed_is_named(edit: str, said: str, tmp_path: Path) -> None:
    """C that does not compile, calls what has no model, or has assembly in it: unknown, with the line."""
    copy = tmp_path / "c"
    shutil.copytree(c_sources(), copy)
    source = copy / "virtqueue.c"
    source.write_text(
        source.read_text().replace("    full_fence(); /* enable the interrupt", f"{edit}    /*")
    )
    found = _asked(copy)
    assert not found.proved
    assert re.search(said, found.missing), found.missing


def test_a_function_that_is_not_there_is_named(tmp_path: Path) -> None:
    """C without the function is unknown."""
    copy = tmp_path / "c"
    shutil.copytree(c_sources(), copy)
    source = copy / "virtqueue.c"
    source.write_text(source.read_text().replace("rp_vq_poll(", "rp_vq_polled("))
    found = _asked(copy)
    assert not found.proved
    assert "rp_vq_poll" in found.missing


def test_no_clang_is_never_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pinned clang nothing is proved of C, and that is said."""
    monkeypatch.setattr(clang, "find_clang", functools.partial(clang.find_clang, ("no-such-clang",)))
    copy = tmp_path / "c"
    shutil.copytree(c_sources(), copy)
    found = _asked(copy)
    assert not found.proved
    assert "clang 14" in found.missing


def test_defects_are_there_to_be_seeded() -> None:
    """Each defect that a claim names lies beside the code that it is about."""
    for claim in refinements().values():
        source = reference_sources() if claim.code == "reference" else c_sources()
        for mutant in claim.broken_by:
            assert (source / "mutants" / f"{mutant}.patch").is_file()
