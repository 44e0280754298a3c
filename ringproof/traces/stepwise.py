"""Runs of the step-wise model of the proofs, for defects that no driver here carries.

What is shown is the model at work, statement by statement; nothing replays it on an implementation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..model.steps.moment import Choice, Moment
from ..model.steps.queue import Steps
from ..proofs.mutants.registry import DESCRIBED, MUTANTS
from ..proofs.search.steps import Cells
from ..proofs.search.steps_runs import Run, claimed, find, watch
from ..proofs.search.steps_told import said, steps
from ..proofs.theorem import Theorem
from ..proofs.theorems import THEOREMS
from .itf import TraceState
from .steps_document import FEATURES, BrokenTheorem, StepsDocument

_LANES = {"handler": "driver"}
"""Of the lanes of the model those that a trace calls otherwise: the interrupt handler is the driver's."""


def broken_theorems(mutant: str) -> tuple[Theorem, ...]:
    """The theorems of the step-wise model that a mutant breaks; none if it is not seeded there.

    Raises KeyError for an id that is no mutant's.
    """
    seeded = MUTANTS[mutant]
    if not seeded.concerns(Steps):
        return ()
    names = (name for name in THEOREMS if name in seeded.kills)
    theorems = (THEOREMS[name] for name in names)
    return tuple(each for each in theorems if each.subject is Steps and each.expected == "proved")


@dataclass(frozen=True)
class StepsTrace:
    """A short run of a mutated step-wise model, to the first step that breaks one of its theorems."""

    mutant: str
    run: Run

    def broken(self) -> list[tuple[Theorem, str]]:
        """What the last step broke: the theorem, and which of its sentences."""
        return [(self._theorem(entry), said(entry)) for entry in self.run.broken]

    def _theorem(self, entry: str) -> Theorem:
        # An invariant is one theorem's own; a label names an obligation of one theorem.
        return next(
            theorem
            for theorem in broken_theorems(self.mutant)
            for obligation in theorem.obligations
            if _entry(claimed(obligation)) == entry
        )

    def document(self) -> StepsDocument:
        """The run as a trace document."""
        queue, past, broken = self.run.queue, self.run.past, self.broken()
        described = DESCRIBED[self.mutant]
        on = {"EVENT_IDX": queue.event_idx, "INDIRECT_DESC": queue.indirect_desc}
        every = tuple(BrokenTheorem(each.name, each.title, told) for each, told in broken)
        start = TraceState("init", "create", {}, {"words": "", **variables(queue, self.run.start)})
        return StepsDocument(
            mutant=self.mutant,
            change=described.change,
            property=every[0].theorem,
            violated=every[0].violated,
            broken=every,
            queue_size=int(queue.queue_size),
            profile="virtio-1.x" if queue.mended else "linux-3.11",
            features=tuple(name for name in FEATURES if on[name]),
            states=(start, *self._states()),
            kicked=past.kicked,
            quiet=past.quiet,
            description=f"{self.mutant}: {described.title}",
        )

    def _states(self) -> Iterator[TraceState]:
        for step, (_, taken) in zip(steps(self.run), self.run.taken(), strict=True):
            values = {"words": step.words, **variables(self.run.queue, taken.after)}
            yield TraceState(_LANES.get(step.lane, step.lane), step.name, _arguments(taken.choice), values)


def make_steps_trace(mutant: str) -> StepsTrace | None:
    """A run of the mutated step-wise model that breaks a theorem, made short; none if none was found.

    Raises LookupError for a mutant that is not seeded there.
    """
    run = find(MUTANTS[mutant].model_of(Steps), watch(*broken_theorems(mutant)))
    return None if run is None else StepsTrace(mutant, run)


def _entry(entry: object) -> str:
    return entry if isinstance(entry, str) else str(getattr(entry, "label", ""))


_WORD = 0xFFFF
_NUMBERS = (
    *("avail_idx", "used_idx", "last_used_idx", "used_event", "avail_event"),
    *("free_head", "num_free", "num_added"),
)
_F_NEXT, _F_WRITE, _F_INDIRECT = 1, 2, 4


def _arguments(choice: Choice) -> dict[str, Any]:
    """What a step left open, by name; nothing for a step that leaves nothing open."""
    if choice.segments:
        added = {"out_segments": choice.outs, "in_segments": choice.segments - choice.outs}
        return {"token": int(choice.token), **{name: int(count) for name, count in added.items()}}
    found = {"head": int(choice.head), "value": int(choice.event), "no_notify": bool(choice.flag)}
    return {name: value for name, value in found.items() if value}


def variables(queue: Steps, s: Moment) -> dict[str, Any]:
    """A moment on plain numbers, frozen as those of a run are, as the variables of a state."""
    every = range(int(queue.queue_size))

    def table(values: Any) -> list[int]:
        return [int(values(at)) for at in every]

    return {
        **{name: int(getattr(s, name)) for name in _NUMBERS},
        "avail_flags": int(s.no_interrupt),
        "used_flags": int(s.no_notify),
        "read_idx": int(s.read) & _WORD,
        "in_flight": [head for head in every if s.held(head)],
        "next": table(s.next),
        "flags": [_flags(s.has_next(d), s.writes(d), s.indirect(d)) for d in every],
        "addr": table(s.addr),
        "len": table(s.len),
        "data": table(s.data),
        "avail_ring": table(s.avail_ring),
        "used_ring": table(s.used_ring),
        "tables": _tables(s),
        "callbacks": bool(s.wanted),
        "notified": bool(s.notified),
        "irq": bool(s.irq),
        "asleep": bool(s.asleep),
        "live": bool(s.live),
    }


def _flags(has_next: object, writes: object, indirect: object) -> int:
    return _F_NEXT * bool(has_next) | _F_WRITE * bool(writes) | _F_INDIRECT * bool(indirect)


def _tables(s: Moment) -> list[dict[str, Any]]:
    """The indirect tables there have been, in order; a moment that is frozen knows their entries."""
    assert isinstance(s.entry_next, Cells), "moments of a run are frozen"
    entries: dict[int, list[dict[str, int]]] = {}
    for t, at in sorted(s.entry_next.cells):
        entry = {
            "addr": int(s.entry_addr(t, at)),
            "len": int(s.entry_len(t, at)),
            "flags": _flags(s.entry_has_next(t, at), s.entry_writes(t, at), s.entry_indirect(t, at)),
            "next": int(s.entry_next(t, at)),
        }
        entries.setdefault(t, []).append(entry)
    return [
        {"table": t, "allocated": bool(s.allocated(t)), "entries": listed} for t, listed in entries.items()
    ]
