"""The type of options that take a time: seconds that a poll can wait, which neither nan nor inf are."""

import math
from typing import Any

import click

MOST = 86400.0
"""A day."""


class Seconds(click.FloatRange):
    """Seconds from 0.1 to MOST."""

    def __init__(self) -> None:
        super().__init__(min=0.1, max=MOST)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number; one line says what is wrong with another text."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds
