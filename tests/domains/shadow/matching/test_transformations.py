from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.shadow.matching import dense_escapes, escapes
from shieldx.domains.shadow.matching.transformations import TRANSFORMATIONS, apply
from shieldx.domains.shadow.rule import Transformation

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = {
    "url_decode": [
        (b"plain", b"plain"),
        (b"a+b%20c", b"a b c"),
        (b"%3Cscript%3e", b"<script>"),
        (b"%u003c%U003E", b"<>"),
        (b"%uff1cscript%uFF1E", b"<script>"),
        (b"%uff00%u01ff", b"\x00\xff"),
        (b"%u2019", b"\x19"),
        (b"100%", b"100%"),
        (b"%4", b"%4"),
        (b"%zz%41", b"%zzA"),
        (b"%%41", b"%A"),
        (b"%u00", b"%u00"),
        (b"%u%41", b"%uA"),
        (b"%2541", b"%41"),
        (b"%00%ff", b"\x00\xff"),
    ],
    "html_entity_decode": [
        (b"&lt;b&gt;&amp;&quot;&nbsp;", b'<b>&"\xa0'),
        (b"&LT;&Quot;", b'<"'),
        (b"&lt b&gt", b"< b>"),
        (b"&#60;&#x3c;&#X3C;", b"<<<"),
        (b"&#60&#x3c", b"<<"),
        (b"&#0000060;&#x00003c;", b"<<"),
        (b"&#316;&#x13c;&#1084;&#99999996;", b"<<<\xfc"),
        (b"&ltscript", b"&ltscript"),
        (b"&copy;&;&#;&#x;&#xg;&", b"&copy;&;&#;&#x;&#xg;&"),
        (b"&&lt;", b"&<"),
        (b"&amp;lt;", b"&lt;"),
    ],
    "js_decode": [
        (rb"\u003cb\u003E", b"<b>"),
        (rb"\uff1c\uFF1e", b"<>"),
        (rb"\x3c\x3E", b"<>"),
        (rb"\74\074\0", b"<<\x00"),
        (rb"\400\377", b" 0\xff"),
        (rb"\a\b\f\n\r\t\v", b"\a\b\f\n\r\t\v"),
        (rb"\'\"\?\q", b"'\"?q"),
        (rb"\\x3c", rb"\x3c"),
        (rb"\u00g0\xg0", b"u00g0xg0"),
        (rb"\U003c\X3c", b"U003cX3c"),
        (b"end\\", b"end\\"),
    ],
    "css_decode": [
        (rb"\3c b\3E", b"<b>"),
        (rb"\00003cscript", b"<script"),
        (rb"\3c  b", b"< b"),
        (rb"\ff1c\00ff1c\0ff1c", b"<<<"),
        (rb"\1ff1c\10ff1c", b"\x1c\x1c"),
        (rb"\1234567", b"V7"),
        (rb"\f", b"\x0f"),
        (rb"j\avascript", b"j\nvascript"),
        (rb"e\xpression\\", b"expression\\"),
        (b"a\\\nb", b"ab"),
        (b"a\\", b"a"),
    ],
    "base64_decode": [
        (b"VGVzdENhc2U=", b"TestCase"),
        (b"VGVzdENhc2Ux", b"TestCase1"),
        (b"VGVz\r\ndENhc2U", b"TestCase"),
        (b"VGVzdENhc2U=VGVzdA==", b"TestCase"),
        (b"VGVz!dENhc2U=", b"Tes"),
        (b"V", b""),
        (b"VG", b"T"),
        (b"<script>", b""),
    ],
    "escape_sequence_decode": [
        (rb"\a\b\f\n\r\t\v\?\'\"\\", b"\a\b\f\n\r\t\v?'\"\\"),
        (rb"\x3c\X3C\74\074", b"<<<<"),
        (rb"\0\12\123", b"\x00\nS"),
        (rb"\0123", b"\n3"),
        (rb"\666", b"\xb6"),
        (rb"\8\q\xg", b"8qxg"),
        (b"end\\", b"end\\"),
    ],
    "utf8_to_unicode": [
        (b"ascii", b"ascii"),
        ("é".encode(), b"%u00e9"),
        ("\N{FULLWIDTH LESS-THAN SIGN}".encode(), b"%uff1c"),
        ("\N{GRINNING FACE}".encode(), b"%u1f600"),
        (b"\xf4\x8f\xbf\xbf", b"%u10ffff"),
        (b"..\xc0\xaf", b"..%u002f"),
        (b"\xe9\xe9t\xc3", b"\xe9\xe9t\xc3"),
        (b"\x80\xff\xf5\x80\x80\x80", b"\x80\xff\xf5\x80\x80\x80"),
    ],
    "lowercase": [(b"SeLeCt \xc3\x89", b"select \xc3\x89")],
    "remove_nulls": [(b"\0a\0\0b", b"ab")],
    "remove_whitespace": [(b" a\t\n\v\f\rb\xc2\xa0c ", b"abc")],
    "compress_whitespace": [(b" \t a \r\n\v\fb  ", b" a b "), (b"a\xa0b", b"a\xa0b")],
    "replace_comments": [
        (b"a/* b */c/**/d", b"a c d"),
        (b"un/*ended", b"un "),
        (b"/*/a*/b", b" b"),
        (b"/***/a/****/b", b" a b"),
        (b"a*/b/c", b"a*/b/c"),
    ],
    "remove_comment_characters": [
        (b"a/*b*/c--d#e", b"abcde"),
        (b"<!--a-->", b"a"),
        (b"-#-", b"--"),
        (b"<!-a->", b"<!-a->"),
        (b"/*/*", b""),
    ],
    "normalize_path": [
        (b"/a/b", b"/a/b"),
        (b"/a//b///c", b"/a/b/c"),
        (b"/a/./b/.", b"/a/b"),
        (b"/a/../b/", b"/b/"),
        (b"/../../etc/passwd", b"/etc/passwd"),
        (b"../../a", b"../../a"),
        (b"a/../../b", b"../b"),
        (b"dir/foo//bar", b"dir/foo/bar"),
        (b"/a/..", b"/"),
        (b"//", b"/"),
        (b".", b""),
        (b"/a/.hidden", b"/a/.hidden"),
        (b"/a/...", b"/a/..."),
    ],
    "command_line": [
        (b'C^OMMAND /C "wh\'o\\ami"', b"command/c whoami"),
        (b"a,;\t\r\n b", b"a b"),
        (b"cat /etc (x)", b"cat/etc(x)"),
        (b'a "" b', b"a b"),
    ],
}

