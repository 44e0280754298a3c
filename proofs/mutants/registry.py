"""All mutants that some model can express, by id."""

from . import packet, ring, transmit, transport
from .catalog import CATALOG, Mutant
from .frame_catalog import FRAME_CATALOG
from .mutation import Mutation

MUTANTS: dict[str, Mutation] = {
    **ring.MUTANTS,
    **packet.MUTANTS,
    **transmit.MUTANTS,
    **transport.MUTANTS,
}

DESCRIBED: dict[str, Mutant] = {**CATALOG, **FRAME_CATALOG}
"""What each mutant is, in words: those of the virtqueue, then those of the rest of the driver."""


def described(mutant: str) -> Mutant:
    """Return a mutant's description. Raises KeyError for an id that is no mutant's."""
    return DESCRIBED[mutant]
