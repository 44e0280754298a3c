"""The state machine: hypothesis chooses a queue and operations, one at a time, and shrinks a failure."""

import contextlib
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import HypothesisException
from hypothesis.reporting import with_reporter
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ..building import cache_directory
from ..impl.harness.operations import Code, Op, OpFlag
from ..impl.harness.reference_runner import QueueConfig
from .failure import Failure
from .generator import packed
from .pairing import DriverProcess
from .shrinking import Deadline

_ALL = 0xFFFF_FFFF
_NEAR_WRAP = 0xFFFC
_LONGEST_FILL = 64


class Runner(Protocol):
    """What the machine drives: a driver and the reference in step."""

    process: DriverProcess
    offered: frozenset[Code]
    exact: bool
    publishes_at_kick: bool

    def begin(self, config: QueueConfig) -> Failure | None:
        """Create a queue on both sides."""

    def run(self, operations: bytes) -> Failure | None:
        """Run operations on both sides."""

    def end(self) -> Failure | None:
        """Destroy the queue."""


class _Fault(Exception):  # noqa: N818 - the driver's, raised to tell hypothesis
    """The driver failed."""


_LONGER = 4
"""How many times its seconds a search may take while too few examples were tried."""


class _TimeIsUp(BaseException):
    """Ends a run; hypothesis lets it through, as it is no Exception."""


