"""How evaluations are paid: held before, committed or released before the report, and nothing is held in the end."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Abort, Code, Commit, Purchase, Reserve
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import Stratum
from shieldx.domains.shadow.payments import MARGIN_S, price_of
from shieldx.domains.shadow.report import Charge, EvaluationCode
from shieldx.domains.shadow.settlements import ANSWER_WITHIN_MS
from tests.domains.shadow.shadow_world import TENANT, ShadowWorld, samples

if TYPE_CHECKING:
    from shieldx.engine.testing.memory_log import MemoryRecord

MINUTE_MS = 60_000
PRICE = 50
"""For 1,000 samples; the 150 of the world's set cost 8."""


@pytest.fixture
async def world() -> ShadowWorld:
    """A world with a price, 150 samples and 100 credits."""
    world = ShadowWorld(price_per_1000=PRICE)
    await world.import_samples(samples(30, 120))
    await world.purchase(100)
    return world


def entries(world: ShadowWorld, action: str) -> list[tuple[str, str]]:
    """Subjects and outcomes in the audit log."""
    return [(it.subject, it.outcome) for it in world.shadow.messages(tables.AUDIT) if it.action == action]


@pytest.mark.parametrize(
    ("judged", "price", "amount"), [(1000, 50, 50), (1, 50, 1), (21, 50, 2), (20, 50, 1), (100_000, 1, 100), (5, 0, 0)]
)
def test_the_price_is_rounded_up_to_whole_credits(judged: int, price: int, amount: int) -> None:
    assert price_of(judged, price) == amount


async def test_without_a_price_the_ledger_hears_nothing() -> None:
    world = ShadowWorld()
    await world.import_samples(samples(30, 120))
    report = await world.evaluate()
    assert report.charge == Charge(amount=0, reservation_id=None, status="none")
    assert world.shadow.read(ledger.COMMANDS) == []


async def test_credits_are_held_before_any_sample_is_judged(world: ShadowWorld) -> None:
    world.ask(eval_id="a", deadline_s=60, actor="alice")
    await world.shadow.run()
    assert world.batches() == []
    (reserve,) = world.commands()
    assert isinstance(reserve, Reserve)
    (token,) = world.tokens("a")
    assert (reserve.amount, reserve.reservation_id, reserve.actor) == (8, f"shadow/a/{token}", "alice")
    assert reserve.ttl_s == 60 + MARGIN_S
    await world.pay()
    assert (world.held(), world.spent(), len(world.batches())) == (8, 0, 2)


async def judged(world: ShadowWorld) -> None:
    """Have an evaluation run until all its samples are judged."""
    world.ask(eval_id="a", deadline_s=60, actor="alice")
    await world.shadow.run()
    await world.pay()
    for batch in world.batches():
        world.score(batch)
    await world.shadow.run()


async def test_they_are_spent_before_the_report(world: ShadowWorld) -> None:
    await judged(world)
    reserve, commit = world.commands()
    assert isinstance(reserve, Reserve)
    assert isinstance(commit, Commit)
    assert (commit.reservation_id, commit.amount, commit.actor) == (reserve.reservation_id, 8, "alice")
    assert (world.reports(), world.spent()) == ([], 0)
    world.advance(5)
    await world.pay()
    (report,) = world.reports()
    assert report.charge == Charge(amount=8, reservation_id=reserve.reservation_id, status="committed")
    assert (report.status, report.timings.execution_time_ms) == ("completed", 5)
    assert (world.held(), world.spent()) == (0, 8)
    assert [it.action for it in world.shadow.messages(tables.AUDIT)][-1] == "shadow.evaluate"


async def test_while_it_is_paid_it_is_neither_late_nor_asked_again(world: ShadowWorld) -> None:
    await judged(world)
    await world.shadow.restart(0)
    world.advance(60_000)
    await world.shadow.tick()
    world.ask(eval_id="a", deadline_s=60, actor="alice", headers=[("reply-to", b"replies")])
    await world.settle()
    assert [(it.status, it.charge.status) for it in world.reports()] == [("completed", "committed")]
    assert len(world.shadow.read("replies")) == 1, "whoever asked last has the report"
    assert (world.spent(), len(world.commands())) == (8, 2)


async def test_another_question_under_its_id_is_a_conflict_meanwhile(world: ShadowWorld) -> None:
    await judged(world)
    world.ask(eval_id="a", seed=7)
    await world.settle()
    assert [it.code for it in world.reports()] == [EvaluationCode.EVAL_ID_CONFLICT, EvaluationCode.OK]


async def test_a_set_that_is_sealed_otherwise_does_not_change_what_is_being_paid(world: ShadowWorld) -> None:
    await judged(world)
    await world.import_samples(samples(30, 120), strata=[Stratum(label="attack", category="sqli", samples=150)])
    await world.shadow.restart(0)
    await world.settle()
    assert [(it.status, it.recall) for it in world.reports()] == [("completed", 1.0)]


