"""Traces of the whole driver: what shows a finding about Linux 3.11, or a defect seeded into the reference.

Where the models have states to search (the transmit queue, probe and remove), the run is the shortest that
breaks the model, played on the reference. Packet and header have none: there the smallest frames and feature
sets are tried in order until one shows it. Findings about the rings are searched among the runs of the
reference itself (``shortest``). Either way a trace is made only if the accused reference goes
wrong in it, and the sound one, doing the same, does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from types import ModuleType
from typing import Any

from ..impl.harness.frames import Fragment, Frame, Packet, pieces
from ..impl.harness.net_operations import F_EVENT_IDX, FEATURE_NAMES, NetCode, NetConfig, NetResult, Op
from ..impl.harness.net_runner import NetRunner, Violation
from ..impl.harness.operations import OpFlag
from ..model.transport import Transport
from ..patching import load_reference_mutant
from ..proofs.mutants.frame_catalog import FRAME_CATALOG
from ..proofs.mutants.registry import DESCRIBED, MUTANTS
from ..proofs.search import transmit, transport
from ..proofs.theorems import THEOREMS
from ..traces.explanation import Part
from ..validation.clauses import CLAUSES
from .described import described
from .document import NetTrace
from .recording import record
from .run import HEAD, LINUX, MENDED, Run, observe, plain_frame
from .shortest import RING_FINDINGS, shortest

_TRANSMIT = {
    "frame-fits-linux-3.11": "early-interrupt",
    "small-queue-fits-linux-3.11": "small-queue",
    "small-queue-wakes-linux-3.11": "small-queue-stuck",
}
"""Findings whose run the search of the transmit queue has, and its name for them."""
_CHECKS = {
    "frame-fits-linux-3.11": "frames-fit",
    "small-queue-wakes-linux-3.11": "queue-wakes",
}
"""What an observer calls a finding that no clause of VIRTIO speaks of."""
_RELATIVE = int(OpFlag.RELATIVE)


class NoNetTrace(Exception):  # noqa: N818 - a verdict, not an error of this program
    """Nothing tried shows it; one line says what was tried."""


def is_made_here(name: str) -> bool:
    """Whether a name is a finding's, or a mutant's of the whole driver."""
    if name in THEOREMS:
        return THEOREMS[name].expected == "refuted"
    return name in FRAME_CATALOG


def make_net_trace(name: str) -> NetTrace:
    """The trace of a finding or of a mutant of the whole driver.

    Raises KeyError for another name, NoNetTrace when nothing tried shows it.
    """
    if not is_made_here(name):
        raise KeyError(name)
    if name in RING_FINDINGS:
        return _of_the_rings(name)
    tried = 0
    for run in _runs(name):
        tried += 1
        document = _shown(name, run)
        if document is not None:
            return document
    raise NoNetTrace(f"none of {tried} runs shows {name}")


def _of_the_rings(name: str) -> NetTrace:
    """The trace of a finding about the rings. Raises NoNetTrace."""
    shown = shortest(name)
    if isinstance(shown, int):
        raise NoNetTrace(f"none of {shown} runs shows {name}")
    return _document(name, shown.run, shown.said)


def _document(name: str, run: Run, said: str, reference: ModuleType | None = None) -> NetTrace:
    """A run that shows a finding or a mutant, written down."""
    mutant = None if name in THEOREMS else name
    title = THEOREMS[name].title if mutant is None else DESCRIBED[name].title
    property = name if mutant is None else sorted(MUTANTS[name].kills)[0]
    # No variant: playing the whole driver for each choice takes longer than finding the run did.
    part = Part(property, _asked(property), holds=False, sentence=said, key=True)
    return record(
        run.config,
        run.frames,
        run.operations,
        description=f"{name}: {title}",
        mutant=mutant,
        reference=reference,
        property=property,
        violated=said,
        extra={"origin": run.origin, "explanation": {"parts": [part.to_json()]}},
    )


def _asked(theorem: str) -> str:
    """What should hold and does not; the title of a finding may tell the defect, so its clause goes first."""
    asked = THEOREMS[theorem]
    if asked.expected == "refuted" and asked.clause in CLAUSES:
        return f"{CLAUSES[asked.clause].words.removesuffix('.')} ({asked.clause})"
    return asked.title.removeprefix("Linux 3.11: ").removeprefix("Mended: ")


# -- whether a run shows it ---------------------------------------------------------------------------------


def _shown(name: str, run: Run) -> NetTrace | None:
    """The document of a run if it shows it: the accused goes wrong, the sound one does not."""
    reference = None if name in THEOREMS else load_reference_mutant(name)
    said, step = _fault(name, run, reference)
    if not said:
        return None
    return _document(name, replace(run, operations=run.operations[: step + 1]), said, reference)


def _fault(name: str, run: Run, reference: ModuleType | None) -> tuple[str, int]:
    """What the accused does wrong in a run that the sound driver does not, and in which operation."""
    finding = name in THEOREMS
    sound = observe(replace(run.config, profile=MENDED) if finding else run.config, run).wrong
    accused = observe(run.config, run, reference).wrong
    wrong = {check: fault for check, fault in accused.items() if check not in sound}
    if name == "small-queue-fits-linux-3.11":
        return _dropped(run)
    if finding:
        return wrong.get(_CHECKS.get(name, THEOREMS[name].clause), ("", -1))
    said, step = min(wrong.values(), key=lambda fault: fault[1], default=("", -1))
    return (said, step) if said else _apart(run, reference)


def _dropped(run: Run) -> tuple[str, int]:
    """The first frame that Linux 3.11 drops and the mended driver sends, in words; no clause forbids it."""
    runners = [NetRunner(replace(run.config, profile=profile), run.frames) for profile in (LINUX, MENDED)]
    for step, op in enumerate(run.operations):
        for runner in runners:
            runner.step(op)
        linux, mended = (runner.statistics(0).tx_dropped for runner in runners)
        if linux > mended:
            said = (
                f"frame {op.a} has {1 + len(list(pieces(runners[0].placed[op.a].packet)))} segments and is "
                f"dropped by an idle queue of {run.config.queue_size}; virtio-1.x sends it in fewer"
            )
            return said, step
    return "", -1


def _apart(run: Run, reference: ModuleType | None) -> tuple[str, int]:
    """Where the reference with a defect and the one without first do something else, and what."""
    right = NetRunner(run.config, run.frames)
    wrong = NetRunner(run.config, run.frames, reference=reference)
    for step, op in enumerate(run.operations):
        wanted = right.step(op)
        try:
            seen = wrong.step(op)
        except Violation as violation:
            return violation.detail, step
        said = _difference(wanted, seen, right, wrong)
        if said:
            return said, step
    return "", -1


def _difference(wanted: NetResult, seen: NetResult, right: NetRunner, wrong: NetRunner) -> str:
    if wanted != seen:
        for field in ("status", "pair", "avail_idx", "num_free", "events", "accesses"):
            one, other = getattr(wanted, field), getattr(seen, field)
            if one != other:
                return f"{field}: {_plain(other)}, without the defect {_plain(one)}"
    for one, other in zip(right.captures, wrong.captures, strict=False):
        if one.data != other.data:
            bytes_read, right_ones = (data[:12].hex(" ") for data in (other.data, one.data))
            return f"the device reads {bytes_read} ..., without the defect {right_ones} ..."
    if right.info is not None and wrong.info is not None:
        for pair in range(len(right.info.send_queues)):
            if right.statistics(pair) != wrong.statistics(pair):
                return f"{wrong.statistics(pair)}, without the defect {right.statistics(pair)}"
    return ""


def _plain(value: Any) -> str:
    return (
        str([tuple(int(part) for part in entry) for entry in value])
        if isinstance(value, tuple)
        else str(value)
    )


# -- what to try --------------------------------------------------------------------------------------------


def _runs(name: str) -> Iterator[Run]:
    if name in _TRANSMIT:
        yield _played(transmit.find(transmit.FINDINGS[_TRANSMIT[name]]))
    elif name in transmit.CASES:
        yield _played(transmit.find(transmit.CASES[name], MUTANTS[name].model))
    elif name == "rings-outlive-device-linux-3.11":
        yield _set_up(transport.find_removal())
    elif name in transport.CASES:
        yield _set_up(transport.find(transport.CASES[name], MUTANTS[name].model))
    elif name in ("feature-prerequisites-linux-3.11", "X18"):
        yield _offered(name)
    elif name == "X22":
        yield _strayed(name)
    else:
        yield from _smallest(LINUX if name in THEOREMS else MENDED)


def _played(found: transmit.Run | transmit.Clean) -> Run:
    """A run of the transmit queue's model, as operations."""
    if isinstance(found, transmit.Clean):
        raise NoNetTrace(f"no run of the model shows it, of {found.states} states looked at")
    config = NetConfig(
        queue_size=found.queue_size,
        features=F_EVENT_IDX if found.event_idx else 0,
        transport="legacy" if found.profile == LINUX else "modern",
        profile=found.profile,
    )
    frames: list[Frame] = []
    ops = [Op(NetCode.PROBE)]
    for action, arguments in transmit.operations(found):
        if action == "xmit":
            quick = arguments.get("completed_at_kick", 0)
            if quick:  # the device has to be notified to act
                ops.append(Op(NetCode.NET_SET_AVAIL_EVENT, _RELATIVE, 1))
            ops.append(Op(NetCode.XMIT, a=len(frames), b=quick))
            frames.append(plain_frame(arguments["segments"], unfit=bool(arguments.get("unfit"))))
        else:
            ops.append(_device(action, arguments))
    # A queue that never wakes shows by a frame that is held back.
    ops.append(Op(NetCode.XMIT, a=len(frames)))
    frames.append(plain_frame(2))
    return Run(config, tuple(frames), tuple(ops), "the shortest run of the transmit queue's model")


