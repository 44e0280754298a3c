"""What an emitted pytest file imports: the words it is written in, and the function that plays it.

``RINGPROOF_DRIVER`` names the library under test. Unset it is an error, not a pass nor a skip: a test that
ran on nothing must not look as if it had held. "reference" stands for this tool's own reference, on which
every such test passes, and "mutant" for the one that carries the defect of the trace.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import BadInputError
from ..impl.harness.frames import Fragment, Frame, Gso, Packet
from ..impl.harness.net_operations import FEATURE_NAMES as NET_FEATURE_NAMES
from ..impl.harness.net_operations import NetCode, NetConfig
from ..impl.harness.operations import Code, Op, OpFlag
from ..impl.harness.reference_runner import OperationError, QueueConfig
from ..journey.document import NetTrace
from ..journey.recording import record
from ..journey.replay import replay_on_driver as replay_net_driver
from ..patching import load_reference_mutant
from ..traces.document import FEATURE_NAMES
from ..traces.itf import TraceError
from ..traces.parting import first_parting
from ..traces.replay import run_reference
from ..validation.evidence import DriverReplay, replay_on_driver
from ..validation.narration import in_words
from ..validation.net_evidence import follows_a_profile, replay_net

__all__ = [
    "Code",
    "Fragment",
    "Frame",
    "Gso",
    "NetCode",
    "NetConfig",
    "Op",
    "OpFlag",
    "Packet",
    "QueueConfig",
    "bits",
    "play_network",
    "play_queue",
]

VARIABLE = "RINGPROOF_DRIVER"
ON_REFERENCE, ON_MUTANT = "reference", "mutant"
_UNSET = (
    f"{VARIABLE} is not set: it names the driver's library, as in {VARIABLE}=./libdriver.so pytest FILE; "
    f"{ON_REFERENCE} stands for ringproof's own reference, {ON_MUTANT} for that with the defect of the trace"
)


class Failed(AssertionError):  # noqa: N818 - a verdict about a driver
    """The driver does not do as it should, or could not be asked; the message says what, where, and why."""


def bits(*features: str | int) -> int:
    """Feature bits as a mask: of features by name, such as "EVENT_IDX", and of bits that have no name."""
    names = {**NET_FEATURE_NAMES, **FEATURE_NAMES}
    mask = 0
    for feature in features:
        mask |= names[feature] if isinstance(feature, str) else feature
    return mask


def play_queue(
    config: QueueConfig,
    operations: Sequence[Op],
    *,
    check: str = "",
    step: int | None = None,
    mutant: str | None = None,
    by_meaning: bool = False,
    alone: bool = False,
) -> None:
    """Run a queue's operations on the driver that RINGPROOF_DRIVER names. Raises Failed unless all is well.

    ``check`` is what the trace is about, and ``step``, from 1, where it broke; ``mutant`` is the defect that
    showed it. ``by_meaning`` and ``alone`` are as in :func:`replay_on_driver`.
    """
    __tracebackhide__ = True
    driver = _driver()
    try:
        if driver in (ON_REFERENCE, ON_MUTANT):
            _queue_on_reference(config, operations, _defect(driver, mutant), alone=alone)
        else:
            broken = None if step is None else step - 1
            outcome = replay_on_driver(
                operations,
                config,
                Path(driver),
                by_meaning=by_meaning,
                alone=alone,
                check=check,
                broken=broken,
            )
            _judge(outcome)
    except BadInputError as error:
        raise Failed(f"not judged: {error}") from None


def play_network(
    config: NetConfig,
    frames: Sequence[Frame],
    operations: Sequence[Op],
    *,
    check: str = "",
    mutant: str | None = None,
    by_meaning: bool = False,
    other_features: tuple[int, int] = (0, 0),
) -> None:
    """Run a network driver's operations, as :func:`play_queue` does a queue's. Raises Failed.

    With ``check`` it is judged as validate does, otherwise compared with the reference if it declares to
    follow one. ``other_features`` are bits that have no name: what the device offers of them, what is known.
    """
    __tracebackhide__ = True
    driver = _driver()
    extra = {"check": check} if check else {}
    document = NetTrace(
        config,
        tuple(frames),
        tuple(operations),
        (),
        mutant=mutant,
        extra={**extra, "other_features": list(other_features)},
    )
    try:
        if driver in (ON_REFERENCE, ON_MUTANT):
            _network_on_reference(document, _defect(driver, mutant))
        elif check or not follows_a_profile(document, Path(driver)):
            _judge(replay_net(document, Path(driver), by_meaning=by_meaning))
        else:
            run = replay_net_driver(document, Path(driver), name="the test")
            if run.step is not None:
                raise Failed(f"step {run.step}: {run.reason}")
    except (BadInputError, ValueError) as error:
        raise Failed(f"not judged: {error}") from None


def _driver() -> str:
    __tracebackhide__ = True
    driver = os.environ.get(VARIABLE, "")
    if not driver:
        raise Failed(_UNSET)
    return driver


def _defect(driver: str, mutant: str | None) -> str | None:
    __tracebackhide__ = True
    if driver == ON_MUTANT and mutant is None:
        raise Failed(f"{VARIABLE}={ON_MUTANT}: this trace was shown by no defect of the reference")
    return mutant if driver == ON_MUTANT else None


def _judge(outcome: DriverReplay) -> None:
    __tracebackhide__ = True
    if not outcome.judged:
        raise Failed(f"not judged: {outcome.driver}: {outcome.detail}")
    if not outcome.differs:
        return
    clause = f" ({outcome.clause})" if outcome.clause else ""
    inside = 0 <= outcome.step < len(outcome.lines)
    where = f"step {outcome.step + 1}" if inside else "set-up or the end"
    lines = [f"{where}: {outcome.driver} fails {outcome.check}{clause}: {outcome.detail}", ""]
    lines += [
        f"{'->' if inside and at == outcome.step else '  '} {at + 1:3}  {line}"
        for at, line in enumerate(outcome.lines)
    ]
    if outcome.both is not None:
        apart = [row for row in outcome.both.rows if row.apart]
        lines += ["", *(f"{row.name}: {row.here}, the reference has {row.there}" for row in apart)]
    raise Failed("\n".join(lines).rstrip())


def _queue_on_reference(
    config: QueueConfig, operations: Sequence[Op], mutant: str | None, *, alone: bool
) -> None:
    __tracebackhide__ = True
    if alone or config.hostile or config.fail_allocation:
        raise TraceError("no reference can follow this run: name a driver")
    try:
        reference = load_reference_mutant(mutant) if mutant is not None else None
        run = run_reference(config, operations, reference=reference)
    except OperationError as error:
        raise TraceError(str(error)) from None
    if run.first is not None:
        number, breach = run.first
        said = f"step {number + 1} ({in_words(operations[number])})"
        carrying = f" with {mutant}" if mutant else ""
        raise Failed(f"{said}: the reference{carrying} breaks {breach.property}: {breach.sentence}")


def _network_on_reference(document: NetTrace, mutant: str | None) -> None:
    __tracebackhide__ = True
    if mutant is None:
        _judge(replay_net(document))
        return
    runs = [
        record(document.config, document.frames, document.operations, reference=reference)
        for reference in (load_reference_mutant(mutant), None)
    ]
    found = first_parting(runs[0].states, runs[1].states, (mutant, "reference"))
    if found is not None:
        apart = "; ".join(f"{row.name} is {row.here}, not {row.there}" for row in found.rows if row.apart)
        said = f"step {found.step} ({found.words})"
        raise Failed(f"{said}: the reference with {mutant} parts from the one without: {apart}")
