"""How evaluations are paid: held before, committed with the report, released without one, nothing held in the end."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Abort, Commit, Purchase, Reserve, Result
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.payments import MARGIN_S, price_of
from shieldx.domains.shadow.report import Charge, EvaluationCode
from shieldx.messages import Source
from tests.domains.open_partition import shadow_partition
from tests.domains.shadow.shadow_world import TENANT, ShadowWorld, samples

if TYPE_CHECKING:
    from shieldx.engine.testing.memory_log import MemoryRecord
    from shieldx.messages import Output

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


def asked_of_the_ledger(world: ShadowWorld) -> list[Reserve | Commit | Abort]:
    commands = [record.value or b"" for record in world.shadow.read(ledger.COMMANDS)]
    return [msgspec.json.decode(value, type=Reserve | Commit | Abort) for value in commands]


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
    (reserve,) = asked_of_the_ledger(world)
    assert isinstance(reserve, Reserve)
    (token,) = world.tokens("a")
    assert (reserve.amount, reserve.reservation_id, reserve.actor) == (8, f"shadow/a/{token}", "alice")
    assert reserve.ttl_s == 60 + MARGIN_S
    await world.pay()
    assert (world.held(), world.spent(), len(world.batches())) == (8, 0, 2)


async def test_they_are_spent_with_the_report(world: ShadowWorld) -> None:
    report = await world.evaluate(eval_id="a")
    assert report.charge == Charge(amount=8, reservation_id=f"shadow/a/{world.tokens()[0]}", status="committed")
    reserve, commit = asked_of_the_ledger(world)
    assert isinstance(commit, Commit)
    assert (commit.reservation_id, commit.amount) == (reserve.reservation_id, 8)
    assert (world.held(), world.spent()) == (0, 8)


async def test_the_report_stands_before_its_charge(world: ShadowWorld) -> None:
    await world.evaluate(eval_id="a")
    fold = shadow_partition(0, shadow_price_per_1000=PRICE)
    outputs: list[Output] = []
    for topic in (tables.COMMANDS, tables.EVALUATIONS, tables.PAYMENTS, tables.SCORES):
        for record, message in zip(world.shadow.read(topic), world.shadow.messages(topic), strict=True):
            if not isinstance(message, Result) or message.type == "reserve":
                outputs = fold.apply(message, Source(topic, 0, record.offset, record.timestamp, record.value or b""))
    assert [output.topic for output in outputs] == [tables.REPORTS, tables.AUDIT, ledger.COMMANDS]


async def test_report_and_charge_are_seen_together(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    for batch in world.batches():
        world.score(batch)
    world.shadow.log.faults.fail_delivery(tables.REPORTS)
    hang = world.shadow.log.faults.hang()
    running = asyncio.create_task(world.shadow.run())
    await hang.reached.wait()
    assert (world.reports(), len(asked_of_the_ledger(world))) == ([], 1)
    hang.release()
    await running
    assert (len(world.reports()), len(asked_of_the_ledger(world))) == (1, 2), "once, though the first try was in vain"


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
    assert world.reports() == []
    world.advance(1)
    await world.shadow.tick()
    (report,) = world.reports()
    assert (report.status, report.code) == ("failed", EvaluationCode.DEADLINE_EXCEEDED)
    assert report.detail == "it did not end within its deadline of 60 s"
    assert report.charge.status == "none", "nothing was held when it was made"
    await world.settle()
    assert [type(it) for it in asked_of_the_ledger(world)] == [Reserve, Abort]
    assert (world.held(), world.spent(), world.shadow.read(tables.BATCHES)) == (0, 0, [])
    assert world.dead_letters() == []


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


async def test_a_charge_that_comes_after_the_hold_has_ended_is_not_taken_and_that_is_entered(
    world: ShadowWorld,
) -> None:
    """The agent was away from the last score until the hold had ended, so that its stream time said all was well."""
    world.ask(eval_id="a", deadline_s=60)
    await world.shadow.run()
    await world.pay()
    for batch in world.batches():
        world.score(batch)
    world.advance((60 + MARGIN_S) * 1000)
    await world.settle()
    (report,) = world.reports()
    assert (report.status, report.charge.status) == ("completed", "committed")
    assert entries(world, "shadow.charge") == [("evaluation/a", "reservation_expired")]
    assert (world.held(), world.spent()) == (0, 0)


async def test_a_hold_that_has_ended_by_log_time_gives_an_uncharged_report(world: ShadowWorld) -> None:
    """The ledger's broker has a clock that is slow by more than the margin."""
    world.ask(eval_id="a", deadline_s=60)
    await world.shadow.run()
    (record,) = world.shadow.read(ledger.COMMANDS)
    world.ledger.now_ms -= (60 + MARGIN_S) * 1000
    slow = ShadowWorld(price_per_1000=PRICE)
    slow.ledger.now_ms = world.ledger.now_ms
    await slow.purchase(100)
    slow.ledger.send(ledger.COMMANDS, record.value, key=record.key, headers=record.headers)
    await slow.ledger.run()
    (answer,) = slow.ledger.read(tables.PAYMENTS)
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key)
    await world.shadow.run()
    for batch in world.batches():
        world.score(batch)
    await world.shadow.run()
    (report,) = world.reports()
    assert (report.status, report.charge.status, report.charge.amount) == ("completed", "expired", 8)
    assert len(world.shadow.read(ledger.COMMANDS)) == 1, "there is nothing to commit"


