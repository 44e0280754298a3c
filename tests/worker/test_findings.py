"""Every check of the device can fail, each for the fault it is there for, and none fails without one."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from ringproof.building import build_driver, build_program, c_sources
from ringproof.impl.harness.operations import (
    OP,
    RESULT,
    Code,
    Op,
    Result,
)
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation import worker as worker_module
from ringproof.validation.verdicts import VERDICTS, FindingCode
from ringproof.validation.worker import Finding, Worker

from .conftest import Tour
from .test_accesses import FAULTS as FAULTS_OF_ORDER

INDIRECT = 1 << 28
EVENT_IDX = 1 << 29
VERSION_1 = 1 << 32
IN_ORDER = VERSION_1 | 1 << 35
NOTIFICATION_DATA = VERSION_1 | 1 << 38
ALL = INDIRECT | EVENT_IDX | VERSION_1
EVERYTHING = ALL | IN_ORDER | NOTIFICATION_DATA

# fault, negotiated features, queue size, what is found
FAULTS: tuple[tuple[str, int, int, FindingCode], ...] = (
    ("head-range", 0, 16, FindingCode.HEAD_RANGE),
    ("next-range", 0, 16, FindingCode.NEXT_RANGE),
    ("table-next-range", INDIRECT, 16, FindingCode.NEXT_RANGE),
    ("loop", 0, 16, FindingCode.CHAIN_LOOP),
    ("table-loop", INDIRECT, 16, FindingCode.CHAIN_LOOP),
    ("reuse", 0, 16, FindingCode.DESCRIPTOR_REUSED),
    ("publish-far", 0, 16, FindingCode.TOO_MANY_OUTSTANDING),
    ("publish-backwards", 0, 16, FindingCode.AVAIL_BACKWARDS),
    ("publish-modulo", 0, 16, FindingCode.AVAIL_BACKWARDS),
    ("write-first", 0, 16, FindingCode.WRITE_BEFORE_READ),
    ("indirect-unnegotiated", 0, 16, FindingCode.INDIRECT_UNNEGOTIATED),
    ("indirect-nested", INDIRECT, 16, FindingCode.INDIRECT_NESTED),
    ("chain-too-long", INDIRECT, 16, FindingCode.CHAIN_TOO_LONG),
    ("indirect-and-next", INDIRECT, 16, FindingCode.INDIRECT_AND_NEXT),
    ("indirect-length", INDIRECT, 16, FindingCode.INDIRECT_LENGTH),
    ("indirect-empty", INDIRECT, 16, FindingCode.INDIRECT_LENGTH),
    ("host-address", 0, 16, FindingCode.ADDRESS_UNMAPPED),
    ("address-in-ring", 0, 16, FindingCode.ADDRESS_UNMAPPED),
    ("table-outside", INDIRECT, 16, FindingCode.ADDRESS_UNMAPPED),
    ("table-odd-address", INDIRECT, 16, FindingCode.ADDRESS_UNMAPPED),
    ("length", 0, 16, FindingCode.CHAIN_DIFFERS),
    ("write-flag", 0, 16, FindingCode.CHAIN_DIFFERS),
    ("publish-twice", ALL, 256, FindingCode.CHAIN_UNKNOWN),
    ("refused-but-published", 0, 16, FindingCode.CHAIN_UNKNOWN),
    ("change-outstanding", INDIRECT, 256, FindingCode.CHAIN_CHANGED),
    ("change-slot", INDIRECT, 256, FindingCode.CHAIN_CHANGED),
    ("change-table", INDIRECT, 16, FindingCode.TABLE_CHANGED),
    ("used-flags", 0, 16, FindingCode.USED_WRITTEN),
    ("used-idx", 0, 16, FindingCode.USED_WRITTEN),
    ("used-entry", 0, 16, FindingCode.USED_WRITTEN),
    ("avail-event", 0, 16, FindingCode.USED_WRITTEN),
    ("avail-flags", 0, 16, FindingCode.AVAIL_FLAGS),
    ("avail-flags-event", ALL, 16, FindingCode.AVAIL_FLAGS_EVENT),
    ("kick-never", 0, 16, FindingCode.KICK_LOST_FLAGS),
    ("kick-never", EVENT_IDX, 16, FindingCode.KICK_LOST_EVENT),
    ("wrong-token", 0, 16, FindingCode.TOKEN_WRONG),
    ("wrong-length", 0, 16, FindingCode.TOKEN_WRONG),
    ("return-twice", 0, 16, FindingCode.TOKEN_WRONG),
    ("detach-twice", 0, 256, FindingCode.TOKEN_WRONG),
    ("withhold", 0, 16, FindingCode.TOKEN_MISSING),
    ("detach-none", 0, 256, FindingCode.TOKEN_MISSING),
    ("refuse", 0, 16, FindingCode.REFUSED_THOUGH_FREE),
    ("refuse-always", 0, 16, FindingCode.REFUSED_WHEN_EMPTY),
    ("red-zone", 0, 16, FindingCode.RED_ZONE),
    ("double-release", 0, 16, FindingCode.BAD_RELEASE),
    ("release-size", 0, 16, FindingCode.BAD_RELEASE),
    ("leak", 0, 16, FindingCode.LEAK),
    ("leak-private", 0, 16, FindingCode.LEAK),
    ("stray", 0, 16, FindingCode.STRAY_WRITE),
    ("stray-between", 0, 256, FindingCode.STRAY_WRITE),
    ("write-after-release", 0, 16, FindingCode.STRAY_WRITE),
    ("unassigned-flag", 0, 16, FindingCode.FLAG_UNASSIGNED),
    ("kick-value", 0, 16, FindingCode.KICK_VALUE),
    ("parts-outside", 0, 16, FindingCode.RING_PARTS),
    ("parts-host-pointers", 0, 16, FindingCode.RING_PARTS),
    ("parts-misaligned", 0, 16, FindingCode.RING_PARTS),
    ("parts-overlap", 0, 16, FindingCode.RING_PARTS),
    ("ring-not-zero", 0, 16, FindingCode.RING_NOT_ZERO),
    ("kick-always", 0, 16, FindingCode.KICK_UNWANTED),
    ("kick-always", EVENT_IDX, 16, FindingCode.KICK_UNWANTED),
    ("broken", 0, 16, FindingCode.BROKEN),
    ("nonsense-add", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("nonsense-get", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("null-accepted", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("decline-at-times", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("too-long-is-full", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("decline-long", 0, 16, FindingCode.CHAIN_DECLINED),
    ("num-free-fixed", 0, 16, FindingCode.NUM_FREE),
    ("event-stale", EVENT_IDX, 16, FindingCode.INTERRUPT_NOT_WANTED),
    ("flags-left", 0, 16, FindingCode.INTERRUPT_NOT_WANTED),
    ("delay-for-ever", EVENT_IDX, 16, FindingCode.INTERRUPT_NOT_WANTED),
    ("delay-flags", 0, 16, FindingCode.INTERRUPT_NOT_WANTED),
    ("delay-blind", 0, 16, FindingCode.ENABLE_MISSED),
    ("create-fails", 0, 16, FindingCode.CREATE_FAILED),
    ("poll-blind", 0, 16, FindingCode.ENABLE_MISSED),
    ("push-one", 0, 16, FindingCode.ENABLE_MISSED),
    ("push-one", EVENT_IDX, 16, FindingCode.ENABLE_MISSED),
    ("interrupt-missed", 0, 16, FindingCode.INTERRUPT_MISSED),
    ("publish-nothing", 0, 16, FindingCode.CHAIN_MISSING),
    ("canary", 0, 16, FindingCode.CANARY),
    ("canary-before", 0, 16, FindingCode.CANARY),
    ("fork", 0, 16, FindingCode.CHILDREN),
    ("spawn", 0, 16, FindingCode.CHILDREN),
    ("print", 0, 16, FindingCode.OUTPUT),
    ("length-sum", 0, 16, FindingCode.LENGTH_SUM),
    ("many-descriptors", 0, 256, FindingCode.MANY_DESCRIPTORS),
    ("in-order-next", IN_ORDER, 16, FindingCode.IN_ORDER_NEXT),
    ("in-order-head", IN_ORDER, 16, FindingCode.IN_ORDER_HEAD),
    ("in-order-table", IN_ORDER | INDIRECT, 16, FindingCode.IN_ORDER_TABLE),
    ("idx-not-zero", 0, 16, FindingCode.AVAIL_IDX_START),
    ("skip-slot", 0, 16, FindingCode.SLOT_REPEATED),
    ("kick-data", NOTIFICATION_DATA, 16, FindingCode.KICK_DATA),
    ("kick-value", NOTIFICATION_DATA, 16, FindingCode.KICK_VALUE),
    ("heeds-event-word", 0, 16, FindingCode.EVENT_WORD_HEEDED),
    ("heeds-flags", EVENT_IDX, 16, FindingCode.FLAGS_HEEDED),
    ("spurious-interrupt", 0, 8, FindingCode.SPURIOUS_INTERRUPT),
    ("legacy-length-judged", 0, 16, FindingCode.USED_LENGTH),
    ("batch-ignored", IN_ORDER, 16, FindingCode.BATCH_RETIRED),
    ("map-and-unmap-twice", 0, 16, FindingCode.MAPPING),
    ("map-and-lengthen", INDIRECT, 16, FindingCode.MAPPING),
    ("map-and-unmap-early", 0, 16, FindingCode.MAPPING),
    ("map-and-unmap-early", INDIRECT, 256, FindingCode.MAPPING),
    ("map-and-forget", INDIRECT, 16, FindingCode.MAPPING),
    ("late-call", 0, 16, FindingCode.LATE_CALL),
    ("kick-early", 0, 16, FindingCode.KICK_EARLY),
    ("null-queue", 0, 16, FindingCode.CREATE_FAILED),
    ("parts-unset", 0, 16, FindingCode.RING_PARTS),
    ("num-free-negative", 0, 16, FindingCode.NUM_FREE),
    ("num-free-huge", 0, 16, FindingCode.NUM_FREE),
    ("nonsense-enable", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("nonsense-poll", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("nonsense-interrupt", 0, 16, FindingCode.UNDOCUMENTED_RETURN),
    ("nonsense-detach", 0, 256, FindingCode.UNDOCUMENTED_RETURN),
    ("hostile-wrong-token", 0, 16, FindingCode.HOSTILE_TOKEN),
)


def _ops(*operations: Op) -> bytes:
    return b"".join(operation.pack() for operation in operations)


def _config(size: int, features: int, layout: str = "modern") -> QueueConfig:
    return QueueConfig(size, features, layout=layout, profile="virtio-1.x", queue_index=3)


def _config_for(fault: str, size: int, features: int) -> QueueConfig:
    config = _config(size, features, "legacy" if fault.startswith("legacy") else "modern")
    return replace(config, hostile=fault.startswith("hostile"))


def _life(worker: Worker, config: QueueConfig, ops: bytes) -> list[Finding]:
    """Run a queue from create to destroy, two chains left over at its end; the findings that failed."""
    if worker.create(config):
        worker.run(ops)
        if not any(
            finding.failed and VERDICTS[FindingCode(finding.code)].level == "fail"
            for finding in worker.findings()
        ):
            left = [Op(Code.ADD, a=1), Op(Code.ADD, a=1), Op(Code.KICK), *[Op(Code.DETACH_UNUSED)] * 4]
            worker.run(_ops(*left))
        worker.destroy()
    return [finding for finding in worker.findings() if finding.failed]


def _lives(worker: Worker, config: QueueConfig, ops: bytes) -> list[Finding]:
    """Run a queue's life, and if nothing was found a second one's, which shows what comes too late."""
    return _life(worker, config, ops) or _life(worker, config, ops)


@pytest.mark.parametrize(("fault", "features", "size", "code"), FAULTS)
def test_each_fault_is_found_for_what_it_is(
    fault: str,
    features: int,
    size: int,
    code: FindingCode,
    tiny: Path,
    tour: Tour,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A driver with one fault gets the finding of that fault, and one line that says it in numbers."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
    with Worker(tiny) as worker:
        found = _lives(worker, _config_for(fault, size, features), tour(features, features % 1000 + size))
    by_code = {finding.code: finding for finding in found}
    assert code in by_code, f"found instead: {[FindingCode(c).name for c in by_code]}"
    finding = by_code[code]
    assert finding.checked >= finding.failed > 0
    line = VERDICTS[code].describe(finding.a, finding.b)
    assert line
    assert "\n" not in line


def test_no_check_is_without_a_fault_that_fails_it() -> None:
    """The lists of faults reach every finding code: none is a check that cannot fail."""
    assert {row[3] for row in FAULTS} | {row[2] for row in FAULTS_OF_ORDER} == set(FindingCode)


@pytest.mark.parametrize("features", [0, INDIRECT, EVENT_IDX, ALL, IN_ORDER, IN_ORDER | INDIRECT, EVERYTHING])
@pytest.mark.parametrize("size", [1, 2, 4, 256])
def test_a_correct_driver_has_no_findings(size: int, features: int, tiny: Path, tour: Tour) -> None:
    """The tiny driver, correct, over operations of every kind and past index 65535."""
    with Worker(tiny) as worker:
        assert worker.create(_config(size, features))
        for seed in range(4):
            worker.run(tour(features, seed))
            worker.run(_ops(Op(Code.ROUNDS, a=23456, b=seed)))
        worker.run(_ops(Op(Code.ADD, a=1), Op(Code.KICK), *[Op(Code.DETACH_UNUSED)] * 3))
        worker.destroy()
        assert [finding for finding in worker.findings() if finding.failed] == []
        made = {FindingCode(finding.code) for finding in worker.findings()}
    assert len(made) > 25


@pytest.mark.parametrize("habit", ["push", "publish-at-kick", "rearm-once", "maps", "legacy", "reclaims"])
@pytest.mark.parametrize("features", [0, ALL, EVERYTHING])
def test_declared_habits_are_no_faults(
    habit: str, features: int, tiny: Path, tour: Tour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushing tokens, publishing at the kick and arming callbacks in enable_cb only are allowed by VIRTIO."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", habit)
    with Worker(tiny) as worker:
        assert worker.create(_config_for(habit, 16, features))
        for seed in range(4):
            worker.run(tour(features, seed))
        results = [
            Result(*fields) for fields in RESULT.iter_unpack(worker.run(_ops(Op(Code.ROUNDS, a=70000))))
        ]
        assert results[0].status == 70000
        worker.destroy()
        assert [finding for finding in worker.findings() if finding.failed] == []


@pytest.mark.parametrize("features", [0, EVENT_IDX, ALL])
def test_what_is_reclaimed_within_add_is_outstanding_no_more(
    features: int, tiny: Path, tour: Tour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains taken back by add, to be returned later, leave the queue free for as many as it has room for."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "reclaims")
    add, kick, read, done = Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=9)
    with Worker(tiny) as worker:
        assert worker.create(_config(4, features))
        steps = [add, add, kick, Op(Code.READ, a=1), done, add, add, add, kick, read, done]
        steps += [*[add] * 4, kick, read, done]
        results = worker.run(_ops(*steps, *[Op(Code.GET)] * 10))
        gets = [Result(*fields).status for fields in RESULT.iter_unpack(results)][-10:]
        assert gets == [1] * 9 + [0]
        worker.run(tour(features, 5))
        worker.destroy()
        assert [finding for finding in worker.findings() if finding.failed] == []


@pytest.mark.slow
def test_the_worker_is_clean_under_sanitizers(
    tiny: Path, tour: Tour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built with ASan and UBSan, it takes every fault and random memory without a report."""
    harness, device = (Path(str(files(f"ringproof.impl.{room}"))) for room in ("harness", "device"))
    program = build_program(
        sorted([*harness.glob("*.c"), *device.glob("*.c")]),
        include=(harness, device, c_sources()),
        sanitize=("address", "undefined"),
        extra_flags=("-Wl,--no-as-needed", "-ldl"),
    )
    monkeypatch.setattr(worker_module, "worker_program", lambda: program)
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # the libraries under test leak on purpose
    faults = [(row[0], row[1], row[2]) for row in FAULTS]
    for fault, features, size in [
        *faults,
        *[("noise", features, size) for features in (0, ALL) for size in (1, 64)],
    ]:
        monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
        with Worker(tiny, stop_on_finding=False, memory_limit=0, timeout=60) as worker:
            if worker.create(_config_for(fault, size, features)):
                worker.run(tour(features, 1) + tour(features, 2))
                worker.destroy()


