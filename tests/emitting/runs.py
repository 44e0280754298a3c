"""Runs that show the virtqueue's seeded defects, as the search finds them, written down."""

from typing import Any

from ringproof.impl.harness.operations import Code, Mischief, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.traces.document import TraceDocument

ADD, READ, COMPLETE = Op(Code.ADD, a=1), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1)
GET, KICK = Op(Code.GET), Op(Code.KICK)
ALL_ROUNDS = Op(Code.ROUNDS, a=65535)

RUNS: dict[str, tuple[Op, ...]] = {
    "A1": (ADD, Op(Code.ADD, a=2)),
    "A2": (Op(Code.ADD, a=2), READ, COMPLETE, GET),
    "A5": (ADD,),
    "A6": (ADD, ADD, READ, COMPLETE, GET),
    "A7": (ADD, ADD, READ, READ, Op(Code.COMPLETE, a=1, c=1), GET),
    "A13": (ADD,),
    "B1": (ADD, ADD),
    "B5": (ADD, ADD, READ, READ, COMPLETE, COMPLETE, GET),
    "B10": (ADD, READ, COMPLETE, GET, ADD, ADD),
    "B13": (GET,),
    "D3": (ADD, READ, COMPLETE, GET),
    "D14": (ADD, Op(Code.ADD, a=2)),
    "X2": (ADD, READ, COMPLETE, GET),
    "X3": (Op(Code.ADD, a=2), READ, COMPLETE, GET),
    "X4": (Op(Code.ADD, a=2),),
    "X5": (ADD, ADD, READ, READ, COMPLETE, COMPLETE, GET),
    "X6": (Op(Code.ADD, a=2), READ),
    "X7": (ADD, READ, COMPLETE, GET),
    "X9": (ADD, Op(Code.SET_FLAGS, a=1), KICK),
}
LONG_RUNS: dict[str, tuple[Op, ...]] = {
    "B3": (ALL_ROUNDS, ADD, READ, COMPLETE, GET),
    "B6": (ALL_ROUNDS, ADD, READ, COMPLETE, GET),
    "B11": (Op(Code.ROUNDS, OpFlag.NO_KICK, a=65535), ADD),
    "D1": (ALL_ROUNDS, ADD, ADD, KICK),
    "X1": (ALL_ROUNDS, ADD, Op(Code.SET_AVAIL_EVENT, a=65535), KICK),
}
OF_FOUR = ("A6", "X4")
"""Their queue has 4 descriptors, that of the others 2."""


def document(run: str = "A2", **changed: Any) -> TraceDocument:
    """The trace of a mutant, without states; ``changed`` are fields that are to be otherwise."""
    given: dict[str, Any] = {
        "kind": "search",
        "mutant": run,
        "property": "num-free-exact",
        "violated": "num_free is 1, but the descriptors in no chain are 2",
        "replayed": True,
        "config": QueueConfig(4 if run in OF_FOUR else 2, F_EVENT_IDX),
        "operations": (RUNS | LONG_RUNS)[run],
        "states": (),
        "description": f"{run}: a seeded defect",
        "extra": {},
    }
    return TraceDocument(**(given | changed))


def hostile() -> TraceDocument:
    """A run with a device that breaks the rules."""
    return document(
        mutant="A2",
        config=QueueConfig(4, layout="modern", hostile=True),
        operations=(ADD, KICK, READ, Op(Code.MISCHIEF, a=Mischief.ID_RANGE, b=2), GET),
    )


NASTY = (
    "*/ int main(void) { return 0; } /* \"\"\" ''' \" \\ \\\n ??/ ??' %s %n {0} \u202e \U0001f600 // # \r\n"
    "\nimport os\n#define if while\n\\"
)
"""Text that would end a comment or a string in one language or another."""
