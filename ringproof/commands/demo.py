"""``ringproof demo``: everything the tool does, small; each step is a command anyone can repeat."""

import os
import shlex
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..errors import EXIT_HELD, EXIT_INTERRUPTED, EXIT_REFUTED
from .build import build
from .prove import prove
from .replay import replay
from .trace import trace
from .validate import validate
from .xmit import xmit

_DEFECT = "D1"
"""The mutant the demo follows from proof to driver: one kick lost where the index wraps."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What is said before a command, the command and its arguments, and the exit code it must end with."""

    says: str
    command: click.Command
    arguments: tuple[str, ...]
    ends: int = EXIT_HELD


def _steps() -> list[_Step]:
    """The commands in order; the files they make are in the current folder."""
    broken = f"driver-{_DEFECT}.so"
    return [
        _Step("What holds, for every queue size from 1 to 32768 at once:", prove, ()),
        _Step(
            "A check that cannot fail shows nothing. Here each seeded defect must break a theorem:",
            prove,
            ("num-free-exact", "need-event-exact", "--kill", "--fast"),
        ),
        _Step(
            "The shortest run that shows one of them, found by the solver, replayed on the reference:",
            trace,
            (_DEFECT, "--output", f"{_DEFECT}.itf.json"),
        ),
        _Step(
            "What Linux 3.11 itself gets wrong: a queue of 16 that stops and never wakes:",
            trace,
            ("small-queue-wakes-linux-3.11",),
        ),
        _Step(
            "One frame, from sk_buff to the doorbell and back, through the reference and the C driver:",
            xmit,
            ("--frame", "tcp4 len=4000 frags=1000@16,1000 gso=1448 csum", "--queue-size", "32"),
        ),
        _Step(
            "This project's C driver as a shared library behind the driver ABIs:",
            build,
            ("-o", "driver.so"),
        ),
        _Step("Its verdict:", validate, ("--quick", "driver.so")),
        _Step(
            "The same driver with that defect, as Unikraft once shipped it:",
            build,
            ("--mutant", _DEFECT, "-o", broken),
        ),
        _Step("Its verdict:", validate, ("--quick", broken), EXIT_REFUTED),
        _Step(
            "The solver's counterexample, replayed on that driver:",
            replay,
            (f"{_DEFECT}.itf.json", "--driver", broken),
            EXIT_REFUTED,
        ),
    ]


@click.command()
def demo() -> int:
    """Prove, find a counterexample, validate a driver and catch a broken one: a tour of the tool.

    Exit code 0 when every step ended as it should.
    """
    console = Console(highlight=False, soft_wrap=True)
    started = time.perf_counter()
    surprises = []
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="ringproof-demo-") as folder:
        os.chdir(folder)
        try:
            for step in _steps():
                line = shlex.join(["ringproof", str(step.command.name), *step.arguments])
                console.print(f"\n[bold]{escape(step.says)}[/]\n[cyan]$ {escape(line)}[/]")
                ended = int(step.command.main(list(step.arguments), standalone_mode=False) or 0)
                if ended == EXIT_INTERRUPTED:
                    raise click.Abort
                if ended != step.ends:
                    surprises.append(f"{line}: exit code {ended} instead of {step.ends}")
        finally:
            os.chdir(here)
    for surprise in surprises:
        console.print(f"[bold red]{escape(surprise)}[/]")
    if not surprises:
        seconds = time.perf_counter() - started
        console.print(f"\n[bold green]Every step ended as it should[/], in {seconds:.0f} s.")
    return EXIT_REFUTED if surprises else EXIT_HELD
