"""Kicks that a driver owes while buffers are used and not taken, against drivers that forget them."""

from pathlib import Path

import pytest

from ringproof.building import build_library, c_sources
from ringproof.validation.campaign import Options, validate

_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal" / "driver.c"
_ASKED = "    if ((queue->used->flags & 1) == 0)\n"
_UNTAKEN = "(uint16_t)(queue->used->idx - queue->last_used)"
_WAITING = "(uint16_t)(queue->avail->idx - queue->used->idx)"


@pytest.mark.parametrize(
    "forgets",
    [f"{_UNTAKEN} > 0 && {_WAITING} > 4", f"{_UNTAKEN} == 1 && {_WAITING} == 5", f"{_UNTAKEN} > 6"],
    ids=["five behind some", "five behind one", "behind seven"],
)
def test_a_kick_forgotten_over_what_is_used_fails(forgets: str, tmp_path: Path) -> None:
    """Batches are owed a kick also with one, half or nearly all of the ring used and not taken."""
    source = _MINIMAL.read_text()
    assert source.count(_ASKED) == 1
    (tmp_path / "driver.c").write_text(
        source.replace(_ASKED, f"    if ({forgets})\n        return;\n{_ASKED}")
    )
    library = build_library([tmp_path / "driver.c"], include=[c_sources()])
    report = validate(library, options=Options(quick=True, shrink_seconds=3.0, traces=None))
    assert "kick-when-flags-ask" in {check.name for check in report.checks if check.verdict == "fail"}
