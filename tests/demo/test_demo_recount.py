"""The recount on a manually calculated example, and its findings for a faulty ledger."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.demo.comparison import Balances, Observed, compare
from shieldx.demo.recount import Appended, DeadLetterSeen, Recount, recount
from shieldx.demo.results import RecordAnswer, ResultFigures, ResultTally, SeenResult
from shieldx.demo.steps import misplaced, step_of
from shieldx.domains.credits.messages import Abort, Batch, Command, Commit, Consume, Purchase, Refund, Reserve

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.demo.steps import Step

T = "acme"
PARTITIONS = 2
HOME = step_of(Purchase(tenant_id=T, idempotency_key="x", amount=1), PARTITIONS).home


def step(command: Command) -> Step:
    return step_of(command, PARTITIONS)


def commit(key: str, amount: int | None, *, reservation_id: str = "h1", final: bool = True) -> Step:
    return step(Commit(tenant_id=T, idempotency_key=key, reservation_id=reservation_id, amount=amount, final=final))


def reserve(key: str, reservation_id: str, amount: int, ttl_s: int) -> Step:
    return step(Reserve(tenant_id=T, idempotency_key=key, reservation_id=reservation_id, amount=amount, ttl_s=ttl_s))


def abort(key: str, reservation_id: str) -> Step:
    return step(Abort(tenant_id=T, idempotency_key=key, reservation_id=reservation_id))


def refund(key: str, transaction_id: str, amount: int | None = None) -> Step:
    return step(Refund(tenant_id=T, idempotency_key=key, transaction_id=transaction_id, amount=amount))


def consume(key: str, amount: int) -> Consume:
    return Consume(tenant_id=T, idempotency_key=key, amount=amount)


def batch(key: str, *commands: Consume, atomic: bool) -> Step:
    return step(Batch(tenant_id=T, idempotency_key=key, commands=list(commands), atomic=atomic))


UNREADABLE = step(consume("cut", 1))._replace(value=b"{", dead_letter="unreadable")

# Time in ms, what was sent, its code; then balance, reserved, spent, purchased, all by hand.
EXAMPLE: list[tuple[int, Step, tuple[str, bool] | None, tuple[int, int, int, int]]] = [
    (0, step(consume("a", 1)), ("tenant_unknown", False), (0, 0, 0, 0)),
    (0, step(Purchase(tenant_id=T, idempotency_key="b", amount=100)), ("ok", False), (100, 0, 0, 100)),
    (0, step(consume("c", 30)), ("ok", False), (70, 0, 30, 100)),
    (0, step(consume("c", 30)), ("ok", True), (70, 0, 30, 100)),
    (0, step(consume("c", 31)), ("idempotency_conflict", False), (70, 0, 30, 100)),
    (10, reserve("d", "h1", 50, 1), ("ok", False), (70, 50, 30, 100)),
    (10, step(consume("e", 21)), ("insufficient_funds", False), (70, 50, 30, 100)),
    (500, commit("f", 20, final=False), ("ok", False), (50, 30, 50, 100)),
    (500, commit("g", 31), ("exceeds_reservation", False), (50, 30, 50, 100)),
    (1009, commit("h", 5, final=False), ("ok", False), (45, 25, 55, 100)),
    (1010, commit("i", 1), ("reservation_expired", False), (45, 0, 55, 100)),  # 10 + 1 s
    (1010, reserve("j", "h2", 10, 60), ("ok", False), (45, 10, 55, 100)),
    (1010, commit("k", 4, reservation_id="h2"), ("ok", False), (41, 0, 59, 100)),
    (1010, commit("l", 1, reservation_id="h2"), ("reservation_settled", False), (41, 0, 59, 100)),
    (1010, refund("m", f"{HOME}-2", 10), ("ok", False), (51, 0, 49, 100)),  # of the 30 at offset 2
    (1010, refund("n", f"{HOME}-2", 21), ("exceeds_transaction", False), (51, 0, 49, 100)),
    (1010, refund("o", f"{HOME}-2"), ("ok", False), (71, 0, 29, 100)),
    (1010, refund("p", f"{HOME}-3"), ("transaction_unknown", False), (71, 0, 29, 100)),
    (1010, batch("q", consume("q1", 60), consume("q2", 60), atomic=True), ("batch_aborted", False), (71, 0, 29, 100)),
    (1010, step(consume("q1", 1)), ("ok", False), (70, 0, 30, 100)),  # no key of an aborted batch is used up
    (1010, batch("r", consume("r1", 60), consume("r2", 60), atomic=False), ("ok", False), (10, 0, 90, 100)),
    (1010, step(consume("r1", 60)), ("ok", True), (10, 0, 90, 100)),
    (1010, UNREADABLE, ("unreadable", False), (10, 0, 90, 100)),
    (1010, reserve("s", "h3", 5, 0), ("ttl_out_of_range", False), (10, 0, 90, 100)),
    (1010, step(consume("t", 0)), ("amount_not_positive", False), (10, 0, 90, 100)),
    (1010, step(consume("u", 2**63)), ("amount_too_large", False), (10, 0, 90, 100)),
    (1010, reserve("v", "h2", 5, 1), ("reservation_exists", False), (10, 0, 90, 100)),
    (1010, abort("w", "h9"), ("reservation_unknown", False), (10, 0, 90, 100)),
    (1010, reserve("x", "h4", 10, 1), ("ok", False), (10, 10, 90, 100)),
    (1011, abort("y", "h4"), ("ok", False), (10, 0, 90, 100)),
    (9000, step(consume("z", 10)), ("ok", False), (0, 0, 100, 100)),
]  # fmt: skip
SENT = [row[1] for row in EXAMPLE]
LOG = [Appended(offset, row[0], offset, row[1].value) for offset, row in enumerate(EXAMPLE)]


def recount_of(records: list[Appended], elsewhere: list[Appended] | None = None) -> Recount:
    log = [records, elsewhere or []] if HOME == 0 else [elsewhere or [], records]
    return recount(SENT, log)


def observed() -> Observed:
    """The output of a correct ledger for the example."""
    answers = ResultTally()
    for sequence, (_, sent, answer, (balance, reserved, spent, purchased)) in enumerate(EXAMPLE):
        if answer is not None:
            figures = ResultFigures(balance, reserved, balance - reserved, spent, purchased)
            seen = None if answer[0] == "unreadable" else figures
            answers.take(SeenResult(T, str(sequence), sent.kind, answer[0], "", answer[1], seen), sequence)
    answers.expiries[T, "h1"] = 1
    letter = DeadLetterSeen(HOME, SENT.index(UNREADABLE), "unreadable")
    return Observed(answers, {T: Balances(0, 0, 100, 100)}, Counter([letter]))


@pytest.mark.parametrize("end", range(1, len(EXAMPLE) + 1))
def test_each_step_of_the_example_matches_a_manual_calculation(end: int) -> None:
    total = recount_of(LOG[:end])
    _, _, answer, figures = EXAMPLE[end - 1]
    account = total.accounts.get(T)
    assert total.answers.get(end - 1) == answer
    assert (
        (0, 0, 0, 0)
        if account is None
        else (
            account.balance,
            account.reserved,
            account.spent,
            account.purchased,
        )
        == figures
    )


def test_a_correct_ledger_agrees() -> None:
    comparison = compare(recount_of(LOG), observed())
    assert comparison.differences == []
    assert comparison.agreeing == 1


def test_a_tick_lets_holds_expire() -> None:
    total = recount_of([*LOG[:6], Appended(6, 1010, None, b'{"type":"tick"}')])
    assert total.accounts[T].reserved == 0
    assert total.expiries == {(T, "h1"): 1}


def test_a_misplaced_record_counts_where_it_was_forwarded_to() -> None:
    assert misplaced(SENT[0], PARTITIONS).partition == 1 - HOME
    assert compare(recount_of(LOG, [LOG[0]]), observed()).differences == []


def answer_changed(seen: Observed) -> Observed:
    seen.answers.by_sequence[2] = RecordAnswer("insufficient_funds", replayed=False)
    return seen


def answer_missing(seen: Observed) -> Observed:
    del seen.answers.by_sequence[2]
    return seen


def answered_twice(seen: Observed) -> Observed:
    seen.answers.answered_again.append(2)
    return seen


def executed_twice(seen: Observed) -> Observed:
    seen.answers.by_sequence[3] = RecordAnswer("ok", replayed=False)
    return seen


def balance_changed(seen: Observed) -> Observed:
    seen.answers.last_figures[T] = ResultFigures(1, 0, 1, 99, 100)
    return seen


def never_answered(seen: Observed) -> Observed:
    del seen.answers.last_figures[T]
    return seen


def row_changed(seen: Observed) -> Observed:
    return seen._replace(table={T: Balances(0, 1, 100, 100)})


def stranger_in_the_table(seen: Observed) -> Observed:
    return seen._replace(table={**seen.table, "org-x": Balances(0, 0, 0, 0)})


def expired_twice(seen: Observed) -> Observed:
    seen.answers.expiries[T, "h1"] += 1
    return seen


def never_expired(seen: Observed) -> Observed:
    seen.answers.expiries.clear()
    return seen


def not_set_aside(seen: Observed) -> Observed:
    return seen._replace(dead_letters=Counter())


def negative(seen: Observed) -> Observed:
    figures = ResultFigures(-1, 0, -1, 101, 100)
    seen.answers.take(SeenResult("other", "k", "consume", "ok", "", replayed=False, balance=figures), None)
    del seen.answers.expiries["other", ""]
    return seen


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (answer_changed, "record 2 was answered with insufficient_funds, but the recount expects ok"),
        (answer_missing, "record 2 was answered with nothing, but the recount expects ok"),
        (answered_twice, "record 2 was answered more than once"),
        (executed_twice, "record 3 was answered with ok, but the recount expects ok (replayed)"),
        (balance_changed, "acme: its last result has balance 1, reserved 0, spent 99, purchased 100, but the"),
        (never_answered, "acme: its last result has nothing, but the recount has balance 0"),
        (row_changed, "acme: the table has balance 0, reserved 1, spent 100, purchased 100, but the recount has"),
        (stranger_in_the_table, "org-x is in the table but never made a purchase"),
        (expired_twice, "expiry ('acme', 'h1'): 2 times, but the recount expects 1"),
        (never_expired, "expiry ('acme', 'h1'): 0 times, but the recount expects 1"),
        (not_set_aside, "0 times, but the recount expects 1"),
        (negative, "impossible figures: other, consume k"),
    ],
)  # fmt: skip
def test_a_wrong_ledger_is_reported(tamper: Callable[[Observed], Observed], says: str) -> None:
    (difference,) = compare(recount_of(LOG), tamper(observed())).differences
    assert says in difference


def test_a_log_that_differs_from_what_was_sent_is_reported() -> None:
    altered = [*LOG[:2], LOG[2]._replace(value=msgspec.json.encode(consume("c", 29))), *LOG[3:]]
    assert recount_of(altered).faults == [f"transaction {HOME}-2 differs from what was sent as record 2"]
    (lost,) = recount_of(LOG[:-1]).faults
    assert lost == f"record {len(LOG) - 1} (consume) is in the log 0 times"
    (twice,) = recount_of([*LOG, LOG[-1]._replace(offset=len(LOG))]).faults
    assert twice == f"record {len(LOG) - 1} (consume) is in the log 2 times"
