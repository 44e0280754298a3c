"""Obligations as files: what is claimed of each, and a folder of them with an index.

The files hold the full obligations, with every hypothesis that the theorems assume; proofs are mostly found
from a few of them (``few_hypotheses``). Of an obligation refuted on a small ring only, the file is the
question about that ring.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import discharge, pool, smtlib
from .hints import HINTS
from .solver import NAME, refute, require_pinned
from .stages import stage
from .theorem import Obligation, Query, Theorem
from .theorems import THEOREMS

INDEX = "index.json"
FORMAT = "ringproof obligations 1"
DEADLINE = 120.0
"""Seconds after which a worker that writes one obligation counts as stuck."""

_OURS = re.compile(r"[a-z0-9.-]+\.smt2")


class ExportRefusedError(ValueError):
    """The folder is none to export to; the message is one line."""


@dataclass(frozen=True)
class Claim:
    """What Z3 is said to have answered to one obligation: ``unsat`` if the goal follows, else ``sat``.

    ``unknown`` means that Z3 gave no verdict. ``queue_size`` is none for the question about all sizes.
    """

    theorem: str
    obligation: str
    verdict: str
    query: Query
    queue_size: int | None = None

    def question(self) -> smtlib.Text:
        """Return the obligation without what is claimed of it: what another solver is to decide unbiased.

        A solver that is told to expect unsat may take its own sat for an error. Raises NotExpressibleError.
        """
        return replace(self, verdict="unknown").text()

    def text(self) -> smtlib.Text:
        """Return the obligation as a file. Raises NotExpressibleError."""
        notes = {"source": "ringproof", "theorem": self.theorem, "obligation": self.obligation}
        notes["claimed-by"] = NAME
        if self.queue_size is not None:
            notes["queue-size"] = str(self.queue_size)
        return smtlib.write(self.query, self.verdict, notes)

    def few_hypotheses(self) -> "Claim | None":
        """Return the claim from the few hypotheses that sufficed for Z3, or none if none are known.

        What follows from some hypotheses follows from all: a proof of it is a proof. A counterexample to
        it is none to the obligation.
        """
        names = HINTS.get(self.obligation)
        few = {name: formula for name, formula in self.query.hypotheses.items() if name in (names or ())}
        if self.verdict != "unsat" or names is None or len(few) == len(self.query.hypotheses):
            return None
        return replace(self, query=replace(self.query, hypotheses=few))


def claimed(name: str, label: str) -> Claim:
    """Return what is claimed of an obligation, by the names of its theorem and its own.

    Every obligation of a theorem expected to be proved is claimed to be. Of a finding each obligation is
    put to Z3, here and now. Raises KeyError for a name that is none.
    """
    theorem = THEOREMS[name]
    obligation = {entry.label: entry for entry in theorem.obligations}[label]
    query = obligation.build(stage(theorem.subject))
    if theorem.expected == "proved":
        return Claim(name, label, "unsat", query)
    return _asked(theorem, obligation, query)


def _asked(theorem: Theorem, obligation: Obligation, query: Query) -> Claim:
    """Ask Z3: about small rings first, on which a finding is refuted if it has quantifiers."""
    for queue_size in discharge.SMALL_SIZES if obligation.every_size else ():
        small = obligation.build(stage(theorem.subject, queue_size))
        if refute(small, discharge.BUDGET).result == "sat":
            return Claim(theorem.name, obligation.label, "sat", small, queue_size)
    answer = refute(query, discharge.BUDGET)
    return Claim(theorem.name, obligation.label, answer.result, query)


def file_name(theorem: str, label: str) -> str:
    """Return the name of an obligation's file, which does not depend on other obligations."""
    words = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:48].strip("-")
    return f"{theorem}.{words}.{hashlib.sha256(label.encode()).hexdigest()[:8]}.smt2"


