"""A document of any kind becomes a scene: numbered steps in words, what broke, and where."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import NetCode, NetConfig
from ringproof.impl.harness.operations import Code, Op, Result
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.journey.document import NetTrace
from ringproof.journey.recording import record as record_network
from ringproof.traces.document import TraceDocument, TraceError
from ringproof.traces.recording import record, record_alone
from ringproof.traces.steps_document import StepsDocument
from ringproof.traces.stepwise import make_steps_trace
from ringproof.traces.wording import Change
from ringproof.views import network_words
from ringproof.views.opening import Document, from_json, load_any
from ringproof.views.scene import Explanation, Part
from ringproof.views.staging import scene_of
from tests.quickest import quickest

OPS = (Op(Code.ADD, a=1, in_=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET))
NET_OPS = (
    *(Op(NetCode.PROBE), Op(NetCode.XMIT), Op(NetCode.NET_READ, in_=1)),
    *(Op(NetCode.NET_COMPLETE, in_=1, c=9), Op(NetCode.XMIT, a=1), Op(NetCode.REMOVE)),
)


def queue(**changes: Any) -> TraceDocument:
    """A run of a driver that fails at its third operation and goes on."""
    results = [Result(*[0] * 11) for _ in OPS]
    document = record(
        QueueConfig(4), OPS, property="num-free-exact", violated="num_free is 3", driver="d", results=results,
        meta={"step": 2, "clause": "2.7.13", "check": "c"},
    )  # fmt: skip
    return replace(document, **changes)


def network(**changes: Any) -> NetTrace:
    """A run of the reference's network driver."""
    frames = (Frame(Packet(bytes(60))), Frame(Packet(bytes(70))))
    document = record_network(NetConfig(64, 0, "legacy", "linux-3.11"), frames, NET_OPS)
    return replace(document, **changes)


def steps(mutant: str) -> StepsDocument:
    """A run of the step-wise model."""
    found = make_steps_trace(mutant)
    assert found is not None
    return found.document()


def test_a_queue_is_staged() -> None:
    """Title, setting, standing, what broke and where, and each step in the words of the terminal."""
    scene = scene_of(queue(), sources=False)
    assert (scene.kind, scene.title, scene.queue_size) == ("validate", "d fails c", 4)
    assert scene.setting == "queue of 4, legacy layout, profile linux-3.11"
    assert scene.standing.startswith("a run of d: the states are those of the reference")
    assert (scene.property, scene.violated, scene.clause) == ("num-free-exact", "num_free is 3", "2.7.13")
    assert scene.broken == 3
    assert "num_free" in scene.marked
    assert [step.number for step in scene.steps] == [0, 1, 2, 3, 4, 5]
    first, added = scene.steps[0], scene.steps[1]
    assert (first.lane, first.words, first.changes) == ("init", "create the queue", ())
    assert (added.lane, added.words) == ("driver", "add 1 segment, 1 writable one")
    assert Change("num_free", "num_free", "4", "2") in added.changes
    assert "num_free: 0, the reference has 2" in added.differences
    assert added.values == queue().states[1].values
    assert scene.steps[3].lane == "device"
    assert scene.steps[-1] is scene.at(5)
    assert [step.number for step in scene.steps[1:5:2]] == [1, 3]


@pytest.mark.parametrize(
    ("changes", "standing", "broken"),
    [
        (
            {"kind": "search", "mutant": "A2", "replayed": True, "extra": {}},
            "replayed: the reference carr",
            5,
        ),
        ({"kind": "search", "extra": {"not_replayed": "why"}}, "not replayed: why", 5),
        ({"kind": "search", "extra": {}}, "not replayed: nobody has run it", 5),
        ({"extra": {"step": -1, "clause": "oracle: process"}}, "a run of a driver: the states", 0),
        ({"extra": {"step": 5, "driver": "x", "alone": True}}, "a run of x that no reference follows", 5),
        ({"property": "", "violated": ""}, "a run of d", None),
    ],
)
def test_what_broke_and_where_it_stands(changes: dict[str, Any], standing: str, broken: int | None) -> None:
    """A search breaks with its last step; a validation says which operation failed, creation and end too."""
    scene = scene_of(queue(**changes), sources=False)
    assert scene.standing.startswith(standing)
    assert scene.broken == broken
    assert not scene.clause.startswith("oracle")


