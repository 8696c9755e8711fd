"""Each command by example; the numbers are those one would check by hand."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.domains.credits.messages import (
    Abort,
    Balance,
    Batch,
    Code,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
    Result,
)
from shieldx.messages import AuditAppend, Coordinates, DeadLetter, rfc3339
from tests.domains.credits.driver import START_MS, Driver
from tests.domains.open_partition import credits_partition

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command, Single

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def acme(key: str, **fields: Any) -> dict[str, Any]:
    return {"tenant_id": "acme", "idempotency_key": key, **fields}


def batch(key: str, *commands: Single, atomic: bool) -> Batch:
    return Batch(**acme(key), commands=list(commands), atomic=atomic)


def digest(command: Command) -> str:
    """What a client computes that knows the command's JSON, without defaults."""
    return hashlib.blake2b(msgspec.json.encode(command), digest_size=16).hexdigest()


def figures(result: Result) -> tuple[int, int, int]:
    """Balance, reserved funds, total spent."""
    return result.account.balance, result.account.reserved_funds, result.account.total_spent


def codes(result: Result) -> list[Code]:
    assert result.results is not msgspec.UNSET
    return [inner.code for inner in result.results]


@pytest.fixture
def ledger() -> Driver:
    """A ledger in which acme has 100; offsets go on from 1."""
    driver = Driver(credits_partition(0))
    driver.send(Purchase(**acme("first"), amount=100))
    return driver


def test_purchase_creates_the_tenant() -> None:
    ledger = Driver(credits_partition(7), partition=7)
    assert ledger.send(Purchase(**acme("p"), amount=100)) == Result(
        idempotency_key="p",
        tenant_id="acme",
        type="purchase",
        code=Code.OK,
        transaction_id="7-0",
        balance=Balance(balance=100, reserved_funds=0, available=100, total_spent=0, total_purchased=100),
        at="2026-01-01T12:00:00.000Z",
        replayed=False,
        amount=100,
        command_digest=digest(Purchase(**acme("p"), amount=100)),
    )


def test_a_refused_purchase_creates_no_tenant() -> None:
    ledger = Driver(credits_partition(0))
    ledger.send(Purchase(**acme("p"), amount=0))
    result = ledger.send(Consume(**acme("c"), amount=1))
    assert (result.code, result.balance) == (Code.TENANT_UNKNOWN, Balance(0, 0, 0, 0, 0))


def test_purchases_of_a_tenant_stay_below_2_to_the_63(ledger: Driver) -> None:
    assert ledger.send(Purchase(**acme("p"), amount=2**63 - 100)).code == Code.AMOUNT_TOO_LARGE
    assert ledger.send(Purchase(**acme("q"), amount=2**63 - 101)).account.balance == 2**63 - 1


def test_consume_spends_what_is_available(ledger: Driver) -> None:
    assert figures(ledger.send(Consume(**acme("c"), amount=30))) == (70, 0, 30)
    refused = ledger.send(Consume(**acme("d"), amount=71))
    assert (refused.code, figures(refused)) == (Code.INSUFFICIENT_FUNDS, (70, 0, 30))
    assert figures(ledger.send(Consume(**acme("e"), amount=70))) == (0, 0, 100)


def test_reserve_holds_without_spending(ledger: Driver) -> None:
    result = ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    assert figures(result) == (100, 60, 0)
    assert result.account.available == 40
    assert ledger.send(Consume(**acme("c"), amount=41)).code == Code.INSUFFICIENT_FUNDS


def test_partial_commits_spend_a_hold_and_the_final_one_releases_the_rest(ledger: Driver) -> None:
    ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    first = Commit(**acme("c1"), reservation_id="call", amount=10, final=False)
    assert figures(ledger.send(first)) == (90, 50, 10)
    assert ledger.send(Commit(**acme("c2"), reservation_id="call", amount=51)).code == Code.EXCEEDS_RESERVATION
    assert figures(ledger.send(Commit(**acme("c3"), reservation_id="call", amount=20))) == (70, 0, 30)
    assert ledger.send(Commit(**acme("c4"), reservation_id="call")).code == Code.RESERVATION_SETTLED


@pytest.mark.parametrize("amount", [None, 60])
def test_a_commit_of_all_that_is_left_settles_even_if_it_is_not_final(ledger: Driver, amount: int | None) -> None:
    ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    commit = Commit(**acme("c"), reservation_id="call", amount=amount, final=False)
    assert figures(ledger.send(commit)) == (40, 0, 60)
    assert ledger.send(Abort(**acme("a"), reservation_id="call")).code == Code.RESERVATION_SETTLED