@dataclass(frozen=True)
class Entry:
    """One file: what the index says of it, and its text."""

    file: str
    theorem: str
    obligation: str
    claimed: str
    logic: str
    queue_size: int | None
    content: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the index: sizes and sums in place of the text."""
        return {
            "file": self.file,
            "theorem": self.theorem,
            "obligation": self.obligation,
            "claimed": self.claimed,
            "logic": self.logic,
            "queue_size": self.queue_size or "every",
            "sha256": hashlib.sha256(self.content.encode()).hexdigest(),
        }


def entry(task: tuple[str, str]) -> Entry:
    """Return the file of one obligation, given by the names of theorem and obligation."""
    claim = claimed(*task)
    text = claim.text()
    return Entry(file_name(*task), *task, claim.verdict, text.logic, claim.queue_size, text.content)


@dataclass(frozen=True)
class ExportReport:
    """What was written: entries in the order of the list of theorems, and why others are missing."""

    entries: tuple[Entry, ...]
    missing: dict[tuple[str, str], str]
    interrupted: bool = False


def export(
    theorems: Sequence[Theorem],
    directory: Path,
    jobs: int,
    write: Callable[[tuple[str, str]], Entry] = entry,
) -> ExportReport:
    """Write every obligation of the theorems into a folder, and an index.

    The folder is made if need be; what an earlier export left in it is replaced or removed. Every file is
    complete or not there, and until all are the index says ``"complete": false``.

    Raises ExportRefusedError for a folder that is not empty and not of an earlier export, SolverMismatch if
    Z3 is not the one that the files name, and OSError.
    """
    require_pinned()
    tasks = [(each.name, obligation.label) for each in theorems for obligation in each.obligations]
    names = {file_name(*task) for task in tasks}
    old = _earlier(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_file(directory / INDEX, _index([], sorted(old | names), complete=False))
    done: dict[tuple[str, str], Entry] = {}
    missing: dict[tuple[str, str], str] = {}
    try:
        for task, outcome in pool.run(write, tasks, jobs, DEADLINE):
            if isinstance(outcome, pool.Failure):
                missing[task] = outcome.reason
            else:
                write_file(directory / outcome.file, outcome.content)
                done[task] = outcome
    except KeyboardInterrupt:
        return ExportReport(_in_order(tasks, done), missing, interrupted=True)
    for stale in sorted((old | names) - {each.file for each in done.values()}):
        (directory / stale).unlink(missing_ok=True)
    entries = _in_order(tasks, done)
    write_file(directory / INDEX, _index(entries, [each.file for each in entries], complete=not missing))
    return ExportReport(entries, missing)


def _in_order(tasks: list[tuple[str, str]], done: dict[tuple[str, str], Entry]) -> tuple[Entry, ...]:
    return tuple(done[task] for task in tasks if task in done)


def _index(entries: Sequence[Entry], files: Sequence[str], *, complete: bool) -> str:
    """Return the index; ``files`` are all that an export may have left in the folder."""
    data: dict[str, Any] = {"format": FORMAT, "solver": NAME, "complete": complete}
    if complete:
        data["obligations"] = [each.to_json() for each in entries]
    else:
        data["files"] = list(files)
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _earlier(directory: Path) -> set[str]:
    """Return the names of the files that an earlier export left. Raises ExportRefusedError."""
    if not directory.exists():
        return set()
    if not directory.is_dir():
        raise ExportRefusedError(f"{directory} is no folder to export to")
    if not any(directory.iterdir()):
        return set()
    try:
        index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
        ours = index["format"] == FORMAT
        files = index["files"] if "files" in index else [each["file"] for each in index["obligations"]]
        names = {name for name in files if _OURS.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError):
        ours, names = False, set()
    if not ours:
        raise ExportRefusedError(
            f"{directory} is not empty and was not made by an export: nothing was written"
        )
    return names


def write_file(path: Path, content: str) -> None:
    """Write a file that is there as a whole or not at all. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
