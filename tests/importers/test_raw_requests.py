"""Requests as they were on the wire, with what tolerant servers forgive."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.sample import Request
from shieldx.importers.header_lines import NotAHeader, lines_of, read_header_lines
from shieldx.importers.raw_requests import parse_raw_request


def headers_of(lines: str) -> list[tuple[str, str]]:
    return list(parse_raw_request(f"GET / HTTP/1.1\r\n{lines}\r\n\r\n".encode()).headers)


def test_lines_may_end_in_a_line_feed_alone() -> None:
    assert parse_raw_request(b"POST /a HTTP/1.1\nHost: a\r\nX: b\n\nbody\r\n\r\n") == Request(
        method="POST", uri="/a", headers=(("Host", "a"), ("X", "b")), body=b"body\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("A: 1\r\n 2\r\n\t 3\r\nB: 4", [("A", "1 2 3"), ("B", "4")]),
        ("A:\r\n 1", [("A", "1")]),
        (" A: 1", [("A", "1")]),
        ("A : 1", [("A", "1")]),
        ("A:1", [("A", "1")]),
        ("A::", [("A", ":")]),
        ("A b(c)[0]: 1", [("A b(c)[0]", "1")]),
        # No line end but LF ends a line, and no space but a blank or a tab is removed.
        ("A: 1\u2028B: 2", [("A", "1\u2028B: 2")]),
        ("A: 1\x85B: 2\x0b", [("A", "1\x85B: 2\x0b")]),
        ("A: 1\rB: 2", [("A", "1\rB: 2")]),
        ("A: \xa01\x1c", [("A", "\xa01\x1c")]),
        ("\xa0A\x0c: 1", [("\xa0A\x0c", "1")]),
    ],
)
def test_headers_keep_their_characters(lines: str, expected: list[tuple[str, str]]) -> None:
    assert headers_of(lines) == expected


def test_no_character_of_the_request_line_vanishes() -> None:
    request = parse_raw_request("G\xa0T \xa0/\u2028 \x85 HTTP/1.1\r\n\r\n".encode())
    assert (request.method, request.uri) == ("G\xa0T", "\xa0/\u2028 \x85")


def test_a_line_without_a_name_is_named_by_its_number() -> None:
    for text, number in (("A: 1\nno colon", 2), (": 1", 1), ("\n\n:", 3)):
        with pytest.raises(NotAHeader) as caught:
            list(read_header_lines(lines_of(text)))
        assert caught.value.number == number
