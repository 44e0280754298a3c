"""The instrumented builds of a driver."""

from pathlib import Path

import pytest

from ringproof.building import CompilerMissing, build_driver, find_compiler
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.generator import packed
from ringproof.validation.library import inspect_library
from ringproof.validation.variants import build_coverage, build_variants
from ringproof.validation.worker import Instrumented, Worker

_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal"
_THERE_AND_BACK = packed(
    Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET)
)


def _compilers() -> list[str]:
    found = []
    for name in ("gcc", "clang"):
        try:
            find_compiler(name)
            found.append(name)
        except CompilerMissing:
            continue
    return found


@pytest.mark.parametrize("name", _compilers())
def test_each_compiler_builds_both(name: str) -> None:
    """Both are built, without ThreadSanitizer's runtime and with AddressSanitizer's, and both load."""
    left_out: list[tuple[str, str]] = []
    variants = build_variants(
        _MINIMAL,
        compiler=find_compiler(name),
        left_out=lambda kind, why: left_out.append((kind, why)),
    )
    assert left_out == []
    assert [variant.kind for variant in variants] == ["accesses", "coverage"]
    needed = [inspect_library(variant.library).needed for variant in variants]
    assert not any("tsan" in name for name in needed[0])
    assert any("asan" in name for name in needed[1])
    for variant, told in zip(variants, (Instrumented.ACCESSES, Instrumented.COVERAGE), strict=True):
        assert variant.remark == ""
        with Worker(variant.library) as worker:
            worker.create(QueueConfig(4))
            worker.run(_THERE_AND_BACK)
            assert worker.instrumented & told


def test_what_does_not_build_is_left_out_with_a_reason(tmp_path: Path) -> None:
    """No error: each kind that a compiler refuses is named, with one line."""
    (tmp_path / "driver.c").write_text("this is no C;\n")
    left_out: dict[str, str] = {}
    assert build_variants(tmp_path, left_out=left_out.__setitem__) == ()
    assert set(left_out) == {"accesses", "coverage"}
    assert all(why.startswith("driver.c:1: ") and "\n" not in why for why in left_out.values())


def test_without_a_runtime_it_is_built_without_sanitizers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that lacks AddressSanitizer's runtime still gives coverage, and the variant says so."""
    refuser = tmp_path / "cc"
    refuser.write_text(
        '#!/bin/sh\nfor one in "$@"; do case "$one" in -fsanitize=address*) '
        'echo "ld: error: cannot find -lasan" >&2; exit 1;; esac; done\nexec gcc "$@"\n'
    )
    refuser.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    variant = build_coverage(_MINIMAL, compiler=find_compiler(str(refuser)))
    assert variant.remark == "without sanitizers: ld: error: cannot find -lasan"
    assert inspect_library(variant.library).sanitizer is None


def test_an_instrumented_driver_does_what_the_plain_one_does() -> None:
    """The same operations give the same results with and without the calls."""
    libraries = [build_driver(_MINIMAL), *(variant.library for variant in build_variants(_MINIMAL))]
    results = []
    for library in libraries:
        with Worker(library) as worker:
            worker.create(QueueConfig(4))
            results.append(worker.run(_THERE_AND_BACK * 50))
    assert results[0] == results[1] == results[2]


def test_a_driver_may_have_functions_of_the_worker(tmp_path: Path) -> None:
    """The worker exports the callbacks only: a driver's own function of a name the worker has is called."""
    text = (_MINIMAL / "driver.c").read_text()
    text = text.replace(
        "static int create(", "int rp_process_answer(int a) { return a; }\nstatic int create("
    )
    text = text.replace(
        "    if (n == 0 ||", "    if (rp_process_answer(7) != 7)\n        return 99;\n    if (n == 0 ||"
    )
    assert text.count("rp_process_answer") == 2
    (tmp_path / "driver.c").write_text(text)
    with Worker(build_driver(tmp_path)) as worker:
        assert worker.create(QueueConfig(4))
