"""Chunks of a body are joined before anything looks at it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.shadow.matching.chunks import join_chunks
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.sample import Request

WHOLE = b"4\r\na=%3\r\n5\r\nC&b=2\r\n0\r\n\r\n"


def request_of(body: bytes, coding: str = "chunked") -> Request:
    headers = (("Transfer-Encoding", coding), ("Content-Type", "application/x-www-form-urlencoded"))
    return Request(method="POST", headers=headers, body=body)


def values_of(target: str, request: Request) -> list[bytes]:
    return [value for _, value in ParsedRequest(request).values(target)]


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked", "\x0bchunked", "chunked;q=1"])
def test_chunks_are_joined(coding: str) -> None:
    request = request_of(WHOLE, coding)
    assert list(ParsedRequest(request).values("body_args")) == [(b"a", b"<"), (b"b", b"2")]
    assert values_of("body", request) == [b"a=%3C&b=2"]


def test_another_coding_is_not_undone() -> None:
    assert values_of("body", request_of(WHOLE, "gzip")) == [WHOLE]


def test_a_body_whose_chunks_are_joined_already_stays_as_it_is() -> None:
    assert values_of("body", request_of(b"a=1&b=2")) == [b"a=1&b=2"]


@pytest.mark.parametrize(
    ("body", "joined"),
    [
        (b"3\r\na=1\r\n", b"a=1"),
        (b"3\r\na=1", b"a=1"),
        (b"ff\r\na=1", b"a=1"),
        (b"3\r\na=1\r\n2\r\n&", b"a=1&"),
        (b"3\r\na=1\r\nzz\r\n&b=2", b"a=1zz\r\n&b=2"),
        (b"2\r\na=1\r\n&b=2", b"a=1\r\n&b=2"),
        (b"3\r\na=1\r\n-1\r\n&b", b"a=1-1\r\n&b"),
        (b"3\r\na=1\r\n\xd9\xa3\r\n&b=", b"a=1\xd9\xa3\r\n&b="),  # an Arabic digit is none
        (b"3\r\na=1\r\n1_0\r\n&b", b"a=11_0\r\n&b"),
        (b"3\r\na=1\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"a=1"),
    ],
)
def test_malformed_chunks_are_joined_up_to_the_error_and_shown_as_they_are(body: bytes, joined: bytes) -> None:
    assert values_of("body", request_of(body)) == [joined, body]


@pytest.mark.parametrize(
    "body",
    [
        b"3;name=value\r\na=1\r\n0\r\n\r\n",
        b"03 \r\na=1\r\n000\r\n",
        b"3\na=1\n0\n\n",
        b"3\r\na=1\r\n0\r\nTrailer: x\r\nB: c\r\n\r\n",
        b"3\r\na=1\r\n0\r\n",
    ],
)
def test_extensions_trailers_and_line_feeds_are_no_errors(body: bytes) -> None:
    assert join_chunks(body) == (b"a=1", True)


def test_an_empty_body_in_chunks_does_not_hide_what_follows_it() -> None:
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"
    assert values_of("body", request_of(smuggled)) == [smuggled]
    assert values_of("body", request_of(b"0\r\n\r\n")) == []


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8))
def test_any_bytes_survive_being_sent_in_chunks(pieces: list[bytes]) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    assert join_chunks(sent) == (b"".join(pieces), True)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_no_byte_of_a_body_that_breaks_off_is_lost(body: bytes, end: int) -> None:
    request = request_of((b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))[:end])
    if request.body:
        assert request.body in values_of("body", request) or values_of("body", request) in ([body], [])
