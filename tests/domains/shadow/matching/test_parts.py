from __future__ import annotations

from encodings.aliases import aliases
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.shadow.matching import json_names, json_parts, multipart, urlencoded, xml_parts
from shieldx.domains.shadow.matching.parts import COLLECTIONS, TARGETS, ParsedRequest, UnknownTarget, check_target
from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xYz"
UPLOAD = (
    b'preamble\r\n--xYz\r\nContent-Disposition: form-data; name="title"\r\n\r\nA+%41\r\nB\r\n'
    b'--xYz\r\nContent-Disposition: form-data; name="photo"; filename="..\\\\\\"x.php"\r\n'
    b"Content-Type: image/png;\r\n\tq=1\r\n\r\n<?php\r\n--xYz--\r\nepilogue"
)


def request_of(body: bytes, content_type: str, uri: str = "/") -> Request:
    return Request(method="POST", uri=uri, headers=(("Content-Type", content_type),), body=body)


def values_of(target: str, request: Request) -> list[tuple[bytes, bytes]]:
    return list(ParsedRequest(request).values(target))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (
            "/a%20b/c.php?x=%31&y#z",
            {
                "uri_raw": b"/a%20b/c.php?x=%31&y#z",
                "uri": b"/a b/c.php?x=1&y",
                "path": b"/a b/c.php",
                "basename": b"c.php",
                "query": b"x=%31&y",
                "request_line": b"GET /a%20b/c.php?x=%31&y#z HTTP/1.1",
            },
        ),
        ("http://host:80/p?q", {"uri_raw": b"http://host:80/p?q", "uri": b"/p?q", "path": b"/p", "query": b"q"}),
        ("http://host?q", {"uri": b"?q", "path": None, "query": b"q"}),
        ("/go?to=http://host/p", {"uri": b"/go?to=http://host/p", "path": b"/go"}),
        ("/a+b/", {"path": b"/a+b/", "basename": None, "query": None}),
        ("/a\\b", {"basename": b"b"}),
        ("/%2e%2e%2fetc%00%zz", {"path": b"/../etc\0%zz", "basename": b"etc\0%zz"}),
        ("/é", {"path": "/é".encode()}),
        ("*", {"uri": b"*", "path": b"*", "basename": b"*"}),
        ("", {"uri": None, "uri_raw": None}),
    ],
)
def test_parts_of_the_request_line(uri: str, expected: dict[str, bytes | None]) -> None:
    parsed = ParsedRequest(Request(uri=uri))
    for target, value in expected.items():
        assert list(parsed.values(target)) == ([] if value is None else [(target.encode(), value)]), target
    assert list(parsed.values("method")) == [(b"method", b"GET")]
    assert list(parsed.values("protocol")) == [(b"protocol", b"HTTP/1.1")]


def test_headers_keep_their_order_and_names_and_are_chosen_in_any_case() -> None:
    request = Request(headers=(("Host", "a"), ("X-A", "1"), ("x-a", "2"), ("X-Empty", "")))
    assert values_of("headers", request) == [(b"Host", b"a"), (b"X-A", b"1"), (b"x-a", b"2"), (b"X-Empty", b"")]
    assert values_of("headers:x-A", request) == [(b"X-A", b"1"), (b"x-a", b"2")]
    assert values_of("headers:absent", request) == []
    assert [value for _, value in values_of("header_names", request)] == [b"Host", b"X-A", b"x-a", b"X-Empty"]


def test_cookies_are_not_decoded_and_need_no_name() -> None:
    request = Request(headers=(("Cookie", "a=1; b=x=%41+y ;; =c;flag; = "), ("cookie", "A=2")))
    assert values_of("cookies", request) == [
        (b"a", b"1"),
        (b"b", b"x=%41+y"),
        (b"", b"c"),
        (b"flag", b""),
        (b"A", b"2"),
    ]
    assert values_of("cookies:a", request) == [(b"a", b"1"), (b"A", b"2")]
    assert values_of("cookie_names", request)[0] == (b"a", b"a")


