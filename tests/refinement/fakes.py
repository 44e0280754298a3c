"""Claims about a C of one line, to try what runs and reports them: no solver is asked."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ringproof.proofs.discharge import ObligationResult
from ringproof.proofs.refinement.refinement import Code, Kind, Part, Refinement
from ringproof.proofs.symbolic.errors import ClangMissing

SOURCE = "virtqueue.c"
GOOD = "int kick;\n"
BROKEN = "int bent;\n"
ASKED = "asked"
PATCH = f"--- a/{SOURCE}\n+++ b/{SOURCE}\n@@ -1 +1 @@\n-{GOOD}+{BROKEN}"
COUNTEREXAMPLE = {
    "function": "rp_vq_kick",
    "queue_size": 2,
    "before": {"avail_idx": 65535, "next": [1, 0]},
    "differs": ["num_added: the model has 0, the code 1"],
    "replay": "ringproof replay kick.json",
}


def source(directory: Path, text: str = GOOD) -> Path:
    """Write the C of one line into a new directory, with a patch that breaks it and one that does nothing."""
    (directory / "mutants").mkdir(parents=True)
    (directory / SOURCE).write_text(text)
    (directory / "mutants" / "X1.patch").write_text(PATCH)
    spared = PATCH.replace(BROKEN, GOOD.replace("kick", "kicks"))
    (directory / "mutants" / "X2.patch").write_text(spared)
    return directory


def asked(directory: Path) -> list[str]:
    """The labels of the parts that were asked of the code in a directory, as often as they were."""
    log = directory / ASKED
    return log.read_text().split() if log.exists() else []


def _reads(code: Code) -> str:
    return (code.c / SOURCE).read_text()


def _never(code: Code) -> str:
    del code
    return "the same"


def _note(label: str, code: Code) -> None:
    with (code.c / ASKED).open("a") as log:
        log.write(f"{label}\n")


def _compares(label: str, sizes: tuple[int, ...] = (1,)) -> Callable[[Code], Sequence[ObligationResult]]:
    def check(code: Code) -> Sequence[ObligationResult]:
        _note(label, code)
        whole = ObligationResult("every path", "proved", 0.25, 7, satisfiable_at=sizes)
        if "bent" not in _reads(code):
            return [whole, ObligationResult("num_added", "proved", 0.5, 5, satisfiable_at=sizes)]
        return [whole, ObligationResult("num_added", "refuted", 0.5, 5, counterexample=COUNTEREXAMPLE)]

    return check


def _lacks(code: Code) -> Sequence[ObligationResult]:
    del code
    raise ClangMissing("no clang 14 was found")


def _stumbles(code: Code) -> Sequence[ObligationResult]:
    del code
    raise KeyError("a field")


def _dies(code: Code) -> Sequence[ObligationResult]:
    del code
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def _says_nothing(code: Code) -> Sequence[ObligationResult]:
    del code
    return []


def _gives_up(code: Code) -> Sequence[ObligationResult]:
    del code
    return [ObligationResult("every path", "unknown", 1.0, 9, "canceled")]


def _goes_on(code: Code) -> Sequence[ObligationResult]:
    _note(str(os.getpid()), code)
    time.sleep(60)
    return []


def _claim(
    name: str, *parts: Part, code: Kind = "c", broken_by: tuple[str, ...] = (), sizes: tuple[int, ...] = ()
) -> Refinement:
    title = f"{name.removeprefix('fake-').capitalize()} does as the model does"
    return Refinement(
        name, title, f"{title}, whatever is asked.", "virtqueue_kick", code, sizes, parts, broken_by
    )


def _one(check: Callable[[Code], Sequence[ObligationResult]]) -> Part:
    return Part("N = 1", _reads, check)


ALL = (
    _claim(
        "fake-kick",
        Part("N = 1", _reads, _compares("1")),
        Part("N = 2", _reads, _compares("2", (2,))),
        broken_by=("X1",),
        sizes=(1, 2),
    ),
    _claim("fake-add", _one(_compares("add")), broken_by=("X1", "X2")),
    _claim(
        "fake-get",
        Part("every N", _reads, _compares("every")),
        *(Part(f"N = {size}", _reads, _compares(f"{size}", (size,))) for size in (1, 2, 4)),
    ),
    _claim("fake-keyless", Part("N = 1", _never, _compares("keyless")), broken_by=("X1",)),
    _claim("fake-lacking", _one(_lacks), broken_by=("X1",)),
    _claim("fake-stumbling", _one(_stumbles)),
    _claim("fake-dying", _one(_dies)),
    _claim("fake-silent", _one(_says_nothing)),
    _claim("fake-hard", _one(_gives_up)),
    _claim("fake-endless", _one(_goes_on)),
    _claim("fake-partless"),
    _claim("fake-binary", _one(_compares("binary")), code="machine code", sizes=(4,)),
    _claim("fake-reference", Part("poll", _reads, _compares("reference")), code="reference"),
)


def refinements() -> dict[str, Refinement]:
    """All of them by name."""
    return {claim.name: claim for claim in ALL}
