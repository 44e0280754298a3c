"""The coverage-guided fuzzer of sessions: built, fed with seeds made here, run for so many messages.

The target is ``fuzz/fuzz_session.c``; its input is read as operations, one byte each and what they take.
"""

import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from ringproof.building import Compiler, build_program, find_compiler

HERE = Path(__file__).parent
(SET_UP, MESSAGE, RAW, HEADER, DESCRIPTOR, PUBLISH, KICK, POKE, RUN, BEHAVE, INJECT, DELIVER, SHRINK, FLOOD,
 CLOSE, CUT) = range(16)  # fmt: skip
LONGEST = 512
_SAID = re.compile(r"session fuzz: (\d+) inputs, (\d+) messages, (\d+) queues started, (\d+) chains")
_USUAL = b"\xff" * 8
"""What leaves the numbers of a message as they should be."""
_OPTIONS = "quarantine_size_mb=64:clear_shadow_mmap_threshold=1000000000:malloc_context_size=8"


@dataclass(frozen=True, slots=True)
class FuzzReport:
    """What a run of the fuzzer did; ``crash`` is what it printed if it found something, else empty."""

    inputs: int
    messages: int
    started: int
    chains: int
    seconds: float
    crash: str = ""


def fuzzer_compiler() -> Compiler | None:
    """A clang that has libFuzzer and the sanitizers; None if there is none."""
    if shutil.which("clang") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="ringproof-") as place:
        source = Path(place) / "probe.c"
        source.write_text(
            "int LLVMFuzzerTestOneInput(const char *b, unsigned long n);\n"
            "int LLVMFuzzerTestOneInput(const char *b, unsigned long n) { (void)b; (void)n; return 0; }\n"
        )
        flags = "-fsanitize=fuzzer,address,undefined"
        done = subprocess.run(
            ["clang", flags, str(source), "-o", f"{place}/probe"], capture_output=True, check=False
        )
    return find_compiler("clang") if done.returncode == 0 else None


@cache
def build_fuzzer(compiler: Compiler) -> Path:
    """The target with all of the device's sources."""
    live = Path(str(files("ringproof.impl.live")))
    return build_program(
        [HERE / "fuzz" / "fuzz_session.c", *sorted(live.glob("*.c"))],
        include=(live, HERE / "fuzz"),
        sanitize=("fuzzer", "address", "undefined"),
        extra_flags=("-O1", "-Wall", "-Wextra", "-Werror"),
        compiler=compiler,
    )


def run_fuzzer(
    place: Path, messages: int, *, compiler: Compiler, seed: int = 1, limit: float = 600.0
) -> FuzzReport:
    """Run until sessions have taken ``messages`` messages, or ``limit`` seconds are over, or it crashes.

    ``place`` takes the corpus, which may be there already, and inputs that crash.
    """
    program = build_fuzzer(compiler)
    corpus = place / "corpus"
    if not corpus.is_dir():
        corpus.mkdir(parents=True)
        for number, content in enumerate(seeds()):
            (corpus / f"seed-{number:03}").write_bytes(content)
    began = time.monotonic()
    total = FuzzReport(0, 0, 0, 0, 0.0)
    runs = 300
    while total.messages < messages and time.monotonic() - began < limit:
        command = [
            str(program), "-print_final_stats=0", f"-max_len={LONGEST}", f"-runs={runs}", f"-seed={seed}",
            f"-artifact_prefix={place}/", "-timeout=60", "-rss_limit_mb=2048", "-detect_leaks=1", str(corpus),
        ]  # fmt: skip
        environment = {**os.environ, "ASAN_OPTIONS": _OPTIONS, "UBSAN_OPTIONS": "print_stacktrace=1"}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            check=False,
            timeout=limit,
        )
        said = _SAID.search(done.stderr)
        if said is not None:
            total = FuzzReport(
                total.inputs + int(said[1]), total.messages + int(said[2]), total.started + int(said[3]),
                total.chains + int(said[4]), time.monotonic() - began,
            )  # fmt: skip
        if done.returncode != 0 or said is None:
            return replace(total, crash=_shown(done.stderr) or "it ended without a word")
        each = max(total.messages / total.inputs, 1.0)
        runs = min(int((messages - total.messages) / each * 1.05) + 10, 4000)
        seed += 1
    return total


def _shown(text: str) -> str:
    lines = [line for line in text.splitlines() if not re.match(r"#\d+\s|\s*NEW_FUNC|INFO:", line)]
    return "\n".join(lines[:60])


def seeds() -> Iterator[bytes]:
    """Inputs that begin where it gets interesting."""
    for request in range(46):
        for flags in (0, 8, 9, 10, 11):
            one = bytes((MESSAGE, request, flags, 1, 0, 6, 1)) + _USUAL
            yield bytes((0,)) + one + bytes((RUN,)) + one
    everything = bytes((0,)) + b"".join(
        bytes((MESSAGE, request, 8, 1, 0, 6, 1)) + _USUAL for request in range(1, 41)
    )
    yield everything[:LONGEST]
    randomness = random.Random(1)
    for how in range(64):
        yield bytes((how & 7,)) + bytes((SET_UP, how)) + _traffic(randomness, how)
    for suppress in range(6):
        behave = bytes((BEHAVE, suppress % 3, 3, 0, 2, 1, suppress, suppress % 3, 1, suppress & 1, 7))
        yield bytes((0, SET_UP, 0x2A | suppress >> 1 & 1)) + behave + _traffic(randomness, suppress)
    for kind in range(15):
        traffic = _traffic(randomness, kind)
        yield bytes((0, SET_UP, 0x2A)) + traffic + bytes((INJECT, kind)) + traffic
    for last in (bytes((SHRINK, 0)), bytes((CLOSE,)), bytes((FLOOD, 255)), bytes((CUT,))):
        yield bytes((0, SET_UP, 0x2A)) + _traffic(randomness, 0) + last + _traffic(randomness, 1)
    table = bytes((MESSAGE, 5, 8, 0, 0, 0, 0)) + b"\xff" * 8
    for request in (4, 5, 9, 11, 34, 37, 38):
        again = bytes((MESSAGE, request, 8, 1, 0, 0, 1)) + _USUAL
        yield bytes((0, SET_UP, 0x2A)) + _traffic(randomness, 0) + again + table + _traffic(randomness, 2)


def _traffic(randomness: random.Random, how: int) -> bytes:
    """Chains of every shape on a transmit queue, and on the one it receives from."""
    sent = b""
    queue = 1 + 2 * (how & 1)
    for index in range(8):
        flags = (0, 1, 4, 1, 2, 0, 5, 3)[(index + how) % 8]
        place = randomness.choice((0x4000, 0x5000, 0x8000, 0xFFF0))
        count = randomness.choice((12, 16, 64, 80, 1514, 0, 0xFFFF))
        sent += struct.pack("<BBBBBHH", DESCRIPTOR, queue, index, flags, (index + 1) & 7, place, count)
    sent += struct.pack("<BBBBBHH", DESCRIPTOR, queue - 1, 0, 2, 0, 0x6000, 2048)
    for index in range(4):  # an indirect table, where a descriptor may say that one is
        sent += struct.pack("<BHH", POKE, 0x8000 + 16 * index, 0x10) + struct.pack(
            "<BHH", POKE, 0x8008 + 16 * index, 60
        )
    for _ in range(3):
        sent += bytes((PUBLISH, queue, randomness.choice((1, 4, 8)), randomness.choice((0, 2, 5)), KICK, RUN))
    return sent + bytes((PUBLISH, queue - 1, 1, 0, KICK, RUN, DELIVER, queue // 2, 60, 0, RUN, RUN))
