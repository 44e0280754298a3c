"""A mutant as the proofs see it: models with one decision changed, and what that breaks."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """The mutated models, each a subclass of a theorem's subject, and the names of the theorems they break.

    A defect may be seeded into several models, but only once into each.
    """

    models: tuple[type, ...]
    kills: frozenset[str]

    @property
    def model(self) -> type:
        """The model it was seeded into first, or alone."""
        return self.models[0]

    def concerns(self, subject: type) -> bool:
        """Tell whether it is a mutation of this subject."""
        return any(issubclass(model, subject) for model in self.models)

    def model_of(self, subject: type) -> type:
        """Return the mutated model of this subject. Raises LookupError if it is not seeded there."""
        for model in self.models:
            if issubclass(model, subject):
                return model
        raise LookupError(f"no mutation of {subject.__name__}")


def breaks(model: type, *kills: str) -> Mutation:
    """Return the mutation that breaks the theorems of these names."""
    return Mutation((model,), frozenset(kills))


def together(*seeded: Mapping[str, Mutation]) -> dict[str, Mutation]:
    """Return the mutants of several models by id; one that is in several of them breaks what each breaks."""
    found: dict[str, Mutation] = {}
    for mutants in seeded:
        for name, mutation in mutants.items():
            known = found.get(name)
            found[name] = (
                mutation
                if known is None
                else Mutation((*known.models, *mutation.models), known.kills | mutation.kills)
            )
    return found
