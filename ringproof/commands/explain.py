"""``ringproof explain``: what a theorem, a mutant or a check means, and where it comes from."""

import click
from rich.console import Console
from rich.markup import escape

from ..building import c_sources
from ..errors import unknown_name
from ..proofs.mutants.registry import DESCRIBED, MUTANTS, STEPS_ONLY
from ..proofs.theorems import THEOREMS
from ..validation.clauses import CLAUSES, Clause
from ..validation.net_campaign import net_checks
from ..validation.verdicts import VERDICTS

_HEADERS = ("ringproof_driver.h", "ringproof_net_driver.h")
_SHOWN = {
    "registers": "the driver's register accesses", "headers": "the header and bytes of each frame",
    "runs": "what goes through the ring", "never": "nothing here",
}  # fmt: skip


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
            f"  broken by  {', '.join(theorem.broken_by)}; then no other theorem of its model is: "
            f"prove {name} --kill"
        )
    else:
        breakers = ", ".join(mutant for mutant, seeded in MUTANTS.items() if name in seeded.kills)
        lines.append(f"  broken by  {breakers}, with others: prove {name} --kill")
    return lines


def _mutant(name: str) -> list[str]:
    mutant = DESCRIBED[name]
    broken = next(theorem for theorem in THEOREMS if theorem in MUTANTS[name].kills)
    shown = f"prove {broken} --kill" if name in STEPS_ONLY else f"trace {name}"
    return [
        f"[bold]{escape(mutant.title)}[/]   [dim]mutant {name}[/]",
        f"  the defect  {escape(mutant.change)}",
        f"  seen in     {escape(mutant.seen_in)}",
        f"  counterexample: ringproof {shown}",
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


def _net_check(name: str) -> list[str]:
    check = net_checks()[name]
    level = "a driver fails that does not" if check.breach == "fail" else "a warning where it does not hold"
    return [
        f"[bold]{escape(name)}[/]   [dim]check of ringproof validate, of whole network drivers[/]",
        escape(check.words),
        f"  source  {escape(check.source)}",
        f"  level   {level}",
    ]


def _clause(clause: Clause) -> list[str]:
    level = "protocol text, without a word such as MUST" if clause.level == "desc" else clause.level
    verdict = (
        "a driver fails that does not" if clause.breach == "fail" else "a warning where it does not hold"
    )
    unseen = "not observable" if clause.shown == "never" else "not exercised"
    return [
        f"[bold]{clause.id}[/]   [dim]clause of VIRTIO 1.3 for network drivers, check clause-{clause.id}[/]",
        escape(clause.words),
        f"  level   {escape(level)}" + ("" if clause.shown == "never" else f": {verdict}"),
        f"  shows   in {_SHOWN[clause.shown]}",
        f"  {unseen}, if so: {escape(clause.unseen)}",
    ]


def _section(name: str) -> list[Clause]:
    """The clauses of a section of VIRTIO 1.3, by its number."""
    return [clause for clause in CLAUSES.values() if clause.id.rstrip("abcdefghijklmnopqrstuvwxyz") == name]


def _several(parts: list[list[str]]) -> list[str]:
    return [line for part in parts for line in (*part, "")][:-1]


def _overview() -> list[str]:
    lines = ["[bold]theorems[/]"]
    lines += [f"  {name:28} {escape(theorem.title)}" for name, theorem in THEOREMS.items()]
    lines += ["", "[bold]mutants[/]"]
    lines += [f"  {name:28} {escape(mutant.title)}" for name, mutant in DESCRIBED.items()]
    lines += ["", "[bold]checks of validate[/]"]
    lines += [f"  {check.name:28} {escape(check.clause)}" for check in VERDICTS.values()]
    lines += ["", "[bold]checks of validate, of whole network drivers[/]"]
    lines += [f"  {name:28} {escape(check.words)}" for name, check in net_checks().items()]
    lines += ["", "[bold]clauses of VIRTIO 1.3, for whole network drivers[/]"]
    lines += [f"  {clause.id:28} {escape(clause.words)}" for clause in CLAUSES.values()]
    return [*lines, "", *(f"[bold]the driver ABI[/]  {escape(path)}" for path in _abi())]


def _abi() -> list[str]:
    return [str(c_sources() / header) for header in _HEADERS]


def _in_words(name: str) -> list[str]:
    if name.upper() in DESCRIBED:
        return _mutant(name.upper())
    checks = [check.name for check in VERDICTS.values()]
    # A theorem may have the name of what is checked of drivers, and both parts of validate know some clauses.
    parts = [_theorem(name)] if name in THEOREMS else []
    parts += [_check(name)] if name in checks else []
    parts += [_net_check(name)] if name in net_checks() else []
    parts += [_check(check.name) for check in VERDICTS.values() if check.clause == name]
    clause = name.removeprefix("clause-")
    parts += [_clause(one) for one in ([CLAUSES[clause]] if clause in CLAUSES else _section(clause))]
    if parts:
        return _several(parts)
    if name == "abi":
        return [escape(path) for path in _abi()]
    known = [*THEOREMS, *DESCRIBED, *checks, *net_checks(), *CLAUSES]
    raise unknown_name("theorem, mutant, check or clause", name, known)


@click.command()
@click.argument("name", required=False)
def explain(name: str | None) -> int:
    """Say what a theorem, mutant, check or clause means; without NAME, list them all."""
    console = Console(highlight=False, soft_wrap=True)
    for line in _overview() if name is None else _in_words(name):
        console.print(line)
    return 0
