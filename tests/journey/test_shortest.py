"""The findings about the rings have a shortest run of the whole driver, which the mended driver survives."""

import json
from dataclasses import replace
from functools import cache

import pytest

from ringproof.impl.harness.net_operations import F_INDIRECT_DESC, EventKind, NetCode, Op
from ringproof.journey import shortest as searched
from ringproof.journey.document import from_json
from ringproof.journey.recording import record
from ringproof.journey.replay import replay_on_reference
from ringproof.journey.run import LINUX, MENDED, observe
from ringproof.journey.shortest import RING_FINDINGS, RingFinding, Shown, shortest
from ringproof.validation.clauses import CLAUSES


@cache
def _of(name: str) -> Shown:
    shown = shortest(name)
    assert isinstance(shown, Shown)
    return shown


@pytest.mark.parametrize("name", RING_FINDINGS)
def test_only_linux_goes_wrong_and_only_in_the_last_operation(name: str) -> None:
    """The clause breaks for linux-3.11 in the last operation, and never for virtio-1.x doing the same."""
    shown = _of(name)
    assert shown.run.config.profile == LINUX
    accused = observe(shown.run.config, shown.run)
    assert accused.wrong[shown.clause][1] == len(shown.run.operations) - 1
    assert accused.wrong[shown.clause][0] in shown.said
    mended = observe(replace(shown.run.config, profile=MENDED), shown.run)
    assert len(mended.results) == len(shown.run.operations)
    assert not mended.wrong.keys() & RING_FINDINGS[name].clauses.keys()


@pytest.mark.parametrize("name", RING_FINDINGS)
def test_the_trace_replays(name: str) -> None:
    """Written down and read back, the run goes the same way step by step."""
    shown = _of(name)
    document = record(
        shown.run.config, shown.run.frames, shown.run.operations, property=name, violated=shown.said
    )
    again = from_json(json.loads(document.text()), "it")
    assert again == document
    assert replay_on_reference(again).step is None


def test_flags_are_written_in_two_operations() -> None:
    """A device that gives the first frame back at its kick is enough: the queue stops, and starts again."""
    shown = _of("flags-stay-zero-linux-3.11")
    assert [op.code for op in shown.run.operations] == [NetCode.PROBE, NetCode.XMIT]
    assert "avail.flags is 0x1" in shown.said
    assert "a MUST" in shown.said


def test_a_chain_longer_than_the_smallest_queue() -> None:
    """Three segments in a table, in a queue of 2; the mended driver sends the frame in two."""
    shown = _of("chain-fits-queue-linux-3.11")
    assert (shown.run.config.queue_size, shown.run.config.features) == (2, F_INDIRECT_DESC)
    assert [op.code for op in shown.run.operations] == [NetCode.PROBE, NetCode.XMIT, NetCode.NET_READ]
    assert "3 descriptors in a queue of 2" in shown.said
    mended = observe(replace(shown.run.config, profile=MENDED), shown.run)
    assert mended.results[-1] is not None
    assert mended.results[-1].status == 1


def test_a_full_ring_is_notified_of_against_the_devices_wish() -> None:
    """The device has asked for silence; the last frame is dropped, and the driver notifies all the same."""
    shown = _of("full-ring-kick-linux-3.11")
    *_, asked, last = shown.run.operations
    assert asked == Op(NetCode.NET_SET_FLAGS, in_=1, a=1)
    assert last.code == NetCode.XMIT
    result = observe(shown.run.config, shown.run).results[-1]
    assert result is not None
    assert (EventKind.FREED, last.a + 1) in result.events
    assert [access.value for access in result.accesses if access.write] == [1]
    assert CLAUSES[shown.clause].breach == "warn"
    assert "a SHOULD NOT" in shown.said


def test_what_cannot_be_found_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clause that breaks in no run gives the number of runs tried; an unknown name is a KeyError."""
    monkeypatch.setattr(searched, "_LONGEST", 3)
    monkeypatch.setitem(RING_FINDINGS, "none", RingFinding((0,), {"2.7.7.1c": ""}))
    tried = shortest("none")
    assert isinstance(tried, int)
    assert tried > 20
    with pytest.raises(KeyError):
        shortest("frame-fits-linux-3.11")
