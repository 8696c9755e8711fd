"""Evaluations by example: what is asked, and the report that comes; the numbers are those one would check by hand."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from shieldx.domains.shadow import planning, tables
from shieldx.domains.shadow.matching.parts import READING_VERSION
from shieldx.domains.shadow.messages import PutRule, Stratum, Targets
from shieldx.domains.shadow.report import Decision, EvaluationCode, RiskLevel
from shieldx.domains.shadow.rule import Composite, Scored, Signature, Weighted, rule_hash
from shieldx.domains.shadow.usability import _why_unusable
from tests.domains.shadow.shadow_world import INJECTION, TENANT, ShadowWorld, sample, samples, without_timings

MINUTE_MS = 60_000
UNION = Signature(pattern="UNION SELECT")
UNUSABLE = Composite(operator="and", rules=(INJECTION, Signature(pattern="(")))


async def world_of(*counts: int, **faults: int) -> ShadowWorld:
    """A world with a set of this many attacks and benign samples."""
    world = ShadowWorld()
    await world.import_samples(samples(*counts, **faults))
    return world


async def put(world: ShadowWorld, *configs: Any, rule_id: str = "rule-001") -> None:
    """Make versions of a rule."""
    for config in configs:
        world.shadow.send(tables.COMMANDS, PutRule(tenant_id=TENANT, rule_id=rule_id, config=config))
    await world.shadow.run()


@pytest.mark.parametrize(
    ("mistaken", "decision", "risk_level"),
    [
        (0, Decision.APPROVE_FULL_DEPLOYMENT, RiskLevel.LOW),
        (3, Decision.APPROVE_CANARY, RiskLevel.MEDIUM),
        (4, Decision.REJECT, RiskLevel.MEDIUM),
        (6, Decision.REJECT, RiskLevel.HIGH),
    ],
)
async def test_a_rule_is_approved_by_how_sure_it_is_to_meet_its_targets(
    mistaken: int, decision: Decision, risk_level: RiskLevel
) -> None:
    world = await world_of(100, 400, mistaken=mistaken)
    report = await world.evaluate()
    assert (report.status, report.code, report.detail) == ("completed", EvaluationCode.OK, None)
    assert (report.decision, report.risk_level) == (decision, risk_level)


async def test_a_rule_that_finds_little_is_rejected_however_harmless_it_is() -> None:
    world = await world_of(100, 400, missed=60)
    report = await world.evaluate()
    assert (report.decision, report.risk_level, report.recall) == (Decision.REJECT, RiskLevel.LOW, 0.4)


async def test_the_figures_are_those_of_the_samples() -> None:
    world = await world_of(10, 40, missed=2, mistaken=4)
    report = await world.evaluate()
    matrix = report.true_positives, report.false_positives, report.true_negatives, report.false_negatives
    assert matrix == (8, 4, 36, 2)
    assert (report.precision, report.recall, report.false_positive_rate) == (8 / 12, 0.8, 0.1)
    assert report.f1_score == pytest.approx(16 / 22)
    assert (report.specificity, report.accuracy) == (0.9, 44 / 50)
    assert report.auc_roc == pytest.approx(0.85)
    assert report.auc_roc_is == "balanced_accuracy"
    assert report.sample_size == 50
    assert report.sample_offsets == (0, 49)
    assert [(it.category, it.positive, it.samples, it.fired, it.rate) for it in report.categories] == [
        ("sqli", True, 10, 8, 0.8),
        ("texts", False, 40, 4, 0.1),
    ]
    assert report.categories_left_out == 0
    assert report.rule_hash == rule_hash(INJECTION)


async def test_an_advice_names_the_samples_behind_it() -> None:
    world = await world_of(10, 40, missed=3, mistaken=2)
    narrow, widen = (await world.evaluate()).recommendations
    assert narrow.advice == "Narrow the rule: it fires on 2 of 40 negatives in texts"
    assert set(narrow.samples) == {"example#say ' OR '1'='1 0", "example#say ' OR '1'='1 1"}
    assert widen.advice == "Widen the rule: it misses 3 of 10 positives in sqli"
    assert set(widen.samples) == {f"example#{n}' UNION SELECT" for n in range(3)}
    assert (narrow.samples_total, widen.samples_total) == (2, 3)


async def test_a_part_of_a_set_is_drawn_and_the_same_seed_draws_it_again() -> None:
    world = await world_of(100, 400, missed=20)
    first = await world.evaluate(eval_id="a", sample_size=50, seed=1)
    world.advance(16 * MINUTE_MS)
    again = await world.evaluate(eval_id="b", sample_size=50, seed=1)
    assert (first.sample_size, [it.samples for it in first.categories]) == (50, [11, 39])
    assert again.cached_from is None
    assert without_timings(msgspec.structs.replace(again, eval_id="a")) == without_timings(first)


async def test_latencies_are_apart_from_what_is_the_same_every_time() -> None:
    world = await world_of(10, 90)
    world.ask()
    await world.shadow.run()
    world.advance(250)
    (batch,) = world.batches()
    world.score(batch, latency_ns=5000)
    await world.settle()
    timings = world.reports()[0].timings
    assert timings.execution_time_ms == 250
    assert timings.rule_latency_ns is not None
    assert (timings.rule_latency_ns.p50, timings.rule_latency_ns.p99) == (5049, 5098)


async def refusal(world: ShadowWorld, *arguments: Any, **fields: Any) -> tuple[str, EvaluationCode, str]:
    report = await world.evaluate(*arguments, **fields)
    assert report.decision is None, report.code
    assert report.charge.status == "none"
    assert world.batches() == []
    return report.status, report.code, report.detail or ""


async def test_what_cannot_be_evaluated_is_refused_with_what_to_do() -> None:
    world = await world_of(10, 10)
    await put(world, INJECTION)
    assert await refusal(world, sample_set="other") == (
        "refused",
        EvaluationCode.UNKNOWN_SAMPLE_SET,
        "unknown sample set 'other': import it with `shieldx samples import`",
    )
    _, code, detail = await refusal(world, sample_set_version="0" * 16)
    assert (code, "version 0000000000000000 of" in detail) == (EvaluationCode.UNKNOWN_SAMPLE_SET, True)
    assert await refusal(world, None, rule_version=2) == (
        "refused",
        EvaluationCode.UNKNOWN_RULE_VERSION,
        "rule 'rule-001' has no version 2: `shieldx rule list` lists its versions",
    )
    _, code, detail = await refusal(world, None, rule_id="other")
    assert (code, "put it with `shieldx rule put`" in detail) == (EvaluationCode.UNKNOWN_RULE_VERSION, True)
    _, code, _ = await refusal(world, compare_with=2)
    assert code is EvaluationCode.UNKNOWN_RULE_VERSION
    assert await refusal(world, INJECTION, rule_version=1) == (
        "refused",
        EvaluationCode.RULE_OR_VERSION,
        "send rule_config or rule_version, not both",
    )
    for config in (INJECTION, None):
        assert await refusal(world, config, rule_type="scored") == (
            "refused",
            EvaluationCode.RULE_TYPE_DIFFERS,
            "rule_type says scored, but the rule is of type signature",
        )
    await world.import_samples(samples(10, 0), "attacks")
    assert await refusal(world, sample_set="attacks", ground_truth="942100") == (
        "refused",
        EvaluationCode.NO_SAMPLES,
        "no sample of 'attacks' expects rule '942100': `shieldx samples show` has what they expect",
    )


async def test_an_unusable_rule_is_refused_with_place_position_and_reason() -> None:
    world = await world_of(10, 10)
    assert await refusal(world, UNUSABLE) == (
        "refused",
        EvaluationCode.UNUSABLE_RULE,
        "rules[1].pattern, character 0: this ( is not closed; add a ), or escape it with a backslash",
    )


async def test_a_refusal_is_forgotten_so_that_the_same_may_be_sent_when_it_is_mended() -> None:
    world = ShadowWorld()
    assert (await world.evaluate(eval_id="a")).code is EvaluationCode.UNKNOWN_SAMPLE_SET
    await world.import_samples(samples(10, 10))
    assert (await world.evaluate(eval_id="a")).code is EvaluationCode.OK


async def test_a_rule_may_be_the_last_version_or_one_of_those_before() -> None:
    world = await world_of(10, 10, missed=5)
    await put(world, INJECTION, UNION)
    last, first = await world.evaluate(None), await world.evaluate(None, rule_version=1)
    assert (last.rule_version, last.rule_hash, last.recall) == (2, rule_hash(UNION), 0.5)
    assert (first.rule_version, first.rule_hash, first.recall) == (1, rule_hash(INJECTION), 0.5)


async def test_what_a_rule_must_find_may_be_what_samples_say_of_one_rule() -> None:
    world = ShadowWorld()
    await world.import_samples(
        [
            sample("1' OR '1'='1", attack=True, expected_rules=("942100",)),
            sample("2", attack=True, expected_rules=("942100", "1")),
            sample("3' OR '1'='1", attack=False, unexpected_rules=("942100",)),
            sample("4", attack=False),
            sample("5' OR '1'='1", attack=True),
            sample("6", attack=True, expected_rules=("1",)),
            sample("7", attack=False, unexpected_rules=("1",)),
        ]
    )
    report = await world.evaluate(ground_truth="942100")
    assert report.sample_size == 4, "an attack that says nothing of the rule is neither, and so is what names others"
    matrix = report.true_positives, report.false_positives, report.true_negatives, report.false_negatives
    assert matrix == (1, 1, 1, 1)


async def test_versions_are_compared_on_the_same_samples() -> None:
    world = await world_of(20, 20, missed=8)
    both = Composite(operator="or", rules=(INJECTION, UNION))
    await put(world, both)
    report = await world.evaluate(INJECTION, compare_with=1)
    comparison = report.comparison
    assert comparison is not None
    assert (comparison.rule_version, comparison.rule_hash) == (1, rule_hash(both))
    assert (report.recall, comparison.figures.recall) == (0.6, 1.0)
    assert (comparison.only_this_right, comparison.only_other_right) == (0, 8)
    assert comparison.p_value == pytest.approx(2 * 0.5**8), "McNemar's exact test"
    regressions = report.recommendations[-1]
    assert regressions.advice == "Look at what the compared version judged right: 8 of the samples"
    assert set(regressions.samples) == {f"example#{n}' UNION SELECT" for n in range(8)}


async def test_a_scored_rule_has_curves_and_gets_a_better_threshold() -> None:
    world = await world_of(50, 200, missed=10)
    weighted = (Weighted(weight=0.7000000001, rule=INJECTION), Weighted(weight=0.3000001, rule=UNION))
    report = await world.evaluate(Scored(signatures=weighted, threshold=0.5))
    assert (report.auc_roc, report.auc_roc_is) == (1.0, "area_under_roc")
    assert report.curves is not None
    assert report.curves.roc == ((0.0, 0.0), (0.0, 0.8), (0.0, 1.0), (1.0, 1.0))
    (advice,) = report.recommendations
    assert advice.advice == (
        "Set the threshold to 0.3000001: recall 1.0000 instead of 0.8000, false positive rate 0.0000 instead of 0.0000"
    ), "with all its digits: 0.3 would do too, but 0.30001 would not"
    assert set(advice.samples) == {f"example#{n}' UNION SELECT" for n in range(10)}
    better = await world.evaluate(Scored(signatures=weighted, threshold=0.3000001))
    assert (better.recall, better.recommendations) == (1.0, ())


async def test_too_few_samples_are_said_to_be_too_few() -> None:
    world = await world_of(20, 20)
    report = await world.evaluate()
    assert report.decision is Decision.REJECT
    (advice,) = report.recommendations
    assert advice.advice == (
        "Evaluate on about 10 times as many samples: the rates seen meet the targets, but 20 positives and 20 "
        "negatives are too few to be sure"
    )


async def test_without_negatives_nothing_is_known_of_them() -> None:
    world = await world_of(20, 0)
    report = await world.evaluate()
    assert (report.decision, report.risk_level) == (Decision.REJECT, RiskLevel.MEDIUM)
    (advice,) = report.recommendations
    assert advice.advice == "Evaluate on samples with negatives too: there are none, so nothing is known"


async def test_for_15_minutes_the_same_question_gets_the_first_ones_outcomes_for_nothing() -> None:
    world = ShadowWorld(price_per_1000=100)
    await world.import_samples(samples(10, 40))
    await world.purchase(100)
    first = await world.evaluate(eval_id="a")
    world.advance(15 * MINUTE_MS - 1)
    second = await world.evaluate(eval_id="b", rule_id="another-name", rule_name="for user@email.com")
    third = await world.evaluate(eval_id="c")
    assert (first.cached_from, first.charge.status) == (None, "committed")
    assert (second.cached_from, second.charge.status, second.charge.amount) == ("a", "none", 0)
    assert (second.rule_id, second.rule_name, second.eval_id) == ("another-name", "for us***@email.com", "b")
    assert third.cached_from == "a"
    assert (second.f1_score, second.categories) == (first.f1_score, first.categories)
    assert world.spent() == first.charge.amount == 5


async def test_after_15_minutes_it_is_judged_again_and_a_cached_report_makes_it_no_longer() -> None:
    world = await world_of(10, 40)
    await world.evaluate(eval_id="a")
    world.advance(10 * MINUTE_MS)
    assert (await world.evaluate(eval_id="b")).cached_from == "a"
    world.advance(5 * MINUTE_MS)
    assert (await world.evaluate(eval_id="c")).cached_from is None


async def test_what_another_reading_of_requests_found_answers_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await world_of(10, 40)
    await world.evaluate(eval_id="a")
    monkeypatch.setattr(planning, "READING_VERSION", READING_VERSION + 1)  # as in another release
    assert (await world.evaluate(eval_id="b")).cached_from is None


async def test_one_that_failed_answers_no_other() -> None:
    world = await world_of(10, 40)
    world.ask(eval_id="a", deadline_s=10)
    await world.shadow.run()
    world.advance(10_000)
    await world.shadow.tick()
    report = await world.evaluate(eval_id="b")
    assert [(it.eval_id, it.status, it.cached_from) for it in world.reports()] == [
        ("a", "failed", None),
        ("b", "completed", None),
    ]
    assert report.timings.execution_time_ms == 0


async def test_after_a_restart_the_youngest_outcomes_serve_though_an_older_ones_row_comes_later() -> None:
    world = await world_of(10, 40)
    await world.evaluate(eval_id="z")
    world.advance(15 * MINUTE_MS)
    await world.evaluate(eval_id="a")
    first = world.shadow.read(tables.PLANS)[1]
    world.shadow.send(tables.PLANS, first.value, key=b"org-123/z", headers=first.headers)  # as compaction may
    await world.shadow.restart(0)
    assert (await world.evaluate(eval_id="b")).cached_from == "a"


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 1},
        {"sample_size": 49},
        {"targets": Targets(min_recall=0.9)},
        {"rule": UNION},
        {"compare_with": 1},
        {"sample_set": "other"},
        {"tenant_id": "org-456"},
    ],
    ids=str,
)
async def test_another_question_is_judged(fields: dict[str, Any]) -> None:
    world = await world_of(10, 40)
    await world.import_samples(samples(10, 40), "other")
    await world.import_samples(samples(10, 40), tenant_id="org-456")
    await put(world, UNION)
    await world.evaluate()
    assert (await world.evaluate(fields.pop("rule", INJECTION), **fields)).cached_from is None


async def test_another_version_of_the_set_is_judged() -> None:
    world = await world_of(10, 40)
    first = await world.evaluate()
    await world.import_samples(samples(10, 41))
    second = await world.evaluate()
    assert (second.cached_from, first.sample_size, second.sample_size) == (None, 50, 51)
    assert (await world.evaluate(sample_set_version=first.sample_set_version)).cached_from == first.eval_id


async def test_a_report_has_an_entry_in_the_audit_log_with_its_digest() -> None:
    world = await world_of(10, 40)
    await world.evaluate(eval_id="a", actor="alice")
    await world.evaluate(eval_id="b", sample_set="other")
    await world.evaluate(eval_id="a", actor="alice")
    values = [record.value for record in world.shadow.read(tables.REPORTS)]
    entries = [it for it in world.shadow.messages(tables.AUDIT) if it.action == "shadow.evaluate"]
    assert len(values) == 3
    assert [(it.actor, it.subject, it.outcome, it.digest) for it in entries] == [
        ("alice", "rule/rule-001", "REJECT", sha256(values[0] or b"").hexdigest()),
        (None, "rule/rule-001", "unknown_sample_set", sha256(values[1] or b"").hexdigest()),
    ], "a report that is given again was entered the first time"


async def test_rules_and_sets_are_answered_and_entered_where_they_change_something() -> None:
    world = await world_of(10, 40)
    version = await world.import_samples(samples(10, 40))
    await put(world, INJECTION, INJECTION, UNION, UNUSABLE)
    assert [(it.subject, it.code, it.version) for it in world.shadow.messages(tables.RESULTS)] == [
        ("default", "ok", version),
        ("default", "unchanged", version),
        ("rule-001", "ok", 1),
        ("rule-001", "unchanged", 1),
        ("rule-001", "ok", 2),
        ("rule-001", "unusable_rule", None),
    ]
    assert [(it.action, it.subject) for it in world.shadow.messages(tables.AUDIT)] == [
        ("shadow.seal_samples", f"sample-set/default/{version}"),
        ("shadow.put_rule", "rule/rule-001/1"),
        ("shadow.put_rule", "rule/rule-001/2"),
    ]
    await world.shadow.restart(0)
    assert (await world.evaluate(None)).rule_version == 2


async def test_a_rule_nested_so_deeply_that_the_stack_is_exhausted_stops_nobody() -> None:
    world = await world_of(10, 40)
    for depth in (65, 300, *range(480, 500), 5000):
        within = b'{"type":"composite","operator":"and","rules":['
        rule = within * depth + b'{"type":"signature","pattern":"a"}' + b"]}" * depth
        world.shadow.send(tables.COMMANDS, b'{"type":"put_rule","tenant_id":"t","rule_id":"r","config":' + rule + b"}")
        world.shadow.send(tables.EVALUATIONS, b'{"tenant_id":"t","rule_id":"r","rule_config":' + rule + b"}")
    await world.shadow.run()
    assert [letter.reason for letter in world.dead_letters()] == ["unreadable"] * 46
    assert (await world.evaluate()).status == "completed"


def sealing(**fields: Any) -> bytes:
    """The command that seals 50 samples, if nothing is said otherwise."""
    strata = [{"label": "benign", "category": "c", "samples": fields.pop("samples", 50)}]
    command = {"type": "seal_samples", "tenant_id": TENANT, "sample_set": "s", "version": "0" * 16, "strata": strata}
    return msgspec.json.encode(command | {"first_offset": 0, "last_offset": 49} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"last_offset": 48},
        {"first_offset": 49, "last_offset": 0},
        {"last_offset": 2**53},
        {"first_offset": 2**60, "last_offset": 2**60 + 49},
        {"samples": 100_001, "last_offset": 200_000},
        {"samples": 2**62, "last_offset": 2**53 - 1},
    ],
    ids=str,
)
async def test_a_seal_that_no_samples_could_bear_out_is_set_aside_and_stops_nobody(fields: dict[str, int]) -> None:
    world = await world_of(10, 40)
    world.shadow.send(tables.COMMANDS, sealing(**fields))
    world.shadow.send(tables.COMMANDS, sealing(first_offset=2**53 - 50, last_offset=2**53 - 1))
    await world.shadow.run()
    assert [letter.reason for letter in world.dead_letters()] == ["unreadable"]
    assert [it.code for it in world.shadow.messages(tables.RESULTS)] == ["ok", "ok"]
    assert (await world.evaluate()).status == "completed"


async def test_a_set_that_was_sealed_with_other_strata_fails_until_it_is_sealed_with_its_own() -> None:
    world, found = ShadowWorld(), samples(10, 40)
    lies = Stratum(label="attack", category="sqli", samples=50)
    version = await world.import_samples(found, strata=[lies])
    failed = await world.evaluate(eval_id="a")
    assert (failed.status, failed.code) == ("failed", EvaluationCode.EVALUATION_FAILED)
    assert failed.detail == "sealed with other strata"
    assert await world.import_samples(found) == version
    mended = await world.evaluate(eval_id="b")
    assert (mended.status, mended.recall, mended.false_positive_rate) == ("completed", 1.0, 0.0)


@pytest.mark.parametrize(
    "beyond",
    [
        {"targets": ["args"] * 65},
        {"excluded": ["args"] * 65},
        {"pattern": "a" * 16_385},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_a_rule_that_would_take_long_to_read_is_set_aside_and_the_largest_is_not(beyond: dict[str, Any]) -> None:
    world = await world_of(10, 40)
    largest = {"type": "signature", "pattern": "a" * 16_384, "targets": ["args"] * 64, "excluded": ["cookies"] * 64}
    for rule in (largest, largest | beyond):
        evaluate = {"tenant_id": TENANT, "rule_id": "r", "rule_config": rule}
        world.shadow.send(tables.EVALUATIONS, msgspec.json.encode(evaluate))
    await world.settle()
    assert [letter.reason for letter in world.dead_letters()] == ["unreadable"]
    assert len(world.reports()) == 1


async def test_a_report_from_the_cache_is_kept_only_if_it_can_be_asked_for_again() -> None:
    world = await world_of(10, 40)
    first = await world.evaluate()
    rows = len(world.shadow.read(tables.PLANS))
    assert (await world.evaluate()).cached_from == first.eval_id
    assert len(world.shadow.read(tables.PLANS)) == rows
    assert (await world.evaluate(eval_id="a")).cached_from == first.eval_id
    assert len(world.shadow.read(tables.PLANS)) == rows + 1
    assert (await world.evaluate(eval_id="a")).replayed


async def test_a_ground_truth_that_samples_only_rule_out_is_refused() -> None:
    world = ShadowWorld()
    await world.import_samples([sample("1", attack=False, unexpected_rules=("942100",)), sample("2", attack=False)])
    _, code, _ = await refusal(world, ground_truth="942100")
    assert code is EvaluationCode.NO_SAMPLES


async def test_why_a_rule_is_unusable_is_found_out_once() -> None:
    world = await world_of(10, 10)
    _why_unusable.cache_clear()
    for config in (UNUSABLE, UNUSABLE, INJECTION, INJECTION):
        await world.evaluate(config)
    assert (_why_unusable.cache_info().misses, _why_unusable.cache_info().hits) == (2, 2)
