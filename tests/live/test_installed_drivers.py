"""Drivers as they are shipped, judged live where they are installed: DPDK's, Linux's and the firmware's."""

from pathlib import Path

import pytest

from ringproof.live.checks import LIVE_CHECKS
from ringproof.live.offline import judge
from ringproof.live.outcome import RoundOutcome
from ringproof.live.recipes.missing import Missing
from ringproof.live.recipes.recipe import recipe
from ringproof.live.running import Asked, round_of

pytestmark = pytest.mark.slow


def _run(name: str, which: str, folder: Path, **asked: object) -> RoundOutcome:
    """One round of a recipe; skipped, with what to install, where it is not."""
    found = recipe(name)
    try:
        found.check()
    except Missing as missing:
        pytest.skip(f"SKIPPED LOUDLY: {missing}")
    one = next(one for one in found.rounds() if one.name == which)
    return round_of(one, Asked(folder, **asked), folder / "round")  # type: ignore[arg-type]


def _failed(outcome: RoundOutcome) -> set[str]:
    """The checks that failed, warnings left out."""
    return {LIVE_CHECKS[code].name for code in outcome.failed() if LIVE_CHECKS[code].breach == "fail"}


@pytest.mark.parametrize("which", ["in-order", "no-indirect", "size-64"])
def test_dpdk_is_judged_as_it_sends(which: str, tmp_path: Path) -> None:
    """Its bursts go through every quick behaviour of the device, nothing fails, and it never stops."""
    outcome = _run("dpdk", which, tmp_path, quick=True, seconds=2.5)
    assert outcome.transmitted > 1_000
    assert _failed(outcome) == set()
    assert outcome.left_out == []
    assert [phase for phase in outcome.phases if phase.flowed is False] == []
    assert any(phase.flowed for phase in outcome.phases)


def test_both_monitors_count_the_same_of_dpdk(tmp_path: Path) -> None:
    """A recorded run with indirect tables: the monitor that reads it later comes to the same tallies."""
    kept = tmp_path / "dpdk.rpl"
    outcome = _run("dpdk", "indirect", tmp_path, seconds=0.4, chosen=("honest",), record=kept)
    judged = judge(kept)
    assert outcome.transmitted > 1_000
    assert judged.differences == ()
    assert judged.drifts == ()
    assert judged.tallies == outcome.tallies


def test_dpdk_keeps_what_forwarded_packets_had_in_front(tmp_path: Path) -> None:
    """A finding about a driver that shipped: num_buffers of a frame passed on is what was there before."""
    outcome = _run("dpdk", "forward", tmp_path, seconds=1.0, chosen=("honest",))
    assert _failed(outcome) == {"clause-5.1.6.2.1a"}


def test_firmware_is_judged_as_it_boots(tmp_path: Path) -> None:
    """OVMF asks for an address and a file; its frames pass, and it kicks whatever used.flags say."""
    outcome = _run("ovmf", "modern", tmp_path, seconds=4.0, chosen=("honest", "silent"))
    assert outcome.transmitted > 100
    assert _failed(outcome) == set()
    assert outcome.trouble == ""


def test_linux_is_judged_as_it_floods(tmp_path: Path) -> None:
    """Pktgen without an end: no kick lost, nothing stops, nothing complained of."""
    outcome = _run("linux", "flood", tmp_path, seconds=4.0, chosen=("honest", "reversed"))
    assert outcome.transmitted > 1_000
    assert _failed(outcome) == set()
    assert outcome.complaints == ()
