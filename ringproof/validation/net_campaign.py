"""The campaign for whole network drivers behind ``ringproof validate``: devices, traffic, a long run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random

from ..impl.harness.frames import Frame, Packet
from ..impl.harness.net_operations import NetCode, NetConfig, Op
from .clauses import CLAUSES
from .negotiation import possible
from .net_configurations import Offer, described, probed_configs, traffic_configs
from .net_evidence import TRAIT_LINUX_3_11, TRAIT_VIRTIO_1
from .net_failure import NetFailure
from .net_findings import NET_CHECKS
from .net_pair import NetPair
from .net_showing import shown
from .net_worker import NetWorker
from .observer import ORACLES, WARNINGS
from .options import Options
from .report import Check, CheckVerdict, Stage, ValidationReport, Verdict
from .shapes import Shapes, pattern
from .traffic import KINDS, Traffic

AGREEMENT = "agrees-with-reference"
_FRAMES = 160
_LONG_FRAMES = 70_000  # more than there are indices
_LONG_POOL = 512
_MOST_BATCHES = 5_000  # of a driver that drops most of it
WRAP = "indices-wrap"
WRAP_WORDS = "More than 65,536 frames go through one queue, past the wrap of its indices."
_MOST_ROUNDS = 20
_HEALTH = {"no-crash": "never ended its process", "no-hang": "always came back"}
_PROCESS, _NETWORK = "oracle: process", "oracle: network"


@dataclass(slots=True)
class _NetCampaign:
    """One driver, the stages it goes through, and what came of them."""

    pair: NetPair
    offer: Offer
    options: Options
    failures: dict[str, NetFailure] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    devices: int = 0
    long_sent: int = 0
    began: float = field(default_factory=time.monotonic)
    found_at: dict[str, float] = field(default_factory=dict)  # seconds until each check failed
    _frames: list[Frame] = field(default_factory=list)

    def go(self) -> None:
        """All stages, or those up to the first failure that ends a run."""
        for name, stage in (
            ("devices of every kind", self._devices),
            ("frames of every shape", self._traffic),
            ("a long run across the wrap", self._long_run),
        ):
            if self.options.quick and stage == self._long_run:
                continue
            if self.options.progress is not None:
                self.options.progress(f"network: {name}")
            with self._timed(name):
                stopped = self._to_the_end(stage)
            if stopped and not self.options.keep_going:
                return

    def _to_the_end(self, stage: Callable[[], NetFailure | None]) -> bool:
        """Run a stage, when going on after failures again without each; whether something ended it."""
        for _ in range(_MOST_ROUNDS if self.options.keep_going else 1):
            failure = stage()
            self._note(failure)
            if failure is None:
                return False
            self.failures[failure.check] = failure
            self.pair.known.add(failure.check)
        return True

    def _note(self, failure: NetFailure | None = None) -> None:
        """Remember when each failure so far was first seen."""
        for check in (*self.pair.soft, *([failure.check] if failure is not None else [])):
            self.found_at.setdefault(check, time.monotonic() - self.began)

    # -- stages ---------------------------------------------------------------------------------------

    def _devices(self) -> NetFailure | None:
        frames = [Frame(Packet(pattern(60 + at)), cpu=at) for at in range(8)]
        sends = [Op(NetCode.XMIT, a=at) for at in range(4)]
        for config in probed_configs(self.offer, quick=self.options.quick):
            traffic = Traffic(config, frames, self.options.seed)
            failure = self._begun(config, frames)
            if possible(config.queue_size):  # with other queues there is nothing to be done
                operations = [*sends, Op(NetCode.RAISE, a=3), Op(NetCode.INTERRUPT)]
                failure = failure or self.pair.play(operations)
                failure = failure or self.pair.count(traffic.transmit_queues)
                failure = failure or self.pair.play([Op(NetCode.PROBE), *traffic.drain()])
            failure = failure or self.pair.end()
            self._note()
            if failure is not None:
                return failure
            self.devices += 1
        return None

    def _traffic(self) -> NetFailure | None:
        count = 20 if self.options.quick else 80
        for at, config in enumerate(islice(traffic_configs(self.offer, self.options.seed), count)):
            failure = self._run(config, self.options.seed + at)
            self._note()
            if failure is not None:
                return failure
            self.devices += 1
        return None

    def _run(self, config: NetConfig, seed: int) -> NetFailure | None:
        """Send all kinds of traffic through one device; at the end everything is idle, and a frame goes."""
        pair = self.pair
        frames = self._pool(config, seed, _FRAMES)
        last = [Frame(Packet(pattern(64)), cpu=cpu) for cpu in range(config.pairs)]
        traffic = Traffic(config, frames, seed)
        finish = [Op(NetCode.XMIT, a=len(frames) + at) for at in range(len(last))]
        failure = self._begun(config, [*frames, *last])
        for _ in range(KINDS):
            failure = failure or pair.play(traffic.batch()) or pair.count(traffic.transmit_queues)
        failure = failure or pair.play([*traffic.drain(), *traffic.drain(), *finish, *traffic.drain()])
        failure = failure or pair.count(traffic.transmit_queues)
        return failure or pair.play([*traffic.again(), *finish, *traffic.drain()]) or pair.end()

    def _begun(self, config: NetConfig, frames: list[Frame]) -> NetFailure | None:
        return self.pair.begin(config, frames) or self.pair.play([Op(NetCode.PROBE)])

    def _pool(self, config: NetConfig, seed: int, count: int) -> list[Frame]:
        """Frames for a device; what a stack would never ask for only for drivers that follow a reference."""
        features = config.offered & config.understood
        return Shapes(Random(seed), features, lawful=not self.pair.exact).pool(count)

    def _long_run(self) -> NetFailure | None:
        config = replace(next(traffic_configs(self.offer, self.options.seed)), queue_size=256, pairs=1)
        pair = self.pair
        features = config.offered & config.understood
        frames = Shapes(Random(self.options.seed), features, lawful=True, longest=1514).pool(_LONG_POOL)
        failure = self._begun(config, frames)
        traffic = Traffic(config, frames, self.options.seed)
        at, batches = 0, 0
        while failure is None and pair.observer.published < _LONG_FRAMES and pair.observer.probed:
            if batches == _MOST_BATCHES:
                break
            batches += 1
            numbers = [(at + step) % _LONG_POOL for step in range(56)]
            at += len(numbers)
            failure = pair.play(traffic.bulk(numbers))
        self.long_sent = pair.observer.published
        failure = failure or pair.count(1) or pair.end()
        if failure is None:
            self.devices += 1
        return failure

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began, before = time.monotonic(), self.pair.operations
        yield
        self.stages.append(Stage(f"network: {name}", self.pair.operations - before, time.monotonic() - began))

    # -- the verdicts ---------------------------------------------------------------------------------

    def checks(self, failures: dict[str, NetFailure]) -> tuple[Check, ...]:
        """Return every check with its verdict, in a fixed order; ``failures`` are all there were."""
        return (
            *self._health(failures),
            self._agreement(failures),
            *self._oracles(failures),
            self._wrap(),
            *self._clauses(failures),
        )

    def _health(self, failures: dict[str, NetFailure]) -> Iterator[Check]:
        for name, praise in _HEALTH.items():
            failure = failures.get(name)
            detail = f"{praise} in {self.pair.operations:,} operations on {self.devices} devices"
            yield _check(name, _PROCESS, failure, "pass", detail)

    def _agreement(self, failures: dict[str, NetFailure]) -> Check:
        clause = f"oracle: {self.offer.profile} reference"
        if not self.pair.exact and AGREEMENT not in failures:
            return Check(AGREEMENT, clause, "not exercised", "the driver declares to follow no reference")
        detail = (
            f"registers, events, statistics and all memory compared over {self.pair.compared:,} operations, "
            f"{self.pair.sent:,} frames"
        )
        return _check(AGREEMENT, clause, failures.get(AGREEMENT), "pass", detail)

    def _wrap(self) -> Check:
        if self.long_sent > 1 << 16:
            return Check(WRAP, _NETWORK, "pass", f"{WRAP_WORDS} {self.long_sent:,} did.")
        why = "--quick leaves it out" if self.options.quick else f"only {self.long_sent:,} became chains"
        return Check(WRAP, _NETWORK, "not exercised", f"{WRAP_WORDS} None did: {why}.")

    def _oracles(self, failures: dict[str, NetFailure]) -> Iterator[Check]:
        for name, words in ORACLES.items():
            times = self.pair.oracles.get(name, 0)
            verdict: CheckVerdict = "pass" if times else "not exercised"
            bad: CheckVerdict = "warn" if name in WARNINGS else "fail"
            detail = f"{words} Held {times:,} times."
            yield _check(name, _NETWORK, failures.get(name), verdict, detail, bad)
        for check in NET_CHECKS.values():
            times = self.pair.made.get(check.name, 0)
            verdict = "pass" if times else "not exercised"
            detail = f"{check.rule} Looked at {times:,} times." if times else check.rule
            yield _check(check.name, check.source, failures.get(check.name), verdict, detail)
        known = {*ORACLES, *_HEALTH, AGREEMENT, *(check.name for check in NET_CHECKS.values())}
        for name, failure in failures.items():
            if name not in known and failure.kind != "clause":
                yield _check(name, failure.clause, failure, "fail", "")

    def _clauses(self, failures: dict[str, NetFailure]) -> Iterator[Check]:
        for ruling in self.pair.docket.rulings():
            name = f"clause-{ruling.clause}"
            failure, words = failures.get(name), CLAUSES[ruling.clause].words
            detail = ruling.detail
            if failure is not None:
                check = _check(name, ruling.clause, failure, "fail", "")
                yield replace(check, detail=f"{words} Seen: {check.detail}")
                continue
            if ruling.verdict == "pass":
                detail = f"{words} Held {ruling.held:,} times."
            elif ruling.verdict == "warn":
                detail = f"{words} Seen: {detail}"
            yield Check(name, ruling.clause, ruling.verdict, detail)


def _check(
    name: str,
    clause: str,
    failure: NetFailure | None,
    verdict: CheckVerdict,
    detail: str,
    bad: CheckVerdict = "fail",
) -> Check:
    if failure is None:
        return Check(name, clause, verdict, detail)
    count = len(failure.operations)
    shown = f"{count} operation" + ("" if count == 1 else "s")
    return Check(name, clause, bad, f"{failure.detail} ({described(failure.config)}; {shown})")


@dataclass(frozen=True, slots=True)
class NetRule:
    """A check beside the clauses: what it asks for, where that is from, and the verdict on a breach."""

    words: str
    source: str
    breach: CheckVerdict


def net_checks() -> dict[str, NetRule]:
    """Every check of a network driver that is not a clause, by name, in the order of a report."""
    rules = {name: NetRule(f"The driver {praise}.", _PROCESS, "fail") for name, praise in _HEALTH.items()}
    follows = "A driver that declares to follow a reference makes its accesses, and writes its bytes."
    rules[AGREEMENT] = NetRule(follows, "oracle: the reference of its profile", "fail")
    for name, words in ORACLES.items():
        rules[name] = NetRule(words, _NETWORK, "warn" if name in WARNINGS else "fail")
    for check in NET_CHECKS.values():
        rules[check.name] = NetRule(check.rule, check.source, "fail")
    rules[WRAP] = NetRule(WRAP_WORDS, _NETWORK, "fail")
    return rules


def validate_network(library: Path, *, options: Options | None = None) -> ValidationReport:
    """Validate the network driver in a shared library; never raises for what the driver does wrong.

    Raises LibraryError when the library cannot be such a driver at all, BuildError when the worker cannot be
    built.
    """
    options = options or Options()
    began = time.monotonic()
    name, offer, follows = introduced(library, options)
    exact = follows and not options.by_meaning
    with NetPair(library, exact=exact, patience=options.hang_seconds) as pair:
        campaign = _NetCampaign(pair, offer, options)
        campaign.go()
        if AGREEMENT in campaign.failures and options.second_look:
            _look_again(campaign)
        pair.close()
        failures = {**pair.soft, **campaign.failures}
        failures, exhibits = shown(pair, failures, campaign.found_at, name, options)
        first = exhibits[0] if exhibits else None
        checks = campaign.checks(failures)
        verdict: Verdict = "fail" if any(check.verdict == "fail" for check in checks) else "pass"
        return ValidationReport(
            driver=name,
            verdict=verdict,
            checks=checks,
            operations=sum(stage.operations for stage in campaign.stages),
            seconds=time.monotonic() - began,
            trace=first.trace if first is not None else None,
            mode="byte for byte" if exact else "by meaning",
            stages=tuple(campaign.stages),
            steps=first.steps if first is not None else (),
            shows=first.check if first is not None else "",
            library=library,
            exhibits=exhibits,
        )


def introduced(library: Path, options: Options) -> tuple[str, Offer, bool]:
    """Ask a driver for its name, what it offers, and whether it follows a reference."""
    try:
        worker = NetWorker(library, NetConfig(), timeout=options.hang_seconds)
    except ValueError:
        worker = NetWorker(library, NetConfig(transport="modern"), timeout=options.hang_seconds)
    with worker:
        follows = bool(worker.traits & (TRAIT_LINUX_3_11 | TRAIT_VIRTIO_1))
        profile = "linux-3.11" if worker.traits & TRAIT_LINUX_3_11 else "virtio-1.x"
        return worker.name, Offer(worker.features, worker.transports, profile), follows


def _look_again(campaign: _NetCampaign) -> None:
    """Go through the stages once more, quickly, to see what follows from parting with the reference."""
    options, told = campaign.options, len(campaign.stages)
    if options.progress is not None:
        options.progress("network: what else follows from the difference")
    campaign.pair.known.add(AGREEMENT)
    campaign.options = replace(options, quick=True, fail_fast=False)
    try:
        campaign.go()
    finally:
        campaign.options = options
    campaign.stages[told:] = [
        replace(stage, name=f"second look: {stage.name}") for stage in campaign.stages[told:]
    ]
