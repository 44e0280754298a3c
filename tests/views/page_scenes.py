"""Scenes to draw: short and long runs of the reference, and one by hand that has all a scene can say."""

from dataclasses import replace
from functools import cache

from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.journey.making import make_net_trace
from ringproof.traces.itf import TraceState
from ringproof.traces.recording import record, record_alone
from ringproof.traces.wording import changes
from ringproof.views.page import render_page
from ringproof.views.scene import Explanation, Part, Scene, Source, Step
from ringproof.views.staging import scene_of

EVERY_CHAIN = 0x1_0000


def traffic(count: int) -> tuple[Op, ...]:
    """``count`` operations that keep all parts of a ring in use: chains wait, are in flight, and are used."""
    turn = (
        *(Op(Code.ADD, a=1), Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ, a=1)),
        *(Op(Code.COMPLETE, c=1), Op(Code.GET), Op(Code.READ, a=2), Op(Code.ADD, a=1)),
        *(Op(Code.COMPLETE, c=EVERY_CHAIN), Op(Code.GET), Op(Code.GET), Op(Code.ENABLE_CB), Op(Code.READ)),
    )
    return tuple(turn[at % len(turn)] for at in range(count))


@cache
def queue_scene(size: int, count: int = 60, *, ops: tuple[Op, ...] | None = None) -> Scene:
    """A run of the reference on a queue of ``size``, said to break a property at its last step."""
    document = record(
        QueueConfig(size, F_EVENT_IDX),
        traffic(count) if ops is None else ops,
        property="num-free-exact",
        violated="num_free is one thing, and the free list holds another",
        driver="a driver of tests",
    )
    return scene_of(document, sources=False)


@cache
def long_page() -> str:
    """The page of ten thousand steps on the largest queue whose tables are shown."""
    return render_page(queue_scene(64, 9_999))


@cache
def alone_scene() -> Scene:
    """A run that no reference follows: indices, and no tables."""
    document = record_alone(
        QueueConfig(8, F_EVENT_IDX),
        traffic(5),
        property="crash",
        violated="the driver crashed",
        driver="a driver of tests",
        results=[],
    )
    return scene_of(document, sources=False)


CHAIN = (Op(Code.ADD, a=2), Op(Code.ADD, a=1), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1), Op(Code.GET))


@cache
def full_scene() -> Scene:
    """Short, and with all there is: explanation, lines of code, differences, a clause, a lost descriptor."""
    scene = queue_scene(4, ops=CHAIN)
    *steps, last = scene.steps
    before = TraceState("", "", {}, steps[-1].values)
    lost = TraceState("", "", {}, {**last.values, "num_free": 2, "next": [3, *last.values["next"][1:]]})
    broken = replace(
        last,
        values=lost.values,
        changes=tuple(changes(before, lost)),
        differences=("num_free: 2, the reference has 3",),
    )
    lines = (
        Source("reference", "impl/reference/virtqueue.py", 301, "detach_buf", "i = head", (), False),
        Source(
            *("reference", "impl/reference/virtqueue.py", 304, "detach_buf", "self.num_free += 1"),
            ("num_free", "free_head"),
            True,
        ),
        Source("c", "impl/c/virtqueue.c", 410, "detach_buf", "vq->data[head] = NULL;", ("data",)),
    )
    return replace(
        scene,
        title="A2: only the head of a chain is given back",
        setting="queue of 4, EVENT_IDX, legacy layout, profile linux-3.11",
        standing="replayed: the reference carrying A2 breaks it at the same step",
        property="no-leak-no-double-allocation",
        conjunct="none-lost",
        violated="descriptor 1 is in no chain and not on the free list",
        clause="VIRTIO 1.3, 2.7.13.3",
        broken=len(steps),
        marked=frozenset({"num_free", "free_head", "next"}),
        steps=[*steps, replace(broken, sources=lines)],
        explanation=Explanation(
            parts=(
                Part("free-list-ends", "the free list has num_free descriptors", True),
                Part("none-twice", "no descriptor is in two chains", True),
                Part(
                    *("none-lost", "every descriptor is in a chain or free", False),
                    *("descriptor 1 is in no chain and not on the free list", True),
                ),
                Part("next-inside", "next of a free descriptor is another", False, "next[1] is not"),
            ),
            unavoidable_from=1,
            unavoidable_words="all 36 ways on from here that were tried end with a descriptor lost",
            variant_step=1,
            variant_words="with `add 1 segment` instead of `add 2 segments` there is no second one to lose",
        ),
    )


HOSTILE = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> ${1} {{ 7*7 }} '\" &lt; \u2028\ud800"
)


def hostile_scene() -> Scene:
    """Every text is an attempt to break out of its place, and the values are none that a queue has."""
    values = {
        "next": HOSTILE,
        "flags": [HOSTILE],
        "in_flight": {"a": HOSTILE},
        "__proto__": {"polluted": 1},
        "avail_idx": -1,
        "used_idx": HOSTILE,
        "last_used_idx": 1 << 70,
        "num_free": None,
        HOSTILE: HOSTILE,
        "registers": [{"register": HOSTILE, "value": HOSTILE}, 3],
        "queues": [{"queue": HOSTILE}, HOSTILE],
        "journey": {"sent": [{"frame": HOSTILE, "outcome": HOSTILE}], "read": 5},
        "events": [{}],
        "tables": [{"table": HOSTILE, "entries": [HOSTILE, {"addr": HOSTILE}]}],
    }
    tables = {
        "next": [9, 9],
        "flags": [1, 1],
        "data": [1, HOSTILE],
        "free_head": 7,
        "num_free": 99,
        "avail_ring": [70000, 5],
        "used_ring": [],
        "avail_idx": 1 << 20,
        "read_idx": 3,
        "in_flight": [5000],
    }
    line = Source(HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE, (HOSTILE,), True)
    steps = [
        Step(0, "init", HOSTILE, HOSTILE, HOSTILE, (), {}),
        Step(1, "driver", HOSTILE, HOSTILE, HOSTILE, (), values, (HOSTILE,), (line,)),
        Step(2, "device", HOSTILE, HOSTILE, HOSTILE, (), tables),
    ]
    return Scene(
        kind="search",
        title=HOSTILE,
        setting=HOSTILE,
        standing=HOSTILE,
        property=HOSTILE,
        conjunct=HOSTILE,
        violated=HOSTILE,
        clause=HOSTILE,
        broken=2,
        marked=frozenset({HOSTILE, "next"}),
        queue_size=2,
        steps=steps,
        explanation=Explanation((Part(HOSTILE, HOSTILE, False, HOSTILE, True),), 1, HOSTILE, 1, HOSTILE),
    )


@cache
def network_scene() -> Scene:
    """A frame on its way through the network driver, sent, read, used and freed."""
    return scene_of(make_net_trace("E11"), sources=False)
