"""The proof cache: what was proved is not proved again, and an entry that is in doubt is never believed."""

import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import z3

from ringproof.proofs import cache as stored
from ringproof.proofs import discharge as discharging
from ringproof.proofs import fingerprint
from ringproof.proofs.cache import Cache, chosen, folder
from ringproof.proofs.discharge import Task, TaskResult, discharge, recall
from ringproof.proofs.engine import prove
from ringproof.proofs.fingerprint import digest, key
from ringproof.proofs.theorem import Query

TASK = Task("num-free-exact", "add")
FINDING = "header-size-linux-3.11"


def _cache(place: Path, writes: bool = True) -> Cache:
    return Cache(place, writes, "z3 5.4.0")


def _same(one: TaskResult, other: TaskResult) -> bool:
    """Whether two results say the same but for where they come from, and for seconds."""
    return _bare(one) == _bare(other)


def _bare(result: TaskResult) -> object:
    entries = [dataclasses.replace(entry, cached=False, seconds=0.0) for entry in result.obligations]
    return entries, result.vacuous, result.rlimit


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the sources for settled, however lately this tree was checked out."""
    monkeypatch.setattr(fingerprint, "_BEGAN", time.time() + 1e6)
    fingerprint.sources.cache_clear()


def test_what_is_proved_is_known_the_next_time(tmp_path: Path) -> None:
    """A second run takes everything from the cache, says so, and gives the same verdicts and counts."""
    first = discharge(TASK, _cache(tmp_path))
    second = discharge(TASK, _cache(tmp_path))
    assert not any(entry.cached for entry in first.obligations)
    assert all(entry.cached for entry in second.obligations)
    assert _same(first, second)
    assert first.obligations[0].satisfiable_at == (2, 4, 8)


def test_a_whole_task_is_recalled_without_a_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the sources are the same no obligation is built; when one changes all are."""
    first = discharge(TASK, _cache(tmp_path))
    recalled = recall(TASK, _cache(tmp_path))
    assert recalled is not None
    assert _same(first, recalled)
    monkeypatch.setattr(discharging, "sources", lambda: "others")
    assert recall(TASK, _cache(tmp_path)) is None
    monkeypatch.setattr(discharging, "sources", lambda: None)
    assert recall(TASK, _cache(tmp_path)) is None


