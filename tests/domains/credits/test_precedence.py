"""Where several refusals apply, one code is given: the one that stands first in `Code`.

Each row has a command to which two codes apply, and the same command mended so that only the second does.
The rows are run against one ledger, so none of their commands may take effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from shieldx.domains.credits.messages import Abort, Batch, Code, Command, Commit, Consume, Purchase, Refund, Reserve
from tests.domains.credits.driver import Driver
from tests.domains.open_partition import credits_partition

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.domains.credits.messages import Single

AnyCommand = TypeVar("AnyCommand", bound=Command)

LIMIT = 2**63
TTL_MAX_S = 2_592_000
DAY_MS = 86_400_000
MAX_RESULT_BYTES = 2000

CONFLICT = Code.IDEMPOTENCY_CONFLICT
NOT_POSITIVE = Code.AMOUNT_NOT_POSITIVE
TOO_LARGE = Code.AMOUNT_TOO_LARGE
TTL = Code.TTL_OUT_OF_RANGE
NO_TENANT = Code.TENANT_UNKNOWN
EXISTS = Code.RESERVATION_EXISTS
UNKNOWN = Code.RESERVATION_UNKNOWN
EXPIRED = Code.RESERVATION_EXPIRED
SETTLED = Code.RESERVATION_SETTLED
OVER_HOLD = Code.EXCEEDS_RESERVATION
NO_TRANSACTION = Code.TRANSACTION_UNKNOWN
OVER_TRANSACTION = Code.EXCEEDS_TRANSACTION
NO_FUNDS = Code.INSUFFICIENT_FUNDS
ABORTED = Code.BATCH_ABORTED
RESULT_TOO_LARGE = Code.RESULT_TOO_LARGE


def command_of(kind: Callable[..., AnyCommand], **usual: object) -> Callable[..., AnyCommand]:
    """Commands that would succeed at `acme` but for what a row says; `key="used"` is a remembered key."""

    def command(tenant: str = "acme", key: str = "new", **fields: object) -> AnyCommand:
        return kind(**{"tenant_id": tenant, "idempotency_key": key, **usual, **fields})

    return command


purchase = command_of(Purchase, amount=1)
consume = command_of(Consume, amount=1)
reserve = command_of(Reserve, amount=1, reservation_id="new", ttl_s=60)
commit = command_of(Commit, amount=1, reservation_id="open")
abort = command_of(Abort, reservation_id="open")
refund = command_of(Refund, amount=1, transaction_id="0-1")

# acme has 100 - 10 consumed - 10 consumed + 10 refunded = 90, of which 40 are held by `open`
HISTORY = [
    purchase(key="used", amount=100),
    consume(key="0-1", amount=10),
    consume(key="0-2", amount=10),
    refund(key="3", transaction_id="0-2", amount=10),
    reserve(key="4", reservation_id="open", amount=40, ttl_s=TTL_MAX_S),
    reserve(key="5", reservation_id="settled", amount=1, ttl_s=TTL_MAX_S),
    abort(key="6", reservation_id="settled"),
    reserve(key="7", reservation_id="expired", amount=1, ttl_s=1),
    consume(key="used", tenant="nobody"),
]
REFUNDED = "0-2"
"""A consume of which nothing is left to refund."""

ROWS = [
    # given, passed over, both apply, only the second applies
    (CONFLICT, NOT_POSITIVE, purchase(key="used", amount=0), purchase(amount=0)),
    (CONFLICT, TOO_LARGE, purchase(key="used", amount=LIMIT), purchase(amount=LIMIT)),
    (CONFLICT, TOO_LARGE, purchase(key="used", amount=LIMIT - 100), purchase(amount=LIMIT - 100)),
    (CONFLICT, NOT_POSITIVE, consume(key="used", amount=0), consume(amount=0)),
    (CONFLICT, TOO_LARGE, consume(key="used", amount=LIMIT), consume(amount=LIMIT)),
    (CONFLICT, NO_TENANT, consume(tenant="nobody", key="used", amount=2), consume(tenant="nobody")),
    (CONFLICT, NO_FUNDS, consume(key="used", amount=51), consume(amount=51)),
    (NOT_POSITIVE, NO_TENANT, consume(tenant="nobody", amount=0), consume(tenant="nobody")),
    (NOT_POSITIVE, NO_TENANT, consume(tenant="nobody", amount=-1), consume(tenant="nobody")),
    (TOO_LARGE, NO_TENANT, consume(tenant="nobody", amount=LIMIT), consume(tenant="nobody")),
    (TOO_LARGE, NO_FUNDS, consume(amount=LIMIT), consume(amount=LIMIT - 1)),
    (NO_TENANT, NO_FUNDS, consume(tenant="nobody", amount=51), consume(amount=51)),
    (CONFLICT, NOT_POSITIVE, reserve(key="used", amount=0), reserve(amount=0)),
    (CONFLICT, TOO_LARGE, reserve(key="used", amount=LIMIT), reserve(amount=LIMIT)),
    (CONFLICT, TTL, reserve(key="used", ttl_s=0), reserve(ttl_s=0)),
    (CONFLICT, NO_TENANT, reserve(tenant="nobody", key="used"), reserve(tenant="nobody")),
    (CONFLICT, EXISTS, reserve(key="used", reservation_id="open"), reserve(reservation_id="open")),
    (CONFLICT, NO_FUNDS, reserve(key="used", amount=51), reserve(amount=51)),
    (NOT_POSITIVE, TTL, reserve(amount=0, ttl_s=0), reserve(ttl_s=0)),
    (NOT_POSITIVE, NO_TENANT, reserve(tenant="nobody", amount=0), reserve(tenant="nobody")),
    (NOT_POSITIVE, EXISTS, reserve(amount=0, reservation_id="open"), reserve(reservation_id="open")),
    (TOO_LARGE, TTL, reserve(amount=LIMIT, ttl_s=TTL_MAX_S + 1), reserve(ttl_s=TTL_MAX_S + 1)),
    (TOO_LARGE, NO_TENANT, reserve(tenant="nobody", amount=LIMIT), reserve(tenant="nobody")),
    (TOO_LARGE, EXISTS, reserve(amount=LIMIT, reservation_id="open"), reserve(reservation_id="open")),
    (TOO_LARGE, NO_FUNDS, reserve(amount=LIMIT), reserve(amount=LIMIT - 1)),
    (TTL, NO_TENANT, reserve(tenant="nobody", ttl_s=0), reserve(tenant="nobody")),
    (TTL, EXISTS, reserve(ttl_s=-1, reservation_id="settled"), reserve(reservation_id="settled")),
    (TTL, NO_FUNDS, reserve(ttl_s=TTL_MAX_S + 1, amount=51), reserve(amount=51)),
    (NO_TENANT, NO_FUNDS, reserve(tenant="nobody", amount=51), reserve(amount=51)),
    (EXISTS, NO_FUNDS, reserve(reservation_id="open", amount=51), reserve(amount=51)),
    (EXISTS, NO_FUNDS, reserve(reservation_id="settled", amount=51), reserve(amount=51)),
    (EXISTS, NO_FUNDS, reserve(reservation_id="expired", amount=51), reserve(amount=51)),
    (CONFLICT, NOT_POSITIVE, commit(key="used", amount=0), commit(amount=0)),
    (CONFLICT, TOO_LARGE, commit(key="used", amount=LIMIT), commit(amount=LIMIT)),
    (CONFLICT, NO_TENANT, commit(tenant="nobody", key="used"), commit(tenant="nobody")),
    (CONFLICT, UNKNOWN, commit(key="used", reservation_id="none"), commit(reservation_id="none")),
    (CONFLICT, EXPIRED, commit(key="used", reservation_id="expired"), commit(reservation_id="expired")),
    (CONFLICT, SETTLED, commit(key="used", reservation_id="settled"), commit(reservation_id="settled")),
    (CONFLICT, OVER_HOLD, commit(key="used", amount=41), commit(amount=41)),
    (NOT_POSITIVE, NO_TENANT, commit(tenant="nobody", amount=0), commit(tenant="nobody")),
    (NOT_POSITIVE, UNKNOWN, commit(amount=0, reservation_id="none"), commit(reservation_id="none")),
    (NOT_POSITIVE, EXPIRED, commit(amount=0, reservation_id="expired"), commit(reservation_id="expired")),
    (NOT_POSITIVE, SETTLED, commit(amount=0, reservation_id="settled"), commit(reservation_id="settled")),
    (TOO_LARGE, NO_TENANT, commit(tenant="nobody", amount=LIMIT), commit(tenant="nobody")),
    (TOO_LARGE, UNKNOWN, commit(amount=LIMIT, reservation_id="none"), commit(reservation_id="none")),
    (TOO_LARGE, EXPIRED, commit(amount=LIMIT, reservation_id="expired"), commit(reservation_id="expired")),
    (TOO_LARGE, SETTLED, commit(amount=LIMIT, reservation_id="settled"), commit(reservation_id="settled")),
    (TOO_LARGE, OVER_HOLD, commit(amount=LIMIT), commit(amount=LIMIT - 1)),
    (NO_TENANT, UNKNOWN, commit(tenant="nobody", reservation_id="none"), commit(reservation_id="none")),
    (UNKNOWN, OVER_HOLD, commit(reservation_id="none", amount=41), commit(amount=41)),
    (EXPIRED, OVER_HOLD, commit(reservation_id="expired", amount=41), commit(amount=41)),
    (SETTLED, OVER_HOLD, commit(reservation_id="settled", amount=41), commit(amount=41)),
    (CONFLICT, NO_TENANT, abort(tenant="nobody", key="used"), abort(tenant="nobody")),
    (CONFLICT, UNKNOWN, abort(key="used", reservation_id="none"), abort(reservation_id="none")),
    (CONFLICT, EXPIRED, abort(key="used", reservation_id="expired"), abort(reservation_id="expired")),
    (CONFLICT, SETTLED, abort(key="used", reservation_id="settled"), abort(reservation_id="settled")),
    (NO_TENANT, UNKNOWN, abort(tenant="nobody", reservation_id="none"), abort(reservation_id="none")),
    (CONFLICT, NOT_POSITIVE, refund(key="used", amount=0), refund(amount=0)),
    (CONFLICT, TOO_LARGE, refund(key="used", amount=LIMIT), refund(amount=LIMIT)),
    (CONFLICT, NO_TENANT, refund(tenant="nobody", key="used"), refund(tenant="nobody")),
    (CONFLICT, NO_TRANSACTION, refund(key="used", transaction_id="x"), refund(transaction_id="x")),
    (CONFLICT, OVER_TRANSACTION, refund(key="used", amount=11), refund(amount=11)),
    (NOT_POSITIVE, NO_TENANT, refund(tenant="nobody", amount=0), refund(tenant="nobody")),
    (NOT_POSITIVE, NO_TRANSACTION, refund(amount=0, transaction_id="x"), refund(transaction_id="x")),
    (NOT_POSITIVE, OVER_TRANSACTION, refund(amount=0, transaction_id=REFUNDED), refund(transaction_id=REFUNDED)),
    (TOO_LARGE, NO_TENANT, refund(tenant="nobody", amount=LIMIT), refund(tenant="nobody")),
    (TOO_LARGE, NO_TRANSACTION, refund(amount=LIMIT, transaction_id="x"), refund(transaction_id="x")),
    (TOO_LARGE, OVER_TRANSACTION, refund(amount=LIMIT), refund(amount=LIMIT - 1)),
    (NO_TENANT, NO_TRANSACTION, refund(tenant="nobody", transaction_id="x"), refund(transaction_id="x")),
    (NO_TRANSACTION, OVER_TRANSACTION, refund(transaction_id="x", amount=11), refund(amount=11)),
]


def ledger_with_history() -> Driver:
    ledger = Driver(credits_partition(0, max_result_bytes=MAX_RESULT_BYTES))
    for command in HISTORY:
        ledger.send(command)
    ledger.tick(1000)
    assert [result.type for result in ledger.results] == ["expire"]
    return ledger


def name(row: tuple[Code, Code, Command, Command]) -> str:
    given, passed_over, both, _ = row
    return f"{type(both).__name__.lower()}-{given.value}-before-{passed_over.value}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_the_first_refusal_is_given(row: tuple[Code, Code, Command, Command]) -> None:
    given, passed_over, both, only_second = row
    assert ledger_with_history().send(both).code == given
    assert ledger_with_history().send(only_second).code == passed_over


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_batch_gives_the_same_refusal(row: tuple[Code, Code, Single, Single]) -> None:
    given, _, both, _ = row
    batch = Batch(tenant_id=both.tenant_id, idempotency_key="batch", atomic=False, commands=[both])
    result = ledger_with_history().send(batch)
    assert result.results is not msgspec.UNSET
    assert [inner.code for inner in result.results] == [given]


@pytest.mark.parametrize(
    "succeeding", [purchase(), consume(), reserve(), commit(), abort(), refund()], ids=lambda c: type(c).__name__
)
def test_what_the_rows_spoil_would_succeed(succeeding: Command) -> None:
    assert ledger_with_history().send(succeeding).code == Code.OK


def batch_of(*commands: Single, key: str = "batch") -> Batch:
    return Batch(tenant_id="acme", idempotency_key=key, atomic=True, commands=list(commands))


MANY = [consume(key=f"many-{index}") for index in range(20)]
"""Their results do not fit into MAX_RESULT_BYTES."""
ONE_TOO_MUCH = consume(key="too-much", amount=51)

BATCH_ROWS = [
    # given, passed over, both apply, only the second applies
    (CONFLICT, ABORTED, batch_of(ONE_TOO_MUCH, key="used"), batch_of(ONE_TOO_MUCH)),
    (CONFLICT, RESULT_TOO_LARGE, batch_of(*MANY, key="used"), batch_of(*MANY)),
    # Out of Code's order: an abort is answered in as many results, and these do not fit either
    (RESULT_TOO_LARGE, ABORTED, batch_of(ONE_TOO_MUCH, *MANY), batch_of(ONE_TOO_MUCH)),
]


@pytest.mark.parametrize("row", BATCH_ROWS, ids=name)
def test_the_first_refusal_of_a_batch_is_given(row: tuple[Code, Code, Command, Command]) -> None:
    test_the_first_refusal_is_given(row)


def test_every_code_stands_in_a_row() -> None:
    rows = [*ROWS, *BATCH_ROWS]
    in_rows = {code for given, passed_over, *_ in rows for code in (given, passed_over)}
    assert in_rows == set(Code) - {Code.OK, Code.RESERVED_NAME, Code.UNREADABLE}, "the engine looks at the latter"


def test_rows_follow_the_order_of_the_codes() -> None:
    order = list(Code)
    for given, passed_over, *_ in ROWS:
        assert order.index(given) < order.index(passed_over)


def test_a_fully_refunded_transaction_beyond_30_days_is_unknown() -> None:
    ledger = ledger_with_history()
    again = refund(transaction_id=REFUNDED)
    assert ledger.send(again, after_ms=30 * DAY_MS - 1000).code == OVER_TRANSACTION
    assert ledger.send(refund(key="later", transaction_id=REFUNDED), after_ms=1).code == NO_TRANSACTION
