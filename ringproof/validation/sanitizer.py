"""Reports of sanitizers: what a driver's process printed before it ended, in one line."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

_REPORT = re.compile(r"(?:ERROR|WARNING): (?P<tool>\w*Sanitizer|libFuzzer): (?P<what>.+)")
_RUNTIME_ERROR = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? runtime error: (?P<what>.+)")
_ACCESS = re.compile(r"^(?:The signal is caused by a )?(?P<kind>READ|WRITE) (?:of size (?P<size>\d+)|memory)")
_FRAME = re.compile(r"^#\d+ 0x[0-9a-f]+ (?:in (?P<function>\S+) ?)?(?P<place>.*)$")
_PLACE = re.compile(r"^(?P<path>.+?):(?P<line>\d+)(?::\d+)?$")
_PROCESS = re.compile(r"^==\d+==\s*")
# Numbers that differ from run to run, and all that follows them.
_ADDRESS = re.compile(
    r" on (?:unknown )?address 0x.*| on 0x.*|: 0x.*| \(pid=.*| \(pc 0x.*| \(0x.*| \(thread .*"
)
_RUNTIME = ("libsanitizer", "compiler-rt", "sanitizer_common", "sysdeps/", "csu/", "libasan", "libclang_rt")
_LONGEST = 160  # characters of what it was


def in_one_line(output: str) -> str:
    """Return the first report in a process's output as one line; "" when there is none.

    As in "AddressSanitizer: heap-buffer-overflow, write of 8 bytes in create (driver.c:55)": the tool, what
    it was, and the innermost function that is not the sanitizer's own.
    """
    lines = [_PROCESS.sub("", line.strip()) for line in output.splitlines()]
    for at, line in enumerate(lines):
        found = _RUNTIME_ERROR.match(line)
        if found is not None:
            where = f"{PurePosixPath(found['path']).name}:{found['line']}"
            return f"UndefinedBehaviorSanitizer: {found['what'][:_LONGEST]} ({where})"
        found = _REPORT.search(line)
        if found is not None:
            what = _ADDRESS.sub("", found["what"])[:_LONGEST]
            return f"{found['tool']}: {what}{_accessed(lines[at + 1 :])}{_placed(lines[at + 1 :])}"
    return ""


def _accessed(lines: Sequence[str]) -> str:
    for line in _until_blank(lines):
        found = _ACCESS.match(line)
        if found is not None:
            size = found["size"]
            amount = "" if size is None else f" of {size} byte{'' if size == '1' else 's'}"
            return f", {found['kind'].lower()}{amount}"
    return ""


def _placed(lines: Sequence[str]) -> str:
    """Say where: the first frame with a line in a source, else the first that has a name."""
    named = ""
    for line in _until_blank(lines):
        found = _FRAME.match(line)
        if found is None or any(part in found["place"] for part in _RUNTIME):
            continue
        place = _PLACE.match(found["place"])
        function = found["function"] or "a function without a name"
        if place is not None:
            return f" in {function} ({PurePosixPath(place['path']).name}:{place['line']})"
        named = named or (f" in {function}" if found["function"] else "")
    return named


def _until_blank(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if not line:
            return
        yield line
