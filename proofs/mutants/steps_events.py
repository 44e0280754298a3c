"""The mutants of the step-wise model about kicks, interrupts and indirect tables: one decision changed."""

from .mutation import Mutation

MUTANTS: dict[str, Mutation] = {}
"""Every mutant of the catalogs that is seeded here, by id."""
