"""DPDK's virtio-user driver in testpmd: a driver in user space that polls, and sends as fast as it can."""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ...errors import BadInputError
from .front_end import FrontEnd, environment
from .missing import installation, missing, program
from .round import DRIVER_MAC, PARTNER_MAC, Round

_PROGRAM = "dpdk-testpmd"
_PACKAGES = ("dpdk-dev", "librte-net-virtio23", "librte-mempool-ring23")
_DEADLINE = 20.0  # seconds for a question about its version
_MEMORY = 512  # MiB
_COMMANDS = "commands.txt"
_VERSION = re.compile(r"RTE Version: '([^']*)'")
_TOTALS = re.compile(r"^\s*([RT]X)-packets:\s*(\d+)\s+[RT]X-dropped:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Shape:
    """How testpmd is set up: options of the device, of the program, and commands it is told at its start."""

    device: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    pairs: int = 1
    forward: str = "txonly"
    commands: tuple[str, ...] = ()


def _lcores() -> str:
    """Two of DPDK's cores on processors this process may use; on the same one if there is no other."""
    usable = sorted(os.sched_getaffinity(0))
    return f"0@{usable[0]},1@{usable[-1]}"


def _environment_options(workdir: Path, lcores: str) -> list[str]:
    return [
        f"--lcores={lcores}",
        "--no-huge",
        "-m",
        str(_MEMORY),
        "--no-pci",
        "--no-telemetry",
        f"--file-prefix={workdir.name or 'ringproof'}",
    ]


def command(testpmd: Path, socket: Path, workdir: Path, shape: Shape) -> list[str]:
    """The command line. A comma in the socket's path cannot be said to DPDK: BadInputError."""
    if "," in str(socket):
        raise BadInputError(f"{socket}: DPDK takes no socket whose path has a comma in it")
    device = ",".join(
        [f"net_virtio_user0,path={socket}", f"queues={shape.pairs}", f"mac={DRIVER_MAC}", *shape.device]
    )
    return [
        str(testpmd),
        *_environment_options(workdir, _lcores()),
        f"--vdev={device}",
        "--",
        "--no-mlockall",
        "--total-num-mbufs=4096",
        f"--rxq={shape.pairs}",
        f"--txq={shape.pairs}",
        f"--forward-mode={shape.forward}",
        f"--eth-peer=0,{PARTNER_MAC}",
        *shape.program,
        *(("-i", f"--cmdline-file={workdir / _COMMANDS}") if shape.commands else ("--auto-start",)),
    ]


def facts(log: str) -> list[str]:
    """Frames sent, received and dropped, as the statistics say that testpmd prints when it ends."""
    totals = log.rpartition("Accumulated forward statistics")[2] if "Accumulated" in log else ""
    words = {"RX": "received", "TX": "sent"}
    return [
        f"testpmd {words[which]} {int(frames)} frames, dropped {int(dropped)}"
        for which, frames, dropped in _TOTALS.findall(totals)
    ]


_SEGMENTS = "--txpkts=64,100,200"
# Offloads by their bits in DPDK: checksums of UDP and TCP, and segmentation of TCP.
_SUMS, _CUTS = "--tx-offloads=0xc", "--tx-offloads=0x2c"


def _offloading(*more: str) -> tuple[str, ...]:
    """Commands that leave checksums to the device; the port, which runs already, is started a second time."""
    return ("port stop 0", "csum set tcp hw 0", "csum set udp hw 0", *more, "port start 0", "start")


# name, words, shape, withdrawn
_ROUNDS: tuple[tuple[str, str, Shape, tuple[str, ...]], ...] = (
    ("in-order", "completes and sends in order, one descriptor a frame", Shape(("in_order=1",)), ()),
    (
        "indirect",
        "frames of three pieces in indirect tables",
        Shape(("in_order=0",), (_SEGMENTS,)),
        (),
    ),
    ("chains", "frames of three pieces in order, direct chains", Shape(("in_order=1",), (_SEGMENTS,)), ()),
    (
        "no-indirect",
        "frames of three pieces, INDIRECT_DESC not offered",
        Shape(("in_order=0",), (_SEGMENTS,)),
        ("INDIRECT_DESC",),
    ),
    ("no-in-order", "IN_ORDER not offered", Shape(("in_order=1",)), ("IN_ORDER",)),
    ("no-mergeable", "the driver declines MRG_RXBUF", Shape(("mrg_rxbuf=0", "in_order=0")), ()),
    ("no-mrg-rxbuf", "MRG_RXBUF not offered", Shape(), ("MRG_RXBUF",)),
    (
        "vectorized",
        "the vectorized receive path",
        Shape(("vectorized=1", "mrg_rxbuf=0", "in_order=0")),
        (),
    ),
    ("legacy", "VERSION_1 not offered", Shape(("in_order=0",)), ("VERSION_1", "IN_ORDER")),
    (
        "legacy-apart",
        "neither VERSION_1 nor what changes chains offered: a header of 10 bytes, apart",
        Shape(("in_order=0",)),
        ("VERSION_1", "IN_ORDER", "ANY_LAYOUT", "INDIRECT_DESC", "MRG_RXBUF"),
    ),
    ("size-64", "64 descriptors", Shape(("queue_size=64",)), ()),
    ("size-1024", "1024 descriptors", Shape(("queue_size=1024",)), ()),
    ("two-pairs", "two pairs of queues", Shape(pairs=2), ()),
    (
        "forward",
        "sends back what it receives, the addresses exchanged",
        Shape(("in_order=0",), forward="macswap"),
        (),
    ),
    (
        "csum",
        "sends back what it receives, the checksums of UDP and TCP left to the device",
        Shape((), (_SUMS,), forward="csum", commands=_offloading()),
        (),
    ),
    (
        "tso",
        "the same in indirect tables, and TCP left for the device to cut",
        Shape(("in_order=0",), (_CUTS,), forward="csum", commands=_offloading("tso set 500 0")),
        (),
    ),
)
_QUICK = ("in-order", "indirect", "legacy")
_HOSTILE = ("in-order", "indirect", "no-indirect")
_SIZES = {"queue_size=64": 64, "queue_size=1024": 1024}


@dataclass
class Dpdk:
    """The recipe ``dpdk``."""

    seconds: float = 4.0
    name: str = field(default="dpdk", init=False)

    @cached_property
    def _testpmd(self) -> Path:
        found = program(_PROGRAM)
        if found is None:
            raise missing(self.name, [f"the program {_PROGRAM}"], installation(_PACKAGES))
        return found

    @cached_property
    def _answer(self) -> str:
        """What testpmd says when it is asked for its version and for a virtio-user device nobody serves."""
        with tempfile.TemporaryDirectory(prefix="ringproof-") as directory:
            where = Path(directory)
            nobody = where / "none"
            options = _environment_options(where, _lcores().partition(",")[0])
            asked = [
                str(self._testpmd),
                "-v",
                *options,
                f"--vdev=net_virtio_user0,path={nobody}",
                "--",
                "--help",
            ]
            try:
                done = subprocess.run(
                    asked,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    cwd=where,
                    env=environment(where),
                    timeout=_DEADLINE,
                    check=False,
                    start_new_session=True,
                )
            except OSError as error:
                raise missing(
                    self.name, [f"a {_PROGRAM} that starts ({error.strerror})"], installation(_PACKAGES)
                ) from None
            except subprocess.TimeoutExpired:
                raise missing(
                    self.name,
                    [f"a {_PROGRAM} that answers within {_DEADLINE:.0f} s"],
                    installation(_PACKAGES),
                ) from None
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def check(self) -> None:
        """Raise Missing unless testpmd starts and knows virtio-user."""
        answer = self._answer
        if not _VERSION.search(answer):
            raise missing(self.name, [f"a {_PROGRAM} that tells its version"], installation(_PACKAGES))
        if "failed to parse device" in answer:
            raise missing(self.name, ["the driver librte_net_virtio"], installation(_PACKAGES))

    def version(self) -> str:
        """For example ``DPDK 22.11.11``. Raises Missing."""
        self.check()
        found = _VERSION.search(self._answer)
        return found.group(1) if found is not None else "DPDK"

    def rounds(self, quick: bool = False, hostile: bool = False) -> tuple[Round, ...]:
        """The rounds; all of them end within seconds, so that every shape of the driver has one."""
        wanted = _HOSTILE if hostile else _QUICK if quick else tuple(name for name, *_ in _ROUNDS)
        known = {name: (words, shape, withdrawn) for name, words, shape, withdrawn in _ROUNDS}
        return tuple(self._round(name, *known[name]) for name in wanted)

    def qemu_options(self, socket: Path) -> tuple[str, ...]:
        """None: it is no guest."""
        del socket
        return ()

    def _round(self, name: str, words: str, shape: Shape, withdrawn: tuple[str, ...]) -> Round:
        def start(socket: Path, workdir: Path) -> FrontEnd:
            if shape.commands:
                (workdir / _COMMANDS).write_text("".join(f"{line}\n" for line in shape.commands), "utf-8")
            return FrontEnd(
                command(self._testpmd, socket, workdir, shape),
                workdir,
                version=self.version(),
                farewell=b"stop\nquit\n" if shape.commands else b"\n",
                facts=facts,
            )

        return Round(
            name=name,
            words=words,
            start=start,
            device_features_withdrawn=frozenset(withdrawn),
            pairs=shape.pairs,
            queue_size=next((_SIZES[word] for word in shape.device if word in _SIZES), 256),
            seconds=self.seconds,
            fed=shape.forward != "txonly",
            hostile=name in _HOSTILE,
        )
