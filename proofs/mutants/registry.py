"""All mutants that some model can express, by id."""

from . import packet, ring, steps_events, steps_ring, transmit, transport
from .catalog import CATALOG, Mutant
from .frame_catalog import FRAME_CATALOG
from .mutation import Mutation, together
from .steps_catalog import STEPS_CATALOG
from .steps_events_catalog import STEPS_EVENTS_CATALOG

MUTANTS: dict[str, Mutation] = together(
    ring.MUTANTS,
    packet.MUTANTS,
    transmit.MUTANTS,
    transport.MUTANTS,
    steps_ring.MUTANTS,
    steps_events.MUTANTS,
)

STEPS_ONLY: dict[str, Mutant] = {**STEPS_CATALOG, **STEPS_EVENTS_CATALOG}
"""What is seeded into the step-wise model alone: no run of the reference or of the C driver shows it."""

DESCRIBED: dict[str, Mutant] = {**CATALOG, **FRAME_CATALOG, **STEPS_ONLY}
"""What each mutant is, in words: those of the virtqueue, of the rest of the driver, of single statements."""


def described(mutant: str) -> Mutant:
    """Return a mutant's description. Raises KeyError for an id that is no mutant's."""
    return DESCRIBED[mutant]
