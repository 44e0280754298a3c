"""What code on the transmit path starts from: invariants of the model, kept by every step in every setting.

The theorems about a transmit queue show as much of the settings they are about; here it is shown of all, such
as linux-3.11 on a queue that is too small for the longest frame.
"""

from ...model.transmit import Transmit
from ..discharge import ObligationResult
from ..solver import refute
from ..stages import stage
from ..stepwise import induction
from ..theorem import Verdict
from .transmit_lockstep import INVARIANTS

BUDGET = 3_000_000
"""Resources for one step: fifty times what the dearest takes."""

_VERDICTS: dict[str, Verdict] = {"unsat": "proved", "sat": "refuted"}


def check() -> list[ObligationResult]:
    """Show that the invariants hold at the start and are kept by every step."""
    found = []
    for obligation in induction(Transmit, INVARIANTS):
        answer = refute(obligation.build(stage(Transmit, None)), BUDGET)
        verdict = _VERDICTS.get(answer.result, "unknown")
        found.append(
            ObligationResult(obligation.label, verdict, answer.seconds, answer.rlimit, answer.reason)
        )
    return found
