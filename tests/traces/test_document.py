"""Trace documents are written whole, read strictly, and lose nothing on the way."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import itf_py  # type: ignore[import-untyped]
import pytest

from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.traces import itf
from ringproof.traces.document import MOST_ROUNDS, TraceDocument, TraceError, TraceState, from_json, load

OPS = (Op(Code.ADD, a=2, in_=1, b=7), Op(Code.READ), Op(Code.COMPLETE, a=1, b=2, c=3))


def document(**changes: Any) -> TraceDocument:
    """A small document with values of every kind."""
    states = [
        TraceState(
            "init", "create", {}, {"avail_idx": 0, "next": [1, 0, 3, 2], "result": {}, "broken": False}
        ),
        *(
            TraceState(
                "driver",
                "add",
                {"out_segments": 2},
                {"avail_idx": 1 << 60, "next": [1 << 60, 0, 0, 0], "result": {"status": -28}, "broken": True},
            )
            for _ in OPS
        ),
    ]
    given: dict[str, Any] = {
        "kind": "search",
        "mutant": "B1",
        "property": "indices-faithful",
        "violated": "avail_idx is 0 – after 2",
        "replayed": True,
        "config": QueueConfig(
            4, features=1 << 29 | 1 << 32, layout="modern", profile="virtio-1.x", queue_index=3
        ),
        "operations": OPS,
        "states": tuple(states),
        "description": "what it is",
        "extra": {"conjunct": "avail_idx", "more": [1, {"x": None}]},
    }
    return TraceDocument(**{**given, **changes})


def test_a_document_comes_back_as_it_was(tmp_path: Path) -> None:
    """Saving and loading loses nothing, big integers, text and further entries included."""
    path = tmp_path / "a trace.itf.json"
    document().save(path)
    assert load(path) == document()
    assert [each.name for each in tmp_path.iterdir()] == ["a trace.itf.json"]


def test_the_format_is_itf() -> None:
    """Other viewers find what the format asks for."""
    value = json.loads(document().text())
    assert value["#meta"]["format"] == "ITF"
    assert value["params"] == []
    assert value["vars"][:3] == ["action", "args", "lane"]
    assert value["states"][1]["avail_idx"] == {"#bigint": str(1 << 60)}
    assert [state["#meta"]["index"] for state in value["states"]] == [0, 1, 2, 3]
    assert value["#meta"]["operations"][0] == [1, 0, 1, 2, 7, 0]


def test_itf_py_reads_it() -> None:
    """The public Python reader of the format takes it, and reads the same values."""
    trace = itf_py.trace_from_json(json.loads(document().text()))
    assert len(trace.states) == 4
    assert trace.states[1].values["avail_idx"] == 1 << 60
    assert trace.states[1].values["args"].out_segments == 2
    assert set(trace.vars) == set(trace.states[0].values)


def test_the_text_is_a_function_of_the_document() -> None:
    """Two writes give the same bytes."""
    assert document().text() == document().text()


def spoiled(change: Callable[[dict[str, Any]], object]) -> str:
    """The complaint about a document that was changed after writing."""
    value = copy.deepcopy(document().to_json())
    change(value)
    with pytest.raises(TraceError) as caught:
        from_json(value, "trace.itf.json")
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: v["states"][3].update(lane="sky"),
            "states[3].lane: 'sky' is none of init, driver, device, both",
        ),
        (lambda v: v["states"][2].pop("next"), "states[2].next: is missing"),
        (lambda v: v["states"][2].update(more=1), "states[2].more: is not among the vars"),
        (
            lambda v: v["states"][1].update(next=[1, 2.5]),
            "states[1].next[1]: a fraction is no value of a state",
        ),
        (lambda v: v["states"][1].update(next=None), "states[1].next: nothing is no value of a state"),
        (lambda v: v["states"][1].update(args=[]), "states[1].args: a list where there should be an object"),
        (lambda v: v["states"][1].update(args={"a b": 1}), "states[1].args: 'a b' is no name of a field"),
        (lambda v: v["states"][1].update(next={"#bigint": 3}), "states[1].next.#bigint: not an integer"),
        (lambda v: v["states"][1]["next"].pop(), "states[1].next: 3 entries where the queue has 4"),
        (
            lambda v: v["states"][1].update(next=[0, 0, True, 0]),
            "states[1].next[2]: a truth value where there should be an integer",
        ),
        (
            lambda v: v["states"][1].update(avail_idx="0"),
            "states[1].avail_idx: text where there should be an integer",
        ),
        (
            lambda v: v["states"][1].update(broken=0),
            "states[1].broken: an integer where there should be true or false",
        ),
        (
            lambda v: v["states"][1].update(result={"status": "no"}),
            "states[1].result.status: text where there should be an integer",
        ),
        (lambda v: v["states"].pop(), "states: 3 states for 3 operations, not 4"),
        (lambda v: v.pop("states"), "states: is missing; it should be a list"),
        (lambda v: v["vars"].append("lane"), "vars: a variable is named twice"),
        (lambda v: v["vars"].remove("lane"), "vars: no variable lane"),
        (lambda v: v.pop("#meta"), "#meta: is missing; it should be an object"),
        (lambda v: v["#meta"].pop("ringproof"), "#meta: no entry ringproof: not a trace of this tool"),
        (
            lambda v: v["#meta"].update(ringproof=2),
            "#meta.ringproof: version 2 is newer than this tool reads (1)",
        ),
        (
            lambda v: v["#meta"].update(ringproof="1"),
            "#meta.ringproof: text where there should be an integer",
        ),
        (lambda v: v["#meta"].update(format="XML"), "#meta.format: not ITF"),
        (lambda v: v["#meta"].update(kind="dream"), "#meta.kind: 'dream' is none of search, validate"),
        (
            lambda v: v["#meta"].update(replayed=1),
            "#meta.replayed: an integer where there should be true or false",
        ),
        (lambda v: v["#meta"].update(mutant=7), "#meta.mutant: an integer where there should be text"),
        (
            lambda v: v["#meta"]["operations"][1].pop(),
            "#meta.operations[1]: 5 numbers where an operation has 6",
        ),
        (
            lambda v: v["#meta"]["operations"][1].__setitem__(0, 99),
            "#meta.operations[1][0]: there is no operation with code 99",
        ),
        (
            lambda v: v["#meta"]["operations"][1].__setitem__(3, -1),
            "#meta.operations[1][3]: -1 is not from 0 to 4294967295",
        ),
        (
            lambda v: v["#meta"]["operations"][1].__setitem__(3, True),
            "#meta.operations[1][3]: a truth value where there should be an integer",
        ),
        (
            lambda v: v["#meta"]["operations"][0].__setitem__(3, 1 << 20),
            "#meta.operations[0]: more than 65536 segments",
        ),
        (
            lambda v: v["#meta"]["operations"].__setitem__(1, [32, 0, 0, 1 << 30, 0, 0]),
            "#meta.operations[1]: more than 1048576 rounds",
        ),
        (
            lambda v: v["#meta"]["operations"].__setitem__(1, [10, 0, 0, 0, 0, 0]),
            "#meta.operations[2]: only DETACH_UNUSED may follow",
        ),
        (
            lambda v: v["#meta"]["config"].update(queue_size=65536),
            "#meta.config: queue size 65536 is not a power of two",
        ),
        (lambda v: v["#meta"]["config"].update(queue_size=10**400), "#meta.config.queue_size: "),
        (
            lambda v: v["#meta"]["config"].update(features=["MAGIC"]),
            "#meta.config.features[0]: 'MAGIC' is none of INDIRECT_DESC",
        ),
        (lambda v: v["#meta"]["config"].update(layout="odd"), "#meta.config: layout 'odd' is neither"),
        (lambda v: v["#meta"]["config"].pop("profile"), "#meta.config.profile: is missing"),
        (lambda v: v["#meta"].update(step=-2), "#meta.step: -2 is not from -1 to 2147483648"),
        (lambda v: v["#meta"].update(clause=7), "#meta.clause: an integer where there should be text"),
        (lambda v: v["#meta"].update(other_features=[1]), "#meta.other_features: 1 numbers where"),
        (
            lambda v: v["#meta"].update(explanation=[]),
            "#meta.explanation: a list where there should be an object",
        ),
        (
            lambda v: v["#meta"].update(explanation={"parts": [{"name": "a", "words": "b"}]}),
            "#meta.explanation.parts[0].holds: is missing; it should be true or false",
        ),
        (
            lambda v: v["#meta"].update(explanation={"unavoidable": {"step": 4, "words": "w"}}),
            "#meta.explanation.unavoidable.step: 4 is not from 0 to 3",
        ),
        (
            lambda v: v["#meta"].update(
                explanation={"variant": {"step": 1, "words": "w", "operations": [[1, 2]]}}
            ),
            "#meta.explanation.variant.operations[0]: 2 numbers where an operation has 6",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """Each fault of a document gives one line that names the file and the place."""
    assert spoiled(change).startswith(f"trace.itf.json: {message}")


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {"#meta": []}, {"states": []}])
def test_foreign_values_are_refused(value: object) -> None:
    """JSON that is something else altogether is a TraceError too."""
    with pytest.raises(TraceError, match=r"^f: "):
        from_json(value, "f")


def complaint(path: Path, data: bytes) -> str:
    """The complaint about a file with these bytes."""
    path.write_bytes(data)
    with pytest.raises(TraceError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    """A file cut anywhere is never taken for a shorter trace."""
    data = document().text().encode()
    path = tmp_path / "t.itf.json"
    for length in range(0, len(data) - 2, 7):
        complaint(path, data[:length])
    assert "truncated" in complaint(path, data[: len(data) // 2].rstrip() + b" ") or "column" in complaint(
        path, data[:-9]
    )


def test_files_that_are_no_text_or_no_json_are_refused(tmp_path: Path) -> None:
    """Bytes, bad syntax, constants JSON lacks, and endless nesting each give their line."""
    path = tmp_path / "t.itf.json"
    assert "byte 0: not UTF-8 text" in complaint(path, b"\xff\xfe")
    assert "the file is empty" in complaint(path, b"")
    assert "line 2, column 3: not JSON" in complaint(path, b'{"a":\n  oops}')
    assert "NaN is no JSON number" in complaint(path, b'{"a": NaN}')
    assert "not JSON that can be read" in complaint(path, b"[" * 100_000)
    assert "not JSON that can be read" in complaint(path, b"[" + b"9" * 10_000 + b"]")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    """What cannot be opened is said in one line."""
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(TraceError, match="cannot be read"):
            load(path)


def test_what_stands_twice_or_is_no_number_is_refused(tmp_path: Path) -> None:
    """Readers would differ in which of two entries counts, and in what a number beyond all bounds is."""
    path = tmp_path / "t.itf.json"
    text = document().text()
    head = '"ringproof": 1,'
    assert "'x' stands twice" in complaint(path, text.replace(head, head + '"x": 1, "x": 2,').encode())
    assert "'states' stands twice" in complaint(path, (text.rstrip()[:-1] + ', "states": []}').encode())
    assert "too large a number" in complaint(path, text.replace(head, head + '"x": 1e999,').encode())
    lined = text.replace(head, head + '\n"NaN": "Infinity",\n"x": NaN,').encode()
    at = text[: text.index(head)].count("\n") + 3
    assert f"line {at}, column 6: not JSON that can be read: NaN" in complaint(path, lined)


def test_only_files_and_pipes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without end is refused, so is a file too long; a pipe that nobody writes to is empty."""
    with pytest.raises(TraceError, match="/dev/zero: cannot be read: neither a file nor a pipe"):
        load(Path("/dev/zero"))
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(TraceError, match="the file is empty"):
        load(pipe)
    document().save(path := tmp_path / "t.itf.json")
    reader, writer = os.pipe()
    os.write(writer, path.read_bytes())
    os.close(writer)
    assert load(Path(f"/dev/fd/{reader}")) == document()
    os.close(reader)
    monkeypatch.setattr(itf, "LARGEST_FILE", 100)
    with pytest.raises(TraceError, match="over 100 bytes: too long to be read whole"):
        load(path)


