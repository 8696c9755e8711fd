from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.shadow.report import Category, Decision, Recommendation
from shieldx.domains.shadow.rule import Signature, rule_hash
from shieldx.reports.html_page import html_page
from tests.reports.example_reports import RULE, USUAL, completed, judged_of, refused, scored
from tests.reports.parsed_page import ParsedPage

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Report

ATTACK = '</script></style></title><script>alert(1)</script><img src=x onerror="alert(2)"> & \'"'
PAGES = {
    "a yes/no rule": completed(judged_of(USUAL, compared=[True] * 1000)),
    "a scored rule": completed(scored(), rule_type="scored"),
    "nothing but negatives": completed(judged_of([("browsing", False, False, 10)])),
    "nothing but positives": completed(judged_of([("xss", True, False, 1)])),
    "refused": refused(),
}


@pytest.fixture(params=PAGES)
def report(request: pytest.FixtureRequest) -> Report:
    return PAGES[request.param]


def test_a_page_needs_and_may_load_nothing_but_itself(report: Report) -> None:
    written = html_page(report, RULE)
    page = ParsedPage(written)
    policy = {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"}
    assert policy in page.named("meta")
    assert not {"script", "img", "link", "iframe", "object", "embed", "base", "a", "use"} & {
        name for name, _ in page.tags
    }
    attributes = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in attributes if name.startswith("on") or name in {"href", "src", "xlink:href"}}
    assert "url(" not in written
    assert "@import" not in page.style
    assert page.named("html") == [{"lang": "en"}]


def test_every_picture_has_a_title_or_is_next_to_its_figures(report: Report) -> None:
    page = ParsedPage(html_page(report))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for picture in page.named("svg"):
        if picture.get("aria-hidden") != "true":
            assert picture["role"] == "img"
            assert set((picture["aria-labelledby"] or "").split()) <= set(ids)
    for section in page.named("section"):
        assert section["aria-labelledby"] in ids
    assert all("scope" in heading for heading in page.named("th"))


def test_no_page_shows_a_missing_figure(report: Report) -> None:
    page = ParsedPage(html_page(report))
    assert not {"None", "nan", "inf"} & set(page.text.replace("\n", " ").split())


def test_user_input_is_always_text() -> None:
    judged = judged_of([(ATTACK, True, True, 3), (ATTACK, False, True, 2), ("b", False, False, 5)])
    judged = msgspec.structs.replace(judged, sources=tuple(f"{ATTACK}#{number}" for number in range(10)))
    rule = Signature(pattern=ATTACK)
    report = completed(
        judged, rule_name=ATTACK, rule_id=ATTACK, sample_set=ATTACK, ground_truth=ATTACK, rule_hash=rule_hash(rule)
    )
    ours = {name for name, _ in ParsedPage(html_page(completed(), RULE)).tags}
    page = ParsedPage(html_page(report, rule))
    assert {name for name, _ in page.tags} <= ours
    assert f"{ATTACK}#3" in page.texts, "a sample behind a recommendation"
    assert ATTACK in page.texts, "a category, and the headline"
    assert f"{ATTACK}: REJECT" in page.texts, "the title"
    assert json.dumps(ATTACK) in page.text, "the rule's content"


def test_control_and_bidirectional_characters_are_made_visible() -> None:
    written = html_page(completed(rule_name="a\u202eb\x00c\x1b[31m\ud800\n"))
    assert "a\\u202eb\\x00c\\x1b[31m\\ud800" in written
    assert not {"\u202e", "\x00", "\x1b"} & set(written)
    written.encode()


@pytest.mark.parametrize(
    ("decision", "headline"),
    [
        (Decision.APPROVE_FULL_DEPLOYMENT, "✓ Approved for full deployment"),
        (Decision.APPROVE_CANARY, "◐ Approved for a canary"),
        (Decision.REJECT, "✗ Rejected"),
    ],
)
def test_the_headline_is_the_decision(decision: Decision, headline: str) -> None:
    page = ParsedPage(html_page(completed(decision=decision)))
    assert headline in page.texts
    assert f"union select: {decision.value}" in page.texts


def test_a_refused_evaluation_has_its_reason_and_no_figures() -> None:
    page = ParsedPage(html_page(refused()))
    assert "✗ Refused: unknown sample set" in page.texts
    assert "unknown sample set 'default': import it with `shieldx samples import`" in page.texts
    assert page.named("table") == page.named("svg") == []


def test_the_rule_is_shown_if_it_is_the_one_that_was_judged() -> None:
    assert '"pattern": "(?i)union\\\\s+select"' in ParsedPage(html_page(completed(), RULE)).text
    assert "pattern" not in html_page(completed(), Signature(pattern="another"))
    assert "pattern" not in html_page(completed())


def test_a_scored_rule_has_its_curves_and_their_points_in_figures() -> None:
    report = completed(scored())
    assert report.curves is not None
    page = ParsedPage(html_page(report))
    lines = [len((line["points"] or "").split()) for line in page.named("polyline")]
    assert lines == [len(report.curves.roc), len(report.curves.precision_recall)]
    assert len(page.named("details")) == 2


def test_a_yes_no_rule_is_a_point_between_never_and_always_firing() -> None:
    page = ParsedPage(html_page(completed()))
    assert [len((line["points"] or "").split()) for line in page.named("polyline")] == [3, 0]
    assert "ROC curve, AUC-ROC (balanced accuracy) 0.9760" in page.texts


@pytest.mark.parametrize(
    ("name", "missing"), [("nothing but negatives", "positive"), ("nothing but positives", "negative")]
)
def test_without_both_kinds_of_samples_there_is_no_curve(name: str, missing: str) -> None:
    page = ParsedPage(html_page(PAGES[name]))
    assert f"There are no curves: no sample is {missing}." in page.texts
    assert page.named("polyline") == []


def test_recommendations_name_their_samples_and_how_many_more_there_are() -> None:
    advice = Recommendation(advice="Narrow it", samples=("a#1", "b#2"), samples_total=1234)
    page = ParsedPage(html_page(completed(recommendations=(advice,))))
    assert page.texts[page.texts.index("Narrow it") :][:4] == ["Narrow it", "a#1", "b#2", "and 1,232 more"]


def test_false_positive_rates_are_drawn_on_a_scale_that_shows_them() -> None:
    category = Category(category="c", positive=False, samples=1000, fired=1, rate=0.001, interval=(0.0002, 0.0056))
    page = ParsedPage(html_page(completed(categories=(category,))))
    assert "0 to 1 %" in page.texts
    (mark,) = [circle for circle in page.named("circle") if circle["class"] == "mark"]
    assert float(mark["cx"] or 0) == pytest.approx(5 + 170 * 0.1)
