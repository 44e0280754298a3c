"""Register logs written by hand: lawful ones pass in any order, each clause fails by a log that breaks it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ringproof.impl.harness.net_operations import (
    F_CSUM,
    F_CTRL_VQ,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_MAC,
    F_MQ,
    F_STATUS,
    F_VERSION_1,
    Access,
    NetConfig,
    Region,
)
from ringproof.impl.harness.operations import ARENA_ADDRESS
from ringproof.validation.clauses import CLAUSES, Docket
from ringproof.validation.lifecycle import LifeCycle, judge

Log = list[Access]


def w(offset: int, value: int, width: int = 4, region: int = Region.COMMON) -> Access:
    """A write."""
    return Access(True, region, offset, width, value)


def r(offset: int, value: int, width: int = 1, region: int = Region.COMMON) -> Access:
    """A read, and what it gave."""
    return Access(False, region, offset, width, value)


def status(*values: int) -> Log:
    """Writes of device_status on the modern transport."""
    return [w(20, value, 1) for value in values]


def accept(low: int, high: int = 1) -> Log:
    """Both words of driver_features."""
    return [w(8, 0), w(12, low), w(8, 1), w(12, high)]


def queue(number: int, size: int = 256, at: int = ARENA_ADDRESS) -> Log:
    """A modern queue's size and addresses."""
    at += number << 16
    words = [w(22, number, 2), r(24, size, 2), w(24, size, 2)]
    for offset, address in ((32, at), (40, at + 16 * size), (48, at + 32 * size)):
        words += [w(offset, address & 0xFFFF_FFFF), w(offset + 4, address >> 32)]
    return words


def enable(number: int) -> Log:
    """Its queue_enable."""
    return [w(22, number, 2), w(28, 1, 2)]


RESET = [w(20, 0, 1), r(20, 0)]
READ_BACK = [r(20, 11)]
MODERN = NetConfig(features=F_CSUM | F_MAC, transport="modern")
LEGACY = NetConfig(features=F_CSUM | F_MAC)
GOOD: Log = [
    *RESET, *status(1, 3), w(0, 0), r(4, F_CSUM | F_MAC, 4), w(0, 1), r(4, 1, 4), *accept(F_CSUM | F_MAC),
    *status(11), *READ_BACK, *queue(0), *enable(0), *queue(1), *enable(1), *status(15),
]  # fmt: skip


def io(offset: int, value: int, width: int = 4) -> Access:
    """A write on the legacy transport."""
    return w(offset, value, width, Region.IO)


def place(number: int, page: int, size: int = 256) -> Log:
    """A legacy queue."""
    return [io(14, number, 2), r(12, size, 2, Region.IO), io(8, page)]


PAGE = ARENA_ADDRESS // 4096
GOOD_LEGACY: Log = [
    io(18, 0, 1), r(18, 0, 1, Region.IO), io(18, 1, 1), io(18, 3, 1), r(0, F_CSUM | F_MAC, 4, Region.IO),
    io(4, F_CSUM), *place(0, PAGE), *place(1, PAGE + 8), io(18, 7, 1),
]  # fmt: skip


def broken(docket: Docket) -> dict[str, int | None]:
    """The clauses broken, and by which access."""
    return {clause: access for clause, (access, _) in docket.breaches.items()}


def replaced(log: Log, old: Sequence[Access], new: Sequence[Access]) -> Log:
    """The log with a part of it replaced; the part must be there."""
    for at in range(len(log) - len(old) + 1):
        if log[at : at + len(old)] == list(old):
            return [*log[:at], *new, *log[at + len(old) :]]
    raise AssertionError("the part is not in the log")


def test_a_lawful_modern_log_passes() -> None:
    """Nothing is broken, and the clauses on order, features, queues and reset are held."""
    docket = judge(GOOD, MODERN, 0)
    assert broken(docket) == {}
    held = {"2.1.1a", "2.1.1b", "2.2.1a", "2.2.1b", "3.1.1a", "3.1.1c", "3.1.1d", "6.1a", "4.1.4.3.2c"}
    assert held | {"4.1.4.3.2d", "4.1.4.3.2e", "2.7.1a", "2.7/n1"} <= docket.held.keys()