def test_abort_releases_what_is_left(ledger: Driver) -> None:
    ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    ledger.send(Commit(**acme("c"), reservation_id="call", amount=10, final=False))
    assert figures(ledger.send(Abort(**acme("a"), reservation_id="call"))) == (90, 0, 10)


def test_a_hold_expires_before_the_record_of_that_very_time(ledger: Driver) -> None:
    ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    ledger.send(Commit(**acme("c"), reservation_id="call", amount=10, final=False), after_ms=59_999)
    late = ledger.send(Commit(**acme("d"), reservation_id="call", amount=10), after_ms=1)
    expired, _ = ledger.results
    assert expired == Result(
        idempotency_key=None,
        tenant_id="acme",
        type="expire",
        code=Code.OK,
        transaction_id="0-1",
        balance=Balance(balance=90, reserved_funds=0, available=90, total_spent=10, total_purchased=100),
        at="2026-01-01T12:01:00.000Z",
        replayed=False,
        reservation_id="call",
    )
    assert late.code == Code.RESERVATION_EXPIRED


def test_holds_expire_by_time_then_tenant_then_reservation() -> None:
    ledger = Driver(credits_partition(0), expire_limit=2)
    held = [("beta", "a", 2), ("acme", "z", 3), ("beta", "b", 1), ("acme", "c", 2), ("acme", "b", 2)]
    for tenant_id in ("acme", "beta"):
        ledger.send(Purchase(tenant_id=tenant_id, idempotency_key="p", amount=100))
    for tenant_id, reservation_id, ttl_s in held:
        key = f"{tenant_id}-{reservation_id}"
        ledger.send(
            Reserve(tenant_id=tenant_id, idempotency_key=key, amount=1, reservation_id=reservation_id, ttl_s=ttl_s)
        )
    ledger.tick(5000)
    assert [(result.tenant_id, result.reservation_id) for result in ledger.results] == [
        ("beta", "b"),
        ("acme", "b"),
        ("acme", "c"),
        ("beta", "a"),
        ("acme", "z"),
    ]


def test_a_hold_that_was_taken_back_leaves_no_place_in_the_order(ledger: Driver) -> None:
    reserve = Reserve(**acme("a1"), amount=1, reservation_id="a", ttl_s=1)
    ledger.send(batch("b1", reserve, Consume(**acme("c"), amount=1000), atomic=True))
    ledger.send(Reserve(**acme("b2"), amount=1, reservation_id="b", ttl_s=2))
    ledger.send(Reserve(**acme("a2"), amount=1, reservation_id="a", ttl_s=3))
    ledger.tick(3000)
    assert [result.reservation_id for result in ledger.results] == ["b", "a"]


@pytest.mark.parametrize(
    ("ending", "remembered_as"), [("abort", Code.RESERVATION_SETTLED), ("expiry", Code.RESERVATION_EXPIRED)]
)
def test_the_id_of_an_ended_hold_is_free_after_24_hours(ledger: Driver, ending: str, remembered_as: Code) -> None:
    reserve = Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60)
    ledger.send(reserve)
    if ending == "abort":
        ledger.send(Abort(**acme("a"), reservation_id="call"))
    else:
        # Noticed ten minutes late: the 24 h count from then
        ledger.tick(660_000)
    again = msgspec.structs.replace(reserve, idempotency_key="r2")
    assert ledger.send(again, after_ms=DAY_MS - 1).code == Code.RESERVATION_EXISTS
    assert ledger.send(Commit(**acme("c1"), reservation_id="call")).code == remembered_as
    assert ledger.send(Commit(**acme("c2"), reservation_id="call"), after_ms=1).code == Code.RESERVATION_UNKNOWN
    assert ledger.send(msgspec.structs.replace(reserve, idempotency_key="r3")).code == Code.OK


def test_refund_gives_back_a_consume_in_parts(ledger: Driver) -> None:
    spent = ledger.send(Consume(**acme("c"), amount=30)).transaction_id
    assert spent == "0-1"
    assert figures(ledger.send(Refund(**acme("r1"), transaction_id=spent, amount=10))) == (80, 0, 20)
    assert ledger.send(Refund(**acme("r2"), transaction_id=spent, amount=21)).code == Code.EXCEEDS_TRANSACTION
    assert figures(ledger.send(Refund(**acme("r3"), transaction_id=spent))) == (100, 0, 0)
    assert ledger.send(Refund(**acme("r4"), transaction_id=spent)).code == Code.EXCEEDS_TRANSACTION


