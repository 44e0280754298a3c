"""Staging a trace: the scene of a document, whatever kind it is of.

Steps are made when they are looked at, so that a long trace costs nothing before it is drawn.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, overload

from ..journey.document import NetTrace
from ..traces import steps_document, wording
from ..traces.document import TABLES, TraceDocument, TraceState
from ..traces.entries import EntriesReader
from ..traces.steps_document import StepsDocument
from ..traces.variables import describe
from ..traces.wording import Change
from . import network_words, step_words
from .opening import Document, Window, broken_step, load_window
from .scene import Explanation, Lane, Scene, Source, Step


def scene_of(document: Document, *, sources: bool = True) -> Scene:
    """The scene of a document; without ``sources`` its steps name no lines of code.

    Raises TraceError, naming the place, for an explanation that has not its form.
    """
    lines: Sequence[tuple[Source, ...]] = ()
    if sources:
        # Only who wants lines of code pays for reading it.
        from .sources import sources_of

        lines = sources_of(document)
    return _staged(Window(document, 0, len(document.states)), lines)


def scene_of_file(path: Path, *, around: int | None = None, sources: bool = True) -> Scene:
    """The scene of a saved document; of a very long one a window around a step, without lines of code.

    ``around`` is that step, the one that breaks the property if it is None. Raises TraceError as
    :func:`opening.load_window`.
    """
    window = load_window(path, around)
    return _staged(window, ()) if window.words else scene_of(window.document, sources=sources)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the words of a kind say of one step."""

    words: str
    outcome: str
    changes: Iterable[Change]
    differences: Iterable[str] = ()


_Tell = Callable[[int, TraceState | None, TraceState], _Told]
"""Tells of a step: its number, the state before (None for the creation), its own."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What one kind of document has otherwise than the others."""

    kind: str
    title: str
    setting: str
    standing: str
    marked: frozenset[str]
    queue_size: int
    tell: _Tell
    conjunct: str = ""


def _staged(window: Window, lines: Sequence[tuple[Source, ...]]) -> Scene:
    document = window.document
    broken = broken_step(document, window.total)
    if isinstance(document, TraceDocument):
        own = _queue(document, broken)
    elif isinstance(document, StepsDocument):
        own = _statements(document)
    else:
        own = _network(document, window)

    def made(number: int, before: TraceState | None, state: TraceState) -> Step:
        told = own.tell(number, before, state)
        return Step(
            number=number,
            lane=cast(Lane, state.lane),
            action=state.action,
            words=told.words,
            outcome=told.outcome,
            changes=tuple(told.changes),
            values=state.values,
            differences=tuple(told.differences),
            sources=lines[number] if number < len(lines) else (),
        )

    return Scene(
        kind=own.kind,
        title=own.title,
        setting=own.setting,
        standing=own.standing,
        property=document.property,
        conjunct=_extra_text(document, "conjunct") or own.conjunct,
        violated=document.violated,
        clause=_clause(document),
        broken=broken,
        marked=own.marked,
        queue_size=own.queue_size,
        steps=Steps(document.states, made, window.first, window.before),
        explanation=explanation_of(document.extra, window.total - 1),
        window=window.words,
    )


@dataclass(frozen=True, slots=True)
class Steps(Sequence[Step]):
    """The steps of a trace, each made when it is asked for, and kept then.

    ``make`` makes one of its number, the state before (None for the creation) and its own. The states are
    those from number ``first`` on, and ``before`` is the one before them.
    """

    states: Sequence[TraceState]
    make: Callable[[int, TraceState | None, TraceState], Step]
    first: int = 0
    before: TraceState | None = None
    made: dict[int, Step] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.states)

    @overload
    def __getitem__(self, at: int) -> Step: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Step]: ...

    def __getitem__(self, at: int | slice) -> Step | Sequence[Step]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        if place not in self.made:
            before = self.states[place - 1] if place else self.before
            self.made[place] = self.make(place + self.first, before, self.states[place])
        return self.made[place]


def _extra_text(document: Document, name: str) -> str:
    found = document.extra.get(name)
    return found if isinstance(found, str) else ""


def _clause(document: Document) -> str:
    clause = _extra_text(document, "clause")
    # What an oracle of this tool found is no clause of the specification.
    return "" if clause.startswith("oracle") else clause


