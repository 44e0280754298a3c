"""An explanation says which parts broke, from where on it had to, and what would have gone well."""

import json
from dataclasses import replace

import pytest

from ringproof.impl.harness.operations import Code, Op, OpFlag, askable
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.patching import load_reference_mutant
from ringproof.proofs.search.properties import CONJUNCTS
from ringproof.traces.document import TraceDocument, from_json
from ringproof.traces.explanation import explained, parts_of
from ringproof.traces.exploration import Allowance, Explorer, settling
from ringproof.traces.ledger import Breach
from ringproof.traces.properties import PARTS, Watched
from ringproof.traces.replay import run_reference
from ringproof.traces.unavoidable import Ways, unavoidable
from ringproof.traces.variant import nearest, phrase
from ringproof.views.staging import explanation_of

ADD, ADD2, READ, GET, KICK = (
    Op(Code.ADD, a=1),
    Op(Code.ADD, a=2),
    Op(Code.READ, a=1),
    Op(Code.GET),
    Op(Code.KICK),
)
COMPLETE, SECOND = Op(Code.COMPLETE, c=1), Op(Code.COMPLETE, a=1, c=1)

LEAK = ("A2", "no-leak-no-double-allocation", "none-lost", (ADD2, READ, COMPLETE, GET))
CASES: dict[str, tuple[tuple[str, str, str, tuple[Op, ...]], QueueConfig, int, int | None]] = {
    # mutant, property, part, operations; queue; unavoidable from; step of the variant
    "leak": (LEAK, QueueConfig(2), 1, 1),
    "no-room": (("A1", "no-leak-no-double-allocation", "takes-only-free", (ADD, ADD2)), QueueConfig(2), 2, 2),
    "wrong-token": (
        ("A7", "token-returned-once", "right-token", (ADD, ADD, READ, READ, SECOND, GET)),
        QueueConfig(2),
        5,
        5,
    ),
    "not-rearmed": (
        ("D3", "callbacks-rearmed", "used_event-follows", (ADD, READ, COMPLETE, GET)),
        QueueConfig(1, features=F_EVENT_IDX),
        1,
        0,
    ),
    "silenced": (
        ("X9", "need-event-exact", "no-kick-lost", (ADD, Op(Code.SET_FLAGS, a=1), KICK)),
        QueueConfig(1, features=F_EVENT_IDX),
        3,
        3,
    ),
    "any-get": (("B13", "bad-ring-never", "not-broken", (GET,)), QueueConfig(1), 1, None),
}


def document(case: tuple[str, str, str, tuple[Op, ...]], config: QueueConfig) -> TraceDocument:
    """A search's document with no states: an explanation needs none."""
    mutant, property, conjunct, ops = case
    return TraceDocument(
        "search", mutant, property, "it broke", True, config, ops, (), extra={"conjunct": conjunct}
    )


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_violation_is_explained(name: str) -> None:
    """The named part is the key, and step and variant are where a reader would look for them."""
    case, config, forced, changed = CASES[name]
    told = explained(document(case, config)).extra["explanation"]
    assert [part["name"] for part in told["parts"] if part["key"]] == [case[2]]
    assert {part["name"] for part in told["parts"]} >= set(PARTS[case[1]])
    assert all(part["holds"] != bool(part["sentence"]) for part in told["parts"])
    assert told["unavoidable"]["step"] == forced
    assert ("variant" in told) == (changed is not None)
    if changed is not None:
        assert told["variant"]["step"] == changed


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case[3] is not None and case[3] > 0]
)
def test_a_variant_passes_to_the_end_and_differs_in_one_place(name: str) -> None:
    """On the accused reference nothing breaks in it, nor when the queue then comes to rest."""
    case, config, *_ = CASES[name]
    told = explained(document(case, config)).extra["explanation"]["variant"]
    ops = [Op(*numbers) for numbers in told["operations"]]
    explorer = Explorer(config, load_reference_mutant(case[0]), Allowance(1000))
    assert explorer.clean([*ops, *settling(ops)])
    assert not any(explorer.outstanding)
    assert not explorer.clean(case[3])
    assert len(case[3]) - len(ops) in (0, 1)


def test_words_are_those_of_the_trace() -> None:
    """The words name operations as the terminal does."""
    told = explained(document(LEAK, QueueConfig(2))).extra["explanation"]
    assert told["variant"]["words"] == "with `add 1 segment` instead of `add 2 segments` at step 1 it holds"
    assert told["unavoidable"]["words"].startswith("from step 1 on: each of the ")
    assert phrase(ADD2) == "add 2 segments"


@pytest.mark.parametrize("name", CASES)
def test_what_is_unavoidable_stays_so(name: str) -> None:
    """Of longer and longer beginnings of the run, none is avoidable after one that was not."""
    (mutant, property, conjunct, ops), config, forced, _ = CASES[name]
    avoidable = []
    for after in range(len(ops)):
        explorer = Explorer(config, load_reference_mutant(mutant), Allowance(4000))
        explorer.run(ops[:after])
        added = sum(op.code == Code.ADD for op in ops[:after])
        avoidable.append(Ways(explorer, ops, property, conjunct).well(explorer.mark(), added))
    assert avoidable == [True] * forced + [False] * (len(ops) - forced)


def test_when_steps_run_out_it_says_so_or_nothing() -> None:
    """A small allowance never yields an earlier step than a large one, and admits what it did not try."""
    mutant, property, conjunct, ops = LEAK
    for most in range(4, 40):
        explorer = Explorer(QueueConfig(2), load_reference_mutant(mutant), Allowance(most))
        found = unavoidable(explorer, ops, property, conjunct, len(ops))
        assert found is None or found.step == 1 or "too many ways" in found.words


