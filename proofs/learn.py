"""Write ``hints.py`` anew: which hypotheses each obligation needs.

Run ``python -m ringproof.proofs.learn`` after a change to the model or the theorems. Hints only save
time: a proof from some of the hypotheses is a proof, and without its hint an obligation is tried
from all of them.

A hint is judged by its dearest seed, not by the one that ``prove`` uses: where another seed has to search
long, so has that one as soon as a formula changes.

With names of theorems only theirs are learned and all others kept; with ``--stale`` those hints are kept,
too, that still suffice, from every seed. What was learned before an interrupt (Ctrl-C) is written.
"""

import contextlib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import z3

from . import arguments as command_line
from . import pool
from .discharge import BUDGET, HINTED
from .hints import HINTS
from .solver import core, refute, require_pinned
from .theorem import Obligation, Query, Stage, Theorem, every_size
from .theorems import THEOREMS

_HEADER = '''"""The hypotheses that suffice for each obligation; written by ``learn``, not by hand."""

# ruff: noqa: E501
# fmt: off

HINTS: dict[str, frozenset[str]] = {
    label: frozenset(names.split())
    for label, names in (
'''

_FEW = (4, 6, 9, 12, 16)
"""How many of the nearest hypotheses are tried."""

_BOUNDS = ("queue-size", "free-in-range", "in-flight-fits", "time", "indices")
"""What bounds the counts, on which all that is said of 16-bit indices rests."""

_SEEDS = range(10)
"""The solver's seeds that a hint is judged by: those of ``stability``."""

_DEADLINE = 3600.0
"""Seconds for one group of one theorem, after which its worker counts as stuck."""


@dataclass(frozen=True)
class Group:
    """What one process learns at a time; ``stale`` leaves alone the hints that still suffice."""

    theorem: str
    group: str
    stale: bool = False


@dataclass(frozen=True)
class Learned:
    """The hypotheses that suffice, by label, and the labels of what could not be proved from all of them."""

    hints: dict[str, tuple[str, ...]]
    unproved: tuple[str, ...]


def learn_group(group: Group) -> Learned:
    """Learn the hints of one group of a theorem's obligations."""
    theorem = THEOREMS[group.theorem]
    stage = every_size(theorem.subject)
    hints, unproved = {}, []
    for obligation in _hinted(theorem):
        if obligation.group != group.group:
            continue
        names = _names(obligation, stage, HINTS.get(obligation.label) if group.stale else None)
        if names is None:
            unproved.append(obligation.label)
        else:
            hints[obligation.label] = names
    return Learned(hints, tuple(unproved))


def _hinted(theorem: Theorem) -> list[Obligation]:
    """Return the obligations that may have a hint: those proved for every size at once."""
    if not getattr(theorem.subject, "takes_size", False):
        return []
    return [entry for entry in theorem.obligations if entry.every_size]


def _names(obligation: Obligation, stage: Stage, known: frozenset[str] | None) -> tuple[str, ...] | None:
    """Return hypotheses that suffice, in the order of the query; none if not even all of them do."""
    query = obligation.build(stage)
    if known is not None and known <= query.hypotheses.keys():
        present = tuple(name for name in query.hypotheses if name in known)
        if _cost(query, present, HINTED) is not None:
            return present
    for name, hypothesis in query.hypotheses.items():
        if hypothesis.eq(query.goal):
            return (name,)
    for names in _candidates(query):
        cost = _cost(query, names, BUDGET)
        if cost is not None:
            return _shrunk(query, names, cost)
    return None