async def test_a_result_that_answers_no_evaluation_is_set_aside(world: ShadowWorld) -> None:
    command = Purchase(tenant_id=TENANT, idempotency_key="mine", amount=1)
    world.ledger.send(ledger.COMMANDS, command, headers=[("reply-to", tables.PAYMENTS.encode())])
    await world.ledger.run()
    answer: MemoryRecord = world.ledger.read(tables.PAYMENTS)[-1]
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key)
    await world.shadow.run()
    (letter,) = world.dead_letters()
    assert (letter.reason, letter.sha256) == ("not_a_payment", sha256(answer.value or b"").hexdigest())


async def test_a_payment_that_comes_twice_counts_once(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    (answer,) = world.shadow.read(tables.PAYMENTS)
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key)
    await world.settle()
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key)
    await world.settle()
    assert len(world.shadow.read(tables.BATCHES)) == 2
    assert (len(world.reports()), world.spent(), world.dead_letters()) == (1, 8, [])


@pytest.mark.parametrize("foreseen", ["shadow/a", "shadow/a/", "shadow/a/0000000000000000"])
async def test_who_has_reserved_less_under_what_could_be_foreseen_pays_in_full(
    world: ShadowWorld, foreseen: str
) -> None:
    answered = [("reply-to", tables.PAYMENTS.encode())]
    forged = Reserve(
        tenant_id=TENANT, idempotency_key=f"{foreseen}/reserve", amount=1, reservation_id=foreseen, ttl_s=3600
    )
    abort = Abort(tenant_id=TENANT, idempotency_key="mine", reservation_id=foreseen)
    world.ledger.send(ledger.COMMANDS, forged, headers=answered)
    world.ledger.send(ledger.COMMANDS, abort)
    await world.ledger.run()
    world.ask(eval_id="a")
    await world.shadow.run()
    (answer,) = world.ledger.read(tables.PAYMENTS)
    world.shadow.send(tables.PAYMENTS, answer.value, key=answer.key)
    await world.shadow.run()
    assert world.batches() == [], "what was reserved is not for this evaluation"
    await world.settle()
    assert [it.charge.status for it in world.reports()] == ["committed"]
    assert (world.held(), world.spent()) == (0, 8)


async def test_an_eval_id_that_comes_again_after_24_hours_is_held_and_charged_anew(world: ShadowWorld) -> None:
    first = await world.evaluate(eval_id="a")
    world.advance(24 * 60 * MINUTE_MS)
    second = await world.evaluate(eval_id="a")
    assert (first.charge.status, second.charge.status, second.replayed) == ("committed", "committed", False)
    assert first.charge.reservation_id != second.charge.reservation_id
    assert (world.held(), world.spent()) == (0, 16)


async def running(world: ShadowWorld) -> str:
    """Have an evaluation run that is paid; returns its reservation."""
    world.ask(eval_id="a")
    await world.shadow.run()
    await world.pay()
    return f"shadow/a/{world.tokens()[0]}"


async def failed_after(world: ShadowWorld, abort: Abort) -> None:
    """An evaluation that runs fails when somebody else has sent an abort of its hold."""
    world.ledger.send(ledger.COMMANDS, abort)
    await world.ledger.run()
    world.send_score(0, error="import the set again")
    await world.shadow.run()
    await world.pay()
    assert ([it.charge.status for it in world.reports()], world.held()) == (["released"], 0)


async def test_what_somebody_else_has_released_needs_no_entry(world: ShadowWorld) -> None:
    reservation_id = await running(world)
    await failed_after(world, Abort(tenant_id=TENANT, idempotency_key="mine", reservation_id=reservation_id))
    assert entries(world, "shadow.release") == []
