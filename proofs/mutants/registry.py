"""All mutants that some model can express, by id."""

from . import (
    packet,
    ring,
    steps_catalog,
    steps_events,
    steps_events_catalog,
    steps_ring,
    transmit,
    transport,
)
from .catalog import CATALOG, Mutant
from .frame_catalog import FRAME_CATALOG
from .mutation import Mutation, together

MUTANTS: dict[str, Mutation] = together(
    ring.MUTANTS,
    packet.MUTANTS,
    transmit.MUTANTS,
    transport.MUTANTS,
    steps_ring.MUTANTS,
    steps_events.MUTANTS,
)

STEPS_ONLY: dict[str, Mutant] = {**steps_catalog.STEPS_CATALOG, **steps_events_catalog.STEPS_EVENTS_CATALOG}
"""What is seeded into a model of the proofs alone: no run of the reference or of the C driver shows it."""

NOT_OF_THE_QUEUE: dict[str, str] = {
    **steps_catalog.NOT_OF_THE_QUEUE,
    **steps_events_catalog.NOT_OF_THE_QUEUE,
}
"""Defects of real drivers that are seeded nowhere, and why: not what the virtqueue of Linux 3.11 does."""

DESCRIBED: dict[str, Mutant] = {**CATALOG, **FRAME_CATALOG, **STEPS_ONLY}
"""What each mutant is, in words: those of the virtqueue, of the rest of the driver, of single statements."""


def described(mutant: str) -> Mutant:
    """Return a mutant's description. Raises KeyError for an id that is no mutant's."""
    return DESCRIBED[mutant]
