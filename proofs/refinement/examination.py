"""One task of a run about code, done in one process: some parts of a refinement, on one copy of the code.

What is proved can be kept in a cache, under what the part says its questions are made of (``Part.key``), the
sources of the model and of all machinery, the solver and Python. Nothing but proofs is kept.
"""

import functools
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from ...impl import reference
from ..cache import Cache
from ..discharge import ObligationResult
from ..fingerprint import named, sources
from ..symbolic.errors import Missing
from .refinement import Code, Kind, Part, Refinement

Find: TypeAlias = Callable[[], Mapping[str, Refinement]]
"""What returns all refinements by name: importable, so that each process finds them itself."""

_LIFTER = ("pyvex", "archinfo")

_GLANCE = 1.0
"""Seconds between two looks whether anybody still waits."""


@dataclass(frozen=True)
class Examined:
    """Where the code lies that is examined, in words that can be told to another process.

    ``c`` is the directory of the C sources, ``reference`` that of the Python reference's package (none: the
    shipped one), ``library`` the shared library; ``wanting`` says why there is none, if one was wanted.
    """

    c: Path
    reference: Path | None = None
    library: Path | None = None
    wanting: str = ""

    def code(self, kind: Kind) -> Code:
        """Return the code itself. Raises Missing for machine code without a library, ImportError."""
        if kind == "machine code" and self.library is None:
            raise Missing(self.wanting or "no shared library was built")
        package = reference if self.reference is None else _package(self.reference)
        return Code(package, self.c, self.library)


@functools.cache
def _package(directory: Path) -> ModuleType:
    """Import a changed copy of the reference, under a name of its own: the shipped one stays as it is."""
    name = f"ringproof_examined_{sha256(os.fsencode(directory)).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(
        name, directory / "__init__.py", submodule_search_locations=[str(directory)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{directory} is no package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package


@dataclass(frozen=True)
class Task:
    """What one process does at a time: parts of a refinement by number, in this order, on this code.

    A copy with a defect comes with the code that it was ``made_from``: a part that knows no difference is
    not asked again, and after the first part that is refuted no other is asked.
    """

    refinement: str
    parts: tuple[int, ...]
    examined: Examined
    mutant: str = ""
    made_from: Examined | None = None


@dataclass(frozen=True)
class Finding:
    """What was found of one part: its obligations, or the reason why it could not be asked.

    ``unchanged`` says that a defect changes nothing that this part asks about; then nothing was asked.
    ``seconds`` is all the time it took, the execution of the code included.
    """

    part: int
    obligations: tuple[ObligationResult, ...] = ()
    seconds: float = 0.0
    missing: str = ""
    unchanged: bool = False

    @property
    def proved(self) -> bool:
        """Whether there was something to prove, and all of it was."""
        return bool(self.obligations) and all(each.verdict == "proved" for each in self.obligations)

    @property
    def refuted(self) -> bool:
        """Whether something was refuted."""
        return any(each.verdict == "refuted" for each in self.obligations)


@dataclass(frozen=True)
class Outcome:
    """The findings of one task; ``warnings`` is what a user should hear of the cache."""

    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()


def attended(task: Task, find: Find, cache: Cache | None = None) -> Outcome:
    """Examine, in a process of its own that ends when the one that waits for it has.

    A part may take minutes; a parent that was killed hears nothing of it.
    """
    _attend()
    return examine(task, find, cache)


@functools.cache
def _attend() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_GLANCE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def examine(task: Task, find: Find, cache: Cache | None = None) -> Outcome:
    """Ask the parts of a task, one after another."""
    refinement = find()[task.refinement]
    findings = []
    for number in task.parts:
        findings.append(_asked(task, refinement, number, cache))
        if task.made_from is not None and findings[-1].refuted:
            break
    return Outcome(tuple(findings), () if cache is None else cache.told())


def _asked(task: Task, refinement: Refinement, number: int, cache: Cache | None) -> Finding:
    """Ask one part. What is missing makes it unknown, whether named or found out by running into it."""
    started = time.perf_counter()
    part = refinement.parts[number]
    try:
        code = task.examined.code(refinement.code)
        content = part.key(code)
        if task.made_from is not None and part.key(task.made_from.code(refinement.code)) == content:
            return Finding(number, unchanged=True)
        name = None if cache is None else key(refinement, part, content)
        known = _recalled(cache, name, number)
        if known is not None:
            return known
        found = Finding(number, tuple(part.check(code)))
    except Missing as error:
        return Finding(number, seconds=time.perf_counter() - started, missing=str(error))
    except OSError as error:
        said = f"{error.filename or 'system'}: {error.strerror or error}"
        return Finding(number, seconds=time.perf_counter() - started, missing=" ".join(said.split()))
    except Exception as error:
        # A defect of ours, or code that is nothing like what is looked for: unknown, never a traceback.
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        return Finding(number, seconds=time.perf_counter() - started, missing=" ".join(said.split()))
    found = replace(found, seconds=time.perf_counter() - started)
    if cache is not None and name is not None and found.proved:
        cache.write("refinement", name, _content(found))
    return found


def key(refinement: Refinement, part: Part, content: str) -> str | None:
    """Return the key of a part's questions, or none while the sources that they are made from may change.

    ``content`` is the part's own key. The rest is the model's and the machinery's sources, Z3 and Python
    (``fingerprint.sources``), and for machine code the lifter.
    """
    made_from = sources()
    if made_from is None:
        return None
    lifter = _lifter() if refinement.code == "machine code" else ()
    return named("refinement", made_from, lifter, refinement.code, refinement.name, part.label, content)


def _lifter() -> Sequence[str]:
    try:
        return [version(package) for package in _LIFTER]
    except PackageNotFoundError as error:
        raise Missing(f"machine code needs {error.name}: pip install 'ringproof[binary]'") from None


def _content(found: Finding) -> dict[str, object]:
    return {
        "seconds": found.seconds,
        "obligations": [
            [each.label, each.seconds, each.rlimit, list(each.satisfiable_at)] for each in found.obligations
        ],
    }


def _recalled(cache: Cache | None, name: str | None, number: int) -> Finding | None:
    """Return what is known of a part from before, or none."""
    content = None if cache is None or name is None else cache.read("refinement", name)
    if cache is None or name is None or content is None:
        return None
    try:
        obligations = tuple(
            ObligationResult(
                str(label),
                "proved",
                float(seconds),
                int(rlimit),
                satisfiable_at=tuple(int(size) for size in sizes),
                cached=True,
            )
            for label, seconds, rlimit, sizes in content["obligations"]
        )
        found = Finding(number, obligations, float(content["seconds"]))
    except (KeyError, TypeError, ValueError):
        found = Finding(number)
    if found.proved:
        return found
    cache.discard(name, "is damaged")
    return None
