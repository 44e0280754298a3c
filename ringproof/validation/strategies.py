"""Hypothesis strategies: packets, frames, devices and operations of a network driver, whole runs of them."""

from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import strategies as st

from ..impl.harness.frames import PAGE, Fragment, Frame, Gso, Packet
from ..impl.harness.net_operations import (
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    FEATURE_NAMES,
    MOST_PAIRS,
    NetCode,
    NetConfig,
    Op,
)
from ..impl.harness.operations import OpFlag
from .shapes import Shapes, pattern
from .traffic import ALL

SIZES = (256, 1, 2, 4, 8, 16, 32, 64, 128, 1024, 32768)
_BAD_SIZES = (0, 3, 255, 1000, 32767, 65535)
_MOST_FRAMES = 12
_FEATURES = st.lists(st.sampled_from(sorted(FEATURE_NAMES.values())), max_size=12, unique=True).map(sum)


class Run(NamedTuple):
    """A device, the frames there are, and operations on them; they begin with PROBE."""

    config: NetConfig
    frames: tuple[Frame, ...]
    operations: tuple[Op, ...]


def fragments() -> st.SearchStrategy[Fragment]:
    """Fragments anywhere in their page, empty ones and whole pages among them."""

    @st.composite
    def made(draw: st.DrawFn) -> Fragment:
        size = draw(st.one_of(st.integers(0, 64), st.sampled_from((0, 1, PAGE - 1, PAGE))))
        offset = draw(st.one_of(st.just(0), st.integers(0, PAGE - size), st.just(PAGE - size)))
        return Fragment(offset, pattern(size, draw(st.integers(0, 7))))

    return made()


def packets(depth: int = 3) -> st.SearchStrategy[Packet]:
    """Packets of 0 to 19 fragments, with lists nested up to ``depth`` deep; they may hold nothing."""
    lengths = st.one_of(st.integers(0, 80), st.sampled_from((0, 1, 1514, 4096, 65536)))
    heads = st.builds(pattern, lengths, st.integers(0, 7))
    most = st.sampled_from((0, 0, 3, 19))
    pages = most.flatmap(lambda most: st.lists(fragments(), max_size=most))
    lists: st.SearchStrategy[list[Packet]] = st.builds(list)
    if depth:
        lists = st.one_of(lists, lists, st.lists(packets(depth - 1), max_size=3))
    return st.builds(Packet, heads, pages.map(tuple), lists.map(tuple))


def frames(features: int = ~0) -> st.SearchStrategy[Frame]:
    """Frames of every shape; some are such as a stack makes under ``features``, some ask for nonsense."""

    @st.composite
    def odd(draw: st.DrawFn) -> Frame:
        data = draw(packets().filter(lambda packet: 0 < len(packet.data) <= 65536))
        length = len(data.data)
        summed = length >= 2 and draw(st.booleans())
        start = draw(st.integers(0, length - 2)) if summed else draw(st.integers(0, 0xFFFF))
        offset = draw(st.integers(0, length - 2 - start)) if summed else draw(st.integers(0, 0xFFFF))
        return Frame(
            data,
            checksum=summed,
            csum_start=min(start, 0xFFFF),
            csum_offset=min(offset, 0xFFFF),
            gso=draw(st.sampled_from(Gso)),
            gso_size=draw(st.one_of(st.just(0), st.integers(0, 0xFFFF))),
            ecn=draw(st.booleans()),
            recorded_queue=draw(st.one_of(st.none(), st.integers(0, 16), st.just(0xFFFF))),
            cpu=draw(st.integers(0, 64)),
        )

    usual = st.randoms(use_true_random=False).map(lambda random: Shapes(random, features).frame())
    small = st.builds(Frame, st.builds(Packet, st.builds(pattern, st.integers(1, 100))))
    return st.one_of(small, usual, odd())


