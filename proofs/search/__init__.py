"""Bounded search for counterexamples on the unrolled model: shortest first, smallest values first."""

from .counterexample import Counterexample, Found, NotFound, Rounds, Step, Unknown
from .deepening import search
from .portfolio import find_trace
from .properties import PROPERTIES

__all__ = [
    "PROPERTIES",
    "Counterexample",
    "Found",
    "NotFound",
    "Rounds",
    "Step",
    "Unknown",
    "find_trace",
    "search",
]