DENSE: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "percent_decode": (escapes.percent_decode, dense_escapes.percent_decode),
    "url_decode": (escapes.url_decode, lambda value: dense_escapes.url_decode(value.replace(b"+", b" "))),
    "html_entity_decode": (escapes.html_entity_decode, dense_escapes.html_entity_decode),
    "js_decode": (escapes.js_decode, dense_escapes.js_decode),
    "css_decode": (escapes.css_decode, dense_escapes.css_decode),
    "escape_sequence_decode": (escapes.escape_sequence_decode, dense_escapes.escape_sequence_decode),
    "utf8_to_unicode": (escapes.utf8_to_unicode, dense_escapes.utf8_to_unicode),
}

PIECES = [
    *rb"\ \ \u \x % %u & &# &#x u x X n ff FF 0 00 7 377 9 g quot AMP lt gt nbsp ; +".split(),
    *b"/ * /* */ - -- > # <!-- . .. ' ^ , (".split(),
    *(b" ", b"\n", b"\0", b"\xc0", b"\xaf", b"\xe2", b"\xed", b"\xf0", b"\xf4", b"\xf5", b"\x80", b"\xbf"),
    "é€😀".encode(),
]
texts = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=30).map(b"".join)

IDEMPOTENT = (
    "lowercase",
    "remove_nulls",
    "remove_whitespace",
    "compress_whitespace",
    "normalize_path",
    "utf8_to_unicode",
)
"""Not idempotent: decoding (%2541), and removing a mark can join the halves of another one: -#- or /*/."""


def test_all_transformations_are_implemented() -> None:
    assert set(TRANSFORMATIONS) == set(get_args(Transformation)) == set(EXAMPLES)


@pytest.mark.parametrize(
    ("name", "value", "expected"), [(name, *example) for name, examples in EXAMPLES.items() for example in examples]
)
def test_examples(name: str, value: bytes, expected: bytes) -> None:
    assert apply([name], value) == expected


def test_transformations_apply_in_order() -> None:
    assert apply(["base64_decode", "url_decode", "lowercase"], b"JTNDU0NSSVBU") == b"<script"
    assert apply([], b"A%20") == b"A%20"


@pytest.mark.parametrize("name", sorted(TRANSFORMATIONS))
@given(value=texts)
def test_any_bytes_give_bytes_that_are_longer_only_by_unicode_escapes(name: str, value: bytes) -> None:
    result = apply([name], value)
    assert len(result) <= len(value) * (3 if name == "utf8_to_unicode" else 1)


@pytest.mark.parametrize("name", IDEMPOTENT)
@given(value=texts)
def test_a_second_time_changes_nothing(name: str, value: bytes) -> None:
    once = apply([name], value)
    assert apply([name], once) == once


@pytest.mark.parametrize("name", sorted(DENSE))
@given(value=texts)
def test_values_full_of_escapes_are_decoded_as_others_are(name: str, value: bytes) -> None:
    plain, dense = DENSE[name]
    assert len(value) < escapes.DENSE_ABOVE
    assert dense(value) == plain(value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [(name, *example) for name in DENSE if name in EXAMPLES for example in EXAMPLES[name]],
)
def test_examples_among_many_escapes(name: str, value: bytes, expected: bytes) -> None:
    _, dense = DENSE[name]
    assert dense(value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("url_decode", b"%41%u0042+", b"AB "),
        ("html_entity_decode", b"&lt;&#66", b"<B"),
        ("js_decode", rb"\x41\n\u0042", b"A\nB"),
        ("css_decode", rb"\41 \q", b"Aq"),
        ("escape_sequence_decode", rb"\x41\n\102", b"A\nB"),
        ("utf8_to_unicode", "é".encode(), b"%u00e9"),
    ],
)
def test_the_way_changes_with_the_number_of_escapes_and_the_result_does_not(
    name: str, value: bytes, expected: bytes
) -> None:
    for times in (escapes.DENSE_ABOVE // 4, escapes.DENSE_ABOVE, escapes.DENSE_ABOVE * 4):
        assert apply([name], value * times) == expected * times


@given(value=st.binary(max_size=200))
def test_comments_are_replaced_as_a_reader_of_each_byte_does(value: bytes) -> None:
    value = bytes(b"/*a "[byte % 4] for byte in value)
    assert apply(["replace_comments"], value) == read_byte_by_byte(value)


def read_byte_by_byte(value: bytes) -> bytes:
    result = b""
    while value:
        if value.startswith(b"/*"):
            _, _, value = value[2:].partition(b"*/")
            result += b" "
        else:
            result, value = result + value[:1], value[1:]
    return result
