"""Windows of very long traces: every text view shows the steps it has by their own numbers."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ringproof.views.drawing import draw
from ringproof.views.excerpt import excerpt, has_step, in_focus, numbered
from ringproof.views.markdown import render_markdown
from ringproof.views.scene import Scene
from ringproof.views.sequence import render_mermaid
from ringproof.views.staging import scene_of
from ringproof.views.terminal import lines, step_lines
from ringproof.views.wave import render_vcd
from tests.views import told

WINDOW = "steps 100 to 199 of 999,999: the trace is too long to be shown whole"


@pytest.fixture(scope="module", params=[150, 5, 999_999, None])
def windowed(request: pytest.FixtureRequest) -> Scene:
    """A hundred steps from the midst of a trace; what broke lies within, before, behind, or nowhere."""
    scene = scene_of(told.long_queue(300), sources=False)
    return replace(scene, steps=scene.steps[100:200], window=WINDOW, broken=request.param)


def test_every_text_view_shows_a_window(windowed: Scene) -> None:
    """The numbers of its steps, and that it is a window; never a step by its place in the list."""
    terminal = "\n".join(line.plain for line in lines(windowed, 100))
    assert WINDOW in terminal
    assert "\n100  " in terminal
    assert "\n199  " in terminal
    whole = "\n".join(line.plain for line in lines(windowed, 100, all=True))
    assert all(f"\n{number}  " in whole for number in range(100, 200))
    summary, diagram = render_markdown(windowed, "x.svg"), render_mermaid(windowed)
    assert "steps 100 to 199 of 999,999" in summary
    assert "| 100 |" in summary
    assert ": 199. " in diagram
    assert (windowed.broken == 150) == ("rect" in diagram)
    assert "\n#100\n" in render_vcd(windowed)
    assert render_vcd(windowed).endswith("#200\n")


def test_a_step_of_a_window_is_shown_by_its_number(windowed: Scene) -> None:
    """Drawn and printed; one outside is an IndexError, as is a place in the list."""
    assert "step 150, " in "\n".join(line.plain for line in step_lines(windowed, 150, 100))
    title = ElementTree.fromstring(draw(windowed, 150)).findtext("{http://www.w3.org/2000/svg}title")
    assert (title or "").endswith("step 150")
    for outside in (99, 200, 0, -1):
        assert not has_step(windowed, outside)
        with pytest.raises(IndexError):
            draw(windowed, outside)
        with pytest.raises(IndexError):
            list(step_lines(windowed, outside, 80))
    assert in_focus(windowed) == (150 if windowed.broken == 150 else 199)


def test_an_excerpt_leaves_nothing_out_unsaid(windowed: Scene) -> None:
    """The numbers and the ranges between them are all steps, each once, in order."""
    found: list[int] = []
    for each in excerpt(windowed):
        found += each if isinstance(each, range) else [each]
    assert found == list(range(100, 200))
    assert list(excerpt(replace(windowed, steps=()))) == []


def test_steps_are_numbered_up_to_the_last() -> None:
    """Of a whole trace the last number is told, too."""
    scene = scene_of(told.leak(), sources=False)
    assert numbered(scene, 3) == "step 3 of 4"
    assert list(excerpt(scene)) == [0, 1, 2, 3, 4]