def test_only_ascii_spaces_and_control_characters_around_cookies_are_removed() -> None:
    request = Request(headers=(("Cookie", "\x0ba\x01=\t1\x7f;\xa0b\u2028=\u3000c\x85"),))
    assert values_of("cookies", request) == [
        (b"a", b"1"),
        ("\xa0b\u2028".encode(), "\u3000c\x85".encode()),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1&b=2", [(b"a", b"1"), (b"b", b"2")]),
        ("a+b=%3Cx%3e+y", [(b"a b", b"<x> y")]),
        ("%61=%2541", [(b"a", b"%41")]),
        ("a=%u003c&b=%4&c=%", [(b"a", b"%u003c"), (b"b", b"%4"), (b"c", b"%")]),
        ("a&=b&&c==", [(b"a", b""), (b"", b"b"), (b"c", b"=")]),
        ("a=1;b=2?c=3", [(b"a", b"1;b=2?c=3")]),
        ("", []),
    ],
)
def test_arguments_of_a_query_and_of_a_form_are_decoded_once(query: str, expected: list[tuple[bytes, bytes]]) -> None:
    assert values_of("query_args", Request(uri=f"/?{query}")) == expected
    assert values_of("body_args", request_of(query.encode(), f"{FORM}; charset=UTF-8")) == expected


def test_args_combine_query_and_body() -> None:
    request = request_of(b"id=2&c=3", FORM.upper(), uri="/?ID=1&b=2")
    assert values_of("args", request) == [(b"ID", b"1"), (b"b", b"2"), (b"id", b"2"), (b"c", b"3")]
    assert values_of("args:id", request) == [(b"ID", b"1"), (b"id", b"2")]
    assert [value for _, value in values_of("arg_names", request)] == [b"ID", b"b", b"id", b"c"]
    assert [value for _, value in values_of("query_arg_names", request)] == [b"ID", b"b"]
    assert [value for _, value in values_of("body_arg_names", request)] == [b"id", b"c"]
    assert values_of("body", request) == [(b"body", b"id=2&c=3")]


def test_no_character_of_a_uri_vanishes() -> None:
    uri = "/\xa0a\u2028?\x85b=\u3000&c\x1c=d\xa0"
    parsed = ParsedRequest(Request(uri=uri))
    for target in ("uri", "uri_raw"):
        assert list(parsed.values(target)) == [(target.encode(), uri.encode())]
    assert list(parsed.values("path")) == [(b"path", "/\xa0a\u2028".encode())]
    assert list(parsed.values("query_args")) == [
        ("\x85b".encode(), "\u3000".encode()),
        (b"c\x1c", "d\xa0".encode()),
    ]


def test_arguments_beyond_the_limit_become_one_value() -> None:
    body = b"a&" * urlencoded.MAX_ARGUMENTS + b"b=1&c=%41"
    pairs = values_of("body_args", request_of(body, FORM))
    assert len(pairs) == urlencoded.MAX_ARGUMENTS + 1
    assert pairs[-1] == (b"b", b"1&c=A")


def test_parts_of_an_upload() -> None:
    request = request_of(UPLOAD, MULTIPART)
    assert values_of("body_args", request) == [(b"title", b"A+%41\r\nB")]
    assert values_of("files", request) == [(b"photo", b'..\\"x.php')]
    assert values_of("file_fields", request) == [(b"photo", b"photo")]
    assert [line for name, line in values_of("multipart_headers", request) if name == b"photo"] == [
        b'Content-Disposition: form-data; name="photo"; filename="..\\\\\\"x.php"',
        b"Content-Type: image/png; q=1",
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"--xYz\nContent-Disposition: form-data; name=a\n\nv", MULTIPART, [(b"a", b"v")]),
        (b"--xYz\r\nno headers", MULTIPART, [(b"", b"no headers")]),
        (b"--xYz\r\n\r\nv\r\n--xYz--", MULTIPART, [(b"", b"v")]),
        (b"--xYz\r\n\r\nv\r\n--xYzz\r\n--xYz--", MULTIPART, [(b"", b"v\r\n--xYzz")]),
        (b"--xYz\r\n--xYz--", MULTIPART, [(b"", b"")]),
        (b"--xYz--\r\n\r\nv", MULTIPART, []),
        (b"--a b\r\n\r\nv", 'Multipart/Form-Data; Boundary="a b"', [(b"", b"v")]),
        (b"--xYz\r\n\r\nv", "multipart/form-data", []),
        (b"--xYz\r\n\r\nv", "multipart/form-data; boundary=", []),
        (b"--xYz\r\n\r\nv", "text/plain; boundary=xYz", []),
    ],
)
def test_malformed_multipart_bodies(body: bytes, content_type: str, expected: list[tuple[bytes, bytes]]) -> None:
    assert values_of("body_args", request_of(body, content_type)) == expected


def test_parts_beyond_the_limit_become_one_value() -> None:
    pairs = values_of("body_args", request_of(b"--xYz\n\na\n" * multipart.MAX_PARTS + b"--xYz\n\nb", MULTIPART))
    assert len(pairs) == multipart.MAX_PARTS + 1
    assert pairs[-1] == (b"", b"\n\nb")


