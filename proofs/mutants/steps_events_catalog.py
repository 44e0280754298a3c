"""The mutants of single statements of the virtqueue, in words: kicks, interrupts, indirect tables.

They are seeded into the step-wise model alone (``steps_events``), as those of ``steps_catalog`` are.
"""

from .catalog import Mutant

_ALL: tuple[Mutant, ...] = ()

STEPS_EVENTS_CATALOG: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}
"""Every such mutant by id, in the order reports print them."""

NOT_OF_THE_QUEUE: dict[str, str] = {}
"""Rows of the collection about suppression and indirect tables that seed nothing here, and why."""
