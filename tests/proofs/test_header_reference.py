"""The model of the header beside the Python reference: the bytes a whole driver leaves in a control block."""

import random
from dataclasses import fields

import pytest
import z3

from ringproof.impl.harness import net_operations
from ringproof.impl.harness.frames import FRAME_ADDRESS, POISON_BYTE, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import EventKind, NetCode, NetConfig, Op
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.model.header import Features, Header
from ringproof.proofs.mutants.packet import MUTANTS

SHOWN = 16
"""Bytes of the control block that are compared: the header's, and some behind it."""

NAMES = [each.name for each in fields(Features)]
BITS = {name: int(getattr(net_operations, f"F_{name}")) for name in NAMES}


class Written:
    """A model's bytes, as formulas of packet, features and profile."""

    def __init__(self, model: type[Header]) -> None:
        self.header = model()
        memory = self.header.written(lambda _: z3.BitVecVal(POISON_BYTE, 8))
        self.bytes = [memory(z3.IntVal(address)) for address in range(SHOWN)]

    def of(self, frame: Frame, features: int, *, linux: bool) -> tuple[bytes, bool]:
        """Return what a control block holds afterwards, and whether the frame is refused."""
        packet = self.header.packet
        values = {
            **{getattr(self.header.features, name): bool(features & bit) for name, bit in BITS.items()},
            **{getattr(packet, name): getattr(frame, name) for name in ("checksum", "ecn")},
            **{getattr(packet, name): getattr(frame, name) for name in ("csum_start", "csum_offset")},
            packet.gso: int(frame.gso),
            packet.gso_size: frame.gso_size,
            packet.length: len(frame.data),
            packet.head_length: len(frame.packet.head),
            self.header.linux: linux,
        }
        pairs = [
            (term, z3.BoolVal(value) if isinstance(value, bool) else z3.BitVecVal(value, term.size()))
            for term, value in values.items()
        ]
        held = bytes(z3.simplify(z3.substitute(byte, *pairs)).as_long() for byte in self.bytes)
        return held, z3.is_true(z3.simplify(z3.substitute(self.header.is_refused(), *pairs)))


def _frame(rng: random.Random) -> Frame:
    head = rng.randbytes(rng.choice((60, 1000, 65535, 65536, 65550)))
    kind = rng.choice((Gso.NONE, Gso.NONE, *Gso))
    checksum = rng.random() < (0.5 if kind == Gso.NONE else 0.9)
    return Frame(
        Packet(head),
        checksum=checksum,
        csum_start=rng.choice((0, 14, 34, 40)),
        csum_offset=rng.choice((6, 16, 18)),
        gso=kind,
        gso_size=rng.choice((0, 1, 536, 1448, 65535)),
        ecn=rng.random() < 0.2,
    )


def _differences(model: type[Header], drivers: int) -> tuple[int, int, int]:
    """Return how many frames were refused, how many were not, and of how many the two disagree."""
    rng, written = random.Random(11), Written(model)
    refused = accepted = differing = 0
    for number in range(drivers):
        features = sum(bit for bit in BITS.values() if rng.random() < 0.75)
        transport, profile = ("legacy", "modern")[number % 2], ("linux-3.11", "virtio-1.x")[number // 2 % 2]
        frames = [_frame(rng) for _ in range(8)]
        runner = NetRunner(NetConfig(64, features, transport, profile), frames)
        assert runner.step(Op(NetCode.PROBE)).status == 0
        for frame_number, placed in enumerate(runner.placed):
            result = runner.step(Op(NetCode.XMIT, a=frame_number))
            at = placed.control - FRAME_ADDRESS
            held = bytes(runner.window()[at : at + SHOWN])
            expected, is_refused = written.of(
                placed.frame, runner.info.features, linux=profile == "linux-3.11"
            )
            dropped = any(event.kind == EventKind.FREED for event in result.events)
            differing += (held, dropped) != (expected, is_refused)
            refused, accepted = refused + dropped, accepted + (not dropped)
    return refused, accepted, differing


def test_the_model_writes_what_the_driver_writes() -> None:
    """On random frames and offers, every profile and transport: the same bytes, and the same frames refused.

    What a refused frame's control block held, and what lies behind the header, stays in both.
    """
    refused, accepted, differing = _differences(Header, 40)
    assert min(refused, accepted) > 40
    assert differing == 0


@pytest.mark.parametrize("mutant", [each for each in MUTANTS if issubclass(MUTANTS[each].model, Header)])
def test_a_defect_in_the_model_alone_is_noticed(mutant: str) -> None:
    """With any of the header's mutants in place of the model, some bytes differ."""
    assert _differences(MUTANTS[mutant].model, 12)[2] > 0
