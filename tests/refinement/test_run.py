"""What runs claims about code: honest verdicts from many processes, and nothing kept but proofs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.proofs.cache import Cache
from ringproof.proofs.refinement import examination
from ringproof.proofs.refinement.examination import Examined, Task, examine
from ringproof.proofs.refinement.refinement import Kind
from ringproof.proofs.refinement.run import Fate, prove, titled, untried
from ringproof.proofs.report import ProofReport, TheoremResult
from tests.refinement import fakes


def _seed(folder: Path) -> Callable[[str, Kind], Examined]:
    def seed(mutant: str, kind: Kind) -> Examined:
        text = fakes.BROKEN if mutant == "X1" else fakes.GOOD.replace("kick", "kicks")
        return Examined(fakes.source(folder / kind / mutant, text))

    return seed


def test_verdicts_are_honest(tmp_path: Path) -> None:
    """Proved is only what asked something and proved all of it; everything else says why not."""
    names = [name for name in fakes.refinements() if name not in ("fake-binary", "fake-endless")]
    heard: list[TheoremResult] = []
    counted: list[tuple[int, int]] = []
    report = prove(
        names,
        Examined(fakes.source(tmp_path / "c")),
        fakes.refinements,
        jobs=2,
        on_result=heard.append,
        on_progress=lambda done, total: counted.append((done, total)),
    )
    verdicts = {result.name: (result.verdict, result.reason) for result in report.theorems}
    assert verdicts == {
        "fake-kick": ("proved", ""),
        "fake-add": ("proved", ""),
        "fake-get": ("proved", ""),
        "fake-keyless": ("proved", ""),
        "fake-lacking": ("unknown", "N = 1: no clang 14 was found"),
        "fake-stumbling": ("unknown", "N = 1: KeyError: 'a field'"),
        "fake-dying": ("unknown", "N = 1: the worker process died (SIGKILL)"),
        "fake-silent": ("unknown", "N = 1: nothing was asked"),
        "fake-hard": ("unknown", "every path: canceled"),
        "fake-partless": ("unknown", "it has no parts: nothing was asked"),
        "fake-reference": ("proved", ""),
    }
    assert [result.name for result in heard] == names
    assert counted[-1] == (14, 14)
    kick = report.theorems[0]
    assert (kick.obligations, kick.rlimit, kick.vacuous, kick.satisfiable_at) == (4, 24, False, (1, 2))
    assert [entry.label for entry in kick.details] == [
        "N = 1: every path", "N = 1: num_added", "N = 2: every path", "N = 2: num_added",
    ]  # fmt: skip
    assert titled(fakes.refinements()["fake-kick"]) == "Kick does as the model does (C, N = 1, 2)"
    assert kick.title == "Kick does as the model does (C, N = 1, 2)"
    assert report.theorems[1].title == "Add does as the model does (C, every N)"
    assert not report.kills
    json.dumps(report.to_json())


def test_a_part_that_looked_at_no_hypotheses_says_so() -> None:
    """Whether hypotheses can hold is told just when every obligation had a look."""
    report = untried(["fake-kick"], fakes.refinements)
    assert (report.theorems[0].vacuous, report.theorems[0].satisfiable_at) == (None, ())


def test_what_is_wrong_is_refuted(tmp_path: Path) -> None:
    """A part that fails refutes the whole, with its counterexample."""
    code = fakes.source(tmp_path / "c", fakes.BROKEN)
    (result,) = prove(["fake-get"], Examined(code), fakes.refinements, jobs=1).theorems
    assert (result.verdict, result.counterexample) == ("refuted", fakes.COUNTEREXAMPLE)
    # The next is under way before the first is known; every N, which would find no proof, waits longest.
    assert fakes.asked(code) == ["1", "2"]
    assert (result.details[0].label, result.details[0].verdict) == ("every N", "unknown")
    assert result.details[0].reason == "not tried: another part was refuted"


def test_defects_are_tried_where_they_are_due(tmp_path: Path) -> None:
    """A defect kills by refutation, and survives a proof; what is unknown decides nothing."""
    heard: list[Fate] = []
    report = prove(
        ["fake-add", "fake-keyless", "fake-lacking"],
        Examined(fakes.source(tmp_path / "c")),
        fakes.refinements,
        seed=_seed(tmp_path / "seeded"),
        jobs=2,
        on_mutant=heard.append,
    )
    assert report.kills == {"X1 in C": ("fake-add",), "X2 in C": ()}
    assert heard == [
        Fate("X1 in C", ("fake-add",), ("fake-keyless",), {"fake-lacking": "is not proved without it"}),
        Fate("X2 in C", (), ("fake-add",), {}),
    ]
    assert report.survivors == ("X1 in C", "X2 in C")
    assert report.undecided == {"X1 in C": ("fake-lacking",)}
    assert [result.mutants_killed for result in report.theorems] == [("X1 in C",), (), ()]


def test_a_defect_is_done_with_when_it_is_found(tmp_path: Path) -> None:
    """After the first part that is refuted no other is asked; a part that sees no difference is not asked."""
    whole, bent = fakes.source(tmp_path / "c"), fakes.source(tmp_path / "bent", fakes.BROKEN)
    task = Task("fake-kick", (0, 1), Examined(bent), "X1", Examined(whole))
    (found,) = examine(task, fakes.refinements).findings
    assert (found.part, found.refuted) == (0, True)
    assert fakes.asked(bent) == ["1"]
    (found,) = examine(replace(task, refinement="fake-keyless", parts=(0,)), fakes.refinements).findings
    assert found.unchanged
    assert fakes.asked(bent) == ["1"]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that do not change while tests run, whoever works on them."""
    monkeypatch.setattr(examination, "sources", lambda: "as they are")


