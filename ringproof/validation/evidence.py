"""The evidence: a failure written down as a trace document, and replayed on a driver."""

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..impl.device.device import Violation
from ..impl.harness.operations import NUM_FREE_UNKNOWN, OP, RESULT, STATUS_UNSUPPORTED, Code, Op, Result
from ..impl.harness.reference_runner import OperationError, QueueConfig, ReferenceRunner
from ..traces.document import FEATURE_NAMES, TraceDocument, TraceError, load
from ..traces.explanation import Part, explained
from ..traces.parting import Parting, parting
from ..traces.recording import record, record_alone
from ..traces.variables import result_fields
from ..traces.writing import WrittenDocument
from .alone import Alone
from .comparison import ByMeaning
from .failure import Failure
from .generator import packed, unpacked, unpacked_results
from .narration import in_words, result_in_words
from .pairing import Pair
from .process import Process
from .verdicts import VERDICTS

_LONGEST = 5_000  # operations of a trace that is kept; longer ones help nobody
_MOST_TRIES = 60  # runs of the driver that look for one that passes
_MOST_CRASHES = 15  # the same where each that fails takes a new worker


def keep(failure: Failure, pair: Pair, directory: Path) -> Path | None:
    """Write the trace of a failure into ``directory``, made if need be, and return where it is.

    None when the run is too long for a trace. Raises TraceError when it cannot be written.
    """
    if len(failure.operations) > _LONGEST:
        return None
    pair.attempt(failure.config, failure.operations)
    document = _recorded(record, failure, pair, compared="byte for byte" if pair.exact else "by meaning")
    parts = _parts(failure, pair)
    if failure.kind == "hang":
        document = explained(document, parts=parts)
    else:
        most = _MOST_CRASHES if failure.kind == "crash" else _MOST_TRIES
        document = explained(document, pair.attempt, parts=parts, most=most)
    return saved(document, failure.check, pair.process.name, directory)


def _parts(failure: Failure, pair: Pair) -> tuple[Part, ...]:
    """The check that failed, and those of the same property that the device made in this run and found kept.

    The device must have run the failure last. A driver that is lost leaves nothing to ask.
    """
    broken = _broken(failure, f"the driver does as the {pair.profile} reference does")
    if failure.kind != "finding":
        return (broken,)
    held = (
        Part(one.check, f"{one.detail} ({one.clause})", True)
        for one in pair.process.seen()
        if one.property == failure.property and one.checked and not one.count and one.check != failure.check
    )
    return (broken, *held)


def _broken(failure: Failure, otherwise: str) -> Part:
    """The check that failed, in the words of what it asks for; ``otherwise`` where no table has any."""
    words = {verdict.name: verdict.sentence for verdict in VERDICTS.values()}
    said = words.get(failure.check, otherwise)
    if failure.kind in ("crash", "hang"):
        said = "the driver comes back from every operation"
    return Part(failure.check, f"{said} ({failure.clause})", False, failure.detail, True)


def keep_alone(failure: Failure, alone: Alone, directory: Path, *, injection: str = "") -> Path | None:
    """Do as :func:`keep` for a failure that no reference follows; ``injection`` is what the device did."""
    if len(failure.operations) > _LONGEST:
        return None
    alone.attempt(failure.config, failure.operations)
    document = _recorded(record_alone, failure, alone, **({"injection": injection} if injection else {}))
    document = explained(document, parts=(_broken(failure, "the driver keeps to it"),))
    return saved(document, injection or failure.check, alone.process.name, directory)


def _recorded(
    how: Callable[..., TraceDocument], failure: Failure, run: Pair | Alone, **more: str
) -> TraceDocument:
    """Write down, with ``record`` or ``record_alone``, the failure that ``run`` has run last.

    ``more`` are entries of the document beside the failure's own.
    """
    return how(
        failure.config,
        failure.operations,
        property=failure.property,
        violated=failure.detail,
        driver=run.process.name,
        results=unpacked_results(run.results),
        meta={"check": failure.check, "clause": failure.clause, "step": failure.step, **more},
    )


