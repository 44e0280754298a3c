"""``make mutants``: seeds each defect into every account of the queue; writes who notices to docs/mutants.md.

Nothing in the table is written by hand: the theorems are those that the prover finds broken, the run is the
one that the search finds and the reference replays, the check is what ``validate --quick`` reports first.
"""

import sys
from pathlib import Path

from ringproof.patching import mutated_driver
from ringproof.proofs.engine import prove
from ringproof.proofs.mutants.catalog import CATALOG, Mutant
from ringproof.traces.making import NoTrace, make_trace
from ringproof.validation.campaign import Options, validate

DOCUMENT = Path(__file__).parents[1] / "docs" / "mutants.md"
_HEAD = """# Who catches what

Each row is a defect, seeded into the parametric model (which theorem no longer holds for every queue size),
the unrolled model and the reference (the shortest run that shows it, replayed), and the C driver (what
`ringproof validate --quick` says first). `ringproof explain ID` tells more about one; `make mutants` writes
this page.

Two rows have no run. X8 concerns creation, before any run. X10 is harmless and breaks no promise to anybody:
it is there to show that the lemma behind accelerated search (`accelerated-round`) can fail.

| id | defect | theorems it breaks | shortest run | validate |
|---|---|---|---|---|
"""


def _run(mutant: str) -> str:
    """What the shortest run breaks, on which queue size and in how many operations."""
    try:
        document = make_trace(mutant)
    except NoTrace as verdict:
        return f"none of up to {verdict.result.depth} operations"
    except LookupError as error:
        return f"none: {error}"
    if not document.replayed:
        return f"not replayed: {document.extra.get('not_replayed')}"
    where = f"{document.property}: queue of {document.config.queue_size}"
    return f"{where}, {_operations(len(document.operations))}"


def _operations(count: int) -> str:
    return f"{count} operation" + ("" if count == 1 else "s")


def _verdict(mutant: str) -> str:
    """The failing check of the mutated C driver that is shown, its clause, and how long that run is."""
    report = validate(mutated_driver(mutant), options=Options(quick=True, traces=None))
    failed = [check for check in report.checks if check.verdict == "fail"]
    if not failed:
        return f"**{report.verdict}**"
    check = next((check for check in failed if check.name == report.shows), failed[0])
    run = f": {_operations(len(report.steps))}" if report.steps else ""
    return f"{check.name} ({check.clause}){run}"


def _row(mutant: Mutant, broken: tuple[str, ...]) -> str:
    cells = (mutant.id, mutant.title, ", ".join(broken), _run(mutant.id), _verdict(mutant.id))
    return "| " + " | ".join(cells) + " |\n"


def main() -> int:
    """Writes the page; 1 if some mutant breaks no theorem."""
    report = prove(kill=True, fast=True)
    rows = [_row(mutant, report.kills[id_]) for id_, mutant in CATALOG.items()]
    DOCUMENT.write_text(_HEAD + "".join(rows))
    print("".join(rows), end="")
    return 1 if report.survivors or report.undecided else 0


if __name__ == "__main__":
    sys.exit(main())
