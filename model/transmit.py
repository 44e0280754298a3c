"""One transmit queue and the stack above it: start_xmit, its interrupt, and the device, step by step.

Each step is at most one access to memory that another party touches, and the parties take turns in any
order, so every race between stopping a queue, enabling its callback and a completion is in here. The
parties are start_xmit under the transmit lock, the interrupt handler, and an honest device, which may
complete what was published in any order, one or several at a time, test for an interrupt only later, and
interrupt without news. Accesses take effect in program order: the barriers are there (their absence is not
modelled). That the device finds what was published is the virtqueue's affair: here it may look at any time.

Two profiles. ``linux-3.11``: start_xmit wants room for 2 + MAX_SKB_FRAGS descriptors, and the interrupt
wakes the queue without looking, outside the lock. ``virtio-1.x``: no more room is wanted than the queue
has descriptors, a frame with more segments than that is copied into one or two, and the interrupt reclaims,
under the lock, and wakes the queue only if there is room.

Of chains only numbers are kept: how many are in flight and how many descriptors are free. Which lengths the
chains have is left open but for this: each has at least one descriptor and at most ``longest``. That a chain
in flight comes back once, with the frame that was sent and all its descriptors, is taken from the ring's
theorems (``comes_back``). That the reset at removal is done before frames are detached is taken for granted:
the model of the transports shows who looks. Indices are true counts, as the ring's theorem indices-faithful
allows. An event word that was overtaken 2^16 completions ago can hit again; that interrupt has no news, like
those the device may raise anyway.

The same text is proved, on symbols, and explored, on numbers (``term``). Every decision a driver is known
to get wrong has a method of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar

import z3

from .size import LARGEST
from .term import Flag, Number, Step, any_of, both, either, implies, no, one_of, smaller, three_quarters

LONGEST = 19
"""Descriptors of the longest frame: the header, the linear part and MAX_SKB_FRAGS = 17 fragments."""


class Place(IntEnum):
    """Where the holder of the transmit lock is: start_xmit, or in virtio-1.x the interrupt's callback."""

    IDLE = 0  # nobody holds the lock
    RECLAIM = 1  # free_old_xmit_skbs, about to look for a used chain
    REARM = 2  # free_old_xmit_skbs, about to write used_event for the chain just taken
    XMIT = 3  # start_xmit, about to xmit_skb
    KICK = 4  # start_xmit, the frame is published
    ROOM = 5  # start_xmit, about to test num_free
    WAKE = 6  # the callback, about to test num_free
    ENABLE = 7  # enable_cb_delayed, about to clear NO_INTERRUPT
    DELAY = 8  # enable_cb_delayed, about to write used_event
    LOOK = 9  # enable_cb_delayed, about to look whether that was too late
    RECLAIM_AGAIN = 10  # free_old_xmit_skbs, since more was used
    REARM_AGAIN = 11
    RESTART = 12  # about to test num_free once more
    DISABLE = 13  # the queue was started: about to disable_cb
    REMOVED = 14  # the device was reset: detaching what it had not given back


class Handler(IntEnum):
    """How far the interrupt handler is."""

    NONE = 0
    ASKED = 1  # has read ISR, which cleared it
    CALLED = 2  # has seen something used, so the callback is due
    SILENCED = 3  # linux-3.11: has disabled callbacks, and is about to wake the queue


class Frame(IntEnum):
    """What became of one frame, any frame."""

    UNBORN = 0
    HANDED = 1  # the stack has handed it over, start_xmit has not returned
    IN_RING = 2
    FREED = 3


