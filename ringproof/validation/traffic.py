"""The traffic: batches of operations for a network driver and its device, the same for the same seed.

An operation has a meaning in every state; frames that are still with the driver are left out when a batch is
played, so nothing here knows what a driver does.
"""

from collections.abc import Callable, Sequence
from random import Random

from ..impl.harness.frames import Frame, Gso
from ..impl.harness.net_operations import F_CTRL_VQ, F_EVENT_IDX, F_MQ, NetCode, NetConfig, Op
from ..impl.harness.operations import OpFlag
from .shapes import MOST_SEGMENTS, filled

ALL = 0xFFFF_FFFF
_FAIL, _RELATIVE = int(OpFlag.FAIL_ALLOC), int(OpFlag.RELATIVE)
KINDS = 10
"""Kinds of batches, without those for devices of several pairs."""
_MOST = 64  # frames in a burst
_MOST_HELD = 1024  # descriptors of a queue of which one chain is held until all others were used


class Traffic:
    """Batches for a device of ``config`` and the frames there are, drawn from ``seed``.

    ``transmit_queues`` are how many of them can be in use. With ``gentle`` memory never fails to be had.
    """

    def __init__(
        self, config: NetConfig, frames: Sequence[Frame], seed: int, *, gentle: bool = False
    ) -> None:
        self._random = Random(seed)
        self._count = len(frames)
        segments = [filled(frame.packet) for frame in frames]
        self._small = [at for at, count in enumerate(segments) if count == 1]
        plain = [not frame.checksum and frame.gso == Gso.NONE for frame in frames]
        self._big = [at for at, count in enumerate(segments) if count == MOST_SEGMENTS and plain[at]]
        self._size = max(1, config.queue_size)
        self._plain = [at for at in self._small if plain[at]]
        self._frames = frames
        features = config.offered & config.understood
        self._event_idx = bool(features & F_EVENT_IDX)
        several = features & F_MQ and features & F_CTRL_VQ
        self.transmit_queues = config.pairs if several else 1
        self._gentle = gentle
        self._next = 0
        self._round: list[Callable[[], list[Op]]] = []

    def batch(self) -> list[Op]:
        """Return the next batch; all kinds come in turn, in an order that is drawn."""
        if not self._round:
            self._round = [
                self._burst, self._burst, self._trickle, self._words, self._fill, self._interrupts,
                self._chaos, self._squeeze, self._race, self._hold,
            ]  # fmt: skip
            if self.transmit_queues > 1:
                self._round.append(self._pairs)
            self._random.shuffle(self._round)
        return self._round.pop()()

    def again(self) -> list[Op]:
        """Remove with whatever is in flight, and probe again."""
        return [*self._sends(5), Op(NetCode.REMOVE), Op(NetCode.PROBE)]

    def drain(self) -> list[Op]:
        """The device reads and completes all, and interrupts where it is asked to.

        The suppression words are as at first, so that nothing is kept from being told.
        """
        made = []
        for queue in self._queues:
            made += [Op(NetCode.NET_READ, in_=queue), Op(NetCode.NET_COMPLETE, in_=queue, c=ALL)]
            made.append(Op(NetCode.INTERRUPT))
            made += [Op(NetCode.NET_SET_FLAGS, in_=queue), Op(NetCode.NET_SET_AVAIL_EVENT, _RELATIVE, queue)]
        return made

    def bulk(self, frames: Sequence[int]) -> list[Op]:
        """Send frames, have them read and completed, and interrupt."""
        sent = [Op(NetCode.XMIT, a=frame) for frame in frames]
        return [*sent, *self._serve(), Op(NetCode.INTERRUPT)]

    @property
    def _queues(self) -> list[int]:
        return [2 * pair + 1 for pair in range(self.transmit_queues)]

    def _queue(self) -> int:
        return self._random.choice(self._queues)

    def _sends(self, count: int, flags: int = 0) -> list[Op]:
        """So many different frames, each following the last one sent."""
        count = min(count, self._count)
        first, self._next = self._next, (self._next + count) % max(1, self._count)
        return [Op(NetCode.XMIT, flags, a=(first + at) % self._count) for at in range(count)]

    def _serve(self) -> list[Op]:
        made = []
        for queue in self._queues:
            made += [Op(NetCode.NET_READ, in_=queue), Op(NetCode.NET_COMPLETE, in_=queue, c=ALL)]
        return made

    def _complete(self) -> Op:
        random = self._random
        count = random.choice((1, 1, 2, 3, 5, 17, ALL))
        return Op(NetCode.NET_COMPLETE, 0, self._queue(), random.randrange(64), random.randrange(8), count)

    def _word(self) -> Op:
        """A suppression word; with EVENT_IDX used.flags may hold anything, it has no influence."""
        random = self._random
        if random.randrange(3) == 0 or (not self._event_idx and random.randrange(2)):
            return Op(NetCode.NET_SET_FLAGS, in_=self._queue(), a=random.randrange(2))
        if random.randrange(2):
            return Op(NetCode.NET_SET_AVAIL_EVENT, in_=self._queue(), a=random.randrange(1 << 16))
        near = random.choice((-self._size, -2, -1, 0, 0, 1, 2, 3, 19, self._size))
        return Op(NetCode.NET_SET_AVAIL_EVENT, _RELATIVE, self._queue(), near & 0xFFFF)

    def _burst(self) -> list[Op]:
        made = self._sends(self._random.randint(16, _MOST))
        return [*made, *self._serve(), Op(NetCode.INTERRUPT)]

    def _trickle(self) -> list[Op]:
        made = []
        for send in self._sends(24):
            made += [send, Op(NetCode.NET_READ, in_=self._queue(), a=1), self._complete()]
            if self._random.randrange(2):
                made.append(Op(NetCode.INTERRUPT))
        return made

    def _words(self) -> list[Op]:
        made = []
        for send in self._sends(32):
            if self._random.randrange(2):
                made.append(self._word())
            made.append(send)
            if not self._random.randrange(4):
                made += [Op(NetCode.NET_READ, in_=self._queue()), self._complete()]
        return made

    def _fill(self) -> list[Op]:
        """More than most queues hold; then completions bit by bit, out of order, some with an interrupt."""
        random = self._random
        made = self._sends(min(self._count, max(24, min(self._size, 300))))
        made += [Op(NetCode.NET_READ, in_=queue) for queue in self._queues]
        if not random.randrange(4):  # interrupts without news find the queue full
            for send in self._sends(12):
                made += [Op(NetCode.RAISE, a=1), Op(NetCode.INTERRUPT), send]
        for send in self._sends(12):
            made.append(self._complete())
            if random.randrange(2):
                made.append(Op(NetCode.INTERRUPT))
            made.append(send)
        return [*made, *self.drain()]

    def _squeeze(self) -> list[Op]:
        """Small frames fill a queue in part, then the longest come, before and after some are completed."""
        random, made = self._random, self.drain()
        queue = self._queues[0]
        small, big = self._small[:], self._big[:]
        random.shuffle(small)
        for part in range(3):
            count = min(len(small), max(2, (self._size - 19) // 2))
            made += [Op(NetCode.XMIT, a=small.pop()) for _ in range(count)]
            made += [Op(NetCode.XMIT, a=frame) for frame in big[part::3][:2]]
            made.append(Op(NetCode.NET_READ, in_=queue))
            done = random.randint(count // 2, count)
            made += [Op(NetCode.NET_COMPLETE, in_=queue, b=1, c=done), Op(NetCode.INTERRUPT)]
            made += [Op(NetCode.XMIT, a=frame) for frame in big[-2:]]
        return [*made, *self.drain()]

    def _race(self) -> list[Op]:
        """A device that completes chains while they are being sent: the second look has to see it."""
        random, made = self._random, self.drain()
        for _ in range(5):
            before = random.choice((0, 0, 1, self._size // 4, self._size // 2))
            made += self._sends(min(before, _MOST))
            if not random.randrange(3):
                made.append(self._word())
            made += [op._replace(b=random.choice((ALL, ALL, 1, 2, 5))) for op in self._sends(3)]
        return [*made, Op(NetCode.INTERRUPT), *self.drain()]

    def _hold(self) -> list[Op]:
        """The device keeps one chain while as many others as there are descriptors come and go.

        What a driver keeps for each must not be taken again in turn. Headers are other ones, if any are.
        """
        if not 32 <= self._size <= _MOST_HELD or not self._plain:
            return self._chaos()
        random, made = self._random, self.drain()
        special = [at for at in self._small if self._frames[at].checksum] or self._plain
        held = random.choice(special)
        cpu = self._frames[held].cpu
        others = [at for at in self._plain if at != held and self._frames[at].cpu == cpu] or self._plain
        made += [Op(NetCode.XMIT, a=held), *(Op(NetCode.NET_READ, in_=queue) for queue in self._queues)]
        count, at = min(self._size // 8, len(others), 16), random.randrange(len(others))
        for _ in range(self._size // count + 1):
            made += [Op(NetCode.XMIT, a=others[(at + step) % len(others)]) for step in range(count)]
            at += count
            for queue in self._queues:
                made += [Op(NetCode.NET_READ, in_=queue), Op(NetCode.NET_COMPLETE, in_=queue, a=1, c=count)]
            made.append(Op(NetCode.INTERRUPT))
        return [*made, *self.drain()]

    def _interrupts(self) -> list[Op]:
        """Interrupts without news, changes of the configuration, calls that no interrupt stands behind."""
        made = []
        for send in self._sends(12):
            roll = self._random.randrange(4)
            if roll < 3:
                made.append(Op(NetCode.RAISE, a=roll + 1))
            made += [Op(NetCode.INTERRUPT), send, Op(NetCode.NET_READ, in_=self._queue()), self._complete()]
        return made

    def _pairs(self) -> list[Op]:
        random, made = self._random, []
        for _ in range(4):
            most = self.transmit_queues
            wanted = random.choice((0, 1, 1, 2, most, most, most + 1, 0xFFFF, random.randint(1, most)))
            flags = 0 if self._gentle or random.randrange(6) else _FAIL
            made += [Op(NetCode.SET_PAIRS, flags, a=wanted), *self._sends(12), *self._serve()]
        return [*made, Op(NetCode.INTERRUPT)]

    def _chaos(self) -> list[Op]:
        random, made = self._random, []
        for send in self._sends(40):
            roll = random.randrange(8)
            if roll == 0 and not self._gentle:
                send = send._replace(flags=_FAIL)
            made.append(send)
            if roll in (1, 2):
                made.append(Op(NetCode.NET_READ, in_=self._queue(), a=random.randrange(4)))
            elif roll in (3, 4):
                made.append(self._complete())
            elif roll == 5:
                made.append(self._word())
            elif roll == 6:
                made.append(Op(NetCode.INTERRUPT))
        return made
