"""The other end of the wire: what answers a guest, so that it goes on sending."""
