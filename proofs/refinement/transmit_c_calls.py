"""What surrounds virtio_net.c's transmit path while it is executed: its calls, answered beside the model.

The virtqueue's functions, those of net_header.c and scatterlist.c, and the stack's are answered from what is
proved of them elsewhere, or, of the stack, from what virtio_net.c may count on. What they are asked is owed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import z3

from ...model.scatterlist import MAX_SKB_FRAGS
from ...model.transmit import Place
from ..symbolic.environment import Answers
from ..symbolic.errors import Unmodelled
from ..symbolic.ir import Function, Local
from ..symbolic.ir import Place as Source
from ..symbolic.memory import locate, put
from ..symbolic.state import Ended, Site, State
from ..symbolic.values import NULL, Offset, Pointer, plain
from .transmit_c_following import U32, Chain, Following, Sending, equal
from .transmit_lockstep import Point, Way
from .transmit_objects import Tail, is_pointer_to, unused

MOST_PIECES = 1 + MAX_SKB_FRAGS


class Calls(Following):
    """The surroundings of one of the transmit path's functions."""

    # Loops.

    def loop(
        self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Cut the loops that reclaim: whatever a round begins with is what any round begins with."""
        chain: Chain | None = state.extra.get("chain")
        if chain is None:
            return None
        place = function.blocks[header].instructions[0].place
        site = Site(state, self, place)
        self._settled(site, but=chain)
        others = [local for local, value in values.items() if not is_pointer_to(value, chain.record)]
        for local in others:
            site.oblige("transmit", f"a round of the loop needs no {local.name} of the round before", False)
        if back:
            raise Ended
        point: Point = state.extra["point"]
        here, facts = self.lockstep.again(point) if not chain.counted else (point, ())
        for fact in facts:
            state.assume(plain(fact))
        self.world.fill(state, here.state)
        state.write(self.world.queue, "unused", Tail(self._records(here)))
        ways = self.lockstep.detached(here) if chain.counted else self.lockstep.get(here)
        found: list[tuple[State, dict[Local, Any]]] = []
        for way in ways:
            if way.value is not True:
                continue
            after = self._gone(site, way, state.fork())
            for each, _ in self._came_back(after, way, counted=chain.counted):
                new: Chain = each.extra["chain"]
                self._hand_out(Site(each, self, place), new)
                found.append((each, {local: Pointer(new.record) for local in values}))
        return found

    # Calls.

    def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Source) -> Answers:
        """Answer a call by the method of its name, and owe that it is of this queue and this stack."""
        name = callee.removeprefix("env.") if isinstance(callee, str) else ""
        answer: Callable[..., Answers] | None = getattr(self, f"_{name}", None)
        if answer is None or not isinstance(callee, str):
            raise Unmodelled(f"a call of {callee}", place)
        site = Site(state, self, place)
        if callee.startswith("env."):
            right = is_pointer_to(arguments[0], self.world.context)
            self._owe(site, f"{name} gets the stack's context", right)
            arguments = arguments[1:]
        elif name.startswith("rp_vq_"):
            self._owe(
                site, f"{name} gets the queue's own virtqueue", is_pointer_to(arguments[0], self.world.queue)
            )
            arguments = arguments[1:]
        return answer(site, *arguments)

    def _rp_vq_get_buf(self, site: Site, token: Any, length: Any) -> Answers:
        self._settled(site)
        found: Answers = []
        state = site.state
        state.extra["out"] = (token, length)
        for way in self.lockstep.get(state.extra["point"]):
            after = self._gone(site, way, state.fork())
            if way.value is not True:
                found.append((after, 0))
                continue
            for each, _ in self._came_back(after, way, counted=False):
                self._hand_out(Site(each, self, site.place), each.extra["chain"])
                found.append((each, 1))
        return [(each, value) for each, value in found if self.feasible(each)]

    def _rp_vq_detach_unused_buf(self, site: Site) -> Answers:
        self._settled(site)
        found: Answers = []
        for way in self.lockstep.detached(site.state.extra["point"]):
            after = self._gone(site, way, site.state.fork())
            if way.value is not True:
                found.append((after, NULL))
                continue
            found += self._came_back(after, way, counted=True)
        return [(each, value) for each, value in found if self.feasible(each)]

    def _came_back(self, state: State, way: Way, *, counted: bool) -> Answers:
        """Return the ways on with a chain, as xmit_skb left its record: with a copy, or without."""
        assert way.choice is not None
        found: Answers = []
        for copied in (False, True) if self.world.model.linux is not True else (False,):
            here = state.fork()
            sent = self.world.sent(here, self._mark(), way.choice.size)
            copy = self._block(here) if copied else None
            value = NULL if copy is None else Pointer(copy)
            values: dict[str, Any] = {"frame": Pointer(sent.frame), "copy": value}
            if copy is not None:
                values["copy_bytes"] = copy.size
            record = self.world.record(here, self._mark(), **values)
            here.extra["chain"] = Chain(record, sent, copy, counted)
            found.append((here, Pointer(record)))
        return found

    def _hand_out(self, site: Site, chain: Chain) -> None:
        """Let get_buf's results be where its caller wants them."""
        if "out" in site.state.extra:  # Not so of a chain that is detached, which is returned itself.
            token, length = site.state.extra["out"]
            put(site, token.object, locate(site, token, 8, 8), Pointer(chain.record))
            put(site, length.object, locate(site, length, 4, 4), z3.Int(f"written{self._mark()}"))

    def _rp_vq_disable_cb(self, site: Site) -> Answers:
        return self._one(site, self.lockstep.disabled)

    def _rp_vq_kick(self, site: Site) -> Answers:
        return self._one(site, self.lockstep.kick)

    def _rp_vq_enable_cb_delayed(self, site: Site) -> Answers:
        self._settled(site)
        ways = self.lockstep.delayed(site.state.extra["point"])
        found = [(self._gone(site, way, site.state.fork()), way.value) for way in ways]
        return [(each, value) for each, value in found if self.feasible(each)]

    def _stop_queue(self, site: Site, pair: Any) -> Answers:
        return self._told(site, pair, self.lockstep.stopped)

    def _start_queue(self, site: Site, pair: Any) -> Answers:
        self._owe(site, "start_xmit starts, the callback wakes", not self.lockstep.handling)
        return self._told(site, pair, self.lockstep.started)

    def _wake_queue(self, site: Site, pair: Any) -> Answers:
        self._owe(site, "start_xmit starts, the callback wakes", self.lockstep.handling)
        return self._told(site, pair, self.lockstep.started)

    def _told(self, site: Site, pair: Any, move: Callable[[Point], Way]) -> Answers:
        self._owe(site, "the stack is told of this queue", pair == z3.Int("queue.pair"))
        return self._one(site, move)

    def _orphaned(self, site: Site, token: Any) -> Answers:
        sending: Sending | None = site.state.extra.get("sending")
        right = sending is not None and not sending.orphaned and is_pointer_to(token, sending.sent.token)
        self._owe(site, "the frame that was sent is orphaned, once", right)
        self._owe(site, *self.lockstep.at(site.state.extra["point"], Place.ROOM))
        assert sending is not None
        site.state.extra["sending"] = replace(sending, orphaned=True)
        return [(site.state, None)]

    def _freed(self, site: Site, token: Any) -> Answers:
        state = site.state
        chain: Chain | None = state.extra.get("chain")
        if chain is not None and not chain.freed:
            self._owe(
                site, "the frame of the chain that came back is freed", is_pointer_to(token, chain.sent.token)
            )
            state.extra["chain"] = replace(chain, freed=True)
            return [(state, None)]
        sending: Sending | None = state.extra.get("sending")
        right = sending is not None and not sending.freed and is_pointer_to(token, sending.sent.token)
        self._owe(site, "the frame that is freed is the one that start_xmit has, once", right)
        assert sending is not None
        length, model = sending.sent.length, self.world.model
        inside = z3.If(model.version_1, z3.Int("device.header_bytes"), 0)
        # One descriptor holds no more bytes than 32 bits can count.
        too_long = z3.And(z3.BoolVal(model.linux is not True), length + inside >= U32)
        why = z3.Or(sending.cause, length == 0, too_long)
        way = self.lockstep.dropped(state.extra["point"], self._as_chosen(sending), why)
        after = self._gone(site, way, state)
        after.extra["sending"] = replace(sending, freed=True)
        return [(after, None)]

    def _allocate(self, site: Site, size: Any, alignment: Any, address: Any) -> Answers:
        sending = self._being_sent(site)
        self._owe(site, "one copy is allocated, with an alignment", sending.copy is None and alignment == 64)
        none = site.state.fork()
        none.extra["sending"] = replace(sending, cause=True)
        some = site.state.fork()
        copy = self._memory(some, self._mark(), size)
        some.extra["sending"] = replace(sending, copy=copy)
        at = Site(some, self, site.place)
        where = z3.Int(f"at {copy.name}")
        some.within(where, 0, (1 << 64) - 1)
        put(at, address.object, locate(at, address, 8, 8), where)
        some.extra["address"] = where
        return [(none, NULL), (some, Pointer(copy))]

    def _release(self, site: Site, memory: Any, size: Any) -> Answers:
        state = site.state
        chain, sending = state.extra.get("chain"), state.extra.get("sending")
        for name, each in (("chain", chain), ("sending", sending)):
            if each is not None and each.copy is not None and is_pointer_to(memory, each.copy):
                self._owe(site, "a copy is released once", not each.released)
                self._owe(site, "as many bytes are released as were allocated", size == each.copy.size)
                if name == "sending":
                    self._owe(site, "a copy that the device may read is not released", each.record is None)
                state.extra[name] = replace(each, released=True)
                state.freed |= {each.copy}
                return [(state, None)]
        self._owe(site, "what is released is a copy that was allocated", False)
        return []

    # What is proved elsewhere.

    def _rp_skb_pieces(self, site: Site, packet: Any) -> Answers:
        sending = self._being_sent(site)
        self._owe(site, "the frame's own packet is counted", is_pointer_to(packet, sending.sent.packet))
        many, some = site.state.fork(), site.state.fork()
        many.extra["sending"] = replace(sending, cause=True)
        pieces = z3.Int(f"pieces{self._mark()}")
        some.within(pieces, 0, MOST_PIECES)
        some.assume((pieces == 0) == (sending.sent.length == 0))
        some.extra["sending"] = replace(sending, pieces=pieces)
        return [(many, U32 - 90), (some, pieces)]

    def _rp_net_header_check(self, site: Site, frame: Any, features: Any, mended: Any) -> Answers:
        sending = self._being_sent(site)
        self._owe(site, "the frame itself is checked", is_pointer_to(frame, sending.sent.frame))
        self._owe(site, "with the features accepted", features == z3.Int("device.features"))
        self._owe(site, "in the queue's profile", plain(mended) == (self.world.model.linux is not True))
        bad, good = site.state.fork(), site.state.fork()
        bad.extra["sending"] = replace(sending, cause=True)
        good.extra["sending"] = replace(sending, checked=True)
        return [(bad, U32 - 22), (good, 0)]

    def _rp_net_header_write(self, site: Site, header: Any, frame: Any, size: Any, mended: Any) -> Answers:
        sending = self._being_sent(site)
        self._owe(site, "the frame's own header is written", is_pointer_to(frame, sending.sent.frame))
        self._owe(site, "into the frame's own memory", is_pointer_to(header, sending.sent.control))
        self._owe(site, "of the size negotiated", size == z3.Int("device.header_bytes"))
        self._owe(site, "in the queue's profile", plain(mended) == (self.world.model.linux is not True))
        self._owe(site, "of a frame that was checked", sending.checked)
        byte = z3.Function(f"header{self._mark()}", z3.IntSort(), z3.IntSort())
        old = site.state.read(sending.sent.control, "byte")
        site.state.write(
            sending.sent.control, "byte", lambda index: z3.If(index < size, byte(index), old(index))
        )
        site.state.extra["sending"] = replace(sending, headed=True)
        return [(site.state, None)]

    def _rp_sg_set(self, site: Site, entry: Any, address: Any, length: Any) -> Answers:
        sending = self._being_sent(site)
        number = self._entry(site, entry)
        frame = site.state.read(sending.sent.frame, "control_address")
        header = plain(z3.And(equal(address, frame), equal(length, z3.Int("device.header_bytes"))))
        if sending.copy is None:
            self._owe(site, "the first entry names the header", z3.And(z3.BoolVal(number == 0), header))
        else:
            version = self.world.model.version_1
            inside = z3.If(version, z3.Int("device.header_bytes"), 0)
            whole = z3.And(
                equal(address, site.state.extra["address"]),
                equal(length, inside + sending.sent.length),
                equal(sending.copy.size, inside + sending.sent.length),
                z3.BoolVal(number == 0) == version,
            )
            self._owe(site, "the entry names the copy, with the header under VERSION_1", whole)
        marks = tuple(each for each in sending.marks if each[0] != number)
        site.state.extra["sending"] = replace(sending, marks=(*marks, (number, False)))
        return [(site.state, None)]

    def _rp_sg_mark_end(self, site: Site, entry: Any) -> Answers:
        sending = self._being_sent(site)
        number = self._entry(site, entry)
        marks = tuple(each for each in sending.marks if each[0] != number)
        site.state.extra["sending"] = replace(sending, marks=(*marks, (number, True)))
        return [(site.state, None)]

    def _rp_skb_to_sgvec(
        self, site: Site, packet: Any, entry: Any, room: Any, offset: Any, length: Any
    ) -> Answers:
        sending = self._being_sent(site)
        self._owe(site, "the frame's own packet is mapped", is_pointer_to(packet, sending.sent.packet))
        self._owe(site, "into the entries behind the header's", self._entry(site, entry) == 1)
        self._owe(site, "which are as many as there are", plain(room) == MOST_PIECES)
        whole = z3.And(equal(offset, 0), equal(length, sending.sent.length))
        self._owe(site, "the whole packet is mapped", whole)
        marks = tuple(each for each in sending.marks if each[0] == 0)
        site.state.extra["sending"] = replace(sending, marks=(*marks, ("last", True)))
        return [(site.state, sending.pieces)]

    def _rp_sg_count(self, site: Site, entry: Any, most: Any) -> Answers:
        sending = self._being_sent(site)
        self._owe(site, "the table is counted from its start", self._entry(site, entry) == 0)
        self._owe(site, "to its end", plain(most) == MOST_PIECES + 1)
        marks = dict(sending.marks)
        self._owe(site, "the first entry was written for this frame", 0 in marks)
        if marks[0]:
            return [(site.state, 1)]
        if marks.get(1):
            return [(site.state, 2)]
        self._owe(site, "some entry is marked", "last" in marks)
        return [(site.state, sending.pieces + 1)]

    def _rp_skb_copy(self, site: Site, packet: Any, to: Any, length: Any) -> Answers:
        sending = self._being_sent(site)
        inside = z3.If(self.world.model.version_1, z3.Int("device.header_bytes"), 0)
        right = isinstance(to, Pointer) and to.object is sending.copy
        self._owe(site, "the frame's own packet is copied", is_pointer_to(packet, sending.sent.packet))
        self._owe(site, "into the copy", right)
        self._owe(site, "behind the header, if that is in it", equal(to.offset.number(), inside))
        self._owe(site, "all of it", equal(length, sending.sent.length))
        site.state.extra["sending"] = replace(sending, copied=True)
        return [(site.state, 0)]

    def _rp_vq_add(self, site: Site, segments: Any, out: Any, within: Any, token: Any) -> Answers:
        state = site.state
        sending = self._being_sent(site)
        self._owe(site, "the queue's table is added from its start", self._entry(site, segments) == 0)
        self._owe(site, "nothing for the device to write to", plain(within) == 0)
        self._owe(site, "the header was written", sending.headed)
        record = token.object if isinstance(token, Pointer) else None
        known = record is not None and record.name.startswith("record") and token.offset == Offset(0)
        self._owe(site, "the token is a record", known)
        assert record is not None
        free, _ = unused(state, self.world)
        self._owe(site, "which is not among those not in use", record not in free)
        right = is_pointer_to(state.read(record, "frame"), sending.sent.frame)
        self._owe(site, "and knows the frame", right)
        if sending.copy is None:
            self._owe(site, "and no copy", state.read(record, "copy") is NULL)
        else:
            self._owe(site, "and the copy", is_pointer_to(state.read(record, "copy"), sending.copy))
            same = equal(state.read(record, "copy_bytes"), sending.copy.size)
            self._owe(site, "and how large that is", same)
            self._owe(site, "which holds the packet", sending.copied)
            self._copy_has_header(site, sending)
        point, choice = self.lockstep.choice(state.extra["point"])
        choice = replace(choice, pieces=sending.pieces, unfit=False)
        found: Answers = []
        for way in self.lockstep.add(point, choice, out):
            after = self._gone(site, way, state.fork())
            accepted = way.value is True
            here = replace(sending, record=record) if accepted else replace(sending, cause=True)
            after.extra["sending"] = here
            error: Any = 0
            if not accepted:
                error = z3.Int(f"error{self._mark()}")
                after.assume(z3.Or(error == U32 - 22, error == U32 - 28))
            found.append((after, error))
        return [(each, value) for each, value in found if self.feasible(each)]

    def _copy_has_header(self, site: Site, sending: Sending) -> None:
        assert sending.copy is not None
        at = z3.Int("at")
        cell = site.state.read(sending.copy, "byte")(at)
        header = site.state.read(sending.sent.control, "byte")(at)
        inside = z3.And(at >= 0, at < z3.Int("device.header_bytes"), self.world.model.version_1)
        self._owe(site, "the copy begins with the header under VERSION_1", z3.Implies(inside, cell == header))
