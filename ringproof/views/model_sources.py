"""Which lines of the step-wise model a step is, and which of them a mutant has put in place of others."""

from collections.abc import Iterator
from functools import cache
from inspect import getattr_static
from pathlib import Path
from types import CodeType, FunctionType

from ..model.steps.queue import DEVICE, Steps
from ..proofs.mutants.registry import MUTANTS
from .listing import Statement, listing
from .scene import Source

CREATION = "create"


@cache
def model_sources(action: str, mutant: str) -> tuple[Source, ...]:
    """Where the model has a step of the driver or its handler, then what a mutant changes of it.

    Empty for a step of the device that the mutant leaves alone, and for what is no step. ``mutant`` may be
    unknown.
    """
    name = "initial" if action == CREATION else action
    if name != "initial" and name not in Steps.steps:
        return ()
    found: list[Source] = []
    own = getattr_static(Steps, name, None)
    if isinstance(own, FunctionType) and action not in DEVICE:
        found += _source(own, _statements(own)[:1], seeded=False)
    for changed in _changed(name, mutant):
        found += _source(changed, _body(changed), seeded=True)
    return tuple(found)


def _changed(name: str, mutant: str) -> Iterator[FunctionType]:
    """The mutant's own functions among those that a step is made of."""
    mutation = MUTANTS.get(mutant)
    if mutation is None or not mutation.concerns(Steps):
        return
    model = mutation.model_of(Steps)
    own = [each for each in model.__mro__ if each not in Steps.__mro__]
    for used in _made_of(name, model):
        for each in own:
            function = vars(each).get(used)
            if isinstance(function, FunctionType):
                yield function


def _made_of(name: str, model: type) -> list[str]:
    """A step's name and those of the model's functions that it calls, they call, and so on."""
    reached = [name]
    for each in reached:
        for owner in model.__mro__:
            function = vars(owner).get(each)
            if isinstance(function, FunctionType):
                named = sorted(_names(function.__code__))
                reached += [other for other in named if other not in reached and hasattr(model, other)]
    return reached


def _names(code: CodeType) -> set[str]:
    inner = [_names(const) for const in code.co_consts if isinstance(const, CodeType)]
    return {*code.co_names}.union(*inner)


def _source(function: FunctionType, statements: list[Statement], *, seeded: bool) -> Iterator[Source]:
    file = function.__module__.partition(".")[2].replace(".", "/") + ".py"
    for each in statements:
        yield Source("model", file, each.line, function.__qualname__, each.text, seeded=seeded)


def _statements(function: FunctionType) -> list[Statement]:
    """The statements of a function, its head first; none where there is no source to read."""
    try:
        statements = listing(Path(function.__code__.co_filename)).statements
    except (OSError, SyntaxError):
        return []
    head = statements.get(function.__code__.co_firstlineno)
    if head is None:
        return []
    inside = {each.line: each for each in statements.values() if each.function == head.function}
    return [inside[line] for line in sorted(inside) if line >= head.line]


def _body(function: FunctionType) -> list[Statement]:
    """What a function does: without its head, its docstring and names it only mentions."""
    return [each for each in _statements(function)[1:] if not each.text.startswith(("del ", '"', "'"))]
