"""The page of a trace in a real browser: moving through it, reading it, and what it costs."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from ringproof.traces import wording
from ringproof.views.scene import Explanation, Scene
from tests.quickest import quickest

from .browser import Open, Scheme, browser, looks, opens
from .page_scenes import alone_scene, full_scene, hostile_scene, long_page, network_scene, queue_scene

__all__ = ["browser", "looks", "opens"]

SETTLED = 300
"""Milliseconds after which the address and the announcement have followed."""


def _step(page: Page) -> int:
    """The number of the step that is shown."""
    return int(page.locator("#step-title").inner_text().rpartition(" ")[2])


def _comes_to(page: Page, step: int) -> bool:
    """Whether the page shows this step soon: a link is followed by an event of its own."""
    end = time.monotonic() + 10
    while _step(page) != step and time.monotonic() < end:
        page.wait_for_timeout(SETTLED)
    return _step(page) == step


def _hash(page: Page) -> str:
    page.wait_for_timeout(SETTLED)
    return str(page.evaluate("location.hash"))


def test_it_opens_at_the_broken_step_and_marks_it(opens: Open) -> None:
    """What the property is about is marked in drawing and list, by a sign and not by colour alone."""
    with opens(full_scene()) as opened:
        page = opened.visit()
        assert _step(page) == 5
        expect(page.locator(".note.broken")).to_contain_text("descriptor 1 is in no chain")
        row = page.locator("#row-5")
        expect(row).to_have_attribute("aria-selected", "true")
        expect(row).to_contain_text("✗")
        expect(page.locator(".card .wrong dt")).to_have_text(["free_head", "num_free"])
        expect(page.locator(".descriptors td.wrong")).to_have_text(["✗ 3", "✗ 3"])
        expect(page.locator(".descriptors tr.lost .owner")).to_have_text(["✗ nowhere"])
        expect(page.locator(".changes tr.wrong th")).to_have_text(
            ["✗ free_head", "✗ num_free", "✗ next[0]", "✗ next[1]"]
        )
        expect(page.locator(".note.differs")).to_contain_text("the reference has 3")


def test_keys_move_through_the_run(opens: Open) -> None:
    """Arrows, Home, End and pages; letters go to the marked steps; at either end nothing happens."""
    scene = replace(
        queue_scene(4, 40),
        broken=40,
        explanation=Explanation(unavoidable_from=21, variant_step=7, variant_words="kick"),
    )
    with opens(scene) as opened:
        page = opened.visit()
        for key, step in (
            *(("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("PageDown", 11), ("PageUp", 1)),
            *(("End", 40), ("ArrowRight", 40), ("ArrowLeft", 39), ("u", 21), ("v", 7), ("b", 40)),
        ):
            page.keyboard.press(key)
            assert _step(page) == step, key
        assert _hash(page) == "#step=40"


def test_the_slider_buttons_and_rows_move_too(opens: Open) -> None:
    """Each of them shows its step, and all of them follow."""
    with opens(full_scene()) as opened:
        page = opened.visit()
        slider = page.get_by_role("slider", name="Step")
        slider.focus()
        page.keyboard.press("ArrowLeft")
        assert _step(page) == 4
        slider.fill("2")
        assert _step(page) == 2
        expect(page.locator("#row-2")).to_have_attribute("aria-selected", "true")
        page.get_by_role("button", name="First").click()
        page.get_by_role("button", name="Next").click()
        assert _step(page) == 1
        expect(slider).to_have_value("1")
        page.locator("#row-3").click()
        assert _step(page) == 3
        page.get_by_role("button", name="Broken step").click()
        assert _step(page) == 5
        expect(slider).to_have_attribute("aria-valuetext", "step 5: get → token 1")


def test_a_deep_link_goes_to_its_step(opens: Open) -> None:
    """An address with a step opens there; one beyond the end shows the last, a foreign one the broken."""
    with opens(full_scene()) as opened:
        page = opened.visit("#step=3")
        assert _step(page) == 3
        opened.visit("#step=999")
        assert _step(page) == 5
        opened.visit("#step=1")
        assert _step(page) == 1
        opened.visit("#step=-1")
        page.reload()
        assert _step(page) == 5


def test_back_and_forward_follow_links(opens: Open) -> None:
    """A link in the head is a place in the history."""
    with opens(full_scene()) as opened:
        page = opened.visit("#step=2")
        page.get_by_role("link", name="Step 5", exact=True).click()
        assert _comes_to(page, 5)
        page.get_by_role("link", name="step 1").first.click()
        assert _comes_to(page, 1)
        page.go_back()
        assert _comes_to(page, 5)
        page.go_back()
        assert _comes_to(page, 2)
        page.go_forward()
        assert _comes_to(page, 5)


def test_what_changed_and_every_variable(opens: Open) -> None:
    """Only what changed is listed, until all is asked for."""
    with opens(full_scene()) as opened:
        page = opened.visit("#step=3")
        names = page.locator(".changes tbody th")
        expect(names).to_have_text(["read_idx", "in_flight"])
        page.get_by_label("Show every variable").check()
        assert names.count() == len(full_scene().steps[3].values)
        page.keyboard.press("ArrowRight")
        assert names.count() >= len(full_scene().steps[3].values)


def test_the_ring_is_drawn_from_the_state(opens: Open) -> None:
    """Slots, hands with slot and whole index, owners with tokens, and the free list in words."""
    with opens(full_scene()) as opened:
        page = opened.visit("#step=3")
        rings = page.locator("svg.ring")
        assert rings.count() == 2
        said = rings.first.get_attribute("aria-label") or ""
        assert "available ring, 4 slots, 1 unread." in said
        assert "Slot 1 holds head 2." in said
        assert "avail_idx is 2, at slot 2." in said
        expect(page.locator("svg.ring").first.locator(".hand")).to_have_count(3)
        expect(page.locator(".descriptors .owner")).to_have_text(["device", "device", "available", "free"])
        expect(page.locator(".descriptors .token")).to_have_text(["1", "↳ 1", "2", "-"])
        free = page.locator("svg.links").get_attribute("aria-label")
        assert free == "Free list from free_head: 3."
        expect(page.locator(".flight li")).to_have_text(["head 0, token 1"])


@pytest.mark.parametrize("size", [1, 2, 4, 16, 64, 256])
def test_indices_stay_on_their_slots(opens: Open, size: int) -> None:
    """Of every size, each hand's label stands inside of the drawing, and tables only up to 64."""
    with opens(queue_scene(size)) as opened:
        page = opened.visit()
        outside = page.evaluate(
            """() => [...document.querySelectorAll("svg.ring")].flatMap((ring) => {
                const edge = ring.getBoundingClientRect();
                return [...ring.querySelectorAll("text")].map((text) => text.getBoundingClientRect()).filter(
                    (box) => box.left < edge.left - 1 || box.right > edge.right + 1
                        || box.top < edge.top - 2 || box.bottom > edge.bottom + 2);
            }).length"""
        )
        assert outside == 0
        assert page.locator(".descriptors tbody tr").count() == (size if size <= 64 else 0)
        assert page.locator("svg.ring .slot").count() == (2 * size if size <= 64 else 1)


