"""All claims about code, by name, in the order in which they are listed, and what they rest on."""

from collections.abc import Collection, Mapping, Sequence

from ...model.steps.queue import Steps
from ..machine.virtqueue import MACHINE_REFINEMENTS
from ..theorems import PREMISES
from .c_hostile import HOSTILE_REFINEMENTS
from .c_lifetime import LIFETIME_REFINEMENTS
from .c_virtqueue import C_REFINEMENTS
from .mapping_refinements import PACKET_REFINEMENTS
from .reference_virtqueue import REFERENCE_REFINEMENTS
from .refinement import Refinement
from .transmit_refinements import TRANSMIT_REFINEMENTS

_CLAIMS: tuple[tuple[type | None, Collection[Refinement]], ...] = (
    (Steps, REFERENCE_REFINEMENTS),
    (Steps, C_REFINEMENTS),
    (Steps, LIFETIME_REFINEMENTS),
    (None, HOSTILE_REFINEMENTS),
    (None, PACKET_REFINEMENTS),
    (None, TRANSMIT_REFINEMENTS),
    (Steps, MACHINE_REFINEMENTS),
)
"""Claims beside the model whose theorems say what the code starts from, or none if nothing else needs to."""

REFINEMENTS: dict[str, Refinement] = {claim.name: claim for _, claims in _CLAIMS for claim in claims}


def refinements() -> Mapping[str, Refinement]:
    """Return all claims about code by name, to whichever process asks."""
    return REFINEMENTS


def premises(names: Sequence[str]) -> tuple[str, ...]:
    """Return the theorems that the named claims rest on: code starts where the invariants hold."""
    models = dict.fromkeys(
        model for model, claims in _CLAIMS if model and any(claim.name in names for claim in claims)
    )
    return tuple(dict.fromkeys(theorem for model in models for theorem in PREMISES.get(model, ())))
