"""The two drivers the reference can be: Linux 3.11 to the byte, and the same one mended.

A profile is a set of habits. Each is named for what Linux 3.11 does; the other profile does not do it.
"""

from dataclasses import dataclass

F_INDIRECT_DESC = 1 << 28
F_EVENT_IDX = 1 << 29
F_VERSION_1 = 1 << 32
FEATURES = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1
"""The feature bits a queue can be given (VIRTIO 1.3 section 6), as masks."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one of the two drivers does where they differ."""

    name: str
    writes_flags_with_event_idx: bool
    """Callbacks are switched by avail.flags even when EVENT_IDX was negotiated (against 2.7.7.1)."""
    writes_used_event_always: bool
    """used_event is written even when EVENT_IDX was not negotiated."""
    longer_chains_in_tables: bool
    """A chain in an indirect table may have more descriptors than the queue (against 2.7.5.3.1)."""
    notifies_full_ring_always: bool
    """A full ring is notified of even when the device asked not to be (against 2.7.10.1)."""
    resets_without_waiting: bool
    """After a reset of the legacy transport status is read once, whatever it says (against 2.4.2)."""
    accepts_features_alone: bool
    """A feature is accepted without the one it requires (against 5.1.3.1)."""
    takes_queues_of_one: bool
    """A transmit queue of size 1 is used though header and data need a descriptor each."""
    ignores_version_1_in_header: bool
    """The header has 10 bytes under VERSION_1 unless MRG_RXBUF was accepted (against 5.1.6)."""
    passes_offloads_unchecked: bool
    """The header asks for whatever the stack asks for, negotiated and consistent or not (against 5.1.6.2)."""
    drops_longer_chains: bool
    """A frame of more segments than the queue has descriptors is dropped instead of made linear."""
    wants_room_beyond_ring: bool
    """The queue stops below 2 + MAX_SKB_FRAGS free descriptors even if it never has as many."""
    wraps_hdr_len: bool
    """hdr_len of a linear part of 64 KiB or more keeps the low 16 bits of its length (against 5.1.6.2.1)."""
    wakes_without_looking: bool
    """The transmit interrupt wakes the queue without reclaiming and without looking at num_free."""


LINUX_3_11 = Profile(
    name="linux-3.11",
    writes_flags_with_event_idx=True,
    writes_used_event_always=True,
    longer_chains_in_tables=True,
    notifies_full_ring_always=True,
    resets_without_waiting=True,
    accepts_features_alone=True,
    takes_queues_of_one=True,
    ignores_version_1_in_header=True,
    passes_offloads_unchecked=True,
    drops_longer_chains=True,
    wants_room_beyond_ring=True,
    wraps_hdr_len=True,
    wakes_without_looking=True,
)
VIRTIO_1_X = Profile(
    name="virtio-1.x",
    writes_flags_with_event_idx=False,
    writes_used_event_always=False,
    longer_chains_in_tables=False,
    notifies_full_ring_always=False,
    resets_without_waiting=False,
    accepts_features_alone=False,
    takes_queues_of_one=False,
    ignores_version_1_in_header=False,
    passes_offloads_unchecked=False,
    drops_longer_chains=False,
    wants_room_beyond_ring=False,
    wraps_hdr_len=False,
    wakes_without_looking=False,
)
PROFILES = {profile.name: profile for profile in (LINUX_3_11, VIRTIO_1_X)}
