"""A trace as one pytest file: its operations in words and numbers, and a test that runs them on a driver."""

import re
from dataclasses import fields

from ..errors import BadInputError
from ..impl.harness.frames import Frame, Gso, Packet
from ..impl.harness.net_operations import FEATURE_NAMES as NET_FEATURE_NAMES
from ..impl.harness.net_operations import NetCode, NetConfig, Op
from ..impl.harness.operations import Code, OpFlag
from ..journey.document import NetTrace
from ..traces.document import FEATURE_NAMES, TraceDocument
from ..validation.narration import in_words
from ..validation.net_narration import net_op_in_words
from ..views.opening import Document
from .telling import by_meaning, number_of_step, story
from .text import name_of_test, python_comment

_FLAGS = sum(OpFlag)
_LARGE = 0xFFFF  # numbers above are told in hexadecimal
_BYTES_A_LINE = 40


def emit_pytest(document: Document, name: str) -> str:
    """A pytest file that runs the document's operations on the driver RINGPROOF_DRIVER names.

    ``name`` is the test's: letters, digits and underscores of it make the function's. Raises BadInputError,
    one line, for a run that no implementation can carry.
    """
    match document:
        case TraceDocument():
            return _queue_file(document, name)
        case NetTrace():
            return _network_file(document, name)
        case _:
            raise BadInputError(
                "a run of the step-wise model is of single statements, which no implementation carries: "
                "no test can be made of it"
            )


def _head(document: TraceDocument | NetTrace, name: str, imports: list[str]) -> list[str]:
    told = [
        *story(document),
        f"Run it with: RINGPROOF_DRIVER=./libdriver.so pytest {name_of_test(name)}.py",
        "The library is your driver behind ringproof_driver.h or ringproof_net_driver.h (see `ringproof "
        "explain abi`). RINGPROOF_DRIVER=reference runs ringproof's own reference instead, which passes"
        + (
            ", and RINGPROOF_DRIVER=mutant the one with this defect, which fails." if document.mutant else "."
        ),
    ]
    return [
        python_comment(told),
        "",
        "from ringproof.emitting.playing import (",
        *(f"    {each}," for each in sorted(imports)),
        ")",
        "",
    ]


def _queue_file(document: TraceDocument, name: str) -> str:
    config = document.config
    imports = ["Code", "Op", "QueueConfig", "play_queue"]
    rows = [
        f"    {_op(op, Code(op.code))},  # step {at}: {in_words(op)}"
        for at, op in enumerate(document.operations, start=1)
    ]
    settings = {
        "queue_size": str(config.queue_size),
        "features": _features(config.features, FEATURE_NAMES),
        "layout": _quoted(config.layout),
        "has_callback": str(config.has_callback),
        "profile": _quoted(config.profile),
        "queue_index": str(config.queue_index),
        **({"fail_allocation": str(config.fail_allocation)} if config.fail_allocation else {}),
        **({"hostile": "True"} if config.hostile else {}),
    }
    imports += ["bits"] if config.features else []
    imports += ["OpFlag"] if any("OpFlag." in row for row in rows) else []
    call = {"check": _check(document), "step": str(number_of_step(document) + 1)}
    call |= _common(document)
    call |= {"alone": "True"} if document.alone() else {}
    return _file(document, name, imports, settings, [], rows, "QueueConfig", "play_queue", call)


def _network_file(document: NetTrace, name: str) -> str:
    imports = ["NetCode", "NetConfig", "Op", "play_network"]
    rows = [
        f"    {_op(op, NetCode(op.code))},  # step {at}: {net_op_in_words(op, document.frames)}"
        for at, op in enumerate(document.operations, start=1)
    ]
    settings = {}
    for each in fields(NetConfig):
        value = getattr(document.config, each.name)
        if each.name in ("features", "known_features"):
            settings[each.name] = _features(value, NET_FEATURE_NAMES)
        elif each.name == "mac":
            settings[each.name] = f'bytes.fromhex("{value.hex()}")'
        elif value != each.default or each.name == "profile":
            settings[each.name] = _quoted(value) if isinstance(value, str) else repr(value)
    frames = [line for frame in document.frames for line in _frame(frame)]
    text = "\n".join(frames)
    imports += [word for word in ("Fragment", "Frame", "Packet") if f"{word}(" in text]
    imports += ["Gso"] if "Gso." in text else []
    imports += ["bits"] if any("bits(" in value for value in settings.values()) else []
    imports += ["OpFlag"] if any("OpFlag." in row for row in rows) else []
    call = {"check": _check(document), **_common(document)}
    others = document.extra.get("other_features", (0, 0))
    if isinstance(others, list | tuple) and len(others) == 2 and all(type(x) is int for x in others):
        call |= {"other_features": f"({others[0]:#x}, {others[1]:#x})"} if any(others) else {}
    return _file(document, name, imports, settings, frames, rows, "NetConfig", "play_network", call)


