"""Directed stages: what catches most defects, walked through without any chance, the cheapest first.

Each function takes a course and the queues to walk with. Operations the driver lacks are left out by the
course. Nothing here knows what a driver answers: every operation has a meaning in every state.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from typing import TypeVar

from ..impl.harness.operations import Code, Op, OpFlag
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from .course import Course

Item = TypeVar("Item")
WRAP = 1 << 16
_ALL = 0xFFFF_FFFF
_LONGEST_FRAME = 19
_WORDS_AT_ONCE = 16  # words of an interleaving in one array
_ARRAYS_AT_ONCE = 24  # arrays in one life

ADD, KICK, GET, READ = Op(Code.ADD, a=1, b=7), Op(Code.KICK), Op(Code.GET), Op(Code.READ)
ENABLE, DISABLE = Op(Code.ENABLE_CB), Op(Code.DISABLE_CB)
DELAYED, PREPARE = Op(Code.ENABLE_CB_DELAYED), Op(Code.ENABLE_CB_PREPARE)
POLL, INTERRUPT = Op(Code.POLL), Op(Code.INTERRUPT)
HEAR = Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE)
ONE_DONE, ALL_DONE = Op(Code.COMPLETE, c=1), Op(Code.COMPLETE, c=_ALL)


def drained(chains: int) -> list[Op]:
    """Return what takes back up to so many chains, whatever happened to them."""
    return [KICK, READ, ALL_DONE, *[GET] * (chains + 1)]


# -- progress -------------------------------------------------------------------------------------------


def fills(size: int) -> Iterator[list[Op]]:
    """Yield chains that fill a ring exactly: single ones, one of all, mixed lengths, frames."""
    yield [Op(Code.ADD, a=1, b=13 * at) for at in range(size)]
    yield [Op(Code.ADD, a=size, b=17)]
    for longest, shrinks in product(sorted({min(size, 3), min(size, _LONGEST_FRAME)} - {1, size}), (0, 1)):
        chains: list[Op] = []
        left = size
        while left:
            at = len(chains) % longest
            length = min(left, longest - at if shrinks else 1 + at)
            writable = length // 3 if len(chains) % 2 else 0
            chains.append(Op(Code.ADD, 0, writable, length - writable, 29 * len(chains)))
            left -= length
        yield chains


def emptyings(chains: int) -> Iterator[list[Op]]:
    """Yield ways to take back so many chains: all at once, one by one, backwards, every other."""
    yield [ALL_DONE, *[GET] * (chains + 1)]
    if chains == 1:
        return
    yield [step for _ in range(chains) for step in (ONE_DONE, GET)]
    yield [step for at in range(chains - 1, -1, -1) for step in (Op(Code.COMPLETE, a=at, c=1), GET)]
    yield [Op(Code.COMPLETE, b=2, c=(chains + 1) // 2), *[GET] * chains, ALL_DONE, *[GET] * chains]
    yield [Op(Code.COMPLETE, a=chains - 1, b=chains - 1, c=chains), *[GET] * (chains + 1)]


def progress(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Fill exactly full, let everything come back in every order, and want traffic taken again."""
    for config in configs:
        size = config.queue_size
        for chains in fills(size):
            count = len(chains)
            again: list[Sequence[Op]] = []
            for emptying in emptyings(count):
                # The refused one, with the device told and not.
                again.append([*chains, ADD, KICK, ADD, READ, *emptying, *drained(2)])
                again.append(_woken(chains, emptying))
            whole = [Op(Code.ADD, OpFlag.FAIL_ALLOC, 0, size, 3), *drained(1)]
            course.life(config, *again, whole, chains, drained(count))


def _woken(chains: Sequence[Op], emptying: Sequence[Op]) -> list[Op]:
    """As a driver that stops when the ring is full: callbacks off, on when full, off in the interrupt."""
    return [
        DISABLE,
        *chains,
        ADD,
        KICK,
        DELAYED,
        READ,
        ENABLE,
        *emptying,
        INTERRUPT,
        GET,
        DISABLE,
        *drained(2),
    ]


# -- how many descriptors ----------------------------------------------------------------------------------


