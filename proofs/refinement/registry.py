"""All claims about code, by name, in the order in which they are listed, and what they rest on."""

from collections.abc import Mapping, Sequence

from ..theorems import PREMISES
from .refinement import Refinement

_CLAIMS: tuple[tuple[type | None, Mapping[str, Refinement]], ...] = ()
"""The claims beside the model whose invariants the code starts from, or none if it starts from anything."""

REFINEMENTS: dict[str, Refinement] = {name: claim for _, claims in _CLAIMS for name, claim in claims.items()}


def refinements() -> Mapping[str, Refinement]:
    """Return all claims about code by name, to whichever process asks."""
    return REFINEMENTS


def premises(names: Sequence[str]) -> tuple[str, ...]:
    """Return the theorems that the named claims rest on: code starts where the invariants hold."""
    models = dict.fromkeys(
        model for model, claims in _CLAIMS if model is not None and any(name in claims for name in names)
    )
    return tuple(dict.fromkeys(theorem for model in models for theorem in PREMISES.get(model, ())))
