"""What Go's HTTP client with gotestwaf's settings sends for a request, and which requests it rejects.

This follows net/url (`setPath`, `EscapedPath`), net/http (`Request.write`, `Transport.roundTrip`) and gotestwaf's
`config.yaml`. The target is `http://localhost/`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from shieldx.domains.shadow.sample import Request
from shieldx.importers.header_lines import BLANKS
from shieldx.importers.imported import SkipSample

if TYPE_CHECKING:
    from shieldx.importers.gotestwaf_placeholders import Draft

_HOST = "localhost"
_BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US;q=0.8,en;q=0.7",
    "Cache-Control": "no-cache",
    "Connection": "close",
    "Pragma": "no-cache",
    "Sec-Ch-Ua": '"Chromium";v="122", "Not(A:Brand";v="24", "Google Chrome";v="122"',
    "Sec-Ch-Ua-Mobile": "?0",
    "Sec-Ch-Ua-Platform": '"Windows"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/122.0.0.0 Safari/537.36",
}
"""The headers in gotestwaf's configuration."""

# Go writes these itself, either before the others or not at all.
_WRITTEN_BY_GO = {"Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer"}
_METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_TAB = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_AS_IT_IS = re.compile(r"[A-Za-z0-9_.~/!$&'()*+,;=:@\[\]%-]*")


def request_of_draft(draft: Draft) -> Request:
    """The request as the client sends it.

    Raises:
        SkipSample: The client rejects it.
    """
    method = draft.method or "GET"
    if not _TOKEN.fullmatch(method):
        raise SkipSample("not sendable", "its method is not a token")
    body = draft.body.encode()
    return Request(method=method, uri=_target(draft.target), headers=tuple(_headers(draft, method, body)), body=body)


def _target(target: str) -> str:
    """The request target: no fragment, the query unchanged, and the path escaped again if necessary."""
    rest, _, fragment = target.partition("#")
    if _CONTROL.search(rest):
        raise SkipSample("not sendable", "a control character in its URL")
    path, mark, query = rest.partition("?")
    if _BAD_ESCAPE.search(path) or _BAD_ESCAPE.search(fragment):
        raise SkipSample("not sendable", "a percent sign in its URL that does not start an escape")
    return (_escaped_path(path) or "/") + mark + query


def _escaped_path(path: str) -> str:
    return path if _PATH_AS_IT_IS.fullmatch(path) else quote(unquote_to_bytes(path), safe="$&+,/:;=@")


def _headers(draft: Draft, method: str, body: bytes) -> list[tuple[str, str]]:
    headers = {_canonical(name): value for name, value in draft.headers.items()}
    headers |= {name: value for name, value in _BROWSER.items() if not headers.get(name)}
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise SkipSample("not sendable", "a header's name is not a token")
        if _CONTROL_BUT_TAB.search(value):
            raise SkipSample("not sendable", "a control character in the value of a header")
    wire = [("Host", _HOST), ("User-Agent", headers["User-Agent"].strip(BLANKS))]
    if body or method in _METHODS_WITH_BODY:
        wire.append(("Content-Length", str(len(body))))
    return wire + [(name, headers[name].strip(BLANKS)) for name in sorted(headers) if name not in _WRITTEN_BY_GO]


def _canonical(name: str) -> str:
    """Equivalent of Go's `CanonicalMIMEHeaderKey`."""
    if not _TOKEN.fullmatch(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))
