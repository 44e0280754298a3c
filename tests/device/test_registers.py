"""Registers of the network device, access by access, on both transports, and what a bad device does."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringproof.impl.device.registers import Placement, Registers
from ringproof.impl.harness.net_operations import (
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_MQ,
    F_VERSION_1,
    NOTIFY_OFF_MULTIPLIER,
    NOTIFY_SPREAD,
    Access,
    NetConfig,
    Region,
)

IO, COMMON, NOTIFY, ISR, DEVICE = Region
MQ = F_MQ | F_CTRL_VQ


def legacy(**fields: object) -> Registers:
    """Registers of a legacy device with 3 pairs of queues of 8."""
    return Registers(NetConfig(**{"queue_size": 8, "pairs": 3, "features": MQ, **fields}))  # type: ignore[arg-type]


def modern(**fields: object) -> Registers:
    """The same on the modern transport."""
    return legacy(transport="modern", **fields)


def accept(registers: Registers, features: int) -> None:
    """Accept features as a driver does."""
    if registers.config.transport == "legacy":
        registers.write(IO, 4, 4, features)
        return
    for word in range(2):
        registers.write(COMMON, 8, 4, word)
        registers.write(COMMON, 12, 4, features >> 32 * word & 0xFFFF_FFFF)


def sizes(registers: Registers, queues: Iterable[int]) -> list[int]:
    """What each queue's size reads as."""
    select, size = (
        ((IO, 14), (IO, 12)) if registers.config.transport == "legacy" else ((COMMON, 22), (COMMON, 24))
    )
    found = []
    for queue in queues:
        registers.write(*select, 2, queue)
        found.append(registers.read(*size, 2))
    return found


def test_every_access_is_logged() -> None:
    """Reads and writes are in the log in order, with what was read or written, unknown ones too."""
    registers = legacy()
    registers.read(IO, 0, 4)
    registers.write(IO, 18, 1, 1)
    registers.read(IO, 18, 1)
    registers.read(COMMON, 77, 2)
    registers.write(Region.DEVICE, 3, 4, 9)
    assert registers.log == [
        Access(False, 0, 0, 4, MQ),
        Access(True, 0, 18, 1, 1),
        Access(False, 0, 18, 1, 1),
        Access(False, 1, 77, 2, 0xFFFF),
        Access(True, 4, 3, 4, 9),
    ]
    assert all(type(access.region) is int for access in registers.log)


@given(
    st.sampled_from(["legacy", "modern"]),
    st.lists(
        st.tuples(
            st.booleans(), st.integers(-1, 6), st.integers(-9, 80), st.integers(-1, 9), st.integers(0, 2**34)
        ),
        max_size=40,
    ),
)
def test_no_access_trips_the_device(transport: str, accesses: list[tuple[bool, int, int, int, int]]) -> None:
    """Any access is taken and logged; a read is within its width."""
    registers = legacy(transport=transport)
    for write, region, offset, width, value in accesses:
        if write:
            registers.write(region, offset, width, value)
        else:
            limit = 1 << 8 * width if width in (1, 2, 4) else 1 << 32
            assert 0 <= registers.read(region, offset, width) < limit
    assert len(registers.log) == len(accesses)


@pytest.mark.parametrize(
    ("region", "offset", "width"),
    [
        (IO, 0, 2),
        (IO, 1, 4),
        (IO, 18, 2),
        (IO, 16, 2),
        (IO, 30, 1),
        (IO, 21, 2),
        (IO, 28, 4),
        (COMMON, 20, 1),
    ],
)
def test_nothing_reads_as_ones_on_legacy(region: Region, offset: int, width: int) -> None:
    """What is no register, is written only, has another width or is misaligned reads as all ones."""
    assert legacy().read(region, offset, width) == (1 << 8 * width) - 1


@pytest.mark.parametrize(
    ("region", "offset", "width"),
    [
        (COMMON, 56, 4),
        (COMMON, 20, 4),
        (ISR, 1, 1),
        (ISR, 0, 2),
        (NOTIFY, 4, 2),
        (DEVICE, 10, 1),
        (IO, 18, 1),
    ],
)
def test_nothing_reads_as_ones_on_modern(region: Region, offset: int, width: int) -> None:
    """The same on the modern transport."""
    assert modern().read(region, offset, width) == (1 << 8 * width) - 1


