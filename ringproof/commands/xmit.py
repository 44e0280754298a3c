"""``ringproof xmit``: frames through the whole transmit path, and the journey of one of them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..errors import EXIT_HELD, EXIT_REFUTED, BadInputError, unknown_name
from ..impl.harness.frames import Frame, Packet
from ..impl.harness.net_operations import F_VERSION_1, FEATURE_NAMES, MOST_PAIRS, NET_FEATURES, NetConfig
from ..journey.described import described
from ..journey.pcap import PcapReader, PcapWriter
from ..journey.report import XmitReport
from ..journey.sending import BATCH
from ..journey.stack import DEFAULT_MTU, LEAST_MTU, MOST_MTU, admit
from ..journey.terminal import render_journey
from ..journey.transmission import Named, Request, Transmission
from .build import PROFILES, build_shipped
from .seconds import Seconds

_MICROSECOND = 1000


def chosen_features(names: str | None) -> int:
    """The features that a comma-separated list names; all there are for None, none for "none".

    Raises BadInputError for a name nobody knows.
    """
    if names is None:
        return NET_FEATURES
    found = 0
    for name in [] if names.strip().lower() in ("", "none") else names.split(","):
        if name.strip().upper() not in FEATURE_NAMES:
            raise unknown_name("feature", name.strip(), FEATURE_NAMES)
        found |= FEATURE_NAMES[name.strip().upper()]
    return found


def _configuration(
    queue_size: int, transport: str, features: str | None, profile: str, pairs: int
) -> NetConfig:
    if not 1 <= queue_size <= 32768 or queue_size & (queue_size - 1):
        raise BadInputError(f"queue size {queue_size} is not a power of two from 1 to 32768")
    offered = chosen_features(features)
    if offered & F_VERSION_1 and transport == "legacy":
        raise BadInputError("VERSION_1 is of the modern transport; see --transport modern")
    return NetConfig(queue_size, features=offered, transport=transport, profile=profile, pairs=pairs)


def _described(texts: Sequence[str], mtu: int) -> Iterator[Named]:
    """The frames of the command line, in order; each is built when its turn comes."""
    number = 0
    for text in texts:
        frame, times = described(text)
        admit(frame, mtu, f"--frame {text!r}")
        for _ in range(times):
            yield Named(frame, f"frame {number}", number * _MICROSECOND)
            number += 1


def _recorded(reader: PcapReader, mtu: int, pairs: int) -> Iterator[Named]:
    """The frames of a file, each with its data in the linear part; processors take turns sending them."""
    for record in reader:
        frame = Frame(Packet(record.data), cpu=(record.number - 1) % pairs)
        admit(frame, mtu, f"{reader.path}: record {record.number}")
        yield Named(frame, f"record {record.number}", record.nanoseconds)


def _not_none(frames: Iterator[Named], source: str) -> Iterator[Named]:
    """The same frames. Raises BadInputError at once if there are none: nothing would be checked."""
    first = next(frames, None)
    if first is None:
        raise BadInputError(f"{source}: no frames in it")

    def all_of_them() -> Iterator[Named]:
        yield first
        yield from frames

    return all_of_them()


def _show(report: XmitReport, transmission: Transmission, shown: int | None, console: Console) -> None:
    console.print(f"[dim]{escape(report.configuration)}[/]", soft_wrap=True)
    if transmission.states and shown is not None:
        console.print()
        render_journey(transmission.states, shown, console)
    if not report.exact and shown is not None:
        console.print("[dim]no journey: this driver's rings need not look like the reference's[/]")
    console.print()
    for line in report.lines():
        console.print(escape(line), soft_wrap=True)
    for fault in report.faults:
        where = f"[bold red]{escape(fault.property)}[/]  {escape(fault.about)}"
        console.print(f"{where}: {escape(fault.sentence)}", soft_wrap=True)
    if report.faults_left_out:
        console.print(f"[bold red]and {report.faults_left_out:,} more[/]")
    verdict = "[bold green]pass[/]" if report.passed else "[bold red]FAIL[/]"
    console.print(f"{verdict}  {escape(_verdict(report))}, in {report.seconds:.1f} s", soft_wrap=True)


def _verdict(report: XmitReport) -> str:
    if not report.passed:
        return f"{len(report.faults) + report.faults_left_out} found wrong"
    sides = [] if report.driver is not None and not report.exact else ["the reference"]
    driver = " and ".join([*sides, *([report.driver] if report.driver else [])])
    dropped = sum(report.dropped.values())
    parts = [f"{driver}: every frame {'that was sent ' if dropped else ''}left as it should"]
    if report.unchanged and not report.summed + report.segmented + dropped:
        parts = [f"{driver}: what left the device is what was given, byte for byte"]
    return ", ".join(parts)


@click.command()
@click.option(
    "--pcap",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Send the frames of this file (pcap, pcapng).",
)
@click.option("--frame", "texts", multiple=True, metavar="TEXT", help="Send a frame described in words.")
@click.option("--queue-size", type=int, default=256, show_default=True, metavar="N", help="Of every queue.")
@click.option("--transport", type=click.Choice(("legacy", "modern")), default="legacy", show_default=True)
@click.option("--features", metavar="A,B,...", help="What the device offers; all if not given, or none.")
@click.option("--profile", type=click.Choice(PROFILES), default=PROFILES[0], show_default=True)
@click.option(
    "--pairs", type=click.IntRange(1, MOST_PAIRS), default=1, show_default=True, help="Of queues, all used."
)
@click.option(
    "--mtu", type=click.IntRange(LEAST_MTU, MOST_MTU), default=DEFAULT_MTU, show_default=True,
    help="Bytes behind an Ethernet header that the link carries.",
)  # fmt: skip
@click.option(
    "--driver", type=click.Path(path_type=Path), help="Instead of the C driver of this project: a library."
)
@click.option("--reference-only", is_flag=True, help="No driver beside the reference.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write what leaves here (pcap)."
)
@click.option(
    "--trace", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the run up to the journey's end here, to be replayed.",
)  # fmt: skip
@click.option(
    "--frame-number", type=click.IntRange(min=0), default=0, show_default=True, metavar="K",
    help="Show the journey of this frame, counted from 0.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="No journey, only the summary.")
@click.option(
    "--timeout", type=Seconds(), default=10.0, show_default=True,
    help="Seconds after which a driver counts as hanging.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def xmit(
    pcap: Path | None,
    texts: tuple[str, ...],
    queue_size: int,
    transport: str,
    features: str | None,
    profile: str,
    pairs: int,
    mtu: int,
    driver: Path | None,
    reference_only: bool,
    output: Path | None,
    trace: Path | None,
    frame_number: int,
    quiet: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Send frames through the whole transmit path, and show the journey of one of them.

    Reference and C driver get the same frames and the same device, and are compared at every step. What
    leaves the device is checked frame by frame, and written to a pcap file with --output, in the order of
    the frames. Of a pcap with several pairs of queues, the frames take the queues in turn.

    A frame in words: tcp4, tcp6, udp4, udp6, eth or hex=BYTES, then any of len=N frags=BYTES@OFFSET,...
    list=BYTES(FRAGS;PACKETS),... csum gso=N kind=GSO ecn vlan=ID queue=N cpu=N times=N. Such as
    --frame 'tcp4 len=4000 frags=1000@16,1000 gso=1448 csum'.
    """
    if (pcap is None) == (not texts):
        raise BadInputError("give either --pcap or --frame (see ringproof xmit --help)")
    if driver is not None and reference_only:
        raise BadInputError("--driver and --reference-only exclude each other")
    if trace is not None and frame_number >= BATCH:
        raise BadInputError(
            f"a trace holds all frames up to the one shown, {BATCH} at most: --frame-number {frame_number}"
        )
    _not_the_same(pcap, output, trace)
    config = _configuration(queue_size, transport, features, profile, pairs)
    with ExitStack() as stack:
        form = None
        if pcap is not None:
            reader = stack.enter_context(PcapReader(pcap))
            frames, form = _not_none(_recorded(reader, mtu, pairs), str(pcap)), reader.format
        else:
            # All words are read first, so that nothing is sent of what ends in an error.
            for text in texts:
                admit(described(text)[0], mtu, f"--frame {text!r}")
            frames = _described(texts, mtu)
        if driver is None and not reference_only:
            driver = build_shipped(None, profile=profile)
        shown = None if quiet and trace is None else frame_number
        request = Request(config, driver, pairs, shown, trace is not None, timeout)
        transmission = Transmission(request)
        writer = stack.enter_context(PcapWriter(output, form)) if output is not None else None
        report = transmission.run(frames, writer.write if writer is not None else _nowhere)
        # Before the output is there: what ends in an error leaves nothing behind.
        _keep(report, transmission, trace, None if quiet else shown)
    return _answer(report, transmission, None if quiet else shown, as_json)


def _not_the_same(*paths: Path | None) -> None:
    given = [path.resolve() for path in paths if path is not None]
    if len(set(given)) != len(given):
        raise BadInputError("--pcap, --output and --trace name one file twice")


def _nowhere(_frames: Iterable[tuple[int, bytes]]) -> None:
    """What leaves is not kept."""


def _keep(report: XmitReport, transmission: Transmission, trace: Path | None, shown: int | None) -> None:
    if shown is not None and report.complete and shown >= report.frames_read:
        raise BadInputError(
            f"--frame-number {shown}: the last of {report.frames_read} is {report.frames_read - 1}"
        )
    document = transmission.document()
    if trace is not None and document is not None:
        document.save(trace)


def _answer(report: XmitReport, transmission: Transmission, shown: int | None, as_json: bool) -> int:
    if as_json:
        journey = transmission.journey() if shown is not None else None
        click.echo(json.dumps({**report.to_json(), "journey": journey}, indent=2))
    else:
        _show(report, transmission, shown, Console(highlight=False))
    return EXIT_HELD if report.passed else EXIT_REFUTED
