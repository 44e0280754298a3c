"""``make kills``: validates every example driver with each of its defects; what finds it is in docs/kills.md.

Nothing in the tables is written by hand: the check is the one that fails, the seconds pass from the start of
``ringproof validate --quick --fail-fast`` until the first finding, building left out.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .seeded import Kill, Seeded, kill, seeded

DOCUMENT = Path(__file__).parents[1] / "docs" / "kills.md"
ELSEWHERE = {
    "C6": "a compiler's freedom with aliased types: in C11 atomics there is nothing to alias",
    "C9": "barriers for devices behind memory that is not coherent: there is none here",
    "C10": "the invalidation of a cache: memory here is coherent",
    "D18": "a threshold for reclaiming in bursts, which none of these drivers has",
    "G15": "reception",
    "I1": "several threads: behind this ABI there is one",
    "I2": "several threads: behind this ABI there is one",
    "I3": "several threads: behind this ABI there is one",
    "I5": "a race on a hint, which is harmless",
    "I6": "fairness, not correctness",
}
"""Defects that no driver behind this ABI can have, or none here, and why."""
SOON = 5.0
"""Seconds within which nine of ten defects are to be found."""
_HEAD = """# Who finds what

Each row happened in a shipped driver and is seeded into one of the [example drivers](../examples), as a patch
in its folder. The check is the one of `ringproof validate` that names it; the seconds pass until the first
finding with `--quick`. `make kills` writes this page.

"""


def table(kills: Sequence[Kill]) -> Iterator[str]:
    """The rows of the table, in the order of the ids."""
    yield "| id | defect | driver | found by | seconds |\n|---|---|---|---|---|\n"
    for each in sorted(kills, key=lambda each: _order(each.seeded)):
        defect = each.seeded
        seconds = f"{each.seconds:.1f}" if each.seconds is not None else ""
        needs = "" if defect.needs == "plain" else f" ({defect.needs})"
        found = f"`{each.by}`" if each.died else "**nothing**"
        yield f"| {defect.id} | {defect.title} | {defect.driver} | {found}{needs} | {seconds} |\n"


def _order(defect: Seeded) -> tuple[str, int, str]:
    return defect.id[0], int(defect.id[1:]), defect.driver


def summary(kills: Sequence[Kill]) -> str:
    """How many died, and how soon."""
    died = [each for each in kills if each.died]
    soon = [each for each in died if each.seconds is not None and each.seconds < SOON]
    return (
        f"{len(died)} of {len(kills)} defects were found by a check that names them, "
        f"{len(soon)} of them ({100 * len(soon) / max(1, len(kills)):.0f} %) within {SOON:g} seconds.\n"
    )


def lawful(rows: Sequence[Seeded]) -> Iterator[str]:
    """What is no defect in the driver it could be seeded into, and what no driver here can have."""
    yield "\n## No defect here\n\n| id | driver | why |\n|---|---|---|\n"
    for row in sorted(rows, key=_order):
        if row.lawful:
            yield f"| {row.id} | {row.driver} | {row.lawful} |\n"
    for id, why in ELSEWHERE.items():
        yield f"| {id} | any | {why} |\n"


def main() -> int:
    """Write the page; 1 if something was not found."""
    rows = list(seeded())
    kills = []
    for defect in rows:
        if defect.lawful:
            continue
        kills.append(kill(defect))
        found = kills[-1]
        print(f"{defect.driver:8} {defect.id:4} {found.by or 'NOTHING'} {found.seconds}", flush=True)
    DOCUMENT.write_text(_HEAD + summary(kills) + "\n" + "".join([*table(kills), *lawful(rows)]))
    return 0 if all(each.died for each in kills) else 1


if __name__ == "__main__":
    sys.exit(main())
