"""A Linux kernel to boot: its image, and the modules its guest needs, in the order they are loaded in."""

import gzip
import io
import lzma
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .missing import Missing, missing, program

VARIABLE = "RINGPROOF_KERNEL"
"""Environment variable with a directory that has boot/ and lib/modules in it."""
NEEDED = ("virtio_pci", "virtio_net", "pktgen")

_HEADER = 0x202  # "HdrS" in a bzImage: The Linux/x86 Boot Protocol
_VERSION_POINTER = 0x20E
_READ = 1 << 16
_DEADLINE = 60.0
_HOW = (
    "a kernel image, e.g. apt-get download linux-image-6.1.0-49-cloud-amd64 "
    "(whichever of them apt-cache search linux-image finds), "
    f"dpkg-deb -x linux-image-*.deb DIR, and {VARIABLE}=DIR"
)
_DIGITS = re.compile(r"\d+|\D+")
_PACKAGED = re.compile(r"(?:Debian|Ubuntu) (\d+\.\d+\.\d+)")


def _natural(text: str) -> list[tuple[int, str]]:
    """A key by which 6.1.10 comes after 6.1.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.findall(text)]


def banner(image: Path) -> str:
    """The version line in a bzImage, such as ``6.1.0-9-amd64 (...) Debian 6.1.27-1``. Raises Missing."""
    try:
        with image.open("rb") as stream:
            data = stream.read(_READ)
    except OSError as error:
        raise Missing(f"{image}: {error.strerror}") from None
    if data[_HEADER : _HEADER + 4] != b"HdrS":
        raise Missing(f"{image}: no kernel image for x86 (bzImage)")
    at = int.from_bytes(data[_VERSION_POINTER : _VERSION_POINTER + 2], "little") + 0x200
    text = data[at : at + 256].partition(b"\0")[0].decode("ascii", "replace")
    if not text or not text.isprintable():
        raise Missing(f"{image}: the kernel image tells no version")
    return text


def _unpacked(path: Path) -> bytes:
    """A module's ELF file, decompressed. Raises Missing."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            return gzip.decompress(data)
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".zst":
            zstd = program("zstd")
            if zstd is None:
                raise Missing(f"{path}: zstd is needed to unpack it; to install: apt-get install zstd")
            done = subprocess.run(
                [str(zstd), "-dcq"], input=data, capture_output=True, timeout=_DEADLINE, check=False
            )
            if done.returncode:
                raise Missing(f"{path}: zstd cannot unpack it")
            return done.stdout
    except (OSError, EOFError, lzma.LZMAError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{path}: cannot be unpacked: {error}") from None
    return data


def _depends(name: str, data: bytes) -> list[str]:
    """The modules a module needs, as its section .modinfo says. Raises Missing."""
    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(".modinfo")
        entries = bytes(section.data()).split(b"\0") if section is not None else []
    except (ELFError, ValueError) as error:
        raise Missing(f"the module {name} is no ELF file: {error}") from None
    for entry in entries:
        key, _, value = entry.partition(b"=")
        if key == b"depends":
            return [_plain(word) for word in value.decode("ascii", "replace").split(",") if word]
    return []


def _plain(name: str) -> str:
    """A module's name as the kernel has it: file names may write a dash for the underscore."""
    return name.replace("-", "_")


@dataclass(frozen=True)
class Kernel:
    """An image and the directory its modules are in (with ``kernel/`` below it); None if it has none."""

    image: Path
    modules: Path | None

    @cached_property
    def banner(self) -> str:
        """Its version line. Raises Missing."""
        return banner(self.image)

    @property
    def release(self) -> str:
        """What ``uname -r`` says in it."""
        return self.banner.split(" ")[0]

    @property
    def version(self) -> str:
        """``Linux 6.1.192``: the version as published if its packager tells it, else the release."""
        packaged = _PACKAGED.search(self.banner)
        return f"Linux {packaged.group(1) if packaged is not None else self.release}"

    def load_order(self, wanted: Sequence[str] = NEEDED) -> list[tuple[str, bytes]]:
        """File name and content of ``wanted`` and whatever they need, each after those it needs.

        Left out is what is built into the kernel. Raises Missing for what is nowhere.
        """
        files = self._files()
        builtin = self._builtin()
        order: dict[str, bytes] = {}

        def add(name: str, path: tuple[str, ...]) -> None:
            if name in order or name in builtin or name in path:
                return
            if name not in files:
                where = self.modules if self.modules is not None else "/lib/modules"
                raise missing("linux", [f"the module {name} of {self.release} in {where}"], _HOW)
            data = _unpacked(files[name])
            for needed in _depends(name, data):
                add(needed, (*path, name))
            order[name] = data

        for name in wanted:
            add(_plain(name), ())
        return [(f"{name}.ko", data) for name, data in order.items()]

    def _files(self) -> dict[str, Path]:
        if self.modules is None:
            return {}
        return {
            _plain(path.name.partition(".ko")[0]): path
            for path in sorted(self.modules.rglob("*.ko*"))
            if path.is_file() and path.suffix in (".ko", ".gz", ".xz", ".zst")
        }

    def _builtin(self) -> frozenset[str]:
        listed = self.modules / "modules.builtin" if self.modules is not None else None
        if listed is None or not listed.is_file():
            return frozenset()
        lines = listed.read_text("utf-8", "replace").split()
        return frozenset(_plain(Path(line).name.partition(".ko")[0]) for line in lines)


def _modules_of(release: str, roots: Sequence[Path]) -> Path | None:
    places = [root / part / release for root in roots for part in ("lib/modules", "usr/lib/modules", ".")]
    return next((place for place in places if place.is_dir()), None)


def _given(image: Path, modules: Path | None) -> Kernel:
    if not image.is_file():
        raise Missing(f"{image}: there is no such kernel image")
    release = Kernel(image, None).release
    if modules is not None:
        if not modules.is_dir():
            raise Missing(f"{modules}: there is no such directory of modules")
        return Kernel(image, _modules_of(release, [modules]) or modules)
    return Kernel(image, _modules_of(release, [image.resolve().parent.parent, Path("/")]))


def find_kernel(image: Path | None = None, modules: Path | None = None) -> Kernel:
    """The kernel to boot: the one given, else the newest in $RINGPROOF_KERNEL, else the newest installed one.

    Only images with modules beside them count, if they are searched for. Raises Missing.
    """
    if image is not None:
        return _given(image, modules)
    named = os.environ.get(VARIABLE)
    root = Path(named) if named else Path("/")
    if named and not root.is_dir():
        raise Missing(f"{VARIABLE}={named}: there is no such directory")
    unreadable: list[Path] = []
    images = sorted((root / "boot").glob("vmlinuz-*"), key=lambda path: _natural(path.name), reverse=True)
    for candidate in images:
        if not os.access(candidate, os.R_OK):
            unreadable.append(candidate)
            continue
        try:
            release = Kernel(candidate, None).release
        except Missing:
            continue  # another architecture's, or none at all
        found = modules if modules is not None else _modules_of(release, [root])
        if found is not None:
            return Kernel(candidate, found)
    if unreadable:
        what = f"a kernel image that may be read ({unreadable[0]} may not)"
    else:
        what = f"a kernel image with its modules in {root / 'boot'} and {root / 'lib/modules'}"
    raise missing("linux", [what], _HOW)
