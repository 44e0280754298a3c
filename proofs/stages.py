"""The stages that obligations are built on, and the questions built there, each made once in a process."""

import functools

from .theorem import Obligation, Query, Stage, every_size, one_size

_stages: dict[tuple[int | None, type], Stage] = {}


def stage(model: type, queue_size: int | None = None) -> Stage:
    """Return the stage of a model; of one that takes a size, at that queue size, or at all if it is none."""
    key = (queue_size, model)
    if key not in _stages:
        if not getattr(model, "takes_size", False):
            _stages[key] = Stage(model())
        else:
            _stages[key] = every_size(model) if queue_size is None else one_size(queue_size, model)
    return _stages[key]


@functools.lru_cache(maxsize=8192)
def question(obligation: Obligation, model: type) -> Query:
    """Return what an obligation asks of a model, at every queue size if it takes one."""
    return obligation.build(stage(model))
