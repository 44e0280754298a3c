"""What ``prove`` does with code: ``--refinement`` shows that it does what the model does."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from ..building import CompilerMissing, build_driver, c_sources
from ..errors import BadInputError, unknown_name
from ..patching import UnknownMutant, mutant_ids, patched_copy, reference_sources
from ..proofs.cache import Cache
from ..proofs.mutants.registry import DESCRIBED
from ..proofs.refinement import registry, run
from ..proofs.refinement.examination import Examined
from ..proofs.refinement.refinement import Kind, Refinement
from ..proofs.report import ProofReport, TheoremResult
from ..proofs.theorems import THEOREMS
from .prove import verdict_line

find = registry.refinements
"""What returns all refinements, here and in the processes that examine them."""

_EXTRA = "ringproof[binary]"
_LIFTER = ("pyvex", "archinfo")
_FEW = 6
"""Obligations that fail and are shown; a defect may make many fail."""

_NEEDED = "virtqueue.c"
_LONG = 60
_REPEATED = 4
"""How often in a row a value is written out."""

_CODE: dict[Kind, str] = {
    "reference": "the Python reference, as it is imported: every branch is run, on numbers that are terms",
    "c": "the C sources, as clang 14 compiles them with -O2: LLVM IR, every path of it",
    "machine code": "the shared library, as the C compiler builds it: every instruction of these functions",
}
_TRUSTED: dict[Kind, str] = {
    "reference": "Z3, and Python itself; that no branch was missed is an obligation of its own",
    "c": "Z3, clang's front end and optimiser, and the reader and executor of IR, which are tested against "
    "native runs; that no path was missed is an obligation of its own. Not: how IR becomes machine code",
    "machine code": "Z3, and VEX, which lifts instructions, tested against native runs. Not: the compiler",
}


def split(names: Sequence[str], refined: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that are theorems' and those that are refinements', in the order of the lists.

    Without any they are all theorems and, if ``refined``, all refinements that can be had here: those of
    machine code are left out, with a line on standard error, where their extra is not installed.

    Raises BadInputError for a name that is neither's.
    """
    if not names and not refined:
        return tuple(THEOREMS), ()
    known = find()
    for name in names:
        if name not in THEOREMS and name not in known:
            raise unknown_name("theorem or refinement", name, [*THEOREMS, *known])
    theorems = tuple(name for name in THEOREMS if not names or name in names)
    if names:
        return theorems, tuple(name for name in known if name in names)
    return theorems, _available(known)


def _available(known: Mapping[str, Refinement]) -> tuple[str, ...]:
    binary = [name for name, refinement in known.items() if refinement.code == "machine code"]
    if not binary or lifts():
        return tuple(known)
    click.echo(
        f"ringproof: left out, {len(binary)} of machine code ({', '.join(binary)}): pip install '{_EXTRA}'",
        err=True,
    )
    return tuple(name for name in known if name not in binary)


def lifts() -> bool:
    """Whether what lifts machine code is installed."""
    return all(find_spec(package) is not None for package in _LIFTER)


def shipped(binary: bool, sources: Path | None = None) -> Examined:
    """Return the code as it ships, or with other C sources; the library is built if ``binary``.

    What it takes to build and to lift machine code may be missing: then ``wanting`` says what. Raises
    BadInputError for a directory without the virtqueue, and BuildFailed.
    """
    if sources is not None and not (sources / _NEEDED).is_file():
        raise BadInputError(f"{sources}: no {_NEEDED} there; --c-sources takes a copy of {c_sources()}")
    c = c_sources() if sources is None else sources.resolve()
    return _built(Examined(c)) if binary else Examined(c)


def _built(examined: Examined) -> Examined:
    if not lifts():
        return replace(examined, wanting=f"machine code is lifted by an extra: pip install '{_EXTRA}'")
    try:
        return replace(examined, library=build_driver(examined.c))
    except CompilerMissing as error:
        return replace(examined, wanting=str(error))


@contextmanager
def _seeds() -> Iterator[Callable[[str, Kind], Examined]]:
    """Yield what makes copies of the shipped code with a defect; they are gone in the end."""
    with tempfile.TemporaryDirectory(prefix="ringproof-") as folder:

        def seed(mutant: str, kind: Kind) -> Examined:
            source = reference_sources() if kind == "reference" else c_sources()
            patch = source / "mutants" / f"{mutant}.patch"
            if not patch.is_file():
                raise UnknownMutant(mutant, mutant_ids(source))
            copy = patched_copy(source, patch, Path(folder) / kind.replace(" ", "-") / mutant)
            if kind == "reference":
                return Examined(c_sources(), reference=copy)
            return _built(Examined(copy)) if kind == "machine code" else Examined(copy)

        yield seed


@dataclass(frozen=True)
class Request:
    """What is asked for of code: refinements by name, and options as of ``prove``."""

    names: tuple[str, ...]
    kill: bool = False
    jobs: int = 0
    sources: Path | None = None
    cache: Cache | None = None


