"""The published schema and the readers agree on what a trace document is."""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import itf_py  # type: ignore[import-untyped]
import pytest
from jsonschema import Draft202012Validator

from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig
from ringproof.impl.harness.operations import Code, Op, Result
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.journey import document as network
from ringproof.journey.recording import record as record_network
from ringproof.traces import document as queue
from ringproof.traces import steps_document
from ringproof.traces.entries import EntriesReader
from ringproof.traces.itf import TraceError
from ringproof.traces.recording import record, record_alone
from ringproof.traces.schema import schema
from ringproof.traces.stepwise import make_steps_trace
from ringproof.views.opening import READERS, Document, from_json

OPS = (Op(Code.ADD, a=1, in_=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET))
EXPLANATION = {
    "parts": [
        {"name": "a", "words": "b", "holds": False, "sentence": "c", "key": True},
        {"name": "d", "words": "e", "holds": True},
    ],
    "unavoidable": {"step": 2, "words": "w"},
    "variant": {"step": 1, "words": "v", "operations": [[1, 0, 0, 1, 0, 0]]},
}
EXTRA = {
    "check": "x",
    "clause": "2.7.13",
    "step": 3,
    "compared": "by meaning",
    "injection": "i",
    "conjunct": "c",
    "explanation": EXPLANATION,
    "further": [1, {"anything": None}],
}


def recorded() -> dict[str, Document]:
    """A real document of each form that this tool writes."""
    results = [Result(*[0] * 11) for _ in OPS]
    ran = record(QueueConfig(4), OPS, property="p", violated="v", driver="d", results=results, meta=EXTRA)
    steps = [make_steps_trace(mutant) for mutant in ("D7", "X30")]
    assert all(steps)
    return {
        "validate": ran,
        "large": record(QueueConfig(128), OPS, property="p", violated="v", driver="d"),
        "odd size": record(
            QueueConfig(3, 1 << 32, "modern", profile="virtio-1.x"),
            OPS,
            property="p",
            violated="",
            driver="d",
        ),
        "alone": record_alone(
            QueueConfig(4, hostile=True, fail_allocation=2),
            (*OPS, Op(Code.MISCHIEF, a=1)),
            property="p",
            violated="v",
            driver="d",
            results=results,
        ),
        "search": queue.TraceDocument(
            "search", "A1", "p", "v", True, ran.config, OPS, ran.states, "about", {"not_replayed": "why"}
        ),
        "network": record_network(
            NetConfig(8, NET_FEATURES, "modern", "virtio-1.x", missing_queue=None),
            (Frame(Packet(bytes(60))),),
            (
                *(Op(NetCode.PROBE), Op(NetCode.XMIT), Op(NetCode.NET_READ, in_=1)),
                *(Op(NetCode.NET_COMPLETE, in_=1, c=9), Op(NetCode.INTERRUPT), Op(NetCode.REMOVE)),
            ),
            extra={"origin": "o", "other_features": [1 << 63, 0], "driver": "d", "alone": False},
        ),
        **{f"steps {step.mutant}": step.document() for step in steps if step is not None},
    }


DOCUMENTS = recorded()
VALIDATOR = Draft202012Validator(schema())


def plain(name: str) -> dict[str, Any]:
    """A document as JSON values, as they are in a file."""
    value: dict[str, Any] = json.loads(DOCUMENTS[name].text())
    return value


def complaint(value: object) -> str:
    """What the strict reader says against it, "" if it takes it."""
    try:
        from_json(value, "f")
    except TraceError as error:
        return str(error)
    return ""


