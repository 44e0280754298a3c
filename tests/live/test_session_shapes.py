"""What real front-ends do that a tidy one would not: regions shared twice, features untold, half a status."""

from ringproof.live.session import ALL_PROTOCOL, Options
from ringproof.live.tallies import Check

from . import vhost_peer as v
from .vhost_peer import Peer, region, u64

FRAME = bytes(12) + bytes(60)


def test_a_region_shared_twice_stays_until_it_was_taken_back_twice() -> None:
    """QEMU shares its memory once for each pair of queues, and takes it back as often."""
    with Peer() as peer:
        peer.negotiate()
        for _ in range(2):
            peer.send(v.ADD_MEM_REG, u64(0) + region(), [peer.memory])
        peer.run()
        assert peer.session.view().regions == 1
        for left in (1, 0):
            peer.send(v.REM_MEM_REG, u64(0) + region())
            peer.run()
            assert peer.session.view().regions == left
        assert peer.session.trouble()[0] == 0


def test_queues_start_though_no_features_were_told() -> None:
    """DPDK tells none where VERSION_1 is not offered; what comes later begins the queue anew."""
    with Peer() as peer:
        peer.share()
        peer.set_up(1, enable=False)
        peer.send(v.SET_VRING_KICK, u64(1), [peer.kicks[1]])
        peer.run(rounds=10)
        view = peer.session.view()
        assert (view.features_known, view.queues[1].runs) == (False, True)
        peer.publish(FRAME)
        peer.run(1000, rounds=5)
        assert peer.used_idx() == 1
        peer.send(v.SET_FEATURES, u64(v.VERSION_1))
        peer.run(rounds=10)
        view = peer.session.view()
        assert (view.features_known, view.queues[1].runs, view.queues[1].started) == (True, True, 2)
        assert peer.session.tallies()[Check.FEATURES_LATE].failed == 0


def test_a_status_that_is_not_whole_is_not_judged() -> None:
    """One that begins with FEATURES_OK is made up by the front-end; one that begins as it must is judged."""
    for told, known in (((0x0B, 0x0F), False), ((1, 3, 0x0B, 0x0F), True)):
        with Peer(Options(v.OFFERED, protocol_features=int(ALL_PROTOCOL))) as peer:
            peer.negotiate()
            for status in told:
                peer.send(v.SET_STATUS, u64(status))
            peer.run(rounds=3)
            assert peer.session.view().status_known is known
            judged = peer.session.tallies().get(Check.STATUS_ORDER)
            assert (judged.checked if judged else 0) == (len(told) if known else 0)
