"""Every check of the hostile profile in words: those on a virtqueue, and those on a whole network driver."""

from .hostile import F11, ORACLES
from .hostile_course import MIXED
from .hostile_runs import INJECTIONS
from .net_hostile_scenes import NET_INJECTIONS

BEARS = "A driver refuses, gives the device up or ignores it; it breaks nothing of its own."
"""What is asked of a driver under every injection."""
_SIZES = "The device offers a queue size that is 0, no power of two or too large."
_MIXED = "The device does several of these things among ordinary traffic."


def hostile_checks() -> dict[str, tuple[str, str]]:
    """Return every check of ``--hostile`` by name: its clause, and what is done, or asked."""
    checks = {each.name: (each.clause, each.words) for each in INJECTIONS}
    checks[F11] = ("4.1.4.3.1", _SIZES)
    for injection in NET_INJECTIONS:
        known = checks.get(injection.name)
        if known is None:
            checks[injection.name] = (injection.clause, injection.words)
        elif known[1] != injection.words:
            words = f"{known[1]} To a network driver: {injection.words}"
            checks[injection.name] = (known[0], words)
    checks = dict(sorted(checks.items(), key=lambda item: int(item[0].removeprefix("hostile-F"))))
    checks[MIXED] = ("2.7", _MIXED)
    return checks | ORACLES
