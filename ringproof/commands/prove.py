"""``ringproof prove``: the theorems, one line each, and which mutant breaks which."""

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import EXIT_HELD, EXIT_INTERRUPTED, EXIT_REFUTED, EXIT_UNKNOWN, BadInputError
from ..proofs.cache import chosen
from ..proofs.counterexample import changes
from ..proofs.engine import prove as discharge
from ..proofs.mutants.registry import MUTANTS, described
from ..proofs.report import ProofReport, TheoremResult
from ..proofs.solver import NAME
from ..proofs.theorems import THEOREMS

_MOST = (1 << 32) - 1
"""The greatest budget that Z3 takes for what it is."""

_FOLDER = click.Path(path_type=Path, file_okay=False)

_PACE = 10.0
"""Seconds between two lines that tell how far a run is, where there is no terminal to draw on."""

_COLOUR = {"proved": "green", "refuted": "red", "unknown": "yellow"}


def verdict_line(result: TheoremResult) -> str:
    """One verdict, its cost and the title as rich markup; if it is unknown, the reason on another line."""
    colour = _COLOUR[result.verdict]
    cost = f"{result.obligations:3d} {result.seconds:6.2f} s {result.rlimit / 1e6:5.2f} M"
    known = "  [dim]cached[/]" if result.cached == result.obligations else ""
    lines = [f"[{colour}]{result.verdict:8}[/][dim]{cost}[/]  {escape(result.title)}{known}"]
    if result.reason:
        lines.append(f"         [yellow]{escape(result.reason)}[/]")
    return "\n".join(lines)


def theorem_line(result: TheoremResult) -> str:
    """One theorem's verdict and title as rich markup, and what was not as announced on lines of their own."""
    lines = [verdict_line(result)]
    if is_finding(result):
        lines.append(f"         [dim]a finding about a driver that shipped: ringproof trace {result.name}[/]")
        return "\n".join(lines)
    if not result.as_expected:
        lines.append(f"         [bold red]{result.name}: expected {result.expected}[/]")
    for broken in (entry for entry in result.details if entry.verdict == "refuted"):
        lines.append(f"         [red]{escape(broken.label)}[/]")
    if result.counterexample is not None:
        lines += [f"           {escape(line)}" for line in changes(result.counterexample)]
    return "\n".join(lines)


def is_finding(result: TheoremResult) -> bool:
    """Tell whether a theorem was announced to be refuted, and is."""
    return result.expected == "refuted" and result.as_expected


def mutant_line(mutant: str, broken: tuple[str, ...]) -> str:
    """One mutant and the theorems that kill it, as rich markup."""
    verdict = f"killed by {', '.join(broken)}" if broken else "[bold red]survives[/]"
    return f"[bold]{mutant:4}[/] {escape(described(mutant).title)}\n     [dim]{verdict}[/]"


def exit_code(report: ProofReport) -> int:
    """0 when every verdict is as announced and every mutant dies; else 1, or 3 if something is unknown."""
    if report.interrupted:
        return EXIT_INTERRUPTED
    surprises = [result.verdict for result in report.theorems if not result.as_expected]
    if report.survivors or any(verdict != "unknown" for verdict in surprises):
        return EXIT_REFUTED
    return EXIT_UNKNOWN if surprises or report.undecided else EXIT_HELD


def summary(report: ProofReport, code: Collection[str] = ()) -> str:
    """The last line: how many theorems held, how many mutants died, how long it took, and by which solver.

    ``code`` names those of the report that are claims about code, which are counted apart.
    """
    proved = sum(result.verdict == "proved" for result in report.theorems if result.name not in code)
    refined = sum(result.verdict == "proved" for result in report.theorems if result.name in code)
    findings = sum(result.expected == "refuted" for result in report.theorems)
    confirmed = sum(is_finding(result) for result in report.theorems)
    claimed = len(report.theorems) - findings - len(code)
    told = [f"{proved} of {claimed} theorems proved for every queue size"] if claimed or not code else []
    told += [f"{refined} of {len(code)} refinements of code proved"] if code else []
    text = ", ".join(told)
    if findings:
        text += f", {confirmed} of {findings} findings refuted as announced"
    text += f": {report.obligations} obligations"
    if report.cached:
        text += f", {report.cached} of {report.obligations} obligations from the cache"
    if report.kills:
        killed = sum(
            bool(broken) for mutant, broken in report.kills.items() if mutant not in report.survivors
        )
        text += f"; {killed} of {len(report.kills)} mutants killed"
    if report.interrupted:
        text += f"; interrupted with {undecided(report)} {'of them' if code else 'theorems'} undecided"
        if report.undecided:
            text += f", and {len(report.undecided)} mutants"
    return f"{text}; {report.seconds:.1f} s, {report.solver}"


