"""Text and attributes of an XML body."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ELEMENTS: Final = 40_000
"""Maximum number of elements: each costs up to 1 µs, and a megabyte can contain 330,000. The rest is ignored."""


class XmlParts(NamedTuple):
    """What was read up to the end, an error, or a declaration of entities or elements."""

    text: bytes
    """All text in one value, as XML:/* in ModSecurity."""
    attributes: list[tuple[bytes, bytes]]


class _Stop(Exception):
    """Stops parsing a document; never leaves this module."""


def read_xml(body: bytes) -> XmlParts:
    """The text and attributes of a document.

    A DOCTYPE with its own declarations stops parsing, so that no entity is expanded or fetched, and no default
    attribute is repeated. For a malformed document, everything before the error is returned.
    """
    reader = _Reader()
    # ValueError and LookupError: the document declares an unknown or a multi-byte encoding.
    with suppress(expat.ExpatError, _Stop, ValueError, LookupError):
        reader.parser.Parse(body, True)
    reader.parser.buffer_text = False  # otherwise the text just before an error would be lost
    attributes = [text.encode() for text in reader.attributes]
    return XmlParts("".join(reader.texts).encode(), list(zip(attributes[::2], attributes[1::2], strict=True)))


class _Reader:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._elements = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True
        self.parser.CharacterDataHandler = self.texts.append
        self.parser.StartElementHandler = self._start
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, _: str, attributes: Sequence[str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise _Stop
        self.attributes.extend(attributes)

    @staticmethod
    def _doctype(_name: str, _system: str | None, _public: str | None, declares: int) -> None:
        if declares:
            raise _Stop
