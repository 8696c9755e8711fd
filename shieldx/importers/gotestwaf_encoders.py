"""gotestwaf's encoders (`internal/payload/encoder`), and the net/url escaping that they use."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

_XML_ESCAPES = {
    '"': "&#34;",
    "'": "&#39;",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "\t": "&#x9;",
    "\n": "&#xA;",
    "\r": "&#xD;",
}


def path_escape(text: str) -> str:
    """Equivalent of Go's `url.PathEscape`, which escapes a text as one path segment."""
    return quote(text, safe="$&+:=@")


def js_unicode(text: str) -> str:
    r"""Every UTF-16 code unit as `\u0000`."""
    return "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))


def xml_entity(text: str) -> str:
    """Equivalent of Go's `xml.Encoder` for a string."""
    return f"<string>{''.join(_xml_escape(character) for character in text)}</string>"


def _xml_escape(character: str) -> str:
    if escaped := _XML_ESCAPES.get(character):
        return escaped
    allowed = character >= " " and character not in "\ufffe\uffff"
    return character if allowed else "\ufffd"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODERS: dict[str, Callable[[str], str]] = {
    "Base64": _base64,
    "Base64Flat": lambda text: _base64(text).replace("=", ""),
    "JSUnicode": js_unicode,
    "Plain": lambda text: text,
    "URL": path_escape,
    "XMLEntity": xml_entity,
}
