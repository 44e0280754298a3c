"""What a driver may do, well or badly, one small thing after the other, drawn from numbers."""

import random
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from ringproof.live.decoding import records_of
from ringproof.live.records import Record
from ringproof.live.session import Behaviour, Interrupts, Options, Order, Session, Suppress
from tests.live.frames_drawn import sent
from tests.live.simulated_driver import (
    GUEST,
    HALF,
    INDIRECT,
    NEXT,
    PROTOCOL,
    STATUS_BIT,
    WRITE,
    GoneError,
    Ring,
    SimulatedDriver,
    header,
)

RECEIVE, SEND, SEND_SECOND = 0, 1, 3
PATIENCE_MS = 3
_PAIRS = 2


class Run:
    """A session and its driver, with all segments taken as they come. A context manager by its driver."""

    def __init__(self, session: Session, driver: SimulatedDriver, size: int, seed: int) -> None:
        self.session = session
        self.driver = driver
        self.size = size
        self.rng = random.Random(seed)
        self.segments: list[bytes] = []

    @property
    def alive(self) -> bool:
        """Whether the session still listens to the front-end."""
        return self.session.trouble()[0] == 0

    def ring(self) -> Ring | None:
        """A queue that was started, mostly the one that sends."""
        rings = self.driver.rings
        number = self.rng.choice((SEND, SEND, SEND, SEND, RECEIVE, SEND_SECOND))
        return rings.get(number) or rings.get(SEND)

    def take(self) -> None:
        """Take the segments that are whole."""
        while segment := self.session.segment(0):
            self.segments.append(segment)
            self.session.segment_taken()

    def records(self) -> list[Record]:
        """All that was recorded; each segment's checkpoint is among it."""
        return [record for segment in self.segments for record in records_of(segment)]


def options(offered: int) -> Options:
    """A device whose patience is short, and of which every segment must be taken."""
    return Options(offered, STATUS_BIT, patience_ms=PATIENCE_MS, keep=True, pairs=_PAIRS, mtu=1000)


# What goes well.


def honest(run: Run, ring: Ring) -> None:
    """Some frames, kicked for as it is asked."""
    driver, rng = run.driver, run.rng
    driver.reclaim(ring)
    before = ring.avail_idx
    for _ in range(rng.choice((1, 1, 2, 5))):
        publish(run, ring)
    driver.kick_if_wanted(ring, before)


def publish(run: Run, ring: Ring) -> None:
    """One frame, or one buffer to receive into."""
    driver, rng = run.driver, run.rng
    indirect = driver.features >> 28 & 1 == 1 and rng.random() < 0.3
    if ring.number % 2 == 0:
        driver.add(ring, [1600], bytes(1600), indirect, WRITE)
        return
    data = header(driver.features) + bytes(rng.choice((14, 60, 200, 900)))
    size = len(header(driver.features))
    pieces = rng.choice(([len(data)], [size, len(data) - size], [size, 7, len(data) - size - 7]))
    if not driver.features >> 32 & 1 and not driver.features >> 27 & 1:
        pieces = [size, len(data) - size]
    driver.add(ring, pieces, data, indirect)


def odd_frame(run: Run, ring: Ring) -> None:
    """A frame whose header and packet are anything, kicked for as it is asked."""
    data = sent(run.driver.features, run.rng)
    before = ring.avail_idx
    cut = run.rng.randrange(len(data) + 1)
    run.driver.reclaim(ring)
    run.driver.add(ring, [len(data)] if cut in (0, len(data)) else [cut, len(data) - cut], data)
    run.driver.kick_if_wanted(ring, before)


def work(run: Run, _ring: Ring) -> None:
    """The device works a little."""
    run.driver.run(run.rng.choice((0, 0, 100, 500)))


def wait(run: Run, ring: Ring) -> None:
    """Longer than the device's patience."""
    work(run, ring)
    for _ in range(3):
        run.driver.run(1_000 * PATIENCE_MS)


def behave(run: Run, _ring: Ring) -> None:
    """The device behaves differently."""
    rng = run.rng
    run.session.behave(
        Behaviour(
            order=rng.choice(list(Order)),
            batch=rng.choice((0, 0, 2, 4)),
            hold_us=rng.choice((0, 0, 300)),
            keep=rng.choice((0, 0, 2)),
            release_us=rng.choice((500, 1_000)),
            suppress=rng.choice(list(Suppress)),
            event=rng.randrange(1 << 16),
            interrupts=rng.choice(list(Interrupts)),
            distract=rng.random() < 0.4,
            poll=rng.random() < 0.3,
            total=rng.random() < 0.2,
            seed=rng.randrange(1 << 32),
        )
    )


