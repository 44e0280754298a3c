"""The campaign for whole network drivers: both profiles of the shipped one, and what is said of each."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.building import build_driver, build_library, c_sources
from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import NetCode, NetConfig, Op
from ringproof.journey.document import load
from ringproof.patching import mutated_driver
from ringproof.validation.campaign import Options
from ringproof.validation.clauses import CLAUSES
from ringproof.validation.examination import examine
from ringproof.validation.library import LibraryError, entries
from ringproof.validation.net_campaign import AGREEMENT, validate_network
from ringproof.validation.net_evidence import keep_net, replay_net
from ringproof.validation.net_failure import NetFailure
from ringproof.validation.net_pair import NetPair
from ringproof.validation.net_shrinking import reduced
from ringproof.validation.net_throughput import differential_rate
from ringproof.validation.observer import ORACLES
from ringproof.validation.report import ValidationReport

# What linux-3.11 does wrong whatever it is asked for: features without those they require; the device given
# up before it has reset; avail.flags used with the event index; tables longer than the queue; 10 bytes of
# header under VERSION_1 without mergeable buffers, so that the frame's first bytes stand for num_buffers.
# And a queue of fewer than 19 descriptors stays stopped for ever when a quick device is done with everything
# before the second look: that is for 19 free ones.
BROKEN_BY_LINUX = {
    *("2.2.1b", "3.3.1b", "2.7.7.1c", "2.7.5.3.1c", "5.1.6/n1", "5.1.6.2.1a", "queue-wakes"),
}
# And what it passes on when a stack asks for offloads that were not accepted, or for segments of no size.
PASSED_ON_BY_LINUX = {
    *("5.1.6.2.1b", "5.1.6.2.1d", "5.1.6.2.1e", "5.1.6.2.1f", "5.1.6.2.1n", "5.1.6.2.1o", "5.1.6.2.1p"),
    "5.1.6.2/n3",
}
NEVER_SET = {"5.1.6.2.1r"}  # hdr_len of frames that are not segmented


@pytest.fixture(scope="module")
def tinynet() -> Path:
    """A driver of another hand, in which faults can be switched on."""
    return build_driver(Path(__file__).parents[1] / "worker" / "drivers" / "tinynet")


def quick(library: Path, traces: Path | None = None, *, by_meaning: bool = False) -> ValidationReport:
    """A quick campaign."""
    options = Options(quick=True, traces=traces, by_meaning=by_meaning, shrink_seconds=3.0)
    return validate_network(library, options=options)


def said(report: ValidationReport, verdict: str) -> set[str]:
    """The clauses, or the names of oracles, with that verdict."""
    return {
        check.clause if check.name.startswith("clause-") else check.name
        for check in report.checks
        if check.verdict == verdict
    }


def test_the_shipped_driver_passes_everything(own_driver: Path, tmp_path: Path) -> None:
    """The virtio-1.x build: no clause fails, every byte is the reference's, no trace is left."""
    report = quick(own_driver, tmp_path / "traces")
    assert said(report, "fail") == set()
    assert (report.verdict, report.mode, report.trace) == ("pass", "byte for byte", None)
    assert said(report, "warn") == NEVER_SET
    assert not (tmp_path / "traces").exists()
    passed = said(report, "pass")
    assert {AGREEMENT, *ORACLES} <= passed
    assert len(passed & CLAUSES.keys()) >= 65
    json.dumps(report.to_json())


def test_the_shipped_driver_passes_by_meaning(own_driver: Path) -> None:
    """Without the reference beside it, too."""
    report = quick(own_driver, by_meaning=True)
    assert (said(report, "fail"), said(report, "warn")) == (set(), NEVER_SET)
    assert report.mode == "by meaning"
    assert AGREEMENT in said(report, "not exercised")


