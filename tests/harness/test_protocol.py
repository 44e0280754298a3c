"""The numbers of protocol.h and their mirrors in Python are the same; a C compiler is asked."""

import ctypes
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from ringproof.building import build_program, c_sources
from ringproof.impl.harness import operations
from ringproof.impl.harness.operations import Code, Mischief, OpFlag
from ringproof.validation import shared
from ringproof.validation.verdicts import VERDICTS, FindingCode

HARNESS = Path(str(files("ringproof.impl.harness")))
HEADER = (HARNESS / "protocol.h").read_text()


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Every enumerator and number macro of protocol.h, and the layout of its structs, as compiled."""
    names = set(re.findall(r"^\s+(RP_\w+)(?: = [^,\n]+)?,?", HEADER, re.MULTILINE))
    names |= set(re.findall(r"^#define (RP_\w+)\s+\S", HEADER, re.MULTILINE)) - {"RP_FIND_WARNINGS"}
    names |= {"RP_EINVAL", "RP_ENOSPC", "RP_ENOMEM", "RP_EBROKEN"}
    fields = {
        "rp_op": ["code", "flags", "in", "a", "b", "c"],
        "rp_result": operations.Result._fields,
        "rp_found": [name for name, *_ in shared.Found._fields_],
        "rp_config": [name for name, *_ in shared.Config._fields_],
        "rp_shared": [name for name, *_ in shared.Header._fields_],
    }
    lines = [f'P("{name}", {name})' for name in sorted(names)]
    for struct, members in fields.items():
        lines.append(f'P("sizeof {struct}", sizeof(struct {struct}))')
        lines += [f'P("{struct}.{member}", offsetof(struct {struct}, {member}))' for member in members]
    source = tmp_path_factory.mktemp("protocol") / "numbers.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n"
        '#include "protocol.h"\n#include "ringproof_driver.h"\n'
        '#define P(name, value) printf("%s=%lld\\n", name, (long long)(value));\n'
        f"int main(void) {{ {' '.join(lines)} return 0; }}\n"
    )
    program = build_program([source], include=[HARNESS, c_sources()])
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in (line.split("=") for line in printed.splitlines())}


def _with_prefix(numbers: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): value for name, value in numbers.items() if name.startswith(prefix)}


def test_operation_codes_agree(numbers: dict[str, int]) -> None:
    """Enum rp_op_code is Code, and the flags are OpFlag."""
    assert _with_prefix(numbers, "RP_OP_") == {code.name: code.value for code in Code}
    assert _with_prefix(numbers, "RP_OPF_") == {flag.name: flag.value for flag in OpFlag}


def test_mischief_agrees(numbers: dict[str, int]) -> None:
    """Enum rp_mischief is Mischief."""
    assert _with_prefix(numbers, "RP_MISCHIEF_") == {each.name: each.value for each in Mischief}


def test_finding_codes_agree(numbers: dict[str, int]) -> None:
    """Enum rp_finding is FindingCode; each has a verdict, and the warnings are the same on both sides."""
    codes = _with_prefix(numbers, "RP_FIND_")
    assert codes.pop("COUNT") == shared.FINDING_COUNT
    assert codes == {code.name: code.value for code in FindingCode}
    assert set(VERDICTS) == set(FindingCode)
    listed = re.search(r"#define RP_FIND_WARNINGS[^{]*\{([^}]*)\}", HEADER)
    assert listed is not None
    warnings = re.findall(r"RP_FIND_(\w+)", listed[1])
    assert warnings == [code.name for code, verdict in VERDICTS.items() if verdict.level == "warn"]
    assert len({verdict.name for verdict in VERDICTS.values()}) == len(VERDICTS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RP_ARENA_ADDRESS", operations.ARENA_ADDRESS),
        ("RP_ARENA_BYTES", operations.ARENA_BYTES),
        ("RP_BUFFER_ADDRESS", operations.BUFFER_ADDRESS),
        ("RP_BUFFER_BYTES", operations.BUFFER_BYTES),
        ("RP_RED_ZONE", operations.RED_ZONE),
        ("RP_FRESH_BYTE", operations.FRESH_BYTE),
        ("RP_RED_BYTE", operations.RED_BYTE),
        ("RP_RELEASED_BYTE", operations.RELEASED_BYTE),
        ("RP_STATUS_UNSUPPORTED", operations.STATUS_UNSUPPORTED),
        ("RP_NUM_FREE_UNKNOWN", operations.NUM_FREE_UNKNOWN),
        ("RP_EINVAL", operations.EINVAL),
        ("RP_ENOSPC", operations.ENOSPC),
        ("RP_ENOMEM", operations.ENOMEM),
        ("RP_EBROKEN", operations.EBROKEN),
        ("RP_SHARED_MAGIC", shared.MAGIC),
        ("RP_SHARED_VERSION", shared.VERSION),
        ("RP_CMD_LOAD", ord("L")),
        ("RP_CMD_CREATE", ord("C")),
        ("RP_CMD_RUN", ord("R")),
        ("RP_CMD_DESTROY", ord("D")),
        ("RP_ANSWER_DONE", ord("k")),
        ("RP_ANSWER_FOUND", ord("f")),
        ("RP_ANSWER_ERROR", ord("e")),
    ],
)
def test_constants_agree(name: str, value: int, numbers: dict[str, int]) -> None:
    """Windows, fill bytes, statuses and commands."""
    assert numbers[name] == value


def test_operations_and_results_are_laid_out_alike(numbers: dict[str, int]) -> None:
    """Struct rp_op and rp_result have the sizes and offsets that Python packs."""
    assert numbers["sizeof rp_op"] == operations.OP.size
    assert numbers["sizeof rp_result"] == operations.RESULT.size
    assert [numbers[f"rp_op.{name}"] for name in ("code", "flags", "in", "a", "b", "c")] == [
        0,
        1,
        2,
        4,
        8,
        12,
    ]
    offsets = [numbers[f"rp_result.{name}"] for name in operations.Result._fields]
    assert offsets == [0, 4, 8, 16, 20, 24, 26, 28, 30, 32, 36]


@pytest.mark.parametrize(
    ("struct", "mirror"),
    [("rp_found", shared.Found), ("rp_config", shared.Config), ("rp_shared", shared.Header)],
)
def test_shared_structs_are_laid_out_alike(
    struct: str, mirror: type[ctypes.Structure], numbers: dict[str, int]
) -> None:
    """Each field of the shared header lies where C puts it."""
    assert numbers[f"sizeof {struct}"] == ctypes.sizeof(mirror)
    for name, *_ in mirror._fields_:
        assert numbers[f"{struct}.{name}"] == getattr(mirror, name).offset
