"""What was decided before, on disk: an entry that is not beyond doubt is dropped, its question asked again.

An entry is a small JSON file under the name of its key, a digest of everything that its content depends on
(``fingerprint``). It carries the version of its form, its kind, its key, the solver, and a checksum over all
of that: an entry of another form, kind, key or solver, one that is cut short or was changed, is discarded
with a warning. Only what is a fact about the text behind the key is stored: a proof, or whether hypotheses
can hold together; never a counterexample, nor that the solver gave up.

The checksum finds accidents. Whoever may write to the folder may forge an entry, just as he may change the
program: ``--no-cache`` believes nobody.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 1
"""The form of entries and keys; to be raised when either changes."""

LIMIT = 20_000
"""Entries above which the oldest are removed: ten times what a whole proof needs, mutants included."""

_DAY = 86_400.0


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where entries are kept: ``ringproof/proofs`` in XDG_CACHE_HOME, or else in ``~/.cache``.

    A relative XDG_CACHE_HOME is ignored, as its specification says. Raises RuntimeError if there is no home.
    """
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "ringproof" / "proofs"


def chosen(wanted: bool | None, environment: Mapping[str, str] = os.environ) -> "Cache | None":
    """Return the cache that a user asked for: none if not wanted; in CI one only to be read unless it is."""
    if wanted is False:
        return None
    in_ci = environment.get("CI", "").lower() not in ("", "0", "false", "no")
    try:
        return Cache(folder(environment), writes=bool(wanted) or not in_ci)
    except RuntimeError:
        return None


@dataclass
class Cache:
    """The entries in one folder, which need not exist; ``warnings`` is what a user should hear of them.

    With ``writes`` false nothing in the folder is changed.
    """

    folder: Path
    writes: bool
    solver: str = ""
    warnings: list[str] = field(default_factory=list)

    def read(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return the content stored under a key, or none if there is no entry beyond doubt."""
        place = self._place(key)
        try:
            data = place.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"{place}: {error.strerror or error}")
            return None
        try:
            entry = json.loads(data)
            doubt = self._doubt(entry, kind, key)
        except (ValueError, TypeError, KeyError, RecursionError):
            doubt = "is damaged"
        if not doubt:
            content: dict[str, Any] = entry["content"]
            return content
        self.discard(key, doubt)
        return None

    def figures(self, kind: str, key: str) -> tuple[float, int] | None:
        """Return the seconds and the resources stored under a key, or none."""
        content = self.read(kind, key)
        if content is None:
            return None
        seconds, rlimit = content.get("seconds"), content.get("rlimit")
        if isinstance(seconds, float) and isinstance(rlimit, int) and seconds >= 0 and rlimit >= 0:
            return seconds, rlimit
        self.discard(key, "is damaged")
        return None

    def discard(self, key: str, doubt: str) -> None:
        """Drop an entry, and say why."""
        place = self._place(key)
        self._warn(f"cache entry {place} {doubt}: it is not believed, and what it says is decided anew")
        if self.writes:
            with contextlib.suppress(OSError):
                place.unlink()

    def write(self, kind: str, key: str, content: dict[str, Any]) -> None:
        """Store a content under a key, whole or not at all; where that can't be done, a warning says so."""
        if not self.writes:
            return
        entry = {"schema": SCHEMA, "kind": kind, "key": key, "solver": self.solver, "content": content}
        entry["checksum"] = _checksum(entry)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, fresh = tempfile.mkstemp(prefix=".", dir=self.folder)
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    json.dump(entry, file)
                Path(fresh).replace(self._place(key))
            except BaseException:
                Path(fresh).unlink(missing_ok=True)
                raise
        except OSError as error:
            self._warn(f"the proof cache {self.folder} takes nothing more: {error.strerror or error}")
            self.writes = False

    def told(self) -> tuple[str, ...]:
        """Return the warnings since the last time, each once."""
        warnings = tuple(dict.fromkeys(self.warnings))
        self.warnings.clear()
        return warnings

    def prune(self) -> None:
        """Remove what an interrupted writer left behind, and the oldest entries above the limit."""
        if not self.writes:
            return
        aged: list[tuple[float, str]] = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                written = entry.stat(follow_symlinks=False).st_mtime
                if not entry.name.startswith("."):
                    aged.append((written, entry.path))
                elif written < time.time() - _DAY:
                    Path(entry.path).unlink(missing_ok=True)
        for _, path in sorted(aged)[: max(0, len(aged) - LIMIT)]:
            with contextlib.suppress(OSError):
                Path(path).unlink()

    def _place(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _warn(self, text: str) -> None:
        self.warnings.append(" ".join(text.split()))

    def _doubt(self, entry: dict[str, Any], kind: str, key: str) -> str:
        """Return what is wrong with an entry, or nothing."""
        if entry["schema"] != SCHEMA:
            return "is of another version"
        if entry.pop("checksum") != _checksum(entry):
            return "is damaged"
        if (entry["kind"], entry["key"]) != (kind, key):
            return "belongs to another question"
        if entry["solver"] != self.solver:
            return "is of another solver"
        return "" if isinstance(entry["content"], dict) else "is damaged"


def _checksum(entry: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
