"""Parses an HTTP/1.1 request from its bytes on the wire."""

from __future__ import annotations

import re

from shieldx.domains.shadow.sample import Request
from shieldx.importers.header_lines import NotAHeader, lines_of, read_header_lines
from shieldx.importers.imported import SkipSample

_REQUEST_LINE = re.compile(r"(?P<method>[^ ]+) (?P<uri>[^ ].*) (?P<protocol>HTTP/[0-9]\.[0-9])")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def parse_raw_request(raw: bytes) -> Request:
    """Parse request line, headers, blank line and body.

    A line may end in a line feed alone, and a header may continue in the next line. The body is not decoded: chunks
    stay as they were sent.

    Raises:
        SkipSample: The bytes are not such a request in UTF-8.
    """
    blank_line = _BLANK_LINE.search(raw)
    if blank_line is None:
        raise SkipSample("malformed", "encoded_request: no blank line after the headers")
    try:
        first, *lines = lines_of(raw[: blank_line.start()].decode())
    except UnicodeDecodeError as error:
        raise SkipSample("not UTF-8", "encoded_request: the request line or a header is not UTF-8") from error
    start = _REQUEST_LINE.fullmatch(first)
    if start is None:
        raise SkipSample("malformed", "encoded_request: the first line is not `METHOD target HTTP/x.y`")
    try:
        headers = tuple(read_header_lines(lines))
    except NotAHeader as error:
        raise SkipSample("malformed", f"encoded_request: line {error.number + 1} is not `Name: value`") from error
    return Request(
        method=start["method"],
        uri=start["uri"],
        protocol=start["protocol"],
        headers=headers,
        body=raw[blank_line.end() :],
    )
