"""What questions consult: what is taken for unchanged is unchanged, and what a mutant changes is noticed."""

import pytest

from ringproof.model.ring import Ring
from ringproof.model.steps.queue import Steps
from ringproof.proofs.consulted import consulted, may_change
from ringproof.proofs.mutants.registry import MUTANTS
from ringproof.proofs.stages import question
from ringproof.proofs.theorems import THEOREMS


def _same(one: object, other: object) -> bool:
    return bool(one.eq(other))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mutant", "subject", "every"), [("A5", Ring, 1), ("B6", Ring, 1), ("A6", Steps, 25)]
)
def test_questions_left_alone_are_unchanged(mutant: str, subject: type, every: int) -> None:
    """A question that no overridden method takes part in is built as before; of many, some are tried."""
    model = MUTANTS[mutant].model_of(subject)
    obligations = [
        each for theorem in THEOREMS.values() if theorem.subject is subject for each in theorem.obligations
    ]
    kept = [each for each in obligations if not may_change(model, subject, each.group)]
    assert 0 < len(kept) < len(obligations)
    for obligation in kept[::every]:
        shipped, mutated = question(obligation, subject), question(obligation, model)
        assert _same(shipped.goal, mutated.goal)
        assert shipped.hypotheses.keys() == mutated.hypotheses.keys()
        assert all(_same(shipped.hypotheses[name], mutated.hypotheses[name]) for name in shipped.hypotheses)


def test_a_changed_method_is_consulted() -> None:
    """The step a mutant changes consults the method overridden; one of special methods changes all."""
    assert "next_after_give" in consulted(Steps, "give")
    assert may_change(MUTANTS["A6"].model_of(Steps), Steps, "give")
    assert not may_change(MUTANTS["A6"].model_of(Steps), Steps, "notify")
    special = type("Special", (Steps,), {"__init__": lambda self, size: Steps.__init__(self, size)})
    assert may_change(special, Steps, "notify")
