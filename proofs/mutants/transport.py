"""The mutants of the transports' model: the shipped one with one decision changed."""

from ...model.term import Flag, Number, both, no
from ...model.transport import Place, Transport
from .mutation import Mutation, breaks


class _X17(Transport):
    def sets_driver_ok_early(self) -> Flag:
        return True


class _X18(Transport):
    def wanted(self, feature: str) -> Flag:
        return self.understood[feature]


class _X19(Transport):
    def queue_writes(self) -> tuple[Place, ...]:
        return (Place.SIZE, Place.ENABLE, Place.ADDRESS)


class _X20(Transport):
    def keeps_status(self) -> Flag:
        return False


class _X21(Transport):
    def notifies_early(self) -> Flag:
        return True


class _X22(Transport):
    def reduces(self, value: Number, used: Number, recorded: Flag) -> Flag:
        return both(value >= used, no(recorded))


class _X26(Transport):
    def reads_features_ok_back(self) -> Flag:
        return False


MUTANTS: dict[str, Mutation] = {
    "X17": breaks(_X17, "initialisation-order", "rings-outlive-device"),
    "X18": breaks(_X18, "features-offered"),
    "X19": breaks(_X19, "queue-enabled-last"),
    "X20": breaks(_X20, "status-only-grows"),
    "X21": breaks(_X21, "no-early-kick"),
    "X22": breaks(_X22, "queue-in-use"),
    "X26": breaks(_X26, "features-ok-read-back"),
}
"""Every mutant of the catalog that the transports' model can express, by id."""
