"""Replay of a network driver's trace: on the reference, and on a driver in a library beside it."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..impl.device.device import Violation
from ..impl.harness.frames import OutOfRoom
from ..impl.harness.net_runner import NetRunner, OperationError
from ..patching import load_reference_mutant
from ..traces.itf import TraceError, TraceState
from ..validation.net_worker import DriverStopped, NetWorker
from .document import VARIABLES, NetTrace
from .lockstep import Difference, Lockstep
from .recording import Recorder


@dataclass(frozen=True, slots=True)
class NetReplay:
    """What a replay showed.

    ``step`` is the number of the first step that did not go as it should, from 1, None if all did; ``reason``
    says in one line what was seen. ``states`` are those of this run.
    """

    step: int | None
    reason: str
    states: tuple[TraceState, ...]


def replay_on_reference(document: NetTrace, name: str = "the trace") -> NetReplay:
    """Run a document's operations again, on the reference that carries its mutant if it names one.

    Every state must come out as the document has it, and only its last operation may break a rule. Raises
    TraceError for operations that cannot be asked, PatchError for a mutant that cannot be had.
    """
    reference: ModuleType | None = None
    if document.mutant is not None:
        reference = load_reference_mutant(document.mutant)
    recorder = Recorder(_runner(document, name, reference))
    carrying = f" with {document.mutant}" if document.mutant else ""
    for number, op in enumerate(document.operations, start=1):
        violation: Violation | None = None
        try:
            recorder.step(op)
        except Violation as broken:
            violation = broken
        except OperationError as error:
            raise _impossible(name, number, error) from None
        states = tuple(recorder.states)
        differs = state_difference(document.states[number], states[number])
        if differs:
            return NetReplay(number, f"the reference{carrying} parts from the trace: {differs}", states)
        if violation is not None:
            told = f"the reference{carrying} breaks {violation.property}: {violation.detail}"
            return NetReplay(number, told, states)
    what = "every step" if document.operations else "nothing"
    return NetReplay(None, f"the reference{carrying} does {what} as in the trace", tuple(recorder.states))


def replay_on_driver(
    document: NetTrace, library: Path, *, timeout: float = 10.0, name: str = "the trace"
) -> NetReplay:
    """Run a document's operations on a driver beside the unmutated reference, and compare at every step.

    Raises TraceError for operations that cannot be asked of the reference, LibraryError, BuildError.
    """
    runner = _runner(document, name, None)
    recorder = Recorder(runner)
    try:
        worker = NetWorker(library, document.config, document.frames, timeout=timeout)
    except ValueError as error:
        raise TraceError(str(error)) from None
    with worker as driver:
        lockstep = Lockstep(runner, driver)
        lockstep.stepping, lockstep.whole = recorder.run, True
        for number, op in enumerate(document.operations, start=1):
            try:
                lockstep.run([op], _queues(runner))
            except Difference as difference:
                return NetReplay(number, _with_findings(difference.sentence, driver), tuple(recorder.states))
            except Violation as violation:
                told = f"{violation.property}: {violation.detail}"
                return NetReplay(number, told, tuple(recorder.states))
            except DriverStopped as stopped:
                return NetReplay(number, str(stopped), tuple(recorder.states))
            except OperationError as error:
                raise _impossible(name, number, error) from None
        found = driver.findings()
        if found:
            return NetReplay(len(document.operations), found[0].sentence, tuple(recorder.states))
        said = f"{driver.name} does every step as the reference does"
    return NetReplay(None, said, tuple(recorder.states))


def _with_findings(sentence: str, driver: NetWorker) -> str:
    return "; ".join([sentence, *(finding.sentence for finding in driver.findings())])


def _queues(runner: NetRunner) -> list[int]:
    """The transmit queues there are before an operation."""
    return [2 * pair + 1 for pair in range(len(runner.info.send_queues))] if runner.info is not None else []


def _runner(document: NetTrace, name: str, reference: ModuleType | None) -> NetRunner:
    try:
        return NetRunner(document.config, document.frames, reference=reference)
    except OutOfRoom as full:
        raise TraceError(f"{name}: #meta.frames: {full}") from None


def _impossible(name: str, number: int, error: Exception) -> TraceError:
    return TraceError(f"{name}: #meta.operations[{number - 1}]: cannot be asked: {error}")


def state_difference(wanted: TraceState, seen: TraceState) -> str:
    """The first variable on which two states differ, and how; empty if none does."""
    if (wanted.lane, wanted.action, dict(wanted.args)) != (seen.lane, seen.action, dict(seen.args)):
        return f"the step is {seen.action} {dict(seen.args)}, not {wanted.action} {dict(wanted.args)}"
    for name in VARIABLES:
        place = _place(wanted.values.get(name), seen.values.get(name), name)
        if place:
            return place
    return ""


def _place(wanted: object, seen: object, name: str) -> str:
    """Where two values part; empty if they do not."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for key in [*wanted, *(key for key in seen if key not in wanted)]:
            found = _place(wanted.get(key), seen.get(key), f"{name}.{key}")
            if found:
                return found
        return ""
    if isinstance(wanted, list) and isinstance(seen, list):
        for at, (one, other) in enumerate(zip(wanted, seen, strict=False)):
            found = _place(one, other, f"{name}[{at}]")
            if found:
                return found
        if len(wanted) != len(seen):
            return f"{name} has {len(seen)} entries, {len(wanted)} in the trace"
        return ""
    return "" if wanted == seen else f"{name} is {seen}, {wanted} in the trace"
