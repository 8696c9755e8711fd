"""Patterns and values that hang a backtracking engine, or slow down one with automata.

`python -m bench.shadow_hostile` measures their cost; here the timeout only finds hangs.
"""

from __future__ import annotations

import random

import pytest

from shieldx.domains.shadow.matching.matcher import UnusableRule, compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.rule import Keywords, Signature
from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request

pytestmark = pytest.mark.timeout(20)

ACCEPTED = [
    r"(a+)+$",
    r"^(a|aa)+$",
    r"(?:(?:a*)*)*b",
    r"(?s)(?:.*a){20}#",
    r"a{0,1000}b",
    r"(?:x{0,30}){0,30}y",
    "a?" * 30 + "a" * 30 + "#",
    r"(?:a|b)*a(?:a|b){12}c",
    r"(?:a|b)*a(?:a|b){20}c",
    r"(?s)a.{900}#",
    r"(?s)[^c].{900}#c",
    r"(?s)(?:[^a].{900}|[^b].{900}|[^c].{900})#",
    r"(?:[ab]?){400}c[ab]{100}#|a[ab]{800}#",
    "(?s)" + "|".join(f"[^{c}].{{990}}#" for c in "abcdefgh"),
]
REFUSED = [
    r"(?=(a+))b",
    r"(a*)\1b",
    r"(?:a{1000}){1000}",
    "(?s)" + "|".join(f"[^{c}].{{990}}#" for c in "abcdefghijkl"),
    "(" * 100_000,
]


def hostile_values(length: int) -> list[bytes]:
    source = random.Random(20)  # noqa: S311  # reproducible, no secret
    return [
        b"a" * length,
        b"\0" * length,
        b"\xc3\xff\xfe\xed\xa0\x80" * (length // 6),
        bytes(source.choices(b"ab", k=length)),
        bytes(source.choices(b"abcdefgh", k=length)),
        source.randbytes(length),
    ]


@pytest.mark.parametrize("length", [60_000, MAX_BODY_BYTES])
@pytest.mark.parametrize("pattern", ACCEPTED, ids=lambda pattern: pattern[:30])
def test_no_accepted_pattern_hangs_on_any_value(pattern: str, length: int) -> None:
    rule = compile_rule(Signature(pattern=pattern, targets=("body",), transformations=()))
    end_of_a_match = b"aaab#aab" + b"#" * 1_000
    for value in hostile_values(length):
        first = rule.judge(ParsedRequest(Request(body=value)))
        assert first == rule.judge(ParsedRequest(Request(body=value)))
        rule.judge(ParsedRequest(Request(body=value[: -len(end_of_a_match)] + end_of_a_match)))


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda pattern: pattern[:30])
def test_the_others_are_refused(pattern: str) -> None:
    with pytest.raises(UnusableRule):
        compile_rule(Signature(pattern=pattern))


def test_very_many_values_do_not_hang_a_large_pattern() -> None:
    rule = compile_rule(Signature(pattern=ACCEPTED[-1], targets=("args", "headers")))
    source = random.Random(22)  # noqa: S311  # reproducible, no secret
    arguments = "&".join(f"a{number}=" + "".join(source.choices("abcdefgh", k=300)) for number in range(2_000))
    headers = (("content-type", "application/x-www-form-urlencoded"), *[("x", "ab" * 5_000)] * 50)
    assert not rule.judge(ParsedRequest(Request(headers=headers, body=arguments.encode()))).fired


@pytest.mark.parametrize("whole_words", [False, True])
def test_keywords_that_share_their_beginnings_do_not_hang(whole_words: bool) -> None:
    source = random.Random(21)  # noqa: S311  # reproducible, no secret
    words = {"".join(source.choices("ab", k=18)) + "#" for _ in range(5_000)}
    chain = {"a" * length + "b#" for length in range(1, 120)}
    rule = compile_rule(Keywords(keywords=tuple(sorted(words | chain)), targets=("body",), whole_words=whole_words))
    for value in hostile_values(MAX_BODY_BYTES):
        assert not rule.judge(ParsedRequest(Request(body=value))).fired
