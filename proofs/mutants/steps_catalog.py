"""The mutants of single statements of the virtqueue, in words: descriptors, tables, rings, tokens, loops.

They are seeded into the step-wise model alone (``steps_ring``): neither the reference nor the C driver has a
patch of theirs. Ids are of the same kind as in ``catalog``.
"""

from .catalog import Mutant

_ALL: tuple[Mutant, ...] = ()

STEPS_CATALOG: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}
"""Every such mutant by id, in the order reports print them."""

NOT_OF_THE_QUEUE: dict[str, str] = {}
"""Rows of the collection about free lists and rings that seed nothing here, and why."""
