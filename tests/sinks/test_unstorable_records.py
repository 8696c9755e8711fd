"""Records that are in a topic and that Postgres cannot hold: each is set aside by name, and those around it stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.domains.audit.tables import LOG
from shieldx.domains.credits.tables import ACCOUNTS, TRANSACTIONS, AccountRow, TransactionRow
from tests.databases import query
from tests.sinks.ledger_rows import AT_MS, Record, account, transaction
from tests.sinks.log_entries import chain, entry, mirrored, record, records
from tests.sinks.sink_tasks import MIRROR, STATEMENTS, pool, sink_of, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.integration

READ_ACCOUNTS = "SELECT tenant_id, balance FROM credits.accounts ORDER BY tenant_id"
MOVEMENTS = "SELECT transaction_id FROM credits.transactions ORDER BY input_offset"
SET_ASIDE = "SELECT topic, record_offset, reason FROM shieldx.unreadable"
NUL = "contains U+0000, which Postgres cannot store in a text"
TOO_LONG = "tenant_id is longer than 256 characters"


async def written(dsn: str, sink: str, given: Sequence[Record]) -> list[tuple[Any, ...]]:
    """What is set aside of some records, which are written by one task and again by another."""
    for _ in range(2):
        async with pool(dsn) as database:
            task = task_of(sink_of(sink), database)
            await task.start()
            assert await task.process(given) == len(given)
        await query(dsn, "UPDATE shieldx.positions SET next_offset = 0")
    return await query(dsn, SET_ASIDE)


def movement(**changed: Any) -> Record:
    """The movement 0-1 with other fields."""
    row = msgspec.structs.replace(TransactionRow("a", "0-1", "purchase", 7, 7, AT_MS, "k", ""), **changed)
    return Record(TRANSACTIONS, 0, 1, b"a/0-1", msgspec.json.encode(row))


def as_text(old: str, new: str) -> Record:
    """The movement 0-1 with another spelling."""
    made = movement(description="here")
    assert made.value is not None
    return made._replace(value=made.value.replace(old.encode(), new.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (movement(tenant_id="a\0"), f"ValueError: tenant_id {NUL}"),
        (movement(idempotency_key="\0"), f"ValueError: idempotency_key {NUL}"),
        (movement(description="secret \0"), f"ValueError: description {NUL}"),
        (movement(refunds="0-0\0"), f"ValueError: refunds {NUL}"),
        (movement(amount=2**63), "ValueError: amount does not fit into 64 bits"),
        (movement(balance=-(2**63) - 1), "ValueError: balance does not fit into 64 bits"),
        (movement(amount=-(10**30)), "ValueError: amount does not fit into 64 bits"),
        (movement(transaction_id=f"0-{2**63}"), "ValueError: input_offset does not fit into 64 bits"),
        (movement(transaction_id=f"{2**31}-0"), "ValueError: partition does not fit into 32 bits"),
        (movement(transaction_id=f"0-1-{2**15}"), "ValueError: batch_index does not fit into 16 bits"),
        (movement(transaction_id="0-1-2-3"), "ValueError: the transaction_id is not <partition>-<offset>"),
        (movement(transaction_id="0-٣"), "ValueError: the transaction_id is not <partition>-<offset>"),
        (movement(transaction_id="0-" + "0" * 4000), "ValueError: the transaction_id is not <partition>-<offset>"),
        (movement(at_ms=10**15), "ValueError: at_ms is not within the years 1 to 9999"),
        (movement(at_ms=-(2**63)), "ValueError: at_ms is not within the years 1 to 9999"),
        (movement(tenant_id="a" * 257), f"ValueError: {TOO_LONG}"),
        (as_text("here", "\\ud800 and more"), "DecodeError: JSON is malformed: unexpected end of escaped utf-16"),
        (as_text("here", "\ud800"), "UnicodeDecodeError: "),
        (as_text('"k"', "7"), "ValidationError: Expected `str`, got `int`"),
        (movement()._replace(value=None), "ValueError: a record without a value"),
    ],
)
async def test_a_movement_that_cannot_be_stored_is_set_aside_and_those_around_it_written(
    dsn: str, poison: Record, reason: str
) -> None:
    ((topic, offset, said),) = await written(dsn, STATEMENTS, [transaction(0, "a"), poison, transaction(2, "a")])
    assert (topic, offset) == (TRANSACTIONS, 1)
    assert said.startswith(reason)
    assert "secret" not in said
    assert await query(dsn, MOVEMENTS) == [("0-0",), ("0-2",)]


def named(tenant: str, balance: int = 5) -> Record:
    row = AccountRow(tenant, balance, 0, 0, 5)
    return Record(ACCOUNTS, 0, 1, tenant.encode(), msgspec.json.encode(row))


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (named("nul \0"), f"ValueError: tenant_id {NUL}"),
        (named("nul \0")._replace(value=None), f"ValueError: tenant_id {NUL}"),
        (named("b" * 3000), f"ValueError: {TOO_LONG}"),
        (named("b", 2**63), "ValueError: balance does not fit into 64 bits"),
        (named("b")._replace(key=b"\xff"), "ValueError: the key is not the body's tenant_id"),
        (named("b")._replace(key=b"\xff", value=None), "UnicodeDecodeError: "),
        (named("b")._replace(key=None), "ValueError: a record without a key"),
    ],
)
async def test_an_account_that_cannot_be_stored_is_set_aside_and_the_others_written(
    dsn: str, poison: Record, reason: str
) -> None:
    ((topic, offset, said),) = await written(dsn, STATEMENTS, [account(0, "a", 1), poison, account(2, "c", 3)])
    assert (topic, offset) == (ACCOUNTS, 1)
    assert said.startswith(reason)
    assert await query(dsn, READ_ACCOUNTS) == [("a", 1), ("c", 3)]


async def test_a_whole_batch_of_them_is_set_aside(dsn: str) -> None:
    poison = [transaction(offset, "a", key="\0") for offset in range(999)]
    assert len(await written(dsn, STATEMENTS, [*poison, transaction(999, "a")])) == 999
    assert await query(dsn, MOVEMENTS) == [("0-999",)]


@pytest.mark.parametrize("at_ms", [-1, 2**62, -(2**62)])
async def test_a_time_that_is_none_leaves_the_position_without_one(dsn: str, at_ms: int) -> None:
    """A producer writes any number as a record's timestamp, unless the topic has the broker's own."""
    assert await written(dsn, STATEMENTS, [transaction(0, "a")._replace(timestamp=at_ms)]) == []
    assert await query(dsn, MOVEMENTS) == [("0-0",)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"a\\u0000secret":1}', "Malformed: Object contains unknown field"),
        (b'{"' + b"a" * 100_000 + b'":1}', "Malformed: Object contains unknown field"),
        (b'{"format":1,"format":1}', "Malformed: "),
        (b"\xff", "Malformed: "),
    ],
)
async def test_a_reason_can_always_be_stored(dsn: str, value: bytes, reason: str) -> None:
    entries = chain(3)
    first, _, third = records(entries)
    ((topic, offset, said),) = await written(dsn, MIRROR, [first, Record(LOG, 0, 1, b"0/1", value), third])
    assert (topic, offset) == (LOG, 1)
    assert said.startswith(reason)
    assert len(said) < 500
    assert await mirrored(dsn) == [entries[0], entries[2]]


async def test_an_entry_with_any_text_is_stored_exactly(dsn: str) -> None:
    texts: dict[str, Any] = {
        name: f"{name} \0 \ufffd 𝄞" for name in ("actor", "action", "subject", "idempotency_key", "payload")
    }
    whole = [entry(0, tenant_id="a\0", **texts), entry(1, tenant_id="a\ufffd", occurred_at="\0", source="\0")]
    assert await written(dsn, MIRROR, [record(offset, each) for offset, each in enumerate(whole)]) == []
    assert await mirrored(dsn) == whole