def test_refund_gives_back_one_of_several_commits(ledger: Driver) -> None:
    ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    first = ledger.send(Commit(**acme("c1"), reservation_id="call", amount=10, final=False))
    ledger.send(Commit(**acme("c2"), reservation_id="call", amount=20, final=False))
    assert figures(ledger.send(Refund(**acme("f"), transaction_id=first.transaction_id))) == (80, 30, 20)


def test_refund_reaches_back_30_days(ledger: Driver) -> None:
    spent = ledger.send(Consume(**acme("c"), amount=30)).transaction_id
    in_time = Refund(**acme("r1"), transaction_id=spent, amount=1)
    assert ledger.send(in_time, after_ms=30 * DAY_MS).code == Code.OK
    assert ledger.send(Refund(**acme("r2"), transaction_id=spent), after_ms=1).code == Code.TRANSACTION_UNKNOWN


@pytest.mark.parametrize(
    "transaction_id",
    ["0-0", "0-2", "1-1", "0-1-0", "00-1", "0-01", "0-1 ", " 0-1", "0--1", "+0-1", "0-1_", "0-\uff11", "0", "0-1\n"],
)  # fmt: skip
def test_refund_knows_only_consumes_and_commits_by_their_exact_id(ledger: Driver, transaction_id: str) -> None:
    ledger.send(Consume(**acme("c"), amount=30))
    ledger.send(Reserve(**acme("r"), amount=1, reservation_id="call", ttl_s=60))
    assert ledger.send(Refund(**acme("f"), transaction_id=transaction_id)).code == Code.TRANSACTION_UNKNOWN


@pytest.mark.parametrize("digits", [18, 19, 20, 40, 250])
def test_refund_of_an_absurdly_large_id_is_unknown(ledger: Driver, digits: int) -> None:
    for transaction_id in ("0-" + "9" * digits, "9" * digits + "-1", "0-1-" + "9" * digits):
        refund = Refund(**acme(transaction_id[:200]), transaction_id=transaction_id)
        assert ledger.send(refund).code == Code.TRANSACTION_UNKNOWN


def test_another_tenants_transaction_is_unknown(ledger: Driver) -> None:
    spent = ledger.send(Consume(**acme("c"), amount=30)).transaction_id
    ledger.send(Purchase(tenant_id="beta", idempotency_key="p", amount=1))
    refund = Refund(tenant_id="beta", idempotency_key="r", transaction_id=spent)
    assert ledger.send(refund).code == Code.TRANSACTION_UNKNOWN


def test_the_same_command_again_gives_the_first_result(ledger: Driver) -> None:
    consume = Consume(**acme("c"), amount=30)
    first = ledger.send(consume)
    ledger.send(Purchase(**acme("p"), amount=500))
    assert ledger.send(consume, after_ms=HOUR_MS) == msgspec.structs.replace(first, replayed=True)


def test_a_refusal_is_replayed_even_if_it_would_succeed_now(ledger: Driver) -> None:
    consume = Consume(**acme("c"), amount=300)
    first = ledger.send(consume)
    assert first.code == Code.INSUFFICIENT_FUNDS
    ledger.send(Purchase(**acme("p"), amount=500))
    assert ledger.send(consume) == msgspec.structs.replace(first, replayed=True)


