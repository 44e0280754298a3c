"""``ringproof prove``: the theorems, one line each, and which mutant breaks which."""

import json

import click
from rich.console import Console
from rich.markup import escape

from ..errors import EXIT_HELD, EXIT_INTERRUPTED, EXIT_REFUTED, EXIT_UNKNOWN, unknown_name
from ..proofs.counterexample import changes
from ..proofs.engine import prove as discharge
from ..proofs.mutants.registry import MUTANTS, described
from ..proofs.report import ProofReport, TheoremResult
from ..proofs.theorems import THEOREMS

_COLOUR = {"proved": "green", "refuted": "red", "unknown": "yellow"}


def theorem_line(result: TheoremResult) -> str:
    """One theorem's verdict and title as rich markup, and what was not as announced on lines of their own."""
    colour = _COLOUR[result.verdict]
    cost = f"{result.obligations:3d} {result.seconds:6.2f} s {result.rlimit / 1e6:5.2f} M"
    lines = [f"[{colour}]{result.verdict:8}[/][dim]{cost}[/]  {escape(result.title)}"]
    if result.reason:
        lines.append(f"         [yellow]{escape(result.reason)}[/]")
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


def summary(report: ProofReport) -> str:
    """The last line: how many theorems held, how many mutants died, how long it took, and by which solver."""
    proved = sum(result.verdict == "proved" for result in report.theorems)
    findings = sum(result.expected == "refuted" for result in report.theorems)
    confirmed = sum(is_finding(result) for result in report.theorems)
    obligations = sum(result.obligations for result in report.theorems)
    claimed = len(report.theorems) - findings
    text = f"{proved} of {claimed} theorems proved for every queue size"
    if findings:
        text += f", {confirmed} of {findings} findings refuted as announced"
    text += f": {obligations} obligations"
    if report.kills:
        killed = sum(bool(broken) for broken in report.kills.values())
        text += f"; {killed} of {len(report.kills)} mutants killed"
    return f"{text}; {report.seconds:.1f} s, {report.solver}"


@click.command()
@click.argument("names", nargs=-1, metavar="[THEOREM]...")
@click.option("--kill", is_flag=True, help="Also try the mutants that should break them.")
@click.option("--fast", is_flag=True, help="Do not check that hypotheses are satisfiable: quickest feedback.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=None, help="Processes; one per core if not given."
)
@click.option("--budget", type=click.IntRange(min=1), default=None, help="Solver resources per obligation.")
def prove(
    names: tuple[str, ...], kill: bool, fast: bool, as_json: bool, jobs: int | None, budget: int | None
) -> int:
    """Prove the theorems about the virtqueue, for every queue size at once.

    One line each: verdict, obligations, solver seconds, Z3's resource count in millions, title. With --kill
    a line per mutant follows: the theorems that no longer hold for it.
    """
    for name in names:
        if name not in THEOREMS:
            raise unknown_name("theorem", name, THEOREMS)
    console = Console(highlight=False, soft_wrap=True)
    options = {} if budget is None else {"budget": budget}
    # Of some theorems only those mutants say something that are there to break one of them.
    mutants = [mutant for mutant, seeded in MUTANTS.items() if not names or set(seeded.kills) & set(names)]
    report = discharge(
        names or None,
        kill=kill,
        mutants=mutants,
        fast=fast,
        jobs=jobs or 0,
        on_result=None if as_json else lambda result: console.print(theorem_line(result)),
        on_mutant=None if as_json else lambda mutant, broken: console.print(mutant_line(mutant, broken)),
        **options,
    )
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        console.print(f"[bold]{summary(report)}[/]")
        if report.assumed:
            count = f"{len(report.assumed)} theorem{'s' if len(report.assumed) > 1 else ''}"
            console.print(f"[dim]given {count} not proved in this run: {', '.join(report.assumed)}[/]")
        if fast:
            console.print("[dim]fast: whether the hypotheses can hold was not checked[/]")
        for mutant, theorems in report.undecided.items():
            console.print(f"[yellow]unknown[/]  {mutant} on {', '.join(theorems)}")
    return exit_code(report)