def passing_choice(trace: Path) -> str:
    """What a kept trace says of the one choice that lets its run pass; "" if it says nothing."""
    told = load(trace).extra.get("explanation")
    variant = told.get("variant") if isinstance(told, dict) else None
    return str(variant["words"]) if isinstance(variant, dict) else ""


def saved(document: WrittenDocument, check: str, driver: str, directory: Path) -> Path:
    """Write a document into ``directory``, made if need be, under a name of its own; return where it is.

    Raises TraceError when it cannot be written.
    """
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
    operations in words with the driver's results. ``untaken`` says of what the driver could not be asked at
    which step and why; where that leaves nothing to judge by, ``judged`` is false. ``both`` are the driver's
    side and the reference's of the step at which they part, where both have one.
    """

    driver: str
    differs: bool
    check: str
    clause: str
    step: int
    detail: str
    lines: tuple[str, ...]
    untaken: tuple[str, ...] = ()
    judged: bool = True
    both: Parting | None = None


def replay_on_driver(
    operations: Sequence[Op],
    config: QueueConfig,
    library: Path,
    *,
    by_meaning: bool = False,
    alone: bool = False,
    hang_seconds: float = 10.0,
    check: str = "",
    broken: int | None = None,
) -> DriverReplay:
    """Run a trace's operations on the driver in ``library`` and on the reference, comparing as validate does.

    ``by_meaning`` compares by meaning whatever the driver declares; ``alone`` leaves the reference out, as is
    done in any case where it cannot follow: then only the device judges. The reference takes the driver's
    profile; features the driver does not offer are left out, and so are operations it lacks. ``check`` is
    what the trace is about and ``broken`` the operation that showed it: without that one, without a queue, or
    without a feature, a driver with which nothing else is wrong is not judged. Raises LibraryError,
    BuildError.
    """
    with Process(library, patience=hang_seconds) as process:
        single = alone or bool(config.hostile or config.fail_allocation)
        offered = process.offered | {Code.MISCHIEF} if single else process.offered
        asked = _Asked(operations, config, process.features, offered)
        config = replace(config, features=config.features & process.features)
        exact = False
        try:
            if single:
                failure, results = _run_alone(asked.known, config, process)
            else:
                if by_meaning:
                    process.follows_the_reference = False
                config = replace(config, profile=process.profile)
                exact = process.follows_the_reference and config.exact
                failure, results = _run_beside(asked.known, config, process)
        except ValueError as error:  # no queue that this driver can be asked for
            return asked.not_judged(process.name, f"create: {error}")
        if failure is not None and failure.check == "create-succeeds" != check and process.declines(config):
            size = config.queue_size
            return asked.not_judged(process.name, f"create: the driver declines this queue of {size}")
        praise = "the driver does nothing wrong" if single else "the driver does as the reference does"
        if failure is None and (reason := asked.hollow(broken)):
            return asked.not_judged(process.name, reason)
        both = None
        if failure is not None and not single and 0 <= failure.step < len(asked.known):
            both = _both(asked, failure.step, config, results, exact=exact, pushes=process.pushes_buffers)
        return DriverReplay(
            driver=process.name,
            differs=failure is not None,
            check=failure.check if failure else "",
            clause=failure.clause if failure else "",
            step=asked.number(failure.step) if failure else len(operations),
            detail=failure.detail if failure else praise,
            lines=asked.lines(results),
            untaken=asked.untaken,
            both=both,
        )


def _run_beside(
    known: Sequence[Op], config: QueueConfig, process: Process
) -> tuple[Failure | None, Sequence[Result]]:
    """Run operations on the driver and the reference; what fails first, and the driver's results."""
    pair = Pair.of(process)
    pair.probe(config)
    pair.results = b""
    failure = pair.attempt(config, list(known))
    return failure, unpacked_results(pair.results)


def _run_alone(
    known: Sequence[Op], config: QueueConfig, process: Process
) -> tuple[Failure | None, Sequence[Result]]:
    alone = Alone(process)
    failure = alone.attempt(config, known)
    return failure, unpacked_results(alone.results)


