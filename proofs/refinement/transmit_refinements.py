"""What is claimed of the transmit path's functions."""

from functools import partial

from ..discharge import ObligationResult
from . import (
    transmit_c,
    transmit_c_queues,
    transmit_invariants,
    transmit_reference,
    transmit_reference_queues,
)
from .refinement import Code, Part, Refinement

_PROFILES = (("linux-3.11", True), ("virtio-1.x", False))


def _no_code(_: Code) -> str:
    return "the model alone"


def _invariants(_: Code) -> list[ObligationResult]:
    return transmit_invariants.check()


_STEPS = (
    "From any moment that the model's invariants allow, they call the virtqueue and the stack (stop, start, "
    "wake, free, orphan) in the order of the model's steps and on the same conditions, drop a frame only "
    "for a reason, leave the counters as the model has them, free each frame and release each copy "
    "once{more}. The virtqueue, header and segments are taken to do what their own refinements show; device "
    "and interrupt handler act between any two calls. Loops are cut, so that any number of chains may come "
    "back."
)
_INVARIANTS = Part("the invariants it starts from", _no_code, _invariants)

TRANSMIT_REFINEMENTS: tuple[Refinement, ...] = (
    Refinement(
        name="c-transmit",
        title="The transmit path takes the steps of the model",
        statement=(
            "rp_net_start_xmit, rp_net_xmit_done and rp_net_free_unused. "
            + _STEPS.format(more=", and keep a record for each chain in flight")
        ),
        clause="start_xmit",
        code="c",
        sizes=(),
        parts=(
            *(
                Part(
                    f"{function}, {name}",
                    partial(transmit_c.key, function=function),
                    partial(transmit_c.check, function=function, linux=linux),
                )
                for function in transmit_c.FUNCTIONS
                for name, linux in _PROFILES
            ),
            _INVARIANTS,
        ),
        broken_by=("D9", "E19", "G3", "X14", "X23", "X24", "X25"),
    ),
    Refinement(
        name="c-transmit-queues",
        title="A transmit queue is made ready, and chosen, as the model has it",
        statement=(
            "rp_net_send_init puts each record into the list once and wants as much room as the model "
            "(start_xmit stops below it), at queue sizes "
            f"{', '.join(map(str, transmit_c_queues.SIZES))}; rp_net_queue_bytes has room for all of it, at "
            "every size; rp_net_select_queue chooses a queue in use, whatever was recorded."
        ),
        clause="virtnet_select_queue",
        code="c",
        sizes=transmit_c_queues.SIZES,
        parts=(Part("queues", transmit_c_queues.key, transmit_c_queues.check),),
        broken_by=("E10", "X22"),
    ),
    Refinement(
        name="reference-transmit",
        title="The transmit path takes the steps of the model",
        statement=(
            "SendQueue.start_xmit, skb_xmit_done and free_unused_bufs, with xmit_skb and "
            "free_old_xmit_skbs. "
            + _STEPS.format(more="")
            + " SendQueue.xmit_linear, which joins bytes, is taken to do what it says."
        ),
        clause="start_xmit",
        code="reference",
        sizes=(),
        parts=(
            *(
                Part(
                    f"{function}, {name}",
                    transmit_reference.key,
                    partial(transmit_reference.check, function=function, linux=linux),
                )
                for function in transmit_reference.FUNCTIONS
                for name, linux in _PROFILES
            ),
            _INVARIANTS,
        ),
        broken_by=("D9", "E19", "G3", "X14", "X23", "X24", "X25"),
    ),
    Refinement(
        name="reference-transmit-queues",
        title="A transmit queue is made ready, and chosen, as the model has it",
        statement=(
            "SendQueue.attach wants as much room as the model, at every queue size; "
            "VirtnetInfo.select_queue chooses a queue in use, for a wanted queue below "
            f"{transmit_reference_queues.ROUNDS} times the pairs in use."
        ),
        clause="virtnet_select_queue",
        code="reference",
        sizes=(),
        parts=(Part("queues", transmit_reference_queues.key, transmit_reference_queues.check),),
        broken_by=("E10", "X22"),
    ),
)
"""In the order reports print them."""
