"""The table of clauses on the terminal and as JSON."""

import json

import pytest

from ringproof.commands.clause_table import checks_of, clause_table
from ringproof.errors import BadInputError
from ringproof.proofs.clause_table import CLAUSE_TABLE
from ringproof.proofs.theorem import Verdict
from ringproof.proofs.theorems import THEOREMS


def _announced() -> dict[str, Verdict]:
    return {name: theorem.expected for name, theorem in THEOREMS.items()}


def test_the_whole_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every clause is there, with its theorems or the reason; without a run nothing is called proved."""
    monkeypatch.setenv("COLUMNS", "80")
    assert clause_table(False, ()) == 0
    text = capsys.readouterr().out
    for row in CLAUSE_TABLE.values():
        assert row.id in text
        assert all(name in text for name in row.theorems)
    without = sum(bool(row.reason) for row in CLAUSE_TABLE.values())
    assert text.count("no theorem: ") == without
    assert "proved" not in text
    assert f"52 clauses: {52 - without} with theorems" in text.splitlines()[-1]
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines()[:-1])


def test_verdicts_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Each theorem has its verdict; one that was not run, or came out otherwise, does not count."""
    verdicts = _announced()
    clause_table(False, ["2.7.7.1c"], verdicts)
    text = " ".join(capsys.readouterr().out.split())
    assert "flags-stay-zero proved" in text
    assert "flags-stay-zero-linux-3.11 refuted a finding: Linux 3.11 breaks it" in text
    assert "of 1 all theorems were decided as announced" in text
    verdicts["flags-stay-zero"] = "unknown"
    del verdicts["flags-stay-zero-linux-3.11"]
    clause_table(False, ["2.7.7.1c"], verdicts)
    text = " ".join(capsys.readouterr().out.split())
    assert "flags-stay-zero unknown" in text
    assert "flags-stay-zero-linux-3.11 not decided in this run" in text
    assert "of 0 all theorems were decided as announced" in text


def test_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal too narrow for the columns still gets every word."""
    monkeypatch.setenv("COLUMNS", "20")
    clause_table(False, ["2.7.7.1c"])
    text = " ".join(capsys.readouterr().out.split())
    assert CLAUSE_TABLE["2.7.7.1c"].words in text
    assert "flags-stay-zero-linux-3.11" in text


def test_some_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A theorem stands for the clauses it is mapped to; nobody's name is refused in one line."""
    clause_table(True, ["need-event-exact", "2.7.9/n1"])
    document = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in document["clauses"]] == ["2.7.9/n1", "2.7.10.1f"]
    clause_table(False, ["frame-freed-once"])
    assert "0 clauses" in capsys.readouterr().out
    with pytest.raises(BadInputError, match="did you mean slot-injective"):
        clause_table(False, ["slot-injectiv"])


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The document has all that the table has, and counts that add up."""
    assert clause_table(True, (), _announced()) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in document["clauses"]] == list(CLAUSE_TABLE)
    assert document["clauses"] == [
        {
            "id": row.id,
            "level": row.level,
            "words": row.words,
            "theorems": [
                {"name": name, "expected": THEOREMS[name].expected, "verdict": THEOREMS[name].expected}
                for name in row.theorems
            ],
            "reason": row.reason,
            "note": row.note,
            "checks": list(checks_of(row.id)),
        }
        for row in CLAUSE_TABLE.values()
    ]
    counts = document["counts"]
    assert counts["with_theorems"] + counts["without_theorem"] == counts["clauses"] == 52
    assert counts["as_announced"] == counts["with_theorems"]


def test_checks_of_a_clause() -> None:
    """A clause's checks are those of virtqueues and of whole drivers; one check may judge two clauses."""
    assert checks_of("2.7.10.1c") == ("no-needless-kick", "clause-2.7.10.1c")
    assert checks_of("2.7.10.1g") == ("no-needless-kick", "clause-2.7.10.1g")
    assert checks_of("2.7.13.3.1a") == ("content-before-index",)
    assert checks_of("2.7.3a") == ()
