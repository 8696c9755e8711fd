from __future__ import annotations

import random
import re

import pytest

from shieldx.domains.shadow.matching.patterns import (
    MAX_KEYWORD_BYTES,
    MAX_KEYWORDS,
    MAX_PROGRAM_SIZE,
    UnusablePattern,
    compile_keywords,
    compile_literal,
    compile_regex,
)


def found(pattern: str, value: bytes) -> bool:
    return compile_regex(pattern).found_in([value])


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        (r"a\x00b", b"a\0b", True),
        (r"\xff", b"\xfe\xff", True),
        (r"^.$", b"\xc3", True),
        (r"^.$", "é".encode(), False),
        (r"^é+$", "ééé".encode(), True),
        (r"^\Qé\E+$", "ééé".encode(), True),
        (r"(?i)é", "É".encode(), False),
        (r"(?i)É", "É".encode(), True),
        (r"(?i)K", b"k", True),
        (r"(?i)[\xe0-\xff]", b"\xc1", False),
        (r"\bid\b", "éid".encode(), True),
        (r"^b", b"a\nb", False),
        (r"(?m)^b", b"a\nb", True),
        (r"a.b", b"a\nb", False),
        (r"(?s)a.b", b"a\nb", True),
        (r"a$", b"a\n", False),
        (r"^$", b"", True),
    ],
)
def test_a_pattern_matches_bytes(pattern: str, value: bytes, expected: bool) -> None:
    assert found(pattern, value) is expected