@pytest.mark.usefixtures("settled")
def test_what_is_unchanged_is_free(tmp_path: Path) -> None:
    """What is proved is not asked again until the code, a source, or the part's name changes."""
    code, cache = fakes.source(tmp_path / "c"), Cache(tmp_path / "cache", writes=True, solver="z3")
    task = Task("fake-kick", (0, 1), Examined(code))
    first = examine(task, fakes.refinements, cache)
    assert [entry.cached for found in first.findings for entry in found.obligations] == [False] * 4
    again = examine(task, fakes.refinements, cache)
    assert fakes.asked(code) == ["1", "2"]
    assert [entry.cached for found in again.findings for entry in found.obligations] == [True] * 4
    for old, new in zip(first.findings, again.findings, strict=True):
        assert (new.part, new.seconds) == (old.part, old.seconds)
        assert new.obligations == tuple(replace(entry, cached=True) for entry in old.obligations)
    elsewhere = fakes.source(tmp_path / "elsewhere")
    examine(replace(task, examined=Examined(elsewhere)), fakes.refinements, cache)
    assert fakes.asked(elsewhere) == []
    examine(replace(task, refinement="fake-add", parts=(0,)), fakes.refinements, cache)
    assert fakes.asked(code) == ["1", "2", "add"]
    (code / fakes.SOURCE).write_text(fakes.GOOD + "int more;\n")
    examine(task, fakes.refinements, cache)
    assert fakes.asked(code) == ["1", "2", "add", "1", "2"]


