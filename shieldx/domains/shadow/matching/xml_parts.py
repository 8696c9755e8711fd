"""Text and attributes of an XML body."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn
from xml.parsers import expat

from shieldx.domains.shadow.matching.loose_xml import decoded, read_loosely

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ELEMENTS: Final = 40_000
"""Maximum number of elements: each costs up to 1 µs, and a megabyte can contain 330,000. The rest is text as it is."""

_CDATA: Final = b"<![CDATA["
_TAG: Final = re.compile(rb"""<(?!!\[)(?:[^>"']|"[^"]*+"?+|'[^']*+'?+)*+>?""")
_UTF_16: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class XmlParts(NamedTuple):
    """What a document contains."""

    text: bytes
    """All text in one value, as XML:/* in ModSecurity."""
    attributes: list[tuple[bytes, bytes]]


class _Stop(Exception):
    """Stops parsing a document; never leaves this module."""


def read_xml(body: bytes) -> XmlParts:
    """The text and attributes of a document.

    From where a parser stops, the document is read loosely: at an error, or at a DOCTYPE with its own declarations, so
    that no entity is expanded or fetched, and no default attribute is repeated.
    """
    reader = _Reader()
    # ValueError and LookupError: the document declares an unknown or a multi-byte encoding.
    with suppress(expat.ExpatError, _Stop, ValueError, LookupError):
        reader.parser.Parse(body, True)
        reader.stopped_at = len(body)
    if reader.stopped_at is None:
        reader.stopped_at = max(reader.parser.ErrorByteIndex, 0)
    reader.parser.buffer_text = False  # otherwise the text just before an error would be lost
    attributes = [text.encode() for text in reader.attributes]
    pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
    text = "".join(reader.texts).encode()
    if reader.stopped_at >= len(body):
        return XmlParts(text, pairs)
    rest = _in_utf_8(body, reader.stopped_at, len(body))
    passed = _in_utf_8(body, 0, reader.stopped_at)
    unread = _unread(passed, text) if reader.elements else passed
    more_text, more_pairs = read_loosely(unread + rest, MAX_ELEMENTS - reader.elements)
    return XmlParts(text + more_text, pairs + more_pairs)


def _unread(passed: bytes, text: bytes) -> bytes:
    """The end of what the parser has passed without giving it: an incomplete tag, or text outside the document."""
    start = max(passed.rfind(b"<"), 0)
    tag = _TAG.match(passed, start)
    if tag is None:
        last = passed[start:].removeprefix(_CDATA)
    elif tag.end() == len(passed) and not tag[0].endswith(b">"):
        return tag[0]
    else:
        last = passed[tag.end() :]
    return b"" if text.endswith(decoded(last)) else last


def _in_utf_8(body: bytes, start: int, end: int) -> bytes:
    encoding = _UTF_16.get(body[:2])
    return body[start:end] if encoding is None else body[start:end].decode(encoding, "replace").encode()


class _Reader:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self.elements = 0
        self.stopped_at: int | None = None
        """In bytes, unless an error stopped it."""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True
        self.parser.CharacterDataHandler = self.texts.append
        self.parser.StartElementHandler = self._start
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, _: str, attributes: Sequence[str]) -> None:
        if self.elements >= MAX_ELEMENTS:
            self._stop()
        self.elements += 1
        self.attributes.extend(attributes)

    def _doctype(self, _name: str, _system: str | None, _public: str | None, declares: int) -> None:
        if declares:
            self._stop()

    def _stop(self) -> NoReturn:
        self.stopped_at = self.parser.CurrentByteIndex
        raise _Stop
