"""Where the three parts of a ring lie (VIRTIO 1.3 sections 2.7 and 2.7.2; Linux 3.11 ``vring_init``).

Sizes for a queue of N: descriptor table 16 * N bytes, available ring 6 + 2 * N, used ring 6 + 8 * N; each
ring's last two bytes are its event word, there whether or not it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass

DESC_BYTES = 16
LARGEST_QUEUE = 32768
PAGE = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte offsets of the three parts in one block of ``size`` bytes, and the block's ``alignment``."""

    queue_size: int
    avail: int
    used: int
    size: int
    alignment: int
    desc: int = 0


def legacy(queue_size: int) -> Layout:
    """Place them the legacy way: page aligned, the used ring at the next page after the available ring."""
    return _place(queue_size, used_alignment=PAGE, alignment=PAGE)


def modern(queue_size: int) -> Layout:
    """Place them in the same order, packed as closely as the parts' own alignments of 16, 2 and 4 allow."""
    return _place(queue_size, used_alignment=4, alignment=64)


LAYOUTS: dict[str, Callable[[int], Layout]] = {"legacy": legacy, "modern": modern}


def _place(queue_size: int, used_alignment: int, alignment: int) -> Layout:
    """Place a ring; raises ValueError unless the queue size is a power of two from 1 to 32768."""
    if not 1 <= queue_size <= LARGEST_QUEUE or queue_size & (queue_size - 1):
        raise ValueError(f"queue size {queue_size} is not a power of two from 1 to {LARGEST_QUEUE}")
    avail = DESC_BYTES * queue_size
    avail_end = avail + 6 + 2 * queue_size
    used = (avail_end + used_alignment - 1) & -used_alignment
    return Layout(
        queue_size=queue_size, avail=avail, used=used, size=used + 6 + 8 * queue_size, alignment=alignment
    )
