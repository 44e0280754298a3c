"""Hypothesis drives queue and device in any order; the invariants hold between any two operations."""

from functools import cache

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ringproof.impl.harness.invariants import check
from ringproof.impl.harness.operations import BUFFER_ADDRESS, Code, Op, OpFlag, segment
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner, Snapshot
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC

CONFIGS = st.builds(
    QueueConfig,
    queue_size=st.sampled_from([1, 2, 4, 8]),
    features=st.sampled_from([0, F_INDIRECT_DESC, F_EVENT_IDX, F_INDIRECT_DESC | F_EVENT_IDX]),
    layout=st.sampled_from(["legacy", "modern"]),
    has_callback=st.booleans(),
    profile=st.sampled_from(["linux-3.11", "virtio-1.x"]),
)


@cache
def near_the_wrap(config: QueueConfig) -> Snapshot:
    """Return an empty queue with all indices at 65533."""
    runner = ReferenceRunner(config)
    assert runner.step(Op(Code.ROUNDS, a=65533)).status == 65533
    return runner.snapshot()


class Queue(RuleBasedStateMachine):
    """A queue, its device, and by the side what was offered and not returned, in plain Python."""

    def __init__(self) -> None:
        super().__init__()
        self.offered: dict[int, tuple[int, int]] = {}
        """Token to bytes writable and descriptors taken."""
        self.adds = 0

    @initialize(config=CONFIGS, wrapped=st.integers(0, 3).map(lambda n: n == 0))
    def create(self, config: QueueConfig, wrapped: bool) -> None:
        """Start empty, one time in four close to the wrap."""
        self.config = config
        self.runner = ReferenceRunner(config)
        if wrapped:
            self.runner.restore(near_the_wrap(config))
            self.adds = 65533

    @rule(out=st.integers(0, 4), in_=st.integers(0, 3), seed=st.integers(0, 2**32 - 1), fails=st.booleans())
    def add(self, out: int, in_: int, seed: int, fails: bool) -> None:
        """Refused exactly when it has to be; otherwise takes as many descriptors as it should."""
        total = out + in_
        free = self.config.queue_size - sum(taken for _, taken in self.offered.values())
        table = self.config.features & F_INDIRECT_DESC and total > 1 and free and not fails
        mended = self.config.profile == "virtio-1.x"
        self.adds += 1
        flags = OpFlag.FAIL_ALLOC if fails else OpFlag(0)
        result = self.runner.step(Op(Code.ADD, flags, in_=in_, a=out, b=seed))
        assert result.token == self.adds
        if total == 0 or (total > self.config.queue_size and (mended or not table)):
            assert result.status == -22
        elif not table and total > free:
            assert result.status == -28
            if not mended:
                assert result.notifies == (out > 0)
        else:
            assert result.status == 0
            writable = sum(segment(seed, i)[1] for i in range(out, total))
            self.offered[self.adds] = writable, 1 if table else total
        assert result.num_free == self.config.queue_size - sum(taken for _, taken in self.offered.values())

    @rule()
    def get(self) -> None:
        """Return a token that was offered, once, with the length the device wrote."""
        result = self.runner.step(Op(Code.GET))
        assert result.status in (0, 1)
        if result.status:
            assert result.length == self.offered.pop(result.token)[0]

    @rule(limit=st.integers(0, 3))
    def read(self, limit: int) -> None:
        """Let the device read."""
        self.runner.step(Op(Code.READ, a=limit))

    @rule(pick=st.integers(0, 2**32 - 1), stride=st.integers(0, 3), count=st.integers(0, 4))
    def complete(self, pick: int, stride: int, count: int) -> None:
        """Let the device complete what it has, never more."""
        in_flight = len(self.runner.device.in_flight)
        result = self.runner.step(Op(Code.COMPLETE, a=pick, b=stride, c=count))
        assert result.status == min(count, in_flight)

    @rule(code=st.sampled_from([Code.DISABLE_CB, Code.ENABLE_CB, Code.ENABLE_CB_DELAYED, Code.INTERRUPT]))
    def callbacks(self, code: Code) -> None:
        """Switch callbacks, or interrupt."""
        untaken = (self.runner.device.used_idx - self.runner.queue.last_used_idx) & 0xFFFF
        result = self.runner.step(Op(code))
        if code == Code.ENABLE_CB:
            assert result.status == (untaken == 0)
        if code == Code.INTERRUPT:
            assert (result.status, result.callbacks) == (
                untaken > 0,
                untaken > 0 and self.config.has_callback,
            )

    @rule(silent=st.booleans(), event=st.integers(-3, 3))
    def suppress(self, silent: bool, event: int) -> None:
        """Let the device move its suppression words."""
        if self.config.features & F_EVENT_IDX:
            self.runner.step(Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=event & 0xFFFF))
        else:
            self.runner.step(Op(Code.SET_FLAGS, a=silent))

    @rule()
    def kick(self) -> None:
        """Notify exactly when flags or event index say so."""
        queue = self.runner.queue
        added = queue.num_added
        result = self.runner.step(Op(Code.KICK))
        if self.config.features & F_EVENT_IDX:
            passed = (queue.used.avail_event - (queue.avail.idx - added)) & 0xFFFF
            assert result.notifies == (passed < added)
        else:
            assert result.notifies == 1 - queue.used.flags

    @precondition(lambda self: not self.offered)
    @rule(rounds=st.integers(0, 5))
    def rounds(self, rounds: int) -> None:
        """On an empty ring each round is whole."""
        result = self.runner.step(Op(Code.ROUNDS, a=rounds))
        assert result.status == rounds
        self.adds += rounds

    @invariant()
    def holds(self) -> None:
        """Check every invariant."""
        if hasattr(self, "runner"):
            check(self.runner)
            held = [token for token in self.runner.queue.data if token is not None]
            assert sorted(held) == sorted(self.offered)

    def teardown(self) -> None:
        """After a reset, everything still held comes back once."""
        if not hasattr(self, "runner"):
            return
        back = []
        while (result := self.runner.step(Op(Code.DETACH_UNUSED))).status:
            back.append(result.token)
        assert sorted(back) == sorted(self.offered)
        assert self.runner.queue.num_free == self.config.queue_size
        assert list(self.runner.arena.live) == [self.runner.desc], "an indirect table was not given back"


def test_invariants_hold() -> None:
    """Whatever is asked in whatever order, both profiles keep every invariant and return every token once."""
    run_state_machine_as_test(
        Queue, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


def test_addresses_are_translated() -> None:
    """What the descriptors name are the guest-physical addresses of the segments."""
    runner = ReferenceRunner(QueueConfig(4))
    runner.step(Op(Code.ADD, a=1, b=12345))
    offset, length = segment(12345, 0)
    assert (runner.queue.desc.addr[0], runner.queue.desc.len[0]) == (BUFFER_ADDRESS + offset, length)
