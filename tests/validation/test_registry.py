"""The registry holds every clause once, and each has a check or a reason."""

import re
from collections import Counter
from pathlib import Path

from ringproof.proofs.clause_table import CLAUSE_TABLE
from ringproof.validation.clauses import CLAUSES
from ringproof.validation.decisions import DECISIONS
from ringproof.validation.registry import DEMANDS, ids
from ringproof.validation.report import Check, ValidationReport
from ringproof.validation.standing import counted, judging, standings, why_none
from ringproof.validation.verdicts import VERDICTS


def test_the_counts_are_those_of_the_text() -> None:
    """149 demands: 96 MUST or MUST NOT, 20 SHOULD or SHOULD NOT, 7 MAY, 26 without such a word."""
    levels = Counter(demand.level for demand in DEMANDS.values())
    assert len(DEMANDS) == 149
    assert levels["MUST"] + levels["MUST NOT"] == 96
    assert levels["SHOULD"] + levels["SHOULD NOT"] == 20
    assert (levels["MAY"], levels["desc"]) == (7, 26)
    observed = Counter(demand.observed for demand in DEMANDS.values())
    assert (observed["ring"], observed["ring, provoked"], observed["headers"]) == (46, 6, 17)


def test_all_that_shows_in_the_ring_is_judged() -> None:
    """Of the clauses that show in ring memory only byte order and the IOMMU have no check."""
    checks = judging()
    for demand in DEMANDS.values():
        if demand.observed in ("ring", "ring, provoked", "headers"):
            assert checks[demand.id] or demand.id in ("2.7.3a", "5.1.6.1a", "6.1d"), demand.id
        if not checks[demand.id]:
            assert why_none(demand)


def test_words_and_levels_are_the_same_wherever_they_stand() -> None:
    """The table of theorems and the clauses of network drivers say what the registry says."""
    for row in CLAUSE_TABLE.values():
        assert (DEMANDS[row.id].level, DEMANDS[row.id].words) == (row.level, row.words), row.id
    assert all(DEMANDS[clause.id].level == clause.level for clause in CLAUSES.values())


def test_a_check_names_clauses_that_exist() -> None:
    """What a check calls its clause is an oracle, or begins with the id of a clause; no permission fails."""
    for verdict in VERDICTS.values():
        named = list(ids(verdict.clause))
        assert named or verdict.clause.startswith("oracle: "), verdict.name
        assert all(DEMANDS[clause].level != "MAY" for clause in named), verdict.name
    assert list(ids("2.7.10.1c, g")) == ["2.7.10.1c", "2.7.10.1g"]
    assert list(ids("oracle: memory")) == []


def test_decisions_concern_clauses() -> None:
    """Each decision names clauses that exist."""
    for decision in DECISIONS.values():
        assert set(decision.clauses) <= DEMANDS.keys(), decision.name


def _report(*checks: Check) -> ValidationReport:
    return ValidationReport("a driver", "pass", checks, 1, 1.0)


def test_the_worst_check_decides() -> None:
    """Of several checks of a clause one that fails decides; what nobody looked at says why."""
    report = _report(
        Check("one", "2.7.10.1c, g", "pass", "held"),
        Check("two", "2.7.10.1g", "warn", "seen"),
        Check("three", "oracle: memory", "fail", "leaked"),
    )
    found = {each.demand.id: each for each in standings(report)}
    assert len(found) == 149 - 7
    assert (found["2.7.10.1c"].verdict, found["2.7.10.1c"].checks) == ("pass", ("one",))
    assert (found["2.7.10.1g"].verdict, found["2.7.10.1g"].detail) == ("warn", "seen")
    assert found["2.7.6/n2"].verdict == "not exercised"
    assert found["3.1.1a"].verdict == found["4.2.2.2a"].verdict == "not observable"
    assert "ringproof_net_driver.h" in found["3.1.1a"].detail
    assert "MMIO" in found["4.2.2.2a"].detail
    assert list(counted(each.verdict for each in found.values())) == [
        "warn",
        "pass",
        "not exercised",
        "not observable",
    ]


def test_the_page_has_every_decision() -> None:
    """``docs/decisions.md`` has a section per decision, naming its clauses, and no other."""
    text = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text()
    parts = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    assert parts.keys() == DECISIONS.keys()
    for name, decision in DECISIONS.items():
        for clause in decision.clauses:
            section = DEMANDS[clause].section
            assert section in parts[name], (name, clause)
