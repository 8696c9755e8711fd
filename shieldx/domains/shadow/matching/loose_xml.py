"""Text and attributes of what an XML parser refuses, but a tolerant server may accept."""

from __future__ import annotations

import re
from html.entities import name2codepoint
from itertools import islice
from typing import Final

from shieldx.domains.shadow.matching.escapes import html_entity_decode

MAX_ATTRIBUTES: Final = 20_000
"""Maximum number of separate attributes: each costs about 1 µs. The rest of their tag becomes text."""
MAX_REFERENCES: Final = 1_000
"""If a text has more, only references to ASCII are decoded exactly: each of the others costs about 1 µs."""

_IN_TAG: Final = rb"""(?:[^<>"']|"[^"]*+"|'[^']*+'|"[^"<]*+|'[^'<]*+)*+"""
_PIECE: Final = re.compile(
    rb"<!--(?:.*?-->|(?P<comment>.*))"
    rb"|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    rb"|<\?(?:.*?\?>|(?P<instruction>.*))"
    rb"|<!(?P<declaration>[A-Za-z](?:[^<>]++|<" + _IN_TAG + rb">?)*+)>?"
    rb"|</" + _IN_TAG + rb">?"
    rb"|<[A-Za-z_:\x80-\xff][^\s<>/\"'=]*+(?P<attributes>" + _IN_TAG + rb")>?"
    rb"|(?P<text>[^<]++|<)",
    re.DOTALL,
)
_ATTRIBUTE: Final = re.compile(
    rb"""([^\s=/"'<>]++)(?:\s*+=\s*+(?:"([^"]*+)"?+|'([^']*+)'?+|([^\s"']*+)))?+""", re.DOTALL
)
_LITERAL: Final = re.compile(rb""""([^"]*+)"|'([^']*+)'""")
_REFERENCE: Final = re.compile(rb"&(?:#[xX]0*+([0-9a-fA-F]{1,6})|#0*+([0-9]{1,7})|([a-zA-Z][a-zA-Z0-9]{1,7}));")
_NAMED: Final = {name.encode(): chr(code).encode() for name, code in name2codepoint.items()} | {b"apos": b"'"}


def read_loosely(text: bytes, max_elements: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The text in one value, and the attributes, including what is malformed.

    Tags need neither match nor end. Entities that the document declares are not expanded, so that no document grows,
    but their values are text. What follows the last separate piece is text as it is.
    """
    texts: list[bytes] = []
    attributes: list[tuple[bytes, bytes]] = []
    end = 0
    for found in islice(_PIECE.finditer(text), max_elements):
        end = found.end()
        kind = found.lastgroup
        if kind is None:
            continue
        content = found[kind]
        if kind == "attributes":
            texts.append(_read_attributes(content, attributes))
        elif kind == "declaration":
            is_ended = found[0].endswith(b">")
            texts += [one or other for one, other in _LITERAL.findall(content)] if is_ended else [content]
        else:
            texts.append(decoded(content) if kind == "text" else content)
    return b"".join([*texts, text[end:]]), attributes


def _read_attributes(content: bytes, attributes: list[tuple[bytes, bytes]]) -> bytes:
    """Add the attributes of a tag, and return what remains of it."""
    end = 0
    for found in islice(_ATTRIBUTE.finditer(content), MAX_ATTRIBUTES - len(attributes)):
        end = found.end()
        name, double, single, plain = found.groups()
        value = next((value for value in (double, single, plain) if value is not None), name)
        attributes.append((name, decoded(value)))
    return content[end:] if len(attributes) == MAX_ATTRIBUTES else b""


def decoded(text: bytes) -> bytes:
    """Text or an attribute's value as a parser gives it: without references to characters, and with plain line ends."""
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"&" not in text:
        return text
    if text.count(b"&") > MAX_REFERENCES:
        return html_entity_decode(text.replace(b"&apos;", b"'"))
    return _REFERENCE.sub(_character, text)


def _character(found: re.Match[bytes]) -> bytes:
    hexadecimal, decimal, name = found.groups()
    if name is not None:
        return _NAMED.get(name, found[0])
    try:
        return chr(int(decimal) if hexadecimal is None else int(hexadecimal, 16)).encode()
    except ValueError:  # no such character
        return found[0]
