"""Documents and scenes that the text views are tried on: recorded directly, so that they cost little."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ringproof.impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig
from ringproof.impl.harness.net_operations import Op as NetOp
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.journey.described import described
from ringproof.journey.document import NetTrace
from ringproof.journey.recording import record as record_network
from ringproof.patching import load_reference_mutant
from ringproof.traces.document import TraceDocument
from ringproof.traces.recording import record, record_alone
from ringproof.traces.replay import run_reference
from ringproof.traces.wording import Change
from ringproof.views.scene import Explanation, Part, Scene
from ringproof.views.staging import scene_of

HOSTILE = (
    "</text><script>alert(1)</script> & \"'; # | `code` **bold** _it_ [x](http://e.vil/y) <b>hi</b> end "
    "%%{init}%% @someone #12 GH-7 www.e.vil a@b.c :+1: $end $x$ wrap: --> -->> ]]> <!-- \\ ~~s~~ "
    "0123456789abcdef &lt; 漢字"
)

EXPLANATION = Explanation(
    parts=(
        Part(
            "none-lost", "every descriptor is free or in a chain", False, "descriptor 1 is in neither", True
        ),
        Part("none-twice", "no descriptor is both", True),
        Part("count", "num_free counts the free ones", False, "num_free is 1, 2 are free"),
    ),
    unavoidable_from=3,
    unavoidable_words="every run of two more operations was tried",
    variant_step=1,
    variant_words="add 1 segment",
)


def some_operations(count: int) -> tuple[Op, ...]:
    """So many operations that keep every part of a ring in use."""
    turn = (
        *(Op(Code.ADD, a=2, in_=1), Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ, a=1)),
        *(Op(Code.ADD, a=1), Op(Code.COMPLETE, c=1), Op(Code.GET), Op(Code.READ), Op(Code.COMPLETE, c=2)),
        *(Op(Code.GET), Op(Code.ADD, a=2), Op(Code.GET), Op(Code.ENABLE_CB)),
    )
    return tuple(turn[at % len(turn)] for at in range(count))


@lru_cache
def leak() -> TraceDocument:
    """Chains lose their tail on a queue of two: a replayed counterexample of a mutant, short."""
    config = QueueConfig(2, F_EVENT_IDX)
    ops = (Op(Code.ADD, a=2), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1), Op(Code.GET))
    ran = run_reference(config, ops, reference=load_reference_mutant("A2"))
    found = ran.first_of("no-leak-no-double-allocation", "none-lost")
    assert found is not None
    number, breach = found
    assert number == len(ops) - 1
    return TraceDocument(
        kind="search",
        mutant="A2",
        property=breach.property,
        violated=breach.sentence,
        replayed=True,
        config=config,
        operations=ops,
        states=ran.states,
        description="A2: only the head of a chain is given back",
        extra={"conjunct": breach.conjunct},
    )


def queue(size: int, count: int = 16, *, ops: tuple[Op, ...] | None = None) -> TraceDocument:
    """A validation that failed at its last operation; its driver's results differ there."""
    config, taken = QueueConfig(size, F_EVENT_IDX), some_operations(count) if ops is None else ops
    runner = ReferenceRunner(config)
    seen = [runner.step(op) for op in taken]
    seen[-1] = seen[-1]._replace(status=seen[-1].status + 7)
    return record(
        config,
        taken,
        property="num-free-exact",
        violated="num_free is 3, but the free list holds 2",
        driver="lib/a-driver.so",
        results=seen,
    )


@lru_cache
def long_queue(count: int = 10_000, size: int = 16) -> TraceDocument:
    """A validation of so many operations."""
    return queue(size, count)


@lru_cache
def alone() -> TraceDocument:
    """A run that no reference follows: only what the driver told."""
    config = QueueConfig(4, F_EVENT_IDX, hostile=True)
    runner, ops = ReferenceRunner(QueueConfig(4, F_EVENT_IDX)), some_operations(7)
    results = [runner.step(op) for op in ops]
    return record_alone(
        config, ops, property="ends", violated="avail_idx went astray", driver="d", results=results[:-1]
    )


@lru_cache
def network() -> NetTrace:
    """A run of a network driver: a frame that is sent, one that is dropped, one that remove frees."""
    texts = ("tcp4 len=4000 frags=1000@16,1000 gso=1448 csum", "tcp4 gso=3 kind=unknown", "udp4")
    ops = (
        *(NetOp(NetCode.PROBE), NetOp(NetCode.XMIT, a=0), NetOp(NetCode.XMIT, a=1)),
        *(NetOp(NetCode.NET_READ, in_=1), NetOp(NetCode.NET_COMPLETE, in_=1, c=0xFFFF)),
        *(NetOp(NetCode.INTERRUPT), NetOp(NetCode.XMIT, a=2), NetOp(NetCode.REMOVE)),
    )
    return record_network(
        NetConfig(32, NET_FEATURES, "modern", "virtio-1.x"),
        [described(text)[0] for text in texts],
        ops,
        description="three frames",
        property="frees-all",
        violated="tx_packets is 1",
    )


def scenes() -> dict[str, Scene]:
    """A scene of every shape: with tables and without, replayed and not, of a queue and of a network."""
    documents: dict[str, TraceDocument | NetTrace] = {
        "leak": leak(),
        "of 4": queue(4),
        "of 16": queue(16),
        "of 64": queue(64, ops=(Op(Code.ROUNDS, a=65530), *some_operations(30))),
        "of 256": queue(256, 30),
        "alone": alone(),
        "network": network(),
    }
    return {name: scene_of(document, sources=False) for name, document in documents.items()}


def explained() -> Scene:
    """The leak with all that can be said about why it broke."""
    return replace(scene_of(leak(), sources=False), explanation=EXPLANATION)


def hostile(scene: Scene) -> Scene:
    """A scene with all its texts, also those of its values, turned into one that tries to be markup."""

    def soiled(value: Any) -> Any:
        if isinstance(value, str):
            return HOSTILE
        if isinstance(value, Mapping):
            return {name: soiled(each) for name, each in value.items()}
        return [soiled(each) for each in value] if isinstance(value, list) else value

    def changes(found: tuple[Change, ...]) -> Iterator[Change]:
        for change in found:
            yield Change(change.variable, HOSTILE, change.old and HOSTILE, HOSTILE)

    steps = [
        replace(
            step,
            words=HOSTILE,
            outcome=HOSTILE,
            changes=tuple(changes(step.changes)),
            differences=(HOSTILE,),
            values={name: soiled(each) for name, each in step.values.items()},
        )
        for step in scene.steps
    ]
    return replace(
        scene,
        title=HOSTILE,
        setting=HOSTILE,
        standing=HOSTILE,
        property=HOSTILE,
        conjunct=HOSTILE,
        violated=HOSTILE,
        clause=HOSTILE,
        steps=steps,
        explanation=Explanation((Part(HOSTILE, HOSTILE, False, HOSTILE, True),), 1, HOSTILE, 2, HOSTILE),
    )