def test_lines_of_code_belong_to_their_step(opens: Open) -> None:
    """A step's lines are shown with place and function, the seeded one named as such; others have none."""
    with opens(full_scene()) as opened:
        page = opened.visit()
        expect(page.locator(".sources .seeded")).to_contain_text("seeded defect")
        expect(page.locator(".sources .seeded")).to_contain_text("impl/reference/virtqueue.py:304")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#source")).to_be_hidden()


def test_a_network_run_shows_queues_registers_and_frames(opens: Open) -> None:
    """Indices of each queue, accesses in order with the doorbell named, and the journey in words."""
    with opens(network_scene()) as opened:
        page = opened.visit("#step=2")
        expect(page.locator(".queue h4").first).to_have_text("Queue 1")
        expect(page.locator(".registers .bell")).to_contain_text("the doorbell")
        expect(page.locator(".journey")).to_contain_text("Frame 0 (pair 0, queue 1): queued at head 0")
        assert page.locator(".chain tbody tr").count() == 4


def test_a_run_told_by_a_driver_alone(opens: Open) -> None:
    """Where only indices are known, only they are drawn."""
    with opens(alone_scene()) as opened:
        page = opened.visit()
        assert page.locator("svg.ring").count() == 2
        assert page.locator(".descriptors").count() == 0