def undecided(report: ProofReport) -> int:
    """How many theorems have no verdict."""
    return sum(result.verdict == "unknown" for result in report.theorems)


class _Plain:
    """How far a run is, in lines on standard error: none if it is soon over."""

    def __init__(self, what: str = "obligations") -> None:
        self._what = what
        self._started = self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= _PACE and done < total:
            self._told = now
            left = (now - self._started) * (total - done) / max(done, 1)
            click.echo(f"ringproof: {done} of {total} {self._what}, about {left:.0f} s left", err=True)


@contextmanager
def _progress(console: Console, what: str = "obligations") -> Iterator[Callable[[int, int], None]]:
    """Yield what is told how many obligations (or ``what``) are done, and of how many."""
    if not console.is_terminal:
        yield _Plain(what)
        return
    columns = (
        TextColumn(f"[dim]{what}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]left"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _warn(warning: str) -> None:
    click.echo(f"ringproof: {warning}", err=True)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--kill", is_flag=True, help="Also try the mutants that should break them.")
@click.option("--fast", is_flag=True, help="Do not check that hypotheses are satisfiable: quickest feedback.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=None, help="Processes; one per core if not given."
)
@click.option(
    "--budget", type=click.IntRange(1, _MOST), default=None, help="Solver resources per obligation."
)
@click.option(
    "--cache/--no-cache",
    "cached",
    default=None,
    help="Keep what is proved, and take it from there: as usual, but in CI (CI=true) proofs are only taken.",
)
@click.option(
    "--clauses", is_flag=True, help="Then print which clause of VIRTIO 1.3, 2.7, rests on which theorem."
)
@click.option("--cross-check", "crossed", is_flag=True, help="Have cvc5 and bitwuzla decide, instead of Z3.")
@click.option("--export", type=_FOLDER, metavar="DIR", help="Write each obligation as an SMT-LIB file.")
@click.option("--certify", "certified", is_flag=True, help="Have proofs of bit-vector lemmas checked.")
@click.option("--certificates", type=_FOLDER, metavar="DIR", help="With --certify: write the proofs here.")
@click.option(
    "--refinement", "refined", is_flag=True, help="Then prove that the code does what the model does."
)
@click.option(
    "--c-sources",
    type=_FOLDER,
    metavar="DIR",
    help="With --refinement: the C is this copy of the shipped one, edited as you like.",
)
def prove(
    names: tuple[str, ...],
    kill: bool,
    fast: bool,
    as_json: bool,
    jobs: int | None,
    budget: int | None,
    cached: bool | None,
    clauses: bool,
    crossed: bool,
    export: Path | None,
    certified: bool,
    certificates: Path | None,
    refined: bool,
    c_sources: Path | None,
) -> int:
    """Prove the theorems about the virtqueue, for every queue size at once.

    NAME is a theorem or a refinement (ringproof explain lists them); without any, all theorems are proved.

    One line each: verdict, obligations, solver seconds, Z3's resource count in millions, title. With --kill
    a line per mutant follows: the theorems that no longer hold for it.

    Proofs are kept in ringproof/proofs in XDG_CACHE_HOME (else ~/.cache), each under the text of its
    question, the solver and its options; an entry that is damaged or of another version is discarded with a
    warning. --no-cache neither takes nor keeps any.

    --clauses also takes ids of clauses as names. --cross-check, --export and --certify prove nothing by Z3:
    other solvers decide the same obligations (exit code 4 if two disagree), read them from files, or have
    their proofs checked by programs that trust no solver.

    --refinement goes on with the code: that the Python reference, the C as clang 14 compiles it and, where
    the extra ringproof[binary] is installed, its machine code take the model's steps and no others, from
    every state that the invariants allow. One line each, with the code and the queue sizes; seconds are
    those of running it on terms, too. The name of a refinement does without --refinement. --budget and
    --fast are for theorems. What is proved of a function is kept until it changes: after an edit in a copy
    of the C (--c-sources) only what it touches is proved anew. Exit code 3 if clang is missing or of another
    version, or the code does something that has no exact meaning here: that is named with its line.
    """
    if sum((clauses, crossed, export is not None, certified)) > 1:
        raise BadInputError("one of --clauses, --cross-check, --export and --certify at a time")
    if certificates is not None and not certified:
        raise BadInputError("--certificates DIR goes with --certify")
    if refined and (clauses or crossed or certified or export is not None):
        raise BadInputError("--refinement goes without --clauses, --cross-check, --export and --certify")
    if clauses:
        from .clause_table import clause_table, rows

        asked = names
        names = tuple(dict.fromkeys(theorem for row in rows(names) for theorem in row.theorems))
        if asked and not names:
            return clause_table(as_json, asked)
        if not asked:
            names = ()
    code: tuple[str, ...] = ()
    theorems: tuple[str, ...] | None = names or None
    if refined or any(name not in THEOREMS for name in names):
        from . import refinement

        theorems, code = refinement.split(names, refined)
    if code and (crossed or certified or export is not None):
        raise BadInputError(
            f"{code[0]} is no theorem: --cross-check, --export and --certify are for theorems"
        )
    if c_sources is not None and not code:
        raise BadInputError("--c-sources DIR goes with --refinement, or with the name of a refinement")
    # What a plain run does without is loaded by who asks for it.
    if crossed:
        from .second_opinion import cross_check

        return cross_check(names, as_json=as_json, jobs=jobs or 0)
    if export is not None:
        from .second_opinion import export_obligations

        return export_obligations(names, export, jobs=jobs or 0, as_json=as_json)
    if certified:
        from .certificates import certify

        return certify(names, as_json, certificates)
    console = Console(highlight=False, soft_wrap=True)
    quiet = as_json or clauses
    options = {} if budget is None else {"budget": budget}
    # Of some theorems only those mutants say something that are there to break one of them.
    mutants = [mutant for mutant, seeded in MUTANTS.items() if not names or set(seeded.kills) & set(names)]
    cache = chosen(cached)
    report = ProofReport((), 0.0, NAME)
    with nullcontext() if as_json or theorems == () else _progress(console) as tell:
        if theorems != ():
            report = discharge(
                theorems,
                kill=kill,
                mutants=mutants,
                fast=fast,
                jobs=jobs or 0,
                on_result=None if quiet else lambda result: console.print(theorem_line(result)),
                on_mutant=None
                if quiet
                else lambda mutant, broken: console.print(mutant_line(mutant, broken)),
                on_progress=tell,
                on_warning=_warn,
                cache=cache,
                **options,
            )
    if code and report.interrupted:
        report = refinement.joined(report, refinement.untried(code))
    elif code:
        request = refinement.Request(code, kill=kill, jobs=jobs or 0, sources=c_sources, cache=cache)
        with nullcontext() if as_json else _progress(console, "parts") as tell:
            of_code = refinement.discharge(
                request,
                on_result=None if quiet else lambda result: console.print(refinement.result_line(result)),
                on_mutant=None if quiet else lambda fate: console.print(refinement.mutant_line(fate)),
                on_progress=tell,
                on_warning=_warn,
            )
        report = refinement.joined(report, of_code)
    if clauses:
        clause_table(as_json, asked, {result.name: result.verdict for result in report.theorems})
    elif as_json:
        click.echo(json.dumps(refinement.to_json(report) if code else report.to_json(), indent=2))
    if not as_json:
        console.print(f"[bold]{summary(report, code)}[/]")
        if report.assumed:
            count = f"{len(report.assumed)} theorem{'s' if len(report.assumed) > 1 else ''}"
            console.print(f"[dim]given {count} not proved in this run: {', '.join(report.assumed)}[/]")
        if fast and theorems != ():
            console.print("[dim]fast: whether the hypotheses can hold was not checked[/]")
        for mutant, open_ in () if report.interrupted else report.undecided.items():
            console.print(f"[yellow]unknown[/]  {mutant} on {', '.join(open_)}")
    return exit_code(report)
