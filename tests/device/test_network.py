"""The network device over memory written by hand: captures, completions, the control queue, violations."""

import struct
from collections.abc import Sequence
from zlib import crc32

import pytest

from ringproof.impl.device.device import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, Violation
from ringproof.impl.device.network import NetDevice
from ringproof.impl.device.registers import Placement, Registers
from ringproof.impl.harness.net_operations import (
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    F_MQ,
    Capture,
    NetConfig,
    Region,
)

RINGS = 0x10_0000
DATA = 0x77_0000_0000
BYTES = 1 << 16
SIZE = 8
MQ = F_MQ | F_CTRL_VQ
CONTROL = 6


class Guest:
    """A legacy device with 3 pairs of queues of 8, all set up, and memory for rings and for data."""

    def __init__(self, features: int = MQ) -> None:
        self.rings = bytearray(7 * 3 * 4096)
        self.data = bytearray(BYTES)
        windows = [(DATA, memoryview(self.data)), (RINGS, memoryview(self.rings))]
        self.registers = Registers(NetConfig(queue_size=SIZE, pairs=3, features=features))
        self.device = NetDevice(windows, self.registers)
        self.registers.notified = self.device.notified
        self.registers.write(Region.IO, 4, 4, features)
        for queue in range(7):
            self.place(queue, RINGS + 3 * 4096 * queue)
        self.status(7)

    def status(self, value: int) -> None:
        """Write the device status."""
        self.registers.write(Region.IO, 18, 1, value)

    def place(self, queue: int, address: int) -> None:
        """Set a queue up at an address."""
        self.registers.write(Region.IO, 14, 2, queue)
        self.registers.write(Region.IO, 8, 4, address // 4096)

    def notify(self, queue: int) -> None:
        """Notify the device."""
        self.registers.write(Region.IO, 16, 2, queue)

    def where(self, queue: int) -> Placement:
        """Say where a queue is."""
        placement = self.registers.placement(queue)
        assert placement is not None
        return placement

    def word(self, address: int) -> int:
        """Return two bytes of a ring."""
        return int(struct.unpack_from("<H", self.rings, address - RINGS)[0])

    def describe(self, queue: int, head: int, segments: Sequence[tuple[int, int, int]]) -> None:
        """Write a chain of consecutive descriptors from ``head`` on; flags NEXT are added."""
        for i, (address, length, flags) in enumerate(segments):
            more = DESC_F_NEXT if i < len(segments) - 1 else 0
            at = self.where(queue).desc - RINGS + 16 * (head + i)
            struct.pack_into("<QIHH", self.rings, at, address, length, flags | more, head + i + 1)

    def publish(self, queue: int, head: int, segments: Sequence[tuple[int, int, int]] = ()) -> None:
        """Describe a chain and make it available."""
        self.describe(queue, head, segments)
        avail = self.where(queue).avail
        index = self.word(avail + 2)
        struct.pack_into("<H", self.rings, avail - RINGS + 4 + 2 * (index % SIZE), head)
        struct.pack_into("<H", self.rings, avail - RINGS + 2, index + 1 & 0xFFFF)

    def command(self, *values: int, head: int = 0) -> int:
        """Send a control command in two segments and return the answer, 0xFF if there is none."""
        self.data[:5] = b"\xff" * 5
        self.data[5 : 5 + len(values)] = bytes(values)
        self.publish(
            CONTROL, head, [(DATA + 5, 2, 0), (DATA + 7, len(values) - 2, 0), (DATA + 4, 1, DESC_F_WRITE)]
        )
        self.notify(CONTROL)
        return self.data[4]


def test_captures_bytes_in_order() -> None:
    """A chain over both windows is captured byte for byte, its head and segments with it."""
    guest = Guest()
    guest.data[100:110] = b"0123456789"
    guest.rings[8:12] = b"\1\2\3\4"
    segments = [(DATA + 103, 4, 0), (RINGS + 8, 0, 0), (RINGS + 8, 3, 0), (DATA + 100, 2, 0)]
    guest.publish(1, 2, segments)
    assert guest.device.read(1, 0) == (1, crc32(struct.pack("<I", 9) + b"3456\1\2\x0301"))
    assert guest.device.captures == [Capture(1, 2, b"3456\1\2\x0301")]
    assert guest.device.segments == [segments]


def test_reads_up_to_a_limit() -> None:
    """NET_READ takes as many chains as asked, in the order published, and the CRC runs over all of them."""
    guest = Guest()
    guest.data[:6] = b"abcdef"
    for head in range(3):
        guest.publish(3, head, [(DATA + 2 * head, 2, 0)])
    assert guest.device.read(3, 1) == (1, crc32(struct.pack("<I", 2) + b"ab"))
    assert guest.device.read(3, 0) == (2, crc32(struct.pack("<I", 2) + b"cd" + struct.pack("<I", 2) + b"ef"))
    assert guest.device.read(3, 0) == (0, 0)
    assert [capture.head for capture in guest.device.captures] == [0, 1, 2]


@pytest.mark.parametrize("table", [DATA + 512, RINGS + 2 * 4096 + 512])
def test_tables_in_any_window(table: int) -> None:
    """The descriptors of an indirect chain may lie anywhere in memory, linked in any order."""
    guest = Guest(MQ | F_INDIRECT_DESC)
    guest.data[:4] = b"wxyz"
    memory, at = (guest.data, table - DATA) if table >= DATA else (guest.rings, table - RINGS)
    struct.pack_into("<QIHH", memory, at, DATA + 2, 2, DESC_F_NEXT, 2)
    struct.pack_into("<QIHH", memory, at + 32, DATA, 1, 0, 0)
    guest.publish(1, 5, [(table, 48, DESC_F_INDIRECT)])
    assert guest.device.read(1, 0) is not None
    assert guest.device.captures == [Capture(1, 5, b"yzw")]
    assert guest.device.segments == [[(DATA + 2, 2, 0), (DATA, 1, 0)]]


def test_completes_and_interrupts() -> None:
    """A completion is in the used ring with length 0; bit 0 of ISR is set if the driver wants to know."""
    guest = Guest()
    guest.publish(1, 4, [(DATA, 5, 0)])
    guest.device.read(1, 0)
    assert guest.device.complete(1, 0, 0, 9) == (1, True)
    used = guest.where(1).used
    assert struct.unpack_from("<HHII", guest.rings, used - RINGS) == (0, 1, 4, 0)
    assert guest.registers.isr == 1
    assert guest.device.complete(1, 0, 0, 9) == (0, False)
    guest.registers.isr = 0
    struct.pack_into("<H", guest.rings, guest.where(1).avail - RINGS, 1)
    guest.publish(1, 4)
    guest.device.read(1, 0)
    assert guest.device.complete(1, 0, 0, 9) == (1, False)
    assert guest.registers.isr == 0


def test_suppression_words() -> None:
    """Flags and avail_event go where the driver looks for them."""
    guest = Guest()
    used = guest.where(3).used
    assert guest.device.set_flags(3, 1)
    guest.publish(3, 0, [(DATA, 1, 0)])
    assert guest.device.set_avail_event(3, 7, relative=True)
    assert guest.word(used) == 1
    assert guest.word(used + 4 + 8 * SIZE) == 8


@pytest.mark.parametrize("queue", [1, 7, 99])
def test_nothing_before_driver_ok(queue: int) -> None:
    """Before DRIVER_OK, after a reset, and on a queue there is not, nothing is touched."""
    guest = Guest()
    guest.status(0)
    device = guest.device
    rings = bytes(guest.rings)
    assert device.read(queue, 0) is None
    assert device.complete(queue, 0, 0, 1) is None
    assert not device.set_flags(queue, 1)
    assert not device.set_avail_event(queue, 1)
    guest.notify(CONTROL)
    assert guest.rings == rings


def begun(guest: Guest) -> bool:
    """Tell whether queue 1 begins at index 0 on zeroed rings, with nothing in flight."""
    guest.rings[:] = bytes(len(guest.rings))
    if guest.device.complete(1, 0, 0, 9) != (0, False):
        return False
    guest.publish(1, 3, [(DATA, 1, 0)])
    return guest.device.read(1, 0) == (1, crc32(struct.pack("<I", 1) + b"\0"))


def test_a_reset_forgets_chains() -> None:
    """After a reset a queue begins anew, set up where it was before or elsewhere."""
    for address in (RINGS + 3 * 4096, RINGS):
        guest = Guest()
        for head in range(2):
            guest.publish(1, head, [(DATA, 1, 0)])
        guest.device.read(1, 0)
        guest.status(0)
        guest.registers.write(Region.IO, 4, 4, MQ)
        guest.place(1, address)
        guest.status(7)
        assert begun(guest)


def test_a_queue_placed_elsewhere_begins_anew() -> None:
    """Also without a reset, and back where it was, too."""
    guest = Guest()
    guest.publish(1, 0, [(DATA, 1, 0)])
    guest.device.read(1, 0)
    guest.place(1, RINGS)
    assert begun(guest)
    guest.place(1, 0)
    assert guest.device.read(1, 0) is None
    guest.place(1, RINGS)
    assert begun(guest)


def test_control_commands() -> None:
    """The number of pairs is accepted from 1 to what there are, remembered until a reset; all else is not."""
    guest = Guest()
    assert guest.device.pairs == 1
    assert guest.command(4, 0, 3, 0) == 0
    assert guest.device.pairs == 3
    for refused in (
        (4, 0, 4, 0),
        (4, 0, 0, 0),
        (4, 0, 3, 1),
        (4, 1, 2, 0),
        (5, 0, 2, 0),
        (4, 0, 2),
        (4, 0, 2, 0, 0),
    ):
        assert guest.command(*refused) == 1
        assert guest.device.pairs == 3
    assert guest.command(4, 0, 1, 0) == 0
    assert guest.device.pairs == 1
    assert guest.word(guest.where(CONTROL).used + 2) == 9
    assert struct.unpack_from("<II", guest.rings, guest.where(CONTROL).used - RINGS + 4) == (0, 1)
    guest.command(4, 0, 2, 0)
    guest.status(0)
    assert guest.device.pairs == 1
    assert guest.device.captures == []


def test_control_commands_with_event_index() -> None:
    """avail_event follows each command, so that the next one is notified; a due interrupt is raised."""
    guest = Guest(MQ | F_EVENT_IDX)
    event = guest.where(CONTROL).used + 4 + 8 * SIZE
    for i in range(1, 4):
        assert guest.command(4, 0, i, 0) == 0
        assert guest.word(event) == i
        # used_event is 0: the first completion passes it.
        assert guest.registers.isr == (i == 1)
        guest.registers.isr = 0


def test_several_control_commands_at_once() -> None:
    """One notification serves everything published."""
    guest = Guest()
    guest.data[:10] = bytes((4, 0, 2, 0, 0xFF, 4, 0, 3, 0, 0xFF))
    guest.publish(CONTROL, 0, [(DATA, 4, 0), (DATA + 4, 1, DESC_F_WRITE)])
    guest.publish(CONTROL, 2, [(DATA + 5, 4, 0), (DATA + 9, 1, DESC_F_WRITE)])
    guest.notify(CONTROL)
    assert (guest.data[4], guest.data[9], guest.device.pairs) == (0, 0, 3)


def test_commands_read_but_not_answered() -> None:
    """A command that the device was told to read gets no answer, and the next one gets its own."""
    guest = Guest()
    guest.publish(CONTROL, 4, [(DATA, 4, 0), (DATA + 4, 1, DESC_F_WRITE)])
    assert guest.device.read(CONTROL, 0) is not None
    assert guest.command(4, 0, 3, 0) == 0
    used = guest.where(CONTROL).used - RINGS
    assert struct.unpack_from("<HHII", guest.rings, used) == (0, 1, 0, 1)
    assert guest.word(guest.where(CONTROL).used + 4 + 8 * SIZE) == 0


def test_other_notifications_wait() -> None:
    """A notification of another queue does nothing until the device is told to read."""
    guest = Guest()
    for queue in (0, 1, 4, 5):
        guest.publish(queue, 0, [(DATA, 1, 0)])
        guest.notify(queue)
        assert guest.word(guest.where(queue).used + 2) == 0
        assert guest.device.captures == []
        assert guest.device.read(queue, 0) == (1, crc32(struct.pack("<I", 1) + b"\0"))
        guest.device.captures.clear()


def test_receive_chains_are_read_but_not_captured() -> None:
    """Chains on other queues may be device-writable, and are no captures."""
    guest = Guest()
    guest.publish(0, 0, [(DATA, 100, DESC_F_WRITE)])
    assert guest.device.read(0, 0) == (1, crc32(struct.pack("<I", 0)))
    assert guest.device.captures == []


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        (
            [(DATA, 12, 0), (DATA, 5, DESC_F_WRITE)],
            "segment 1 of the chain at head 2 of queue 1 is device-writable",
        ),
        (
            [(DATA + BYTES - 4, 5, 0)],
            "segment 0 of the chain at head 2 of queue 1 is not in memory: 5 bytes at",
        ),
        ([(0, 1, 0)], "not in memory: 1 bytes at address 0x0"),
        ([((1 << 64) - 1, 1, 0)], "is not in memory"),
        ([(DATA, 0xFFFF_FFFF, 0)], "more than 1048576 bytes"),
        ([(DATA, 0, DESC_F_INDIRECT)], "head 2 has a table of 0 bytes"),
        ([(DATA, 24, DESC_F_INDIRECT)], "head 2 has a table of 24 bytes"),
        ([(DATA + BYTES - 16, 32, DESC_F_INDIRECT)], "head 2 has a table of 32 bytes"),
    ],
)
def test_transmit_chains_that_cannot_be(segments: list[tuple[int, int, int]], words: str) -> None:
    """A chain the device cannot transmit is a violation that says which segment and why."""
    guest = Guest(MQ | F_INDIRECT_DESC)
    guest.publish(1, 2, segments)
    with pytest.raises(Violation, match="chain-well-formed") as caught:
        guest.device.read(1, 0)
    assert words in caught.value.detail
    assert "\n" not in caught.value.detail


