"""The requests that gotestwaf sends for a payload, as Go's client puts them on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.importers.gotestwaf_client import request_of_draft
from shieldx.importers.gotestwaf_placeholders import PLACEHOLDERS, Draft, Payload
from shieldx.importers.imported import SkipSample

if TYPE_CHECKING:
    from shieldx.domains.shadow.sample import Request

NAME = "0123456789"
BOUNDARY = "0123456789abcdef" * 3 + "0123456789ab"


def sent(placeholder: str, payload: str, **options: object) -> Request:
    return request_of_draft(PLACEHOLDERS[placeholder](Payload(payload, "0123456789abcdef" * 4), options))


def header(request: Request, name: str) -> list[str]:
    return [value for key, value in request.headers if key == name]


@pytest.mark.parametrize(
    ("placeholder", "options", "content_type", "body"),
    [
        ("RequestBody", {}, [], "<p>"),
        ("HTMLForm", {}, ["application/x-www-form-urlencoded"], f"{NAME}=<p>"),
        (
            "HTMLMultipartForm",
            {},
            [f"multipart/form-data; boundary={BOUNDARY}"],
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{NAME}"\r\n\r\n<p>\r\n--{BOUNDARY}--\r\n',
        ),
        ("JSONBody", {}, ["application/json"], "<p>"),
        ("JSONRequest", {}, ["application/json"], f'{{"test": true, "{NAME}": "\\u003c\\u0070\\u003e"}}'),
        ("XMLBody", {}, ["application/xml"], "<p>"),
        ("GraphQL", {"method": "POST"}, [], "<p>"),
        ("RawRequest", {"method": "POST", "body": "[{{payload}}]"}, [], "[<p>]"),
    ],
)
def test_a_payload_is_posted(placeholder: str, options: dict[str, object], content_type: list[str], body: str) -> None:
    request = sent(placeholder, "<p>", **options)
    assert (request.method, request.body.decode()) == ("POST", body)
    assert header(request, "Content-Type") == content_type
    assert header(request, "Content-Length") == [str(len(body))]


def test_a_payload_is_placed_in_a_soap_envelope() -> None:
    request = sent("SOAPBody", "<p>")
    assert f"<ab{NAME}><string>&lt;p&gt;</string></ab{NAME}>".encode() in request.body
    assert header(request, "Content-Type") == ["text/xml"]
    assert header(request, "Soapaction") == ['"http://schemas.xmlsoap.org/soap/actor/next"']


@pytest.mark.parametrize(
    ("placeholder", "payload", "uri"),
    [
        ("URLParam", "a b<+%zz?", f"/?{NAME}=a b<+%zz?"),
        ("URLParam", "a#b", f"/?{NAME}=a"),
        ("URLPath", "", "/"),
        ("URLPath", "//%2f/a/b", "///%2f/a/b"),
        ("URLPath", "%0d%0aSet-Cookie:crlf=injection", "/%0d%0aSet-Cookie:crlf=injection"),
        ("URLPath", "a%2fb <!", "/a/b%20%3C%21"),
        ("URLPath", "a?b<c", "/a?b<c"),
    ],
)
def test_a_payload_is_placed_in_the_target(placeholder: str, payload: str, uri: str) -> None:
    request = sent(placeholder, payload)
    assert (request.method, request.uri, request.body) == ("GET", uri, b"")
    assert header(request, "Content-Length") == []


def test_graphql_may_be_asked_by_get() -> None:
    assert sent("GraphQL", "{a b}%20", method="GET").uri == "/graphql?query=%7Ba+b%7D%2520"


def test_a_payload_is_placed_in_a_header() -> None:
    assert header(sent("Header", " <p>\u00fc "), f"X-{NAME}") == ["<p>\u00fc"]
    assert header(sent("UserAgent", "sqlmap"), "User-Agent") == ["sqlmap"]


def test_headers_are_a_browsers_in_the_order_in_which_go_writes_them() -> None:
    raw = sent("RawRequest", "p", method="CUST", headers={"accept": "*/*", "Host": "other", "pragma": "p"}, body="b")
    assert [name for name, _ in raw.headers] == [
        "Host",
        "User-Agent",
        "Content-Length",
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Cache-Control",
        "Connection",
        "Pragma",
        "Sec-Ch-Ua",
        "Sec-Ch-Ua-Mobile",
        "Sec-Ch-Ua-Platform",
        "Sec-Fetch-Dest",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "Sec-Fetch-User",
        "Upgrade-Insecure-Requests",
    ]
    assert [header(raw, name) for name in ("Host", "Accept", "Pragma")] == [["localhost"], ["*/*"], ["p"]]


@pytest.mark.parametrize(
    ("draft", "detail"),
    [
        (Draft(target="/a\nb"), "a control character in its URL"),
        (Draft(target="/a%zz"), "does not start an escape"),
        (Draft(target="/a#%"), "does not start an escape"),
        (Draft(headers={"X-A": "a\r\nb"}), "in the value of a header"),
        (Draft(headers={"X A": "a"}), "a header's name"),
        (Draft(method="A B"), "method"),
    ],
)
def test_what_gos_client_refuses_is_not_sendable(draft: Draft, detail: str) -> None:
    with pytest.raises(SkipSample, match=detail) as caught:
        request_of_draft(draft)
    assert caught.value.reason == "not sendable"


@pytest.mark.parametrize(
    ("placeholder", "options"),
    [
        ("GraphQL", {}),
        ("GraphQL", {"method": "PUT"}),
        ("RawRequest", {}),
        ("RawRequest", {"method": "GET", "headers": ["a"]}),
        ("RawRequest", {"method": "GET", "headers": {"a": ["b"]}}),
    ],
)
def test_options_that_are_wrong_are_malformed(placeholder: str, options: dict[str, object]) -> None:
    with pytest.raises(SkipSample) as caught:
        sent(placeholder, "p", **options)
    assert caught.value.reason == "malformed"