@pytest.mark.parametrize("seed", range(20))
def test_on_plain_patterns_it_agrees_with_pythons_re(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311  # reproducible, no secret
    pieces = ["a", "b", "[ab]", "[^a]", ".", r"\x00", r"\w", r"\b", "^", "(?:ab)", "é"]
    for _ in range(50):
        pattern = "".join(source.choice(pieces) + source.choice(["", "", "*", "?", "{1,3}"]) for _ in range(4))
        pattern = re.sub(r"(\^|\\b)(?:\*|\?|\{1,3\})", r"\1", pattern)
        mine = compile_regex(pattern)
        peer = re.compile(pattern.encode().replace("é".encode(), b"(?:\xc3\xa9)"))
        for _ in range(10):
            value = bytes(source.choice([*b"ab\0 ", 0xC3, 0xA9]) for _ in range(source.randint(0, 8)))
            assert mine.found_in([value]) is (peer.search(value) is not None), (pattern, value)


@pytest.mark.parametrize(
    ("pattern", "position", "reason"),
    [
        (r"select(?=\s)", 6, "lookahead"),
        (r"a(?!b)", 1, "lookahead"),
        (r"ab(?<=b)c", 2, "lookbehind"),
        (r"(?<name>a)(?<!b)", 10, "lookbehind"),
        (r"x(?>a)", 1, "atomic"),
        (r"(a)\1", 3, "backreference"),
        (r"(?P<n>a)(?P=n)", 8, "backreference"),
        (r"(?P<n>a)\k<n>", 8, "backreference"),
        (r"é[a-z]++", 6, "possessive"),
        (r"a{2,3}+", 1, "possessive"),
        (r"ab(?(1)a|b)", 2, "conditional"),
        (r"(a(?R)?)", 2, "recursion"),
        (r"a(?#why)", 1, "comment"),
        (r"(?|a|b)", 0, "branch reset"),
        (r"(?x)a", 0, "flag"),
        (r"a\h", 1, "escape"),
        (r"\\\1", 2, "backreference"),
        (r"a\x{100}", 1, "bytes"),
        (r"ab[cdé]", 5, "single bytes"),
        (r"[\Qé\E]", 3, "single bytes"),
        (r"a\é", 1, "backslash"),
        (r"a[b", 1, "not closed"),
        (r"(a(b)", 0, "not closed"),
        (r"[(](a))b", 6, "no matching ("),
        ("ab\\", 2, "backslash"),
        (r"*a", 0, "nothing to repeat"),
        (r"a**", 1, "follows another"),
        (r"a{1001}", 1, "1,000"),
        (r"x(?:a{100}){100}", 11, "1,000"),
        (r"[z-a]", 1, "range"),
        ("a" * 100_000 + "(?=b)", 100_000, "lookahead"),
        ("a\ud800", 1, "surrogate"),
    ],
)
def test_an_unusable_pattern_is_refused_with_position_and_reason(pattern: str, position: int, reason: str) -> None:
    with pytest.raises(UnusablePattern, match=re.escape(reason)) as caught:
        compile_regex(pattern)
    assert caught.value.position == position


def test_a_message_quotes_little_of_the_pattern() -> None:
    secret = "s3cret" * 50
    for pattern in (f"{secret}[{secret}", f"[[:{secret}:]]", f"({secret}", rf"{secret}\1{secret}", f"(?<{secret}"):
        with pytest.raises(UnusablePattern) as caught:
            compile_regex(pattern)
        assert len(re.findall("s3cret", str(caught.value))) <= 40 // len("s3cret")


@pytest.mark.parametrize("pattern", ["[^a]{1000}" * 300, "(?:a{30}){30}" * 20, "a" * (MAX_PROGRAM_SIZE + 1)])
def test_a_program_that_is_too_large_is_refused_as_a_whole(pattern: str) -> None:
    with pytest.raises(UnusablePattern, match="shorten") as caught:
        compile_regex(pattern)
    assert caught.value.position is None


def test_of_a_long_value_beginning_and_end_are_looked_at() -> None:
    regex = compile_regex(r"(?s)x.{900}y|needle")
    padding = b"-" * regex.reach_bytes
    assert regex.found_in([b"needle" + padding * 3])
    assert regex.found_in([padding * 3 + b"needle"])
    assert not regex.found_in([padding + b"needle" + padding])


def test_where_a_long_value_is_cut_is_neither_its_end_nor_a_border() -> None:
    padding = b"a" * 5_000_000
    assert compile_regex("^a").found_in([padding])
    assert compile_regex("a$").found_in([padding])
    for pattern in ("^a", r"\ba", "(?m)^a"):
        assert not compile_regex(pattern).found_in([b"bc" + padding])
    for pattern in ("a$", r"a\b", "(?m)a$"):
        assert not compile_regex(pattern).found_in([padding + b"bc"])


def test_values_share_the_searched_bytes_and_short_ones_are_searched_completely() -> None:
    regex = compile_regex("(?s)x.{900}y|needle")
    long = b"-" * regex.reach_bytes
    assert regex.found_in([long, long, long, b"needle"])
    assert regex.found_in([long, long + b"needle"])
    assert not regex.found_in([long, b"-" * (regex.reach_bytes // 3) + b"needle" + long])


def test_values_are_skipped_if_there_are_more_than_searchable_bytes() -> None:
    regex = compile_regex("(?s)x.{900}y|needle")
    assert not regex.found_in([b"needle"] * regex.reach_bytes)


@pytest.mark.parametrize(
    ("words", "value", "case_sensitive", "whole_words", "expected"),
    [
        (("union", "select"), b"1 UNION ALL", False, False, True),
        (("union", "select"), b"1 UNION ALL", True, False, False),
        (("union",), b"reunion", False, False, True),
        (("union",), b"reunion", False, True, False),
        (("union",), b"re-union.", False, True, True),
        (("union",), b"_union", False, True, False),
        (("../",), b"a../b", False, True, True),
        (("a.c",), b"abc", False, False, False),
        (("é",), "É".encode(), False, False, False),
        (("a\0b",), b"A\0B", False, False, True),
        (("\x80",), "\x80".encode(), True, True, True),
        (("A", "a"), b"a", True, False, True),
    ],
)
def test_keywords(
    words: tuple[str, ...], value: bytes, case_sensitive: bool, whole_words: bool, expected: bool
) -> None:
    pattern = compile_keywords(words, case_sensitive=case_sensitive, whole_words=whole_words)
    assert pattern.found_in([b"", value]) is expected


def test_each_of_very_many_keywords_is_found() -> None:
    words = [f"word{number}x" for number in range(MAX_KEYWORDS)]
    pattern = compile_keywords(words, case_sensitive=False, whole_words=True)
    assert all(pattern.found_in([word.upper().encode()]) for word in words)
    assert not pattern.found_in([b"word"])


def test_too_many_or_too_long_keywords_are_refused() -> None:
    with pytest.raises(UnusablePattern, match="10,001 keywords"):
        compile_keywords([f"w{number}" for number in range(MAX_KEYWORDS + 1)], case_sensitive=True, whole_words=False)
    with pytest.raises(UnusablePattern, match="129 bytes"):
        compile_keywords(["a" * (MAX_KEYWORD_BYTES + 1)], case_sensitive=True, whole_words=False)


def test_a_literal_is_searched_verbatim() -> None:
    literal = compile_literal("' OR '1'='1.*é")
    assert literal.found_in([b"", "id=' OR '1'='1.*é--".encode()])
    assert not literal.found_in(["' or '1'='1.*é".encode()])
