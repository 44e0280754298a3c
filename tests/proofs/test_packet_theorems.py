"""The theorems of segments and headers: proved, broken just where they should be, and none of them idle."""

from dataclasses import replace

import pytest
import z3

from ringproof.model.header import Bits, Bytes, Fields, Header
from ringproof.model.scatterlist import LONGEST, Outcome, Scatterlist, Step, Walk
from ringproof.model.state import Flag, Number
from ringproof.proofs.discharge import Task, discharge, examine
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG
from ringproof.proofs.mutants.packet import MUTANTS
from ringproof.proofs.packet_theorems import PACKET_THEOREMS
from ringproof.proofs.theorem import Theorem

PROVED = [theorem for theorem in PACKET_THEOREMS if theorem.expected == "proved"]
FINDINGS = [theorem for theorem in PACKET_THEOREMS if theorem.expected == "refuted"]


def _name(theorem: Theorem) -> str:
    return theorem.name


@pytest.mark.parametrize("theorem", PROVED, ids=_name)
def test_each_theorem_is_proved(theorem: Theorem) -> None:
    """Every obligation goes through, quickly, and from hypotheses that can hold."""
    results = [discharge(Task(theorem.name, group)) for group in theorem.groups]
    verdicts = {entry.label: entry.verdict for result in results for entry in result.obligations}
    assert verdicts == {obligation.label: "proved" for obligation in theorem.obligations}
    assert [result.vacuous for result in results] == [False] * len(results)
    assert sum(result.rlimit for result in results) < 1_000_000


@pytest.mark.parametrize("theorem", FINDINGS, ids=_name)
def test_each_finding_is_refuted_from_hypotheses_that_hold(theorem: Theorem) -> None:
    """A finding is a refutation with a counterexample, of a claim that is not empty."""
    (group,) = theorem.groups
    result = discharge(Task(theorem.name, group))
    assert [entry.verdict for entry in result.obligations] == ["refuted"]
    assert result.vacuous is False
    assert theorem.name.endswith("-linux-3.11")


def test_findings_are_told_in_the_fields_words() -> None:
    """The counterexamples name features, the packet and the header, and show what each finding claims."""
    shown = {}
    for theorem in FINDINGS:
        (entry,) = discharge(Task(theorem.name, theorem.groups[0])).obligations
        assert entry.counterexample is not None
        shown[theorem.name] = entry.counterexample
        assert entry.counterexample["linux_3_11"] is True
    size = shown["header-size-linux-3.11"]
    assert (size["header_size"], size["expected_size"]) == (10, 12)
    assert (size["features"]["VERSION_1"], size["features"]["MRG_RXBUF"]) == (True, False)
    assert (size["packet"]["checksum"], size["packet"]["gso"]) == (False, 0)
    assert shown["num-buffers-linux-3.11"]["hdr.num_buffers"] != 0
    gso = shown["gso-without-checksum-linux-3.11"]
    assert gso["hdr.gso_type"] & 0x7F in (1, 3, 4)
    assert gso["hdr.flags"] == 0
    assert gso["features"]["CSUM"] is True
    length = shown["hdr-len-linux-3.11"]
    assert length["hdr.hdr_len"] == length["packet"]["head_length"] - 65536
    assert length["packet"]["head_length"] <= length["packet"]["length"] <= LONGEST


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_breaks_just_the_theorems_it_should(mutant: str) -> None:
    """The kill table is exact: each theorem named falls with a counterexample, and every other stands."""
    broken = set()
    for theorem in PROVED:
        if not MUTANTS[mutant].concerns(theorem.subject):
            continue
        results = [discharge(Task(theorem.name, group, mutant)) for group in theorem.groups]
        details = [entry for result in results for entry in result.obligations]
        assert {entry.verdict for entry in details} <= {"proved", "refuted"}
        if refuted := [entry for entry in details if entry.verdict == "refuted"]:
            assert all(entry.counterexample for entry in refuted)
            broken.add(theorem.name)
    assert broken == MUTANTS[mutant].kills


def test_every_theorem_has_a_mutant() -> None:
    """Each theorem falls to some mutant, those named break it alone, and all of them are described."""
    for theorem in PROVED:
        assert any(theorem.name in mutant.kills for mutant in MUTANTS.values())
        assert all(MUTANTS[mutant].kills == {theorem.name} for mutant in theorem.broken_by)
    assert set(MUTANTS) <= set(FRAME_CATALOG)


def test_a_wrong_offset_in_a_page_is_shown_as_such() -> None:
    """The counterexample to X11 is a fragment with an offset, and a segment that begins before it."""
    (entry,) = discharge(Task("segments-are-the-bytes", "fragment", "X11")).obligations[-1:]
    shown = entry.counterexample
    assert shown is not None
    assert shown["taken"] is True
    assert shown["segment_at"] < shown["page_offset"]
    assert shown["before"]["in_place"] is True
    assert shown["after"]["in_place"] is False