def test_sources_that_change_are_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model or machinery asks anew; while they may be changing nothing is kept."""
    code, cache = fakes.source(tmp_path / "c"), Cache(tmp_path / "cache", writes=True, solver="z3")
    task = Task("fake-add", (0,), Examined(code))
    for sources in ("one", "another", None, None):
        monkeypatch.setattr(examination, "sources", lambda sources=sources: sources)
        examine(task, fakes.refinements, cache)
    assert len(fakes.asked(code)) == 4
    assert len(list(cache.folder.iterdir())) == 2


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("name", ["fake-lacking", "fake-stumbling", "fake-silent", "fake-hard", "fake-kick"])
def test_only_proofs_are_kept(name: str, tmp_path: Path) -> None:
    """Nothing that is unknown or refuted is ever known from before."""
    code, cache = fakes.source(tmp_path / "c", fakes.BROKEN), Cache(tmp_path / "cache", writes=True)
    examine(Task(name, (0,), Examined(code)), fakes.refinements, cache)
    assert not cache.folder.exists()


@pytest.mark.usefixtures("settled")
def test_a_doubtful_entry_is_not_believed(tmp_path: Path) -> None:
    """An entry that is cut short, or whose content is none, is dropped with a warning and asked anew."""
    code, cache = fakes.source(tmp_path / "c"), Cache(tmp_path / "cache", writes=True, solver="z3")
    task = Task("fake-add", (0,), Examined(code))
    examine(task, fakes.refinements, cache)
    (entry,) = cache.folder.iterdir()
    whole = entry.read_text()
    entry.write_text(whole[: len(whole) // 2])
    outcome = examine(task, fakes.refinements, cache)
    assert [warning.endswith("is decided anew") for warning in outcome.warnings] == [True]
    for content in ({"seconds": 1.0, "obligations": []}, {"seconds": 1.0}, {"obligations": [["a", 1, 2]]}):
        cache.write("refinement", entry.stem, content)
        outcome = examine(task, fakes.refinements, cache)
        assert "is damaged" in outcome.warnings[0]
        assert outcome.findings[0].proved
    assert len(fakes.asked(code)) == 5


def test_a_changed_reference_is_a_package_of_its_own(tmp_path: Path) -> None:
    """A copy of the reference is imported under another name, relative imports and all."""
    (tmp_path / "__init__.py").write_text("from .poll import answer\n")
    (tmp_path / "poll.py").write_text("answer = 42\n")
    package = Examined(tmp_path, reference=tmp_path).code("reference").reference
    assert package.__dict__["answer"] == 42
    assert Examined(tmp_path).code("c").reference.__name__ == "ringproof.impl.reference"


def test_no_library_is_no_verdict(tmp_path: Path) -> None:
    """Machine code that was not built is unknown, with the reason."""
    examined = Examined(fakes.source(tmp_path / "c"), wanting="no C compiler")
    outcome = examine(Task("fake-binary", (0,), examined), fakes.refinements)
    assert outcome.findings[0].missing == "no C compiler"


def test_an_interrupt_ends_the_run_not_the_report(tmp_path: Path) -> None:
    """What was decided stays; the rest is unknown, and says so."""

    def interrupt(result: TheoremResult) -> None:
        raise KeyboardInterrupt(result.name)

    names = ["fake-add", "fake-kick"]
    examined = Examined(fakes.source(tmp_path / "c"))
    told: list[str] = []

    def hear(result: TheoremResult) -> None:
        told.append(result.name)
        if len(told) == 1:
            interrupt(result)

    report: ProofReport = prove(names, examined, fakes.refinements, jobs=1, on_result=hear)
    assert report.interrupted
    assert {result.name: result.verdict for result in report.theorems} == {
        "fake-kick": "proved",
        "fake-add": "unknown",
    }
    assert report.theorems[1].reason == "N = 1: not tried: the run ended early"


def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    """A run that is killed leaves nobody behind who works for it."""
    code = fakes.source(tmp_path / "c")
    program = (
        "from pathlib import Path; from tests.refinement import fakes; import sys\n"
        "from ringproof.proofs.refinement.run import prove\n"
        "from ringproof.proofs.refinement.examination import Examined\n"
        "prove(['fake-endless'], Examined(Path(sys.argv[1])), fakes.refinements, jobs=1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(code)]) as parent:
        while not fakes.asked(code):
            time.sleep(0.05)
        parent.kill()
    (worker,) = map(int, fakes.asked(code))
    for _ in range(200):
        if not _runs(worker):
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker goes on")


def _runs(process: int) -> bool:
    """Whether a process is there, and is not just waiting to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_names_are_known(tmp_path: Path) -> None:
    """A name of no refinement is an error, before any process is started."""
    with pytest.raises(ValueError, match="no refinement is named 'poll'"):
        prove(["poll"], Examined(tmp_path), fakes.refinements)
    with pytest.raises(ValueError, match="-1 processes"):
        prove(["fake-add"], Examined(tmp_path), fakes.refinements, jobs=-1)
