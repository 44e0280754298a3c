"""The summary for issue trackers: what it says, and that texts of a trace never become markup."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ringproof.views.markdown import code, escaped, render_markdown
from ringproof.views.scene import Explanation, Scene, Source
from ringproof.views.staging import scene_of
from tests.views import told

READER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
SCENES = told.scenes()


def tokens(text: str) -> Iterator[Token]:
    """All tokens that a reader of GitHub's Markdown sees, blocks and what is in them."""
    for token in READER.parse(text):
        yield token
        yield from token.children or ()


def shown(text: str) -> str:
    """The words that a reader sees."""
    words = [token.content for token in tokens(text) if token.type in ("text", "code_inline", "text_special")]
    return "".join(words)


def cells(text: str) -> list[list[str]]:
    """The table of steps, row by row, as a reader sees it."""
    rows: list[list[str]] = []
    for token in READER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level > 2:
            rows[-1].append("".join(each.content for each in token.children or () if "html" not in each.type))
    return rows


def test_a_summary_reads_like_this() -> None:
    """Title, setting, what broke, the picture, why, the steps, and how to replay."""
    assert render_markdown(told.explained(), "a2.svg", document="a2.itf.json") == (
        "## A2: only the head of a chain is given back\n"
        "\n"
        "queue of 2, EVENT_IDX, legacy layout, profile linux-3.11\\\n"
        "replayed: the reference carrying A2 breaks it at the same step\n"
        "\n"
        "**Breaks** `no-leak-no-double-allocation`, part `none-lost` at step 4: "
        "descriptor 1 is in no chain and not on the free list\n"
        "\n"
        "![the ring at step 4](a2.svg)\n"
        "\n"
        "### Why\n"
        "\n"
        "- **fails**: every descriptor is free or in a chain: descriptor 1 is in neither\n"
        "- holds: no descriptor is both\n"
        "- **fails, as a consequence**: num_free counts the free ones: num_free is 1, 2 are free\n"
        "- unavoidable after step 3: every run of two more operations was tried\n"
        "- it holds with another choice at step 1: add 1 segment\n"
        "\n"
        "### Steps\n"
        "\n"
        "| step | who | what | changed |\n"
        "| ---: | --- | --- | --- |\n"
        "| 0 |  | create the queue |  |\n"
        "| 1 | driver | add 2 segments | `avail_idx 0 → 1`, `num_free 2 → 0`, `num_added 0 → 1`, "
        "`flags[0] 0 → NEXT`, `data[0] - → 1` |\n"
        "| 2 | device | read 1 chain | `read_idx 0 → 1`, `in_flight [] → [0]` |\n"
        "| 3 | device | complete 1 chain → interrupt due | `used_idx 0 → 1`, `in_flight [0] → []` |\n"
        "| ❌ **4** | driver | **get → token 1** | `last_used_idx 0 → 1`, `used_event 0 → 1`, "
        "❗ `num_free 0 → 1`, ❗ `next[0] 1 → 0`, `data[0] 1 → -` |\n"
        "\n"
        "### Replay\n"
        "\n"
        "`ringproof replay a2.itf.json`\n"
    )


@pytest.mark.parametrize("name", SCENES)
def test_every_kind_has_a_summary(name: str) -> None:
    """A table with a row for each step, each with four cells; the sentence; a replay."""
    text = render_markdown(SCENES[name], None)
    rows = cells(text)
    assert len(rows) == len(SCENES[name].steps) + 1
    assert {len(row) for row in rows} == {4}
    assert SCENES[name].violated in shown(text)
    assert "![" not in text
    assert "ringproof replay FILE" in text


def test_steps_of_the_model_do_not_replay() -> None:
    """Nothing replays a run of single statements, so none is offered."""
    assert "replay FILE" not in render_markdown(replace(SCENES["leak"], kind="steps"), None)


def test_where_a_driver_differs_is_said() -> None:
    """The results of a driver that part from the reference's stand with the step."""
    assert "status: 7, the reference has 0" in shown(render_markdown(SCENES["of 4"], None))


@pytest.mark.parametrize("name", ["leak", "network"])
def test_hostile_text_stays_text(name: str) -> None:
    """No text of a document makes a heading, link, picture, emphasis, list or HTML of its own."""
    plain = replace(SCENES[name], explanation=told.explained().explanation)
    known = {token.type for token in tokens(render_markdown(plain, "x.svg"))}
    text = render_markdown(told.hostile(SCENES[name]), "x.svg")
    seen = list(tokens(text))
    assert {token.type for token in seen} <= known | {"html_inline", "text_special", "hardbreak"}
    inline = {token.content for token in seen if token.type == "html_inline"}
    assert all(re.fullmatch(r"<!-- -->|<br>|</?code>", each) for each in inline), inline
    assert {token.attrs["src"] for token in seen if token.type == "image"} == {"x.svg"}
    assert [token.tag for token in seen if token.type == "heading_open"] == ["h2", "h3", "h3", "h3"]
    assert {len(row) for row in cells(text)} == {4}


