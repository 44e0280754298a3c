"""docs/proof.md says what is there: invariants, theorems, statements, transitions; its drawing is true."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import z3

from ringproof.model.invariants import INVARIANTS as OF_THE_RING
from ringproof.model.size import EverySize, Plain
from ringproof.model.steps.invariants import INVARIANTS
from ringproof.model.steps.moment import Choice, Moment, Pc, unknown
from ringproof.model.steps.queue import DEVICE, DRIVER, HANDLER, Steps
from ringproof.proofs.discharge import HINTED
from ringproof.proofs.solver import refute
from ringproof.proofs.steps_theorems import STEPS_THEOREMS
from ringproof.proofs.theorem import every_size, one_size

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/proof.md").read_text()
SECTIONS = dict(re.findall(r"^## (\d)\. .*?\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"
]
TRANSITIONS = [
    (cells[0].strip("`"), *cells[1:3]) for cells in ROWS if len(cells) == 5 and cells[0][:1] == "`"
]


def test_every_invariant_is_there_in_its_words() -> None:
    """Section 4 lists just the invariants of the step-wise model, in the model's words, with formulas."""
    listed = re.findall(r"^- `([\w-]+)`: (.*?)<br>\n? *`(.*?)`", SECTIONS["4"], re.MULTILINE)
    assert {name: words for name, words, _ in listed} == {
        each.name: each.words for each in INVARIANTS.values()
    }
    assert len(listed) == len(INVARIANTS)
    assert all(formula for _, _, formula in listed)


def test_the_ring_model_has_no_other_invariants() -> None:
    """The ring model has none that the step-wise model has not; those that differ are named."""
    said = SECTIONS["4"].partition("The ring model has no others.")[2]
    assert OF_THE_RING.keys() <= INVARIANTS.keys()
    other = {name for name in OF_THE_RING if OF_THE_RING[name].holds is not INVARIANTS[name].holds}
    assert set(re.findall(r"`([\w-]+)`", said.partition("; and ")[2])) == other


def test_every_theorem_is_there_with_title_and_invariants() -> None:
    """Section 5 lists the theorems in order, with title and what they own; findings apart."""
    rows = {cells[0].strip("`"): cells[1:] for cells in ROWS if len(cells) == 3}
    claimed = [each for each in STEPS_THEOREMS if each.expected == "proved"]
    for theorem in STEPS_THEOREMS:
        title, third = rows[theorem.name]
        assert title == theorem.title
        names = tuple(re.findall(r"`([\w.-]+)`", third))
        if theorem.expected == "proved":
            assert names == theorem.owns
        else:
            assert set(names) <= {each.name for each in claimed}
            assert names
    assert [name for name in rows if name in {each.name for each in claimed}] == [
        each.name for each in claimed
    ]


def test_every_statement_and_transition_is_there() -> None:
    """Section 2 names each statement of the driver and each transition of driver, handler and device."""
    assert tuple(row[0] for row in TRANSITIONS) == DRIVER
    for name in (*(pc.name for pc in Pc), *HANDLER, *DEVICE):
        assert f"`{name}`" in SECTIONS["2"], name


@pytest.mark.parametrize(("name", "start", "ends"), TRANSITIONS, ids=[row[0] for row in TRANSITIONS])
def test_transitions_lead_where_the_page_says(name: str, start: str, ends: str) -> None:
    """A driver's transition is taken at the statement of its row, and leads to those named, to each."""
    step = Steps(EverySize()).take(name, unknown(Moment), unknown(Choice))
    pc, after = z3.Int("pc"), step.after.pc
    places = [Pc[end].value for end in ends.split(", ")]

    def possible(claim: Any) -> bool:
        solver = z3.Solver()
        solver.add(step.guard, claim)
        return bool(solver.check() == z3.sat)

    assert not possible(pc != Pc[start].value)
    assert not possible(z3.And([after != place for place in places]))
    assert all(possible(after == place) for place in places)


@pytest.mark.parametrize("name", [*HANDLER, *DEVICE])
def test_handler_and_device_leave_the_driver_where_it_is(name: str) -> None:
    """Those transitions come between any two statements: they move the driver to none."""
    moment = unknown(Moment)
    assert Steps(EverySize()).take(name, moment, unknown(Choice)).after.pc is moment.pc


# The drawing.


def _choice(**given: Any) -> Choice:
    nothing: dict[str, Any] = {
        "token": 1, "segments": 1, "outs": 1, "segment_addr": lambda _: 0, "segment_len": lambda _: 1,
        "table": 0, "head": 0, "event": 0, "flag": False,
    }  # fmt: skip
    return Choice(**{**nothing, **given})


