"""The hostile profile of whole network drivers: what one does when its device breaks the rules.

As with a virtqueue a driver may refuse, give the device up or ignore what it sees. It must not leave its
memory, hang, free a frame twice, never, or while the device has it, or give memory back wrongly. Calls never
nest at this border, so that no interrupt handler runs inside probe: an interrupt before DRIVER_OK is one that
waits in ISR when the driver first looks.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..traces.folding import printable
from .hostile_course import PATIENCE
from .net_campaign import introduced
from .net_configurations import Offer, described
from .net_encounter import FRAMES, Encounter
from .net_findings import NetFindingCode
from .net_hostile_scenes import NET_INJECTIONS, NetInjection, Scene
from .net_worker import DriverStopped, Hang, NetWorker
from .options import Options
from .report import ORDER, Check, Exhibit, Stage, ValidationReport, Verdict

SECONDS = 15.0
QUICK_SECONDS = 6.0
_MUCH_PATIENCE = 4.0
_TIMES = 3
_MOST_KINDS = 3  # of failures of one injection
_JUDGED = frozenset(
    {
        *(NetFindingCode.RED_ZONE, NetFindingCode.BAD_RELEASE, NetFindingCode.LEAK),
        *(NetFindingCode.STRAY_WRITE, NetFindingCode.CANARY, NetFindingCode.FRAME_WRITTEN),
        *(NetFindingCode.WINDOW_WRITTEN, NetFindingCode.FREED_TWICE, NetFindingCode.FREED_UNKNOWN),
        *(NetFindingCode.NEVER_FREED, NetFindingCode.FREED_EARLY, NetFindingCode.ORPHANED_UNKNOWN),
    }
)
"""Findings that no device excuses. The others say what a driver does to a sound one."""


@dataclass(frozen=True, slots=True)
class NetWrong:
    """What went wrong in a scene: the kind of failure, words, the steps up to it, how often it showed."""

    scene: Scene
    kind: str
    said: str
    steps: tuple[str, ...]
    shown: int = _TIMES
    seconds: float = 0.0

    @property
    def steadiness(self) -> str:
        """How steadily it showed when it was run again."""
        return "deterministic" if self.shown == _TIMES else f"flaky (shown {self.shown} times of {_TIMES})"

    @property
    def detail(self) -> str:
        """One sentence: what happened, when, and on which device."""
        what = f"{self.scene.what}: " if self.scene.what else ""
        return f"{what}{self.said} ({described(self.scene.config)}; {self.steadiness})"


@dataclass(slots=True)
class _Tried:
    """What came of one injection; ``scenes`` are those in which the device found an occasion."""

    injection: NetInjection
    scenes: int = 0
    refused: int = 0
    operations: int = 0
    wrong: list[NetWrong] = field(default_factory=list)
    cut_short: bool = False

    def check(self) -> Check:
        """The verdict."""
        name, clause, words = self.injection.name, self.injection.clause, self.injection.words
        if self.wrong:
            return Check(name, clause, "fail", f"{words} {'; '.join(one.detail for one in self.wrong)}")
        if not self.scenes:
            why = "Time was up." if self.cut_short else "This network driver gave no occasion."
            return Check(name, clause, "not exercised", f"{words} {why}")
        told = f"{self.refused:,} of {self.scenes:,} such devices refused, the others borne"
        if not self.refused:
            told = f"borne in {self.scenes:,} runs"
        return Check(name, clause, "pass", f"{words} Whole network driver: {told}.")


def validate_network_hostile(library: Path, *, options: Options | None = None) -> ValidationReport:
    """Try every injection on the network driver in a library; about 15 s at most.

    Never raises for what the driver does wrong. Raises LibraryError when the library cannot be a network
    driver at all, BuildError when the worker cannot be built.
    """
    options = options or Options()
    began = time.monotonic()
    seconds = min(QUICK_SECONDS if options.quick else SECONDS, options.seconds)
    name, offer, _ = introduced(library, options)
    ready = time.monotonic()  # the worker is built
    tried = []
    for at, injection in enumerate(NET_INJECTIONS):
        if options.progress is not None:
            options.progress(f"network: {injection.name}")
        share = ready + seconds * (at + 1) / len(NET_INJECTIONS)
        tried.append(_try(library, injection, offer, began, share))
        if tried[-1].wrong and options.fail_fast:
            break
    checks = tuple(one.check() for one in tried)
    verdict: Verdict = "fail" if any(check.verdict == "fail" for check in checks) else "pass"
    operations = sum(one.operations for one in tried)
    wrong = [each for one in tried for each in one.wrong]
    shown = min(wrong, key=lambda one: len(one.steps), default=None)
    took = time.monotonic() - began
    return ValidationReport(
        driver=name,
        verdict=verdict,
        checks=checks,
        operations=operations,
        seconds=took,
        mode="against a hostile device",
        stages=(Stage("network: hostile device", operations, took),),
        steps=shown.steps if shown is not None else (),
        shows=shown.scene.injection if shown is not None else "",
        library=library,
        exhibits=tuple(_exhibits(tried)),
        left_out=tuple(
            f"{one.injection.name}: not all devices were met for lack of time"
            for one in tried
            if one.cut_short
        ),
    )


def joined(virtqueue: ValidationReport, network: ValidationReport) -> ValidationReport:
    """One report on a hostile device from that on a library's virtqueue and that on its network driver.

    A check that both have gets the worse verdict, and both details.
    """
    others = {check.name: check for check in network.checks}
    checks = []
    for check in virtqueue.checks:
        other = others.pop(check.name, None)
        if other is not None:
            worse = min(check, other, key=lambda one: ORDER[one.verdict])
            if "not exercised" in (check.verdict, other.verdict) and worse.verdict == "not exercised":
                worse = check if other.verdict == "not exercised" else other
            detail = f"{check.detail} {other.detail.removeprefix(_words(other.name)).lstrip()}"
            check = replace(worse, clause=check.clause, detail=detail)
        checks.append(check)
    first = virtqueue if virtqueue.verdict != "pass" or network.verdict == "pass" else network
    return replace(
        virtqueue,
        verdict=first.verdict,
        checks=(*checks, *others.values()),
        operations=virtqueue.operations + network.operations,
        seconds=virtqueue.seconds + network.seconds,
        trace=first.trace,
        stages=(*virtqueue.stages, *network.stages),
        steps=first.steps,
        shows=first.shows,
        message=first.message,
        exhibits=(*virtqueue.exhibits, *network.exhibits),
        left_out=(*virtqueue.left_out, *network.left_out),
    )


def _words(name: str) -> str:
    return next((each.words for each in NET_INJECTIONS if each.name == name), "")


def _exhibits(tried: list[_Tried]) -> Iterator[Exhibit]:
    for one in tried:
        for wrong in one.wrong[:1]:
            yield Exhibit(
                one.injection.name,
                one.injection.clause,
                f"{one.injection.words} The driver refuses, gives up or ignores it.",
                wrong.detail,
                steps=wrong.steps,
                steadiness=wrong.steadiness,
                seconds=wrong.seconds,
                stage="network: hostile device",
                message="a trace cannot say what such a device does; the steps do",
            )


def _try(library: Path, injection: NetInjection, offer: Offer, began: float, until: float) -> _Tried:
    """Play the scenes of an injection, each in a process of its own."""
    tried = _Tried(injection)
    kinds: set[str] = set()
    for scene in injection.scenes(offer):
        if time.monotonic() > until and tried.scenes:
            tried.cut_short = True
            break
        encounter, wrong = _met(library, scene, PATIENCE)
        tried.operations += len(encounter.steps)
        if encounter.met:
            tried.scenes += 1
            tried.refused += encounter.refused
        if wrong is None or wrong.kind in kinds:
            continue
        kinds.add(wrong.kind)
        wrong = _confirmed(library, wrong)
        if wrong is not None:
            tried.wrong.append(replace(wrong, seconds=time.monotonic() - began))
        if len(tried.wrong) == _MOST_KINDS:
            break
    return tried


def _confirmed(library: Path, wrong: NetWrong) -> NetWrong | None:
    """Play a scene again, with more patience; None if it was a machine too busy."""
    hung = wrong.kind == "hang"
    times = 1 if hung else _TIMES  # of a hang one more is enough to wait for
    again = [_met(library, wrong.scene, _MUCH_PATIENCE)[1] for _ in range(times)]
    shown = sum(one is not None and one.kind == wrong.kind for one in again)
    if hung:
        return wrong if shown else None
    return replace(wrong, shown=shown)


def _met(library: Path, scene: Scene, patience: float) -> tuple[Encounter, NetWrong | None]:
    """Play one scene; what was done, and what went wrong, if anything did."""
    with NetWorker(
        library, scene.config, FRAMES, timeout=patience, stop_on_finding=False, lies=scene.lies
    ) as worker:
        encounter = Encounter(worker)
        try:
            scene.play(encounter)
        except DriverStopped as stopped:
            encounter.met = True
            hung = isinstance(stopped, Hang)
            last = stopped.output.strip().splitlines()[-1:]
            said = str(stopped) + (f"; it said: {printable(last[0][:120])}" if last else "")
            return encounter, NetWrong(scene, "hang" if hung else "crash", said, tuple(encounter.steps))
        found = [each for each in worker.findings() if each.code in _JUDGED - scene.excused]
        if found:
            first = min(found, key=lambda each: each.first_op)
            return encounter, NetWrong(
                scene, first.name, f"{first.name}: {first.sentence}", tuple(encounter.steps)
            )
        if encounter.wrong:
            return encounter, NetWrong(scene, "freed", encounter.wrong, tuple(encounter.steps))
        return encounter, None
