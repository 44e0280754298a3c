"""The page of a trace as a text: what is in it, and that nothing in a trace can break out of its place."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from ringproof.views.page import LISTED_WITHOUT_SCRIPT, render_page
from ringproof.views.scene import Explanation, Scene, Step

from .page_scenes import HOSTILE, alone_scene, full_scene, hostile_scene, long_page, queue_scene

VOID = {"meta", "input", "br", "link", "img"}


class Markup(HTMLParser):
    """Every element and attribute of a page, its texts by element, and that what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that it was the last one opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take note of a text and where it stands."""
        if self.open:
            self.texts.append((self.open[-1], data))

    def all(self, tag: str) -> list[str]:
        """All texts of elements of this kind."""
        return ["".join(text) for element, *text in self.texts if element == tag]


SCENES: dict[str, Callable[[], Scene]] = {
    "full": full_scene,
    "hostile": hostile_scene,
    "alone": alone_scene,
    "large": lambda: queue_scene(256, 20),
    "unbroken": lambda: replace(queue_scene(4, 9), broken=None, property="", violated="", marked=frozenset()),
}


def _story(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="story">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def _states(story: Any) -> list[dict[str, Any]]:
    """The states as the page's script puts them together, told from how the format is described."""
    names: list[str] = story["strings"]
    states: list[dict[str, Any]] = [{}]
    for step in story["steps"]:
        state: dict[str, Any] = dict(states[-1])
        state |= {names[name]: value for name, value in step.get("d", ())}
        for name, *entries in step.get("e", ()):
            table = list(state[names[name]])
            for place, value in zip(entries[::2], entries[1::2], strict=True):
                table[place] = value
            state[names[name]] = table
        for name in step.get("r", ()):
            del state[names[name]]
        states.append(state)
    return states[1:]


