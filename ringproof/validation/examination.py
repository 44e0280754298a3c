"""The examination of a library: each kind of driver that it exports goes through its campaign."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .campaign import validate
from .hostile import validate_hostile
from .library import ENTRY, NET_ENTRY, entries
from .net_campaign import validate_network
from .net_hostile import joined, validate_network_hostile
from .options import Options
from .report import ValidationReport, Verdict


def examine(library: Path, *, options: Options | None = None, hostile: bool = False) -> ValidationReport:
    """Validate the virtqueue code and the whole network driver in a shared library, whichever there is.

    With ``hostile`` each meets devices that break the rules as well. Raises LibraryError when there is no
    driver, BuildError when a worker cannot be built.
    """
    found = entries(library)
    virtqueue = validate(library, options=options) if ENTRY in found else None
    network = validate_network(library, options=options) if NET_ENTRY in found else None
    provoked = _provoked(library, found, options) if hostile else None
    parts = [part for part in (virtqueue, network, provoked) if part is not None]
    if virtqueue is None:
        assert network is not None
        virtqueue = ValidationReport(network.driver, "pass", (), 0, network.seconds, library=library)
    return replace(virtqueue, verdict=_worst(parts), network=network, hostile=provoked)


def _provoked(library: Path, found: Sequence[str], options: Options | None) -> ValidationReport:
    """What each kind of driver does when its device breaks the rules, as one report."""
    queue = validate_hostile(library, options=options) if ENTRY in found else None
    whole = validate_network_hostile(library, options=options) if NET_ENTRY in found else None
    if queue is not None and whole is not None:
        return joined(queue, whole)
    either = queue or whole
    assert either is not None
    return either


_WORST: tuple[Verdict, ...] = ("error", "fail", "incomplete")


def _worst(parts: Sequence[ValidationReport]) -> Verdict:
    verdicts = {part.verdict for part in parts}
    return next((verdict for verdict in _WORST if verdict in verdicts), "pass")