def test_keys_are_remembered_for_24_hours_and_then_by_whole_hours(ledger: Driver) -> None:
    consume = Consume(**acme("c"), amount=1)
    assert START_MS % HOUR_MS == 0
    ledger.send(consume, after_ms=600_000)
    dropped_ms = START_MS + HOUR_MS + DAY_MS
    assert ledger.send(consume, after_ms=dropped_ms - 1 - ledger.at_ms).replayed
    assert not ledger.send(consume, after_ms=1).replayed


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (Consume(**acme("k"), amount=5), "type"),
        (Commit(**acme("k", actor="alice"), reservation_id="other", amount=6), "actor"),
        (Commit(**acme("k"), reservation_id="other", amount=6), "reservation_id"),
        (Commit(**acme("k"), reservation_id="call", amount=6, final=False), "amount"),
        (Commit(**acme("k"), reservation_id="call"), "amount"),
        (Commit(**acme("k"), reservation_id="call", amount=5, final=False, description="x"), "final"),
        (Commit(**acme("k"), reservation_id="call", amount=5, description="x"), "description"),
    ],
)
def test_another_body_under_a_key_names_the_first_field_that_differs(
    ledger: Driver, changed: Command, field: str
) -> None:
    ledger.send(Reserve(**acme("r"), amount=60, reservation_id="call", ttl_s=60))
    first = Commit(**acme("k"), reservation_id="call", amount=5)
    ledger.send(first)
    ledger.send(Consume(**acme("c"), amount=1))
    conflict = ledger.send(changed, after_ms=5)
    assert (conflict.code, conflict.field, conflict.replayed) == (Code.IDEMPOTENCY_CONFLICT, field, False)
    assert (conflict.transaction_id, conflict.at) == ("0-4", rfc3339(START_MS + 5))
    assert figures(conflict) == (94, 0, 6)
    assert ledger.send(first).replayed


def test_a_result_bears_the_amount_and_the_digest_of_the_command_that_it_answers(ledger: Driver) -> None:
    held = Reserve(**acme("k"), amount=60, reservation_id="call", ttl_s=60)
    other = Reserve(**acme("k"), amount=1, reservation_id="call", ttl_s=60)
    whole = Commit(**acme("c"), reservation_id="call")
    for command, amount in ((held, 60), (other, 1), (whole, msgspec.UNSET), (held, 60)):
        result = ledger.send(command)
        assert (result.amount, result.command_digest) == (amount, digest(command))


@pytest.mark.parametrize("atomic", [False, True])
def test_so_do_the_results_within_a_batch_also_if_it_is_aborted_or_comes_again(ledger: Driver, *, atomic: bool) -> None:
    ledger.send(Consume(**acme("c"), amount=2))
    commands: list[Single] = [
        Consume(**acme("c"), amount=2),
        Consume(**acme("c"), amount=3),
        Consume(**acme("d"), amount=500),
        Refund(**acme("e"), transaction_id="0-1"),
    ]
    whole = batch("b", *commands, atomic=atomic)
    for result in (ledger.send(whole), ledger.send(whole)):
        assert (result.amount, result.command_digest) == (msgspec.UNSET, digest(whole))
        assert result.results is not msgspec.UNSET
        assert [inner.amount for inner in result.results] == [2, 3, 500, msgspec.UNSET]
        assert [inner.command_digest for inner in result.results] == [digest(command) for command in commands]


def test_keys_belong_to_a_tenant(ledger: Driver) -> None:
    assert ledger.send(Purchase(tenant_id="beta", idempotency_key="first", amount=1)).code == Code.OK


def test_a_batch_that_is_not_atomic_applies_what_it_can(ledger: Driver) -> None:
    result = ledger.send(
        batch(
            "b",
            Consume(**acme("c1"), amount=30),
            Consume(**acme("c2"), amount=500),
            Refund(**acme("r"), transaction_id="0-1-0", amount=10),
            atomic=False,
        )
    )
    assert (result.code, result.transaction_id, figures(result)) == (Code.OK, "0-1", (80, 0, 20))
    assert codes(result) == [Code.OK, Code.INSUFFICIENT_FUNDS, Code.OK]
    assert result.results is not msgspec.UNSET
    assert [inner.transaction_id for inner in result.results] == ["0-1-0", "0-1-1", "0-1-2"]
    assert [figures(inner) for inner in result.results] == [(70, 0, 30), (70, 0, 30), (80, 0, 20)]


