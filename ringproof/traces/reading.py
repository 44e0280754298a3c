"""Reading a trace document strictly, part by part: its head, its operations, its states.

The parts are read one at a time so that a document may be longer than memory.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from ..impl.harness.operations import Op
from .itf import TraceState
from .shapes import ShapeReader

OP_LIMITS = (0xFF, 0xFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF)
"""The largest number in each place of an operation."""

UNKNOWN = (1 << 31) - 1
"""Stands for the number of the last state where that is not known yet."""

Head = TypeVar("Head")


class DocumentReader(ShapeReader, Generic[Head]):
    """Takes the plain JSON values of a document of one kind apart; every complaint names the place.

    ``version`` is the newest that it reads, ``replays`` says whether documents of the kind have operations.
    """

    version = 1
    replays = True

    @abstractmethod
    def head(self, meta: Mapping[str, object], last: int) -> Head:
        """What ``#meta`` says beside the operations, as a document without these and without states.

        ``last`` is the number of the last state. Raises TraceError.
        """

    @abstractmethod
    def state(self, value: object, place: str, names: Sequence[str], head: Head) -> TraceState:
        """One state of the variables ``names``. Raises TraceError."""

    def operation(self, value: object, place: str, head: Head, before: Op | None) -> Op:
        """One operation; ``before`` is the one before it. Raises TraceError."""
        del head, before
        numbers = self._list(value, place)
        if len(numbers) != len(OP_LIMITS):
            raise self._fail(place, f"{len(numbers)} numbers where an operation has {len(OP_LIMITS)}")
        return Op(
            *(
                self._integer(number, f"{place}[{at}]", 0, limit)
                for at, (number, limit) in enumerate(zip(numbers, OP_LIMITS, strict=True))
            )
        )

    def parts(self, value: object) -> tuple[Head, tuple[Op, ...], tuple[TraceState, ...]]:
        """Head, operations and states of a whole document. Raises TraceError."""
        try:
            return self._parts(value)
        except RecursionError:
            raise self._fail("", "values are nested too deeply") from None

    def _parts(self, value: object) -> tuple[Head, tuple[Op, ...], tuple[TraceState, ...]]:
        whole, meta = self._own(value, self.version)
        raw = self._list(meta.get("operations"), "#meta.operations") if self.replays else []
        states = self._list(whole.get("states"), "states")
        head = self.head(meta, len(raw) if self.replays else len(states) - 1)
        operations = tuple(self.operations(raw, head))
        names = self._names(whole.get("vars"))
        self.count(len(states), len(operations))
        return (
            head,
            operations,
            tuple(self.state(state, f"states[{at}]", names, head) for at, state in enumerate(states)),
        )

    def operations(self, values: Iterable[object], head: Head) -> Iterator[Op]:
        """Each operation in turn. Raises TraceError."""
        before: Op | None = None
        for at, value in enumerate(values):
            before = self.operation(value, f"#meta.operations[{at}]", head, before)
            yield before

    def count(self, states: int, operations: int) -> None:
        """Raises TraceError unless there are as many states as there should be."""
        if self.replays and states != operations + 1:
            raise self._fail("states", f"{states} states for {operations} operations, not {operations + 1}")
        if not states:
            raise self._fail("states", "there is none")
