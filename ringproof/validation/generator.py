"""The generator: long runs of operations, cheap to make and the same for the same seed.

Every operation has a meaning in every state of a ring, so nothing here knows the ring's state: phases are
drawn from pools of packed operations. The one thing kept is an upper bound of the chains in flight,
so that a drain asks often enough for what comes back.
"""

from collections.abc import Callable, Collection, Iterator
from random import Random

from ..impl.harness.operations import OP, RESULT, Code, Op, OpFlag, Result
from ..impl.reference.profile import F_EVENT_IDX

_ALL = 0xFFFF_FFFF
_POOL = 1024  # different ADDs of one kind; more would not make phases more different
_LONGEST_USUAL = 4  # segments of an ordinary chain, as most network frames have
_LONGEST_FRAME = 19  # of a long one: header, linear part and 17 fragments; some drivers then take a table

CALLBACK_CODES = frozenset(
    {
        Code.DISABLE_CB,
        Code.ENABLE_CB,
        Code.ENABLE_CB_DELAYED,
        Code.ENABLE_CB_PREPARE,
        Code.POLL,
        Code.INTERRUPT,
    }
)


def packed(*operations: Op) -> bytes:
    """Return the operations as one array for the border to the worker."""
    return b"".join(operation.pack() for operation in operations)


def unpacked(operations: bytes) -> list[Op]:
    """Take an array apart; its length is a multiple of 16."""
    return [Op(*fields) for fields in OP.iter_unpack(operations)]


def unpacked_results(results: bytes) -> list[Result]:
    """Take an array of what the worker gave back apart; its length is a multiple of a result's."""
    return [Result(*fields) for fields in RESULT.iter_unpack(results)]


def ring_operations(operations: bytes) -> int:
    """Count the ring operations an array stands for: a round counts its steps, five or four without KICK."""
    total = len(operations) // 16
    if bytes([Code.ROUNDS]) not in operations[::16]:
        return total
    for operation in unpacked(operations):
        if operation.code == Code.ROUNDS:
            total += operation.a * (4 if operation.flags & OpFlag.NO_KICK else 5) - 1
    return total