def test_the_smallest_set_is_one_part_and_the_named_one_if_it_fails() -> None:
    """One failing part falsifies the conjunction; a part that holds is never the key."""
    both = [Breach("free-list-sound", "no-cycle", "c"), Breach("free-list-sound", "holds-only-free", "h")]
    keys = {
        named: [part.name for part in parts_of("free-list-sound", named, both) if part.key]
        for named in ("no-cycle", "holds-only-free", "")
    }
    assert keys == {
        "no-cycle": ["no-cycle"],
        "holds-only-free": ["holds-only-free"],
        "": ["holds-only-free"],
    }
    assert not any(part.key for part in parts_of("free-list-sound", "no-cycle", []))
    parts = parts_of("chain-well-formed", "", [Breach("chain-well-formed", "", "x")])
    (stopped,) = [part for part in parts if part.key]
    assert (stopped.name, stopped.holds, stopped.sentence) == ("goes-on", False, "x")


def test_every_part_the_checks_know_has_words() -> None:
    """The names are those of the search's properties, no more and no fewer."""
    assert {(slug, part) for slug, parts in PARTS.items() for part in parts} == {
        (conjunct.property, conjunct.name) for conjunct in CONJUNCTS
    }


def test_a_moment_can_be_gone_back_to() -> None:
    """After going back the same steps have the same results and break the same."""
    explorer = Explorer(QueueConfig(2), load_reference_mutant("A2"), Allowance(1000))
    explorer.run(LEAK[3][:2])
    mark = explorer.mark()
    first = [explorer.step(op) for op in (COMPLETE, GET, ADD2)]
    explorer.back(mark)
    assert [explorer.step(op) for op in (COMPLETE, GET, ADD2)] == first
    assert "none-lost" in [breach.conjunct for breach in first[1][1]]


def test_a_long_beginning_is_run_once() -> None:
    """The state after many rounds is kept, and a run that takes it up goes on as one that ran them."""
    ops = [Op(Code.ROUNDS, OpFlag.NO_KICK, a=2000), ADD, READ, COMPLETE, GET, KICK]
    runs = []
    for _ in range(2):
        watched = Watched(ReferenceRunner(QueueConfig(4, features=F_EVENT_IDX)))
        runs.append([watched.step(op) for op in ops])
    plain = ReferenceRunner(QueueConfig(4, features=F_EVENT_IDX))
    assert runs[0] == runs[1]
    assert [result for result, _ in runs[1]] == [plain.step(op) for op in ops]


def test_an_explanation_survives_the_document_and_is_staged() -> None:
    """Written, read and staged it is the same; nothing is refused on load."""
    made = explained(document(LEAK, QueueConfig(2)))
    whole = replace(made, states=run_reference(made.config, made.operations).states)
    again = from_json(json.loads(whole.text()), "x")
    assert again.extra["explanation"] == made.extra["explanation"]
    staged = explanation_of(again.extra, len(LEAK[3]))
    assert staged.unavoidable_from == staged.variant_step == 1
    assert [(part.name, part.holds, part.key) for part in staged.parts] == [
        ("takes-only-free", True, False),
        ("none-lost", False, True),
    ]


def test_nothing_to_say_leaves_the_document_alone() -> None:
    """Without a mutant, a driver or parts there is no explanation; nor where nothing breaks."""
    plain = TraceDocument("validate", None, "p", "v", False, QueueConfig(2), (ADD,), (), extra={"step": 0})
    assert explained(plain) is plain
    sound = document(("A2", LEAK[1], LEAK[2], (ADD, READ)), QueueConfig(2))
    assert "explanation" not in explained(sound).extra


def test_a_driver_is_varied_within_bounds() -> None:
    """At most as many runs as allowed; none for long runs; what passes is told."""
    tries: list[tuple[Op, ...]] = []

    def attempt(_config: QueueConfig, ops: list[Op]) -> object | None:
        tries.append(tuple(ops))
        return "fails" if ADD2 in ops else None

    made = TraceDocument("validate", None, "p", "v", False, QueueConfig(4), LEAK[3], (), extra={"step": 3})
    told = explained(made, attempt).extra["explanation"]["variant"]
    assert told["step"] == 1
    assert told["operations"][0] == list(ADD)
    tries.clear()
    assert "explanation" not in explained(made, lambda c, o: attempt(c, [ADD2, *o]), most=7).extra
    assert len(tries) == 7
    tries.clear()
    for long in ((ADD,) * 13, (Op(Code.ROUNDS, a=65535), GET)):
        explained(replace(made, operations=long), attempt)
    assert not tries


def test_a_run_that_detaches_is_varied_too() -> None:
    """Its variants can be asked for: nothing follows DETACH_UNUSED, not even what brings to rest."""
    detach = Op(Code.DETACH_UNUSED)
    tried: list[list[Op]] = []

    def passes(config: QueueConfig, ops: list[Op]) -> bool:
        tried.append(ops)
        return config.queue_size == 8

    found = nearest(QueueConfig(4), (Op(Code.ADD, a=2), Op(Code.READ, a=1), detach), 3, passes, 60)
    assert found is not None
    assert found.config.queue_size == 8
    assert all(askable(ops) for ops in tried)


def test_a_variant_must_still_add_something() -> None:
    """An empty run breaks nothing, and says nothing."""
    assert nearest(QueueConfig(1), [ADD], 1, lambda _config, ops: ADD not in ops, 100) is None
