"""``ringproof explain``: what a theorem, a mutant or a check means, and where it comes from."""

import click
from rich.console import Console
from rich.markup import escape

from ..building import c_sources
from ..errors import unknown_name
from ..live.checks import LIVE_CHECKS
from ..live.verdicts import COURSE
from ..proofs.mutants.registry import DESCRIBED, MUTANTS, STEPS_ONLY
from ..proofs.theorems import THEOREMS
from ..validation.asked import CAMPAIGN, base
from ..validation.clauses import CLAUSES
from ..validation.decisions import decided
from ..validation.net_campaign import net_checks
from ..validation.provoked import BEARS, hostile_checks
from ..validation.registry import DEMANDS, MOMENTS, Demand, Observed
from ..validation.standing import judging, why_none
from ..validation.verdicts import VERDICTS
from . import refinement

_HEADERS = ("ringproof_driver.h", "ringproof_net_driver.h")
_SHOWN: dict[Observed, str] = {
    "ring": "ring memory and notifications",
    "ring, provoked": "ring memory and notifications, when the device does something special",
    "registers": "the driver's register accesses",
    "headers": "the network header of each frame",
    "packets": "the bytes of each frame",
    "driver state": "what the driver keeps to itself",
    "memory order": "the order of the driver's memory accesses",
    "nothing": "nothing, being a permission",
}


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


def _campaign_check(name: str) -> list[str]:
    source, words = CAMPAIGN[name]
    return [
        f"[bold]{escape(name)}[/]   [dim]check of ringproof validate[/]",
        escape(words),
        f"  source  {source}",
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


def _live_checks() -> dict[str, tuple[str, str]]:
    """Checks that only live runs have: what each serves, and its words."""
    shared = {check.name for check in VERDICTS.values()}
    own = {check.name: (check.clause, check.sentence) for check in LIVE_CHECKS.values()}
    return {name: said for name, said in {**own, **COURSE}.items() if name not in shared}


def _live_check(name: str) -> list[str]:
    source, words = _live_checks()[name]
    return [
        f"[bold]{escape(name)}[/]   [dim]check of ringproof live[/]",
        escape(words),
        f"  source  {escape(source)}",
    ]


def _hostile_check(name: str) -> list[str]:
    clause, words = hostile_checks()[name]
    oracle = clause.startswith("oracle")
    return [
        f"[bold]{escape(name)}[/]   [dim]check of ringproof validate --hostile[/]",
        escape(words if oracle else f"{words} {BEARS}"),
        f"  {'source ' if oracle else 'breaks '} {escape(clause)}",
        "  level   a driver fails that does not",
    ]


def _clause(demand: Demand) -> list[str]:
    level = "protocol text, without a word such as MUST" if demand.level == "desc" else demand.level
    checks = judging()[demand.id]
    lines = [
        f"[bold]{demand.id}[/]   [dim]clause of VIRTIO 1.3[/]",
        escape(demand.words),
        f"  level   {escape(level)}{_breach(demand)}",
        f"  shows   in {escape(_SHOWN[demand.observed])}; looked at {escape(MOMENTS[demand.when])}",
        f"  judged  by {escape(', '.join(checks))}"
        if checks
        else f"  judged  never: {escape(why_none(demand))}",
    ]
    if checks and demand.id in CLAUSES:
        lines.append(f"  not exercised in a network driver, if so: {escape(CLAUSES[demand.id].unseen)}")
    for decision in decided(demand.id):
        lines += [f"  asked   {escape(decision.question)}", f"  decided {escape(decision.decision)}"]
    return lines


def _breach(demand: Demand) -> str:
    """What a breach of a clause is, if it can be told."""
    if demand.level == "MAY" or not judging()[demand.id]:
        return ""
    warned = demand.level.startswith("SHOULD") or (demand.id in CLAUSES and CLAUSES[demand.id].loose)
    return ": a warning where it does not hold" if warned else ": a driver fails that does not"


def _section(name: str) -> list[Demand]:
    """The clauses of a section of VIRTIO 1.3, by its number."""
    return [demand for demand in DEMANDS.values() if demand.section == name]


def _several(parts: list[list[str]]) -> list[str]:
    return [line for part in parts for line in (*part, "")][:-1]


def _overview() -> list[str]:
    lines = ["[bold]theorems[/]"]
    lines += [f"  {name:28} {escape(theorem.title)}" for name, theorem in THEOREMS.items()]
    lines += ["", "[bold]refinements: what is proved of code (prove --refinement)[/]"]
    lines += [f"  {name:28} {escape(title)}" for name, title in refinement.titles().items()]
    lines += ["", "[bold]mutants[/]"]
    lines += [f"  {name:28} {escape(mutant.title)}" for name, mutant in DESCRIBED.items()]
    lines += ["", "[bold]checks of validate[/]"]
    lines += [f"  {check.name:28} {escape(check.clause)}" for check in VERDICTS.values()]
    lines += [f"  {name:28} {escape(source)}" for name, (source, _) in CAMPAIGN.items()]
    lines += ["", "[bold]checks of validate, of whole network drivers[/]"]
    lines += [f"  {name:28} {escape(check.words)}" for name, check in net_checks().items()]
    lines += ["", "[bold]checks of live runs alone[/]"]
    lines += [f"  {name:28} {escape(words)}" for name, (_, words) in _live_checks().items()]
    lines += ["", "[bold]checks of validate --hostile[/]"]
    lines += [f"  {name:28} {escape(words)}" for name, (_, words) in hostile_checks().items()]
    lines += ["", "[bold]clauses of VIRTIO 1.3[/]"]
    lines += [f"  {demand.id:28} {escape(demand.words)}" for demand in DEMANDS.values()]
    return [*lines, "", *(f"[bold]the driver ABI[/]  {escape(path)}" for path in _abi())]


def _abi() -> list[str]:
    return [str(c_sources() / header) for header in _HEADERS]


def _in_words(name: str) -> list[str]:
    if name.upper() in DESCRIBED:
        return _mutant(name.upper())
    checks = [check.name for check in VERDICTS.values()]
    # A theorem may have the name of what is checked of drivers.
    parts = [_theorem(name)] if name in THEOREMS else []
    parts += [refinement.described(name)] if name in refinement.find() else []
    parts += [_check(name)] if name in checks else []
    parts += [_campaign_check(base(name))] if base(name) in CAMPAIGN else []
    parts += [_net_check(name)] if name in net_checks() else []
    parts += [_live_check(name)] if name in _live_checks() else []
    parts += [_hostile_check(name)] if name in hostile_checks() else []
    clause = name.removeprefix("clause-")
    parts += [_clause(one) for one in ([DEMANDS[clause]] if clause in DEMANDS else _section(clause))]
    if parts:
        return _several(parts)
    if name == "abi":
        return [escape(path) for path in _abi()]
    known = [
        *THEOREMS,
        *refinement.find(),
        *DESCRIBED,
        *checks,
        *CAMPAIGN,
        *net_checks(),
        *_live_checks(),
        *hostile_checks(),
        *DEMANDS,
    ]
    raise unknown_name("theorem, refinement, mutant, check or clause", name, known)


@click.command()
@click.argument("name", required=False)
def explain(name: str | None) -> int:
    """Say what a theorem, refinement, mutant, check or clause means; without NAME, list them all."""
    console = Console(highlight=False, soft_wrap=True)
    for line in _overview() if name is None else _in_words(name):
        console.print(line)
    return 0
