"""The guest of the recipe for Linux: its kernel, its modules, and the file system it starts from."""

import gzip
import lzma
import os
import shutil
import stat
import struct
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from ringproof.live.recipes import cpio, linux, qemu
from ringproof.live.recipes.kernel import VARIABLE, Kernel, banner, find_kernel
from ringproof.live.recipes.missing import Missing

BANNER = "6.1.0-9-amd64 (x@y) #1 SMP Debian 6.1.27-1 (2023-05-08)"
SCRIPT = files("ringproof.live.recipes").joinpath("guest_init.sh").read_text("utf-8")


def image(text: str = BANNER) -> bytes:
    """As much of a bzImage as is looked at."""
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = struct.pack("<H", 0x600)
    head[0x800 : 0x800 + len(text)] = text.encode()
    return bytes(head)


def module(*depends: str) -> bytes:
    """An ELF file with a section .modinfo and nothing else."""
    info = b"license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"
    names = b"\0.modinfo\0.shstrtab\0"
    at = 64
    sections = [
        (0,) * 10,
        (1, 1, 2, 0, at, len(info), 0, 0, 1, 0),
        (10, 3, 0, 0, at + len(info), len(names), 0, 0, 1, 0),
    ]
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    where = at + len(info) + len(names)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, where, 0, 64, 0, 0, 64, len(sections), 2)
    return head + info + names + b"".join(struct.pack("<IIQQQQIIQQ", *section) for section in sections)


def installed(root: Path, release: str, modules: dict[str, bytes], text: str = BANNER) -> None:
    """A kernel with its modules, as a package of Debian leaves it below ``root``."""
    (root / "boot").mkdir(parents=True, exist_ok=True)
    (root / "boot" / f"vmlinuz-{release}").write_bytes(image(text))
    below = root / "lib" / "modules" / release / "kernel" / "drivers"
    below.mkdir(parents=True)
    for name, data in modules.items():
        (below / name).write_bytes(data)
    (below.parent.parent / "modules.builtin").write_text("kernel/lib/built-in-one.ko\n")


MODULES = {
    "virtio_ring.ko": module("virtio"),
    "virtio.ko": module(),
    "virtio_pci.ko": module("virtio", "virtio_ring"),
    "net-failover.ko.xz": lzma.compress(module("built_in_one")),
    "virtio_net.ko": module("net_failover", "virtio_ring", "virtio"),
    "pktgen.ko.gz": gzip.compress(module()),
    "unwanted.ko": module("nothing"),
}