def test_an_atomic_batch_that_fails_leaves_no_trace(ledger: Driver) -> None:
    ledger.send(Reserve(**acme("r"), amount=10, reservation_id="old", ttl_s=60))
    spent = ledger.send(Consume(**acme("s"), amount=10)).transaction_id
    before = (90, 10, 10)
    commands: list[Single] = [
        Purchase(**acme("1"), amount=1000),
        Consume(**acme("2"), amount=5),
        Reserve(**acme("3"), amount=5, reservation_id="new", ttl_s=60),
        Commit(**acme("4"), reservation_id="old", amount=4, final=False),
        Abort(**acme("5"), reservation_id="old"),
        Refund(**acme("6"), transaction_id=spent, amount=3),
        Consume(**acme("7"), amount=10_000),
        Consume(**acme("8"), amount=1),
    ]
    aborted = ledger.send(batch("b", *commands, atomic=True))
    assert (aborted.code, figures(aborted)) == (Code.BATCH_ABORTED, before)
    assert codes(aborted) == [*[Code.BATCH_ABORTED] * 6, Code.INSUFFICIENT_FUNDS, Code.BATCH_ABORTED]
    assert aborted.results is not msgspec.UNSET
    assert {figures(inner) for inner in aborted.results} == {before}

    assert ledger.send(batch("b", *commands, atomic=True)).replayed
    # None of the keys, the hold nor the transaction remembers the attempt
    retried = ledger.send(batch("b2", *commands[:6], commands[7], atomic=True))
    assert codes(retried) == [Code.OK] * 7
    assert figures(retried) == (90 + 1000 - 5 - 4 + 3 - 1, 5, 10 + 5 + 4 - 3 + 1)


def test_a_replayed_command_within_a_batch_has_no_effect(ledger: Driver) -> None:
    consume = Consume(**acme("c"), amount=30)
    first = ledger.send(consume)
    result = ledger.send(batch("b", consume, Consume(**acme("d"), amount=1), atomic=True), after_ms=5)
    assert result.results is not msgspec.UNSET
    assert result.results[0] == msgspec.structs.replace(first, replayed=True)
    assert figures(result) == (69, 0, 31)


def test_a_replayed_refusal_aborts_an_atomic_batch(ledger: Driver) -> None:
    refused = Consume(**acme("c"), amount=300)
    first = ledger.send(refused)
    ledger.send(Purchase(**acme("p"), amount=500))
    result = ledger.send(batch("b", Consume(**acme("d"), amount=1), refused, atomic=True))
    assert codes(result) == [Code.BATCH_ABORTED, Code.INSUFFICIENT_FUNDS]
    assert result.results is not msgspec.UNSET
    assert [inner.replayed for inner in result.results] == [False, True]
    assert result.results[1] == msgspec.structs.replace(first, replayed=True, balance=result.balance)
    assert figures(result) == (600, 0, 0)


def test_a_key_used_twice_within_a_batch_is_a_replay_or_a_conflict(ledger: Driver) -> None:
    consume = Consume(**acme("c"), amount=30)
    result = ledger.send(batch("b", consume, consume, Consume(**acme("c"), amount=31), atomic=False))
    assert codes(result) == [Code.OK, Code.OK, Code.IDEMPOTENCY_CONFLICT]
    assert result.results is not msgspec.UNSET
    assert [inner.replayed for inner in result.results] == [False, True, False]
    assert figures(result) == (70, 0, 30)


def test_a_replayed_batch_gives_the_whole_first_result(ledger: Driver) -> None:
    commands = batch("b", Consume(**acme("c"), amount=30), Consume(**acme("d"), amount=500), atomic=False)
    first = ledger.send(commands)
    assert ledger.send(commands, after_ms=5) == msgspec.structs.replace(first, replayed=True)
    assert [append.action for append in ledger.appends] == ["credits.batch"]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_for_an_unknown_tenant(atomic: bool) -> None:
    ledger = Driver(credits_partition(0))
    commands = [Consume(**acme("c"), amount=1), Consume(**acme("d"), amount=1)]
    result = ledger.send(batch("b", *commands, atomic=atomic))
    assert codes(result) == [Code.TENANT_UNKNOWN, Code.BATCH_ABORTED if atomic else Code.TENANT_UNKNOWN]
    assert result.balance == Balance(0, 0, 0, 0, 0)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_whose_result_would_be_too_large_has_no_effect(atomic: bool) -> None:
    commands: list[Single] = [
        Consume(**acme("c"), amount=10),
        Refund(**acme("r"), transaction_id="0-1-0", amount=4),
        Reserve(**acme("h"), amount=10, reservation_id="call", ttl_s=60),
    ]

    def send(max_result_bytes: int) -> tuple[Driver, Result]:
        ledger = Driver(credits_partition(0, max_result_bytes=max_result_bytes))
        ledger.send(Purchase(**acme("first"), amount=100))
        return ledger, ledger.send(batch("b", *commands, atomic=atomic))

    _, fitting = send(1_000_000)
    bytes_needed = len(msgspec.json.encode(fitting))
    assert send(bytes_needed)[1] == fitting

    ledger, refused = send(bytes_needed - 1)
    assert (refused.code, refused.results, figures(refused)) == (
        Code.RESULT_TOO_LARGE,
        msgspec.UNSET,
        (100, 0, 0),
    )
    assert [append.outcome for append in ledger.appends] == [Code.RESULT_TOO_LARGE]
    assert ledger.send(batch("b", *commands, atomic=atomic)) == msgspec.structs.replace(refused, replayed=True)
    assert ledger.send(Refund(**acme("r2"), transaction_id="0-1-0")).code == Code.TRANSACTION_UNKNOWN
    for command in (commands[0], commands[2]):
        result = ledger.send(command)
        assert (result.code, result.replayed) == (Code.OK, False)


