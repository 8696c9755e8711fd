"""What is sent twice, late, elsewhere or not at all: evaluations, batches and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.domains.shadow import tables
from shieldx.domains.shadow.evaluation import WINDOW
from shieldx.domains.shadow.fold import RESENT_BATCHES
from shieldx.domains.shadow.messages import Evaluate, Outcomes, PutRule, SampleBatch, SealSamples, Stratum
from shieldx.domains.shadow.report import EvaluationCode
from shieldx.domains.shadow.rule import Signature
from shieldx.messages import Source
from tests.domains.open_partition import OpenPartition, shadow_partition
from tests.domains.shadow.shadow_world import INJECTION, TENANT, ShadowWorld, samples, without_timings

if TYPE_CHECKING:
    from shieldx.engine.testing.memory_log import MemoryRecord

HOUR_MS = 3_600_000
REPLIES = "replies"
HEADERS = [("correlation-id", b"c-1"), ("reply-to", REPLIES.encode())]


@pytest.fixture
async def world() -> ShadowWorld:
    """A world with 350 samples: four batches."""
    world = ShadowWorld()
    await world.import_samples(samples(50, 300, missed=5, mistaken=2))
    return world


def numbers(records: list[MemoryRecord]) -> list[int]:
    return [msgspec.json.decode(record.value or b"", type=SampleBatch).batch for record in records]


async def test_an_evaluation_sent_again_while_it_runs_is_answered_once(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    world.ask(eval_id="a")
    await world.settle()
    assert len(world.shadow.read(tables.BATCHES)) == 4
    assert [report.replayed for report in world.reports()] == [False]


async def test_within_24_hours_it_gets_its_report_again(world: ShadowWorld) -> None:
    first = await world.evaluate(eval_id="a")
    world.advance(24 * HOUR_MS - 1)
    again = await world.evaluate(eval_id="a")
    assert again == msgspec.structs.replace(first, replayed=True)
    assert len(world.shadow.read(tables.BATCHES)) == 4


async def test_after_24_hours_it_is_another_one(world: ShadowWorld) -> None:
    first = await world.evaluate(eval_id="a")
    world.advance(24 * HOUR_MS)
    again = await world.evaluate(eval_id="a")
    assert (again.replayed, again.cached_from) == (False, None)
    assert without_timings(again) == without_timings(first)
    assert len(world.shadow.read(tables.BATCHES)) == 8


@pytest.mark.parametrize("restarts", [False, True])
async def test_what_began_after_24_hours_is_no_longer_what_it_was_before(world: ShadowWorld, *, restarts: bool) -> None:
    """Its row follows the previous report in one transaction, so no tombstone is between them."""
    await world.evaluate(eval_id="a")
    world.advance(24 * HOUR_MS)
    world.ask(eval_id="a", seed=1)
    await world.shadow.run()
    if restarts:
        await world.shadow.restart(0)
    world.ask(eval_id="a")
    await world.shadow.run()
    assert [it.code for it in world.reports()] == [EvaluationCode.OK, EvaluationCode.EVAL_ID_CONFLICT]


@pytest.mark.parametrize("ended", [False, True])
async def test_another_evaluation_under_the_same_id_is_a_conflict(world: ShadowWorld, *, ended: bool) -> None:
    world.ask(eval_id="a")
    await (world.settle() if ended else world.shadow.run())
    world.ask(eval_id="a", seed=1)
    await world.settle()
    (conflict,) = [report for report in world.reports() if report.status == "refused"]
    assert conflict.code is EvaluationCode.EVAL_ID_CONFLICT
    assert conflict.eval_id == "0-1", "under its coordinates, or the other one's sender would take it for its own"
    assert [report.eval_id for report in world.reports() if report.status == "completed"] == ["a"]


async def test_the_same_id_of_another_tenant_is_another_evaluation(world: ShadowWorld) -> None:
    await world.import_samples(samples(5, 5), tenant_id="org-456")
    assert (await world.evaluate(eval_id="a")).sample_size == 350
    assert (await world.evaluate(eval_id="a", tenant_id="org-456")).sample_size == 10


async def test_without_an_id_each_is_another_one_named_by_its_coordinates(world: ShadowWorld) -> None:
    first, second = await world.evaluate(seed=1), await world.evaluate(seed=2)
    assert (first.eval_id, second.eval_id) == ("0-0", "0-1")


def replies(world: ShadowWorld) -> list[dict[str, str | None]]:
    """Headers of what has come where the sender wanted its answer."""
    records = world.shadow.read(REPLIES)
    return [{name: None if content is None else content.decode() for name, content in it.headers} for it in records]


async def test_a_late_report_goes_where_its_sender_wanted_it_with_what_it_sent_along(world: ShadowWorld) -> None:
    world.ask(eval_id="a", headers=HEADERS)
    await world.shadow.run()
    for batch in world.batches():
        assert ("correlation-id", b"c-1") in batch.headers
        world.score(batch)
        world.advance(1000)
    await world.shadow.restart(0)
    await world.shadow.run()
    assert replies(world) == [{"schema": "shadow.report/1", "correlation-id": "c-1"}]
    (record,) = world.shadow.read(tables.REPORTS)
    assert dict(record.headers)["correlation-id"] == b"c-1"


async def test_so_does_one_that_a_tick_makes_at_the_deadline(world: ShadowWorld) -> None:
    world.ask(eval_id="a", deadline_s=10, headers=HEADERS)
    await world.shadow.run()
    await world.shadow.restart(0)
    world.advance(10_000)
    await world.shadow.tick()
    assert [it.code for it in world.reports()] == [EvaluationCode.DEADLINE_EXCEEDED]
    assert replies(world) == [{"schema": "shadow.report/1", "correlation-id": "c-1"}]


async def test_it_goes_to_whoever_asked_last(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    world.ask(eval_id="a", headers=HEADERS)
    await world.settle()
    assert [it["correlation-id"] for it in replies(world)] == ["c-1"]


async def test_headers_may_hold_any_bytes(world: ShadowWorld) -> None:
    anything = bytes(range(256))
    world.ask(eval_id="a", headers=[("correlation-id", anything)])
    await world.shadow.run()
    await world.shadow.restart(0)
    await world.settle()
    (record,) = world.shadow.read(tables.REPORTS)
    assert dict(record.headers)["correlation-id"] == anything


async def test_where_nobody_may_be_answered_is_a_dead_letter_and_the_report_comes_all_the_same(
    world: ShadowWorld,
) -> None:
    world.ask(eval_id="a", headers=[("reply-to", tables.RULES.encode())])
    await world.settle()
    assert [letter.reason for letter in world.dead_letters()] == ["reply_to_refused"]
    assert [report.status for report in world.reports()] == ["completed"]
    assert world.shadow.read(tables.RULES) == []


async def test_batches_that_do_not_come_back_go_out_again_later_and_later(world: ShadowWorld) -> None:
    world.ask(eval_id="a", deadline_s=3600)
    await world.shadow.run()
    first = world.batches()
    assert numbers(first) == [0, 1, 2, 3]
    world.score(first[2])
    await world.shadow.run()
    for wait_s in (30, 60, 120, 240, 300, 300):
        world.advance(wait_s * 1000 - 1)
        await world.shadow.tick()
        assert world.batches() == []
        world.advance(1)
        await world.shadow.tick()
        again = world.batches()
        assert numbers(again) == [0, 1, 3]
        assert [it.value for it in again] == [first[number].value for number in (0, 1, 3)]


async def test_a_score_puts_off_what_would_be_sent_again(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    batches = world.batches()
    world.advance(29_999)
    world.score(batches[0])
    await world.shadow.run()
    world.advance(29_999)
    await world.shadow.tick()
    assert world.batches() == []


@pytest.fixture
async def large() -> ShadowWorld:
    """A world with more batches than may be out at a time, by eight."""
    world = ShadowWorld()
    await world.import_samples(samples(100, 100 * (WINDOW + 7)))
    return world


async def test_no_more_than_a_window_is_out_at_a_time(large: ShadowWorld) -> None:
    large.ask(eval_id="a", sample_size=100_000)
    await large.shadow.run()
    out = large.batches()
    assert numbers(out) == list(range(WINDOW))
    while out:
        large.score(out.pop(3 if len(out) > 3 else 0))
        await large.shadow.run()
        out += large.batches()
        assert len(out) <= WINDOW
    (report,) = large.reports()
    assert (report.sample_size, report.recall) == (100 * (WINDOW + 8), 1.0)
    assert len(large.shadow.read(tables.BATCHES)) == WINDOW + 8, "none went out twice"


async def test_after_a_restart_what_is_missing_goes_out_again(large: ShadowWorld) -> None:
    large.ask(eval_id="a", sample_size=100_000)
    await large.shadow.run()
    out = large.batches()
    for batch in out[:5]:
        large.score(batch)
    await large.shadow.run()
    assert numbers(large.batches()) == list(range(WINDOW, WINDOW + 5))
    await large.shadow.restart(0)
    assert large.shadow.tasks[0].due_ms == 0, "whoever holds the partition lets it see the time at once"
    await large.shadow.tick()
    assert numbers(large.batches()) == list(range(5, WINDOW + 5))


async def test_a_batch_that_is_scored_twice_counts_once(world: ShadowWorld) -> None:
    undisturbed = ShadowWorld()
    await undisturbed.import_samples(samples(50, 300, missed=5, mistaken=2))
    expected = await undisturbed.evaluate(eval_id="a")
    world.ask(eval_id="a")
    await world.shadow.run()
    batches = world.batches()
    for latency_ns in (1000, 9000):
        for batch in reversed(batches[:3]):
            world.score(batch, latency_ns=latency_ns)
    world.score(batches[3])
    world.score(batches[3])
    await world.settle()
    assert [without_timings(it) for it in world.reports()] == [without_timings(expected)]
    assert world.reports()[0].timings.rule_latency_ns == expected.timings.rule_latency_ns, "the first one's"
    assert world.dead_letters() == []


async def test_a_score_of_what_has_ended_or_never_was_changes_nothing(world: ShadowWorld) -> None:
    await world.evaluate(eval_id="a")
    collected = len(world.shadow.read(tables.COLLECTED))
    for eval_id in "ab":
        world.send_score(0, eval_id=eval_id, token="0" * 16, error="too late")
    await world.shadow.run()
    assert (len(world.reports()), world.dead_letters()) == (1, [])
    assert len(world.shadow.read(tables.COLLECTED)) == collected


RIGHT = Outcomes(fired="0" * 100)
SOURCES = ("s",) * 100


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"outcomes": Outcomes(fired="0" * 99), "sources": SOURCES},
        {"outcomes": RIGHT, "sources": SOURCES[:99]},
        {"outcomes": RIGHT, "compared": RIGHT, "sources": SOURCES},
        {"outcomes": Outcomes(fired="0" * 100, scores=(0.5,)), "sources": SOURCES},
    ],
    ids=["nothing", "too few", "too few sources", "a rule that was not compared", "too few scores"],
)
async def test_a_score_that_does_not_fit_is_set_aside_and_its_batch_still_awaited(
    world: ShadowWorld, fields: dict[str, Any]
) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    world.send_score(0, **fields)
    await world.settle()
    assert [letter.reason for letter in world.dead_letters()] == ["score_does_not_fit"]
    assert [(report.status, report.recall) for report in world.reports()] == [("completed", 0.9)]


async def test_a_score_without_the_compared_rule_does_not_fit(world: ShadowWorld) -> None:
    world.shadow.send(tables.COMMANDS, PutRule(tenant_id=TENANT, rule_id="rule-001", config=INJECTION))
    world.ask(Signature(pattern="UNION"), eval_id="a", compare_with=1)
    await world.shadow.run()
    world.send_score(0, outcomes=RIGHT, sources=SOURCES)
    await world.settle()
    assert [letter.reason for letter in world.dead_letters()] == ["score_does_not_fit"]
    assert [report.status for report in world.reports()] == ["completed"]


async def test_batches_beyond_those_there_are_are_nobodys(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    for number in (-1, 4):
        world.send_score(number, outcomes=RIGHT, sources=SOURCES)
    await world.settle()
    assert ([it.status for it in world.reports()], world.dead_letters()) == (["completed"], [])


async def test_a_stale_score_of_an_earlier_evaluation_under_the_same_id_does_not_count(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    stale = world.batches()
    for batch in stale:
        world.score(batch)
    await world.shadow.run()
    world.advance(24 * HOUR_MS)
    world.ask(eval_id="a", seed=1)
    await world.shadow.run()
    collected = len(world.shadow.read(tables.COLLECTED))
    for batch in stale:
        world.score(batch)
    world.send_score(0, token=world.tokens()[0], error="too late")
    await world.shadow.run()
    assert len(world.shadow.read(tables.COLLECTED)) == collected
    await world.settle()
    assert [it.status for it in world.reports()] == ["completed", "completed"]
    assert len(world.tokens()) == 2


async def test_sent_again_by_someone_who_wants_no_answer_it_still_goes_to_the_first(world: ShadowWorld) -> None:
    world.ask(eval_id="a", headers=HEADERS)
    await world.shadow.run()
    world.ask(eval_id="a")
    await world.settle()
    assert [it["schema"] for it in replies(world)] == ["shadow.report/1"]


def evaluations_of_a_window(count: int) -> OpenPartition:
    """A fold restored from its rows while evaluations run, each with the maximum number of batches sent."""
    fold, restored = shadow_partition(0), shadow_partition(0)
    stratum = Stratum(label="benign", category="c", samples=100 * WINDOW)
    seal = SealSamples(
        tenant_id=TENANT,
        sample_set="default",
        version="0" * 16,
        strata=(stratum,),
        first_offset=0,
        last_offset=100 * WINDOW - 1,
    )
    fold.apply(seal, Source(tables.COMMANDS, 0, 0, 0, b""))
    for number in range(count):
        evaluate = Evaluate(
            tenant_id=TENANT, rule_id="r", rule_config=INJECTION, eval_id=f"e{number}", sample_size=100 * WINDOW
        )
        fold.apply(evaluate, Source(tables.EVALUATIONS, 0, number, 0, b""))
    for change in fold.changes():
        restored.restore(change.topic, change.key, change.value)
    return restored


def test_of_60_evaluations_restored_at_once_each_transaction_sends_few_batches_again() -> None:
    fold, sent, goes_on = evaluations_of_a_window(60), [], True
    while goes_on:
        outputs, goes_on = fold.expire(1, 1000)
        sent.append(len(outputs))
    assert sum(sent) == 60 * WINDOW
    assert max(sent) < RESENT_BATCHES + WINDOW
