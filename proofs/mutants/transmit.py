"""The mutants of the transmit queue's model: the shipped one with one decision changed."""

from ...model.term import Flag, Number, either, smaller
from ...model.transmit import Choice, Place, State, Transmit
from .mutation import Mutation, breaks

HEADER = 12


class _E10(Transmit):
    def room(self) -> Number:
        return either(self.linux, self.longest - 1, smaller(self.longest - 1, self.queue_size))


class _E19(Transmit):
    def counted_bytes(self, choice: Choice) -> Number:
        return choice.size + HEADER


class _D9(Transmit):
    def place_after_stop(self) -> Place:
        return Place.IDLE


class _G3(Transmit):
    def dropped(self, s: State, choice: Choice) -> State:
        kept, dropped = self.kept_though_refused(s), super().dropped(s, choice)
        return State(
            **{
                name: either(choice.unfit, value, getattr(kept, name))
                for name, value in vars(dropped).items()
            }
        )

    def kept_though_refused(self, s: State) -> State:
        return State(**vars(s) | {"at": Place.KICK})


class _X14(Transmit):
    def heeds_late(self) -> Flag:
        return False


class _X23(Transmit):
    def drops_counted(self) -> int:
        return 0


class _X24(Transmit):
    def times_dropped_is_freed(self) -> int:
        return 2


class _X25(Transmit):
    def wakes_blindly(self) -> Flag:
        return True


MUTANTS: dict[str, Mutation] = {
    "E10": breaks(_E10, "frame-fits"),
    "E19": breaks(_E19, "statistics-exact"),
    "D9": breaks(_D9, "no-lost-wake-up"),
    "G3": breaks(_G3, "no-frame-lost"),
    "X14": breaks(_X14, "no-lost-wake-up"),
    "X23": breaks(_X23, "statistics-exact"),
    "X24": breaks(_X24, "frame-freed-once"),
    "X25": breaks(_X25, "frame-fits"),
}
"""Every mutant of the catalog that the transmit queue's model can express, by id."""
