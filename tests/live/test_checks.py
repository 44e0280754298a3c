"""The words of the live monitor: every check has them, those of validate where it has the check."""

from hypothesis import given
from hypothesis import strategies as st

from ringproof.live.checks import LIVE_CHECKS
from ringproof.live.tallies import Check
from ringproof.validation.registry import DEMANDS, ids
from ringproof.validation.verdicts import VERDICTS

_WORD = st.integers(0, 2**64 - 1)


def test_every_check_has_words_and_a_source() -> None:
    """Each code has a name of its own, a sentence, and a clause that there is, or an oracle."""
    assert list(LIVE_CHECKS) == list(Check)
    names = [check.name for check in LIVE_CHECKS.values()]
    assert len(set(names)) == len(names)
    for check in LIVE_CHECKS.values():
        assert check.sentence.endswith(".")
        assert check.clause.startswith("oracle: ") or list(ids(check.clause)), check


def test_a_check_that_validate_has_reads_the_same() -> None:
    """Where the names agree, so do clause, level and sentence."""
    known = {verdict.name: verdict for verdict in VERDICTS.values()}
    shared = [check for check in LIVE_CHECKS.values() if check.name in known]
    assert len(shared) > 25
    for check in shared:
        verdict = known[check.name]
        assert (check.clause, check.breach, check.sentence) == (
            verdict.clause,
            verdict.level,
            verdict.sentence,
        )


def test_a_should_is_a_warning_and_a_must_a_failure() -> None:
    """The verdict where a check fails follows from the level of the clause it serves."""
    for check in LIVE_CHECKS.values():
        levels = {DEMANDS[clause].level for clause in ids(check.clause)}
        if levels and all(level.startswith("SHOULD") for level in levels):
            assert check.breach == "warn", check
        if any(level.startswith("MUST") for level in levels):
            assert check.breach == "fail", check


@given(_WORD, _WORD)
def test_any_numbers_can_be_told_in_one_line(a: int, b: int) -> None:
    """What a hostile driver makes of the numbers is still one printable line."""
    for check in LIVE_CHECKS.values():
        said = check.describe(a, b)
        assert said.isprintable()
        assert said