QUEUE = Steps(Plain(8), event_idx=True, mended=True)


def _run(moment: Moment, *names: str, **given: Any) -> Moment:
    for name in names:
        step = QUEUE.take(name, moment, _choice(**given))
        assert step.guard is True, name
        moment = step.after
        assert all(invariant.holds(QUEUE, moment) for invariant in INVARIANTS.values())
    return moment


def _added(moment: Moment, token: int, segments: int) -> Moment:
    moment = _run(moment, "add_in_ring", token=token, segments=segments, outs=segments)
    moment = _run(moment, *["fill_descriptor"] * segments)
    return _run(moment, "end_chain", "remember", "write_slot", "publish", "count_add")


def _drawn() -> dict[str, Moment]:
    """The three moments drawn: chains A (3 segments) and B (2); C (2) added; B given back."""
    before = _added(_added(QUEUE.initial(), 1, 3), 2, 2)
    added = _added(before, 3, 2)
    back = _run(added, "device_reads", "device_reads", "device_stages", head=3)
    back = _run(back, "device_publishes", "look", "read_element", "detach", "walk", "give")
    return {"before-add": before, "after-add": added, "after-give": back}


def _cells(s: Moment) -> list[tuple[int, str, str]]:
    """Of each cell from the bottom its descriptor, its chain (- if it is free), and its link."""
    cells = []
    for p in range(8):
        d = s.gat(p)
        chain = "-" if p < s.free else "ABC"[s.given(s.owner(d)) - 1]
        bottom = "last" if chain == "-" else "end"
        linked = p > 0 if chain == "-" else s.has_next(d)
        cells.append((d, chain, f"next {s.next(d)}" if linked else bottom))
    return cells


def test_the_drawing_is_what_the_model_does() -> None:
    """The cells of docs/permutation.svg, and the red line, are those of the model after the same steps."""
    drawing = (ROOT / "docs/permutation.svg").read_text()
    cell = re.compile(
        r'class="cell (\w)" x="\d+" y="(\d+)".*?<text class="d"[^>]*>(\d)</text>'
        r'(?:<text class="s"[^>]*>([^<]*)</text>)?\n'
    )
    for name, moment in _drawn().items():
        (group,) = re.findall(rf'<g id="{name}">\n(.*?)</g>', drawing, re.DOTALL)
        drawn = cell.findall(group)
        shown = [(int(d), "-" if kind == "f" else kind.upper(), link or "last") for kind, _, d, link in drawn]
        assert shown == _cells(moment)
        heights = [int(y) for _, y, _, _ in drawn]
        assert heights == sorted(heights, reverse=True)
        (edge,) = re.findall(r'class="edge" d="M\d+ (\d+)h', drawing.partition(group)[2])[:1]
        assert int(edge) == heights[moment.free - 1]
        assert moment.free_head == shown[moment.free - 1][0]


def test_the_text_drawing_is_the_same() -> None:
    """So are the rows of the drawing in text."""
    columns = [_cells(moment) for moment in _drawn().values()]
    for p in range(8):
        wanted = [
            str(p),
            *(word for cells in columns for d, c, link in [cells[p]] for word in [str(d), c, *link.split()]),
        ]
        assert any(line.split() == wanted for line in PAGE.splitlines()), wanted
    counts = [str(moment.free) for moment in _drawn().values()]
    assert any(line.split() == ["free", *counts] for line in PAGE.splitlines())


# What is said of one obligation, and of numbers.


def _example() -> tuple[Any, set[str]]:
    label, names = "give: each free descriptor links to the free one below it", set(INVARIANTS) | {"guard"}
    assert label in " ".join(SECTIONS["1"].split())
    (obligation,) = [each for each in STEPS_THEOREMS[0].obligations if each.label == label]
    said = SECTIONS["1"].partition("It is enough to give it these:")[2].partition("It answers")[0]
    listed = set(re.findall(r"`([\w-]+)`", said))
    assert listed <= names
    return obligation, listed


def test_the_example_is_proved_from_what_the_page_lists() -> None:
    """The obligation that section 1 follows is unsat from the hypotheses named there."""
    obligation, listed = _example()
    query = obligation.build(every_size(Steps))
    few = {name: formula for name, formula in query.hypotheses.items() if name in listed}
    assert few.keys() == listed
    assert refute(replace(query, hypotheses=few), HINTED).result == "unsat"