def test_sources_that_may_be_changing_are_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source newer than this process, which may have read an older one, has no digest."""
    assert fingerprint.sources() is not None
    monkeypatch.setattr(fingerprint, "_BEGAN", 0.0)
    fingerprint.sources.cache_clear()
    assert fingerprint.sources() is None
    fingerprint.sources.cache_clear()


def test_the_engine_tells_what_comes_from_the_cache(tmp_path: Path) -> None:
    """Counts of what was known are in the report and its JSON; a finding is refuted anew each time."""
    names = ["need-event-exact", FINDING]
    first, second = (prove(names, jobs=1, cache=_cache(tmp_path)) for _ in range(2))
    assert (first.cached, second.cached) == (0, second.obligations - 1)
    assert [each.verdict for each in second.theorems] == ["proved", "refuted"]
    assert [each.rlimit for each in first.theorems] == [each.rlimit for each in second.theorems]
    data = second.to_json()
    assert data["cached"] == data["theorems"][0]["cached"] == 4
    assert data["theorems"][1]["cached"] == 0
    assert all(entry["cached"] for entry in data["theorems"][0]["details"])


def test_a_mutant_that_breaks_nothing_is_known_and_one_that_does_is_tried(tmp_path: Path) -> None:
    """What holds of a mutant is cached as well; its refutation never is."""
    holds, broken = Task("num-free-exact", "add", "D1", witness=False), Task("num-free-exact", "add", "A5")
    results = [discharge(task, _cache(tmp_path)) for task in (holds, broken)]
    assert results[1].obligations[-1].verdict == "refuted"
    assert recall(holds, _cache(tmp_path)) is not None
    assert recall(broken, _cache(tmp_path)) is None
    again = discharge(broken, _cache(tmp_path))
    assert not again.obligations[-1].cached
    assert again.obligations[-1].counterexample


DAMAGE: dict[str, Callable[[str], str]] = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
    "no JSON": lambda text: "?" + text,
    "another thing": lambda _: "[]",
    "nested too deep": lambda _: "[" * 100_000,
    "one figure changed": lambda text: text.replace('"rlimit": ', '"rlimit": 1'),
    "another version": lambda text: _signed(text, schema=stored.SCHEMA + 1),
    "another solver": lambda text: _signed(text, solver="z3 4.8.5"),
    "another key": lambda text: _signed(text, key="0" * 64),
    "another kind": lambda text: _signed(text, kind="belief"),
    "no content": lambda text: _signed(text, content={}),
    "no checksum": lambda _: json.dumps({"schema": stored.SCHEMA}),
}


def _signed(text: str, **changes: object) -> str:
    """An entry with other fields and a checksum that is right for them."""
    entry = {**json.loads(text), **changes}
    del entry["checksum"]
    return json.dumps({**entry, "checksum": stored._checksum(entry)})


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_doubtful_entry_is_discarded_and_decided_anew(tmp_path: Path, damage: str) -> None:
    """However an entry is wrong, a warning names the file, the question is asked again, and it is mended."""
    good = discharge(TASK, _cache(tmp_path))
    places = sorted(tmp_path.iterdir())
    for place in places:
        place.write_text(DAMAGE[damage](place.read_text()))
    assert recall(TASK, _cache(tmp_path)) is None
    again = discharge(TASK, _cache(tmp_path))
    assert _same(good, again)
    assert not any(entry.cached for entry in again.obligations)
    for warning in again.warnings:
        assert "\n" not in warning
        assert "decided anew" in warning
        assert any(str(place) in warning for place in places)
    assert len(again.warnings) >= len(good.obligations)
    assert all(entry.cached for entry in discharge(TASK, _cache(tmp_path)).obligations)


def test_an_entry_of_another_question_is_not_believed(tmp_path: Path) -> None:
    """A proof filed under the name of another is told by the key it carries."""
    store = _cache(tmp_path)
    store.write("proof", "a" * 64, {"seconds": 0.1, "rlimit": 7})
    (tmp_path / f"{'a' * 64}.json").rename(tmp_path / f"{'b' * 64}.json")
    assert store.figures("proof", "b" * 64) is None
    assert "another question" in store.told()[0]


def test_a_smaller_budget_gets_no_better_answers(tmp_path: Path) -> None:
    """What was proved with the usual budget stays unknown with a budget of one."""
    assert (
        prove(["chain-well-formed"], fast=True, jobs=1, cache=_cache(tmp_path)).theorems[0].verdict
        == "proved"
    )
    (starved,) = prove(["chain-well-formed"], fast=True, jobs=1, budget=1, cache=_cache(tmp_path)).theorems
    assert (starved.verdict, starved.cached) == ("unknown", 0)
    (again,) = prove(["chain-well-formed"], fast=True, jobs=1, budget=1, cache=_cache(tmp_path)).theorems
    assert again.verdict == "unknown"
    assert [entry.verdict for entry in again.details] == [entry.verdict for entry in starved.details]


def test_a_fast_run_leaves_no_witness(tmp_path: Path) -> None:
    """Proofs of a fast run help the next; what it did not look at is looked at then."""
    discharge(dataclasses.replace(TASK, witness=False), _cache(tmp_path))
    assert recall(TASK, _cache(tmp_path)) is None
    result = discharge(TASK, _cache(tmp_path))
    assert result.vacuous is False
    assert all(entry.cached for entry in result.obligations)


def test_a_cache_to_be_read_only_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written or removed, doubtful or not."""
    discharge(TASK, _cache(tmp_path, writes=False))
    assert list(tmp_path.iterdir()) == []
    doubtful = tmp_path / f"{'c' * 64}.json"
    doubtful.write_text("?")
    assert _cache(tmp_path, writes=False).read("proof", "c" * 64) is None
    assert doubtful.read_text() == "?"


def test_a_folder_that_takes_nothing_is_told_once(tmp_path: Path) -> None:
    """Where nothing can be written the run goes on, with one warning."""
    (tmp_path / "file").write_text("")
    result = discharge(TASK, _cache(tmp_path / "file"))
    assert {entry.verdict for entry in result.obligations} == {"proved"}
    assert len([warning for warning in result.warnings if "takes nothing more" in warning]) == 1


