"""Linux's virtio_net in a guest of QEMU, with busybox as all its user space."""

import stat
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from . import cpio, qemu
from .front_end import FrontEnd
from .kernel import Kernel, find_kernel
from .missing import installation, missing, program
from .qemu import Card
from .round import Round

_PACKAGES = (*qemu.PACKAGES, "busybox-static")
_PREFIX = "ringproof: "
_QUIET = "console=ttyS0 panic=-1 quiet loglevel=5 oops=panic"
_START = 8.0  # seconds from QEMU's start to the guest's first frame, if nothing else runs
_LATE = 60.0  # the same, where everything else runs, too

_SEGMENTATION = ("HOST_TSO4", "HOST_TSO6", "HOST_ECN", "HOST_UFO", "HOST_USO")
_GUEST_OFFLOADS = ("GUEST_CSUM", "GUEST_TSO4", "GUEST_TSO6", "GUEST_ECN", "GUEST_UFO")


@dataclass(frozen=True)
class Plan:
    """One round's guest: its card, what it does (words of the guest's first program), what is withdrawn."""

    name: str
    words: str
    plan: str
    withdrawn: tuple[str, ...] = ()
    card: Card = field(default_factory=Card)
    steady: bool = False
    seconds: float = 22.0
    hostile: bool = False
    restarts: bool = False


_EVERYTHING = "ping:5,pktgen:30000,frags:10000,tcp:512,udp,rebind,ping:3,loop"
_SHORT = "ping:5,pktgen:20000,frags:5000,tcp:512,udp,ping:3:1400,loop"

_PLANS = (
    Plan(
        "pktgen",
        "everything offered: 150,000 frames of pktgen, pings, fragments, TCP, the driver bound anew",
        "dhcp,ping:5,pktgen:150000,frags:20000,tcp:1024,udp,rebind,ping:5,loop",
        seconds=30.0,
    ),
    Plan("flood", "everything offered: pktgen without an end", "flood", steady=True, seconds=18.0),
    Plan("no-event-idx", "EVENT_IDX not offered: notifications by flags", _EVERYTHING, ("EVENT_IDX",)),
    Plan("no-indirect", "INDIRECT_DESC not offered: direct chains", _EVERYTHING, ("INDIRECT_DESC",)),
    Plan("no-mrg-rxbuf", "MRG_RXBUF not offered", _SHORT, ("MRG_RXBUF",)),
    Plan("no-csum", "CSUM not offered, and so no segmentation", _SHORT, ("CSUM", *_SEGMENTATION)),
    Plan(
        "bare",
        "nothing offered but VERSION_1, MAC and STATUS",
        _SHORT,
        (
            "EVENT_IDX",
            "INDIRECT_DESC",
            "MRG_RXBUF",
            "CSUM",
            *_SEGMENTATION,
            *_GUEST_OFFLOADS,
            "MTU",
            "CTRL_VQ",
            "MQ",
        ),
    ),
    Plan(
        "mtu",
        "an MTU of 1300",
        "ping:3:1200,ping:3:3000,pktgen:5000:1314,tcp:512,udp,loop",
        card=Card(mtu=1300),
    ),
    Plan("legacy", "the interface before version 1", _EVERYTHING, card=Card(legacy=True)),
    Plan(
        "legacy-apart",
        "the same without ANY_LAYOUT and EVENT_IDX: the header in a descriptor of its own",
        _SHORT,
        ("ANY_LAYOUT", "EVENT_IDX"),
        card=Card(legacy=True),
    ),
    Plan("size-1024", "rings of 1024", _EVERYTHING, card=Card(ring=1024)),
    Plan(
        "two-pairs",
        "two pairs of queues, two processors",
        "ping:5,queues:20000,tcp:512,udp,rebind,queues:10000,loop",
        card=Card(pairs=2),
        seconds=26.0,
    ),
    Plan("sparse", "pings and DHCP only: a kick for each frame", "dhcp,ping:20,udp,sleep,loop"),
    Plan(
        "rebinding", "the driver is taken from the device and bound again", "ping:2,pktgen:3000,rebind,loop"
    ),
)
_QUICK_PLANS = (
    Plan(
        "everything",
        "everything offered",
        "ping:3,pktgen:30000,frags:5000,tcp:256,udp,rebind,loop",
        seconds=18.0,
    ),
    Plan(
        "no-event-idx",
        "EVENT_IDX not offered",
        "ping:3,pktgen:20000,loop",
        ("EVENT_IDX",),
        seconds=15.0,
    ),
)
_HOSTILE_PLANS = (
    Plan(
        "hostile",
        "everything offered; bound again every few seconds",
        "static,ping:2,short:3000,rebind,loop",
        hostile=True,
        restarts=True,
        seconds=60.0,
    ),
    Plan(
        "hostile-no-event-idx",
        "EVENT_IDX and INDIRECT_DESC not offered; bound again every few seconds",
        "static,ping:2,short:3000,rebind,loop",
        ("EVENT_IDX", "INDIRECT_DESC"),
        hostile=True,
        restarts=True,
        seconds=60.0,
    ),
)


