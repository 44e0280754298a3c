"""Where an access goes: every value its address can have, each in a region that allows it, or a finding."""

from __future__ import annotations

import z3

from .errors import TooMany
from .findings import Findings
from .flat import Region
from .oracle import Oracle
from .spans import Spans
from .state import Access, State
from .words import Flag, Word, any_of, equal, no, simple


class Addressing:
    """Resolves addresses. One that may have more than ``most`` values raises TooMany: none is left out."""

    def __init__(self, oracle: Oracle, findings: Findings, most: int) -> None:
        self._oracle = oracle
        self._findings = findings
        self.most = most
        self._spans = Spans()

    def resolved(
        self, state: State, address: Word, size: int, letter: str, place: str
    ) -> list[tuple[State, Access]]:
        """Return the states in which the access lies in one region each; record those where it does not.

        ``letter`` is the permission needed. Raises Over if the address depends on what was never written.
        """
        if not isinstance(address, int):
            address = simple(address)
        self._findings.initialised(state, address, "an address", place)
        state, values = self._values(state, address, size, letter, place)
        groups: dict[Region, list[int]] = {}
        bad = []
        for value in values:
            region = state.memory.region(value, size)
            if region is None or letter not in region.permissions:
                bad.append(value)
            else:
                groups.setdefault(region, []).append(value)
        if bad:
            self._refuse(state, bad[0], size, letter, place, _one(address, bad))
        found = []
        for region, inside in groups.items():
            here = state.fork(_one(address, inside)) if bad or len(groups) > 1 else state
            at = inside[0] if len(inside) == 1 else address
            found.append((here, Access(region, at, tuple(inside), size, place)))
        return found

    def _values(
        self, state: State, address: Word, size: int, letter: str, place: str
    ) -> tuple[State, list[int]]:
        """Return the values; where they are many, those outside of all regions are first reported as one.

        Values that a path keeps an address from do no harm where an access would be allowed: what is then
        loaded or stored is chosen by the address. So the solver is only asked where the shape of the address
        does not tell, or tells of a value where nothing may be accessed.
        """
        if not isinstance(address, int):
            span = self._spans.of(address)
            if span is not None and len(span) <= self.most:
                regions = {state.memory.region(value, size) for value in span}
                if len(regions) == 1 and all(each and letter in each.permissions for each in regions):
                    return state, sorted(span)
        try:
            return state, self._oracle.values(address, state.path, self.most)
        except TooMany:
            inside = any_of(
                *(
                    z3.And(z3.UGE(address, region.address), z3.ULE(address, region.end - size))
                    for region in state.memory.regions
                    if region.size >= size
                )
            )
            model = self._oracle.model(state.path, no(inside))
            if model is None:
                raise TooMany(f"an address may have more than {self.most} values, at {place}") from None
            example = model.eval(address, model_completion=True).as_long()
            self._refuse(state, example, size, letter, place, no(inside))
            state = state.fork(inside)
            return state, self._oracle.values(address, state.path, self.most)

    def _refuse(self, state: State, value: int, size: int, letter: str, place: str, condition: Flag) -> None:
        access = f"{'reads' if letter == 'r' else 'writes'} {size} bytes"
        region = state.memory.region(value, size)
        if region is not None:
            self._findings.report(state, "permission", f"{access} in {region.name}", place, condition)
            return
        near = [each for each in state.memory.regions if each.address - 64 <= value < each.end + 64]
        where = f"offset {value - near[0].address} of {near[0].name}" if near else f"{value:#x}"
        kind = "null" if value < 4096 else "wild"
        self._findings.report(state, kind, f"{access} at {where}, where nothing is", place, condition)


def _one(address: Word, values: list[int]) -> Flag:
    return any_of(*(equal(address, value, 64) for value in values))
