"""What ``translation.c`` and the project's own drivers are compared on: parameters, memory, limits."""

import ctypes
from ctypes import c_bool, c_int8, c_int16, c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any

from .translation import Subject


def struct(name: str, *fields: tuple[str, Any]) -> Any:
    """A ctypes struct."""
    return type(name, (ctypes.Structure,), {"_fields_": list(fields)})


INNER = struct("inner", ("a", c_uint8), ("b", c_uint16 * 3), ("c", c_int32))
OUTER = struct(
    "outer",
    ("x", c_uint64),
    ("tiny", c_int8),
    ("small", c_int16),
    ("one", INNER),
    ("many", INNER * 4),
    ("words", c_uint32 * 8),
    ("flag", c_bool),
)
NODE = struct("node", ("next", c_void_p), ("value", c_uint32))
RING = struct("ring", ("flags", c_uint16), ("idx", c_uint16), ("cells", c_uint16 * 4), ("event", c_uint32))
FLAG: dict[object, int] = {("s", "flag"): 2}


def words(count: int = 4, name: str = "words") -> dict[str, Any]:
    """An array of 32-bit words."""
    return {name: (c_uint32 * count)()}


def corpus() -> list[Subject]:
    """The functions of ``translation.c``."""
    chain = {name: NODE() for name in ("first", "second", "third")}
    links = {("first", "next"): "third", ("third", "next"): "second"}
    return [
        Subject("sum", ("words", 32), 32, words(), limits={1: 5}),
        Subject("sum", ("words", 32), 32, words(), limits={1: 8}, defined=lambda _, count: count <= 4),
        Subject("find", ("words", 32), 32, words(), limits={("words", "value"): 3, 1: 3}),
        Subject("triangle", ("words", 32), 32, words(), limits={("words", "value"): 9, 1: 4}),
        Subject("by_pointer", ("words", 32), 32, words(), limits={1: 5}, terms=False),
        Subject("shift_down", ("words", 32), 0, words(), limits={1: 4}),
        Subject("bits_by_hand", (8,), 8),
        Subject("days", (8, 1), 32, limits={0: 16}),
        Subject("steps", ("words", 8), 0, words(), limits={1: 6}),
        Subject("clamp", (16, 16), 16),
        Subject("mix", ("s", 32, 8), 64, {"s": OUTER()}, limits={1: 3, **FLAG}),
        Subject("clear", ("s",), 0, {"s": OUTER()}),
        Subject("copy", ("to", "from"), 0, {"to": OUTER(), "from": OUTER()}),
        Subject("copy_part", ("s", 32), 0, {"s": OUTER()}, limits={1: 8}),
        Subject("move", ("words",), 0, words()),
        Subject("word_of_bytes", ("bytes",), 32, {"bytes": (c_uint8 * 8)()}),
        Subject("bytes_of_word", ("words", 8), 32, words(), terms=False),
        Subject("local_array", (16, 32), 32, limits={1: 6}, defined=lambda _, index: index < 4),
        Subject("walk", ("first",), 32, chain, links),
        Subject("pick", ("words", "other", 8), 64, {**words(), **words(4, "other")}, limits={2: 9}),
        Subject("relink", ("first", "second"), 0, chain, links),
        Subject("relink", ("first", "third"), 0, chain, links),
        Subject("looked_up", (32, 32), 64, limits={0: 6}, defined=lambda index, _: index < 4),
        # On terms, two indices in one address are refused: which cell is meant is seen by the form alone.
        Subject("two_dimensions", (32, 1), 16, limits={0: 3}, terms=False),
        Subject("counted", (32,), 32),
        Subject("indirect", (32, 32), 32, limits={0: 3}),
        Subject("ackermann_like", (8, 32), 32, limits={0: 3}, terms=False),
        Subject("restricted", ("words", 32), 0, words()),
        Subject("swapped", (16, 32, 64), 64),
        Subject("publish", ("ring", 16), 16, {"ring": RING()}),
        Subject("need_event", (16, 16, 16), 1),
        Subject("narrow", (8, 16, 32), 32),
        Subject("rounded", (32,), 32),
        Subject("joined", (32, 32, 8), 64),
        Subject("described", (32, 32), 32, limits={0: 8, 1: 8}),
    ]


# ---- the project's drivers

