"""The terminal view of scenes shows what broke and why, and only what changed, at any width."""

import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from ringproof.impl.harness.operations import Code, Op
from ringproof.traces.making import make_trace
from ringproof.views.scene import Explanation, Part, Scene, Source
from ringproof.views.staging import scene_of
from ringproof.views.terminal import lines, render
from tests.views import told

LEAK = """\
A2: only the head of a chain is given back
  queue of 2, EVENT_IDX, legacy layout, profile linux-3.11

breaks no-leak-no-double-allocation, part none-lost
  descriptor 1 is in no chain and not on the free list
  replayed: the reference carrying A2 breaks it at the same step

     driver                               device
  0  create the queue
  1  add 2 segments
         avail_idx       0 -> 1
         num_free        2 -> 0
         num_added       0 -> 1
         flags[0]        0 -> NEXT
         data[0]         - -> 1
  2                                       read 1 chain
                                              read_idx        0 -> 1
                                              in_flight       [] -> [0]
  3                                       complete 1 chain -> interrupt due
                                              used_idx        0 -> 1
                                              in_flight       [0] -> []
  4  get -> token 1
         last_used_idx   0 -> 1
         used_event      0 -> 1
       ! num_free        0 -> 1
       ! next[0]         1 -> 0
         data[0]         1 -> -
       ! free_head       0

! no-leak-no-double-allocation: descriptor 1 is in no chain and not on the free
  list
"""
WHY = """\
breaks no-leak-no-double-allocation, part none-lost
  descriptor 1 is in no chain and not on the free list
  ! fails: every descriptor is free or in a chain: descriptor 1 is in neither
  ! fails: num_free counts the free ones: num_free is 1, 2 are free
    the other part holds
  unavoidable after step 3: every run of two more operations was tried
  it holds with another choice at step 1: add 1 segment
  replayed: the reference carrying A2 breaks it at the same step
"""
STEP = """\
step 4 of 4, driver: get -> token 1
breaks no-leak-no-double-allocation, part none-lost
  descriptor 1 is in no chain and not on the free list

state
  avail_idx       1
  used_idx        1
  last_used_idx   0 -> 1
  avail_flags     0
  used_flags      0
  used_event      0 -> 1
  avail_event     0
! free_head       0
! num_free        0 -> 1
  num_added       1
  broken          no
  read_idx        1
  in_flight       []
  notifications   0
! next            [0 0]
  ! next[0]         1 -> 0
  flags           [NEXT 0]
  data            [- -]
    data[0]         1 -> -
  avail_ring      [0 0]
  used_ring       [0 0]

lines of the reference
  impl/reference/virtqueue.py, Virtqueue.detach_buf
      265  self.data[head] = None
             changes data
  !   268  desc.next[head] = self.free_head
             changes next; the mutant's line
"""
SCENES = told.scenes()


def shown(scene: Scene, width: int = 80, *, all: bool = False, step: int | None = None) -> str:
    """What is printed where the output is no terminal."""
    console = Console(file=io.StringIO(), width=width)
    render(scene, console, all=all, step=step)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def sourced(scene: Scene) -> Scene:
    """The leak with the lines of its last step."""
    function, file = "Virtqueue.detach_buf", "impl/reference/virtqueue.py"
    sources = (
        Source("reference", file, 265, function, "self.data[head] = None", ("data",)),
        Source("reference", file, 268, function, "desc.next[head] = self.free_head", ("next",), True),
    )
    steps = [*scene.steps[:-1], replace(scene.steps[-1], sources=sources)]
    return replace(scene, steps=steps)


def test_a_trace_reads_like_this() -> None:
    """Header, lanes, changes old to new, and the violating values marked; plain text without a terminal."""
    assert shown(SCENES["leak"]) == LEAK


def test_a_searched_trace_reads_the_same() -> None:
    """What the search finds is the run that was written down here by hand, step by step."""
    text = shown(replace(scene_of(make_trace("A2"), sources=False), explanation=Explanation()))
    steps = [[line for line in each.splitlines() if "used_event" not in line] for each in (text, LEAK)]
    assert steps[0][steps[0].index("  0  create the queue") :] == steps[1][8:]


def test_why_it_broke_stands_under_what_broke() -> None:
    """The parts that fail, from where on it had to, and the choice that would have helped."""
    assert WHY in shown(told.explained(), 100)


def test_whole_sentences_are_left_as_they_are() -> None:
    """What was found out in a sentence of its own is not put into another."""
    words = ("from step 1 on: each of 8 ways breaks it", "with `add 1 segment` at step 1 it holds")
    text = shown(replace(SCENES["leak"], explanation=Explanation((), 1, words[0], 1, words[1])))
    assert f"  unavoidable {words[0]}\n  {words[1]}\n" in text


def test_one_part_says_no_more_than_the_violation() -> None:
    """A sentence that stands there already is not said again."""
    scene = SCENES["leak"]
    part = Part("none-lost", "none is lost", False, scene.violated, True)
    text = shown(replace(scene, explanation=Explanation((part,))))
    assert "  ! fails: none is lost\n" in text


