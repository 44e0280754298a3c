"""The engine: verdicts from many processes, the same on every run, and nothing lost on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ringproof.model.ring import Ring
from ringproof.proofs import discharge as discharging
from ringproof.proofs import engine, solver
from ringproof.proofs.discharge import CHANCES, ObligationResult, Task, TaskResult, discharge
from ringproof.proofs.engine import UnknownMutantError, UnknownTheoremError, prove
from ringproof.proofs.pool import Failure
from ringproof.proofs.report import TheoremResult
from ringproof.proofs.solver import Answer
from ringproof.proofs.theorem import Query
from ringproof.proofs.theorems import PREMISES, THEOREMS

SOME = ["num-free-exact", "callbacks-rearmed", "need-event-exact"]
KEYS = {"name", "title", "verdict", "expected", "seconds", "rlimit", "obligations", "vacuous"}


def test_json_has_the_documented_keys() -> None:
    """A report survives JSON, with the keys that other tools read."""
    heard: list[TheoremResult] = []
    data = json.loads(json.dumps(prove(SOME, jobs=2, on_result=heard.append).to_json()))
    assert {"theorems", "seconds", "solver"} <= data.keys()
    assert data["solver"] == "z3 5.4.0"
    assert [entry["name"] for entry in data["theorems"]] == [
        "num-free-exact",
        "need-event-exact",
        "callbacks-rearmed",
    ]
    for entry in data["theorems"]:
        assert entry.keys() >= KEYS
        assert "mutants_killed" not in entry
        assert (entry["verdict"], entry["expected"], entry["vacuous"]) == ("proved", "proved", False)
        assert entry["rlimit"] > 0
        assert entry["seconds"] > 0
        assert entry["obligations"] == len(entry["details"])
    assert sorted(result.name for result in heard) == sorted(SOME)


def test_resource_counts_do_not_depend_on_the_processes() -> None:
    """The same theorems cost the same however the tasks fall to one process or two."""
    one, two = prove(SOME, jobs=1), prove(SOME, jobs=2)
    assert [result.rlimit for result in one.theorems] == [result.rlimit for result in two.theorems]


def test_answers_do_not_depend_on_the_hash_seed() -> None:
    """Verdicts, resource counts and counterexamples are the same however Python orders its sets."""
    script = (
        "from ringproof.proofs.discharge import Task, discharge\n"
        "for task in (Task('chain-well-formed', 'get'), Task('free-list-sound', 'get', 'A2')):\n"
        "    for entry in discharge(task).obligations:\n"
        "        print(entry.label, entry.verdict, entry.rlimit, entry.counterexample)\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1
    assert "refuted" in answers.pop()


def test_a_fast_run_says_that_it_did_not_look_for_vacuity() -> None:
    """Fast verdicts come without a word on the hypotheses, not with a reassuring one."""
    report = prove(SOME, fast=True, jobs=1)
    assert [(result.verdict, result.vacuous) for result in report.theorems] == [("proved", None)] * len(SOME)


def test_a_starved_run_is_unknown_with_a_reason() -> None:
    """A budget that is used up is no verdict."""
    (result,) = prove(["chain-well-formed"], budget=1, fast=True, jobs=1).theorems
    assert result.verdict == "unknown"
    assert result.reason
    assert not result.as_expected


@pytest.mark.slow
@pytest.mark.parametrize("good", [0, 1, CHANCES, None])
def test_a_seed_that_leads_nowhere_is_not_the_last_word(
    good: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hinted proof is tried from the other seeds, in order; only then all hypotheses are asked."""
    asked: list[tuple[int, int]] = []
    ask = solver.refute

    def refute(query: Query, rlimit: int, *, seed: int = 0) -> Answer:
        asked.append((seed, rlimit))
        hinted = rlimit == discharging.HINTED
        lost = hinted and (good is None or seed < good)
        return Answer("unknown", 0.25, 10, "canceled") if lost else ask(query, rlimit, seed=seed)

    monkeypatch.setattr(discharging, "refute", refute)
    (result,) = discharge(Task("bad-ring-never", "between", witness=False)).obligations
    last = CHANCES if good is None else good
    whole = [(0, discharging.BUDGET)] if good is None else []
    assert asked == [(seed, discharging.HINTED) for seed in range(1 + last)] + whole
    assert (result.verdict, result.reason) == ("proved", "")
    assert result.rlimit > 10 * last
    assert result.seconds > 0.25 * last


