"""What a path allows: whether conditions can hold together, and which values a word may have.

One incremental solver for all questions of a run. Each condition of a path gets a name, a path is a set of
names assumed: what the solver learns of the hypotheses on one path serves on all others.
"""

import z3

from .easing import eased
from .errors import TooMany
from .words import Flag, Word, simple, vector

Path = tuple[z3.BoolRef, ...]


_REMEMBERED = 24


class Oracle:
    """Answers under hypotheses. Raises TooMany where the solver gives no answer within ``seconds``."""

    def __init__(self, hypotheses: tuple[z3.BoolRef, ...] = (), seconds: float = 120.0) -> None:
        self.hypotheses = hypotheses
        # The solver for finite domains: bit-vectors become clauses at once, kept between questions.
        self._solver = z3.SolverFor("QF_FD")
        self._solver.set("timeout", int(seconds * 1000))
        self._solver.add(*(eased(each) for each in hypotheses))
        self._names: dict[int, tuple[z3.BoolRef, z3.BoolRef]] = {}
        self._known: dict[frozenset[int], bool] = {}
        # Values found before, and which conditions they satisfy: most questions are answered by them.
        self._models: list[tuple[z3.ModelRef, dict[int, bool]]] = []
        self.questions = 0

    def possible(self, path: Path, *conditions: Flag) -> bool:
        """Whether the conditions can hold at the end of a path."""
        if any(condition is False for condition in conditions):
            return False
        whole = (*path, *(condition for condition in conditions if condition is not True))
        key = frozenset(condition.get_id() for condition in whole)
        if key not in self._known and self._remembered(whole):
            self._known[key] = True
        if key not in self._known:
            names = [self._name(condition) for condition in whole]
            self._known[key] = self._check(names) == z3.sat
            if self._known[key]:
                self._models = [(self._solver.model(), {}), *self._models[: _REMEMBERED - 1]]
        return self._known[key]

    def _remembered(self, conditions: Path) -> bool:
        """Whether values found before satisfy the conditions, and so these can hold."""
        for model, known in self._models:
            for condition in conditions:
                name = condition.get_id()
                if name not in known:
                    self._name(condition)  # keeps the term
                    known[name] = z3.is_true(model.eval(condition, model_completion=True))
                if not known[name]:
                    break
            else:
                return True
        return False

    def values(self, word: Word, path: Path, most: int) -> list[int]:
        """Return every value that a word may have at the end of a path, ascending.

        Raises TooMany if there are more than ``most``: none is ever left out.
        """
        if isinstance(word, int):
            return [word]
        names = [self._name(condition) for condition in path]
        word = simple(word)
        if isinstance(word, int):
            return [word] if self._check(names) == z3.sat else []
        found: list[int] = []
        twin = z3.BitVec(f"value!{word.get_id()}", word.size())
        self._keep(word, twin)
        others: list[z3.BoolRef] = []
        while self._check([*names, *others]) == z3.sat:
            if len(found) == most:
                raise TooMany(f"an address may have more than {most} values")
            value = self._solver.model().eval(twin, model_completion=True).as_long()
            found.append(value)
            others.append(self._name(twin != value))
        return sorted(found)

    def model(self, path: Path, *conditions: Flag) -> z3.ModelRef | None:
        """Return values of all symbols at the end of a path, or none if there are none."""
        whole = (*path, *(condition for condition in conditions if condition is not True))
        if any(condition is False for condition in conditions):
            return None
        names = [self._name(condition) for condition in whole]
        return self._solver.model() if self._check(names) == z3.sat else None

    def _keep(self, word: Word, twin: z3.BitVecRef) -> None:
        if twin.get_id() not in self._names:
            equation = twin == eased(vector(word, twin.size()))
            self._solver.add(equation)
            self._names[twin.get_id()] = (twin, equation)

    def _name(self, condition: z3.BoolRef) -> z3.BoolRef:
        found = self._names.get(condition.get_id())
        if found is None:
            name = z3.Bool(f"holds!{condition.get_id()}")
            self._solver.add(z3.Implies(name, eased(condition)))
            # The condition is kept with its name: its identity may serve no other term.
            found = self._names[condition.get_id()] = (name, condition)
        return found[0]

    def _check(self, names: list[z3.BoolRef]) -> z3.CheckSatResult:
        self.questions += 1
        result = self._solver.check(*names)
        if result == z3.unknown:
            raise TooMany(
                f"the solver does not know whether a path can be taken: {self._solver.reason_unknown()}"
            )
        return result
