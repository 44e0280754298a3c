"""The outcome of a part of a campaign: plain data that adds up, whichever process it comes from."""

from dataclasses import dataclass, field

from .failure import Found
from .longrun import Carried
from .pairing import Tally

OUT_OF_TIME = "the time was up"
"""How what was left out for lack of time is told."""


@dataclass(slots=True)
class Outcome:
    """What came of one shard, or of several added up.

    ``operations`` are ring operations, ``seconds`` those of the processes, added up as well; ``tallies`` the
    device's checks by name; ``compared`` and ``given_up`` are the pair's; ``runs`` the long runs
    that came to their end. ``left_out`` says what was not gone through, and why; ``lost`` what of it the tool
    itself is to blame for. ``lives`` are queues created; ``coverage`` the places reached in an instrumented
    driver.
    """

    operations: int = 0
    seconds: float = 0.0
    lives: int = 0
    found: list[Found] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    compared: dict[int, int] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)
    runs: list[Carried] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    coverage: list[int] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Add another outcome to this one; of two things said of one check, the first stays."""
        self.operations += other.operations
        self.seconds += other.seconds
        self.lives += other.lives
        self.found += other.found
        self.runs += other.runs
        self.lost += other.lost
        self.coverage = sorted({*self.coverage, *other.coverage})
        self.left_out += [said for said in other.left_out if said not in self.left_out]
        for name, tally in other.tallies.items():
            self._tally(name, tally)
        for size, count in other.compared.items():
            self.compared[size] = self.compared.get(size, 0) + count
        for size, why in other.given_up.items():
            self.given_up.setdefault(size, why)

    @property
    def whole(self) -> bool:
        """Whether something was gone through, and nothing was left out for lack of time."""
        return bool(self.lives) and not any(OUT_OF_TIME in said for said in self.left_out)

    def failing(self) -> dict[str, Found]:
        """Return each failing check's first failure."""
        first: dict[str, Found] = {}
        for one in self.found:
            first.setdefault(one.failure.check, one)
        return first

    def _tally(self, name: str, other: Tally) -> None:
        mine = self.tallies.get(name)
        if mine is None:
            self.tallies[name] = Tally(other.clause, other.level, other.checked, other.count, other.detail)
            return
        if other.count and not mine.count:
            mine.detail = other.detail  # of the first failure once there is one
        mine.checked += other.checked
        mine.count += other.count