@dataclass(frozen=True)
class State:
    """One moment of one transmit queue. Indices are counts since the start, which never wrap."""

    # The driver's.
    at: Number  # a Place
    callback: Flag  # it is the interrupt's callback that is there, not start_xmit
    handler: Number  # a Handler
    stopped: Flag  # the stack hands over no frame
    num_free: Number
    last_used: Number  # chains got back
    tx_packets: Number
    tx_bytes: Number
    tx_dropped: Number
    tx_fifo_errors: Number

    # In shared memory.
    published: Number  # chains added
    no_interrupt: Flag  # avail.flags; with EVENT_IDX in virtio-1.x only the driver's own note of it
    used_event: Number
    used: Number  # chains completed

    # The device's.
    tested: Number  # completions for which it has tested whether to interrupt
    interrupt: Flag  # bit 0 of ISR

    # Ghost.
    frame: Number  # a Frame
    times_freed: Number  # that frame
    dropped: Number  # frames that start_xmit freed itself
    sent_bytes: Number  # of all frames got back, without their headers

    @property
    def in_flight(self) -> Number:
        """How many chains are published and not got back."""
        return self.published - self.last_used


@dataclass(frozen=True)
class Choice:
    """What a step leaves open: the frame handed over, and which chain comes back."""

    mine: Flag  # it is the frame that the ghost looks at
    pieces: Number  # segments of the frame's data
    unfit: Flag  # xmit_skb fails before it adds: offload that cannot be, or no memory
    indirect: Flag  # an indirect table was negotiated, and there was memory for it
    length: Number  # descriptors of the chain that comes back
    size: Number  # bytes of the frame that comes back


