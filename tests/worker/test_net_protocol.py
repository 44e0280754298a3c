"""The numbers of net_protocol.h and their mirrors in Python are the same; a C compiler is asked."""

import ctypes
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from ringproof.building import build_program, c_sources
from ringproof.impl.harness import frames, net_operations
from ringproof.impl.harness.net_operations import EventKind, NetCode, Region
from ringproof.impl.harness.operations import OP
from ringproof.validation import net_shared
from ringproof.validation.net_findings import NET_CHECKS, NetFindingCode
from ringproof.validation.net_worker import NetWorker

HARNESS = Path(str(files("ringproof.impl.harness")))
HEADER = (HARNESS / "net" / "net_protocol.h").read_text()
ABI = (c_sources() / "ringproof_net_driver.h").read_text()
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "rp_net_queue": net_shared.Queue,
    "rp_net_registers": net_shared.RegisterBlock,
    "rp_net_statistics": net_shared.StatisticsBlock,
    "rp_net_config": net_shared.ConfigBlock,
    "rp_net_shared": net_shared.NetHeader,
}
# Packed with struct: the members in the order of the format, and the format.
PACKED = {
    "rp_net_result": (
        "status pair avail_idx used_idx avail_flags used_event num_free accesses events head",
        net_shared.RESULT,
    ),
    "rp_net_access": ("value offset write region width reserved", net_shared.ACCESS),
    "rp_net_event": ("kind reserved value", net_shared.EVENT),
    "rp_net_frame_entry": (
        "control packets packet_count fragments fragment_count csum_start csum_offset gso_size "
        "recorded_queue checksum gso ecn queue_recorded cpu",
        net_shared.FRAME,
    ),
    "rp_net_packet_entry": ("head head_length length fragments fragment_count list next", net_shared.PACKET),
    "rp_net_fragment_entry": ("page offset length", net_shared.FRAGMENT),
}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Every enumerator and number macro of both headers, and the layout of the structs, as compiled."""
    names: set[str] = set()
    for text in (HEADER, ABI):
        names |= set(re.findall(r"^\s+(RP_NET_\w+)(?: = [^,\n]+)?,?", text, re.MULTILINE))
        names |= set(re.findall(r"^#define (RP_NET_\w+)\s+\S", text, re.MULTILINE))
    fields = {name: [field for field, *_ in mirror._fields_] for name, mirror in STRUCTS.items()}
    fields |= {name: members.split() for name, (members, _) in PACKED.items()}
    lines = [f'P("{name}", {name})' for name in sorted(names)]
    for struct, members in fields.items():
        lines.append(f'P("sizeof {struct}", sizeof(struct {struct}))')
        lines += [f'P("{struct}.{member}", offsetof(struct {struct}, {member}))' for member in members]
    source = tmp_path_factory.mktemp("protocol") / "numbers.c"
    source.write_text(
        '#include <stdio.h>\n#include <stddef.h>\n#include "net_protocol.h"\n'
        '#define P(name, value) printf("%s=%lld\\n", name, (long long)(value));\n'
        f"int main(void) {{ {' '.join(lines)} return 0; }}\n"
    )
    program = build_program([source], include=[HARNESS / "net", HARNESS, c_sources()])
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in (line.split("=") for line in printed.splitlines())}


def _with_prefix(numbers: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): value for name, value in numbers.items() if name.startswith(prefix)}


def test_codes_agree(numbers: dict[str, int]) -> None:
    """Operations of the driver, events, regions, findings: the same numbers under the same names."""
    ops = _with_prefix(numbers, "RP_NET_OP_")
    assert ops.pop("CAPACITY") == net_shared.OP_CAPACITY
    assert ops == {code.name: code.value for code in NetCode if code < NetCode.NET_READ}
    events = _with_prefix(numbers, "RP_NET_EVENT_")
    assert events.pop("CAPACITY") == net_shared.EVENT_CAPACITY
    assert events == {kind.name: kind.value for kind in EventKind}
    for region in Region:
        assert numbers[f"RP_NET_{region.name}"] == region
    found = _with_prefix(numbers, "RP_NET_FIND_")
    assert found == {code.name: code.value for code in NetFindingCode}
    assert set(NET_CHECKS) == set(NetFindingCode)
    assert len({check.name for check in NET_CHECKS.values()}) == len(NET_CHECKS)
    assert {chr(value) for value in _with_prefix(numbers, "RP_NET_CMD_").values()} <= {
        chr(command) for command in NetWorker.commands
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RP_NET_FRAME_ADDRESS", frames.FRAME_ADDRESS),
        ("RP_NET_FRAME_BYTES", frames.FRAME_BYTES),
        ("RP_NET_CONTROL_BYTES", frames.CONTROL_BYTES),
        ("RP_NET_MOST_FRAGMENTS", net_operations.MAX_SKB_FRAGS),
        ("RP_NET_MOST_PAIRS", net_operations.MOST_PAIRS),
        ("RP_NET_MOST_QUEUES", net_shared.MOST_QUEUES),
        ("RP_NET_NOTIFY_OFF_MULTIPLIER", net_operations.NOTIFY_OFF_MULTIPLIER),
        ("RP_NET_NOTIFY_SPREAD", net_operations.NOTIFY_SPREAD),
        ("RP_NET_NO_QUEUE", net_shared.NO_QUEUE),
        ("RP_NET_NO_HEAD", net_shared.NO_HEAD),
        ("RP_NET_ACCESS_CAPACITY", net_shared.ACCESS_CAPACITY),
        ("RP_NET_FRAME_CAPACITY", net_shared.FRAME_CAPACITY),
        ("RP_NET_PACKET_CAPACITY", net_shared.PACKET_CAPACITY),
        ("RP_NET_FRAGMENT_CAPACITY", net_shared.FRAGMENT_CAPACITY),
        ("RP_NET_SHARED_MAGIC", net_shared.MAGIC),
        ("RP_NET_SHARED_VERSION", net_shared.VERSION),
        ("RP_NET_ENOENT", net_operations.ENOENT),
        ("RP_NET_ENOMEM", net_operations.ENOMEM),
        ("RP_NET_EBUSY", net_operations.EBUSY),
        ("RP_NET_ENODEV", net_operations.ENODEV),
        ("RP_NET_EINVAL", net_operations.EINVAL),
        ("RP_NET_ETIMEDOUT", net_operations.ETIMEDOUT),
        *[(f"RP_NET_GSO_{kind.name}", kind.value) for kind in frames.Gso],
    ],
)
def test_constants_agree(name: str, value: int, numbers: dict[str, int]) -> None:
    """Windows, capacities, error numbers and kinds of segmentation."""
    assert numbers[name] == value


@pytest.mark.parametrize("struct", STRUCTS)
def test_shared_structs_are_laid_out_alike(struct: str, numbers: dict[str, int]) -> None:
    """Each field of the shared header and what is in it lies where C puts it."""
    mirror = STRUCTS[struct]
    assert numbers[f"sizeof {struct}"] == ctypes.sizeof(mirror)
    for name, *_ in mirror._fields_:
        assert numbers[f"{struct}.{name}"] == getattr(mirror, name).offset


@pytest.mark.parametrize("struct", PACKED)
def test_packed_structs_are_laid_out_alike(struct: str, numbers: dict[str, int]) -> None:
    """Each member of what is packed by format lies where the format has it."""
    members, packing = PACKED[struct]
    assert numbers[f"sizeof {struct}"] == packing.size
    codes = packing.format.lstrip("<")
    widths = {"Q": 8, "I": 4, "i": 4, "H": 2, "B": 1}
    at = 0
    for member, code in zip(members.split(), codes, strict=True):
        assert numbers[f"{struct}.{member}"] == at, member
        at += widths[code]
    assert OP.size == 16
