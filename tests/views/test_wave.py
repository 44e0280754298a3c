"""The value change dump: read back, it says at every step what the scene says."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from vcd.reader import TokenKind, tokenize

from ringproof.views.staging import scene_of
from ringproof.views.wave import render_vcd
from tests.quickest import quickest
from tests.views import told

SCENES = told.scenes()
VECTORS = frozenset(("avail_idx", "used_idx", "last_used_idx", "used_event", "avail_event", "read_idx"))


class Wave:
    """A dump read back: the width of each signal, its value at each time, and when events happened."""

    def __init__(self, text: str) -> None:
        self.bits: dict[str, int] = {}
        self.values: list[dict[str, Any]] = []
        self.events: dict[str, list[int]] = {}
        names: dict[str, str] = {}
        scopes: list[str] = []
        kinds: dict[str, str] = {}
        now: dict[str, Any] = {}
        at = 0
        for token in tokenize(io.BytesIO(text.encode("ascii"))):
            match token.kind:
                case TokenKind.TIMESCALE:
                    assert (int(token.timescale.magnitude), token.timescale.unit.value) == (1, "ns")
                case TokenKind.SCOPE:
                    scopes.append(token.scope.ident)
                case TokenKind.UPSCOPE:
                    scopes.pop()
                case TokenKind.VAR:
                    name = ".".join([*scopes, token.var.reference])
                    names[token.var.id_code] = name
                    kinds[name] = token.var.type_.value
                    self.bits[name] = token.var.size
                    if kinds[name] == "event":
                        self.events[name] = []
                case TokenKind.CHANGE_TIME:
                    while at < token.time_change:
                        self.values.append(dict(now))
                        at += 1
                case TokenKind.CHANGE_SCALAR:
                    name = names[token.scalar_change.id_code]
                    if kinds[name] == "event":
                        self.events[name].append(at)
                    else:
                        now[name] = {"0": 0, "1": 1}.get(token.scalar_change.value, "x")
                case TokenKind.CHANGE_VECTOR:
                    now[names[token.vector_change.id_code]] = token.vector_change.value
                case TokenKind.CHANGE_STRING:
                    text = token.string_change.value
                    now[names[token.string_change.id_code]] = re.sub(
                        r"\\x20|\\\\", lambda found: " " if found[0] == "\\x20" else "\\", text
                    )
                case _:
                    pass


def found(state: Mapping[str, Any], name: str) -> Any:
    """A signal's value whatever its scope; there must be one of this name."""
    (value,) = [value for place, value in state.items() if place.rpartition(".")[2] == name]
    return value


@pytest.mark.parametrize("name", ["leak", "of 4", "of 16", "of 64", "of 256", "alone"])
def test_every_value_of_every_step_is_there(name: str) -> None:
    """Indices, counts, flags, tables entry by entry, words and outcomes: equal at every time."""
    scene = SCENES[name]
    wave = Wave(render_vcd(scene))
    assert len(wave.values) == len(scene.steps)
    compared = 0
    for step, state in zip(scene.steps, wave.values, strict=True):
        assert found(state, "step") == step.number
        assert found(state, "lane") == step.lane
        assert found(state, "action") == step.words
        assert found(state, "outcome") == step.outcome
        assert found(state, "violated") == (scene.broken is not None and step.number >= scene.broken)
        for variable, value in step.values.items():
            if variable in ("result", "expected", "observed", "registers", "in_flight"):
                continue
            if isinstance(value, list):
                for at, entry in enumerate(value):
                    assert found(state, f"{variable}_{at}") == entry
            else:
                assert found(state, variable) == value, (step.number, variable)
            compared += 1
    assert compared >= len(scene.steps) * 6


def test_indices_are_vectors_of_16_bits() -> None:
    """Also where they stay small; truth values are wires."""
    wave = Wave(render_vcd(SCENES["of 4"]))
    for place, bits in wave.bits.items():
        if place.rpartition(".")[2] in VECTORS:
            assert bits == 16
    assert wave.bits["driver.broken"] == 1
    assert wave.bits["ring.no_interrupt"] == 1


def test_notifications_and_interrupts_are_events() -> None:
    """They happen at the steps that say so, and the violation where it broke."""
    for scene in (SCENES["of 16"], SCENES["leak"]):
        wave = Wave(render_vcd(scene))
        kicks = [step.number for step in scene.steps if "device notified" in step.outcome]
        due = [step.number for step in scene.steps if step.outcome.startswith("interrupt due")]
        assert wave.events["driver.kick"] == kicks
        assert wave.events["device.interrupt"] == due
        assert wave.events["trace.violation"] == [scene.broken]
        assert due
    assert Wave(render_vcd(SCENES["network"])).events["driver.kick"]


def test_a_network_has_its_queues() -> None:
    """Words of queues and counts of pairs by number; x where a queue is not there."""
    scene = SCENES["network"]
    wave = Wave(render_vcd(scene))
    for step, state in zip(scene.steps, wave.values, strict=True):
        records = {record["queue"]: record for record in step.values["queues"]}
        for field in ("avail_idx", "used_idx", "num_free", "stopped"):
            value = state[f"ring.queues_1.{field}"]
            assert value == (records[1][field] if 1 in records else "x")
        for record in step.values["statistics"]:
            assert state[f"driver.statistics_{record['pair']}.tx_packets"] == record["tx_packets"]
    assert "x" in [state["ring.queues_1.avail_idx"] for state in wave.values]


@pytest.mark.parametrize("name", SCENES)
def test_hostile_text_stays_in_its_place(name: str) -> None:
    """Texts that try to end a comment or a string are values still, as far as ASCII goes."""
    wave = Wave(render_vcd(told.hostile(SCENES[name])))
    wanted = told.HOSTILE.encode("ascii", "backslashreplace").decode()
    assert len(wave.values) == len(SCENES[name].steps)
    assert {found(state, "action") for state in wave.values} == {wanted}


@pytest.mark.parametrize("foul", [-5, 1 << 40, -(1 << 70), "x y", True, [], [True], [[1]], {"a": 1}])
def test_any_value_has_a_wave(foul: object) -> None:
    """What a document says may be nonsense; each value still gets a signal that holds it."""
    scene = SCENES["of 4"]
    for variable in ("avail_idx", "next", "broken", "in_flight"):
        values = {**scene.steps[3].values, variable: foul, "a-b": 1, "a_b": 2, "kick": 3}
        steps = [*scene.steps[:3], replace(scene.steps[3], values=values)]
        wave = Wave(render_vcd(replace(scene, steps=steps)))
        assert len(wave.values) == 4
        if isinstance(foul, int) and not isinstance(foul, bool) and variable == "avail_idx":
            bits = wave.bits["ring.avail_idx"]
            assert found(wave.values[3], variable) == foul % (1 << bits)


def test_the_same_scene_gives_the_same_file() -> None:
    """No date and no clock is in it."""
    text = render_vcd(SCENES["of 16"])
    assert text == render_vcd(scene_of(told.queue(16), sources=False))
    assert "$date" not in text


def test_a_trace_of_ten_thousand_steps() -> None:
    """It takes less than two seconds and five megabytes, and nothing is left out."""
    scene = scene_of(told.long_queue(), sources=False)
    assert quickest(lambda: render_vcd(scene), 2) < 2
    text = render_vcd(scene)
    assert len(text) < 5_000_000
    wave = Wave(text)
    assert len(wave.values) == 10_001
    assert found(wave.values[-1], "used_idx") == scene.steps[-1].values["used_idx"]
