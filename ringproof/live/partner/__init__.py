"""The other end of the wire: what answers a guest, so that it goes on sending."""

from .counts import PartnerCounts
from .station import Partner

__all__ = ["Partner", "PartnerCounts"]
