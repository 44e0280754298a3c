"""The examination of a library: each kind of driver that it exports goes through its campaign."""

from dataclasses import replace
from pathlib import Path

from .campaign import Options, validate
from .library import ENTRY, NET_ENTRY, entries
from .net_campaign import validate_network
from .report import ValidationReport, Verdict


def examine(library: Path, *, options: Options | None = None) -> ValidationReport:
    """Validate the virtqueue code and the whole network driver in a shared library, whichever there is.

    Raises LibraryError when it holds no driver, BuildError when a worker cannot be built.
    """
    found = entries(library)
    virtqueue = validate(library, options=options) if ENTRY in found else None
    network = validate_network(library, options=options) if NET_ENTRY in found else None
    if virtqueue is None:
        assert network is not None
        return ValidationReport(
            network.driver, network.verdict, (), 0, network.seconds, library=library, network=network
        )
    if network is None:
        return virtqueue
    verdict: Verdict = "fail" if "fail" in (virtqueue.verdict, network.verdict) else "pass"
    return replace(virtqueue, verdict=verdict, network=network)
