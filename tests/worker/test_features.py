"""Queues with features few drivers have, without memory, or of odd sizes: what holds, what is found."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.impl.harness.operations import (
    ENOSPC,
    RESULT,
    STATUS_UNSUPPORTED,
    Code,
    Op,
    OpFlag,
    Result,
    segment,
)
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.verdicts import VERDICTS, FindingCode
from ringproof.validation.worker import Finding, Hang, Worker

from .conftest import Tour

INDIRECT = 1 << 28
EVENT_IDX = 1 << 29
IN_ORDER = 1 << 32 | 1 << 35
NOTIFICATION_DATA = 1 << 32 | 1 << 38
ALL = INDIRECT | EVENT_IDX | 1 << 32
EVERYTHING = ALL | IN_ORDER | NOTIFICATION_DATA


def _ops(*operations: Op) -> bytes:
    return b"".join(operation.pack() for operation in operations)


def _config(size: int, features: int, layout: str = "modern") -> QueueConfig:
    return QueueConfig(size, features, layout=layout, profile="virtio-1.x", queue_index=3)


def _findings(worker: Worker, config: QueueConfig, ops: list[Op]) -> dict[FindingCode, Finding]:
    """Return what failed in a queue's whole life."""
    assert worker.create(config)
    worker.run(_ops(*ops))
    worker.destroy()
    return {FindingCode(finding.code): finding for finding in worker.findings() if finding.failed}


