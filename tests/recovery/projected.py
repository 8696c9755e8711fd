"""Whether Postgres holds what the topics hold, row by row and offset by offset."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.credits import tables
from shieldx.credits.projections import signed
from shieldx.credits.tables import AccountRow, TransactionRow
from shieldx.stores.database import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg
    from aiokafka import ConsumerRecord

SINK = "credits-statements"
_POLL_S = 0.2
_SHOWN = 3
_POSITIONS = "SELECT topic, partition, next_offset FROM shieldx.positions WHERE sink = $1"
_ACCOUNTS = """
SELECT tenant_id, balance, reserved_funds, total_spent, total_purchased, source_partition, source_offset
FROM credits.accounts
"""
_TRANSACTIONS = """
SELECT transaction_id, tenant_id, type, amount, balance, (extract(epoch FROM at) * 1000)::bigint AS at_ms,
    idempotency_key, description, refunds
FROM credits.transactions
"""
_UNREADABLE = "SELECT topic, partition, record_offset, reason FROM shieldx.unreadable"

Records = list[list["ConsumerRecord"]]


async def compare(dsn: str, accounts: Records, transactions: Records, timeout_s: float) -> list[str]:
    """What is wrong with the projections, once the sink has come to the end of both topics or time is up."""
    expected = {
        (topic, partition): records[-1].offset + 1
        for topic, found in ((tables.ACCOUNTS, accounts), (tables.TRANSACTIONS, transactions))
        for partition, records in enumerate(found)
        if records
    }
    async with connected(dsn) as connection:
        wrong = await _settle(connection, expected, timeout_s)
        wrong += _differences("account", _expected_accounts(accounts), await _rows(connection, _ACCOUNTS))
        wrong += _differences(
            "transaction", _expected_transactions(transactions), await _rows(connection, _TRANSACTIONS)
        )
        wrong += [f"the sink set aside {dict(row)}" for row in await connection.fetch(_UNREADABLE)]
    return wrong


async def _settle(connection: asyncpg.Connection, expected: dict[tuple[str, int], int], timeout_s: float) -> list[str]:
    positions: dict[tuple[str, int], int] = {}
    try:
        async with asyncio.timeout(timeout_s):
            while any(positions.get(place) != offset for place, offset in expected.items()):  # Postgres sets no Event
                positions = {(row[0], row[1]): row[2] for row in await connection.fetch(_POSITIONS, SINK)}
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        return [f"the sink is not at the end after {timeout_s:.0f} s: at {positions}, the topics end at {expected}"]
    return []


def _expected_accounts(accounts: Records) -> dict[str, tuple[Any, ...]]:
    last: dict[str, tuple[Any, ...]] = {}
    for records in accounts:
        for record in records:
            row = msgspec.json.decode(record.value, type=AccountRow)
            last[row.tenant_id] = (*msgspec.structs.astuple(row)[1:], record.partition, record.offset)
    return last


def _expected_transactions(transactions: Records) -> dict[str, tuple[Any, ...]]:
    found = {}
    for records in transactions:
        for record in records:
            row = msgspec.json.decode(record.value, type=TransactionRow)
            refunds = None if row.refunds is msgspec.UNSET else row.refunds
            figures = (row.type, signed(row.type, row.amount), row.balance, row.at_ms)
            found[row.transaction_id] = (row.tenant_id, *figures, row.idempotency_key, row.description, refunds)
    return found


async def _rows(connection: asyncpg.Connection, query: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: tuple(row)[1:] for row in await connection.fetch(query)}


def _differences(what: str, expected: dict[str, tuple[Any, ...]], found: dict[str, tuple[Any, ...]]) -> Sequence[str]:
    differing = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    lines = [f"{what} {key}: expected {expected.get(key)}, Postgres has {found.get(key)}" for key in differing[:_SHOWN]]
    return [*lines, f"{len(differing)} of {len(expected)} {what}s differ in Postgres"] if differing else []
