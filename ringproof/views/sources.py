"""Which lines of code took part in each step of a trace.

A document that the reference can follow is run again under a watch on its lines: of the reference itself, or
of the copy that carries the document's mutant. Where it cannot, and for steps too many to watch, it is told
where the driver's function begins. The C driver is never run here: of it there is always the beginning.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from ..building import c_sources
from ..impl import reference
from ..impl.device.device import Violation
from ..impl.harness.frames import OutOfRoom
from ..impl.harness.net_operations import NetCode
from ..impl.harness.net_runner import NetRunner
from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import OperationError, ReferenceRunner
from ..journey.document import NetTrace
from ..patching import PatchError, load_reference_mutant, reference_sources
from ..traces.document import TraceDocument
from ..traces.variables import LARGEST_SHOWN_QUEUE, action_name
from .listing import Statement, c_definitions, comparison, listing
from .model_sources import model_sources
from .opening import Document
from .scene import Source
from .watch import Look, Place, Watch, nothing

Sources = tuple[Source, ...]

MOST_LINES = 12
"""Of one step, the C function's beginning not counted; more only if more are seeded."""
MOST_WATCHED = 1_000
"""How many steps are watched: the last ones, among them the one that broke."""
_MOST_OF_STEP = 3_000
"""How many lines of a step are watched: of many rounds the first ones."""
_MOST_IN_ALL = 25_000
"""How many lines are watched in all, about 4 microseconds each."""
_LARGE = 1024
_MOST_WORK = 70_000
"""How many rounds, or half as many operations, a document may have to be run again: 6 microseconds each."""

_REFERENCE = "impl/reference"
_ACCESSORS = frozenset(("__init__.py", "vring.py", "arena.py", "layout.py", "profile.py"))
"""Files that only reach memory for others: a change counts for who asked them to."""

_QUEUE: dict[str, tuple[str, ...]] = {
    "create": ("vring_new_virtqueue",),
    "rounds": ("Virtqueue.add", "Virtqueue.kick", "Virtqueue.get_buf"),
    "get": ("Virtqueue.get_buf",),
    "detach_unused": ("Virtqueue.detach_unused_buf",),
    **{
        name: (f"Virtqueue.{name}",)
        for name in (
            *("add", "kick", "disable_cb", "enable_cb", "enable_cb_delayed", "enable_cb_prepare"),
            *("poll", "interrupt"),
        )
    },
}
_C_OF: dict[str, tuple[str, str]] = {
    "vring_new_virtqueue": ("virtqueue.c", "rp_vq_init"),
    **{
        f"Virtqueue.{name}": ("virtqueue.c", f"rp_vq_{name}")
        for name in (
            *("add", "kick", "get_buf", "disable_cb", "enable_cb", "enable_cb_delayed", "enable_cb_prepare"),
            *("poll", "interrupt", "detach_unused_buf"),
        )
    },
    "virtnet_probe": ("net_probe.c", "rp_net_probe"),
    "VirtnetInfo.remove": ("net_probe.c", "rp_net_remove"),
    "VirtnetInfo.set_pairs": ("virtio_net.c", "rp_net_set_pairs"),
    "SendQueue.start_xmit": ("virtio_net.c", "rp_net_start_xmit"),
    "VirtioPci.interrupt": ("net_probe.c", "rp_net_interrupt"),
}
_NETWORK: dict[str, tuple[str, str]] = {
    "probe": ("virtio_net.py", "virtnet_probe"),
    "remove": ("virtio_net.py", "VirtnetInfo.remove"),
    "set_pairs": ("virtio_net.py", "VirtnetInfo.set_pairs"),
    "xmit": ("network.py", "SendQueue.start_xmit"),
    "interrupt": ("pci.py", "VirtioPci.interrupt"),
}


def sources_of(document: Document) -> Sequence[Sources]:
    """Return the lines of each state's step, in the order they ran, then the C function's beginning.

    As many entries as the document has states, that of a device's step empty. Line numbers are those of the
    files as shipped; a seeded line has that of the line it stands for, or before which it stands. Raises
    nothing for a document that could be read.
    """
    if isinstance(document, TraceDocument):
        return _of_queue(document)
    if isinstance(document, NetTrace):
        return _of_network(document)
    return [model_sources(state.action, document.mutant) for state in document.states]


