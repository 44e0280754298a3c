"""Certificates: accepted of lemmas that hold, rejected if spoilt, impossible for what is false."""

import json
import random
import subprocess
import sys
import tomllib
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import dratify
import pytest
import z3

from ringproof.commands import certificates as command
from ringproof.errors import EXIT_HELD, EXIT_REFUTED, EXIT_UNKNOWN, BadInputError
from ringproof.proofs import certificates
from ringproof.proofs.certificates import (
    Certificate,
    Evidence,
    MissingCheckerError,
    certified,
    check_with_dratify,
    check_with_drup,
    checked,
    solve,
    translated,
)
from ringproof.proofs.certificates_circuit import Clause
from ringproof.proofs.certificates_terms import NoCircuitError
from ringproof.proofs.mutants.registry import MUTANTS
from ringproof.proofs.theorem import Obligation, Query, every_size, lemma
from ringproof.proofs.theorems import THEOREMS

CHECKERS = [check_with_dratify, check_with_drup]

MASKS, WORDS, SIZES = "masks: all sizes up to 32768", "words: a hit lies", "sizes: the 16"


def _obligation(theorem: str, label: str) -> Obligation:
    (found,) = (entry for entry in THEOREMS[theorem].obligations if entry.label.startswith(label))
    return found


def _pigeons(pigeons: int, holes: int) -> tuple[Clause, ...]:
    """Return that each pigeon has a hole and no two share one: false, but true without any one clause."""
    place = {(i, j): i * holes + j + 1 for i in range(pigeons) for j in range(holes)}
    somewhere = [tuple(place[i, j] for j in range(holes)) for i in range(pigeons)]
    alone = [(-place[i, j], -place[k, j]) for j in range(holes) for i, k in combinations(range(pigeons), 2)]
    return (*somewhere, *alone)


@pytest.fixture(scope="module")
def pigeons() -> Evidence:
    """A proof of some steps, each clause of whose formula is needed."""
    found = solve(12, _pigeons(4, 3))
    assert isinstance(found, Evidence)
    assert len(found.added) > 3
    return found


# The checkers.


@pytest.mark.parametrize("check", CHECKERS)
def test_a_proof_is_accepted(check: certificates.Check, pigeons: Evidence) -> None:
    """Both checkers accept what the SAT solver logged."""
    assert check(pigeons) == ""


@pytest.mark.parametrize("check", CHECKERS)
def test_a_proof_of_other_clauses_is_rejected(check: certificates.Check, pigeons: Evidence) -> None:
    """Without any one clause, or with any one literal turned in a long one, the formula can be true."""
    for at, clause in enumerate(pigeons.clauses):
        without = pigeons.clauses[:at] + pigeons.clauses[at + 1 :]
        assert check(replace(pigeons, clauses=without))
        if len(clause) > 2:
            turned = (*clause[:-1], -clause[-1])
            assert check(replace(pigeons, clauses=(*without, turned)))


def _conflicts(clauses: list[Clause]) -> bool:
    """Tell whether unit propagation alone finds a contradiction: slowly, and plain to see."""
    true: set[int] = set()
    while True:
        left = [{literal for literal in clause if -literal not in true} for clause in clauses]
        if not all(left):
            return True
        units = {literal for clause in left if len(clause) == 1 for literal in clause} - true
        if not units:
            return False
        true |= units


def _follows(clauses: list[Clause], step: Clause) -> bool:
    """Tell whether a step is RUP: to assume it false leads to a contradiction by unit propagation."""
    return _conflicts([*clauses, *((-literal,) for literal in step)])


def _is_harmless(clauses: list[Clause], step: Clause) -> bool:
    """Tell whether a step is RAT: whatever is resolved with it on its first literal follows."""
    others = [clause for clause in clauses if -step[0] in clause]
    return all(_follows(clauses, (*step, *(set(clause) - {-step[0]}))) for clause in others)


