from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shieldx.domains.shadow.matching.matcher import compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.sample import Request
from shieldx.importers.crs_rules import ImportedRule, NotEvaluable, read_crs_rules, with_pcre_space
from shieldx.importers.imported import FixInput

PUBLISHED = Path(__file__).parents[2] / "../shared/data/crs/rules.json"
RULE = {
    "id": 942100,
    "variables": ["ARGS"],
    "transformations": ["none", "urlDecodeUni"],
    "pattern": "a",
    "chained": False,
    "msg": "SQL",
}


def read_one(**changes: Any) -> ImportedRule | NotEvaluable:
    [rule] = read_crs_rules(json.dumps([{**RULE, **changes}]).encode())
    return rule


def test_a_rule_becomes_a_signature() -> None:
    rule = read_one(
        variables=["REQUEST_HEADERS", "!REQUEST_HEADERS:Cookie", "REQUEST_HEADERS:User-Agent", "XML:/*", "ARGS_NAMES"],
        transformations=["lowercase", "none", "urlDecodeUni", "removeCommentsChar"],
    )
    assert isinstance(rule, ImportedRule)
    assert (rule.rule_id, rule.name) == ("942100", "SQL")
    assert rule.config.targets == ("headers", "headers:user-agent", "xml", "arg_names")
    assert rule.config.excluded == ("headers:cookie",)
    assert rule.config.transformations == ("url_decode", "remove_comment_characters")


def test_names_excluded_by_an_expression() -> None:
    rule = read_one(variables=["ARGS_NAMES", r"!ARGS_NAMES:/^[\w]+\[\]$/"], pattern=r"\[")
    assert isinstance(rule, ImportedRule)
    judge = compile_rule(rule.config).judge
    assert judge(ParsedRequest(Request(uri="/?a[b]=1"))).fired
    assert not judge(ParsedRequest(Request(uri="/?a[]=1"))).fired


def test_request_targets_are_kept_if_a_rule_also_reads_responses() -> None:
    rule = read_one(variables=["RESPONSE_BODY", "ARGS"])
    assert isinstance(rule, ImportedRule)
    assert rule.config.targets == ("args",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chained": True}, "chained"),
        ({"variables": ["RESPONSE_BODY", "RESPONSE_STATUS"]}, "only responses"),
        ({"variables": ["ARGS", "UNIQUE_ID"]}, "reads UNIQUE_ID"),
        ({"variables": ["&ARGS"]}, "reads &ARGS"),
        ({"variables": ["ARGS:/^a/"]}, "by an expression"),
        ({"variables": ["QUERY_STRING:x"]}, r"targets\[0\]"),
        ({"transformations": ["sha1", "hexEncode"]}, "uses the transformation sha1"),
        ({"pattern": r"\s+a(?=b)"}, "unusable: at character 4: lookahead"),
    ],
)
def test_what_cannot_be_judged_says_why(changes: dict[str, Any], reason: str) -> None:
    rule = read_one(**changes)
    assert isinstance(rule, NotEvaluable)
    assert re.search(reason, rule.reason), rule.reason


def test_a_transformation_before_none_does_not_count() -> None:
    assert isinstance(read_one(transformations=["sha1"]), NotEvaluable)
    rule = read_one(transformations=["lowercase", "none"])
    assert isinstance(rule, ImportedRule)
    assert rule.config.transformations == ()


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("a.b", "a%0Ab", True),
        ("^b", "a%0Ab", False),
        ("a$", "a%0A", False),
        (r"a\sb", "a%0Bb", True),
        (r"a\Sb", "a%0Bb", False),
        (r"a[\s]b", "a%0Bb", True),
        (r"a[^\s]b", "a%0Bb", False),
        (r"a[\S]b", "a%0Bb", False),
        (r"a[\S]b", "a%FFb", True),
        (r"a[^\S]b", "a%0Bb", True),
        (r"a[\s\S]b", "a%0Bb", True),
    ],
)
def test_a_pattern_matches_as_in_modsecurity(pattern: str, value: str, expected: bool) -> None:
    rule = read_one(pattern=pattern)
    assert isinstance(rule, ImportedRule)
    assert compile_rule(rule.config).judge(ParsedRequest(Request(uri=f"/?q={value}"))).fired is expected


@pytest.mark.parametrize(
    ("pattern", "rewritten"),
    [
        (r"\\s", r"\\s"),
        (r"[]\s]\s", r"[]\s\x0b][\s\x0b]"),
        (r"[^]\S]", r"[^]\x00-\x08\x0e-\x1f\x21-\xff]"),
        (r"[[:alpha:]\s]", r"[[:alpha:]\s\x0b]"),
        (r"[[\s]\s", r"[[\s\x0b][\s\x0b]"),
        (r"\Q\s\E\s", r"\Q\s\E[\s\x0b]"),
        (r"\[\s", r"\[[\s\x0b]"),
    ],
)
def test_only_escapes_for_white_space_are_written_out(pattern: str, rewritten: str) -> None:
    assert with_pcre_space(pattern) == rewritten


@pytest.mark.parametrize("content", [b"{}", b"[", b"\xff", b'[{"id":"x"}]'])
def test_a_file_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(FixInput, match="not a JSON list of rules"):
        read_crs_rules(content)


def test_the_published_rules() -> None:
    if not PUBLISHED.exists():
        pytest.skip(f"needs the published rules {PUBLISHED.name} in ../shared/data/crs next to the checkout")
    rules = read_crs_rules(PUBLISHED.read_bytes())
    reasons = Counter(rule.reason.partition(":")[0] for rule in rules if isinstance(rule, NotEvaluable))
    assert sum(isinstance(rule, ImportedRule) for rule in rules) == 197
    assert reasons == {
        "reads only responses, which samples do not have": 50,
        "chained": 27,
        "reads UNIQUE_ID, which samples do not have": 1,
    }