class Transmit:
    """The transitions of a transmit queue: of every size, feature and profile at once unless they are given.

    A smaller ``longest`` makes small queues behave as large ones do, for exploring.
    """

    words: ClassVar[dict[str, type[IntEnum]]] = {"at": Place, "handler": Handler, "frame": Frame}
    asks: ClassVar[dict[str, tuple[str, ...]]] = {
        "begin": ("mine",),
        "get": ("mine", "length", "size"),
        "xmit": ("pieces", "indirect"),
        "drop": ("pieces", "indirect", "unfit"),
        "detach": ("mine", "length"),
        "between": ("pieces",),
    }
    state, choice = State, Choice
    start_xmit = (
        "begin", "get", "got_all", "rearm", "xmit", "drop", "kick",
        "test_room", "enable", "delay", "look", "restart", "disable",
    )  # fmt: skip
    interrupt_handler = ("answer", "ask", "silence", "wake_blindly", "call", "wake")
    device = ("complete", "test", "interrupt_without_news")
    removal = ("remove", "detach")
    steps = (*start_xmit, *interrupt_handler, *device, *removal)

    def __init__(
        self,
        queue_size: int | None = None,
        *,
        linux: bool | None = None,
        event_idx: bool | None = None,
        version_1: bool | None = None,
        longest: int = LONGEST,
    ) -> None:
        self.queue_size: Number = z3.Int("queue_size") if queue_size is None else queue_size
        self.linux: Flag = z3.Bool("linux_3_11") if linux is None else linux
        self.event_idx: Flag = z3.Bool("event_idx") if event_idx is None else event_idx
        self.version_1: Flag = z3.Bool("version_1") if version_1 is None else version_1
        self.longest = longest

    def setting(self) -> dict[str, Flag | Number]:
        """Return what does not change, by name."""
        return {
            "queue_size": self.queue_size,
            "linux_3_11": self.linux,
            "event_idx": self.event_idx,
            "version_1": self.version_1,
        }

    def take(self, name: str, s: State, choice: Choice) -> Step[State]:
        """Return the transition of that name."""
        step: Step[State] = getattr(self, name)(s, choice)
        return step

    def facts(self) -> Flag:
        """Return what is known: probe refuses a queue of one descriptor where a frame needs two."""
        size = self.queue_size
        return both(size >= 1, size <= LARGEST, any_of(self.linux, self.version_1, size >= 2))

    def initial(self) -> State:
        """Return the queue after probe: nothing in flight, started, its callback on (vring_new_virtqueue)."""
        return State(
            at=Place.IDLE, callback=False, handler=Handler.NONE, stopped=False,
            num_free=self.queue_size, last_used=0, tx_packets=0, tx_bytes=0, tx_dropped=0, tx_fifo_errors=0,
            published=0, no_interrupt=False, used_event=0, used=0, tested=0, interrupt=False,
            frame=Frame.UNBORN, times_freed=0, dropped=0, sent_bytes=0,
        )  # fmt: skip

    # What the profiles differ in.

    def room(self) -> Number:
        """Return how many free descriptors start_xmit wants before it leaves the queue started."""
        return either(self.linux, self.longest, smaller(self.longest, self.queue_size))

    def segments(self, choice: Choice) -> Number:
        """Return the segments of a frame: its header's and its data's, unless it was copied into fewer."""
        plain = 1 + choice.pieces
        copied = either(self.version_1, 1, 2)
        return either(any_of(self.linux, plain <= self.queue_size), plain, copied)

    def wakes_blindly(self) -> Flag:
        """Whether the interrupt wakes the queue without the lock and without looking (skb_xmit_done)."""
        return self.linux

    # start_xmit.

    def begin(self, s: State, choice: Choice) -> Step[State]:
        """The stack hands a frame over; it does so only while the queue is not stopped."""
        guard = both(s.at == Place.IDLE, no(s.stopped), implies(choice.mine, s.frame == Frame.UNBORN))
        frame = either(choice.mine, Frame.HANDED, s.frame)
        return Step(guard, replace(s, at=Place.RECLAIM, callback=False, frame=frame))

    def get(self, s: State, choice: Choice) -> Step[State]:
        """Get one used chain, count its frame and free it (free_old_xmit_skbs)."""
        guard = both(
            one_of(s.at, Place.RECLAIM, Place.RECLAIM_AGAIN),
            s.used != s.last_used,
            self.comes_back(s, choice),
        )
        after = replace(
            s,
            at=s.at + 1,
            num_free=s.num_free + choice.length,
            last_used=s.last_used + 1,
            tx_packets=s.tx_packets + 1,
            tx_bytes=s.tx_bytes + self.counted_bytes(choice),
            frame=either(choice.mine, Frame.FREED, s.frame),
            times_freed=s.times_freed + either(choice.mine, 1, 0),
            sent_bytes=s.sent_bytes + choice.size,
        )
        return Step(guard, after)

    def comes_back(self, s: State, choice: Choice) -> Flag:
        """Return what is true of any chain that comes back, and of the chains left.

        The chain is the ghost's only if the ghost's is in flight, and is so surely if no other is.
        """
        free, others = s.num_free + choice.length, s.in_flight - 1
        lengths = both(
            choice.length >= 1, choice.length <= self.longest,
            free + others <= self.queue_size, free + self.longest * others >= self.queue_size,
        )  # fmt: skip
        ghost = both(
            implies(choice.mine, s.frame == Frame.IN_RING),
            implies(both(s.frame == Frame.IN_RING, others == 0), choice.mine),
        )
        return both(s.in_flight >= 1, choice.size >= 0, lengths, ghost)

    def counted_bytes(self, choice: Choice) -> Number:
        """Return what tx_bytes grows by for a frame sent: its length, header not counted."""
        return choice.size

    def got_all(self, s: State, choice: Choice) -> Step[State]:
        """Find nothing used, and go on."""
        del choice
        guard = both(one_of(s.at, Place.RECLAIM, Place.RECLAIM_AGAIN), s.used == s.last_used)
        onward = either(s.callback, Place.WAKE, Place.XMIT)
        return Step(guard, replace(s, at=either(s.at == Place.RECLAIM, onward, Place.RESTART)))

    def rearm(self, s: State, choice: Choice) -> Step[State]:
        """Ask for an interrupt at the next completion, unless callbacks are off (virtqueue_get_buf)."""
        del choice
        event = either(s.no_interrupt, s.used_event, s.last_used)
        guard = one_of(s.at, Place.REARM, Place.REARM_AGAIN)
        return Step(guard, replace(s, at=s.at - 1, used_event=event))

    def xmit(self, s: State, choice: Choice) -> Step[State]:
        """Put the frame into the ring (xmit_skb)."""
        guard = both(s.at == Place.XMIT, self.may_be_sent(choice), no(choice.unfit), self.fits(s, choice))
        after = replace(
            s,
            at=Place.KICK,
            num_free=s.num_free - self.taken(choice),
            published=s.published + 1,
            frame=either(s.frame == Frame.HANDED, Frame.IN_RING, s.frame),
        )
        return Step(guard, after)

    def may_be_sent(self, choice: Choice) -> Flag:
        """A frame has at most as many pieces as the driver's scatterlist has entries beside the header's."""
        return both(choice.pieces >= 0, choice.pieces <= self.longest - 1)

    def taken(self, choice: Choice) -> Number:
        """Return the descriptors that the frame's chain takes from the queue."""
        return either(choice.indirect, 1, self.segments(choice))

    def fits(self, s: State, choice: Choice) -> Flag:
        """Return whether virtqueue_add accepts the frame."""
        return self.taken(choice) <= s.num_free

    def drop(self, s: State, choice: Choice) -> Step[State]:
        """Xmit_skb has failed: count a drop, free the frame and say it was taken."""
        refused = any_of(choice.unfit, no(self.fits(s, choice)))
        guard = both(s.at == Place.XMIT, self.may_be_sent(choice), refused)
        return Step(guard, self.dropped(s, choice))

    def dropped(self, s: State, choice: Choice) -> State:
        """Return what is left after xmit_skb has failed."""
        del choice
        mine = s.frame == Frame.HANDED
        return replace(
            s,
            at=Place.IDLE,
            tx_dropped=s.tx_dropped + self.drops_counted(),
            tx_fifo_errors=s.tx_fifo_errors + self.drops_counted(),
            frame=either(mine, Frame.FREED, s.frame),
            times_freed=s.times_freed + either(mine, self.times_dropped_is_freed(), 0),
            dropped=s.dropped + 1,
        )

    def drops_counted(self) -> int:
        """Return what tx_dropped and tx_fifo_errors grow by at a drop."""
        return 1

    def times_dropped_is_freed(self) -> int:
        """Return how often a dropped frame is freed."""
        return 1

    def kick(self, s: State, choice: Choice) -> Step[State]:
        """Notify the device, and detach the frame from its socket."""
        del choice
        return Step(s.at == Place.KICK, replace(s, at=Place.ROOM))

    def test_room(self, s: State, choice: Choice) -> Step[State]:
        """Stop the queue if a frame might not fit; else done."""
        del choice
        short = s.num_free < self.room()
        onward = either(short, self.place_after_stop(), Place.IDLE)
        return Step(s.at == Place.ROOM, replace(s, at=onward, stopped=any_of(s.stopped, short)))

    def place_after_stop(self) -> Place:
        """Return where start_xmit goes once it has stopped the queue."""
        return Place.ENABLE

    def enable(self, s: State, choice: Choice) -> Step[State]:
        """Clear NO_INTERRUPT (virtqueue_enable_cb_delayed)."""
        del choice
        return Step(s.at == Place.ENABLE, replace(s, at=Place.DELAY, no_interrupt=False))

    def delay(self, s: State, choice: Choice) -> Step[State]:
        """Ask for an interrupt when three quarters of the chains in flight are used."""
        del choice
        event = s.last_used + three_quarters(s.in_flight)
        return Step(s.at == Place.DELAY, replace(s, at=Place.LOOK, used_event=event))

    def look(self, s: State, choice: Choice) -> Step[State]:
        """If more than that is used already, no interrupt may come: reclaim. Else done."""
        del choice
        late = both(s.used - s.last_used > three_quarters(s.in_flight), self.heeds_late())
        return Step(s.at == Place.LOOK, replace(s, at=either(late, Place.RECLAIM_AGAIN, Place.IDLE)))

    def heeds_late(self) -> Flag:
        """Whether the caller of enable_cb_delayed minds that it was too late."""
        return True

    def restart(self, s: State, choice: Choice) -> Step[State]:
        """Start the queue again if there is room by now."""
        del choice
        room = s.num_free >= self.room()
        onward = either(room, Place.DISABLE, Place.IDLE)
        return Step(s.at == Place.RESTART, replace(s, at=onward, stopped=both(s.stopped, no(room))))

    def disable(self, s: State, choice: Choice) -> Step[State]:
        """Set NO_INTERRUPT: a started queue needs no interrupt (virtqueue_disable_cb)."""
        del choice
        return Step(s.at == Place.DISABLE, replace(s, at=Place.IDLE, no_interrupt=True))

    # The interrupt handler.

    def answer(self, s: State, choice: Choice) -> Step[State]:
        """Read ISR, which clears it (vp_interrupt)."""
        del choice
        guard = both(s.interrupt, s.handler == Handler.NONE)
        return Step(guard, replace(s, interrupt=False, handler=Handler.ASKED))

    def ask(self, s: State, choice: Choice) -> Step[State]:
        """If nothing is used the interrupt is not this queue's (vring_interrupt)."""
        del choice
        handler = either(s.used != s.last_used, Handler.CALLED, Handler.NONE)
        return Step(s.handler == Handler.ASKED, replace(s, handler=handler))

    def silence(self, s: State, choice: Choice) -> Step[State]:
        """linux-3.11: set NO_INTERRUPT."""
        del choice
        guard = both(self.wakes_blindly(), s.handler == Handler.CALLED)
        return Step(guard, replace(s, handler=Handler.SILENCED, no_interrupt=True))

    def wake_blindly(self, s: State, choice: Choice) -> Step[State]:
        """linux-3.11: wake the queue."""
        del choice
        guard = both(self.wakes_blindly(), s.handler == Handler.SILENCED)
        return Step(guard, replace(s, handler=Handler.NONE, stopped=False))

    def call(self, s: State, choice: Choice) -> Step[State]:
        """virtio-1.x: take the transmit lock, set NO_INTERRUPT and reclaim."""
        del choice
        guard = both(no(self.wakes_blindly()), s.handler == Handler.CALLED, s.at == Place.IDLE)
        after = replace(s, handler=Handler.NONE, at=Place.RECLAIM, callback=True, no_interrupt=True)
        return Step(guard, after)

    def wake(self, s: State, choice: Choice) -> Step[State]:
        """virtio-1.x: wake the queue if there is room; else have the callback enabled again."""
        del choice
        room = s.num_free >= self.room()
        onward = either(room, Place.IDLE, Place.ENABLE)
        return Step(s.at == Place.WAKE, replace(s, at=onward, stopped=both(s.stopped, no(room))))

    # The device.

    def complete(self, s: State, choice: Choice) -> Step[State]:
        """Complete one chain: write used.idx."""
        del choice
        guard = both(s.used < s.published, s.at != Place.REMOVED)
        return Step(guard, replace(s, used=s.used + 1))

    def test(self, s: State, choice: Choice) -> Step[State]:
        """Interrupt if the driver wants to hear of a completion since the last test (VIRTIO 1.3, 2.7.7.2)."""
        del choice
        hit = both(s.tested <= s.used_event, s.used_event < s.used)
        wanted = either(self.event_idx, hit, no(s.no_interrupt))
        return Step(s.tested < s.used, replace(s, tested=s.used, interrupt=any_of(s.interrupt, wanted)))

    def interrupt_without_news(self, s: State, choice: Choice) -> Step[State]:
        """Interrupt although no completion asks for it, as a device and a shared line may."""
        del choice
        return Step(s.at != Place.REMOVED, replace(s, interrupt=True))

    # The end.

    def remove(self, s: State, choice: Choice) -> Step[State]:
        """Reset the device, which forgets what it has completed and touches the ring no more.

        Nobody may be at work then: a callback of virtio-1.x that still ran would reclaim what is detached.
        """
        del choice
        guard = both(s.at == Place.IDLE, s.handler == Handler.NONE)
        after = replace(s, at=Place.REMOVED, used=s.last_used, tested=s.last_used, interrupt=False)
        return Step(guard, after)

    def detach(self, s: State, choice: Choice) -> Step[State]:
        """Free a frame still in the ring; it is not counted as sent (virtqueue_detach_unused_buf)."""
        guard = both(s.at == Place.REMOVED, self.comes_back(s, choice))
        after = replace(
            s,
            num_free=s.num_free + choice.length,
            published=s.published - 1,
            frame=either(choice.mine, Frame.FREED, s.frame),
            times_freed=s.times_freed + either(choice.mine, 1, 0),
        )
        return Step(guard, after)
