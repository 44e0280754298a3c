"""What one queue size at a time would cost, beside a proof for all of them.

The same obligations, from the same hypotheses: once with the queue size a symbol and quantifiers, and for
each of a few sizes with every quantifier spelt out. Costs are Z3's resource counts, which don't depend on
the machine.
"""

from dataclasses import replace

from ringproof.model.steps.queue import Steps
from ringproof.proofs.hints import HINTS
from ringproof.proofs.solver import refute
from ringproof.proofs.theorem import Stage, every_size, one_size
from ringproof.proofs.theorems import THEOREMS

GROUPS = ("publish", "detach", "give", "device_stages")
"""The steps that move descriptors and chains: where sizes tell."""

SUBJECTS = ("free-list-at-every-step", "descriptors-at-every-step", "device-finds-chains-in-flight")
SIZES = (1, 2, 4, 8)
BOUND = 4_000_000
"""Resources for one obligation, about a second; what needs more is counted at this much."""


def cost(stage: Stage) -> tuple[int, int, int]:
    """Return how many obligations were asked, how many were not decided, and the sum of resources."""
    asked, undecided, spent = 0, 0, 0
    for name in SUBJECTS:
        for obligation in THEOREMS[name].obligations:
            if obligation.group not in GROUPS:
                continue
            query = obligation.build(stage)
            hint = HINTS[obligation.label]
            few = {name: fact for name, fact in query.hypotheses.items() if name in hint}
            answer = refute(replace(query, hypotheses=few), BOUND)
            asked += 1
            undecided += answer.result != "unsat"
            spent += answer.rlimit
    return asked, undecided, spent


def table() -> list[tuple[str, int, int, int]]:
    """Return a row for every size at once, and one for each of the sizes: asked, undecided, resources."""
    rows = [("every size", *cost(every_size(Steps)))]
    return rows + [(f"size {size}", *cost(one_size(size, Steps))) for size in SIZES]