@pytest.mark.parametrize("check", CHECKERS)
def test_a_step_that_does_not_follow_is_rejected(check: certificates.Check, pigeons: Evidence) -> None:
    """A foreign step anywhere in a proof is accepted just if it follows from the clauses before it.

    The verified checker also takes steps that need not follow but take no solution away (RAT).
    """
    pick = random.Random(2)
    accepted = rejected = 0
    for _ in range(200):
        at = pick.randrange(len(pigeons.steps))
        step = tuple(
            pick.choice((1, -1)) * literal for literal in pick.sample(range(1, 13), pick.choice((1, 2, 3)))
        )
        before = [*pigeons.clauses, *pigeons.added[:at]]
        right = _follows(before, step) or (check is check_with_drup and _is_harmless(before, step))
        steps = (*pigeons.steps[:at], (False, step), *pigeons.steps[at:])
        assert (check(replace(pigeons, steps=steps)) == "") == right
        accepted, rejected = accepted + right, rejected + (not right)
    assert min(accepted, rejected) > 20


@pytest.mark.parametrize("check", CHECKERS)
def test_a_proof_cut_short_is_rejected(check: certificates.Check, pigeons: Evidence) -> None:
    """Neither no steps nor the first few derive the empty clause."""
    for length in (0, 1, 2):
        assert check(replace(pigeons, steps=pigeons.steps[:length]))


@pytest.mark.parametrize("check", CHECKERS)
def test_no_proof_of_clauses_that_can_be_true_is_accepted(check: certificates.Check) -> None:
    """Whatever steps are claimed, the empty clause too, nothing refutes clauses that have a solution."""
    clauses: tuple[Clause, ...] = ((1, 2), (-1, 2), (3,))
    assert isinstance(solve(3, clauses), list)
    for steps in ((), ((),), ((-2,), ()), ((2,), ()), ((1,), (-1,), ()), ((4,), (-4,), ()), ((-3,),)):
        claimed = Evidence(4, clauses, tuple((False, step) for step in steps))
        assert check(claimed)


def test_a_proof_says_what_it_claims() -> None:
    """Where unit propagation is enough and the solver logs nothing, the empty clause is a step still."""
    found = solve(1, [(1,), (-1,)])
    assert isinstance(found, Evidence)
    assert found.steps == ((False, ()),)
    assert (found.cnf(), found.drup()) == ("p cnf 1 2\n1 0\n-1 0\n", "0\n")
    assert set(checked(found).values()) == {"accepted"}


def test_a_deleted_clause_is_of_no_use_any_more(pigeons: Evidence) -> None:
    """A proof that first deletes what it needs is rejected by the checker that looks at deletions."""
    deletions = tuple((True, clause) for clause in pigeons.clauses)
    assert check_with_dratify(replace(pigeons, steps=deletions + pigeons.steps))