def facts(log: str) -> list[str]:
    """The lines the guest's first program has told, and the kernel's version."""
    return [line[line.index(_PREFIX) + len(_PREFIX) :] for line in log.splitlines() if _PREFIX in line]


def is_static(path: Path) -> bool:
    """Whether a program for x86-64 needs no dynamic loader, so that it runs where there is nothing else."""
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            kinds = [segment["p_type"] for segment in elf.iter_segments()]
            return elf["e_machine"] == "EM_X86_64" and "PT_INTERP" not in kinds
    except (OSError, ELFError):
        return False


def initial_files(busybox: bytes, modules: list[tuple[str, bytes]]) -> list[cpio.Entry]:
    """The guest's whole file system."""
    script = files(__package__).joinpath("guest_init.sh").read_bytes()
    order = "".join(f"{name}\n" for name, _ in modules).encode()
    return [
        *(cpio.directory(name) for name in ("bin", "dev", "lib", "lib/modules", "proc", "sys", "tmp")),
        cpio.character_device("dev/console", 5, 1),
        cpio.Entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
        cpio.file("bin/busybox", busybox, program=True),
        cpio.file("init", script, program=True),
        cpio.file("modules", order),
        *(cpio.file(f"lib/modules/{name}", data) for name, data in modules),
    ]


@dataclass
class Linux:
    """The recipe ``linux``: the kernel given, or the newest that is found."""

    kernel: Path | None = None
    modules: Path | None = None
    name: str = field(default="linux", init=False)

    @cached_property
    def _kernel(self) -> Kernel:
        return find_kernel(self.kernel, self.modules)

    @cached_property
    def _busybox(self) -> bytes:
        found = program("busybox")
        if found is None or not is_static(found):
            raise missing(
                self.name, ["the program busybox, linked statically for x86-64"], installation(_PACKAGES)
            )
        return found.read_bytes()

    @cached_property
    def initramfs(self) -> bytes:
        """The initial file system, packed; made once. Raises Missing."""
        return cpio.packed(initial_files(self._busybox, self._kernel.load_order()))

    def check(self) -> None:
        """Raise Missing unless QEMU, busybox, a kernel and its modules are there."""
        qemu.version(qemu.find(self.name, _PACKAGES))
        _ = self.initramfs

    def version(self) -> str:
        """For example ``Linux 6.1.192``. Raises Missing."""
        return self._kernel.version

    def rounds(self, quick: bool = False, hostile: bool = False) -> tuple[Round, ...]:
        """The rounds; each boots a guest, which takes some seconds."""
        plans = _HOSTILE_PLANS if hostile else _QUICK_PLANS if quick else _PLANS
        return tuple(self._round(plan) for plan in plans)

    def qemu_options(self, socket: Path) -> tuple[str, ...]:
        """What one's own QEMU needs besides its guest."""
        return qemu.qemu_options(socket)

    def command(self, socket: Path, workdir: Path, plan: Plan) -> list[str]:
        """The command line of QEMU; the initial file system is expected in ``workdir``. Raises Missing."""
        return [
            *qemu.machine(qemu.find(self.name, _PACKAGES), workdir / "console.txt"),
            *qemu.qemu_options(socket, card=plan.card),
            "-kernel",
            str(self._kernel.image),
            "-initrd",
            str(workdir / "initramfs.gz"),
            "-append",
            f"{_QUIET} ringproof={plan.plan} ringproof_seconds={int(plan.seconds * 4 + _LATE)}",
        ]

    def _round(self, plan: Plan) -> Round:
        def start(socket: Path, workdir: Path) -> FrontEnd:
            (workdir / "initramfs.gz").write_bytes(self.initramfs)
            return FrontEnd(
                self.command(socket, workdir, plan),
                workdir,
                version=self.version(),
                console=workdir / "console.txt",
                facts=facts,
            )

        return Round(
            name=plan.name,
            words=plan.words,
            start=start,
            device_features_withdrawn=frozenset(plan.withdrawn),
            pairs=plan.card.pairs,
            queue_size=plan.card.ring or 256,
            mtu=plan.card.mtu,
            traffic="steady" if plan.steady else "sparse",
            seconds=plan.seconds,
            first_frame=_START,
            hostile=plan.hostile,
            restarts=plan.restarts,
        )
