"""One way to run a front-end against the device: what the device withholds, and what the driver then does."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from .front_end import FrontEnd

DRIVER_MAC = "52:54:00:12:34:56"
"""Address of the driver's card in every recipe."""
PARTNER_MAC = "52:54:00:12:34:01"
"""Where guests send what needs no answer; the partner on the wire has this address and is 10.0.0.1."""


def octets(mac: str) -> bytes:
    """The six bytes of a card's address."""
    return bytes.fromhex(mac.replace(":", ""))


@dataclass(frozen=True)
class Round:
    """One run of a front-end.

    ``device_features_withdrawn`` names virtio features as the standard does, without the VIRTIO_ and
    VIRTIO_NET_F_ before them: the device offers everything it has but these. ``pairs`` is how many queue
    pairs it has to have, ``mtu`` what it has to tell as its MTU. ``queue_size`` is what the driver is made to
    use, None if that is its own affair.

    ``traffic`` is "steady" if frames never stop for a second once they have begun, else "sparse". ``seconds``
    is how long the run has to last, from its first frame on, to show what it is for; ``first_frame`` how many
    seconds that frame takes on an unoccupied machine. ``fed``: the driver sends nothing unless it receives
    something, so that the device has to deliver frames (those of food.py will do). ``restarts``: the driver
    resets its queues, and sets them up again, every few seconds. ``hostile``: it makes sense to break the
    device's rules in it.

    ``start(socket, workdir)`` starts the front-end, which connects to ``socket`` by itself; ``workdir`` is an
    empty directory of its own. Raises Missing.
    """

    name: str
    words: str
    start: Callable[[Path, Path], FrontEnd]
    device_features_withdrawn: frozenset[str] = frozenset()
    pairs: int = 1
    queue_size: int | None = None
    mtu: int | None = None
    traffic: Literal["steady", "sparse"] = "steady"
    seconds: float = 5.0
    first_frame: float = 10.0
    fed: bool = False
    hostile: bool = False
    restarts: bool = False


class Recipe(Protocol):
    """A driver that is known to run here, if it is installed."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    def check(self) -> None:
        """Raise Missing unless all is there."""

    def version(self) -> str:
        """The driver's name and version, as it says itself. Raises Missing."""

    def rounds(self, quick: bool = False, hostile: bool = False) -> tuple[Round, ...]:
        """Its rounds in the order they are best run in; ``hostile``: those for a device that breaks rules."""

    def qemu_options(self, socket: Path) -> tuple[str, ...]:
        """What somebody adds to the command line of a QEMU of his own; empty for what is no guest."""
