"""All claims about code, by name, in the order in which they are listed, and what they rest on."""

from collections.abc import Collection, Mapping, Sequence

from ...model.steps.queue import Steps
from ..machine.virtqueue import MACHINE_REFINEMENTS
from ..theorems import PREMISES
from .c_virtqueue import C_REFINEMENTS
from .refinement import Refinement

_CLAIMS: tuple[tuple[type | None, Collection[Refinement]], ...] = (
    (Steps, C_REFINEMENTS),
    (Steps, MACHINE_REFINEMENTS),
)
"""Claims beside the model whose invariants the code starts from, or none if it starts from anything."""

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
