"""The statements of docs/reference/rules.md are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from shieldx.domains.shadow.matching.matcher import MAX_DEPTH, MAX_PATTERNS, UnusableRule, compile_rule
from shieldx.domains.shadow.matching.parts import COLLECTIONS, TARGETS, ParsedRequest
from shieldx.domains.shadow.matching.patterns import (
    BYTE_NS,
    INSTRUCTION_NS,
    KEYWORDS_BYTE_NS,
    MAX_KEYWORD_BYTES,
    MAX_KEYWORDS,
    MAX_MATCH_NS,
    MAX_PROGRAM_SIZE,
    reach_of,
)
from shieldx.domains.shadow.matching.transformations import apply
from shieldx.domains.shadow.rule import (
    DEFAULT_TARGETS,
    DEFAULT_TRANSFORMATIONS,
    MAX_RULE_BYTES,
    Composite,
    RuleConfig,
    Signature,
    Transformation,
)
from shieldx.domains.shadow.sample import Request

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
FIRING = {
    "signature": Request(uri="/?id=1+UNION%20select"),
    "keywords": Request(uri="/?id=SLEEP(5)"),
    "composite": Request(method="POST", headers=(("Content-Type", "text/plain"),)),
    "scored": Request(uri="/?id=1--&q=union"),
    "excluded": Request(uri="/?q=%26lt%3bSCRIPT"),
}
SILENT = {
    "signature": Request(uri="/union select"),
    "keywords": Request(uri="/?id=sleep"),
    "composite": Request(method="POST", headers=(("Content-Type", "application/json"),)),
    "scored": Request(uri="/?q=union"),
    "excluded": Request(uri="/?html_q=<script", headers=(("Referer", "<script"),)),
}


def rules_shown() -> dict[str, RuleConfig]:
    """The examples of the page, by type; the one with exclusions by `excluded`."""
    rules: dict[str, RuleConfig] = {}
    for text in EXAMPLES:
        rule = msgspec.json.decode(text, type=RuleConfig)
        rules["excluded" if "excluded" in text else str(rule.__struct_config__.tag)] = rule
    return rules


def first_column() -> list[str]:
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(.*?)`", row)]


def test_every_type_has_an_example_that_fires_where_it_should() -> None:
    assert rules_shown().keys() == FIRING.keys()
    for name, rule in rules_shown().items():
        compiled = compile_rule(rule)
        assert compiled.judge(ParsedRequest(FIRING[name])).fired, name
        assert not compiled.judge(ParsedRequest(SILENT[name])).fired, name


def test_exactly_the_existing_targets_and_transformations_are_listed() -> None:
    listed = first_column()
    one_of = [name for name in listed if ":" in name]
    assert {name.partition(":")[0] for name in one_of} == COLLECTIONS
    assert {name for name in listed if ":" not in name} == {*TARGETS, *get_args(Transformation)}


def test_the_defaults_are_those_of_the_source() -> None:
    *targets, last = DEFAULT_TARGETS
    named = ", ".join(f"`{target}`" for target in targets)
    assert f"it looks at {named} and `{last}`, after `{DEFAULT_TRANSFORMATIONS[0]}`." in PAGE
    assert len(DEFAULT_TRANSFORMATIONS) == 1


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("url_decode", b"%27%u0027+", b"'' "),
        ("html_entity_decode", b"&lt;&#60;&#x3c;", b"<<<"),
        ("js_decode", rb"\x3c\u003c\74\n", b"<<<\n"),
        ("css_decode", rb"\3c ", b"<"),
        ("escape_sequence_decode", rb"\x3c\074\n", b"<<\n"),
        ("base64_decode", b"YT0x.YT0x", b"a=1"),
        ("utf8_to_unicode", "é".encode(), b"%u00e9"),
        ("lowercase", "AÉ".encode(), "aÉ".encode()),
        ("compress_whitespace", b"a \t\n b", b"a b"),
        ("replace_comments", b"a/* x */b", b"a b"),
        ("remove_comment_characters", b"/*a*/--#<!--", b"a"),
        ("normalize_path", b"/a//./b/../c", b"/a/c"),
        ("command_line", b'c^A\\T "x"', b"cat x"),
    ],
)
def test_a_transformation_matches_its_table_row(name: str, before: bytes, after: bytes) -> None:
    assert apply((name,), before) == after


def test_the_limits_are_those_of_the_source() -> None:
    assert f"| a rule's JSON | {MAX_RULE_BYTES // 1024} KiB |" in PAGE
    assert f"| {MAX_PATTERNS} |\n| composites within composites | {MAX_DEPTH} |" in PAGE
    assert f"| {MAX_PROGRAM_SIZE:,} instructions" in PAGE
    assert f"| {MAX_KEYWORDS:,}, of {MAX_KEYWORD_BYTES} bytes each |" in PAGE
    assert f"| {MAX_MATCH_NS // 1_000_000} ms: " in PAGE


def test_the_reported_number_of_bytes_is_searched() -> None:
    told = re.findall(
        r"about ([\d,]+) with a program of 10 \w+,\s([\d,]+)\swith\s100, ([\d,]+) with 8,000; ([\d,]+) for", PAGE
    )
    assert len(told) == 1
    costs = [BYTE_NS + INSTRUCTION_NS * size for size in (10, 100, MAX_PROGRAM_SIZE)]
    for number, cost_ns in zip(told[0], [*costs, KEYWORDS_BYTE_NS], strict=True):
        assert int(number.replace(",", "")) == pytest.approx(reach_of(cost_ns), rel=0.1)


def test_composites_may_be_nested_up_to_the_limit() -> None:
    rule: RuleConfig = Signature(pattern="a")
    for _ in range(MAX_DEPTH):
        rule = Composite(operator="or", rules=(rule,))
    compile_rule(rule)
    with pytest.raises(UnusableRule, match="flatten"):
        compile_rule(Composite(operator="or", rules=(rule,)))


def test_the_refusal_that_it_shows_is_the_one_that_is_made() -> None:
    with pytest.raises(UnusableRule) as refused:
        compile_rule(Signature(pattern="select (a|b)(?=x)"))
    assert f"Error: rule 'sqli': {refused.value}\n" in PAGE
