"""The content of a report, which always fits into a record."""

from __future__ import annotations

import msgspec
import pytest

from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import Outcomes, PutRule, SampleBatch, Score, SealSamples, Stratum, Targets
from shieldx.domains.shadow.reporting import MAX_CATEGORIES, MAX_CURVE_POINTS, findings, timings
from shieldx.domains.shadow.rule import MAX_PATTERN_LENGTH, MAX_RULE_BYTES, Composite, Signature
from shieldx.domains.shadow.statistics.intervals import wilson
from shieldx.engine.tasks.context import Limits
from shieldx.messages import rfc3339
from tests.domains.shadow.judged_samples import Row, judged, rows_of
from tests.domains.shadow.shadow_world import TENANT, ShadowWorld, sample

MAX_RECORD_BYTES = Limits.max_record_bytes
ROUNDS = 10
"""More rounds than necessary to judge the 12,000 samples of the largest set here, 32 batches at a time."""
LONGEST = "\x01" * 256
"""The id that takes most space in JSON: six bytes per character."""


def test_latencies_are_percentiles_that_were_measured() -> None:
    found = timings(1000, 1250, [5, 1, 2, 3, 4])
    assert (found.requested_at, found.reported_at, found.execution_time_ms) == (rfc3339(1000), rfc3339(1250), 250)
    assert found.rule_latency_ns is not None
    assert msgspec.structs.astuple(found.rule_latency_ns) == (3, 5, 5)
    assert timings(1000, 1250).rule_latency_ns is None


def test_categories_are_sorted_by_name_with_positives_last() -> None:
    rows = [*rows_of("b", positive=True, fired=1, silent=3), *rows_of("a", positive=True, fired=2, silent=0)]
    rows += rows_of("b", positive=False, fired=1, silent=1)
    found = findings(judged(rows), Targets(), None)
    assert [(it.category, it.positive, it.samples, it.fired, it.rate) for it in found["categories"]] == [
        ("a", True, 2, 2, 1.0),
        ("b", False, 2, 1, 0.5),
        ("b", True, 4, 1, 0.25),
    ]
    assert found["categories"][2].interval == wilson(1, 4)
    assert (found["categories_left_out"], found["comparison"], found["curves"]) == (0, None, None)


def test_of_too_many_categories_the_worst_are_in_the_report_and_all_in_its_figures() -> None:
    rows: list[Row] = []
    for n in range(MAX_CATEGORIES + 100):
        rows += rows_of(f"{n:04}", positive=False, fired=1 if n % 5 == 0 else 0, silent=1)
        rows += rows_of(f"{n:04}", positive=True, fired=2, silent=1 if n % 5 == 1 else 0)
    found = findings(judged(rows), Targets(), None)
    shown = found["categories"]
    assert (len(shown), found["categories_left_out"]) == (MAX_CATEGORIES, MAX_CATEGORIES + 200)
    assert [(it.category, it.positive) for it in shown] == sorted((it.category, it.positive) for it in shown)
    assert sum(it.fired for it in shown if not it.positive) == found["false_positives"] == 100
    assert sum(it.samples - it.fired for it in shown if it.positive) == found["false_negatives"] == 100


def test_curves_are_thinned() -> None:
    rows = [("a", n % 3 == 0, n > 500) for n in range(5000)]
    curves = findings(judged(rows, scores=[(n * 7919) % 5000 for n in range(5000)]), Targets(), None)["curves"]
    assert 2 < len(curves.roc) <= MAX_CURVE_POINTS
    assert 2 < len(curves.precision_recall) <= MAX_CURVE_POINTS


async def score_all(world: ShadowWorld) -> None:
    """Evaluators that return the longest possible outcomes."""
    number = 0
    for _ in range(ROUNDS):  # the batches of a report that is too large would be resent forever
        for record in world.batches():
            batch = msgspec.json.decode(record.value or b"", type=SampleBatch)
            size = len(batch.samples)
            number += 1
            outcomes = Outcomes(fired=("10" * size)[:size], scores=tuple(1 / (3 + number + n) for n in range(size)))
            world.shadow.send(
                tables.SCORES,
                Score(
                    tenant_id=batch.tenant_id,
                    eval_id=batch.eval_id,
                    token=batch.token,
                    batch=batch.batch,
                    outcomes=outcomes,
                    compared=None if batch.compared is None else outcomes,
                    sources=(LONGEST,) * size,
                ),
            )
        await world.shadow.run()


