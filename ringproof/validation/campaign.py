"""The campaign behind ``ringproof validate``: stage after stage, until something fails or all has passed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX
from ..traces.document import TraceError
from .configurations import LONG_RUN_SIZES, described, long_run_configs, search_configs
from .evidence import keep, steps_in_words
from .failure import Failure
from .generator import Generator
from .longrun import WRAP, LongRun
from .machine import Search
from .pairing import Pair
from .process import Process
from .report import Check, CheckVerdict, Stage, ValidationReport, Verdict
from .shrinking import reduced

OPERATIONS = 3 * WRAP
_MOST_ROUNDS = 20  # failures of one stage that are put aside before the campaign goes on to the next
_HEALTH = {"no-crash": "never ended its process", "no-hang": "always came back"}


@dataclass(frozen=True, slots=True)
class Options:
    """How a campaign is run.

    ``quick`` leaves most out; ``keep_going`` goes on after a failing stage, with what failed put aside;
    ``by_meaning`` compares by meaning even if the driver declares to follow the reference; ``second_look``
    asks, when a driver only parts from the reference, whether it breaks a clause too. ``sizes`` are the queue
    sizes of the long runs and ``operations`` how many each has at least, None for the usual ones;
    ``hang_seconds`` is how long an array of operations may take. ``traces`` is where failures are kept,
    None for nowhere; ``progress`` is told of each stage.
    """

    quick: bool = False
    keep_going: bool = False
    by_meaning: bool = False
    second_look: bool = True
    seed: int = 0
    sizes: tuple[int, ...] | None = None
    operations: int | None = None
    hang_seconds: float = 10.0
    shrink_seconds: float = 20.0
    traces: Path | None = Path("ringproof-traces")
    progress: Callable[[str], None] | None = None

    @property
    def long_sizes(self) -> tuple[int, ...]:
        """The queue sizes of the long runs."""
        return self.sizes or (_QUICK_SIZES if self.quick else LONG_RUN_SIZES)

    @property
    def long_operations(self) -> int:
        """How many operations a long run has at least."""
        return self.operations or (_QUICK_OPERATIONS if self.quick else OPERATIONS)


_QUICK_SIZES = (4,)
_QUICK_OPERATIONS = WRAP // 2
_IMPOSSIBLE_SIZES = (0, 3, WRAP)
_WRAPPING_SIZES = (1, 4, 256)


@dataclass(slots=True)
class _Campaign:
    """One driver, the stages it goes through, and what came of them."""

    pair: Pair
    options: Options
    declined: frozenset[QueueConfig] = frozenset()
    failures: dict[str, Failure] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    runs: list[LongRun] = field(default_factory=list)
    trace: Path | None = None
    shown: Failure | None = None
    message: str = ""

    @property
    def only_parts(self) -> bool:
        """Whether all that failed is agreement with the reference."""
        return bool(self.failures) and all(one.kind == "difference" for one in self.failures.values())

    def go(self) -> None:
        """All stages, or those up to the first failure."""
        self.pair.probe(max(self._search_configs, key=lambda config: config.queue_size == 4))
        for name, stage in (
            ("hypothesis state machine", self._search),
            ("every configuration", self._sweep),
            ("indices around the wrap", self._around_the_wrap),
            ("long runs across the wrap", self._long_runs),
        ):
            if self.options.progress is not None:
                self.options.progress(name)
            with self._timed(name):
                self._to_the_end(stage)
            if self.failures and not self.options.keep_going:
                return

    def _to_the_end(self, stage: Callable[[], Failure | None]) -> None:
        """Run a stage; when going on after failures, again with each one put aside, until it passes."""
        for _ in range(_MOST_ROUNDS if self.options.keep_going else 1):
            failure = stage()
            if failure is None:
                return
            self._keep(failure)

    @property
    def _search_configs(self) -> list[QueueConfig]:
        """The small queues that the driver creates."""
        configs = search_configs(self.pair.process.features, self.pair.profile)
        return [config for config in configs if config not in self.declined]

    def _search(self) -> Failure | None:
        quick = self.options.quick
        return Search(
            self.pair,
            self._search_configs,
            generate=2.0 if quick else 12.0,
            shrink=2.0 if quick else 10.0,
            examples=60 if quick else 500,
            steps=20 if quick else 40,
            seed=self.options.seed,
            wrapping=() if quick else tuple(self._wrapping((4,))),
            patience=min(self.options.hang_seconds, 3.0),
        ).go()

    def _sweep(self) -> Failure | None:
        for at, config in enumerate(self._search_configs):
            generator = Generator(
                config.queue_size, self.pair.offered, self.options.seed + at, config.features, pool=64
            )
            failure = self.pair.begin(config)
            for _ in range(1 if self.options.quick else 4):
                failure = failure or self.pair.run(generator.phase())
            failure = failure or self.pair.end()
            if failure is not None:
                return failure
        return None

    def _around_the_wrap(self) -> Failure | None:
        """Make short runs that begin just below 65536; the reference's state there is kept and used again."""
        quick = self.options.quick
        for config in self._wrapping((4,) if quick else _WRAPPING_SIZES):
            for at in range(16 if quick else 32):
                seed = self.options.seed + at
                generator = Generator(config.queue_size, self.pair.offered, seed, config.features, pool=32)
                start = WRAP - min(2 * config.queue_size, 8)
                failure = (
                    self.pair.begin(config)
                    or self.pair.run(Op(Code.ROUNDS, a=start).pack() + generator.bursts(12))
                    or self.pair.end()
                )
                if failure is not None:
                    return failure
        return None

    def _wrapping(self, sizes: Sequence[int]) -> Iterator[QueueConfig]:
        configs = _wrapping(self.pair.process.features, self.pair.profile, sizes)
        return (config for config in configs if config not in self.declined)

    def _long_runs(self) -> Failure | None:
        sizes, operations = self.options.long_sizes, self.options.long_operations
        done = {run.config.queue_size for run in self.runs}
        for config in long_run_configs(self.pair.process.features, self.pair.profile, sizes):
            if config.queue_size in done or config in self.declined:
                continue
            if self.options.progress is not None:
                self.options.progress(f"long run, queue size {config.queue_size}")
            run = LongRun(self.pair, config, operations, self.options.seed)
            failure = run.go()
            if failure is not None:
                return failure
            self.runs.append(run)
        return None

    def _keep(self, failure: Failure) -> None:
        """Shrink a failure, put it aside, and keep the first one's trace."""
        self.pair.tallying = False
        process = self.pair.process
        patience = process.patience
        seconds = self.options.shrink_seconds
        if failure.kind == "hang":
            process.patience, seconds = min(patience, 0.5), min(seconds, 8.0)
        elif self.options.quick:
            seconds = min(seconds, 12.0)
        try:
            small = reduced(failure, self.pair.attempt, seconds)
            again = sum(small.like(self.pair.attempt(small.config, small.operations)) for _ in range(2))
            self.failures[small.check] = _with_circumstances(small, again)
            if self.shown is None:
                self.shown = small
                self._write_down(small)
        finally:
            process.patience = patience
            self.pair.tallying = True
        self.pair.ignore({small.check})

    def _write_down(self, failure: Failure) -> None:
        if self.options.traces is None:
            return
        try:
            self.trace = keep(failure, self.pair, self.options.traces)
        except TraceError as error:
            self.message = f"no trace was kept: {error}"

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began, before = time.monotonic(), self.pair.operations
        yield
        self.stages.append(Stage(name, self.pair.operations - before, time.monotonic() - began))

    # -- the verdicts ---------------------------------------------------------------------------------

    def checks(self) -> tuple[Check, ...]:
        """Return every check with its verdict, in a fixed order."""
        return (*self._health(), *self._agreements(), *self._wraps(), *self._conservation(), *self._seen())

    @property
    def _sizes(self) -> tuple[int, ...]:
        """Those that are reported: when some were left out, that shows."""
        return self.options.sizes or LONG_RUN_SIZES

    def _health(self) -> Iterator[Check]:
        for name, praise in _HEALTH.items():
            failure = self.failures.get(name)
            if failure is not None:
                yield Check(name, failure.clause, "fail", failure.detail)
            else:
                detail = f"{praise} in {self.pair.operations:,} ring operations"
                yield Check(name, "oracle: process", "pass", detail)

    def _agreements(self) -> Iterator[Check]:
        how = "results and ring bytes" if self.pair.exact else "tokens, chains, indices and kicks"
        for size in sorted({*self._sizes, *self.pair.compared}):
            name = self.pair.agreement(size)
            failure = self.failures.get(name)
            given_up = self.pair.given_up.get(size)
            compared = self.pair.compared.get(size, 0)
            if failure is not None:
                yield Check(name, failure.clause, "fail", failure.detail)
            elif not compared:
                yield Check(name, self.pair.oracle, "not exercised", given_up or "")
            else:
                detail = f"{how} compared {compared:,} times"
                if given_up:
                    detail += f"; in some runs not to the end: {given_up}"
                yield Check(name, self.pair.oracle, "pass", detail)
        for remark, where in self.pair.remarks.items():
            yield Check("rearmed-when-drained", "2.7.7.1d", "warn", f"{remark} ({where})")

    def _wraps(self) -> Iterator[Check]:
        runs = {run.config.queue_size: run for run in self.runs}
        for size in self._sizes:
            name = f"indices-past-the-wrap/{size}"
            run = runs.get(size)
            if run is None:
                yield Check(name, "2.7.13.3/n1", "not exercised", "")
                continue
            detail = f"{run.operations:,} operations, avail_idx moved on by {run.advanced:,}"
            yield Check(name, "2.7.13.3/n1", "pass" if run.passed_the_wrap else "not exercised", detail)

    def _conservation(self) -> Iterator[Check]:
        runs = {run.config.queue_size: run for run in self.runs}
        for size in self._sizes:
            name = f"everything-comes-back/{size}"
            run = runs.get(size)
            if run is None:
                yield Check(name, "2.7.14", "not exercised", "")
            elif run.shortfall:
                yield Check(name, "2.7.14", "fail", run.shortfall)
            else:
                yield Check(
                    name, "2.7.14", "pass", f"{run.accepted:,} chains, then one of all {size} descriptors"
                )

    def _seen(self) -> Iterator[Check]:
        for name, tally in self.pair.tallies.items():
            failure = self.failures.get(name)
            if tally.count and tally.level in ("fail", "warn"):
                detail = failure.detail if failure is not None else tally.detail
                yield Check(name, tally.clause, "fail" if tally.level == "fail" else "warn", detail)
            elif not tally.checked:
                yield Check(name, tally.clause, "not exercised", tally.detail)
            else:
                yield Check(name, tally.clause, "pass", f"{tally.detail} Held {tally.checked:,} times.")


