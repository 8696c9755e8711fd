from __future__ import annotations

import pytest

from shieldx.domains.shadow.matching.matcher import MAX_DEPTH, MAX_PATTERNS, Judgement, UnusableRule, compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.rule import MAX_RULE_BYTES, Composite, Keywords, RuleConfig, Scored, Signature, Weighted
from shieldx.domains.shadow.sample import Request

SQL = Signature(pattern=r"(?i)union\s+select", targets=("args",))
QUOTE = Signature(pattern="'", match="literal", targets=("args",))
BOT = Keywords(keywords=("sqlmap", "nikto"), targets=("headers:user-agent",))
ATTACK = Request(
    uri="/items?id=1%27%20UNION%20SELECT%20x&csrf_token=nikto",
    headers=(("Host", "a.example"), ("User-Agent", "sqlmap/1.8"), ("Cookie", "session=union select")),
)


def judge(config: RuleConfig, request: Request = ATTACK) -> Judgement:
    return compile_rule(config).judge(ParsedRequest(request))


FIRES = Judgement(fired=True, score=1.0)
STAYS_SILENT = Judgement(fired=False, score=0.0)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (SQL, FIRES),
        (QUOTE, FIRES),
        (BOT, FIRES),
        (Signature(pattern="union", targets=("args",)), STAYS_SILENT),
        (Signature(pattern="union", targets=("args",), transformations=("lowercase",)), FIRES),
        (Signature(pattern="%2f", targets=("path",)), STAYS_SILENT),
        (Keywords(keywords=("select",), targets=("args",), case_sensitive=True), STAYS_SILENT),
        (Composite(operator="and", rules=(SQL, QUOTE, BOT)), FIRES),
        (Composite(operator="and", rules=(SQL, Composite(operator="not", rules=(BOT,)))), STAYS_SILENT),
        (Composite(operator="or", rules=(Signature(pattern="never"), BOT)), FIRES),
        (Composite(operator="not", rules=(Signature(pattern="never"), Signature(pattern="either"))), FIRES),
        (Composite(operator="not", rules=(Signature(pattern="never"), BOT)), STAYS_SILENT),
    ],
)
def test_rules_of_each_type(rule: RuleConfig, expected: Judgement) -> None:
    assert judge(rule) == expected
    assert not compile_rule(rule).is_scored


def test_a_scored_rule_adds_up_what_fires_on_both_sides_of_its_threshold() -> None:
    never = Signature(pattern="never")
    weighted = (Weighted(weight=2.5, rule=SQL), Weighted(weight=4, rule=never), Weighted(weight=0.5, rule=BOT))
    assert judge(Scored(signatures=weighted, threshold=3)) == Judgement(fired=True, score=3.0)
    assert judge(Scored(signatures=weighted, threshold=3.1)) == Judgement(fired=False, score=3.0)
    assert judge(Scored(signatures=weighted, threshold=1)).score == 3.0
    assert judge(Scored(signatures=weighted[1:2], threshold=1)) == Judgement(fired=False, score=0.0)
    assert compile_rule(Scored(signatures=weighted, threshold=3)).is_scored


def test_a_scored_rule_within_a_composite_counts_as_fired_or_not() -> None:
    scored = Scored(signatures=(Weighted(weight=2, rule=SQL),), threshold=2)
    assert judge(Composite(operator="and", rules=(scored, BOT))) == FIRES
    assert not compile_rule(Composite(operator="and", rules=(scored, BOT))).is_scored


@pytest.mark.parametrize(
    ("targets", "excluded", "expected"),
    [
        (("headers",), (), True),
        (("headers",), ("headers:cookie",), False),
        (("headers",), ("headers:COOKIE",), False),
        (("headers",), ("headers:accept",), True),
        (("headers",), ("headers:/^(?i)cook/",), False),
        (("headers",), ("headers",), False),
        (("headers:cookie",), ("headers",), False),
        (("headers:cookie",), ("headers:cookie",), False),
        (("headers:cookie",), ("headers:/x/",), True),
        (("cookies",), ("headers:cookie",), True),
        (("cookies",), ("cookies:/^sess/",), False),
        (("cookies", "cookies"), ("cookies:/^other/", "args"), True),
    ],
)
def test_excluded_parts_are_not_searched(targets: tuple[str, ...], excluded: tuple[str, ...], expected: bool) -> None:
    assert judge(Signature(pattern="union select", targets=targets, excluded=excluded)).fired is expected


