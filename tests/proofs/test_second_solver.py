"""A second opinion: other solvers decide from the text alone, and a check that can fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import pytest
import z3

from ringproof.commands import second_opinion as commands
from ringproof.errors import EXIT_DISAGREE, EXIT_HELD, EXIT_INTERRUPTED, EXIT_UNKNOWN, BadInputError
from ringproof.proofs import second_solver, solver
from ringproof.proofs.export import INDEX, Claim, claimed
from ringproof.proofs.second_solver import (
    FEW,
    FULL,
    SOLVERS,
    Ask,
    Budget,
    SecondSolverMismatch,
    compare,
    cross_check,
)
from ringproof.proofs.theorem import Query
from ringproof.proofs.theorems import THEOREMS

FINDINGS = [name for name, theorem in THEOREMS.items() if theorem.expected == "refuted"]
QUICK = ["callbacks-rearmed", "bad-ring-never", "need-event-exact", "accelerated-round", "hdr-len-linux-3.11"]
LEMMA = ("need-event-exact", "words: a hit lies from old to new - 1")
QUANTIFIED = ("callbacks-rearmed", "get: used_event is last_used_idx if callbacks are on")


def _saying(answer: str, asked: list[str] | None = None) -> Ask:
    """A solver that gives one answer to everything, and keeps what it was asked."""

    def ask(text: str, budget: Budget) -> tuple[str, int, str]:  # noqa: ARG001
        if asked is not None:
            asked.append(text)
        return answer, 1, ""

    return ask


def test_cvc5_and_bitwuzla_agree_on_lemmas_and_findings() -> None:
    """What is proved from quantified and bare hypotheses, and what is refuted, is so for the others."""
    report = cross_check([THEOREMS[name] for name in QUICK], 2)
    assert [each for each in report.opinions if each.outcome != "agrees"] == []
    assert report.answered("cvc5") == (9, 9)
    assert report.answered("bitwuzla") == (2, 2)
    assert [each.claimed for each in report.opinions].count("sat") == 1
    data = json.loads(json.dumps(report.to_json()))
    assert (data["agrees"], data["disagrees"], data["undecided"]) == (9, 0, 0)
    assert [row["name"] for row in data["theorems"]] == QUICK


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_second_solvers_agree_on_every_theorem() -> None:
    """No obligation is left undecided by cvc5, none of bit-vectors by bitwuzla."""
    report = cross_check(list(THEOREMS.values()), 2)
    assert [each for each in report.opinions if each.outcome != "agrees"] == []
    assert len(report.opinions) == sum(len(theorem.obligations) for theorem in THEOREMS.values())
    asked, same = report.answered("bitwuzla")
    assert asked == same >= 7


def test_every_finding_has_a_refuted_obligation() -> None:
    """Of each finding the claimed verdicts, which are Z3's own, hold at least one sat."""
    for name in FINDINGS:
        verdicts = {claimed(name, each.label).verdict for each in THEOREMS[name].obligations}
        assert "sat" in verdicts <= {"sat", "unsat"}, name


def test_few_hypotheses_come_first_and_suffice() -> None:
    """A proof from few hypotheses ends the matter: the full obligation is not asked."""
    opinion = compare(claimed(*QUANTIFIED), Budget())
    assert opinion.outcome == "agrees"
    assert [(said.solver, said.question) for said in opinion.said] == [("cvc5", FEW)]


def test_a_wrong_answer_is_a_disagreement() -> None:
    """A solver that says sat to all hypotheses of what is proved disagrees; Z3 is heard again."""
    asked: list[str] = []
    solvers = {**SOLVERS, "cvc5": _saying("sat", asked)}
    opinion = compare(claimed(*QUANTIFIED), Budget(), solvers)
    assert opinion.outcome == "disagrees"
    assert [(said.solver, said.question, said.answer) for said in opinion.said] == [
        ("cvc5", FEW, "sat"),
        ("cvc5", FULL, "sat"),
        ("z3", FULL, "unsat"),
    ]
    assert all("(set-info :status unknown)" in text for text in asked)
    assert opinion.text == asked[1].replace(":status unknown", ":status unsat")
    assert commands.answers(opinion) == "claimed unsat, cvc5 says sat, z3 says unsat"


def test_a_false_goal_claimed_proved_is_a_disagreement() -> None:
    """The real solvers contradict a verdict that is wrong, and so does Z3 asked again."""
    x, y = z3.BitVecs("x y", 16)
    wrong = Claim("t", "sums are greater", "unsat", Query({"some": x > 0}, z3.UGE(x + y, x)))
    opinion = compare(wrong, Budget())
    assert opinion.outcome == "disagrees"
    assert {said.solver: said.answer for said in opinion.said} == {
        "cvc5": "sat",
        "bitwuzla": "sat",
        "z3": "sat",
    }
    true = Claim("t", "sums", "sat", Query({}, x + y == y + x))
    assert compare(true, Budget()).outcome == "disagrees"


