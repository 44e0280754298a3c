"""A driver behind the C ABI, met over a socket by our own front-end: a C compiler is all it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ...building import build_driver, c_sources
from ...validation.library import entries
from ..frontend import Frontend, Value, run_frontend
from .round import Round

_SECONDS = 4.0
# name, words, options of the front-end, withdrawn, pairs
_ROUNDS: tuple[tuple[str, str, dict[str, Value], tuple[str, ...], int], ...] = (
    ("flood", "frames as fast as the ring takes them", {}, (), 1),
    ("paced", "bursts with pauses, so that both sides sleep", {"mode": "paced"}, (), 1),
    ("segments", "frames of several pieces", {"segments": (1, 6), "mode": "paced"}, (), 1),
    ("no-event-idx", "EVENT_IDX not offered", {"mode": "paced"}, ("EVENT_IDX",), 1),
    ("no-indirect", "INDIRECT_DESC not offered", {"segments": (1, 6)}, ("INDIRECT_DESC",), 1),
    ("size-4", "four descriptors", {"queue_size": 4}, (), 1),
    ("two-pairs", "two pairs of queues", {"pairs": 2}, (), 2),
)
_QUICK = ("flood", "paced")


@dataclass
class Own:
    """The recipe ``own``: the driver in ``library``, or this project's C driver."""

    library: Path | None = None
    name: str = field(default="own", init=False)

    @cached_property
    def _built(self) -> Path:
        return self.library if self.library is not None else build_driver(c_sources())

    def check(self) -> None:
        """Raises BuildError if there is no C compiler, LibraryError for a library without a queue driver."""
        entries(self._built)

    def version(self) -> str:
        """The library, by its path."""
        return str(self.library) if self.library is not None else "the C driver of ringproof"

    def rounds(self, quick: bool = False, hostile: bool = False) -> tuple[Round, ...]:
        """Every shape of traffic; ``hostile`` gives the one in which to break rules."""
        wanted = ("paced",) if hostile else _QUICK if quick else tuple(one[0] for one in _ROUNDS)
        return tuple(
            Round(
                name, words, self._starting(options), device_features_withdrawn=frozenset(withdrawn),
                pairs=pairs, seconds=_SECONDS, first_frame=1.0, hostile=hostile,
            )
            for name, words, options, withdrawn, pairs in _ROUNDS
            if name in wanted
        )  # fmt: skip

    def qemu_options(self, socket: Path) -> tuple[str, ...]:
        """Nothing: it is no guest."""
        del socket
        return ()

    def _starting(self, options: dict[str, Value]) -> Callable[[Path, Path], Frontend]:
        def start(socket: Path, workdir: Path) -> Frontend:
            del workdir  # it has one of its own
            return run_frontend(socket, self._built, **{"seconds": 3600.0, "patience": 600_000, **options})

        return start
