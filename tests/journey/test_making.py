"""Each finding about Linux 3.11 and each defect of the whole driver has a trace, and the trace replays."""

import json

import pytest

from ringproof.impl.harness.net_operations import NetCode
from ringproof.journey.document import from_json
from ringproof.journey.making import is_made_here, make_net_trace
from ringproof.journey.replay import replay_on_reference
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG
from ringproof.proofs.mutants.registry import MUTANTS
from ringproof.proofs.theorems import THEOREMS

FINDINGS = [name for name, theorem in THEOREMS.items() if theorem.expected == "refuted"]


def test_findings_are_there() -> None:
    """There are findings, and every one of them, and of the defects, is made here; others are not."""
    assert FINDINGS
    assert all(is_made_here(name) for name in (*FINDINGS, *FRAME_CATALOG))
    assert not is_made_here("num-free-exact")
    assert not is_made_here("A1")
    with pytest.raises(KeyError):
        make_net_trace("A1")


@pytest.mark.parametrize("name", [*FINDINGS, *FRAME_CATALOG])
def test_each_has_a_short_trace_that_replays(name: str) -> None:
    """The trace says what broke in its last step, is read back as written, and replays step by step."""
    document = make_net_trace(name)
    assert document.violated
    assert document.property in THEOREMS
    assert len(document.operations) < 20
    assert document.operations[0].code == NetCode.PROBE
    if name in FINDINGS:
        assert (document.mutant, document.config.profile) == (None, "linux-3.11")
    else:
        assert document.mutant == name
        assert document.property in MUTANTS[name].kills
    again = from_json(json.loads(document.text()), "it")
    assert again == document
    replayed = replay_on_reference(document)
    assert replayed.step in (None, len(document.operations))


@pytest.mark.parametrize("name", ["E6", "X25", "small-queue-wakes-linux-3.11"])
def test_the_same_trace_every_time(name: str) -> None:
    """Two runs give the same document."""
    assert make_net_trace(name).text() == make_net_trace(name).text()
