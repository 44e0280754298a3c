"""The menu: what can be asked of a driver next, and what its device may do first."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..impl.harness.operations import Code
from .symbolic_device import Device


@dataclass(frozen=True, slots=True)
class Action:
    """One of the K: what the driver is asked.

    ``shape`` is that of an add: out, in, and whether the token is null. ``pick`` is the chain that the device
    uses first, by its place in the device's list, or -1.
    """

    code: Code
    shape: tuple[int, int, bool] = (0, 0, False)
    pick: int = -1


NAMES: dict[Code, str] = {
    Code.ADD: "add", Code.KICK: "kick", Code.GET: "get_buf", Code.DISABLE_CB: "disable_cb",
    Code.ENABLE_CB: "enable_cb", Code.ENABLE_CB_DELAYED: "enable_cb_delayed",
    Code.ENABLE_CB_PREPARE: "enable_cb_prepare", Code.POLL: "poll", Code.INTERRUPT: "interrupt",
}  # fmt: skip


def shapes(queue_size: int, most: int, *, odd: bool) -> Iterator[tuple[int, int, bool]]:
    """Yield the buffers that are offered: every out and in up to ``most`` segments in all.

    With ``odd``, those that no queue takes as well: none at all, one more than fit, and one without a token.
    """
    for count in range(1, min(most, queue_size) + 1):
        for in_ in range(count + 1):
            yield count - in_, in_, False
    if odd:
        yield 0, 0, False
        yield queue_size + 1, 0, False
        yield 1, 0, True


def menu(device: Device, segments: int, *, odd: bool) -> Iterator[Action]:
    """Yield all that can be asked next, with buffers of up to so many segments, and ``odd`` ones if asked."""
    start = device.start
    for pick in range(-1, len(device.outstanding)):
        # What a kick or a disable does not look at may as well be used behind it.
        blind = (Code.KICK, Code.DISABLE_CB) if pick >= 0 else ()
        for shape in shapes(device.config.queue_size, segments, odd=odd and pick < 0):
            yield Action(Code.ADD, shape, pick)
        for code, name in NAMES.items():
            if code == Code.ADD or code in blind or (code == Code.POLL and device.mark is None):
                continue
            if name in start.operations or (code == Code.GET and start.pushes):
                yield Action(code, pick=pick)
