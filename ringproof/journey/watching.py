"""Watching one frame of many: its journey is recorded, whatever goes on around it."""

from collections.abc import Sequence
from typing import Any

from ..errors import BadInputError
from ..impl.harness.frames import Frame
from ..impl.harness.net_operations import NetCode, Op
from ..impl.harness.net_runner import NetRunner
from .document import NetTrace, TraceState
from .lockstep import Lockstep
from .recording import Recorder
from .sending import Watcher


class JourneyWatcher(Watcher):
    """Records the steps of the reference from one frame's handing over until it is freed.

    With ``whole`` the recording begins before the probe, so that :meth:`document` can replay it.
    """

    def __init__(self, lockstep: Lockstep, runner: NetRunner, shown: int, *, whole: bool = False) -> None:
        """``shown`` is the number of the frame, ``runner`` the reference's side of ``lockstep``."""
        self.shown = shown
        self._whole = whole
        self._lockstep = lockstep
        self._runner = runner
        self._first = 0
        self._frames: tuple[Frame, ...] = ()
        self._recorder: Recorder | None = None
        if whole:
            self._record()

    @property
    def states(self) -> Sequence[TraceState]:
        """The states recorded."""
        return self._recorder.states if self._recorder else ()

    def document(self, *, description: str = "", property: str = "", violated: str = "") -> NetTrace:
        """What was recorded from the probe on, as far as it goes, with the frames that were laid out."""
        recorder = self._recorder
        operations = tuple(recorder.operations) if recorder else ()
        used = max((op.a + 1 for op in operations if op.code == NetCode.XMIT), default=0)
        return NetTrace(
            config=self._runner.config,
            frames=self._frames[:used],
            operations=operations,
            states=tuple(recorder.states) if recorder else (),
            description=description,
            property=property,
            violated=violated,
        )

    def record(self) -> dict[str, Any]:
        """The journey of the frame shown, as plain JSON values: how it was sent, read, used, and freed."""
        found: dict[str, Any] = {"frame": self.shown, "sent": [], "read": [], "used": [], "freed": False}
        for state in self.states:
            journey = state.values["journey"]
            for name in ("sent", "read", "used"):
                found[name] += [each for each in journey[name] if each["frame"] == self.shown]
            found["freed"] |= self.shown in journey["freed"]
        return found

    def alone(self, number: int) -> bool:
        """The frame shown goes alone."""
        return number == self.shown

    def coming(self) -> None:
        """The frame shown comes next."""
        if self._recorder is None:
            self._record()

    def loaded(self, first: int) -> None:
        """Other frames were laid out. Raises BadInputError when a trace would need more than fit at once."""
        self._first = first
        if self._whole and first and self._lockstep.stepping is not None:
            raise BadInputError(
                f"a trace holds the frames up to the one shown, and only the first {first} fit into memory "
                f"at once: frame {self.shown} is not among them"
            )
        if self._recorder is not None:
            self._recorder.first_frame = first
        if self._whole and not first:
            self._frames = tuple(placed.frame for placed in self._runner.placed)

    def ran(self, ops: Sequence[Op]) -> None:
        """Operations were run: when the frame shown was freed among them, the recording ends."""
        if self._lockstep.stepping is None or self._recorder is None:
            return
        new = self._recorder.states[-len(ops) :]
        if any(self.shown in state.values["journey"]["freed"] for state in new):
            self._lockstep.stepping = None

    def _record(self) -> None:
        self._recorder = Recorder(self._runner, self._first)
        self._lockstep.stepping = self._recorder.run
