"""The sequence diagram: each line is one that Mermaid reads, and texts of a trace stay texts."""

import re
import time
from dataclasses import replace
from html import unescape

import pytest

from ringproof.views.scene import Scene
from ringproof.views.sequence import render_mermaid, text
from ringproof.views.staging import scene_of
from tests.views import told

SCENES = told.scenes()
PARTY = "(?:stack|driver|ring|device)"
WORDS = r"(?:[^#;<>\n]|#\d+;|<br/>)+"
"""A text: no end of a statement, no comment, no markup but a line break."""
LINES = tuple(
    re.compile(form)
    for form in (
        r"sequenceDiagram",
        r"    %% [^{}%;\n]*",
        rf"    participant {PARTY}",
        rf"(?:    ){{1,2}}{PARTY}-?->>{PARTY}: {WORDS}",
        rf"(?:    ){{1,2}}Note over {PARTY}(?:,{PARTY})?: {WORDS}",
        r"    rect rgba\(\d+, \d+, \d+, 0\.\d+\)",
        r"    end",
    )
)


def lines(scene: Scene) -> list[str]:
    """The diagram's lines, each checked to be of a form that Mermaid's grammar has."""
    found = render_mermaid(scene).splitlines()
    for line in found:
        assert any(form.fullmatch(line) for form in LINES), line
    assert found[0] == "sequenceDiagram"
    opened = [line.strip() for line in found if line.startswith(("    rect", "    end"))]
    assert len(opened) == (2 if scene.broken is not None else 0)
    return found


def test_a_diagram_reads_like_this() -> None:
    """Who passes what to whom, what changed, and the broken step on a ground of its own with its sentence."""
    assert render_mermaid(SCENES["leak"]) == (
        "sequenceDiagram\n"
        "    %% A2: only the head of a chain is given back\n"
        "    participant driver\n"
        "    participant ring\n"
        "    participant device\n"
        "    Note over driver: 0. create the queue\n"
        "    driver->>ring: 1. add 2 segments\n"
        "    Note over driver,ring: avail_idx 0 → 1<br/>num_free 2 → 0<br/>num_added 0 → 1<br/>"
        "flags[0] 0 → NEXT<br/>data[0] - → 1\n"
        "    device->>ring: 2. read 1 chain\n"
        "    Note over device,ring: read_idx 0 → 1<br/>in_flight [] → [0]\n"
        "    device->>ring: 3. complete 1 chain\n"
        "    device->>driver: interrupt due\n"
        "    Note over device,ring: used_idx 0 → 1<br/>in_flight [0] → []\n"
        "    rect rgba(207, 34, 46, 0.18)\n"
        "        driver->>ring: 4. get\n"
        "        ring-->>driver: token 1\n"
        "        Note over driver,ring: last_used_idx 0 → 1<br/>used_event 0 → 1<br/>! num_free 0 → 1<br/>"
        "! next[0] 1 → 0<br/>data[0] 1 → -\n"
        "        Note over driver,device: ! breaks no-leak-no-double-allocation<br/>"
        "descriptor 1 is in no chain and not on the free list\n"
        "    end\n"
    )


@pytest.mark.parametrize("name", SCENES)
def test_every_kind_has_a_diagram(name: str) -> None:
    """Every step is there by number, in order; a network has the stack beside."""
    found = lines(SCENES[name])
    numbers = [int(match[1]) for line in found if (match := re.search(r": (\d+)\. ", line))]
    assert numbers == list(range(len(SCENES[name].steps)))
    assert ("    participant stack" in found) == (name == "network")


def test_notifications_go_to_the_device() -> None:
    """A kick that notifies is an arrow from driver to device; one that does not stays with the driver."""
    found = lines(SCENES["of 64"])
    kicks = [line for line in found if ". kick" in line]
    assert any(line.strip().startswith("driver->>device: ") for line in kicks)
    network = lines(SCENES["network"])
    assert any(re.fullmatch(r" +driver->>device: queue_notify.* := 1", line) for line in network)


@pytest.mark.parametrize("name", SCENES)
def test_hostile_text_stays_text(name: str) -> None:
    """Texts that try to end a line, begin a comment or a directive, or be HTML make no line of their own."""
    foul, plain = lines(told.hostile(SCENES[name])), lines(SCENES[name])
    arrows = [re.sub(r": .*", "", line) for line in foul if "->>" in line]
    wanted = [re.sub(r": .*", "", line) for line in plain if "->>" in line]
    if name != "network":  # There outcomes are records of their own.
        assert len(arrows) >= len(wanted)
    assert sum(line.strip() == "end" for line in foul) == sum(line.strip() == "end" for line in plain)


def test_what_is_escaped_is_shown_whole() -> None:
    """A reader sees each letter again, as Mermaid turns its entities into those of HTML."""
    shown = unescape(re.sub(r"#(\d+);", r"&#\1;", text(told.HOSTILE, 1000)))
    assert shown == told.HOSTILE
    assert text("wrap: x") == "#119;rap: x"
    assert text("a\nb\x00") == "a b?"
    assert text("x" * 50, 10) == "x" * 9 + "…"


def test_a_long_trace_is_cut() -> None:
    """Of 10,000 steps the first and the last are drawn, in time; a note says how many are left out."""
    document = told.long_queue()
    start = time.process_time()
    found = render_mermaid(scene_of(document, sources=False))
    assert time.process_time() - start < 2
    assert len(found) < 100_000
    assert "    Note over driver,device: 9963 steps left out\n" in found


def test_a_step_that_broke_early_is_never_left_out() -> None:
    """Where a run goes on after what broke, that step is drawn, too."""
    scene = replace(scene_of(told.long_queue(), sources=False), broken=5000)
    found = lines(scene)
    assert any(": 5000. " in line for line in found)
    assert sum("steps left out" in line for line in found) == 2
