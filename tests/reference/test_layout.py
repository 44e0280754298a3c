"""Where the ring parts lie, against offsets worked out by hand."""

import pytest

from ringproof.impl.reference import LAYOUTS


@pytest.mark.parametrize(
    ("layout", "queue_size", "avail", "used", "size", "alignment"),
    [
        ("legacy", 1, 16, 4096, 4096 + 14, 4096),
        ("legacy", 2, 32, 4096, 4096 + 22, 4096),
        ("legacy", 4, 64, 4096, 4096 + 38, 4096),
        ("legacy", 128, 2048, 4096, 4096 + 1030, 4096),
        # 256: 4096 + 518 bytes end in the second page, so the used ring begins the third.
        ("legacy", 256, 4096, 8192, 8192 + 2054, 4096),
        ("legacy", 32768, 524288, 593920, 593920 + 262150, 4096),
        ("modern", 1, 16, 24, 24 + 14, 64),
        ("modern", 2, 32, 44, 44 + 22, 64),
        ("modern", 4, 64, 80, 80 + 38, 64),
        ("modern", 256, 4096, 4616, 4616 + 2054, 64),
        ("modern", 32768, 524288, 589832, 589832 + 262150, 64),
    ],
)
def test_offsets(layout: str, queue_size: int, avail: int, used: int, size: int, alignment: int) -> None:
    """Both placements put the parts where sections 2.7 and 2.7.2 say."""
    placed = LAYOUTS[layout](queue_size)
    assert (placed.desc, placed.avail, placed.used) == (0, avail, used)
    assert (placed.size, placed.alignment) == (size, alignment)


@pytest.mark.parametrize("layout", ["legacy", "modern"])
@pytest.mark.parametrize("queue_size", [-4, 0, 3, 6, 255, 32767, 65536])
def test_impossible_queue_sizes(layout: str, queue_size: int) -> None:
    """A queue size that is no power of two up to 32768 is refused in one line that names it."""
    with pytest.raises(ValueError, match=f"^queue size {queue_size} is not a power of two") as error:
        LAYOUTS[layout](queue_size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("layout", ["legacy", "modern"])
def test_parts_do_not_overlap(layout: str) -> None:
    """For every queue size the parts follow one another, aligned to 16, 2 and 4."""
    for exponent in range(16):
        queue_size = 1 << exponent
        placed = LAYOUTS[layout](queue_size)
        assert placed.desc + 16 * queue_size <= placed.avail
        assert placed.avail + 6 + 2 * queue_size <= placed.used
        assert placed.used + 6 + 8 * queue_size == placed.size
        assert (placed.desc % 16, placed.avail % 2, placed.used % 4) == (0, 0, 0)
