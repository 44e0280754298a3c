"""The memory that a front-end shares: which guest addresses there are."""

from collections.abc import Iterable


class MappedMemory:
    """Regions, each (guest address, bytes); those that follow each other without a gap count as one."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int]] = []
        self._last = (0, 0)  # the run found last: most accesses stay in one

    def replace(self, regions: Iterable[tuple[int, int]]) -> None:
        """What is shared from now on."""
        runs: list[tuple[int, int]] = []
        for address, size in sorted(regions):
            if not size:
                continue
            if runs and runs[-1][1] >= address:
                runs[-1] = (runs[-1][0], max(runs[-1][1], address + size))
            else:
                runs.append((address, address + size))
        self._runs = runs
        self._last = (0, 0)

    def covers(self, address: int, size: int) -> bool:
        """Whether all of ``size`` bytes from ``address`` on are there; of no bytes, the address alone."""
        end = address + (size or 1)
        if self._last[0] <= address and end <= self._last[1]:
            return True
        for begins, ends in self._runs:
            if begins <= address and end <= ends:
                self._last = begins, ends
                return True
        return False