def test_a_lawful_legacy_log_passes() -> None:
    """The legacy sequence has its own clauses."""
    docket = judge(GOOD_LEGACY, LEGACY, 0)
    assert broken(docket) == {}
    assert {"3.1.2a", "2.2.3a", "2.4.2a", "2.7.2a", "2.7.2b", "2.1.1a"} <= docket.held.keys()


@pytest.mark.parametrize(
    "log",
    [
        [*RESET, *status(3), *accept(1), *status(11), *READ_BACK, *status(15)],
        [
            *RESET, r(20, 0), *status(1), r(20, 1), *status(3), w(8, 1), w(12, 1), w(8, 0), w(12, F_MAC),
            w(12, 0), *status(11), r(20, 11), r(20, 11), *queue(1), *queue(0), *enable(1), *enable(0),
            *status(15), w(64, 1, 2, Region.NOTIFY),
        ],
        [r(20, 0), w(20, 0, 1), r(20, 7), r(20, 7), r(20, 0), *GOOD[2:]],
        [*GOOD, w(20, 0, 1), r(20, 0), *status(1), *GOOD],
        [*GOOD[:-1], *status(15 | 128), *GOOD],
    ],
)  # fmt: skip
def test_other_lawful_orders_pass(log: Log) -> None:
    """Queues enabled in a second pass, high word first, needless reads, bits set at once, a second life."""
    assert broken(judge(log, MODERN)) == {}


@pytest.mark.parametrize(
    ("log", "clauses"),
    [
        (replaced(GOOD, status(3), status(2)), {"2.1.1b"}),
        ([*GOOD, *status(128 | 15), *status(128 | 15 | 16)], {"2.1.1c"}),
        (replaced(GOOD, status(1, 3), status(1)), {"3.1.1a"}),
        (GOOD[2:], {"3.1.1a"}),
        (replaced(GOOD, accept(F_CSUM | F_MAC), accept(F_CSUM | F_STATUS)), {"2.2.1a"}),
        (replaced(GOOD, accept(F_CSUM | F_MAC), accept(0, 0)), {"6.1a"}),
        (replaced(GOOD, accept(F_CSUM | F_MAC), []), {"6.1a"}),
        (replaced(GOOD, RESET, RESET[:1]), {"4.1.4.3.2e"}),
        (replaced(GOOD, READ_BACK, []), {"3.1.1d"}),
        (replaced(GOOD, [*status(11), *READ_BACK], []), {"3.1.1a", "3.1.1d"}),
        ([*GOOD[:-1], *accept(F_CSUM | F_MAC), *status(15)], set()),
        ([*GOOD[:-1], *accept(F_CSUM | F_MAC | 1 << 41), *status(15)], {"3.1.1c", "2.2.1a"}),
        (replaced(GOOD, status(11), [w(0, 5, 1, Region.DEVICE), *status(11)]), {"3.1.1b", "5.1.4.2a"}),
        ([*GOOD, w(6, 1, 2, Region.DEVICE)], {"5.1.4.2a"}),
        ([*GOOD[:-1], w(64, 1, 2, Region.NOTIFY), *status(15)], {"3.1.1g"}),
        ([*GOOD, w(64, 1, 4, Region.NOTIFY)], {"4.1.5.2.1a"}),
        ([*GOOD, w(16, 1, 2, Region.NOTIFY)], {"4.1.5.2.1b"}),
        ([*GOOD, w(112, 2, 2, Region.NOTIFY)], {"4.1.5.2.1b"}),
        ([*GOOD, w(4, 1, 4)], {"4.1.4.3.2a"}),
        (replaced(GOOD, [w(24, 256, 2)], [w(24, 255, 2)]), {"4.1.4.3.2c", "2.7/n1"}),
        ([*GOOD, *enable(0)[:1], w(28, 0, 2)], {"4.1.4.3.2f"}),
        (replaced(GOOD, [*queue(1), *enable(1)], [*enable(1), *queue(1)]), {"4.1.4.3.2d"}),
        (replaced(GOOD, queue(1), queue(1, at=ARENA_ADDRESS + 8)), {"2.7.1a"}),
        (replaced(GOOD, queue(1), queue(1, at=1 << 16)), {"2.7.1a"}),
        ([*GOOD, *queue(2), *enable(2)], {"3.1.1a"}),
    ],
)
def test_a_modern_log_that_breaks_a_clause(log: Log, clauses: set[str]) -> None:
    """Each by one change of a lawful log; no other clause is blamed."""
    assert set(broken(judge(log, MODERN))) == clauses


