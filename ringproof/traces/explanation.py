"""The explanation of a violation: its parts, from where on it had to happen, what would have gone well.

It stands in a document's further entries as ``explanation``, each of its entries left out if it was not or
could not be found out:

- ``parts``: every part of the violated property at the step that broke it, ``name`` and ``words``, whether it
  ``holds``, and if not the ``sentence`` with the numbers. ``key`` marks a smallest set of parts that fails:
  smallest in number, and as a property is the conjunction of its parts, one part that fails is such a set. Of
  several the one is taken that the document names.
- ``unavoidable``: the first ``step`` after which every way on that was tried ends in the violation, and in
  ``words`` what was tried (:mod:`.unavoidable`).
- ``variant``: the nearest run that passes (:mod:`.variant`): the ``step`` whose choice is changed, 0 for the
  queue's, ``words`` for how, and its ``operations``.

Everything is bounded by counts, not by time, so that the same document is explained alike anywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from ..impl.harness.operations import Code, Op, askable
from ..impl.harness.reference_runner import QueueConfig
from ..patching import load_reference_mutant
from .document import TraceDocument
from .entries import Part
from .exploration import Allowance, Explorer, Spent
from .ledger import Breach
from .properties import PARTS
from .unavoidable import unavoidable
from .variant import LONG_ROUNDS, nearest

__all__ = ["Attempt", "Part", "explained", "parts_of"]

Attempt = Callable[[QueueConfig, list[Op]], object | None]
"""Runs operations on a new queue of the accused driver: what fails first, None if nothing does."""

_MOST_STEPS = 4_000  # of the accused reference: about a quarter of a second
_MOST_VARIANTS = 250  # runs of the accused reference
_MOST_ATTEMPTS = 60  # runs of a driver
_LONGEST = 12  # operations of a driver's run that is varied
_STOPPED = "goes-on"


def explained(
    document: TraceDocument,
    attempt: Attempt | None = None,
    *,
    parts: Sequence[Part] = (),
    most: int = _MOST_ATTEMPTS,
) -> TraceDocument:
    """The document with what can be said about its violation, or as it is if nothing can.

    A document with a mutant is explained on the reference that carries it, whose steps can be taken back. For
    a driver's, ``attempt`` runs the driver, at most ``most`` times and only on behalf of short runs; it tells
    the variant, and ``parts`` are the checks as its device saw them. Raises UnknownMutant, PatchError.
    """
    if document.alone():
        told: dict[str, Any] = {}
    elif document.mutant is not None:
        told = _on_the_reference(document, load_reference_mutant(document.mutant))
    elif attempt is not None:
        told = _on_the_driver(document, attempt, most)
    else:
        told = {}
    if parts:
        told = {"parts": [part.to_json() for part in parts], **told}
    if not told:
        return document
    return replace(document, extra={**document.extra, "explanation": told})


def parts_of(property: str, conjunct: str, breaches: Sequence[Breach]) -> tuple[Part, ...]:
    """Every part of a property, given what one step broke; ``conjunct`` is preferred as the key.

    Where driver or device stopped no part is known to be broken by name: that the run goes on is then a part
    of its own. A property that nobody knows has no parts.
    """
    sentences: dict[str, str] = {}
    for breach in breaches:
        if breach.property == property:
            sentences.setdefault(breach.conjunct or _STOPPED, breach.sentence)
    words = dict(PARTS.get(property, {}))
    if _STOPPED in sentences:
        words[_STOPPED] = "driver and device can go on"
    failing = [name for name in words if name in sentences]
    key = conjunct if conjunct in failing else next(iter(failing), "")
    return tuple(
        Part(name, said, name not in sentences, sentences.get(name, ""), name == key)
        for name, said in words.items()
    )


def _on_the_reference(document: TraceDocument, reference: ModuleType) -> dict[str, Any]:
    named = document.extra.get("conjunct", "")
    conjunct = named if isinstance(named, str) else ""
    explorer = Explorer(document.config, reference, Allowance(_MOST_STEPS))
    try:
        found = explorer.run(document.operations)
    except Spent:
        return {}
    broken = next((number for number, breach in found if breach.of(document.property, conjunct)), None)
    if broken is None:
        return {}
    parts = parts_of(document.property, conjunct, [breach for number, breach in found if number == broken])
    told: dict[str, Any] = {"parts": [part.to_json() for part in parts]}
    key = next((part.name for part in parts if part.key and part.name != _STOPPED), conjunct)
    forced = unavoidable(explorer, document.operations, document.property, key, broken + 1)
    if forced is not None:
        told["unavoidable"] = {"step": forced.step, "words": forced.words}

    def passes(config: QueueConfig, ops: list[Op]) -> bool:
        return Explorer(config, reference, Allowance(_MOST_STEPS)).clean(ops)

    return told | _variant(document, broken + 1, passes, _MOST_VARIANTS)


def _on_the_driver(document: TraceDocument, attempt: Attempt, most: int) -> dict[str, Any]:
    step = document.extra.get("step")
    if len(document.operations) > _LONGEST or not isinstance(step, int) or step < 0:
        return {}
    if any(op.code == Code.ROUNDS and op.a >= LONG_ROUNDS for op in document.operations):
        return {}  # sixty times over they would take longer than the explanation is worth

    def passes(config: QueueConfig, ops: list[Op]) -> bool:
        # What a driver has lost shows when it is asked for the whole queue.
        whole = [*ops, Op(Code.ADD, a=config.queue_size)]
        return attempt(config, whole if askable(whole) else ops) is None

    return _variant(document, step + 1, passes, most)


def _variant(
    document: TraceDocument, broken: int, passes: Callable[[QueueConfig, list[Op]], bool], most: int
) -> dict[str, Any]:
    variant = nearest(document.config, document.operations, broken, passes, most)
    if variant is None:
        return {}
    operations = [list(op) for op in variant.operations]
    return {"variant": {"step": variant.step, "words": variant.words, "operations": operations}}