@pytest.mark.parametrize("size", [3, 5, 6, 100, 32767])
@pytest.mark.parametrize("features", [0, EVERYTHING])
def test_any_queue_size_up_to_the_wrap(
    size: int, features: int, tiny: Path, tour: Tour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that claims any size has one that is no power of two, up to index 65535 and no further."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "any-size")
    with Worker(tiny) as worker:
        assert worker.create(_config(size, features))
        worker.run(tour(features, size))
        results = worker.run(_ops(Op(Code.ROUNDS, a=70000), Op(Code.ADD, a=1), Op(Code.KICK)))
        rounds, add, kick = [Result(*fields) for fields in RESULT.iter_unpack(results)]
        assert rounds.status < 65536
        assert add.status == STATUS_UNSUPPORTED
        assert 65000 < kick.avail_idx <= 65535
        worker.destroy()
        assert [finding for finding in worker.findings() if finding.failed] == []


def test_what_a_create_without_memory_must_do(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each allocation of create fails once: RP_ENOMEM, all given back; a queue when none is left to fail."""
    config = _config(16, ALL)
    with Worker(tiny) as worker:
        for number in range(1, 7):
            answer = worker.try_create(replace(config, fail_allocation=number))
            assert answer == (False, True)
            assert [finding for finding in worker.findings() if finding.failed] == []
        assert worker.try_create(replace(config, fail_allocation=7)) == (True, False)
        worker.destroy()
    for fault, code in (
        ("short-leaks", FindingCode.LEAK),
        ("short-is-invalid", FindingCode.UNDOCUMENTED_RETURN),
    ):
        monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
        with Worker(tiny) as worker:
            assert worker.try_create(replace(config, fail_allocation=3)) == (False, True)
            failed = {FindingCode(finding.code): finding for finding in worker.findings() if finding.failed}
            assert code in failed
            assert VERDICTS[code].describe(failed[code].a, failed[code].b)


@pytest.mark.parametrize(("habit", "features"), [("none", ALL), ("maps", ALL), ("maps", 0)])
def test_an_add_without_memory_changes_nothing(
    habit: str, features: int, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The k-th allocation or mapping of an ADD fails: it is refused or done otherwise, nothing is left."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", habit)
    ops = [Op(Code.ADD, OpFlag.FAIL_ALLOC, 1, 3, b=k, c=k) for k in range(7)] * 3
    with Worker(tiny) as worker:
        assert worker.create(_config(256, features))
        results = [Result(*fields) for fields in RESULT.iter_unpack(worker.run(_ops(*ops)))]
        assert {result.status for result in results} == ({0, ENOSPC} if habit == "maps" else {0})
        worker.run(_ops(Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=99), *[Op(Code.GET)] * 22))
        worker.destroy()
        assert [finding for finding in worker.findings() if finding.failed] == []


@pytest.mark.parametrize(
    ("features", "code"), [(0, FindingCode.EVENT_WORD_HEEDED), (EVENT_IDX, FindingCode.FLAGS_HEEDED)]
)
def test_a_kick_that_is_lost_for_another_reason_is_not_put_down_to_the_other_word(
    features: int, code: FindingCode, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that never kicks has lost its kick also before the word without influence was moved."""
    moved = Op(Code.SET_FLAGS, a=1) if features else Op(Code.SET_AVAIL_EVENT, a=500)
    ops = [Op(Code.ADD, a=1), Op(Code.KICK)]
    with Worker(tiny) as worker:
        assert worker.create(_config(16, features))
        worker.run(_ops(moved, *ops))
        made = {finding.code: finding for finding in worker.findings()}
        assert (made[code].checked, made[code].failed) == (1, 0)
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "kick-never")
    with Worker(tiny) as worker:
        assert worker.create(_config(16, features))
        worker.run(_ops(*ops, moved))
        failed = {FindingCode(finding.code) for finding in worker.findings() if finding.failed}
        assert failed == {FindingCode.KICK_LOST_EVENT if features else FindingCode.KICK_LOST_FLAGS}


def test_a_length_that_legacy_devices_report_is_not_held_against_the_token(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The used length counts readable bytes: what get_buf says of it matters not, that it comes back does."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "legacy")
    ops = [Op(Code.ADD, a=2, in_=1, b=9), Op(Code.KICK), Op(Code.READ)]
    with Worker(tiny) as worker:
        assert worker.create(_config(16, 0, "legacy"))
        results = worker.run(_ops(*ops, Op(Code.COMPLETE, OpFlag.TOTAL_LENGTH, c=1), Op(Code.GET)))
        got = [Result(*fields) for fields in RESULT.iter_unpack(results)][-1]
        assert (got.status, got.length) == (1, sum(segment(9, i)[1] for i in range(3)))
        made = {finding.code: finding for finding in worker.findings()}
        assert (made[FindingCode.USED_LENGTH].checked, made[FindingCode.USED_LENGTH].failed) == (1, 0)


@pytest.mark.parametrize("features", [IN_ORDER, EVERYTHING])
def test_one_used_entry_retires_a_batch(features: int, tiny: Path) -> None:
    """With IN_ORDER five chains come back for one used entry, which names the last of them."""
    ops = [*[Op(Code.ADD, a=1, b=i) for i in range(6)], Op(Code.KICK), Op(Code.READ)]
    with Worker(tiny) as worker:
        assert worker.create(_config(16, features))
        results = worker.run(_ops(*ops, Op(Code.COMPLETE, a=3, b=7, c=5), *[Op(Code.GET)] * 6))
        got = [Result(*fields) for fields in RESULT.iter_unpack(results)][-6:]
        assert [(result.status, result.token) for result in got] == [*[(1, k) for k in range(1, 6)], (0, 0)]
        used = bytes(worker.used_view())
        assert int.from_bytes(used[2:4], "little") == 5
        assert [int.from_bytes(used[4 + 8 * i :][:4], "little") for i in range(5)] == [4, 0, 0, 0, 0]
        made = {finding.code: finding for finding in worker.findings()}
        assert (made[FindingCode.BATCH_RETIRED].checked, made[FindingCode.BATCH_RETIRED].failed) == (6, 0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("map-and-unmap-early", "while the device owned it"),
        ("map-and-unmap-twice", "nothing is mapped there"),
        ("map-and-lengthen", "with another length"),
        ("map-and-forget", "never unmapped"),
    ],
)
@pytest.mark.parametrize("features", [0, INDIRECT])
def test_each_way_to_go_wrong_with_mappings(
    fault: str, said: str, features: int, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unmapped twice, too early, with another length or never: each is said in its own words."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", fault)
    ops = [*[Op(Code.ADD, a=2)] * 3, Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=3), Op(Code.GET)]
    with Worker(tiny) as worker:
        found = _findings(worker, _config(16, features), ops)
    mapping = found[FindingCode.MAPPING]
    assert said in VERDICTS[FindingCode.MAPPING].describe(mapping.a, mapping.b)


@pytest.mark.parametrize("features", [0, INDIRECT, EVERYTHING])
def test_a_driver_may_part_segments_at_the_ends_of_pages(
    features: int, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes in other pieces are neither a finding nor a warning, and read like what was added."""
    ops = _ops(*[Op(Code.ADD, 0, i % 2, 1 + i % 2, 77 * i) for i in range(4)], Op(Code.KICK), Op(Code.READ))
    reads = []
    for habit in ("none", "splits"):
        monkeypatch.setenv("RINGPROOF_TINY_FAULT", habit)
        with Worker(tiny) as worker:
            assert worker.create(_config(256, features))
            results = [Result(*fields) for fields in RESULT.iter_unpack(worker.run(ops))]
            worker.run(_ops(Op(Code.COMPLETE, c=4), *[Op(Code.GET)] * 5))
            worker.destroy()
            assert [finding for finding in worker.findings() if finding.failed] == []
            reads.append((results[-1].status, results[-1].crc))
    assert reads[0] == reads[1] == (4, reads[0][1])


def test_a_driver_that_never_returns_from_create_hangs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit holds for create as well, and says what was under way."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "hang-create")
    with Worker(tiny, timeout=0.3) as worker, pytest.raises(Hang) as hang:
        worker.create(_config(16, 0))
    assert hang.value.during == "create"