def test_hostile_text_does_nothing(opens: Open) -> None:
    """No step of a trace made to break the page runs anything, asks for anything or breaks the page."""
    with opens(hostile_scene()) as opened:
        page = opened.visit()
        for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
        page.get_by_label("Show every variable").check()
        assert _step(page) == 1
        expect(page.locator("h1")).to_contain_text("</script><script>alert(1)</script>")
        assert page.evaluate("document.images.length + document.scripts.length") == 2
        assert page.evaluate("({}).polluted") is None
        page.wait_for_timeout(SETTLED)


SEEN: dict[str, Callable[[], Scene]] = {"full": full_scene, "network": network_scene}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SEEN)
def test_no_accessibility_violation(opens: Open, name: str, scheme: Scheme) -> None:
    """Nothing at all is found, contrast included: with all shown, and in the list of keys."""
    with opens(SEEN[name](), scheme) as opened:
        page = opened.visit()
        page.get_by_label("Show every variable").check()
        _accessible(page)
        if name == "network" or scheme == "dark":
            return
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("?")
        _accessible(page)


def _accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_narrow_page_does_not_scroll_sideways(opens: Open) -> None:
    """On a phone everything fits the width, and what is wider scrolls in its own place."""
    for scene in (full_scene(), network_scene(), queue_scene(64)):
        with opens(scene, width=390) as opened:
            page = opened.visit()
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            rings = [ring.bounding_box() for ring in page.locator("svg.ring").all()]
            assert all(box and box["x"] + box["width"] <= 390 for box in rings)


def test_every_control_is_reached_by_keys(opens: Open) -> None:
    """Tab goes through all links and controls, with the focus seen, and out again; Escape closes the keys."""
    with opens(full_scene()) as opened:
        page = opened.visit()
        reached: list[str] = []
        for _ in range(40):
            page.keyboard.press("Tab")
            focus = page.evaluate(
                """() => { const at = document.activeElement;
                return [at.id || at.className || at.textContent,
                        at === document.body || getComputedStyle(at).outlineStyle !== "none"]; }"""
            )
            if reached and focus[0] == reached[0]:
                break
            assert focus[1], f"the focus cannot be seen at {focus[0]}"
            reached.append(focus[0])
        wanted = {"skip", "Step 5", "step 1", "first", "back", "next", "last", "slider", "list", "every"}
        assert wanted | {"to-broken", "help"} <= set(reached)
        page.locator("#help").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_be_hidden()
        assert page.evaluate("document.activeElement.id") == "help"


def test_letters_can_be_switched_off(opens: Open) -> None:
    """Single letters are keys only as long as the reader wants it; with Ctrl they never are."""
    with opens(full_scene()) as opened:
        page = opened.visit("#step=0")
        page.keyboard.press("Control+b")
        assert _step(page) == 0
        page.keyboard.press("?")
        page.get_by_label("Single letters are keys").uncheck()
        page.get_by_role("button", name="Close").click()
        page.keyboard.press("b")
        assert _step(page) == 0


def test_a_step_is_announced(opens: Open) -> None:
    """A reader who does not see the page hears the step, what it changed and what it breaks."""
    with opens(full_scene()) as opened:
        page = opened.visit("#step=4")
        page.keyboard.press("ArrowRight")
        live = page.locator("[aria-live=polite]")
        expect(live).to_contain_text("Step 5 of 5, driver: get → token 1.")
        expect(live).to_contain_text("num_free 1 to 2")
        expect(live).to_contain_text("Breaks no-leak-no-double-allocation, part none-lost")