def validate(library: Path, *, options: Options | None = None) -> ValidationReport:
    """Validate the driver in a shared library; never raises for what the driver does wrong.

    Raises LibraryError when the library cannot be a driver at all, BuildError when the worker
    cannot be built.
    """
    options = options or Options()
    began = time.monotonic()
    with Process(library, patience=options.hang_seconds) as process:
        if options.by_meaning:
            process.follows_the_reference = False
        declined, creation = _declined(process, options)
        sizes = _impossible_sizes(process)
        campaign = _Campaign(Pair.of(process), options, declined)
        campaign.go()
        checks = (*campaign.checks(), creation, sizes)
        shown, trace, message = campaign.shown, campaign.trace, campaign.message
        if campaign.only_parts and options.second_look:
            told = _second_look(process, options)
            worse = {check.name: check for check in told.checks() if check.verdict in ("fail", "warn")}
            checks = tuple(worse.get(check.name, check) for check in checks)
            campaign.stages += told.stages
            if told.shown is not None:
                shown, trace, message = told.shown, told.trace, told.message
        verdict: Verdict = "fail" if any(check.verdict == "fail" for check in checks) else "pass"
        return ValidationReport(
            driver=process.name,
            verdict=verdict,
            checks=checks,
            operations=sum(stage.operations for stage in campaign.stages),
            seconds=time.monotonic() - began,
            trace=trace,
            mode="byte for byte" if campaign.pair.exact else "by meaning",
            stages=tuple(campaign.stages),
            steps=steps_in_words(shown) if shown is not None else (),
            shows=shown.check if shown is not None else "",
            library=library,
            message=message,
        )