def restart(run: Run, ring: Ring) -> None:
    """A queue stops and starts again, as it was set up first or from another base."""
    run.driver.stop(ring.number)
    run.driver.start(ring.number, run.rng.choice((run.size, 4)), run.rng.choice((0, 0, 5, 0xFFFD)))


def pause(run: Run, ring: Ring) -> None:
    """A segment ends while a queue doesn't run."""
    run.driver.stop(ring.number)
    cut(run, ring)
    run.driver.start(ring.number, run.size, enable=False)


def cut(run: Run, _ring: Ring) -> None:
    """A segment ends."""
    run.session.cut()
    run.take()


def deliver(run: Run, _ring: Ring) -> None:
    """A frame for the driver."""
    run.session.deliver(0, bytes(run.rng.choice((60, 1000))))


def flow(run: Run, _ring: Ring) -> None:
    """Somebody waited for traffic, and it came."""
    run.session.flow(SEND)


# What does not.


def stall(run: Run, _ring: Ring) -> None:
    """Somebody waited for traffic in vain."""
    run.session.stall(20, SEND)


def silent(run: Run, ring: Ring) -> None:
    """Frames without a kick."""
    run.driver.reclaim(ring)
    for _ in range(run.rng.choice((1, 2))):
        publish(run, ring)


def idle_kick(run: Run, ring: Ring) -> None:
    """Kicks for nothing."""
    for _ in range(run.rng.choice((1, 6))):
        run.driver.kick(ring)


def bad_index(run: Run, ring: Ring) -> None:
    """avail_idx goes where it must not."""
    ring.avail_idx = (ring.avail_idx + run.rng.choice((-1, -3, ring.size + 1, 300))) & 0xFFFF
    run.driver.write16(ring.avail + 2, ring.avail_idx)
    run.driver.kick(ring)


def bad_head(run: Run, ring: Ring) -> None:
    """Any number as a head: out of range, of a chain that is out, or in the middle of one."""
    run.driver.publish(ring, run.rng.choice((ring.size, 0xFFFF, *range(ring.size))))
    run.driver.kick_if_wanted(ring, ring.avail_idx - 1)


def odd_descriptors(run: Run, ring: Ring) -> None:
    """Descriptors with anything in them, and one of them published."""
    driver, rng = run.driver, run.rng
    for _ in range(rng.choice((1, 3, 6))):
        index = rng.randrange(ring.size)
        driver.describe(ring, index, *_drawn(rng, ring.size))
    driver.publish(ring, rng.randrange(ring.size))
    driver.kick_if_wanted(ring, ring.avail_idx - 1)


def _drawn(rng: random.Random, size: int) -> tuple[int, int, int, int]:
    address = GUEST + rng.choice((0x60000, HALF - 20, 2 * HALF - 20, -5, 1 << 40, rng.randrange(2 * HALF)))
    length = rng.choice((0, 1, 10, 12, 16, 32, 64, 100, 1514, 0xFFFFFFFF, 160_000, 24))
    flags = rng.choice((0, 0, NEXT, NEXT, WRITE, WRITE | NEXT, INDIRECT, INDIRECT, INDIRECT | NEXT, 0x80, 7))
    return address, length, flags, rng.choice((size, 0xFFFF, *range(size), *range(size)))


def odd_table(run: Run, ring: Ring) -> None:
    """An indirect table with anything in it."""
    driver, rng = run.driver, run.rng
    driver.reclaim(ring)
    if not ring.free:
        return
    count, at = rng.choice((1, 2, 3, 80)), 0x60000 + 0x1000 * rng.randrange(4)
    for place in range(count):
        address, length, flags, following = _drawn(rng, count)
        flags |= NEXT if rng.random() < 0.6 else 0
        if rng.random() < 0.6:
            following = place + 1
        struct.pack_into("<QIHH", driver.memory, at + 16 * place, address, length, flags, following)
    head = ring.free.pop(0)
    flags = rng.choice((INDIRECT, INDIRECT, INDIRECT | NEXT, INDIRECT | WRITE))
    driver.describe(ring, head, GUEST + at, 16 * count + rng.choice((0, 0, 0, 8)), flags, 0)
    ring.chains[head] = [head]
    driver.publish(ring, head)
    driver.kick_if_wanted(ring, ring.avail_idx - 1)


def rewrite(run: Run, ring: Ring) -> None:
    """The memory of chains that may be out changes."""
    driver, rng = run.driver, run.rng
    place = rng.choice((ring.at, 0x40000 + 0x10000 * ring.number, 0x80000 + 0x40000 * ring.number))
    for _ in range(rng.choice((1, 4))):
        at = place + rng.choice((rng.randrange(64), 0x400 * rng.randrange(8), 0x1000 * rng.randrange(8)))
        driver.memory[at] ^= 1 << rng.randrange(8)


