"""The header of both codes beside the model."""

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import z3

from ringproof.impl import c, reference
from ringproof.patching import patched_copy
from ringproof.proofs.refinement import header_c, header_reference
from ringproof.proofs.refinement.deciding import decide
from ringproof.proofs.refinement.examination import Examined
from ringproof.proofs.refinement.header_numbers import as_numbers
from ringproof.proofs.refinement.refinement import Code
from ringproof.proofs.symbolic.errors import Unmodelled

C = Path(c.__file__).parent
REFERENCE = Path(reference.__file__).parent
SHIPPED = Code(reference, C)


def test_bits_are_said_again_as_numbers() -> None:
    """A formula on bits has, as numbers, the value it has as bits."""
    wide, narrow, flag = z3.BitVec("wide", 32), z3.BitVec("narrow", 8), z3.Bool("flag")
    formulas = (
        z3.Extract(15, 8, wide),
        z3.Concat(narrow, z3.Extract(31, 16, wide)),
        z3.If(z3.ULE(wide, 0xFFFF), narrow | z3.If(flag, z3.BitVecVal(0x81, 8), narrow), z3.BitVecVal(3, 8)),
        z3.And(z3.UGT(narrow, 3), narrow != 7, flag),
    )
    numbers = {"wide": z3.Int("w"), "narrow": z3.Int("n")}
    chance = random.Random(3)
    for formula in formulas:
        for _ in range(40):
            values = chance.choice((chance.getrandbits(32), chance.getrandbits(16))), chance.getrandbits(8)
            truth = z3.BoolVal(chance.random() < 0.5)
            bits = [(wide, z3.BitVecVal(values[0], 32)), (narrow, z3.BitVecVal(values[1], 8)), (flag, truth)]
            said = [(z3.Int("w"), z3.IntVal(values[0])), (z3.Int("n"), z3.IntVal(values[1])), (flag, truth)]
            right = z3.simplify(z3.substitute(formula, *bits))
            found = z3.simplify(z3.substitute(as_numbers(formula, numbers), *said))
            assert str(right) == str(found)


def test_an_operation_that_is_not_known_is_refused() -> None:
    """A sum of bit-vectors, which wraps, is not taken for one that doesn't."""
    byte = z3.BitVec("byte", 8)
    with pytest.raises(Unmodelled, match="bvadd"):
        as_numbers(byte + 1, {"byte": z3.Int("byte")})


@pytest.mark.parametrize("linux", [True, False])
def test_the_headers_are_the_models(linux: bool) -> None:
    """Every byte of both codes' headers is the model's, in each profile."""
    for room in (header_c, header_reference):
        found = room.check(SHIPPED, linux)
        assert len(found) > 20
        assert {each.verdict for each in found} == {"proved"}


@pytest.mark.parametrize(("mutant", "linux"), [("E2", True), ("X15", True), ("X16", True)])
def test_a_defect_of_c_is_shown_by_the_code_itself(mutant: str, linux: bool, tmp_path: Path) -> None:
    """A seeded defect refutes it, and the packet found shows it natively, but not on the shipped code."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    libraries: list[str] = []
    for directory in (sources, C):
        library = tmp_path / f"lib{len(libraries)}.so"
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(directory / "net_header.c")]
        subprocess.run(command, check=True)
        libraries.append(str(library))
    shown = _counterexample(header_c, Code(reference, sources), linux)
    assert header_c.replay(shown, libraries[0])
    assert not header_c.replay(shown, libraries[1])


@pytest.mark.parametrize(("mutant", "linux"), [("E3", False), ("E6", True)])
def test_a_defect_of_the_reference_is_shown_by_the_code_itself(
    mutant: str, linux: bool, tmp_path: Path
) -> None:
    """So it is with the Python reference."""
    package = patched_copy(REFERENCE, REFERENCE / "mutants" / f"{mutant}.patch", tmp_path / "reference")
    code = Examined(C, package).code("reference")
    shown = _counterexample(header_reference, code, linux)
    assert header_reference.replay(shown, code)
    assert not header_reference.replay(shown, SHIPPED)


def _counterexample(room: Any, code: Code, linux: bool) -> dict[str, Any]:
    results = (decide(each, finite=True) for each in room.questions(code, linux))
    shown = next(each.counterexample for each in results if each.verdict == "refuted")
    assert shown is not None
    return shown
