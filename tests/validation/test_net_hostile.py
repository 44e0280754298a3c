"""What whole network drivers do when their device breaks the rules: who bears it, and each way not to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.building import build_driver
from ringproof.validation.asked import asked
from ringproof.validation.hostile import F11
from ringproof.validation.net_findings import NET_CHECKS
from ringproof.validation.net_hostile import joined, validate_network_hostile
from ringproof.validation.net_hostile_scenes import NET_INJECTIONS
from ringproof.validation.options import Options
from ringproof.validation.provoked import hostile_checks
from ringproof.validation.report import Check, ValidationReport

SOURCE = Path(__file__).parents[2] / "examples" / "network" / "driver.c"
NAMES = [injection.name for injection in NET_INJECTIONS]
Seeded = Callable[..., Path]

# check, what the driver no longer does, and what is said of it then
DEFECTS = [
    ("hostile-F1", ("head >= queue->size || ", ""), "crash"),
    ("hostile-F1", ("uint32_t head = used->", "uint32_t head = (uint16_t)used->"), "freed before the device"),
    (
        "hostile-F1",
        ("last_used++ % queue->size].id;", "last_used++ % queue->size].id % queue->size;"),
        "freed",
    ),
    ("hostile-F2", (" || queue->shadow[head].token == NULL", ""), "freed"),
    ("hostile-F2", ("        frame->token = NULL;\n", ""), "freed"),
    (
        "hostile-F4",
        (
            "        struct shadow *frame;\n",
            "        uint32_t length = used->ring[(queue->last_used - 1) % queue->size].length;\n"
            "        if (length != 0) ((volatile char *)used)[length + 4096];\n"
            "        struct shadow *frame;\n",
        ),
        "crash",
    ),
    (
        "hostile-F10",
        (
            "    reclaim(device);\n",
            "    if (queue->last_used == ((struct used *)queue->ring[2].memory)->idx) __builtin_trap();\n"
            "    reclaim(device);\n",
        ),
        "crash",
    ),
    (
        "hostile-F12",
        (
            "        device->features &= ~(F_HOST_TSO4 | F_HOST_TSO6);\n",
            "        if (device->features & F_HOST_TSO4) __builtin_trap();\n",
        ),
        "crash",
    ),
    ("hostile-F13", ("tries < PATIENCE", "tries < 1 || tries > 0"), "did not come back"),
    ("hostile-F13", ("if (reset(device) != RP_NET_OK) return;", "reset(device);"), "was freed"),
]


@pytest.fixture
def seeded(tmp_path: Path) -> Seeded:
    """Builds the driver with a piece of its text replaced; it must be there once."""

    def build(old: str, new: str) -> Path:
        text = SOURCE.read_text()
        assert text.count(old) == 1, old
        folder = tmp_path / "seeded"
        folder.mkdir()
        (folder / "driver.c").write_text(text.replace(old, new))
        return build_driver(folder)

    return build


def _provoked(library: Path) -> ValidationReport:
    return validate_network_hostile(library, options=Options(quick=True, traces=None))


def _failed(report: ValidationReport) -> dict[str, str]:
    return {check.name: check.detail for check in report.checks if check.verdict == "fail"}


def test_a_driver_that_believes_little_bears_everything(own_driver: Path) -> None:
    """The shipped driver and that of the examples pass every injection, and each was tried."""
    for library in (own_driver, build_driver(SOURCE.parent)):
        report = _provoked(library)
        assert [check.name for check in report.checks] == NAMES
        assert {check.verdict for check in report.checks} == {"pass"}, report.checks
        assert (report.verdict, report.exhibits) == ("pass", ())
        assert report.operations > 500


@pytest.mark.slow
@pytest.mark.parametrize(("check", "replaced", "said"), DEFECTS)
def test_each_belief_is_found_out(check: str, replaced: tuple[str, str], said: str, seeded: Seeded) -> None:
    """A driver that believes one thing more fails there, is shown failing, and the run goes on."""
    report = _provoked(seeded(*replaced))
    assert report.verdict == "fail"
    assert said in _failed(report)[check]
    assert "deterministic" in _failed(report)[check]
    assert {check.name for check in report.checks} == set(NAMES)
    exhibit = next(each for each in report.exhibits if each.check == check)
    assert "the driver probes the device" in exhibit.steps
    assert report.steps


def test_a_wrong_number_of_pairs_is_found_to_be_believed() -> None:
    """The tiny driver of the worker's tests believes max_virtqueue_pairs, and used ids."""
    report = _provoked(build_driver(Path(__file__).parents[1] / "worker" / "drivers" / "tinynet"))
    failed = _failed(report)
    assert {"hostile-F1", "hostile-F2", "hostile-F11"} <= failed.keys()
    assert "max_virtqueue_pairs is 0" in failed["hostile-F11"]


def test_what_was_freed_before_a_reset_was_seen_is_said(linux_driver: Path) -> None:
    """The linux-3.11 profile gives frames back whatever status reads."""
    failed = _failed(_provoked(linux_driver))
    assert failed.keys() == {"hostile-F13"}
    assert "was freed, though the device still has it" in failed["hostile-F13"]


def test_reports_on_both_parts_become_one(own_driver: Path) -> None:
    """A check of both parts has the worse verdict, and what was seen of both."""
    network = _provoked(own_driver)
    clause = "4.1.4.3.1"
    virtqueue = replace(
        network, checks=(Check(F11, clause, "fail", "It was."), Check("hostile-F9", "6.2", "pass", ""))
    )
    both = joined(virtqueue, network)
    checks = {check.name: check for check in both.checks}
    assert checks.keys() == {*NAMES, "hostile-F9"}
    assert checks[F11].verdict == "fail"
    assert checks[F11].detail.startswith("It was. Whole network driver: ")
    unseen = replace(virtqueue, checks=(Check(F11, clause, "not exercised", "Never."),))
    assert joined(unseen, network).checks[0].verdict == "pass"


def test_every_check_is_explained() -> None:
    """Each has a clause and words, in one list with those of virtqueues."""
    explained = hostile_checks()
    assert set(NAMES) <= explained.keys()
    assert all(clause and words.endswith(".") for clause, words in explained.values())
    assert all(asked(name) == words for name, (_, words) in explained.items())
    assert all(asked(each.name) for each in NET_CHECKS.values())
