"""A JSON body that is malformed is read to the error and beyond."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.shadow.matching import loose_json
from shieldx.domains.shadow.matching.json_parts import read_json
from shieldx.domains.shadow.matching.json_strings import StringDecoder
from shieldx.domains.shadow.matching.loose_json import read_loosely


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # It breaks off.
        (b'{"a":"x"', [(b"json.a", b"x")]),
        (b'{"a":"x","b":', [(b"json.a", b"x"), (b"json.b", b"")]),
        (b'{"a":"x","b', [(b"json.a", b"x"), (b"json", b"b")]),
        (b'{"a":"x\\u003c', [(b"json.a", b"x<")]),
        (b'{"a":"x\\', [(b"json.a", b"x")]),
        (b'[1,{"a":[2', [(b"json.array_0", b"1"), (b"json.array_1.a.array_0", b"2")]),
        (b'{"a":{"b":{', [(b"json.a.b", b"")]),
        # Commas and colons are too many or missing.
        (b'{"a":"x",}', [(b"json.a", b"x")]),
        (b'["x",,"y",]', [(b"json.array_0", b"x"), (b"json.array_1", b"y")]),
        (b'{,"a":"x"}', [(b"json.a", b"x")]),
        (b'{"a""x" "b":"y"}', [(b"json", b"a"), (b"json", b"x"), (b"json.b", b"y")]),
        (b'{"a"::"x"}', [(b"json.a", b"x")]),
        (b'["x" "y"]', [(b"json.array_0", b"x"), (b"json.array_1", b"y")]),
        # Brackets do not match.
        (b'{"a":["x"}', [(b"json.a.array_0", b"x")]),
        (b'{"a":"x"}}]"y"', [(b"json.a", b"x"), (b"json", b"y")]),
        # Quotes are missing, or others than JSON's.
        (b"{a:x, b : [y z]}", [(b"json.a", b"x"), (b"json.b.array_0", b"y z")]),
        (b'{"a":x","b":"y"}', [(b"json.a", b"x"), (b"json.b", b"y")]),
        (b'{a":"x"}', [(b"json.a", b"x")]),
        (b"{'a':'x'}", [(b"json.'a'", b"'x'")]),
        (b'{"a":javascript:alert(1)}', [(b"json.a", b"javascript:alert(1)")]),
        # Words and escapes that JSON does not have.
        (b'{"a":NaN,"b":tru,"c":null,"d":0x1F}',
         [(b"json.a", b"NaN"), (b"json.b", b"tru"), (b"json.c", b""), (b"json.d", b"0x1F")]),
        (b'{"a":"\\x41\\u003c\\u00"}', [(b"json.a", b"\\x41<\\u00")]),
        (b'{"a":/* comment */"x"}', [(b"json.a", b"/* comment */"), (b"json", b"x")]),
        # More follows the end.
        (b'{"a":"x"} trailing', [(b"json.a", b"x"), (b"json", b"trailing")]),
        (b'{"a":"x"}\n{"a":"y"}', [(b"json.a", b"x"), (b"json.a", b"y")]),
        (b'"x""y"', [(b"json", b"x"), (b"json", b"y")]),
        (b'\0{"a":"x"}', [(b"json.a", b"x")]),
        # It does not even begin as JSON.
        (b"NaN", [(b"json", b"NaN")]),
        (b"' or 1=1, 2 --", [(b"json", b"' or 1=1, 2 --")]),
        ("\xa0{}".encode(), [(b"json", "\xa0{}".encode())]),
    ],
)  # fmt: skip
def test_malformed_json_is_read(body: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert read_json(body) == expected


def test_what_follows_the_last_separate_piece_is_one_value() -> None:
    body = b"[" + b"[," * loose_json.MAX_PIECES + b'"\\u003cevil"'
    name, rest = read_json(body)[-1]
    assert (name, body.endswith(rest), b"evil" in rest) == (b"json", True, True)


def test_escapes_of_a_malformed_body_are_decoded_however_many_there_are() -> None:
    valid, invalid = b"\\u0041" * 100_000, b"\\u0041\\x" * 100
    assert read_json(b'["' + valid + b'","' + invalid + b'","\\u003cevil",') == [
        (b"json.array_0", b"A" * 100_000),
        (b"json.array_1", b"A\\x" * 100),
        (b"json.array_2", b"<evil"),
    ]


def test_repairs_are_limited_but_valid_strings_are_always_decoded() -> None:
    decoder = StringDecoder()
    decoder.decode(b"\\u0041\\x" * 30_000)
    assert decoder.decode(b"\\u0041\\x\\u0041") == b"A\\x\\u0041"
    assert decoder.decode(b"\\u0041\\u0041") == b"AA"


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4) | st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(documents, min_size=1) | st.dictionaries(st.text(max_size=3), documents, min_size=1), st.booleans())
def test_well_formed_json_is_read_alike_by_both_readers(document: Any, ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert read_loosely(body) == read_json(body)


@given(documents.map(lambda document: json.dumps([document]).encode()), st.data())
def test_what_is_read_before_a_cut_stays(body: bytes, data: st.DataObject) -> None:
    whole = read_json(body)
    cut = read_json(body[: data.draw(st.integers(0, len(body)))])
    for (name, value), (whole_name, whole_value) in zip(cut[:-1], whole, strict=False):
        assert (name, value) == (whole_name, whole_value)