def test_commands_without_room_for_an_answer() -> None:
    """A command must have a byte for the answer, and it must be in memory."""
    guest = Guest()
    guest.publish(CONTROL, 0, [(DATA, 4, 0)])
    with pytest.raises(Violation, match="no room for an answer"):
        guest.notify(CONTROL)
    guest = Guest()
    guest.publish(CONTROL, 0, [(DATA, 4, 0), (12, 1, DESC_F_WRITE)])
    with pytest.raises(Violation, match="answer at head 0 of queue 6 would go to address 0xc"):
        guest.notify(CONTROL)


def test_queues_where_none_can_be() -> None:
    """A queue set up outside of memory, misaligned or with an impossible size is a violation when used."""
    guest = Guest()
    guest.place(1, DATA + BYTES)
    with pytest.raises(Violation, match="queue-set-up: queue 1 was set up at address 0x7700010000"):
        guest.device.read(1, 0)
    guest.place(1, RINGS + len(guest.rings) - 4096)
    with pytest.raises(Violation, match="queue 1: the used ring at address"):
        guest.device.read(1, 0)
    for size in (0, 12, 0x8001):
        registers = Registers(NetConfig(transport="modern", queue_size=8))
        registers.write(Region.COMMON, 24, 2, size)
        registers.write(Region.COMMON, 32, 4, RINGS)
        registers.write(Region.COMMON, 28, 2, 1)
        registers.write(Region.COMMON, 20, 1, 15)
        device = NetDevice([(RINGS, memoryview(guest.rings))], registers)
        if size:
            with pytest.raises(Violation, match=f"queue 0 was set up with {size} descriptors"):
                device.read(0, 0)
        else:
            assert device.read(0, 0) is None
