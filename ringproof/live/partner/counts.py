"""What the partner has done so far."""

from dataclasses import dataclass


@dataclass(slots=True)
class PartnerCounts:
    """Counters of one partner, all from 0; ``frames`` = answered, silent, foreign and bad ones together.

    ``foreign`` frames are not for the partner, ``malformed`` ones are for it and broken, ``bad_sums`` have a
    wrong checksum (of the transport only if the frame was not offloaded), ``unserved`` ones are whole, but
    nothing here is for them: fragments, other protocols, ports without a service.
    """

    frames: int = 0
    foreign: int = 0
    malformed: int = 0
    bad_sums: int = 0
    unserved: int = 0
    sent: int = 0
    arp_replies: int = 0
    arp_probes: int = 0
    arp_answers: int = 0
    echo_replies: int = 0
    echo6_replies: int = 0
    neighbour_adverts: int = 0
    udp_echoes: int = 0
    dhcp_offers: int = 0
    dhcp_acks: int = 0
    dhcp_naks: int = 0
    tftp_requests: int = 0
    tftp_blocks: int = 0
    tftp_acks: int = 0
    tftp_resent: int = 0
    tftp_errors: int = 0
    tftp_finished: int = 0
    tcp_opened: int = 0
    tcp_closed: int = 0
    tcp_resets: int = 0
    tcp_taken: int = 0
    tcp_given: int = 0
    tcp_resent: int = 0
