"""Recommendations: the worst first, each with supporting samples, and none if nothing is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.domains.shadow.messages import Targets
from shieldx.domains.shadow.recommendations import MAX_CATEGORIES_NAMED, MAX_SAMPLES_NAMED
from shieldx.domains.shadow.reporting import findings
from tests.domains.shadow.judged_samples import judged, rows_of

if TYPE_CHECKING:
    from shieldx.domains.shadow.judged import JudgedEvaluation
    from shieldx.domains.shadow.report import Recommendation

GOOD = rows_of("sqli", positive=True, fired=1000, silent=0) + rows_of("texts", positive=False, fired=0, silent=1000)


def advice(found: JudgedEvaluation, **targets: float) -> list[Recommendation]:
    return list(findings(found, Targets(**targets), (1, "hash"))["recommendations"])


def texts(found: JudgedEvaluation, **targets: float) -> list[str]:
    return [it.advice for it in advice(found, **targets)]


def test_there_are_no_recommendations_if_nothing_is_wrong() -> None:
    assert texts(judged(GOOD)) == []


def test_categories_come_by_how_many_samples_are_wrong_and_then_by_name() -> None:
    wrong = [("b", 2), ("c", 3), ("a", 2)]
    rows = GOOD + [row for name, count in wrong for row in rows_of(name, positive=False, fired=count, silent=1)]
    assert texts(judged(rows)) == [
        "Narrow the rule: it fires on 3 of 4 negatives in c",
        "Narrow the rule: it fires on 2 of 3 negatives in a",
        "Narrow the rule: it fires on 2 of 3 negatives in b",
    ]


def test_misses_count_if_recall_is_below_its_target() -> None:
    rows = GOOD + rows_of("a", positive=True, fired=8, silent=2) + rows_of("b", positive=True, fired=7, silent=3)
    assert texts(judged(rows)) == ["Widen the rule: it misses 3 of 10 positives in b"]
    assert texts(judged(rows), min_recall=0.9) == [
        "Widen the rule: it misses 3 of 10 positives in b",
        "Widen the rule: it misses 2 of 10 positives in a",
    ]


def test_a_category_of_both_truths_is_two() -> None:
    rows = [*GOOD, *rows_of("a", positive=True, fired=0, silent=1), *rows_of("a", positive=False, fired=1, silent=0)]
    narrow, widen = advice(judged(rows))
    assert (narrow.samples, widen.samples) == (("s#2001",), ("s#2000",))


def test_only_the_worst_categories_and_some_of_their_samples_are_named() -> None:
    rows = GOOD + [row for n in range(20) for row in rows_of(f"{n:02}", positive=False, fired=20 + n, silent=0)]
    found = advice(judged(rows))
    assert [it.advice[-2:] for it in found] == ["19", "18", "17", "16", "15"]
    assert len(found) == MAX_CATEGORIES_NAMED
    assert (len(found[0].samples), found[0].samples_total) == (MAX_SAMPLES_NAMED, 39)


def test_too_many_false_positives_call_for_a_higher_threshold_though_it_finds_less() -> None:
    rows = rows_of("sqli", positive=True, fired=10, silent=0) + rows_of("texts", positive=False, fired=2, silent=8)
    scores = [9.0] * 6 + [5.0] * 4 + [5.0] * 2 + [1.0] * 8
    assert texts(judged(rows, scores=scores))[-1] == (
        "Set the threshold to 9.0: recall 0.6000 instead of 1.0000, false positive rate 0.0000 instead of 0.2000"
    )
    named = advice(judged(rows, scores=scores))[-1]
    assert (named.samples_total, named.samples[:2]) == (6, ("s#6", "s#7")), "those that it would judge differently"


def test_a_lower_threshold_is_advised_only_if_it_finds_more() -> None:
    rows = rows_of("sqli", positive=True, fired=1000, silent=0) + rows_of("texts", positive=False, fired=0, silent=1000)
    assert texts(judged(rows, scores=[9.0] * 1000 + [1.0] * 1000)) == []


@pytest.mark.parametrize("threshold", [0.1 + 0.2, 1234567.891, 1e6, 0.12345678, 1e-9])
def test_a_threshold_is_given_with_all_its_digits(threshold: float) -> None:
    rows = rows_of("sqli", positive=True, fired=0, silent=500) + rows_of("texts", positive=False, fired=0, silent=1000)
    (text,) = [it for it in texts(judged(rows, scores=[threshold] * 500 + [0.0] * 1000)) if it.startswith("Set")]
    assert float(text.split()[4].rstrip(":")) == threshold


def test_regressions_are_samples_that_the_compared_rule_judged_correctly() -> None:
    rows = [
        *GOOD,
        *rows_of("sqli", positive=True, fired=0, silent=2),
        *rows_of("texts", positive=False, fired=1, silent=0),
    ]
    right = [row[1] for row in GOOD]
    found = advice(judged(rows, compared=[*right, True, False, False]))
    assert found[-1].advice == "Look at what the compared version judged right: 2 of the samples"
    assert found[-1].samples == ("s#2000", "s#2002")
    assert [it.advice[:4] for it in advice(judged(rows, compared=[*right, False, False, True]))] == ["Narr"]


@pytest.mark.parametrize(
    ("positive", "missing"), [(True, "negatives"), (False, "positives")], ids=["only positives", "only negatives"]
)
def test_a_missing_kind_is_reported(*, positive: bool, missing: str) -> None:
    found = advice(judged(rows_of("a", positive=positive, fired=50 * positive, silent=50 * (not positive))))
    assert [it.advice for it in found] == [
        f"Evaluate on samples with {missing} too: there are none, so nothing is known"
    ]
    assert (found[0].samples_total, len(found[0].samples)) == (50, MAX_SAMPLES_NAMED)


def test_how_many_more_samples_would_do_names_the_scarcer_kind() -> None:
    rows = rows_of("sqli", positive=True, fired=100, silent=0) + rows_of("texts", positive=False, fired=0, silent=80)
    (found,) = advice(judged(rows))
    assert found.advice == (
        "Evaluate on about 2 times as many samples: the rates seen meet the targets, but 100 positives and 80 "
        "negatives are too few to be sure"
    )
    assert (found.samples_total, found.samples[0]) == (80, "s#100")


def test_more_samples_are_not_recommended_if_targets_are_missed() -> None:
    rows = rows_of("sqli", positive=True, fired=7, silent=3) + rows_of("texts", positive=False, fired=0, silent=10)
    assert texts(judged(rows)) == ["Widen the rule: it misses 3 of 10 positives in sqli"]
