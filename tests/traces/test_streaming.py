"""Traces are written and read a state at a time: the same bytes, the same refusals, in constant memory."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import NetCode, NetConfig
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.journey.recording import record as record_network
from ringproof.traces.document import TraceDocument, TraceError, TraceState
from ringproof.traces.recording import record
from ringproof.traces.steps_document import StepsDocument
from ringproof.traces.stepwise import make_steps_trace
from ringproof.traces.streaming import TraceWriter
from ringproof.views import opening
from ringproof.views.opening import Document, load_any, load_window, stream_any
from ringproof.views.staging import scene_of_file

ROUND = (Op(Code.ADD, a=1, in_=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET))


@pytest.fixture(scope="module")
def ran() -> TraceDocument:
    """Two rounds on a queue of 4, with an entry of #meta before and behind the operations."""
    return record(
        QueueConfig(4), ROUND * 2, property="p", violated="v avail_idx", driver="d – é", meta={"more": [1]}
    )


@pytest.fixture(scope="module")
def others() -> list[Document]:
    """A document of each other kind."""
    steps = make_steps_trace("D7")
    assert steps is not None
    ops = (Op(NetCode.PROBE), Op(NetCode.XMIT), Op(NetCode.NET_READ, in_=1))
    net = record_network(NetConfig(8, 0, "legacy", "linux-3.11"), (Frame(Packet(bytes(60))),), ops)
    return [net, steps.document()]


def written(document: Document, path: Path) -> bytes:
    """The document's file, its states written one by one."""
    operations = () if isinstance(document, StepsDocument) else document.operations
    with TraceWriter(path, document.meta()) as writer:
        for at, state in enumerate(document.states):
            writer.add(state, operations[at - 1] if at and operations else None)
    return path.read_bytes()


def test_the_bytes_are_those_of_a_whole_document(
    ran: TraceDocument, others: list[Document], tmp_path: Path
) -> None:
    """Whatever the kind, and with no operation at all, and nothing but the file is left."""
    path = tmp_path / "t.itf.json"
    for document in (ran, replace(ran, operations=(), states=ran.states[:1]), *others):
        assert written(document, path) == document.text().encode()
        assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_is_read_is_the_document(ran: TraceDocument, others: list[Document], tmp_path: Path) -> None:
    """Head, operations and states are those of the ordinary reader."""
    path = tmp_path / "t.itf.json"
    for document in (ran, *others):
        document.save(path)
        stream = stream_any(path)
        assert tuple(stream.states()) == document.states
        if isinstance(document, StepsDocument):
            assert stream.length is None
            assert replace(document, states=()) == stream.head
            assert tuple(stream.operations()) == ()
        else:
            assert stream.length == len(document.operations)
            assert replace(document, states=(), operations=()) == stream.head
            assert tuple(stream.operations()) == document.operations


def test_any_order_and_any_white_space_is_read(ran: TraceDocument, tmp_path: Path) -> None:
    """A file that another tool has written anew is read as well, #meta last or not, and windows of it."""
    path = tmp_path / "t.itf.json"
    value = ran.to_json()
    for keys, indent in ((["states", "vars", "params", "#meta"], 2), (["vars", "#meta", "states"], None)):
        path.write_text(json.dumps({key: value[key] for key in keys if key in value}, indent=indent))
        stream = stream_any(path)
        assert tuple(stream.states()) == ran.states
        assert tuple(stream.operations()) == ran.operations
        assert stream.between(3, 6) == list(ran.states[3:6])


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
VALUES = st.recursive(
    st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.fixed_dictionaries({"one": VALUES, "other": VALUES}), min_size=1, max_size=4),
    texts=st.tuples(TEXTS, TEXTS),
    numbers=st.integers(0, 65535),
    extra=st.dictionaries(st.sampled_from(["more", "Ω", '"']), VALUES, max_size=2),
)
def test_nothing_is_lost_on_the_way(
    tmp_path: Path,
    values: list[dict[str, Any]],
    texts: tuple[str, str],
    numbers: int,
    extra: dict[str, Any],
) -> None:
    """Any values, texts and further entries come back from either writer through either reader."""
    document = TraceDocument(
        "validate", None, texts[0], texts[1], False, QueueConfig(4),
        tuple(Op(Code.ADD, b=numbers) for _ in values[1:]),
        tuple(TraceState("driver", texts[0], {"a": each["one"]}, each) for each in values),
        extra=extra,
    )  # fmt: skip
    path = tmp_path / "t.itf.json"
    assert written(document, path) == document.text().encode()
    assert load_any(path) == document
    stream = stream_any(path)
    assert tuple(stream.states()) == document.states
    assert tuple(stream.operations()) == document.operations
    assert stream.head == replace(document, states=(), operations=())


