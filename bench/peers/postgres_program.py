"""The plain job on Postgres: `python -m bench.peers.postgres_program BOOTSTRAP COMMANDS DSN COUNT FORM BATCH`.

It first reads COUNT commands from the topic into memory, then applies BATCH of them per transaction on 32 connections,
and prints its own measurement as one line of JSON. With one command per transaction, FORM is `statements` (three
between BEGIN and COMMIT, as most people would write it) or `statement` (a single one, which needs one round trip).
"""

from __future__ import annotations

import asyncio
import sys
from operator import itemgetter
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from bench.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECTIONS = 32

SCHEMA = """
CREATE TABLE accounts (tenant_id text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE outcomes (tenant_id text, idempotency_key text, PRIMARY KEY (tenant_id, idempotency_key));
CREATE TABLE results (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
                      idempotency_key text NOT NULL, code text NOT NULL, balance bigint);
"""
ANSWER = """
WITH fresh AS (
  INSERT INTO outcomes (tenant_id, idempotency_key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING tenant_id
), moved AS (
  UPDATE accounts SET balance = balance + $3::bigint FROM fresh
  WHERE accounts.tenant_id = fresh.tenant_id AND balance + $3::bigint >= 0 RETURNING balance
)
INSERT INTO results (tenant_id, idempotency_key, code, balance)
SELECT $1, $2, CASE WHEN EXISTS (SELECT FROM moved) THEN 'ok' ELSE 'insufficient_funds' END, (SELECT balance FROM moved)
FROM fresh RETURNING code, balance
"""
REMEMBER = "INSERT INTO outcomes (tenant_id, idempotency_key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
MOVE = "UPDATE accounts SET balance = balance + $2 WHERE tenant_id = $1 AND balance + $2 >= 0 RETURNING balance"
ADD_RESULT = "INSERT INTO results (tenant_id, idempotency_key, code, balance) VALUES ($1, $2, $3, $4)"
AGAIN = "SELECT code, balance FROM results WHERE tenant_id = $1 AND idempotency_key = $2"
OPEN = "INSERT INTO accounts VALUES ($1, 0) ON CONFLICT DO NOTHING"

Row = tuple[str, str, int]
"""Tenant, idempotency key, and the change of the balance."""


def rows_of(commands: Sequence[bytes]) -> list[Row]:
    """The arguments of `ANSWER` for each command."""
    decoded = map(msgspec.json.Decoder(dict[str, Any]).decode, commands)
    return [
        (each["tenant_id"], each["idempotency_key"], each["amount"] if each["type"] == "purchase" else -each["amount"])
        for each in decoded
    ]


def lanes_of(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """The rows distributed by tenant, so that two connections never wait for the same account's lock."""
    numbers: dict[str, int] = {}
    lanes: list[list[Row]] = [[] for _ in range(count)]
    for row in rows:
        lanes[numbers.setdefault(row[0], len(numbers)) % count].append(row)
    return lanes


def batches_of(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """Slices of at most `size` rows."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


async def in_one_statement(connection: Any, rows: Iterator[Row]) -> None:
    """Apply each row in its own transaction of one statement."""
    answer = await connection.prepare(ANSWER)
    for row in rows:
        if await answer.fetchrow(*row) is None:
            await connection.fetchrow(AGAIN, row[0], row[1])


async def in_three_statements(connection: Any, rows: Iterator[Row]) -> None:
    """Apply each row in its own transaction, with one statement per table."""
    remember, move = await connection.prepare(REMEMBER), await connection.prepare(MOVE)
    add_result = await connection.prepare(ADD_RESULT)
    for tenant_id, key, amount in rows:
        async with connection.transaction():
            if await remember.fetchval(tenant_id, key) is None:
                await connection.fetchrow(AGAIN, tenant_id, key)
                continue
            balance = await move.fetchval(tenant_id, amount)
            code = "insufficient_funds" if balance is None else "ok"
            await add_result.fetch(tenant_id, key, code, balance)


ONE_BY_ONE = {"statement": in_one_statement, "statements": in_three_statements}


async def in_batches(connection: Any, rows: Sequence[Row], size: int) -> None:
    """Apply `size` rows per transaction. Repeated keys would be looked up afterwards."""
    for batch in batches_of(rows, size):
        async with connection.transaction():
            await connection.executemany(ANSWER, batch)


async def measure(dsn: str, rows: Sequence[Row], form: str, batch: int) -> float:
    """Apply all rows. Returns the duration in seconds."""
    async with asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        await pool.execute(SCHEMA)
        await pool.executemany(OPEN, [(tenant_id,) for tenant_id in sorted({row[0] for row in rows})])
        opening = [row for row in rows if row[2] > 0]
        consumes = [row for row in rows if row[2] <= 0]
        async with pool.acquire() as connection:
            await in_batches(connection, opening, len(opening))
        shared = iter(consumes)
        lanes = lanes_of(consumes, CONNECTIONS)
        start_s = monotonic()
        async with asyncio.TaskGroup() as tasks:
            for lane in lanes:
                tasks.create_task(_on_one_connection(pool, shared, lane, form, batch))
        return monotonic() - start_s


async def _on_one_connection(pool: Any, shared: Iterator[Row], lane: Sequence[Row], form: str, batch: int) -> None:
    async with pool.acquire() as connection:
        if batch == 1:
            await ONE_BY_ONE[form](connection, shared)
        else:
            await in_batches(connection, lane, batch)


async def main(bootstrap: str, commands: str, dsn: str, count: str, form: str, batch: str) -> None:
    """Read, apply, and print the measurement."""
    with Reader(bootstrap, commands) as reader:
        rows = sorted(rows_of(list(reader.values())), key=itemgetter(1))  # by number, so that tenants alternate again
    if len(rows) != int(count):
        raise SystemExit(f"{commands} has {len(rows)} commands, expected {count}")
    seconds = await measure(dsn, rows, form, int(batch))
    sys.stdout.buffer.write(msgspec.json.encode({"commands": len(rows), "seconds": seconds}) + b"\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
