"""A journey on the terminal: what it says, and that it fits any width."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ringproof.impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig, Op
from ringproof.journey.described import described
from ringproof.journey.document import NetTrace, TraceError, load
from ringproof.journey.recording import record
from ringproof.journey.terminal import describe, render_journey
from ringproof.views.staging import scene_of
from ringproof.views.terminal import render

OPS = (
    Op(NetCode.PROBE),
    Op(NetCode.XMIT, a=0),
    Op(NetCode.XMIT, a=1),
    Op(NetCode.NET_READ, in_=1),
    Op(NetCode.NET_SET_AVAIL_EVENT, 4, 1),
    Op(NetCode.NET_COMPLETE, in_=1, c=0xFFFF),
    Op(NetCode.INTERRUPT),
    Op(NetCode.XMIT, a=2),
    Op(NetCode.REMOVE),
)
TEXTS = (
    "tcp4 len=4000 frags=1000@16,1000 gso=1448 csum ecn cpu=5",
    "tcp4 gso=3 kind=unknown",
    "udp4 list=20(5@3;6)",
)


def trace(transport: str = "legacy", profile: str = "virtio-1.x", features: int = NET_FEATURES) -> NetTrace:
    """A small run: one frame with all there is, one that is dropped, one that remove frees."""
    frames = [described(text)[0] for text in TEXTS]
    return record(NetConfig(32, features, transport, profile), frames, OPS, description="three frames")


def printed(document: NetTrace, frame: int, width: int = 100) -> list[str]:
    """The journey of a frame as lines."""
    file = io.StringIO()
    render_journey(document.states, frame, Console(file=file, width=width))
    return file.getvalue().splitlines()


def shown(document: NetTrace, width: int = 100, *, all: bool = False) -> list[str]:
    """A whole trace as lines."""
    file = io.StringIO()
    render(scene_of(document, sources=False), Console(file=file, width=width), all=all)
    return file.getvalue().splitlines()


def test_a_journey_goes_all_the_way() -> None:
    """From the sk_buff over header, chain, slot and doorbell to the interrupt that frees the frame."""
    lines = printed(trace(), 0)
    text = "\n".join(lines)
    stations = (
        "sk_buff of frame 0: 4,000 bytes", "segmentation: TCPV4, 1,448 bytes of payload each, ECN",
        "from processor 5, so transmit queue 0", "xmit_skb", "virtio header",
        "flags NEEDS_CSUM, gso_type TCPV4 ECN, hdr_len ", "virtqueue_add", "`-[  0] 0x", "INDIRECT",
        "|-[  2] ", "avail.ring[0] = 0, then avail_idx = 1", "num_free 32 -> 31", "virtqueue_kick",
        "write queue_notify (16 bits): 1", "skb_orphan", "reads the chain at head 0",
        "used.ring[0] = 0, then used_idx = 1", "vp_interrupt, skb_xmit_done", "read  isr (8 bits): queue",
        "frame 0 is freed", "tx_packets 1, tx_bytes 4,000",
    )  # fmt: skip
    at = -1
    for station in stations:
        assert text.find(station, at + 1) > at, station
        at = text.find(station, at + 1)
    device = next(line for line in lines if "reads the chain" in line)
    assert device.startswith(" " * 40)


def test_a_direct_chain_is_drawn_as_one() -> None:
    """Without indirect descriptors each piece hangs under the head, and names the next."""
    lines = [line for line in printed(trace(features=1), 2) if line.lstrip().startswith(("|-", "`-"))]
    assert [line.split("bytes")[1].split() for line in lines] == [*(["NEXT", at] for at in "1234"), []]


def test_a_drop_is_told_with_its_reason() -> None:
    """A dropped frame has no chain: the journey ends where it was dropped."""
    text = "\n".join(printed(trace(), 1))
    assert "dropped: no virtio header can ask for its kind of segmentation" in text
    assert "virtqueue_add" not in text


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_remove_frees_what_is_left(profile: str) -> None:
    """The last frame is freed by remove; Linux 3.11's first one when the next comes."""
    document = trace(profile=profile)
    assert "  detach_unused_buf: frame 2 is freed" in printed(document, 2)
    first = "\n".join(printed(document, 0))
    assert ("start_xmit of a later frame" in first) == (profile == "linux-3.11")


def test_a_trace_shows_registers_by_name() -> None:
    """Steps with their accesses; a long log is cut unless all is asked for."""
    few, many = shown(trace(), 200), shown(trace(), 200, all=True)
    assert any("more accesses, shown with --all" in line for line in few)
    assert any(line.strip().startswith("read  device_features (32 bits): CSUM MAC") for line in many)
    assert any("write device_status (8 bits): ACKNOWLEDGE DRIVER DRIVER_OK" in line for line in many)
    modern = "\n".join(shown(trace("modern"), all=True))
    assert "write queue_notify[1] (16 bits): 1" in modern
    assert "write queue_desc_hi (32 bits): 0x41" in modern
    assert "FEATURES_OK" in modern


@pytest.mark.parametrize("width", [40, 60, 72, 100, 200])
def test_it_fits(width: int) -> None:
    """No line is longer than the terminal is wide."""
    document = trace("modern")
    for number in range(3):
        assert max(map(len, printed(document, number, width))) <= width
    assert max(map(len, shown(document, width, all=True))) <= width


def test_a_foreign_trace_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    """A file with control characters is refused, and those of a document are not printed."""
    path = tmp_path / "a.itf.json"
    path.write_text(trace().text().replace("no virtio header", "no \\u001b[31m header"))
    with pytest.raises(TraceError, match="control character"):
        load(path)
    document = replace(trace(), description="no \x1b[31m header")
    assert "no ?[31m header" in "".join(shown(document))
    assert not any("\x1b" in line for line in [*printed(document, 1), *shown(document)])


def test_a_configuration_in_words() -> None:
    """Queues, transport, profile and features."""
    words = describe(NetConfig(8, 0, "modern", pairs=2))
    assert words == "queues of 8, modern transport, profile virtio-1.x, 2 queue pairs, offers VERSION_1"