def needed(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Ask for 0, 1, n - 1, n, n + 1 and more descriptors, of empty and partly full rings, memory failing."""
    for config in configs:
        size = config.queue_size
        lengths = sorted({0, 1, 2, size - 1, size, size + 1, 2 * size, min(_LONGEST_FRAME, size)})
        arrays: list[Sequence[Op]] = []
        for length in lengths:
            for kept in sorted({0, 1, max(0, size - length), max(0, size - length + 1)}):
                if kept > min(size, 64):
                    continue
                held = [Op(Code.ADD, a=1, b=at) for at in range(kept)]
                for writable in sorted({0, min(1, length), length}):
                    asked = Op(Code.ADD, 0, writable, length - writable, 5)
                    arrays.append([*held, asked, *drained(kept + 1)])
        null = Op(Code.ADD, OpFlag.NULL_TOKEN, a=1)
        arrays.append([null, KICK, ADD, null, *drained(1)])
        for length in {1, 2, 3, min(size, _LONGEST_FRAME)}:
            if length > size:
                continue
            # 0 fails them all. The reference allocates once: who is compared with its bytes has no second.
            for number in range(2 if course.pair.exact else min(length, 4) + 2):
                asked = Op(Code.ADD, OpFlag.FAIL_ALLOC, 0, length, 5, number)
                arrays.append([asked, ADD, asked, *drained(3)])
        whole = [Op(Code.ADD, OpFlag.FAIL_ALLOC, 0, size, 3), *drained(1)]
        for some in _batched(arrays, _ARRAYS_AT_ONCE):
            course.life(config, *some, whole)


# -- a completion between any two calls --------------------------------------------------------------------

PLAIN = (ADD, KICK, GET, ENABLE, DISABLE)
EVERY = (*PLAIN, DELAYED, PREPARE, POLL, INTERRUPT, HEAR, Op(Code.SET_FLAGS, a=1), Op(Code.SET_FLAGS))


def interleavings(
    course: Course, configs: Sequence[QueueConfig], letters: Sequence[Op], longest: int
) -> None:
    """Walk all words of up to ``longest`` letters, with a completion put in at every place."""
    offered = course.pair.offered
    known = [letter for letter in letters if letter.code in offered]
    for config in configs:
        arrays = (
            [step for word in words for step in word]
            for words in _batched(_words(known, longest), _WORDS_AT_ONCE)
        )
        for some in _batched(arrays, _ARRAYS_AT_ONCE):
            course.life(config, *some)


def _words(letters: Sequence[Op], longest: int) -> Iterator[list[Op]]:
    # The device wants to hear of the next one, too: avail_event does not stay behind.
    before = [ADD, ADD, KICK, HEAR]
    for length in range(1, longest + 1):
        for word in product(letters, repeat=length):
            for at in range(length + 1):
                done = (*word[:at], READ, ONE_DONE, *word[at:])
                yield [*before, *done, *drained(length + 2), ENABLE]


def spurious(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Interrupts that carry no news, and kicks without reason, between any two steps of plain traffic."""
    plain = [ADD, KICK, READ, ALL_DONE, GET, GET, ENABLE, ADD, ADD, KICK, READ, ALL_DONE, GET, DISABLE, GET]
    for config in configs:
        arrays = []
        for extra in ([INTERRUPT], [INTERRUPT, INTERRUPT], [KICK, KICK], [POLL], [PREPARE, POLL]):
            arrays += [[*plain[:at], *extra, *plain[at:], *drained(2)] for at in range(len(plain) + 1)]
            arrays.append([step for one in plain for step in (one, *extra)])
        for some in _batched(arrays, _ARRAYS_AT_ONCE):
            course.life(config, *some)


# -- batches and the words the device writes ---------------------------------------------------------------


def batches(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Batches of 1 to n with one kick, and every place of avail_event or of used.flags around and in them."""
    for config in configs:
        size = min(config.queue_size, 16)
        event = bool(config.features & F_EVENT_IDX)
        arrays = []
        for count in range(1, size + 1):
            steps: list[Op] = []
            for word in _event_words(count) if event else _flag_words(count):
                steps += [*word, *drained(count)]
            arrays.append(steps)
            arrays.append([*([ADD] * count), Op(Code.READ, a=1), KICK, *drained(count)])
        course.life(config, *arrays, [Op(Code.SET_FLAGS), KICK])
        course.life(config, *[_left_alone(count) for count in range(1, size + 1)])
        course.life(config, *_untaken(size))


def _event_words(count: int) -> Iterator[list[Op]]:
    """A batch with avail_event set to each place around it, before it or in its middle; then used.flags."""
    for offset in (*range(-2, count + 2), 1 << 15):
        for at in sorted({0, count // 2, count}):
            place = Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=(offset - at) & 0xFFFF)
            yield [*[ADD] * at, place, *[ADD] * (count - at), KICK]
    yield [HEAR, Op(Code.SET_FLAGS, a=1), *[ADD] * count, KICK, Op(Code.SET_FLAGS)]


def _flag_words(count: int) -> Iterator[list[Op]]:
    """A batch with used.flags set at one place and cleared at another; avail_event's word holds anything."""
    for on, off in product(range(count + 1), range(count + 2)):
        steps: list[Op] = [Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=off & 0xFFFF)]
        for at in range(count + 2):
            steps += [Op(Code.SET_FLAGS, a=1)] * (at == on) + [Op(Code.SET_FLAGS)] * (at == off and off > on)
            steps.append(ADD if at < count else KICK if at == count else Op(Code.SET_FLAGS))
        yield [*steps, KICK]


def _left_alone(count: int) -> list[Op]:
    """A device that sets avail_event once and reads without being told, so that batches go past the place."""
    steps = [Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=count)]
    for _ in range(4):
        steps += [*[ADD] * count, READ, ALL_DONE, *[GET] * count, KICK]
    return steps