@pytest.mark.parametrize("profile", ["virtio-1.x", "linux-3.11"])
def test_the_shipped_driver_has_no_findings(profile: str, tour: Tour) -> None:
    """The C implementation has none as virtio-1.x; as linux-3.11 only those of the 3.11 driver itself."""
    defines = {"RP_ADAPTER_LINUX_3_11": ""} if profile == "linux-3.11" else None
    of_linux = {FindingCode.AVAIL_FLAGS_EVENT, FindingCode.KICK_UNWANTED, FindingCode.CHAIN_TOO_LONG}
    allowed = of_linux if profile == "linux-3.11" else set[FindingCode]()
    with Worker(build_driver(c_sources(), defines=defines), stop_on_finding=False) as worker:
        for features in (0, INDIRECT, EVENT_IDX, ALL):
            for layout in ("legacy", "modern"):
                assert worker.create(QueueConfig(8, features, layout=layout, profile=profile))
                for seed in range(5):
                    worker.run(tour(features, seed))
                worker.run(_ops(Op(Code.ROUNDS, a=70000)))
                worker.destroy()
                found = {FindingCode(finding.code) for finding in worker.findings() if finding.failed}
                assert found <= allowed


@pytest.mark.parametrize("seed", range(6))
def test_the_device_survives_whatever_is_in_memory(
    seed: int, tiny: Path, tour: Tour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random descriptors, heads and index jumps are findings; the device neither crashes nor runs away."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "noise")
    features = ALL if seed % 2 else 0
    with Worker(tiny, stop_on_finding=False, timeout=20) as worker:
        assert worker.create(_config(64, features))
        ops = tour(features, seed)
        assert len(worker.run(ops * 5)) == 5 * len(ops) // OP.size * RESULT.size
        found = {FindingCode(finding.code) for finding in worker.findings() if finding.failed}
        assert len(found) >= 5


def test_a_run_stops_at_the_operation_with_the_finding(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stop_on_finding the results end with the operation in which something was found."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "kick-never")
    ops = _ops(*[Op(Code.ADD, a=1), Op(Code.KICK)] * 5)
    with Worker(tiny) as worker:
        worker.create(_config(16, 0))
        results = [Result(*fields) for fields in RESULT.iter_unpack(worker.run(ops))]
        assert len(results) == 2
        found = [finding for finding in worker.findings() if finding.failed]
        assert [(finding.code, finding.first_op) for finding in found] == [(FindingCode.KICK_LOST_FLAGS, 1)]
        worker.stop_on_finding = False
        assert len(worker.run(ops)) == 10 * RESULT.size


def test_a_warning_does_not_stop_a_run(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A needless kick is a warning: all operations are run."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "kick-always")
    ops = _ops(Op(Code.SET_FLAGS, a=1), *[Op(Code.ADD, a=1), Op(Code.KICK)] * 5)
    with Worker(tiny) as worker:
        worker.create(_config(16, 0))
        assert len(worker.run(ops)) == 11 * RESULT.size
        found = [finding for finding in worker.findings() if finding.failed]
        assert [(finding.code, finding.failed) for finding in found] == [(FindingCode.KICK_UNWANTED, 5)]


def test_a_driver_may_take_short_chains_only(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RP_EINVAL for whatever is longer than its limit is no more than a warning."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "decline-long")
    with Worker(tiny) as worker:
        assert worker.create(_config(16, 0))
        worker.run(_ops(*[Op(Code.ADD, a=1 + length % 4) for length in range(9)]))
        failed = {FindingCode(finding.code) for finding in worker.findings() if finding.failed}
        assert failed == {FindingCode.CHAIN_DECLINED}


def test_an_empty_ring_that_takes_a_chain_is_counted(tiny: Path) -> None:
    """What is taken when all is free shows that nothing was lost: the check was made, and held."""
    with Worker(tiny) as worker:
        assert worker.create(_config(16, 0))
        worker.run(_ops(Op(Code.ADD, a=1), Op(Code.ADD, a=1)))
        made = {finding.code: finding for finding in worker.findings()}
        assert made[FindingCode.REFUSED_WHEN_EMPTY].checked == 1
        assert made[FindingCode.REFUSED_WHEN_EMPTY].failed == 0


@pytest.mark.parametrize(("features", "answer"), [(0, False), (1 << 32, True)])
def test_a_legacy_ring_lies_where_a_page_number_leads(features: int, answer: bool, tiny: Path) -> None:
    """Three blocks anywhere are no legacy layout; a queue with VERSION_1 is told all three addresses."""
    with Worker(tiny) as worker:
        assert worker.create(QueueConfig(16, features, layout="legacy", profile="virtio-1.x")) is answer
        failed = {FindingCode(finding.code) for finding in worker.findings() if finding.failed}
        assert failed == (set() if answer else {FindingCode.RING_PARTS})


def test_only_create_can_refuse_a_size(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that sets up a queue of 3 has not refused it, whether or not its ring can be used."""
    with Worker(tiny) as worker:  # its three blocks are no legacy ring
        assert not worker.refuses(3)
        assert worker.create(_config(16, 0))
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "create-fails")
    with Worker(tiny) as worker:
        assert worker.refuses(3)
