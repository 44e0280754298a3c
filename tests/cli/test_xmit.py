"""``ringproof xmit`` end to end: pcap in, pcap out, offloads, drops, traces, and bad input in one line."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, RawPcapReader, defragment, raw, wrpcap, wrpcapng

from ringproof.building import build_driver, c_sources
from ringproof.cli import run
from ringproof.commands.build import build_shipped
from ringproof.journey.document import load


def link() -> Ether:
    """An Ethernet header with addresses: without them scapy would ask the network for some."""
    return Ether(src="52:54:00:12:34:56", dst="52:54:00:12:34:99")


def packets() -> list[Ether]:
    """A few dozen frames of different kinds and lengths."""
    four, six = IP(src="192.0.2.1", dst="192.0.2.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
    found = [link() / Raw(bytes(length)) for length in (0, 1, 46, 1500)]
    for size in (0, 1, 100, 511, 1400):
        data = Raw(bytes(range(256)) * 6)
        data.load = data.load[:size]
        for layer in (four / TCP(dport=80), four / UDP(dport=9), six / TCP(dport=80), six / UDP(dport=9)):
            found += [link() / layer / data, link() / Dot1Q(vlan=5) / layer / data]
    for number, packet in enumerate(found):
        packet.time = 1_700_000_000 + number / 1000
    return found


@pytest.fixture
def pcap(tmp_path: Path) -> Path:
    """A pcap of all of them."""
    path = tmp_path / "in.pcap"
    wrpcap(str(path), packets())
    return path


def xmit(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Runs the command; its exit code and what it printed. Nothing may go to standard error."""
    code = run(["xmit", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out


def report(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """The JSON report of a run that must pass."""
    code, text = xmit(capsys, *arguments, "--json")
    found: dict[str, Any] = json.loads(text)
    assert code == 0, text
    assert found["verdict"] == "pass"
    return found


@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
@pytest.mark.parametrize("transport", ["legacy", "modern"])
def test_what_leaves_is_what_was_given(
    capsys: pytest.CaptureFixture[str], pcap: Path, tmp_path: Path, transport: str, profile: str
) -> None:
    """Without offload the output is the input, the whole file, byte for byte, and the verdict says so."""
    out = tmp_path / "out.pcap"
    arguments = ("--transport", transport, "--profile", profile, "--queue-size", "64")
    code, text = xmit(capsys, "--pcap", pcap, "-o", out, *arguments)
    assert code == 0
    assert out.read_bytes() == pcap.read_bytes()
    assert "what left the device is what was given, byte for byte" in text
    assert "compared byte for byte with the reference" in text


def test_pcapng_and_several_queues(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A pcapng works too; with several pairs all queues are used and every frame still leaves as it was."""
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcap"
    wrpcapng(str(source), packets())
    found = report(capsys, "--pcap", source, "-o", out, "--pairs", "4", "--queue-size", "32")
    assert [data for data, _ in RawPcapReader(str(out))] == [raw(packet) for packet in packets()]
    assert found["wire"]["unchanged"] == len(packets())


def test_the_journey_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The first frame's by default, another one's if asked for, none with --quiet."""
    frames = ("--frame", "udp4 len=200", "--frame", "tcp4 len=4000 frags=1000@16,1000 gso=1448 csum")
    for extra, title in ((), "frame 0: 200 bytes"), (("--frame-number", "1"), "frame 1: 4,000 bytes"):
        code, text = xmit(capsys, *frames, *extra)
        assert code == 0
        assert f"sk_buff of {title}" in text
        for station in ("virtqueue_add", "avail.ring[", "reads the chain", "used.ring[", "is freed"):
            assert station in text
    assert "sk_buff" not in xmit(capsys, *frames, "--quiet")[1]
    journey = report(capsys, *frames, "--frame-number", "1")["journey"]
    assert [each["outcome"] for each in journey["sent"]] == ["queued"]
    assert [each["leaves"] for each in journey["read"]] == [[1514, 1514, 1104]]
    assert (len(journey["used"]), journey["freed"]) == (1, True)


def test_the_journey_of_a_frame_in_a_later_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """However far into the run: the indices are those of that moment."""
    code, text = xmit(capsys, "--frame", "eth times=700", "--frame-number", "600", "--profile", "linux-3.11")
    assert code == 0
    assert "sk_buff of frame 600: 128 bytes" in text
    assert "then avail_idx = 89" in text
    assert "is freed" in text


def test_offloads_are_right_by_scapy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Segments and fragments have the lengths and checksums scapy computes, and hold the whole payload."""
    out = tmp_path / "out.pcap"
    texts = (
        "tcp4 len=9000 gso=1448 csum frags=4000,3000@96 ecn",
        "tcp6 len=5000 gso=1400 csum list=1000,300(200)",
        "udp4 len=4000 gso=1480 csum",
        "udp6 len=700 csum",
    )
    arguments = [word for text in texts for word in ("--frame", text)]
    found = report(capsys, *arguments, "--output", out)
    sent = [data for data, _ in RawPcapReader(str(out))]
    assert found["wire"] == {
        "frames": len(sent), "bytes": sum(map(len, sent)), "unchanged": 0, "summed": 1, "segmented": 3,
    }  # fmt: skip
    assert len(sent) == 7 + 4 + 3 + 1
    for data in sent:
        packet = Ether(data)
        fragment = IP in packet and (packet[IP].flags.MF or packet[IP].frag)
        for layer, names in (
            (IP, ("chksum", "len")),
            (IPv6, ("plen",)),
            (TCP, ("chksum",)),
            (UDP, ("chksum",)),
        ):
            for name in names if layer in packet and not (layer is UDP and fragment) else ():
                delattr(packet[layer], name)
        assert bytes(packet) == data
    pattern = bytes((at ^ at >> 8) & 0xFF for at in range(9000))
    for segments, count in ((sent[:7], 9000 - 66), (sent[7:11], 5000 - 86)):
        assert b"".join(bytes(Ether(data)[TCP].payload) for data in segments) == pattern[:count]
    assert [bool(Ether(data)[TCP].flags.C) for data in sent[:7]] == [True] + [False] * 6
    (whole,) = defragment([Ether(data)[IP] for data in sent[11:14]])
    assert bytes(whole[UDP].payload) == pattern[: 4000 - 42]


def test_drops_are_counted_with_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """What the path drops is no error: it is counted, and the reason told."""
    texts = (
        "tcp4 gso=9 kind=unknown", "tcp4 len=900 gso=100", "eth len=400 frags=" + ",".join(["9"] * 18),
        "eth len=400 list=" + ",".join(["9"] * 18), "udp4 times=3", "tcp4 len=900 csum gso=0",
    )  # fmt: skip
    found = report(capsys, *[word for text in texts for word in ("--frame", text)])
    assert found["frames"]["sent"] == 3
    assert found["frames"]["drop_reasons"] == {
        "no virtio header can ask for its kind of segmentation": 1,
        "segmentation without checksum": 1,
        "18 fragments in one packet, 17 at most are possible": 1,
        "19 pieces of memory, 18 at most are possible": 1,
        "segmentation into segments of 0 bytes": 1,
    }
    assert found["statistics"]["tx_dropped"] == 5
    code, text = xmit(capsys, "--frame", "udp4 csum", "--features", "none")
    assert code == 0
    assert "dropped: the device is to sum, but CSUM was not accepted" in text
    assert "(frame 0 first)" in text


def test_what_the_faithful_profile_gets_wrong_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Linux 3.11 segments without checksum, and has a short header under VERSION_1: exit code 1."""
    old = ("--profile", "linux-3.11", "--quiet")
    code, text = xmit(capsys, "--frame", "tcp4 len=900 gso=100", *old)
    assert code == 1
    assert "frame 0: the device cannot send it: gso_type TCPV4 without NEEDS_CSUM" in text
    code, text = xmit(capsys, "--frame", "tcp4", "--transport", "modern", "--features", "CSUM", *old)
    assert code == 1
    assert "the header has 10 bytes; with the features accepted a device expects 12" in text


def test_a_defective_driver_is_a_difference(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 1, the operation, what the driver did and what the reference did; the trace shows it, too."""
    library, trace = build_shipped(tmp_path / "d.so", mutant="X11"), tmp_path / "t.itf.json"
    frames = ("--frame", "udp4", "--frame", "udp4 frags=9@8", "--frame-number", "1")
    code, text = xmit(capsys, *frames, "--driver", library, "--trace", trace)
    assert code == 1
    assert "agrees-with-reference" in text
    assert "XMIT of frame 1: byte" in text
    assert "FAIL" in text
    document = load(trace)
    assert document.property == "agrees-with-reference"
    assert run(["replay", str(trace), "--driver", str(library), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["step"] == len(document.operations)
    assert run(["replay", str(trace), "--c", "--json"]) == 0


def test_a_driver_that_stops_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A driver that crashes ends the run with exit code 1, not with a traceback."""
    source = tmp_path / "c"
    shutil.copytree(c_sources(), source, ignore=shutil.ignore_patterns("mutants"))
    adapter = source / "net_adapter.c"
    text = adapter.read_text()
    begin = text.index("{", text.index("static void transmit("))
    adapter.write_text(text[: begin + 1] + "\n    *(volatile int *)8 = 1;" + text[begin + 1 :])
    code, out = xmit(capsys, "--frame", "udp4", "-q", "--driver", build_driver(source, tmp_path / "crash.so"))
    assert code == 1
    assert "driver-runs" in out


def test_a_driver_of_another_kind(capsys: pytest.CaptureFixture[str], tmp_path: Path, pcap: Path) -> None:
    """One that does not claim to follow a profile is judged by what leaves the device."""
    source = tmp_path / "c"
    shutil.copytree(c_sources(), source, ignore=shutil.ignore_patterns("mutants"))
    adapter = source / "net_adapter.c"
    lines = adapter.read_text().splitlines(keepends=True)
    lines = ["#define TRAITS 0u\n" if line.startswith("#define TRAITS") else line for line in lines]
    adapter.write_text("".join(lines))
    out = tmp_path / "out.pcap"
    library = build_driver(source, tmp_path / "other.so")
    found = report(capsys, "--pcap", pcap, "--driver", library, "-o", out, "--queue-size", "16")
    assert found["compared"] == "by what leaves"
    assert out.read_bytes() == pcap.read_bytes()


def test_a_trace_replays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The run up to the journey's end is written down, and replays on the reference and in C."""
    trace = tmp_path / "t.itf.json"
    frames = ("--frame", "tcp4 len=4000 gso=1448 csum", "--frame", "udp4", "--frame", "udp6")
    for number, transport in ((0, "legacy"), (1, "modern"), (2, "legacy")):
        arguments = (*frames, "--trace", trace, "--frame-number", str(number), "--transport", transport)
        assert xmit(capsys, *arguments, "--quiet")[0] == 0
        document = load(trace)
        assert document.property == ""
        assert number in document.states[-1].values["journey"]["freed"]
        assert run(["replay", str(trace)]) == 0
        assert "the reference does every step as in the trace" in " ".join(capsys.readouterr().out.split())
        assert run(["replay", str(trace), "--c"]) == 0
        assert "does every step as the reference does" in " ".join(capsys.readouterr().out.split())


def test_the_reference_alone(capsys: pytest.CaptureFixture[str], pcap: Path) -> None:
    """Without a driver nothing is compared, and the report says so; what leaves is still checked."""
    found = report(capsys, "--pcap", pcap, "--reference-only")
    assert found["driver"] is None
    assert found["compared"] is None
    assert found["checks"]["steps"] == 0
    assert found["wire"]["unchanged"] == len(packets())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --pcap or --frame"),
        (("--frame", "tcp4", "--pcap", "x"), "give either --pcap or --frame"),
        (("--frame", "tcp9"), "--frame: 'tcp9': no kind of frame"),
        (
            ("--frame", "eth len=1515"),
            "1515 bytes without segmentation; with an MTU of 1500 at most 1514 pass",
        ),
        (("--frame", "eth len=65550", "--mtu", "65535"), "at most 65549 pass"),
        (("--frame", "eth len=65551"), "'len=65551': 65551 is not from 1 to 65550"),
        (("--frame", "eth len=0"), "'len=0': 0 is not from 1 to 65550"),
        (("--frame", "hex=0011"), "2 bytes are fewer than an Ethernet header has (14)"),
        (("--frame", "eth frags=9@4090"), "ends past its page of 4096"),
        (("--frame", "tcp4 len=9000 csum gso=1449"), "segments of 1515 bytes; with an MTU of 1500"),
        (("--frame", "eth", "--mtu", "67"), "--mtu"),
        (("--frame", "eth", "--pairs", "9"), "--pairs"),
        (("--frame", "eth", "--queue-size", "3"), "queue size 3 is not a power of two"),
        (("--frame", "eth", "--queue-size", "65536"), "queue size 65536 is not a power of two"),
        (("--frame", "eth", "--queue-size", "1"), "the driver does not run this device (EINVAL)"),
        (("--frame", "eth", "--pairs", "2", "--features", "CSUM"), "does not use 2 pairs of queues (EINVAL)"),
        (("--frame", "eth", "--features", "CSUMM"), "no feature is called 'CSUMM'; did you mean CSUM?"),
        (("--frame", "eth", "--features", "VERSION_1"), "VERSION_1 is of the modern transport"),
        (("--frame", "eth", "--frame-number", "1"), "--frame-number 1: the last of 1 is 0"),
        (("--frame", "eth", "--frame-number", "999", "--trace", "t"), "256 at most"),
        (("--frame", "eth", "--driver", "no.so"), "no.so"),
        (("--frame", "eth", "--driver", "no.so", "--reference-only"), "exclude each other"),
        (("--frame", "eth", "-o", "no/o.pcap"), "no/o.pcap: cannot be written"),
        (("--frame", "eth", "--trace", "no/t.json"), "no/t.json: cannot be written"),
        (("--frame", "eth", "-o", "t", "--trace", "./t"), "name one file twice"),
        (("--frame", "eth", "-o", "o", "--trace", "no/t"), "no/t: cannot be written"),
        (("--frame", "eth", "-o", "o", "--frame-number", "1"), "--frame-number 1: the last of 1 is 0"),
        (("--frame", "eth", "--timeout", "nan"), "'nan' is no number of seconds"),
        (("--frame", "eth", "--timeout", "inf"), "--timeout"),
        (("--frame", "eth", "--timeout", "1e308"), "--timeout"),
        (("--pcap", "absent.pcap"), "absent.pcap: cannot be read"),
        (("--pcap", "/dev/null"), "/dev/null: the file is empty"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """Exit code 2, nothing on standard output, one line that says what and where, no file left behind."""
    monkeypatch.chdir(tmp_path)
    assert run(["xmit", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ringproof: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_bad_record_ends_it_all(capsys: pytest.CaptureFixture[str], pcap: Path, tmp_path: Path) -> None:
    """A file cut short is found out when its turn comes; no output is left that looks whole."""
    pcap.write_bytes(pcap.read_bytes()[:-5])
    out = tmp_path / "out.pcap"
    assert run(["xmit", "--pcap", str(pcap), "-o", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"ringproof: {pcap}: record 44: the file ends within it, after {len(packets()[-1]) - 5} "
        f"of {len(packets()[-1])} bytes\n"
    )
    assert not out.exists()


def test_what_cannot_be_sent_of_a_pcap(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A foreign link type, a frame of no bytes, one longer than the MTU: one line with the record each."""
    path, out = tmp_path / "in.pcap", tmp_path / "out.pcap"
    for frames, linktype, message in (
        ([b"x" * 60], 101, "link type 101"),
        ([b"x" * 60, b""], 1, "record 2: a frame of no bytes cannot be sent"),
        ([b"x" * 60, b"x" * 1515], 1, "record 2: 1515 bytes without segmentation; with an MTU of 1500"),
    ):
        wrpcap(str(path), frames, linktype=linktype)
        assert run(["xmit", "--pcap", str(path), "-o", str(out)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"ringproof: {path}: {message}")
        assert captured.err.count("\n") == 1
        assert not out.exists()


def test_a_pcap_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file without a frame gives nothing to check, which is no pass."""
    path = tmp_path / "in.pcap"
    wrpcap(str(path), packets()[:1])
    path.write_bytes(path.read_bytes()[:24])
    assert run(["xmit", "--pcap", str(path)]) == 2
    assert "no frames in it" in capsys.readouterr().err


@pytest.mark.slow
def test_ten_thousand_frames(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """They go through both drivers in seconds (5 on an idle machine), and leave as they were."""
    path, out = tmp_path / "in.pcap", tmp_path / "out.pcap"
    chosen = [bytes(raw(packet)) for packet in packets()]
    wrpcap(str(path), (chosen * (10_000 // len(chosen) + 1))[:10_000], linktype=1)
    started = time.perf_counter()
    found = report(capsys, "--pcap", path, "-o", out, "--quiet")
    assert time.perf_counter() - started < 30
    assert found["frames"]["sent"] == 10_000
    assert [data for data, _ in RawPcapReader(str(out))] == [data for data, _ in RawPcapReader(str(path))]


@pytest.fixture(scope="module")
def other_hand() -> Path:
    """A driver that follows nobody: modern transport only, one pair of queues."""
    return build_driver(Path(__file__).parents[2] / "examples" / "network")


def test_a_driver_of_another_hand(
    pcap: Path, other_hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its frames leave byte for byte, offloads included; a trace of the reference is replayed by meaning."""
    modern, driver = ("--transport", "modern"), ("--driver", str(other_hand))
    out, trace = tmp_path / "out.pcap", tmp_path / "run.json"
    found = report(capsys, "--pcap", str(pcap), *driver, *modern, "-o", str(out))
    assert found["frames"]["dropped"] == 0
    assert out.read_bytes() == pcap.read_bytes()
    found = report(capsys, "--frame", "tcp4 len=4000 frags=1000@16,1000 gso=1448 csum", *driver, *modern)
    assert found["wire"]["segmented"] == 1
    assert run(["xmit", "--pcap", str(pcap), "--reference-only", *modern, "--trace", str(trace), "-q"]) == 0
    capsys.readouterr()
    assert run(["replay", str(trace), *driver]) == 0
    assert "the driver does as it should" in capsys.readouterr().out


def test_what_a_driver_of_another_hand_cannot(
    pcap: Path, other_hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another transport, more pairs, a trace of its own run: one line each, exit code 2; replayed, 3."""
    trace, driver = tmp_path / "run.json", ("--driver", str(other_hand))
    for words, line in (
        ((), "does not know legacy devices (see --transport)"),
        (("--transport", "modern", "--pairs", "2"), "does not use 2 pairs"),
        (("--transport", "modern", "--trace", str(trace)), "follows no profile"),
    ):
        assert run(["xmit", "--pcap", str(pcap), *driver, *words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert line in captured.err
        assert captured.err.count("\n") == 1
    assert not trace.exists()
    legacy = tmp_path / "legacy.json"
    assert run(["xmit", "--pcap", str(pcap), "--reference-only", "--trace", str(legacy), "-q"]) == 0
    capsys.readouterr()
    assert run(["replay", str(legacy), *driver]) == 3
    assert "legacy devices" in capsys.readouterr().err


def test_a_driver_that_drops_all_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To drop what no queue can hold is lawful; to send nothing at all is not."""
    source = Path(__file__).parents[2] / "examples" / "network" / "driver.c"
    text = source.read_text()
    assert text.count("if (pieces > queue->free_count ||") == 1
    (tmp_path / "driver.c").write_text(text.replace("if (pieces > queue->free_count ||", "if (1 ||"))
    library = str(build_driver(tmp_path))
    wanted = ("--transport", "modern", "--driver", library)
    assert run(["xmit", "--frame", "eth", *wanted]) == 1
    assert "frames-taken" in capsys.readouterr().out
    assert run(["xmit", "--frame", "eth len=400 frags=9,9", "--queue-size", "2", *wanted]) == 0
    assert "more pieces than the queue has descriptors" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["X21", "header-size-linux-3.11"])
def test_a_replay_that_breaks_a_rule_says_so(
    name: str, other_hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finding and a defect end with exit code 1 on the reference, and with 0 on a driver without them."""
    trace = tmp_path / "run.json"
    assert run(["trace", name, "-o", str(trace)]) == 0
    capsys.readouterr()
    assert run(["replay", str(trace)]) == 1
    assert ", and breaks " in capsys.readouterr().out
    assert run(["replay", str(trace), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["violated"] is True
    assert run(["replay", str(trace), "--driver", str(other_hand)]) == (3 if name == "X21" else 0)