def test_a_mutant_gets_no_other_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What most likely has no proof is not looked for from five seeds."""
    asked: list[int] = []
    ask = solver.refute

    def refute(query: Query, rlimit: int, *, seed: int = 0) -> Answer:
        asked.append(seed)
        return ask(query, rlimit, seed=seed)

    monkeypatch.setattr(discharging, "refute", refute)
    found = discharge(Task("free-list-sound", "get", "A6")).obligations
    assert [entry.verdict for entry in found][-1] == "refuted"
    assert set(asked) == {0}


def test_kill_names_the_mutants_of_each_theorem() -> None:
    """With mutants tried, each theorem lists those it kills and the report the whole table."""
    report = prove(["callbacks-rearmed", "need-event-exact"], kill=True, jobs=2)
    assert report.undecided == {}
    assert {result.name: result.mutants_killed for result in report.theorems} == {
        "callbacks-rearmed": ("D3",),
        "need-event-exact": ("D1",),
    }
    assert report.kills["D1"] == ("need-event-exact",)
    assert report.kills["A6"] == report.survivors == ()
    assert report.to_json()["kills"]["D3"] == ["callbacks-rearmed"]


def test_a_lost_task_is_unknown_and_no_other_theorem_is() -> None:
    """The theorem whose worker died is unknown with the reason; the rest keep their verdicts."""
    theorems = engine._named(["bad-ring-never", "callbacks-rearmed"])
    run = engine._Run(theorems, (), None, None)
    run.take(Task("callbacks-rearmed", "get"), Failure("the worker process died (exit code -9)"))
    entry = ObligationResult(theorems[0].obligations[0].label, "proved", 0.1, 10)
    task = Task("bad-ring-never", "between")
    run.take(task, TaskResult(task, (entry,), False))
    good, callbacks = run.report(1.0, interrupted=False).theorems
    assert good.verdict == "proved"
    assert callbacks.verdict == "unknown"
    assert "died (exit code -9)" in callbacks.reason


def test_an_unknown_name_is_refused() -> None:
    """A theorem or mutant that does not exist, or less than no processes, is an error that says so."""
    with pytest.raises(UnknownTheoremError, match="no-such-thing"):
        prove(["no-such-thing"])
    with pytest.raises(UnknownMutantError, match="Z9"):
        prove(SOME, kill=True, mutants=["Z9"])
    with pytest.raises(ValueError, match="-1 processes"):
        prove(SOME, jobs=-1)


def test_a_report_says_on_what_its_proofs_rest() -> None:
    """A theorem proved alone names the others it assumes; a lemma assumes none."""
    assert prove(["need-event-exact"], fast=True, jobs=3).assumed == ()
    report = prove(["callbacks-rearmed", "indices-faithful"], fast=True, jobs=2)
    assert set(report.assumed) == set(PREMISES[Ring]) - {"indices-faithful"}
    assert report.to_json()["assumed"] == list(report.assumed)


def test_a_report_of_everything_assumes_what_was_not_proved() -> None:
    """Of a whole run nothing is assumed but what a lost worker left open."""
    theorems = engine._named(None)
    run = engine._Run(theorems, (), None, None)
    lost = ("time-out", "used-slot-not-overwritten", "get")
    for theorem in theorems:
        for group in theorem.groups:
            task = Task(theorem.name, group)
            entries = tuple(
                ObligationResult(entry.label, "proved", 0.1, 10)
                for entry in theorem.obligations
                if entry.group == group
            )
            gone = (theorem.name, group) == lost[1:]
            run.take(task, Failure(lost[0]) if gone else TaskResult(task, entries, False))
    assert run.report(1.0, interrupted=False).assumed == ("used-slot-not-overwritten",)


def test_another_solver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts of a Z3 that is not the pinned one are not given at all."""
    monkeypatch.setattr(solver, "PINNED", "4.8.5")
    with pytest.raises(solver.SolverMismatch, match=r"needs z3-solver 4\.8\.5\.0"):
        prove(SOME)


def test_a_solver_of_no_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Z3 that comes from elsewhere than its package is told in one line, too."""

    def unknown(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(solver, "version", unknown)
    with pytest.raises(solver.SolverMismatch, match="of no known version"):
        prove(SOME)


def test_a_solver_that_dies_is_named_and_never_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends every worker, all theorems are unknown, and the reason names the solver and the end."""
    monkeypatch.setattr(engine, "discharge", _dies)
    for result in prove(["need-event-exact", "num-free-exact"], jobs=2).theorems:
        assert result.verdict == "unknown"
        assert not result.as_expected
        assert "z3 5.4.0: the worker process died (SIGABRT)" in result.reason


def _dies(_: Task) -> TaskResult:
    os.abort()


def test_progress_ends_with_everything_done() -> None:
    """Told of every task, the count of obligations only grows, up to all there are."""
    told: list[tuple[int, int]] = []
    report = prove(SOME, jobs=2, fast=True, on_progress=lambda *each: told.append(each))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {report.obligations}
    assert told[-1] == (report.obligations, report.obligations)


def test_hypotheses_are_shown_to_hold_at_several_sizes() -> None:
    """The report says at which queue sizes they hold, of each theorem and obligation; a lemma has none."""
    ring, lemma, _ = prove(SOME, jobs=2).to_json()["theorems"]
    assert ring["satisfiable_at"] == (2, 4, 8)
    assert {entry["satisfiable_at"] for entry in ring["details"]} == {(2, 4, 8)}
    assert lemma["satisfiable_at"] == ()
    assert lemma["vacuous"] is False


@pytest.mark.slow
def test_an_interrupt_keeps_what_was_decided(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a long run ends all processes, prints no traceback, and gives a report."""
    script = tmp_path / "long.py"
    script.write_text(
        "from ringproof.proofs.engine import prove\n"
        "if __name__ == '__main__':\n"
        "    report = prove(kill=True, jobs=1, on_result=lambda result: print(result.name, flush=True))\n"
        "    print('interrupted', report.interrupted, len(report.theorems), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 15
    assert first == "slot-injective"
    assert out.splitlines()[-1] == f"interrupted True {len(THEOREMS)}"
    assert err == ""
    assert process.returncode == 0