def test_the_example_fails_once_the_link_is_forgotten() -> None:
    """A driver that does not link the chain to the free list is refuted by the queue that section 1 shows."""

    class Forgetful(Steps):
        def next_after_give(self, s: Moment) -> Any:
            return s.next

    obligation, _ = _example()
    query = obligation.build(one_size(2, Forgetful))
    before = query.states["before"]
    shown = z3.And(
        before.free == 1, before.gat(z3.IntVal(0)) == 0, before.head == 1, before.next(z3.IntVal(1)) == 1
    )
    narrowed = replace(query, hypotheses={**query.hypotheses, "as shown": shown})
    assert refute(narrowed, 12_000_000).result == "sat"


def test_the_delayed_callback_has_the_numbers_of_the_page() -> None:
    """16 chains in flight across the wrap: 12 are let pass, used_event is 6, late at 7 and not at 6."""
    at = replace(QUEUE.initial(), last_used_idx=65530, avail_idx=10)
    bufs = QUEUE.delay(at)
    armed = replace(at, bufs=bufs, delayed=True)
    assert (bufs, QUEUE.armed_event(armed)) == (12, 6)
    assert [QUEUE.is_late(replace(armed, used_idx=used_idx)) for used_idx in (6, 7)] == [False, True]
    assert QUEUE.need_event(6, 9, 65533)
    words = " ".join(SECTIONS["6"].split())
    for said in (
        "last_used_idx is 65530 and avail_idx 10",
        "`[65530 + 12]` = 6",
        "from 65533 to 9",
        "used_idx = 7 is 13, late",
    ):
        assert said in words


def test_a_driver_that_looked_in_vain_is_woken_as_the_page_says() -> None:
    """Section 6's run: one of three taken back, a look in vain, two published, one decision, and woken."""
    at = QUEUE.initial()
    for token in (1, 2, 3):
        at = _added(at, token, 1)
    at = _run(at, *["device_reads"] * 3)
    at = _run(at, "device_stages", "device_publishes", "device_signals", head=0)
    at = _run(at, "look", "read_element", "detach", "give", "advance", "ask", "rearm", "interrupt", "handle")
    assert (at.used_event, at.calling, at.wanted) == (1, False, True)
    at = _run(at, "look_in_vain")
    assert at.waiting
    for head in (1, 2):
        at = _run(at, "device_stages", "device_publishes", head=head)
    assert (at.signalled, at.used, at.used_event) == (1, 3, 1)
    at = _run(at, "device_signals")
    assert at.irq
    at = _run(at, "interrupt", "handle")
    assert at.calling
    assert at.waiting
    at = _run(at, "call_back")
    assert (at.waiting, at.woken, at.wanted) == (False, True, False)
    assert "`[3 - 1 - 1]` = 1 < `[3 - 1]` = 2" in " ".join(SECTIONS["6"].split())


def test_the_handler_has_the_steps_of_the_page() -> None:
    """Its paragraph in section 2 names its steps, in order, and no others."""
    said = SECTIONS["2"].partition("Its steps are")[2].partition("Between the last two")[0]
    assert tuple(re.findall(r"`([a-z_]+)`", said)) == HANDLER


def test_the_event_test_is_silent_after_too_many_adds() -> None:
    """With 65535 adds since the last kick the test finds every event, with 65536 none, as section 6 says."""
    for event in (0, 1, 65534):
        assert QUEUE.need_event(event, 65535, 0)
        assert not QUEUE.need_event(event, 65536, 0)
    assert not QUEUE.need_event(65535, 65535, 0)


def test_a_queue_of_six_would_lose_its_slot() -> None:
    """What section 3 says of a size that does not divide 2^16."""
    assert 65532 % 6 == 0 == (65536 % 65536) % 6
    assert "65532" in SECTIONS["3"]
    assert "65536" in SECTIONS["3"]


def test_named_files_exist() -> None:
    """Every file that the page names, by a path or as a link, exists; links in the page lead on."""
    rooms = r"`((?:model|proofs|impl|ringproof|docs|tests|bench)/[\w./-]*)`"
    paths = {*re.findall(rooms, PAGE), *(f"docs/{link}" for link in re.findall(r"\]\(([\w./-]+)\)", PAGE))}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) == anchors


def test_named_modules_can_be_run() -> None:
    """Every module that the page says to run is there, and has a main."""
    modules = set(re.findall(r"python -m ringproof\.([\w.]+)", PAGE))
    assert modules
    for module in modules:
        assert "__main__" in (ROOT / f"{module.replace('.', '/')}.py").read_text(), module