def test_a_batch_of_a_thousand_commands(ledger: Driver) -> None:
    commands: list[Single] = [Consume(**acme(f"c{index}"), amount=1) for index in range(1000)]
    result = ledger.send(batch("b", *commands, atomic=False))
    assert codes(result) == [Code.OK] * 100 + [Code.INSUFFICIENT_FUNDS] * 900
    assert ledger.send(Refund(**acme("r"), transaction_id="0-1-99")).code == Code.OK
    assert ledger.send(Refund(**acme("s"), transaction_id="0-1-100")).code == Code.TRANSACTION_UNKNOWN


def test_every_result_is_appended_to_the_audit_log(ledger: Driver) -> None:
    command = batch("b", Consume(**acme("c", actor="alice"), amount=500), Abort(**acme("a"), reservation_id="x"),
                    atomic=False)  # fmt: skip
    ledger.send(command)
    digest = hashlib.sha256(msgspec.json.encode(command)).hexdigest()
    first, second, own = ledger.appends
    assert first == AuditAppend(
        tenant_id="acme",
        idempotency_key="credits.commands/0/1/0",
        actor="alice",
        action="credits.consume",
        subject="account/acme",
        outcome="insufficient_funds",
        digest=digest,
        source=Coordinates(topic="credits.commands", partition=0, offset=1, index=0),
        at="2026-01-01T12:00:00.000Z",
    )
    assert (second.subject, second.idempotency_key) == ("reservation/x", "credits.commands/0/1/1")
    assert (own.action, own.outcome, own.subject) == ("credits.batch", "ok", "account/acme")
    assert own.source is not msgspec.UNSET
    assert (own.idempotency_key, own.source.index) == ("credits.commands/0/1", msgspec.UNSET)

    ledger.send(Refund(**acme("r"), transaction_id="x"))
    assert [append.subject for append in ledger.appends] == ["transaction/x"]


def test_an_expiry_is_appended_to_the_audit_log(ledger: Driver) -> None:
    ledger.send(Reserve(**acme("r"), amount=1, reservation_id="call", ttl_s=60))
    ledger.tick(61_000)
    (append,) = ledger.appends
    assert (append.action, append.outcome, append.subject) == ("credits.expire", "ok", "reservation/call")
    assert (append.idempotency_key, append.digest, append.actor) == ("expire/0-1", None, None)
    assert append.at == "2026-01-01T12:01:01.000Z"


def test_a_batch_whose_result_is_too_large_is_a_dead_letter_too() -> None:
    ledger = Driver(credits_partition(0, max_result_bytes=300))
    ledger.send(Purchase(**acme("first"), amount=100))
    ledger.send(batch("b", Consume(**acme("c"), amount=10), atomic=False))
    (letter,) = [output.value for output in ledger.outputs if output.topic == "dead-letters"]
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.source) == ("result_too_large", Coordinates("credits.commands", 0, 1))
    ledger.send(batch("b", Consume(**acme("c"), amount=10), atomic=False))
    assert [output.topic for output in ledger.outputs] == ["credits.results", "audit.decisions"], (
        "a replay sets none aside"
    )


@pytest.mark.parametrize(
    ("field", "value"), [("tenant_id", "other"), ("idempotency_key", "b")], ids=["other tenant", "the batch's key"]
)
def test_a_batch_refuses_a_command_that_is_not_its_own(field: str, value: str) -> None:
    inner = {"type": "consume", "tenant_id": "acme", "idempotency_key": "c", "amount": 1, field: value}
    record = {"type": "batch", "tenant_id": "acme", "idempotency_key": "b", "atomic": True, "commands": [inner]}
    with pytest.raises(msgspec.ValidationError, match=rf"commands\[0\]\.{field}"):
        msgspec.json.decode(msgspec.json.encode(record), type=Batch)
