"""Writing down a failed validation: the run again on the reference, the driver's results beside."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..impl.harness.operations import NUM_FREE_UNKNOWN, Op, Result
from ..impl.harness.reference_runner import QueueConfig, ReferenceRunner, Violation
from .document import TraceDocument, TraceState
from .variables import action_name, arguments, initial_state, lane, register_log, result_fields, state_after


def record(
    config: QueueConfig,
    ops: Sequence[Op],
    *,
    property: str,
    violated: str,
    driver: str,
    results: Sequence[Result] | None = None,
    expected: Sequence[Result] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> TraceDocument:
    """A document of what a driver did wrong in ``ops``, all of them since creation.

    The states are the reference's, which runs ``ops`` again. ``results`` are what the driver gave back, as
    many as there are (a driver that crashed gave fewer); each state shows them as ``observed`` beside the
    reference's as ``expected``, which are taken from ``expected`` or else from the run; without ``results``
    both are empty. ``meta`` joins the document's further entries. Raises OperationError for operations that
    cannot be asked.
    """
    runner = ReferenceRunner(config)
    nothing: dict[str, Any] = {"expected": {}, "observed": {}}
    states = [initial_state(runner, nothing)]
    for number, op in enumerate(ops):
        result: Result | None = None
        try:
            result = runner.step(op)
        except Violation:
            # The device refuses what an ABI misuse led to; the state so far is what there is to show.
            result = None
        wanted = expected[number] if expected is not None and number < len(expected) else result
        seen = results[number] if results is not None and number < len(results) else None
        beside = nothing
        if results is not None:
            beside = {
                "expected": result_fields(wanted, detailed=True),
                "observed": result_fields(seen, detailed=True),
            }
        states.append(state_after(op, runner, result, beside))
    return _document(config, ops, states, property, violated, {"driver": driver, **(meta or {})})


_SEEN = ("avail_idx", "used_idx", "avail_flags", "used_event", "num_free")


def record_alone(
    config: QueueConfig,
    ops: Sequence[Op],
    *,
    property: str,
    violated: str,
    driver: str,
    results: Sequence[Result],
    meta: Mapping[str, Any] | None = None,
) -> TraceDocument:
    """A document of a run that no reference follows: a device that breaks the rules, or memory that is short.

    The states are what the driver's ``results`` tell: indices, suppression words and, if the driver says it,
    the count of free descriptors; the notifications are summed up. An operation without a result, as the one
    in which a driver crashed, leaves them as they were. Otherwise like :func:`record`.
    """
    nothing: dict[str, Any] = {"result": {}, "registers": [], "expected": {}, "observed": {}}
    values: dict[str, Any] = dict.fromkeys(_SEEN, 0) | {"num_free": config.queue_size, "notifications": 0}
    states = [TraceState("init", "create", {}, {**nothing, **values})]
    for number, op in enumerate(ops):
        told = nothing
        if number < len(results):
            result = results[number]
            known = {name: getattr(result, name) for name in _SEEN}
            if result.num_free == NUM_FREE_UNKNOWN:
                del known["num_free"]
            values = {**values, **known, "notifications": values["notifications"] + result.notifies}
            told = {**nothing, "result": result_fields(result), "registers": register_log(config, result)}
        states.append(TraceState(lane(op), action_name(op), arguments(op), {**told, **values}))
    extra = {"driver": driver, "alone": True, **(meta or {})}
    return _document(config, ops, states, property, violated, extra)


def _document(
    config: QueueConfig,
    ops: Sequence[Op],
    states: Sequence[TraceState],
    property: str,
    violated: str,
    extra: Mapping[str, Any],
) -> TraceDocument:
    return TraceDocument(
        kind="validate",
        mutant=None,
        property=property,
        violated=violated,
        replayed=False,
        config=config,
        operations=tuple(ops),
        states=tuple(states),
        description=f"{extra['driver']} fails {extra.get('check') or property}",
        extra=extra,
    )
