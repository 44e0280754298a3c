"""The picture of a step: well-formed, whole, within its edges, and nothing of it covers anything else."""

import re
from dataclasses import replace
from math import hypot
from xml.etree import ElementTree

import pytest

from ringproof.views.dial import _apart
from ringproof.views.drawing import WIDTH, draw
from ringproof.views.ownership import Owner, descriptors, free_list
from ringproof.views.scene import Scene
from ringproof.views.staging import scene_of
from tests.views import told

SVG = "{http://www.w3.org/2000/svg}"
SCENES = told.scenes()
TEXT_WIDTH = 0.5
"""Parts of its size that a character is wide at least in common fonts."""


def parsed(scene: Scene, number: int) -> ElementTree.Element:
    """The picture, read back."""
    return ElementTree.fromstring(draw(scene, number))


def texts(root: ElementTree.Element) -> list[ElementTree.Element]:
    """All pieces of text."""
    return list(root.iter(f"{SVG}text"))


def said(root: ElementTree.Element) -> str:
    """All that can be read in it."""
    return " ".join(text.text or "" for text in texts(root))


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float, str]]:
    """Where each text stands: left, top, right, bottom, and what it says."""
    found = []
    for text in texts(root):
        size, x, y = (float(text.get(name, "0")) for name in ("font-size", "x", "y"))
        words, classes = text.text or "", (text.get("class") or "").split()
        wide = len(words) * size * (0.6 if "mono" in classes else TEXT_WIDTH)
        left = x - wide / 2 if "middle" in classes else x
        found.append((left, y - size * 0.75, left + wide, y + size * 0.15, words))
    return found


@pytest.mark.parametrize("name", SCENES)
def test_every_step_is_a_whole_picture(name: str) -> None:
    """Well-formed XML of the promised width with title, description and no script, link or outer file."""
    scene = SCENES[name]
    for step in scene.steps:
        text = draw(scene, step.number)
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert root.get("viewBox", "").split()[:3] == ["0", "0", str(WIDTH)]
        title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert desc is not None
        assert f"step {step.number} of {len(scene.steps) - 1}" in (title.text or "")
        assert step.words in (desc.text or "")
        assert not re.search(r"<script|<foreignObject|href|url\(|@import|\bon\w+=", text)
        assert text.endswith("</svg>\n")


@pytest.mark.parametrize("name", SCENES)
def test_text_stays_inside_and_apart(name: str) -> None:
    """No text leaves the picture, and no two texts lie upon each other."""
    scene = SCENES[name]
    for step in scene.steps:
        root = parsed(scene, step.number)
        high = float(root.get("height", "0"))
        placed = boxes(root)
        for left, top, right, bottom, words in placed:
            assert left >= 0, words
            assert right <= WIDTH, words
            assert top >= 0, words
            assert bottom <= high, words
        ordered = sorted(placed, key=lambda box: box[1])
        for at, one in enumerate(ordered):
            for other in ordered[at + 1 :]:
                if other[1] >= one[3]:
                    break
                apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1]
                assert apart, (step.number, one, other)


def test_the_broken_step_says_what_broke() -> None:
    """Property, part and sentence, and the accused variables with a sign; other steps are not accused."""
    scene = SCENES["leak"]
    assert scene.broken is not None
    text = said(parsed(scene, scene.broken))
    assert "! breaks no-leak-no-double-allocation, part none-lost" in text
    assert scene.violated in text
    for words in ("! num_free", "! free_head", "! 0", "lost"):
        assert words in text
    assert 'class="none thick accused"' in draw(scene, scene.broken)
    before = draw(scene, scene.broken - 1)
    assert "accused" not in before.partition("</style>")[2]


def test_what_changed_is_marked() -> None:
    """Changed values stand with what they were, changed entries of tables get an edge."""
    scene = SCENES["leak"]
    text = draw(scene, 1)
    words = said(ElementTree.fromstring(text))
    assert "avail_idx 0 → 1" in words
    assert "flags[0] 0 → NEXT" in words
    assert text.count('class="none thick changed"') == 2
    assert "changed" not in draw(scene, 0).partition("</style>")[2]


def test_indices_are_told_whole() -> None:
    """After 65,530 rounds the hands stand on slots, but the legend has the 16-bit values."""
    scene = SCENES["of 64"]
    words = said(parsed(scene, 1))
    assert "avail_idx 0 → 65530 · slot 58" in words


def test_a_large_queue_has_hands_without_slots() -> None:
    """Beyond 64 entries there are no tables: two dials with hands, and the registers."""
    words = said(parsed(SCENES["of 256"], 30))
    assert "avail ring" in words
    assert "avail_idx" in words
    assert "num_added" in words
    assert "descriptor table" not in words


def test_a_network_step_is_drawn_in_lanes() -> None:
    """Frames, register accesses and what the stack is told, and the words of queues as a table."""
    words = said(parsed(SCENES["network"], 2))
    for each in ("stack", "driver", "device", "frame 0 in slot 0", "queue_notify", "transmit queues"):
        assert each in words


def test_hostile_text_stays_text() -> None:
    """Texts that try to be markup are shown, cut to fit, and make no element."""
    for scene in SCENES.values():
        foul = told.hostile(scene)
        number = foul.broken if foul.broken is not None else len(foul.steps) - 1
        root = parsed(foul, number)
        kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert kinds <= {"svg", "title", "desc", "style", "rect", "text", "line", "circle", "path", "g"}
        assert max(right for _, _, right, _, _ in boxes(root)) <= WIDTH


