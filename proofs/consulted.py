"""Which methods of a model the questions of a group consult: only a mutant of one of these can change them.

Building all questions of all theorems for each mutant takes minutes, and nearly all of them come out as they
were. A question is made by calling methods of the model; so one built for a mutant is another only if some
method called on the way is one that the mutant overrides.
"""

from functools import cache
from typing import Any

from .theorem import Stage, every_size
from .theorems import THEOREMS

_NO_METHODS = frozenset(
    {
        "__module__", "__qualname__", "__doc__", "__annotations__", "__dict__", "__weakref__",
        "__firstlineno__", "__static_attributes__",
    }
)  # fmt: skip


def may_change(model: type, subject: type, group: str) -> bool:
    """Tell whether a mutant of the subject may have other questions of this group than the subject itself."""
    overridden = {
        name for each in model.__mro__ if not issubclass(subject, each) for name in vars(each)
    } - _NO_METHODS
    special = any(name.startswith("__") for name in overridden)
    return special or bool(overridden & consulted(subject, group))


@cache
def consulted(subject: type, group: str) -> frozenset[str]:
    """Return the names of all that is looked up in the model while the group's questions are built."""
    heard: set[str] = set()

    class Heard(subject):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            heard.add(name)
            return super().__getattribute__(name)

    stage = every_size(Heard) if getattr(subject, "takes_size", False) else Stage(Heard())
    for theorem in THEOREMS.values():
        if theorem.subject is subject:
            for obligation in theorem.obligations:
                if obligation.group == group:
                    obligation.build(stage)
    return frozenset(heard)
