"""The examination of a library: each kind of driver that it exports goes through its campaign."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .campaign import validate
from .hostile import validate_hostile
from .library import ENTRY, NET_ENTRY, entries
from .net_campaign import validate_network
from .options import Options
from .report import ValidationReport, Verdict


def examine(library: Path, *, options: Options | None = None, hostile: bool = False) -> ValidationReport:
    """Validate the virtqueue code and the whole network driver in a shared library, whichever there is.

    With ``hostile`` the virtqueue meets a device that breaks the rules as well. Raises LibraryError when it
    holds no driver, BuildError when a worker cannot be built.
    """
    found = entries(library)
    network = validate_network(library, options=options) if NET_ENTRY in found else None
    if ENTRY not in found:
        assert network is not None
        return ValidationReport(
            network.driver, network.verdict, (), 0, network.seconds, library=library, network=network
        )
    virtqueue = validate(library, options=options)
    provoked = validate_hostile(library, options=options) if hostile else None
    parts = [part for part in (virtqueue, network, provoked) if part is not None]
    return replace(virtqueue, verdict=_worst(parts), network=network, hostile=provoked)


def _worst(parts: Sequence[ValidationReport]) -> Verdict:
    verdicts = {part.verdict for part in parts}
    return "error" if "error" in verdicts else "fail" if "fail" in verdicts else "pass"
