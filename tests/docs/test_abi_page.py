"""docs/abi.md tells of all that ringproof_driver.h has, and of nothing that is not there."""

import re
from pathlib import Path

from ringproof.building import c_sources
from ringproof.validation.verdicts import VERDICTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/abi.md").read_text()
HEADER = re.sub(r"/\*.*?\*/", "", (c_sources() / "ringproof_driver.h").read_text(), flags=re.DOTALL)
STRUCTS = dict(re.findall(r"^struct (rp_\w+) \{(.*?)^\};", HEADER, re.DOTALL | re.MULTILINE))
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def _rows(text: str) -> list[list[str]]:
    """The first two cells of each row of the tables, without their heads."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    return [list(row) for row in rows]


def _members(body: str) -> list[str]:
    """The members of a struct in their order: functions by the name of their pointer."""
    declared = [line for line in re.sub(r"\s+", " ", body).split(";") if line.strip()]
    return [
        (re.search(r"\(\*(\w+)\)", line) or re.search(r"(\w+)\s*$", line))[1]  # type: ignore[index]
        for line in declared
    ]


def test_every_member_has_its_row() -> None:
    """Each struct has its section, in which each of its members has one row, in the header's order."""
    assert set(STRUCTS) == {"rp_segment", "rp_ring_parts", "rp_env", "rp_driver"}
    for struct, body in STRUCTS.items():
        members = _members(body)
        assert len(members) > 2
        assert [name for name, _ in _rows(SECTIONS[f"`struct {struct}`"])] == members


def test_every_constant_has_its_row() -> None:
    """Each constant of the header has one row, and no other has one; bits and values are the header's."""
    told = dict(_rows(SECTIONS["Constants"]))
    bits = dict(re.findall(r"^#define (RP_[FT]\w+)\s+\(.*?<< (\d+)\)", HEADER, re.MULTILINE))
    values = dict(re.findall(r"^#define (RP_\w+)\s+\(?(-?\d+)u?\)?\s*$", HEADER, re.MULTILINE))
    values |= dict(re.findall(r"^\s*(RP_LAYOUT_\w+) = (\d+)", HEADER, re.MULTILINE))
    assert len(bits) == 13
    assert told == bits | values
    defined = set(re.findall(r"^#define (RP_\w+)\s+\S", HEADER, re.MULTILINE))
    assert defined <= told.keys()


def test_every_check_named_is_one() -> None:
    """What the page says is checked is a check of validate, and hardly any check is left out."""
    checks = {verdict.name for verdict in VERDICTS.values()}
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", PAGE))
    assert named <= checks
    assert checks - named == set()


def test_the_page_names_the_entry() -> None:
    """The one symbol that a library exports is named, and the files that the page links to exist."""
    assert "`rp_driver_entry`" in PAGE
    assert re.search(r"\*rp_driver_entry\(void\);", HEADER)
    links = re.findall(r"\]\(([\w./-]+)\)", PAGE)
    assert links
    assert all((ROOT / "docs" / link).exists() for link in links)