# -- where functions begin ----------------------------------------------------------------------------------


@cache
def beginnings(action: str, *, network: bool = False) -> tuple[Sources, Sources]:
    """Return where the driver's functions for an action begin: in the reference, and in C.

    Both are empty for an action that is none of the driver's.
    """
    if network:
        places = [_NETWORK[action]] if action in _NETWORK else []
    else:
        places = [("virtqueue.py", name) for name in _QUEUE.get(action, ())]
    return (
        tuple(found for file, name in places for found in _python(reference_sources(), file, name)),
        tuple(found for _, name in places for found in _c(*_C_OF[name])),
    )


def _python(directory: Path, file: str, name: str) -> Sources:
    try:
        begins = listing(directory / file).definitions[name]
    except (OSError, SyntaxError, KeyError):
        return ()
    return (Source("reference", f"{_REFERENCE}/{file}", begins.line, name, begins.text),)


def _c(file: str, name: str) -> Sources:
    try:
        line, text = c_definitions(c_sources() / file)[name]
    except (OSError, KeyError):
        return ()
    return (Source("c", f"impl/c/{file}", line, name, text),)


# -- runs on the reference ----------------------------------------------------------------------------------


def _of_queue(document: TraceDocument) -> list[Sources]:
    actions = ["create", *map(action_name, document.operations)]
    # In a large queue a defect may let each operation go through all of it.
    work = sum(_work(op) for op in document.operations) * (1 + document.config.queue_size // _LARGE)
    accused = None if document.alone() or work > _MOST_WORK else _accused(document.mutant)
    if accused is None:
        return [_begun(action) for action in actions]
    tracker = _Tracker(accused, _QUEUE_NAMES)
    runners: list[ReferenceRunner] = []

    def create() -> None:
        runners.append(ReferenceRunner(document.config, reference=accused))

    found = [tracker.sources("create", create)]
    if tracker.stopped:
        return [*found, *map(_begun, actions[1:])]
    runner = runners[0]
    look = _queue_look(runner)
    unwatched = len(document.operations) - MOST_WATCHED
    for number, op in enumerate(document.operations):
        found.append(tracker.sources(actions[number + 1], _step(runner, op), look, number >= unwatched))
    return found


def _of_network(document: NetTrace) -> list[Sources]:
    actions = [_net_action(op) for op in document.operations]
    accused = _accused(document.mutant) if len(actions) <= MOST_WATCHED else None
    try:
        runner = None if accused is None else NetRunner(document.config, document.frames, reference=accused)
    except OutOfRoom:
        runner = None
    if accused is None or runner is None:
        return [(), *(_begun(action, network=True) for action in actions)]
    tracker, look = _Tracker(accused, _NETWORK_NAMES, network=True), _network_look(runner)
    found: list[Sources] = [()]
    for action, op in zip(actions, document.operations, strict=True):
        found.append(tracker.sources(action, _step(runner, op), look))
    return found


def _accused(mutant: str | None) -> ModuleType | None:
    """The reference that carries a mutant, or the reference itself; None if there is no such mutant."""
    if mutant is None:
        return reference
    try:
        return load_reference_mutant(mutant)
    except PatchError:
        return None


def _begun(action: str, *, network: bool = False) -> Sources:
    own, c = beginnings(action, network=network)
    return (*own, *c)


def _net_action(op: Op) -> str:
    return NetCode(op.code).name.lower()


def _work(op: Op) -> int:
    """How much an operation does, in rounds."""
    if op.code == Code.ROUNDS:
        return op.a
    return 2 + (op.a + op.in_) // 4 if op.code == Code.ADD else 2


def _step(runner: ReferenceRunner | NetRunner, op: Op) -> Callable[[], object]:
    return lambda: runner.step(op)


_QUEUE_NAMES = (
    *("avail_idx", "used_idx", "last_used_idx", "avail_flags", "used_event", "free_head", "num_free"),
    *("num_added", "broken", "notifications", "next", "flags", "data", "avail_ring", "used_ring"),
)


def _queue_look(runner: ReferenceRunner) -> Look:
    """The variables of a state that a driver can change; tables only where states have them, too."""
    queue, size = runner.queue, runner.config.queue_size
    avail, used = queue.avail, queue.used
    if size > LARGEST_SHOWN_QUEUE:
        size = 0
    tables = queue.desc.next[:size], queue.desc.flags[:size], avail.ring[:size], used.id[:size]

    def look() -> Sequence[object]:
        following, flags, heads, ids = tables
        return (
            avail.idx,
            used.idx,
            queue.last_used_idx,
            avail.flags,
            avail.used_event,
            queue.free_head,
            queue.num_free,
            queue.num_added,
            queue.broken,
            runner.notifications,
            following.tobytes(),
            flags.tobytes(),
            queue.data[:size],
            heads.tobytes(),
            ids.tobytes(),
        )

    return look


_NETWORK_NAMES = ("registers", "events", "statistics", "queues")


def _network_look(runner: NetRunner) -> Look:
    def look() -> Sequence[object]:
        queues = [] if runner.info is None else runner.info.send_queues
        words = [
            (vq.avail.idx, vq.avail.flags, vq.avail.used_event, vq.num_free)
            for vq in (queue.vq for queue in queues)
        ]
        return len(runner.accesses), len(runner.events), [queue.statistics for queue in queues], words

    return look


class _Tracker:
    """Runs the steps of a document and tells the lines of each; ``stopped`` after one that did not end."""

    def __init__(self, accused: ModuleType, names: Sequence[str], *, network: bool = False) -> None:
        directory = Path(accused.__path__[0])
        shipped = reference_sources()
        self._network = network
        self._files: dict[str, str] = {}
        self._seeded: dict[str, frozenset[int]] = {}
        self._lines: dict[str, Mapping[int, int]] = {}
        for path in sorted(directory.glob("*.py")):
            compared = comparison(shipped / path.name, path)
            self._seeded[str(path)] = compared.seeded
            self._lines[str(path)] = compared.shipped
            if compared.seeded or path.name not in _ACCESSORS:
                self._files[str(path)] = path.name
        self._watch = Watch(frozenset(self._files), names, most=_MOST_OF_STEP, in_all=_MOST_IN_ALL)
        self.stopped = False

    def sources(
        self, action: str, step: Callable[[], object], look: Look = nothing, watched: bool = True
    ) -> Sources:
        """Run a step, unless one before it did not end; the lines it went through, or where it begins."""
        own, c = beginnings(action, network=self._network)
        if self.stopped:
            return (*own, *c)
        try:
            if watched and own:
                self._watch.run(step, look)
            else:
                step()
        except (Violation, MemoryError):
            self.stopped = True
        except OperationError:
            return (*own, *c)  # It could not be asked: nothing happened.
        lines = self._chosen(self._watch.seen()) if watched and own else ()
        return (*(lines or own), *c)

    def _chosen(self, seen: Mapping[Place, set[str]]) -> Sources:
        """Statements that changed something, and those that are seeded, by the first time they ran."""
        found: dict[Place, tuple[Statement, set[str]]] = {}
        for (file, line), changed in seen.items():
            statement = listing(Path(file)).statements.get(line)
            if statement is not None:
                found.setdefault((file, statement.line), (statement, set()))[1].update(changed)
        kept = [
            self._source(file, statement, changed)
            for (file, line), (statement, changed) in found.items()
            if changed or line in self._seeded[file]
        ]
        room = MOST_LINES - sum(source.seeded for source in kept)
        chosen: list[Source] = []
        for source in kept:
            room -= not source.seeded
            if source.seeded or room >= 0:
                chosen.append(source)
        return tuple(chosen)

    def _source(self, file: str, statement: Statement, changed: set[str]) -> Source:
        return Source(
            "reference",
            f"{_REFERENCE}/{self._files[file]}",
            self._lines[file].get(statement.line, statement.line),
            statement.function,
            statement.text,
            tuple(sorted(changed)),
            statement.line in self._seeded[file],
        )
