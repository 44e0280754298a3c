"""Write ``hints.py`` anew: which hypotheses each obligation needs.

Run ``python -m ringproof.proofs.learn`` after a change to the model or the theorems. Hints only save
time: a proof from some of the hypotheses is a proof, and without its hint an obligation is tried
from all of them.
"""

import json
from dataclasses import replace
from pathlib import Path

from .discharge import BUDGET
from .solver import core, refute, require_pinned
from .theorem import Obligation, Query, every_size
from .theorems import THEOREMS

_HEADER = '''"""The hypotheses that suffice for each obligation; written by ``learn``, not by hand."""

# ruff: noqa: E501
# fmt: off

HINTS: dict[str, frozenset[str]] = {
    label: frozenset(names.split())
    for label, names in (
'''


def _shrunk(query: Query, names: tuple[str, ...]) -> tuple[str, ...]:
    """Drop hypotheses one by one while the proof goes through at no greater cost."""
    cost = _cost(query, names, BUDGET) or BUDGET
    for name in names:
        fewer = tuple(other for other in names if other != name)
        reduced = _cost(query, fewer, cost)
        if reduced is not None:
            names, cost = fewer, reduced
    return names


def _cost(query: Query, names: tuple[str, ...], limit: int) -> int | None:
    few = {name: query.hypotheses[name] for name in names}
    answer = refute(replace(query, hypotheses=few), limit)
    return answer.rlimit if answer.result == "unsat" else None


def learn() -> str:
    """Return the text of ``hints.py`` for the theorems as they are."""
    require_pinned()
    stage = every_size()
    lines = []
    obligations: list[Obligation] = [entry for theorem in THEOREMS.values() for entry in theorem.obligations]
    for obligation in obligations:
        query = obligation.build(stage)
        if not obligation.every_size:
            continue
        names = core(query, BUDGET // 4) or tuple(query.hypotheses)
        lines.append(
            f"        ({json.dumps(obligation.label)}, {json.dumps(' '.join(_shrunk(query, names)))}),"
        )
    return _HEADER + "\n".join(lines) + "\n    )\n}\n"


if __name__ == "__main__":
    Path(__file__).with_name("hints.py").write_text(learn())
