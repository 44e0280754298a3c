"""OVMF's VirtioNetDxe: firmware for virtual machines, which asks the network for something to boot."""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from . import qemu
from .front_end import FrontEnd
from .missing import first_file, installation, missing, program
from .qemu import Card
from .round import Round

_PACKAGES = (*qemu.PACKAGES, "ovmf")
_DEADLINE = 20.0
# Code and empty variables of one build, as Debian, Fedora, Arch and others name them.
_IMAGES = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)
_FACT = re.compile(r"PXE|NBP|TFTP|HTTP Boot|DHCP|Station IP|Server IP|BdsDxe", re.IGNORECASE)

# name, words, card
_ROUNDS = (
    ("legacy", "the interface before version 1, DHCP and TFTP", Card(legacy=True, rom=False)),
    ("modern", "version 1, DHCP and TFTP", Card(legacy=False, rom=False)),
)


def facts(log: str) -> list[str]:
    """What the firmware says about booting from the network."""
    return [line.strip() for line in log.splitlines() if _FACT.search(line)]


@dataclass
class Ovmf:
    """The recipe ``ovmf``."""

    seconds: float = 35.0
    name: str = field(default="ovmf", init=False)

    @cached_property
    def _images(self) -> tuple[Path, Path]:
        for code, variables in _IMAGES:
            if first_file([code]) and first_file([variables]):
                return Path(code), Path(variables)
        raise missing(
            self.name,
            ["the firmware images OVMF_CODE_4M.fd and OVMF_VARS_4M.fd in /usr/share/OVMF"],
            installation(_PACKAGES),
        )

    def check(self) -> None:
        """Raise Missing unless QEMU and the firmware are there."""
        qemu.version(qemu.find(self.name, _PACKAGES))
        _ = self._images

    def version(self) -> str:
        """``OVMF 2022.11`` where its package tells, else the image's SHA-256 begins so. Raises Missing."""
        code, _ = self._images
        packaged = _package_version("ovmf")
        return f"OVMF {packaged or hashlib.sha256(code.read_bytes()).hexdigest()[:12]}"

    def rounds(self, quick: bool = False, hostile: bool = False) -> tuple[Round, ...]:
        """The rounds; the firmware starts its driver anew for each boot it tries, and sends little."""
        chosen = _ROUNDS[:1] if quick else _ROUNDS
        return tuple(self._round(name, words, card, hostile) for name, words, card in chosen)

    def qemu_options(self, socket: Path) -> tuple[str, ...]:
        """What one's own QEMU needs besides the firmware; no boot ROM, whose driver would be another."""
        return qemu.qemu_options(socket, card=Card(rom=False))

    def command(self, socket: Path, workdir: Path, card: Card) -> list[str]:
        """The command line of QEMU; a copy of the variables is expected in ``workdir``. Raises Missing."""
        code, _ = self._images

        def flash(path: Path, *, fixed: bool) -> str:
            readonly = ",readonly=on" if fixed else ""
            return (
                f"if=pflash,format=raw,unit={0 if fixed else 1}{readonly},file={str(path).replace(',', ',,')}"
            )

        return [
            *qemu.machine(qemu.find(self.name, _PACKAGES), workdir / "console.txt"),
            "-drive",
            flash(code, fixed=True),
            "-drive",
            flash(workdir / "variables.fd", fixed=False),
            "-boot",
            "n",
            *qemu.qemu_options(socket, card=card),
        ]

    def _round(self, name: str, words: str, card: Card, hostile: bool) -> Round:
        def start(socket: Path, workdir: Path) -> FrontEnd:
            shutil.copyfile(self._images[1], workdir / "variables.fd")
            return FrontEnd(
                self.command(socket, workdir, card),
                workdir,
                version=self.version(),
                console=workdir / "console.txt",
                facts=facts,
            )

        return Round(
            name=name,
            words=words,
            start=start,
            traffic="sparse",
            seconds=self.seconds,
            first_frame=15.0,
            hostile=hostile,
            restarts=True,
        )


def _package_version(package: str) -> str | None:
    """The version of an installed Debian package, without Debian's additions; None if unknown."""
    asked = program("dpkg-query")
    if asked is None:
        return None
    try:
        done = subprocess.run(
            [str(asked), "-W", "-f", "${Version}", package],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"(?:\d+:)?([\w.~]+)", done.stdout.decode("ascii", "replace"))
    return found.group(1) if found is not None and done.returncode == 0 else None
