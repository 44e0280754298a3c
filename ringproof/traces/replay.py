"""Replay: a trace's operations run again on the reference, and on the reference that carries a mutant."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from ..impl.harness.operations import Op, Result
from ..impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ..patching import load_reference_mutant
from .document import TraceDocument, TraceError, TraceState
from .ledger import Breach
from .parting import Parting, first_parting
from .properties import Watched
from .variables import initial_state, state_after


@dataclass(frozen=True, slots=True)
class Run:
    """What a run showed: the states from creation on, the results, and every breach with its operation.

    A run ends early when the device or the driver could not go on; then states are fewer than operations.
    """

    states: tuple[TraceState, ...]
    results: tuple[Result, ...]
    breaches: tuple[tuple[int, Breach], ...]

    @property
    def first(self) -> tuple[int, Breach] | None:
        """The first breach and the operation that showed it, None for a clean run."""
        return self.breaches[0] if self.breaches else None

    def first_of(self, property: str, conjunct: str = "") -> tuple[int, Breach] | None:
        """The first breach of a property, or of one part of it.

        Where the device or the driver stopped, only the property is known, so that counts for each part.
        """
        for operation, breach in self.breaches:
            if breach.of(property, conjunct):
                return operation, breach
        return None


def run_reference(
    config: QueueConfig, operations: Sequence[Op], *, reference: ModuleType | None = None
) -> Run:
    """Run operations from creation on the reference or a mutant of it, with every property checked."""
    runner = ReferenceRunner(config, reference=reference)
    watched = Watched(runner)
    states, results, breaches = [initial_state(runner)], [], []
    for number, op in enumerate(operations):
        result, found = watched.step(op)
        breaches += [(number, breach) for breach in found]
        states.append(state_after(op, runner, result))
        if result is None:
            break
        results.append(result)
    return Run(tuple(states), tuple(results), tuple(breaches))


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What replaying a document showed.

    ``confirmed``: on the accused reference the document's property breaks first at its last operation, and on
    the unmutated one nothing breaks. ``accused`` is the run with the mutant, ``clean`` the one without; a
    document without a mutant accuses no reference, and then only ``clean`` is there. ``reason`` says in one
    line what was seen.
    """

    confirmed: bool
    reason: str
    clean: Run
    accused: Run | None = None

    def parting(self) -> Parting | None:
        """Where the run with the mutant and the one without part; None where there is but one, or none."""
        if self.accused is None:
            return None
        return first_parting(self.accused.states, self.clean.states, ("with the defect", "without"))


def replay_document(document: TraceDocument) -> ReplayOutcome:
    """Run a document's operations again on the reference, with its mutant if it names one, and without.

    Raises UnknownMutant and PatchError as :func:`load_reference_mutant` does, TraceError for a run that no
    reference can follow.
    """
    if document.alone():
        raise TraceError("no reference can follow this run: replay it on the driver, with --driver")
    clean = run_reference(document.config, document.operations)
    if document.mutant is None:
        if clean.first is None:
            return ReplayOutcome(True, "the reference runs it and nothing breaks", clean)
        number, breach = clean.first
        return ReplayOutcome(
            False,
            f"the reference itself breaks {breach.property} at step {number + 1}: {breach.sentence}",
            clean,
        )
    reference = load_reference_mutant(document.mutant)
    accused = run_reference(document.config, document.operations, reference=reference)
    conjunct = document.extra.get("conjunct", "")
    found = accused.first_of(document.property, conjunct if isinstance(conjunct, str) else "")
    last = len(document.operations) - 1
    if clean.first is not None:
        number, breach = clean.first
        reason = f"the reference without {document.mutant} breaks {breach.property} too, at step {number + 1}"
        return ReplayOutcome(False, reason, clean, accused)
    if found is None:
        seen = "nothing breaks" if accused.first is None else f"{accused.first[1].property} breaks instead"
        reason = f"on the reference with {document.mutant} {seen}"
        return ReplayOutcome(False, reason, clean, accused)
    number, breach = found
    if number != last:
        reason = f"{breach.property} breaks at step {number + 1} already, not only at {last + 1}"
        return ReplayOutcome(False, reason, clean, accused)
    reason = (
        f"the reference with {document.mutant} breaks {breach.property} at step {number + 1}; "
        f"without {document.mutant} nothing breaks"
    )
    return ReplayOutcome(True, reason, clean, accused)