def scribble(run: Run, ring: Ring) -> None:
    """The driver writes to the used ring."""
    at = ring.used + 2 * run.rng.randrange(4 + 4 * ring.size)
    run.driver.write16(at, run.rng.randrange(1 << 16))


def wishes(run: Run, ring: Ring) -> None:
    """Avail flags and used_event, right and wrong."""
    run.driver.write16(ring.avail, run.rng.choice((0, 1, 1, 2, 0xFFFF)))
    run.driver.write16(ring.avail + 4 + 2 * ring.size, run.rng.randrange(1 << 16))


def odd_restart(run: Run, ring: Ring) -> None:
    """A queue stops, and is set up as no queue must be."""
    driver, rng = run.driver, run.rng
    driver.stop(ring.number)
    base, size = rng.choice((0, 7)), rng.choice((run.size, run.size, 4, 6))
    shift = rng.choice((0, 0, 0, 2, 64, -64, -4096))
    fresh = driver.start(
        ring.number, size, base, enable=rng.random() < 0.5, shift=shift, free=rng.random() < 0.6
    )
    if rng.random() < 0.2:
        fresh.avail_idx = 0


def renegotiate(run: Run, _ring: Ring) -> None:
    """Features while queues run; of others than LOG_ALL the device hears no more."""
    bits = run.rng.choice((1 << 26, 1 << 26, 1 << 26, 0, 0, 1 << 0, 1 << 15))
    run.driver.negotiate(run.driver.features ^ bits)
    if run.rng.random() < 0.7:
        run.driver.negotiate(run.driver.features)


def heed(run: Run, ring: Ring) -> None:
    """No kick while the word that must not matter is moved."""
    run.session.behave(Behaviour(distract=True, seed=run.rng.randrange(1 << 32)))
    for _ in range(3):
        honest(run, ring)
        run.driver.run(300)
    silent(run, ring)
    wait(run, ring)
    if run.rng.random() < 0.5:
        run.driver.kick(ring)


def flicker(run: Run, ring: Ring) -> None:
    """Memory that changes, and changes back, while the device works."""
    driver, rng = run.driver, run.rng
    silent(run, ring)
    driver.kick(ring)
    head = driver.read16(ring.avail + 4 + 2 * ((ring.avail_idx - 1) % ring.size)) % ring.size
    table = 0x40000 + 0x400 * (ring.number * 64 + head % 64)
    at = rng.choice((ring.at + 16 * head, table, 0x80000 + 0x1000 * (ring.number * 64 + head % 64)))
    done = Event()

    def flip() -> None:
        before = driver.memory[at]
        while not done.is_set():
            driver.memory[at] = before ^ 1
            driver.memory[at] = before

    thread = Thread(target=flip)
    thread.start()
    for _ in range(5):
        driver.run(200)
    done.set()
    thread.join()


def status(run: Run, _ring: Ring) -> None:
    """The status register written anyhow."""
    run.driver.set_status(run.rng.choice((0, 1, 3, 4, 11, 15, 0x80, 0x83)))


def enabling(run: Run, ring: Ring) -> None:
    """A queue is enabled, or no more."""
    if run.driver.features & PROTOCOL:
        run.driver.enable(ring.number, run.rng.random() < 0.6)


def unshare(run: Run, _ring: Ring) -> None:
    """Half of the memory goes, or comes back."""
    run.driver.share(run.rng.choice((1, 2, 2)))


def inject(run: Run, _ring: Ring) -> None:
    """The device breaks a rule."""
    run.session.inject(run.rng.randrange(1, 14))


Step = Callable[[Run, Ring], None]
WELL: tuple[Step, ...] = (
    *(honest, honest, honest, honest, work, work, wait, behave, cut, deliver, flow, restart, pause),
)
BADLY: tuple[Step, ...] = (
    *(
        stall,
        odd_frame,
        silent,
        silent,
        idle_kick,
        bad_index,
        bad_head,
        odd_descriptors,
        odd_table,
        rewrite,
        scribble,
    ),
    *(wishes, renegotiate, status, enabling, unshare, inject, odd_restart, heed, flicker, wait),
)


def take_steps(run: Run, steps: list[Step]) -> None:
    """Set up, take each step as long as the front-end is listened to, and end the recording."""
    with suppress(GoneError):
        _set_up(run)
        for step in steps:
            ring = run.ring()
            if not run.alive or ring is None:
                break
            step(run, ring)
            if run.rng.random() < 0.7:
                run.driver.run(run.rng.choice((0, 0, 200)))
    run.session.cut()
    run.take()


def _set_up(run: Run) -> None:
    driver = run.driver
    driver.begin(status=run.rng.random() < 0.5)
    driver.start(SEND, run.size, base=run.rng.choice((0, 0xFFFC)))
    driver.start(RECEIVE, run.size)
    if run.rng.random() < 0.3:
        driver.start(SEND_SECOND, run.size)
