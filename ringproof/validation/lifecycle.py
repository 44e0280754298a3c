"""The judge of a driver's register log: its clauses on status, features, queues and notifications.

Written from the clauses' text: any order that they allow passes, such as queues enabled in a second pass,
features written high word first, or reads that nobody needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..impl.harness.net_operations import NOTIFY_OFF_MULTIPLIER, NOTIFY_SPREAD, Access, NetConfig
from .clauses import Docket
from .fields import FieldReads
from .negotiation import DEFINED, F_NOTIFICATION_DATA, judge_accepted, names_of, possible, sound
from .placement import LegacyRing, ModernRing
from .registers import RegisterLog, Step, StepKind

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 64, 128
_STATUS_NAMES = {
    ACKNOWLEDGE: "ACKNOWLEDGE", DRIVER: "DRIVER", DRIVER_OK: "DRIVER_OK", FEATURES_OK: "FEATURES_OK",
    NEEDS_RESET: "DEVICE_NEEDS_RESET", FAILED: "FAILED",
}  # fmt: skip
_ADDRESS_FIELDS = {32: "queue_desc", 36: "queue_desc", 40: "queue_driver", 44: "queue_driver",
                   48: "queue_device", 52: "queue_device"}  # fmt: skip


def status_names(status: int) -> str:
    """Name the status bits set."""
    return " | ".join(name for bit, name in _STATUS_NAMES.items() if status & bit) or f"{status:#x}"


@dataclass(slots=True)
class _Life:
    """From one reset to the next."""

    status: int = 0  # as the device holds it
    resetting: bool = False
    accepted: list[int] = field(default_factory=lambda: [0, 0])
    asked: bool = False  # FEATURES_OK was written
    confirmed: bool | None = None  # and read back: still set, clear, not yet
    refused: bool = False
    rings: dict[int, ModernRing | LegacyRing] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)


class LifeCycle:
    """Judges the register log of one device, access after access, into a docket.

    ``config`` is what the device is; it is needed to know what was offered and where queues are notified.
    Tell it with :meth:`probed` and :meth:`removed` when these operations came back.
    """

    def __init__(self, config: NetConfig, docket: Docket | None = None) -> None:
        self.docket = docket if docket is not None else Docket()
        self._config = config
        self._modern = config.transport == "modern"
        self._order = "3.1.1a" if self._modern else "3.1.2a"
        self._log = RegisterLog()
        self._life: _Life | None = None
        self._fields = FieldReads(config, self.docket)
        self._handlers = {
            StepKind.STATUS_READ: self._status_read,
            StepKind.STATUS_WRITE: self._status_written,
            StepKind.ACCEPT_WRITE: self._accepted,
            StepKind.SIZE_READ: self._size_read,
            StepKind.SIZE_WRITE: self._queue_written,
            StepKind.ADDRESS_WRITE: self._queue_written,
            StepKind.ENABLE_WRITE: self._enabled,
            StepKind.PLACE_WRITE: self._placed,
            StepKind.NOTIFY: self._notified,
            StepKind.CONFIG_READ: self._fields.read,
            StepKind.CONFIG_WRITE: self._config_written,
            StepKind.GENERATION_READ: self._fields.generation,
            StepKind.READ_ONLY_WRITE: self._read_only,
        }

    @property
    def features(self) -> int:
        """The features accepted in this life."""
        return self._life.accepted[0] | self._life.accepted[1] << 32 if self._life is not None else 0

    @property
    def resetting(self) -> bool:
        """Whether a reset was asked for, and status was not read as 0 since."""
        return self._life is not None and self._life.resetting

    @property
    def live(self) -> bool:
        """Whether DRIVER_OK is set."""
        return self._life is not None and bool(self._life.status & DRIVER_OK)

    def see(self, accesses: Iterable[Access]) -> None:
        """Judge the accesses that follow those seen before."""
        for step in self._log.steps(accesses):
            if step.kind not in (StepKind.CONFIG_READ, StepKind.GENERATION_READ):
                self._fields.interrupted(step)
            handler = self._handlers.get(step.kind)
            if handler is not None:
                handler(step)

    # -- what operations said -------------------------------------------------------------------------

    def probed(self, status: int) -> None:
        """Say that probe came back with ``status``, 0 or below."""
        docket, life, last = self.docket, self._life, self._log.count - 1
        state = life.status if life is not None else 0
        ready = bool(state & DRIVER_OK)
        if status == 0:
            docket.check("2.1.1a", ready, "probe succeeded, and DRIVER_OK was not set", last)
        if life is None or life.resetting:
            return
        for clause in ("2.1.1b", "2.2.1a", "2.2.1d", "3.1.1b", "3.1.1g", "5.1.4.2a"):
            docket.holds(clause)
        if self._modern:
            docket.holds("4.1.4.3.2a")
        self._judge_offer(status, ready, last)
        if status < 0:
            docket.check("3.1.1e", bool(state & FAILED), "probe failed, and FAILED was not set", last)
            docket.check("3.1.1f", not ready, "probe failed, and DRIVER_OK is set", last)

    def _judge_offer(self, status: int, ready: bool, last: int) -> None:
        docket, life, config = self.docket, self._life, self._config
        assert life is not None
        if self._modern and (config.withhold_version_1 or life.refused):
            why = "refused FEATURES_OK" if life.refused else "did not offer VERSION_1"
            said = f"the device {why}, and FAILED was not set"
            docket.check("2.2.1f", bool(life.status & FAILED), said, last)
        if self._modern and config.withhold_version_1:
            said = "VERSION_1 was not offered, and the driver ran the device by the modern sections"
            docket.check("2.2.3a", not ready, said, last)
        elif not self._modern:
            docket.check("2.2.3a", not life.status & FEATURES_OK, "FEATURES_OK was set on a legacy device")
        if ready and config.understood & ~config.offered:
            docket.holds("2.2.1e")
        unknown = config.offered & ~DEFINED[config.transport]
        if unknown and sound(config):
            said = f"{names_of(unknown)} offered among others, and probe failed with {status}"
            docket.check("2.2.1g", status == 0, said, last)

    def removed(self) -> None:
        """Say that remove came back, with all frames and memory given back."""
        self.docket.check(
            "3.3.1b",
            not self.live,
            "the driver was removed, and DRIVER_OK was still set",
            self._log.count - 1,
        )

    # -- status ---------------------------------------------------------------------------------------

    def _status_read(self, step: Step) -> None:
        life = self._life
        if life is None:
            return
        if life.resetting:
            if step.value == 0:
                life.resetting = False
                self.docket.holds("4.1.4.3.2e" if self._modern else "2.4.2a")
            return
        life.status = step.value & ~NEEDS_RESET | life.status & NEEDS_RESET
        if life.asked and life.confirmed is None:
            life.confirmed = bool(step.value & FEATURES_OK)
            life.refused = not life.confirmed

    def _status_written(self, step: Step) -> None:
        docket, life = self.docket, self._life
        if step.value == 0:
            if life is not None and life.status & FAILED:
                docket.holds("2.1.1c")
            self._life = _Life(resetting=True)
            return
        life = self._started(step, f"status {status_names(step.value)}")
        lost = life.status & ~step.value & ~NEEDS_RESET
        said = f"status {status_names(step.value)} was written over {status_names(life.status)}"
        docket.check("2.1.1b", not lost, said, step.number)
        new = step.value & ~life.status
        if life.status & FAILED and new & ~FAILED:
            docket.breaks("2.1.1c", f"{status_names(new)} was set after FAILED, without a reset", step.number)
        if new & FEATURES_OK:
            self._features_ok(step, life)
        if new & DRIVER_OK:
            self._driver_ok(step, life)
        life.status = step.value

    def _started(self, step: Step, what: str) -> _Life:
        """Return the life an access belongs to, judging whether its reset came and has ended."""
        if self._life is None:
            self.docket.breaks(self._order, f"{what} was written before the device was reset", step.number)
            self._life = _Life()
        if self._life.resetting:
            clause = "4.1.4.3.2e" if self._modern else "2.4.2a"
            said = f"{what} was written after a reset before status was read as 0"
            self.docket.breaks(clause, said, step.number)
            self._life.resetting = False
        return self._life

    def _features_ok(self, step: Step, life: _Life) -> None:
        life.asked = True
        life.confirmed = None
        if not self._modern:
            self.docket.breaks("3.1.2a", "FEATURES_OK was set on a legacy device", step.number)
            return
        missing = (ACKNOWLEDGE | DRIVER) & ~(life.status | step.value)
        if missing:
            said = f"FEATURES_OK was set without {status_names(missing)}"
            self.docket.breaks("3.1.1a", said, step.number)
        judge_accepted(self.docket, self._config, self.features, step.number)

    def _driver_ok(self, step: Step, life: _Life) -> None:
        docket = self.docket
        needed = ACKNOWLEDGE | DRIVER | (FEATURES_OK if self._modern else 0)
        missing = needed & ~(life.status | step.value)
        lacking = needed & ~step.value
        said = f"DRIVER_OK was set without {status_names(lacking)}"
        docket.check("2.1.1a", not lacking, said, step.number)
        said = f"DRIVER_OK was set, and {status_names(missing)} never"
        docket.check(self._order, not missing, said, step.number)
        if self._modern:
            self._confirmed(step, life, "DRIVER_OK was set")
            docket.holds("3.1.1c")
        else:
            judge_accepted(self.docket, self._config, self.features, step.number)
        if life.refused or life.status & FAILED:
            docket.breaks("3.1.1f", "DRIVER_OK was set after initialisation had failed", step.number)

    def _confirmed(self, step: Step, life: _Life, what: str) -> None:
        if not life.asked:
            return  # the order is judged elsewhere
        said = f"{what} before status was read again after FEATURES_OK"
        self.docket.check("3.1.1d", life.confirmed is not None, said, step.number)

    # -- features -------------------------------------------------------------------------------------

    def _accepted(self, step: Step) -> None:
        docket = self.docket
        life = self._started(step, "driver_features")
        if step.word not in (0, 1):
            return
        before = life.accepted[step.word]
        life.accepted[step.word] = step.value
        if not life.status & DRIVER:
            docket.breaks(self._order, "features were written before DRIVER was set", step.number)
        if life.status & FEATURES_OK and step.value & ~before:
            added = names_of((step.value & ~before) << 32 * step.word)
            docket.breaks("3.1.1c", f"{added} accepted after FEATURES_OK", step.number)
        if not self._modern and life.status & DRIVER_OK:
            docket.breaks("3.1.2a", "features were written after DRIVER_OK", step.number)
        unoffered = (step.value << 32 * step.word) & ~self._config.offered
        if unoffered:
            docket.breaks("2.2.1a", f"{names_of(unoffered)} accepted, and not offered", step.number)

    # -- queues ---------------------------------------------------------------------------------------

    def _size_read(self, step: Step) -> None:
        if self._life is not None:
            self._life.sizes[step.queue] = step.value

    def _in_time(self, step: Step, what: str) -> _Life:
        """Judge whether queues may be set up now."""
        life, docket = self._started(step, what), self.docket
        if life.status & DRIVER_OK:
            docket.breaks(self._order, f"{what} was written after DRIVER_OK", step.number)
        elif self._modern and not life.status & FEATURES_OK and not life.refused:
            docket.breaks(self._order, f"{what} was written before FEATURES_OK", step.number)
        elif not life.status & DRIVER:
            docket.breaks(self._order, f"{what} was written before DRIVER was set", step.number)
        if self._modern:
            self._confirmed(step, life, f"{what} was written")
        return life

    def _modern_ring(self, life: _Life, queue: int) -> ModernRing:
        ring = life.rings.setdefault(queue, ModernRing())
        assert isinstance(ring, ModernRing)
        return ring

    def _queue_written(self, step: Step) -> None:
        is_size = step.kind is StepKind.SIZE_WRITE
        name = "queue_size" if is_size else _ADDRESS_FIELDS[step.word]
        life = self._in_time(step, name)
        ring = self._modern_ring(life, step.queue)
        if ring.enabled:
            said = f"{name} of queue {step.queue} was written after queue_enable"
            self.docket.breaks("4.1.4.3.2d", said, step.number)
        if is_size:
            said = f"queue_size of queue {step.queue} was given {step.value}"
            power = 0 < step.value <= 32768 and not step.value & (step.value - 1)
            self.docket.check("4.1.4.3.2c", power, said, step.number)
            ring.size = step.value
        else:
            ring.write(step.word, step.value)

    def _enabled(self, step: Step) -> None:
        docket = self.docket
        if step.value == 0:
            said = f"queue_enable of queue {step.queue} was given 0"
            docket.breaks("4.1.4.3.2f", said, step.number)
            return
        docket.holds("4.1.4.3.2f")
        life = self._in_time(step, f"queue_enable of queue {step.queue}")
        if life.refused or life.status & FAILED:
            said = f"queue {step.queue} was enabled after initialisation had failed"
            docket.breaks("3.1.1f", said, step.number)
        ring = self._modern_ring(life, step.queue)
        ring.enabled = True
        ring.size = ring.size or life.sizes.get(step.queue, 0) or self._config.queue_size
        docket.check("4.1.4.3.2d", not ring.missing, f"queue {step.queue} was enabled before its "
                     f"{ring.missing} was set", step.number)  # fmt: skip
        self._judge_size(step, ring.size)
        if not ring.missing:
            docket.check("2.7.1a", not ring.misplaced, f"queue {step.queue}: {ring.misplaced}", step.number)

    def _judge_size(self, step: Step, size: int) -> None:
        if size == self._config.queue_size and not possible(size):
            return  # the device itself says so; believing it is judged elsewhere
        power = 0 < size <= 32768 and not size & (size - 1)
        said = f"queue {step.queue} was set up with size {size}"
        self.docket.check("2.7/n1", power, said, step.number)

    def _placed(self, step: Step) -> None:
        docket = self.docket
        if step.value == 0:
            if self.live:
                said = f"queue {step.queue} was taken down while the device was live"
                docket.breaks("3.3.1b", said, step.number)
            if self._life is not None:
                self._started(step, f"the page frame of queue {step.queue}")
                self._life.rings.pop(step.queue, None)
            return
        life = self._in_time(step, f"the page frame of queue {step.queue}")
        if life.status & FAILED:
            said = f"queue {step.queue} was placed after initialisation had failed"
            docket.breaks("3.1.1f", said, step.number)
        said = f"queue {step.queue} was placed before its size was read"
        docket.check("2.7.2a", step.queue in life.sizes, said, step.number)
        size = life.sizes.get(step.queue, self._config.queue_size)
        self._judge_size(step, size)
        ring = LegacyRing(step.value, size)
        others = {number: other for number, other in life.rings.items() if isinstance(other, LegacyRing)}
        wrong = ring.misplaced(others)
        docket.check("2.7.2b", not wrong, f"queue {step.queue}: {wrong}", step.number)
        life.rings[step.queue] = ring

    # -- notifications and configuration --------------------------------------------------------------

    def _notified(self, step: Step) -> None:
        docket, life = self.docket, self._life
        if not self.live:
            said = f"queue {step.value & 0xFFFF} was notified before DRIVER_OK"
            docket.breaks("3.1.1g", said, step.number)
        width = 4 if self.features & F_NOTIFICATION_DATA else 2
        said = f"a notification of {8 * step.width} bits"
        docket.check("4.1.5.2.1a", step.width == width, said, step.number)
        queue = step.value & 0xFFFF
        known = life is not None and queue in life.rings
        place = NOTIFY_OFF_MULTIPLIER * (NOTIFY_SPREAD * queue + 1) if self._modern else 0
        said = f"{queue} was written to notify, and no such queue was set up"
        if known and step.word != place:
            said = f"queue {queue} was notified at offset {step.word}; its place is {place}"
        docket.check("4.1.5.2.1b", known and step.word == place, said, step.number)

    def _config_written(self, step: Step) -> None:
        needed = FEATURES_OK if self._modern else DRIVER_OK
        self._fields.written(step, self._life is not None and bool(self._life.status & needed))

    def _read_only(self, step: Step) -> None:
        if self._modern:
            said = f"the common configuration was written at offset {step.word}, which is read-only"
            self.docket.breaks("4.1.4.3.2a", said, step.number)


def judge(accesses: Sequence[Access], config: NetConfig, probed: int | None = None) -> Docket:
    """Judge a whole register log, in which probe came back with ``probed`` in the end, if it did."""
    life = LifeCycle(config)
    life.see(accesses)
    if probed is not None:
        life.probed(probed)
    return life.docket