@pytest.mark.parametrize(
    ("log", "clauses"),
    [
        (replaced(GOOD_LEGACY, [io(18, 7, 1)], [io(18, 15, 1)]), {"3.1.2a"}),
        ([*GOOD_LEGACY[:-5], io(18, 7, 1), *GOOD_LEGACY[-5:-1]], {"3.1.2a"}),
        (replaced(GOOD_LEGACY, [r(18, 0, 1, Region.IO)], []), {"2.4.2a"}),
        (replaced(GOOD_LEGACY, place(1, PAGE + 8), [place(1, PAGE + 8)[0], io(8, PAGE + 8)]), {"2.7.2a"}),
        (replaced(GOOD_LEGACY, place(1, PAGE + 8), place(1, PAGE + 1)), {"2.7.2b"}),
        (replaced(GOOD_LEGACY, place(1, PAGE + 8), place(1, 7)), {"2.7.2b"}),
        (replaced(GOOD_LEGACY, place(1, PAGE + 8), place(1, PAGE + 8, 100)), {"2.7/n1"}),
        ([*GOOD_LEGACY, io(14, 1, 2), io(8, 0)], {"3.3.1b"}),
        ([*GOOD_LEGACY, io(16, 5, 2)], {"4.1.5.2.1b"}),
        ([*GOOD_LEGACY[:-1], io(16, 1, 2), io(18, 7, 1)], {"3.1.1g"}),
        ([*GOOD_LEGACY, io(26, 1, 1)], {"5.1.4.2a"}),
    ],
)
def test_a_legacy_log_that_breaks_a_clause(log: Log, clauses: set[str]) -> None:
    """Each by one change of a lawful log; no other clause is blamed."""
    assert set(broken(judge(log, LEGACY))) == clauses


def test_an_access_is_named_by_its_number() -> None:
    """The number of the write that cleared a bit."""
    log = replaced(GOOD, status(3), status(2))
    assert broken(judge(log, MODERN)) == {"2.1.1b": 3}


def test_requirements_among_features() -> None:
    """TSO4 without CSUM, ECN without TSO, MQ without CTRL_VQ are breaches; bits that are undefined, too."""
    for features, clause in (
        (F_HOST_TSO4, "2.2.1b"),
        (F_CSUM | F_HOST_ECN, "2.2.1b"),
        (F_MQ, "2.2.1b"),
        (F_CTRL_VQ | F_MQ | F_CSUM | F_HOST_TSO4 | F_HOST_ECN, ""),
        (1 << 25, "2.2.1d"),
    ):
        config = replace(MODERN, features=features)
        log = replaced(GOOD, accept(F_CSUM | F_MAC), accept(features & 0xFFFF_FFFF))
        assert set(broken(judge(log, config))) == ({clause} if clause else set())


def test_what_a_legacy_device_offers_is_to_be_accepted_or_not() -> None:
    """ANY_LAYOUT is to be accepted, bit 30 is not."""
    config = replace(LEGACY, features=F_CSUM | F_MAC | 1 << 27 | 1 << 30)
    assert set(broken(judge(GOOD_LEGACY, config))) == {"6.3a"}
    both = replaced(GOOD_LEGACY, [io(4, F_CSUM)], [io(4, 1 << 27 | 1 << 30)])
    assert set(broken(judge(both, config))) == {"6.3b"}


