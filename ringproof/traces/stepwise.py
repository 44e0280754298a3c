"""Runs of the step-wise model of the proofs, for defects that no driver here carries.

What is shown is the model at work, statement by statement; nothing replays it on an implementation.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.steps.queue import Steps
from ..proofs.mutants.registry import DESCRIBED, MUTANTS
from ..proofs.search.steps_runs import Run, claimed, find, watch
from ..proofs.search.steps_told import said, steps, told
from ..proofs.theorem import Theorem
from ..proofs.theorems import THEOREMS
from . import itf

NOT_REPLAYED = "a run of the step-wise model, not replayed on an implementation"


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

    def lines(self) -> list[str]:
        """The run on the terminal: what the defect is, the queue, a line for each step, and what broke."""
        mutant = DESCRIBED[self.mutant]
        theorems = {theorem.name: theorem for theorem, _ in self.broken()}
        return [
            f"{self.mutant}: {mutant.title}",
            f"  {mutant.change}",
            f"  {NOT_REPLAYED}",
            "",
            *told(self.run),
            "",
            *(f"! {name}: {theorem.title}" for name, theorem in theorems.items()),
        ]

    def document(self) -> dict[str, Any]:
        """The run as plain JSON values."""
        queue, past = self.run.queue, self.run.past
        return {
            "id": self.mutant,
            "title": DESCRIBED[self.mutant].title,
            "model": "step-wise",
            "replayed": False,
            "setting": {
                "queue_size": int(queue.queue_size),
                "profile": "virtio-1.x" if queue.mended else "linux-3.11",
                "event_idx": bool(queue.event_idx),
                "indirect_desc": bool(queue.indirect_desc),
            },
            "before": {"kicked": past.kicked, "quiet": past.quiet},
            "steps": [step._asdict() for step in steps(self.run)],
            "broken": [
                {"theorem": theorem.name, "title": theorem.title, "sentence": sentence}
                for theorem, sentence in self.broken()
            ],
        }

    def text(self) -> str:
        """The document as it is printed and written."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: Path) -> None:
        """Write the document to ``path``, whole or not at all. Raises TraceError when that cannot be."""
        itf.save(self.text(), path)


def make_steps_trace(mutant: str) -> StepsTrace | None:
    """A run of the mutated step-wise model that breaks a theorem, made short; none if none was found.

    Raises LookupError for a mutant that is not seeded there.
    """
    run = find(MUTANTS[mutant].model_of(Steps), watch(*broken_theorems(mutant)))
    return None if run is None else StepsTrace(mutant, run)


def _entry(entry: object) -> str:
    return entry if isinstance(entry, str) else str(getattr(entry, "label", ""))
