"""The feature bits of a network device (VIRTIO 1.3 sections 5.1.3 and 6), as masks."""

from .profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1, Profile

F_CSUM = 1 << 0
F_MAC = 1 << 5
F_HOST_TSO4 = 1 << 11
F_HOST_TSO6 = 1 << 12
F_HOST_ECN = 1 << 13
F_HOST_UFO = 1 << 14
F_MRG_RXBUF = 1 << 15
F_STATUS = 1 << 16
F_CTRL_VQ = 1 << 17
F_MQ = 1 << 22

UNDERSTOOD = (
    F_CSUM | F_MAC | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN | F_HOST_UFO | F_MRG_RXBUF | F_STATUS
    | F_CTRL_VQ | F_MQ | F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1
)  # fmt: skip
"""All that this driver can use."""


def accepted_features(offered: int, understood: int, profile: Profile) -> int:
    """Choose among the features offered: those understood and, mended, not lacking what they require.

    VIRTIO 1.3 sections 2.2.1 and 5.1.3.1; Linux 3.11 ``virtio_dev_probe``.
    """
    accepted = offered & understood
    if profile.accepts_features_alone:
        return accepted
    if not accepted & F_CSUM:
        accepted &= ~(F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_UFO)
    if not accepted & (F_HOST_TSO4 | F_HOST_TSO6):
        accepted &= ~F_HOST_ECN
    if not accepted & F_CTRL_VQ:
        accepted &= ~F_MQ
    return accepted
