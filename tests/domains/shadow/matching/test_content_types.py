"""A body is read by each Content-Type that it has, as by the servers that take one or the other."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.sample import Request

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xYz"
BODY = b'--xYz\r\nContent-Disposition: form-data; name="a"\r\n\r\nv&b=1\r\n--xYz--'
AS_FORM = [(b"--xYz\r\nContent-Disposition: form-data; name", b'"a"\r\n\r\nv'), (b"b", b"1\r\n--xYz--")]
AS_MULTIPART = [(b"a", b"v&b=1")]


def arguments(body: bytes, *content_types: str) -> list[tuple[bytes, bytes]]:
    headers = tuple(("Content-Type", content_type) for content_type in content_types)
    return list(ParsedRequest(Request(headers=headers, body=body)).values("body_args"))


@pytest.mark.parametrize(
    ("content_types", "expected"),
    [
        ((FORM, MULTIPART), AS_FORM + AS_MULTIPART),
        ((MULTIPART, FORM), AS_FORM + AS_MULTIPART),
        ((MULTIPART, "text/plain"), AS_MULTIPART),
        (("text/plain", MULTIPART), AS_MULTIPART),
        ((MULTIPART, MULTIPART), AS_MULTIPART),
        ((MULTIPART, "multipart/form-data; boundary=no"), AS_MULTIPART),
        (("multipart/form-data; boundary=no", MULTIPART, "text/plain"), AS_MULTIPART),
    ],
)
def test_two_content_types_are_both_right(content_types: tuple[str, ...], expected: list[tuple[bytes, bytes]]) -> None:
    assert arguments(BODY, *content_types) == expected


def test_json_and_a_form_may_be_one_body() -> None:
    assert arguments(b'{"a":"x&b=y"}', "application/json", FORM) == [
        (b'{"a":"x', b""),
        (b"b", b'y"}'),
        (b"json.a", b"x&b=y"),
    ]


@pytest.mark.parametrize(
    "content_type",
    [
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "application/x-www-form-urlencoded; charset=utf-8",
        " \t\r\n application/x-www-form-urlencoded",
        "\xa0application/x-www-form-urlencoded",
        "\u3000\u2028\x85application/x-www-form-urlencoded",
        "application/x-www-form-urlencodedx",
    ],
)
def test_a_type_is_recognised_as_tolerant_servers_do(content_type: str) -> None:
    assert arguments(b"a=1", content_type) == [(b"a", b"1")]


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "x" + FORM, "x, " + FORM, "application/\u017foap+json", "\xc2"]
)
def test_other_types_are_not_read(content_type: str) -> None:
    assert arguments(b"a=1", content_type) == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON5", "application/vnd.a-b_c+json", "application/a+b+json"]
)
def test_types_of_json(content_type: str) -> None:
    assert arguments(b'{"a":1}', content_type) == [(b"json.a", b"1")]