def discharge(
    request: Request,
    *,
    on_result: Callable[[TheoremResult], None] | None = None,
    on_mutant: Callable[[run.Fate], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> ProofReport:
    """Prove the named refinements, as ``run.prove``. Raises BadInputError, SolverMismatch."""
    if request.sources is not None and request.kill:
        raise BadInputError("--kill seeds defects into the code that ships: it does not go with --c-sources")
    known = find()
    binary = any(known[name].code == "machine code" for name in request.names)
    examined = shipped(binary, request.sources)
    with _seeds() as seed:
        return run.prove(
            request.names,
            examined,
            find,
            seed=seed if request.kill else None,
            jobs=request.jobs,
            on_result=on_result,
            on_mutant=on_mutant,
            on_progress=on_progress,
            on_warning=on_warning,
            cache=request.cache,
        )


def untried(names: Sequence[str]) -> ProofReport:
    """Return the report of a run that was interrupted before it came to these."""
    return run.untried(names, find)


def joined(theorems: ProofReport, code: ProofReport) -> ProofReport:
    """Return one report of theorems and, after them, of refinements.

    A refinement rests on the invariants of its model: their theorems are ``assumed`` unless proved here.
    """
    proved = {result.name for result in theorems.theorems if result.verdict == "proved"}
    rests_on = registry.premises([result.name for result in code.theorems])
    return replace(
        theorems,
        theorems=(*theorems.theorems, *code.theorems),
        seconds=theorems.seconds + code.seconds,
        kills={**theorems.kills, **code.kills},
        survivors=(*theorems.survivors, *code.survivors),
        undecided={**theorems.undecided, **code.undecided},
        interrupted=theorems.interrupted or code.interrupted,
        assumed=tuple(dict.fromkeys((*theorems.assumed, *(each for each in rests_on if each not in proved)))),
    )


def to_json(report: ProofReport) -> dict[str, Any]:
    """Return a report as JSON data; of each refinement it says which code it is about, and which sizes."""
    data = report.to_json()
    known = find()
    for entry in data["theorems"]:
        if entry["name"] in known:
            refinement = known[entry["name"]]
            entry |= {"code": refinement.code, "sizes": list(refinement.sizes)}
    return data


def result_line(result: TheoremResult) -> str:
    """Return a verdict as rich markup; of what is refuted, what fails and the first case in which it does."""
    return "\n".join([verdict_line(result), *_refuted(result)])


def _refuted(result: TheoremResult) -> list[str]:
    # On several paths the same may be wrong.
    failed = Counter(entry.label for entry in result.details if entry.verdict == "refuted")
    lines = [
        f"         [red]{escape(label)}[/]" + (f" [dim]on {times} paths[/]" if times > 1 else "")
        for label, times in list(failed.items())[:_FEW]
    ]
    if len(failed) > _FEW:
        lines.append(f"         [red]and {len(failed) - _FEW} more[/]")
    shown = result.counterexample or {}
    return lines + [f"           {escape(line)}" for line in counterexample_lines(shown)]


def counterexample_lines(shown: Mapping[str, Any]) -> list[str]:
    """Return a counterexample as lines: what is short in one, each state in one, how to replay it last."""
    short = {name: value for name, value in shown.items() if name != "replay" and _is_short(value)}
    lines = [", ".join(f"{name} {_text(value)}" for name, value in short.items())] if short else []
    for name, value in shown.items():
        if name == "replay" or name in short or value in ({}, [], ()):
            continue
        if isinstance(value, list) and any(isinstance(each, str) for each in value):
            lines += [f"{name}: {_text(each)}" for each in value]
        else:
            lines.append(f"{name}: {_text(value)}")
    if "replay" in shown:
        lines.append(f"replay: {_text(shown['replay'])}")
    return lines


def _is_short(value: object) -> bool:
    return not isinstance(value, dict | list | tuple) and len(str(value)) <= _LONG


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        runs = [(text, len(list(same))) for text, same in groupby(map(_text, value))]
        shown = (
            f"{times} x {text}" if times > _REPEATED else ", ".join([text] * times) for text, times in runs
        )
        return f"[{', '.join(shown)}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())


def mutant_line(fate: run.Fate) -> str:
    """One defect in code, and what becomes of each refinement that it should break, as rich markup."""
    name, _, where = fate.mutant.partition(" ")
    title = f"{DESCRIBED[name].title}, {where}" if name in DESCRIBED else where
    lines = [f"[bold]{name:4}[/] {escape(title)}"]
    if fate.broken:
        lines.append(f"     [dim]killed by {', '.join(fate.broken)}[/]")
    if fate.spared:
        lines.append(f"     [bold red]survives {', '.join(fate.spared)}[/]")
    lines += [f"     [yellow]unknown: {other}: {escape(why)}[/]" for other, why in fate.undecided.items()]
    return "\n".join(lines)


def titles() -> dict[str, str]:
    """Return every refinement's title, with its code and sizes, by name."""
    return {name: run.titled(each) for name, each in find().items()}


def described(name: str) -> list[str]:
    """Return what a refinement claims, of which code, and what is trusted, as lines of rich markup."""
    refinement = find()[name]
    sizes = ", ".join(map(str, refinement.sizes)) or "all of them"
    rests_on = registry.premises([name])
    return [
        f"[bold]{escape(refinement.title)}[/]   [dim]refinement {name}[/]",
        escape(refinement.statement),
        "",
        f"  clause     {escape(refinement.clause)}",
        f"  code       {escape(_CODE[refinement.code])}",
        f"  sizes      {sizes}",
        f"  trusted    {escape(_TRUSTED[refinement.code])}",
        *([f"  rests on   {', '.join(rests_on)}"] if rests_on else []),
        f"  proof      {len(refinement.parts)} part{'s' if len(refinement.parts) != 1 else ''}; "
        f"ringproof prove {name}",
        f"  broken by  {', '.join(refinement.broken_by)}: prove {name} --kill"
        if refinement.broken_by
        else "  broken by  nothing that is seeded",
    ]
