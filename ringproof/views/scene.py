"""The scene: what every view shows of a trace, whatever made it.

A view draws a scene and knows nothing of kinds of documents. Steps are numbered as states are: 0 is the
creation, step n the n-th operation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..traces.entries import Part
from ..traces.wording import Change

__all__ = ["Explanation", "Lane", "Part", "Scene", "Source", "Step"]

Lane = Literal["init", "driver", "device", "both"]


@dataclass(frozen=True, slots=True)
class Source:
    """A line of code that took part in a step.

    ``side`` is "reference" or "c", or "model" for the step-wise model of the proofs. ``file`` is relative to
    the distribution, ``line`` from 1 in the file as shipped, ``text`` the statement on one line without
    indentation, of a compound one its head. ``variables`` are the variables of the state that it changed,
    none if it is only where the step's function begins. ``seeded`` says that the mutant put the line there,
    changed it or took out what stood before it; ``line`` is then where the mutant's patch changes the file.
    """

    side: str
    file: str
    line: int
    function: str
    text: str
    variables: tuple[str, ...] = ()
    seeded: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step: who acted, what in words, what came of it, and what it changed.

    ``differences`` says where a driver's results part from the reference's. ``values`` are the variables of
    the state after the step, by name.
    """

    number: int
    lane: Lane
    action: str
    words: str
    outcome: str
    changes: tuple[Change, ...]
    values: Mapping[str, Any]
    differences: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why it broke: the property's parts, from where on it had to, and what would have gone well.

    ``unavoidable_from`` is the number of the first step after which every way on that was tried ends in the
    violation, ``unavoidable_words`` says what was tried; None when it was not or could not be found out.
    ``variant_step`` is the step whose choice, changed as ``variant_words`` says, lets the run pass.
    """

    parts: tuple[Part, ...] = ()
    unavoidable_from: int | None = None
    unavoidable_words: str = ""
    variant_step: int | None = None
    variant_words: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole trace, ready to be drawn.

    ``kind`` is the document's: search, validate, network, steps. ``setting`` describes the queue or device
    in words, ``standing`` says whether and on what it was replayed. ``broken`` is the number of the step that
    breaks ``property`` (and in it the part ``conjunct``, "" if the property has none), None when nothing
    does; ``violated`` is one sentence with the numbers and ``marked`` the variables it is about.
    ``queue_size`` is 0 when there is no single queue. ``clause`` is the clause of VIRTIO that is broken, ""
    if none is named.

    Of a very long trace the steps may be a window, which ``window`` then says in words ("" otherwise): their
    numbers go up by 1 but do not begin at 0, so look a step up by its number with :meth:`at`; the first
    is ``steps[0].number``. ``broken`` and the steps of the explanation may lie outside.
    """

    kind: str
    title: str
    setting: str
    standing: str
    property: str
    conjunct: str
    violated: str
    clause: str
    broken: int | None
    marked: frozenset[str]
    queue_size: int
    steps: Sequence[Step]
    explanation: Explanation = field(default_factory=Explanation)
    window: str = ""

    def what_broke(self) -> str:
        """The property, and the part of it if it has any: "indices-faithful, part avail_idx"."""
        return f"{self.property}, part {self.conjunct}" if self.conjunct else self.property

    def at(self, number: int) -> Step:
        """The step of that number. Raises IndexError if the scene does not show it."""
        place = number - self.steps[0].number
        if place < 0:
            raise IndexError(number)
        return self.steps[place]