def test_the_schema_is_one() -> None:
    """It is a schema of its draft, and says of which version of the form it is."""
    Draft202012Validator.check_schema(schema())
    newest = max(reader.version for reader in READERS.values())
    assert schema()["$id"] == f"urn:ringproof:trace:{newest}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_real_documents_are_valid(name: str) -> None:
    """What every producer writes is valid, comes back without loss, and is read by the public ITF reader."""
    document = DOCUMENTS[name]
    value = plain(name)
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []
    back = from_json(value, name)
    assert back == document
    assert back.text() == document.text()
    trace = itf_py.trace_from_json(value)
    assert len(trace.states) == len(document.states)
    assert set(trace.vars) == {"action", "args", "lane", *document.states[0].values}
    last = document.states[-1]
    assert (trace.states[-1].values["lane"], trace.states[-1].values["action"]) == (last.lane, last.action)


DAMAGE: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("validate", lambda v: v.pop("states")),
    ("validate", lambda v: v["states"].clear()),
    ("validate", lambda v: v.pop("#meta")),
    ("validate", lambda v: v["#meta"].update(kind="dream")),
    ("validate", lambda v: v["#meta"].update(ringproof=2)),
    ("validate", lambda v: v["#meta"].update(format="XML")),
    ("validate", lambda v: v["#meta"]["operations"].append([99, 0, 0, 0, 0, 0])),
    ("validate", lambda v: v["#meta"]["operations"][0].pop()),
    ("validate", lambda v: v["#meta"]["config"].pop("layout")),
    ("validate", lambda v: v["#meta"].update(step="3")),
    ("validate", lambda v: v["#meta"]["explanation"]["parts"][0].pop("holds")),
    ("validate", lambda v: v["#meta"]["explanation"]["variant"].update(operations=[[1]])),
    ("validate", lambda v: v["states"][1].update(lane="sky")),
    ("validate", lambda v: v["states"][1].update(avail_idx="1")),
    ("validate", lambda v: v["states"][1].update(next=[0, None])),
    ("validate", lambda v: v["states"][1].update(more=1.5)),
    ("network", lambda v: v["states"][1].pop("queues")),
    ("network", lambda v: v["states"][1].update(more=1)),
    ("network", lambda v: v["states"][2]["journey"]["sent"][0].pop("head")),
    ("network", lambda v: v["#meta"]["frames"][0]["packet"].update(head="0")),
    ("network", lambda v: v["#meta"]["config"].update(transport="odd")),
    ("network", lambda v: v["#meta"]["config"].update(mac="00")),
    ("steps D7", lambda v: v["states"][0].pop("words")),
    ("steps D7", lambda v: v["#meta"]["broken"].append({"theorem": "t"})),
    ("steps D7", lambda v: v["#meta"]["config"].update(queue_size=3)),
    ("steps X30", lambda v: v["states"][-1]["tables"][0]["entries"][0].pop("addr")),
]


@pytest.mark.parametrize("case", range(len(DAMAGE)))
def test_damaged_documents_are_refused_by_both(case: int) -> None:
    """What is wrong in form is neither valid nor read."""
    name, change = DAMAGE[case]
    value = plain(name)
    assert complaint(value) == ""
    change(value)
    assert not VALIDATOR.is_valid(value)
    said = complaint(value)
    assert said.startswith("f: ")
    assert "\n" not in said


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1 << 40,
    1 << 70,
    0.5,
    "",
    "x",
    [],
    {},
    [[1]],
    {"#bigint": "7"},
    {"a b": 1},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from places(item, (*path, at))


def mutated(value: dict[str, Any], rng: random.Random, path: tuple[Any, ...]) -> dict[str, Any]:
    """The value with something else, nothing, or something more at a place."""
    value = copy.deepcopy(value)
    holder: Any = value
    for step in path[:-1]:
        holder = holder[step]
    match rng.randrange(4):
        case 0:
            del holder[path[-1]]
        case 1 if isinstance(holder, list):
            holder.append(copy.deepcopy(rng.choice((holder[0], rng.choice(ODD)))))
        case 1:
            holder[rng.choice(("more", "#", "kind", "step"))] = copy.deepcopy(rng.choice(ODD))
        case _:
            holder[path[-1]] = copy.deepcopy(rng.choice(ODD))
    return value


