"""Traces of network drivers: written whole, read strictly, lost nothing of, replayed as they were."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import itf_py  # type: ignore[import-untyped]
import pytest

from ringproof.commands.build import build_shipped
from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig, Op
from ringproof.journey.described import described
from ringproof.journey.document import NetTrace, TraceError, from_json, load
from ringproof.journey.recording import record
from ringproof.journey.replay import replay_on_driver, replay_on_reference, state_difference
from ringproof.patching import load_reference_mutant

CONFIG = NetConfig(
    32, NET_FEATURES, "modern", "virtio-1.x", pairs=2, known_features=NET_FEATURES & ~1, reset_reads=2,
    mac=b"\x02\x00\x00\x00\x00\x07",
)  # fmt: skip
FRAMES = (
    described("tcp4 len=400 frags=9@7,0 list=20,30(5@4;6) queue=1 cpu=2")[0],
    described("udp4 len=200")[0],
    described("udp4 len=200 csum")[0],
    Frame(Packet(b"", (Fragment(0, b"\xff" * 60),)), gso=Gso.UNKNOWN, gso_size=7, ecn=True),
)
OPS = (
    Op(NetCode.PROBE),
    Op(NetCode.SET_PAIRS, a=2),
    *(Op(NetCode.XMIT, a=number) for number in range(4)),
    Op(NetCode.XMIT, flags=1, a=3),
    Op(NetCode.NET_READ, in_=1),
    Op(NetCode.NET_READ, in_=3, a=1),
    Op(NetCode.NET_SET_AVAIL_EVENT, 4, 3),
    Op(NetCode.NET_COMPLETE, in_=3, a=1, b=2, c=9),
    Op(NetCode.RAISE, a=3),
    Op(NetCode.INTERRUPT),
    Op(NetCode.NET_SET_FLAGS, in_=1, a=1),
    Op(NetCode.REMOVE),
)


@pytest.fixture(scope="module")
def document() -> NetTrace:
    """A run with something of everything."""
    return record(CONFIG, FRAMES, OPS, description="all of it", extra={"step": 3, "more": [1, None]})


def test_a_document_comes_back_as_it_was(document: NetTrace, tmp_path: Path) -> None:
    """Saving and loading loses nothing, and the text is a function of the document."""
    path = tmp_path / "a.itf.json"
    document.save(path)
    assert load(path) == document
    assert load(path).text() == document.text() == path.read_text()
    assert len(document.states) == len(OPS) + 1


def test_other_viewers_read_it(document: NetTrace) -> None:
    """It is ITF: the public Python reader takes it, and finds names and values."""
    value = json.loads(document.text())
    trace = itf_py.trace_from_json(value)
    assert len(trace.states) == len(OPS) + 1
    probe = trace.states[1].values
    assert probe["registers"][0].register == "device_status"
    sent = trace.states[3].values["journey"].sent[0]
    assert (sent.outcome, sent.sk_buff.length) == ("queued", 400)


def test_a_state_tells_the_journey(document: NetTrace) -> None:
    """sk_buff, scatterlist, header, chain and slot at XMIT, then read, used and freed."""
    states = {
        (state.action, state.args.get("frame", at)): state.values for at, state in enumerate(document.states)
    }
    (sent,) = states["xmit", 0]["journey"]["sent"]
    assert (sent["pair"], sent["queue"], sent["head"], sent["slot"]) == (1, 3, 0, 0)
    assert [entry["length"] for entry in sent["scatterlist"]] == [12, 330, 9, 20, 30, 5, 6]
    assert [entry["end"] for entry in sent["scatterlist"]] == [False] * 6 + [True]
    assert sent["header"][0]["bytes"] == "00" * 12
    assert len(sent["descriptors"]) == 1
    assert [entry["length"] for entry in sent["table"]] == [12, 330, 9, 20, 30, 5, 6]
    assert sent["notified"]
    (dropped,) = states["xmit", 2]["journey"]["sent"]
    assert (dropped["outcome"], dropped["reason"]) == (
        "dropped",
        "the device is to sum, but CSUM was not accepted",
    )
    read = [each for state in document.states for each in state.values["journey"]["read"]]
    assert [(each["frame"], each["queue"], each["bytes"]) for each in read] == [(1, 1, 212), (0, 3, 412)]
    assert [u["frame"] for s in document.states for u in s.values["journey"]["used"]] == [0]
    assert [f for s in document.states for f in s.values["journey"]["freed"]] == [2, 3, 3, 0, 1]


@pytest.mark.parametrize("transport", ["legacy", "modern"])
@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_a_trace_replays(profile: str, transport: str, tmp_path: Path) -> None:
    """On the reference every state comes out again, and the C driver does the same at every step."""
    config = NetConfig(32, NET_FEATURES, transport, profile, pairs=2)
    path = tmp_path / "a.itf.json"
    record(config, FRAMES, OPS).save(path)
    again = replay_on_reference(load(path))
    assert again.step is None, again.reason
    on_c = replay_on_driver(load(path), build_shipped(None, profile=profile))
    assert on_c.step is None, on_c.reason


def test_a_defective_driver_parts_from_the_trace() -> None:
    """The first step at which a seeded defect shows is named, with what differs."""
    config = NetConfig(32, NET_FEATURES)
    document = record(config, FRAMES, OPS)
    outcome = replay_on_driver(document, build_shipped(None, mutant="X11"))
    assert outcome.step == 3
    assert "descriptor" in outcome.reason or "chain" in outcome.reason or "byte" in outcome.reason


def test_a_mutants_trace_replays_on_the_mutant() -> None:
    """A trace that names a mutant runs on the reference that carries it; without it the two part."""
    config = NetConfig(32, NET_FEATURES)
    document = record(config, FRAMES, OPS, mutant="X11", reference=load_reference_mutant("X11"))
    assert replay_on_reference(document).step is None
    clean = NetTrace(document.config, document.frames, document.operations, document.states)
    outcome = replay_on_reference(clean)
    assert outcome.step == 3
    assert "journey.sent[0].scatterlist[2].offset is 7, 0 in the trace" in outcome.reason


def test_a_violation_ends_a_recording() -> None:
    """A run that breaks a rule is recorded up to there, and says which; a replay finds the same."""
    frames = [described("tcp4 gso=9 kind=unknown")[0]]
    ops = (Op(NetCode.PROBE), Op(NetCode.XMIT, a=0), Op(NetCode.REMOVE))
    document = record(NetConfig(8), frames, ops, mutant="X24", reference=load_reference_mutant("X24"))
    assert document.property == "frame-freed-once"
    assert (len(document.operations), len(document.states)) == (2, 3)
    outcome = replay_on_reference(document)
    assert outcome.step == 2
    assert "frame-freed-once" in outcome.reason


def test_operations_that_cannot_be_asked(document: NetTrace) -> None:
    """A trace whose operations make no sense is one line naming the operation."""
    value = document.to_json()
    value["#meta"]["operations"][1] = [int(NetCode.PROBE), 0, 0, 0, 0, 0]
    value["states"][2]["action"] = "probe"
    value["states"][2]["args"] = {}
    with pytest.raises(
        TraceError, match=r"the trace: #meta.operations\[1\]: cannot be asked: .*probed already"
    ):
        replay_on_reference(from_json(value, "f"))


def test_states_differ_where_they_differ(document: NetTrace) -> None:
    """The first place where two states part is named."""
    one, other = document.states[3], document.states[4]
    assert state_difference(one, one) == ""
    assert state_difference(one, other).startswith("the step is xmit {'frame': 1}")


def spoiled(document: NetTrace, change: Callable[[dict[str, Any]], object]) -> str:
    """The complaint about a document that was changed after writing."""
    value = copy.deepcopy(json.loads(document.text()))
    change(value)
    with pytest.raises(TraceError) as caught:
        from_json(value, "f")
    message = str(caught.value)
    assert message.startswith("f: ")
    assert "\n" not in message
    return message


def _sent(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["states"][3]["journey"]["sent"][0]
    return found


def _nested(depth: int) -> dict[str, Any]:
    """A packet of one byte, so many lists below the outermost one."""
    packet: dict[str, Any] = {"head": "61", "fragments": [], "packets": []}
    for _ in range(depth):
        packet = {"head": "", "fragments": [], "packets": [packet]}
    return packet


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("#meta"), "#meta: is missing; it should be an object"),
        (lambda v: v["#meta"].pop("ringproof"), "#meta: no entry ringproof: not a trace of this tool"),
        (
            lambda v: v["#meta"].update(ringproof=2),
            "#meta.ringproof: version 2 is newer than this tool reads",
        ),
        (lambda v: v["#meta"].update(format="XML"), "#meta.format: not ITF"),
        (lambda v: v["#meta"].update(kind="search"), "#meta.kind: 'search' is none of network"),
        (lambda v: v["#meta"].update(mutant=7), "#meta.mutant: an integer where there should be text"),
        (lambda v: v["#meta"].pop("violated"), "#meta.violated: is missing"),
        (lambda v: v["#meta"]["config"].update(queue_size=-1), "#meta.config.queue_size: -1 is not from 0"),
        (lambda v: v["#meta"]["config"].update(transport="usb"), "#meta.config: transport 'usb' is neither"),
        (
            lambda v: v["#meta"]["config"].update(features=["X"]),
            "#meta.config.features[0]: 'X' is none of CSUM",
        ),
        (lambda v: v["#meta"]["config"].update(mac="00"), "#meta.config: a MAC address of 1 bytes"),
        (lambda v: v["#meta"]["config"].update(mac="0g"), "#meta.config.mac: not bytes of two hexadecimal"),
        (lambda v: v["#meta"]["config"].update(pairs=9), "#meta.config.pairs: 9 is not from 1 to 8"),
        (
            lambda v: v["#meta"]["config"].update(refuses_features=1),
            "#meta.config.refuses_features: an integer",
        ),
        (lambda v: v["#meta"]["frames"][0].pop("packet"), "#meta.frames[0].packet: is missing"),
        (
            lambda v: v["#meta"]["frames"][0]["packet"].update(head="a b"),
            "#meta.frames[0].packet.head: not bytes",
        ),
        (
            lambda v: v["#meta"]["frames"][0]["packet"]["fragments"][0].update(offset=4090),
            "#meta.frames[0].packet.fragments[0]: a fragment of 9 bytes at offset 4090 ends past its page",
        ),
        (
            lambda v: v["#meta"]["frames"][0]["packet"]["packets"][1]["packets"][0].pop("head"),
            "#meta.frames[0].packet.packets[1].packets[0].head: is missing",
        ),
        (
            lambda v: v["#meta"]["frames"][0].update(packet=_nested(65)),
            "#meta.frames[0].packet: packets nested more than 64 deep",
        ),
        (
            lambda v: v["#meta"]["frames"][0].update(packet=_nested(200)),
            "#meta.frames[0].packet.packets[0].packets[0].packets[0].packets[0].packets[0]",
        ),
        (lambda v: v["#meta"]["frames"][1].update(gso="FCOE"), "#meta.frames[1].gso: 'FCOE' is none of NONE"),
        (
            lambda v: v["#meta"]["frames"][2].update(csum_start=999),
            "#meta.frames[2]: the checksum ends at byte",
        ),
        (
            lambda v: v["#meta"]["frames"][1].update(recorded_queue=-1),
            "#meta.frames[1].recorded_queue: -1 is",
        ),
        (
            lambda v: v["#meta"]["operations"][2].pop(),
            "#meta.operations[2]: 5 numbers where an operation has 6",
        ),
        (
            lambda v: v["#meta"]["operations"][2].__setitem__(0, 1),
            "#meta.operations[2][0]: there is no operation",
        ),
        (
            lambda v: v["#meta"]["operations"][2].__setitem__(3, 4),
            "#meta.operations[2][3]: frame 4 of 4 does not",
        ),
        (lambda v: v["states"].pop(), "states: 15 states for 15 operations, not 16"),
        (lambda v: v["states"][2].update(lane="sky"), "states[2].lane: 'sky' is none of"),
        (lambda v: v["states"][2].pop("queues"), "states[2].queues: is missing"),
        (lambda v: v["states"][1]["registers"][0].pop("width"), "states[1].registers[0].width: is missing"),
        (
            lambda v: v["states"][1]["registers"][0].update(x=1),
            "states[1].registers[0].x: nothing of that name",
        ),
        (
            lambda v: v["states"][1]["registers"][0].update(write=1),
            "states[1].registers[0].write: an integer",
        ),
        (
            lambda v: v["states"][2]["queues"][0].update(num_free="3"),
            "states[2].queues[0].num_free: text where",
        ),
        (
            lambda v: v["states"][3].update(journey=[]),
            "states[3].journey: a list where there should be an obj",
        ),
        (lambda v: _sent(v).pop("slot"), "states[3].journey.sent[0].slot: is missing"),
        (
            lambda v: _sent(v)["sk_buff"]["packet"]["packets"][0].update(head=3),
            "states[3].journey.sent[0].sk_buff.packet.packets[0].head: an integer where",
        ),
        (
            lambda v: _sent(v)["table"][1].update(next={"#bigint": "9" * 30}),
            "states[3].journey.sent[0].table[1]",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    document: NetTrace, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """Each fault of a document gives one line that names the file and the place."""
    complaint = spoiled(document, change)
    assert complaint.startswith(f"f: {message}")
    assert len(complaint) < 300


def test_what_no_terminal_should_be_shown_is_refused(document: NetTrace, tmp_path: Path) -> None:
    """Half a surrogate pair, control characters; a whole pair and a backslash are characters like others."""
    path = tmp_path / "t.itf.json"
    text = document.text()
    path.write_text(text.replace("all of it", "\\ud83d\\ude00"))
    assert load(path).description == "\N{GRINNING FACE}"
    path.write_text(text.replace("all of it", "\\ud83d"))
    with pytest.raises(TraceError, match="half a surrogate pair"):
        load(path)
    for control in ("\\u001b[31m", "\\r", "\x9b", "\\u007f", "\\\\\\b"):
        path.write_text(text.replace("all of it", control))
        with pytest.raises(TraceError, match="a control character"):
            load(path)
    path.write_text(text.replace("all of it", "\\\\u001b \\\\b\\n\\t"))
    assert load(path).description == "\\u001b \\b\n\t"


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {"#meta": []}, {"states": []}])
def test_foreign_values_are_refused(value: object) -> None:
    """JSON that is something else altogether is a TraceError."""
    with pytest.raises(TraceError, match=r"^f: "):
        from_json(value, "f")


def test_every_truncation_is_refused(document: NetTrace, tmp_path: Path) -> None:
    """A file cut anywhere is never taken for a shorter trace."""
    data = document.text().encode()
    path = tmp_path / "t.itf.json"
    for length in range(0, len(data) - 2, 997):
        path.write_bytes(data[:length])
        with pytest.raises(TraceError) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_deep_nesting_is_refused(document: NetTrace) -> None:
    """Packets nested beyond all measure are one line."""
    value = json.loads(document.text())
    packet: dict[str, Any] = {"head": "00", "fragments": [], "packets": []}
    for _ in range(5000):
        packet = {"head": "", "fragments": [], "packets": [packet]}
    value["#meta"]["frames"][0]["packet"] = packet
    with pytest.raises(TraceError, match="nested too deeply"):
        from_json(value, "f")
