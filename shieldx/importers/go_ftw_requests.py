"""The request that go-ftw sends for the `input` of a stage.

This follows go-ftw 2 (`test/defaults.go`, `test/data.go`, `ftwhttp/request.go`) including its quirks, because rules
were tested against what that program really sends.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request
from shieldx.importers.header_lines import BLANKS
from shieldx.importers.imported import SkipSample
from shieldx.importers.raw_requests import parse_raw_request

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORM = "application/x-www-form-urlencoded"
# As in go-ftw: only the first is anchored at the start, and only the last at the end.
_METHOD_WITH_BODY = re.compile(r"^POST|PUT|PATCH|DELETE\Z")
_TEMPLATE = re.compile(rb"\{\{(.*?)\}\}", re.DOTALL)
_REPEAT = re.compile(rb'\s*"(?P<text>[^"\\{}\n]*)"\s*\|\s*repeat\s+(?P<times>[0-9]{1,9})\s*', re.DOTALL)
_TRUE = frozenset({"true", "yes", "on", "y"})

Headers = list[tuple[str, str]]


def request_of(stage_input: Mapping[str, object]) -> Request:
    """Build the request of one stage.

    Raises:
        SkipSample: The request is malformed, too large, or depends on a response.
    """
    if _flag(stage_input, "follow_redirect"):
        raise SkipSample("unsupported", "follow_redirect: the request depends on the previous response")
    if encoded := _text(stage_input, "encoded_request", ""):
        return parse_raw_request(_base64(encoded, "encoded_request"))
    method = _text(stage_input, "method", "GET")
    headers, body = _headers(stage_input), _data(stage_input)
    autocomplete = _autocompletes(stage_input)
    if body and autocomplete:
        if not _values(headers, "content-type"):
            headers.append(("Content-Type", _FORM))
        if any(value.lower() == _FORM for value in _values(headers, "content-type")):
            body = _encode_form(body)
    if any("multipart/form-data;" in value.lower() for value in _values(headers, "content-type")):
        body = body.replace(b"\n", b"\r\n")
    if autocomplete:
        _complete(headers, method, body)
    return Request(
        method=method,
        uri=_text(stage_input, "uri", "/"),
        protocol=_text(stage_input, "version", "HTTP/1.1"),
        headers=tuple(headers),
        body=body,
    )


def _complete(headers: Headers, method: str, body: bytes) -> None:
    if not _values(headers, "connection"):
        headers.append(("Connection", "close"))
    if not _values(headers, "content-length") and (body or _METHOD_WITH_BODY.search(method)):
        headers.append(("Content-Length", str(len(body))))


def _values(headers: Headers, lower_name: str) -> list[str]:
    return [value for name, value in headers if name.lower() == lower_name]


def _headers(stage_input: Mapping[str, object]) -> Headers:
    """`ordered_headers` in the given order; `headers` by name, since go-ftw sorts its unordered map."""
    ordered, named = stage_input.get("ordered_headers"), stage_input.get("headers")
    if ordered is not None:
        if not isinstance(ordered, list) or not all(isinstance(pair, dict) for pair in ordered):
            raise SkipSample("malformed", "ordered_headers: not a list of name-value pairs")
        pairs = [(_text(pair, "name", ""), _text(pair, "value", "")) for pair in ordered]
    elif isinstance(named, dict):
        if not all(isinstance(name, str) for name in named):
            raise SkipSample("malformed", "headers: a name is not text")
        pairs = [(name, _text(named, name, "")) for name in sorted(named)]
    elif named is None:
        pairs = []
    else:
        raise SkipSample("malformed", "headers: not a mapping of names to values")
    # Whitespace around a value does not belong to it (RFC 9112, 5.1).
    return [(name, value.strip(BLANKS)) for name, value in pairs]


def _data(stage_input: Mapping[str, object]) -> bytes:
    data, encoded = stage_input.get("data"), stage_input.get("encoded_data")
    if data is None:
        return b"" if encoded is None else _base64(_text(stage_input, "encoded_data", ""), "encoded_data")
    return _expand(data if isinstance(data, bytes) else _text(stage_input, "data", "").encode())


def _expand(data: bytes) -> bytes:
    """`data` is a Go template. Only the form in use is supported: `{{ "1" | repeat 64200 }}`."""
    if b"{{" not in data:
        return data
    parts = _TEMPLATE.split(data)
    for index in range(1, len(parts), 2):
        repeat = _REPEAT.fullmatch(parts[index])
        if repeat is None:
            raise SkipSample("unsupported", 'data: a template other than {{ "text" | repeat N }}')
        if len(repeat["text"]) * int(repeat["times"]) > MAX_BODY_BYTES:
            raise SkipSample("too large", f"data: its template expands to more than {MAX_BODY_BYTES:,} bytes")
        parts[index] = repeat["text"] * int(repeat["times"])
    if any(b"{{" in text for text in parts[::2]):
        raise SkipSample("unsupported", "data: an unterminated template")
    return b"".join(parts)


def _encode_form(body: bytes) -> bytes:
    """Encode names and values, unless the form looks encoded: unescaping would change it or fail."""
    if b"%" in body or b"+" in body:
        return body
    pairs = body.split(b"&")
    if not pairs[-1]:
        del pairs[-1]  # go-ftw drops a trailing ampersand
    return b"&".join(b"=".join(quote_plus(part).encode() for part in pair.split(b"=", 1)) for pair in pairs)


def _autocompletes(stage_input: Mapping[str, object]) -> bool:
    """`autocomplete_headers` if set, otherwise the negation of the older `stop_magic`, otherwise true."""
    if stage_input.get("autocomplete_headers") is not None:
        return _flag(stage_input, "autocomplete_headers")
    return not _flag(stage_input, "stop_magic")


def _flag(fields: Mapping[str, object], name: str) -> bool:
    return _text(fields, name, "false").lower() in _TRUE


def _text(fields: Mapping[str, object], name: str, default: str) -> str:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise SkipSample("not UTF-8", f"{name}: bytes that are not UTF-8") from error
    if not isinstance(value, str):
        raise SkipSample("malformed", f"{name}: not text")
    return value


def _base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SkipSample("malformed", f"{name}: not base64") from error
