"""The command line of a QEMU whose virtio-net card is served over a vhost-user socket."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .missing import Missing, installation, missing, program
from .round import DRIVER_MAC

PROGRAM = "qemu-system-x86_64"
PACKAGES = ("qemu-system-x86",)
MEMORY = 512  # MiB of each guest of ours
_DEADLINE = 20.0
_VERSION = re.compile(r"version (\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class Card:
    """How the guest sees its card.

    ``legacy`` True: the interface before version 1 only; False: version 1 only; None: as QEMU likes, which is
    both. ``ring`` sets the number of descriptors of both kinds of queue (QEMU has 256 if it is None, and
    takes 256, 512 or 1024). ``pairs`` above 1 switches MQ on. ``rom`` False leaves the card without its boot
    ROM.
    """

    legacy: bool | None = None
    ring: int | None = None
    pairs: int = 1
    mtu: int | None = None
    rom: bool = True


def _value(text: str | Path) -> str:
    """A value within one of QEMU's lists: a comma in it is written twice."""
    return str(text).replace(",", ",,")


def qemu_options(socket: Path, *, memory: int = MEMORY, card: Card | None = None) -> tuple[str, ...]:
    """What a QEMU with ``-m MEMORY`` (MiB) needs so that its card is served at ``socket``.

    The guest's memory has to be shared with whoever serves the card (``share=on``). ``vectors=0``
    goes without MSI-X, which QEMU 7.2 without KVM needs.
    """
    card = card if card is not None else Card()
    queues = f",queues={card.pairs}" if card.pairs > 1 else ""
    device = ["virtio-net-pci", "netdev=ringproof", f"mac={DRIVER_MAC}", "vectors=0"]
    if card.pairs > 1:
        device.append("mq=on")
    if card.legacy is not None:
        device.append(
            "disable-modern=on,disable-legacy=off" if card.legacy else "disable-legacy=on,disable-modern=off"
        )
    if card.ring is not None:
        device.append(f"rx_queue_size={card.ring},tx_queue_size={card.ring}")
    if card.mtu is not None:
        device.append(f"host_mtu={card.mtu}")
    if not card.rom:
        device.append("romfile=")
    return (
        "-object",
        f"memory-backend-memfd,id=ringproof-memory,size={memory}M,share=on",
        "-numa",
        "node,memdev=ringproof-memory",
        "-chardev",
        f"socket,id=ringproof-socket,path={_value(socket)}",
        "-netdev",
        f"vhost-user,id=ringproof,chardev=ringproof-socket{queues}",
        "-device",
        ",".join(device),
    )


def machine(qemu: Path, console: Path) -> list[str]:
    """QEMU with a guest's machine, without any card: its serial console goes to the file ``console``.

    Instructions are translated, since KVM is not everywhere, and is no help where guests do not start with
    it. There are two processors always: of a guest with one QEMU translates locked instructions, which are
    x86's full barriers, as if nobody else were looking, and kicks are lost that no driver is to blame for.
    """
    return [
        str(qemu),
        "-machine",
        "q35,accel=tcg",
        "-m",
        str(MEMORY),
        "-smp",
        "2",
        "-display",
        "none",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-serial",
        f"file:{console}",
    ]


def find(recipe: str, packages: Sequence[str] = PACKAGES) -> Path:
    """Where QEMU is. Raises Missing in the recipe's name."""
    found = program(PROGRAM)
    if found is None:
        raise missing(recipe, [f"the program {PROGRAM}"], installation(packages))
    return found


@cache
def version(qemu: Path) -> str:
    """For example ``QEMU 7.2.22``. Raises Missing if it does not start."""
    try:
        done = subprocess.run(
            [str(qemu), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(
            f"{qemu} cannot be started: {getattr(error, 'strerror', None) or 'it does not answer'}"
        ) from None
    found = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    if done.returncode or found is None:
        raise Missing(f"{qemu} --version ends with {done.returncode} and tells no version")
    return f"QEMU {found.group(1)}"