FRAGMENT = struct(
    "rp_net_fragment",
    ("page", c_void_p),
    ("page_address", c_uint64),
    ("offset", c_uint32),
    ("length", c_uint32),
)
PACKET = struct(
    "rp_net_packet",
    ("head", c_void_p),
    ("head_address", c_uint64),
    ("head_length", c_uint32),
    ("fragment_count", c_uint32),
    ("fragments", c_void_p),
    ("list", c_void_p),
    ("next", c_void_p),
    ("length", c_uint32),
    ("reserved", c_uint32),
)
FRAME = struct(
    "rp_net_frame",
    ("packet", c_void_p),
    ("token", c_void_p),
    ("control", c_void_p),
    ("control_address", c_uint64),
    ("checksum", c_uint8),
    ("gso", c_uint8),
    ("ecn", c_uint8),
    ("queue_recorded", c_uint8),
    ("csum_start", c_uint16),
    ("csum_offset", c_uint16),
    ("gso_size", c_uint16),
    ("recorded_queue", c_uint16),
    ("cpu", c_uint32),
)
SG = struct("rp_sg", ("page_link", c_uint64), ("offset", c_uint32), ("length", c_uint32))
SEGMENT = struct("rp_vq_segment", ("address", c_uint64), ("length", c_uint32))
PLACEMENT = struct(
    "rp_vq_placement", ("avail", c_uint64), ("used", c_uint64), ("bytes", c_uint64), ("alignment", c_uint64)
)

N = 4
DESC = struct("rp_vring_desc", ("addr", c_uint64), ("len", c_uint32), ("flags", c_uint16), ("next", c_uint16))
AVAIL = struct(
    "rp_vring_avail", ("flags", c_uint16), ("idx", c_uint16), ("ring", c_uint16 * N), ("used_event", c_uint16)
)
ELEMENT = struct("rp_vring_used_elem", ("id", c_uint32), ("len", c_uint32))
USED = struct(
    "rp_vring_used", ("flags", c_uint16), ("idx", c_uint16), ("ring", ELEMENT * N), ("avail_event", c_uint16)
)
DATA = struct("rp_vq_data", ("token", c_void_p), ("table", c_void_p), ("table_bytes", c_uint64))
OPS = struct(
    "rp_vq_ops",
    ("allocate", c_void_p),
    ("release", c_void_p),
    ("notify", c_void_p),
    ("callback", c_void_p),
    ("read_segment", c_void_p),
)
QUEUE = struct(
    "rp_vq",
    ("desc", c_void_p),
    ("avail", c_void_p),
    ("used", c_void_p),
    ("data", c_void_p),
    ("queue_size", c_uint32),
    ("num_free", c_uint32),
    ("free_head", c_uint16),
    ("num_added", c_uint16),
    ("last_used_idx", c_uint16),
    ("queue_index", c_uint16),
    ("broken", c_bool),
    ("indirect", c_bool),
    ("event_idx", c_bool),
    ("little_endian", c_bool),
    ("mended", c_bool),
    ("callbacks", c_bool),
    ("ops", c_void_p),
    ("context", c_void_p),
    ("ring", c_void_p),
    ("ring_bytes", c_uint64),
    ("desc_address", c_uint64),
    ("avail_address", c_uint64),
    ("used_address", c_uint64),
)


def _frames() -> list[Subject]:
    frame = {"frame": FRAME(), "packet": PACKET(), "header": (c_uint8 * 12)()}
    leads = {("frame", "packet"): "packet"}
    kinds: dict[object, int] = {("frame", each): 2 for each in ("checksum", "ecn")}
    return [
        Subject("rp_net_header_bytes", (64, 1), 32),
        Subject(
            "rp_net_header_check", ("frame", 64, 1), 32, frame, leads, limits={("frame", "gso"): 6, **kinds}
        ),
        Subject(
            "rp_net_header_write",
            ("header", "frame", 32, 1),
            0,
            frame,
            leads,
            limits={("frame", "gso"): 4, 2: 13, **kinds},
        ),
    ]