def test_a_driver_alone_is_staged() -> None:
    """Its states lack tables, and the scene does without."""
    document = record_alone(
        QueueConfig(4, hostile=True), OPS, property="p", violated="v", driver="d", results=[]
    )
    scene = scene_of(document)
    assert scene.standing == (
        "a run of d that no reference follows: the states are what the driver told; "
        "the device breaks the rules on purpose"
    )
    assert len(list(scene.steps)) == len(OPS) + 1


def test_a_queue_of_an_odd_size_shows_the_queue_of_the_reference() -> None:
    """The reference has the next power of two, so that is what its states show."""
    config = QueueConfig(3, 1 << 32, "modern", profile="virtio-1.x")
    scene = scene_of(record(config, OPS[:1], property="p", violated="v", driver="d"), sources=False)
    assert scene.queue_size == 4
    assert {len(scene.at(1).values[name]) for name in ("next", "data", "avail_ring")} == {4}


def test_a_network_driver_is_staged() -> None:
    """Steps in words, what came of frames, and what changed of queues, counts and registers."""
    scene = scene_of(network(property="p", violated="tx_packets is 2", extra={"origin": "o"}), sources=False)
    assert (scene.kind, scene.queue_size, scene.broken) == ("network", 0, len(NET_OPS))
    assert scene.standing == "a run of the reference; o"
    assert scene.marked == {"tx_packets"}
    assert scene.setting.startswith("queues of 64, legacy transport")
    _, probe, sent, read, used, again, gone = scene.steps
    assert Change("queues", "queue 1", "none", "64 descriptors") in probe.changes
    assert probe.changes[-1].new.endswith(" more accesses")
    assert (sent.words, sent.lane) == ("xmit frame 0", "driver")
    assert sent.outcome.startswith("queued at head 0, device notified")
    assert Change("avail_idx", "queue 1 avail_idx", "0", "1") in sent.changes
    assert Change("registers", "write queue_notify", None, "1") in sent.changes
    assert (read.lane, read.outcome) == ("device", "frame 0 at head 0: 70 bytes")
    assert used.outcome == "frame 0 at head 0 is used"
    assert Change("tx_packets", "pair 0 tx_packets", "0", "1") in again.changes
    assert Change("queues", "queue 1", "there", "gone") in gone.changes
    driven = scene_of(network(extra={"driver": "d"}), sources=False)
    assert driven.standing.startswith("a run of d: ")
    assert (driven.broken, driven.title) == (None, "a run of a network driver")


def test_single_statements_are_staged() -> None:
    """The words are the document's own; changes name tables entry by entry; the last step breaks."""
    scene = scene_of(steps("X30"), sources=False)
    assert (scene.kind, scene.queue_size) == ("steps", 1)
    assert scene.setting == "queue of 1, INDIRECT_DESC, profile linux-3.11"
    assert scene.standing.startswith("not replayed: a run of the step-wise model")
    assert scene.broken == len(scene.steps) - 1
    assert scene.property == "table-filled-as-asked"
    _, added, filled, *_, last = scene.steps
    assert added.words.startswith("add: token 1, 2 segments")
    assert Change("tables", "table 0", "free", "allocated") in added.changes
    assert Change("tables", "table 0[0].addr", "0x0", "0x1000") in filled.changes
    assert scene.marked & {change.variable for change in last.changes}
    past = replace(steps("D7"), kicked=3, quiet=2)
    assert scene_of(past, sources=False).setting.endswith(
        "after 5 chains that came back one at a time, the last 2 without a kick"
    )


