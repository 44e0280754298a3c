"""All claims about code, by name, in the order in which they are listed."""

from collections.abc import Mapping

from .refinement import Refinement

REFINEMENTS: dict[str, Refinement] = {}


def refinements() -> Mapping[str, Refinement]:
    """Return all claims about code by name, to whichever process asks."""
    return REFINEMENTS
