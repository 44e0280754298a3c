"""From what a search found to operations that a reference or a driver can run."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..impl.harness.operations import Code, Op, OpFlag
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX
from ..proofs.search import Counterexample, Step

_CODES = {
    "add": Code.ADD,
    "read": Code.READ,
    "complete": Code.COMPLETE,
    "get": Code.GET,
    "kick": Code.KICK,
    "set_avail_event": Code.SET_AVAIL_EVENT,
    "set_flags": Code.SET_FLAGS,
}


def queue_config(trace: Counterexample) -> QueueConfig:
    """The queue a counterexample speaks of: faithful to Linux 3.11, legacy layout, with a callback."""
    return QueueConfig(trace.queue_size, features=F_EVENT_IDX if trace.event_idx else 0)


def operation(step: Step) -> Op:
    """The operation of one step."""
    code = _CODES[step.action]
    match code:
        case Code.READ:
            return Op(code, a=1)
        case Code.COMPLETE:
            return Op(code, a=step.argument, c=1)
        case _:
            return Op(code, a=step.argument)


def operations(trace: Counterexample) -> tuple[Op, ...]:
    """The whole run from creation, one operation per batch of rounds and per step."""
    rounds = (Op(Code.ROUNDS, 0 if batch.kick else OpFlag.NO_KICK, a=batch.count) for batch in trace.rounds)
    return (*rounds, *(operation(step) for step in trace.steps))


def choices(operations: Sequence[Op]) -> list[tuple[str, int]]:
    """The model's steps of operations as :func:`operations` makes them, rounds left out."""
    actions = {code: action for action, code in _CODES.items()}
    return [
        (actions[Code(op.code)], 0 if op.code == Code.READ else op.a)
        for op in operations
        if op.code != Code.ROUNDS
    ]


def model_states(trace: Counterexample) -> list[dict[str, Any]]:
    """What the model says of each state, under the names of a trace's variables; as many as states.

    Tokens count from creation, as they do in a run: the model numbers them anew after rounds.
    """
    states = [model_variables(trace.initial, 0)]
    earlier = 0
    for batch in trace.rounds:
        earlier += batch.count
        states.append(model_variables(batch.values, earlier))
    states += [model_variables(step.values, earlier) for step in trace.steps]
    return states


def model_variables(values: Mapping[str, Any], earlier: int) -> dict[str, Any]:
    """One state of the model under the names of a trace's variables, after ``earlier`` rounds."""
    named = ("avail_idx", "used_idx", "last_used_idx", "used_event", "avail_event", "free_head", "num_added")
    return {
        **{name: values[name] for name in (*named, "read_idx", "broken")},
        "used_flags": int(values["no_notify"]),
        # The model counts num_free in 8 bits; a driver that falls below 0 shows it in its own width.
        "num_free": values["num_free"],
        "next": list(values["next"]),
        "flags": [int(flag) for flag in values["has_next"]],
        "data": [token + earlier if token else 0 for token in values["data"]],
        "avail_ring": list(values["avail_ring"]),
        "used_ring": list(values["used_ring"]),
        "in_flight": list(values["in_flight"][: values["in_flight_count"]]),
    }


def disagreements(model: Mapping[str, Any], shown: Mapping[str, Any]) -> list[str]:
    """The variables on which the model and a run differ, those only one of them has left out."""
    found = []
    for name, value in model.items():
        if name not in shown:
            continue
        other = shown[name] & 0xFF if name == "num_free" else shown[name]
        if value != other:
            found.append(f"{name} is {shown[name]}, {value} in the model")
    return found
