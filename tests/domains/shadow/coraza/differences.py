"""What ShieldX reads otherwise than Coraza: each kind with a name, a check and an example.

docs/reference/request-reading.md says of each what Coraza, ModSecurity and ShieldX do, and why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from shieldx.domains.shadow.sample import Request
from tests.domains.shadow.coraza import differences_in_json as in_json
from tests.domains.shadow.coraza import differences_in_multipart as in_multipart
from tests.domains.shadow.coraza import differences_in_xml as in_xml
from tests.domains.shadow.coraza.comparison import OF_BODY, Item, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.domains.shadow.coraza.comparison import Case

FORM: Final = "application/x-www-form-urlencoded"
_HOST: Final = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.\-]*://[^/?]*")


class Difference(NamedTuple):
    """A kind of values that only one of both has. The check is as narrow as the kind allows."""

    explains: Callable[[Case, Item], bool]
    example: Request


def explanation(case: Case, item: Item) -> str | None:
    """The name of the difference that the item is an instance of."""
    return next((name for name, difference in DIFFERENCES.items() if difference.explains(case, item)), None)


def posted(content_type: str, body: bytes, *more: tuple[str, str]) -> Request:
    return Request(method="POST", headers=(("Content-Type", content_type), *more), body=body)


# The request line


def without_host(uri: bytes) -> bytes:
    host = _HOST.match(uri)
    return uri if host is None else uri[host.end() :]


def uri_is_decoded(case: Case, item: Item) -> bool:
    coraza, shieldx = case.only("uri")
    return item.target == "uri" and shieldx in {unquote_to_bytes(coraza), unquote_to_bytes(without_host(coraza))}


def path_is_unparsable(case: Case, item: Item) -> bool:
    coraza, shieldx = case.only("path")
    is_path = item.target in {"path", "basename"} and "uri_parse_error" in case.coraza.flags
    return is_path and unquote_to_bytes(without_host(coraza)) == shieldx


def path_has_scheme(case: Case, item: Item) -> bool:
    coraza, shieldx = case.only("path")
    if item.target not in {"path", "basename"}:
        return False
    rest = re.escape(coraza) or rb"(?:[^/].*)?"  # without a slash, Go takes the rest for no path either
    return re.fullmatch(rb"[a-zA-Z][a-zA-Z0-9+.\-]*:" + rest, shieldx, re.DOTALL) is not None


def basename_is_folder(_case: Case, item: Item) -> bool:
    return item.target == "basename" and item.by == "coraza" and item.value[-1:] in {b"/", b"\\"}


# The body


def body_is_no_form(case: Case, item: Item) -> bool:
    return item.target == "body" and item.by == "shieldx" and not case.of_coraza("body")


def chunks_are_malformed(case: Case, item: Item) -> bool:
    if not case.is_chunked or item.target not in OF_BODY | {"body"}:
        return False
    joined = case.of_shieldx("body")[0]
    if item.target == "body" and item.by == "shieldx":
        return joined.startswith(case.coraza.body) and item.value in {joined, case.request.body}
    return joined.startswith(case.coraza.body) and joined != case.coraza.body


def is_of_another_type(case: Case, item: Item) -> bool:
    if item.target not in OF_BODY or item.by != "shieldx":
        return False
    return item.pair not in counted(item.target, case.alike.values(item.target))


def content_types_are_several(case: Case, item: Item) -> bool:
    return len(case.content_types) > 1 and is_of_another_type(case, item)


def content_type_is_unusual(case: Case, item: Item) -> bool:
    return len(case.content_types) == 1 and not case.coraza.processor and is_of_another_type(case, item)


def form_names_differ_in_case(case: Case, item: Item) -> bool:
    if item.target != "body_args" or case.coraza.processor != "URLENCODED" or item.by != "shieldx":
        return False
    name = item.pair[0]
    return any(other != name and other.lower() == name.lower() for other, _ in case.alike.values("body_args"))


def limit_is_reached(case: Case, item: Item) -> bool:
    if item.target not in {"query_args", "body_args"} or item.by != "shieldx":
        return False
    error = case.coraza.error
    return "arguments_limit_reached" in case.coraza.flags or "max recursion" in error or "byte budget" in error


def _multipart(lines: str, content_type: str = "multipart/form-data; boundary=b") -> Request:
    return posted(content_type, lines.replace("\n", "\r\n").encode())


DIFFERENCES: Final[Mapping[str, Difference]] = {
    "uri-decoded": Difference(uri_is_decoded, Request(uri="/a%20b?c=%41")),
    "path-unparsable": Difference(path_is_unparsable, Request(uri="/%41%zz")),
    "path-scheme": Difference(path_has_scheme, Request(uri="host:80")),
    "basename-folder": Difference(basename_is_folder, Request(uri="/a/")),
    "body-any": Difference(body_is_no_form, posted("text/plain", b"a")),
    "chunks-malformed": Difference(
        chunks_are_malformed, posted(FORM, b"3\r\na=1\r\nzz\r\n&b=2", ("Transfer-Encoding", "chunked"))
    ),
    "content-types": Difference(content_types_are_several, posted("text/plain", b"a=1", ("Content-Type", FORM))),
    "content-type-unusual": Difference(content_type_is_unusual, posted("application/a_b+json", b"[1]")),
    "form-case": Difference(form_names_differ_in_case, posted(FORM, b"a=1&A=2")),
    "limits": Difference(limit_is_reached, Request(uri="/?" + "a&" * 1_001)),
    "json-names": Difference(in_json.names_differ, posted("application/json", b'{"":["x"]}')),
    "json-lengths": Difference(in_json.is_length, posted("application/json", b'["x"]')),
    "json-goes-on": Difference(in_json.goes_on, posted("application/json", b'{"a":"x')),
    "json-guesses": Difference(in_json.is_guess, posted("application/json", b'{"a","b"}')),
    "multipart-boundaries": Difference(
        in_multipart.has_two_boundaries,
        _multipart("--b\n\n1\n--b c\n\n2\n--b--", 'multipart/form-data; boundary="b c"'),
    ),
    "multipart-type": Difference(
        in_multipart.type_is_malformed, _multipart("--b\n\n1\n--b--", "multipart/form-data boundary=b")
    ),
    "multipart-header-form": Difference(
        in_multipart.header_form_differs, _multipart('--b\ncontent-disposition:form-data; name="a"\n\n1\n--b--')
    ),
    "multipart-goes-on": Difference(
        in_multipart.goes_on, _multipart('--b\nno colon\nContent-Disposition: form-data; name="a"\n\n1\n--b--')
    ),
    "multipart-names": Difference(
        in_multipart.names_differ, _multipart("--b\nContent-Disposition: form-data; name=a b\n\n1\n--b--")
    ),
    "multipart-quoted-printable": Difference(
        in_multipart.is_quoted_printable,
        _multipart(
            '--b\nContent-Disposition: form-data; name="a"\nContent-Transfer-Encoding: quoted-printable\n\n=41\n--b--'
        ),
    ),
    "multipart-file-is-field": Difference(
        in_multipart.file_is_field,
        _multipart("--b\nContent-Disposition: form-data; name=\"a\"; filename*0='b'\n\n1\n--b--"),
    ),
    "multipart-line-ends": Difference(
        in_multipart.line_ends_differ,
        posted("multipart/form-data; boundary=b", b"--b\r\n\r\n1\n--b\n\n2\r\n--b--"),
    ),
    "multipart-cut": Difference(in_multipart.is_cut, _multipart("--b\n\n1\n--")),
    "xml-one-value": Difference(in_xml.is_one_value, posted("text/xml", b"<a>x<b/> y</a>")),
    "xml-attribute-spaces": Difference(in_xml.attribute_spaces_differ, posted("text/xml", b'<a b="x\ny"/>')),
    "xml-declarations": Difference(
        in_xml.are_declarations, posted("text/xml", b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>')
    ),
    "xml-goes-on": Difference(in_xml.goes_on, posted("text/xml", b"<a>x]]>y</a>")),
}
