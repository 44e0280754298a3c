"""The example driver with a bitmap, and the defects that are kept beside it and beside the network driver."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ringproof.building import build_driver, c_sources, find_compiler
from ringproof.patching import mutant_ids
from ringproof.validation.campaign import Options, validate
from ringproof.validation.clauses import CLAUSES
from ringproof.validation.hostile import ORACLES
from ringproof.validation.hostile_runs import INJECTIONS
from ringproof.validation.net_findings import NET_CHECKS
from ringproof.validation.observer import ORACLES as NET_ORACLES
from ringproof.validation.verdicts import VERDICTS

EXAMPLES = Path(__file__).parents[2] / "examples"
BITMAP, NETWORK = EXAMPLES / "bitmap", EXAMPLES / "network"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic")
NEEDS = {"plain", "accesses", "coverage", "hostile"}
MOST_LINES = 350


def rows(source: Path) -> dict[str, dict[str, Any]]:
    """The table of mutants of an example."""
    return tomllib.loads((source / "mutants.toml").read_text())


def test_it_is_short() -> None:
    """It stays documentation: something to be read in one sitting."""
    assert len((BITMAP / "driver.c").read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("command", ["gcc", "clang"])
def test_it_builds_without_a_warning(command: str, tmp_path: Path) -> None:
    """Both compilers have nothing to say of it."""
    compiler = find_compiler(command)
    options = ["-std=c11", "-O2", *WARNINGS, "-fPIC", "-shared", f"-I{c_sources()}"]
    said = subprocess.run(
        [*compiler.command, *options, str(BITMAP / "driver.c"), "-o", str(tmp_path / "driver.so")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_it_passes() -> None:
    """A short validation finds nothing, and has nothing to warn of."""
    report = validate(build_driver(BITMAP), options=Options(quick=True, traces=None))
    assert [(check.name, check.detail) for check in report.checks if check.verdict in ("fail", "warn")] == []
    assert report.verdict == "pass"


@pytest.mark.parametrize("source", [BITMAP, NETWORK], ids=["bitmap", "network"])
def test_every_row_says_what_it_must(source: Path) -> None:
    """A row has a title and either a patch, with what has to fail and where, or a reason to have none."""
    patches = set(mutant_ids(source))
    for mutant, row in rows(source).items():
        assert row["title"], mutant
        if "lawful" in row:
            assert row["lawful"], mutant
            assert row.keys() <= {"title", "lawful"}, mutant
            assert mutant not in patches, mutant
        else:
            assert row["caught"], mutant
            assert row["needs"] in NEEDS, mutant
            assert row.keys() <= {"title", "caught", "needs", "features"}, mutant
    assert patches == {mutant for mutant, row in rows(source).items() if "lawful" not in row}


def test_the_checks_that_have_to_fail_are_known() -> None:
    """What is named as caught is a check or a clause that there is."""
    known = {name for verdict in VERDICTS.values() for name in (verdict.name, verdict.clause)}
    known |= {injection.name for injection in INJECTIONS} | ORACLES.keys() | {"no-crash", "no-hang"}
    for mutant, row in rows(BITMAP).items():
        assert set(row.get("caught", ())) <= known, mutant
    known = {f"clause-{clause}" for clause in CLAUSES}
    known |= {name for verdict in VERDICTS.values() for name in (verdict.name, verdict.property)}
    known |= NET_ORACLES.keys() | {check.name for check in NET_CHECKS.values()} | {"no-crash", "no-hang"}
    for mutant, row in rows(NETWORK).items():
        assert set(row.get("caught", ())) <= known, mutant
