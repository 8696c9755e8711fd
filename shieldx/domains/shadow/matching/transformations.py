"""The transformations of ModSecurity, applied to the bytes of a value before a rule looks at it.

Each takes time linear in its input. Where libmodsecurity 3.0.13 deviates from its manual, this follows the manual: a
numeric entity may have any number of digits, a named entity must match completely (`&ltx;` is kept), bytes that are not
UTF-8 are kept, an overlong sequence is written once, and only a segment that is exactly `..` goes up in a path. %uXXXX
yields its low byte, without a Unicode map.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import TYPE_CHECKING, Final

from shieldx.domains.shadow.matching.escapes import (
    css_decode,
    escape_sequence_decode,
    html_entity_decode,
    js_decode,
    url_decode,
    utf8_to_unicode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\r\n]*+")
_COMMENT: Final = re.compile(rb"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)")
_COMMENT_MARKS: Final = re.compile(rb"/\*|\*/|<!--|--(?:--)*+>?")
_TO_SPACE: Final = bytes.maketrans(b"\t\n\v\f\r", b"     ")
_COMMAND: Final = bytes.maketrans(b",;\t\r\nABCDEFGHIJKLMNOPQRSTUVWXYZ", b"     abcdefghijklmnopqrstuvwxyz")


def base64_decode(value: bytes) -> bytes:
    """Decode everything before the first byte that is not base64, including padding; line ends are skipped.

    This follows the manual; libmodsecurity 3.0.13 returns nothing if any byte is invalid.
    """
    found = _BASE64.match(value)
    digits = (b"" if found is None else found[0]).translate(None, b"\r\n")
    whole = len(digits) - (len(digits) % 4 == 1)
    return a2b_base64(digits[:whole] + b"=" * (-whole % 4))


def lowercase(value: bytes) -> bytes:
    """ASCII only."""
    return value.lower()


def remove_nulls(value: bytes) -> bytes:
    """Remove NUL bytes."""
    return value.replace(b"\0", b"")


def remove_whitespace(value: bytes) -> bytes:
    """Remove whitespace, and all bytes A0 and C2, which form a no-break space."""
    return value.translate(None, b" \t\n\v\f\r\xa0\xc2")


def _single_spaces(value: bytes) -> bytes:
    while b"  " in value:  # each pass halves the runs
        value = value.replace(b"  ", b" ")
    return value


def compress_whitespace(value: bytes) -> bytes:
    """Replace each run of ASCII whitespace by one space."""
    return _single_spaces(value.translate(_TO_SPACE))


def replace_comments(value: bytes) -> bytes:
    """Replace each /* comment */ by one space, including an unterminated one; an unmatched end is kept."""
    return _COMMENT.sub(b" ", value) if b"/*" in value else value


def remove_comment_characters(value: bytes) -> bytes:
    """Remove comment marks: /* */ -- # and those of HTML."""
    return _COMMENT_MARKS.sub(b"", value).replace(b"#", b"")


def normalize_path(value: bytes) -> bytes:
    """Remove empty, `.` and `..` segments. Nothing goes above the root, and a relative path keeps its leading `..`."""
    if b"//" not in value and b"/." not in value and not value.startswith(b"."):
        return value
    root = value.startswith(b"/")
    segments = [segment for segment in value.split(b"/") if segment and segment != b"."]
    if b".." in segments:
        segments = _climbed(segments, root=root)
    path = b"/".join(segments)
    if path and value.endswith(b"/"):
        path += b"/"
    return b"/" + path if root else path


def _climbed(segments: list[bytes], *, root: bool) -> list[bytes]:
    kept: list[bytes] = []
    for segment in segments:
        if segment != b"..":
            kept.append(segment)
        elif kept and kept[-1] != b"..":
            kept.pop()
        elif not root:
            kept.append(segment)
    return kept


def command_line(value: bytes) -> bytes:
    """As a shell reads it: no quotes, backslashes or carets; separators become one space, and none before / and (."""
    value = _single_spaces(value.translate(_COMMAND, b"\\\"'^"))
    return value.replace(b" /", b"/").replace(b" (", b"(")


TRANSFORMATIONS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "url_decode": url_decode,
    "html_entity_decode": html_entity_decode,
    "js_decode": js_decode,
    "css_decode": css_decode,
    "base64_decode": base64_decode,
    "escape_sequence_decode": escape_sequence_decode,
    "utf8_to_unicode": utf8_to_unicode,
    "lowercase": lowercase,
    "remove_nulls": remove_nulls,
    "remove_whitespace": remove_whitespace,
    "compress_whitespace": compress_whitespace,
    "replace_comments": replace_comments,
    "remove_comment_characters": remove_comment_characters,
    "normalize_path": normalize_path,
    "command_line": command_line,
}


def apply(names: Sequence[str], value: bytes) -> bytes:
    """Apply the named transformations in order. Raises KeyError for an unknown name."""
    for name in names:
        value = TRANSFORMATIONS[name](value)
    return value
