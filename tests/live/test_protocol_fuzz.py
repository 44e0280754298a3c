"""The coverage-guided fuzzer finds nothing in sessions: no crash, no stray access, no leak."""

from pathlib import Path

import pytest

from . import fuzzing

MESSAGES = 60_000
"""In one run of the tests; `make bench` runs a million and more."""


@pytest.mark.slow
def test_fuzzed(tmp_path: Path) -> None:
    """A hostile front-end of arbitrary bytes neither crashes the device nor makes it leak or hang."""
    compiler = fuzzing.fuzzer_compiler()
    if compiler is None:
        pytest.skip("not tested: there is no clang with libFuzzer (Debian: clang-14 and libclang-rt-14-dev)")
    report = fuzzing.run_fuzzer(tmp_path, MESSAGES, compiler=compiler, limit=240)
    assert not report.crash, report.crash
    assert report.messages >= MESSAGES
    assert report.started > 500
    assert report.chains > 1_000
