"""One run of ``ringproof xmit``: frames through reference and driver to the wire, everything checked."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import BadInputError
from ..impl.device.device import Violation
from ..impl.device.offload import OffloadError, wire_frames
from ..impl.harness.frames import Frame, Gso
from ..impl.harness.net_operations import NetConfig
from ..impl.harness.net_runner import NetRunner
from ..validation.net_worker import DriverStopped, NetWorker, OperationError
from ..validation.shapes import filled
from .document import NetTrace, TraceState
from .dropping import drop_reason
from .header import device_header_size
from .lockstep import Difference, Lockstep, Side
from .report import Fault, XmitReport
from .sending import Fate, ProbeRefused, Sender, SettingRefused
from .terminal import describe, error_name
from .watching import JourneyWatcher
from .wire import faults as wire_faults

TRAITS = {1 << 0: "linux-3.11", 1 << 1: "virtio-1.x"}
"""What a driver says of itself when it follows one of the two profiles byte for byte."""


class Named(NamedTuple):
    """A frame to send: what it is called in messages, and when it was seen, in nanoseconds since 1970."""

    frame: Frame
    name: str
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent how; ``driver`` is a library, None for the reference alone.

    ``pairs`` is how many pairs of queues to use. ``shown`` is the number, from 0, of the frame whose journey
    is wanted, or None; with ``traced`` the document of it, too.
    """

    config: NetConfig
    driver: Path | None = None
    pairs: int = 1
    shown: int | None = 0
    traced: bool = False
    timeout: float = 10.0


Emit = Callable[[Sequence[tuple[int, bytes]]], None]
"""Takes frames that left the device, each with its time in nanoseconds."""

_FREELY = "by the driver"
"""Why a frame was dropped that nothing speaks against, by a driver whose rings are its own affair."""


