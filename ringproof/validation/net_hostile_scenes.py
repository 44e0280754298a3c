"""Scenes in which a network device breaks the rules, step by step, while a driver sends frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..impl.harness.net_operations import (
    F_CSUM,
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    F_INDIRECT_DESC,
    F_MQ,
    F_VERSION_1,
    NetConfig,
)
from .hostile_runs import INJECTIONS
from .net_configurations import Offer
from .net_encounter import CONFIGURATION, QUEUE, Encounter
from .net_findings import NetFindingCode
from .net_shared import Lies

F_MTU = 1 << 3
_NEVER = 0xFFFF_FFFF  # reads until status is 0 after a reset
_NONE = Lies()
_RING = F_EVENT_IDX | F_INDIRECT_DESC
_SEGMENTATION = F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_UFO


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that a device does wrong, in one way, on one device.

    ``excused`` are findings that say nothing here: where the device itself says that it has used a chain, a
    frame is rightly freed.
    """

    injection: str
    config: NetConfig
    play: Callable[[Encounter], None]
    lies: Lies = _NONE
    what: str = ""
    excused: frozenset[NetFindingCode] = frozenset()


@dataclass(frozen=True, slots=True)
class NetInjection:
    """What a device does wrong: the check's name, the clause it breaks or that is at stake, and words."""

    name: str
    clause: str
    words: str
    scenes: Callable[[Offer], Iterator[Scene]]


# -- used rings -----------------------------------------------------------------------------------------


def _rings(offer: Offer) -> Iterator[NetConfig]:
    """Sound devices with one pair."""
    known = offer.features & ~F_VERSION_1
    for transport in offer.transports:
        for features in dict.fromkeys((known, known & ~_RING)):
            for size in (256, 32):
                yield replace(offer.config(transport, features), queue_size=size)


def _lied(lie: Callable[[Encounter], None]) -> Callable[[Encounter], None]:
    """Traffic of which some is in flight, and some was used, when the device lies."""

    def play(one: Encounter) -> None:
        if one.probe():
            one.send(4)
            one.read()
            one.complete(2)
            one.interrupt()
            one.send(4)
            one.read()
            lie(one)
            _goes_on(one)

    return play


def _goes_on(one: Encounter) -> None:
    one.interrupt()
    one.send(6)
    one.read()
    one.complete()
    one.interrupt()
    one.send(3)
    one.remove()


def _out_of_range(offer: Offer) -> Iterator[Scene]:
    for config in _rings(offer):
        size = config.queue_size
        for number in (size, size + 1, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF):
            yield Scene("hostile-F1", config, _lied(partial(_names, number=number)))
        for beyond in (size, 0x1_0000, 0x8000_0000):  # what is left of it when it is cut short is a head
            yield Scene("hostile-F1", config, _lied(partial(_beyond, beyond=beyond)))


def _names(one: Encounter, number: int) -> None:
    if one.heads():
        one.used(number)


def _moves(one: Encounter, by: int) -> None:
    if one.heads():
        one.jump(by)


def _beyond(one: Encounter, beyond: int) -> None:
    heads = one.heads()
    if heads:
        one.used(beyond + heads[0][0])


def _no_head(offer: Offer) -> Iterator[Scene]:
    for config in _rings(offer):
        for play in (_lied(_never_issued), _lied(_inside), _twice_at_once, _twice_later):
            yield Scene("hostile-F2", config, play)


def _never_issued(one: Encounter) -> None:
    taken = {at for chain in one.heads() for at in chain}
    free = [at for at in range(one.worker.config.queue_size) if at not in taken]
    if taken and free:
        one.used(free[-1])


def _inside(one: Encounter) -> None:
    longer = [chain for chain in one.heads() if len(chain) > 1]
    if longer:
        one.used(longer[0][1])


def _twice_at_once(one: Encounter) -> None:
    if one.probe():
        one.send(4)
        one.read()
        one.complete(1)
        one.again()
        _goes_on(one)


def _twice_later(one: Encounter) -> None:
    if one.probe():
        one.send(4)
        one.read()
        one.complete(1)
        one.interrupt()
        one.again()
        _goes_on(one)


def _jumps(offer: Offer) -> Iterator[Scene]:
    excused = frozenset({NetFindingCode.FREED_EARLY})
    for config in _rings(offer):
        for by in (config.queue_size + 1, 0x8000, -1, -3):
            play = _lied(partial(_moves, by=by))
            yield Scene("hostile-F3", config, play, excused=excused)


def _lengths(offer: Offer) -> Iterator[Scene]:
    for config in _rings(offer):
        for length in (1, 0x1_0000, 0x7FFF_FFFF, 0xFFFF_FFFF):
            yield Scene("hostile-F4", config, _lied(partial(_longer, length=length)))


def _longer(one: Encounter, length: int) -> None:
    if one.heads():
        one.complete(1)
        one.lengthen(length)


# -- interrupts, configurations, features, status ---------------------------------------------------------


def _early(offer: Offer) -> Iterator[Scene]:
    for transport in offer.transports:
        for bits in (QUEUE, CONFIGURATION, QUEUE | CONFIGURATION):
            config = offer.config(transport, offer.features)
            what = f"ISR is {bits} after each reset"
            yield Scene("hostile-F10", config, _interrupted, Lies(early_interrupt=bits), what)