def test_control_characters_do_not_get_in() -> None:
    """A scene made by hand may hold what XML forbids: it is shown as question marks."""
    scene = replace(SCENES["leak"], title="a\x00b\x1b[31m\ud800\ufffe", violated="\u202eleft")
    root = parsed(scene, 4)
    assert "a?b?[31m" in said(root)
    assert "\u202e" not in said(root)


@pytest.mark.parametrize("soiled", [-5, 99, True, "x", 1 << 70])
def test_values_out_of_range_are_drawn(soiled: object) -> None:
    """What a document says may be nonsense; its picture is one still."""
    scene = SCENES["of 4"]
    for name in scene.steps[0].values:
        values = dict(scene.steps[-1].values)
        whole = values[name]
        for foul in (soiled, [soiled] * len(whole) if isinstance(whole, list) else soiled, []):
            steps = [*scene.steps[:-1], replace(scene.steps[-1], values={**values, name: foul})]
            parsed(replace(scene, steps=steps), len(steps) - 1)


def test_owners_are_read_off_the_state() -> None:
    """Free, available, read, used, and lost: each descriptor has the owner that the rings say."""
    scene = SCENES["leak"]
    owners = [[row.owner for row in descriptors(step.values)] for step in scene.steps]
    assert owners == [
        [Owner.FREE, Owner.FREE],
        [Owner.AVAILABLE, Owner.AVAILABLE],
        [Owner.DEVICE, Owner.DEVICE],
        [Owner.USED, Owner.USED],
        [Owner.FREE, Owner.LOST],
    ]


def test_a_free_list_that_goes_round_is_told() -> None:
    """A path that comes back, or leaves the table, ends there and is marked."""
    values = {"free_head": 0, "num_free": 3, "next": [1, 0, 7, 0]}
    assert (free_list(values).path, free_list(values).astray) == ((0, 1), 0)
    assert free_list({**values, "free_head": 2}).astray == 7
    scene = SCENES["of 4"]
    foul = {**scene.steps[-1].values, **values}
    steps = [*scene.steps[:-1], replace(scene.steps[-1], values=foul)]
    assert "and it goes round" in said(parsed(replace(scene, steps=steps), len(steps) - 1))


@pytest.mark.parametrize("turns", [[0.1], [0.5, 0.5, 0.5], [0.99, 0.0, 0.01], [0.2, 0.9, 0.21, 0.2]])
def test_hands_keep_apart(turns: list[float]) -> None:
    """Knobs of hands on the same slot are spread, each near its slot."""
    placed = [place % 1 for place in _apart(turns, 0.05)]
    for at, one in enumerate(placed):
        assert min(abs(one - turns[at]), 1 - abs(one - turns[at])) <= 0.05 * len(turns)
        for other in placed[at + 1 :]:
            assert min(abs(one - other), 1 - abs(one - other)) >= 0.05 - 1e-9


def test_knobs_do_not_touch() -> None:
    """In every picture the knobs of a ring are at least their width apart."""
    for scene in SCENES.values():
        for step in scene.steps[-3:]:
            for ring in parsed(scene, step.number).iter(f"{SVG}g"):
                if ring.get("class") != "ring":
                    continue
                knobs = [
                    (float(each.get("cx", "0")), float(each.get("cy", "0")))
                    for each in ring.iter(f"{SVG}circle")
                    if each.get("r") == "9.0"
                ]
                for at, (x, y) in enumerate(knobs):
                    for a, b in knobs[at + 1 :]:
                        assert hypot(x - a, y - b) >= 18


def test_a_step_that_is_not_there() -> None:
    """Raises IndexError that names the steps there are."""
    with pytest.raises(IndexError, match="0 to 4"):
        draw(SCENES["leak"], 5)
    with pytest.raises(IndexError):
        draw(SCENES["leak"], -1)


def test_the_same_scene_gives_the_same_picture() -> None:
    """Nothing of the clock or of chance is in it."""
    assert draw(SCENES["of 16"], 9) == draw(scene_of(told.queue(16), sources=False), 9)


def test_colours_are_readable() -> None:
    """Text on every ground it stands on has a contrast of 4.5 at least, in light and in dark."""
    light, dark = draw(SCENES["leak"], 0).partition("<style>")[2].partition("@media")[::2]
    for style in (light, dark.partition("</style>")[0]):
        fill = dict(re.findall(r"\.(\w+)\{fill:(#\w{6})", style))
        grounds = (
            "page",
            "cell",
            "free",
            "available",
            "device",
            "used",
            "kept",
            "lost",
            "twice",
            "alarm",
            "head",
        )
        for ground in grounds:
            for ink in ("ink", "red") if ground != "used" else ("ink",):
                assert contrast(fill[ink], fill[ground]) >= 4.5, (ink, ground)
        for ink in ("quiet", "teal"):
            assert contrast(fill[ink], fill["page"]) >= 4.5
        for ground in ("cell", "free", "available", "device", "used"):
            assert contrast(fill["quiet"], fill[ground]) >= 4.5, ground
        assert contrast(fill["onhand"], fill["hand"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 defines it."""
    lighter, darker = sorted((_light(one), _light(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _light(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
