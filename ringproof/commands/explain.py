"""``ringproof explain``: what a theorem, a mutant or a check means, and where it comes from."""

import click
from rich.console import Console
from rich.markup import escape

from ..building import c_sources
from ..errors import unknown_name
from ..proofs.mutants.registry import DESCRIBED, MUTANTS
from ..proofs.theorems import THEOREMS
from ..validation.verdicts import VERDICTS


def _theorem(name: str) -> list[str]:
    theorem = THEOREMS[name]
    lines = [f"[bold]{escape(theorem.title)}[/]   [dim]theorem {name}[/]", escape(theorem.statement), ""]
    lines += [f"  invariant  {escape(words)}" for words in theorem.invariants]
    lines += [
        f"  clause     {escape(theorem.clause)}",
        f"  proof      {len(theorem.obligations)} obligations; ringproof prove {name}",
    ]
    if theorem.expected == "refuted":
        lines.append(f"  a finding: refuted, as announced; ringproof trace {name} shows a run")
    elif theorem.broken_by:
        lines.append(
            f"  broken by  {', '.join(theorem.broken_by)}; then no other theorem is: prove {name} --kill"
        )
    else:
        breakers = ", ".join(mutant for mutant, seeded in MUTANTS.items() if name in seeded.kills)
        lines.append(f"  broken by  {breakers}, with others: prove {name} --kill")
    return lines


def _mutant(name: str) -> list[str]:
    mutant = DESCRIBED[name]
    return [
        f"[bold]{escape(mutant.title)}[/]   [dim]mutant {name}[/]",
        f"  the defect  {escape(mutant.change)}",
        f"  seen in     {escape(mutant.seen_in)}",
        f"  counterexample: ringproof trace {name}",
    ]


def _check(name: str) -> list[str]:
    (check,) = (each for each in VERDICTS.values() if each.name == name)
    level = "a driver fails that does not" if check.level == "fail" else "a warning where it does not hold"
    return [
        f"[bold]{escape(name)}[/]   [dim]check of ringproof validate[/]",
        escape(check.sentence),
        f"  clause  {escape(check.clause)}",
        f"  level   {level}",
    ]


def _overview() -> list[str]:
    lines = ["[bold]theorems[/]"]
    lines += [f"  {name:28} {escape(theorem.title)}" for name, theorem in THEOREMS.items()]
    lines += ["", "[bold]mutants[/]"]
    lines += [f"  {name:28} {escape(mutant.title)}" for name, mutant in DESCRIBED.items()]
    lines += ["", "[bold]checks of validate[/]"]
    lines += [f"  {check.name:28} {escape(check.clause)}" for check in VERDICTS.values()]
    return [*lines, "", f"[bold]the driver ABI[/]  {escape(str(c_sources() / 'ringproof_driver.h'))}"]


def _in_words(name: str) -> list[str]:
    if name in THEOREMS:
        return _theorem(name)
    if name.upper() in DESCRIBED:
        return _mutant(name.upper())
    checks = [check.name for check in VERDICTS.values()]
    if name in checks:
        return _check(name)
    by_clause = [check.name for check in VERDICTS.values() if check.clause == name]
    if by_clause:
        return [line for check in by_clause for line in (*_check(check), "")][:-1]
    if name == "abi":
        return [escape(str(c_sources() / "ringproof_driver.h"))]
    raise unknown_name("theorem, mutant, check or clause", name, [*THEOREMS, *DESCRIBED, *checks])


@click.command()
@click.argument("name", required=False)
def explain(name: str | None) -> int:
    """Say what a theorem, mutant, check or clause means; without NAME, list them all."""
    console = Console(highlight=False, soft_wrap=True)
    for line in _overview() if name is None else _in_words(name):
        console.print(line)
    return 0
