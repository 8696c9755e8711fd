"""Parts of a multipart body."""

from __future__ import annotations

import re
from binascii import a2b_qp
from typing import TYPE_CHECKING, Final, NamedTuple

from shieldx.domains.shadow.matching.boundaries import boundaries_of
from shieldx.domains.shadow.matching.dispositions import UNNAMED, Disposition, read_disposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_PARTS: Final = 3_000
"""Maximum number of separate parts: each costs up to 20 µs, and a megabyte can contain 250,000 empty ones."""
MAX_HEADERS: Final = 100
"""Maximum number of separate header lines per part: a megabyte of `a:` has 330,000. The rest becomes one line."""

_USUAL_HEADERS: Final = re.compile(
    rb'\r?\n(Content-Disposition: form-data; name="([^"\\\r\n]*+)"(?:; filename="([^"\\\r\n]++)")?+)'
    rb"(?:\r?\n(Content-Type: [^\r\n]*+))?+\r?\n\r?\n"
)
"""Those that browsers send are read in one step."""
_END_OF_HEADERS: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\n[ \t]++")
_DISPOSITION: Final = re.compile(rb"content-disposition[ \t]*+:", re.IGNORECASE)
_QUOTED_PRINTABLE: Final = re.compile(rb"content-transfer-encoding[ \t]*+:\s*+quoted-printable\s*+\Z", re.IGNORECASE)


class Part(NamedTuple):
    """A form field or an uploaded file."""

    disposition: Disposition
    headers: list[bytes]
    """Unfolded lines such as `Content-Type: text/plain`."""
    contents: Sequence[bytes]
    """As it is and, if a header says that it is quoted-printable, decoded."""


def read_multipart(content_types: Iterable[bytes], body: bytes) -> list[Part]:
    """Parse a body leniently: nothing is dropped that a server might still interpret.

    A part without headers is content without a name; the last part may lack its end. Everything after the last separate
    part becomes the content of one more part. Text before the first and after the final boundary is ignored. Without a
    boundary there are no parts; if the headers name several, the body is divided by each of them.
    """
    body = b"\n" + body
    boundaries = boundaries_of(content_types, body)
    return [part for boundary in boundaries for part in _parts(body, boundary, MAX_PARTS // len(boundaries))]


def _parts(body: bytes, boundary: bytes, max_parts: int) -> Iterator[Part]:
    delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?+[ \t]*+(?=\r?\n|\Z)")
    start = -1
    for number, found in enumerate(delimiter.finditer(body)):
        if start >= 0:
            yield _read_part(body[start : found.start()].removesuffix(b"\r"), is_ended=True)
        start = found.end()
        if found[1] is not None:
            return
        if number >= max_parts:
            yield Part(UNNAMED, [], (body[start:],))
            return
    if start >= 0:
        yield _read_part(body[start:].removesuffix(b"\r"), is_ended=False)


def _read_part(text: bytes, *, is_ended: bool) -> Part:
    """Parse a part that starts at the end of its delimiter, that is, with a newline.

    If the next delimiter ends it, the empty line after its headers may belong to that.
    """
    usual = _USUAL_HEADERS.match(text)
    if usual is not None:
        line, name, filename, content_type = usual.groups()
        disposition = Disposition((name,), (filename,) if filename else (), is_field=not filename)
        return Part(disposition, [line, content_type] if content_type else [line], (text[usual.end() :],))
    found = _END_OF_HEADERS.search(text)
    if found is not None:
        block, content = text[: found.start()], text[found.end() :]
    elif is_ended and text.endswith(b"\n"):
        block, content = text, b""
    else:
        return Part(UNNAMED, [], (text.lstrip(b"\r\n"),))
    headers = _header_lines(block)
    disposition = read_disposition([line for line in headers if _DISPOSITION.match(line)])
    if b"=" in content and any(_QUOTED_PRINTABLE.match(line) for line in headers):
        return Part(disposition, headers, (content, a2b_qp(content)))
    return Part(disposition, headers, (content,))


def _header_lines(block: bytes) -> list[bytes]:
    block = (block + b"\n").replace(b"\r\n", b"\n")
    if b"\n " in block or b"\n\t" in block:
        block = _FOLD.sub(b" ", block)
    return [line for line in block.strip(b"\n").split(b"\n", MAX_HEADERS) if line]
