"""What machine code must not do is found, and what can't be followed is named, never passed over."""

import sys
from pathlib import Path

import pytest
import z3

from ringproof.building import build_library
from ringproof.proofs.machine.errors import BadImage, LifterMissing, Missing, TooMany, Unmodelled
from ringproof.proofs.machine.flat import Region
from ringproof.proofs.machine.image import Image, load
from ringproof.proofs.machine.run import Machine

MEMORY = 0x1000_0000


@pytest.fixture(scope="module")
def image() -> Image:
    """The faulty functions, built."""
    return load(build_library([Path(__file__).with_name("faults.c")]))


def run(machine: Machine, name: str) -> int:
    """Run a function on symbols; return how many paths end."""
    state = machine.state([Region("memory", MEMORY, 64)])
    return len(list(machine.call(name, [*z3.BitVecs("a b", 64), MEMORY], state)))


@pytest.mark.parametrize(
    ("name", "kind", "ends"),
    [
        ("null_write", "null", 0),
        ("beyond", "wild", 1),
        ("unset", "uninitialised", 0),
        ("by_zero", "division", 1),
        ("in_code", "permission", 0),
        ("trapped", "trap", 1),
    ],
)
def test_faults_are_found(image: Image, name: str, kind: str, ends: int) -> None:
    """Each on a path that can be taken, with its place in the source; other paths go on."""
    machine = Machine(image)
    assert run(machine, name) == ends
    assert {finding.kind for finding in machine.findings} == {kind}
    assert all("faults.c:" in finding.place for finding in machine.findings)
    assert all(machine.oracle.possible(finding.path) for finding in machine.findings)


def test_an_address_that_may_be_anything_is_a_finding_and_then_too_many(image: Image) -> None:
    """What lies outside is reported once; inside there are more values than are followed, which is said."""
    machine = Machine(image)
    with pytest.raises(TooMany, match="more than 64 values"):
        run(machine, "anywhere")
    assert [finding.kind for finding in machine.findings] == ["wild"]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("endless", TooMany, "more than 50 blocks on one path"),
        ("floating", Unmodelled, "VEX's operation"),
        ("outside", Unmodelled, "a call of elsewhere, which has no model"),
        ("nowhere", Unmodelled, "no function nowhere"),
    ],
)
def test_what_is_not_followed_is_named(image: Image, name: str, error: type[Missing], words: str) -> None:
    """In one line; and listed, if the caller wants to go on with other paths."""
    with pytest.raises(error, match=words):
        run(Machine(image, most_instructions=50), name)
    if name in image.symbols:
        lenient = Machine(image, most_instructions=50, strict=False)
        run(lenient, name)
        assert {type(reason) for reason, _ in lenient.unfollowed} == {error}


def test_without_the_lifter_the_extra_is_named(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed pyvex is told what to install."""
    monkeypatch.setitem(sys.modules, "pyvex", None)
    with pytest.raises(LifterMissing, match=r"pip install 'ringproof\[binary\]'"):
        Machine(image)


def test_what_is_no_shared_library_is_refused(tmp_path: Path) -> None:
    """A text, and nothing at all."""
    text = tmp_path / "library.so"
    text.write_text("no library")
    for path in (text, tmp_path / "none.so"):
        with pytest.raises(BadImage, match=path.name):
            load(path)
