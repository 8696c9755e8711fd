"""Parts of a multipart body."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final, NamedTuple

from shieldx.domains.shadow.matching.escapes import percent_decode

MAX_PARTS: Final = 10_000
"""Maximum number of separate parts: each costs 2 to 3 µs, and a megabyte can contain 250,000 empty ones."""
MAX_HEADERS: Final = 100
"""Maximum number of separate header lines per part: a megabyte of `a:` has 330,000. The rest becomes one line."""
MAX_PARAMETERS: Final = 4
"""Maximum number of parameters of a Content-Disposition, which usually has three: a megabyte of `;a=` took 100 ms."""

_BOUNDARY: Final = re.compile(rb'\bboundary\s*+=\s*+(?:"([^"]*+)"?|([^;,\s]*+))', re.IGNORECASE)
_END_OF_HEADERS: Final = re.compile(rb"\n\r?\n")
_PARAMETER: Final = re.compile(
    rb""";\s*+([^\s=;]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"?|'([^']*+)'?|([^;]*+))""", re.DOTALL
)


class Part(NamedTuple):
    """A form field or an uploaded file. A part with a file name is a file, whose content is not an argument."""

    name: bytes
    filename: bytes
    headers: list[bytes]
    """Unfolded lines such as `Content-Type: text/plain`."""
    content: bytes


def read_multipart(content_type: bytes, body: bytes) -> list[Part]:
    """Parse a body leniently: nothing is dropped that a server might still interpret.

    A part without headers is content without a name; the last part may lack its end. Everything after the last separate
    part becomes the content of one more part. Text before the first and after the final boundary is ignored. Without a
    boundary there are no parts.
    """
    found = _BOUNDARY.search(content_type)
    boundary = b"" if found is None else (found[1] or found[2] or b"").rstrip()
    if not boundary:
        return []
    body = b"\n" + body
    delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?+[ \t]*+(?=\r?\n|\Z)")
    parts: list[Part] = []
    start = -1
    for found in delimiter.finditer(body):
        if start >= 0:
            parts.append(_read_part(body[start : found.start()]))
        start = found.end()
        if found[1] is not None:
            return parts
        if len(parts) >= MAX_PARTS:
            return [*parts, Part(b"", b"", [], body[start:])]
    if start >= 0:
        parts.append(_read_part(body[start:]))
    return parts


def _read_part(text: bytes) -> Part:
    """Parse a part that starts at the end of its delimiter, that is, with a newline."""
    text = text.removesuffix(b"\r")
    found = _END_OF_HEADERS.search(text)
    if found is None:
        return Part(b"", b"", [], text.lstrip(b"\r\n"))
    block = text[: found.start()].replace(b"\r", b"").replace(b"\n ", b" ").replace(b"\n\t", b" ")
    headers = [line for line in block.lstrip(b"\n").split(b"\n", MAX_HEADERS) if line]
    name = filename = b""
    for line in headers:
        if line[0] in b"cC" and line[:19].lower() == b"content-disposition":
            name, filename = _read_disposition(line)
            break
    return Part(name, filename, headers, text[found.end() :])


def _unquoted(value: bytes) -> bytes:
    """The value of a quoted parameter, in which a backslash escapes a backslash or a quote."""
    if b"\\" not in value:
        return value
    return b"\\".join(piece.replace(b'\\"', b'"') for piece in value.split(b"\\\\"))


def _read_disposition(line: bytes) -> tuple[bytes, bytes]:
    name = filename = extended = b""
    for found in islice(_PARAMETER.finditer(line), MAX_PARAMETERS):
        key, quoted, single, plain = found.groups(b"")
        value = _unquoted(quoted) or single or plain.rstrip()
        key = key.lower()
        if key == b"name":
            name = name or value
        elif key == b"filename":
            filename = filename or value
        elif key == b"filename*":
            extended = percent_decode(value.rpartition(b"'")[2])
    return name, filename or extended
