"""A mutant as the proofs see it: a model with one decision changed, and what that breaks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A mutated model, a subclass of a theorem's subject, and the names of the theorems it breaks."""

    model: type
    kills: frozenset[str]

    def concerns(self, subject: type) -> bool:
        """Tell whether it is a mutation of this subject."""
        return issubclass(self.model, subject)


def breaks(model: type, *kills: str) -> Mutation:
    """Return the mutation that breaks the theorems of these names."""
    return Mutation(model, frozenset(kills))