def _device(action: str, arguments: Mapping[str, int]) -> Op:
    match action:
        case "read":
            return Op(NetCode.NET_READ, in_=1)
        case "complete":
            return Op(NetCode.NET_COMPLETE, in_=1, a=arguments["which"], c=1)
        case "raise":
            return Op(NetCode.RAISE, a=arguments["bits"])
        case "interrupt":
            return Op(NetCode.INTERRUPT)
        case _:
            return Op(NetCode.REMOVE)


def _set_up(found: transport.Run | transport.Clean) -> Run:
    """A run of the transports' model: a device, found or removed, one frame sent if that went well."""
    if isinstance(found, transport.Clean):
        raise NoNetTrace(f"no run of the model shows it, of {found.states} states looked at")
    setting, played = transport.operations(found)
    config = NetConfig(
        queue_size=4,
        transport=str(setting["transport"]),
        profile=str(setting["profile"]),
        reset_reads=int(str(setting.get("reset_reads", 0))),
        refuses_features=bool(setting.get("refuses_features")),
    )
    codes = {"probe": NetCode.PROBE, "remove": NetCode.REMOVE}
    ops = tuple(Op(codes[action]) for action, _ in played)
    return Run(config, (), ops, "the shortest run of the transports' model")


def _offered(name: str) -> Run:
    model: type[Transport] = MUTANTS[name].model if name in MUTANTS else Transport
    offered = transport.smallest_offer(model, linux=name not in MUTANTS) or ()
    features = sum(FEATURE_NAMES[feature] for feature in offered)
    config = NetConfig(queue_size=4, features=features, profile=MENDED if name in MUTANTS else LINUX)
    return Run(config, (), (Op(NetCode.PROBE),), "the fewest features whose offer shows it")