@pytest.mark.parametrize("topic", [ledger.COMMANDS, tables.REPORTS])
async def test_a_transaction_that_fails_charges_and_reports_once(world: ShadowWorld, topic: str) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    world.shadow.log.faults.fail_delivery(topic)
    await world.settle()
    assert (len(world.reports()), len(world.commands()), world.spent()) == (1, 2, 8)


async def test_without_the_credits_it_is_refused_uncharged() -> None:
    poor = ShadowWorld(price_per_1000=PRICE * 100)
    await poor.import_samples(samples(30, 120))
    await poor.purchase(100)
    report = await poor.evaluate(eval_id="a")
    assert (report.status, report.code) == ("refused", EvaluationCode.PAYMENT_REFUSED)
    assert report.detail == "the ledger holds no 750 credits for it: insufficient_funds"
    assert report.charge.status == "none"
    assert (poor.held(), poor.spent(), poor.shadow.read(tables.BATCHES)) == (0, 0, [])


async def test_a_tenant_without_an_account_is_refused(world: ShadowWorld) -> None:
    await world.import_samples(samples(30, 120), tenant_id="org-456")
    report = await world.evaluate(tenant_id="org-456")
    assert (report.code, (report.detail or "")[-14:]) == (EvaluationCode.PAYMENT_REFUSED, "tenant_unknown")


async def test_at_the_deadline_an_unpaid_one_has_failed_and_what_the_ledger_holds_later_is_released(
    world: ShadowWorld,
) -> None:
    world.ask(eval_id="a", deadline_s=60)
    await world.shadow.run()
    world.advance(60_000 - 1)
    await world.shadow.tick()
    assert [type(it) for it in world.commands()] == [Reserve]
    world.advance(1)
    await world.shadow.tick()
    assert [type(it) for it in world.commands()] == [Reserve, Abort]
    await world.settle()
    (report,) = world.reports()
    assert (report.status, report.code) == ("failed", EvaluationCode.DEADLINE_EXCEEDED)
    assert report.detail == "the ledger did not answer within its deadline of 60 s"
    assert report.charge.status == "released", "the ledger had held it"
    assert (world.held(), world.spent(), world.shadow.read(tables.BATCHES)) == (0, 0, [])
    assert world.dead_letters() == []


async def test_nothing_is_charged_of_what_was_never_held() -> None:
    poor = ShadowWorld(price_per_1000=PRICE * 100)
    await poor.import_samples(samples(30, 120))
    await poor.purchase(100)
    poor.ask(eval_id="a", deadline_s=60)
    await poor.shadow.run()
    poor.advance(60_000)
    await poor.shadow.tick()
    await poor.settle()
    assert [(it.code, it.charge.status) for it in poor.reports()] == [(EvaluationCode.DEADLINE_EXCEEDED, "none")]


async def failing(world: ShadowWorld) -> Abort:
    """Have an evaluation fail, and the ledger be silent about its credits; returns the command that releases them."""
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    world.send_score(0, error="import the set again")
    await world.shadow.run()
    abort = world.commands()[-1]
    assert isinstance(abort, Abort)
    return abort


async def test_a_report_does_not_wait_long_for_a_release(world: ShadowWorld) -> None:
    await failing(world)
    world.advance(ANSWER_WITHIN_MS["abort"] - 1)
    await world.shadow.tick()
    assert world.reports() == []
    world.advance(1)
    await world.shadow.tick()
    (report,) = world.reports()
    assert (report.status, report.code, report.charge.status) == (
        "failed",
        EvaluationCode.EVALUATION_FAILED,
        "unsettled",
    )
    await world.pay()
    assert entries(world, "shadow.release") == [("evaluation/a", "ok")], "what the report could not say"
    assert (len(world.reports()), world.held()) == (1, 0)


async def test_a_report_waits_a_day_for_a_charge_and_says_nothing_without_it(world: ShadowWorld) -> None:
    await judged(world)
    world.advance(ANSWER_WITHIN_MS["commit"] - 1)
    await world.shadow.tick()
    assert world.reports() == []
    world.advance(1)
    await world.shadow.restart(0)
    await world.shadow.tick()
    (report,) = world.reports()
    assert (report.status, report.code, report.charge.status) == ("failed", "payment_refused", "unsettled")
    assert report.detail == "the ledger has not answered whether it took the 8 credits for it"
    assert report.true_positives is None
    (_, commit) = world.commands()
    for _ in range(2):
        world.answer(commit, Code.OK)
    await world.shadow.run()
    assert entries(world, "shadow.charge") == [("evaluation/a", "ok")], "once"


async def test_at_the_deadline_one_that_runs_has_failed_and_late_scores_change_nothing(world: ShadowWorld) -> None:
    world.ask(eval_id="a", deadline_s=60)
    await world.shadow.run()
    await world.pay()
    first, second = world.batches()
    world.score(first)
    await world.shadow.run()
    world.advance(60_000)
    await world.shadow.tick()
    await world.pay()
    world.score(second)
    await world.settle()
    (report,) = world.reports()
    assert (report.code, report.charge.status) == (EvaluationCode.DEADLINE_EXCEEDED, "released")
    assert (world.held(), world.spent()) == (0, 0)
    assert world.shadow.messages(tables.COLLECTED)[-1] is None, "what was collected is given up"
    assert world.dead_letters() == []