def read_newc(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Mode, content and device of every entry: a reader of its own, after the format's description."""
    found: dict[str, tuple[int, bytes, tuple[int, int]]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        assert at % 4 == 0
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        assert data[at + 110 + name_size - 1] == 0
        body = (at + 110 + name_size + 3) // 4 * 4
        at = (body + size + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert at == len(data)
            return found
        found[name] = (fields[1], data[body : body + size], (fields[9], fields[10]))


ENTRIES = [
    cpio.directory("bin"),
    cpio.file("bin/program", b"#!\n", program=True),
    cpio.file("empty", b""),
    cpio.file("four", b"1234"),
    cpio.file("five", b"12345"),
    cpio.Entry("link", stat.S_IFLNK | 0o777, b"four"),
]


def test_archive() -> None:
    """What was put into an archive is in it, padded as the format demands, and the same every time."""
    entries = [*ENTRIES, cpio.character_device("console", 5, 1)]
    data = cpio.archive(entries)
    assert data == cpio.archive(entries)
    found = read_newc(data)
    assert list(found) == [entry.path for entry in entries]
    for entry in entries:
        assert found[entry.path] == (entry.mode, entry.data, entry.device)
    assert gzip.decompress(cpio.packed(entries)) == data
    assert cpio.packed(entries) == cpio.packed(entries)


def test_archive_by_cpio(tmp_path: Path) -> None:
    """The program cpio, where it is installed, unpacks an archive to what was put in."""
    program = shutil.which("cpio")
    if program is None:
        pytest.skip("no cpio here: the archive is read by the tests' own reader only")
    subprocess.run(
        [program, "-idm", "--quiet"], input=cpio.archive(ENTRIES), cwd=tmp_path, check=True, timeout=10
    )
    assert (tmp_path / "bin" / "program").read_bytes() == b"#!\n"
    assert os.access(tmp_path / "bin" / "program", os.X_OK)
    assert (tmp_path / "empty").read_bytes() == b""
    assert (tmp_path / "five").read_bytes() == b"12345"
    assert (tmp_path / "link").readlink() == Path("four")


def test_banner(tmp_path: Path) -> None:
    """A kernel's version is read from its image; what is no image, or tells none, is refused in one line."""
    file = tmp_path / "vmlinuz"
    file.write_bytes(image())
    assert banner(file) == BANNER
    assert Kernel(file, None).version == "Linux 6.1.27"
    file.write_bytes(image("6.12.1-mine (me@here) #3"))
    assert Kernel(file, None).version == "Linux 6.12.1-mine"
    for data, words in (
        (b"", "no kernel image for x86"),
        (b"MZ" * 600, "no kernel image for x86"),
        (image(""), "tells no version"),
        (image("\x1b[31m"), "tells no version"),
    ):
        file.write_bytes(data)
        with pytest.raises(Missing, match=words):
            banner(file)
    with pytest.raises(Missing, match="No such file"):
        banner(tmp_path / "nothing")


def test_modules_in_order(tmp_path: Path) -> None:
    """Modules come after those they need, unpacked, without those built in and those nobody needs."""
    installed(tmp_path, "6.1.0-9-amd64", MODULES)
    order = find_kernel(tmp_path / "boot" / "vmlinuz-6.1.0-9-amd64").load_order()
    assert [name for name, _ in order] == [
        *("virtio.ko", "virtio_ring.ko", "virtio_pci.ko", "net_failover.ko", "virtio_net.ko", "pktgen.ko")
    ]
    assert dict(order)["net_failover.ko"] == module("built_in_one")
    assert dict(order)["pktgen.ko"] == module()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("pktgen.ko.gz", None, "lacks the module pktgen of 6.1.0-9-amd64 in "),
        ("pktgen.ko.gz", b"no gzip", "pktgen.ko.gz: cannot be unpacked"),
        ("pktgen.ko.gz", gzip.compress(module())[:-9], "pktgen.ko.gz: cannot be unpacked"),
        ("net-failover.ko.xz", b"no xz", "net-failover.ko.xz: cannot be unpacked"),
        ("virtio.ko", b"no ELF", "the module virtio is no ELF file"),
        ("virtio.ko", module()[:-100], "the module virtio is no ELF file"),
    ],
)
def test_broken_modules(tmp_path: Path, name: str, data: bytes | None, words: str) -> None:
    """A module that is not there, or is damaged, is named in one line."""
    modules = dict(MODULES)
    if data is None:
        del modules[name]
    else:
        modules[name] = data
    installed(tmp_path, "6.1.0-9-amd64", modules)
    with pytest.raises(Missing) as caught:
        find_kernel(tmp_path / "boot" / "vmlinuz-6.1.0-9-amd64").load_order()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_newest_kernel_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several kernels in a directory the newest with modules is taken, by its numbers, not its letters."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for release in ("6.1.0-9-amd64", "6.1.0-10-amd64"):
        installed(tmp_path, release, MODULES, BANNER.replace("6.1.0-9-amd64", release))
    (tmp_path / "boot" / "vmlinuz-6.2.0-arm64").write_bytes(b"another architecture's")
    (tmp_path / "boot" / "vmlinuz-6.3.0").write_bytes(image("6.3.0 without modules"))
    assert find_kernel().release == "6.1.0-10-amd64"


def test_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kernel the recipe says where it looked and how one is got without installing it."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(Missing, match=f"{VARIABLE}=.*there is no such directory"):
        find_kernel()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(Missing, match=r"lacks a kernel image .* apt-get download linux-image-6\.1"):
        find_kernel()
    with pytest.raises(Missing, match="there is no such kernel image"):
        find_kernel(tmp_path / "bzImage")
    (tmp_path / "bzImage").write_bytes(image())
    with pytest.raises(Missing, match="there is no such directory of modules"):
        find_kernel(tmp_path / "bzImage", tmp_path / "modules")
    with pytest.raises(Missing, match=r"lacks the module virtio_pci of 6\.1\.0-9-amd64 in /lib/modules"):
        Kernel(tmp_path / "bzImage", None).load_order()


def test_modules_given_apart(tmp_path: Path) -> None:
    """A directory of modules may be the one of the release, or one above it."""
    installed(tmp_path / "a", "6.1.0-9-amd64", MODULES)
    (tmp_path / "bzImage").write_bytes(image())
    above = tmp_path / "a" / "lib" / "modules"
    for given in (tmp_path / "a", above, above / "6.1.0-9-amd64"):
        assert find_kernel(tmp_path / "bzImage", given).modules == above / "6.1.0-9-amd64"


def test_guest_files() -> None:
    """The guest's file system has the first program, busybox under the name sh, and the order of modules."""
    entries = {
        entry.path: entry for entry in linux.initial_files(b"busybox", [("a.ko", b"A"), ("b.ko", b"B")])
    }
    assert entries["init"].data.startswith(b"#!/bin/sh\n")
    assert entries["init"].mode & 0o111
    assert entries["bin/busybox"].data == b"busybox"
    assert entries["bin/sh"].data == b"busybox"
    assert entries["modules"].data == b"a.ko\nb.ko\n"
    assert entries["lib/modules/b.ko"].data == b"B"
    assert entries["dev/console"].device == (5, 1)


def test_first_program_parses() -> None:
    """A shell takes the guest's first program, and it knows every word the plans have."""
    subprocess.run(["/bin/sh", "-n"], input=SCRIPT.encode(), check=True, timeout=10)
    plans = (*linux._PLANS, *linux._QUICK_PLANS, *linux._HOSTILE_PLANS)
    for plan in plans:
        assert " " not in plan.plan
        for word in plan.plan.split(","):
            assert f"            {word.partition(':')[0]}) " in SCRIPT, f"{plan.name}: {word}"


def test_only_static_busybox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busybox that needs a dynamic loader, or is none at all, is not taken."""
    assert not linux.is_static(Path("/nowhere"))
    script = tmp_path / "busybox"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert not linux.is_static(script)
    qemu_here = tmp_path / qemu.PROGRAM
    qemu_here.write_text("#!/bin/sh\necho 'QEMU emulator version 9.0.0'\n")
    qemu_here.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    installed(tmp_path / "root", "6.1.0-9-amd64", MODULES)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "root"))
    with pytest.raises(Missing, match=r"busybox, linked statically for x86-64; .*busybox-static"):
        linux.Linux().check()


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU gets the kernel, the plan and a time after which the guest ends by itself."""
    qemu_here = tmp_path / qemu.PROGRAM
    qemu_here.write_text("#!/bin/sh\n")
    qemu_here.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    installed(tmp_path / "root", "6.1.0-9-amd64", MODULES)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "root"))
    plan = linux.Plan("x", "x", "ping:1,loop", card=qemu.Card(pairs=2), seconds=10)
    words = linux.Linux().command(Path("/s"), tmp_path, plan)
    assert words[words.index("-kernel") + 1] == str(tmp_path / "root" / "boot" / "vmlinuz-6.1.0-9-amd64")
    assert words[words.index("-initrd") + 1] == str(tmp_path / "initramfs.gz")
    assert words[words.index("-append") + 1].endswith("ringproof=ping:1,loop ringproof_seconds=100")
    assert words[words.index("-smp") + 1] == "2"
    assert "accel=tcg" in words[words.index("-machine") + 1]
    assert "-no-reboot" in words
    assert linux.Linux().version() == "Linux 6.1.27"