def _strayed(name: str) -> Run:
    recorded, used = transport.smallest_stray(MUTANTS[name].model) or (0, 1)
    config = NetConfig(queue_size=4, pairs=used)
    frame = replace(plain_frame(2), recorded_queue=recorded)
    ops = (Op(NetCode.PROBE), Op(NetCode.XMIT, a=0))
    return Run(config, (frame,), ops, "the smallest recorded queue that leads astray")


def _smallest(profile: str) -> Iterator[Run]:
    """Single frames on small devices, simplest first: features, then the frame's offload, then its shape."""
    offload = FEATURE_NAMES["CSUM"] | FEATURE_NAMES["HOST_TSO4"] | FEATURE_NAMES["HOST_ECN"]
    ops = (Op(NetCode.PROBE), Op(NetCode.XMIT, a=0), Op(NetCode.NET_READ, in_=1))
    for transport_, features in product(("legacy", "modern"), (0, FEATURE_NAMES["CSUM"], offload)):
        config = NetConfig(queue_size=32, features=features, transport=transport_, profile=profile)
        for frame in _frames(features):
            yield Run(config, (frame,), ops, "the first of single frames, simplest first, that shows it")


def _frames(features: int) -> Iterator[Frame]:
    shapes: Sequence[Packet] = (
        Packet(HEAD),
        Packet(HEAD, (Fragment(0, b"fragment"),)),
        Packet(HEAD, (Fragment(0, b""), Fragment(0, b"fragment"))),
        Packet(HEAD, (Fragment(16, b"fragment"),)),
        Packet(HEAD, (), (Packet(b"listed"),)),
    )
    yield from (Frame(shape) for shape in shapes)
    if features & FEATURE_NAMES["CSUM"]:
        yield described("tcp4 len=66 csum")[0]
    if features & FEATURE_NAMES["HOST_TSO4"]:
        yield from (described(f"tcp4 len=100 csum gso=8{more}")[0] for more in ("", " ecn"))
        yield replace(described("tcp4 len=100 csum gso=8")[0], checksum=False, csum_start=0, csum_offset=0)
        yield described("tcp4 len=65536 csum gso=1448")[0]
