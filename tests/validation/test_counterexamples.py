"""The counterexamples that are kept and replayed on every driver; the search itself has tests of its own."""

import subprocess
import sys

from ringproof.validation.counterexamples import counterexamples


def test_they_are_many_and_need_no_solver() -> None:
    """One for nearly every seeded defect; reading them does not load z3."""
    assert len({one.mutant for one in counterexamples()}) == len(counterexamples()) >= 20
    program = (
        "import sys; from ringproof.validation.counterexamples import counterexamples; counterexamples(); "
        "sys.exit('z3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
