"""Drivers that behave badly towards their process: a finding with a name, and the next one is tried."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringproof.building import build_library, c_sources
from ringproof.commands.validate import validate as validate_command
from ringproof.validation.campaign import Options, validate
from ringproof.validation.library import LibraryError

_CITIZEN = Path(__file__).parent / "drivers" / "citizen.c"
_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal" / "driver.c"
_SECONDS = 60.0  # on a busy machine; a few usually

_FINDINGS = {
    "FORKS": "starts-no-process",
    "FORKS_AND_WAITS": "starts-no-process",
    "DETACHES": "starts-no-process",
    "DESTROY_FORKS": "starts-no-process",
    "PRINTS_MUCH": "prints-little",
    "PRINTS_FOR_EVER": "no-hang",
    "CLOSES_FILES": "no-crash",
    "EXITS": "no-crash",
    "EXITS_AT_ONCE": "no-crash",
    "ABORTS": "no-crash",
    "BLOCKS_SIGNALS": "no-crash",
    "IGNORES_SIGNALS": "no-hang",
    "STOPS": "no-hang",
    "ALLOCATES": "no-crash",
    "OVERFLOWS_STACK": "no-crash",
    "LEAVES_GROUP": "no-hang",
    "THREAD_SCRIBBLES": "no-crash",
    "THREAD_CRASHES": "no-crash",
    "CREATE_HANGS": "no-hang",
    "DESTROY_HANGS": "no-hang",
}
_UNUSABLE = {
    "CONSTRUCTOR_HANGS": "did not come back within 1 s in load",
    "CONSTRUCTOR_EXITS": "ended the process (exit status 0) in load",
    "ENTRY_HANGS": "did not come back within 1 s in load",
    "ENTRY_CRASHES": "crashed (SIGABRT) in load",
}
_OPTIONS = Options(quick=True, fail_fast=True, hang_seconds=1.0, shrink_seconds=3.0, traces=None)

Citizen = Callable[[str], Path]


@pytest.fixture(scope="session")
def citizen() -> Citizen:
    """Builds a driver in good order that behaves badly in the manner named."""

    def build(manner: str) -> Path:
        return build_library(
            [_CITIZEN, _MINIMAL],
            include=[c_sources()],
            defines={f"CITIZEN_{manner}": "", "rp_driver_entry": "good_driver_entry"},
            extra_flags=["-pthread"],
        )

    return build


def test_a_good_citizen_passes(citizen: Citizen) -> None:
    """The driver that the others are made of has nothing against it."""
    report = validate(citizen("GOOD"), options=_OPTIONS)
    assert report.verdict == "pass"
    checks = {check.name: check.verdict for check in report.checks}
    assert checks["starts-no-process"] == checks["prints-little"] == "pass"


def test_to_get_lost_over_an_impossible_size_fails(citizen: Citizen) -> None:
    """A create that crashes or hangs when asked for what it is to decline is a failure like any other."""
    report = validate(citizen("SIZES_CRASH_AND_HANG"), options=_OPTIONS)
    checks = {check.name: check for check in report.checks}
    assert len(checks) == len(report.checks)
    assert report.verdict == "fail"
    assert {name for name, check in checks.items() if check.verdict == "fail"} == {"no-crash", "no-hang"}
    assert checks["no-crash"].detail.startswith("when asked for a queue of 0: the driver crashed (SIGABRT)")
    assert checks["no-hang"].detail.startswith("when asked for a queue of 3: the driver did not come back")
    assert checks["impossible-sizes-refused"].verdict == "not exercised"
    assert checks["impossible-sizes-refused"].detail == "create declines the sizes 65536"


@pytest.mark.slow
@pytest.mark.parametrize("manner", _FINDINGS)
def test_a_bad_citizen_is_a_finding_with_a_name(citizen: Citizen, manner: str) -> None:
    """Whatever it does to its process, the check that names it fails, or warns, within seconds."""
    began = time.monotonic()
    report = validate(citizen(manner), options=_OPTIONS)
    failed = {check.name for check in report.checks if check.verdict in ("fail", "warn")}
    assert _FINDINGS[manner] in failed, report.checks
    assert time.monotonic() - began < _SECONDS


@pytest.mark.parametrize("manner", _UNUSABLE)
def test_a_library_that_cannot_be_loaded_is_one_line(citizen: Citizen, manner: str) -> None:
    """A constructor or an entry that does not come back is an error that says so."""
    with pytest.raises(LibraryError) as caught:
        validate(citizen(manner), options=_OPTIONS)
    assert _UNUSABLE[manner] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["CONSTRUCTOR_HANGS", "FORKS", "CREATE_HANGS"])
def test_the_next_library_is_still_validated(citizen: Citizen, manner: str, tmp_path: Path) -> None:
    """A bad citizen on the command line takes nothing away from a good one after it."""
    arguments = ["--quick", "--json", "--timeout", "1", "--traces", str(tmp_path)]
    done = CliRunner().invoke(
        validate_command, [*arguments, str(citizen(manner)), str(citizen("GOOD"))], standalone_mode=False
    )
    bad, good = json.loads(done.stdout)
    assert bad["verdict"] in ("fail", "error")
    assert good["verdict"] == "pass"
