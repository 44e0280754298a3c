"""Probe and remove as the device sees them: one access after another, for any number of virtqueues.

The driver walks through the device status, the features and the set-up of each queue in turn, on the legacy
transport (page frame register) or the modern one (common configuration), and any access may show a device
that refuses or fails. What holds of every queue is shown of one, ``watched``, which may be any: the number of
queues is a symbol, and the proofs are inductions over the queues.

Two profiles. ``linux-3.11`` takes what features it understands, and on the legacy transport reads the
status once after a reset. ``virtio-1.x`` drops features whose prerequisite is missing, and waits for every
reset.

There are two virtqueues a pair, and perhaps the control queue. Reading a part of the configuration is one
step; so are taking down all queues, and freeing all rings and frames. Whoever uses the driver does so between
probe and remove: ``notify`` is a step of a running one. Every decision a driver is known to get wrong has a
method of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar

import z3

from .term import Flag, Number, Step, any_of, both, either, implies, no, one_of, smaller

MOST_PAIRS = 1 << 15
"""The most queue pairs a network device may have (VIRTIO 1.3, 5.1.4)."""

FEATURES = (
    "CSUM", "MAC", "HOST_TSO4", "HOST_TSO6", "HOST_ECN", "HOST_UFO", "MRG_RXBUF", "STATUS", "CTRL_VQ", "MQ",
    "INDIRECT_DESC", "EVENT_IDX", "VERSION_1",
)  # fmt: skip
"""The features that some driver here understands; any other bit is never accepted."""

PREREQUISITES = {
    "HOST_TSO4": ("CSUM",),
    "HOST_TSO6": ("CSUM",),
    "HOST_UFO": ("CSUM",),
    "HOST_ECN": ("HOST_TSO4", "HOST_TSO6"),
    "MQ": ("CTRL_VQ",),
}
"""What a feature needs one of (VIRTIO 1.3, 5.1.3.1); a prerequisite stands before what needs it."""


STATUS = ("acknowledge", "driver", "features_ok", "driver_ok", "failed")
"""The bits of the device status that the driver writes (VIRTIO 1.3, 2.1)."""


class Place(IntEnum):
    """What the driver does next."""

    START = 0
    RESETTING = 1  # has written status 0, reads it back
    ACKNOWLEDGE = 2
    DRIVER = 3
    FEATURES = 4
    FEATURES_OK = 5
    CHECK = 6  # reads FEATURES_OK back
    CONFIGURE = 7  # reads the configuration, which says how many queues there are
    SELECT = 8  # selects a queue, and looks whether it is there and free
    ALLOCATE = 9
    SIZE = 10
    ADDRESS = 11  # the page frame, or the addresses of the three parts
    ENABLE = 12
    READY = 13  # sets DRIVER_OK
    RUNNING = 14
    FAILING = 15  # takes down what was set up
    FAILED = 16  # has given up
    REMOVING = 17  # has written status 0, reads it back
    CLEARING = 18  # frees rings and frames
    GONE = 19
    LEFT = 20  # the reset was not seen: everything stays allocated, nothing is touched


class Stage(IntEnum):
    """What the device was last shown of the initialisation (VIRTIO 1.3, 3.1.1)."""

    NONE = 0
    RESET = 1
    ACKNOWLEDGE = 2
    DRIVER = 3
    FEATURES = 4
    FEATURES_OK = 5
    DRIVER_OK = 6


@dataclass(frozen=True)
class State:
    """One moment of a device and its driver."""

    at: Number  # a Place
    queue: Number  # the virtqueue being set up, or how many are

    # The device status register, as it reads: until a reset is done, as before.
    acknowledge: Flag
    driver: Flag
    features_ok: Flag
    driver_ok: Flag
    failed: Flag

    # Of the watched queue.
    allocated: Flag
    sized: Flag
    addressed: Flag
    enabled: Flag

    # Ghost.
    stage: Number  # a Stage
    checked: Flag  # FEATURES_OK was read back, and was set
    resetting: Flag  # status 0 was written and has not been read back
    live: Flag  # DRIVER_OK was set, and no reset was seen since: the device may touch the rings


@dataclass(frozen=True)
class Choice:
    """What a step leaves open: whether the device, or the memory allocator, does as the driver hopes."""

    ok: Flag


class Transport:
    """The accesses of a driver, on both transports and in both profiles at once."""

    words: ClassVar[dict[str, type[IntEnum]]] = {"at": Place, "stage": Stage}
    asks: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("see_reset", "set_features_ok", "configure", "select", "allocate", "read_link", "see_removed"),
        ("ok",),
    )
    state, choice = State, Choice
    steps = (
        "reset", "see_reset", "set_acknowledge", "set_driver", "accept_features", "set_features_ok", "check",
        "configure", "select", "allocate", "write_size", "write_address", "write_enable", "read_link",
        "set_driver_ok", "notify", "fail", "remove", "see_removed", "finish_reset", "clear",
    )  # fmt: skip
    status_steps = ("set_acknowledge", "set_driver", "set_features_ok", "set_driver_ok", "fail", "clear")

    def __init__(
        self,
        queues: int | None = None,
        watched: int | None = None,
        *,
        modern: bool | None = None,
        linux: bool | None = None,
        offered: Collection[str] | None = None,
    ) -> None:
        """Take one device and one number of queues, or all; of one device, all features are understood."""
        self.modern: Flag = z3.Bool("modern") if modern is None else modern
        self.linux: Flag = z3.Bool("linux_3_11") if linux is None else linux
        self.queues: Number = z3.Int("queues") if queues is None else queues
        self.watched: Number = z3.Int("watched") if watched is None else watched
        self.offered: dict[str, Flag] = {
            name: z3.Bool(f"offers_{name}") if offered is None else name in offered for name in FEATURES
        }
        self.understood: dict[str, Flag] = {
            name: z3.Bool(f"understands_{name}") if offered is None else name != "VERSION_1" or self.modern
            for name in FEATURES
        }
        self.left: Flag | None = None if queues is None else False

    def setting(self) -> dict[str, Number]:
        """Return what does not change, by name."""
        return {
            "modern": self.modern,
            "linux_3_11": self.linux,
            "queues": self.queues,
            "watched": self.watched,
        }

    def facts(self) -> Flag:
        """Return what is known: the watched queue is one of two or more; VERSION_1 is for modern."""
        understood = self.understood["VERSION_1"] == self.modern
        return both(self.queues >= 2, self.watched >= 0, self.watched < self.queues, understood)

    def initial(self) -> State:
        """Return a device of which the driver knows nothing: as firmware may have left it."""
        status = {name: z3.Bool(f"{name}_left") if self.left is None else self.left for name in STATUS}
        return State(
            at=Place.START, queue=0, **status, allocated=False, sized=False, addressed=False, enabled=False,
            stage=Stage.NONE, checked=False, resetting=False, live=False,
        )  # fmt: skip

    def take(self, name: str, s: State, choice: Choice) -> Step[State]:
        """Return the transition of that name."""
        step: Step[State] = getattr(self, name)(s, choice)
        return step

    # Features.

    def accepted(self) -> dict[str, Flag]:
        """Return which features the driver writes back, by name."""
        taken: dict[str, Flag] = {}
        for name in FEATURES:
            wanted = self.wanted(name)
            if name in PREREQUISITES:
                met = any_of(*(taken[each] for each in PREREQUISITES[name]))
                wanted = both(wanted, any_of(self.linux, met))
            taken[name] = wanted
        return taken

    def wanted(self, feature: str) -> Flag:
        """Return whether a feature is accepted but for its prerequisite: offered and understood."""
        return both(self.offered[feature], self.understood[feature])

    # Status.

    def add_status(self, s: State, bit: str) -> State:
        """Return the state after the status was read and written back with a further bit."""
        status = {name: both(getattr(s, name), self.keeps_status()) for name in STATUS}
        return replace(s, **{**status, bit: True})

    def keeps_status(self) -> Flag:
        """Whether a status bit is written with those already set."""
        return True

    def after_read(self, s: State, done: Flag) -> State:
        """Return the state after the status was read for a reset: 0 if the device is done, else as before."""
        status = {name: both(getattr(s, name), no(done)) for name in STATUS}
        return replace(s, **status, resetting=both(s.resetting, no(done)), live=both(s.live, no(done)))

    # Probe.

    def reset(self, s: State, choice: Choice) -> Step[State]:
        """Write status 0."""
        del choice
        return Step(s.at == Place.START, replace(s, at=Place.RESETTING, stage=Stage.RESET, resetting=True))

    def see_reset(self, s: State, choice: Choice) -> Step[State]:
        """Read status until it is 0; give up in the end. On legacy, linux-3.11 reads once, whatever comes."""
        onward = either(any_of(choice.ok, self.reads_once()), Place.ACKNOWLEDGE, Place.FAILED)
        return Step(s.at == Place.RESETTING, replace(self.after_read(s, choice.ok), at=onward))

    def reads_once(self) -> Flag:
        """Whether one read of status ends a reset."""
        return both(self.linux, no(self.modern))

    def set_acknowledge(self, s: State, choice: Choice) -> Step[State]:
        """Say that the device was noticed."""
        del choice
        after = replace(self.add_status(s, "acknowledge"), at=Place.DRIVER, stage=Stage.ACKNOWLEDGE)
        return Step(s.at == Place.ACKNOWLEDGE, after)

    def set_driver(self, s: State, choice: Choice) -> Step[State]:
        """Say that there is a driver for it."""
        del choice
        after = replace(self.add_status(s, "driver"), at=Place.FEATURES, stage=Stage.DRIVER)
        return Step(s.at == Place.DRIVER, after)

    def accept_features(self, s: State, choice: Choice) -> Step[State]:
        """Read what is offered and write what is accepted; the modern transport needs VERSION_1."""
        del choice
        onward = either(self.modern, Place.FEATURES_OK, Place.CONFIGURE)
        missing = both(self.modern, no(self.offered["VERSION_1"]))
        accepted = replace(s, at=onward, stage=Stage.FEATURES)
        after = replace(
            accepted,
            at=either(missing, Place.FAILING, accepted.at),
            stage=either(missing, s.stage, accepted.stage),
        )
        return Step(s.at == Place.FEATURES, after)

    def set_features_ok(self, s: State, choice: Choice) -> Step[State]:
        """Modern: write FEATURES_OK, which the device may leave clear."""
        written = self.add_status(s, "features_ok")
        onward = either(self.reads_features_ok_back(), Place.CHECK, Place.CONFIGURE)
        after = replace(written, at=onward, features_ok=choice.ok, stage=Stage.FEATURES_OK)
        return Step(s.at == Place.FEATURES_OK, after)

    def reads_features_ok_back(self) -> Flag:
        """Whether the driver looks whether its features were taken."""
        return True

    def check(self, s: State, choice: Choice) -> Step[State]:
        """Modern: read status; if FEATURES_OK is not set, the device refuses the features."""
        del choice
        onward = either(s.features_ok, Place.CONFIGURE, Place.FAILING)
        return Step(s.at == Place.CHECK, replace(s, at=onward, checked=s.features_ok))

    def configure(self, s: State, choice: Choice) -> Step[State]:
        """Read the configuration; it may never hold still."""
        early = self.sets_driver_ok_early()
        status = self.add_status(s, "driver_ok")
        after = replace(
            s,
            at=either(choice.ok, Place.SELECT, Place.FAILING),
            queue=0,
            driver_ok=either(early, status.driver_ok, s.driver_ok),
            stage=either(early, Stage.DRIVER_OK, s.stage),
            live=either(early, True, s.live),
        )
        return Step(s.at == Place.CONFIGURE, after)

    def sets_driver_ok_early(self) -> Flag:
        """Whether DRIVER_OK is set, for the first time, before the queues are set up."""
        return False

    def select(self, s: State, choice: Choice) -> Step[State]:
        """Select a queue: there must be one, not yet in use, of a size that a ring can have."""
        onward = either(choice.ok, Place.ALLOCATE, Place.FAILING)
        return Step(s.at == Place.SELECT, replace(s, at=onward))

    def allocate(self, s: State, choice: Choice) -> Step[State]:
        """Allocate the ring, zeroed."""
        first = either(self.modern, Place(self.queue_writes()[0]), Place.ADDRESS)
        allocated = any_of(s.allocated, both(choice.ok, s.queue == self.watched))
        after = replace(s, at=either(choice.ok, first, Place.FAILING), allocated=allocated)
        return Step(s.at == Place.ALLOCATE, after)

    def queue_writes(self) -> tuple[Place, ...]:
        """Return the order in which the modern transport writes a queue's registers."""
        return (Place.SIZE, Place.ADDRESS, Place.ENABLE)

    def written(self, s: State, place: Place) -> State:
        """Return the state after the registers of a queue were written for one place: on to the next."""
        order = self.queue_writes()
        last = order[-1] == place
        following = place if last else order[order.index(place) + 1]
        done = any_of(last, no(self.modern))
        more = s.queue + 1 < self.queues
        next_queue = either(more, Place.SELECT, Place.READY)
        return replace(
            s, at=either(done, next_queue, following), queue=s.queue + either(done, 1, 0)
        )  # fmt: skip

    def write_size(self, s: State, choice: Choice) -> Step[State]:
        """Modern: write the queue's size."""
        del choice
        after = replace(self.written(s, Place.SIZE), sized=any_of(s.sized, s.queue == self.watched))
        return Step(both(self.modern, s.at == Place.SIZE), after)

    def write_address(self, s: State, choice: Choice) -> Step[State]:
        """Write where the ring is; on legacy, where its size is given and a page frame makes it live."""
        del choice
        mine = s.queue == self.watched
        legacy = both(mine, no(self.modern))
        after = replace(
            self.written(s, Place.ADDRESS),
            addressed=any_of(s.addressed, mine),
            sized=any_of(s.sized, legacy),
            enabled=any_of(s.enabled, legacy),
        )
        return Step(s.at == Place.ADDRESS, after)

    def write_enable(self, s: State, choice: Choice) -> Step[State]:
        """Modern: write queue_enable."""
        del choice
        after = replace(self.written(s, Place.ENABLE), enabled=any_of(s.enabled, s.queue == self.watched))
        return Step(both(self.modern, s.at == Place.ENABLE), after)

    def read_link(self, s: State, choice: Choice) -> Step[State]:
        """Modern, with STATUS: read whether the link is up; the configuration may never hold still."""
        guard = both(s.at == Place.READY, self.modern, self.accepted()["STATUS"])
        return Step(guard, replace(s, at=either(choice.ok, s.at, Place.FAILING)))

    def set_driver_ok(self, s: State, choice: Choice) -> Step[State]:
        """Say that the driver is ready."""
        del choice
        after = replace(self.add_status(s, "driver_ok"), at=Place.RUNNING, stage=Stage.DRIVER_OK, live=True)
        return Step(s.at == Place.READY, after)

    def notify(self, s: State, choice: Choice) -> Step[State]:
        """Notify the device of some queue (vp_notify)."""
        del choice
        early = both(self.notifies_early(), s.at == Place.READY)
        return Step(any_of(s.at == Place.RUNNING, early), s)

    def notifies_early(self) -> Flag:
        """Whether the device is notified before DRIVER_OK is set."""
        return False

    def fail(self, s: State, choice: Choice) -> Step[State]:
        """Take the queues down and set FAILED."""
        del choice
        return Step(
            s.at == Place.FAILING, replace(self.add_status(s, "failed"), at=Place.FAILED, allocated=False)
        )

    # Remove.

    def remove(self, s: State, choice: Choice) -> Step[State]:
        """Write status 0."""
        del choice
        return Step(s.at == Place.RUNNING, replace(s, at=Place.REMOVING, stage=Stage.RESET, resetting=True))

    def see_removed(self, s: State, choice: Choice) -> Step[State]:
        """Read status until it is 0; if that does not come, leave everything as it is."""
        onward = either(any_of(choice.ok, no(self.waits_at_removal())), Place.CLEARING, Place.LEFT)
        return Step(s.at == Place.REMOVING, replace(self.after_read(s, choice.ok), at=onward))

    def finish_reset(self, s: State, choice: Choice) -> Step[State]:
        """The device finishes a reset for which the driver has not waited."""
        del choice
        guard = both(s.resetting, one_of(s.at, Place.ACKNOWLEDGE, Place.CLEARING))
        return Step(guard, replace(self.after_read(s, True), resetting=True))

    def waits_at_removal(self) -> Flag:
        """Whether rings and frames are freed only once the device was seen reset."""
        return no(self.reads_once())

    def clear(self, s: State, choice: Choice) -> Step[State]:
        """Free the frames and the rings, and leave the device noticed, without a driver."""
        del choice
        after = replace(self.add_status(s, "acknowledge"), at=Place.GONE, allocated=False)
        return Step(s.at == Place.CLEARING, after)

    # Queues and frames.

    def pairs(self, multiqueue: Flag, max_virtqueue_pairs: Number, most: Number) -> Number:
        """Return the queue pairs that the driver sets up: of those there are, at most as many as it can."""
        good = both(max_virtqueue_pairs >= 1, max_virtqueue_pairs <= MOST_PAIRS)
        return either(both(multiqueue, good), smaller(max_virtqueue_pairs, most), 1)

    def pairs_used(self, used: Number, wanted: Number, pairs: Number, answer: Flag) -> Number:
        """Return the pairs in use after some were asked for and the device answered (virtnet_set_queues)."""
        return either(both(wanted >= 1, wanted <= pairs, answer), wanted, used)

    def reduces(self, value: Number, used: Number, recorded: Flag) -> Flag:
        """Return whether select_queue goes on subtracting the number of queues in use."""
        del recorded
        return value >= used


def prerequisites_hold(accepted: dict[str, Flag]) -> Flag:
    """Return that what was accepted has what it needs (VIRTIO 1.3, 2.2.1)."""
    return both(
        *(
            implies(accepted[name], any_of(*(accepted[need] for need in needs)))
            for name, needs in PREREQUISITES.items()
        )
    )
