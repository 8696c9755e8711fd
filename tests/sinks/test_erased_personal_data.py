"""What an erased key sealed leaves Postgres, whichever sink is ahead."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

from shieldx.domains.credits.messages import Payment
from shieldx.domains.credits.tables import TRANSACTIONS, TransactionRow
from shieldx.domains.privacy.tables import ERASURES, ErasureRow
from shieldx.messages import Sealed
from shieldx.privacy.key_id import DataKeyId
from tests.databases import query
from tests.sinks.ledger_rows import AT_MS, Record
from tests.sinks.sink_tasks import STATEMENTS, pool, sink_of, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.integration


def key_id_of(subject: str, key: str) -> str:
    return DataKeyId("acme", subject, key).key_id


ADA, BOB = "ada0" * 8, "b0b0" * 8
KEY = "1" * 16
KEPT = "SELECT transaction_id, key_id FROM credits.personal_data ORDER BY 1"


def sealed(subject: str) -> Sealed:
    return Sealed(sealed="A256GCM/1", key_id=key_id_of(subject, KEY), nonce=b"n" * 12, ciphertext=b"c" * 32)


def purchase(offset: int, subject: str) -> Record:
    payment = Payment(reference=sealed(subject), brand="visa", last_four="9010")
    return movement(offset, "purchase", payment=payment)


def consume(offset: int, subject: str) -> Record:
    return movement(offset, "consume", personal=sealed(subject))


def movement(offset: int, kind: str, **sealed_fields: Any) -> Record:
    row = TransactionRow("acme", f"0-{offset}", kind, 7, 7, AT_MS, f"k{offset}", "", **sealed_fields)
    return Record(TRANSACTIONS, 0, offset, f"acme/0-{offset}".encode(), msgspec.json.encode(row))


def erasure(subject: str, tenant_id: str = "acme") -> Record:
    row = ErasureRow(tenant_id=tenant_id, subject=subject, erased_at="2026-01-01T12:00:00.000Z", keys=(KEY,))
    return Record(ERASURES, 0, 0, f"{tenant_id}/{subject}".encode(), msgspec.json.encode(row))


async def write(dsn: str, sink: str, *records: Record) -> None:
    async with pool(dsn) as database:
        task = task_of(sink_of(sink), database)
        await task.start()
        await task.process(records)


async def test_sealed_fields_are_apart_from_the_movements(dsn: str) -> None:
    await write(dsn, STATEMENTS, purchase(0, ADA), consume(1, BOB))
    payment, personal = await query(dsn, "SELECT payment, personal FROM credits.personal_data ORDER BY 1")
    assert msgspec.json.decode(payment[0], type=Payment).last_four == "9010"
    assert personal == (None, msgspec.json.encode(sealed(BOB)).decode())


@pytest.mark.parametrize(
    "order",
    [
        [(STATEMENTS, purchase(0, ADA)), ("privacy-erasures", erasure(ADA))],
        [("privacy-erasures", erasure(ADA)), (STATEMENTS, purchase(0, ADA))],
    ],
    ids=["the erasure is later", "the movement is later"],
)
async def test_an_erasure_deletes_what_its_keys_sealed(dsn: str, order: Sequence[tuple[str, Record]]) -> None:
    await write(dsn, STATEMENTS, consume(7, BOB))
    await query(dsn, "UPDATE shieldx.positions SET next_offset = 0")
    for sink, record in order:
        await write(dsn, sink, record)
    assert await query(dsn, KEPT) == [("0-7", key_id_of(BOB, KEY))]
    assert await query(dsn, "SELECT count(*) FROM credits.transactions") == [(2,)]


async def test_an_erasure_of_another_tenant_deletes_nothing(dsn: str) -> None:
    await write(dsn, STATEMENTS, purchase(0, ADA))
    await write(dsn, "privacy-erasures", erasure(ADA, "other"))
    assert len(await query(dsn, KEPT)) == 1


@pytest.mark.parametrize("first", ["erasure", "movement"])
async def test_of_two_at_the_same_time_one_waits_for_the_other(dsn: str, first: str) -> None:
    erase = "INSERT INTO privacy.erased_keys VALUES ('acme', 'k', now())"
    seal = "INSERT INTO credits.personal_data VALUES ('0-1', 'acme', 'k', NULL, '{}')"
    ahead, behind = (erase, seal) if first == "erasure" else (seal, erase)
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(await asyncpg.create_pool(dsn, min_size=1)) for _ in "12"]
        async with one.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(ahead)
            later = asyncio.create_task(other.execute(behind))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = $1"
            while not await connection.fetchval(waiting, behind):
                assert not later.done()
            await transaction.commit()
        await later
    assert await query(dsn, KEPT) == []
