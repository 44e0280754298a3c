"""``ringproof clauses`` lists what VIRTIO demands, and by what each demand is judged."""

import json

import pytest

from ringproof.cli import run
from ringproof.validation.registry import DEMANDS


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every clause is there with its words, and what is not judged says why."""
    assert run(["clauses"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for demand in DEMANDS.values():
        assert f"{demand.id} {demand.strength} {demand.words}" in said
    assert "2.7.3a MUST Legacy rings are in the guest's byte order. not judged: every guest" in said
    assert "149 clauses" in said


def test_a_section_is_all_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    """2.7.5 is 2.7.5, 2.7.5.2 and so on, but not 2.7.10; a wrong name is one line."""
    assert run(["clauses", "2.7.5", "--json"]) == 0
    found = [entry["id"] for entry in json.loads(capsys.readouterr().out)]
    assert found == [clause for clause in DEMANDS if clause.startswith("2.7.5")]
    assert run(["clauses", "2.7.99"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_json_tells_what_judges(capsys: pytest.CaptureFixture[str]) -> None:
    """A clause names its checks, or says why there are none; and the decisions on how it is read."""
    assert run(["clauses", "--json"]) == 0
    entries = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["2.7.10.1f"]["checks"] == ["kick-when-event-passed", "clause-2.7.10.1f"]
    assert "kick-per-batch" in entries["2.7.10.1f"]["decisions"]
    for entry in entries.values():
        assert bool(entry["checks"]) != bool(entry["why_none"]), entry["id"]


def test_verbose_tells_how_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """With -v the checks, the moment and the decisions are told."""
    assert run(["clauses", "-v", "2.7.9/n1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "judged by in-order-batch-retired; over a whole run" in said
    assert "decided (in-order-lengths)" in said
