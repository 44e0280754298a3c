"""What the head of an emitted test says of its trace."""

from ..journey.document import NetTrace
from ..traces.document import TraceDocument


def story(document: TraceDocument | NetTrace) -> list[str]:
    """Paragraphs: what the trace is, what it breaks, and by which clause."""
    told = [f"Made by ringproof from a trace: {document.description or document.property or 'a run'}."]
    if document.property:
        clause = document.extra.get("clause")
        by = f" ({clause})" if isinstance(clause, str) and clause else ""
        conjunct = document.extra.get("conjunct")
        part = f", part {conjunct}" if isinstance(conjunct, str) and conjunct else ""
        told.append(f"It breaks {document.property}{part}{by}: {document.violated}")
    return told


def by_meaning(document: TraceDocument | NetTrace) -> bool:
    """Whether the run was judged by what it means, whatever bytes the driver declares."""
    return document.extra.get("compared") == "by meaning"


def number_of_step(document: TraceDocument | NetTrace) -> int:
    """The operation that broke it, from 0: the last unless the document says."""
    step = document.extra.get("step")
    last = len(document.operations) - 1
    return step if isinstance(step, int) and not isinstance(step, bool) else last