def _second_look(process: Process, options: Options) -> _Campaign:
    """Run a short campaign by meaning: other bytes than promised may be harmless, a broken clause is not."""
    if options.progress is not None:
        options.progress("what else follows from the difference")
    declared, process.follows_the_reference = process.follows_the_reference, False
    try:
        told = _Campaign(Pair.of(process), replace(options, by_meaning=True, quick=True))
        told.go()
    finally:
        process.follows_the_reference = declared
    told.stages = [replace(stage, name=f"second look: {stage.name}") for stage in told.stages]
    return told


def _impossible_sizes(process: Process) -> Check:
    """Ask for queues that cannot be; a driver that follows the reference must decline, others had better."""
    done = {size: process.refuses(size) for size in _IMPOSSIBLE_SIZES}
    wrong = [f"asked for a queue of {size}, it {what}" for size, what in done.items() if what]
    if not wrong:
        sizes = ", ".join(map(str, _IMPOSSIBLE_SIZES))
        return Check("impossible-sizes-refused", "2.7/n1", "pass", f"create declines the sizes {sizes}")
    verdict: CheckVerdict = "fail" if process.follows_the_reference else "warn"
    return Check("impossible-sizes-refused", "2.7/n1", verdict, "; ".join(wrong))


def _wrapping(features: int, profile: str, sizes: Sequence[int]) -> Iterator[QueueConfig]:
    """Yield the queues that are carried near the wrap, with the event index and without."""
    for size, negotiated in product(sizes, {features & F_EVENT_IDX: None, 0: None}):
        yield QueueConfig(size, negotiated, "modern", True, profile, 1)