async def seal(world: ShadowWorld, categories: int, samples: int, name: str) -> None:
    """A set with the given number of categories, with names of maximum length."""
    strata = tuple(
        Stratum(label="benign" if n % 2 else "attack", category=f"{n:06}{name}", samples=samples)
        for n in range(categories)
    )
    command = SealSamples(
        tenant_id=TENANT,
        sample_set="default",
        version="0" * 16,
        strata=strata,
        first_offset=0,
        last_offset=categories * samples - 1,
    )
    world.shadow.send(tables.COMMANDS, command)
    await world.shadow.run()


@pytest.mark.parametrize(
    ("categories", "samples", "name"),
    [(600, 20, LONGEST[6:]), (10_600, 1, "")],
    ids=["long names", "many categories"],
)
async def test_a_report_of_the_most_categories_fits_into_a_record(categories: int, samples: int, name: str) -> None:
    world = ShadowWorld()
    await seal(world, categories, samples, name)
    assert [it.code for it in world.shadow.messages(tables.RESULTS)] == ["ok"]
    world.ask(rule_id=LONGEST, rule_name=LONGEST, eval_id="\x01" * 200, sample_size=100_000)
    await world.shadow.run()
    await score_all(world)
    (report,) = world.reports()
    assert (report.status, report.sample_size) == ("completed", categories * samples)
    assert report.categories_left_out == categories - MAX_CATEGORIES
    assert len(world.shadow.read(tables.REPORTS)[0].value or b"") < MAX_RECORD_BYTES
    assert world.dead_letters() == []
    assert world.shadow.tasks[0].due_ms is not None


async def test_a_set_whose_strata_fill_more_than_a_record_is_refused_and_stops_nobody() -> None:
    world = ShadowWorld()
    brief = b",".join(b'{"label":"benign","category":"%d","samples":1}' % n for n in range(20_150))
    command = b'{"type":"seal_samples","tenant_id":"org-123","sample_set":"s","version":"0123456789abcdef",'
    command += b'"first_offset":0,"last_offset":20149,"strata":[' + brief + b"]}"
    assert len(command) < MAX_RECORD_BYTES
    world.shadow.send(tables.COMMANDS, command)
    await world.import_samples([sample("1' OR '1'='1", attack=True)])
    assert [it.code for it in world.shadow.messages(tables.RESULTS)] == ["too_many_samples", "ok"]
    assert (await world.evaluate()).status == "completed"


def largest_rule(letter: str) -> Composite:
    """One that has as many of the longest patterns as fit into it, and one that fills it up."""
    lengths = [MAX_PATTERN_LENGTH] * 15 + [MAX_PATTERN_LENGTH - 1300]
    return Composite(
        operator="or", rules=tuple(Signature(pattern=letter * length, match="literal") for length in lengths)
    )


async def test_the_largest_rules_of_a_plan_fit_into_a_record() -> None:
    """A requested rule, as it is judged, and the compared one, with the longest headers."""
    world = ShadowWorld()
    await world.import_samples([sample("1' OR '1'='1", attack=True)])
    rules = [largest_rule(letter) for letter in ("a", "b")]
    assert all(MAX_RULE_BYTES - 2000 < len(msgspec.json.encode(rule)) <= MAX_RULE_BYTES for rule in rules)
    world.shadow.send(tables.COMMANDS, PutRule(tenant_id=TENANT, rule_id=LONGEST, config=rules[0]))
    await world.shadow.run()
    world.ask(
        rules[1],
        rule_id=LONGEST,
        rule_name=LONGEST,
        compare_with=1,
        actor=LONGEST,
        headers=[("correlation-id", b"\x01" * 2000), ("traceparent", b"\x01" * 2000)],
    )
    await world.settle()
    assert [(it.status, it.detail) for it in world.reports()] == [("completed", None)]
    assert max(len(it.value or b"") for it in world.shadow.read(tables.PLANS)) > 3 * (MAX_RULE_BYTES - 2000)
    assert world.dead_letters() == []