def test_one_step_is_shown_whole() -> None:
    """The state with what it changed, what broke, and the lines of code, the seeded one marked."""
    assert shown(sourced(SCENES["leak"]), step=4).endswith(STEP)
    assert "breaks" not in shown(SCENES["leak"], step=3)


@pytest.mark.parametrize("name", SCENES)
def test_every_step_of_every_kind_can_be_shown(name: str) -> None:
    """Each variable stands there, or for a network each word of each queue."""
    scene = SCENES[name]
    for step in scene.steps:
        text = shown(scene, 100, step=step.number)
        assert f"step {step.number} of {len(scene.steps) - 1}" in text
        if name != "network":
            for variable in step.values.keys() - {"result", "expected", "observed", "registers"}:
                assert f"  {variable} " in text or f"! {variable} " in text
        for change in step.changes:
            if change.old is not None:
                assert f"{change.old} -> {change.new}" in text
    with pytest.raises(IndexError):
        shown(scene, step=len(scene.steps))


def test_a_network_step_tells_its_chain() -> None:
    """The chain of a frame, the register accesses, and the words of its queue."""
    text = shown(SCENES["network"], 100, step=2)
    for words in ("queue 1 avail_idx      0 -> 1", "|-[", "write queue_notify[1] (16 bits): 1", "num_free"):
        assert words in text or words.replace("|-[", "`-[") in text, words


def test_a_network_trace_has_lanes() -> None:
    """What broke stands above, the device's steps right, long logs cut unless all is asked for."""
    text, whole = shown(SCENES["network"], 100), shown(SCENES["network"], 100, all=True)
    assert "breaks frees-all" in text
    assert "more accesses, shown with --all" in text
    assert "more accesses" not in whole
    (read,) = [line for line in text.splitlines() if line.endswith("read queue 1")]
    assert read.startswith("  4" + " " * 50)
    assert "dropped: no virtio header can ask for its kind of segmentation" in " ".join(text.split())
    assert "! pair 0 tx_packets" not in text


@pytest.mark.parametrize("width", [40, 59, 60, 72, 80, 200])
@pytest.mark.parametrize("name", SCENES)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    """At 80 columns and any other width nothing runs over the edge."""
    for scene in (sourced(SCENES[name]), replace(SCENES[name], explanation=told.EXPLANATION)):
        for text in (
            shown(scene, width),
            shown(scene, width, all=len(scene.steps) < 12),
            shown(scene, width, step=len(scene.steps) - 1),
        ):
            assert max(len(line) for line in text.splitlines()) <= width


def test_all_shows_every_variable() -> None:
    """With ``all`` each step shows what did not change too."""
    text = shown(SCENES["leak"], all=True)
    assert text.count("last_used_idx   0") == 5
    assert "avail_ring      [0 0]" in text


def test_rounds_are_one_step() -> None:
    """65,535 rounds take one line, with the indices they moved."""
    text = shown(scene_of(told.queue(2, ops=(Op(Code.ROUNDS, a=65535), Op(Code.ADD, a=1))), sources=False))
    assert "65,535 rounds: add, kick, read, complete, get" in text
    assert "avail_idx       65535 -> 0" in text


def test_long_runs_are_cut_in_the_middle() -> None:
    """A run of 10,000 steps shows where it begins and ends, within the time, and how many lie between."""
    document = told.long_queue()
    start = time.process_time()
    text = shown(scene_of(document, sources=False))
    assert time.process_time() - start < 2
    assert " ... 9963 steps, shown with --all" in text
    assert "\n10000  " in text
    assert len(text) < 100_000


def test_a_step_that_broke_early_is_never_cut() -> None:
    """Where a run goes on after what broke, that step is shown, and marked."""
    scene = replace(scene_of(told.long_queue(), sources=False), broken=5000)
    text = shown(scene)
    assert "\n5000 " in text.replace("\n 5000", "\n5000")
    assert text.count("shown with --all") == 2


def test_a_drivers_results_are_shown_where_they_differ() -> None:
    """A validation failure marks what the driver gave back and what the reference has."""
    assert "! status: 7, the reference has 0" in shown(SCENES["of 4"])
    assert "! status: 7, the reference has 0" in shown(SCENES["of 4"], step=16)


def test_control_characters_do_not_reach_the_terminal() -> None:
    """A foreign document cannot move the cursor or colour the screen."""
    scene = SCENES["leak"]
    steps = [*scene.steps[:-1], replace(scene.steps[-1], words="\x1b[31mred")]
    for text in (
        shown(replace(scene, title="\x1b]0;x\x07", steps=steps), step=number) for number in (None, 4)
    ):
        assert "\x1b" not in text
        assert "\x07" not in text


def test_markup_is_printed_as_it_is() -> None:
    """Brackets in a sentence are text, not styles."""
    assert "[bold]not bold[/]" in shown(replace(SCENES["leak"], violated="[bold]not bold[/]"))


def test_a_terminal_gets_colours() -> None:
    """Where the console has colours the violation is red."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    render(SCENES["leak"], console)
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[1;31m" in console.file.getvalue()


def test_an_empty_trace_still_has_a_header() -> None:
    """Nothing to step through is no error."""
    empty = replace(SCENES["leak"], steps=(), broken=None)
    assert next(lines(empty, 80)).plain.startswith("A2")
