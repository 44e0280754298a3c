"""The virtqueue's machine code: each function of the shared library takes the model's steps and no others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import z3

from ...model.steps.moment import Moment, Pc
from ...model.steps.queue import Steps
from ..discharge import ObligationResult
from ..refinement.follower import Follower, Point
from ..refinement.refinement import Code, Part, Refinement
from ..theorem import Verdict
from .contents import Contents
from .easing import eased
from .errors import Missing
from .functions import FUNCTIONS, IN, OUT, Function, HandlerFollower, segments
from .image import load
from .lockstep import NEAR, Lockstep, Owed, Together, known
from .moments import NUMBER, BitSize, unknown_choice, unknown_moment
from .run import Machine
from .words import Word, boolean, no, vector

SIZE = 4
_TRIES = 6  # how often what fails of many is put aside
_OF_TABLES = frozenset({"tables", "tables-differ"})
PATIENCE = 300.0
"""Seconds for one question, after which its answer is unknown: the dearest takes a tenth of them."""


class Run:
    """A function run from every moment that the invariants allow, beside the model.

    ``near`` are the hypotheses that are tried first, ``all`` everything that is known.
    """

    def __init__(self, library: Path, function: Function, size: int = SIZE) -> None:
        self.function = function
        self.size = BitSize(size)
        self.model = Steps(self.size)
        self.contents = Contents(library, self.size)
        asked = {
            "segments": segments(),
            "outs": z3.ZeroExt(NUMBER - 32, OUT),
            "table": self.size.tables[-1],
        }
        self.choice = unknown_choice(self.size, **(asked if "add_in_ring" in function.starts else {}))
        self.moment = unknown_moment(self.size, pc=function.begins, live=function.live)
        surely = (*self.contents.facts(), boolean(function.given(self.moment)))
        self.all = (*known(self.model, self.moment), *surely)
        self.near = (*known(self.model, self.moment, NEAR), *surely)
        self.lemmas = free_lemmas(self.model, self.moment) if function.begins == Pc.IDLE else []
        self.machine = Machine(load(library), self.near)
        kind = HandlerFollower if function.starts == ("handle",) else Follower
        follower = kind(self.model, self.choice, function.starts, function.ends, self._feasible)
        self.lock = Lockstep(self.machine, self.model, self.contents, follower, self.moment)
        self.arguments: list[Word] = []
        self.ends: list[tuple[z3.BoolRef, ...]] = []

    def _feasible(self, path: tuple[z3.BoolRef, ...]) -> bool:
        return self.machine.oracle.possible(path)

    def go(self) -> None:
        """Run the function along every path, and gather what is owed."""
        state = self.machine.state(self.contents.regions())
        for cell in (*self.contents.cells(self.moment), *self.contents.fixed(self.model, callback=True)):
            state.memory.store(cell.address, cell.value, cell.size)
        state.extra["together"] = Together(Point(self.moment))
        self.arguments = self.function.arguments(self.lock, state, self.moment)
        for outcome in self.machine.call(self.function.name, self.arguments, state, self.lock):
            self.ends.append(outcome.state.path)
            self.function.returns(self.lock, outcome.state, outcome.result)

    def owed(self) -> Iterator[Owed]:
        """Yield all that has to hold: what the lockstep owes, no findings, and that no case is left out."""
        for lemma in self.lemmas:
            yield Owed("lemmas: the free list, and tables of chains", (), lemma)
        yield from self.lock.owed
        for finding in self.machine.findings:
            yield Owed(f"{finding.kind}: {finding.what}, at {finding.place}", finding.path, False)
        cases = [z3.And(path) if path else z3.BoolVal(True) for path in self.ends]
        yield Owed("the paths together are all there are", tuple(self.lock.assumed), z3.Or(cases))

    def counterexample(self, owed: Owed, model: z3.ModelRef) -> dict[str, Any]:
        """Return what refutes something owed: memory and arguments at the call, and the word that fails."""

        def value(word: Word, bits: int) -> int:
            return int(model.eval(vector(word, bits), model_completion=True).as_long())

        cells = [*self.contents.cells(self.moment), *self.contents.fixed(self.model, callback=True)]
        shown: dict[str, Any] = {
            "function": self.function.name,
            "fails": owed.label,
            "arguments": [value(word, 64) for word in self.arguments],
            "memory": [
                {"name": cell.name, "address": cell.address, "size": cell.size}
                | {"value": value(cell.value, 8 * cell.size)}
                for cell in cells
            ],
            "used_idx": value(self.moment.used_idx, NUMBER),
            "used_ring": [
                [value(self.moment.used_ring(z3.BitVecVal(i, NUMBER)), NUMBER), value(length, 32)]
                for i, length in enumerate(self.contents.used_lengths)
            ],
            "avail_event": value(self.moment.avail_event, NUMBER),
            "no_notify": z3.is_true(model.eval(self.moment.no_notify, model_completion=True)),
            "segments": [
                [value(self.choice.segment_addr(i), 64), value(self.choice.segment_len(i), NUMBER)]
                for i in range(self.size.plain + 1)
            ],
            "table": value(self.choice.table, 64),
        }  # fmt: skip
        if owed.cell is not None:
            bits = 8 * owed.cell.size
            shown["word"] = {
                "name": owed.cell.name,
                "address": owed.cell.address,
                "size": owed.cell.size,
                "expected": value(owed.cell.value, bits),
                "found": value(owed.found, bits),
            }
        return shown


def free_lemmas(model: Steps, s: Moment) -> list[z3.BoolRef]:
    """Return what follows from the invariants of a moment between two operations, for shorter proofs.

    No free descriptor heads a chain, and each links to the next; free_head is the first, and they are
    num_free. The table of a chain is allocated.
    """
    numbers = [z3.BitVecVal(d, NUMBER) for d in range(model.size.plain)]
    facts = [z3.Implies(s.gpos(d) < s.free, z3.Not(s.outstanding(d))) for d in numbers]
    facts += [z3.Implies(z3.And(s.outstanding(d), s.indirect(d)), s.allocated(s.addr(d))) for d in numbers]
    facts += [
        z3.Implies(z3.And(s.gpos(d) > 0, s.gpos(d) < s.free), s.gpos(s.next(d)) == s.gpos(d) - 1)
        for d in numbers
    ]
    return [*facts, z3.Implies(s.free > 0, s.gpos(s.free_head) == s.free - 1), s.num_free == s.free]


def _names(path: Sequence[z3.BoolRef]) -> tuple[int, ...]:
    return tuple(condition.get_id() for condition in path)


@dataclass
class _Tally:
    """What was found so far of everything owed under one label."""

    label: str
    seconds: float = 0.0
    rlimit: int = 0
    reason: str = ""
    shown: dict[str, Any] | None = None
    refuted: bool = False

    def result(self) -> ObligationResult:
        verdict: Verdict = "refuted" if self.refuted else "unknown" if self.reason else "proved"
        reason = "" if self.refuted else self.reason
        return ObligationResult(self.label, verdict, self.seconds, self.rlimit, reason, self.shown, (SIZE,))


@dataclass
class Decider:
    """Decides what a run owes, path by path; each question goes to a solver of its own (Z3's, for bits)."""

    run: Run
    tallies: dict[str, _Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The lemmas are themselves owed, from the invariants.
        self.few = [*self.run.lemmas, *known(self.run.model, self.run.moment, _OF_TABLES)]

    def results(self) -> list[ObligationResult]:
        """Return the verdicts, by what is owed; stops at the first that is refuted."""
        everything = list(self.run.owed())
        self.tallies = {owed.label: _Tally(owed.label) for owed in everything}
        if not self._consistent():
            return [
                ObligationResult("the invariants can hold", "unknown", 0.0, 0, "they contradict each other")
            ]
        shared = self._shared(everything)
        groups: dict[tuple[int, ...], list[Owed]] = {}
        for owed in everything:
            if id(owed) not in shared:
                groups.setdefault(_names(owed.path), []).append(owed)
        asked = 0
        for group in groups.values():
            self._decide(group)
            asked += 1
            if any(tally.refuted for tally in self.tallies.values()):
                break
        for group in list(groups.values())[asked:]:
            for owed in group:
                self.tallies[owed.label].reason = "not asked: something else is refuted"
        return [tally.result() for tally in self.tallies.values()]

    def _consistent(self) -> bool:
        return bool(self._ask(self.run.all, (), [])[0] == z3.sat)

    def _shared(self, everything: Sequence[Owed]) -> set[int]:
        """Prove what is owed on several paths from what these have in common; return whose ids are proved.

        Paths share how they begin, and what was stored there.
        """
        same: dict[int, list[Owed]] = {}
        for owed in everything:
            if isinstance(owed.goal, z3.BoolRef):
                same.setdefault(owed.goal.get_id(), []).append(owed)
        groups: dict[tuple[int, ...], list[tuple[Sequence[z3.BoolRef], list[Owed]]]] = {}
        for alike in same.values():
            common = set.intersection(*({*_names(owed.path)} for owed in alike))
            path = [condition for condition in alike[0].path if condition.get_id() in common]
            groups.setdefault(_names(path), []).append((path, alike))
        proved: set[int] = set()
        for group in groups.values():
            rest = [alike for _, alike in group if alike[0].path]
            for _ in range(_TRIES):
                if not rest:
                    break
                started = time.perf_counter()
                answer, model, spent = self._ask(
                    self.few, group[0][0], [alike[0].goal for alike in rest], 20.0
                )
                if answer == z3.unsat:
                    done = [owed for alike in rest for owed in alike]
                    proved |= {id(owed) for owed in done}
                    self._proved(done, time.perf_counter() - started, spent)
                    break
                if model is None:
                    break
                rest = [
                    alike for alike in rest if z3.is_true(model.eval(alike[0].goal, model_completion=True))
                ]
        return proved

    def _proved(self, owed: Sequence[Owed], seconds: float, spent: int) -> None:
        for each in owed:
            self.tallies[each.label].seconds += seconds / len(owed)
            self.tallies[each.label].rlimit += spent // len(owed)

    def _decide(self, group: Sequence[Owed]) -> None:
        if not group:
            return
        started = time.perf_counter()
        answer, _, spent = self._ask(self.run.near, group[0].path, [owed.goal for owed in group])
        share = (time.perf_counter() - started) / len(group)
        for place, owed in enumerate(group):
            tally = self.tallies[owed.label]
            tally.seconds += share
            tally.rlimit += spent // len(group)
            if answer != z3.unsat:
                self._decide_alone(owed, tally)
            if tally.refuted:
                for each in group[place + 1 :]:
                    self.tallies[each.label].reason = "not asked: something else is refuted"
                return

    def _decide_alone(self, owed: Owed, tally: _Tally) -> None:
        """Try one alone, then with all that is known: only that refutes."""
        started = time.perf_counter()
        everything = (*self.run.all, *self.run.lock.further)
        answer, model = z3.unknown, None
        for hypotheses in (self.run.near, everything):
            answer, model, spent = self._ask(hypotheses, owed.path, [owed.goal])
            tally.rlimit += spent
            if answer == z3.unsat:
                break
        tally.seconds += time.perf_counter() - started
        if answer == z3.sat and model is not None:
            tally.refuted = True
            tally.shown = self.run.counterexample(owed, model)
        elif answer != z3.unsat:
            tally.reason = f"no answer in {PATIENCE:.0f} s"

    def _ask(
        self,
        hypotheses: Sequence[z3.BoolRef],
        path: Sequence[z3.BoolRef],
        goals: list[Any],
        seconds: float = PATIENCE,
    ) -> tuple[z3.CheckSatResult, z3.ModelRef | None, int]:
        """Ask for values at which the hypotheses and the path hold, and one of the goals does not."""
        solver = z3.Then(
            "simplify", "propagate-values", "solve-eqs", "elim-uncnstr", "simplify", "bit-blast", "sat"
        ).solver()
        solver.set("timeout", int(seconds * 1000))
        solver.add(*(eased(each) for each in (*hypotheses, *path)))
        if goals:
            solver.add(eased(z3.Or([boolean(no(goal)) for goal in goals])))
        answer = solver.check()
        statistics = solver.statistics()
        spent = int(statistics.get_key_value("rlimit count")) if "rlimit count" in statistics.keys() else 0  # noqa: SIM118
        return answer, solver.model() if answer == z3.sat else None, spent


def examine(library: Path, name: str, size: int = SIZE) -> list[ObligationResult]:
    """Return the verdicts on all that a function's machine code owes at one queue size.

    Raises Missing where pyvex is not installed, or the code cannot be followed exactly.
    """
    run = Run(library, FUNCTIONS[name], size)
    run.go()
    if not run.ends:
        nothing = ObligationResult(f"{name} returns", "unknown", 0.0, 0, "no path returns")
        return [*Decider(run).results(), nothing]
    return Decider(run).results()


def _library(code: Code) -> Path:
    if code.library is None:
        raise Missing("no shared library was built, so there is no machine code")
    return code.library


def _key(code: Code) -> str:
    """Return what the questions are made of: all code and data of the library, and where fields lie."""
    image = load(_library(code))
    whole = sha256()
    for segment in image.segments:
        whole.update(f"{segment.address} {segment.permissions} {len(segment.contents)}\n".encode())
        whole.update(segment.contents)
    whole.update(repr(sorted(Contents(_library(code), BitSize(SIZE)).structs.items())).encode())
    return whole.hexdigest()


def _check(name: str, code: Code) -> Sequence[ObligationResult]:
    return examine(_library(code), name)


_BROKEN_BY: dict[str, tuple[str, ...]] = {
    "rp_vq_kick_prepare": ("X1", "D1", "X9"),
    "rp_vq_detach_unused_buf": ("A2", "A6", "X2", "X3"),
    "rp_vq_get_buf": ("B3", "D3"),
    "rp_vq_add": ("A5",),
}

MACHINE_REFINEMENTS: tuple[Refinement, ...] = tuple(
    Refinement(
        f"machine-{name.removeprefix('rp_vq_').replace('_', '-')}",
        f"{name} {function.title}",
        f"The machine code of {name} takes the steps of the model's {function.linux} and no others, from "
        "every moment that the invariants allow: what it stores, returns, calls and reads, in which order.",
        function.linux,
        "machine code",
        (SIZE,),
        (Part("", _key, partial(_check, name)),),
        _BROKEN_BY.get(name, ()),
    )
    for name, function in FUNCTIONS.items()
)
"""Each function of the shared library, dearest last."""

__all__ = ["IN", "MACHINE_REFINEMENTS", "OUT", "Decider", "Run", "examine"]