def test_a_corrupted_obligation_is_a_disagreement() -> None:
    """A shipped lemma with one hypothesis left out is no longer proved, and that is seen."""
    claim = claimed("need-event-exact", THEOREMS["need-event-exact"].obligations[2].label)
    rest = dict(list(claim.query.hypotheses.items())[1:])
    opinion = compare(replace(claim, query=replace(claim.query, hypotheses=rest)), Budget())
    assert opinion.outcome == "disagrees"


def test_either_solver_can_disagree() -> None:
    """On bit-vectors bitwuzla's answer counts as much as cvc5's."""
    opinion = compare(claimed(*LEMMA), Budget(), {**SOLVERS, "bitwuzla": _saying("sat")})
    assert opinion.outcome == "disagrees"
    assert opinion.said[0].answer == "unsat"


def test_sat_of_few_hypotheses_is_no_disagreement() -> None:
    """A counterexample to the hinted form says nothing of the whole: all hypotheses are asked for."""
    answers = iter(("sat", "unsat"))
    solvers = {**SOLVERS, "cvc5": lambda text, budget: (next(answers), 1, "")}  # noqa: ARG005
    assert compare(claimed(*QUANTIFIED), Budget(), solvers).outcome == "agrees"


@pytest.mark.parametrize("answer", ["unknown", "", "unsat unsat", "timeout"])
def test_no_answer_is_undecided(answer: str) -> None:
    """What is neither sat nor unsat is never taken for agreement."""
    opinion = compare(claimed(*LEMMA), Budget(), {**SOLVERS, "cvc5": _saying(answer)})
    assert opinion.outcome == "undecided"
    assert opinion.reason.startswith("cvc5: ")


def test_an_exhausted_budget_is_undecided_with_a_reason() -> None:
    """cvc5's resources, which are the same on every machine, run out."""
    opinion = compare(claimed(*LEMMA), Budget(resources=50))
    assert opinion.outcome == "undecided"
    assert opinion.reason == "cvc5: its budget of 50 ran out"


def test_a_text_that_cannot_be_read_is_undecided() -> None:
    """A solver's complaint about the text is kept as the reason."""
    for ask in SOLVERS.values():
        with pytest.raises(RuntimeError):
            ask("(set-logic QF_BV)(assert nothing)(check-sat)", Budget())
    broken = {**SOLVERS, "cvc5": lambda text, budget: SOLVERS["cvc5"](text[:-20], budget)}
    assert compare(claimed(*LEMMA), Budget(), broken).outcome == "undecided"


def test_what_is_not_in_smt_lib_is_undecided() -> None:
    """An obligation without a text is named as such."""
    query = Query({}, z3.BVMulNoOverflow(z3.BitVec("x", 8), z3.BitVec("y", 8), signed=False))
    opinion = compare(Claim("t", "o", "sat", query), Budget())
    assert opinion.outcome == "undecided"
    assert "SMT-LIB" in opinion.reason


def test_without_a_claim_nothing_agrees() -> None:
    """If Z3 gave no verdict there is nothing to agree with."""
    opinion = compare(Claim("t", "o", "unknown", Query({}, z3.Bool("p"))), Budget())
    assert opinion.outcome == "undecided"
    assert "no verdict" in opinion.reason


