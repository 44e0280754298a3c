"""Registers of a virtio PCI device by their names, and what their values say."""

from typing import Any

from ..impl.harness.net_operations import (
    FEATURE_NAMES,
    NOTIFY_OFF_MULTIPLIER,
    NOTIFY_SPREAD,
    Access,
    Region,
)

_STATUS = (
    (1, "ACKNOWLEDGE"), (2, "DRIVER"), (4, "DRIVER_OK"), (8, "FEATURES_OK"), (64, "NEEDS_RESET"),
    (128, "FAILED"),
)  # fmt: skip
_ISR = ((1, "queue"), (2, "configuration"))

_LEGACY = {
    0: "device_features", 4: "driver_features", 8: "queue_page_frame", 12: "queue_size", 14: "queue_select",
    16: "queue_notify", 18: "device_status", 19: "isr",
}  # fmt: skip
_COMMON = {
    0: "device_feature_select", 4: "device_feature", 8: "driver_feature_select", 12: "driver_feature",
    16: "msix_config", 18: "num_queues", 20: "device_status", 21: "config_generation", 22: "queue_select",
    24: "queue_size", 26: "queue_msix_vector", 28: "queue_enable", 30: "queue_notify_off",
    32: "queue_desc_lo", 36: "queue_desc_hi", 40: "queue_driver_lo", 44: "queue_driver_hi",
    48: "queue_device_lo", 52: "queue_device_hi",
}  # fmt: skip
_LEGACY_CONFIGURATION = 20
_STATUS_AT, _PAIRS_AT = 6, 8


def register_name(region: int, offset: int) -> str:
    """The name of a register (VIRTIO 1.3 sections 4.1.4.3 and 4.1.4.10), or region and offset without one."""
    match region:
        case Region.IO if offset >= _LEGACY_CONFIGURATION:
            return _configuration(offset - _LEGACY_CONFIGURATION)
        case Region.IO:
            return _LEGACY.get(offset, f"IO+{offset}")
        case Region.COMMON:
            return _COMMON.get(offset, f"COMMON+{offset}")
        case Region.NOTIFY:
            spread, rest = divmod(offset, NOTIFY_OFF_MULTIPLIER)
            queue, odd = divmod(spread - 1, NOTIFY_SPREAD)
            return f"NOTIFY+{offset}" if rest or odd or queue < 0 else f"queue_notify[{queue}]"
        case Region.ISR:
            return "isr" if offset == 0 else f"ISR+{offset}"
        case Region.DEVICE:
            return _configuration(offset)
    return f"region {region}+{offset}"


def _configuration(offset: int) -> str:
    if 0 <= offset < _STATUS_AT:
        return f"mac[{offset}]"
    for name, at in (("status", _STATUS_AT), ("max_virtqueue_pairs", _PAIRS_AT)):
        if at <= offset < at + 2:
            return f"config.{name}" + (f"[{offset - at}]" if offset > at else "")
    return f"config+{offset}"


def value_words(register: str, value: int) -> str:
    """A value as a reader wants it: status bits and features by name, addresses in hex, others in decimal."""
    match register:
        case "device_status":
            return _bits(value, _STATUS)
        case "isr":
            return _bits(value, _ISR)
        case "device_features" | "driver_features":
            return _bits(value, tuple((bit, name) for name, bit in FEATURE_NAMES.items() if bit < 1 << 32))
        case "queue_page_frame":
            return f"{value:#x}" if value else "0"
    if register.startswith(("queue_desc", "queue_driver", "queue_device", "mac[")):
        return f"{value:#x}"
    if register in ("device_feature", "driver_feature"):
        # Which word it is, the select register has said before.
        return f"{value:#010x}"
    return str(value)


def _bits(value: int, names: tuple[tuple[int, str], ...]) -> str:
    words = [name for bit, name in names if value & bit]
    rest = value & ~sum(bit for bit, _ in names)
    if rest:
        words.append(f"{rest:#x}")
    return " ".join(words) if words else "0"


def access_record(access: Access) -> dict[str, Any]:
    """One access as a value of a trace's state."""
    region = Region(access.region).name if access.region in {int(one) for one in Region} else "UNKNOWN"
    return {
        "write": access.write,
        "register": register_name(access.region, access.offset),
        "region": region,
        "offset": access.offset,
        "width": access.width,
        "value": access.value,
    }
