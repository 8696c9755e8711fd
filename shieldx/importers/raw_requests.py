"""Parses an HTTP/1.1 request from its bytes on the wire."""

from __future__ import annotations

import re

from shieldx.domains.shadow.sample import Request
from shieldx.importers.imported import SkipSample

_REQUEST_LINE = re.compile(r"(?P<method>[^ ]+) (?P<uri>[^ ].*) (?P<protocol>HTTP/[0-9]\.[0-9])")
_HEADER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>.*?)[ \t]*", re.DOTALL)


def parse_raw_request(raw: bytes) -> Request:
    """Parse request line, headers, blank line and body. The body is not decoded: chunks stay as they were sent.

    Raises:
        SkipSample: The bytes are not such a request in UTF-8.
    """
    head, blank_line, body = raw.partition(b"\r\n\r\n")
    if not blank_line:
        raise SkipSample("malformed", "encoded_request: no blank line after the headers")
    try:
        first, *lines = head.decode().split("\r\n")
    except UnicodeDecodeError as error:
        raise SkipSample("not UTF-8", "encoded_request: the request line or a header is not UTF-8") from error
    start = _REQUEST_LINE.fullmatch(first)
    if start is None:
        raise SkipSample("malformed", "encoded_request: the first line is not `METHOD target HTTP/x.y`")
    headers = []
    for number, line in enumerate(lines, 2):
        header = _HEADER.fullmatch(line)
        if header is None:
            raise SkipSample("malformed", f"encoded_request: line {number} is not `Name: value`")
        headers.append((header["name"], header["value"]))
    return Request(
        method=start["method"], uri=start["uri"], protocol=start["protocol"], headers=tuple(headers), body=body
    )