def _declined(process: Process, options: Options) -> tuple[frozenset[QueueConfig], Check]:
    """Ask which queues of the campaign the driver does not create; none is left out if it creates none.

    One that follows the reference has to create them all: then a refusal is a failure like any other.
    """
    name, clause = "creates-every-queue", "oracle: driver ABI"
    if process.follows_the_reference:
        return frozenset(), Check(name, clause, "not exercised", "create-succeeds is asked of it")
    offer = (process.features, process.profile)
    configs = {*search_configs(*offer), *long_run_configs(*offer, options.long_sizes)}
    configs |= {*_wrapping(*offer, _WRAPPING_SIZES)}
    ordered = sorted(configs, key=lambda config: (config.queue_size, config.features, config.layout))
    declined = [config for config in ordered if process.declines(config)]
    if len(declined) == len(configs):
        return frozenset(), Check(name, clause, "fail", "create declines every queue asked for")
    if not declined:
        return frozenset(), Check(name, clause, "pass", f"create set up each of {len(configs)} queues")
    what = f"create declines {len(declined)} of {len(configs)} queues, such as: {described(declined[0])}"
    return frozenset(declined), Check(name, clause, "warn", what)


def _with_circumstances(failure: Failure, again: int) -> Failure:
    """Add to a failure's sentence where it shows."""
    shown = f"{len(failure.operations)} operation" + ("" if len(failure.operations) == 1 else "s")
    steady = "" if again == 2 else f"; shown again {again} times of 2"
    return replace(failure, detail=f"{failure.detail} ({described(failure.config)}; {shown}{steady})")
