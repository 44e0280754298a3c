"""The example drivers are clean, and the defects kept beside them are patches, each with its account."""

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.patching import mutant_ids
from ringproof.validation.campaign import Options, validate

EXAMPLES = Path(__file__).parents[2] / "examples"
DRIVERS = ("lifo", "fifo")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-fPIC", "-shared")
NEEDS = ("plain", "accesses", "coverage", "hostile")
FEATURES = ("INDIRECT_DESC", "EVENT_IDX", "VERSION_1", "IN_ORDER", "NOTIFICATION_DATA")


def _accounts(driver: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((EXAMPLES / driver / "mutants.toml").read_text())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_compiles_without_a_warning(driver: str, compiler: str, tmp_path: Path) -> None:
    """It is C11, and says nothing to a strict compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source = EXAMPLES / driver / "driver.c"
    command = [compiler, *STRICT, f"-I{c_sources()}", "-o", str(tmp_path / "driver.so"), str(source)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("driver", DRIVERS)
def test_passes_a_quick_validation(driver: str) -> None:
    """Nothing fails, and it is warned of nothing."""
    report = validate(build_driver(EXAMPLES / driver), options=Options(quick=True, traces=None))
    assert [(check.name, check.detail) for check in report.checks if check.verdict == "fail"] == []
    assert [(check.name, check.detail) for check in report.checks if check.verdict == "warn"] == []
    assert report.verdict == "pass"


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_defect_has_an_account(driver: str) -> None:
    """Patches and tables have the same names, apart from rows that are lawful here and say why."""
    accounts = _accounts(driver)
    lawful = {name for name, account in accounts.items() if "lawful" in account}
    assert {*mutant_ids(EXAMPLES / driver)} == accounts.keys() - lawful
    for name in lawful:
        assert accounts[name].keys() == {"title", "lawful"}, name
        assert accounts[name]["lawful"], name


@pytest.mark.parametrize("driver", DRIVERS)
def test_accounts_are_well_formed(driver: str) -> None:
    """Each says what it is, what has to fail, what it takes to see it, and nothing else."""
    for name, account in _accounts(driver).items():
        assert account["title"], name
        if "lawful" in account:
            continue
        assert account.keys() - {"features"} == {"title", "caught", "needs"}, name
        assert account["caught"], name
        assert all(isinstance(what, str) and what for what in account["caught"]), name
        assert account["needs"] in NEEDS, name
        assert set(account.get("features", ())) <= set(FEATURES), name