@pytest.mark.parametrize("name", ["cvc5", "bitwuzla"])
def test_a_missing_solver_is_told_with_the_command_that_helps(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A package that is not there is no pass: nothing is decided, in one line."""

    def version(package: str) -> str:
        if package == name:
            raise PackageNotFoundError
        return second_solver.PINNED[package]

    monkeypatch.setattr(second_solver, "version", version)
    with pytest.raises(SecondSolverMismatch) as caught:
        commands.cross_check(QUICK)
    assert f"{name} is not installed" in str(caught.value)
    assert "pip install 'ringproof[cross-check]'" in str(caught.value)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a package of another version, nor a library in it, gives documented answers."""
    monkeypatch.setitem(second_solver.PINNED, "cvc5", "1.2.0")
    with pytest.raises(SecondSolverMismatch, match=r"needs cvc5 1\.2\.0 .*cvc5 1\.4\.2 is installed"):
        cross_check([], 1)
    monkeypatch.undo()
    monkeypatch.setitem(second_solver._LIBRARIES, "bitwuzla", lambda: "0.8.0")
    with pytest.raises(SecondSolverMismatch, match=r"bitwuzla's library is of version 0\.8\.0"):
        cross_check([], 1)
    monkeypatch.setitem(second_solver._LIBRARIES, "bitwuzla", lambda: 1 // 0 and "")
    with pytest.raises(SecondSolverMismatch, match="bitwuzla cannot be loaded"):
        cross_check([], 1)
    monkeypatch.undo()
    monkeypatch.setattr(solver, "PINNED", "4.8.5")
    with pytest.raises(solver.SolverMismatch, match="needs z3-solver"):
        cross_check([], 1)


_DECIDING = """
import os, signal
from ringproof.proofs.second_solver import SOLVERS, compare, opinion
from ringproof.proofs.export import claimed

LEMMA = ("need-event-exact", "words: a hit lies from old to new - 1")


def dying(task):
    if (task.theorem, task.obligation) == LEMMA:
        os.kill(os.getpid(), signal.SIGSEGV)
    return opinion(task)


def contrary(task):
    if (task.theorem, task.obligation) == LEMMA:
        solvers = {**SOLVERS, "cvc5": lambda text, budget: ("sat", 1, "")}
        return compare(claimed(*LEMMA), task.budget, solvers)
    return opinion(task)
"""


@pytest.fixture
def deciding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module, found by workers, of functions that decide as they should but for one obligation."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "deciding.py").write_text(_DECIDING)
    monkeypatch.syspath_prepend(str(folder))
    import deciding  # type: ignore[import-not-found]

    yield deciding
    del sys.modules["deciding"]


def test_a_solver_that_crashes_costs_one_obligation(
    deciding: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """A segmentation fault in a worker is undecided and named, and everything else is decided."""
    code = commands.cross_check(["need-event-exact"], jobs=1, decide=deciding.dying)
    assert code == EXIT_UNKNOWN
    out = capsys.readouterr().out
    assert "undecided" in out
    assert f"{LEMMA[1]}: the worker process died" in out
    assert "SIGSEGV" in out
    assert "4 obligations: cvc5 1.4.2 agrees on 3 of 3" in out
    assert "1 undecided" in out


def test_a_disagreement_has_a_code_a_line_and_a_file(
    deciding: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command names theorem, obligation, every answer and the file to look at, and exits with 4."""
    folder = tmp_path / "look"
    code = commands.cross_check(["need-event-exact"], jobs=1, disagreements=folder, decide=deciding.contrary)
    assert code == EXIT_DISAGREE
    (file,) = folder.iterdir()
    assert capsys.readouterr().err == (
        f"ringproof: solvers disagree: need-event-exact, {LEMMA[1]!r}: "
        f"claimed unsat, cvc5 says sat, bitwuzla says unsat, z3 says unsat; see {file}\n"
    )
    assert file.read_text() == claimed(*LEMMA).text().content


def test_a_disagreement_is_told_even_if_its_file_cannot_be_written(
    deciding: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that can't be made takes nothing from the error."""
    (tmp_path / "file").write_text("")
    code = commands.cross_check(
        ["need-event-exact"], jobs=1, disagreements=tmp_path / "file", decide=deciding.contrary
    )
    assert code == EXIT_DISAGREE
    error = capsys.readouterr().err
    assert error.startswith("ringproof: solvers disagree: need-event-exact")
    assert "cannot be written" in error


def test_the_command_prints_a_line_per_theorem(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, obligations, seconds and title; a summary at the end, and code 0."""
    assert commands.cross_check(["need-event-exact", "callbacks-rearmed"], jobs=2) == EXIT_HELD
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("agrees ") for line in lines[:2])
    assert any(THEOREMS["need-event-exact"].title in line for line in lines)
    assert lines[2].startswith(
        "5 obligations: cvc5 1.4.2 agrees on 5 of 5, bitwuzla 0.9.1 agrees on 2 of 2; "
    )


def test_the_command_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, nothing but the report as JSON."""
    assert commands.cross_check(["callbacks-rearmed"], as_json=True, jobs=1) == EXIT_HELD
    data = json.loads(capsys.readouterr().out)
    assert data["agrees"] == 1
    assert data["second_solvers"] == ["cvc5 1.4.2", "bitwuzla 0.9.1"]
    (row,) = data["theorems"][0]["obligations"]
    assert row["outcome"] == "agrees"
    assert row["said"][0]["answer"] == "unsat"


def test_the_command_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An export says where its index is; a folder of something else is bad input, in one line."""
    folder = tmp_path / "out"
    assert commands.export_obligations(["callbacks-rearmed"], folder, jobs=1) == EXIT_HELD
    assert capsys.readouterr().out == f"1 obligation written to {folder}, listed in {folder / INDEX}\n"
    (tmp_path / "mine").write_text("x")
    with pytest.raises(BadInputError, match="not made by an export"):
        commands.export_obligations(["callbacks-rearmed"], tmp_path)


def test_an_interrupt_keeps_what_was_decided(tmp_path: Path) -> None:
    """Ctrl-C ends the workers, and the summary counts what was not asked as undecided."""
    script = tmp_path / "long.py"
    script.write_text(
        "import sys\n"
        "from ringproof.commands.second_opinion import cross_check\n"
        "if __name__ == '__main__':\n"
        "    print('started', flush=True)\n"
        "    sys.exit(cross_check([], jobs=1))\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    first = process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 15
    assert first.startswith("agrees")
    assert "undecided" in out.splitlines()[-1]
    assert err == ""
    assert process.returncode == EXIT_INTERRUPTED
