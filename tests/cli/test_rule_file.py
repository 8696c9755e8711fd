"""A rule in a file, and how its faults and changes are shown, without Kafka."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec
import pytest

from shieldx.cli.rule.caret import AROUND, caret_lines, pointed_at
from shieldx.cli.rule.rule_file import CorrectRule, read_rule
from shieldx.cli.rule.rule_text import diff_lines
from shieldx.cli.rule.versions import RuleName
from shieldx.domains.shadow.rule import Composite, Keywords, RuleConfig, Signature, rule_hash
from shieldx.domains.shadow.tables import RuleRow

REQUEST = {
    "rule_id": "rule-001",
    "rule_name": "SQL injection",
    "rule_type": "signature",
    "rule_config": {"type": "signature", "pattern": "' OR '1'='1"},
    "sample_size": 1000,
    "tenant_id": "org-123",
}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def row(config: RuleConfig, **fields: Any) -> RuleRow:
    known: dict[str, Any] = {
        "version": 1,
        "name": "",
        "author": None,
        "parent": None,
        "note": "",
        "at": "2026-11-22T13:07:11.000Z",
    }
    return RuleRow(tenant_id="acme", rule_id="r", config=config, hash=rule_hash(config), **known | fields)


def test_a_request_for_an_evaluation_holds_a_rule() -> None:
    found = read_rule(encoded(REQUEST))
    assert found == (Signature(pattern="' OR '1'='1"), "rule-001", "SQL injection", "org-123")


def test_the_output_of_rule_show_is_a_rule_file() -> None:
    shown = row(Keywords(keywords=("union", "select")), name="words")
    assert read_rule(msgspec.json.encode(shown)) == (shown.config, "r", "words", "acme")


def test_the_content_alone_is_a_rule_without_an_id() -> None:
    assert read_rule(encoded(REQUEST["rule_config"])) == (Signature(pattern="' OR '1'='1"), None, None, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "Input data was truncated"),
        (b"\xff{}", "is not a rule"),
        (b"[]", "Expected `object`"),
        (encoded({"type": "signature", "patern": "x"}), "unknown field `patern`"),
        (encoded(REQUEST | {"rule_config": {"type": "signature"}}), "`pattern` - at `$.rule_config`"),
        (encoded(REQUEST | {"rule_type": "scored"}), "declares the rule type 'scored'"),
        (b'{"rule_config":' * 100_000, "is not a rule"),
        (b'{"type":"signature","pattern":"x","pattern":"y"}', "Field given twice - at `$.pattern`"),
    ],
)
def test_an_invalid_rule_is_rejected_with_its_location(content: bytes, says: str) -> None:
    with pytest.raises(CorrectRule) as refused:
        read_rule(content)
    assert says in str(refused.value)


def test_a_caret_marks_the_fault() -> None:
    assert caret_lines(Signature(pattern="select (a|b)(?=x)")) == ["  select (a|b)(?=x)", "              ^"]
    within = Composite(operator="and", rules=(Keywords(keywords=("a",)), Signature(pattern="a[b")))
    assert caret_lines(within) == ["  a[b", "   ^"]


def test_a_fault_without_a_position_has_no_caret() -> None:
    assert caret_lines(Signature(pattern="a")) == []
    assert caret_lines(Keywords(keywords=("x" * 1000,))) == []


def test_of_a_long_pattern_its_surroundings_are_shown_and_no_control_character() -> None:
    shown, caret = pointed_at("a" * 100 + "\x1b[b" + "c" * 100, 101)
    assert shown == "  …" + "a" * (AROUND - 1) + r"\x1b" + "[b" + "c" * (AROUND - 2) + "…"
    assert shown[len(caret) - 1] == "["


def test_a_diff_names_both_versions_and_their_contents() -> None:
    before = row(Signature(pattern="a\x9b"), name="first")
    after = row(Signature(pattern="b"), name="first", version=2)
    lines = [click.unstyle(line) for line in diff_lines(before, after)]
    assert lines[:2] == ["--- r@1", "+++ r@2"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [r'-    "pattern": "a\x9b",', '+    "pattern": "b",']
    assert list(diff_lines(before, before)) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("r", RuleName("r", None)),
        ("r@12", RuleName("r", 12)),
        ("a@b@3", RuleName("a@b", 3)),
        ("a@b", RuleName("a@b", None)),
        ("r@0", RuleName("r@0", None)),
        ("@1", RuleName("@1", None)),
    ],
)
def test_a_version_of_a_rule_follows_the_last_at_sign(text: str, name: RuleName) -> None:
    assert RuleName.of(text) == name
