"""The fields of a device's configuration: which may be touched, and how they are read as one."""

from ..impl.harness.net_operations import F_MAC, F_MQ, F_STATUS, NetConfig
from .clauses import Docket
from .negotiation import F_MTU, names_of
from .registers import Step

_FIELDS = (
    (0, 6, F_MAC, "mac"),
    (6, 8, F_STATUS, "status"),
    (8, 10, F_MQ | 1 << 60, "max_virtqueue_pairs"),
    (10, 12, F_MTU, "mtu"),
    (12, 17, 1 << 63, "speed and duplex"),
    (17, 24, 1 << 57 | 1 << 60, "what RSS is limited to"),
)
"""Of the network configuration: bytes from, to before, the features any of which brings it, the name."""
_MAC_BYTES = 6


class FieldReads:
    """Judges accesses to the configuration into a docket."""

    def __init__(self, config: NetConfig, docket: Docket) -> None:
        self._docket = docket
        self._config = config
        self._modern = config.transport == "modern"
        self._group: list[Step] = []
        self._generation: int | None = None  # as read just before the group
        self._reread = False

    def read(self, step: Step) -> None:
        """Judge a read of the configuration."""
        offered, end = self._config.offered, step.word + step.width
        for begin, stop, features, name in _FIELDS:
            if step.word < stop and begin < end:
                said = f"{name} was read, and {names_of(features)} was not offered"
                self._docket.check("2.5.1b", bool(offered & features), said, step.number)
        if self._modern:
            self._reread = False
            self._group.append(step)

    def generation(self, step: Step) -> None:
        """Judge a read of the generation, which ends a group of reads and begins another."""
        if len(self._group) > 1:
            said = "several accesses to the configuration, and the generation was not read before them"
            self._docket.check("2.5.1a", self._generation is not None, said, self._group[0].number)
        self._reread = bool(self._group) and self._generation not in (None, step.value)
        self._generation = step.value
        self._group = []

    def interrupted(self, step: Step) -> None:
        """Say that an access to something else came, which ends a group of reads."""
        if len(self._group) > 1:
            said = "several accesses to the configuration, and the generation was not read after them"
            self._docket.breaks("2.5.1a", said, self._group[-1].number)
        elif self._reread:
            said = "the generation had changed, and nothing was read again"
            self._docket.breaks("2.5.1a", said, step.number)
        self._group, self._generation, self._reread = [], None, False

    def written(self, step: Step, negotiated: bool) -> None:
        """Judge a write to the configuration, when features are negotiated or not yet."""
        said = f"byte {step.word} of the configuration was written"
        if not negotiated:
            self._docket.breaks("3.1.1b", f"{said} while features were negotiated", step.number)
        if self._modern or step.word + step.width > _MAC_BYTES:
            self._docket.breaks("5.1.4.2a", said, step.number)
