"""The boundary of a multipart body, quoted, escaped, continued or disguised."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.matching import boundaries
from shieldx.domains.shadow.matching.boundaries import boundaries_of
from shieldx.domains.shadow.matching.header_parameters import MAX_REPETITIONS, ParameterReader
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.sample import Request


def body_of(*names: str) -> bytes:
    """A body with one part for each boundary."""
    parts = [
        f'--{name}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n<v>\r\n--{name}--\r\n' for name in names
    ]
    return "".join(parts).encode()


def read(body: bytes, *content_types: str) -> list[tuple[bytes, bytes]]:
    headers = tuple(("Content-Type", content_type) for content_type in content_types)
    return list(ParsedRequest(Request(method="POST", headers=headers, body=body)).values("body_args"))


@pytest.mark.parametrize(
    "parameters",
    [
        "; boundary=xYz",
        ";boundary=xYz;charset=utf-8",
        "; BOUNDARY = xYz ",
        '; boundary="xYz"',
        '; boundary="x\\Yz"; charset=utf-8'.replace("\\", ""),
        # x-boundary is another parameter.
        "; x-boundary=no; boundary=xYz",
        "; boundary=xYz; x-boundary=no",
        '; a="; boundary=no"; boundary=xYz',
        # Between the parts, Go ignores any space.
        ";\xa0boundary\u2028=\u3000xYz",
        # Escaped, continued and encoded.
        '; boundary*0="x"; boundary*1="Yz"',
        '; boundary*1=z; boundary*0="xY"',
        "; boundary*=utf-8''x%59z",
        "; boundary*0*=utf-8''x%59; boundary*1=z",
        # A header that was continued in the next line.
        ";\r\n boundary=xYz",
        ";\n\tboundary=\r\n xYz",
        # What ModSecurity reads although it is malformed.
        " boundary=xYz",
        "; boundary=xYz, text/plain",
        # Of two, either may count.
        "; boundary=no; boundary=xYz",
        "; boundary=xYz; boundary=no",
        # A quote that is not closed.
        '; boundary="xYz',
        '; a="; boundary=xYz',
    ],
)
def test_a_boundary_is_found(parameters: str) -> None:
    assert read(body_of("xYz"), f"multipart/form-data{parameters}") == [(b"xYz", b"<v>")]


@pytest.mark.parametrize(
    ("parameter", "boundary"),
    [
        ('"a b"', "a b"),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ('"\\(a\\)"', "(a)"),
        ("a b", "a b"),
        ("a'b", "a'b"),
        ("'a'", "'a'"),
        ("(1)/:=?", "(1)/:=?"),
        ("é", "é"),
        ('"a;b"', "a;b"),
        ("*", "*"),
    ],
)
def test_special_characters_of_a_boundary(parameter: str, boundary: str) -> None:
    body = f"--{boundary}\r\n\r\nv\r\n--{boundary}--".encode()
    assert read(body, f"multipart/form-data; boundary={parameter}") == [(b"", b"v")]


@pytest.mark.parametrize("parameters", ["", "; boundary=", '; boundary=""', "; x-boundary=xYz", "; boundaryx=xYz"])
def test_without_a_boundary_there_are_no_parts(parameters: str) -> None:
    assert read(body_of("xYz"), f"multipart/form-data{parameters}") == []


def test_a_body_is_divided_by_each_boundary_that_a_server_might_take() -> None:
    body = body_of("one", "two")
    for content_types in (
        ("multipart/form-data; boundary=one; boundary=two",),
        ("multipart/form-data; boundary=one", "multipart/form-data; boundary=two"),
    ):
        assert read(body, *content_types) == [(b"one", b"<v>"), (b"two", b"<v>")]


def test_the_number_of_boundaries_is_limited() -> None:
    names = [f"b{number}" for number in range(10)]
    body = "".join(f"\r\n--{name}\r\n" for name in names).encode()
    content_types = [f"multipart/form-data; boundary={name}".encode() for name in names]
    assert boundaries_of(content_types, body) == [b"b0", b"b1", b"b8", b"b9"]
    assert boundaries.MAX_BOUNDARIES == 4


def test_a_repeated_parameter_counts_a_limited_number_of_times() -> None:
    header = b"form-data" + b"".join(b"; name=%d" % number for number in range(100))
    (read,) = ParameterReader("name").read(header)
    assert len(read[b"name"]) == MAX_REPETITIONS
