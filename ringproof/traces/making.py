"""A mutant's trace from end to end: searched on the model, replayed on the reference, written down."""

from dataclasses import replace

from ..impl.reference.profile import F_EVENT_IDX
from ..patching import load_reference_mutant
from ..proofs.mutants.catalog import CATALOG
from ..proofs.mutants.unrolled import MUTANTS
from ..proofs.search import Counterexample, Found, NotFound, Unknown, find_trace
from ..proofs.search.deepening import DEFAULT_BUDGET
from ..proofs.search.portfolio import DEFAULT_DEPTH
from ..proofs.search.rerun import rerun
from .canonical import Fault, canonical
from .conversion import choices, disagreements, model_states, operations, queue_config
from .document import TraceDocument
from .explanation import explained
from .replay import replay_document, run_reference


class NoTrace(Exception):  # noqa: N818 - a verdict, not an error of this program
    """The search found no counterexample: ``result`` says whether there is none or whether it gave up."""

    def __init__(self, mutant: str, result: NotFound | Unknown) -> None:
        if isinstance(result, Unknown):
            message = f"the search for a trace of {mutant} gave up: {result.reason}"
        else:
            looked = "; ".join(result.searched)
            message = f"no run of up to {result.depth} operations shows {mutant} (looked at {looked})"
        super().__init__(message)
        self.result = result


def document_of(trace: Counterexample) -> TraceDocument:
    """A counterexample replayed, put into its canonical form, explained and written down.

    The states are those of the run it accuses; ``replayed`` is true only if that run broke the same part of
    the same property at the last operation, the unmutated reference broke nothing, and model and run agree
    on every variable of every state. That holds of the run that was found and of the canonical one that takes
    its place. ``canonical`` among the further entries says whether it is known to be that.
    """
    found = _replayed(trace)
    if not found.replayed or trace.mutant is None:
        return found
    return explained(_canonical(trace, found, trace.mutant))


def _canonical(trace: Counterexample, found: TraceDocument, mutant: str) -> TraceDocument:
    """The document of the canonical run in the place of the one that was found."""
    fault = Fault(trace.property, trace.conjunct, load_reference_mutant(mutant))
    chosen = canonical(found.config, found.operations, fault)
    document, whole = found, chosen.whole
    if (chosen.config, chosen.operations) != (found.config, found.operations):
        event_idx = bool(chosen.config.features & F_EVENT_IDX)
        model = MUTANTS[mutant](chosen.config.queue_size, event_idx=event_idx)
        told = rerun(model, trace, choices(chosen.operations))
        other = _replayed(told) if told is not None else None
        if other is not None and other.replayed:
            document = other
        else:
            whole = False  # the model does not go along, so it could not be told apart from a mistake
    return replace(document, extra={**document.extra, "canonical": whole})


def _replayed(trace: Counterexample) -> TraceDocument:
    """A counterexample replayed and written down as it is."""
    ops, config = operations(trace), queue_config(trace)
    title = CATALOG[trace.mutant].title if trace.mutant is not None else "no mutant"
    draft = TraceDocument(
        kind="search",
        mutant=trace.mutant,
        property=trace.property,
        violated=trace.sentence,
        replayed=False,
        config=config,
        operations=ops,
        states=(),
        description=f"{trace.mutant or 'model'}: {title}",
        extra={"conjunct": trace.conjunct},
    )
    if trace.mutant is None:
        return replace(draft, states=run_reference(config, ops).states)
    outcome = replay_document(draft)
    assert outcome.accused is not None, "a document with a mutant accuses a run"
    states = outcome.accused.states
    apart = [
        f"state {number}: {difference}"
        for number, (model, state) in enumerate(zip(model_states(trace), states, strict=False))
        for difference in disagreements(model, state.values)
    ]
    found = outcome.accused.first_of(trace.property, trace.conjunct)
    if not outcome.confirmed or found is None or apart:
        reason = outcome.reason if not outcome.confirmed else "; ".join(apart)
        draft = replace(draft, extra={**draft.extra, "not_replayed": reason})
        return replace(draft, states=states, operations=ops[: len(states) - 1])
    return replace(draft, states=states, violated=found[1].sentence, replayed=True)


def make_trace(mutant: str, *, depth: int = DEFAULT_DEPTH, budget: int = DEFAULT_BUDGET) -> TraceDocument:
    """The shortest trace that shows a mutant of the catalog.

    Raises KeyError for an id the catalog does not have, LookupError for one that is not seeded into the
    unrolled model, NoTrace when the search ends without one, PatchError when the reference cannot carry it.
    """
    result = find_trace(mutant, depth=depth, budget=budget)
    if not isinstance(result, Found):
        raise NoTrace(mutant, result)
    return document_of(result.trace)
