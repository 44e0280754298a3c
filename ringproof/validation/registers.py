"""The register log, read: what each access of a driver to a legacy or modern device is a step of."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from ..impl.harness.net_operations import Access, Region


class StepKind(Enum):
    """What an access does. ``word`` and ``queue`` of a Step say which, where there are several."""

    STATUS_READ = auto()
    STATUS_WRITE = auto()
    OFFER_READ = auto()  # word: 0 or 1
    ACCEPT_WRITE = auto()  # word
    SIZE_READ = auto()
    SIZE_WRITE = auto()
    ADDRESS_WRITE = auto()  # word: the field's offset; modern
    ENABLE_WRITE = auto()  # modern
    PLACE_WRITE = auto()  # legacy: value is the page frame
    NOTIFY = auto()  # word: the offset in its region
    CONFIG_READ = auto()  # word: the offset in the configuration
    CONFIG_WRITE = auto()
    GENERATION_READ = auto()
    READ_ONLY_WRITE = auto()  # word: the offset
    OTHER = auto()


class Step(NamedTuple):
    """One access: its number, what it does, and its value; ``width`` is in bytes."""

    number: int
    kind: StepKind
    value: int
    width: int
    word: int = 0
    queue: int = 0


_LEGACY_CONFIG = 20
_LEGACY = {
    (False, 0): StepKind.OFFER_READ,
    (True, 4): StepKind.ACCEPT_WRITE,
    (True, 8): StepKind.PLACE_WRITE,
    (False, 12): StepKind.SIZE_READ,
    (True, 16): StepKind.NOTIFY,
    (False, 18): StepKind.STATUS_READ,
    (True, 18): StepKind.STATUS_WRITE,
    (True, 0): StepKind.READ_ONLY_WRITE,
    (True, 12): StepKind.READ_ONLY_WRITE,
    (True, 19): StepKind.READ_ONLY_WRITE,
}
_COMMON = {
    (False, 4): StepKind.OFFER_READ,
    (True, 12): StepKind.ACCEPT_WRITE,
    (False, 20): StepKind.STATUS_READ,
    (True, 20): StepKind.STATUS_WRITE,
    (False, 21): StepKind.GENERATION_READ,
    (False, 24): StepKind.SIZE_READ,
    (True, 24): StepKind.SIZE_WRITE,
    (True, 28): StepKind.ENABLE_WRITE,
    **{(True, offset): StepKind.ADDRESS_WRITE for offset in (32, 36, 40, 44, 48, 52)},
    **{(True, offset): StepKind.READ_ONLY_WRITE for offset in (4, 18, 21, 30)},
}
_OTHER_REGIONS = {
    (False, Region.DEVICE): StepKind.CONFIG_READ,
    (True, Region.DEVICE): StepKind.CONFIG_WRITE,
    (True, Region.NOTIFY): StepKind.NOTIFY,
}


@dataclass(slots=True)
class RegisterLog:
    """Reads accesses one after another; it keeps what was selected. ``count`` is how many there were."""

    count: int = 0
    _queue: int = 0
    _offered: int = 0
    _accepted: int = 0
    _readers: dict[int, Callable[[Access], Step]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._readers = {Region.IO: self._legacy, Region.COMMON: self._common}

    def steps(self, accesses: Iterable[Access]) -> Iterator[Step]:
        """Say of each access what it does."""
        for access in accesses:
            yield self._readers.get(access.region, self._other)(access)
            self.count += 1

    def _legacy(self, access: Access) -> Step:
        write, _, offset, width, value = access
        if offset >= _LEGACY_CONFIG:
            kind = StepKind.CONFIG_WRITE if write else StepKind.CONFIG_READ
            return Step(self.count, kind, value, width, offset - _LEGACY_CONFIG)
        if offset == 14 and write:
            self._queue = value
        kind = _LEGACY.get((write, offset), StepKind.OTHER)
        word = offset if kind is StepKind.READ_ONLY_WRITE else 0
        return Step(self.count, kind, value, width, word, self._queue)

    def _common(self, access: Access) -> Step:
        write, _, offset, width, value = access
        if write:
            if offset == 0:
                self._offered = value
            elif offset == 8:
                self._accepted = value
            elif offset == 22:
                self._queue = value
        kind = _COMMON.get((write, offset), StepKind.OTHER)
        word = offset
        if kind is StepKind.OFFER_READ:
            word = self._offered
        elif kind is StepKind.ACCEPT_WRITE:
            word = self._accepted
        return Step(self.count, kind, value, width, word, self._queue)

    def _other(self, access: Access) -> Step:
        kind = _OTHER_REGIONS.get((access.write, Region(access.region)), StepKind.OTHER)
        return Step(self.count, kind, access.value, access.width, access.offset)