def test_the_linux_build_fails_what_is_known(linux_driver: Path, tmp_path: Path) -> None:
    """Its bytes are the linux-3.11 reference's; these clauses fail and no others; the first has a trace."""
    report = quick(linux_driver, tmp_path)
    assert said(report, "fail") == BROKEN_BY_LINUX | PASSED_ON_BY_LINUX
    assert said(report, "warn") == NEVER_SET | {"2.4.2a", "5.1.6.2.1h", "frames-fit"}
    assert AGREEMENT in said(report, "pass")
    for check in report.checks:
        if check.verdict == "fail" and check.clause in PASSED_ON_BY_LINUX:
            assert "no stack hands over" in check.detail
    assert report.trace is not None
    again = replay_net(load(report.trace), linux_driver)
    assert (again.differs, again.check) == (True, report.shows)


def test_the_linux_build_asked_only_for_what_it_offers(linux_driver: Path) -> None:
    """By meaning it is given frames that a stack hands over: what it passes on does not show."""
    assert said(quick(linux_driver, by_meaning=True), "fail") == BROKEN_BY_LINUX


def test_a_failure_is_kept_and_replayed(own_driver: Path, tmp_path: Path) -> None:
    """The document holds device, frames and operations; it fails again on the driver, and on no other."""
    broken = mutated_driver("X15")
    report = quick(broken, tmp_path)
    assert report.verdict == "fail"
    assert report.shows in {"clause-5.1.6.2/n2", "clause-5.1.6.2.1m"}
    assert len(report.steps) <= 3
    assert report.trace is not None
    document = load(report.trace)
    count = len(report.steps)
    assert len(document.operations) == count
    again = replay_net(document, broken)
    assert (again.differs, again.check, again.step) == (True, report.shows, count - 1)
    assert len(again.lines) == count
    assert not replay_net(document, own_driver).differs
    on_reference = replay_net(document)
    assert not on_reference.differs
    assert len(on_reference.lines) == count


def test_unknown_feature_bits_are_kept(own_driver: Path, tmp_path: Path) -> None:
    """A device that offers a bit without a name is the same one after reading."""
    config = NetConfig(features=1 << 26)
    frames = (Frame(Packet(b"x")),)
    failure = NetFailure("oracle", "check", "clause", "detail", config, frames, (Op(NetCode.PROBE),), 0)
    path = keep_net(failure, "a driver", tmp_path, exact=True)
    assert path is not None
    document = load(path)
    assert document.extra["other_features"] == [1 << 26, 0]
    assert not replay_net(document, own_driver).differs


def test_a_run_is_shrunk() -> None:
    """Of a long run that fails whenever a frame over 100 bytes is sent to a live device, little is left."""

    def attempt(config: NetConfig, frames: Sequence[Frame], ops: Sequence[Op]) -> dict[str, NetFailure]:
        played, given = tuple(ops), tuple(frames)
        probed = False
        for step, op in enumerate(played):
            probed = probed or op.code == NetCode.PROBE
            if probed and op.code == NetCode.XMIT and len(given[op.a].data) > 100 and config.features & 1:
                return {"check": NetFailure("oracle", "check", "", "", config, given, played, step)}
        return {}

    frames = tuple(Frame(Packet(bytes(20 * (at + 1))), cpu=at) for at in range(20))
    ops = (Op(NetCode.PROBE), *(Op(code, a=at) for at in range(20) for code in (NetCode.RAISE, NetCode.XMIT)))
    config = NetConfig(features=0xFFFF, pairs=4, queue_size=1024)
    found = attempt(config, frames, ops)["check"]
    small = reduced(found, attempt, 5.0)
    assert [op.code for op in small.operations] == [NetCode.PROBE, NetCode.XMIT]
    assert len(small.frames) == 1
    assert 100 < len(small.frames[0].data) <= 120
    assert (small.config.features, small.config.pairs, small.config.queue_size) == (1, 1, 4)


def test_a_library_with_both_drivers_gets_both_campaigns(own_driver: Path) -> None:
    """One report with two parts; the JSON says so, and the verdict is the worst of both."""
    assert len(entries(own_driver)) == 2
    report = examine(own_driver, options=Options(quick=True, traces=None))
    assert report.verdict == "pass"
    assert report.checks
    assert report.network is not None
    assert report.network.checks
    document = report.to_json()
    part = document["network"]
    assert isinstance(part, dict)
    assert part["verdict"] == "pass"
    assert set(part) == set(document) - {"network", "hostile"}


