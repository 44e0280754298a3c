"""The entries of scatterlist.c: the table they stand in, and what is done to one of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from ...model.scatterlist import MAX_SKB_FRAGS, PAGE
from ..discharge import ObligationResult
from ..symbolic.environment import Environment
from ..symbolic.execution import Outcome, covered, execute
from ..symbolic.ir import Module
from ..symbolic.memory import table, typed_object
from ..symbolic.state import State
from ..symbolic.values import Object, Pointer
from .deciding import Question, decide
from .header_numbers import value_of
from .mapping_objects import module_of, names_of, owed, struct_object, struct_of
from .mapping_walk import ADDRESS, WORD
from .refinement import Code

SOURCE = "scatterlist.c"
FUNCTIONS = ("rp_sg_set", "rp_sg_mark_end", "rp_sg_init", "rp_sg_count", "rp_sg_read")
ENTRIES = 2 + MAX_SKB_FRAGS
"""Of a transmit queue's table: the header, the linear part, and the most fragments."""


@dataclass
class Table:
    """A table of entries with anything in them: ``count`` are there, ``most`` are looked at."""

    made: Object
    most: int

    @property
    def known(self) -> Iterator[z3.BoolRef]:
        """Ranges of what the entries held before."""
        for number in range(self.most):
            for field in self.made.fields:
                cell = self.before(field.name, number)
                yield z3.And(cell >= 0, cell < 1 << 8 * field.bytes)

    def before(self, field: str, number: int) -> Any:
        """What an entry held before."""
        return z3.Int(f"sg{number}.{field}")

    def put(self, state: State) -> Pointer:
        """Put the table into memory."""
        return state.add(
            self.made, lambda name: table([self.before(name, number) for number in range(self.most)])
        )

    def holds(self, state: State, number: int, address: Any, length: Any, marked: Any) -> Any:
        """Whether an entry names these bytes, with a mark or without: so that rp_sg_read finds them."""
        held = (state.read(self.made, name)(number) for name in ("page_link", "offset", "length"))
        right = (address - address % PAGE + z3.If(marked, 2, 0), address % PAGE, length)
        return z3.And([one == other for one, other in zip(held, right, strict=True)])

    def address(self, state: State, number: int) -> Any:
        """Where the segment of an entry begins."""
        link = state.read(self.made, "page_link")(number)
        return link - link % PAGE + state.read(self.made, "offset")(number)

    def length(self, state: State, number: int) -> Any:
        """Bytes of the segment of an entry."""
        return state.read(self.made, "length")(number)

    def is_marked(self, state: State, number: int) -> Any:
        """Whether an entry carries the end mark, bit 1."""
        link = state.read(self.made, "page_link")(number)
        return z3.BoolVal(link // 2 % 2 == 1) if isinstance(link, int) else link / 2 % 2 == 1

    def was_marked(self, number: int) -> Any:
        """Whether it did before."""
        return self.before("page_link", number) / 2 % 2 == 1

    def is_unchanged(self, state: State, number: int) -> Any:
        """Whether an entry holds what it held before."""
        same = [
            state.read(self.made, field.name)(number) == self.before(field.name, number)
            for field in self.made.fields
        ]
        return z3.And(same)


def table_of(module: Module, most: int, count: Any) -> Table:
    """Return a table of ``count`` entries, the first ``most`` of which are looked at."""
    entry = struct_of(module, "struct.rp_sg")
    return Table(typed_object("sg", entry, count=count, names=names_of("struct.rp_sg")), most)


def whole(name: str, state: State, outcomes: Sequence[Outcome], show: Any) -> Iterator[Question]:
    """Yield that there is such a start, and that the ways followed are all there are."""
    solver = z3.Solver()
    solver.add(*state.facts)
    yield Question(f"{name}: there are such inputs", (), solver.check() == z3.sat)
    yield Question(
        f"{name}: every input takes a way that was followed", state.facts, covered(outcomes), (), show
    )


def check(code: Code) -> list[ObligationResult]:
    """Compare what is done to single entries of a table, and how they are counted and read."""
    module = module_of(code.c, SOURCE)
    return [decide(question, finite=True) for question in _questions(module)]


def _questions(module: Module) -> Iterator[Question]:
    address, length = z3.Int("address"), z3.Int("length")
    one, all_ = table_of(module, 1, 1), table_of(module, ENTRIES, ENTRIES)
    segment = struct_object(module, "struct.rp_vq_segment", "segment")
    known = (address >= 0, address < ADDRESS, length >= 0, length < WORD)

    def show(found: z3.ModelRef) -> dict[str, Any]:
        return {str(each): value_of(each, found) for each in (address, length)}

    def asked(
        function: str, sg: Table, arguments: Sequence[Any], what: str, goal: Callable[[Outcome], Any]
    ) -> Iterator[Question]:
        state = State((*known, *sg.known))
        values: list[Any] = [sg.put(state), *arguments]
        if function == "rp_sg_read":
            values.append(state.add(segment, {"address": 0, "length": 0}))
        environment = Environment()
        outcomes = list(execute(module, function, values, state, environment))
        yield from whole(function, state, outcomes, show)
        yield from owed(environment.obligations, function, show)
        for outcome in outcomes:
            path = (*outcome.state.facts, *outcome.state.path)
            yield Question(f"{function}: {what}", path, goal(outcome), (), show)

    link, old_length = one.before("page_link", 0), one.before("length", 0)
    named = link - link % PAGE + one.before("offset", 0)
    yield from asked(
        "rp_sg_set",
        one,
        (address, length),
        "the entry names the bytes, without a mark",
        lambda outcome: z3.And(
            one.address(outcome.state, 0) == address,
            one.length(outcome.state, 0) == length,
            z3.Not(one.is_marked(outcome.state, 0)),
        ),
    )
    yield from asked(
        "rp_sg_mark_end",
        one,
        (),
        "the entry is marked and names what it named",
        lambda outcome: z3.And(
            one.is_marked(outcome.state, 0),
            one.address(outcome.state, 0) == named,
            one.length(outcome.state, 0) == old_length,
        ),
    )
    yield from asked(
        "rp_sg_init",
        all_,
        (ENTRIES,),
        "every entry is empty, and only the last is marked",
        lambda outcome: z3.And(
            [
                each
                for n in range(ENTRIES)
                for each in (
                    _is_zero(all_.length(outcome.state, n)),
                    all_.is_marked(outcome.state, n) == z3.BoolVal(n == ENTRIES - 1),
                )
            ]
        ),
    )
    count: Any = z3.IntVal(ENTRIES)
    for number in reversed(range(ENTRIES - 1)):
        count = z3.If(all_.was_marked(number), number + 1, count)
    yield from asked(
        "rp_sg_count",
        all_,
        (ENTRIES,),
        "the entries up to the first that is marked",
        lambda outcome: outcome.result == count,
    )
    yield from asked(
        "rp_sg_read",
        one,
        (),
        "the segment is the entry's, and the next entry comes next",
        lambda outcome: z3.And(
            z3.BoolVal(_is_next(outcome.result, one)),
            outcome.state.read(segment, "address") == named % ADDRESS,
            outcome.state.read(segment, "length") == old_length,
            one.is_unchanged(outcome.state, 0),
        ),
    )


def _is_zero(number: Any) -> Any:
    return z3.BoolVal(number == 0) if isinstance(number, int) else number == 0


def _is_next(pointer: Any, sg: Table) -> bool:
    there = isinstance(pointer, Pointer) and pointer.object is sg.made
    return bool(there and pointer.offset.number() == sg.made.fields[0].stride)
