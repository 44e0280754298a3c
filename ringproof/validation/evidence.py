"""The evidence: a failure written down as a trace document, and replayed on a driver."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..impl.harness.operations import RESULT, Op, Result
from ..impl.harness.reference_runner import QueueConfig
from ..traces.document import TraceDocument, TraceError
from ..traces.recording import record, record_alone
from .alone import Alone
from .failure import Failure
from .narration import in_words, result_in_words
from .pairing import Pair
from .process import Process

_LONGEST = 5_000  # operations of a trace that is kept; longer ones help nobody


def keep(failure: Failure, pair: Pair, directory: Path) -> Path | None:
    """Write the trace of a failure into ``directory``, made if need be, and return where it is.

    None when the run is too long for a trace. Raises TraceError when it cannot be written.
    """
    if len(failure.operations) > _LONGEST:
        return None
    pair.attempt(failure.config, failure.operations)
    document = record(
        failure.config,
        failure.operations,
        property=failure.property,
        violated=failure.detail,
        driver=pair.process.name,
        results=[Result(*values) for values in RESULT.iter_unpack(pair.results)],
        meta={
            "check": failure.check,
            "clause": failure.clause,
            "step": failure.step,
            "compared": "byte for byte" if pair.exact else "by meaning",
        },
    )
    return _saved(document, failure.check, pair.process.name, directory)


def keep_alone(failure: Failure, alone: Alone, directory: Path, *, injection: str = "") -> Path | None:
    """Do as :func:`keep` for a failure that no reference follows; ``injection`` is what the device did."""
    if len(failure.operations) > _LONGEST:
        return None
    alone.attempt(failure.config, failure.operations)
    document = record_alone(
        failure.config,
        failure.operations,
        property=failure.property,
        violated=failure.detail,
        driver=alone.process.name,
        results=[Result(*values) for values in RESULT.iter_unpack(alone.results)],
        meta={
            "check": failure.check,
            "clause": failure.clause,
            "step": failure.step,
            **({"injection": injection} if injection else {}),
        },
    )
    return _saved(document, injection or failure.check, alone.process.name, directory)


def _saved(document: TraceDocument, check: str, driver: str, directory: Path) -> Path:
    name = re.sub(r"[^a-z0-9.]+", "-", f"{driver}-{check}".lower()).strip("-.")
    # Another run of another build must not take the place of this one.
    digest = hashlib.sha256(document.text().encode()).hexdigest()[:8]
    path = directory / f"{name}-{digest}.itf.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraceError(f"{directory}: cannot be made: {error.strerror}") from None
    document.save(path)
    return path


def creating(config: QueueConfig) -> str:
    """Say in words that a queue is created, and which of its allocations is made to fail."""
    failing = config.fail_allocation
    return f"create, its allocation number {failing} failing" if failing else "create"


def steps_in_words(failure: Failure) -> tuple[str, ...]:
    """Return the operations of a failure, one line each; the one that shows it is marked with an arrow."""
    lines = [
        f"{'->' if at == failure.step else '  '} {in_words(operation)}"
        for at, operation in enumerate(failure.operations)
    ]
    if failure.step < 0:
        lines.insert(0, f"-> {creating(failure.config)}")
    elif failure.step >= len(failure.operations):
        lines.append("-> destroy")
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class DriverReplay:
    """What a driver did with the operations of a trace.

    ``differs`` says whether it parted from the reference or failed a check, ``step`` at which operation
    (0 the first, -1 creating, their number destroying), ``detail`` how, in one line; ``lines`` are the
    operations in words with the driver's results.
    """

    driver: str
    differs: bool
    check: str
    clause: str
    step: int
    detail: str
    lines: tuple[str, ...]


def replay_on_driver(
    operations: Sequence[Op],
    config: QueueConfig,
    library: Path,
    *,
    by_meaning: bool = False,
    alone: bool = False,
    hang_seconds: float = 10.0,
) -> DriverReplay:
    """Run a trace's operations on the driver in ``library`` and on the reference, comparing as validate does.

    ``by_meaning`` compares by meaning whatever the driver declares; ``alone`` leaves the reference out, as is
    done in any case where it cannot follow: then only the device judges. The reference takes the driver's
    profile; features the driver does not offer are left out, and so are operations it lacks. Raises
    LibraryError, BuildError.
    """
    with Process(library, patience=hang_seconds) as process:
        if alone or config.hostile or config.fail_allocation:
            return _replay_alone(operations, config, process)
        if by_meaning:
            process.follows_the_reference = False
        pair = Pair.of(process)
        config = QueueConfig(
            config.queue_size,
            config.features & process.features,
            config.layout,
            config.has_callback,
            process.profile,
            config.queue_index,
        )
        pair.probe(config)
        known = [operation for operation in operations if operation.code in pair.offered]
        pair.results = b""
        failure = pair.attempt(config, known)
        results = [Result(*values) for values in RESULT.iter_unpack(pair.results)]
        return DriverReplay(
            driver=process.name,
            differs=failure is not None,
            check=failure.check if failure else "",
            clause=failure.clause if failure else "",
            step=failure.step if failure else len(known),
            detail=failure.detail if failure else "the driver does as the reference does",
            lines=tuple(_lines(known, results)),
        )


def _replay_alone(operations: Sequence[Op], config: QueueConfig, process: Process) -> DriverReplay:
    config = replace(config, features=config.features & process.features)
    alone = Alone(process)
    known = [operation for operation in operations if operation.code in alone.offered]
    failure = alone.attempt(config, known)
    results = [Result(*values) for values in RESULT.iter_unpack(alone.results)]
    return DriverReplay(
        driver=process.name,
        differs=failure is not None,
        check=failure.check if failure else "",
        clause=failure.clause if failure else "",
        step=failure.step if failure else len(known),
        detail=failure.detail if failure else "the driver does nothing wrong",
        lines=tuple(_lines(known, results)),
    )


def _lines(operations: Sequence[Op], results: Sequence[Result]) -> list[str]:
    lines = []
    for at, operation in enumerate(operations):
        came = f": {result_in_words(operation, results[at])}" if at < len(results) else ""
        lines.append(in_words(operation) + came)
    return lines
