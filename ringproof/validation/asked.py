"""What each check of a virtqueue asks of a driver, and why a check may not have been made.

The device's own checks say what they ask in ``verdicts.py``; here are those that a campaign makes, and the
occasions that each check needs.
"""

from .clauses import CLAUSES
from .net_findings import NET_CHECKS
from .provoked import hostile_checks
from .verdicts import VERDICTS

CAMPAIGN = {
    "no-crash": ("oracle: process", "The driver never ends its process."),
    "no-hang": ("oracle: process", "Every call comes back."),
    "no-sanitizer-report": (
        "oracle: sanitizer",
        "No sanitizer in the driver's build reports anything.",
    ),
    "agrees-with-reference": (
        "oracle: reference",
        "A driver that declares a reference does as that does, byte for byte; any other in what it means.",
    ),
    "indices-past-the-wrap": ("2.7.13.3/n1", "Indices run past 65535, from where they go on with 0."),
    "everything-comes-back": (
        "oracle: conservation",
        "When all is completed every token has come back, and one chain of the whole ring fits again.",
    ),
    "impossible-sizes-refused": ("2.7/n1", "create declines a size that no split ring has."),
    "creates-every-queue": (
        "oracle: driver ABI",
        "create sets up every queue that the driver offers.",
    ),
}
"""The checks a campaign makes by itself: their source and what they ask. Some have a queue size behind."""

_INDIRECT = "no chain had an indirect table"
_NO_EVENT = "EVENT_IDX was negotiated on every queue"
_EVENT = "EVENT_IDX was never negotiated"
_IN_ORDER = "IN_ORDER was never negotiated"
_ENABLING = "the driver has no operation that enables callbacks"
_ACCESSES = "the driver was not built so that its accesses are told"
_OCCASION = {
    "next-in-range": "no descriptor had NEXT",
    "readable-before-writable": "no chain had two segments",
    "indirect-negotiated": "INDIRECT_DESC was negotiated on every queue",
    "indirect-without-next": _INDIRECT,
    "indirect-not-nested": _INDIRECT,
    "indirect-length": _INDIRECT,
    "indirect-table-unchanged": _INDIRECT,
    "avail-flags-0-or-1": _NO_EVENT,
    "avail-flags-0-with-event-idx": _EVENT,
    "kick-when-flags-ask": _NO_EVENT,
    "kick-when-event-passed": _EVENT,
    "used-flags-with-event-idx": _EVENT,
    "event-word-without-event-idx": _NO_EVENT,
    "look-again-after-enable": _ENABLING,
    "sleeps-with-interrupts-on": "no callback was ever enabled",
    "interrupt-taken": "the driver has no interrupt entry",
    "spurious-interrupt-harmless": "the driver has no interrupt entry",
    "private-memory-bounds": "the driver took no private memory from the harness",
    "num-free-at-most-what-is": "the driver does not tell num_free",
    "in-order-next": _IN_ORDER,
    "in-order-heads": _IN_ORDER,
    "in-order-table": _IN_ORDER,
    "in-order-batch-retired": _IN_ORDER,
    "kick-data-true": "NOTIFICATION_DATA was never negotiated",
    "mapped-and-unmapped": "the driver does not declare that it maps",
    "content-before-index": _ACCESSES,
    "index-before-suppression": _ACCESSES,
    "used-index-before-entry": _ACCESSES,
    "look-again-after-barrier": _ACCESSES,
    "no-wrong-token": "no device was hostile; --hostile asks for one",
    "legacy-used-length-ignored": "no legacy queue was created",
}


def base(check: str) -> str:
    """A check's name without the queue size that some have behind."""
    return check.partition("/")[0]


def asked(check: str) -> str:
    """What a check asks of a driver, one sentence; empty for one that is not known here."""
    for verdict in VERDICTS.values():
        if verdict.name == check:
            return verdict.sentence
    clause = check.removeprefix("clause-")
    if clause in CLAUSES:
        return CLAUSES[clause].words
    for rule in NET_CHECKS.values():
        if rule.name == check:
            return rule.rule
    provoked = hostile_checks().get(check)
    if provoked is not None:
        return provoked[1]
    return CAMPAIGN[base(check)][1] if base(check) in CAMPAIGN else ""


def unseen(check: str) -> str:
    """Why a check was not made, when it was not."""
    return _OCCASION.get(check, "the runs gave no occasion for it")