class Generator:
    """Phases of operations for one queue of ``queue_size`` entries with the negotiated ``features``.

    ``offered`` are the codes the driver has; others are never made. ``pool`` is how many different ADDs
    of one kind there are. Calls of :meth:`phase` go round all kinds of phases in an order drawn
    from ``seed``; a phase ends with everything drained.
    """

    def __init__(
        self, queue_size: int, offered: Collection[Code], seed: int, features: int, *, pool: int = _POOL
    ) -> None:
        self._size = queue_size
        self._event_idx = bool(features & F_EVENT_IDX)
        self._offered = frozenset(offered)
        self._random = Random(seed)
        self._in_flight = 0
        self._round: list[Callable[[], bytes]] = []
        self._make_pools(pool)

    def phase(self) -> bytes:
        """Return the next phase, an array of a few hundred to a few thousand operations."""
        if not self._round:
            self._round = [
                self._ping_pong,
                self._batches,
                self._adversarial_words,
                self._callbacks,
                self._quiet,
                self._chaos,
                self._one_at_a_time,
                self._ping_pong,
                self._full_ring,
            ]
            self._random.shuffle(self._round)
        return self._round.pop()() + self.drain()

    def phases(self) -> Iterator[bytes]:
        """Phases without end."""
        while True:
            yield self.phase()

    def drain(self) -> bytes:
        """Let the device read and complete all, and the driver take all back."""
        count, self._in_flight = self._in_flight, 0
        complete = Op(Code.COMPLETE, a=self._below(64), b=self._below(64), c=_ALL)
        return packed(Op(Code.KICK), Op(Code.READ), complete) + self._get * (count + 1)

    def rounds(self, count: int, kick: bool = True) -> bytes:
        """One ROUNDS of ``count`` rounds."""
        flags = 0 if kick else OpFlag.NO_KICK
        return packed(Op(Code.ROUNDS, flags, a=count, b=self._below(1 << 32)))

    def unkicked(self, chains: int) -> bytes:
        """So many chains without a kick, in a ring about half full, though the device asks for one at once.

        The ring never fills: a refused add would notify.
        """
        kept = min(self._size // 2, 64)
        self._in_flight += kept + 1
        turns = self._random.choices(self._single, k=kept)
        for add in self._random.choices(self._single, k=chains):
            turns += [add, self._reads[0], self._random.choice(self._one_completed), self._get]
        return Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE).pack() + b"".join(turns) + self.drain()

    def bursts(self, count: int) -> bytes:
        """So many bursts, each with a suppression word put inside it or beside it, one kick and a drain."""
        parts = []
        for _ in range(count):
            chains = 1 + self._below(min(self._size, 6))
            word = Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=(self._below(chains + 2) - 1) & 0xFFFF)
            adds = self._random.choices(self._single, k=chains)
            callbacks = (
                self._random.sample(self._callback_codes, self._below(2)) if self._callback_codes else []
            )
            parts += [word.pack(), *callbacks, *adds]
            self._in_flight = chains
            parts.append(self.drain())
        return b"".join(parts)

    def whole_ring(self) -> bytes:
        """One chain of as many descriptors as the ring has, there and back."""
        self._in_flight += 1
        return self._add(self._size, OpFlag.FAIL_ALLOC).pack() + self.drain()

    def _below(self, bound: int) -> int:
        return self._random.randrange(bound)

    def _add(self, segments: int, flags: int = 0) -> Op:
        """Make an ADD of so many segments, mostly all device-readable as on a transmit queue."""
        writable = self._below(segments + 1) if self._below(4) == 0 else 0
        return Op(Code.ADD, flags, writable, segments - writable, self._below(1 << 32))

    def _make_pools(self, pool: int) -> None:
        usual = min(self._size, _LONGEST_USUAL)
        self._get = packed(Op(Code.GET))
        self._kick = packed(Op(Code.KICK))
        self._read_one = packed(Op(Code.READ, a=1))
        self._complete_one = packed(Op(Code.COMPLETE, c=1))
        self._single = [self._add(1).pack() for _ in range(pool)]
        frame = min(self._size, _LONGEST_FRAME)
        self._adds = [
            self._add(1 + self._below(usual if self._below(8) else frame)).pack() for _ in range(pool)
        ]
        longest = min(self._size, 64)
        rogue = [Op(Code.ADD), self._add(1, OpFlag.NULL_TOKEN), self._add(longest)]
        rogue += [self._add(1 + self._below(longest), OpFlag.FAIL_ALLOC) for _ in range(8)]
        if self._size <= 256:
            rogue += [self._add(self._size), self._add(self._size + 1)]
        self._rogue = [operation.pack() for operation in rogue]
        self._reads = [Op(Code.READ, a=count).pack() for count in (0, 1, 1, 2, 3)]
        self._completes = [
            Op(Code.COMPLETE, a=self._below(1 << 16), b=self._below(8), c=count).pack()
            for count in (1, 1, 1, 1, 2, 2, 3, 5, _ALL)
            for _ in range(8)
        ]
        self._one_completed = [Op(Code.COMPLETE, a=at, c=1).pack() for at in range(8)]
        self._words = [Op(Code.SET_AVAIL_EVENT, a=self._below(1 << 16)).pack() for _ in range(16)]
        for offset in (-self._size, -3, -2, -1, 0, 1, 2, 3, self._size - 1, self._size, 1 << 15):
            word = Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=offset & 0xFFFF)
            self._words += [word.pack()] * 3
        # With the event index used.flags has no influence (2.7.10.1), so it may hold anything.
        self._words += [Op(Code.SET_FLAGS, a=flag).pack() for flag in (0, 1)] * (4 if self._event_idx else 16)
        codes = sorted(CALLBACK_CODES & self._offered)
        self._callback_codes = [Op(code).pack() for code in codes]

    def _mixture(self, length: int, *weighted: tuple[list[bytes], int]) -> list[bytes]:
        """``length`` operations, each from one of the pools, drawn by weight."""
        pools = [pool for pool, _ in weighted if pool]
        weights = [weight for pool, weight in weighted if pool]
        chosen = self._random.choices(pools, weights, k=length)
        mixture = [pool[int(self._random.random() * len(pool))] for pool in chosen]
        self._in_flight += sum(operation[0] == Code.ADD for operation in mixture)
        return mixture

    def _ping_pong(self) -> bytes:
        """One chain at a time, there and back."""
        self._in_flight += 1
        turn = self._kick + self._read_one + self._complete_one + self._get
        return b"".join(add + turn for add in self._random.choices(self._single, k=400))

    def _quiet(self) -> bytes:
        """Many chains without a kick; the kick that ends it has all of them to judge.

        A driver that publishes at kick holds as many of them as fit until then.
        """
        self._in_flight += min(self._size, 300)
        turn = self._read_one + self._complete_one + self._get
        quiet = b"".join(add + turn for add in self._random.choices(self._single, k=300))
        return quiet + self._random.choice(self._words)

    def _batches(self) -> bytes:
        """Bursts: some adds, one kick, completion in portions and out of order."""
        parts = []
        burst = max(1, min(self._size, 24))
        for _ in range(24):
            count = 1 + self._below(burst)
            self._in_flight += count
            parts += [*self._random.choices(self._adds, k=count), self._kick, self._reads[0]]
            parts += self._random.choices(self._completes, k=3)
            parts += [self._get] * count
        return b"".join(parts)

    def _full_ring(self) -> bytes:
        """Exactly full, then one more, then all completed by one store; with any chain length that fits."""
        fills = []
        for _ in range(1 if self._size > 4096 else 4):
            longest = self._size if self._below(2) else max(1, self._size // 16)
            left = self._size
            chains = 0
            while left:
                length = 1 + self._below(min(left, longest))
                fills.append(self._add(length).pack())
                left -= length
                chains += 1
            # Where indirect tables make room for more, single segments use it up.
            more = self._random.choices(self._single, k=min(64, self._size) + 1)
            fills += [*more, self._kick, *more[:2]]
            self._in_flight += chains + len(more) + 2
            if self._below(2):
                fills.append(self.drain())
            else:
                fills.append(self._backwards(min(chains + len(more), 128)))
                fills.append(self.drain())
        return b"".join(fills)

    def _backwards(self, count: int) -> bytes:
        """Everything read, then the newest ``count`` chains completed first, one by one."""
        turns = [packed(Op(Code.COMPLETE, a=at, c=1), Op(Code.GET)) for at in range(count - 1, -1, -1)]
        return self._reads[0] + b"".join(turns)

    def _one_at_a_time(self) -> bytes:
        """Several in flight, each completed and taken back by itself."""
        parts = []
        for _ in range(16):
            count = 1 + self._below(min(self._size, 16))
            self._in_flight += count
            parts += [*self._random.choices(self._adds, k=count), self._kick]
            parts.append(self._backwards(count))
        return b"".join(parts)

    def _adversarial_words(self) -> bytes:
        """Move the device's suppression words to every place that matters between adds and kicks."""
        mixture = self._mixture(
            1500,
            (self._words, 3),
            (self._adds, 4),
            ([self._kick], 4),
            (self._reads, 3),
            (self._completes, 4),
            ([self._get], 6),
        )
        return b"".join(mixture)

    def _callbacks(self) -> bytes:
        """Callbacks on and off around completions, and interrupts that carry no news."""
        mixture = self._mixture(
            1200,
            (self._callback_codes, 6),
            (self._adds, 4),
            ([self._kick], 2),
            (self._reads, 3),
            (self._completes, 4),
            ([self._get], 5),
        )
        return b"".join(mixture)

    def _chaos(self) -> bytes:
        """Everything, with what a driver must refuse among it."""
        mixture = self._mixture(
            1500,
            (self._adds, 5 + self._below(6)),
            (self._rogue, 1),
            ([self._kick], 4),
            (self._reads, 3),
            (self._completes, 4),
            ([self._get], 3 + self._below(6)),
            (self._callback_codes, 3),
            (self._words, 2),
        )
        return b"".join(mixture)