def test_a_packet_of_the_list_is_asked_for_bytes_it_lacks() -> None:
    """The counterexample to X12 asks a packet for an offset into the whole frame, behind its own data."""
    (entry,) = discharge(Task("scatterlist-walk-ends", "packet", "X12")).obligations[-1:]
    shown = entry.counterexample
    assert shown is not None
    assert entry.label == "packet: the packet is asked for bytes that it has, and at least one"
    assert shown["segment_at"] == shown["before"]["offset"]
    assert shown["segment_at"] + shown["segment_length"] > shown["part_size"]


# No obligation holds whatever the model does: each is broken by one of these.


class _Astray(Scatterlist):
    """A step leads anywhere."""

    def take(self, name: str) -> Step:
        part, start, offset, left, entries, emitted = z3.Ints("p s o l e m")
        refused, in_place, marked = z3.Bools("r i k")
        lost = Walk(part, start, offset, left, entries, refused, emitted, in_place, marked)
        return replace(super().take(name), after=lost)


class _BegunWrong(Scatterlist):
    """The walk begins with something done."""

    def begun(self) -> Walk:
        one, yes = z3.IntVal(1), z3.BoolVal(True)
        return Walk(one, -one, self.offset, one - 2, self.first, yes, one, z3.Not(yes), z3.Not(self.stale))


class _Jumbled(Scatterlist):
    """What comes of a call has nothing to do with its walk."""

    def outcome(self, walk: Walk) -> Outcome:
        del walk
        return Outcome(*z3.Ints("e n"), *z3.Bools("r i k"))

    def marked_at_end(self, walk: Walk) -> Flag:
        del walk
        return z3.Bool("k")


class _Twice(Scatterlist):
    """The linear part can be taken any time."""

    def linear(self, walk: Walk) -> Step:
        return self._entered(walk, z3.BoolVal(True), walk.offset)


class _Empty(Scatterlist):
    """Every part becomes a segment; a packet of the list is asked for nothing, too."""

    def packet(self, walk: Walk) -> Step:
        return replace(super().packet(walk), taken=z3.BoolVal(True))

    def is_wanted(self, copy: Number) -> Flag:
        del copy
        return z3.BoolVal(True)


class _Wide(Scatterlist):
    """Numbers are counted in units of a 32768th."""

    def intermediates(self, walk: Walk) -> dict[str, Number]:
        return {name: number * 32768 for name, number in super().intermediates(walk).items()}


class _FarOff(Scatterlist):
    """Offsets point behind everything."""

    def fragment_byte(self, walk: Walk) -> Number:
        return super().fragment_byte(walk) + LONGEST

    def relative_offset(self, walk: Walk) -> Number:
        return walk.offset + LONGEST


class _NoSums(Scatterlist):
    """Of sums and sizes nothing is known."""

    def shape(self, part: Number) -> dict[str, Flag]:
        return {"counts": super().shape(part)["counts"]}

    def sums(self, part: Number) -> dict[str, Flag]:
        del part
        return {"none": z3.BoolVal(True)}


class _AnyFields(Header):
    """Fields hold anything."""

    def fields(self) -> Fields:
        return Fields(*z3.BitVecs("b0 b1", 8), *z3.BitVecs("w2 w4 w6 w8 w10", 16))


class _AnyBytes(Header):
    """Memory is zeroed, the packet refused or not."""

    def written(self, memory: Bytes) -> Bytes:
        del memory
        return lambda _: z3.BitVecVal(0, 8)


class _RefusesNothing(Header):
    """No packet is refused."""

    def is_refused(self) -> Flag:
        return z3.BoolVal(False)


class _RefusesAll(Header):
    """Every packet is refused."""

    def is_refused(self) -> Flag:
        return z3.BoolVal(True)


class _BigEndian(Header):
    """Fields are written highest byte first."""

    def encoded(self, value: Bits) -> tuple[Bits, ...]:
        return super().encoded(value)[::-1]


WALKS = (_Astray, _BegunWrong, _Jumbled, _Twice, _Empty, _Wide, _FarOff, _NoSums)
HEADERS = (_AnyFields, _AnyBytes, _RefusesNothing, _RefusesAll)


@pytest.mark.parametrize("theorem", PROVED, ids=_name)
def test_every_obligation_can_fail(theorem: Theorem) -> None:
    """For each obligation there is a model that breaks it: none is true whatever the driver does."""
    mutants = [mutant.model for mutant in MUTANTS.values() if mutant.concerns(theorem.subject)]
    models = [*mutants, *(WALKS if theorem.subject is Scatterlist else HEADERS)]
    for obligation in theorem.obligations:
        task = Task(theorem.name, obligation.group, witness=False)
        fates = (examine(task, [obligation], model).obligations[0].verdict for model in models)
        assert "refuted" in fates, obligation.label


def test_the_order_of_bytes_matters() -> None:
    """A header in big endian is another header: the device reads other fields."""
    broken = {
        theorem.name
        for theorem in PROVED
        if theorem.subject is Header
        for obligation in theorem.obligations
        if examine(Task(theorem.name, obligation.group), [obligation], _BigEndian).obligations[0].verdict
        == "refuted"
    }
    assert broken == {"checksum-request-right", "segmentation-request-right"}
