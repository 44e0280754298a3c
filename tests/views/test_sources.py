"""Which lines of code each step of a trace names: those that changed something, and the seeded one."""

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.impl.harness.frames import Fragment, Frame, Packet
from ringproof.impl.harness.net_operations import NetCode, NetConfig
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.journey.making import make_net_trace
from ringproof.journey.recording import record as record_network
from ringproof.model.steps.queue import DEVICE, Steps
from ringproof.patching import load_reference_mutant, mutant_ids, reference_sources
from ringproof.traces.document import FEATURE_NAMES, TraceDocument
from ringproof.traces.making import make_trace
from ringproof.traces.recording import record, record_alone
from ringproof.traces.stepwise import make_steps_trace
from ringproof.views.model_sources import model_sources
from ringproof.views.scene import Source
from ringproof.views.sources import MOST_LINES, MOST_WATCHED, beginnings, sources_of

ROUND = (Op(Code.ADD, a=2), Op(Code.KICK), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1), Op(Code.GET))
QUEUE_ACTIONS = [code.name.lower() for code in Code if code < Code.READ or code == Code.ROUNDS]
NETWORK_ACTIONS = [code.name.lower() for code in NetCode if code < NetCode.NET_READ]


def _recorded(operations: Sequence[Op], config: QueueConfig | None = None) -> TraceDocument:
    return record(config or QueueConfig(4), operations, property="p", violated="v", driver="d")


def _with(document: TraceDocument, mutant: str) -> TraceDocument:
    return replace(document, mutant=mutant)


def _lines(sources: Sequence[Source]) -> list[Source]:
    return [source for source in sources if source.side == "reference"]


@pytest.fixture(scope="module")
def only_the_head() -> TraceDocument:
    """The shortest run of A2."""
    return make_trace("A2")


def test_a_step_names_the_lines_that_changed_each_variable() -> None:
    """Adding publishes: the line that stores avail.idx is named with its number and its text."""
    sources = sources_of(_recorded(ROUND))
    add = {name: source for source in sources[1] for name in source.variables}
    assert add["avail_idx"].text == "self.avail.idx = (self.avail.idx + 1) & U16"
    assert add["avail_idx"].function == "Virtqueue.add"
    assert add["avail_idx"].file == "impl/reference/virtqueue.py"
    assert set(add) == {"num_free", "free_head", "flags", "data", "avail_idx", "num_added"}
    shipped = (reference_sources() / "virtqueue.py").read_text().splitlines()
    assert all(shipped[source.line - 1].strip() in source.text for source in _lines(sources[1]))


def test_every_variable_that_a_driver_changed_has_a_line() -> None:
    """What differs between two states is what the lines in between say they changed, up to changes undone."""
    document = _recorded(ROUND * 3)
    watched = set(document.states[0].values) - {"result", "registers", "expected", "observed"}
    for before, after, sources in zip(
        document.states, document.states[1:], sources_of(document)[1:], strict=False
    ):
        changed = {name for name in watched if before.values[name] != after.values[name]}
        told = {name for source in sources for name in source.variables}
        assert told >= changed if after.lane == "driver" else not sources


def test_the_doorbell_counts_for_the_line_that_rings_it() -> None:
    """A change made by somebody who is called counts for the line that called."""
    kick = sources_of(_recorded(ROUND))[2]
    assert [source.text for source in kick if "notifications" in source.variables] == [
        "self._notify(self.index)"
    ]


def test_lines_come_in_the_order_they_ran() -> None:
    """get: the chain goes back to the free list before last_used_idx moves on."""
    get = _lines(sources_of(_recorded(ROUND))[5])
    names = [name for source in get for name in source.variables]
    assert names.index("data") < names.index("num_free") < names.index("last_used_idx")


def test_the_seeded_line_is_marked(only_the_head: TraceDocument) -> None:
    """A2's shortest run: get names the line that sets num_free, and the line that the mutant put there."""
    get = sources_of(only_the_head)[-1]
    assert only_the_head.states[-1].action == "get"
    assert [source.text for source in get if "num_free" in source.variables] == ["self.num_free += 1"]
    assert [source.text for source in get if source.seeded] == ["desc.next[head] = self.free_head"]
    assert not any(source.seeded for step in sources_of(only_the_head)[:-1] for source in step)


@pytest.mark.parametrize(
    ("mutant", "operation", "text"),
    [
        ("X1", 2, "if self.event:"),
        ("D14", 3, "return -ENOSPC"),
        ("A5", 1, "self.num_free -= len(out) + len(in_) + 1"),
        ("B13", 2, "virtio_rmb()"),
    ],
)
def test_what_a_mutant_took_out_marks_the_statement_behind_the_gap(
    mutant: str, operation: int, text: str
) -> None:
    """Changed lines are seeded, and of lines taken out the next that runs."""
    ops = {"D14": (Op(Code.ADD, a=4), Op(Code.KICK), Op(Code.ADD, a=1)), "B13": (Op(Code.KICK), Op(Code.GET))}
    sources = sources_of(_with(_recorded(ops.get(mutant, ROUND)), mutant))
    assert [source.text for source in sources[operation] if source.seeded] == [text]