def test_configuration_is_the_same_on_both() -> None:
    """Mac, link status and max_virtqueue_pairs can be read at any natural width."""
    expected = b"\x52\x54\x00\x12\x34\x56\x01\x00\x03\x00"
    for registers, region, start in ((legacy(), IO, 20), (modern(), DEVICE, 0)):
        for width in (1, 2):
            words = [registers.read(region, start + at, width) for at in range(0, 10, width)]
            assert b"".join(word.to_bytes(width, "little") for word in words) == expected
        assert registers.read(region, start, 4) == 0x12005452


def test_features_in_words_on_modern() -> None:
    """Features are offered and accepted 32 at a time; words beyond the second are 0."""
    registers = modern(features=MQ | F_EVENT_IDX)
    offered = []
    for word in range(3):
        registers.write(COMMON, 0, 4, word)
        offered.append(registers.read(COMMON, 4, 4))
    assert offered == [MQ | F_EVENT_IDX, 1, 0]
    accept(registers, F_VERSION_1 | F_MQ | 2)
    registers.write(COMMON, 8, 4, 2)
    registers.write(COMMON, 12, 4, 0xFFFF_FFFF)
    assert registers.driver_features == F_VERSION_1 | F_MQ | 2
    assert registers.features == F_VERSION_1 | F_MQ
    for word, expected in enumerate((F_MQ | 2, 1, 0)):
        registers.write(COMMON, 8, 4, word)
        assert registers.read(COMMON, 12, 4) == expected


def test_version_1_can_be_withheld() -> None:
    """A modern device without VERSION_1, which must not be, offers none of the upper 32."""
    registers = modern(withhold_version_1=True)
    registers.write(COMMON, 0, 4, 1)
    assert registers.read(COMMON, 4, 4) == 0


@pytest.mark.parametrize("transport", ["legacy", "modern"])
def test_queues_there_are(transport: str) -> None:
    """Two per pair and the control queue behind them with MQ accepted, else three; others have size 0."""
    registers = legacy(transport=transport)
    assert sizes(registers, range(8)) == [8] * 3 + [0] * 5
    accept(registers, MQ)
    assert sizes(registers, [*range(8), 17, 0xFFFF]) == [8] * 7 + [0] * 3
    assert sizes(legacy(transport=transport, missing_queue=1), range(4)) == [8, 0, 8, 0]
    assert sizes(legacy(transport=transport, queue_size=12), [0]) == [12]


def test_legacy_placement() -> None:
    """A page frame says where all parts are: page, then available ring, then used ring on the next page."""
    registers = legacy()
    registers.write(IO, 14, 2, 1)
    registers.write(IO, 8, 4, 0x41_0003)
    assert registers.read(IO, 8, 4) == 0x41_0003
    assert registers.placement(1) == Placement(8, 0x4_1000_3000, 0x4_1000_3080, 0x4_1000_4000)
    assert registers.placement(0) is None
    registers.write(IO, 8, 4, 0)
    assert registers.placement(1) is None
    registers = legacy(queue_size=256)
    registers.write(IO, 8, 4, 1)
    # 4096 bytes of descriptors and 518 of available ring end in the second page.
    assert registers.placement(0) == Placement(256, 0x1000, 0x2000, 0x3000)


def test_modern_placement() -> None:
    """The device takes size and addresses over when the queue is enabled, once."""
    registers = modern()
    registers.write(COMMON, 22, 2, 2)
    for half, value in enumerate((0x1000, 0x41, 0x2000, 0x42, 0x3000, 0x43)):
        registers.write(COMMON, 32 + 4 * half, 4, value)
        assert registers.read(COMMON, 32 + 4 * half, 4) == value
    registers.write(COMMON, 24, 2, 4)
    assert registers.placement(2) is None
    assert registers.read(COMMON, 28, 2) == 0
    registers.write(COMMON, 28, 2, 1)
    assert registers.read(COMMON, 28, 2) == 1
    placed = Placement(4, 0x41_0000_1000, 0x42_0000_2000, 0x43_0000_3000)
    assert registers.placement(2) == placed
    registers.write(COMMON, 32, 4, 0x9000)
    registers.write(COMMON, 28, 2, 0)
    assert registers.placement(2) == placed
    assert registers.placement(-1) is registers.placement(99) is None