def test_a_refusal_ends_the_initialisation() -> None:
    """With FEATURES_OK refused: FAILED is to be set, and no queue enabled, nor DRIVER_OK set."""
    config = replace(MODERN, refuses_features=True)
    start = [*GOOD[: GOOD.index(READ_BACK[0])], r(20, 3)]
    good = judge([*start, *status(3 | 128)], config, -19)
    assert broken(good) == {}
    assert {"2.2.1f", "3.1.1e", "3.1.1f", "3.1.1d"} <= good.held.keys() | {"3.1.1d"}
    assert set(broken(judge(start, config, -19))) == {"2.2.1f", "3.1.1e"}
    assert "3.1.1f" in broken(judge([*start, *queue(0), *enable(0), *status(7)], config, 0))


def test_an_unknown_bit_is_no_reason_to_fail() -> None:
    """Failing a sound device that offers one breaks a clause, going on holds it."""
    config = replace(MODERN, features=F_CSUM | F_MAC | 1 << 26)
    assert "2.2.1g" in judge(GOOD, config, 0).held
    failed = [*RESET, *status(1, 3, 3 | 128)]
    assert set(broken(judge(failed, config, -19))) == {"2.2.1g"}


def test_a_device_without_version_1_is_not_run_by_the_modern_sections() -> None:
    """Giving up holds the clause, DRIVER_OK breaks it."""
    config = replace(MODERN, withhold_version_1=True)
    given_up = judge([*RESET, *status(1, 3, 3 | 128)], config, -19)
    assert broken(given_up) == {}
    assert {"2.2.3a", "2.2.1f"} <= given_up.held.keys()
    assert "2.2.3a" in broken(judge(replaced(GOOD, accept(F_CSUM | F_MAC), accept(1, 0)), config, 0))


def test_configuration_is_read_as_the_generation_allows() -> None:
    """Six bytes of mac between two equal generations; without them, or with a change ignored, a warning."""
    mac = [r(at, 0x52, 1, Region.DEVICE) for at in range(6)]
    generation, changed = r(21, 0), r(21, 1)
    for reads, right in (
        ([generation, *mac, generation], True),
        ([generation, *mac, changed, *mac, changed], True),
        ([generation, r(0, 1, 1, Region.DEVICE)], True),
        (mac, False),
        ([generation, *mac], False),
        ([*mac, generation], False),
        ([generation, *mac, changed], False),
    ):
        docket = judge(replaced(GOOD, READ_BACK, [*READ_BACK, *reads]), MODERN, 0)
        assert ("2.5.1a" in docket.breaches) is not right
        assert docket.ruling(CLAUSES["2.5.1a"]).verdict in ("pass", "warn", "not exercised")


def test_a_field_needs_its_feature() -> None:
    """max_virtqueue_pairs without MQ is not to be read."""
    docket = judge([*GOOD, r(8, 1, 2, Region.DEVICE)], MODERN)
    assert set(broken(docket)) == {"2.5.1b"}


def test_probe_and_remove_are_judged_by_how_they_end() -> None:
    """Success without DRIVER_OK, and removal without a reset, are breaches."""
    assert set(broken(judge(GOOD[:-1], MODERN, 0))) == {"2.1.1a"}
    life = LifeCycle(MODERN)
    life.see(GOOD)
    life.removed()
    assert set(broken(life.docket)) == {"3.3.1b"}
    life = LifeCycle(MODERN)
    life.see([*GOOD, *RESET])
    life.removed()
    assert broken(life.docket) == {}
    assert life.features == 0


def test_accepted_features_are_known() -> None:
    """Both words, as long as this life lasts."""
    life = LifeCycle(MODERN)
    life.see(GOOD)
    assert life.features == F_VERSION_1 | F_CSUM | F_MAC


def test_what_was_not_seen_is_not_called_passed() -> None:
    """Clauses without a test are not exercised or not observable, each with a reason."""
    rulings = {ruling.clause: ruling for ruling in judge(GOOD, MODERN, 0).rulings()}
    assert set(rulings) == set(CLAUSES)
    assert rulings["3.1.2a"].verdict == "not exercised"
    assert rulings["2.7.13.3.1a"].verdict == "not observable"
    assert all(ruling.detail for ruling in rulings.values())