def test_a_writer_that_fails_leaves_nothing(ran: TraceDocument, tmp_path: Path) -> None:
    """An exception on the way, a state that does not fit, and a file that cannot be: no file is left."""
    path = tmp_path / "t.itf.json"
    first, second = ran.states[:2]
    other = TraceState("driver", "add", {}, {"one": 1})

    def write(*states: tuple[TraceState, Op | None]) -> None:
        with TraceWriter(path, ran.meta()) as writer:
            for state, op in states:
                writer.add(state, op)

    for states, message in (
        (((first, None), (other, ROUND[0])), "state 1 has other variables"),
        (((first, None), (second, None)), "state 1 comes without an operation"),
        (((first, ROUND[0]),), "state 0 comes with an operation"),
        ((), "at least one state"),
    ):
        with pytest.raises(ValueError, match=message):
            write(*states)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TraceError, match="cannot be written"), TraceWriter(tmp_path / "no" / "t", {}):
        pass
    path.mkdir()
    with pytest.raises(TraceError, match="cannot be written"):
        write((first, None))
    assert list(tmp_path.iterdir()) == [path]


def refused(path: Path, data: bytes) -> str:
    """The one line that the streaming reader says of a file with these bytes."""
    path.write_bytes(data)
    with pytest.raises(TraceError) as caught:
        all_of(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def all_of(path: Path) -> None:
    """Read the whole of a file."""
    stream = stream_any(path)
    for _ in stream.operations():
        pass
    for _ in stream.states():
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["states"][3].update(lane="sky"), "states[3].lane: 'sky' is none of init"),
        (lambda v: v["states"][2].update(next=[1]), "states[2].next: 1 entries where the queue has 4"),
        (lambda v: v["states"][2].update(next=[1, 2.5, 0, 0]), "states[2].next[1]: a fraction is no value"),
        (lambda v: v["states"].pop(), "states: 10 states for 10 operations, not 11"),
        (lambda v: v.pop("states"), "states: is missing"),
        (lambda v: v.pop("vars"), "vars: is missing"),
        (lambda v: v["#meta"].pop("operations"), "#meta.operations: is missing"),
        (lambda v: v["#meta"].update(operations={}), "#meta.operations: an object where"),
        (lambda v: v["#meta"]["operations"][4].pop(), "#meta.operations[4]: 5 numbers"),
        (lambda v: v["#meta"].update(ringproof=2), "#meta.ringproof: version 2 is newer"),
        (lambda v: v["#meta"].update(kind="dream"), "#meta.kind: 'dream' is none of search, validate"),
        (lambda v: v.update({"#meta": [1]}), "#meta: a list where there should be an object"),
        (lambda v: v["states"][3].update(more=1), "states[3].more: is not among the vars"),
        (lambda v: v["states"].__setitem__(5, None), "states[5]: is missing; it should be an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    ran: TraceDocument, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """The streaming reader is as strict as the other, and says the same."""
    value = json.loads(ran.text())
    change(value)
    path = tmp_path / "t.itf.json"
    assert refused(path, json.dumps(value).encode()).startswith(message)
    with pytest.raises(TraceError, match=r".") as caught:
        load_any(path)
    assert str(caught.value).removeprefix(f"{path}: ").startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file ends too soon"),
        (b"[]", "the whole: "),
        (b"{}", "#meta: is missing"),
        (b'{"#meta": {"a": 1}} x', "vars: is missing"),
        (b'{"#meta": {"a": 1}, "vars": [], "states": []}', "#meta: no entry ringproof"),
        (b"\xff", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"#meta": ' + b"9" * 9000 + b"}", "not JSON that can be read: a number of too many digits"),
        (b'{"#meta": "\xc2\x9b"}', "text with a control character"),
        (b'{"#meta": {"ringproof": 1, "format": "ITF", "kind": ' + b"[" * 50_000, "the file ends too soon"),
    ],
)
def test_foreign_files_are_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    """What is no document of this tool, or no JSON, or would break the parser or the terminal."""
    path = tmp_path / "t.itf.json"
    assert message in refused(path, data)
    with pytest.raises(TraceError):
        load_any(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\\ud800", "text with half a surrogate pair"),
        ("\\udc00\\ud800", "text with half a surrogate pair"),
        ("\\u001b[2J", "text with a control character"),
        ("\\\\\\r", "text with a control character"),
        ("\\u009B", "text with a control character"),
        ("\x7f", "text with a control character"),
    ],
)
def test_text_that_a_terminal_would_obey_is_refused(
    ran: TraceDocument, tmp_path: Path, text: str, message: str
) -> None:
    """Wherever it stands, also across two of the blocks in which a file is read."""
    path = tmp_path / "t.itf.json"
    for before in (0, 65_536 - 400, *range(65_536 - 372, 65_536 - 352)):
        whole = replace(ran, description="x" * before + "HERE").text().replace("HERE", text)
        assert refused(path, whole.encode()).startswith(message)
    with pytest.raises(TraceError, match=message):
        load_any(path)


def test_odd_text_is_read(ran: TraceDocument, tmp_path: Path) -> None:
    """Whole surrogate pairs, escaped backslashes, line ends and long digits in text are nothing to refuse."""
    path = tmp_path / "t.itf.json"
    odd = replace(ran, description="\U0001f600 \\ud800 \\\\r \n\t é " + "7" * 3000, states=ran.states)
    odd.save(path)
    assert load_any(path) == odd
    assert stream_any(path).head == replace(odd, states=(), operations=())


def test_every_truncation_is_refused(ran: TraceDocument, tmp_path: Path) -> None:
    """A file cut anywhere is never taken for a shorter trace."""
    data = ran.text().encode()
    path = tmp_path / "t.itf.json"
    for length in range(0, len(data) - 2, 97):
        refused(path, data[:length])
    assert refused(path, data[:-30]).startswith("states: the file ends too soon: it is truncated")


def rounds(count: int, ran: TraceDocument) -> Iterator[tuple[TraceState, Op | None]]:
    """So many states with their operations: the two rounds over and over."""
    yield ran.states[0], None
    for at in range(count - 1):
        yield ran.states[1 + at % 10], ran.operations[at % 10]


@pytest.fixture
def long(ran: TraceDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace of 2,002 states, here too many to be opened whole, the last of which breaks a property."""
    monkeypatch.setattr(opening, "MOST_STATES", 2_000)
    path = tmp_path / "long.itf.json"
    with TraceWriter(path, ran.meta()) as writer:
        for state, op in rounds(2_002, ran):
            writer.add(state, op)
    return path


def test_memory_does_not_grow(ran: TraceDocument, tmp_path: Path) -> None:
    """Ten times as many states take no more memory, written or read."""

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.itf.json"
        tracemalloc.start()
        with TraceWriter(path, ran.meta()) as writer:
            for state, op in rounds(count, ran):
                writer.add(state, op)
        all_of(path)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(20)  # whatever is made once
    assert peak(1_500) < peak(300) + 200_000
    assert (tmp_path / "1500.itf.json").stat().st_size > 900_000


def test_a_long_trace_is_shown_by_a_window(long: Path, ran: TraceDocument) -> None:
    """The steps around the one that broke, or around any, with their numbers, and words that say so."""
    last = 2_001
    scene = scene_of_file(long, sources=False)
    assert (scene.broken, len(scene.steps)) == (last, opening.WINDOW)
    assert scene.window == "steps 1,002 to 2,001 of 2,001: the trace is too long to be shown whole"
    assert scene.at(last).number == last
    assert scene.at(last).values == ran.states[1].values
    assert scene.steps[0].number == 1_002
    assert scene.steps[0].changes
    with pytest.raises(IndexError):
        scene.at(1_001)
    early = scene_of_file(long, around=7, sources=False)
    assert [early.steps[0].number, early.at(7).words, early.broken] == [0, "kick", last]
    assert early.window.startswith("steps 0 to 999 of 2,001")
    middle = load_window(long, 1_500, most=100)
    assert (middle.first, len(middle.document.states)) == (1_426, 100)
    with pytest.raises(TraceError, match="there is no step 2002: the last is 2001"):
        load_window(long, 2_002)


def test_a_window_of_a_damaged_trace_is_one_line(long: Path, tmp_path: Path) -> None:
    """What is wrong in the window is named; a trace that ends before its operations do is refused."""
    lines = long.read_bytes().splitlines(keepends=True)
    path = tmp_path / "t.itf.json"
    for spoiled, message in (
        ([*lines[:-3], lines[-3].replace(b'"lane": "', b'"lane": "x'), *lines[-2:]], "states[2000].lane: "),
        ([*lines[:-40], *lines[-1:]], "states: "),
        (lines[:-40], "states: the file ends too soon: it is truncated"),
    ):
        path.write_bytes(b"".join(spoiled))
        with pytest.raises(TraceError) as caught:
            scene_of_file(path, sources=False)
        assert str(caught.value).startswith(f"{path}: {message}")
        assert "\n" not in str(caught.value)


def test_a_short_trace_is_shown_whole(ran: TraceDocument, tmp_path: Path) -> None:
    """Nothing is left out, and nothing says so."""
    path = tmp_path / "t.itf.json"
    ran.save(path)
    scene = scene_of_file(path, sources=False)
    assert (scene.window, len(scene.steps)) == ("", 11)
    with pytest.raises(TraceError, match="there is no step 11: the last is 10"):
        load_window(path, 11)
    with pytest.raises(TraceError, match="cannot be read"):
        load_window(tmp_path / "no")
