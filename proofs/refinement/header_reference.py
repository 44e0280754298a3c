"""The Python reference's header against the model: all packets, all feature sets, both profiles."""

import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import z3

from ..discharge import ObligationResult
from ..symbolic.errors import Missing
from .deciding import Question, decide
from .explorer import Exploration, Path, Run, explore
from .header_expected import BITS, Expected, concrete, difference, expected
from .header_modules import Cells, functions_of, module_of, source_of
from .refinement import Code
from .symbolic_int import SymbolicBool, SymbolicInt, term_of

FEATURE_BITS = 64


def key(code: Code) -> str:
    """Return the sources that the questions are made of."""
    return source_of(code.reference, "net_header", "features", "profile", "skbuff")


def check(code: Code, linux: bool) -> list[ObligationResult]:
    """Compare size, acceptance and every byte in one profile. Raises Missing for what can't be followed."""
    key(code)
    return [decide(question, finite=True) for question in questions(code, linux)]


def questions(code: Code, linux: bool) -> Iterator[Question]:
    """Yield what is to be shown."""
    model = expected(linux)
    yield Question("some packet is accepted, some is refused", (), z3.BoolVal(_both_happen(model)))
    runs: dict[str, Any] = {
        "virtio_net_hdr_size": _size,
        "virtio_net_hdr_possible": _possible,
        "virtio_net_hdr, 10 bytes": partial(_write, size=10),
        "virtio_net_hdr, 12 bytes": partial(_write, size=12),
    }
    for name, program in runs.items():
        given = dict(model.known)
        if name.startswith("virtio_net_hdr,"):
            given |= {
                "accepted": z3.Not(model.refused),
                "size": model.size == int(name.split()[1]),
            }
        found: Exploration[list[tuple[str, Any]]] = explore(partial(program, code=code, model=model), given)
        if not found.paths:
            raise Missing(f"{name}: no way leads through it")
        yield Question(
            f"{name}: every packet takes a way that was followed", (), found.tree, (given,), model.shown
        )
        for path in found.paths:
            yield from _of_path(name, path, model)


def _of_path(name: str, path: Path[list[tuple[str, Any]]], model: Expected) -> Iterator[Question]:
    if path.error is not None or path.result is None:
        what = f"{name}: no error is raised ({type(path.error).__name__})"
        yield Question(what, path.conditions, False, (dict(path.known),), model.shown)
        return
    for due in path.due:
        yield Question(f"{name}: {due.what}", path.conditions, due.goal, (dict(path.known),), model.shown)
    for what, goal in path.result:
        yield Question(f"{name}: {what}", path.conditions, goal, (dict(path.known),), model.shown)


def _size(run: Run, code: Code, model: Expected) -> list[tuple[str, Any]]:
    function = functions_of(module_of(code.reference, "net_header"), run)["virtio_net_hdr_size"]
    size = function(_features(run, model), _profile(code, model))
    return [("as many bytes as the model says", term_of(size) == model.size)]


def _possible(run: Run, code: Code, model: Expected) -> list[tuple[str, Any]]:
    function = functions_of(module_of(code.reference, "net_header"), run)["virtio_net_hdr_possible"]
    possible = function(_packet(run, code, model), _features(run, model), _profile(code, model))
    return [("accepted is what the model accepts", term_of(possible) == z3.Not(model.refused))]


def _write(run: Run, code: Code, model: Expected, size: int) -> list[tuple[str, Any]]:
    function = functions_of(module_of(code.reference, "net_header"), run)["virtio_net_hdr"]
    cells: list[Any] = [run.number(byte) for byte in model.old]
    function(_packet(run, code, model), Cells(cells, size), _profile(code, model))
    same = [term_of(cell) == byte for cell, byte in zip(cells, model.after, strict=True)]
    return [
        ("each byte of the header is the model's", z3.And(same[:size])),
        ("no other byte changes", z3.And(same[size:])),
    ]


def _profile(code: Code, model: Expected) -> Any:
    profiles = module_of(code.reference, "profile")
    return profiles.LINUX_3_11 if model.linux else profiles.VIRTIO_1_X


def _features(run: Run, model: Expected) -> SymbolicInt:
    bits: dict[int, Any] = {place: z3.Bool(f"feature_{place}") for place in range(FEATURE_BITS)}
    return SymbolicInt(run, bits=bits | {place: model.flags[name] for name, place in BITS.items()})


def _packet(run: Run, code: Code, model: Expected) -> Any:
    numbers = {name: run.number(number) for name, number in model.numbers.items()}
    return module_of(code.reference, "skbuff").SkBuff(
        head=(run.integer("head_address"), numbers["head_length"]),
        checksum=SymbolicBool(run, model.flags["checksum"]),
        ecn=SymbolicBool(run, model.flags["ecn"]),
        **{name: numbers[name] for name in ("csum_start", "csum_offset", "gso", "gso_size")},
    )


def _both_happen(model: Expected) -> bool:
    """Tell whether the hypotheses hold of some packet that is accepted, and of one that is not."""
    answers = []
    for flag in (model.refused, z3.Not(model.refused)):
        solver = z3.Solver()
        solver.add(*model.known.values(), flag)
        answers.append(solver.check() == z3.sat)
    return all(answers)


def replay(counterexample: dict[str, Any], code: Code) -> str:
    """Run the reference on a packet of a counterexample; return what is wrong, or an empty text.

    What is right is the model's, computed for this packet alone.
    """
    linux = counterexample["profile"] == "linux-3.11"
    model = concrete(counterexample)
    header = importlib.import_module(f"{code.reference.__name__}.net_header")
    skbuff, profiles = module_of(code.reference, "skbuff"), module_of(code.reference, "profile")
    profile = profiles.LINUX_3_11 if linux else profiles.VIRTIO_1_X
    features = sum(1 << place for name, place in BITS.items() if counterexample[name])
    packet = skbuff.SkBuff(
        head=(0x1000, counterexample["head_length"]),
        **{
            name: counterexample[name]
            for name in ("checksum", "ecn", "csum_start", "csum_offset", "gso", "gso_size")
        },
    )
    size = header.virtio_net_hdr_size(features, profile)
    possible = header.virtio_net_hdr_possible(packet, features, profile)
    memory = bytearray(counterexample["memory"])
    if not model.refused:
        try:
            header.virtio_net_hdr(packet, memoryview(memory)[: model.size], profile)
        except Exception as error:
            return f"an error is raised: {type(error).__name__}"
    return difference(model, size, bool(possible), bytes(memory))