class Transmission:
    """Sends the frames of one request; ``report``, ``states`` and :meth:`document` say what came of it."""

    def __init__(self, request: Request) -> None:
        """Nothing has been sent yet."""
        self.request = request
        self.report = XmitReport(describe(request.config))
        self._watcher: JourneyWatcher | None = None
        self._names: deque[Named] = deque()

    @property
    def states(self) -> Sequence[TraceState]:
        """The states recorded around the journey of the frame shown."""
        return self._watcher.states if self._watcher else ()

    def journey(self) -> dict[str, Any] | None:
        """The journey of the frame shown as plain JSON values, None if none was watched."""
        return self._watcher.record() if self._watcher else None

    def document(self) -> NetTrace | None:
        """The trace from the probe to the end of the journey, if one was asked for."""
        if self._watcher is None or not self.request.traced:
            return None
        first = self.report.faults[0] if self.report.faults else None
        return self._watcher.document(
            description=f"ringproof xmit, frame {self.request.shown}",
            property=first.property if first else "",
            violated=first.sentence if first else "",
        )

    def run(self, frames: Iterable[Named], emit: Emit) -> XmitReport:
        """Send the frames, and hand what leaves the device to ``emit``.

        What a driver does wrong ends up in the report. Raises BadInputError for what cannot be asked, and
        what ``frames`` and ``emit`` raise; LibraryError, BuildError for the driver.
        """
        started = time.perf_counter()
        with ExitStack() as stack:
            try:
                sender = self._sender(stack)
                for fates in sender.send(self._named(frames)):
                    emit([frame for fate in fates for frame in self._leaves(fate, sender)])
                self.report.complete = True
            except Difference as difference:
                about = f"operation {difference.operation}"
                self.report.add(Fault(about, "agrees-with-reference", str(difference)))
            except Violation as violation:
                where = f"operation {violation.operation}" if violation.operation >= 0 else "the run"
                self.report.add(Fault(where, violation.property, violation.detail))
            except DriverStopped as stopped:
                self.report.add(Fault("the driver", "driver-runs", str(stopped)))
            except OperationError as error:
                self.report.add(Fault("the driver", "agrees-with-reference", str(error)))
            except ProbeRefused as refused:
                raise BadInputError(
                    f"the driver does not run this device ({error_name(refused.status)}): "
                    f"{self.report.configuration}"
                ) from None
            except SettingRefused as refused:
                why = error_name(refused.status)
                raise BadInputError(
                    f"the driver does not use {refused.pairs} pairs of queues ({why}): "
                    f"{self.report.configuration}"
                ) from None
        if self.report.complete and not self.report.totals.sent and self.report.dropped[_FREELY]:
            said = "no frame was sent, though nothing forbids to send some of them"
            self.report.add(Fault("the run", "frames-taken", said))
        self.report.seconds = time.perf_counter() - started
        return self.report

    # -- setting up --------------------------------------------------------------------------------------

    def _sender(self, stack: ExitStack) -> Sender:
        request, report = self.request, self.report
        config = request.config
        driver: NetWorker | None = None
        if request.driver is not None:
            driver = self._driver(stack, request.driver)
            config = replace(config, known_features=config.known_features & driver.features)
            report.driver = driver.name
            report.exact = any(bit & driver.traits for bit in TRAITS)
        if driver is not None and request.traced and not report.exact:
            raise BadInputError(
                f"--trace: {driver.name} follows no profile, and only the reference is written down; "
                "see --reference-only, and replay --driver"
            )
        # A driver that is not held to the reference's bytes stands alone: what leaves is what counts.
        alone = driver is not None and not report.exact
        reference = NetRunner(config)
        leader: Side = driver if alone and driver is not None else reference
        lockstep = Lockstep(leader, None if alone else driver)
        self._driver_side, self._config, self._reference = driver, config, reference
        report.checks = lockstep.checks
        sender = Sender(config, lockstep, request.pairs)
        report.totals = sender.totals
        if request.shown is not None and not alone:
            self._watcher = JourneyWatcher(lockstep, reference, request.shown, whole=request.traced)
            sender.watcher = self._watcher
        stack.callback(self._findings)
        return sender

    def _driver(self, stack: ExitStack, library: Path) -> NetWorker:
        try:
            driver = stack.enter_context(
                NetWorker(library, self.request.config, timeout=self.request.timeout)
            )
        except ValueError as error:
            raise BadInputError(f"{error} (see --transport)") from None
        named = [profile for bit, profile in TRAITS.items() if driver.traits & bit]
        if named and self.request.config.profile not in named:
            raise BadInputError(
                f"{library}: it follows profile {named[0]}, not {self.request.config.profile} (see --profile)"
            )
        return driver

    def _findings(self) -> None:
        """What the driver's process has found."""
        if self._driver_side is None:
            return
        for finding in self._driver_side.findings():
            self.report.add(Fault(f"operation {finding.first_op}", finding.name, finding.sentence))

    def _named(self, frames: Iterable[Named]) -> Iterator[Frame]:
        for named in frames:
            self.report.frames_read += 1
            self._names.append(named)
            yield named.frame

    # -- what leaves -------------------------------------------------------------------------------------

    def _leaves(self, fate: Fate, sender: Sender) -> Iterator[tuple[int, bytes]]:
        """What leaves the device for one frame, checked."""
        named = self._names.popleft()
        features = self._features(sender)
        expected = self._expected_drop(fate.frame, features)
        if fate.chain is None:
            self._dropped(named, expected)
            return
        if expected and self.report.exact:
            self.report.add(Fault(named.name, "drops-what-it-must", f"it was sent, though: {expected}"))
        size = device_header_size(features)
        if not self._has_header_of(size, named):
            return
        try:
            sent = wire_frames(fate.chain[:size], fate.chain[size:])
        except OffloadError as error:
            self.report.add(Fault(named.name, "header-fits-frame", f"the device cannot send it: {error}"))
            return
        wrong = wire_faults(fate.frame, sent)
        for sentence in wrong:
            self.report.add(Fault(named.name, "leaves-as-asked", sentence))
        if not wrong:
            if fate.frame.gso is not Gso.NONE:
                self.report.segmented += 1
            elif fate.frame.checksum:
                self.report.summed += 1
            else:
                self.report.unchanged += 1
        self.report.wire_frames += len(sent)
        self.report.wire_bytes += sum(map(len, sent))
        yield from ((named.nanoseconds, data) for data in sent)

    def _has_header_of(self, size: int, named: Named) -> bool:
        """Whether the reference writes headers of this size, as the device expects them."""
        info = self._reference.info
        written = info.send_queues[0].header_size if info is not None else size
        if written != size:
            sentence = f"the header has {written} bytes; with the features accepted a device expects {size}"
            self.report.add(Fault(named.name, "header-size", sentence))
        return bool(written == size)

    def _features(self, sender: Sender) -> int:
        return sender.lockstep.reference.device.registers.features

    def _expected_drop(self, frame: Frame, features: int) -> str:
        """Why this frame must be dropped however many descriptors are free; empty if it need not."""
        size = self._config.queue_size
        return drop_reason(
            frame, profile=self._config.profile, features=features, queue_size=size, num_free=size
        )

    def _dropped(self, named: Named, expected: str) -> None:
        reason = expected or ("too few descriptors were free" if self.report.exact else _FREELY)
        if reason == _FREELY and 1 + filled(named.frame.packet) > self.request.config.queue_size:
            reason = "more pieces than the queue has descriptors"
        self.report.dropped[reason] += 1
        self.report.dropped_frames.setdefault(reason, named.name)