@pytest.mark.parametrize("make", [queue, network, lambda: steps("D7")])
def test_every_kind_is_opened_and_has_sources(make: Any, tmp_path: Path) -> None:
    """A saved document of any kind is opened as it was, and its steps name lines of code."""
    document: Document = make()
    path = tmp_path / "t.itf.json"
    document.save(path)
    assert load_any(path) == document
    assert any(step.sources for step in scene_of(load_any(path)).steps)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "the whole: an integer where there should be a trace document"),
        ({"#meta": {"format": "ITF"}}, "#meta: no entry ringproof"),
        ({"#meta": {"format": "ITF", "ringproof": 9}}, "#meta.ringproof: version 9 is newer"),
        ({"#meta": {"format": "ITF", "ringproof": 1}}, "#meta.kind: is missing"),
        (
            {"#meta": {"format": "ITF", "ringproof": 1, "kind": "x"}},
            "#meta.kind: 'x' is none of search, validate, network, steps",
        ),
        ({"#meta": {"format": "ITF", "ringproof": 1, "kind": "steps"}}, "states: is missing"),
    ],
)
def test_what_is_no_trace_is_one_line(value: object, message: str) -> None:
    """Foreign, of no kind, or newer: the place is named."""
    with pytest.raises(TraceError) as caught:
        from_json(value, "f")
    assert str(caught.value).startswith(f"f: {message}")
    assert "\n" not in str(caught.value)


def test_an_explanation_is_read_strictly() -> None:
    """What was found out is in the scene, what was not is empty; one of another form is refused."""
    told = {
        "parts": [{"name": "a", "words": "b", "holds": False, "sentence": "s", "key": True}],
        "unavoidable": {"step": 2, "words": "u"},
        "variant": {"step": 1, "words": "w", "operations": [[1, 0, 0, 1, 0, 0]]},
    }
    document = queue(extra={"explanation": told})
    assert scene_of(document, sources=False).explanation == Explanation(
        (Part("a", "b", False, "s", True),), 2, "u", 1, "w"
    )
    nothing: list[dict[str, Any]] = [{}, {"parts": []}]
    for less in nothing:
        assert scene_of(queue(extra={"explanation": less}), sources=False).explanation == Explanation()
    for wrong, place in (
        ([], "#meta.explanation: "),
        (
            {"unavoidable": {"step": 6, "words": ""}},
            "#meta.explanation.unavoidable.step: 6 is not from 0 to 5",
        ),
        ({"parts": [{}]}, "#meta.explanation.parts[0].name: is missing"),
        ({"variant": 3}, "#meta.explanation.variant: an integer where"),
        (
            {"variant": {"step": 1, "words": "", "operations": [[-1] * 6]}},
            "#meta.explanation.variant.operati",
        ),
    ):
        with pytest.raises(TraceError) as caught:
            scene_of(queue(extra={"explanation": wrong}), sources=False)
        assert str(caught.value).startswith(f"trace: {place}")


def test_a_long_trace_is_staged_at_once() -> None:
    """10,000 steps of a queue of 64: steps are made only when they are looked at."""
    ran = record(QueueConfig(64), OPS * 20, property="p", violated="v", driver="d")
    document = replace(ran, states=(ran.states[0], *ran.states[1:] * 100), operations=ran.operations * 100)
    assert quickest(lambda: scene_of(document, sources=False).at(9_999), 0.2) < 0.2
    scene = scene_of(document, sources=False)
    assert len(scene.steps) == 10_001
    assert scene.at(9_999).words == "complete 1 chain"


def test_the_header_that_the_device_reads_is_shown() -> None:
    """With its length and fields, where the driver of the states is the accused one; else it is another's."""
    (change,) = [
        each for each in scene_of(network(), sources=False).at(3).changes if each.variable == "header"
    ]
    assert (change.name, change.old) == ("header of frame 0", None)
    assert change.new.startswith("has 10 bytes, no num_buffers: flags 0, gso_type NONE, hdr_len 0")
    other = scene_of(network(extra={"driver": "x"}), sources=False)
    assert not [each for step in other.steps for each in step.changes if each.variable == "header"]
    assert network_words.accused("the header has 10 bytes") == {"header"}
    assert network_words.accused("num_buffers is 513") == {"header"}


def test_a_driver_of_another_design_is_accused_of_what_broke_alone() -> None:
    """Compared by meaning, what it does otherwise before is told without a mark; what it broke is marked."""
    scene = scene_of(queue(extra={**queue().extra, "compared": "by meaning", "step": 3}), sources=False)
    assert scene.conjunct == "c"
    assert [step.number for step in scene.steps if step.differences] == [4]
    assert scene.at(2).outcome == "device not notified (the reference: device notified (queue_notify := 0))"
    assert "device notified" not in scene_of(queue(), sources=False).at(2).outcome
