"""Frames described on the command line: a kind, then words in any order, with spaces between them.

::

    FRAME    = KIND WORD...
    KIND     = tcp4 | tcp6 | udp4 | udp6 | eth | hex=BYTES
    WORD     = len=N               bytes of the whole frame, headers included; not with hex
             | frags=FRAG,...      the pieces behind the linear part, each in a page of its own
             | list=PACKET,...     the packets behind those
             | csum                the device is to finish the TCP or UDP checksum
             | csum=START+OFFSET   the device is to sum from byte START, and store OFFSET bytes behind it
             | gso=N               the device is to make segments of N bytes of payload
             | kind=GSO            of another kind than the frame's: tcp4, tcp6, udp, unknown
             | ecn                 the TCP header carries CWR, and the driver is to say so
             | vlan=ID             an 802.1Q tag; several make several
             | queue=N | cpu=N     the receive queue it came from; the processor that sends it
             | times=N             that many of it
    FRAG     = BYTES[@OFFSET]      OFFSET in its page, 0 if not given
    PACKET   = BYTES[([FRAG,...][;PACKET,...])]

The bytes go to the linear part first, then to the fragments, then to the packets of the list, in order; the
linear part has what is left of the frame's length. ``300(100@8,50;200)`` is a packet with 300 bytes in its
linear part, two fragments, and a packet of 200 in a list of its own. Numbers are decimal, BYTES of hex
two digits each.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import BadInputError
from ..impl.harness.frames import LONGEST, PAGE, Fragment, Frame, Gso, Packet
from .headers import KINDS, Headers, built

_GSO_KINDS = {"tcp4": Gso.TCPV4, "tcp6": Gso.TCPV6, "udp": Gso.UDP, "unknown": Gso.UNKNOWN}
_OWN_GSO = {"tcp4": Gso.TCPV4, "tcp6": Gso.TCPV6, "udp4": Gso.UDP, "udp6": Gso.UDP}
_TOKEN = re.compile(r"[0-9]+|[@,();]")
_DEEPEST = 64
_T = TypeVar("_T")
MOST_TIMES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a packet is cut: bytes of its linear part (None: what is left), fragments, packets."""

    head: int | None
    fragments: tuple[tuple[int, int], ...] = ()
    packets: tuple["_Shape", ...] = ()

    @property
    def length(self) -> int:
        """Bytes of all but a linear part that takes what is left."""
        rest = sum(length for length, _ in self.fragments) + sum(packet.length for packet in self.packets)
        return (self.head or 0) + rest


@dataclass(slots=True)
class _Words:
    """What the words of one description said."""

    kind: str
    given: bytes = b""
    length: int | None = None
    fragments: tuple[tuple[int, int], ...] = ()
    packets: tuple[_Shape, ...] = ()
    checksum: tuple[int, int] | None = None
    sums: bool = False
    gso_size: int | None = None
    gso_kind: Gso | None = None
    ecn: bool = False
    tags: list[int] = field(default_factory=list)
    queue: int | None = None
    cpu: int = 0
    times: int = 1


def described(text: str) -> tuple[Frame, int]:
    """The frame that ``text`` describes, and how many of it. Raises BadInputError naming the word."""
    return _Description(text).read()


