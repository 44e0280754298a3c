"""The guided search: it reaches more of a driver than it began with, finds faults, and repeats itself."""

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ringproof.impl.harness.operations import Code
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.configurations import search_configs
from ringproof.validation.guided import Exploration, explore
from ringproof.validation.pairing import Pair
from ringproof.validation.process import Process
from ringproof.validation.variants import build_coverage

_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal"
_CONFIGS = [QueueConfig(4), QueueConfig(2)]

_SCRIBBLE = """#include <stdlib.h>
static int scribble(void)
{
    static int refusals;
    volatile char *memory = malloc(4);

    memory[refusals++ < 3 ? 0 : 4] = 1;
    free((void *)memory);
    return RP_ENOSPC;
}
"""


@pytest.fixture(scope="module")
def minimal() -> Path:
    """The smallest driver, instrumented."""
    return build_coverage(_MINIMAL).library


def test_what_reaches_something_new_is_kept(minimal: Path) -> None:
    """The corpus grows, is smaller than what was tried, and the driver's operations are reached."""
    with Process(minimal, patience=10) as process:
        pair = Pair.of(process)
        assert pair.attempt(_CONFIGS[0], []) is None
        reached = len(process.coverage())
        search = Exploration(pair, _CONFIGS, seed=3, seconds=60, patience=5, examples=150)
        assert search.go() is None
        assert search.tried == 150
        assert 2 < len(search.corpus) < 150
        assert len(process.coverage()) > reached


def test_the_same_seed_asks_the_same(minimal: Path) -> None:
    """Two searches with one seed keep the same arrays; another seed keeps others."""
    kept = []
    for seed in (5, 5, 6):
        with Process(minimal, patience=10) as process:
            search = Exploration(Pair.of(process), _CONFIGS, seed=seed, seconds=60, patience=5, examples=60)
            assert search.go() is None
            kept.append(search.corpus)
    assert kept[0] == kept[1] != kept[2]


def test_a_fault_behind_a_rare_block_is_found(tmp_path: Path) -> None:
    """A write beyond a private block, made only when it refuses for the fourth time, is found and named."""
    text = (_MINIMAL / "driver.c").read_text()
    begin = text.index("static int add(")
    refused = text.index("return RP_ENOSPC;", begin)
    text = text[:refused] + "return scribble();" + text[refused + len("return RP_ENOSPC;") :]
    text = text.replace("static int add(", _SCRIBBLE + "static int add(")
    (tmp_path / "driver.c").write_text(text)
    with Process(build_coverage(tmp_path).library, patience=10) as process:
        failure = explore(Pair.of(process), _CONFIGS, seed=0, seconds=30, patience=5)
    assert failure is not None
    assert failure.check == "no-sanitizer-report"
    assert "heap-buffer-overflow, write of 1 byte in scribble (driver.c:" in failure.detail
    assert failure.operations


def test_a_driver_without_calls_is_explored_by_its_answers(
    stand_in: Callable[[ModuleType | None], object],
) -> None:
    """Neither coverage nor a process that could tell it is needed."""
    pair = Pair(stand_in(None), "virtio-1.x", exact=True)  # type: ignore[arg-type]
    search = Exploration(pair, search_configs(pair.process.features, "virtio-1.x"), seed=1, seconds=60,
                         patience=5, examples=200)  # fmt: skip
    assert search.go() is None
    assert search.tried == 200
    assert len(search.corpus) > 20


def test_it_ends_in_time_and_gives_the_patience_back(minimal: Path) -> None:
    """A search ends shortly after its seconds, and the process waits as long as before."""
    with Process(minimal, patience=7.5) as process:
        began = time.monotonic()
        assert explore(Pair.of(process), _CONFIGS, seed=0, seconds=0.5, patience=2) is None
        assert time.monotonic() - began < 10
        assert process.patience == 7.5
        assert explore(Pair.of(process), [], seed=0, seconds=5, patience=2) is None


def test_arrays_are_lawful(stand_in: Callable[[ModuleType | None], object]) -> None:
    """Only what is offered is asked; many rounds come first; after DETACH_UNUSED nothing else follows."""
    pair = Pair(stand_in(None), "virtio-1.x", exact=True)  # type: ignore[arg-type]
    pair.offered = frozenset(Code) - {Code.POLL, Code.MISCHIEF}
    asked: list[tuple[Code, ...]] = []
    before = pair.run

    class Watched:
        """The pair, with what is asked of it written down."""

        def __getattr__(self, name: str) -> object:
            return getattr(pair, name)

        def run(self, operations: bytes) -> object:
            """Write down, and run."""
            asked.append(tuple(operations[::16]))  # type: ignore[arg-type]
            for operation in (operations[at : at + 16] for at in range(0, len(operations), 16)):
                if operation[0] == Code.ROUNDS and operation != operations[:16]:
                    assert int.from_bytes(operation[4:8], "little") <= 9
            return before(operations)

    search = Exploration(Watched(), _CONFIGS, seed=2, seconds=60, patience=5, examples=60)  # type: ignore[arg-type]
    assert search.go() is None
    used = {Code(code) for codes in asked for code in codes}
    assert Code.POLL not in used
    assert {Code.ADD, Code.GET, Code.ROUNDS, Code.DETACH_UNUSED, Code.INTERRUPT} <= used
    for codes in asked:
        if Code.DETACH_UNUSED in codes:
            assert set(codes[codes.index(Code.DETACH_UNUSED) :]) == {Code.DETACH_UNUSED}
