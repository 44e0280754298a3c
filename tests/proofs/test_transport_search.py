"""The explicit search of probe and remove: every access is made, no rule is broken, each defect is found."""

import pytest

from ringproof.model.transport import FEATURES, Transport
from ringproof.proofs.mutants.transport import MUTANTS
from ringproof.proofs.search.transport import (
    CASES,
    Clean,
    Run,
    find,
    find_removal,
    operations,
    search,
    smallest_offer,
    smallest_stray,
)
from ringproof.proofs.transport_claims import INVARIANTS, RULES, Rule

ALL_RULES = [rule for rules in RULES.values() for rule in rules]


def _transport(*, modern: bool, linux: bool, watched: int = 1) -> Transport:
    return Transport(3, watched, modern=modern, linux=linux, offered=FEATURES)


def test_every_step_is_taken_and_every_rule_and_invariant_holds() -> None:
    """Of three queues on both transports in both profiles, whichever is watched, whatever goes wrong."""
    always = [
        Rule(step, each.name, lambda model, _, __, after, each=each: bool(each.holds(model, after)))  # type: ignore[misc]
        for invariants in INVARIANTS.values()
        for each in invariants
        for step in Transport.steps
    ]
    taken: set[str] = set()
    for modern in (False, True):
        for linux in (False, True):
            for watched in range(3):
                model = _transport(modern=modern, linux=linux, watched=watched)
                assert model.facts() is True
                result = search(model, [*ALL_RULES, *always])
                assert isinstance(result, Clean), result
                taken |= result.taken
    assert taken == set(Transport.steps)


@pytest.mark.parametrize("mutant", CASES)
def test_each_defect_is_found_where_the_shipped_driver_is_clean(mutant: str) -> None:
    """Probe alone shows each of them: the last step breaks a rule of the theorem that the mutant breaks."""
    case = CASES[mutant]
    assert case.theorem in MUTANTS[mutant].kills
    run = find(case, MUTANTS[mutant].model)
    assert isinstance(run, Run)
    assert run.rule in RULES[case.theorem]
    setting, played = operations(run)
    assert played == [("probe", {})]
    assert setting == {"transport": "modern" if case.modern else "legacy", "profile": "virtio-1.x"}
    assert isinstance(find(case), Clean)


def test_a_slow_reset_is_the_device_on_which_linux_frees_too_early() -> None:
    """The run says how to play it: status reads as before once after a reset."""
    run = find_removal()
    assert isinstance(run, Run)
    setting, played = operations(run)
    assert setting == {"transport": "legacy", "profile": "linux-3.11", "reset_reads": 1}
    assert played == [("probe", {}), ("remove", {})]


def test_the_smallest_offers_that_lead_astray() -> None:
    """Linux 3.11 takes segmentation without checksums; X18 takes what nobody offers; else none does."""
    assert smallest_offer(Transport, linux=True) == ("HOST_TSO4",)
    assert smallest_offer(MUTANTS["X18"].model, linux=False) == ()
    assert smallest_offer(Transport, linux=False) is None


def test_the_smallest_frame_that_leaves_the_queues_in_use() -> None:
    """With one queue in use, X22 sends a frame recorded on queue 1 there; the shipped driver never strays."""
    assert smallest_stray(MUTANTS["X22"].model) == (1, 1)
    assert smallest_stray(Transport) is None


def test_what_no_setting_says_is_refused() -> None:
    """A run in which the allocator fails is not told as operations on a device."""
    run = search(_transport(modern=True, linux=False), [Rule("fail", "never", lambda *_: False)])
    assert isinstance(run, Run)
    assert run.names[-1] == "fail"
    longer = search(
        _transport(modern=True, linux=False),
        [Rule("fail", "never after a queue was allocated", lambda _, s, *__: not s.allocated)],
    )
    assert isinstance(longer, Run)
    with pytest.raises(ValueError, match="goes wrong"):
        operations(longer)
