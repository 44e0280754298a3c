"""Digests that stand for questions to the solver, and for the sources that questions are made from.

A term's digest is one of its text: Z3's own SMT-LIB, with the declaration of everything that occurs in it,
read with all abbreviations (``let``) written out, for Z3 abbreviates differently in each process. Two terms
with the same text mean the same. Where that might not be so, because one name stands for two things in the
text, there is no digest, and what can't be named isn't cached.
"""

import functools
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import z3

from .. import model
from .cache import SCHEMA
from .theorem import Query

_NAME = r"(?:\|(?:[^|\\]|\\.)*\||[^\s()|]+)"
_DECLARED = re.compile(rf"^\(declare-(?:fun|sort) ({_NAME}) ", re.MULTILINE)
_DEFINED = re.compile(r"^\((?:define|declare-(?!fun |sort ))|\"", re.MULTILINE)
_QUANTIFIER = re.compile(r"\((?:forall|exists|lambda) ")
_SORT = r"(?:[^()|]|\((?:[^()|]|\([^()|]*\))*\))+"
_BINDER = re.compile(rf"\((?:forall|exists|lambda) \(((?:\({_NAME} {_SORT}\)\s*)+)\)")
_BOUND = re.compile(rf"\(({_NAME}) ({_SORT})\)")
_ABBREVIATION = re.compile(r"[?$]x\d+")
_TOKEN = re.compile(rf"\(let \(\(([?$]x\d+) |([()]|{_NAME})")

_BEGAN = time.time()
_HASTE = 10.0
"""Seconds before this module was loaded in which others may have been: a newer source is suspect."""


def text(term: z3.ExprRef) -> tuple[str, str] | None:
    """Return a term as SMT-LIB, its declarations and itself; none if the text might be ambiguous.

    Weights and names of quantifiers, which say nothing about truth, are not part of it.
    """
    if z3.is_true(term):  # Z3 leaves it out.
        return "", "true"
    written: str = z3.Z3_benchmark_to_smtlib_string(
        term.ctx_ref(), "", "", "unknown", "", 0, (z3.Ast * 0)(), term.as_ast()
    )
    head, asserted, body = written.partition("\n(assert\n")
    body, checked, rest = body.partition("\n(check-sat)")
    declared = _DECLARED.findall(head)
    names = set(declared)
    if not asserted or not checked or rest.strip() or len(names) != len(declared) or _DEFINED.search(written):
        return None
    binders = _BINDER.findall(body)
    if len(binders) != len(_QUANTIFIER.findall(body)):
        return None
    bound = {pair for binder in binders for pair in _BOUND.findall(binder)}
    variables = {name for name, _ in bound}
    if len(variables) != len(bound) or variables & names:
        return None
    if any(_ABBREVIATION.search(name) for name in names | variables):
        return None
    return "\n".join(sorted(head.splitlines())), body.removesuffix(")")


@dataclass
class _Open:
    """An expression being read: its parts, and of a ``let`` its name, what that meant, brackets closed."""

    parts: list[bytes]
    name: str = ""
    meant: bytes = b""
    closed: int = 0


def _spelt_out(body: str) -> bytes | None:
    """Return the digest of an expression with abbreviations written out, or none if it is not understood.

    The digest of an expression is one of its parts' digests: an abbreviation has that of what it is for.
    """
    meanings: dict[str, bytes] = {}
    atoms: dict[str, bytes] = {}
    reading = [_Open([])]
    for opening, token in _TOKEN.findall(body):
        now = reading[-1]
        if opening or token == "(":  # noqa: S105 - a token of the text, no secret
            reading.append(_Open([], opening))
        elif token != ")":  # noqa: S105
            if token not in atoms:
                atoms[token] = hashlib.sha256(b"a" + token.encode()).digest()
            now.parts.append(meanings.get(token) or atoms[token])
        elif len(reading) == 1:
            return None
        elif not now.name:
            reading.pop()
            reading[-1].parts.append(hashlib.sha256(b"(" + b"".join(now.parts)).digest())
        elif now.closed < 2:  # (let ((name meaning)) ...
            now.closed += 1
            if len(now.parts) != 1:
                return None
            if now.closed == 2:
                now.meant = meanings.get(now.name, b"")
                meanings[now.name] = now.parts[0]
        else:
            reading.pop()
            if len(now.parts) != 2:
                return None
            reading[-1].parts.append(now.parts[1])
            meanings[now.name] = now.meant
    whole = reading[0].parts
    return whole[0] if len(reading) == 1 and len(whole) == 1 else None


_digests: dict[int, tuple[z3.ExprRef, str | None]] = {}
"""By the number of a term, which stays its own only as long as the term is kept."""


def digest(term: z3.ExprRef) -> str | None:
    """Return the digest of a term's text, or none if it has none."""
    known = _digests.get(term.get_id())
    if known is None:
        known = term, _digest(term)
        _digests[term.get_id()] = known
    return known[1]


def _digest(term: z3.ExprRef) -> str | None:
    written = text(term)
    meaning = _spelt_out(written[1]) if written else None
    if written is None or meaning is None:
        return None
    return hashlib.sha256(written[0].encode() + b"\0" + meaning).hexdigest()


def key(kind: str, query: Query, parts: Iterable[Any], *, goal: bool) -> str | None:
    """Return the key of a question: of all hypotheses in order, the goal if it is asked, and the options."""
    digests = [(name, digest(hypothesis)) for name, hypothesis in query.hypotheses.items()]
    if goal:
        digests.append(("", digest(query.goal)))
    if any(each is None for _, each in digests):
        return None
    return named(kind, digests, *parts)


def named(kind: str, *parts: Any) -> str:
    """Return the digest of a kind of entry, the solver, and whatever else there is, as JSON."""
    known = [SCHEMA, kind, z3.get_full_version(), asking(), *parts]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


@functools.cache
def asking() -> str:
    """Return a digest of the module that asks the solver: its seed and its options are there."""
    return hashlib.sha256(Path(__file__).with_name("solver.py").read_bytes()).hexdigest()


@functools.cache
def sources() -> str | None:
    """Return a digest of all that formulas are made from: the model, the claims, Z3's Python, and Python.

    None if a file can't be read, or may have changed since this process read it: formulas must then be built.
    """
    whole = hashlib.sha256(json.dumps([SCHEMA, sys.version, z3.get_full_version()]).encode())
    try:
        for package in (model.__file__, __file__, z3.__file__):
            room = Path(str(package)).parent
            for place in sorted(room.rglob("*.py")):
                about = place.stat()
                if max(about.st_mtime, about.st_ctime) > _BEGAN - _HASTE:
                    return None
                source = place.read_bytes()
                whole.update(json.dumps([str(place.relative_to(room)), len(source)]).encode())
                whole.update(source)
    except OSError:
        return None
    return whole.hexdigest()
