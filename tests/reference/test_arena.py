"""The allocator's policy, byte for byte."""

import pytest

from ringproof.impl.reference.arena import ARENA_ADDRESS, ARENA_BYTES, Arena, ArenaError


def test_classes_and_bump() -> None:
    """Blocks are powers of two with room for the red zone, aligned to their class up to a page."""
    arena = Arena()
    assert arena.allocate(32, 16) == ARENA_ADDRESS  # 32 + 32 fills the class of 64
    assert arena.allocate(33, 16) == ARENA_ADDRESS + 128  # one byte more: 128, aligned to 128
    assert arena.allocate(1, 16) == ARENA_ADDRESS + 256
    assert arena.allocate(8, 4096) == ARENA_ADDRESS + 4096
    assert arena.allocate(5000, 16) == ARENA_ADDRESS + 8192
    assert arena.allocate(5000, 16) == ARENA_ADDRESS + 16384
    assert arena.bump == 16384 + 8192


def test_last_released_first() -> None:
    """A class hands out what was released to it last, before it takes new memory."""
    arena = Arena()
    first, second = arena.allocate(16, 16), arena.allocate(16, 16)
    assert first is not None
    assert second is not None
    bump = arena.bump
    arena.release(first, 16)
    arena.release(second, 16)
    assert arena.allocate(30, 2) == second
    assert arena.allocate(16, 16) == first
    assert arena.bump == bump


def test_fill_bytes() -> None:
    """A block is filled when handed out, followed by its red zone, and filled again when given back."""
    arena = Arena()
    address = arena.allocate(20, 16)
    assert address is not None
    assert bytes(arena.memory[:52]) == b"\xa5" * 20 + b"\xbd" * 32
    assert bytes(arena.memory[52:64]) == bytes(12)
    arena.release(address, 20)
    assert bytes(arena.memory[:52]) == b"\x5a" * 20 + b"\xbd" * 32


def test_bad_releases() -> None:
    """A release of nothing, of another size, a second one and one behind a stray write are all refused."""
    arena = Arena()
    address = arena.allocate(20, 16)
    assert address is not None
    with pytest.raises(ArenaError, match="no live block of 20 bytes"):
        arena.release(address + 16, 20)
    with pytest.raises(ArenaError, match="no live block of 21 bytes"):
        arena.release(address, 21)
    arena.memory[20] = 0
    with pytest.raises(ArenaError, match="red zone"):
        arena.release(address, 20)
    arena.memory[20] = 0xBD
    arena.release(address, 20)
    with pytest.raises(ArenaError, match="no live block"):
        arena.release(address, 20)


def test_no_room() -> None:
    """Nothing is handed out while allocation is made to fail, nor beyond the end of the arena."""
    arena = Arena()
    arena.fail = True
    assert arena.allocate(16, 16) is None
    arena.fail = False
    half = ARENA_BYTES // 2 - 32
    assert arena.allocate(half, 16) == ARENA_ADDRESS
    assert arena.allocate(half, 16) == ARENA_ADDRESS + ARENA_BYTES // 2
    assert arena.allocate(1, 16) is None


def test_view_stays_inside() -> None:
    """An address outside the arena has no bytes."""
    arena = Arena()
    assert len(arena.view(ARENA_ADDRESS, ARENA_BYTES)) == ARENA_BYTES
    for address, size in (
        (ARENA_ADDRESS - 1, 1),
        (ARENA_ADDRESS + ARENA_BYTES, 1),
        (ARENA_ADDRESS, ARENA_BYTES + 1),
    ):
        with pytest.raises(ArenaError, match="not in the arena"):
            arena.view(address, size)


def test_restore_forgets_what_came_after() -> None:
    """A restored arena hands out the same addresses again, and memory taken since is zero."""
    arena = Arena()
    kept = arena.allocate(16, 16)
    assert kept is not None
    state = arena.snapshot()
    arena.release(kept, 16)
    arena.allocate(200, 16)
    arena.restore(state)
    assert arena.snapshot() == state
    assert bytes(arena.memory[64:1024]) == bytes(960)
    assert arena.allocate(16, 16) == kept + 64