def test_what_is_escaped_is_shown_whole() -> None:
    """A reader sees a hostile text as it was, letter by letter."""
    assert shown(escaped(told.HOSTILE)) == told.HOSTILE
    assert shown(escaped("- one")) == "- one"
    assert shown(escaped("1. one")) == "1. one"
    assert shown(escaped("# one _two_ a_b __init__")) == "# one _two_ a_b __init__"


@pytest.mark.parametrize("text", ["a", "`", "``a`", " a ", "a|b", "a`|`<b>&", "num_free 0 → 1", "\\"])
def test_code_is_shown_whole(text: str) -> None:
    """A code span shows what it was given, backquotes and pipes too, also in a table."""
    table = f"| x |\n| --- |\n| {code(text)} |\n"
    assert cells(table)[1] == [" ".join(text.split())]


def test_trackers_call_nobody() -> None:
    """Names, numbers of issues, addresses and commits are broken up, so that no tracker links them."""
    text = escaped("@someone #12 GH-7 https://e.vil www.e.vil a@b.c 0123456789abcdef")
    for linked in (r"@\w", r"#\d", r"GH-\d", r"https://", r"www\.", r"[0-9a-f]{7}"):
        assert not re.search(linked, text), linked


def test_a_picture_may_have_any_name() -> None:
    """Blanks, brackets and quotes of a file's name do not end the link."""
    text = render_markdown(SCENES["leak"], 'a b)(<">.svg')
    (image,) = [token for token in tokens(text) if token.type == "image"]
    assert image.attrs["src"] == "a%20b%29%28%3C%22%3E.svg"


def test_a_run_without_a_violation() -> None:
    """Nothing is said to break, and the picture is of the last step."""
    fine = replace(SCENES["leak"], property="", violated="", conjunct="", broken=None)
    text = render_markdown(fine, "x.svg")
    assert "Breaks" not in text
    assert "the ring at step 4" in text


def test_a_long_trace_is_cut() -> None:
    """Of 10,000 steps the first and the last stand there, within the time; it says how many are left out."""
    document = told.long_queue()
    start = time.process_time()
    text = render_markdown(scene_of(document, sources=False), None)
    assert time.process_time() - start < 2
    assert len(text) < 100_000
    rows = cells(text)
    numbers = [int(found[0]) for row in rows if (found := re.findall(r"\d+", row[0]))]
    assert numbers == [*range(7), *range(9970, 10_001)]
    assert "9963 of 10000 steps are left out" in text


def test_a_step_that_broke_early_is_never_left_out() -> None:
    """Where a run goes on after what broke, that step and its neighbours stand there, too."""
    scene: Scene = replace(scene_of(told.long_queue(), sources=False), broken=5000)
    rows = [row for row in cells(render_markdown(scene, None)) if "❌" in row[0]]
    assert len(rows) == 1
    assert "5000" in rows[0][0]


def test_the_line_that_says_most_is_named() -> None:
    """The seeded line of the last step that has one, or else a line that changed what broke."""
    scene = told.explained()
    line = Source("reference", "impl/x.py", 7, "f", "a = `b`", ("num_free",))
    steps = list(scene.steps)
    assert scene.broken is not None
    steps[scene.broken] = replace(steps[scene.broken], sources=(line,))
    named = "the line: impl/x.py:7 in f: a = `b` (changes num_free)"
    assert named in shown(render_markdown(replace(scene, steps=steps, marked=frozenset({"num_free"})), None))
    assert "the line" not in shown(render_markdown(replace(scene, steps=steps, marked=frozenset()), None))
    steps[1] = replace(steps[1], sources=(replace(line, line=9, variables=(), seeded=True),))
    named = "the line: impl/x.py:9 in f: a = `b` (the seeded defect)"
    assert named in shown(render_markdown(replace(scene, steps=steps), None))


def test_operations_in_a_sentence_are_code() -> None:
    """What stands between backticks; a lone one is text, and what is code cannot become markup."""
    why = Explanation((), None, "", 1, "with `kick` before `add <b>`, it holds")
    text = render_markdown(replace(SCENES["leak"], explanation=why), None)
    assert "- with `kick` before `add <b>`, it holds\n" in text
    lone = replace(why, variant_words="with ` and <b>, it holds")
    text = render_markdown(replace(SCENES["leak"], explanation=lone), None)
    assert "- with \\` and &lt;b&gt;, it holds\n" in text
