"""What the credits-statements sink must have made of its topics, and where Postgres differs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from shieldx.domains.credits.tables import ACCOUNTS, TRANSACTIONS, AccountRow, TransactionRow
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.tasks.log import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping

SINK = "credits-statements"
POLL_S = 0.05
SHOWN = 20
_ACCOUNTS = "SELECT * FROM credits.accounts"
_TRANSACTIONS = """
SELECT transaction_id, tenant_id, type, abs(amount) AS amount, balance,
    (extract(epoch FROM at) * 1000)::bigint AS at_ms, idempotency_key, description, refunds,
    sign(amount)::int AS sign, partition, input_offset, batch_index
FROM credits.transactions
"""
_POSITIONS = "SELECT topic, partition, next_offset FROM shieldx.positions WHERE sink = $1"
_UNREADABLE = "SELECT topic, partition, record_offset FROM shieldx.unreadable WHERE sink = $1"
_SIGNS = {"purchase": 1, "refund": 1, "consume": -1, "commit": -1}


async def caught_up(connection: Mapping[str, Any], dsn: str, *, partitions: int, timeout_s: float = 60.0) -> None:
    """Return once the sink has written all that its topics hold now; TimeoutError when it has not in time."""
    await passed(dsn, SINK, await _last_offsets(connection, partitions), timeout_s)


async def passed(dsn: str, sink: str, last: Mapping[tuple[str, int], int], timeout_s: float) -> None:
    """Return once a sink has written the records at the offsets given by topic and partition; else TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not _passed(await _positions(dsn, sink), last):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(POLL_S)


async def differences(connection: Mapping[str, Any], dsn: str, *, partitions: int) -> list[str]:
    """Where rows in Postgres differ from the committed records of the topics, offset by offset; the first few."""
    accounts: dict[str, tuple[Any, ...]] = {}
    transactions: dict[str, tuple[Any, ...]] = {}
    found: list[str] = []
    for record in await _records(connection, partitions):
        if record.topic == TRANSACTIONS:
            row = msgspec.json.decode(record.value, type=TransactionRow)
            if row.transaction_id in transactions:
                found.append(f"transaction {row.transaction_id} is in its topic twice")
            transactions[row.transaction_id] = _transaction(row)
        elif record.value is None:
            accounts.pop(record.key.decode(), None)
        else:
            account = msgspec.json.decode(record.value, type=AccountRow)
            accounts[account.tenant_id] = (*msgspec.structs.astuple(account), record.partition, record.offset)
    database = await asyncpg.connect(dsn)
    try:
        found_accounts = {row["tenant_id"]: tuple(row) for row in await database.fetch(_ACCOUNTS)}
        found_transactions = {row["transaction_id"]: tuple(row) for row in await database.fetch(_TRANSACTIONS)}
        unreadable = [tuple(row) for row in await database.fetch(_UNREADABLE, SINK)]
    finally:
        await database.close()
    found += [f"unreadable: {place}" for place in unreadable]
    found += _compared("account", accounts, found_accounts) + _compared("transaction", transactions, found_transactions)
    return found[:SHOWN]


def _passed(positions: Mapping[tuple[str, int], int], last: Mapping[tuple[str, int], int]) -> bool:
    return all(positions.get(tp, 0) > offset for tp, offset in last.items())


def _transaction(row: TransactionRow) -> tuple[Any, ...]:
    home, offset, *index = map(int, row.transaction_id.split("-"))
    refunds = None if row.refunds is msgspec.UNSET else row.refunds
    return (
        row.transaction_id,
        row.tenant_id,
        row.type,
        row.amount,
        row.balance,
        row.at_ms,
        row.idempotency_key,
        row.description,
        refunds,
        _SIGNS[row.type] if row.amount else 0,
        home,
        offset,
        index[0] if index else None,
    )


def _compared(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [
        f"{what} {key}: the topic says {wanted.get(key)}, Postgres {found.get(key)}"
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
    ]


async def _positions(dsn: str, sink: str) -> dict[tuple[str, int], int]:
    """None yet, as long as Postgres does not answer."""
    try:
        database = await asyncpg.connect(dsn, timeout=5)
    except (OSError, asyncpg.PostgresError):
        return {}
    try:
        rows = await database.fetch(_POSITIONS, sink)
    finally:
        await database.close()
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def _last_offsets(connection: Mapping[str, Any], partitions: int) -> dict[tuple[str, int], int]:
    return {(r.topic, r.partition): r.offset for r in await _records(connection, partitions)}


async def _records(connection: Mapping[str, Any], partitions: int) -> list[Any]:
    """Every committed record of both topics."""
    log = KafkaLog(connection, "credits.positions")
    places = [TopicPartition(topic, number) for topic in (ACCOUNTS, TRANSACTIONS) for number in range(partitions)]
    return [record async for records in log.read_to_end(places) for record in records]