def test_what_a_checker_rejects_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that one checker rejects is no certificate, whatever the other says, and the reason is told."""
    theorem, obligation = THEOREMS["slot-injective"], _obligation("slot-injective", SIZES)
    honest = solve

    def lying(variables: int, clauses: list[Clause]) -> Evidence:
        found = honest(variables, clauses)
        assert isinstance(found, Evidence)
        return replace(found, steps=found.steps[:1])

    monkeypatch.setattr(certificates, "solve", lying)
    result = certified(theorem, obligation)
    assert result.verdict == "rejected"
    assert "dratify: " in result.reason
    assert "drup: invalid" in result.reason
    monkeypatch.setattr(certificates, "check_with_dratify", lambda _: "")
    result = certified(theorem, obligation)
    assert (result.verdict, result.reason) == ("rejected", "drup: invalid")
    assert command.exit_code([result], by_name=False) == EXIT_REFUTED


# The lemmas.


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("slot-injective", SIZES),
        ("header-written-whole", "no packet is refused that asks only"),
        ("header-size-by-feature", "virtio-1.x: num_buffers"),
        ("segmentation-request-right", "gso_type, but for the ECN bit"),
    ],
)
def test_both_checkers_accept_short_proofs(name: str, label: str) -> None:
    """Lemmas with proofs of few steps are certified by both checkers."""
    result = certified(THEOREMS[name], _obligation(name, label))
    assert result.verdict == "certified", result.reason
    assert result.checkers == {"dratify": "accepted", "drup": "accepted"}


@pytest.mark.slow
def test_all_lemmas_on_numbers_of_fixed_width_are_certified() -> None:
    """All that can be is certified, dratify accepts each, and what has no certificate is told why."""
    results = list(certificates.certificates())
    kinds = {result.verdict for result in results}
    assert kinds == {"certified", "none"}
    assert all(result.reason for result in results if result.verdict == "none")
    done = [result for result in results if result.verdict == "certified"]
    assert len(done) >= 32
    assert all(result.checkers["dratify"] == "accepted" for result in done)
    assert sum(result.checkers["drup"] == "accepted" for result in done) >= 24
    names = {result.theorem for result in done}
    assert {"slot-injective", "need-event-exact", "checksum-request-right"} <= names
    labels = {result.label for result in done}
    assert _obligation("slot-injective", MASKS).label in labels
    assert _obligation("need-event-exact", WORDS).label in labels


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slot-injective", "need-event-exact"])
def test_z3s_own_clauses_have_certificates_too(name: str) -> None:
    """A translation that is not ours, Z3's, of the same lemmas is refuted with proofs that are accepted."""
    to_clauses = z3.Then("simplify", "bit-blast", "tseitin-cnf")
    done = 0
    for obligation in THEOREMS[name].obligations:
        query = obligation.build(every_size())
        try:
            translated(query)
        except NoCircuitError:
            continue
        goal = z3.Goal()
        goal.add(*query.hypotheses.values(), z3.Not(query.goal))
        (subgoal,) = to_clauses(goal)
        head, *lines = subgoal.dimacs(False).splitlines()
        found = solve(int(head.split()[2]), [tuple(map(int, line.split()[:-1])) for line in lines])
        assert isinstance(found, Evidence)
        assert checked(found)["dratify"] == "accepted"
        done += 1
    assert done == 2


@pytest.mark.parametrize(
    ("mutant", "name", "label"), [("X8", "slot-injective", MASKS), ("D1", "need-event-exact", WORDS)]
)
def test_a_false_lemma_has_no_certificate(mutant: str, name: str, label: str) -> None:
    """Of a mutant's lemma the clauses can be true, and the values that show it refute it in Z3, too."""
    obligation, model = _obligation(name, label), MUTANTS[mutant].model_of(THEOREMS[name].subject)
    result = certified(THEOREMS[name], obligation, model)
    assert (result.verdict, result.evidence) == ("false", None)
    query: Query = obligation.build(every_size(model))
    width = 16 if name == "slot-injective" else 32
    given = [(z3.BitVec(name, width), z3.BitVecVal(value, width)) for name, value in result.values.items()]
    assert all(z3.is_true(z3.simplify(z3.substitute(each, *given))) for each in query.hypotheses.values())
    assert z3.is_false(z3.simplify(z3.substitute(query.goal, *given)))
    assert command.exit_code([result], by_name=False) == EXIT_REFUTED
    assert f"{next(iter(result.values))} " in command.certificate_line(result)


def test_an_empty_claim_shows() -> None:
    """Hypotheses count: of what holds only because they can't, there is a certificate, without them none."""
    x = z3.BitVec("x", 4)

    def build(hypotheses: dict[str, z3.BoolRef]) -> Obligation:
        return lemma("x", lambda _: Query(hypotheses, x == 3))

    theorem = THEOREMS["need-event-exact"]
    assert certified(theorem, build({"low": z3.ULT(x, 4), "high": z3.UGT(x, 2)})).verdict == "certified"
    weaker = certified(theorem, build({"low": z3.ULT(x, 4)}))
    assert weaker.verdict == "false"
    assert weaker.values["x"] in (0, 1, 2)


def test_a_solver_that_gives_up_certifies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of conflicts there is no certificate, and the exit code says that something is unknown."""
    monkeypatch.setattr(certificates, "CONFLICTS", 5)
    result = certified(THEOREMS["need-event-exact"], _obligation("need-event-exact", WORDS))
    assert (result.verdict, result.gave_up) == ("none", True)
    done = Certificate("a", "b", "certified")
    assert command.exit_code([done, result], by_name=False) == EXIT_UNKNOWN
    assert command.exit_code([done], by_name=True) == EXIT_HELD


# What is installed.


def test_pins_are_the_packages_pins() -> None:
    """The versions asked for are those that the extra installs."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    pins = dict(entry.partition(";")[0].split("==") for entry in project["optional-dependencies"]["certify"])
    assert pins == certificates.PINNED