class _Asked:
    """What a driver can be asked of a trace: ``known`` are the operations it has, of all there are."""

    def __init__(
        self, operations: Sequence[Op], config: QueueConfig, features: int, offered: Collection[int]
    ) -> None:
        self.operations = operations
        self._places = [at for at, operation in enumerate(operations) if operation.code in offered]
        self.known = [operations[at] for at in self._places]
        missing = [name for name, bit in FEATURE_NAMES.items() if config.features & bit & ~features]
        self._lacks_features = bool(missing)
        self._untaken = [
            f"create: the driver does not offer {name}, which the trace has negotiated" for name in missing
        ]
        self._untaken += [
            f"step {at + 1} ({in_words(operation)}): the driver has no such operation"
            for at, operation in enumerate(operations)
            if operation.code not in offered
        ]

    @property
    def untaken(self) -> tuple[str, ...]:
        """What could not be asked, and why, one line each."""
        return tuple(self._untaken)

    def number(self, step: int) -> int:
        """The place among all operations of the one at ``step`` among the known ones."""
        if step < 0:
            return step
        return self._places[step] if step < len(self._places) else len(self.operations)

    def hollow(self, broken: int | None) -> str:
        """Why a run in which nothing is wrong says nothing; "" if it does say something."""
        if not self._untaken:
            return ""
        absent = broken is not None and 0 <= broken < len(self.operations) and broken not in self._places
        return self._untaken[0] if self._lacks_features or absent or not self.known else ""

    def not_judged(self, driver: str, reason: str) -> DriverReplay:
        """The answer where nothing can be judged."""
        untaken = tuple(dict.fromkeys([reason, *self._untaken]))
        step = len(self.operations)
        return DriverReplay(driver, False, "", "", step, reason, (), untaken=untaken, judged=False)

    def lines(self, results: Sequence[Result]) -> tuple[str, ...]:
        """All operations in words, with what came of those that were asked."""
        came = dict(zip(self._places, results, strict=False))
        taken = set(self._places)
        return tuple(
            in_words(operation)
            + (f": {result_in_words(operation, came[at])}" if at in came else "")
            + ("" if at in taken else ": left out, the driver has no such operation")
            for at, operation in enumerate(self.operations)
        )


_MEANT = frozenset(("status", "token", "length", "avail_idx", "used_idx"))
"""Fields of a result in which drivers that have a policy of their own may not differ, either."""
_WORDS = ("avail_idx", "used_idx", "avail_flags", "used_event", "num_free")


def _both(
    asked: _Asked,
    step: int,
    config: QueueConfig,
    results: Sequence[Result],
    *,
    exact: bool,
    pushes: bool,
) -> Parting:
    """The driver's side of a step and the reference's. A reference that cannot follow so far has none."""
    operation = asked.known[step]
    here = result_fields(results[step], detailed=True) if step < len(results) else {}
    for name, unknown in (("status", STATUS_UNSUPPORTED), ("num_free", NUM_FREE_UNKNOWN)):
        if here.get(name) == unknown:
            del here[name]
    before = packed(*asked.known[: step + 1])
    if not exact:
        told = b"".join(RESULT.pack(*result) for result in results[: step + 1])
        size = len(told) // RESULT.size * OP.size
        before = (
            ByMeaning(config.has_callback, pushes).reference_operations(before[:size], told) + before[size:]
        )
    runner, last = ReferenceRunner(config), None
    try:
        for one in unpacked(before):
            last = one, runner.step(one)
    except (Violation, OperationError):
        last = None
    there = result_fields(last[1], detailed=True) if last is not None else {}
    if last is not None and last[0].code != operation.code:  # it had nothing to do in this step
        there = {name: there[name] for name in _WORDS}
    number = asked.number(step) + 1
    marked = None if exact else _MEANT
    return parting(number, in_words(operation), ("driver", "reference"), here, there, marked=marked)
