"""An XML body that is malformed is read to the error and beyond."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.matching import loose_xml
from shieldx.domains.shadow.matching.xml_parts import read_xml


@pytest.mark.parametrize(
    ("body", "text", "attributes"),
    [
        (b"<a>before<b></a>after", b"beforeafter", []),
        (b"<a>x</a><b c='d'>y</b>z", b"xyz", [(b"c", b"d")]),
        (b"<a>x&undeclared;y</a>", b"x&undeclared;y", []),
        (b"<a>x&#60;&eacute;&#x3c;&amp;lt;&nope;</a", b"x<\xc3\xa9<&lt;&nope;", []),
        (b"x&#0000000000060;&#x000000000000003C;&#99999999;&#;&#xd800;", b"x<<&#99999999;&#;&#xd800;", []),
        (b"<a b=c d>x</a>", b"x", [(b"b", b"c"), (b"d", b"d")]),
        (b"<a b='1' b='2'>x</a>", b"x", [(b"b", b"1"), (b"b", b"2")]),
        (b'<a b="<x>">y</a>', b"y", [(b"b", b"<x>")]),
        (b'<a b="x>y</a>', b"", [(b"b", b"x>y")]),
        (b"<a b='x", b"", [(b"b", b"x")]),
        (b"<a>x<b", b"x", []),
        (b"<a>x<![CDATA[<y>", b"x<y>", []),
        (b"<a>x<!-- y", b"x y", []),
        (b"<a>x<? y", b"x y", []),
        (b"<a>x < y</a>", b"x < y", []),
        (b"<a>\xff</a>", b"\xff", []),
        (b"<a>\0x</a>", b"\0x", []),
        (b"no xml", b"no xml", []),
        (b"a=<b c='d'/>", b"a=", [(b"c", b"d")]),
        (b'"quoted > text"<a>x</a>', b'"quoted > text"x', []),
        (b'<?xml version="1.0" encoding="none"?><a>x</a>', b"x", []),
        ('<a b="é">x<c></a>y'.encode("utf-16"), b"xy", [(b"b", "é".encode())]),
        # What a document declares is not expanded, but neither is it hidden.
        (b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', b"x&e;", []),
        (b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', b"file:///etc/passwd&e;", []),
        (b'<!DOCTYPE a [<!ATTLIST a b CDATA "x">]><a/>', b"x", []),
        (b"<!DOCTYPE a [<!ENTITY e 'x'><a>y", b"DOCTYPE a [<!ENTITY e 'x'><a>y", []),
    ],
)
def test_malformed_xml_is_read(body: bytes, text: bytes, attributes: list[tuple[bytes, bytes]]) -> None:
    assert read_xml(body) == (text, attributes)


def test_a_document_does_not_grow() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx">' + b"".join(
        b'<!ENTITY b%d "%b">' % (number, b"&b;" * 10) for number in range(9)
    )
    read = read_xml(bomb + b"]><a>&b8;</a>")
    assert len(read.text) < len(bomb)
    assert read.text.endswith(b"&b8;")


def test_what_exceeds_the_limits_is_text() -> None:
    attributes = b"a='b' " * loose_xml.MAX_ATTRIBUTES
    read = read_xml(b"<a " + attributes + b"evil='yes'>x")
    assert len(read.attributes) == loose_xml.MAX_ATTRIBUTES
    assert read.text == b" evil='yes'x"


def test_many_references_are_decoded_too() -> None:
    references = b"&lt;&apos;&#x41;" * loose_xml.MAX_REFERENCES
    assert read_xml(b"<a>" + references + b"</b>").text == b"<'A" * loose_xml.MAX_REFERENCES
