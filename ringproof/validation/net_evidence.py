"""The evidence against a network driver: a failing run written down as a document, and replayed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..impl.device.device import Violation
from ..impl.harness.frames import Frame
from ..impl.harness.net_operations import FEATURE_NAMES, EventKind, NetConfig, NetResult, Op
from ..impl.harness.net_runner import NetRunner, OperationError
from ..journey.document import NetTrace
from ..journey.recording import Recorder
from ..traces.explanation import Part
from ..traces.parting import Parting, parting
from .evidence import DriverReplay, saved
from .net_failure import NetFailure
from .net_narration import net_op_in_words, net_result_in_words
from .net_pair import NetPair
from .net_worker import NetWorker
from .observer import Observer

_LONGEST = 3_000  # operations of a document that is kept
_NAMED = sum(FEATURE_NAMES.values())
TRAIT_LINUX_3_11, TRAIT_VIRTIO_1 = 1 << 0, 1 << 1


def keep_net(
    failure: NetFailure, driver: str, directory: Path, *, exact: bool, expected: str = ""
) -> Path | None:
    """Write a failing run into ``directory``, made if need be, and return where it is.

    ``expected`` is what its check asks of a driver, in words.

    Its states are those of the reference, as far as that can follow. None when the run is too long. Raises
    TraceError when it cannot be written.
    """
    if len(failure.operations) > _LONGEST:
        return None
    document = _document(failure, driver, exact=exact, expected=expected)
    return saved(document, failure.check, driver, directory)


def _document(failure: NetFailure, driver: str, *, exact: bool, expected: str) -> NetTrace:
    config, operations = failure.config, failure.operations
    recorder = Recorder(NetRunner(config, failure.frames))
    watch = Observer(config, failure.frames)
    for op in operations:
        # What the driver could be asked, the reference may not: then nothing happened in its state.
        if not watch.playable(op):
            recorder.states.append(recorder.states[-1])
            continue
        try:
            watch.see(op, recorder.step(op))
        except Violation:
            break
    states = recorder.states + [recorder.states[-1]] * (len(operations) + 1 - len(recorder.states))
    words = expected or ("The driver does what the reference does." if exact else "The driver keeps to it.")
    part = Part(failure.check, f"{words.removesuffix('.')} ({failure.clause})", False, failure.detail, True)
    extra: dict[str, Any] = {
        "driver": driver,
        "check": failure.check,
        "clause": failure.clause,
        "step": failure.step,
        "compared": "byte for byte" if exact else "by meaning",
        "other_features": [config.features & ~_NAMED, config.known_features & ~_NAMED],
        "explanation": {"parts": [part.to_json()]},
    }
    return NetTrace(
        config=config,
        frames=failure.frames,
        operations=operations,
        states=tuple(states),
        description=f"{driver} fails {failure.check}",
        property=failure.check,
        violated=failure.detail,
        extra=extra,
    )


def follows_a_profile(document: NetTrace, library: Path, *, hang_seconds: float = 10.0) -> bool:
    """Whether a driver declares to do what the reference of a profile does. Raises as :func:`replay_net`."""
    with NetWorker(library, _whole_config(document), timeout=hang_seconds) as worker:
        return bool(worker.traits & (TRAIT_LINUX_3_11 | TRAIT_VIRTIO_1))


def replay_net(
    document: NetTrace, library: Path | None = None, *, by_meaning: bool = False, hang_seconds: float = 10.0
) -> DriverReplay:
    """Run a document's operations on the driver in ``library``, judged as validate does, or on the reference.

    ``step`` of what is returned counts from 0, and ``lines`` are the operations that could be asked.

    A driver that declares to follow a profile is compared with that; features it does not understand are
    left out. A clause that is only a SHOULD does not count. Raises LibraryError, BuildError; ValueError, one
    line, for a transport that the driver does not know.
    """
    config = _whole_config(document)
    if library is None:
        return _on_reference(config, document)
    with NetWorker(library, config, timeout=hang_seconds) as worker:
        name, traits, features = worker.name, worker.traits, worker.features
    exact = bool(traits & (TRAIT_LINUX_3_11 | TRAIT_VIRTIO_1)) and not by_meaning
    profile = "linux-3.11" if traits & TRAIT_LINUX_3_11 else "virtio-1.x"
    config = replace(config, profile=profile, known_features=config.known_features & features)
    with NetPair(library, exact=exact, patience=hang_seconds) as pair:
        pair.keeps_results = True
        found = pair.attempt(config, document.frames, document.operations)
        wanted = document.extra.get("check")
        failure = found.get(str(wanted)) or min(found.values(), key=lambda one: one.step, default=None)
        lines = _lines(pair.played, pair.results, document.frames)
        told = _told(name, failure, "the driver does as it should", lines, len(pair.played))
        if failure is None or not 0 <= failure.step < len(pair.played):
            return told
        both = _both(config, document.frames, pair.played[: failure.step + 1], pair.results, exact=exact)
        return replace(told, both=both)


def net_parting(document: NetTrace, library: Path, step: int, *, hang_seconds: float = 10.0) -> Parting:
    """Both sides of a step, counted from 1: the driver's in ``library`` and the reference's.

    Raises as :func:`replay_net`.
    """
    operations, config = document.operations[:step], _whole_config(document)
    with NetPair(library, exact=False, patience=hang_seconds) as pair:
        pair.keeps_results = True
        pair.attempt(config, document.frames, operations)
        return _both(config, document.frames, operations, pair.results, exact=True)


def _both(
    config: NetConfig,
    frames: tuple[Frame, ...],
    operations: Sequence[Op],
    results: Sequence[NetResult],
    *,
    exact: bool,
) -> Parting:
    """The last of the operations on both sides; a side that did not come so far has nothing to show."""
    runner, last = NetRunner(config, frames), None
    try:
        for op in operations:
            last = runner.step(op)
    except (Violation, OperationError):
        last = None
    here = _shown(results[len(operations) - 1]) if len(operations) <= len(results) else {}
    there = _shown(last) if last is not None else {}
    words = net_op_in_words(operations[-1], frames)
    marked = None if exact else ("status", "pair")
    return parting(len(operations), words, ("driver", "reference"), here, there, marked=marked)


def _shown(result: NetResult) -> dict[str, Any]:
    """The fields of a result that a reader wants."""
    names = ("status", "length", "pair", "avail_idx", "used_idx", "avail_flags", "used_event", "num_free")
    events = ", ".join(f"{_event_name(event.kind)} {event.value}" for event in result.events)
    fields: dict[str, Any] = {name: getattr(result, name) for name in names}
    return {**fields, "register accesses": len(result.accesses), "events": events}


def _event_name(kind: int) -> str:
    return EventKind(kind).name.lower() if kind in set(EventKind) else str(kind)


def _on_reference(config: NetConfig, document: NetTrace) -> DriverReplay:
    runner, watch = NetRunner(config, document.frames), Observer(config, document.frames)
    played: list[Op] = []
    results: list[NetResult] = []
    violated: Violation | None = None
    for op in document.operations:
        if not watch.playable(op):
            continue
        played.append(op)
        before = len(runner.captures)
        try:
            results.append(runner.step(op))
        except Violation as violation:
            violated = violation
            break
        captured = zip(runner.captures[before:], runner.device.segments[before:], strict=True)
        watch.see(op, results[-1], list(captured))
    lines = _lines(played, results, document.frames)
    failure = None
    frames, all_played = document.frames, tuple(played)
    if watch.faults:
        fault = watch.faults[0]
        failure = NetFailure(
            "clause", fault.check, fault.clause, fault.detail, config, frames, all_played, fault.step
        )
    elif violated is not None:
        failure = NetFailure(
            "violation", violated.property, "oracle: device", violated.detail, config, frames, all_played,
            len(played) - 1,
        )  # fmt: skip
    name = f"reference, {config.profile}"
    return _told(name, failure, "the reference does as it should", lines, len(played))


def _told(
    driver: str, failure: NetFailure | None, praise: str, lines: tuple[str, ...], count: int
) -> DriverReplay:
    if failure is None:
        return DriverReplay(driver, False, "", "", count, praise, lines)
    return DriverReplay(driver, True, failure.check, failure.clause, failure.step, failure.detail, lines)


def _whole_config(document: NetTrace) -> NetConfig:
    """Return the device, with the feature bits that have no name."""
    others = document.extra.get("other_features", (0, 0))
    if not (isinstance(others, list | tuple) and len(others) == 2 and all(type(x) is int for x in others)):
        return document.config
    config = document.config
    return replace(
        config, features=config.features | others[0], known_features=config.known_features | others[1]
    )


def _lines(played: Sequence[Op], results: Sequence[NetResult], frames: tuple[Frame, ...]) -> tuple[str, ...]:
    made = []
    for at, op in enumerate(played):
        came = f": {net_result_in_words(op, results[at])}" if at < len(results) else ""
        made.append(net_op_in_words(op, frames) + came)
    return tuple(made)


def net_steps_in_words(failure: NetFailure) -> tuple[str, ...]:
    """Return the operations of a failure, one line each, with an arrow at the one that shows it."""
    return tuple(
        f"{'->' if at == failure.step else '  '} {net_op_in_words(op, failure.frames)}"
        for at, op in enumerate(failure.operations)
    )
