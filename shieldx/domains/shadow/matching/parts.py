"""The parts of a request that a rule may look at, as in ModSecurity 3 and Coraza.

A body is parsed by its Content-Type; if it has several, by each of them, since servers disagree about which one counts.
A malformed body is read to the error and beyond. Content-Encoding is ignored: compressed bodies are not decompressed.
Parsing is bounded (by MAX_ARGUMENTS and similar limits), so that no request takes more than about 0.1 s; `body` always
contains the whole body. docs/reference/request-reading.md has the differences from both.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final

from shieldx.domains.shadow.matching.chunks import join_chunks
from shieldx.domains.shadow.matching.cookies import read_cookies
from shieldx.domains.shadow.matching.escapes import percent_decode
from shieldx.domains.shadow.matching.header_parameters import UNICODE_SPACE
from shieldx.domains.shadow.matching.json_parts import read_json
from shieldx.domains.shadow.matching.multipart import Part, read_multipart
from shieldx.domains.shadow.matching.urlencoded import read_form
from shieldx.domains.shadow.matching.xml_parts import XmlParts, read_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shieldx.domains.shadow.sample import Request

Pair = tuple[bytes, bytes]

READING_VERSION: Final = 2
"""Raise it when requests get other values: what was found before then answers no question."""

TARGETS: Final[Mapping[str, str]] = {
    "method": "The method, unchanged: `GET`.",
    "uri": "Path and query, percent-decoded, without scheme, host and fragment (REQUEST_URI).",
    "uri_raw": "The request target, unchanged (REQUEST_URI_RAW).",
    "path": "The path, percent-decoded (REQUEST_FILENAME).",
    "basename": "The path after its last slash or backslash (REQUEST_BASENAME).",
    "query": "The query, not decoded (QUERY_STRING).",
    "protocol": "`HTTP/1.1`.",
    "request_line": "Method, request target and protocol (REQUEST_LINE).",
    "headers": "Values of headers; one header: `headers:user-agent`.",
    "header_names": "Names of headers.",
    "cookies": "Values of cookies, not decoded; one cookie: `cookies:session`.",
    "cookie_names": "Names of cookies.",
    "args": "Values of arguments in query and body, decoded once; one argument: `args:id` (ARGS).",
    "arg_names": "Names of arguments in query and body, decoded once (ARGS_NAMES).",
    "query_args": "Values of arguments in the query (ARGS_GET).",
    "query_arg_names": "Names of arguments in the query (ARGS_GET_NAMES).",
    "body_args": "Values of arguments in a form, multipart or JSON body (ARGS_POST).",
    "body_arg_names": "Names of arguments in a form, multipart or JSON body (ARGS_POST_NAMES).",
    "body": "The body with its chunks joined (REQUEST_BODY); also as it was sent, if its chunks are malformed.",
    "files": "Names that uploaded files had on the client, by the name of their field (FILES).",
    "file_fields": "Names of the fields of uploaded files (FILES_NAMES).",
    "multipart_headers": "Header lines of the parts of a multipart body, by the name of their field.",
    "xml": "All text of an XML body in one value (XML:/*).",
    "xml_attributes": "Values of attributes in an XML body (XML://@*).",
}
"""Each target and its content. An element of a collection is selected by name, ignoring case: `headers:user-agent`."""

COLLECTIONS: Final = frozenset(
    {"headers", "cookies", "args", "query_args", "body_args", "files", "multipart_headers", "xml_attributes"}
)
"""The targets whose elements can be selected by name."""

_HOST: Final = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.\-]*+://[^/?]*+")
_MEDIA_TYPE: Final = re.compile(
    rb"(?:[\x00-\x20\x7f]|" + UNICODE_SPACE + rb")*+(?:"
    rb"(?P<form>application/x-www-form-urlencoded)|(?P<multipart>multipart/form-data)"
    rb"|(?P<json>application/(?:[a-z0-9._\-]++\+)*json)|(?P<xml>(?:application|text)/(?:[a-z0-9._\-]++\+)*xml))",
    re.IGNORECASE,
)
"""After spaces of any kind, as for Go."""


class UnknownTarget(ValueError):
    """The request has no such part: choose one of those that the message lists."""


def check_target(target: str) -> None:
    """Raise UnknownTarget unless `target` is one of TARGETS, or a named element of a collection."""
    base, colon, name = target.partition(":")
    if base in TARGETS and (not colon or (name and base in COLLECTIONS)):
        if len(name) > 1 and name[0] == "/" == name[-1]:  # otherwise it would silently be taken as a name
            raise UnknownTarget(f"{target!r}: an expression can exclude names but not select them; use target {base!r}")
        return
    known = ", ".join(f"{known}, {known}:<name>" if known in COLLECTIONS else known for known in TARGETS)
    raise UnknownTarget(f"unknown target {target!r}; choose one of: {known}")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _named(pairs: Sequence[Pair]) -> list[Pair]:
    """Each distinct name as a value."""
    return [(name, name) for name in dict.fromkeys(name for name, _ in pairs)]


class ParsedRequest:
    """The parts of a request, each parsed on first use and cached."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._values: dict[str, Sequence[Pair]] = {}

    def values(self, target: str) -> Sequence[Pair]:
        """Names and values of a part in order. A part without names (`uri`) is one pair, or none if it is empty.

        Raises UnknownTarget.
        """
        found = self._values.get(target)
        if found is None:
            found = self._values[target] = self._read(target)
        return found

    def _read(self, target: str) -> Sequence[Pair]:
        collection = self._COLLECTIONS.get(target)
        if collection is not None:
            return collection(self)
        single = self._SINGLES.get(target)
        if single is not None:
            value = single(self)
            return [(target.encode(), value)] if value else []
        check_target(target)
        base, _, name = target.partition(":")
        wanted = _encoded(name).lower()
        return [pair for pair in self.values(base) if pair[0].lower() == wanted]

    @cached_property
    def _target(self) -> bytes:
        return _encoded(self._request.uri)

    @cached_property
    def _path_and_query(self) -> bytes:
        """The request target without scheme, host and fragment."""
        whole = self._target.partition(b"#")[0]
        host = _HOST.match(whole)
        return whole if host is None else whole[host.end() :]

    @cached_property
    def _path(self) -> bytes:
        return percent_decode(self._path_and_query.partition(b"?")[0])

    @property
    def _basename(self) -> bytes:
        return self._path[max(self._path.rfind(b"/"), self._path.rfind(b"\\")) + 1 :]

    @cached_property
    def _query(self) -> bytes:
        return self._path_and_query.partition(b"?")[2]

    @property
    def _request_line(self) -> bytes:
        request = self._request
        return b" ".join((_encoded(request.method), self._target, _encoded(request.protocol)))

    @cached_property
    def _headers(self) -> list[Pair]:
        return [(_encoded(name), _encoded(value)) for name, value in self._request.headers]

    @property
    def _cookies(self) -> list[Pair]:
        return read_cookies(value for _, value in self.values("headers:cookie"))

    def _header(self, lower_name: str) -> list[bytes]:
        """The distinct values of all headers of this name."""
        length = len(lower_name)
        headers = self._request.headers
        found = [value for name, value in headers if len(name) == length and name.lower() == lower_name]
        return [_encoded(value) for value in dict.fromkeys(found)]

    @cached_property
    def _joined_body(self) -> tuple[bytes, bool]:
        """The body with its chunks joined, and whether that is all of it."""
        body = self._request.body
        chunked = body and any(b"chunked" in value.lower() for value in self._header("transfer-encoding"))
        return join_chunks(body) if chunked else (body, True)

    @property
    def _body(self) -> list[Pair]:
        joined, is_all = self._joined_body
        values = (joined,) if is_all else (joined, self._request.body)
        return [(b"body", value) for value in values if value]

    @cached_property
    def _content_types(self) -> Mapping[str | None, list[bytes]]:
        """Each Content-Type by the form of the body: Coraza takes the first one, ModSecurity the last."""
        declared: dict[str | None, list[bytes]] = {}
        for value in self._header("content-type"):
            if (found := _MEDIA_TYPE.match(value)) is not None:
                declared.setdefault(found.lastgroup, []).append(value[found.start(found.lastgroup or 0) :])
        return declared

    @cached_property
    def _parts(self) -> list[Part]:
        content_types = self._content_types.get("multipart")
        return read_multipart(content_types, self._joined_body[0]) if content_types else []

    @cached_property
    def _xml(self) -> XmlParts:
        return read_xml(self._joined_body[0]) if "xml" in self._content_types else XmlParts(b"", [])

    @property
    def _body_args(self) -> list[Pair]:
        arguments = read_form(self._joined_body[0]) if "form" in self._content_types else []
        if "json" in self._content_types:
            arguments += read_json(self._joined_body[0])
        for disposition, _, contents in self._parts:
            if disposition.is_field:
                arguments += [(name, content) for name in disposition.names for content in contents]
        return arguments

    @property
    def _files(self) -> list[Pair]:
        return [(part.disposition.names[0], name) for part in self._parts for name in part.disposition.filenames]

    @property
    def _multipart_headers(self) -> list[Pair]:
        return [(part.disposition.names[0], line) for part in self._parts for line in part.headers]

    _SINGLES: ClassVar[Mapping[str, Callable[[ParsedRequest], bytes]]] = {
        "method": lambda self: _encoded(self._request.method),
        "uri": lambda self: percent_decode(self._path_and_query),
        "uri_raw": lambda self: self._target,
        "path": lambda self: self._path,
        "basename": lambda self: self._basename,
        "query": lambda self: self._query,
        "protocol": lambda self: _encoded(self._request.protocol),
        "request_line": lambda self: self._request_line,
        "xml": lambda self: self._xml.text.strip(),
    }
    _COLLECTIONS: ClassVar[Mapping[str, Callable[[ParsedRequest], Sequence[Pair]]]] = {
        "headers": lambda self: self._headers,
        "header_names": lambda self: _named(self._headers),
        "body": lambda self: self._body,
        "cookies": lambda self: self._cookies,
        "cookie_names": lambda self: _named(self.values("cookies")),
        "args": lambda self: [*self.values("query_args"), *self.values("body_args")],
        "arg_names": lambda self: _named(self.values("args")),
        "query_args": lambda self: read_form(self._query),
        "query_arg_names": lambda self: _named(self.values("query_args")),
        "body_args": lambda self: self._body_args,
        "body_arg_names": lambda self: _named(self.values("body_args")),
        "files": lambda self: self._files,
        "file_fields": lambda self: _named(self.values("files")),
        "multipart_headers": lambda self: self._multipart_headers,
        "xml_attributes": lambda self: self._xml.attributes,
    }
