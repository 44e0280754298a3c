"""All mutants that some model can express, by id."""

from . import ring
from .mutation import Mutation

MUTANTS: dict[str, Mutation] = {**ring.MUTANTS}