def _file(
    document: TraceDocument | NetTrace,
    name: str,
    imports: list[str],
    settings: dict[str, str],
    frames: list[str],
    rows: list[str],
    made_by: str,
    played_by: str,
    call: dict[str, str],
) -> str:
    given = ["CONFIG", *(["FRAMES"] if made_by == "NetConfig" else []), "OPERATIONS"]
    said = [*given, *(f"{key}={value}" for key, value in call.items() if value != '""')]
    body = [
        f"CONFIG = {made_by}(",
        *(f"    {key}={value}," for key, value in settings.items()),
        ")",
        *(["FRAMES = (", *(f"    {line}" for line in frames), ")"] if "FRAMES" in given else []),
        "OPERATIONS = (",
        *rows,
        ")",
        "",
        "",
        f"def {name_of_test(name)}() -> None:",
        '    """The driver does as it should at every step."""',
        f"    {played_by}({', '.join(said)})",
    ]
    return "\n".join([*_head(document, name, imports), *body]) + "\n"


def _check(document: TraceDocument | NetTrace) -> str:
    check = document.extra.get("check")
    return _quoted(check) if isinstance(check, str) else '""'


def _quoted(text: str) -> str:
    """A string literal of one line, ASCII only."""
    return f'"{text}"' if re.fullmatch(r"[\w./ -]*", text, re.ASCII) else ascii(text)


def _common(document: TraceDocument | NetTrace) -> dict[str, str]:
    call = {"mutant": _quoted(document.mutant)} if document.mutant is not None else {}
    return {**call, **({"by_meaning": "True"} if by_meaning(document) else {})}


def _features(mask: int, names: dict[str, int]) -> str:
    said = [f'"{name}"' for name, bit in names.items() if mask & bit]
    rest = mask & ~sum(names.values())
    said += [f"{rest:#x}"] if rest else []
    return f"bits({', '.join(said)})" if said else "0"


def _op(op: Op, code: Code | NetCode) -> str:
    said = [f"{type(code).__name__}.{code.name}"]
    if op.flags:
        named = [f"OpFlag.{flag.name}" for flag in OpFlag if op.flags & flag]
        rest = op.flags & ~_FLAGS
        said.append(f"flags={' | '.join([*named, *([f'{rest:#x}'] if rest else [])])}")
    for field in ("in_", "a", "b", "c"):
        value = getattr(op, field)
        if value:
            said.append(f"{field}={value}" if value <= _LARGE else f"{field}=0x{value:_X}")
    return f"Op({', '.join(said)})"


def _frame(frame: Frame) -> list[str]:
    said = []
    for each in fields(Frame):
        value = getattr(frame, each.name)
        if each.name == "packet" or value == each.default:
            continue
        said.append(f"{each.name}={f'Gso.{value.name}' if isinstance(value, Gso) else ascii(value)}")
    packet = _packet(frame.packet)
    return ["Frame(", *(f"    {line}" for line in packet), *(f"    {each}," for each in said), "),"]


def _packet(packet: Packet) -> list[str]:
    lines = ["Packet(", *(f"    {line}" for line in _bytes(packet.head))]
    if packet.fragments or packet.packets:
        inside = []
        for fragment in packet.fragments:
            data = _bytes(fragment.data)
            inside += ["Fragment(", f"    {fragment.offset},", *(f"    {line}" for line in data), "),"]
        lines += ["    (", *(f"        {line}" for line in inside), "    ),"]
    if packet.packets:
        inside = [line for following in packet.packets for line in _packet(following)]
        lines += ["    (", *(f"        {line}" for line in inside), "    ),"]
    return [*lines, "),"]


def _bytes(data: bytes) -> list[str]:
    """Bytes as an argument; those that are all the same are told as such."""
    if len(data) > _BYTES_A_LINE and len(set(data)) == 1:
        return [f"bytes([0x{data[0]:02x}]) * {len(data)},"]
    if len(data) <= _BYTES_A_LINE:
        return [f'bytes.fromhex("{data.hex()}"),']
    parts = re.findall(f".{{1,{2 * _BYTES_A_LINE}}}", data.hex())
    return ["bytes.fromhex(", *(f'    "{part}"' for part in parts), "),"]
