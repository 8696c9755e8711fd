"""Reconciliation of what real workers wrote to a real broker and a real Postgres."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_consumer
from shieldx.client import Client
from shieldx.dev.stack import Stack
from shieldx.domains.audit.tables import DECISIONS, LOG
from shieldx.domains.credits.messages import Batch, Commit, Consume, Purchase, Refund, Reserve, Result, Single
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS, RESULTS, TRANSACTIONS, TransactionRow
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.log import Record, TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.keyring.file import make_keyring
from shieldx.reconciliation import report as names
from shieldx.reconciliation.check import reconcile
from shieldx.reconciliation.kafka_topics import KafkaTopics
from shieldx.settings import load_settings
from tests import containers
from tests.databases import copy, named, new_database, query
from tests.projections import caught_up
from tests.workers_in_process import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from shieldx.reconciliation.report import ReconciliationReport

pytestmark = pytest.mark.integration

PARTITIONS = 2
TENANTS = ("acme", "globex", "initech", "umbrella")
PREFIXES = ("", "0/", "1/", "2/")
"""Prefixes of the keys, one for each round of the tenants' commands."""
POLL_S = 0.05
TIMEOUT_S = 30


@asynccontextmanager
async def own_kafka(folder: Path) -> AsyncIterator[str]:
    """A broker whose topics no other test writes to: reconciliation covers everything in them."""
    if containers.chosen():
        with containers.kafka_container() as bootstrap:
            yield bootstrap
        return
    async with Stack(folder) as stack:
        yield stack.bootstrap


async def platform_on(bootstrap: str, dsn: str, folder: Path) -> Platform:
    make_keyring(folder / "keyring.json")
    environment = {
        "SHIELDX_KAFKA_BOOTSTRAP": bootstrap,
        "SHIELDX_POSTGRES_DSN": dsn,
        "SHIELDX_PARTITIONS": str(PARTITIONS),
        "SHIELDX_REPLICATION": "1",
        "SHIELDX_AUDIT_KEYRING_FILE": str(folder / "keyring.json"),
    }
    platform = Platform(load_settings(environment))
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
    return platform


async def spend(client: Client, tenant_id: str, prefix: str) -> None:
    """Every kind of command, some refused, and a hold that expires."""

    def common(key: str) -> dict[str, Any]:
        return {"tenant_id": tenant_id, "idempotency_key": f"{prefix}{key}"}

    await client.send(Purchase(**common("1"), amount=1000, description="card ü"))
    consumed = await client.send(Consume(**common("2"), amount=300, actor="alice"))
    await client.send(Consume(**common("2"), amount=300, actor="alice"))
    await client.send(Reserve(**common("3"), amount=200, reservation_id=f"{prefix}r", ttl_s=60))
    await client.send(Reserve(**common("4"), amount=10, reservation_id=f"{prefix}expires", ttl_s=1))
    await client.send(Commit(**common("5"), reservation_id=f"{prefix}r", amount=150))
    await client.send(Refund(**common("6"), transaction_id=consumed.transaction_id, amount=100))
    await client.send(Consume(**common("7"), amount=1_000_000))
    within: list[Single] = [Consume(**common(f"8{n}"), amount=n) for n in range(1, 4)]
    await client.send(Batch(**common("8"), atomic=False, commands=within))


async def expired(platform: Platform, holds: int) -> None:
    """Return when this many holds have expired, which a tick triggers."""
    async with committed_consumer(platform) as consumer, asyncio.timeout(TIMEOUT_S):
        consumer.assign([KafkaTopicPartition(RESULTS, number) for number in range(PARTITIONS)])
        async for record in consumer:
            holds -= msgspec.json.decode(record.value, type=Result).type == "expire"
            if holds == 0:
                return


async def chained(platform: Platform) -> None:
    """Return when the audit agent has processed every append."""
    async with KafkaTopics(platform.connection, platform.settings.application) as topics, asyncio.timeout(TIMEOUT_S):
        for tp in [TopicPartition(DECISIONS, number) for number in range(PARTITIONS)]:
            last = [r.offset async for records in topics.read(tp, 0, (await topics.bounds(tp)).end) for r in records]
            while last and await topics.position("audit", tp) <= last[-1]:  # noqa: ASYNC110 - a broker's, not ours
                await asyncio.sleep(POLL_S)


async def check(platform: Platform, dsn: str | None) -> ReconciliationReport:
    agent = platform.agent("credits")
    assert isinstance(agent, TransactionalAgent)
    return await reconcile(
        platform.connection,
        agent=agent,
        manifests=platform.topics,
        partitions=platform.partitions,
        application=platform.settings.application,
        dsn=dsn,
        progress=lambda partition, offset, end: None,  # noqa: ARG005 - nobody looks
    )


def faults(report: ReconciliationReport) -> dict[str, list[tuple[str, str | None]]]:
    """Kind and tenant of every fault, by check."""
    return {
        name: [(str(fault.kind), fault.tenant_id) for fault in each.faults]
        for name, each in report.checks.items()
        if each.counts
    }


