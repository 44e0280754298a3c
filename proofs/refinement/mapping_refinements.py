"""What is claimed of the header and of skb_to_sgvec, of both codes."""

from functools import partial

from . import header_c, header_reference, mapping_c, mapping_entries, mapping_reference
from .mapping_objects import key_of
from .mapping_walk import NESTED, SHAPES
from .refinement import Code, Part, Refinement

_PROFILES = (("linux-3.11", True), ("virtio-1.x", False))
_HEADER = (
    "Size, acceptance and every byte of struct virtio_net_hdr, and that no other byte is written, are the "
    "model's: for all packets, all feature sets and both profiles, whatever memory held before."
)
_WALK = (
    "Number of entries, the bytes each names, end mark and errors are those of the model's walk, for any "
    "sizes, addresses, offset and length, on packets of these shapes: {shapes}. Of packets of other shapes "
    "nothing is claimed here; the model's theorems are about all."
)
_SHAPES = "; ".join(map(str, SHAPES))
_WITH_NESTED = (*SHAPES, NESTED)
_ENTRIES = (
    "rp_sg_set, rp_sg_mark_end, rp_sg_init, rp_sg_count and rp_sg_read do to an entry of the table, and find "
    "in it, what their comments say; rp_skb_pieces also at its limits: 17 fragments, 18 pieces, 65 levels "
    "(that of 65536 packets is not reached)."
)


def _entries_key(code: Code) -> str:
    return key_of(code.c, mapping_c.SOURCE, *mapping_entries.FUNCTIONS)


def _walk_key(code: Code) -> str:
    return mapping_c.key(code, "rp_skb_to_sgvec", "rp_skb_copy", "rp_skb_pieces")


def _limits_key(code: Code) -> str:
    return mapping_c.key(code, "rp_skb_pieces")


PACKET_REFINEMENTS: tuple[Refinement, ...] = (
    Refinement(
        name="reference-header",
        title="The header is the model's, byte for byte",
        statement=_HEADER,
        clause="xmit_skb",
        code="reference",
        sizes=(),
        parts=tuple(
            Part(name, header_reference.key, partial(header_reference.check, linux=linux))
            for name, linux in _PROFILES
        ),
        broken_by=("E2", "E3", "E6", "X15", "X16"),
    ),
    Refinement(
        name="c-header",
        title="The header is the model's, byte for byte",
        statement=_HEADER,
        clause="xmit_skb",
        code="c",
        sizes=(),
        parts=tuple(
            Part(name, header_c.key, partial(header_c.check, linux=linux)) for name, linux in _PROFILES
        ),
        broken_by=("E2", "E3", "E6", "X15", "X16"),
    ),
    Refinement(
        name="reference-segments",
        title="The segments of a packet are those of the model's walk",
        statement=_WALK.format(shapes="; ".join(map(str, _WITH_NESTED))),
        clause="skb_to_sgvec",
        code="reference",
        sizes=(),
        parts=tuple(
            Part(str(shape), mapping_reference.key, partial(mapping_reference.check, shape=shape))
            for shape in _WITH_NESTED
        ),
        broken_by=("E11", "X11", "X12", "X13"),
    ),
    Refinement(
        name="c-segments",
        title="The segments of a packet are those of the model's walk",
        statement=f"{_WALK.format(shapes=_SHAPES)} rp_skb_copy copies the same bytes. {_ENTRIES}",
        clause="skb_to_sgvec",
        code="c",
        sizes=(),
        parts=(
            *(Part(str(shape), _walk_key, partial(mapping_c.check, shape=shape)) for shape in SHAPES),
            Part("single entries", _entries_key, mapping_entries.check),
            Part("limits", _limits_key, mapping_c.check_limits),
        ),
        broken_by=("E11", "X11", "X12", "X13"),
    ),
)
"""In the order reports print them."""