def _segments() -> list[Subject]:
    entries = {"sg": (SG * 6)(), "segment": SEGMENT()}
    tree: dict[str, Any] = {name: PACKET() for name in ("packet", "inner", "after")}
    leads: dict[tuple[str, str], str] = {("packet", "list"): "inner", ("inner", "next"): "after"}
    limits: dict[object, int] = {}
    for name in tuple(tree):
        tree[f"{name}_head"] = (c_uint8 * 8)()
        tree[f"{name}_page"] = (c_uint8 * 16)()
        tree[f"{name}_fragments"] = FRAGMENT()
        leads |= {
            (name, "head"): f"{name}_head",
            (name, "fragments"): f"{name}_fragments",
            (f"{name}_fragments", "page"): f"{name}_page",
        }
        limits |= {
            (name, "head_length"): 9,
            (name, "fragment_count"): 2,
            (name, "length"): 20,
            (f"{name}_fragments", "offset"): 8,
            (f"{name}_fragments", "length"): 9,
        }
    return [
        Subject("rp_sg_init", ("sg", 32), 0, entries, limits={1: 7}, terms=False, defined=lambda _, n: n > 0),
        Subject("rp_sg_set", ("sg", 64, 32), 0, entries),
        Subject("rp_sg_mark_end", ("sg",), 0, entries, terms=False),
        Subject("rp_sg_count", ("sg", 32), 32, entries, limits={1: 7}),
        Subject("rp_sg_read", ("sg", "segment"), 64, entries),
        Subject("rp_skb_pieces", ("packet",), 32, tree, leads, limits=limits),
        Subject(
            "rp_skb_to_sgvec",
            ("packet", "sg", 32, 32, 32),
            32,
            {**tree, **entries},
            leads,
            limits={**limits, 2: 7, 3: 30, 4: 40},
            terms=False,
        ),
        Subject(
            "rp_skb_copy",
            ("packet", "to", 32),
            32,
            {**tree, "to": (c_uint8 * 48)()},
            leads,
            limits={**limits, 2: 49},
            terms=False,
        ),
    ]


def _queues() -> list[Subject]:
    parts = {
        "vq": QUEUE(),
        "desc": (DESC * N)(),
        "avail": AVAIL(),
        "used": USED(),
        "data": (DATA * N)(),
        "ops": OPS(),
        "segments": (SG * 8)(),
        "token": (c_uint8 * 1)(),
        "told": (c_uint32 * 2)(),
        "found": struct("found", ("token", c_void_p))(),
        "length": (c_uint32 * 1)(),
    }
    leads = {("vq", name): name for name in ("desc", "avail", "used", "data", "ops")}
    leads |= {
        ("vq", "context"): "told",
        ("ops", "notify"): "told_notify()",
        ("ops", "callback"): "told_callback()",
        ("ops", "read_segment"): "rp_sg_read()",
        ("data", "token"): "token",
    }
    numbers: dict[tuple[object, ...], int] = {("vq", "queue_size"): N, ("vq", "indirect"): 0}
    # Chains that end: 0 and 2 lead to 1, that to 3.
    ending = {("desc", "next", i): after for i, after in enumerate((1, 3, 1, 2))} | {("desc", "flags", 3): 0}
    flags = ("broken", "event_idx", "little_endian", "mended", "callbacks")
    limits: dict[object, int] = {("vq", name): 2 for name in flags}
    limits |= {
        ("vq", "free_head"): N,
        ("vq", "num_free"): N + 1,
        ("desc", "next"): N,
        ("used", "ring.0"): N + 1,
    }

    def subject(name: str, parameters: tuple[int | str, ...], result: int, **more: Any) -> Subject:
        own = {**limits, **more.pop("limits", {})}
        fixed = {**numbers, **more.pop("numbers", {})}
        return Subject(name, parameters, result, parts, leads, fixed, own, **more)

    return [
        Subject("rp_vq_place", ("place", 32, 32), 0, {"place": PLACEMENT()}, limits={1: 32769, 2: 2}),
        subject("rp_vq_kick_prepare", ("vq",), 1),
        subject("rp_vq_kick", ("vq",), 0),
        subject("rp_vq_disable_cb", ("vq",), 0),
        subject("rp_vq_enable_cb_prepare", ("vq",), 16),
        subject("rp_vq_poll", ("vq", 16), 1),
        subject("rp_vq_enable_cb", ("vq",), 1),
        subject("rp_vq_enable_cb_delayed", ("vq",), 1),
        subject("rp_vq_interrupt", ("vq",), 1),
        subject(
            "rp_vq_add",
            ("vq", "segments", 32, 32, "token"),
            32,
            limits={2: 4, 3: 3},
            terms=False,
        ),
        subject("rp_vq_get_buf", ("vq", "found", "length"), 32, numbers=ending, terms=False),
    ]


def drivers() -> list[Subject]:
    """Functions of the header, of scatter lists, and of the virtqueue, with a ring of four descriptors."""
    return [*_frames(), *_segments(), *_queues()]
