"""Coverage: places in the code of an instrumented driver, and the lines they stand for."""

from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources, find_compiler
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.coverage import Coverage, FileCoverage, instrumented_places, report
from ringproof.validation.generator import packed
from ringproof.validation.library import LibraryError
from ringproof.validation.variants import build_coverage
from ringproof.validation.worker import Crash, Instrumented, Worker

from .test_variants import _compilers

_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal"
_TINY = Path(__file__).parents[1] / "worker" / "drivers" / "tiny"
_ADD = packed(Op(Code.ADD, a=1), Op(Code.KICK))
_REST = packed(Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET))
_PLACES = {"gcc": "trace-pc", "clang": "edge,trace-pc-guard"}
_WAYS = ((), ("-fno-plt",), ("-gdwarf-4",), ("-Wl,--emit-relocs",), ("-fcf-protection=full",))


def _lines(coverage: Coverage, name: str) -> FileCoverage:
    (found,) = (file for file in coverage.files if Path(file.path).name == name)
    return found


def _line(text: str, file: Path) -> int:
    (found,) = (at for at, line in enumerate(file.read_text().splitlines(), 1) if text in line)
    return found


@pytest.mark.parametrize("name", _compilers())
def test_places_add_up_and_are_lines(name: str) -> None:
    """What is reached is among the places there are, and a function's lines count once it was called."""
    library = build_coverage(_MINIMAL, compiler=find_compiler(name)).library
    with Worker(library) as worker:
        worker.create(QueueConfig(4))
        assert worker.instrumented is Instrumented.COVERAGE
        created = worker.coverage()
        before = report(library, created)
        worker.run(_ADD + _REST)
        worker.destroy()
        reached = worker.coverage()
    after = report(library, reached)
    assert reached[: len(created)] == created
    assert len(set(reached)) == len(reached) > len(created)
    assert set(reached) < instrumented_places(library)
    assert after.whole
    assert [Path(file.path).name for file in after.files] == ["driver.c"]
    assert before.lines == after.lines
    assert 0 < before.percentage < after.percentage < 100
    adding, file = _line("static int add(", _MINIMAL / "driver.c"), _lines(after, "driver.c")
    assert any(adding <= line < adding + 20 for line in file.covered)
    assert not any(adding <= line < adding + 20 for line in _lines(before, "driver.c").covered)
    assert set(file.covered) | set(file.uncovered) == set(file.lines)


@pytest.mark.parametrize("name", _compilers())
@pytest.mark.parametrize("way", _WAYS, ids=lambda way: way[0] if way else "plain")
def test_places_are_found_however_the_driver_was_linked(name: str, way: tuple[str, ...]) -> None:
    """Through stubs, tables or kept relocations: every place that is reached is one that was found."""
    flag = f"-fsanitize-coverage={_PLACES[name]}"
    library = build_driver(_MINIMAL, extra_flags=(flag, *way), compiler=find_compiler(name))
    with Worker(library) as worker:
        worker.create(QueueConfig(4))
        worker.run(_ADD + _REST)
        reached = worker.coverage()
    places = instrumented_places(library)
    assert len(reached) > 5
    assert set(reached) < places
    assert len(places) < 200
    assert report(library, reached).covered > 5


def test_both_ways_of_finding_places_agree() -> None:
    """The bytes of calls give what the kept relocations say."""
    flags = ("-fsanitize-coverage=trace-pc", "-O1")
    compiler = find_compiler("gcc")
    kept = build_driver(c_sources(), extra_flags=(*flags, "-Wl,--emit-relocs"), compiler=compiler)
    plain = build_driver(c_sources(), extra_flags=flags, compiler=compiler)
    assert len(instrumented_places(kept)) == len(instrumented_places(plain)) > 100


def test_coverage_survives_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was reached before a crash is still known when another process has taken over."""
    monkeypatch.setenv("RINGPROOF_TINY_FAULT", "crash")
    library = build_coverage(_TINY, compiler=find_compiler("gcc")).library
    with Worker(library) as worker:
        assert worker.create(QueueConfig(4, layout="modern"))
        with pytest.raises(Crash):
            worker.run(_ADD * 3)
        reached = worker.coverage()
        assert worker.create(QueueConfig(4, layout="modern"))
        assert set(worker.coverage()) == set(reached)
        worker.run(_ADD + _REST)
        assert set(worker.coverage()) > set(reached)


def test_a_plain_driver_has_none() -> None:
    """Without the compiler's calls nothing is told, and the report is empty rather than wrong."""
    library = build_driver(_MINIMAL)
    with Worker(library) as worker:
        worker.create(QueueConfig(4))
        assert worker.coverage() == ()
        assert worker.instrumented is Instrumented(0)
    assert report(library, ()) == Coverage((), whole=False)


def test_what_is_no_library_is_one_line(tmp_path: Path) -> None:
    """Neither a missing file nor one of another kind is a traceback."""
    (tmp_path / "text").write_text("no library")
    for name in ("missing", "text"):
        with pytest.raises(LibraryError) as caught:
            report(tmp_path / name, ())
        assert "\n" not in str(caught.value)


def test_uncovered_lines_in_words() -> None:
    """Neighbours among the lines that count are a range, as long as none between them was reached."""
    file = FileCoverage("driver.c", (3, 5, 9, 12, 20, 21, 30), (3, 12))
    assert file.uncovered == (5, 9, 20, 21, 30)
    assert file.uncovered_in_words == "5-9, 20-30"
    assert FileCoverage("driver.c", (3,), (3,)).uncovered_in_words == ""
