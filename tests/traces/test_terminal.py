"""The terminal view shows what broke and only what changed, at any width."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.proofs.search import Found, find_trace
from ringproof.proofs.search.counterexample import Counterexample
from ringproof.traces.document import TraceDocument
from ringproof.traces.making import document_of, make_trace
from ringproof.traces.recording import record
from ringproof.traces.terminal import lines, render

A2 = """\
A2: only the head of a chain is given back
  queue of 2, legacy layout, profile linux-3.11

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


def shown(document: TraceDocument, width: int = 80, *, all: bool = False) -> str:
    """What is printed where the output is no terminal."""
    console = Console(file=io.StringIO(), width=width)
    render(document, console, all=all)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_trace_reads_like_this() -> None:
    """Header, lanes, changes old to new, and the violating values marked; plain text without a terminal."""
    assert "\n".join(line.rstrip() for line in shown(make_trace("A2")).splitlines()) + "\n" == A2


@pytest.mark.parametrize("width", [40, 59, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("everything", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, everything: bool) -> None:
    """At 80 columns and any other width nothing runs over the edge."""
    long = record(
        QueueConfig(64, features=1 << 29),
        [Op(Code.ADD, a=9, in_=3), Op(Code.READ), Op(Code.COMPLETE, a=3, b=4, c=0xFFFF_FFFF), Op(Code.GET)],
        property="token-returned-once",
        violated="a sentence " * 20,
        driver="lib/a-driver-with-a-name-that-is-longer-than-any-line-of-the-terminal-could-ever-hope-to-be.so",
    )
    for document in (make_trace("A2"), long):
        assert max(len(line) for line in shown(document, width, all=everything).splitlines()) <= width


def test_all_shows_every_variable() -> None:
    """With ``all`` each step shows what did not change too."""
    text = shown(make_trace("D14"), all=True)
    assert text.count("last_used_idx   0") == 3
    assert "avail_ring      [0]" in text


def test_rounds_are_one_step() -> None:
    """65,535 rounds take one line, with the indices they moved."""
    ops = [Op(Code.ROUNDS, a=65535), Op(Code.ADD, a=1)]
    text = shown(record(QueueConfig(2), ops, property="x", violated="y", driver="d"))
    assert "65,535 rounds: add, kick, read, complete, get" in text
    assert "avail_idx       65535 -> 0" in text


def test_long_runs_are_cut_in_the_middle() -> None:
    """A run of many steps shows where it begins and where it ends, and says how many lie between."""
    document = record(QueueConfig(2), [Op(Code.KICK)] * 500, property="x", violated="y", driver="d")
    assert "463 steps, shown with --all" in shown(document)
    assert "500  kick -> device notified" in shown(document)
    assert "steps, shown" not in shown(document, all=True)


def test_a_drivers_results_are_shown_where_they_differ() -> None:
    """A validation failure marks what the driver gave back and what the reference has."""
    ops = [Op(Code.ADD, a=1), Op(Code.ADD, a=2)]
    runner = ReferenceRunner(QueueConfig(2))
    seen = [runner.step(op) for op in ops]
    seen[1] = seen[1]._replace(status=0)
    text = shown(record(QueueConfig(2), ops, property="x", violated="y", driver="d", results=seen))
    assert "! status: 0, the reference has -28" in " ".join(text.split())


def test_control_characters_do_not_reach_the_terminal() -> None:
    """A foreign document cannot move the cursor or colour the screen."""
    document = make_trace("D14")
    state = replace(document.states[1], action="\x1b[31mred", args={})
    text = shown(replace(document, description="\x1b]0;x\x07", states=(document.states[0], state)))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_markup_is_printed_as_it_is() -> None:
    """Brackets in a sentence are text, not styles."""
    text = shown(replace(make_trace("D14"), violated="[bold]not bold[/]"))
    assert "[bold]not bold[/]" in text


def test_a_terminal_gets_colours() -> None:
    """Where the console has colours the violation is red."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    render(make_trace("D14"), console)
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[1;31m" in console.file.getvalue()


def test_a_trace_that_did_not_replay_says_so() -> None:
    """A counterexample that the mutated reference does not show is never called replayed."""
    result = find_trace("D14")
    assert isinstance(result, Found)
    wrong: Counterexample = replace(result.trace, mutant="D3")
    document = document_of(wrong)
    assert not document.replayed
    assert "not replayed: on the reference with D3 nothing breaks" in shown(document)


def test_a_model_that_differs_from_the_run_is_not_replayed() -> None:
    """Where model and run disagree on a variable the trace is not called replayed, and says where."""
    result = find_trace("D14")
    assert isinstance(result, Found)
    last = result.trace.steps[-1]
    steps = (*result.trace.steps[:-1], replace(last, values={**last.values, "num_added": 7}))
    document = document_of(replace(result.trace, steps=steps))
    assert not document.replayed
    assert document.extra["not_replayed"] == "state 2: num_added is 1, 7 in the model"


def test_an_empty_document_still_has_a_header() -> None:
    """Nothing to step through is no error."""
    empty = replace(make_trace("D14"), states=(), operations=())
    assert next(lines(empty, 80)).plain.startswith("D14")
