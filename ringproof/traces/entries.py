"""Further entries of ``#meta`` whose form is fixed: what several tools write beside a run and rely on.

Every one is optional. Entries of other names are kept as they are, whatever they hold.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .itf import ItfReader

_OP_LENGTH = 6
_LARGEST = 0xFFFF_FFFF
_WIDEST = (1 << 64) - 1
_MOST_STEPS = 1 << 31


@dataclass(frozen=True, slots=True)
class Part:
    """One conjunct of the broken property: whether it held at the step that broke it.

    ``sentence`` says with numbers how it failed; ``key`` that it is of the smallest set that fails.
    """

    name: str
    words: str
    holds: bool
    sentence: str = ""
    key: bool = False

    def to_json(self) -> dict[str, Any]:
        """The part as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ToldStep:
    """A step that an explanation names by its number, as states are numbered, and what it says of it."""

    step: int
    words: str


@dataclass(frozen=True, slots=True)
class Told:
    """The entry ``explanation``; what was not found out is empty or None.

    After ``unavoidable`` nothing that was tried avoids the violation; the choice of step ``variant``,
    changed as its words say, lets the run pass.
    """

    parts: tuple[Part, ...] = ()
    unavoidable: ToldStep | None = None
    variant: ToldStep | None = None


class EntriesReader(ItfReader):
    """Reads the further entries of ``#meta`` that have a fixed form."""

    def _extra(self, meta: Mapping[str, object], own: frozenset[str], last: int) -> dict[str, Any]:
        """Every entry that is not the document's own, kept as it is.

        ``last`` is the number of the last state. Raises TraceError where one has not its form.
        """
        known = self.entries(last)
        extra = {name: item for name, item in meta.items() if name not in own}
        for name, item in extra.items():
            if name in known:
                known[name](item, f"#meta.{name}")
        return extra

    def entries(self, last: int) -> dict[str, Callable[[object, str], object]]:
        """What reads each entry of a fixed form, given its value and place, by the entry's name."""
        return {
            **dict.fromkeys(("conjunct", "not_replayed", "driver", "check", "clause"), self._text),
            **dict.fromkeys(("compared", "injection", "origin"), self._text),
            "alone": self._truth,
            "step": lambda value, place: self._integer(value, place, -1, _MOST_STEPS),
            "other_features": self._other_features,
            "explanation": lambda value, place: self.told(value, place, last),
        }

    def told(self, value: object, place: str, last: int) -> Told:
        """The entry ``explanation``. Raises TraceError naming the place in it."""
        record = self._record(value, place, "an object")
        parts, variant = record.get("parts", []), record.get("variant")
        where = f"{place}.parts"
        found = [self._part(part, f"{where}[{at}]") for at, part in enumerate(self._list(parts, where))]
        if isinstance(variant, dict):
            self._variant_operations(variant.get("operations", []), f"{place}.variant.operations")
        return Told(
            tuple(found),
            self._step(record, "unavoidable", place, last),
            self._step(record, "variant", place, last),
        )

    def _part(self, value: object, place: str) -> Part:
        part = self._record(value, place, "an object")
        return Part(
            self._text(part.get("name"), f"{place}.name"),
            self._text(part.get("words"), f"{place}.words"),
            self._truth(part.get("holds"), f"{place}.holds"),
            self._text(part.get("sentence", ""), f"{place}.sentence"),
            self._truth(part.get("key", False), f"{place}.key"),
        )

    def _step(self, record: Mapping[str, object], name: str, place: str, last: int) -> ToldStep | None:
        if name not in record:
            return None
        where = f"{place}.{name}"
        told = self._record(record[name], where, "an object")
        return ToldStep(
            self._integer(told.get("step"), f"{where}.step", 0, last),
            self._text(told.get("words"), f"{where}.words"),
        )

    def _variant_operations(self, value: object, place: str) -> None:
        for at, op in enumerate(self._list(value, place)):
            numbers = self._list(op, f"{place}[{at}]")
            if len(numbers) != _OP_LENGTH:
                raise self._fail(
                    f"{place}[{at}]", f"{len(numbers)} numbers where an operation has {_OP_LENGTH}"
                )
            for index, number in enumerate(numbers):
                self._integer(number, f"{place}[{at}][{index}]", 0, _LARGEST)

    def _other_features(self, value: object, place: str) -> None:
        masks = self._list(value, place)
        if len(masks) != 2:
            raise self._fail(place, f"{len(masks)} numbers where there should be two")
        for at, mask in enumerate(masks):
            self._integer(mask, f"{place}[{at}]", 0, _WIDEST)