def explanation_of(extra: Any, last: int, name: str = "trace") -> Explanation:
    """The explanation in the further entries of a document whose last state has the number ``last``.

    Raises TraceError, with ``name`` for the file, if it has not its form.
    """
    if "explanation" not in extra:
        return Explanation()
    told = EntriesReader(name).told(extra["explanation"], "#meta.explanation", last)
    return Explanation(
        parts=told.parts,
        unavoidable_from=told.unavoidable.step if told.unavoidable else None,
        unavoidable_words=told.unavoidable.words if told.unavoidable else "",
        variant_step=told.variant.step if told.variant else None,
        variant_words=told.variant.words if told.variant else "",
    )


def _check(document: TraceDocument) -> str:
    """The check that a driver fails, where the property it belongs to is called otherwise."""
    check = _extra_text(document, "check")
    return "" if check == document.property else check


# -- a virtqueue -----------------------------------------------------------------------------------------


def _queue(document: TraceDocument, broken: int | None) -> _Kind:
    own_ways = document.extra.get("compared") == "by meaning"

    def tell(number: int, before: TraceState | None, state: TraceState) -> _Told:
        outcome, differences = wording.outcome(state), wording.differences(state)
        if differences and own_ways and number != broken:  # what a driver of another design may do
            differences, other = [], wording.outcome_of_reference(state)
            if other != outcome:
                outcome = f"{outcome or 'nothing'} (the reference: {other or 'nothing'})"
        changes = wording.changes(before, state) if before is not None else ()
        return _Told(wording.action(state), outcome, changes, differences)

    return _Kind(
        kind=document.kind,
        title=document.description or document.property,
        setting=describe(document.config),
        standing=_queue_standing(document),
        marked=wording.accused(document),
        queue_size=_shown_size(document),
        tell=tell,
        conjunct=_check(document),
    )


def _shown_size(document: TraceDocument) -> int:
    """The size of the queue that the states show: the reference's where that differs from the driver's."""
    size, shown = document.config.queue_size, document.config.reference_size
    tables = (len(state.values[name]) for state in document.states for name in TABLES if name in state.values)
    return shown if size != shown and all(length == shown for length in tables) else size


def _queue_standing(document: TraceDocument) -> str:
    if document.kind == "validate":
        driver = _extra_text(document, "driver") or "a driver"
        if document.extra.get("alone"):
            alone = f"a run of {driver} that no reference follows: the states are what the driver told"
            return f"{alone}; the device breaks the rules on purpose" if document.config.hostile else alone
        return f"a run of {driver}: the states are those of the reference, which ran the same operations"
    if document.replayed:
        return f"replayed: the reference carrying {document.mutant} breaks it at the same step"
    return f"not replayed: {_extra_text(document, 'not_replayed') or 'nobody has run it'}"


# -- a network driver ------------------------------------------------------------------------------------


def _network(document: NetTrace, window: Window) -> _Kind:
    own = "driver" not in document.extra  # else the headers here are not those that were found fault with

    def tell(number: int, before: TraceState | None, state: TraceState) -> _Told:
        headers = network_words.headers_read(document.states, number - window.first) if own else ()
        changes = network_words.changes(before, state) if before is not None else ()
        return _Told(network_words.action(state), network_words.outcome(state), (*headers, *changes))

    return _Kind(
        kind="network",
        title=document.description or document.property or "a run of a network driver",
        setting=network_words.describe(document.config),
        standing=_network_standing(document),
        marked=network_words.accused(document.violated),
        queue_size=0,
        tell=tell,
    )


def _network_standing(document: NetTrace) -> str:
    driver, origin = _extra_text(document, "driver"), _extra_text(document, "origin")
    if driver:
        return f"a run of {driver}: the states are those of the reference, as far as it can follow"
    carrying = f"the reference carrying {document.mutant}" if document.mutant else "the reference"
    return f"a run of {carrying}" + (f"; {origin}" if origin else "")


# -- single statements -----------------------------------------------------------------------------------


def _statements(document: StepsDocument) -> _Kind:
    def tell(_: int, before: TraceState | None, state: TraceState) -> _Told:
        changes = step_words.changes(before, state) if before is not None else ()
        return _Told(step_words.action(state), "", changes)

    return _Kind(
        kind=steps_document.KIND,
        title=document.description or document.property,
        setting=steps_document.describe(document),
        standing=f"not replayed: a run of the step-wise model, statement by statement ({document.change})",
        marked=step_words.accused(document),
        queue_size=document.queue_size,
        tell=tell,
    )
