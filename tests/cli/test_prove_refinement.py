"""``ringproof prove --refinement``: code in the list of theorems, what is missing, and what is refused."""

import json
from pathlib import Path

import pytest

from ringproof.building import CompilerMissing
from ringproof.cli import run
from ringproof.commands import refinement
from ringproof.model.steps.queue import Steps
from ringproof.proofs.refinement import registry
from ringproof.proofs.theorems import PREMISES, THEOREMS
from tests.refinement import fakes


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fakes instead of what is claimed, a C of one line instead of what ships, a cache of its own, no CI."""
    directory = fakes.source(tmp_path / "c")
    monkeypatch.setattr(refinement, "find", fakes.refinements)
    monkeypatch.setattr(refinement, "c_sources", lambda: directory)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)
    return directory


def test_code_is_in_the_list_of_theorems(capsys: pytest.CaptureFixture[str]) -> None:
    """Theorems first, then refinements, in one list; a refinement's name does without --refinement."""
    assert run(["prove", "fake-kick", "need-event-exact", "-j", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("proved    4 ")
    assert out[0].endswith("The event test is exact for all 2^48 values")
    assert out[1].startswith("proved    4 ")
    assert out[1].endswith("Kick does as the model does (C, N = 1, 2)")
    assert out[2].startswith(
        "1 of 1 theorems proved for every queue size, 1 of 1 refinements of code proved: 8 obligations; "
    )
    assert run(["prove", "--refinement", "fake-kick", "--json", "-j", "1"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["theorems"]
    assert (entry["name"], entry["verdict"], entry["code"], entry["sizes"]) == (
        "fake-kick", "proved", "c", [1, 2],
    )  # fmt: skip


def test_what_code_rests_on_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code starts where the model's invariants hold: their theorems are named unless they are proved, too."""
    monkeypatch.setattr(registry, "_CLAIMS", ((Steps, fakes.ALL),))
    assert run(["prove", "fake-kick", "-j", "1"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert (
        last == f"given {len(PREMISES[Steps])} theorems not proved in this run: {', '.join(PREMISES[Steps])}"
    )


def test_a_counterexample_is_readable() -> None:
    """What is short goes in one line, sentences and states into lines of their own, replay last."""
    shown = {
        "replay": "run it",
        "function": "rp_vq_add",
        "full": True,
        "memory": [1, 1, *[0] * 40, {"next": 3}],
        "differs": ["next[1] is 2", "next[3] is 4"],
    }
    assert refinement.counterexample_lines(shown) == [
        "function rp_vq_add, full yes",
        "memory: [1, 1, 40 x 0, next 3]",
        "differs: next[1] is 2",
        "differs: next[3] is 4",
        "replay: run it",
    ]


def test_refuted_code_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A changed copy of the C that is wrong: exit code 1, and the case in which it is, in words."""
    bent = fakes.source(tmp_path / "bent", fakes.BROKEN)
    assert run(["prove", "fake-add", "--c-sources", str(bent), "-j", "1"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("refuted")
    assert out[1:6] == [
        "         num_added",
        "           function rp_vq_kick, queue_size 2",
        "           before: avail_idx 65535, next [1, 0]",
        "           differs: num_added: the model has 0, the code 1",
        "           replay: ringproof replay kick.json",
    ]
    assert out[6].startswith("0 of 1 refinements of code proved: 2 obligations; ")


def test_what_is_missing_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A part that can't be asked makes its refinement unknown, with one line that says why."""
    assert run(["prove", "fake-lacking", "-j", "1"]) == 3
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("unknown")
    assert out[1] == "         N = 1: no clang 14 was found"


def test_machine_code_needs_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, machine code is left out of the whole, and unknown where it is asked for."""
    monkeypatch.setattr(refinement, "find_spec", {}.get)
    assert refinement.split((), True)[0] == tuple(THEOREMS)
    assert "fake-binary" not in refinement.split((), True)[1]
    err = capsys.readouterr().err.splitlines()
    assert err[0] == ("ringproof: left out, 1 of machine code (fake-binary): pip install 'ringproof[binary]'")
    assert run(["prove", "fake-binary", "-j", "1"]) == 3
    assert "pip install 'ringproof[binary]'" in capsys.readouterr().out


def test_machine_code_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C compiler there is no machine code, and that is said."""

    def build_driver(source: Path) -> Path:
        raise CompilerMissing(f"no C compiler for {source.name}")

    monkeypatch.setattr(refinement, "find_spec", lambda name: name)
    monkeypatch.setattr(refinement, "build_driver", build_driver)
    assert refinement.shipped(binary=True).wanting == "no C compiler for c"


def test_defects_are_seeded(capsys: pytest.CaptureFixture[str], code: Path) -> None:
    """--kill patches a copy of the code; what is not killed is named, and exit code 1."""
    assert run(["prove", "fake-kick", "--kill", "-j", "1"]) == 0
    out = capsys.readouterr().out
    assert "X1   num_added is never reset, in C\n     killed by fake-kick\n" in out
    assert "; 1 of 1 mutants killed; " in out
    assert run(["prove", "fake-add", "--kill", "-j", "1"]) == 1
    out = capsys.readouterr().out
    assert "X2   " in out
    assert ", in C\n     survives fake-add\n" in out
    assert run(["prove", "fake-kick", "fake-add", "--kill", "--json", "-j", "1"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["kills"] == {"X1 in C": ["fake-kick", "fake-add"], "X2 in C": []}
    assert data["survivors"] == ["X2 in C"]
    assert (code / fakes.SOURCE).read_text() == fakes.GOOD
    (code / "mutants" / "X1.patch").unlink()
    assert run(["prove", "fake-kick", "--kill", "-j", "1"]) == 2
    assert capsys.readouterr().err == "ringproof: there is no mutant 'X1'\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("fake-kik", "no theorem or refinement is called 'fake-kik'; did you mean fake-kick?"),
        (
            "--refinement --clauses",
            "--refinement goes without --clauses, --cross-check, --export and --certify",
        ),
        (
            "--refinement --certify",
            "--refinement goes without --clauses, --cross-check, --export and --certify",
        ),
        ("fake-kick --cross-check", "fake-kick is no theorem: --cross-check, --export and --certify are for"),
        ("fake-kick --export DIR", "fake-kick is no theorem: --cross-check, --export and --certify are for"),
        ("need-event-exact --c-sources DIR", "--c-sources DIR goes with --refinement"),
        ("fake-kick --c-sources DIR", "DIR: no virtqueue.c there; --c-sources takes a copy of "),
        ("fake-kick --c-sources C --kill", "--kill seeds defects into the code that ships"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: str,
    complaint: str,
    code: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line, exit code 2, and nothing is proved."""
    monkeypatch.chdir(tmp_path)
    assert run(["prove", *arguments.replace("C ", f"{code} ").split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"ringproof: {complaint}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_refinements_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """What is claimed, of which code at which sizes, what is trusted, and what breaks it."""
    assert run(["explain", "fake-kick"]) == 0
    out = capsys.readouterr().out
    for words in ("whatever is asked", "virtqueue_kick", "LLVM IR", "1, 2", "clang's front end", "X1"):
        assert words in out
    assert run(["explain"]) == 0
    assert "fake-add                     Add does as the model does (C, every N)" in capsys.readouterr().out


_EDITED = {
    *(f"reference-{name}" for name in ("construction", "notify", "disable-cb", "poll", "enable-cb")),
    *(f"reference-{name}" for name in ("enable-cb-prepare", "enable-cb-delayed", "interrupt")),
    *(f"c-{name}" for name in ("notify", "disable-cb", "enable-cb-prepare", "poll", "enable-cb")),
    *(f"c-{name}" for name in ("enable-cb-delayed", "interrupt", "interrupt-without-callback")),
    *("c-place", "c-destroy", "c-any-words"),
}
"""Claims for which no patch is kept: a few words edited in a copy refute them, in tests/refinement."""


def test_the_shipped_list_is_sound() -> None:
    """Every refinement has parts, a name of its own, and defects to be seeded or edits in their place."""
    for name, claim in registry.refinements().items():
        assert name == claim.name
        assert name not in THEOREMS
        assert claim.parts
        assert len({part.label for part in claim.parts}) == len(claim.parts)
        if claim.code != "machine code":  # Of those, what breaks the C they were made of breaks them, too.
            assert bool(claim.broken_by) != (name in _EDITED), name