def test_without_script_head_and_steps_are_there(opens: Open) -> None:
    """The head and every step in words can be read, links lead to the steps, and no dead control is shown."""
    with opens(full_scene(), script=False) as opened:
        page = opened.visit()
        expect(page.locator(".sentence")).to_be_visible()
        expect(page.locator(".plain li")).to_have_count(6)
        expect(page.locator(".plain li.broken")).to_be_visible()
        expect(page.locator("#run")).to_be_hidden()


def test_paper_has_the_head_the_drawing_and_all_steps(opens: Open) -> None:
    """On paper there are no controls, light colours, the broken step drawn, and the steps in words."""
    with opens(full_scene(), "dark") as opened:
        page = opened.visit()
        page.emulate_media(media="print")
        for seen in (".sentence", "svg.ring >> nth=0", ".descriptors", ".plain li.broken"):
            expect(page.locator(seen)).to_be_visible()
        for unseen in (".bar", "#list", ".toggle"):
            expect(page.locator(unseen).first).to_be_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")
        page.emulate_media(media=None)


def test_ten_thousand_steps_open_in_two_seconds(opens: Open) -> None:
    """A long trace opens at its end, steps and jumps at once, and holds few rows at a time."""
    with opens(long_page()) as opened:
        page = opened.page

        def load() -> None:
            opened.visit()
            expect(page.locator("#row-9999")).to_be_visible()

        assert quickest(load, 2, clock=time.perf_counter) < 2
        assert page.locator(".row").count() < 100
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#row-1")).to_be_visible()
        page.keyboard.press("End")
        shown = page.evaluate(
            "[...document.querySelectorAll('.descriptors .word')].map((cell) => cell.innerText)"
        )
        assert len(shown) == 64
        steps = """() => { const began = performance.now();
            for (let at = 0; at < 50; at += 1) document.dispatchEvent(new KeyboardEvent("keydown",
                { key: at % 2 ? "ArrowRight" : "ArrowLeft" }));
            return (performance.now() - began) / 50; }"""
        each = min(page.evaluate(steps) for _ in range(3))
        assert each < 200, f"{each:.0f} ms a step"


def test_every_value_reads_as_it_does_elsewhere(opens: Open) -> None:
    """With all variables shown, each step has the values of its state, written as in every other view."""
    scene = queue_scene(4, 16)
    first, *others = scene.steps
    scene = replace(scene, steps=[replace(first, values={**first.values, "gone": [1, 2]}), *others])
    with opens(scene) as opened:
        page = opened.visit("#step=0")
        page.get_by_label("Show every variable").check()
        for step in scene.steps:
            assert _step(page) == step.number
            rows = page.locator(".changes tbody tr").all_inner_texts()
            seen = {cells[0].removeprefix("✗ "): cells[-1] for cells in (row.split("\t") for row in rows)}
            moved = {change.name: change.new for change in step.changes}
            for records in ("result", "expected", "observed", "registers"):
                assert records in seen
                del seen[records]
            every = {name: wording.value(name, item) for name, item in step.values.items() if name in seen}
            assert seen == every | moved
            assert len(every) == len(step.values) - 4
            page.keyboard.press("ArrowRight")


def test_a_hand_points_at_the_slot_of_its_index(opens: Open) -> None:
    """The tip of every hand lies in the sector of index mod queue_size, slot 0 being right of the top."""
    scene = queue_scene(16, 45)
    values = scene.steps[-1].values
    with opens(scene) as opened:
        page = opened.visit()
        names = [name.removeprefix("✗ ") for name in page.locator("svg.ring .handname").all_text_contents()]
        tips = page.locator("svg.ring .hand").evaluate_all(
            "all => all.map((hand) => hand.getAttribute('points'))"
        )
        assert len(names) == len(tips) == 6
        for name, points in zip(names, tips, strict=True):
            x, y = (float(number) for number in points.split()[0].split(","))
            assert int(math.atan2(x, -y) % math.tau / math.tau * 16) == values[name] % 16, name