def test_unchanged_lines_of_a_mutant_have_the_numbers_of_the_shipped_file() -> None:
    """A2 takes eight lines out; what stands behind them is told where it stands without the mutant."""
    shipped = (reference_sources() / "virtqueue.py").read_text().splitlines()
    for sources in sources_of(_with(_recorded(ROUND), "A2")):
        for source in _lines(sources):
            assert source.seeded or shipped[source.line - 1].strip() in source.text


def test_a_step_that_changes_nothing_names_where_its_function_begins() -> None:
    """On an empty queue get names its function's first line, no variables."""
    get = sources_of(_recorded((Op(Code.GET),)))[1]
    assert [(source.side, source.function, source.variables) for source in get] == [
        ("reference", "Virtqueue.get_buf", ()),
        ("c", "rp_vq_get_buf", ()),
    ]


def test_a_step_names_few_lines() -> None:
    """Of a thousand rounds and of long chains there are still at most MOST_LINES, and the seeded one is."""
    rounds = _with(_recorded((Op(Code.ROUNDS, a=1000),), QueueConfig(64)), "X1")
    lines = _lines(sources_of(rounds)[1])
    assert len(lines) <= MOST_LINES
    assert any(source.seeded for source in lines)
    chain = sources_of(_recorded((Op(Code.ADD, a=60, in_=4),), QueueConfig(64)))[1]
    assert len(_lines(chain)) <= MOST_LINES