def test_header_lines_beyond_the_limit_become_one() -> None:
    body = b"--xYz\n" + b"a: b\n" * multipart.MAX_HEADERS + b"c: d\ne: f\n\nvalue"
    lines = [line for _, line in values_of("multipart_headers", request_of(body, MULTIPART))]
    assert lines == [b"a: b"] * multipart.MAX_HEADERS + [b"c: d\ne: f"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":{"b":"x"},"c":1}', [(b"json.a.b", b"x"), (b"json.c", b"1")]),
        (b'{"a":["x",{"b":true}]}', [(b"json.a.array_0", b"x"), (b"json.a.array_1.b", b"true")]),
        (b'[[1],"x"]', [(b"json.array_0.array_0", b"1"), (b"json.array_1", b"x")]),
        (b'{"a":"evil","a":"good"}', [(b"json.a", b"evil"), (b"json.a", b"good")]),
        (b'{"a":null,"b":false,"":"x"}', [(b"json.a", b""), (b"json.b", b"false"), (b"json.empty-key", b"x")]),
        (b"[1.50e1,-0]", [(b"json.array_0", b"1.50e1"), (b"json.array_1", b"-0")]),
        (b'{"a":[],"b":{}}', []),
        (b'"x"', [(b"json", b"x")]),
        (b'\xef\xbb\xbf{"a":"\\u003c\\ud83d\\ude00"}', [(b"json.a", "<😀".encode())]),
        (b'{"a":"\xff\\n"}', [(b"json.a", b"\xff\n")]),
        (b'{"a":"\\ud800"}', [(b"json.a", b"?")]),
        (b'{"a":"\xff\\ud800"}', [(b"json.a", b"\xff?")]),
        (b"", []),
        (b"1" * 5000, [(b"json", b"1" * 5000)]),
    ],
)
def test_values_of_json_are_arguments(body: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert values_of("args", request_of(body, "application/json")) == expected
    assert values_of("body_args", request_of(body, "application/vnd.api+json; charset=utf-8")) == expected


def test_json_that_is_too_much_for_the_fast_decoder_is_read_too() -> None:
    for depth in (json_parts.MAX_DEPTH, json_parts.MAX_DEPTH + 1, 1_000):
        nested = b'{"a":' * depth + b'"\\u003cx"' + b"}" * depth
        assert values_of("args", request_of(nested, "application/json"))[-1][1] == b"<x"


def test_what_exceeds_the_limits_on_json_is_one_value() -> None:
    many = b"[" + b'"x",' * (urlencoded.MAX_ARGUMENTS + 1) + b'"evil"]'
    assert values_of("args", request_of(many, "application/json"))[-1] == (b"json", many)
    for body in (b"[" * 600_000 + b'"evil"', b"[" + b"[]," * json_parts.MAX_CONTAINERS + b'"evil"]'):
        name, rest = values_of("args", request_of(body, "application/json"))[-1]
        assert name == b"json"
        assert len(rest) > 100_000
        assert body.endswith(rest)


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    text = b'[{\\"[{' * json_parts.MAX_CONTAINERS
    assert values_of("args", request_of(b'["' + text + b'"]', "application/json")) == [
        (b"json.array_0", text.replace(b"\\", b""))
    ]


def test_a_long_key_is_given_whole_once_and_not_with_each_value_below_it() -> None:
    key = b"k" * 100_000
    pairs = values_of("args", request_of(b'{"' + key + b'":[' + b"1," * 999 + b"1]}", "application/json"))
    assert pairs[0] == (b"json." + key, b"")
    assert len(pairs) == 1001
    assert sum(len(name) for name, _ in pairs[1:]) < 1000 * (json_names.MAX_PATH_BYTES + 20)


@pytest.mark.parametrize(
    ("body", "text", "attributes"),
    [
        (b'<a b="1">x<c d="&lt;2">y</c><![CDATA[<z>]]></a>', b"xy<z>", [(b"b", b"1"), (b"d", b"<2")]),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>', "é".encode(), []),
        ('<a b="é">x</a>'.encode("utf-16"), b"x", [(b"b", "é".encode())]),
        (b'<!DOCTYPE a SYSTEM "http://host/a.dtd"><a b="1">x</a>', b"x", [(b"b", b"1")]),
        (b"<a> \n </a>", None, []),
        (b"", None, []),
    ],
)
def test_text_and_attributes_of_xml(body: bytes, text: bytes | None, attributes: list[tuple[bytes, bytes]]) -> None:
    for content_type in ("text/xml", "Application/XML; charset=utf-8", "application/soap+xml"):
        request = request_of(body, content_type)
        assert values_of("xml", request) == ([] if text is None else [(b"xml", text)])
        assert values_of("xml_attributes", request) == attributes
        assert values_of("args", request) == []
    assert values_of("xml", request_of(body, "text/plain")) == []


def test_elements_beyond_the_limit_are_text() -> None:
    body = b"<a>x" + b"<b/>" * xml_parts.MAX_ELEMENTS + b"y</a>"
    assert values_of("xml", request_of(body, "text/xml")) == [(b"xml", b"x<b/>y</a>")]


def test_a_deep_document_is_read() -> None:
    depth = xml_parts.MAX_ELEMENTS
    assert values_of("xml", request_of(b"<a>" * depth + b"x" + b"</a>" * depth, "text/xml")) == [(b"xml", b"x")]


@pytest.mark.parametrize("encoding", sorted({*aliases, *aliases.values(), "none-such", "utf-8\N{NO-BREAK SPACE}"}))
def test_a_document_may_claim_any_encoding(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><a>x</a>'.encode()
    assert all(value for _, value in values_of("xml", request_of(body, "text/xml")))


def test_no_content_encoding_counts() -> None:
    request = Request(headers=(("Content-Type", FORM), ("Content-Encoding", "gzip")), body=b"a=1")
    assert values_of("args", request) == [(b"a", b"1")]


def test_a_part_is_read_once() -> None:
    parsed = ParsedRequest(request_of(UPLOAD, MULTIPART))
    for target in TARGETS:
        assert parsed.values(target) is parsed.values(target)


@pytest.mark.parametrize("target", ["", "nothing", "Args", "args:", "method:x", ":x", "uri_raw:"])
def test_an_unknown_target_is_reported_with_the_known_ones(target: str) -> None:
    for check in (check_target, ParsedRequest(Request()).values):
        with pytest.raises(UnknownTarget) as caught:
            check(target)
        assert repr(target) in str(caught.value)
        assert "multipart_headers:<name>" in str(caught.value)


def test_an_expression_does_not_choose_names() -> None:
    with pytest.raises(UnknownTarget, match=r"args:/\^a/.*target 'args'"):
        check_target("args:/^a/")


def test_every_target_is_known_and_described() -> None:
    for target, description in TARGETS.items():
        check_target(target)
        assert description.endswith(".")
    for collection in COLLECTIONS:
        check_target(f"{collection}:any name")


CONTENT_TYPES = (FORM, MULTIPART, "application/json", "text/xml", "", "multipart/form-data; boundary=a; boundary=b")
HOSTILE = [
    *(
        b"a",
        b"=",
        b"&",
        b"%",
        b"%41",
        b";",
        b"[",
        b"{",
        b'{"":',
        b'"',
        b'\\"',
        b"<a>",
        b"<a/>",
        b"&lt;",
        b"\0",
        b"\xff",
    ),
    *(
        b"--xYz",
        b"\n--xYz\n",
        b"--xYz\na:\n",
        b"\n",
        b" ",
        b";a=",
        b"--xYz\nContent-Disposition: form-data; name=a\n\n",
    ),
]


@pytest.mark.parametrize(("content_type", "piece"), list(product(CONTENT_TYPES, HOSTILE)))
def test_every_target_answers_on_long_odd_requests(content_type: str, piece: bytes) -> None:
    body = (piece * (MAX_BODY_BYTES // len(piece) + 1))[:MAX_BODY_BYTES]
    text = (piece * 65_536).decode("latin-1")[:65_536]
    request = Request(uri=f"/?{text}"[:65_536], headers=(("Content-Type", content_type), ("Cookie", text)), body=body)
    parsed = ParsedRequest(request)
    for target in TARGETS:
        assert sum(len(name) + len(value) for name, value in parsed.values(target)) <= 10 * (len(body) + 3 * 65_536)


pieces = st.lists(st.sampled_from(HOSTILE) | st.binary(max_size=4), max_size=20).map(b"".join)


@given(
    uri=st.text(max_size=40),
    name=st.sampled_from(["Content-Type", "Cookie", "x"]) | st.text(max_size=8),
    content_type=st.sampled_from(CONTENT_TYPES) | st.text(max_size=20),
    body=pieces
    | st.sampled_from([UPLOAD, b'{"a":[1]}', b"<a b='c'>d</a>"]).flatmap(
        lambda whole: st.integers(0, len(whole)).map(lambda end: whole[:end])
    ),
)
def test_every_target_answers_on_any_request(uri: str, name: str, content_type: str, body: bytes) -> None:
    parsed = ParsedRequest(Request(uri=uri, headers=((name, content_type), ("content-type", content_type)), body=body))
    for target in TARGETS:
        for pair in parsed.values(target):
            assert [type(part) for part in pair] == [bytes, bytes]