LENIENT = (
    # vars and states name the same variables
    *(r"states\[\d+\]\.\S*: is missing", r"is not among the vars"),
    # counts that depend on one another, and places that name others
    *(r"states for \d+ operations", r"\d+ entries where the queue has", r"frame \d+ of \d+ does not exist"),
    *(r"explanation\.\w+\.step: \d+ is not from", r"only DETACH_UNUSED may follow"),
    # ranges of values of states, and of what one operation may ask
    *(r"states\[\d+\].*: \d+ is not from", r"more than \d+ (segments|rounds)"),
    # a frame or a queue that cannot be
    *(r"a frame of", r"the checksum ends", r"a fragment", r"fragment", r"packets nested", r"queue size"),
)
"""What only a reader says, as docs/trace.md does."""


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "large"])
def test_what_a_reader_takes_is_valid(name: str) -> None:
    """Of many damaged documents none is read that the schema refuses; what it is too lenient for is known."""
    rng = random.Random(name)
    whole = plain(name)
    whole["states"] = whole["states"][:3]
    if "operations" in whole["#meta"]:
        whole["#meta"]["operations"] = whole["#meta"]["operations"][:2]
        if "explanation" in whole["#meta"]:
            whole["#meta"]["explanation"]["unavoidable"]["step"] = 1
    every = list(places(whole))
    both = 0
    for path in rng.sample(every, min(70, len(every))):
        value = mutated(whole, rng, path)
        valid, said = VALIDATOR.is_valid(value), complaint(value)
        both += bool(said) and not valid
        assert said or valid, f"{path} is read, but not valid"
        assert not (said and valid) or any(re.search(known, said) for known in LENIENT), f"{path}: {said}"
    assert both > 10


def test_the_schema_names_what_the_readers_know() -> None:
    """Variables and entries of #meta of each kind are those that the readers look at."""
    defs = schema()["$defs"]
    told = {"#meta", "action", "args", "lane"}
    for of, known in (
        ("queueState", queue.VARIABLES),
        ("networkState", network.SHAPES),
        ("stepsState", steps_document.SHAPES),
    ):
        assert defs[of]["properties"].keys() - told == known.keys()
    names = set(EntriesReader("f").entries(0))
    assert defs["extra"]["properties"].keys() == names
    for kind, name in (("queue", "validate"), ("network", "network"), ("steps", "steps D7")):
        meta = defs[kind]["properties"]["#meta"]["allOf"][0]["properties"]
        assert plain(name)["#meta"].keys() - names - {"further"} <= meta.keys()


PAGE = Path(__file__).parents[2] / "docs" / "trace.md"


def test_the_page_names_every_key() -> None:
    """docs/trace.md names each entry of #meta, of a configuration and of a frame, and each variable."""
    named = set(re.findall(r"`(\S+?)`", PAGE.read_text("utf-8")))
    defs = schema()["$defs"]
    keys = set(defs["extra"]["properties"]) | set(defs["frame"]["properties"])
    for of in ("explanation", "packetBytes"):
        keys |= set(defs[of]["properties"])
    for of in ("queueState", "networkState", "stepsState"):
        keys |= set(defs[of]["properties"]) - {"#meta"}
    for kind in ("queue", "network", "steps"):
        meta = defs[kind]["properties"]["#meta"]["allOf"][0]["properties"]
        keys |= set(meta)
        for part in ("config", "before"):
            keys |= set(meta.get(part, {}).get("properties", {}))
    assert keys - named == set()
    assert schema()["$id"] in named


def test_what_the_page_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces of Python in docs/trace.md read a trace."""
    monkeypatch.chdir(tmp_path)
    for name in ("trace", "long"):
        DOCUMENTS["validate"].save(tmp_path / f"{name}.itf.json")
    pieces = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(pieces) == 2
    shown: list[tuple[object, ...]] = []
    for piece in pieces:
        exec(piece, {"print": lambda *said: shown.append(said)})
    assert shown[1] == ("driver", "add", 1)
    assert len(shown) == len(OPS) + 1