def _untaken(size: int) -> Iterator[list[Op]]:
    """Batches that the device waits for while some, one or all but one of the ring are used and not taken."""
    for used in sorted({0, 1, size // 2, size - 1}):
        before = [*[ADD] * used, KICK, READ, ALL_DONE] if used else []
        for count in range(1, size - used + 1):
            yield [*before, HEAR, *[ADD] * count, KICK, *drained(size)]


# -- around the wrap ------------------------------------------------------------------------------------


START = WRAP - 16
"""Rounds to where runs across the wrap begin; one start for all, since the reference's state is kept."""


def across_the_wrap(course: Course, config: QueueConfig, *, brief: bool) -> None:
    """Carry indices to just below 65536 by real rounds; then batches over it, with avail_event all around."""
    size = min(config.queue_size, 4 if brief else 8)
    start = course.rounds(START)
    if not config.features & F_EVENT_IDX:
        for begin in (1, size):
            course.life(config, [start, course.rounds(begin)], *_plainly(size), *_callbacks(size))
        return
    for count, before, offset in _crossings(size, brief):
        further = course.rounds(WRAP - START - before)
        place = Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=offset & 0xFFFF)
        batch = [place, *[ADD] * count, KICK]
        course.life(config, [start, further], [*batch, *drained(count)], *_callbacks(size))


def _crossings(size: int, brief: bool) -> Iterator[tuple[int, int, int]]:
    """How many chains in a batch, how far below 65536 it begins, and where avail_event lies from there."""
    for count in sorted({1, 2, size} if brief else range(1, size + 1)):
        befores = {count, (count + 1) // 2} if brief else {1, count // 2 + 1, count, count + 1}
        for before in sorted(befores):
            for offset in range(-1, count + 1):
                if not brief or offset in (-1, 0, before - 1, before, count - 1, count):
                    yield count, before, offset


def _plainly(size: int) -> Iterator[list[Op]]:
    for count in range(1, size + 1):
        yield [*[ADD] * count, *drained(count)]


def _callbacks(size: int) -> Iterator[list[Op]]:
    """Callbacks enabled before, on and behind the wrap of what is taken back."""
    for enable in (ENABLE, DELAYED, PREPARE):
        for count in range(1, min(size, 4) + 1):
            on = [enable, POLL] if enable is PREPARE else [enable]
            yield [*[ADD] * count, KICK, READ, *on, ONE_DONE, INTERRUPT, GET, *on, *drained(count), DISABLE]


# -- interrupts put off -----------------------------------------------------------------------------------


def delays(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Put the interrupt off with 1 to n chains in flight, some of them used; all are, at once or in turn."""
    for config in configs if Code.ENABLE_CB_DELAYED in course.pair.offered else ():
        size = min(config.queue_size, 8)
        arrays = [
            [*waiting, *_delay(count, used, together)]
            for count in range(1, size + 1)
            for used in range(count + 1)
            for together in (True, False)
            for waiting in ([], [DISABLE])
        ]
        course.life(config, *arrays)


def delays_across_the_wrap(course: Course, config: QueueConfig, *, brief: bool) -> None:
    """The same around index 65536: with ``before`` of those in flight below it."""
    if Code.ENABLE_CB_DELAYED not in course.pair.offered:
        return
    size = min(config.queue_size, 4 if brief else 8)
    start = course.rounds(START)
    for count in sorted({1, 2, size}) if brief else range(1, size + 1):
        for before in sorted({1, count}) if brief else range(1, count + 2):
            for together in (True, False):
                further = course.rounds(WRAP - START - before)
                course.life(config, [start, further], _delay(count, 0, together), *_callbacks(size))


def _delay(count: int, used: int, together: bool) -> list[Op]:
    """So many in flight and so many of them used already; then the rest is used, at once or one at a time."""
    done = [ALL_DONE] if together else [ONE_DONE] * (count - used)
    before = [Op(Code.COMPLETE, c=used)] * (used > 0)
    return [*[ADD] * count, KICK, READ, *before, DELAYED, *done, *[GET] * (count + 1), *drained(1), DISABLE]


def unkicked(course: Course, configs: Sequence[QueueConfig], *, brief: bool) -> None:
    """More than 65536 chains without a kick that the device wants to hear of; then the kick.

    A driver that publishes at kick cannot come to this.
    """
    if course.pair.publishes_at_kick:
        return
    for config in configs:
        start = course.rounds(START, kick=False)
        for more in (16, 15) if brief else range(14, 19):
            course.life(config, [start, course.rounds(more, kick=False), ADD, KICK, *drained(1)])


# -- more than eight bits hold ----------------------------------------------------------------------------


def large(course: Course, configs: Sequence[QueueConfig]) -> None:
    """Exceed 255: chains in flight, segments of one chain, chains between two kicks.

    For queues of 256 and more; smaller ones are gone through as far as they allow.
    """
    for config in configs:
        size = config.queue_size
        event = bool(config.features & F_EVENT_IDX)
        some: list[Sequence[Op]] = [[*[ADD] * size, KICK, READ, *_backwards(size)]]
        some += _long_chains(size, tables=bool(config.features & F_INDIRECT_DESC))
        some.append(
            [*[ADD] * (size - 1), Op(Code.ADD, a=2, b=7), KICK, READ, *drained(size), ADD, *drained(1)]
        )
        for count in sorted({min(size, one) for one in (255, 256, 257, size)}):
            some += [[*word, *drained(count)] for word in _long_batches(count, event=event)]
        course.life(config, *some, [Op(Code.SET_FLAGS), ADD, *drained(1)])


def _backwards(chains: int) -> list[Op]:
    """The chain that was read last is used first; then all are taken back."""
    done = [Op(Code.COMPLETE, a=at, c=1) for at in range(chains - 1, -1, -1)]
    return [*done, *[GET] * (chains + 1), *drained(0)]


def _long_chains(size: int, *, tables: bool) -> Iterator[list[Op]]:
    """One chain there and back, and single ones after it, as many as fit; in a table and without one."""
    for length in sorted({255, 256, 257, size}):
        for flags in (0, OpFlag.FAIL_ALLOC)[: 1 + tables]:
            if length <= size:
                chain = Op(Code.ADD, flags, length // 3, length - length // 3, 17)
                singles = [ADD] * (size if length == size else 2)
                yield [chain, *drained(1), *singles, *drained(len(singles))]


def _long_batches(count: int, *, event: bool) -> Iterator[list[Op]]:
    """So many chains and one kick, which the device asks for or does not."""
    if event:
        for offset in (-1, 0, count // 2, count - 1, count):
            yield [Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=offset & 0xFFFF), *[ADD] * count, KICK]
    else:
        for flags in (1, 0):
            yield [Op(Code.SET_FLAGS, a=flags), *[ADD] * count, KICK]


def _batched(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """Cut into lists of ``count``."""
    walk = iter(items)
    while some := list(islice(walk, count)):
        yield some