def configs(*, sound: bool = False) -> st.SearchStrategy[NetConfig]:
    """Devices of both transports for both profiles; unless ``sound`` some that no driver can run."""
    nothing: st.SearchStrategy[dict[str, Any]] = st.builds(dict)
    faulty = nothing if sound else st.one_of(nothing, st.fixed_dictionaries({}, optional={
        "withhold_version_1": st.booleans(),
        "reset_reads": st.sampled_from((1, 2, 999, 1000, 1001)),
        "refuses_features": st.booleans(),
        "missing_queue": st.integers(0, 2 * MOST_PAIRS + 1),
        "queue_size": st.sampled_from(_BAD_SIZES),
    }))  # fmt: skip

    @st.composite
    def made(draw: st.DrawFn) -> NetConfig:
        config = NetConfig(
            queue_size=draw(st.sampled_from(SIZES)),
            features=draw(_FEATURES) | draw(st.sampled_from((0, F_EVENT_IDX, F_INDIRECT_DESC))),
            transport=draw(st.sampled_from(("legacy", "modern"))),
            profile=draw(st.sampled_from(("virtio-1.x", "linux-3.11"))),
            pairs=draw(st.one_of(st.just(1), st.integers(1, MOST_PAIRS))),
        )
        return replace(config, **draw(faulty))

    return made()


def operations(count: int, pairs: int) -> st.SearchStrategy[list[Op]]:
    """Operations on ``count`` frames and ``pairs`` of queues, in any order.

    Those that cannot be asked at a time, such as sending a frame that is still with the driver, are left out
    by who plays them.
    """
    queues = st.integers(0, pairs - 1).map(lambda pair: 2 * pair + 1)
    counts = st.sampled_from((ALL, 1, 2, 3))
    picks = st.integers(0, 5)
    sends = st.builds(
        lambda frame, quick, flags: Op(NetCode.XMIT, flags, a=frame, b=quick),
        st.integers(0, count - 1),
        st.sampled_from((0, 0, 0, 0, ALL, 1, 2)),
        st.sampled_from((0, 0, 0, 0, int(OpFlag.FAIL_ALLOC))),
    )
    reads = st.builds(lambda queue, a: Op(NetCode.NET_READ, 0, queue, a), queues, st.integers(0, 3))
    completes = st.builds(
        lambda queue, a, b, c: Op(NetCode.NET_COMPLETE, 0, queue, a, b, c), queues, picks, picks, counts
    )
    flags = st.builds(lambda queue, a: Op(NetCode.NET_SET_FLAGS, 0, queue, a), queues, st.integers(0, 1))
    near = st.builds(
        lambda queue, a: Op(NetCode.NET_SET_AVAIL_EVENT, int(OpFlag.RELATIVE), queue, a & 0xFFFF),
        queues,
        st.integers(-4, 4),
    )
    far = st.builds(
        lambda queue, a: Op(NetCode.NET_SET_AVAIL_EVENT, 0, queue, a), queues, st.integers(0, 0xFFFF)
    )
    raised = st.integers(0, 3).map(lambda bits: Op(NetCode.RAISE, a=bits))
    wanted = st.one_of(st.integers(0, pairs + 1), st.just(0xFFFF))
    several = st.builds(
        lambda pairs, flags: Op(NetCode.SET_PAIRS, flags, a=pairs),
        wanted,
        st.sampled_from((0, 0, 0, int(OpFlag.FAIL_ALLOC))),
    )
    rare = st.sampled_from((Op(NetCode.REMOVE), Op(NetCode.PROBE)))
    one = st.one_of(
        sends, sends, sends, sends, reads, reads, completes, completes, st.just(Op(NetCode.INTERRUPT)),
        flags, near, far, raised, several, rare,
    )  # fmt: skip
    bursts = st.integers(1, count).map(lambda most: [Op(NetCode.XMIT, a=frame) for frame in range(most)])
    parts = st.lists(st.one_of(one.map(lambda op: [op]), bursts), max_size=40)
    return parts.map(lambda lists: [op for part in lists for op in part])


@st.composite
def runs(draw: st.DrawFn, *, sound: bool = False) -> Run:
    """Whole runs: a device, some frames, operations that begin with PROBE and end as they like."""
    config = draw(configs(sound=sound))
    chosen = draw(st.lists(frames(config.offered & config.understood), min_size=1, max_size=_MOST_FRAMES))
    made = draw(operations(len(chosen), config.pairs))
    return Run(config, tuple(chosen), (Op(NetCode.PROBE), *made))