@dataclass(slots=True)
class Search:
    """One run of the machine: where it looks, for how long, and what it found.

    ``generate`` bounds the seconds before the first failure, ``shrink`` those after it. Queues in
    ``wrapping`` may begin just below the wrap. ``patience`` is how long one step may take, in seconds.
    """

    runner: Runner
    configs: Sequence[QueueConfig]
    generate: float
    shrink: float
    examples: int
    steps: int
    seed: int = 0
    wrapping: Collection[QueueConfig] = ()
    patience: float = 3.0
    tried: int = 0
    found: list[Failure] = field(default_factory=list)
    _until: Deadline = field(default_factory=lambda: Deadline(0))
    _latest: Deadline = field(default_factory=lambda: Deadline(0))

    def go(self) -> Failure | None:
        """Run until examples or seconds are used up; return the failure with the fewest operations."""
        self._until, self._latest = Deadline(self.generate), Deadline(_LONGER * self.generate)
        chosen = settings(
            max_examples=self.examples,
            stateful_step_count=self.steps,
            database=None,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
            print_blob=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        process = self.runner.process
        before, process.patience = process.patience, self.patience
        # What hypothesis has to say is said by the report; how it ends matters less than what was recorded.
        with (
            warnings.catch_warnings(),
            with_reporter(lambda _text: None),
            contextlib.suppress(_Fault, _TimeIsUp, HypothesisException, BaseExceptionGroup),
        ):
            warnings.simplefilter("ignore")
            # What it stores (constants it found in the code) has no place in the user's directory.
            set_hypothesis_home_dir(cache_directory() / "hypothesis")
            run_state_machine_as_test(seed(self.seed)(_machine(self)), settings=chosen)
        set_hypothesis_home_dir(None)
        process.patience = before
        if not self.found:
            return None
        return min(self.found, key=lambda failure: len(failure.operations))

    def record(self, failure: Failure) -> None:
        """Keep a failure; the first one starts the time for shrinking."""
        if not self.found:
            # Each hang costs all of the patience there is: shrinking it is left to those who have less.
            self._until = Deadline(0.0 if failure.kind == "hang" else self.shrink)
        self.found.append(failure)

    def check_time(self) -> None:
        """End the run once its time is up, wherever hypothesis is; what was recorded stays.

        On a busy machine it goes on for a while until half of the examples were tried.
        """
        short = not self.found and self.tried < self.examples // 2
        if (self._latest if short else self._until).passed():
            raise _TimeIsUp


def _machine(search: Search) -> type[RuleBasedStateMachine]:
    runner = search.runner
    callbacks = sorted(
        runner.offered
        & {Code.DISABLE_CB, Code.ENABLE_CB, Code.ENABLE_CB_DELAYED, Code.ENABLE_CB_PREPARE, Code.POLL}
    )
    starts = [0, 0, 0, *([_NEAR_WRAP] if search.wrapping else [])]
    seeds = st.integers(0, 255)
    counts = st.integers(0, 4)

    class RingMachine(RuleBasedStateMachine):
        """Operations in any order, on a queue in any configuration."""

        def __init__(self) -> None:
            super().__init__()
            self._config: QueueConfig | None = None
            self._finish = ""
            self._over = False

        def _judge(self, failure: Failure | None) -> None:
            if failure is None:
                return
            self._over = True
            search.record(failure)
            raise _Fault(failure.detail)

        def _do(self, *operations: Op) -> None:
            assert self._config is not None
            if self._over:
                return
            known = [operation for operation in operations if operation.code in runner.offered]
            search.check_time()
            if known:
                self._judge(runner.run(packed(*known)))

        @initialize(
            config=st.sampled_from(list(search.configs)),
            start=st.sampled_from(starts),
            quiet=st.booleans(),
            finish=st.sampled_from(["drain", "fill", "detach", "drop"]),
        )
        def start(self, config: QueueConfig, start: int, quiet: bool, finish: str) -> None:
            search.tried += 1
            self._config = config
            self._finish = finish
            search.check_time()
            self._judge(runner.begin(config))
            if start and config in search.wrapping:
                flags = OpFlag.NO_KICK if quiet and not runner.publishes_at_kick else 0
                self._do(Op(Code.ROUNDS, flags, a=start))

        @rule(out=counts, in_=st.integers(0, 2), seed=seeds)
        def add(self, out: int, in_: int, seed: int) -> None:
            self._do(Op(Code.ADD, 0, in_, out, seed))

        @rule(out=st.integers(1, 4), seed=seeds, flag=st.sampled_from([OpFlag.FAIL_ALLOC, OpFlag.NULL_TOKEN]))
        def add_badly(self, out: int, seed: int, flag: OpFlag) -> None:
            self._do(Op(Code.ADD, flag, 0, out, seed))

        @rule(beyond=st.sampled_from([0, 1]), seed=seeds, flag=st.sampled_from([0, OpFlag.FAIL_ALLOC]))
        def add_long(self, beyond: int, seed: int, flag: int) -> None:
            assert self._config is not None
            self._do(Op(Code.ADD, flag, 0, self._config.queue_size + beyond, seed))

        @rule(seed=seeds, kick_each=st.booleans())
        def fill(self, seed: int, kick_each: bool) -> None:
            assert self._config is not None
            size = min(self._config.queue_size, _LONGEST_FILL)
            for at in range(size + 1):
                self._do(Op(Code.ADD, 0, 0, 1, seed + at))
                if kick_each:
                    self._do(Op(Code.KICK))

        @rule()
        def kick(self) -> None:
            self._do(Op(Code.KICK))

        @rule(times=st.integers(1, 5))
        def get(self, times: int) -> None:
            self._do(*[Op(Code.GET)] * times)

        @rule(count=counts)
        def read(self, count: int) -> None:
            self._do(Op(Code.READ, a=count))

        @rule(pick=counts, stride=counts, count=st.sampled_from([1, 2, 3, _ALL]))
        def complete(self, pick: int, stride: int, count: int) -> None:
            self._do(Op(Code.COMPLETE, a=pick, b=stride, c=count))

        @rule(pick=counts, stride=counts)
        def drain(self, pick: int, stride: int) -> None:
            assert self._config is not None
            self._do(*_drain(self._config, pick, stride))

        @rule(flags=st.integers(0, 1))
        def set_flags(self, flags: int) -> None:
            self._do(Op(Code.SET_FLAGS, a=flags))

        @rule(offset=st.integers(-5, 5))
        def set_avail_event_near(self, offset: int) -> None:
            self._do(Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=offset & 0xFFFF))

        @rule(word=st.integers(0, 0xFFFF))
        def set_avail_event(self, word: int) -> None:
            self._do(Op(Code.SET_AVAIL_EVENT, a=word))

        @rule(count=st.integers(1, 9), quiet=st.booleans())
        def rounds(self, count: int, quiet: bool) -> None:
            assert self._config is not None
            if not runner.exact:  # where a round stops early is known only of an empty ring
                self._do(*_drain(self._config, 0, 0))
            flags = OpFlag.NO_KICK if quiet and not runner.publishes_at_kick else 0
            self._do(Op(Code.ROUNDS, flags, a=count))

        @rule()
        def interrupt(self) -> None:
            self._do(Op(Code.INTERRUPT))

        if callbacks:

            @rule(code=st.sampled_from(callbacks))
            def callback(self, code: Code) -> None:
                self._do(Op(code))

        def teardown(self) -> None:
            config, self._config = self._config, None
            if config is None or self._over:
                return
            self._config = config
            if self._finish in ("drain", "fill"):
                self._do(*_drain(config, 0, 0))
            if self._finish == "fill":
                whole = Op(Code.ADD, OpFlag.FAIL_ALLOC, 0, config.queue_size, 1)
                self._do(whole, *_drain(config, 0, 0))
            if self._finish == "detach" and Code.DETACH_UNUSED in runner.offered:
                self._do(*[Op(Code.DETACH_UNUSED)] * (min(config.queue_size, _LONGEST_FILL) + 1))
            self._judge(runner.end())

    return RingMachine


def _drain(config: QueueConfig, pick: int, stride: int) -> list[Op]:
    """Everything read, completed by one store and taken back."""
    most = min(config.queue_size, 2 * _LONGEST_FILL)
    taken = [Op(Code.GET)] * (most + 1)
    return [Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, a=pick, b=stride, c=_ALL), *taken]