async def delete_before(platform: Platform, offsets: Iterable[tuple[str, int, int]]) -> None:
    """Delete records, as retention does."""
    admin = AIOKafkaAdminClient(**platform.connection)
    await admin.start()
    try:
        await admin.delete_records({KafkaTopicPartition(t, p): RecordsToDelete(offset) for t, p, offset in offsets})
    finally:
        await admin.close()


@asynccontextmanager
async def ledger_written(folder: Path, postgres: str, *, checks: int) -> AsyncIterator[tuple[Platform, str]]:
    """A ledger, its audit log and its mirror, all at rest; they were checked so often while they were not."""
    async with own_kafka(folder / "stack") as bootstrap, new_database(postgres) as dsn:
        platform = await platform_on(bootstrap, dsn, folder)
        async with running(platform, "credits", "audit", "credits-statements"):
            async with Client(platform.connection) as client:
                for number, prefix in enumerate(PREFIXES):
                    sending = asyncio.gather(*(spend(client, tenant_id, prefix) for tenant_id in TENANTS))
                    if 0 < number <= checks:
                        report = await check(platform, dsn)
                        assert report.ok, report.faults
                    await sending
            await expired(platform, len(TENANTS) * len(PREFIXES))
            await chained(platform)
            await caught_up(platform.connection, dsn, partitions=PARTITIONS)
        yield platform, dsn


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def written(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> AsyncIterator[tuple[Platform, str]]:
    """A shared platform that tests only read."""
    async with ledger_written(tmp_path_factory.mktemp("ledger"), postgres, checks=3) as ledger:
        yield ledger


@pytest_asyncio.fixture
async def copied(written: tuple[Platform, str]) -> AsyncIterator[tuple[Platform, str]]:
    """The same topics with a test's own database."""
    platform, dsn = written
    source, target = urlsplit(dsn).path[1:], f"test_{uuid4().hex}"
    await copy(dsn, source, target)
    yield platform, named(dsn, target)
    await query(named(dsn, "postgres"), f"DROP DATABASE {target} WITH (FORCE)")


async def test_an_untouched_ledger_has_no_faults(written: tuple[Platform, str]) -> None:
    platform, dsn = written
    report = await check(platform, dsn)
    assert report.ok, report.faults
    assert not any(each.lagging for each in report.checks.values()), report.rows()
    compared = {name: compared for name, compared, _, _ in report.rows()}
    assert compared[names.ACCOUNTS] == compared[names.MIRRORED_ACCOUNTS] == compared[names.MIRRORED_SUMS] == 4
    assert compared[names.RESULTS] > 4 * 4 * 9
    assert compared[names.ENTRIES] == compared[names.RESULTS] + 4 * 4 * 3, "an entry for each command of a batch"
    assert compared[names.MIRRORED_MOVEMENTS] == 4 * 4 * 7
    assert (await check(platform, None)).ok


TAMPERED = (
    "UPDATE credits.accounts SET balance = balance + 1 WHERE tenant_id = 'acme'",
    "UPDATE credits.transactions SET amount = amount - 1 WHERE tenant_id = 'acme' AND idempotency_key = '2'",
    "DELETE FROM credits.accounts WHERE tenant_id = 'globex'",
    "DELETE FROM credits.transactions WHERE tenant_id = 'globex' AND idempotency_key = '1'",
    "UPDATE credits.accounts SET source_partition = 77 WHERE tenant_id = 'initech'",
    "UPDATE credits.transactions SET description = 'x' WHERE tenant_id = 'initech' AND idempotency_key = '6'",
    "DELETE FROM credits.transactions WHERE tenant_id = 'umbrella' AND idempotency_key = '2/83'",
    """
    INSERT INTO credits.transactions
    SELECT 'x', tenant_id, partition, input_offset, batch_index, type, amount, balance, at, idempotency_key, description
    FROM credits.transactions WHERE tenant_id = 'umbrella' AND idempotency_key = '1'
    """,
)


async def test_rows_that_were_tampered_with(copied: tuple[Platform, str]) -> None:
    platform, dsn = copied
    for statement in TAMPERED:
        await query(dsn, statement)
    found = faults(await check(platform, dsn))
    assert {name: sorted(each, key=str) for name, each in found.items()} == {
        names.MIRRORED_ACCOUNTS: [
            ("differs", "acme"),
            ("missing", "globex"),
            ("missing", "initech"),
            ("not of the ledger", "initech"),
        ],
        names.MIRRORED_MOVEMENTS: [
            ("differs", "acme"),
            ("differs", "initech"),
            ("missing", "globex"),
            ("missing", "umbrella"),
            ("not of the ledger", "umbrella"),
        ],
        names.MIRRORED_SUMS: [("does not add up", tenant_id) for tenant_id in sorted(TENANTS)],
    }


async def test_records_that_are_set_aside_are_faults_and_their_partition_is_not_summed(
    copied: tuple[Platform, str],
) -> None:
    platform, dsn = copied
    home = home_partition("acme", PARTITIONS)
    (last,) = (await offsets(platform, TRANSACTIONS, home))[-1:]
    (row,) = await rows_at(platform, home, [last])
    await query(dsn, "DELETE FROM credits.transactions WHERE transaction_id = $1", row.transaction_id)
    insert = (
        "INSERT INTO shieldx.unreadable (sink, topic, partition, record_offset, reason) "
        "VALUES ('credits-statements', $1, $2, $3, 'why')"
    )
    await query(dsn, insert, TRANSACTIONS, home, last)
    await query(dsn, insert, ACCOUNTS, home, 7)
    report = await check(platform, dsn)
    aside = "set aside in shieldx.unreadable"
    assert [(str(fault), fault.check) for fault in report.faults if fault.kind == aside] == [
        (f"{TRANSACTIONS}/{home}/{last} {aside}", names.MIRRORED_MOVEMENTS),
        (f"{ACCOUNTS}/{home}/7 {aside}", names.MIRRORED_ACCOUNTS),
    ]
    assert [fault.tenant_id for fault in report.faults if fault.kind == "missing"] == [row.tenant_id]
    assert report.check(names.MIRRORED_SUMS).lagging == {"partitions not summed because records are set aside": 1}


async def test_rows_that_are_not_yet_in_postgres(copied: tuple[Platform, str]) -> None:
    platform, dsn = copied
    home = home_partition("acme", PARTITIONS)
    last = (await offsets(platform, TRANSACTIONS, home))[-3:]
    move = "UPDATE shieldx.positions SET next_offset = $1 WHERE topic = $2 AND partition = $3"
    await query(dsn, move, last[0], TRANSACTIONS, home)
    movements = await rows_at(platform, home, last)
    for row in movements:
        await query(dsn, "DELETE FROM credits.transactions WHERE transaction_id = $1", row.transaction_id)
    report = await check(platform, dsn)
    assert report.ok, report.faults
    assert report.check(names.MIRRORED_MOVEMENTS).lagging == {"rows not yet in Postgres": 3}
    await query(dsn, move, last[1], TRANSACTIONS, home)
    (wrong,) = (await check(platform, dsn)).faults
    assert (wrong.check, wrong.kind, wrong.tenant_id) == (names.MIRRORED_MOVEMENTS, "missing", movements[0].tenant_id)


async def test_forged_records_and_then_a_beginning_that_is_deleted(copied: tuple[Platform, str]) -> None:
    """The last of this page, since it damages the topics."""
    platform, dsn = copied
    home = home_partition("acme", PARTITIONS)
    first_results = (await offsets(platform, RESULTS, home))[:20]
    first_commands = (await offsets(platform, COMMANDS, home))[:20]
    await delete_before(platform, [(RESULTS, home, first_results[-1]), (COMMANDS, home, first_commands[-1])])
    report = await check(platform, dsn)
    assert report.ok, report.faults
    assert [partition.replayed for partition in report.partitions] == [number != home for number in range(2)]
    assert report.check(names.ENTRIES_OF_RESULTS).compared > 50
    assert report.check(names.ENTRIES_OF_COMMANDS).compared > 50
    await query(dsn, "DELETE FROM credits.transactions WHERE tenant_id = 'acme' AND idempotency_key = '2/5'")
    assert faults(await check(platform, dsn))[names.MIRRORED_MOVEMENTS] == [("missing", "acme")]
    async with AIOKafkaProducer(**platform.connection) as producer:
        for number in range(PARTITIONS):
            for topic in (RESULTS, LOG):
                record = await last_record(platform, topic, number)
                await producer.send_and_wait(topic, record.value, key=record.key, partition=number)
    report = await check(platform, None)
    found = faults(report)
    assert [kind for kind, _ in found[names.RESULTS]] == ["twice"]
    assert [kind for kind, _ in found[names.ENTRIES]] == ["twice"]
    assert {kind for kind, _ in found[names.SUMS]} == {"does not add up"}, "no hold expires twice"
    assert {fault.partition for fault in report.check(names.SUMS).faults} == {0, 1}


async def rows_at(platform: Platform, partition: int, places: list[int]) -> list[TransactionRow]:
    """The records of the topic of transactions at some offsets."""
    records = await records_of(platform, TRANSACTIONS, partition)
    return [
        msgspec.json.decode(record.value or b"", type=TransactionRow) for record in records if record.offset in places
    ]


async def offsets(platform: Platform, topic: str, partition: int) -> list[int]:
    return [record.offset for record in await records_of(platform, topic, partition)]


async def last_record(platform: Platform, topic: str, partition: int) -> Record:
    return (await records_of(platform, topic, partition))[-1]


async def records_of(platform: Platform, topic: str, partition: int) -> list[Record]:
    async with KafkaTopics(platform.connection, platform.settings.application) as topics:
        tp = TopicPartition(topic, partition)
        first, _, end = await topics.bounds(tp)
        return [record async for records in topics.read(tp, first, end) for record in records]