@pytest.mark.parametrize("name", SCENES)
def test_the_page_is_well_formed_and_alone(name: str) -> None:
    """Every element is closed, ids are unique, and no attribute names anything outside of the page."""
    page = render_page(SCENES[name]())
    markup = Markup(page)
    ids = [attributes["id"] for _, attributes in markup.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in markup.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "srcset", "action", "style", "onclick", "onload", "onerror"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert page.endswith("\n")
    assert "@import" not in page
    assert "url(" not in page


@pytest.mark.parametrize("name", SCENES)
def test_the_policy_allows_this_script_and_style_only(name: str) -> None:
    """The hashes in the policy are those of the two elements, and all else is forbidden."""
    page = render_page(SCENES[name]())
    markup = Markup(page)
    (policy,) = (
        attributes["content"]
        for _, attributes in markup.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    style = page[page.index("<style>") + 7 : page.index("</style>")]
    script = page[page.rindex("<script>") + 8 : page.rindex("</script>")]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_hostile_text_is_inert() -> None:
    """Texts that try to end a script, open a comment or an element come out as the text they are."""
    page = render_page(hostile_scene())
    markup = Markup(page)
    assert [tag for tag, _ in markup.elements].count("script") == 2
    assert "<img" not in page
    assert "alert(1)</script" not in page
    assert "\u2028" not in page[page.index('id="story"') :]
    page.encode("utf-8")
    said = HOSTILE.replace("\ud800", "\ufffd")
    assert markup.all("h1")[0].startswith("</script><script>alert(1)</script><!--")
    story = _story(page)
    assert said in story["strings"]
    assert story["marked"] == sorted([said, "next"])


@pytest.mark.parametrize("name", SCENES)
def test_two_pages_of_one_scene_are_the_same(name: str) -> None:
    """Nothing of this run, machine or time is in the page."""
    assert render_page(SCENES[name]()) == render_page(SCENES[name]())


@pytest.mark.parametrize("name", ["full", "alone", "large"])
def test_no_state_is_lost(name: str) -> None:
    """From the first state and what each step changes, every state comes back as it was."""
    scene = SCENES[name]()
    page = render_page(scene)
    assert _states(_story(page)) == [json.loads(json.dumps(dict(step.values))) for step in scene.steps]


def test_values_keep_their_type_and_size() -> None:
    """A truth is no number, and a number that JavaScript cannot hold comes as text."""
    values: list[dict[str, Any]] = [
        {"a": 1, "c": 1 << 60, "d": float("inf")},
        {"a": True, "c": 1 << 60, "d": 0.5},
    ]
    steps = [Step(at, "driver", "x", "x", "", (), each) for at, each in enumerate(values)]
    first, second = _states(_story(render_page(replace(full_scene(), steps=steps))))
    assert first == {"a": 1, "c": str(1 << 60), "d": "inf"}
    assert second["a"] is True
    assert second["d"] == 0.5


def test_the_head_says_all_without_a_script() -> None:
    """Property, part, sentence, clause, standing and the explanation are in the markup itself."""
    scene = full_scene()
    page = render_page(scene)
    text = " ".join(text for element, text in Markup(page).texts if element not in ("script", "style"))
    why = scene.explanation
    for wanted in (
        *(scene.title, scene.setting, scene.property, scene.conjunct, scene.violated, scene.clause),
        *(scene.standing, why.unavoidable_words, "add 1 segment", "✗ fails", "✓ holds"),
        *(part.words for part in why.parts),
    ):
        assert wanted in text
    assert text.index("✗ fails") < text.index("✓ holds")
    assert text.count("belongs to the smallest set") == 1
    assert "with <code>add 1 segment</code> instead of" in page
    links = [a.get("href") for tag, a in Markup(page).elements if tag == "a"]
    assert links == ["#run", "#step=5", "#step=1", "#step=1"]


def test_every_step_is_in_the_list() -> None:
    """The plain list has each step with its words and changes, and marks the broken one."""
    page = render_page(full_scene())
    rows = re.findall(r'<li id="step=(\d+)" value="\d+"( class="broken")?>(.*?)</li>', page, re.DOTALL)
    assert [int(number) for number, _, _ in rows] == [0, 1, 2, 3, 4, 5]
    assert [bool(broken) for _, broken, _ in rows] == [False] * 5 + [True]
    assert "add 2 segments" in rows[1][2]
    assert "num_free 4 → 2" in rows[1][2]


def test_a_long_list_ends_at_the_broken_step() -> None:
    """Of a long trace the list has the steps up to the broken one, and says that there are more."""
    scene = replace(queue_scene(4, 900), broken=700)
    page = render_page(scene)
    numbers = [int(number) for number in re.findall(r'<li id="step=(\d+)"', page)]
    assert numbers == list(range(701 - LISTED_WITHOUT_SCRIPT, 701))
    assert "300 of 901 steps, from 401 to 700." in page


def test_nothing_is_said_that_is_not_known() -> None:
    """A scene without explanation, clause or broken step has no section, list or button of it."""
    scene = replace(SCENES["unbroken"](), clause="", standing="", explanation=Explanation())
    page = render_page(scene)
    assert "Nothing is broken in this run" in page
    assert 'class="why"' not in page
    assert 'class="standing"' not in page
    assert "✗ breaks" not in page


PALETTE = {
    "ink": ("paper", "card", "hover", "lane", "bad-in", "new-in", "free-in", "driver-in", "used-in"),
    "soft": ("paper", "card", "hover", "lane", "new-in"),
    "driver": ("paper", "card", "hover", "lane", "driver-in", "bad-in"),
    "device": ("paper", "card", "hover", "lane", "device-in", "bad-in"),
    "used": ("used-in",),
    "free": ("free-in",),
    "bad": ("paper", "card", "bad-in"),
    "good": ("card", "paper"),
    "new": ("paper", "card", "lane"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_is_read_on_its_grounds(scheme: str) -> None:
    """Text has a contrast of 4.5 at least (WCAG 2.2, 1.4.3), in drawings, too, which axe does not look at."""
    light, dark = re.findall(r":root \{(.*?)\}", render_page(full_scene()), re.DOTALL)[:2]
    colours = {
        name: _luminance(value)
        for name, value in re.findall(r"--([\w-]+): #([0-9a-f]+)", light if scheme == "light" else dark)
    }
    for text, grounds in PALETTE.items():
        for ground in grounds:
            darker, brighter = sorted((colours[text], colours[ground]))
            assert (brighter + 0.05) / (darker + 0.05) >= 4.5, f"{text} on {ground}"


def _luminance(value: str) -> float:
    """The relative luminance of a colour in hexadecimal, as WCAG defines it."""
    value = "".join(2 * digit for digit in value) if len(value) == 3 else value
    parts = [int(value[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_ten_thousand_steps_are_less_than_five_megabytes() -> None:
    """A long trace of a queue with all its tables stays well below what a browser opens at once."""
    page = long_page()
    assert len(_story(page)["steps"]) == 10_000
    assert len(page.encode()) < 5_000_000