@pytest.mark.parametrize("transport", ["legacy", "modern"])
def test_a_queue_that_is_missing_cannot_be_set_up(transport: str) -> None:
    """Whatever is written to the registers of a queue of size 0 or of none, it stays not set up."""
    registers = legacy(transport=transport, missing_queue=0)
    for queue in (0, 5):
        registers.write(IO, 14, 2, queue)
        registers.write(IO, 8, 4, 1)
        registers.write(COMMON, 22, 2, queue)
        registers.write(COMMON, 24, 2, 8)
        registers.write(COMMON, 32, 4, 0x1000)
        registers.write(COMMON, 28, 2, 1)
        assert registers.placement(queue) is None


def test_notifications_on_legacy() -> None:
    """A 16-bit write at 16 notifies the queue of that number, if there is one."""
    heard: list[int] = []
    registers = Registers(NetConfig(), heard.append)
    for width, value in ((2, 1), (2, 2), (2, 3), (2, 0xFFFF), (4, 1), (1, 1), (2, 0x1_0001)):
        registers.write(IO, 16, width, value)
    assert heard == [1, 2, 1]


def test_notifications_on_modern() -> None:
    """The address tells the queue; the value and other addresses do not count."""
    heard: list[int] = []
    registers = modern()
    registers.notified = heard.append
    accept(registers, MQ)
    for queue in range(8):
        registers.write(COMMON, 22, 2, queue)
        offset = registers.read(COMMON, 30, 2)
        assert offset == (NOTIFY_SPREAD * queue + 1 if queue < 7 else 0)
        registers.write(NOTIFY, offset * NOTIFY_OFF_MULTIPLIER, 2, 5)
        registers.write(NOTIFY, offset * NOTIFY_OFF_MULTIPLIER, 4, queue)
        registers.write(NOTIFY, offset * NOTIFY_OFF_MULTIPLIER + 2, 2, queue)
    assert heard == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("transport", "register"), [("legacy", (IO, 19, 1)), ("modern", (ISR, 0, 1))])
def test_isr_is_cleared_by_reading(transport: str, register: tuple[int, int, int]) -> None:
    """Bits gather until ISR is read."""
    registers = legacy(transport=transport)
    registers.raise_interrupt(1)
    registers.raise_interrupt(2)
    assert [registers.read(*register), registers.read(*register)] == [3, 0]


@pytest.mark.parametrize(("transport", "status"), [("legacy", (IO, 18, 1)), ("modern", (COMMON, 20, 1))])
def test_reset_forgets_all(transport: str, status: tuple[int, int, int]) -> None:
    """A write of 0 clears queues, features, ISR and status, and counts as a new epoch."""
    registers = legacy(transport=transport)
    accept(registers, MQ)
    registers.write(IO, 8, 4, 1)
    registers.write(COMMON, 28, 2, 1)
    registers.raise_interrupt(1)
    registers.write(*status, 7)
    assert registers.driver_ok
    assert registers.placement(0) is not None
    epoch = registers.epoch
    registers.write(*status, 0)
    assert (registers.driver_ok, registers.isr, registers.driver_features) == (False, 0, 0)
    assert registers.placement(0) is None
    assert registers.epoch == epoch + 1
    assert registers.read(*status) == 0


@pytest.mark.parametrize(("transport", "status"), [("legacy", (IO, 18, 1)), ("modern", (COMMON, 20, 1))])
def test_a_slow_reset(transport: str, status: tuple[int, int, int]) -> None:
    """After a reset, status reads as before for some time, though a second reset changes nothing in that."""
    registers = legacy(transport=transport, reset_reads=2)
    assert registers.read(*status) == 0
    registers.write(*status, 7)
    registers.write(*status, 0)
    assert not registers.driver_ok
    assert registers.read(*status) == 7
    registers.write(*status, 0)
    assert [registers.read(*status) for _ in range(4)] == [7, 7, 0, 0]
    registers.write(*status, 0)
    registers.write(*status, 1)
    assert registers.read(*status) == 1


def test_refused_features() -> None:
    """A device that refuses the features does not let FEATURES_OK stick; an honest one does."""
    for refuses, expected in ((True, 3), (False, 11)):
        registers = modern(refuses_features=refuses)
        registers.write(COMMON, 20, 1, 11)
        assert registers.read(COMMON, 20, 1) == expected


def test_what_never_changes_on_modern() -> None:
    """There are no MSI-X vectors and the configuration is always of generation 0."""
    registers = modern()
    assert [registers.read(COMMON, offset, 2) for offset in (16, 26)] == [0xFFFF, 0xFFFF]
    assert registers.read(COMMON, 21, 1) == 0
    assert registers.read(COMMON, 18, 2) == 7
    assert modern(features=0).read(COMMON, 18, 2) == 3