def test_of_a_long_run_the_last_steps_are_watched() -> None:
    """10,000 steps: the first name where functions begin, the last the lines that changed something."""
    document = _recorded(ROUND * (2 * MOST_WATCHED // len(ROUND)))
    sources = sources_of(document)
    assert len(sources) == len(document.states)
    assert [source.text[:8] for source in _lines(sources[1])] == ["def add("]
    assert any("avail_idx" in source.variables for source in sources[-5])


def test_of_a_run_too_long_to_be_repeated_there_are_beginnings() -> None:
    """A million rounds are not run again to draw a picture."""
    document = replace(
        _recorded((Op(Code.ROUNDS, a=1),)), operations=(Op(Code.ROUNDS, a=1 << 20),), mutant="X1"
    )
    assert [source.function for source in sources_of(document)[1]] == [
        *("Virtqueue.add", "Virtqueue.kick", "Virtqueue.get_buf"),
        *("rp_vq_add", "rp_vq_kick", "rp_vq_get_buf"),
    ]


def test_a_run_that_ends_in_the_driver_keeps_its_lines() -> None:
    """Where the reference's own code fails, the lines until then are told; nothing is raised."""
    document = _with(_recorded((*ROUND, *ROUND)), "A13")
    sources = sources_of(document)
    assert len(sources) == len(document.states)
    assert all(sources[number] for number, state in enumerate(document.states) if state.lane == "driver")


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_raised_whatever_was_done(seed: int) -> None:
    """Operations drawn at random on the reference with mutants drawn at random: an entry for each state."""
    rng = random.Random(seed)
    codes = [code for code in Code if code not in (Code.MISCHIEF, Code.DETACH_UNUSED)]
    numbers = [
        (rng.choice(codes), *(rng.randrange(most) for most in (32, 4, 6, 1 << 32, 4))) for _ in range(25)
    ]
    operations = (*(Op(*each) for each in numbers), Op(Code.DETACH_UNUSED))
    features = sum(rng.choice((0, bit)) for bit in FEATURE_NAMES.values())
    config = QueueConfig(rng.choice((1, 3, 8, 100, 32768)), features, rng.choice(("legacy", "modern")))
    document = replace(
        _recorded(()),
        config=config,
        operations=operations,
        mutant=rng.choice(mutant_ids(reference_sources())),
    )
    assert len(sources_of(document)) == len(operations) + 1
    sent = [(rng.choice(list(NetCode)), *(rng.randrange(3) for _ in range(5))) for _ in range(25)]
    frames = tuple(Frame(Packet(bytes(60), (Fragment(0, b"more"),) * count)) for count in range(3))
    network = record_network(NetConfig(queue_size=rng.choice((1, 4, 32))), frames, (Op(NetCode.PROBE),))
    network = replace(
        network, operations=(*network.operations, *(Op(*each) for each in sent)), mutant=document.mutant
    )
    assert len(sources_of(network)) == 27


def test_no_reference_follows_a_hostile_device() -> None:
    """Of a driver's own run, and of an unknown mutant, there is where functions begin."""
    alone = record_alone(
        QueueConfig(4, hostile=True), ROUND, property="p", violated="v", driver="d", results=()
    )
    for document in (alone, _with(_recorded(ROUND), "Z99")):
        sources = sources_of(document)
        assert [source.function for source in sources[1]] == ["Virtqueue.add", "rp_vq_add"]
        assert [bool(step) for step in sources] == [True, True, True, False, False, True]


def test_tables_count_only_where_states_have_them() -> None:
    """A queue of 256: its states have no tables, so no line is said to change one."""
    names = {
        name
        for step in sources_of(_recorded(ROUND, QueueConfig(256)))
        for source in step
        for name in source.variables
    }
    assert "avail_idx" in names
    assert not names & {"next", "flags", "data", "avail_ring", "used_ring"}


@pytest.mark.parametrize("action", [*QUEUE_ACTIONS, "create"])
def test_every_action_of_a_queue_has_its_functions(action: str) -> None:
    """Reference and C: the line found is that of a definition, and holds the function's name."""
    own, c = beginnings(action)
    assert len(own) == len(c) > 0
    _stand_where_they_say((*own, *c))


@pytest.mark.parametrize("action", NETWORK_ACTIONS)
def test_every_action_of_a_network_driver_has_its_functions(action: str) -> None:
    """The same of the whole driver."""
    own, c = beginnings(action, network=True)
    assert len(own) == len(c) == 1
    _stand_where_they_say((*own, *c))


def _stand_where_they_say(sources: Sequence[Source]) -> None:
    roots = {"reference": reference_sources(), "c": c_sources()}
    for source in sources:
        line = (roots[source.side] / Path(source.file).name).read_text().splitlines()[source.line - 1]
        name = source.function.rpartition(".")[2]
        assert f"{name}(" in line
        assert line.strip() in source.text
        assert not line.rstrip().endswith(";")


def test_the_steps_of_the_device_have_none() -> None:
    """Only the driver's code is shown."""
    for code in Code:
        if Code.READ <= code < Code.ROUNDS:
            assert beginnings(code.name.lower()) == ((), ())


# -- the whole driver ---------------------------------------------------------------------------------------


def test_a_frame_names_the_lines_that_sent_it() -> None:
    """xmit: registers, events and queues have their lines; the device's steps none."""
    frame = Frame(Packet(bytes(60), (Fragment(0, b"more"),)))
    ops = (Op(NetCode.PROBE), Op(NetCode.XMIT), Op(NetCode.NET_READ, in_=1), Op(NetCode.REMOVE))
    sources = sources_of(record_network(NetConfig(queue_size=64), (frame,), ops))
    told = {name: source for source in sources[2] for name in source.variables}
    assert told["registers"].function == "LegacyPci.notify"
    assert told["events"].text == "self.stack.orphaned(skb.token)"
    assert told["queues"].text == "self.avail.idx = (self.avail.idx + 1) & U16"
    assert sources[0] == sources[3] == ()
    assert len(_lines(sources[1])) <= MOST_LINES


@pytest.mark.parametrize(
    ("mutant", "text"),
    [("E19", "self.tx_bytes += self.header_size + skb.len"), ("X20", "self.registers.write(")],
)
def test_the_seeded_line_of_a_whole_driver_is_marked(mutant: str, text: str) -> None:
    """Two mutants beside the virtqueue: the last step that ran the seeded line is the one that broke."""
    sources = sources_of(make_net_trace(mutant))
    seeded = [source for source in sources[-1] if source.seeded]
    assert len(seeded) == 1
    assert seeded[0].text.startswith(text)


def test_operations_that_cannot_be_asked_name_where_functions_begin() -> None:
    """Removing a device that is not there: nothing happened, nothing is raised."""
    document = record_network(NetConfig(queue_size=4), (), (Op(NetCode.PROBE),))
    twice = replace(document, operations=(Op(NetCode.REMOVE),))
    assert [source.function for source in sources_of(twice)[1]] == ["VirtnetInfo.remove", "rp_net_remove"]


# -- the step-wise model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [step for step in Steps.steps if step not in DEVICE])
def test_every_step_of_the_model_has_its_function(step: str) -> None:
    """Driver and handler: one function of model/steps each."""
    (source,) = model_sources(step, "")
    assert source.side == "model"
    assert source.text.startswith(f"def {step}(")


def test_a_mutant_of_the_model_is_marked_in_the_steps_it_changes() -> None:
    """A3 changes what walk follows, and nothing that publish is made of."""
    (_, changed) = model_sources("walk", "A3")
    assert (changed.seeded, changed.text) == (True, "return both(super().follows(s), s.count == 0)")
    assert len(model_sources("publish", "A3")) == 1
    assert model_sources("device_reads", "A3") == ()


def test_a_mutated_reference_is_left_as_it_was() -> None:
    """Watching a mutant leaves the tracer of the process alone, and its package loaded once."""
    before, package = sys.gettrace(), load_reference_mutant("A2")
    sources_of(_with(_recorded(ROUND), "A2"))
    assert sys.gettrace() is before
    assert load_reference_mutant("A2") is package


def test_a_run_of_the_model_names_its_steps() -> None:
    """One entry per state; the driver's and the handler's have their function, the last the mutant's line."""
    found = make_steps_trace("B7")
    assert found is not None
    document = found.document()
    sources = sources_of(document)
    assert len(sources) == len(document.states)
    for state, step in zip(document.states[1:], sources[1:], strict=True):
        assert bool(step) == (state.lane != "device")
    assert any(source.seeded for step in sources for source in step)