async def test_an_evaluator_that_cannot_go_on_fails_the_evaluation(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    first, second = world.batches()
    world.send_score(1, error="a sample is gone: import the set again")
    world.score(first)
    world.score(second)
    await world.settle()
    (report,) = world.reports()
    assert (report.status, report.code) == ("failed", EvaluationCode.EVALUATION_FAILED)
    assert (report.detail, report.charge.status) == ("a sample is gone: import the set again", "released")
    assert (world.held(), world.spent()) == (0, 0)


async def test_a_charge_that_comes_after_the_hold_has_ended_is_not_taken_and_its_report_says_nothing(
    world: ShadowWorld,
) -> None:
    """The ledger was away from the last score until the hold had ended."""
    await judged(world)
    world.advance((60 + MARGIN_S) * 1000)
    await world.settle()
    (report,) = world.reports()
    assert (report.status, report.code, report.charge.status) == ("failed", "payment_refused", "expired")
    assert report.detail == "the ledger did not take the 8 credits for it: reservation_expired"
    assert [getattr(report, name) for name in ("true_positives", "recall", "decision", "intervals")] == [None] * 4
    assert (report.categories, report.recommendations, report.timings.rule_latency_ns) == ((), (), None)
    assert (report.sample_size, report.rule_type, report.eval_id) == (150, "signature", "a")
    assert entries(world, "shadow.charge") == [("evaluation/a", "reservation_expired")]
    assert (world.held(), world.spent()) == (0, 0)


async def test_what_was_not_paid_is_not_answered_from_the_cache(world: ShadowWorld) -> None:
    await judged(world)
    world.advance((60 + MARGIN_S) * 1000)
    await world.settle()
    report = await world.evaluate(eval_id="b", deadline_s=60)
    assert (report.status, report.cached_from, report.charge.status) == ("completed", None, "committed")


async def test_the_ledger_s_time_alone_decides_whether_a_hold_has_ended(world: ShadowWorld) -> None:
    """Its broker has a clock that is slow by more than the margin."""
    world.ledger.now_ms -= (60 + MARGIN_S) * 1000
    slow = ShadowWorld(price_per_1000=PRICE)
    slow.ledger.now_ms = world.ledger.now_ms
    await slow.purchase(100)
    world.ledger = slow.ledger
    await judged(world)
    await world.settle()
    assert [(it.status, it.charge.status) for it in world.reports()] == [("completed", "committed")]


async def test_a_result_that_answers_no_evaluation_is_set_aside(world: ShadowWorld) -> None:
    command = Purchase(tenant_id=TENANT, idempotency_key="mine", amount=1)
    world.ledger.send(ledger.COMMANDS, command, headers=[("reply-to", tables.PAYMENTS.encode())])
    await world.ledger.run()
    answer: MemoryRecord = world.ledger.read(tables.PAYMENTS)[-1]
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key, headers=answer.headers)
    await world.shadow.run()
    (letter,) = world.dead_letters()
    assert (letter.reason, letter.sha256) == ("not_a_payment", sha256(answer.value or b"").hexdigest())


async def test_a_payment_that_comes_twice_counts_once(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    (answer,) = world.shadow.read(tables.PAYMENTS)
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key, headers=answer.headers)
    await world.settle()
    for answer in world.shadow.read(tables.PAYMENTS):
        world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key, headers=answer.headers)
    await world.settle()
    assert len(world.shadow.read(tables.BATCHES)) == 2
    assert (len(world.reports()), world.spent(), world.dead_letters()) == (1, 8, [])


async def test_an_eval_id_that_comes_again_after_24_hours_is_held_and_charged_anew(world: ShadowWorld) -> None:
    first = await world.evaluate(eval_id="a")
    world.advance(24 * 60 * MINUTE_MS)
    second = await world.evaluate(eval_id="a")
    assert (first.charge.status, second.charge.status, second.replayed) == ("committed", "committed", False)
    assert first.charge.reservation_id != second.charge.reservation_id
    assert (world.held(), world.spent()) == (0, 16)


async def test_a_release_that_the_ledger_refuses_is_entered(world: ShadowWorld) -> None:
    world.answer(await failing(world), Code.RESERVATION_SETTLED)
    await world.shadow.run()
    assert [it.charge.status for it in world.reports()] == ["unsettled"]
    assert entries(world, "shadow.release") == [("evaluation/a", "reservation_settled")]


@pytest.mark.parametrize("key", ["shadow/", "shadow/a", "shadow/a/b", "shadow/a/b/refund", "shadow/a/b/"])
async def test_an_answer_to_another_step_than_those_there_are_is_set_aside(world: ShadowWorld, key: str) -> None:
    command = Purchase(tenant_id=TENANT, idempotency_key=key, amount=1)
    world.answer(command, Code.OK)
    await world.shadow.run()
    assert [it.reason for it in world.dead_letters()] == ["not_a_payment"]
    assert (await world.evaluate()).status == "completed"
