"""What keeps machine code from being executed: each one line, and never a pass."""

from ..symbolic.errors import Missing, Unmodelled


class LifterMissing(Missing):
    """The optional libraries that read machine code are not installed."""

    def __init__(self) -> None:
        super().__init__("machine code needs pyvex, which is not installed: pip install 'ringproof[binary]'")


class BadImage(Missing):
    """A file is no x86-64 ELF shared library, or has a relocation of a kind that is not applied."""


class TooMany(Missing):
    """A bound of the executor was reached, so what lies beyond it is unknown: addresses, or instructions."""


__all__ = ["BadImage", "LifterMissing", "Missing", "TooMany", "Unmodelled"]