def test_without_its_packages_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Absent or of another version, the solver or the checker is named, with exit code 3 and no verdict."""
    monkeypatch.setitem(certificates.PINNED, "dratify", "0.0.0")
    with pytest.raises(MissingCheckerError, match=r"dratify 0\.0\.0 is needed, but 0\.1\.10 is installed"):
        certificates.require_checkers()
    monkeypatch.setitem(certificates.PINNED, "no-such-package", "1.0")
    assert "pip install 'ringproof[certify]'" in certificates.missing("no-such-package")
    assert command.certify(("slot-injective",), as_json=False) == EXIT_UNKNOWN
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("ringproof: dratify 0.0.0 is needed")


def test_without_the_verified_checker_the_other_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the verified checker is not to be had, that is said, and the certificate rests on the other."""
    monkeypatch.setitem(certificates.PINNED, "drup", "0.0.0")
    result = certified(THEOREMS["slot-injective"], _obligation("slot-injective", SIZES))
    assert result.verdict == "certified"
    assert result.checkers["drup"] == "not asked: drup 0.0.0 is needed, but 1.2.1 is installed"


# The command.


def test_it_prints_a_line_each_and_writes_files_for_other_checkers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by name, lemmas with and without a certificate are listed; the files hold the proof."""
    theorem = replace(
        THEOREMS["slot-injective"],
        obligations=(_obligation("slot-injective", SIZES), THEOREMS["slot-injective"].obligations[2]),
    )
    monkeypatch.setitem(THEOREMS, "slot-injective", theorem)
    directory = tmp_path / "new" / "certificates"
    assert command.certify(("slot-injective",), as_json=False, directory=directory) == EXIT_UNKNOWN
    certified_line, none_line, reason, last = capsys.readouterr().out.splitlines()
    assert certified_line.startswith("certified")
    assert "dratify+drup" in certified_line
    assert none_line.startswith("none")
    assert reason.strip() == "it has integers that may be any number: i"
    assert last.startswith("1 of 2 obligations certified (dratify 0.1.10 accepted 1, drup 1.2.1 accepted 1)")
    index = json.loads((directory / "index.json").read_text())
    assert [entry["verdict"] for entry in index] == ["certified"]
    formula = dratify.parse_dimacs((directory / index[0]["cnf"]).read_text())
    assert dratify.check_proof(formula, (directory / index[0]["proof"]).read_text()).ok
    assert len(formula.clauses) == index[0]["clauses"]


def test_json_tells_the_same(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The document has verdict, counts and checkers of each obligation, and the packages' versions."""
    theorem = replace(THEOREMS["slot-injective"], obligations=(_obligation("slot-injective", SIZES),))
    monkeypatch.setitem(THEOREMS, "slot-injective", theorem)
    assert command.certify(("slot-injective",), as_json=True) == EXIT_HELD
    document = json.loads(capsys.readouterr().out)
    (entry,) = document["certificates"]
    assert (entry["theorem"], entry["verdict"]) == ("slot-injective", "certified")
    assert entry["clauses"] > 100
    assert entry["steps"] > 10
    assert document["packages"] == certificates.PINNED


def test_findings_have_nothing_to_certify(capsys: pytest.CaptureFixture[str]) -> None:
    """A finding, asked for by name, has no certificate: its counterexample is what shows it."""
    assert command.certify(("header-size-linux-3.11",), as_json=False) == EXIT_UNKNOWN
    assert "refuted by its counterexample" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    """An unknown theorem, and a directory that is a file, are refused before any work."""
    with pytest.raises(BadInputError, match="no theorem is called 'slot'"):
        command.certify(("slot",), as_json=False)
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(BadInputError, match="cannot write to"):
        command.certify(("slot-injective",), as_json=False, directory=occupied)


def test_the_packages_are_loaded_only_when_asked_for() -> None:
    """Importing the command needs none of the optional packages."""
    program = (
        "import sys; import ringproof.commands.certificates; "
        "assert not {'pysat', 'dratify', 'drup'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
