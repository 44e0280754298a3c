"""The defects seeded into the example drivers: what each is, what has to find it, and the driver with it.

They lie beside each driver: ``mutants.toml`` says what they are, ``mutants/ID.patch`` seeds them.
"""

import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from ringproof.building import build_driver
from ringproof.patching import patched_copy
from ringproof.validation.campaign import Options
from ringproof.validation.examination import examine
from ringproof.validation.hostile import validate_hostile
from ringproof.validation.registry import ids
from ringproof.validation.report import ValidationReport
from ringproof.validation.variants import build_variants

EXAMPLES = Path(__file__).parents[1] / "examples"
Needs = Literal["plain", "accesses", "coverage", "hostile"]


@dataclass(frozen=True, slots=True)
class Seeded:
    """One defect in one driver.

    ``caught`` are clauses and checks, one is enough; ``needs`` is what it takes to see it; ``lawful``
    says why it is no defect in this driver, and then there is no patch.
    """

    id: str
    driver: str
    title: str
    caught: tuple[str, ...] = ()
    needs: Needs = "plain"
    lawful: str = ""

    @property
    def source(self) -> Path:
        """The directory of the driver without the defect."""
        return EXAMPLES / self.driver

    def copy(self, destination: Path) -> Path:
        """The sources with the defect, in a new directory below ``destination``."""
        patch = self.source / "mutants" / f"{self.id}.patch"
        return patched_copy(self.source, patch, destination / f"{self.driver}-{self.id}")


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a defect: the check that ``caught`` names, if it failed; all that failed; seconds.

    ``seconds`` are those until the first finding, None if there was none.
    """

    seeded: Seeded
    by: str
    failed: tuple[str, ...]
    seconds: float | None

    @property
    def died(self) -> bool:
        """Whether a check that names the defect failed."""
        return bool(self.by)


def seeded(driver: str | None = None) -> Iterator[Seeded]:
    """Every row of every driver's table, or of one's; lawful ones as well."""
    for table in sorted(EXAMPLES.glob("*/mutants.toml")):
        if driver not in (None, table.parent.name):
            continue
        for id, row in tomllib.loads(table.read_text()).items():
            yield Seeded(
                id,
                table.parent.name,
                row["title"],
                tuple(row.get("caught", ())),
                cast(Needs, row.get("needs", "plain")),
                row.get("lawful", ""),
            )


def kill(defect: Seeded, *, seed: int = 0, quick: bool = True, traces: Path | None = None) -> Kill:
    """Validate a driver with its defect, as ``ringproof validate --source`` does, up to the first failure."""
    with tempfile.TemporaryDirectory(prefix="ringproof-kill-") as folder:
        source = defect.copy(Path(folder))
        library = build_driver(source)
        wanted = () if defect.needs in ("plain", "hostile") else build_variants(source)
        variants = tuple(variant for variant in wanted if variant.kind == defect.needs)
        options = Options(
            quick=quick,
            fail_fast=True,
            seed=seed,
            traces=traces,
            variants=variants,
            shrink_seconds=0.5,
            second_look=False,
        )
        report = (
            validate_hostile(library, options=options)
            if defect.needs == "hostile"
            else examine(library, options=options)
        )
    return judged(defect, report)


def judged(defect: Seeded, report: ValidationReport) -> Kill:
    """Say whether a report names a defect."""
    failed = [check for _, part in report.parts for check in part.checks if check.verdict == "fail"]
    named = {name for check in failed for name in (check.name, *ids(check.clause))}
    found = [part.first_finding for _, part in report.parts if part.first_finding is not None]
    by = next((name for name in defect.caught if name in named), "")
    return Kill(defect, by, tuple(check.name for check in failed), min(found, default=None))