def test_which_cache_is_chosen(tmp_path: Path) -> None:
    """Read and written as usual; only read in CI unless asked for; neither if not wanted."""
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    assert folder(home) == tmp_path / "ringproof" / "proofs"
    assert folder({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "ringproof" / "proofs"
    assert chosen(False, home) is None
    for wanted, environment, writes in (
        (None, {}, True),
        (None, {"CI": "true"}, False),
        (None, {"CI": "false"}, True),
        (True, {"CI": "true"}, True),
    ):
        selected = chosen(wanted, {**home, **environment})
        assert selected is not None
        assert selected.writes is writes


def test_old_entries_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that has grown too large loses its oldest entries, and what an interrupted writer left."""
    monkeypatch.setattr(stored, "LIMIT", 2)
    store = _cache(tmp_path)
    for number, name in enumerate("abc"):
        store.write("proof", name, {"seconds": 0.0, "rlimit": 0})
        stamp = time.time() - 100 + number
        os.utime(tmp_path / f"{name}.json", (stamp, stamp))
    (tmp_path / ".left").write_text("")
    os.utime(tmp_path / ".left", (0, 0))
    store.prune()
    assert sorted(place.name for place in tmp_path.iterdir()) == ["b.json", "c.json"]


def test_different_formulas_have_different_digests() -> None:
    """Sorts of like names, numbers, patterns and the order of arguments all count; names of lets do not."""
    x, y, b = z3.Int("x"), z3.Int("y"), z3.Bool("x")
    wide, narrow = z3.BitVec("x", 16), z3.BitVec("x", 8)
    f, g = z3.Function("f", z3.IntSort(), z3.IntSort()), z3.Function("f", z3.IntSort(), z3.BoolSort())
    formulas = [
        x == x, b == b, wide == wide, narrow == narrow, x == 1, x == 2, x == y, y == x, x - y == 0,
        y - x == 0, wide == 1, narrow == 1, f(x) == f(x), g(x) == g(x),
        z3.And(x > 0, y > 0), z3.And(y > 0, x > 0),
        z3.ForAll([x], f(x) > 0), z3.ForAll([y], f(y) > 0), z3.Exists([x], f(x) > 0), f(x) > 0,
        z3.ForAll([x], f(x) > 0, patterns=[f(x)]), z3.BoolVal(True), z3.BoolVal(False),
        z3.And(z3.And(x > 0, y > 0), b), z3.And(x > 0, z3.And(y > 0, b)), z3.Int("|x| y") > 0,
        z3.ForAll([x, y], f(x) > y), z3.ForAll([y, x], f(x) > y),
    ]  # fmt: skip
    digests = [digest(each) for each in formulas]
    named = [each for each in digests if each is not None]
    assert len(named) == len(set(named))
    assert len(named) >= len(formulas) - 2


def test_an_ambiguous_text_has_no_digest() -> None:
    """One name for two things, or a name like those of abbreviations: such a formula is not cached at all."""
    x, b = z3.Int("x"), z3.Bool("x")
    f = z3.Function("f", z3.IntSort(), z3.IntSort())
    twice = z3.And(x > 0, b)
    captured = z3.ForAll([x], z3.Exists([b], z3.And(b, x > 0)))
    shadowed = z3.And(b, z3.ForAll([x], f(x) > 0))
    for formula in (twice, captured, shadowed, z3.Int("?x17") > 0, z3.Int("$x17") > 0):
        assert digest(formula) is None
        assert key("proof", Query({"h": formula}, z3.BoolVal(True)), [], goal=True) is None


def test_a_digest_does_not_depend_on_what_was_built_before() -> None:
    """Z3 abbreviates what other formulas share; the digest is of the formula written out."""
    x, y = z3.Ints("x y")
    f = z3.Function("f", z3.IntSort(), z3.IntSort())

    def made() -> z3.BoolRef:
        part = f(f(y + 1) + 2)
        return z3.And(part > 0, z3.ForAll([x], z3.Implies(f(x) > 3, part < f(x) + 4)))

    before, text = fingerprint._digest(made()), fingerprint.text(made())
    shared = [f(y + 1), f(y + 1) + 2, f(f(y + 1) + 2), f(f(y + 1) + 2) > 0]
    assert fingerprint.text(made()) != text
    assert fingerprint._digest(made()) == before is not None
    del shared


def test_a_key_is_of_everything_asked() -> None:
    """Another hypothesis, name, goal, option or kind of question: another key."""
    x = z3.Int("x")
    query = Query({"a": x > 0, "b": x > 1}, x > 2)
    keys = [
        key("proof", query, [1], goal=True),
        key("proof", query, [2], goal=True),
        key("proof", query, [1], goal=False),
        key("witness", query, [1], goal=True),
        key("proof", Query({"a": x > 0}, x > 2), [1], goal=True),
        key("proof", Query({"b": x > 1, "a": x > 0}, x > 2), [1], goal=True),
        key("proof", Query({"a": x > 0, "c": x > 1}, x > 2), [1], goal=True),
        key("proof", Query({"a": x > 0, "b": x > 1}, x > 3), [1], goal=True),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)
