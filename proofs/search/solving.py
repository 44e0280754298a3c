"""An incremental solver that counts its work, admits what it does not know, and finds smallest values."""

from collections.abc import Sequence

import z3

from ...model.unrolled_state import Bits, Truth
from .counterexample import Budget


class Exhausted(Exception):  # noqa: N818 - an outcome, not an error
    """The solver did not decide: the budget is spent or it gave up. The message is the reason."""


class Solving:
    """Bit-vector constraints over one ``budget``; a check that is not decided raises :class:`Exhausted`."""

    def __init__(self, budget: Budget) -> None:
        self._solver = z3.SolverFor("QF_BV")
        self._budget = budget

    def add(self, *constraints: Truth) -> None:
        """Assert for good."""
        self._solver.add(*constraints)

    def satisfiable(self, *assumptions: Truth) -> bool:
        """Whether all constraints and ``assumptions`` can hold together."""
        if not self._budget.left:
            raise Exhausted(f"budget of {self._budget.rlimit} resource units spent")
        self._solver.set("rlimit", self._budget.left)
        before = self._count()
        verdict = self._solver.check(*assumptions)
        self._budget.spent += max(1, self._count() - before)
        if verdict == z3.unknown:
            reason = self._solver.reason_unknown()
            if reason == "interrupted from keyboard":
                raise KeyboardInterrupt  # the solver catches Ctrl-C for itself and answers unknown
            raise Exhausted(f"the solver gave up: {reason}")
        return bool(verdict == z3.sat)

    def _count(self) -> int:
        return int(dict(iter(self._solver.statistics())).get("rlimit count", 0))

    def model(self) -> z3.ModelRef:
        """The values behind the last satisfiable check."""
        return self._solver.model()

    def smallest(self, words: Sequence[Bits], *assumptions: Truth) -> z3.ModelRef | None:
        """A model in which ``words`` are smallest in turn, earlier ones first; None if there is no model.

        Under that order the values of ``words`` do not depend on the solver's choices.
        """
        if not self.satisfiable(*assumptions):
            return None
        fixed, model = list(assumptions), self.model()
        for word in words:
            value = int(model.eval(word, model_completion=True).as_long())
            if value and self.satisfiable(*fixed, word == 0):
                value, model = 0, self.model()
            for place in reversed(range(word.size() if value else 0)):
                if not value >> place & 1:
                    continue
                # Below the bits already settled, the model's value bounds the smallest one.
                bound = (value >> place << place) - 1
                if self.satisfiable(*fixed, z3.ULE(word, bound)):
                    model = self.model()
                    value = int(model.eval(word, model_completion=True).as_long())
            fixed.append(word == value)
        return model
