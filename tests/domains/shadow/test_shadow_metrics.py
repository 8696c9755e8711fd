"""The metrics of shadow evaluation derived from its reports."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow import metrics
from shieldx.domains.shadow.rule import Signature
from shieldx.engine.operations.metrics import MAX_LEVELS
from tests.domains.shadow.shadow_world import INJECTION, ShadowWorld, samples


@pytest.fixture
async def world() -> ShadowWorld:
    world = ShadowWorld()
    await world.import_samples(samples(100, 400, missed=10))
    return world


def figures(world: ShadowWorld) -> dict[str, float]:
    """The agent's own figures by name and labels."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in world.shadow.metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("shadow_") and not sample.name.endswith(("_created", "_bucket"))
    }


async def test_evaluations_are_counted_by_how_they_ended_and_once_each(world: ShadowWorld) -> None:
    await world.evaluate(eval_id="a")
    await world.evaluate(eval_id="a")
    await world.evaluate(Signature(pattern="never"), eval_id="b")
    await world.evaluate(eval_id="c", sample_set="other")
    await world.evaluate(eval_id="c", sample_set="other")
    found = figures(world)
    assert {name: found[name] for name in found if name.startswith("shadow_evaluation_total")} == {
        "shadow_evaluation_total APPROVE_FULL_DEPLOYMENT": 1.0,
        "shadow_evaluation_total REJECT": 1.0,
        "shadow_evaluation_total unknown_sample_set": 2.0,
    }


async def test_a_report_from_other_outcomes_is_a_cache_hit_without_a_duration(world: ShadowWorld) -> None:
    world.ask(INJECTION, eval_id="a")
    await world.shadow.run()
    world.advance(2500)
    await world.settle()
    await world.evaluate(eval_id="b")
    await world.evaluate(eval_id="b")
    found = figures(world)
    assert found["shadow_cache_hits_total"] == 1.0
    assert found["shadow_evaluation_duration_seconds_count"] == 1.0
    assert found["shadow_evaluation_duration_seconds_sum"] == 2.5
    assert found["shadow_evaluation_total APPROVE_FULL_DEPLOYMENT"] == 2.0


async def test_a_rules_f1_is_that_of_its_last_evaluation(world: ShadowWorld) -> None:
    await world.evaluate(rule_id="x")
    report = await world.evaluate(rule_id="x", seed=1, sample_size=100)
    await world.evaluate(rule_id="y", sample_set="other")
    found = figures(world)
    assert found["shadow_rule_f1_score x"] == report.f1_score
    assert "shadow_rule_f1_score y" not in found


async def test_a_refused_evaluation_has_no_duration_and_no_f1(world: ShadowWorld) -> None:
    report = await world.evaluate(sample_set="other")
    assert (metrics.duration_s(report), metrics.f1_score(report), metrics.cache_hits(report)) == (None, None, ())


async def test_only_the_last_evaluated_rules_are_shown_if_there_are_too_many(world: ShadowWorld) -> None:
    for number in range(MAX_LEVELS):
        world.ask(rule_id=f"r{number}")
    await world.settle()
    for rule_id in ("r0", "new", "newer"):
        await world.evaluate(rule_id=rule_id)
    shown = {name.split()[1] for name in figures(world) if name.startswith("shadow_rule_f1_score ")}
    assert shown == {f"r{number}" for number in range(MAX_LEVELS)} - {"r1", "r2"} | {"new", "newer"}