def test_a_name_of_an_entry_cannot_make_a_second_line(tmp_path: Path) -> None:
    """A strange name is told in one line of fair length."""
    for name in ("a\n\nb", "x" * 100_000):
        value = document().to_json()
        value["states"][0][name] = 1
        assert len(complaint(tmp_path / "t.itf.json", json.dumps(value).encode())) < 600
        value = document().to_json()
        value["states"][0]["args"][name + "-"] = 1
        assert len(complaint(tmp_path / "t.itf.json", json.dumps(value).encode())) < 600


def test_only_so_many_rounds_are_taken_in_all() -> None:
    """A few operations cannot keep a replay busy for hours."""

    def change(value: dict[str, Any]) -> None:
        value["#meta"]["operations"] = [[int(Code.ROUNDS), 0, 0, MOST_ROUNDS // 2, 0, 0]] * 3
        value["states"] = value["states"][:1] * 4

    assert "#meta.operations[2]: more than 1048576 rounds in all" in spoiled(change)


def test_what_is_no_file_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """A link is followed, a device stays one, a pipe without a reader is refused at once."""
    (tmp_path / "link").symlink_to("target")
    document().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "target") == document()
    # A terminal stands for all devices: its folder takes no files, so nothing can be broken there.
    master, slave = os.openpty()
    (tmp_path / "device").symlink_to(os.ttyname(slave))
    document().save(tmp_path / "device")
    assert os.read(master, 9) == b'{"#meta":'
    assert (tmp_path / "device").is_char_device()
    os.close(master)
    os.close(slave)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TraceError, match="pipe: cannot be written"):
        document().save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "link", "pipe", "target"]


@pytest.mark.parametrize("named", [False, True])
def test_a_process_that_is_killed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """What was begun has no name before it is whole; where that cannot be, an exception takes it away."""
    if named:
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # which no file can be made with
    path = tmp_path / "t.json"
    path.write_text("before")

    def interrupted() -> None:
        with itf.replacing(path) as file:
            file.write(b"half")
            file.flush()
            assert sum(each != path for each in tmp_path.iterdir()) == named
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"
    itf.save("after", path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "after"


def test_a_file_keeps_who_may_read_it(tmp_path: Path) -> None:
    """What is written anew keeps its permissions; a new file has those that the user lets new files have."""
    path = tmp_path / ("x" * 245 + ".json")
    before = os.umask(0o077)
    try:
        document().save(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    document().save(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """No such folder is a TraceError; a target that cannot be replaced leaves no scratch file."""
    with pytest.raises(TraceError, match="cannot be written"):
        document().save(tmp_path / "no" / "t.itf.json")
    (tmp_path / "t.itf.json").mkdir()
    with pytest.raises(TraceError, match="cannot be written"):
        document().save(tmp_path / "t.itf.json")
    assert [each.name for each in tmp_path.iterdir()] == ["t.itf.json"]