class _Description:
    """Reads one description; every complaint names the description and the word."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _refused(self, word: str, what: str) -> BadInputError:
        shown = word if len(word) <= 40 else word[:37] + "..."
        return BadInputError(f"--frame: {shown!r}: {what}")

    def read(self) -> tuple[Frame, int]:
        first, *rest = self._text.split() or [""]
        if not first:
            raise BadInputError("--frame: nothing is described; such as --frame 'tcp4 len=1514'")
        said = self._kind(first)
        seen: set[str] = set()
        for word in rest:
            name, equals, value = word.partition("=")
            if name in seen and name != "vlan":
                raise self._refused(word, f"{name} was said already")
            seen.add(name)
            self._word(said, word, name, value if equals else None)
        return self._frame(said), said.times

    def _kind(self, word: str) -> _Words:
        name, equals, value = word.partition("=")
        if name == "hex" and equals:
            if not re.fullmatch(r"([0-9a-fA-F]{2})+", value):
                raise self._refused(word, "not bytes of two hexadecimal digits each")
            return _Words("hex", given=bytes.fromhex(value))
        if word not in KINDS:
            raise self._refused(word, f"no kind of frame; known: {', '.join(KINDS)}, hex=BYTES")
        return _Words(word)

    def _word(self, said: _Words, word: str, name: str, value: str | None) -> None:
        if name == "csum" and value is None:
            said.sums = True
        elif name == "ecn" and value is None:
            said.ecn = True
        elif name in _VALUED and value is not None:
            _VALUED[name](self, said, word, value)
        elif name in _VALUED or name == "ecn":
            raise self._refused(word, f"{name} takes {'a' if name in _VALUED else 'no'} value")
        else:
            known = [*_VALUED, "ecn"]
            raise self._refused(word, f"no word of a frame; known: {', '.join(known)}")

    def _number(self, word: str, value: str, least: int, most: int) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise self._refused(word, f"{value[:20]!r} is no decimal number")
        if not least <= int(value) <= most:
            raise self._refused(word, f"{int(value)} is not from {least} to {most}")
        return int(value)

    def _length(self, said: _Words, word: str, value: str) -> None:
        if said.given:
            raise self._refused(word, "hex says the bytes, so their number is known")
        said.length = self._number(word, value, 1, LONGEST)

    def _fragments(self, said: _Words, word: str, value: str) -> None:
        shape = _ShapeReader(value, lambda what: self._refused(word, what))
        said.fragments = shape.fragments()
        shape.end()

    def _packets(self, said: _Words, word: str, value: str) -> None:
        shape = _ShapeReader(value, lambda what: self._refused(word, what))
        said.packets = shape.packets()
        shape.end()

    def _checksum(self, said: _Words, word: str, value: str) -> None:
        match = re.fullmatch(r"([0-9]{1,5})\+([0-9]{1,5})", value)
        if not match:
            raise self._refused(word, "not START+OFFSET, such as csum=34+16")
        said.checksum = (int(match[1]), int(match[2]))

    def _gso(self, said: _Words, word: str, value: str) -> None:
        said.gso_size = self._number(word, value, 0, 0xFFFF)

    def _gso_kind(self, said: _Words, word: str, value: str) -> None:
        if value not in _GSO_KINDS:
            raise self._refused(word, f"no kind of segments; known: {', '.join(_GSO_KINDS)}")
        said.gso_kind = _GSO_KINDS[value]

    def _vlan(self, said: _Words, word: str, value: str) -> None:
        if said.given:
            raise self._refused(word, "hex says the bytes, tags included")
        said.tags.append(self._number(word, value, 0, 4095))

    def _queue(self, said: _Words, word: str, value: str) -> None:
        said.queue = self._number(word, value, 0, 0xFFFF)

    def _cpu(self, said: _Words, word: str, value: str) -> None:
        said.cpu = self._number(word, value, 0, 0xFFFF)

    def _times(self, said: _Words, word: str, value: str) -> None:
        said.times = self._number(word, value, 1, MOST_TIMES)

    def _frame(self, said: _Words) -> Frame:
        gso = Gso.NONE
        if said.gso_size is not None:
            chosen = said.gso_kind if said.gso_kind is not None else _OWN_GSO.get(said.kind)
            if chosen is None:
                raise self._refused(f"gso={said.gso_size}", f"{said.kind} frames need kind=, too")
            gso = chosen
        elif said.gso_kind is not None:
            raise self._refused("kind", "there is no gso=N that it could be of")
        headers = self._data(said)
        checksum = said.checksum
        if said.sums:
            if headers.checksum is None:
                raise self._refused("csum", f"{said.kind} frames need csum=START+OFFSET")
            checksum = headers.checksum
        shape = _Shape(None, said.fragments, said.packets)
        head = len(headers.data) - shape.length
        if head < 0:
            raise self._refused(
                "frags" if said.fragments else "list",
                f"{shape.length} bytes beside the linear part of a frame of {len(headers.data)}",
            )
        try:
            return Frame(
                _cut(_Shape(head, said.fragments, said.packets), memoryview(headers.data)),
                checksum=checksum is not None,
                csum_start=checksum[0] if checksum else 0,
                csum_offset=checksum[1] if checksum else 0,
                gso=gso,
                gso_size=said.gso_size or 0,
                ecn=said.ecn,
                recorded_queue=said.queue,
                cpu=said.cpu,
            )
        except ValueError as error:
            raise self._refused(self._text, str(error)) from None

    def _data(self, said: _Words) -> Headers:
        if said.kind == "hex":
            return Headers(said.given, None)
        try:
            return built(said.kind, said.length, tags=said.tags, partial=said.sums, ecn=said.ecn)
        except ValueError as error:
            raise self._refused(f"len={said.length}" if said.length else said.kind, str(error)) from None


_Valued = Callable[[_Description, _Words, str, str], None]
_VALUED: dict[str, _Valued] = {
    "len": _Description._length,
    "frags": _Description._fragments,
    "list": _Description._packets,
    "csum": _Description._checksum,
    "gso": _Description._gso,
    "kind": _Description._gso_kind,
    "vlan": _Description._vlan,
    "queue": _Description._queue,
    "cpu": _Description._cpu,
    "times": _Description._times,
}


class _ShapeReader:
    """Reads what ``frags`` and ``list`` say."""

    def __init__(self, text: str, refused: Callable[[str], BadInputError]) -> None:
        self._refused = refused
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != text:
            odd = next(char for char in text if char not in "0123456789@,();")
            raise refused(f"{odd!r} has no meaning here")
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        """There must be nothing more."""
        if self._at < len(self._tokens):
            raise self._refused(f"{self._tokens[self._at]!r} where it could end")

    def fragments(self) -> tuple[tuple[int, int], ...]:
        """FRAG,...: length in bytes and offset in the page of each."""
        return tuple(self._separated(self._fragment))

    def packets(self) -> tuple[_Shape, ...]:
        """PACKET,..."""
        return tuple(self._separated(self._packet))

    def _separated(self, one: Callable[[], _T]) -> Iterator[_T]:
        yield one()
        while self._took(","):
            yield one()

    def _fragment(self) -> tuple[int, int]:
        length = self._number()
        offset = self._number() if self._took("@") else 0
        if offset + length > PAGE:
            raise self._refused(
                f"a fragment of {length} bytes at offset {offset} ends past its page of {PAGE}"
            )
        return length, offset

    def _packet(self) -> _Shape:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refused(f"packets nested more than {_DEEPEST} deep")
        head = self._number()
        fragments: tuple[tuple[int, int], ...] = ()
        packets: tuple[_Shape, ...] = ()
        if self._took("("):
            if self._next() not in (";", ")"):
                fragments = self.fragments()
            if self._took(";"):
                packets = self.packets()
            if not self._took(")"):
                raise self._refused(f"{self._shown()} where there should be a ')'")
        self._depth -= 1
        return _Shape(head, fragments, packets)

    def _next(self) -> str:
        return str(self._tokens[self._at]) if self._at < len(self._tokens) else ""

    def _shown(self) -> str:
        return repr(self._next()) if self._next() else "the end"

    def _took(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._at += 1
        return True

    def _number(self) -> int:
        token = self._next()
        if not token.isdecimal():
            raise self._refused(f"{self._shown()} where there should be a number of bytes")
        self._at += 1
        if len(token) > 6 or int(token) > LONGEST:
            raise self._refused(f"{token[:12]} bytes; the longest frame there is has {LONGEST}")
        return int(token)


def _cut(shape: _Shape, data: memoryview) -> Packet:
    """The packet of a shape, with the first bytes of ``data``."""
    at = shape.head or 0
    head = bytes(data[:at])
    fragments, packets = [], []
    for length, offset in shape.fragments:
        fragments.append(Fragment(offset, bytes(data[at : at + length])))
        at += length
    for following in shape.packets:
        packets.append(_cut(following, data[at : at + following.length]))
        at += following.length
    return Packet(head, tuple(fragments), tuple(packets))
