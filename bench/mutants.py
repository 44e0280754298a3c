"""``make mutants``: seeds each defect into every account of the queue; writes who notices to docs/mutants.md.

Nothing in the tables is written by hand: the theorems are those that the prover finds broken, the run is the
one that the search finds and the reference replays, the check is what ``validate --quick`` reports first.
"""

import sys
from pathlib import Path

from ringproof.building import build_driver, c_sources
from ringproof.journey.making import NoNetTrace, make_net_trace
from ringproof.patching import mutated_driver
from ringproof.proofs.engine import prove
from ringproof.proofs.mutants.catalog import CATALOG, Mutant
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG
from ringproof.proofs.mutants.registry import NOT_OF_THE_QUEUE, STEPS_ONLY
from ringproof.traces.making import NoTrace, make_trace
from ringproof.validation.campaign import Options, validate
from ringproof.validation.net_campaign import validate_network
from ringproof.validation.report import ValidationReport

DOCUMENT = Path(__file__).parents[1] / "docs" / "mutants.md"
_HEAD = """# Who catches what

## The virtqueue

Each row is a defect, seeded into the parametric model (which theorem no longer holds for every queue size),
the unrolled model and the reference (the shortest run that shows it, replayed), and the C driver (what
`ringproof validate --quick` says first). `ringproof explain ID` tells more about one; `make mutants` writes
this page.

Two rows have no run. X8 concerns creation, before any run. X10 is harmless and breaks no promise to anybody:
it is there to show that the lemma behind accelerated search (`accelerated-round`) can fail.

| id | defect | theorems it breaks | shortest run | validate |
|---|---|---|---|---|
"""

_LINUX_ONLY = ("G3",)
_FRAME_HEAD = """
## The rest of the driver

These lie around the virtqueue, from sk_buff to the registers. The theorems are about the models of
skb_to_sgvec, the header, the transmit queue and the transports; the run is the shortest that the model has,
or else the first of ever larger frames that shows it, on the reference with the defect; `validate --quick`
is given the whole C driver.

G3 shows in the linux-3.11 profile alone, and is validated there: in virtio-1.x no frame is ever refused
(`frame-fits`), so ignoring a refusal harms nobody.

| id | defect | theorems it breaks | shortest run | validate |
|---|---|---|---|---|
"""

_STEPS_HEAD = """
## Single statements of the virtqueue

These are seeded into the step-wise model alone, where every statement of driver, handler and device is a
transition (A18 into the parametric one): no run of the reference and no C driver shows them, so there is
neither a run nor a check. `ringproof prove THEOREM --kill` shows a queue on which the theorem fails.

| id | defect | theorems it breaks | what is changed | seen in |
|---|---|---|---|---|
"""

_LEFT_OUT = """
## Seeded nowhere

Defects of real transmit paths that touch free lists, rings, suppression or indirect tables, but not what the
virtqueue of Linux 3.11 does.

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
    return _failing(validate(mutated_driver(mutant), options=Options(quick=True, traces=None)))


def _failing(report: ValidationReport) -> str:
    failed = [check for check in report.checks if check.verdict == "fail"]
    if not failed:
        return f"**{report.verdict}**"
    check = next((check for check in failed if check.name == report.shows), failed[0])
    run = f": {_operations(len(report.steps))}" if report.steps else ""
    return f"{check.name} ({check.clause}){run}"


def _frame_run(mutant: str) -> str:
    """What the shortest run breaks, on which queue size and in how many operations."""
    try:
        document = make_net_trace(mutant)
    except NoNetTrace as verdict:
        return str(verdict)
    where = f"{document.property}: queues of {document.config.queue_size}"
    return f"{where}, {_operations(len(document.operations))}"


def _frame_verdict(mutant: str) -> str:
    """The check of the whole mutated C driver that is shown, its clause, and how long that run is."""
    if mutant not in _LINUX_ONLY:
        return _failing(validate_network(mutated_driver(mutant), options=Options(quick=True, traces=None)))
    # The profile itself fails some checks: what counts is what the defect adds.
    options = Options(quick=True, traces=None)
    clean = validate_network(
        build_driver(c_sources(), defines={"RP_ADAPTER_LINUX_3_11": ""}), options=options
    )
    known = {check.name for check in clean.checks if check.verdict == "fail"}
    report = validate_network(mutated_driver(mutant, linux_3_11=True), options=options)
    added = [check for check in report.checks if check.verdict == "fail" and check.name not in known]
    return "; ".join(f"{check.name} ({check.clause})" for check in added) or "**nothing**"


def _row(mutant: Mutant, broken: tuple[str, ...], run: str, verdict: str) -> str:
    return "| " + " | ".join((mutant.id, mutant.title, ", ".join(broken), run, verdict)) + " |\n"


def _steps_row(mutant: Mutant, broken: tuple[str, ...]) -> str:
    return _row(mutant, broken, mutant.change, mutant.seen_in)


def main() -> int:
    """Writes the page; 1 if some mutant breaks no theorem."""
    report = prove(kill=True, fast=True)
    rows = [_row(mutant, report.kills[id_], _run(id_), _verdict(id_)) for id_, mutant in CATALOG.items()]
    frame_rows = [
        _row(mutant, report.kills[id_], _frame_run(id_), _frame_verdict(id_))
        for id_, mutant in FRAME_CATALOG.items()
    ]
    steps_rows = [_steps_row(mutant, report.kills[id_]) for id_, mutant in STEPS_ONLY.items()]
    left_out = [f"- {id_}: {reason}\n" for id_, reason in NOT_OF_THE_QUEUE.items()]
    DOCUMENT.write_text(
        "".join((_HEAD, *rows, _FRAME_HEAD, *frame_rows, _STEPS_HEAD, *steps_rows, _LEFT_OUT, *left_out))
    )
    print("".join((*rows, *frame_rows, *steps_rows)), end="")
    return 1 if report.survivors or report.undecided else 0


if __name__ == "__main__":
    sys.exit(main())