def test_a_library_with_a_network_driver_alone(tmp_path: Path) -> None:
    """Its report has no checks of a virtqueue; a failure of the network's is one of all."""
    only = tmp_path / "only"
    only.mkdir()
    for source in c_sources().iterdir():
        if source.suffix in (".c", ".h") and source.name != "adapter.c":
            (only / source.name).write_text(source.read_text())
    library = build_driver(only, defines={"RP_ADAPTER_LINUX_3_11": ""})
    assert entries(library) == ("rp_net_driver_entry",)
    report = examine(library, options=Options(quick=True, traces=None, shrink_seconds=1.0))
    assert report.checks == ()
    assert report.network is not None
    assert (report.verdict, report.network.verdict) == ("fail", "fail")


def test_a_library_without_a_driver_is_refused(tmp_path: Path) -> None:
    """In one line that names the library."""
    source = tmp_path / "none.c"
    source.write_text("int nothing(void) { return 0; }\n")
    with pytest.raises(LibraryError, match="rp_driver_entry"):
        examine(build_library([source]))


def test_the_driver_and_its_checks_are_fast(own_driver: Path) -> None:
    """There is a rate, and a broken driver has none."""
    assert differential_rate(0.5, 1, own_driver) > 0


def test_a_pair_that_cannot_agree(linux_driver: Path) -> None:
    """Compared with the other profile, the first access or byte that differs is told, with the operation."""
    with NetPair(linux_driver, exact=True) as pair:
        frames = [Frame(Packet(b"x" * 60))]
        config = NetConfig(transport="modern", profile="virtio-1.x")
        found = pair.attempt(config, frames, [Op(NetCode.PROBE), Op(NetCode.XMIT)])
    assert AGREEMENT in found
    assert "control block of frame 0" in found[AGREEMENT].detail
    assert found[AGREEMENT].step == 1
    small = replace(found[AGREEMENT], operations=()).cut()
    assert small.operations == ()


def test_a_driver_written_apart_passes(tinynet: Path) -> None:
    """Legacy alone, no features, one queue: judged by meaning, with one true warning."""
    report = quick(tinynet)
    assert (report.verdict, report.mode) == ("pass", "by meaning")
    assert said(report, "warn") == {"impossible-sizes-refused"}
    assert {"frames-in-order", "queue-wakes", "statistics-true", "3.1.2a", "5.1.6/n1"} <= said(report, "pass")
    assert {"3.1.1a", "2.7.7.1c", AGREEMENT} <= said(report, "not exercised")


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("crash", "no-crash"),
        ("exit", "no-crash"),
        ("hang", "no-hang"),
        ("leak", "all-released"),
        ("write-margin", "frames-memory-unchanged"),
    ],
)
def test_its_faults_are_found(
    fault: str, check: str, tinynet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash, an exit, a hang, a leak and a write beside a frame: each by its name, with a short run."""
    monkeypatch.setenv("RINGPROOF_TINYNET_FAULT", fault)
    options = Options(quick=True, traces=tmp_path, shrink_seconds=3.0, hang_seconds=1.0)
    report = validate_network(tinynet, options=options)
    assert report.verdict == "fail"
    assert check in said(report, "fail")
    assert report.shows == check
    assert 1 <= len(report.steps) <= 6
    assert report.trace is not None
    again = replay_net(load(report.trace), tinynet, hang_seconds=1.0)
    assert (again.differs, again.check) == (True, check)
    monkeypatch.delenv("RINGPROOF_TINYNET_FAULT")
    assert not replay_net(load(report.trace), tinynet).differs


@pytest.mark.slow
def test_the_shipped_driver_passes_the_whole_campaign(own_driver: Path, tmp_path: Path) -> None:
    """Every device, 80 kinds of traffic, and a run of more frames than there are indices."""
    report = validate_network(own_driver, options=Options(traces=tmp_path))
    assert said(report, "fail") == set()
    assert said(report, "warn") == NEVER_SET
    assert report.operations > 80_000
