"""What is in the partner's endless files and streams: letters, so that text and binary modes are the same."""

from random import Random
from string import ascii_letters, digits

_PERIOD = 65_521  # a prime: no block size divides it, so that no two blocks in a row are alike
_TEXT = "".join(Random(1).choices(ascii_letters + digits, k=_PERIOD)).encode() * 3


def octets_at(offset: int, count: int) -> bytes:
    """The ``count`` (0 to 65,535) bytes from ``offset`` (0 or more) on."""
    start = offset % _PERIOD
    return _TEXT[start : start + count]
