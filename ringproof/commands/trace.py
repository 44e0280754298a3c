"""``ringproof trace``: a run that shows a defect, searched or opened from a file, in many views."""

import os
from pathlib import Path

import click
from rich.console import Console

from ..errors import EXIT_HELD, EXIT_UNKNOWN, BadInputError, unknown_name
from ..journey.making import NoNetTrace, is_made_here, make_net_trace
from ..proofs.mutants.registry import DESCRIBED, MUTANTS, STEPS_ONLY
from ..proofs.mutants.unrolled import UNSEEDED
from ..proofs.search.deepening import DEFAULT_BUDGET
from ..proofs.search.portfolio import DEFAULT_DEPTH
from ..proofs.theorems import THEOREMS
from ..traces.document import TraceDocument
from ..traces.making import NoTrace, make_trace
from ..traces.schema import schema_text
from ..traces.steps_document import KIND, StepsDocument
from ..traces.stepwise import broken_theorems, make_steps_trace
from ..views.excerpt import has_step
from ..views.opening import Document, load_any
from ..views.scene import Scene
from ..views.staging import scene_of, scene_of_file
from ..views.terminal import render
from .outputs import EMITTED, Outputs


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


class NoRun(Exception):  # noqa: N818 - a verdict, not an error of this program
    """No run that shows a defect was found; the message is one line."""


def names_a_file(name: str) -> bool:
    """Whether a name stands for a saved trace: it has a path's separator, ends in .json, or is there."""
    separators = [os.sep, *([os.altsep] if os.altsep else [])]
    return name.endswith(".json") or any(each in name for each in separators) or Path(name).is_file()


def made(mutant: str, depth: int = DEFAULT_DEPTH, budget: int = DEFAULT_BUDGET) -> Document:
    """The trace of a mutant or a finding, by its id. Raises NoRun."""
    if mutant in STEPS_ONLY:
        found = make_steps_trace(mutant)
        if found is None:
            hint = f"ringproof prove {broken_theorems(mutant)[0].name} --kill shows it"
            raise NoRun(f"no run of the step-wise model was found that shows {mutant}; {hint}")
        return found.document()
    try:
        if is_made_here(mutant):
            return make_net_trace(mutant)
        return make_trace(mutant, depth=depth, budget=budget)
    except (NoNetTrace, NoTrace) as verdict:
        raise NoRun(str(verdict)) from None


def _print(document: Document | None, scene: Scene, step: int | None, everything: bool) -> None:
    render(scene, Console(highlight=False), all=everything, step=step)
    if isinstance(document, StepsDocument) and step in (None, scene.broken):
        # A scene is about one property; a run of single statements may break several theorems at once.
        for also in document.broken[1:]:
            click.echo(f"! {also.theorem}: {also.violated}")


def _schema(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(schema_text(), nl=False)
        context.exit()


_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.command()
@click.argument("name", metavar="MUTANT|THEOREM|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print the trace as an ITF document.")
@click.option("-o", "--output", type=_FILE, help="Write the document here, too (or what --emit makes).")
@click.option(
    "--all", "everything", is_flag=True, help="Show every variable at every step, not only what changed."
)
@click.option(
    "--step",
    type=int,
    metavar="N",
    help="Show step N alone: its whole state and the lines of code behind it.",
)
@click.option("--html", type=_FILE, help="Write a page to step through, which needs no network.")
@click.option(
    "--markdown", type=_FILE, help="Write a summary for an issue tracker, and its picture beside (.svg)."
)
@click.option("--svg", type=_FILE, help="Draw the ring at the step that broke, or at --step N.")
@click.option("--vcd", type=_FILE, help="Write a value change dump for a wave viewer, a nanosecond a step.")
@click.option("--mermaid", type=_FILE, help="Write a sequence diagram in Mermaid's language.")
@click.option(
    "--emit",
    type=click.Choice(EMITTED),
    help="Print a test that fails on the faulty driver; with -o write it there.",
)
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_schema,
    help="Print the JSON schema of saved traces, and nothing else.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=DEFAULT_DEPTH,
    show_default=True,
    help="Longest run tried, within what each queue size allows.",
)
@click.option("--budget", type=click.IntRange(min=1), default=DEFAULT_BUDGET, help="Solver resources.")
def trace(
    name: str,
    as_json: bool,
    output: Path | None,
    everything: bool,
    step: int | None,
    html: Path | None,
    markdown: Path | None,
    svg: Path | None,
    vcd: Path | None,
    mermaid: Path | None,
    emit: str | None,
    depth: int,
    budget: int,
) -> int:
    """Find the shortest run that shows a seeded defect, and replay it on the reference that carries it.

    A theorem's name stands for a mutant that breaks this theorem; that of a finding, for what Linux 3.11
    does. A FILE (a name with a path in it, one that ends in .json, or a file that is there) is a saved trace
    of any kind, which is shown as it is. A defect of single statements, which no implementation carries, is
    shown by a short run of the step-wise model, not replayed. --depth and --budget are for defects of the
    virtqueue that the reference carries.

    Several views may be written at once; "-" for a FILE is the standard output, and then nothing else is
    printed there. Exit code 3 when the search ends without a run, or the replay does not show what the model
    showed.
    """
    saved = Path(name) if names_a_file(name) else None
    outputs = Outputs(as_json, output, html, markdown, svg, vcd, mermaid, emit, step, saved)
    outputs.check()
    document: Document | None
    if saved:
        # Of a very long trace only a window is read, unless the whole is to be written again.
        scene = scene_of_file(saved, around=step, sources=outputs.needs_sources())
        document = load_any(saved) if outputs.needs_document() or scene.kind == KIND else None
        called = saved.name.removesuffix(".json").removesuffix(".itf")
    else:
        try:
            document = made(mutant_named(name), depth, budget)
        except NoRun as verdict:
            click.echo(f"ringproof: {verdict}", err=True)
            return EXIT_UNKNOWN
        scene = scene_of(document, sources=outputs.needs_sources())
        called = document.mutant or name
    if step is not None and not has_step(scene, step):
        raise BadInputError(f"--step {step}: the trace has steps 0 to {len(scene.steps) - 1}")
    outputs.write(document, scene, called)
    if not outputs.prints():
        _print(document, scene, step, everything)
    if not saved and isinstance(document, TraceDocument) and not document.replayed:
        click.echo(f"ringproof: not replayed: {document.extra.get('not_replayed', 'unknown')}", err=True)
        return EXIT_UNKNOWN
    return EXIT_HELD