def _candidates(query: Query) -> Iterator[tuple[str, ...]]:
    """Yield sets of hypotheses that may suffice: those without quantifiers, the nearest few, a core, and all.

    Many hypotheses can keep the solver from a proof that few of them allow.
    """
    near = _nearest(query)
    plain = [name for name in near if not _is_quantified(query.hypotheses[name])]
    bounds = [name for name in _BOUNDS if name in query.hypotheses]
    few = (
        *(plain[:count] for count in (*_FEW, len(plain))),
        *(bounds + plain[:count] for count in _FEW),
        *(near[:count] for count in _FEW),
        *(plain + near[:count] for count in _FEW),
    )
    for chosen in map(frozenset, few):
        names = tuple(name for name in query.hypotheses if name in chosen)
        if _cost(query, names, HINTED) is not None:
            yield names
    names = core(query, BUDGET // 4) or ()
    if names:
        yield names
    yield tuple(query.hypotheses)


def _nearest(query: Query) -> list[str]:
    """Return the hypotheses, first those that share the rarest symbols with goal and guard."""
    symbols = {name: _symbols(hypothesis) for name, hypothesis in query.hypotheses.items()}
    uses = Counter(symbol for found in symbols.values() for symbol in found)
    subject = _symbols(query.goal) | symbols.get("guard", set())

    def nearness(name: str) -> float:
        if name in ("guard", "given"):
            return float("inf")
        shared = sum(1 / uses[symbol] for symbol in symbols[name] & subject)
        return shared / math.sqrt(1 + len(symbols[name]))

    return sorted(query.hypotheses, key=nearness, reverse=True)


def _is_quantified(formula: z3.ExprRef) -> bool:
    return z3.is_quantifier(formula) or any(_is_quantified(child) for child in formula.children())


def _symbols(formula: z3.ExprRef) -> set[str]:
    """Return the names of the uninterpreted constants and functions of a formula."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting = [formula]
    while waiting:
        term = waiting.pop()
        if term.get_id() in seen:
            continue
        seen.add(term.get_id())
        if z3.is_quantifier(term):
            waiting.append(term.body())
        elif z3.is_app(term):
            if term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                found.add(term.decl().name())
            waiting += term.children()
    return found


def _shrunk(query: Query, names: tuple[str, ...], cost: int) -> tuple[str, ...]:
    """Drop hypotheses, many at once and then one by one, while the proof goes through at no greater cost."""
    size = max(len(names) // 2, 1)
    while True:
        start = 0
        while start < len(names):
            fewer = names[:start] + names[start + size :]
            reduced = _cost(query, fewer, cost)
            if reduced is None:
                start += size
            else:
                names, cost = fewer, reduced
        if size == 1:
            return names
        size //= 2


def _cost(query: Query, names: tuple[str, ...], limit: int) -> int | None:
    """Return what the proof costs from its dearest seed; none if it fails from one within the limit."""
    less = replace(query, hypotheses={name: query.hypotheses[name] for name in names})
    dearest = 0
    for seed in _SEEDS:
        answer = refute(less, max(limit, 1), seed=seed)
        if answer.result != "unsat":
            return None
        dearest = max(dearest, answer.rlimit)
    return dearest


def text(hints: Mapping[str, Iterable[str]]) -> str:
    """Return the text of ``hints.py``: the hints of the theorems as they are, in their order."""
    labels = [entry.label for theorem in THEOREMS.values() for entry in _hinted(theorem)]
    lines = [
        f"        ({json.dumps(label)}, {json.dumps(' '.join(sorted(hints[label])))}),\n"
        for label in labels
        if label in hints
    ]
    return f"{_HEADER}{''.join(lines)}    )\n}}\n"


def learn(names: Sequence[str] = (), *, stale: bool = False, jobs: int = 0) -> tuple[str, tuple[str, ...]]:
    """Return the text of ``hints.py`` and a line on each obligation or group that could not be learned.

    Only the named theorems are learned anew, or all if none is named.
    """
    require_pinned()
    theorems = [THEOREMS[name] for name in names] or list(THEOREMS.values())
    groups = [
        Group(theorem.name, group, stale)
        for theorem in theorems
        for group in dict.fromkeys(entry.group for entry in _hinted(theorem))
    ]
    hints: dict[str, Iterable[str]] = dict(HINTS)
    failures: list[str] = []
    with contextlib.suppress(KeyboardInterrupt):
        outcomes = pool.run(learn_group, groups, jobs or os.cpu_count() or 1, _DEADLINE)
        for number, (group, outcome) in enumerate(outcomes, 1):
            if isinstance(outcome, pool.Failure):
                failures.append(f"{group.theorem}, {group.group}: {outcome.reason}")
            else:
                hints |= outcome.hints
                failures += [f"{label}: not proved" for label in outcome.unproved]
            print(f"{number}/{len(groups)} {group.theorem}: {group.group}", file=sys.stderr)  # noqa: T201
    return text(hints), tuple(failures)


def main() -> int:
    """Learn what the command line asks for, and write it; 1 if something could not be learned."""
    parser = command_line.parser("learn", __doc__, "learn")
    parser.add_argument("--stale", action="store_true", help="keep the hints that still suffice")
    arguments = command_line.parsed(parser, None)
    written, failures = learn(arguments.theorems, stale=arguments.stale, jobs=arguments.jobs)
    place = Path(__file__).with_name("hints.py")
    fresh = place.with_suffix(".new")
    fresh.write_text(written)
    fresh.replace(place)
    for failure in failures:
        print(f"not learned: {failure}", file=sys.stderr)  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    # Under the name that the workers know: what is pickled must not be of ``__main__``.
    from .learn import main as run

    sys.exit(run())