def test_names_that_an_expression_matches_are_left_out_of_names_too() -> None:
    names = Signature(pattern="^csrf_token$", targets=("arg_names",))
    assert judge(names) == FIRES
    without = Signature(pattern="^csrf_token$", targets=("arg_names",), excluded=("arg_names:/^csrf_/",))
    assert judge(without) == STAYS_SILENT


def test_a_rule_judges_one_request_after_another() -> None:
    rule = compile_rule(Composite(operator="and", rules=(SQL, QUOTE)))
    silent = ParsedRequest(Request(uri="/?id=1"))
    fires = ParsedRequest(ATTACK)
    assert [rule.judge(request).fired for request in (fires, silent, fires, fires, silent)] == [
        True,
        False,
        True,
        True,
        False,
    ]


def nested(depth: int) -> RuleConfig:
    rule: RuleConfig = SQL
    for _ in range(depth):
        rule = Composite(operator="and", rules=(rule,))
    return rule


@pytest.mark.parametrize(
    ("rule", "where", "position", "reason"),
    [
        (Signature(pattern="a(?=b)"), "pattern", 1, "lookahead"),
        (Composite(operator="or", rules=(SQL, Signature(pattern=r"(a)\1"))), "rules[1].pattern", 3, "backreference"),
        (
            Scored(signatures=(Weighted(weight=1, rule=Signature(pattern="a++")),), threshold=1),
            "signatures[0].rule.pattern",
            1,
            "possessive",
        ),
        (Signature(pattern="a", targets=("args", "soul")), "targets[1]", None, "unknown target"),
        (Signature(pattern="a", excluded=("soul:x",)), "excluded[0]", None, "unknown target"),
        (Signature(pattern="a", excluded=("args:",)), "excluded[0]", None, "no name"),
        (Signature(pattern="a", excluded=("args:/^a(?=b)/",)), "excluded[0]", 8, "lookahead"),
        (
            Composite(operator="not", rules=(Keywords(keywords=("a" * 200,)),)),
            "rules[0].keywords",
            None,
            "200 bytes",
        ),
        (nested(MAX_DEPTH + 1), ".".join(["rules[0]"] * MAX_DEPTH), None, "composites"),
        (Signature(pattern="é" * MAX_RULE_BYTES, match="literal"), "", None, "bytes of JSON"),
        (Signature(pattern="\ud800", match="literal"), "", None, "surrogate"),
        (Composite(operator="or", rules=(SQL,) * (MAX_PATTERNS + 1)), "", None, "65 patterns"),
        (Signature(pattern="a", excluded=("args:/a/",) * MAX_PATTERNS), "", None, "65 patterns"),
    ],
)
def test_an_unusable_rule_is_refused_with_place_position_and_reason(
    rule: RuleConfig, where: str, position: int | None, reason: str
) -> None:
    with pytest.raises(UnusableRule, match=reason) as caught:
        compile_rule(rule)
    assert (caught.value.where, caught.value.position) == (where, position)
    assert caught.value.reason in str(caught.value)
    assert where in str(caught.value)


def test_rules_at_the_bounds_are_taken() -> None:
    assert judge(nested(MAX_DEPTH)) == FIRES
    assert judge(Composite(operator="and", rules=(SQL,) * MAX_PATTERNS)) == FIRES


def test_a_rule_reports_how_many_bytes_it_searches() -> None:
    large = Signature(pattern="(?s)a.{900}b")
    assert compile_rule(QUOTE).reach_bytes > compile_rule(SQL).reach_bytes > compile_rule(large).reach_bytes
    both = Composite(operator="or", rules=(SQL, large))
    assert compile_rule(both).reach_bytes == compile_rule(large).reach_bytes
