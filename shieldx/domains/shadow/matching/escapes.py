"""Decodes escapes with one regular expression each. No pattern here can backtrack by more than a few bytes.

A value with many escapes would need a call for each, so it goes to `dense_escapes`, which gives the same result.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from shieldx.domains.shadow.matching import dense_escapes

if TYPE_CHECKING:
    from collections.abc import Callable

DENSE_ABOVE: Final = 200
"""From this many escape marks on, numpy is used: one call per mark took 150 ms for a megabyte of them."""

_BYTE: Final = tuple(bytes((code,)) for code in range(256))
_HEX: Final = {
    f"{high}{low}".encode(): bytes.fromhex(high + low)
    for high in "0123456789abcdefABCDEF"
    for low in "0123456789abcdefABCDEF"
}
_CONTROL: Final = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_ENTITY: Final = {b"quot": b'"', b"amp": b"&", b"lt": b"<", b"gt": b">", b"nbsp": b"\xa0"}

_PERCENT: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_URL: Final = re.compile(rb"%(?:([0-9a-fA-F]{2})|[uU]([0-9a-fA-F]{4}))")
_HTML: Final = re.compile(rb"&(?:([a-zA-Z0-9]++);?|#(?:[xX]([0-9a-fA-F]++);?|([0-9]++);?))")
_JS: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{0,2}|[4-7][0-7]?)|(.))", re.DOTALL)
_C: Final = re.compile(rb"\\(?:[xX]([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_CSS: Final = re.compile(rb"\\(?:([0-9a-fA-F]{1,6})[ \t\n\v\f\r]?|(\n)|(.)|\Z)", re.DOTALL)
_UTF8: Final = re.compile(rb"[\xc0-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def _wide(digits: bytes) -> bytes:
    """The low byte of hexadecimal digits; full-width ASCII (ff01 to ff5e) becomes the ASCII character it resembles."""
    low = _HEX[digits[-2:]]
    if digits[-4:-2].lower() == b"ff" and b"\0" < low < b"\x5f":
        return _BYTE[low[0] + 0x20]
    return low


def _url(found: re.Match[bytes]) -> bytes:
    byte = found[1]
    return _wide(found[2]) if byte is None else _HEX[byte]


def _html(found: re.Match[bytes]) -> bytes:
    name, hexadecimal, decimal = found.groups()
    if name is not None:
        return _ENTITY.get(name.lower(), found[0])
    if hexadecimal is not None:
        return _BYTE[int(hexadecimal[-2:], 16)]
    return _BYTE[int(decimal[-8:]) & 0xFF]  # 10**8 is a multiple of 256, so earlier digits do not affect the low byte


def _js(found: re.Match[bytes]) -> bytes:
    wide, byte, octal, other = found.groups()
    if other is not None:
        return _CONTROL.get(other, other)
    if wide is not None:
        return _wide(wide)
    return _HEX[byte] if byte is not None else _BYTE[int(octal, 8)]


def _c(found: re.Match[bytes]) -> bytes:
    byte, octal, other = found.groups()
    if other is not None:
        return _CONTROL.get(other, other)
    return _HEX[byte] if byte is not None else _BYTE[int(octal, 8) & 0xFF]


def _css(found: re.Match[bytes]) -> bytes:
    digits, _, other = found.groups()
    if digits is None:
        return other or b""  # a backslash before a newline or the end continues a line
    if len(digits) == 1:
        return _BYTE[int(digits, 16)]
    beyond_16_bits = digits[:-4].strip(b"0")
    return _HEX[digits[-2:]] if beyond_16_bits else _wide(digits)


def _utf8(found: re.Match[bytes]) -> bytes:
    sequence = found[0]
    code = sequence[0] & (0xFF >> (len(sequence) + 1))
    for byte in sequence[1:]:
        code = code << 6 | byte & 0x3F
    return b"%%u%04x" % code


def _undo(
    pattern: re.Pattern[bytes],
    replacement: Callable[[re.Match[bytes]], bytes],
    mark: bytes,
    dense: Callable[[bytes], bytes],
    value: bytes,
) -> bytes:
    if mark not in value:
        return value
    return pattern.sub(replacement, value) if value.count(mark) < DENSE_ABOVE else dense(value)


percent_decode: Final = partial(_undo, _PERCENT, lambda found: _HEX[found[1]], b"%", dense_escapes.percent_decode)
"""Decodes %XX only; invalid sequences are kept."""
_percent_and_wide: Final = partial(_undo, _URL, _url, b"%", dense_escapes.url_decode)
html_entity_decode: Final = partial(_undo, _HTML, _html, b"&", dense_escapes.html_entity_decode)
js_decode: Final = partial(_undo, _JS, _js, b"\\", dense_escapes.js_decode)
css_decode: Final = partial(_undo, _CSS, _css, b"\\", dense_escapes.css_decode)
escape_sequence_decode: Final = partial(_undo, _C, _c, b"\\", dense_escapes.escape_sequence_decode)


def form_decode(value: bytes) -> bytes:
    """Decode %XX, and a plus as a space, as parsing does for names and values of arguments."""
    return percent_decode(value.replace(b"+", b" "))


def url_decode(value: bytes) -> bytes:
    """Decode %XX and %uXXXX, and a plus as a space; invalid sequences are kept."""
    return _percent_and_wide(value.replace(b"+", b" "))


def utf8_to_unicode(value: bytes) -> bytes:
    """Non-ASCII UTF-8 sequences as %uXXXX, including overlong ones; invalid bytes are kept."""
    if value.isascii():
        return value
    return _UTF8.sub(_utf8, value) if len(value) < DENSE_ABOVE else dense_escapes.utf8_to_unicode(value)
