"""``ringproof trace``: the shortest run that shows a defect, replayed on the reference that carries it."""

from pathlib import Path

import click
from rich.console import Console

from ..errors import EXIT_HELD, EXIT_UNKNOWN, BadInputError, unknown_name
from ..journey.making import NoNetTrace, is_made_here, make_net_trace
from ..journey.terminal import render_trace
from ..proofs.mutants.registry import DESCRIBED, MUTANTS, STEPS_ONLY
from ..proofs.mutants.unrolled import UNSEEDED
from ..proofs.search.deepening import DEFAULT_BUDGET
from ..proofs.search.portfolio import DEFAULT_DEPTH
from ..proofs.theorems import THEOREMS
from ..traces.making import NoTrace, make_trace
from ..traces.stepwise import broken_theorems, make_steps_trace
from ..traces.terminal import render


def mutant_named(name: str) -> str:
    """The mutant a name stands for: its own id in any case, or that of one that breaks this theorem.

    One that an implementation carries is preferred, and one that breaks this theorem alone; a finding stands
    for itself. Raises BadInputError for a name nobody knows, and for a mutant that no run can show.
    """
    if name.upper() in DESCRIBED:
        ids = [name.upper()]
    elif name in THEOREMS:
        if is_made_here(name):
            return name
        ids = [*THEOREMS[name].broken_by, *(mutant for mutant in MUTANTS if name in MUTANTS[mutant].kills)]
    else:
        raise unknown_name("mutant or theorem", name, [*DESCRIBED, *THEOREMS])
    seeded = [mutant for mutant in ids if mutant not in UNSEEDED and mutant not in STEPS_ONLY]
    told = [mutant for mutant in ids if mutant in STEPS_ONLY and broken_theorems(mutant)]
    if not seeded and not told:
        raise BadInputError(f"{ids[0]} ({DESCRIBED[ids[0]].title}) has no trace: {_untraced(ids[0])}")
    return (*seeded, *told)[0]


def _untraced(mutant: str) -> str:
    """Why a mutant has no trace, and what shows it instead."""
    if mutant in UNSEEDED:
        return UNSEEDED[mutant]
    why = "it breaks no theorem of the step-wise model, and no implementation carries it"
    broken = next((name for name in THEOREMS if name in MUTANTS[mutant].kills), None)
    return why if broken is None else f"{why}; ringproof prove {broken} --kill shows it"


def _single_statements(mutant: str, as_json: bool, output: Path | None) -> int:
    """The run of a mutant that is seeded into the step-wise model alone."""
    found = make_steps_trace(mutant)
    if found is None:
        broken = broken_theorems(mutant)[0].name
        hint = f"ringproof prove {broken} --kill shows it"
        click.echo(
            f"ringproof: no run of the step-wise model was found that shows {mutant}; {hint}", err=True
        )
        return EXIT_UNKNOWN
    if output is not None:
        found.save(output)
    if as_json:
        click.echo(found.text(), nl=False)
    else:
        click.echo("\n".join(found.lines()))
    return EXIT_HELD


def _whole_driver(name: str, as_json: bool, output: Path | None, everything: bool) -> int:
    """The trace of a finding, or of a mutant of the whole driver."""
    try:
        document = make_net_trace(name)
    except NoNetTrace as verdict:
        click.echo(f"ringproof: {verdict}", err=True)
        return EXIT_UNKNOWN
    if output is not None:
        document.save(output)
    if as_json:
        click.echo(document.text(), nl=False)
    else:
        render_trace(document, Console(highlight=False), all=everything)
    return EXIT_HELD


@click.command()
@click.argument("name", metavar="MUTANT|THEOREM")
@click.option("--json", "as_json", is_flag=True, help="Print the trace as an ITF document.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the document here, too."
)
@click.option(
    "--all", "everything", is_flag=True, help="Show every variable at every step, not only what changed."
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=DEFAULT_DEPTH,
    show_default=True,
    help="Longest run tried, within what each queue size allows.",
)
@click.option("--budget", type=click.IntRange(min=1), default=DEFAULT_BUDGET, help="Solver resources.")
def trace(name: str, as_json: bool, output: Path | None, everything: bool, depth: int, budget: int) -> int:
    """Find the shortest run that shows a seeded defect, and replay it on the reference that carries it.

    A theorem's name stands for a mutant that breaks this theorem; that of a finding, for what Linux 3.11
    does. A defect of single statements, which no implementation carries, is shown by a short run of the
    step-wise model, not replayed; it has a JSON form of its own. --depth and --budget are for defects of the
    virtqueue that the reference carries. Exit code 3 when the search ends without a run, or the replay does
    not show what the model showed.
    """
    mutant = mutant_named(name)
    if mutant in STEPS_ONLY:
        return _single_statements(mutant, as_json, output)
    if is_made_here(mutant):
        return _whole_driver(mutant, as_json, output, everything)
    try:
        document = make_trace(mutant, depth=depth, budget=budget)
    except NoTrace as verdict:
        click.echo(f"ringproof: {verdict}", err=True)
        return EXIT_UNKNOWN
    if output is not None:
        document.save(output)
    if as_json:
        click.echo(document.text(), nl=False)
    else:
        render(document, Console(highlight=False), all=everything)
    if not document.replayed:
        click.echo(f"ringproof: not replayed: {document.extra.get('not_replayed', 'unknown')}", err=True)
        return EXIT_UNKNOWN
    return EXIT_HELD