def _interrupted(one: Encounter) -> None:
    one.raised(QUEUE, "the device interrupts before it is reset, and after")
    for _ in range(2):
        if not one.probe():
            return
        one.interrupt()
        one.send(4)
        one.raised(QUEUE | CONFIGURATION, "it interrupts without news")
        one.interrupt()
        one.read()
        one.complete(2)
        one.interrupt()
        one.send(3)
        one.remove()
        one.raised(QUEUE, "it interrupts with no driver there")


def _offers(offer: Offer) -> Iterator[Scene]:
    known = offer.features & ~F_VERSION_1
    for transport in offer.transports:
        base = offer.config(transport, known)
        for size in (0, 3, 6, 1000, 32769, 49152, 65535):
            yield Scene("hostile-F11", replace(base, queue_size=size), _takes_part)
        if known & F_MQ and known & F_CTRL_VQ:
            for pairs in (0, 3, 0x8000, 0x8001, 0xFFFF):
                what = f"max_virtqueue_pairs is {pairs}, and there are 2"
                yield Scene("hostile-F11", replace(base, pairs=2), _takes_part, Lies(pairs=pairs), what)
        if known & F_MTU:
            for mtu in (0, 1, 67):
                yield Scene("hostile-F11", base, _takes_part, Lies(mtu=mtu), f"mtu is {mtu}")


def _takes_part(one: Encounter) -> None:
    """A life of which the beginning is what is wrong."""
    one.met = True
    if one.probe():
        one.send(4)
        one.read()
        one.complete(2)
        _goes_on(one)
    elif one.probe():
        one.remove()


def _features(offer: Offer) -> Iterator[Scene]:
    known = offer.features & ~F_VERSION_1
    sets = []
    if known & _SEGMENTATION:
        sets.append((known & ~F_CSUM, "segmentation without CSUM"))
    if known & F_HOST_ECN:
        sets.append((known & ~_SEGMENTATION, "HOST_ECN without segmentation"))
        sets.append((F_HOST_ECN, "HOST_ECN alone"))
    if known & F_MQ:
        sets.append((known & ~F_CTRL_VQ, "MQ without CTRL_VQ"))
        sets.append((F_MQ, "MQ alone"))
    for transport in offer.transports:
        for features, what in sets:
            for pairs in (1, 4):
                config = replace(offer.config(transport, features), pairs=pairs, queue_size=64)
                yield Scene("hostile-F12", config, _takes_part, what=what)


def _status(offer: Offer) -> Iterator[Scene]:
    known = offer.features & ~F_VERSION_1
    for transport in offer.transports:
        base = offer.config(transport, known)
        for play in (_broken_down, _broken_down_silently):
            yield Scene("hostile-F13", base, play, what="it sets DEVICE_NEEDS_RESET amid traffic")
        stuck = replace(base, reset_reads=_NEVER)
        yield Scene("hostile-F13", stuck, _never_reset, what="status never reads 0 after a reset")


def _broken_down(one: Encounter) -> None:
    if one.probe():
        one.send(4)
        one.read()
        one.breaks_down()
        one.interrupt()
        one.send(2)
        _goes_on(one)
        if one.probe():
            _goes_on(one)


def _broken_down_silently(one: Encounter) -> None:
    if one.probe():
        one.send(4)
        one.read()
        one.breaks_down()
        one.interrupt()
        one.send(4)
        one.interrupt()
        one.remove()
        if one.probe():
            _goes_on(one)


def _never_reset(one: Encounter) -> None:
    if not one.probe():
        return
    one.send(4)
    one.read()
    held = set(one.kept)
    one.met = True
    one.remove()
    given = held - one.kept
    if given:
        one.wrong = f"frame {min(given)} was freed, though the device still has it: it was never seen reset"
        return
    one.probe()


def _as_of_a_virtqueue(name: str, scenes: Callable[[Offer], Iterator[Scene]]) -> NetInjection:
    """Return an injection that virtqueues meet as well, in the same words."""
    known = next(injection for injection in INJECTIONS if injection.name == name)
    return NetInjection(name, known.clause, known.words, scenes)


NET_INJECTIONS: Sequence[NetInjection] = (
    _as_of_a_virtqueue("hostile-F1", _out_of_range),
    _as_of_a_virtqueue("hostile-F2", _no_head),
    _as_of_a_virtqueue("hostile-F3", _jumps),
    _as_of_a_virtqueue("hostile-F4", _lengths),
    NetInjection("hostile-F10", "2.1.2", "Interrupts come before DRIVER_OK, after a reset and without news.",
                 _early),
    NetInjection("hostile-F11", "4.1.4.3.1", "A queue size, max_virtqueue_pairs or mtu is impossible.",
                 _offers),
    NetInjection("hostile-F12", "2.2.2", "Features are offered without those that they require.", _features),
    NetInjection("hostile-F13", "2.1.2", "DEVICE_NEEDS_RESET is set amid traffic, or a reset never ends.",
                 _status),
)  # fmt: skip
"""Every injection on a whole network driver, in the order of a report."""
